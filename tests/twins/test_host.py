"""What a host keeps, and what it survives: restarts, lost entries, full journals, changed types, families of devices."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.fleets import PUMP, T0, Line, batch_of, events_by_device, pumps
from twins import entries
from twins.clock import SECOND_US, VirtualClock
from twins.commands import AcknowledgeAlert, AssignAlert, RecordMaintenance, SuppressAlert, UpdateDevice
from twins.devices import AlertRule, Channel, Device, DeviceType
from twins.errors import CommandRefusedError, FaultError, JournalWriteError, OverloadedError, ReadingError
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.readings import ReadingBatch
from twins.shard import ShardConfig

IDS = [device.id for device in pumps(3)]


def fleet_in(folder, *, clock=None, **host):
    hosts = host.pop("hosts", 1)
    return LocalFleet(folder, FleetConfig(hosts=hosts, host=HostConfig(**host)), clock or VirtualClock(T0))


def write(fleet, at_s, temperature, ids=IDS):
    """One reading of each device, ``at_s`` after the start."""
    at_us = T0 + round(at_s * SECOND_US)
    fleet.clock.advance_to(at_us)
    lines = [Line(at_us, each, at_us, (50.0, 2.0, temperature), 7) for each in ids]
    return fleet.write(batch_of(lines), now_us=at_us)


def crash(fleet):
    for host in fleet.shard_hosts():
        host._journal.close()


def started(folder, **host):
    fleet = fleet_in(folder, **host)
    if PUMP.name not in fleet.types:
        fleet.install(PUMP)
        fleet.register(pumps(3))
    return fleet


def test_the_journal_is_not_cut_before_the_recorder_has_it_whatever_restarts(tmp_path):
    small = {"journal": JournalConfig(file_bytes=40_000), "snapshot_after_entries": 5, "recorded": True}
    fleet = started(tmp_path, **small)
    for i in range(60):
        write(fleet, i, 60.0)
    fleet.shard_hosts()[0].archive(4)
    fleet.close()
    fleet = started(tmp_path, **small)
    for i in range(60, 120):
        write(fleet, i, 60.0)
    (host,) = fleet.shard_hosts()
    assert host.archived == 4
    assert host._journal.first_cursor <= 5
    host.archive(host.cursor)
    for i in range(120, 150):
        write(fleet, i, 60.0)
    assert host._journal.first_cursor > 5


def test_alerts_of_a_dropped_rule_end_under_its_name(tmp_path):
    fleet = started(tmp_path)
    write(fleet, 0, 99.0)
    assert [alert["rule"] for alert in fleet.twin(IDS[0]).alerts()] == ["hot"]
    fleet.install(replace(PUMP, version=2, rules=PUMP.rules[:1]))
    assert fleet.twin(IDS[0]).alerts() == []
    told = events_by_device(fleet)[IDS[0]]
    assert "hot" in [dict(detail).get("rule") for kind, _, detail in told if kind == "alert.returned"]


def test_a_version_with_other_channels_is_refused_on_every_host(tmp_path):
    fleet = fleet_in(tmp_path, hosts=3)
    fleet.install(PUMP)
    fleet.register(pumps(1))
    with pytest.raises(CommandRefusedError, match="channels differ"):
        fleet.install(replace(PUMP, version=2, channels=(*PUMP.channels, Channel("flow", "l/min"))))
    assert {len(s.device_type.channels) for h in fleet.shard_hosts() for s in h.shards.values()} == {3}
    write(fleet, 0, 60.0, IDS[:1])


def test_a_channel_that_becomes_a_condition_starts_the_baseline_anew(tmp_path):
    fleet = started(tmp_path)
    for i in range(40):
        write(fleet, i, 60.0 + i % 3)
    assert fleet.twin(IDS[0]).state()["baseline"]["learned"]
    channels = tuple(replace(c, condition=c.name != "vibration") for c in PUMP.channels)
    fleet.install(replace(PUMP, version=2, channels=channels))
    write(fleet, 41, 60.0)
    assert not fleet.twin(IDS[0]).state()["baseline"]["learned"]
    fleet.close()
    assert started(tmp_path).status()[0].state == "ready"


def test_readings_of_another_width_are_refused(tmp_path):
    shard = started(tmp_path).shard_hosts()[0].shards[PUMP.name]
    batch = entries.decode_readings(
        entries.encode_readings(PUMP.name, _batch(width=5)),
    )[1]
    with pytest.raises(ReadingError, match="3 channels"):
        shard.apply(batch, T0)


def _batch(width):
    from twins.readings import ShardBatch

    return ShardBatch(
        np.zeros(1, np.int32), np.array([T0]), np.zeros((1, width), np.float32), np.array([1], np.uint64)
    )


def test_a_command_that_fails_half_way_is_undone(tmp_path):
    fleet = started(tmp_path)
    device = Device(IDS[0], PUMP.name, site="lyon", labels={"x": object()})
    with pytest.raises(FaultError):
        fleet.command(UpdateDevice(command_id="u", by="ann", device=device))
    assert fleet.twin(IDS[0]).state()["site"] == "porto"
    write(fleet, 0, 60.0)


def test_what_judges_readings_is_part_of_the_log(tmp_path):
    fleet = started(tmp_path, shard=ShardConfig(max_ahead_s=10.0))
    fleet.clock.advance_to(T0)
    ahead = Line(T0, IDS[0], T0 + 30 * SECOND_US, (50.0, 2.0, 60.0), 7)
    assert fleet.write(batch_of([ahead]), now_us=T0).fates == {"future": 1}
    crash(fleet)
    fleet = started(tmp_path, shard=ShardConfig(max_ahead_s=100.0))
    assert fleet.twin(IDS[0]).state()["counts"]["future"] == 1
    assert fleet.write(batch_of([ahead]), now_us=T0).fates == {"scored": 1}


def fill(fleet):
    for i in range(1, 4000):
        write(fleet, i, 99.0)


def test_people_and_time_are_heard_while_the_journal_is_full(tmp_path):
    small = {"journal": JournalConfig(file_bytes=400_000, max_bytes=1_000_000), "recorded": True}
    fleet = started(tmp_path, **small)
    write(fleet, 0, 99.0)
    with pytest.raises(OverloadedError):
        fill(fleet)
    fleet.command(AcknowledgeAlert(command_id="a", by="ann", device_id=IDS[0], rule="hot"))
    fleet.advance(T0 + 90_000 * SECOND_US)
    state = fleet.twin(IDS[0]).state()
    assert state["status"] == "stale"
    assert {a["rule"]: a["state"] for a in state["alerts"]} == {"hot": "ACKED", "silent": "UNACK"}


def lose_entry(folder, cursor):
    """Flip a bit in the payload of one entry of a closed journal."""
    import sqlite3

    for path in sorted((folder / "host-000" / "journal").glob("*.journal")):
        with sqlite3.connect(path) as database:
            names = [
                name for (name,) in database.execute("select name from sqlite_master where type = 'table'")
            ]
            for name in names:
                columns = [row[1] for row in database.execute(f"pragma table_info({name})")]
                if "payload" not in columns:
                    continue
                row = database.execute(f"select payload from {name} where cursor = ?", (cursor,)).fetchone()
                if row is not None:
                    payload = bytearray(row[0])
                    payload[len(payload) // 2] ^= 1
                    database.execute(
                        f"update {name} set payload = ? where cursor = ?", (bytes(payload), cursor)
                    )


def test_a_lost_registration_does_not_move_other_devices(tmp_path):
    fleet = fleet_in(tmp_path)
    fleet.install(PUMP)
    fleet.register(pumps(3)[:1])
    lost = fleet.status()[0].cursor
    fleet.register(pumps(3)[1:])
    fleet.command(RecordMaintenance(command_id="m", by="ann", device_id=IDS[0], kind="repair"))
    write(fleet, 0, 61.0, IDS[1:2])
    write(fleet, 1, 62.0, IDS[2:])
    crash(fleet)
    lose_entry(tmp_path, lost)
    fleet = fleet_in(tmp_path)
    status = fleet.status()[0]
    assert status.state == "ready"
    assert len(status.damage) == 2  # the entry, and the command that needed it
    assert fleet.twin(IDS[1]).state()["values"]["temperature"]["value"] == 61.0
    assert fleet.twin(IDS[2]).state()["values"]["temperature"]["value"] == 62.0


GATEWAY = DeviceType("test-gateway", 1, (Channel("up", "1"),), interval_s=1.0,
                     rules=(AlertRule("silent", "silent_s > 20", "high", "blind", "look"),))  # fmt: skip


def family(folder=None):
    fleet = fleet_in(folder, hosts=2)
    fleet.install(PUMP)
    fleet.install(GATEWAY)
    fleet.register([Device("gate", GATEWAY.name), Device("other", GATEWAY.name)])
    fleet.register([Device("child", PUMP.name, parent="gate")])
    return fleet


def silence_gateway(fleet):
    fleet.clock.advance_to(T0)
    fleet.write(
        ReadingBatch(
            GATEWAY.name, pa.array(["gate"]), np.zeros(1, np.int32), np.array([T0]), np.ones((1, 1)), None
        ),
        now_us=T0,
    )
    fleet.clock.advance_to(T0 + 100 * SECOND_US)
    fleet.advance(T0 + 100 * SECOND_US)


def flags(fleet, device_id):
    host, name, row = fleet.directory.locate_one(device_id)
    return int(fleet.shard_hosts()[host].shards[name].state.core.status[row]) & (4 | 8 | 16)


def test_children_learn_of_their_parent_when_it_changes_when_they_come_and_when_they_move():
    fleet = family()
    assert flags(fleet, "child") == 0
    silence_gateway(fleet)
    assert flags(fleet, "child") == 4 | 8
    fleet.register([Device("late-child", PUMP.name, parent="gate")])
    assert flags(fleet, "late-child") == 4 | 8
    fleet.update(Device("child", PUMP.name, parent="other"))
    assert flags(fleet, "child") == 0
    fleet.update(Device("child", PUMP.name, parent="gate"))
    assert flags(fleet, "child") == 4 | 8


def test_a_dedicated_host_stays_its_devices_own(tmp_path):
    fleet = started(tmp_path)
    fleet.register([Device("vip", PUMP.name, placement="dedicated")])
    assert [status.devices for status in fleet.status()] == [3, 1]
    fleet.close()
    fleet = fleet_in(tmp_path)
    fleet.register([Device(f"more-{i}", PUMP.name) for i in range(4)])
    assert [status.devices for status in fleet.status()] == [7, 1]


def test_the_platforms_own_absence_is_no_devices_silence(tmp_path):
    fleet = started(tmp_path)
    write(fleet, 0, 60.0)
    fleet.close()
    for _ in range(2):  # the second time from the journal alone
        fleet = started(tmp_path)
        back_us = T0 + 3600 * SECOND_US
        fleet.shard_hosts()[0].resume(back_us)
        fleet.advance(back_us + 5 * SECOND_US)
        assert fleet.twin(IDS[0]).state()["status"] == "reporting"
        crash(fleet)
    fleet = started(tmp_path)
    fleet.advance(T0 + 3600 * SECOND_US + 50 * SECOND_US)
    assert fleet.twin(IDS[0]).state()["status"] == "stale"


def test_an_absence_that_could_not_be_written_down_changes_nothing(tmp_path, monkeypatch):
    fleet = started(tmp_path)
    write(fleet, 0, 60.0)
    host = fleet.shard_hosts()[0]
    before = host.shard(PUMP.name).state.core.heard_us.copy()

    def full(*_args, **_more):
        raise JournalWriteError("append", "no space left")

    monkeypatch.setattr(host._journal, "append", full)
    with pytest.raises(JournalWriteError):
        host.resume(T0 + 3600 * SECOND_US)
    assert (host.shard(PUMP.name).state.core.heard_us == before).all()
    assert host.state == "degraded"


def test_one_id_is_one_device_whatever_its_type(tmp_path):
    fleet = started(tmp_path)
    fleet.install(GATEWAY)
    host = fleet.shard_hosts()[0]
    from twins.commands import RegisterDevices
    from twins.errors import DeviceExistsError

    with pytest.raises(DeviceExistsError):
        host.stage_command(
            RegisterDevices(
                command_id="r", by="x", device_type=GATEWAY.name, devices=(Device(IDS[0], GATEWAY.name),)
            ),
            T0,
        )


def test_half_a_flag_is_bad_and_a_restart_changes_nothing(tmp_path):
    kind = DeviceType("door", 1, (Channel("open", "1", kind="flag", low=0, high=1),), interval_s=1.0)
    fleet = fleet_in(tmp_path)
    fleet.install(kind)
    fleet.register([Device("d", kind.name)])
    before = fleet.types[kind.name]

    def half(at_s):
        at_us = T0 + at_s * SECOND_US
        batch = ReadingBatch(
            kind.name, pa.array(["d"]), np.zeros(1, np.int32), np.array([at_us]), np.full((1, 1), 0.5)
        )
        return fleet.write(batch, now_us=at_us).fates

    assert half(0) == {"bad": 1}
    crash(fleet)
    fleet = fleet_in(tmp_path)
    assert fleet.types[kind.name] == before
    assert half(1) == {"bad": 1}


def test_nothing_happens_to_a_retired_device(tmp_path):
    fleet = family(tmp_path)
    write(fleet, 0, 60.0, ["child"])
    fleet.retire("child")
    told = events_by_device(fleet)["child"]
    silence_gateway(fleet)
    fleet.install(replace(PUMP, version=2, rules=(*PUMP.rules, AlertRule("mute", "stale", "low", "c", "r"))))
    with pytest.raises(CommandRefusedError, match="retired"):
        fleet.command(SuppressAlert(command_id="s", by="ann", device_id="child", rule="silent"))
    assert events_by_device(fleet)["child"] == told
    assert fleet.twin("child").alerts() == []


LINE = DeviceType(
    "test-line", 1, (Channel("flow", "1"),), interval_s=1.0,
    rules=(AlertRule("stopped", "flow < 1", "high", "idle", "look", on_delay_s=0.0, off_delay_s=0.0,
                     suppressed_by=("stale", "alert")),),
)  # fmt: skip


def flow(fleet, value, at_s, device_id="line"):
    at_us = T0 + round(at_s * SECOND_US)
    fleet.clock.advance_to(at_us)
    batch = ReadingBatch(
        LINE.name, pa.array([device_id]), np.zeros(1, np.int32), np.array([at_us]), np.full((1, 1), value)
    )
    fleet.write(batch, now_us=at_us)


def three_generations(folder=None):
    fleet = family(folder)
    fleet.install(LINE)
    fleet.register([Device("line", LINE.name, parent="gate"), Device("pump", PUMP.name, parent="line")])
    return fleet


def test_an_alert_that_its_own_parent_suppresses_still_suppresses_its_children():
    fleet = three_generations()
    flow(fleet, 0.0, 0)
    assert flags(fleet, "pump") == 8
    silence_gateway(fleet)
    assert flags(fleet, "pump") == 4 | 8  # silent by now as well
    flow(fleet, 0.0, 101)
    assert [alert["state"] for alert in fleet.twin("line").alerts()] == ["SUPPRESSED_BY_DESIGN"]
    assert flags(fleet, "pump") == 8
    flow(fleet, 5.0, 102)  # clears without an event, as it is suppressed
    assert flags(fleet, "pump") == 0


def test_what_was_said_of_an_alert_goes_when_its_parent_brings_back_another():
    fleet = three_generations()
    flow(fleet, 0.0, 0)
    fleet.command(AssignAlert(command_id="a", by="ann", device_id="line", rule="stopped", assignee="eve"))
    (alert,) = fleet.twin("line").alerts()
    assert (alert["occurrence"], alert["assignee"]) == (1, "eve")
    silence_gateway(fleet)
    flow(fleet, 0.0, 101)
    assert fleet.twin("line").alerts()[0]["state"] == "SUPPRESSED_BY_DESIGN"
    at_us = T0 + 110 * SECOND_US
    fleet.clock.advance_to(at_us)
    fleet.write(
        ReadingBatch(
            GATEWAY.name, pa.array(["gate"]), np.zeros(1, np.int32), np.array([at_us]), np.ones((1, 1))
        )
    )
    (alert,) = fleet.twin("line").alerts()
    assert (alert["occurrence"], alert["assignee"]) == (2, "")
    assert [host.shards[LINE.name].book.to_meta() for host in fleet.shard_hosts()] == [[], []]


def test_devices_that_are_each_others_parents_come_to_rest():
    fleet = fleet_in(None, hosts=2)
    fleet.install(LINE)
    ring = {"a": "c", "b": "a", "c": "b", "self": "self"}
    fleet.register([Device(name, LINE.name, parent=parent) for name, parent in ring.items()])
    for at_s in range(3):
        for name in ring:
            flow(fleet, 0.0, at_s, name)
    assert {name: flags(fleet, name) for name in ring} == dict.fromkeys(ring, 8)
    for name in ring:
        flow(fleet, 9.0, 3, name)
    assert {name: flags(fleet, name) for name in ring} == dict.fromkeys(ring, 0)


def test_a_version_that_drops_a_parents_alert_is_told_to_its_children():
    fleet = three_generations()
    flow(fleet, 0.0, 0)
    fleet.install(replace(LINE, version=2, rules=()))
    assert flags(fleet, "pump") == 0


def test_children_hear_although_another_host_fails(tmp_path, monkeypatch):
    fleet = three_generations(tmp_path)
    host, _, _ = fleet.directory.locate_one("line")
    other = fleet.shard_hosts()[1 - host]
    more = [f"pump-{i}" for i in range(4)]
    fleet.register([Device(each, PUMP.name, parent="line") for each in more])
    away = next(each for each in more if fleet.directory.locate_one(each)[0] != host)

    def refuse(*_, **__):
        raise JournalWriteError("here", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(other._journal, "append", refuse)
        flow(fleet, 0.0, 0)
        assert flags(fleet, away) == 0
    other._probed_s = -9.0
    fleet.advance(T0 + SECOND_US)
    assert flags(fleet, away) == 8


def test_children_hear_after_a_crash_what_they_had_not_heard(tmp_path, monkeypatch):
    fleet = three_generations(tmp_path)
    monkeypatch.setattr(fleet._local, "_tell_children", lambda: None)  # killed between the two commits
    flow(fleet, 0.0, 0)
    assert flags(fleet, "pump") == 0
    crash(fleet)
    assert flags(fleet_in(tmp_path), "pump") == 8
