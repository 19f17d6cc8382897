"""How often one caller may ask. No requests, no accounts: names and tokens."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from twins.clock import stopwatch_s

BURST_S: Final = 3.0
"""A caller who was quiet may ask at once what this many seconds allow."""

_REMEMBERED: Final = 10_000


class Rates:
    """A bucket of tokens a caller, which fills steadily; each request takes one.

    Parameters
    ----------
    per_s : requests a second that each may make for as long as they like; 0: as many as they like
    now_s : a clock that only goes on
    """

    def __init__(self, per_s: float, now_s: Callable[[], float] = stopwatch_s) -> None:
        self._per_s = per_s
        self._now_s = now_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """Take a token for a request of ``who``; 0: it may go on, else when there will be one, and none is taken."""
        if not self._per_s:
            return 0.0
        most, now_s = max(1.0, self._per_s * BURST_S), self._now_s()
        tokens, at_s = self._buckets.pop(who, (most, now_s))
        tokens = min(most, tokens + (now_s - at_s) * self._per_s)
        passes = tokens >= 1
        self._buckets[who] = (tokens - passes, now_s)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)  # who has been quiet for longest has a full one again
        return 0.0 if passes else (1 - tokens) / self._per_s
