"""Journal entries read back into rows of history.

``Names`` is what has to be known to read an entry: which device a row of a shard is, which version of its
type was in force. It learns from the entries themselves, and a recorder that starts in the middle loads it
from history. ``Rows`` is what was read and not yet written, by table.
"""

import bisect
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training import ordering
from training.tables import (
    DEVICES,
    EVENTS,
    INPUTS,
    LINES,
    PROGNOSES,
    READINGS,
    TIMESTAMP,
    TYPES,
    readings_schema,
    sql_name,
)
from twins import entries, events, typefiles
from twins.devices import DeviceType
from twins.entries import EntryKind
from twins.events import Event, EventBatch, Kind
from twins.journal import StoredEntry
from twins.prognosis import SAID, score_columns
from twins.readings import Fate, ShardBatch

_log = logging.getLogger("twinfold.history")

_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode

Masks = NDArray[np.uint64]


class Names:
    """Devices by type, with a number each, and the versions of the types, as the journals of all actors tell
    them.
    """

    def __init__(self) -> None:
        self._types: dict[tuple[str, str], list[tuple[int, DeviceType]]] = {}
        self._fleets: dict[str, _Fleet] = {}

    def install(self, actor: str, cursor: int, device_type: DeviceType) -> None:
        """A version of a type has been in force in ``actor`` since entry ``cursor``."""
        versions = self._types.setdefault((actor, device_type.name), [])
        at = bisect.bisect_left(versions, cursor, key=lambda version: version[0])
        if at == len(versions) or versions[at][0] != cursor:
            versions.insert(at, (cursor, device_type))

    def type_at(self, actor: str, name: str, cursor: int) -> DeviceType | None:
        """The version in force at entry ``cursor``."""
        versions = self._types.get((actor, name), [])
        at = bisect.bisect_right(versions, cursor, key=lambda version: version[0])
        return versions[at - 1][1] if at else None

    def newest(self, name: str) -> DeviceType | None:
        """The newest version of a type in any actor."""
        found = [versions[-1][1] for (_, other), versions in sorted(self._types.items()) if other == name]
        return max(found, key=lambda device_type: device_type.version, default=None)

    def type_names(self) -> list[str]:
        return sorted({name for _, name in self._types})

    def add(
        self, actor: str, device_type: str, rows: NDArray[np.int32], ids: Sequence[str] | pa.Array
    ) -> None:
        """Rows of a shard have these ids. Rows that are known stay as they are."""
        self._fleet(device_type).add(actor, rows, pa.array(ids, pa.string()))

    def numbers(self, actor: str, device_type: str, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The number of the device in each row; a row nobody registered gets a name that says so."""
        return self._fleet(device_type).numbers(actor, rows)

    def device_ids(self, actor: str, device_type: str, rows: NDArray[np.int32]) -> dict[int, str]:
        """The ids of some rows, by row; of negative ones none."""
        fleet = self._fleet(device_type)
        rows = np.unique(rows[rows >= 0])
        ids = fleet.ids_of(fleet.numbers(actor, rows))
        return dict(zip(rows.tolist(), ids, strict=True))

    def row_ids(self, actor: str, device_type: str, rows: NDArray[np.int32]) -> pa.Array:
        """(n,) the id of the device in each row."""
        fleet = self._fleet(device_type)
        return fleet.ids().take(pa.array(fleet.numbers(actor, rows)))

    def number(self, device_type: str, device_id: str) -> int | None:
        """The number of a device; None: there is no such device."""
        ids, place = self._fleet(device_type).sorted()
        at = bisect.bisect_left(range(len(ids)), device_id, key=lambda i: ids[i].as_py())
        if at == len(ids) or ids[at].as_py() != device_id:
            return None
        return int(np.flatnonzero(place == at)[0])

    def sorted_ids(self, device_type: str) -> tuple[pa.Array, NDArray[np.int32]]:
        """All ids in their order, and the place of each number among them."""
        return self._fleet(device_type).sorted()

    def _fleet(self, device_type: str) -> "_Fleet":
        fleet = self._fleets.get(device_type)
        if fleet is None:
            fleet = self._fleets[device_type] = _Fleet()
        return fleet


class _Fleet:
    """The devices of one type: numbered as they come."""

    def __init__(self) -> None:
        self._chunks: list[pa.Array] = []
        self._count = 0
        self._number_of_row: dict[str, NDArray[np.int32]] = {}
        self._sorted: tuple[pa.Array, NDArray[np.int32]] | None = None

    def add(self, actor: str, rows: NDArray[np.int32], ids: pa.Array) -> None:
        table = self._number_of_row.get(actor, np.zeros(0, np.int32))
        wanted = int(rows.max()) + 1 if len(rows) else 0
        if wanted > len(table):
            larger = np.full(max(wanted, 2 * len(table)), -1, np.int32)
            larger[: len(table)] = table
            self._number_of_row[actor] = table = larger
        new = table[rows] < 0
        if not new.all():
            rows, ids = rows[new], ids.filter(pa.array(new))
        table[rows] = np.arange(self._count, self._count + len(rows), dtype=np.int32)
        self._chunks.append(ids)
        self._count += len(rows)
        self._sorted = None

    def numbers(self, actor: str, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        table = self._number_of_row.get(actor, np.zeros(0, np.int32))
        if len(rows) and (int(rows.max()) >= len(table) or (table[rows] < 0).any()):
            nameless = np.unique(rows)
            nameless = nameless[[row >= len(table) or table[row] < 0 for row in nameless.tolist()]]
            _log.warning(
                "%s: the registration of %d devices is lost; they get stand-in names", actor, len(nameless)
            )
            self.add(actor, nameless, pa.array([f"?{actor}/{row}" for row in nameless.tolist()], pa.string()))
            table = self._number_of_row[actor]
        return table[rows]

    def ids_of(self, numbers: NDArray[np.int32]) -> list[str]:
        ids: list[str] = self.ids().take(pa.array(numbers)).to_pylist()
        return ids

    def ids(self) -> pa.Array:
        if len(self._chunks) != 1:
            self._chunks = [pa.concat_arrays(self._chunks) if self._chunks else pa.array([], pa.string())]
        return self._chunks[0]

    def sorted(self) -> tuple[pa.Array, NDArray[np.int32]]:
        if self._sorted is None:
            order = pc.sort_indices(self.ids()).to_numpy()
            place = np.empty(len(order), np.int32)
            place[order] = np.arange(len(order), dtype=np.int32)
            self._sorted = self.ids().take(pa.array(order)), place
        return self._sorted


class Lines(NamedTuple):
    """What history keeps of one readings entry, in the order of its lines."""

    actor: str
    cursor: int
    ingest_us: int
    number: NDArray[np.int32]  # (n,) of the device, see Names
    event_us: NDArray[np.int64]
    values: NDArray[Any]  # (n, channels)
    stored: Masks  # channels that history keeps
    bad: Masks  # those of them that are BAD
    late: Masks  # those of them that came after a newer one

    def where(self, kept: NDArray[Any]) -> "Lines":
        """Some of the lines: a mask, or positions."""
        return self._replace(**{name: getattr(self, name)[kept] for name in self._fields[3:]})


@dataclass(slots=True)
class Rows:
    """What was read of the journals, by table, and how much of it is readings."""

    readings: dict[str, list[Lines]] = field(default_factory=dict)  # by device type
    events: list[tuple[Any, ...]] = field(default_factory=list)
    inputs: list[tuple[Any, ...]] = field(default_factory=list)
    devices: list[tuple[Any, ...]] = field(default_factory=list)
    types: list[tuple[Any, ...]] = field(default_factory=list)
    whole: list[tuple[Any, ...]] = field(default_factory=list)
    prognoses: list[pa.Table] = field(default_factory=list)
    lines: int = 0

    def __len__(self) -> int:
        told = sum(map(len, self.prognoses))
        return self.lines + len(self.events) + len(self.inputs) + len(self.whole) + told

    def fixed(self) -> dict[str, pa.Table]:
        """The rows of the tables that are not readings."""
        found = {
            "types": _table(self.types, TYPES),
            "devices": _table(self.devices, DEVICES),
            "events": _table(self.events, EVENTS),
            "inputs": _table(self.inputs, INPUTS),
            "lines": _table(self.whole, LINES),
            "prognoses": pa.concat_tables([PROGNOSES.empty_table(), *self.prognoses]),
        }
        return {name: rows for name, rows in found.items() if rows.num_rows}


def take(entry: StoredEntry, actor: str, names: Names, rows: Rows, known: Mapping[str, int]) -> None:
    """Read one entry into ``rows``, teaching ``names`` what it says.

    ``known`` is the cursor up to which a table has this actor's entries already; what it has is not read
    again.
    """

    def wanted(table: str) -> bool:
        return entry.cursor > known.get(table, 0)

    match entry.kind:
        case EntryKind.READINGS:
            _take_readings(entry, actor, names, rows, wanted)
        case EntryKind.COMMAND:
            _take_command(entry, actor, names, rows, wanted)
        case EntryKind.SCORES:
            _take_scores(entry, actor, names, rows, wanted)
        case _ if wanted("inputs"):
            kind = EntryKind(entry.kind).name.lower() if entry.kind in set(EntryKind) else str(entry.kind)
            payload = entry.payload or None
            rows.inputs.append(
                (kind, entry.now_us, None, None, None, payload, entry.epoch, actor, entry.cursor)
            )
    if entry.events and wanted("events"):
        _take_events(entry, actor, names, rows)


def learn(entry: StoredEntry, actor: str, names: Names) -> None:
    """Teach ``names`` what an entry says, and keep nothing of it."""
    if entry.kind == EntryKind.COMMAND:
        _take_command(entry, actor, names, Rows(), lambda _: False)


def decoded(
    batch: EventBatch, actor: str, device_type: DeviceType, names: Names, entry: StoredEntry
) -> Iterator[Event]:
    """The events of a batch that an entry holds; ``device_type`` is the version then in force."""
    ids = names.device_ids(actor, device_type.name, batch.records["row"])
    return events.decode(
        batch,
        device_id=ids.__getitem__,
        rules=[rule.name for rule in device_type.rules],
        channels=device_type.channel_names,
        recorded_us=entry.now_us,
        cursor=entry.cursor,
    )


def _take_readings(entry: StoredEntry, actor: str, names: Names, rows: Rows, wanted: Any) -> None:
    found = entries.decode_lines(entry.payload)
    name = found.device_type
    device_type = names.type_at(actor, name, entry.cursor)
    if device_type is None:
        if wanted("inputs"):  # its type is lost, so its channels have no names: kept as it is
            _log.warning(
                "%s: the type of entry %d is lost; its readings are kept as input", actor, entry.cursor
            )
            row = (
                "readings",
                entry.now_us,
                None,
                None,
                None,
                entry.payload,
                entry.epoch,
                actor,
                entry.cursor,
            )
            rows.inputs.append(row)
        return
    if not (wanted(READINGS + sql_name(name)) or wanted("lines")):
        return
    batch = found.batch
    nothing = np.zeros(len(batch), np.uint64)
    stored = batch.present if found.duplicate is None else batch.present & ~found.duplicate
    if found.fate is not None:
        stored = np.where(found.fate >= int(Fate.FUTURE), np.uint64(0), stored)
    late = nothing if found.late is None else found.late & stored
    bad = nothing if found.bad is None else found.bad & stored
    if found.late is not None:
        bad = bad | _bad_among_late(batch.values, late, device_type)
    if wanted("lines") and (whole := _told_whole(batch, stored, late)) is not None:
        payload = bytes(entries.encode_readings(name, whole))
        rows.whole.append((name, payload, entry.now_us, actor, entry.cursor))
    if not wanted(READINGS + sql_name(name)):
        return
    numbers = names.numbers(actor, name, batch.rows)
    lines = Lines(actor, entry.cursor, entry.now_us, numbers, batch.event_us, batch.values, stored, bad, late)
    kept = stored != 0
    if not kept.all():
        lines = lines.where(kept)
    if len(lines.number):
        rows.readings.setdefault(name, []).append(lines)
        rows.lines += len(lines.number)


def _take_scores(entry: StoredEntry, actor: str, names: Names, rows: Rows, wanted: Any) -> None:
    """Forecasts become rows; what the twins heard is kept as an input too, for twins to be rebuilt."""
    told = entries.decode_scores(entry.payload)
    if wanted("inputs") and not told.is_shadow:
        payload = bytes(entry.payload)
        rows.inputs.append(
            ("scores", entry.now_us, None, None, None, payload, entry.epoch, actor, entry.cursor)
        )
    device_type = names.type_at(actor, told.device_type, entry.cursor)
    if device_type is None or not wanted("prognoses"):
        return
    ids = names.row_ids(actor, told.device_type, told.rows)
    modes = pa.array([mode.name for mode in device_type.failure_modes], pa.string())
    mode = pa.array(told.mode.astype(np.int32), mask=told.mode < 0)
    count = len(told)
    columns = {
        "device_id": ids,
        "device_type": pa.repeat(told.device_type, count),
        "event_time": pa.array(told.event_us).cast(TIMESTAMP),
        "recorded_at": pa.repeat(pa.scalar(entry.now_us, pa.int64()), count).cast(TIMESTAMP),
        "model_version": pa.repeat(pa.scalar(told.model, pa.int32()), count),
        "shadow": pa.repeat(told.is_shadow, count),
        "failure_mode": modes.take(mode),
        "share": pa.array(told.share, from_pandas=True),
        **{name: pa.array(column, from_pandas=True) for name, column in score_columns(told).items()},
        "in_distribution": pa.array(told.said == SAID),
        "life_cycle": pa.array(told.life_cycle),
        "actor": pa.repeat(actor, count),
        "cursor": pa.repeat(pa.scalar(entry.cursor, pa.int64()), count),
    }
    rows.prognoses.append(pa.table(columns).cast(PROGNOSES))


def _told_whole(batch: ShardBatch, stored: Masks, late: Masks) -> ShardBatch | None:
    """All lines of those devices of an entry whose rows in a readings table do not tell what came, and in which order:
    something was late, repeated, refused or empty, or one line is earlier than the one before it. None: of no device.
    """
    rows, event_us = batch.rows, batch.event_us
    odd = (stored != batch.present) | (late != 0) | (stored == 0)
    if len(rows) > 1 and not (rows[1:] > rows[:-1]).all():
        order = np.argsort(rows, kind="stable")
        row, at = rows[order], event_us[order]
        odd[order[1:]] |= (row[1:] == row[:-1]) & (at[1:] < at[:-1])
    if not odd.any():
        return None
    picked = np.isin(rows, rows[odd])
    return ShardBatch(rows[picked], event_us[picked], batch.values[picked], batch.present[picked])


def _bad_among_late(values: NDArray[Any], late: Masks, device_type: DeviceType) -> Masks:
    """A shard does not judge what is late: NaN, out of range and the wrong kind are BAD here too."""
    bad = np.zeros(len(values), np.uint64)
    lines = np.flatnonzero(late)
    for c, channel in enumerate(device_type.channels):
        bit = np.uint64(1) << np.uint64(c)
        x = values[lines, c]
        good = (x >= channel.low) & (x <= channel.high) & np.isfinite(x)
        if channel.kind in ("state", "flag"):
            good &= x == np.floor(x)
        bad[lines] |= np.where(good, np.uint64(0), bit)
    return bad & late


def _take_command(entry: StoredEntry, actor: str, names: Names, rows: Rows, wanted: Any) -> None:
    command, body = entries.decode_command(entry.payload)
    at, cursor = entry.now_us, entry.cursor
    if wanted("inputs"):
        text = _json(body)
        rows.inputs.append(("command", at, command, body.get("by"), text, None, entry.epoch, actor, cursor))
    devices: list[tuple[int, str, Mapping[str, Any]]] = []  # row, type, what is said
    match command:
        case "InstallType":
            device_type = typefiles.from_document(body["document"])
            names.install(actor, cursor, device_type)
            if wanted("types"):
                document = _json(body["document"])
                rows.types.append((device_type.name, device_type.version, document, at, actor, cursor))
        case "RegisterDevices":
            registered = _rows_of(entry, Kind.DEVICE_REGISTERED)
            name = body["device_type"]
            devices = [(row, name, said) for (_, row), said in zip(registered, body["devices"], strict=True)]
            found = np.array([row for _, row in registered], np.int32)
            names.add(actor, name, found, [said["id"] for said in body["devices"]])
        case "UpdateDevice":
            devices = [(row, name, body["device"]) for name, row in _rows_of(entry, Kind.DEVICE_UPDATED)]
        case "RetireDevice":
            gone = {"id": body["device_id"], "retired": True}
            devices = [(row, name, gone) for name, row in _rows_of(entry, Kind.DEVICE_RETIRED)]
        case "EndImport":
            ended = _rows_of(entry, Kind.DEVICE_RETIRED)
            for name in dict.fromkeys(name for name, _ in ended):
                mine = np.array([row for other, row in ended if other == name], np.int32)
                ids = names.device_ids(actor, name, mine)
                devices += [(row, name, {"id": ids[row], "retired": True}) for row in mine.tolist()]
    if wanted("devices"):
        for row, name, said in devices:
            labels = _json(said.get("labels", {}))
            place = (said.get("site", ""), said.get("parent"), said.get("name", ""))
            retired = said.get("retired", False)
            rows.devices.append((name, said["id"], row, *place, labels, retired, at, actor, cursor))


def _rows_of(entry: StoredEntry, kind: Kind) -> list[tuple[str, int]]:
    """Type and row of the devices that an entry's events of one kind are about."""
    if not entry.events:
        return []
    return [
        (name, int(row))
        for name, batch in entries.decode_events(entry.events).items()
        for row in batch.records["row"][batch.records["kind"] == int(kind)]
    ]


def _take_events(entry: StoredEntry, actor: str, names: Names, rows: Rows) -> None:
    number = 0
    for name, batch in entries.decode_events(entry.events or b"").items():
        device_type = names.type_at(actor, name, entry.cursor)
        if device_type is None:
            _log.warning("%s: the type of entry %d is lost; its events are left out", actor, entry.cursor)
            continue
        for event in decoded(batch, actor, device_type, names, entry):
            detail = _json(event.detail) if event.detail else "{}"
            what = (event.type, event.device_id, name, event.at_us, event.recorded_us, detail)
            rows.events.append((*what, actor, entry.cursor, number))
            number += 1


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        pa.array(column, pa.int64()).cast(item.type)
        if item.type == TIMESTAMP
        else pa.array(column, item.type)
        for column, item in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def sorted_readings(
    lines: Sequence[Lines], device_type: DeviceType, names: Names, already: "Already | None" = None
) -> pa.Table:
    """Rows of a readings table, by device id and event time.

    No device, channel and event time twice: of what is late, what ``already`` says is stored is left out, and
    of two in ``lines`` the first one stays.
    """
    ids, place = names.sorted_ids(device_type.name)
    entry = np.repeat(np.arange(len(lines)), [len(part.number) for part in lines])
    rank = place[np.concatenate([part.number for part in lines])]
    event_us = np.concatenate([part.event_us for part in lines])
    values = np.concatenate([part.values for part in lines])
    stored = np.concatenate([part.stored for part in lines])
    bad = np.concatenate([part.bad for part in lines])
    late = np.concatenate([part.late for part in lines])
    order = ordering.by_device_and_time(rank, event_us, len(ids))
    if late.any():
        before = (
            np.zeros(len(late), np.uint64) if already is None else already(ids, rank, event_us, late != 0)
        )
        stored = ordering.without_repeats(order, rank, event_us, stored, late, before)
        order = order[stored[order] != 0]
        bad = bad & stored
    schema = readings_schema(device_type)
    columns = ordering.columns_of(values, order, stored & ~bad)
    sorted_entry = entry[order]
    bad_sorted = bad[order]
    actors = sorted({part.actor for part in lines})
    actor_of = np.array([actors.index(part.actor) for part in lines], np.int32)
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array(rank[order]), ids),
        pa.array(event_us[order]).cast(TIMESTAMP),
        *(pa.array(column, from_pandas=True) for column in columns),
        pa.array(bad_sorted.view(np.int64)),
        _bad_values(values[order[bad_sorted != 0]], bad_sorted, schema.field("bad_values").type),
        pa.array(late[order] != 0),
        pa.array(np.array([part.ingest_us for part in lines])[sorted_entry]),
        pa.DictionaryArray.from_arrays(pa.array(actor_of[sorted_entry]), pa.array(actors, pa.string())),
        pa.array(np.array([part.cursor for part in lines])[sorted_entry]),
    ]
    return pa.table(arrays, names=schema.names)


class Already(Protocol):
    """Says which channels history has already: ids, then per line the id's place, the event time, and whether
    to look.

    Gives a mask of channels a line, (n,).
    """

    def __call__(
        self, ids: pa.Array, place: NDArray[np.int32], event_us: NDArray[np.int64], which: NDArray[np.bool_]
    ) -> Masks: ...


def _bad_values(values: NDArray[Any], bad: Masks, type_: pa.DataType) -> pa.Array:
    """The values of BAD channels as a list a row, null where there is none. ``values`` are those of rows that
    have.
    """
    if not len(values):
        return pa.nulls(len(bad), type_)
    lengths = np.bitwise_count(bad).astype(np.int32)
    ends = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
    flat = pa.array(ordering.picked(values, bad[bad != 0]))
    return pa.ListArray.from_arrays(pa.array(ends), flat, type=type_, mask=pa.array(lengths == 0))
