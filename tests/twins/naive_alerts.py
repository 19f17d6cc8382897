"""Alerts, slow and obvious: one object per device and rule, its state by name, its condition read as a tree.

What ``twins/lifecycle.py`` packs into bits is spelt out here. Nothing is shared with it but the filter
grammar and the constants of the delays.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twins.devices import AlertRule, DeviceType
from twins.events import PATTERNS, Kind
from twins.filters import And, Compare, Flag, In, Missing, Not, Or, Term, Tree, normal, parse
from twins.rules import (
    MAX_DELAY_S,
    OFF_DELAY_INTERVALS,
    ON_DELAY_INTERVALS,
    PARENT_FLAGS,
    RATE_INTERVALS,
    rule_vocabulary,
)

Event = tuple[int, int, int, int, float, float]  # at µs, kind, rule, occurrence, a, b

NAN = math.nan


@dataclass
class Device:
    """What is known of one device when its alerts are looked at."""

    values: dict[str, float] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    health: float = NAN
    anomaly_score: float = NAN
    anomalous: bool = False
    patterns: set[tuple[str, str]] = field(default_factory=set)  # pattern, channel
    scores: dict[str, float] = field(default_factory=dict)
    interval_us: int = 0
    event_us: int = -(2**63)
    heard_us: int | None = None
    stale_intervals: float = 10.0
    stale_at_least_us: int = 5_000_000
    rates: dict[str, tuple[float, float, float, int]] = field(default_factory=dict)


class NaiveAlert:
    """One rule of one device."""

    def __init__(self, index: int, rule: AlertRule, device_type: DeviceType) -> None:
        self.index = index
        self.rule = rule
        self.dtype = device_type.dtype.type
        self.tree = _spelt_out(normal(parse(rule.when, rule_vocabulary(device_type))))
        self.silence = isinstance(self.tree, Flag | Compare) and self.tree.term.key in ("stale", "silent_s")
        self.held: dict[Tree, bool] = {}  # what each test said last
        self.base = "NORMAL"
        self.active = False
        self.away: set[str] = set()
        self.occurrence = 0
        self.due_us: int | None = None  # end of the delay that runs
        self.until_us: int | None = None  # end of the shelf; None: one-shot
        self.stamp_s = 0  # raised at, or brought back from the shelf at; the end of a shelf while on it
        self.events: list[Event] = []

    @property
    def phase(self) -> str:
        if "out" in self.away:
            return "OUT_OF_SERVICE"
        if self.away & {"suppressed", "parent"}:
            return "SUPPRESSED_BY_DESIGN"
        return "SHELVED" if self.away else self.base

    # -- the condition --

    def look(self, device: Device) -> None:
        """The device has spoken: look at the condition again."""
        holds = self._holds(self.tree, device)
        at_us = device.event_us
        if holds == self.active:
            self.due_us = None
            self._forget()
        elif self.due_us is None:
            delay = self.rule.on_delay_s if holds else self.rule.off_delay_s
            if delay is None:
                delay_us = int((ON_DELAY_INTERVALS if holds else OFF_DELAY_INTERVALS) * device.interval_us)
                delay_us = min(delay_us, round(MAX_DELAY_S * 1e6))
            else:
                delay_us = round(delay * 1e6)
            if delay_us == 0:
                self._settle(holds, at_us, *self.reason(device, at_us))
            else:
                self._start_timer(at_us + delay_us)

    def end_delay(self, device: Device) -> None:
        assert self.due_us is not None
        at_us, self.due_us = self.due_us, None
        self._settle(not self.active, at_us, *self.reason(device, at_us))

    def reason(self, device: Device, at_us: int) -> tuple[float, float]:
        if self.silence:
            limit = self.silent_us(device)
            if device.heard_us is None:
                return NAN, NAN
            return (at_us - device.heard_us) / 1e6, NAN if limit is None else limit / 1e6
        numbers = [test for test in tests_of(self.tree) if isinstance(test, Compare)]
        for test in numbers:
            if self.held.get(test):
                return self._value(test.term, device), float(test.value)  # type: ignore[arg-type]
        if numbers:
            return self._value(numbers[0].term, device), float(numbers[0].value)  # type: ignore[arg-type]
        return NAN, NAN

    # -- silence, in shard time --

    def silent_us(self, device: Device) -> int | None:
        if device.heard_us is None:
            return None
        if isinstance(self.tree, Compare):
            return round(float(self.tree.value) * 1e6)  # type: ignore[arg-type]
        return stale_after_us(device) if device.interval_us else None

    def next_silence_us(self, device: Device) -> int | None:
        """When a rule about silence next changes by itself."""
        limit = self.silent_us(device)
        silent_at = None if limit is None or device.heard_us is None else device.heard_us + limit
        if not self.active:
            return None if silent_at is None else silent_at + round((self.rule.on_delay_s or 0) * 1e6)
        if self.due_us is None:
            return None
        return self.due_us if silent_at is None else min(self.due_us, silent_at)

    def change_silence(self, at_us: int, device: Device) -> None:
        assert device.heard_us is not None
        limit = self.silent_us(device)
        args = (at_us, (at_us - device.heard_us) / 1e6, NAN if limit is None else limit / 1e6)
        over = self.active and self.due_us == at_us
        if not over:
            self.held[self.tree] = True
        if not self.active:
            self._settle(True, *args)
        else:
            self.due_us = None
            if over:
                self._settle(False, *args)

    def heard(self, now_us: int) -> None:
        self.held[self.tree] = False
        if self.active and self.due_us is None:
            if self.rule.off_delay_s:
                self._start_timer(now_us + round(self.rule.off_delay_s * 1e6))
            else:
                self._settle(False, now_us, 0.0, NAN)

    # -- the life cycle --

    def _start_timer(self, end_us: int) -> None:
        """A delay ends with the millisecond in which it is over."""
        self.due_us = -(-end_us // 1000) * 1000

    def _settle(self, active: bool, at_us: int, value: float, limit: float) -> None:
        self.active = active
        if active:
            if not self.away:
                self._annunciate(at_us, value, limit)
        elif self.away:
            if "shelved" in self.away and self.until_us is None:
                self.bring_back("shelved", Kind.ALERT_UNSHELVED, at_us, NAN, NAN)
        elif self.rule.latch:
            self.base = "LATCHED_UNACK" if self.base == "UNACK" else "LATCHED_ACKED"
            self._tell(Kind.ALERT_LATCHED, at_us, value)
        else:
            self.base = "RTN_UNACK" if self.base == "UNACK" else "NORMAL"
            self._tell(Kind.ALERT_RETURNED, at_us, value)
            self._forget()

    def _forget(self) -> None:
        """An alert at rest forgets when it was raised."""
        if self.base == "NORMAL" and not self.active and not self.away and self.due_us is None:
            self.stamp_s = 0

    def _annunciate(self, at_us: int, value: float, limit: float) -> None:
        again = self.base in ("RTN_UNACK", "LATCHED_UNACK", "LATCHED_ACKED")
        self.base = "UNACK"
        if not again:
            self.occurrence += 1
            self.stamp_s = at_us // 1_000_000
        self._tell(Kind.ALERT_RERAISED if again else Kind.ALERT_RAISED, at_us, value, limit)

    def put_aside(self, why: str, kind: Kind, at_us: int, a: float = NAN) -> None:
        if not self.away and not self.base.startswith("LATCHED"):
            self.base = "NORMAL"
        self.away.add(why)
        self._tell(kind, at_us, a)

    def shelve(self, until_us: int | None, now_us: int) -> None:
        """Put on the shelf, or set another end: rounded up to a second; None: until it next clears."""
        self.until_us = None if until_us is None else -(-until_us // 1_000_000) * 1_000_000
        self.stamp_s = (self.until_us or 0) // 1_000_000
        self.put_aside(
            "shelved", Kind.ALERT_SHELVED, now_us, NAN if until_us is None else float(self.until_us or 0)
        )

    def close(self, now_us: int) -> None:
        """The device leaves the fleet."""
        if self.phase not in ("NORMAL", "SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"):
            self._tell(Kind.ALERT_RETURNED, now_us)
        self.base, self.active, self.due_us = "NORMAL", False, None
        self.away.clear()
        self._forget()

    def bring_back(self, why: str, kind: Kind, at_us: int, value: float, limit: float) -> None:
        self.away.remove(why)
        if why == "shelved":
            self.stamp_s = at_us // 1_000_000
        self._tell(kind, at_us)
        if not self.away and self.active:
            self._annunciate(at_us, value, limit)
        self._forget()

    def acknowledge(self, now_us: int) -> bool:
        after = {"UNACK": "ACKED", "RTN_UNACK": "NORMAL", "LATCHED_UNACK": "LATCHED_ACKED"}.get(self.phase)
        if after is None:
            return False
        self.base = after
        self._forget()
        self._tell(Kind.ALERT_ACKNOWLEDGED, now_us)
        return True

    def reset(self, now_us: int) -> bool:
        after = {"LATCHED_ACKED": "NORMAL", "LATCHED_UNACK": "RTN_UNACK"}.get(self.phase)
        if after is None:
            return False
        self.base = after
        self._forget()
        self._tell(Kind.ALERT_RESET, now_us)
        return True

    def _tell(self, kind: Kind, at_us: int, a: float = NAN, b: float = NAN) -> None:
        self.events.append((at_us, int(kind), self.index, self.occurrence, a, b))

    # -- comparisons --

    def _holds(self, tree: Tree, device: Device) -> bool:
        match tree:
            case And(parts):
                held = [self._holds(part, device) for part in parts]  # each one, so that each is remembered
                return all(held)
            case Or(parts):
                held = [self._holds(part, device) for part in parts]
                return any(held)
        self.held[tree] = self._test(tree, device)
        return self.held[tree]

    def _test(self, test: Tree, device: Device) -> bool:
        match test:
            case Not(Missing(term)):
                return not math.isnan(self._value(term, device))
            case Missing(term):
                return math.isnan(self._value(term, device))
            case Not(Flag(term)):
                return self._value(term, device) < 0.5
            case Flag(term):
                return self._value(term, device) > 0.5
            case Compare(term, operator, value):
                x = self._value(term, device)
                before = self.held.get(test, False)
                band = self.rule.deadband.get(term.key, 0.0) if before else 0.0
                limit = float(value)  # type: ignore[arg-type]
                high, low = self._exact(term, limit - band), self._exact(term, limit + band)
                exact = self._exact(term, limit)
                past = {">": x > high, ">=": x >= high, "<": x < low, "<=": x <= low}
                equal = {"=": x == exact, "!=": x != exact}
                return not math.isnan(x) and {**past, **equal}[operator]
        raise AssertionError(test)

    def tests(self) -> list[Tree]:
        """The tests of the condition, in the order in which they are written."""
        return tests_of(self.tree)

    def memory(self) -> dict[tuple[Any, ...], bool]:
        """What each test said last, under a name that outlasts a change of rules."""
        return {self._lasting(test): held for test, held in self.held.items()}

    def remember(self, held: dict[tuple[Any, ...], bool]) -> None:
        self.held = {test: held[self._lasting(test)] for test in self.tests() if self._lasting(test) in held}

    def _lasting(self, test: Tree) -> tuple[Any, ...]:
        if not isinstance(test, Compare):
            return (test,)
        limit, band = float(test.value), self.rule.deadband.get(test.term.key, 0.0)  # type: ignore[arg-type]
        edges = (limit, limit - band, limit + band)
        return (test.term, test.operator, *(self._exact(test.term, edge) for edge in edges))

    def _exact(self, term: Term, value: Any) -> float:
        if term.function == "rate":
            return float(value)
        single = term.key in ("health", "anomaly_score") or term.key.startswith(("p_fail", "rul"))
        return float(np.float32(value)) if single else float(self.dtype(value))

    def _value(self, term: Term, device: Device) -> float:
        key = term.key
        if term.function == "rate":
            return device.rates.get(term.path[0], (NAN, NAN, NAN, 0))[2]
        if term.function == "bad":
            return float(term.path[0] in device.bad)
        if term.path[0] == "pattern":
            channels = term.path[2:]
            return float(
                any(p == term.path[1] and (not channels or c == channels[0]) for p, c in device.patterns)
            )
        if key in ("health", "anomaly_score"):
            return float(getattr(device, key))
        if key == "anomalous":
            return float(device.anomalous)
        if key in device.scores:
            return device.scores[key]
        return device.values.get(key, NAN)


class NaiveTwin:
    """All alerts of one device."""

    def __init__(self, device_type: DeviceType) -> None:
        self.device = Device()
        self.alerts = [NaiveAlert(k, rule, device_type) for k, rule in enumerate(device_type.rules)]
        self.events: list[Event] = []
        self.looked = True  # False: rules have changed since the conditions were last looked at
        for alert in self.alerts:
            alert.events = self.events

    def pass_time(self, now_us: int) -> None:
        """Let shelves end and silences be counted, in their order."""
        while True:
            due: list[tuple[int, int, int]] = []
            for alert in self.alerts:
                if "shelved" in alert.away and alert.until_us is not None:
                    due.append((alert.until_us, alert.index, 0))
                if alert.silence and (at_us := alert.next_silence_us(self.device)) is not None:
                    due.append((at_us, alert.index, 1))
            if not due or min(due)[0] > now_us:
                return
            at_us, k, what = min(due)
            alert = self.alerts[k]
            if what == 0:
                alert.bring_back("shelved", Kind.ALERT_UNSHELVED, at_us, *alert.reason(self.device, at_us))
            else:
                alert.change_silence(at_us, self.device)

    def line(
        self, t_us: int, now_us: int, values: dict[str, float], bad: set[str], signals: dict[str, Any]
    ) -> None:
        """A line of readings: ``values`` are good, ``bad`` channels brought nothing usable."""
        self.fire_due(t_us, now_us)
        device = self.device
        device.values.update(values)
        device.bad = (device.bad - set(values)) | bad
        device.event_us = max(device.event_us, t_us)
        device.heard_us = now_us
        for name, value in signals.items():
            setattr(device, name, value)
        self.look(t_us, now_us, values)

    def fire_due(self, t_us: int, now_us: int) -> None:
        """What was due by shard time ``now_us``, then what was due by event time ``t_us``."""
        self.pass_time(now_us)
        while True:
            due = [(a.due_us, a.index) for a in self.alerts if a.due_us is not None and not a.silence]
            if not due or min(due)[0] > t_us:
                break
            self.alerts[min(due)[1]].end_delay(self.device)

    def look(self, t_us: int, now_us: int, values: dict[str, float]) -> None:
        """Look at all conditions: ``device`` knows a line that brought ``values``."""
        followed = self._channels_with_rates()
        for channel, x in values.items():
            if channel in followed:
                self._follow_rate(channel, x, t_us)
        for alert in self.alerts:
            if alert.silence:
                alert.heard(now_us)
            else:
                alert.look(self.device)
        self.looked = True

    def under(self, device_type: DeviceType) -> None:
        """Go on under other rules: each keeps its alert by name, each test that did not change its memory."""
        before = {alert.rule.name: alert for alert in self.alerts}
        held = {key: value for alert in self.alerts for key, value in alert.memory().items()}
        self.alerts = [NaiveAlert(k, rule, device_type) for k, rule in enumerate(device_type.rules)]
        for alert in self.alerts:
            alert.events = self.events
            alert.remember(held)
            old = before.get(alert.rule.name)
            if old is None:
                continue
            for name in ("base", "active", "occurrence", "until_us", "stamp_s"):
                setattr(alert, name, getattr(old, name))
            alert.away = set(old.away)
            alert.due_us = old.due_us if old.silence == alert.silence else None
            alert._forget()
        followed = self._channels_with_rates()
        self.device.rates = {name: rate for name, rate in self.device.rates.items() if name in followed}
        self.looked = False

    def parent(self, flags: int, now_us: int) -> None:
        """The parent is in another state."""
        self.pass_time(now_us)
        for alert in self.alerts:
            why = flags & sum(PARENT_FLAGS[state] for state in set(alert.rule.suppressed_by))
            if why and "parent" not in alert.away:
                alert.put_aside("parent", Kind.ALERT_SUPPRESSED, now_us, float(why))
            elif not why and "parent" in alert.away:
                alert.bring_back(
                    "parent", Kind.ALERT_UNSUPPRESSED, now_us, *alert.reason(self.device, now_us)
                )

    def _channels_with_rates(self) -> set[str]:
        return {
            test.term.path[0] for a in self.alerts for test in a.tests() if _term(test).function == "rate"
        }

    def _follow_rate(self, channel: str, x: float, t_us: int) -> None:
        once, twice, _, last_us = self.device.rates.get(channel, (NAN, NAN, NAN, 0))
        if math.isnan(once):
            self.device.rates[channel] = (x, x, NAN, t_us)
        elif t_us > last_us:
            dt_us = float(t_us - last_us)
            tau_us = RATE_INTERVALS * (self.device.interval_us or dt_us)
            gain = dt_us / (tau_us + dt_us)
            once += (x - once) * gain
            twice += (once - twice) * gain
            self.device.rates[channel] = (once, twice, (once - twice) / tau_us * 3.6e9, t_us)


def pattern_bits(patterns: set[tuple[str, str]], channel: str) -> int:
    """A channel's patterns as kernels hold them."""
    return sum(1 << PATTERNS.index(p) for p, c in patterns if c == channel)


def _spelt_out(tree: Tree) -> Tree:
    """``in`` as so many comparisons."""
    match tree:
        case And(parts):
            return And(tuple(_spelt_out(part) for part in parts))
        case Or(parts):
            return Or(tuple(_spelt_out(part) for part in parts))
        case Not(In(term, values)):
            return And(tuple(Compare(term, "!=", value) for value in values))
        case In(term, values):
            return Or(tuple(Compare(term, "=", value) for value in values))
    return tree


def tests_of(tree: Tree) -> list[Tree]:
    """The tests of a condition, in the order in which they are written."""
    match tree:
        case And(parts) | Or(parts):
            return [test for part in parts for test in tests_of(part)]
    return [tree]


def _term(test: Tree) -> Term:
    found = test.part if isinstance(test, Not) else test
    term: Term = found.term  # type: ignore[union-attr]
    return term


def stale_after_us(device: Device) -> int:
    """How long a device of a known interval may be silent."""
    return max(int(device.stale_intervals * device.interval_us), device.stale_at_least_us)
