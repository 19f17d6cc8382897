"""What alerts cost a line on which nothing changes: timers and conditions of 20 rules on 8 channels.

    python -m bench.alert_rules

The reference is the same pass over the devices without alerts.
"""

import time
from typing import Any, NamedTuple

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from twins import lifecycle  # noqa: E402
from twins.alert_state import AlertState, blank_alerts  # noqa: E402
from twins.compiling import kernel  # noqa: E402
from twins.devices import AlertRule, Channel, DeviceType  # noqa: E402
from twins.events import EventBuffer, event_buffer  # noqa: E402
from twins.rules import AlertParams, compile_rules  # noqa: E402

ROWS = 100_000
CHANNELS = 8
SECOND_US = 1_000_000


class Core(NamedTuple):
    last_value: NDArray[np.float32]
    bad: NDArray[np.uint64]
    event_us: NDArray[np.int64]
    heard_us: NDArray[np.int64]
    interval_us: NDArray[np.int64]
    status: NDArray[np.uint8]


class Signals(NamedTuple):
    health: NDArray[np.float32]
    anomaly_score: NDArray[np.float32]
    anomalous: NDArray[np.uint8]
    patterns: NDArray[np.uint8]


def rules() -> tuple[AlertRule, ...]:
    """Two limits on six channels, four that join two channels, and one of each other kind."""
    conditions = [f"c{i} > {limit}" for i in range(6) for limit in (80, 90)]
    conditions += [f"c6 < {10 - i} and c7 > {50 + i}" for i in range(4)]
    conditions += ["health < 50", "anomalous or pattern.drift", "silent_s > 600", "bad(c0)"]
    return tuple(AlertRule(f"r{k}", when, "low", "loss", "look") for k, when in enumerate(conditions))


@kernel
def one_line_each(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    rows: int,
    now_us: int,
    with_alerts: bool,
    ev: EventBuffer,
) -> None:
    """A line of every device, as the live path hands them to alerts."""
    for r in range(rows):
        if with_alerts:
            lifecycle.fire_due(a, p, core, s, r, now_us, now_us, ev)
        core.event_us[r] = now_us
        core.heard_us[r] = now_us
        if with_alerts:
            lifecycle.evaluate(a, p, core, s, r, now_us, now_us, np.uint64(255), ev)


def main() -> None:
    """Print ns a line."""
    device_type = DeviceType("rig", 1, tuple(Channel(f"c{i}", "1") for i in range(CHANNELS)), rules=rules())
    core = Core(
        np.full((ROWS, CHANNELS), 50, np.float32),
        np.zeros(ROWS, np.uint64),
        np.zeros(ROWS, np.int64),
        np.zeros(ROWS, np.int64),
        np.full(ROWS, SECOND_US, np.int64),
        np.zeros(ROWS, np.uint8),
    )
    signals = Signals(
        np.full(ROWS, 95, np.float32),
        np.zeros(ROWS, np.float32),
        np.zeros(ROWS, np.uint8),
        np.zeros((ROWS, CHANNELS), np.uint8),
    )
    state, params = blank_alerts(ROWS, device_type), compile_rules(device_type)
    ev = event_buffer(2 * lifecycle.MAX_EVENTS)
    best = {True: float("inf"), False: float("inf")}
    for step in range(1, 16):
        for with_alerts in (True, False):
            started = time.perf_counter()
            one_line_each(state, params, core, signals, ROWS, step * SECOND_US, with_alerts, ev)
            best[with_alerts] = min(best[with_alerts], (time.perf_counter() - started) / ROWS * 1e9)
    report(
        "alerts a line", best[True], "ns", best[False], "the same pass without alerts",
        rules=len(device_type.rules), comparisons=len(params.atoms),
        bytes_a_device=state.nbytes // ROWS,
    )  # fmt: skip


if __name__ == "__main__":
    main()
