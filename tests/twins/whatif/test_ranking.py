"""KN selects the best as often as it promises; OCBA spends as its formulas, and nearly as well as any allocation can."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twins.whatif.ranking import KnRule, kn, ocba, ocba_shares, p_selected_is_best


def race(futures: np.ndarray, rule: KnRule) -> tuple[int, np.ndarray]:
    """The arm that KN selects and what each was run."""
    have = np.zeros(len(futures), int)
    while True:
        step = kn([futures[i, :n] for i, n in enumerate(have)], rule)
        if step.best is not None:
            assert not any(step.more)
            return step.best, have
        assert any(step.more)
        assert all(n == 0 for i, n in enumerate(step.more) if i not in step.surviving)
        have += step.more


def naive_kn(futures: np.ndarray, rule: KnRule) -> int:
    """As the paper lists its steps, for the largest mean, one replication at a time."""
    x = -futures if rule.lower_is_better else futures
    k, n0, delta = len(x), rule.first_stage, rule.indifference
    eta = 0.5 * ((2 * (1 - rule.level) / (k - 1)) ** (-2 / (n0 - 1)) - 1)
    h2 = 2 * eta * (n0 - 1)
    s2 = [[float(np.var(x[i, :n0] - x[j, :n0], ddof=1)) for j in range(k)] for i in range(k)]
    last = max(math.floor(h2 * s2[i][j] / delta**2) for i in range(k) for j in range(k) if i != j)
    alive, r = list(range(k)), n0
    while True:
        if r > last:
            return max(alive, key=lambda i: x[i, :r].mean())
        means = {i: x[i, :r].mean() for i in alive}
        alive = [
            i
            for i in alive
            if all(
                means[i] >= means[j] - max(0.0, delta / (2 * r) * (h2 * s2[i][j] / delta**2 - r))
                for j in alive
                if j != i
            )
        ]
        if len(alive) == 1:
            return alive[0]
        r += 1


def futures_of(means: Sequence[float], luck: np.random.Generator, shared: float, n: int = 900) -> np.ndarray:
    """Unit variance, correlation ``shared``."""
    own = math.sqrt(1 - shared) * luck.normal(size=(len(means), n))
    return np.asarray(means)[:, None] + own + math.sqrt(shared) * luck.normal(size=n)


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("lower", [True, False])
def test_the_best_is_selected_as_often_as_promised(shared: float, lower: bool) -> None:
    """All others worse by just the indifference: the hardest case."""
    luck = np.random.default_rng(31)
    means = [0.5, 0.5, 0.0, 0.5] if lower else [-0.5, -0.5, 0.0, -0.5]
    rule = KnRule(0.5, lower, level=0.9, first_stage=10, batch=20)
    right = sum(race(futures_of(means, luck, shared), rule)[0] == 2 for _ in range(300))
    assert right >= stats.binom.ppf(1e-3, 300, 0.9)


def test_shared_luck_makes_it_shorter() -> None:
    luck = np.random.default_rng(37)
    rule = KnRule(0.3, True, first_stage=10, batch=5)
    spent = {
        shared: np.mean([race(futures_of([0.0, 0.3, 0.6], luck, shared), rule)[1].sum() for _ in range(30)])
        for shared in (0.0, 0.8)
    }
    assert spent[0.8] < 0.5 * spent[0.0]


@given(
    st.integers(2, 5),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.7]),
    st.integers(1, 60),
    st.booleans(),
)
def test_kn_is_as_the_paper_lists_it_whatever_the_batches(
    k: int, seed: int, shared: float, batch: int, lower: bool
) -> None:
    luck = np.random.default_rng(seed)
    futures = futures_of(luck.normal(0.0, 0.5, k).tolist(), luck, shared, n=1500)
    rule = KnRule(0.6, lower, first_stage=10, batch=batch)
    assert race(futures, rule)[0] == naive_kn(futures, rule)


def test_kn_resumes_where_it_was() -> None:
    futures = futures_of([0.0, 0.1, 0.2, 2.0], np.random.default_rng(41), 0.3)
    rule = KnRule(0.2, True, first_stage=10, batch=7)
    step = kn(futures[:, :10], rule)
    assert 3 not in step.surviving
    assert kn(futures[:, :10], rule) == step
    uneven = [futures[i, : 10 + (step.more[i] if i else 0)] for i in range(4)]
    again = kn(uneven, rule)
    assert again.more == (7, 0, 0, 0)
    assert again.surviving == step.surviving
    assert again.looked_at == 10


def test_kn_stops_at_once_where_nothing_matters() -> None:
    luck = np.random.default_rng(43)
    step = kn(luck.normal(size=(3, 10)), KnRule(100.0, True, first_stage=10))
    assert step.best is not None
    assert step.looked_at == 10
    same = kn(np.tile(luck.normal(size=10), (3, 1)), KnRule(0.1, True, first_stage=10))
    assert same.best == 0
    assert kn([[1.0]], KnRule(0.1, True)).best == 0


def written_out(m: Sequence[float], s: Sequence[float], lower: bool) -> list[float]:
    """Chen et al. (2000), theorem 1, arm by arm against the first that is not the best."""
    k = len(m)
    b = min(range(k), key=lambda i: m[i] if lower else -m[i])
    others = [i for i in range(k) if i != b]
    first = others[0]
    n = [0.0] * k
    for i in others:
        n[i] = ((s[i] / (m[b] - m[i])) / (s[first] / (m[b] - m[first]))) ** 2
    n[b] = s[b] * math.sqrt(sum(n[i] ** 2 / s[i] ** 2 for i in others))
    return [each / sum(n) for each in n]


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.floats(0.1, 5.0)),
        min_size=2,
        max_size=7,
        unique_by=lambda it: it[0],
    ),
    st.booleans(),
)
def test_shares_are_as_written_out(arms: list[tuple[int, float]], lower: bool) -> None:
    m, s = [float(a) for a, _ in arms], [b for _, b in arms]
    assert ocba_shares(m, s, lower_is_better=lower) == pytest.approx(written_out(m, s, lower))


def test_no_allocation_is_much_better() -> None:
    """Against every allocation in steps of 5 of 200, by the bound on the probability that OCBA is derived from."""
    m, s, total = np.array([0.0, 0.5, 0.8]), np.array([1.0, 1.5, 1.0]), 200

    def p_correct(n: np.ndarray) -> float:
        error = np.sqrt(s[0] ** 2 / n[0] + s[1:] ** 2 / n[1:])
        return float(1 - stats.norm.sf(m[1:] / error).sum())

    steps = range(5, total, 5)
    best = max(
        p_correct(np.array([a, b, total - a - b]))
        for a, b in itertools.product(steps, steps)
        if a + b < total
    )
    found = p_correct(ocba_shares(m, s, lower_is_better=True) * total)
    assert found > best - 0.003
    assert found > p_correct(np.full(3, total / 3)) + 0.005


def test_degenerate_arms_get_finite_shares() -> None:
    assert ocba_shares([1.0, 1.0], [0.0, 0.0], lower_is_better=True).tolist() == [0.5, 0.5]
    assert ocba_shares([1.0, 2.0], [1.0, 0.0], lower_is_better=True).tolist() == [0.5, 0.5]
    tied = ocba_shares([1.0, 1.0, 5.0], [1.0, 2.0, 1.0], lower_is_better=True)
    assert tied == pytest.approx([1 / 3, 2 / 3, 0.0], abs=1e-6)
    assert ocba_shares([1.0, 2.0, 3.0], [1.0, 0.0, 1.0], lower_is_better=True)[1] == 0.0


@given(st.lists(st.integers(10, 60), min_size=2, max_size=6), st.integers(0, 200), st.integers(0, 1000))
def test_a_budget_is_spent_to_the_last_replication(have: list[int], budget: int, seed: int) -> None:
    luck = np.random.default_rng(seed)
    values = [luck.normal(luck.normal(), 1.0, n) for n in have]
    more = ocba(values, budget, lower_is_better=False)
    assert sum(more) == budget
    assert min(more) >= 0
    shares = ocba_shares([v.mean() for v in values], [v.std(ddof=1) for v in values], lower_is_better=False)
    ahead = np.array(have) + more - shares * (sum(have) + budget)
    assert all(n == 0 for n, over in zip(more, ahead, strict=True) if over > 1.0)


def test_the_first_stage_comes_first() -> None:
    assert ocba([[1.0] * 3, [1.0] * 12], 5, lower_is_better=True) == (7, 0)


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_ocba_selects_better_than_equal_shares(shared: float) -> None:
    luck = np.random.default_rng(47)
    means, total = [0.0, 0.25, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0], 240
    right = {"ocba": 0, "equal": 0}
    for _ in range(250):
        futures = futures_of(means, luck, shared, n=total)
        have = np.zeros(len(means), int)
        while have.sum() < total:
            values = [futures[i, :n] for i, n in enumerate(have)]
            have += ocba(values, min(40, total - int(have.sum())), lower_is_better=True)
        right["ocba"] += int(np.argmin([futures[i, :n].mean() for i, n in enumerate(have)])) == 0
        right["equal"] += int(futures[:, : total // len(means)].mean(axis=1).argmin()) == 0
    assert right["ocba"] > right["equal"] - 5 * (shared > 0)


def test_the_probability_to_have_selected_the_best_is_a_bound() -> None:
    """Of experiments with arms drawn at random, the best was selected at least as often as was said."""
    luck = np.random.default_rng(53)
    said, right = [], []
    for _ in range(600):
        means = luck.normal(0.0, 1.0, 4)
        values = futures_of(means.tolist(), luck, 0.3, n=12)
        said.append(p_selected_is_best(values, lower_is_better=True))
        right.append(values.mean(axis=1).argmin() == means.argmin())
    assert np.mean(right) > np.mean(said) - 3 * math.sqrt(0.25 / 600)
    assert np.mean(right) < np.mean(said) + 0.15


def test_what_was_not_run_has_no_probability() -> None:
    nan = math.nan
    assert math.isnan(p_selected_is_best([[1.0, 2.0], [nan, nan]], lower_is_better=True))
    assert math.isnan(p_selected_is_best([[1.0, 2.0], [nan, 3.0]], lower_is_better=True))
    assert p_selected_is_best([[1.0, 2.0], [1.0, 2.0]], lower_is_better=True) == 1.0


def test_what_makes_no_sense_is_refused() -> None:
    rule = KnRule(1.0, True)
    for call in (
        lambda: kn([], rule),
        lambda: kn([[1.0], [math.nan]], rule),
        lambda: kn([[1.0], [[1.0]]], rule),
        lambda: KnRule(0.0, True),
        lambda: KnRule(1.0, True, level=1.0),
        lambda: KnRule(1.0, True, first_stage=1),
        lambda: ocba([[1.0]], 3, lower_is_better=True),
        lambda: ocba([[1.0], [1.0]], -1, lower_is_better=True),
        lambda: ocba_shares([1.0], [1.0], lower_is_better=True),
        lambda: p_selected_is_best([[1.0, 2.0]], lower_is_better=True),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()
