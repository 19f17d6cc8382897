"""Who speaks for devices may say that they are gone: stale at once, told once, and over with the next news."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.twins.fleets import PUMP, T0
from twins.clock import SECOND_US, VirtualClock
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.readings import ReadingBatch


def fleet_of(folder: Path) -> LocalFleet:
    fleet = LocalFleet(folder, FleetConfig(hosts=2), VirtualClock(T0))
    fleet.install(PUMP)
    fleet.register([Device(f"p-{i}", PUMP.name) for i in range(6)])
    return fleet


def send(fleet: LocalFleet, at_s: int, *devices: str) -> None:
    at_us = T0 + at_s * SECOND_US
    fleet.clock.advance_to(at_us)  # type: ignore[attr-defined]
    n = len(devices)
    ids = pa.array(devices)
    values = np.full((n, len(PUMP.channels)), 1.0)
    fleet.write(ReadingBatch(PUMP.name, ids, np.arange(n, dtype=np.int32), np.full(n, at_us), values))


def status(fleet: LocalFleet) -> dict[str, str]:
    table = fleet.live(PUMP.name)
    return dict(zip(table["device_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def test_devices_are_stale_at_once_and_report_again(tmp_path: Path) -> None:
    with fleet_of(tmp_path) as fleet:
        send(fleet, 1, "p-0", "p-1", "p-2", "p-3")
        fleet.retire("p-3")
        fleet.declare_silent(["p-0", "p-1", "p-3", "p-4", "nobody"], "its gateway is gone", by="gateway")
        fleet.declare_silent(["p-0"], "its gateway is gone", by="gateway")
        found = status(fleet)
        assert found == {
            "p-0": "stale",
            "p-1": "stale",
            "p-2": "reporting",
            "p-3": "retired",
            "p-4": "silent",
            "p-5": "silent",
        }
        send(fleet, 2, "p-0")
        assert status(fleet)["p-0"] == "reporting"
        before: Any = [fleet.twin(f"p-{i}").state() for i in range(6)]
    with LocalFleet(tmp_path, FleetConfig(hosts=2), VirtualClock(T0 + 2 * SECOND_US)) as again:
        assert [again.twin(f"p-{i}").state()["status"] for i in range(6)] == [
            each["status"] for each in before
        ]
