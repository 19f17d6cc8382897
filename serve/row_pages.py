"""Pages of what people set up and of what was done: rows of the database, and short lists that are at hand.

They go by keys in both directions as every list does, see ``serve.keyset``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, func, or_, select
from sqlalchemy.sql import ColumnCollection

from serve.keyset import Keyset

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class RowPage(Generic[Line]):
    """Some lines of a list in its order, how many it has in all, and the cursors to either side."""

    items: list[Line]
    total: int
    next: str | None
    previous: str | None

    def shown(self, item: Callable[[Line], Any]) -> dict[str, Any]:
        """The page as the API shows it, each line by ``item``."""
        return {
            "items": [item(line) for line in self.items],
            "total": self.total,
            "next": self.next,
            "previous": self.previous,
        }


def rows_page(
    connection: Connection, query: Select[Any], keyset: Keyset, made: Callable[[Row[Any]], Line]
) -> RowPage[Line]:
    """One page of the rows that a query selects; the keys are columns of it.

    Raises
    ------
    CursorError : with what to write instead.
    """
    columns = query.selected_columns
    total = connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
    beyond = _beyond(columns, keyset)
    order = [
        columns[key.column].desc() if keyset.falls(key) else columns[key.column].asc() for key in keyset.keys
    ]
    if beyond is not None:
        query = query.where(beyond)
    page = query.order_by(*order).limit(keyset.limit + 1).offset(keyset.offset or 0)
    rows = connection.execute(page).all()
    return _page([(row._asdict(), row) for row in rows], keyset, total, made)


def lines_page(
    lines: Iterable[Line], keyset: Keyset, values: Callable[[Line], Mapping[str, Any]]
) -> RowPage[Line]:
    """One page of lines that are all at hand, in any order; ``values`` gives what a line is sorted by.

    Raises
    ------
    CursorError : with what to write instead.
    """
    known = [(values(line), line) for line in lines]
    total, at = len(known), keyset.at()
    for key in reversed(keyset.keys):
        known.sort(key=lambda each, column=key.column: each[0][column], reverse=keyset.falls(key))  # type: ignore[misc]
    if at is not None:
        known = [each for each in known if _is_beyond(each[0], at, keyset)]
    start = keyset.offset or 0
    return _page(known[start : start + keyset.limit + 1], keyset, total, lambda line: line)


def _page(
    found: Sequence[tuple[Mapping[str, Any], Any]], keyset: Keyset, total: int, made: Callable[[Any], Line]
) -> RowPage[Line]:
    lines = [{**{key.column: values[key.column] for key in keyset.keys}, "": line} for values, line in found]
    shown, following, previous = keyset.cut(lines)
    return RowPage([made(each[""]) for each in shown], total, following, previous)


def _beyond(columns: ColumnCollection[str, Any], keyset: Keyset) -> ColumnElement[bool] | None:
    """The condition that a row is on the far side of the cursor; None: there is no cursor."""
    at = keyset.at()
    if at is None:
        return None
    condition: ColumnElement[bool] = false()
    for key, value in reversed(list(zip(keyset.keys, at, strict=True))):
        column = columns[key.column]
        further = column < value if keyset.falls(key) else column > value
        condition = or_(further, and_(column == value, condition))
    return condition


def _is_beyond(values: Mapping[str, Any], at: Sequence[Any], keyset: Keyset) -> bool:
    for key, value in zip(keyset.keys, at, strict=True):
        mine = values[key.column]
        if mine != value:
            return bool(mine < value if keyset.falls(key) else mine > value)
    return False
