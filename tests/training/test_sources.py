import bz2
import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import MappingError, SourceFileError
from training.mappings import load, parse
from training.sources import ROWS, is_skipped, read

EXAMPLES = Path(__file__).parents[2] / "examples"

TYPE = """\
  type:
    name: gauge
    channels:
      - {name: a, unit: "1", dtype: float64}
      - {name: b, unit: Cel, dtype: float64}
"""

MAPPING = f"""\
device:
  id: "{{file}}-{{unit}}"
{TYPE}
time: {{column: t, format: epoch_s}}
channels:
  a: x
  b: {{column: y, unit: K}}
"""


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return str(path)


def lines(batches):
    """What the batches say, one tuple a line: device, time, row, values with None where absent."""
    said = []
    for batch in batches:
        readings = batch.readings
        for k in range(len(readings)):
            present = int(readings.present[k])
            values = [
                readings.values[k, c] if present >> c & 1 else None for c in range(readings.values.shape[1])
            ]
            device = readings.ids[int(readings.index[k])].as_py()
            said.append((device, int(readings.event_us[k]), int(batch.rows[k]), *values))
    return said


def problems(batches):
    return [str(problem) for batch in batches for problem in batch.problems]


CELL = st.sampled_from(["1", "2.5", "-3e2", "", "NA", "x", " 4 ", "nan?"])
ROW = st.tuples(
    st.sampled_from(["7", "8", "", " 9"]), st.sampled_from(["0", "10", "20.5", "", "soon"]), CELL, CELL
)


def slowly(row, number, stem):
    """What one row means, by the book; None: it is rejected."""

    def number_of(text):
        if text in ("", "NA"):
            return None
        try:
            return float(text)
        except ValueError:
            return math.nan

    unit, t, x, y = row
    at_s = number_of(t)
    if not unit or at_s is None or math.isnan(at_s):
        return None
    b = number_of(y)
    return (
        f"{stem}-{unit.strip()}",
        round(at_s * 1e6),
        number,
        number_of(x),
        None if b is None else b - 273.15,
    )


def same(left, right):
    return len(left) == len(right) and all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
        for a, b in zip(left, right, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(ROW, st.just(("broken",))), max_size=25), st.integers(1, 7))
def test_agrees_with_reading_row_by_row(tmp_path_factory, rows, at_once):
    text = "t,unit,ignored,x,y\n"
    for row in rows:
        text += "1,2\n" if len(row) == 1 else f"{row[1]},{row[0]},z,{row[2]},{row[3]}\n"
    path = write(tmp_path_factory.mktemp("files"), "f.csv", text)
    batches = list(read(parse(MAPPING, "m.yaml"), [path], rows=at_once))
    expected = [None if len(row) == 1 else slowly(row, k, "f") for k, row in enumerate(rows)]
    got = lines(batches)
    kept = [line for line in expected if line]
    assert len(got) == len(kept)
    assert all(same(a, b) for a, b in zip(got, kept, strict=True))
    rejected = [int(row) for batch in batches for row in batch.rejected]
    assert rejected == [k for k, line in enumerate(expected) if line is None]
    assert all(len(batch.readings) <= at_once for batch in batches)


def test_problems_name_file_and_line(tmp_path):
    path = write(tmp_path, "f.csv", "t,unit,x,y\n0,1,1,1\nsoon,1,1,1\n1,,1,1\n2,1,one,1\n3,1\n4,1,5,6\n")
    batches = list(read(parse(MAPPING, "m.yaml"), [path]))
    assert sorted(problems(batches)) == sorted(
        [
            f"{path}:3: 't' is 'soon', no time",
            f"{path}:4: 'unit' is empty: no device",
            f"{path}:5: 'x' is 'one', not a number",
            f"{path}:6: 2 columns, not 4",
        ]
    )
    assert sum(batch.problem_count for batch in batches) == 4
    assert batches[0].rejected_ids.to_pylist() == ["f-1", None, None]


def test_ids_are_the_same_object_while_no_device_is_added(tmp_path):
    path = write(tmp_path, "f.csv", "t,unit,x,y\n" + "".join(f"{k},{k // 40},1,1\n" for k in range(100)))
    arrays = [batch.readings.ids for batch in read(parse(MAPPING, "m.yaml"), [path], rows=10)]
    assert [len(ids) for ids in arrays] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert arrays[0] is arrays[3]
    assert arrays[4] is arrays[7]


@pytest.mark.parametrize("ending", ["csv.gz", "csv.bz2", "parquet", "txt"])
def test_formats_give_the_same_readings(tmp_path, ending):
    plain = "t,unit,x,y\n0,1,1,280\n5,1,,281\n9,2,3,\n"
    mapping = parse(MAPPING, "m.yaml")
    expected = lines(read(mapping, [write(tmp_path, "f.csv", plain)]))
    path = tmp_path / f"f.{ending}"
    if ending == "parquet":
        table = pa.table({"t": [0, 5, 9], "unit": [1, 1, 2], "x": [1.0, None, 3.0], "y": [280, 281, None]})
        pq.write_table(table, path)
    elif ending == "txt":
        mapping = parse(MAPPING + "files: {separator: space, columns: [t, unit, x, y]}\n", "m.yaml")
        path.write_text("  0 1   1 280  \n5\t1 NA 281 \r\n9 2 3   NA")
    else:
        path.write_bytes((gzip if ending.endswith("gz") else bz2).compress(plain.encode()))
    assert lines(read(mapping, [path])) == expected


def test_semicolons_decimal_commas_and_latin_1(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes("t;unit;x;y;Grün\r\n0;1;1,5;280,15;ü\r\n".encode("latin-1"))
    files = 'files: {separator: semicolon, decimal: ",", encoding: latin1}\n'
    ((device, at_us, row, a, b),) = lines(read(parse(MAPPING + files, "m.yaml"), [path]))
    assert (device, at_us, row, a) == ("f-1", 0, 0, 1.5)
    assert b == pytest.approx(7.0)


def test_parquet_timestamps_and_nan(tmp_path):
    stamps = pa.array([0, 1_500], pa.timestamp("ms", "Europe/Paris"))
    pq.write_table(
        pa.table({"t": stamps, "unit": ["1", "1"], "x": [math.nan, 2.0], "y": [1.0, 2.0]}), tmp_path / "f.pq"
    )
    mapping = parse(MAPPING.replace(", format: epoch_s", ""), "m.yaml")
    first, second = lines(read(mapping, [tmp_path / "f.pq"]))
    assert first[1] == 0
    assert second[1] == 1_500_000
    assert math.isnan(first[3])  # given, but no number: a twin judges it BAD


def test_ids_are_built_from_folder_file_and_columns(tmp_path):
    mapping = parse(MAPPING.replace("{file}-{unit}", "{folder}/{file}:{unit}:{x}"), "m.yaml")
    path = write(tmp_path, "valve1/run.one.csv", "t,unit,x,y\n0,1,2,3\n1,2,1,3\n")
    assert [line[0] for line in lines(read(mapping, [path]))] == ["valve1/run.one:1:2", "valve1/run.one:2:1"]


def test_rows_count_where_there_is_no_time(tmp_path):
    time = 'time: {origin: "1970-01-01T00:00:00Z", step_s: 60}'
    mapping = parse(MAPPING.replace("time: {column: t, format: epoch_s}", time), "m.yaml")
    path = write(tmp_path, "f.csv", "unit,x,y\n" + "1,1,1\n" * 5)
    assert [line[1] for line in lines(read(mapping, [path], rows=2))] == [k * 60_000_000 for k in range(5)]


def test_categories_become_numbers(tmp_path):
    mapping = parse(MAPPING.replace("a: x", "a: {column: x, values: {low: 0, high: 1}}"), "m.yaml")
    path = write(tmp_path, "f.csv", "t,unit,x,y\n0,1,high,\n1,1,low,\n2,1,mid,\n3,1,,\n")
    batches = list(read(mapping, [path]))
    values = [line[3] for line in lines(batches)]
    assert values[:2] == [1.0, 0.0]
    assert math.isnan(values[2])
    assert values[3] is None
    assert problems(batches) == [f"{path}:4: 'x' is 'mid', none of low, high"]


def test_long_files_hold_one_value_a_row(tmp_path):
    mapping = parse(MAPPING + "long: {channel: what, value: value}\n", "m.yaml")
    path = write(tmp_path, "f.csv", "t,unit,what,value\n0,1,x,5\n0,1,y,273.15\n1,1,z,9\n2,1,x,no\n")
    batches = list(read(mapping, [path]))
    got = lines(batches)
    assert got[:3] == [("f-1", 0, 0, 5.0, None), ("f-1", 0, 1, None, 0.0), ("f-1", 1_000_000, 2, None, None)]
    assert math.isnan(got[3][3])
    assert problems(batches) == [f"{path}:5: 'value' is 'no', not a number"]


def test_a_row_may_hold_several_devices(tmp_path):
    text = MAPPING.replace('id: "{file}-{unit}"', 'id: "{part}"\n  parts: ["1", "2"]')
    text = text.replace("a: x", 'a: ["x{part}", x]').replace(
        "{column: y,", '{column: "y{part}", optional: true,'
    )
    mapping = parse(text, "m.yaml")
    path = write(tmp_path, "f.csv", "t,x1,x2,y1\n0,1,2,273.15\n1,3,4,\n")
    assert lines(read(mapping, [path])) == [
        ("1", 0, 0, 1.0, 0.0),
        ("2", 0, 0, 2.0, None),
        ("1", 1_000_000, 1, 3.0, None),
        ("2", 1_000_000, 1, 4.0, None),
    ]


def test_files_side_by_side_make_one_reading_with_samples(tmp_path):
    text = f"""\
device:
  id: rig
{TYPE}
files: {{side_by_side: true, skip: ["*.md"]}}
time: {{cycle: n, origin: "1970-01-01T00:00:00Z", step_s: 10}}
samples: {{step_s: 1}}
channels:
  a: {{file: A, column: s0..1}}
  b: {{file: B, column: s0..1}}
"""
    one = write(tmp_path, "A.csv", "n,s0,s1\n0,1,2\n1,3,4\n2,5,6\n")
    two = write(tmp_path, "B.csv", "n,s0,s1\n0,10,20\n7,30,40\n")
    notes = write(tmp_path, "notes.md", "nothing")
    mapping = parse(text, "m.yaml")
    assert is_skipped(mapping, notes)
    batches = list(read(mapping, [one, notes, two], rows=2))
    assert lines(batches) == [
        ("rig", 0, 0, 1.0, 10.0),
        ("rig", 1_000_000, 0, 2.0, 20.0),
        ("rig", 10_000_000, 1, 3.0, None),
        ("rig", 11_000_000, 1, 4.0, None),
        ("rig", 20_000_000, 2, 5.0, None),
        ("rig", 21_000_000, 2, 6.0, None),
    ]
    assert [batch.files for batch in batches] == [(0, 2), (0,)]
    assert batches[0].answers.tolist() == [False, True, False, True]
    assert problems(batches) == [f"{two}:3: another time than in the file beside it"]


def test_records_follow_their_row_and_run_to_failure_ends_each_device(tmp_path):
    text = MAPPING + "run_to_failure: true\nrecords: [{column: note, when: oiled, kind: repair}]\n"
    path = write(
        tmp_path, "f.csv", "t,unit,x,y,note\n0,1,1,1,\n5,2,1,1,oiled\n9,1,1,1,other\nsoon,1,1,1,oiled\n"
    )
    batches = list(read(parse(text, "m.yaml"), [path]))
    told = [(r.device_id, r.at_us, r.after_line, r.kind) for batch in batches for r in batch.records]
    assert told == [
        ("f-2", 5_000_000, 1, "repair"),
        ("f-1", 9_000_000, -1, "failure"),
        ("f-2", 5_000_000, -1, "failure"),
    ]
    assert len(batches[-1].readings) == 0


WORK = """\
records:
  - {file: "work*", column: done, when: oiled, time: at, kind: repair}
  - {file: "work*", column: done, when: broke, time: at, kind: failure}
"""


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_records_of_another_file_stand_among_the_readings_by_time(tmp_path, rows):
    mapping = parse(MAPPING.replace("{file}-{unit}", "{unit}") + WORK, "m.yaml")
    work = write(
        tmp_path, "work.csv",
        "at,unit,done\n7,1,oiled\n7,1,broke\n12,2,broke\n99,1,oiled\n3,9,broke\nsoon,1,broke\n5,1,painted\n",
    )  # fmt: skip
    path = write(tmp_path, "f.csv", "t,unit,x,y\n5,1,1,1\n7,1,1,1\n10,2,1,1\n8,1,1,1\n20,2,1,1\n")
    batches = list(read(mapping, [work, path], rows=rows))
    told, first = [], 0
    for batch in batches:
        assert [each.after_line for each in batch.records] == sorted(
            each.after_line for each in batch.records
        )
        told += [(first + r.after_line, r.device_id, r.at_us // 1_000_000, r.kind) for r in batch.records]
        first += len(batch.readings)
    assert told == [
        (2, "1", 7, "repair"), (2, "1", 7, "failure"), (3, "2", 12, "failure"), (4, "1", 99, "repair"),
    ]  # fmt: skip
    assert problems(batches) == [
        f"{work}:7: 'at' is 'soon', no time",
        f"{work}:6: there are no readings of device '9'",
    ]


def test_files_are_read_in_pieces(tmp_path):
    path = write(tmp_path, "f.csv", "t,unit,x,y\n" + "".join(f"{k},1,1,1\n" for k in range(ROWS + 10)))
    batches = list(read(parse(MAPPING, "m.yaml"), [path]))
    assert [len(batch.readings) for batch in batches] == [ROWS, 10]
    assert np.array_equal(np.concatenate([batch.rows for batch in batches]), np.arange(ROWS + 10))


def test_a_file_that_lacks_a_column_names_the_line_of_the_mapping(tmp_path):
    path = write(tmp_path, "f.csv", "t,unit,x\n")
    with pytest.raises(
        MappingError, match=r"m\.yaml:12: .*f\.csv has no column 'y'; its columns: t, unit, x"
    ):
        list(read(parse(MAPPING, "m.yaml"), [path]))


def test_a_file_without_header_must_have_as_many_columns_as_named(tmp_path):
    path = write(tmp_path, "f.csv", "0,1,1\n")
    with pytest.raises(MappingError, match=r"names 4 columns, .* has 3"):
        list(read(parse(MAPPING + "files: {columns: [t, unit, x, y]}\n", "m.yaml"), [path]))


def test_unreadable_files_are_told_by_path(tmp_path):
    mapping = parse(MAPPING, "m.yaml")
    with pytest.raises(SourceFileError, match=r"gone\.csv"):
        list(read(mapping, [tmp_path / "gone.csv"]))
    whole = gzip.compress(("t,unit,x,y\n" + "".join(f"{k},1,{k % 97},1\n" for k in range(50_000))).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceFileError, match=r"cut\.csv\.gz"):
        list(read(mapping, [tmp_path / "cut.csv.gz"]))
    (tmp_path / "f.parquet").write_bytes(b"not parquet")
    with pytest.raises(SourceFileError, match=r"f\.parquet"):
        list(read(mapping, [tmp_path / "f.parquet"]))


def test_files_without_rows_give_nothing(tmp_path):
    assert lines(read(parse(MAPPING, "m.yaml"), [write(tmp_path, "f.csv", "t,unit,x,y\n")])) == []
    headerless = parse(MAPPING + "files: {columns: [t, unit, x, y]}\n", "m.yaml")
    assert lines(read(headerless, [write(tmp_path, "g.csv", "")])) == []


SAMPLES = {
    # mapping: files, devices, rows, lines, records
    "cmapss": ("cmapss/train*", 20, 4168, 4168, 20),
    "cmapss-test": ("cmapss/test*", 5, 410, 410, 0),
    "nab": ("nab/*/*.csv", 2, 8394, 8394, 0),
    "la-haute-borne": ("la-haute-borne/*", 4, 32256, 32256, 0),
    "ims": ("ims/*", 4, 984, 984 * 4, 0),
    "hydraulic": ("hydraulic/*", 1, 100, 6000, 0),
    "ai4i": ("ai4i/*", 1, 2000, 2000, 52),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_shipped_mappings_read_the_shipped_samples(name):
    pattern, devices, rows, count, records = SAMPLES[name]
    mapping = load(EXAMPLES / "mappings" / f"{name}.yaml")
    batches = list(read(mapping, sorted((EXAMPLES / "data").glob(pattern))))
    assert not problems(batches)
    assert len(batches[-1].readings.ids) == devices
    assert sum(len(batch.readings) for batch in batches) == count
    assert sum(len(set(batch.rows.tolist())) * len(batch.files) for batch in batches) == rows * max(
        len(batch.files) for batch in batches
    )
    assert sum(len(batch.records) for batch in batches) == records
    used = {source.index for source in mapping.channels}
    seen = np.bitwise_or.reduce(np.concatenate([batch.readings.present for batch in batches]))
    assert {c for c in range(64) if int(seen) >> c & 1} == used - ({1} if name == "ims" else set())


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_the_share_that_has_been_read_rises_to_the_whole(tmp_path, kind):
    n = 120_000
    table = pa.table(
        {"unit": ["7"] * n, "t": np.arange(n), "x": np.random.default_rng(1).random(n), "y": np.ones(n)}
    )
    paths = []
    for number in range(2):
        path = tmp_path / f"{number}.{kind}"
        if kind == "parquet":
            pq.write_table(table, path)
        else:
            with pa.output_stream(path, compression="gzip" if kind.endswith("gz") else None) as out:
                pv.write_csv(table, out)
        paths.append(path)
    shares = [batch.share for batch in read(parse(MAPPING, "m.yaml"), paths, 10_000)]
    assert len(shares) == 24
    assert shares == sorted(shares)
    assert 0 < shares[0] <= 0.5
    assert shares[11] == pytest.approx(0.5, abs=0.01)
    assert shares[-1] == 1.0
