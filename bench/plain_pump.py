"""A pump as anyone would write it: one Python object, scalar arithmetic; ``bench/whatif.py`` holds compiled runs against it.

It does what a step of ``twins/physics.py`` does, formula by formula, out of the same arrays of the type: load held in
levels, wear of every failure mode and the damage it means, marks on channels, first-order lags, offsets, noise, range and
resolution. Of a twin it does the least that could be called one: an exponential mean and spread for each channel, a health
out of the worst of them, and the limits of the type's rules, each once, with a time that they must have held; no regimes,
detectors, latches or shelving. So it has less to do than what it is held against.
"""

import math
import random

from twins.devices import MAX_LOAD, DeviceType
from twins.physics import DAMAGE_STEPS, LOAD_STEPS, physics_params
from twins.readings import resolutions

_WEIGHT = 0.05


class PlainType:
    """A device type as Python lists, which are quicker than arrays one number at a time."""

    def __init__(self, device_type: DeviceType, step_s: float) -> None:
        p = physics_params(device_type)
        self.hours = step_s / 3600.0
        self.levels = p.levels.tolist()
        self.hold_s = p.wander_us / 1e6
        self.ambient_k = 10.0 - p.reference_c
        self.channels = [
            (
                p.healthy[c].tolist(), float(p.ambient_gain[c]),
                1.0 if p.tau_s[c] == 0 else -math.expm1(-step_s / p.tau_s[c]),
                float(p.noise[c]), float(p.spread[c]), float(p.low[c]), float(p.high[c]),
            )
            for c in range(len(device_type.channels))
        ]  # fmt: skip
        self.resolution = resolutions(device_type)[0].tolist()
        self.modes = [
            (
                float(p.wear_per_h[m]), p.exposure[m].tolist(), float(p.ambient_per_k[m]), float(p.scatter[m]),
                float(p.growth[m]), float(p.seed[m]), float(p.knee[m]), float(p.span[m]),
                [
                    (int(p.effect_channel[e]), float(p.effect_shift[e]), float(p.effect_noise[e]),
                     bool(p.effect_per_load[e]), p.mark[e].tolist())
                    for e in range(p.first_effect[m], p.first_effect[m + 1])
                ],
            )
            for m in range(len(device_type.failure_modes))
        ]  # fmt: skip
        self.rules = [_limit(rule.when, device_type) for rule in device_type.rules]
        self.on_delay = [max(1, round((rule.on_delay_s or 0.0) / step_s)) for rule in device_type.rules]


class PlainPump:
    """One device and its twin."""

    def __init__(self, of: PlainType, luck: random.Random) -> None:
        self.of, self.luck = of, luck
        self.load, self.held_until = of.levels[0], 0.0
        self.wear = [luck.uniform(0.0, 0.4) for _ in of.modes]
        self.pace = [math.exp(mode[3] * luck.gauss(0.0, 1.0)) for mode in of.modes]
        self.offset = [channel[4] * luck.gauss(0.0, 1.0) for channel in of.channels]
        self.lagged: list[float | None] = [None] * len(of.channels)
        self.mean = [0.0] * len(of.channels)
        self.square = [1.0] * len(of.channels)
        self.held = [0] * len(of.rules)
        self.alerts, self.failed, self.health = 0, False, 100.0

    def step(self, now_s: float) -> None:
        """Go on by one step, to ``now_s``."""
        of, gauss = self.of, self.luck.gauss
        if now_s >= self.held_until:
            self.load, self.held_until = self.luck.choice(of.levels), now_s + of.hold_s
        load = 0.0 if self.failed else self.load
        place = load * (LOAD_STEPS / MAX_LOAD)
        cell = min(LOAD_STEPS - 1, int(place))
        part = place - cell
        shift, louder = [0.0] * len(of.channels), [1.0] * len(of.channels)
        for m, (rate, exposure, per_k, _, growth, seed, knee, span, effects) in enumerate(of.modes):
            factor = exposure[cell] + (exposure[cell + 1] - exposure[cell]) * part
            if per_k:
                factor *= math.exp(per_k * of.ambient_k)
            wear = min(1.0, self.wear[m] + rate * of.hours * self.pace[m] * factor)
            self.wear[m] = wear
            self.failed = self.failed or wear >= 1.0
            damage_place = _damage(wear, growth, seed, knee, span) * DAMAGE_STEPS
            mark_cell = min(DAMAGE_STEPS - 1, int(damage_place))
            for c, by, noise, per_load, mark in effects:
                depth = mark[mark_cell] + (mark[mark_cell + 1] - mark[mark_cell]) * (damage_place - mark_cell)
                shift[c] += by * depth * (load if per_load else 1.0)
                louder[c] *= 1.0 + noise * depth
        values, worst = [], 0.0
        for c, (healthy, gain, lag, noise, _, low, high) in enumerate(of.channels):
            target = (
                healthy[cell] + (healthy[cell + 1] - healthy[cell]) * part + gain * of.ambient_k + shift[c]
            )
            before = self.lagged[c]
            settled = target if before is None else before + (target - before) * lag
            self.lagged[c] = settled
            value = min(high, max(low, settled + self.offset[c] + noise * louder[c] * gauss(0.0, 1.0)))
            if of.resolution[c]:
                value = round(value / of.resolution[c]) * of.resolution[c]
            values.append(value)
            apart = value - self.mean[c]
            self.mean[c] += _WEIGHT * apart
            self.square[c] += _WEIGHT * (apart * apart - self.square[c])
            worst = max(worst, abs(apart) / math.sqrt(self.square[c] + 1e-9))
        self.health += _WEIGHT * (max(0.0, 100.0 - 10.0 * worst) - self.health)
        for k, rule in enumerate(of.rules):
            if rule is None:
                continue
            c, above, limit = rule
            value = self.health if c < 0 else values[c]
            self.held[k] = self.held[k] + 1 if (value > limit) == above else 0
            self.alerts += self.held[k] == of.on_delay[k]


def _damage(wear: float, growth: float, seed: float, knee: float, span: float) -> float:
    if wear >= 1.0:
        return 1.0
    time = wear * (knee + span)
    if growth == 0.0:
        return time
    past = time - knee
    if past <= 0.0:
        return time * seed / knee
    if growth == 1.0:
        return min(1.0, seed * math.exp(past))
    return min(1.0, (seed ** (1.0 - growth) + (1.0 - growth) * past) ** (1.0 / (1.0 - growth)))


def _limit(when: str, device_type: DeviceType) -> tuple[int, bool, float] | None:
    """The first limit of a condition: channel (-1: health), whether above, and where; None for others."""
    words = when.split()
    names = device_type.channel_names
    if len(words) < 3 or words[0] not in (*names, "health"):
        return None
    return names.index(words[0]) if words[0] in names else -1, words[1] == ">", float(words[2])
