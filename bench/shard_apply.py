"""Budget: ``Shard.apply``, one core, no journal, all analytics: at least 3 M readings/s of 8 channels, aim 8 M.

Also the memory a twin takes while its alerts are at rest, as bytes = a + b channels + c channels² + d rules, and the time
``advance`` needs to look at every twin. Reference: the same lines through numpy that only keeps last values and an
exponentially weighted mean, which is less than a tenth of the work.

    python bench/shard_apply.py [--twins 100000] [--rounds 60]
"""

import argparse
import time

import numpy as np

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from twins.alert_state import ENTRY  # noqa: E402
from twins.clock import SECOND_US  # noqa: E402
from twins.commands import RegisterDevices  # noqa: E402
from twins.devices import AlertRule, Channel, Device, DeviceType, OperatingCondition  # noqa: E402
from twins.readings import ShardBatch, all_present, rounded  # noqa: E402
from twins.shard import Shard  # noqa: E402
from twins.state import blank_state  # noqa: E402

T0 = 1_760_000_000 * SECOND_US


def some_channels(baseline: int, gauges: int = 7, limits: int = 17) -> DeviceType:
    """So many gauges beside one condition with four regimes, so many rules about limits and three others."""
    channels = (
        Channel("load", "%", low=-1000, high=1000, resolution=0.1, condition=True),
        *(Channel(f"c{i}", "1", low=-1000, high=1000, resolution=0.01) for i in range(gauges)),
    )
    named = [f"c{i % gauges}" for i in range(limits)]
    rules = (
        *(
            AlertRule(f"r{i}", f"{c} > {8 + i}", "high", "it breaks", "look", deadband={c: 0.5})
            for i, c in enumerate(named)
        ),
        AlertRule("ill", "health < 40", "medium", "it breaks", "look"),
        AlertRule("odd", "anomalous and c1 > 3", "low", "it breaks", "look"),
        AlertRule("silent", "silent_s > 600", "low", "blind", "look"),
    )
    return DeviceType(
        "bench", 1, channels, interval_s=1.0, baseline_readings=baseline, rules=rules,
        conditions=(OperatingCondition("load", (25.0, 50.0, 75.0)),),
    )  # fmt: skip


def memory_law() -> dict[str, float]:
    """Bytes of one twin with one condition of four regimes, by channels and rules; least squares over sixteen sizes."""
    sizes = [(gauges, limits) for gauges in (3, 7, 15, 31) for limits in (0, 7, 17, 40)]
    measured = [blank_state(64, some_channels(20, *size)).nbytes / 64 for size in sizes]
    terms = np.array([[1.0, g + 1, (g + 1) ** 2, limits + 3] for g, limits in sizes])
    found = np.linalg.lstsq(terms, np.array(measured), rcond=None)[0]
    return {name: round(float(x), 2) for name, x in zip("abcd", found, strict=True)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=60)
    options = arguments.parse_args()
    n, baseline = options.twins, 20
    device_type = some_channels(baseline)
    shard = Shard(device_type)
    shard.command(
        RegisterDevices(
            command_id="r", by="bench", device_type="bench",
            devices=tuple(Device(f"dev-{i:07d}", "bench") for i in range(n)),
        ),
        T0,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    rows, present = np.arange(n, dtype=np.int32), np.full(n, all_present(8))
    rounds = []
    for _ in range(8):
        values = rng.normal(size=(n, 8))
        values[:, 0] = rng.uniform(0, 100, n)
        rounds.append(rounded(values, device_type))

    spent = settled = 0.0
    timed = 0
    settled_from = (
        options.rounds + 6 * baseline
    )  # by then each of the four regimes has been met as often as it learns
    for i in range(settled_from + 20):
        now_us = T0 + (i + 1) * SECOND_US
        batch = ShardBatch(rows, np.full(n, now_us), rounds[i % 8], present)
        began = time.perf_counter()
        shard.apply(batch, now_us)
        took = time.perf_counter() - began
        if baseline + 10 < i < options.rounds:  # the baseline stands, its regimes are still learned
            spent, timed = spent + took, timed + 1
        elif i >= settled_from:
            settled += took

    last = np.full((n, 8), np.nan, np.float32)
    mean = np.zeros((n, 8), np.float32)
    began = time.perf_counter()
    for i in range(timed):
        values = rounds[i % 8]
        good = np.isfinite(values) & (values > -1000) & (values < 1000)
        np.copyto(last, values, where=good)
        mean += np.where(good, 0.05 * (values - mean), 0)
    reference = timed * n / (time.perf_counter() - began)
    report(
        "Shard.apply", timed * n / spent, "readings/s, one core", reference, "numpy: last values and one EWMA",
        twins=n, channels=8, rules=20, regimes=4, floor=3e6, aim=8e6,
    )  # fmt: skip
    report(
        "Shard.apply, all regimes known", 20 * n / settled, "readings/s, one core", reference,
        "numpy: last values and one EWMA", twins=n, channels=8, rules=20, regimes=4, floor=3e6, aim=8e6,
    )  # fmt: skip
    report("memory a twin", shard.state.nbytes / shard.state.capacity, "bytes", 1000.0, "floor of 1 kB; aim 600",
           twins=n, **memory_law(), alert_not_at_rest=ENTRY.itemsize,
           roster_bytes=sum(c.nbytes for c in shard.roster.columns().values()) / n)  # fmt: skip
    shard.advance(now_us + 1)  # compiles
    began = time.perf_counter()
    shard.advance(now_us + 2)
    report(
        "Shard.advance, nothing due",
        (time.perf_counter() - began) * 1e3,
        "ms",
        20.0,
        "longest hold allowed",
        twins=n,
    )


if __name__ == "__main__":
    main()
