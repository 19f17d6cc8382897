"""The socket of a device or gateway: readings in, each batch answered once it is durable; and down it what is asked.

A text frame is the JSON that ``POST /ingest`` takes, or tells of properties and commands; a binary one is an Arrow stream.
Frames are taken one after another, so a device's readings stay in their order, and who sends faster than can be taken waits
in its own connection. What is asked of devices goes down to those who said that they listen for them.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import TypeAdapter, ValidationError

from serve.access import Caller
from serve.context import Context, Who, context_of
from serve.downlinks import MOST_DEVICES, Link, carry, frames, split_report
from serve.errors import AccessError, BodyError
from serve.formats import at_most, body_of, read_arrow, read_document
from serve.gate import guarded
from serve.problems import fleet_document, internal_document
from serve.routes.readings import take
from serve.schemas.downlink import CommandResult, FromDevice, Listen, Reported
from twins import commands as c
from twins.errors import DeviceNotFoundError, FleetError

router = guarded(tags=["readings"])

_FULL: Final = 1013
_REFUSED: Final = 1008
_LONGEST_ID: Final = 200
_FROM_DEVICE: Final[TypeAdapter[Listen | Reported | CommandResult]] = TypeAdapter(FromDevice)
_REMEDY: Final = "docs/guides/commands.md has the frames"

_log = logging.getLogger("twinfold.api")


@dataclass(slots=True, eq=False)
class _Session:
    """One socket: who is at its other end, and what goes down it."""

    whole: Context
    socket: WebSocket
    who: Caller
    link: Link = field(default_factory=Link)

    @property
    def here(self) -> Context:
        """The platform as the sender sees it: an account may be for some sites."""
        return self.whole.within(self.who)

    async def check(self) -> None:
        """Learn whether the sender still may. AccessError: no longer."""
        self.who = await _still(self.whole, self.who, self.socket)

    async def send(self, text: str) -> None:
        await self.socket.send_text(text)

    async def deliver(self, devices: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """What is to go down now, for as long as the key counts and covers the device."""
        await self.check()
        return await self.whole.call(self._deliver, devices)

    def _deliver(self, devices: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        mine, away = _covered(self.here, self.who, devices)
        down, also = frames(self.whole.fleet, self.link, mine, self.who.name)
        return down, [*away, *also]


@router.websocket("/ingest/socket")
async def device_socket(socket: WebSocket, who: Who) -> None:
    """Take frames, and send what is asked, until the device goes, or its key does."""
    here = context_of(socket)
    await socket.accept()
    if here.sockets >= here.config.sockets:
        await socket.close(_FULL, "too many sockets are open")
        return
    here.sockets += 1
    session = _Session(here, socket, who)
    works = [asyncio.create_task(_take_frames(session)), asyncio.create_task(_carry(session))]
    try:
        await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    finally:
        here.switchboard.leave(session.link)
        here.sockets -= 1
        for work in works:
            work.cancel()
        for ended in await asyncio.gather(*works, return_exceptions=True):
            # gone; what it was not answered it sends again
            if isinstance(ended, Exception) and not isinstance(ended, WebSocketDisconnect | RuntimeError):
                _log.error("the socket of %s: %r", session.who.name, ended)


async def _take_frames(session: _Session) -> None:
    number = 0
    while True:
        message = await session.socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        frame: str | bytes | None = message.get("text")
        frame = message.get("bytes") or b"" if frame is None else frame
        number += 1
        try:
            await session.check()
        except AccessError as error:
            await _turn_away(session.socket, error)
            return
        await session.send(json.dumps(await _answer(session, frame, number)))


async def _carry(session: _Session) -> None:
    try:
        await carry(session.link, session.deliver, session.send)
    except AccessError as error:
        await _turn_away(session.socket, error)


async def _turn_away(socket: WebSocket, error: AccessError) -> None:
    await socket.close(_REFUSED, str(error).encode()[:120].decode(errors="ignore"))


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


async def _answer(session: _Session, frame: str | bytes, number: int) -> dict[str, Any]:
    """``taken`` with what became of the frame, or ``refused`` with the problem; the frame's number and its own id."""
    here, held = session.whole, 0
    about: dict[str, Any] = {"frame": number}
    try:
        here.admission.hold(len(frame))
        held = len(frame)
        taken = await here.call(_take, session, frame, about)
        if isinstance(taken, Listen):
            taken = await _listen(session, taken)
    except FleetError as error:
        return {"type": "refused", **about, "problem": fleet_document(error)}
    except Exception:
        _log.exception("a frame of %s", session.who.name)
        return {"type": "refused", **about, "problem": internal_document()}
    finally:
        here.admission.release(held)
    return {"type": "taken", **about, **taken}


def _take(session: _Session, frame: str | bytes, about: dict[str, Any]) -> dict[str, Any] | Listen:
    here, config = session.here, session.here.config
    if len(frame) > config.body_bytes:
        raise BodyError(f"a frame of {len(frame)} bytes", f"send at most {config.body_bytes} at a time")
    if isinstance(frame, bytes):
        body = read_arrow(frame)
    else:
        document = read_document(frame)
        given = document.pop("id", None)
        if given is not None:
            about["id"] = str(given)[:_LONGEST_ID]
        if "readings" not in document and "type" in document:
            said = _read(document)
            return said if isinstance(said, Listen) else _tell(session, said)
        body = body_of(document)
    return take(here, session.who, at_most(body, config.batch_readings))


def _read(document: dict[str, Any]) -> Listen | Reported | CommandResult:
    try:
        return _FROM_DEVICE.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the frame"
        raise BodyError(f"{where}: {first['msg']}", _REMEDY) from None


async def _listen(session: _Session, wanted: Listen) -> dict[str, Any]:
    """Listen from now on; devices that the key does not cover are to it as if they were not there."""
    here, key, link = session.whole, session.who.key, session.link
    devices = wanted.devices
    if devices is None:
        devices = list(key.scope.devices) if key is not None else []
        if not devices:
            raise BodyError("no devices are named", 'name them: {"type": "listen", "devices": ["pump-17"]}')
    mine, away = await here.call(_covered, session.here, session.who, list(dict.fromkeys(devices)))
    known = {*mine, *away}
    if len(link.devices | known) > MOST_DEVICES:
        problem = f"{len(link.devices | known)} devices on one socket"
        raise BodyError(problem, f"listen for at most {MOST_DEVICES}, over several sockets for more")
    session.socket.app.state.hub.attend()
    here.switchboard.listen(link, known)
    return {"listening": len(link.devices), "refused": sorted(set(devices) - known)}


def _tell(session: _Session, said: Reported | CommandResult) -> dict[str, Any]:
    """Take what a device says of itself, durably."""
    here, who = session.here, session.who
    mine, away = _covered(here, who, [said.device])
    if not mine and not away:
        raise DeviceNotFoundError(said.device)
    refused: list[dict[str, Any]] = []
    if isinstance(said, CommandResult):
        command: c.DownlinkCommand = c.ReportResult(
            command_id="", by=who.name, device_id=said.device, number=said.number, ok=said.ok, result=said.result
        )  # fmt: skip
    else:
        found = here.fleet.find(said.device)
        if found is None:
            raise DeviceNotFoundError(said.device)
        values, rejected, refused = split_report(
            here.fleet.types[found[1]], said.device, said.properties, said.rejected
        )
        command = c.ReportProperties(
            command_id="", by=who.name, device_id=said.device, values=values, version=said.version,
            at_us=None if said.time is None else round(said.time.timestamp() * 1e6), rejected=rejected,
            desired_version=said.desired_version,
        )  # fmt: skip
    cursors = here.fleet.command(command)
    return {"level": "durable", "cursor": here.cursor_at(cursors), "refused": refused}


def _covered(here: Context, who: Caller, devices: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of some devices that there are and that the sender is for; and those that cannot be asked for at present."""
    ids = pa.array(devices, pa.string())
    places = here.fleet.locate(ids)
    known = places.host >= 0
    if who.key is not None and not who.key.scope.is_everything:
        known = known & who.key.scope.covers(ids, places, here.live.view)
    mine = [each for each, is_known in zip(devices, known.tolist(), strict=True) if is_known]
    unsure = [
        each
        for each, host in zip(devices, places.host.tolist(), strict=True)
        if host < 0 and not places.is_sure
    ]
    return mine, unsure
