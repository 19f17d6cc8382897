"""What a rehearsal came to: alerts by rule, rates of the whole fleet with an interval, floods, examples.

Devices are what is drawn, so they are what is drawn again: the interval is a bootstrap over devices (Efron and Tibshirani,
An Introduction to the Bootstrap, percentile method), narrowed by the share of the fleet that was run (Cochran, Sampling
Techniques, finite population correction). Nothing here depends on the order in which devices are told.
"""

import math
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.pairing import Change, Pair, Stretch
from training.past import Past
from training.rehearsal import Cause, Question, Ran, drawn, fitted, run
from twins.clock import DAY_US, MINUTE_US, SECOND_US

EXAMPLES: Final = 20
"""Alerts that are named, of each change."""

_LEVEL: Final = 0.9
_RESAMPLES: Final = 2000
_FLOOD_US: Final = 10 * MINUTE_US  # ISA-18.2: ten alarms in ten minutes are what an operator can bear
_NAMED: Final[tuple[Change, ...]] = ("appeared", "vanished", "moved")
_NET: Final[Mapping[Change, int]] = {"appeared": 1, "vanished": -1}


class Comparison:
    """Alerts before and after, of devices told a few at a time.

    Parameters
    ----------
    question : what was asked
    population : devices of the fleet that those told are some of
    seed : of the bootstrap
    """

    def __init__(self, question: Question, population: int, seed: int) -> None:
        self._question = question
        self._population = population
        self._seed = seed
        self._devices: list[str] = []
        self._counts: Counter[tuple[str, Change]] = Counter()
        self._shifts: dict[str, list[int]] = {}
        self._net: dict[str, Counter[str]] = {}
        self._differing: set[str] = set()
        self._raised: tuple[list[int], list[int]] = [], []
        self._examples: dict[Change, list[Pair]] = {change: [] for change in _NAMED}
        self._readings = self._put_aside = 0
        self._start_us: int | None = None
        self._lots: NDArray[np.int64] | None = None  # of as many devices as were told

    def add(self, ran: Ran) -> None:
        """Count what came of running some devices."""
        self._devices += ran.devices
        self._readings += ran.readings
        self._put_aside += ran.put_aside
        self._start_us = ran.start_us if self._start_us is None else min(self._start_us, ran.start_us)
        for pair in ran.pairs:
            self._count(pair, pair.change)

    def as_json(self, shortened: Cause = None) -> dict[str, Any]:
        """The result, as JSON values; ``shortened`` says why the question is about less than was asked for."""
        question = self._question
        start_us, end_us = self._start_us or question.start_us, question.end_us
        days = max(end_us - start_us, SECOND_US) / DAY_US
        ran = len(self._devices)
        rules = [
            *dict.fromkeys(rule.name for side in (question.after, question.before) for rule in side.rules)
        ]
        return {
            "type": question.name,
            "seed": self._seed,
            "start": _iso(start_us),
            "end": _iso(end_us),
            "days": days,
            "shortened": shortened or ("history" if start_us > question.start_us else None),
            "devices": ran,
            "of_devices": self._population,
            "readings": self._readings,
            "of_readings": round(self._readings * self._population / ran) if ran else 0,
            "put_aside": self._put_aside,
            "differing": len(self._differing),
            "may_differ": self._may_differ(),
            "in_all": self._of(rules, days),
            "rules": [{"rule": rule, **self._of([rule], days)} for rule in rules],
            "peak": dict(zip(("before", "after"), map(peak, self._raised), strict=True)),
            "examples": [_example(change, pair) for change in _NAMED for pair in self._examples[change]],
        }

    # -- inside ----------------------------------------------------------------------------------------------------

    def _count(self, pair: Pair, change: Change) -> None:
        self._counts[pair.rule, change] += 1
        if change == "stood":
            return
        for raised, stretch in zip(self._raised, (pair.before, pair.after), strict=True):
            raised += [] if stretch is None else [stretch.raised_us]
        if change == "moved":
            self._shifts.setdefault(pair.rule, []).append(_shift_us(pair))
        if change in _NET:
            self._net.setdefault(pair.rule, Counter())[pair.device_id] += _NET[change]
        if change in self._examples:
            self._differing.add(pair.device_id)
            insort(self._examples[change], pair, key=_order)
            del self._examples[change][EXAMPLES:]

    def _of(self, rules: list[str], days: float) -> dict[str, Any]:
        """Counts of some rules together, and their rates."""
        count = {
            change: sum(self._counts[rule, change] for rule in rules)
            for change in ("same", "moved", "appeared", "vanished", "stood")
        }
        shifts = [shift for rule in rules for shift in self._shifts.get(rule, ())]
        before = count["same"] + count["moved"] + count["vanished"]
        after = count["same"] + count["moved"] + count["appeared"]
        share = self._population / max(1, len(self._devices)) / days
        bounds = self._interval(rules)
        low, high = (None, None) if bounds is None else (bound * self._population / days for bound in bounds)
        return {
            "before": before,
            "after": after,
            **count,
            "shift_s": median(shifts) / SECOND_US if shifts else None,
            "rate": {
                "before": before * share,
                "after": after * share,
                "difference": (after - before) * share,
                "low": low,
                "high": high,
            },
        }

    def _interval(self, rules: list[str]) -> tuple[float, float] | None:
        """Of the mean difference a device; None: nothing was drawn, or too little to tell."""
        n = len(self._devices)
        if n >= self._population or n < 2:
            return None
        place = {device_id: i for i, device_id in enumerate(sorted(self._devices))}
        net = np.zeros(n)
        for rule in rules:
            for device_id, difference in self._net.get(rule, {}).items():
                net[place[device_id]] += difference
        if self._lots is None or self._lots.shape[1] != n:
            self._lots = lots(n, self._seed)
        return interval(net, self._population, self._lots)

    def _may_differ(self) -> float | None:
        """The share of the fleet that may differ though no device that was run does; None: one does, or all were run.

        Were it more, so many devices would all be the same one time in ten at most.
        """
        n = len(self._devices)
        if self._differing or n >= self._population or not n:
            return None
        return -math.expm1(math.log1p(-_LEVEL) / n)


def sampled(
    past: Past, question: Question, ids: Sequence[str], seed: int, devices: int | None = None
) -> dict[str, Any]:
    """The answer from some of the devices, as JSON values, within seconds; ``devices``: from how many.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the window is not there any more, or not yet.
    """
    chosen, fitting, shortened = fitted(past, question, drawn(ids, seed), devices)
    comparison = Comparison(fitting, len(ids), seed)
    comparison.add(run(past, fitting, chosen))
    return comparison.as_json(shortened)


def lots(n: int, seed: int) -> NDArray[np.int64]:
    """(resamples, n) how often each of ``n`` is drawn when so many are, again and again, with replacement."""
    drawn_again: NDArray[np.int64] = np.random.Generator(np.random.Philox(seed)).multinomial(
        n, np.full(n, 1 / n), size=_RESAMPLES
    )
    return drawn_again


def interval(
    values: NDArray[np.float64], population: int, drawn_again: NDArray[np.int64]
) -> tuple[float, float]:
    """Bounds, at 90 %, of the mean of a population of which ``values`` (n,) were drawn; n is 2 or more."""
    n = len(values)
    means = drawn_again @ values / n
    narrow = math.sqrt((1 - n / population) * n / (n - 1))
    mean = values.mean()
    low, high = mean + (np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]) - mean) * narrow
    return float(low), float(high)


def peak(raised_us: Iterable[int]) -> int:
    """The most alerts that were raised in any ten minutes."""
    at_us = np.sort(np.fromiter(raised_us, np.int64))
    counts = np.searchsorted(at_us, at_us + _FLOOD_US, "left") - np.arange(len(at_us))
    return int(counts.max(initial=0))


def _order(pair: Pair) -> tuple[int, str, str]:
    """By time, and the same whatever came first."""
    raised_us = min(stretch.raised_us for stretch in (pair.before, pair.after) if stretch is not None)
    return raised_us, pair.device_id, pair.rule


def _shift_us(pair: Pair) -> int:
    assert pair.before is not None
    assert pair.after is not None
    return pair.after.raised_us - pair.before.raised_us


def _example(change: Change, pair: Pair) -> dict[str, Any]:
    return {
        "device_id": pair.device_id,
        "rule": pair.rule,
        "change": change,
        "before": _stretch(pair.before),
        "after": _stretch(pair.after),
        "shift_s": _shift_us(pair) / SECOND_US if change == "moved" else None,
    }


def _stretch(stretch: Stretch | None) -> dict[str, str] | None:
    if stretch is None:
        return None
    return {"raised": _iso(stretch.raised_us), "cleared": _iso(stretch.until_us)}


def _iso(at_us: int) -> str:
    text = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
