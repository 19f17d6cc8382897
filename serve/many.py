"""One thing asked of many devices or alerts: how many at once, and how the answer to it reads."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from serve.errors import UnfitError
from twins.errors import FleetError

MOST_AT_ONCE: Final = 10_000
"""Devices or alerts that one request may be about."""

_REFUSALS_TOLD: Final = 100


def check_number(what: Literal["alerts", "devices"], matched: int) -> None:
    """Let pass as many as one request may be about.

    Raises
    ------
    UnfitError : too many match.
    """
    if matched > MOST_AT_ONCE:
        raise UnfitError(
            f"{matched} {what} match, {MOST_AT_ONCE} may be changed at once", "narrow down what matches"
        )


def check_expected(what: Literal["alerts", "devices"], matched: int, expected: int | None) -> None:
    """Let pass what is about as many as whoever asks has counted.

    Raises
    ------
    UnfitError : others match by now.
    """
    if expected not in (None, matched):
        raise UnfitError(f"{matched} {what} match now, {expected} were counted", "count again")


def many_counted(matched: int) -> dict[str, Any]:
    """The answer where nothing was asked of any."""
    return {"matched": matched, "done": 0, "refused": [], "refused_total": 0, "cursor": None}


def many_done(
    what: Literal["alert", "device"],
    matched: int,
    refused: Sequence[tuple[str, FleetError]],
    cursor: str | None,
) -> dict[str, Any]:
    """The answer where it was asked of each.

    Parameters
    ----------
    refused : ids of those that it was not done to, and why not
    cursor : that includes what was done
    """
    return {
        "matched": matched,
        "done": matched - len(refused),
        "refused": [
            {what: each, "code": why.code, "detail": str(why)} for each, why in refused[:_REFUSALS_TOLD]
        ],
        "refused_total": len(refused),
        "cursor": cursor,
    }
