"""Health adds up, to the last bit, and says what it cannot see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.test_signals import SECOND, Twin, _disturb, device_type, healthy
from twins.health import INDICATORS, breakdown


def lost(twin: Twin) -> np.ndarray:
    parts = breakdown(twin.state, twin.params, np.array([0]))
    return np.stack([parts[name][0] for name in INDICATORS], axis=1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 5))
def test_the_breakdown_adds_up_exactly(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    twin = Twin(device_type(channels, baseline=60, regimes=1))
    x = healthy(rng, 260, channels, 0.7)
    _disturb(rng, x[60:, :channels])
    for i, line in enumerate(x):
        twin.observe(i * SECOND, line)
        points = lost(twin)
        if i < 59:
            assert np.isnan(points).all()
            continue
        assert (points >= 0).all()
        assert (points[channels:] == 0).all()
        assert np.float32(100) - points.sum(dtype=np.float32) == twin.state.health[0]
        assert np.float32(100) - points.ravel()[::-1].sum(dtype=np.float32) == twin.state.health[0]
        assert 0 <= twin.state.health[0] <= 100


def test_an_ordinary_device_keeps_all_its_points() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    low = 100.0
    for i, line in enumerate(healthy(np.random.default_rng(0), 4000)):
        twin.observe(i * SECOND, line)
        low = min(low, float(twin.state.health[0])) if i > 400 else low
    assert low > 95


@pytest.mark.parametrize(("indicator", "size"), [("level", 6.0), ("noise", 12.0)])
def test_the_channel_and_indicator_that_cost_points_are_named(indicator: str, size: float) -> None:
    rng = np.random.default_rng(1)
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(rng, 500)
    x[400:, 1] += size if indicator == "level" else size * rng.standard_normal(100)
    twin.feed(x)
    points = lost(twin)
    channel, position = np.unravel_index(points.argmax(), points.shape)
    assert (channel, INDICATORS[position]) == (1, indicator)
    assert twin.state.health[0] < 80


def test_does_not_recover_by_habit() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(2), 8000)
    x[500:, 1] += 6
    twin.feed(x)
    assert twin.state.anomalous[0] == 0  # no news any more
    assert twin.state.health[0] < 80  # but no better


def test_one_of_many_channels_costs_less_than_the_only_one() -> None:
    health = []
    for channels in (1, 8):
        twin = Twin(device_type(channels, baseline=400, regimes=1))
        x = healthy(np.random.default_rng(3), 600, channels)
        x[400:, 0] += 100
        twin.feed(x)
        health.append(float(twin.state.health[0]))
    assert health[0] < 10
    assert 20 < health[1] < 60


def test_a_stuck_channel_lowers_what_is_observed_and_not_the_score() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(4), 600)
    x[450:, 2] = x[449, 2]
    twin.feed(x)
    assert twin.state.observed[0] == np.float32(2 / 3)
    assert twin.state.health[0] > 95
    assert not lost(twin)[2].any()
