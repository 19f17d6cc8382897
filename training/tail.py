"""What is acknowledged and not yet in history: read from the journals, decoded, sorted, ready to be queried.

The tail keeps runs: tables in the shape of history's own, each sorted by device and time, the newest small
ones merged as they come. Readings in bulk wait as they are, entry by entry, until a query asks for a whole
table: one device is found among them without sorting a million others. A run or entry leaves when history has
passed it; until then a query leaves out, by cursor, what the version of history that it reads has already.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training import decoding, ordering
from training.decoding import Lines, Names, Rows
from training.errors import HistoryBehindError
from training.lookup import StoredReadings
from training.recorder import Source
from training.tables import READINGS, File, readings_schema, sql_name
from twins.devices import DeviceType

_ENTRIES_AT_ONCE: Final = 256
_MERGE_UP_TO_ROWS: Final = 1 << 18
_BULK_ROWS: Final = 1 << 16  # fewer new readings of a type than this are sorted at once
_BULK_ENTRY_ROWS: Final = 1 << 10  # and so are those in small entries: looking through many of these is slow
_PLAIN_ACTOR: Final = pa.schema([("actor", pa.string())])


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Some rows of a table that are newer than history, and the newest entry of each actor among them."""

    rows: pa.Table
    newest: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Bulk:
    """Readings of a type, not sorted yet."""

    device_type: str
    lines: list[Lines]

    def after(self, passed: Mapping[str, int]) -> "_Bulk":
        """Those of them that follow the entries ``passed``."""
        left = [part for part in self.lines if part.cursor > passed.get(part.actor, 0)]
        return self if len(left) == len(self.lines) else _Bulk(self.device_type, left)


class Tail:
    """The newest rows of every table. Not thread-safe: ``History`` holds a lock around it.

    Parameters
    ----------
    sources : the journals
    place : how far history is with each
    names : devices and types, as far as history knows them; learns from what is read
    limit_rows : more than that and the recorder has stopped, rather than fallen behind for a moment
    """

    def __init__(
        self, sources: Iterable[Source], place: Mapping[str, int], names: Names, limit_rows: int
    ) -> None:
        self._limit_rows = limit_rows
        self._sources = {source.actor: source for source in sources}
        self._position = {actor: place.get(actor, 0) for actor in self._sources}
        self._names = names
        self._runs: dict[str, list[Run]] = {}
        self._bulk: dict[str, _Bulk] = {}

    @property
    def tables(self) -> list[str]:
        """Names of the tables of which there are newer rows."""
        return sorted(self._runs.keys() | self._bulk.keys())

    @property
    def rows(self) -> int:
        waiting: int = sum(len(part.number) for bulk in self._bulk.values() for part in bulk.lines)
        sorted_already: int = sum(run.rows.num_rows for runs in self._runs.values() for run in runs)
        return waiting + sorted_already

    def behind(self, place: Mapping[str, int]) -> int:
        """How many entries history has that the tail would still have to read."""
        return max((place.get(actor, 0) - at for actor, at in self._position.items()), default=0)

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table of which there are newer rows."""
        if name in self._runs:
            return self._runs[name][0].rows.schema
        return readings_schema(self._newest(self._bulk[name].device_type))

    def catch_up(self, place: Mapping[str, int], files_of: Callable[[str], Sequence[File]]) -> None:
        """Read what is new in the journals; let go what history has passed.

        ``files_of`` gives the files of a readings table, where late readings are looked up. What fails leaves
        the tail where it was, to be read again.

        Raises
        ------
        JournalGapError : a journal was cut beyond what was read; start over from a newer version of history.
        HistoryBehindError : there is more than ``limit_rows`` of it.
        """
        self._let_go(place)
        rows, position = self._read()
        tables = list(rows.fixed().items())
        readings = list[tuple[str, pa.Table]]()
        bulk = list[tuple[str, _Bulk]]()
        for device_type, lines in rows.readings.items():
            name = READINGS + sql_name(device_type)
            count = sum(len(part.number) for part in lines)
            large = count >= _BULK_ROWS and count >= _BULK_ENTRY_ROWS * len(lines)
            if large or name in self._bulk:  # a late reading is looked up in what is sorted: order stays
                bulk.append((name, _Bulk(device_type, lines)))
            else:
                table = self._sorted(name, _Bulk(device_type, lines), files_of(name))
                readings.append((name, table))
        for name, table in tables:
            self._add(name, Run(table, dict(position)), self._joined)
        for name, table in readings:
            if table.num_rows:
                self._add(name, Run(table, dict(position)), self._merged)
        for name, new in bulk:
            self._bulk.setdefault(name, _Bulk(new.device_type, [])).lines.extend(new.lines)
        self._position = position

    def _let_go(self, place: Mapping[str, int]) -> None:
        """Forget what history has passed."""
        for name, runs in list(self._runs.items()):
            self._runs[name] = [
                run for run in runs if any(place.get(a, 0) < c for a, c in run.newest.items())
            ]
            if not self._runs[name]:
                del self._runs[name]
        for name, bulk in list(self._bulk.items()):
            self._bulk[name] = bulk.after(place)
            if not self._bulk[name].lines:
                del self._bulk[name]

    def _read(self) -> tuple[Rows, dict[str, int]]:
        """What is new in the journals, and how far it goes. Should one fail, nothing has been read of any."""
        rows = Rows()
        held = self.rows
        position = dict(self._position)
        for actor, source in self._sources.items():
            while found := source.read_after(position[actor], _ENTRIES_AT_ONCE):
                for entry in found:
                    decoding.take(entry, actor, self._names, rows, {})
                position[actor] = found[-1].cursor
                if held + len(rows) > self._limit_rows:
                    problem = (
                        f"more than {self._limit_rows:,} rows behind {actor}; see that the recorder runs"
                    )
                    raise HistoryBehindError("tail", problem)
        return rows, position

    def newer(self, name: str, after: Mapping[str, int], files: Sequence[File]) -> list[pa.Table]:
        """Rows of a table that follow the entries ``after``, one table a run. ``files`` are those of the table
        in the version that has the entries up to there, where late readings are looked up.
        """
        if name in self._bulk:
            bulk = self._bulk[name].after(after)
            if bulk.lines:
                table = self._sorted(name, bulk, files)
                newest = {part.actor: part.cursor for part in bulk.lines}  # entries of an actor come in order
                self._runs.setdefault(name, []).append(Run(table, newest))
            del self._bulk[name]
        return [following(run.rows, after) for run in self._runs.get(name, [])]

    def of_device(
        self, name: str, device_id: str, after: Mapping[str, int], files: Sequence[File]
    ) -> list[pa.Table]:
        """As ``newer``, of one device of a readings table: found by bisection in what is sorted, by comparison
        in what is not.
        """
        slices = []
        for run in self._runs.get(name, []):
            column = run.rows["device_id"].chunk(0)
            place = pc.index(column.dictionary, device_id).as_py()
            if place >= 0:
                places = column.indices.to_numpy()
                start, stop = np.searchsorted(places, [place, place + 1])
                slices.append(run.rows.slice(start, stop - start))
        found = [following(rows, after) for rows in slices]
        if name in self._bulk:
            bulk = self._bulk[name].after(after)
            number = self._names.number(bulk.device_type, device_id)
            mine = [] if number is None else _of_number(bulk.lines, number)
            if mine:
                may_hold = [f for f in files if f.least["device_id"] <= device_id <= f.greatest["device_id"]]
                found.append(self._sorted(name, _Bulk(bulk.device_type, mine), may_hold, slices))
        return found

    def _newest(self, device_type: str) -> DeviceType:
        newest = self._names.newest(device_type)
        assert newest is not None
        return newest

    def _sorted(
        self, name: str, bulk: _Bulk, files: Sequence[File], runs: Sequence[pa.Table] | None = None
    ) -> pa.Table:
        """Rows of a readings table. Late readings are looked up in ``files`` and ``runs`` (None: all)."""
        newest = self._newest(bulk.device_type)
        if runs is None:
            runs = [run.rows for run in self._runs.get(name, [])]
        already = StoredReadings(lambda: files, newest, runs)
        return decoding.sorted_readings(bulk.lines, newest, self._names, already)

    def _add(self, name: str, run: Run, merge: Callable[[pa.Table, pa.Table], pa.Table]) -> None:
        runs = self._runs.setdefault(name, [])
        while runs and runs[-1].rows.num_rows + run.rows.num_rows <= _MERGE_UP_TO_ROWS:
            run = Run(merge(runs.pop().rows, run.rows), run.newest)
        runs.append(run)

    @staticmethod
    def _joined(older: pa.Table, newer: pa.Table) -> pa.Table:
        return pa.concat_tables([older, newer]).combine_chunks()

    @staticmethod
    def _merged(older: pa.Table, newer: pa.Table) -> pa.Table:
        """Both in one, sorted; device ids by the dictionary of the newer, which has all of them."""
        ids = newer["device_id"].chunk(0).dictionary
        place = np.concatenate([_places(table, ids) for table in (older, newer)])
        both = pa.concat_tables([table.drop_columns(["device_id", "actor"]) for table in (older, newer)])
        event_us = both["event_time"].cast(pa.int64()).to_numpy()
        order = ordering.by_device_and_time(place, event_us, len(ids))
        actors = pa.concat_tables([table.select(["actor"]).cast(_PLAIN_ACTOR) for table in (older, newer)])
        both = both.take(pa.array(order)).combine_chunks()
        actor = actors["actor"].take(pa.array(order)).combine_chunks().dictionary_encode()
        device = pa.DictionaryArray.from_arrays(pa.array(place[order]), ids)
        columns = {name: both[name] for name in both.column_names} | {"device_id": device, "actor": actor}
        return pa.table({name: columns[name] for name in newer.column_names})


def following(rows: pa.Table, after: Mapping[str, int]) -> pa.Table:
    """The rows that follow the entries ``after``, by their ``actor`` and ``cursor``; the table itself where that
    is all of them.
    """
    if rows.num_rows == 0:
        return rows
    keep = None
    cursor = rows["cursor"]
    least = pc.min(cursor).as_py()
    for actor, passed in after.items():
        if least <= passed:
            stays = pc.or_(pc.not_equal(rows["actor"].cast(pa.string()), actor), pc.greater(cursor, passed))
            keep = stays if keep is None else pc.and_(keep, stays)
    return rows if keep is None else rows.filter(keep)


def _of_number(lines: Sequence[Lines], number: int) -> list[Lines]:
    """What is of one device."""
    hits = [np.flatnonzero(part.number == number) for part in lines]
    return [part.where(hit) for part, hit in zip(lines, hits, strict=True) if len(hit)]


def _places(table: pa.Table, ids: pa.Array) -> NDArray[np.int32]:
    column = table["device_id"].chunk(0)
    places: NDArray[np.int32] = column.indices.to_numpy()
    if column.dictionary is ids or len(column.dictionary) == len(ids):
        return places  # ids are only ever added, so as many are the same ones
    moved: NDArray[np.int32] = pc.index_in(column.dictionary, ids).to_numpy()
    return moved[places]
