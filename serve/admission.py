"""How much comes in at once: bodies of requests share a budget of bytes, and what goes beyond it is refused unread."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from twins.clock import stopwatch_s
from twins.errors import OverloadedError

_RETRY_AFTER_S: Final = 1.0
_LATEST_S: Final = 30.0


class Admission:
    """The bytes of bodies that one replica holds. Used from one event loop.

    Parameters
    ----------
    most_bytes : of all bodies together; a single body within its own limit is taken however many bytes that are
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def hold(self, more: int) -> None:
        """Make room for ``more`` bytes.

        Raises
        ------
        OverloadedError : others take up what there is; nothing is held for this.
        """
        if self.held_bytes and self.held_bytes + more > self._most_bytes:
            raise OverloadedError(f"{self.held_bytes >> 20} MB of requests are being read", _RETRY_AFTER_S)
        self.held_bytes += more

    def release(self, held: int) -> None:
        """Give back what was held."""
        self.held_bytes -= held


class Crowd:
    """So many at a time, and no queue before them: who comes when all places are taken is told to come again, the later
    the more of them there are.

    Used from one event loop.

    Parameters
    ----------
    name : of what there are so many
    most : how many
    now_s : a clock that only goes forward
    """

    def __init__(self, name: str, most: int, now_s: Callable[[], float] = stopwatch_s) -> None:
        self._name = name
        self._most = most
        self._now_s = now_s
        self._here = 0
        self._began_s = now_s()  # of the second that refusals are counted in
        self._refused = 0
        self._refused_before = 0  # in the second before

    def check(self) -> None:
        """OverloadedError where all places are taken."""
        if self._here >= self._most:
            raise OverloadedError(f"{self._here} {self._name} are under way", self._again_s())

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for as long as the block runs; OverloadedError where there is none."""
        self.check()
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1

    def _again_s(self) -> float:
        """When to come again, so that those who do are not many times those who find a place."""
        gone_s = self._now_s() - self._began_s
        if gone_s >= 1.0:
            self._refused_before = self._refused if gone_s < 2.0 else 0
            self._refused, self._began_s = 0, self._now_s()
        self._refused += 1
        a_second = max(self._refused, self._refused_before)
        return min(_LATEST_S, float(round(_RETRY_AFTER_S + a_second / self._most)))
