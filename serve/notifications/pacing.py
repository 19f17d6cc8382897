"""How much people are told at once, and when a receiver that failed is tried again. Pure functions of counts and times.

A flood is ISA-18.2's: it begins above ten alerts in ten minutes and ends below five. While it lasts nobody is told of alerts
one by one, but of how many there are and the worst: when it begins, when something worse comes, every ten minutes while
there is news, and when it is over.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from twins.clock import HOUR_US, MINUTE_US, SECOND_US

WINDOW_US: Final = 10 * MINUTE_US
BEGINS_ABOVE: Final = 10
ENDS_BELOW: Final = 5

GIVE_UP_US: Final = 24 * HOUR_US
"""So long after it was made a delivery that could not be made has failed."""

_FIRST_WAIT_US: Final = 10 * SECOND_US
_LONGEST_WAIT_US: Final = 30 * MINUTE_US


class Turn(Enum):
    """What is done with the alerts of one step of a route that are due."""

    EACH = "each"  # told one by one
    BEGIN = "begin"  # a flood begins: told together
    GATHER = "gather"  # kept for the next time
    SAY = "say"  # the flood goes on: what was gathered is told together
    END = "end"  # it is over: told together, with a summary


@dataclass(frozen=True, slots=True)
class Flood:
    """A flood that is going on: since when, when people were last told, and the worst priority they were told of."""

    since_us: int
    said_us: int
    worst: int


def turn(flood: Flood | None, recent: int, gathered: int, worst: int, now_us: int) -> Turn:
    """What to do.

    Parameters
    ----------
    flood : the one that is going on, if one is
    recent : alerts of the last ten minutes, those that are due now among them
    gathered : alerts that were not told yet, those that are due now among them
    worst : the most urgent priority among those, 0 first
    """
    if flood is None:
        return Turn.EACH if recent <= BEGINS_ABOVE else Turn.BEGIN
    if recent < ENDS_BELOW:
        return Turn.END
    if gathered and (worst < flood.worst or now_us - flood.said_us >= WINDOW_US):
        return Turn.SAY
    return Turn.GATHER


def again_us(attempts: int, made_us: int, now_us: int, draw: float) -> int | None:
    """When to try again after so many attempts failed; None: no more.

    The wait doubles from ten seconds to half an hour; half of it is by ``draw`` (0 to 1), so that a receiver that came back
    is not met by everybody at the same moment.
    """
    if now_us - made_us >= GIVE_UP_US:
        return None
    wait_us = min(_FIRST_WAIT_US << min(attempts - 1, 20), _LONGEST_WAIT_US)
    return now_us + round(wait_us * (0.5 + 0.5 * draw))
