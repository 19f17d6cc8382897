"""Recommendations over HTTP: from alerts to what to do, for the fleet and for one device."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.decisions import UNTRIED, Tally
from serve.errors import SortError
from serve.live import LiveTable
from serve.present import Rules, iso
from serve.recommendations import Advisers, RecommendationQuery, list_recommendations, of_twin
from serve.schemas.recommendations import DeviceRecommendations, RecommendationPage
from tests.serve.edges import PUMP, Edge, edge
from tests.serve.tables import NOW_US, TIME, Shown, alerts, coded, devices, generation
from twins.costs import expected, hazards
from twins.devices import PRIORITIES, DeviceType
from twins.recommendations import Adviser
from twins.views import PROGNOSIS, STATUSES


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


def test_an_alert_becomes_advice_and_ends_with_it(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        nothing = await it.get("/api/recommendations")
        assert (nothing["items"], nothing["total"]) == ([], 0)
        await it.read("pump-01", 1, {"vibration": 9.3, "flow": 100})
        taken = await it.read("pump-02", 1, {"vibration": 2.0, "flow": 0.5})
        page = await it.get("/api/recommendations", cursor=taken["cursor"])
        RecommendationPage.model_validate(page)
        shown = [(i["device_id"], i["failure_mode"], i["confidence"], i["priority"]) for i in page["items"]]
        assert shown == [
            ("pump-02", "clogging", "possible", "critical"),
            ("pump-01", "bearing-wear", "possible", "high"),
        ]
        (worn,) = (await it.get("/api/recommendations", site="oslo"))["items"]
        assert worn["why"] == [
            {
                "kind": "alert", "alert": "pump-01:vibration-high:1", "rule": "vibration-high",
                "title": "vibration-high", "priority": "high", "state": "UNACK", "since": worn["since"],
                "value": 9.3, "limit": 7.1, "unit": "mm/s", "consequence": "bearing damage",
                "response": "plan a repair",
            }
        ]  # fmt: skip
        (action,) = worn["actions"]
        assert (action["name"], action["cost"], action["resets"]) == ("replace-bearing", 250.0, 1.0)
        own = await it.get("/api/devices/pump-01/recommendations")
        DeviceRecommendations.model_validate(own)
        assert own["items"] == [worn]
        assert (await it.get("/api/devices/pump-99/recommendations", 404))["code"] == "device.not_found"
        for asked, found in [
            ({"priority": "critical"}, ["pump-02"]),
            ({"failure_mode": "bearing-wear"}, ["pump-01"]),
            ({"confidence": "likely"}, []),
            ({"filter": "action = 'replace-bearing' and type = 'pump'"}, ["pump-02", "pump-01"]),
            ({"filter": "since < '2000-01-01'"}, []),
            ({"device": "pump-01", "type": "pump,meter"}, ["pump-01"]),
        ]:
            answer = await it.get("/api/recommendations", **asked)
            assert [item["device_id"] for item in answer["items"]] == found
            assert answer["total"] == len(found)
        assert (await it.get("/api/recommendations", 400, confidence="sure"))["code"] == "request.unfit"
        both = await it.get("/api/recommendations", 400, after="e30", before="e30")
        assert both["code"] == "page.two_places"

        done = await it.post("/api/alerts/pump-01:vibration-high:1/shelve", {"duration_s": 60, "reason": "x"})
        page = await it.get("/api/recommendations", cursor=done["cursor"])
        assert [item["device_id"] for item in page["items"]] == ["pump-02"]
        assert (await it.get("/api/devices/pump-01/recommendations"))["items"] == []

    run(tmp_path, test)


RULES = [rule.name for rule in PUMP.rules] + ["gone"]


def fleet_of(draw: random.Random, fixed: dict[str, list[str]], others: int) -> Any:
    """Pumps with alerts: ``fixed`` keep theirs, others have any."""
    ids = sorted([*fixed, *(f"other-{i:02d}" for i in range(others))])
    raised = {each: fixed.get(each) or draw.sample(RULES, draw.randrange(3)) for each in ids}
    lines = [
        {"device_id": each, "rule": rule, "priority": priority(rule), "since": 1_000_000 * n,
         "state": draw.choice(["UNACK", "SHELVED"]) if each.startswith("other") else "ACKED"}
        for n, each in enumerate(ids)
        for rule in raised[each]
    ]  # fmt: skip
    health = pa.array([float(sum(each.encode()) % 7) for each in ids], pa.float32())  # stands still
    return generation(
        {"pump": unforecast(devices("pump", ids, health=health))},
        alerts=alerts(lines),
        cursor=draw.randrange(10**6),
    )


def unforecast(table: pa.Table) -> pa.Table:
    """The devices, of which no model has said anything."""
    for name in PROGNOSIS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.nulls(len(table), table.schema.field(name).type))
    return table


def priority(rule: str) -> str:
    return next((each.priority for each in PUMP.rules if each.name == rule), "low")


@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans())
@settings(max_examples=25, deadline=None)
def test_pages_lose_and_repeat_nothing_that_stands_still(seed: int, limit: int, jump: bool) -> None:
    draw = random.Random(seed)
    fixed = {f"fixed-{i:02d}": [draw.choice(RULES[:2])] for i in range(6)}
    source = Shown(fleet_of(draw, fixed, 8))
    live, advisers, rules = LiveTable(source), Advisers(), Rules()

    def asked(**place: Any) -> Any:
        query = RecommendationQuery(limit=limit, **place)
        page = list_recommendations(live.refresh(), {"pump": PUMP}, advisers, rules, query)
        source.generations = [fleet_of(draw, fixed, draw.randrange(12))]
        return page

    whole = list_recommendations(
        live.refresh(), {"pump": PUMP}, advisers, rules, RecommendationQuery(limit=99)
    )
    levels = [PRIORITIES.index(item["priority"]) for item in whole.items]
    assert levels == sorted(levels)
    page = asked(offset=draw.randrange(len(whole.items))) if jump else asked()
    seen = [item["id"] for item in page.items]
    there = page.previous
    while page.next is not None:
        page = asked(after=page.next)
        seen += [item["id"] for item in page.items]
    while there is not None:
        page = asked(before=there)
        seen = [item["id"] for item in page.items] + seen
        there = page.previous
    still = [item["id"] for item in whole.items if item["device_id"].startswith("fixed")]
    assert sorted(each for each in seen if each.startswith("fixed")) == sorted(still)


def forecasts(n: int, **given: Any) -> dict[str, pa.Array]:
    """The columns of a live table that say what is forecast for ``n`` devices."""
    columns: dict[str, Any] = {
        "p_fail_24h": [0.05] * n, "p_fail_7d": [0.4] * n, "p_fail_30d": [0.9] * n, "rul_p05_h": [50.0] * n,
        "rul_p50_h": [300.0] * n, "rul_p95_h": [900.0] * n, "failure_mode": ["bearing-wear"] * n,
        "in_distribution": [True] * n, "model_version": [4] * n, "predicted_at": [NOW_US] * n, **given,
    }  # fmt: skip
    types = {
        "failure_mode": pa.dictionary(pa.int32(), pa.string()), "in_distribution": pa.bool_(),
        "model_version": pa.int32(), "predicted_at": TIME,
    }  # fmt: skip
    return {
        name: pa.array(values, pa.string()).dictionary_encode()
        if name == "failure_mode"
        else pa.array(values, types.get(name, pa.float32()))
        for name, values in columns.items()
    }


def listed(generation: Any, types: dict[str, DeviceType] | None = None, **asked: Any) -> list[dict[str, Any]]:
    live = LiveTable(Shown(generation))
    query = RecommendationQuery(limit=500, **asked)
    page = list_recommendations(live.refresh(), types or {"pump": PRICED}, Advisers(), Rules(), query)
    live.close()
    return page.items


PRICED = replace(PUMP, downtime_cost_per_h=100.0)
ALL_KNOWN = {"status": coded(np.zeros(4), list(STATUSES))}


def test_a_forecast_that_worries_is_advice_without_an_alert() -> None:
    said = forecasts(4, p_fail_7d=[0.4, 0.02, 0.4, None], p_fail_30d=[0.9, 0.03, 0.9, None],
                     p_fail_24h=[0.05, 0.01, 0.05, None], in_distribution=[True, True, False, None])  # fmt: skip
    pumps = devices("pump", ["a", "b", "c", "d"], **said, **ALL_KNOWN)
    (item,) = listed(generation({"pump": pumps}))
    assert (item["id"], item["confidence"], item["priority"]) == ("a:bearing-wear", "possible", None)
    assert item["why"] == [
        {
            "kind": "prognosis", "failure_mode": "bearing-wear", "share": None, "p_fail_24h": 0.05, "p_fail_7d": 0.4,
            "p_fail_30d": 0.9, "rul_p05_h": 50.0, "rul_p50_h": 300.0, "rul_p95_h": 900.0, "model_version": 4,
            "predicted_at": iso(NOW_US),
        }
    ]  # fmt: skip
    plan = Adviser(PRICED).planned("bearing-wear")
    assert plan is not None
    hazard = hazards(*(np.array([np.float32(p)], np.float64) for p in (0.05, 0.4, 0.9)))
    found = expected(hazard, *(np.array([each]) for each in plan[1]))
    costs = item["costs"]
    assert costs["now"] == 250 + 3 * 100
    assert costs["nothing"] == round(float(found.nothing[0]), 2)
    assert costs["later"] == round(float(found.later[0]), 2)
    assert item["stake"] == pytest.approx(costs["nothing"] - min(costs["now"], costs["later"]), abs=0.02)
    assert item["due"] == iso(NOW_US + int(found.due_h[0] * 3600e6))
    assert (item["planned"], item["actions"][0]["now"]) == ("replace-bearing", costs["now"])


def test_a_forecast_joins_what_stands_out_and_ranks_by_money() -> None:
    ids = ["a", "b", "c", "d"]
    said = forecasts(
        4, p_fail_30d=[0.7, 0.9, 0.8, 0.95], failure_mode=["bearing-wear"] * 2 + ["clogging", None]
    )
    pumps = devices("pump", ids, **said, **ALL_KNOWN)
    high = alerts([{"device_id": each, "rule": "vibration-high"} for each in ids])
    items = listed(generation({"pump": pumps}, alerts=high))
    assert [(each["id"], each["confidence"]) for each in items] == [
        ("b:bearing-wear", "likely"), ("a:bearing-wear", "likely"), ("d:bearing-wear", "possible"),
        ("c:bearing-wear", "possible"), ("c:clogging", "doubtful"),
    ]  # fmt: skip
    kinds = {each["id"]: [sign["kind"] for sign in each["why"]] for each in items}
    assert kinds["b:bearing-wear"] == kinds["d:bearing-wear"] == ["alert", "prognosis"]
    assert kinds["c:bearing-wear"] == ["alert"]
    worn = {each["id"]: each for each in items}["c:bearing-wear"]
    assert (worn["costs"], worn["stake"], worn["due"]) == (None, None, None)  # it is forecast of another mode
    stakes = [each["stake"] or 0.0 for each in listed(generation({"pump": pumps}, alerts=high), sort="stake")]
    assert stakes == sorted(stakes, reverse=True)
    dues = [each["due"] or "9" for each in listed(generation({"pump": pumps}, alerts=high), sort="due")]
    assert dues == sorted(dues)
    dear = listed(generation({"pump": pumps}), filter="stake > 1800 and p_fail_7d >= 0.4")
    assert [each["device_id"] for each in dear] == ["b", "c", "d"]
    with pytest.raises(SortError):
        listed(generation({"pump": pumps}), sort="health")


def test_what_was_often_wrong_sinks_among_equals() -> None:
    modes = ["bearing-wear", "clogging"]
    said = forecasts(2, p_fail_30d=[0.9, 0.85], failure_mode=modes)
    shown = generation({"pump": devices("pump", ["a", "b"], **said, status=coded([0, 0], list(STATUSES)))})

    def order(*tallies: Tally) -> list[tuple[str, float]]:
        live = LiveTable(Shown(shown))
        page = list_recommendations(
            live.refresh(), {"pump": PRICED}, Advisers(), Rules(), RecommendationQuery(), (), tallies
        )
        return [(each["failure_mode"], each["confirmed"]) for each in page.items]

    assert order() == [("bearing-wear", UNTRIED), ("clogging", UNTRIED)]
    wrong = Tally("pump", "bearing-wear", 3, 0, 3, 0, 0, 0, None, None)
    assert order(wrong) == [("clogging", UNTRIED), ("bearing-wear", 0.2)]
    assert order(replace(wrong, device_type="meter")) == order()


def test_without_a_forecast_no_number_is_made_up() -> None:
    old = unforecast(devices("pump", ["a"]))
    high = alerts([{"device_id": "a", "rule": "vibration-high"}])
    (item,) = listed(generation({"pump": old}, alerts=high))
    assert (item["costs"], item["due"], item["actions"][0]["now"]) == (None, None, None)


def test_one_device_is_told_what_the_list_says_of_it() -> None:
    pumps = devices("pump", ["a"], **forecasts(1), status=coded([0], list(STATUSES)))
    (item,) = listed(generation({"pump": pumps}))
    row = pumps.to_pylist()[0]
    twin = {
        "id": "a", "type": "pump", "site": row["site"], "health": row["health"], "status": "reporting", "alerts": [],
        "patterns": [], "life_cycle": 0,
        "prognosis": {
            **{name: row[name] for name in forecasts(1) if name != "predicted_at"}, "share": 0.8,
            "predicted_us": NOW_US,
        },
    }  # fmt: skip
    (own,) = of_twin(twin, PRICED, Advisers(), Rules(), NOW_US)
    assert own["why"][0].pop("share") == 0.8
    item["why"][0].pop("share")
    assert own == item
    for nothing in (None, {**twin["prognosis"], "in_distribution": False}):
        assert of_twin({**twin, "prognosis": nothing}, PRICED, Advisers(), Rules(), NOW_US) == []
    del twin["prognosis"]
    assert of_twin(twin, PRICED, Advisers(), Rules(), NOW_US) == []


def test_many_devices_are_advised_in_columns_as_each_alone() -> None:
    rng = np.random.default_rng(4)
    n = 300
    chances = np.sort(rng.random((n, 3)) ** 3, axis=1).astype(np.float32)
    modes = rng.choice(np.array(["bearing-wear", "clogging", "gone", None], object), n).tolist()
    said = forecasts(
        n, p_fail_24h=chances[:, 0], p_fail_7d=chances[:, 1], p_fail_30d=chances[:, 2], failure_mode=modes,
        in_distribution=rng.choice(np.array([True, True, False, None], object), n).tolist(),
    )  # fmt: skip
    ids = [f"p-{i:03d}" for i in range(n)]
    status = coded(rng.integers(0, len(STATUSES), n), list(STATUSES))
    pumps = devices("pump", ids, **said, status=status)
    standing = [
        {"device_id": ids[i], "rule": rule, "priority": priority(rule), "site": pumps["site"][i].as_py()}
        for i in range(n)
        for rule in ("vibration-high", "dry")
        if rng.random() < 0.2 and status[i].as_py() not in ("retired", "importing")
    ]
    items = listed(generation({"pump": pumps}, alerts=alerts(standing)))
    got = {each["id"]: each for each in items}
    expected_items: dict[str, Any] = {}
    for row in pumps.to_pylist():
        own = [line for line in alerts(standing).to_pylist() if line["device_id"] == row["device_id"]]
        twin = {
            "id": row["device_id"], "type": "pump", "site": row["site"], "health": row["health"],
            "status": row["status"], "alerts": own, "patterns": [], "life_cycle": 0,
            "prognosis": {**{name: row[name] for name in said if name != "predicted_at"}, "share": None,
                          "predicted_us": NOW_US},
        }  # fmt: skip
        expected_items.update(
            {each["id"]: each for each in of_twin(twin, PRICED, Advisers(), Rules(), NOW_US)}
        )
    assert 50 < len(items) < n * 2
    assert got == expected_items
    order = [(each["priority"] is None, each["confidence"] == "unknown") for each in items]
    assert order == sorted(order)
