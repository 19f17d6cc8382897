"""Scenarios to copy: each is read, goes together with the catalogue, and teaches."""

import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from serve.vocabulary import device_vocabulary
from twins.rules import rule_vocabulary
from twins.typefiles import load_catalog
from twins.whatif.checking import Surroundings, refuse
from twins.whatif.costing import estimate
from twins.whatif.scenariofiles import (
    TEMPLATES,
    from_document,
    parse_scenario,
    templates,
    to_document,
    to_yaml,
)
from twins.whatif.scenariokeys import INTERVENTIONS
from twins.whatif.scenarioschema import json_schema

CATALOG = load_catalog()
ROOT = Path(__file__).parents[3]
TEXTS = templates()


@pytest.mark.parametrize("name", TEXTS)
def test_a_template_can_be_run_as_it_is(name: str) -> None:
    read = parse_scenario(TEXTS[name], name)
    assert read.scenario.name == name
    assert read.scenario.title.endswith("?")
    around = Surroundings(
        CATALOG, device_vocabulary(CATALOG), rule_vocabulary, models={}, in_force=["centrifugal-pump"]
    )
    refuse(read, around)
    cost = estimate(
        read.scenario, {each: 10 for each in CATALOG if f"'{each}'" in read.scenario.base.devices}, CATALOG
    )
    assert cost.device_steps > 0


@pytest.mark.parametrize("name", TEXTS)
def test_a_template_fits_the_schema_and_comes_back(name: str) -> None:
    assert not [*Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(TEXTS[name]))]
    scenario = parse_scenario(TEXTS[name]).scenario
    assert (
        parse_scenario(to_yaml(scenario)).scenario
        == scenario
        == from_document(to_document(scenario)).scenario
    )


@pytest.mark.parametrize("name", TEXTS)
def test_a_template_teaches(name: str) -> None:
    assert TEXTS[name].startswith("# ")
    assert TEXTS[name].count("#") >= 5


def test_templates_show_what_there_is() -> None:
    scenarios = [parse_scenario(text).scenario for text in TEXTS.values()]
    kinds = {type(change) for each in scenarios for arm in each.arms for change in arm.interventions}
    assert kinds == set(INTERVENTIONS.values()) - {INTERVENTIONS["fault"]}
    assert {arm.policy.kind for each in scenarios for arm in each.arms} == {
        "run_to_failure", "fixed_interval", "threshold", "prognosis",
    }  # fmt: skip


def test_templates_are_part_of_the_package() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ".".join(TEMPLATES.relative_to(ROOT).parts)
    assert package in said["packages"]
    assert said["package-data"][package] == ["*.yaml"]
