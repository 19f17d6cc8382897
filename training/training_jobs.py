"""Training as a job: a run by however many workers, its model as a version, and whether that takes the champion's place."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread
from typing import Any, Final

from training import registry as models
from training import training_runs
from training.errors import ModelDamagedError, ModelFormatError, ModelNotFoundError
from training.jobs import Run
from training.registry import ModelVersion, Registry, verdict
from training.survival import SurvivalModel
from twins.devices import DeviceType

KIND: Final = "training"

_LOOK_EVERY_S: Final = 0.5
_BETTER: Final = "better than what was in force"

Train = Callable[[Path], None]
"""Does the run in a folder, and returns when it has ended or was stopped; see ``trainer.py``."""


def request(
    device_type: str, *, with_age: bool = True, seed: int = 0, promote: bool = True, why: str = ""
) -> dict[str, Any]:
    """What a job of this kind is asked for. ``promote``: to put the model in force if it is better than what is.

    ``why`` is said by the schedule alone: see ``retraining.py``.
    """
    said = {"type": device_type, "with_age": with_age, "seed": seed, "promote": promote}
    return {**said, "why": why} if why else said


def work(data: Path, find: Callable[[str], DeviceType], train: Train, job: Run) -> Mapping[str, Any]:
    """Do what ``request`` asked for, with the history of a data folder and the type that ``find`` gives.

    Returns JSON values: the ``type``, the ``model``'s version, its ``metrics`` and ``parameters``, the ``verdict``, and
    whether it was ``promoted``.

    What was done of a job that was cancelled or cut off stays in its folder, and the same job goes on from it.

    Raises
    ------
    TooFewFailuresError, TrainingFailedError : there is no model; what is in force stays so.
    """
    asked, by = job.job.request, job.job.by
    folder = data / training_runs.FOLDER / job.job.id
    rival = _in_force(Registry(data / models.FOLDER), asked["type"])
    training_runs.begin(
        folder, data, find(asked["type"]), job.job.created_us, by=by, with_age=asked["with_age"],
        seed=asked["seed"], rival_us=None if rival is None else rival.manifest.trained_until_us,
    )  # fmt: skip
    training_runs.go_on(folder)
    _followed(folder, train, job)
    made, found = _succeeded(Registry(data / models.FOLDER), folder)
    training_runs.remove(folder)
    promoted = asked["promote"] and found.better
    if promoted:
        Registry(data / models.FOLDER).promote(made.manifest.device_type, made.version, by, _BETTER)
    return {
        "type": made.manifest.device_type, "model": made.version, "metrics": made.manifest.metrics,
        "parameters": made.manifest.parameters, "verdict": asdict(found), "promoted": promoted,
    }  # fmt: skip


def _in_force(registry: Registry, name: str) -> ModelVersion | None:
    """None also of one that cannot be read: the run needs it no more than that."""
    try:
        return registry.champion(name)
    except (ModelDamagedError, ModelFormatError, ModelNotFoundError):
        return None


def _followed(folder: Path, train: Train, job: Run) -> None:
    """Have the run done, and tell how far it is; where the job is to end, the run ends first."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            train(folder)
        except Exception as error:
            failed.append(error)

    thread = Thread(target=run, name=f"training {folder.name}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            job.tell(*training_runs.progress(folder))
            thread.join(_LOOK_EVERY_S)
    except BaseException:
        training_runs.stop(folder)
        thread.join()
        raise
    if failed:
        raise failed[0]


def _succeeded(registry: Registry, folder: Path) -> tuple[ModelVersion, models.Verdict]:
    """The run's model as a version, judged beside the one in force on the same devices, which neither has seen."""
    manifest, arrays = training_runs.outcome(folder)
    champion = registry.champion(manifest.device_type)
    if champion is not None:
        manifest = replace(manifest, against=_judged(registry, champion, folder))
    made = registry.add(manifest, arrays)
    return made, verdict(champion, made)


def _judged(registry: Registry, champion: ModelVersion, folder: Path) -> dict[str, Any]:
    """What the model in force comes to on the landmarks of a run, and on what came after both, see ``Manifest.against``;
    nothing where it cannot be asked about them.
    """
    try:
        model = SurvivalModel.from_arrays(registry.load(champion.manifest.device_type, champion.version))
        found = {"version": champion.version, "metrics": training_runs.judged(folder, model)}
        in_time, why = training_runs.judged_in_time(folder, model, champion.manifest.trained_until_us)
        if in_time is None:
            return {**found, "held_out": "identity", "why": why}
        return {**found, "held_out": "identity_and_time", "in_time": in_time}
    except (ValueError, KeyError, ModelDamagedError):
        return {}
