"""A Sparkplug edge node, for simulated gateways and tests: births, deaths, sequence, rebirth, a primary host to heed.

Source: Sparkplug 3.0.0, 5.5 to 5.9 (edge nodes and devices), 6.4.1 to 6.4.12.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import paho.mqtt.client as paho

from serve.broker import BrokerConfig, broker_client
from serve.sparkplug.payload import (
    DataType,
    Metric,
    PayloadError,
    Sent,
    is_text,
    read_payload,
    text_of,
    value_of,
    write_payload,
)
from serve.sparkplug.sessions import BIRTH_NUMBER, NAMESPACE, REBIRTH, STATE
from twins.clock import Clock, WallClock

_SEQUENCE: Final = 256
_SENT_WITHIN_S: Final = 30.0


Value = float | int | bool | str
Obey = Callable[[str, Mapping[str, Value]], Mapping[str, Value]]


class EdgeNode:
    """An edge node with devices, connected for as long as it is not stopped. Safe for many threads.

    Parameters
    ----------
    broker : where it connects; its session does not last
    group, name : of the node
    devices : the metrics of each device, with their types
    primary : the host application that it waits for; empty: none
    clock : dates births
    obey : what a device reports after metrics of it were written, given which ones; left out: just these
    """

    def __init__(
        self,
        broker: BrokerConfig,
        group: str,
        name: str,
        devices: Mapping[str, Mapping[str, DataType]],
        primary: str = "",
        clock: Clock | None = None,
        obey: Obey = lambda _, written: written,
    ) -> None:
        self._obey = obey
        self._group, self._name = group, name
        self._devices = {device: dict(metrics) for device, metrics in devices.items()}
        self._alias = {
            (device, metric): number
            for number, (device, metric) in enumerate(
                ((d, m) for d, metrics in self._devices.items() for m in metrics), start=1
            )
        }
        self._last: dict[tuple[str, str], tuple[Value | None, int]] = {}
        self._primary = primary
        self._clock = clock or WallClock()
        self._lock = threading.RLock()
        self._births = -1  # the number that a death has in common with its birth
        self._sequence = 0
        self.may_send = threading.Event()
        """Set while it is connected, born, and its primary host is online."""
        self._client, self._connect = broker_client(broker)
        self._client.on_pre_connect = self._on_pre_connect
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = lambda *_: self.may_send.clear()
        self._client.on_message = self._on_message

    def start(self) -> None:
        self._connect()
        self._client.loop_start()

    def stop(self) -> None:
        """Say that it goes, and go."""
        with self._lock:
            self.may_send.clear()
            if self._client.is_connected():
                self._client.publish(self._topic("NDEATH"), self._death(), qos=1).wait_for_publish(
                    _SENT_WITHIN_S
                )
        self._client.disconnect()
        self._client.loop_stop()

    def send(
        self,
        device: str,
        at_ms: int,
        values: Mapping[str, Value | None],
        *,
        is_historical: bool = False,
        by_name: bool = False,
    ) -> paho.MQTTMessageInfo:
        """What a device measured at a time, its metrics by alias."""
        with self._lock:
            metrics = []
            for metric, value in values.items():
                if not is_historical:
                    self._last[(device, metric)] = (value, at_ms)
                named = metric if by_name else None
                alias = None if by_name else self._alias[(device, metric)]
                metrics.append(Sent(value, self._devices[device][metric], named, alias, at_ms, is_historical))
            payload = write_payload(at_ms, metrics, self._next(), typed=by_name)
            return self._client.publish(self._topic("DDATA", device), payload, qos=0)

    def lose(self, device: str) -> None:
        """Say that a device is gone."""
        with self._lock:
            self._client.publish(
                self._topic("DDEATH", device), write_payload(self._now_ms(), [], self._next()), qos=0
            )

    def birth(self) -> None:
        """Say what there is and how it is: of the node, then of each device."""
        with self._lock:
            at_ms, self._sequence = self._now_ms(), _SEQUENCE - 1
            own = [
                Sent(self._births, DataType.INT64, BIRTH_NUMBER),
                Sent(False, DataType.BOOLEAN, REBIRTH),
            ]
            self._client.publish(self._topic("NBIRTH"), write_payload(at_ms, own, self._next()), qos=0)
            for device, metrics in self._devices.items():
                said = []
                for metric, kind in metrics.items():
                    value, measured_ms = self._last.get((device, metric), (None, at_ms))
                    said.append(Sent(value, kind, metric, self._alias[(device, metric)], measured_ms))
                payload = write_payload(at_ms, said, self._next())
                self._client.publish(self._topic("DBIRTH", device), payload, qos=0)
            self.may_send.set()

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) % _SEQUENCE
        return self._sequence

    def _death(self) -> bytes:
        return write_payload(self._now_ms(), [Sent(self._births, DataType.INT64, BIRTH_NUMBER)])

    def _topic(self, kind: str, device: str = "") -> str:
        return f"{NAMESPACE}/{self._group}/{kind}/{self._name}" + (f"/{device}" if device else "")

    def _now_ms(self) -> int:
        return self._clock.now_us() // 1_000

    # -- in the client's thread ------------------------------------------------------------------------------------

    def _on_pre_connect(self, client: paho.Client, _: Any) -> None:
        with self._lock:
            self._births = (self._births + 1) % _SEQUENCE
            client.will_set(self._topic("NDEATH"), self._death(), qos=1)

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if not reason.is_failure:
            wanted = [(self._topic("NCMD"), 1), (self._topic("DCMD", "+"), 1)]
            if self._primary:
                wanted.append((f"{NAMESPACE}/{STATE}/{self._primary}", 1))
            client.subscribe(wanted)

    def _on_subscribe(self, _: paho.Client, __: Any, ___: Any, reasons: Sequence[Any], ____: Any) -> None:
        if not self._primary and not any(reason.is_failure for reason in reasons):
            self.birth()

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        if message.topic.split("/")[1] == STATE:
            self._heed(bytes(message.payload))
            return
        with contextlib.suppress(PayloadError):
            metrics = read_payload(bytes(message.payload)).metrics
            if message.topic.split("/")[2] == "DCMD":
                self._do(message.topic.rpartition("/")[2], metrics)
            elif any(metric.name == REBIRTH and metric.raw for metric in metrics):
                self.birth()

    def _do(self, device: str, metrics: Sequence[Metric]) -> None:
        """Metrics of a device are written: it reports what comes of that."""
        known = self._devices.get(device, {})
        written = {
            metric.name: text_of(metric)
            if is_text(known[metric.name])
            else value_of(metric, known[metric.name])
            for metric in metrics
            if metric.name in known
        }
        answer = self._obey(device, {name: value for name, value in written.items() if value is not None})
        if answer:
            self.send(device, self._now_ms(), answer)

    def _heed(self, payload: bytes) -> None:
        """The primary host says whether it takes what it is sent."""
        with contextlib.suppress(ValueError, TypeError):
            if not json.loads(payload)["online"]:
                self.may_send.clear()
            elif not self.may_send.is_set():
                self.birth()
