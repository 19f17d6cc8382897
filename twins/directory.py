"""Who is where: device id to shard and row, looked up for a whole batch at once.

``IdIndex`` numbers ids in the order they come; ``Roster`` is what one shard keeps of its devices besides their state;
``Directory`` is the fleet's map, made of all rosters. Rows are never reused, so a directory only grows: an older one is
ignorant, never wrong. That holds within one life of the data folder only, so whoever routes by a directory shows with each
batch the ``Seal`` of the rows that it knows, and a shard compares.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

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


class Seal(NamedTuple):
    """The first ``rows`` ids of a shard and a hash of them in their order: equal seals, equal rows."""

    rows: int
    hash: int


NO_ROWS: Final = Seal(0, int(_FNV_OFFSET))


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

    def ids(self, first: int = 0) -> pa.StringArray:
        """The ids in order, from number ``first`` on."""
        count = self._count
        start, stop = int(self._ends[first]), int(self._ends[count])
        ends = (self._ends[first : count + 1] - start).astype(np.int32)
        blob = self._blob[start:stop].copy()
        return pa.StringArray.from_buffers(count - first, pa.py_buffer(ends), pa.py_buffer(blob))


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
        self._chain = np.zeros(64, np.uint64)  # the hash of the ids up to each row, that one included
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
        first = self._number(pa.array([device.id for device in devices], pa.string()))
        self._sites.extend([device.site for device in devices])
        self._parents.extend([device.parent or "" for device in devices])
        self._names.extend([device.name for device in devices])
        labels = [tuple(device.labels.items()) for device in devices]
        texts = {each: _labels_text(dict(each)) for each in dict.fromkeys(labels)}
        self._labels.extend([texts[each] for each in labels])
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

    def device(self, row: int, device_type: str, retired: bool, importing: bool = False) -> Device:
        return Device(
            id=self.index[row],
            device_type=device_type,
            site=self._sites[row],
            parent=self._parents[row] or None,
            name=self._names[row],
            labels=json.loads(self._labels[row]),
            retired=retired,
            importing=importing,
        )

    def seal(self, rows: int | None = None) -> Seal:
        """The seal of the first ``rows`` rows; None: of all."""
        rows = len(self) if rows is None else rows
        return Seal(rows, int(self._chain[rows - 1])) if rows else NO_ROWS

    def bears(self, seal: Seal) -> bool:
        """Whether the first rows here are those that ``seal`` was taken of."""
        return seal.rows <= len(self) and self.seal(seal.rows) == seal

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
        roster._number(ids if only is None else ids.take(pa.array(only)))
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

    def _number(self, ids: pa.StringArray) -> int:
        """Give ids the next rows; gives the first."""
        hashes = chained(self.seal().hash, ids)
        first = len(self)
        self._chain = _roomy(self._chain, first, first + len(ids))
        self._chain[first : first + len(ids)] = hashes
        return self.index.add(ids)

    def _columns(self) -> dict[str, Codes]:
        return {
            "sites": self._sites,
            "parents": self._parents,
            "names": self._names,
            "labels": self._labels,
            "placements": self._placements,
        }


Version = tuple[str, int]
"""Of a directory: which life of it, and how many devices it knew. Within one life, more devices are newer."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where devices are: host, shard (device type) and row, aligned with the ids that were looked up. -1: unknown.

    ``types`` are the names of which ``type_code`` is the place.
    """

    host: NDArray[np.int16]
    type_code: NDArray[np.int16]
    row: NDArray[np.int32]
    types: Sequence[str]
    version: Version
    is_sure: bool = True  # else those that are not known could not be asked for


@dataclass(frozen=True, slots=True, eq=False)
class DirectoryPart:
    """What a directory knows from its device number ``first`` on, for another to go on from there."""

    life: str
    first: int
    ids: pa.StringArray
    types: tuple[str, ...]
    host: NDArray[np.int16]
    type_code: NDArray[np.int16]
    row: NDArray[np.int32]
    seals: Mapping[tuple[int, int], Seal]


class Directory:
    """The whole fleet's map. One writer extends it; looking up never blocks.

    ``life`` names this map among all that there were of the fleet: two of the same life agree on what both know.
    """

    def __init__(self, life: str = "") -> None:
        self.life = life
        self.types: list[str] = []
        self._index = IdIndex()
        self._host = np.zeros(64, np.int16)
        self._type = np.zeros(64, np.int16)
        self._row = np.zeros(64, np.int32)
        self._seals: Mapping[tuple[int, int], Seal] = {}  # by host and type
        self._lock = threading.Lock()  # of the one who extends it and those who copy it

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, device_id: str) -> bool:
        return self._index.find_one(device_id) >= 0

    @property
    def version(self) -> Version:
        return self.life, len(self)

    def seal(self, host: int, device_type: str) -> Seal:
        """What is known of a host's shard of ``device_type``."""
        if device_type not in self.types:
            return NO_ROWS
        return self._seals.get((host, self.types.index(device_type)), NO_ROWS)

    def add(self, host: int, device_type: str, first_row: int, ids: pa.StringArray) -> list[str]:
        """Say that ``ids`` are rows ``first_row``, ``first_row + 1`` … of a host's shard of ``device_type``.

        Gives those that live elsewhere already, which should not be: their first place counts, the new row has no name.

        Raises
        ------
        ValueError : these are not the rows that follow those that are known.
        """
        known = self.seal(host, device_type)
        doubles: list[str] = []
        if first_row != known.rows:
            raise ValueError(
                f"row {first_row} of {device_type!r} on host {host} follows {known.rows} known rows"
            )
        if not len(ids):
            return doubles
        if device_type not in self.types:
            self.types = [*self.types, device_type]
        code = self.types.index(device_type)
        rows = np.arange(first_row, first_row + len(ids), dtype=np.int32)
        seal = Seal(first_row + len(ids), int(chained(known.hash, ids)[-1]))
        twice = np.flatnonzero(self.known(ids)).tolist()
        if twice:
            named = ids.to_pylist()
            for at in twice:  # no id holds a zero
                named[at] = f"\0{host}/{device_type}/{first_row + at}"
            ids, doubles = pa.array(named, pa.string()), ids.take(pa.array(twice)).to_pylist()
        host_of, type_of = np.full(len(ids), host, np.int16), np.full(len(ids), code, np.int16)
        self._extend(ids, host_of, type_of, rows, {**self._seals, (host, code): seal})
        return doubles

    def after(self, first: int) -> DirectoryPart:
        """What is known from device number ``first`` on."""
        with self._lock:
            total = len(self)
            return DirectoryPart(
                self.life,
                first,
                self._index.ids(first),
                tuple(self.types),
                self._host[first:total].copy(),
                self._type[first:total].copy(),
                self._row[first:total].copy(),
                self._seals,
            )

    def extend(self, part: DirectoryPart) -> None:
        """Learn what another directory of this life knows more.

        Raises
        ------
        ValueError : it is of another life, or does not begin where this one ends.
        """
        if part.life != self.life or part.first != len(self):
            raise ValueError(f"{part.life} from {part.first} does not follow {self.life} to {len(self)}")
        self.types = list(part.types)
        self._extend(part.ids, part.host, part.type_code, part.row, part.seals)

    def known(self, ids: pa.StringArray) -> NDArray[np.bool_]:
        """Which of ``ids`` are in the fleet, retired ones included."""
        return np.asarray(self._index.find(ids) >= 0)

    def locate(self, ids: pa.StringArray) -> Places:
        """Where each of ``ids`` is. One vectorised look-up."""
        version = self.version
        found = self._index.find(ids)
        missing = found < 0
        at = np.where(missing, 0, found)
        return Places(
            np.where(missing, np.int16(-1), self._host[at]),
            np.where(missing, np.int16(-1), self._type[at]),
            np.where(missing, np.int32(-1), self._row[at]),
            self.types,
            version,
        )

    def devices_on(self, host: int) -> int:
        """How many devices live on a host."""
        return int(np.count_nonzero(self._host[: len(self)] == host))

    def locate_one(self, device_id: str) -> tuple[int, str, int] | None:
        """Host, device type and row of one device; None if it is not in the fleet."""
        position = self._index.find_one(device_id)
        if position < 0:
            return None
        return int(self._host[position]), self.types[self._type[position]], int(self._row[position])

    def _extend(
        self,
        ids: pa.StringArray,
        host: NDArray[np.int16],
        type_code: NDArray[np.int16],
        row: NDArray[np.int32],
        seals: Mapping[tuple[int, int], Seal],
    ) -> None:
        with self._lock:
            first, total = len(self), len(self) + len(ids)
            self._host = _roomy(self._host, first, total)
            self._type = _roomy(self._type, first, total)
            self._row = _roomy(self._row, first, total)
            self._host[first:total], self._type[first:total], self._row[first:total] = host, type_code, row
            self._seals = seals
            self._index.add(ids)  # last: who finds an id finds its place


def chained(start: int, ids: pa.StringArray) -> NDArray[np.uint64]:
    """The hash of the ids up to each of ``ids``, that one included, after those that ``start`` is the hash of."""
    return _chained(np.uint64(start), *_utf8(ids))


def hashes(ids: pa.StringArray) -> NDArray[np.uint64]:
    """(n,) a hash of the bytes of each id and of nothing else: the same in every fleet."""
    return _hashes(*_utf8(ids))


@njit(cache=True)
def _hash(blob: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    value = _FNV_OFFSET
    for i in range(start, stop):
        value = (value ^ np.uint64(blob[i])) * _FNV_PRIME
    value = (value ^ (value >> _SHIFT)) * _MIX
    return value ^ (value >> _SHIFT)


@njit(cache=True)
def _hashes(blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    found = np.empty(len(ends) - 1, np.uint64)
    for i in range(len(found)):
        found[i] = _hash(blob, ends[i], ends[i + 1])
    return found


@njit(cache=True)
def _chained(start: np.uint64, blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    n = len(ends) - 1
    hashes = np.empty(n, np.uint64)
    value = start
    for i in range(n):
        value = (value ^ _hash(blob, ends[i], ends[i + 1])) * _FNV_PRIME
        value = (value ^ (value >> _SHIFT)) * _MIX
        hashes[i] = value
    return hashes


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
