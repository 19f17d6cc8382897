"""Which alert is told to whom, and when: routes as data, and the questions that are asked of them. No clock, no storage.

A route filters alerts, has hours during which it is in force and quiet hours, and steps: the first tells somebody of an
alert, each further one tells others where nobody has acknowledged until then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serve.accounts import ROLES
from serve.errors import UnfitError
from twins.clock import SECOND_US
from twins.devices import PRIORITIES

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_STEPS: Final = 10
MOST_NAMES: Final = 1_000
LONGEST_S: Final = 7 * 86_400.0

_MINUTES_A_DAY: Final = 1_440
_LEVEL: Final[Mapping[str, int]] = {name: level for level, name in enumerate(PRIORITIES)}

Ending = Literal["acknowledged", "returned"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What is known of an alert when it is raised, as far as telling people goes.

    ``raised_us`` is event time. ``value`` and ``limit`` are None where the rule is about nothing with a number.
    """

    id: str
    device_id: str
    device_type: str
    site: str
    rule: str
    priority: str
    title: str
    raised_us: int
    value: float | None = None
    limit: float | None = None
    consequence: str = ""
    response: str = ""

    @property
    def level(self) -> int:
        """0 for the most urgent priority."""
        return _LEVEL[self.priority]

    @property
    def thing(self) -> str:
        """Device and rule: what a repetition has in common with what it repeats."""
        return f"{self.device_id}:{self.rule}"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of some days, in minutes of local time; one that ends at or before its start goes on past midnight."""

    days: tuple[int, ...]  # 0: Monday, of its start
    start: int
    end: int

    def has(self, local: datetime) -> bool:
        """Whether a local time lies in it."""
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        began_today = day in self.days and minute >= self.start
        return began_today or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Step:
    """Whom to tell, so long after the alert was raised. ``to`` names ``channel:ID``, ``account:NAME`` or ``role:ROLE``."""

    after_us: int
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Alerts of a kind, and who is told of them.

    Attributes
    ----------
    priority : the least urgent that is told
    sites, types, rules : one of these; none named: any
    zone : of ``schedule`` and ``quiet``, an IANA name
    schedule : when it is in force; empty: always
    quiet : hours in which only ``quiet_priority`` and what is more urgent is told; the rest is summed up afterwards
    repeat_us : a device's rule that is raised again within this of having been told is not told again
    until : what ends escalation: only that somebody acts, or also that the condition clears
    """

    id: str
    name: str
    steps: tuple[Step, ...]
    priority: str = "low"
    sites: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    zone: str = "UTC"
    schedule: tuple[Window, ...] = ()
    quiet: tuple[Window, ...] = ()
    quiet_priority: str = "critical"
    repeat_us: int = 600 * SECOND_US
    until: Ending = "acknowledged"

    def takes(self, alert: Alert, now_us: int) -> bool:
        """Whether an alert that is raised now is this route's."""
        return (
            alert.level <= _LEVEL[self.priority]
            and (not self.sites or alert.site in self.sites)
            and (not self.types or alert.device_type in self.types)
            and (not self.rules or alert.rule in self.rules)
            and (not self.schedule or self._within(self.schedule, now_us))
        )

    def holds(self, level: int, now_us: int) -> bool:
        """Whether an alert of this priority has to wait for the end of quiet hours."""
        return level > _LEVEL[self.quiet_priority] and self.is_quiet(now_us)

    def is_quiet(self, now_us: int) -> bool:
        """Whether it is within quiet hours."""
        return bool(self.quiet) and self._within(self.quiet, now_us)

    def _within(self, windows: Sequence[Window], now_us: int) -> bool:
        local = datetime.fromtimestamp(now_us / SECOND_US, ZoneInfo(self.zone))
        return any(window.has(local) for window in windows)


def route_of(route_id: str, document: Mapping[str, Any]) -> Route:
    """A route as somebody described it, in the shape of the API.

    Raises
    ------
    UnfitError : it cannot be: which part, and what would do.
    """
    zone = document["zone"]
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnfitError(f"there is no time zone {zone[:60]!r}", "write it as Europe/Oslo or UTC") from None
    steps = tuple(
        Step(round(each["after_s"] * SECOND_US), tuple(dict.fromkeys(each["to"])))
        for each in document["steps"]
    )
    if not 0 < len(steps) <= MOST_STEPS:
        raise UnfitError(f"a route has 1 to {MOST_STEPS} steps", "say who is told, after how long")
    if any(later.after_us <= step.after_us for step, later in pairwise(steps)):
        raise UnfitError("each step comes later than the one before", "let `after_s` rise")
    for step in steps:
        for each in step.to:
            _check_receiver(each)
    return Route(
        route_id,
        document["name"],
        steps,
        document["priority"],
        frozenset(document["sites"]),
        frozenset(document["types"]),
        frozenset(document["rules"]),
        zone,
        tuple(_window(each) for each in document["schedule"]),
        tuple(_window(each) for each in document["quiet"]),
        document["quiet_priority"],
        round(document["repeat_s"] * SECOND_US),
        document["until"],
    )


def _check_receiver(text: str) -> None:
    kind, _, name = text.partition(":")
    if kind not in ("channel", "account", "role") or not name:
        raise UnfitError(f"{text[:60]!r} names no receiver", "write channel:ID, account:NAME or role:ROLE")
    if kind == "role" and name not in ROLES:
        raise UnfitError(f"there is no role {name[:60]!r}", f"it is one of {', '.join(ROLES)}")


def _window(document: Mapping[str, Any]) -> Window:
    days = tuple(DAYS.index(day) for day in document["days"] or DAYS)
    return Window(days, _minute(document["start"]), _minute(document["end"]) % _MINUTES_A_DAY)


def _minute(text: str) -> int:
    """Minutes after midnight of a time as ``17:30``; ``24:00`` is the end of the day."""
    hour, minute = int(text[:2]), int(text[3:])
    return hour * 60 + minute
