"""Which data folder each host lives in.

A journal never moves by itself: a host runs where its folder is, and waits while no node has that folder. A data folder has
an id of its own, kept inside it, so that an empty mount point is another folder and not the same one with nothing in it.
Which host lives in which folder is written down before the host is first started.
"""

import fcntl
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from twins.errors import HostTwiceError, NoFolderError

ID_FILE: Final = "folder-id"
HOMES_FILE: Final = "homes.json"

_LEAST_CORES: Final = 0.1
_NAME_LENGTH: Final = 40
_NOT_OF_A_LABEL: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder that a node of the cluster has: its id, the cores beside it, the hosts that lie in it."""

    id: str
    cores: float
    hosts: tuple[str, ...] = ()


def folder_id(data: Path, machine: str) -> str:
    """The id of a data folder; a folder that has none gets one, which begins with the machine's name for people to read."""
    path = data / ID_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    name = _NOT_OF_A_LABEL.sub("-", machine.lower())[:_NAME_LENGTH].strip("-") or "node"
    data.mkdir(parents=True, exist_ok=True)
    part = data / f"{ID_FILE}.{secrets.token_hex(4)}.part"
    _write(part, f"{name}-{secrets.token_hex(4)}")
    try:
        os.link(part, path)  # whoever is first names it
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return path.read_text().strip()


class Home(Protocol):
    """The data folder that a host lives in, as its process sees it."""

    @property
    def id(self) -> str: ...

    def hosts(self) -> Path:
        """The folder in which each host has a folder of its own name."""
        ...

    def check(self) -> None:
        """Raises FolderMissingError where the data folder is not there, or another one is in its place."""
        ...


@dataclass(frozen=True, slots=True)
class FixedHome:
    """A folder for hosts that every process finds under the same path."""

    path: Path
    id: str = ""

    def hosts(self) -> Path:
        return self.path

    def check(self) -> None:
        """There is nothing to compare it with."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is to run: its home, and the labels of the nodes that have it (none: any node)."""

    home: Home
    labels: Mapping[str, str]


class Placement(Protocol):
    """Says where hosts run."""

    def place(self, host: str) -> Place:
        """The place of a host, the same one every time; NoFolderError if there is none for it."""
        ...

    def settled(self) -> Collection[str]:
        """The hosts that have a place already, whether they are up or not."""
        ...


@dataclass(frozen=True, slots=True)
class OneFolder:
    """All hosts in one folder of one machine."""

    hosts: Path

    def place(self, host: str) -> Place:
        return Place(FixedHome(self.hosts), {})

    def settled(self) -> list[str]:
        return [path.name for path in self.hosts.glob("host-*")]


class Homes:
    """The folder of each host, by the hosts' names; kept in a file. Several processes may settle hosts in it.

    Parameters
    ----------
    path : of the file
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def hosts(self) -> dict[str, str]:
        """Folder id by host."""
        found: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return found

    def learn(self, folders: Iterable[Folder]) -> None:
        """Write down hosts that lie in folders and are not known.

        Raises
        ------
        HostTwiceError : a host lies in two folders, or in another than the one written down. Nothing was written.
        """
        with self._locked() as homes:
            for folder in folders:
                for host in folder.hosts:
                    if homes.setdefault(host, folder.id) != folder.id:
                        raise HostTwiceError(host, homes[host], folder.id)

    def settle(self, host: str, folders: Iterable[Folder]) -> str:
        """The folder of a host; one that has none goes where hosts have the most cores to themselves.

        Raises
        ------
        NoFolderError : there is no folder to choose from.
        """
        with self._locked() as homes:
            if host not in homes:
                chosen = roomiest(Counter(homes.values()), folders)
                if chosen is None:
                    raise NoFolderError(host)
                homes[host] = chosen
            return homes[host]

    @contextmanager
    def _locked(self) -> Iterator[dict[str, str]]:
        """What is written down, to be changed; written anew, if it was, unless an error is raised."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = self.hosts
            homes = dict(before)
            yield homes
            if homes != before:
                part = self._path.with_suffix(".part")
                _write(part, json.dumps(homes, indent=1, sort_keys=True))
                part.rename(self._path)
                _sync_folder(self._path.parent)
        finally:
            os.close(descriptor)


def roomiest(held: Mapping[str, int], folders: Iterable[Folder]) -> str | None:
    """The folder where one more host has the most cores to itself; ``held`` is how many each has. None: no folder at all."""
    ranked = [((held.get(each.id, 0) + 1) / max(each.cores, _LEAST_CORES), each.id) for each in folders]
    return min(ranked)[1] if ranked else None


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
