"""Scenarios as files: what they hold, every mistake with its line, and a schema that says the same as the reader."""

import copy
import json
import pickle
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from twins.typefiles import load_catalog
from twins.whatif.errors import ScenarioError
from twins.whatif.scenariofiles import (
    content_hash,
    from_document,
    load_scenario,
    parse_scenario,
    to_document,
    to_yaml,
)
from twins.whatif.scenariokeys import INTERVENTIONS, KEYS, slots
from twins.whatif.scenarios import (
    AmbientChange,
    Arm,
    CostChange,
    Growth,
    LoadChange,
    Operator,
    Policy,
    Resources,
    Scenario,
    SensorInjection,
    Span,
    Spare,
    Stopping,
)
from twins.whatif.scenarioschema import json_schema

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

GOOD = """\
name: pump-policy
title: Which policy?
base: {start: past, at: "2026-01-01T01:00:00+01:00", devices: "type = 'centrifugal-pump'"}
horizon_h: 720
stopping: {metric: cost, half_width: 0.1}
resources: {crews: 2, shift: [7, 15], weekends: false, spares: {bearing-set: {stock: 3, lead_h: 72}}}
operator: {acknowledge_s: 60}
arms:
  - {name: run-to-failure, policy: {kind: run_to_failure}}
  - name: threshold
    policy: {kind: threshold, when: "health < 60", action: overhaul}
    policies: {gateway: {kind: nothing}}
    resources: {crews: null, duration: exponential}
    operator: {present: false}
    models: {centrifugal-pump: 3}
    costs: {centrifugal-pump: {downtime_per_h: 4, actions: {overhaul: 5}}}
    rules:
      centrifugal-pump:
        - {name: shaky, when: vibration > 3, priority: high, consequence: It breaks., response: Look., on_delay_s: 60}
    interventions:
      - {ambient: {shift_k: 8, from_h: 24, until_h: 96}}
      - {load: {factor: 1.1, devices: "site = 'oslo'"}}
      - {grow: {type: chiller, count: 3, every_h: 168}}
      - {sensor: {channel: flow, failure: drift, size: 3}}
"""


def test_a_file_becomes_a_scenario() -> None:
    scenario = parse_scenario(GOOD).scenario
    assert scenario.base.at_us == 1_767_225_600_000_000
    assert scenario.stopping == Stopping("cost", 0.1)
    assert scenario.resources.spares == {"bearing-set": Spare(3, 72.0)}
    first, second = scenario.arms
    assert first == Arm("run-to-failure")
    assert second.policy == Policy("threshold", when="health < 60", action="overhaul")
    assert second.policies == {"gateway": Policy("nothing")}
    assert second.costs == {"centrifugal-pump": CostChange(4.0, {"overhaul": 5.0})}
    assert second.rules["centrifugal-pump"][0]["on_delay_s"] == 60.0
    assert second.interventions == (
        AmbientChange(8.0, span=Span(24.0, 96.0)),
        LoadChange(1.1, "site = 'oslo'"),
        Growth("chiller", 3, span=Span(every_h=168.0)),
        SensorInjection("flow", "drift", 3.0),
    )


def test_an_arm_says_only_where_it_differs() -> None:
    scenario = parse_scenario(GOOD).scenario
    ours = scenario.resources
    assert scenario.arms[0].resources is None
    assert scenario.arms[1].resources == replace(ours, crews=None, duration="exponential")
    assert scenario.arms[1].operator == Operator(present=False, acknowledge_s=60.0)
    written = to_document(scenario)["arms"][1]
    assert written["resources"] == {"crews": None, "duration": "exponential"}
    same = replace(scenario, arms=(Arm("a", resources=ours), Arm("b", resources=Resources())))
    assert from_document(to_document(same)).scenario == same


def test_every_key_has_its_line() -> None:
    lines = parse_scenario(GOOD).lines
    assert lines["base", "devices"] == 3
    assert lines["arms", 1] == 10
    assert lines["arms", 1, "policy", "when"] == 11
    assert lines["arms", 1, "interventions", 1, "load", "devices"] == 22
    assert lines["arms", 1, "rules", "centrifugal-pump", 0, "when"] == 19
    assert lines["resources", "spares", "bearing-set", "lead_h"] == 6


def test_what_was_written_is_read_back_equal() -> None:
    scenario = parse_scenario(GOOD).scenario
    assert parse_scenario(to_yaml(scenario)).scenario == scenario
    assert from_document(to_document(scenario)).scenario == scenario
    assert parse_scenario(json.dumps(to_document(scenario))).scenario == scenario


def test_equal_scenarios_have_equal_hashes() -> None:
    scenario = parse_scenario(GOOD).scenario
    assert content_hash(replace(scenario, horizon_h=720)) == content_hash(scenario)
    assert content_hash(parse_scenario(to_yaml(scenario)).scenario) == content_hash(scenario)
    assert content_hash(replace(scenario, seed=2)) != content_hash(scenario)


def test_json_may_write_characters_in_two_halves() -> None:
    text = json.dumps({"name": "a", "title": "pumps 😀", "arms": [{"name": "b"}]}, indent="\t")
    assert "\\ud83d" in text
    assert parse_scenario(text).scenario.title == "pumps 😀"


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("horizon_h: 720", "horizon_h: 30 d", 4, "horizon_h of the file is text ('30 d')"),
        ("half_width: 0.1", "halfwidth: 0.1", 5, "unknown key 'halfwidth'"),
        ("shift: [7, 15]", "shift: [7, 25]", 6, "shift of resources of the file is [7, 25]"),
        ("shift: [7, 15]", "shift: [7]", 6, "1 numbers"),
        ("crews: 2", "crews: 2.5", 6, "crews of resources of the file is 2.5"),
        ("{stock: 3", "{stock: -1", 6, "stock"),
        ("name: run-to-failure", "name: run to failure", 9, "name of arm 'run to failure'"),
        ("kind: run_to_failure", "kind: run_to_failur", 9, "'run_to_failur'"),
        ("- {load:", "- {lod:", 22, "has 0 keys that say what it is"),
        ("- {load: {factor: 1.1", "- {retire: {}, load: {factor: 1.1", 22, "has 2 keys that say what it is"),
        ("factor: 1.1", "factor: much", 22, "factor of load of intervention 2 of arm 'threshold' is text"),
        ("failure: drift, ", "", 24, "has no failure"),
        ("2026-01-01T", "2026-13-01T", 3, "is no time"),
        ("2026-01-01T01:00:00+01:00", "20260101", 3, "is no time"),
        ("priority: high", "priority: highest", 19, "priority of rule 'shaky'"),
        ("arms:", "arm:", 1, "has no arms"),
        ("models: {centrifugal-pump: 3}", "models: [3]", 15, "models of arm 'threshold' is a list"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(GOOD.replace(old, new, 1), "what.yaml")
    told = [(at, what) for at, what, _ in ((caught.value.line, caught.value.problem, ""), *caught.value.more)]
    assert any(at == line and problem in what for at, what in told), told


def test_all_mistakes_are_told_together() -> None:
    text = GOOD.replace("720", "x").replace("crews: 2", "crews: -2").replace("factor: 1.1", "factor: 99")
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "what.yaml")
    assert [caught.value.line, *(line for line, _, _ in caught.value.more)] == [4, 6, 22]
    assert str(caught.value).startswith("what.yaml:4: horizon_h")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_scenario_without_arms_is_refused() -> None:
    with pytest.raises(ScenarioError, match="list at least one"):
        parse_scenario("name: a\narms: []\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml:1: the file cannot be read"):
        load_scenario(tmp_path / "nowhere.yaml")


def test_every_field_is_a_key_and_has_its_text() -> None:
    for section, keys in KEYS.items():
        named = {each.name for each in fields(section)} - {"span"}
        assert named == set(keys), section
        assert all(key.text for key in keys.values())
        for slot in slots(section):
            if not slot.required and isinstance(slot.default(), float):
                assert slot.key.low <= slot.default() <= slot.key.high, slot


def test_the_schema_is_one_and_takes_the_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert not [*VALIDATOR.iter_errors(to_document(parse_scenario(GOOD).scenario))]
    assert set(SCHEMA["$defs"]["Intervention"]["properties"]) == set(INTERVENTIONS)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema of the kind that ``json_schema`` makes."""
    if "$ref" in schema:
        return st.deferred(lambda: values(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of(*(_of(kind, schema) for kind in kinds))


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=6)


def _of(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(low, high)
        case "number":
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems", 2)
            return st.lists(values(schema["items"]), min_size=least, max_size=most)
    if kind == "string" and schema.get("pattern", "").startswith(r"^(?:\d{4}"):
        return st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    if kind == "string":
        return (
            st.from_regex(
                schema["pattern"].replace("$", r"\Z"), fullmatch=True, alphabet=st.characters(codec="ascii")
            )
            if "pattern" in schema
            else TEXT
        )
    if schema.get("additionalProperties"):
        return st.dictionaries(TEXT, values(schema["additionalProperties"]), max_size=2)
    parts = {name: values(part) for name, part in schema["properties"].items()}
    if schema.get("maxProperties") == 1:
        return st.one_of(*(st.fixed_dictionaries({name: part}) for name, part in parts.items()))
    required = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: parts[name] for name in required},
        optional={name: part for name, part in parts.items() if name not in required},
    )


DOCUMENTS = values({key: value for key, value in SCHEMA.items() if key != "$defs"})
ODD = st.one_of(
    st.none(), st.booleans(), st.sampled_from([-1, 0, 2, 0.5, 1e9, 1e300]), st.just("x"), st.just([]), st.just({}),
    st.just(["x"]), st.just([1, 2]), st.just({"x": 1}),
)  # fmt: skip


@settings(max_examples=60)
@given(DOCUMENTS)
def test_what_the_schema_takes_is_read_and_comes_back(document: dict[str, Any]) -> None:
    read = from_document(document)
    again = from_document(to_document(read.scenario))
    assert again.scenario == read.scenario
    assert content_hash(again.scenario) == content_hash(read.scenario)
    assert parse_scenario(to_yaml(read.scenario)).scenario == read.scenario
    assert not [*VALIDATOR.iter_errors(to_document(read.scenario))]


@settings(max_examples=150)
@given(DOCUMENTS, st.data())
def test_schema_and_reader_refuse_the_same(document: dict[str, Any], data: st.DataObject) -> None:
    spoilt = copy.deepcopy(document)
    holder, key = data.draw(st.sampled_from([*_places(spoilt)]))
    match data.draw(st.sampled_from(["change", "drop", "add"])):
        case "change":
            holder[key] = data.draw(ODD)
        case "drop":
            del holder[key]
        case _ if isinstance(holder, dict):
            holder["unheard_of"] = data.draw(ODD)
    fits = VALIDATOR.is_valid(spoilt)
    if fits:
        from_document(spoilt)
        return
    with pytest.raises(ScenarioError) as caught:
        from_document(spoilt)
    assert 1 <= caught.value.line <= len(json.dumps(spoilt, indent=1).splitlines())


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys, below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def test_types_of_the_catalogue_can_be_named() -> None:
    """A name of a type is a key like any other."""
    document = {"name": "a", "arms": [{"name": "b", "models": dict.fromkeys(load_catalog(), 1)}]}
    assert from_document(document).scenario == Scenario(
        "a", (Arm("b", models=dict.fromkeys(load_catalog(), 1)),)
    )
