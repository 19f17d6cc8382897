"""What is asked of devices over an MQTT broker: desired values and commands down, reports and results up.

A connection of its own, so that a flood of readings holds up no command. Desired values are retained, so a device has them
when it subscribes; commands are not, and carry their expiry. Which devices are there the bridge learns from their reports:
a command goes to who has reported over this broker, since a broker that nobody is at takes a command and loses it.
Reports that devices publish retained are heard again after a restart.

Source: MQTT 5.0, 3.3.1.3 (retained messages), 3.3.2.3.3 (message expiry), 4.3.2 (QoS 1).
"""

import contextlib
import json
import logging
import queue
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import TypeAdapter, ValidationError

from serve.broker import BrokerConfig, Line
from serve.courier import LOOK_S, Courier
from serve.downlinks import desired_frame, split_report
from serve.errors import BrokerAddressError
from serve.mqtt import MqttConfig
from serve.schemas.downlink import CommandResult, Reported
from twins import commands as c
from twins.errors import DegradedError, DeviceNotFoundError, FleetError, OverloadedError
from twins.fleet import Fleet

LINK: Final = "mqtt"
"""The name of this link in the journals."""

_QUEUED: Final = 10_000
_TRY_AGAIN_S: Final = 1.0
_STOP_WITHIN_S: Final = 5.0
_LEVEL: Final = re.compile(r"[^/+#\x00]+")
_REPORT: Final[TypeAdapter[Reported]] = TypeAdapter(Reported)
_RESULT: Final[TypeAdapter[CommandResult]] = TypeAdapter(CommandResult)

_log = logging.getLogger("twinfold.mqtt")


@dataclass(frozen=True, slots=True)
class AskedConfig:
    """A broker, and where what is asked of devices goes.

    Attributes
    ----------
    url, version, client_id, ca_file : as for readings; the session is another one
    topic : levels with ``{device}``; ``/desired``, ``/commands``, ``/reported`` and ``/results`` come after it
    refused : where it is told why a report was not taken
    """

    url: str
    topic: str
    refused: str = "twinfold-refused/{device}"
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = "twinfold-asked"
    ca_file: str = ""


def asked_config(config: MqttConfig) -> AskedConfig:
    """The same broker, in a session of its own."""
    return AskedConfig(
        config.url, config.asked, config.refused, config.version, f"{config.client_id}-asked", config.ca_file
    )


@dataclass(slots=True)
class AskedStatus:
    """How it goes; ``reason`` says why it does not, if it does not."""

    connected: bool = False
    reason: str = ""
    reports: int = 0
    refused: int = 0
    desired: int = 0
    commands: int = 0


class AskedBridge:
    """Carries what is asked of devices to a broker, and what they say back, for as long as it is not stopped.

    Parameters
    ----------
    config : which broker, which topics
    fleet : whose devices
    """

    def __init__(self, config: AskedConfig, fleet: Fleet) -> None:
        levels = config.topic.split("/")
        if levels.count("{device}") != 1 or not all(
            each == "{device}" or re.fullmatch(r"[^{}+#]+", each) for each in levels
        ):
            problem = f"the topic {config.topic!r} names no device, or more than one"
            raise BrokerAddressError(problem, "write levels like plant/{device}")
        self._config = config
        self._fleet = fleet
        pattern = "/".join("([^/]+)" if each == "{device}" else re.escape(each) for each in levels)
        self._pattern = re.compile(f"{pattern}/(reported|results)")
        self._stop = threading.Event()
        self._came: queue.Queue[tuple[paho.MQTTMessage, int]] = queue.Queue(_QUEUED)
        self._known: set[str] = set()  # devices that have reported over this broker
        self._courier = Courier(fleet, LINK)
        self._versions: dict[str, int] = {}
        self._session = 0  # of the broker, which has been told of these versions
        self._status = AskedStatus()
        broker = BrokerConfig(config.url, config.version, config.client_id, config.ca_file)
        read = [f"{config.topic.replace('{device}', '+')}/{what}" for what in ("reported", "results")]
        waits = "what is asked of devices waits"
        self._line = Line(broker, read, self._status, waits, self._on_message)
        self._workers = [
            threading.Thread(target=self._keep_on, args=(work,), name=name, daemon=True)
            for name, work in (("asked-up", self._take_up), ("asked-down", self._carry_down))
        ]

    def start(self) -> None:
        """Connect, now or when the broker is there, and go on."""
        for worker in self._workers:
            worker.start()
        self._line.start()

    def stop(self) -> None:
        """End; reports that are not acknowledged come again to the next one."""
        self._stop.set()
        for worker in self._workers:
            worker.join(_STOP_WITHIN_S)
        self._line.stop()

    def status(self) -> AskedStatus:
        return self._status

    def _on_message(self, message: paho.MQTTMessage, connection: int) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._came.put((message, connection), timeout=LOOK_S)
                return

    # -- up ---------------------------------------------------------------------------------------------------------------

    def _keep_on(self, work: Any) -> None:
        """Do it again and again; what fails is tried again."""
        while not self._stop.is_set():
            try:
                work()
            except FleetError as error:
                self._status.reason = error.code
                self._stop.wait(error.retry_after_s if isinstance(error, OverloadedError) else _TRY_AGAIN_S)
            except Exception as error:
                _log.exception("what is asked of devices")
                self._status.reason = repr(error)
                self._stop.wait(_TRY_AGAIN_S)

    def _take_up(self) -> None:
        try:
            message, connection = self._came.get(timeout=LOOK_S)
        except queue.Empty:
            return
        while not self._stop.is_set() and connection == self._line.connection:
            try:
                self._take(message.topic, bytes(message.payload))
            except (DegradedError, OverloadedError) as error:
                self._status.reason = error.code
                self._stop.wait(_TRY_AGAIN_S)
                continue
            except FleetError as error:
                self._refuse(message.topic, error.code, str(error))
            except ValueError as error:
                self._refuse(message.topic, "message.invalid", str(error))
            self._line.acknowledge(message, connection)
            return

    def _take(self, topic: str, payload: bytes) -> None:
        """Write one message.

        Raises
        ------
        FleetError : it was refused, or cannot be taken at present.
        ValueError : it is none.
        """
        found = self._pattern.fullmatch(topic)
        if found is None:
            raise ValueError(f"the topic {topic!r} is not of the shape {self._config.topic!r}")
        device_id, what = found.groups()
        body = _read(payload)
        if what == "results":
            result = _checked(_RESULT, {"type": "command_result", "device": device_id, **body})
            self._fleet.command(
                c.ReportResult(command_id="", by=LINK, device_id=device_id, number=result.number, ok=result.ok,
                               result=result.result)
            )  # fmt: skip
        else:
            self._report(
                device_id, topic, _checked(_REPORT, {"type": "reported", "device": device_id, **body})
            )
        self._status.reports += 1
        self._known.add(device_id)
        self._courier.again(device_id)  # it is there: what waits can go

    def _report(self, device_id: str, topic: str, said: Reported) -> None:
        place = self._fleet.find(device_id)
        if place is None:
            raise DeviceNotFoundError(device_id)
        device_type = self._fleet.types[place[1]]
        values, rejected, refused = split_report(device_type, device_id, said.properties, said.rejected)
        for each in refused:
            self._refuse(topic, each["code"], each["reason"])
        self._fleet.command(
            c.ReportProperties(
                command_id="", by=LINK, device_id=device_id, values=values, version=said.version, rejected=rejected,
                at_us=None if said.time is None else round(said.time.timestamp() * 1e6),
                desired_version=said.desired_version,
            )
        )  # fmt: skip

    def _refuse(self, topic: str, code: str, reason: str) -> None:
        self._status.refused += 1
        found = self._pattern.fullmatch(topic)
        device = found.group(1) if found else "unknown"
        body = {"topic": topic, "code": code, "reason": reason}
        self._line.client.publish(self._config.refused.replace("{device}", device), json.dumps(body))

    # -- down -------------------------------------------------------------------------------------------------------------

    def _carry_down(self) -> None:
        """Look what has changed, and send it."""
        if not self._line.client.is_connected():
            self._stop.wait(LOOK_S)
            return
        if self._session != self._line.session:
            self._begin_anew(self._line.session)
        if not self._courier.carry(self._send):
            self._stop.wait(LOOK_S)

    def _begin_anew(self, session: int) -> None:
        """The broker may have lost what it kept for devices: it is told all of it again."""
        self._session = session
        self._versions.clear()
        self._courier = Courier(self._fleet, LINK)

    def _send(self, device_id: str, asked: Mapping[str, Any]) -> None:
        if not _LEVEL.fullmatch(device_id):  # it cannot be a level of a topic
            return
        base = self._config.topic.replace("{device}", device_id)
        if asked["desired_version"] > self._versions.get(device_id, 0):
            frame = desired_frame(device_id, asked)
            self._publish(
                f"{base}/desired",
                {"version": frame["version"], "properties": frame["properties"]},
                retain=True,
            )
            self._versions[device_id] = asked["desired_version"]
            self._status.desired += 1
        if device_id not in self._known:
            return
        for frame in self._courier.commands(device_id, asked):
            body = {name: value for name, value in frame.items() if name not in ("type", "device")}
            self._publish(f"{base}/commands", body, expires_s=frame["expires_in_s"])
            self._status.commands += 1

    def _publish(self, topic: str, body: Any, retain: bool = False, expires_s: float | None = None) -> None:
        properties = None
        if expires_s is not None and self._config.version == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
            properties.MessageExpiryInterval = max(1, round(expires_s))
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        self._line.client.publish(topic, text, qos=1, retain=retain, properties=properties)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the payload is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise ValueError(f"the payload is an object, not {type(body).__name__}")
    return {name: value for name, value in body.items() if name not in ("type", "device")}


def _checked(adapter: Any, body: dict[str, Any]) -> Any:
    try:
        return adapter.validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
