import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import boosting
from training.boosting import Boosting
from training.contributions import by_channel, explained, largest
from training.survival import (
    FOLDS,
    Contributions,
    Curves,
    Likeness,
    Norm,
    SurvivalModel,
    columns_of,
    design,
    fold_of,
    keys_of,
    times_for,
)
from twins.covariates import Covariates

HORIZON_H = 100.0
IDS = [f"device-{number}" for number in range(300)]
FEATURES = columns_of(["flow", "heat.bearing", "noise"], with_age=True)


def known_of(n: int, seed: int) -> Covariates:
    rng = np.random.default_rng(seed)
    trend = rng.normal(size=(n, 2, 2, 3)) + 10.0 * np.arange(2)[:, None]
    trend[rng.random(n) < 0.1, :, :, 2] = np.nan  # some never made a noise
    share = rng.dirichlet(np.ones(2), size=(n, 2))
    age_h = rng.uniform(0, 50, (n, 1))
    return Covariates(*(part.astype(np.float32) for part in (trend, share, age_h)))


def model_of(known: Covariates) -> SurvivalModel:
    """Of devices that last the longer the greater their flow; it was learned from the first half of them."""
    norm = Norm.learned(known)
    x, fold = design(known, norm, with_age=True), fold_of(IDS)
    rng = np.random.default_rng(1)
    remaining_h = np.clip(60.0 + 20.0 * x[:, 0] - 0.5 * x[:, -1] + rng.normal(0, 5, len(x)), 0.0, HORIZON_H)
    folds = tuple(
        boosting.fit(x[fold != k], remaining_h[fold != k], Boosting(rounds=30, rate=0.1), k)
        for k in range(FOLDS)
    )
    curves = Curves.learned(
        folds[0].predict(x), remaining_h, np.ones(len(x), bool), times_for(remaining_h, HORIZON_H)
    )
    seen = np.unique(keys_of(IDS[:150]))
    return SurvivalModel(norm, True, HORIZON_H, folds, (), curves, Likeness.learned(x), seen)


KNOWN = known_of(300, 0)
MODEL = model_of(KNOWN)


def without_cover(model: SurvivalModel) -> SurvivalModel:
    """As it was kept before covers were."""
    arrays = {name: array for name, array in model.arrays().items() if not name.endswith(".cover")}
    return SurvivalModel.from_arrays(arrays)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(0, 10**6), st.integers(0, 260))
def test_what_moved_a_score_adds_up_to_it(n: int, seed: int, first: int) -> None:
    known, ids = known_of(n, seed), IDS[first : first + n]
    found = MODEL.contributions(known, ids)
    assert found is not None
    score_h = MODEL.forecast(known, ids).score_h
    np.testing.assert_allclose(found.base_h + found.hours.sum(axis=1), score_h, rtol=0, atol=1e-6)


def test_a_device_is_told_of_by_the_trees_that_judge_it() -> None:
    found = MODEL.contributions(KNOWN, IDS)
    assert found is not None
    assert len(np.unique(found.base_h[:150])) == FOLDS
    assert len(np.unique(found.base_h[150:])) == 1
    alone = MODEL.contributions(KNOWN.take(np.array([7])), IDS[7:8])
    assert alone is not None
    assert alone.hours.tobytes() == found.hours[7:8].tobytes()


def test_a_model_is_explained_as_before_after_it_was_kept() -> None:
    again = SurvivalModel.from_arrays(MODEL.arrays())
    assert explained(again, FEATURES, KNOWN, IDS) == explained(MODEL, FEATURES, KNOWN, IDS)


def test_a_model_kept_without_covers_forecasts_and_does_not_know_why() -> None:
    old = without_cover(MODEL)
    assert old.forecast(KNOWN, IDS).score_h.tobytes() == MODEL.forecast(KNOWN, IDS).score_h.tobytes()
    assert old.contributions(KNOWN, IDS) is None
    assert explained(old, FEATURES, KNOWN, IDS) is None
    one = replace(MODEL, folds=(*MODEL.folds[:-1], old.folds[-1]))
    assert one.contributions(KNOWN, IDS) is None


def test_channels_are_the_sums_of_their_views() -> None:
    found = MODEL.contributions(KNOWN, IDS)
    assert found is not None
    channels, hours = by_channel(found, FEATURES)
    assert channels == ("flow", "heat.bearing", "noise", None)
    np.testing.assert_allclose(hours[:, 0], found.hours[:, [0, 3, 6]].sum(axis=1))
    np.testing.assert_array_equal(hours[:, 3], found.hours[:, 9])
    np.testing.assert_allclose(hours.sum(axis=1), found.hours.sum(axis=1), atol=1e-9)
    with pytest.raises(ValueError, match="has 10 columns, not 9"):
        by_channel(found, FEATURES[:-1])


def test_what_moved_most_is_told_first_with_what_was_seen() -> None:
    nan = float("nan")
    hours = np.array([[1.0, 0.0, 2.0, -3.0, 0.0, 2.0, 0.5, 0.0, 1.0, -4.5], np.zeros(10)])
    seen = np.array([[1.5, 0.0, nan, 0.5, 0.0, nan, 1.0, 0.0, nan, 12.0], np.zeros(10)], np.float32)
    told = largest(Contributions(np.full(2, 50.0), hours, seen), FEATURES, most=3)
    assert told == [
        [
            {"channel": "noise", "hours": 5.0, "now_sd": None, "change_sd": None, "age_h": None},
            {"channel": None, "hours": -4.5, "now_sd": None, "change_sd": None, "age_h": 12.0},
            {"channel": "flow", "hours": -1.5, "now_sd": 1.5, "change_sd": 1.0, "age_h": None},
        ],
        [],
    ]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_it_tells_what_the_lives_were_made_of() -> None:
    told = explained(MODEL, FEATURES, KNOWN, IDS, most=1)
    assert told is not None
    first = [each[0] for each in told]
    assert np.mean([each["channel"] == "flow" for each in first]) > 0.6
    low = [each for each in first if each["channel"] == "flow" and (each["now_sd"] or 0.0) < -1.0]
    assert low
    assert all(each["hours"] < 0.0 for each in low)


def test_of_no_devices_nothing_is_told() -> None:
    assert explained(MODEL, FEATURES, KNOWN.take(slice(0, 0)), []) == []


def test_a_model_without_age_tells_of_channels_alone() -> None:
    x = design(KNOWN, MODEL.norm, with_age=False)
    folds = tuple(boosting.fit(x, np.nan_to_num(x[:, 0]), Boosting(rounds=5), k) for k in range(FOLDS))
    found = replace(MODEL, with_age=False, folds=folds).contributions(KNOWN, IDS)
    assert found is not None
    assert by_channel(found, FEATURES[:-1])[0] == ("flow", "heat.bearing", "noise")
