"""Who may do what, over HTTP: every route, every role, and the ways in that must not be."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute, Route

from serve import audit
from serve.access import AUDITED_THERE, NEEDED, Caller, check, is_command
from serve.accounts import ROLES, Actor
from serve.config import database_config
from serve.database import Database
from serve.errors import AccessError, DatabaseUnavailableError, ForbiddenError
from serve.gate import UNKNOWN_BODY
from serve.routes import ROUTERS
from serve.scopes import Scope
from tests.serve.edges import PASSWORD, T0, Edge, edge, make_app, make_fleet
from twins.clock import SECOND_US

OURS = {"X-Requested-With": "twinfold"}
ANY = {"If-Match": "*"}
NEW = "seven brass kettles on a shelf"


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


def places_of(routes: list[BaseRoute]) -> Iterator[str]:
    """Method and path of each route, however deep it hangs."""
    for route in routes:
        if isinstance(route, APIWebSocketRoute):
            yield f"WS {route.path}"
        elif isinstance(route, Route | APIRoute):
            yield from (f"{method} {route.path}" for method in sorted(route.methods or ()))
        else:
            inner = [router for router in ROUTERS if router is getattr(route, "original_router", None)]
            assert inner, f"{route!r} is of a kind that this test does not look into"
            yield from places_of(inner[0].routes)


def test_every_route_is_in_the_table_and_nothing_else(tmp_path: Path) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("<!doctype html>")
    with make_fleet(tmp_path) as fleet:
        app = make_app(fleet, tmp_path, static=static)
        found = set(places_of(app.routes)) - {"GET /api/openapi.json", "HEAD /api/openapi.json"}
        document = app.openapi()
    assert found == set(NEEDED)
    told = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    declared = {
        (place.split()[0], place.split()[1].replace(":path}", "}")): right for place, right in NEEDED.items()
    }
    assert {place: (operation["x-needs"], operation["x-reach"]) for place, operation in told.items()} == {
        place: right for place, right in declared.items() if place[0] != "WS" and place[1] != "/{path}"
    }
    assert all(
        ({} in operation["security"]) == (operation["x-needs"] == "anyone") for operation in told.values()
    )


def test_what_the_table_does_not_name_is_closed_even_to_an_admin() -> None:
    with pytest.raises(ForbiddenError):
        check(None, Caller("root", "admin"))


def test_only_a_command_of_the_platforms_own_machine_may_name_its_files() -> None:
    check("local", Caller("local", "admin", is_local=True))
    for role in ROLES:
        with pytest.raises(AccessError):
            check("local", Caller("x", role))


def test_each_role_may_do_what_those_below_may() -> None:
    for need in sorted({need for need, _ in NEEDED.values()} - {"anyone", "member", "local"}):
        let = []
        for role in ROLES:
            try:
                check(need, Caller("x", role))
            except AccessError:
                continue
            let.append(role)
        least = {"sender": "engineer", "collector": "viewer"}.get(need, need)
        assert tuple(let) == ROLES[ROLES.index(least) :]  # type: ignore[arg-type]


BODIES: dict[str, Any] = {
    "/api/me/password": {"old": "x", "new": "y"},
    "/api/me/totp/confirm": {"code": "000000"},
    "/api/me/totp/off": {"password": "x"},
    "/api/users": {"name": "nobody", "role": "nothing"},
    "/api/keys": {"name": "x", "scope": {}},
    "/api/devices": {"devices": [{"id": "x", "type": "none"}]},
}


@pytest.mark.parametrize("role", [None, *ROLES, "key", "must change"])
def test_every_route_lets_in_exactly_whom_the_table_says(tmp_path: Path, role: Any) -> None:
    async def test(it: Edge) -> None:
        access = it.context.access
        match role:
            case None:
                headers = {}
            case "key":
                _, text = access.keys.create("gateway", Scope(), Actor("tests"))
                headers = {"Authorization": f"Bearer {text}"}
            case "must change":
                once = access.accounts.create("kari", "admin", Actor("tests"))
                begun = access.sessions.log_in("kari", once, "program")
                headers = {"Authorization": f"Bearer {access.sessions.access_token(begun.principal)[0]}"}
            case _:
                headers = it.member("kari", role)
        del it.client.headers["Authorization"]
        for place, (need, _) in sorted(NEEDED.items()):
            method, _, path = place.partition(" ")
            if method == "WS" or path in ("/{path:path}", "/api/logout"):
                continue
            asked = path
            for name in ("device_id:path", "alert:path", "name", "number", "key", "session"):
                asked = asked.replace("{" + name + "}", "7" if name == "number" else "none")
            body = BODIES.get(path, {}) if method != "GET" else None
            answer = await it.client.request(method, asked, json=body, headers=headers)
            least = {"sender": "engineer", "member": "viewer", "collector": "viewer"}.get(need, need)
            if need == "anyone" or (role == "key" and need == "sender"):
                may = True
            elif role in ROLES and least in ROLES:
                may = ROLES.index(role) >= ROLES.index(least)
            else:
                may = role == "must change" and need == "member"
            code = answer.json().get("code") if answer.status_code >= 400 else None
            refused = code in ("login.required", "access.forbidden", "password.must_change")
            assert refused != may, (place, role, answer.status_code, answer.text[:200])
            assert answer.status_code < 500 or path == "/api/ready", (place, answer.text[:200])
            if refused:
                assert answer.status_code == (401 if role is None else 403)

    run(tmp_path, test)


def test_a_browser_logs_in_changes_its_password_and_out(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        del it.client.headers["Authorization"]
        password = it.context.access.accounts.first_admin()
        login = {"name": "Admin", "password": password, "session": "browser"}
        answer = await it.client.post("/api/login", json=login)
        assert answer.status_code == 200
        assert answer.json()["account"]["must_change"]
        assert "access_token" not in answer.json()
        cookie = answer.headers["set-cookie"]
        for part in ("twinfold-session=", "HttpOnly", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie
        assert (await it.get("/api/me"))["must_change"]
        assert (await it.get("/api/devices", 403))["code"] == "password.must_change"
        change = {"old": password, "new": NEW}
        refused = await it.client.post("/api/me/password", json=change)
        assert refused.json()["code"] == "request.cross_site"
        weak = await it.client.post(
            "/api/me/password", json={**change, "new": "admin admin admin"}, headers=OURS
        )
        assert weak.json()["code"] == "password.weak"
        assert (await it.client.post("/api/me/password", json=change, headers=OURS)).status_code == 204
        assert not (await it.get("/api/me"))["must_change"]
        assert (await it.get("/api/users"))["items"][0]["name"] == "admin"
        other = await it.client.post(
            "/api/login", json={**login, "password": NEW, "session": "program"}, headers=OURS
        )
        program = {"Authorization": f"Bearer {other.json()['access_token']}"}
        mine = (await it.get("/api/me/sessions"))["items"]
        assert sorted((each["kind"], each["is_this"]) for each in mine) == [
            ("browser", True),
            ("program", False),
        ]
        away = next(each["id"] for each in mine if not each["is_this"])
        assert (await it.client.delete(f"/api/me/sessions/{away}", headers=OURS)).status_code == 204
        assert (await it.client.get("/api/me", headers=program)).status_code == 401
        assert (await it.client.post("/api/logout", headers=OURS)).status_code == 204
        assert (await it.get("/api/me", 401))["code"] == "login.required"

    run(tmp_path, test)


def test_behind_tls_cookies_are_for_tls_and_addresses_are_the_proxys_word(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        it.member("kari")
        login = {"username": "kari", "password": PASSWORD, "session": "browser"}
        headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "Host": "twins.example"}
        answer = await it.client.post("/api/login", json=login, headers=headers)
        assert answer.headers["set-cookie"].startswith("__Host-twinfold=")
        assert "Secure" in answer.headers["set-cookie"]
        assert audit.lines(it.context.access.database).items[0].address == "198.51.100.7"

    run(
        tmp_path,
        test,
        public="https://twins.example",
        cookie="__Host-twinfold",
        hosts=("localhost", "twins.example"),
    )


def test_who_forwards_an_address_of_its_own_is_not_believed(tmp_path: Path) -> None:
    """Some proxies add a line to those that came, others add to the line: the last word is theirs either way."""

    async def test(it: Edge) -> None:
        it.member("kari")
        login = {"username": "kari", "password": PASSWORD}
        for forged in ([b"203.0.113.9", b"198.51.100.7"], [b"203.0.113.9, 203.0.113.8, 198.51.100.7"]):
            lines = [(b"x-forwarded-for", each) for each in forged]
            headers = [(b"host", b"twins.example"), *lines]
            assert (await it.client.post("/api/login", json=login, headers=headers)).status_code == 200
            assert audit.lines(it.context.access.database).items[0].address == "198.51.100.7"

    run(tmp_path, test, public="https://twins.example", hosts=("localhost", "twins.example"))


def test_where_no_proxy_is_said_to_be_nobody_is_believed_who_forwards(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        it.member("kari")
        login = {"name": "kari", "password": "wrong"}
        for attempt in range(6):
            answer = await it.client.post(
                "/api/login", json=login, headers={"X-Forwarded-For": f"203.0.113.{attempt}"}
            )
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["code"] == "login.too_many_attempts"

    run(tmp_path, test)


def test_a_program_refreshes_and_a_stolen_token_ends_it(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        it.member("kari")
        del it.client.headers["Authorization"]
        given = await it.post("/api/login", {"name": "kari", "password": PASSWORD})
        assert (given["token_type"], given["expires_in"]) == ("bearer", 600)
        fresh = await it.post("/api/refresh", {"refresh_token": given["refresh_token"]})
        it.clock.advance_by(60)
        await it.post("/api/refresh", {"refresh_token": given["refresh_token"]}, 401)
        await it.post("/api/refresh", {"refresh_token": fresh["refresh_token"]}, 401)
        bearer = {"Authorization": f"Bearer {fresh['access_token']}"}
        assert (await it.client.get("/api/me", headers=bearer)).json()["code"] == "login.required"

    run(tmp_path, test)


@pytest.mark.parametrize(
    "credential", ["Bearer", "Bearer ", "Bearer x", "Basic YWRtaW46YWRtaW4=", "Bearer tfk_x", "Bearer tfl_x", "Bearer a.b.c"]
)  # fmt: skip
def test_what_is_no_credential_is_refused_not_taken_for_nobody(tmp_path: Path, credential: str) -> None:
    async def test(it: Edge) -> None:
        for path in ("/api/health", "/api/devices"):
            answer = await it.client.get(path, headers={"Authorization": credential})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"

    run(tmp_path, test)


def test_the_local_token_ends_with_the_run(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        local = it.context.access.local
        assert (await it.get("/api/me")) == {
            "name": "local", "role": "admin", "sites": None, "must_change": False, "totp": False, "session": None,
        }  # fmt: skip
        assert (tmp_path / "secrets" / "local-token").stat().st_mode & 0o777 == 0o600
        local.renew()
        await it.get("/api/me", 401)
        local.remove()
        await it.get("/api/me", 401)

    run(tmp_path, test)


def test_registering_is_closed_until_it_is_opened(tmp_path: Path) -> None:
    async def closed(it: Edge) -> None:
        body = {"username": "kari", "password": PASSWORD}
        assert (await it.post("/api/register", body, 409))["code"] == "command.refused"
        assert (await it.post("/api/invitations", {"role": "viewer"}, 409))["code"] == "command.refused"

    async def invited(it: Edge) -> None:
        code = (await it.post("/api/invitations", {"role": "engineer"}, 201))["invitation"]
        body = {"username": "kari", "password": PASSWORD}
        await it.post("/api/register", body, 409)
        made = await it.post("/api/register", {**body, "invitation": code}, 201)
        assert made["role"] == "engineer"
        await it.post("/api/register", {**body, "name": "ola", "invitation": code}, 422)

    async def withdrawn(it: Edge) -> None:
        code = (await it.post("/api/invitations", {"role": "operator", "sites": ["oslo"]}, 201))["invitation"]
        await it.post("/api/invitations", {"role": "viewer"}, 201)
        found = await it.get("/api/invitations")
        assert (found["total"], {each["role"] for each in found["items"]}) == (2, {"operator", "viewer"})
        assert code not in json.dumps(found)
        mine = next(each for each in found["items"] if each["role"] == "operator")
        assert (mine["sites"], mine["by"]) == (["oslo"], "local")
        for unfit in ("", mine["id"][:-1], "%" * 16):
            gone = await it.client.delete(f"/api/invitations/{quote(unfit) or 'x'}")
            assert (gone.status_code, gone.json()["code"]) == (404, "invitation.not_found")
        assert (await it.client.delete(f"/api/invitations/{mine['id']}")).status_code == 204
        assert (await it.get("/api/invitations"))["total"] == 1
        await it.post("/api/register", {"name": "kari", "password": PASSWORD, "invitation": code}, 409)
        line = (await it.get("/api/audit", limit=1))["items"][0]
        assert (line["what"], line["subject"]) == ("invite.withdrawn", mine["id"])

    run(tmp_path / "closed", closed)
    run(tmp_path / "invite", invited, registration="invite")
    run(tmp_path / "withdrawn", withdrawn, registration="invite")


def test_admins_manage_accounts_and_never_lock_themselves_all_out(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        root = it.member("root", "admin")
        made = await it.post("/api/users", {"name": "kari", "role": "viewer"}, 201)
        assert made["account"]["must_change"]
        assert (await it.post("/api/users", {"name": "KARI", "role": "viewer"}, 409))[
            "code"
        ] == "account.exists"
        begun = await it.post("/api/login", {"name": "kari", "password": made["password"]})
        kari = {"Authorization": f"Bearer {begun['access_token']}"}
        assert (await it.client.get("/api/me", headers=kari)).status_code == 200
        place = "/api/users/kari"
        seen = (await it.client.get(place)).headers["etag"]
        assert (await it.client.patch(place, json={"role": "operator"})).status_code == 428
        changed = await it.client.patch(place, json={"role": "operator"}, headers={"If-Match": seen})
        assert changed.json()["role"] == "operator"
        late = await it.client.patch(place, json={"role": "admin"}, headers={"If-Match": seen})
        assert (late.status_code, late.json()["code"]) == (412, "revision.conflict")
        assert (await it.client.get(place)).headers["etag"] == changed.headers["etag"] != seen
        it.clock.advance_by(3)
        assert (await it.client.get("/api/me", headers=kari)).status_code == 401
        again = await it.post("/api/users/kari/password", {})
        assert again["password"] != made["password"]
        await it.post("/api/login", {"name": "kari", "password": made["password"]}, 401)
        for change in ({"disabled": True}, {"role": "viewer"}):
            refused = await it.client.patch("/api/users/root", json=change, headers={**root, **ANY})
            assert (refused.status_code, refused.json()["code"]) == (409, "command.refused")
        assert (await it.client.patch(place, json={"disabled": True}, headers=ANY)).json()["disabled"]
        await it.post("/api/login", {"name": "kari", "password": again["password"]}, 401)
        assert (await it.client.patch(place, json={}, headers=ANY)).status_code == 400
        for name in ("nobody", "a%00b", "%F0%9F%A6%8A", "x" * 300):
            assert (await it.client.get(f"/api/users/{name}")).status_code == 404

    run(tmp_path, test)


def test_a_key_writes_readings_of_its_own_devices_only(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        made = await it.post("/api/keys", {"name": "oslo", "scope": {"sites": ["oslo"]}}, 201)
        assert made["key"]["scope"]["sites"] == ["oslo"]
        key = {"Authorization": f"Bearer {made['text']}"}
        at = T0 + SECOND_US
        readings = [
            {"device": device, "time": at, "values": {"flow": 100.0}}
            for device in ("pump-01", "pump-00", "none")
        ]
        taken = await it.post("/ingest", {"readings": readings}, **key)
        assert taken["accepted"] == {"scored": 1}
        assert [(each["device"], each["code"]) for each in taken["refused"]] == [
            ("pump-00", "device.not_found"), ("none", "device.not_found"),
        ]  # fmt: skip
        assert len({each["reason"] for each in taken["refused"]}) == 1, (
            "it does not tell which of them there are"
        )
        fresh = await it.post(f"/api/keys/{made['key']['id']}/rotate", {"overlap_s": 0})
        await it.post("/ingest", {"readings": readings}, 401, **key)
        key = {"Authorization": f"Bearer {fresh['text']}"}
        await it.post("/ingest", {"readings": readings}, **key)
        revoked = await it.client.delete(f"/api/keys/{made['key']['id']}")
        assert revoked.json()["revoked"] is not None
        assert (await it.post("/ingest", {"readings": readings}, 401, **key))["code"] == "key.refused"
        assert made["text"] not in json.dumps(await it.get("/api/keys"))
        for scope in ({}, {"everything": True, "sites": ["oslo"]}):
            await it.post("/api/keys", {"name": "x", "scope": scope}, 400)

    run(tmp_path, test)


async def refusals_told(it: Edge, number: int) -> list[Any]:
    """The lines of refused rights as soon as there are so many, the oldest first."""
    async with asyncio.timeout(60):
        while len(lines := (await it.get("/api/audit", what="access."))["items"]) < number:
            await asyncio.sleep(0.01)
    return [(line["by"], line["subject"], line["detail"]) for line in reversed(lines)]


def test_refused_rights_are_in_the_audit_and_never_flood_it(tmp_path: Path) -> None:
    told = [
        ("kari", "GET /api/users", {"unsaid": 0}),
        ("ola", "GET /api/audit", {"unsaid": 0}),
        ("kari", "GET /api/users", {"unsaid": 48}),
    ]

    async def test(it: Edge) -> None:
        kari, ola = it.member("kari", "viewer"), it.member("ola", "viewer")
        for _ in range(50):
            assert (await it.client.get("/api/users", headers=kari)).status_code == 403
        assert (await it.client.get("/api/audit", headers=ola)).status_code == 403
        assert (await it.client.get("/api/users")).status_code == 200
        assert await refusals_told(it, 2) == told[:2]
        it.clock.advance_by(61)
        assert await refusals_told(it, 3) == told, "also where nobody is refused any more"
        assert (await it.client.post("/api/keys", json={}, headers=kari)).status_code == 403

    run(tmp_path, test)
    last = audit.lines(Database(database_config("", tmp_path)), what="access.").items[0]
    assert (last.by, last.subject, last.detail) == ("kari", "POST /api/keys", {"unsaid": 0}), "when it closes"


def test_a_refusal_that_could_not_be_written_is_counted_in_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Any) -> None:
        raise DatabaseUnavailableError("it", "it is away")

    async def test(it: Edge) -> None:
        kari = it.member("kari", "viewer")
        with monkeypatch.context() as broken:
            broken.setattr(it.context.access.database, "write", away)
            assert (await it.client.get("/api/users", headers=kari)).status_code == 403
        assert (await it.client.get("/api/audit", headers=kari)).status_code == 403
        it.clock.advance_by(61)
        assert await refusals_told(it, 1) == [("kari", "GET /api/audit", {"unsaid": 1})]

    run(tmp_path, test)


def test_what_people_change_is_in_the_audit_and_what_devices_send_is_not(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        kari = it.member("kari")
        before = audit.head(it.context.access.database)[0]
        await it.read("pump-01", 1, {"vibration": 9.3, "flow": 100})
        await it.post("/api/alerts/pump-01:vibration-high:1/acknowledge", {}, **kari)
        await it.post("/api/alerts/pump-01:vibration-high:1/acknowledge", {}, 409, **kari)
        await it.post("/api/devices/pump-01/maintenance", {"kind": "inspection"}, **kari)
        await it.post("/api/keys", {"name": "x", "scope": {"everything": True}}, 201)
        page = await it.get("/api/audit", limit=3)
        assert [(line["by"], line["what"], line["subject"]) for line in reversed(page["items"])] == [
            (
                "kari",
                "POST /api/alerts/{alert:path}/acknowledge",
                "/api/alerts/pump-01:vibration-high:1/acknowledge",
            ),
            ("kari", "POST /api/devices/{device_id:path}/maintenance", "/api/devices/pump-01/maintenance"),
            ("local", "key.made", page["items"][0]["subject"]),
        ]
        assert page["items"][1]["address"] == "127.0.0.1"
        assert page["items"][-1]["number"] == before + 1
        (older,) = (await it.get("/api/audit", after=page["next"], limit=1))["items"]
        assert older["number"] == before
        of_key = await it.get("/api/audit", by="local", what="key.", subject=page["items"][0]["subject"])
        assert of_key == {"items": [page["items"][0]], "total": 1, "next": None, "previous": None}
        assert (await it.get("/api/audit", by="kari", what="key."))["items"] == []
        assert audit.verify(it.context.access.database) is None
        assert not is_command("POST", "/ingest")

    run(tmp_path, test)


def test_nobody_in_particular_can_have_a_large_body_read(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        async def much() -> Any:
            for _ in range(4):
                yield b" " * (UNKNOWN_BODY // 2)

        for path in ("/api/login", "/ingest", "/api/devices"):
            headers = {"Content-Type": "application/json", "Authorization": ""}
            del headers["Authorization"]
            request = httpx.Request("POST", f"http://localhost{path}", content=much(), headers=headers)
            answer = await it.client.send(request, auth=None)
            assert answer.status_code == 401
            assert answer.json()["code"] == "login.required"

    run(tmp_path, test)


def test_a_second_factor_over_rest(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        from serve.accounts import totp

        kari = it.member("kari")
        secret = (await it.post("/api/me/totp", {}, **kari))["secret"]

        def code() -> str:
            return totp(secret, it.clock.now_us() // (30 * SECOND_US))

        assert (
            await it.client.post("/api/me/totp/confirm", json={"code": code()}, headers=kari)
        ).status_code == 204
        assert (await it.client.get("/api/me", headers=kari)).json()["totp"]
        login = {"name": "kari", "password": PASSWORD}
        assert (await it.post("/api/login", login, 401))["code"] == "login.failed"
        it.clock.advance_by(31)
        await it.post("/api/login", {**login, "code": code()})
        off = await it.client.post("/api/me/totp/off", json={"password": PASSWORD}, headers=kari)
        assert off.status_code == 204
        await it.post("/api/login", login)

    run(tmp_path, test)


def test_hostile_credentials_break_nothing_and_open_nothing(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        rng = random.Random(17)
        access = it.context.access
        token = it.member("kari")["Authorization"].removeprefix("Bearer ")
        _, key = access.keys.create("gateway", Scope(), Actor("tests"))
        cookie = access.sessions.log_in("kari", PASSWORD, "browser").secret
        real = [token, key, it.client.headers["Authorization"].removeprefix("Bearer "), cookie]
        del it.client.headers["Authorization"]
        wild = [
            *map(chr, range(32, 127)),
            "\t",
            "é",
            "ÿ",
            "..",
            "tfk_",
            "tfl_",
            "=",
            "A" * 3_000,
            "eyJhbGciOiJub25lIn0.",
        ]
        for _ in range(400):
            text = rng.choice(real)
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(
                    max(1, len(text) - 1)
                )  # the last character of a signature holds bits that say nothing
                match rng.randrange(4):
                    case 0:
                        text = text[:at] + rng.choice(wild) + text[at + 1 :]
                    case 1:
                        text = text[:at] + text[at + rng.randint(1, 9) :]
                    case 2:
                        text = text[:at] + rng.choice(wild) + text[at:]
                    case _:
                        text = text[at:] + text[:at]
            if text in real:
                continue
            name = it.context.config.cookie
            for header in (
                ("Authorization", f"Bearer {text}"),
                ("Cookie", f"{name}={text}"),
                ("Authorization", text),
            ):
                headers = [(header[0].encode(), header[1].strip().encode("latin-1", "replace"))]
                for method, path in (("GET", "/api/devices"), ("POST", "/ingest")):
                    answer = await it.client.request(method, path, headers=headers, content=b"{}")
                    assert answer.status_code == 401, (header, answer.status_code, answer.text[:200])

    run(tmp_path, test)


def test_odd_bodies_are_never_the_platforms_fault(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        rng, access = random.Random(23), it.context.access
        kari = it.member("kari", "admin")
        fields = ["name", "username", "password", "code", "session", "role", "disabled", "old", "new", "scope", "sites",
                  "everything", "lasts_s", "overlap_s", "refresh_token", "invitation", "devices"]  # fmt: skip
        values: list[Any] = [None, True, -1, 0, 1e300, 2**70, "", " ", "\0", "x" * 5_000, "é", "\ud800", "../..",
                             "viewer", "kari", PASSWORD, [], ["oslo"], [None], {}, {"everything": True},
                             {"sites": ["\0"]}]  # fmt: skip
        places = [place.split() for place in NEEDED if place.split()[1].startswith(AUDITED_THERE)]
        for method, path in places * 6:
            asked = path
            for name in ("name", "key", "session"):
                asked = asked.replace(
                    "{" + name + "}", rng.choice(["kari", "none", "%00", "%F0%9F%A6%8A", "a b", "'--"])
                )
            body = {field: rng.choice(values) for field in rng.sample(fields, rng.randint(0, 5))}
            content = json.dumps(rng.choice([body, body, body, [body], 1, None, "x"])).encode()
            content = content if rng.random() > 0.1 else content[:-1] + b"\xff"
            headers = {
                **kari,
                "Content-Type": rng.choice(["application/json", "application/json", "text/plain"]),
            }
            answer = await it.client.request(method, asked, content=content, headers=headers)
            assert answer.status_code < 500, (method, asked, content[:300], answer.text[:300])
            if answer.status_code == 401 or path == "/api/logout" or "password" in path:
                access.database.write(lambda c: c.exec_driver_sql("DELETE FROM login_attempts"))
                once = access.accounts.reset("kari", Actor("tests"))
                access.accounts.change_password("kari", once, PASSWORD, "")
                begun = access.sessions.log_in("kari", PASSWORD, "program")
                kari = {"Authorization": f"Bearer {access.sessions.access_token(begun.principal)[0]}"}

    run(tmp_path, test, registration="open")
