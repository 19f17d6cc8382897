"""Snapshots that outlive a host's own two: hourly for a week, then daily as long as raw readings are kept.

They lie under ``snapshots/<actor>/`` in the folder of history, named by shard time and cursor, and are where a twin as of
a past moment is rebuilt from (``past.py``). What retention took away of an actor's readings is noted beside them, so
that nobody begins to rebuild where readings are missing.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training import parquet_files
from training.tables import File
from twins import sealing
from twins.clock import DAY_US, HOUR_US
from twins.packing import Arrays, PackingError, unpack
from twins.sealing import SealBrokenError

FOLDER: Final = "snapshots"

_GONE: Final = "gone.json"
_NAME: Final = re.compile(r"^(\d{20})-(\d{20})\.snapshot$")
_UNFINISHED: Final = ".part"


@dataclass(frozen=True, slots=True)
class KeepingConfig:
    """One snapshot an hour for ``hourly_days``, then one a day for ``days``, of at most ``gb`` in all.

    ``days`` should be what raw readings are kept: an older one leads nowhere.
    """

    hourly_days: float = 7.0
    days: float = 365.0
    gb: float = 50.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept snapshot of one actor: the shard time and the journal entry that it includes."""

    path: Path
    actor: str
    now_us: int
    cursor: int

    def read(self) -> tuple[dict[str, Any], Arrays]:
        """What it holds, verified.

        Raises
        ------
        PackingError, SealBrokenError, OSError : it is damaged or gone.
        """
        return unpack(sealing.read(self.path))


class KeptSnapshots:
    """The kept snapshots of all actors of a history.

    Parameters
    ----------
    history : folder of the history
    """

    def __init__(self, history: Path) -> None:
        self.folder = history / FOLDER

    def of(self, actor: str) -> list[Kept]:
        """Those of one actor, oldest first."""
        folder = self.folder / actor
        if not folder.is_dir():
            return []
        named = ((path, _NAME.match(path.name)) for path in folder.iterdir())
        found = [Kept(path, actor, int(m[1]), int(m[2])) for path, m in named if m is not None]
        return sorted(found, key=lambda kept: (kept.now_us, kept.cursor))

    def actors(self) -> list[str]:
        """The actors of which snapshots are kept."""
        return (
            sorted(path.name for path in self.folder.iterdir() if path.is_dir())
            if self.folder.is_dir()
            else []
        )

    def is_due(self, actor: str, now_us: int) -> bool:
        """Whether the newest one is an hour old."""
        kept = self.of(actor)
        return not kept or now_us - kept[-1].now_us >= HOUR_US

    def keep(self, actor: str, cursor: int, block: bytes) -> Kept | None:
        """Keep a host's snapshot; None if there is one of the same moment already.

        Raises
        ------
        PackingError : it is damaged; nothing was kept.
        """
        meta, _ = unpack(block)
        path = self.folder / actor / f"{meta['now_us']:020d}-{cursor:020d}.snapshot"
        if path.exists():
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, sealing.stored(path, block))
        return Kept(path, actor, meta["now_us"], cursor)

    def keep_newest(self, actor: str, snapshots: Path, now_us: int) -> Kept | None:
        """Keep the newest snapshot in a host's folder, if one is due; None where nothing was kept."""
        if not self.is_due(actor, now_us) or not snapshots.is_dir():
            return None
        known = {kept.cursor for kept in self.of(actor)}
        for path in sorted(snapshots.glob("*.snapshot"), reverse=True):
            if int(path.stem) in known:  # nothing has happened since
                return None
            try:
                return self.keep(actor, int(path.stem), sealing.read(path))
            except (
                FileNotFoundError,
                PackingError,
                SealBrokenError,
            ):  # replaced meanwhile, or damaged: the one before it
                continue
        return None

    def thin(self, now_us: int, config: KeepingConfig | None = None) -> int:
        """Drop what is no longer wanted; the newest of each actor always stays. Returns how many were dropped."""
        config = config or KeepingConfig()
        dropped = 0
        for actor in self.actors():
            slots: set[tuple[int, int]] = set()
            for kept in self.of(actor)[:-1]:
                age_us = now_us - kept.now_us
                width_us = HOUR_US if age_us < config.hourly_days * DAY_US else DAY_US
                slot = width_us, kept.now_us // width_us
                if slot in slots or age_us > config.days * DAY_US:
                    kept.path.unlink(missing_ok=True)
                    dropped += 1
                slots.add(slot)
        return dropped + self._limit_bytes(round(config.gb * 1e9))

    def note_gone(self, file: File) -> None:
        """Remember how far the readings of each actor are gone with a file that retention takes away."""
        rows = parquet_files.read(file.path, ["actor", "cursor"])
        newest = rows.group_by("actor").aggregate([("cursor", "max")]).to_pylist()
        gone = dict(self.gone())
        for line in newest:
            gone[line["actor"]] = max(gone.get(line["actor"], 0), line["cursor_max"])
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / _GONE, json.dumps(gone).encode())

    def gone(self) -> Mapping[str, int]:
        """By actor, the newest entry of which readings may be missing."""
        try:
            found: dict[str, int] = json.loads((self.folder / _GONE).read_text())
        except FileNotFoundError:
            return {}
        return found

    def _limit_bytes(self, limit: int) -> int:
        """Drop the oldest, of whichever actor, while all of them take more; the newest of each stays."""
        droppable = [kept for actor in self.actors() for kept in self.of(actor)[:-1]]
        total = sum(kept.path.stat().st_size for actor in self.actors() for kept in self.of(actor))
        dropped = 0
        for kept in sorted(droppable, key=lambda each: each.now_us):
            if total <= limit:
                break
            total -= kept.path.stat().st_size
            kept.path.unlink()
            dropped += 1
        return dropped


def _write(path: Path, block: bytes | bytearray | memoryview) -> None:
    part = path.with_suffix(_UNFINISHED)
    with part.open("wb") as file:
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
