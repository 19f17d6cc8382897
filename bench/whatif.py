"""Budgets of the what-if engine, each beside what it is held against, measured in the same run.

* ``speed``: device-steps/s on one core, pumps at 1 min with all their alert rules and an operator who answers; at least 3 M,
  aim 8 M. References: Mesa and SimPy with one Python object a pump (``plain_pump.py``), and the bare compiled kernels
  over the same tiles, without crews, operator, ledger or tables.
* ``experiment``: 10 k twins, 24 h at 1 min, 20 replications of 2 arms, two Ray workers, end to end; at most 120 s.
* ``forks``: seconds to fork 100 k live twins, in one process and on Ray, and how long writes take meanwhile.
* ``growth``: a fleet that grows from 1 k to 1 M twins within a run: device-steps/s and memory.
* ``variance``: how wide a paired interval is beside that of independent runs, in two years of maintenance; half at most.

    python -m bench.whatif [speed experiment forks growth variance] [--small]
"""

import argparse
import os
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mesa
import numpy as np
import pyarrow.compute as pc
import simpy

from bench.report import report
from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()
os.environ["NUMBA_NUM_THREADS"] = "1"

from numba import njit  # noqa: E402

from bench.plain_pump import PlainPump, PlainType  # noqa: E402
from twins import physics  # noqa: E402
from twins.clock import SECOND_US  # noqa: E402
from twins.devices import PRIORITIES  # noqa: E402
from twins.events import event_buffer  # noqa: E402
from twins.fleet import Fleet, LocalFleet  # noqa: E402
from twins.fleetfiles import DeviceGroup, FleetSpec, Site  # noqa: E402
from twins.kernels import apply_lines  # noqa: E402
from twins.readings import all_present, round_into  # noqa: E402
from twins.simulation import Simulator  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402
from twins.whatif import intervals  # noqa: E402
from twins.whatif.cast import Cast, Setting  # noqa: E402
from twins.whatif.experiments import Experiment, Plan, Task  # noqa: E402
from twins.whatif.forks import Fork  # noqa: E402
from twins.whatif.presence import Estimated, as_known  # noqa: E402
from twins.whatif.replication import TILE  # noqa: E402
from twins.whatif.results import column  # noqa: E402
from twins.whatif.scenarios import Arm, Growth, Operator, Policy, Resources, Scenario, Span, Spare  # noqa: E402
from twins.whatif.synthetic import synthetic  # noqa: E402

STEP_S = 60.0
FLOOR, AIM = 3e6, 8e6
RUN_ON = Arm("run-to-failure")
WATCHED = Arm("threshold", policy=Policy("threshold", when="vibration > 4.0", action="replace-bearings"))
COOLED = Arm("seals", policy=Policy("threshold", when="seal_temperature > 80", action="replace-seal"))
PUMP = load_catalog()["centrifugal-pump"]


def spec(count: int, wear: tuple[float, float] = (0.0, 0.4), interval_s: float = STEP_S) -> FleetSpec:
    group = DeviceGroup(PUMP.name, count, ("here",), wear=wear, interval_s=interval_s)
    return FleetSpec("bench", (Site("here"),), (group,), tick_s=interval_s)


def forked(count: int, warm_up_h: float = 8.0, step_s: float = STEP_S) -> Fork:
    """Simulated pumps whose twins have a baseline."""
    return synthetic(spec(count), {PUMP.name: PUMP}, warm_up_h=warm_up_h, step_s=step_s)


def scenario(horizon_h: float, *arms: Arm, replications: int = 1) -> Scenario:
    """As a user would have it: an operator, crews, the shift, and the tables that are kept unless others are asked for."""
    return Scenario(
        "bench", arms or (RUN_ON,), horizon_h=horizon_h, step_s=STEP_S, bucket_h=min(24.0, horizon_h),
        replications=replications, resources=Resources(crews=4, shift=(7.0, 15.0)),
    )  # fmt: skip


# -- speed ---------------------------------------------------------------------------------------------------


def speed(small: bool) -> None:
    devices, hours = (500, 1.0) if small else (10_000, 6.0)
    found = forked(devices)
    asked = scenario(hours)
    plan = Plan(asked, found)
    plan.run(Task(RUN_ON.name, 0))  # compiles
    steps = devices * round(hours * 3600 / STEP_S)
    began = time.perf_counter()
    outcome = plan.run(Task(RUN_ON.name, 1))
    ran = steps / (time.perf_counter() - began)
    buckets = outcome.tables["buckets"]
    alerts = sum(pc.sum(buckets[f"alerts_{priority}"]).as_py() for priority in PRIORITIES)
    said = {"devices": devices, "channels": len(PUMP.channels), "rules": len(PUMP.rules), "hours": hours,
            "floor": FLOOR, "aim": AIM, "alerts_a_device": round(alerts / devices, 3)}  # fmt: skip
    few = 100 if small else 1000
    for name, rate in (
        ("Mesa, one Python object a pump", mesa_rate(few, 30)),
        ("SimPy, one Python process a pump", simpy_rate(few, 30)),
        ("the bare kernels: physics and scoring alone", bare_rate(found, asked)),
    ):
        report("whatif.run", ran, "device-steps/s/core", rate, name, **said)


def plain(devices: int) -> list[PlainPump]:
    of = PlainType(PUMP, STEP_S)
    return [PlainPump(of, random.Random(i)) for i in range(devices)]


def mesa_rate(devices: int, steps: int) -> float:
    """Device-steps a second of a Mesa model: agents that are shuffled and stepped, its usual way."""

    class Pump(mesa.Agent):
        def __init__(self, model: mesa.Model, pump: PlainPump) -> None:
            super().__init__(model)
            self.pump = pump

        def step(self) -> None:
            self.pump.step(self.model.now_s)

    class Pumps(mesa.Model):
        def __init__(self) -> None:
            super().__init__(seed=1)
            self.now_s = 0.0
            for pump in plain(devices):
                Pump(self, pump)

        def step(self) -> None:
            self.now_s += STEP_S
            self.agents.shuffle_do("step")

    model = Pumps()
    began = time.perf_counter()
    for _ in range(steps):
        model.step()
    return devices * steps / (time.perf_counter() - began)


def simpy_rate(devices: int, steps: int) -> float:
    """Device-steps a second of a SimPy model: a process a pump, a timeout a step."""
    env = simpy.Environment()

    def runs(pump: PlainPump) -> Iterator[simpy.Event]:
        while True:
            yield env.timeout(STEP_S)
            pump.step(env.now)

    for pump in plain(devices):
        env.process(runs(pump))
    began = time.perf_counter()
    env.run((steps + 0.5) * STEP_S)
    return devices * steps / (time.perf_counter() - began)


@njit
def bare(core, sig, alert, s, p, size, lim, sp, ap, resolution, per_unit, ambient_c, rows, event_us, values, present,
         start_us, step_us, steps, tile, out, ev):  # fmt: skip
    """Physics, rounding and scoring of all rows, tile by tile, and nothing else; what they say of alerts is thrown away."""
    n = len(s.device)
    for first in range(0, n, tile):
        stop = min(first + tile, n)
        m = stop - first
        for i in range(m):
            rows[i] = first + i
        for k in range(steps):
            t_us = start_us + (k + 1) * step_us
            physics.step(s, p, size, ambient_c, first, stop, t_us, values)
            round_into(values[:m], resolution, per_unit, values[:m])
            event_us[:m] = t_us
            done = 0
            while done < m:
                done = apply_lines(
                    core, sig, alert, lim, sp, ap, rows[:m], event_us[:m], values[:m], present[:m], t_us, done, out, ev
                )  # fmt: skip
                ev.used[0] = 0


def bare_rate(found: Fork, asked: Scenario) -> float:
    """Device-steps a second of the compiled parts alone, over the same devices and tiles."""
    setting = Setting.of(found, asked, RUN_ON, 0)
    steps = round(asked.horizon_h * 3600 / STEP_S)
    for wanted in (1, steps):  # the first compiles
        kind = Cast(setting, 0, found.types[PUMP.name], as_known, False, TILE)
        twins, model, room = kind.twins, kind.model, kind.room
        present, heard = np.full(TILE, all_present(len(PUMP.channels))), event_buffer(20_000)
        began = time.perf_counter()
        bare(
            twins.core, twins.signals, twins.alerts, twins.physics, model.physics, model.size, model.limits, model.signals,
            model.alerts, model.course.resolution, model.course.per_unit, np.array([10.0]), room.rows, room.event_us,
            room.values, present, found.at_us, round(STEP_S * SECOND_US), wanted, TILE, kind.lines, heard,
        )  # fmt: skip
        took = time.perf_counter() - began
    return len(found) * steps / took


# -- experiment ----------------------------------------------------------------------------------------------


def experiment(small: bool) -> None:
    from twins.whatif.ray_runner import RayRunner

    devices, hours, replications = (200, 2.0, 3) if small else (10_000, 24.0, 20)
    found = forked(devices)
    asked = scenario(hours, RUN_ON, WATCHED, replications=replications)
    steps = 2 * replications * devices * round(hours * 3600 / STEP_S)
    with ray_up(), tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        results = Experiment(asked, found).run(Path(out) / "run", RayRunner(workers=2))
        compared = results.compared()
        took = time.perf_counter() - began
    report(
        "whatif.experiment", took, "s", 120.0, "the limit", devices=devices, hours=hours, replications=replications, arms=2,
        workers=2, device_steps_a_second=round(steps / took), metrics=len(compared) // 2,
    )  # fmt: skip


@contextmanager
def ray_up() -> Iterator[None]:
    import ray

    ray.init(
        address="local", include_dashboard=False, num_cpus=2, object_store_memory=2 << 30,
        _node_ip_address="127.0.0.1", _temp_dir="/tmp/tfb", namespace="twinfold", log_to_driver=False, logging_level="error",
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


# -- forks ---------------------------------------------------------------------------------------------------


def forks(small: bool) -> None:
    devices, seconds = (2000, 3.0) if small else (100_000, 20.0)
    folder = Path(tempfile.mkdtemp(prefix="tfb-"))
    try:
        fleet: Fleet = LocalFleet(folder / "local")
        forks_of(fleet, "LocalFleet", devices, seconds)
        fleet.close()
        with ray_up():
            from cluster.settings import load
            from twins.ray_fleet import RayFleet

            settings = load({"data": str(folder), "fleet.hosts": 2}, {})
            on_ray = RayFleet(
                folder / "hosts",
                settings.fleet_config(os.cpu_count() or 1),
                settings.actor_config(),
                create=True,
            )
            forks_of(on_ray, "RayFleet", devices, seconds)
            on_ray.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forks_of(fleet: Fleet, name: str, devices: int, seconds: float) -> None:
    """Seconds a fork takes, and writes of a thousand lines with and without forks going on beside."""
    fleet.install(PUMP)
    simulator = Simulator(spec(devices, interval_s=1.0), {PUMP.name: PUMP}, start_us=time.time_ns() // 1000)
    fleet.register(simulator.devices)
    for _ in range(3):
        fleet.write_many(list(simulator.advance(simulator.next_us())))
    quiet = writes_for(fleet, simulator, seconds, lambda: None)
    took: list[float] = []
    bytes_of: list[int] = []

    def one_fork() -> None:
        began = time.perf_counter()
        bytes_of.append(fleet.fork().nbytes)
        took.append(time.perf_counter() - began)

    one_fork()
    took.clear()
    busy = writes_for(fleet, simulator, seconds, one_fork)
    said = {
        "devices": devices,
        "fleet": name,
        "forks": len(took),
        "bytes_a_twin": round(bytes_of[0] / devices),
    }
    report(
        "whatif.fork",
        float(np.median(took)),
        "s",
        devices * 600 / 1e9,
        "copying 600 bytes a twin at 1 GB/s",
        **said,
    )
    for q, called in ((0.5, "p50"), (0.99, "p99")):
        report(
            f"write {called} while forks run", float(np.quantile(busy, q)) * 1e3, "ms",
            float(np.quantile(quiet, q)) * 1e3, "the same writes in quiet", writes=len(busy), lines=1000, **said,
        )  # fmt: skip


def writes_for(fleet: Fleet, simulator: Simulator, seconds: float, beside: Callable[[], None]) -> list[float]:
    """How long each write of up to a thousand lines takes, s, while ``beside`` is done again and again."""
    stop = threading.Event()

    def again() -> None:
        while not stop.is_set():
            beside()
            stop.wait(0.05)

    thread = threading.Thread(target=again)
    thread.start()
    took: list[float] = []
    until = time.perf_counter() + seconds
    try:
        while time.perf_counter() < until:
            for batch in simulator.advance(simulator.next_us()):
                for first in range(0, len(batch), 1000):
                    lines = slice(first, first + 1000)
                    part = replace(
                        batch, index=batch.index[lines], event_us=batch.event_us[lines], values=batch.values[lines]
                    )  # fmt: skip
                    began = time.perf_counter()
                    fleet.write(part)
                    took.append(time.perf_counter() - began)
                    if began > until:
                        return took
    finally:
        stop.set()
        thread.join()
    return took


# -- growth --------------------------------------------------------------------------------------------------


def growth(small: bool) -> None:
    first, last, waves = (100, 2000, 4) if small else (1000, 1_000_000, 6)
    found = forked(first)
    hours = float(waves)
    asked = scenario(hours, RUN_ON)
    Plan(asked, found).run(Task(RUN_ON.name, 0))  # compiles
    began = time.perf_counter()
    Plan(asked, found).run(Task(RUN_ON.name, 1))
    before = first * round(hours * 3600 / STEP_S) / (time.perf_counter() - began)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    more = (last - first) // (waves - 1)
    grows = Arm("grows", interventions=(Growth(PUMP.name, more, site="here", span=Span(1.0, every_h=1.0)),))
    began = time.perf_counter()
    outcome = Plan(scenario(hours, grows), found).run(Task(grows.name, 0))
    took = time.perf_counter() - began
    steps = float(pc.sum(outcome.tables["buckets"]["service_h"]).as_py()) * 3600 / STEP_S
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident
    in_all = first + more * (waves - 1)
    report(
        "whatif.growth", steps / took, "device-steps/s/core", before, "before it grows", devices=in_all, from_devices=first,
        hours=hours, took_s=round(took, 1), floor=FLOOR, aim=AIM,
    )  # fmt: skip
    report(
        "whatif.growth, memory", grown / in_all, "bytes a twin", found.nbytes / first, "a forked twin's state",
        devices=in_all, peak_mb=round((resident + grown) / 1e6),
    )  # fmt: skip


# -- variance ------------------------------------------------------------------------------------------------


def variance(small: bool) -> None:
    """Run to failure against two thresholds: on vibration, which changes much, and on hot seals, which changes little."""
    devices, horizon_h, replications = (6, 17520.0, 4) if small else (30, 17520.0, 40)
    found = forked(devices, 2000.0, 4 * 3600.0)
    nothing_known = replace(found, types={k: replace(v, physics=None) for k, v in found.types.items()})
    asked = replace(
        scenario(horizon_h, RUN_ON, WATCHED, COOLED, replications=replications),
        step_s=4 * 3600.0, dispatch_h=24.0, bucket_h=horizon_h, operator=Operator(present=False), keep=(),
        resources=Resources(crews=2, spares={"bearing-set": Spare(2, 72.0)}), metrics=("cost", "availability", "failures"),
    )  # fmt: skip
    shared, other = (
        Experiment(replace(asked, seed=seed), nothing_known, Estimated({})).run() for seed in (1, 2)
    )
    numbers = np.arange(replications, dtype=np.int32)
    for each in shared.compared():
        against = each.against_reference
        if against is None:
            continue
        here = column(shared.values(), each.metric, each.arm, numbers)
        elsewhere = column(other.values(), each.metric, RUN_ON.name, numbers)
        alone = intervals.paired(
            here, elsewhere, lower_is_better=True, level=asked.level
        ).difference.half_width
        report(
            f"whatif.variance, {each.metric}", against.difference.half_width, "half-width, shared luck", alone,
            "half-width, independent runs", arm=each.arm,
            correlation=None if np.isnan(against.correlation) else round(against.correlation, 3),
            limit_of_ratio=0.5,
            difference=round(against.difference.value, 4), replications=replications, devices=devices, horizon_h=horizon_h,
        )  # fmt: skip


PARTS: dict[str, Callable[[bool], None]] = {
    "speed": speed,
    "experiment": experiment,
    "forks": forks,
    "growth": growth,
    "variance": variance,
}


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="all of them, unless some are named"
    )
    arguments.add_argument("--small", action="store_true", help="to try it: the figures mean nothing")
    options = arguments.parse_args()
    token = Path(tempfile.mkdtemp(prefix="tfb-"))  # Ray reads its token once a process
    os.environ.update(ray_environment(token))
    try:
        for part in options.parts or PARTS:
            PARTS[part](options.small)
    finally:
        shutil.rmtree(token, ignore_errors=True)


if __name__ == "__main__":
    main()
