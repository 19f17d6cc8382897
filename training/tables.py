"""The tables of history on disk: what each is called, its columns, and how files come into it and go.

A table is a Delta table: Parquet files and a log that names those which count. A file is written under
another name, synced and renamed; then one commit adds it together with the cursor of every actor whose
entries it holds. The cursor is read from the very handle that commits, and a handle that is behind may not
commit: that is what makes it exactly once.

Where the folder is encrypted files are sealed (``parquet_files.py``) and the log, which is not, holds no value of any row:
the bounds of a file stand in its footer.
"""

import contextlib
import itertools
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from training import parquet_files
from training.errors import HistoryConflictError, HistoryError
from twins.devices import DeviceType
from twins.prognosis import FIGURES

TIMESTAMP: Final = pa.timestamp("us", "UTC")
SMALL_GROUP_ROWS: Final = 1 << 12
_SMALL_FILE_ROWS: Final = (
    1 << 18
)  # up to there groups are small: such a file has hardly more than a row a device

READINGS: Final = "readings_"
ROLLUP: Final = "rollup_"

EVENTS: Final = pa.schema(
    [
        ("type", pa.string()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("event_time", TIMESTAMP),
        ("recorded_at", TIMESTAMP),
        ("detail", pa.string()),  # JSON
        ("actor", pa.string()),
        ("cursor", pa.int64()),
        ("number", pa.int32()),  # its place among the events of the entry
    ]
)
INPUTS: Final = pa.schema(
    [
        ("kind", pa.string()),  # command, tick, mark, scores, lost
        ("recorded_at", TIMESTAMP),
        ("command", pa.string()),
        ("by", pa.string()),
        ("body", pa.string()),  # JSON of a command
        ("payload", pa.binary()),  # of anything else
        ("epoch", pa.int64()),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
LINES: Final = pa.schema(
    [
        ("device_type", pa.string()),
        ("payload", pa.binary()),  # a readings entry of these lines alone
        ("recorded_at", TIMESTAMP),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
"""Lines of readings entries of which a readings table does not tell all: see ``past.py``."""

DEVICES: Final = pa.schema(
    [
        ("device_type", pa.string()),
        ("device_id", pa.string()),
        ("row", pa.int32()),
        ("site", pa.string()),
        ("parent", pa.string()),
        ("name", pa.string()),
        ("labels", pa.string()),  # JSON
        ("retired", pa.bool_()),
        ("recorded_at", TIMESTAMP),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
TYPES: Final = pa.schema(
    [
        ("device_type", pa.string()),
        ("version", pa.int64()),
        ("document", pa.string()),  # JSON
        ("recorded_at", TIMESTAMP),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
CONDITION: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("event_time", TIMESTAMP),  # of the newest reading behind it
        ("recorded_at", TIMESTAMP),
        ("health", pa.float32()),
        ("observed", pa.float32()),
        ("anomaly_score", pa.float32()),
        ("anomalous", pa.bool_()),
        ("patterns", pa.int16()),  # bit i: twins.events.PATTERNS[i]
        ("life_cycle", pa.int32()),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
PROGNOSES: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("event_time", TIMESTAMP),  # of the newest reading behind it
        ("recorded_at", TIMESTAMP),
        ("model_version", pa.int32()),
        ("shadow", pa.bool_()),  # of a model that was not in force; the twin did not hear of it
        ("failure_mode", pa.string()),  # the likeliest; null: they are not told apart
        ("share", pa.float32()),  # of the risk, that mode's
        *((name, pa.float32()) for name in FIGURES),
        ("in_distribution", pa.bool_()),  # false: the model could not say
        ("life_cycle", pa.int32()),
        ("actor", pa.string()),
        ("cursor", pa.int64()),
    ]
)
ROLLUPS: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("channel", pa.string()),
        ("event_time", TIMESTAMP),  # start of the bucket
        ("count", pa.int64()),
        ("sum", pa.float64()),
        ("sum_of_squares", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("first", pa.float64()),
        ("last", pa.float64()),
        ("first_at", TIMESTAMP),
        ("last_at", TIMESTAMP),
    ]
)
FIXED: Final[Mapping[str, pa.Schema]] = {
    "events": EVENTS,
    "inputs": INPUTS,
    "lines": LINES,
    "devices": DEVICES,
    "types": TYPES,
    "condition": CONDITION,
    "prognoses": PROGNOSES,
}
"""The tables that every history has, besides ``readings_<type>`` and ``rollup_<span>_<type>``."""

GROWN: Final = frozenset({"prognoses"})
"""Those that had fewer columns once: what earlier files do not have is null."""

LOG: Final = "_delta_log"
"""The folder of a table's log, inside the table's own."""

_STATISTICS: Final = ("device_id", "event_time", "recorded_at", "ingest_us", "cursor")
_STEADY: Final = ("event_time", "recorded_at", "ingest_us", "cursor")  # grow by much the same from row to row
_TIMES: Final = ("event_time", "recorded_at")
_BOUNDS: Final = "twinfold.bounds"  # in the footer of a file that is sealed
_NOTHING: Final = "{}"  # what the log says of such a file
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNFINISHED: Final = ".part"
_VERSIONS: Final = ("[0-9]*.json", "[0-9]*.checkpoint*.parquet")
_LOG_OPTIONS: Final = {
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_DICTIONARY_BYTES: Final = 8 << 20
_WORTH_A_DICTIONARY: Final = 2.6  # bytes a value; what BYTE_STREAM_SPLIT and zstd leave of rounded floats


def sql_name(device_type: str) -> str:
    """A device type's name as it stands in table names: ``centrifugal-pump`` is ``centrifugal_pump``
    there.
    """
    return device_type.replace("-", "_")


def readings_schema(device_type: DeviceType) -> pa.Schema:
    """One column a channel; null where the reading is missing or BAD.

    ``bad`` is a mask of channels whose reading was BAD, and ``bad_values`` holds those values in the order
    of the channels: kept, but apart, so that no average includes them by accident. ``late``: at least one
    channel's reading came after a newer one of it.
    """
    value = pa.float64() if device_type.dtype.itemsize == 8 else pa.float32()
    return pa.schema(
        [
            ("device_id", pa.string()),
            ("event_time", TIMESTAMP),
            *((name, value) for name in device_type.channel_names),
            ("bad", pa.int64()),
            ("bad_values", pa.list_(value)),
            ("late", pa.bool_()),
            ("ingest_us", pa.int64()),
            ("actor", pa.string()),
            ("cursor", pa.int64()),
        ]
    )


def channels_of(schema: pa.Schema) -> list[str]:
    """The channels of a readings table."""
    names = schema.names
    return list(names[2 : names.index("bad")])


@dataclass(frozen=True, slots=True)
class Packing:
    """How a file is compressed, and how many rows a row group has; in small files it has fewer."""

    compression: str
    level: int | None
    group_rows: int


QUICK: Final = Packing("snappy", None, 1 << 13)
"""For what will soon be joined: a device is found in about half the time that ``TIGHT`` takes, in a third more bytes."""

TIGHT: Final = Packing("zstd", 3, 1 << 14)


@dataclass(frozen=True, slots=True)
class File:
    """A file that counts. The bounds are None where the table has no such column."""

    path: str  # absolute
    size: int
    rows: int
    least: Mapping[str, Any]  # by column: device_id, event_time (µs), ingest_us, cursor
    greatest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table: its files, and how far each actor's journal is in it."""

    number: int
    schema: pa.Schema
    files: tuple[File, ...]
    cursors: Mapping[str, int]


class Table:
    """One table. Not shared between threads that write; reading a ``Version`` needs no lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._delta: DeltaTable | None = None
        self._read: Version | None = None

    @property
    def exists(self) -> bool:
        """Whether it has a version: its folders alone are what a full disk or a kill leaves of making it."""
        log = self.folder / LOG
        return self._delta is not None or any(True for names in _VERSIONS for _ in log.glob(names))

    def create(self, schema: pa.Schema) -> None:
        """Make the table if it is not there, and add the columns that it does not have.

        Raises
        ------
        HistoryError : it has columns that are not in ``schema``.
        """
        if not self.exists:
            self.folder.mkdir(parents=True, exist_ok=True)
            delta_schema = Schema.from_arrow(schema)
            self._delta = DeltaTable.create(
                self.folder, schema=delta_schema, mode="ignore", configuration=_LOG_OPTIONS
            )
        delta = self._handle()
        names = [field.name for field in delta.schema().fields]
        if not set(names) <= set(schema.names):
            raise HistoryError(self.name, f"has the columns {names}, not {schema.names}")
        new = [field for field in Schema.from_arrow(schema).fields if field.name not in names]
        if new:
            delta.alter.add_columns(new)

    def cursor(self, actor: str) -> int:
        """How far the journal of ``actor`` is in the newest version; 0 at the start."""
        delta = self._handle()
        delta.update_incremental()
        return int(delta.transaction_version(actor) or 0)

    def version(self, actors: Iterable[str]) -> Version:
        """The newest version: files and cursors of one moment."""
        delta = self._handle()
        delta.update_incremental()
        number = delta.version()
        if self._read is None or self._read.number != number:
            schema = pa.schema(delta.schema().to_arrow())
            self._read = Version(number, schema, tuple(self._files(delta)), {})
        cursors = {actor: int(delta.transaction_version(actor) or 0) for actor in actors}
        return Version(number, self._read.schema, self._read.files, cursors)

    def write(self, rows: pa.Table) -> AddAction:
        """Put rows into a file of their own, whole and on disk. It counts once it has been committed."""
        return self._write([rows], rows.num_rows, QUICK)

    def write_settled(self, parts: Iterable[pa.Table], rows: int) -> AddAction:
        """As ``write``, for what will lie there long: packed tightly, from parts in their order, of ``rows`` together."""
        return self._write(parts, rows, TIGHT)

    def _write(self, parts: Iterable[pa.Table], rows: int, packing: Packing) -> AddAction:
        path = self.folder / f"{uuid.uuid4().hex}.parquet"
        unfinished = path.with_suffix(_UNFINISHED)
        bounds = _Bounds()
        encryption = parquet_files.encryption_of(path)
        try:
            with open(unfinished, "wb") as file:
                write_parquet(map(bounds.note, parts), rows, file, packing, encryption, bounds.as_json)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:  # whoever tries again must not fill the disk with what failed
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.rename(path)
        _sync(self.folder)
        return AddAction(
            path.name,
            path.stat().st_size,
            {},
            time.time_ns() // 1_000_000,
            True,
            bounds.as_json() if encryption is None else _NOTHING,
        )

    def commit(
        self,
        adds: Sequence[AddAction],
        removes: Sequence[File] = (),
        *,
        before: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
        new_rows: bool = True,
    ) -> int:
        """Add and remove files in one commit, moving cursors from ``before`` to ``after``. Returns the
        version.

        ``new_rows`` is off where the same rows merely lie in other files. A commit by somebody else in
        between is harmless as long as it moved none of these cursors and removed none of these files. If it fails,
        the files to be added are deleted unless the log names them after all.

        Raises
        ------
        HistoryConflictError : it did.
        """
        try:
            return self._commit(adds, removes, before or {}, after or {}, new_rows)
        except BaseException:
            self._delete_uncommitted(adds)
            raise

    def _commit(
        self,
        adds: Sequence[AddAction],
        removes: Sequence[File],
        before: Mapping[str, int],
        after: Mapping[str, int],
        new_rows: bool,
    ) -> int:
        delta = self._handle()
        actions: list[AddAction | RemoveAction] = [
            AddAction(a.path, a.size, a.partition_values, a.modification_time, new_rows, a.stats)
            for a in adds
        ]
        now_ms = time.time_ns() // 1_000_000
        actions += [RemoveAction(Path(file.path).name, new_rows, now_ms, file.size, {}) for file in removes]
        transactions = [Transaction(actor, cursor) for actor, cursor in after.items()]
        properties = CommitProperties(max_commit_retries=0, app_transactions=transactions)
        hooks = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=True)
        for _ in range(20):
            delta.update_incremental()
            for actor, cursor in before.items():
                found = int(delta.transaction_version(actor) or 0)
                if found != cursor:
                    problem = (
                        f"stands at entry {found} of {actor} instead of {cursor}; does a second recorder run?"
                    )
                    raise HistoryConflictError(self.name, problem)
            if removes:
                standing = {Path(uri).name for uri in delta.file_uris()}
                gone = [file.path for file in removes if Path(file.path).name not in standing]
                if gone:
                    raise HistoryConflictError(self.name, f"{gone[0]} has been replaced meanwhile")
            try:
                delta.create_write_transaction(
                    actions,
                    "append",
                    delta.schema(),
                    commit_properties=properties,
                    post_commithook_properties=hooks,
                )
            except CommitFailedError:
                continue
            return int(delta.version())
        raise HistoryConflictError(self.name, "others commit so often that there is no getting in")

    def clean(self, older_than_s: float) -> None:
        """Delete files that no version of the last ``older_than_s`` names, and what was never finished.

        It has to be longer than any query lasts: a reader may still hold a version that names them.
        """
        delta = self._handle()
        delta.update_incremental()
        hours = -(-int(older_than_s) // 3600)
        delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
        horizon = time.time() - older_than_s
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            if path.stat().st_mtime < horizon:
                path.unlink(missing_ok=True)

    def _delete_uncommitted(self, adds: Sequence[AddAction]) -> None:
        """A commit that reported a failure may be in the log: what that names stays. In doubt all does, for ``clean``."""
        with contextlib.suppress(Exception):
            named = {Path(uri).name for uri in DeltaTable(self.folder).file_uris()}
            for add in adds:
                if add.path not in named:
                    (self.folder / add.path).unlink(missing_ok=True)

    def _handle(self) -> DeltaTable:
        if self._delta is None:
            if not self.exists:
                raise HistoryError(self.name, "does not exist yet; nothing of its kind has been recorded")
            self._delta = DeltaTable(self.folder)
        return self._delta

    def _files(self, delta: DeltaTable) -> Iterator[File]:
        """The files of the version that ``delta`` is at; only those that are new are looked at closely."""
        known = {} if self._read is None else {file.path: file for file in self._read.files}
        actions = pa.table(delta.get_add_actions(flatten=True))
        paths = [str(self.folder / unquote(path)) for path in actions["path"].to_pylist()]
        new = [position for position, path in enumerate(paths) if path not in known]
        names = set(actions.column_names)
        bounds = [(name, f"min.{name}", f"max.{name}") for name in _STATISTICS if f"min.{name}" in names]
        for position, add in zip(new, actions.take(pa.array(new, pa.int64())).to_pylist(), strict=True):
            if add.get("num_records") is None:
                known[paths[position]] = _of_footer(paths[position], add["size_bytes"])
                continue
            least = {name: _plain(add[low]) for name, low, _ in bounds}
            greatest = {name: _plain(add[high]) for name, _, high in bounds}
            path = paths[position]
            known[path] = File(path, add["size_bytes"], add["num_records"], least, greatest)
        for path in paths:
            yield known[path]


def write_parquet(
    parts: Iterable[pa.Table],
    rows: int,
    file: BinaryIO,
    packing: Packing,
    encryption: Any = None,
    bounds: Callable[[], str] | None = None,
) -> None:
    """Write ``parts``, of ``rows`` together and at least one, in the form that history keeps: time as differences, and
    floats as what is smaller for them.

    Rounded values repeat, so a dictionary a row group is worth it for most; else their bytes are split into
    streams; the first rows decide for the file. A row group is what has to be decoded to see one device, so it
    is small: 16 k rows cost 6 % more bytes than 64 k, and a third of the time. Measured by
    ``bench/history.py``. Where the file is to be encrypted, what ``bounds`` says once all is written stands in its footer.
    """
    group_rows = packing.group_rows if rows > _SMALL_FILE_ROWS else SMALL_GROUP_ROWS
    groups = _groups(parts, group_rows)
    first = next(groups)
    schema = pa.schema([field.with_type(_stored(field.type)) for field in first.schema])
    dictionaries, encodings = [], {}
    for field in schema:
        if pa.types.is_floating(field.type):
            if _dictionary_bytes(first[field.name]) < _WORTH_A_DICTIONARY:
                dictionaries.append(field.name)
            else:
                encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif field.name in _STEADY:
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif not pa.types.is_nested(field.type) and not pa.types.is_boolean(field.type):
            dictionaries.append(field.name)
    with pq.ParquetWriter(
        file,
        schema,
        compression=packing.compression,
        compression_level=packing.level,
        use_dictionary=dictionaries,
        column_encoding=encodings or None,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        data_page_version="2.0",
        store_schema=False,
        write_page_checksum=True,
        encryption_properties=encryption,
    ) as writer:
        for group in itertools.chain([first], groups):
            writer.write_table(group.cast(schema), row_group_size=group_rows)
        if encryption is not None and bounds is not None:
            writer.add_key_value_metadata({_BOUNDS: bounds()})


def _groups(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows, ``rows`` at a time; of no rows at all, one table without any."""
    left: pa.Table | None = None
    given = False
    for part in parts:
        left = part if left is None or not left.num_rows else pa.concat_tables([left, part])
        whole = left.num_rows - left.num_rows % rows
        for at in range(0, whole, rows):
            given = True
            yield left.slice(at, rows)
        left = left.slice(whole)
    if left is not None and (left.num_rows or not given):
        yield left


def _stored(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _dictionary_bytes(values: pa.ChunkedArray) -> float:
    """Bytes a value that a dictionary would take: its index, and its share of the dictionary."""
    rows = max(1, len(values))
    distinct: int = max(1, pc.count_distinct(values).as_py())
    return math.log2(distinct + 1) / 8 + distinct * int(values.type.bit_width) / 8 / rows


class _Bounds:
    """What a Delta log keeps of a file, so that a query can skip it: the number of rows, and the least and the greatest
    of some columns.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._least: dict[str, Any] = {}
        self._greatest: dict[str, Any] = {}

    def note(self, rows: pa.Table) -> pa.Table:
        """Count in some of the rows. Returns them."""
        self._rows += rows.num_rows
        for name in _STATISTICS:
            if name in rows.column_names and rows.num_rows:
                column = rows[name]
                if pa.types.is_dictionary(column.type):
                    column = pc.unique(column).cast(pa.string())
                bounds = pc.min_max(column)
                least, greatest = (_as_json(bounds[end]) for end in ("min", "max"))
                self._least[name] = _of(min, self._least.get(name), least)
                self._greatest[name] = _of(max, self._greatest.get(name), greatest)
        return rows

    def as_json(self) -> str:
        return json.dumps(
            {
                "numRecords": self._rows,
                "minValues": self._least,
                "maxValues": self._greatest,
                "nullCount": {},
            }
        )


def _of_footer(path: str, size: int) -> File:
    """A file whose bounds the log does not tell."""
    said = json.loads((parquet_files.footer_of(path).metadata or {}).get(_BOUNDS.encode(), b"null"))
    if said is None:
        raise HistoryError(
            Path(path).parent.name, f"{path} does not say what it holds; it was not written here"
        )
    least, greatest = (
        {name: _back(name, said[end].get(name)) for name in said[end]} for end in ("minValues", "maxValues")
    )
    return File(path, size, said["numRecords"], least, greatest)


def _back(name: str, value: Any) -> Any:
    """A bound as it was before ``_as_json``, times as microseconds."""
    return _plain(datetime.fromisoformat(value)) if name in _TIMES and value is not None else value


def _of(choose: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """The lesser or the greater of two bounds, None where neither is known."""
    return choose(one, other) if one is not None and other is not None else one if other is None else other


def _as_json(value: pa.Scalar) -> Any:
    if pa.types.is_timestamp(value.type):
        return value.cast(pa.timestamp("us")).as_py().isoformat(timespec="microseconds") + "Z"
    return value.as_py()


def _plain(value: Any) -> Any:
    """Times as microseconds."""
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
