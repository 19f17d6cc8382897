"""Joined files hold the same rows, sorted, and grow in steps."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import compaction, tables
from training.compaction import CompactionConfig, compact, groups, sorted_parts
from training.tables import INPUTS, TIMESTAMP, File, Table

SCHEMA = pa.schema([("device_id", pa.string()), ("event_time", TIMESTAMP), ("number", pa.int64())])


def table_of(rows: list[tuple[str, int, int]]) -> pa.Table:
    devices, times, numbers = zip(*rows, strict=True)
    columns = [pa.array(devices), pa.array(times, pa.int64()).cast(TIMESTAMP), pa.array(numbers, pa.int64())]
    return pa.table(columns, schema=SCHEMA)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    files=st.lists(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "ba", "c"]), st.integers(0, 9)), min_size=1, max_size=30
        ),
        min_size=1,
        max_size=5,
    ),
    in_order=st.booleans(),
    group_rows=st.sampled_from([1, 2, 5, 100]),
    at_once=st.integers(1, 40),
)
def test_parts_are_what_sorting_everything_gives(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str, int]]],
    in_order: bool,
    group_rows: int,
    at_once: int,
) -> None:
    table = Table(tmp_path_factory.mktemp("history") / "table")
    table.create(SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SMALL_GROUP_ROWS", group_rows)
        stored, everything = [], []
        for keys in files:
            rows = [(*key, len(everything) + n) for n, key in enumerate(sorted(keys) if in_order else keys)]
            everything += rows
            add = table.write(table_of(rows))
            stored.append(File(str(table.folder / add.path), add.size, len(rows), {}, {}))
        parts = list(sorted_parts(stored, at_once))
    found = [tuple(row.values()) for row in pa.concat_tables(parts).cast(SCHEMA).to_pylist()]
    expected = table_of(sorted(everything, key=lambda row: row[:2])).to_pylist()
    assert found == [tuple(row.values()) for row in expected]


def test_a_part_is_a_part_of_one_device_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SMALL_GROUP_ROWS", 10)
    table = Table(tmp_path / "table")
    table.create(SCHEMA)
    adds = [table.write(table_of([("a", second, second) for second in range(n, 400, 2)])) for n in (0, 1)]
    files = [File(str(table.folder / add.path), add.size, 200, {}, {}) for add in adds]
    parts = list(sorted_parts(files, 100))
    assert max(len(part) for part in parts) <= 130
    assert pa.concat_tables(parts)["number"].to_pylist() == list(range(400))


def test_rows_of_no_device_come_first(tmp_path: Path) -> None:
    table = Table(tmp_path / "table")
    table.create(SCHEMA)
    rows = table_of([("b", 1, 0), ("a", 1, 1), ("c", 0, 2), ("a", 0, 3)])
    nobody = rows.set_column(0, "device_id", pa.array(["b", None, "c", None]))
    files = [
        File(str(table.folder / add.path), add.size, 4, {}, {}) for add in map(table.write, (rows, nobody))
    ]
    (part,) = sorted_parts(files, 1)
    assert part["device_id"].cast(pa.string()).to_pylist() == [None, None, "a", "a", "b", "b", "c", "c"]
    assert part["number"].to_pylist() == [3, 1, 3, 1, 0, 0, 2, 2]


def test_what_is_not_about_devices_is_joined_by_actor_and_cursor(tmp_path: Path) -> None:
    table = Table(tmp_path / "inputs")
    table.create(INPUTS)
    for first in (0, 3):
        cursors = [first, first + 2, first + 1]
        rows = [
            {"kind": "tick", "recorded_at": 0, "epoch": 1, "actor": actor, "cursor": at}
            for actor in ("b", "a")
            for at in cursors
        ]
        table.commit([table.write(pa.Table.from_pylist(rows, INPUTS))])
    assert compact(table, CompactionConfig(at_least=1)) == 2
    (file,) = table.version(()).files
    stored = pq.read_table(file.path).select(["actor", "cursor"]).to_pylist()
    assert [tuple(row.values()) for row in stored] == [(actor, at) for actor in "ab" for at in range(6)]


def test_a_joined_file_says_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_AT_ONCE_ROWS", 50)
    monkeypatch.setattr(tables, "SMALL_GROUP_ROWS", 16)
    table = Table(tmp_path / "table")
    table.create(SCHEMA)
    for n in range(4):
        rows = [(device, 40 * n + second, n) for device in "dcba" for second in range(40)]
        table.commit([table.write(table_of(sorted(rows)))])
    assert compact(table, CompactionConfig()) == 4
    (file,) = table.version(()).files
    assert file.rows == 640
    assert (file.least["device_id"], file.greatest["device_id"]) == ("a", "d")
    assert (file.least["event_time"], file.greatest["event_time"]) == (0, 159)
    stored = pq.read_table(file.path)
    keys = list(
        zip(stored["device_id"].to_pylist(), stored["event_time"].cast("int64").to_pylist(), strict=True)
    )
    assert keys == [(device, second) for device in "abcd" for second in range(160)]


@given(
    sizes=st.lists(st.integers(1, 300), max_size=60),
    config=st.builds(CompactionConfig, st.integers(50, 2000), st.integers(1, 6)),
)
def test_groups_are_neighbours_none_of_which_outweighs_the_others(
    sizes: list[int], config: CompactionConfig
) -> None:
    files = [File(f"{n:03d}", 1, rows, {"event_time": n}, {}) for n, rows in enumerate(sizes)]
    seen = -1
    for group in groups(files, config):
        places = [int(file.path) for file in group]
        assert places[0] > seen
        assert places == list(range(places[0], places[0] + len(group)))
        seen = places[-1]
        assert len(group) > 1
        rows = sum(file.rows for file in group)
        assert rows <= config.target_rows
        assert config.at_least * max(file.rows for file in group) <= rows


@pytest.mark.parametrize("per_pass", [1, 5])
def test_a_day_of_commits_lies_in_few_files_and_is_written_few_times(per_pass: int) -> None:
    config = CompactionConfig(target_rows=32_000)
    files: list[File] = []
    written = most = 0
    for minute in range(1440):
        files.append(File(f"{minute}", 1, 87, {"event_time": minute}, {}))
        if minute % per_pass == per_pass - 1:
            for group in list(groups(files, config)):
                rows = sum(file.rows for file in group)
                written += rows
                first = group[0]
                files = [file for file in files if file not in group]
                files.append(File(f"{first.path}+", 1, rows, first.least, {}))
        most = max(most, len(files))
    assert most <= 24
    assert written <= 5 * 1440 * 87
