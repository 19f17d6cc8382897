"""Training and forecasting on a data folder, from the command line: Ray is started for it and taken down again."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from cluster.bringup import ray_environment, start_own_ray
from cluster.settings import Settings
from cluster.terminal import moment
from training import anomaly, training_jobs
from training.errors import NoChampionError
from training.evaluation import summary
from training.history import History
from training.jobs import Job, Run
from training.recorder import journals_in
from training.registry import FOLDER as MODELS
from training.registry import Registry
from training.survival import SurvivalModel
from twins.devices import DeviceType
from twins.errors import DeviceTypeNotFoundError
from twins.typefiles import from_document

Progress = Callable[[float | None, str], None]

_NEWEST: Final = """
SELECT device_type, last(document ORDER BY version, recorded_at) AS document FROM types GROUP BY device_type
"""


def train(
    settings: Settings, name: str, *, by: str, with_age: bool, workers: int, seed: int, promote: bool,
    progress: Progress,
) -> Mapping[str, Any]:  # fmt: skip
    """Make a model of a type from the history of the data folder, and put it in force if it is better.

    Gives what ``training_jobs.work`` gives. A training that was cut off goes on from what was done.

    Raises
    ------
    DeviceTypeNotFoundError, TooFewFailuresError, TrainingFailedError : there is none; what is in force stays so.
    """
    data = settings.data
    request = training_jobs.request(name, with_age=with_age, seed=seed, promote=promote)
    job = Job(f"{name}{'' if with_age else '-without-age'}-{seed}", training_jobs.KIND, request, by)

    def run(folder: Path) -> None:
        with own_ray(settings):
            from training.trainer import (
                train as by_ray,  # only now: Ray reads its environment when it is imported
            )

            by_ray(folder, workers)

    def tell(share: float | None, said: str, _: Mapping[str, Any] | None) -> None:
        progress(share, said)

    return training_jobs.work(
        data, partial(_type, data), run, Run(replace(job, created_us=time.time_ns() // 1000), tell)
    )


def text_of(found: Mapping[str, Any]) -> str:
    """What a training came to, in a few lines for a person."""
    learned = found["parameters"]
    lives = f"{learned['failures']:,} failures in {learned['life_cycles']:,} lives of {learned['devices']:,} devices"
    state = "in force" if found["promoted"] else "not put in force"
    lines = [
        f"version {found['model']} of the {found['type']} model, {state}",
        f"learned from {lives}, {learned['rows']:,} moments; on devices it had not seen:",
        summary(found["metrics"]),
        *anomaly.summary(found["metrics"]),
        *found["verdict"]["reasons"],
        *held_out(found["verdict"]),
    ]
    return "\n".join(lines)


def held_out(verdict: Mapping[str, Any]) -> list[str]:
    """How what a verdict is of was held out from both versions, for a person; nothing where they were not compared."""
    period = verdict["period"]
    if period is not None:
        since, until = (moment(period[name]) for name in ("since_us", "until_us"))
        ahead = f"judged up to {period['horizon_h']:.0f} h ahead"
        return [f"Held out by device and in time: moments from {since} to {until}, {ahead}."]
    if verdict["held_out"] is None:
        return []
    return [f"Held out by device alone, not in time. {verdict['held_out_why']}"]


def predict(
    settings: Settings, name: str, out: Path, version: int | None, *, at_us: int | None = None,
    since_us: int | None = None, within_h: Mapping[str, float],
) -> tuple[int, int, int]:  # fmt: skip
    """Write the forecasts of a type's devices into ``out``; gives how many devices and moments, and the model's version.

    Parameters
    ----------
    at_us : shard time, of what is known; None: now
    since_us : event time; at each reading since, in place of the newest alone
    within_h : columns of the probability of a failure, and within how many hours

    Raises
    ------
    DeviceTypeNotFoundError, NoChampionError, ModelNotFoundError : there is nothing to forecast with.
    MomentNotKeptError, MomentAheadError : the twins of then cannot be rebuilt.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from training.forecasts import ANY, forecasts, forecasts_since

    data = settings.data
    device_type = _type(data, name)
    registry = Registry(data / MODELS)
    kept = registry.champion(name) if version is None else registry.get(name, version)
    if kept is None:
        raise NoChampionError(name)
    model = SurvivalModel.from_arrays(registry.load(name, kept.version))
    at_us = time.time_ns() // 1000 if at_us is None else at_us
    with History(data / "history", journals_in(data / "hosts")) as history:
        if since_us is None:
            found = forecasts(history, model, device_type, at_us, within_h)
        else:
            found = forecasts_since(history, model, device_type, since_us, at_us, within_h)
    part = out.with_name(out.name + ".part")
    pq.write_table(found, part)
    part.replace(out)
    moments = found.filter(pc.field("failure_mode") == ANY)
    return pc.count_distinct(moments["device_id"]).as_py(), moments.num_rows, kept.version


def _type(data: Path, name: str) -> DeviceType:
    """The version of a type that was put in force last, as history and the journals tell."""
    with History(data / "history", journals_in(data / "hosts")) as history:
        types = types_in(history)
    if name not in types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(types)))
    return types[name]


def types_in(history: History) -> dict[str, DeviceType]:
    """The version of each type that was put in force last, as history and the journals tell."""
    if "types" not in history.tables():
        return {}
    rows = history.query(_NEWEST).to_pylist()
    return {row["device_type"]: from_document(json.loads(row["document"])) for row in rows}


@contextmanager
def own_ray(settings: Settings) -> Iterator[None]:
    """Ray for as long as it takes."""
    os.environ.update(ray_environment(settings.data.resolve()))
    import ray  # only now, as above

    start_own_ray(settings.ray, settings.ray.num_cpus)
    try:
        yield
    finally:
        ray.shutdown()
