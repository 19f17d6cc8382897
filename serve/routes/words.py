"""The words of lists, the same in every list: what a query string may say, and how it is read."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Depends, Query

from serve.errors import UnfitError
from serve.keyset import Spot

MAX_LIMIT: Final = 1_000

Filter = Annotated[
    str, Query(max_length=4_000, description="in the filter grammar, as `site = 'oslo' and kind = 'repair'`")
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
After = Annotated[str | None, Query(description="`next` of the page before")]
Before = Annotated[str | None, Query(description="`previous` of the page after")]
Offset = Annotated[
    int | None,
    Query(
        ge=0,
        le=2**31 - 1,
        description="jump: skip so many lines of the list as it is now; `next` and `previous` lead on",
    ),
]
Cursors = Annotated[
    list[str] | None,
    Query(alias="cursor", max_length=4, description="wait for what this cursor names; one or more, repeated"),
]
Several = Annotated[
    list[str] | None, Query(max_length=100, description="one or more, repeated or with commas")
]
Exactly = Annotated[list[str] | None, Query(max_length=100, description="one or more, repeated")]


def spot(limit: Limit = 100, after: After = None, before: Before = None, offset: Offset = None) -> Spot:
    """Which page is asked for."""
    return Spot(limit, after, before, offset)


Paged = Annotated[Spot, Depends(spot)]


def several(values: list[str] | None) -> tuple[str, ...]:
    """The parts of values that may have commas."""
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def known(values: list[str] | None, what: str, words: Sequence[str]) -> tuple[str, ...]:
    """The same, of words that there are.

    Raises
    ------
    UnfitError : there is none of that name.
    """
    found = several(values)
    for each in found:
        if each not in words:
            raise UnfitError(f"{each[:40]!r} is no {what}", f"write one of {', '.join(words)}")
    return found
