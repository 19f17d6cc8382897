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
from serve.sparkplug.payload import DataType, Sent, can_hold
from serve.sparkplug.sessions import CONTROL, Names, Problem, Sessions, Way
from twins import commands as c
from twins.devices import DeviceType
from twins.errors import DegradedError, OverloadedError
from twins.fleet import Fleet

LINK: Final = "sparkplug"
"""The name of this link in the journals."""

MOST_WAITING: Final = 10_000
"""Reports that wait for hosts that are away; of more, the oldest are lost."""

_log = logging.getLogger("twinfold.sparkplug")


class Asked:
    """Carries down what is asked of twins and takes up what they say to that. Used from the thread of ``Sessions``.

    Parameters
    ----------
    fleet : whose twins
    sessions, names : which twins have been born, where they are, and which metric a property is
    publish : sends metrics to a node or to a device of it
    tell : is told what could not be taken or sent
    """

    def __init__(
        self,
        fleet: Fleet,
        sessions: Sessions,
        names: Names,
        publish: Callable[[Way, Sequence[Sent]], None],
        tell: Callable[[Iterable[Problem]], None],
    ) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._names = names
        self._publish = publish
        self._tell = tell
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

    def hear(self, twin: str, device_type: DeviceType, said: Mapping[str, Any], is_birth: bool) -> None:
        """Take what one says of its properties and commands; other names are no concern.

        A birth answers no command: it says what was said before, perhaps of numbers that are given anew since.
        """
        known = self._twins.get(twin, {})
        news = dict(self._news(twin, device_type, said, known))
        taken, _, refused = split_report(device_type, twin, news, {})
        self._tell(Problem(twin, each["code"], each["reason"]) for each in refused)
        if taken:
            known.update(taken)
            self._reports.append(
                c.ReportProperties(command_id="", by=LINK, device_id=twin, values=taken, rejected={})
            )
        if not is_birth:
            for name in (each.name for each in device_type.commands):
                self._answered(twin, name, next((said[s + name] for s in CONTROL if s + name in said), None))
        del self._reports[:-MOST_WAITING], self._done[:-MOST_WAITING]

    def work(self) -> None:
        """Write what was heard, then send what there is to send.

        Raises
        ------
        FleetError : it cannot be done at present; nothing is forgotten.
        """
        self._take_up()
        self._courier.carry(self._send)

    # -- up --------------------------------------------------------------------------------------------------------

    def _news(
        self, twin: str, device_type: DeviceType, said: Mapping[str, Any], reported: Mapping[str, Any]
    ) -> Iterator[tuple[str, float | int | bool | str]]:
        """The properties that are otherwise than they were reported last."""
        way = self._sessions.way(twin)
        floats = (
            {self._names.channel(m) for m, kind in way.metrics.items() if kind == DataType.FLOAT}
            if way
            else ()
        )
        for spec in device_type.properties:
            value = said.get(spec.name)
            if value is None:
                continue
            if spec.kind == "boolean" and value in (0, 1):
                value = bool(value)
            elif spec.name in floats and isinstance(value, float) and can_hold(DataType.FLOAT, value):
                value = float(str(np.float32(value)))  # 0.1, not 0.10000000149
            if reported.get(spec.name) != value:
                yield spec.name, value

    def _answered(self, twin: str, name: str, answer: Any) -> None:
        """What one says of a command; None, false and zero: nothing."""
        if isinstance(answer, str | float):
            reason = f"{name} is answered by its number or by true, not by {answer!r:.80}"
            self._tell([Problem(twin, "command.value_refused", reason)])
        elif answer is True:
            self._done.append((twin, name))
        elif answer:
            self._reports.append(_result(twin, abs(answer), answer > 0))

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

    def _send(self, twin: str, asked: Mapping[str, Any]) -> None:
        way, known = self._sessions.way(twin), self._twins.get(twin)
        if way is None or known is None:  # it is sent when it is born
            return
        pending = {
            name: each["desired"]["value"]
            for name, each in asked["properties"].items()
            if each["standing"] == "pending"
        }
        channels = {metric: self._names.channel(metric) for metric in way.metrics}
        written = {metric: pending[name] for metric, name in channels.items() if name in pending}
        metrics, unfit = _fitting(way, written)
        self._tell(Problem(twin, "metric.unfit", each) for each in unfit)
        if metrics:
            for name in pending:
                known.pop(name, None)  # that it says so is news, even if it was so before
            self._publish(way, metrics)
            self._courier.again(twin, AGAIN_S)
        for frame in self._courier.commands(twin, asked, lambda order: self._can_go(twin, way, order)):
            self._publish(way, _fitting(way, _ordered(way, frame["command"], frame))[0])

    def _can_go(self, twin: str, way: Way, order: Mapping[str, Any]) -> bool:
        """Whether a command can be written as a whole; says why not where the birth told of it."""
        if _control(way, order["name"]) not in way.metrics:
            return False
        _, unfit = _fitting(way, _ordered(way, order["name"], order))
        self._tell(Problem(twin, "command.unfit", f"command {order['number']}: {each}") for each in unfit)
        return not unfit


def _result(twin: str, number: int, ok: bool) -> c.ReportResult:
    return c.ReportResult(command_id="", by=LINK, device_id=twin, number=number, ok=ok)


def _control(way: Way, command: str) -> str:
    return f"{CONTROL[0] if way.device is None else CONTROL[1]}{command}"


def _ordered(way: Way, command: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """What is written to which metric for a command."""
    metric = _control(way, command)
    number = True if way.metrics.get(metric) == DataType.BOOLEAN else order["number"]
    return {metric: number, **{f"{metric}/{name}": value for name, value in order["parameters"].items()}}


def _fitting(way: Way, written: Mapping[str, Any]) -> tuple[list[Sent], list[str]]:
    """Values as metrics, and for each that cannot be one why not."""
    sent, unfit = [], []
    for metric, value in written.items():
        kind = way.metrics.get(metric)
        if kind is None:
            unfit.append(f"the birth told of no metric {metric!r}")
        elif not can_hold(kind, value):
            unfit.append(f"{metric!r} is of data type {kind}, which cannot hold {value!r:.80}")
        else:
            sent.append(Sent(value, DataType(kind), metric))
    return sent, unfit
