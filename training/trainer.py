"""Training by Ray Train: several workers do a run's steps, each reading its own parts of history; no bookkeeping.

A worker that dies is started again with the others, and the run goes on from the steps that were done
(``training_runs.py``). Whoever waits for it may die as well: what is begun again with the same folder goes on.
"""

import logging
import os
from pathlib import Path
from typing import Any, Final

import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from training.errors import TrainingFailedError
from training.training_runs import Plan, TrainingStopped, Worker

FAILURES_BORNE: Final = 3
"""How often workers that died are started again."""

_STORAGE: Final = "ray"
_CPUS: Final = (
    0.01  # of Ray, that a worker takes: it gives way to everything that is live, and waits for no place
)
_NICENESS: Final = 15

_log = logging.getLogger("twinfold.training")


def train(folder: Path, workers: int) -> None:
    """Do the run in ``folder``, which was begun, with so many workers; returns when it has ended or was stopped.

    Raises
    ------
    TrainingFailedError : a step failed, or workers died too often.
    """
    trainer = DataParallelTrainer(
        _share,
        train_loop_config={"folder": str(folder)},
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": _CPUS}),
        run_config=RunConfig(
            name=folder.name,
            storage_path=str(folder / _STORAGE),
            failure_config=FailureConfig(max_failures=FAILURES_BORNE),
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise TrainingFailedError(Plan.read(folder).device_type["name"], _reason(error)) from error


def _share(config: dict[str, Any]) -> None:
    """What each worker does."""
    os.nice(_NICENESS)
    context = ray.train.get_context()
    try:
        Worker(Path(config["folder"]), context.get_world_rank(), context.get_world_size()).work()
    except TrainingStopped:
        _log.info("training in %s was stopped", config["folder"])


def _reason(error: BaseException) -> str:
    """The last line of what Ray tells of a failure: what happened, without where."""
    told = [line.strip() for line in str(error).splitlines() if line.strip()]
    return told[-1] if told else repr(error)
