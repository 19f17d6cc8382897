"""Bodies share a budget; what goes beyond it is refused unread, and room comes back whatever becomes of a request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.admission import Admission, Crowd
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


class Seconds:
    """A clock that is moved on by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def refused(crowd: Crowd, times: int) -> list[float]:
    told = []
    for _ in range(times):
        with pytest.raises(OverloadedError) as error:
            crowd.check()
        told.append(error.value.retry_after_s)
    return told


def test_a_crowd_has_so_many_places_and_gives_them_back() -> None:
    crowd = Crowd("bodies", 2, Seconds())
    with crowd.one():
        with crowd.one(), pytest.raises(OverloadedError), crowd.one():
            pass
        crowd.check()
    with pytest.raises(RuntimeError), crowd.one():
        raise RuntimeError
    with crowd.one(), crowd.one():
        pass


def test_the_more_are_refused_the_later_they_are_told_to_come_again() -> None:
    seconds = Seconds()
    crowd = Crowd("bodies", 10, seconds)
    with contextlib.ExitStack() as all_places:
        for _ in range(10):
            all_places.enter_context(crowd.one())
        told = refused(crowd, 100)
        assert (told[0], told[-1], sorted(told)) == (1.0, 11.0, told)
        seconds.now_s = 1.5
        assert refused(crowd, 1) == [11.0]  # as many as in the second before
        seconds.now_s = 60.0
        assert refused(crowd, 1) == [1.0]
        assert max(refused(crowd, 1_000)) == 30.0
