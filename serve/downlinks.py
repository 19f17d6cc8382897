"""Carrying down what is asked of devices: who listens for which, what is to be sent to them, and what comes back up.

Nothing is kept here. The journals say that something is asked, the shard says what, and a command is claimed there before
it is handed over, so that of all links of a device one takes it. What a link did not get to send is sent by the next one,
or expires. Everything that goes down has a number or version by which a device can tell what it had before.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from serve.errors import AccessError
from serve.present import iso
from twins import commands as c
from twins.clock import SECOND_US
from twins.devices import DeviceType, Property
from twins.downlink import OPEN, checked
from twins.errors import CommandRefusedError, FleetError, ValueRefusedError
from twins.fleet import Fleet

MOST_DEVICES: Final = 1_000
"""Devices that one link may listen for."""

_log = logging.getLogger("twinfold.downlinks")


@dataclass(slots=True, eq=False)
class Link:
    """A way to some devices: which ones, of which there may be something new, and what they were sent over it."""

    name: str = field(default_factory=lambda: secrets.token_hex(6))
    devices: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    versions: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, set[int]] = field(default_factory=dict)

    def touch(self, devices: Iterable[str]) -> None:
        """Look at these again."""
        self.touched.update(devices)
        self.wake.set()

    def take(self) -> list[str]:
        """What is to be looked at now."""
        self.wake.clear()
        touched, self.touched = self.touched, set()
        return sorted(touched & self.devices)


class Switchboard:
    """Who listens for which device. Used from one event loop."""

    def __init__(self) -> None:
        self._links: dict[str, set[Link]] = {}

    @property
    def is_used(self) -> bool:
        return bool(self._links)

    def listen(self, link: Link, devices: Iterable[str]) -> None:
        """Let a link listen for these devices, too; whatever is open is sent to it."""
        wanted = set(devices)
        link.devices |= wanted
        for each in wanted:
            self._links.setdefault(each, set()).add(link)
            link.versions.pop(each, None)
            link.numbers.pop(each, None)
        link.touch(wanted)

    def leave(self, link: Link) -> None:
        """Let it go."""
        for each in link.devices:
            others = self._links.get(each, set())
            others.discard(link)
            if not others:
                self._links.pop(each, None)

    def heard(self, device_id: str) -> None:
        """Something is asked of a device, or no longer."""
        for link in self._links.get(device_id, ()):
            link.touch((device_id,))

    def heard_all(self) -> None:
        """Of whom something is asked was missed: every link looks at all of its devices."""
        for link in {link for links in self._links.values() for link in links}:
            link.touch(link.devices)


def frames(
    fleet: Fleet, link: Link, devices: Sequence[str], by: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """What is to be sent over a link to these devices now, and devices whose host is away at present.

    Commands are claimed before: whoever does not send what this gives has it sent by nobody, unless it is repeatable.
    """
    found, away = fleet.downlinks(devices)
    down: list[dict[str, Any]] = []
    claims: list[c.DownlinkCommand] = []
    claimed: list[tuple[str, Mapping[str, Any]]] = []
    for device_id, asked in found.items():
        if asked["desired_version"] > link.versions.get(device_id, 0):
            link.versions[device_id] = asked["desired_version"]
            down.append(desired_frame(device_id, asked))
        sent = link.numbers.setdefault(device_id, set())
        is_open = {order["number"]: order for order in asked["commands"] if order["state"] in OPEN}
        sent &= is_open.keys()
        for number, order in is_open.items():
            if number in sent or (order["state"] == "delivered" and not order["repeatable"]):
                continue
            claims.append(
                c.ReportDelivery(command_id="", by=by, device_id=device_id, number=number, link=link.name)
            )
            claimed.append((device_id, order))
    refusals = fleet.command_many(claims).refused if claims else ()
    for (device_id, order), why in zip(claimed, refusals, strict=True):
        # another link has it: only what may be done twice goes over this one as well
        if why is None or (order["repeatable"] and isinstance(why, CommandRefusedError)):
            link.numbers[device_id].add(order["number"])
            down.append(command_frame(device_id, order, fleet.clock.now_us()))
        elif not isinstance(why, CommandRefusedError):
            away.append(device_id)
    return down, away


def desired_frame(device_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """All that is desired of a device, as it is sent."""
    wanted = {
        name: {"value": each["desired"]["value"], "version": each["desired"]["version"]}
        for name, each in asked["properties"].items()
        if each["desired"] is not None
    }
    return {"type": "desired", "device": device_id, "version": asked["desired_version"], "properties": wanted}


def command_frame(device_id: str, order: Mapping[str, Any], now_us: int) -> dict[str, Any]:
    """A command as it is sent; how long it is good, too, for those who have no clock."""
    return {
        "type": "command",
        "device": device_id,
        "number": order["number"],
        "command": order["name"],
        "parameters": dict(order["parameters"]),
        "expires_at": iso(order["until_us"]),
        "expires_in_s": max(0.0, (order["until_us"] - now_us) / SECOND_US),
        "repeatable": order["repeatable"],
    }


def split_report(
    device_type: DeviceType, device_id: str, values: Mapping[str, Any], rejected: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """What of a report can be taken, and of the rest each with its reason: one wrong item costs no other."""
    specs = {each.name: each for each in device_type.properties}
    refused = list(_unfit(specs, device_id, values, rejected))
    names = {each["property"] for each in refused}
    return (
        {name: value for name, value in values.items() if name not in names},
        {name: why for name, why in rejected.items() if name not in names},
        refused,
    )


def _unfit(
    specs: Mapping[str, Property], device_id: str, values: Mapping[str, Any], rejected: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    known = ", ".join(specs) or "none"
    for name in dict.fromkeys((*values, *rejected)):
        if name not in specs:
            reason = f"its type has no property {name[:60]!r} (it has: {known})"
            yield {"property": name, "code": "command.not_offered", "reason": reason}
        elif name in values:
            try:
                checked(specs[name], values[name], "take a report of", device_id, is_fact=True)
            except ValueRefusedError as error:
                yield {"property": name, "code": error.code, "reason": error.reason}


async def carry(
    link: Link,
    deliver: Callable[[Sequence[str]], Awaitable[tuple[list[dict[str, Any]], list[str]]]],
    send: Callable[[str], Awaitable[None]],
    again_s: float = 1.0,
) -> None:
    """Send what there is whenever there is something, until cancelled; what cannot be asked for now is asked for later."""
    while True:
        await link.wake.wait()
        touched = link.take()
        if not touched:
            continue
        try:
            down, away = await deliver(touched)
        except AccessError:
            raise
        except FleetError as error:
            _log.info("what is asked of %d devices is looked for again: %s", len(touched), error)
            down, away = [], touched
        for each in down:
            await send(json.dumps(each, separators=(",", ":"), ensure_ascii=False))
        if away:
            await asyncio.sleep(again_s)
            link.touch(away)
