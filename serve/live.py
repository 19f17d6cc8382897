"""The live table: the newest columns of every host, mapped without a copy, asked with SQL.

Each host shows its twins as Arrow tables (``Generation``); a ``View`` is one consistent set of them. DuckDB
finds lines by reading only the columns that a question needs, Arrow fetches the few lines that are shown.
Results are copied out, so that an old generation goes as soon as its last question ends. What is asked is up
to ``lists.py`` and ``overview.py``.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.cursors import Reached
from serve.texts import KnownTexts, Mask, Texts, distinct
from twins import views
from twins.clock import SECOND_US
from twins.filters import Sql
from twins.fleet import LocalFleet
from twins.views import COMMON, COUNTERS
from twins.vocabulary import quoted

_KEPT: Final = 256
_PARTS: Final = 32  # of a view, by sites; each holds a copy of its lines
_SITES_KNOWN: Final = 256

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What one host showed at one time.

    Attributes
    ----------
    host, epoch, cursor : which host, which life of it, and the newest journal entry that is included
    at_us : when it was shown
    tables : by device type; line i of a table is row i of that host's shard
    alerts : the alerts that stand; None: no type is installed yet
    reachable : off for the last copy of a host that no longer answers; its devices count as stale
    """

    host: int
    epoch: int
    cursor: int
    at_us: int
    tables: Mapping[str, pa.Table]
    alerts: pa.Table | None
    reachable: bool = True


class Source(Protocol):
    """Where generations come from."""

    def newest(self) -> Sequence[Generation]:
        """The newest of each host; may wait for the hosts to answer."""
        ...


class LocalSource:
    """The hosts of a fleet in this process, as they are at the moment of asking."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet = fleet

    def newest(self) -> list[Generation]:
        with self._fleet.still:
            return [
                Generation(
                    host=number,
                    epoch=0,
                    cursor=host.cursor,
                    at_us=self._fleet.clock.now_us(),
                    tables={name: views.live(shard) for name, shard in host.shards.items()},
                    alerts=pa.concat_tables([views.standing_alerts(shard) for shard in host.shards.values()])
                    if host.shards
                    else None,
                )
                for number, host in enumerate(self._fleet.shard_hosts())
            ]


class Place(NamedTuple):
    """Where a device is: the host, the device type, the row in that shard."""

    host: int
    device_type: str
    row: int


class Tally(NamedTuple):
    """How many readings there had been at one time, and how many a second came."""

    hosts: frozenset[int]
    as_of_us: int
    readings: int
    per_s: float | None


@dataclass(slots=True, eq=False)
class Remembered:
    """What goes from view to view: what is known of texts, the tally of the last one, and the same of its parts."""

    texts: KnownTexts = field(default_factory=KnownTexts)
    tally: Tally | None = None
    parts: OrderedDict[frozenset[str], "Remembered"] = field(default_factory=OrderedDict)

    def of(self, sites: frozenset[str]) -> "Remembered":
        """What goes from one part of this kind to the next. Whoever asks holds a lock."""
        found = self.parts.setdefault(sites, Remembered())
        self.parts.move_to_end(sites)
        while len(self.parts) > _SITES_KNOWN:
            self.parts.popitem(last=False)
        return found


class View:
    """One set of generations, and the DuckDB cursors that see it. It never changes; many threads may ask it.

    Parameters
    ----------
    number : counts the views of one live table
    generations : one a host
    connection : the database whose cursors are lent out
    remembered : what goes from view to view
    sites : those that it is a part for, see ``within``; None: the whole
    rows : of a part, the rows of the whole that its tables' lines are, by host and type

    Attributes
    ----------
    sites : as given
    """

    def __init__(
        self, number: int, generations: Sequence[Generation], connection: duckdb.DuckDBPyConnection,
        remembered: Remembered | None = None, sites: frozenset[str] | None = None,
        rows: Mapping[tuple[int, str], NDArray[np.intp]] | None = None,
    ) -> None:  # fmt: skip
        self.number = number
        self.sites = sites
        self._rows = rows
        self._remembered = remembered or Remembered()
        self.generations = {generation.host: generation for generation in generations}
        heard = [generation.at_us for generation in generations if generation.reachable]
        self.as_of_us = min(heard or [generation.at_us for generation in generations], default=0)
        self.types = sorted({name for generation in generations for name in generation.tables})
        self.parts: dict[str, list[tuple[int, pa.Table]]] = {
            name: [(g.host, _shown(g, name)) for g in generations if name in g.tables] for name in self.types
        }
        self.tables = {name: pa.concat_tables([t for _, t in parts]) for name, parts in self.parts.items()}
        self.starts = np.cumsum([0, *(len(self.tables[name]) for name in self.types)])
        self._numbered_tables = [
            _numbered(self.tables[name], int(start))
            for name, start in zip(self.types, self.starts, strict=False)
        ]
        self.lines = _common(self._numbered_tables)
        alerts = [generation.alerts for generation in generations if generation.alerts is not None]
        self.alerts = pa.concat_tables(alerts) if alerts else None
        self.readings = sum(self.total(name, counter) for name in self.types for counter in COUNTERS)
        self.readings_per_s = _rate(self._remembered.tally, self)
        self._remembered.tally = Tally(
            frozenset(self.generations), self.as_of_us, self.readings, self.readings_per_s
        )
        self._texts = self._remembered.texts
        self._parts: OrderedDict[frozenset[str], View] = OrderedDict()
        self._parting = threading.Lock()
        self._connection = connection
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._closed = False
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        """How many devices it shows, retired ones included."""
        return int(self.starts[-1])

    @property
    def vector(self) -> dict[int, Reached]:
        """How far into each journal it reaches."""
        return {host: Reached(g.epoch, g.cursor) for host, g in self.generations.items()}

    def within(self, sites: frozenset[str]) -> "View":
        """The part of this view that is of some sites: its devices and alerts, nothing else. Places stay what they are."""
        with self._parting:
            found = self._parts.get(sites)
            if found is None:
                found = self._parts[sites] = self._part(sites, self._remembered.of(sites))
                if self._closed:  # somebody still asks the view before
                    found.close()
            self._parts.move_to_end(sites)
            while len(self._parts) > _PARTS:
                self._parts.popitem(last=False)[1].close()
            return found

    def _part(self, sites: frozenset[str], remembered: Remembered) -> "View":
        wanted = pa.array(sorted(sites), pa.string())
        rows: dict[tuple[int, str], NDArray[np.intp]] = {}
        generations = []
        for host, generation in self.generations.items():
            tables = {}
            for name, table in generation.tables.items():
                lines = np.flatnonzero(_among(table["site"], wanted))
                rows[host, name] = lines
                tables[name] = _lines_of(table, lines)
            alerts = generation.alerts
            if alerts is not None:
                alerts = alerts.filter(pa.array(_among(alerts["site"], wanted)))
            generations.append(replace(generation, tables=tables, alerts=alerts))
        return View(self.number, generations, self._connection, remembered, sites, rows)

    def rows_of(self, host: int, device_type: str) -> NDArray[np.intp] | None:
        """(n,) Of a part, the rows of the whole that the lines of a table are; None: it is the whole."""
        return None if self._rows is None else self._rows[host, device_type]

    def includes(self, wanted: Mapping[int, int]) -> bool:
        """Whether every cursor of ``wanted``, by host, is included."""
        return all(
            host in self.generations and self.generations[host].cursor >= at for host, at in wanted.items()
        )

    def total(self, device_type: str, counter: str) -> int:
        """The sum of one of ``COUNTERS`` over all devices of a type."""
        return int(pc.sum(self.tables[device_type][counter]).as_py() or 0)

    @contextmanager
    def cursor(
        self, masks: Mapping[str, Mask] | None = None, only: Mask | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB cursor that sees ``live``, ``live_0``, ``live_1`` … (see ``relation``) and ``alerts``.

        For this cursor only, ``masks`` (n,) become columns of the live tables, and those have no lines but ``only`` (n,).
        """
        plain = not masks and only is None
        with self._lock:
            cursor = self._idle.pop() if self._idle and plain else None
        if cursor is None:
            cursor = self._new_cursor(masks or {}, only)
        try:
            yield cursor
        finally:
            with self._lock:
                keep = not self._closed and plain
                if keep:
                    self._idle.append(cursor)
            if not keep:
                cursor.close()

    def _new_cursor(self, masks: Mapping[str, Mask], only: Mask | None) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        tables, lines, chosen = self._numbered_tables, self.lines, None
        if only is not None:
            chosen = np.flatnonzero(only)
            tables = [self._taken(number, chosen) for number in range(len(self.types))]
            lines = _common(tables)
        begin = 0
        for number, table in enumerate(tables):
            which = slice(begin, begin + len(table)) if chosen is None else chosen[begin : begin + len(table)]
            begin += len(table)
            cursor.register(f"live_{number}", _masked(table, masks, which))
        if lines is not None:
            cursor.register("live", _masked(lines, masks, slice(None) if chosen is None else chosen))
        if self.alerts is not None:
            cursor.register("alerts", _numbered(self.alerts, 0))
        return cursor

    def _taken(self, number: int, lines: NDArray[np.intp]) -> pa.Table:
        """Those of ``lines``, in order, that are of one type: numbered."""
        name = self.types[number]
        begin = int(self.starts[number])
        taken = []
        for _, table in self.parts[name]:  # each by itself: texts that lie together are not copied for it
            first, after = np.searchsorted(lines, [begin, begin + len(table)])
            own = lines[first:after]
            taken.append(table.take(pa.array(own - begin)).append_column("n", pa.array(own.astype(np.int32))))
            begin += len(table)
        return pa.concat_tables(taken)

    def text_mask(self, column: str, ask: Callable[[Texts], Mask]) -> Mask:
        """(n,) In which lines a text of one of the common columns fits: ``ask`` is put to the distinct ones."""
        found = [np.zeros(0, np.bool_)]
        for name in self.types:
            for host, table in self.parts[name]:
                known, place = self.once(
                    ("texts", host, name, column), partial(self._texts_in, host, name, column, table)
                )
                hits = ask(known)
                found.append(hits if place is None else hits[place])
        return np.concatenate(found)

    def _texts_in(
        self, host: int, name: str, column: str, table: pa.Table
    ) -> tuple[Texts, NDArray[Any] | None]:
        texts, place = distinct(table[column])
        return self._texts.of((host, name, column), texts), place

    def text_test(self, column: str, test: Sql) -> Mask:
        """(n,) As ``text_mask``, asked in SQL that reads nothing but ``column``."""

        def answered(texts: pa.Array) -> Mask:
            with self._connection.cursor() as cursor:  # one that sees nothing else is made sooner
                cursor.register("texts", pa.table({column: texts}))
                sql = f"SELECT coalesce({test.text}, FALSE) AS hit FROM texts"
                hits: Mask = cursor.sql(sql, params=test.parameters).to_arrow_table()["hit"].to_numpy()
            return hits

        return self.text_mask(column, lambda texts: texts.once(test, lambda: answered(texts.texts)))

    def close(self) -> None:
        """Let the cursors, and with them the tables, go as soon as nobody uses them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for cursor in idle:
            cursor.close()
        with self._parting:
            parts = list(self._parts.values())
        for part in parts:
            part.close()

    def once(self, question: Hashable, work: Callable[[], Answer]) -> Answer:
        """The answer to ``question``, worked out the first time; a view remembers the first few dozen."""
        with self._lock:
            if question in self._answers:
                return cast(Answer, self._answers[question])
        answer = work()
        with self._lock:
            if len(self._answers) < _KEPT:
                self._answers[question] = answer
        return answer

    def relation(self, channels: Sequence[str] = (), masks: Sequence[str] = ()) -> str:
        """SQL for all devices: the common columns, the ``masks`` that the cursor was given, and the line as
        ``n``, all types one after the other.

        With channels it is a union over the types; a channel that a type does not have is NULL there.
        """
        if not channels:
            return "live"
        parts = []
        for number, name in enumerate(self.types):
            own = set(self.tables[name].column_names)
            extra = [quoted(c) if c in own else f"CAST(NULL AS FLOAT) AS {quoted(c)}" for c in channels]
            parts.append(f"SELECT {', '.join((*COMMON, *extra, *masks))}, n FROM live_{number}")
        return f"({' UNION ALL '.join(parts)})"

    def channels(self, device_type: str) -> list[str]:
        """The channels of a type, by the columns of its table."""
        return [name for name in self.tables[device_type].column_names if name not in COMMON]

    def place(self, line: int) -> Place:
        """Where a line of ``relation`` comes from."""
        number = int(np.searchsorted(self.starts, line, side="right")) - 1
        name, row = self.types[number], line - int(self.starts[number])
        for host, table in self.parts[name]:
            if row < len(table):
                rows = self.rows_of(host, name)
                return Place(host, name, row if rows is None else int(rows[row]))
            row -= len(table)
        raise IndexError(line)

    def has(self, place: Place) -> bool:
        """Whether the view is new enough to show the device at ``place``, and that is of its sites."""
        return self._line(place) is not None

    def device_id(self, place: Place) -> str:
        """The id of the device at ``place``."""
        line = self._line_at(place)
        text: str = self.generations[place.host].tables[place.device_type]["device_id"][line].as_py()
        return text

    def _line(self, place: Place) -> int | None:
        """Which line of its table a device is; None: it is not shown."""
        generation = self.generations.get(place.host)
        table = generation.tables.get(place.device_type) if generation is not None else None
        if table is None:
            return None
        rows = self.rows_of(place.host, place.device_type)
        if rows is None:
            return place.row if 0 <= place.row < len(table) else None
        line = int(np.searchsorted(rows, place.row))
        return line if line < len(rows) and rows[line] == place.row else None

    def _line_at(self, place: Place) -> int:
        line = self._line(place)
        if line is None:
            raise IndexError(place)
        return line

    def fetch(self, places: Sequence[Place], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Columns (None: all of the device's type) of the lines at ``places``, in that order."""
        found: list[dict[str, Any]] = [{}] * len(places)
        grouped: dict[tuple[int, str], list[int]] = {}
        for position, place in enumerate(places):
            grouped.setdefault((place.host, place.device_type), []).append(position)
        for (host, name), positions in grouped.items():
            table = _shown(self.generations[host], name)
            if columns is not None:
                table = table.select(columns)
            rows = table.take(
                pa.array([self._line_at(places[position]) for position in positions], pa.int64())
            ).to_pylist()
            for position, row in zip(positions, rows, strict=True):
                found[position] = row
        return found


class LiveTable:
    """The newest view of a source. Safe for many threads.

    Parameters
    ----------
    source : where generations come from
    threads : how many cores a question may use
    """

    def __init__(self, source: Source, threads: int = 2) -> None:
        self._source = source
        config: dict[str, Any] = {"threads": threads, "python_enable_replacements": False}
        config["temp_directory"] = ""  # live values reach no disk but by the journal
        self._connection = duckdb.connect(config=config)
        self._refreshing = threading.Lock()
        self._remembered = Remembered()
        self._view = View(0, [], self._connection)

    @property
    def view(self) -> View:
        """The newest view; keep it for as long as answers must agree with each other."""
        return self._view

    def refresh(self) -> View:
        """Ask the source, and move on if there is anything new. Waits for the hosts to answer."""
        with self._refreshing:
            generations = sorted(self._source.newest(), key=lambda generation: generation.host)
            old = self._view
            if [_identity(g) for g in generations] != [_identity(g) for g in old.generations.values()]:
                self._view = View(old.number + 1, generations, self._connection, self._remembered)
                old.close()
            return self._view

    def close(self) -> None:
        """Let everything go."""
        self._view.close()
        self._connection.close()


def known(number: float | None) -> float | None:
    """``number``, or None for NaN."""
    return None if number is None or number != number else number


def short(number: float | None) -> float | None:
    """A float32 as the float64 with as few digits: 7.1, not 7.099999904632568; None for NaN."""
    return None if number is None or number != number else float(str(np.float32(number)))


def _shown(generation: Generation, device_type: str) -> pa.Table:
    """The table of a type. Devices of a host that does not answer are heard by nobody: none of them is ``reporting``."""
    table = generation.tables[device_type]
    if generation.reachable:
        return table
    place = table.schema.get_field_index("status")
    status = table["status"].combine_chunks()
    stale = pc.if_else(pc.equal(status.cast(pa.string()), "reporting"), "stale", status.cast(pa.string()))
    return table.set_column(place, "status", stale.dictionary_encode())


def _common(tables: Sequence[pa.Table]) -> pa.Table | None:
    """The common columns of all types, one after the other, and their numbers; without a copy."""
    return pa.concat_tables([table.select([*COMMON, "n"]) for table in tables]) if tables else None


def _numbered(table: pa.Table, start: int) -> pa.Table:
    return table.append_column("n", pa.array(np.arange(start, start + len(table), dtype=np.int32)))


def _masked(table: pa.Table, masks: Mapping[str, Mask], which: slice | NDArray[np.intp]) -> pa.Table:
    """A table with a column a mask: of what that says at the places ``which``."""
    for column, mask in masks.items():
        table = table.append_column(column, pa.array(mask[which]))
    return table


def _among(column: pa.ChunkedArray, wanted: pa.Array) -> Mask:
    """(n,) Which lines of a column of words hold one of the ``wanted``; where it has codes, each word is looked at once."""
    found = [np.zeros(0, np.bool_)]
    for chunk in column.chunks:
        words, place = distinct(pa.chunked_array([chunk]))
        hits = pc.is_in(words, wanted).to_numpy(zero_copy_only=False)
        found.append(hits if place is None else hits[place])
    return np.concatenate(found)


def _lines_of(table: pa.Table, lines: NDArray[np.intp]) -> pa.Table:
    """Some lines of a table, in order; without a copy where they lie together."""
    if len(lines) and lines[-1] - lines[0] == len(lines) - 1:
        return table.slice(int(lines[0]), len(lines))
    return table.take(pa.array(lines))


def _rate(before: Tally | None, view: View) -> float | None:
    """Lines of readings a second since ``before``, of any fate; None unless it had the same hosts."""
    if before is None or before.hosts != view.generations.keys():
        return None
    gone_s = (view.as_of_us - before.as_of_us) / SECOND_US
    if gone_s <= 0:
        return before.per_s
    return max(0.0, (view.readings - before.readings) / gone_s)


def _identity(generation: Generation) -> tuple[int, int, int, int, bool]:
    return generation.host, generation.epoch, generation.cursor, generation.at_us, generation.reachable
