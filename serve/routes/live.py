"""The socket of a browser: the fleet once a second, alerts as they happen."""

import asyncio
import contextlib
import json
from typing import Any, Final

import pyarrow as pa
from fastapi import Response, WebSocket, WebSocketDisconnect
from pydantic import TypeAdapter, ValidationError

from serve.access import NEEDED, Caller, check
from serve.context import Context, Who, context_of
from serve.errors import LoginRequiredError
from serve.gate import guarded
from serve.lists import DeviceQuery
from serve.present import reply
from serve.push import Client, Hub
from serve.schemas.stream import ServerMessage, Subscribe
from twins.errors import FleetError

router = guarded(tags=["live"])

MAX_MESSAGE: Final = 256 * 1024
"""Characters of what a client may send at once."""

_SEND_S: Final = 30.0
_LOOK_EVERY_S: Final = 5.0
_FULL: Final = 1013
_REFUSED: Final = 1008


@router.get("/api/events/schema", response_model=dict[str, Any])
async def schema() -> Response:
    """JSON schema of what the socket sends and takes; OpenAPI has no place for sockets."""
    return reply(
        {
            "server": TypeAdapter(ServerMessage).json_schema(),
            "client": Subscribe.model_json_schema(),
        }
    )


@router.websocket("/api/live")
async def live(socket: WebSocket, who: Who) -> None:
    """Subscribe, then listen; subscribe again to want something else. It ends with the session."""
    here = context_of(socket)
    hub: Hub = socket.app.state.hub
    await socket.accept()
    if here.sockets >= here.config.sockets:
        await socket.close(_FULL, "too many sockets are open")
        return
    here.sockets += 1
    client = Client(who.name, who.sites)
    hub.join(client)
    try:
        await _send(socket, json.dumps({"type": "hello", "cursor": hub.cursor}))
        await _first_done(
            _listen(socket, here, hub, client, who), _talk(socket, here, client), _watch(socket, here, who)
        )
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        pass  # gone, or too slow to be waited for; it will come back with its cursor
    finally:
        here.sockets -= 1
        hub.leave(client)


async def _listen(socket: WebSocket, here: Context, hub: Hub, client: Client, who: Caller) -> None:
    """Take subscriptions until the client goes, or says what cannot be understood."""
    while True:
        text = await socket.receive_text()
        try:
            if len(text) > MAX_MESSAGE:
                raise ValueError(f"{len(text)} characters; at most {MAX_MESSAGE} are read")
            wish = Subscribe.model_validate_json(text)
            if "jobs" in wish.topics:
                check(NEEDED["GET /api/jobs"][0], who)
            page = None
            if "page" in wish.topics:
                page = DeviceQuery(wish.page.filter, wish.page.q, wish.page.sort, wish.page.limit)
                await hub.list_page(client, page)
            hub.subscribe(client, wish.topics, wish.devices, wish.cursor, page)
            if wish.devices:
                with contextlib.suppress(FleetError):  # who is new is learned of, else a moment later
                    await here.call(here.fleet.locate, pa.array(wish.devices, pa.string()))
                hub.watch(client, wish.devices)
        except ValidationError as error:
            first = error.errors()[0]
            await _refuse(socket, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
            return
        except (ValueError, FleetError) as error:
            await _refuse(socket, str(error))
            return


async def _talk(socket: WebSocket, here: Context, client: Client) -> None:
    """Send what waits, and a sign of life when nothing does."""
    while True:
        try:
            async with asyncio.timeout(here.config.heartbeat_s):
                await client.wake.wait()
        except TimeoutError:
            await _send(socket, client.heartbeat(here.fleet.clock.now_us()))
            continue
        for text in client.take():
            await _send(socket, text)


async def _watch(socket: WebSocket, here: Context, who: Caller) -> None:
    """Close when the session ends: logged out, expired, or the account was changed."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        if who.session is None:
            continue
        try:
            await here.identify(here.access.sessions.still, who.session)
        except LoginRequiredError as error:
            await _refuse(socket, str(error))
            return
        except FleetError:
            continue  # the database is away; nobody is thrown out for that


async def _send(socket: WebSocket, text: str) -> None:
    async with asyncio.timeout(_SEND_S):  # ``wait_for`` of Python 3.11 may lose that it was cancelled
        await socket.send_text(text)


async def _refuse(socket: WebSocket, reason: str) -> None:
    """Close, with as much of the reason as a close frame holds."""
    await socket.close(_REFUSED, reason.encode()[:120].decode(errors="ignore"))


async def _first_done(*works: Any) -> None:
    """Run several until one ends; end the others; raise what the first raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
    for task in done:
        task.result()
