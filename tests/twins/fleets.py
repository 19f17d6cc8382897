"""Random fleets and their readings, for the tests that hold every fleet to the same results."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from twins import entries
from twins.clock import SECOND_US
from twins.devices import AlertRule, Channel, Device, DeviceType, OperatingCondition
from twins.events import decode
from twins.fleet import Fleet, LocalFleet
from twins.readings import ReadingBatch

T0 = 1_760_000_000 * SECOND_US

PUMP = DeviceType(
    name="test-pump",
    version=1,
    title="Pump for tests",
    interval_s=1.0,
    baseline_readings=20,
    channels=(
        Channel("load", "%", low=0, high=100, resolution=0.1, condition=True),
        Channel("vibration", "mm/s", low=0, high=50, resolution=0.01),
        Channel("temperature", "Cel", low=-40, high=150, resolution=0.1),
    ),
    conditions=(OperatingCondition("load", (50.0,)),),
    rules=(
        AlertRule(
            "vibration-high", "vibration > 7.1", "high", "bearing damage", "plan a repair",
            deadband={"vibration": 0.5}, on_delay_s=2.0, off_delay_s=3.0, suppressed_by=("stale", "alert"),
        ),
        AlertRule("hot", "temperature > 90", "critical", "seizure", "stop it", on_delay_s=0.0, off_delay_s=0.0, latch=True),
        AlertRule("silent", "silent_s > 20", "low", "blind", "check the gateway"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One reading of one device, as a gateway would send it."""

    now_us: int
    device: str
    event_us: int
    values: tuple[float, ...]
    present: int


def random_lines(rng: np.random.Generator, devices: list[str], steps: int) -> list[Line]:
    """Readings with everything that goes wrong in the field: gaps, NaN, repeats, late ones, clocks that run ahead."""
    lines: list[Line] = []
    now_us = T0
    last: dict[str, int] = dict.fromkeys(devices, T0)
    sick = set(rng.choice(devices, size=max(1, len(devices) // 3), replace=False).tolist())
    for step in range(steps):
        now_us += int(rng.integers(0, 3)) * SECOND_US // 2
        if rng.random() < 0.02:
            now_us += 40 * SECOND_US
        for device in devices:
            if rng.random() < 0.15:
                continue
            event_us = last[device] + int(rng.choice([1, 1, 1, 1, 2, 5, 0, -3])) * SECOND_US
            if rng.random() < 0.01:
                event_us = now_us + 3600 * SECOND_US
            elif event_us > last[device]:
                last[device] = event_us
            level = 9.0 if device in sick and (step // 15) % 2 else 2.0
            values = [
                float(rng.uniform(20, 80)), level + float(rng.normal(0, 0.2)), 60 + float(rng.normal(0, 1.0)) + 4 * level,
            ]  # fmt: skip
            for channel in range(3):
                if rng.random() < 0.03:
                    values[channel] = float(rng.choice([np.nan, np.inf, -1000.0]))
            present = 0b111 if rng.random() < 0.9 else int(rng.integers(0, 8))
            lines.append(Line(now_us, device, event_us, tuple(values), present))
    return lines


def batch_of(lines: list[Line], device_type: DeviceType = PUMP) -> ReadingBatch:
    """The lines as one batch, in their order."""
    ids = list(dict.fromkeys(line.device for line in lines))
    return ReadingBatch(
        device_type.name,
        pa.array(ids, pa.string()),
        np.array([ids.index(line.device) for line in lines], np.int32),
        np.array([line.event_us for line in lines], np.int64),
        np.array([line.values for line in lines], np.float64).reshape(len(lines), len(device_type.channels)),
        np.array([line.present for line in lines], np.uint64),
    )


def pumps(count: int) -> list[Device]:
    return [Device(f"pump-{i}", PUMP.name, site="oslo" if i % 2 else "porto") for i in range(count)]


def events_by_device(fleet: LocalFleet) -> dict[str, list[tuple[Any, ...]]]:
    """What each device went through, in order, as the journals tell it."""
    told: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for host in fleet.hosts():
        shards = fleet.shard_hosts()[host].shards
        ids = {name: shard.roster.index.ids().to_pylist() for name, shard in shards.items()}
        cursor = 0
        while page := fleet.read_after(host, cursor, 500):
            for entry in page:
                cursor = entry.cursor
                if not entry.events:
                    continue
                for name, batch in entries.decode_events(entry.events).items():
                    device_type = fleet.types[name]
                    for event in decode(
                        batch,
                        device_id=ids[name].__getitem__,
                        rules=[rule.name for rule in device_type.rules],
                        channels=device_type.channel_names,
                        recorded_us=entry.now_us,
                        cursor=entry.cursor,
                    ):
                        if event.device_id:
                            detail = tuple(sorted((k, str(v)) for k, v in event.detail.items()))
                            told[event.device_id].append((event.type, event.at_us, detail))
    return dict(told)


def states(fleet: Fleet, devices: list[str]) -> dict[str, dict[str, Any]]:
    """Everything each twin knows."""
    return {device: fleet.read_twin(device) for device in devices}
