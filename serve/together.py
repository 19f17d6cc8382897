"""Small requests that come while others are being written are written together: a commit costs what it costs."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from serve import intake
from serve.access import Caller
from serve.intake import MOST_TOGETHER, Covers, Membership, Outcome, Part, Shared
from twins.devices import DeviceType
from twins.directory import Places
from twins.errors import DegradedError, FleetError, OverloadedError
from twins.fleet import Fleet

Gathered = tuple[list[Outcome], list[Part]]
"""What each request is told so far, and the lines that are to be written."""

_RETRY_AFTER_S: Final = 1.0
_SHORT: Final = 64  # lines
_FEW: Final = 8  # senders: what each sent is gathered by itself


@dataclass(frozen=True, slots=True, eq=False)
class Small:
    """A request of few lines.

    Parameters
    ----------
    lines : what it sent, at most ``MOST_TOGETHER``
    wanted : the type that all lines are of, if it said so
    sender : who sent it
    membership : the fleet as the sender meets it
    covers : which devices the sender may write for; None: all
    """

    lines: Sequence[Any]
    wanted: str | None
    sender: Caller
    membership: Membership
    covers: Covers | None


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A request that waits, and who waits for the answer."""

    request: Small
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
        self, fleet: Fleet, call: Callable[[Callable[[], Gathered]], Awaitable[Gathered]], most: int
    ) -> None:
        self._fleet = fleet
        self._call = call
        self._most = most
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def take(self, request: Small) -> Outcome:
        """What became of a request, once that is durable.

        Raises
        ------
        OverloadedError : too many wait already; nothing was taken.
        what ``Fleet.write_many`` raises : nothing of it, or not all, was taken; sending again is safe.
        """
        if len(self._waiting) >= self._most:
            raise OverloadedError(f"{len(self._waiting)} requests wait to be written", _RETRY_AFTER_S)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
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
        except asyncio.CancelledError:
            while self._waiting:
                self._waiting.popleft().answer.cancel()
            raise
        finally:
            self._writer = None

    async def _write_group(self) -> None:
        """Write as many of those that wait as go together, and answer them."""
        group: list[_Waiting] = []
        lines = 0
        while self._waiting and (not group or lines + len(self._waiting[0].request.lines) <= MOST_TOGETHER):
            group.append(self._waiting.popleft())
            lines += len(group[-1].request.lines)
        try:
            outcomes = await self._written([each.request for each in group])
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

    async def _written(self, group: Sequence[Small]) -> Sequence[Outcome | Exception]:
        """Gather and write a group; what is wrong with one of them costs no other."""
        try:
            outcomes, parts = await self._gather(group)
        except Exception:
            if len(group) == 1:
                raise
            return [await self._alone(each) for each in group]
        try:
            await intake.write_together(self._fleet, parts)
        except (OverloadedError, DegradedError):
            raise
        except FleetError:
            if len(group) == 1:
                raise
            return [await self._alone(each) for each in group]
        return outcomes

    async def _gather(self, group: Sequence[Small]) -> Gathered:
        """Gather a group; where it is short, of few senders, and all its devices are known, here: to hand it to a thread and
        back would take as long again."""
        lines, senders = sum(len(each.lines) for each in group), len({each.sender for each in group})
        if lines <= _SHORT and senders <= _FEW:
            with contextlib.suppress(NotKnownError):
                return _gathered(group, Known)
        return await self._call(partial(_gathered, group))

    async def _alone(self, request: Small) -> "Outcome | Exception":
        try:
            return (await self._written([request]))[0]
        except Exception as error:
            return error


class NotKnownError(Exception):
    """Not all devices are known here: where they are takes a question."""


class Known:
    """A membership that asks nobody: it raises ``NotKnownError`` instead."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    @property
    def types(self) -> dict[str, DeviceType]:
        return self._membership.types

    def locate(self, ids: pa.StringArray) -> Places:
        places = self.locate_known(ids)
        if places is None:
            raise NotKnownError
        return places

    def locate_known(self, ids: pa.StringArray) -> Places | None:
        return self._membership.locate_known(ids)


def _gathered(group: Sequence[Small], met: Callable[[Membership], Membership] | None = None) -> Gathered:
    """What can be read in the lines of a group, those of one sender at once; each is told what cannot.

    ``met`` is what memberships are asked through. Requests that came at the same time have no order among them.
    """
    outcomes = [Outcome() for _ in group]
    alike: dict[tuple[Caller, str | None], list[int]] = {}
    for number, each in enumerate(group):
        alike.setdefault((each.sender, each.wanted), []).append(number)
    parts: list[Part] = []
    for numbers in alike.values():
        newest = group[numbers[-1]]
        membership = newest.membership if met is None else met(newest.membership)
        of = [outcomes[number] for number in numbers]
        starts = np.cumsum([0, *(len(group[number].lines) for number in numbers)])[:-1]
        taken = intake.gather(
            [line for number in numbers for line in group[number].lines],
            newest.wanted,
            membership,
            newest.covers,
            Shared(starts.tolist(), [each.refusals for each in of]),
        )
        parts += [Part(batch, positions, starts, of) for batch, positions in taken.batches]
    return outcomes, parts
