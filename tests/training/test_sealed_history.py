"""History under a key: the same answers, nothing of it on disk that can be read, nothing touched that goes unseen."""

import os
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sealed import encrypt, holds
from tests.twins.fleets import PUMP, T0, pumps
from training import parquet_files
from training.compaction import CompactionConfig, compact
from training.history import History, HistoryConfig
from training.keeping import KeptSnapshots
from training.past import Past
from training.recorder import Recorder, RecorderConfig, journals_in
from training.tables import Table
from training.upkeep import upkeep
from twins.clock import DAY_US, SECOND_US, VirtualClock
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.key_sources import create_key_file, key_from
from twins.readings import ReadingBatch
from twins.sealing import KEYSET_FILE, VARIABLE, KeyWrongError, SealBrokenError, rotate_keyset

CANARY = "canary-of-hall-7"
KNOWN = np.float32(37.3)
TABLE = "readings_" + PUMP.name.replace("-", "_")
IDS = [CANARY, *(device.id for device in pumps(3))]


def live(data: Path, until: int = 40) -> None:
    """A fleet in this process with a recorder, commands, snapshots, what is kept of them, and upkeep."""
    config = FleetConfig(1, host=HostConfig(snapshot_after_entries=10, recorded=True))
    clock = VirtualClock(T0)
    channels = len(PUMP.channel_names)
    with LocalFleet(data / "hosts", config, clock) as fleet:
        fleet.install(PUMP)
        fleet.register([replace(pumps(1)[0], id=CANARY, name=CANARY, site=CANARY), *pumps(3)])
        (host,) = fleet.shard_hosts()
        with closing(
            Recorder(data / "history", journals_in(data / "hosts"), RecorderConfig(1e9, 10**9))
        ) as recorder:
            for second in range(until):
                clock.advance_by(1.0)
                now_us = clock.now_us()
                values = np.full((len(IDS), channels), KNOWN)
                values[1:] += np.float32(second)
                rows = np.arange(len(IDS), dtype=np.int32)
                at_us = np.full(len(IDS), now_us)
                fleet.write(ReadingBatch(PUMP.name, pa.array(IDS), rows, at_us, values, None))
                if second % 10 == 9:
                    while recorder.step():
                        pass
                    recorder.flush()
                    write = host.begin_snapshot()
                    if write is not None:
                        write()
                if second == until // 2:
                    KeptSnapshots(data / "history").keep_newest(
                        host.name, data / "hosts" / host.name / "snapshots", now_us
                    )
                    upkeep(data / "history", [host.name], now_us)


QUESTIONS = (
    f"SELECT * FROM {TABLE} ORDER BY device_id, event_time",
    f"SELECT device_id, count(*) AS n, avg({PUMP.channel_names[0]}) AS x FROM {TABLE} GROUP BY 1 ORDER BY 1",
    f"SELECT event_time FROM {TABLE} WHERE device_id = '{CANARY}' AND cursor > 9 ORDER BY 1 LIMIT 7",
    f"SELECT count(*) AS n FROM {TABLE} WHERE device_id > 'c' AND late",
    "SELECT * EXCLUDE (payload, body) FROM inputs ORDER BY cursor",
    "SELECT * FROM events ORDER BY cursor, number",
    f"SELECT * FROM rollup_1m_{PUMP.name.replace('-', '_')} ORDER BY ALL",
    "SELECT device_id, name, site FROM devices ORDER BY row",
)


def answers(data: Path) -> list[pa.Table]:
    with History(data / "history", journals_in(data / "hosts"), hosts=data / "hosts") as history:
        told = [history.query(sql) for sql in QUESTIONS]
        charts = [
            history.device_history(PUMP.name, device, T0, T0 + DAY_US, max_points=points).rows
            for device in IDS
            for points in (5, 10_000)
        ]
        return [
            *told,
            *charts,
            history.query("SELECT device_id, health, alerts FROM live ORDER BY device_id"),
        ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same life without a key."""
    folder = tmp_path_factory.mktemp("plain") / "data"
    live(folder)
    return folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "data"
    with pytest.MonkeyPatch.context() as patch:
        encrypt(folder, patch)
        live(folder)
    return folder


@pytest.fixture
def sealed(lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of an encrypted life, and its key at hand."""
    shutil.copytree(lived, tmp_path / "data")
    monkeypatch.setenv(VARIABLE, f"file:{lived.with_name(lived.name + '-key') / 'key'}")
    return tmp_path / "data"


def files(data: Path) -> list[Path]:
    return [path for path in (data / "history").glob("*/*.parquet") if path.parent.name != "snapshots"]


def test_answers_are_those_of_the_plain_one(plain: Path, sealed: Path) -> None:
    for of_sealed, of_plain in zip(answers(sealed), answers(plain), strict=True):
        assert of_sealed.schema == of_plain.schema
        assert of_sealed.to_pylist() == of_plain.to_pylist()


def test_a_past_twin_is_rebuilt(plain: Path, sealed: Path) -> None:
    at_us = T0 + 25 * SECOND_US
    was = [
        Past(data / "history", journals_in(data / "hosts")).twin(CANARY, at_us)[0] for data in (plain, sealed)
    ]
    assert was[0] == was[1]


@pytest.mark.parametrize(
    ("needle", "kinds"),
    [
        (CANARY.encode(), (".journal", ".parquet", ".snapshot")),
        (np.full(3, KNOWN).tobytes(), (".journal",)),  # one line of readings
    ],
)
def test_nothing_of_it_lies_readable_on_disk(
    plain: Path, sealed: Path, needle: bytes, kinds: tuple[str, ...]
) -> None:
    found = holds(plain, needle)
    for kind in kinds:  # else the test shows nothing
        assert any(kind in path for path in found), (kind, found)
    assert holds(sealed, needle) == []


def test_the_log_of_a_table_holds_no_value(plain: Path, sealed: Path) -> None:
    assert holds(plain / "history" / TABLE / "_delta_log", b"minValues")
    for word in (b"minValues", b"maxValues", b"numRecords", IDS[1].encode()):
        assert holds(sealed / "history" / TABLE / "_delta_log", word) == []
    of_plain, of_sealed = (Table(data / "history" / TABLE).version(()).files for data in (plain, sealed))
    assert sorted((f.rows, str(f.least), str(f.greatest)) for f in of_sealed) == sorted(
        (f.rows, str(f.least), str(f.greatest)) for f in of_plain
    )


def test_each_file_is_encrypted_whole_with_a_key_of_its_own(sealed: Path) -> None:
    assert files(sealed)
    for path in files(sealed):
        assert path.read_bytes()[:4] == path.read_bytes()[-4:] == b"PARE"
        with pytest.raises(OSError, match="no decryption"):
            pq.read_metadata(path)


def test_a_file_in_anothers_place_is_refused(sealed: Path) -> None:
    one, other, *_ = sorted(path for path in files(sealed) if path.parent.name == TABLE)
    shutil.copy(one, other)
    with pytest.raises(SealBrokenError, match="another place"):
        parquet_files.footer_of(str(other))
    with History(sealed / "history") as history, pytest.raises((SealBrokenError, duckdb.Error)):
        history.query(f"SELECT * FROM {TABLE}")


def test_no_changed_byte_goes_unseen(sealed: Path) -> None:
    path = max(
        (path for path in files(sealed) if path.parent.name == TABLE), key=lambda each: each.stat().st_size
    )
    whole, block = (
        pq.ParquetFile(path, decryption_properties=parquet_files.decryption_of(str(path))).read(),
        path.read_bytes(),
    )
    dice = np.random.default_rng(5)
    for at in dice.integers(4, len(block) - 4, 60).tolist():
        path.write_bytes(block[:at] + bytes([block[at] ^ 1 << int(dice.integers(8))]) + block[at + 1 :])
        try:
            found = parquet_files.read(str(path), whole.column_names)
        except (OSError, SealBrokenError, ValueError, KeyError):
            continue
        assert found.equals(whole)  # padding between pages, if any


def test_what_was_plain_becomes_sealed_and_stays_the_same(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(plain, data)
    upkeep(data / "history", ["host-000"], T0 + DAY_US)  # so that nothing is left to be summed up
    before = answers(data)
    encrypt(data, monkeypatch)
    assert [each.to_pylist() for each in answers(data)] == [each.to_pylist() for each in before]
    for _ in range(8):
        upkeep(data / "history", ["host-000"], T0 + DAY_US)
    tables = [Table(path.parent) for path in (data / "history").glob("*/_delta_log")]
    assert all(parquet_files.is_sealed(file.path) for table in tables for file in table.version(()).files)
    assert [each.to_pylist() for each in answers(data)] == [each.to_pylist() for each in before]


def test_rotation_keeps_everything_readable_without_the_old_key(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(sealed)
    content = {path: path.read_bytes() for path in files(sealed)}
    create_key_file(tmp_path / "new")
    rotate_keyset(sealed, key_from(os.environ[VARIABLE]), key_from(f"file:{tmp_path / 'new'}"))
    with pytest.raises(KeyWrongError):
        answers(sealed)
    monkeypatch.setenv(VARIABLE, f"file:{tmp_path / 'new'}")
    assert [each.to_pylist() for each in answers(sealed)] == [each.to_pylist() for each in before]
    assert {path: path.read_bytes() for path in files(sealed)} == content
    compact(Table(sealed / "history" / TABLE), CompactionConfig(at_least=1))  # with the new key of the keyset
    assert [each.to_pylist() for each in answers(sealed)] == [each.to_pylist() for each in before]


def test_with_a_wrong_key_nothing_is_read_written_or_deleted(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    create_key_file(tmp_path / "other")
    monkeypatch.setenv(VARIABLE, f"file:{tmp_path / 'other'}")
    with pytest.raises(KeyWrongError):
        answers(sealed)
    with pytest.raises(KeyWrongError):
        Recorder(sealed / "history", journals_in(sealed / "hosts"))
    with pytest.raises(KeyWrongError):
        compact(Table(sealed / "history" / TABLE), CompactionConfig(at_least=1))
    after = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    assert {path: each for path, each in after.items() if path in content} == content


def test_what_is_too_large_for_memory_does_not_reach_the_disk(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sealed)
    with (
        History(sealed / "history", config=HistoryConfig(memory_mb=40)) as history,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        history.query("SELECT i, hash(i) AS h FROM range(9_000_000) t(i) ORDER BY h")
    assert not (sealed / ".tmp").exists()


def test_researchers_get_a_plain_file(sealed: Path, tmp_path: Path) -> None:
    with History(sealed / "history", journals_in(sealed / "hosts")) as history:
        rows = history.export(QUESTIONS[0] + ";", tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").num_rows == rows == 40 * len(IDS)
        assert history.export("SELECT 1 AS x", tmp_path / "out.csv") == 1
        with pytest.raises(FileExistsError):
            history.export("SELECT 2 AS x", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "x\n1\n"
    assert not list(tmp_path.glob("*.part"))


def test_the_keyset_is_all_that_ties_them_together(sealed: Path) -> None:
    (sealed / KEYSET_FILE).unlink()
    with pytest.raises(SealBrokenError, match="no keyset"):
        answers(sealed)
