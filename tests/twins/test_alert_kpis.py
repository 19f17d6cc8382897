"""Alert KPIs: known cases, and one event at a time against random logs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins.alert_kpis import BENCHMARKS, AlertKpis, AlertLog, alert_kpis, bad_actors, floods, trailing_counts
from twins.events import Kind

S = 1_000_000
T0 = 1_760_000_000 * S
DAY = 86_400
BEGINS = (Kind.ALERT_RAISED, Kind.ALERT_RERAISED)
ASIDE = (Kind.ALERT_SHELVED, Kind.ALERT_SUPPRESSED, Kind.ALERT_OUT_OF_SERVICE)


def log(*events: tuple[float, int, Kind], priority: int = 3) -> AlertLog:
    """Events as (seconds after T0, alert, kind)."""
    return AlertLog(
        np.array([T0 + round(at * S) for at, _, _ in events], np.int64),
        np.array([alert for _, alert, _ in events], np.int64),
        np.array([kind for _, _, kind in events], np.int16),
        np.full(len(events), priority, np.uint8),
    )


def kpis(of: AlertLog, seconds: float = DAY) -> AlertKpis:
    return alert_kpis(of, T0, T0 + round(seconds * S))


def raised(*seconds: float, alert: int = 1) -> AlertLog:
    return log(*((at, alert, Kind.ALERT_RAISED) for at in seconds))


def test_an_empty_log_has_no_load_and_unknown_shares() -> None:
    found = kpis(raised())
    assert (found.annunciations, found.peak_in_10_min, found.floods, found.stale) == (0, 0, 0, 0)
    assert math.isnan(found.top_10_share)
    assert math.isnan(found.time_to_acknowledge_s["p50"])
    assert set(BENCHMARKS) <= set(AlertKpis.__dataclass_fields__)


def test_rates_and_peak() -> None:
    found = kpis(raised(0, 1, 2, 599.999, 602), 3600)
    assert found.annunciations_per_10_min == pytest.approx(5 / 6)
    assert found.peak_in_10_min == 4
    assert found.opc_ua_metrics()["AverageAlarmRate"] == pytest.approx(5.0)


def test_a_flood_starts_with_the_eleventh_and_ends_below_five() -> None:
    times = raised(*range(0, 110, 10)).time_us  # 11 in 100 s
    flood = floods(times, T0 + DAY * S)
    assert flood.start_us.tolist() == [T0 + 100 * S]
    assert flood.stop_us.tolist() == [T0 + 660 * S]  # 0, 10 … 60 have dropped out, four are left
    assert flood.annunciations.tolist() == [11]
    assert floods(times[:10], T0 + DAY * S).start_us.tolist() == []
    assert kpis(raised(*range(0, 110, 10)), 1000).time_in_flood_share == pytest.approx(0.56)


def test_chattering_is_three_in_a_minute_of_one_alert() -> None:
    assert kpis(raised(0, 30, 59.9)).chattering == (1,)
    assert kpis(raised(0, 30, 60)).chattering == ()
    assert (
        kpis(
            log((0, 1, Kind.ALERT_RAISED), (1, 2, Kind.ALERT_RAISED), (2, 1, Kind.ALERT_RERAISED))
        ).chattering
        == ()
    )


def test_fleeting_clears_soon_and_stays_away() -> None:
    once = [(0, 1, Kind.ALERT_RAISED), (10, 1, Kind.ALERT_RETURNED)]
    assert kpis(log(*once)).fleeting == 1
    assert kpis(log(*once, (30, 1, Kind.ALERT_RERAISED))).fleeting == 0
    assert kpis(log((0, 1, Kind.ALERT_RAISED), (10, 1, Kind.ALERT_SHELVED))).fleeting == 0
    assert kpis(log((0, 1, Kind.ALERT_RAISED), (70, 1, Kind.ALERT_RETURNED))).fleeting == 0


def test_stale_stands_longer_than_a_day() -> None:
    stands = log((-DAY, 1, Kind.ALERT_RAISED), (5, 2, Kind.ALERT_RAISED), (60, 2, Kind.ALERT_RETURNED))
    assert kpis(stands, 100).stale == 1
    assert kpis(stands, 100).longest_active_s == DAY + 100
    assert alert_kpis(stands, T0 + 70 * S, T0 + 100 * S).annunciations == 0


def test_time_to_acknowledge_counts_from_the_first_call() -> None:
    found = kpis(
        log(
            (0, 1, Kind.ALERT_RAISED),
            (5, 1, Kind.ALERT_RETURNED),
            (8, 1, Kind.ALERT_RERAISED),
            (20, 1, Kind.ALERT_ACKNOWLEDGED),
            (30, 2, Kind.ALERT_RAISED),
            (40, 2, Kind.ALERT_SHELVED),
        )
    )
    assert found.acknowledged == 1
    assert found.time_to_acknowledge_s["p50"] == 20.0
    assert found.longest_unacknowledged_s == 20.0
    assert found.most_reraised == 1


def test_bad_actors_come_most_frequent_first() -> None:
    of = log(*((k, k % 3 if k < 6 else 0, Kind.ALERT_RAISED) for k in range(9)))
    alert, counts = bad_actors(of)
    assert (alert.tolist(), counts.tolist()) == ([0, 1, 2], [5, 2, 2])
    assert kpis(of).top_10_share == 1.0
    assert kpis(of).by_priority == {"critical": 0, "high": 0, "medium": 0, "low": 9}


def test_refuses_an_empty_time_and_a_log_out_of_order() -> None:
    with pytest.raises(ValueError, match="empty"):
        alert_kpis(raised(), T0, T0)
    with pytest.raises(ValueError, match="order"):
        kpis(raised(5, 1))


KINDS = st.sampled_from(
    [
        *BEGINS,
        Kind.ALERT_RETURNED,
        Kind.ALERT_LATCHED,
        Kind.ALERT_ACKNOWLEDGED,
        Kind.ALERT_SHELVED,
        Kind.ALERT_UNSHELVED,
    ]
)
GAPS = st.sampled_from([0, 1, 7, 20, 29, 60, 119, 150, 300, 600, 4000, 90_000])


@settings(deadline=None)
@given(
    st.lists(st.tuples(GAPS, st.integers(1, 3), KINDS), max_size=60),
    st.integers(0, 2),
    st.sampled_from([0, 500, 5000]),
)
def test_agrees_with_one_event_at_a_time(steps: list[tuple[int, int, Kind]], dense: int, start: int) -> None:
    at = 0
    events: list[tuple[float, int, Kind]] = []
    for gap, alert, kind in steps:
        at += gap % 60 if dense else gap
        events.append((at, alert, kind))
    of, stop = log(*events), at + 100 + start
    found = alert_kpis(of, T0 + start * S, T0 + stop * S)
    shown = [at for at, _, kind in events if kind in BEGINS]
    assert found.annunciations == sum(at >= start for at in shown)
    counts = [sum(at - 600 < other <= at for other in shown) for at in shown]
    assert trailing_counts(np.array(shown, np.int64), 600).tolist() == counts
    assert found.peak_in_10_min == max(
        (c for c, at in zip(counts, shown, strict=True) if at >= start), default=0
    )
    flooded = _floods(shown, stop)
    flood = floods(np.array([T0 + int(at) * S for at in shown], np.int64), T0 + stop * S)
    assert [
        ((a - T0) // S, (b - T0) // S) for a, b in zip(flood.start_us, flood.stop_us, strict=True)
    ] == flooded
    in_flood = sum(max(0, b - max(a, start)) for a, b in flooded)
    assert found.time_in_flood_share == pytest.approx(in_flood / (stop - start))
    active = _periods(events, (Kind.ALERT_RETURNED, Kind.ALERT_LATCHED, *ASIDE), stop)
    assert found.stale == sum(b - a > DAY and b > start for _, a, b, _ in active)
    assert found.fleeting == sum(
        a >= start
        and b - a < 60
        and ended in (Kind.ALERT_RETURNED, Kind.ALERT_LATCHED)
        and not any(b <= other < b + 60 for alert2, other, _, _ in active[place + 1 :] if alert2 == alert)
        for place, (alert, a, b, ended) in enumerate(active)
    )
    waits = _periods(events, (Kind.ALERT_ACKNOWLEDGED, *ASIDE), stop)
    answers = [b - a for _, a, b, ended in waits if ended == Kind.ALERT_ACKNOWLEDGED and b >= start]
    assert found.acknowledged == len(answers)
    if answers:
        assert found.time_to_acknowledge_s["p90"] == pytest.approx(np.percentile(answers, 90))
    assert found.chattering == tuple(
        alert
        for alert in (1, 2, 3)
        if any(
            sum(
                a <= other < a + 60
                for other, b, kind in events
                if b == alert and kind in BEGINS and other >= start
            )
            >= 3
            for a, b, kind in events
            if b == alert and kind in BEGINS and a >= start
        )
    )


def _floods(shown: list[float], stop: float) -> list[tuple[float, float]]:
    """Second by second wherever something can change."""
    found: list[tuple[float, float]] = []
    began: float | None = None
    for at in sorted({*shown, *(each + 600 for each in shown)}):
        if at >= stop:
            break
        count = sum(at - 600 < other <= at for other in shown)
        if began is not None and count < 5:
            found.append((began, at))
            began = None
        if began is None and count > 10 and at in shown:
            began = at
    return found if began is None else [*found, (began, stop)]


def _periods(
    events: list[tuple[float, int, Kind]], ends: tuple[Kind, ...], stop: float
) -> list[tuple[int, float, float, Kind | None]]:
    found: list[tuple[int, float, float, Kind | None]] = []
    for alert in (1, 2, 3):
        began: float | None = None
        for at, whose, kind in events:
            if whose != alert:
                continue
            if kind in BEGINS and began is None:
                began = at
            elif kind in ends and began is not None:
                found.append((alert, began, at, kind))
                began = None
        if began is not None:
            found.append((alert, began, stop, None))
    return found
