"""Refused rights in the audit, without a flood of it: for each account the first at once, then one line a minute that says
how many there were.
"""

from collections import OrderedDict
from typing import Final

from twins.clock import MINUTE_US

MOST_REMEMBERED: Final = 1_000
"""Accounts of which the last line is remembered; the one that was refused nothing for longest is forgotten first."""


class Refusals:
    """Which refusals are written down. Used from one thread."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, tuple[int, int]] = OrderedDict()  # when last, and how many since

    def unsaid(self, name: str, now_us: int) -> int | None:
        """Of a refusal just now: how many went before it that have no line; None where it gets none either."""
        told_us, since = self._told.pop(name, (now_us - MINUTE_US, 0))
        is_due = now_us - told_us >= MINUTE_US
        self._told[name] = (now_us, 0) if is_due else (told_us, since + 1)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        return since if is_due else None
