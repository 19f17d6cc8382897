"""Simulated gateways: they send over the network what simulated devices measure, as real ones do, and heed back-pressure.

A *way* takes a batch and returns once the platform, or its broker, has it: HTTP in each format and packing, the device
socket, MQTT, Sparkplug B. What is refused for now is sent again: sending twice is safe.
"""

import contextlib
import gzip
import json
import logging
import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast, get_args

import httpx
import numpy as np
import pyarrow as pa
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from cluster.bringup import NotRunningError, running
from cluster.obedience import ASKED, MqttDevices, answer_to, asked_metrics
from cluster.settings import Settings
from serve.access import FOLDER, LOCAL_FILE, LocalToken
from serve.broker import BrokerConfig, broker_client
from serve.client import Client
from serve.downlinks import MOST_DEVICES
from serve.formats import ARROW, JSON, NDJSON
from serve.sparkplug.edge_node import EdgeNode
from serve.sparkplug.payload import DataType
from twins.clock import SECOND_US, WallClock
from twins.commands import device_to_json
from twins.devices import Device, DeviceType
from twins.errors import FleetError
from twins.fleet import AGAIN
from twins.fleetfiles import load_fleet
from twins.readings import ReadingBatch, all_present
from twins.simulation import Simulator
from twins.typefiles import find_types

Over = Literal["http", "websocket", "mqtt", "sparkplug"]
Format = Literal["json", "ndjson", "arrow"]
Packing = Literal["none", "gzip", "zstd"]

LINES_AT_ONCE: Final = 5_000
"""Readings of one request, frame or round of messages."""

UNACKNOWLEDGED: Final = 1_000
"""Messages that a broker may not have acknowledged; then nothing more is sent to it."""

_REMEMBERED: Final = 2_000  # lines that a Sparkplug gateway says again after it was away
_REGISTERED_AT_ONCE: Final = 10_000
_ANSWER_WITHIN_S: Final = 60.0
_TRY_AGAIN_S: Final = (0.5, 10.0)
_LOOK_S: Final = 0.2
_LATER: Final = frozenset({408, 429, 500, 502, 503, 504, 507})
_KINDS: Final[Mapping[Format, str]] = {"json": JSON, "ndjson": NDJSON, "arrow": ARROW}

_log = logging.getLogger("twinfold.gateways")


class GatewayError(FleetError):
    """What a simulated gateway sends is refused for good, or cannot be sent this way."""

    code = "gateway.refused"

    def __init__(self, way: str, problem: str) -> None:
        super().__init__(way, problem)
        self.way = way
        self.problem = problem

    def __str__(self) -> str:
        return f"over {self.way}: {self.problem}; check address, key and device ids"


class StoppedError(Exception):
    """The gateway was told to end while it waited."""


@dataclass(slots=True)
class Sent:
    """What became of it: readings taken, those refused for good with an example, and how often something was sent again."""

    readings: int = 0
    refused: int = 0
    why: str = ""
    again: int = 0


class Way(Protocol):
    """A way into the platform."""

    sent: Sent

    def send(self, device_type: DeviceType, batch: ReadingBatch) -> None:
        """Returns once it is taken.

        Raises
        ------
        GatewayError : it never will be.
        StoppedError : the gateway ends.
        """
        ...

    def close(self) -> None: ...


Line = tuple[str, int, dict[str, float | None]]
"""Device, event time in µs, values by channel; None is a bad one."""


def lines_of(device_type: DeviceType, batch: ReadingBatch) -> Iterator[Line]:
    """The lines of a batch in their order."""
    ids, names = batch.ids.to_pylist(), device_type.channel_names
    every = all_present(len(names))
    present = np.full(len(batch), every) if batch.present is None else batch.present
    rows = zip(
        batch.index.tolist(), batch.event_us.tolist(), batch.values.tolist(), present.tolist(), strict=True
    )
    for index, at_us, values, mask in rows:
        yield (
            ids[index],
            at_us,
            {
                name: None if math.isnan(value) else value
                for c, (name, value) in enumerate(zip(names, values, strict=True))
                if mask >> c & 1
            },
        )


def pieces_of(batch: ReadingBatch, most: int = LINES_AT_ONCE) -> Iterator[ReadingBatch]:
    """The batch in pieces of a bounded number of lines."""
    for start in range(0, len(batch), most):
        cut = slice(start, start + most)
        present = None if batch.present is None else batch.present[cut]
        yield ReadingBatch(
            batch.device_type, batch.ids, batch.index[cut], batch.event_us[cut], batch.values[cut], present
        )


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Lines as the API takes them."""
    return [{"device": device, "time": at_us, "values": values} for device, at_us, values in lines]


def as_arrow(device_type: DeviceType, batch: ReadingBatch) -> bytes:
    """A batch as an Arrow stream: null where nothing was sent, NaN where it is bad."""
    columns: dict[str, Any] = {
        "device": batch.ids.take(pa.array(batch.index)),
        "time": pa.array(batch.event_us, pa.timestamp("us", "UTC")),
    }
    for c, name in enumerate(device_type.channel_names):
        absent = None if batch.present is None else (batch.present >> np.uint64(c)) & np.uint64(1) == 0
        columns[name] = pa.array(batch.values[:, c].astype(np.float64), mask=absent)
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


class Patience:
    """Waits between attempts, longer from one to the next, or as long as the platform says.

    Parameters
    ----------
    stop : ends the waiting
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._next_s = _TRY_AGAIN_S[0]

    def wait(self, wanted_s: float | None = None) -> None:
        """Raises StoppedError where the gateway ends meanwhile."""
        if self._stop.wait(self._next_s if wanted_s is None else wanted_s):
            raise StoppedError
        self._next_s = min(2 * self._next_s, _TRY_AGAIN_S[1])


class _Answers:
    """What ways that are answered have in common: counting, and whether to send again."""

    def __init__(self, name: str) -> None:
        self.sent = Sent()
        self._name = name

    def taken(self, answer: Mapping[str, Any]) -> bool:
        """Count what was taken; False where a part is to be sent again."""
        if any(each["code"] in AGAIN for each in answer["refused"]):
            return False
        self.sent.readings += sum(answer["accepted"].values())
        self._refused(answer["refused_total"], answer["refused"])
        return True

    def _refused(self, total: int, told: Sequence[Mapping[str, Any]]) -> None:
        if total and not self.sent.why:
            self.sent.why = f"{told[0]['device']}: {told[0]['reason']}"
            _log.warning("over %s, readings are refused: %s", self._name, self.sent.why)
        self.sent.refused += total


class HttpWay(_Answers):
    """``POST /ingest``.

    Parameters
    ----------
    url, token : of the platform; a device key or an engineer's token
    stop : ends the waiting for a platform that takes nothing
    format, packing : of the bodies
    """

    def __init__(
        self,
        url: str,
        token: str,
        stop: threading.Event,
        format: Format = "json",  # noqa: A002  (the command line's own word)
        packing: Packing = "none",
    ) -> None:
        super().__init__("http")
        self._stop = stop
        self._format, self._packing = format, packing
        headers = {"Authorization": f"Bearer {token}", "Content-Type": _KINDS[format]}
        if packing != "none":
            headers["Content-Encoding"] = packing
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_WITHIN_S)

    def send(self, device_type: DeviceType, batch: ReadingBatch) -> None:
        for piece in pieces_of(batch):
            self._send(self._body(device_type, piece))

    def close(self) -> None:
        self._http.close()

    def _body(self, device_type: DeviceType, batch: ReadingBatch) -> bytes:
        if self._format == "arrow":
            body = as_arrow(device_type, batch)
        else:
            lines = as_json(list(lines_of(device_type, batch)))
            if self._format == "json":
                body = json.dumps({"readings": lines}).encode()
            else:
                body = "\n".join(map(json.dumps, lines)).encode()
        if self._packing == "gzip":
            return gzip.compress(body)
        if self._packing == "zstd":
            packed: bytes = pa.compress(body, "zstd", asbytes=True)
            return packed
        return body

    def _send(self, body: bytes) -> None:
        patience = Patience(self._stop)
        while True:
            try:
                answer = self._http.post("/ingest", content=body)
            except httpx.TransportError as error:
                _log.info("no answer: %s", error)
                self.sent.again += 1
                patience.wait()
                continue
            if answer.is_success and self.taken(answer.json()):
                return
            if not answer.is_success and answer.status_code not in _LATER:
                raise GatewayError("http", f"{answer.status_code} {answer.text[:300]}")
            self.sent.again += 1
            wanted = answer.headers.get("retry-after", "")
            patience.wait(float(wanted) if wanted.isdigit() else None)


class SocketWay(_Answers):
    """``WS /ingest/socket``: a frame at a time, the next once it is answered.

    Parameters
    ----------
    url, token, stop, format : as for ``HttpWay``
    devices : those that do what they are asked over this socket; of more than it takes, the first
    """

    def __init__(
        self,
        url: str,
        token: str,
        stop: threading.Event,
        format: Format = "json",  # noqa: A002  (as above)
        devices: Sequence[str] = (),
    ) -> None:
        super().__init__("websocket")
        self._listening = list(devices[:MOST_DEVICES])
        self._asked: list[dict[str, Any]] = []
        if format == "ndjson":
            raise GatewayError("websocket", "a frame is JSON or Arrow, not NDJSON")
        self._url = url.replace("http", "ws", 1).rstrip("/") + "/ingest/socket"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._stop = stop
        self._is_binary = format == "arrow"
        self._socket: ClientConnection | None = None
        self._open = contextlib.ExitStack()

    def send(self, device_type: DeviceType, batch: ReadingBatch) -> None:
        for piece in pieces_of(batch):
            if self._is_binary:
                self._send(as_arrow(device_type, piece))
            else:
                self._send(json.dumps({"readings": as_json(list(lines_of(device_type, piece)))}))

    def close(self) -> None:
        self._socket = None
        self._open.close()

    def _send(self, frame: str | bytes) -> None:
        patience = Patience(self._stop)
        while True:
            try:
                if self._socket is None:
                    opened = connect(self._url, additional_headers=self._headers, max_size=None)
                    self._socket = self._open.enter_context(opened)
                    if self._listening:
                        self._exchange(self._socket, {"type": "listen", "devices": self._listening})
                answer = self._exchange(self._socket, frame)
                while self._asked:
                    self._exchange(self._socket, answer_to(self._asked.pop(0)))
            except (OSError, WebSocketException) as error:  # a time-out too: what was asked is asked anew
                if getattr(getattr(error, "response", None), "status_code", 0) in (401, 403):
                    raise GatewayError("websocket", str(error)) from None
                _log.info("the socket is gone: %s", error)
                self.close()
                self.sent.again += 1
                patience.wait()
                continue
            if answer["type"] == "taken" and self.taken(answer):
                return
            if answer["type"] == "refused" and answer["problem"]["status"] not in _LATER:
                raise GatewayError("websocket", answer["problem"]["detail"])
            self.sent.again += 1
            patience.wait(answer.get("problem", {}).get("retry_after_s"))

    def _exchange(self, socket: ClientConnection, frame: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
        """What is said to a frame; what is asked of devices meanwhile is kept to be answered."""
        socket.send(json.dumps(frame) if isinstance(frame, Mapping) else frame)
        while True:
            said: dict[str, Any] = json.loads(socket.recv(_ANSWER_WITHIN_S))
            if said["type"] not in ASKED:
                return said
            self._asked.append(said)


class MqttWay:
    """A message a reading, with QoS 1; at most ``UNACKNOWLEDGED`` that the broker has not acknowledged.

    Parameters
    ----------
    broker : where it connects
    stop : ends the waiting for a broker that acknowledges nothing
    topic : with ``{device}``
    asked : where devices are asked, ``mqtt.asked`` of the platform; empty: nowhere
    """

    def __init__(
        self,
        broker: BrokerConfig,
        stop: threading.Event,
        topic: str = "twinfold/{device}",
        asked: str = "",
    ) -> None:
        self.sent = Sent()
        session = replace(broker, client_id=f"{broker.client_id}-asked", is_lasting=False)
        self._devices = MqttDevices(session, asked) if asked else None
        self._stop = stop
        self._topic = topic
        self._given = 0
        self._progress = threading.Event()
        self._client, begin = broker_client(broker)
        self._client.on_publish = self._on_publish
        self._client.max_inflight_messages_set(UNACKNOWLEDGED)
        begin()
        self._client.loop_start()

    def send(self, device_type: DeviceType, batch: ReadingBatch) -> None:
        for device, at_us, values in lines_of(device_type, batch):
            _check_level("mqtt", device)
            if self._devices is not None:
                self._devices.show(device)
            self._wait(UNACKNOWLEDGED - 1)
            body = json.dumps({"time": at_us, "values": values})
            self._client.publish(self._topic.replace("{device}", device), body, qos=1)
            self._given += 1
        self._wait(0)

    def close(self) -> None:
        if self._devices is not None:
            self._devices.close()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_publish(self, *_: Any) -> None:
        self.sent.readings += 1
        self._progress.set()

    def _wait(self, most: int) -> None:
        """Wait until no more than so many are unacknowledged; after a lost connection the client sends them again."""
        while self._given - self.sent.readings > most:
            if self._stop.is_set():
                raise StoppedError
            self._progress.wait(_LOOK_S)
            self._progress.clear()


class SparkplugWay:
    """An edge node with the devices of a fleet. Sends while its primary host is online, and keeps readings until then.

    Messages go with QoS 0, so what was under way when the connection or the host went is said again, as historical.

    Parameters
    ----------
    broker : where it connects
    stop : ends the waiting
    devices : that it speaks for, with their types
    types : by name
    primary : the host application to wait for; empty: none
    group, node : of the edge node
    """

    def __init__(
        self,
        broker: BrokerConfig,
        stop: threading.Event,
        devices: Sequence[Device],
        types: Mapping[str, DeviceType],
        primary: str = "",
        group: str = "twinfold",
        node: str = "simulator",
    ) -> None:
        self.sent = Sent()
        self._stop = stop
        self._recent: deque[Line] = deque(maxlen=_REMEMBERED)
        metrics: dict[str, dict[str, DataType]] = {}
        for device in devices:
            _check_level("sparkplug", device.id)
            device_type = types[device.device_type]
            measured = {channel.name: DataType.DOUBLE for channel in device_type.channels}
            metrics[device.id] = {**measured, **asked_metrics(device_type)}
        self._node = EdgeNode(broker, group, node, metrics, primary)
        self._node.start()

    def send(self, device_type: DeviceType, batch: ReadingBatch) -> None:
        for line in lines_of(device_type, batch):
            if not self._node.may_send.is_set():
                self._wait()
                for device, at_us, values in list(self._recent):
                    self._node.send(device, at_us // 1_000, values, is_historical=True)
                    self.sent.again += 1
            device, at_us, values = line
            self._node.send(device, at_us // 1_000, values)
            self._recent.append(line)
            self.sent.readings += 1

    def close(self) -> None:
        self._node.stop()

    def _wait(self) -> None:
        while not self._node.may_send.wait(_LOOK_S):
            if self._stop.is_set():
                raise StoppedError


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How ``twinfold simulate --over`` is to send; see there."""

    over: str
    format: str = "json"
    packing: str = "none"
    url: str = ""
    key: str = ""
    broker: str = ""
    backfill_s: float = 2400.0


class GatewayTraffic:
    """A simulated fleet behind a gateway, on the wall clock.

    Parameters
    ----------
    simulator : the fleet
    types : its device types
    way : into the platform
    """

    def __init__(self, simulator: Simulator, types: Mapping[str, DeviceType], way: Way) -> None:
        self._simulator = simulator
        self._types = types
        self._way = way

    def begin(self) -> None:
        """Tell of the past first."""
        self.step(WallClock().now_us())

    def step(self, now_us: int) -> int:
        """Send what is due."""
        lines = 0
        try:
            for batch in self._simulator.advance(now_us):
                self._way.send(self._types[batch.device_type], batch)
                lines += len(batch)
        except StoppedError:
            return lines
        self._simulator.take_maintenance()  # repairs are recorded by people, not by gateways
        self._simulator.take_truth()
        return lines

    def close(self) -> None:
        self._way.close()


def _check_level(way: str, device_id: str) -> None:
    if set(device_id) & set("/+#\0"):
        raise GatewayError(way, f"the id {device_id!r} cannot be a level of a topic")


def gateway(
    fleet: Path, settings: Settings, options: GatewayOptions, stop: threading.Event
) -> "tuple[GatewayTraffic, Way]":
    """A simulated gateway as the command line describes it, its devices registered where that can be done from here.

    Raises
    ------
    GatewayError : an option is none.
    NotRunningError : no address was given, and nothing runs on the data folder.
    """
    for name, given, known in (
        ("--over", options.over, get_args(Over)),
        ("--format", options.format, get_args(Format)),
        ("--pack", options.packing, get_args(Packing)),
    ):
        if given not in known:
            raise GatewayError(options.over, f"{name} {given!r} is not one of {', '.join(known)}")
    types = find_types([Path(settings.types)] if settings.types else []).types
    spec = load_fleet(fleet, types)
    start_us = WallClock().now_us() // 1_000_000 * 1_000_000 - round(options.backfill_s * SECOND_US)
    simulator = Simulator(spec, types, start_us=start_us)
    url, token = options.url, options.key
    if not url and (options.over in ("http", "websocket") or running(settings.data) is not None):
        url, local = _register_here(settings, simulator.devices)
        token = token or local
    broker = options.broker or settings.mqtt.url.get_secret_value()
    name = f"twinfold-gateway-{spec.name}"
    way: Way
    match options.over:
        case "http":
            way = HttpWay(url, token, stop, cast(Format, options.format), cast(Packing, options.packing))
        case "websocket":
            ids = [device.id for device in simulator.devices]
            way = SocketWay(url, token, stop, cast(Format, options.format), ids)
        case "mqtt":
            session = BrokerConfig(broker, settings.mqtt.version, name)
            way = MqttWay(session, stop, settings.mqtt.topic, settings.mqtt.asked)
        case _:
            way = SparkplugWay(
                BrokerConfig(broker, settings.mqtt.version, name, is_lasting=False),
                stop,
                simulator.devices,
                types,
                settings.sparkplug.host_id,
                node=spec.name,
            )
    return GatewayTraffic(simulator, types, way), way


def told(sent: Sent) -> str:
    """What became of it, in words."""
    refused = f", {sent.refused} refused ({sent.why})" if sent.refused else ""
    return f"{sent.readings} readings taken{refused}, {sent.again} times sent again"


def _register_here(settings: Settings, devices: Sequence[Device]) -> tuple[str, str]:
    """Register devices with the platform of the data folder where it does not know them; gives its address and token."""
    info = running(settings.data)
    token = LocalToken(settings.data / FOLDER / LOCAL_FILE).read()
    if info is None or token is None:
        raise NotRunningError(str(settings.data))
    with Client(info.url, token) as client:
        known = {device.id for device in client.devices.all()}
        fresh = [device for device in devices if device.id not in known]
        for start in range(0, len(fresh), _REGISTERED_AT_ONCE):
            client.devices.register([_new(each) for each in fresh[start : start + _REGISTERED_AT_ONCE]])
    return info.url, token


def _new(device: Device) -> dict[str, Any]:
    """A device as the API takes it."""
    said = device_to_json(device)
    return {
        **{name: value for name, value in said.items() if name != "device_type"},
        "type": device.device_type,
    }
