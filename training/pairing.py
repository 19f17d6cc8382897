"""Which alert of one course of events is which of another: stretches of standing, matched where they overlap.

Within a device and rule alerts follow one another, so pairs are found in one walk along both sides: the earliest two that
overlap are the same alert. One that becomes two under other rules is matched with the first of them; the second appeared.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from training.rebuilding import Rebuilding
from twins import alert_state
from twins.events import EventBatch, Kind

Change = Literal["same", "moved", "appeared", "vanished", "stood"]

_CLEARED: Final = (int(Kind.ALERT_RETURNED), int(Kind.ALERT_LATCHED))
_TOLD: Final = (int(Kind.ALERT_RAISED), int(Kind.ALERT_RERAISED), *_CLEARED)

Said = tuple[int, int]
"""When, and which kind of event."""


class Stretch(NamedTuple):
    """How long an alert stood: from its raise until its condition cleared for the last time before the next one.

    ``stood`` is one that had been raised before the window; its ``raised_us`` is when that began.
    """

    raised_us: int
    until_us: int
    stood: bool = False


class Pair(NamedTuple):
    """An alert of a device and rule on both sides, or on one."""

    device_id: str
    rule: str
    before: Stretch | None
    after: Stretch | None

    @property
    def change(self) -> Change:
        """What became of it; ``stood`` if it is older than the window on either side, and no alert of the window."""
        before, after = self.before, self.after
        if (before is not None and before.stood) or (after is not None and after.stood):
            return "stood"
        if before is None:
            return "appeared"
        if after is None:
            return "vanished"
        return "same" if before.raised_us == after.raised_us else "moved"


class AlertCourse:
    """What the alerts of some twins go through from now on.

    Parameters
    ----------
    work : the twins; their rules are held
    held : what happened by that
    """

    def __init__(self, work: Rebuilding, held: EventBatch) -> None:
        self._work = work
        self._said: dict[tuple[int, int], list[Said]] = {}
        self._stood: set[tuple[int, int]] = set()
        self.follow(held)
        if work.shard is not None:
            entries = alert_state.kept(work.shard.state.alerts, 0, len(work.shard))
            shown = entries["word"] & (alert_state.ACTIVE | alert_state.HIDDEN) == alert_state.ACTIVE
            standing = zip(entries["row"][shown].tolist(), entries["rule"][shown].tolist(), strict=True)
            self._stood = set(standing) - self._said.keys()

    def follow(self, batch: EventBatch) -> None:
        """Note what happened to alerts. The past of a device that is being imported is no news."""
        if not len(batch):
            return
        records = batch.records
        told = np.isin(records["kind"], _TOLD) & (records["slot"] >= 0)
        if told.any():
            for record in records[told & batch.news()].tolist():
                at_us, row, kind, slot, *_ = record
                self._said.setdefault((row, slot), []).append((at_us, kind))

    def stretches(self, start_us: int, end_us: int) -> dict[tuple[str, str], list[Stretch]]:
        """By device and rule, in their order."""
        shard = self._work.shard
        if shard is None:
            return {}
        rules = shard.device_type.rules
        return {
            (shard.roster.index[row], rules[slot].name): found
            for row, slot in self._said.keys() | self._stood
            if (found := list(self._of(row, slot, start_us, end_us)))
        }

    def _of(self, row: int, slot: int, start_us: int, end_us: int) -> Iterator[Stretch]:
        said = self._said.get((row, slot), [])
        stands = (row, slot) in self._stood or (bool(said) and said[0][1] != Kind.ALERT_RAISED)
        raised_us, stood, cleared_us = start_us if stands else None, stands, None
        for at_us, kind in said:
            if kind == Kind.ALERT_RAISED:
                if raised_us is not None:
                    yield _stretch(raised_us, at_us if cleared_us is None else cleared_us, stood)
                raised_us, stood, cleared_us = at_us, False, None
            else:
                cleared_us = at_us if kind in _CLEARED else None
        if raised_us is not None:
            yield _stretch(raised_us, end_us if cleared_us is None else cleared_us, stood)


def pairs(
    before: Mapping[tuple[str, str], Sequence[Stretch]], after: Mapping[tuple[str, str], Sequence[Stretch]]
) -> Iterator[Pair]:
    """The alerts of both sides by device and rule, each once."""
    for device_id, rule in sorted(before.keys() | after.keys()):
        sides = before.get((device_id, rule), ()), after.get((device_id, rule), ())
        for first, second in matched(*sides):
            yield Pair(device_id, rule, first, second)


def matched(
    before: Sequence[Stretch], after: Sequence[Stretch]
) -> Iterator[tuple[Stretch | None, Stretch | None]]:
    """The alerts of one device and rule on two sides, in their order, together where they overlap or touch."""
    i = j = 0
    while i < len(before) and j < len(after):
        first, second = before[i], after[j]
        if first.until_us < second.raised_us:
            yield first, None
            i += 1
        elif second.until_us < first.raised_us:
            yield None, second
            j += 1
        else:
            yield first, second
            i, j = i + 1, j + 1
    yield from ((first, None) for first in before[i:])
    yield from ((None, second) for second in after[j:])


def _stretch(raised_us: int, until_us: int, stood: bool) -> Stretch:
    return Stretch(raised_us, max(raised_us, until_us), stood)
