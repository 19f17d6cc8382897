"""Recommendations over HTTP: from alerts to what to do, for the fleet and for one device."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.live import LiveTable
from serve.present import Rules
from serve.recommendations import Advisers, RecommendationQuery, list_recommendations
from serve.schemas.recommendations import DeviceRecommendations, RecommendationPage
from tests.serve.edges import PUMP, Edge, edge
from tests.serve.tables import Shown, alerts, devices, generation
from twins.devices import PRIORITIES


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
        {"pump": devices("pump", ids, health=health)}, alerts=alerts(lines), cursor=draw.randrange(10**6)
    )


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
