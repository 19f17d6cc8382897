"""A backup holds what was acknowledged, once, whatever goes on meanwhile; and the platform comes back from it."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cluster import backup
from cluster.backup import BackupError, restore, take
from serve.access import FOLDER, Access
from serve.accounts import Actor
from serve.config import database_config
from serve.database import Database
from tests.models import ARRAYS, MANIFEST
from tests.sealed import encrypt, holds
from tests.serve.edges import PUMP
from training.compaction import CompactionConfig
from training.history import History
from training.recorder import JournalSource, Recorder, RecorderConfig, journals_in
from training.registry import FOLDER as MODELS
from training.registry import UNFINISHED, Registry
from training.upkeep import RetentionConfig, UpkeepConfig, upkeep
from twins.clock import SECOND_US, VirtualClock
from twins.devices import Device
from twins.errors import FleetError
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.readings import ReadingBatch
from twins.sealing import VARIABLE, KeyMissingError

T0 = 1_760_000_000 * SECOND_US
PUMPS = [f"pump-{n}" for n in range(6)]
CONFIG = FleetConfig(
    2, host=HostConfig(journal=JournalConfig(file_bytes=40_000), snapshot_after_entries=8, recorded=True)
)


class World:
    """A platform in this process that lives by small steps, and what it has acknowledged."""

    def __init__(self, data: Path, seed: int) -> None:
        self.data = data
        self.random = random.Random(seed)
        self.clock = VirtualClock(T0)
        self.fleet = LocalFleet(data / "hosts", CONFIG, self.clock)
        self.fleet.install(PUMP)
        self.fleet.register([Device(each, "pump", site="oslo") for each in PUMPS])
        sources = [JournalSource(h.name, h.folder / "journal") for h in self.fleet.shard_hosts() if h.folder]
        self.recorder = Recorder(data / "history", sources, RecorderConfig(commit_rows=10**9))
        self.database = Database(database_config("", data))
        self.database.migrate()
        self.acknowledged: set[tuple[str, int]] = set()

    def write(self) -> None:
        self.clock.advance_by(1.0)
        now_us = self.clock.now_us()
        values = np.tile([self.random.uniform(1, 9), 100.0, 1.0], (len(PUMPS), 1)).astype(np.float32)
        rows = np.arange(len(PUMPS), dtype=np.int32)
        self.fleet.write(
            ReadingBatch("pump", pa.array(PUMPS), rows, np.full(len(PUMPS), now_us), values, None)
        )
        self.acknowledged |= {(each, now_us) for each in PUMPS}

    def record(self) -> None:
        while self.recorder.step():
            pass
        self.recorder.flush()
        for host in self.fleet.shard_hosts():
            host.archive(self.recorder.cursors[host.name])

    def snapshot(self) -> None:
        for host in self.fleet.shard_hosts():
            if (write := host.begin_snapshot()) is not None:
                write()

    def tidy(self) -> None:
        config = UpkeepConfig(CompactionConfig(), RetentionConfig())
        upkeep(
            self.data / "history",
            tuple(h.name for h in self.fleet.shard_hosts()),
            self.clock.now_us(),
            config,
        )

    def live(self) -> None:
        """A little of everything."""
        for _ in range(self.random.randint(1, 12)):
            what = self.random.choices((self.write, self.record, self.snapshot, self.tidy), (8, 2, 2, 1))[0]
            what()

    def close(self) -> None:
        self.fleet.close()
        self.recorder.close()
        self.database.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Callable[[int], World]]:
    made: list[World] = []

    def make(seed: int) -> World:
        made.append(World(tmp_path / f"data-{seed}", seed))
        return made[-1]

    yield make
    for each in made:
        each.close()


def sqlite_in(folder: Path) -> Database:
    return Database(database_config("", folder))


def readings_of(data: Path) -> list[tuple[str, int]]:
    with History(data / "history", journals_in(data / "hosts")) as history:
        found = history.query("SELECT device_id, epoch_us(event_time) AS at FROM readings_pump")
    return list(zip(found["device_id"].to_pylist(), found["at"].to_pylist(), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_before_is_there_once(
    worlds: Callable[[int], World], tmp_path: Path, seed: int
) -> None:
    """Readings, commits, snapshots, cuts and compaction go on between any two parts of the backup."""
    world = worlds(seed)
    for _ in range(4):
        world.live()
    before = set(world.acknowledged)

    parts = 0

    @contextmanager
    def meanwhile(_: str) -> Iterator[None]:
        nonlocal parts
        parts += 1
        now = world.live if parts < 6 else world.write  # journals that are cut all the time cannot be copied
        now()
        yield
        now()

    take(world.data, world.database, tmp_path / "backup", step=meanwhile)
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    found = readings_of(tmp_path / "new")
    assert len(found) == len(set(found))
    assert before <= set(found) <= world.acknowledged

    with LocalFleet(tmp_path / "new" / "hosts", CONFIG, VirtualClock(world.clock.now_us())) as fleet:
        assert all(host.state == "ready" and not host.damage for host in fleet.shard_hosts())
        for each in PUMPS:  # twins and history tell of the same moment
            assert fleet.read_twin(each)["event_us"] == max(at for device, at in found if device == each)
        sources = [JournalSource(h.name, h.folder / "journal") for h in fleet.shard_hosts() if h.folder]
        recorder = Recorder(tmp_path / "new" / "history", sources)
        while recorder.step():
            pass
        recorder.flush()
        recorder.close()
    assert sorted(readings_of(tmp_path / "new")) == sorted(found)


def test_twins_come_back_as_they_were(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    for _ in range(5):
        world.live()
    world.write()
    was = {each: world.fleet.read_twin(each) for each in PUMPS}
    take(world.data, world.database, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    with LocalFleet(tmp_path / "new" / "hosts", CONFIG, VirtualClock(world.clock.now_us())) as fleet:
        assert {each: fleet.read_twin(each) for each in PUMPS} == was


def test_models_come_back_and_nothing_of_one_that_is_being_written(
    worlds: Callable[[int], World], tmp_path: Path
) -> None:
    world = worlds(1)
    registry = Registry(world.data / MODELS)
    registry.add(MANIFEST, ARRAYS)
    was = registry.promote(MANIFEST.device_type, 1, "kari")
    (world.data / MODELS / MANIFEST.device_type / f"{UNFINISHED}2").mkdir()
    (world.data / MODELS / MANIFEST.device_type / f"{UNFINISHED}2" / "model.npz").write_bytes(b"half")
    take(world.data, world.database, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    new = Registry(tmp_path / "new" / MODELS)
    assert new.champion(MANIFEST.device_type) == was
    assert new.load(MANIFEST.device_type, 1).keys() == ARRAYS.keys()
    assert not [path for path in (tmp_path / "new" / MODELS).rglob("*") if path.name.startswith(".")]


def test_experiments_come_back_and_of_those_under_way_their_fork(
    worlds: Callable[[int], World], tmp_path: Path
) -> None:
    world = worlds(1)
    folder = world.data / "whatif" / "whatif-1"
    part = folder / "parts" / "0-wait"
    part.mkdir(parents=True)
    kept = ("fork.bin", "manifest.json", "runs.parquet")
    for name in (*kept, "work.parquet.partial", "parts/0-wait/runs.parquet"):
        (folder / name).write_bytes(b"x")
    take(world.data, world.database, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    new = tmp_path / "new" / "whatif"
    assert sorted(path.name for path in new.rglob("*") if path.is_file()) == sorted(kept)


def test_accounts_keys_and_audit_come_back(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    access = Access(world.database, world.data / FOLDER)
    once = access.accounts.create("ann", "engineer", Actor("tests"))
    access.accounts.change_password("ann", once, "grey heron over the lock gate", "")
    access.local.renew()
    begun = access.sessions.log_in("ann", "grey heron over the lock gate", "program")
    token = access.sessions.access_token(begun.principal)[0]
    take(world.data, world.database, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    new = Access(sqlite_in(tmp_path / "new"), tmp_path / "new" / FOLDER)
    assert new.find("bearer", token).name == "ann"  # signed with the same keys
    assert (
        new.sessions.log_in("ann", "grey heron over the lock gate", "program").principal.account.role
        == "engineer"
    )
    assert new.local.read() is None
    assert new.accounts.create("bob", "viewer", Actor("tests"))  # numbers go on
    new.database.close()
    for folder in (tmp_path / "backup", tmp_path / "new"):
        assert folder.stat().st_mode & 0o077 == 0
        secrets = [path for path in folder.rglob("*") if FOLDER in path.parts and path.is_file()]
        assert secrets
        assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)


def test_the_second_backup_shares_what_did_not_change(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    for _ in range(4):
        world.live()
    world.record()
    take(world.data, world.database, tmp_path / "one")
    world.write()
    second = take(world.data, world.database, tmp_path / "two", before=tmp_path / "one")
    assert second.linked > 0
    shutil.rmtree(tmp_path / "one")
    restore(tmp_path / "two", tmp_path / "new", sqlite_in)
    assert set(readings_of(tmp_path / "new")) == world.acknowledged


def test_a_damaged_backup_is_refused_and_leaves_nothing(
    worlds: Callable[[int], World], tmp_path: Path
) -> None:
    world = worlds(1)
    for _ in range(4):
        world.live()
    world.record()
    take(world.data, world.database, tmp_path / "backup")
    names = list(json.loads((tmp_path / "backup" / backup.MANIFEST).read_text())["files"])
    for name in random.Random(1).sample(names, 8):
        path = tmp_path / "backup" / name
        block = path.read_bytes()
        path.write_bytes(block[:-1] + bytes([block[-1] ^ 1]) if block else b"x")
        with pytest.raises(BackupError, match="not what was backed up"):
            restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
        path.unlink()
        with pytest.raises(BackupError, match="missing"):
            restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
        path.write_bytes(block)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob("*.restoring"))
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)


def test_nothing_is_overwritten(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    take(world.data, world.database, tmp_path / "backup")
    with pytest.raises(BackupError, match="not empty"):
        take(world.data, world.database, tmp_path / "backup")
    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "backup", world.data, sqlite_in)
    (tmp_path / "backup" / backup.MANIFEST).unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    with pytest.raises(BackupError, match="nothing lives here"):
        take(tmp_path / "nowhere", world.database, tmp_path / "other")


def test_a_manifest_names_nothing_outside(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    take(world.data, world.database, tmp_path / "backup")
    path = tmp_path / "backup" / backup.MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text())
    (tmp_path / "outside").write_text("x")
    manifest["files"]["../outside"] = {"bytes": 1, "sha256": "?"}
    path.write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="not in it"):
        restore(tmp_path / "backup", tmp_path / "new", sqlite_in)


def test_a_full_database_is_left_alone(worlds: Callable[[int], World], tmp_path: Path) -> None:
    world = worlds(1)
    take(world.data, world.database, tmp_path / "backup")
    other = Database(database_config("", tmp_path / "other"))
    other.migrate()
    with pytest.raises(FleetError, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "new", lambda _: other)
    assert not (tmp_path / "new").exists()


def test_an_encrypted_platform_is_backed_up_encrypted_and_needs_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(tmp_path / "data", monkeypatch)
    world = World(tmp_path / "data", 3)
    try:
        for _ in range(4):
            world.live()
        world.write()
        was = {each: world.fleet.read_twin(each) for each in PUMPS}
        take(world.data, world.database, tmp_path / "backup")
    finally:
        world.close()
    assert holds(tmp_path / "backup" / "data" / "hosts", b"oslo") == []
    right = os.environ[VARIABLE]
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(KeyMissingError):
        restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    assert not list(tmp_path.glob("new*"))
    monkeypatch.setenv(VARIABLE, right)
    restore(tmp_path / "backup", tmp_path / "new", sqlite_in)
    with LocalFleet(tmp_path / "new" / "hosts", CONFIG, VirtualClock(world.clock.now_us())) as fleet:
        assert {each: fleet.read_twin(each) for each in PUMPS} == was
    assert len(set(readings_of(tmp_path / "new"))) == len(world.acknowledged)
