"""Device types and rules over REST: versions, validation with lines, staging and activation under a lock."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.schemas.device_types import (
    Staged,
    TypeCheck,
    TypeDetail,
    TypeStanding,
    TypeVersionDetail,
    TypeVersions,
)
from tests.serve.edges import PUMP, Edge, edge
from twins.typefiles import parse_type, to_rule_documents, to_yaml

YAML = {"Content-Type": "application/yaml"}
FILE = parse_type(to_yaml(PUMP))
LOUDER = replace(FILE.rules[0], when="vibration > 9.0")
RULES = json.dumps({"type": "pump", "rules": to_rule_documents((LOUDER, FILE.rules[1]))})


def run(tmp_path: Path, test: Callable[[Edge], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it:
            it.fleet.install(FILE)
            await test(it)

    asyncio.run(inside())


async def ask(
    it: Edge,
    method: str,
    path: str,
    body: str | None = None,
    match: str | None = "*",
    status: int = 200,
    **more: Any,
) -> httpx.Response:
    kind = {"Content-Type": "application/json"} if body and body.startswith("{") else YAML if body else {}
    headers = {**kind, **({"If-Match": match} if match else {})}
    answer = await it.client.request(method, path, content=body, headers=headers, params=more or None)
    assert answer.status_code == status, answer.text
    return answer


def test_rules_are_validated_staged_activated_and_taken_back(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        first = await ask(it, "GET", "/api/types/pump")
        TypeDetail.model_validate(first.json())
        check = (await ask(it, "POST", "/api/types/pump/rules/validate", RULES)).json()
        TypeCheck.model_validate(check)
        assert check == {
            "valid": True,
            "problems": [],
            "changes": [
                {"path": "rules.vibration-high.when", "before": "vibration > 7.1", "after": "vibration > 9.0"}
            ],
        }
        staged = await ask(
            it, "PUT", "/api/types/pump/rules/staged", RULES, first.headers["etag"], why="too many at night"
        )
        Staged.model_validate(staged.json())
        assert (staged.json()["rules"], staged.json()["version"]) == (2, None)
        assert it.fleet.types["pump"].rules == FILE.rules
        done = await ask(it, "POST", "/api/types/pump/activate", "{}", staged.headers["etag"])
        TypeStanding.model_validate(done.json())
        assert it.fleet.types["pump"].rules[0] == LOUDER
        assert done.json()["staged_rules"] is None
        await it.read("pump-01", 1, {"vibration": 8.0})
        assert (await it.get("/api/devices/pump-01"))["alerts"] == []

        body = json.dumps({"rules": 1, "why": "missed one"})
        back = (await ask(it, "POST", "/api/types/pump/activate", body, done.headers["etag"])).json()
        assert (back["in_force"]["rules"], back["in_force"]["by"], back["in_force"]["why"]) == (
            1,
            "local",
            "missed one",
        )
        await it.read("pump-01", 2, {"vibration": 8.0})
        assert [each["rule"] for each in (await it.get("/api/devices/pump-01"))["alerts"]] == [
            "vibration-high"
        ]
        told = (await ask(it, "GET", "/api/types/pump/versions")).json()
        TypeVersions.model_validate(told)
        assert [each["number"] for each in told["rules"]] == [2, 1]
        assert told["rules"][0]["why"] == "too many at night"
        assert [each["rules"] for each in told["installations"]] == [1, 2, 1]
        found = await it.get("/api/types/pump/differences", part="rules", first=1, second=2)
        assert found["changes"][0]["path"] == "vibration-high.when"
        TypeVersionDetail.model_validate(await it.get("/api/types/pump/rules/versions/2"))
        TypeVersionDetail.model_validate(await it.get("/api/types/pump/versions/1"))

    run(tmp_path, test)


def test_two_people_do_not_undo_each_other_unseen(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        path = "/api/types/pump/rules/staged"
        seen = (await ask(it, "GET", "/api/types/pump")).headers["etag"]
        await ask(it, "PUT", path, RULES, seen)
        lost = await ask(it, "PUT", path, RULES, seen, 412)
        assert lost.json()["code"] == "revision.conflict"
        assert (await ask(it, "POST", "/api/types/pump/activate", "{}", seen, 412)).json()[
            "code"
        ] == "revision.conflict"
        missing = await ask(it, "PUT", path, RULES, None, 428)
        assert missing.json()["code"] == "request.precondition_required"
        await ask(it, "PUT", path, RULES, '"x"', 428)
        gone = await ask(it, "DELETE", path)
        assert gone.json()["staged_rules"] is None
        assert (await ask(it, "POST", "/api/types/pump/activate", "{}", status=409)).json()[
            "code"
        ] == "command.refused"

    run(tmp_path, test)


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = "rules:\n  - name: hot\n    when: temperature > 90\n    priority: high\n    consequence: c\n    response: r\n"

    async def test(it: Edge) -> None:
        check = (await ask(it, "POST", "/api/types/pump/rules/validate", wrong)).json()
        assert not check["valid"]
        assert check["problems"][0]["line"] == 3
        assert "temperature" in check["problems"][0]["problem"]
        refused = await ask(it, "PUT", "/api/types/pump/rules/staged", wrong, status=422)
        assert (refused.json()["code"], refused.json()["line"]) == ("device_type.invalid", 3)
        other = await ask(it, "POST", "/api/types/pump/rules/validate", "type: valve\nrules: []\n")
        assert "rules of 'valve'" in other.json()["problems"][0]["problem"]
        more = to_yaml(FILE).replace(
            "  - name: vibration\n", "  - name: extra\n    unit: mm\n  - name: vibration\n", 1
        )
        check = (await ask(it, "POST", "/api/types/validate", more)).json()
        assert "channels differ" in check["problems"][0]["problem"]  # there are devices
        assert check["changes"][0]["path"] == "channels.extra"
        await ask(it, "POST", "/api/types/validate", "x", status=200)
        answer = await it.client.post(
            "/api/types/validate", content=b"x", headers={"Content-Type": "text/html"}
        )
        assert answer.status_code == 415
        answer = await it.client.post("/api/types/validate", content=b"\xff\xfe", headers=YAML)
        assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")

    run(tmp_path, test)


def test_a_new_type_comes_in_by_import_and_goes_out_by_export(tmp_path: Path) -> None:
    valve = replace(FILE, name="valve")

    async def test(it: Edge) -> None:
        await ask(it, "GET", "/api/types/valve", status=404)
        await ask(it, "GET", "/api/types/valve/versions", status=404)
        answer = await ask(it, "PUT", "/api/types/pump/staged", to_yaml(valve), status=400)
        assert "/api/types/valve/staged" in answer.json()["detail"]
        staged = await ask(it, "PUT", "/api/types/valve/staged", to_yaml(valve))
        assert (staged.json()["version"], staged.json()["rules"], staged.json()["in_force"]) == (1, 1, None)
        await ask(it, "GET", "/api/types/valve/versions")
        await ask(it, "POST", "/api/types/valve/activate", "{}", staged.headers["etag"])
        assert it.fleet.types["valve"] == valve
        out = await ask(it, "GET", "/api/types/valve/export")
        assert out.headers["content-type"].startswith("application/yaml")
        assert parse_type(out.text) == valve
        rules = await ask(it, "GET", "/api/types/valve/rules/export")
        check = (await ask(it, "POST", "/api/types/valve/rules/validate", rules.text)).json()
        assert (check["valid"], check["changes"]) == (True, [])

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/types/pump/versions/9", 404),
        ("/api/types/pump/versions/99999999999", 422),
        ("/api/types/pump/versions/0", 422),
        ("/api/types/PUMP", 422),
        ("/api/types/pump%00", 422),
        ("/api/types/pump/export?rules=7", 404),
        ("/api/types/pump/differences?first=1&second=2", 404),
        ("/api/types/pump/differences?first=1&second=99999999999", 422),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, path: str, status: int) -> None:
    async def test(it: Edge) -> None:
        await ask(it, "GET", path, status=status)

    run(tmp_path, test)


def test_a_reason_with_what_no_database_holds_is_refused(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await ask(it, "PUT", "/api/types/pump/rules/staged", RULES, status=422, why="a\x00b")
        await ask(it, "POST", "/api/types/pump/activate", '{"rules": 1, "why": "a\\u0000b"}', status=422)

    run(tmp_path, test)
