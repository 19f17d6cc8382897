"""Budget: the live path on Ray, 8 channels: simulator, synced journal, kernel, live table, history on disk, on two cores.

At least 500 k readings/s sustained; the aim is 1 M twins at a 1 s cadence. A simulated fleet of pumps is sent as
fast as the platform takes it, in rounds of one reading a twin; the recorder follows; reads by id are timed
meanwhile. Reference: the same batches through one shard in one process, no journal, no Ray.

    python bench/live_path.py [--twins 10000 100000 1000000] [--seconds 30]
"""

import argparse
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from bench.report import report
from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()
os.environ["NUMBA_NUM_THREADS"] = "1"

PUMP = "centrifugal-pump"


def sent_rounds(simulator, fleet, seconds):
    """Send whole rounds for ``seconds``; gives lines, seconds, and what the simulator took of them."""
    lines, simulating = 0, 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        at = time.perf_counter()
        batches = list(simulator.advance(simulator.next_us()))
        simulating += time.perf_counter() - at
        for start in range(0, len(batches), 4):
            fleet.write_many(batches[start : start + 4])
        lines += sum(map(len, batches))
    return lines, time.perf_counter() - began, simulating


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--baseline", type=int, default=10, help="readings that make a baseline here")
    options = arguments.parse_args()
    token = Path(tempfile.mkdtemp(prefix="tfb-"))  # Ray reads its token once a process
    os.environ.update(ray_environment(token))
    for twins in options.twins:
        folder = Path(tempfile.mkdtemp(prefix="tfb-"))
        try:
            run(folder, twins, options.seconds, options.baseline)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, twins: int, seconds: float, baseline: int) -> None:
    import ray

    from cluster.services import recording
    from cluster.settings import load
    from twins.fleet import LocalFleet
    from twins.fleetfiles import parse_fleet
    from twins.ray_fleet import RayFleet
    from twins.simulation import Simulator
    from twins.typefiles import load_catalog

    pump = replace(load_catalog()[PUMP], baseline_readings=baseline)
    group = f"{{type: {PUMP}, count: {twins}, interval_s: 1, id: 'p{{n:07}}'}}"
    text = f"name: bench\nseed: 1\nsites: [{{name: here}}]\ndevices: [{group}]\n"
    spec = parse_fleet(text, {PUMP: pump})
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
        recorder = recording.start(folder, settings.history, {})
        simulator = Simulator(spec, {PUMP: pump}, start_us=time.time_ns() // 1000)
        began = time.perf_counter()
        fleet.register(simulator.devices)
        registering = time.perf_counter() - began
        rounds = max(2, baseline + 3)
        for _ in range(rounds):  # until baselines stand
            fleet.write_many(list(simulator.advance(simulator.next_us())))
        reads: list[float] = []
        stop = threading.Event()
        reader = threading.Thread(target=read_twins, args=(fleet, simulator, reads, stop))
        reader.start()
        before = processor_seconds()
        lines, took, simulating = sent_rounds(simulator, fleet, seconds)
        spent = processor_seconds()
        stop.set()
        reader.join()
        behind = {host.name: host.cursor - (host.archived or 0) for host in fleet.status()}
        began = time.perf_counter()
        newest = {host.name: host.cursor for host in fleet.status()}
        while any((host.archived or 0) < newest[host.name] for host in fleet.status()):
            time.sleep(0.1)
            if time.perf_counter() - began > 60:
                break
        catching_up = time.perf_counter() - began
        resident = resident_bytes()
        reference = local_rate(LocalFleet, Simulator, spec, pump, min(twins, 100_000), baseline)
        report(
            "live path on Ray", lines / took, "readings/s of 8 channels", reference,
            "one shard in one process, no journal", twins=twins, seconds=round(took, 1), floor=500_000, aim=1_000_000,
            simulator_share=round(simulating / took, 3), register_s=round(registering, 1),
            read_by_id_ms={q: round(float(np.quantile(reads, q)) * 1e3, 1) for q in (0.5, 0.99)} if reads else None,
            journal_behind_entries=behind, recorder_caught_up_s=round(catching_up, 1),
            cores={part: round((spent[part] - before.get(part, 0.0)) / took, 2) for part in spent},
            resident_mb={part: round(size / 1e6) for part, size in resident.items()},
            shard_bytes_a_twin=round(resident["shards"] / twins),
            history_bytes=sum(f.stat().st_size for f in (folder / "history").rglob("*.parquet")),
        )  # fmt: skip
        recorder.stop()
        fleet.close()
    finally:
        ray.shutdown()


PARTS = {"ray::ShardActor": "shards", "ray::Recording": "recorder", "raylet": "ray", "gcs_server": "ray"}


def parts() -> Iterator[tuple[str, psutil.Process]]:
    """The processes of this run, by what they are; all else that Ray starts is ``ray``, too."""
    me = psutil.Process()
    yield "sender", me
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            title = (process.cmdline() or [""])[0]
            yield next((part for start, part in PARTS.items() if start in title), "ray"), process


def processor_seconds() -> dict[str, float]:
    """Processor time so far, by part, s."""
    found: dict[str, float] = {}
    for part, process in parts():
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            found[part] = found.get(part, 0.0) + used.user + used.system
    return found


def resident_bytes() -> dict[str, int]:
    """Memory of its own that each part holds: what is shared with the object store counts for none."""
    found: dict[str, int] = {}
    for part, process in parts():
        with contextlib.suppress(psutil.NoSuchProcess):
            held = process.memory_info()
            found[part] = found.get(part, 0) + held.rss - held.shared
    return found


def read_twins(fleet, simulator, reads, stop) -> None:
    """Ask for one twin after the other, with a breath between."""
    rng = np.random.default_rng(1)
    while not stop.wait(0.05):
        device = simulator.devices[int(rng.integers(len(simulator.devices)))]
        began = time.perf_counter()
        fleet.read_twin(device.id)
        reads.append(time.perf_counter() - began)


def local_rate(local_fleet, simulator_class, spec, pump, twins, baseline) -> float:
    """Readings a second through one shard in memory, without the simulator's share."""
    small = replace(spec, groups=tuple(replace(group, count=twins) for group in spec.groups))
    simulator = simulator_class(small, {PUMP: pump}, start_us=time.time_ns() // 1000)
    fleet = local_fleet()
    fleet.install(pump)
    fleet.register(simulator.devices)
    lines, spent = 0, 0.0
    for number in range(baseline + 8):
        batches = list(simulator.advance(simulator.next_us()))
        began = time.perf_counter()
        fleet.write_many(batches)
        if number > baseline + 3:
            spent += time.perf_counter() - began
            lines += sum(map(len, batches))
    return lines / spent


if __name__ == "__main__":
    main()
