"""When models are made anew: as they get old, and where they no longer fit what they are asked about.

Everything is decided from what lies on disk, versions and jobs, so that a restart neither forgets a training nor asks for
one twice. The first model of a type is a person's decision; from then on the type has a schedule.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from training import training_jobs
from training.errors import ModelDamagedError, ModelFormatError, TooFewFailuresError
from training.jobs import Job, Runner
from training.registry import ModelVersion, Registry
from twins.clock import DAY_US, HOUR_US, Clock, WallClock

BY: Final = "schedule"
"""Who has models trained that nobody asked for."""

DRIFT_REST_H: Final = 6.0
"""For so long a type that drifts is not trained anew after the last time, h."""

Cause = Literal["age", "drift"]

_log = logging.getLogger("twinfold.training")


@dataclass(frozen=True, slots=True)
class RetrainingConfig:
    """When types are trained anew.

    Attributes
    ----------
    every_h : after so long; 0: age is no reason
    on_drift : also where a model drifts
    promote : whether what is better comes in force by itself
    """

    every_h: float = 24.0
    on_drift: bool = True
    promote: bool = True


class Schedule:
    """Asks for the trainings that are due.

    Parameters
    ----------
    registry, jobs : what there is, and who trains
    drifts : whether the model in force of a type no longer fits; asked only where it matters
    is_known : whether the fleet has a type, of which there may still be models when it has gone
    """

    def __init__(
        self,
        registry: Registry,
        jobs: Runner,
        config: RetrainingConfig,
        drifts: Callable[[str], bool],
        is_known: Callable[[str], bool],
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._jobs = jobs
        self._config = config
        self._drifts = drifts
        self._is_known = is_known
        self._clock = clock or WallClock()

    def step(self) -> list[Job]:
        """Ask for what is due by now; gives the jobs."""
        trainings: dict[str, list[Job]] = {}
        for job in self._jobs.list():
            if job.kind == training_jobs.KIND:
                trainings.setdefault(job.request["type"], []).append(job)
        asked = []
        for name in self._registry.types():
            newest = self._registry.newest(name)
            cause = None if newest is None else self._due(name, newest, trainings.get(name, []))
            if newest is not None and cause is not None and self._is_known(name):
                asked.append(self._ask(name, newest, cause))
        return asked

    def _due(self, name: str, newest: ModelVersion, jobs: Sequence[Job]) -> Cause | None:
        now_us, config = self._clock.now_us(), self._config
        cause = due(now_us, newest, jobs, config.every_h, config.on_drift)
        return None if cause == "drift" and not self._drifts(name) else cause

    def _ask(self, name: str, newest: ModelVersion, cause: Cause) -> Job:
        """As the model in force was made, or the newest where none is: who kept the age from it wants that."""
        like = self._champion(name) or newest
        request = training_jobs.request(
            name, with_age=like.manifest.parameters.get("with_age", True), promote=self._config.promote, why=cause
        )  # fmt: skip
        job = self._jobs.submit(training_jobs.KIND, request, BY)
        _log.info("the model of %s is trained anew for its %s (%s)", name, cause, job.id)
        return job

    def _champion(self, name: str) -> ModelVersion | None:
        try:
            return self._registry.champion(name)
        except (ModelDamagedError, ModelFormatError):
            return None


def due(
    now_us: int, newest: ModelVersion, jobs: Sequence[Job], every_h: float, on_drift: bool
) -> Cause | None:
    """Why a type is to be trained by now, ``drift`` only if it does drift; None: it is too soon.

    Parameters
    ----------
    newest : the newest version of the type
    jobs : trainings of the type that are remembered

    While one is under way none is due. One that the schedule asked for counts however it ended; where failures were too few,
    there will hardly be more on the same day.
    """
    if not all(job.has_ended for job in jobs):
        return None
    mine = max((job for job in jobs if job.by == BY), key=lambda job: job.number, default=None)
    last_us = max(newest.manifest.trained_until_us, 0 if mine is None else mine.created_us)
    since_us = now_us - last_us
    if mine is not None and mine.code == TooFewFailuresError.code and now_us - mine.created_us < DAY_US:
        return None
    if every_h and since_us >= every_h * HOUR_US:
        return "age"
    return "drift" if on_drift and since_us >= DRIFT_REST_H * HOUR_US else None
