"""Runs of the engine itself, held to what textbooks say of the same shop, and their intervals to what they promise.

Time is a grid here, a dispatch at each step of it. A life ends at the first step that is no shorter, and a life that begins
within a step is counted from its beginning: on average neither lives nor repairs are longer than they should be. What fails
within a step stands for all of it and is seen at its end, so that each failure costs no more than a step of availability.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.twins.whatif.shops import ANY_LIFE, NOBODY, late, machine, renewal, shop
from twins.whatif.experiments import Experiment
from twins.whatif.forks import Fork
from twins.whatif.intervals import Estimate, mean
from twins.whatif.results import Results
from twins.whatif.scenarios import Arm, Policy, Resources, Scenario

LEVEL = 0.9
DOUBT = 1e-4
"""How seldom a test may fail although all is as promised."""

Vector = NDArray[np.float64]


def experiments(forked: Fork, scenario: Scenario, runs: int) -> Iterator[Results]:
    """The same experiment with that many seeds."""
    for seed in range(runs):
        yield Experiment(replace(scenario, seed=seed), forked, ANY_LIFE).run()


def covered(found: list[Estimate], truth: float) -> bool:
    """Whether intervals hold the truth as often as they promise."""
    hits = sum(each.holds(truth) for each in found)
    low, high = stats.binom.ppf([DOUBT, 1 - DOUBT], len(found), LEVEL)
    return bool(low <= hits <= high)


def pooled(found: list[Estimate]) -> Estimate:
    """Where the expected value lies by all experiments together, almost surely."""
    return mean([each.value for each in found], 1 - DOUBT)


def finite_source(machines: int, crews: int, life_h: float, repair_h: float) -> tuple[float, float]:
    """Availability and failures an hour of all machines: the queue M/M/c//N in its steady state.

    Source: Gross and Harris, Fundamentals of Queueing Theory, finite-source queues.
    """
    weight = np.ones(machines + 1)
    for down in range(1, machines + 1):
        weight[down] = weight[down - 1] * (machines - down + 1) / min(down, crews) * repair_h / life_h
    up = machines - weight @ np.arange(machines + 1) / weight.sum()
    return up / machines, up / life_h


@pytest.mark.parametrize(("machines", "crews"), [(4, 1), (5, 3)])
def test_a_repair_shop_is_the_finite_source_queue(machines: int, crews: int) -> None:
    life_h, repair_h, step_h, warm_h, horizon_h = 40.0, 10.0, 1.0, 50.0, 130.0
    scenario = Scenario(
        "shop", (Arm("a"),),
        horizon_h=horizon_h, bucket_h=10.0, step_s=3600 * step_h, dispatch_h=step_h,
        replications=5, level=LEVEL, operator=NOBODY, metrics=("availability", "failures"), keep=(),
        resources=Resources(crews=crews, unplanned_delay_h=0.0, duration="exponential"),
    )  # fmt: skip
    forked = shop((machine(life_h, renewal(duration_h=repair_h)), machines))
    compared = [late(each, warm_h).compared() for each in experiments(forked, scenario, 36)]
    up, failing = ([each[k].value for each in compared] for k in (0, 1))
    availability, per_h = finite_source(machines, crews, life_h, repair_h)
    failures = per_h * (horizon_h - warm_h)
    assert covered(failing, failures)
    assert pooled(failing).holds(failures)
    bias = step_h * per_h / machines / 2
    assert bias < 0.25 * np.mean([each.half_width for each in up])
    assert covered(up, availability - bias)
    assert pooled(up).low <= availability
    assert availability - 2 * bias <= pooled(up).high


def ending(shape: float, life_h: float, step_h: float, steps: int) -> Vector:
    """(steps + 1,) probability that a Weibull life ends in each step."""
    survival = np.exp(-((np.arange(steps + 1) * step_h / life_h) ** shape))
    return np.concatenate([[0.0], -np.diff(survival)])


def renewals(ends: Vector) -> float:
    """The renewal function at the end of a grid, by convolution: m(t) = F(t) + (m * f)(t)."""
    expected = np.zeros(len(ends))
    for n in range(1, len(ends)):
        expected[n] = ends[1 : n + 1] @ (1.0 + expected[n - 1 :: -1])
    return float(expected[-1])


def test_a_renewal_function_is_that_of_the_poisson_process() -> None:
    assert renewals(ending(1.0, 50.0, 0.05, 4000)) == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize("shape", [0.8, 2.5])
def test_failures_of_what_is_renewed_at_once_follow_the_renewal_function(shape: float) -> None:
    machines, life_h, step_h, steps = 6, 100.0, 10.0, 36
    scenario = Scenario(
        "renewal", (Arm("a"),),
        horizon_h=steps * step_h, bucket_h=steps * step_h, step_s=3600 * step_h, dispatch_h=step_h,
        replications=6, level=LEVEL, operator=NOBODY, metrics=("failures",), keep=(),
        resources=Resources(unplanned_delay_h=0.0),
    )  # fmt: skip
    forked = shop((machine(life_h, renewal(), shape=shape), machines))
    found = [each.compared()[0].value for each in experiments(forked, scenario, 30)]
    failures = machines * renewals(ending(shape, life_h, step_h, steps))
    assert covered(found, failures)
    assert pooled(found).holds(failures)


def test_age_replacement_saves_what_the_closed_form_says() -> None:
    """C(T) = (planned · S(T) + unplanned · F(T)) / ∫S, Barlow and Hunter 1960; the work takes a step, so that what is
    replaced is a step older than the interval."""
    machines, life_h, shape, every_h, step_h, warm_h, horizon_h = 6, 100.0, 3.0, 50.0, 5.0, 150.0, 400.0
    planned, unplanned = 100.0, 600.0
    scenario = Scenario(
        "ages", (Arm("run-to-failure"), Arm("by-age", policy=Policy("fixed_interval", every_h=every_h, review_h=step_h))),
        horizon_h=horizon_h, bucket_h=50.0, step_s=3600 * step_h, dispatch_h=step_h,
        replications=5, level=LEVEL, operator=NOBODY, metrics=("cost",), keep=(),
        resources=Resources(unplanned_delay_h=0.0, unplanned_surcharge=unplanned / planned - 1.0),
    )  # fmt: skip

    def per_h(at_h: float, grid_h: float) -> float:
        survival = np.exp(-((np.arange(round(at_h / grid_h) + 1) * grid_h / life_h) ** shape))
        return float(
            (planned * survival[-1] + unplanned * (1 - survival[-1])) / (grid_h * survival[:-1].sum())
        )

    true = {grid_h: per_h(every_h + step_h, grid_h) - per_h(10 * life_h, grid_h) for grid_h in (step_h, 0.01)}
    assert true[step_h] == pytest.approx(true[0.01], rel=0.05)
    assert per_h(10 * life_h, 0.01) == pytest.approx(
        unplanned / (life_h * math.gamma(1 + 1 / shape)), rel=1e-3
    )

    forked = shop((machine(life_h, renewal(cost=planned), shape=shape), machines))
    found = []
    for each in experiments(forked, scenario, 30):
        against = late(each, warm_h).compared()[1].against_reference
        assert against is not None
        found.append(against.difference)
    saved = true[step_h] * machines * (horizon_h - warm_h)
    assert covered(found, saved)
    assert pooled(found).holds(saved)
