"""The twins of one device type in one place: batch and time in, events out.

``Shard`` is plain Python and deterministic: no Ray, thread, file, clock or draw. The same lines, the same order per device
and the same ``now`` per line give the same state and the same events, however they are cut into batches and shards. Two
clocks run in it and never mix: signals, patterns, conditions and delays follow the device's *event time*; silence,
shelving and acknowledgement follow ``now``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import alerts, kernels, migrating, prognosis, signals, state, trends, typefiles
from twins import commands as c
from twins.alerts import AlertBook, AlertTarget
from twins.clock import SECOND_US
from twins.devices import Device, DeviceType, MaintenanceAction
from twins.directory import Roster, Seal
from twins.downlink_book import DownlinkBook, in_order
from twins.errors import CommandRefusedError, DeviceExistsError, ReadingError, StaleDirectoryError
from twins.events import EVENT, EVERY, REPLAYED, EventBatch, Kind, event_buffer
from twins.kernels import DECLARED, LineResults
from twins.packing import Arrays
from twins.prognosis import Prognoses
from twins.readings import ShardBatch
from twins.rules import scores_in_use
from twins.silence import DeclareSilent
from twins.state import HAS_CHILDREN, IMPORTING, NEVER_US, OUT_OF_SERVICE, RETIRED, STALE

SNAPSHOT_VERSION: Final = 7

_BUFFER: Final = 16_384
_NOT_YET: Final = "its past is being imported; wait until that has ended"
_PARENT_FLAGS: Final = state.PARENT_STALE | state.PARENT_ALERT | state.PARENT_OUT_OF_SERVICE


@dataclass(frozen=True, slots=True)
class ShardConfig:
    """What a shard takes for silent, and for a clock that runs ahead.

    A device is STALE when it has brought no news for ``stale_intervals`` of its nominal interval, and at least
    ``stale_at_least_s``. A reading further ahead of the platform's clock than ``max_ahead_s`` is refused.
    """

    max_ahead_s: float = 60.0
    stale_intervals: float = 10.0
    stale_at_least_s: float = 5.0

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> "ShardConfig":
        """The config that ``asdict`` was given; what this version does not know has no meaning any more."""
        return ShardConfig(
            **{item.name: said[item.name] for item in fields(ShardConfig) if item.name in said}
        )


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What a batch did: per-line results, in the order of the batch, and the events in the order they happened."""

    results: LineResults
    events: EventBatch


class Shard:
    """All twins of one device type in one actor.

    Parameters
    ----------
    device_type : the version of the type that is in force
    config : tolerances
    """

    def __init__(self, device_type: DeviceType, config: ShardConfig | None = None) -> None:
        self.config = config or ShardConfig()
        self.roster = Roster()
        self.book = AlertBook()
        self.downlinks = DownlinkBook()
        self.now_us = 0
        self._buffer = event_buffer(_BUFFER + kernels.MAX_EVENTS_PER_LINE)
        self.state = state.blank_state(64, device_type)
        self._put_in_force(device_type)

    def __len__(self) -> int:
        return len(self.roster)

    # -- what changes a shard -------------------------------------------------------------------------------------

    def apply(self, batch: ShardBatch, now_us: int) -> Applied:
        """Take readings in.

        Raises
        ------
        StaleDirectoryError : if the batch names rows that this shard does not have; nothing was taken.
        """
        now_us = self._move_to(now_us)
        rows, event_us = _read_only(batch.rows), _read_only(batch.event_us)
        values, present = _read_only(batch.values), _read_only(batch.present)
        self.check_shape(batch)
        if len(batch) and (int(batch.rows.max()) >= len(self) or int(batch.rows.min()) < 0):
            raise StaleDirectoryError(self.device_type.name, int(batch.rows.max()) + 1, len(self))
        out = kernels.line_results(len(batch))
        parts: list[Any] = []
        done = 0
        while True:
            done = kernels.apply_lines(
                self.state.core, self.state.signals, self.state.alerts, self._limits, self.signal_params,
                self.alert_params, rows, event_us, values, present, now_us, done, out,
                self._buffer,
            )  # fmt: skip
            parts.append(self._drain())
            if done >= len(batch):
                break
        trends.lean(
            self.state.trends, self._trend_params, rows, event_us, values, present, out.fate,
            out.bad | out.late | out.duplicate,
        )  # fmt: skip
        return Applied(out, self._marked(self._followed(np.concatenate(parts))))

    def check_shape(self, batch: ShardBatch) -> None:
        """Refuse values of another width or precision than the type's: compiled code does not look."""
        width, dtype = len(self.device_type.channels), self.device_type.dtype
        if batch.values.shape[1:] != (width,) or batch.values.dtype != dtype:
            raise ReadingError(
                f"type {self.device_type.name!r} has {width} channels of {dtype}, "
                f"got values of shape {batch.values.shape} and {batch.values.dtype}"
            )

    def check_seal(self, seal: Seal | None) -> None:
        """Refuse rows that were looked up in a directory of other rows than these: they would be other devices'."""
        if seal is not None and not self.roster.bears(seal):
            raise StaleDirectoryError(self.device_type.name, seal.rows, len(self))

    def reconfigure(self, config: ShardConfig) -> None:
        """Put other tolerances in force, from here on."""
        self.config = config
        self._put_in_force(self.device_type)

    def resume(self, now_us: int) -> None:
        """Count silence from here on, for devices that were not silent before: nobody could be heard until now."""
        now_us = self._move_to(now_us)
        self._hear(np.flatnonzero(self.state.core.status[: len(self)] & IMPORTING == 0), now_us)

    def _hear(self, rows: NDArray[np.integer[Any]], now_us: int) -> None:
        """Count the silence of these rows from now on, where they were not silent already."""
        core = self.state.core
        rows = rows[(core.heard_us[rows] != NEVER_US) & (core.status[rows] & STALE == 0)]
        core.heard_us[rows] = now_us

    def pad(self, rows: int, why: str) -> None:
        """Stand in for devices whose registration can no longer be read, so that the rows after them stay right."""
        missing = range(len(self), rows)
        if len(missing):
            lost = tuple(Device(f"?{why}/{row}", self.device_type.name, retired=True) for row in missing)
            command = c.RegisterDevices(
                command_id=f"pad-{rows}", by="system", device_type=self.device_type.name, devices=lost
            )
            self._register(command, self.now_us)

    def advance(self, now_us: int) -> EventBatch:
        """Let shard time pass: silence, shelves and requests to devices that run out.

        ``advance(a); advance(b)`` does what ``advance(b)`` does.
        """
        now_us = self._move_to(now_us)
        parts: list[Any] = []
        row = 0
        while True:
            row = kernels.advance_rows(
                self.state.core, self.state.signals, self.state.alerts, self._limits, self.alert_params,
                row, len(self), now_us, self._buffer,
            )  # fmt: skip
            parts.append(self._drain())
            if row >= len(self):
                break
        records = np.concatenate(parts)
        followed = self._followed(records[np.argsort(records["at_us"], kind="stable")])
        expired = self.downlinks.advance(now_us)
        return in_order([followed, expired]) if len(expired) else followed

    def command(self, command: c.Command, now_us: int) -> EventBatch:
        """Do what was asked, or refuse it and change nothing.

        Raises
        ------
        CommandRefusedError and its leaves : with the reason.
        """
        now_us = self._move_to(now_us)
        device_id = getattr(command, "device_id", None)
        if device_id is not None and (row := self.row_of(device_id)) >= 0:
            now_us = self._time_of(row, now_us)
        return self._marked(self._do(command, now_us))

    def _do(self, command: c.Command, now_us: int) -> EventBatch:
        match command:
            case c.RegisterDevices():
                return self._register(command, now_us)
            case c.InstallType():
                return self._install(typefiles.from_document(command.document), command, now_us)
            case c.UpdateDevice():
                return self._update(command, now_us)
            case c.RetireDevice():
                return self._retire(command, now_us)
            case c.EndImport():
                return self._end_import(command, now_us)
            case DeclareSilent():
                return self._declare_silent(command, now_us)
            case c.RecordMaintenance():
                return self._maintain(command, now_us)
            case c.CorrectMaintenance():
                return self._correct(command, now_us)
            case c.MarkParents():
                return self._mark_parents(command)
            case c.SetParentState():
                return self._set_parent_state(command, now_us)
            case c.AlertCommand():
                return self._alert_command(command, now_us)
            case c.DownlinkCommand():
                row = self._asked(command, now_us)
                return self.downlinks.do(row, command, self.device_type, now_us)
        raise TypeError(f"no shard knows the command {type(command).__name__}")

    def score(self, told: Prognoses, now_us: int) -> int:
        """Keep forecasts; rules see them at each device's next line. Returns of how many devices.

        Left out are devices that were put right, retired or sent into their past since their covariates were read.

        Raises
        ------
        StaleDirectoryError : rows that this shard does not have; nothing was kept.
        """
        self._move_to(now_us)
        if len(told) and not 0 <= int(told.rows.min()) <= int(told.rows.max()) < len(self):
            raise StaleDirectoryError(self.device_type.name, int(told.rows.max()) + 1, len(self))
        core = self.state.core
        gone = core.status[told.rows] & (RETIRED | IMPORTING) > 0
        told = told.where(~gone & (core.life_cycle[told.rows] == told.life_cycle))
        prognosis.put(self.state.prognoses, told)
        for name, column in prognosis.score_columns(told).items():
            known = ~np.isnan(column) if name == prognosis.LIKE_HEALTHY else told.said == prognosis.SAID
            alerts.put_scores(self.state.alerts, self._scores, told.rows[known], {name: column[known]})
        return len(told)

    def is_news(self, command: c.Report, now_us: int) -> bool:
        """Whether a report would change anything; raises what ``command`` would."""
        now_us = max(now_us, self.now_us)
        return self.downlinks.is_news(self._asked(command, now_us), command, self.device_type, now_us)

    # -- what can be read from it ---------------------------------------------------------------------------------

    def row_of(self, device_id: str) -> int:
        """The row of a device; -1 if it does not live here."""
        return self.roster.index.find_one(device_id)

    def device(self, row: int) -> Device:
        status = int(self.state.core.status[row])
        importing = status & (IMPORTING | RETIRED) == IMPORTING
        return self.roster.device(row, self.device_type.name, bool(status & RETIRED), importing)

    def parent_states(
        self, rows: NDArray[np.integer[Any]] | None = None, ids: Sequence[str] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Devices with children: their rows, each once, and the flags their children get.

        Among ``rows``, or those named; None of either: all. An alert counts while its condition holds or it is latched and
        nobody has put it aside. That the device's own parent suppresses it does not matter: what a device tells never
        depends on what it is told, so no news can run in a circle.
        """
        status = self.state.core.status[: len(self)]
        if ids is not None:
            rows = self.roster.index.find(pa.array(ids, pa.string()))
            rows = rows[rows >= 0]
        if rows is None:
            rows = np.arange(len(self))
        parents: NDArray[np.int32] = np.unique(rows[status[rows] & HAS_CHILDREN > 0]).astype(np.int32)
        flags = np.where(status[parents] & STALE, state.PARENT_STALE, 0)
        flags |= np.where(alerts.alerting(self.state.alerts, parents), state.PARENT_ALERT, 0)
        flags |= np.where(status[parents] & (RETIRED | OUT_OF_SERVICE), state.PARENT_OUT_OF_SERVICE, 0)
        flags[status[parents] & IMPORTING > 0] = 0  # of how it is now nothing is known
        return parents, flags.astype(np.uint8)

    def marked(self) -> list[str]:
        """The ids of devices that know that they have children."""
        rows = np.flatnonzero(self.state.core.status[: len(self)] & HAS_CHILDREN)
        return [self.roster.index[row] for row in rows.tolist()]

    # -- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Any], Arrays]:
        """Everything needed to go on from here; the arrays are views, to be packed or copied before the next change."""
        roster_meta, roster_arrays = self.roster.to_arrays()
        meta = {
            "version": SNAPSHOT_VERSION,
            "type": typefiles.to_document(self.device_type),
            "now_us": self.now_us,
            "roster": roster_meta,
            "book": self.book.to_meta(),
            "downlinks": self.downlinks.to_meta(),
        }
        arrays = state.to_arrays(self.state, len(self))
        arrays.update({f"roster.{name}": array for name, array in roster_arrays.items()})
        return meta, arrays

    @staticmethod
    def restore(
        meta: Mapping[str, Any],
        arrays: Arrays,
        config: ShardConfig | None = None,
        only: NDArray[np.int64] | None = None,
    ) -> "Shard":
        """The shard that ``snapshot`` described; with ``only``, a smaller one of these of its rows, in their order.

        Raises
        ------
        ValueError : if the snapshot is of a version that this one cannot read.
        """
        if not 1 <= meta["version"] <= SNAPSHOT_VERSION:
            raise ValueError(
                f"snapshot version {meta['version']}, this Twinfold reads 1 to {SNAPSHOT_VERSION}; "
                "start the version of Twinfold that wrote it"
            )
        device_type = typefiles.from_document(meta["type"])
        arrays = migrating.migrated(meta["version"], arrays, device_type)
        shard = Shard(device_type, config)
        prefix = "roster."
        said = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        shard.roster = Roster.from_arrays(meta["roster"], said, only)
        rows = len(shard.roster)
        if only is not None:
            arrays = state.chosen({k: v for k, v in arrays.items() if not k.startswith(prefix)}, only)
        shard.state = state.from_arrays(arrays, max(64, rows), rows, device_type)
        shard.book = AlertBook.from_meta(meta["book"], only)
        shard.downlinks = DownlinkBook.from_meta(meta.get("downlinks", ()), only)
        shard.now_us = meta["now_us"]
        return shard

    # -- inside ----------------------------------------------------------------------------------------------------

    def _put_in_force(self, device_type: DeviceType) -> None:
        self.device_type = device_type
        config = self.config
        self._limits = kernels.limits(
            device_type, config.max_ahead_s, config.stale_intervals, config.stale_at_least_s
        )
        self.signal_params = signals.signal_params(device_type)
        self._trend_params = trends.trend_params(self.signal_params)
        self.alert_params = alerts.compile_rules(device_type, config.stale_intervals, config.stale_at_least_s)
        self._scores = scores_in_use(device_type)

    def _move_to(self, now_us: int) -> int:
        if now_us < self.now_us:
            raise ValueError(f"shard time went back from {self.now_us} to {now_us}")
        self.now_us = now_us
        return now_us

    def _drain(self) -> NDArray[Any]:
        used = int(self._buffer.used[0])
        self._buffer.used[0] = 0
        records: NDArray[Any] = self._buffer.items[:used].copy()
        return records

    def _followed(self, records: NDArray[Any]) -> EventBatch:
        """The events of a pass; what people said of alerts that it closed is forgotten."""
        self.book.follow(records, self.state, self.device_type)
        return EventBatch(records)

    def _register(self, command: c.RegisterDevices, now_us: int) -> EventBatch:
        devices = command.devices
        known = self.roster.index.find(pa.array([device.id for device in devices], pa.string()))
        if (known >= 0).any():
            raise DeviceExistsError(devices[int(np.argmax(known >= 0))].id)
        first, rows = len(self), len(self) + len(devices)
        if rows > self.state.capacity:
            self.state = state.grown(self.state, max(rows, 2 * self.state.capacity), first, self.device_type)
        self.roster.add(devices)
        core, new = self.state.core, slice(first, rows)
        nominal_s = self.device_type.interval_s or 0.0
        interval_s = np.array([device.interval_s or nominal_s for device in devices])
        declared = interval_s != 0
        core.interval_us[new][declared] = np.rint(interval_s[declared] * SECOND_US)
        core.gaps[new][declared] = DECLARED
        core.status[new][[device.retired for device in devices]] |= RETIRED
        core.status[new][[device.importing and not device.retired for device in devices]] |= IMPORTING
        return self._told(Kind.DEVICE_REGISTERED, range(first, rows), now_us, {"by": command.by})

    def check_install(self, device_type: DeviceType) -> None:
        """Refuse a version whose channels are others, once there are devices: their columns would mean something else."""
        old, new = (
            [(channel.name, channel.dtype) for channel in each.channels]
            for each in (self.device_type, device_type)
        )
        if len(self) and old != new:
            raise CommandRefusedError(
                "install",
                device_type.name,
                "its channels differ from the version in force; use a new type name",
            )

    def _install(self, device_type: DeviceType, command: c.InstallType, now_us: int) -> EventBatch:
        self.check_install(device_type)
        old, closed = self.device_type, EventBatch.empty()
        if not len(self):
            self.state = state.blank_state(64, device_type)
        else:
            if old.rules != device_type.rules:
                closed = self._close_dropped(device_type, now_us)
                carried = alerts.carried_over(self.state.alerts, old, device_type, len(self))
                self.state = self.state._replace(alerts=carried)
                self.book = self.book.carried_over(old, device_type)
            if old.channels != device_type.channels or old.conditions != device_type.conditions:
                # what a device's baseline is made of has changed: it is learned anew
                capacity = self.state.capacity
                self.state = self.state._replace(
                    signals=signals.blank_signals(capacity, device_type),
                    trends=trends.blank_trends(capacity, device_type),
                )
        if old.failure_modes != device_type.failure_modes:
            self._forget_prognoses(np.arange(len(self)))
        self._put_in_force(device_type)
        told = self._told(Kind.TYPE_INSTALLED, [-1], now_us, {"by": command.by}, a=float(device_type.version))
        rows = self._in_service(np.arange(len(self), dtype=np.int32))
        withdrawn = self.downlinks.refit(device_type, command.by, now_us)
        return EventBatch.join([closed, told, withdrawn, self._follow_parents(rows, now_us)])

    def _close_dropped(self, new: DeviceType, now_us: int) -> EventBatch:
        """The end of alerts whose rules the new version does not have; they carry the rule's name, not its old place."""
        closed = alerts.closed_by(self.state.alerts, self.device_type, new, len(self), now_us)
        names = [self.device_type.rules[slot].name for slot in closed.records["slot"].tolist()]
        shared = dict(closed.notes.get(EVERY, {}))
        closed.records["slot"] = -1
        return EventBatch(closed.records, {i: {**shared, "rule": name} for i, name in enumerate(names)})

    def _update(self, command: c.UpdateDevice, now_us: int) -> EventBatch:
        row = self._row(command.device.id, "update")
        if self.state.core.status[row] & IMPORTING:
            raise CommandRefusedError("update", command.device.id, _NOT_YET)
        moved = self.roster.parent_of(row) != command.device.parent
        self.roster.update(row, command.device)
        core = self.state.core
        core.version[row] += 1
        if command.device.interval_s:
            core.interval_us[row], core.gaps[row] = round(command.device.interval_s * SECOND_US), DECLARED
        told = [self._told(Kind.DEVICE_UPDATED, [row], now_us, {"by": command.by})]
        if moved:  # the new parent's state is told by the fleet
            core.status[row] &= np.uint8(255 - _PARENT_FLAGS)
            rows = self._in_service(np.array([row], np.int32))
            told.append(self._follow_parents(rows, now_us))
        return EventBatch.join(told)

    def _retire(self, command: c.RetireDevice, now_us: int) -> EventBatch:
        row = self._row(command.device_id, "retire")
        if self.state.core.status[row] & RETIRED:
            raise CommandRefusedError("retire", command.device_id, "it is retired already")
        return self._take_out(row, command.by, now_us)

    def _take_out(self, row: int, by: str, now_us: int) -> EventBatch:
        self.state.core.status[row] |= RETIRED
        self.state.core.version[row] += 1
        device_id = self.roster.index[row]
        target = AlertTarget(self.state, self.alert_params, self.device_type, row, device_id, "")
        closed = self.book.retire(target, by, now_us)
        withdrawn = self.downlinks.retire(row, by, now_us)
        told = EventBatch.join(
            [closed, withdrawn, self._told(Kind.DEVICE_RETIRED, [row], now_us, {"by": by})]
        )
        told = self._marked(told)
        self.state.core.status[row] &= np.uint8(255 - IMPORTING)
        return told

    def _end_import(self, command: c.EndImport, now_us: int) -> EventBatch:
        """Retire devices at the end of their past, or let them live from now on.

        Silence counts from here. Alerts that hold still stand; those that are over ask nobody for an answer.
        """
        status = self.state.core.status
        rows = self.roster.index.find(pa.array(command.device_ids, pa.string()))
        rows = np.unique(rows[rows >= 0])
        rows = rows[status[rows] & IMPORTING > 0]
        if command.retired:
            taken = [self._take_out(row, command.by, self._time_of(row, now_us)) for row in rows.tolist()]
            return EventBatch.join(taken)
        heard = self.state.core.heard_us[rows]
        note = {"by": command.by, "reason": "it was over before the device began to live"}
        told = alerts.let_go(self.state.alerts, rows, np.where(heard == NEVER_US, now_us, heard), note)
        told = self._marked(told)
        self._hear(rows, now_us)
        status[rows] &= np.uint8(255 - IMPORTING)
        return told

    def _declare_silent(self, command: DeclareSilent, now_us: int) -> EventBatch:
        core = self.state.core
        rows = self.roster.index.find(pa.array(command.device_ids, pa.string()))
        rows = np.unique(rows[rows >= 0])
        heard = core.heard_us[rows] != NEVER_US
        rows = rows[heard & (core.status[rows] & (STALE | RETIRED | IMPORTING) == 0)]
        core.status[rows] |= STALE
        told = self._told(
            Kind.DEVICE_STALE, rows.tolist(), now_us, {"by": command.by, "reason": command.reason}
        )
        told.records["a"] = (now_us - core.heard_us[rows]) / 1e6
        return told

    def _maintain(self, command: c.RecordMaintenance, now_us: int) -> EventBatch:
        row = self._row(command.device_id, "record maintenance of")
        action = self._action(command)
        core = self.state.core
        if command.kind in ("repair", "replacement"):
            core.life_cycle[row] += 1
            self._forget_prognoses(np.array([row]))
            if command.kind == "replacement" or (action is not None and action.relearn):
                signals.relearn(self.state.signals, self.signal_params, row)
                trends.forget(self.state.trends, row)
            else:
                signals.reset_detectors(self.state.signals, self.signal_params, row)
                trends.settle(self.state.trends, row)
        core.version[row] += 1
        return self._told(
            Kind.MAINTENANCE_RECORDED, [row], now_us, _said_of(command), a=float(core.life_cycle[row])
        )

    def _forget_prognoses(self, rows: NDArray[np.integer[Any]]) -> None:
        prognosis.forget(self.state.prognoses, rows)
        alerts.forget_scores(self.state.alerts, rows)

    def _correct(self, command: c.CorrectMaintenance, now_us: int) -> EventBatch:
        row = self._row(command.device_id, "correct maintenance of")
        self._action(command)
        self.state.core.version[row] += 1
        said = {
            "record": command.record, **_said_of(command), "reason": command.reason, "command_id": command.command_id,
        }  # fmt: skip
        note = {name: value for name, value in said.items() if value != ""}
        if command.withdrawn:
            note["withdrawn"] = True
        return self._told(Kind.MAINTENANCE_CORRECTED, [row], now_us, note)

    def _action(self, command: c.RecordMaintenance | c.CorrectMaintenance) -> MaintenanceAction | None:
        if command.action is None:
            return None
        for action in self.device_type.actions:
            if action.name == command.action:
                return action
        known = ", ".join(action.name for action in self.device_type.actions) or "none"
        raise CommandRefusedError(
            "record maintenance of",
            command.device_id,
            f"its type has no action {command.action!r} (it has: {known})",
        )

    def _mark_parents(self, command: c.MarkParents) -> EventBatch:
        rows = self.roster.index.find(pa.array(command.device_ids, pa.string()))
        self.state.core.status[rows[rows >= 0]] |= HAS_CHILDREN
        return EventBatch.empty()

    def _set_parent_state(self, command: c.SetParentState, now_us: int) -> EventBatch:
        rows = self._in_service(self.roster.children_of(command.parent_id))
        status = self.state.core.status
        rows = rows[(status[rows] & _PARENT_FLAGS) != command.flags]
        if not len(rows):
            return EventBatch.empty()
        status[rows] = (status[rows] & ~np.uint8(_PARENT_FLAGS)) | np.uint8(command.flags)
        told = self._told(Kind.PARENT_STATE_CHANGED, rows.tolist(), now_us, {}, a=float(command.flags))
        return EventBatch.join([told, self._follow_parents(rows, now_us)])

    def _alert_command(self, command: c.AlertCommand, now_us: int) -> EventBatch:
        row = self._row(command.device_id, "find")
        if self.state.core.status[row] & RETIRED:
            raise CommandRefusedError("change an alert of", command.device_id, "it is retired and has none")
        if self.state.core.status[row] & IMPORTING:
            raise CommandRefusedError("change an alert of", command.device_id, _NOT_YET)
        target = AlertTarget(
            self.state,
            self.alert_params,
            self.device_type,
            row,
            command.device_id,
            command.rule,
            command.occurrence,
        )
        book, by, note = self.book, command.by, command.note
        match command:
            case c.AcknowledgeAlert():
                return book.acknowledge(target, by, note, now_us)
            case c.ResetAlert():
                return book.reset(target, by, note, now_us)
            case c.ShelveAlert():
                return book.shelve(target, command.duration_s, command.reason, by, note, now_us)
            case c.UnshelveAlert():
                return book.unshelve(target, by, note, now_us)
            case c.SuppressAlert():
                return book.suppress(target, command.reason, by, note, now_us)
            case c.UnsuppressAlert():
                return book.unsuppress(target, by, note, now_us)
            case c.RemoveFromService():
                return book.remove_from_service(target, command.reason, by, note, now_us)
            case c.ReturnToService():
                return book.return_to_service(target, by, note, now_us)
            case c.AssignAlert():
                return book.assign(target, command.assignee, by, note, now_us)
            case c.CommentAlert():
                return book.comment(target, by, note, now_us)
        raise TypeError(f"no shard knows the command {type(command).__name__}")

    def _asked(self, command: c.DownlinkCommand, now_us: int) -> int:
        """The row of a device that can be asked something, and can say something."""
        row = self._row(command.device_id, "reach")
        if self.state.core.status[row] & RETIRED:
            raise CommandRefusedError("reach", command.device_id, "it is retired")
        if self.state.core.status[row] & IMPORTING:
            raise CommandRefusedError("reach", command.device_id, _NOT_YET)
        if isinstance(command, c.ReportProperties) and command.at_us is not None:
            ahead_s = (command.at_us - now_us) / SECOND_US
            if ahead_s > self.config.max_ahead_s:
                reason = f"its time is {ahead_s:.0f} s ahead of the platform's"
                raise CommandRefusedError("take a report of", command.device_id, reason)
        return row

    def _follow_parents(self, rows: NDArray[np.int32], now_us: int) -> EventBatch:
        """Suppress, or bring back, what ``rows`` have been told of their parents; forget what was said of what ended."""
        told = alerts.follow_parents(self.state, self.alert_params, rows, now_us)
        self.book.follow(told.records, self.state, self.device_type)
        return told

    def _time_of(self, row: int, now_us: int) -> int:
        """When something happens to a device that happens to it now: in its own time, while its past is being told."""
        core = self.state.core
        if core.status[row] & IMPORTING and core.heard_us[row] != NEVER_US:
            return int(core.heard_us[row])
        return now_us

    def _marked(self, events: EventBatch) -> EventBatch:
        """The events, those of devices whose past is being told marked as such."""
        rows = events.records["row"]
        is_past = (rows >= 0) & (self.state.core.status[rows] & IMPORTING > 0)
        return events.with_note(is_past, {REPLAYED: True})

    def _in_service(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of ``rows`` that are not retired: to others nothing happens any more."""
        return np.asarray(rows[self.state.core.status[rows] & RETIRED == 0])

    def _row(self, device_id: str, what: str) -> int:
        row = self.row_of(device_id)
        if row < 0:
            raise CommandRefusedError(what, device_id, "it does not live in this shard; look it up again")
        return row

    def _told(
        self, kind: Kind, rows: Iterable[int], now_us: int, note: Mapping[str, Any], a: float = float("nan")
    ) -> EventBatch:
        """Events of one kind, one a row, all with the same note."""
        row = np.fromiter(rows, np.int32)
        records = np.zeros(len(row), EVENT)
        records["at_us"], records["row"], records["kind"], records["slot"] = now_us, row, int(kind), -1
        records["a"], records["b"] = a, np.nan
        return EventBatch(records, {EVERY: note} if note else {})


def _said_of(command: c.RecordMaintenance | c.CorrectMaintenance) -> dict[str, Any]:
    """What a record of maintenance says, without what is left open."""
    said = {
        "by": command.by, "kind": command.kind, "action": command.action, "failure_mode": command.failure_mode,
        "done_at_us": command.at_us, "note": command.note,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value not in (None, "")}


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written: what comes from a journal or another process is so anyway, and one form of argument
    means one compiled kernel."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
