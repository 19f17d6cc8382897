"""Readings that come as an Arrow table, into batches: no line is looked at singly unless it is refused.

The table has ``device``, ``time`` and a column a channel. A null says that the channel was not sent, a NaN that it was
and is bad. Devices of several types may share a table: each takes the columns that are its type's channels.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.errors import BodyError
from serve.formats import ARROW_EXAMPLE
from serve.intake import (
    UNKNOWN,
    UNSURE,
    Covers,
    Intake,
    Membership,
    Refusals,
    batch_of,
    covered_types,
    in_us,
    of_wanted_type,
    plausible,
)
from twins.devices import Channel, DeviceType

_DEVICE: Final = "device"
_TIME: Final = "time"


def gather_table(
    table: pa.Table, wanted: str | None, membership: Membership, covers: Covers | None = None
) -> Intake:
    """Columns of what can be read in ``table``, by device type, each device's lines in their order.

    Raises
    ------
    BodyError : it has no devices or times, a column twice, or one that no channel could be.
    """
    try:
        _check(table)
        table = table.combine_chunks()
        event_us, in_time = _times(table[_TIME])
    except UnicodeDecodeError:  # Arrow does not look into names
        raise BodyError("a column or its time zone has a name that is no UTF-8", ARROW_EXAMPLE) from None
    refusals = Refusals()
    n = table.num_rows
    ids = _ids(table[_DEVICE])
    named = ids.indices.is_valid().to_numpy(zero_copy_only=False)
    of_line = ids.indices.fill_null(0).to_numpy(zero_copy_only=False)
    names = ids.dictionary.cast(pa.string())
    places, type_codes = covered_types(names, membership, covers)
    type_of_line = (
        np.where(named, type_codes[of_line], np.int16(-1)) if len(names) else np.full(n, -1, np.int16)
    )
    taken = in_time & of_wanted_type(type_of_line, wanted, places.types)
    absent = UNKNOWN if places.is_sure else UNSURE
    _refuse(refusals, np.flatnonzero(~taken), names, of_line, named, in_time, type_of_line, absent)
    batches = []
    for code in np.unique(type_of_line[taken]).tolist():
        mine = np.flatnonzero(taken & (type_of_line == code))
        device_type = membership.types[places.types[code]]
        values, present, sent = _values(table, mine, device_type, names, of_line, refusals)
        nothing = mine[~sent]
        refusals.add_many(
            nothing,
            names.take(pa.array(of_line[nothing])),
            "reading.invalid",
            "it has no value of any channel",
        )
        keep = present > 0
        mine = mine[keep]
        if not len(mine):
            continue
        batch = batch_of(device_type, names, of_line[mine], event_us[mine], values[keep], present[keep])
        batches.append((batch, mine.astype(np.intp)))
    return Intake(batches, refusals)


def _check(table: pa.Table) -> None:
    names = table.column_names
    for name in (_DEVICE, _TIME):
        if names.count(name) != 1:
            raise BodyError(f"the table has {names.count(name)} columns {name!r}", ARROW_EXAMPLE)
    if len(set(names)) < len(names):
        raise BodyError("the table has two columns of one name", ARROW_EXAMPLE)
    device = table.schema.field(_DEVICE).type
    device = device.value_type if pa.types.is_dictionary(device) else device
    if not (pa.types.is_string(device) or pa.types.is_large_string(device)):
        raise BodyError(f"the column 'device' is {device}", ARROW_EXAMPLE)
    time = table.schema.field(_TIME).type
    if not (pa.types.is_timestamp(time) or pa.types.is_int64(time)):
        raise BodyError(f"the column 'time' is {time}", ARROW_EXAMPLE)
    for field in table.schema:
        of_numbers = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        if field.name not in (_DEVICE, _TIME) and not (of_numbers or pa.types.is_boolean(field.type)):
            raise BodyError(f"the column {field.name[:60]!r} is {field.type}, not numbers", ARROW_EXAMPLE)


def _ids(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    one = column.cast(pa.string()).combine_chunks()
    coded: pa.DictionaryArray = one.dictionary_encode()
    return coded


def _times(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each time in µs, and which of them are times at all."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
        return plausible(column.fill_null(0).to_numpy())
    return plausible(in_us(column.fill_null(0).to_numpy()))


def _values(
    table: pa.Table,
    lines: NDArray[np.intp],
    device_type: DeviceType,
    names: pa.StringArray,
    of_line: NDArray[Any],
    refusals: Refusals,
) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Values (n, channels), the mask of channels that each line gives, and whether anything was sent in it at all.

    Columns that are no channel are refused.
    """
    channels = device_type.channel_names
    values = np.full((len(lines), len(channels)), np.nan)
    present = np.zeros(len(lines), np.uint64)
    sent = np.zeros(len(lines), np.bool_)
    chosen = None if len(lines) == table.num_rows else pa.array(lines)
    for name in table.column_names:
        if name in (_DEVICE, _TIME):
            continue
        column = table[name] if chosen is None else table[name].take(chosen)
        there = column.is_valid().to_numpy()
        sent |= there
        if name not in channels:
            reason = f"type {device_type.name!r} has no channel {name[:60]!r}"
            at = lines[there]
            refusals.add_many(at, names.take(pa.array(of_line[at])), "channel.not_found", reason)
            continue
        c = channels.index(name)
        if not _fits(column.type, device_type.channels[c]):
            at = lines[there]
            reason = f"channel {name!r} takes numbers, not booleans"
            refusals.add_many(at, names.take(pa.array(of_line[at])), "reading.invalid", reason)
            continue
        numbers = (
            column.cast(pa.float64(), safe=False)
            if not pa.types.is_boolean(column.type)
            else _as_numbers(column)
        )
        values[:, c] = numbers.to_numpy()
        present |= there.astype(np.uint64) << np.uint64(c)
    return values, present, sent


def _fits(type_: pa.DataType, channel: Channel) -> bool:
    return not pa.types.is_boolean(type_) or channel.kind in ("flag", "state")


def _as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, pa.int8()).cast(pa.float64())


def _refuse(
    refusals: Refusals,
    lines: NDArray[np.intp],
    names: pa.StringArray,
    of_line: NDArray[Any],
    named: NDArray[np.bool_],
    in_time: NDArray[np.bool_],
    type_of_line: NDArray[np.int16],
    absent: tuple[str, str],
) -> None:
    """Say why lines are not taken, by reason; ``absent`` is code and reason of devices that are not known."""
    nameless = ~named[lines]
    timeless = ~nameless & ~in_time[lines]
    unknown = ~nameless & ~timeless & (type_of_line[lines] < 0)
    other = ~nameless & ~timeless & ~unknown
    for which, code, reason in (
        (nameless, "reading.invalid", "it names no device"),
        (timeless, "time.invalid", "its time is none; send a timestamp, or the epoch in ms or µs"),
        (unknown, *absent),
        (
            other,
            "device.other_type",
            "it is of another type than the table says; name no type or send it apart",
        ),
    ):
        at = lines[which]
        devices = pa.nulls(len(at), pa.string()) if which is nameless else names.take(pa.array(of_line[at]))
        refusals.add_many(at, devices, code, reason)
