"""Named arrays in one block of bytes, with a checksum: the form of journal entries, snapshots and actor messages.

Layout: magic ``TF``, format version (1 byte), flags (1 byte), CRC-32 of the rest (4 bytes), header length (4 bytes),
header (JSON: ``meta`` as given, ``arrays`` as ``[name, dtype, shape, offset]``), padding to 64 bytes, the arrays, each
at a multiple of 64 bytes. Reading copies nothing. Nothing in it is ever executed, unlike a pickle.
"""

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1

_MAGIC = b"TF"
_PREFIX = struct.Struct("<2sBBII")
_ALIGN = 64

Arrays = dict[str, NDArray[Any]]


class PackingError(ValueError):
    """The bytes are not a block that this version can read, or they changed since they were written."""


def pack(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> bytearray:
    """One block of bytes that holds ``meta`` (JSON values) and ``arrays`` (any shape, no object dtype)."""
    header, start, views, size = _laid_out(meta, arrays or {})
    block = bytearray(size)
    _fill(memoryview(block), header, start, views)
    _close(memoryview(block), len(header))
    return block


def room(size: int) -> memoryview:
    """Zeroed memory that is really there, so that copying into it is no more than that. Other threads go on meanwhile."""
    found = np.empty(size, np.uint8)
    found.fill(0)  # the system hands out memory when it is first touched
    return found.data


def begin(
    meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], into: memoryview | None = None
) -> Callable[[], memoryview]:
    """Copy at once what a block is to hold, so that it may change from then on; the rest can be done in another thread.

    Parameters
    ----------
    into : a ``room`` for it, where one was made beforehand; one that is too small is not used

    Returns
    -------
    Callable : makes it a block, as ``pack`` does.
    """
    header, start, views, size = _laid_out(meta, arrays)
    block = memoryview(bytearray(size)) if into is None or len(into) < size else into[:size]
    _fill(block, header, start, views)

    def finish() -> memoryview:
        _close(block, len(header))
        return block

    return finish


def _laid_out(
    meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> tuple[bytes, int, dict[int, NDArray[Any]], int]:
    """Header, where the arrays begin, the arrays by their places from there on, and the size of it all."""
    index: list[list[Any]] = []
    offset = 0
    views: dict[int, NDArray[Any]] = {}
    for name, array in arrays.items():
        view = np.ascontiguousarray(array)
        if view.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects, which have no bytes")
        descr = view.dtype.descr if view.dtype.names else view.dtype.str
        index.append([name, descr, list(view.shape), offset])
        if view.nbytes:
            views[offset] = view
        offset += _aligned(view.nbytes)
    header = json.dumps({"meta": meta, "arrays": index}, separators=(",", ":")).encode()
    start = _aligned(_PREFIX.size + len(header))
    return header, start, views, start + offset


def _fill(block: memoryview, header: bytes, start: int, views: Mapping[int, NDArray[Any]]) -> None:
    block[_PREFIX.size : _PREFIX.size + len(header)] = header
    body = block[start:]
    for at, view in views.items():
        body[at : at + view.nbytes] = _bytes(view)


def _close(block: memoryview, header_length: int) -> None:
    crc = zlib.crc32(block[_PREFIX.size :])
    _PREFIX.pack_into(block, 0, _MAGIC, FORMAT_VERSION, 0, crc, header_length)


def unpack(block: bytes | bytearray | memoryview, *, verify: bool = True) -> tuple[dict[str, Any], Arrays]:
    """The ``meta`` and ``arrays`` of a block; the arrays are read-only views into it.

    Raises
    ------
    PackingError : if the block is cut short, altered, or of another format version.
    """
    view = memoryview(block)
    if len(view) < _PREFIX.size:
        raise PackingError(f"a block of {len(view)} bytes is shorter than its prefix")
    magic, version, _, crc, header_length = _PREFIX.unpack_from(view, 0)
    if magic != _MAGIC:
        raise PackingError("not a Twinfold block: its first bytes are wrong")
    if version != FORMAT_VERSION:
        raise PackingError(f"format version {version}, this Twinfold reads version {FORMAT_VERSION}")
    if verify and zlib.crc32(view[_PREFIX.size :]) != crc:
        raise PackingError("checksum mismatch: the bytes changed after they were written")
    header = json.loads(bytes(view[_PREFIX.size : _PREFIX.size + header_length]))
    start = _aligned(_PREFIX.size + header_length)
    arrays: Arrays = {}
    for name, descr, shape, offset in header["arrays"]:
        dtype = np.dtype([_field(f) for f in descr] if isinstance(descr, list) else descr)
        count = int(np.prod(shape, dtype=np.int64))
        array: NDArray[Any] = (
            np.frombuffer(view, dtype=dtype, count=count, offset=start + offset)
            if count
            else np.zeros(0, dtype)
        )
        array = array.reshape(shape)
        array.flags.writeable = False
        arrays[name] = array
    return header["meta"], arrays


def _bytes(view: NDArray[Any]) -> memoryview:
    return view.reshape(-1).view(np.uint8).data


def _field(spec: list[Any]) -> tuple[Any, ...]:
    name, code, *shape = spec
    return (name, code, tuple(shape[0])) if shape else (name, code)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
