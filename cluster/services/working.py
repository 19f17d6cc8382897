"""The process that runs jobs, and asks for trainings that are due."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from cluster.services.service import STOP_WITHIN_S, Service, journal_sources
from training import drift, import_jobs, promotion_jobs, rehearsal_jobs, training_jobs, whatif_jobs
from training.history import History
from training.jobs import ACTOR, FOLDER, Job, Jobs, Work
from training.lab import Lab
from training.past import Past
from training.registry import FOLDER as MODELS
from training.registry import Registry
from training.retraining import RetrainingConfig, Schedule
from twins.actors import host_actors
from twins.clock import Clock, WallClock
from twins.errors import FleetError
from twins.fleet import Fleet
from twins.journal import JournalConfig
from twins.placement import Placement
from twins.ray_fleet import RayFleet
from twins.whatif.experiments import Runner as ReplicationRunner

_WORKERS: Final = 8
_LOOK_EVERY_S: Final = 30.0

_log = logging.getLogger("twinfold.training")


class Working:
    """Runs jobs, with a fleet of its own, which is found when the first one wants it: it may be away for a while.

    Parameters
    ----------
    data : the data folder
    retraining : when types are trained anew
    """

    def __init__(
        self,
        data: str,
        retraining: RetrainingConfig,
        fleet: Callable[[Path], Fleet] = RayFleet,
        clock: Clock | None = None,
    ) -> None:
        folder, clock = Path(data), clock or WallClock()
        find = cache(lambda: fleet(folder / "hosts"))
        registry = Registry(folder / MODELS)
        works: dict[str, Work] = {
            import_jobs.KIND: partial(import_jobs.work, find, JournalConfig().max_bytes // 2),
            rehearsal_jobs.KIND: partial(rehearsal_jobs.work, find, partial(_past, folder)),
            promotion_jobs.KIND: partial(promotion_jobs.work, find, partial(_past, folder), registry),
            training_jobs.KIND: partial(training_jobs.work, folder, lambda name: find().types[name], _train),
            whatif_jobs.KIND: partial(whatif_jobs.work, folder, partial(_lab, folder, find), _replications),
        }
        self._jobs = Jobs(folder / FOLDER, works, clock)
        self._schedule = Schedule(
            registry, self._jobs, retraining, partial(_drifts, registry), lambda name: name in find().types, clock
        )  # fmt: skip
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_to_schedule, name="schedule", daemon=True)
        self._thread.start()

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> Job:
        return self._jobs.submit(kind, request, by)

    def list(self) -> "list[Job]":
        return self._jobs.list()

    def get(self, job_id: str) -> Job:
        return self._jobs.get(job_id)

    def follow(self, job_id: str, version: int, wait_s: float) -> Job:
        return self._jobs.follow(job_id, version, wait_s)

    def cancel(self, job_id: str) -> Job:
        return self._jobs.cancel(job_id)

    def status(self) -> dict[str, Any]:
        """How many jobs are ``running`` and ``queued``, and what keeps the schedule from being kept (``problems``)."""
        states = [job.state for job in self._jobs.list()]
        return {
            "running": states.count("running"),
            "queued": states.count("queued"),
            "problems": {"schedule": self._problem} if self._problem else {},
        }

    def stop(self) -> None:
        """End; what is under way is begun again at the next start."""
        self._stop.set()
        self._jobs.stop(STOP_WITHIN_S)
        self._thread.join(STOP_WITHIN_S)

    def _keep_to_schedule(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            problem = ""
            try:
                self._schedule.step()
            except Exception as error:  # the fleet or the disk; whatever it is, the next look may fare better
                problem = str(error) or type(error).__name__
                if problem != self._problem:
                    is_known = isinstance(error, (FleetError, OSError))
                    _log.error("no training by schedule: %s", problem, exc_info=not is_known)
            self._problem = problem


def _drifts(registry: Registry, device_type: str) -> bool:
    """Whether the model in force of a type no longer fits."""
    champion = registry.champion(device_type)
    return champion is not None and drift.drifts(registry.folder, device_type, champion.version)


def _train(folder: Path) -> None:
    """Do a training run with a worker for each core of the cluster, up to some."""
    import ray

    from training.trainer import train

    train(folder, max(1, min(_WORKERS, int(ray.cluster_resources().get("CPU", 1)))))


def _replications() -> ReplicationRunner:
    """Runs replications of experiments on all cores of the cluster but one, which is left to the twins that live."""
    import ray

    from twins.whatif.ray_runner import RayRunner

    return RayRunner(max(1, int(ray.cluster_resources().get("CPU", 1)) - 1))


def _lab(data: Path, find: Callable[[], Fleet], check: Callable[[], None]) -> Lab:
    """What experiments begin with: the fleet that runs now, and its past."""
    sources = tuple(journal_sources(data / "hosts", host_actors()).values())
    return Lab(data, History(data / "history", sources), find, check=check)


def _past(data: Path) -> Past:
    """The past of the fleet that runs now, up to this moment."""
    return Past(data / "history", tuple(journal_sources(data / "hosts", host_actors()).values()))


def start(
    data: Path, retraining: RetrainingConfig, labels: Mapping[str, str], placement: Placement
) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Working, ACTOR, labels, str(data), retraining, partial(RayFleet, placement=placement))
