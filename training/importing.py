"""Import and replay: files, through a mapping, through the twins, into history or into files of results.

Both drive the same shards as live readings do, on a clock of their own that follows event time. A replay
keeps nothing but its results; an import goes through journal and recorder like everything else. What a
mapping means is ``mappings.py``, reading the files ``sources.py``.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.errors import SourceFileError
from training.mappings import FileMapping
from training.outputs import ReplayWriter
from training.sources import ROWS, Problem, SourceBatch, SourceRecord, check, is_skipped, read
from twins.clock import VirtualClock, WallClock
from twins.commands import RecordMaintenance
from twins.devices import Device
from twins.events import KINDS, Event, EventBatch, Kind, decode
from twins.fleet import FleetConfig, LocalFleet, WriteResult
from twins.host import HostConfig
from twins.kernels import LineResults
from twins.readings import ReadingBatch
from twins.shard import ShardConfig

PROBLEMS_KEPT = 100
"""Problems that a summary describes; the rest it only counts."""


@dataclass(slots=True)
class Summary:
    """What an import or a replay has done so far.

    ``rows`` are those of the files, ``readings`` the lines that they gave; ``fates`` counts rows of a
    replay, readings of an import, by what became of them.
    """

    files: int = 0
    skipped: list[str] = field(default_factory=list)
    rows: int = 0
    readings: int = 0
    devices: int = 0
    records: int = 0
    events: int = 0
    fates: dict[str, int] = field(default_factory=dict)
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)

    def note(self, batch: SourceBatch) -> None:
        """Count a batch."""
        answered = len(batch.rows) if batch.answers is None else int(batch.answers.sum())
        self.rows += (answered + len(batch.rejected)) * len(batch.files)
        self.readings += len(batch.readings)
        self.devices = len(batch.readings.ids)
        self.records += len(batch.records)
        self.problem_count += batch.problem_count
        self.problems += batch.problems[: PROBLEMS_KEPT - len(self.problems)]


Progress = Callable[[Summary], None]


def replay(
    mapping: FileMapping,
    files: Sequence[str | Path],
    out: Path,
    *,
    progress: Progress | None = None,
    until_us: int | None = None,
    rows: int = ROWS,
) -> Summary:
    """Score every row of ``files`` as if it came live, and write what the twins made of it to ``out``.

    Causal: the result of a row depends on earlier rows of its own device and on nothing else, in whatever
    files and beside whatever devices they stand. Rows dated after ``until_us`` (default: now, by the wall
    clock) are FUTURE. Files are read ``rows`` rows at a time. ``outputs.py`` tells what ``out`` then holds.

    Raises
    ------
    MappingError, SourceFileError : before anything is scored if a file does not fit; later if one turns out
        to be cut off, and then nothing is left in ``out``.
    """
    summary = _begun(mapping, files)
    clock = VirtualClock()
    config = FleetConfig(host=HostConfig(shard=ShardConfig(own_clock=True)))
    with LocalFleet(None, config, clock) as fleet, ReplayWriter(out, [str(file) for file in files]) as writer:
        fleet.install(mapping.device_type, by=mapping.name)
        for batch, pieces in _driven(fleet, clock, mapping, files, until_us, rows):
            for result in pieces:
                writer.tell(_events(fleet, result))
            writer.tell(_told(record, mapping.name) for record in batch.records)
            writer.add(batch, _joined(pieces))
            summary.note(batch)
            summary.events = writer.events
            if progress is not None:
                progress(summary)
        summary.fates = {name: count for name, count in writer.dispositions.items() if count}
    return summary


def _begun(mapping: FileMapping, files: Sequence[str | Path]) -> Summary:
    """A summary to start with, once it is clear that every file fits."""
    skipped = [str(file) for file in files if is_skipped(mapping, file)]
    if len(skipped) == len(files):
        raise SourceFileError(
            ", ".join(skipped) or "(no file)", "there is nothing to read", f"see `skip:` in {mapping.path}"
        )
    check(mapping, files)
    return Summary(files=len(files) - len(skipped), skipped=skipped)


def _driven(
    fleet: LocalFleet,
    clock: VirtualClock,
    mapping: FileMapping,
    files: Sequence[str | Path],
    until_us: int | None,
    rows: int,
) -> Iterator[tuple[SourceBatch, list[WriteResult]]]:
    """Every batch of the files and what the fleet made of it, in pieces: records stand between them."""
    until_us = WallClock().now_us() if until_us is None else until_us
    numbers = itertools.count(1)
    registered = 0
    for batch in read(mapping, files, rows):
        readings = batch.readings
        newest_us = int(readings.event_us.max()) if len(readings) else 0
        clock.advance_to(min(newest_us, until_us))
        if registered < len(readings.ids):
            fleet.register(
                [
                    Device(name, mapping.device_type.name, interval_s=mapping.interval_s)
                    for name in readings.ids[registered:].to_pylist()
                ],
                by=mapping.name,
            )
            registered = len(readings.ids)
        pieces: list[WriteResult] = []
        done = 0
        for record in batch.records:
            if record.after_line >= done:
                pieces.append(fleet.write(_cut(readings, done, record.after_line + 1), trace=True))
                done = record.after_line + 1
            fleet.command(_command(record, f"{mapping.name}-{next(numbers)}", mapping.name))
        pieces.append(fleet.write(_cut(readings, done, len(readings)), trace=True))
        yield batch, pieces


def _command(record: SourceRecord, command_id: str, by: str) -> RecordMaintenance:
    return RecordMaintenance(
        command_id=command_id,
        by=by,
        device_id=record.device_id,
        kind=record.kind,
        action=record.action,
        failure_mode=record.failure_mode,
        at_us=record.at_us,
        note=record.note,
    )


def _cut(readings: ReadingBatch, start: int, stop: int) -> ReadingBatch:
    """Lines ``start`` to ``stop``, as views."""
    if start == 0 and stop == len(readings):
        return readings
    cut = slice(start, stop)
    assert readings.present is not None
    return ReadingBatch(
        readings.device_type,
        readings.ids,
        readings.index[cut],
        readings.event_us[cut],
        readings.values[cut],
        readings.present[cut],
    )


def _joined(pieces: Sequence[WriteResult]) -> LineResults:
    """The results of all pieces, one after the other."""
    results = [piece.results for piece in pieces if piece.results is not None]
    if len(results) == 1:
        return results[0]
    return LineResults(*(np.concatenate(columns) for columns in zip(*results, strict=True)))


def _events(fleet: LocalFleet, result: WriteResult) -> Iterator[Event]:
    """What happened in a write, with names."""
    for host, type_name, events in result.events:
        yield from _named(fleet, host, type_name, events)


def _named(fleet: LocalFleet, host: int, type_name: str, events: EventBatch) -> Iterator[Event]:
    shard = fleet.shard_hosts()[host].shard(type_name)
    device_type = shard.device_type
    return decode(
        events,
        device_id=shard.roster.index.__getitem__,
        rules=[rule.name for rule in device_type.rules],
        channels=device_type.channel_names,
        recorded_us=0,
        cursor=0,
    )


def _told(record: SourceRecord, by: str) -> Event:
    """A record of the files as the event that it is."""
    detail = {
        "by": by,
        "kind": record.kind,
        "action": record.action,
        "failure_mode": record.failure_mode,
        "note": record.note,
    }
    known = {name: value for name, value in detail.items() if value}
    kind = KINDS[Kind.MAINTENANCE_RECORDED].type
    return Event(kind, record.device_id, record.at_us, record.at_us, 0, known)
