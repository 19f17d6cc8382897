"""Small requests written together are what they would be apart."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serve.accounts import Actor
from serve.intake import MOST_TOGETHER
from serve.scopes import Scope
from tests.serve.edges import T0, Edge, edge
from twins.clock import SECOND_US
from twins.errors import DegradedError, ReadingError

PUMPS = [f"pump-{n:02d}" for n in range(6)]


def line(device: str, second: int, **values: Any) -> dict[str, Any]:
    return {"device": device, "time": T0 + second * SECOND_US, "values": values or {"flow": 50.0}}


def run(tmp_path: Path, story: Any) -> None:
    async def told() -> None:
        async with edge(tmp_path) as it:
            it.clock.advance_to(T0 + 1_000 * SECOND_US)
            await story(it)

    asyncio.run(told())


async def all_at_once(it: Edge, bodies: list[Any], headers: list[dict[str, str]] | None = None) -> list[Any]:
    asked = [
        it.client.post("/api/readings", json=body, headers=headers[n] if headers else {})
        for n, body in enumerate(bodies)
    ]
    return [answer.json() for answer in await asyncio.gather(*asked)]


def test_each_is_told_of_its_own(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        calls: list[int] = []
        write_many = it.fleet.write_many_async

        async def counted(batches: Any, **options: Any) -> Any:
            calls.append(sum(map(len, batches)))
            return await write_many(batches, **options)

        it.fleet.write_many_async = counted  # type: ignore[method-assign]
        bodies = [{"readings": [line(PUMPS[n % 6], n // 6)]} for n in range(60)]
        bodies += [
            {"readings": [line("nobody", 1), line("pump-01", 500), line("pump-01", 500)]},
            {
                "readings": [
                    line("pump-02", 500, colour=1.0, flow="wet", vibration=3.0),
                    {"device": "pump-02"},
                ]
            },
            {"readings": [line("meter/ås:1", 500, energy=7.0)]},
            {"type": "meter", "readings": [line("pump-03", 501)]},
            {"readings": []},
        ]
        told = await all_at_once(it, bodies)
        assert all(each["level"] == "durable" for each in told)
        assert all(
            each["accepted"] in ({"scored": 1}, {"late": 1}) for each in told[:60]
        )  # who is first is not said
        assert told[60]["accepted"] == {"scored": 1, "duplicate": 1}
        assert [(each["index"], each["code"]) for each in told[60]["refused"]] == [(0, "device.not_found")]
        assert told[61]["accepted"] == {"scored": 1}
        assert sorted((each["index"], each["code"]) for each in told[61]["refused"]) == [
            (0, "channel.not_found"), (0, "reading.invalid"), (1, "reading.invalid"),
        ]  # fmt: skip
        assert told[62]["accepted"] == {"scored": 1}
        assert (told[63]["accepted"], told[63]["refused"][0]["code"]) == ({}, "device.other_type")
        assert (told[64]["accepted"], told[64]["refused_total"]) == ({}, 0)
        assert len(calls) < 40  # together
        assert max(calls) <= MOST_TOGETHER
        counts = it.fleet.read_twin("pump-01")["counts"]
        assert (counts["scored"] + counts["late"], counts["duplicate"]) == (11, 1)

    run(tmp_path, story)


def test_a_key_covers_its_own_devices_beside_whatever_others_send(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        keys = it.context.access.keys
        texts = [keys.create(f"k{n}", Scope.of(devices=[PUMPS[n]]), Actor("tests"))[1] for n in range(3)]
        headers = [{"Authorization": f"Bearer {text}"} for text in texts]
        bodies = [{"readings": [line(each, 1) for each in PUMPS[:3]]}] * 3
        told = await all_at_once(it, bodies, headers)
        assert [each["accepted"] for each in told] == [{"scored": 1}] * 3
        for n, each in enumerate(told):
            assert {r["device"] for r in each["refused"]} == set(PUMPS[:3]) - {PUMPS[n]}

    run(tmp_path, story)


@pytest.mark.parametrize(("error", "others"), [(ReadingError("odd"), True), (DegradedError("away"), False)])
def test_one_that_cannot_be_written_costs_others_only_what_is_down(
    tmp_path: Path, error: Exception, others: bool
) -> None:
    async def story(it: Edge) -> None:
        write_many = it.fleet.write_many_async

        async def failing(batches: Any, **options: Any) -> Any:
            if any("pump-05" in batch.ids.to_pylist() for batch in batches):
                raise error
            return await write_many(batches, **options)

        it.fleet.write_many_async = failing  # type: ignore[method-assign]
        bodies = [{"readings": [line(each, 1)]} for each in PUMPS]
        asked = [it.client.post("/api/readings", json=body) for body in bodies]
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert statuses[5] in (422, 503)
        if others:
            assert statuses[:5] == [200] * 5
        again = await all_at_once(it, bodies[:5])  # sending again is safe
        assert all(sum(each["accepted"].values()) == 1 for each in again)

    run(tmp_path, story)
