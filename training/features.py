"""History to a table of moments: what twins were like then, and what became of them. It calls the kernel and has no formula.

Twins are rebuilt from the earliest moment that is kept and taken through what followed, entry by entry, in the order and
with the ``now`` they had (``past.py``). At some of their readings, the *landmarks*, their covariates are copied. So
nothing from after a landmark can be in its covariates, and they are, bit for bit, those that the live twin had.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.errors import MomentNotKeptError
from training.history import History
from training.lifecycles import FIRST_US, LAST_US, LifeCycles
from training.past import Past
from training.rebuilding import Rebuilding
from twins.covariates import Covariates, covariates, from_matrix
from twins.readings import ShardBatch
from twins.shard import Shard

_HOUR_US: Final = 3_600_000_000


class Landmarks(NamedTuple):
    """Moments of devices; n of them.

    ``remaining_h`` is what was left of the device's life then, as far as it is known: to its failure where ``failed``,
    else at least so long.
    """

    device_id: NDArray[np.object_]  # (n,)
    at_us: NDArray[np.int64]  # (n,) event time of the reading
    life: NDArray[np.int64]  # (n,) which of its device's lives it was in, from 0
    remaining_h: NDArray[np.float64]  # (n,)
    failed: NDArray[np.bool_]  # (n,)
    cause: NDArray[np.int64]  # (n,) index of the failure mode; -1: unlabelled
    covariates: Covariates

    def table(self) -> pa.Table:
        """To be kept; ``from_table`` reads it."""
        matrix = self.covariates.matrix()
        flat = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), max(1, matrix.shape[1]))
        return pa.table(
            {
                **{name: getattr(self, name) for name in _PLAIN},
                "device_id": pa.array(self.device_id, pa.string()),
                "covariates": flat,
            }
        )

    def take(self, rows: NDArray[np.bool_]) -> "Landmarks":
        """Those of which it is true."""
        chosen = np.flatnonzero(rows)
        columns = {name: getattr(self, name)[chosen] for name in _PLAIN}
        return Landmarks(**columns, covariates=self.covariates.take(chosen))


_PLAIN: Final = Landmarks._fields[:-1]


def from_table(table: pa.Table, regimes: int, features: int) -> Landmarks:
    """What ``Landmarks.table`` gave, of a type with so many regimes and features."""
    lists = table["covariates"].combine_chunks()
    width = lists.type.list_size
    matrix = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    columns = {name: table[name].to_numpy() for name in _PLAIN}
    return Landmarks(**columns, covariates=from_matrix(matrix, regimes, features))


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of history is looked at, and how closely.

    Attributes
    ----------
    device_type : of the devices
    until_us : shard time; nothing that came later is known
    stride : every so manyth reading of a device is a landmark, and its first ones after another place for each device
    since_us : event time; no earlier reading is one
    """

    device_type: str
    until_us: int
    stride: int = 1
    since_us: int = FIRST_US


class Cut(NamedTuple):
    """A moment of shard time that parts what is learned from what is judged, and lives as they were told by then."""

    at_us: int
    lives: LifeCycles


class Parted(NamedTuple):
    """Landmarks on both sides of a cut; None: there are none.

    ``before`` had been heard by then, and what became of them is what was known by then: a life that went on is censored
    where its device was last heard before the cut, however it ended later. ``after`` are moments after the cut that were
    heard after it. What lies on neither side, heard late or ahead of its time, is left out.
    """

    before: Landmarks | None
    after: Landmarks | None


def devices(history: History, device_type: str) -> list[str]:
    """All devices of a type that history knows, in the order of their ids."""
    rows = history.query(
        "SELECT DISTINCT device_id FROM devices WHERE device_type = $type ORDER BY device_id",
        {"type": device_type},
    )
    ids: list[str] = rows["device_id"].to_pylist()
    return ids


def landmarks(
    past: Past,
    window: Window,
    lives: LifeCycles,
    ids: Sequence[str],
    check: Callable[[], None] = lambda: None,
) -> Landmarks | None:
    """The landmarks of some devices; None: there are none.

    Memory is taken for these devices' twins and landmarks, and for what ``Past`` reads at once.

    Parameters
    ----------
    lives : of these devices, and perhaps of more
    check : called again and again, to end it by raising

    Raises
    ------
    MomentNotKeptError, MomentAheadError : what is needed is no longer there, or not yet.
    """
    (heard,) = _walked(past, window, (window.until_us,), ids, check)
    return _with_outcome(heard.seen, lives, heard.last_us)


def parted(
    past: Past,
    window: Window,
    cut: Cut,
    lives: LifeCycles,
    ids: Sequence[str],
    check: Callable[[], None] = lambda: None,
) -> tuple[Landmarks | None, Parted]:
    """The same, and the landmarks on both sides of a cut, from one walk through history; raises as ``landmarks`` does."""
    then, later = _walked(past, window, (min(cut.at_us, window.until_us), window.until_us), ids, check)
    after = _with_outcome(later.seen, lives, later.last_us)
    if after is not None:
        ahead = after.at_us > cut.at_us
        after = after.take(ahead) if ahead.any() else None
    whole = _with_outcome([*then.seen, *later.seen], lives, later.last_us)
    return whole, Parted(_with_outcome(then.seen, cut.lives, then.last_us), after)


class _Heard(NamedTuple):
    """What was seen on one stretch of the way, and when devices had last been heard at its end, event time."""

    seen: "list[_Seen]"
    last_us: dict[str, int]


def _walked(
    past: Past, window: Window, stops: Sequence[int], ids: Sequence[str], check: Callable[[], None]
) -> list[_Heard]:
    """Through history once, from one stop, in shard time, to the next."""
    found = [_Heard([], {}) for _ in stops]
    for work in _begun(past, window, ids):
        watch = _Watch(window)
        work.pieces = watch.pieces
        for stop_us, heard in zip(stops, found, strict=True):
            for number, entry in enumerate(past.onward(work, stop_us)):
                work.take(entry)
                if number % 64 == 0:
                    check()
            heard.seen.extend(watch.found)
            watch.found = []
            if work.shard is not None:
                names = work.shard.roster.columns()["device_id"].to_pylist()
                heard.last_us.update(
                    zip(names, work.shard.state.core.event_us[: len(names)].tolist(), strict=True)
                )
    return found


def _begun(past: Past, window: Window, ids: Sequence[str]) -> list[Rebuilding]:
    """The twins as of the earliest moment that is kept of all of them."""
    start_us = 0
    while True:
        try:
            return past.begun(window.device_type, start_us, ids)
        except MomentNotKeptError as error:
            if error.since_us is None or not start_us < error.since_us <= window.until_us:
                raise
            start_us = error.since_us


class _Seen(NamedTuple):
    ids: NDArray[np.object_]
    at_us: NDArray[np.int64]
    covariates: Covariates


class _Watch:
    """Cuts batches where a landmark is, and copies what is known then."""

    def __init__(self, window: Window) -> None:
        self._stride = window.stride
        self._since_us = window.since_us
        self._lines = np.zeros(0, np.int64)  # of each row so far
        self.found: list[_Seen] = []

    def pieces(self, shard: Shard, batch: ShardBatch) -> Iterator[ShardBatch]:
        """The batch in parts; each is applied before the next is asked for."""
        rows = batch.rows
        self._grow(shard)
        order = np.argsort(rows, kind="stable")
        place = _rank(rows[order])
        number = np.empty(len(rows), np.int64)
        number[order] = self._lines[rows[order]] + place + 1  # of the line among its device's
        due = (number % self._stride == 0) & (batch.event_us >= self._since_us)
        part = np.empty(len(rows), np.int64)
        part[order] = _before(due[order], place)
        np.maximum.at(self._lines, rows, number)
        sequence = np.argsort(part, kind="stable")
        cuts = np.flatnonzero(np.diff(part[sequence])) + 1
        for lines in np.split(sequence, cuts):
            yield ShardBatch(rows[lines], batch.event_us[lines], batch.values[lines], batch.present[lines])
            self._look(shard, rows[lines[due[lines]]], batch.event_us[lines[due[lines]]])

    def _look(self, shard: Shard, rows: NDArray[np.int32], at_us: NDArray[np.int64]) -> None:
        newest = shard.state.core.event_us[rows] == at_us  # late lines move no twin
        if (rows := rows[newest]).size:
            ids = np.array([shard.roster.index[row] for row in rows.tolist()], object)
            self.found.append(_Seen(ids, at_us[newest], covariates(shard.state, rows)))

    def _grow(self, shard: Shard) -> None:
        new = [shard.roster.index[row] for row in range(len(self._lines), len(shard))]
        begins = [int.from_bytes(hashlib.blake2b(each.encode(), digest_size=4).digest()) for each in new]
        self._lines = np.append(self._lines, np.array(begins, np.int64) % self._stride)


def _rank(sorted_rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """(n,) the place of each line among those of the same row, which stand together."""
    begins = np.flatnonzero(np.diff(sorted_rows, prepend=-1))
    return np.arange(len(sorted_rows)) - np.repeat(begins, np.diff(np.append(begins, len(sorted_rows))))


def _before(due: NDArray[np.bool_], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) how many lines before each one, of the same row, are due."""
    total: NDArray[np.int64] = np.cumsum(due) - due
    return total - np.maximum.accumulate(np.where(place == 0, total, 0))


def _with_outcome(seen: Sequence[_Seen], lives: LifeCycles, last_us: Mapping[str, int]) -> Landmarks | None:
    """What was seen, with what became of it, in the order of devices and times; without what was seen of broken devices."""
    if not seen:
        return None
    ids = np.concatenate([each.ids for each in seen])
    at_us = np.concatenate([each.at_us for each in seen])
    known = Covariates.joined([each.covariates for each in seen])
    number = {name: place for place, name in enumerate(lives.ids)}
    device = np.array([number[each] for each in ids], np.int64)
    order = np.lexsort((at_us, device))
    ids, at_us, device, known = ids[order], at_us[order], device[order], known.take(order)
    life = lives.at(device, at_us)
    alive = life >= 0
    if not alive.any():
        return None
    end_us = lives.end_us[life]
    heard_us = np.array([last_us[each] for each in ids], np.int64)
    end_us = np.where(end_us == LAST_US, heard_us, end_us)
    of_device = life - np.searchsorted(lives.device, device)
    found = Landmarks(
        ids, at_us, of_device, (end_us - at_us) / _HOUR_US, lives.failed[life], lives.cause[life], known
    )
    return found.take(alive)
