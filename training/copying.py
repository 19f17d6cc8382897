"""A copy of history as of one moment, taken while the recorder goes on writing.

Each table is pinned at a version, then the files that this version names are copied, and the log up to it. ``inputs`` is
pinned first: the recorder begins where that ends, so every other table may have more, and none less.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.keeping import FOLDER as SNAPSHOTS
from training.tables import LOG, Table, Version

_FIRST: Final = "inputs"
_LOG_FILE: Final = re.compile(r"^(\d{20})\.(json|checkpoint.*\.parquet)$")
_LAST_CHECKPOINT: Final = "_last_checkpoint"


@dataclass(frozen=True, slots=True)
class Pinned:
    """The version of each table that is copied."""

    folder: Path
    versions: dict[str, Version]

    def begins_after(self, actor: str) -> int:
        """The last entry of an actor that the copy has in every table."""
        return self._cursor(_FIRST, actor)

    def reaches(self, actor: str) -> int:
        """The last entry of an actor that the copy has in any table."""
        return max((self._cursor(name, actor) for name in self.versions), default=0)

    def files(self) -> Iterator[Path]:
        """Everything to be copied. Data files never change and are never named again."""
        for name, version in self.versions.items():
            yield from (Path(file.path) for file in version.files)
            yield from log_files(self.folder / name, version.number)
        yield from sorted(path for path in (self.folder / SNAPSHOTS).rglob("*") if _is_whole(path))

    def _cursor(self, table: str, actor: str) -> int:
        return self.versions[table].cursors.get(actor, 0) if table in self.versions else 0


def pin(folder: Path, actors: Iterable[str]) -> Pinned:
    """Choose a version of each table of the history in ``folder``; it need not have any."""
    actors = list(actors)
    names = [path.parent.name for path in folder.glob(f"*/{LOG}")] if folder.is_dir() else []
    names.sort(key=lambda name: (name != _FIRST, name))
    tables = {name: Table(folder / name) for name in names}
    return Pinned(folder, {name: table.version(actors) for name, table in tables.items() if table.exists})


def log_files(folder: Path, version: int) -> Iterator[Path]:
    """What of a table's log leads to ``version``: the newest checkpoint before it, and the commits after that."""
    named = [(path, _LOG_FILE.match(path.name)) for path in sorted((folder / LOG).iterdir())]
    found = [(path, int(match[1]), match[2]) for path, match in named if match and int(match[1]) <= version]
    checkpoint = max((number for _, number, kind in found if kind != "json"), default=-1)
    yield from (path for path, number, kind in found if number == checkpoint and kind != "json")
    yield from (path for path, number, kind in found if number > checkpoint and kind == "json")
    last = folder / LOG / _LAST_CHECKPOINT
    if last.exists() and json.loads(last.read_text())["version"] <= version:
        yield last


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.suffix != ".part"
