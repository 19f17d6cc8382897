"""Does it pay to follow the advice? Pumps that wear by a law which neither twins nor models know, under four policies.

    python -m bench.advice [--pumps 100] [--hours 2000] [--seeds 3]

The truth: other growth exponents than the type's file says, twice the scatter between devices, a failure mode that the file
does not have, and weather 8 K warmer. A model is trained on a fleet that ran to failure; other pumps, of the same truth and
other seeds, are then kept by each policy, every seed's pumps with the same luck under all of them:

- run to failure: repaired after it failed, with the delay and the surcharge of unplanned work (``twins/costs.py``);
- fixed interval: strainers cleaned and pumps overhauled every so often, the intervals that were cheapest on pumps apart;
- threshold: what is advised where a high or critical alert stands, looked at once a day;
- advice: what is advised once waiting until tomorrow costs more than acting, by forecasts; where the model cannot say, as
  by threshold.

Costs are actions, downtime and failures in the type's currency, a pump and year; intervals are 90 %, by bootstrap over
pumps of the paired difference. On the pumps that ran to failure forecasts are judged as warnings, a probability of failure
within a week of one half or more: how long before the failure the last one began, how many failures had none, and how many
warnings a pump and year no failure within thirty days came true of.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from training import training_runs  # noqa: E402
from training.anomaly import HealthyModel  # noqa: E402
from training.recorder import Recorder, journals_in  # noqa: E402
from training.scoring import Loaded, prognoses  # noqa: E402
from training.survival import SurvivalModel  # noqa: E402
from training.training_runs import Worker  # noqa: E402
from twins import costs  # noqa: E402
from twins.clock import HOUR_US, VirtualClock  # noqa: E402
from twins.costs import UNPLANNED_DELAY_H, UNPLANNED_SURCHARGE  # noqa: E402
from twins.devices import DeviceType, Effect, FailureMode  # noqa: E402
from twins.fleet import LocalFleet  # noqa: E402
from twins.fleetfiles import FleetSpec, parse_fleet  # noqa: E402
from twins.prognosis import SAID, Prognoses  # noqa: E402
from twins.recommendations import Adviser, Sign  # noqa: E402
from twins.simulation import Simulator  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402

PUMP: Final = "centrifugal-pump"
START_US: Final = 1_760_000_000_000_000
SPEEDUP: Final = 20
LOOK_H: Final = 24
WARNS: Final = 0.5
UNKNOWN: Final = FailureMode(
    "coupling-crack", rate_per_h=6e-5, growth_exponent=1.4, scatter=0.8, load_exponent=2.0,
    effects=(Effect("vibration", shift=5.0, noise_factor=2.0, exponent=3.0), Effect("power", shift=2.0)),
)  # fmt: skip
GROWTH: Final = {"bearing-wear": 0.6, "impeller-erosion": 1.2, "seal-leak": 1.3, "suction-clogging": 0.4}
TEXT: Final = """
name: advice
sites: [{{name: here, latitude: 55, longitude: 10, climate: {{mean_c: 20, yearly_c: 10, daily_c: 4, weather_c: 5}}}}]
speedup: {speedup}
tick_s: 3600
repair_after_s: {repair_s}
devices: [{{type: centrifugal-pump, count: {pumps}, id: '{name}-{{n:03}}', interval_s: 3600, wear: [0, 0.6]}}]
"""
CLEAN, OVERHAUL = "clean-strainer", "overhaul"


def truth(known: DeviceType) -> DeviceType:
    """How the pumps really are."""
    modes = tuple(
        replace(mode, growth_exponent=GROWTH[mode.name], scatter=2 * mode.scatter)
        for mode in known.failure_modes
    )
    return replace(known, failure_modes=(*modes, UNKNOWN))


@dataclass
class Kept:
    """What came of some pumps under a policy."""

    cost: NDArray[np.float64]  # (pumps,)
    failures: NDArray[np.int64]
    failed_h: list[list[float]] = field(default_factory=list)  # by pump, h since the start
    said: list[tuple[float, NDArray[np.float64]]] = field(default_factory=list)  # h, p_fail_7d by pump


class World:
    """Pumps of one seed, their twins, and what is done about them."""

    def __init__(
        self, known: DeviceType, name: str, pumps: int, seed: int, folder: Path | None = None
    ) -> None:
        self.known, self.pumps = known, pumps
        spec: FleetSpec = parse_fleet(
            TEXT.format(speedup=SPEEDUP, repair_s=UNPLANNED_DELAY_H * 3600, pumps=pumps, name=name),
            {PUMP: known},
        )
        self.simulator = Simulator(spec, {PUMP: truth(known)}, start_us=START_US, seed=seed)
        self.ids = [device.id for device in self.simulator.devices]
        self.place = {each: i for i, each in enumerate(self.ids)}
        self.clock = VirtualClock(START_US)
        self.fleet = LocalFleet(folder, None, self.clock)
        self.fleet.install(known)
        self.fleet.register(self.simulator.devices)
        self.actions = {action.name: action for action in known.actions}
        self.modes = {mode.name for mode in known.failure_modes}
        self.kept = Kept(np.zeros(pumps), np.zeros(pumps, np.int64), [[] for _ in range(pumps)])

    def run(
        self, hours: int, look: Callable[["World", float], None] = lambda *_: None, readings: bool = True
    ) -> Kept:
        for hour in range(1, hours + 1):
            now_us = START_US + hour * HOUR_US
            self.clock.advance_to(now_us)
            for batch in self.simulator.advance(now_us):
                if readings:
                    self.fleet.write(batch)
            if hour % LOOK_H == 0:
                look(self, float(hour))
            self._hear(now_us)
            if readings:
                self.fleet.advance(now_us)
        return self.kept

    def act(self, pump: int, action: str, at_h: float) -> None:
        """Planned work."""
        done = self.actions[action]
        self.kept.cost[pump] += done.cost + done.duration_h * self.known.downtime_cost_per_h
        self.simulator.maintain(self.ids[pump], action, START_US + round(at_h * HOUR_US))
        self._hear(self.clock.now_us(), planned=True)

    def _hear(self, now_us: int, planned: bool = False) -> None:
        per_h = self.known.downtime_cost_per_h
        for command in self.simulator.take_maintenance():
            pump = self.place[command.device_id]
            if command.kind == "failure":
                self.kept.failures[pump] += 1
                self.kept.failed_h[pump].append((now_us - START_US) / HOUR_US)
                if command.failure_mode not in self.modes:
                    command = replace(command, failure_mode=None)
            elif not planned:
                done = self.actions[command.action or OVERHAUL]
                self.kept.cost[pump] += done.cost * (1 + UNPLANNED_SURCHARGE)
                self.kept.cost[pump] += (done.duration_h + UNPLANNED_DELAY_H) * per_h
            self.fleet.command(command)


class Intervals:
    """Clean and overhaul every so many hours."""

    def __init__(self, clean_h: float, overhaul_h: float) -> None:
        self._every = ((CLEAN, clean_h), (OVERHAUL, overhaul_h))

    def __call__(self, world: World, hour: float) -> None:
        for action, every_h in self._every:
            for pump in range(world.pumps):
                turn = hour + pump * every_h / world.pumps  # not all on one day
                if turn // every_h > (turn - LOOK_H) // every_h and turn >= every_h:
                    world.act(pump, action, hour)


class Threshold:
    """What is advised where a high or critical alert stands."""

    def __init__(self, known: DeviceType) -> None:
        self._adviser = Adviser(known)

    def __call__(self, world: World, hour: float) -> None:
        self.over(world, hour, np.ones(world.pumps, np.bool_))

    def over(self, world: World, hour: float, which: NDArray[np.bool_]) -> None:
        signs: dict[int, set[Sign]] = {}
        for line in world.fleet.alerts().to_pylist():
            pump = world.place[line["device_id"]]
            if which[pump] and line["active"] and line["priority"] in ("critical", "high"):
                signs.setdefault(pump, set()).add(Sign("alert", line["rule"]))
        for pump, found in signs.items():
            if world.simulator.damage(world.ids[pump]) and (action := self._action(found)):
                world.act(pump, action, hour)

    def _action(self, signs: set[Sign]) -> str | None:
        for advice in self._adviser.advise(signs):
            for action in advice.actions:
                if action.kind != "inspection":
                    return action.name
        return None


class Advice:
    """What is advised once waiting for the next look costs more than acting."""

    def __init__(self, known: DeviceType, loaded: Loaded) -> None:
        self._known, self._loaded = known, loaded
        self._threshold = Threshold(known)

    def __call__(self, world: World, hour: float) -> None:
        told = asked(world, self._known, self._loaded)
        said = np.zeros(world.pumps, np.bool_)
        said[told.rows] = told.said == SAID
        for row, action in self._due(told):
            world.act(row, action, hour)
        self._threshold.over(world, hour, ~said)

    def _due(self, told: Prognoses) -> list[tuple[int, str]]:
        found = []
        for m in np.unique(told.mode[told.said == SAID]).tolist():
            mode = self._known.failure_modes[m].name if m >= 0 else ""
            mend = costs.mending(self._known, mode)
            plan = None if mend is None else costs.plan(self._known, mode, mend)
            if mend is None or plan is None:
                continue
            mine = np.flatnonzero((told.mode == m) & (told.said == SAID))
            hazard = costs.hazards(*told.p_fail[mine].T.astype(np.float64))
            columns = [np.full(len(mine), each) for each in plan]
            due_h = costs.expected(hazard, *columns).due_h
            found += [(int(told.rows[i]), mend.name) for i in mine[due_h <= LOOK_H].tolist()]
        return found


def asked(world: World, known: DeviceType, loaded: Loaded) -> Prognoses:
    of = world.fleet.scorable(0, PUMP, 0, world.pumps, True)
    assert of is not None
    return prognoses(loaded, known, of)


def trained(known: DeviceType, pumps: int, hours: int) -> Loaded:
    """A model of pumps that ran to failure."""
    with tempfile.TemporaryDirectory(prefix="tfb-") as place:
        data = Path(place)
        world = World(known, "past", pumps, 1, data / "hosts")
        world.run(hours)
        recorder = Recorder(data / "history", journals_in(data / "hosts"))
        while recorder.step():
            pass
        recorder.flush()
        recorder.close()
        training_runs.begin(data / "run", data, known, world.clock.now_us(), by="bench", with_age=False)
        Worker(data / "run").work()
        manifest, arrays = training_runs.outcome(data / "run")
        figures = {name: round(value, 4) for name, value in manifest.metrics.items()}
        report("model of the past pumps", figures["brier"], "Brier", figures["brier_constant"], "one forecast for all",
               **figures)  # fmt: skip
        world.fleet.close()
        return Loaded(
            1, SurvivalModel.from_arrays(arrays), manifest.failure_modes, HealthyModel.from_arrays(arrays)
        )


def warned(kept: Kept, hours: int) -> Mapping[str, float]:
    """Lead time of warnings, h; the share of failures without one; false ones a pump and year."""
    at_h = np.array([hour for hour, _ in kept.said])
    chance = np.stack([p for _, p in kept.said])
    leads, missed, false, failures = [], 0, 0, 0
    for pump, failed_h in enumerate(kept.failed_h):
        on = chance[:, pump] >= WARNS
        for end_h in failed_h:
            failures += 1
            before = np.flatnonzero(at_h < end_h)
            if not len(before) or not on[before[-1]]:
                missed += 1
                continue
            off = before[~on[before]]
            first = at_h[off[-1] + 1] if len(off) else at_h[0]
            leads.append(end_h - first)
        begins = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
        for begin_h in at_h[begins].tolist():
            came = any(begin_h < end_h <= begin_h + 720 for end_h in failed_h)
            false += (not came) and begin_h + 720 <= hours
    years = len(kept.failed_h) * hours / 8766
    return {
        "failures": failures,
        "lead_h_p10": round(float(np.quantile(leads, 0.1)), 0) if leads else float("nan"),
        "lead_h_median": round(float(np.median(leads)), 0) if leads else float("nan"),
        "lead_h_p90": round(float(np.quantile(leads, 0.9)), 0) if leads else float("nan"),
        "missed_share": round(missed / max(1, failures), 3),
        "false_a_pump_year": round(false / years, 3),
    }


def interval(difference: NDArray[np.float64]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = difference[rng.integers(0, len(difference), (2000, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    return round(float(low)), round(float(high))


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--pumps", type=int, default=100)
    arguments.add_argument("--hours", type=int, default=2_000)
    arguments.add_argument("--seeds", type=int, default=3)
    options = arguments.parse_args()
    began = time.perf_counter()
    known = load_catalog()[PUMP]
    loaded = trained(known, options.pumps + 50, options.hours + 1_000)
    best = cheapest_intervals(known, options.pumps, options.hours)

    def watch(world: World, hour: float) -> None:
        told = asked(world, known, loaded)
        chance = np.zeros(world.pumps)
        chance[told.rows] = np.nan_to_num(told.p_fail[:, 1])
        world.kept.said.append((hour, chance))

    policies: dict[str, Callable[[World, float], None]] = {
        "run to failure": watch,
        "fixed interval": Intervals(*best),
        "threshold": Threshold(known),
        "advice": Advice(known, loaded),
    }
    seeds = [100 + seed for seed in range(options.seeds)]
    kept = {
        name: [World(known, f"pump{seed}", options.pumps, seed).run(options.hours, look) for seed in seeds]
        for name, look in policies.items()
    }
    per_year = 8766 / options.hours
    cost = {name: np.concatenate([each.cost for each in worlds]) * per_year for name, worlds in kept.items()}
    failures = {name: sum(int(each.failures.sum()) for each in worlds) for name, worlds in kept.items()}
    told = {"pumps": options.pumps * options.seeds, "hours": options.hours, "failures": failures["advice"]}
    for name in policies:
        if name != "advice":
            saved = cost[name] - cost["advice"]
            low, high = interval(saved)
            report(
                f"saved by following advice against {name}", float(saved.mean()), "a pump and year",
                float(cost[name].mean()), f"cost by {name}", low_90=low, high_90=high,
                other_failures=failures[name], **told, **({"every_h": best} if name == "fixed interval" else {}),
            )  # fmt: skip
    merged = Kept(np.zeros(0), np.zeros(0, np.int64))
    merged.failed_h = [each for world in kept["run to failure"] for each in world.failed_h]
    merged.said = [
        (hour, np.concatenate([world.said[i][1] for world in kept["run to failure"]]))
        for i, (hour, _) in enumerate(kept["run to failure"][0].said)
    ]
    found = warned(merged, options.hours)
    report("lead time of warnings", found["lead_h_median"], "h", 168.0, "what a warning speaks of", **found)
    print(f"took {time.perf_counter() - began:.0f} s", flush=True)


def cheapest_intervals(known: DeviceType, pumps: int, hours: int) -> tuple[float, float]:
    """Of a few, on pumps of a seed of their own."""
    choices = [
        (clean_h, overhaul_h)
        for clean_h in (48.0, 96.0, 168.0, 336.0, 1e9)
        for overhaul_h in (336.0, 672.0, 1344.0, 1e9)
    ]
    costing = [
        World(known, "apart", pumps, 50).run(hours, Intervals(*each), readings=False).cost.mean()
        for each in choices
    ]
    return choices[int(np.argmin(costing))]


if __name__ == "__main__":
    main()
