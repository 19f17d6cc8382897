"""A mapping file: how the columns of foreign files become readings of devices.

A mapping is data, a YAML file like those under ``examples/mappings/``; ``docs/guides/import.md`` explains
every key. This module turns one into frozen values and says what is wrong with it, with file, line and
remedy. Reading the data files themselves is ``sources.py``.
"""

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from training.conversion import UnitError, conversion
from training.errors import MappingError
from training.parsing import EPOCHS
from twins import documents, typefiles
from twins.devices import DeviceType
from twins.documents import Section

MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-")
"""Texts that mean that there is no value, where a mapping does not list its own."""

FILE_FIELDS: Final = ("file", "folder", "part")
"""What a device id can be built from beside columns: the file's name, its folder's, the part."""

RecordKind = Literal["failure", "repair", "replacement", "inspection"]

_SEPARATORS: Final[Mapping[str, str]] = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}
_LONGEST_STEP_S: Final = 1e9  # thirty years
_RANGE: Final = re.compile(r"^(.*?)(\d+)\.\.(\d+)$")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the text of a file is cut. Parquet files have no use for it, but for ``side_by_side``.

    A separator of one blank stands for any run of blanks. ``columns`` names the columns of files without
    header; ``missing`` are texts that mean no value; files whose names match one of ``skip`` hold no
    readings.
    """

    separator: str = ","
    columns: tuple[str, ...] = ()
    decimal: str = "."
    encoding: str = "utf8"
    missing: tuple[str, ...] = MISSING
    skip: tuple[str, ...] = ()
    side_by_side: bool = False


@dataclass(frozen=True, slots=True)
class EventTime:
    """Where event time comes from: a column of times, or ``origin_us`` and a count of steps.

    ``column`` holds the time or, with ``step_us``, the count; None: the count is the row's number in its
    file, from zero. ``format`` and ``zone`` are those of ``parsing.instants``.
    """

    column: str | None
    format: str = ""
    zone: str = "UTC"
    origin_us: int = 0
    step_us: int | None = None


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """Where a channel's values come from.

    ``index`` is the channel's place in the type. ``columns`` are names for one and the same column, of
    which the first that a file has is taken; with ``samples`` they are one column for each sample of a row;
    in long files they are texts of the column that names the channel. A value is ``number · factor +
    offset``, or what ``categories`` says of its text. ``file`` is a pattern for the stem of the files that
    hold the channel, None: all.
    """

    channel: str
    index: int
    columns: tuple[str, ...]
    samples: bool = False
    factor: float = 1.0
    offset: float = 0.0
    categories: Mapping[str, float] = field(default_factory=dict)
    file: str | None = None
    optional: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A column that tells of something done to the device, or found: where it is ``when``; None: any text.

    ``file`` is a pattern for the stem of files that hold records and no readings, None: it stands beside readings. ``time``
    is the column of event time in such files.
    """

    column: str
    kind: RecordKind
    when: str | None = None
    action: str | None = None
    failure_mode: str | None = None
    file: str | None = None
    time: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class LongFormat:
    """Files with a row for each value: the column that names the channel, and that of the value."""

    channel: str
    value: str


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A whole mapping. ``run_to_failure`` says that the last row of each device is its failure."""

    name: str
    path: str
    device_type: DeviceType
    device_id: str
    channels: tuple[ChannelSource, ...]
    time: EventTime
    title: str = ""
    layout: Layout = field(default_factory=Layout)
    parts: tuple[str, ...] = ("",)
    sample_us: int = 0
    long: LongFormat | None = None
    interval_s: float | None = None
    run_to_failure: bool = False
    failure_mode: str | None = None
    records: tuple[RecordRule, ...] = ()
    labels: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that a device id is built from."""
        return tuple(name for name in _fields(self.device_id) if name not in FILE_FIELDS)

    @property
    def samples(self) -> int:
        """How many readings a row holds for each device."""
        return max((len(source.columns) for source in self.channels if source.samples), default=1)

    def rules_of(self, stem: str) -> tuple[RecordRule, ...]:
        """What a file tells as one of records alone, by its name without endings; nothing, if it holds readings."""
        return tuple(rule for rule in self.records if rule.file is not None and fnmatch(stem, rule.file))


def load(path: Path) -> FileMapping:
    """The mapping in a file.

    Raises
    ------
    MappingError : if it cannot be used as it stands: every problem with its line and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(str(path), 0, f"the file cannot be read: {error}", "check the path") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> FileMapping:
    """The mapping that ``text`` describes; ``source`` is what errors call it. Raises MappingError."""
    mapping: FileMapping = documents.read(text, source, MappingError, lambda root: _mapping(root, source))
    return mapping


def expanded(column: str) -> tuple[str, ...]:
    """A range of column names written out; any other name as it stands.

    Examples
    --------
    >>> expanded("t08..10")
    ('t08', 't09', 't10')
    """
    match = _RANGE.match(column)
    if not match:
        return (column,)
    stem, first, last = match.groups()
    return tuple(f"{stem}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1))


def _mapping(root: Section, source: str) -> FileMapping:
    name = root.text("mapping", Path(source).stem)
    title = root.text("title", "")
    device = root.section("device")
    if device is None:
        device = _required(root, "device")
    device_type = _device_type(device)
    samples = root.section("samples")
    sample_s = samples.number("step_s", low=1e-6, high=_LONGEST_STEP_S) if samples is not None else 0.0
    long = root.section("long")
    channels = tuple(_channels(root, device_type, sampled=samples is not None))
    if "baseline_rows" in root:
        readings = root.integer("baseline_rows", low=2) * max(
            len(c.columns) if c.samples else 1 for c in channels
        )
        device_type = replace(device_type, baseline_readings=readings)
    time = _time(root)
    interval_s = device.maybe_number("interval_s", low=1e-6)
    if interval_s is None and time.step_us is not None:
        interval_s = sample_s or time.step_us / 1e6
    failing, mode = _run_to_failure(root, device_type)
    mapping = FileMapping(
        name=name,
        path=source,
        title=title,
        device_type=device_type,
        device_id=device.text("id", "{file}"),
        channels=channels,
        time=time,
        layout=_layout(root),
        parts=device.texts("parts") or ("",),
        sample_us=round(sample_s * 1e6),
        long=LongFormat(long.text("channel"), long.text("value")) if long else None,
        interval_s=interval_s,
        run_to_failure=failing,
        failure_mode=mode,
        records=tuple(_records(root, device_type)),
        labels=root.texts("labels"),
        ignored=root.texts("ignore"),
        lines={key: root.line(key) for key in ("device", "files", "time", "channels", "long")},
    )
    _check_whole(mapping, root, device)
    return mapping


def _required(root: Section, key: str) -> Section:
    """For a section that is missing: nothing else can be said without it."""
    raise MappingError(
        root.document.source, root.line(key), f"{root.title} has no {key}", f"add a section `{key}:`"
    )


def _device_type(device: Section) -> DeviceType:
    if device.kind("type") == "mapping":
        inline = device.section("type")
        assert inline is not None
        return typefiles.read_type(inline)
    name, known = device.text("type"), typefiles.load_catalog()
    if name not in known:
        raise MappingError(
            device.document.source,
            device.line("type"),
            f"the catalogue has no device type {name!r}",
            f"choose one of {', '.join(known)}, or write the type itself under `type:`",
        )
    return known[name]


def _layout(root: Section) -> Layout:
    files = root.section("files")
    if files is None:
        return Layout()
    separator = files.text("separator", ",")
    separator = _SEPARATORS.get(separator, separator)
    if len(separator) != 1:
        remedy = f"use one of {', '.join(_SEPARATORS)}, or one character"
        files.wrong("separator", f"{separator!r} is no separator", remedy)
    columns = tuple(name for entry in files.texts("columns") for name in expanded(entry))
    for name in sorted({name for name in columns if columns.count(name) > 1}):
        files.wrong("columns", f"column {name!r} is named twice", "give every column a name of its own")
    return Layout(
        separator=separator,
        columns=columns,
        decimal=files.text("decimal", ".", choices=(".", ",")),
        encoding=files.text("encoding", "utf8"),
        missing=files.texts("missing") if "missing" in files else MISSING,
        skip=files.texts("skip"),
        side_by_side=files.flag("side_by_side", False),
    )


def _time(root: Section) -> EventTime:
    time = root.section("time")
    if time is None:
        time = _required(root, "time")
    zone = time.text("zone", "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        time.wrong("zone", f"there is no time zone {zone!r}", "use a name such as UTC or Europe/Paris")
        zone = "UTC"
    if "column" in time:
        form = time.text("format", "")
        if form.startswith("epoch") and form not in EPOCHS:
            time.wrong("format", f"{form!r} is no time format", f"use one of {', '.join(EPOCHS)}")
        return EventTime(time.text("column"), form, zone)
    step_s = time.number("step_s", low=1e-6, high=_LONGEST_STEP_S)
    origin_us = _instant(time, "origin", zone)
    cycle = time.text("cycle") if "cycle" in time else None
    return EventTime(cycle, zone=zone, origin_us=origin_us, step_us=round(step_s * 1e6))


def _instant(section: Section, key: str, zone: str) -> int:
    text = section.text(key)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        section.wrong(key, f"{text!r} is no time", 'write it as "2000-01-01T00:00:00Z", with the quotes')
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _channels(root: Section, device_type: DeviceType, *, sampled: bool) -> Iterator[ChannelSource]:
    seen: set[str] = set()
    for key in ("channels", "conditions"):
        table = root.section(key)
        for name in table.keys() if table is not None else ():
            assert table is not None
            if name not in device_type.channel_names:
                known = ", ".join(device_type.channel_names)
                table.wrong(name, f"type {device_type.name!r} has no channel {name!r}", f"use one of {known}")
                continue
            if key == "conditions" and not device_type.channels[device_type.channel_index(name)].condition:
                problem = f"channel {name!r} of type {device_type.name!r} is no operating condition"
                table.wrong(name, problem, "move it to `channels`, or declare `condition: true` in the type")
            if name in seen:
                table.wrong(name, f"channel {name!r} is mapped twice", "keep one of the two")
            seen.add(name)
            yield _channel(table, name, device_type, sampled=sampled)


def _channel(table: Section, name: str, device_type: DeviceType, *, sampled: bool) -> ChannelSource:
    index = device_type.channel_index(name)
    line = table.line(name)
    if table.kind(name) != "mapping":
        columns, samples = _columns(table, name, sampled)
        return ChannelSource(name, index, columns, samples, line=line)
    entry = table.section(name)
    assert entry is not None
    columns, samples = _columns(entry, "column", sampled)
    factor, offset = 1.0, 0.0
    target = device_type.channels[index].unit
    unit = entry.text("unit", target)
    try:
        factor, offset = conversion(unit, target)
    except UnitError as error:
        entry.wrong("unit", str(error), f"channel {name!r} is in {target!r}: convert the file beforehand")
    categories = entry.section("values")
    return ChannelSource(
        name,
        index,
        columns,
        samples,
        factor,
        offset,
        {text: categories.number(text) for text in categories.keys()}  # noqa: SIM118
        if categories is not None
        else {},
        entry.text("file") if "file" in entry else None,
        entry.flag("optional", False),
        line,
    )


def _columns(section: Section, key: str, sampled: bool) -> tuple[tuple[str, ...], bool]:
    """The columns of a channel, and whether they are its samples rather than names for one column."""
    columns = section.texts(key) if section.kind(key) == "list" else (section.text(key),)
    if sampled and len(columns) == 1:
        columns = expanded(columns[0])
        return columns, len(columns) > 1
    return columns, False


def _run_to_failure(root: Section, device_type: DeviceType) -> tuple[bool, str | None]:
    if root.kind("run_to_failure") != "mapping":
        return root.flag("run_to_failure", False), None
    section = root.section("run_to_failure")
    assert section is not None
    return True, _failure_mode(section, device_type)


def _records(root: Section, device_type: DeviceType) -> Iterator[RecordRule]:
    for entry in root.sections("records", "record"):
        kinds: tuple[RecordKind, ...] = get_args(RecordKind)
        kind = entry.text("kind", choices=kinds)
        action = _one_of_type(entry, "action", [one.name for one in device_type.actions])
        if "time" in entry and "file" not in entry:
            entry.wrong("time", "a record beside readings has their time", "name its `file`, or leave it out")
        yield RecordRule(
            entry.text("column"),
            next(known for known in kinds if known == kind),
            entry.text("when") if "when" in entry else None,
            action,
            _failure_mode(entry, device_type),
            entry.text("file") if "file" in entry else None,
            entry.text("time") if "time" in entry else None,
            entry.line("column"),
        )


def _failure_mode(section: Section, device_type: DeviceType) -> str | None:
    return _one_of_type(section, "failure_mode", [mode.name for mode in device_type.failure_modes])


def _one_of_type(section: Section, key: str, known: Sequence[str]) -> str | None:
    """A name that the device type has to know; None where the key is missing."""
    if key not in section:
        return None
    name = section.text(key)
    if name not in known:
        section.wrong(
            key, f"the device type has no {key} {name!r}", f"use one of: {', '.join(known) or 'none'}"
        )
    return name


def _check_whole(mapping: FileMapping, root: Section, device: Section) -> None:
    """What no part can see alone."""
    if not mapping.channels:
        root.wrong("channels", "no channel is mapped", "name a column for at least one under `channels:`")
    used = {mapping.time.column, *mapping.id_columns, *(rule.column for rule in mapping.records)}
    used |= {column for source in mapping.channels for column in source.columns}
    used |= {rule.time for rule in mapping.records}
    for key, columns in (("labels", mapping.labels), ("ignore", mapping.ignored)):
        for column in columns:
            if column in used:
                root.wrong(key, f"column {column!r} is under `{key}` and yet read", "keep one of the two")
    several = len(mapping.parts) > 1 or mapping.samples > 1
    if len(mapping.parts) > 1 and "part" not in _fields(mapping.device_id):
        device.wrong("id", "the parts of a row share one device id", "write {part} into the id")
    if several and any(rule.file is None for rule in mapping.records):
        root.wrong(
            "records", "a row with parts or samples cannot say which one a record is about", "leave it out"
        )
    if len(mapping.parts) > 1 and any(rule.file is not None for rule in mapping.records):
        root.wrong("records", "a record cannot say which part of a device it is about", "leave it out")
    if mapping.time.column is None and any(rule.file and not rule.time for rule in mapping.records):
        root.wrong("records", "a file of records has no column of times", "name it under `time`")
    if mapping.long and (several or mapping.layout.side_by_side):
        root.wrong("long", "a long file has one value in a row", "leave out parts, samples and side_by_side")
    lengths = {len(source.columns) for source in mapping.channels if source.samples}
    if len(lengths) > 1:
        counts = " and ".join(str(length) for length in sorted(lengths))
        root.wrong("channels", f"channels have {counts} samples in a row", "give all of them as many columns")


def _fields(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in string.Formatter().parse(template) if name)
