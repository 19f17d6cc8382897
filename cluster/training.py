"""Training and forecasting on a data folder, from the command line: Ray is started for it and taken down again."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from cluster.bringup import ray_environment, start_own_ray
from cluster.settings import Settings
from training import training_runs
from training.errors import ModelDamagedError, NoChampionError
from training.history import History
from training.recorder import journals_in
from training.registry import FOLDER as MODELS
from training.registry import ModelVersion, Registry, Verdict, verdict
from training.survival import SurvivalModel
from training.training_runs import FOLDER as RUNS
from twins.devices import DeviceType
from twins.errors import DeviceTypeNotFoundError
from twins.typefiles import from_document

Progress = Callable[[float | None, str], None]

_LOOK_EVERY_S: Final = 0.5
_NEWEST: Final = """
SELECT device_type, last(document ORDER BY version, recorded_at) AS document FROM types GROUP BY device_type
"""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was made, how it compares with the one in force, and whether it took its place."""

    model: ModelVersion
    verdict: Verdict
    promoted: bool

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {**asdict(self.model), "verdict": asdict(self.verdict), "promoted": self.promoted}

    def as_text(self) -> str:
        """A few lines for a person."""
        from training.evaluation import summary

        manifest = self.model.manifest
        learned = manifest.parameters
        state = "in force" if self.promoted else "not put in force"
        lives = f"{learned['failures']:,} failures in {learned['life_cycles']:,} lives of {learned['devices']:,} devices"
        lines = [
            f"version {self.model.version} of the {manifest.device_type} model, {state}",
            f"learned from {lives}, {learned['rows']:,} moments; on devices it had not seen:",
            summary(manifest.metrics),
            *self.verdict.reasons,
        ]
        return "\n".join(lines)


def train(
    settings: Settings, name: str, *, by: str, with_age: bool, workers: int, seed: int, promote: bool,
    progress: Progress,
) -> Trained:  # fmt: skip
    """Make a model of a type from the history of the data folder, and put it in force if it is better.

    Raises
    ------
    DeviceTypeNotFoundError, TooFewFailuresError, TrainingFailedError : there is none; what is in force stays so.
    """
    data = settings.data
    device_type = _type(data, name)
    folder = data / RUNS / f"{name}{'' if with_age else '-without-age'}-{seed}"
    plan = training_runs.begin(
        folder, data, device_type, time.time_ns() // 1000, by=by, with_age=with_age, seed=seed
    )
    training_runs.go_on(folder)
    progress(0.0, "starting Ray")
    with _ray(settings, workers), _watched(folder, progress):
        from training.trainer import train as run  # only now: Ray reads its environment when it is imported

        run(folder, min(workers, plan.parts))
    registry = Registry(data / MODELS)
    before = registry.champion(name)
    manifest, arrays = training_runs.outcome(folder)
    if before is not None:
        manifest = replace(manifest, against=_judged(registry, before, folder))
    made = registry.add(manifest, arrays)
    training_runs.remove(folder)
    found = verdict(before, made)
    if promote and found.better:
        made = registry.promote(name, made.version, by, "better than what was in force")
    return Trained(made, found, promote and found.better)


def predict(settings: Settings, name: str, out: Path, version: int | None) -> tuple[int, int]:
    """Write the forecasts of a type's devices into ``out``; gives how many devices, and the model's version.

    Raises
    ------
    DeviceTypeNotFoundError, NoChampionError, ModelNotFoundError : there is nothing to forecast with.
    """
    import pyarrow.parquet as pq

    from training.forecasts import ANY, forecasts

    data = settings.data
    device_type = _type(data, name)
    registry = Registry(data / MODELS)
    kept = registry.champion(name) if version is None else registry.get(name, version)
    if kept is None:
        raise NoChampionError(name)
    model = SurvivalModel.from_arrays(registry.load(name, kept.version))
    with History(data / "history", journals_in(data / "hosts")) as history:
        found = forecasts(history, model, device_type, time.time_ns() // 1000)
    part = out.with_name(out.name + ".part")
    pq.write_table(found, part)
    part.replace(out)
    return sum(mode == ANY for mode in found["failure_mode"].to_pylist()), kept.version


def _type(data: Path, name: str) -> DeviceType:
    """The version of a type that was put in force last, as history and the journals tell."""
    with History(data / "history", journals_in(data / "hosts")) as history:
        rows = history.query(_NEWEST).to_pylist()
    documents = {row["device_type"]: row["document"] for row in rows}
    if name not in documents:
        raise DeviceTypeNotFoundError(name, tuple(sorted(documents)))
    return from_document(json.loads(documents[name]))


def _judged(registry: Registry, before: ModelVersion, folder: Path) -> dict[str, Any]:
    """What the model in force comes to on the landmarks of a run; nothing where it cannot be asked about them."""
    try:
        model = SurvivalModel.from_arrays(registry.load(before.manifest.device_type, before.version))
        return {"version": before.version, "metrics": training_runs.judged(folder, model)}
    except (ValueError, KeyError, ModelDamagedError):
        return {}


@contextmanager
def _ray(settings: Settings, workers: int) -> Iterator[None]:
    """Ray for as long as it takes, with room for the workers."""
    os.environ.update(ray_environment(settings.data.resolve()))
    import ray  # only now, as above

    start_own_ray(settings.ray, workers + 1)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _watched(folder: Path, progress: Progress) -> Iterator[None]:
    """Tell how far the run is, meanwhile; end it where this is left by force."""
    ended = Event()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            progress(*training_runs.progress(folder))

    thread = Thread(target=look, name="training progress", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        training_runs.stop(folder)
        raise
    finally:
        ended.set()
        thread.join()
