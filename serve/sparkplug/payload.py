"""Sparkplug B payloads: bytes to metrics and back. No session is known here.

The message is described here field by field, as far as a host application needs it; what it does not read (templates, data
sets, metadata) passes as bytes. A payload is counted before it is taken apart, so that a small one cannot become large.

Source: Sparkplug 3.0.0, 6 (payloads), with the field numbers that it gives.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

MOST_BYTES: Final = 4 << 20
"""Bytes of one payload."""

MOST_METRICS: Final = 50_000
"""Metrics of one payload."""

LONGEST_NAME: Final = 1_000


class DataType(IntEnum):
    """The data types that are numbers, which readings are, and text; all others are time, bytes or structures."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    TEXT = 14


_LARGEST_FLOAT: Final = (2 - 2**-23) * 2.0**127
_BITS: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_RANGES: Final[dict[int, tuple[float, float]]] = {
    **{kind: (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for kind, bits in _BITS.items()},
    DataType.UINT8: (0, (1 << 8) - 1),
    DataType.UINT16: (0, (1 << 16) - 1),
    DataType.UINT32: (0, (1 << 32) - 1),
    DataType.UINT64: (0, (1 << 64) - 1),
    DataType.FLOAT: (-_LARGEST_FLOAT, _LARGEST_FLOAT),
    DataType.DOUBLE: (-sys.float_info.max, sys.float_info.max),
}
_REAL: Final = frozenset({int(DataType.FLOAT), int(DataType.DOUBLE)})
_TEXTS: Final = frozenset({int(DataType.STRING), int(DataType.TEXT)})
_NUMBERS: Final = frozenset(int(each) for each in DataType) - _TEXTS
_LAST_TYPE: Final = 34
_QUALITY: Final = "Quality"
_NO_GOOD: Final = frozenset({0, 500})  # BAD and STALE
_READ: Final = frozenset({"int_value", "long_value", "float_value", "double_value", "boolean_value"})
_TEXT: Final = "string_value"


class Metric(NamedTuple):
    """One metric of a payload.

    Attributes
    ----------
    name : None where only the alias is sent
    alias : None where there is none
    at_ms : epoch, ms; None: that of the payload
    datatype : 0 where it is left out, as in DATA
    field : which kind of value was sent, empty: none; ``raw`` is the value as it came
    is_null : there is a metric, but no value
    is_good : False where its quality is BAD or STALE
    is_historical : it was kept back while there was no connection
    """

    name: str | None
    alias: int | None
    at_ms: int | None
    datatype: int
    field: str
    raw: Any
    is_null: bool
    is_good: bool
    is_historical: bool


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload that could be read; ``at_ms`` and ``sequence`` are None where they were left out."""

    at_ms: int | None
    sequence: int | None
    metrics: Sequence[Metric]


class PayloadError(ValueError):
    """Bytes that are no payload, or more than is taken; the message says which."""


def read_payload(data: bytes) -> Payload:
    """A payload's metrics in their order.

    Raises
    ------
    PayloadError : it is no Sparkplug B payload, or too large.
    """
    if len(data) > MOST_BYTES:
        raise PayloadError(f"a payload of {len(data)} bytes; at most {MOST_BYTES} are taken")
    try:
        count = len(_ENVELOPE.FromString(data).metrics)
        if count > MOST_METRICS:
            raise PayloadError(f"a payload of {count} metrics; at most {MOST_METRICS} are taken")
        found = _PAYLOAD.FromString(data)
        metrics = [_metric(each) for each in found.metrics]
    except (DecodeError, UnicodeDecodeError) as error:
        raise PayloadError(
            f"the payload is no Sparkplug B: {str(error)[:100] or 'it cannot be read'}"
        ) from None
    return Payload(
        found.timestamp if found.HasField("timestamp") else None,
        found.seq if found.HasField("seq") else None,
        metrics,
    )


def value_of(metric: Metric, datatype: int) -> float | int | bool | None:
    """What a metric of a ``DataType`` says; None for a bad one: null, not a number, or of a quality that is not good.

    Raises
    ------
    TypeError : the value is of another kind than its type.
    """
    if metric.is_null or not metric.is_good:
        return None
    field, raw = metric.field, metric.raw
    if field not in _READ:
        raise TypeError(f"a {DataType(datatype).name} came as {field.removesuffix('_value') or 'nothing'}")
    if datatype == DataType.BOOLEAN:
        return bool(raw)
    if field in ("float_value", "double_value"):
        return None if math.isnan(raw) else float(raw)
    if field == "boolean_value":
        raise TypeError(f"a {DataType(datatype).name} came as boolean")
    bits = _BITS.get(datatype)  # type: ignore[call-overload]  # an int is its enum here
    if bits is None:
        return int(raw)
    low = raw & ((1 << bits) - 1)  # some send a negative Int8 in eight bits, some in thirty-two
    return int(low - (1 << bits) if low >> (bits - 1) else low)


def text_of(metric: Metric) -> str | None:
    """What a metric of text says; None: nothing that is text."""
    if metric.is_null or not metric.is_good or metric.field != _TEXT:
        return None
    try:
        return bytes(metric.raw).decode()
    except UnicodeDecodeError:
        return None


def is_text(datatype: int) -> bool:
    """Whether metrics of a type are text."""
    return datatype in _TEXTS


def is_number(datatype: int) -> bool:
    """Whether metrics of a type are readings."""
    return datatype in _NUMBERS


def can_hold(datatype: int, value: Any) -> bool:
    """Whether a value can be written as a metric of a type: it is of its kind, within its range, and whole if that is."""
    if datatype == DataType.BOOLEAN:
        return isinstance(value, bool)
    if is_text(datatype):
        return isinstance(value, str)
    if datatype not in _RANGES or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high = _RANGES[datatype]
    return low <= value <= high and (datatype in _REAL or value == int(value))


def is_type(datatype: int) -> bool:
    """Whether there is such a type."""
    return 0 < datatype <= _LAST_TYPE


class Sent(NamedTuple):
    """A metric to be sent; ``alias`` and ``name`` where they are not None, ``at_ms`` likewise; ``value`` None: null."""

    value: float | int | bool | str | None
    datatype: DataType
    name: str | None = None
    alias: int | None = None
    at_ms: int | None = None
    is_historical: bool = False


def write_payload(
    at_ms: int, metrics: Sequence[Sent], sequence: int | None = None, *, typed: bool = True
) -> bytes:
    """A payload as bytes; without ``typed`` data types are left out, as DATA may leave them."""
    made = _PAYLOAD()
    made.timestamp = at_ms
    if sequence is not None:
        made.seq = sequence
    for sent in metrics:
        each = made.metrics.add()
        if sent.name is not None:
            each.name = sent.name
        if sent.alias is not None:
            each.alias = sent.alias
        each.timestamp = at_ms if sent.at_ms is None else sent.at_ms
        if typed:
            each.datatype = int(sent.datatype)
        if sent.is_historical:
            each.is_historical = True
        _put(each, sent)
    data: bytes = made.SerializeToString()
    return data


def _put(each: Any, sent: Sent) -> None:
    match sent.datatype:
        case _ if sent.value is None:
            each.is_null = True
        case DataType.BOOLEAN:
            each.boolean_value = bool(sent.value)
        case DataType.STRING | DataType.TEXT:
            each.string_value = str(sent.value).encode()
        case DataType.FLOAT:
            each.float_value = float(sent.value)
        case DataType.DOUBLE:
            each.double_value = float(sent.value)
        case DataType.INT64 | DataType.UINT64:
            each.long_value = int(sent.value) & ((1 << 64) - 1)
        case _:
            each.int_value = int(sent.value) & ((1 << 32) - 1)


def _metric(each: Any) -> Metric:
    field = each.WhichOneof("value") or ""
    name = each.name if each.HasField("name") else None
    if name is not None and len(name) > LONGEST_NAME:
        raise PayloadError(f"a metric's name of {len(name)} characters; at most {LONGEST_NAME} are taken")
    return Metric(
        name,
        each.alias if each.HasField("alias") else None,
        each.timestamp if each.HasField("timestamp") else None,
        each.datatype,
        field,
        getattr(each, field) if field in _READ or field == _TEXT else None,
        each.is_null,
        not each.HasField("properties") or _is_good(each.properties),
        each.is_historical,
    )


def _is_good(properties: Any) -> bool:
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key == _QUALITY:
            return (value.int_value or value.long_value) not in _NO_GOOD or value.is_null
    return True


def _messages() -> tuple[type[Message], type[Message]]:
    """The payload, and the same with its metrics as bytes."""
    kind = descriptor_pb2.FieldDescriptorProto
    numbers = {
        "uint32": kind.TYPE_UINT32, "uint64": kind.TYPE_UINT64, "bool": kind.TYPE_BOOL, "float": kind.TYPE_FLOAT,
        "double": kind.TYPE_DOUBLE, "string": kind.TYPE_STRING, "bytes": kind.TYPE_BYTES,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="twinfold/sparkplug.proto", package="twinfold.sparkplug")

    def message(
        name: str, fields: Sequence[tuple[int, str, str]], one_of: Sequence[tuple[int, str, str]] = ()
    ) -> None:
        made = file.message_type.add(name=name)
        if one_of:
            made.oneof_decl.add(name="value")
        for at, (number, label, what) in enumerate((*fields, *one_of)):
            repeated, type_name = what.startswith("*"), what.removeprefix("*")
            added = made.field.add(
                name=label,
                number=number,
                label=kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL,
                type=numbers.get(type_name, kind.TYPE_MESSAGE),
            )
            if type_name not in numbers:
                added.type_name = f".twinfold.sparkplug.{type_name}"
            if at >= len(fields):
                added.oneof_index = 0

    message(
        "PropertyValue",
        [
            (1, "type", "uint32"),
            (2, "is_null", "bool"),
            (3, "int_value", "uint32"),
            (4, "long_value", "uint64"),
        ],
    )
    message("PropertySet", [(1, "keys", "*string"), (2, "values", "*PropertyValue")])
    message(
        "Metric",
        [(1, "name", "string"), (2, "alias", "uint64"), (3, "timestamp", "uint64"), (4, "datatype", "uint32"),
         (5, "is_historical", "bool"), (7, "is_null", "bool"), (9, "properties", "PropertySet")],
        [(10, "int_value", "uint32"), (11, "long_value", "uint64"), (12, "float_value", "float"),
         (13, "double_value", "double"), (14, "boolean_value", "bool"), (15, "string_value", "bytes"),
         (16, "bytes_value", "bytes"), (17, "dataset_value", "bytes"), (18, "template_value", "bytes"),
         (19, "extension_value", "bytes")],
    )  # fmt: skip
    message("Payload", [(1, "timestamp", "uint64"), (2, "metrics", "*Metric"), (3, "seq", "uint64")])
    message("Envelope", [(1, "timestamp", "uint64"), (2, "metrics", "*bytes"), (3, "seq", "uint64")])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    payload, envelope = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"twinfold.sparkplug.{name}"))
        for name in ("Payload", "Envelope")
    )
    return payload, envelope


_MESSAGES: Final[tuple[Any, Any]] = _messages()
_PAYLOAD: Final = _MESSAGES[0]
_ENVELOPE: Final = _MESSAGES[1]
