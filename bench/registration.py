"""How long it takes to register a fleet on Ray, and for another process to learn who is where. Two hosts.

Reference: the same list registered by a fleet in one process, in memory, without a journal.

    python bench/registration.py [--devices 1000000]
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import report
from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()

PUMP = "centrifugal-pump"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--devices", type=int, default=1_000_000)
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tfg-", dir="/tmp"))
    os.environ.update(ray_environment(folder))
    import ray

    ray.init(
        address="local", include_dashboard=False, num_cpus=2, object_store_memory=1 << 30,
        _node_ip_address="127.0.0.1", _temp_dir=str(folder / "ray"), namespace="twinfold", log_to_driver=False,
        logging_level="error",
    )  # fmt: skip
    try:
        run(folder, options.devices)
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, count: int) -> None:
    from cluster.settings import load
    from twins.devices import Device
    from twins.fleet import LocalFleet
    from twins.ray_fleet import RayFleet
    from twins.typefiles import load_catalog

    pump = load_catalog()[PUMP]
    devices = [
        Device(f"site-{i % 100:02d}/pump-{i:07d}", PUMP, site=f"site-{i % 100}", labels={"line": str(i % 9)}, interval_s=1.0)
        for i in range(count)
    ]  # fmt: skip
    settings = load({"data": str(folder), "fleet.hosts": 2}, {})
    fleet = RayFleet(folder / "hosts", settings.fleet_config(2), settings.actor_config(), create=True)
    fleet.install(pump)
    began = time.perf_counter()
    fleet.register(devices)
    registering = time.perf_counter() - began
    began = time.perf_counter()
    other = RayFleet(folder / "hosts")
    joining = time.perf_counter() - began
    assert len(other.directory) == count
    singly: list[float] = []
    for number in range(10):
        began = time.perf_counter()
        fleet.register([Device(f"one-{number}", PUMP)])
        singly.append(time.perf_counter() - began)
    fleet.close()
    local = LocalFleet()
    local.install(pump)
    began = time.perf_counter()
    local.register(devices)
    reference = time.perf_counter() - began
    report(
        "registering", count / registering, "devices/s", count / reference, "one process, in memory", devices=count,
        register_s=round(registering, 2), join_s=round(joining, 3),
        one_more_s=round(statistics.median(singly), 3), slowest_s=round(max(singly), 3),
    )  # fmt: skip


if __name__ == "__main__":
    main()
