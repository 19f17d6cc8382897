"""What happens to forked devices beside wear and maintenance: load, weather, faults, comings and goings.

Interventions take hold at the beginning of a window.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twins import physics
from twins.clock import HOUR_US
from twins.draws import life_key, name_key
from twins.fleetfiles import SENSOR_FAILURES, Climate
from twins.physics import Sites
from twins.simulation import sensor_faults
from twins.whatif import stepping
from twins.whatif.scenarios import (
    AmbientChange,
    FaultInjection,
    LoadChange,
    PlannedWork,
    Retirement,
    SensorInjection,
    Span,
)

if TYPE_CHECKING:
    from twins.whatif.cast import Cast, Setting


def holds(span: Span, at_h: float) -> bool:
    """Whether an intervention holds at a time after the fork."""
    since_h = at_h - span.from_h
    if since_h < 0:
        return False
    lasts_h = np.inf if span.until_h is None else span.until_h - span.from_h
    return bool((since_h % span.every_h if span.every_h > 0 else since_h) < lasts_h)


def begins(span: Span, at_h: float, within_h: float) -> bool:
    """Whether it begins, or begins again, within the window before the next dispatch."""
    since_h = at_h - span.from_h
    if span.every_h > 0 and since_h > -within_h:
        last = span.until_h is not None and at_h >= span.until_h
        return not last and (since_h % span.every_h < within_h) and since_h >= 0
    return 0 <= since_h < within_h


def stretches(span: Span, horizon_h: float) -> list[tuple[float, float]]:
    """When an intervention holds, up to the horizon."""
    lasts_h = horizon_h if span.until_h is None else span.until_h - span.from_h
    if span.every_h <= 0:
        return [(span.from_h, span.from_h + lasts_h)] if span.from_h < horizon_h else []
    return [(from_h, from_h + lasts_h) for from_h in np.arange(span.from_h, horizon_h, span.every_h).tolist()]


def _weather(sites: Sequence[str], climates: Mapping[str, Climate], seed: int, number: int) -> Sites:
    known = [climates.get(site, Climate()) for site in sites]
    keys = [int(life_key(seed, number, np.uint64(name_key(f"site {site}")), 0)) for site in sites]
    return Sites(
        mean_c=np.array([each.mean_c for each in known]),
        yearly_c=np.array([each.yearly_c for each in known]),
        daily_c=np.array([each.daily_c for each in known]),
        weather_c=np.array([each.weather_c for each in known]),
        key=np.array(keys, np.uint64),
    )


class Interventions:
    """The interventions of a run."""

    def __init__(self, setting: "Setting", cast: "Sequence[Cast]") -> None:
        self._setting, self._cast = setting, cast
        self._changes = setting.arm.interventions
        scenario = setting.scenario
        self._climate = _weather(setting.sites, setting.fork.climates, scenario.seed, setting.number)
        self._holding = [False] * len(self._changes)
        for kind in cast:
            kind.model = kind.model._replace(faults=sensor_faults(list(self._sensors(kind))))

    def take_hold(self, now_us: int) -> "list[tuple[Cast, NDArray[np.int64], str]]":
        """Let everything begin and end that does so by now; gives the work that is asked for: on what, and which."""
        setting = self._setting
        h = (now_us - setting.start_us) / HOUR_US
        window_h = setting.scenario.dispatch_h
        asked: list[tuple[Cast, NDArray[np.int64], str]] = []
        self._load([each for each in self._changes if isinstance(each, LoadChange) and holds(each.span, h)])
        for number, change in enumerate(self._changes):
            match change:
                case FaultInjection():
                    self._fault(number, change, holds(change.span, h))
                case Retirement() if begins(change.span, h, window_h):
                    for kind in self._cast:
                        rows = self._drawn(kind, number, change.devices, change.share)
                        kind.twins.course.leaves_us[rows] = now_us + 1
                case PlannedWork() if begins(change.span, h, window_h):
                    asked += [
                        (kind, self._drawn(kind, number, change.devices, change.share), change.action)
                        for kind in self._cast
                    ]
        return asked

    def ambient(self, now_us: int, steps: int) -> NDArray[np.float64]:
        """(steps, sites) °C at the end of each step of a window."""
        setting = self._setting
        ambient_c = np.empty((steps, len(setting.sites)))
        for k in range(steps):
            physics.ambient(self._climate, now_us + (k + 1) * setting.step_us, ambient_c[k])
        for change in self._changes:
            if isinstance(change, AmbientChange) and holds(
                change.span, (now_us - setting.start_us) / HOUR_US
            ):
                among = [not change.sites or site in change.sites for site in setting.sites]
                ambient_c[:, among] += change.shift_k
        return ambient_c

    def _load(self, changes: Sequence[LoadChange]) -> None:
        for kind in self._cast:
            wanted = kind.base_load.copy()
            for change in changes:
                wanted[self._rows(kind, change.devices)] *= change.factor
            s = kind.twins.physics
            changed = wanted != s.load_factor
            s.load_factor[changed] = wanted[changed]
            stepping.forget_knots(s, changed)

    def _fault(self, number: int, change: FaultInjection, now: bool) -> None:
        if now == self._holding[number]:
            return
        self._holding[number] = now
        damage, speed = (change.damage, change.speed) if now else (0.0, 1.0)
        for kind in self._cast:
            modes = [mode.name for mode in kind.device_type.failure_modes]
            if change.mode in modes:
                rows = self._drawn(kind, number, change.devices, change.share)
                mode = modes.index(change.mode)
                stepping.hurry(kind.twins.physics, kind.model.physics, rows, mode, damage, speed)

    def _sensors(self, kind: "Cast") -> Iterator[tuple[Any, ...]]:
        """The sensors of a type that fail, as ``sensor_faults`` takes them."""
        start_us = self._setting.start_us
        for number, change in enumerate(self._changes):
            if (
                not isinstance(change, SensorInjection)
                or change.channel not in kind.device_type.channel_names
            ):
                continue
            channel = kind.device_type.channel_index(change.channel)
            failure = SENSOR_FAILURES.index(change.failure)
            rows = self._drawn(kind, number, change.devices, change.share).tolist()
            for from_h, until_h in stretches(change.span, self._setting.scenario.horizon_h):
                start, end = (start_us + round(h * HOUR_US) for h in (from_h, until_h))
                for row in rows:
                    yield row, channel, failure, start, end, change.size

    def _rows(self, kind: "Cast", devices: str) -> NDArray[np.int64]:
        """Rows that a filter takes in at the fork; devices that come later belong to an empty one alone."""
        if not devices:
            return np.arange(kind.rows)
        return self._setting.fork.matching(kind.device_type.name, devices)

    def _drawn(self, kind: "Cast", number: int, devices: str, share: float) -> NDArray[np.int64]:
        """A share of the devices that a filter takes in: the same ones in every arm of a replication."""
        rows = self._rows(kind, devices)
        if share >= 1.0:
            return rows
        setting = self._setting
        salt = np.uint64(name_key(f"{number} of {setting.scenario.seed}, {setting.number}"))
        luck = stepping.mixed(kind.keys[rows] ^ salt)
        return np.sort(rows[np.argsort(luck, kind="stable")[: round(share * len(rows))]])
