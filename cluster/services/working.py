"""The process that runs jobs."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from cluster.services.service import STOP_WITHIN_S, Service, journal_sources
from training import import_jobs, rehearsal_jobs, training_jobs
from training.jobs import ACTOR, FOLDER, Job, Jobs, Work
from training.past import Past
from twins.actors import host_actors
from twins.fleet import Fleet
from twins.journal import JournalConfig
from twins.placement import Placement
from twins.ray_fleet import RayFleet

_WORKERS: Final = 8


class Working:
    """Runs jobs, with a fleet of its own, which is found when the first one wants it: it may be away for a while."""

    def __init__(self, data: str, fleet: Callable[[Path], Fleet] = RayFleet) -> None:
        find = cache(lambda: fleet(Path(data) / "hosts"))
        works: dict[str, Work] = {
            import_jobs.KIND: partial(import_jobs.work, find, JournalConfig().max_bytes // 2),
            rehearsal_jobs.KIND: partial(rehearsal_jobs.work, find, partial(_past, Path(data))),
            training_jobs.KIND: partial(
                training_jobs.work, Path(data), lambda name: find().types[name], _train
            ),
        }
        self._jobs = Jobs(Path(data) / FOLDER, works)

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
        """How many jobs are ``running`` and ``queued``."""
        states = [job.state for job in self._jobs.list()]
        return {"running": states.count("running"), "queued": states.count("queued")}

    def stop(self) -> None:
        """End; what is under way is begun again at the next start."""
        self._jobs.stop(STOP_WITHIN_S)


def _train(folder: Path) -> None:
    """Do a training run with a worker for each core of the cluster, up to some."""
    import ray

    from training.trainer import train

    train(folder, max(1, min(_WORKERS, int(ray.cluster_resources().get("CPU", 1)))))


def _past(data: Path) -> Past:
    """The past of the fleet that runs now, up to this moment."""
    return Past(data / "history", tuple(journal_sources(data / "hosts", host_actors()).values()))


def start(data: Path, labels: Mapping[str, str], placement: Placement) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Working, ACTOR, labels, str(data), partial(RayFleet, placement=placement))
