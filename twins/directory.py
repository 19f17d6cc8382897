"""Who is where: device id to shard and row, looked up for a whole batch at once.

``IdIndex`` numbers ids in the order they come; ``Roster`` is what one shard keeps of its devices besides their state;
``Directory`` is the fleet's map, made of all rosters. Rows are never reused, so a directory only grows, and its version
only rises.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from twins.devices import Device
from twins.packing import Arrays

MAX_ID_BYTES: Final = 256

_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)


class IdIndex:
    """Ids numbered 0, 1, 2 … as they are added; a hash table over their bytes, without Python objects."""

    def __init__(self) -> None:
        self._blob = np.zeros(1024, np.uint8)
        self._ends = np.zeros(65, np.int64)  # id i is blob[ends[i]:ends[i + 1]]
        self._table = np.full(128, -1, np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> str:
        if not 0 <= position < self._count:
            raise IndexError(position)
        return self._blob[self._ends[position] : self._ends[position + 1]].tobytes().decode()

    def find(self, ids: pa.StringArray) -> NDArray[np.int32]:
        """Position of each id, -1 where it is not known."""
        blob, ends = _utf8(ids)
        return _find(self._table, self._blob, self._ends, blob, ends)

    def find_one(self, text: str) -> int:
        """Position of one id, -1 if it is not known."""
        return int(self.find(pa.array([text], pa.string()))[0])

    def add(self, ids: pa.StringArray) -> int:
        """Append ids that are not yet known and occur once each; gives the position of the first."""
        blob, ends = _utf8(ids)
        first, total = self._count, self._count + len(ids)
        used = int(self._ends[first])
        self._blob = _roomy(self._blob, used, used + len(blob))
        self._ends = _roomy(self._ends, first + 1, total + 1)
        self._blob[used : used + len(blob)] = blob
        self._ends[first + 1 : total + 1] = ends[1:] + used
        self._count = total
        if 2 * total > len(self._table):
            table = np.full(1 << (4 * total - 1).bit_length(), -1, np.int32)
            _insert(table, self._blob, self._ends, 0, total)
            self._table = table  # whole before anybody looks
        else:
            _insert(self._table, self._blob, self._ends, first, total)
        return first

    def ids(self) -> pa.StringArray:
        """All ids in order."""
        ends = self._ends[: self._count + 1].astype(np.int32)
        blob = self._blob[: self._ends[self._count]].copy()
        return pa.StringArray.from_buffers(self._count, pa.py_buffer(ends), pa.py_buffer(blob))


class Codes:
    """A column of strings that repeat: a small dictionary and a code a row."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._code_of: dict[str, int] = {}
        self._codes = np.zeros(64, np.int32)
        self._count = 0

    def extend(self, values: Sequence[str]) -> None:
        self._codes = _roomy(self._codes, self._count, self._count + len(values))
        self._codes[self._count : self._count + len(values)] = [self._code(value) for value in values]
        self._count += len(values)

    def __getitem__(self, row: int) -> str:
        return self.words[self._codes[row]]

    def __setitem__(self, row: int, value: str) -> None:
        self._codes[row] = self._code(value)

    def rows_of(self, value: str) -> NDArray[np.int32]:
        """The rows that hold ``value``."""
        code = self._code_of.get(value)
        if code is None:
            return np.zeros(0, np.int32)
        return np.flatnonzero(self._codes[: self._count] == code).astype(np.int32)

    def array(self) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(
            pa.array(self._codes[: self._count].copy()), pa.array(self.words, pa.string())
        )

    def _code(self, value: str) -> int:
        code = self._code_of.get(value)
        if code is None:
            code = self._code_of[value] = len(self.words)
            self.words.append(value)
        return code


class Roster:
    """The devices of one shard, by row: their ids and what is said of them. Rows are never reused."""

    def __init__(self) -> None:
        self.index = IdIndex()
        self._sites = Codes()
        self._parents = Codes()
        self._names = Codes()
        self._labels = Codes()
        self._placements = Codes()
        self._shown: dict[str, pa.Array] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def add(self, devices: Sequence[Device]) -> int:
        """Append devices; their ids are known to be new. Gives the first one's row."""
        self._shown = None
        first = self.index.add(pa.array([device.id for device in devices], pa.string()))
        self._sites.extend([device.site for device in devices])
        self._parents.extend([device.parent or "" for device in devices])
        self._names.extend([device.name for device in devices])
        self._labels.extend([_labels_text(device.labels) for device in devices])
        self._placements.extend([device.placement for device in devices])
        return first

    def update(self, row: int, device: Device) -> None:
        """Change what is said of the device at ``row``; its id stays."""
        labels = _labels_text(device.labels)
        self._shown = None
        self._sites[row] = device.site
        self._parents[row] = device.parent or ""
        self._names[row] = device.name
        self._labels[row] = labels

    def device(self, row: int, device_type: str, retired: bool) -> Device:
        return Device(
            id=self.index[row],
            device_type=device_type,
            site=self._sites[row],
            parent=self._parents[row] or None,
            name=self._names[row],
            labels=json.loads(self._labels[row]),
            retired=retired,
        )

    def parent_of(self, row: int) -> str | None:
        return self._parents[row] or None

    @property
    def is_dedicated(self) -> bool:
        """Whether a device here asked for a host of its own."""
        return len(self._placements.rows_of("dedicated")) > 0

    def parents(self) -> list[str]:
        """The ids that were named as parents."""
        return [word for word in self._parents.words if word]

    def children_of(self, parent_id: str) -> NDArray[np.int32]:
        """The rows of devices whose parent has this id."""
        return self._parents.rows_of(parent_id)

    def columns(self) -> dict[str, pa.Array]:
        """``device_id, site, parent, name, labels`` (JSON text), one line a row; the same arrays until something changes."""
        if self._shown is None:
            self._shown = {
                "device_id": self.index.ids(),
                "site": self._sites.array(),
                "parent": self._parents.array(),
                "name": self._names.array(),
                "labels": self._labels.array(),
            }
        return self._shown

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """For a snapshot."""
        meta: dict[str, Any] = {"count": len(self)}
        blob, ends = _utf8(self.index.ids())
        arrays: Arrays = {"ids": blob, "ends": ends}
        for name, column in self._columns().items():
            meta[name] = column.words
            arrays[name] = column._codes[: column._count]
        return meta, arrays

    @staticmethod
    def from_arrays(
        meta: Mapping[str, Any], arrays: Arrays, only: NDArray[np.int64] | None = None
    ) -> "Roster":
        """The roster that ``to_arrays`` gave; with ``only``, of these rows alone, in their order."""
        roster = Roster()
        ids = Roster.ids_in(meta, arrays)
        roster.index.add(ids if only is None else ids.take(pa.array(only)))
        for name, column in roster._columns().items():
            codes = arrays[name].copy() if only is None else arrays[name][only]
            column.words = list(meta[name])
            column._code_of = {word: code for code, word in enumerate(column.words)}
            column._codes = _roomy(codes, len(codes), max(64, len(codes)))
            column._count = len(codes)
        return roster

    @staticmethod
    def ids_in(meta: Mapping[str, Any], arrays: Arrays) -> pa.StringArray:
        """The ids by row, of what ``to_arrays`` gave."""
        ends = arrays["ends"].astype(np.int32)
        return pa.StringArray.from_buffers(
            meta["count"], pa.py_buffer(ends), pa.py_buffer(arrays["ids"].copy())
        )

    def _columns(self) -> dict[str, Codes]:
        return {
            "sites": self._sites,
            "parents": self._parents,
            "names": self._names,
            "labels": self._labels,
            "placements": self._placements,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where devices are: host, shard (device type) and row, aligned with the ids that were looked up. -1: unknown."""

    host: NDArray[np.int16]
    type_code: NDArray[np.int16]
    row: NDArray[np.int32]
    version: int


class Directory:
    """The whole fleet's map. One writer extends it; looking up never blocks."""

    def __init__(self) -> None:
        self.version = 0
        self.types: list[str] = []
        self._index = IdIndex()
        self._host = np.zeros(64, np.int16)
        self._type = np.zeros(64, np.int16)
        self._row = np.zeros(64, np.int32)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, device_id: str) -> bool:
        return self._index.find_one(device_id) >= 0

    def add(self, host: int, device_type: str, first_row: int, ids: pa.StringArray) -> None:
        """Say that ``ids`` are rows ``first_row``, ``first_row + 1`` … of a host's shard of ``device_type``."""
        if device_type not in self.types:
            self.types.append(device_type)
        first = self._index.add(ids)
        total = first + len(ids)
        self._host = _roomy(self._host, first, total)
        self._type = _roomy(self._type, first, total)
        self._row = _roomy(self._row, first, total)
        self._host[first:total] = host
        self._type[first:total] = self.types.index(device_type)
        self._row[first:total] = np.arange(first_row, first_row + len(ids))
        self.version += 1

    def known(self, ids: pa.StringArray) -> NDArray[np.bool_]:
        """Which of ``ids`` are in the fleet, retired ones included."""
        return np.asarray(self._index.find(ids) >= 0)

    def locate(self, ids: pa.StringArray) -> Places:
        """Where each of ``ids`` is. One vectorised look-up."""
        found = self._index.find(ids)
        missing = found < 0
        at = np.where(missing, 0, found)
        if len(self._index) == 0:
            blank = np.full(len(ids), -1)
            return Places(
                blank.astype(np.int16), blank.astype(np.int16), blank.astype(np.int32), self.version
            )
        return Places(
            np.where(missing, np.int16(-1), self._host[at]),
            np.where(missing, np.int16(-1), self._type[at]),
            np.where(missing, np.int32(-1), self._row[at]),
            self.version,
        )

    def locate_one(self, device_id: str) -> tuple[int, str, int] | None:
        """Host, device type and row of one device; None if it is not in the fleet."""
        position = self._index.find_one(device_id)
        if position < 0:
            return None
        return int(self._host[position]), self.types[self._type[position]], int(self._row[position])


@njit(cache=True)
def _hash(blob: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    value = _FNV_OFFSET
    for i in range(start, stop):
        value = (value ^ np.uint64(blob[i])) * _FNV_PRIME
    value = (value ^ (value >> _SHIFT)) * _MIX
    return value ^ (value >> _SHIFT)


@njit(cache=True)
def _find(
    table: NDArray[np.int32],
    blob: NDArray[np.uint8],
    ends: NDArray[np.int64],
    wanted: NDArray[np.uint8],
    wanted_ends: NDArray[np.int64],
) -> NDArray[np.int32]:
    mask = np.uint64(len(table) - 1)
    n = len(wanted_ends) - 1
    found = np.full(n, -1, np.int32)
    for i in range(n):
        start, stop = wanted_ends[i], wanted_ends[i + 1]
        place = _hash(wanted, start, stop) & mask
        while table[place] >= 0:
            candidate = table[place]
            at = ends[candidate]
            if ends[candidate + 1] - at == stop - start:
                same = True
                for j in range(stop - start):
                    if blob[at + j] != wanted[start + j]:
                        same = False
                        break
                if same:
                    found[i] = candidate
                    break
            place = (place + np.uint64(1)) & mask
    return found


@njit(cache=True)
def _insert(
    table: NDArray[np.int32], blob: NDArray[np.uint8], ends: NDArray[np.int64], first: int, stop: int
) -> None:
    mask = np.uint64(len(table) - 1)
    for i in range(first, stop):
        place = _hash(blob, ends[i], ends[i + 1]) & mask
        while table[place] >= 0:
            place = (place + np.uint64(1)) & mask
        table[place] = i


def _utf8(ids: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of the ids and where each begins and ends, from zero."""
    if len(ids) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = ids.buffers()
    ends = np.frombuffer(offsets, np.int32, len(ids) + 1, ids.offset * 4).astype(np.int64)
    blob = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.zeros(0, np.uint8)
    return blob, ends - ends[0]


def _roomy(array: NDArray[Any], used: int, wanted: int) -> NDArray[Any]:
    """``array`` or a larger copy of its first ``used`` entries, with room for at least ``wanted``."""
    if wanted <= len(array):
        return array
    larger = np.zeros(max(wanted, 2 * len(array)), array.dtype)
    larger[:used] = array[:used]
    return larger


def _labels_text(labels: Mapping[str, str]) -> str:
    return (
        json.dumps(dict(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if labels
        else "{}"
    )
