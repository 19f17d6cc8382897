"""What people ask of devices over REST: who may, what is refused and how, what is shown, what is written down."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serve.access import NEEDED
from serve.accounts import ROLES
from tests.serve.edges import Edge, edge
from twins import commands as c
from twins.devices import ASKED_BY, Device

DEVICE = "/api/devices/pump-01"


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


async def patch(it: Edge, properties: dict[str, Any], match: str | None = "*", **more: Any) -> Any:
    headers = {**more.pop("headers", {}), **({"If-Match": match} if match is not None else {})}
    path = more.pop("path", DEVICE)
    return await it.client.patch(
        f"{path}/properties", json={"properties": properties, **more}, headers=headers
    )


async def send(it: Edge, command: str, headers: Any = None, path: str = DEVICE, **body: Any) -> Any:
    return await it.client.post(f"{path}/commands", json={"command": command, **body}, headers=headers)


def report(it: Edge, device_id: str = "pump-01", **values: Any) -> None:
    it.fleet.command(
        c.ReportProperties(command_id="", by="k", device_id=device_id, values=values, rejected={})
    )


def by_name(body: Any, name: str) -> Any:
    return next(each for each in body["items"] if each["name"] == name)


def test_the_domain_and_the_edge_mean_the_same_by_roles() -> None:
    assert (*ROLES[ROLES.index("operator") :], "nobody") == ASKED_BY


def test_desired_and_reported_stand_side_by_side(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        blank = await it.client.get(f"{DEVICE}/properties")
        assert (blank.headers["etag"], blank.json()["version"]) == ('"0"', 0)
        answer = await patch(it, {"speed": 1800}, '"0"', note="less noise")
        assert answer.status_code == 200, answer.text
        speed = by_name(answer.json(), "speed")
        assert (speed["standing"], speed["desired"]["value"], speed["desired"]["by"]) == (
            "pending",
            1800,
            "local",
        )
        assert (speed["desired"]["note"], speed["reported"], speed["unit"]) == (
            "less noise",
            None,
            "{rev}/min",
        )
        assert speed["desired"]["expires_at"] is not None
        report(it, speed=1800.2, firmware="4.2")
        body = await it.get(f"{DEVICE}/properties")
        speed = by_name(body, "speed")
        assert (speed["standing"], speed["reported"]["value"], speed["desired"]["expires_at"]) == (
            "in_sync",
            1800,
            None,
        )
        assert by_name(body, "firmware")["reported"]["value"] == "4.2"
        detail = await it.get(DEVICE)
        assert [each["standing"] for each in detail["properties"]] == ["in_sync", "unasked", "unasked"]
        assert (detail["desired_version"], detail["open_commands"]) == (1, 0)
        gone = await patch(it, {"speed": None})
        assert by_name(gone.json(), "speed")["desired"] is None
        told = await it.get(f"{DEVICE}/events")
        assert [each["type"] for each in reversed(told["items"])][-4:] == [
            "device.desired_changed", "device.reported_changed", "device.reported_changed", "device.desired_changed",
        ]  # fmt: skip
        (info,) = [each for each in await it.get("/api/types") if each["name"] == "pump"]
        assert [each["name"] for each in info["commands"]] == ["start", "stop", "wipe"]
        assert [each["role"] for each in info["properties"]] == ["operator", "engineer", "nobody"]

    run(tmp_path, test)


def test_two_people_do_not_undo_each_other_unseen(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        assert (await patch(it, {"speed": 1800}, None)).status_code == 428
        assert (await patch(it, {"speed": 1800}, '"0"')).status_code == 200
        late = await patch(it, {"speed": 1900}, '"0"')
        assert (late.status_code, late.json()["code"]) == (412, "revision.conflict")
        assert (await patch(it, {"speed": 1900}, '"1"')).headers["etag"] == '"2"'

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", set()),
        ("operator", {"speed", "start", "stop"}),
        ("engineer", {"speed", "start", "stop", "mode"}),
        ("admin", {"speed", "start", "stop", "mode", "wipe"}),
    ],
)
def test_each_role_may_ask_what_the_type_lets_it(tmp_path: Path, role: Any, may: set[str]) -> None:
    async def test(it: Edge) -> None:
        headers = it.member("kari", role)
        asked = {
            name: await patch(it, {name: value}, headers=headers)
            for name, value in (("speed", 1800), ("mode", "auto"), ("firmware", "5"))
        }
        for name in ("start", "stop", "wipe"):
            asked[name] = await send(it, name, headers, parameters={"ramp_s": 5} if name == "stop" else {})
        assert {name for name, answer in asked.items() if answer.is_success} == may
        code = "access.forbidden" if role == "viewer" else "command.role_too_low"
        for name in asked.keys() - may:
            assert (asked[name].status_code, asked[name].json()["code"]) == (403, code), asked[name].text
        assert (await it.client.get(f"{DEVICE}/commands", headers=headers)).status_code == 200
        if "start" in may:
            cancel = await it.client.post(f"{DEVICE}/commands/1/cancel", headers=headers)
            assert cancel.status_code == 200

    run(tmp_path, test)


def test_what_is_asked_is_written_down(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        headers = it.member("kari", "operator")
        await patch(it, {"speed": 1800}, headers=headers)
        await send(it, "start", headers)
        await send(it, "explode", headers)
        lines = (await it.get("/api/audit?limit=20"))["items"]
        mine = [(line["what"], line["subject"]) for line in lines if line["by"] == "kari"]
        assert ("PATCH /api/devices/{device_id:path}/properties", f"{DEVICE}/properties") in mine
        assert sum(what == "POST /api/devices/{device_id:path}/commands" for what, _ in mine) == 1

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("properties", "status", "code", "says"),
    [
        ({"speed": 999}, 422, "command.value_refused", "1000 to 3000 {rev}/min"),
        ({"speed": "fast"}, 422, "command.value_refused", "a number"),
        ({"speed": True}, 422, "command.value_refused", "a number"),
        ({"mode": "off"}, 422, "command.value_refused", "auto, manual"),
        ({"colour": 1}, 422, "command.not_offered", "there is: speed, mode"),
        ({"firmware": "x"}, 403, "command.role_too_low", "only reported"),
        ({}, 422, "request.invalid", ""),
        ({"speed": [1]}, 422, "request.invalid", ""),
        ({"speed": 10**30}, 422, "command.value_refused", "a number"),
    ],
)
def test_what_the_type_does_not_take_is_refused_with_what_it_does(
    tmp_path: Path, properties: Any, status: int, code: str, says: str
) -> None:
    async def test(it: Edge) -> None:
        answer = await patch(it, properties)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert says in answer.json()["detail"]
        assert (await it.get(f"{DEVICE}/properties"))["version"] == 0

    run(tmp_path, test)


def test_a_command_is_followed_from_asking_to_its_end(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        sent = await send(it, "stop", parameters={"ramp_s": 5}, note="for cleaning", expires_s=30)
        assert sent.status_code == 201, sent.text
        command = sent.json()["command"]
        assert (command["number"], command["state"], command["note"]) == (1, "waiting", "for cleaning")
        assert (await it.get(DEVICE))["open_commands"] == 1
        it.fleet.command(c.ReportDelivery(command_id="", by="k", device_id="pump-01", number=1, link="a"))
        (item,) = (await it.get(f"{DEVICE}/commands"))["items"]
        assert (item["state"], item["delivered_at"] is not None) == ("delivered", True)
        it.fleet.command(
            c.ReportResult(command_id="", by="k", device_id="pump-01", number=1, ok=False, result="stuck")
        )
        (item,) = (await it.get(f"{DEVICE}/commands"))["items"]
        assert (item["state"], item["result"], item["ended_at"] is not None) == ("failed", "stuck", True)
        late = await it.client.post(f"{DEVICE}/commands/1/cancel")
        assert (late.status_code, late.json()["code"]) == (409, "command.refused")
        unknown = await it.client.post(f"{DEVICE}/commands/9/cancel")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "command.unknown_number")
        await send(it, "start")
        it.clock.advance_by(61)
        it.fleet.advance()
        assert [each["state"] for each in (await it.get(f"{DEVICE}/commands"))["items"]] == [
            "expired",
            "failed",
        ]

    run(tmp_path, test)


def test_asked_twice_under_one_key_it_is_asked_once(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        key = {"Idempotency-Key": "k-1"}
        first, second = await send(it, "start", key), await send(it, "start", key)
        assert first.json()["command"] == second.json()["command"]
        assert len((await it.get(f"{DEVICE}/commands"))["items"]) == 1
        set_twice = [
            await patch(it, {"speed": 1800}, headers=key | {"Idempotency-Key": "k-2"}) for _ in range(2)
        ]
        assert [answer.headers["etag"] for answer in set_twice] == ['"1"', '"1"']

    run(tmp_path, test)


def test_nothing_is_asked_of_who_is_not_there(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        assert (await patch(it, {"speed": 1800}, path="/api/devices/nobody")).status_code == 404
        it.fleet.retire("pump-02")
        it.fleet.register([Device("old", "pump", importing=True)])
        for device in ("pump-02", "old"):
            for answer in (
                await patch(it, {"speed": 1800}, path=f"/api/devices/{device}"),
                await send(it, "start", path=f"/api/devices/{device}"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (409, "command.refused"), answer.text
        meter = await send(it, "start", path="/api/devices/meter%2F%C3%A5s:1")
        assert meter.json()["code"] == "command.not_offered"
        assert (await it.get("/api/devices/meter%2F%C3%A5s:1/properties"))["items"] == []

    run(tmp_path, test)


def test_the_table_wants_an_operator_at_least() -> None:
    asked = {place: need for place, need in NEEDED.items() if "/properties" in place or "/commands" in place}
    assert {need for place, (need, _) in asked.items() if not place.startswith("GET")} == {"operator"}
