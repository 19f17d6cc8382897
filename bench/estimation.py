"""How well damage behind readings is estimated, and how fast: by type, where the law is shared and where it is another.

    python -m bench.estimation [--devices 200] [--days 7] [--types centrifugal-pump ...] [--speedup 1 20]

Simulated devices of each type, worn up to 0.9 at the start, in hourly bins. *Shared*: they wear as the type says. *Another*:
other growth exponents, twice the scatter of pace, a failure mode that the type does not have on the two channels that the
most modes mark, and weather that is 8 K warmer than is told. At a speedup of 1 wear hardly moves within a week (readings
every five minutes), at 20 a device may run through most of its life (readings once an hour).

Coverage is of 90 % intervals of damage, devices that run at the end, all modes; RMSE and CRPS are of wear by the type's law,
the reference is the prior (uniform). Speed is of one core, in processor time.
"""

import argparse
import time
from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from twins.clock import HOUR_US  # noqa: E402
from twins.devices import DeviceType, Effect, FailureMode  # noqa: E402
from twins.draws import name_keys  # noqa: E402
from twins.fleetfiles import Climate, DeviceGroup, FleetSpec, Site  # noqa: E402
from twins.physics import physics_params, wear_of  # noqa: E402
from twins.simulation import Simulator  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402
from twins.whatif.estimation import DamageEstimate, Observed, estimate  # noqa: E402

START_US: Final = 1_780_000_000_000_000
TYPES: Final = (
    "centrifugal-pump", "chiller", "gearbox", "wind-turbine", "induction-motor", "screw-compressor",
)  # fmt: skip
GROWTH: Final = {0.0: 0.4, 0.5: 1.2, 1.0: 0.6, 1.5: 0.9}
WARMER_K: Final = 8.0
QUANTILES: Final = np.arange(0.025, 1.0, 0.05)


def another(known: DeviceType) -> DeviceType:
    """A type that wears otherwise than ``known`` says."""
    modes = tuple(
        replace(mode, growth_exponent=GROWTH[mode.growth_exponent], scatter=2 * mode.scatter)
        for mode in known.failure_modes
    )
    effects = [effect for mode in known.failure_modes for effect in mode.effects]
    marked = Counter(effect.channel for effect in effects)
    unknown = FailureMode(
        "unknown", rate_per_h=6e-5, growth_exponent=1.4, scatter=0.8, load_exponent=2.0,
        effects=tuple(_likest(effects, channel) for channel, _ in marked.most_common(2)),
    )  # fmt: skip
    return replace(known, failure_modes=(*modes, unknown))


def _likest(effects: list[Effect], channel: str) -> Effect:
    largest = max((each for each in effects if each.channel == channel), key=lambda each: abs(each.shift))
    return replace(largest, shift=0.6 * largest.shift, noise_factor=2.0, exponent=3.0)


class Watched:
    """Simulated devices, their readings in hourly bins, and what is true of them."""

    def __init__(
        self, known: DeviceType, truth: DeviceType, devices: int, hours: int, speedup: float
    ) -> None:
        interval_s = 3600.0 if speedup > 1.0 else 300.0
        group = DeviceGroup(
            known.name, devices, ("here",), id="d-{n}", interval_s=interval_s, wear=(0.0, 0.9)
        )
        mean_c = known.ambient_reference_c + (0.0 if truth is known else WARMER_K)
        site = Site("here", climate=Climate(mean_c, 0.0, 0.0, 0.0))
        spec = FleetSpec("watched", (site,), (group,), seed=1, speedup=speedup, tick_s=interval_s)
        simulator = Simulator(spec, {known.name: truth}, start_us=START_US)
        shape = (devices, hours, len(known.channels))
        one, two, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
        place = {device.id: i for i, device in enumerate(simulator.devices)}
        for batch in simulator.advance(START_US + hours * HOUR_US - 1):
            rows = np.array([place[each] for each in batch.ids.to_pylist()])[batch.index]
            bins = (batch.event_us - START_US) // HOUR_US
            values = batch.values.astype(np.float64)
            one[rows, bins] += values
            two[rows, bins] += values**2
            count[rows, bins] += 1
        with np.errstate(all="ignore"):
            mean = one / count
            sd = np.sqrt(np.maximum(0.0, two - count * mean**2) / (count - 1))
        self.observed = Observed(3600.0, START_US, mean, np.where(count > 1, sd, np.nan), count)
        self.ambient_c = np.full((devices, hours), known.ambient_reference_c)
        self.keys = name_keys(place)
        names = [mode.name for mode in known.failure_modes]
        states = [simulator.damage(each) for each in place]
        damage = np.array([[state[name] for name in names] for state in states])
        params = physics_params(known)
        self.wear = np.array([[wear_of(params, m, d) for m, d in enumerate(row)] for row in damage])
        self.runs = np.array([max(state.values()) < 1.0 for state in states])


def crps(e: DamageEstimate, wear: NDArray[np.float64]) -> float:
    """Continuous ranked probability score, as twice the mean pinball loss."""
    losses = []
    for probability in QUANTILES.tolist():
        gap = wear - e.wear(probability)
        losses.append(np.maximum(probability * gap, (probability - 1.0) * gap))
    return 2.0 * float(np.mean(losses))


def measure(known: DeviceType, law: str, devices: int, hours: int, speedup: float) -> None:
    truth = known if law == "shared" else another(known)
    watched = Watched(known, truth, devices, hours, speedup)

    def estimated() -> DamageEstimate:
        return estimate(watched.observed, known, watched.keys, ambient_c=watched.ambient_c, speedup=speedup)

    estimated()
    began = time.process_time()
    e = estimated()
    rate = devices / (time.process_time() - began)
    runs = watched.runs
    wear, e = watched.wear[runs], e.take(np.flatnonzero(runs))
    inside = (wear >= e.wear(0.05) - 1e-6) & (wear <= e.wear(0.95) + 1e-6)
    prior = np.sqrt(((wear - 0.5) ** 2).mean())
    about = {"type": known.name, "law": law, "speedup": speedup, "devices": int(runs.sum())}
    by_mode = dict(
        zip((m.name for m in known.failure_modes), inside.mean(axis=0).round(3).tolist(), strict=True)
    )
    report(
        "coverage of 90 % intervals", float(inside.mean()), "share", 0.9, "nominal", **about, by_mode=by_mode
    )
    report("error of wear", float(np.sqrt(((e.wear(0.5) - wear) ** 2).mean())), "RMSE", float(prior), "prior",
           **about)  # fmt: skip
    uniform = np.mean(wear**2 - wear + 1.0 / 3.0)
    report("score of wear", crps(e, wear), "CRPS", float(uniform), "prior", **about)
    report("devices estimated", rate, "1/s/core", 1.0, "one a second", bins=hours, **about)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--speedup", nargs="*", type=float, default=[1.0, 20.0])
    options = parser.parse_args()
    catalog = load_catalog()
    for name in options.types:
        for law in ("shared", "another"):
            for speedup in options.speedup:
                measure(catalog[name], law, options.devices, options.days * 24, speedup)


if __name__ == "__main__":
    main()
