"""Telling a torn end from damage in a write-ahead log of SQLite's.

SQLite believes the frames of a log up to the first with a wrong checksum, drops the rest without a word, and
on closing forgets the difference. Every commit is synced before the next begins, so a power cut leaves at
most one commit beyond that point; more than one means that synced bytes have changed.

Source: the SQLite database file format, section 4, https://sqlite.org/fileformat2.html#walformat
"""

import functools
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins.errors import JournalCorruptError

_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24


def check(path: Path, page_bytes: int) -> None:
    """Find damage in the write-ahead log of the SQLite file at ``path``, before SQLite opens it and drops it.

    Raises
    ------
    JournalCorruptError : bytes that were synced have changed.
    """
    try:
        log = np.fromfile(f"{path}-wal", np.uint8)
    except FileNotFoundError:
        return
    if len(log) < _HEADER_BYTES:
        return
    frame_bytes = _FRAME_HEADER_BYTES + page_bytes
    words = ">u4" if log[3] & 1 else "<u4"
    stored = log[: len(log) // 4 * 4].view(">u4")
    running: tuple[int, int] | None = _checksum((0, 0), log[:24].view(words))
    whole = running == (stored[6], stored[7])
    beyond = 0
    for at in range(_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        frame = log[at : at + frame_bytes]
        head = frame[:24].view(">u4")  # page, pages after a commit (0: no commit), salts, checksums
        if whole and tuple(head[2:4]) != tuple(stored[4:6]):
            running = None  # left over from before the log was last begun anew, or damaged
            continue
        if running is not None:
            running = _checksum(running, np.concatenate([frame[:8], frame[24:]]).view(words))
            if running != (head[4], head[5]):
                running = None
        beyond += bool(head[1] and (running is None or not whole))
    if beyond > 1:
        problem = "synced entries at its end do not match their checksums; those before can be read"
        raise JournalCorruptError(f"{path}-wal", problem)


def _checksum(seed: tuple[int, int], words: NDArray[Any]) -> tuple[int, int]:
    """SQLite's running checksum: ``s0 += x[i] + s1; s1 += x[i+1] + s0`` modulo 2³², all pairs at once.

    One step multiplies (s0, s1) by the matrix (1 1; 1 2) and adds the pair, so each pair counts with a
    Fibonacci number that depends on its distance from the end.
    """
    n = len(words) // 2
    weights = _fibonacci(2 * n + 2)
    x0, x1 = words[0::2].astype(np.uint32), words[1::2].astype(np.uint32)
    back = 2 * np.arange(n - 1, -1, -1)
    s0 = int((x0 * weights[back + 1] + x1 * weights[back]).sum(dtype=np.uint32))
    s1 = int((x0 * weights[back + 2] + x1 * weights[back + 1]).sum(dtype=np.uint32))
    a, b, c = (int(weights[2 * n + i]) for i in (-1, 0, 1))
    return (s0 + a * seed[0] + b * seed[1]) & 0xFFFFFFFF, (s1 + b * seed[0] + c * seed[1]) & 0xFFFFFFFF


@functools.cache
def _fibonacci(n: int) -> NDArray[np.uint32]:
    """F(0), F(1), … F(n) modulo 2³²."""
    numbers = np.zeros(n + 1, np.uint32)
    a, b = 0, 1
    for i in range(n + 1):
        numbers[i] = a
        a, b = b, (a + b) & 0xFFFFFFFF
    return numbers
