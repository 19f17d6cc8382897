"""Each pattern is recognised where it is, under its own name, and ends without chattering."""

import numpy as np
import pytest

from tests.twins.test_signals import SECOND, Twin, device_type, healthy
from twins import signals
from twins.devices import Channel, DeviceType
from twins.events import PATTERNS

START = 600
CHANNEL = 1
LINES = 1500


def disturbed(pattern: str, x: np.ndarray) -> None:
    """Put ``pattern`` on one channel, from START on for 300 lines or as long as it needs."""
    n = np.arange(300)
    part = x[START : START + 300, CHANNEL]
    if pattern == "shift":
        part += 3.0
    elif pattern == "spike":
        part[0] += 25.0
    elif pattern == "stuck":
        part[:] = part[0]
    elif pattern == "oscillation":
        part += 6.0 * np.sin(2 * np.pi * n / 9)
    elif pattern == "drift":
        x[START:, CHANNEL] += 0.008 * np.arange(len(x) - START)
    elif pattern == "decorrelation":
        part += 2.4 * np.sign(20.0 - x[START : START + 300, 0].mean() + 0.5)


def patterns_of(twin: Twin, x: np.ndarray) -> list[tuple[int, str, int, str, float, float]]:
    happened = twin.feed(x)
    return [(i, h[0], h[1], h[2], h[3], h[4]) for i, h in happened if h[0].startswith("pattern")]


@pytest.mark.parametrize("pattern", ["drift", "shift", "spike", "stuck", "oscillation"])
def test_recognises(pattern: str) -> None:
    x = healthy(np.random.default_rng(3), LINES)
    disturbed(pattern, x)
    twin = Twin(device_type(baseline=400, regimes=1))
    found = [f for f in patterns_of(twin, x) if f[3] == pattern]
    assert found, pattern
    i, what, channel, _, size, confidence = found[0]
    assert what == "pattern.started"
    assert channel == CHANNEL
    assert START <= i <= START + (600 if pattern == "drift" else 120)
    assert 0.5 <= confidence < 1
    wanted = {"drift": 3.0, "shift": 1.7, "spike": 25.0, "stuck": 1.0, "oscillation": 6.0}[pattern]
    assert size == pytest.approx(wanted, rel=0.45)
    assert len(found) <= 2  # it started once, and ended at most once


def test_a_shift_keeps_its_sign() -> None:
    x = healthy(np.random.default_rng(3), 800)
    x[START:, CHANNEL] -= 3.0
    found = patterns_of(Twin(device_type(baseline=400, regimes=1)), x)
    assert [f[3] for f in found] == ["shift"]
    assert found[0][4] < -1


def test_tells_a_broken_correlation_from_a_common_movement() -> None:
    x = healthy(np.random.default_rng(4), LINES, 3, 0.95)
    together, apart = x.copy(), x.copy()
    together[START : START + 300, :3] += 2.5
    apart[START : START + 300, CHANNEL] += 2.5
    found = patterns_of(Twin(device_type(baseline=400, regimes=1)), together)
    assert not [f for f in found if f[3] == "decorrelation"]
    found = patterns_of(Twin(device_type(baseline=400, regimes=1)), apart)
    broken = [f for f in found if f[3] == "decorrelation"]
    assert broken[0][:3] == (broken[0][0], "pattern.started", CHANNEL)
    assert START < broken[0][0] < START + 60


def test_a_channel_missing_among_others_is_a_dropout_until_it_is_back() -> None:
    twin = Twin(device_type(baseline=100, regimes=1))
    x = healthy(np.random.default_rng(5), 200)
    twin.feed(x[:150])
    happened = []
    for i in range(150, 200):
        scored = np.ones(5, bool)
        scored[CHANNEL] = not 160 <= i < 190
        happened += [(i, h) for h in twin.observe(i * SECOND, x[i], scored)]
        if i == 175:
            assert twin.state.observed[0] == np.float32(2 / 3)
    assert [(i, h[0], h[1], h[2]) for i, h in happened] == [
        (164, "pattern.started", CHANNEL, "dropout"),
        (190, "pattern.ended", CHANNEL, "dropout"),
    ]


def test_a_channel_that_comes_seldom_is_not_missed() -> None:
    twin = Twin(device_type(baseline=100, regimes=1))
    x = healthy(np.random.default_rng(5), 1000)
    for i, line in enumerate(x):
        scored = np.ones(5, bool)
        scored[CHANNEL] = i % 10 == 0
        assert not [h for h in twin.observe(i * SECOND, line, scored) if h[2] == "dropout"]


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_a_channel_that_is_often_still_is_not_stuck(step: float) -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(6), 2000)
    x[:, CHANNEL] = 20 + step * (np.arange(2000) // 37 % 2)
    assert [f for f in patterns_of(twin, x) if f[3] == "stuck"] == []


def test_a_coarse_channel_of_a_healthy_device_shows_no_pattern() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(7), 4000)
    x[:, CHANNEL] = np.round(x[:, CHANNEL])
    assert patterns_of(twin, x) == []


def test_white_noise_shows_hardly_any_pattern() -> None:
    twin = Twin(device_type(5, baseline=400, regimes=1))
    assert len(patterns_of(twin, healthy(np.random.default_rng(8), 10_000, 5, 0.5))) <= 2


def test_no_line_emits_more_than_it_may() -> None:
    channels = tuple(Channel(f"c{i}", "1") for i in range(64))
    twin = Twin(DeviceType("wide", 1, channels, baseline_readings=60))
    rng = np.random.default_rng(9)
    most = 0
    for i in range(1200):
        line = rng.standard_normal(64) * (10.0 if i // 100 % 2 else 1.0) + 20 * (i // 150 % 2)
        scored = rng.random(64) > (0.9 if i // 70 % 3 == 2 else 0.0)
        most = max(most, len(twin.observe(i * SECOND, line, scored)))
    assert 0 < most <= signals.MAX_EVENTS
    assert len(PATTERNS) * 64 + 2 == signals.MAX_EVENTS
