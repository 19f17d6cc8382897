"""Time as an argument. Nothing else in this package asks what time it is.

All times are integer microseconds since 1970-01-01 UTC.
"""

import time
from typing import Protocol

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


class Clock(Protocol):
    """Something that knows what time it is."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC; never goes backwards."""
        ...


class WallClock:
    """The time of day, held still where the system's clock steps backwards."""

    def __init__(self) -> None:
        self._last_us = 0

    def now_us(self) -> int:
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return self._last_us


class SteadyClock:
    """Microseconds since no particular moment, never set by anyone: for how long something waits."""

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000


class VirtualClock:
    """A clock that moves when it is told to: for replays, forks and tests."""

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def advance_to(self, at_us: int) -> int:
        """Move to ``at_us``; an earlier time leaves the clock where it is. Returns the time it now is."""
        self._now_us = max(self._now_us, at_us)
        return self._now_us

    def advance_by(self, dt_s: float) -> int:
        """Move forward by ``dt_s`` seconds, zero or more."""
        if dt_s < 0:
            raise ValueError(f"a clock cannot go back, got dt_s={dt_s}")
        return self.advance_to(self._now_us + round(dt_s * SECOND_US))


def stopwatch_s() -> float:
    """Seconds on a clock of no particular origin: for measuring how long something took, never for what happens."""
    return time.perf_counter()
