"""An actor of the platform, and where it finds what it follows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import ray

from training.recorder import JournalSource, Source
from twins.actors import NAMESPACE, ActorSource

STOP_WITHIN_S: Final = 30.0
"""How long a service has to end what it does."""


class Service:
    """An actor of the platform, by name.

    Parameters
    ----------
    plain : the class that is given a process
    name : what it is found by
    labels : those of the node that it lives on; none: any node
    arguments : of the class
    """

    def __init__(self, plain: type, name: str, labels: Mapping[str, str], *arguments: Any) -> None:
        actor: Any = ray.remote(max_restarts=-1, num_cpus=0)(plain)
        self.name = name
        self.handle = actor.options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_concurrency=8,
            label_selector=dict(labels),
        ).remote(*arguments)  # fmt: skip

    def stop(self) -> None:
        """Let it end what it does, then end it."""
        try:
            ray.get(self.handle.stop.remote(), timeout=STOP_WITHIN_S + 5)
        finally:
            ray.kill(self.handle)


def journal_sources(folder: Path, hosts: Iterable[str]) -> dict[str, Source]:
    """The journals of all hosts that are up, read from disk where that is here, else through the actor."""
    return {
        name: JournalSource(name, folder / name / "journal")
        if (folder / name / "journal").is_dir()
        else ActorSource(name)
        for name in hosts
    }
