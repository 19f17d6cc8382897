"""Rules rehearsed over the API: from some devices while one waits, from all as a job, and what is refused."""

import asyncio
from pathlib import Path
from typing import Any

from serve.schemas.rehearsals import Rehearsal
from tests.serve.edges import Edge, edge
from tests.serve.test_job_routes import ended
from training.rehearsal_jobs import KIND
from twins.clock import SECOND_US

SAME = (
    "rules:\n  - {name: vibration-high, when: vibration > %s, priority: high, consequence: c, response: r, "
    "on_delay_s: 0, off_delay_s: 0}\n"
)
YAML = {"Content-Type": "application/yaml"}
PATH = "/api/types/pump/rules/rehearse"


async def ask(it: Edge, path: str, rules: str, status: int = 200, **query: Any) -> Any:
    answer = await it.client.post(path, content=rules.encode(), headers=YAML, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def shaken(it: Edge) -> None:
    """Two pumps pass the limit, one of them by far, and come back."""
    for second, values in enumerate((2.0, 8.0, 2.0), 1):
        await it.read("pump-01", second, {"vibration": values})
        await it.read("pump-02", second, {"vibration": 2 * values})
    it.clock.advance_to(it.clock.now_us() + SECOND_US)
    await it.fresh()


def test_tells_which_alerts_rules_would_have_raised(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            await shaken(it)
            found = Rehearsal.model_validate(await ask(it, PATH, SAME % 9.5, days=0.5))
            assert (found.devices, found.of_devices, found.readings) == (6, 6, 6)
            assert (found.in_all.same, found.in_all.vanished, found.in_all.appeared) == (1, 1, 0)
            assert [(each.device_id, each.change) for each in found.examples] == [("pump-01", "vanished")]
            assert (found.peak.before, found.peak.after) == (2, 1)
            assert found.shortened == "history"  # the fleet is seconds old
            lower = Rehearsal.model_validate(await ask(it, PATH, SAME % 3.0, devices=3, seed=4))
            assert (lower.devices, lower.of_devices) == (3, 6)
            assert lower == Rehearsal.model_validate(await ask(it, PATH, SAME % 3.0, devices=3, seed=4))
            again = (await ask(it, "/api/types/pump/rules/validate", SAME % 9.5))["changes"]
            assert again  # nothing was put in force

    asyncio.run(story())


def test_all_devices_are_a_job_with_the_same_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            await shaken(it)
            job = await ask(it, "/api/types/pump/rules/rehearsals", SAME % 9.5, 202, days=0.5)
            assert job["kind"] == KIND
            job = await ended(it, job)
            assert (job["state"], job["message"]) == ("done", "6 of 6 devices"), job
            found = Rehearsal.model_validate(job["result"])
            assert found == Rehearsal.model_validate(await ask(it, PATH, SAME % 9.5, days=0.5))

    asyncio.run(story())


def test_what_cannot_be_rehearsed_is_refused_in_words(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            wrong = await ask(it, PATH, "rules:\n  - {name: x, when: heat > 1}\n", 422)
            assert wrong["code"] == "device_type.invalid"
            assert (await ask(it, PATH.replace("pump", "valve"), "rules: []", 404))["code"]
            for query in ({"days": 0.01}, {"days": 31}, {"devices": 0}, {"devices": 501}, {"seed": -1}):
                await ask(it, PATH, SAME % 9.5, 422, **query)
            operator = it.member("olga", "operator")
            for path in (PATH, "/api/types/pump/rules/rehearsals"):
                answer = await it.client.post(path, content=b"rules: []", headers={**YAML, **operator})
                assert answer.status_code == 403

    asyncio.run(story())
