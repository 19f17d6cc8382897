"""What is asked of the devices of one shard: a sparse table by row, since most devices are asked nothing.

Which of them expires next is known without looking at the others, so that time passes cheaply however many wait.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins import commands as c
from twins import downlink
from twins.devices import DeviceType
from twins.downlink import BLANK, Change, Desired, Downlink, Order, Reported, Told
from twins.events import EVENT, EventBatch

_STALE_KEPT: Final = 64

_Row = tuple[int, Told]


class DownlinkBook:
    """The downlinks of one shard that are not blank, by row."""

    def __init__(self) -> None:
        self._of: dict[int, Downlink] = {}
        self._due: dict[int, int] = {}  # row -> when it next expires
        self._queue: list[tuple[int, int]] = []  # the same as a heap, with what has changed since still in it
        self._changed: dict[int, int] = {}  # row -> which change was its last, in the order of changes
        self.changes = 0

    def __len__(self) -> int:
        return len(self._of)

    def of(self, row: int) -> Downlink:
        """The downlink of a row."""
        return self._of.get(row, BLANK)

    def do(self, row: int, command: c.DownlinkCommand, device_type: DeviceType, now_us: int) -> EventBatch:
        """As ``downlink.do``."""
        return self._keep(row, downlink.do(self.of(row), command, device_type, now_us))

    def is_news(self, row: int, command: c.Report, device_type: DeviceType, now_us: int) -> bool:
        """Whether a report would change anything; raises what it would be refused for."""
        was = self.of(row)
        return downlink.do(was, command, device_type, now_us)[0] != was

    def retire(self, row: int, by: str, now_us: int) -> EventBatch:
        """As ``downlink.retire``, after what is due by then."""
        was, told = downlink.expire(self.of(row), now_us)
        now, more = downlink.retire(was, by, now_us)
        return self._keep(row, (now, told + more))

    def refit(self, device_type: DeviceType, by: str, now_us: int) -> EventBatch:
        """As ``downlink.refit``, for every row."""
        told: list[_Row] = []
        for row in sorted(self._of):
            now, more = downlink.refit(self._of[row], device_type, by, now_us)
            self._put(row, now)
            told += [(row, each) for each in more]
        return batch_of(told)

    def advance(self, now_us: int) -> EventBatch:
        """Let end what is due by ``now_us``, in the order of time, then of rows."""
        told: list[_Row] = []
        while self._queue and self._queue[0][0] <= now_us:
            due_us, row = heapq.heappop(self._queue)
            if self._due.get(row) == due_us:
                now, more = downlink.expire(self._of[row], now_us)
                self._put(row, now)
                told += [(row, each) for each in more]
        return batch_of(sorted(told, key=lambda each: (each[1].at_us, each[0])))

    def changed_since(self, mark: int, most: int) -> tuple[list[int], int]:
        """Rows that have changed after change number ``mark``, at most so many; and the mark that they reach."""
        found = [(at, row) for row, at in self._changed.items() if at > mark] if mark < self.changes else []
        chosen = found[:most]
        return [row for _, row in chosen], self.changes if len(found) <= most else chosen[-1][0]

    # -- snapshots ------------------------------------------------------------------------------------------------

    def to_meta(self) -> list[Any]:
        """The book as JSON values."""
        return [[row, asdict(each)] for row, each in sorted(self._of.items())]

    @staticmethod
    def from_meta(meta: Iterable[Any], only: NDArray[np.int64] | None = None) -> "DownlinkBook":
        """The book that ``to_meta`` gave; with ``only``, of these rows alone, renumbered in their order."""
        book = DownlinkBook()
        place = None if only is None else {row: at for at, row in enumerate(only.tolist())}
        for row, values in meta:
            at = row if place is None else place.get(row, -1)
            if at >= 0:
                book._put(at, _read(values))
        return book

    # -- inside -----------------------------------------------------------------------------------------------------

    def _keep(self, row: int, change: Change) -> EventBatch:
        now, told = change
        self._put(row, now)
        return batch_of([(row, each) for each in told])

    def _put(self, row: int, now: Downlink) -> None:
        if now == BLANK:
            self._of.pop(row, None)
        else:
            self._of[row] = now
        self.changes += 1
        self._changed.pop(row, None)
        self._changed[row] = self.changes
        due_us = now.due_us
        if due_us is None:
            self._due.pop(row, None)
        elif self._due.get(row) != due_us:
            self._due[row] = due_us
            heapq.heappush(self._queue, (due_us, row))
            if len(self._queue) > 2 * len(self._due) + _STALE_KEPT:
                self._queue = sorted((at_us, each) for each, at_us in self._due.items())


def batch_of(told: Iterable[_Row]) -> EventBatch:
    """Events of rows, in the order given."""
    lines = list(told)
    records = np.zeros(len(lines), EVENT)
    for i, (row, each) in enumerate(lines):
        records[i] = (each.at_us, row, int(each.kind), -1, 0, each.number, np.nan)
    return EventBatch(records, {i: each.note for i, (_, each) in enumerate(lines)})


def in_order(batches: Iterable[EventBatch]) -> EventBatch:
    """One batch in the order of time; of one time, that of ``batches``."""
    joined = EventBatch.join(list(batches))
    order = np.argsort(joined.records["at_us"], kind="stable")
    notes = {new: joined.notes[old] for new, old in enumerate(order.tolist()) if old in joined.notes}
    notes.update({at: note for at, note in joined.notes.items() if at < 0})
    return EventBatch(joined.records[order], notes)


def _read(values: Mapping[str, Any]) -> Downlink:
    return Downlink(
        values["version"],
        values["numbers"],
        {name: Desired(**each) for name, each in values["desired"].items()},
        {name: Reported(**each) for name, each in values["reported"].items()},
        tuple(Order(**each) for each in values["orders"]),
    )
