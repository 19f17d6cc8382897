"""Readings on their way in: columns or lines, packed, in parts that the platform takes at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from serve.client.connection import Connection, as_json
from serve.cursors import Reached, read_stream_cursor, stream_cursor
from serve.formats import ARROW, JSON
from serve.schemas.readings import Reading, ReadingsTaken, RefusedReading

if TYPE_CHECKING:
    import pandas as pd

Line: TypeAlias = Reading | Mapping[str, Any]
Readings: TypeAlias = (
    "pa.Table | pa.RecordBatch | pd.DataFrame | Mapping[str, Sequence[Any]] | Iterable[Line]"
)

MOST_ROWS: Final = 50_000
MOST_LINES: Final = 5_000
MOST_BYTES: Final = 32 << 20
"""Of one request before it is packed: half of what a platform unpacks by default."""

_TOLD: Final = 1_000
_WORTH_PACKING: Final = 1_000


def send(ask: Connection, readings: Readings, device_type: str | None) -> ReadingsTaken:
    """Send all of them, a part after another, and sum up what became of them."""
    accepted: dict[str, int] = {}
    refused: list[RefusedReading] = []
    refused_total, before, reached = 0, 0, dict[int, Reached]()
    for kind, body, count in _parts(readings, device_type):
        headers = {"Content-Type": kind}
        if len(body) > _WORTH_PACKING:
            body = pa.Codec("zstd").compress(body, asbytes=True)
            headers["Content-Encoding"] = "zstd"
        answer = ask.ask("POST", "/api/readings", content=bytes(body), headers=headers, again=True)
        taken = ReadingsTaken.model_validate_json(answer.content)
        for fate, lines in taken.accepted.items():
            accepted[fate] = accepted.get(fate, 0) + lines
        refused += [each.model_copy(update={"index": each.index + before}) for each in taken.refused]
        refused_total += taken.refused_total
        for host, at in read_stream_cursor(taken.cursor).items():
            reached[host] = max(at, reached.get(host, at))
        before += count
    return ReadingsTaken(
        accepted=accepted,
        refused=refused[:_TOLD],
        refused_total=refused_total,
        level="durable",
        cursor=stream_cursor(reached),
    )


def _parts(readings: Readings, device_type: str | None) -> Iterator[tuple[str, bytes | pa.Buffer, int]]:
    """Content type, body and number of lines of each request."""
    table = _table(readings)
    if table is None:
        assert isinstance(readings, Iterable)
        about = {} if device_type is None else {"type": device_type}
        rest = iter(readings)
        while lines := list(islice(rest, MOST_LINES)):
            yield JSON, as_json({**about, "readings": lines}) or b"", len(lines)
        return
    table = table.replace_schema_metadata(None if device_type is None else {"type": device_type})
    most = min(MOST_ROWS, max(1, MOST_BYTES * table.num_rows // max(1, table.nbytes)))
    for start in range(0, table.num_rows, most):
        part = table.slice(start, most)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(part)
        yield ARROW, sink.getvalue(), part.num_rows


def _table(readings: Any) -> pa.Table | None:
    """Columns as a table; None for lines."""
    if isinstance(readings, pa.Table):
        return readings
    if isinstance(readings, pa.RecordBatch):
        return pa.Table.from_batches([readings])
    if isinstance(readings, Mapping):
        return pa.table(dict(readings))
    if type(readings).__module__.startswith("pandas"):  # naming the class of a frame would load all of pandas
        named = any(name is not None for name in readings.index.names)
        return pa.Table.from_pandas(readings, preserve_index=None if named else False)
    if hasattr(readings, "__arrow_c_stream__"):
        return pa.table(readings)
    return None
