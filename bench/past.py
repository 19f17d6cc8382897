"""A twin as it was: seconds to rebuild one device, and all of them, from history and a kept snapshot.

Reference: the time that the live fleet took for the same readings (journal included), so a ratio below one means that
the past is rebuilt faster than it was lived.

    python bench/past.py [--twins 2000] [--seconds 600]
"""

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.report import report
from bench.shard_apply import T0, some_channels
from training.keeping import KeptSnapshots
from training.past import Past
from training.recorder import Recorder, RecorderConfig, journals_in
from twins.clock import SECOND_US, VirtualClock
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.readings import ReadingBatch


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, default=2000)
    arguments.add_argument("--seconds", type=int, default=600)
    options = arguments.parse_args()
    n, rng = options.twins, np.random.default_rng(1)
    ids = pa.array([f"dev-{i:06d}" for i in range(n)])
    index = np.arange(n, dtype=np.int32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = FleetConfig(host=HostConfig(recorded=True))
        clock = VirtualClock(T0)
        fleet = LocalFleet(folder / "hosts", config, clock)
        fleet.install(some_channels(60))
        fleet.register([Device(each, "bench") for each in ids.to_pylist()])
        with (
            closing(fleet),
            closing(Recorder(folder / "history", (), RecorderConfig(10**9, 10**9))) as recorder,
        ):
            lived = 0.0
            for second in range(1, options.seconds + 1):
                now_us = T0 + second * SECOND_US
                clock.advance_to(now_us)
                batch = ReadingBatch("bench", ids, index, np.full(n, now_us), rng.normal(50, 5, (n, 8)))
                began = time.perf_counter()
                fleet.write(batch)
                lived += time.perf_counter() - began
                if second == options.seconds // 2:
                    for host in fleet.shard_hosts():
                        if (write := host.begin_snapshot()) is not None:
                            write()
            for source in journals_in(folder / "hosts"):
                recorder.add_source(source)
            while recorder.step():
                pass
            recorder.flush()
            kept = KeptSnapshots(folder / "history")
            for host in fleet.shard_hosts():
                assert host.folder is not None
                kept.keep_newest(host.name, host.folder / "snapshots", now_us)
            past, half = Past(folder / "history"), lived / 2
            for what, chosen in (("one twin", ["dev-000007"]), ("all twins", None)):
                began = time.perf_counter()
                (found,) = past.shards("bench", now_us, chosen)
                took = time.perf_counter() - began
                report(f"rebuild, {what}", took, "s", half, "the same readings, live", twins=len(found.shard),
                       of=n, channels=8, seconds=(now_us - (found.from_snapshot_us or T0)) / 1e6)  # fmt: skip


if __name__ == "__main__":
    main()
