import gc
import threading
import weakref
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from serve.live import LiveTable, Place
from serve.overview import Overview
from tests.serve.tables import NOW_US, Shown, coded, devices, generation
from twins.views import STATUSES


def test_a_new_generation_makes_a_new_view_and_the_same_one_does_not() -> None:
    source = Shown(generation({"pump": devices("pump", ["a", "b"])}))
    live = LiveTable(source)
    first = live.refresh()
    assert live.refresh() is first
    source.generations = [
        generation({"pump": devices("pump", ["a", "b"])}, cursor=2, at_us=NOW_US + 2_000_000)
    ]
    second = live.refresh()
    assert second.number == first.number + 1
    assert second.includes({0: 2})
    assert not second.includes({0: 3})
    assert not second.includes({1: 0})


def test_an_old_generation_goes_when_its_last_question_ends() -> None:
    source = Shown(generation({"pump": devices("pump", ["a"])}))
    live = LiveTable(source)
    view = live.refresh()
    with view.cursor() as cursor:
        source.generations = [generation({"pump": devices("pump", ["b"])}, cursor=2)]
        live.refresh()
        assert cursor.execute("SELECT device_id FROM live").fetchall() == [("a",)]
    kept = weakref.ref(view)
    del view, cursor
    gc.collect()
    assert kept() is None


def test_many_threads_may_ask_while_views_change() -> None:
    source = Shown(generation({"pump": devices("pump", [f"p-{i}" for i in range(50)])}))
    live = LiveTable(source)
    live.refresh()
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(30):
            view = live.view
            with view.cursor() as cursor:
                (count,) = cursor.execute("SELECT count(*) FROM live").fetchall()[0]
            if count != len(view):
                wrong.append(count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for step in range(30):
        source.generations = [
            generation({"pump": devices("pump", [f"p-{i}" for i in range(50 + step)])}, cursor=2 + step)
        ]
        live.refresh()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_lines_lead_back_to_host_type_and_row() -> None:
    view = LiveTable(
        Shown(
            generation({"pump": devices("pump", ["a", "b"]), "meter": devices("meter", ["m"])}),
            generation({"pump": devices("pump", ["c"])}, host=4),
        )
    ).refresh()
    with view.cursor() as cursor:
        lines = cursor.execute("SELECT device_id, n FROM live ORDER BY n").fetchall()
    places = [view.place(n) for _, n in lines]
    assert [view.device_id(place) for place in places] == [device_id for device_id, _ in lines]
    assert view.place(3) == Place(4, "pump", 0)
    assert not view.has(Place(4, "pump", 1))
    assert not view.has(Place(9, "pump", 0))


def test_the_rate_is_what_was_counted_since_the_view_before() -> None:
    source = Shown(generation({"pump": devices("pump", ["a", "b"])}))
    live = LiveTable(source)
    assert live.refresh().readings_per_s is None
    more = devices("pump", ["a", "b"], scored=pa.array([103, 3], pa.uint32()))
    source.generations = [generation({"pump": more}, cursor=2, at_us=NOW_US + 2_000_000)]
    assert live.refresh().readings_per_s == 50.0


def test_python_variables_are_out_of_reach_of_sql() -> None:
    live_0 = pa.table({"secret": [1]})
    assert live_0 is not None
    view = LiveTable(Shown()).refresh()
    with view.cursor() as cursor, pytest.raises(duckdb.CatalogException):
        cursor.execute("SELECT * FROM live_0")


def test_the_summary_counts_each_device_once() -> None:
    table = devices(
        "pump", ["a", "b", "c", "d"],
        status=coded([0, 1, 2, 3], list(STATUSES)), site=coded([0, 0, 1, 1], ["x", "y"]),
        health=pa.array([49.0, 79.0, None, 10.0], pa.float32()),
    )  # fmt: skip
    live = LiveTable(
        Shown(generation({"pump": table}), generation({"pump": devices("pump", [])}, host=1, reachable=False))
    )
    summary = Overview(live).summary(live.refresh())
    assert (
        summary["devices"],
        summary["reporting"],
        summary["stale"],
        summary["silent"],
        summary["retired"],
    ) == (3, 1, 1, 1, 1)
    assert summary["health"] == {"known": 2, "below_50": 1, "below_80": 2}
    assert summary["sites"] == [{"site": "x", "devices": 2}, {"site": "y", "devices": 1}]
    assert summary["unreachable"] == [1]


def test_the_map_shows_alert_health_and_silence_in_the_order_of_site_type_and_id() -> None:
    table = devices(
        "pump", ["f", "e", "d", "c", "b", "a", "g", "h"],
        site=coded([0] * 8, ["x"]),
        status=coded([0, 0, 0, 0, 1, 2, 3, 1], list(STATUSES)),
        health=pa.array([90.0, 45.0, 20.0, 20.0, 10.0, None, 90.0, 90.0], pa.float32()),
        priority=pa.array([255, 255, 255, 0, 255, 255, 0, 2], pa.uint8()),
    )  # fmt: skip
    live = LiveTable(Shown(generation({"pump": table})))
    (site,) = Overview(live).map(live.refresh())
    #                             a  b  c  d  e  f  g  h
    assert site.cells.tolist() == [6, 5, 4, 3, 2, 0, 7, 2]


def test_the_order_of_the_map_follows_devices_that_come_and_move() -> None:
    def tables(sites: list[int], ids: list[str]) -> dict[str, pa.Table]:
        return {"pump": devices("pump", ids, site=coded(sites, ["x", "y"]))}

    source = Shown(generation(tables([0, 0], ["b", "a"])))
    live = LiveTable(source)
    overview = Overview(live)
    view = live.refresh()
    assert [view.device_id(overview.place(view, "x", i) or Place(9, "", 0)) for i in (0, 1)] == ["a", "b"]
    source.generations = [generation(tables([0, 1, 0], ["b", "a", "aa"]), cursor=2)]
    view = live.refresh()
    assert [(m.site, len(m.cells)) for m in overview.map(view)] == [("x", 2), ("y", 1)]
    assert view.device_id(overview.place(view, "x", 0) or Place(9, "", 0)) == "aa"
    assert overview.place(view, "x", 2) is None
    assert overview.place(view, "nowhere", 0) is None


def test_devices_of_a_host_that_does_not_answer_are_stale_and_the_others_as_they_were() -> None:
    here = generation({"pump": devices("pump", ["a", "b"], status=coded([0, 3], list(STATUSES)))})
    away = replace(
        generation({"pump": devices("pump", ["c", "d"], status=coded([0, 3], list(STATUSES)))}),
        host=1, reachable=False, at_us=NOW_US - 60_000_000,
    )  # fmt: skip
    live = LiveTable(Shown(here, away))
    view = live.refresh()
    with view.cursor() as cursor:
        shown = dict(cursor.execute("SELECT device_id, status FROM live").fetchall())
    assert shown == {"a": "reporting", "b": "retired", "c": "stale", "d": "retired"}
    (line,) = view.fetch([Place(1, "pump", 0)], ["device_id", "status"])
    assert line == {"device_id": "c", "status": "stale"}
    assert view.as_of_us == NOW_US
    summary = Overview(live).summary(view)
    assert (summary["reporting"], summary["stale"], summary["unreachable"]) == (1, 1, [1])
