"""Pumps that have run for some days, with journals and history."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.twins.whatif.forked import fleet_spec, pumps
from training.history import History
from training.lab import Lab
from training.recorder import Recorder, journals_in
from twins.clock import HOUR_US, SECOND_US, VirtualClock
from twins.fleet import FleetConfig, LocalFleet
from twins.simulation import Simulator

START_US = 1_790_000_000 * SECOND_US - 1_790_000_000 * SECOND_US % HOUR_US
STEP_S = 300.0
DAYS = 3
PUMP = pumps()


class World:
    """Pumps that have run for some days, with journals and history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(START_US)
        spec = replace(fleet_spec(8, 5, (0.0, 0.9)), tick_s=STEP_S)
        spec = replace(spec, groups=tuple(replace(group, interval_s=STEP_S) for group in spec.groups))
        self.simulator = Simulator(spec, {PUMP.name: PUMP}, start_us=START_US)
        self.fleet = LocalFleet(folder / "hosts", FleetConfig(hosts=2, twins_per_host=9), self.clock)
        self.fleet.install(PUMP)
        self.fleet.register(self.simulator.devices)
        self.ids = sorted(device.id for device in self.simulator.devices)
        self.mended_us = START_US + 30 * HOUR_US
        self.go_on(30)
        self.simulator.maintain(self.ids[0], PUMP.actions[-1].name, self.mended_us)
        for command in self.simulator.take_maintenance():
            self.fleet.command(command)
        self.middle_us = self.go_on(18)
        self.middle = self.fleet.fork()
        self.go_on(DAYS * 24 - 48)
        self.record()
        self.history = History(folder / "history", journals_in(folder / "hosts"))
        self.lab = Lab(folder, self.history, lambda: self.fleet, self.clock)

    def go_on(self, hours: int) -> int:
        until_us = self.clock.now_us() + hours * HOUR_US
        for batch in self.simulator.advance(until_us):
            self.clock.advance_to(int(batch.event_us[-1]))
            self.fleet.write(batch)
        for command in self.simulator.take_maintenance():
            self.fleet.command(command)
        self.clock.advance_to(until_us)
        self.fleet.advance()
        return until_us

    def record(self) -> None:
        with closing(Recorder(self.folder / "history", journals_in(self.folder / "hosts"))) as recorder:
            while recorder.step():
                pass
            recorder.flush()

    def close(self) -> None:
        self.history.close()
        self.fleet.close()
