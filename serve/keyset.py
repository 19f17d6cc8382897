"""Pages of a list by keys, in both directions: what follows a line is asked for by that line's own sort values.

Lines may come, go and move between two pages: a line whose own values stand still is shown exactly once to whoever goes on
from page to page. A jump begins at an offset of the list as it is now; from there keys lead on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from serve.cursors import page_cursor, read_page_cursor
from serve.errors import OnePlaceError


class Key(NamedTuple):
    """A column that a list is sorted by; it is never NULL. The last of them makes lines differ."""

    column: str
    kind: type
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """Which page of a list is asked for: the first, one beside a cursor, or one at an offset; see ``Keyset``."""

    limit: int = 100
    after: str | None = None
    before: str | None = None
    offset: int | None = None

    def of(self, binding: str, keys: Sequence[Key]) -> "Keyset":
        """The page of one list."""
        return Keyset(binding, keys, self.limit, self.after, self.before, self.offset)


@dataclass(frozen=True, slots=True)
class Keyset:
    """One page that is asked for.

    Parameters
    ----------
    binding : what the list is: its sort and filters. A cursor of another list is refused.
    keys : what it is sorted by
    limit : lines on the page
    after, before : a cursor, of the page before or after this one
    offset : how many lines to skip instead; None: no jump
    """

    binding: str
    keys: Sequence[Key]
    limit: int
    after: str | None = None
    before: str | None = None
    offset: int | None = None

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.after, self.before, self.offset)) > 1:
            raise OnePlaceError()

    @property
    def backwards(self) -> bool:
        return self.before is not None

    def falls(self, key: Key) -> bool:
        """Whether the values of a key become less on the way."""
        return key.descending != self.backwards

    def at(self) -> tuple[Any, ...] | None:
        """The sort values that the page lies beyond, if it lies beside a cursor.

        Raises
        ------
        CursorError : it is none of this list.
        """
        cursor = self.before if self.backwards else self.after
        if cursor is None:
            return None
        return read_page_cursor(cursor, self.binding, tuple(key.kind for key in self.keys))

    def beyond(self) -> tuple[str, list[Any]]:
        """The condition that a line is on the far side of the cursor, and its parameters. Raises as ``at`` does."""
        values = self.at()
        if values is None:
            return "TRUE", []
        text, parameters = "FALSE", list[Any]()
        for key, value in reversed(list(zip(self.keys, values, strict=True))):
            sign = "<" if self.falls(key) else ">"
            text = f"({key.column} {sign} ? OR {key.column} = ? AND {text})"
            parameters = [value, value, *parameters]
        return text, parameters

    def tail(self) -> str:
        """The end of a query: the order, and one line more than the page, which says whether there are more."""
        skipped = f" OFFSET {self.offset:d}" if self.offset else ""
        return f"{self.order()} LIMIT {self.limit + 1:d}{skipped}"

    def order(self) -> str:
        """The order alone; going backwards, that of the way."""
        words = [f"{key.column} {'DESC' if self.falls(key) else 'ASC'}" for key in self.keys]
        return f"ORDER BY {', '.join(words)}"

    def cut(
        self, lines: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], str | None, str | None]:
        """The lines of the page in the list's order, and the cursors to the next and the previous one."""
        more, shown = len(lines) > self.limit, list(lines[: self.limit])
        if self.backwards:
            shown.reverse()
        came = self.after is not None or self.before is not None or bool(self.offset)
        has_next, has_previous = (True, more) if self.backwards else (more, came)
        if not shown:
            return [], None, None
        ends = [
            page_cursor(self.binding, tuple(line[key.column] for key in self.keys))
            for line in (shown[-1], shown[0])
        ]
        return shown, ends[0] if has_next else None, ends[1] if has_previous else None
