"""What every answer carries and none gives away: headers, limits of time, logs and errors without what is not theirs."""

import asyncio
import contextlib
import json
import logging
import re
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.access import NEEDED
from serve.admission import Admission
from serve.guards import OVER_TLS, SECURITY_HEADERS, Guard
from serve.metrics import Metrics
from tests.serve.edges import PASSWORD, Edge, edge
from tests.serve.test_push import served

ROOT = Path(__file__).parents[2]
CANARY = "canary-7c1e-yellow"


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


@pytest.mark.parametrize("public", ["", "https://twins.example"])
def test_every_route_and_every_refusal_has_the_headers_and_lets_no_other_page_read(
    tmp_path: Path, public: str
) -> None:
    wanted = {**SECURITY_HEADERS, **(OVER_TLS if public else {})}

    async def test(it: Edge) -> None:
        token = dict(it.client.headers)["authorization"]
        foreign = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        places = [place.split(" ") for place in NEEDED if not place.startswith("WS")][:: 5 if public else 1]
        for method, path in [
            *places,
            ("OPTIONS", "/api/devices"),
            ("TRACE", "/api/devices"),
            ("GET", "/api/nothing"),
        ]:
            for headers in ({}, {"Authorization": token}, foreign, {"Host": "evil.example"}):
                del it.client.headers["authorization"]
                answer = await it.client.request(method, filled(path), headers=headers, content=b"{")
                it.client.headers["authorization"] = token
                about = (method, path, headers, answer.status_code)
                assert {name: answer.headers.get(name) for name in wanted} == wanted, about
                assert ("strict-transport-security" in answer.headers) == bool(public), about
                assert not [name for name in answer.headers if name.startswith("access-control")], about
                kept = answer.headers.get(
                    "cache-control", ""
                )  # by who asked alone, and asked for again each time
                assert kept == "no-store" or (kept, "etag" in answer.headers) == (
                    "private, no-cache",
                    True,
                ), about
                if headers != {"Authorization": token}:
                    assert (
                        answer.status_code >= 400 or NEEDED.get(f"{method} {path}", ("", ""))[0] == "anyone"
                    ), about

    run(tmp_path, test, public=public)


def test_the_app_has_no_script_or_style_in_its_page() -> None:
    page = (ROOT / "frontend" / "index.html").read_text()
    assert all("src=" in each for each in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    policy = dict(
        part.strip().split(" ", 1) for part in SECURITY_HEADERS["Content-Security-Policy"].split(";")
    )
    assert policy["script-src"] == policy["style-src"] == policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        async with served(it) as url:
            port = int(url.split(":")[2].partition("/")[0])
            key = it.client.headers["authorization"]
            for path in ("/ingest", "/api/login"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                about = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
                head = f"POST {path} HTTP/1.1\r\n{about}"
                writer.write(
                    f"{head}{'Authorization: ' + key if path == '/ingest' else 'X-A: b'}\r\n\r\n".encode()
                    + b'{"readings":'
                )
                async with asyncio.timeout(60):
                    answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 408"), answer
                assert b'"code":"body.too_slow"' in answer
                writer.close()

    run(tmp_path, test, body_s=0.3)


def test_nobody_in_particular_takes_up_room_with_a_body_that_never_comes(tmp_path: Path) -> None:
    """Room is held for what is said to come: only for those who are known."""

    async def test(it: Edge) -> None:
        async with served(it) as url:
            port = int(url.split(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n")
            async with asyncio.timeout(60):
                assert (await reader.readline()).startswith(b"HTTP/1.1 401")
                while it.context.admission.held_bytes:
                    await asyncio.sleep(0.01)  # looks again; the deadline is above
            writer.close()

    run(tmp_path, test)


def test_what_is_slow_to_answer_is_no_slow_body() -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        assert await Request(scope, receive).body() == b"{}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):  # longer than a body may take
                await receive()  # as for a client that goes
                await asyncio.Event().wait()
        await Response("late")(scope, receive, send)

    async def ask() -> None:
        guard = Guard(late, ("*",), 100, Admission(1_000), body_s=0.1, over_tls=False, metrics=Metrics())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(guard), base_url="http://localhost"
        ) as client:
            assert (await client.post("/api/health", content=b"{}")).text == "late"

    asyncio.run(ask())


def test_no_word_of_a_client_makes_a_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(it: Edge) -> None:
        monkeypatch.setattr(it.fleet, "read_twin", lambda _: 1 / 0)
        answer = await it.client.get("/api/devices/x%0A2026-01-01%20ERROR%20all%20is%20lost%1B%5B2J")
        assert answer.status_code in (404, 500)
        await it.client.get("/api/devices/pump-01%0Aforged")
        await it.client.post("/api/login", json={"username": "a\nforged", "password": "x\nforged"})
        monkeypatch.setattr(it.context.access.database, "write", _broken)
        await it.client.post("/api/alerts/pump-01%0Aforged:dry:1/acknowledge")

    with caplog.at_level(logging.DEBUG, "twinfold"):
        run(tmp_path, test)
    for record in caplog.records:
        if record.name.startswith("twinfold"):
            assert not re.search(r"[\x00-\x08\n\r\x1b]", record.getMessage()), record.getMessage()


def _broken(_: Any) -> Any:
    from serve.errors import DatabaseUnavailableError

    raise DatabaseUnavailableError("sqlite:///x", "gone")


def test_methods_that_nobody_knows_are_counted_as_one(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        for number in range(50):
            assert (await it.client.request(f"X{number}", "/api/devices")).status_code == 405
        text = (await it.client.get("/metrics")).text
        assert 'method="other"' in text
        assert 'method="X' not in text

    run(tmp_path, test)


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "//", "http://localhost@evil.example", "ÿ"]
)
def test_an_origin_that_is_none_is_refused_and_costs_nothing(tmp_path: Path, origin: str) -> None:
    async def test(it: Edge) -> None:
        answer = await it.client.post("/api/logout", headers=[(b"origin", origin.encode("latin-1"))])
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"

    run(tmp_path, test)


@pytest.mark.parametrize(
    "path", ["/%00", "/a%00b", "/" + "x" * 300, "/assets/" + "y" * 5_000, "/%ff%fe", "/a%0d%0ab"]
)
def test_a_file_that_no_disk_could_hold_is_not_there(tmp_path: Path, path: str) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("<title>Twinfold</title>")

    async def test(it: Edge) -> None:
        assert (await it.client.get(path)).status_code in (200, 404)

    run(tmp_path, test, static=static)


def test_what_is_secret_is_in_no_answer_log_or_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A password, a token and a key that are sent, right or wrong, in every place where one might be."""

    async def test(it: Edge) -> None:
        it.member("kari", "admin")
        del it.client.headers["Authorization"]
        told = []
        for body in (
            {"username": "kari", "password": CANARY}, {"username": CANARY, "password": CANARY, "code": CANARY},
            {"username": "kari", "password": PASSWORD, "session": CANARY}, {"password": [CANARY]}, CANARY,
        ):  # fmt: skip
            told.append(await it.client.post("/api/login", json=body))
        told.append(await it.client.post("/api/refresh", json={"refresh_token": CANARY}))
        told.append(
            await it.client.post(
                "/api/register", json={"username": "ole", "password": CANARY, "invitation": CANARY}
            )
        )
        login = {"username": "kari", "password": PASSWORD, "session": "program"}
        begun = (await it.client.post("/api/login", json=login)).json()
        mine = {"Authorization": f"Bearer {begun['access_token']}"}
        told.append(
            await it.client.post(
                "/api/me/password", json={"old": CANARY, "new": CANARY, CANARY[:6]: CANARY}, headers=mine
            )
        )
        for header in (
            {"Authorization": f"Bearer {CANARY}"},
            {"Authorization": f"Bearer tfk_{CANARY}"},
            {"Cookie": f"twinfold-session={CANARY}"},
        ):
            told.append(await it.client.get("/api/devices", headers=header))
        for answer in told:
            assert answer.status_code >= 400, answer.text
            assert CANARY not in answer.text, answer.text
        for table in ("audit", "accounts", "sessions", "login_attempts"):
            rows = it.context.access.database.read(
                lambda c, table=table: c.exec_driver_sql(f"SELECT * FROM {table}").all()
            )
            kept = json.dumps([list(map(str, row)) for row in rows])
            assert begun["refresh_token"] not in kept
            assert begun["access_token"] not in kept
            assert PASSWORD not in kept

    with caplog.at_level(logging.DEBUG):
        run(tmp_path, test)
    logged = "\n".join(
        record.getMessage() + "".join(traceback.format_exception(*record.exc_info) if record.exc_info else [])
        for record in caplog.records
    )
    assert CANARY not in logged
    assert PASSWORD not in logged
