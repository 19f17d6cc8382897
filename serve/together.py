"""Small requests that come while others are being written are written together: a commit costs what it costs."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from serve.intake import MOST_TOGETHER, Intake, write_together
from twins.errors import DegradedError, FleetError, OverloadedError
from twins.fleet import Fleet

Outcome = tuple[Intake, Counter[str], dict[int, int]]
"""What was gathered, with all its refusals; what became of it by fate; the newest cursor of each host."""

Outcomes = Sequence[Outcome | Exception]

_RETRY_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A request that waits: how to gather it, its lines, and who waits for the answer."""

    gather: Callable[[], Intake]
    lines: int
    answer: "asyncio.Future[Outcome]"


class Together:
    """Gathers and writes small requests, as many at once as wait. Used from one event loop.

    Parameters
    ----------
    fleet : where they go
    call : runs what blocks in a thread
    most : requests that may wait
    """

    def __init__(
        self, fleet: Fleet, call: Callable[[Callable[[], Outcomes]], Awaitable[Outcomes]], most: int
    ) -> None:
        self._fleet = fleet
        self._call = call
        self._most = most
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def take(self, gather: Callable[[], Intake], lines: int) -> Outcome:
        """What became of a request of at most ``MOST_TOGETHER`` lines, once that is durable.

        Raises
        ------
        OverloadedError : too many wait already; nothing was taken.
        what ``Fleet.write_many`` raises : nothing of it, or not all, was taken; sending again is safe.
        """
        if len(self._waiting) >= self._most:
            raise OverloadedError(f"{len(self._waiting)} requests wait to be written", _RETRY_AFTER_S)
        waiting = _Waiting(gather, lines, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if (
            self._writer is None
        ):  # one at a time: what comes meanwhile shares the next commit, and nobody its core
            self._writer = asyncio.create_task(self._write())
        return await waiting.answer

    async def _write(self) -> None:
        """Write what waits, again and again, until nothing does."""
        try:
            while self._waiting:
                await self._write_group()
        finally:
            self._writer = None

    async def _write_group(self) -> None:
        """Write as many of those that wait as go together, and answer them."""
        group: list[_Waiting] = []
        lines = 0
        while self._waiting and (not group or lines + self._waiting[0].lines <= MOST_TOGETHER):
            group.append(self._waiting.popleft())
            lines += group[-1].lines
        try:
            outcomes = await self._call(partial(self._written, group))
        except asyncio.CancelledError:
            for each in group:
                each.answer.cancel()
            raise
        except Exception as error:
            outcomes = [error] * len(group)
        for each, outcome in zip(group, outcomes, strict=True):
            if each.answer.done():
                continue
            if isinstance(outcome, Exception):
                each.answer.set_exception(outcome)
            else:
                each.answer.set_result(outcome)

    def _written(self, group: Sequence[_Waiting]) -> Outcomes:
        """Gather and write a group; what is wrong with one of them costs no other."""
        outcomes: list[Outcome | Exception] = []
        gathered: list[tuple[int, Intake]] = []
        for each in group:
            try:
                taken = each.gather()
            except Exception as error:
                outcomes.append(error)
            else:
                gathered.append((len(outcomes), taken))
                outcomes.append((taken, Counter(), {}))
        try:
            told = write_together(self._fleet, [taken for _, taken in gathered])
        except (OverloadedError, DegradedError):
            raise
        except FleetError:
            if len(group) == 1:
                raise
            return [self._alone(each) for each in group]
        for (at, taken), became in zip(gathered, told, strict=True):
            outcomes[at] = (taken, *became)
        return outcomes

    def _alone(self, waiting: _Waiting) -> "Outcome | Exception":
        try:
            return self._written([waiting])[0]
        except FleetError as error:
            return error
