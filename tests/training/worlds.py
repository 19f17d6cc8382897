"""A fleet with everything that happens to one, for the tests of what is rebuilt and run again."""

from contextlib import suppress
from dataclasses import replace
from itertools import groupby

import numpy as np

from tests.twins.fleets import PUMP, T0, batch_of, pumps, random_lines
from training.compaction import CompactionConfig, compact
from training.keeping import KeptSnapshots
from training.recorder import Recorder, RecorderConfig, journals_in
from training.standing import standing
from training.tables import Table
from twins import commands as c
from twins import views
from twins.clock import VirtualClock
from twins.devices import AlertRule, Device
from twins.errors import AlertNotFoundError, CommandRefusedError
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.prognosis import Prognoses
from twins.state import to_arrays

GATEWAY = Device("gateway", PUMP.name)
DOOMED = AlertRule("doomed", "p_fail_7d > 0.3", "high", "it fails", "repair it", on_delay_s=1.0)


def bits(shard, row):
    """Everything a shard keeps of one row."""
    arrays = to_arrays(shard.state, len(shard))
    entries = arrays.pop("alerts.entries")
    arrays = {name: array[row].tobytes() for name, array in arrays.items()}
    arrays["alerts.entries"] = [tuple(entry)[1:] for entry in entries[entries["row"] == row].tolist()]
    notes = [[rule, note] for at, rule, note in shard.book.to_meta() if at == row]
    return arrays, notes, views.twin(shard, row)


def random_prognoses(rng, found, is_shadow=False):
    """Of some of the devices that were asked about: forecasts, and of some that none can be made."""
    n = len(found.rows)
    said = rng.integers(1, 3, n).astype(np.uint8)
    unsaid = said == 1
    p_fail = np.sort(rng.random((n, 3)), axis=1).astype(np.float32)
    rul_h = np.sort(rng.random((n, 3)) * 1000, axis=1).astype(np.float32)
    p_fail[unsaid], rul_h[unsaid] = np.nan, np.nan
    told = Prognoses(
        device_type=PUMP.name, model=int(rng.integers(1, 9)), seal=found.seal, rows=found.rows,
        life_cycle=found.life_cycle, event_us=found.event_us, p_fail=p_fail, rul_h=rul_h,
        mode=np.full(n, -1, np.int8), share=np.full(n, np.nan, np.float32), said=said,
        like_healthy=rng.random(n).astype(np.float32), is_shadow=is_shadow,
    )  # fmt: skip
    return told.where(rng.random(n) < 0.7)


def live_bits(fleet, device_id):
    for host in fleet.shard_hosts():
        shard = host.shard(PUMP.name)
        row = shard.row_of(device_id)
        if row >= 0:
            return bits(shard, row)
    raise AssertionError(device_id)


class World:
    """A fleet with everything that happens to one: restarts, recording, kept snapshots, compaction, people."""

    def __init__(self, folder, rng, hosts):
        self.folder, self.rng = folder, rng
        host = HostConfig(snapshot_after_entries=40, recorded=True, journal=JournalConfig(file_bytes=1 << 20))
        self.config = FleetConfig(hosts=hosts, host=host)
        self.now_us = T0
        self.fleet = self.opened()
        self.fleet.install(PUMP)
        self.ids = ["gateway", *(device.id for device in pumps(5))]
        self.fleet.register([GATEWAY, *(replace(each, parent="gateway") for each in pumps(5))])
        self.recorder = Recorder(folder / "history", (), RecorderConfig(1e9, 10**9))
        self.known = []

    def opened(self):
        return LocalFleet(self.folder / "hosts", self.config, VirtualClock(self.now_us))

    def restart(self):
        """Half the time as a kill leaves it."""
        if self.rng.random() < 0.5:
            self.fleet.close()
        else:
            for host in self.fleet.shard_hosts():
                host._journal.close()
        self.fleet = self.opened()
        for host in self.fleet.shard_hosts():
            host.resume(self.now_us)

    def record(self):
        for source in journals_in(self.folder / "hosts"):
            if source.actor not in self.recorder.cursors:
                self.recorder.add_source(source)
        while self.recorder.step():
            pass
        self.recorder.flush()
        for host in self.fleet.shard_hosts():
            host.archive(self.recorder.cursors[host.name])

    def keep(self):
        for host in self.fleet.shard_hosts():
            for path in sorted((host.folder / "snapshots").glob("*.snapshot")):
                KeptSnapshots(self.folder / "history").keep(host.name, int(path.stem), path.read_bytes())

    def compact(self):
        for path in (self.folder / "history").glob("readings_*"):
            compact(Table(path), CompactionConfig())

    def people(self):
        device = str(self.rng.choice(self.ids))
        ask = {"command_id": f"c-{self.now_us}-{self.rng.integers(1 << 30)}", "by": "ann"}
        rule = str(self.rng.choice(["vibration-high", "hot", "silent"]))
        alert = {**ask, "device_id": device, "rule": rule}
        choices = [
            lambda: c.AcknowledgeAlert(**alert),
            lambda: c.ShelveAlert(**alert, duration_s=float(self.rng.integers(1, 30)), reason="noise"),
            lambda: c.CommentAlert(**alert, note="seen"),
            lambda: c.RecordMaintenance(**ask, device_id=device, kind="repair"),
            lambda: c.RecordMaintenance(**ask, device_id=device, kind="replacement"),
            lambda: c.RemoveFromService(**alert, reason="cleaning"),
            lambda: c.ReturnToService(**alert),
            lambda: (
                c.RetireDevice(**ask, device_id=device)
                if device != "gateway"
                else c.AcknowledgeAlert(**alert)
            ),
        ]
        with suppress(CommandRefusedError, AlertNotFoundError):
            self.fleet.command(choices[int(self.rng.integers(len(choices)))]())

    def install(self):
        rules = tuple(rule for rule in (*PUMP.rules, DOOMED) if self.rng.random() < 0.7)
        version = self.fleet.types[PUMP.name].version + 1
        self.fleet.install(replace(PUMP, version=version, rules=rules))

    def score(self):
        """Half of the time as a shadow, of which the twins hear nothing."""
        for host in self.fleet.hosts():
            found = self.fleet.scorable(host, PUMP.name, 0, 1000)
            if found is not None:
                is_shadow = bool(self.rng.random() < 0.5)
                self.fleet.score(host, random_prognoses(self.rng, found, is_shadow))

    def register(self):
        new = Device(f"late-{self.now_us}", PUMP.name, parent="gateway")
        self.fleet.register([new])
        self.ids.append(new.id)

    def remember(self):
        known = {each: live_bits(self.fleet, each) for each in self.ids}
        self.known.append((self.now_us, known))
        if self.rng.random() < 0.3:
            self.stands(known)

    def stands(self, known):
        """What is read out of the hosts' folders beside the fleet is what the fleet holds."""
        shards = standing(self.folder / "hosts")
        rows = {
            name: (shard, row)
            for shard in shards
            for row, name in enumerate(shard.roster.columns()["device_id"].to_pylist())
        }
        assert rows.keys() == known.keys()
        for name, (shard, row) in rows.items():
            assert bits(shard, row) == known[name]

    def live(self, lines):
        chances = [
            (0.04, self.restart), (0.1, self.record), (0.15, self.keep), (0.05, self.compact),
            (0.3, self.people), (0.03, self.install), (0.03, self.register), (0.2, self.score),
        ]  # fmt: skip
        for now_us, group in groupby(lines, key=lambda line: line.now_us):
            if now_us > self.now_us and self.rng.random() < 0.25:
                self.remember()
            self.now_us = now_us
            self.fleet.clock.advance_to(now_us)
            self.fleet.advance(now_us)
            todo = list(group)
            while todo:
                size = int(self.rng.integers(1, 1 + len(todo)))
                self.fleet.write(batch_of(todo[:size]))
                todo = todo[size:]
            for chance, act in chances:
                if self.rng.random() < chance:
                    act()
        self.remember()

    def close(self):
        self.fleet.close()
        self.recorder.close()


def world_of_steps(folder, steps=120):
    rng = np.random.default_rng(5)
    world = World(folder, rng, 1)
    for line_group in groupby(random_lines(rng, world.ids, steps), key=lambda line: line.now_us):
        world.now_us, lines = line_group
        world.fleet.clock.advance_to(world.now_us)
        world.fleet.write(batch_of(list(lines)))
    return world
