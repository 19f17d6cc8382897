"""The per-reading analytics a second time: one device, plain numbers, nothing clever.

``NaiveSignals`` follows the words of ``twins/signals.py``, ``patterns.py`` and ``health.py`` for one device.
It is slow and as obvious as the arithmetic allows. What it keeps between lines is rounded to float32, as the
arrays of the kernel are, so that both can be compared bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from twins.devices import DeviceType
from twins.events import PATTERNS

Happening = tuple[str, int, str, float, float]
"""What happened, channel or -1, pattern or "", and the two numbers."""

FAST_SHARE = 2.0 / 21.0
TREND_SHARES = (2.0 / 21.0, 2.0 / 81.0)
REFERENCE_SHARE = 1.0 / 600.0
WANDER_SHARE = 1.0 / 2500.0
LEAST_WANDER = FAST_SHARE / (2.0 - FAST_SHARE)
PEAK_KEPT = 1.0 - 1.0 / 300.0


def f32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def clamp(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


def code(variance: float) -> int:
    """Quarter-octave steps around 1 at 128; 0 says none."""
    return 0 if not variance > 0 else int(min(max(math.floor(4 * math.log2(variance) + 128.5), 1), 255))


def decoded(step: int) -> float:
    return float(np.exp2((step - 128) / 4.0))


def day_of(t_us: int) -> int:
    return t_us // 86_400_000_000 % 65536


def rare_chi_square(z: float, k: int) -> float:
    return k * (1 - 2 / (9 * k) + z * math.sqrt(2 / (9 * k))) ** 3


@dataclass
class Regime:
    mean: float = 0.0
    spread: float = 0.0
    count: int = 0


@dataclass
class Feature:
    channel: int
    resolution: float
    regimes: list[Regime]
    fast: float = 0.0
    reference: float = 0.0
    wander: float = 0.0
    level: float = 0.0
    noise: float = 0.0
    gap: int = 0
    longest_gap: int = 0
    usual_noise: int = 0
    usual_wander: int = 0
    habit: int = 0
    quietest: int = 0
    above: bool = False
    since_crossing: int = 0
    period: int = 0
    agreeing: int = 0
    spike_left: int = 0
    rising: int = 0
    jumped: bool = False
    patterns: set[str] = field(default_factory=set)

    def least_spread(self, mean: float) -> float:
        return self.resolution * 0.2886751345948129 + abs(mean) * 1e-5 + 1e-12

    def refine(self, g: int, value: float) -> float:
        regime = self.regimes[g]
        k = regime.count + 1
        if k == 1:
            regime.mean, regime.spread, regime.count = f32(value), f32(self.least_spread(value)), 1
            return 0.0
        mean, spread = regime.mean, regime.spread
        step = value - mean
        z = clamp(step / spread, 1e3)
        if k > 16:
            step = clamp(step, (4.0 if abs(self.fast) < 2.5 else 1.5) * spread)
        regime.mean = f32(mean + 1.0 / k * step)
        variance = (1.0 - 1.0 / k) * (spread * spread + 1.0 / k * step * step)
        regime.spread = f32(max(math.sqrt(variance), self.least_spread(mean)))
        regime.count = min(k, 65535)
        return z if k > 5 else 0.0


class Tail:
    """How rare a statistic's values are, from its running 98 % quantile and the mean excess above it."""

    def __init__(self) -> None:
        self.quantile, self.excess, self.scatter = 0.5, f32(0.3), f32(0.3)

    def rarity(self, value: float, age: float) -> float:
        y = 0.5 * math.log(value + 1.0)
        over = y - self.quantile
        share = max(1.0 / 2000.0, 1.0 / (age + 300.0))
        step = share * 5.0 * self.scatter
        self.scatter = f32(self.scatter + share * (abs(over) - self.scatter))
        if over <= 0:
            self.quantile = f32(self.quantile - step * 0.02)
            return 0.0
        excess = self.excess
        self.quantile = f32(self.quantile + step * (1.0 - 0.02))
        self.excess = f32(excess + min(share / 0.02, 0.3) * (min(over, 5.0 * excess) - excess))
        return (over / max(excess, 1e-3) - math.log(0.02)) / 2.302585092994046


class NaiveTrends:
    """Where the features of one device have been of late, in each regime: one mean, reading by reading."""

    def __init__(self, device_type: DeviceType) -> None:
        self.conditions = [
            (device_type.channel_index(c.channel), sorted(c.edges)) for c in device_type.conditions
        ]
        self.regimes = math.prod(len(edges) + 1 for _, edges in self.conditions)
        self.channels = [
            i
            for i, channel in enumerate(device_type.channels)
            if channel.kind == "gauge" and not channel.condition
        ]
        self.bins = [0] * len(self.conditions)
        self.forget()

    def forget(self) -> None:
        self.since_us: int | None = None
        self.trends = [[[math.nan] * len(self.channels) for _ in range(self.regimes)] for _ in TREND_SHARES]
        self.settle()

    def settle(self) -> None:
        self.shares = [[0.0] * self.regimes for _ in TREND_SHARES]

    @property
    def regime(self) -> int:
        number, stride = 0, 1
        for b, (_, edges) in zip(self.bins, self.conditions, strict=True):
            number, stride = number + b * stride, stride * (len(edges) + 1)
        return number

    def lean(self, t_us: int, x: Sequence[float], scored: Sequence[bool]) -> None:
        self.since_us = t_us if self.since_us is None else self.since_us
        for i, (channel, edges) in enumerate(self.conditions):
            if scored[channel]:
                self.bins[i] = sum(x[channel] >= edge for edge in edges)
        for shares, trends, new in zip(self.shares, self.trends, TREND_SHARES, strict=True):
            shares[:] = [f32(each * (1.0 - new)) if each * (1.0 - new) > 1e-12 else 0.0 for each in shares]
            weight = shares[self.regime] + new
            shares[self.regime] = f32(weight)
            mine = trends[self.regime]
            for j, channel in enumerate(self.channels):
                if scored[channel]:
                    value, was = float(x[channel]), mine[j]
                    mine[j] = f32(value if math.isnan(was) else was + new / weight * (value - was))


class NaiveSignals:
    """Analytics of one device."""

    def __init__(self, device_type: DeviceType) -> None:
        self.type = device_type
        self.conditions = [
            (device_type.channel_index(c.channel), sorted(c.edges)) for c in device_type.conditions
        ]
        self.regimes = math.prod(len(edges) + 1 for _, edges in self.conditions)
        self.forget()

    def forget(self) -> None:
        self.features = [
            Feature(i, channel.resolution, [Regime() for _ in range(self.regimes)])
            for i, channel in enumerate(self.type.channels)
            if channel.kind == "gauge" and not channel.condition
        ]
        n = len(self.features)
        self.bins = [0] * len(self.conditions)
        self.now_in = 0
        self.steady = 255
        self.first_day = 0
        self.calm = 65535
        self.bar_taken = 0
        self.ceilings = [(0.0, 0), (0.0, 0)]  # height, day: long in one regime, just come from another
        self.bond = [[0.0] * (j + 1) for j in range(n)]  # lower triangle
        self.learned = False
        self.lines = 0
        self.disturbed = 0
        self.seen_us: int | None = None
        self.tails = [Tail(), Tail()]
        self.peak = 0.0
        self.streak = 0
        self.health = math.nan
        self.observed = 0.0
        self.anomaly_score = 0.0
        self.anomalous = False

    @property
    def known_after(self) -> int:
        return min(max(self.type.baseline_readings // (2 * self.regimes), 5), 40)

    @property
    def warm_after(self) -> int:
        return min(max(self.type.baseline_readings // 4, 32), 100)

    def observe(
        self, t_us: int, x: Sequence[float], scored: Sequence[bool], interval_us: int
    ) -> list[Happening]:
        if not self.features:
            return []
        steps = 1.0
        if self.seen_us is None:
            self.seen_us = t_us
            self.first_day = (day_of(t_us) - (7 if self.learned else 0)) % 65536
        elif t_us > self.seen_us:
            if interval_us > 0:
                steps = min((t_us - self.seen_us) / interval_us, 1e4)
            self.seen_us = t_us
        g = self.regime(x, scored)
        self.happened: list[Happening] = []
        if self.learned:
            self.follow(g, t_us, x, scored, steps)
        else:
            self.learn(g, t_us, x, scored, steps)
        return self.happened

    def regime(self, x: Sequence[float], scored: Sequence[bool]) -> int:
        number, stride = 0, 1
        for i, (channel, edges) in enumerate(self.conditions):
            if scored[channel]:
                self.bins[i] = sum(x[channel] >= edge for edge in edges)
            number += self.bins[i] * stride
            stride *= len(edges) + 1
        if self.conditions:
            self.steady = min(self.steady + 1, 255) if number == self.now_in else 0
        self.now_in = number
        return number

    # learning

    def learn(self, g: int, t_us: int, x: Sequence[float], scored: Sequence[bool], steps: float) -> None:
        if self.lines > 36 and any(abs(f.fast) > 3.9 for f in self.features):
            self.disturbed += 1
            if 2 * self.disturbed >= self.type.baseline_readings:
                self.forget()
                self.seen_us = t_us
                self.first_day = day_of(t_us)
                g = self.regime(x, scored)
        z = [0.0] * len(self.features)
        own = [0] * len(self.features)
        heard = longest = 0
        innovation = t2 = 0.0
        for j, f in enumerate(self.features):
            if not scored[f.channel]:
                f.gap = min(f.gap + 1, 255)
                f.longest_gap = max(f.longest_gap, f.gap)
                continue
            heard += 1
            f.gap = 0
            value = float(x[f.channel])
            raw = f.refine(g, value)
            known = sum(regime.count for regime in f.regimes)
            longest = max(longest, known)
            k = known - 16
            if k <= 0:
                continue
            z[j], own[j] = clamp(raw, 4.0), k
            share = max(FAST_SHARE, 1.0 / k)
            fresh = raw - f.level
            fast = f.fast + share * (z[j] - f.fast)
            level = f.level + share * fresh
            f.fast, f.level = f32(fast), f32(level)
            innovation += fresh * fresh
            t2 += level * level / (max(f.wander, LEAST_WANDER) if k > 40 else LEAST_WANDER)
            noise = clamp(fresh, 8.0) ** 2
            f.noise = f32(f.noise + (noise - f.noise) / k)
            running = f.reference + share * (noise - f.reference)
            f.reference = f32(running)
            if k > 20:
                f.wander = f32(f.wander + (fast * fast - f.wander) / (k - 20.0))
                f.quietest = code(running) if f.quietest == 0 else min(f.quietest, code(running))
        if heard == 0:
            return
        self.lines += 1
        for j in range(len(self.features)):
            for i in range(j + 1):
                together = min(own[j], own[i])
                if together > 0:
                    old = self.bond[j][i]
                    self.bond[j][i] = f32(old + (z[j] * z[i] - old) / together)
        if self.lines == self.warm_after:
            self.tails = [Tail(), Tail()]
        if self.lines > self.warm_after:
            self.tell(innovation / heard, t2 / heard, steps)
            if longest >= self.type.baseline_readings:
                self.finish()
                self.happened.append(("baseline.learned", -1, "", float(self.lines), math.nan))
                self.score()

    def finish(self) -> None:
        for f in self.features:
            noise, quietest = f.noise, f.quietest
            f.usual_noise = code(noise)
            f.usual_wander = f.habit = code(max(f.wander, LEAST_WANDER))
            f.quietest = code(decoded(quietest) / noise) if noise > 0 and quietest else 0
            for regime in f.regimes:
                regime.spread = f32(max(regime.spread, f.least_spread(regime.mean)))
        self.settle()
        self.bond = self.inverted()
        self.learned = True

    def settle(self) -> None:
        for f in self.features:
            f.reference = 0.0
            f.wander = f32(decoded(f.usual_wander))
            f.noise = f32(decoded(f.usual_noise))

    def reset_detectors(self) -> None:
        if not self.learned:
            return
        if self.anomalous:
            self.ceilings = [
                (f32(min(height, decoded(self.bar_taken))), day) for height, day in self.ceilings
            ]
        self.anomaly_score, self.anomalous, self.peak, self.streak = 0.0, False, 0.0, 0
        self.calm = 65535
        self.settle()
        for f in self.features:
            f.fast = f.level = 0.0
            f.gap = f.since_crossing = f.period = f.agreeing = f.spike_left = f.rising = 0
            f.above = f.jumped = False
            f.patterns = set()
        self.score()

    def inverted(self) -> list[list[float]]:
        """Inverse of the shrunk correlations: L L' = A by rows, L's inverse in place, then its product."""
        n = len(self.features)
        a = [[0.0] * n for _ in range(n)]
        for j in range(n):
            a[j][j] = 1.0
            for i in range(j):
                scale = math.sqrt(self.bond[j][j]) * math.sqrt(self.bond[i][i])
                rho = self.bond[j][i] / scale if scale > 0 else 0.0
                a[j][i] = (1.0 - 0.2) * clamp(rho, 1.0)
        for j in range(n):
            for i in range(j + 1):
                left = a[j][i]
                for k in range(i):
                    left -= a[j][k] * a[i][k]
                a[j][i] = math.sqrt(max(left, 1e-6)) if i == j else left / a[i][i]
        for j in range(n):
            a[j][j] = 1.0 / a[j][j]
            for i in range(j):
                left = 0.0
                for k in range(i, j):
                    left -= a[j][k] * a[k][i]
                a[j][i] = left * a[j][j]
        out: list[list[float]] = []
        for j in range(n):
            row = []
            for i in range(j + 1):
                total = 0.0
                for k in range(j, n):
                    total += a[k][j] * a[k][i]
                row.append(f32(total))
            out.append(row)
        return out

    # following

    def follow(self, g: int, t_us: int, x: Sequence[float], scored: Sequence[bool], steps: float) -> None:
        kept = math.exp((steps - 1.0) * math.log(1.0 - FAST_SHARE)) if steps > 1.5 else 1.0
        away, plain, fresh = [], [], []
        judged = 0
        for f in self.features:
            regime = f.regimes[g]
            count = regime.count
            fast, level, reference, wander = f.fast, f.level, f.reference, f.wander
            if kept < 1.0:
                fast = f.fast = f32(reference + (fast - reference) * kept)
            new = 0.0
            if not scored[f.channel]:
                f.gap = min(f.gap + 1, 255)
                limit = 3 * (f.longest_gap + 1) + 2
                if f.longest_gap < 80 and f.gap >= limit and "dropout" not in f.patterns:
                    self.turn(f, "dropout", float(f.gap), f.gap / limit)
            elif count < self.known_after:
                f.gap = 0
                f.refine(g, float(x[f.channel]))
            else:
                f.gap = 0
                value = float(x[f.channel])
                z = clamp((value - regime.mean) / regime.spread, 1e3)
                if count < min(self.type.baseline_readings, 65535) and not self.anomalous:
                    f.refine(g, value)
                judged += 1
                step = clamp(z - reference, max(4.0, 6.0 * math.sqrt(wander)))
                fast += FAST_SHARE * (reference + step - fast)
                new = z - level
                level += FAST_SHARE * new
                off = fast - reference
                wide = 4.0 * wander
                f.fast, f.level = f32(fast), f32(level)
                f.reference = f32(reference + REFERENCE_SHARE * step * wide / (wide + off * off))
                f.wander = f32(
                    max(wander + WANDER_SHARE * (min(off * off, 25.0 * wander) - wander), LEAST_WANDER)
                )
                most = 25.0 * max(f.noise, decoded(f.usual_noise))
                f.noise = f32(f.noise + FAST_SHARE * (min(new * new, most) - f.noise))
                self.watch(f, regime.spread, new)
            fresh.append(new)
            scale = 1.0 / math.sqrt(wander)
            away.append((fast - reference) * scale if count >= self.known_after else 0.0)
            plain.append((level - reference) * scale if count >= self.known_after else 0.0)
        if judged:
            n = len(self.features)
            t2 = self.length(away)
            self.judge(t_us, away, t2)
            self.relate(g, away, t2)
            self.lines += 1
            self.tell(self.length(fresh) / judged, self.length(plain) / n, steps)
        self.score()

    def judge(self, t_us: int, away: Sequence[float], t2: float) -> None:
        n = len(self.features)
        height = t2 / rare_chi_square(3.25, n)
        if self.anomalous:
            if t2 < rare_chi_square(0.7, n):
                self.anomalous, self.streak = False, 0
                self.happened.append(("anomaly.ended", -1, "", self.anomaly_score, math.nan))
            else:
                self.reach(t_us, min(1.5 * height, 8.0 * decoded(self.bar_taken)))
            return
        self.calm = min(self.calm + 1, 65535)
        young = (day_of(t_us) - self.first_day) % 65536 < 7
        if height <= 1.0:
            self.streak = 0
            for f in self.features:
                beyond = abs(f.fast) - 3.0 * float(np.sqrt(decoded(f.usual_wander)))
                while young and not f.jumped and f.habit < 255 and beyond > 0:
                    if decoded(f.habit) >= 0.5 * beyond * beyond:
                        break
                    f.habit += 1
            return
        bar = 1.0
        if self.calm > 600:
            bar = max(bar, self.ceiling(t_us))
        if young:
            baseline = self.type.baseline_readings
            unproven = min(max((self.lines - baseline) / (2.0 * baseline), 1.0), 8.0)
            bar = max(bar, unproven)
            self.reach(t_us, min(1.5 * height, unproven))
        self.streak = min(self.streak + 1, 255) if height > bar else 0
        if self.streak >= 10 or t2 > rare_chi_square(6.0, n) * bar:
            self.anomalous, self.streak, self.calm, self.bar_taken = True, 0, 0, code(bar)
            shares = [abs(a * q) for a, q in zip(away, self.product(away), strict=True)]
            culprit = self.features[shares.index(max(shares))].channel
            self.happened.append(("anomaly.started", culprit, "", self.anomaly_score, math.nan))

    def ceiling(self, t_us: int) -> float:
        height, day = self.ceilings[self.steady < 255]
        return height * math.exp(-((day_of(t_us) - day) % 65536) / 30.0)

    def reach(self, t_us: int, height: float) -> None:
        if height > self.ceiling(t_us):
            self.ceilings[self.steady < 255] = (f32(height), day_of(t_us))

    def product(self, v: Sequence[float]) -> list[float]:
        n = len(v)
        out = []
        for j in range(n):
            total = 0.0
            for i in range(n):
                total += self.bond[max(i, j)][min(i, j)] * v[i]
            out.append(total)
        return out

    def length(self, v: Sequence[float]) -> float:
        total = 0.0
        for j, row in enumerate(self.bond):
            across = 0.0
            for i in range(j):
                across += row[i] * v[i]
            total += v[j] * (row[j] * v[j] + 2.0 * across)
        return max(total, 0.0)

    def tell(self, innovation: float, t2: float, steps: float) -> None:
        age = float(self.lines - self.warm_after)
        novelty = self.tails[0].rarity(innovation, age) + self.tails[1].rarity(t2, age)
        peak = self.peak * (PEAK_KEPT if steps <= 1.5 else math.exp(steps * math.log(PEAK_KEPT)))
        shown = novelty
        if novelty < peak:
            share = novelty / peak
            shown *= share * share * share * share
        self.peak = f32(max(peak, 1.1 * novelty))
        self.anomaly_score = f32(shown / (shown + 4.0))

    # patterns

    def turn(self, f: Feature, pattern: str, size: float, strength: float = 1.0) -> None:
        confidence = 1.0 - 0.5 / (strength * strength) if strength > 1.0 else 0.5
        what = "pattern.ended" if pattern in f.patterns else "pattern.started"
        f.patterns ^= {pattern}
        self.happened.append((what, f.channel, pattern, size, confidence))

    def watch(self, f: Feature, spread: float, fresh: float) -> None:
        if "dropout" in f.patterns:
            self.turn(f, "dropout", 0.0)

        off = f.fast - f.reference
        if "shift" in f.patterns:
            if off * off < 2.25 * f.wander:
                self.turn(f, "shift", off * spread)
        elif self.anomalous and off * off > 36.0 * f.wander:
            self.turn(f, "shift", off * spread, abs(off) / (6.0 * math.sqrt(f.wander)))

        now = f.reference + off
        far, wander = abs(now), float(np.sqrt(decoded(f.habit)))
        if far < 2.0 * wander:
            f.rising, f.jumped = 0, False
        elif not f.jumped:
            f.rising = min(f.rising + 1, 254)
        limit = max(3.0, 6.0 * wander)
        if "drift" in f.patterns:
            if far < max(1.5, 3.0 * wander):
                self.turn(f, "drift", now * spread)
        elif far > limit and not f.jumped:
            if f.rising > 40:
                self.turn(f, "drift", now * spread, far / limit)
            else:
                f.jumped = True

        if not f.usual_noise:
            return
        usual = decoded(f.usual_noise)
        self.spike(f, fresh, max(f.noise, usual), spread)

        if f.quietest:
            quiet = 0.01 * decoded(f.quietest) * decoded(f.quietest)
            if "stuck" in f.patterns:
                if f.noise > usual * max(0.1, quiet):
                    self.turn(f, "stuck", spread)
            elif f.noise < usual * quiet and quiet > 1e-11:
                self.turn(f, "stuck", spread, usual * quiet / max(f.noise, 1e-30))

        if f.noise > 1.5 * usual:
            f.since_crossing = min(f.since_crossing + 1, 127)
            if fresh > 0 and not f.above:
                alike = f.period > 1 and f.since_crossing < 127
                alike = alike and 4 * abs(f.since_crossing - f.period) <= max(f.period, 4)
                f.agreeing = min(f.agreeing + 1, 250) if alike else f.agreeing // 2
                f.period, f.since_crossing = f.since_crossing, 0
            f.above = fresh > 0
        else:
            f.since_crossing = f.period = f.agreeing = 0
            f.above = False
        amplitude = math.sqrt(2.0 * f.noise) * spread
        if "oscillation" in f.patterns:
            if f.agreeing <= 2 or f.noise < 1.5 * usual:
                self.turn(f, "oscillation", amplitude)
        elif f.agreeing >= 6 and f.noise > 4.0 * usual:
            self.turn(f, "oscillation", amplitude, math.sqrt(f.noise / usual / 4.0))

    def spike(self, f: Feature, fresh: float, noise: float, spread: float) -> None:
        left, present = f.spike_left, "spike" in f.patterns
        if fresh * fresh > 64.0 * noise:
            f.spike_left = 20
            if left == 0 or (present and left == 20):
                self.turn(f, "spike", fresh * spread, abs(fresh) / (8.0 * math.sqrt(noise)))
        elif left:
            f.spike_left = left - 1
            if present and left == 1:
                self.turn(f, "spike", fresh * spread)

    def relate(self, g: int, away: Sequence[float], t2: float) -> None:
        if t2 < 36.0 and not any("decorrelation" in f.patterns for f in self.features):
            return
        for j, (f, total) in enumerate(zip(self.features, self.product(away), strict=True)):
            own = self.bond[j][j]
            left = abs(total) / math.sqrt(own)
            present = "decorrelation" in f.patterns
            starts = (
                self.anomalous and not present and own > 1.25 and left > 6.0 and left > 1.25 * abs(away[j])
            )
            if starts or (present and left < 2.0):
                size = total / own * math.sqrt(f.wander) * f.regimes[g].spread
                self.turn(f, "decorrelation", size, left / 6.0)

    # health

    def score(self) -> None:
        if not self.learned:
            return
        seen = [f for f in self.features if not f.patterns & {"stuck", "dropout"}]
        seen = [f for f in seen if f.regimes[self.now_in].count >= self.known_after]
        severities = [self.severities(f) for f in seen]
        total = 0.0
        for level, noise, relation in severities:
            total += level + noise + relation
        self.observed = f32(len(seen) / len(self.features))
        self.points = {
            f.channel: tuple(
                math.floor(6400.0 * (1.0 - math.exp(-total)) / total * part) / 64.0 for part in parts
            )
            for f, parts in zip(seen, severities, strict=True)
            if total > 0
        }
        self.health = f32(100.0 - sum(sum(points) for points in self.points.values()))

    def severities(self, f: Feature) -> tuple[float, float, float]:
        share = 1.0 / math.sqrt(len(self.features))
        wander = float(np.sqrt(decoded(f.habit)))
        beyond = min(abs(f.level), 3.0 * abs(f.fast)) - 3.0 * wander - 0.5
        level = share * min(beyond / (6.0 * max(wander, 0.5)), 3.0) if beyond > 0 else 0.0
        noise = 0.0
        if f.usual_noise and f.noise > 4.0 * decoded(f.usual_noise):
            noise = share * min((math.log2(f.noise / decoded(f.usual_noise)) - 2.0) / 4.0, 3.0)
        return level, noise, share * 0.35 if "decorrelation" in f.patterns else 0.0

    def pattern_bits(self, channel: int) -> int:
        present = {name for f in self.features if f.channel == channel for name in f.patterns}
        return sum(1 << i for i, name in enumerate(PATTERNS) if name in present)
