"""Budget: MQTT with QoS 1, durable: messages a second through a real Mosquitto, until the bridge has acknowledged them.

One reading of 8 channels a message, of ``--devices`` twins in one process, journal on disk. At least 3 k messages/s,
aim 15 k.
Reference: the same messages from the same publishers to a subscriber that only acknowledges, in the same run.

    python -m bench.mqtt [--messages 20000] [--devices 1000] [--publishers 4]
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.history import CHANNELS, machine
from bench.report import report
from serve.mqtt import Bridge, MqttConfig
from tests.serve.brokers import Broker, broker, connected
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.warmup import compile_kernels

NAMES = tuple(channel[0] for channel in CHANNELS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--publishers", type=int, default=4)
    options = parser.parse_args()
    compile_kernels()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with broker(folder / "broker") as running:
            idle_s = acknowledged_only(running, options)
        with broker(folder / "broker-2") as running:
            took_s, lines = bridged(running, options, folder)
    report(
        "MQTT QoS 1, durable", options.messages / took_s, "messages/s", options.messages / idle_s,
        "a subscriber that only acknowledges", floor=3_000, aim=15_000, channels=len(NAMES), devices=options.devices,
        messages=options.messages, publishers=options.publishers, written=lines,
    )  # fmt: skip


def bridged(running: Broker, options: argparse.Namespace, folder: Path) -> tuple[float, int]:
    """Seconds from the first message until all are acknowledged, and how many lines twins were given."""
    with LocalFleet(folder / "hosts", FleetConfig(hosts=1)) as fleet:
        fleet.install(machine(NAMES))
        fleet.register([Device(f"d-{number}", machine(NAMES).name) for number in range(options.devices)])
        bridge = Bridge(MqttConfig(running.url, "b/{device}"), fleet)
        bridge.start()
        wait(lambda: bridge.status().connected)
        publish(running, options)
        began = time.perf_counter()
        wait(lambda: bridge.status().acknowledged >= options.messages)
        took_s = time.perf_counter() - began
        bridge.stop()
        return took_s, bridge.status().lines


def acknowledged_only(running: Broker, options: argparse.Namespace) -> float:
    seen = [0]

    def count(*_: object) -> None:
        seen[0] += 1

    client = paho.Client(CallbackAPIVersion.VERSION2, "idle", protocol=paho.MQTTv5)
    ready = threading.Event()
    client.on_message = count
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", running.port)
    client.loop_start()
    client.subscribe("b/+", qos=1)
    ready.wait(30)
    publish(running, options)
    began = time.perf_counter()
    wait(lambda: seen[0] >= options.messages)
    took_s = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return took_s


def publish(running: Broker, options: argparse.Namespace) -> None:
    """Start a process with the publishers, who send as fast as they can once it is up."""
    spawning = multiprocessing.get_context("spawn")
    ready = spawning.Event()
    arguments = (running.port, options.messages, options.devices, options.publishers, ready)
    spawning.Process(target=send, args=arguments, daemon=True).start()
    ready.wait()


def send(port: int, messages: int, devices: int, publishers: int, ready: Any) -> None:
    now_us = time.time_ns() // 1000 - 60_000_000
    clients = [connected(port) for _ in range(publishers)]
    bodies = [
        (
            f"b/d-{at % devices}",
            json.dumps({"time": now_us + at, "values": dict.fromkeys(NAMES, 1.0 + at % 7)}),
        )
        for at in range(messages)
    ]
    ready.set()
    sent = [clients[at % publishers].publish(*body, qos=1) for at, body in enumerate(bodies)]
    for each in sent:
        each.wait_for_publish(300)


def wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come about in 300 s")
        time.sleep(0.005)  # looks often enough to time seconds; the deadline is above


if __name__ == "__main__":
    main()
