"""One thing asked of many alerts: named ones, all that match, and what is refused."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from serve.config import NotesConfig
from tests.serve.edges import T0, Edge, edge
from twins.clock import SECOND_US
from twins.directory import Places
from twins.errors import DegradedError

PUMPS = [f"pump-{n:02d}" for n in range(6)]


async def alarmed(it: Edge) -> list[str]:
    """Every pump has an alert that stands; gives their ids."""
    it.clock.advance_to(T0 + SECOND_US)
    readings = [
        {"device": each, "time": T0 + SECOND_US, "values": {"vibration": 9.0, "flow": 50}} for each in PUMPS
    ]
    await it.post("/api/readings", {"readings": readings})
    await it.fresh()
    return [f"{each}:vibration-high:1" for each in PUMPS]


async def states(it: Edge) -> dict[str, str]:
    await it.fresh()
    return {each["id"]: each["state"] for each in (await it.get("/api/alerts", limit=100))["items"]}


def run(tmp_path: Path, story: Any, **config: Any) -> None:
    async def told() -> None:
        async with edge(tmp_path, **config) as it:
            await story(it)

    asyncio.run(told())


def test_named_alerts_are_acknowledged_and_one_that_is_refused_costs_no_other(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        await it.post(f"/api/alerts/{ids[0]}/acknowledge")
        wanted = [*ids, ids[1], "pump-00:vibration-high:7", "nobody:dry:1", "nonsense"]
        done = await it.post(
            "/api/alerts/commands", {"command": "acknowledge", "alerts": wanted, "note": "storm"}
        )
        assert (done["matched"], done["done"], done["refused_total"]) == (9, 5, 4)
        assert {each["alert"]: each["code"] for each in done["refused"]} == {
            ids[0]: "command.refused",
            "pump-00:vibration-high:7": "alert.not_found",
            "nobody:dry:1": "device.not_found",
            "nonsense": "alert.not_found",
        }
        assert set((await states(it)).values()) == {"ACKED"}
        listed = await it.get("/api/alerts", cursor=done["cursor"])
        assert listed["total"] == 6
        events = (await it.get("/api/devices/pump-03/events"))["items"]
        acknowledged = [each for each in events if each["type"] == "alert.acknowledged"]
        assert [each["detail"]["note"] for each in acknowledged] == ["storm"]

    run(tmp_path, story)


def test_all_that_match_are_counted_first_and_shelved_then(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        body = {
            "command": "shelve", "duration_s": 600, "reason": "swap",
            "matching": {"site": ["oslo"], "state": ["UNACK"], "priority": ["high"]},
        }  # fmt: skip
        counted = await it.post("/api/alerts/commands", {**body, "dry_run": True})
        assert counted == {"matched": 3, "done": 0, "refused": [], "refused_total": 0, "cursor": None}
        assert set((await states(it)).values()) == {"UNACK"}
        done = await it.post("/api/alerts/commands", body)
        assert (done["matched"], done["done"], done["refused_total"]) == (3, 3, 0)
        found = await states(it)
        assert {each for each in ids if found[each] == "SHELVED"} == set(ids[1::2])
        assert (await it.post("/api/alerts/commands", body))["matched"] == 0

    run(tmp_path, story)


def test_asked_again_under_the_same_key_it_is_done_once(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        body = {"command": "comment", "alerts": ids, "note": "seen from the road"}
        key = {"Idempotency-Key": "once"}
        for _ in range(2):
            assert (await it.post("/api/alerts/commands", body, **key))["done"] == 6
        await it.fresh()
        listed = (await it.get("/api/alerts"))["items"]
        assert [each["comments"] for each in listed] == [1] * 6

    run(tmp_path, story)


def test_what_makes_no_sense_is_refused_as_a_whole(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        for body in (
            {"command": "acknowledge"},
            {"command": "acknowledge", "alerts": ids, "matching": {}},
            {"command": "shelve", "alerts": ids},
            {"command": "shelve", "alerts": ids, "one_shot": True, "duration_s": 5},
            {"command": "assign", "alerts": ids},
            {"command": "comment", "alerts": ids},
            {"command": "explode", "alerts": ids},
            {"command": "acknowledge", "matching": {"colour": ["red"]}},
            {"command": "acknowledge", "alerts": ids * 2_000},
        ):
            await it.post("/api/alerts/commands", body, 422)
        assert set((await states(it)).values()) == {"UNACK"}
        viewer = it.member("vic", "viewer")
        asked = {"command": "acknowledge", "alerts": ids}
        assert (await it.client.post("/api/alerts/commands", json=asked, headers=viewer)).status_code == 403

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("acknowledge", None),
        ("acknowledge", {"note": " "}),
        ("shelve", {"duration_s": 60}),
        ("suppress", {}),
        ("remove-from-service", {"reason": ""}),
    ],
)
def test_what_must_say_why_is_refused_while_it_does_not(
    tmp_path: Path, action: str, body: dict[str, str] | None
) -> None:
    async def story(it: Edge) -> None:
        alert, *_ = await alarmed(it)
        refused = await it.post(f"/api/alerts/{alert}/{action}", body, status=422)
        assert (refused["code"], refused["priority"]) == ("alert.note_needed", "high")
        assert set((await states(it)).values()) == {"UNACK"}
        await it.post(f"/api/alerts/{alert}/{action}", {**(body or {}), "note": "a stuck valve"})

    run(tmp_path, story, notes=NotesConfig(acknowledge=("high",)))


def test_a_note_is_asked_for_where_the_priority_asks_for_it(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        alert, other, *_ = await alarmed(it)
        assert await it.get("/api/alerts/notes") == {
            "acknowledge": ["critical"], "reset": [], "shelve": ["low"], "suppress": []
        }  # fmt: skip
        await it.post(f"/api/alerts/{alert}/acknowledge")
        await it.post(f"/api/alerts/{alert}/shelve", {"duration_s": 60})
        await it.post(f"/api/alerts/{other}/suppress")

    run(tmp_path, story, notes=NotesConfig(acknowledge=("critical",), shelve=("low",), suppress=()))


def test_of_many_those_are_refused_that_must_say_why(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        await it.read("pump-01", 2, {"flow": 0.0})
        await it.fresh()
        dry = "pump-01:dry:1"
        asked = {"command": "acknowledge", "alerts": [*ids, dry]}
        done = await it.post("/api/alerts/commands", asked)
        assert (done["done"], [each["alert"] for each in done["refused"]]) == (6, [dry])
        assert done["refused"][0]["code"] == "alert.note_needed"
        done = await it.post("/api/alerts/commands", {**asked, "alerts": [dry], "note": "no water"})
        assert done["done"] == 1

    run(tmp_path, story, notes=NotesConfig(acknowledge=("critical",)))


def test_no_route_asks_for_a_device_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_the_loop(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def asked(what: Any) -> Any:
            with suppress(RuntimeError):
                asyncio.get_running_loop()
                pytest.fail("the event loop waits for the fleet")
            return ask(what)

        return asked

    async def story(it: Edge) -> None:
        alert, *_ = await alarmed(it)
        for name in ("find", "locate"):
            monkeypatch.setattr(it.fleet, name, off_the_loop(getattr(it.fleet, name)))
        await it.post("/api/alerts/commands", {"command": "acknowledge", "alerts": [alert, "nobody:dry:1"]})
        await it.post("/api/alerts/nobody:dry:1/acknowledge", status=404)
        for part in ("history", "condition", "events", "maintenance"):
            await it.get(f"/api/devices/pump-01/{part}")
            await it.get(f"/api/devices/nobody/{part}", 404)

    run(tmp_path, story, notes=NotesConfig(acknowledge=("low",)))


def test_of_many_those_are_refused_of_which_nothing_can_be_known_at_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise DegradedError("the registrar is away")

    async def story(it: Edge) -> None:
        ids = await alarmed(it)
        located, locate = [], it.fleet.locate

        def counted(asked: pa.StringArray) -> Places:
            located.append(len(asked))
            return locate(asked)

        monkeypatch.setattr(it.fleet, "refresh", away)
        monkeypatch.setattr(it.fleet, "locate", counted)
        strangers = [f"nobody:{rule}:1" for rule in ("dry", "vibration-high")]
        done = await it.post("/api/alerts/commands", {"command": "acknowledge", "alerts": [*strangers, *ids]})
        assert (done["done"], [each["alert"] for each in done["refused"]]) == (6, strangers)
        assert {each["code"] for each in done["refused"]} == {"fleet.degraded"}
        assert located == [7, 6], "once for the notes, each device once; and once for what is to be done"

    run(tmp_path, story, notes=NotesConfig(acknowledge=("critical",)))
