"""Maintenance over HTTP: read as recorded, chosen, paged while more is recorded, corrected without losing anything."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve.schemas.maintenance import MaintenancePage, MaintenanceRecord
from tests.serve.edges import DEVICES, Edge, edge

WHERE = {device.id: device.site for device in DEVICES}


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


async def record(it: Edge, device: str, kind: str = "repair", **said: Any) -> None:
    await it.post(f"/api/devices/{device}/maintenance", {"kind": kind, **said})


def test_what_was_recorded_is_read_at_once_with_cost_and_site(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        empty = await it.get("/api/maintenance")
        assert (empty["items"], empty["total"], empty["next"]) == ([], 0, None)
        done = {"action": "replace-bearing", "failure_mode": "bearing-wear", "note": "noisy"}
        await record(it, "pump-01", "replacement", at="2025-10-01T12:00:00Z", **done)
        page = await it.get("/api/maintenance")
        MaintenancePage.model_validate(page)
        (item,) = page["items"]
        assert page["total"] == 1
        assert {name: item[name] for name in done} == done
        assert (item["device_id"], item["type"], item["site"]) == ("pump-01", "pump", "oslo")
        assert (item["at"], item["by"], item["life_cycle"]) == ("2025-10-01T12:00:00.000Z", "local", 1)
        assert (item["cost"], item["duration_h"]) == (250.0, 3.0)
        assert await it.get("/api/devices/pump-01/maintenance") == page
        assert (await it.get("/api/devices/pump-02/maintenance"))["items"] == []
        assert (await it.get("/api/devices/pump-99/maintenance", 404))["code"] == "device.not_found"
        one = await it.get(f"/api/maintenance/{item['id']}")
        MaintenanceRecord.model_validate(one)
        assert one == {**item, "history": []}
        assert (await it.get("/api/maintenance/host.7.0", 404))["code"] == "maintenance.not_found"

    run(tmp_path, test)


def test_a_record_is_corrected_by_another_and_stays(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await record(it, "pump-01", "repair", note="oil", at="2025-10-01T12:00:00Z")
        (before,) = (await it.get("/api/maintenance"))["items"]
        place = f"/api/maintenance/{before['id']}"
        as_kari = {**it.member("kari"), "If-Match": '"0"'}
        right = {"kind": "inspection", "failure_mode": "wear", "reason": "nothing was done"}
        assert (await it.client.get(place)).headers["etag"] == '"0"'
        assert (await it.post(f"{place}/corrections", right, 428))["code"] == "request.precondition_required"
        await it.post(f"{place}/corrections", right, **as_kari)
        one = await it.get(place)
        assert (one["kind"], one["failure_mode"], one["note"]) == ("inspection", "wear", "")
        assert (one["at"], one["by"]) == (before["at"], "local")
        assert (one["corrections"], one["corrected_by"]) == (1, "kari")
        assert (await it.get("/api/maintenance", kind="repair"))["total"] == 0
        assert (await it.get("/api/maintenance", kind="inspection"))["total"] == 1
        assert (await it.get("/api/devices/pump-01"))["life_cycle"] == before["life_cycle"] == 1

        gone = {"kind": "repair", "withdrawn": True, "reason": "another pump"}
        late = await it.post(f"{place}/corrections", gone, 412, **{"If-Match": '"0"'})
        assert late["code"] == "revision.conflict"
        again = {"Idempotency-Key": "once", "If-Match": '"1"'}
        await it.post(f"{place}/corrections", gone, **again)
        await it.post(f"{place}/corrections", gone, **again)  # as if its answer had been lost
        assert (await it.get("/api/maintenance"))["total"] == 0
        (gone,) = (await it.get("/api/maintenance", withdrawn=True, filter="withdrawn"))["items"]
        assert (gone["id"], gone["corrections"], gone["withdrawn"]) == (before["id"], 2, True)
        told = (await it.get(place))["history"]
        assert [each["reason"] for each in told] == ["nothing was done", "another pump"]
        assert [each["withdrawn"] for each in told] == [False, True]
        events = (await it.get("/api/devices/pump-01/events"))["items"]
        kinds = [each["type"] for each in events if each["type"].startswith("maintenance")]
        assert kinds == ["maintenance.corrected", "maintenance.corrected", "maintenance.recorded"]

        wrong = {"kind": "repair", "action": "pray", "reason": "x"}
        assert (await it.post(f"{place}/corrections", wrong, 409, **{"If-Match": "*"}))[
            "code"
        ] == "command.refused"
        said = {"kind": "repair", "reason": "x"}
        gone = await it.post("/api/maintenance/host.7.0/corrections", said, 404, **{"If-Match": "*"})
        assert gone["code"] == "maintenance.not_found"

    run(tmp_path, test)


def test_a_correction_sent_again_is_known_by_its_key_and_by_nothing_else(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await record(it, "pump-01", note="oil")
        (item,) = (await it.get("/api/maintenance"))["items"]
        place = f"/api/maintenance/{item['id']}"
        mine, hers = (
            {"kind": "inspection", "reason": each} for each in ("nothing was done", "it was looked at")
        )
        first = {"Idempotency-Key": "mine", "If-Match": '"0"'}
        done = await it.post(f"{place}/corrections", mine, **first)
        assert await it.post(f"{place}/corrections", mine, **first) == done
        other = {"Idempotency-Key": "another", "If-Match": '"0"'}
        assert (await it.post(f"{place}/corrections", mine, 412, **other))["code"] == "revision.conflict"
        assert (await it.post(f"{place}/corrections", mine, 412, **{"If-Match": '"0"'}))[
            "code"
        ] == "revision.conflict"
        await it.post(f"{place}/corrections", hers, **{**it.member("kari"), "If-Match": '"1"'})
        await it.post(f"{place}/corrections", mine, **first)  # her correction stands all the same
        of_another = {**it.member("ola"), **first}
        assert (await it.post(f"{place}/corrections", mine, 412, **of_another))["code"] == "revision.conflict"
        told = (await it.get(place))["history"]
        assert [each["reason"] for each in told] == [mine["reason"], hers["reason"]]

    run(tmp_path, test)


CHOSEN: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
    ({"site": "oslo"}, lambda r: WHERE[r["device"]] == "oslo"),
    ({"type": "meter"}, lambda r: r["device"].startswith("meter")),
    ({"device": ["pump-01", "pump-02"]}, lambda r: r["device"] in ("pump-01", "pump-02")),
    ({"kind": "failure,repair"}, lambda r: r["kind"] in ("failure", "repair")),
    ({"failure_mode": "wear"}, lambda r: r["mode"] == "wear"),
    ({"start": "2025-10-03T00:00:00Z", "end": "2025-10-05T00:00:00Z"}, lambda r: 3 <= r["day"] < 5),
    (
        {"filter": "failure_mode is null and not kind = 'repair'"},
        lambda r: not r["mode"] and r["kind"] != "repair",
    ),
    (
        {"filter": "site = 'bergen' or device like 'meter*'"},
        lambda r: WHERE[r["device"]] == "bergen" or r["device"].startswith("meter"),
    ),
    (
        {"filter": "at >= '2025-10-04' and life_cycle < 2", "sort": "at"},
        lambda r: r["day"] >= 4 and r["life"] < 2,
    ),
]


def test_records_are_chosen_and_paged_in_both_directions(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        draw = random.Random(5)
        made, life = [], dict.fromkeys(WHERE, 0)
        for _ in range(30):
            device, kind = draw.choice(sorted(WHERE)), draw.choice(["failure", "repair", "replacement"])
            day, mode = draw.randrange(1, 7), draw.choice(["wear", None])
            path = device.replace("/", "%2F").replace("å", "%C3%A5")
            await record(it, path, kind, at=f"2025-10-0{day}T12:00:00Z", failure_mode=mode)
            life[device] += kind != "failure"
            made.append({"device": device, "kind": kind, "day": day, "mode": mode, "life": life[device]})
        for asked, fits in CHOSEN:
            wanted = [each for each in made if fits(each)]
            assert 0 < len(wanted) < len(made)
            page = await it.get("/api/maintenance", limit=4, **asked)
            assert page["total"] == len(wanted)
            assert page["previous"] is None
            seen = page["items"]
            while page["next"] is not None:
                page = await it.get("/api/maintenance", limit=4, after=page["next"], **asked)
                seen += page["items"]
            order = [item["at"] for item in seen]
            assert order == sorted(order, reverse=asked.get("sort") != "at")
            assert len({item["id"] for item in seen}) == len(seen)
            shown = sorted((i["device_id"], i["kind"], i["at"][9], i["failure_mode"] or "") for i in seen)
            assert shown == sorted((w["device"], w["kind"], str(w["day"]), w["mode"] or "") for w in wanted)
            back = page["items"]
            while page["previous"] is not None:
                page = await it.get("/api/maintenance", limit=4, before=page["previous"], **asked)
                back = page["items"] + back
            assert back == seen

    run(tmp_path, test)


def test_pages_lose_and_repeat_nothing_while_more_is_recorded(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        draw = random.Random(9)

        async def more() -> None:
            await record(it, f"pump-0{draw.randrange(6)}", at=f"2025-10-0{draw.randrange(1, 8)}T12:00:00Z")

        for _ in range(14):
            await more()
        first = {item["id"] for item in (await it.get("/api/maintenance", limit=1000))["items"]}
        for sort, side in (("at", "after"), ("-at", "after"), ("at", "before")):
            seen, page = [], await it.get("/api/maintenance", limit=3, sort=sort)
            if side == "before":  # from the far end backwards
                while page["next"] is not None:
                    page = await it.get("/api/maintenance", limit=3, sort=sort, after=page["next"])
            seen = [item["id"] for item in page["items"]]
            while (at := page["next" if side == "after" else "previous"]) is not None and len(seen) < 100:
                await more()
                page = await it.get("/api/maintenance", limit=3, sort=sort, **{side: at})
                seen += [item["id"] for item in page["items"]]
            assert [seen.count(each) for each in first] == [1] * len(first)

    run(tmp_path, test)


def test_what_makes_no_sense_is_refused_with_what_to_write_instead(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await record(it, "pump-01")
        for asked, code in [
            ({"sort": "cost"}, "sort.invalid"),
            ({"kind": "prayer"}, "request.unfit"),
            ({"filter": "colour = 'red'"}, "filter.invalid"),
            ({"after": "e30"}, "cursor.invalid"),
            ({"start": "2025-10-05T00:00:00Z", "end": "2025-10-03T00:00:00Z"}, "range.invalid"),
        ]:
            assert (await it.get("/api/maintenance", 400, **asked))["code"] == code

    run(tmp_path, test)
