"""A run is what the simulator and live twins would have done, and nothing but its keys decides what comes of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.twins.whatif.forked import SimulatedFleet, pumps, with_wear
from twins.clock import HOUR_US
from twins.physics import PhysicsState
from twins.shard import Shard
from twins.whatif.forks import Fork, ForkedType, fork
from twins.whatif.outcomes import TABLES, Outcome
from twins.whatif.presence import as_known
from twins.whatif.replication import replicate
from twins.whatif.scenarios import (
    AmbientChange,
    Arm,
    CostChange,
    FaultInjection,
    Growth,
    Intervention,
    LoadChange,
    Operator,
    PlannedWork,
    Policy,
    Resources,
    Retirement,
    Scenario,
    SensorInjection,
    Span,
    Spare,
)
from twins.whatif.tracing import Tracing

HORIZON_H = 12.0
ALONE = Operator(present=False)
SCENARIO = Scenario(
    name="s", arms=(Arm("as-is"),), horizon_h=HORIZON_H, bucket_h=6.0, seed=11, keep=("work", "events", "devices")
)  # fmt: skip


@pytest.fixture(scope="module")
def fleet() -> SimulatedFleet:
    return SimulatedFleet(pumps())


@pytest.fixture(scope="module")
def worn() -> Fork:
    """Pumps of which some fail within hours, others within days."""
    return with_wear(SimulatedFleet(pumps(), count=6, seed=5, wear=(0.0, 0.3)).fork, 0.98, 0.9999)


def as_it_is(forked: ForkedType, seed: int, replication: int) -> PhysicsState:
    """The very devices, with the luck that they have."""
    assert forked.physics is not None
    return forked.physics


def run(
    forked: Fork, *interventions: Intervention, policy: Policy | None = None, number: int = 0, tile: int = 256,
    scenario: Scenario = SCENARIO, arm: Arm | None = None, tracing: Tracing | None = None,
) -> Outcome:  # fmt: skip
    arm = arm or Arm("as-is", policy=policy or Policy(), interventions=interventions)
    return replicate(forked, scenario, arm, number, as_known, tile=tile, tracing=tracing)


def total(outcome: Outcome, column: str) -> float:
    return float(pc.sum(outcome.tables["buckets"][column]).as_py())


def trace(outcome: Outcome, device_id: str, quantity: str) -> np.ndarray:
    assert outcome.traces is not None
    chosen = outcome.traces.filter(
        pc.and_(
            pc.equal(outcome.traces["device_id"], device_id), pc.equal(outcome.traces["quantity"], quantity)
        )
    )
    return np.asarray(chosen["value"].to_numpy())


def test_does_what_simulator_and_live_twins_do(fleet: SimulatedFleet) -> None:
    alone = replace(SCENARIO, operator=ALONE)
    arm = Arm("as-is", policy=Policy("nothing"))
    outcome = replicate(fleet.fork, alone, arm, 0, as_it_is, tracing=Tracing(fleet.ids))
    fleet.go_on(HORIZON_H)

    for device_id in fleet.ids:
        for quantity, values in fleet.seen(device_id).items():
            np.testing.assert_array_equal(
                trace(outcome, device_id, quantity), values, err_msg=f"{device_id} {quantity}"
            )
    told = outcome.tables["events"].select(["at_h", "device_id", "rule", "kind"]).to_pydict()
    assert fleet.events()
    assert sorted(zip(*told.values(), strict=True)) == fleet.events()


@pytest.mark.parametrize("tile", [1, 3, 7])
def test_comes_to_the_same_however_it_is_cut(worn: Fork, tile: int) -> None:
    policy = Policy("threshold", when="health < 70", review_h=1)
    scenario = replace(SCENARIO, resources=Resources(crews=1, unplanned_delay_h=1))
    whole, cut = (run(worn, policy=policy, scenario=scenario, tile=each) for each in (256, tile))
    assert whole.tables == cut.tables


def test_comes_to_the_same_whatever_shards_twins_lived_in(fleet: SimulatedFleet) -> None:
    meta, arrays = fleet.shard.snapshot()
    ids = [fleet.shard.roster.index[row] for row in range(len(fleet.shard))]
    parts = [np.array([row for row in range(len(ids)) if row % 3 == k]) for k in range(3)]
    shards = [Shard.restore(meta, arrays, only=part) for part in parts]
    one, many = fork([fleet.shard], fleet.now_us), fork(reversed(shards), fleet.now_us)
    assert one.block() == many.block()


def test_a_fork_comes_back_from_its_block(worn: Fork) -> None:
    again = Fork.from_block(bytes(worn.block()))
    assert again.block() == worn.block()
    assert run(again).tables == run(worn).tables


def test_replications_have_luck_of_their_own_and_arms_share_it(worn: Fork) -> None:
    first, second = run(worn), run(worn, number=1)
    assert first.tables["events"] != second.tables["events"]
    other = run(worn, arm=Arm("other"))
    for name in TABLES:
        assert first.tables[name].drop(["arm"]) == other.tables[name].drop(["arm"])


def test_a_fork_is_left_as_it_was(worn: Fork) -> None:
    before = bytes(worn.block())
    run(worn, FaultInjection("bearing-wear", damage=0.9))
    assert bytes(worn.block()) == before


def test_what_fails_stands_until_it_is_mended(worn: Fork) -> None:
    left = run(worn, policy=Policy("nothing"))
    assert total(left, "failures") > 0
    assert total(left, "unplanned") == 0
    mended = run(worn, scenario=replace(SCENARIO, resources=Resources(unplanned_delay_h=0.0)))
    assert total(mended, "unplanned") > 0
    assert total(mended, "downtime_h") < total(left, "downtime_h")
    work = mended.tables["work"].to_pylist()
    for each in work:
        assert not each["planned"]
        assert each["failure_mode"]
        assert each["asked_h"] <= each["begins_h"] < each["ends_h"]


def test_the_workshop_has_no_more_crews_than_it_has(worn: Fork) -> None:
    scenario = replace(SCENARIO, horizon_h=72.0, resources=Resources(crews=1, unplanned_delay_h=0.0))
    work = run(worn, scenario=scenario).tables["work"].sort_by("begins_h").to_pylist()
    assert len(work) > 1
    for one, after in pairwise(work):
        assert one["ends_h"] <= after["begins_h"]


def test_parts_that_are_not_there_hold_work_up(worn: Fork) -> None:
    part = next(name for action in pumps().actions for name in action.spares)
    scarce = Resources(unplanned_delay_h=0.0, spares={part: Spare(stock=0)})
    users = {action.name for action in pumps().actions if part in action.spares}
    work = run(worn, scenario=replace(SCENARIO, resources=scarce)).tables["work"].to_pylist()
    assert not [each for each in work if each["action"] in users]


def test_planned_work_is_done_in_the_shift(worn: Fork) -> None:
    resources = Resources(shift=(7.0, 15.0), weekends=False)
    scenario = replace(SCENARIO, horizon_h=168.0, bucket_h=24.0, resources=resources)
    policy = Policy("fixed_interval", every_h=100.0)
    work = run(worn, policy=policy, scenario=scenario).tables["work"].to_pylist()
    planned = [each for each in work if each["planned"]]
    assert planned
    for each in planned:
        at_h = worn.at_us / HOUR_US + each["begins_h"]
        assert 7.0 <= at_h % 24.0 < 15.0
        assert (at_h // 24.0 + 3) % 7 < 5


def test_a_threshold_prevents_failures_that_running_on_does_not(worn: Fork) -> None:
    scenario = replace(SCENARIO, horizon_h=240.0, bucket_h=24.0)
    run_on = run(worn, scenario=scenario)
    looked = run(worn, policy=Policy("threshold", when="health < 80", review_h=1), scenario=scenario)
    assert total(looked, "planned") > 0
    assert total(looked, "failures") < total(run_on, "failures")


def test_costs_are_those_of_the_arm(worn: Fork) -> None:
    scenario = replace(SCENARIO, resources=Resources(unplanned_delay_h=0.0))
    dear = Arm("dear", costs={"centrifugal-pump": CostChange(downtime_per_h=9000.0)})
    usual, changed = run(worn, scenario=scenario), run(worn, arm=dear, scenario=scenario)
    assert total(changed, "downtime_cost") == pytest.approx(10 * total(usual, "downtime_cost"))
    assert total(changed, "maintenance_cost") == total(usual, "maintenance_cost")


def test_more_load_draws_more_power_where_it_is_asked(worn: Fork) -> None:
    oslo = "site = 'oslo'"
    more = run(worn, LoadChange(1.4, devices=oslo))
    usual = run(worn)
    energy = [
        dict(zip(each.tables["devices"]["device_id"].to_pylist(),
                 each.tables["devices"]["energy_kwh"].to_pylist(), strict=True))
        for each in (usual, more)
    ]  # fmt: skip
    for device_id in energy[0]:
        if device_id.startswith("oslo"):
            assert energy[1][device_id] >= energy[0][device_id]
        else:
            assert energy[1][device_id] == energy[0][device_id]
    assert sum(energy[1].values()) > sum(energy[0].values())


def test_it_is_warmer_while_it_is(fleet: SimulatedFleet) -> None:
    device_id = fleet.ids[0]
    tracing = Tracing((device_id,))
    warm = run(fleet.fork, AmbientChange(20.0, span=Span(4.0, 8.0)), tracing=tracing)
    usual = run(fleet.fork, tracing=tracing)
    apart = trace(warm, device_id, "bearing_temperature") - trace(usual, device_id, "bearing_temperature")
    assert (apart[: 4 * 60] == 0).all()
    assert apart[5 * 60 : 8 * 60].mean() == pytest.approx(2.0, abs=0.2)
    assert abs(apart[10 * 60 :]).max() < 0.2


def test_a_fault_lets_devices_fail(fleet: SimulatedFleet) -> None:
    usual = run(fleet.fork)
    hurt = run(fleet.fork, FaultInjection("bearing-wear", damage=0.99, speed=200.0, span=Span(2.0)))
    assert total(hurt, "failures") > total(usual, "failures")


def test_a_stuck_sensor_says_one_thing(fleet: SimulatedFleet) -> None:
    device_id = fleet.ids[0]
    stuck = SensorInjection("flow", "stuck", devices=f"id = '{device_id}'", span=Span(3.0, 6.0))
    told = trace(run(fleet.fork, stuck, tracing=Tracing((device_id,))), device_id, "flow")
    assert len(set(told[3 * 60 : 6 * 60 - 1].tolist())) == 1
    assert len(set(told[6 * 60 :].tolist())) > 10


def test_devices_come_and_go(fleet: SimulatedFleet) -> None:
    come = Growth("centrifugal-pump", 2, site="lyon", span=Span(6.0))
    go = Retirement(devices="site = 'oslo'", span=Span(3.0))
    scenario = replace(SCENARIO, group_by="site", bucket_h=3.0, arms=(Arm("x", interventions=(come, go)),))
    outcome = run(fleet.fork, scenario=scenario, arm=scenario.arms[0])
    served = {
        (each["start_h"], each["group"]): each["service_h"] for each in outcome.tables["buckets"].to_pylist()
    }
    assert [round(served[h, "oslo"], 1) for h in (0.0, 3.0, 6.0, 9.0)] == [9.0, 0.0, 0.0, 0.0]
    assert [round(served[h, "lyon"], 1) for h in (0.0, 3.0, 6.0, 9.0)] == [0.0, 0.0, 6.0, 6.0]


def test_work_can_be_asked_for(fleet: SimulatedFleet) -> None:
    action = pumps().actions[0].name
    asked = PlannedWork(action, devices="site = 'porto'", span=Span(2.0))
    work = run(fleet.fork, asked).tables["work"]
    assert sorted(work["device_id"].to_pylist()) == [each for each in fleet.ids if each.startswith("porto")]
    assert set(work["action"].to_pylist()) == {action}


def test_somebody_answers_alerts_or_nobody(worn: Fork) -> None:
    answered, alone = run(worn), run(worn, scenario=replace(SCENARIO, operator=ALONE))
    assert total(answered, "acknowledged") > 0
    assert total(alone, "acknowledged") == 0
    wait_s = answered.tables["runs"]["time_to_acknowledge_s"][0].as_py()
    assert 60.0 < wait_s < 1500.0


def test_other_rules_raise_other_alerts(worn: Fork) -> None:
    quiet = Arm("quiet", rules={"centrifugal-pump": ()})
    assert len(run(worn, arm=quiet).tables["events"]) == 0
    assert len(run(worn).tables["events"]) > 0


def test_tables_have_the_form_that_is_said(worn: Fork) -> None:
    outcome = run(worn)
    assert {name: table.schema for name, table in outcome.tables.items()} == dict(TABLES)
    service_h = float(pc.sum(outcome.tables["devices"]["service_h"]).as_py())
    assert service_h == pytest.approx(total(outcome, "service_h"))
    assert isinstance(outcome.tables["runs"], pa.Table)
