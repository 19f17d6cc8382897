"""Transport formats of readings: what a body is by its headers, unpacked and read. No device is known here.

JSON and NDJSON become lines, an Arrow IPC stream becomes a table. Bodies may be packed with gzip or zstd; unpacking stops
at a limit, so that a small body cannot become a large one. Whatever is wrong with a body as a whole is a ``BodyError``;
single lines are judged later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pydantic_core
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from serve.errors import BodyError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
ARROW: Final = "application/vnd.apache.arrow.stream"

EXAMPLE: Final = (
    'send {"readings": [{"device": "pump-17", "time": "2026-01-31T12:00:00Z", "values": {"flow": 118.0}}]}'
)
LINE_EXAMPLE: Final = (
    'send lines like {"device": "pump-17", "time": "2026-01-31T12:00:00Z", "values": {"flow": 118.0}}'
)
ARROW_EXAMPLE: Final = (
    "send a stream of record batches with the columns device (string), time (timestamp, or int64 in ms or µs) "
    "and one a channel"
)

_CHUNK: Final = 1 << 20
_ENCODINGS: Final[Mapping[str, str]] = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """What a request holds: ``lines`` or ``table``, and the device type that it names for all of them, if it does."""

    wanted: str | None = None
    lines: list[Any] | None = None
    table: pa.Table | None = None


def read_body(headers: Headers, body: bytes, most: int, most_bytes: int) -> Body:
    """Unpack and read a body of at most ``most`` readings and, unpacked, ``most_bytes`` bytes.

    Raises
    ------
    HTTPException : 415 for a type or encoding that is not known.
    BodyError : it is not what its headers say, or too large.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    read = _READERS.get(kind)
    if read is None:
        raise HTTPException(415, f"a body of type {kind[:60]!r}; send {', '.join(_READERS)}")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        body = _unpacked(body, encoding, most_bytes)
    return at_most(read(body), most)


def at_most(found: Body, most: int) -> Body:
    """The same body, unless it holds more than ``most`` readings: BodyError then."""
    count = len(found.lines) if found.lines is not None else found.table.num_rows  # type: ignore[union-attr]
    if count > most:
        raise BodyError(f"{count} readings in one request", f"send at most {most} at a time")
    return found


def _unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    codec = _ENCODINGS.get(encoding)
    if codec is None:
        raise HTTPException(415, f"an encoding {encoding[:60]!r}; send gzip, zstd or none")
    part, whole = bytearray(_CHUNK), bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while size := stream.readinto(part):  # `read` never gives back what it held when it failed
                whole += memoryview(part)[:size]
                if len(whole) > most_bytes:
                    raise BodyError(
                        f"the body unpacks to more than {most_bytes} bytes", "send it in smaller parts"
                    )
    except (OSError, pa.ArrowException) as error:
        raise BodyError(f"the body is no {encoding}: {error}", "pack the whole body, once") from None
    return bytes(whole)


def read_document(text: str | bytes) -> dict[str, Any]:
    """The object that a JSON text is; BodyError if it is none."""
    try:
        document = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise BodyError(f"the body is no JSON: {error}", EXAMPLE) from None
    if not isinstance(document, dict):
        raise BodyError("the body is no JSON object", EXAMPLE)
    return document


def body_of(document: Mapping[str, Any]) -> Body:
    """What a JSON object with ``readings`` and perhaps a ``type`` holds; BodyError if it is another."""
    if not isinstance(document.get("readings"), list):
        raise BodyError("the body has no list 'readings'", EXAMPLE)
    if unknown := sorted(document.keys() - {"readings", "type"}):
        raise BodyError(f"the body has {unknown[0][:60]!r}, which means nothing here", EXAMPLE)
    wanted = document.get("type")
    if wanted is not None and not isinstance(wanted, str):
        raise BodyError("'type' is no text", "leave it out, or name a device type")
    return Body(wanted, lines=document["readings"])


def _json(body: bytes) -> Body:
    return body_of(read_document(body))


def _ndjson(body: bytes) -> Body:
    """A line that is no JSON costs only itself: it stays as the error that says why."""
    lines: list[Any] = []
    for text in body.splitlines():
        if text.strip():
            try:
                lines.append(pydantic_core.from_json(text, allow_inf_nan=False))
            except ValueError as error:
                lines.append(error)
    if not lines:
        raise BodyError("the body has no lines", LINE_EXAMPLE)
    return Body(lines=lines)


def read_arrow(body: bytes) -> Body:
    """The table of an Arrow IPC stream; BodyError if it is none."""
    try:
        with pa.ipc.open_stream(body) as stream:
            table = stream.read_all()
        table.validate(full=True)  # offsets and lengths come from outside
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        raise BodyError(
            f"the body is no Arrow stream: {str(error).splitlines()[0][:200]}", ARROW_EXAMPLE
        ) from None
    said = (table.schema.metadata or {}).get(b"type")
    return Body(None if said is None else said.decode(errors="replace"), table=table)


_READERS: Final[Mapping[str, Callable[[bytes], Body]]] = {JSON: _json, NDJSON: _ndjson, ARROW: read_arrow}
