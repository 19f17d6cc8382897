"""The kernel against a slow second implementation, and what it promises of baselines and novelty."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.naive import Happening, NaiveSignals
from twins import signals
from twins.compiling import kernel
from twins.devices import Channel, DeviceType, OperatingCondition
from twins.events import KINDS, PATTERNS, EventBuffer, Kind, event_buffer

SECOND = 1_000_000


def device_type(
    channels: int = 3, baseline: int = 60, regimes: int = 2, dtype: str = "float32"
) -> DeviceType:
    gauges = [Channel(f"c{i}", "1", resolution=0.01 if i == 0 else 0.0, dtype=dtype) for i in range(channels)]
    others = [Channel("load", "%", condition=True), Channel("hours", "h", kind="counter")]
    return DeviceType(
        "rig",
        1,
        (*gauges, *others),
        baseline_readings=baseline,
        conditions=(OperatingCondition("load", tuple(np.linspace(0, 1, regimes + 1)[1:-1])),)
        if regimes > 1
        else (),
    )


class Twin:
    """One device of a type, fed line by line, its events read after each."""

    def __init__(self, a_type: DeviceType, rows: int = 1) -> None:
        self.type = a_type
        self.params = signals.signal_params(a_type)
        self.state = signals.blank_signals(rows, a_type)
        self.events = event_buffer(signals.MAX_EVENTS)

    def observe(
        self, t_us: int, x: Any, scored: Any = None, interval_us: int = SECOND, row: int = 0
    ) -> list[Happening]:
        values = np.ascontiguousarray(x, self.type.dtype)
        scored = np.ones(len(values), bool) if scored is None else scored
        mask = sum(1 << c for c, on in enumerate(scored) if on)
        _observe(self.state, self.params, row, t_us, values, np.uint64(mask), interval_us, self.events)
        out = []
        for record in self.events.items[: self.events.used[0]]:
            pattern = PATTERNS[record["occurrence"]] if KINDS[Kind(record["kind"])].occurrence else ""
            name = KINDS[Kind(record["kind"])].type
            out.append((name, int(record["slot"]), pattern, float(record["a"]), float(record["b"])))
            assert record["at_us"] == t_us
            assert record["row"] == row
        self.events.used[0] = 0
        return out

    def feed(self, x: np.ndarray, start: int = 0, every_us: int = SECOND) -> list[tuple[int, Happening]]:
        """All lines of ``x`` (n, channels); what happened, with the index of its line."""
        out = []
        for i, line in enumerate(x, start):
            out += [(i, happening) for happening in self.observe(i * every_us, line)]
        return out


@kernel
def _observe(
    s: signals.SignalState,
    p: signals.SignalParams,
    r: int,
    t_us: int,
    x: np.ndarray,
    scored: np.uint64,
    interval_us: int,
    ev: EventBuffer,
) -> None:
    signals.observe(s, p, r, t_us, x, scored, interval_us, ev)


def healthy(rng: np.random.Generator, n: int, channels: int = 3, correlation: float = 0.0) -> np.ndarray:
    shared = rng.standard_normal((n, 1))
    own = rng.standard_normal((n, channels))
    x = 20.0 + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return np.column_stack([x, np.full(n, 0.2), np.arange(n)])


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def agree(twin: Twin, naive: NaiveSignals, got: list[Happening], wanted: list[Happening]) -> None:
    assert len(got) == len(wanted), (got, wanted)
    for one, other in zip(got, wanted, strict=True):
        assert one[:3] == other[:3]
        assert same(one[3], other[3]), (one, other)
        assert same(one[4], other[4]), (one, other)
    s = twin.state
    assert same(float(s.health[0]), naive.health)
    assert same(float(s.observed[0]), naive.observed)
    assert float(s.anomaly_score[0]) == naive.anomaly_score
    assert bool(s.anomalous[0]) == naive.anomalous
    assert [int(b) for b in s.patterns[0]] == [naive.pattern_bits(c) for c in range(len(twin.type.channels))]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 5),
    regimes=st.integers(1, 3),
    baseline=st.sampled_from([20, 60, 120]),
    dtype=st.sampled_from(["float32", "float64"]),
    missing=st.sampled_from([0.0, 0.02, 0.5]),
    silence=st.sampled_from([0.0, 0.05]),
    interval_us=st.sampled_from([0, SECOND]),
)
def test_equals_the_naive_device_bit_for_bit(
    seed: int,
    channels: int,
    regimes: int,
    baseline: int,
    dtype: str,
    missing: float,
    silence: float,
    interval_us: int,
) -> None:
    rng = np.random.default_rng(seed)
    a_type = device_type(channels, baseline, regimes, dtype)
    twin, naive = Twin(a_type), NaiveSignals(a_type)
    x = healthy(rng, 320, channels, 0.8)
    x[:, channels] = rng.uniform(0, 1, len(x)) if seed % 3 else np.repeat(rng.uniform(0, 1, 8), 40)
    _disturb(rng, x[:, :channels])
    t_us = 0
    for line in x.astype(dtype):
        t_us += SECOND * (int(rng.integers(2, 200)) if rng.random() < silence else 1)
        scored = rng.random(len(line)) >= missing
        line[~scored] = np.nan
        got = twin.observe(t_us, line, scored, interval_us)
        agree(twin, naive, got, naive.observe(t_us, list(map(float, line)), scored, interval_us))


def _disturb(rng: np.random.Generator, x: np.ndarray) -> None:
    """Faults of every kind, anywhere."""
    for _ in range(rng.integers(0, 6)):
        start, c = int(rng.integers(0, len(x))), int(rng.integers(0, x.shape[1]))
        part = x[start : start + int(rng.integers(1, 250)), c]
        kind = rng.integers(0, 6)
        if kind == 0:
            part += rng.normal(0, 10)
        elif kind == 1:
            part += np.arange(len(part)) * 0.05
        elif kind == 2:
            part[:] = part[0]
        elif kind == 3:
            part += 8.0 * np.sin(np.arange(len(part)))
        elif kind == 4:
            part[0] += 50.0
        else:
            part[:] = rng.normal(20, 5, len(part))


def test_reset_and_relearn_equal_the_naive_device() -> None:
    rng = np.random.default_rng(3)
    a_type = device_type()
    twin, naive = Twin(a_type), NaiveSignals(a_type)
    x = healthy(rng, 500, 3, 0.5)
    x[200:260, 0] += 12
    for i, line in enumerate(x.astype(np.float32)):
        if i == 230:
            signals.reset_detectors(twin.state, twin.params, 0)
            naive.reset_detectors()
        if i == 350:
            signals.relearn(twin.state, twin.params, 0)
            naive.forget()
        got = twin.observe(i * SECOND, line)
        agree(twin, naive, got, naive.observe(i * SECOND, list(map(float, line)), [True] * 5, SECOND))


def test_a_row_does_not_touch_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    a_type = device_type()
    alone, together = Twin(a_type), Twin(a_type, rows=3)
    other = signals.blank_signals(1, a_type)
    for i, line in enumerate(healthy(rng, 200)):
        alone.observe(i * SECOND, line)
        together.observe(i * SECOND, line, row=1)
    for name, array in zip(together.state._fields, together.state, strict=True):
        np.testing.assert_array_equal(array[1], getattr(alone.state, name)[0], err_msg=name)
        np.testing.assert_array_equal(array[0], getattr(other, name)[0], err_msg=name)
        np.testing.assert_array_equal(array[2], getattr(other, name)[0], err_msg=name)


def test_relearn_is_birth() -> None:
    a_type = device_type()
    twin = Twin(a_type)
    twin.feed(healthy(np.random.default_rng(0), 200))
    signals.relearn(twin.state, twin.params, 0)
    blank = signals.blank_signals(1, a_type)
    for name, array in zip(blank._fields, blank, strict=True):
        np.testing.assert_array_equal(getattr(twin.state, name), array, err_msg=name)


def test_learns_the_baseline_once_and_says_so() -> None:
    twin = Twin(device_type(baseline=60))
    happened = twin.feed(healthy(np.random.default_rng(1), 300))
    assert [(i, h[0], h[3]) for i, h in happened if h[0] == "baseline.learned"] == [
        (59, "baseline.learned", 60.0)
    ]


def test_health_is_unknown_until_then() -> None:
    twin = Twin(device_type(baseline=60))
    x = healthy(np.random.default_rng(1), 60)
    twin.feed(x[:59])
    assert np.isnan(twin.state.health[0])
    assert twin.state.observed[0] == 0
    twin.feed(x[59:], start=59)
    assert twin.state.health[0] == 100
    assert twin.state.observed[0] == 1


def test_baseline_withstands_outliers_while_learning() -> None:
    rng = np.random.default_rng(2)
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(rng, 400)
    x[rng.choice(np.arange(20, 400), 20, replace=False), 0] += 1000
    twin.feed(x)
    assert abs(twin.state.mean[0, 0, 0] - 20) < 0.5
    assert twin.state.spread[0, 0, 0] < 2.0


def test_baseline_withstands_a_fault_while_learning() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(2), 600)
    x[100:160, 1] += 40
    happened = twin.feed(x)
    assert twin.state.disturbed[0] > 20
    assert next(i for i, h in happened if h[0] == "baseline.learned") == 399
    assert abs(twin.state.mean[0, 0, 1] - 20) < 0.8  # plain mean and spread: 26 and 14
    assert twin.state.spread[0, 0, 1] < 2.2


def test_a_lasting_change_while_learning_starts_the_baseline_anew() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(2), 1000)
    x[100:, 1] += 100
    twin.feed(x)
    assert twin.state.learned[0]
    assert abs(twin.state.mean[0, 0, 1] - 120) < 1.0


def test_each_regime_has_its_own_mean() -> None:
    rng = np.random.default_rng(4)
    twin = Twin(device_type(baseline=400))
    x = healthy(rng, 1200)
    x[:, 3] = rng.random(1200)
    x[:, :3] += 100.0 * (x[:, 3:4] >= 0.5)
    happened = twin.feed(x)
    assert [h[0] for _, h in happened] == ["baseline.learned"]
    np.testing.assert_allclose(twin.state.mean[0, :, 0], [20, 120], atol=0.3)


def test_a_regime_first_met_later_is_learned_before_it_is_judged() -> None:
    rng = np.random.default_rng(4)
    twin = Twin(device_type(baseline=120))
    x = healthy(rng, 800)
    x[400:, 3] = 0.9
    x[400:, :3] += 50
    happened = twin.feed(x[:410])
    assert twin.state.observed[0] == 0
    happened += twin.feed(x[410:], start=410)
    assert twin.state.observed[0] == 1
    assert twin.state.health[0] > 99
    assert [h[0] for _, h in happened] == ["baseline.learned"]


def test_condition_channels_are_never_held_against_a_device() -> None:
    twin = Twin(device_type(regimes=1))
    x = healthy(np.random.default_rng(5), 500)
    x[300:, 3] = 1e6
    assert [h[0] for _, h in twin.feed(x)] == ["baseline.learned"]
    assert twin.state.health[0] > 99


def test_a_baseline_given_is_used_at_once() -> None:
    a_type = device_type(regimes=1)
    twin = Twin(a_type)
    signals.give_baseline(twin.state, twin.params, 0, np.full((1, 3), 20.0), np.ones((1, 3)))
    assert twin.state.health[0] == 100
    x = healthy(np.random.default_rng(6), 300)
    x[200:, 0] += 8
    happened = twin.feed(x)
    assert [h[:2] for i, h in happened if h[0].startswith("anomaly")] == [("anomaly.started", 0)]
    assert twin.state.health[0] < 70


@pytest.mark.parametrize(
    ("mean", "spread"), [((2, 3), (1, 3)), ((1, 3), (1, 2))], ids=["mean of two regimes", "two spreads"]
)
def test_a_baseline_of_the_wrong_shape_is_refused(mean: tuple[int, int], spread: tuple[int, int]) -> None:
    twin = Twin(device_type(regimes=1))
    with pytest.raises(ValueError, match="shape"):
        signals.give_baseline(twin.state, twin.params, 0, np.ones(mean), np.ones(spread))
    with pytest.raises(ValueError, match="above zero"):
        signals.give_baseline(twin.state, twin.params, 0, np.ones((1, 3)), np.zeros((1, 3)))


def test_healthy_noise_is_no_anomaly() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    happened = twin.feed(healthy(np.random.default_rng(7), 8000, 3, 0.7))
    assert [h[0] for _, h in happened] == ["baseline.learned"]


def test_a_shift_of_one_channel_becomes_an_anomaly_there_and_ends() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(8), 1200)
    x[600:700, 2] += 5
    happened = [(i, h) for i, h in twin.feed(x) if h[0].startswith("anomaly")]
    (start, started), (end, ended) = happened
    assert started[:2] == ("anomaly.started", 2)
    assert 600 < start < 640
    assert ended[0] == "anomaly.ended"
    assert 700 < end < 780


def test_novelty_rises_at_onset_and_falls_while_the_anomaly_lasts() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(9), 1500)
    x[1000:, 2] += 6
    score = []
    for i, line in enumerate(x):
        twin.observe(i * SECOND, line)
        score.append(float(twin.state.anomaly_score[0]))
    onset = max(score[1000:1020])
    assert max(score[400:1000]) < onset
    assert max(score[1050:1400]) < 0.8 * onset
    assert np.mean(score[1050:1400]) < 0.1 * onset
    assert all(0 <= value <= 1 for value in score)


def test_what_was_known_of_the_present_fades_in_silence() -> None:
    twin = Twin(device_type(baseline=400, regimes=1))
    x = healthy(np.random.default_rng(10), 430)
    x[400:, 0] += 3
    twin.feed(x)
    before = twin.state.track[0, 0, 0]
    twin.observe(430 * SECOND + 1000 * SECOND, healthy(np.random.default_rng(11), 1)[0])
    assert before > 1
    assert abs(twin.state.track[0, 0, 0]) < 0.5


def test_a_constant_channel_is_well_defined() -> None:
    twin = Twin(device_type(baseline=100, regimes=1))
    x = healthy(np.random.default_rng(12), 400)
    x[:, 0] = 5.0
    happened = twin.feed(x)
    assert [h[0] for _, h in happened] == ["baseline.learned"]
    assert twin.state.health[0] == 100
    for array in twin.state:
        assert np.isfinite(array.astype(float)).all()


def test_a_type_without_features_stays_unknown() -> None:
    twin = Twin(DeviceType("meter", 1, (Channel("count", "1", kind="counter"),)))
    assert twin.observe(0, [1.0]) == []
    assert np.isnan(twin.state.health[0])


def test_regimes_are_capped() -> None:
    channels = tuple(Channel(f"q{i}", "1", condition=True) for i in range(3))
    conditions = tuple(OperatingCondition(f"q{i}", (1.0, 2.0, 3.0)) for i in range(3))
    params = signals.signal_params(
        DeviceType("many", 1, (*channels, Channel("c", "1")), conditions=conditions)
    )
    assert params.stride[-1] == 16
    assert len(params.condition) == 2
