"""Snapshots of a host on disk: written whole, verified after writing, two kept.

A snapshot is one ``packing`` block in ``<cursor>.snapshot``; the cursor says which journal entry it includes. It is written
under another name, synced, read back and renamed, so that a name without ``.part`` was a whole one once. One that can no
longer be read is set aside, lest it count as one of the two. In an encrypted folder they lie sealed.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

from twins import sealing
from twins.packing import Arrays, PackingError, unpack
from twins.sealing import SealBrokenError

KEPT: Final = 2

_DAMAGED: Final = "damaged"
_NAME: Final = re.compile(r"^(\d{20})\.snapshot$")


def write(folder: Path, cursor: int, block: bytes | bytearray | memoryview) -> Path:
    """Write one, as ``packing`` made it, verify it, and drop all but the newest ``KEPT``.

    Raises
    ------
    OSError : if it cannot be written; the older ones stay.
    SealingError : the folder is encrypted, and the key for it is not at hand; the older ones stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cursor:020d}.snapshot"
    part = path.with_suffix(".part")
    block = sealing.stored(path, block)
    for left in folder.glob("*.part"):  # by whoever was killed while writing one
        left.unlink(missing_ok=True)
    try:
        with part.open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        unpack(sealing.read(part, path))
        part.rename(path)
    except BaseException:  # the next one has another name: what failed must not fill the disk
        part.unlink(missing_ok=True)
        raise
    _sync(folder)
    for old in _paths(folder)[:-KEPT]:
        old.unlink()
    return path


def cursors(folder: Path) -> list[int]:
    """The cursors of the snapshots that are kept, oldest first."""
    return [int(path.stem) for path in _paths(folder)]


def newest(folder: Path) -> tuple[tuple[int, dict[str, Any], Arrays] | None, list[str]]:
    """The newest snapshot that can be read, and what was wrong with the newer ones."""
    damage: list[str] = []
    for path in reversed(_paths(folder)):
        try:
            meta, arrays = unpack(sealing.read(path))
        except (OSError, PackingError, SealBrokenError) as error:
            damage.append(f"{path.name}: {error}; went back to the one before it")
            continue
        return (int(path.stem), meta, arrays), damage
    return None, damage


def set_aside(folder: Path, after: int) -> None:
    """Move what is newer than ``after``, and could not be read, into ``damaged/``: it is none of the two that are kept.

    The newest ``KEPT`` of them stay there, for whoever wants to know what became of them.
    """
    damaged = folder / _DAMAGED
    for path in _paths(folder):
        if int(path.stem) > after:
            damaged.mkdir(exist_ok=True)
            path.rename(damaged / path.name)
    for old in _paths(damaged)[:-KEPT]:
        old.unlink()


def newest_block(folder: Path) -> tuple[int, bytes] | None:
    """Cursor and bytes of the newest one, opened where it is sealed, else unverified; None if there is none."""
    for path in reversed(_paths(folder)):
        try:
            return int(path.stem), sealing.read(path)
        except FileNotFoundError:  # a newer one took its place
            continue
    return None


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
