"""Scores of forecasts held to closed forms and brute force, and calibration to what it should be of a true forecast."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from twins.whatif.verification import bias, coverage, crps, pit

FINITE = st.floats(-1e4, 1e4, width=32)
MAYBE = st.one_of(FINITE, st.just(math.nan))
CASES = st.tuples(st.integers(0, 6), st.integers(0, 12)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=MAYBE), arrays(np.float64, shape[0], elements=MAYBE)
    )
)


def naive_crps(members: np.ndarray, truth: float) -> float:
    x = [each for each in members if not math.isnan(each)]
    m = len(x)
    if m < 2 or math.isnan(truth):
        return math.nan
    pairs = sum(abs(a - b) for a in x for b in x)
    return sum(abs(a - truth) for a in x) / m - pairs / (2 * m * (m - 1))


@given(CASES)
def test_crps_is_as_written_out(both: tuple[np.ndarray, np.ndarray]) -> None:
    members, observed = both
    expected = [naive_crps(x, y) for x, y in zip(members, observed, strict=True)]
    assert crps(members, observed) == pytest.approx(expected, nan_ok=True, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("m", [2, 5, 50])
def test_crps_is_fair_however_few_members(m: int) -> None:
    """The expected score of a normal forecast, Gneiting & Raftery (2007), equation 22 and below."""
    luck = np.random.default_rng(1)
    mu, sigma, truth = 1.0, 2.0, 3.5
    z = (truth - mu) / sigma
    exact = sigma * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    score = crps(luck.normal(mu, sigma, (60_000, m)), np.full(60_000, truth))
    assert score.mean() == pytest.approx(exact, abs=4 * score.std() / math.sqrt(60_000))


def test_the_true_distribution_scores_best() -> None:
    luck = np.random.default_rng(2)
    truth = luck.normal(size=20_000)
    scores = {
        (mu, sigma): crps(luck.normal(mu, sigma, (20_000, 10)), truth).mean()
        for mu in (-0.5, 0.0, 0.5)
        for sigma in (0.5, 1.0, 2.0)
    }
    assert min(scores, key=scores.__getitem__) == (0.0, 1.0)


def test_what_has_not_come_true_is_not_scored() -> None:
    nan, never = math.nan, math.inf
    members = [[1.0, 2.0], [nan, 2.0], [1.0, 2.0], [never, 2.0], [1.0, 2.0]]
    observed = [nan, 1.0, 1.5, 1.5, never]
    assert np.isnan(crps(members, observed)).tolist() == [True, True, False, True, True]
    assert np.isnan(pit(members, observed, seed=1)).tolist() == [True, False, False, False, False]
    assert bias(members[:3], observed[:3]).undefined == 1
    assert crps(np.empty((0, 5)), []).shape == (0,)


@pytest.mark.parametrize(("spread", "calibrated"), [(1.0, True), (0.5, False), (2.0, False)])
def test_coverage_and_pit_tell_who_is_too_sure(spread: float, calibrated: bool) -> None:
    luck = np.random.default_rng(4)
    members, truth = luck.normal(size=(2000, 39)), luck.normal(size=2000) / spread
    for inside in (0.5, 0.8, 0.95):
        assert coverage(members, truth, inside, level=0.999).holds(inside) == calibrated
    assert (stats.kstest(pit(members, truth, seed=8), "uniform").pvalue > 1e-3) == calibrated


def test_pit_is_uniform_for_counts_too() -> None:
    luck = np.random.default_rng(6)
    members, truth = luck.poisson(0.7, (3000, 9)), luck.poisson(0.7, 3000)
    assert stats.kstest(pit(members, truth, seed=8), "uniform").pvalue > 1e-3
    assert (pit(members, truth, seed=8) == pit(members, truth, seed=8)).all()


def test_too_few_members_cover_nothing() -> None:
    found = coverage(np.zeros((5, 10)), np.zeros(5), inside=0.95)
    assert (found.n, found.undefined) == (0, 5)
    assert math.isnan(found.value)


def test_bias_is_found() -> None:
    luck = np.random.default_rng(9)
    found = bias(luck.normal(0.7, 1.0, (4000, 8)), luck.normal(size=4000), level=0.999)
    assert found.holds(0.7)
    assert not found.holds(0.0)


def test_shapes_must_go_together() -> None:
    with pytest.raises(ValueError, match="must be"):
        crps([[1.0, 2.0]], [1.0, 2.0])
