"""What is news and what is not: ceilings, youth, incidents, and what maintenance does to them."""

import numpy as np
import pytest

from tests.twins.naive import Happening, NaiveSignals
from tests.twins.test_signals import SECOND, Twin, _disturb, agree, device_type, healthy
from twins import signals
from twins.clock import DAY_US, HOUR_US
from twins.traces import STEADY, UNSTEADY

T0 = 20_000 * DAY_US
ONE = device_type(1, baseline=400, regimes=1)


def grown(a_type=ONE) -> Twin:
    """A device past its youth, with a baseline of mean 20 and deviation 1."""
    twin = Twin(a_type)
    features = len(twin.params.channel)
    shape = (int(twin.params.stride[-1]), features)
    signals.give_baseline(twin.state, twin.params, 0, np.full(shape, 20.0), np.ones(shape))
    return twin


class Life:
    """Feeds a twin hour after hour, and notes its onsets."""

    def __init__(self, twin: Twin, start_us: int = T0, seed: int = 0) -> None:
        self.twin = twin
        self.at_us = start_us
        self.rng = np.random.default_rng(seed)

    def live(self, lines: int, size: float = 0.0, load: float = 0.2) -> list[Happening]:
        """So many lines, seconds apart, ``size`` off the mean; the onsets among them."""
        x = healthy(self.rng, lines, 1)
        x[:, 0] += size
        x[:, 1] = load
        told = []
        for line in x:
            self.at_us += SECOND
            told += [h for h in self.twin.observe(self.at_us, line) if h[0] == "anomaly.started"]
        return told


def test_an_excursion_no_larger_than_one_before_is_no_news() -> None:
    life = Life(grown())
    assert len(life.live(60, 3.0)) == 1
    assert life.live(3000) == []
    assert life.live(60, 3.0) == []
    assert life.live(3000) == []
    assert len(life.live(60, 9.0)) == 1


def test_it_is_news_again_after_months() -> None:
    life = Life(grown())
    assert len(life.live(60, 3.0)) == 1
    life.live(3000)
    life.at_us += 120 * DAY_US
    assert len(life.live(60, 3.0)) == 1


def test_a_fault_far_off_does_not_hide_the_next() -> None:
    life = Life(grown())
    assert len(life.live(60, 100.0)) == 1
    life.live(4000)
    assert len(life.live(60, 10.0)) == 1


def test_soon_after_its_end_it_is_the_same_incident() -> None:
    life = Life(grown())
    assert len(life.live(60, 3.0)) == 1
    life.live(200)
    assert life.twin.state.anomalous[0] == 0
    assert len(life.live(60, 3.0)) == 1


def test_what_ended_in_a_repair_was_no_habit() -> None:
    life = Life(grown())
    assert len(life.live(60, 3.0)) == 1
    signals.reset_detectors(life.twin.state, life.twin.params, 0)
    assert life.live(3000) == []
    assert len(life.live(60, 3.0)) == 1


def test_the_time_after_a_change_of_regime_has_its_own_ceiling() -> None:
    life = Life(grown(device_type(1, baseline=400, regimes=2)))
    life.live(300, load=0.2)
    assert len(life.live(60, 3.0, load=0.8)) == 1  # it lags behind
    ceiling = life.twin.state.ceiling[0]
    assert ceiling[UNSTEADY] > 1
    assert ceiling[STEADY] == 0
    life.live(3000, load=0.8)
    assert life.live(60, 3.0, load=0.2) == []
    life.live(3000, load=0.2)
    assert len(life.live(60, 3.0, load=0.2)) == 1


@pytest.mark.parametrize(("young", "onsets"), [(True, 0), (False, 1)])
def test_what_a_short_baseline_cannot_know_is_no_news_in_the_first_week(young: bool, onsets: int) -> None:
    twin = Twin(device_type(1, baseline=100, regimes=1)) if young else grown()
    life = Life(twin)
    assert life.live(1600) == []
    assert len(life.live(60, 2.5)) == onsets
    life.live(1600)
    life.at_us += 8 * DAY_US
    life.live(100)
    assert life.live(60, 2.5) == []  # neither is it later


def test_a_daily_way_of_the_first_week_is_ordinary_and_a_jump_is_not() -> None:
    rng = np.random.default_rng(3)
    hours = np.arange(20 * 24 * 12) / 12  # every five minutes
    x = healthy(rng, len(hours), 1)
    x[:, 0] += 4.0 * np.sin(2 * np.pi * hours / 24)
    twin = Twin(device_type(1, baseline=40, regimes=1))
    health = np.zeros(len(x))
    onsets = 0
    for i, line in enumerate(x):
        told = twin.observe(T0 + i * HOUR_US // 12, line, interval_us=HOUR_US // 12)
        onsets += sum(h[0] == "anomaly.started" for h in told)
        health[i] = twin.state.health[0]
    assert health[10 * 24 * 12 :].min() > 90
    assert onsets <= 1
    for k in range(600):
        line = x[k].copy()
        line[0] += 25.0
        twin.observe(T0 + (len(x) + k) * HOUR_US // 12, line, interval_us=HOUR_US // 12)
    assert twin.state.health[0] < 60


@pytest.mark.parametrize("seed", range(6))
def test_long_lives_equal_the_naive_device(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a_type = device_type(int(rng.integers(1, 4)), baseline=30, regimes=int(rng.integers(1, 4)))
    channels = len(a_type.channels) - 2
    twin, naive = Twin(a_type), NaiveSignals(a_type)
    x = healthy(rng, 6000, channels, 0.8)
    x[:, channels] = np.repeat(rng.uniform(0, 1, 20), 300)
    for start in range(0, 6000, 1000):
        _disturb(rng, x[start : start + 1000, :channels])
    t_us = int(rng.integers(0, 30_000)) * DAY_US
    for i, line in enumerate(x.astype(np.float32)):
        t_us += SECOND if rng.random() < 0.998 else int(rng.integers(1, 5)) * DAY_US
        if i in (2500, 4200):
            signals.reset_detectors(twin.state, twin.params, 0)
            naive.reset_detectors()
        got = twin.observe(t_us, line)
        agree(twin, naive, got, naive.observe(t_us, list(map(float, line)), [True] * len(line), SECOND))
