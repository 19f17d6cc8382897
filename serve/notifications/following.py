"""Reads what happens to alerts out of the journals and gives it to the desk, each entry once, none left out.

A journal's entries name devices by row and rules by number. What those mean comes from history, as far as that has it, and
from the entries after that, so a follower that starts in the middle reads a little of what it has taken already, for names
alone. Where a journal was cut before it was read, history has what is missing: its table of events.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.notifications.desk import Desk
from serve.notifications.notices import AlertChange, Closed, Raised
from serve.notifications.routing import Alert
from training import parquet_files
from training.decoding import Names, decoded, learn
from training.recorder import Source, load_names
from training.tables import Table
from twins import entries
from twins.alerts import alert_id
from twins.devices import DeviceType
from twins.entries import EntryKind
from twins.errors import FleetError, JournalError, JournalGapError
from twins.events import REPLAYED, EventBatch, Kind
from twins.journal import StoredEntry

_ENTRIES_AT_ONCE: Final = 256
_CHANGES_AT_ONCE: Final = 2_000  # in one transaction, or a whole entry
_UNTAKEN: Final = 2_000  # entries without alerts after which the cursor is kept all the same
_TRIES: Final = 5

_RAISING: Final = frozenset({"alert.raised", "alert.reraised"})
_CLEARING: Final = frozenset({"alert.returned", "alert.latched"})
_CLOSING: Final = frozenset(
    {"alert.acknowledged", "alert.reset", "alert.shelved", "alert.suppressed", "alert.out_of_service"}
)
_TOLD: Final = _RAISING | _CLEARING | _CLOSING
_FIRST_ALERT: Final = int(Kind.ALERT_RAISED)

_log = logging.getLogger("twinfold.notifications")


class Follower:
    """Follows all journals for the desk.

    Parameters
    ----------
    desk : is given what happens
    history : the folder of history
    sources : gives the journals of all hosts, by name
    """

    def __init__(self, desk: Desk, history: Path, sources: Callable[[], Mapping[str, Source]]) -> None:
        self._desk = desk
        self._history = history
        self._find_sources = sources
        self._sources: Mapping[str, Source] = {}
        self._journals: dict[str, _Journal] = {}
        self._problems: dict[str, str] = {}
        self._since_us: int | None = None

    def look(self) -> None:
        """Find the hosts that there are."""
        self._sources = self._find_sources()

    @property
    def problems(self) -> dict[str, str]:
        """What keeps a journal from being read, by host."""
        return dict(self._problems)

    def step(self) -> int:
        """Read what is new in every journal; gives the number of entries. One that cannot be read holds up no other."""
        if self._since_us is None:
            self._since_us = self._desk.begin()
        read = 0
        for actor, source in self._sources.items():
            try:
                read += self._read(actor, source)
            except Exception as error:
                self._journals.pop(actor, None)
                self._complain(actor, error)
            else:
                if self._problems.pop(actor, None) is not None:
                    _log.info("%s: alerts are followed again", actor)
                    self._desk.trouble(actor, "")
        return read

    def _read(self, actor: str, source: Source) -> int:
        journal = self._journals.get(actor)
        if journal is None:
            assert self._since_us is not None
            journal = _Journal(self._desk, self._history, source, self._since_us)
            journal.begin()
            self._journals[actor] = journal
        return journal.read()

    def _complain(self, actor: str, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        if self._problems.get(actor) != problem:
            self._problems[actor] = problem
            _log.error(
                "%s: alerts are not followed: %s", actor, problem, exc_info=not isinstance(error, FleetError)
            )
            try:
                self._desk.trouble(actor, problem)
            except FleetError as other:  # the database may be what is in the way
                _log.warning("%s: that could not be kept: %s", actor, other)


class _Journal:
    """One host's journal, from where the desk has it."""

    def __init__(self, desk: Desk, history: Path, source: Source, since_us: int) -> None:
        self._desk = desk
        self._history = history
        self._source = source
        self._actor = source.actor
        self._since_us = since_us
        self._taken = self._cursor = desk.cursor(source.actor)  # kept with the desk; read
        self._names = Names()
        self._sites = _Sites()

    def begin(self) -> None:
        """Learn the names that hold at the cursor."""
        for _ in range(_TRIES):
            try:
                self._learn_names()
            except JournalGapError:  # history has moved on meanwhile, and has what was cut
                continue
            return
        raise JournalGapError(
            str(self._history), f"history is behind what {self._actor} has cut; does the recorder run?"
        )

    def read(self) -> int:
        """Take what is new; gives the number of entries."""
        try:
            page = self._source.read_after(self._cursor, _ENTRIES_AT_ONCE)
        except JournalGapError:
            return self._from_history()
        except JournalError as error:
            if type(error) is not JournalError:
                raise
            return self._from_its_end(error)
        changes: list[AlertChange] = []
        for entry in page:
            learn(entry, self._actor, self._names)
            self._sites.learn(entry)
            if entry.events:
                changes += self._changes(entry)
            self._cursor = entry.cursor
            if len(changes) >= _CHANGES_AT_ONCE:
                self._take(changes)
                changes = []
        if changes or self._cursor - self._taken >= _UNTAKEN or (page and self._taken == 0):
            self._take(changes)
        return len(page)

    def _recorded(self) -> int:
        """How far history has the journal. It is asked before other tables, which then have at least that much."""
        inputs = Table(self._history / "inputs")
        return inputs.cursor(self._actor) if inputs.exists else 0

    def _take(self, changes: Sequence[AlertChange]) -> None:
        self._desk.take(self._actor, self._taken, self._cursor, changes)
        self._taken = self._cursor

    def _learn_names(self) -> None:
        names, sites = Names(), _Sites()
        types, devices = Table(self._history / "types"), Table(self._history / "devices")
        at = self._recorded()
        if types.exists and devices.exists:
            load_names(types, devices, names, self._actor)
            sites.load(devices, self._actor)
        while at < self._cursor:
            page = self._source.read_after(at, min(_ENTRIES_AT_ONCE, self._cursor - at))
            for entry in page:
                learn(entry, self._actor, names)
                sites.learn(entry)
            if not page:
                break
            at = page[-1].cursor
        self._names, self._sites = names, sites

    def _changes(self, entry: StoredEntry) -> list[AlertChange]:
        """What an entry tells of alerts, in its order within each device type."""
        found: list[AlertChange] = []
        if entry.now_us < self._since_us:
            return found
        for name, batch in entries.decode_events(entry.events or b"").items():
            told = batch.where((batch.records["kind"] >= _FIRST_ALERT) & batch.news())
            device_type = self._names.type_at(self._actor, name, entry.cursor)
            if not len(told):
                continue
            if device_type is None:
                _log.warning(
                    "%s: the type of entry %d is lost; its alerts get no names", self._actor, entry.cursor
                )
                continue
            found += self._of_batch(told, device_type, entry)
        return found

    def _of_batch(self, batch: EventBatch, device_type: DeviceType, entry: StoredEntry) -> list[AlertChange]:
        rows = batch.records["row"].tolist()
        events = decoded(batch, self._actor, device_type, self._names, entry)
        return [
            change
            for row, event in zip(rows, events, strict=True)
            for change in _change(
                event.type, event.device_id, event.detail, event.at_us, event.recorded_us,
                device_type, self._sites.of(device_type.name, row),
            )
        ]  # fmt: skip

    def _from_its_end(self, error: JournalError) -> int:
        """Go on at the end of a journal that ends before what was taken of it: after a restored backup, or after its end was
        lost. What it tells from there on is new."""
        end = self._recorded()
        while page := self._source.read_after(end, _ENTRIES_AT_ONCE):
            end = page[-1].cursor
        if end >= self._cursor:
            raise error  # it was in between two moments
        _log.warning(
            "%s: its journal ends at %d, before %d; alerts are followed from there",
            self._actor,
            end,
            self._cursor,
        )
        self._cursor = end
        self._take([])
        self.begin()
        return 1

    def _from_history(self) -> int:
        """Take from history what the journal has no more, up to where history ends."""
        reached, table = self._recorded(), Table(self._history / "events")
        if reached <= self._cursor:
            problem = f"entries of {self._actor} after {self._cursor} are in its journal no more, and not in history"
            raise JournalGapError(str(self._history), problem)
        _log.warning("%s: entries %d to %d are read from history", self._actor, self._cursor + 1, reached)
        columns = [
            "type",
            "device_id",
            "device_type",
            "event_time",
            "recorded_at",
            "detail",
            "cursor",
            "number",
        ]
        wanted = (
            (pc.field("actor") == self._actor)
            & (pc.field("cursor") > self._cursor)
            & (pc.field("cursor") <= reached)
            & (pc.field("recorded_at") >= pa.scalar(self._since_us, pa.timestamp("us", "UTC")))
            & pc.field("type").isin(sorted(_TOLD))
        )
        parts = [
            parquet_files.read(file.path, columns, wanted)
            for file in table.version(()).files if file.greatest["cursor"] > self._cursor
        ]  # fmt: skip
        self._cursor, before = reached, self._cursor
        self.begin()
        found = (
            pa.concat_tables(parts).sort_by([("cursor", "ascending"), ("number", "ascending")])
            if parts
            else None
        )
        lines = _lines(found)
        sites = self._sites_of({line["device_id"] for line in lines})
        changes: list[AlertChange] = []
        for cursor, group in groupby(lines, key=lambda line: int(line["cursor"])):
            if len(changes) >= _CHANGES_AT_ONCE:
                self._desk.take(self._actor, self._taken, cursor - 1, changes)
                self._taken, changes = cursor - 1, []
            for line in group:
                changes += self._of_line(line, sites)
        self._take(changes)
        return reached - before

    def _of_line(self, line: Mapping[str, Any], sites: Mapping[str, str]) -> list[AlertChange]:
        detail = json.loads(line["detail"])
        device_type = self._names.type_at(self._actor, line["device_type"], line["cursor"])
        if device_type is None or detail.get(REPLAYED):
            return []
        site = sites.get(line["device_id"], "")
        times = line["event_time"], line["recorded_at"]
        return _change(line["type"], line["device_id"], detail, *times, device_type, site)

    def _sites_of(self, device_ids: Set[str]) -> dict[str, str]:
        """Where these devices are, as history has it."""
        devices = Table(self._history / "devices")
        wanted = (
            (pc.field("actor") == self._actor)
            & pc.field("device_id").isin(sorted(device_ids))
            & ~pc.field("retired")
        )
        sites: dict[str, str] = {}
        for file in (
            sorted(devices.version(()).files, key=lambda each: each.least["cursor"]) if device_ids else ()
        ):
            found = parquet_files.read(file.path, ["device_id", "site", "cursor"], wanted).sort_by("cursor")
            sites.update(zip(found["device_id"].to_pylist(), found["site"].to_pylist(), strict=True))
        return sites


class _Sites:
    """Where devices are: a code a row and type, so that a million of them take a few megabytes."""

    def __init__(self) -> None:
        self._names: list[str] = [""]
        self._codes: dict[str, int] = {"": 0}
        self._of: dict[str, NDArray[np.int32]] = {}

    def of(self, device_type: str, row: int) -> str:
        """The site of the device in a row; empty where none is known."""
        codes = self._of.get(device_type)
        return self._names[codes[row]] if codes is not None and 0 <= row < len(codes) else ""

    def load(self, devices: Table, actor: str) -> None:
        """Learn what history has."""
        version = devices.version(())
        columns = ["device_type", "row", "site", "retired", "cursor"]
        mine = (pc.field("actor") == actor) & ~pc.field("retired")
        for file in sorted(version.files, key=lambda each: each.least["cursor"]):
            found = parquet_files.read(file.path, columns, mine).sort_by("cursor")
            for name in found["device_type"].unique().to_pylist():
                lines = found.filter(pc.equal(found["device_type"], name))
                self._put(name, lines["row"].to_numpy(), lines["site"].to_pylist())

    def learn(self, entry: StoredEntry) -> None:
        """Learn what a command says."""
        if entry.kind != EntryKind.COMMAND or not entry.events:
            return
        command, body = entries.decode_command(entry.payload)
        if command not in ("RegisterDevices", "UpdateDevice"):
            return
        kind = Kind.DEVICE_REGISTERED if command == "RegisterDevices" else Kind.DEVICE_UPDATED
        said = body["devices"] if command == "RegisterDevices" else [body["device"]]
        for name, batch in entries.decode_events(entry.events).items():
            rows = batch.records["row"][batch.records["kind"] == int(kind)]
            if len(rows):
                self._put(name, rows, [each.get("site", "") for each in said])

    def _put(self, device_type: str, rows: NDArray[Any], sites: Sequence[str]) -> None:
        codes = self._of.get(device_type, np.zeros(0, np.int32))
        most = int(rows.max()) + 1
        if most > len(codes):
            codes = np.concatenate([codes, np.zeros(max(most, 2 * len(codes)) - len(codes), np.int32)])
            self._of[device_type] = codes
        for site in dict.fromkeys(sites):
            if site not in self._codes:
                self._codes[site] = len(self._names)
                self._names.append(site)
        codes[rows] = [self._codes[site] for site in sites]


def _change(
    kind: str,
    device_id: str,
    detail: Mapping[str, Any],
    at_us: int,
    recorded_us: int,
    device_type: DeviceType,
    site: str,
) -> list[AlertChange]:
    """What an event means for those who are told of alerts; most mean nothing."""
    rule, occurrence = detail.get("rule"), detail.get("occurrence")
    if rule is None or occurrence is None:
        return []
    name = alert_id(device_id, rule, occurrence)
    if kind in _CLOSING:
        return [Closed(name, recorded_us)]
    if kind in _CLEARING:  # with a reason, its rule or its device is gone: nobody can acknowledge it any more
        return [Closed(name, recorded_us, returned="reason" not in detail)]
    if kind not in _RAISING:
        return []
    facts = next((each for each in device_type.rules if each.name == rule), None)
    alert = Alert(
        name,
        device_id,
        device_type.name,
        site,
        rule,
        facts.priority if facts is not None else "low",
        (facts.title if facts is not None else "") or rule,
        at_us,
        detail.get("value"),
        detail.get("limit"),
        facts.consequence if facts is not None else "",
        facts.response if facts is not None else "",
    )
    return [Raised(alert, recorded_us)]


def _lines(table: pa.Table | None) -> list[dict[str, Any]]:
    """Rows with times in microseconds."""
    if table is None or not table.num_rows:
        return []
    for name in ("event_time", "recorded_at"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.int64()))
    lines: list[dict[str, Any]] = table.to_pylist()
    return lines
