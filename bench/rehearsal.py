"""Changed rules over past readings: how many readings a second a rehearsal runs, each under both sets of rules.

Devices report once a minute, each at its own second, so that an entry of the journal holds few readings of those that are
run: what a sample of a large fleet looks like. ``training/rehearsal.py`` takes its budget from here.

    python bench/rehearsal.py [--twins 1000] [--hours 2] [--devices 100]
"""

import argparse
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.report import report
from bench.shard_apply import T0, some_channels
from training.comparison import sampled
from training.past import Past
from training.recorder import Recorder, RecorderConfig, journals_in
from training.rehearsal import READINGS, Question
from twins.clock import HOUR_US, SECOND_US, VirtualClock
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.readings import ReadingBatch


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, default=1000)
    arguments.add_argument("--hours", type=float, default=2.0)
    arguments.add_argument("--devices", type=int, default=100)
    options = arguments.parse_args()
    rng = np.random.default_rng(1)
    ids = [f"dev-{i:06d}" for i in range(options.twins)]
    parts = [pa.array(ids[second::60]) for second in range(60)]
    before = some_channels(60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = VirtualClock(T0)
        fleet = LocalFleet(folder / "hosts", FleetConfig(host=HostConfig(recorded=True)), clock)
        fleet.install(before)
        fleet.register([Device(each, "bench") for each in ids])
        with (
            closing(fleet),
            closing(Recorder(folder / "history", (), RecorderConfig(10**9, 10**9))) as recorder,
        ):
            end_us = T0 + round(options.hours * HOUR_US)
            for now_us in range(T0 + SECOND_US, end_us, SECOND_US):
                clock.advance_to(now_us)
                part = parts[now_us // SECOND_US % 60]
                n = len(part)
                values = rng.normal(50, 5, (n, 8))
                fleet.write(
                    ReadingBatch("bench", part, np.arange(n, dtype=np.int32), np.full(n, now_us), values)
                )
            for source in journals_in(folder / "hosts"):
                recorder.add_source(source)
            while recorder.step():
                pass
            recorder.flush()
            after = replace(before, rules=tuple(replace(rule, on_delay_s=300.0) for rule in before.rules))
            question = Question(before, after, T0, end_us)
            began = time.perf_counter()
            found = sampled(
                Past(folder / "history", journals_in(folder / "hosts")), question, ids, 1, options.devices
            )
            took = time.perf_counter() - began
            report("rehearsal", found["readings"] / took, "readings/s", READINGS / 10, "the budget in ten seconds",
                   took_s=took, readings=found["readings"], devices=found["devices"],
                   alerts=found["in_all"]["before"], differing=found["differing"])  # fmt: skip


if __name__ == "__main__":
    main()
