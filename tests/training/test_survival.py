from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from tests.training.made_models import HORIZON_H, IDS, known_of, model_of
from training import boosting, survival
from training.arrays import packed, unpacked
from training.boosting import Boosting, Trees
from training.survival import (
    FOLDS,
    Curves,
    Likeness,
    Norm,
    SurvivalModel,
    columns_of,
    design,
    fold_of,
    restricted,
    shares,
    times_for,
    unseen_curves,
)

lives_of = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=30)


def kaplan_meier(remaining: list[int], failed: list[bool], at: float) -> float:
    """By the book, one time after the other."""
    lasts = 1.0
    for time in sorted(set(remaining)):
        if time > at:
            break
        at_risk = sum(each >= time for each in remaining)
        deaths = sum(each == time and ends for each, ends in zip(remaining, failed, strict=True))
        lasts *= 1.0 - deaths / at_risk
    return lasts


@given(lives_of, st.integers(1, 25))
def test_pseudo_observations_average_to_what_kaplan_and_meier_say(
    lives: list[tuple[int, bool]], horizon: int
) -> None:
    remaining, failed = ([*column] for column in zip(*lives, strict=True))
    found = restricted(np.array(remaining, float), np.array(failed), float(horizon))
    reach = min(horizon, max(remaining))  # nothing is known beyond the longest life
    area = sum(kaplan_meier(remaining, failed, t) for t in range(reach))
    assert found.mean() == pytest.approx(area, abs=1e-9)
    if all(failed):
        np.testing.assert_allclose(found, np.minimum(remaining, horizon), atol=1e-9)


def test_a_censored_life_adds_what_leaving_it_out_takes_away() -> None:
    rng = np.random.default_rng(7)
    remaining, failed = rng.integers(1, 30, 400), rng.random(400) < 0.6
    found = restricted(remaining.astype(float), failed, 15.0)

    def area(lives: NDArray[np.bool_]) -> float:
        told = (remaining[lives].tolist(), failed[lives].tolist())
        return sum(kaplan_meier(*told, t) for t in range(15))

    for number in range(20):
        without = area(np.arange(400) != number)
        jackknife = 400 * area(np.ones(400, bool)) - 399 * without
        assert found[number] == pytest.approx(jackknife, abs=0.5)


Drawn = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]


def drawn(n: int, seed: int, censoring: bool) -> Drawn:
    """Scores, what is left and whether it is known, by an exponential law around the score; and the law's true times."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(5.0, 90.0, n)
    true_h = rng.exponential(scores)
    ends_h = rng.exponential(120.0, n) if censoring else np.full(n, np.inf)
    return scores, np.minimum(true_h, ends_h), true_h <= ends_h, true_h


@pytest.mark.parametrize("censoring", [False, True])
def test_curves_are_calibrated_also_where_lives_are_censored(censoring: bool) -> None:
    scores, remaining_h, failed, _ = drawn(20_000, 1, censoring)
    curves = Curves.learned(scores, remaining_h, failed, times_for(remaining_h, HORIZON_H))
    new, _, _, true_h = drawn(20_000, 2, censoring)
    lasting = curves.of(new)
    assert (np.diff(lasting, axis=1) <= 1e-12).all()
    assert lasting[:, 0] == pytest.approx(1.0, abs=0.01)
    order = np.argsort(new)
    assert (np.diff(lasting[order], axis=0) >= -1e-12).all()
    for at_h in (10.0, 30.0, 80.0):
        said = survival.lasting(lasting, curves.times_h, at_h)
        for low in range(5, 90, 17):
            mine = (new >= low) & (new < low + 17)
            assert said[mine].mean() == pytest.approx((true_h[mine] > at_h).mean(), abs=0.035)


def test_trees_as_arrays_say_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 6)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0]) * 3 + np.nan_to_num(x[:, 1] * x[:, 2]) + rng.normal(0, 0.1, 800)
    how = Boosting(rounds=40)
    trees = boosting.fit(x, y, how, seed=3)
    model = HistGradientBoostingRegressor(
        max_iter=40, learning_rate=how.rate, max_leaf_nodes=how.leaves, min_samples_leaf=16, l2_regularization=how.ridge,
        max_features=how.columns, early_stopping=False, random_state=3,
    ).fit(x, y)  # fmt: skip
    new = rng.normal(size=(500, 6)).astype(np.float32)
    new[::7, 2] = np.nan
    np.testing.assert_allclose(trees.predict(new), model.predict(new), rtol=1e-12)
    again = Trees.from_arrays(unpacked(packed(trees.arrays("a."))), "a.")
    assert again.predict(new).tobytes() == trees.predict(new).tobytes()


def test_a_column_of_which_nothing_is_known_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    x[:, 1] = np.nan
    y = x[:, 0].astype(np.float64)
    trees = boosting.fit(x, y, Boosting(rounds=30), seed=0)
    assert 1 not in trees.column
    assert np.corrcoef(trees.predict(x), y)[0, 1] > 0.9
    like = Likeness.learned(x)
    assert like.holds(x).mean() > 0.98
    now_known = x.copy()
    now_known[:, 1] = 5.0
    np.testing.assert_array_equal(trees.predict(now_known), trees.predict(x))
    assert like.holds(now_known).mean() > 0.98


def test_columns_mean_the_same_in_every_regime_and_tell_no_age() -> None:
    known = known_of(500, 0)
    norm = Norm.learned(known)
    x = design(known, norm, with_age=False)
    assert x.shape == (500, len(columns_of(["a", "b", "c"], False)))
    assert np.abs(np.nanmean(x[:, :3], axis=0)).max() < 0.1
    steady = known._replace(
        trend=np.broadcast_to(known.trend[:1] * (1 + 1e-7), known.trend.shape), share=known.share
    )
    one = steady._replace(share=np.broadcast_to(known.share[:1], known.share.shape))
    assert len(np.unique(design(one, norm, with_age=False), axis=0)) == 1
    assert (design(known, norm, with_age=True)[:, -1] == known.age_h[:, 0]).all()


def test_what_was_never_heard_is_unknown_and_a_regime_never_met_says_nothing() -> None:
    known = known_of(50, 1)
    trend, share = known.trend.copy(), known.share.copy()
    trend[0] = np.nan
    share[0] = 0.0
    trend[1, :, 1], share[1, :, 1] = np.nan, 0.5
    x = design(known._replace(trend=trend, share=share), Norm.learned(known), with_age=False)
    assert np.isnan(x[0]).all()
    assert np.isfinite(x[1:]).all()


def test_a_model_is_the_same_after_it_was_kept() -> None:
    model, known = model_of()
    again = SurvivalModel.from_arrays(unpacked(packed(model.arrays())))
    for one, other in zip(model.forecast(known, IDS), again.forecast(known, IDS), strict=True):
        assert one.tobytes() == other.tobytes()
    alone = [again.forecast(known.take(np.array([row])), IDS[row : row + 1]).survival[0] for row in range(5)]
    np.testing.assert_array_equal(np.stack(alone), model.forecast(known, IDS).survival[:5])


def test_a_device_is_judged_by_trees_that_have_not_seen_it() -> None:
    model, known = model_of()
    fold = fold_of(IDS)
    told, own, all_of_them = (
        model.forecast(known, IDS), model.by_folds(known, fold), model.by_folds(known, np.full(400, -1))
    )  # fmt: skip
    np.testing.assert_array_equal(told.score_h[:200], own.score_h[:200])
    np.testing.assert_array_equal(told.score_h[200:], all_of_them.score_h[200:])
    x = design(known, model.norm, with_age=True)
    for number in range(FOLDS):
        mine = fold == number
        np.testing.assert_array_equal(own.score_h[mine], model.folds[number].predict(x[mine]))


def test_failure_modes_share_the_risk_of_any() -> None:
    model, known = model_of()
    told = model.forecast(known, IDS)
    for within_h in (1.0, 24.0, 80.0):
        parts = sum(told.probability(within_h, mode) for mode in range(2))
        np.testing.assert_allclose(parts, told.probability(within_h), atol=1e-12)
    assert (told.mean(HORIZON_H, 0) >= told.mean(HORIZON_H) - 1e-9).all()
    quantiles = np.stack([told.quantile(p) for p in (0.05, 0.25, 0.5, 0.75, 0.95)])
    assert (np.diff(quantiles, axis=0)[~np.isnan(np.diff(quantiles, axis=0))] >= 0).all()
    assert np.allclose(shares(np.array([[-1.0, 0.5], [0.2, 0.2]])).sum(axis=1), 1.0)


def test_what_is_unlike_the_past_or_hardly_heard_is_said_not_to_be_known() -> None:
    model, known = model_of()
    assert model.forecast(known, IDS).in_distribution.mean() > 0.98
    strange = known._replace(trend=known.trend + 30.0)
    assert not model.forecast(strange, IDS).in_distribution.any()
    young = known._replace(share=known.share * 0.2)
    assert not model.forecast(young, IDS).in_distribution.any()


def test_a_device_is_always_in_the_same_fold() -> None:
    ids = [f"pump-{number}" for number in range(1000)]
    assert fold_of(ids).tolist() == fold_of(ids[::-1])[::-1].tolist()
    assert np.bincount(fold_of(ids), minlength=FOLDS).min() > 60


def test_figures_come_from_curves_that_have_not_seen_the_device() -> None:
    scores, remaining_h, failed, _ = drawn(400, 3, censoring=False)
    fold = np.arange(400) % FOLDS
    times_h = times_for(remaining_h, HORIZON_H)
    found = unseen_curves(scores, remaining_h, failed, fold, times_h)
    changed = remaining_h.copy()
    changed[fold == 0] = 0.0
    after = unseen_curves(scores, changed, failed, fold, times_h)
    np.testing.assert_array_equal(found[fold == 0], after[fold == 0])
    assert (found[fold == 1] != after[fold == 1]).any()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(0, 10**6))
def test_few_landmarks_make_a_model_all_the_same(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    remaining_h, failed = rng.uniform(0, 10, n), np.ones(n, bool)
    curves = Curves.learned(rng.uniform(0, 10, n), remaining_h, failed, times_for(remaining_h, 5.0))
    found: Any = curves.of(np.array([-1.0, 3.0, 99.0]))
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
