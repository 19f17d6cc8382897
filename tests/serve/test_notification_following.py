"""From journals to the desk: what is read, with which names, across restarts, cut journals and hosts that fail."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serve.config import DatabaseConfig
from serve.database import Database
from serve.notifications import following
from serve.notifications.desk import Desk
from serve.notifications.following import Follower
from tests.serve.edges import DEVICES, PUMP, T0
from tests.serve.notices import Office
from training.recorder import JournalSource, Recorder
from twins.alerts import alert_id
from twins.clock import SECOND_US, VirtualClock
from twins.commands import AcknowledgeAlert
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig, StoredEntry
from twins.readings import ReadingBatch

PUMPS = [device for device in DEVICES if device.device_type == "pump"]


def reading(device: str, at_us: int, vibration: float) -> ReadingBatch:
    values = np.array([[vibration, 90.0, 1.0]], np.float32)
    return ReadingBatch(
        "pump", pa.array([device]), np.zeros(1, np.int32), np.array([at_us], np.int64), values
    )


class Plant:
    """Two hosts with pumps, a recorder, a desk with one route, and a follower that can begin again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        journal = JournalConfig(file_bytes=1)  # a file an entry, so that cuts are exact
        self.fleet = LocalFleet(
            folder / "hosts", FleetConfig(hosts=2, host=HostConfig(journal=journal)), self.clock
        )
        self.fleet.install(PUMP)
        self.fleet.register(PUMPS)
        self.office = Office(folder, clock=self.clock)
        self.office.route((0, f"channel:{self.office.channel()}"))
        self.recorder = Recorder(folder / "history", self.sources(), clock=self.clock)
        self.raised: list[str] = []
        self.occurrence: dict[str, int] = {}
        self.hot: set[str] = set()
        self.start()

    def sources(self) -> list[JournalSource]:
        return [
            JournalSource(host.name, host.folder / "journal")
            for host in self.fleet.shard_hosts()
            if host.folder
        ]

    def start(self) -> None:
        """The follower's process begins (again)."""
        desk = Desk(self.office.database, self.clock)
        self.follower = Follower(desk, self.folder / "history", lambda: {s.actor: s for s in self.sources()})
        self.follower.look()

    def follow(self) -> None:
        while self.follower.step():
            pass
        assert self.follower.problems == {}

    def read(self, device: str, vibration: float) -> None:
        self.clock.advance_by(1)
        self.fleet.write(reading(device, self.clock.now_us(), vibration))

    def toggle(self, device: str) -> None:
        """Let a pump's alert be raised, or clear it and acknowledge it."""
        if device not in self.hot:
            self.read(device, 20.0)
            self.hot.add(device)
            self.occurrence[device] = self.occurrence.get(device, 0) + 1
            self.raised.append(alert_id(device, "vibration-high", self.occurrence[device]))
            return
        self.hot.discard(device)
        self.read(device, 1.0)
        self.clock.advance_by(1)
        number = self.occurrence[device]
        self.fleet.command(
            AcknowledgeAlert(
                command_id=f"ack-{device}-{number}",
                by="ann",
                device_id=device,
                rule="vibration-high",
                occurrence=number,
            )
        )

    def record(self) -> None:
        while self.recorder.step():
            pass
        self.recorder.flush()

    def cut(self) -> None:
        """Cut every journal as far as history has it."""
        for host in self.fleet.shard_hosts():
            assert host._journal is not None
            host._journal.cut(self.recorder.cursors[host.name])

    def noticed(self) -> list[str]:
        rows = self.office.database.read(lambda c: c.exec_driver_sql("SELECT alert FROM notices").fetchall())
        return sorted(row[0] for row in rows)

    def facts(self) -> dict[str, Any]:
        self.office.tick()
        found = [each.message["alerts"][0] for each in self.office.desk.deliveries().items if each.alert]
        return {each["id"]: each for each in found}

    def close(self) -> None:
        self.recorder.close()
        self.fleet.close()
        self.office.database.close()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    found = Plant(tmp_path)
    found.follow()
    yield found
    found.close()


def test_an_alert_comes_with_what_its_rule_and_device_say(plant: Plant) -> None:
    plant.toggle("pump-01")
    plant.follow()
    (found,) = plant.facts().values()
    assert found["id"] == "pump-01:vibration-high:1"
    assert (found["site"], found["type"], found["priority"]) == ("oslo", "pump", "high")
    assert (found["value"], found["limit"]) == (20.0, 7.1)
    assert (found["consequence"], found["response"]) == ("bearing damage", "plan a repair")


def test_what_people_did_before_ends_the_telling(plant: Plant) -> None:
    to = f"channel:{plant.office.channel()}"
    plant.office.route((60, to))
    plant.toggle("pump-01")
    plant.toggle("pump-02")
    plant.toggle("pump-02")
    plant.follow()
    plant.office.pass_s(60)
    late = [
        each.alert for each in plant.office.desk.deliveries().items if each.made_us == plant.clock.now_us()
    ]
    assert "pump-01:vibration-high:1" in late
    assert late.count("pump-02:vibration-high:1") == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_alert_is_noticed_once_across_restarts_and_cut_journals(tmp_path: Path, seed: int) -> None:
    plant = Plant(tmp_path)
    plant.follow()
    rng = np.random.default_rng(seed)
    devices = [device.id for device in PUMPS]
    for _ in range(40):
        match rng.choice(
            ["toggle", "toggle", "toggle", "follow", "restart", "record", "cut", "register", "move"]
        ):
            case "toggle":
                plant.toggle(devices[rng.integers(len(devices))])
            case "follow":
                plant.follow()
            case "restart":
                plant.start()
            case "record":
                plant.record()
            case "cut":
                plant.record()
                plant.cut()
            case "register":
                devices.append(f"new-{len(devices)}")
                plant.fleet.register([Device(devices[-1], "pump", site="hamar")])
            case "move":
                plant.fleet.update(Device("pump-01", "pump", site="narvik"))
    plant.follow()
    assert plant.noticed() == sorted(plant.raised)
    assert plant.raised
    facts = plant.facts()
    assert all(each["site"] == "hamar" for name, each in facts.items() if name.startswith("new-"))
    plant.close()


def test_what_a_cut_journal_held_comes_from_history_with_all_it_says(plant: Plant) -> None:
    plant.toggle("pump-01")
    plant.follow()
    plant.start()
    plant.fleet.register([Device("late", "pump", site="hamar")])
    plant.toggle("late")
    plant.toggle("pump-03")
    plant.toggle("pump-03")
    plant.record()
    plant.cut()
    plant.toggle("pump-05")
    plant.follow()
    facts = plant.facts()
    assert sorted(facts) == ["late:vibration-high:1", "pump-01:vibration-high:1", "pump-05:vibration-high:1"]
    assert facts["late:vibration-high:1"]["site"] == "hamar"
    assert facts["late:vibration-high:1"]["response"] == "plan a repair"
    assert plant.noticed() == sorted(plant.raised)  # the third was acknowledged before anybody was told


def test_it_begins_at_the_present(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.toggle("pump-01")
    plant.record()
    plant.cut()
    plant.toggle("pump-02")
    plant.clock.advance_by(1)
    plant.follow()
    assert plant.noticed() == []
    plant.toggle("pump-03")
    plant.follow()
    assert plant.noticed() == ["pump-03:vibration-high:1"]
    plant.close()


def test_the_past_of_a_device_that_is_imported_is_nobodys_news(plant: Plant) -> None:
    plant.fleet.register([Device("old", "pump", site="oslo", importing=True)])
    for second in range(20):
        plant.fleet.write(reading("old", T0 - (1_000 - second) * SECOND_US, 20.0))
    plant.follow()
    assert plant.noticed() == []


def test_a_host_that_cannot_be_read_holds_up_no_other_and_is_told(plant: Plant) -> None:
    class Broken:
        def __init__(self, actor: str) -> None:
            self.actor = actor

        def read_after(self, cursor: int, limit: int) -> Sequence[StoredEntry]:
            raise OSError("the disk is gone")

    sources: list[Any] = plant.sources()
    desk = Desk(plant.office.database, plant.clock)
    broken = {**{s.actor: s for s in sources}, sources[0].actor: Broken(sources[0].actor)}
    plant.follower = Follower(desk, plant.folder / "history", lambda: broken)
    plant.follower.look()
    for device in PUMPS:
        plant.toggle(device.id)
    plant.follower.step()
    others = plant.noticed()
    assert 0 < len(others) < len(PUMPS)
    (told, other) = desk.followed()
    assert (told.problem, other.problem) == ("the disk is gone", "")
    plant.start()
    plant.follow()
    assert plant.noticed() == sorted(plant.raised)
    assert [each.problem for each in desk.followed()] == ["", ""]


def test_a_death_within_a_transaction_loses_and_doubles_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(Exception):
        pass

    monkeypatch.setattr(following, "_CHANGES_AT_ONCE", 1)
    write = Database.write
    for device in PUMPS:
        plant.toggle(device.id)
    for dies_at in range(1, 5):
        count = 0

        def dying(self: Database, work: Any, dies_at: int = dies_at) -> Any:
            nonlocal count
            count += 1
            if count < dies_at:
                return write(self, work)

            def half(connection: Any) -> Any:
                work(connection)
                raise DiedError

            return write(self, half)

        with monkeypatch.context() as patch:
            patch.setattr(Database, "write", dying)
            plant.start()
            with contextlib.suppress(DiedError):
                plant.follower.step()
    plant.start()
    plant.follow()
    assert plant.noticed() == sorted(plant.raised)


def test_a_database_that_is_away_loses_nothing(plant: Plant, tmp_path: Path) -> None:
    plant.toggle("pump-01")
    away = Database(DatabaseConfig(f"sqlite:///{tmp_path / 'nowhere' / 'x'}"))
    plant.follower = Follower(
        Desk(away, plant.clock), plant.folder / "history", lambda: {s.actor: s for s in plant.sources()}
    )
    plant.follower.look()
    with pytest.raises(Exception, match="no such table"):
        plant.follower.step()
    away.close()
    plant.start()
    plant.follow()
    assert plant.noticed() == ["pump-01:vibration-high:1"]


def test_a_journal_that_ends_before_what_was_taken_is_followed_from_its_end(plant: Plant) -> None:
    """As after a backup was restored whose journals are older than its database."""
    plant.record()
    host = plant.fleet.shard_hosts()[0]
    before = Desk(plant.office.database, plant.clock)
    at = before.cursor(host.name)
    before.take(host.name, at, at + 1_000, [])
    plant.start()
    for device in PUMPS:
        plant.toggle(device.id)
    plant.follow()
    told = len(plant.noticed())
    for device in PUMPS:
        plant.toggle(device.id)
        plant.toggle(device.id)
    plant.follow()
    assert len(plant.noticed()) == told + len(PUMPS)
