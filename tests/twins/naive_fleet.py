"""A whole fleet a second time: one object a device, one reading at a time, nothing shared with the shard.

``NaiveFleet`` follows the words of ``twins/shard.py``, ``kernels.py``, ``alerts.py`` and ``fleet.py``: which readings
count, how an interval is learned, what silence is, what people may do to an alert and what is remembered of it, what
maintenance resets, what another version of a type changes, and what children are told of their parents. Analytics are
``NaiveSignals``, the machine's part of alerts is ``NaiveTwin``. It knows no host, row, batch, journal or snapshot, so
whatever those do must not show.

A refusal is ``Refused`` with the name of the error that the fleet is to raise; nothing has changed then.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from tests.twins.naive import Happening, NaiveSignals, NaiveTrends
from tests.twins.naive_alerts import NaiveAlert, NaiveTwin, stale_after_us
from twins.devices import Channel, Device, DeviceType
from twins.events import KINDS, PATTERNS, Kind
from twins.shard import ShardConfig

NAN = math.nan
NEVER = -(2**63)
DECLARED = 65_535
LEARNED_FROM = 400
MAX_SHELF_S = 7 * 86_400
COMMENTS_KEPT = 20

PARENT_STALE, PARENT_ALERT, PARENT_OUT_OF_SERVICE = 4, 8, 16
FATES = ("scored", "bad", "late", "duplicate", "future", "empty")
SIGNAL_KINDS = {spec.type: kind for kind, spec in KINDS.items()}

VERBS = {
    "unshelve": ("shelved", Kind.ALERT_UNSHELVED, False),
    "suppress": ("suppressed", Kind.ALERT_SUPPRESSED, True),
    "unsuppress": ("suppressed", Kind.ALERT_UNSUPPRESSED, False),
    "remove_from_service": ("out", Kind.ALERT_OUT_OF_SERVICE, True),
    "return_to_service": ("out", Kind.ALERT_IN_SERVICE, False),
}
"""What puts an alert aside and what brings it back: why it is away, the event, whether it goes away."""

ASIDE = {"shelved": "shelved", "suppressed": "suppressed", "out": "out_of_service"}
"""What a note calls the reasons for which people put an alert aside."""


class Refused(Exception):  # noqa: N818 - what the oracle says, not an error of its own
    """The fleet has to refuse this with the error named."""


@dataclass
class Note:
    """What people said of one alert."""

    occurrence: int = 0
    assignee: str = ""
    acked_by: str = ""
    acked_us: int = 0
    comments: list[tuple[int, str, str]] = field(default_factory=list)
    aside: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def forget_what_was_said(self) -> None:
        self.assignee, self.acked_by, self.acked_us, self.comments = "", "", 0, []


class Forecast(NamedTuple):
    """What a scorer says of a device."""

    p_fail: list[float]
    rul_h: list[float]
    mode: int
    share: float
    said: int
    like_healthy: float
    model: int
    event_us: int


class NaiveDevice:
    """One device: what was heard of it, what was made of that, and what happened to it."""

    def __init__(self, device: Device, device_type: DeviceType, config: ShardConfig) -> None:
        self.device = device
        self.type = device_type
        self.config = config
        channels = device_type.channel_names
        self.value: dict[str, float] = dict.fromkeys(channels, NAN)
        self.newest_us: dict[str, int] = dict.fromkeys(channels, NEVER)
        self.bad: set[str] = set()
        self.event_us = NEVER
        self.heard_us: int | None = None
        self.interval_us = round((device.interval_s or device_type.interval_s or 0) * 1e6)
        self.gaps = DECLARED if self.interval_us else 0
        self.stale = False
        self.retired = device.retired
        self.importing = device.importing and not device.retired
        self.has_children = False
        self.parent_flags = 0
        self.counts = dict.fromkeys(FATES, 0)
        self.life_cycle = 0
        self.version = 0
        self.signals = NaiveSignals(device_type)
        self.trends = NaiveTrends(device_type)
        self.alerts = NaiveTwin(device_type)
        self.forecast: Forecast | None = None
        self.book: dict[str, Note] = {}
        self.notes: dict[int, dict[str, Any]] = {}  # what events say beyond their numbers, by their place
        self._know()

    @property
    def events(self) -> list[tuple[int, int, int, int, float, float]]:
        """What happened: at µs, kind, slot, occurrence, a, b."""
        return self.alerts.events

    # -- readings ----------------------------------------------------------------------------------------------

    def line(self, t_us: int, given: Mapping[str, float], now_us: int) -> dict[str, Any]:
        """Take one line: ``given`` are rounded values by channel. Gives what became of it."""
        if self.retired:
            return self._counted("empty")
        if t_us > now_us + round(self.config.max_ahead_s * 1e6):
            return self._counted("future")
        late = {name for name in given if t_us < self.newest_us[name]}
        duplicate = {name for name in given if t_us == self.newest_us[name]}
        news = {name: x for name, x in given.items() if t_us > self.newest_us[name]}
        good = {name: x for name, x in news.items() if possible(self._channel(name), x)}
        bad = set(news) - set(good)
        if news:
            first = len(self.events)
            if self.importing:
                now_us = t_us if self.heard_us is None else max(t_us, self.heard_us)
            self._take(t_us, good, bad, now_us)
            self._mark(first)
        fate = next(
            (name for name, some in zip(FATES, (good, bad, late, duplicate), strict=False) if some), "empty"
        )
        self._prune()
        return {
            **self._counted(fate),
            "bad": bad,
            "late": late,
            "duplicate": duplicate,
            "health": self.signals.health,
            "anomaly_score": self.signals.anomaly_score,
            "anomalous": self.signals.anomalous,
            "patterns": {name for feature in self.signals.features for name in feature.patterns},
        }

    def _take(self, t_us: int, good: dict[str, float], bad: set[str], now_us: int) -> None:
        first = len(self.events)
        self._fall_silent(now_us)
        self.alerts.fire_due(t_us, now_us)
        self.events[first:] = sorted(self.events[first:], key=lambda event: event[0])
        self._learn_interval(t_us)
        for name in (*good, *bad):
            self.newest_us[name] = t_us
        self.value.update(good)
        self.bad = (self.bad - set(good)) | bad
        self.event_us = max(self.event_us, t_us)
        if self.stale:
            assert self.heard_us is not None
            self.stale = False
            self._tell(Kind.DEVICE_REPORTING, now_us, (now_us - self.heard_us) / 1e6)
        self.heard_us = now_us
        if good:
            names = self.type.channel_names
            values = [good.get(name, NAN) for name in names]
            scored = [name in good for name in names]
            self.trends.lean(t_us, values, scored)
            for happening in self.signals.observe(t_us, values, scored, self.interval_us):
                self._tell_signal(t_us, happening)
        self._know()
        self.alerts.look(t_us, now_us, good)

    def _learn_interval(self, t_us: int) -> None:
        """The gap that half of the first gaps are shorter than: moved towards each new one, by less and less."""
        gap = t_us - self.event_us
        if self.gaps >= LEARNED_FROM or self.event_us == NEVER or gap <= 0:
            return
        if self.gaps == 0:
            self.interval_us = gap
        else:
            step = max(1, int(self.interval_us * (0.5 / (1.0 + 0.125 * self.gaps))))
            if gap > self.interval_us:
                self.interval_us = min(gap, self.interval_us + step)
            else:
                self.interval_us = max(gap, self.interval_us - step)
        self.gaps += 1

    def _counted(self, fate: str) -> dict[str, Any]:
        self.counts[fate] += 1
        return {"fate": fate}

    def _channel(self, name: str) -> Channel:
        return self.type.channels[self.type.channel_index(name)]

    # -- time --------------------------------------------------------------------------------------------------

    def advance(self, now_us: int) -> None:
        """Let time pass: silence, delays and shelves, in the order in which they were due."""
        if self.retired or self.importing:
            return
        first = len(self.events)
        self._fall_silent(now_us)
        self.alerts.fire_due(self.event_us, now_us)
        self.events[first:] = sorted(self.events[first:], key=lambda event: event[0])
        self._prune()

    def _fall_silent(self, now_us: int) -> None:
        if self.stale or self.heard_us is None or not self.interval_us:
            return
        due_us = self.heard_us + stale_after_us(self.alerts.device)
        if due_us <= now_us:
            self.stale = True
            self._tell(Kind.DEVICE_STALE, due_us, (due_us - self.heard_us) / 1e6)

    # -- what is done to it ------------------------------------------------------------------------------------

    def update(self, device: Device, by: str, now_us: int) -> None:
        if self.importing:
            raise Refused("CommandRefusedError")
        moved = (device.parent or None) != (self.device.parent or None)
        self.device = replace(
            device, device_type=self.device.device_type, placement=self.device.placement, retired=self.retired
        )
        self.version += 1
        if device.interval_s:
            self.interval_us, self.gaps = round(device.interval_s * 1e6), DECLARED
        self._know()
        self._tell(Kind.DEVICE_UPDATED, now_us, note={"by": by})
        if moved:
            self.parent_flags = 0
            self.follow_parent(now_us)

    def retire(self, by: str, now_us: int) -> None:
        if self.retired:
            raise Refused("CommandRefusedError")
        first, now_us = len(self.events), self._own_time(now_us)
        for alert in self.alerts.alerts:
            alert.close(now_us)
        self._say_of_all(first, {"by": by, "reason": "the device was retired"})
        self.book.clear()
        self.retired = True
        self.version += 1
        self._tell(Kind.DEVICE_RETIRED, now_us, note={"by": by})
        self._mark(first)
        self.importing = False

    def end_import(self, retired: bool, by: str, now_us: int) -> None:
        """Its past has been told: it ends with that, or lives and is listened to from now on."""
        if not self.importing:
            return
        if retired:
            self.retire(by, now_us)
            return
        first = len(self.events)
        for alert in self.alerts.alerts:
            if not alert.away and alert.phase == "RTN_UNACK":
                alert.acknowledge(self._own_time(now_us))
        self._say_of_all(first, {"by": by, "reason": "it was over before the device began to live"})
        self._mark(first)
        self.importing = False
        if self.heard_us is not None and not self.stale:
            self.heard_us = now_us
        self._know()

    def told(self, forecast: "Forecast") -> None:
        """What a scorer says; of a device that is gone, or has not begun to live, nothing is kept."""
        if not (self.retired or self.importing):
            self.forecast = forecast

    def maintain(self, kind: str, action: str | None, by: str, note: str, now_us: int) -> None:
        known = {each.name: each for each in self.type.actions}
        if action is not None and action not in known:
            raise Refused("CommandRefusedError")
        if kind in ("repair", "replacement"):
            self.life_cycle += 1
            self.forecast = None
            if kind == "replacement" or (action is not None and known[action].relearn):
                self.signals.forget()
                self.trends.forget()
            else:
                self.signals.reset_detectors()
                self.trends.settle()
            self._know()
        self.version += 1
        said = {"by": by, "kind": kind, "action": action, "note": note}
        said = {name: value for name, value in said.items() if value}
        self._tell(Kind.MAINTENANCE_RECORDED, self._own_time(now_us), float(self.life_cycle), note=said)
        self._mark(len(self.events) - 1)

    def told_of_parent(self, flags: int, now_us: int) -> None:
        if self.retired or flags == self.parent_flags:
            return
        self.parent_flags = flags
        self._tell(Kind.PARENT_STATE_CHANGED, now_us, float(flags))
        self.follow_parent(now_us)

    def follow_parent(self, now_us: int) -> None:
        if not self.retired:
            self.alerts.parent(self.parent_flags, now_us)
            self._prune()

    def state_for_children(self) -> int:
        """What a device's children are told: silent, alerting, gone.

        An alert counts while its condition holds or it is latched, and nobody has put it aside; that the device's
        own parent suppresses it does not matter, so what is told never depends on what was heard.
        """
        if self.importing:
            return 0
        alerting = any(
            not alert.away - {"parent"} and (alert.active or alert.base.startswith("LATCHED"))
            for alert in self.alerts.alerts
        )
        return (
            (PARENT_STALE if self.stale else 0)
            | (PARENT_ALERT if alerting else 0)
            | (PARENT_OUT_OF_SERVICE if self.retired else 0)
        )

    def under(self, device_type: DeviceType, config: ShardConfig, now_us: int) -> None:
        """Go on under another version of the type."""
        first = len(self.events)
        old, self.type, self.config = self.type, device_type, config
        if old.rules != device_type.rules:
            kept = {rule.name for rule in device_type.rules}
            for alert in self.alerts.alerts:
                if alert.rule.name not in kept:
                    self.book.pop(alert.rule.name, None)
                    if not alert.away and alert.phase != "NORMAL":
                        note = {"reason": "the rule was removed", "rule": alert.rule.name}
                        self._tell(
                            Kind.ALERT_RETURNED, now_us, slot=-1, occurrence=alert.occurrence, note=note
                        )
            self.alerts.under(device_type)
        if old.channels != device_type.channels or old.conditions != device_type.conditions:
            self.signals, self.trends = NaiveSignals(device_type), NaiveTrends(device_type)
        self.signals.type = device_type
        self._know()
        self.follow_parent(now_us)
        self._mark(first)

    # -- what people do to its alerts --------------------------------------------------------------------------

    def alert_command(
        self,
        verb: str,
        rule: str,
        by: str,
        note: str,
        now_us: int,
        occurrence: int | None = None,
        **given: Any,
    ) -> None:
        """``given``: ``duration_s`` and ``reason`` of what is put aside, ``assignee``."""
        if self.retired or self.importing:
            raise Refused("CommandRefusedError")
        alert = next((each for each in self.alerts.alerts if each.rule.name == rule), None)
        if alert is None:
            raise Refused("AlertNotFoundError")
        before = self._saved()
        self.alerts.pass_time(now_us)
        first = len(self.events)
        try:
            if occurrence is not None and occurrence != alert.occurrence:
                newer = occurrence > alert.occurrence
                raise Refused("AlertNotFoundError" if newer else "VersionConflictError")
            said = self._act(verb, alert, by, note, now_us, given)
        except Refused:
            self._put_back(before)
            raise
        said = {"by": by, "note": note, **said}
        self.notes[first] = {name: text for name, text in said.items() if text}
        self._prune()

    def _act(
        self, verb: str, alert: NaiveAlert, by: str, note: str, now_us: int, given: Mapping[str, Any]
    ) -> dict[str, str]:
        reason = given.get("reason", "")
        if verb in ("acknowledge", "reset"):
            if alert.away:
                raise Refused("CommandRefusedError")
            if alert.phase == "NORMAL":
                raise Refused("AlertNotFoundError")
            if not getattr(alert, verb)(now_us):
                raise Refused("CommandRefusedError")
            if verb == "acknowledge":
                entry = self._note(alert)
                entry.acked_by, entry.acked_us = by, now_us
            return {}
        if verb in ("assign", "comment"):
            if alert.phase == "NORMAL":
                raise Refused("AlertNotFoundError")
            if verb == "assign":
                self._note(alert).assignee = given["assignee"]
                self._tell(Kind.ALERT_ASSIGNED, now_us, slot=alert.index, occurrence=alert.occurrence)
                return {"assignee": given["assignee"]}
            if not note:
                raise Refused("CommandRefusedError")
            entry = self._note(alert)
            entry.comments = [*entry.comments, (now_us, by, note)][-COMMENTS_KEPT:]
            self._tell(Kind.ALERT_COMMENTED, now_us, slot=alert.index, occurrence=alert.occurrence)
            return {}
        if verb == "shelve":
            duration_s = given["duration_s"]
            if duration_s is not None and not 0 < duration_s <= MAX_SHELF_S:
                raise Refused("CommandRefusedError")
            alert.shelve(None if duration_s is None else now_us + round(duration_s * 1e6), now_us)
            self._note(alert).aside["shelved"] = (now_us, by, reason)
            return {"reason": reason}
        why, kind, away = VERBS[verb]
        if (why in alert.away) == away:
            raise Refused("CommandRefusedError")
        if away:
            alert.put_aside(why, kind, now_us)
            self._note(alert).aside[ASIDE[why]] = (now_us, by, reason)
            return {"reason": reason}
        alert.bring_back(why, kind, now_us, *alert.reason(self.alerts.device, now_us))
        return {}

    def _note(self, alert: NaiveAlert) -> Note:
        note = self.book.setdefault(alert.rule.name, Note())
        if note.occurrence != alert.occurrence:
            note.forget_what_was_said()
            note.occurrence = alert.occurrence
        return note

    def _prune(self) -> None:
        """What was said of an occurrence goes with it; why an alert is away, with its coming back."""
        for alert in self.alerts.alerts:
            note = self.book.get(alert.rule.name)
            if note is None:
                continue
            for why, name in ASIDE.items():
                if why not in alert.away:
                    note.aside.pop(name, None)
            if note.occurrence != alert.occurrence or (alert.phase == "NORMAL" and not alert.active):
                note.forget_what_was_said()
            if note == Note(occurrence=note.occurrence):
                del self.book[alert.rule.name]

    # -- small things ------------------------------------------------------------------------------------------

    def _know(self) -> None:
        """Show the alerts what is known of the device."""
        seen = self.alerts.device
        seen.values = {name: x for name, x in self.value.items() if not math.isnan(x)}
        seen.bad = self.bad
        seen.health, seen.anomaly_score = self.signals.health, self.signals.anomaly_score
        seen.anomalous = self.signals.anomalous
        seen.patterns = {
            (name, self.type.channels[feature.channel].name)
            for feature in self.signals.features
            for name in feature.patterns
        }
        seen.interval_us, seen.event_us, seen.heard_us = self.interval_us, self.event_us, self.heard_us
        seen.stale_intervals = self.config.stale_intervals
        seen.stale_at_least_us = round(self.config.stale_at_least_s * 1e6)

    def reconfigure(self, config: ShardConfig) -> None:
        self.config = config
        self._know()

    def _tell(
        self, kind: Kind, at_us: int, a: float = NAN, b: float = NAN, slot: int = -1, occurrence: int = 0,
        note: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if note:
            self.notes[len(self.events)] = note
        self.events.append((at_us, int(kind), slot, occurrence, a, b))

    def _tell_signal(self, t_us: int, happening: Happening) -> None:
        what, channel, pattern, a, b = happening
        occurrence = PATTERNS.index(pattern) if pattern else 0
        self._tell(SIGNAL_KINDS[what], t_us, a, b, channel, occurrence)

    def _say_of_all(self, first: int, note: dict[str, Any]) -> None:
        self.notes.update({place: dict(note) for place in range(first, len(self.events))})

    def _own_time(self, now_us: int) -> int:
        """When it is for this device."""
        return self.heard_us if self.importing and self.heard_us is not None else now_us

    def _mark(self, first: int) -> None:
        """Events from here on are history, not news, while its past is being told."""
        if self.importing:
            for place in range(first, len(self.events)):
                self.notes.setdefault(place, {})["replayed"] = True

    def _saved(self) -> Any:
        kept = ("base", "active", "occurrence", "due_us", "until_us", "stamp_s")
        alerts = [
            ({name: getattr(alert, name) for name in kept}, set(alert.away), dict(alert.held))
            for alert in self.alerts.alerts
        ]
        return alerts, len(self.events)

    def _put_back(self, saved: Any) -> None:
        alerts, length = saved
        for alert, (values, away, held) in zip(self.alerts.alerts, alerts, strict=True):
            for name, value in values.items():
                setattr(alert, name, value)
            alert.away, alert.held = away, held
        del self.events[length:]


class NaiveFleet:
    """Devices by id, and who is told what of whom."""

    def __init__(self, config: ShardConfig | None = None) -> None:
        self.config = config or ShardConfig()
        self.types: dict[str, DeviceType] = {}
        self.devices: dict[str, NaiveDevice] = {}
        self.done: set[str] = set()  # commands, by id
        self._named: set[str] = set()  # as somebody's parent
        self._shown: dict[str, int] = {}  # what the children of each were told
        self._untold: dict[str, int] = {}  # what some of them could not hear

    # -- types and devices -------------------------------------------------------------------------------------

    def install(self, device_type: DeviceType, now_us: int) -> None:
        old = self.types.get(device_type.name)
        mine = [device for device in self.devices.values() if device.type.name == device_type.name]
        if mine and old is not None:
            columns = [[(c.name, c.dtype) for c in each.channels] for each in (old, device_type)]
            if columns[0] != columns[1]:
                raise Refused("CommandRefusedError")
        self.types[device_type.name] = device_type
        for device in mine:
            device.under(device_type, self.config, now_us)
        self._tell_children(now_us)

    def register(self, devices: Sequence[Device], by: str, now_us: int) -> None:
        if any(device.importing and device.parent for device in devices):
            raise Refused("CommandRefusedError")
        for device in devices:
            if device.device_type not in self.types:
                raise Refused("DeviceTypeNotFoundError")
        ids = [device.id for device in devices]
        if len(set(ids)) < len(ids):
            raise Refused("CommandRefusedError")
        if set(ids) & set(self.devices):
            raise Refused("DeviceExistsError")
        for device in devices:
            twin = NaiveDevice(device, self.types[device.device_type], self.config)
            twin._tell(Kind.DEVICE_REGISTERED, now_us, note={"by": by})
            twin._mark(0)
            self.devices[device.id] = twin
        self._mark_parents(device.parent for device in devices)
        self._tell_children(now_us)

    def update(self, device: Device, by: str, now_us: int) -> None:
        self._find(device.id).update(device, by, now_us)
        self._tell_children(now_us)
        if device.parent:
            self._mark_parents([device.parent])
            self._tell_children(now_us)

    def retire(self, device_id: str, by: str, now_us: int) -> None:
        self._to_one(device_id, now_us, lambda twin: twin.retire(by, now_us))

    def end_import(self, device_ids: Collection[str], retired: bool, by: str, now_us: int) -> None:
        for device_id in device_ids:
            if device_id in self.devices:
                self.devices[device_id].end_import(retired, by, now_us)
        self._tell_children(now_us)

    def maintain(
        self, command_id: str, device_id: str, kind: str, action: str | None, by: str, note: str, now_us: int
    ) -> None:
        def act(twin: NaiveDevice) -> None:
            if command_id not in self.done:
                twin.maintain(kind, action, by, note, now_us)
                self.done.add(command_id)

        self._to_one(device_id, now_us, act)

    def alert_command(
        self,
        command_id: str,
        verb: str,
        device_id: str,
        rule: str,
        by: str,
        note: str,
        now_us: int,
        **given: Any,
    ) -> None:
        def act(twin: NaiveDevice) -> None:
            if command_id not in self.done:
                twin.alert_command(verb, rule, by, note, now_us, **given)
                self.done.add(command_id)

        self._to_one(device_id, now_us, act)

    # -- readings and time -------------------------------------------------------------------------------------

    def write(
        self,
        type_name: str,
        lines: Iterable[tuple[str, int, Mapping[str, float]]],
        now_us: int,
        deaf: Collection[str] = (),
    ) -> list[dict[str, Any]]:
        """Lines of (device id, event time, raw values by channel); gives what became of each.

        Devices that are ``deaf`` to it hear of their parents with whatever happens next.
        """
        became = []
        device_type = self.types[type_name]
        for device_id, t_us, given in lines:
            twin = self.devices.get(device_id)
            if twin is None:
                became.append({"refused": "device.not_found"})
            elif twin.type.name != type_name:
                became.append({"refused": "device.other_type"})
            else:
                became.append(twin.line(t_us, rounded(given, device_type), now_us))
        self._tell_children(now_us, deaf)
        return became

    def advance(self, now_us: int) -> None:
        for twin in self.devices.values():
            twin.advance(now_us)
        self._tell_children(now_us)

    def reconfigure(self, config: ShardConfig) -> None:
        self.config = config
        for twin in self.devices.values():
            twin.reconfigure(config)

    # -- parents -----------------------------------------------------------------------------------------------

    def _find(self, device_id: str) -> NaiveDevice:
        if device_id not in self.devices:
            raise Refused("DeviceNotFoundError")
        return self.devices[device_id]

    def _to_one(self, device_id: str, now_us: int, act: Any) -> None:
        act(self._find(device_id))
        self._tell_children(now_us)

    def _mark_parents(self, named: Iterable[str | None]) -> None:
        """Who is named as a parent has children from then on, or from when it comes."""
        self._named.update(name for name in named if name)
        for name in sorted(self._named & set(self.devices)):
            self.devices[name].has_children = True
            self._shown.pop(name, None)  # there are new children, to be told whatever it is
            self._named.discard(name)

    def _tell_children(self, now_us: int, deaf: Collection[str] = ()) -> None:
        """Until everyone has heard: to be told is to hear the time, which may be news in turn."""
        later: dict[str, int] = {}
        while news := {**self._untold, **self._news()}:
            self._untold = {}
            self._shown.update(news)
            for twin in self.devices.values():
                parent = twin.device.parent
                if parent in news and twin.device.id in deaf:
                    later[parent] = news[parent]
                elif parent in news:
                    twin.told_of_parent(news[parent], now_us)
        self._untold = later

    def _news(self) -> dict[str, int]:
        """The states of parents that are others than were last said."""
        return {
            device_id: flags
            for device_id, twin in self.devices.items()
            if twin.has_children and (flags := twin.state_for_children()) != self._shown.get(device_id)
        }


def possible(channel: Channel, x: float) -> bool:
    """Whether a value can be a reading of this channel."""
    if not math.isfinite(x) or not channel.low <= x <= channel.high:
        return False
    return channel.kind not in ("state", "flag") or x == math.floor(x)


def rounded(given: Mapping[str, float], device_type: DeviceType) -> dict[str, float]:
    """Each value at its channel's resolution, as precise as the type keeps it."""
    out = {}
    for name, x in given.items():
        channel = device_type.channels[device_type.channel_index(name)]
        step = channel.resolution
        if step > 0 and math.isfinite(x) and channel.kind not in ("state", "flag"):
            per_unit = round(1.0 / step)
            whole = abs(per_unit * step - 1.0) < 1e-9
            x = float(np.rint(x * per_unit)) / per_unit if whole else float(np.rint(x / step)) * step
        with np.errstate(over="ignore"):
            out[name] = float(device_type.dtype.type(x))
    return out
