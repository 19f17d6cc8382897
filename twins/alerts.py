"""Alerts under ISA-18.2: what people do to them, and the list of those that stand.

The machine's part is columns (``alert_state.py``, moved by ``lifecycle.py`` from the rules of ``rules.py``); what people
add, who and why, is the sparse ``AlertBook``. An alert is named by device, rule and occurrence:
``pump-17:vibration-high:3``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from twins import alert_state, lifecycle
from twins.alert_state import (
    ACTIVE,
    FLAG_BITS,
    FLAGS,
    HIDDEN,
    LATCHED,
    OUT,
    PENDING,
    SHELVED,
    SUPPRESSED,
    UNACKED,
    AlertState,
    blank_alerts,
    put_word,
    word_of,
)
from twins.devices import DeviceType
from twins.errors import AlertNotFoundError, CommandRefusedError, VersionConflictError
from twins.events import EVENT, EVERY, EventBatch, EventBuffer, Kind, Records, event_buffer
from twins.lifecycle import MAX_EVENTS, PHASES, AlertPhase, evaluate, fire_due
from twins.rules import CHANNEL, RATE, SCORE, AlertParams, compile_rules, scores_in_use

__all__ = [
    "MAX_EVENTS",
    "MAX_SHELF_S",
    "AlertBook",
    "AlertParams",
    "AlertPhase",
    "AlertState",
    "AlertTarget",
    "alert_id",
    "alerting",
    "blank_alerts",
    "carried_over",
    "closed_by",
    "compile_rules",
    "evaluate",
    "fire_due",
    "follow_parents",
    "let_go",
    "open_alerts",
    "parse_alert_id",
    "put_scores",
    "standing",
]

MAX_SHELF_S: Final = 7 * 86_400.0
"""The longest time on the shelf: what must stay away longer is to be taken out of service."""

NO_PRIORITY: Final = 255
"""The priority of a device on which no alert stands."""

MAX_COMMENTS: Final = 20
"""Comments kept with a standing alert; all of them are events."""

_NEVER_US: Final = -(2**63)


class Twins(Protocol):
    """The state of a shard, as far as alerts look at it."""

    @property
    def core(self) -> Any: ...
    @property
    def signals(self) -> Any: ...
    @property
    def alerts(self) -> AlertState: ...


@dataclass(frozen=True, slots=True, eq=False)
class AlertTarget:
    """One alert, as a command meets it. ``occurrence`` is the one that was seen; None: whichever stands."""

    state: Twins
    params: AlertParams
    device_type: DeviceType
    row: int
    device_id: str
    rule: str
    occurrence: int | None = None


@dataclass(slots=True)
class AlertNote:
    """What people said of one alert: all about one occurrence, but for ``aside``, what keeps it away."""

    occurrence: int = 0
    assignee: str = ""
    acked_by: str = ""
    acked_us: int = 0
    comments: list[tuple[int, str, str]] = field(default_factory=list)  # at µs, by, text
    aside: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # "shelved", … → at µs, by, reason


class OpenAlerts(NamedTuple):
    """Alerts that stand or are put aside, as columns of equal length, by row and then by rule."""

    row: NDArray[np.int64]
    rule: NDArray[np.int64]  # index in the type's rules
    phase: NDArray[np.uint8]  # AlertPhase
    active: NDArray[np.bool_]  # the condition holds
    priority: NDArray[np.uint8]  # index in PRIORITIES
    occurrence: NDArray[np.int64]
    since_us: NDArray[np.int64]  # raised at, whole seconds; 0 while shelved
    until_us: NDArray[np.int64]  # end of a timed shelf; 0: none
    value: NDArray[np.float64]  # newest value of what the rule is about; NaN: nothing with a number
    limit: NDArray[np.float64]
    note: list[AlertNote | None]  # what people said


def alert_id(device_id: str, rule: str, occurrence: int) -> str:
    """The name of an alert.

    >>> alert_id("pump-17", "vibration-high", 3)
    'pump-17:vibration-high:3'
    """
    return f"{device_id}:{rule}:{occurrence}"


def parse_alert_id(text: str) -> tuple[str, str, int]:
    """Device id, rule and occurrence. A device id may hold colons, a rule's name holds none.

    Raises
    ------
    AlertNotFoundError : if the text names no alert.
    """
    device_id, _, rest = text.rpartition(":")
    device_id, _, rule = device_id.rpartition(":")
    if not (device_id and rule and rest.isascii() and rest.isdigit()):
        raise AlertNotFoundError(text)
    return device_id, rule, int(rest)


class AlertBook:
    """What people added to the alerts of one shard, by row and rule name."""

    def __init__(self) -> None:
        self._notes: dict[tuple[int, str], AlertNote] = {}

    # -- commands: each refuses or does, and gives the events ----------------------------------------------

    def acknowledge(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """Seen, and somebody is on it. Refused where nobody is asked to."""

        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            self._visible(target, "acknowledge", word)
            if not word & UNACKED:
                known = self._notes.get((target.row, target.rule))
                whom = f" by {known.acked_by}" if known and known.acked_by else ""
                raise CommandRefusedError(
                    "acknowledge", _id(target, word), f"it was acknowledged{whom} already"
                )
            lifecycle.acknowledge(target.state.alerts, target.row, k, now_us, ev)
            entry = self._entry(target, word)
            entry.acked_by, entry.acked_us = by, now_us
            return {}

        return self._do(target, by, note, now_us, act)

    def reset(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """Let a latched alert go. Refused while its condition holds."""

        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            self._visible(target, "reset", word)
            if not word & LATCHED:
                why = (
                    "its condition still holds"
                    if word & ACTIVE
                    else "it is not latched; acknowledge it instead"
                )
                raise CommandRefusedError("reset", _id(target, word), why)
            lifecycle.reset(target.state.alerts, target.row, k, now_us, ev)
            return {}

        return self._do(target, by, note, now_us, act)

    def shelve(
        self, target: AlertTarget, duration_s: float | None, reason: str, by: str, note: str, now_us: int
    ) -> EventBatch:
        """Put aside for ``duration_s``, up to ``MAX_SHELF_S``; None: until it next returns to normal.

        Shelving again sets a new end.
        """

        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            if duration_s is not None and not 0 < duration_s <= MAX_SHELF_S:
                raise CommandRefusedError(
                    "shelve", _id(target, word), f"{duration_s:g} s is not between 0 and {MAX_SHELF_S:g} s"
                )
            until_us = 0 if duration_s is None else now_us + round(duration_s * 1e6)
            lifecycle.shelve(target.state.alerts, target.row, k, until_us, now_us, ev)
            return self._put_aside(target, word, "shelved", by, reason, now_us)

        return self._do(target, by, note, now_us, act)

    def unshelve(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """Take back from the shelf; raised anew if its condition holds."""
        return self._bring_back(
            target, by, note, now_us, SHELVED, "shelved", Kind.ALERT_UNSHELVED, "unshelve"
        )

    def suppress(self, target: AlertTarget, reason: str, by: str, note: str, now_us: int) -> EventBatch:
        """Suppress by design, by hand."""
        return self._set_aside(
            target, by, note, now_us, SUPPRESSED, "suppressed", Kind.ALERT_SUPPRESSED, "suppress", reason
        )

    def unsuppress(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """End a suppression by hand. One by the state of the parent ends with that state."""
        return self._bring_back(
            target, by, note, now_us, SUPPRESSED, "suppressed", Kind.ALERT_UNSUPPRESSED, "unsuppress"
        )

    def remove_from_service(
        self, target: AlertTarget, reason: str, by: str, note: str, now_us: int
    ) -> EventBatch:
        """Take the rule of this device out of service, for maintenance of the alert itself."""
        return self._set_aside(
            target,
            by,
            note,
            now_us,
            OUT,
            "out_of_service",
            Kind.ALERT_OUT_OF_SERVICE,
            "remove from service",
            reason,
        )

    def return_to_service(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """Put it back into service; raised anew if its condition holds."""
        return self._bring_back(
            target, by, note, now_us, OUT, "out_of_service", Kind.ALERT_IN_SERVICE, "return to service"
        )

    def assign(self, target: AlertTarget, assignee: str, by: str, note: str, now_us: int) -> EventBatch:
        """Hand it to somebody; an empty name takes it back."""

        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            self._known(target, word)
            self._entry(target, word).assignee = assignee
            _say(ev, Kind.ALERT_ASSIGNED, target.row, k, word, now_us)
            return {"assignee": assignee}

        return self._do(target, by, note, now_us, act)

    def comment(self, target: AlertTarget, by: str, note: str, now_us: int) -> EventBatch:
        """Say something about it."""

        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            self._known(target, word)
            if not note:
                raise CommandRefusedError("comment", _id(target, word), "the comment is empty")
            entry = self._entry(target, word)
            entry.comments = [*entry.comments, (now_us, by, note)][-MAX_COMMENTS:]
            _say(ev, Kind.ALERT_COMMENTED, target.row, k, word, now_us)
            return {}

        return self._do(target, by, note, now_us, act)

    def retire(self, target: AlertTarget, by: str, now_us: int) -> EventBatch:
        """Close all alerts of a device that leaves the fleet; ``rule`` of the target does not matter."""
        a, row = target.state.alerts, target.row
        ev = event_buffer(MAX_EVENTS)
        for k, rule in enumerate(target.device_type.rules):
            word = word_of(a, row, k)
            if not word & HIDDEN and word & (ACTIVE | UNACKED | LATCHED):
                _say(ev, Kind.ALERT_RETURNED, row, k, word, now_us)
            put_word(a, row, k, word >> FLAG_BITS << FLAG_BITS)
            self._notes.pop((row, rule.name), None)
        records = ev.items[: ev.used[0]].copy()
        return EventBatch(
            records, {EVERY: {"by": by, "reason": "the device was retired"}} if len(records) else {}
        )

    # -- keeping the book ----------------------------------------------------------------------------------

    def notes(
        self, rows: NDArray[np.int64], rules: NDArray[np.int64], names: list[str]
    ) -> list[AlertNote | None]:
        """What people said of each (row, rule index), if anything."""
        if not self._notes:
            return [None] * len(rows)
        return [
            self._notes.get((row, names[k])) for row, k in zip(rows.tolist(), rules.tolist(), strict=True)
        ]

    def follow(self, records: Records, state: Twins, device_type: DeviceType) -> None:
        """Forget what people said of alerts that ``records`` have closed, or brought back by themselves."""
        if not self._notes:
            return
        alerts_only = records[(records["kind"] >= Kind.ALERT_RAISED) & (records["slot"] >= 0)]
        named = {rule.name: k for k, rule in enumerate(device_type.rules)}
        touched = set(zip(alerts_only["row"].tolist(), alerts_only["slot"].tolist(), strict=True))
        for row, rule in [key for key in self._notes if (key[0], named.get(key[1], -1)) in touched]:
            self._prune(row, rule, word_of(state.alerts, row, named[rule]))

    def carried_over(self, old: DeviceType, new: DeviceType) -> "AlertBook":
        """The book under another version of the rules: what was said of a rule that is gone goes with it."""
        del old
        names = {rule.name for rule in new.rules}
        book = AlertBook()
        book._notes = {key: note for key, note in self._notes.items() if key[1] in names}
        return book

    def to_meta(self) -> list[Any]:
        """The book as JSON values."""
        return [
            [
                row,
                rule,
                {**asdict(note), "comments": [list(comment) for comment in note.comments], "aside": aside},
            ]
            for (row, rule), note in sorted(self._notes.items(), key=lambda item: item[0])
            for aside in [{what: list(said) for what, said in sorted(note.aside.items())}]
        ]

    @staticmethod
    def from_meta(meta: list[Any], only: NDArray[np.int64] | None = None) -> "AlertBook":
        """The book that ``to_meta`` gave; with ``only``, of these rows alone, renumbered in their order."""
        book = AlertBook()
        place = None if only is None else {row: at for at, row in enumerate(only.tolist())}
        for row, rule, values in meta:
            if place is not None:
                if row not in place:
                    continue
                row = place[row]
            comments = [(at, by, text) for at, by, text in values["comments"]]
            aside = {what: (at, by, why) for what, (at, by, why) in values["aside"].items()}
            book._notes[row, rule] = AlertNote(**{**values, "comments": comments, "aside": aside})
        return book

    # -- inside --------------------------------------------------------------------------------------------

    def _do(
        self,
        target: AlertTarget,
        by: str,
        note: str,
        now_us: int,
        act: Callable[[int, int, EventBuffer], dict[str, Any]],
    ) -> EventBatch:
        """Let shard time pass for the device, then do ``act``; if that refuses, nothing has changed."""
        a, row = target.state.alerts, target.row
        k = _rule_index(target)
        saved = alert_state.copy_of(a, row)
        ev = event_buffer(2 * MAX_EVENTS)
        lifecycle.fire_due(
            a, target.params, target.state.core, target.state.signals, row, _NEVER_US, now_us, ev
        )
        first = int(ev.used[0])
        try:
            word = word_of(a, row, k)
            _right_occurrence(target, word)
            said = act(k, word, ev)
        except Exception:
            alert_state.put_back(a, row, saved)
            raise
        detail = {
            "by": by,
            **({"note": note} if note else {}),
            **{key: text for key, text in said.items() if text},
        }
        batch = EventBatch(ev.items[: ev.used[0]].copy(), {first: detail})
        self.follow(batch.records, target.state, target.device_type)
        return batch

    def _set_aside(
        self,
        target: AlertTarget,
        by: str,
        note: str,
        now_us: int,
        flag: int,
        what: str,
        kind: Kind,
        verb: str,
        reason: str,
    ) -> EventBatch:
        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            if word & flag:
                raise CommandRefusedError(verb, _id(target, word), f"it is {what.replace('_', ' ')} already")
            lifecycle.hide(target.state.alerts, target.row, k, flag, int(kind), now_us, np.nan, ev)
            return self._put_aside(target, word, what, by, reason, now_us)

        return self._do(target, by, note, now_us, act)

    def _bring_back(
        self,
        target: AlertTarget,
        by: str,
        note: str,
        now_us: int,
        flag: int,
        what: str,
        kind: Kind,
        verb: str,
    ) -> EventBatch:
        def act(k: int, word: int, ev: EventBuffer) -> dict[str, Any]:
            if not word & flag:
                raise CommandRefusedError(verb, _id(target, word), f"it is not {what.replace('_', ' ')}")
            s = target.state
            lifecycle.reveal(
                s.alerts, target.params, s.core, s.signals, target.row, k, flag, int(kind), now_us, ev
            )
            return {}

        return self._do(target, by, note, now_us, act)

    def _put_aside(
        self, target: AlertTarget, word: int, what: str, by: str, reason: str, now_us: int
    ) -> dict[str, Any]:
        self._entry(target, word).aside[what] = (now_us, by, reason)
        return {"reason": reason}

    def _entry(self, target: AlertTarget, word: int) -> AlertNote:
        """The note to write in, begun afresh with each occurrence."""
        entry = self._notes.setdefault((target.row, target.rule), AlertNote())
        occurrence = word >> FLAG_BITS
        if entry.occurrence != occurrence:
            entry.occurrence, entry.assignee, entry.acked_by, entry.acked_us = occurrence, "", "", 0
            entry.comments = []
        return entry

    def _prune(self, row: int, rule: str, word: int) -> None:
        entry = self._notes[row, rule]
        for what, flag in _ASIDE.items():
            if not word & flag:
                entry.aside.pop(what, None)
        if entry.occurrence != word >> FLAG_BITS or not word & FLAGS & ~PENDING:
            entry.assignee, entry.acked_by, entry.acked_us, entry.comments = "", "", 0, []
        if not (entry.aside or entry.assignee or entry.acked_by or entry.comments):
            del self._notes[row, rule]

    def _visible(self, target: AlertTarget, verb: str, word: int) -> None:
        if word & HIDDEN:
            phase = AlertPhase(int(PHASES[word & FLAGS])).name.lower().replace("_", " ")
            raise CommandRefusedError(verb, _id(target, word), f"it is {phase}; bring it back first")
        if not word & (ACTIVE | UNACKED | LATCHED):
            raise AlertNotFoundError(_id(target, word))

    def _known(self, target: AlertTarget, word: int) -> None:
        if not word & FLAGS & ~PENDING:
            raise AlertNotFoundError(_id(target, word))


def standing(state: AlertState, params: AlertParams, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """For each of ``rows``: ``alerts`` that stand, ``unacknowledged`` ones, the most urgent ``priority``.

    Priority is an index in PRIORITIES; ``NO_PRIORITY``: no alert stands. Shelved and suppressed alerts do not count.
    """
    n = len(rows)
    alerts, unacknowledged = np.empty(n, np.int32), np.empty(n, np.int32)
    priority = np.empty(n, np.uint8)
    lifecycle.count_standing(state, params, rows, alerts, unacknowledged, priority)
    return {"alerts": alerts, "unacknowledged": unacknowledged, "priority": priority}


def alerting(state: AlertState, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of ``rows`` have an alert whose condition holds or that is latched, and that nobody has put aside."""
    found = np.empty(len(rows), np.bool_)
    lifecycle.find_alerting(state, rows, found)
    return found


def open_alerts(
    state: Twins, params: AlertParams, device_type: DeviceType, book: AlertBook, rows: NDArray[np.int64]
) -> OpenAlerts:
    """The alerts of ``rows`` that stand or are put aside; by a parent's state only where they hold."""
    a, rules = state.alerts, len(device_type.rules)
    room = 1024
    while True:
        at = np.empty(room, np.int64)
        words, stamps_s = np.empty(room, np.int64), np.empty(room, np.int64)
        value, limit = np.empty(room), np.empty(room)
        found = lifecycle.list_open(
            a, params, state.core, state.signals, rows, at, words, stamps_s, value, limit
        )
        if found <= room:
            break
        room = found
    row, rule = np.divmod(at[:found], max(rules, 1))
    word = words[:found]
    stamp_us = stamps_s[:found] * 1_000_000
    shelved = (word & SHELVED) > 0
    names = [each.name for each in device_type.rules]
    return OpenAlerts(
        row=row,
        rule=rule,
        phase=PHASES[word & FLAGS],
        active=(word & ACTIVE) > 0,
        priority=params.rules["priority"][rule],
        occurrence=word >> FLAG_BITS,
        since_us=np.where(shelved, 0, stamp_us),
        until_us=np.where(shelved, stamp_us, 0),
        value=value[:found],
        limit=limit[:found],
        note=book.notes(row, rule, names),
    )


def put_scores(
    state: AlertState, used: Sequence[str], rows: NDArray[np.integer[Any]], told: Mapping[str, NDArray[Any]]
) -> None:
    """Take scores in, by name; rules see them at each device's next line. One that no rule asks for is dropped.

    What was due before has to have happened: let shard time pass for these rows first, or its events tell the new score.

    Parameters
    ----------
    used : what ``scores_in_use`` gives for the type
    """
    for column, name in enumerate(used):
        if name in told:
            state.scores[rows, column] = told[name]


def forget_scores(state: AlertState, rows: NDArray[np.integer[Any]]) -> None:
    """Nothing is said of these devices any more."""
    state.scores[rows] = np.nan


def follow_parents(state: Twins, params: AlertParams, rows: NDArray[np.int32], now_us: int) -> EventBatch:
    """Suppress and release what the parents of ``rows`` ask for: their flags in ``core.status`` changed."""
    ev = event_buffer(max(16_384, 2 * MAX_EVENTS))
    parts: list[Records] = []
    done = 0
    while done < len(rows):
        done = lifecycle.follow_parents(
            state.alerts, params, state.core, state.signals, rows, done, now_us, ev
        )
        parts.append(ev.items[: ev.used[0]].copy())
        ev.used[0] = 0
    return EventBatch(np.concatenate(parts)) if parts else EventBatch.empty()


def closed_by(state: AlertState, old: DeviceType, new: DeviceType, rows: int, now_us: int) -> EventBatch:
    """What installing ``new`` closes: standing alerts of rules that it lacks. Slots are those of ``old``."""
    staying = {rule.name for rule in new.rules}
    gone = np.array([rule.name not in staying for rule in old.rules], np.bool_)
    entries = alert_state.kept(state, 0, rows)
    stands = ((entries["word"] & HIDDEN) == 0) & ((entries["word"] & (ACTIVE | UNACKED | LATCHED)) > 0)
    closing = entries[stands & gone[entries["rule"]]]
    records = np.zeros(len(closing), EVENT)
    records["at_us"], records["row"], records["kind"] = now_us, closing["row"], int(Kind.ALERT_RETURNED)
    records["slot"] = closing["rule"]
    records["occurrence"] = closing["word"] >> FLAG_BITS
    records["a"] = records["b"] = np.nan
    return EventBatch(records, {EVERY: {"reason": "the rule was removed"}} if len(records) else {})


def let_go(
    state: AlertState, rows: NDArray[np.integer[Any]], at_us: NDArray[np.int64], note: Mapping[str, Any]
) -> EventBatch:
    """Acknowledge alerts of ``rows`` whose condition has cleared, as if at ``at_us``: nobody needs to answer them."""
    place = np.full(len(state.first), -1)
    place[rows] = np.arange(len(rows))
    entries = alert_state.kept(state, 0, len(state.first))
    cleared = ((entries["word"] & (HIDDEN | ACTIVE | LATCHED)) == 0) & ((entries["word"] & UNACKED) > 0)
    over = entries[cleared & (place[entries["row"]] >= 0)]
    over = over[np.argsort(place[over["row"]], kind="stable")]
    over["word"] &= ~UNACKED
    alert_state.keep(state, over)
    records = np.zeros(len(over), EVENT)
    records["at_us"], records["row"] = at_us[place[over["row"]]], over["row"]
    records["kind"], records["slot"] = int(Kind.ALERT_ACKNOWLEDGED), over["rule"]
    records["occurrence"] = over["word"] >> FLAG_BITS
    records["a"] = records["b"] = np.nan
    return EventBatch(records, {EVERY: note} if len(records) else {})


def carried_over(state: AlertState, old: DeviceType, new: DeviceType, rows: int) -> AlertState:
    """The state under another version of the rules, of the same capacity.

    A rule keeps its alerts by its name, a comparison that did not change its memory, a rate or score its
    values. Conditions are looked at anew with each device's next line. A running delay goes on, unless the
    rule moved to the other clock.
    """
    p_old, p_new = compile_rules(old), compile_rules(new)
    fresh = blank_alerts(len(state.first), new)
    before = {rule.name: k for k, rule in enumerate(old.rules)}
    silent_old, silent_new = set(p_old.silences["rule"].tolist()), set(p_new.silences["rule"].tolist())
    place = np.full(len(old.rules), -1, np.int32)
    other_clock = np.zeros(len(old.rules), np.bool_)
    for k, rule in enumerate(new.rules):
        if rule.name not in before:
            continue
        was = before[rule.name]
        place[was] = k
        other_clock[was] = (was in silent_old) != (k in silent_new)
        fresh.occurrence[:rows, k] = state.occurrence[:rows, was]
    entries = alert_state.kept(state, 0, rows)
    entries["word"] &= np.where(other_clock[entries["rule"]], ~PENDING, -1)
    entries["rule"] = place[entries["rule"]]
    alert_state.keep(fresh, entries[entries["rule"] >= 0])
    atoms_old = {key: i for i, key in enumerate(_atom_keys(p_old, old))}
    for i, key in enumerate(_atom_keys(p_new, new)):
        if key in atoms_old:
            was, now = p_old.atoms[atoms_old[key]], p_new.atoms[i]
            held = (state.atoms[:rows, was["word"]] & was["bit"]) > 0
            fresh.atoms[:rows, now["word"]] |= np.where(held, now["bit"], np.uint64(0))
    fresh.atoms[:rows, 0] |= np.uint64(1 << 63)
    rates_old = p_old.rate_channel.tolist()
    for j, channel in enumerate(p_new.rate_channel.tolist()):
        if channel in rates_old:
            was = rates_old.index(channel)
            fresh.rate[:rows, j], fresh.rate_us[:rows, j] = state.rate[:rows, was], state.rate_us[:rows, was]
    scores_old = scores_in_use(old)
    for j, score in enumerate(scores_in_use(new)):
        if score in scores_old:
            fresh.scores[:rows, j] = state.scores[:rows, scores_old.index(score)]
    return fresh


_ASIDE: Final[Mapping[str, int]] = {"shelved": SHELVED, "suppressed": SUPPRESSED, "out_of_service": OUT}


def _atom_keys(params: AlertParams, device_type: DeviceType) -> list[tuple[Any, ...]]:
    """What each comparison compares, under names that outlast a change of rules."""
    scores = scores_in_use(device_type)
    keys: list[tuple[Any, ...]] = []
    for atom in params.atoms:
        kind, index = (
            int(params.sources[atom["source"]]["kind"]),
            int(params.sources[atom["source"]]["index"]),
        )
        name: Any = index
        if kind == CHANNEL:
            name = device_type.channels[index].name
        elif kind == RATE:
            name = device_type.channels[params.rate_channel[index]].name
        elif kind == SCORE:
            name = scores[index]
        keys.append((kind, name, int(atom["operator"]), float(atom["set"]), float(atom["clear"])))
    return keys


def _rule_index(target: AlertTarget) -> int:
    for k, rule in enumerate(target.device_type.rules):
        if rule.name == target.rule:
            return k
    raise AlertNotFoundError(alert_id(target.device_id, target.rule, target.occurrence or 0))


def _right_occurrence(target: AlertTarget, word: int) -> None:
    standing_now = word >> FLAG_BITS
    if target.occurrence is None or target.occurrence == standing_now:
        return
    asked = alert_id(target.device_id, target.rule, target.occurrence)
    if target.occurrence > standing_now:
        raise AlertNotFoundError(asked)
    raise VersionConflictError("change", asked, f"it was raised again since, as occurrence {standing_now}")


def _id(target: AlertTarget, word: int) -> str:
    return alert_id(target.device_id, target.rule, word >> FLAG_BITS)


def _say(ev: EventBuffer, kind: Kind, row: int, k: int, word: int, now_us: int) -> None:
    i = int(ev.used[0])
    ev.items[i] = (now_us, row, int(kind), k, word >> FLAG_BITS, np.nan, np.nan)
    ev.used[0] = i + 1
