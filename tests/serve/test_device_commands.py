"""One thing asked of many devices: named ones, all that match, who may, and what is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serve.edges import Edge, edge
from twins.devices import Device

COMMANDS = "/api/devices/commands"
PUMPS = [f"pump-{n:02d}" for n in range(6)]
METER = "meter/ås:1"
LOOK = {"type": "maintenance", "kind": "inspection", "note": "after the storm"}
START = {"type": "send", "command": "start"}
RETIRE = {"type": "retire"}

Story = Callable[[Edge], Awaitable[None]]


def run(tmp_path: Path, story: Story, **config: Any) -> None:
    async def told() -> None:
        async with edge(tmp_path, **config) as it:
            await story(it)

    asyncio.run(told())


async def events(it: Edge, device: str, kind: str) -> list[dict[str, Any]]:
    found = (await it.get(f"/api/devices/{device}/events"))["items"]
    return [each["detail"] for each in found if each["type"] == kind]


async def retired(it: Edge) -> set[str]:
    await it.fresh()
    return {each["id"] for each in (await it.get("/api/devices", filter="retired"))["items"]}


def refusals(done: Any) -> dict[str, str]:
    return {each["device"]: each["code"] for each in done["refused"]}


def test_maintenance_of_named_devices_is_recorded_and_one_that_is_refused_costs_no_other(
    tmp_path: Path,
) -> None:
    async def story(it: Edge) -> None:
        act = {
            **LOOK,
            "action": "replace-bearing",
            "failure_mode": "bearing-wear",
            "at": "2025-10-09T08:00:00Z",
        }
        done = await it.post(
            COMMANDS, {"act": act, "devices": ["pump-01", METER, "pump-01", "nobody", "pump-02"]}
        )
        assert (done["matched"], done["done"], done["refused_total"]) == (4, 2, 2)
        assert done["by_type"] == {"pump": 2, "meter": 1}
        assert refusals(done) == {METER: "command.refused", "nobody": "device.not_found"}
        assert "no action 'replace-bearing'" in done["refused"][0]["detail"]
        for device in ("pump-01", "pump-02"):
            (record,) = (await it.get(f"/api/devices/{device}/maintenance"))["items"]
            assert (record["note"], record["by"], record["at"]) == (
                "after the storm", "local", "2025-10-09T08:00:00.000Z"
            )  # fmt: skip
        assert (await it.get(f"/api/devices/{METER}/maintenance"))["items"] == []

    run(tmp_path, story)


def test_all_that_match_are_counted_first_and_asked_then(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        body = {"act": START, "matching": {"filter": "site = 'oslo'", "q": "Pump"}}
        counted = await it.post(COMMANDS, {**body, "dry_run": True})
        assert counted == {
            "matched": 3, "by_type": {"pump": 3}, "done": 0, "refused": [], "refused_total": 0, "cursor": None
        }  # fmt: skip
        assert await events(it, "pump-01", "device.command_sent") == []
        others = await it.post(COMMANDS, {**body, "expected": 2}, 400)
        assert others["detail"] == "3 devices match now, 2 were counted; count again"
        assert await events(it, "pump-01", "device.command_sent") == []
        done = await it.post(COMMANDS, {**body, "expected": 3})
        assert (done["matched"], done["by_type"], done["done"]) == (3, {"pump": 3}, 3)
        for device in PUMPS:
            assert len(await events(it, device, "device.command_sent")) == (device in PUMPS[1::2])
        everything = await it.post(COMMANDS, {"matching": {}, "dry_run": True})
        assert everything["by_type"] == {"pump": 6, "meter": 1}
        nothing = await it.post(COMMANDS, {"act": START, "matching": {"filter": "site = 'nowhere'"}})
        assert (nothing["matched"], nothing["by_type"], nothing["cursor"]) == (0, {}, None)
        await it.post(COMMANDS, {"matching": {"filter": "colour = 'red'"}, "dry_run": True}, 400)

    run(tmp_path, story)


def test_the_answer_says_what_was_done_where_others_match_by_then(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        body = {"act": RETIRE, "matching": {"filter": "type = 'pump' and not retired"}}
        assert (await it.post(COMMANDS, {**body, "dry_run": True}))["matched"] == 6
        await it.client.delete("/api/devices/pump-00")
        await it.context.call(it.fleet.register, [Device("pump-99", "pump"), Device("pump-98", "pump")])
        await it.fresh()
        done = await it.post(COMMANDS, body)
        assert (done["matched"], done["done"], done["refused_total"]) == (7, 7, 0)
        assert await retired(it) == {*PUMPS, "pump-98", "pump-99"}
        again = await it.post(COMMANDS, {"act": RETIRE, "devices": ["pump-01"]})
        assert (again["done"], refusals(again)) == (0, {"pump-01": "command.refused"})

    run(tmp_path, story)


def test_the_list_given_the_cursor_shows_what_was_done(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        done = await it.post(COMMANDS, {"act": RETIRE, "devices": PUMPS})
        listed = await it.get("/api/devices", filter="retired", cursor=done["cursor"])
        assert listed["total"] == 6

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("act", "kind"),
    [(LOOK, "maintenance.recorded"), (START, "device.command_sent"), (RETIRE, "device.retired")],
)
def test_asked_again_under_the_same_key_it_is_done_once(
    tmp_path: Path, act: dict[str, Any], kind: str
) -> None:
    async def story(it: Edge) -> None:
        body = {"act": act, "devices": [*PUMPS, "nobody"]}
        told = [await it.post(COMMANDS, body, **{"Idempotency-Key": "once"}) for _ in range(2)]
        for done in told:
            assert (done["done"], refusals(done)) == (6, {"nobody": "device.not_found"})
        for device in PUMPS:
            assert len(await events(it, device, kind)) == 1

    run(tmp_path, story)


@pytest.mark.parametrize("act", [LOOK, START, RETIRE])
@pytest.mark.parametrize("dry_run", [False, True])
def test_who_may_not_do_it_to_one_may_not_do_it_to_many(
    tmp_path: Path, act: dict[str, Any], dry_run: bool
) -> None:
    async def story(it: Edge) -> None:
        for role in ("viewer", "operator", "engineer"):
            headers = it.member(role, role)
            body = {"act": act, "devices": ["pump-01"], "dry_run": dry_run}
            answer = await it.client.post(COMMANDS, json=body, headers=headers)
            may = role == "engineer" or (role == "operator" and act is not RETIRE)
            assert answer.status_code == (200 if may else 403), answer.text
            if not may:
                assert answer.json()["code"] == "access.forbidden"

    run(tmp_path, story)


def test_what_a_type_lets_only_some_ask_is_refused_for_each_device(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        body = {"act": {"type": "send", "command": "wipe"}, "devices": ["pump-01", METER]}
        answer = await it.client.post(COMMANDS, json=body, headers=it.member("kari", "operator"))
        assert refusals(answer.json()) == {"pump-01": "command.role_too_low", METER: "command.not_offered"}
        lines = (await it.get("/api/audit?limit=5"))["items"]
        assert (lines[0]["by"], lines[0]["what"]) == ("kari", f"POST {COMMANDS}")

    run(tmp_path, story)


def test_devices_of_other_sites_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        kari = it.member("kari", "engineer", ["oslo"])

        async def ask(**body: Any) -> Any:
            answer = await it.client.post(COMMANDS, json={"act": RETIRE, **body}, headers=kari)
            assert answer.status_code == 200, answer.text
            return answer.json()

        named = ["pump-00", "pump-01", "nobody"]
        counted = await ask(devices=named, dry_run=True)
        assert (counted["matched"], counted["by_type"]) == (3, {"pump": 1})
        done = await ask(devices=named)
        assert refusals(done) == {"pump-00": "device.not_found", "nobody": "device.not_found"}
        done = await ask(matching={"filter": "type = 'pump'"})
        assert (done["matched"], done["done"]) == (3, 2)
        assert await retired(it) == set(PUMPS[1::2])

    run(tmp_path, story)


def test_what_makes_no_sense_is_refused_as_a_whole(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        for body in (
            {"act": RETIRE},
            {"act": RETIRE, "devices": PUMPS, "matching": {}},
            {"devices": PUMPS},
            {"act": {"type": "explode"}, "devices": PUMPS},
            {"act": {}, "devices": PUMPS},
            {"act": {"type": "maintenance"}, "devices": PUMPS},
            {"act": {"type": "send"}, "devices": PUMPS},
            {"act": RETIRE, "matching": {"colour": "red"}},
            {"act": RETIRE, "devices": PUMPS * 2_000},
        ):
            await it.post(COMMANDS, body, 422)
        assert await retired(it) == set()

    run(tmp_path, story)


def test_more_than_one_request_may_be_about_are_refused_before_any_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.many.MOST_AT_ONCE", 5)

    async def story(it: Edge) -> None:
        for dry_run in (True, False):
            body = {"act": RETIRE, "matching": {"filter": "type = 'pump'"}, "dry_run": dry_run}
            refused = await it.post(COMMANDS, body, 400)
            assert "6 devices match, 5 may be changed at once" in refused["detail"]
        assert await retired(it) == set()

    run(tmp_path, story)


def test_as_many_as_may_be_are_asked_and_a_hundred_refusals_are_told(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        named = [f"nobody-{n}" for n in range(150)]
        done = await it.post(COMMANDS, {"act": START, "devices": [*named, *PUMPS]})
        assert (done["matched"], done["done"], done["refused_total"]) == (156, 6, 150)
        assert list(refusals(done)) == named[:100]

    run(tmp_path, story)
