"""Whether what tells devices that are unlike healthy ones is right as often as it says, and the same however it is asked."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.made_models import known_of
from training import anomaly
from training.anomaly import FEWEST_DEVICES, HealthyModel, causes, columns, healthy, measured, summary
from training.arrays import packed, unpacked
from training.features import Landmarks
from training.survival import FOLDS, Norm, columns_of, design, fold_of
from twins.covariates import Covariates

CHANNELS = ("flow", "pressure", "vibration")
COLUMNS = columns_of(CHANNELS, with_age=False)
HOUR_US = 3_600_000_000


def fleet(
    devices: int, each: int, seed: int, name: str = "pump"
) -> tuple[NDArray[Any], NDArray[np.int64], Any]:
    """Ids, times and columns of moments of devices: each has a character of its own, and channels go together."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.array([f"{name}-{number}" for number in range(devices)], object), each)
    level = np.repeat(rng.normal(size=(devices, 3)), each, axis=0)
    now = level + 0.5 * rng.standard_t(4, (len(ids), 3))
    now[:, 1] += 2.0 * now[:, 0]
    late = level + 0.2 * rng.normal(size=(len(ids), 3))
    x = np.concatenate([now, late, now - late], axis=1).astype(np.float32)
    return ids, np.tile(np.arange(each), devices), x


def model_of(devices: int = 100, each: int = 10, seed: int = 0) -> HealthyModel:
    ids, at_us, x = fleet(devices, each, seed)
    found = HealthyModel.learned(x, ids, at_us)
    assert found is not None
    return found


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2, 0.5])
def test_as_many_healthy_devices_are_called_unlike_as_it_says(level: float) -> None:
    """One moment each of 400 devices that it has not seen: within three standard deviations of a binomial share.

    That of the healthy devices that they are held against, no more than 200, is as wide again.
    """
    wide = 3.0 * np.sqrt(level * (1.0 - level) * (1.0 / 400.0 + 1.0 / 200.0))
    p = model_of(200).p_values(fleet(400, 1, 7)[2], [f"new-{number}" for number in range(400)])
    assert abs((p <= level).mean() - level) < wide


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_devices_that_were_learned_from_are_judged_by_others(seed: int) -> None:
    ids, at_us, x = fleet(120, 5, seed)
    model = HealthyModel.learned(x, ids, at_us)
    assert model is not None
    p = model.p_values(x, ids)
    assert abs((p <= 0.1).mean() - 0.1) < 0.1
    np.testing.assert_array_equal(p, model.by_folds(x, fold_of(ids)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.floats(30.0, 100.0))
@settings(max_examples=20, deadline=None)
def test_a_planted_fault_stands_out_and_is_found_in_its_channel(seed: int, channel: int, far: float) -> None:
    model = model_of()
    _, _, x = fleet(1, 1, seed, "odd")
    x[:, [channel, 6 + channel]] += far
    (p,) = model.p_values(x, ["odd"])
    assert p < 0.02
    of = model.judged(x, ["odd"])
    assert of.p[0] == p
    assert of.t2[0] + of.q[0] > 2.0
    ((first, *_),) = causes(of, columns_of(CHANNELS, with_age=True))
    broken = {CHANNELS[channel]} | ({"flow", "pressure"} if channel < 2 else set())  # the two go together
    assert first["channel"] in broken
    assert first["share"] > 0.3


def test_what_breaks_the_bond_of_two_channels_stands_out_though_each_is_ordinary() -> None:
    model = model_of(200)
    x = np.zeros((1, 9), np.float32)
    x[0, [0, 1, 6, 7]] = [2.0, -4.0, 2.0, -4.0]  # pressure is twice the flow, not minus it
    assert model.p_values(x, ["odd"])[0] < 0.05
    x[0, [1, 7]] = 4.0
    assert model.p_values(x, ["odd"])[0] > 0.05


def test_parts_add_up_to_t2_and_q() -> None:
    of = model_of().judged(fleet(20, 1, 3)[2], [f"new-{number}" for number in range(20)])
    assert (of.parts >= 0.0).all()
    np.testing.assert_allclose(of.parts.sum(axis=1), of.t2 + of.q)


def test_the_order_of_lines_and_who_is_asked_beside_make_no_difference() -> None:
    ids, at_us, x = fleet(60, 100, 0)  # more than are learned from of each
    order = np.random.default_rng(1).permutation(len(x))
    one = HealthyModel.learned(x, ids, at_us)
    other = HealthyModel.learned(x[order], ids[order], at_us[order])
    assert one is not None
    assert other is not None
    assert packed(one.arrays()) == packed(other.arrays())
    p = one.p_values(x, ids)
    np.testing.assert_array_equal(one.p_values(x[order], ids[order]), p[order])
    np.testing.assert_array_equal(
        np.concatenate([one.p_values(x[k : k + 1], ids[k : k + 1]) for k in range(20)]), p[:20]
    )


def test_it_comes_back_bit_for_bit_and_holds_no_objects() -> None:
    model = model_of()
    back = HealthyModel.from_arrays(unpacked(packed(model.arrays())))
    assert back is not None
    assert packed(back.arrays()) == packed(model.arrays())
    assert not any(array.dtype.hasobject for array in model.arrays().values())
    x = fleet(30, 1, 5)[2]
    ids = [f"new-{number}" for number in range(30)]
    np.testing.assert_array_equal(back.p_values(x, ids), model.p_values(x, ids))
    assert HealthyModel.from_arrays({"settings": np.zeros(4)}) is None


def test_what_is_not_known_counts_as_ordinary_and_nothing_known_as_nothing() -> None:
    model = model_of()
    x = fleet(1, 1, 2)[2]
    x[0, 2] = 50.0
    assert model.p_values(x, ["odd"])[0] < 0.02
    x[0, [2, 5, 8]] = np.nan
    ordinary = x.copy()
    ordinary[0, [2, 5, 8]] = np.mean([part.centre[[2, 5, 8]] for part in model.folds], axis=0)
    assert model.p_values(x, ["odd"])[0] == pytest.approx(model.p_values(ordinary, ["odd"])[0], abs=0.05)
    x[:] = np.nan
    of = model.judged(x, ["odd"])
    assert np.isnan([model.p_values(x, ["odd"])[0], of.p[0], of.t2[0], of.q[0]]).all()


def test_columns_that_never_move_are_dropped_and_one_outlier_stretches_nothing() -> None:
    ids, at_us, x = fleet(60, 5, 0)
    x[:, 4] = 3.0
    plain = HealthyModel.learned(x, ids, at_us)
    x[0, 2] = 1.0e4
    odd = HealthyModel.learned(x, ids, at_us)
    assert plain is not None
    assert odd is not None
    assert all(np.isinf(part.scale[4]) for part in plain.folds)
    for one, other in zip(plain.folds, odd.folds, strict=True):
        np.testing.assert_allclose(one.scale, other.scale, rtol=0.05)
    moved = x[:1].copy()
    moved[0, 2] = 0.0
    moved[0, 4] = 300.0
    assert plain.p_values(moved, ["odd"])[0] > 0.02


@pytest.mark.parametrize("devices", [0, 1, FEWEST_DEVICES - 1])
def test_with_too_few_healthy_devices_nothing_is_said(devices: int) -> None:
    ids, at_us, x = fleet(devices, 20, 0)
    assert HealthyModel.learned(x, ids, at_us) is None
    ids, at_us, x = fleet(FEWEST_DEVICES, 20, 0)
    assert HealthyModel.learned(x, ids, at_us) is not None
    assert HealthyModel.learned(np.full_like(x, np.nan), ids, at_us) is None


def test_much_history_is_thinned_alike_for_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, at_us, x = fleet(40, 50, 0)
    monkeypatch.setattr(anomaly, "_MOST_ROWS", 400)
    model = HealthyModel.learned(x, ids, at_us)
    assert model is not None
    assert [len(each.unusual) for each in model.compared] == [
        10 * int(devices) for devices in np.bincount(fold_of(np.unique(ids)), minlength=FOLDS)
    ]
    assert sum(each.devices[0] for each in model.compared) == pytest.approx(40.0)
    monkeypatch.setattr(anomaly, "_MOST_ROWS", 35)
    model = HealthyModel.learned(x, ids, at_us)
    assert model is not None
    assert len(model.seen) == 35


def test_the_age_is_not_looked_at_and_a_device_hardly_heard_not_judged() -> None:
    known = known_of(50, 0)
    norm = Norm.learned(known)
    x = columns(known, design(known, norm, with_age=True))
    np.testing.assert_array_equal(x, columns(known, design(known, norm, with_age=False)))
    assert x.shape[1] == 9
    old = known._replace(age_h=known.age_h + 1e5)
    np.testing.assert_array_equal(columns(old, design(old, norm, with_age=True)), x)
    hardly = Covariates(known.trend, 0.3 * known.share, known.age_h)
    assert np.isnan(columns(hardly, design(hardly, norm, with_age=True))).all()


# -- which history is healthy, and how it went --------------------------------------------------------------------------


def lives(lengths: list[int], failed: list[bool]) -> Landmarks:
    """Devices that lived so many hours, with a moment each hour."""
    ids = np.concatenate([np.full(hours + 1, f"d{number}", object) for number, hours in enumerate(lengths)])
    at_h = np.concatenate([np.arange(hours + 1) for hours in lengths])
    left_h = np.concatenate([hours - np.arange(hours + 1) for hours in lengths]).astype(float)
    return Landmarks(
        ids, at_h * HOUR_US, np.zeros(len(ids), np.int64), left_h, np.repeat(failed, np.array(lengths) + 1),
        np.full(len(ids), -1), known_of(len(ids), 0),
    )  # fmt: skip


def test_healthy_is_the_first_half_of_a_life_with_no_failure_within_the_horizon() -> None:
    rows = lives([100, 30, 100, 10], [True, True, False, False])
    well = healthy(rows, 20.0)
    found = {name: int(well[rows.device_id == name].sum()) for name in ("d0", "d1", "d2", "d3")}
    assert found == {"d0": 51, "d1": 11, "d2": 51, "d3": 0}
    order = np.random.default_rng(0).permutation(len(well))
    assert (
        healthy(rows.take(np.ones(len(well), bool))._replace(device_id=rows.device_id), 20.0) == well
    ).all()
    mixed = rows._replace(**{name: getattr(rows, name)[order] for name in rows._fields[:-1]})
    np.testing.assert_array_equal(healthy(mixed, 20.0), well[order])


def test_a_second_life_is_one_of_its_own() -> None:
    rows = lives([100, 100], [True, True])
    again = rows.device_id == "d1"
    rows = rows._replace(
        device_id=np.full(len(again), "d0", object),
        life=again.astype(np.int64),
        at_us=rows.at_us + 500 * HOUR_US * again,
    )
    assert healthy(rows, 20.0).sum() == 102


def test_figures_are_what_one_would_count_by_hand() -> None:
    rows = lives([100, 60, 200], [True, True, False])
    p = np.full(len(rows.at_us), 0.5)
    first, second, third = (rows.device_id == f"d{number}" for number in range(3))
    p[first & (rows.remaining_h <= 12.0)] = 0.01
    p[first & (rows.remaining_h == 40.0)] = 0.01  # goes away again
    p[second & (rows.remaining_h == 3.0)] = 0.01  # at the end it is ordinary
    p[third & (rows.at_us < 10 * HOUR_US)] = 0.05
    p[third & (rows.at_us == 50 * HOUR_US)] = np.nan
    found = measured(p, rows, 20.0)
    assert found == {
        "healthy_devices": 3.0,
        "false_unlike": pytest.approx(10 / 100 / 3),
        "unlike_at_failure": 0.5,
        "unlike_lead_h": 12.0,
    }


def test_a_training_tells_as_much_as_could_be_measured() -> None:
    figures = {"false_unlike": 0.0439, "unlike_at_failure": 1.0, "unlike_lead_h": 72.0}
    (line,) = summary(figures)
    assert (
        line
        == "unlike healthy devices: 4.4% of the time while healthy, 100% when they failed, half of these for 72 h or longer"
    )
    del figures["unlike_lead_h"], figures["unlike_at_failure"]
    assert summary(figures) == ["unlike healthy devices: 4.4% of the time while healthy"]
    assert summary({"brier": 0.1}) == []


def test_without_failures_only_what_can_be_said_is() -> None:
    found = measured(np.full(101, 0.5), lives([100], [False]), 20.0)
    assert (found["healthy_devices"], found["false_unlike"]) == (1.0, 0.0)
    assert np.isnan([found["unlike_at_failure"], found["unlike_lead_h"]]).all()
