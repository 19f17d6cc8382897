"""The host application against a real Mosquitto: births, deaths, order, rebirth, and a platform that is full for a while."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.broker import BrokerConfig
from serve.errors import BrokerAddressError
from serve.sparkplug import application as module
from serve.sparkplug.application import HostApplication, Inbox, SparkplugConfig
from serve.sparkplug.edge_node import EdgeNode
from serve.sparkplug.payload import DataType
from tests.serve.brokers import Broker, broker
from tests.serve.edges import T0, make_fleet
from tests.serve.test_mqtt import counts, host_of, sender, until, vibration
from twins.errors import DegradedError, OverloadedError
from twins.fleet import LocalFleet
from twins.warmup import compile_kernels

PUMP = {
    "vibration": DataType.FLOAT,
    "flow": DataType.DOUBLE,
    "running": DataType.BOOLEAN,
    "colour": DataType.FLOAT,
}
NOW_MS = T0 // 1_000 + 3_600_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LocalFleet]:
    compile_kernels()
    with make_fleet(tmp_path) as it:
        it.clock.advance_to(NOW_MS * 1_000)  # type: ignore[attr-defined]
        yield it


@contextlib.contextmanager
def hosted(
    running: Broker, fleet: LocalFleet, inbox: Inbox | None = None, **options: Any
) -> Iterator[HostApplication]:
    config = SparkplugConfig(running.url, "twinfold", **{"device": "{device}", **options})
    host = HostApplication(config, fleet, fleet.clock, inbox=inbox)
    host.start()
    try:
        until(lambda: host.status().connected)
        yield host
    finally:
        host.stop()


@contextlib.contextmanager
def node(
    running: Broker,
    fleet: LocalFleet,
    *devices: str,
    name: str = "edge-1",
    primary: str = "",
    version: Any = "5",
) -> Iterator[EdgeNode]:
    settings = BrokerConfig(running.url, version, f"node-{name}", is_lasting=False)
    it = EdgeNode(settings, "plant", name, dict.fromkeys(devices, PUMP), primary, fleet.clock)
    it.start()
    try:
        assert it.may_send.wait(30)
        yield it
    finally:
        it.stop()


def cut(it: EdgeNode) -> None:
    """End a node's connection as a dead network does: the broker says its will."""
    sock = it._client.socket()
    assert sock is not None
    it._client._reconnect_on_failure = False
    sock.shutdown(2)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_readings_reach_their_twins(running: Broker, fleet: LocalFleet, version: Any) -> None:
    with (
        hosted(running, fleet, version=version) as host,
        node(running, fleet, "pump-01", version=version) as edge,
    ):
        for at_s in range(1, 301):
            edge.send("pump-01", NOW_MS + at_s, {"vibration": at_s / 10, "running": True, "colour": 1.0})
        until(lambda: vibration(fleet, "pump-01") == 30.0)
        state = fleet.twin("pump-01").state()
        assert state["values"]["running"]["value"] == 1.0
        assert state["values"]["flow"]["quality"] is None  # null in the birth: not measured yet
        status = host.status()
    assert (status.refused, status.lost, status.counts.get("gaps", 0), status.nodes) == (0, 0, 0, 1)
    assert status.ignored >= 300  # a colour is no channel of a pump
    assert counts(fleet, "pump-01")["scored"] == 300


def test_a_dead_node_makes_its_devices_stale_at_once_and_they_come_back(
    running: Broker, fleet: LocalFleet
) -> None:
    with hosted(running, fleet) as host:
        with node(running, fleet, "pump-01", "pump-02") as edge:
            edge.send("pump-01", NOW_MS + 1, {"vibration": 1.0})
            edge.send("pump-02", NOW_MS + 1, {"vibration": 1.0})
            until(lambda: vibration(fleet, "pump-02") == 1.0)
            assert fleet.twin("pump-01").state()["status"] == "reporting"
            edge.lose("pump-02")
            until(lambda: fleet.twin("pump-02").state()["status"] == "stale")
            assert fleet.twin("pump-01").state()["status"] == "reporting"
            cut(edge)
            until(lambda: fleet.twin("pump-01").state()["status"] == "stale")
        assert fleet.twin("pump-01").state()["values"]["vibration"]["quality"] == "STALE"
        assert host.status().nodes == 0
        with node(running, fleet, "pump-01", "pump-02") as edge:
            edge.send("pump-01", NOW_MS + 2, {"vibration": 2.0})
            until(lambda: fleet.twin("pump-01").state()["status"] == "reporting")
    told = [
        (event.type, event.detail.get("by"))
        for event in events_of(fleet, "pump-01")
        if event.type in ("device.stale", "device.reporting")
    ]
    assert told[:2] == [("device.stale", "sparkplug"), ("device.reporting", None)]


def test_a_host_that_comes_later_asks_for_births(running: Broker, fleet: LocalFleet) -> None:
    with node(running, fleet, "pump-01") as edge:
        edge.send("pump-01", NOW_MS + 1, {"vibration": 1.0})
        with hosted(running, fleet) as host:
            edge.send("pump-01", NOW_MS + 2, {"vibration": 2.0})
            until(lambda: host.status().counts.get("births", 0) == 2)
            until(lambda: vibration(fleet, "pump-01") == 2.0)  # told by the birth
            edge.send("pump-01", NOW_MS + 3, {"vibration": 3.0})
            until(lambda: vibration(fleet, "pump-01") == 3.0)
            assert host.status().counts["rebirths"] == 1


def test_a_missing_message_brings_a_new_birth(running: Broker, fleet: LocalFleet) -> None:
    with hosted(running, fleet) as host, node(running, fleet, "pump-01") as edge:
        edge.send("pump-01", NOW_MS + 1, {"vibration": 1.0})
        edge._next()  # one that got lost
        edge.send("pump-01", NOW_MS + 2, {"vibration": 2.0})
        until(lambda: host.status().counts.get("gaps") == 1)
        until(lambda: vibration(fleet, "pump-01") == 2.0)
        assert host.status().counts["rebirths"] == 1


def _was_away_and_is_back(online: list[bool]) -> bool:
    """Said offline once, and last online; either may be told more than once."""
    return False in online and online[-1]


def test_a_primary_host_says_offline_when_it_goes_and_while_nothing_is_taken(
    running: Broker, fleet: LocalFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_AFTER_S", 0.0)
    said: list[dict[str, Any]] = []
    with sender(running) as watcher:
        watcher.on_message = lambda _, __, message: said.append(json.loads(message.payload))
        watcher.subscribe("spBv1.0/STATE/twinfold", qos=1)
        with hosted(running, fleet) as host, node(running, fleet, "pump-01", primary="twinfold") as edge:
            until(lambda: said and said[-1]["online"])
            assert edge.may_send.wait(30)
            with monkeypatch.context() as patch:

                def full(*_: Any, **__: Any) -> Any:
                    raise OverloadedError("the journal is full", 0.05)

                patch.setattr(fleet, "write_many", full)
                edge.send("pump-01", NOW_MS + 1, {"vibration": 1.0})
                until(lambda: host.status().reason == OverloadedError.code)
                until(lambda: not edge.may_send.is_set())
            assert edge.may_send.wait(30)
            until(lambda: vibration(fleet, "pump-01") == 1.0)
            # somebody's old will in our name does not stand
            watcher.publish("spBv1.0/STATE/twinfold", json.dumps({"online": False, "timestamp": 1}), 1, True)
            until(lambda: len(said) > 4 and said[-1]["online"])
            # a connection that is cut: the broker says offline, the next connection says online
            sock = host._client.socket()
            assert sock is not None
            before = len(said)
            sock.shutdown(2)
            until(lambda: _was_away_and_is_back([each["online"] for each in said[before:]]))
        until(lambda: said[-1]["online"] is False)


def test_what_a_host_that_is_away_has_to_take_is_kept_and_holds_up_nobody(
    running: Broker, fleet: LocalFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = host_of(fleet, "pump-01")
    other = next(
        each for each in ("pump-00", "pump-02", "pump-03", "pump-04") if host_of(fleet, each) != lost
    )
    real = fleet._hosts.ask

    def ask(calls: Any) -> list[Any]:
        answers = iter(real([each for each in calls if each[0] != lost]))
        return [DegradedError("it is away") if each[0] == lost else next(answers) for each in calls]

    with hosted(running, fleet) as host, node(running, fleet, "pump-01", other) as edge:
        until(lambda: host.status().counts.get("births") == 3)
        with monkeypatch.context() as patch:
            patch.setattr(fleet._hosts, "ask", ask)
            for at_s in range(1, 6):
                edge.send("pump-01", NOW_MS + at_s, {"vibration": float(at_s)})
                edge.send(other, NOW_MS + at_s, {"vibration": float(at_s)})
            until(lambda: host.status().messages >= 13)
            until(lambda: counts(fleet, other)["scored"] == 5)
        until(lambda: counts(fleet, "pump-01")["scored"] == 5)
    assert counts(fleet, "pump-01")["late"] == 0
    assert host.status().lost == 0


def test_what_cannot_be_taken_is_told_once_a_minute_and_costs_nothing_else(
    running: Broker, fleet: LocalFleet
) -> None:
    told: list[tuple[str, str]] = []
    with hosted(running, fleet) as host, sender(running) as client:
        client.on_message = lambda _, __, m: told.append((m.topic, json.loads(m.payload)["code"]))
        client.subscribe("twinfold-refused/#", qos=1)
        with node(running, fleet, "pump-01", "nobody") as edge:
            client.publish("spBv1.0/plant/NDATA/edge-1", b"\xff\xff", qos=0)
            for at_s in range(1, 31):
                edge.send("nobody", NOW_MS + at_s, {"vibration": 1.0})
            edge.send("pump-01", NOW_MS + 31, {"vibration": 3.0})
            until(lambda: vibration(fleet, "pump-01") == 3.0)
            until(lambda: len(told) == 2)
    assert sorted(told) == [
        ("twinfold-refused/edge-1", "message.invalid"),
        ("twinfold-refused/nobody", "device.not_found"),
    ]
    assert host.status().refused >= 31


def test_messages_that_wait_are_bounded_in_bytes() -> None:
    inbox = Inbox(most_bytes=10_000)
    put = [inbox.put(module._Came("t", bytes(1_000), at)) for at in range(20)]
    assert sum(put) == len(inbox) < 10
    assert [each.at_us for each in inbox.take(3, 0.0)] == [0, 1, 2]
    assert inbox.put(module._Came("t", bytes(1_000), 99))


def test_a_name_that_is_none_says_so(fleet: LocalFleet) -> None:
    for name in ("", "a/b", "#"):
        with pytest.raises(BrokerAddressError, match="host application"):
            HostApplication(SparkplugConfig("mqtt://127.0.0.1", name), fleet)


def events_of(fleet: LocalFleet, device: str) -> list[Any]:
    from twins import entries, events

    found = []
    for host, shard_host in enumerate(fleet.shard_hosts()):
        for entry in fleet.read_after(host, 0, 10_000):
            for name, batch in (entries.decode_events(entry.events) if entry.events else {}).items():
                shard = shard_host.shards[name]
                found += [
                    event
                    for event in events.decode(
                        batch, device_id=shard.roster.index.__getitem__, rules=[r.name for r in shard.device_type.rules],
                        channels=shard.device_type.channel_names, recorded_us=entry.now_us, cursor=entry.cursor,
                    )
                    if event.device_id == device
                ]  # fmt: skip
    return found
