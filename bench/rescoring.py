"""Requirement: a million twins are forecast anew within 30 s on two cores, off the actors, by a model that is new in force.

    python -m bench.rescoring [--twins 1000000] [--every 20]

A fleet on Ray: two hosts of pumps that have been heard, the platform's scorer, a model of 250 trees in each of ten folds
that is put in force. Taken is the time of the scorer's round, from the first question to the last forecast that is durable:
for devices that the model knows, each judged by one fold's trees, and for devices that are new to it, by those of all.
Meanwhile a batch is written every ``every`` ms, and its time to be durable taken, as before with nobody scoring.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import report
from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()
os.environ["NUMBA_NUM_THREADS"] = "1"

PUMP = "centrifugal-pump"
LINES = 2_000
WARM = 10


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--twins", type=int, default=1_000_000)
    arguments.add_argument("--every", type=float, default=20.0, help="ms between batches")
    options = arguments.parse_args()
    token = Path(tempfile.mkdtemp(prefix="tfb-"))  # Ray reads its token once a process
    os.environ.update(ray_environment(token))
    folder = Path(tempfile.mkdtemp(prefix="tfb-"))
    try:
        run(folder, options.twins, options.every / 1000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, twins: int, every_s: float) -> None:
    import ray

    from cluster.services import scoring
    from cluster.settings import load
    from tests.models import MANIFEST
    from training.registry import FOLDER as MODELS
    from training.registry import Registry
    from twins.fleetfiles import parse_fleet
    from twins.placement import OneFolder
    from twins.ray_fleet import RayFleet
    from twins.simulation import Simulator
    from twins.typefiles import load_catalog

    pump = replace(load_catalog()[PUMP], baseline_readings=8)
    group = f"{{type: {PUMP}, count: {twins}, interval_s: 1, id: 'p{{n:07}}'}}"
    text = f"name: bench\nseed: 1\nsites: [{{name: here}}]\ndevices: [{group}]\n"
    settings = load({"data": str(folder), "fleet.hosts": 2}, {})
    ray.init(
        address="local", include_dashboard=False, num_cpus=2, object_store_memory=4 << 30,
        _node_ip_address="127.0.0.1", _temp_dir="/tmp/tfb", namespace="twinfold", log_to_driver=False, logging_level="error",
    )  # fmt: skip
    try:
        fleet = RayFleet(
            folder / "hosts", settings.fleet_config(os.cpu_count() or 1), settings.actor_config(), create=True
        )
        fleet.install(pump)
        simulator = Simulator(parse_fleet(text, {PUMP: pump}), {PUMP: pump}, start_us=time.time_ns() // 1000)
        fleet.register(simulator.devices)
        for _ in range(WARM):
            batches = list(simulator.advance(simulator.next_us()))
            fleet.write_many(batches)
        registry = Registry(folder / MODELS)
        service = scoring.start(folder, settings.scoring, {}, OneFolder(folder / "hosts"))
        writing = Writing(fleet, few(batches[0]), every_s)
        quiet = writing.during(lambda: time.sleep(5.0))  # so long writes are taken with nobody scoring
        for known in (True, False):
            arrays = made(fleet, known)
            version = registry.add(replace(MANIFEST, device_type=PUMP, failure_modes=()), arrays).version
            registry.promote(PUMP, version, "bench")
            busy = writing.during(partial(until_scored, service, version))
            done = ray.get(service.handle.status.remote())["rounds"][PUMP]
            report(
                f"twins forecast anew, {'known to the model' if known else 'new to it'}", done["seconds"], "s", 30.0,
                "required for a million", twins=done["devices"], told=done["told"], unlike=done["unlike"],
                write_p50_ms=quantile_ms(busy, 0.5), write_p99_ms=quantile_ms(busy, 0.99), writes=len(busy),
                write_quiet_p50_ms=quantile_ms(quiet, 0.5), write_quiet_p99_ms=quantile_ms(quiet, 0.99),
            )  # fmt: skip
        service.stop()
        fleet.close()
    finally:
        ray.shutdown()


def until_scored(service: Any, version: int) -> None:
    """Return once all devices have been asked about by a version."""
    import ray

    until_s = time.perf_counter() + 600
    while time.perf_counter() < until_s:
        status = ray.get(service.handle.status.remote())
        if status["rounds"].get(PUMP, {}).get("model") == version:
            return
        time.sleep(0.2)  # asked too often, the actor would be kept from scoring
    raise SystemExit(f"not scored: {status}")


def made(fleet: Any, known: bool) -> dict[str, Any]:
    """A model of as many trees as a trained one has, from the fleet's own devices and lives that are drawn."""
    from training.boosting import Boosting, fit
    from training.survival import (
        FOLDS,
        Curves,
        Likeness,
        Norm,
        SurvivalModel,
        design,
        keys_of,
        restricted,
        times_for,
    )  # fmt: skip

    of = fleet.scorable(0, PUMP, 0, 8_000, True)
    rng = np.random.default_rng(1)
    norm = Norm.learned(of.known)
    x = design(of.known, norm, True)
    left_h = 300.0 * np.exp(np.nan_to_num(x[:, 0]) / 4 + rng.normal(0, 0.3, len(x)))
    target, fold = restricted(left_h, np.ones(len(x), bool), 720.0), np.arange(len(x)) % FOLDS
    folds = tuple(fit(x[fold != k], target[fold != k], Boosting(), k) for k in range(FOLDS))
    scores = np.choose(fold, [trees.predict(x) for trees in folds])
    curves = Curves.learned(scores, left_h, np.ones(len(x), bool), times_for(left_h, 720.0))
    likeness = replace(Likeness.learned(x), limits=np.full(2, np.inf))
    everyone = (
        np.unique(keys_of(fleet.live(PUMP)["device_id"].combine_chunks()))
        if known
        else np.zeros(0, np.uint64)
    )
    model = SurvivalModel(norm, True, 720.0, folds, (), curves, likeness, everyone)
    return model.arrays()


def few(batch: Any) -> Any:
    """The first lines of a batch."""
    kept = {name: getattr(batch, name)[:LINES] for name in ("index", "event_us", "values")}
    present = None if batch.present is None else batch.present[:LINES]
    return replace(batch, present=present, **kept)


class Writing:
    """Writes a batch again and again with newer times, and takes how long each takes to be durable."""

    def __init__(self, fleet: Any, batch: Any, every_s: float) -> None:
        self._fleet, self._batch, self._every_s = fleet, batch, every_s

    def during(self, work: Any) -> list[float]:
        """Seconds of each write while ``work`` is under way."""
        taken: list[float] = []
        stop = threading.Event()

        def write() -> None:
            while not stop.wait(self._every_s):
                at_us = time.time_ns() // 1000
                batch = replace(self._batch, event_us=np.full(len(self._batch), at_us))
                began = time.perf_counter()
                self._fleet.write(batch)
                taken.append(time.perf_counter() - began)

        thread = threading.Thread(target=write)
        thread.start()
        work()
        stop.set()
        thread.join()
        return taken


def quantile_ms(taken: list[float], q: float) -> float:
    return round(float(np.quantile(taken, q)) * 1e3, 1)


if __name__ == "__main__":
    main()
