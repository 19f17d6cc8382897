"""Budget: on a healthy fleet at most one alert a device and month; also how often anomalies and patterns are seen there.

    python bench/healthy.py [--devices 20] [--days 30] [--types centrifugal-pump ...] [--seed 1]

For each type of the catalogue, a fleet without wear, injections or losses in delivery reports at the type's own
cadence for a month of spring, through the same door as any gateway, on a virtual clock. Loads, weather, noise and
offsets are the simulator's; half of the devices stand in Oslo's climate, half in Madrid's. Nothing is wrong with
any of them, so whatever is told is false. The reference is what is often put in place by hand: each channel's mean and
standard deviation over the device's first readings, as many as make its baseline here, and an alarm beyond four of
them, which ends within three.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from twins.clock import DAY_US, HOUR_US, VirtualClock  # noqa: E402
from twins.compiling import kernel  # noqa: E402
from twins.devices import DeviceType  # noqa: E402
from twins.events import Kind  # noqa: E402
from twins.fleet import LocalFleet  # noqa: E402
from twins.fleetfiles import Climate, DeviceGroup, FleetSpec, Site  # noqa: E402
from twins.readings import ReadingBatch, rounded  # noqa: E402
from twins.simulation import Simulator  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402

START_US = 1_775_001_600_000_000  # 2026-04-01: spring, when a month differs most from the next
MONTH_DAYS = 30
BLOCK_LINES = 20_000
SITES = (
    Site("oslo", climate=Climate(6.3, 11.0, 3.5, 3.0)),
    Site("madrid", climate=Climate(15.0, 9.5, 6.0, 2.5)),
)
TOLD = (Kind.ALERT_RAISED, Kind.ALERT_RERAISED)


def main() -> None:
    """Print one line of JSON a type and figure, then those of the whole catalogue."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=20, help="of each type")
    parser.add_argument("--days", type=float, default=MONTH_DAYS)
    parser.add_argument("--types", nargs="*", help="all of the catalogue, if none is named")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    catalog = load_catalog()
    chosen = options.types or sorted(catalog)
    totals = np.zeros(5)
    for name in chosen:
        counts = count_told(catalog[name], options.devices, options.days, options.seed)
        totals += counts
        tell(name, counts, options.seed)
    if len(chosen) > 1:
        tell("all types", totals, options.seed)


def tell(name: str, counts: NDArray[np.float64], seed: int) -> None:
    months, alerts, anomalies, patterns, naive = counts.tolist()
    reference, what = naive / months, "alarms at four standard deviations"
    for told, figure in (("alerts", alerts), ("anomalies", anomalies), ("patterns", patterns)):
        report(
            f"healthy {name}: {told} a device-month", figure / months, "1", reference, what,
            budget=1.0, device_months=round(months, 2), seed=seed,
        )  # fmt: skip


def count_told(device_type: DeviceType, devices: int, days: float, seed: int) -> NDArray[np.float64]:
    """Device-months, and in them alerts, onsets of anomalies and of patterns, and the reference's alarms."""
    group = DeviceGroup(device_type.name, -(-devices // len(SITES)), tuple(site.name for site in SITES))
    interval_s = device_type.interval_s or 5.0
    spec = FleetSpec("healthy", SITES, (group,), seed=seed, tick_s=interval_s, speedup=0.0)
    simulator = Simulator(spec, {device_type.name: device_type}, start_us=START_US)
    clock = VirtualClock(START_US)
    fleet = LocalFleet(clock=clock)
    fleet.install(device_type)
    fleet.register([replace(device, importing=True) for device in simulator.devices])
    naive = Naive(len(simulator.devices), device_type)
    end_us = START_US + round(days * DAY_US)
    kinds: list[NDArray[Any]] = []
    for batch in blocks(simulator, end_us):
        clock.advance_to(int(batch.event_us.max()))
        told = fleet.write(batch, trace=True)
        kinds += [events.records["kind"] for _, _, events in told.events]
        naive.follow(batch)
    kind = np.concatenate(kinds) if kinds else np.zeros(0, np.int16)
    found = [np.isin(kind, which).sum() for which in (TOLD, Kind.ANOMALY_STARTED, Kind.PATTERN_STARTED)]
    return np.array([len(simulator.devices) * days / MONTH_DAYS, *found, naive.alarms], np.float64)


def blocks(simulator: Simulator, end_us: int) -> Iterator[ReadingBatch]:
    """The readings up to ``end_us``, as a gateway that sends what it gathered now and then."""
    held: list[ReadingBatch] = []
    lines = 0
    at_us = START_US
    while at_us < end_us:
        at_us = min(at_us + HOUR_US, end_us)
        for batch in simulator.advance(at_us):
            held.append(batch)
            lines += len(batch)
        if held and (lines >= BLOCK_LINES or at_us >= end_us):
            yield joined(held)
            held, lines = [], 0


def joined(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    """One batch of several over the same ids."""
    return ReadingBatch(
        batches[0].device_type,
        batches[0].ids,
        np.concatenate([batch.index for batch in batches]),
        np.concatenate([batch.event_us for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
    )


class Naive:
    """Alarms beyond four standard deviations of each channel's first readings."""

    def __init__(self, devices: int, device_type: DeviceType) -> None:
        self.device_type = device_type
        self.scored = np.array([c.kind == "gauge" and not c.condition for c in device_type.channels])
        shape = (devices, len(device_type.channels))
        self.count = np.zeros(devices, np.int64)
        self.mean, self.square, self.high = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.bool_)
        self.alarms = 0

    def follow(self, batch: ReadingBatch) -> None:
        values = rounded(batch.values, self.device_type).astype(np.float64)
        self.alarms += _naive(
            batch.index, values, self.scored, self.device_type.baseline_readings,
            self.count, self.mean, self.square, self.high,
        )  # fmt: skip


@kernel
def _naive(
    rows: NDArray[np.int32],
    values: NDArray[np.float64],
    scored: NDArray[np.bool_],
    baseline: int,
    count: NDArray[np.int64],
    mean: NDArray[np.float64],
    square: NDArray[np.float64],
    high: NDArray[np.bool_],
) -> int:
    alarms = 0
    for i in range(len(rows)):
        r = rows[i]
        learning = count[r] < baseline
        count[r] += 1
        for c in range(len(scored)):
            if not scored[c]:
                continue
            off = values[i, c] - mean[r, c]
            if learning:
                mean[r, c] += off / count[r]
                square[r, c] += off * (values[i, c] - mean[r, c])
                continue
            spread = np.sqrt(square[r, c] / baseline)
            if high[r, c]:
                high[r, c] = abs(off) > 3.0 * spread
            elif abs(off) > 4.0 * spread:
                high[r, c] = True
                alarms += 1
    return alarms


if __name__ == "__main__":
    main()
