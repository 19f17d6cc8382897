"""Opaque cursors: where a page of a list ends, and how far a stream has been read.

Both are base64url of compact JSON, so that they pass through URLs unharmed; nobody but this module looks
inside. A page cursor belongs to one list with one sort and filter; a stream cursor is a vector of (host,
epoch, cursor).
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from serve.errors import CursorError

MAX_LENGTH: Final = 8_192
"""Characters of a cursor; a longer one was not made here."""

_LARGEST: Final = 2**63


class Reached(NamedTuple):
    """How far the journal of one host has been read, and under which owner that was written."""

    epoch: int
    cursor: int


Vector = Mapping[int, Reached]


def page_cursor(binding: str, key: tuple[Any, ...]) -> str:
    """A cursor at the line whose sort values are ``key``, for the list that ``binding`` describes."""
    return _encode([_digest(binding), *key])


def read_page_cursor(text: str, binding: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """The sort values in ``text``, of these ``kinds`` (``float`` takes whole numbers too).

    Raises
    ------
    CursorError : if it is not of this list, or not made here.
    """
    content = _decode(text)
    if not isinstance(content, list) or len(content) != len(kinds) + 1:
        raise CursorError(text, "it is not one of this list")
    if content[0] != _digest(binding):
        raise CursorError(text, "it belongs to another sort or filter")
    values = content[1:]
    for value, kind in zip(values, kinds, strict=True):
        allowed = (int, float) if kind is float else kind
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise CursorError(text, "it was changed on the way")
        if isinstance(value, int) and abs(value) >= _LARGEST:
            raise CursorError(text, "it was changed on the way")
        if isinstance(value, str) and not _can_be_written(value):
            raise CursorError(text, "it was changed on the way")
    return tuple(values)


def stream_cursor(vector: Vector) -> str:
    """A cursor for what ``vector`` has read."""
    return _encode([[host, *vector[host]] for host in sorted(vector)])


def newest(vectors: Iterable[Vector]) -> dict[int, int]:
    """The furthest cursor of each host.

    >>> newest([{0: Reached(1, 5), 1: Reached(1, 2)}, {0: Reached(1, 7)}])
    {0: 7, 1: 2}
    """
    furthest: dict[int, int] = {}
    for vector in vectors:
        for host, reached in vector.items():
            furthest[host] = max(reached.cursor, furthest.get(host, reached.cursor))
    return furthest


def read_stream_cursor(text: str) -> dict[int, Reached]:
    """What ``stream_cursor`` was given.

    Raises
    ------
    CursorError : if it was not made here.
    """
    content = _decode(text)
    if not isinstance(content, list):
        raise CursorError(text, "it is not one of a stream")
    vector: dict[int, Reached] = {}
    for part in content:
        whole = (
            isinstance(part, list)
            and len(part) == 3
            and all(type(n) is int and 0 <= n < _LARGEST for n in part)
        )
        if not whole:
            raise CursorError(text, "it is not one of a stream")
        vector[part[0]] = Reached(part[1], part[2])
    return vector


def _can_be_written(text: str) -> bool:
    """Whether it is Unicode: JSON can name half of a character, which no id has."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(binding: str) -> str:
    return hashlib.sha256(binding.encode()).hexdigest()[:8]


def _encode(content: list[Any]) -> str:
    # infinities stand for "no value" in a sort key; Python's JSON writes and reads them
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(text: str) -> Any:
    if len(text) > MAX_LENGTH:
        raise CursorError(text, "it is too long")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        content = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raise CursorError(text, "it was not given out here") from None
    if isinstance(content, list) and any(isinstance(value, float) and math.isnan(value) for value in content):
        raise CursorError(text, "it was changed on the way")
    return content
