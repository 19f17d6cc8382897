"""Bodies share a budget; what goes beyond it is refused unread, and room comes back whatever becomes of a request."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.admission import Admission
from tests.serve.edges import Edge, edge
from twins.errors import OverloadedError

JSON = {"content-type": "application/json"}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 120)), max_size=60))
def test_never_more_is_held_than_the_budget_or_one_body(steps: list[tuple[int, int]]) -> None:
    admission = Admission(100)
    held: dict[int, int] = {}
    for who, more in steps:
        if who in held:
            admission.release(held.pop(who))
        else:
            if sum(held.values()) and sum(held.values()) + more > 100:
                with pytest.raises(OverloadedError, match="being read"):
                    admission.hold(more)
            else:
                admission.hold(more)
                held[who] = more
        assert admission.held_bytes == sum(held.values())
        assert admission.held_bytes <= max(100, *held.values(), 0)


@pytest.mark.parametrize("says_how_long", [True, False])
def test_what_goes_beyond_the_budget_is_refused_and_comes_in_later(
    tmp_path: Path, says_how_long: bool
) -> None:
    async def test(it: Edge) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()
        text = b'{"readings": []}'.ljust(800)
        head = {**JSON, "content-length": "800"} if says_how_long else JSON

        async def slow() -> AsyncIterator[bytes]:
            yield text[:400]
            begun.set()
            await go_on.wait()
            yield text[400:]

        first = asyncio.create_task(it.client.post("/api/readings", content=slow(), headers=head))
        await begun.wait()
        refused = await it.client.post("/api/readings", content=text, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (429, "fleet.overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await it.client.get("/api/devices")).status_code == 200  # who sends nothing is not held up
        go_on.set()
        assert (await first).status_code == 200
        assert (await it.client.post("/api/readings", content=text, headers=JSON)).status_code == 200
        assert (await it.client.post("/api/readings", content=b"{" * 700, headers=JSON)).status_code == 400
        assert it.context.admission.held_bytes == 0

    async def whole() -> None:
        async with edge(tmp_path, bodies_bytes=1000) as it:
            await test(it)

    asyncio.run(asyncio.wait_for(whole(), 60))
