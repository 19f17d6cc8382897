"""The whole platform in a folder, and back: ``twinfold backup`` and ``restore``.

A backup is taken while everything goes on. It holds, so that they fit together: every table of history at a version; of
each host a snapshot and the journal, which goes on where that version ends; the database, secrets and what else lies in
the data folder. What was acknowledged before it began is in it, once. ``manifest.json`` is written last and names every
file with its length and SHA-256: a folder without it is no backup.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from serve import database_copy
from serve.access import FOLDER as SECRETS
from serve.access import LOCAL_FILE
from serve.database import Database
from training.copying import pin
from training.experiments import FOLDER as WHATIF
from training.jobs import FOLDER as JOBS
from training.registry import FOLDER as MODELS
from twins.errors import FleetError
from twins.journal import sync_folder
from twins.journal_copy import CopiedHost, copy_host
from twins.placement import HOMES_FILE, ID_FILE
from twins.sealing import KEYSET_FILE, sealer_of
from twins.whatif.results import PARTS

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"

_DATABASE: Final = "database.jsonl"
_DATA: Final = "data"
_HOSTS: Final = "hosts"
_HISTORY: Final = "history"
_BESIDE: Final = (SECRETS, JOBS, MODELS, WHATIF, "simulator", HOMES_FILE, ID_FILE)
_TRIES: Final = 5
_PIECE: Final = 1 << 20

Step = Callable[[str], AbstractContextManager[None]]


class BackupError(FleetError):
    """A backup cannot be taken or restored."""

    code = "backup.failed"

    def __init__(self, folder: str, problem: str, remedy: str) -> None:
        super().__init__(folder, problem, remedy)
        self.folder = folder
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.folder}: {self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds: ``hosts`` with their last entries, ``tables`` with their versions, files and bytes of all."""

    taken_at: str
    hosts: dict[str, int]
    tables: dict[str, int]
    files: int
    bytes: int
    linked: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        linked = f", {self.linked} of them shared with the one before" if self.linked else ""
        return (
            f"{len(self.hosts)} hosts, {len(self.tables)} tables, as of {self.taken_at}: "
            f"{self.files} files, {self.bytes / 1e6:,.1f} MB{linked}"
        )


def take(
    data: Path,
    database: Database,
    target: Path,
    before: Path | None = None,
    step: Step = lambda _: nullcontext(),
) -> Summary:
    """Back the platform with the data folder ``data`` up into the new folder ``target``; it may run meanwhile.

    Files of history that ``before``, an earlier backup on the same disk, has are shared with it. ``step`` is entered around
    each part, with its name.

    Raises
    ------
    BackupError : ``target`` is there and not empty; hosts live in other folders; the platform changes too quickly.
    FleetError, OSError : something cannot be read, or not be written. What is left of the backup is deleted.
    """
    if target.exists() and any(target.iterdir()):
        raise BackupError(str(target), "it is not empty", "name a new folder")
    if not (data / _HOSTS).is_dir():
        raise BackupError(str(data), "nothing lives here", "name the data folder with --data")
    _refuse_scattered(data)
    known = {} if before is None else _manifest(before)["files"]
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        copy = _Copy(target, before, known)
        hosts, tables = _copy_fleet(data, copy, step)
        with step("copy the database"):
            revision = database_copy.dump(database, target / _DATABASE)
            copy.note(Path(_DATABASE))
        with step("copy secrets and the rest"):
            for path in _beside(data):
                copy.file(data / path, Path(_DATA) / path)
        manifest = {
            "format": FORMAT,
            "taken_at": taken_at,
            "revision": revision,
            "hosts": {name: asdict(host) for name, host in hosts.items()},
            "tables": tables,
            "files": copy.files,
        }
        _write(target / MANIFEST, json.dumps(manifest, indent=1).encode())
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return _summary(manifest, copy.linked)


def restore(
    source: Path,
    data: Path,
    database_in: Callable[[Path], Database],
    step: Step = lambda _: nullcontext(),
) -> Summary:
    """Rebuild the platform of a backup as the data folder ``data``, which is new or empty.

    Every file is compared with the manifest; the data folder appears when it is whole. ``database_in`` gives the database
    of a data folder; it has to be empty.

    Raises
    ------
    BackupError : ``source`` is no whole backup, or ``data`` is not empty; nothing was changed.
    DatabaseError : the database is not empty; nothing was changed.
    SealingError : what it holds is encrypted, and the key is not at hand; nothing was changed.
    """
    if data.exists() and any(data.iterdir()):
        raise BackupError(str(data), "it is not empty", "name a new folder with --data")
    manifest = _manifest(source)
    part = data.with_name(data.name + ".restoring")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    try:
        with step("copy files"):
            for name, facts in manifest["files"].items():
                where = part / Path(name).relative_to(_DATA) if name.startswith(f"{_DATA}/") else None
                _compared(_inside(source, name), where, facts)
        sealer_of(part)  # better now than at the first start
        with step("fill the database"):
            database = database_in(part)
            try:
                database_copy.load(database, source / _DATABASE)
            finally:
                database.close()
        if data.exists():
            data.rmdir()
        part.rename(data)
        sync_folder(data.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return _summary(manifest)


def _copy_fleet(data: Path, copy: "_Copy", step: Step) -> tuple[dict[str, CopiedHost], dict[str, int]]:
    """History and hosts, so that they fit together; taken again where a journal was cut or a file left meanwhile."""
    problem = ""
    for _ in range(_TRIES):
        copy.begin()
        if (data / KEYSET_FILE).exists():  # first: what is copied after it is read with it
            copy.file(data / KEYSET_FILE, Path(_DATA) / KEYSET_FILE)
        names = sorted(path.name for path in (data / _HOSTS).glob("host-*"))
        pinned = pin(data / _HISTORY, names)
        hosts: dict[str, CopiedHost] = {}
        try:
            for name in names:
                with step(f"copy {name}"):
                    hosts[name] = copy_host(data / _HOSTS / name, copy.target / _DATA / _HOSTS / name)
            late = [
                name
                for name, host in hosts.items()
                if not host.goes_on_after(pinned.begins_after(name)) or host.last < pinned.reaches(name)
            ]
            if late:
                problem = f"the journal of {late[0]} was cut while it was copied"
                continue
            with step("copy history"):
                for path in pinned.files():
                    copy.file(path, Path(_DATA) / path.relative_to(data))
        except (FileNotFoundError, sqlite3.OperationalError) as error:
            problem = str(error)
            continue
        for path in sorted((copy.target / _DATA / _HOSTS).rglob("*")):
            if path.is_file():
                copy.note(path.relative_to(copy.target))
        return hosts, {name: version.number for name, version in pinned.versions.items()}
    raise BackupError(str(data), f"it changes too quickly: {problem}", "try again")


class _Copy:
    """Files on their way into a backup, and what the manifest will say of them."""

    def __init__(self, target: Path, before: Path | None, known: dict[str, Any]) -> None:
        self.target = target
        self.files: dict[str, dict[str, Any]] = {}
        self.linked = 0
        self._before = before
        self._known = known

    def begin(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.target / _DATA, ignore_errors=True)
        self.files, self.linked = {}, 0

    def file(self, path: Path, name: Path) -> None:
        """Copy one file; a data file that the backup before has is the same one, if that lies on the same disk."""
        key = name.as_posix()
        if self._before is not None and path.suffix == ".parquet" and key in self._known:
            (self.target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(OSError):
                os.link(self._before / key, self.target / name)
                self.files[key] = self._known[key]
                self.linked += 1
                return
        size, digest = _copied(path, self.target / name)
        self.files[key] = {"bytes": size, "sha256": digest}

    def note(self, name: Path) -> None:
        """Take down a file that is there already."""
        size, digest = _copied(self.target / name, None)
        self.files[name.as_posix()] = {"bytes": size, "sha256": digest}


def _copied(path: Path, where: Path | None) -> tuple[int, str]:
    """Copy a file durably, if it is to go anywhere; gives its length and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        mode = os.fstat(source.fileno()).st_mode & 0o700
        if where is not None:
            where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.devnull if where is None else where, "wb") as target:
            while piece := source.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
            if where is not None:
                os.fchmod(target.fileno(), mode)
                target.flush()
                os.fsync(target.fileno())
    return size, digest.hexdigest()


def _compared(path: Path, where: Path | None, facts: dict[str, Any]) -> None:
    """Copy a file out of a backup; BackupError if it is not the one that was put in."""
    try:
        found = _copied(path, where)
    except FileNotFoundError:
        found = None
    if found != (facts["bytes"], facts["sha256"]):
        problem = "it is missing" if found is None else "it is not what was backed up"
        raise BackupError(str(path), problem, "restore another backup; this one is damaged")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise BackupError(str(folder), "it holds no whole backup", "name the folder of one") from None
    except ValueError as error:
        raise BackupError(
            str(folder / MANIFEST), f"it cannot be read: {error}", "take another backup"
        ) from None
    if manifest.get("format") != FORMAT:
        problem = f"it has format {manifest.get('format')}, this Twinfold reads {FORMAT}"
        raise BackupError(str(folder), problem, "restore it with the Twinfold that wrote it")
    return manifest


def _inside(folder: Path, name: str) -> Path:
    """A file that a manifest names; it may name none outside its folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BackupError(
            str(folder), f"its manifest names {name!r}, which is not in it", "take another backup"
        )
    return path


def _beside(data: Path) -> Iterator[Path]:
    """What else is worth keeping, relative to the data folder; what only lives while a platform runs is not.

    Of experiments under way the fork is kept: once restored, they are run from it again.
    """
    for name in _BESIDE:
        found: Iterable[Path] = [data / name] if (data / name).is_file() else sorted((data / name).rglob("*"))
        for path in found:
            kept = path.relative_to(data)
            passing = path.suffix in (".part", ".partial") or (name == WHATIF and PARTS in kept.parts)
            if path.is_file() and path.name != LOCAL_FILE and not passing and not _is_hidden(kept):
                yield kept


def _is_hidden(path: Path) -> bool:
    """Locks, and what is still being written."""
    return any(part.startswith(".") for part in path.parts)


def _refuse_scattered(data: Path) -> None:
    if not (data / HOMES_FILE).exists():
        return
    homes: dict[str, str] = json.loads((data / HOMES_FILE).read_text())
    away = sorted(host for host in homes if not (data / _HOSTS / host).is_dir())
    if away:
        problem = f"{len(away)} hosts live in other data folders, such as {away[0]} in {homes[away[0]]}"
        raise BackupError(
            str(data), problem, "a backup of several folders is not supported yet: copy their disks"
        )


def _write(path: Path, block: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def _summary(manifest: dict[str, Any], linked: int = 0) -> Summary:
    return Summary(
        manifest["taken_at"],
        {name: host["last"] for name, host in manifest["hosts"].items()},
        manifest["tables"],
        len(manifest["files"]),
        sum(facts["bytes"] for facts in manifest["files"].values()),
        linked,
    )
