"""Arrays and texts in files: whole or not at all, sealed where their folder is, and nothing of them ever unpickled."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twins import sealing
from twins.journal import sync_folder


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as an npz file."""
    held = io.BytesIO()
    np.savez(held, allow_pickle=False, **arrays)
    return held.getvalue()


def unpacked(block: bytes) -> dict[str, NDArray[Any]]:
    """What ``packed`` was given; ValueError or BadZipFile if it is not that."""
    with np.load(io.BytesIO(block), allow_pickle=False) as arrays:
        return dict(arrays)


def keep(path: Path, block: bytes | bytearray | memoryview) -> None:
    """Have a file hold this once it is durable; before, it holds what it held, or is not there."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(part, sealing.stored(path, block))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def write(path: Path, block: bytes | bytearray | memoryview) -> None:
    """Write a file and have it reach the disk."""
    with path.open("wb") as file:
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
