"""The whole fleet against the slow, obvious one: same state and same events, bit for bit, whatever happens to it.

A story of readings, commands, time, crashes and restores is told to a ``LocalFleet`` with journals, whose hosts, batches
and snapshots are cut at random, and to ``NaiveFleet``, which knows nothing of any of these. After every step each array
row of each twin, what people said of its alerts and every event in the journals has to be what the oracle says.
"""

import contextlib
import itertools
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.twins.naive_fleet import Forecast, NaiveFleet, Refused
from tests.twins.naive_rows import book_of, row_of
from twins import commands as c
from twins import entries, snapshots
from twins.clock import VirtualClock
from twins.devices import AlertRule, Channel, Device, DeviceType, MaintenanceAction, OperatingCondition
from twins.errors import FleetError, JournalWriteError
from twins.events import EVERY, PATTERNS
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.prognosis import SAID, UNSAID, Prognoses
from twins.readings import Fate, ReadingBatch
from twins.shard import ShardConfig
from twins.state import to_arrays

FAST_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None  # what a power cut leaves is for other tests
S = 1_000_000
DAY = 86_400 * S
T0 = 1_760_000_000 * S
AT_ONCE: dict[str, Any] = {"on_delay_s": 0.0, "off_delay_s": 0.0}


def alert(name: str, when: str, priority: Any = "low", **more: Any) -> AlertRule:
    return AlertRule(name, when, priority, "loss", "look", **more)


HIGH = alert("high", "vibration > 7.1", "high", deadband={"vibration": 0.5}, on_delay_s=2.0, off_delay_s=3.0,
             suppressed_by=("stale", "alert"))  # fmt: skip
HOT = alert("hot", "temperature > 90", "critical", latch=True, **AT_ONCE)
SILENT = alert("silent", "silent_s > 20", off_delay_s=3.0, suppressed_by=("stale",))
STALE = alert("stale", "stale", on_delay_s=1.0, latch=True)
BROKEN = alert("broken", "bad(vibration) or vibration is null", suppressed_by=("alert", "out_of_service"))
RISING = alert("rising", "rate(temperature) > 5000", deadband={"rate(temperature)": 4000.0}, off_delay_s=0.0)
WEAK = alert("weak", "health < 80 or (anomalous and health < 95) or pattern.shift", "medium", latch=True)
STUCK = alert("stuck", "pattern.stuck.temperature or pattern.dropout.vibration")
OPEN = alert("open", "door and load in (40, 50, 60)", on_delay_s=0.0015)

PUMPS = DeviceType(
    name="pump", version=1, interval_s=1.0, baseline_readings=20,
    channels=(
        Channel("load", "%", low=0, high=100, resolution=0.1, condition=True),
        Channel("vibration", "mm/s", low=0, high=50, resolution=0.01),
        Channel("temperature", "Cel", low=-40, high=150, resolution=0.3),
        Channel("door", "1", kind="flag", low=0, high=1),
        Channel("hours", "h", kind="counter", low=0),
    ),
    conditions=(OperatingCondition("load", (50.0,)),),
    rules=(HIGH, HOT, SILENT, BROKEN, RISING, WEAK),
    actions=(MaintenanceAction("bearing", relearn=True), MaintenanceAction("grease")),
)  # fmt: skip
VERSIONS = (
    PUMPS,
    replace(
        PUMPS,
        version=2,
        rules=(WEAK, replace(HOT, latch=False), STALE, OPEN, replace(HIGH, when="vibration > 6")),
    ),
    replace(PUMPS, version=3, conditions=(), baseline_readings=30, rules=(STUCK, SILENT, RISING, HOT, HIGH)),
    replace(PUMPS, version=4, channels=(replace(PUMPS.channels[0], high=90), *PUMPS.channels[1:])),
    replace(PUMPS, version=5, rules=(replace(HOT, when="silent_s > 7", latch=False, **AT_ONCE), STALE)),
)
"""Other rules by the same names, rules dropped and come back, other regimes, other bounds, a rule on another clock."""

GATES = DeviceType(
    name="gate", version=1,  # learns its interval
    channels=(Channel("up", "1", kind="state", low=0, high=3), Channel("lag", "s", low=0, dtype="float64")),
    rules=(
        alert("silent", "stale", "high", **AT_ONCE),
        alert("down", "up = 0", "high", latch=True, suppressed_by=("stale", "alert"), **AT_ONCE),
        alert("lagging", "lag >= 2.5", deadband={"lag": 1.0}),
    ),
)  # fmt: skip
TYPES = (*VERSIONS, GATES, replace(GATES, version=2, rules=GATES.rules[2:]))

CONFIGS = (ShardConfig(), ShardConfig(max_ahead_s=5.0, stale_intervals=4.0, stale_at_least_s=2.0))
HOST = HostConfig(
    journal=JournalConfig(file_bytes=200_000), snapshot_after_entries=25, recorded=True, shard=CONFIGS[0]
)
FIRST = (
    Device("gate", "gate"),
    Device("line", "gate", parent="gate", interval_s=2.0),
    Device("p0", "pump", parent="line", site="oslo"),
    Device("p1", "pump", parent="gate", labels={"line": "3"}),
    Device("p2", "pump", parent="p3"),  # which comes later, if ever
    Device("past", "pump", importing=True),
)
LATER = (
    Device("p3", "pump", interval_s=0.5),
    Device("p4", "pump", parent="p0"),
    Device("g2", "gate", parent="line"),
    Device("old", "pump", parent="line", retired=True),
    Device("vip", "pump", parent="g2", placement="dedicated"),
    Device("ago", "gate", importing=True),
)
IDS = [device.id for device in (*FIRST, *LATER)]
RULES = sorted({each.name for version in (*VERSIONS, GATES) for each in version.rules} | {"nothing"})

ALERT_COMMANDS: dict[str, type[c.AlertCommand]] = {
    "acknowledge": c.AcknowledgeAlert,
    "reset": c.ResetAlert,
    "shelve": c.ShelveAlert,
    "unshelve": c.UnshelveAlert,
    "suppress": c.SuppressAlert,
    "unsuppress": c.UnsuppressAlert,
    "remove_from_service": c.RemoveFromService,
    "return_to_service": c.ReturnToService,
    "assign": c.AssignAlert,
    "comment": c.CommentAlert,
}

Lines = list[tuple[str, int, dict[str, float]]]
"""Device id, event time, values by channel."""


class Stories(RuleBasedStateMachine):
    """One story told to the fleet and to the oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tfo-", dir=FAST_DISK))
        self.fleet: LocalFleet | None = None

    @initialize(hosts=st.integers(1, 3))
    def begin(self, hosts: int) -> None:
        self.shard = CONFIGS[0]
        self.hosts = hosts
        self.now_us = T0
        self.fleet = self.opened()
        self.oracle = NaiveFleet(self.shard)
        self.read: dict[int, int] = defaultdict(int)  # cursor by host
        self.told: dict[str, list[Any]] = defaultdict(list)
        self.newest: dict[str, int] = dict.fromkeys(IDS, T0 - 5 * S)
        self.numbers = itertools.count(1)
        self.last_command: tuple[int, Any, Any] | None = None
        for each in (PUMPS, GATES):
            self.installed(each)
        self.registered(FIRST)

    def opened(self) -> LocalFleet:
        config = FleetConfig(self.hosts, twins_per_host=4, host=replace(HOST, shard=self.shard))
        return LocalFleet(self.folder, config, VirtualClock(self.now_us))

    def installed(self, device_type: DeviceType) -> None:
        self.agree(
            lambda: self.fleet.install(device_type), lambda: self.oracle.install(device_type, self.now_us)
        )

    def registered(self, devices: Any) -> None:
        self.agree(
            lambda: self.fleet.register(devices, "ann"),
            lambda: self.oracle.register(devices, "ann", self.now_us),
        )

    def agree(self, act: Any, oracle_act: Any) -> None:
        """Both do it, or both refuse it for the same reason."""
        refused = None
        try:
            oracle_act()
        except Refused as error:
            refused = str(error)
        if refused is None:
            act()
        else:
            with pytest.raises(FleetError) as caught:
                act()
            assert type(caught.value).__name__ == refused, caught.value

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * S)
        self.fleet.clock.advance_to(self.now_us)

    # -- readings ----------------------------------------------------------------------------------------------

    def write(self, lines: Lines, type_name: str) -> None:
        """One batch to both; what became of every line is the same."""
        device_type = self.fleet.types[type_name]
        names = device_type.channel_names
        ids = list(dict.fromkeys(device_id for device_id, _, _ in lines))
        batch = ReadingBatch(
            type_name,
            pa.array(ids, pa.string()),
            np.array([ids.index(device_id) for device_id, _, _ in lines], np.int32),
            np.array([t_us for _, t_us, _ in lines], np.int64),
            np.array(
                [[given.get(name, np.nan) for name in names] for _, _, given in lines], np.float64
            ).reshape(len(lines), len(names)),
            np.array([sum(1 << names.index(name) for name in given) for _, _, given in lines], np.uint64),
        )
        result = self.fleet.write(batch, now_us=self.now_us, trace=True)
        became = self.oracle.write(type_name, lines, self.now_us)
        refused = [(i, lines[i][0], each["refused"]) for i, each in enumerate(became) if "refused" in each]
        assert (result.refused, result.refused_total) == (refused, len(refused))
        bits = {name: 1 << i for i, name in enumerate(names)}
        for i, each in enumerate(became):
            if "refused" in each:
                continue
            got = {name: column[i] for name, column in result.results._asdict().items()}
            assert Fate(int(got["fate"])).name.lower() == each["fate"], lines[i]
            for name in ("bad", "late", "duplicate"):
                assert got[name] == sum(bits[channel] for channel in each.get(name, ())), (name, lines[i])
            for name in ("health", "anomaly_score"):
                np.testing.assert_array_equal(got[name], np.float32(each.get(name, np.nan)))
            assert bool(got["anomalous"]) == each.get("anomalous", False)
            assert got["patterns"] == sum(1 << PATTERNS.index(name) for name in each.get("patterns", ()))

    def write_cut(self, lines: Lines, rng: np.random.Generator) -> None:
        """Lines of all types in batches cut at random; the order of each device stays."""
        while lines:
            size = int(rng.integers(1, 1 + len(lines)))
            part, lines = lines[:size], lines[size:]
            for type_name in self.fleet.types:
                mine = [line for line in part if self.type_of(line[0]) == type_name]
                if mine:
                    self.write(mine, type_name)

    def type_of(self, device_id: str) -> str:
        return "gate" if device_id in ("gate", "line", "g2", "ago") else "pump"

    @rule(
        seed=st.integers(0, 2**32 - 1),
        steps=st.integers(1, 45),
        step_s=st.sampled_from([0.0, 0.3, 1.0, 1.0, 7.0]),
        ticks=st.booleans(),
        sick=st.sets(st.sampled_from(IDS), max_size=2),
        wild=st.sampled_from([0.0, 0.02, 0.3]),
    )
    def a_while_of_readings(
        self, seed: int, steps: int, step_s: float, ticks: bool, sick: set[str], wild: float
    ) -> None:
        """Every device speaks now and then, with everything that goes wrong in the field in a share of ``wild``."""
        rng = np.random.default_rng(seed)
        for step in range(steps):
            self.wait(step_s)
            if ticks:
                self.tick()
            lines = [
                line
                for device_id in self.oracle.devices
                if rng.random() > 0.1
                for line in self.spoken(device_id, step, device_id in sick, wild, rng)
            ]
            self.write_cut(lines, rng)

    def spoken(self, device_id: str, step: int, sick: bool, wild: float, rng: np.random.Generator) -> Lines:
        t_us = self.newest[device_id] + int(rng.choice([0.5, 1.0, 1.0, 1.0, 2.0]) * S)
        if not self.oracle.devices[device_id].importing:  # else it tells of the past
            t_us = max(t_us, self.now_us - 3 * S)
        if self.type_of(device_id) == "gate":
            given = {"up": float(rng.integers(not sick, 3)), "lag": float(rng.gamma(2.0, 0.4))}
        else:
            given = {
                "load": float(rng.choice([45.0, 50.0, 60.0])),
                "vibration": (9.0 if sick else 2.0) + float(rng.normal(0, 0.2)),
                "temperature": (95.0 if sick and step % 9 > 4 else 60.0) + float(rng.normal(0, 1)),
                "door": float(rng.random() < 0.1),
                "hours": step / 10,
            }
        for name in given:
            if rng.random() < wild:
                given[name] = float(rng.choice([np.nan, np.inf, -1000.0, 0.5, 1e300, -0.001]))
        given = {name: x for name, x in given.items() if rng.random() > wild / 2}
        if rng.random() < wild:
            t_us += int(rng.choice([-4 * S, -1, 0, 4 * S, 61 * S]))
        lines = [(device_id, t_us, given)]
        if rng.random() < wild:
            lines += [(device_id, t_us - int(rng.integers(0, 2)) * S, dict(given))]
        if t_us <= self.now_us + 3 * S:
            self.newest[device_id] = max(self.newest[device_id], t_us)
        return lines

    @rule(
        device_id=st.sampled_from([*IDS, "nobody"]),
        as_type=st.sampled_from(["pump", "pump", "pump", "gate"]),
        wait=st.sampled_from([0.0, 0.0001, 0.5, 1.0, 4.0, 12.0]),
        step=st.sampled_from([-60.0, -1.0, 0.0, 0.0005, 0.5, 1.0, 2.0, 9.0, 70.0]),
        values=st.fixed_dictionaries(
            {},
            optional={
                "load": st.sampled_from([45.0, 50.0, 49.96, 101.0]),
                "vibration": st.sampled_from([2.0, 6.5, 6.6, 7.1, 7.2, 9.0, float("nan")]),
                "temperature": st.sampled_from([60.0, 90.0, 90.1, 95.0, 151.0]),
                "door": st.sampled_from([0.0, 1.0, 0.5, 2.0]),
            },
        ),
        again=st.integers(1, 3),
    )
    def a_line(
        self, device_id: str, as_type: str, wait: float, step: float, values: dict[str, float], again: int
    ) -> None:
        self.wait(wait)
        t_us = self.newest.get(device_id, T0) + round(step * S)
        if step < 60:
            self.newest[device_id] = max(self.newest.get(device_id, T0), t_us)
        if as_type == "gate":
            values = {"up": values["door"]} if "door" in values else {}
        self.write([(device_id, t_us, values)] * again, as_type)

    # -- time ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        self.fleet.advance(self.now_us)
        self.oracle.advance(self.now_us)

    @rule(seconds=st.sampled_from([0.0, 0.3, 3.0, 11.0, 100.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.wait(seconds)
        self.tick()

    @rule(days=st.sampled_from([2, 60]))
    def a_long_time_passes(self, days: int) -> None:
        self.wait(days * 86_400)
        self.newest = {device_id: max(t_us, self.now_us - 5 * S) for device_id, t_us in self.newest.items()}

    # -- commands ------------------------------------------------------------------------------------------------

    @rule(
        verb=st.sampled_from(sorted(ALERT_COMMANDS)),
        pick=st.integers(0, 10**6),
        anywhere=st.booleans(),
        wait=st.sampled_from([0.0, 2.0, 30.0]),
        duration_s=st.sampled_from([None, 0.5, 5.0, 86_400.0, 0.0, 1e6]),
        text=st.sampled_from(["", "known", "strange noise"]),
        seen=st.sampled_from(["any", "any", "this", "before", "after"]),
    )
    def an_alert_command(
        self,
        verb: str,
        pick: int,
        anywhere: bool,
        wait: float,
        duration_s: float | None,
        text: str,
        seen: str,
    ) -> None:
        """Asked of one of the alerts that stand or are put aside, or of any."""
        self.wait(wait)
        there = [
            (device_id, each.rule.name)
            for device_id, twin in self.oracle.devices.items()
            for each in twin.alerts.alerts
            if anywhere or each.phase != "NORMAL"
        ]
        device_id, name = there[pick % len(there)] if there else ("nobody", "nothing")
        if anywhere and pick % 11 == 0:
            name = RULES[pick % len(RULES)]
        given: dict[str, Any] = {}
        if verb == "shelve":
            given = {"duration_s": duration_s, "reason": text}
        elif verb in ("suppress", "remove_from_service"):
            given = {"reason": text}
        elif verb == "assign":
            given = {"assignee": text}
        standing = [
            each.occurrence
            for twin in self.oracle.devices.values()
            for each in twin.alerts.alerts
            if (twin.device.id, each.rule.name) == (device_id, name)
        ]
        occurrence = None
        if standing and seen != "any":
            occurrence = standing[0] + {"this": 0, "before": -1, "after": 1}[seen]
        command = ALERT_COMMANDS[verb](
            command_id=f"a{next(self.numbers)}", by="bob", device_id=device_id, rule=name, note=text,
            occurrence=occurrence, **given,
        )  # fmt: skip
        self.ask(
            command,
            lambda: self.oracle.alert_command(
                command.command_id,
                verb,
                device_id,
                name,
                "bob",
                text,
                self.now_us,
                occurrence=occurrence,
                **given,
            ),
        )

    def ask(self, command: c.Command, oracle_act: Any) -> None:
        self.agree(lambda: self.fleet.command(command), oracle_act)
        self.last_command = self.now_us, command, oracle_act

    @precondition(lambda self: self.last_command is not None and self.now_us < self.last_command[0] + DAY)
    @rule()
    def the_same_command_again(self) -> None:
        _, command, oracle_act = self.last_command
        self.agree(lambda: self.fleet.command(command), oracle_act)

    @rule(
        device_id=st.sampled_from(IDS),
        kind=st.sampled_from(["failure", "repair", "replacement", "inspection"]),
        action=st.sampled_from([None, "bearing", "grease", "paint"]),
    )
    def maintenance(self, device_id: str, kind: Any, action: str | None) -> None:
        command = c.RecordMaintenance(
            command_id=f"m{next(self.numbers)}",
            by="eve",
            device_id=device_id,
            kind=kind,
            action=action,
            note="n",
        )
        self.ask(
            command,
            lambda: self.oracle.maintain(
                command.command_id, device_id, kind, action, "eve", "n", self.now_us
            ),
        )

    @rule(
        device_id=st.sampled_from(IDS),
        parent=st.sampled_from([None, *IDS]),
        interval_s=st.sampled_from([None, None, 3.0]),
    )
    def update(self, device_id: str, parent: str | None, interval_s: float | None) -> None:
        device = Device(device_id, self.type_of(device_id), parent=parent, interval_s=interval_s, site="lyon")
        self.agree(
            lambda: self.fleet.update(device, "ann"), lambda: self.oracle.update(device, "ann", self.now_us)
        )

    @rule(ids=st.lists(st.sampled_from([*IDS, *(device.id for device in LATER)]), min_size=1, max_size=3))
    def register(self, ids: list[str]) -> None:
        self.registered([device for wanted in ids for device in (*FIRST, *LATER) if device.id == wanted])

    @rule(device_id=st.sampled_from(IDS))
    def retire(self, device_id: str) -> None:
        self.agree(
            lambda: self.fleet.retire(device_id, "ann"),
            lambda: self.oracle.retire(device_id, "ann", self.now_us),
        )

    @rule(
        ids=st.sets(st.sampled_from(["past", "ago", "p0", "nobody"]), min_size=1),
        retired=st.sampled_from([False, False, True]),
    )
    def end_import(self, ids: set[str], retired: bool) -> None:
        self.fleet.end_import(sorted(ids), retired, "ann")
        self.oracle.end_import(ids, retired, "ann", self.now_us)

    @rule(which=st.integers(0, len(TYPES) - 1))
    def install(self, which: int) -> None:
        self.installed(TYPES[which])

    @rule()
    def install_what_is_refused(self) -> None:
        self.installed(replace(PUMPS, version=9, channels=PUMPS.channels[1:], conditions=(), rules=()))

    @rule(
        p=st.floats(0.0, 1.0, width=32),
        said=st.sampled_from([UNSAID, SAID]),
        like=st.floats(0.0, 1.0, width=32),
        model=st.integers(1, 9),
    )
    def score(self, p: float, said: int, like: float, model: int) -> None:
        for host in self.fleet.hosts():
            for name in self.fleet.types:
                found = self.fleet.scorable(host, name, 0, 10_000, True)
                if found is None:
                    continue
                n = len(found.rows)
                self.fleet.score(host, Prognoses(
                    device_type=name, model=model, seal=found.seal, rows=found.rows, life_cycle=found.life_cycle,
                    event_us=found.event_us, p_fail=np.full((n, 3), p, np.float32),
                    rul_h=np.full((n, 3), 9 * p, np.float32), mode=np.full(n, -1, np.int8),
                    share=np.full(n, np.nan, np.float32), said=np.full(n, said, np.uint8),
                    like_healthy=np.full(n, like, np.float32),
                ))  # fmt: skip
                for device_id, event_us in zip(found.ids.to_pylist(), found.event_us.tolist(), strict=True):
                    told = Forecast([p] * 3, [np.float32(9 * p)] * 3, -1, np.nan, said, like, model, event_us)
                    self.oracle.devices[device_id].told(told)

    # -- what must not show --------------------------------------------------------------------------------------

    @rule(host=st.integers(0, 3))
    def snapshot(self, host: int) -> None:
        hosts = self.fleet.shard_hosts()
        write = hosts[host % len(hosts)].begin_snapshot()
        if write is not None:
            write()

    @rule(
        config=st.sampled_from([None, None, *CONFIGS]),
        clean=st.booleans(),
        snapshot=st.sampled_from(["kept", "kept", "flipped", "lost", "half written"]),
    )
    def crash(self, config: ShardConfig | None, clean: bool, snapshot: str) -> None:
        """The process ends, with or without a goodbye; the newest snapshot may be gone or damaged."""
        if clean:
            self.fleet.close()
        else:
            for host in self.fleet.shard_hosts():
                host._journal.close()
        for folder in self.folder.glob("host-*/snapshots"):
            kept = sorted(folder.glob("*.snapshot"))
            if snapshot == "half written":
                (folder / f"{10**19:020d}.part").write_bytes(b"half")
            elif snapshot != "kept" and len(kept) == snapshots.KEPT:
                spoil(kept[-1], snapshot)
        if config is not None:
            self.shard = config
            self.oracle.reconfigure(self.shard)
        self.fleet = self.opened()
        assert {host.state for host in self.fleet.shard_hosts()} == {"ready"}
        self.tick()  # time that passed without an event is not in the log: it passes again

    @rule(host=st.integers(0, 3), lines=st.integers(1, 5))
    def an_append_fails(self, host: int, lines: int) -> None:
        """What is not durable never happened: the part of the other hosts stays, and sending again is safe."""
        hosts = self.fleet.shard_hosts()
        failing = hosts[host % len(hosts)]
        if failing._journal is None:
            return
        self.wait(1.0)
        living = [d for d in self.oracle.devices if self.type_of(d) == "pump"][:lines]
        story: Lines = [(d, self.newest[d] + S, {"vibration": 9.0, "temperature": 95.0}) for d in living]
        self.newest.update({device_id: t_us for device_id, t_us, _ in story})
        there = {d for d in self.oracle.devices if self.fleet.directory.locate_one(d)[0] == host % len(hosts)}
        hit = there.intersection(living)
        with sabotaged(failing):
            if hit:
                with pytest.raises(FleetError):
                    self.write_only_real(story)
                self.oracle.write(
                    "pump", [line for line in story if line[0] not in there], self.now_us, there
                )
            assert failing.state == ("degraded" if hit else "ready")
        failing._probed_s = -1.0
        self.write(story, "pump")
        self.tick()  # as after a crash

    def write_only_real(self, lines: Lines) -> None:
        oracle, self.oracle = self.oracle, _Deaf()
        try:
            self.write(lines, "pump")
        finally:
            self.oracle = oracle

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def same_state(self) -> None:
        if self.fleet is None:
            return
        for device_id, twin in self.oracle.devices.items():
            host, name, row = self.fleet.directory.locate_one(device_id)
            shard = self.fleet.shard_hosts()[host].shards[name]
            arrays = to_arrays(shard.state, len(shard))
            expected = row_of(twin, shard.alert_params)
            assert expected.keys() == arrays.keys()
            listed = arrays.pop("alerts.entries")
            mine = [tuple(entry)[1:] for entry in listed[listed["row"] == row].tolist()]
            assert mine == expected["alerts.entries"], device_id
            for key, array in arrays.items():
                wanted = np.asarray(expected[key]).astype(array.dtype).reshape(array[row].shape)
                if array[row].tobytes() != wanted.tobytes():
                    np.testing.assert_array_equal(array[row], wanted, f"{key} of {device_id}")
            said = {rule: note for at, rule, note in shard.book.to_meta() if at == row}
            assert said == book_of(twin), device_id
            assert shard.device(row) == replace(
                twin.device,
                retired=twin.retired,
                importing=twin.importing,
                placement="shared",
                interval_s=None,
            )

    @invariant()
    def same_events(self) -> None:
        if self.fleet is None:
            return
        self.read_journals()
        for device_id, twin in self.oracle.devices.items():
            told = [(*exact(event), twin.notes.get(i, {})) for i, event in enumerate(twin.events)]
            got = self.told[device_id]
            assert len(got) >= len(told), (device_id, told[len(got) :])
            assert got == told, device_id
        assert set(self.told) <= set(self.oracle.devices)

    def read_journals(self) -> None:
        for number, host in enumerate(self.fleet.shard_hosts()):
            while page := host.read_after(self.read[number]):
                for entry in page:
                    self.read[number] = entry.cursor
                    for name, batch in entries.decode_events(entry.events).items() if entry.events else ():
                        for i, record in enumerate(batch.records.tolist()):
                            at_us, row, kind, slot, occurrence, a, b = record
                            if row >= 0:
                                note = {**batch.notes.get(EVERY, {}), **batch.notes.get(i, {})}
                                event = exact((at_us, kind, slot, occurrence, a, b))
                                self.told[host.shards[name].roster.index[row]].append((*event, note))
            host.archive(self.read[number])

    def teardown(self) -> None:
        if self.fleet is not None:
            self.fleet.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Deaf:
    """An oracle that is not told."""

    def write(self, *_: Any) -> list[Any]:
        return []


def exact(event: Any) -> tuple[Any, ...]:
    """Its numbers as bits, so that NaN equals itself."""
    return (*event[:4], np.float64(event[4]).tobytes(), np.float64(event[5]).tobytes())


def spoil(path: Path, how: str) -> None:
    if how == "lost":
        path.unlink()
        return
    block = bytearray(path.read_bytes())
    block[len(block) // 2] ^= 4
    path.write_bytes(block)


@contextlib.contextmanager
def sabotaged(host: Any) -> Any:
    """The disk refuses the host's appends."""
    journal, append = host._journal, host._journal.append

    def refuse(*_: Any, **__: Any) -> Any:
        raise JournalWriteError(str(journal.folder), "the disk is full")

    journal.append = refuse
    try:
        yield
    finally:
        journal.append = append


TestStories = Stories.TestCase
TestStories.settings = settings(max_examples=30, stateful_step_count=20, deadline=None, derandomize=True)
"""The same stories each time; the drill looks for new ones."""


@pytest.mark.drill
@pytest.mark.timeout(4 * 3600)
def test_thousands_of_stories() -> None:
    run_state_machine_as_test(
        Stories, settings=settings(max_examples=2000, stateful_step_count=40, deadline=None, print_blob=True)
    )
