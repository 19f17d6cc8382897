"""Named arrays in one block of bytes, with a checksum: the form of journal entries, snapshots and actor messages.

Layout: magic ``TF``, format version (1 byte), flags (1 byte), CRC-32 of the rest (4 bytes), header length (4 bytes),
header (JSON: ``meta`` as given, ``arrays`` as ``[name, dtype, shape, offset]``), padding to 64 bytes, the arrays, each
at a multiple of 64 bytes. Reading copies nothing. Nothing in it is ever executed, unlike a pickle.
"""

import json
import struct
import zlib
from collections.abc import Mapping
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
    views = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    index: list[list[Any]] = []
    offset = 0
    for name, view in views.items():
        if view.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects, which have no bytes")
        descr = view.dtype.descr if view.dtype.names else view.dtype.str
        index.append([name, descr, list(view.shape), offset])
        offset += _aligned(view.nbytes)
    header = json.dumps({"meta": meta, "arrays": index}, separators=(",", ":")).encode()
    start = _aligned(_PREFIX.size + len(header))
    block = bytearray(start + offset)
    block[_PREFIX.size : _PREFIX.size + len(header)] = header
    body = memoryview(block)[start:]
    for (_, _, _, at), view in zip(index, views.values(), strict=True):
        if view.nbytes:
            body[at : at + view.nbytes] = _bytes(view)
    crc = zlib.crc32(memoryview(block)[_PREFIX.size :])
    _PREFIX.pack_into(block, 0, _MAGIC, FORMAT_VERSION, 0, crc, len(header))
    return block


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
