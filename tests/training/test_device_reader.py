"""A device is found in a file as by reading all of it."""

from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import device_reader, tables
from training.device_reader import DeviceReader
from training.tables import TIGHT, TIMESTAMP, write_parquet

SCHEMA = pa.schema([("event_time", TIMESTAMP), ("flow", pa.float32())])
ALWAYS = (0, 2**62)


def written(path: Path, rows: list[tuple[str, int, float | None]]) -> pa.Table:
    devices, times, flows = zip(*sorted(rows, key=lambda row: row[:2]), strict=True)
    table = pa.table(
        {
            "device_id": pa.array(devices, pa.string()),
            "event_time": pa.array(times, pa.int64()).cast(TIMESTAMP),
            "flow": pa.array(flows, pa.float32()),
        }
    )
    with open(path, "wb") as file:
        write_parquet([table], len(table), file, TIGHT)
    return table


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ba", "c", "d"]),
            st.integers(0, 30),
            st.one_of(st.none(), st.integers(-5, 5).map(float)),
        ),
        min_size=1,
        max_size=40,
    ),
    start=st.integers(0, 30),
    length=st.integers(1, 30),
    group_rows=st.sampled_from([1, 3, 7, 100]),
    few=st.booleans(),
)
def test_a_device_is_what_a_scan_finds(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int, float | None]],
    start: int,
    length: int,
    group_rows: int,
    few: bool,
) -> None:
    path = tmp_path_factory.mktemp("devices") / "file.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SMALL_GROUP_ROWS", group_rows)
        patch.setattr(device_reader, "_FEW_ROWS", 100 if few else 0)
        table = written(path, rows)
        reader = DeviceReader()
        for device in ("", "a", "b", "ba", "bb", "c", "d", "e"):
            expected = table.filter(pc.equal(table["device_id"], device)).select(SCHEMA.names)
            found = reader.rows(str(path), device, *ALWAYS, SCHEMA)
            assert (SCHEMA.empty_table() if found is None else found).equals(expected)
            found = reader.rows(str(path), device, start, start + length, SCHEMA)
            assert in_span(SCHEMA.empty_table() if found is None else found, start, start + length).equals(
                in_span(expected, start, start + length)
            )


def in_span(rows: pa.Table, start: int, end: int) -> pa.Table:
    at = rows["event_time"].cast(pa.int64())
    return rows.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))


def test_groups_of_another_time_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SMALL_GROUP_ROWS", 10)
    written(tmp_path / "file.parquet", [("a", second, 1.0) for second in range(100)])
    found = DeviceReader().rows(str(tmp_path / "file.parquet"), "a", 35, 41, SCHEMA)
    assert found is not None
    assert found["event_time"].cast(pa.int64()).to_pylist() == list(range(30, 50))


def test_a_column_that_a_file_does_not_have_is_null(tmp_path: Path) -> None:
    written(tmp_path / "file.parquet", [("a", 1, 1.0), ("b", 1, 2.0)])
    found = DeviceReader().rows(
        str(tmp_path / "file.parquet"), "b", *ALWAYS, pa.schema([("speed", pa.float32()), *SCHEMA])
    )
    assert found is not None
    assert found.select(["speed", "flow"]).to_pylist() == [{"speed": None, "flow": 2.0}]


def test_files_that_left_the_table_are_closed(tmp_path: Path) -> None:
    reader = DeviceReader(limit_files=3)
    paths = [str(tmp_path / f"{number}.parquet") for number in range(5)]
    for path in paths:
        written(Path(path), [("a", 1, 1.0)])
        assert reader.rows(path, "a", *ALWAYS, SCHEMA) is not None
    held = open_files(tmp_path)
    assert len(held) == 3
    assert paths[4] in held
    reader.keep(paths[:4])
    assert open_files(tmp_path) == held - {paths[4]}


def test_one_file_too_many_costs_few_openings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(tmp_path / f"{number}.parquet") for number in range(11)]
    for path in paths:
        written(Path(path), [("a", 1, 1.0)])
    opened = list[str]()

    def opening(path: str) -> device_reader._Opened:
        opened.append(path)
        return really(path)

    really = device_reader._opened
    monkeypatch.setattr(device_reader, "_opened", opening)
    reader = DeviceReader(limit_files=10)
    for _ in range(20):  # charts, each of which needs every file
        for path in paths:
            assert reader.rows(path, "a", *ALWAYS, SCHEMA) is not None
    assert len(opened) < 0.5 * 20 * len(paths)


def open_files(folder: Path) -> set[str]:
    targets = {file.path for file in psutil.Process().open_files()}
    return {target for target in targets if target.startswith(str(folder.resolve()))}


def test_what_was_deleted_before_it_was_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DeviceReader().rows(str(tmp_path / "gone.parquet"), "a", *ALWAYS, SCHEMA)


def test_groups_are_smaller_in_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SMALL_FILE_ROWS", 50)
    for count, groups in ((40, 1), (60, 1), (TIGHT.group_rows + 1, 2)):
        written(tmp_path / "file.parquet", [("a", second, 1.0) for second in range(count)])
        assert pq.read_metadata(tmp_path / "file.parquet").num_row_groups == groups
