import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins import costs
from twins.costs import HORIZON_D, Plan, expected, hazards, made_good, mending, plan, usual_life_h
from twins.typefiles import load_catalog

CATALOG = load_catalog()
PUMP = CATALOG["centrifugal-pump"]
DAYS = (1.0, 7.0, 30.0)

chances = st.floats(0, 1)
prices = st.floats(0, 1e6)


def columns(plans: list[Plan]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    act, failure, good, life_h = (np.array(each, float) for each in zip(*plans, strict=True))
    return act, failure, good, life_h


def of(p: tuple[float, float, float], plan: Plan) -> tuple[float, ...]:
    found = expected(hazards(*(np.array([each]) for each in p)), *columns([plan]))
    return tuple(float(each[0]) for each in found)


@st.composite
def plans(draw: st.DrawFn, *, whole: bool = False) -> Plan:
    act = draw(prices)
    return Plan(act, act + draw(prices), 1.0 if whole else draw(st.floats(0, 1)), draw(st.floats(10, 1e6)))


@given(st.tuples(chances, chances, chances), plans())
@settings(max_examples=300, deadline=None)
def test_no_cost_is_below_zero_and_nothing_is_never_the_cheapest(
    p: tuple[float, float, float], plan: Plan
) -> None:
    nothing, later, now, later_h, due_h = of(p, plan)
    assert min(nothing, later, now) >= 0
    assert nothing >= min(now, later)
    assert np.isnan(due_h) == (nothing == min(now, later))
    assert np.isnan(due_h) or 0 <= due_h <= HORIZON_D * 24
    assert np.isnan(later_h) == (later == nothing)
    if later < now and not np.isnan(due_h):
        assert due_h >= later_h


@given(st.tuples(chances, chances, chances), st.tuples(chances, chances, chances), plans(whole=True))
@settings(max_examples=300, deadline=None)
def test_what_is_likelier_to_fail_costs_no_less(
    p: tuple[float, float, float], more: tuple[float, float, float], plan: Plan
) -> None:
    low = of(p, plan)
    high = of(tuple(max(a, b) for a, b in zip(p, more, strict=True)), plan)  # type: ignore[arg-type]  # as many as p has
    for less, greater in zip(low[:3], high[:3], strict=True):
        assert greater >= less - 1e-6 * (1 + abs(less))


@given(st.tuples(chances, chances, chances), plans())
@settings(max_examples=100, deadline=None)
def test_by_when_it_is_due_waiting_has_cost_as_much_as_the_act(
    p: tuple[float, float, float], plan: Plan
) -> None:
    _, later, now, _, due_h = of(p, plan)
    if np.isnan(due_h) or due_h >= HORIZON_D * 24 or later < now:
        return
    failed = 1 - np.exp(-cumulative(p, due_h / 24))
    assert failed * (plan.failure - plan.act) == pytest.approx(plan.act, rel=1e-5, abs=1e-4)


def cumulative(p: tuple[float, float, float], day: float) -> float:
    kept = np.minimum(np.maximum.accumulate(p), 1 - 1e-9)
    return float(np.interp(day, (0.0, *DAYS), (0.0, *(-np.log1p(-kept)))))


def simulated(
    p: tuple[float, float, float], plan: Plan, act_day: float | None, draws: int
) -> tuple[float, float]:
    """The mean cost of acting on a day (None: never) over lives that are drawn one by one, and its standard error."""
    rng = np.random.default_rng(5)
    kept = np.maximum.accumulate(p)
    days, ends = (0.0, *DAYS), (0.0, *(-np.log1p(-kept)))
    paid = []
    for _ in range(draws):
        wanted = rng.exponential()
        fails = float(np.interp(wanted, ends, days)) if wanted < ends[-1] else np.inf
        cost = 0.0
        if act_day is not None and fails > act_day:
            cost += plan.act * (1 - act_day * 24 / max(plan.life_h, HORIZON_D * 24))
            left = (ends[-1] - float(np.interp(act_day, days, ends))) * (1 - plan.good)
            fails = 0.0 if rng.exponential() < left else np.inf  # some time after the act
        if fails <= HORIZON_D:
            cost += plan.failure
        paid.append(cost)
    return float(np.mean(paid)), float(np.std(paid) / np.sqrt(draws))


@pytest.mark.parametrize("good", [1.0, 0.4])
@pytest.mark.parametrize("p", [(0.02, 0.2, 0.5), (0.4, 0.8, 0.9), (0.0, 0.01, 0.7)])
def test_costs_are_those_of_lives_that_are_drawn_one_by_one(
    p: tuple[float, float, float], good: float
) -> None:
    plan = Plan(1_000.0, 9_000.0, good, 4_000.0)
    nothing, later, now, later_h, _ = of(p, plan)
    best = None if np.isnan(later_h) else later_h / 24
    for cost, day in [(nothing, None), (now, 0.0), (later, best)]:
        mean, error = simulated(p, plan, day, 20_000)
        assert abs(cost - mean) <= 4 * error + 1e-9


@pytest.mark.parametrize("p", [(0.001, 0.01, 0.6), (0.1, 0.3, 0.5)])
def test_later_is_the_best_of_all_days(p: tuple[float, float, float]) -> None:
    plan = Plan(1_000.0, 5_000.0, 1.0, 2_000.0)
    nothing, later, _, later_h, _ = of(p, plan)
    each = []
    for day in range(1, HORIZON_D):
        failed = 1 - np.exp(-cumulative(p, day))
        each.append(failed * plan.failure + (1 - failed) * plan.act * (1 - day * 24 / plan.life_h))
    assert later == pytest.approx(min(*each, nothing))
    if later < nothing:
        assert later_h == (int(np.argmin(each)) + 1) * 24


def test_what_is_not_forecast_costs_nobody_knows_what() -> None:
    plan = Plan(1_000.0, 5_000.0, 1.0, 2_000.0)
    for p in [(np.nan, 0.1, 0.2), (0.1, np.nan, 0.2), (0.1, 0.2, np.nan)]:
        assert all(np.isnan(each) for each in of(p, plan))
    assert all(len(each) == 0 for each in expected(np.zeros((3, 0)), *np.zeros((4, 0))))


def test_a_device_that_will_not_fail_is_left_alone() -> None:
    assert of((0.0, 0.0, 0.0), Plan(100.0, 900.0, 1.0, 1e4))[:2] == (0.0, 0.0)
    assert np.isnan(of((0.0, 0.0, 0.0), Plan(100.0, 900.0, 1.0, 1e4))[4])


def test_a_type_prices_its_acts_and_its_failures() -> None:
    actions = {each.name: each for each in PUMP.actions}
    mend = mending(PUMP, "bearing-wear")
    assert mend is actions["replace-bearings"]
    whole = plan(PUMP, "bearing-wear", mend)
    assert whole is not None
    assert whole.act == 1900 + 6 * 900
    assert whole.failure == 1900 * (1 + costs.UNPLANNED_SURCHARGE) + (6 + costs.UNPLANNED_DELAY_H) * 900
    part = plan(PUMP, "bearing-wear", actions["regrease-bearings"])
    assert part is not None
    assert (part.failure, part.good) == (whole.failure, 0.15)
    assert part.life_h == pytest.approx(0.15 * whole.life_h)
    anything = plan(PUMP, "", actions["overhaul"])
    assert anything is not None
    assert (anything.good, anything.life_h) == (1.0, np.inf)
    chiller = CATALOG["chiller"]  # which no action makes good as a whole
    assert plan(chiller, "", chiller.actions[0]) is None


def test_the_usual_life_is_that_of_the_growth_law_step_by_step() -> None:
    for device_type in CATALOG.values():
        for mode in device_type.failure_modes:
            load = device_type.load.mean
            step_h = usual_life_h(mode, load) / 20_000
            damage, at_h = 0.0, 0.0
            while damage < 1:
                rate = mode.rate_per_h * load**mode.load_exponent
                damage += rate * max(damage, mode.seed) ** mode.growth_exponent * step_h
                at_h += step_h
            assert at_h == pytest.approx(usual_life_h(mode, load), rel=5e-3)


def test_what_an_action_makes_good_is_said_by_mode_or_for_all() -> None:
    actions = {each.name: each for each in PUMP.actions}
    assert made_good(actions["overhaul"], "seal-leak") == 1
    assert made_good(actions["replace-seal"], "bearing-wear") == 0
