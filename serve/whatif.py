"""The what-if lab as the API has it: the library of experiments, what they came to, and whether a scenario can be run.

An experiment is a job and a folder. A job that nobody remembers any more leaves its folder, which says enough; a folder
that was deleted leaves a mark, so that its job is not shown again. Everything here blocks: it is asked in a thread.
"""

import math
import os
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.errors import UnfitError
from serve.lists import count_devices
from serve.live import View
from serve.present import iso
from training import backtest
from training.errors import ExperimentNotFoundError, ExperimentUnderWayError, JobNotFoundError
from training.experiments import FOLDER, surroundings, taken_up
from training.jobs import Job, Runner
from training.registry import Registry
from training.whatif_jobs import KIND, about
from twins import sealing
from twins.devices import DeviceType
from twins.errors import FilterError
from twins.whatif import metrics, reporting, scenariofiles
from twins.whatif.checking import Problem, check
from twins.whatif.costing import estimate
from twins.whatif.exporting import Format, write_table
from twins.whatif.intervals import Estimate, Paired
from twins.whatif.outcomes import TABLES
from twins.whatif.results import Results, RunFolder
from twins.whatif.scenariofiles import Read, parse_scenario
from twins.whatif.scenarios import Scenario

MOST_STRETCHES: Final = 1_000
"""Of time, in one answer."""
MOST_PATHS: Final = 5
MOST_POINTS: Final = 1_500
"""Of one quantity of one device."""
MOST_STEPS: Final = 60_000_000
"""Steps of devices that a rerun takes, at most: about a minute. Longer ones are for the command line."""
MOST_JSON_ROWS: Final = 1_000_000

SOURCE: Final = "the scenario"

_ID: Final = re.compile(rf"{KIND}-[1-9]\d{{0,9}}")
_DELETED: Final = ".deleted"
_REMEMBERED: Final = 32
_ATTEMPTS: Final = 3
_MB: Final = 1 << 20

Answer = TypeVar("Answer")


class Checked(NamedTuple):
    """A scenario that can be read, what is wrong with it, how many devices it forks by type, None: not known, and at how
    many sites these are, at the most."""

    read: Read
    problems: Sequence[Problem]
    counts: Mapping[str, int] | None
    sites: int = 1


class Library:
    """The experiments of a data folder.

    Parameters
    ----------
    data : the data folder
    models : versions of forecast models
    jobs : who runs them
    """

    def __init__(self, data: Path, models: Registry, jobs: Runner) -> None:
        self.folder = data / FOLDER
        self._models, self._jobs = models, jobs
        self._remembered: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    # -- what there is ---------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """The numbers of all that are there."""
        jobs = {job.number for job in self._jobs.list() if job.kind == KIND}
        return sorted({*jobs, *self._foldered()} - self._deleted())

    def numbered(self, number: int) -> dict[str, Any]:
        """One experiment as lists have it, by its number."""
        jobs = {job.number: job for job in self._jobs.list() if job.kind == KIND}
        return self._item(_id(number), jobs.get(number))

    def item(self, experiment: str) -> dict[str, Any]:
        """One experiment as lists have it; ExperimentNotFoundError if there is none of this id."""
        return self._item(experiment, self._job(experiment))

    def detail(self, experiment: str) -> dict[str, Any]:
        """One experiment with its scenario and what is needed to cite it."""
        job, folder = self._job(experiment), RunFolder(self.folder / experiment)
        manifest = folder.manifest() if folder.is_begun else {}
        scenario = self.scenario(experiment)
        text = job.request["scenario"] if job is not None else scenariofiles.to_yaml(scenario)
        return {
            **self._item(experiment, job),
            "scenario": scenariofiles.to_document(scenario),
            "scenario_text": text,
            "manifest": manifest,
            "citation": reporting.citation(scenario, manifest) if manifest else "",
        }

    def scenario(self, experiment: str) -> Scenario:
        """What one asks; ExperimentNotFoundError if there is none of this id."""
        job, folder = self._job(experiment), RunFolder(self.folder / experiment)
        if folder.is_begun:
            return folder.scenario()
        assert job is not None
        return parse_scenario(job.request["scenario"], SOURCE).scenario

    def delete(self, experiment: str) -> None:
        """Delete one that has ended, with all that it came to.

        Raises
        ------
        ExperimentNotFoundError, ExperimentUnderWayError : there is nothing to delete, or not yet.
        """
        job = self._job(experiment)
        if job is not None and not job.has_ended:
            raise ExperimentUnderWayError(experiment, job.state)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / (experiment + _DELETED)).touch()
        shutil.rmtree(self.folder / experiment, ignore_errors=True)

    # -- what it came to -------------------------------------------------------------------------------------------

    def results(self, experiment: str) -> dict[str, Any]:
        """Figures of every metric of every arm, as far as they are there."""
        ended = self._has_ended(experiment)

        def figures(found: Results) -> dict[str, Any]:
            scenario = found.scenario
            told: dict[str, list[dict[str, Any]]] = {name: [] for name in metrics.names(scenario)}
            for each in found.compared():
                against = each.against_reference
                difference = None if against is None else _difference(against)
                told[each.metric].append({"arm": each.arm, **_figure(each.value), "difference": difference})
            return {
                "replications": found.replications,
                "is_partial": not ended,
                "level": scenario.level,
                "reference": scenario.reference_arm,
                "metrics": [
                    {
                        "metric": name,
                        "better": metrics.better(scenario, name),
                        "unit": reporting.unit(name),
                        "arms": arms,
                    }
                    for name, arms in told.items()
                ],
            }

        names = _wanted(self.scenario(experiment))
        return self._answered(experiment, ("results", ended), names, figures)

    def fans(self, experiment: str, metric: str, group: str | None) -> dict[str, Any]:
        """Where a metric goes over time, by arm; UnfitError for one that is not told by time."""
        scenario = self.scenario(experiment)
        known = [name for name in scenario.metrics if name in metrics.OVER_BUCKETS]
        if metric not in known:
            raise UnfitError(
                f"{metric!r} is not told by time here", f"ask for {', '.join(known) or 'another'}"
            )

        def fans(found: Results) -> dict[str, Any]:
            groups = sorted(set(found.arrow("buckets")["group"].to_pylist()))
            if group is not None and group not in groups:
                raise UnfitError(
                    f"there is no group {group!r}", f"ask for {', '.join(groups[:20]) or 'none'}"
                )
            told = found.fans(metric, group)
            starts = max((start_h for start_h, _ in told.values()), key=len, default=np.zeros(0))
            step = max(1, math.ceil(len(starts) / MOST_STRETCHES))
            paths = {arm: values[:MOST_PATHS] for arm, (_, values) in found.courses(metric, group).items()}
            return {
                "metric": metric,
                "unit": reporting.unit(metric),
                "group": group,
                "groups": groups,
                "start_h": starts[::step].tolist(),
                "bucket_h": scenario.bucket_h,
                "arms": [
                    {
                        "arm": arm,
                        "median": _numbers(fan.median[::step]),
                        "ranges": list(fan.ranges),
                        "low": [_numbers(each[::step]) for each in fan.low],
                        "high": [_numbers(each[::step]) for each in fan.high],
                        "paths": [_numbers(each[::step]) for each in paths[arm]],
                    }
                    for arm, (_, fan) in told.items()
                ],
            }

        return self._answered(experiment, ("fans", metric, group), ("buckets", "runs"), fans)

    def table(self, experiment: str, name: str, form: Format) -> tuple[Path, bool]:
        """A file with a table, and whether it is to be removed once it was sent; UnfitError for one that is not kept."""
        scenario = self.scenario(experiment)
        kept = ("metrics", "buckets", "runs", *scenario.keep)
        if name not in kept:
            raise UnfitError(
                f"the table {name!r} is not kept", f"ask for {', '.join(kept)}, or name it in `keep`"
            )
        ready = self.folder / experiment / f"{name}.parquet"
        if form == "parquet" and ready.is_file() and sealing.sealer_of(ready) is None:
            return ready, False
        names = _wanted(scenario) if name == "metrics" else (name,)

        def written(found: Results) -> Path:
            return _written(found.values() if name == "metrics" else found.arrow(name), form)

        return self._read(experiment, names, written), True

    def rerun(self, experiment: str, arm: str, replication: int, device_ids: Sequence[str]) -> dict[str, Any]:
        """Every step of some devices in one replication, run again.

        Raises
        ------
        UnfitError : it was not run, there are no such devices, or it takes too long to wait for.
        """
        self._job(experiment)
        folder = RunFolder(self.folder / experiment)
        if (arm, replication) not in _done(folder):
            raise UnfitError(
                f"replication {replication} of arm {arm!r} was not run",
                "name an arm of the scenario and a number below that of the replications",
            )
        found = taken_up(folder, self._models.folder)
        steps = len(found.fork) * found.scenario.horizon_h * 3600 / found.scenario.step_s
        if steps > MOST_STEPS:
            raise UnfitError(
                f"{steps:,.0f} steps of devices take more than the minute that an answer may",
                f"use `twinfold whatif --rerun {arm}:{replication} --out` on the platform's machine",
            )
        outcome = found.rerun(arm, replication, device_ids)
        assert outcome.traces is not None
        traces = _traces(outcome.traces)
        if not traces:
            raise UnfitError("none of these devices was forked", "name devices of the experiment")
        return {"arm": arm, "replication": replication, "traces": traces}

    # -- inside ----------------------------------------------------------------------------------------------------

    def _job(self, experiment: str) -> Job | None:
        """The job of an experiment that there is; None: it is remembered no more."""
        if not _ID.fullmatch(experiment) or (self.folder / (experiment + _DELETED)).exists():
            raise ExperimentNotFoundError(experiment)
        try:
            return self._jobs.get(experiment)
        except JobNotFoundError:
            if not RunFolder(self.folder / experiment).is_begun:
                raise ExperimentNotFoundError(experiment) from None
            return None

    def _has_ended(self, experiment: str) -> bool:
        job = self._job(experiment)
        return job is None or job.has_ended

    def _foldered(self) -> set[int]:
        found = self.folder.glob(f"{KIND}-*/manifest.json")
        return {_number(path.parent.name) for path in found if _ID.fullmatch(path.parent.name)}

    def _deleted(self) -> set[int]:
        found = (path.name.removesuffix(_DELETED) for path in self.folder.glob(f"{KIND}-*{_DELETED}"))
        return {_number(name) for name in found if _ID.fullmatch(name)}

    def _item(self, experiment: str, job: Job | None) -> dict[str, Any]:
        folder = RunFolder(self.folder / experiment)
        manifest = folder.manifest() if folder.is_begun else {}
        said = job.request["about"] if job is not None else about(folder.scenario())
        arms = said["arms"]
        if job is None:
            job = Job(experiment, KIND, {}, manifest.get("by", ""), "done" if folder.is_ended else "failed")
            message = "" if folder.is_ended else "it was not ended, and its job is forgotten; begin it again"
            created_us, progress = manifest.get("created_us"), 1.0 if folder.is_ended else None
        else:
            message, created_us, progress = job.message, job.created_us, job.progress
        done = (job.result or {}).get("replications")
        if done is None:
            done = len(_done(folder)) // len(arms)
        return {
            "id": experiment,
            **{name: said[name] for name in ("name", "title", "arms", "reference", "horizon_h", "metrics")},
            "state": job.state,
            "progress": progress,
            "message": message,
            "by": job.by,
            "created_at": iso(created_us),
            "started_at": iso(job.started_us),
            "ended_at": iso(job.ended_us),
            "replications_done": done,
            "replications_wanted": max(done, (job.result or {}).get("wanted", said["replications"])),
            "devices": manifest.get("devices", {}),
            "forked_at": iso(manifest.get("at_us")),
            "trust": backtest.trust(self.folder.parent, sorted(manifest.get("devices", {}))),
        }

    def _answered(
        self,
        experiment: str,
        question: tuple[Any, ...],
        names: Sequence[str],
        work: Callable[[Results], Answer],
    ) -> Answer:
        """What ``work`` makes of some tables, worked out again only when there is more in them."""
        self._job(experiment)
        key = (experiment, len(_done(RunFolder(self.folder / experiment))), *question)
        if key not in self._remembered:
            self._remembered[key] = self._read(experiment, names, work)
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        found: Answer = self._remembered[key]
        return found

    def _read(self, experiment: str, names: Sequence[str], work: Callable[[Results], Answer]) -> Answer:
        folder = RunFolder(self.folder / experiment)
        if not folder.is_begun:
            empty = {name: TABLES[name].empty_table() for name in names}
            return work(Results(self.scenario(experiment), empty))
        scenario = folder.scenario()
        tables = _settled(lambda: {name: folder.table(name) for name in names})
        return work(Results(scenario, tables, folder.manifest()))


def _done(folder: RunFolder) -> set[tuple[str, int]]:
    return _settled(folder.done) if folder.is_begun else set()


def _settled(read: Callable[[], Answer]) -> Answer:
    """What ``read`` gives; again, where parts became whole tables meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def _wanted(scenario: Scenario) -> Sequence[str]:
    """The tables that metrics are made of."""
    return ("buckets", "runs", *(scenario.keep if scenario.sql_metrics else ()))


def templates_to_copy() -> list[dict[str, str]]:
    """Scenarios to copy, by name, with what they ask."""
    return [
        {"name": name, "title": parse_scenario(text, name).scenario.title or name, "text": text}
        for name, text in scenariofiles.templates().items()
    ]


def checked(
    text: str, types: Mapping[str, DeviceType], view: View, models: Registry, *, is_local: bool
) -> Checked:
    """A scenario against the fleet that there is.

    Parameters
    ----------
    is_local : who asks may name files of this machine

    Raises
    ------
    ScenarioError : it cannot be read: every problem with its line.
    """
    read = parse_scenario(text, SOURCE)
    base = read.scenario.base
    if base.start == "fleet" and not is_local:
        line = read.lines.get(("base", "fleet"), read.lines.get(("base",), 0))
        problem = "base.fleet names a file of the platform's own machine"
        remedy = "run it there with `twinfold whatif`, or fork live twins"
        return Checked(read, (Problem(("base", "fleet"), line, problem, remedy),), None)
    counts: Mapping[str, int] | None = None
    sites: list[str] | None = None
    if base.start == "live":
        sites = _sites(view)
        try:
            counts = count_devices(view, types, base.devices)
        except FilterError:
            counts = None  # which the check tells, with its line
    around = surroundings(types, models, counts, sites)
    return Checked(read, check(read.scenario, around, read.lines), counts, max(1, len(sites or ())))


def taken(found: Checked, types: Mapping[str, DeviceType]) -> dict[str, Any] | None:
    """What a scenario takes; None: it cannot be told."""
    if not found.counts:
        return None
    scenario = found.read.scenario
    cost = estimate(scenario, found.counts, types, cores=os.cpu_count() or 1, sites=found.sites)
    return {
        "devices": dict(found.counts),
        "arms": len(scenario.arms),
        "replications": cost.replications,
        "device_steps": cost.device_steps,
        "seconds": cost.seconds,
        "memory_mb": math.ceil(cost.worker_bytes / _MB),
        "disk_mb": math.ceil(cost.result_bytes / _MB),
    }


def _sites(view: View) -> list[str]:
    found: set[str] = set()
    for table in view.tables.values():
        found.update(each or "" for each in table["site"].unique().to_pylist())
    return sorted(found)


def _id(number: int) -> str:
    return f"{KIND}-{number}"


def _number(experiment: str) -> int:
    return int(experiment.rpartition("-")[2])


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_known(value) for value in values]


def _figure(of: Estimate) -> dict[str, Any]:
    bounds = {name: _known(getattr(of, name)) for name in ("value", "low", "high")}
    return {**bounds, "n": of.n, "undefined": of.undefined}


def _difference(of: Paired) -> dict[str, Any]:
    share = of.share_better
    return {
        "value": _known(of.difference.value),
        "low": _known(of.difference.low),
        "high": _known(of.difference.high),
        "n": of.difference.n,
        "correlation": _known(of.correlation),
        "variance_ratio": _known(of.variance_ratio),
        "share_better": _known(share.value),
        "share_better_low": _known(share.low),
        "share_better_high": _known(share.high),
        "p_mean_better": _known(of.p_mean_better),
    }


def _traces(traces: pa.Table) -> list[dict[str, Any]]:
    frame: dict[str, dict[str, Any]] = {}
    for device_id in traces["device_id"].unique().to_pylist():
        mine = traces.filter(pc.equal(traces["device_id"], device_id))
        quantities: dict[str, list[float | None]] = {}
        at_h: list[float] = []
        for name in mine["quantity"].unique().to_pylist():
            steps = mine.filter(pc.equal(mine["quantity"], name))
            every = max(1, math.ceil(len(steps) / MOST_POINTS))
            kept = steps.take(pa.array(range(0, len(steps), every)))
            at_h = kept["at_h"].to_pylist()
            quantities[name] = [None if v is None else _known(v) for v in kept["value"].to_pylist()]
        frame[device_id] = {"device_id": device_id, "at_h": at_h, "quantities": quantities}
    return list(frame.values())


def _written(table: pa.Table, form: Format) -> Path:
    """A table in a new file."""
    if form == "json" and len(table) > MOST_JSON_ROWS:
        raise UnfitError(f"{len(table):,} rows are too many for JSON", "ask for parquet or csv")
    handle, name = tempfile.mkstemp(suffix=f".{form}", prefix="twinfold-")
    os.close(handle)
    path = Path(name)
    write_table(path, table, form)
    return path
