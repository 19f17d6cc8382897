"""Experiments from the command line: in a folder of their own, without a platform, or as a job of the one that runs."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cluster.settings import Settings
from cluster.training import own_ray, types_in
from training.experiments import experiment_in, refuse_problems, surroundings, taken_up
from training.history import History
from training.lab import Lab
from training.recorder import journals_in
from training.registry import FOLDER as MODELS
from training.registry import Registry
from twins.devices import DeviceType
from twins.errors import FilterError
from twins.fleetfiles import load_fleet
from twins.typefiles import load_catalog
from twins.whatif.checking import Problem, check
from twins.whatif.costing import Cost, estimate
from twins.whatif.experiments import Local, Progress, Runner
from twins.whatif.forks import matching
from twins.whatif.results import Results, RunFolder
from twins.whatif.scenariofiles import Read

_BY: Final = "command line"


class Looked(NamedTuple):
    """What is wrong with a scenario, how many devices it forks, by type, and what it takes; empty, None: not known."""

    problems: Sequence[Problem]
    devices: Mapping[str, int]
    cost: Cost | None


def look(settings: Settings, read: Read, workers: int) -> Looked:
    """Check a scenario against a data folder, and say what it takes."""
    scenario, data = read.scenario, settings.data
    if scenario.base.start == "fleet":
        types: Mapping[str, DeviceType] = load_catalog()
        counts = None if scenario.base.devices else _planned(Path(scenario.base.fleet))
        sites = None
    else:
        with _history(data) as history:
            types = types_in(history)
            live = history.query("SELECT * FROM live") if scenario.base.start == "live" else None
        counts = None if live is None else _counted(live, scenario.base.devices, types)
        sites = None if live is None else [each or "" for each in pc.unique(live["site"]).to_pylist()]
    around = surroundings(types, Registry(data / MODELS), counts, sites)
    cost = None
    if counts:
        cost = estimate(scenario, counts, types, cores=workers, sites=max(1, len(sites or ())))
    return Looked(check(scenario, around, read.lines), counts or {}, cost)


def run(
    settings: Settings, read: Read, out: Path, workers: int, progress: Callable[[float | None, str], None]
) -> Results:
    """Run an experiment in ``out``, or go on with the one that was begun there.

    Raises
    ------
    ScenarioError : it does not fit the fleet: every problem with its line.
    RunFolderError : ``out`` holds something else.
    TooLargeError, MetricError : see ``Experiment.run``.
    """
    data, scenario = settings.data, read.scenario
    if not RunFolder(out).is_begun:
        progress(None, "checking")
        refuse_problems(look(settings, read, workers).problems, read.source)
    arms = len(scenario.arms)

    def tell(now: Progress) -> None:
        progress(now.done / now.wanted, f"{now.done // arms:,} of {now.wanted // arms:,} replications")

    with _history(data) as history:
        progress(None, "forking")
        said = {"by": _BY, "created_us": time.time_ns() // 1000}
        experiment = experiment_in(out, scenario, lambda: Lab(data, history), data / MODELS, said)
        with _runner(settings, workers) as runner:
            return experiment.run(out, runner, tell)


def rerun(settings: Settings, out: Path, arm: str, number: int, devices: Sequence[str]) -> pa.Table:
    """Every step of some devices in one replication, run again; RunFolderError if nothing was run in ``out``."""
    traces = taken_up(RunFolder(out), settings.data / MODELS).rerun(arm, number, devices).traces
    assert traces is not None
    return traces


@contextmanager
def _history(data: Path) -> Iterator[History]:
    hosts = data / "hosts"
    with History(data / "history", journals_in(hosts), hosts=hosts) as history:
        yield history


@contextmanager
def _runner(settings: Settings, workers: int) -> Iterator[Runner]:
    if workers == 1:
        yield Local()
        return
    with own_ray(settings):
        from twins.whatif.ray_runner import (
            RayRunner,  # only now: Ray reads its environment when it is imported
        )

        yield RayRunner(workers)


def _planned(fleet: Path) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for group in load_fleet(fleet, load_catalog()).groups:
        counts[group.device_type] += group.count
    return counts


def _counted(live: pa.Table, devices: str, types: Mapping[str, DeviceType]) -> Mapping[str, int] | None:
    try:
        rows = matching(live, devices, types) if devices else range(len(live))
    except FilterError:
        return None  # which the check tells, with its line
    return Counter(live["device_type"].take(pa.array(rows)).to_pylist())


def cores() -> int:
    """Of this machine."""
    return os.cpu_count() or 1
