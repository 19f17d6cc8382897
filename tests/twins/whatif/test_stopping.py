"""Replications stop when the interval is narrow, not before, and the interval is then what it says."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twins.whatif.intervals import mean
from twins.whatif.stopping import StoppingRule, is_narrow, more_wanted

RULES = st.builds(
    StoppingRule,
    absolute=st.one_of(st.none(), st.floats(1e-3, 1e3)),
    relative=st.one_of(st.none(), st.floats(1e-3, 2.0)),
    level=st.sampled_from([0.8, 0.95]),
    at_least=st.integers(2, 30),
    at_most=st.integers(30, 90),
    batch=st.integers(1, 12),
)


def run(rule: StoppingRule, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    values = np.empty(0)
    while more := more_wanted(values, rule):
        values = np.concatenate([values, draw(more)])
    return values


@given(
    arrays(
        np.float64,
        st.integers(0, 95),
        elements=st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf])),
    ),
    RULES,
)
def test_what_is_asked_for_keeps_within_the_rule(values: np.ndarray, rule: StoppingRule) -> None:
    more = more_wanted(values, rule)
    defined = int((~np.isnan(values)).sum())
    assert 0 <= more <= max(rule.at_most - len(values), 0)
    assert more % rule.batch == 0 or len(values) + more == rule.at_most
    if defined < rule.at_least and len(values) < rule.at_most:
        assert more > 0
    if more == 0 and len(values) < rule.at_most:
        assert defined >= rule.at_least
        assert is_narrow(values, rule) or (rule.absolute is None and rule.relative is None)
    if is_narrow(values, rule) and defined >= rule.at_least:
        assert more == 0


@given(RULES, st.integers(0, 1000))
def test_every_run_ends(rule: StoppingRule, seed: int) -> None:
    luck = np.random.default_rng(seed)
    values = run(rule, lambda n: np.where(luck.random(n) < 0.2, np.nan, luck.normal(1.0, 2.0, n)))
    assert len(values) <= rule.at_most
    assert is_narrow(values, rule) or len(values) == rule.at_most or rule.absolute is rule.relative is None


def test_a_difference_is_held_against_its_reference() -> None:
    luck = np.random.default_rng(29)
    reference = luck.normal(100.0, 10.0, 40)
    differences = luck.normal(0.0, 1.0, 40)
    rule = StoppingRule(relative=0.05)
    assert more_wanted(differences, rule) > 0
    assert not is_narrow(differences, rule)
    assert more_wanted(differences, rule, relative_to=reference) == 0
    assert is_narrow(differences, rule, relative_to=-reference)
    assert more_wanted(differences, StoppingRule(relative=0.001), relative_to=reference) > 0


def test_agreement_of_a_few_is_not_enough() -> None:
    rule = StoppingRule(absolute=1.0, at_least=10, batch=5)
    assert more_wanted(np.zeros(9), rule) == 5
    assert more_wanted(np.zeros(10), rule) == 0


def test_a_step_never_more_than_doubles() -> None:
    assert more_wanted(np.arange(20.0), StoppingRule(absolute=1e-3, at_most=100_000)) == 20
    assert more_wanted(np.tile([0.0, 1.0], 50), StoppingRule(absolute=0.099, at_most=100_000)) == 10


def test_a_relative_width_about_zero_goes_on_to_the_end() -> None:
    values = np.tile([-1.0, 1.0], 20)
    assert more_wanted(values, StoppingRule(relative=0.1, at_most=50)) == 10
    assert more_wanted(values, StoppingRule(relative=0.1, absolute=1.0, at_most=50)) == 0


@pytest.mark.parametrize(
    "rule",
    [
        StoppingRule(absolute=0.3),
        StoppingRule(relative=0.1),
        StoppingRule(absolute=0.4, level=0.9, at_least=10, batch=1),
    ],
)
@pytest.mark.parametrize("shape", ["normal", "gamma"])
def test_the_final_interval_covers_nearly_as_often_as_it_says(rule: StoppingRule, shape: str) -> None:
    """Stopping when narrow costs a little coverage: less than two points of normal values here, three of skewed ones."""
    luck = np.random.default_rng(23)
    draws = {"normal": lambda n: luck.normal(4.0, 1.0, n), "gamma": lambda n: luck.gamma(4.0, 1.0, n)}
    found = [mean(run(rule, draws[shape]), rule.level) for _ in range(1500)]
    covered = np.mean([each.holds(4.0) for each in found])
    spread = math.sqrt(rule.level * (1 - rule.level) / 1500)
    assert covered > rule.level - {"normal": 0.02, "gamma": 0.03}[shape] - 3 * spread
    assert min(each.n for each in found) >= rule.at_least


def test_rules_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"absolute": 0.0},
        {"relative": -1.0},
        {"absolute": math.nan},
        {"level": 1.0},
        {"at_least": 1},
        {"at_least": 20, "at_most": 10},
        {"batch": 0},
    ):
        with pytest.raises(ValueError, match="must be"):
            StoppingRule(**wrong)  # type: ignore[arg-type]  # fields by name
