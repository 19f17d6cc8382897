"""Who stands before a route: the credential of a request or socket is looked up, and the route's row of the table is asked.

The gate is a layer round the app, so that nobody who is not known can have a large body read; whether somebody may come in
is a dependency of every route, which the router has found by then. What people change is audited before they are answered.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, WebSocketException
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve import audit
from serve.access import NEEDED, Caller, check, check_reach, is_command
from serve.context import Context
from serve.errors import AccessError, CrossSiteError, LoginRequiredError, TooManyRequestsError
from serve.guards import said_bytes
from serve.problems import fleet_problem, http_problem
from serve.rates import Rates
from serve.refusals import RefusalLog, Refused
from twins.errors import FleetError

OURS: Final = ("x-requested-with", "twinfold")
"""The header that our pages send and no other page can without our consent."""

UNKNOWN_BODY: Final = 16 * 1024
"""The largest body that is read from nobody in particular: enough to log in."""

_KEPT: Final = ("/api", "/ingest", "/metrics")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = 1008
_FORBIDDEN: Final = 403
_LONGEST_PATH: Final = 2_000
_LOG_IN_FIRST: Final = "log in first: so large a body is not read from nobody in particular"

_log = logging.getLogger("twinfold.api")


class Gate:
    """Finds out who asks.

    Parameters
    ----------
    app : what it stands before
    context : with accounts, and threads to look them up in
    refusals : what of refused rights has no line in the audit yet; whoever hands it in tells it again and again
    """

    def __init__(self, app: ASGIApp, context: Context, refusals: RefusalLog) -> None:
        self._app = app
        self._context = context
        self._rates = Rates(context.config.requests_per_s)
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith(_KEPT):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["address"] = self._address(scope)
        try:
            caller = state["caller"] = await self._caller(scope)
            self._meter(caller)
        except FleetError as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            if state.get("refused") and caller is not None:
                await self._tell_refusal(scope, caller)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] < 400 and "audited" in state:
                    await self._tell(scope, caller)
                elif message["status"] == _FORBIDDEN and caller is not None:
                    await self._tell_refusal(scope, caller)
            await send(message)

        if caller is None and said_bytes(Headers(scope=scope)) > UNKNOWN_BODY:
            await http_problem(401, _LOG_IN_FIRST, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        await self._app(scope, receive if caller is not None else _small(receive), told)

    async def _caller(self, scope: Scope) -> Caller | None:
        """Who asks; None for nobody. A cookie that is over is nobody's, a token that is is refused."""
        headers = Headers(scope=scope)
        access = self._context.access
        given = headers.get("authorization")
        if given is not None:
            scheme, _, text = given.partition(" ")
            if scheme.lower() != "bearer":
                raise LoginRequiredError()
            return access.known("bearer", text) or await self._context.identify(access.find, "bearer", text)
        cookie = cookie_parser(headers.get("cookie", "")).get(self._context.config.cookie)
        if not cookie:
            return None
        try:
            caller = access.known("cookie", cookie) or await self._context.identify(
                access.find, "cookie", cookie
            )
        except LoginRequiredError:
            return None
        if scope["type"] == "websocket":
            if "origin" not in headers:  # where it is there, the guard has seen that it is ours
                raise CrossSiteError()
        elif scope["method"] not in _READING and headers.get(OURS[0]) != OURS[1]:
            raise CrossSiteError()
        return caller

    def _meter(self, caller: Caller | None) -> None:
        """Hold back people and programs that never pause. Devices are held back by what the fleet can take (429, no PUBACK),
        attempts to log in by their own limit."""
        if caller is not None and caller.session is not None and (wait_s := self._rates.wait_s(caller.name)):
            raise TooManyRequestsError(caller.name, wait_s)

    def _address(self, scope: Scope) -> str:
        """From where it comes: what the proxy before us says, if there is one; it stands last, in the last of such lines."""
        forwarded = Headers(scope=scope).getlist("x-forwarded-for") if self._context.config.public else []
        client = scope.get("client")
        said = forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
        return (said or (client[0] if client else ""))[:100]

    async def _tell(self, scope: Scope, caller: Caller | None) -> None:
        """Write into the audit what was done."""
        state, by = scope["state"], caller.name if caller else ""
        await _record(self._context, by, state["address"], state["audited"], scope["path"][:_LONGEST_PATH])

    async def _tell_refusal(self, scope: Scope, caller: Caller) -> None:
        """Write into the audit that somebody had not the right to, unless that was written just now."""
        asked = f"{scope.get('method', 'WS')} {scope['path'][:_LONGEST_PATH]}"
        refused = Refused(caller.name, scope["state"]["address"], asked)
        line = self._refusals.add(refused, self._context.fleet.clock.now_us())
        if line is not None:
            await _write_refusal(self._context, self._refusals, line)


async def tell_refusals(context: Context, refusals: RefusalLog, is_last: bool = False) -> None:
    """Write into the audit how often rights were refused of which nothing is said yet, where a minute has passed since its
    account's last line; with ``is_last``, all of it. Where one cannot be written, the others wait, too.
    """
    for line in refusals.due(context.fleet.clock.now_us(), is_last):
        if not await asyncio.shield(_write_refusal(context, refusals, line)):
            break


async def _write_refusal(context: Context, refusals: RefusalLog, line: Refused) -> bool:
    done = await _record(context, line.by, line.address, "access.refused", line.asked, unsaid=line.unsaid)
    if not done:
        refusals.keep(line, context.fleet.clock.now_us())
    return done


async def _record(context: Context, by: str, address: str, what: str, subject: str, **detail: Any) -> bool:
    """Write a line, and give whether it is. What it tells of has happened by now, so a failure to write is only told."""
    at_us = context.fleet.clock.now_us()
    try:
        await context.identify(
            context.access.database.write,
            lambda c: audit.record(c, at_us, by, address, what, subject, **detail),
        )
    except FleetError as error:
        _log.error("%s %r by %s is missing in the audit: %s", what, subject, by, error)
        return False
    return True


async def authorize(connection: HTTPConnection) -> None:
    """Let pass who has what the route needs; every route depends on this.

    Raises
    ------
    AccessError : as said; for a socket, its refusal.
    """
    scope = connection.scope
    method, path = "WS" if scope["type"] == "websocket" else scope["method"], scope["route"].path
    caller = scope.get("state", {}).get("caller")
    right = NEEDED.get(f"{method} {path}")
    try:
        check(None if right is None else right[0], caller)
        check_reach("whole" if right is None else right[1], caller)
    except AccessError as error:
        if method == "WS":
            scope["state"]["refused"] = True
            raise WebSocketException(_REFUSED, str(error)[:100]) from None
        raise
    if is_command(method, path):
        scope["state"]["audited"] = f"{method} {path}"


def guarded(prefix: str = "", tags: Sequence[str] = ()) -> APIRouter:
    """A router each of whose routes lets pass only whom ``authorize`` does."""
    return APIRouter(prefix=prefix, tags=list(tags), dependencies=[Depends(authorize)])


def _small(receive: Receive) -> Receive:
    """A body for as long as it is small."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > UNKNOWN_BODY:
            raise HTTPException(401, _LOG_IN_FIRST)
        return message

    return counted


async def _refuse(error: FleetError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _REFUSED, "reason": str(error)[:100]})
    else:
        await fleet_problem(error)(scope, receive, send)
