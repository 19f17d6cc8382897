"""A simulated fleet, its live twins, and a fork of them at a moment."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles
from twins.clock import HOUR_US, SECOND_US
from twins.devices import DeviceType
from twins.events import KINDS, EventBatch, Kind
from twins.fleetfiles import Climate, DeviceGroup, FleetSpec, Site
from twins.readings import ShardBatch, all_present, rounded
from twins.shard import Shard
from twins.simulation import Simulator
from twins.whatif.forks import Fork, fork
from twins.whatif.synthetic import with_truth

START_US = 1_790_000_000 * SECOND_US
STEP_S = 60.0
WARM_H = 8.0


def pumps() -> DeviceType:
    return typefiles.load_catalog()["centrifugal-pump"]


def fleet_spec(
    count: int, seed: int, wear: tuple[float, float], device_type: str = "centrifugal-pump"
) -> FleetSpec:
    """Pumps at two sites without weather, one reading a step."""
    steady = Climate(weather_c=0.0)
    return FleetSpec(
        name="t",
        seed=seed,
        tick_s=STEP_S,
        sites=(Site("oslo", climate=steady), Site("porto", climate=replace(steady, mean_c=18.0))),
        groups=(DeviceGroup(device_type, count, ("oslo", "porto"), wear=wear, interval_s=STEP_S),),
    )  # fmt: skip


class SimulatedFleet:
    """Devices, and twins that are told their readings."""

    def __init__(
        self, device_type: DeviceType, count: int = 3, seed: int = 11, wear: tuple[float, float] = (0.0, 0.95)
    ) -> None:
        self.device_type = device_type
        spec = fleet_spec(count, seed, wear, device_type.name)
        self.simulator = Simulator(spec, {device_type.name: device_type}, start_us=START_US)
        self.shard = Shard(device_type)
        self.now_us = START_US
        self._rows: list[tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float32]]] = []
        self._told: list[EventBatch] = []
        devices = tuple(self.simulator.devices)
        self.shard.command(
            c.RegisterDevices(command_id="r", by="s", device_type=device_type.name, devices=devices), START_US
        )
        self.go_on(WARM_H)
        self._rows.clear()
        self._told.clear()
        self.fork = self._forked(spec)
        self.ids = tuple(self.fork.types[device_type.name].ids.to_pylist())

    def go_on(self, hours: float) -> None:
        """Let devices and twins go on; nobody repairs anything."""
        until_us = self.now_us + round(hours * HOUR_US)
        for batch in self.simulator.advance(until_us):
            rows = self.shard.roster.index.find(batch.ids)[batch.index]
            values = rounded(batch.values, self.device_type)
            present = np.full(len(batch), all_present(values.shape[1]))
            applied = self.shard.apply(
                ShardBatch(rows, batch.event_us, values, present), int(batch.event_us[0])
            )
            self._rows.append((rows, values.astype(np.float64), applied.results.health))
            self._told.append(applied.events)
        self.now_us = until_us

    def seen(self, device_id: str) -> dict[str, NDArray[np.float64]]:
        """What was read of a device since the fork, and its health, step by step."""
        row = self.shard.row_of(device_id)
        found = [(values[at[0]], health[at[0]]) for rows, values, health in self._rows
                 if len(at := np.flatnonzero(rows == row))]  # fmt: skip
        readings = np.array([values for values, _ in found])
        columns = {name: readings[:, k] for k, name in enumerate(self.device_type.channel_names)}
        return {**columns, "health": np.array([health for _, health in found], np.float64)}

    def events(self) -> list[tuple[float, str, str, str]]:
        """Time, device, rule and kind of the events of alerts since the fork."""
        told = EventBatch.join(self._told).records
        told = told[told["kind"] >= int(Kind.ALERT_RAISED)]
        return sorted(
            (
                (int(each["at_us"]) - self.fork.at_us) / HOUR_US,
                self.shard.roster.index[int(each["row"])],
                self.device_type.rules[int(each["slot"])].name,
                KINDS[Kind(int(each["kind"]))].type,
            )
            for each in told
        )

    def _forked(self, spec: FleetSpec) -> Fork:
        climates = {site.name: site.climate for site in spec.sites}
        found = fork([self.shard], self.now_us, climates=climates)
        return with_truth(found, self.simulator)


def with_wear(found: Fork, low: float, high: float) -> Fork:
    """The fork, its devices evenly from so little to so much worn, whatever the failure mode."""
    types = {}
    for name, forked in found.types.items():
        assert forked.physics is not None
        wear = forked.physics.wear.copy()
        rows, modes = wear.shape
        wear[np.arange(rows), np.arange(rows) % modes] = np.linspace(low, high, rows)
        types[name] = replace(forked, physics=forked.physics._replace(wear=wear))
    return replace(found, types=types)
