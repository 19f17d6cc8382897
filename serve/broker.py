"""An MQTT broker by its address, a connection that reads from it, and how what its messages bring is written; which topics
and payloads, others know.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from serve import intake
from serve.errors import BrokerAddressError
from twins.errors import DegradedError
from twins.fleet import AGAIN, NOT_SURE, Fleet

_SCHEMES: Final[Mapping[str, int]] = {"mqtt": 1883, "mqtts": 8883}
_IN_FLIGHT: Final = 10_000  # that a broker may send unacknowledged, where it asks us
_SESSION_S: Final = 24 * 3600
_KEEPALIVE_S: Final = 30
_RECONNECT_S: Final = (1, 30)
_EXACT: Final = 100  # lines of which each refusal is told, however many are refused

_log = logging.getLogger("twinfold.mqtt")


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """A broker, and who this client is to it.

    Attributes
    ----------
    url : ``mqtt://`` or ``mqtts://``, with user and password where the broker asks for them
    version : of the protocol
    client_id : names the session; two clients must not share one
    ca_file : certificates to trust beside the system's
    is_lasting : the session outlives the connection, so that the broker keeps messages of QoS 1 meanwhile
    """

    url: str = field(repr=False)
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = "twinfold"
    ca_file: str = ""
    is_lasting: bool = True


def topic_of(message: paho.MQTTMessage) -> str:
    """The topic that a message came on; empty where it is no text."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""


def broker_client(config: BrokerConfig) -> tuple[paho.Client, Callable[[], None]]:
    """A client of a broker, and how to connect it. Where the session lasts, messages are acknowledged by hand.

    Raises
    ------
    BrokerAddressError : the address is none.
    """
    address = urlsplit(config.url)
    try:
        port = address.port or _SCHEMES.get(address.scheme, 0)
    except ValueError:
        port = 0
    if not port or not address.hostname:
        problem = f"{address.scheme or 'nothing'}://{address.hostname or ''} is no broker"
        raise BrokerAddressError(problem, "write mqtt://host:1883 or mqtts://user:password@host:8883")
    is_five = config.version == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        config.client_id,
        protocol=paho.MQTTv5 if is_five else paho.MQTTv311,
        clean_session=None if is_five else not config.is_lasting,
        manual_ack=config.is_lasting,
    )
    client.reconnect_delay_set(*_RECONNECT_S)
    if address.username is not None:
        client.username_pw_set(unquote(address.username), unquote(address.password or ""))
    if address.scheme == "mqtts":
        context = ssl.create_default_context()
        if config.ca_file:
            context.load_verify_locations(config.ca_file)
        client.tls_set_context(context)
    properties = None
    if is_five:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.SessionExpiryInterval = _SESSION_S if config.is_lasting else 0
        properties.ReceiveMaximum = _IN_FLIGHT

    def connect() -> None:
        start: dict[str, Any] = {}
        if is_five:
            start = {"clean_start": not config.is_lasting, "properties": properties}
        client.connect_async(address.hostname or "", port, _KEEPALIVE_S, **start)

    return client, connect


class Connected(Protocol):
    """What a ``Line`` says of itself: whether it reads, and why it does not."""

    connected: bool
    reason: str


class Line:
    """A connection to a broker over which topics are read with QoS 1, each message acknowledged by hand.

    Parameters
    ----------
    config : which broker
    filters : what is read
    status : where it is said how it goes
    waits : what waits while it does not, for the log
    on_message : is given each message, and the number of the connection that it came over, in the client's thread
    """

    def __init__(
        self,
        config: BrokerConfig,
        filters: Sequence[str],
        status: Connected,
        waits: str,
        on_message: Callable[[paho.MQTTMessage, int], None],
    ) -> None:
        self._filters = filters
        self._status = status
        self._waits = waits
        self._is_ending = False
        self._lock = threading.Lock()
        self.connection = 0
        """The number of the connection: a packet id means another message over the next one."""
        self.session = 0
        """The number of the session: before the next one the broker may have lost all that it was sent."""
        self.client, self._connect = broker_client(config)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_disconnect = self._on_disconnect
        self.client.on_connect_fail = lambda *_: self._away("the broker does not answer")
        self.client.on_message = lambda _, __, message: on_message(message, self.connection)

    def start(self) -> None:
        """Connect, now or when the broker is there, and go on."""
        self._connect()
        self.client.loop_start()

    def stop(self) -> None:
        """End; what is not acknowledged comes again to the next one of this client id."""
        self._is_ending = True
        self.client.disconnect()
        self.client.loop_stop()

    def acknowledge(self, message: paho.MQTTMessage, connection: int) -> bool:
        """Say that the broker need not keep a message; False where it came without, or over an older connection."""
        with self._lock:
            if not message.qos or connection != self.connection:
                return False
            self.client.ack(message.mid, message.qos)
            return True

    def _on_connect(self, client: paho.Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self._away(f"the broker refuses: {reason}")
            return
        with self._lock:
            self.connection += 1
            self.session += not flags.session_present
        client.subscribe([(each, 1) for each in self._filters])

    def _on_subscribe(self, _: paho.Client, __: Any, ___: Any, reasons: Sequence[Any], ____: Any) -> None:
        if refused := [reason for reason in reasons if reason.is_failure]:
            self._away(f"the broker does not let it read {self._filters[0]}: {refused[0]}")
            return
        self._status.connected, self._status.reason = True, ""
        _log.info("connected; reading %s", ", ".join(self._filters))

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        with self._lock:
            self.connection += 1
        if not self._is_ending:
            self._away(f"disconnected: {reason}")

    def _away(self, reason: str) -> None:
        if self._status.reason != reason:
            _log.warning("%s for the broker: %s", self._waits, reason)
        self._status.connected, self._status.reason = False, reason


def written(lines: Sequence[Any], fleet: Fleet, membership: intake.Membership) -> list[dict[str, Any]]:
    """Write lines; which were refused, each of them told where some are only to be sent again.

    Raises
    ------
    what ``Fleet.write_many`` raises but ``DegradedError`` : nothing of them, or not all, was taken.
    """
    whole = _sent(lines, fleet, membership)
    if whole.total == len(whole.told) and all(each["code"] not in AGAIN for each in whole.told):
        return whole.told
    refused = []
    for start in range(0, len(lines), _EXACT):
        part = _sent(lines[start : start + _EXACT], fleet, membership)  # what is in already is a duplicate
        refused += [{**each, "index": start + each["index"]} for each in part.told]
    return refused


def _sent(lines: Sequence[Any], fleet: Fleet, membership: intake.Membership) -> intake.Refusals:
    taken = intake.gather(lines, None, membership)
    try:
        intake.write(fleet, taken)
    except DegradedError as error:  # all of them are of hosts that are away
        for _, positions in taken.batches:
            for index in positions.tolist():
                taken.refusals.add(index, None, NOT_SURE, str(error))
    return taken.refusals
