"""``If-Match``: whoever changes something names the revision that it is a change of (RFC 9110, 13.1.1)."""

from typing import Annotated

from fastapi import Header

from serve.errors import PreconditionError

Match = Annotated[
    str | None, Header(alias="If-Match", description="the ETag that this is a change of, or * for any")
]


def expected(if_match: str | None) -> int | None:
    """The revision that a change is one of; None for any.

    Raises
    ------
    PreconditionError : the header is missing, or no ETag that was given out.
    """
    if if_match is None:
        raise PreconditionError(
            "If-Match is missing", "send the ETag of what you changed, or * to change it anyway"
        )
    text = if_match.strip()
    if text == "*":
        return None
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise PreconditionError(
            f"If-Match {text[:40]!r} is no ETag that was given out", "send the ETag as it came"
        )
    return int(number)
