"""Carrying to a broker what is asked of devices: what has changed, what is due again, and commands claimed before they go.

A broker takes what nobody reads, so a command goes only to a device that has shown itself, and what is not answered goes
again where that does no harm. Nothing is kept here: who begins anew is told all that is open.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from serve.downlinks import command_frame
from twins import commands as c
from twins.clock import stopwatch_s
from twins.downlink import OPEN
from twins.errors import DegradedError, OverloadedError
from twins.fleet import Fleet
from twins.service import Mark

AGAIN_S: Final = 10.0
"""What is not answered within this goes again, if it may."""

LOOK_S: Final = 0.25
"""How often to look."""


class Courier:
    """What is to go to the devices behind one broker. ``again`` may be called from any thread, the rest from one.

    Parameters
    ----------
    fleet : whose devices
    link : the name of this way in the journals
    """

    def __init__(self, fleet: Fleet, link: str) -> None:
        self._fleet = fleet
        self._link = link
        self._marks: Mapping[int, Mapping[str, Mark]] = {}
        self._again: dict[str, float] = {}
        self._lock = threading.Lock()
        self._look_s = 0.0
        self._sent_s: dict[str, dict[int, float]] = {}

    def again(self, device_id: str, in_s: float = 0.0) -> None:
        """Look at a device again: it is there, or something was not answered."""
        at_s = stopwatch_s() + in_s
        with self._lock:
            self._again[device_id] = min(at_s, self._again.get(device_id, at_s))

    def look(self) -> tuple[dict[str, dict[str, Any]], bool]:
        """What is asked of devices for which that has changed or which are due, and whether there is more at once.

        Raises
        ------
        FleetError : it cannot be known at present.
        """
        asked, self._marks, more = self._fleet.downlinks_since(self._marks)
        due = self._due()
        if due:
            found, away = self._fleet.downlinks(due)
            asked = {**found, **asked}
            for each in away:
                self.again(each)
        return asked, more

    def commands(
        self,
        device_id: str,
        asked: Mapping[str, Any],
        fits: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> Iterator[dict[str, Any]]:
        """Commands to hand to a device that is there, as frames, each claimed; only those that ``fits`` says can go."""
        is_open = {order["number"]: order for order in asked["commands"] if order["state"] in OPEN}
        sent = self._sent_s.get(device_id, {})
        self._sent_s[device_id] = sent = {n: at_s for n, at_s in sent.items() if n in is_open}
        for number, order in is_open.items():
            if (order["state"] == "delivered" and not order["repeatable"]) or not fits(order):
                continue
            if stopwatch_s() - sent.get(number, -AGAIN_S) < AGAIN_S:
                continue
            claim = c.ReportDelivery(
                command_id="", by=self._link, device_id=device_id, number=number, link=self._link
            )
            (why,) = self._fleet.command_many([claim]).refused
            if isinstance(why, DegradedError | OverloadedError):
                self.again(device_id)
                continue
            if why is not None and not order["repeatable"]:
                continue
            frame = command_frame(device_id, order, self._fleet.clock.now_us())
            if frame["expires_in_s"] > 0:
                sent[number] = stopwatch_s()
                yield frame
        if not sent:
            del self._sent_s[device_id]

    def _due(self) -> list[str]:
        now_s = stopwatch_s()
        if now_s < self._look_s:
            return []
        self._look_s = now_s + LOOK_S
        with self._lock:
            due = sorted(name for name, at_s in self._again.items() if at_s <= now_s)
            for each in due:
                del self._again[each]
        return due
