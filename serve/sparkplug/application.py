"""A Sparkplug host application: follows edge nodes at a broker, writes what they measure, and says whether it can take more.

It is a primary host: ``STATE`` says that it is online from the moment it listens, and the broker says offline for it when it
goes. It also says offline itself while the platform takes nothing, so that nodes which heed it keep their readings until
then. The specification has data sent with QoS 0 in a session that ends with the connection: there is nothing to be
acknowledged, so what was received waits here, in bounded memory, until it is in the journals; what is lost on the way is
noticed by its sequence number, and the node is asked for a new birth.

Source: Sparkplug 3.0.0, 5.4 (primary host), 6.4.22 (STATE), 12 (conformance of a host application).
"""

import contextlib
import json
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeVar

import paho.mqtt.client as paho
import pyarrow as pa

from serve.broker import BrokerConfig, broker_client, topic_of, written
from serve.courier import LOOK_S
from serve.errors import BrokerAddressError
from serve.intake import Membership
from serve.sparkplug.asked import Asked
from serve.sparkplug.payload import DataType, Sent, write_payload
from serve.sparkplug.sessions import (
    NAMESPACE,
    REBIRTH,
    STATE,
    Heard,
    Key,
    Names,
    Problem,
    Sessions,
    Way,
    topics,
)
from twins.clock import MINUTE_US, Clock, WallClock, stopwatch_s
from twins.devices import DeviceType
from twins.errors import FleetError, OverloadedError
from twins.fleet import AGAIN, Fleet

MOST_WAITING_BYTES: Final = 64 << 20
"""Bytes of messages that wait here at most; what comes beyond them is lost."""

MOST_LATER: Final = 50_000
"""Readings of hosts that are away which are kept here; of more, the oldest are lost."""

MOST_AT_ONCE: Final = 5_000
"""Messages that are written together."""

_MESSAGE_BYTES: Final = 500  # what a message takes here beside its payload
_TRY_AGAIN_S: Final = 1.0
_HOLD_AFTER_S: Final = 5.0
_LOOK_S: Final = 0.2
_STOP_WITHIN_S: Final = 5.0
_TOLD_KEPT: Final = 10_000

_T = TypeVar("_T")

_log = logging.getLogger("twinfold.sparkplug")


@dataclass(frozen=True, slots=True)
class SparkplugConfig:
    """A broker, which of its groups are followed, and which twins its nodes and devices are.

    Attributes
    ----------
    url, version, client_id, ca_file : as in ``BrokerConfig``
    host_id : the name of this host application, which nodes may wait for
    groups : that are followed; ``+``: all
    device, node, metrics : as in ``Names``
    refused : topic on which it is told why a reading was not taken; ``{device}`` is the twin
    """

    url: str
    host_id: str
    groups: tuple[str, ...] = ("+",)
    device: str = "{node}/{device}"
    node: str = "{node}"
    metrics: str = ""
    refused: str = "twinfold-refused/{device}"
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = "twinfold-sparkplug"
    ca_file: str = ""


@dataclass(slots=True)
class SparkplugStatus:
    """What became of messages since the start; ``reason`` says why it does not go on, if it does not.

    ``ignored`` metrics are no channel of their twin, or of a node without one; ``lost`` are messages and readings for which
    there was no room; ``commands`` were sent to nodes, rebirths and desired values among them; ``counts`` are those of
    ``Sessions``.
    """

    connected: bool = False
    holding: bool = False
    reason: str = ""
    messages: int = 0
    readings: int = 0
    refused: int = 0
    ignored: int = 0
    lost: int = 0
    nodes: int = 0
    metrics: int = 0
    waiting: int = 0
    commands: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class _Came(NamedTuple):
    topic: str
    payload: bytes
    at_us: int


class Inbox:
    """Messages in the order of their coming, as many as fit into a number of bytes."""

    def __init__(self, most_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most_bytes = most_bytes
        self._came: deque[_Came] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._came)

    def put(self, came: _Came) -> bool:
        """Whether there was room."""
        size = len(came.payload) + len(came.topic) + _MESSAGE_BYTES
        with self._changed:
            if self._bytes + size > self._most_bytes:
                return False
            self._bytes += size
            self._came.append(came)
            self._changed.notify()
            return True

    def take(self, most: int, wait_s: float) -> list[_Came]:
        """All that waits, up to a number; after ``wait_s`` perhaps none."""
        with self._changed:
            if not self._came:
                self._changed.wait(wait_s)
            taken = [self._came.popleft() for _ in range(min(most, len(self._came)))]
            self._bytes -= sum(len(each.payload) + len(each.topic) + _MESSAGE_BYTES for each in taken)
        return taken


class HostApplication:
    """Follows edge nodes for as long as it is not stopped.

    Parameters
    ----------
    config : which broker, which nodes
    fleet : where readings go
    clock : dates what has no time of its own
    membership : who is in the fleet; None: as the fleet says
    inbox : where messages wait

    Raises
    ------
    BrokerAddressError : the address, the host's name or a template makes no sense.
    """

    def __init__(
        self,
        config: SparkplugConfig,
        fleet: Fleet,
        clock: Clock | None = None,
        membership: Membership | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        if not config.host_id or set(config.host_id) & set("/+#"):
            raise BrokerAddressError(
                f"{config.host_id!r} names no host application", "write a name without / + #"
            )
        self._config = config
        self._fleet = fleet
        self._membership: Membership = membership or fleet
        self._clock = clock or WallClock()
        self._names = Names(config.device, config.node, config.metrics)
        self._sessions = Sessions(self._names)
        self._asked = Asked(fleet, self._sessions, self._names, self._send, self._tell)
        self._asked_due_s = 0.0
        self._inbox = inbox or Inbox()
        self._later: list[dict[str, Any]] = []
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._stop = threading.Event()
        self._was_away = threading.Event()
        self._status = SparkplugStatus()
        self._state_topic = f"{NAMESPACE}/{STATE}/{config.host_id}"
        self._born_ms = 0
        broker = BrokerConfig(config.url, config.version, config.client_id, config.ca_file, is_lasting=False)
        self._client, self._connect = broker_client(broker)
        self._client.on_pre_connect = self._on_pre_connect
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect_fail = lambda *_: self._away("the broker does not answer")
        self._client.on_message = self._on_message
        self._worker = threading.Thread(target=self._work, name="sparkplug", daemon=True)

    def start(self) -> None:
        """Connect, now or when the broker is there, and go on."""
        self._worker.start()
        self._connect()
        self._client.loop_start()

    def stop(self) -> None:
        """Take no more, and say offline; what was received is written first."""
        self._stop.set()  # first: our own word, which the broker tells us too, is not to be contradicted
        self._worker.join(_STOP_WITHIN_S)
        said = self._say_state(False, self._now_ms())
        with contextlib.suppress(RuntimeError, ValueError):  # there is no connection: the broker has said it
            said.wait_for_publish(_STOP_WITHIN_S)
        self._client.disconnect()
        self._client.loop_stop()

    def status(self) -> SparkplugStatus:
        status, sessions = self._status, self._sessions
        status.waiting, status.nodes, status.metrics = len(self._inbox), len(sessions), sessions.metrics
        status.counts = dict(sessions.counts)
        return status

    # -- the broker's side, in the client's thread -----------------------------------------------------------------------

    def _on_pre_connect(self, client: paho.Client, _: Any) -> None:
        self._born_ms = self._now_ms()
        client.will_set(self._state_topic, _state(False, self._born_ms), qos=1, retain=True)

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._away(f"the broker refuses: {reason}")
            return
        client.subscribe([(topic, 1) for topic in (*topics(self._config.groups), self._state_topic)])

    def _on_subscribe(self, _: paho.Client, __: Any, ___: Any, reasons: Sequence[Any], ____: Any) -> None:
        if refused := [reason for reason in reasons if reason.is_failure]:
            self._away(f"the broker does not let it read {NAMESPACE}: {refused[0]}")
            return
        self._was_away.set()
        self._status.connected, self._status.reason = True, ""
        if not self._status.holding:
            self._say_state(True, self._born_ms)
        _log.info("connected; host application %s", self._config.host_id)

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if not self._stop.is_set():
            self._away(f"disconnected: {reason}")

    def _away(self, reason: str) -> None:
        if self._status.reason != reason:
            _log.warning("the Sparkplug host application waits for its broker: %s", reason)
        self._status.connected, self._status.reason = False, reason

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        topic = topic_of(message)
        if topic == self._state_topic:
            if not message.retain:  # what the broker kept from before is said anew anyway
                self._see_state(bytes(message.payload))
        elif not self._inbox.put(_Came(topic, bytes(message.payload), self._clock.now_us())):
            self._status.lost += 1

    def _see_state(self, payload: bytes) -> None:
        """Somebody said offline in our name, such as the broker for the connection before this one: say again how it is."""
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(payload)
            if isinstance(said, dict) and said.get("online") is False and self._is_online():
                self._say_state(True, self._born_ms)

    def _is_online(self) -> bool:
        return self._status.connected and not self._status.holding and not self._stop.is_set()

    def _say_state(self, online: bool, at_ms: int) -> paho.MQTTMessageInfo:
        return self._client.publish(self._state_topic, _state(online, at_ms), qos=1, retain=True)

    # -- the fleet's side -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stop.is_set() or len(self._inbox):
            came = self._inbox.take(MOST_AT_ONCE, _LOOK_S)
            if self._was_away.is_set():
                self._was_away.clear()
                self._sessions.doubt()
            try:
                if came or self._later:
                    self._take(came)
                self._carry()
            except Exception as error:  # a fault of ours: what it was about is lost, and the next goes on
                _log.exception("%d messages were not taken", len(came))
                self._status.lost += len(came)
                self._status.reason = repr(error)
                self._stop.wait(_TRY_AGAIN_S)

    def _take(self, came: Sequence[_Came]) -> None:
        """Write messages in their order: readings together, but for those after a death."""
        together: list[Heard] = []
        for each in came:
            heard = self._alone(partial(self._sessions.take, each.topic, each.payload, each.at_us), Heard())
            self._status.messages += 1
            if heard.ask is not None:
                self._ask_birth(heard.ask)
            self._tell(heard.problems)
            self._asked.gone(heard.forgotten)
            if heard.is_birth:
                self._asked.born(heard.twin)
            if heard.lines or heard.said:
                together.append(heard)
            if heard.gone:
                self._asked.gone(heard.gone)
                self._write(together)
                together = []
                self._lose(
                    heard.gone, "its edge node says so" if len(heard.gone) == 1 else "its edge node is gone"
                )
        self._write(together)
        if self._later and not came:
            self._stop.wait(_TRY_AGAIN_S)

    def _alone(self, work: Callable[[], _T], instead: _T) -> _T:
        """What is done for one message; a fault of ours there costs it alone."""
        try:
            return work()
        except Exception as error:
            _log.exception("a message was not taken")
            self._status.lost += 1
            self._status.reason = repr(error)
            return instead

    def _lose(self, gone: Sequence[str], reason: str) -> None:
        self._until_taken(lambda: self._fleet.declare_silent(gone, reason, by="sparkplug"))

    def _write(self, heards: Iterable[Heard]) -> None:
        """Write readings, after those that are still to be written."""
        lines = self._later + self._known(heards)
        if not lines:
            return
        refused: list[dict[str, Any]] = []

        def write() -> None:
            refused[:] = written(lines, self._fleet, self._membership)

        if not self._until_taken(write):
            self._status.lost += len(lines)
            return
        again = {each["index"] for each in refused if each["code"] in AGAIN}
        self._later = [line for at, line in enumerate(lines) if at in again]
        if len(self._later) > MOST_LATER:
            self._status.lost += len(self._later) - MOST_LATER
            self._later = self._later[-MOST_LATER:]
        self._status.readings += len(lines) - len(again)
        self._tell(
            Problem(lines[each["index"]]["device"], each["code"], each["reason"])
            for each in refused
            if each["code"] not in AGAIN
        )

    def _known(self, heards: Iterable[Heard]) -> list[dict[str, Any]]:
        """Lines with what are channels of their twin; of nodes that have a twin, and of devices whether they have or not.

        An edge node has many metrics that are no channel, and says them again and again: they are counted, not refused.
        """
        heards = list(heards)
        ids = list(dict.fromkeys(heard.twin for heard in heards))
        places = self._membership.locate(pa.array(ids, pa.string()))
        types = {
            name: None if code < 0 else self._membership.types[places.types[code]]
            for name, code in zip(ids, places.type_code.tolist(), strict=True)
        }
        channels = {
            name: None if each is None else frozenset(each.channel_names) for name, each in types.items()
        }
        lines = []
        for heard in heards:
            self._hear(heard, types[heard.twin])
            known = channels[heard.twin]
            for line in heard.lines:
                if known is None:
                    if heard.is_of_node:
                        self._status.ignored += len(line["values"])
                    else:
                        lines.append(line)
                    continue
                values = {name: value for name, value in line["values"].items() if name in known}
                self._status.ignored += len(line["values"]) - len(values)
                if values:
                    lines.append({**line, "values": values})
        return lines

    # -- what is asked of them -------------------------------------------------------------------------------------

    def _hear(self, heard: Heard, device_type: DeviceType | None) -> None:
        """What a message says of properties and commands."""
        if device_type is None or not (device_type.properties or device_type.commands):
            return
        said = dict(heard.said)
        for line in heard.lines:
            said.update(line["values"])
        self._alone(partial(self._asked.hear, heard.twin, device_type, said, heard.is_birth), None)

    def _carry(self) -> None:
        """Carry what is asked, as often as that is looked for; what is away is carried later."""
        if stopwatch_s() < self._asked_due_s or not self._status.connected:
            return
        self._asked_due_s = stopwatch_s() + LOOK_S
        try:
            self._asked.work()
        except FleetError as error:
            _log.info("what is asked of Sparkplug devices waits: %s", error)

    def _send(self, way: Way, metrics: Sequence[Sent]) -> None:
        group, node = way.key
        place = f"NCMD/{node}" if way.device is None else f"DCMD/{node}/{way.device}"
        self._status.commands += 1
        self._client.publish(f"{NAMESPACE}/{group}/{place}", write_payload(self._now_ms(), metrics), qos=0)

    def _until_taken(self, work: Callable[[], None]) -> bool:
        """Do something until it is done; False where this was stopped before. Nodes are told to wait if it takes long."""
        failing, waited_s = "", 0.0
        while True:
            try:
                work()
            except FleetError as error:
                if failing != error.code:
                    _log.warning("readings wait here: %s", error)
                failing = self._status.reason = error.code
                wait_s = error.retry_after_s if isinstance(error, OverloadedError) else _TRY_AGAIN_S
                if self._stop.wait(wait_s):
                    return False
                waited_s += wait_s
                if waited_s >= _HOLD_AFTER_S and not self._status.holding:
                    self._status.holding = True
                    self._say_state(False, self._now_ms())
                continue
            if failing:
                _log.info("readings are taken again")
                self._status.reason = ""
            if self._status.holding:
                self._status.holding = False
                self._born_ms = self._now_ms()
                self._say_state(True, self._born_ms)
            return True

    def _ask_birth(self, key: Key) -> None:
        self._send(Way(key, None, {}), [Sent(True, DataType.BOOLEAN, REBIRTH)])

    def _tell(self, problems: Iterable[Problem]) -> None:
        """Count what was not taken, and tell of it where that was not done within the last minute."""
        now_us = self._clock.now_us()
        for problem in problems:
            self._status.refused += 1
            about = (problem.device, problem.code)
            if now_us - self._told.get(about, -MINUTE_US) < MINUTE_US:
                continue
            self._told[about] = now_us
            self._told.move_to_end(about)
            while len(self._told) > _TOLD_KEPT:
                self._told.popitem(last=False)
            device = "".join("_" if each in "+#\0" else each for each in problem.device) or "unknown"
            body = {"device": problem.device or None, "code": problem.code, "reason": problem.reason}
            self._client.publish(self._config.refused.replace("{device}", device), json.dumps(body))

    def _now_ms(self) -> int:
        return self._clock.now_us() // 1_000


def _state(online: bool, at_ms: int) -> str:
    return json.dumps({"online": online, "timestamp": at_ms})
