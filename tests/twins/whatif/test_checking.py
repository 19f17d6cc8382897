"""Whether scenarios go together, and with their fleet: each thing that does not, at its line and with a way out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from serve.vocabulary import device_vocabulary
from twins.devices import Channel, DeviceType
from twins.filters import Field, Vocabulary
from twins.rules import rule_vocabulary
from twins.typefiles import load_catalog
from twins.whatif.checking import MOST_GROWN, Problem, Surroundings, check, grown_by, refuse, waves
from twins.whatif.errors import ScenarioError
from twins.whatif.scenariofiles import parse_scenario
from twins.whatif.scenarios import Arm, Base, Growth, Policy, Scenario, Span

CATALOG = load_catalog()
BARE = DeviceType("tank", 1, (Channel("level", "m"),))
"""Nobody knows how it wears out."""

GOOD = """\
name: pump-policy
base: {devices: "type = 'centrifugal-pump' and not site = 'porto'"}
horizon_h: 720
stopping: {metric: cost}
resources: {crews: 2, shift: [7, 15], spares: {bearing-set: {stock: 3, lead_h: 72}}}
sql_metrics: [{name: trips, sql: SELECT 1}]
arms:
  - name: run-to-failure
  - name: threshold
    policy: {kind: threshold, when: "health < 60 and vibration > 2", action: overhaul}
    models: {centrifugal-pump: 3}
    costs: {centrifugal-pump: {actions: {overhaul: 5}}}
    rules:
      centrifugal-pump:
        - {name: shaky, when: vibration > 3, priority: high, consequence: It breaks., response: Look.}
    interventions:
      - {ambient: {shift_k: 8, from_h: 24, until_h: 96, every_h: 168, sites: [oslo]}}
      - {load: {factor: 1.1, devices: "site = 'oslo'"}}
      - {grow: {type: centrifugal-pump, count: 3, every_h: 168}}
      - {sensor: {channel: flow, failure: drift, size: 3}}
      - {fault: {mode: bearing-wear, speed: 4, share: 0.1}}
      - {work: {action: overhaul, from_h: 24}}
      - {retire: {devices: "id like 'old-*'", from_h: 48}}
  - {name: forecast, policy: {kind: prognosis}}
"""


def around(types: Mapping[str, DeviceType] = CATALOG, **more: Any) -> Surroundings:
    said = {"models": {"centrifugal-pump": [3]}, "in_force": ["centrifugal-pump"], "sites": ["oslo"], **more}
    return Surroundings(types, device_vocabulary(types), rule_vocabulary, **said)


def problems(text: str, surroundings: Surroundings | None = None) -> list[tuple[int, str]]:
    read = parse_scenario(text)
    return [(each.line, each.problem) for each in check(read.scenario, surroundings or around(), read.lines)]


def test_what_goes_together_is_taken() -> None:
    assert problems(GOOD) == []
    assert problems(GOOD, around(counts={"centrifugal-pump": 5})) == []
    refuse(parse_scenario(GOOD), around())


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("horizon_h: 720", "horizon_h: 721", 3, "bucket_h 24 does not divide horizon_h 721"),
        ("horizon_h: 720", "dispatch_h: 5", 3, "dispatch_h 5 does not divide bucket_h 24"),
        ("horizon_h: 720", "step_s: 7", 3, "step_s 7 does not divide dispatch_h 1"),
        ("horizon_h: 720", "step_s: 2", 3, "shorter than the 5 s between two readings"),
        ("horizon_h: 720", "horizon_h: 87600\nbucket_h: 1", 4, "87600 stretches of 1 h"),
        ("horizon_h: 720", "reference: none", 3, "there is no arm 'none'"),
        ("and not site = 'porto'", "and colour = 'red'", 2, "'colour'"),
        ("base: {", "base: {start: past, ", 2, "there is no moment"),
        ("base: {", "base: {at: \"2026-01-01\", ", 2, "there is a moment"),
        ("base: {", "base: {start: fleet, ", 2, "there is no fleet"),
        ("and not site = 'porto'", "and type = 'chiller'", 2, "no device is forked"),
        ("{metric: cost}", "{metric: downtime_h}", 4, "'downtime_h' is not measured"),
        ("{metric: cost}", "{metric: cost, at_least: 9, at_most: 8}", 4, "at_least 9 is above at_most 8"),
        ("{metric: cost}", "{metric: cost, half_width: 5}", 4, "share of the mean"),
        ("name: trips", "name: cost", 6, "metric 'cost' exists already"),
        ("crews: 2", "crews: 1", 5, "'overhaul' of 'centrifugal-pump' needs 2 people, and there are 1"),
        ("shift: [7, 15]", "shift: [15, 7]", 5, "is empty"),
        ("bearing-set: {stock: 3", "bearing: {stock: 3", 5, "needs 'bearing'"),
        ("bearing-set: {stock: 3", "bearing-set: {stock: 0", 5, "there are never more than 0"),
        ("name: run-to-failure", "name: threshold", 9, "arm 'threshold' exists already"),
        ("- name: run-to-failure", "- {name: a, policy: {when: stale}}", 8, "looks at no condition"),
        ("- name: run-to-failure", "- {name: a, policy: {every_h: 7}}", 8, "has no interval"),
        ("- name: run-to-failure", "- {name: a, policy: {action: overhaul}}", 8, "plans no work"),
        ("health < 60", "helth < 60", 10, "'helth'"),
        ("health < 60 and vibration > 2", " ", 10, "has no condition"),
        ("kind: threshold", "kind: fixed_interval, every_h: 0", 10, "the policy has no interval"),
        ("action: overhaul}", "action: brush-tubes}", 10, "has no action 'brush-tubes'"),
        ("action: overhaul}", "review_h: 1.5}", 10, "no multiple of dispatch_h 1"),
        ("models: {centrifugal-pump: 3}", "models: {centrifugal-pump: 4}", 11, "there is no model 4"),
        ("models: {centrifugal-pump: 3}", "models: {pump: 4}", 11, "no device type 'pump' is installed"),
        ("models: {centrifugal-pump: 3}", "models: {chiller: 4}", 11, "no device of type 'chiller' is forked"),
        ("actions: {overhaul: 5}", "actions: {hug: 5}", 12, "has no action 'hug'"),
        ("when: vibration > 3,", "when: vibrations > 3,", 15, "'vibrations'"),
        ("when: vibration > 3,", "when: vibration > 3, deadband: {flow: 1},", 15, "a deadband for 'flow'"),
        ("every_h: 168, sites", "every_h: 48, sites", 17, "it comes again each 48 h, before it ends"),
        ("until_h: 96, ", "", 17, "never ends"),
        ("until_h: 96, ", "until_h: 24, ", 17, "until_h 24 is not after from_h 24"),
        ("every_h: 168, sites", "every_h: 0.5, sites", 17, "shorter than dispatch_h"),
        ("sites: [oslo]", "sites: [paris]", 17, "no device stands at 'paris'"),
        ("site = 'oslo'\"", "type = 'chiller'\"", 18, "no forked device is taken in"),
        ("site = 'oslo'\"", "site > 'oslo'\"", 18, "column"),
        ("grow: {type: centrifugal-pump", "grow: {type: chiller", 19, "no device of type 'chiller' is forked"),
        ("count: 3", "count: 900000", 16, "4,500,000 devices are added"),
        ("channel: flow", "channel: torque", 20, "no channel 'torque'"),
        ("size: 3", "size: 0", 20, "a drift of size 0 does nothing"),
        ("mode: bearing-wear", "mode: rust", 21, "no failure mode 'rust'"),
        ("speed: 4, ", "", 21, "the fault does nothing"),
        ("work: {action: overhaul", "work: {action: hug", 22, "no action 'hug'"),
        ("from_h: 48", "from_h: 720", 23, "is beyond the horizon"),
        ("from_h: 48", "every_h: 48", 23, "devices leave once"),
    ],
)  # fmt: skip
def test_what_does_not_is_told_with_its_line(old: str, new: str, line: int, problem: str) -> None:
    assert old in GOOD
    told = problems(GOOD.replace(old, new, 1))
    assert any(at == line and problem in what for at, what in told), told


def test_a_policy_of_forecasts_wants_a_model() -> None:
    told = problems(GOOD, around(in_force=[]))
    assert told == [(24, "the policy goes by forecasts, and no model of 'centrifugal-pump' is in force")]
    when = GOOD.replace("health < 60", "p_fail_7d > 0.5").replace("    models: {centrifugal-pump: 3}\n", "")
    assert [line for line, _ in problems(when, around(in_force=[]))] == [10, 23]
    assert problems(GOOD, around(models=None, in_force=[])) == []


def test_a_condition_names_the_rules_of_its_arm() -> None:
    def conditions(device_type: DeviceType) -> Vocabulary:
        flags = {f"alert.{rule.name}": Field("flag") for rule in device_type.rules}
        return Vocabulary({**rule_vocabulary(device_type).fields, **flags})

    surroundings = replace(around(), conditions=conditions)
    assert problems(GOOD.replace("health < 60 and", "alert.shaky and"), surroundings) == []
    told = problems(GOOD.replace("health < 60 and", "alert.silent and"), surroundings)
    assert [line for line, _ in told] == [10]
    broken = GOOD.replace("health < 60 and", "alert.silent and").replace(
        "when: vibration > 3,", "when: shaky > 3,"
    )
    assert [line for line, _ in problems(broken, surroundings)] == [15]


def test_all_problems_are_one_error() -> None:
    text = GOOD.replace("horizon_h: 720", "horizon_h: 721").replace(
        'factor: 1.1, devices: "site', 'factor: 1.1, devices: "sight'
    )
    with pytest.raises(ScenarioError) as caught:
        refuse(parse_scenario(text, "what.yaml"), around())
    assert [caught.value.line, *(line for line, _, _ in caught.value.more)] == [3, 18]
    assert str(caught.value).startswith("what.yaml:3: bucket_h 24 does not divide")


def test_a_scenario_from_no_file_has_no_lines() -> None:
    scenario = Scenario("a", (Arm("b"), Arm("b")), base=Base(devices="type = 'chiller'"))
    assert check(scenario, around()) == (
        Problem(("arms", 1, "name"), 0, "arm 'b' exists already", "give each its own name"),
    )


def test_types_that_may_not_be_there_are_given_the_benefit() -> None:
    """Nobody has counted, and no filter says: a slow type need not be among the live twins. Once counted, it is."""
    everything = Scenario(
        "a", (Arm("b", policy=Policy("threshold", when="vibration > 3", action="overhaul")),)
    )
    assert check(everything, around()) == ()
    told = [each.problem for each in check(everything, around(counts={"centrifugal-pump": 1, "turbofan": 2}))]
    assert any("3600 s between two readings of 'turbofan'" in each for each in told)
    assert any("vibration" in each and "'turbofan'" in each for each in told)
    nowhere = replace(
        everything, arms=(Arm("b", policy=Policy("threshold", when="colour > 3", action="paint")),)
    )
    assert len(check(nowhere, around())) == 2


def test_a_type_of_its_own_policy_is_left_to_it() -> None:
    text = GOOD.replace("type = 'centrifugal-pump' and", "type in ('centrifugal-pump', 'chiller') and")
    told = problems(text, around(in_force=CATALOG))
    assert (10, "'chiller' has no action 'overhaul'") in told
    own = text.replace("crews: 2", "crews: 3").replace(
        "    models:",
        "    policies: {chiller: {kind: nothing}}\n    models:",
    )
    assert problems(own, around(in_force=CATALOG)) == []


RULES = """\
name: levels
base: {devices: "type = 'tank'"}
arms:
  - name: as-now
  - name: later
    rules:
      tank:
        - {name: full, when: level > 9, priority: high, consequence: It spills., response: Close the inlet.}
"""


def test_a_type_without_failure_modes_can_only_be_rehearsed() -> None:
    tank = around({**CATALOG, "tank": BARE})
    assert problems(RULES, tank) == []
    planned = RULES.replace("- name: as-now", "- {name: as-now, policy: {kind: fixed_interval, every_h: 9}}")
    ((line, problem),) = problems(planned, tank)
    assert line == 4
    assert problem.startswith("type 'tank' has no failure modes: nothing says how its devices wear out")
    loaded = RULES.replace("    rules:", "    interventions: [{load: {factor: 2}}]\n    rules:")
    assert [line for line, _ in problems(loaded, tank)] == [6]
    alone = RULES.partition("    rules:")[0]
    assert [line for line, _ in problems(alone, tank)] == [4, 5]


@pytest.mark.parametrize(
    ("span", "times"),
    [
        (Span(), 1), (Span(5.0), 1), (Span(720.0), 0), (Span(every_h=168.0), 5), (Span(every_h=360.0), 2),
        (Span(100.0, 300.0, 100.0), 2), (Span(100.0, 301.0, 100.0), 3), (Span(0.0, 5000.0, 240.0), 3),
    ],
)  # fmt: skip
def test_a_span_begins_so_often(span: Span, times: int) -> None:
    assert waves(span, 720.0) == times
    end_h = min(span.until_h or 720.0, 720.0) if span.every_h else 720.0
    begun = [
        h for h in range(720) if span.from_h <= h < end_h and not (h - span.from_h) % (span.every_h or 720.0)
    ]
    assert len(begun) == times
    assert grown_by(Growth("pump", 7, span=span), 720.0) == 7 * times < MOST_GROWN
