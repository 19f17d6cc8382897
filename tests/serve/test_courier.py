"""Carrying down what is asked: nothing is forgotten, whatever fails, and what may go twice goes until it is answered."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve.courier import AGAIN_S, Courier
from tests.serve.edges import make_fleet
from tests.serve.test_mqtt_asked import ask, send
from twins.errors import DegradedError, FleetError
from twins.fleet import LocalFleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LocalFleet]:
    with make_fleet(tmp_path) as it:
        yield it


class Watch:
    """A stopwatch that is moved by hand."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    it = Watch()
    monkeypatch.setattr("serve.courier.stopwatch_s", it)
    return it


class Post:
    """A courier, to whom it went, and which commands."""

    def __init__(self, fleet: LocalFleet) -> None:
        self.courier = Courier(fleet, "tests")
        self.devices: list[str] = []
        self.commands: list[str] = []
        self.fails: dict[str, Exception] = {}

    def carry(self) -> None:
        self.courier.carry(self._send)

    def _send(self, device_id: str, asked: Mapping[str, Any]) -> None:
        if device_id in self.fails:
            raise self.fails.pop(device_id)
        self.devices.append(device_id)
        self.commands += [frame["command"] for frame in self.courier.commands(device_id, asked)]


def test_what_may_be_done_twice_goes_until_it_is_answered(fleet: LocalFleet, watch: Watch) -> None:
    post = Post(fleet)
    send(fleet, "start")
    send(fleet, "stop", ramp_s=5)
    post.carry()
    assert post.commands == ["start", "stop"]
    watch.now_s += AGAIN_S / 2
    ask(fleet, speed=1800)
    post.courier.again("pump-01")  # a look between, at which nothing is due
    post.carry()
    assert post.commands == ["start", "stop"]
    for times in (2, 3):
        watch.now_s += AGAIN_S + 0.1
        post.carry()
        assert post.commands.count("start") == times
    assert post.commands.count("stop") == 1


def test_a_look_that_fails_forgets_nothing(
    fleet: LocalFleet, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(fleet)
    ask(fleet, "pump-01", speed=1800)
    post.carry()
    post.devices.clear()
    watch.now_s += 1.0
    ask(fleet, "pump-02", speed=1800)
    post.courier.again("pump-01")

    def away(_: Any) -> Any:
        raise DegradedError("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(fleet, "downlinks", away)
        with pytest.raises(FleetError):
            post.carry()
    watch.now_s += 1.0
    post.carry()
    assert sorted(post.devices) == ["pump-01", "pump-02"]


@pytest.mark.parametrize("is_ours", [True, False])
def test_one_that_cannot_be_sent_goes_later_and_costs_no_other(
    fleet: LocalFleet, watch: Watch, is_ours: bool
) -> None:
    post = Post(fleet)
    pumps = ["pump-01", "pump-02", "pump-03"]
    for each in pumps:
        ask(fleet, each, speed=1800)
    post.fails["pump-01"] = ZeroDivisionError("ours") if is_ours else DegradedError("it is away")
    if is_ours:
        post.carry()
        assert sorted(post.devices) == ["pump-02", "pump-03"]
    else:
        with pytest.raises(DegradedError):
            post.carry()
    watch.now_s += AGAIN_S + 0.1
    post.carry()
    assert sorted(post.devices) == pumps
