"""The MQTT bridge: topic and payload to readings, acknowledged to the broker when they are durable.

It subscribes with QoS 1 in a session that outlives it, and holds back each PUBACK until the shards' journals have what the
message brought. What the platform cannot take now is not acknowledged, so the broker keeps it and, once its window is full,
sends no more. A message that can never be taken is acknowledged, counted, and told on a topic of its own; else it
would come for ever. Who may publish where is the broker's affair: a device named in the topic is believed.

Source: MQTT 5.0, 4.3.2 (QoS 1), 4.4 (redelivery), 4.9 (flow control); MQTT 3.1.1 in the same sections.
"""

import contextlib
import json
import logging
import queue
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import paho.mqtt.client as paho
import pydantic_core
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from serve.broker import BrokerConfig, Line, topic_of, written
from serve.errors import BrokerAddressError
from serve.intake import Membership
from twins.clock import Clock, WallClock, stopwatch_s
from twins.errors import FleetError, OverloadedError
from twins.fleet import AGAIN, Fleet

QUEUED: Final = 20_000
"""Messages that wait here at most; then nothing more is read from the broker's connection."""

MOST_AT_ONCE: Final = 5_000
"""Messages that are written together."""

_TRY_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.2
_STOP_WITHIN_S: Final = 5.0
_LONGEST_LEVEL: Final = 200  # characters; a topic has 65 535 bytes
_ANSWERED: Final = re.compile(r"[^$+#\0][^+#\0]{0,1999}\Z")  # topics that an answer may go to
_PART: Final = re.compile(r"^\{(device|channel)\}$|^[^{}+#]+$")

_log = logging.getLogger("twinfold.mqtt")


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """A broker and what is read from it.

    Attributes
    ----------
    url : ``mqtt://`` or ``mqtts://``, with user and password where the broker asks for them
    topic : levels of a topic, of which ``{device}`` and ``{channel}`` stand for ids and names, as in ``plant/{device}``
    refused : where it is told why a message was not taken; ``{device}`` is the device it named
    version : of the protocol
    client_id : names the session; two bridges must not share one
    ca_file : certificates to trust beside the system's
    asked : where what is asked of devices goes, see ``mqtt_asked``; empty: nowhere
    """

    url: str = field(repr=False)
    topic: str = "twinfold/{device}"
    refused: str = "twinfold-refused/{device}"
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = "twinfold"
    ca_file: str = ""
    asked: str = ""


@dataclass(slots=True)
class MqttStatus:
    """What became of messages since the bridge started; ``reason`` says why it does not go on, if it does not."""

    connected: bool = False
    reason: str = ""
    messages: int = 0
    lines: int = 0
    refused: int = 0
    acknowledged: int = 0
    waiting: int = 0


class Topic:
    """Topics of one shape, and what their levels say.

    Raises
    ------
    BrokerAddressError : a level is neither a word nor a whole ``{device}`` or ``{channel}``.
    """

    def __init__(self, template: str) -> None:
        levels = template.split("/")
        wrong = next((level for level in levels if not _PART.match(level)), None)
        names = [level for level in levels if level.startswith("{")]
        if wrong is not None or len(set(names)) < len(names):
            problem = (
                f"the topic {template!r} has the level {wrong!r}"
                if wrong
                else f"{template!r} names one twice"
            )
            raise BrokerAddressError(problem, "write levels like plant/{device} or plant/{device}/{channel}")
        self.filter = "/".join("+" if level.startswith("{") else level for level in levels)
        self.has_channel = "{channel}" in levels
        pattern = "/".join(
            f"(?P<{level[1:-1]}>[^/]+)" if level.startswith("{") else re.escape(level) for level in levels
        )
        self._pattern = re.compile(pattern)

    def read(self, topic: str) -> dict[str, str] | None:
        """``device`` and ``channel`` as far as a topic says them; None: it is of another shape."""
        found = self._pattern.fullmatch(topic)
        return None if found is None else found.groupdict()


class _Came(NamedTuple):
    """A message, and the connection it came over."""

    message: paho.MQTTMessage
    connection: int
    at_us: int


@dataclass(slots=True)
class _Read:
    """The lines of some messages, and which message each line is of."""

    lines: list[Any] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    refusals: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


class Bridge:
    """Follows a broker for as long as it is not stopped.

    Parameters
    ----------
    config : which broker, which topics
    fleet : where readings go
    clock : dates what has no time of its own
    membership : who is in the fleet; None: as the fleet says
    """

    def __init__(
        self,
        config: MqttConfig,
        fleet: Fleet,
        clock: Clock | None = None,
        membership: Membership | None = None,
    ) -> None:
        self._topic = Topic(config.topic)
        self._config = config
        self._fleet = fleet
        self._membership: Membership = membership or fleet
        self._later_due_s = 0.0
        self._later: list[_Came] = []  # what a host that is away has to take, once it is back
        self._clock = clock or WallClock()
        self._queue: queue.Queue[_Came] = queue.Queue(QUEUED)
        self._stop = threading.Event()
        self._status = MqttStatus()
        broker = BrokerConfig(config.url, config.version, config.client_id, config.ca_file)
        self._line = Line(
            broker, [self._topic.filter], self._status, "the MQTT bridge waits", self._on_message
        )
        self._worker = threading.Thread(target=self._work, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect, now or when the broker is there, and go on."""
        self._worker.start()
        self._line.start()

    def stop(self) -> None:
        """Take no more; what is not acknowledged comes again to the next bridge of this client id."""
        self._stop.set()
        self._worker.join(_STOP_WITHIN_S)
        self._line.stop()

    def status(self) -> MqttStatus:
        self._status.waiting = self._queue.qsize()
        return self._status

    def _on_message(self, message: paho.MQTTMessage, connection: int) -> None:
        came = _Came(message, connection, self._clock.now_us())
        while not self._stop.is_set():
            try:
                self._queue.put(came, timeout=_LOOK_S)
            except queue.Full:
                continue
            return

    # -- the fleet's side -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stop.is_set():
            came = self._next()
            if not came:
                continue
            try:
                found = self._read(came)
                if self._write(found):
                    self._answer(came, found)
            except Exception as error:  # a fault of ours: unacknowledged, so the broker has it still
                _log.exception("%d messages were not taken", len(came))
                self._status.reason = repr(error)
                self._stop.wait(_TRY_AGAIN_S)

    def _next(self) -> list[_Came]:
        """All that waits, up to a bound, of this connection; what came over an older one comes again."""
        came: list[_Came] = []
        if self._later and stopwatch_s() >= self._later_due_s:
            came, self._later = self._later, []
        with contextlib.suppress(queue.Empty):
            if not came:
                came.append(self._queue.get(timeout=_LOOK_S))
            while len(came) < MOST_AT_ONCE:
                came.append(self._queue.get_nowait())
        return [each for each in came if each.connection == self._line.connection or each.message.qos == 0]

    def _read(self, came: Sequence[_Came]) -> _Read:
        found = _Read()
        for number, each in enumerate(came):
            try:
                lines = read_message(
                    self._topic, topic_of(each.message), bytes(each.message.payload), each.at_us
                )
            except ValueError as error:
                found.refusals[number] = [{"device": None, "code": "message.invalid", "reason": str(error)}]
                continue
            found.lines += lines
            found.owner += [number] * len(lines)
        return found

    def _write(self, found: _Read) -> bool:
        """Write until it is done; False where the bridge is stopped before."""
        failing = ""
        while not self._stop.is_set():
            try:
                refused = written(found.lines, self._fleet, self._membership)
            except FleetError as error:
                if failing != error.code:
                    _log.warning("readings wait at the broker: %s", error)
                failing = self._status.reason = error.code
                self._stop.wait(error.retry_after_s if isinstance(error, OverloadedError) else _TRY_AGAIN_S)
                continue
            if failing:
                _log.info("readings are taken again")
                self._status.reason = ""
            for refusal in refused:
                about = {name: refusal[name] for name in ("device", "code", "reason")}
                found.refusals.setdefault(found.owner[refusal["index"]], []).append(about)
            return True
        return False

    def _answer(self, came: Sequence[_Came], found: _Read) -> None:
        """Acknowledge, and say what was refused; keep what has to be written again."""
        lines = Counter(found.owner)
        for number, each in enumerate(came):
            refused = found.refusals.get(number, [])
            if each.message.qos and any(refusal["code"] in AGAIN for refusal in refused):
                self._later.append(each)
                self._later_due_s = stopwatch_s() + _TRY_AGAIN_S
                continue
            for refusal in refused:
                self._tell_refusal(each.message, refusal)
            self._reply(each.message, lines[number], refused)
            self._status.messages += 1
            self._status.lines += lines[number]
            self._status.refused += len(refused)
            self._status.acknowledged += self._line.acknowledge(each.message, each.connection)

    def _tell_refusal(self, message: paho.MQTTMessage, refusal: Mapping[str, Any]) -> None:
        name = topic_of(message)
        levels = self._topic.read(name) or {}
        device = (levels.get("device") or refusal["device"] or "unknown")[:_LONGEST_LEVEL]
        topic = self._config.refused.replace("{device}", re.sub(r"[+#/\0]", "_", device))
        self._line.client.publish(topic, json.dumps({"topic": name, **refusal}))

    def _reply(self, message: paho.MQTTMessage, lines: int, refused: Sequence[Mapping[str, Any]]) -> None:
        """What MQTT 5 lets a sender ask for: an answer on a topic of its choice.

        Not on one that is read here, where it would pass for readings, nor on the broker's own.
        """
        asked = message.properties
        topic = getattr(asked, "ResponseTopic", None)
        if topic is None or not _ANSWERED.match(topic) or self._topic.read(topic) is not None:
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        if (data := getattr(asked, "CorrelationData", None)) is not None:
            properties.CorrelationData = data
        body = {"level": "durable", "readings": lines, "refused": list(refused)}
        self._line.client.publish(topic, json.dumps(body), qos=0, properties=properties)


def read_message(topic: Topic, name: str, payload: bytes, at_us: int) -> list[dict[str, Any]]:
    """Lines of a message that came at ``at_us``, which is their time where they say none.

    With ``{channel}`` in the topic the payload is a number, true, false or null; else an object, or a list of such, with
    ``values``, or the channels themselves, beside ``time`` and, where the topic does not say it, ``device``.

    Raises
    ------
    ValueError : it is something else; the message says what.
    """
    said = topic.read(name)
    if said is None:
        raise ValueError(f"the topic {name!r} is not of the shape {topic.filter!r}")
    try:
        body = pydantic_core.from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"the payload is no JSON: {error}; null says that a reading is bad") from None
    if topic.has_channel:
        if isinstance(body, dict | list | str):
            raise ValueError(f"the payload of a channel's topic is a number, not {type(body).__name__}")
        body = {"values": {said["channel"]: body}}
    lines = []
    for each in body if isinstance(body, list) else [body]:
        if not isinstance(each, dict):
            raise ValueError(f"a reading is an object, not {type(each).__name__}")
        rest = {key: value for key, value in each.items() if key not in ("time", "device")}
        values = rest["values"] if rest.keys() == {"values"} else rest
        device = said.get("device", each.get("device"))
        if "device" in said and each.get("device", device) != device:
            raise ValueError(f"the topic says {device!r}, the payload {each['device']!r:.80}")
        lines.append({"device": device, "time": each.get("time", at_us), "values": values})
    return lines
