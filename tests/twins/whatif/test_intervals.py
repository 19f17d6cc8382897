"""Intervals held to closed forms, to brute force, and to what they promise, by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from twins.whatif.intervals import Estimate, against_best, fan, mean, paired, quantile, share

FINITE = st.floats(-1e6, 1e6, width=32)
MAYBE = st.one_of(FINITE, st.just(math.nan))


def enough(hits: int, runs: int, promised: float) -> bool:
    """Whether hits of runs do not speak against a promised probability, but for one time in ten thousand."""
    return hits >= stats.binom.ppf(1e-4, runs, promised)


@given(arrays(np.float64, st.integers(2, 30), elements=FINITE), st.floats(0.5, 0.999))
def test_a_mean_is_as_scipy_has_it(values: np.ndarray, level: float) -> None:
    found = mean(values, level)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(level) if np.ptp(values) else None
    assert found.value == pytest.approx(values.mean())
    if expected is not None:
        assert found.low == pytest.approx(expected.low, rel=1e-6, abs=1e-6)
        assert found.high == pytest.approx(expected.high, rel=1e-6, abs=1e-6)


@given(arrays(np.float64, st.integers(0, 30), elements=MAYBE))
def test_what_has_no_value_is_counted_and_left_out(values: np.ndarray) -> None:
    known = values[~np.isnan(values)]
    found = mean(values)
    assert (found.n, found.undefined) == (len(known), len(values) - len(known))
    alone = mean(known)
    assert (found.low, found.high) == (alone.low, alone.high)
    low, high = quantile(values, 0.3).low, quantile(values, 0.3).high
    assert (low, high) == (quantile(known, 0.3).low, quantile(known, 0.3).high)


@pytest.mark.parametrize("values", [[], [math.nan], [3.0], [3.0, math.nan]])
def test_of_one_replication_nothing_is_bounded(values: list[float]) -> None:
    for found in (mean(values), quantile(values, 0.5)):
        assert (found.low, found.high) == (-math.inf, math.inf)
        assert found.half_width == math.inf
        assert math.isnan(found.value) == (found.n == 0)
    found = paired(values, [1.0] * len(values), lower_is_better=True)
    assert found.difference.half_width == math.inf
    assert math.isnan(found.p_mean_better)
    assert math.isnan(found.correlation)
    assert math.isnan(found.variance_ratio)
    band = fan(np.reshape(values, (-1, 1)))
    assert np.isneginf(band.low).all()
    assert np.isposinf(band.high).all()


def test_a_mean_with_never_among_its_values_has_no_bounds() -> None:
    found = mean([1.0, 2.0, math.inf])
    assert (found.value, found.low, found.high) == (math.inf, -math.inf, math.inf)
    assert quantile([1.0, 2.0, math.inf], 0.5).value == 2.0
    both = paired([1.0, math.inf, 3.0], [2.0, math.inf, math.inf], lower_is_better=False)
    assert both.share_better.value == 0.0
    assert both.share_tied == pytest.approx(1 / 3)
    assert math.isnan(both.p_mean_better)
    assert math.isnan(both.correlation)


@pytest.mark.parametrize("n", [5, 20, 60])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_means_of_normal_values_are_covered_as_often_as_promised(n: int, level: float) -> None:
    luck = np.random.default_rng(7)
    hits = sum(mean(luck.normal(10.0, 3.0, n), level).holds(10.0) for _ in range(2000))
    assert enough(hits, 2000, level)
    assert enough(2000 - hits, 2000, 1 - level)


@pytest.mark.parametrize(("n", "q"), [(8, 0.5), (15, 0.1), (40, 0.9), (200, 0.95), (3, 0.5)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_ranks_of_a_quantile_are_those_of_brute_force(n: int, q: float, level: float) -> None:
    found = quantile(np.arange(1.0, n + 1), q, level)
    tail = (1 - level) / 2
    chance = [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)]
    below = max(r for r in range(n + 1) if sum(chance[:r]) <= tail + 1e-15)
    above = min(r for r in range(1, n + 2) if sum(chance[r:]) <= tail + 1e-15)
    assert found.low == (below if below else -math.inf)
    assert found.high == (above if above <= n else math.inf)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("ties", [False, True])
def test_quantiles_are_covered_whatever_the_distribution(q: float, ties: bool) -> None:
    luck = np.random.default_rng(11)
    of = stats.geom(0.3) if ties else stats.lognorm(1.0)
    truth = of.ppf(q)
    hits = sum(quantile(of.rvs(60, random_state=luck), q, 0.9).holds(truth) for _ in range(1500))
    assert enough(hits, 1500, 0.9)


@given(arrays(np.float64, st.integers(1, 40), elements=FINITE), st.floats(0.01, 0.99))
def test_a_quantile_lies_within_its_interval_and_its_values(values: np.ndarray, q: float) -> None:
    found = quantile(values, q)
    assert values.min() <= found.value <= values.max()
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5])
def test_shares_are_covered_on_average(p: float) -> None:
    """Jeffreys' interval covers on average over p, not at each: a tenth below nominal is tolerated at one."""
    covered = sum(stats.binom.pmf(k, 40, p) * share(k, 40).holds(p) for k in range(41))
    assert covered > 0.89


def test_shares_cover_at_their_level_over_all_probabilities() -> None:
    grid = np.linspace(0.005, 0.995, 199)
    found = [share(k, 40) for k in range(41)]
    covered = [sum(stats.binom.pmf(k, 40, p) * found[k].holds(p) for k in range(41)) for p in grid]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_a_share_of_none_is_unknown() -> None:
    found = share(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)


@given(
    st.integers(0, 25).flatmap(
        lambda n: st.tuples(*(arrays(np.float64, n, elements=MAYBE) for _ in range(2)))
    ),
    st.booleans(),
)
def test_who_is_better_is_the_mirror_of_who_is_worse(
    both: tuple[np.ndarray, np.ndarray], lower: bool
) -> None:
    one, other = paired(*both, lower_is_better=lower), paired(*both[::-1], lower_is_better=lower)
    kept = ~np.isnan(both[0] + both[1])
    a, b = both[0][kept], both[1][kept]
    assert one.difference.n == one.share_better.n == kept.sum()
    assert one.difference.low == pytest.approx(-other.difference.high)
    if len(a):
        wins = (a < b) if lower else (a > b)
        assert one.share_better.value == wins.mean()
        assert one.share_better.value + other.share_better.value + one.share_tied == pytest.approx(1.0)
    if len(a) > 1 and np.ptp(a - b) > 0:
        assert one.p_mean_better + other.p_mean_better == pytest.approx(1.0)
        assert one.p_mean_better == pytest.approx(
            stats.ttest_rel(a, b, alternative="greater" if lower else "less").pvalue, abs=1e-9
        )
        assert one.variance_ratio == pytest.approx((a - b).var() / (a.var() + b.var()))


def test_shared_luck_is_reported_as_it_was_achieved() -> None:
    luck = np.random.default_rng(3)
    shared, a, b = luck.normal(size=(3, 20_000))
    found = paired(shared + 0.5 * a, 1 + shared + 0.5 * b, lower_is_better=True)
    assert found.correlation == pytest.approx(0.8, abs=0.01)
    assert found.variance_ratio == pytest.approx(0.2, abs=0.01)
    assert found.share_better.holds(stats.norm.cdf(1 / math.sqrt(0.5)))
    assert found.difference.holds(-1.0)


def test_arms_that_never_differ_are_no_better() -> None:
    found = paired([1.0, 2.0, 5.0], [1.0, 2.0, 5.0], lower_is_better=True)
    assert (found.difference.value, found.difference.half_width) == (0.0, 0.0)
    assert (found.p_mean_better, found.share_tied, found.variance_ratio) == (0.0, 1.0, 0.0)


def test_the_probability_of_a_better_mean_is_calibrated() -> None:
    """Under a flat prior it is uniform over experiments with equal arms."""
    luck = np.random.default_rng(5)
    found = [paired(*luck.normal(size=(2, 12)), lower_is_better=True).p_mean_better for _ in range(1500)]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@given(arrays(np.float64, st.tuples(st.integers(0, 45), st.integers(1, 4)), elements=MAYBE))
def test_fans_are_nested_and_treat_each_bucket_alone(values: np.ndarray) -> None:
    found = fan(values)
    assert (found.low[:-1] >= found.low[1:]).all()
    assert (found.high[:-1] <= found.high[1:]).all()
    for bucket, column in enumerate(values.T):
        known = np.sort(column[~np.isnan(column)])
        n = len(known)
        assert found.n[bucket] == n
        assert np.isfinite(found.low[:, bucket]).tolist() == [n >= least for least in (3, 9, 39)]
        assert np.isfinite(found.high[:, bucket]).tolist() == [n >= least for least in (3, 9, 39)]
        assert math.isnan(found.median[bucket]) == (n == 0)
        if n:
            assert found.median[bucket] == pytest.approx(np.median(known))
        if n >= 3:
            expected = np.quantile(known, [0.25, 0.75], method="weibull")
            assert [found.low[0, bucket], found.high[0, bucket]] == pytest.approx(expected)


@pytest.mark.parametrize("n", [19, 39, 59])
def test_one_more_future_lies_in_the_range_as_often_as_said(n: int) -> None:
    luck = np.random.default_rng(13)
    futures = luck.exponential(size=(n, 4000))
    found = fan(futures)
    new = luck.exponential(size=4000)
    for promised, low, high in zip(found.ranges, found.low, found.high, strict=True):
        if np.isfinite(low[0]):
            hits = int(((low <= new) & (new <= high)).sum())
            assert stats.binomtest(hits, 4000, promised).pvalue > 1e-4


def naive_against_best(values: np.ndarray, level: float) -> tuple[list[float], list[float], list[bool]]:
    """Hsu's intervals for the least, arm by arm."""
    k, n = values.shape
    t = stats.t.ppf(1 - (1 - level) / (k - 1), n - 1)
    low, high, may = [], [], []
    for i in range(k):
        apart = [
            (d.mean(), t * d.std(ddof=1) / math.sqrt(n))
            for d in (values[i] - values[j] for j in range(k) if j != i)
        ]
        low.append(min(0.0, max(m - w for m, w in apart)))
        high.append(max(0.0, max(m + w for m, w in apart)))
        may.append(all(m - w <= 0 for m, w in apart))
    if sum(may) == 1:
        high[may.index(True)] = 0.0
    return low, high, may


@given(st.integers(2, 5), st.integers(2, 12), st.integers(0, 10_000))
def test_many_arms_are_compared_as_written_out(k: int, n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(k, n)) + np.arange(k)[:, None]
    low, high, may = naive_against_best(values, 0.9)
    found = against_best(values, lower_is_better=True, level=0.9)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.may_be_best.tolist() == may
    mirrored = against_best(-values, lower_is_better=False, level=0.9)
    assert mirrored.low == pytest.approx(-found.high)
    assert mirrored.difference == pytest.approx(-found.difference)
    assert mirrored.share_best == pytest.approx(found.share_best)
    assert found.share_best.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_all_differences_from_the_best_are_covered_together(shared: float) -> None:
    luck = np.random.default_rng(17)
    truth = np.array([0.0, 0.0, 0.2, 1.0])
    others = np.array([truth[i] - np.delete(truth, i).min() for i in range(4)])
    hits = kept = 0
    for _ in range(1200):
        values = truth[:, None] + luck.normal(size=(4, 15)) + shared * luck.normal(size=15)
        found = against_best(values, lower_is_better=True, level=0.9)
        hits += bool(((found.low <= others) & (others <= found.high)).all())
        kept += bool(found.may_be_best[0])
    assert enough(hits, 1200, 0.9)
    assert enough(kept, 1200, 0.9)


def test_an_arm_that_was_run_once_can_not_be_ruled_out() -> None:
    nan = math.nan
    found = against_best(
        [[1.0, 2.0, 3.0, 2.0], [9.0, nan, nan, nan], [5.0, 6.1, 7.0, 6.0]], lower_is_better=True
    )
    assert found.may_be_best.tolist() == [True, True, False]
    assert found.high[1] == math.inf
    never = against_best([[1.0, math.inf], [2.0, math.inf], [nan, nan]], lower_is_better=True)
    assert never.may_be_best.all()
    assert np.isnan(never.share_best).all()


def test_equal_arms_share_the_first_place() -> None:
    found = against_best([[1.0, 2.0], [1.0, 2.0]], lower_is_better=True)
    assert found.may_be_best.all()
    assert found.share_best.tolist() == [0.5, 0.5]


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: mean([[1.0]]),
        lambda: mean([1.0], level=1.0),
        lambda: quantile([1.0], 0.0),
        lambda: share(3, 2),
        lambda: paired([1.0], [1.0, 2.0], lower_is_better=True),
        lambda: fan([1.0]),
        lambda: fan([[1.0]], ranges=(1.5,)),
        lambda: against_best([[1.0, 2.0]], lower_is_better=True),
        lambda: against_best([[1.0], [2.0]], lower_is_better=True, level=0.4),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()


def test_estimates_hold_their_bounds() -> None:
    found = Estimate(1.0, 0.0, 4.0, 0.95, 3)
    assert [found.holds(each) for each in itertools.chain((0.0, 4.0), (-0.1, 4.1))] == [
        True,
        True,
        False,
        False,
    ]
