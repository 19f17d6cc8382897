"""Carrying to a broker what is asked of devices: what has changed, what is due again, and commands claimed before they go.

A broker takes what nobody reads, so a command goes only to a device that has shown itself, and what is not answered goes
again where that does no harm. Nothing is kept here: who begins anew is told all that is open.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from serve.downlinks import command_frame
from twins import commands as c
from twins.clock import stopwatch_s
from twins.downlink import OPEN
from twins.errors import DegradedError, FleetError, OverloadedError
from twins.fleet import Fleet
from twins.service import Mark

AGAIN_S: Final = 10.0
"""What is not answered within this goes again, if it may."""

LOOK_S: Final = 0.25
"""How often to look."""

_log = logging.getLogger("twinfold.downlinks")


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

    def carry(self, send: Callable[[str, Mapping[str, Any]], None]) -> bool:
        """Have sent what is asked of each device for which that has changed or which is due; whether there is more at once.

        A device for which ``send`` fails is looked at again, and costs no other.

        Raises
        ------
        FleetError : it cannot be known or claimed at present; nothing is forgotten.
        """
        asked, marks, more = self._fleet.downlinks_since(self._marks)
        asked = {**self._asked_of_due(), **asked}
        self._marks = marks
        unfinished = dict.fromkeys(asked)
        try:
            for device_id, each in asked.items():
                try:
                    send(device_id, each)
                except FleetError:
                    raise
                except Exception:  # a fault of ours
                    _log.exception("what is asked of %s was not sent", device_id)
                    self.again(device_id, AGAIN_S)
                del unfinished[device_id]
        finally:
            for device_id in unfinished:
                self.again(device_id)
        return more

    def commands(
        self,
        device_id: str,
        asked: Mapping[str, Any],
        fits: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> Iterator[dict[str, Any]]:
        """Commands to hand to a device that is there, as frames, each claimed; only those that ``fits`` says can go.

        What may be done twice is looked at again for as long as it is not answered.
        """
        is_open = {order["number"]: order for order in asked["commands"] if order["state"] in OPEN}
        sent = self._sent_s.get(device_id, {})
        self._sent_s[device_id] = sent = {n: at_s for n, at_s in sent.items() if n in is_open}
        for number, order in is_open.items():
            if (order["state"] == "delivered" and not order["repeatable"]) or not fits(order):
                continue
            left_s = sent[number] + AGAIN_S - stopwatch_s() if number in sent else 0.0
            if left_s > 0:
                if order["repeatable"]:
                    self.again(device_id, left_s)
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
                if order["repeatable"]:
                    self.again(device_id, AGAIN_S)
                yield frame
        if not sent:
            del self._sent_s[device_id]

    def _asked_of_due(self) -> dict[str, dict[str, Any]]:
        """What is asked of devices that are due; they stay so where it cannot be known."""
        due = self._due()
        if not due:
            return {}
        away: Iterable[str] = due
        try:
            found, away = self._fleet.downlinks(due)
        finally:
            for each in away:
                self.again(each)
        return found

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
