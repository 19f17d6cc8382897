"""What a host makes of a disk that forgets or lies: detected, said in words, survived with what is whole.

Real journals and snapshots, damaged while nobody has them open, or by a disk that refuses. ``test_journal.py`` has the
same faults for the journal alone, ``tests/integration/test_full_disk.py`` a disk that is really full.
"""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.fleets import PUMP, T0, pumps
from twins import snapshots
from twins.clock import SECOND_US, VirtualClock
from twins.errors import DegradedError
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig, ShardHost
from twins.journal import LOST, JournalConfig, JournalReader, journal_files
from twins.readings import ReadingBatch

IDS = pa.array([device.id for device in pumps(3)], pa.string())


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: no test here is about what a power cut leaves."""
    place = tempfile.mkdtemp(prefix="tfh-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    yield Path(place) / "host-000"
    shutil.rmtree(place)


def started(folder: Path, recorded: bool = False, file_bytes: int = 60_000) -> LocalFleet:
    config = HostConfig(
        journal=JournalConfig(file_bytes=file_bytes), snapshot_after_entries=10**9, recorded=recorded
    )
    fleet = LocalFleet(folder.parent, FleetConfig(host=config), VirtualClock(T0))
    if PUMP.name not in fleet.types and host_of(fleet).state == "ready":
        fleet.install(PUMP)
        fleet.register(pumps(3))
    return fleet


def host_of(fleet: LocalFleet) -> ShardHost:
    return fleet.shard_hosts()[0]


def write(fleet: LocalFleet, first: int, count: int = 1) -> None:
    """Readings ``first`` to ``first + count - 1`` of every device, each an entry of its own."""
    for number in range(first, first + count):
        at_us = T0 + number * SECOND_US
        fleet.clock.advance_to(at_us)
        values = np.full((3, 3), [50.0, 2.0, 20.0 + number % 80])
        fleet.write(ReadingBatch(PUMP.name, IDS, np.arange(3, dtype=np.int32), np.full(3, at_us), values))


def newest(fleet: LocalFleet) -> int:
    """The number of the newest reading that the twin knows."""
    return int(fleet.read_twin("pump-0")["values"]["temperature"]["event_us"] - T0) // SECOND_US


def snapshot(fleet: LocalFleet) -> None:
    write_it = host_of(fleet).begin_snapshot()
    assert write_it is not None
    write_it()


def crash(fleet: LocalFleet) -> None:
    """The process ends without a goodbye."""
    journal = host_of(fleet)._journal
    assert journal is not None
    journal.close()


def flip(path: Path, at: int) -> None:
    block = bytearray(path.read_bytes())
    block[at] ^= 0x10
    path.write_bytes(block)


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "snapshots").glob("*.snapshot"))


def lost(folder: Path) -> list[int]:
    reader = JournalReader(folder / "journal")
    found = reader.read_after(reader.first_cursor - 1, 100_000)
    assert [entry.cursor for entry in found] == list(range(reader.first_cursor, found[-1].cursor + 1))
    return [entry.cursor for entry in found if entry.kind == LOST]


@pytest.mark.parametrize("how", ["flipped", "cut short", "empty", "gone"])
def test_a_lost_snapshot_costs_nothing_as_often_as_it_happens(folder: Path, how: str) -> None:
    """Each time the newest is spoilt before the next is written: the two that are kept are two that can be read."""
    fleet = started(folder)
    at = 0
    for _ in range(5):
        write(fleet, at, 40)
        at += 40
        snapshot(fleet)
        write(fleet, at)
        at += 1
        crash(fleet)
        if len(kept(folder)) == snapshots.KEPT:
            spoilt = kept(folder)[-1]
            block = spoilt.read_bytes()
            if how == "gone":
                spoilt.unlink()
            elif how == "flipped":
                flip(spoilt, len(block) // 2)
            else:
                spoilt.write_bytes(block[: len(block) // 2] if how == "cut short" else b"")
        fleet = started(folder)
        status = host_of(fleet).status()
        assert status.state == "ready", status.reason
        assert newest(fleet) == at - 1
        if how != "gone" and status.damage:
            assert "went back to the one before it" in status.damage[0]
            assert spoilt.name in status.damage[0]
        assert host_of(fleet)._journal.first_cursor <= snapshots.cursors(folder / "snapshots")[0] + 1  # type: ignore[union-attr]
    assert len(list((folder / "snapshots").rglob("*.snapshot"))) <= 2 * snapshots.KEPT
    fleet.close()


def test_snapshots_that_are_all_unreadable_are_left_for_whoever_can_help(folder: Path) -> None:
    fleet = started(folder)
    for number in range(8):
        write(fleet, 40 * number, 40)
        snapshot(fleet)
    crash(fleet)
    assert JournalReader(folder / "journal").first_cursor > 1  # the beginning is in the snapshots alone
    aside = folder.parent / "aside"
    shutil.copytree(folder / "snapshots", aside)
    for path in kept(folder):
        flip(path, 5000)
    fleet = LocalFleet(folder.parent, clock=VirtualClock(T0))
    status = fleet.status()[0]
    assert status.state == "degraded"
    assert "have been cut away" in status.reason
    assert len(status.damage) == snapshots.KEPT
    assert len(kept(folder)) == snapshots.KEPT
    fleet.close()
    shutil.copytree(aside, folder / "snapshots", dirs_exist_ok=True)
    fleet = started(folder)
    assert newest(fleet) == 319
    fleet.close()


def test_a_journal_that_lost_its_end_goes_on_after_what_others_have_seen(folder: Path) -> None:
    """Its newest file was put back to an older state: a snapshot and the recorder know of more than it holds."""
    fleet = started(folder, recorded=True, file_bytes=10**9)
    write(fleet, 0, 30)
    crash(fleet)
    older = folder.parent / "older"
    shutil.copytree(folder / "journal", older)
    fleet = started(folder, recorded=True, file_bytes=10**9)
    write(fleet, 30, 30)
    host_of(fleet).archive(host_of(fleet).cursor - 4)
    snapshot(fleet)
    end = host_of(fleet).cursor
    write(fleet, 60, 3)
    crash(fleet)
    shutil.rmtree(folder / "journal")
    shutil.copytree(older, folder / "journal")
    before = JournalReader(folder / "journal").last_cursor
    fleet = started(folder, recorded=True, file_bytes=10**9)
    status = host_of(fleet).status()
    assert status.state == "ready", status.reason
    assert status.damage == [f"journal entries {before + 1} to {end}: gone from its end"]
    assert newest(fleet) == 59  # the snapshot has it
    write(fleet, 70)
    assert host_of(fleet).cursor == end + 1
    assert lost(folder) == list(range(before + 1, end + 1))
    crash(fleet)
    fleet = started(folder, recorded=True, file_bytes=10**9)
    assert host_of(fleet).status().damage == []  # mended once
    assert newest(fleet) == 70
    fleet.close()


def test_a_flipped_bit_in_the_journal_costs_its_entry_and_says_so(folder: Path) -> None:
    fleet = started(folder, file_bytes=10**9)
    write(fleet, 0, 50)
    crash(fleet)
    ((_, path),) = journal_files(folder / "journal")
    checkpoint(path)
    with sqlite3.connect(path) as connection:
        ((payload,),) = connection.execute("SELECT payload FROM entry WHERE cursor = 20").fetchall()
    at = path.read_bytes().find(payload[60:120])
    flip(path, at)
    fleet = started(folder, file_bytes=10**9)
    status = host_of(fleet).status()
    assert status.state == "ready"
    assert [text.split(":")[0] for text in status.damage] == ["journal entries 20 to 20"]
    assert "does not match its checksum" in status.damage[0]
    assert newest(fleet) == 49
    assert fleet.read_twin("pump-0")["counts"]["scored"] == 49
    assert lost(folder) == [20]
    assert list((folder / "journal" / "damaged").iterdir())  # as it was found
    fleet.close()


def test_a_torn_tail_is_an_append_that_never_returned(folder: Path) -> None:
    fleet = started(folder, file_bytes=10**9)
    write(fleet, 0, 20)
    torn = folder.parent / "torn"
    shutil.copytree(folder, torn / folder.name)
    crash(fleet)
    (log,) = (torn / folder.name / "journal").glob("*-wal")
    os.truncate(log, log.stat().st_size - 700)
    fleet = started(torn / folder.name, file_bytes=10**9)
    status = host_of(fleet).status()
    assert (status.state, status.damage) == ("ready", [])
    assert newest(fleet) == 18  # the last commit was not whole
    write(fleet, 19)
    assert newest(fleet) == 19
    fleet.close()


def test_a_failed_sync_refuses_and_takes_back_what_is_not_durable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes the bytes and fails to say that they are safe: the commit, a snapshot, the recorder's place."""
    fleet = started(folder)
    write(fleet, 0, 5)
    host = host_of(fleet)
    journal = host._journal
    assert journal is not None
    assert journal._writer is not None
    journal._writer = SyncFails(journal._writer)  # type: ignore[assignment]
    with pytest.raises(DegradedError, match="check the disk"):
        write(fleet, 5)
    assert host.status().state == "degraded"
    assert "disk I/O error" in host.status().reason
    assert newest(fleet) in (4, 5)  # what the log says: sending again does no harm
    host._probed_s = -9.0
    write(fleet, 5)
    assert newest(fleet) == 5
    assert fleet.read_twin("pump-0")["counts"]["scored"] == 6
    before = kept(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        attempt = host.begin_snapshot()
        assert attempt is not None
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            attempt()
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            host.archive(2)
    assert kept(folder) == before
    assert host.archived == 0
    snapshot(fleet)
    crash(fleet)
    fleet = started(folder)
    assert (newest(fleet), host_of(fleet).archived) == (5, 0)
    fleet.close()


def test_a_reader_that_never_closes_holds_up_nobody(folder: Path) -> None:
    """An open read transaction keeps the log of one file from being emptied; the next file is free of it."""
    fleet = started(folder, file_bytes=200_000)
    write(fleet, 0, 5)
    ((first, path),) = journal_files(folder / "journal")
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    seen = reader.execute("SELECT max(cursor) FROM entry").fetchone()
    for number in range(1, 13):
        write(fleet, 100 * number, 100)
        snapshot(fleet)
    assert newest(fleet) == 1299
    assert reader.execute("SELECT max(cursor) FROM entry").fetchone() == seen
    files = journal_files(folder / "journal")
    assert first not in [each for each, _ in files]  # the file it holds on to went, like any other
    assert host_of(fleet).status().journal_bytes < 2_000_000
    crash(fleet)
    fleet = started(folder, file_bytes=200_000)
    assert (host_of(fleet).status().damage, newest(fleet)) == ([], 1299)
    reader.close()
    fleet.close()


class SyncFails:
    """A connection whose commit reaches the file but reports a failed sync."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        cursor = self._real.execute(sql, *args)
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


def refuse(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def checkpoint(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
