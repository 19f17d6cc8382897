"""The socket of a device or gateway: batches of readings in, and for each an answer once it is durable.

A text frame is the JSON that ``POST /ingest`` takes, a binary one an Arrow stream. Frames are taken one after another, so a
device's readings stay in their order, and who sends faster than can be taken waits in its own connection.
"""

import json
import logging
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from serve.access import Caller
from serve.context import Context, Who, context_of
from serve.errors import AccessError, BodyError
from serve.formats import at_most, body_of, read_arrow, read_document
from serve.problems import fleet_document, internal_document
from serve.routes.readings import take
from twins.errors import FleetError

router = APIRouter(tags=["readings"])

_FULL: Final = 1013
_REFUSED: Final = 1008
_LONGEST_ID: Final = 200

_log = logging.getLogger("twinfold.api")


@router.websocket("/ingest/socket")
async def device_socket(socket: WebSocket, who: Who) -> None:
    """Take frames until the device goes, or its key does."""
    here = context_of(socket)
    await socket.accept()
    if here.sockets >= here.config.sockets:
        await socket.close(_FULL, "too many sockets are open")
        return
    here.sockets += 1
    number = 0
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame: str | bytes | None = message.get("text")
            frame = message.get("bytes") or b"" if frame is None else frame
            number += 1
            try:
                who = await _still(here, who, socket)
            except AccessError as error:
                await socket.close(_REFUSED, str(error).encode()[:120].decode(errors="ignore"))
                return
            await socket.send_text(json.dumps(await _answer(here, who, frame, number)))
    except (WebSocketDisconnect, RuntimeError):
        pass  # gone; what it was not answered it sends again
    finally:
        here.sockets -= 1


async def _still(here: Context, who: Caller, socket: WebSocket) -> Caller:
    """Who sends, as it is now. Without the database, who was known goes on. AccessError: it may send no longer."""
    text = socket.headers.get("authorization", "").partition(" ")[2]
    try:
        if text:
            known = here.access.known("bearer", text)
            return known if known is not None else await here.identify(here.access.find, "bearer", text)
        if who.session is not None:
            return replace(who, session=await here.identify(here.access.sessions.still, who.session))
    except AccessError:
        raise
    except FleetError as error:
        _log.info("whether %s may still send is not known: %s", who.name, error)
    return who


async def _answer(here: Context, who: Caller, frame: str | bytes, number: int) -> dict[str, Any]:
    """``taken`` with what became of the readings, or ``refused`` with the problem; the frame's number and its own id."""
    about: dict[str, Any] = {"frame": number}
    held = 0
    try:
        here.admission.hold(len(frame))
        held = len(frame)
        taken = await here.call(_take, here.within(who), who, frame, about)
    except FleetError as error:
        return {"type": "refused", **about, "problem": fleet_document(error)}
    except Exception:
        _log.exception("a frame of %s", who.name)
        return {"type": "refused", **about, "problem": internal_document()}
    finally:
        here.admission.release(held)
    return {"type": "taken", **about, **taken}


def _take(here: Context, who: Caller, frame: str | bytes, about: dict[str, Any]) -> dict[str, Any]:
    config = here.config
    if len(frame) > config.body_bytes:
        raise BodyError(f"a frame of {len(frame)} bytes", f"send at most {config.body_bytes} at a time")
    if isinstance(frame, bytes):
        body = read_arrow(frame)
    else:
        document = read_document(frame)
        given = document.pop("id", None)
        if given is not None:
            about["id"] = str(given)[:_LONGEST_ID]
        body = body_of(document)
    return take(here, who, at_most(body, config.batch_readings))
