"""What can be wrong with a request itself, continuing the tree of ``twins/errors.py``.

::

    FleetError
    └── RequestError               the request cannot be read as it stands
        ├── CursorError            a cursor that was not given out for this list or stream
        ├── SortError              a sort key that the list does not have
        └── UnfitError             a part of it does not fit
            ├── RangeError         a stretch of time, or channels, that make no sense
            └── BodyError          a body that is no JSON, or not of the right shape as a whole
"""

from twins.errors import FleetError


class RequestError(FleetError):
    """The request cannot be read as it stands."""

    code = "request.invalid"


class CursorError(RequestError):
    """A cursor that was not given out for this list or stream."""

    code = "cursor.invalid"

    def __init__(self, cursor: str, problem: str) -> None:
        super().__init__(cursor, problem)
        self.cursor = cursor
        self.problem = problem

    def __str__(self) -> str:
        return f"cursor {self.cursor[:40]!r}: {self.problem}; start again without it"


class SortError(RequestError):
    """A sort key that the list does not have."""

    code = "sort.invalid"

    def __init__(self, sort: str, known: tuple[str, ...]) -> None:
        super().__init__(sort, known)
        self.sort = sort
        self.known = known

    def __str__(self) -> str:
        return (
            f"cannot sort by {self.sort[:40]!r}; use one of {', '.join(self.known)}, with '-' for descending"
        )


class UnfitError(RequestError):
    """A part of the request does not fit."""

    code = "request.unfit"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class RangeError(UnfitError):
    """A stretch of time, or channels, that make no sense."""

    code = "range.invalid"


class BodyError(UnfitError):
    """A body that is no JSON, or not of the right shape as a whole."""

    code = "body.invalid"
