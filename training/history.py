"""The past as tables: SQL over everything that was acknowledged, each reading once, the newest included.

A query reads one moment: the files and cursors of one version of each table, then the tail, which is what the
journals hold after those cursors. If a journal was cut in between, it starts over from a newer version. Files
are those the Delta log names, never a glob.
"""

import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from training import parquet_files, rollups, standing
from training.decoding import Names
from training.device_reader import DeviceReader
from training.envelope import Envelope
from training.errors import HistoryBehindError
from training.parquet_files import SqlFiles
from training.past import Past
from training.recorder import Source, load_names
from training.tables import (
    FIXED,
    GROWN,
    READINGS,
    ROLLUP,
    TIMESTAMP,
    File,
    Table,
    Version,
    channels_of,
    sql_name,
)
from training.tail import Tail, following
from twins.errors import JournalGapError

_ATTEMPTS: Final = 20
_ENTRIES_WORTH_READING: Final = 1000  # a tail further behind history than this starts anew from it
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """What queries may use: ``threads`` (0: all cores), ``memory_mb``, and ``tail_rows`` of what is not
    recorded yet.
    """

    threads: int = 0
    memory_mb: int = 2048
    tail_rows: int = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings of one device over time, in the order of their event times.

    ``resolution_us`` is 0 where ``rows`` holds the readings themselves: ``event_time`` and a column a
    channel. Else it is the width of the buckets, and there are ``<channel>_min`` and ``<channel>_max``, so
    that no peak is lost.
    """

    rows: pa.Table
    resolution_us: int


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """Versions of tables, and how far each table is with each actor."""

    versions: Mapping[str, Version]
    after: Mapping[str, Mapping[str, int]]


class History:
    """Queries over the past, up to what was acknowledged last. May be shared between threads.

    Parameters
    ----------
    folder : of the history
    sources : the journals of all actors, for what is not recorded yet; none: only what is
    hosts : folder of the hosts; with it, queries see the twins as they stand: ``live`` and ``live_<type>``
    """

    def __init__(
        self,
        folder: str | Path,
        sources: Sequence[Source] = (),
        config: HistoryConfig | None = None,
        hosts: Path | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._hosts = hosts
        self.config = config = config or HistoryConfig()
        self._sources = list(sources)
        self._lock = threading.RLock()
        self._tables: dict[str, Table] = {}
        self._tail: Tail | None = None
        self._known: tuple[tuple[int, ...], Names] | None = None
        self._registered: dict[str, Any] = {}
        self._readers: dict[str, DeviceReader] = {}  # by table
        self._read_version: dict[str, int] = {}
        self._sql_files = SqlFiles()
        self._database = duckdb.connect()
        self._database.execute(f"SET memory_limit = '{config.memory_mb}MB'")
        self._database.execute("SET parquet_metadata_cache = true")
        parquet_files.keep_in_memory(self._database, self.folder)
        if config.threads:
            self._database.execute(f"SET threads = {config.threads}")

    def close(self) -> None:
        """Let go of files and memory."""
        with self._lock:
            self._database.close()
            self._tail = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_source(self, source: Source) -> None:
        """Continue history from another journal, too."""
        with self._lock:
            self._sources.append(source)
            self._known = self._tail = None

    def register(self, name: str, table: Any) -> None:
        """Let queries see an Arrow table or data set under ``name``."""
        with self._lock:
            self._registered[name] = table

    def past(self) -> Past:
        """Twins as of past moments, from this history and the journals that continue it."""
        with self._lock:
            return Past(self.folder, tuple(self._sources))

    def tables(self) -> dict[str, pa.Schema]:
        """What can be queried: names and columns."""
        with self._lock:
            _, tail = self._moment(set())
            found = {name: table.schema for name, table in self._registered.items()}
            if self._hosts is not None:
                found.update({name: table.schema for name, table in standing.tables(self._hosts).items()})
            for name in tail.tables:
                found[name] = tail.schema(name)
            for name in self._stored_names():
                schema = FIXED.get(name, self._table(name).version(()).schema)
                found[name] = rollups.SCHEMA if name.startswith(ROLLUP) else schema
            return dict(sorted(found.items()))

    def versions(self) -> dict[str, int]:
        """The Delta version of each table on disk."""
        with self._lock:
            return {name: self._table(name).version(()).number for name in sorted(self._stored_names())}

    def storage(self) -> dict[str, tuple[int, int, int]]:
        """Files, rows and bytes of each table on disk; what is retained until a vacuum is not counted."""
        with self._lock:
            found = {name: self._table(name).version(()).files for name in sorted(self._stored_names())}
        return {
            name: (len(files), sum(each.rows for each in files), sum(each.size for each in files))
            for name, files in found.items()
        }

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        beside: Mapping[str, pa.Table] | None = None,
        devices: pa.Array | None = None,
    ) -> pa.Table:
        """The answer to a DuckDB query.

        ``parameters`` stand for ``$name`` in it, or for each ``?`` in turn. It sees the tables ``beside``, too.
        Times are UTC. With ``devices``, tables of history have no rows but those of these ids, and one that does not say of
        which device a row is, is not there.

        Raises
        ------
        duckdb.Error : the query makes no sense.
        HistoryBehindError : journal entries are gone that history does not have.
        """
        with self._asked(sql, devices) as connection:
            for name, table in (beside or {}).items():
                connection.register(name, table)
            said = dict(parameters) if isinstance(parameters, Mapping) else list(parameters or ())
            return connection.sql(sql, params=said).to_arrow_table()

    def export(self, sql: str, path: Path) -> int:
        """Write the answer to a DuckDB query into a plain Parquet file, CSV if it is called so; gives its rows.

        It appears under its name when it is whole, and replaces none. Raises as ``query`` does.

        Raises
        ------
        FileExistsError : there is one already.
        """
        part = path.with_name(path.name + ".part")
        form = "csv, header" if path.suffix == ".csv" else "parquet, compression zstd"
        with self._asked(sql) as connection:
            target = str(part).replace("'", "''")
            try:
                ((rows,),) = connection.execute(
                    f"COPY ({sql.strip().rstrip(';')}) TO '{target}' (FORMAT {form})"
                ).fetchall()
                path.hardlink_to(part)
            finally:
                part.unlink(missing_ok=True)
        return int(rows)

    @contextmanager
    def _asked(self, sql: str, devices: pa.Array | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that has the tables which a query names, of all devices or of some."""
        with self._database.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            with self._lock:
                self._show(connection, {word.lower() for word in _WORD.findall(sql)}, devices)
            yield connection

    def device_history(
        self,
        device_type: str,
        device_id: str,
        start_us: int,
        end_us: int,
        channels: Sequence[str] | None = None,
        max_points: int = 2000,
    ) -> Series:
        """The readings of one device with ``start_us <= event time < end_us``, BAD ones left out.

        More than ``max_points`` of them are told as minimum and maximum in at most that many buckets of equal
        width; long spans come from rollups, and what those do not have yet from the readings themselves.
        Buckets are then widened to whole ones of the rollup. An unknown device has no readings.

        Raises
        ------
        KeyError : the type has no such channel.
        """
        if end_us <= start_us or max_points < 1:
            raise ValueError(f"an empty span ({start_us} to {end_us}) or no points ({max_points}) asked for")
        name = READINGS + sql_name(device_type)
        width_us = -(-(end_us - start_us) // max_points)
        span = rollups.coarsest(width_us)
        rollup = rollups.table_name(span, device_type) if span is not None else ""
        with self._lock:
            moment, tail = self._moment({name, rollup})
            for table, seen in moment.versions.items():
                self._ready_reader(table, seen)
            version = moment.versions.get(name)
            files = version.files if version is not None else ()
            fresh = tail.of_device(name, device_id, moment.after[name], files) if name in moment.after else []
        if version is None and not fresh:
            return Series(pa.table({"event_time": pa.array([], TIMESTAMP)}), 0)
        names = channels_of(version.schema if version is not None else fresh[0].schema)
        channels = names if channels is None else list(channels)
        for channel in channels:
            if channel not in names:
                raise KeyError(
                    f"device type {device_type!r} has no channel {channel!r} (it has: {', '.join(names)})"
                )
        summary = moment.versions.get(rollup)
        passed = {} if summary is None else summary.cursors
        if summary is not None and span is not None:  # whole buckets of the rollup in each of ours
            unit_us = rollups.SPANS[span]
            start_us -= start_us % unit_us
            width_us = -(-width_us // unit_us) * unit_us
        parts = [part.select(["event_time", *channels]) for part in fresh]
        if version is not None:
            parts.append(self._stored(name, version, device_id, start_us, end_us, channels, passed))
        rows = pa.concat_tables(parts)
        times = rows["event_time"].cast(pa.int64())
        rows = rows.filter(pc.and_(pc.greater_equal(times, start_us), pc.less(times, end_us)))
        if summary is None and rows.num_rows <= max_points:
            return Series(rows.sort_by("event_time"), 0)
        envelope = Envelope(channels, start_us, end_us, width_us)
        envelope.add_readings(rows)
        if summary is not None:
            schema = pa.schema(
                [summary.schema.field(part) for part in ("channel", "event_time", "min", "max")]
            )
            envelope.add_rollup(self._of_device(rollup, summary.files, device_id, start_us, end_us, schema))
        return Series(envelope.rows(), width_us)

    def _stored(
        self,
        name: str,
        version: Version,
        device_id: str,
        start_us: int,
        end_us: int,
        channels: Sequence[str],
        passed: Mapping[str, int],
    ) -> pa.Table:
        """Readings of a device in the files that may hold some of the span, without those of entries that
        were ``passed``.
        """
        plain = pa.schema([version.schema.field(name) for name in ["event_time", *channels]])
        if not passed:
            return self._of_device(name, version.files, device_id, start_us, end_us, plain)
        least = min(passed.values())
        files = [file for file in version.files if file.greatest["cursor"] > least]
        schema = plain.append(version.schema.field("actor")).append(version.schema.field("cursor"))
        rows = self._of_device(name, files, device_id, start_us, end_us, schema)
        return following(rows, passed).select(plain.names)

    def _of_device(
        self, name: str, files: Iterable[File], device_id: str, start_us: int, end_us: int, schema: pa.Schema
    ) -> pa.Table:
        """Columns of a device's rows in those files of a table that may have some in the span; others may be
        among them.
        """
        reader = self._readers[name]
        parts = [
            reader.rows(file.path, device_id, start_us, end_us, schema) for file in files
            if file.least["device_id"] <= device_id <= file.greatest["device_id"]
            and file.least["event_time"] < end_us and file.greatest["event_time"] >= start_us
        ]  # fmt: skip
        found = pa.concat_tables([schema.empty_table(), *(part for part in parts if part is not None)])
        return found.combine_chunks()

    def _ready_reader(self, name: str, version: Version) -> None:
        """Have a reader for the devices in a version of a table."""
        if name not in self._readers:
            self._readers[name] = DeviceReader()
        if self._read_version.get(name) != version.number:
            self._read_version[name] = version.number
            self._readers[name].keep(file.path for file in version.files)

    def _show(
        self, connection: duckdb.DuckDBPyConnection, words: set[str], devices: pa.Array | None = None
    ) -> None:
        """Give a connection the tables that a query names, of all devices or of some."""
        if devices is None:
            for name in words & set(self._registered):
                connection.register(name, self._registered[name])
            if self._hosts is not None and any(word.startswith(standing.LIVE) for word in words):
                for name, table in standing.tables(self._hosts).items():
                    connection.register(name, table)
        else:
            connection.register("devices__meant", pa.table({"device_id": devices}))
        moment, tail = self._moment(words)
        for name, after in moment.after.items():
            version = moment.versions.get(name)
            fresh = tail.newer(name, after, version.files if version is not None else ())
            parts = []
            schema = FIXED.get(name, version.schema if version is not None else fresh[0].schema)
            columns = ", ".join(f'"{column}"' for column in schema.names)
            if version is not None and version.files:
                paths = [file.path for file in version.files]
                self._sql_files.keep(paths, f"{self.folder / name}{os.sep}")
                grown = schema if name in GROWN else None
                stored = self._sql_files.sql(connection, f"{name}__sealed", paths, schema.names, grown)
                parts.append(f"SELECT {columns} FROM {stored}")
            for number, rows in enumerate([*fresh, schema.empty_table()]):
                connection.register(f"{name}__newer_{number}", rows)
                parts.append(f"SELECT {columns} FROM {name}__newer_{number}")
            union = " UNION ALL ".join(parts)
            if name.startswith(ROLLUP):
                union = rollups.merging(union)
            if devices is not None:
                if "device_id" not in schema.names:
                    continue
                union = f"SELECT * FROM ({union}) WHERE device_id IN (SELECT device_id FROM devices__meant)"
            connection.execute(f"CREATE TEMP VIEW {name} AS {union}")

    def _moment(self, words: set[str]) -> tuple[_Moment, Tail]:
        """Versions of those of the tables that are meant, and the tail that continues them.

        The order matters. History's place is read before any table, so that a table has at least everything
        up to it. The tail comes before the tables, so that what it leaves out because it is stored is in
        them.
        """
        for _ in range(_ATTEMPTS):
            place = self._place()
            try:
                if self._tail is None or self._tail.behind(place) > _ENTRIES_WORTH_READING:
                    self._tail = Tail(self._sources, place, self._known_names(), self.config.tail_rows)
                self._tail.catch_up(place, self._files_of)
            except HistoryBehindError:
                self._tail = None
                raise
            except JournalGapError:
                self._tail = None
                continue
            versions = {
                name: self._table(name).version(place) for name in sorted(words & self._stored_names())
            }
            after = {
                name: {
                    actor: max(cursor, versions[name].cursors[actor] if name in versions else 0)
                    for actor, cursor in place.items()
                }
                for name in sorted(words & (versions.keys() | set(self._tail.tables)))
            }
            return _Moment(versions, after), self._tail
        problem = "journals are cut before history has what they hold; does the recorder write elsewhere?"
        raise HistoryBehindError(str(self.folder), problem)

    def _place(self) -> dict[str, int]:
        inputs = self._table("inputs")
        actors = [source.actor for source in self._sources]
        if not inputs.exists:
            return dict.fromkeys(actors, 0)
        return dict(inputs.version(actors).cursors)

    def _known_names(self) -> Names:
        """Devices and types as of the newest version, read anew only when there is one."""
        types, devices = self._table("types"), self._table("devices")
        if not (types.exists and devices.exists):
            return Names()
        versions = (types.version(()).number, devices.version(()).number)
        if self._known is None or self._known[0] != versions:
            names = Names()
            for source in self._sources:
                load_names(types, devices, names, source.actor)
            self._known = versions, names
        return self._known[1]

    def _files_of(self, name: str) -> Sequence[File]:
        return self._table(name).version(()).files if self._table(name).exists else ()

    def _stored_names(self) -> set[str]:
        return {path.name for path in self.folder.glob("*") if Table(path).exists}

    def _table(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(self.folder / name)
        return table
