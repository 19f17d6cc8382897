"""What a scenario takes, counted beforehand."""

from dataclasses import replace

import pytest

from twins.physics import blank_physics
from twins.state import blank_state
from twins.typefiles import load_catalog
from twins.whatif.costing import BESIDE_STATE, IDLE_DEVICES, RATE_CHANNELS, device_bytes, estimate
from twins.whatif.scenarios import Arm, Base, Growth, Policy, Scenario, Span, Stopping

TYPES = load_catalog()
TWO = Scenario("a", (Arm("b"), Arm("c")), horizon_h=720.0, step_s=60.0, replications=20)


def test_steps_are_counted() -> None:
    cost = estimate(TWO, {"centrifugal-pump": 100, "chiller": 10}, TYPES)
    assert cost.device_steps == cost.most_device_steps == 2 * 20 * 110 * 43_200
    assert (cost.replications, cost.most_replications) == (20, 20)


def test_devices_that_come_are_there_from_the_start() -> None:
    growing = replace(
        TWO, arms=(Arm("b"), Arm("c", interventions=(Growth("chiller", 5, span=Span(every_h=168.0)),)))
    )
    assert estimate(growing, {"chiller": 10}, TYPES).device_steps == 20 * (10 + 35) * 43_200
    assert estimate(growing, {"chiller": 10}, TYPES).worker_bytes == 35 * device_bytes(TYPES["chiller"])


def test_with_stopping_there_is_a_least_and_a_most() -> None:
    cost = estimate(replace(TWO, stopping=Stopping(at_least=10, at_most=500)), {"chiller": 1}, TYPES)
    assert cost.most_device_steps == 50 * cost.device_steps
    assert cost.most_seconds == pytest.approx(50 * cost.seconds)
    assert cost.most_result_bytes == pytest.approx(50 * cost.result_bytes, rel=1e-3)


def test_time_is_steps_by_rate_and_cores() -> None:
    pumps = {"centrifugal-pump": 100}
    assert len(TYPES["centrifugal-pump"].channels) == RATE_CHANNELS
    one = estimate(TWO, pumps, TYPES, rate=2e6)
    assert one.seconds == pytest.approx(one.device_steps / 2e6 * (100 + IDLE_DEVICES) / 100)
    assert estimate(TWO, pumps, TYPES, rate=2e6, cores=4).seconds == pytest.approx(one.seconds / 4)
    assert estimate(TWO, {"turbofan": 100}, TYPES, rate=2e6).seconds == pytest.approx(27 / 11 * one.seconds)
    many = estimate(TWO, pumps, TYPES, rate=2e6, cores=64)
    assert many.workers == 40
    assert many.seconds == pytest.approx(one.seconds / 40)
    three = estimate(TWO, pumps, TYPES, rate=2e6, cores=3)
    assert three.seconds == pytest.approx(one.seconds / 40 * 14)  # the last round has one run


def test_a_simulated_fleet_runs_before_the_fork() -> None:
    cost = estimate(replace(TWO, base=Base("fleet", fleet="f.yaml", warm_up_h=72.0)), {"chiller": 10}, TYPES)
    assert cost.device_steps == 10 * (40 * 43_200 + 4320)


def test_memory_is_that_of_the_arrays() -> None:
    for device_type in (TYPES["centrifugal-pump"], TYPES["turbofan"], TYPES["temperature-sensor"]):
        arrays = blank_state(5000, device_type).nbytes + sum(
            a.nbytes for a in blank_physics(5000, device_type)
        )
        assert 5000 * (device_bytes(device_type) - BESIDE_STATE) == pytest.approx(arrays, rel=0.02)


def test_what_is_kept_takes_room() -> None:
    pumps = {"centrifugal-pump": 100}
    sizes = [
        estimate(replace(TWO, keep=keep, group_by="site"), pumps, TYPES, sites=3).result_bytes
        for keep in ((), ("work",), ("work", "devices"), ("work", "devices", "events"))
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4
    often = replace(TWO, arms=(Arm("b", policy=Policy("fixed_interval", every_h=24.0)),))
    assert estimate(often, pumps, TYPES).result_bytes > 20 * 100 * 30 * 100
    nothing = replace(TWO, arms=(Arm("b", policy=Policy("nothing")),))
    assert (
        estimate(nothing, pumps, TYPES).result_bytes
        == estimate(replace(nothing, keep=()), pumps, TYPES).result_bytes
    )


@pytest.mark.parametrize("wrong", [{"cores": 0}, {"rate": 0.0}, {"rate": float("nan")}])
def test_no_cores_are_a_mistake(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        estimate(TWO, {}, TYPES, **wrong)
