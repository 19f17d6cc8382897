"""What is asked of devices that came by Sparkplug, over a real Mosquitto: done when DDATA says so, and not before."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.broker import BrokerConfig
from serve.sparkplug import application as module
from serve.sparkplug.application import HostApplication, SparkplugConfig
from serve.sparkplug.asked import Asked
from serve.sparkplug.edge_node import EdgeNode
from serve.sparkplug.payload import DataType, Sent, write_payload
from serve.sparkplug.sessions import Names, Problem, Sessions, Way
from tests.serve.brokers import Broker, broker
from tests.serve.edges import T0, make_fleet
from tests.serve.test_mqtt import until
from tests.serve.test_mqtt_asked import OneAtATime, ask, send, standing, states
from twins import commands as c
from twins.devices import Channel, DeviceCommand, DeviceType, Property

PUMP = {
    "vibration": DataType.FLOAT,
    "Setpoint/Speed": DataType.FLOAT,
    "mode": DataType.STRING,
    "Device Control/stop": DataType.INT32,
    "Device Control/stop/ramp_s": DataType.DOUBLE,
    "Device Control/start": DataType.BOOLEAN,
}
GAUGE = DeviceType(
    name="gauge",
    version=1,
    interval_s=1.0,
    channels=(Channel("level", "m", low=0, high=50),),
    properties=(
        Property("level", unit="m", low=0, high=50),
        Property("count", kind="integer", low=0, high=9),
        Property("open", kind="boolean"),
        Property("mode", kind="enum", choices=("auto", "manual")),
    ),
    commands=(DeviceCommand("stop"), DeviceCommand("start", repeatable=True)),
)
SAID = [each.name for each in GAUGE.properties] + ["Device Control/stop", "Node Control/start"]
KINDS = {"level": (float, int), "count": (float, int), "open": (bool,), "mode": (str,)}
NOW_MS = T0 // 1_000 + 3_600_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Any]:
    with make_fleet(tmp_path) as it:
        it.clock.advance_to(NOW_MS * 1_000)  # type: ignore[attr-defined]
        yield OneAtATime(it)


@contextlib.contextmanager
def hosted(running: Broker, fleet: Any) -> Iterator[HostApplication]:
    config = SparkplugConfig(
        running.url, "twinfold", device="{device}", metrics="Setpoint/Speed=speed", refused="told/{device}"
    )
    host = HostApplication(config, fleet, fleet.clock)
    host.start()
    try:
        until(lambda: host.status().connected)
        yield host
    finally:
        host.stop()


class Pump:
    """Devices of an edge node that were written to, and do what ``answer`` says."""

    def __init__(self, answer: Any) -> None:
        self.written: list[Mapping[str, Any]] = []
        self.answer = answer

    def obey(self, _: str, written: Mapping[str, Any]) -> Mapping[str, Any]:
        self.written.append(written)
        found: Mapping[str, Any] = self.answer(written)
        return found


@contextlib.contextmanager
def node(
    running: Broker, fleet: Any, pump: Pump, metrics: Mapping[str, DataType] = PUMP
) -> Iterator[EdgeNode]:
    settings = BrokerConfig(running.url, "5", "node", is_lasting=False)
    it = EdgeNode(settings, "plant", "edge", {"pump-01": metrics}, "", fleet.clock, pump.obey)
    it.start()
    try:
        assert it.may_send.wait(30)
        yield it
    finally:
        it.stop()


def test_a_desired_value_is_met_when_ddata_says_so(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda _: {})
    with hosted(running, fleet), node(running, fleet, pump) as edge:
        ask(fleet, speed=1800, mode="manual")
        until(lambda: pump.written)
        assert pump.written[0] == {"Setpoint/Speed": 1800.0, "mode": "manual"}
        assert standing(fleet, "speed") == "pending"
        edge.send("pump-01", NOW_MS + 1, {"Setpoint/Speed": 1500.0})  # on its way
        until(lambda: fleet.read_twin("pump-01")["properties"]["speed"]["reported"] is not None)
        assert standing(fleet, "speed") == "pending"
        edge.send("pump-01", NOW_MS + 2, {"Setpoint/Speed": 1800.0, "mode": "manual"})
        until(lambda: (standing(fleet, "speed"), standing(fleet, "mode")) == ("in_sync", "in_sync"))


def test_what_was_asked_before_goes_down_with_the_birth_and_a_rebirth_repeats_no_command(
    running: Broker, fleet: Any
) -> None:
    pump = Pump(lambda written: {name: value for name, value in written.items() if name == "Setpoint/Speed"})
    ask(fleet, speed=1801)
    send(fleet, "stop", ramp_s=5)
    with hosted(running, fleet) as host, node(running, fleet, pump) as edge:
        until(lambda: standing(fleet, "speed") == "in_sync" and len(pump.written) == 2)
        assert {"Device Control/stop": 1, "Device Control/stop/ramp_s": 5.0} in pump.written
        assert states(fleet) == ["delivered"]
        births = host.status().counts["births"]
        edge.birth()
        until(lambda: host.status().counts["births"] > births)
        ask(fleet, mode="auto")
        until(lambda: {"mode": "auto"} in pump.written)
        assert sum("Device Control/stop" in each for each in pump.written) == 1


@pytest.mark.parametrize(("answer", "end"), [(1, "done"), (-1, "failed")])
def test_a_command_ends_by_its_number(running: Broker, fleet: Any, answer: int, end: str) -> None:
    pump = Pump(lambda written: {"Device Control/stop": answer * written["Device Control/stop"]})
    with hosted(running, fleet), node(running, fleet, pump):
        send(fleet, "stop", ramp_s=5)
        until(lambda: states(fleet) == [end])


def test_a_command_that_is_true_is_done_when_it_is_said_back(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda _: {})
    with hosted(running, fleet), node(running, fleet, pump) as edge:
        edge.send("pump-01", NOW_MS + 1, {"Device Control/start": True})  # before it was asked: about nothing
        send(fleet, "start")
        until(lambda: {"Device Control/start": True} in pump.written)
        assert states(fleet) == ["delivered"]
        edge.birth()  # says true, too, but of before
        edge.send("pump-01", NOW_MS + 2, {"Device Control/start": False, "vibration": 1.0})
        until(lambda: fleet.twin("pump-01").state()["values"]["vibration"]["value"] == 1.0)
        assert states(fleet) == ["delivered"]
        edge.send("pump-01", NOW_MS + 3, {"Device Control/start": True})
        until(lambda: states(fleet) == ["done"])


def test_what_no_birth_told_of_is_not_sent_and_stays_open(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda written: written)
    few = {"vibration": DataType.FLOAT, "mode": DataType.STRING, "Device Control/stop": DataType.INT32}
    with hosted(running, fleet), node(running, fleet, pump, few):
        send(fleet, "stop", ramp_s=5)  # there is no metric for the ramp
        send(fleet, "start")
        ask(fleet, speed=1800, mode="manual")
        until(lambda: standing(fleet, "mode") == "in_sync")
        assert (states(fleet), standing(fleet, "speed")) == (["waiting", "waiting"], "pending")
        assert pump.written == [{"mode": "manual"}]


# -- without a broker --------------------------------------------------------------------------------------------------


class Alone:
    """A host application that is connected to nobody: it is given messages, and what it publishes is kept."""

    def __init__(self, fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serve.courier.LOOK_S", 0.0)
        config = SparkplugConfig("mqtt://127.0.0.1:1", "twinfold", device="{device}", refused="told/{device}")
        self.host = HostApplication(config, fleet, fleet.clock)
        self.published: list[tuple[str, Any]] = []
        monkeypatch.setattr(self.host._client, "publish", lambda *said, **_: self.published.append(said))

    def take(self, *messages: tuple[str, int, list[Sent]]) -> None:
        self.host._take(
            [
                module._Came(f"spBv1.0/g/{end}", write_payload(NOW_MS, metrics, sequence), NOW_MS * 1_000)
                for end, sequence, metrics in messages
            ]
        )

    def born(self, **metrics: DataType) -> None:
        said = [Sent(None, kind, name) for name, kind in metrics.items()]
        self.take(("NBIRTH/n", 0, []), ("DBIRTH/n/pump-01", 1, said))

    @property
    def told(self) -> list[str]:
        return [json.loads(body)["code"] for topic, body in self.published if topic.startswith("told/")]

    @property
    def sent(self) -> list[str]:
        return [topic for topic, _ in self.published if "CMD" in topic]


@pytest.fixture
def alone(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> Alone:
    return Alone(fleet, monkeypatch)


@pytest.mark.parametrize("name", ["Device Control/stop", "speed"])
def test_text_where_a_number_belongs_is_told_and_costs_nothing_else(
    alone: Alone, fleet: Any, name: str
) -> None:
    alone.born(speed=DataType.FLOAT, vibration=DataType.FLOAT)
    alone.take(
        ("DDATA/n/pump-01", 2, [Sent("ok", DataType.STRING, name)]),
        ("DDATA/n/pump-01", 3, [Sent(2.5, DataType.FLOAT, "vibration", at_ms=NOW_MS + 1)]),
    )
    assert alone.told == ["command.value_refused"]
    assert fleet.twin("pump-01").state()["values"]["vibration"]["value"] == 2.5


def test_a_fault_of_ours_costs_one_message(alone: Alone, fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone.born(vibration=DataType.FLOAT)

    def fail(_: Asked, twin: str, *__: Any) -> None:
        raise ZeroDivisionError(twin)

    monkeypatch.setattr(Asked, "hear", fail)
    lost = alone.host.status().lost
    alone.take(("DDATA/n/pump-01", 2, [Sent(2.5, DataType.FLOAT, "vibration")]))
    assert alone.host.status().lost == lost + 1
    assert fleet.twin("pump-01").state()["values"]["vibration"]["value"] == 2.5


def test_what_the_metric_cannot_hold_is_not_sent_and_told(alone: Alone, fleet: Any) -> None:
    metrics = {"Device Control/stop": DataType.INT32, "Device Control/stop/ramp_s": DataType.BOOLEAN}
    alone.born(speed=DataType.INT8, **metrics)
    ask(fleet, speed=1800)
    send(fleet, "stop", ramp_s=5)
    alone.host._asked.work()
    assert (alone.sent, sorted(alone.told)) == ([], ["command.unfit", "metric.unfit"])
    assert (standing(fleet, "speed"), states(fleet)) == ("pending", ["waiting"])
    alone.born(speed=DataType.INT16, **{**metrics, "Device Control/stop/ramp_s": DataType.UINT8})
    alone.host._asked.work()
    assert (len(alone.sent), states(fleet)) == (2, ["delivered"])


@pytest.mark.parametrize(
    ("kind", "number", "can"),
    [
        (DataType.INT8, 127, True),
        (DataType.INT8, 128, False),
        (DataType.UINT16, 70_000, False),
        (DataType.BOOLEAN, 128, True),
    ],
)
def test_a_number_that_its_metric_cannot_hold_does_not_go(kind: DataType, number: int, can: bool) -> None:
    asked, told = an_asked()
    way = Way(("g", "n"), "d", {"Device Control/stop": kind})
    assert asked._can_go("d", way, {"name": "stop", "number": number, "parameters": {}}) is can
    assert [each.code for each in told] == ([] if can else ["command.unfit"])


def an_asked() -> tuple[Asked, list[Problem]]:
    """What hears devices, of no fleet, and what it tells."""
    told: list[Problem] = []
    names = Names("{device}")
    nobody: Any = None
    return Asked(nobody, Sessions(names), names, lambda *_: None, told.extend), told


def test_a_birth_answers_no_command() -> None:
    asked, told = an_asked()
    said = {"Device Control/stop": 7, "Device Control/start": True, "count": 3}
    asked.hear("d", GAUGE, said, True)
    assert [type(each) for each in asked._reports] == [c.ReportProperties]
    asked.hear("d", GAUGE, said, False)
    assert [type(each) for each in asked._reports[1:]] == [c.ReportProperties, c.ReportResult]
    assert (asked._done, told) == ([("d", "start")], [])


@pytest.mark.parametrize("said", ["false", 2, 0.5])
def test_what_is_no_boolean_does_not_become_one(said: Any) -> None:
    asked, told = an_asked()
    asked.hear("d", GAUGE, {"open": said}, False)
    assert (asked._reports, [each.code for each in told]) == ([], ["command.value_refused"])


@given(
    st.dictionaries(
        st.sampled_from(SAID),
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 64) - 1)
        | st.floats(allow_nan=False)
        | st.text(max_size=9),
    ),
    st.booleans(),
)
def test_whatever_is_said_is_taken_as_its_kind_or_refused(said: dict[str, Any], is_birth: bool) -> None:
    asked, told = an_asked()
    asked.hear("d", GAUGE, said, is_birth)
    for report in asked._reports:
        if isinstance(report, c.ReportProperties):
            assert all(type(value) in KINDS[name] for name, value in report.values.items())
        else:
            assert isinstance(report, c.ReportResult)
            assert (report.number > 0, is_birth) == (True, False)
    assert all(each.reason for each in told)


def test_only_twins_that_are_there_are_remembered(alone: Alone) -> None:
    alone.host._take([module._Came("spBv1.0/g/NBIRTH/n", b"\xff\xff", NOW_MS * 1_000)])
    alone.take(("DBIRTH/n/pump-01", 1, []))
    assert alone.host._asked._twins == {}
    alone.born(vibration=DataType.FLOAT)
    assert set(alone.host._asked._twins) == {"n", "pump-01"}
    alone.take(("NBIRTH/n", 0, []), ("DDATA/n/pump-01", 1, [Sent(1200.0, DataType.FLOAT, "speed")]))
    assert set(alone.host._asked._twins) == {"n"}
