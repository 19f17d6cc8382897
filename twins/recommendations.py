"""What to do about a device, from what its twin knows now: signs that stand, failure modes that leave such signs, actions
that make these good. Each piece of advice names the signs that it rests on.

Nothing is predicted here, and no number is made up. A failure mode explains a sign on a channel if its mark moves that
channel in that direction, and, where the type says how a healthy channel answers to load, far enough to pass the limit of
the rule at full damage. A sign on no channel (low health) supports what explains the others; what no failure mode explains
is said to be unknown, and the rule's own response is all the advice there is. A forecast that a model made is a sign that
names a failure mode by itself; where what stands out speaks for the same, the two bear each other out.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.costs import Plan, made_good, plan
from twins.devices import Channel, DeviceType, Effect, FailureMode, MaintenanceAction, Response
from twins.filters import And, Compare, Flag, Not, Or, Test, Tree
from twins.rules import read_rule, rule_vocabulary

Confidence = Literal["likely", "possible", "doubtful", "unknown"]
"""``likely``: it explains every channel that stands out, two or more, and no other mode does, or a forecast names it, too.
``possible``: it explains all, but that is one channel alone, or another mode would, too, or nothing but a forecast names it.
``doubtful``: no mode explains more, and something is left over. ``unknown``: no mode of the type explains these signs."""

CONFIDENCES: Final[tuple[Confidence, ...]] = ("likely", "possible", "doubtful", "unknown")

_SHIFTS: Final = ("drift", "shift")
_UNREST: Final = ("spike", "oscillation")
_SENSOR: Final = ("stuck", "dropout")
"""Patterns that say more of the sensor, or the line to it, than of the machine."""
_KNOWN: Final = 4096  # combinations of signs
_WEATHER_K: Final = 10.0  # from the reference temperature
_SPREADS: Final = 3.0  # standard deviations that a healthy channel may stray, beside its mark


class Sign(NamedTuple):
    """One thing that stands out: an alert, by its rule, a pattern on a channel, or a forecast, by its failure mode ("" where
    the model tells none apart)."""

    kind: Literal["alert", "pattern", "prognosis"]
    name: str
    channel: str = ""


class _Look(NamedTuple):
    """What a sign says of one channel: where to it is off (0: either way), and which limit it has passed, if one."""

    channel: str
    direction: int
    limit: float | None = None
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What the signs of a device suggest. ``failure_mode`` is None where no mode explains them.

    ``actions`` would make the mode good, the best first: an inspection while it is not likely, then whole before partial,
    cheap before dear.
    """

    failure_mode: str | None
    confidence: Confidence
    signs: tuple[Sign, ...]
    actions: tuple[MaintenanceAction, ...]


class AdviceColumns(NamedTuple):
    """Advice for many devices: line i says that ``kinds[kind[i]]`` is advised for ``device[i]``."""

    device: NDArray[np.int64]
    kind: NDArray[np.int64]
    kinds: Sequence[Advice]


class Adviser:
    """Advice for devices of one type. Devices with the same signs get the same advice, so that is thought out once.

    Parameters
    ----------
    device_type : what there is to go wrong, and to be done about it
    """

    def __init__(self, device_type: DeviceType) -> None:
        self.device_type = device_type
        vocabulary = rule_vocabulary(device_type)
        conditions = {rule.name: read_rule(rule, vocabulary) for rule in device_type.rules}
        self._blamed = {channel.name: channel for channel in device_type.channels if not channel.condition}
        self._looks = {name: self._looks_of(condition.tree) for name, condition in conditions.items()}
        self._general = {
            name
            for name, condition in conditions.items()
            if not condition.silence and not self._looks[name]  # silence says nothing of the machine
        }
        self._known: dict[frozenset[Sign], tuple[Advice, ...]] = {}
        self._planned = {
            name: found
            for name in (*(mode.name for mode in device_type.failure_modes), "")
            if (found := self._plan(name)) is not None
        }

    def advise(self, signs: Iterable[Sign]) -> tuple[Advice, ...]:
        """Advice for one device, the most likely first. A rule or channel that the type does not have explains nothing."""
        key = frozenset(signs)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[key] = self._thought_out(sorted(key))
        return found

    def advise_many(
        self, raised: NDArray[np.uint64], forecast: NDArray[np.int64] | None = None
    ) -> AdviceColumns:
        """Advice for many devices by the alerts that stand, and by what is forecast.

        Parameters
        ----------
        raised : (devices,) bit r is set where an alert of the type's rule r stands
        forecast : (devices,) the failure mode that a forecast which counts as a sign names: its place among those of the
            type, or their number where the model tells none apart; -1: there is none
        """
        names = [*(mode.name for mode in self.device_type.failure_modes), ""]
        alerts, code = np.unique(raised, return_inverse=True)
        base = len(names) + 1
        mixed = code * base + (0 if forecast is None else forecast + 1)
        combinations, which = np.unique(mixed, return_inverse=True)
        kinds: list[Advice] = []
        first, many = np.zeros(len(combinations), np.int64), np.zeros(len(combinations), np.int64)
        for number, combination in enumerate(combinations.tolist()):
            bits, named = int(alerts[combination // base]), combination % base - 1
            signs = [
                Sign("alert", rule.name) for r, rule in enumerate(self.device_type.rules) if bits >> r & 1
            ]
            if named >= 0:
                signs.append(Sign("prognosis", names[named]))
            new = self.advise(signs)
            first[number], many[number] = len(kinds), len(new)
            kinds += new
        each = many[which]
        device = np.repeat(np.arange(len(raised)), each)
        place = np.arange(len(device)) - np.repeat(np.cumsum(each) - each, each)
        return AdviceColumns(device, np.repeat(first[which], each) + place, kinds)

    def planned(self, failure_mode: str | None) -> tuple[MaintenanceAction, Plan] | None:
        """The act that is reckoned with against a mode (None: one that is not known), and what it costs: the best that does
        more than look. None: there is none."""
        return self._planned.get(failure_mode or "")

    def telling(self, failure_mode: str) -> tuple[str, ...]:
        """The rules whose alerts the mode would explain."""
        mode = next((each for each in self.device_type.failure_modes if each.name == failure_mode), None)
        return tuple(
            name
            for name, looks in self._looks.items()
            if mode is not None and any(self._explains(mode, look) for look in looks)
        )

    def _thought_out(self, signs: Sequence[Sign]) -> tuple[Advice, ...]:
        looks = {sign: self._looks_at(sign) for sign in signs}
        standing_out = {
            look.channel for found in looks.values() for look in found if look.pattern not in _SENSOR
        }
        explained = {
            mode.name: {
                look.channel for found in looks.values() for look in found if self._explains(mode, look)
            }
            for mode in self.device_type.failure_modes
        }
        named = {sign.name for sign in signs if sign.kind == "prognosis"} & explained.keys()
        most = max((len(channels) for channels in explained.values()), default=0)
        best = [name for name, channels in explained.items() if most and len(channels) == most]
        advice = []
        for mode in [*best, *sorted(named - set(best))]:
            channels = explained[mode]
            confidence: Confidence = "possible"
            if channels != standing_out:
                confidence = "doubtful"
            elif mode in best and (named == {mode} or (most > 1 and len(best) == 1)):
                confidence = "likely"
            own = tuple(
                sign
                for sign in signs
                if self._supports(sign, mode, explained)
                or any(look.channel in channels for look in looks[sign])
            )
            advice.append(Advice(mode, confidence, own, self._actions(mode, confidence)))
        covered = {sign for each in advice for sign in each.signs}
        rest = tuple(sign for sign in signs if sign not in covered)
        if rest:
            is_forecast = any(sign.kind == "prognosis" for sign in rest)
            fitting = self._actions("", "unknown")
            inspections = tuple(each for each in self.device_type.actions if each.kind == "inspection")
            advice.append(Advice(None, "unknown", rest, fitting if is_forecast else inspections))
        advice.sort(key=lambda each: CONFIDENCES.index(each.confidence))
        return tuple(advice)

    def _supports(self, sign: Sign, mode: str, modes: Container[str]) -> bool:
        """Whether a sign on no channel bears a mode out that something else speaks for."""
        if sign.kind == "prognosis":
            return sign.name == mode or sign.name not in modes
        return sign.kind == "alert" and sign.name in self._general

    def _looks_at(self, sign: Sign) -> list[_Look]:
        if sign.kind == "alert":
            return self._looks.get(sign.name, [])
        if sign.kind == "prognosis":
            return []
        return [_Look(sign.channel, 0, pattern=sign.name)] if sign.channel in self._blamed else []

    def _looks_of(self, tree: Tree) -> list[_Look]:
        """What a condition says of channels, without those that only say when to look: channels that tell what the device
        is asked to do, and comparisons that hold for a healthy one, too, where there is another."""
        looks = [look for test, holds in _tests(tree) if (look := _look(test, holds)) is not None]
        looks = [look for look in looks if look.channel in self._blamed]
        telling = [look for look in looks if not self._holds_anyway(look)]
        return telling or looks

    def _holds_anyway(self, look: _Look) -> bool:
        channel = self._blamed[look.channel]
        if look.limit is None or not look.direction or not _is_told(channel):
            return False
        ordinary = max(look.direction * _healthy(channel.response, load) for load in self._loads())
        return ordinary > look.direction * look.limit

    def _explains(self, mode: FailureMode, look: _Look) -> bool:
        marks = [effect for effect in mode.effects if effect.channel == look.channel]
        if look.pattern in _SHIFTS:
            return any(effect.shift != 0 for effect in marks)
        if look.pattern in _UNREST:
            return any(effect.noise_factor > 1 for effect in marks)
        if look.pattern in _SENSOR:
            return False
        return any(self._moves(effect, look) for effect in marks)

    def _moves(self, effect: Effect, look: _Look) -> bool:
        """Whether a mark at full damage takes the channel where the sign has seen it."""
        if look.direction == 0:
            return effect.shift != 0 or effect.noise_factor > 1
        if effect.shift * look.direction < 0 or (effect.shift == 0 and effect.noise_factor <= 1):
            return False
        channel = self._blamed[look.channel]
        if look.limit is None or not _is_told(channel):
            return True
        response = channel.response
        stray = _SPREADS * (response.noise * max(effect.noise_factor, 1.0) + response.spread)
        reached = max(
            look.direction * (_healthy(response, load) + effect.shift * (load if effect.per_load else 1.0))
            for load in self._loads()
        )
        return reached + stray + abs(response.ambient_gain) * _WEATHER_K > look.direction * look.limit

    def _loads(self) -> tuple[float, ...]:
        load = self.device_type.load
        return load.low, min(1.0, load.high), load.high

    def _actions(self, mode: str, confidence: Confidence) -> tuple[MaintenanceAction, ...]:
        def order(action: MaintenanceAction) -> tuple[bool, bool, float]:
            looks_first = action.kind == "inspection" and confidence != "likely"
            return not looks_first, made_good(action, mode) < 1, action.cost

        fitting = [
            action
            for action in self.device_type.actions
            if made_good(action, mode) > 0 or action.kind == "inspection"
        ]
        return tuple(sorted(fitting, key=order))

    def _plan(self, mode: str) -> tuple[MaintenanceAction, Plan] | None:
        acts = [action for action in self._actions(mode, "likely") if action.kind != "inspection"]
        found = plan(self.device_type, mode, acts[0]) if acts else None
        return None if found is None else (acts[0], found)


def _tests(tree: Tree) -> list[tuple[Test, bool]]:
    """The tests of a condition, and whether each holds where that does."""
    match tree:
        case And(parts) | Or(parts):
            return [test for part in parts for test in _tests(part)]
        case Not(part):
            return [(test, not holds) for test, holds in _tests(part)]
    return [(tree, True)]


def _look(test: Test, holds: bool) -> _Look | None:
    """What a test says of a channel; a name that is none is sorted out later."""
    path = test.term.path
    if test.term.function == "bad":
        return _Look(path[-1], 0, pattern="dropout")
    if path[0] == "pattern":
        return _Look(path[2], 0, pattern=path[1]) if len(path) == 3 else None
    match test:
        case Compare(_, operator, float(value)):
            direction = {">": 1, ">=": 1, "<": -1, "<=": -1}.get(operator, 0)
            return _Look(path[-1], direction, None if test.term.function else value)
        case Flag():
            return _Look(path[-1], 1 if holds else -1)
    return _Look(path[-1], 0)


def _healthy(response: Response, load: float) -> float:
    """The value of a healthy channel at a load, and at the reference temperature."""
    if response.curve:
        loads, values = zip(*response.curve, strict=True)
        return float(np.interp(load, loads, values))
    return float(response.base + response.load_gain * load**response.load_exponent)


def _is_told(channel: Channel) -> bool:
    """Whether the type says how a healthy channel answers to load."""
    return channel.kind == "gauge" and channel.response != Response()
