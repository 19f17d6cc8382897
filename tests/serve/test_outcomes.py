"""What came of decisions: one by one against a clock, and from the records of a fleet."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve import outcomes
from serve.decisions import Decision
from serve.outcomes import FORGOTTEN_US, WAIT_US, WITHIN_US, score, verdict_of
from tests.serve.edges import PUMP, T0, Edge, edge
from tests.serve.test_decisions import BASIS, WORN, listed, worn
from twins import costs

DAY_S = 86_400

ASIDE = Decision("x", BASIS, "dismissed", "kari", T0, "why")
TAKEN = replace(ASIDE, state="accepted", accepted_us=T0)
FOUND = replace(ASIDE, state="done", outcome="fault_confirmed")
NOT_FOUND = replace(FOUND, outcome="no_fault_found")
OTHER = replace(FOUND, outcome="other")


@pytest.mark.parametrize(
    ("decision", "failed", "age_us", "expected"),
    [
        (ASIDE, None, WITHIN_US - 1, (None, False)),
        (ASIDE, None, WITHIN_US, ("false", True)),
        (ASIDE, T0 + 1, 2, ("missed", True)),
        (TAKEN, None, WITHIN_US, (None, False)),
        (TAKEN, T0 + 1, 2, ("missed", True)),
        (TAKEN, None, FORGOTTEN_US, ("unclear", True)),
        (FOUND, None, 0, ("hit", False)),
        (FOUND, None, WITHIN_US, ("hit", True)),
        (FOUND, T0 + 1, 2, ("hit", True)),
        (NOT_FOUND, None, 0, ("false", False)),
        (NOT_FOUND, T0 + 1, 2, ("missed", True)),
        (OTHER, None, WAIT_US - 1, (None, False)),
        (OTHER, None, WAIT_US, ("unclear", False)),
        (OTHER, None, WITHIN_US, ("unclear", True)),
        (OTHER, T0 + 1, 2, ("missed", True)),
    ],
)
def test_what_came_of_it(decision: Decision, failed: int | None, age_us: int, expected: Any) -> None:
    assert verdict_of(decision, failed, T0 + age_us) == expected


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


async def scored(it: Edge) -> int:
    context = it.context
    return await context.call(
        score, context.decisions, context.history, context.fleet.types, context.fleet.clock.now_us()
    )


def test_a_dismissed_device_that_fails_was_missed_and_counts_in_the_ranking(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        for device in ("pump-01", "pump-02", "pump-03"):
            await worn(it, 1, device)
            await it.post(f"/api/recommendations/{device}:bearing-wear/dismiss", {"reason": "x"})
        (tally,) = (await it.get("/api/recommendations/record"))["items"]
        assert (tally["decisions"], tally["pending"], tally["confirmed"]) == (3, 3, 0.5)
        it.clock.advance_to(T0 + 3 * DAY_S * 1_000_000)
        failure = {"kind": "failure", "note": "seized"}
        await it.post("/api/devices/pump-01/maintenance", {**failure, "failure_mode": "clogging"})
        await it.post("/api/devices/pump-02/maintenance", {**failure, "failure_mode": "bearing-wear"})
        await it.post("/api/devices/pump-03/maintenance", failure)
        assert await scored(it) == 2
        assert await scored(it) == 0
        (tally,) = (await it.get("/api/recommendations/record"))["items"]
        assert (tally["missed"], tally["pending"], tally["confirmed"]) == (2, 1, 0.75)
        assert (tally["type"], tally["failure_mode"], tally["title"]) == (
            "pump",
            "bearing-wear",
            "Bearing wear",
        )
        assert (tally["expected_cost"], tally["actual_cost"]) == (None, None)  # nothing was forecast
        items = (await it.get("/api/recommendations", decision="dismissed"))["items"]
        assert {each["confirmed"] for each in items} == {0.75}
        assert (await it.get("/api/devices/pump-01/recommendations"))["items"][0]["confirmed"] == 0.75
        it.clock.advance_to(T0 + 31 * DAY_S * 1_000_000)
        assert await scored(it) == 1
        (tally,) = (await it.get("/api/recommendations/record"))["items"]
        assert (tally["missed"], tally["false"], tally["confirmed"]) == (2, 1, 0.6)

    run(tmp_path, test)


def test_a_record_that_was_withdrawn_is_no_failure(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await worn(it)
        await it.post(f"/api/recommendations/{WORN}/dismiss", {"reason": "x"})
        it.clock.advance_to(T0 + DAY_S * 1_000_000)
        await it.post("/api/devices/pump-01/maintenance", {"kind": "failure"})
        (record,) = (await it.get("/api/maintenance"))["items"]
        gone = {"kind": "failure", "withdrawn": True, "reason": "another pump"}
        await it.post(f"/api/maintenance/{record['id']}/corrections", gone, **{"If-Match": "*"})
        assert await scored(it) == 0
        assert await listed(it) == []  # and it is dismissed as before

    run(tmp_path, test)


def test_what_it_came_to_is_the_act_and_the_failure() -> None:
    types = {"pump": replace(PUMP, downtime_cost_per_h=100.0)}
    plan = costs.plan(types["pump"], "bearing-wear", PUMP.actions[0])
    assert plan is not None
    done = replace(FOUND, basis=replace(BASIS, action="replace-bearing"))
    assert outcomes._cost(done, types, None) == plan.act == 550
    assert outcomes._cost(done, types, T0) == plan.act + plan.failure
    assert outcomes._cost(replace(done, basis=replace(BASIS, action=None)), types, None) == 0
    assert outcomes._cost(ASIDE, types, T0) == plan.failure
    assert outcomes._cost(ASIDE, types, None) == 0
    assert outcomes._cost(ASIDE, {}, None) is None
