"""Reading device types: whole files, and every mistake with its line and remedy."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins.devices import (
    Channel,
    DeviceCommand,
    DeviceType,
    Effect,
    FailureMode,
    LoadProfile,
    Parameter,
    Property,
    Response,
)
from twins.documents import MAX_PROBLEMS
from twins.errors import DeviceTypeError
from twins.typefiles import content_hash, from_document, load_catalog, load_type, parse_type, to_document

GOOD = """\
name: small-pump
version: 2
interval_s: 5
load: {mean: 0.6, daily: 0.1}
conditions:
  - {channel: speed, edges: [1000, 2000]}
channels:
  - name: speed
    unit: "{rev}/min"
    low: 0
    high: 4000
    condition: true
    response: {load_gain: 2900}
  - name: vibration
    unit: mm/s
    low: 0
    high: 50
    resolution: 0.01
    response: {base: 1, noise: 1e-2}
failure_modes:
  - name: wear
    rate_per_h: 1e-4
    growth_exponent: 1
    effects:
      - {channel: vibration, shift: 8}
rules:
  - name: vibration-high
    when: vibration > 7.1 and health < 60
    priority: high
    deadband: {vibration: 0.5}
    consequence: It breaks.
    response: Stop it.
    suppressed_by: [stale]
actions:
  - name: mend
    kind: repair
    cost: 100
    resets: {wear: 1}
"""


def test_a_file_becomes_a_type() -> None:
    found = parse_type(GOOD)
    assert (found.name, found.version, found.interval_s) == ("small-pump", 2, 5.0)
    assert found.channels[1] == Channel(
        "vibration", "mm/s", low=0.0, high=50.0, resolution=0.01, response=Response(base=1.0, noise=0.01)
    )
    assert found.conditions[0].edges == (1000.0, 2000.0)
    assert found.failure_modes == (
        FailureMode("wear", rate_per_h=1e-4, growth_exponent=1.0, effects=(Effect("vibration", shift=8.0),)),
    )
    assert found.rules[0].deadband == {"vibration": 0.5}
    assert found.rules[0].suppressed_by == ("stale",)
    assert found.actions[0].resets == {"wear": 1.0}
    assert found.load == LoadProfile(mean=0.6, daily=0.1)


# what is replaced in GOOD, by what, and what is to be said in which line
MISTAKES = [
    ("interval_s: 5", "intervall_s: 5", 3, "unknown key 'intervall_s'", "did you mean 'interval_s'"),
    ("version: 2", "version: two", 2, "version of the file is text ('two')", "finite number"),
    ("version: 2", "version: 2\nversion: 3", 3, "given twice, first in line 2", "keep one"),
    ("name: small-pump", "name: Small Pump", 1, "'Small Pump' cannot be a name", "centrifugal-pump"),
    ("interval_s: 5", "interval_s: -5", 3, "interval_s is -5", "above zero"),
    ("channel: speed, edges", "channel: sped, edges", 6, "no channel 'sped'", "one of speed, vibration"),
    ("[1000, 2000]", "[2000, 1000]", 6, "do not rise", "from low to high"),
    ("[1000, 2000]", "[1000, 5000]", 6, "outside the range", "cut inside"),
    ("    condition: true\n", "", 6, "is no condition channel", "condition: true"),
    ("name: vibration\n", "name: speed\n", 14, "'speed' exists already, in line 8", "its own name"),
    (
        "name: vibration\n",
        "name: health\n",
        14,
        "'health' is a name that rules and tables use",
        "choose another",
    ),
    ("unit: mm/s", "unit: mm/sec", 15, "'mm/sec' is no UCUM code", "ucum.org"),
    ("unit: mm/s", "unit: 1", 15, "is a number ('1'), not text", "quotes"),
    ("    unit: mm/s\n", "", 14, "channel 'vibration' has no unit", "add a line `unit: …`"),
    ("high: 50", "high: -50", 16, "low 0 is not below high -50", "physically possible"),
    ("resolution: 0.01", "resolution: -0.01", 18, "resolution -0.01 is negative", "or 0"),
    ("resolution: 0.01", "resolution: 1e-7", 18, "float32 cannot tell", "dtype: float64"),
    ("base: 1, noise", "base: 90, noise", 19, "responds with 90, outside 0 to 50", "widen low and high"),
    ("noise: 1e-2", "noise: -1", 19, "noise of response of channel 'vibration' is -1", "at least 0"),
    ("noise: 1e-2", "noise: .nan", 19, "is a number ('.nan')", "finite number"),
    ("base: 1, noise", "base: 1, curve: [[1, 2], [1, 3]], noise", 19, "do not rise", "each load once"),
    ("rate_per_h: 1e-4", "rate_per_h: 0", 22, "rate_per_h is 0", "above 0"),
    (
        "growth_exponent: 1",
        "growth_exponent: 9",
        23,
        "growth_exponent of failure mode 'wear' is 9",
        "from 0 to 3",
    ),
    ("channel: vibration, shift: 8", "channel: noise, shift: 8", 25, "no channel 'noise'", "one of speed"),
    ("channel: vibration, shift: 8", "channel: speed, shift: 8", 25, "is a condition channel", "responds"),
    ("channel: vibration, shift: 8", "channel: vibration", 25, "does nothing", "shift or a noise_factor"),
    ("vibration > 7.1", "vibrations > 7.1", 28, "'vibrations' is not a field here", "did you mean vibration"),
    ("vibration > 7.1", "vibration > > 7.1", 28, "(column 13 of", "write a number"),
    (
        "priority: high",
        "priority: hi",
        29,
        "priority of rule 'vibration-high' is 'hi'",
        "did you mean 'high'",
    ),
    ("    priority: high\n", "", 27, "rule 'vibration-high' has no priority", "add a line"),
    (
        "deadband: {vibration: 0.5}",
        "deadband: {speed: 0.5}",
        30,
        "a deadband for 'speed'",
        "drop the deadband",
    ),
    ("    consequence: It breaks.\n", "", 27, "has no consequence", "add a line"),
    ("    response: Stop it.\n", "", 27, "has no response", "add a line"),
    ("response: Stop it.", 'response: ""', 32, "response of rule 'vibration-high' is empty", "ISA-18.2"),
    ("[stale]", "[silent]", 33, "holds 'silent'", "stale, alert, out_of_service"),
    ("kind: repair", "kind: mending", 36, "is 'mending'", "inspection, repair, replacement"),
    ("resets: {wear: 1}", "resets: {ware: 1}", 38, "no failure mode 'ware'", "one of wear"),
    ("resets: {wear: 1}", "resets: {wear: 2}", 38, "wear of resets of action 'mend' is 2", "from 0 to 1"),
    ("daily: 0.1", "levels: [0.3, 9]", 4, "a level lies outside", "widen"),
    ("load: {mean: 0.6", "load: &anchor {mean: 0.6", 4, "anchors and aliases", "write the value out"),
    ("version: 2", "version: [2", 3, "not YAML", "indentation"),
    ("channels:\n", "channels: none\nchanels:\n", 7, "channels of the file is text", "write a list"),
]


@pytest.mark.parametrize(("old", "new", "line", "problem", "remedy"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_remedy(
    old: str, new: str, line: int, problem: str, remedy: str
) -> None:
    assert old in GOOD
    with pytest.raises(DeviceTypeError) as raised:
        parse_type(GOOD.replace(old, new, 1), "pump.yaml")
    said = str(raised.value)
    found = [text for text in said.splitlines() if text.startswith(f"pump.yaml:{line}: ")]
    assert any(problem in text and remedy in text for text in found), said


def test_all_mistakes_of_a_file_are_told_in_order() -> None:
    wrong = (
        GOOD.replace("mm/s", "mm/sec")
        .replace("priority: high", "priority: hi")
        .replace("cost: 100", "cost: -1")
    )
    with pytest.raises(DeviceTypeError) as raised:
        parse_type(wrong, "pump.yaml")
    assert raised.value.line == 15
    assert [line for line, _, _ in raised.value.more] == [29, 37]


def test_a_hopeless_file_is_not_recited_whole() -> None:
    wrong = GOOD + "".join(f"key_{i}: 1\n" for i in range(100))
    with pytest.raises(DeviceTypeError) as raised:
        parse_type(wrong)
    assert len(str(raised.value).splitlines()) == MAX_PROBLEMS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "name: x\n---\nname: y\n",
        "[" * 100,
        "a: " * 2000,
        "x" * 1_100_000,
        "a: !!python/object:os.system b",
    ],
)
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(DeviceTypeError):
        parse_type(text)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60), st.integers(0, len(GOOD)))
def test_no_text_makes_the_reader_fail_in_another_way(rubbish: str, at: int) -> None:
    with contextlib.suppress(DeviceTypeError):
        parse_type(GOOD[:at] + rubbish + GOOD[at:])


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceTypeError, match="cannot be read"):
        load_type(tmp_path / "none.yaml")


def test_documents_are_json_and_lossless() -> None:
    for device_type in load_catalog().values():
        text = json.dumps(to_document(device_type))
        assert from_document(json.loads(text)) == device_type


def test_a_document_is_checked_like_a_file() -> None:
    document = to_document(parse_type(GOOD))
    document["rules"][0]["priority"] = "hi"
    with pytest.raises(DeviceTypeError, match="did you mean 'high'"):
        from_document(document)


def test_the_hash_tells_types_apart_and_nothing_else() -> None:
    one, same = parse_type(GOOD), parse_type("# a remark\n" + GOOD)
    assert content_hash(one) == content_hash(same)
    assert content_hash(one) != content_hash(replace(one, version=3))
    assert content_hash(DeviceType("a", 1, (Channel("x", "1"),))) == content_hash(
        DeviceType("a", 1, (Channel("x", "1", low=-float("inf")),))
    )


def test_a_users_folder_adds_types_and_replaces_them(tmp_path: Path) -> None:
    (tmp_path / "small-pump.yaml").write_text(GOOD)
    (tmp_path / "gearbox.yaml").write_text(GOOD.replace("small-pump", "gearbox"))
    types = load_catalog([tmp_path])
    assert types["small-pump"].version == 2
    assert len(types["gearbox"].channels) == 2
    assert list(load_catalog([tmp_path], built_in=False)) == ["gearbox", "small-pump"]


def test_two_files_of_one_folder_cannot_describe_the_same_type(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(DeviceTypeError, match=r"b\.yaml:1: .*a\.yaml as well"):
        load_catalog([tmp_path])


ASKED = (
    GOOD
    + """\
properties:
  - name: speed_setpoint
    unit: "{rev}/min"
    low: 1000
    high: 3000
    resolution: 1
    expires_s: 60
  - name: mode
    kind: enum
    choices: [auto, manual]
    role: engineer
commands:
  - name: stop
    repeatable: true
    parameters:
      - {name: ramp_s, unit: s, low: 0, high: 60, required: false}
"""
)


def test_a_type_says_what_can_be_asked_of_its_devices() -> None:
    found = parse_type(ASKED)
    assert found.properties[0] == Property(
        "speed_setpoint", unit="{rev}/min", low=1000, high=3000, resolution=1, expires_s=60
    )
    assert found.properties[1].choices == ("auto", "manual")
    ramp = Parameter("ramp_s", unit="s", low=0, high=60, required=False)
    assert found.commands == (DeviceCommand("stop", parameters=(ramp,), repeatable=True),)
    assert from_document(to_document(found)) == found
    assert parse_type(GOOD).properties == parse_type(GOOD).commands == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("    low: 1000\n    high", "    low: 4000\n    high", 42, "low 4000 is not below high 3000"),
        ('{rev}/min"\n    low: 1000', 'rpm"\n    low: 1000', 41, "'rpm' is no UCUM code"),
        ("resolution: 1\n    expires", "resolution: 1e-12\n    expires", 44, "does not fit the range"),
        ("expires_s: 60", "expires_s: 0", 45, "expires_s is 0"),
        ("expires_s: 60", "expires_s: 604801", 45, "expires_s is 604801"),
        ("name: mode", "name: speed_setpoint", 46, "exists already, in line 40"),
        ("name: mode", "name: Mode-1", 46, "'Mode-1' cannot be a name here"),
        ("    choices: [auto, manual]\n", "", 46, "of kind enum and has 0 choices"),
        ("kind: enum", "kind: string", 48, "of kind string and has 2 choices"),
        ("kind: enum", "kind: enum\n    unit: s", 48, "is of kind enum, which has no unit"),
        ("[auto, manual]", "[auto, auto]", 48, "one twice"),
        ("[auto, manual]", "[auto, off]", 48, "holds true or false ('off')"),
        ("role: engineer", "role: king", 49, "it is one of operator, engineer, admin, nobody"),
        ("repeatable: true", "repeatable: perhaps", 52, "write true or false"),
        ("repeatable: true", "repeats: true", 52, "unknown key 'repeats'"),
        ("unit: s, low", "unit: s, low: 99, lo", 54, "low 99 is not below high 60"),
    ],
)
def test_what_is_wrong_with_what_can_be_asked_has_its_line(
    old: str, new: str, line: int, problem: str
) -> None:
    assert ASKED.count(old) >= 1
    with pytest.raises(DeviceTypeError) as raised:
        parse_type(ASKED.replace(old, new), "pump.yaml")
    said = [text for text in str(raised.value).splitlines() if text.startswith(f"pump.yaml:{line}: ")]
    assert any(problem in text for text in said), str(raised.value)
