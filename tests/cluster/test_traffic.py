"""Nothing that is sent is skipped, however long the platform takes none of it."""

import threading
from typing import Any

import numpy as np
import pyarrow as pa

from cluster import traffic
from twins.clock import VirtualClock
from twins.devices import Device
from twins.errors import OverloadedError
from twins.fleet import LocalFleet
from twins.readings import ReadingBatch
from twins.typefiles import load_catalog


class Reluctant(LocalFleet):
    """Takes nothing for a number of tries."""

    tries = 300

    def write_many(self, *arguments: Any, **options: Any) -> Any:
        self.tries -= 1
        if self.tries > 0:
            raise OverloadedError("busy", 0.0)
        return super().write_many(*arguments, **options)


def test_sending_is_tried_until_it_is_taken() -> None:
    fleet = Reluctant(clock=VirtualClock(1_700_000_000_000_000))
    device_type = load_catalog()["temperature-sensor"]
    fleet.install(device_type)
    fleet.register([Device("t-1", device_type.name)])
    values = np.full((1, len(device_type.channels)), 20.0, np.float32)
    ids = pa.array(["t-1"])
    batch = ReadingBatch(
        device_type.name, ids, np.zeros(1, np.int32), np.array([1_700_000_000_000_000]), values
    )
    traffic._send(fleet, [batch], threading.Event())
    assert fleet.twin("t-1") is not None
    assert fleet.status()[0].cursor > 2
    assert fleet.tries == 0


def test_waiting_ends_with_the_platform() -> None:
    fleet = Reluctant(clock=VirtualClock(1_700_000_000_000_000))
    stop = threading.Event()
    stop.set()
    traffic._send(fleet, [], stop)
    assert fleet.tries == Reluctant.tries - 1


def test_one_sender_that_ends_is_told_while_the_others_go_on() -> None:
    stop = threading.Event()
    told: list[Exception] = []
    steps: list[int] = []

    class Steady:
        def begin(self) -> None: ...

        def step(self, now_us: int) -> int:
            steps.append(now_us)
            if told and len(steps) > 3:
                stop.set()
            return 0

        def close(self) -> None: ...

    class Broken(Steady):
        def begin(self) -> None:
            raise ZeroDivisionError("a bug")

    traffic.drive([Broken(), Steady()], stop, told.append, every_s=0.001)
    assert [str(error) for error in told] == ["a bug"]
    assert len(steps) > 3
