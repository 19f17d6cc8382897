"""What is asked of nodes and devices that came by Sparkplug: NCMD and DCMD down, and from NDATA and DDATA whether it is so.

A property is the metric of its name (or of the name that ``metrics`` gives it): its desired value is written to it, and it
has been done when the device reports that value. A command is the metric ``Device Control/<command>``, for a node ``Node
Control/<command>``, with a metric ``…/<parameter>`` for each parameter in the same message. An integer is written the number
of the command, and says by it that this is done, by its negative that it has failed; a boolean is written true, and says
true.

Both are sent with QoS 0, as the specification has it, so a desired value goes again until it is reported; a command goes
again only if it may be done twice.

Source: Sparkplug 3.0.0, 5.10 (commands), 6.4.15 (NCMD), 6.4.18 (DCMD).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from serve.courier import AGAIN_S, Courier
from serve.downlinks import split_report
from serve.sparkplug.payload import DataType, Sent
from serve.sparkplug.sessions import CONTROL, Names, Problem, Sessions, Way
from twins import commands as c
from twins.devices import DeviceType
from twins.errors import DegradedError, OverloadedError
from twins.fleet import Fleet

LINK: Final = "sparkplug"
"""The name of this link in the journals."""

MOST_WAITING: Final = 10_000
"""Reports that wait for hosts that are away; of more, the oldest are lost."""

_WHOLE: Final = frozenset(DataType) - {
    DataType.FLOAT, DataType.DOUBLE, DataType.BOOLEAN, DataType.STRING, DataType.TEXT
}  # fmt: skip

_log = logging.getLogger("twinfold.sparkplug")


class Asked:
    """Carries down what is asked of twins and takes up what they say to that. Used from the thread of ``Sessions``.

    Parameters
    ----------
    fleet : whose twins
    sessions, names : which twins have been born, where they are, and which metric a property is
    publish : sends metrics to a node or to a device of it
    """

    def __init__(
        self,
        fleet: Fleet,
        sessions: Sessions,
        names: Names,
        publish: Callable[[Way, Sequence[Sent]], None],
    ) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._names = names
        self._publish = publish
        self._courier = Courier(fleet, LINK)
        self._twins: dict[str, dict[str, Any]] = {}  # those that are there, and what each reported last
        self._reports: list[c.DownlinkCommand] = []
        self._done: list[tuple[str, str]] = []  # twin and command, of which it said true

    def born(self, twin: str) -> None:
        """It is there, or there anew: what is open is sent to it."""
        self._twins[twin] = {}
        self._courier.again(twin)

    def gone(self, twins: Iterable[str]) -> None:
        """They are no longer there."""
        for each in twins:
            self._twins.pop(each, None)

    def hear(
        self, twin: str, device_type: DeviceType, said: Mapping[str, Any], is_birth: bool
    ) -> list[Problem]:
        """Take what one says of its properties and commands; other names are no concern. Gives what cannot be taken."""
        known = self._twins.setdefault(twin, {})
        taken, _, refused = split_report(device_type, twin, dict(self._news(twin, device_type, said)), {})
        if taken:
            known.update(taken)
            self._reports.append(
                c.ReportProperties(command_id="", by=LINK, device_id=twin, values=taken, rejected={})
            )
        for name in (each.name for each in device_type.commands):
            answer = next((said[start + name] for start in CONTROL if start + name in said), None)
            if isinstance(answer, bool):
                if answer and not is_birth:
                    self._done.append((twin, name))
            elif answer:
                self._reports.append(_result(twin, abs(answer), answer > 0))
        del self._reports[:-MOST_WAITING], self._done[:-MOST_WAITING]
        return [Problem(twin, each["code"], each["reason"]) for each in refused]

    def work(self) -> None:
        """Write what was heard, then send what there is to send.

        Raises
        ------
        FleetError : it cannot be done at present; nothing is forgotten.
        """
        self._take_up()
        asked, _ = self._courier.look()
        for twin, each in asked.items():
            way, known = self._sessions.way(twin), self._twins.get(twin)
            if way is not None and known is not None:  # else it is sent when it is born
                self._send(twin, way, known, each)

    # -- up --------------------------------------------------------------------------------------------------------

    def _news(
        self, twin: str, device_type: DeviceType, said: Mapping[str, Any]
    ) -> Iterator[tuple[str, float | int | bool | str]]:
        """The properties that are otherwise than they were reported last."""
        way, reported = self._sessions.way(twin), self._twins[twin]
        floats = (
            {self._names.channel(m) for m, kind in way.metrics.items() if kind == DataType.FLOAT}
            if way
            else ()
        )
        for spec in device_type.properties:
            value = said.get(spec.name)
            if value is None:
                continue
            if spec.kind == "boolean":
                value = bool(value)
            elif spec.name in floats:
                value = float(str(np.float32(value)))  # 0.1, not 0.10000000149
            if reported.get(spec.name) != value:
                yield spec.name, value

    def _take_up(self) -> None:
        if self._done:
            found, away = self._fleet.downlinks(sorted({twin for twin, _ in self._done}))
            for twin, name in self._done:
                orders = found.get(twin, {}).get("commands", ())
                handed = [o["number"] for o in orders if o["name"] == name and o["state"] == "delivered"]
                if handed:
                    self._reports.append(_result(twin, min(handed), True))
            self._done = [each for each in self._done if each[0] in away]
        if not self._reports:
            return
        waiting: list[c.DownlinkCommand] = []
        for report, why in zip(self._reports, self._fleet.command_many(self._reports).refused, strict=True):
            if isinstance(why, DegradedError | OverloadedError):
                waiting.append(report)
            elif why is not None:  # as after a birth, which says again what was said before
                _log.debug("%s: %s", report.device_id, why)
        self._reports = waiting

    # -- down ------------------------------------------------------------------------------------------------------

    def _send(self, twin: str, way: Way, known: dict[str, Any], asked: Mapping[str, Any]) -> None:
        pending = {
            name: each["desired"]["value"]
            for name, each in asked["properties"].items()
            if each["standing"] == "pending"
        }
        metrics = list(self._written(way, pending))
        if metrics:
            for name in pending:
                known.pop(name, None)  # that it says so is news, even if it was so before
            self._publish(way, metrics)
            self._courier.again(twin, AGAIN_S)
        for frame in self._courier.commands(twin, asked, lambda order: _ordered(way, order) is not None):
            self._publish(way, _ordered(way, {**frame, "name": frame["command"]}) or [])
            if frame["repeatable"]:
                self._courier.again(twin, AGAIN_S)

    def _written(self, way: Way, values: Mapping[str, Any]) -> Iterator[Sent]:
        """The metrics of properties, as far as the birth told of them."""
        for metric, kind in way.metrics.items():
            name = self._names.channel(metric)
            if name in values and (sent := _sent(metric, kind, values[name])) is not None:
                yield sent


def _result(twin: str, number: int, ok: bool) -> c.ReportResult:
    return c.ReportResult(command_id="", by=LINK, device_id=twin, number=number, ok=ok)


def _ordered(way: Way, order: Mapping[str, Any]) -> list[Sent] | None:
    """A command as metrics; None: the birth did not tell of it, or not of all its parameters."""
    metric = f"{CONTROL[0] if way.device is None else CONTROL[1]}{order['name']}"
    kind = way.metrics.get(metric)
    written = {metric: True if kind == DataType.BOOLEAN else order["number"]}
    written.update({f"{metric}/{name}": value for name, value in order["parameters"].items()})
    sent = [_sent(name, way.metrics.get(name, 0), value) for name, value in written.items()]
    return None if None in sent else [each for each in sent if each is not None]


def _sent(metric: str, kind: int, value: Any) -> Sent | None:
    """A value as a metric of some type; None: it is none of that type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        DataType.BOOLEAN: isinstance(value, bool),
        DataType.STRING: isinstance(value, str),
        DataType.TEXT: isinstance(value, str),
        DataType.FLOAT: is_number,
        DataType.DOUBLE: is_number,
    }.get(kind, kind in _WHOLE and is_number and float(value).is_integer())  # type: ignore[call-overload]
    return Sent(value, DataType(kind), metric) if fits else None
