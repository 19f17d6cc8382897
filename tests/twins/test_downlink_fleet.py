"""What is asked of devices in a fleet on disk: the same over crashes, snapshots and failed appends, told exactly once."""

import itertools
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.twins.test_downlink import TYPE
from tests.twins.test_oracle import FAST_DISK, sabotaged, spoil
from twins import commands as c
from twins import downlink, entries, snapshots
from twins.clock import VirtualClock
from twins.devices import Device
from twins.downlink import BLANK, Downlink, Told
from twins.errors import CommandRefusedError, DegradedError, DeviceNotFoundError, FleetError
from twins.events import EVERY, KINDS, REPLAYED, Kind
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.shard import SNAPSHOT_VERSION, Shard

S = 1_000_000
T0 = 1_760_000_000 * S
HOST = HostConfig(journal=JournalConfig(file_bytes=200_000), snapshot_after_entries=20)
IDS = ["p0", "p1", "p2", "past"]
NARROWER = replace(
    TYPE, version=2, commands=TYPE.commands[:1],
    properties=(replace(TYPE.properties[0], high=1550.0), *TYPE.properties[1:]),
)  # fmt: skip
DOWN = range(int(Kind.DESIRED_CHANGED), int(Kind.COMMAND_CANCELLED) + 1)

ASKED = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just(c.SetDesired), "role": st.sampled_from(["operator", "admin"]),
         "values": st.sampled_from([{"speed": 1500.0}, {"speed": 1600, "label": "x"}, {"mode": "auto"}, {"speed": None},
                                    {"flow": 1}]),
         "version": st.sampled_from([None, None, None, 1])}
    ),
    st.fixed_dictionaries(
        {"kind": st.just(c.SendCommand), "role": st.sampled_from(["operator", "admin"]),
         "name": st.sampled_from(["start", "wipe", "explode"]), "parameters": st.just({})}
    ),
    st.fixed_dictionaries(
        {"kind": st.just(c.CancelCommand), "role": st.just("admin"), "number": st.integers(1, 6)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just(c.ReportDelivery), "link": st.sampled_from(["a", "b"]), "number": st.integers(1, 6)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just(c.ReportResult), "ok": st.booleans(), "number": st.integers(1, 6)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just(c.ReportProperties), "rejected": st.sampled_from([{}, {}, {"mode": "no"}]),
         "values": st.sampled_from([{"speed": 1500.0}, {"speed": 1600, "mode": "auto"}, {"starts": 3}])}
    ),
)  # fmt: skip


class Stories(RuleBasedStateMachine):
    """One story told to a fleet on disk, and to a plain value a device that knows of no disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tfd-", dir=FAST_DISK))
        self.fleet: Any = None

    @initialize(hosts=st.integers(1, 2))
    def begin(self, hosts: int) -> None:
        self.hosts, self.now_us, self.type = hosts, T0, TYPE
        self.numbers = itertools.count(1)
        self.fleet = self.opened()
        self.fleet.install(TYPE)
        self.fleet.register([Device(each, "pump", importing=each == "past") for each in IDS])
        self.of: dict[str, Downlink] = dict.fromkeys(IDS, BLANK)
        self.gone = {"past"}
        self.told: dict[str, list[Any]] = defaultdict(list)
        self.read: dict[int, int] = defaultdict(int)
        self.got: dict[str, list[Any]] = defaultdict(list)
        self.last: Any = None

    def opened(self) -> LocalFleet:
        return LocalFleet(self.folder, FleetConfig(self.hosts, 2, HOST), VirtualClock(self.now_us))

    def keep(self, device_id: str, change: downlink.Change) -> None:
        self.of[device_id], told = change
        self.told[device_id] += [shown(each) for each in told]

    @rule(device_id=st.sampled_from([*IDS, "nobody"]), asked=ASKED, again=st.booleans())
    def ask(self, device_id: str, asked: dict[str, Any], again: bool) -> None:
        given = {name: value for name, value in asked.items() if name != "kind"}
        command = asked["kind"](command_id=f"c{next(self.numbers)}", by="ann", device_id=device_id, **given)
        error: type[Exception] | None = None
        if device_id == "nobody":
            error = DeviceNotFoundError
        elif device_id in self.gone:
            error = CommandRefusedError
        else:
            try:
                self.keep(device_id, downlink.do(self.of[device_id], command, self.type, self.now_us))
            except CommandRefusedError as refusal:
                error = type(refusal)
        for _ in range(1 + again):  # asked twice it is done once
            if error is None:
                self.fleet.command(command)
            else:
                with pytest.raises(error):
                    self.fleet.command(command)

    @rule(seconds=st.sampled_from([0.0, 9.0, 31.0, 61.0]), ticks=st.booleans())
    def time_passes(self, seconds: float, ticks: bool) -> None:
        self.now_us += round(seconds * S)
        self.fleet.clock.advance_to(self.now_us)
        if ticks:
            self.tick()

    def tick(self) -> None:
        self.fleet.advance(self.now_us)
        for device_id, of in self.of.items():
            self.keep(device_id, downlink.expire(of, self.now_us))

    @rule(device_id=st.sampled_from(IDS[:2]))
    def retire(self, device_id: str) -> None:
        if device_id not in self.gone:
            self.fleet.retire(device_id, "eve")
            self.gone.add(device_id)
            self.keep(device_id, downlink.expire(self.of[device_id], self.now_us))
            self.keep(device_id, downlink.retire(self.of[device_id], "eve", self.now_us))

    @rule()
    def end_import(self) -> None:
        self.fleet.end_import(["past"], False)
        self.gone.discard("past")

    @rule(narrow=st.booleans())
    def install(self, narrow: bool) -> None:
        self.type = NARROWER if narrow else replace(TYPE, version=3)
        self.fleet.install(self.type, "eve")
        for device_id, of in self.of.items():
            self.keep(device_id, downlink.refit(of, self.type, "eve", self.now_us))

    @rule(clean=st.booleans(), damage=st.sampled_from(["", "", "flipped", "lost"]))
    def crash(self, clean: bool, damage: str) -> None:
        if clean:
            self.fleet.close()
        else:
            for host in self.fleet.shard_hosts():
                host._journal.close()
        for folder in self.folder.glob("host-*/snapshots"):
            kept = sorted(folder.glob("*.snapshot"))
            if damage and len(kept) == snapshots.KEPT:
                spoil(kept[-1], damage)
        self.fleet = self.opened()
        assert {host.state for host in self.fleet.shard_hosts()} == {"ready"}
        self.tick()

    @rule(device_id=st.sampled_from(IDS[:3]))
    def an_append_fails(self, device_id: str) -> None:
        """What could not be kept was not asked for."""
        if device_id in self.gone:
            return
        failing = self.fleet.shard_hosts()[self.fleet.directory.locate_one(device_id)[0]]
        command = c.SetDesired(
            command_id=f"c{next(self.numbers)}", by="ann", device_id=device_id, values={"label": "lost"}, role="admin"
        )  # fmt: skip
        with sabotaged(failing), pytest.raises(DegradedError):
            self.fleet.command(command)
        failing._probed_s = -1.0
        self.tick()

    @invariant()
    def the_same_is_asked(self) -> None:
        if self.fleet is None:
            return
        found, away = self.fleet.downlinks([*IDS, "nobody"])
        assert away == []
        for device_id, of in self.of.items():
            host, name, row = self.fleet.directory.locate_one(device_id)
            assert self.fleet.shard_hosts()[host].shards[name].downlinks.of(row) == of, device_id
            assert (device_id in found) == (of != BLANK and device_id not in self.gone)
            shown_ = self.fleet.read_twin(device_id)
            assert shown_["desired_version"] == of.version
            assert [each["number"] for each in shown_["commands"]] == [each.number for each in of.orders]

    @invariant()
    def the_same_was_told_once(self) -> None:
        if self.fleet is None:
            return
        for number, host in enumerate(self.fleet.shard_hosts()):
            while page := host.read_after(self.read[number]):
                for entry in page:
                    self.read[number] = entry.cursor
                    for name, batch in (
                        entries.decode_events(entry.events or b"").items() if entry.events else ()
                    ):
                        for i, record in enumerate(batch.records.tolist()):
                            if record[2] in DOWN:
                                note = {**batch.notes.get(EVERY, {}), **batch.notes.get(i, {})}
                                assert not note.get(REPLAYED)
                                told = Told(Kind(record[2]), record[0], record[5], note)
                                self.got[host.shards[name].roster.index[record[1]]].append(shown(told))
        assert {each: told for each, told in self.got.items() if told} == {
            each: told for each, told in self.told.items() if told
        }

    def teardown(self) -> None:
        if self.fleet is not None:
            self.fleet.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def shown(told: Told) -> tuple[Any, ...]:
    return KINDS[told.kind].type, told.at_us, str(float(told.number)), str(sorted(told.note.items(), key=str))


TestStories = Stories.TestCase
TestStories.settings = settings(max_examples=20, stateful_step_count=25, deadline=None, derandomize=True)


def test_a_fleet_in_which_nothing_is_asked_keeps_nothing(tmp_path: Path) -> None:
    with LocalFleet(tmp_path, FleetConfig(host=HOST), VirtualClock(T0)) as fleet:
        fleet.install(TYPE)
        fleet.register([Device(f"p{i}", "pump") for i in range(100)])
        (host,) = fleet.shard_hosts()
        assert len(host.shards["pump"].downlinks) == 0
        assert fleet.downlinks(["p0", "p1"]) == ({}, [])
        before = host.cursor
        report = c.ReportProperties(
            command_id="r", by="key", device_id="p0", values={"speed": 1500}, rejected={}
        )
        fleet.command(report)
        fleet.command(report)
        assert host.cursor == before + 1  # told twice, kept once
        assert "r" not in host._remembered


def test_a_snapshot_of_a_version_before_is_read_as_one_in_which_nothing_is_asked() -> None:
    shard = Shard(TYPE)
    shard.command(
        c.RegisterDevices(command_id="1", by="a", device_type="pump", devices=(Device("p0", "pump"),)), T0
    )
    meta, arrays = shard.snapshot()
    assert meta.pop("downlinks") == []
    restored = Shard.restore(
        {**meta, "version": SNAPSHOT_VERSION - 1}, {k: v.copy() for k, v in arrays.items()}
    )
    assert len(restored.downlinks) == 0
    with pytest.raises(ValueError, match="reads 1 to"):
        Shard.restore({**meta, "version": SNAPSHOT_VERSION + 1}, arrays)


def test_many_commands_to_many_devices_go_in_few_commits(tmp_path: Path) -> None:
    with LocalFleet(tmp_path, FleetConfig(host=HOST), VirtualClock(T0)) as fleet:
        fleet.install(TYPE)
        fleet.register([Device(f"p{i}", "pump") for i in range(50)])
        commands = [
            c.SendCommand(command_id=f"s{i}", by="ann", device_id=f"p{i}", name="start" if i % 2 else "fly",
                          parameters={}, role="operator")
            for i in range(50)
        ]  # fmt: skip
        refused = fleet.command_many(commands).refused
        assert [isinstance(each, FleetError) for each in refused] == [i % 2 == 0 for i in range(50)]
        assert len(fleet.downlinks([f"p{i}" for i in range(50)])[0]) == 25
