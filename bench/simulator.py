"""How fast the simulator is, on one core, against a plain numpy generator of the same lines in the same run.

Budgets: what-if physics at least 3 M device-steps/s/core, aim 8 M; the fleet simulator 1 M devices at 1 s.

    python bench/simulator.py [--devices 1000000] [--seconds 5]
"""

import argparse
import time

import numpy as np

from bench.report import report
from twins.draws import name_keys
from twins.fleetfiles import DeviceGroup, FleetSpec, Site
from twins.physics import Sites, ambient, begin, blank_physics, physics_params, step, step_size
from twins.simulation import Simulator
from twins.typefiles import load_catalog

START_US = 1_767_225_600_000_000


def main() -> None:
    """Print one line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--type", default="centrifugal-pump")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    device_type = load_catalog()[options.type]
    channels = len(device_type.channels)
    reference = plain_numpy(20_000, channels, options.seconds / 5)
    conditions = {"devices": options.devices, "channels": channels, "type": options.type}
    report(
        "physics.step", physics(device_type, 20_000, options.seconds), "device-steps/s/core",
        reference, "numpy: channels of normal noise on a constant", **{**conditions, "devices": 20_000},
    )  # fmt: skip
    built_s, lines = simulator(device_type, options.devices, options.seconds)
    report(
        "simulator.lines", lines, "lines/s/core", reference, "numpy: channels of normal noise on a constant",
        **conditions,
    )  # fmt: skip
    report("simulator.build", built_s, "s", options.devices / 1e6, "1 s for a million devices", **conditions)


def plain_numpy(lines: int, channels: int, seconds: float) -> float:
    """Lines a second of what anyone would write first: noise around a constant, no state, no damage."""
    draw = np.random.default_rng(1)
    return rate(lambda: draw.standard_normal((lines, channels), np.float32) * 0.1 + 20.0, lines, seconds)


def physics(device_type, devices: int, seconds: float) -> float:  # type: ignore[no-untyped-def]
    """Device-steps a second of the compiled step alone."""
    params, state = physics_params(device_type), blank_physics(devices, device_type)
    state.device[:] = name_keys(f"device-{i}" for i in range(devices))
    begin(state, params, 0, devices, 1, 0)
    sites = Sites(*(np.array([value]) for value in (10.0, 8.0, 3.0, 2.0)), key=np.array([1], np.uint64))
    ambient_c = np.empty(1)
    ambient(sites, START_US, ambient_c)
    size = step_size(params, 5.0)
    values = np.empty((devices, len(device_type.channels)), device_type.dtype)
    at_us = START_US

    def one() -> None:
        nonlocal at_us
        at_us += 5_000_000
        step(state, params, size, ambient_c, 0, devices, at_us, values)

    one()
    return rate(one, devices, seconds)


def simulator(device_type, devices: int, seconds: float) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Seconds to build a fleet, and lines a second of the whole simulator at a 1 s cadence."""
    group = DeviceGroup(
        device_type.name, devices, ("oslo",), id="{site}-{n}", interval_s=1.0, wear=(0.0, 0.4)
    )
    fleet = FleetSpec("bench", (Site("oslo"),), (group,), repair_after_s=600.0)
    began = time.perf_counter()
    simulated = Simulator(fleet, {device_type.name: device_type}, start_us=START_US)
    built_s = time.perf_counter() - began
    at_us = START_US
    for _ in simulated.advance(at_us):
        pass

    def one() -> None:
        nonlocal at_us
        at_us += 1_000_000
        for _ in simulated.advance(at_us):
            pass

    return built_s, rate(one, devices, seconds)


def rate(work, lines: int, seconds: float) -> float:  # type: ignore[no-untyped-def]
    """Lines a second of ``work``, repeated for about ``seconds``."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        done += lines
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
