"""Files, through a mapping, to batches of readings: streamed, without a loop over rows.

One bad cell costs that cell and no more: a number that is none becomes NaN, which a twin judges BAD; a row
that names no device or no time becomes a rejected row. Both are told with file and line. What a mapping
means is ``mappings.py``; when records of other files are told is ``records.py``; what becomes of the
readings is ``importing.py``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.errors import MappingError
from training.mappings import ChannelSource, EventTime, FileMapping, RecordRule
from training.parsing import instants, mask, numbers, whole
from training.records import SourceRecord, Waiting
from training.textfiles import Block, blocks, column_names, is_parquet, stem
from twins.readings import ReadingBatch

ROWS: Final = 65_536
"""Rows of a file that one batch holds at most."""

PROBLEMS_TOLD: Final = 20
"""Problems that a batch describes one by one; the rest it only counts."""

_NEVER_US: Final = np.iinfo(np.int64).min

Lines = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that could not be used, and where. Lines count from one; blank ones do not."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


@dataclass(frozen=True, slots=True, eq=False)
class SourceBatch:
    """Some rows of a file, as readings.

    Attributes
    ----------
    readings : the lines; ``readings.ids`` only ever grows, and stays the same object while it does not
    files : positions, as given, of the file that the rows are of, or of all that are read side by side
    rows : (n,) int64, the row of each line, from zero; the header and blank lines do not count
    answers : (n,) the lines whose result is that of their row: the last of its samples; None: every line
    rejected : (m,) int64, rows that name no device or no time, and so have no line
    rejected_ids : (m,) the device that a rejected row names, if it does
    records : in the order of the lines
    problems, problem_count : what could not be used: the first few, and how many in all
    share : how much of all files has been read so far, 0 to 1
    """

    readings: ReadingBatch
    files: tuple[int, ...]
    rows: Lines
    answers: NDArray[np.bool_] | None
    rejected: Lines
    rejected_ids: pa.StringArray
    records: tuple[SourceRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    share: float = 1.0


def read(mapping: FileMapping, files: Sequence[str | Path], rows: int = ROWS) -> Iterator[SourceBatch]:
    """The readings of ``files`` in the order in which they stand there, ``rows`` rows at a time.

    Files whose names the mapping skips are passed over. Memory is bounded by ``rows``, not by the files, but for those that
    hold records alone: they are read first, and kept until readings have come to their time.

    Raises
    ------
    SourceFileError : if a file is missing, cut off, or of no format known here.
    MappingError : if a file lacks a column that the mapping asks for.
    """
    wanted = [(i, str(file)) for i, file in enumerate(files) if holds_readings(mapping, file)]
    notes = _Notes()
    waiting = Waiting(_recorded(mapping, files, rows, notes))
    groups = [wanted] if mapping.layout.side_by_side else [[one] for one in wanted]
    ids, newest = _Ids(), _Newest()
    batch: SourceBatch | None = None
    sizes = [sum(_size(path) for _, path in group) for group in groups]
    for number, group in enumerate(groups):
        readers = [_Reader(mapping, path) for _, path in group]
        streams = [blocks(reader.path, mapping, reader.wanted, rows) for reader in readers]
        for pieces in zip_longest(*streams):
            present = [
                (i, reader, block)
                for (i, _), reader, block in zip(group, readers, pieces, strict=True)
                if block is not None
            ]
            batch = _batch(mapping, present, ids)
            here = max(block.share for _, _, block in present)
            read_bytes = sum(sizes[:number]) + here * sizes[number]
            records = sorted([*batch.records, *waiting.due(batch.readings)], key=lambda each: each.after_line)
            batch = replace(batch, share=read_bytes / max(1, sum(sizes)), records=tuple(records))
            if mapping.run_to_failure:
                newest.note(batch.readings)
            yield batch
    if batch is not None and (mapping.run_to_failure or waiting or notes.count):
        yield _last(mapping, batch, newest, waiting, notes)


def check(mapping: FileMapping, files: Sequence[str | Path]) -> None:
    """See whether every file opens and has the columns that the mapping asks for; raises as ``read``."""
    for file in files:
        if not is_skipped(mapping, file):
            _Reader(mapping, str(file))


def is_skipped(mapping: FileMapping, file: str | Path) -> bool:
    """Whether a file holds no readings, as the mapping says by its name."""
    return any(fnmatch(Path(file).name, pattern) for pattern in mapping.layout.skip)


def holds_readings(mapping: FileMapping, file: str | Path) -> bool:
    """Whether a file is read for its readings: it is not skipped, and does not hold records alone."""
    return not is_skipped(mapping, file) and not mapping.rules_of(stem(str(file)))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # opening it says what is wrong
        return 0


class _Ids:
    """Device ids in the order in which they are first met; the array is made anew only when one is added."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._array = pa.array([], pa.string())

    def places(self, ids: Iterable[str]) -> NDArray[np.int32]:
        return np.array([self._places.setdefault(one, len(self._places)) for one in ids], np.int32)

    @property
    def array(self) -> pa.StringArray:
        if len(self._array) < len(self._places):
            self._array = pa.array(list(self._places), pa.string())
        return self._array


class _Newest:
    """The newest event time of each device, by its place among the ids."""

    def __init__(self) -> None:
        self.at_us = np.zeros(0, np.int64)

    def note(self, readings: ReadingBatch) -> None:
        missing = len(readings.ids) - len(self.at_us)
        if missing > 0:
            self.at_us = np.concatenate([self.at_us, np.full(missing, _NEVER_US)])
        np.maximum.at(self.at_us, readings.index, readings.event_us)


class _Notes:
    """Problems of one batch, counted; the first few described."""

    def __init__(self) -> None:
        self.told: list[Problem] = []
        self.count = 0

    def add(self, path: str, lines: Lines, problem: str, column: pa.Array | None = None) -> None:
        """Note ``problem`` at each of ``lines``; ``{}`` in it is the text of the cell of ``column`` there."""
        self.count += len(lines)
        room = max(0, PROBLEMS_TOLD - len(self.told))
        texts = column.slice(0, room).to_pylist() if column is not None else [None] * room
        for line, text in zip(lines[:room].tolist(), texts, strict=False):
            self.told.append(Problem(path, line, problem.replace("{}", repr(text)[:60])))


class _Reader:
    """What one file has of what the mapping asks for, and how its blocks become times, devices and values."""

    def __init__(self, mapping: FileMapping, path: str) -> None:
        self.mapping = mapping
        self.path = path
        self._names = column_names(path, mapping)
        self._header = 0 if mapping.layout.columns or is_parquet(path) else 1
        rules = mapping.rules_of(stem(path))
        self._rules = rules or tuple(rule for rule in mapping.records if rule.file is None)
        self._holds_readings = not rules
        mine = [s for s in mapping.channels if s.file is None or fnmatch(stem(path), s.file)]
        if not mine and not rules:
            known = ", ".join(sorted({source.file or "" for source in mapping.channels}))
            problem = f"no channel is read from {path}: they name the files {known}"
            remedy = "list this one under `files: skip:`, or mend the `file:` of a channel"
            raise MappingError(mapping.path, mapping.lines["channels"], problem, remedy)
        self._channels = [
            [] if rules else [(source, self._columns(source, part)) for source in mine]
            for part in mapping.parts
        ]
        self.wanted = self._wanted()

    def times(
        self, block: Block, notes: _Notes, time: EventTime | None = None
    ) -> tuple[Lines, NDArray[np.bool_]]:
        """(n,) event time, µs, and whether the row has one; ``time`` says where it stands, None: as everywhere."""
        time = time or self.mapping.time
        n = len(block.table)
        if time.column is None:
            counts = np.arange(block.first, block.first + n, dtype=np.int64)
            return time.origin_us + counts * (time.step_us or 0), np.ones(n, bool)
        column = _column(block, time.column)
        if time.step_us is None:
            at_us, known = instants(column, time.format, time.zone)
        else:
            counts_read, given, wrong = numbers(column, self.mapping.layout.decimal)
            known = given & ~wrong & np.isfinite(counts_read)
            steps = np.where(known, counts_read, 0.0) * time.step_us
            at_us = time.origin_us + np.rint(steps).astype(np.int64)
        what = "no time" if time.step_us is None else "no cycle"
        self._note(notes, block, ~known, f"{time.column!r} is {{}}, {what}", column)
        return at_us, known

    def devices(self, block: Block, part: str, ids: _Ids, notes: _Notes) -> NDArray[np.int32]:
        """(n,) place among ``ids`` of each row's device; -1 where a column that names it is empty."""
        mapping, n = self.mapping, len(block.table)
        fixed = {"file": stem(self.path), "folder": Path(self.path).absolute().parent.name, "part": part}
        names = mapping.id_columns
        if not names:
            return np.full(n, ids.places([_filled(mapping.device_id, fixed)])[0], np.int32)
        known = np.ones(n, bool)
        codes = np.zeros(n, np.int64)
        words: list[list[str]] = []
        for name in names:  # the columns are the digits of one number, so that each device is met once
            coded = pc.utf8_trim_whitespace(_column(block, name).cast(pa.string())).dictionary_encode()
            known &= mask(coded.is_valid())
            words.append(coded.dictionary.to_pylist())
            codes = codes * (len(words[-1]) + 1) + whole(coded.indices)
        distinct, first, inverse = np.unique(codes[known], return_index=True, return_inverse=True)
        in_order = np.argsort(first, kind="stable")
        places = np.empty(len(distinct), np.int32)
        places[in_order] = ids.places(
            _filled(mapping.device_id, fixed | _digits(code, names, words))
            for code in distinct[in_order].tolist()
        )
        result = np.full(n, -1, np.int32)
        result[known] = places[inverse]
        self._note(notes, block, ~known, f"{' or '.join(map(repr, names))} is empty: no device")
        return result

    def values(
        self, block: Block, part: int, into: NDArray[Any], present: NDArray[np.uint64], notes: _Notes
    ) -> None:
        """Fill in what this file has: ``into`` (n, samples, channels) and ``present`` (n, samples)."""
        if self.mapping.long:
            self._long_values(block, into, present, notes)
            return
        for source, names in self._channels[part]:
            bit = np.uint64(1 << source.index)
            for sample, name in enumerate(names):
                column = _column(block, name)
                into[:, sample, source.index] = self._converted(source, name, column, block, notes)
                if column.null_count:
                    present[:, sample] |= np.where(mask(column.is_valid()), bit, np.uint64(0))
                else:
                    present[:, sample] |= bit

    def records(
        self, block: Block, device: NDArray[np.int32], at_us: Lines, line_of: Lines, ids: _Ids
    ) -> list[SourceRecord]:
        """What the rows tell besides readings, in their order; a row without a line (-1) tells nothing."""
        told = [
            self._record(rule, ids.array[int(device[k])].as_py(), int(at_us[k]), int(line_of[k]), text)
            for rule in self._rules
            for k, text in self._hits(rule, block, line_of >= 0)
        ]
        return sorted(told, key=lambda record: record.after_line)

    def recorded(self, block: Block, notes: _Notes) -> list[tuple[SourceRecord, int]]:
        """What the rows of a file of records tell, and the line of each; those without device or time tell nothing."""
        self.broken(block, notes)
        ids = _Ids()
        device = self.devices(block, "", ids, notes)
        time = self.mapping.time
        told: list[tuple[SourceRecord, int]] = []
        for name in dict.fromkeys(rule.time or time.column for rule in self._rules):
            at_us, known = self.times(block, notes, replace(time, column=name))
            told += [
                (
                    self._record(rule, ids.array[int(device[k])].as_py(), int(at_us[k]), -1, text),
                    block.first + k + 1 + self._header,
                )
                for rule in self._rules
                if (rule.time or time.column) == name
                for k, text in self._hits(rule, block, known & (device >= 0))
            ]
        return told

    def _hits(self, rule: RecordRule, block: Block, usable: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
        """The usable rows that a rule is about, and what they say."""
        text = pc.utf8_trim_whitespace(_column(block, rule.column).cast(pa.string()))
        hit = text.is_valid() if rule.when is None else pc.fill_null(pc.equal(text, rule.when), False)
        for k in np.flatnonzero(mask(hit) & usable).tolist():
            yield k, text[k].as_py()

    def _record(
        self, rule: RecordRule, device_id: str, at_us: int, after_line: int, text: str
    ) -> SourceRecord:
        note = f"{rule.column}: {text}"
        return SourceRecord(device_id, at_us, after_line, rule.kind, rule.action, rule.failure_mode, note)

    def broken(self, block: Block, notes: _Notes) -> None:
        """Tell of the rows that could not be cut into columns."""
        for row, why in block.broken.items():
            notes.add(self.path, np.array([row + 1 + self._header]), why)

    def beside(self, block: Block, at_us: Lines, known: NDArray[np.bool_], notes: _Notes) -> Block:
        """The block, with nothing in rows whose time is not that of the file beside this one."""
        mine, valid = self.times(block, notes)
        off = valid & known[: len(mine)] & (mine != at_us[: len(mine)])
        if not off.any():
            return block
        self._note(notes, block, off, "another time than in the file beside it")
        keep = pa.array(np.arange(len(mine)), mask=off)
        return Block(block.first, block.table.take(keep), block.broken)

    def _converted(
        self, source: ChannelSource, name: str, column: pa.Array, block: Block, notes: _Notes
    ) -> NDArray[np.float64]:
        """(n,) values in the channel's unit, NaN where there is none."""
        if source.categories:
            text = pc.utf8_trim_whitespace(column.cast(pa.string()))
            found = pc.index_in(text, pa.array(list(source.categories), pa.string()))
            values = np.array([*source.categories.values(), np.nan])[whole(pc.fill_null(found, -1))]
            wrong = mask(pc.and_(text.is_valid(), found.is_null()))
            what = f"{name!r} is {{}}, none of {', '.join(source.categories)}"
        else:
            values, _, wrong = numbers(column, self.mapping.layout.decimal)
            what = f"{name!r} is {{}}, not a number"
        self._note(notes, block, wrong, what, column)
        return _scaled(values, source.factor, source.offset)

    def _long_values(
        self, block: Block, into: NDArray[Any], present: NDArray[np.uint64], notes: _Notes
    ) -> None:
        """One value in a row, for the channel that the row names; one that is not mapped is passed over."""
        assert self.mapping.long is not None
        sources = self.mapping.channels
        texts = [text for source in sources for text in source.columns]
        slot_of_text = np.array([slot for slot, source in enumerate(sources) for _ in source.columns])
        text = pc.utf8_trim_whitespace(_column(block, self.mapping.long.channel).cast(pa.string()))
        found = pc.index_in(text, pa.array(texts, pa.string()))
        slot = slot_of_text[whole(found)]
        column = _column(block, self.mapping.long.value)
        values, given, wrong = numbers(column, self.mapping.layout.decimal)
        given &= mask(found.is_valid())
        self._note(notes, block, wrong & given, f"{self.mapping.long.value!r} is {{}}, not a number", column)
        factor = np.array([source.factor for source in sources])[slot]
        offset = np.array([source.offset for source in sources])[slot]
        channel = np.array([source.index for source in sources])[slot]
        at = np.flatnonzero(given)
        into[at, 0, channel[at]] = (values * factor + offset)[at]
        present[at, 0] = np.uint64(1) << channel[at].astype(np.uint64)

    def _note(
        self, notes: _Notes, block: Block, wrong: NDArray[np.bool_], what: str, column: pa.Array | None = None
    ) -> None:
        """Tell of the rows that are ``wrong``, but for those that are broken anyway."""
        if not wrong.any():
            return
        at = np.flatnonzero(wrong)
        at = at[~np.isin(at + block.first, list(block.broken))] if block.broken else at
        cells = column.take(pa.array(at[:PROBLEMS_TOLD])) if column is not None else None
        notes.add(self.path, at + block.first + 1 + self._header, what, cells)

    def _columns(self, source: ChannelSource, part: str) -> tuple[str, ...]:
        """The columns of this file that hold a channel: one for each sample, or one; none, if optional."""
        if self.mapping.long:
            return ()
        names = tuple(name.replace("{part}", part) for name in source.columns)
        have = tuple(name for name in names if name in self._names)
        if have and (not source.samples or len(have) == len(names)):
            return have if source.samples else have[:1]
        if source.optional:
            return ()
        raise self._lacks(next(name for name in names if name not in self._names), source.line)

    def _wanted(self) -> list[str]:
        """Every column that is read, once."""
        mapping = self.mapping
        wanted = dict.fromkeys(mapping.id_columns, mapping.lines["device"])
        if mapping.time.column is not None and (self._holds_readings or any(not r.time for r in self._rules)):
            wanted[mapping.time.column] = mapping.lines["time"]
        wanted.update({rule.column: rule.line for rule in self._rules})
        wanted.update({rule.time: rule.line for rule in self._rules if rule.time})
        if mapping.long and self._holds_readings:
            wanted.update(dict.fromkeys((mapping.long.channel, mapping.long.value), mapping.lines["long"]))
        for name, line in wanted.items():
            if name not in self._names:
                raise self._lacks(name, line)
        return list(wanted | {name: 0 for part in self._channels for _, names in part for name in names})

    def _lacks(self, name: str, line: int) -> MappingError:
        have = ", ".join(self._names[:30]) or "none: it is empty"
        problem = f"{self.path} has no column {name!r}; its columns: {have}"
        remedy = "correct the name, the separator or `columns:`, or mark the channel `optional: true`"
        return MappingError(self.mapping.path, line, problem, remedy)


def _batch(mapping: FileMapping, pieces: Sequence[tuple[int, _Reader, Block]], ids: _Ids) -> SourceBatch:
    """One block of a file, or of several side by side, as readings: rows, in them parts, in them samples."""
    notes = _Notes()
    n, parts, samples = max(len(block.table) for _, _, block in pieces), len(mapping.parts), mapping.samples
    _, lead, longest = next(piece for piece in pieces if len(piece[2].table) == n)
    at_us, known = lead.times(longest, notes)
    device = np.stack([lead.devices(longest, part, ids, notes) for part in mapping.parts], axis=1)
    values = np.full(
        (n, parts, samples, len(mapping.device_type.channels)), np.nan, mapping.device_type.dtype
    )
    present = np.zeros((n, parts, samples), np.uint64)
    for _, reader, block in pieces:
        reader.broken(block, notes)
        mine = block if block is longest else reader.beside(block, at_us, known, notes)
        for part in range(parts):
            m = len(mine.table)
            reader.values(mine, part, values[:m, part], present[:m, part], notes)
    usable = known & (device >= 0).all(axis=1)
    lost = np.flatnonzero(~usable)
    rows = np.arange(longest.first, longest.first + n, dtype=np.int64)
    line_of = np.where(usable, np.cumsum(usable) - 1, -1)
    records = lead.records(longest, device[:, 0], at_us, line_of, ids) if mapping.records else []
    rejected, rejected_device = rows[lost], device[lost, 0]
    if len(lost):
        rows, at_us, device = rows[usable], at_us[usable], device[usable]
        values, present = values[usable], present[usable]
    offsets = np.arange(samples, dtype=np.int64) * mapping.sample_us
    event_us = np.broadcast_to(at_us[:, None, None] + offsets, present.shape)
    last_sample = np.broadcast_to(np.arange(samples) == samples - 1, present.shape)
    return SourceBatch(
        readings=ReadingBatch(
            mapping.device_type.name,
            ids.array,
            np.repeat(device.reshape(-1), samples),
            np.ascontiguousarray(event_us).reshape(-1),
            values.reshape(-1, values.shape[-1]),
            present.reshape(-1),
        ),
        files=tuple(i for i, _, _ in pieces),
        rows=np.repeat(rows, parts * samples),
        answers=None if samples == 1 else last_sample.reshape(-1),
        rejected=rejected,
        rejected_ids=ids.array.take(pa.array(rejected_device, mask=rejected_device < 0)),
        records=tuple(records),
        problems=tuple(notes.told),
        problem_count=notes.count,
    )


def _recorded(
    mapping: FileMapping, files: Sequence[str | Path], rows: int, notes: _Notes
) -> Iterator[tuple[SourceRecord, Problem]]:
    """What files of records tell, each with what is to be said where its device has no readings."""
    for file in files:
        path = str(file)
        if is_skipped(mapping, path) or holds_readings(mapping, path):
            continue
        reader = _Reader(mapping, path)
        for block in blocks(path, mapping, reader.wanted, rows):
            for record, line in reader.recorded(block, notes):
                yield record, Problem(path, line, f"there are no readings of device {record.device_id!r}")


def _last(
    mapping: FileMapping, last: SourceBatch, newest: _Newest, waiting: Waiting[Problem], notes: _Notes
) -> SourceBatch:
    """What follows all rows: records that no reading came after, and the failures of devices that ran to theirs."""
    channels = len(mapping.device_type.channels)
    nothing = np.zeros(0, np.int64)
    ids = last.readings.ids
    records, strangers = waiting.rest(ids.to_pylist())
    problems = [*notes.told, *strangers][:PROBLEMS_TOLD]
    if mapping.run_to_failure:
        records += [
            SourceRecord(device_id, at_us, -1, "failure", None, mapping.failure_mode, "run to failure")
            for device_id, at_us in zip(ids.to_pylist(), newest.at_us.tolist(), strict=True)
            if at_us != _NEVER_US
        ]
    return SourceBatch(
        ReadingBatch(
            mapping.device_type.name,
            ids,
            np.zeros(0, np.int32),
            nothing,
            np.zeros((0, channels), mapping.device_type.dtype),
            np.zeros(0, np.uint64),
        ),
        last.files,
        nothing,
        None,
        nothing,
        pa.array([], pa.string()),
        tuple(records),
        tuple(problems),
        notes.count + len(strangers),
    )


def _column(block: Block, name: str) -> pa.Array:
    column = block.table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _scaled(values: NDArray[np.float64], factor: float, offset: float) -> NDArray[np.float64]:
    return values if (factor, offset) == (1.0, 0.0) else values * factor + offset


def _filled(template: str, fields: Mapping[str, str]) -> str:
    for name, text in fields.items():
        template = template.replace(f"{{{name}}}", text)
    return template


def _digits(code: int, names: Sequence[str], words: Sequence[Sequence[str]]) -> dict[str, str]:
    """The texts behind a combined code, the last column its lowest digit."""
    fields: dict[str, str] = {}
    for name, known in zip(reversed(names), reversed(words), strict=True):
        code, digit = divmod(code, len(known) + 1)
        fields[name] = known[digit]
    return fields
