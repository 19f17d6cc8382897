"""A device's own futures say of doing nothing, later and now what its wear would lead one to expect."""

from dataclasses import replace

import numpy as np
import pytest

from tests.twins.whatif.forked import SimulatedFleet, pumps, with_wear
from training.simulated_advice import Question, Simulated, simulate_fork
from twins.costs import HORIZON_D, expected, hazards, plan
from twins.whatif.forks import Fork

PUMP = pumps()
MODE, ACTION = "bearing-wear", "replace-bearings"
FUTURES = 60


@pytest.fixture(scope="module")
def fork() -> Fork:
    return SimulatedFleet(PUMP, 4, wear=(0.0, 0.0)).fork


def asked(fork: Fork, later_h: float | None = 168.0, futures: int = FUTURES) -> list[Simulated]:
    ids = fork.types[PUMP.name].ids.to_pylist()
    return simulate_fork(fork, {}, [Question(each, MODE, ACTION, later_h) for each in ids], futures)


def worn(fork: Fork, *wear: float) -> Fork:
    """The fork with devices whose bearings are so worn, and nothing else."""
    forked = fork.types[PUMP.name]
    assert forked.physics is not None
    found = np.zeros_like(forked.physics.wear)
    found[: len(wear), [each.name for each in PUMP.failure_modes].index(MODE)] = wear
    return replace(fork, types={PUMP.name: replace(forked, physics=forked.physics._replace(wear=found))})


def test_the_more_a_device_is_worn_the_more_nothing_costs(fork: Fork) -> None:
    found = asked(worn(fork, 0.0, 0.985, 0.993, 0.999))[:4]
    costs = [each.nothing.cost.value for each in found if each.nothing]
    chances = [each.nothing.fails.value for each in found if each.nothing]
    assert len(costs) == 4
    assert costs == sorted(costs)
    assert chances == sorted(chances)
    assert costs[-1] > costs[0]


def test_for_a_new_device_nothing_is_cheapest(fork: Fork) -> None:
    found = asked(worn(fork))[0]
    assert found.nothing
    assert found.later
    assert found.now
    assert found.nothing.cost.value < found.later.cost.value < found.now.cost.value
    assert found.now.against_nothing
    assert found.now.against_nothing.difference.low > 0


def test_a_clear_case_is_ordered_as_the_formula_orders_it(fork: Fork) -> None:
    found = asked(worn(fork, 0.9985))[0]
    assert found.nothing
    assert found.later
    assert found.now
    chances = (np.array([each]) for each in (0.5, 0.97, 0.999))
    act = plan(PUMP, MODE, next(each for each in PUMP.actions if each.name == ACTION))
    formula = expected(hazards(*chances), *(np.array([each]) for each in act or ()))
    assert formula.now < formula.later < formula.nothing
    assert found.now.cost.value < found.later.cost.value <= found.nothing.cost.value
    assert found.now.against_nothing
    assert found.now.against_nothing.difference.high < 0
    assert found.now.against_nothing.share_better.value > 0.9


def test_a_device_has_the_same_futures_whoever_else_is_asked_about(fork: Fork) -> None:
    state = with_wear(fork, 0.0, 0.9)
    whole = asked(state)
    forked = state.types[PUMP.name]
    mine = simulate_fork(state, {}, [Question(forked.ids[1].as_py(), MODE, ACTION)], FUTURES)
    assert mine == [whole[1]]
    assert asked(state) == whole


def test_later_beyond_the_horizon_is_nothing(fork: Fork) -> None:
    for later_h in (None, HORIZON_D * 24.0):
        found = asked(worn(fork, 0.99), later_h)[0]
        assert found.later_h is None
        assert found.later
        assert found.nothing
        assert found.later.cost == found.nothing.cost
        assert found.later.against_nothing
        assert found.later.against_nothing.difference.value == 0


def test_what_fails_before_later_has_the_future_of_nothing(fork: Fork) -> None:
    found = asked(worn(fork, 0.995), 24.0 * 29)[0]
    assert found.later
    assert found.later.against_nothing
    assert found.later.against_nothing.share_tied > 0.9


def test_what_cannot_be_run_says_why(fork: Fork) -> None:
    forked = fork.types[PUMP.name]
    device_id = forked.ids[0].as_py()
    bare = replace(forked, device_type=replace(PUMP, failure_modes=()))
    (found,) = simulate_fork(replace(fork, types={PUMP.name: bare}), {}, [Question(device_id, "", ACTION)])
    assert (found.futures, found.nothing) == (0, None)
    assert "has no failure modes" in found.why_not
    (gone,) = simulate_fork(fork, {}, [Question("nobody", MODE, ACTION)])
    assert "not among the devices" in gone.why_not
    (other,) = simulate_fork(fork, {}, [Question(device_id, MODE, "polish")])
    assert "has no action 'polish'" in other.why_not
    (still,) = asked(worn(fork, 1.0))[:1]
    assert "stands still" in still.why_not
