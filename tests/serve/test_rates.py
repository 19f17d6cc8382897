"""How often one caller may ask, against the rule in one line, and at the door."""

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from serve import rates
from serve.rates import BURST_S, Rates
from tests.serve.edges import PASSWORD, edge

PER_S = 5.0


@given(st.lists(st.tuples(st.floats(0, 2, allow_nan=False), st.sampled_from("ab")), max_size=200))
@settings(max_examples=100)
def test_nobody_gets_more_than_the_rate_and_whoever_waits_as_told_gets_in(
    asked: list[tuple[float, str]],
) -> None:
    now = 0.0
    limit = Rates(PER_S, lambda: now)
    passed: dict[str, list[float]] = {"a": [], "b": []}
    for pause, who in asked:
        now += pause
        wait_s = limit.wait_s(who)
        if wait_s:
            now += wait_s + 1e-9
            assert limit.wait_s(who) == 0, "it was told when to come back"
        passed[who].append(now)
        for first in range(len(passed[who])):
            span = now - passed[who][first]
            assert len(passed[who]) - first <= PER_S * (BURST_S + span) + 1


def test_one_caller_costs_no_other() -> None:
    limit = Rates(PER_S, lambda: 0.0)
    while not limit.wait_s("eager"):
        pass
    assert limit.wait_s("patient") == 0


def test_callers_beyond_number_are_forgotten_the_quietest_first() -> None:
    limit = Rates(PER_S, lambda: 0.0)
    for n in range(rates._REMEMBERED + 10):
        limit.wait_s(f"caller-{n}")
    assert len(limit._buckets) == rates._REMEMBERED


def test_who_never_pauses_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with edge(tmp_path, requests_per_s=4.0) as it:
            it.member("kari", "viewer")
            begun = it.context.access.sessions.log_in("kari", PASSWORD, "program")
            token = it.context.access.sessions.access_token(begun.principal)[0]
            headers = {"Authorization": f"Bearer {token}"}
            answers = [await it.client.get("/api/me", headers=headers) for _ in range(40)]
            refused = [answer for answer in answers if answer.status_code == 429]
            assert {answer.status_code for answer in answers} == {200, 429}
            assert len(answers) - len(refused) >= 4 * BURST_S
            assert refused[0].json()["code"] == "rate.exceeded"
            assert int(refused[0].headers["retry-after"]) >= 1
            mine = await it.client.get("/api/devices")
            assert mine.status_code == 200, "this machine's own commands are not counted"

    asyncio.run(test())
