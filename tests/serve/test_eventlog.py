"""The events of all devices over HTTP: chosen, in pages, with the rule that they are about."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from serve.schemas.history import EventCounts, FleetEvents
from tests.serve.edges import Edge, edge

ALERT = "pump-01:vibration-high:1"


def run(tmp_path: Path, story: Any) -> None:
    async def told() -> None:
        async with edge(tmp_path) as it:
            await story(it)

    asyncio.run(told())


async def shake(it: Edge, *devices: str) -> None:
    for at_s, device in enumerate(devices, 1):
        await it.read(device, at_s, {"vibration": 9.0, "flow": 50.0})


def test_every_transition_is_told_with_who_why_and_the_rule(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        empty = await it.get("/api/events", kind="alert")
        assert (empty["items"], empty["total"], empty["next"]) == ([], 0, None)
        await shake(it, "pump-01")
        await it.post(f"/api/alerts/{ALERT}/acknowledge", {"note": "on it"}, 200, **it.member("kari"))
        page = await it.get("/api/events", kind="alert")
        FleetEvents.model_validate(page)
        newest = page["items"][0]
        assert (newest["type"], newest["device_id"]) == ("alert.acknowledged", "pump-01")
        assert (newest["rule"], newest["priority"], newest["unit"]) == ("vibration-high", "high", "mm/s")
        assert (newest["detail"]["by"], newest["detail"]["note"]) == ("kari", "on it")
        assert [each["type"] for each in page["items"]] == ["alert.acknowledged", "alert.raised"]

    run(tmp_path, test)


def test_events_are_chosen_and_paged_in_both_directions(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await shake(it, "pump-01", "pump-02", "pump-03")
        everything = (await it.get("/api/events", limit=1_000))["items"]

        async def chosen(**asked: Any) -> list[str]:
            return [each["id"] for each in (await it.get("/api/events", limit=1_000, **asked))["items"]]

        def fitting(fits: Any) -> list[str]:
            return [each["id"] for each in everything if fits(each)]

        assert await chosen(kind="alert") == fitting(lambda e: e["type"].startswith("alert."))
        assert await chosen(kind="alert.raised") == fitting(lambda e: e["type"] == "alert.raised")
        assert await chosen(device="pump-02") == fitting(lambda e: e["device_id"] == "pump-02")
        assert await chosen(rule="vibration-high") == fitting(lambda e: e["rule"] == "vibration-high")
        assert await chosen(priority="high") == fitting(lambda e: e["priority"] == "high")
        assert await chosen(filter="id = 'pump-03'") == fitting(lambda e: e["device_id"] == "pump-03")
        assert await chosen(end="2020-01-01T00:00:00Z") == []
        assert (await it.get("/api/events", 400, kind="telepathy"))["code"] == "request.unfit"

        page = await it.get("/api/events", limit=2)
        assert page["total"] == len(everything) > 4
        seen = [each["id"] for each in page["items"]]
        while page["next"] is not None:
            page = await it.get("/api/events", limit=2, after=page["next"])
            seen += [each["id"] for each in page["items"]]
        assert seen == [each["id"] for each in everything]
        back = [each["id"] for each in page["items"]]
        while page["previous"] is not None:
            page = await it.get("/api/events", limit=2, before=page["previous"])
            back = [each["id"] for each in page["items"]] + back
        assert back == seen

    run(tmp_path, test)


def test_what_happened_is_counted_as_it_is_listed(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await shake(it, "pump-01", "pump-02")
        await it.post(f"/api/alerts/{ALERT}/acknowledge", {"note": "on it"}, 200, **it.member("kari"))

        async def same(**asked: Any) -> set[str]:
            listed = (await it.get("/api/events", limit=1_000, **asked))["items"]
            counts = EventCounts.model_validate(await it.get("/api/events/counts", **asked)).items
            assert [each.events for each in counts] == sorted((each.events for each in counts), reverse=True)
            for each in counts:
                mine = [event for event in listed if event["type"] == each.type]
                assert each.events == len(mine)
                assert each.devices == len({event["device_id"] for event in mine})
                assert each.last_at == max(datetime.fromisoformat(event["recorded_at"]) for event in mine)
            assert sum(each.events for each in counts) == len(listed)
            return {each.type for each in counts}

        assert {"alert.raised", "alert.acknowledged"} <= await same()
        assert "alert.acknowledged" not in await same(filter="id = 'pump-02'")
        before = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
        assert await same(**before) == set()
        assert (await it.get("/api/events/counts", 400, filter="helth < 5"))["code"] == "filter.invalid"

    run(tmp_path, test)
