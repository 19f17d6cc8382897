"""Lives of devices, as maintenance records tell them: from when to when, and how each ended.

A life begins when the device is first heard or when a repair or replacement made it anew, and ends with a failure, or
unended (censored) where it was made anew before it failed or where the records end. What was put right by a correction
counts as corrected, what was withdrawn not at all. Between a failure and what makes the device anew it has no life.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.history import History

UNLABELLED: Final = -1
"""The cause of a failure of which no record says the failure mode, and of a life that did not end in one."""

_RECORDS: Final = """
SELECT printf('%s.%d.%d', actor, cursor, number) AS id, device_id, epoch_us(event_time) AS at_us, detail FROM events
WHERE device_type = $type AND type IN ('maintenance.recorded', 'maintenance.corrected')
  AND epoch_us(recorded_at) <= $until
ORDER BY device_id, recorded_at, actor, cursor, number
"""
_RENEWING: Final = ("repair", "replacement")


class Record(NamedTuple):
    """Something that was done to a device or happened to it."""

    device_id: str
    at_us: int
    kind: str
    failure_mode: str | None
    action: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LifeCycles:
    """Lives of many devices, by device and in time; a row a life.

    Attributes
    ----------
    device : (lives,) index into ``ids``, which are sorted
    start_us : (lives,) when it began; the earliest time there is for a device's first
    end_us : (lives,) when it ended; the latest time there is for one that goes on
    failed : (lives,) whether it ended in failure
    cause : (lives,) the failure mode, an index into ``modes``; UNLABELLED
    """

    ids: tuple[str, ...]
    modes: tuple[str, ...]
    device: NDArray[np.int64]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    failed: NDArray[np.bool_]
    cause: NDArray[np.int64]

    def at(self, device: NDArray[np.int64], at_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) the life that each device led at each moment; -1: none, it had failed. A life includes both its ends."""
        if not len(self.device):
            return np.full(len(device), -1, np.int64)
        place = np.lexsort((self.start_us, self.device))
        key = np.empty(len(place), [("device", np.int64), ("start", np.int64)])
        key["device"], key["start"] = self.device[place], self.start_us[place]
        asked = np.empty(len(device), key.dtype)
        asked["device"], asked["start"] = device, at_us
        found = np.searchsorted(key, asked, "right") - 1
        life = place[np.maximum(found, 0)]
        fits = (found >= 0) & (self.device[life] == device) & (at_us <= self.end_us[life])
        return np.where(fits, life, -1)


FIRST_US: Final = np.iinfo(np.int64).min
LAST_US: Final = np.iinfo(np.int64).max


def read(
    history: History, device_type: str, ids: Sequence[str], modes: Sequence[str], until_us: int
) -> LifeCycles:
    """The lives of devices as records told them by ``until_us``, shard time: none that came later is known."""
    rows = history.query(_RECORDS, {"type": device_type, "until": until_us}).to_pylist()
    return lives(_told(rows), ids, modes)


def records(history: History, device_type: str, until_us: int) -> list[Record]:
    """What was done to devices of a type and happened to them by ``until_us``, as records told it by then, in time."""
    rows = history.query(_RECORDS, {"type": device_type, "until": until_us}).to_pylist()
    return sorted((each for each in _told(rows) if each.at_us <= until_us), key=_in_time)


def renewals(history: History, device_type: str, until_us: int) -> list[Record]:
    """The repairs and replacements among ``records``."""
    return [each for each in records(history, device_type, until_us) if each.kind in _RENEWING]


def lives(records: Iterable[Record], ids: Sequence[str], modes: Sequence[str]) -> LifeCycles:
    """The lives that records tell of. Devices without a record lead one that goes on; records of others are left out."""
    names = tuple(sorted(ids))
    by_device: dict[str, list[Record]] = {name: [] for name in names}
    for record in records:
        if record.device_id in by_device:
            by_device[record.device_id].append(record)
    causes = {mode: number for number, mode in enumerate(modes)}
    rows = [
        (number, *life)
        for number, name in enumerate(names)
        for life in _of_device(sorted(by_device[name], key=_in_time), causes)
    ]
    device, start, end, failed, cause = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return LifeCycles(
        names, tuple(modes), np.array(device, np.int64), np.array(start, np.int64), np.array(end, np.int64),
        np.array(failed, bool), np.array(cause, np.int64),
    )  # fmt: skip


def _of_device(records: Sequence[Record], causes: Mapping[str, int]) -> list[tuple[int, int, bool, int]]:
    """Start, end, whether it failed and why, of each life of one device."""
    found = []
    start_us: int | None = FIRST_US
    for record in records:
        if record.kind == "failure":
            cause = UNLABELLED if record.failure_mode is None else causes.get(record.failure_mode, UNLABELLED)
            if start_us is not None:
                found.append((start_us, record.at_us, True, cause))
            start_us = None
        elif record.kind in _RENEWING:
            if start_us is not None:
                found.append((start_us, record.at_us, False, UNLABELLED))
            start_us = record.at_us + 1
    if start_us is not None:
        found.append((start_us, LAST_US, False, UNLABELLED))
    return found


def _in_time(record: Record) -> tuple[int, bool]:
    """Of what happened at one moment the failure came first: it is why the device was made anew."""
    return record.at_us, record.kind != "failure"


def _told(rows: Iterable[Mapping[str, Any]]) -> list[Record]:
    """What records say in the end: a correction replaces what it corrects, which it names by the record's id."""
    found: dict[str, Record] = {}
    for row in rows:
        said = json.loads(row["detail"])
        key = said.get("record", row["id"])
        if said.get("withdrawn"):
            found.pop(key, None)
            continue
        at_us = said.get("done_at_us", found[key].at_us if key in found else row["at_us"])
        found[key] = Record(
            row["device_id"], at_us, said["kind"], said.get("failure_mode"), said.get("action")
        )
    return list(found.values())
