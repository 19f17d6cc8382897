"""The same shop in SimPy: event for event where nothing is left to luck, and alike in what is to be expected where it is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.twins.whatif.shops import ANY_LIFE, NOBODY, machine, renewal, shop, total, worn
from tests.twins.whatif.simpy_shop import Machine, Shop, Work, by_the_moment, by_windows
from twins.clock import HOUR_US, SECOND_US
from twins.draws import CHOICE, life_key
from twins.whatif import stepping
from twins.whatif.experiments import Experiment
from twins.whatif.presence import as_known
from twins.whatif.replication import replicate
from twins.whatif.scenarios import Arm, Policy, Resources, Scenario, Spare

PART = {"part": 1}
RESOURCES = Resources(crews=2, spares={"part": Spare(5, 30.0)}, unplanned_delay_h=5.0)
BY_AGE = Policy("fixed_interval", every_h=60.0, review_h=1.0)
RUN_ON = Policy("run_to_failure")


def scenario(
    policy: Policy, *, step_h: float, window_h: float, horizon_h: float, resources: Resources
) -> Scenario:
    return Scenario(
        "shop", (Arm("a", policy=policy),),
        horizon_h=horizon_h, bucket_h=horizon_h, step_s=3600 * step_h, dispatch_h=window_h,
        operator=NOBODY, resources=resources, metrics=("failures", "downtime_h"), keep=("work", "devices"),
    )  # fmt: skip


@pytest.mark.parametrize("policy", [BY_AGE, RUN_ON])
@pytest.mark.parametrize("resources", [
    RESOURCES,
    Resources(crews=1, unplanned_delay_h=2.3),
    Resources(crews=3, spares={"part": Spare(1, 5.2)}, unplanned_delay_h=0.0),
])  # fmt: skip
@pytest.mark.parametrize("window_h", [0.5, 2.0])
def test_where_nothing_is_left_to_luck_it_is_the_same_event_for_event(
    policy: Policy, resources: Resources, window_h: float
) -> None:
    step_h, horizon_h = 0.5, 400.0
    lives_h, repairs_h = {"press": 70.25, "saw": 45.25}, {"press": 6.37, "saw": 3.1}
    types = [
        machine(lives_h[name], renewal(duration_h=repairs_h[name], spares=PART), shape=0.0, name=name)
        for name in lives_h
    ]
    left = {"press": np.arange(4) * 16 + 3.25, "saw": np.arange(5) * 9 + 1.75}
    forked = worn(
        shop(*((each, len(left[each.name])) for each in types)),
        {name: 1.0 - left_h / lives_h[name] for name, left_h in left.items()},
    )
    asked = scenario(
        replace(policy, review_h=window_h), step_h=step_h, window_h=window_h, horizon_h=horizon_h, resources=resources
    )  # fmt: skip
    outcome = replicate(forked, asked, asked.arms[0], 0, as_known)

    machines = []
    for name, kind in forked.types.items():
        keys = np.array([life_key(asked.seed, 0, key, 0) for key in kind.keys], np.uint64)
        ages = stepping.uniforms(keys, CHOICE, 16) * policy.every_h * HOUR_US
        machines += [
            Machine(
                device_id, round(repairs_h[name] * HOUR_US), lives_h[name] * HOUR_US, left_h * HOUR_US,
                renewed=-int(age) if policy is BY_AGE else 0,
            )
            for device_id, left_h, age in zip(kind.ids.to_pylist(), left[name].tolist(), ages.tolist(), strict=True)
        ]  # fmt: skip
    spare = resources.spares.get("part", Spare(1000))
    rules = Shop(
        resources.crews or 0, spare.stock, round(spare.lead_h * HOUR_US), round(resources.unplanned_delay_h * HOUR_US),
        policy.every_h * HOUR_US if policy is BY_AGE else np.inf,
    )  # fmt: skip
    came = by_windows(
        machines, rules, round(step_h * HOUR_US), round(window_h * HOUR_US), round(horizon_h * HOUR_US)
    )

    work = [
        Work(
            each["device_id"], each["planned"],
            *(round(each[name] * HOUR_US) for name in ("asked_h", "begins_h", "ends_h")),
        )
        for each in outcome.tables["work"].to_pylist()
    ]  # fmt: skip
    assert work == came.work
    assert {each.planned for each in work} == ({True, False} if policy is BY_AGE else {False})
    devices = outcome.tables["devices"]
    failed = dict(zip(devices["device_id"].to_pylist(), devices["failures"].to_pylist(), strict=True))
    assert failed == {m.name: sum(name == m.name for name, _ in came.failures) for m in machines}
    assert total(devices, "downtime_h") == pytest.approx(came.down / HOUR_US, abs=SECOND_US / HOUR_US)


@pytest.mark.parametrize("policy", [BY_AGE, RUN_ON])
def test_where_luck_decides_it_is_to_be_expected_alike(policy: Policy) -> None:
    machines, life_h, shape, repair_h, horizon_h, step_h = 6, 80.0, 2.0, 6.0, 300.0, 0.5
    resources = replace(RESOURCES, spares={"part": Spare(4, 24.0)}, duration="exponential")
    asked = replace(
        scenario(replace(policy, review_h=step_h), step_h=step_h, window_h=step_h, horizon_h=horizon_h, resources=resources),
        replications=30, seed=7,
    )  # fmt: skip
    forked = shop((machine(life_h, renewal(duration_h=repair_h, spares=PART), shape=shape), machines))
    results = Experiment(asked, forked, ANY_LIFE).run()
    buckets = results.tables["buckets"]
    ran = {name: buckets[name].to_numpy() for name in ("failures", "downtime_h", "planned", "unplanned")}

    rules = Shop(
        2, 4, 24.0, resources.unplanned_delay_h, policy.every_h if policy is BY_AGE else np.inf
    )  # fmt: skip
    cames = [
        by_the_moment(machines, rules, lambda luck: luck.weibullvariate(life_h, shape), repair_h, horizon_h, seed)
        for seed in range(400)
    ]  # fmt: skip

    def apart(name: str, others: list[float], slack: float) -> None:
        """The engine may be further from SimPy by ``slack`` than luck explains, but for one time in a thousand."""
        found = stats.ttest_ind(ran[name], others, equal_var=False).confidence_interval(0.999)
        assert found.low <= slack
        assert -slack <= found.high
        assert found.high - found.low < 0.35 * max(np.mean(others), 1.0)

    visits = np.mean([len(came.work) for came in cames])
    apart("failures", [len(came.failures) for came in cames], 0.0)
    apart("unplanned", [sum(not each.planned for each in came.work) for came in cames], 0.0)
    apart("planned", [sum(each.planned for each in came.work) for came in cames], 0.0)
    apart("downtime_h", [came.down for came in cames], step_h * visits)
