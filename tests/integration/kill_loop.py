"""Kill -9 at seeded points, over and over: what was acknowledged is in history plus journal, once.

    python -m tests.integration.kill_loop FOLDER ROUNDS SEED

Each round is a forked process that writes readings through a fleet, records them into history, takes snapshots and cuts
the journal, and kills itself at the n-th of all the places where something reaches the disk. What it acknowledged it first
said on a pipe. The next round takes over from what is on disk.
"""

import os
import signal
import struct
import sys
import traceback
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.twins.fleets import PUMP, T0, pumps
from training import compaction, recorder, tables
from training.history import History
from training.recorder import JournalSource, Recorder, RecorderConfig
from training.upkeep import UpkeepConfig, upkeep
from twins import journal, snapshots
from twins.clock import SECOND_US, VirtualClock
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.readings import ReadingBatch
from twins.warmup import compile_kernels

DEVICES = 6
CONFIG = FleetConfig(
    hosts=2,
    host=HostConfig(journal=JournalConfig(file_bytes=200_000), snapshot_after_entries=7, recorded=True),
)
PLACES = (
    (journal.Journal, "append"),
    (journal.Journal, "cut"),
    (journal, "sync_folder"),
    (snapshots, "pack"),
    (snapshots, "_sync"),
    (os, "fsync"),
    (os, "rename"),
    (tables.Table, "commit"),
)


def write_until_killed(folder, pipe, first, kill_at, lines):
    """One round: readings ``first`` onwards, one a device and second, until the ``kill_at``-th place is reached."""
    count = [0]

    def deadly(function):
        def wrapped(*args, **kwargs):
            for side in ("before", "after"):
                count[0] += 1
                if count[0] == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                if side == "before":
                    result = function(*args, **kwargs)
            return result

        return wrapped

    for owner, name in PLACES:
        if hasattr(owner, name):
            setattr(owner, name, deadly(getattr(owner, name)))
    fleet = LocalFleet(folder / "hosts", CONFIG, VirtualClock(T0 + first * SECOND_US))
    if PUMP.name not in fleet.types:
        fleet.install(PUMP)
    new = [device for device in pumps(DEVICES) if device.id not in fleet.directory]
    if new:
        fleet.register(new)
    hosts = {host.name: host for host in fleet.shard_hosts()}
    sources = [JournalSource(name, folder / "hosts" / name / "journal") for name in hosts]
    writer = Recorder(folder / "history", sources, RecorderConfig(commit_every_s=0.0, commit_rows=1))
    ids = pa.array([device.id for device in pumps(DEVICES)], pa.string())
    for number in range(first, first + lines):
        at_us = T0 + number * SECOND_US
        fleet.clock.advance_to(at_us)
        values = np.full((DEVICES, 3), [50.0, 2.0, 60.0])
        values[:, 2] = number % 80
        fleet.write(
            ReadingBatch(PUMP.name, ids, np.arange(DEVICES, dtype=np.int32), np.full(DEVICES, at_us), values)
        )
        os.write(pipe, struct.pack("<q", number))
        if number % 3 == 0:
            writer.step()
            for name, cursor in writer.cursors.items():
                hosts[name].archive(cursor)
        if number % 11 == 0:
            upkeep(folder / "history", sorted(hosts), at_us, UpkeepConfig())
    writer.flush()
    fleet.close()


def forked(work):
    """Run ``work(write_end)`` in a forked process; gives what it wrote to the pipe, and how it ended."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            work(write_end)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    said = b""
    while part := os.read(read_end, 65536):
        said += part
    os.close(read_end)
    _, status = os.waitpid(child, 0)
    return said, status


def check(folder, acknowledged):
    """In history and journal: every acknowledged reading of every device, none twice; and the twins know the newest."""

    def work(pipe):
        fleet = LocalFleet(folder / "hosts", CONFIG, VirtualClock(T0 + (max(acknowledged) + 1) * SECOND_US))
        assert [host.state for host in fleet.shard_hosts()] == ["ready"] * len(fleet.shard_hosts())
        newest = max(acknowledged)
        for device in pumps(DEVICES):
            value = fleet.read_twin(device.id)["values"]["temperature"]
            assert value["event_us"] >= T0 + newest * SECOND_US, (device.id, value, newest)
        sources = [
            JournalSource(host.name, folder / "hosts" / host.name / "journal") for host in fleet.shard_hosts()
        ]
        history = History(folder / "history", sources)
        rows = history.query(
            "select device_id, epoch_us(event_time) as t, temperature from readings_test_pump"
        ).to_pandas()
        seen = set(zip(rows["device_id"], rows["t"], strict=True))
        assert len(seen) == len(rows), "a reading is there twice"
        for number in acknowledged:
            for device in pumps(DEVICES):
                assert (device.id, T0 + number * SECOND_US) in seen, f"{device.id} lost reading {number}"
        assert (rows["temperature"] == (rows["t"] - T0) // SECOND_US % 80).all()
        os.write(pipe, b"held")

    said, status = forked(work)
    assert said == b"held"
    assert status == 0


def kill_loop(folder, rounds, seed):
    compile_kernels()
    assert compaction  # compaction runs inside upkeep
    assert recorder
    rng = np.random.default_rng(seed)
    acknowledged: list[int] = []
    killed = 0
    for each in range(rounds):
        first = max(acknowledged, default=-1) + 2  # one that may or may not have landed is left alone
        kill_at = int(rng.integers(1, 220))
        said, status = forked(lambda pipe, f=first, k=kill_at: write_until_killed(folder, pipe, f, k, 40))
        acknowledged += [number for (number,) in struct.iter_unpack("<q", said[: len(said) // 8 * 8])]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        killed += os.WIFSIGNALED(status)
        if acknowledged and each % 10 == 9:
            check(folder, acknowledged)
    check(folder, acknowledged)
    assert killed > rounds * 0.8


if __name__ == "__main__":
    kill_loop(Path(sys.argv[1]), rounds=int(sys.argv[2]), seed=int(sys.argv[3]))
