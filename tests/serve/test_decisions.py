"""Decisions about recommendations: kept, held against what has changed since, and acted on over HTTP."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve import audit
from serve.accounts import Actor
from serve.database import Database
from serve.decisions import DONE_STANDS_US, UNTRIED, Basis, Decision, Decisions, Known, Tally
from serve.schemas.recommendations import Decided, RecommendationDetail
from tests.serve.edges import T0, Edge, edge
from twins.clock import SECOND_US, VirtualClock
from twins.errors import CommandRefusedError

KARI, OLA = Actor("kari"), Actor("ola")
NOTHING = Known(None, stands=False)
BASIS = Basis(
    "hall/pump:1", "pump", "bearing-wear", 2, ("alert:vibration-high",), "replace-bearing", 0.4, 900.0, 500.0, 400.0
)  # fmt: skip


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(T0)


@pytest.fixture
def decisions(database: Database, clock: VirtualClock) -> Decisions:
    return Decisions(database, clock)


def known(decision: Decision) -> Known:
    return Known(decision, stands=True)


def test_what_was_accepted_is_done_in_the_same_row(decisions: Decisions, clock: VirtualClock) -> None:
    taken = decisions.accept(KARI, BASIS, NOTHING, "on Tuesday")
    assert decisions.newest() == [taken]
    clock.advance_to(T0 + 60 * SECOND_US)
    later = replace(BASIS, signs=("alert:dry",), cost_nothing=7.0, action="grease", life_cycle=3)
    done = decisions.finish(OLA, later, known(taken), "fault_confirmed", "pitted", "key:1")
    assert decisions.of_device("hall/pump:1") == {"bearing-wear": done}
    assert (done.id, done.state, done.by, done.accepted_by, done.accepted_us) == (
        taken.id,
        "done",
        "ola",
        "kari",
        T0,
    )
    assert (done.basis.cost_nothing, done.basis.action, done.basis.life_cycle) == (900.0, "grease", 3)
    assert done.basis.signs == ("alert:dry", "alert:vibration-high")
    assert (done.verdict, done.scored_us) == ("hit", None)
    with pytest.raises(CommandRefusedError, match="ola has done it"):
        decisions.dismiss(KARI, BASIS, known(done), "x", None)


def test_a_new_decision_takes_the_place_of_one_that_stands_no_longer(decisions: Decisions) -> None:
    first = decisions.dismiss(KARI, BASIS, NOTHING, "a loose sensor", None)
    second = decisions.accept(OLA, BASIS, Known(first, stands=False), "")
    assert second.id != first.id
    assert decisions.newest() == [second]
    third = decisions.dismiss(OLA, BASIS, known(second), "not now", T0 + SECOND_US)
    assert (third.id, third.until_us) == (second.id, T0 + SECOND_US)
    assert decisions.accept(OLA, BASIS, known(third), "").until_us is None


def test_two_who_decide_at_once_do_not_undo_each_other(decisions: Decisions) -> None:
    taken = decisions.accept(KARI, BASIS, NOTHING, "")
    assert decisions.accept(KARI, BASIS, known(taken), "") == taken
    with pytest.raises(CommandRefusedError, match="kari has accepted it"):
        decisions.accept(OLA, BASIS, known(taken), "")
    with pytest.raises(CommandRefusedError, match="kari has just decided"):
        decisions.accept(OLA, BASIS, NOTHING, "")
    other = replace(BASIS, failure_mode="")
    assert decisions.accept(OLA, other, NOTHING, "").basis.recommendation == "hall/pump:1:?"
    assert len(decisions.newest()) == 2


def test_each_change_has_its_line_in_the_audit(decisions: Decisions, database: Database) -> None:
    taken = decisions.accept(KARI, BASIS, NOTHING, "on Tuesday")
    decisions.finish(OLA, BASIS, known(taken), "no_fault_found", "", "key:1")
    lines = [(line.by, line.what, line.subject, line.detail) for line in audit.lines(database).items]
    assert lines == [
        ("ola", "recommendation.done", "hall/pump:1:bearing-wear", {"note": "", "outcome": "no_fault_found"}),
        ("kari", "recommendation.accepted", "hall/pump:1:bearing-wear", {"note": "on Tuesday"}),
    ]


def test_a_decision_stands_until_something_new_speaks_for_the_mode() -> None:
    aside = Decision("x", BASIS, "dismissed", "kari", T0, "why")
    seen = {"alert:vibration-high": T0 - 1}
    assert aside.stands(2, seen, T0)
    assert aside.stands(2, {}, T0)
    assert not aside.stands(3, seen, T0), "another life-cycle"
    assert not aside.stands(2, {**seen, "prognosis:bearing-wear": 0}, T0), "a sign joined"
    assert not aside.stands(2, {"alert:vibration-high": T0 + 1}, T0), "it was raised again"
    until = replace(aside, until_us=T0 + 5)
    assert until.stands(2, seen, T0 + 4)
    assert not until.stands(2, seen, T0 + 5)
    taken = replace(aside, state="accepted")
    assert taken.stands(2, {"alert:dry": T0 + 9}, T0)
    assert not taken.stands(3, seen, T0)
    done = replace(aside, state="done")
    assert done.stands(2, seen, T0 + DONE_STANDS_US - 1)
    assert not done.stands(2, seen, T0 + DONE_STANDS_US)


def test_decisions_are_counted_by_what_came_of_them(decisions: Decisions) -> None:
    verdicts: list[Any] = ["hit", "hit", "false", "missed", "unclear", None]
    for number, verdict in enumerate(verdicts):
        basis = replace(BASIS, device_id=f"d{number}")
        made = decisions.dismiss(KARI, basis, NOTHING, "x", None)
        known_cost = 100.0 if verdict in ("false", "missed") else None
        decisions.keep_scores([replace(made, verdict=verdict, scored_us=T0, cost=known_cost)])
    decisions.finish(KARI, replace(BASIS, failure_mode=""), NOTHING, "fault_confirmed", "", "key")
    other, tally = decisions.tallies()
    assert (other.failure_mode, other.hits, other.expected, other.actual) == ("", 1, None, None)
    assert (tally.decisions, tally.hits, tally.false, tally.missed, tally.unclear, tally.pending) == (
        6,
        2,
        1,
        1,
        1,
        1,
    )
    assert (tally.expected, tally.actual) == (1800.0, 200.0)
    assert tally.confirmed == 4 / 6  # Beta(1 + 3, 1 + 1)
    assert Tally("pump", "", 0, 0, 0, 0, 0, 0, None, None).confirmed == UNTRIED


def test_decisions_that_lapse_by_themselves_are_not_read(decisions: Decisions, clock: VirtualClock) -> None:
    decisions.dismiss(KARI, BASIS, NOTHING, "later", T0 + SECOND_US)
    kept = decisions.dismiss(KARI, replace(BASIS, device_id="b"), NOTHING, "never", None)
    decisions.finish(KARI, replace(BASIS, device_id="c"), NOTHING, "other", "", "key")
    assert len(decisions.newest()) == 3
    clock.advance_to(T0 + DONE_STANDS_US)
    assert decisions.newest() == [kept]


WORN = "pump-01:bearing-wear"


async def worn(it: Edge, at_s: float = 1, device: str = "pump-01") -> None:
    await it.read(device, at_s, {"vibration": 9.3, "flow": 100})
    await it.fresh()


async def listed(it: Edge, **query: Any) -> list[tuple[str, str | None]]:
    items = (await it.get("/api/recommendations", **query))["items"]
    return [(each["id"], each["decision"] and each["decision"]["state"]) for each in items]


def test_accepted_and_done_with_what_was_found(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await worn(it)
        kari = it.member("kari")
        place = f"/api/recommendations/{WORN}"
        taken = await it.post(f"{place}/accept", {"note": "on Tuesday"}, **kari)
        Decided.model_validate(taken)
        assert await listed(it) == [(WORN, "accepted")]
        assert await listed(it, decision="open") == []
        assert await listed(it, filter="decision = 'accepted'") == [(WORN, "accepted")]
        assert (await it.get("/api/devices/pump-01/recommendations"))["items"][0]["decision"] == taken[
            "decision"
        ]
        assert (await it.post(f"{place}/accept", {}, 409, **it.member("ola")))["code"] == "command.refused"

        body = {"outcome": "fault_confirmed", "action": "replace-bearing", "note": "pitted"}
        again = {**kari, "Idempotency-Key": "once"}
        done = await it.post(f"{place}/done", body, **again)
        assert (await it.post(f"{place}/done", body, **again))["decision"] == done["decision"]
        assert (done["decision"]["state"], done["decision"]["outcome"]) == ("done", "fault_confirmed")
        (record,) = (await it.get("/api/maintenance"))["items"]
        assert (record["kind"], record["action"], record["failure_mode"], record["note"], record["by"]) == (
            "replacement", "replace-bearing", "bearing-wear", "pitted", "kari",
        )  # fmt: skip
        assert (await it.get("/api/devices/pump-01"))["life_cycle"] == 1
        assert await listed(it, cursor=done["cursor"]) == []
        assert await listed(it, decision="done") == [(WORN, "done")]
        assert (await it.post(f"{place}/done", body, 409, **kari))["code"] == "command.refused"

    run(tmp_path, test)


def test_dismissed_until_something_new_speaks_for_it(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await worn(it)
        place = f"/api/recommendations/{WORN}"
        assert (await it.post(f"{place}/dismiss", {}, 422))["code"] == "request.invalid"
        past = {"reason": "x", "until": "2020-01-01T00:00:00Z"}
        assert (await it.post(f"{place}/dismiss", past, 400))["code"] == "request.unfit"
        answer = await it.post(f"{place}/dismiss", {"reason": "a loose sensor"})
        assert (answer["decision"]["note"], answer["decision"]["until"]) == ("a loose sensor", None)
        assert await listed(it) == []
        assert await listed(it, decision="dismissed,open") == [(WORN, "dismissed")]
        await it.read("pump-01", 5, {"vibration": 1.0, "flow": 100})
        await it.post("/api/alerts/pump-01:vibration-high:1/acknowledge", {})
        await worn(it, 9)  # raised again
        assert await listed(it) == [(WORN, None)]

        for act, body in [("accept", {}), ("dismiss", {"reason": "x"}), ("done", {"outcome": "other"})]:
            for wrong in ("pump-01:clogging", "pump-01:%3F"):
                code = (await it.post(f"/api/recommendations/{wrong}/{act}", body, 404))["code"]
                assert code == "recommendation.not_found"
            gone = await it.post(f"/api/recommendations/pump-99:x/{act}", body, 404)
            assert gone["code"] == "device.not_found"
        assert (await it.get("/api/recommendations/pump-01", 404))["code"] == "recommendation.not_found"

    run(tmp_path, test)


def test_what_was_accepted_can_be_done_when_its_signs_are_gone(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await worn(it)
        place = f"/api/recommendations/{WORN}"
        await it.post(f"{place}/accept", {})
        await it.read("pump-01", 5, {"vibration": 1.0, "flow": 100})
        await it.post("/api/alerts/pump-01:vibration-high:1/acknowledge", {})
        assert (await it.get("/api/devices/pump-01/recommendations"))["items"] == []
        done = await it.post(f"{place}/done", {"outcome": "no_fault_found"})
        assert done["decision"]["action"] is None
        (record,) = (await it.get("/api/maintenance"))["items"]
        assert (record["kind"], record["action"], record["failure_mode"]) == ("inspection", None, None)

    run(tmp_path, test)


def test_an_answer_that_was_kept_is_old_once_somebody_decides(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await worn(it)
        held = it.context.live
        view = held.view
        held.refresh = lambda: view  # type: ignore[method-assign]  # the live table stands still
        tag = (await it.client.get("/api/recommendations")).headers["ETag"]
        assert (
            await it.client.get("/api/recommendations", headers={"If-None-Match": tag})
        ).status_code == 304
        await it.post(f"/api/recommendations/{WORN}/accept", {})
        assert (
            await it.client.get("/api/recommendations", headers={"If-None-Match": tag})
        ).status_code == 200

    run(tmp_path, test)


def test_one_recommendation_tells_of_past_cases(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        async def record(device: str, kind: str, at: str, **said: Any) -> None:
            await it.post(f"/api/devices/{device}/maintenance", {"kind": kind, "at": at, **said})

        await worn(it, 1, "pump-02")
        await worn(it, 1, "pump-03")
        await worn(it)
        one = await it.get(f"/api/recommendations/{WORN}")
        RecommendationDetail.model_validate(one)
        none = {"count": 0, "failed": 0, "warned": 0, "warning_h": None, "newest": []}
        assert one["cases"] == none
        # T0 is 2025-10-09T08:53:20Z: failures two and four hours after the alert, one that no alert told of
        mode = {"failure_mode": "bearing-wear"}
        await record("pump-02", "failure", "2025-10-09T10:53:21Z", note="seized", **mode)
        await record("pump-02", "repair", "2025-10-09T12:53:21Z", **mode)  # of that failure
        await record("pump-03", "failure", "2025-10-09T12:53:21Z", **mode)
        await record("pump-04", "failure", "2025-10-01T12:00:00Z", **mode)
        await record("pump-05", "replacement", "2025-10-01T12:00:00Z", action="replace-bearing")
        await record("pump-05", "inspection", "2025-10-02T12:00:00Z", **mode)
        await record("pump-05", "failure", "2025-10-03T12:00:00Z", failure_mode="clogging")
        await record("meter/ås:1", "failure", "2025-10-03T12:00:00Z", **mode)
        cases = (await it.get(f"/api/recommendations/{WORN}"))["cases"]
        assert (cases["count"], cases["failed"], cases["warned"]) == (4, 3, 2)
        assert cases["warning_h"] == 3.0
        assert [each["device_id"] for each in cases["newest"]] == ["pump-03", "pump-02", "pump-04", "pump-05"]
        assert cases["newest"][1]["note"] == "seized"

    run(tmp_path, test)
