"""A disk that is really full: said, survived, and left without help once there is room again.

Each test has a file system of its own of a few megabytes, in memory, which only root can mount; elsewhere they are skipped.
"""

import contextlib
import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.fleets import PUMP, T0, pumps
from training import tables, upkeep
from training.errors import UpkeepError
from training.history import History
from training.recorder import JournalSource, Recorder, RecorderConfig
from twins import snapshots
from twins.clock import SECOND_US, VirtualClock
from twins.errors import FleetError, StorageFullError
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig, ShardHost
from twins.journal import JournalConfig
from twins.packing import pack
from twins.readings import ReadingBatch

pytestmark = pytest.mark.integration

DEVICES = 40
IDS = pa.array([device.id for device in pumps(DEVICES)], pa.string())


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system with room for 24 MB."""
    folder = Path(tempfile.mkdtemp(prefix="tff-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system is left to root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def fill(disk: Path, leave: int = 0) -> Path:
    """Leave no more than ``leave`` bytes free; gives the file that takes the rest."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while (free := room(disk)) > leave:
            file.write(bytes(min(free - leave, 1 << 20)))
    return ballast


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def started(disk: Path, **host: Any) -> LocalFleet:
    config = HostConfig(journal=JournalConfig(file_bytes=1 << 20), **host)
    fleet = LocalFleet(disk / "hosts", FleetConfig(host=config), VirtualClock(T0))
    if PUMP.name not in fleet.types:
        fleet.install(PUMP)
        fleet.register(pumps(DEVICES))
    return fleet


def write(fleet: LocalFleet, number: int) -> None:
    """Reading ``number`` of every device."""
    at_us = T0 + number * SECOND_US
    fleet.clock.advance_to(at_us)
    values = np.full((DEVICES, 3), [50.0, 2.0, 60.0])
    values[:, 2] = number % 80
    fleet.write(
        ReadingBatch(PUMP.name, IDS, np.arange(DEVICES, dtype=np.int32), np.full(DEVICES, at_us), values)
    )


def written_until_refused(fleet: LocalFleet, first: int, most: int = 3000) -> tuple[int, FleetError]:
    """Write until that is refused; gives the number that was, and the refusal."""
    for number in range(first, first + most):
        try:
            write(fleet, number)
        except FleetError as error:
            return number, error
    raise AssertionError(f"{most} batches were taken on a full disk")


def probe_now(host: ShardHost) -> None:
    host._probed_s = -9.0  # tried at most once a second, else


def stored(disk: Path, fleet: LocalFleet) -> set[tuple[str, int]]:
    """Every reading in history and journal; none twice."""
    sources = [JournalSource(h.name, disk / "hosts" / h.name / "journal") for h in fleet.shard_hosts()]
    rows = (
        History(disk / "history", sources)
        .query("select device_id, epoch_us(event_time) as t from readings_test_pump")
        .to_pandas()
    )
    seen = set(zip(rows["device_id"], (rows["t"] - T0) // SECOND_US, strict=True))
    assert len(seen) == len(rows), "a reading is there twice"
    return seen


def left_lying_about(history: Path) -> list[Path]:
    """What is in the folders of tables and counts in none of them."""
    found: list[Path] = []
    for folder in history.iterdir():
        table = tables.Table(folder)
        named = {Path(file.path).name for file in table.version(()).files} if table.exists else set()
        found += [path for path in folder.glob("*") if path.is_file() and path.name not in named]
        found += folder.glob("_delta_log/*tmp*")
    return found


def everything(last: int, *but: int) -> set[tuple[str, int]]:
    return {(device, number) for device in IDS.to_pylist() for number in range(last) if number not in but}


def test_a_journal_on_a_full_disk_refuses_keeps_reading_and_goes_on_by_itself(disk: Path) -> None:
    fleet = started(disk)
    (host,) = fleet.shard_hosts()
    write(fleet, 0)
    ballast = fill(disk, leave=300_000)
    refused, error = written_until_refused(fleet, 1)
    assert isinstance(error, StorageFullError)
    assert "disk is full" in str(error)
    assert "free space" in str(error)
    assert host.status().state == "degraded"
    assert "disk is full" in host.status().reason
    newest = fleet.read_twin("pump-0")["values"]["temperature"]["event_us"]
    assert newest == T0 + (refused - 1) * SECOND_US  # what is not durable was never seen
    for _ in range(3):
        probe_now(host)
        with pytest.raises(StorageFullError):
            write(fleet, refused)
    ballast.unlink()
    probe_now(host)
    write(fleet, refused)  # sending again is all that it takes
    assert host.status().state == "ready"
    assert host.damage == []
    host._journal.close()  # type: ignore[union-attr]
    again = started(disk)
    assert again.read_twin("pump-0")["counts"]["scored"] == refused + 1
    again.close()


def test_a_snapshot_that_does_not_fit_leaves_the_older_ones_and_nothing_else(disk: Path) -> None:
    fleet = started(disk, snapshot_after_entries=10**9)
    (host,) = fleet.shard_hosts()
    folder = disk / "hosts" / host.name / "snapshots"
    for number in range(2):
        write(fleet, number)
        host.begin_snapshot()()  # type: ignore[misc]
    kept = sorted(folder.iterdir())
    ballast = fill(disk, leave=20_000)
    for _ in range(4):
        host.cursor += 1  # as if something had happened that the journal had room for
        attempt = host.begin_snapshot()
        assert attempt is not None
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            attempt()
        assert sorted(folder.iterdir()) == kept, "the failed attempts fill the disk"
        host.cursor -= 1
    ballast.unlink()
    write(fleet, 6)
    host.begin_snapshot()()  # type: ignore[misc]
    assert len(snapshots.cursors(folder)) == 2
    fleet.close()


def test_what_a_killed_snapshot_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{7:020d}.part").write_bytes(b"half")
    snapshots.write(tmp_path, 8, pack({}))
    assert [path.suffix for path in tmp_path.iterdir()] == [".snapshot"]


def test_a_recorder_on_a_full_disk_waits_without_filling_it_and_records_each_reading_once(disk: Path) -> None:
    fleet = started(disk, recorded=True)
    (host,) = fleet.shard_hosts()
    source = JournalSource(host.name, disk / "hosts" / host.name / "journal")
    recorder = Recorder(
        disk / "history", [source], RecorderConfig(commit_every_s=0.0, commit_rows=1), clock=fleet.clock
    )
    for number in range(20):
        write(fleet, number)
    recorder.step()
    for number in range(20, 60):
        write(fleet, number)
    for leave in (0, 3_000, 30_000):  # not even a file, a part of one, a file but no commit
        ballast = fill(disk, leave)
        for _ in range(12):
            with contextlib.suppress(FleetError, OSError):
                recorder.step()
        assert left_lying_about(disk / "history") == []
        ballast.unlink()
    recorder.step()
    for number in range(60, 70):
        write(fleet, number)
    recorder.step()
    assert stored(disk, fleet) == everything(70)
    recorder.close()
    fleet.close()


def test_upkeep_on_a_full_disk_says_so_and_leaves_history_whole(disk: Path) -> None:
    fleet = started(disk, recorded=True)
    (host,) = fleet.shard_hosts()
    source = JournalSource(host.name, disk / "hosts" / host.name / "journal")
    recorder = Recorder(
        disk / "history", [source], RecorderConfig(commit_every_s=0.0, commit_rows=1), clock=fleet.clock
    )
    for number in range(40):
        write(fleet, number)
        if number % 5 == 4:
            recorder.step()
    now_us = fleet.clock.now_us()
    ballast = fill(disk)
    for _ in range(4):
        with pytest.raises(UpkeepError, match=r"[Nn]o space left"):
            upkeep.upkeep(disk / "history", [host.name], now_us)
    assert left_lying_about(disk / "history") == []
    assert stored(disk, fleet) == everything(40)
    ballast.unlink()
    upkeep.upkeep(disk / "history", [host.name], now_us)
    assert stored(disk, fleet) == everything(40)
    readings = tables.Table(disk / "history" / "readings_test_pump")
    assert len(readings.version(()).files) < 8
    recorder.close()
    fleet.close()
