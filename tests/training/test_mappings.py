import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.errors import MappingError
from training.mappings import expanded, load, parse
from twins import typefiles

MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"

MINIMAL = """\
device:
  id: "{unit}"
  type:
    name: gauge
    channels:
      - {name: temperature, unit: Cel}
      - {name: load, unit: "%", condition: true}
time:
  column: t
channels:
  temperature: {column: temp_f, unit: degF}
"""


def problems(text):
    with pytest.raises(MappingError) as caught:
        parse(text, "m.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_mapping_loads(path):
    mapping = load(path)
    assert mapping.name == path.stem
    assert typefiles.from_document(typefiles.to_document(mapping.device_type)) == mapping.device_type


def test_the_sets_that_the_guide_names_are_shipped():
    shipped = {path.stem for path in MAPPINGS.glob("*.yaml")}
    guide = (MAPPINGS.parents[1] / "docs/guides/import.md").read_text()
    assert shipped == set(re.findall(r"^\| `([a-z0-9-]+)\.yaml` \|", guide, re.MULTILINE))


def test_a_small_mapping_has_sensible_defaults():
    mapping = parse(MINIMAL, "m.yaml")
    assert mapping.name == "m"
    assert mapping.id_columns == ("unit",)
    (channel,) = mapping.channels
    assert 212 * channel.factor + channel.offset == pytest.approx(100)
    assert mapping.interval_s is None
    assert not mapping.run_to_failure
    assert mapping.layout.separator == ","


def test_a_cycle_counter_gives_origin_and_interval():
    text = MINIMAL.replace("  column: t\n", '  cycle: n\n  origin: "2000-01-01T00:00:00Z"\n  step_s: 3600\n')
    mapping = parse(text, "m.yaml")
    assert mapping.time.column == "n"
    assert mapping.time.origin_us == int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert mapping.time.step_us == 3_600_000_000
    assert mapping.interval_s == 3600


def test_a_catalogue_type_is_taken_by_name():
    text = "device: {type: wind-turbine}\ntime: {column: t}\nchannels: {power: P}\n"
    assert parse(text, "m.yaml").device_type == typefiles.load_catalog()["wind-turbine"]


def test_baseline_rows_count_rows_not_samples():
    text = MINIMAL + "baseline_rows: 50\nsamples: {step_s: 1}\n"
    text = text.replace("temp_f", "s0..9")
    mapping = parse(text, "m.yaml")
    assert mapping.samples == 10
    assert mapping.device_type.baseline_readings == 500


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("temperature: {column", "temprature: {column"), "m.yaml:11: type 'gauge' has no channel"),
        (("degF", "bar"), "m.yaml:11: 'bar' is a pressure, 'Cel' a temperature"),
        (("  column: t\n", "  column: t\n  zone: Mars/X\n"), "m.yaml:10: there is no time zone 'Mars/X'"),
        (("  column: t\n", "  cycle: n\n  step_s: 1\n"), "has no origin"),
        (("  column: t\n", '  cycle: n\n  step_s: 1\n  origin: "noon"\n'), "m.yaml:11: 'noon' is no time"),
        (("  column: t\n", '  cycle: n\n  step_s: 1e303\n  origin: "2026-01-01"\n'), "step_s"),
        (("channels:\n  t", "labels: [temp_f]\nchannels:\n  t"), "'temp_f' is under `labels` and yet read"),
        (("channels:\n  t", "conditions: {temperature: c}\nchannels:\n  t"), "is no operating condition"),
        (("channels:\n  t", "surprise: 1\nchannels:\n  t"), "unknown key 'surprise'"),
        (('"{unit}"\n', '"{file}"\n  parts: ["1", "2"]\n'), "the parts of a row share one device id"),
        (("channels:\n  t", "files: {separator: tabs}\nchannels:\n  t"), "'tabs' is no separator"),
        (("channels:\n  t", "files: {columns: [a1..3, a2]}\nchannels:\n  t"), "column 'a2' is named twice"),
        (("channels:\n  t", "records: [{column: x, kind: party}]\nchannels:\n  t"), "'party'"),
        (("channels:\n  t", "records: [{column: x, kind: repair, time: at}]\nchannels:\n  t"), "has their time"),
        (("channels:\n  t", "labels: [at]\nrecords: [{column: x, kind: repair, file: w, time: at}]\nchannels:\n  t"),
         "'at' is under `labels` and yet read"),
        (("channels:\n  t", "run_to_failure: {failure_mode: gremlins}\nchannels:\n  t"), "'gremlins'"),
        (("name: gauge", "name: gauge\n    intervall_s: 3"), "m.yaml:5: "),
    ],
)  # fmt: skip
def test_errors_name_line_and_remedy(change, says):
    assert change[0] in MINIMAL
    text = problems(MINIMAL.replace(*change, 1))
    assert says in text
    assert all(";" in line for line in text.splitlines())


def test_missing_sections_are_told():
    assert "has no device" in problems("time: {column: t}\nchannels: {}\n")
    assert "has no time" in problems(MINIMAL.replace("time:\n  column: t\n", ""))
    assert "the catalogue has no device type 'warp-core'" in problems(
        "device: {type: warp-core}\ntime: {column: t}\nchannels: {a: b}\n"
    )


def test_files_of_records_are_known_by_their_names():
    text = (
        MINIMAL
        + "records: [{column: x, kind: repair}, {column: y, kind: failure, file: 'work_*', time: at}]\n"
    )
    beside, (rule,) = parse(text, "m.yaml").rules_of("readings"), parse(text, "m.yaml").rules_of("work_2026")
    assert beside == ()
    assert (rule.column, rule.kind, rule.time) == ("y", "failure", "at")


def test_a_record_of_another_file_cannot_be_about_a_part():
    text = MINIMAL.replace('"{unit}"\n', '"{unit}-{part}"\n  parts: ["1", "2"]\n')
    assert "cannot say which part" in problems(text + "records: [{column: x, kind: repair, file: w}]\n")


def test_a_file_of_records_has_a_time_where_readings_are_counted():
    text = MINIMAL.replace("  column: t\n", '  origin: "2000-01-01T00:00:00Z"\n  step_s: 60\n')
    assert "name it under `time`" in problems(text + "records: [{column: x, kind: repair, file: w}]\n")


def test_a_file_that_is_not_there_is_an_error_with_its_path():
    with pytest.raises(MappingError, match=r"nowhere\.yaml"):
        load(Path("nowhere.yaml"))


def test_ranges_of_columns_keep_leading_zeros():
    assert expanded("t00..3") == ("t00", "t01", "t02", "t03")
    assert expanded("s1..3") == ("s1", "s2", "s3")
    assert expanded("plain..name") == ("plain..name",)
