# mypy: disallow-untyped-decorators=False
"""Which of many texts hold a given one: one pass over the bytes that Arrow keeps them in.

Nearly all places fail at their first bytes, so blocks of them are tried at once for these alone, as processors do
sixteen or thirty-two at a time; only a block with a candidate is looked at byte by byte. UTF-8 can be compared so:
no character's bytes begin within another's (RFC 3629).
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

_BLOCK: Final = 256


def holding(texts: pa.Array, part: str) -> NDArray[np.bool_]:
    """(n,) Whether a text has ``part`` in it; not where it is null. ``texts`` are of type ``string`` or ``large_string``.

    Examples
    --------
    >>> holding(pa.array(["pump-17", "fan-1", None]), "-17").tolist()
    [True, False, False]
    """
    wanted = np.frombuffer(part.encode(), np.uint8)
    n = len(texts)
    if not n or not len(wanted):
        found = np.ones(n, np.bool_)
    else:
        _, places, data = texts.buffers()
        kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
        bounds = np.frombuffer(places, kind)[texts.offset : texts.offset + n + 1]
        bytes_ = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        found = _holding(bytes_, bounds, wanted)
    return found & texts.is_valid().to_numpy(zero_copy_only=False) if texts.null_count else found


@njit(cache=True, nogil=True)
def _holding(data: NDArray[np.uint8], bounds: NDArray[Any], part: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found = np.zeros(len(bounds) - 1, np.bool_)
    m = len(part)
    second, third = min(1, m - 1), min(2, m - 1)
    a, b, c = part[0], part[second], part[third]
    text = 0
    stop = np.int64(bounds[-1]) - m + 1  # no place from there on has room for it
    for begin in range(np.int64(bounds[0]), stop, _BLOCK):
        end = begin + _BLOCK if begin + _BLOCK < stop else stop
        firsts, seconds, thirds = (
            data[begin:end],
            data[begin + second : end + second],
            data[begin + third : end + third],
        )
        candidate = False
        for i in range(len(firsts)):
            candidate |= (firsts[i] == a) & (seconds[i] == b) & (thirds[i] == c)
        if not candidate:
            continue
        for i in range(len(firsts)):
            if firsts[i] == a and seconds[i] == b and thirds[i] == c:
                at = begin + i
                while bounds[text + 1] <= at:
                    text += 1
                if at + m <= bounds[text + 1] and not found[text]:
                    same = 1
                    while same < m and data[at + same] == part[same]:
                        same += 1
                    found[text] = same == m
    return found
