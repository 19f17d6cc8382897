"""Doors of a running edge: whole requests, and the frames of its sockets, handed to the app as a server hands them.

No server and no client library stand between, so that paths, headers and bodies come as no client would send them.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from serve.access import NEEDED
from serve.accounts import Actor
from serve.scopes import Scope
from tests.fuzz.doors import Ask, Door, arrow_stream, line
from tests.fuzz.hostile import Hostile, pick, written
from tests.serve.edges import DEVICES, Edge, edge

SLOW: Final = ("POST /api/notifications/channels/{channel}/test", "POST /api/imports")
"""Left out: what calls others, and what is handed files of this machine by whoever owns it."""

_JSON: Final = (b"content-type", b"application/json")


@contextlib.contextmanager
def running() -> Iterator[tuple[Edge, asyncio.Runner]]:
    """An edge over a fleet on the disk, and the loop it runs in."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        static = Path(folder) / "static"
        static.mkdir()
        (static / "index.html").write_text("<title>Twinfold</title>")
        stack = contextlib.AsyncExitStack()
        # the live table stays as it is, so that memory is the requests' alone
        it = runner.run(stack.enter_async_context(edge(Path(folder), static=static, update_every_s=3600.0)))
        try:
            yield it, runner
        finally:
            runner.run(stack.aclose())


async def request(
    app: Any, method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> tuple[int, dict[bytes, bytes], bytes]:
    """What the app answers: status, headers, body."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query, "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 5), "server": ("localhost", 8700), "state": {},
    }  # fmt: skip
    waiting = list(parts)
    status, found, body = 0, {}, b""

    async def receive() -> dict[str, Any]:
        if waiting:
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(waiting)}
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, found, body
        if message["type"] == "http.response.start":
            status, found = message["status"], dict(message["headers"])
        else:
            body += message.get("body", b"")

    await app(scope, receive, send)
    return status, found, body


async def frames(
    app: Any, path: str, headers: list[tuple[bytes, bytes]], sent: list[str | bytes]
) -> list[str]:
    """What a socket answers to frames until all are sent, or it is closed."""
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("192.0.2.1", 5),
        "server": ("localhost", 8700), "subprotocols": [], "state": {},
    }  # fmt: skip
    coming: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    coming += [
        {"type": "websocket.receive", "text" if isinstance(each, str) else "bytes": each} for each in sent
    ]
    coming += [{"type": "websocket.disconnect", "code": 1001}]
    told: list[str] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0) if coming else {"type": "websocket.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        told.append(message.get("text") or message["type"])
        if message["type"] == "websocket.close":
            assert len(message.get("reason", "").encode()) <= 123, "no close frame holds so long a reason"

    await app(scope, receive, send)
    return told


@contextlib.contextmanager
def requests() -> Iterator[Ask]:
    """Every route with wild paths, queries, headers and bodies, as anybody and as somebody who may do everything."""
    with running() as (it, runner):
        document = it.app.openapi()
        _, key = it.context.access.keys.create("gateway", Scope.of(everything=True), Actor("tests"))
        local = it.client.headers["Authorization"].encode()
        routes = [route.split(" ") for route in NEEDED if not route.startswith("WS") and route not in SLOW]
        wait = frozenset({"wait_s"})

        def known(path: str, method: str) -> tuple[list[str], dict[str, Any]]:
            """What the document says may be asked there, and a body of the right shape."""
            said = document["paths"].get(path.replace(":path}", "}"), {}).get(method.lower(), {})
            names = [each["name"] for each in said.get("parameters", []) if each["in"] == "query"]
            content = said.get("requestBody", {}).get("content", {})
            return [name for name in names if name not in wait], content.get("application/json", {}).get(
                "schema", {}
            )

        def ask(hostile: Hostile) -> None:
            method, path = pick(hostile, routes)
            names, schema = known(path, method)
            for name in (
                "{device_id:path}",
                "{alert:path}",
                "{path:path}",
                "{name}",
                "{key}",
                "{session}",
                "{number}",
                "{job}",
            ):
                good = (DEVICES[0].id, "pump-01:vibration-high:1", "pump", "1", "nobody")
                given = hostile.one(*good, *good, hostile.text(), hostile.text()[:300], "a" * 5_000)
                path = path.replace(name, quote(given, safe="/:" if hostile.rarely(2) else ""))
            path = path.replace("{channel}", "none").replace("{route}", "none")
            raw = path.encode()
            if hostile.rarely(8):
                raw = hostile.damaged(raw, 2)
            pairs = [
                (hostile.one(*names, hostile.text()) if names else "x", hostile.one(*_ASKED, hostile.text()))
                for _ in range(3)
            ]
            query = "&".join(
                f"{quote(name)}={quote(str(value)[:9_000])}"
                for name, value in pairs[: hostile.rng.randrange(4)]
            ).encode()
            if hostile.rarely(8):
                query = hostile.damaged(query, 3)
            headers = [
                (b"host", hostile.one(*[b"localhost"] * 12, b"evil.example", b"", b"localhost:x", b"\xff"))
            ]
            headers += [
                (
                    b"authorization",
                    hostile.one(*[local] * 8, b"Bearer " + key.encode(), b"Bearer x", b"Basic \xff"),
                )
            ]
            body = b""
            if method not in ("GET", "DELETE"):
                body = hostile.document(_filled(hostile, document, schema), one_in=hostile.one(4, 12, 40))
                if "ingest" in path or "readings" in path:
                    body = hostile.document({"readings": [line(hostile)]}, 8)
                headers.append(
                    hostile.one(
                        *[_JSON] * 9, (b"content-type", b"\xff"), (b"content-type", b"application/yaml")
                    )
                )
            if hostile.rarely(4):
                headers.append(pick(hostile, _HEADERS))
            if hostile.rarely(4):
                headers.append(
                    (
                        hostile.one(b"idempotency-key", b"if-match", b"accept", b"cookie"),
                        hostile.text().encode()[:300],
                    )
                )
            if hostile.rarely(20):
                method = hostile.one("TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get", "X" * 40, method)
            at = hostile.rng.randrange(len(body) + 1)
            status, found, answer = runner.run(
                request(it.app, method, raw, query, headers, [body[:at], body[at:]])
            )
            about = (method, raw[:300], query[:300], headers, body[:300], status, answer[:300])
            assert 200 <= status < 500, about
            assert found[b"x-content-type-options"] == b"nosniff", about
            if status >= 400:
                assert found[b"content-type"] == b"application/problem+json", about
                said = json.loads(answer)
                assert said["status"] == status, about
                assert said["code"], about
                assert "Traceback" not in answer.decode(), about
                assert 'File "' not in answer.decode(), about

        yield ask


_ASKED: Final = (
    "1", "0", "-1", "50", "1e9", "nan", "2026-01-31T12:00:00Z", "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00+23:59", "pump-01",
    "health", "-health", "vibration", "true", "health < 50", "W10", "A" * 9_000, "flow,vibration", "1,2,3,4",
    "-180,-90,180,90",
)  # fmt: skip
_HEADERS: Final = (
    (b"origin", b"http://["), (b"origin", b"null"), (b"origin", b"http://localhost"), (b"origin", b"\xff"),
    (b"content-length", b"\xb2"), (b"content-length", b"9" * 5_000), (b"content-length", b"-1"),
    (b"content-encoding", b"gzip"), (b"content-encoding", b"zstd, gzip"), (b"transfer-encoding", b"chunked"),
    (b"cookie", b"twinfold-session=" + b"x" * 5_000), (b"cookie", b"=;=;\xff"), (b"x-forwarded-for", b"\r\n"),
    (b"range", b"bytes=0-0,-1,5-2"), (b"if-none-match", b"*"), (b"idempotency-key", b"\xff\x00"),
    (b"if-match", b'W/"1'),
    (b"if-modified-since", b"never"), (b"accept", b"\x00"), (b"expect", b"100-continue"),
    (b"x-http-method-override", b"DELETE"),
)  # fmt: skip


def _filled(hostile: Hostile, document: dict[str, Any], schema: dict[str, Any], depth: int = 4) -> Any:
    """A value of the shape that a schema asks for."""
    if "$ref" in schema:
        found = document["components"]["schemas"].get(schema["$ref"].rpartition("/")[2], {})
        return _filled(hostile, document, found, depth - 1) if depth else None
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _filled(hostile, document, pick(hostile, schema[word]), depth)
    if "enum" in schema:
        return pick(hostile, schema["enum"])
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _filled(hostile, document, each, depth) for name, each in properties.items()}
        case "array":
            return [
                _filled(hostile, document, schema.get("items", {}), depth)
                for _ in range(hostile.rng.randrange(3))
            ]
        case "integer" | "number":
            return hostile.one(schema.get("minimum", 0), 1, 5, 2**40)
        case "boolean":
            return hostile.one(True, False)
        case "string":
            return hostile.one(
                "pump-01", "pump-01:vibration-high:1", "nobody", "2026-01-31T12:00:00Z", "x", hostile.text()
            )
    return hostile.one("x", 1, None, {}, [])


@contextlib.contextmanager
def device_frames() -> Iterator[Ask]:
    """Frames of a device's socket: each is answered, none ends it."""
    with running() as (it, runner):
        _, key = it.context.access.keys.create("gateway", Scope.of(everything=True), Actor("tests"))
        headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + key.encode())]

        def ask(hostile: Hostile) -> None:
            sent: list[str | bytes] = []
            for _ in range(4):
                if hostile.rarely(2):
                    stream = arrow_stream(hostile)
                    sent.append(hostile.one(stream, hostile.damaged(stream, 2), hostile.text().encode()))
                else:
                    body = {
                        "id": hostile.one("a", hostile.text(), 7),
                        "readings": [line(hostile), line(hostile)],
                    }
                    sent.append(hostile.document(body).decode(errors="replace"))
            told = runner.run(frames(it.app, "/ingest/socket", headers, sent))
            answers = [json.loads(text) for text in told if text.startswith("{")]
            assert [each["type"] in ("taken", "refused") for each in answers] == [True] * len(sent), told
            assert all(each.get("problem", {}).get("status", 0) < 500 for each in answers), told

        yield ask


@contextlib.contextmanager
def live_frames() -> Iterator[Ask]:
    """Frames of a browser's socket: what cannot be understood closes it with a reason that a frame can hold."""
    with running() as (it, runner):
        headers = [(b"host", b"localhost"), (b"authorization", it.client.headers["Authorization"].encode())]

        def ask(hostile: Hostile) -> None:
            wish = {"type": "subscribe", "topics": ["fleet", "alerts", "devices"][: hostile.rng.randrange(4)]}
            wish["devices"] = [
                hostile.one(DEVICES[0].id, "nobody", hostile.text()) for _ in range(hostile.rng.randrange(3))
            ]  # type: ignore[assignment]  # hostile on purpose
            if hostile.rarely(2):
                wish["cursor"] = hostile.one(
                    "W10", "W1swLDEsMl1d", "W1s1LDEsMTAwMF1d", hostile.text(), "A" * 9_000
                )
            text = written(hostile.bent(wish, hostile.one(4, 30))).encode("utf-8", "surrogatepass")
            if hostile.rarely(4):
                text = hostile.damaged(text)
            told = runner.run(
                frames(it.app, "/api/live", headers, [text.decode(errors="replace")] * hostile.one(1, 3))
            )
            assert told[0] == "websocket.accept", told

        yield ask


RUNNING: Final[dict[str, Door]] = {
    "requests": requests, "device_frames": device_frames, "live_frames": live_frames,
}  # fmt: skip
