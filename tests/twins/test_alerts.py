"""The life cycle of alerts: state by state, and against the slow oracle under anything that may happen."""

import json
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.twins.naive_alerts import NaiveTwin, pattern_bits
from twins import alert_state, alerts
from twins.alert_state import FLAG_BITS, word_of
from twins.alerts import AlertBook, AlertPhase, AlertTarget
from twins.devices import AlertRule, Channel, DeviceType
from twins.errors import AlertNotFoundError, CommandRefusedError, FilterError, VersionConflictError
from twins.events import Kind, decode, event_buffer
from twins.lifecycle import PHASES
from twins.rules import compile_rules, scores_in_use

S = 1_000_000
T0 = 1_760_000_000 * S
NEVER = -(2**63)


class Core(NamedTuple):
    last_value: Any
    bad: Any
    event_us: Any
    heard_us: Any
    interval_us: Any
    status: Any


class Signals(NamedTuple):
    health: Any
    anomaly_score: Any
    anomalous: Any
    patterns: Any


class State(NamedTuple):
    core: Core
    signals: Signals
    alerts: alerts.AlertState


class Devices:
    """A few devices of one type, driven as the kernel drives them."""

    def __init__(self, device_type: DeviceType, rows: int = 1, interval_s: float = 1.0) -> None:
        channels = len(device_type.channels)
        self.type = device_type
        self.params = compile_rules(device_type)
        self.state = State(
            Core(
                np.full((rows, channels), np.nan, device_type.dtype),
                np.zeros(rows, np.uint64),
                np.full(rows, NEVER, np.int64),
                np.full(rows, NEVER, np.int64),
                np.full(rows, round(interval_s * S), np.int64),
                np.zeros(rows, np.uint8),
            ),
            Signals(
                np.full(rows, np.nan, np.float32),
                np.full(rows, np.nan, np.float32),
                np.zeros(rows, np.uint8),
                np.zeros((rows, channels), np.uint8),
            ),
            alerts.blank_alerts(rows, device_type),
        )
        self.book = AlertBook()
        self.events: list[list[tuple[int, int, int, int, float, float]]] = [[] for _ in range(rows)]
        self.ev = event_buffer(2 * alerts.MAX_EVENTS)

    def line(
        self,
        row: int,
        t_us: int,
        now_us: int | None = None,
        bad: tuple[str, ...] = (),
        signals: dict[str, Any] | None = None,
        **values: float,
    ) -> list[str]:
        """One line of readings; gives the events that it caused."""
        now_us = t_us if now_us is None else now_us
        s = self.state
        alerts.fire_due(s.alerts, self.params, s.core, s.signals, row, t_us, now_us, self.ev)
        scored = 0
        names = self.type.channel_names
        for name, value in values.items():
            s.core.last_value[row, names.index(name)] = value
            scored |= 1 << names.index(name)
            s.core.bad[row] &= ~np.uint64(1 << names.index(name))
        for name in bad:
            s.core.bad[row] |= np.uint64(1 << names.index(name))
        s.core.event_us[row] = max(s.core.event_us[row], t_us)
        s.core.heard_us[row] = now_us
        for name, value in (signals or {}).items():
            getattr(s.signals, name)[row] = value
        alerts.evaluate(
            s.alerts, self.params, s.core, s.signals, row, t_us, now_us, np.uint64(scored), self.ev
        )
        return self.drain()

    def tick(self, now_us: int) -> list[str]:
        s = self.state
        for row in range(len(s.core.status)):
            alerts.fire_due(
                s.alerts, self.params, s.core, s.signals, row, s.core.event_us[row], now_us, self.ev
            )
        return self.drain()

    def parent(self, row: int, flags: int, now_us: int) -> list[str]:
        self.state.core.status[row] = flags
        return self.take(alerts.follow_parents(self.state, self.params, np.array([row], np.int32), now_us))

    def do(
        self, verb: str, row: int, rule: str, now_us: int, *args: Any, occurrence: int | None = None
    ) -> list[str]:
        target = self.target(row, rule, occurrence)
        return self.take(getattr(self.book, verb)(target, *args, "ada", "", now_us))

    def target(self, row: int, rule: str, occurrence: int | None = None) -> AlertTarget:
        return AlertTarget(self.state, self.params, self.type, row, f"dev-{row}", rule, occurrence)

    def drain(self) -> list[str]:
        records = self.ev.items[: self.ev.used[0]].copy()
        self.ev.used[0] = 0
        return self._record(records)

    def take(self, batch: Any) -> list[str]:
        assert set(batch.notes) <= {-1, *range(len(batch))}
        return self._record(batch.records)

    def _record(self, records: Any) -> list[str]:
        self.book.follow(records, self.state, self.type)
        for at_us, row, kind, slot, occurrence, a, b in records.tolist():
            self.events[row].append((at_us, kind, slot, occurrence, a, b))
        return [Kind(kind).name.removeprefix("ALERT_") for kind in records["kind"].tolist()]

    def phase(self, row: int = 0, rule: int = 0) -> str:
        return AlertPhase(int(PHASES[word_of(self.state.alerts, row, rule) & 0xFF])).name


def everything(state: alerts.AlertState) -> list[Any]:
    """What is known of all devices' alerts, wherever their entries are."""
    rows = [array.copy() for array in state[: -len(alert_state.PLACES)]]
    return [*rows, alert_state.kept(state, 0, len(state.first))]


def device_type(*rules: AlertRule) -> DeviceType:
    return DeviceType(
        "rig",
        1,
        (
            Channel("vibration", "mm/s"),
            Channel("temperature", "Cel"),
            Channel("door", "1", kind="flag"),
        ),
        rules=rules,
    )


def high(**more: Any) -> AlertRule:
    values: dict[str, Any] = {"deadband": {"vibration": 0.5}, "on_delay_s": 2.0, "off_delay_s": 3.0, **more}
    return AlertRule("high", values.pop("when", "vibration > 7.1"), "high", "damage", "repair", **values)


AT_ONCE: dict[str, Any] = {"on_delay_s": 0.0, "off_delay_s": 0.0}


def test_raised_only_after_the_on_delay_at_its_very_end() -> None:
    rig = Devices(device_type(high()))
    assert rig.line(0, T0, vibration=8.0) == []
    assert rig.line(0, T0 + 1 * S, vibration=8.0) == []
    assert rig.line(0, T0 + 10 * S, vibration=1.0) == ["RAISED"]
    assert rig.events[0][0] == (T0 + 2 * S, Kind.ALERT_RAISED, 0, 1, 8.0, 7.1)
    assert rig.phase() == "UNACK"


def test_a_short_excursion_raises_nothing() -> None:
    rig = Devices(device_type(high()))
    rig.line(0, T0, vibration=8.0)
    rig.line(0, T0 + S, vibration=6.5)
    assert rig.line(0, T0 + 9 * S, vibration=7.0) == []
    assert rig.phase() == "NORMAL"


def test_the_deadband_comes_before_the_delay() -> None:
    rig = Devices(device_type(high()))
    rig.line(0, T0, vibration=8.0)
    rig.line(0, T0 + S, vibration=7.0)
    assert rig.line(0, T0 + 9 * S, vibration=7.0) == ["RAISED"]


def test_returns_only_past_the_deadband_and_after_the_off_delay() -> None:
    rig = Devices(device_type(high(on_delay_s=0.0)))
    assert rig.line(0, T0, vibration=8.0) == ["RAISED"]
    assert rig.line(0, T0 + S, vibration=6.8) == []
    assert rig.line(0, T0 + 60 * S, vibration=6.8) == []
    assert rig.line(0, T0 + 61 * S, vibration=6.6) == []
    assert rig.line(0, T0 + 63 * S, vibration=7.2) == []
    assert rig.line(0, T0 + 63 * S + 500_000, vibration=6.6) == []
    assert rig.line(0, T0 + 70 * S, vibration=1.0) == ["RETURNED"]
    assert rig.events[0][-1][0] == T0 + 66 * S + 500_000
    assert rig.phase() == "RTN_UNACK"


def test_delays_default_to_nominal_intervals() -> None:
    rig = Devices(device_type(high(on_delay_s=None, off_delay_s=None)), interval_s=600)
    rig.line(0, T0, vibration=8.0)
    rig.line(0, T0 + 5000 * S, vibration=1.0)
    assert rig.events[0][0][0] == T0 + 1200 * S
    rig.line(0, T0 + 9000 * S, vibration=1.0)
    assert rig.events[0][1][0] == T0 + 8000 * S


def test_acknowledge_before_and_after_return() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    rig.line(0, T0, vibration=8.0)
    assert rig.do("acknowledge", 0, "high", T0 + S) == ["ACKNOWLEDGED"]
    assert rig.phase() == "ACKED"
    with pytest.raises(CommandRefusedError, match="acknowledged by ada already"):
        rig.do("acknowledge", 0, "high", T0 + S)
    rig.line(0, T0 + 2 * S, vibration=1.0)
    assert rig.phase() == "NORMAL"
    rig.line(0, T0 + 3 * S, vibration=8.0)
    rig.line(0, T0 + 4 * S, vibration=1.0)
    assert rig.phase() == "RTN_UNACK"
    assert rig.line(0, T0 + 5 * S, vibration=8.0) == ["RERAISED"]
    assert rig.line(0, T0 + 6 * S, vibration=1.0) == ["RETURNED"]
    assert rig.do("acknowledge", 0, "high", T0 + 7 * S) == ["ACKNOWLEDGED"]
    assert rig.phase() == "NORMAL"
    with pytest.raises(AlertNotFoundError, match="dev-0:high:2"):
        rig.do("acknowledge", 0, "high", T0 + 8 * S)


def test_a_command_for_another_occurrence_is_a_conflict() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    for k in range(2):
        rig.line(0, T0 + k * 20 * S, vibration=8.0)
        rig.do("acknowledge", 0, "high", T0 + k * 20 * S, occurrence=k + 1)
        rig.line(0, T0 + (k * 20 + 10) * S, vibration=1.0)
    rig.line(0, T0 + 50 * S, vibration=8.0)
    with pytest.raises(VersionConflictError, match="raised again since, as occurrence 3"):
        rig.do("acknowledge", 0, "high", T0 + 51 * S, occurrence=2)
    with pytest.raises(AlertNotFoundError):
        rig.do("acknowledge", 0, "high", T0 + 51 * S, occurrence=4)
    with pytest.raises(AlertNotFoundError):
        rig.do("acknowledge", 0, "low", T0 + 51 * S)


def test_a_latched_alert_waits_for_reset() -> None:
    rig = Devices(device_type(high(latch=True, **AT_ONCE)))
    rig.line(0, T0, vibration=8.0)
    with pytest.raises(CommandRefusedError, match="still holds"):
        rig.do("reset", 0, "high", T0)
    assert rig.line(0, T0 + S, vibration=1.0) == ["LATCHED"]
    assert rig.phase() == "LATCHED_UNACK"
    rig.do("acknowledge", 0, "high", T0 + 2 * S)
    assert rig.phase() == "LATCHED_ACKED"
    assert rig.line(0, T0 + 3 * S, vibration=8.0) == ["RERAISED"]
    assert rig.line(0, T0 + 4 * S, vibration=1.0) == ["LATCHED"]
    assert rig.do("reset", 0, "high", T0 + 5 * S) == ["RESET"]
    assert rig.phase() == "RTN_UNACK"


def test_a_timed_shelf_ends_at_its_time_and_raises_anew() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    rig.line(0, T0, vibration=8.0)
    assert rig.do("shelve", 0, "high", T0 + S, 60.0, "noise") == ["SHELVED"]
    assert rig.phase() == "SHELVED"
    assert rig.line(0, T0 + 20 * S, vibration=1.0) == []
    assert rig.line(0, T0 + 30 * S, vibration=8.0) == []
    assert rig.tick(T0 + 61 * S - 1) == []
    assert rig.tick(T0 + 100 * S) == ["UNSHELVED", "RAISED"]
    assert [event[0] for event in rig.events[0][-2:]] == [T0 + 61 * S] * 2
    assert rig.events[0][-1][3] == 2
    with pytest.raises(CommandRefusedError, match="not between"):
        rig.do("shelve", 0, "high", T0 + 200 * S, 1e9, "")


def test_a_one_shot_shelf_ends_with_the_return() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    rig.line(0, T0, vibration=8.0)
    rig.do("shelve", 0, "high", T0 + S, None, "")
    assert rig.tick(T0 + 10**6 * S) == []
    assert rig.line(0, T0 + 2 * S, T0 + 10**6 * S, vibration=1.0) == ["UNSHELVED"]
    assert rig.phase() == "NORMAL"


def test_a_command_that_is_refused_changes_nothing_not_even_what_was_due() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    rig.line(0, T0, vibration=8.0)
    rig.do("shelve", 0, "high", T0, 5.0, "")
    before = everything(rig.state.alerts)
    with pytest.raises(CommandRefusedError):
        rig.do("unshelve", 0, "high", T0 + 60 * S)
    for array, was in zip(everything(rig.state.alerts), before, strict=True):
        np.testing.assert_array_equal(array, was)
    assert rig.tick(T0 + 60 * S) == ["UNSHELVED", "RAISED"]


def test_the_parent_suppresses_by_design() -> None:
    rig = Devices(device_type(high(suppressed_by=("stale",), **AT_ONCE)))
    assert rig.parent(0, 8, T0) == []
    assert rig.parent(0, 4, T0) == ["SUPPRESSED"]
    assert rig.line(0, T0, vibration=8.0) == []
    assert rig.phase() == "SUPPRESSED_BY_DESIGN"
    with pytest.raises(CommandRefusedError, match="suppressed by design"):
        rig.do("acknowledge", 0, "high", T0)
    assert rig.parent(0, 0, T0 + S) == ["UNSUPPRESSED", "RAISED"]


def test_out_of_service_goes_before_other_states() -> None:
    rig = Devices(device_type(high(**AT_ONCE)))
    rig.do("remove_from_service", 0, "high", T0, "sensor changed")
    rig.do("suppress", 0, "high", T0, "start-up")
    assert rig.phase() == "OUT_OF_SERVICE"
    rig.line(0, T0, vibration=8.0)
    assert rig.do("return_to_service", 0, "high", T0) == ["IN_SERVICE"]
    assert rig.phase() == "SUPPRESSED_BY_DESIGN"
    assert rig.do("unsuppress", 0, "high", T0) == ["UNSUPPRESSED", "RAISED"]
    with pytest.raises(CommandRefusedError, match="not suppressed"):
        rig.do("unsuppress", 0, "high", T0)


def test_silence_is_counted_in_shard_time() -> None:
    rig = Devices(device_type(AlertRule("mute", "silent_s > 20", "low", "blind", "look")))
    assert rig.tick(T0) == []
    rig.line(0, T0 - 3600 * S, T0, vibration=1.0)
    assert rig.tick(T0 + 20 * S - 1) == []
    assert rig.tick(T0 + 50 * S) == ["RAISED"]
    assert rig.events[0] == [(T0 + 20 * S, Kind.ALERT_RAISED, 0, 1, 20.0, 20.0)]
    assert rig.line(0, T0 - 3599 * S, T0 + 60 * S, vibration=1.0) == ["RETURNED"]
    assert rig.line(0, T0 - 3598 * S, T0 + 90 * S, vibration=1.0) == ["RERAISED", "RETURNED"]


def test_a_rate_is_per_hour_and_exact_on_a_ramp_of_any_spacing() -> None:
    rig = Devices(device_type(high(when="rate(temperature) > 100", deadband={}, **AT_ONCE)))
    t = T0
    for k in range(200):
        t += (1 + k % 4) * S
        rig.line(0, t, temperature=(t - T0) / S * 0.05)
    assert rig.phase() == "UNACK"
    assert rig.state.alerts.rate[0, 0, 2] == pytest.approx(180.0, rel=1e-3)


@pytest.mark.parametrize(
    ("when", "says", "column"),
    [
        ("vibration > 7 and silent_s > 3", "rule of its own", 19),
        ("not stale", "rule of its own", 5),
        ("silent_s < 3", "rule of its own", 1),
        ("vibraton > 7", "did you mean vibration?", 1),
        ("pattern.wiggle", "not a field", 1),
    ],
)
def test_refuses_conditions_that_cannot_be_kept(when: str, says: str, column: int) -> None:
    with pytest.raises(FilterError, match=says.replace("?", r"\?")) as caught:
        compile_rules(device_type(high(when=when, deadband={})))
    assert caught.value.column == column


def test_refuses_delays_and_deadbands_that_mean_nothing() -> None:
    for wrong in ({"on_delay_s": -1.0}, {"off_delay_s": 1e9}, {"deadband": {"temperature": 1.0}}):
        with pytest.raises(FilterError):
            compile_rules(device_type(high(**wrong)))
    clash = DeviceType("c", 1, (Channel("health", "1"),), rules=(high(when="health < 3", deadband={}),))
    with pytest.raises(FilterError, match="rename the channel"):
        compile_rules(clash)


def test_many_comparisons_take_more_words() -> None:
    rules = tuple(
        AlertRule(f"r{k}", f"vibration > {k} or temperature > {100 + k}", "low", "c", "r", **AT_ONCE)
        for k in range(50)
    )
    rig = Devices(device_type(*rules))
    assert rig.state.alerts.atoms.shape == (1, 2)
    assert len(rig.line(0, T0, vibration=10.5, temperature=149.5)) == 50
    assert len(rig.line(0, T0 + S, temperature=0.0)) == 39
    assert [rig.phase(rule=k) for k in (10, 11)] == ["UNACK", "RTN_UNACK"]


def test_a_float32_reading_is_at_the_limit_that_it_shows() -> None:
    rig = Devices(device_type(high(when="vibration >= 7.1", **AT_ONCE)))
    assert rig.line(0, T0, vibration=7.1) == ["RAISED"]


def test_open_alerts_and_the_book_survive_a_snapshot() -> None:
    rig = Devices(
        device_type(high(**AT_ONCE), AlertRule("hot", "temperature > 90", "critical", "c", "r", **AT_ONCE)), 3
    )
    rig.line(1, T0, vibration=8.0, temperature=95.0)
    rig.line(2, T0, vibration=9.0)
    rig.do("acknowledge", 1, "high", T0 + S)
    rig.do("assign", 1, "high", T0 + S, "bob")
    rig.take(rig.book.comment(rig.target(1, "high"), "eve", "strange noise", T0 + S))
    rig.do("shelve", 2, "high", T0 + 2 * S, 60.0, "known")
    rows = np.arange(3)
    found = alerts.open_alerts(rig.state, rig.params, rig.type, rig.book, rows)
    assert list(zip(found.row, found.rule, found.phase, strict=True)) == [
        (1, 0, AlertPhase.ACKED),
        (1, 1, AlertPhase.UNACK),
        (2, 0, AlertPhase.SHELVED),
    ]
    assert found.value.tolist() == [8.0, 95.0, 9.0]
    assert found.since_us.tolist() == [T0, T0, 0]
    assert found.until_us.tolist() == [0, 0, T0 + 62 * S]
    assert found.note[0] is not None
    assert (found.note[0].assignee, found.note[0].acked_by, len(found.note[0].comments)) == ("bob", "ada", 1)
    counts = alerts.standing(rig.state.alerts, rig.params, rows)
    assert [column.tolist() for column in counts.values()] == [[0, 2, 0], [0, 1, 0], [255, 0, 255]]
    meta = json.loads(json.dumps(rig.book.to_meta()))
    assert AlertBook.from_meta(meta).to_meta() == rig.book.to_meta() == meta
    rig.line(1, T0 + 9 * S, vibration=1.0)
    rig.tick(T0 + 90 * S)
    assert rig.book.to_meta() == []


def test_retiring_closes_all_alerts() -> None:
    rig = Devices(device_type(high(**AT_ONCE), high(when="temperature > 3", deadband={}, **AT_ONCE)))
    rig.line(0, T0, vibration=8.0, temperature=5.0)
    rig.do("shelve", 0, "high", T0, 60.0, "")
    assert rig.take(rig.book.retire(rig.target(0, "high"), "ada", T0 + S)) == ["RETURNED"]
    assert rig.phase(rule=0) == rig.phase(rule=1) == "NORMAL"
    assert rig.tick(T0 + 99 * S) == []


def test_alert_ids_round_trip() -> None:
    for device_id in ("pump-17", "urn:dev:1"):
        assert alerts.parse_alert_id(alerts.alert_id(device_id, "high", 3)) == (device_id, "high", 3)
    for wrong in ("", "pump:high", "pump:high:x", ":high:3", "pump::3"):
        with pytest.raises(AlertNotFoundError):
            alerts.parse_alert_id(wrong)


def test_rules_carry_their_alerts_to_another_version() -> None:
    hot = AlertRule("hot", "temperature > 90", "low", "c", "r", deadband={"temperature": 5.0}, **AT_ONCE)
    fast = AlertRule("fast", "rate(temperature) > 1000", "low", "c", "r")
    old = device_type(high(**AT_ONCE), hot)
    rig = Devices(old)
    rig.line(0, T0, vibration=8.0, temperature=95.0)
    rig.line(0, T0 + S, temperature=86.0)
    new = device_type(fast, hot)
    closed = alerts.closed_by(rig.state.alerts, old, new, 1, T0 + 2 * S)
    events = list(
        decode(closed, device_id=str, rules=["high", "hot"], channels=[], recorded_us=T0 + 2 * S, cursor=1)
    )
    assert [(e.type, e.detail["rule"], e.detail["reason"]) for e in events] == [
        ("alert.returned", "high", "the rule was removed")
    ]
    carried = alerts.carried_over(rig.state.alerts, old, new, 1)
    rig.type, rig.params, rig.state = new, compile_rules(new), rig.state._replace(alerts=carried)
    assert rig.phase(rule=1) == "UNACK"
    assert rig.line(0, T0 + 3 * S, temperature=86.0) == []  # still within the deadband
    stricter = device_type(fast, AlertRule("hot", "temperature > 100", "low", "c", "r", **AT_ONCE))
    carried = alerts.carried_over(carried, new, stricter, 1)
    rig.type, rig.params, rig.state = stricter, compile_rules(stricter), rig.state._replace(alerts=carried)
    assert rig.line(0, T0 + 4 * S, temperature=86.0) == ["RETURNED"]


def test_scores_are_seen_at_the_next_line() -> None:
    rig = Devices(device_type(high(when="p_fail_7d > 0.3 and vibration > 1", deadband={}, **AT_ONCE)), 2)
    rig.line(0, T0, vibration=2.0)
    put_score(rig.state.alerts, rig.type, "p_fail_7d", 0, 0.5)
    put_score(rig.state.alerts, rig.type, "rul_p50_h", 0, 5.0)
    assert rig.line(0, T0 + S, temperature=2.0) == ["RAISED"]


def put_score(state: Any, device_type: DeviceType, name: str, row: int, value: float) -> None:
    alerts.put_scores(state, scores_in_use(device_type), np.array([row]), {name: np.array([value])})


def quick(name: str, when: str, priority: Any = "low", **more: Any) -> AlertRule:
    return AlertRule(name, when, priority, "loss", "look", **more)


MACHINE = device_type(
    high(),
    quick("trip", "vibration >= 9.5 or bad(vibration)", "critical", latch=True, **AT_ONCE),
    quick("warm", "temperature > 80 and not door", deadband={"temperature": 5.0}, on_delay_s=0.0015,
          suppressed_by=("stale", "out_of_service")),
    quick("rising", "rate(temperature) > 5000", deadband={"rate(temperature)": 4000.0}, off_delay_s=0.0),
    quick("weak", "health < 60 or (anomalous and health < 80) or pattern.drift", "medium", latch=True),
    quick("drift", "pattern.shift.temperature and health is present", suppressed_by=("alert",)),
    quick("odd", "temperature in (60, 70) and vibration not in (1, 8)", on_delay_s=1.0),
    quick("mute", "silent_s > 7", off_delay_s=3.0, suppressed_by=("stale",)),
    quick("stale", "stale", on_delay_s=1.0, latch=True),
    quick("doomed", "p_fail_7d >= 0.3", "high", on_delay_s=0.0),
)  # fmt: skip
NAMES = [each.name for each in MACHINE.rules]
ROWS = 2

row_of = st.integers(0, ROWS - 1)
rule_of = st.integers(0, len(NAMES) - 1)
verb_of = st.sampled_from(
    "acknowledge reset shelve unshelve suppress unsuppress remove_from_service return_to_service".split()  # noqa: SIM905
)


class Lives(RuleBasedStateMachine):
    """One story told thrice: by the oracle, by a kernel told of time at every step, by a kernel told late."""

    @initialize(interval_s=st.sampled_from([0.0, 0.4, 1.0]))
    def begin(self, interval_s: float) -> None:
        self.eager = Devices(MACHINE, ROWS, interval_s)
        self.lazy = Devices(MACHINE, ROWS, interval_s)
        self.twins = [NaiveTwin(MACHINE) for _ in range(ROWS)]
        for twin in self.twins:
            twin.device.interval_us = round(interval_s * S)
        self.now_us = T0
        self.event_us = [T0 - 5 * S] * ROWS

    def both(self) -> tuple[Devices, Devices]:
        return self.eager, self.lazy

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * S)
        self.eager.tick(self.now_us)

    @rule(
        row=row_of,
        wait=st.sampled_from([0.0, 0.0001, 0.5, 1.0, 4.0, 12.0]),
        step=st.sampled_from([-1.0, 0.0005, 0.5, 1.0, 2.0, 9.0]),
        vibration=st.sampled_from([None, math.nan, 1.0, 6.5, 6.7, 7.1, 7.2, 8.0, 9.5]),
        temperature=st.sampled_from([None, 60.0, 70.0, 74.0, 77.0, 81.0]),
        door=st.sampled_from([None, 0.0, 1.0]),
        health=st.sampled_from([None, math.nan, 50.0, 70.0, 95.0]),
        anomalous=st.sampled_from([None, True, False]),
        patterns=st.sampled_from(
            [None, (), (("drift", "vibration"),), (("shift", "temperature"), ("drift", "door"))]
        ),
    )
    def line(
        self,
        row: int,
        wait: float,
        step: float,
        vibration: float | None,
        temperature: float | None,
        door: float | None,
        health: float | None,
        anomalous: bool | None,
        patterns: tuple[tuple[str, str], ...] | None,
    ) -> None:
        self.wait(wait)
        t_us = self.event_us[row] + round(step * S)
        self.event_us[row] = max(self.event_us[row], t_us)
        given = {"vibration": vibration, "temperature": temperature, "door": door}
        values = {name: x for name, x in given.items() if x is not None and not math.isnan(x)}
        bad = tuple(name for name, x in given.items() if x is not None and math.isnan(x))
        known: dict[str, Any] = {"health": health, "anomalous": anomalous}
        signals = {name: x for name, x in known.items() if x is not None}
        packed = dict(signals)
        if patterns is not None:
            signals["patterns"] = set(patterns)
            packed["patterns"] = [pattern_bits(set(patterns), name) for name in MACHINE.channel_names]
        exact = {name: float(np.float32(x)) for name, x in values.items()}
        for rig in self.both():
            rig.line(row, t_us, self.now_us, bad, packed, **values)
        self.twins[row].line(t_us, self.now_us, exact, set(bad), signals)

    @rule(seconds=st.sampled_from([0.3, 3.0, 11.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.wait(seconds)

    @rule(row=row_of, value=st.sampled_from([0.1, 0.3, 0.9]))
    def score(self, row: int, value: float) -> None:
        for rig in self.both():
            rig.tick(self.now_us)
            put_score(rig.state.alerts, MACHINE, "p_fail_7d", row, value)
        self.twins[row].device.scores["p_fail_7d"] = float(np.float32(value))

    @rule(row=row_of, flags=st.sampled_from([0, 4, 8, 16, 28]))
    def parent(self, row: int, flags: int) -> None:
        for rig in self.both():
            rig.parent(row, flags, self.now_us)
        self.twins[row].parent(flags, self.now_us)

    @rule(
        row=row_of,
        k=rule_of,
        verb=verb_of,
        duration=st.sampled_from([None, 0.5, 5.0]),
        wait=st.sampled_from([0.0, 2.0]),
    )
    def command(self, row: int, k: int, verb: str, duration: float | None, wait: float) -> None:
        self.wait(wait)
        twin, alert = self.twins[row], self.twins[row].alerts[k]
        twin.pass_time(self.now_us)
        done = True
        if verb in ("acknowledge", "reset"):
            done = getattr(alert, verb)(self.now_us)
        elif verb == "shelve":
            alert.shelve(None if duration is None else self.now_us + round(duration * S), self.now_us)
        else:
            why, kind, away = {
                "unshelve": ("shelved", Kind.ALERT_UNSHELVED, False),
                "suppress": ("suppressed", Kind.ALERT_SUPPRESSED, True),
                "unsuppress": ("suppressed", Kind.ALERT_UNSUPPRESSED, False),
                "remove_from_service": ("out", Kind.ALERT_OUT_OF_SERVICE, True),
                "return_to_service": ("out", Kind.ALERT_IN_SERVICE, False),
            }[verb]
            done = (why in alert.away) != away
            if done and away:
                alert.put_aside(why, kind, self.now_us)
            elif done:
                alert.bring_back(why, kind, self.now_us, *alert.reason(twin.device, self.now_us))
        args: tuple[Any, ...] = {
            "shelve": (duration, "x"),
            "suppress": ("x",),
            "remove_from_service": ("x",),
        }.get(verb, ())
        for rig in self.both():
            if done:
                assert rig.do(verb, row, NAMES[k], self.now_us, *args)
            else:
                with pytest.raises((CommandRefusedError, AlertNotFoundError)):
                    rig.do(verb, row, NAMES[k], self.now_us, *args)

    @invariant()
    def eager_is_the_oracle(self) -> None:
        if not hasattr(self, "twins"):
            return
        for row, twin in enumerate(self.twins):
            twin.pass_time(self.now_us)
            assert _exact(self.eager.events[row]) == _exact(twin.events)
            for k, alert in enumerate(twin.alerts):
                assert self.eager.phase(row, k) == alert.phase
                assert word_of(self.eager.state.alerts, row, k) >> FLAG_BITS == alert.occurrence

    def teardown(self) -> None:
        if not hasattr(self, "twins"):
            return
        self.lazy.tick(self.now_us)
        assert list(map(_exact, self.lazy.events)) == list(map(_exact, self.eager.events))
        for late, early in zip(
            everything(self.lazy.state.alerts), everything(self.eager.state.alerts), strict=True
        ):
            np.testing.assert_array_equal(late, early)
        assert self.lazy.book.to_meta() == self.eager.book.to_meta()


def _exact(events: list[Any]) -> list[tuple[Any, ...]]:
    """Events with their numbers as bits, so that NaN equals itself."""
    return [(*event[:4], np.float64(event[4]).tobytes(), np.float64(event[5]).tobytes()) for event in events]


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
