"""What happened, as facts: one tagged union, kept in columns while many happen at once.

Inside a shard an event is a record of ``EVENT`` plus, for the few that people cause, a note (who, why). ``KINDS`` is the
one table of the union: the code that the kernels write, the ``type`` that everyone else reads, and what the number
columns mean for it. The JSON schema of the event stream is made from it. No consumer lives here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

EVENT: Final = np.dtype(
    [
        ("at_us", "i8"),  # when it happened: event time for what readings cause, shard time for the rest
        ("row", "i4"),  # the device's row in its shard; -1: the shard itself
        ("kind", "i2"),  # a Kind
        ("slot", "i2"),  # which rule, channel or failure mode, by its index in the device type; -1: none
        (
            "occurrence",
            "i4",
        ),  # alerts: the how-manieth of this device and rule; patterns: the pattern's index
        ("a", "f8"),
        ("b", "f8"),
    ]
)

EVERY: Final = -1
"""The position, among the notes of a batch, of one that belongs to all its events."""

Records = NDArray[Any]  # one-dimensional, of dtype EVENT


class Kind(IntEnum):
    """The code of an event in ``EVENT['kind']``. Codes are on disk: add, never renumber."""

    DEVICE_REGISTERED = 1
    DEVICE_UPDATED = 2
    DEVICE_RETIRED = 3
    DEVICE_STALE = 4
    DEVICE_REPORTING = 5
    TYPE_INSTALLED = 6
    MAINTENANCE_RECORDED = 7
    PARENT_STATE_CHANGED = 8
    COMMAND_REFUSED = 9
    MAINTENANCE_CORRECTED = 10

    BASELINE_LEARNED = 20
    ANOMALY_STARTED = 21
    ANOMALY_ENDED = 22
    PATTERN_STARTED = 23
    PATTERN_ENDED = 24

    DESIRED_CHANGED = 30
    DESIRED_REJECTED = 31
    DESIRED_EXPIRED = 32
    REPORTED_CHANGED = 33
    COMMAND_SENT = 34
    COMMAND_DELIVERED = 35
    COMMAND_DONE = 36
    COMMAND_FAILED = 37
    COMMAND_EXPIRED = 38
    COMMAND_CANCELLED = 39

    ALERT_RAISED = 40
    ALERT_ACKNOWLEDGED = 41
    ALERT_RETURNED = 42  # the condition cleared
    ALERT_LATCHED = 43  # the condition cleared, the alert stays until reset
    ALERT_RESET = 44
    ALERT_SHELVED = 45
    ALERT_UNSHELVED = 46
    ALERT_SUPPRESSED = 47
    ALERT_UNSUPPRESSED = 48
    ALERT_OUT_OF_SERVICE = 49
    ALERT_IN_SERVICE = 50
    ALERT_ASSIGNED = 51
    ALERT_COMMENTED = 52
    ALERT_RERAISED = 53  # active again while unacknowledged or acknowledged


@dataclass(frozen=True, slots=True)
class KindSpec:
    """How one kind of event reads outside: its ``type``, and names for its slot and number columns."""

    type: str
    slot: str | None = None  # "rule", "channel" or None
    a: str | None = None
    b: str | None = None
    occurrence: str | None = None


KINDS: Final[Mapping[Kind, KindSpec]] = {
    Kind.DEVICE_REGISTERED: KindSpec("device.registered"),
    Kind.DEVICE_UPDATED: KindSpec("device.updated"),
    Kind.DEVICE_RETIRED: KindSpec("device.retired"),
    Kind.DEVICE_STALE: KindSpec("device.stale", a="silent_s"),
    Kind.DEVICE_REPORTING: KindSpec("device.reporting", a="silent_s"),
    Kind.TYPE_INSTALLED: KindSpec("device_type.installed", a="version"),
    Kind.MAINTENANCE_RECORDED: KindSpec("maintenance.recorded", a="life_cycle"),
    Kind.PARENT_STATE_CHANGED: KindSpec("parent.state_changed", a="state"),
    Kind.COMMAND_REFUSED: KindSpec("command.refused"),
    Kind.MAINTENANCE_CORRECTED: KindSpec("maintenance.corrected"),
    Kind.BASELINE_LEARNED: KindSpec("baseline.learned", a="readings"),
    Kind.ANOMALY_STARTED: KindSpec("anomaly.started", slot="channel", a="score"),
    Kind.ANOMALY_ENDED: KindSpec("anomaly.ended", slot="channel", a="score"),
    Kind.PATTERN_STARTED: KindSpec(
        "pattern.started", slot="channel", a="size", b="confidence", occurrence="pattern"
    ),
    Kind.PATTERN_ENDED: KindSpec(
        "pattern.ended", slot="channel", a="size", b="confidence", occurrence="pattern"
    ),
    Kind.DESIRED_CHANGED: KindSpec("device.desired_changed", a="version"),
    Kind.DESIRED_REJECTED: KindSpec("device.desired_rejected", a="version"),
    Kind.DESIRED_EXPIRED: KindSpec("device.desired_expired", a="version"),
    Kind.REPORTED_CHANGED: KindSpec("device.reported_changed", a="version"),
    Kind.COMMAND_SENT: KindSpec("device.command_sent", a="number"),
    Kind.COMMAND_DELIVERED: KindSpec("device.command_delivered", a="number"),
    Kind.COMMAND_DONE: KindSpec("device.command_done", a="number"),
    Kind.COMMAND_FAILED: KindSpec("device.command_failed", a="number"),
    Kind.COMMAND_EXPIRED: KindSpec("device.command_expired", a="number"),
    Kind.COMMAND_CANCELLED: KindSpec("device.command_cancelled", a="number"),
    Kind.ALERT_RAISED: KindSpec("alert.raised", slot="rule", a="value", b="limit", occurrence="occurrence"),
    Kind.ALERT_ACKNOWLEDGED: KindSpec("alert.acknowledged", slot="rule", occurrence="occurrence"),
    Kind.ALERT_RETURNED: KindSpec("alert.returned", slot="rule", a="value", occurrence="occurrence"),
    Kind.ALERT_LATCHED: KindSpec("alert.latched", slot="rule", a="value", occurrence="occurrence"),
    Kind.ALERT_RESET: KindSpec("alert.reset", slot="rule", occurrence="occurrence"),
    Kind.ALERT_SHELVED: KindSpec("alert.shelved", slot="rule", a="until_us", occurrence="occurrence"),
    Kind.ALERT_UNSHELVED: KindSpec("alert.unshelved", slot="rule", occurrence="occurrence"),
    Kind.ALERT_SUPPRESSED: KindSpec("alert.suppressed", slot="rule", occurrence="occurrence"),
    Kind.ALERT_UNSUPPRESSED: KindSpec("alert.unsuppressed", slot="rule", occurrence="occurrence"),
    Kind.ALERT_OUT_OF_SERVICE: KindSpec("alert.out_of_service", slot="rule", occurrence="occurrence"),
    Kind.ALERT_IN_SERVICE: KindSpec("alert.in_service", slot="rule", occurrence="occurrence"),
    Kind.ALERT_ASSIGNED: KindSpec("alert.assigned", slot="rule", occurrence="occurrence"),
    Kind.ALERT_COMMENTED: KindSpec("alert.commented", slot="rule", occurrence="occurrence"),
    Kind.ALERT_RERAISED: KindSpec(
        "alert.reraised", slot="rule", a="value", b="limit", occurrence="occurrence"
    ),
}

PATTERNS: Final = ("drift", "shift", "spike", "stuck", "oscillation", "dropout", "decorrelation")
"""The patterns, by the index that kernels and ``patterns`` bit masks use (bit 0 is drift)."""


REPLAYED: Final = "replayed"
"""The key of a note on events of a device whose past is being told: they are history, not news, and nobody is notified."""


class EventBuffer(NamedTuple):
    """Where kernels put events: ``items[: used[0]]``. Whoever calls a kernel leaves it room."""

    items: Records
    used: NDArray[np.int64]  # (1,)


def event_buffer(room: int) -> EventBuffer:
    """An empty buffer for ``room`` events."""
    return EventBuffer(np.zeros(room, EVENT), np.zeros(1, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Events of one shard in the order in which they happened there.

    ``notes`` holds, by position, what has no column: who, why, and the like. Most events have none. A note at ``EVERY``
    belongs to all of them.
    """

    records: Records
    notes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def with_note(self, chosen: NDArray[np.bool_], note: Mapping[str, Any]) -> "EventBatch":
        """The same events, with ``note`` added to those that are ``chosen``."""
        if not chosen.any():
            return self
        if chosen.all():
            return EventBatch(self.records, {**self.notes, EVERY: {**self.notes.get(EVERY, {}), **note}})
        added = {i: {**self.notes.get(i, {}), **note} for i in np.flatnonzero(chosen).tolist()}
        return EventBatch(self.records, {**self.notes, **added})

    def where(self, mask: NDArray[np.bool_]) -> "EventBatch":
        """The events for which ``mask`` (n,) is set, with their notes."""
        chosen = np.flatnonzero(mask)
        if len(chosen) == len(self):
            return self
        notes = {new: self.notes[old] for new, old in enumerate(chosen.tolist()) if old in self.notes}
        notes.update({at: note for at, note in self.notes.items() if at < 0})
        return EventBatch(self.records[chosen], notes)

    def news(self) -> NDArray[np.bool_]:
        """(n,) which of the events are news, rather than the past of a device that is being imported."""
        if self.notes.get(EVERY, {}).get(REPLAYED):
            return np.zeros(len(self), np.bool_)
        fresh = np.ones(len(self), np.bool_)
        fresh[[i for i, note in self.notes.items() if i >= 0 and note.get(REPLAYED)]] = False
        return fresh

    @staticmethod
    def empty() -> "EventBatch":
        return EventBatch(np.zeros(0, EVENT))

    @staticmethod
    def join(batches: Sequence["EventBatch"]) -> "EventBatch":
        """One batch after the other."""
        batches = [batch for batch in batches if len(batch)]
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return EventBatch.empty()
        notes: dict[int, Mapping[str, Any]] = {}
        offset = 0
        for batch in batches:
            shared = batch.notes.get(EVERY)
            if shared is not None:
                notes.update(dict.fromkeys(range(offset, offset + len(batch)), shared))
            notes.update({offset + i: note for i, note in batch.notes.items() if i != EVERY})
            offset += len(batch)
        return EventBatch(np.concatenate([batch.records for batch in batches]), notes)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as everyone outside a shard reads it.

    ``at`` is when it happened, ``recorded_at`` the shard time at which it entered the journal, ``cursor`` its place there.
    """

    type: str
    device_id: str
    at_us: int
    recorded_us: int
    cursor: int
    detail: Mapping[str, Any]


def decode(
    batch: EventBatch,
    *,
    device_id: Callable[[int], str],
    rules: Sequence[str],
    channels: Sequence[str],
    recorded_us: int,
    cursor: int,
) -> Iterator[Event]:
    """The events of ``batch`` one by one, numbers and slots under their names.

    ``device_id`` gives the id of a row; ``rules`` and ``channels`` are the names of the device type then in force. A
    slot that this type does not have is named by the event's note if that says so (``rule``, ``channel``), else by its
    number: ``?7``.
    """
    for i, record in enumerate(batch.records.tolist()):
        at_us, row, code, slot, occurrence, a, b = record
        spec = KINDS[Kind(code)]
        detail: dict[str, Any] = {}
        if spec.slot is not None and slot >= 0:
            detail[spec.slot] = _name(rules if spec.slot == "rule" else channels, slot)
        if spec.occurrence == "pattern":
            detail["pattern"] = _name(PATTERNS, occurrence)
        elif spec.occurrence is not None:
            detail["occurrence"] = occurrence
        numbers = ((spec.a, a), (spec.b, b))
        detail.update({name: value for name, value in numbers if name is not None and not math.isnan(value)})
        detail.update(batch.notes.get(EVERY, {}))
        detail.update(batch.notes.get(i, {}))
        yield Event(spec.type, device_id(row) if row >= 0 else "", at_us, recorded_us, cursor, detail)


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"?{number}"
