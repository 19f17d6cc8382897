"""What is kept of every (device, rule): a count while nothing goes on, an entry of a common list while something does.

The *word* of a (device, rule) is its flags and, above them, its occurrence: how often it has been raised. Most alerts of
most devices are at rest (no flag is set): of these only the occurrence is kept, two bytes a rule. Whatever else an alert
needs, when it was raised, until when it is shelved, when a delay is over, stands in an *entry*, which it has from the first
flag to the last. So a rule costs two bytes, and 24 more while its alert is not at rest.

Entries of a device are chained, in no order that means anything; what is listed or kept elsewhere goes by row and rule.
There is room for an entry of every (device, rule), so that compiled code never has to ask for more; memory is only used
once an entry is (the system maps pages of zeros when they are first written). Entry 0 is none: it heads the free ones.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.compiling import inlined, kernel
from twins.devices import DeviceType
from twins.rules import compile_rules, scores_in_use

FAR_US: Final = 2**63 - 1
"""The time of what is not due."""

# the flags of a word; the occurrence stands above them
ACTIVE: Final = 1  # the condition holds, delays over
PENDING: Final = 2  # the condition changed and its delay runs
UNACKED: Final = 4
LATCHED: Final = 8
SHELVED: Final = 16
SUPPRESSED: Final = 32  # by hand
PARENT: Final = 64  # by the state of the parent
OUT: Final = 128
HIDDEN: Final = SHELVED | SUPPRESSED | PARENT | OUT
FLAG_BITS: Final = 8
FLAGS: Final = 0xFF

MAX_OCCURRENCE: Final = (1 << 23) - 1

_COUNTED: Final = 0xFFFF  # the most that is counted outside an entry: beyond, an alert at rest keeps one

ENTRY: Final = np.dtype(
    [
        ("due_us", np.int64),  # while PENDING: when the delay is over, else FAR_US
        ("word", np.int32),  # occurrence << 8 | flags; of entry 0: how many have ever been in use
        ("stamp_s", np.uint32),  # raised at; while SHELVED: until when, 0: one-shot
        ("next", np.int32),  # of the same device, or the next free one; 0: none
        ("rule", np.int32),
    ]
)

KEPT: Final = np.dtype(
    [
        ("row", np.int32),
        ("rule", np.int32),
        ("word", np.int32),
        ("stamp_s", np.uint32),
        ("due_us", np.int64),
    ]
)
"""An entry as it is listed and kept in snapshots."""


class AlertState(NamedTuple):
    """One row per device, but for ``entries``."""

    atoms: NDArray[np.uint64]  # (n, words) which comparisons held; the top bit: look at every rule
    occurrence: NDArray[np.uint16]  # (n, rules) how often raised, at most 65535; beyond, see the entry
    scores: NDArray[np.float32]  # (n, scores in use) newest score; NaN before
    rate: NDArray[np.float64]  # (n, rates, 3) smoothed once, smoothed twice, rate per hour; NaN before
    rate_us: NDArray[np.int64]  # (n, rates) event time of the newest value
    first: NDArray[np.int32]  # (n,) the first entry of the device; 0: all its alerts are at rest
    entries: NDArray[Any]  # (1 + n · rules,) ENTRY

    @property
    def nbytes(self) -> int:
        """Bytes in use: all rows, and the entries that ever were."""
        rows = sum(array.nbytes for array in self) - self.entries.nbytes
        return rows + int(self.entries[0]["word"]) * ENTRY.itemsize


PLACES: Final = ("first", "entries")
"""The fields that say where entries are; what they say is in ``kept``."""


def blank_alerts(capacity: int, device_type: DeviceType) -> AlertState:
    """Devices without an alert, of which nothing is known."""
    p = compile_rules(device_type)
    rules, rates = len(p.rules), len(p.rate_channel)
    return AlertState(
        atoms=np.zeros((capacity, len(p.words)), np.uint64),
        occurrence=np.zeros((capacity, rules), np.uint16),
        scores=np.full((capacity, len(scores_in_use(device_type))), np.nan, np.float32),
        rate=np.full((capacity, rates, 3), np.nan, np.float64),
        rate_us=np.zeros((capacity, rates), np.int64),
        first=np.zeros(capacity, np.int32),
        entries=np.zeros(1 + capacity * rules, ENTRY),
    )


# -- one alert ---------------------------------------------------------------------------------------------


@inlined
def entry_of(a: AlertState, r: int, k: int) -> int:
    """The entry of rule ``k`` of device ``r``; 0: its alert is at rest."""
    e = a.first[r]
    while e != 0 and a.entries[e].rule != k:
        e = a.entries[e].next
    return int(e)


@inlined
def word_of(a: AlertState, r: int, k: int) -> int:
    """Occurrence and flags."""
    e = entry_of(a, r, k)
    word: Any = np.int64(a.entries[e].word) if e else np.int64(a.occurrence[r, k]) << FLAG_BITS
    return word  # type: ignore[no-any-return]  # compiled, it is an int


@inlined
def stamp_of(a: AlertState, r: int, k: int) -> int:
    """When it was raised, or until when it is shelved, s; 0 at rest."""
    e = entry_of(a, r, k)
    stamp_s: Any = np.int64(a.entries[e].stamp_s) if e else np.int64(0)
    return stamp_s  # type: ignore[no-any-return]


@inlined
def due_of(a: AlertState, r: int, k: int) -> int:
    """When the delay that runs is over; FAR_US: none runs."""
    e = entry_of(a, r, k)
    return int(a.entries[e].due_us) if e else FAR_US


@kernel
def put_word(a: AlertState, r: int, k: int, word: int) -> int:
    """Set occurrence and flags; the entry, with stamp and delay as they were, or 0 if the alert is now at rest.

    What is no longer PENDING is no longer due. An alert that comes to rest forgets when it was raised.
    """
    e = entry_of(a, r, k)
    occurrence = word >> FLAG_BITS
    a.occurrence[r, k] = min(occurrence, _COUNTED)
    at_rest = word & FLAGS == 0
    if at_rest and occurrence <= _COUNTED:
        if e:
            _give_back(a, r, e)
        return 0
    if e == 0:
        e = _take(a, r, k)
    entry = a.entries[e]
    entry.word = word
    if not word & PENDING:
        entry.due_us = FAR_US
    if at_rest:
        entry.stamp_s = 0
    return e


@inlined
def _take(a: AlertState, r: int, k: int) -> int:
    head = a.entries[0]
    e = int(head.next)
    if e:
        head.next = a.entries[e].next
    else:
        e = int(head.word) + 1
        head.word = e
    entry = a.entries[e]
    entry.rule = k
    entry.stamp_s = 0
    entry.due_us = FAR_US
    entry.next = a.first[r]
    a.first[r] = e
    return e


@inlined
def _give_back(a: AlertState, r: int, e: int) -> None:
    after = a.entries[e].next
    if a.first[r] == e:
        a.first[r] = after
    else:
        before = a.first[r]
        while a.entries[before].next != e:
            before = a.entries[before].next
        a.entries[before].next = after
    a.entries[e].next = a.entries[0].next
    a.entries[0].next = e


# -- many ----------------------------------------------------------------------------------------------


def kept(a: AlertState, first: int, stop: int) -> NDArray[Any]:
    """The alerts of rows ``first`` to ``stop`` that are not at rest, by row and rule: (m,) KEPT."""
    room = int(a.entries[0]["word"])
    row, place = np.empty(room, np.int64), np.empty(room, np.int64)
    found = _list(a, first, stop, row, place)
    entries = a.entries[place[:found]]
    listed = np.empty(found, KEPT)
    listed["row"] = row[:found]
    for name in ("rule", "word", "stamp_s", "due_us"):
        listed[name] = entries[name]
    return listed[np.lexsort((listed["rule"], listed["row"]))]


def keep(a: AlertState, listed: NDArray[Any]) -> None:
    """Let alerts be as ``kept`` gave them."""
    _keep(a, np.array(listed, KEPT))


def chosen(listed: NDArray[Any], only: NDArray[np.int64]) -> NDArray[Any]:
    """What ``kept`` gave, of the rows ``only`` alone, renumbered in their order."""
    if not len(listed):
        return listed
    place = np.full(int(listed["row"].max()) + 1, -1, np.int64)
    known = only < len(place)
    place[only[known]] = np.flatnonzero(known)
    mine = listed[place[listed["row"]] >= 0]
    mine["row"] = place[mine["row"]]
    ordered: NDArray[Any] = mine[np.argsort(mine["row"], kind="stable")]
    return ordered


class RowCopy(NamedTuple):
    """All that is kept of one device, to be put back."""

    arrays: tuple[NDArray[Any], ...]
    entries: NDArray[Any]


def copy_of(a: AlertState, row: int) -> RowCopy:
    """Copy the alerts of one device."""
    return RowCopy(tuple(array[row].copy() for array in _rows(a)), kept(a, row, row + 1))


def put_back(a: AlertState, row: int, copy: RowCopy) -> None:
    """Let the alerts of one device be as they were when they were copied."""
    for k in range(a.occurrence.shape[1]):
        put_word(a, row, k, 0)
    keep(a, copy.entries)
    for array, values in zip(_rows(a), copy.arrays, strict=True):
        array[row] = values


def _rows(a: AlertState) -> list[NDArray[Any]]:
    """The arrays of one row per device that say something by themselves."""
    return [getattr(a, name) for name in a._fields if name not in PLACES]


@kernel
def _list(a: AlertState, first: int, stop: int, row: NDArray[np.int64], place: NDArray[np.int64]) -> int:
    found = 0
    for r in range(first, stop):
        e = a.first[r]
        while e != 0:
            row[found] = r
            place[found] = e
            found += 1
            e = a.entries[e].next
    return found


@kernel
def _keep(a: AlertState, listed: NDArray[Any]) -> None:
    for i in range(len(listed)):
        one = listed[i]
        e = put_word(a, int(one.row), int(one.rule), int(one.word))
        if e:
            a.entries[e].stamp_s = one.stamp_s
            a.entries[e].due_us = one.due_us if one.word & PENDING else FAR_US
