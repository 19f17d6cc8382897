import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.kpis import FLOOD_WINDOW_US, AlertKey, AlertLog, alert_kpis
from twins.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US

KEYS = [AlertKey("pump-1", "pump", "hot"), AlertKey("pump-2", "pump", "dry")]


def log(
    raised_s: list[float], key: list[int] | None = None, acknowledged_s: list[float] | None = None, **more
) -> AlertLog:
    n = len(raised_s)
    return AlertLog(
        np.array(raised_s, np.float64).astype(np.int64) * SECOND_US,
        np.array(key or [0] * n, np.int64),
        more.get("priority", np.zeros(n, np.int64)),
        np.array([-1 if a < 0 else a * SECOND_US for a in acknowledged_s or [-1] * n], np.int64),
        KEYS,
        more.get("standing", np.zeros(0, np.int64)),
    )


def test_nothing_raised_is_a_quiet_day() -> None:
    kpis = alert_kpis(log([]), 0, DAY_US)
    assert (kpis["raised"], kpis["per_hour"], kpis["floods"], kpis["most_in_10_min"]) == (0, 0, 0, 0)
    assert kpis["share_of_ten_worst"] is None
    assert kpis["median_s_to_acknowledge"] is None


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    kpis = alert_kpis(log([60 * i / 2 for i in range(12)]), 0, HOUR_US)
    assert kpis["floods"] == 1
    # it begins with the 11th, at 300 s; with the 8th's ten minutes over, at 810 s, four are left
    assert kpis["share_of_time_in_flood"] == pytest.approx((810 - 300) / 3600)
    assert kpis["worst_floods"][0]["alerts"] == 12
    assert kpis["flooded_since_us"] is None
    still_on = alert_kpis(log([60 * i / 2 for i in range(12)]), 0, 10 * MINUTE_US)
    assert still_on["flooded_since_us"] == 300 * SECOND_US
    assert alert_kpis(log([60 * i / 2 for i in range(10)]), 0, HOUR_US)["floods"] == 0


def test_three_in_a_minute_is_chatter() -> None:
    assert alert_kpis(log([0, 30, 60]), 0, HOUR_US)["chattering"] == [
        {"device_id": "pump-1", "type": "pump", "rule": "hot", "alerts": 3}
    ]
    assert alert_kpis(log([0, 30, 61]), 0, HOUR_US)["chattering"] == []
    assert alert_kpis(log([0, 30, 60], [0, 1, 0]), 0, HOUR_US)["chattering"] == []


def test_bad_actors_and_time_to_acknowledge() -> None:
    kpis = alert_kpis(log([0, 100, 200, 300], [1, 1, 0, 1], [10, 130, -1, 400]), 0, HOUR_US)
    assert kpis["bad_actors"][0] == {
        "device_id": "pump-2",
        "type": "pump",
        "rule": "dry",
        "alerts": 3,
        "share": 0.75,
    }
    assert kpis["acknowledged"] == 3
    assert kpis["median_s_to_acknowledge"] == 30


def test_what_stands_for_more_than_a_day_is_stale() -> None:
    standing = np.array([0, MINUTE_US * 3], np.int64)
    assert alert_kpis(log([], standing=standing), DAY_US, DAY_US + MINUTE_US)["stale"] == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 7200), max_size=60))
def test_floods_are_those_of_a_window_moved_second_by_second(raised: list[int]) -> None:
    raised.sort()
    kpis = alert_kpis(log([float(at) for at in raised]), 0, 3 * HOUR_US)
    floods, inside, window_s = 0, False, FLOOD_WINDOW_US // SECOND_US
    for second in range(3 * 3600):
        count = sum(second - window_s < at <= second for at in raised)
        if not inside and count > 10:
            floods, inside = floods + 1, True
        elif inside and count < 5:
            inside = False
    assert kpis["floods"] == floods
