"""A changed set of rules over the last days: which alerts would have appeared, vanished or moved.

The twins are rebuilt as they were at the beginning, once. From there the very same entries run through two shards, one under
the rules in force, one with the changed ones installed as a host installs them, so the comparison is paired and depends on
the rules alone. Both run the present version of the type; what was installed meanwhile is left out. What people did is
done again on both sides, to the alert that stands there; where none does, it is put aside. A parent's alerts, and
what they suppress, are as they were.

For a whole fleet some of its devices are run, drawn by a hash of their ids; what it came to is up to ``comparison.py``.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Protocol

from training.errors import MomentNotKeptError
from training.pairing import AlertCourse, Pair, pairs
from training.past import Past
from training.rebuilding import Entry, Rebuilding
from twins.devices import DeviceType
from twins.errors import AlertNotFoundError, CommandRefusedError
from twins.events import EventBatch

FEWEST: Final = 20
"""Devices that are drawn at least, where there are so many."""

MOST: Final = 500
"""Devices that are drawn at most."""

READINGS: Final = 10_000
"""Readings that a rehearsal runs which somebody waits for; see ``bench/rehearsal.py``."""

_PROBED: Final = 5  # devices whose readings are counted, to tell how many others have
_CHECK_EVERY: Final = 1000  # entries

Cause = Literal["history", "readings"] | None
"""Why a window begins later than was asked for: nothing earlier is kept, or it would take too long."""


@dataclass(frozen=True, slots=True)
class Question:
    """Rules in force and changed ones, of one type, over a window of shard time."""

    before: DeviceType
    after: DeviceType
    start_us: int
    end_us: int

    @property
    def name(self) -> str:
        return self.before.name


class Telling(Protocol):
    """Tells the twins of both sides what they would have been told, in place of what they were; see ``promotion.py``."""

    def __call__(self, before: Rebuilding, after: Rebuilding, now_us: int) -> None:
        """Before what happened at ``now_us``, shard time, and at the beginning of the window."""


class Ran(NamedTuple):
    """What came of running some devices.

    Attributes
    ----------
    start_us : where the window begins: at the earliest moment kept or the first device, if that is later than was asked
    devices : those that were asked for
    pairs : their alerts on both sides
    readings : lines that were run on each side
    put_aside : what people did in the window that does not fit under the changed rules
    """

    start_us: int
    devices: tuple[str, ...]
    pairs: list[Pair]
    readings: int
    put_aside: int


def drawn(ids: Iterable[str], seed: int) -> list[str]:
    """The ids in the order in which they are drawn, which depends on the seed and on nothing but each id."""
    return sorted(ids, key=lambda each: (_lot(each, seed), each))


def fitted(
    past: Past, question: Question, ids: Sequence[str], devices: int | None = None
) -> tuple[list[str], Question, Cause]:
    """How much of a question can be answered while somebody waits: the first of ``ids``, and the window.

    Without ``devices``, as many as have ``READINGS`` in the window, within ``FEWEST`` and ``MOST``. Where those that are
    wanted have more, the window begins later.
    """
    span_us = question.end_us - question.start_us
    probed = ids[:_PROBED]
    each = past.readings(question.name, question.start_us, question.end_us, probed) / max(1, len(probed))
    if devices is None:
        devices = max(FEWEST, min(MOST, int(READINGS / each) if each else MOST))
    chosen = list(ids[:devices])
    expected = each * len(chosen)
    if expected <= READINGS:
        return chosen, question, None
    start_us = question.end_us - round(span_us * READINGS / expected)
    return chosen, replace(question, start_us=start_us), "readings"


def run(
    past: Past, question: Question, ids: Sequence[str], check: Callable[[], None] = lambda: None,
    telling: Callable[[], Telling] | None = None,
) -> Ran:  # fmt: skip
    """Run some devices under both sets of rules; ``check`` is called again and again, to end it by raising.

    ``telling`` : gives who tells the twins of an actor their forecasts; None: they hear those that were told then.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the window is not there any more, or not yet.
    """
    start_us, works = _begun(past, question, ids)
    found: list[Pair] = []
    first_us: list[int] = []
    put_aside = 0
    for work in works:
        actor = _Actor(replace(question, start_us=start_us), work, telling() if telling is not None else None)
        actor.run(past, check)
        found += actor.pairs()
        put_aside += actor.put_aside
        first_us += [] if actor.first_us is None else [actor.first_us]
    readings = sum(work.readings - before for work, before in works.items())
    return Ran(min(first_us, default=start_us), tuple(ids), found, readings, put_aside)


def _begun(past: Past, question: Question, ids: Sequence[str]) -> tuple[int, dict[Rebuilding, int]]:
    """The twins of every actor as of the window's beginning or, if it is later, the earliest moment that all of them keep;
    and how many readings it took to get there."""
    start_us = question.start_us
    while True:
        try:
            works = past.begun(question.name, start_us, ids)
            return start_us, {work: work.readings for work in works}
        except MomentNotKeptError as error:
            if error.since_us is None or not start_us < error.since_us < question.end_us:
                raise
            start_us = error.since_us


class _Actor:
    """The twins of one actor on both sides."""

    def __init__(self, question: Question, work: Rebuilding, telling: Telling | None) -> None:
        self._telling = telling
        self.put_aside = 0
        self.first_us: int | None = None
        self._question = question
        self._before, self._after = work, work.copied()
        self._courses = (
            AlertCourse(self._before, self._before.hold(question.before, question.start_us)),
            AlertCourse(self._after, self._after.hold(question.after, question.start_us)),
        )
        self._note_first(question.start_us)
        self._tell(question.start_us)

    def run(self, past: Past, check: Callable[[], None]) -> None:
        end_us = self._question.end_us
        for number, entry in enumerate(past.onward(self._before, end_us)):
            if number % _CHECK_EVERY == 0:
                check()
            self._tell(entry.now_us)
            asked = _of_what_stands(entry)
            if self._telling is not None and entry.kind == "scores":
                asked = entry._replace(kind="told otherwise")  # it passes, and nobody hears it
            before, after = _taken(self._before, asked), _taken(self._after, asked)
            self._follow(before or EventBatch.empty(), after or EventBatch.empty())
            self.put_aside += after is None
            self._note_first(entry.now_us)
        self._follow(self._before.advance(end_us), self._after.advance(end_us))

    def pairs(self) -> Iterable[Pair]:
        window = self._question.start_us, self._question.end_us
        before, after = (course.stretches(*window) for course in self._courses)
        return pairs(before, after)

    def _follow(self, before: EventBatch, after: EventBatch) -> None:
        for course, events in zip(self._courses, (before, after), strict=True):
            course.follow(events)

    def _tell(self, now_us: int) -> None:
        if self._telling is not None:
            self._telling(self._before, self._after, now_us)

    def _note_first(self, now_us: int) -> None:
        if self.first_us is None and self._before.shard is not None and len(self._before.shard):
            self.first_us = now_us


def _of_what_stands(entry: Entry) -> Entry:
    """What was asked of one occurrence of an alert, asked of the one that stands: under other rules they count otherwise."""
    if entry.command is None or "occurrence" not in entry.command[1]:
        return entry
    name, body = entry.command
    return entry._replace(command=(name, {**body, "occurrence": None}))


def _taken(work: Rebuilding, entry: Entry) -> EventBatch | None:
    """What happened by an entry; None: it asks for what does not fit here."""
    try:
        return work.take(entry)
    except (CommandRefusedError, AlertNotFoundError):
        return None


def _lot(device_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{device_id}".encode(), digest_size=8).digest()
