"""What stands before every route: who may ask, how answers are sent, and that no fault goes out raw.

A browser would lend the rights of whoever is logged in to any web page, so requests must name the API by one of its own
names (else a page could point its own name here), and what changes something, and every socket, must come from a page that
the API itself served. A body is read up to a size and a time, whoever sends it.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.admission import Admission
from serve.metrics import Metrics
from serve.problems import fleet_problem, http_problem, internal_problem
from twins.clock import stopwatch_s
from twins.errors import OverloadedError

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

OVER_TLS: Final = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
"""What is said beside, where a proxy with TLS is in front: from then on a browser comes in no other way."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COUNTED: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_LONGEST_LENGTH: Final = 18  # digits of a length that is a number at all

_log = logging.getLogger("twinfold.api")


class Guard:
    """The outermost layer of the app.

    Parameters
    ----------
    app : what it stands before
    hosts : names, without port, under which the app may be asked; ``*`` for any
    body_bytes : the largest body, said or sent
    admission : what all bodies share
    body_s : how long one may take to come
    over_tls : whether a proxy with TLS is in front
    metrics : where requests are counted
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Sequence[str],
        body_bytes: int,
        admission: Admission,
        body_s: float,
        over_tls: bool,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._body_bytes = body_bytes
        self._admission = admission
        self._body_s = body_s
        self._headers = {**SECURITY_HEADERS, **(OVER_TLS if over_tls else {})}
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._request(scope, receive, send)
            case "websocket":
                if (refusal := self._refusal(scope)) is not None:
                    await receive()
                    await send({"type": "websocket.close", "code": 1008, "reason": refusal[1][:100]})
                    return
                await self._app(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = stopwatch_s()
        status = 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "Cache-Control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        received = held = 0
        whole = False

        async def counted() -> Message:
            nonlocal received, held, whole
            if whole:
                return await receive()  # waits for the client to go, for as long as the answer takes
            try:
                async with asyncio.timeout(self._body_s - (stopwatch_s() - began_s)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, self._too_slow, {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > self._body_bytes:
                raise HTTPException(413, self._too_large)
            if received > held:  # it did not say beforehand how long it is
                self._admission.hold(received - held)
                held = received
            return message

        refusal = self._refusal(scope)
        if refusal is not None:
            await http_problem(*refusal)(scope, receive, guarded)
        else:
            try:
                said = said_bytes(Headers(scope=scope))
                self._admission.hold(said)
                held = said
                await self._app(scope, counted, guarded)
            except OverloadedError as error:
                await self._respond(fleet_problem(error), scope, receive, guarded)
            except Exception:
                _log.exception("%s %r", scope["method"], scope["path"])  # no line of the log is the client's
                if status == 0:
                    await self._respond(internal_problem(), scope, receive, guarded)
            finally:
                self._admission.release(held)
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _COUNTED else "other"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(route).observe(stopwatch_s() - began_s)

    @staticmethod
    async def _respond(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    @property
    def _too_large(self) -> str:
        return f"a body has at most {self._body_bytes} bytes; send it in parts"

    @property
    def _too_slow(self) -> str:
        return f"a body has {self._body_s:g} s to come; send it in parts"

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, if the request may not pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if "*" not in self._hosts and _without_port(host) not in self._hosts:
            return 421, f"this API does not answer under the name {host[:100]!r}"
        if said_bytes(headers) > self._body_bytes:
            return 413, self._too_large
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _READING
        if origin is not None and changes and _place(origin) != host.lower():
            return 403, f"a page of {origin[:100]!r} may not do this"
        return None


def said_bytes(headers: Headers) -> int:
    """How long the body is said to be; zero where nothing is said that is a number."""
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return 0
    return int(length[:_LONGEST_LENGTH])


def _place(origin: str) -> str:
    """Host and port of an origin; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
