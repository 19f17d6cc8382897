"""Import and replay: files, through a mapping, through the twins, into history or into files of results.

Both drive the same shards as live readings do. Their devices are ``importing``: each lives in its own past, so it makes
no difference whether other twins live beside them, in a running platform, or none do. A replay keeps nothing but its
results; an import goes through journal and recorder like everything else. What a mapping means is ``mappings.py``,
reading the files ``sources.py``.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.errors import MappingError, SourceFileError
from training.mappings import FileMapping, load
from training.outputs import ReplayWriter
from training.recorder import Recorder
from training.records import SourceRecord
from training.sources import ROWS, Problem, SourceBatch, check, holds_readings, is_skipped, read
from twins.clock import VirtualClock, WallClock
from twins.commands import RecordMaintenance
from twins.devices import Device
from twins.errors import DeviceExistsError
from twins.events import KINDS, Event, EventBatch, Kind, decode
from twins.fleet import Fleet, FleetConfig, LocalFleet, WriteResult
from twins.host import HostConfig, ShardHost, note_seen
from twins.journal import StoredEntry
from twins.kernels import LineResults
from twins.readings import ReadingBatch
from twins.typefiles import content_hash

PROBLEMS_KEPT = 100
"""Problems that a summary describes; the rest it only counts."""

_RECORDED = FleetConfig(host=HostConfig(recorded=True))


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

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> "Summary":
        """The summary that ``as_json`` gave."""
        return Summary(**{**said, "problems": [Problem(**each) for each in said["problems"]]})

    def as_text(self) -> str:
        """A few lines for a person."""
        fates = ", ".join(f"{count} {name}" for name, count in self.fates.items()) or "nothing"
        lines = [
            f"{self.rows} rows of {self.files} files: {self.devices} devices, {self.events} events",
            f"what became of them: {fates}",
        ]
        if self.skipped:
            lines.append(f"skipped, as the mapping says: {', '.join(self.skipped)}")
        if self.problem_count:
            lines.append(f"{self.problem_count} cells or rows could not be used:")
            lines += [f"  {problem}" for problem in self.problems[:10]]
            if self.problem_count > 10:
                lines.append(f"  and {self.problem_count - 10} more")
        return "\n".join(lines)


Taker = Callable[[Callable[[], Any]], Any]
"""Makes a call of a fleet and gives what it gives; may make it again where the fleet does not take it now."""

Progress = Callable[[Summary, float], None]
"""Is told after each batch what was done so far, and how much of the files has been read, 0 to 1."""


def _at_once(call: Callable[[], Any]) -> Any:
    return call()


def replay(
    mapping: FileMapping | Path,
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
    mapping = load(mapping) if isinstance(mapping, Path) else mapping
    summary = _begun(mapping, files)
    clock = VirtualClock(WallClock().now_us() if until_us is None else until_us)
    with (
        LocalFleet(None, clock=clock) as fleet,
        ReplayWriter(out, [str(file) for file in files]) as writer,
    ):
        _install(fleet, mapping)
        for batch, pieces in _driven(fleet, mapping, files, rows, _at_once):
            for result in pieces:
                writer.tell(_events(fleet, result))
            writer.tell(_told(record, mapping.name) for record in batch.records)
            writer.add(batch, _joined(pieces))
            summary.note(batch)
            summary.events = writer.events
            if progress is not None:
                progress(summary, batch.share)
        summary.fates = {name: count for name, count in writer.dispositions.items() if count}
    return summary


def import_files(
    mapping: FileMapping | Path,
    files: Sequence[str | Path],
    data: Path,
    *,
    config: FleetConfig = _RECORDED,
    live: bool = False,
    progress: Progress | None = None,
    rows: int = ROWS,
) -> Summary:
    """Bring files into the history of the data folder ``data``, through the twins, as if they had come live.

    The caller holds the folder's lock: no platform runs on it; ``config`` is what such a platform would have. Raises
    what ``import_into`` raises, and what journal and history raise; what was acknowledged is kept.
    """
    with (
        LocalFleet(data / "hosts", config) as fleet,
        closing(Recorder(data / "history", announce=partial(_note_seen, fleet))) as recorder,
    ):

        def batch_done(summary: Summary, share: float) -> None:
            _record(recorder, fleet)
            if progress is not None:
                progress(summary, share)

        summary = import_into(fleet, mapping, files, live=live, progress=batch_done, rows=rows)
        _record(recorder, fleet)
        recorder.flush()
        _archive(recorder, fleet)
    return summary


def import_into(
    fleet: Fleet,
    mapping: FileMapping | Path,
    files: Sequence[str | Path],
    *,
    live: bool = False,
    progress: Progress | None = None,
    rows: int = ROWS,
    take: Taker = _at_once,
) -> Summary:
    """Bring files into a fleet that others may be using.

    Devices that are new are registered, marked as being imported: each lives in its own past, and nothing that happens to
    it is news. When all has been read they are retired, unless ``live``: then they begin to live. A device that was
    living before takes the readings as it takes any: those that are older than what it knows go to history only.
    ``take`` makes each call of the fleet, and may make it again: all of them may be made twice.

    An import that was interrupted, also by what ``progress`` raises, can be run again; what is in history already
    is a duplicate.

    Raises
    ------
    MappingError : also if another version of the device type is installed in the fleet.
    DeviceExistsError : if a device of the files was there before and has been retired.
    OverloadedError, DegradedError : the fleet does not take it now; run it again.
    """
    mapping = load(mapping) if isinstance(mapping, Path) else mapping
    summary = _begun(mapping, files)
    fates: Counter[str] = Counter()
    take(lambda: _install(fleet, mapping))
    ids: pa.StringArray = pa.array([], pa.string())
    for batch, pieces in _driven(fleet, mapping, files, rows, take):
        ids = batch.readings.ids
        summary.note(batch)
        for result in pieces:
            fates.update(result.fates)
            summary.events += sum(len(events) - int(events.news().sum()) for _, _, events in result.events)
        fates["bad"] += len(batch.rejected)
        summary.fates = {name: count for name, count in fates.items() if count}
        if progress is not None:
            progress(summary, batch.share)
    take(lambda: fleet.end_import(ids.to_pylist(), retired=not live, by=mapping.name))
    return summary


def checked(mapping: Path, files: Sequence[Path]) -> None:
    """Raise what an import of these files would raise before it begins."""
    _begun(load(mapping), files)


@dataclass(frozen=True, slots=True)
class _HostSource:
    """The journal of a host of this process, for the recorder."""

    host: ShardHost

    @property
    def actor(self) -> str:
        return self.host.name

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self.host.read_after(cursor, limit)


def _record(recorder: Recorder, fleet: LocalFleet) -> None:
    """Let the recorder read everything that is new; it commits when it holds enough."""
    for host in fleet.shard_hosts():
        if host.name not in recorder.cursors:
            recorder.add_source(_HostSource(host))
    while recorder.step():
        pass
    _archive(recorder, fleet)


def _note_seen(fleet: LocalFleet, cursors: Mapping[str, int]) -> None:
    for host in fleet.shard_hosts():
        if host.folder is not None and host.name in cursors:
            note_seen(host.folder, cursors[host.name])


def _archive(recorder: Recorder, fleet: LocalFleet) -> None:
    """Tell the hosts what they need not keep."""
    for host in fleet.shard_hosts():
        host.archive(recorder.cursors[host.name])


def _install(fleet: Fleet, mapping: FileMapping) -> None:
    """Put the mapping's device type in force, unless it is; the rules that people have put in force stay."""
    wanted = mapping.device_type
    installed = fleet.types.get(wanted.name)
    if installed is None or installed.version < wanted.version:
        fleet.install(wanted, by=mapping.name)
    elif content_hash(installed) != content_hash(
        replace(wanted, version=installed.version, rules=installed.rules)
    ):
        problem = f"version {installed.version} of type {wanted.name!r} is installed and says something else"
        remedy = "give the type another name or a higher version, and leave `baseline_rows` to the type"
        raise MappingError(mapping.path, mapping.lines["device"], problem, remedy)


def _register(fleet: Fleet, mapping: FileMapping, ids: pa.StringArray) -> None:
    """Give twins to devices that have none; they live in their own past until the import ends."""
    type_name, interval_s = mapping.device_type.name, mapping.interval_s
    is_new = fleet.locate(ids).host < 0
    if not is_new.all():
        live = fleet.live(type_name)
        retired = pc.is_in(
            ids, live["device_id"].filter(pc.equal(live["status"], "retired")).combine_chunks()
        )
        if pc.any(retired).as_py():
            raise DeviceExistsError(ids.filter(retired)[0].as_py())
    new = ids.filter(pa.array(is_new)).to_pylist()
    fleet.register(
        [Device(each, type_name, interval_s=interval_s, importing=True) for each in new], by=mapping.name
    )


def _begun(mapping: FileMapping, files: Sequence[str | Path]) -> Summary:
    """A summary to start with, once it is clear that every file fits."""
    skipped = [str(file) for file in files if is_skipped(mapping, file)]
    if len(skipped) == len(files):
        raise SourceFileError(
            ", ".join(skipped) or "(no file)", "there is nothing to read", f"see `skip:` in {mapping.path}"
        )
    if not any(holds_readings(mapping, file) for file in files):
        told = ", ".join(map(str, files))
        raise SourceFileError(told, "there are records and no readings", "give the files of readings as well")
    check(mapping, files)
    return Summary(files=len(files) - len(skipped), skipped=skipped)


def _driven(
    fleet: Fleet, mapping: FileMapping, files: Sequence[str | Path], rows: int, take: Taker
) -> Iterator[tuple[SourceBatch, list[WriteResult]]]:
    """Every batch of the files and what the fleet made of it, in pieces: records stand between them."""
    registered = 0

    def write(part: ReadingBatch) -> WriteResult:
        result: WriteResult = take(partial(fleet.write, part, trace=True))
        return result

    for batch in read(mapping, files, rows):
        readings = batch.readings
        if registered < len(readings.ids):
            take(partial(_register, fleet, mapping, readings.ids[registered:]))
            registered = len(readings.ids)
        pieces: list[WriteResult] = []
        done = 0
        for record in batch.records:
            if record.after_line >= done:
                pieces.append(write(_cut(readings, done, record.after_line + 1)))
                done = record.after_line + 1
            take(partial(fleet.command, _command(record, mapping.name)))
        pieces.append(write(_cut(readings, done, len(readings))))
        yield batch, pieces


def _command(record: SourceRecord, by: str) -> RecordMaintenance:
    """The command that a record asks for. Its id is what it says, so that none is done twice."""
    said = (record.device_id, record.at_us, record.kind, record.action, record.failure_mode, record.note)
    return RecordMaintenance(
        command_id=" ".join((by, *map(str, said))),
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
        EventBatch(
            events.records
        ),  # the notes of events that readings cause say no more than that it is a replay
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
