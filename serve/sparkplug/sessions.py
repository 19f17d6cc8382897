"""What is known of each edge node: its birth, its metrics' names and types, and which message comes next.

A node's messages mean something only after its birth certificate. So a host application asks for a new one (rebirth) where
it has none, or where a message is missing: until it comes, metrics that go by alias are left out, since an alias may mean
another by now, and metrics that go by name are taken. All memory is bounded: the node that was silent longest is forgotten
first, and is asked for a birth if it speaks again.

Source: Sparkplug 3.0.0, 5 (operational behaviour) and 6.4 (payloads by message type).
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from serve.errors import BrokerAddressError
from serve.sparkplug.payload import (
    Metric,
    Payload,
    PayloadError,
    is_number,
    is_text,
    is_type,
    read_payload,
    text_of,
    value_of,
)
from twins.clock import SECOND_US

NAMESPACE: Final = "spBv1.0"
STATE: Final = "STATE"
REBIRTH: Final = "Node Control/Rebirth"
BIRTH_NUMBER: Final = "bdSeq"

MOST_NODES: Final = 10_000
MOST_METRICS: Final = 1_000_000
MOST_METRICS_A_NODE: Final = 50_000
"""What is remembered, at most: edge nodes; metrics of all of them, and devices; metrics of one, and devices."""

ASK_AGAIN_S: Final = 10.0
"""A node is not asked for a birth more often than this."""

ASKED_A_SECOND: Final = 50
"""All nodes together are not asked more often than this."""

_SEQUENCE: Final = 256
_OF_NODES: Final = frozenset({"NBIRTH", "NDEATH", "NDATA"})
_OF_DEVICES: Final = frozenset({"DBIRTH", "DDEATH", "DDATA"})
_COMMANDS: Final = frozenset({"NCMD", "DCMD"})
CONTROL: Final = ("Node Control/", "Device Control/")
"""How metrics begin that ask for something, of a node and of a device."""

_FIELD: Final = re.compile(r"\{([^{}]*)\}")

Key = tuple[str, str]
"""Group and edge node."""


class Names:
    """Which twin a node or device is, and which channel a metric.

    Parameters
    ----------
    device, node : ids of twins, with ``{group}``, ``{node}`` and, for a device, ``{device}``
    metrics : ``metric=channel``, separated by commas; a metric that is not named is the channel of its name

    Raises
    ------
    BrokerAddressError : one of them cannot be read.
    """

    def __init__(self, device: str = "{node}/{device}", node: str = "{node}", metrics: str = "") -> None:
        for template, known in ((device, ("group", "node", "device")), (node, ("group", "node"))):
            found = _FIELD.findall(template)
            rest = _FIELD.sub("", template)
            if (
                ("node" not in found and "device" not in found)
                or set(found) - set(known)
                or set(rest) & set("{}")
            ):
                allowed = ", ".join(f"{{{name}}}" for name in known)
                raise BrokerAddressError(f"{template!r} names no twin", f"write an id with {allowed}")
        self._device, self._node = device, node
        self._channels: dict[str, str] = {}
        for part in filter(None, map(str.strip, metrics.split(","))):
            metric, equals, channel = map(str.strip, part.rpartition("="))
            if not equals or not metric or not channel:
                raise BrokerAddressError(
                    f"{part!r} names no channel", "write metric=channel, separated by commas"
                )
            self._channels[metric] = channel

    def twin(self, key: Key, device: str | None) -> str:
        """The id of the twin of a node, or of a device of it."""
        known = {"group": key[0], "node": key[1], "device": device or ""}
        return _FIELD.sub(lambda found: known[found[1]], self._node if device is None else self._device)

    def channel(self, metric: str) -> str:
        return self._channels.get(metric, metric)


class Way(NamedTuple):
    """How to reach a twin: its node, its device there, None for the node itself, and the type of each metric by name."""

    key: Key
    device: str | None
    metrics: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was not taken: about which twin, a code, and why."""

    device: str
    code: str
    reason: str


@dataclass(slots=True)
class Heard:
    """What a message says.

    Attributes
    ----------
    lines : readings as ``serve.intake`` takes them, each device's in the order of time
    is_of_node : they are the node's own
    said : text, and metrics of control, by channel or metric
    twin : whose they are
    is_birth : it is a birth certificate that was learnt
    gone : twins that are said to be gone
    forgotten : twins of which nothing is known any more, until they are born again
    ask : a node to be asked for its birth
    problems : what was not taken
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    is_of_node: bool = False
    said: dict[str, int | bool | str] = field(default_factory=dict)
    twin: str = ""
    is_birth: bool = False
    gone: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    ask: Key | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Node:
    """An edge node with a birth. ``metrics``: type by name, by device, None for its own; ``aliases``: device and name.

    ``is_whole`` is off where a message is missing, so that aliases cannot be trusted.
    """

    births: int | None
    sequence: int
    metrics: dict[str | None, dict[str, int]] = field(default_factory=dict)
    aliases: dict[int, tuple[str | None, str]] = field(default_factory=dict)
    is_whole: bool = True

    def count(self) -> int:
        return sum(map(len, self.metrics.values()))


class Sessions:
    """The edge nodes of a broker, as their messages tell of them. Used from one thread.

    Parameters
    ----------
    names : which twins and channels they are

    Attributes
    ----------
    counts : births, deaths, deaths of an earlier birth (``late_deaths``), missing messages (``gaps``), rebirths asked for,
        metrics that are no numbers (``no_numbers``), nodes forgotten for want of room
    """

    def __init__(self, names: Names, most_nodes: int = MOST_NODES, most_metrics: int = MOST_METRICS) -> None:
        self.counts: Counter[str] = Counter()
        self._names = names
        self._most_nodes = most_nodes
        self._most_metrics = most_metrics
        self._nodes: OrderedDict[Key, _Node] = OrderedDict()
        self._metrics = 0
        self._ways: dict[str, tuple[Key, str | None]] = {}
        self._asked: OrderedDict[Key, int] = OrderedDict()
        self._asked_in: tuple[int, int] = (0, 0)  # a second, and how many were asked in it

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def metrics(self) -> int:
        """How many metrics are remembered."""
        return self._metrics

    def way(self, twin: str) -> Way | None:
        """How to reach a twin; None: no birth told of it."""
        key, device = self._ways.get(twin, (None, None))
        node = self._nodes.get(key) if key is not None else None
        if key is None or node is None or device not in node.metrics:
            return None
        return Way(key, device, node.metrics[device])

    def doubt(self) -> None:
        """Messages may be missing from all nodes: the connection was away."""
        for node in self._nodes.values():
            node.is_whole = False

    def take(self, topic: str, data: bytes, at_us: int) -> Heard:
        """What a message of some topic says that came at ``at_us``. Never raises for what a sender writes."""
        heard = Heard()
        levels = topic.split("/")
        kind = levels[2] if len(levels) > 3 else ""
        if kind in _COMMANDS or (len(levels) > 1 and levels[1] == STATE):
            return heard
        is_of_node = kind in _OF_NODES and len(levels) == 4
        if (
            levels[0] != NAMESPACE
            or not all(levels)
            or not (is_of_node or (kind in _OF_DEVICES and len(levels) == 5))
        ):
            heard.problems.append(
                Problem("", "message.invalid", f"{topic[:200]!r} is no topic of {NAMESPACE}")
            )
            return heard
        key, device = (levels[1], levels[3]), None if is_of_node else levels[4]
        twin = self._names.twin(key, device)
        heard.twin, heard.is_of_node = twin, is_of_node
        try:
            payload = read_payload(data)
            match kind:
                case "NBIRTH":
                    self._born(key, payload, heard)
                case "NDEATH":
                    self._died(key, payload, heard)
                    return heard
                case _ if not self._follows(key, payload, heard, at_us):
                    return heard
                case "DDEATH":
                    self._lost(key, device, heard)
                    return heard
                case "DBIRTH":
                    self._learn(key, device, payload, heard)
        except PayloadError as error:
            heard.problems.append(Problem(twin, "message.invalid", str(error)))
            return heard
        self._readings(key, device, payload, heard, at_us)
        if not self._nodes[key].is_whole:
            self._ask(key, heard, at_us)
        return heard

    # -- births and deaths -----------------------------------------------------------------------------------------

    def _born(self, key: Key, payload: Payload, heard: Heard) -> None:
        sequence = payload.sequence
        if sequence is None or sequence >= _SEQUENCE:
            raise PayloadError(f"a birth with the sequence number {sequence}; it is 0 to 255")
        heard.forgotten += self._forget(key)
        self._nodes[key] = _Node(_birth_number(payload), sequence)
        try:
            self._learn(key, None, payload, heard)
        except PayloadError:
            self._forget(key)
            raise

    def _learn(self, key: Key, device: str | None, payload: Payload, heard: Heard) -> None:
        """Remember what a birth says of a node's or device's metrics."""
        node = self._nodes[key]
        known: dict[str, int] = {}
        aliases: dict[int, tuple[str | None, str]] = {}
        for metric in payload.metrics:
            if metric.name is None:
                raise PayloadError("a birth has a metric without a name")
            if not is_type(metric.datatype):
                raise PayloadError(f"the metric {metric.name[:60]!r} has no data type, {metric.datatype}")
            known[metric.name] = metric.datatype
            if metric.alias is not None:
                other = node.aliases.get(metric.alias, (device, metric.name))
                if metric.alias in aliases or (other[0] != device and other[0] in node.metrics):
                    raise PayloadError(f"the alias {metric.alias} is that of {other[1][:60]!r} already")
                aliases[metric.alias] = (device, metric.name)
        before = len(node.metrics.get(device, {}))
        if max(node.count() - before + len(known), len({device, *node.metrics})) > MOST_METRICS_A_NODE:
            raise PayloadError(f"an edge node of more than {MOST_METRICS_A_NODE} metrics, or devices")
        node.aliases = {alias: meant for alias, meant in node.aliases.items() if meant[0] != device}
        node.aliases.update(aliases)
        node.metrics[device] = known
        self._ways[self._names.twin(key, device)] = key, device
        self._metrics += len(known) - before
        self._nodes.move_to_end(key)
        while len(self._nodes) > 1 and (
            max(self._metrics, len(self._ways)) > self._most_metrics or len(self._nodes) > self._most_nodes
        ):
            heard.forgotten += self._forget(next(iter(self._nodes)))
            self.counts["forgotten"] += 1
        self.counts["births"] += 1
        heard.is_birth = True

    def _died(self, key: Key, payload: Payload, heard: Heard) -> None:
        """The broker says, for a node, that it is gone; not so where it has been born again since."""
        node, number = self._nodes.get(key), _birth_number(payload)
        if node is None:
            heard.gone.append(self._names.twin(key, None))
            self.counts["deaths"] += 1
            return
        if number is not None and node.births is not None and number != node.births:
            self.counts["late_deaths"] += 1
            return
        heard.gone += [self._names.twin(key, None)]
        heard.gone += [self._names.twin(key, device) for device in node.metrics if device is not None]
        self.counts["deaths"] += 1
        self._forget(key)

    def _lost(self, key: Key, device: str | None, heard: Heard) -> None:
        """A node says that a device of it is gone."""
        node = self._nodes[key]
        self._metrics -= len(node.metrics.pop(device, ()))
        node.aliases = {alias: meant for alias, meant in node.aliases.items() if meant[0] != device}
        heard.gone.append(self._names.twin(key, device))
        self._ways.pop(heard.gone[-1], None)
        self.counts["deaths"] += 1

    def _forget(self, key: Key) -> list[str]:
        """Know nothing more of a node; gives the twins that were reached by it."""
        node = self._nodes.pop(key, None)
        if node is None:
            return []
        self._metrics -= node.count()
        ways = {self._names.twin(key, device): (key, device) for device in node.metrics}
        forgotten = [twin for twin, way in ways.items() if self._ways.get(twin) == way]
        for each in forgotten:
            del self._ways[each]
        return forgotten

    # -- order -----------------------------------------------------------------------------------------------------

    def _follows(self, key: Key, payload: Payload, heard: Heard, at_us: int) -> bool:
        """Whether a node is known, so that its message can be read; notices where one is missing before it."""
        node = self._nodes.get(key)
        if node is None:
            self._ask(key, heard, at_us)
            self.counts["unborn"] += 1
            return False
        self._nodes.move_to_end(key)
        if payload.sequence is None or payload.sequence >= _SEQUENCE:
            raise PayloadError(f"the sequence number {payload.sequence}; it is 0 to 255")
        if payload.sequence != (node.sequence + 1) % _SEQUENCE:
            node.is_whole = False
            self.counts["gaps"] += 1
        node.sequence = payload.sequence
        return True

    def _ask(self, key: Key, heard: Heard, at_us: int) -> None:
        """Have a node asked for its birth, unless it or too many others were just now."""
        asked_us = self._asked.get(key)
        if asked_us is not None and 0 <= at_us - asked_us < ASK_AGAIN_S * SECOND_US:
            return
        second, asked = (
            at_us // SECOND_US,
            self._asked_in[1] if self._asked_in[0] == at_us // SECOND_US else 0,
        )
        if asked >= ASKED_A_SECOND:
            return
        self._asked_in = (second, asked + 1)
        self._asked[key] = at_us
        self._asked.move_to_end(key)
        while len(self._asked) > self._most_nodes:
            self._asked.popitem(last=False)
        heard.ask = key
        self.counts["rebirths"] += 1

    # -- readings --------------------------------------------------------------------------------------------------

    def _readings(
        self,
        key: Key,
        device: str | None,
        payload: Payload,
        heard: Heard,
        at_us: int,
    ) -> None:
        """A line for each time at which metrics were measured, the earliest first. A null in a birth was never measured."""
        node = self._nodes[key]
        if device not in node.metrics:
            node.is_whole = False  # its birth is what is missing
        by_time: dict[int, dict[str, Any]] = {}
        missed: Counter[str] = Counter()
        for metric in payload.metrics:
            name, datatype = self._meant(node, device, metric, missed)
            if name is None or name == BIRTH_NUMBER:
                continue
            if heard.is_birth and metric.is_null:
                continue
            if is_text(datatype) and (text := text_of(metric)) is not None:
                heard.said[self._names.channel(name)] = text
            if not is_number(datatype):
                self.counts["no_numbers"] += 1
                continue
            try:
                value = value_of(metric, datatype)
            except TypeError as error:
                heard.problems.append(Problem(heard.twin, "reading.invalid", f"{name[:100]!r}: {error}"))
                continue
            if name.startswith(CONTROL):
                if isinstance(value, int):
                    heard.said[name] = value
                continue
            at_ms = metric.at_ms if metric.at_ms is not None else payload.at_ms
            time = at_ms if at_ms is not None else at_us
            by_time.setdefault(time, {})[self._names.channel(name)] = value
        for reason, number in missed.items():
            heard.problems.append(Problem(heard.twin, "metric.not_born", f"{number} metrics {reason}"))
        heard.lines = [{"device": heard.twin, "time": at, "values": by_time[at]} for at in sorted(by_time)]

    def _meant(
        self, node: _Node, device: str | None, metric: Metric, missed: Counter[str]
    ) -> tuple[str | None, int]:
        """The name and type that a metric has by the birth; None: it cannot be known."""
        known: Mapping[str, int] = node.metrics.get(device, {})
        name = metric.name
        if name is None:
            if not node.is_whole:
                missed["go by alias, and a message is missing: a new birth is asked for"] += 1
                return None, 0
            of, name = node.aliases.get(metric.alias or 0, ("", None))
            if metric.alias is None or name is None or of != device:
                missed["have an alias that no birth told of"] += 1
                node.is_whole = False
                return None, 0
        datatype = metric.datatype or known.get(name, 0)
        if not is_type(datatype):
            missed["have no data type, here or in the birth"] += 1
            node.is_whole = False
            return None, 0
        return name, datatype


def _birth_number(payload: Payload) -> int | None:
    """The number that a death has in common with its birth."""
    for metric in payload.metrics:
        if metric.name == BIRTH_NUMBER and isinstance(metric.raw, int):
            return metric.raw
    return None


def topics(groups: Iterable[str]) -> list[str]:
    """What a host application subscribes to."""
    return [f"{NAMESPACE}/{group}/#" for group in groups]
