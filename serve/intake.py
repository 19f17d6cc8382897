"""Readings from JSON into columns: what can be read is taken, everything else is refused with its reason.

One pass over the lines finds out what is there; from then on it is columns: ids are looked up at once, times
are parsed at once, values are gathered a channel at a time. Only what does not fit is looked at singly.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve.formats import EXAMPLE
from twins import fleet as fleet_module
from twins.devices import Channel, DeviceType
from twins.directory import Places
from twins.fleet import NO_ROOM, NOT_FOUND, NOT_SURE, OTHER_TYPE, Fleet, WriteResult
from twins.readings import Fate, ReadingBatch

REFUSALS_TOLD: Final = 1_000
MOST_TOGETHER: Final = fleet_module.REFUSALS_TOLD
"""Lines that are written together: no more than a fleet tells of one by one."""

Covers = Callable[[pa.StringArray, Places], NDArray[np.bool_]]
"""Which of some devices the sender may write for; the others are to it as if they were not there."""

_FIRST_MS: Final = 10**11  # 1973 in ms; smaller numbers are seconds or nonsense
_FIRST_US: Final = 10**14  # 1973 in µs, the year 5138 in ms
_LAST_US: Final = 253_402_300_800_000_000  # the year 10000
_LARGEST: Final = 1e308
_TIME_REMEDY: Final = "write ISO 8601, or the epoch in ms or µs"
UNKNOWN: Final = (
    NOT_FOUND,
    "no device of this id is in the fleet, or not one that this key is for; register it or check the id",
)
UNSURE: Final = (NOT_SURE, "it is not known here and cannot be asked for at present; send it again")
_REASONS: Final = {
    NOT_FOUND: "it left the fleet just now",
    OTHER_TYPE: "it left the fleet just now, and another of its id came",
    NOT_SURE: "the host that it lives on does not answer at present; send it again",
    NO_ROOM: "the disk of the host that it lives on is full; make room there, then send it again",
}
_KEYS: Final = frozenset({"device", "time", "values"})


@dataclass(slots=True)
class Refusals:
    """Lines, or channels of a line, that were not taken: the first thousand, and how many in all."""

    told: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0

    def add(self, index: int, device: Any, code: str, reason: str) -> None:
        self.total += 1
        if len(self.told) < REFUSALS_TOLD:
            named = device if isinstance(device, str) else None
            self.told.append({"index": index, "device": named, "code": code, "reason": reason})

    def add_many(self, indices: NDArray[np.intp], devices: pa.Array, code: str, reason: str) -> None:
        """Lines that are refused for one reason."""
        room = max(0, REFUSALS_TOLD - len(self.told))
        for index, device in zip(indices[:room].tolist(), devices[:room].to_pylist(), strict=True):
            self.add(index, device, code, reason)
        self.total += max(0, len(indices) - room)

    def count(self, lines: int) -> None:
        """Lines that are refused and not told one by one."""
        self.total += lines


class Shared(Refusals):
    """Refusals of several requests whose lines are read one after the other: each is told its own.

    Parameters
    ----------
    starts : the place of each request's first line, ascending
    of : what each is told
    """

    def __init__(self, starts: Sequence[int], of: Sequence[Refusals]) -> None:
        super().__init__()
        self._starts = starts
        self._of = of

    def add(self, index: int, device: Any, code: str, reason: str) -> None:
        number = bisect_right(self._starts, index) - 1
        self._of[number].add(index - self._starts[number], device, code, reason)

    def add_many(self, indices: NDArray[np.intp], devices: pa.Array, code: str, reason: str) -> None:
        for index, device in zip(indices.tolist(), devices.to_pylist(), strict=True):
            self.add(index, device, code, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """Batches ready to be written, each with its lines' positions in the request, and what was refused."""

    batches: Sequence[tuple[ReadingBatch, NDArray[np.intp]]]
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request's lines: how many by fate, which were refused, the newest cursor of each host."""

    refusals: Refusals = field(default_factory=Refusals)
    accepted: Counter[str] = field(default_factory=Counter)
    cursors: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Lines of one type, of requests that were read one after the other.

    Parameters
    ----------
    batch : (n,) lines
    positions : (n,) the place of each among all lines that were read
    starts : the place of each request's first line, ascending
    of : each request's outcome
    """

    batch: ReadingBatch
    positions: NDArray[np.intp]
    starts: NDArray[np.intp]
    of: Sequence[Outcome]

    def lines(self) -> Iterator[tuple[Outcome, int]]:
        """Whose each line is, and its place in that request."""
        number = np.searchsorted(self.starts, self.positions, side="right") - 1
        own = self.positions - self.starts[number]
        return zip([self.of[each] for each in number.tolist()], own.tolist(), strict=True)


class Membership(Protocol):
    """What there is in a fleet, and where, as ``Fleet`` knows it."""

    @property
    def types(self) -> dict[str, DeviceType]: ...

    def locate(self, ids: pa.StringArray) -> Places: ...

    def locate_known(self, ids: pa.StringArray) -> Places | None: ...


def gather(
    lines: Sequence[Any],
    wanted: str | None,
    membership: Membership,
    covers: Covers | None = None,
    refusals: Refusals | None = None,
) -> Intake:
    """Columns of what can be read in ``lines``, by device type, each device's lines in their order.

    What cannot is added to ``refusals``, if there are any.
    """
    refusals = Refusals() if refusals is None else refusals
    index: list[int] = []
    devices: list[str] = []
    times: list[Any] = []
    values: list[dict[str, Any]] = []
    for i, line in enumerate(lines):
        reason = _unreadable(line)
        if reason is not None:
            device = line.get("device") if isinstance(line, dict) else None
            refusals.add(i, device, "reading.invalid", reason)
            continue
        index.append(i)
        devices.append(line["device"])
        times.append(line["time"])
        values.append(line["values"])

    event_us, in_time = _times(times)
    ids = pa.array(devices, pa.string()).dictionary_encode()
    names = ids.dictionary.cast(pa.string())
    places, type_codes = covered_types(names, membership, covers)
    of_line = ids.indices.to_numpy(zero_copy_only=False)
    type_of_line = type_codes[of_line]
    taken = in_time & of_wanted_type(type_of_line, wanted, places.types)
    for at in np.flatnonzero(~taken).tolist():
        if not in_time[at]:
            refusals.add(
                index[at], devices[at], "time.invalid", f"{times[at]!r:.60} is no time; {_TIME_REMEDY}"
            )
        elif type_of_line[at] < 0:
            refusals.add(index[at], devices[at], *(UNKNOWN if places.is_sure else UNSURE))
        else:
            name = places.types[type_of_line[at]]
            reason = f"it is of type {name!r}; leave 'type' out or send it apart"
            refusals.add(index[at], devices[at], "device.other_type", reason)

    batches = []
    positions = np.array(index, np.intp)
    for code in np.unique(type_of_line[taken]).tolist():
        mine = np.flatnonzero(taken & (type_of_line == code))
        device_type = membership.types[places.types[code]]
        chosen = [values[at] for at in mine.tolist()]
        matrix, present = _columns(
            chosen, device_type, positions[mine], [devices[at] for at in mine], refusals
        )
        keep = present > 0
        mine = mine[keep]
        if not len(mine):
            continue
        batch = batch_of(device_type, names, of_line[mine], event_us[mine], matrix[keep], present[keep])
        batches.append((batch, positions[mine]))
    return Intake(batches, refusals)


def write(fleet: Fleet, taken: Intake) -> Outcome:
    """Write what was gathered; returns, once it is durable, what became of it.

    One host that is away costs only its own lines.
    """
    return _became(taken, fleet.write_many([batch for batch, _ in taken.batches], partly=True))


async def write_async(fleet: Fleet, taken: Intake) -> Outcome:
    """What ``write`` does, from an event loop."""
    return _became(taken, await fleet.write_many_async([batch for batch, _ in taken.batches], partly=True))


def _became(taken: Intake, results: Sequence[WriteResult]) -> Outcome:
    outcome = Outcome(taken.refusals)
    for (_, positions), written in zip(taken.batches, results, strict=True):
        outcome.accepted.update(written.fates)
        outcome.cursors.update(written.cursors)
        for line, device_id, code in written.refused:
            outcome.refusals.add(int(positions[line]), device_id, code, _REASONS[code])
        outcome.refusals.count(written.refused_total - len(written.refused))
    return outcome


async def write_together(fleet: Fleet, parts: Sequence[Part]) -> None:
    """What ``write`` does, for parts of several requests: one call of the fleet, and to each what became of its own lines.

    At most ``MOST_TOGETHER`` lines in all, so that each that is refused is told.
    """
    by_type: dict[str, list[Part]] = {}
    for part in parts:
        by_type.setdefault(part.batch.device_type, []).append(part)
    whole = [_one_after_the_other([part.batch for part in same]) for same in by_type.values()]
    results = await fleet.write_many_async(whole, partly=True, trace=True)
    for same, written in zip(by_type.values(), results, strict=True):
        assert written.results is not None
        refused = {line: (device_id, code) for line, device_id, code in written.refused}
        of_line = [(owner, position) for part in same for owner, position in part.lines()]
        for line, (fate, (owner, position)) in enumerate(
            zip(written.results.fate.tolist(), of_line, strict=True)
        ):
            if line in refused:
                device_id, code = refused[line]
                owner.refusals.add(position, device_id, code, _REASONS[code])
            else:
                owner.accepted[Fate(fate).name.lower()] += 1
            owner.cursors.update(written.cursors)


def _one_after_the_other(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    """Batches of one type as one; a device may be named in several."""
    starts = np.cumsum([0, *(len(batch.ids) for batch in batches)]).tolist()
    return ReadingBatch(
        batches[0].device_type,
        pa.concat_arrays([batch.ids for batch in batches]),
        np.concatenate([batch.index + np.int32(at) for batch, at in zip(batches, starts, strict=False)]),
        np.concatenate([batch.event_us for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        np.concatenate([batch.present for batch in batches]),
    )


def covered_types(
    ids: pa.StringArray, membership: Membership, covers: Covers | None
) -> tuple[Places, NDArray[np.int16]]:
    """Where devices are, and the type code of each: -1 for one that is not known or not covered."""
    places = membership.locate(ids)
    if covers is None or len(ids) == 0:
        return places, places.type_code
    return places, np.where(covers(ids, places), places.type_code, np.int16(-1))


def of_wanted_type(
    type_of_line: NDArray[np.int16], wanted: str | None, types: Sequence[str]
) -> NDArray[np.bool_]:
    """Which lines are of a known device, and of the ``wanted`` type where one is named; codes are places in ``types``."""
    if wanted is None:
        return np.asarray(type_of_line >= 0)
    return np.asarray(type_of_line == (types.index(wanted) if wanted in types else -2))


def batch_of(
    device_type: DeviceType,
    names: pa.StringArray,
    of_line: NDArray[Any],
    event_us: NDArray[np.int64],
    values: NDArray[np.float64],
    present: NDArray[np.uint64],
) -> ReadingBatch:
    """Lines as a batch; ``of_line`` (n,) is the place of each line's device among ``names``; the batch keeps what occurs."""
    occurring, index = np.unique(of_line, return_inverse=True)
    ids = names.take(pa.array(occurring))
    return ReadingBatch(device_type.name, ids, index.astype(np.int32), event_us, values, present)


def _unreadable(line: Any) -> str | None:
    """Why a line cannot be read at all; None if it can."""
    if isinstance(line, ValueError):
        return f"the line is no JSON: {line}"
    if type(line) is not dict:
        return f"a reading is an object, not {type(line).__name__}; {EXAMPLE}"
    if line.keys() != _KEYS:
        missing = sorted(_KEYS - line.keys())
        if missing:
            return f"it has no {missing[0]!r}; {EXAMPLE}"
        return f"it has {sorted(line.keys() - _KEYS)[0][:60]!r}, which means nothing here"
    if type(line["device"]) is not str or not line["device"]:
        return "'device' is no text"
    if type(line["values"]) is not dict or not line["values"]:
        return "'values' names no channel"
    return None


def _times(times: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each time in µs, and which of them are times at all."""
    kinds = set(map(type, times))
    if kinds == {str}:
        try:
            parsed = pa.array(times, pa.string()).cast(pa.timestamp("us", "UTC"))
        except pa.ArrowInvalid:
            pass  # one of them is written in another way: look at each
        else:
            return plausible(parsed.cast(pa.int64()).to_numpy())
    elif kinds == {int}:
        try:
            numbers = np.array(times, np.int64)
        except OverflowError:
            pass
        else:
            return plausible(in_us(numbers))
    return plausible(np.array([_one_time(time) for time in times], np.int64))


def _one_time(time: Any) -> int:
    """A time in µs; 0 for what is none."""
    if type(time) is int:
        return int(in_us(np.array([time if abs(time) < _LAST_US else 0]))[0])
    if type(time) is not str:
        return 0
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    gone = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (gone.days * 86_400 + gone.seconds) * 1_000_000 + gone.microseconds


def in_us(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Epochs in ms or µs, told apart by their size, as µs; 0 for neither."""
    scaled = np.where(numbers >= _FIRST_US, numbers, np.where(numbers >= _FIRST_MS, numbers * 1_000, 0))
    return scaled.astype(np.int64)


def plausible(times_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The times, and which of them lie between 1970 and the year 10000."""
    return times_us, (times_us > 0) & (times_us < _LAST_US)


def _columns(
    values: Sequence[Mapping[str, Any]],
    device_type: DeviceType,
    positions: NDArray[np.intp],
    devices: Sequence[str],
    refusals: Refusals,
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Values (n, channels), NaN where there is none, and the mask of channels that each line gives."""
    n = len(values)
    matrix = np.full((n, len(device_type.channels)), np.nan)
    present = np.zeros(n, np.uint64)
    for c, channel in enumerate(device_type.channels):
        absent = math.nan  # JSON has no NaN, so it can stand for "not there"
        column = [line.get(channel.name, absent) for line in values]
        try:
            if set(map(type, column)) <= {float, int}:
                matrix[:, c] = column
                there = ~np.isnan(matrix[:, c])
            else:
                there = _mixed(column, channel, matrix[:, c], positions, devices, refusals)
        except OverflowError:
            there = _mixed(column, channel, matrix[:, c], positions, devices, refusals)
        present |= there.astype(np.uint64) << np.uint64(c)
    known = set(device_type.channel_names)
    for at, line in enumerate(values):
        if not line.keys() <= known:
            for name in sorted(line.keys() - known):
                reason = f"type {device_type.name!r} has no channel {name[:60]!r}"
                refusals.add(int(positions[at]), devices[at], "channel.not_found", reason)
    return matrix, present


def _mixed(
    column: Sequence[Any],
    channel: Channel,
    out: NDArray[np.float64],
    positions: NDArray[np.intp],
    devices: Sequence[str],
    refusals: Refusals,
) -> NDArray[np.bool_]:
    """One channel's values into ``out``, one by one; gives which lines have it.

    Null is a bad reading: there, but NaN.
    """
    there = np.zeros(len(column), np.bool_)
    for at, value in enumerate(column):
        if value is None:
            out[at], there[at] = math.nan, True
        elif isinstance(value, bool):
            fits = channel.kind in ("flag", "state")
            out[at], there[at] = (float(value), True) if fits else (math.nan, False)
        elif isinstance(value, int | float):
            if value == value:  # NaN stands for "not there"
                out[at], there[at] = float(value) if abs(value) < _LARGEST else math.inf, True
            continue
        if not there[at]:
            reason = f"channel {channel.name!r} takes numbers, not {type(value).__name__}"
            refusals.add(int(positions[at]), devices[at], "reading.invalid", reason)
    return there
