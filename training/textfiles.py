"""Files to tables of text, a bounded piece at a time, every row in its place.

CSV, plain or compressed, with any separator, with or without header; and Parquet. A row that cannot be cut
into its columns keeps its place as a row of nulls, so that row numbers always count what the file holds.
What the columns mean is ``mappings.py``, what becomes of them ``sources.py``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from training.errors import MappingError, SourceFileError
from training.mappings import FileMapping

_BLOCK_BYTES: Final = 4 << 20
_HEAD_BYTES: Final = 1 << 20
_ENDINGS: Final = re.compile(r"(\.(csv|tsv|txt|dat|parquet|pq|gz|bz2|zst|lz4))+$", re.IGNORECASE)
_CODECS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows ``first`` onwards of a file. ``broken`` rows, with the reason, are null in every column.

    ``share`` is how much of the file has been read, 0 to 1; a little more than these rows, since reading goes ahead.
    """

    first: int
    table: pa.Table
    broken: Mapping[int, str]
    share: float = 1.0


def stem(path: str) -> str:
    """The file's name without its endings: ``data/train_FD001.txt.gz`` is ``train_FD001``."""
    return _ENDINGS.sub("", Path(path).name)


def is_parquet(path: str) -> bool:
    """Whether the file is read as Parquet, by its ending."""
    return path.lower().endswith((".parquet", ".pq"))


def column_names(path: str, mapping: FileMapping) -> list[str]:
    """The names of a file's columns; of a file without header those that the mapping gives.

    Raises
    ------
    SourceFileError : if the file cannot be opened.
    MappingError : if the mapping names more or fewer columns than the file has.
    """
    layout = mapping.layout
    try:
        if is_parquet(path):
            return list(pq.read_schema(path).names)
        with pa.OSFile(path) as file, _text(path, mapping, file) as stream:
            head = bytes(stream.read(_HEAD_BYTES)).split(b"\n", 1)[0].rstrip(b"\r")
    except (OSError, pa.ArrowException) as error:
        raise SourceFileError(
            path, f"it cannot be read: {error}", "check the path and that it is whole"
        ) from None
    line = head.decode(layout.encoding, "replace").removeprefix("\ufeff")
    fields = [text.strip().strip('"') for text in line.split(layout.separator)] if line else []
    if not layout.columns:
        return fields
    if fields and len(fields) != len(layout.columns):
        problem = f"`columns` names {len(layout.columns)} columns, {path} has {len(fields)}"
        remedy = "name every column in order, and check the separator"
        raise MappingError(mapping.path, mapping.lines["files"], problem, remedy)
    return list(layout.columns)


def blocks(path: str, mapping: FileMapping, wanted: Sequence[str], rows: int) -> Iterator[Block]:
    """The ``wanted`` columns of a file in blocks of ``rows`` rows, but for the last.

    Raises
    ------
    SourceFileError : where the file is cut off, damaged or of another format.
    """
    try:
        pieces = _parquet(path, wanted, rows) if is_parquet(path) else _csv(path, mapping, wanted)
        yield from _of_equal_size(pieces, rows)
    except (OSError, EOFError, pa.ArrowException) as error:
        remedy = "check that it is whole, and `files:` of the mapping: separator, columns, encoding"
        raise SourceFileError(path, f"it cannot be read on: {error}", remedy) from None


def _parquet(path: str, wanted: Sequence[str], rows: int) -> Iterator[Block]:
    first = 0
    with pq.ParquetFile(path) as file:
        total = max(1, file.metadata.num_rows)
        for batch in file.iter_batches(rows, columns=list(wanted)):
            share = (first + len(batch)) / total
            yield Block(first, pa.Table.from_batches([batch]), {}, share)
            first += len(batch)


def _csv(path: str, mapping: FileMapping, wanted: Sequence[str]) -> Iterator[Block]:
    names = column_names(path, mapping)
    if not names:
        return
    layout = mapping.layout
    header = 0 if layout.columns else 1
    broken: dict[int, str] = {}

    def note(row: Any) -> str:
        broken[row.number - 1 - header] = f"{row.actual_columns} columns, not {row.expected_columns}"
        return "skip"

    read_options = pv.ReadOptions(
        use_threads=False,
        block_size=_BLOCK_BYTES,
        column_names=names,
        skip_rows=header,
        encoding=layout.encoding,
    )
    convert_options = pv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=list(wanted),
        null_values=list(layout.missing),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    parse_options = pv.ParseOptions(delimiter=layout.separator, invalid_row_handler=note)
    first = 0
    size = max(1, Path(path).stat().st_size)
    with pa.OSFile(path) as file, _text(path, mapping, file) as stream:
        try:
            reader = pv.open_csv(stream, read_options, parse_options, convert_options)
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise
        else:
            for batch in reader:
                block = _with_broken_rows(first, pa.Table.from_batches([batch]), broken)
                yield replace(block, share=min(1.0, file.tell() / size))
                first += len(block.table)
    if late := {row: broken[row] for row in sorted(broken) if row >= first}:
        yield Block(first, pa.table({name: pa.nulls(len(late), pa.string()) for name in wanted}), late)


def _with_broken_rows(first: int, table: pa.Table, broken: Mapping[int, str]) -> Block:
    """The rows as the file has them: a broken row stands before the whole row that follows it."""
    gaps: list[int] = []
    for row in sorted(row for row in broken if row >= first):
        if row >= first + len(table) + len(gaps):
            break
        gaps.append(row)
    if not gaps:
        return Block(first, table, {})
    is_whole = np.ones(len(table) + len(gaps), bool)
    is_whole[np.asarray(gaps) - first] = False
    source = pa.array(np.cumsum(is_whole) - 1, mask=~is_whole)
    return Block(first, table.take(source), {row: broken[row] for row in gaps})


def _of_equal_size(pieces: Iterator[Block], rows: int) -> Iterator[Block]:
    """The same rows cut anew, so that files can be read side by side."""
    held: list[pa.Table] = []
    broken: dict[int, str] = {}
    first = count = 0
    for piece in pieces:
        held.append(piece.table)
        broken.update(piece.broken)
        count += len(piece.table)
        if count < rows:
            continue
        table = pa.concat_tables(held)
        while count >= rows:
            mine = {row: why for row, why in broken.items() if row < first + rows}
            yield Block(first, table.slice(0, rows), mine, piece.share)
            broken = {row: why for row, why in broken.items() if row >= first + rows}
            table, first, count = table.slice(rows), first + rows, count - rows
        held = [table]
    if count:
        yield Block(first, pa.concat_tables(held), broken)


def _text(path: str, mapping: FileMapping, file: pa.OSFile) -> Any:
    """The text in an opened ``file``, decompressed as its name says."""
    codec = _CODECS.get(Path(path).suffix.lower())
    stream = file if codec is None else pa.CompressedInputStream(file, codec)
    return pa.PythonFile(_OneBlank(stream), mode="r") if mapping.layout.separator == " " else stream


class _OneBlank:
    """A stream of bytes in which every run of blanks is one, and none begins or ends a line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._rest = b""  # of a line whose end has not been read
        self._ready = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        while not self._ready:
            piece = self._stream.read(_BLOCK_BYTES)
            if piece:
                lines, newline, self._rest = (self._rest + piece).rpartition(b"\n")
                lines += newline
            elif self._rest:
                lines, self._rest = self._rest + b"\n", b""
            else:
                return b""
            self._ready = _squeezed(b"\n" + lines.replace(b"\t", b" "))[1:]
        size = len(self._ready) if size < 0 else size
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._stream.close()


def _squeezed(lines: bytes) -> bytes:
    """One blank for a run of them, and none at the ends of a line. A few passes of ``replace`` beat any
    pattern.
    """
    while b"  " in lines:
        lines = lines.replace(b"  ", b" ")
    return lines.replace(b"\n ", b"\n").replace(b" \n", b"\n").replace(b" \r\n", b"\r\n")
