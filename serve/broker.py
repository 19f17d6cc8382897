"""An MQTT broker by its address, and how what its messages bring is written; which topics and payloads, others know."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
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
