import gzip
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from training.errors import MappingError, SourceFileError
from training.history import History
from training.importing import import_files, replay
from training.mappings import load, parse
from training.outputs import EVENTS, RESULTS
from twins.clock import VirtualClock
from twins.devices import AlertRule
from twins.errors import DeviceExistsError
from twins.fleet import LocalFleet

EXAMPLES = Path(__file__).parents[2] / "examples"

MAPPING = """\
mapping: tanks
device:
  id: "{unit}"
  type:
    name: tank
    interval_s: 10
    baseline_readings: 20
    channels:
      - {name: level, unit: "%", low: 0, high: 100}
      - {name: inflow, unit: L/min}
    actions:
      - {name: clean, title: Clean the tank}
time: {column: t, format: epoch_s}
channels: {level: level, inflow: inflow}
"""

RECORDS = """\
records: [{column: work, when: clean, kind: repair, action: clean}]
run_to_failure: true
"""


@pytest.fixture
def tanks(tmp_path):
    """A file of two tanks whose rows alternate; one overflows for a while."""
    text = "t,unit,level,inflow,work\n"
    for k in range(120):
        level = 50 + (k * 7919 % 13) / 10 + (30 if 80 <= k < 100 else 0)
        text += f"{k * 10},north,{level:.2f},{10 + k * 104729 % 7},\n"
        text += f"{k * 10 + 3},south,{51 + k % 5},{8 + k % 3},{'clean' if k == 60 else ''}\n"
    path = tmp_path / "tanks.csv"
    path.write_text(text)
    return path


def run(mapping, files, out, **options):
    summary = replay(mapping, files, out, **options)
    return summary, pd.read_parquet(out / "readings.parquet"), pd.read_parquet(out / "events.parquet")


def test_writes_a_result_for_every_row_in_order(tanks, tmp_path):
    summary, results, _ = run(parse(MAPPING, "m.yaml"), [tanks], tmp_path / "out")
    assert pq.read_schema(tmp_path / "out" / "readings.parquet") == RESULTS
    assert pq.read_schema(tmp_path / "out" / "events.parquet") == EVENTS
    assert results["source_row"].tolist() == list(range(240))
    assert results["source_file"].unique().tolist() == [str(tanks)]
    assert results["device_id"].tolist() == ["north", "south"] * 120
    assert results["event_time"].astype("int64").tolist()[:3] == [0, 3_000_000, 10_000_000]
    assert summary.rows == summary.readings == 240
    assert summary.devices == 2
    assert summary.fates == {"scored": 240}
    assert results["anomaly_score"].between(0, 1).all()
    north = results[results["device_id"] == "north"].reset_index()
    assert north.loc[82:98, "anomalous"].any()
    assert not north.loc[:79, "anomalous"].any()


def test_every_row_has_its_disposition(tmp_path):
    rows = [
        ("0,a,50,1,", "scored"),
        ("10,a,51,1,", "scored"),
        ("10,a,51,1,", "duplicate"),
        ("5,a,51,1,", "late"),
        ("20,a,half,,", "bad"),
        ("30,a,500,,", "bad"),
        ("40,a,,,", "empty"),
        ("noon,a,50,1,", "bad"),
        ("50,,50,1,", "bad"),
        ("60,a", "bad"),
        ("99999999999,a,50,1,", "future"),
        ("70,a,half,2,", "scored"),
    ]
    path = tmp_path / "f.csv"
    path.write_text("t,unit,level,inflow,work\n" + "".join(text + "\n" for text, _ in rows))
    summary, results, _ = run(parse(MAPPING, "m.yaml"), [path], tmp_path / "out")
    assert results["disposition"].tolist() == [disposition for _, disposition in rows]
    assert results["source_row"].tolist() == list(range(len(rows)))
    assert results["device_id"].isna().tolist() == [k in (8, 9) for k in range(12)]
    assert results["anomaly_score"].notna().all()
    assert summary.fates == {"scored": 3, "bad": 5, "late": 1, "duplicate": 1, "future": 1, "empty": 1}
    assert summary.problem_count == 5
    assert any(str(problem) == f"{path}:9: 't' is 'noon', no time" for problem in summary.problems)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_does_not_depend_on_how_the_file_is_cut(tanks, tmp_path, rows):
    text = (
        MAPPING
        + "records: [{column: work, when: clean, kind: repair, action: clean}]\nrun_to_failure: true\n"
    )
    mapping = parse(text, "m.yaml")
    _, whole, happened = run(mapping, [tanks], tmp_path / "whole")
    _, cut, happened_cut = run(mapping, [tanks], tmp_path / "cut", rows=rows)
    pd.testing.assert_frame_equal(whole, cut)
    order = ["device_id", "event_time", "type", "detail"]
    pd.testing.assert_frame_equal(
        happened.sort_values(order, ignore_index=True), happened_cut.sort_values(order, ignore_index=True)
    )


def test_is_causal(tanks, tmp_path):
    mapping = parse(MAPPING, "m.yaml")
    _, whole, _ = run(mapping, [tanks], tmp_path / "whole")
    lines = tanks.read_text().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    tanks.write_text("".join(lines[:171]))
    _, part, _ = run(mapping, [tanks], tmp_path / "part")
    pd.testing.assert_frame_equal(whole.iloc[:170], part)


def test_devices_do_not_touch_each_other(tanks, tmp_path):
    mapping = parse(MAPPING, "m.yaml")
    _, both, _ = run(mapping, [tanks], tmp_path / "both")
    lines = tanks.read_text().splitlines(keepends=True)
    tanks.write_text("".join(line for line in lines if "north" not in line))
    _, alone, _ = run(mapping, [tanks], tmp_path / "alone")
    south = both[both["device_id"] == "south"].reset_index(drop=True)
    pd.testing.assert_frame_equal(south.drop(columns="source_row"), alone.drop(columns="source_row"))


def test_silence_is_noticed_when_it_was(tmp_path):
    """A gap of more than ten intervals, in the middle of a piece, is told at the time it became one."""
    path = tmp_path / "f.csv"
    times = [*range(0, 500, 10), *range(2000, 2500, 10)]
    path.write_text("t,unit,level,inflow\n" + "".join(f"{t},a,50,1\n" for t in times))
    _, _, events = run(parse(MAPPING, "m.yaml"), [path], tmp_path / "out")
    stale = events[events["type"] == "device.stale"]
    assert stale["event_time"].astype("int64").tolist() == [590_000_000]
    reporting = events[events["type"] == "device.reporting"]
    assert reporting["event_time"].astype("int64").tolist() == [2_000_000_000]


def test_records_become_events(tanks, tmp_path):
    text = (
        MAPPING
        + "records: [{column: work, when: clean, kind: repair, action: clean}]\nrun_to_failure: true\n"
    )
    summary, _, events = run(parse(text, "m.yaml"), [tanks], tmp_path / "out")
    told = events[events["type"] == "maintenance.recorded"]
    assert told["device_id"].tolist() == ["south", "north", "south"]
    assert told["event_time"].astype("int64").tolist() == [603_000_000, 1_190_000_000, 1_193_000_000]
    assert [json.loads(detail)["kind"] for detail in told["detail"]] == ["repair", "failure", "failure"]
    assert json.loads(told["detail"].iloc[0])["action"] == "clean"
    assert summary.records == 3


def test_events_have_readable_details(tanks, tmp_path):
    summary, _, events = run(parse(MAPPING, "m.yaml"), [tanks], tmp_path / "out")
    assert len(events) == summary.events > 0
    details = [json.loads(detail) for detail in events["detail"]]
    assert all(isinstance(detail, dict) for detail in details)
    started = events["type"] == "anomaly.started"
    assert started.any()
    assert set(events["device_id"]) <= {"north", "south"}


def test_says_how_far_it_is(tanks, tmp_path):
    seen = []
    replay(
        parse(MAPPING, "m.yaml"),
        [tanks],
        tmp_path / "out",
        rows=100,
        progress=lambda so_far, share: seen.append(so_far.rows),
    )
    assert seen == [100, 200, 240]


def test_a_file_that_does_not_fit_stops_everything_before_it_starts(tanks, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("t,unit,height\n")
    with pytest.raises(MappingError, match="no column 'level'"):
        replay(parse(MAPPING, "m.yaml"), [tanks, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_records_without_readings_are_an_error(tmp_path):
    work = tmp_path / "work.csv"
    work.write_text("t,unit,done\n1,north,cleaned\n")
    mapping = parse(MAPPING + "records: [{file: work, column: done, kind: repair}]\n", "m.yaml")
    with pytest.raises(SourceFileError, match="there are records and no readings"):
        replay(mapping, [work], tmp_path / "out")


@pytest.mark.parametrize("rows", [1, 50, 1000])
def test_a_record_of_another_file_does_what_one_beside_its_reading_does(tanks, tmp_path, rows):
    """Twins and history come to the same, wherever the record stands and however files are cut."""
    beside = parse(MAPPING + RECORDS, "m.yaml")
    import_files(beside, [tanks], tmp_path / "beside", live=True)
    work = tmp_path / "work.csv"
    work.write_text("t,unit,work\n603,south,clean\n")
    apart = parse(MAPPING + RECORDS.replace("{column", "{file: work, column"), "m.yaml")
    summary = import_files(apart, [work, tanks], tmp_path / "apart", live=True, rows=rows)
    assert summary.records == 3
    asked = "SELECT event_time, detail FROM events WHERE type = 'maintenance.recorded' ORDER BY event_time"
    told = [history(tmp_path / name, asked) for name in ("beside", "apart")]
    pd.testing.assert_frame_equal(*told)
    one, other = (twins_of(tmp_path / name) for name in ("beside", "apart"))
    for name in ("north", "south"):
        for said in ("health", "anomaly_score", "life_cycle", "patterns"):
            assert one[name][said] == other[name][said]


def test_a_file_that_ends_early_leaves_no_results(tmp_path):
    text = "t,unit,level,inflow\n" + "".join(f"{k * 10},a,{50 + k % 7},1\n" for k in range(20_000))
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(text.encode())[:-20_000])
    with pytest.raises(SourceFileError, match=r"cut\.csv\.gz"):
        replay(parse(MAPPING, "m.yaml"), [path], tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(SourceFileError, match="nothing to read"):
        replay(parse(MAPPING, "m.yaml"), [], tmp_path / "out")
    with pytest.raises(SourceFileError, match="nothing to read"):
        replay(parse(MAPPING + 'files: {skip: ["*.md"]}\n', "m.yaml"), [tmp_path / "a.md"], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("cmapss", "cmapss/train*"),
        ("nab", "nab/realTraffic/*.csv"),
        ("la-haute-borne", "la-haute-borne/*"),
        ("hydraulic", "hydraulic/*"),
        ("ims", "ims/*"),
        ("ai4i", "ai4i/*"),
    ],
)
def test_samples_of_public_data_replay(name, pattern, tmp_path):
    mapping = load(EXAMPLES / "mappings" / f"{name}.yaml")
    files = sorted((EXAMPLES / "data").glob(pattern))
    summary, results, _ = run(mapping, files, tmp_path / "out")
    assert summary.problem_count == 0
    assert set(summary.fates) <= {"scored", "empty", "duplicate"}
    for file, rows in results.groupby("source_file"):
        assert Path(file) in files
        for _, of_device in rows.groupby("device_id"):
            assert of_device["source_row"].is_monotonic_increasing
            assert of_device["source_row"].is_unique
    assert results["source_file"].nunique() == len(files)


def history(data, sql):
    found = History(data / "history")
    try:
        return found.query(sql).to_pandas()
    finally:
        found.close()


def twins_of(data):
    with LocalFleet(data / "hosts", clock=VirtualClock()) as fleet:
        return {name: fleet.read_twin(name) for name in ("north", "south")}


def test_an_import_ends_in_history(tanks, tmp_path):
    data = tmp_path / "data"
    summary = import_files(parse(MAPPING + RECORDS, "m.yaml"), [tanks], data)
    assert summary.fates == {"scored": 240}
    rows = history(data, "SELECT device_id, event_time, level, inflow FROM readings_tank ORDER BY event_time")
    assert len(rows) == 240
    assert rows["device_id"].tolist()[:4] == ["north", "south", "north", "south"]
    lines = [line.split(",") for line in tanks.read_text().splitlines()[1:]]
    assert rows["level"].tolist() == pytest.approx([float(line[2]) for line in lines], abs=1e-5)
    assert rows["event_time"].astype("int64").tolist() == [int(line[0]) * 1_000_000 for line in lines]
    told = history(data, "SELECT type, count(*) AS n FROM events GROUP BY type").set_index("type")["n"]
    assert told["device.registered"] == told["device.retired"] == 2
    assert told["maintenance.recorded"] == 3
    assert all(twin["status"] == "retired" for twin in twins_of(data).values())


def test_an_import_makes_of_readings_what_a_replay_does(tanks, tmp_path):
    mapping = parse(MAPPING + RECORDS, "m.yaml")
    _, results, _ = run(mapping, [tanks], tmp_path / "out")
    import_files(mapping, [tanks], tmp_path / "data", live=True)
    for name, twin in twins_of(tmp_path / "data").items():
        last = results[results["device_id"] == name].iloc[-1]
        assert twin["anomaly_score"] == last["anomaly_score"]
        assert twin["health"] == last["health"]
        assert twin["status"] != "retired"


def test_what_lives_goes_on_living_and_takes_what_it_does_not_know(tanks, tmp_path):
    mapping = parse(MAPPING, "m.yaml")
    lines = tanks.read_text().splitlines(keepends=True)
    first = tmp_path / "first.csv"
    first.write_text("".join(lines[:101]))
    import_files(mapping, [first], tmp_path / "data", live=True)
    summary = import_files(mapping, [tanks], tmp_path / "data")
    assert summary.fates == {"scored": 140, "late": 98, "duplicate": 2}
    rows = history(tmp_path / "data", "SELECT device_id, event_time FROM readings_tank")
    assert len(rows) == len(rows.drop_duplicates()) == 240
    assert all(twin["status"] != "retired" for twin in twins_of(tmp_path / "data").values())
    assert import_files(mapping, [tanks], tmp_path / "data").fates == {"late": 238, "duplicate": 2}


def test_an_import_that_was_interrupted_is_finished_by_the_next(tanks, tmp_path):
    class EnoughError(Exception):
        pass

    def stop(summary, share):
        if summary.rows >= 100:
            raise EnoughError

    mapping, data = parse(MAPPING, "m.yaml"), tmp_path / "data"
    with pytest.raises(EnoughError):
        import_files(mapping, [tanks], data, rows=50, progress=stop)
    assert all(twin["status"] == "importing" for twin in twins_of(data).values())
    assert import_files(mapping, [tanks], data).fates == {"scored": 140, "late": 98, "duplicate": 2}
    assert all(twin["status"] == "retired" for twin in twins_of(data).values())
    assert len(history(data, "SELECT DISTINCT device_id, event_time FROM readings_tank")) == 240
    with pytest.raises(DeviceExistsError, match="north"):
        import_files(mapping, [tanks], data)


def test_what_happened_in_the_past_is_marked_as_such(tmp_path):
    """So that nobody is told of it, and no operator's figures count it."""
    rule = "      - {name: full, when: level > 90, priority: high, consequence: It spills., response: Close it.}\n"
    mapping = parse(MAPPING.replace("    actions:\n", "    rules:\n" + rule + "    actions:\n"), "m.yaml")
    path = tmp_path / "f.csv"
    path.write_text(
        "t,unit,level,inflow\n" + "".join(f"{t},a,{99 if t > 500 else 50},1\n" for t in range(0, 1000, 10))
    )
    import_files(mapping, [path], tmp_path / "data", live=True)
    told = history(
        tmp_path / "data",
        "SELECT type, event_time, json_extract_string(detail, '/replayed') AS replayed FROM events "
        "WHERE device_id = 'a' ORDER BY event_time",
    )
    assert "alert.raised" in told["type"].tolist()
    assert told["replayed"].tolist() == ["true"] * len(told)
    with LocalFleet(tmp_path / "data" / "hosts") as fleet:  # but it stands, now that the device lives
        assert [alert["rule"] for alert in fleet.read_twin("a")["alerts"]] == ["full"]
        assert fleet.alerts()["rule"].to_pylist() == ["full"]


def test_rules_that_people_put_in_force_stay_and_an_import_goes_on(tanks, tmp_path):
    mapping = parse(MAPPING, "m.yaml")
    import_files(mapping, [tanks], tmp_path / "data", live=True)
    rule = AlertRule("full", "level > 99", "high", "It spills.", "Close the valve.")
    edited = replace(mapping.device_type, version=2, rules=(rule,))
    with LocalFleet(tmp_path / "data" / "hosts") as fleet:
        fleet.install(edited)
    import_files(mapping, [tanks], tmp_path / "data", live=True)
    with LocalFleet(tmp_path / "data" / "hosts") as fleet:
        assert fleet.types["tank"] == edited


def test_an_import_does_not_change_an_installed_type(tanks, tmp_path):
    import_files(parse(MAPPING, "m.yaml"), [tanks], tmp_path / "data")
    other = parse(MAPPING.replace("high: 100", "high: 90"), "m.yaml")
    with pytest.raises(MappingError, match="version 1 of type 'tank' is installed and says something else"):
        import_files(other, [tanks], tmp_path / "data")
