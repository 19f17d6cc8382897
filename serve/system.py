"""What runs, of what version, and what lies on disk: the parts of the platform beside its hosts. No Ray, no requests."""

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Protocol

PartState = Literal["ready", "starting", "behind", "away"]

_PACKAGES: Final = ("ray", "duckdb", "pyarrow", "deltalake", "numba", "fastapi")


@dataclass(frozen=True, slots=True)
class Part:
    """A service or an application, as it says itself.

    Attributes
    ----------
    name : what it is called
    state : ``behind`` is one that runs and does not get on, for ``reason``; ``away`` does not answer
    facts : numbers and states of its own, as JSON values
    """

    name: str
    state: PartState
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Parts(Protocol):
    """Where the parts are asked."""

    def services(self) -> Sequence[Part]:
        """Recorder, notifier, jobs and what else has a process beside the hosts; what was not asked for is not there."""

    def applications(self) -> Sequence[Part]:
        """The applications that answer requests, with the number of their replicas."""


class NoParts(Parts):
    """A fleet in one process has nothing beside itself."""

    def services(self) -> Sequence[Part]:
        return ()

    def applications(self) -> Sequence[Part]:
        return ()


def part(name: str, said: Mapping[str, Any]) -> Part:
    """What a service says of itself, in one shape: its own ``state`` and ``reason`` where it has them, else its problems."""
    facts = {key: value for key, value in said.items() if key not in ("state", "reason")}
    reasons = [said.get("reason", ""), *said.get("problems", {}).values()]
    reasons += [each["reason"] for each in said.values() if isinstance(each, Mapping) and each.get("reason")]
    reason = next(filter(None, reasons), "")
    state = said.get("state", "ready")
    return Part(name, "behind" if reason and state == "ready" else state, reason, facts)


def software() -> dict[str, str]:
    """Versions of what a fault may be due to, by name."""
    found = {name: version(name) for name in ("twinfold", *_PACKAGES)}
    return {
        **found,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def disk(folder: Path) -> dict[str, int]:
    """``free_bytes`` and ``total_bytes`` of the disk under a folder."""
    usage = shutil.disk_usage(folder)
    return {"free_bytes": usage.free, "total_bytes": usage.total}
