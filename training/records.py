"""Records of what was done to devices, and when they are told where they stand in files of their own.

A maintenance system exports what was done; readings come from elsewhere. To twins both are one story: a record is told once
all readings up to its time have been, and before the next one. Reading the files is ``sources.py``.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from training.mappings import RecordKind
from twins.readings import ReadingBatch

Beside = TypeVar("Beside")


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Something done to a device, or found, that a file tells of.

    It follows the reading in line ``after_line`` of its batch; -1: it comes before all of them.
    """

    device_id: str
    at_us: int
    after_line: int
    kind: RecordKind
    action: str | None = None
    failure_mode: str | None = None
    note: str = ""


class Waiting(Generic[Beside]):
    """Records that wait for readings to come to their time.

    Parameters
    ----------
    records : in any order, each with something that is given back where its device is never heard
    """

    def __init__(self, records: Iterable[tuple[SourceRecord, Beside]]) -> None:
        self._of: dict[str, deque[tuple[SourceRecord, Beside]]] = defaultdict(deque)
        for each in sorted(records, key=lambda each: each[0].at_us):
            self._of[each[0].device_id].append(each)

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def due(self, readings: ReadingBatch) -> list[SourceRecord]:
        """Those that are older than a reading of their device; each follows the line before the first such one."""
        if not self._of:
            return []
        found = []
        order = np.argsort(readings.index, kind="stable")
        starts = np.flatnonzero(np.diff(readings.index[order], prepend=-1))
        for lines in np.split(order, starts[1:]) if len(order) else []:
            mine = self._of.get(readings.ids[int(readings.index[lines[0]])].as_py())
            if not mine:
                continue
            newest_us = np.maximum.accumulate(readings.event_us[lines])
            while mine and mine[0][0].at_us < newest_us[-1]:
                record, _ = mine.popleft()
                first = lines[np.searchsorted(newest_us, record.at_us, "right")]
                found.append(replace(record, after_line=int(first) - 1))
        return found

    def rest(self, heard: Collection[str]) -> tuple[list[SourceRecord], list[Beside]]:
        """The others, in the order of time; of devices that were never heard what was given with them."""
        known = set(heard)
        waiting = sorted(
            (each for mine in self._of.values() for each in mine), key=lambda each: each[0].at_us
        )
        told = [record for record, _ in waiting if record.device_id in known]
        return told, [beside for record, beside in waiting if record.device_id not in known]
