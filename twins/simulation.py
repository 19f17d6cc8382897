"""Simulated devices: they emit readings like any gateway; what is really wrong with them is kept beside.

A ``Simulator`` moves a fleet of devices forward in time: load, wear, failing sensors, a network that loses
and delays, repairs. Readings come out as ``ReadingBatch``es and repairs as commands, through the same door as
everyone's; nothing here reaches into a twin. The same fleet and seed give the same readings, bit for bit,
however time is cut into calls and lines into chunks.

Ground truth is a table of what happened: damage as it grows, failures, repairs, injected faults.
"""

import fnmatch
import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit
from numpy.typing import NDArray

from twins.clock import SECOND_US
from twins.commands import RecordMaintenance
from twins.devices import Device, DeviceType, MaintenanceAction
from twins.draws import CHOICE, DELIVERY, SENSOR, block, mix, name_key, name_keys, normal, uniform
from twins.fleetfiles import (
    DEFAULT_INTERVAL_S,
    SENSOR_FAILURES,
    DeviceGroup,
    FleetSpec,
    Injection,
    fleet_devices,
)
from twins.packing import pack, unpack
from twins.physics import (
    PhysicsParams,
    PhysicsState,
    Sites,
    StepSize,
    ambient,
    begin,
    blank_physics,
    damages,
    new_life,
    own_pace,
    physics_params,
    step,
    step_size,
    wear_of,
)
from twins.readings import ReadingBatch, all_present

CHUNK_LINES: Final = 20_000
"""Lines in one batch, at most."""

TRUTH: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("what", pa.string()),  # damage, failed, repaired, fault_started, fault_ended
        ("name", pa.string()),  # the failure mode, or how the sensor fails
        ("channel", pa.string()),  # of the failing sensor
        ("value", pa.float64()),  # damage 0 to 1; speed or size of an injected fault; null for a repair
    ]
)
"""The columns of the ground truth. ``failed`` gives the time and mode of a failure."""

_DAMAGE_RESOLUTION: Final = 0.01
_SPIKE_SHARE: Final = 0.01
_NEVER_US: Final = np.iinfo(np.int64).max

_STUCK, _DRIFT, _SHIFT, _DROPOUT, _SPIKE, _NOISE = range(len(SENSOR_FAILURES))

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


class SensorFaults(NamedTuple):
    """Sensors that fail, sorted by row."""

    row: NDArray[np.int64]  # (f,)
    channel: NDArray[np.int64]
    failure: NDArray[np.int64]  # index in SENSOR_FAILURES
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    size: NDArray[np.float64]
    held: NDArray[np.float64]  # what a stuck sensor shows; NaN until it is stuck


class _Cohort:
    """Devices of one type that report at one interval. Rows are by slot: those of a slot report together."""

    def __init__(self, device_type: DeviceType, devices: list[Device], interval_us: int, slots: int) -> None:
        order = sorted(range(len(devices)), key=lambda i: (i % slots, i))
        self.device_type = device_type
        self.interval_us = interval_us
        self.devices = [devices[i] for i in order]
        self.ids = pa.array([device.id for device in self.devices], pa.string())
        self.bounds = np.searchsorted([i % slots for i in order], np.arange(slots + 1)).tolist()
        self.index = np.arange(len(devices), dtype=np.int32)
        self.params: PhysicsParams = physics_params(device_type)
        self.state: PhysicsState = blank_physics(len(devices), device_type)
        self.faults = sensor_faults([])
        self.recorded = np.zeros((len(devices), len(device_type.failure_modes)))  # damage in the ground truth


class Simulator:
    """A simulated fleet, moving forward in time.

    Parameters
    ----------
    spec : the fleet
    types : the device types it names
    start_us : time of the first readings, µs UTC
    seed : takes the place of the fleet's own

    Raises
    ------
    ValueError : if two devices get the same id.
    """

    def __init__(
        self,
        spec: FleetSpec,
        types: Mapping[str, DeviceType],
        *,
        start_us: int,
        seed: int | None = None,
        chunk_lines: int = CHUNK_LINES,
    ) -> None:
        self.spec = spec
        self.start_us = start_us
        self.seed = spec.seed if seed is None else seed
        self.devices = tuple(fleet_devices(spec))
        self._chunk_lines = chunk_lines
        self._sites = _sites(spec, self.seed)
        self._ambient_c = np.zeros(len(spec.sites))
        self._ambient_us = -1
        self._cohorts = _cohorts(spec, types, self.devices)
        self._sizes: list[StepSize] = [
            step_size(cohort.params, cohort.interval_us / SECOND_US, spec.speedup) for cohort in self._cohorts
        ]
        self._place = {
            device.id: (k, row)
            for k, cohort in enumerate(self._cohorts)
            for row, device in enumerate(cohort.devices)
        }
        self._truth: list[tuple[Any, ...]] = []
        self._maintenance: list[RecordMaintenance] = []
        self._late: list[tuple[int, int, ReadingBatch]] = []  # a heap by due time
        self._late_sent = 0
        self._truth_us = start_us
        self._begin()
        self._due = [
            (start_us + slot * cohort.interval_us // (len(cohort.bounds) - 1), k, slot)
            for k, cohort in enumerate(self._cohorts)
            for slot in range(len(cohort.bounds) - 1)
        ]
        heapq.heapify(self._due)
        self._deeds = self._injections()  # what is to happen when: (time, order, what, cohort, row, details)
        heapq.heapify(self._deeds)

    def advance(self, until_us: int) -> Iterator[ReadingBatch]:
        """The readings with event times up to ``until_us`` not emitted before, in the order of sending.

        Lines that the network delays come later than newer ones. Each batch owns its arrays but ``ids`` and
        ``index``, which are the same from tick to tick.
        """
        while self._due and self._due[0][0] <= until_us:
            at_us, k, slot = self._due[0]
            while self._late and self._late[0][0] <= at_us:
                yield heapq.heappop(self._late)[2]
            self._do_deeds(at_us)
            if at_us >= self._truth_us:
                self._record_damage(at_us)
            cohort = self._cohorts[k]
            for start in range(cohort.bounds[slot], cohort.bounds[slot + 1], self._chunk_lines):
                stop = min(start + self._chunk_lines, cohort.bounds[slot + 1])
                batch = self._step(k, start, stop, at_us)
                if len(batch):
                    yield batch
            heapq.heapreplace(self._due, (at_us + cohort.interval_us, k, slot))
        while self._late and self._late[0][0] <= until_us:
            yield heapq.heappop(self._late)[2]

    def next_us(self) -> int:
        """When the next readings are due; the end of time for an empty fleet."""
        times = [queue[0][0] for queue in (self._due, self._late) if queue]
        return min(times, default=_NEVER_US)

    def take_maintenance(self) -> list[RecordMaintenance]:
        """The failures and repairs since the last call, as commands for the fleet, in order of time."""
        taken, self._maintenance = self._maintenance, []
        return taken

    def take_truth(self) -> pa.Table:
        """The ground truth since the last call, a table of schema ``TRUTH``."""
        taken, self._truth = self._truth, []
        columns = list(zip(*taken, strict=True)) or [()] * len(TRUTH)
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, TRUTH.types, strict=True)], TRUTH
        )

    def damage(self, device_id: str) -> dict[str, float]:
        """The true damage of a device by failure mode. KeyError for a device of another fleet."""
        k, row = self._place[device_id]
        cohort = self._cohorts[k]
        out = np.zeros((1, len(cohort.device_type.failure_modes)))
        damages(cohort.state, cohort.params, row, row + 1, out)
        return {mode.name: float(d) for mode, d in zip(cohort.device_type.failure_modes, out[0], strict=True)}

    def conditions(self, device_type: str) -> list[tuple[pa.StringArray, PhysicsState]]:
        """What devices of a type are really like at present: copies, each with the ids of its rows."""
        return [
            (cohort.ids, PhysicsState._make(array.copy() for array in cohort.state))
            for cohort in self._cohorts
            if cohort.device_type.name == device_type
        ]

    def maintain(self, device_id: str, action: str, at_us: int) -> None:
        """Let somebody do ``action`` to a device: damage goes as the action says, a stopped device runs.

        KeyError for a device or an action that does not exist.
        """
        k, row = self._place[device_id]
        cohort = self._cohorts[k]
        found = {item.name: item for item in cohort.device_type.actions}[action]
        self._repair(k, row, found, at_us)

    def snapshot(self) -> bytearray:
        """Everything that a new ``Simulator`` of the same fleet needs to go on, as one block of bytes.

        Lines that the network holds at the moment are not in it: they get lost, as in a gateway that
        restarts.
        """
        arrays: dict[str, NDArray[Any]] = {}
        for k, cohort in enumerate(self._cohorts):
            arrays.update((f"{k}.{name}", array) for name, array in _named(cohort.state))
            arrays.update((f"{k}.fault.{name}", array) for name, array in _named(cohort.faults))
            arrays[f"{k}.recorded"] = cohort.recorded
        meta = {
            "fleet": self.spec.name,
            "seed": self.seed,
            "start_us": self.start_us,
            "truth_us": self._truth_us,
            "due": sorted(self._due),
            "deeds": sorted(self._deeds),
        }
        return pack(meta, arrays)

    def restore(self, block: bytes | bytearray | memoryview) -> None:
        """Go on where ``snapshot`` was taken, with its start time and its seed's injections.

        Raises
        ------
        ValueError : if the snapshot is of another fleet or seed, or is damaged (``packing.PackingError``).
        """
        meta, arrays = unpack(block)
        fits = meta["seed"] == self.seed and all(
            f"{k}.device" in arrays and arrays[f"{k}.device"].tobytes() == cohort.state.device.tobytes()
            for k, cohort in enumerate(self._cohorts)
        )
        if not fits:
            raise ValueError(f"the snapshot is of another fleet or seed than {self.spec.name!r}; start anew")
        self.start_us = meta["start_us"]
        for k, cohort in enumerate(self._cohorts):
            for name, array in _named(cohort.state):
                array[...] = arrays[f"{k}.{name}"]
            faults = (arrays[f"{k}.fault.{name}"].copy() for name in SensorFaults._fields)
            cohort.faults = SensorFaults(*faults)
            cohort.recorded[...] = arrays[f"{k}.recorded"]
        self._truth_us = meta["truth_us"]
        self._due = [(at_us, k, slot) for at_us, k, slot in meta["due"]]
        self._deeds = [tuple(deed) for deed in meta["deeds"]]
        self._late = []

    def skip_to(self, now_us: int) -> None:
        """Leave out the readings before ``now_us``: nobody was there to send them, and nothing wore."""
        due: list[tuple[int, int, int]] = []
        for at_us, k, slot in self._due:
            interval_us = self._cohorts[k].interval_us
            missed = max(0, -((at_us - now_us) // interval_us))
            due.append((at_us + missed * interval_us, k, slot))
        heapq.heapify(due)
        self._due = due

    def _begin(self) -> None:
        """Give every device its own draws and the wear it starts with."""
        site_rows = {site.name: i for i, site in enumerate(self.spec.sites)}
        group_of: dict[str, DeviceGroup] = {}
        first = 0
        for group in self.spec.groups:
            last = first + group.count * len(group.sites)
            group_of.update((device.id, group) for device in self.devices[first:last])
            first = last
        for cohort in self._cohorts:
            s, n = cohort.state, len(cohort.devices)
            s.device[:] = name_keys(device.id for device in cohort.devices)
            s.site[:] = [site_rows[device.site] for device in cohort.devices]
            begin(s, cohort.params, 0, n, self.seed, 0)
            groups = [group_of[device.id] for device in cohort.devices]
            spans = [(*group.wear, group.worn_share, *group.worn) for group in groups]
            _wear_in(s, np.array(spans, np.float64).reshape(n, 5))

    def _injections(self) -> list[tuple[Any, ...]]:
        """The injected faults as things to do, and the sensors that will fail."""
        deeds: list[tuple[Any, ...]] = []
        sensors: list[list[tuple[Any, ...]]] = [[] for _ in self._cohorts]
        for number, injection in enumerate(self.spec.injections):
            for nth, (k, row) in enumerate(self._chosen(number, injection)):
                start_us = self.start_us + round((injection.start_s + nth * injection.every_s) * SECOND_US)
                lasts = injection.duration_s
                end_us = _NEVER_US if lasts is None else start_us + round(lasts * SECOND_US)
                cohort = self._cohorts[k]
                if injection.mode is not None:
                    names = [mode.name for mode in cohort.device_type.failure_modes]
                    details = (names.index(injection.mode), injection.damage, injection.speed)
                    deeds.append((start_us, len(deeds), "hurry", k, row, *details))
                    if end_us < _NEVER_US:
                        deeds.append((end_us, len(deeds), "ease", k, row, details[0], 0.0, injection.speed))
                elif injection.channel is not None and injection.sensor is not None:
                    channel = cohort.device_type.channel_index(injection.channel)
                    failure = SENSOR_FAILURES.index(injection.sensor)
                    sensors[k].append((row, channel, failure, start_us, end_us, injection.size))
                    details = (channel, failure, injection.size)
                    deeds.append((start_us, len(deeds), "sensor_fails", k, row, *details))
                    if end_us < _NEVER_US:
                        deeds.append((end_us, len(deeds), "sensor_recovers", k, row, *details))
        for cohort, faults in zip(self._cohorts, sensors, strict=True):
            cohort.faults = sensor_faults(faults)
        return deeds

    def _chosen(self, number: int, injection: Injection) -> list[tuple[int, int]]:
        """Cohort and row of the devices that an injection hits, in an order drawn from seed and injection."""
        found: list[tuple[int, int, int]] = []
        salt = name_key(f"injection {number} of seed {self.seed}")
        for k, cohort in enumerate(self._cohorts):
            device_type = cohort.device_type
            if injection.mode is not None:
                fits = any(mode.name == injection.mode for mode in device_type.failure_modes)
            else:
                fits = injection.channel in device_type.channel_names
            if not fits:
                continue
            for row, device in enumerate(cohort.devices):
                if fnmatch.fnmatchcase(device.id, injection.devices):
                    luck = int(mix(np.uint64(salt ^ int(cohort.state.device[row]))))
                    found.append((luck, k, row))
        return [(k, row) for _, k, row in sorted(found)[: injection.count]]

    def _step(self, k: int, start: int, stop: int, at_us: int) -> ReadingBatch:
        """The readings of rows ``start`` to ``stop`` of one cohort, as far as they arrive in time."""
        cohort = self._cohorts[k]
        s, p, device_type = cohort.state, cohort.params, cohort.device_type
        if at_us != self._ambient_us:
            ambient(self._sites, at_us, self._ambient_c)
            self._ambient_us = at_us
        values = np.empty((stop - start, len(device_type.channels)), device_type.dtype)
        step(s, p, self._sizes[k], self._ambient_c, start, stop, at_us, values)
        failed = _newly_failed(s, start, stop)
        for row in failed.tolist():
            self._fail(k, row, at_us)
        present: NDArray[np.uint64] | None = None
        low, high = np.searchsorted(cohort.faults.row, (start, stop)).tolist()
        delivery = self.spec.delivery
        if high > low or delivery.missing_channel > 0.0:
            present = np.full(stop - start, all_present(len(device_type.channels)), np.uint64)
        if high > low:
            assert present is not None
            fail_sensors(cohort.faults, low, high, s.life_key, start, at_us, values, present)
        index = cohort.index[start:stop]
        event_us = np.full(stop - start, at_us, np.int64)
        batch = ReadingBatch(device_type.name, cohort.ids, index, event_us, values, present)
        lossy = delivery.missing + delivery.late + delivery.duplicate + delivery.missing_channel > 0.0
        return self._send(batch, s.life_key[start:stop], at_us) if lossy else batch

    def _send(self, batch: ReadingBatch, keys: NDArray[np.uint64], at_us: int) -> ReadingBatch:
        """What of a batch arrives now; late lines and second copies are put aside."""
        delivery = self.spec.delivery
        now = np.ones(len(batch), np.bool_)
        later = np.zeros(len(batch), np.bool_)
        shares = np.array([delivery.missing, delivery.late, delivery.duplicate, delivery.missing_channel])
        present = batch.present if batch.present is not None else np.zeros(0, np.uint64)
        _deliver(keys, at_us, shares, batch.values, now, later, present)
        if later.any():
            due_us = at_us + round(delivery.late_s * SECOND_US)
            heapq.heappush(self._late, (due_us, self._late_sent, _lines(batch, later)))
            self._late_sent += 1
        return batch if now.all() else _lines(batch, now)

    def _do_deeds(self, at_us: int) -> None:
        """Whatever is to happen up to ``at_us``."""
        while self._deeds and self._deeds[0][0] <= at_us:
            when_us, _, what, k, row, *details = heapq.heappop(self._deeds)
            cohort = self._cohorts[k]
            device = cohort.devices[row]
            if what in ("hurry", "ease"):
                mode, damage, speed = details
                own = own_pace(cohort.state, cohort.params, row, mode)
                cohort.state.pace[row, mode] = own * speed if what == "hurry" else own
                least = wear_of(cohort.params, mode, damage)
                cohort.state.wear[row, mode] = max(least, cohort.state.wear[row, mode])
                name = cohort.device_type.failure_modes[mode].name
                started = "fault_started" if what == "hurry" else "fault_ended"
                self._note(device, when_us, started, name, "", speed)
            elif what == "repair":
                (action,) = details
                self._repair(k, row, cohort.device_type.actions[action], when_us)
            else:
                channel, failure, size = details
                started = "fault_started" if what == "sensor_fails" else "fault_ended"
                name = cohort.device_type.channels[channel].name
                self._note(device, when_us, started, SENSOR_FAILURES[failure], name, size)

    def _fail(self, k: int, row: int, at_us: int) -> None:
        """A device breaks down: it stops, says so, and is repaired after a while."""
        cohort = self._cohorts[k]
        device, state = cohort.devices[row], cohort.state
        mode = int(np.argmax(state.wear[row]))
        name = cohort.device_type.failure_modes[mode].name
        state.running[row] = False
        self._note(device, at_us, "failed", name, "", 1.0)
        self._tell(device, int(state.life_cycle[row]), at_us, "failure", None, name)
        action = _remedy(cohort.device_type, name)
        if self.spec.repair_after_s is not None and action is not None:
            due_us = at_us + round(self.spec.repair_after_s * SECOND_US)
            heapq.heappush(self._deeds, (due_us, len(self.spec.injections) + row, "repair", k, row, action))

    def _repair(self, k: int, row: int, action: MaintenanceAction, at_us: int) -> None:
        """What an action does to a device; whatever it resets begins a new life-cycle."""
        cohort = self._cohorts[k]
        device, state, params = cohort.devices[row], cohort.state, cohort.params
        modes = cohort.device_type.failure_modes
        if action.kind != "inspection":
            before = np.zeros((1, len(modes)))
            damages(state, params, row, row + 1, before)
            pace = state.pace[row].copy()
            new_life(state, params, row, self.seed, 0, int(state.life_cycle[row]) + 1)
            for m, mode in enumerate(modes):
                share = action.resets.get(mode.name, action.resets.get("*", 0.0))
                left = before[0, m] * (1.0 - share)
                state.wear[row, m] = wear_of(params, m, left)
                if share < 1.0:
                    state.pace[row, m] = pace[m]
            state.running[row] = bool((state.wear[row] < 1.0).all())
            cohort.recorded[row] = 0.0
        self._note(device, at_us, "repaired", action.name, "", None)
        self._tell(device, int(state.life_cycle[row]), at_us, action.kind, action.name, None)

    def _tell(
        self, device: Device, life_cycle: int, at_us: int, kind: Any, action: str | None, mode: str | None
    ) -> None:
        self._maintenance.append(
            RecordMaintenance(
                command_id=f"simulator-{kind}-{device.id}-{life_cycle}-{at_us}",
                by="simulator",
                device_id=device.id,
                kind=kind,
                action=action,
                failure_mode=mode,
                at_us=at_us,
            )
        )

    def _note(
        self, device: Device, at_us: int, what: str, name: str, channel: str, value: float | None
    ) -> None:
        self._truth.append((device.id, device.device_type, at_us, what, name, channel, value))

    def _record_damage(self, at_us: int) -> None:
        """Note the damage that moved since it was last noted."""
        for cohort in self._cohorts:
            now = np.zeros_like(cohort.recorded)
            damages(cohort.state, cohort.params, 0, len(now), now)
            moved = np.abs(now - cohort.recorded) >= _DAMAGE_RESOLUTION
            for row, mode in np.argwhere(moved).tolist():
                name = cohort.device_type.failure_modes[mode].name
                self._note(cohort.devices[row], at_us, "damage", name, "", float(now[row, mode]))
            cohort.recorded[moved] = now[moved]
        self._truth_us = at_us + round(self.spec.truth_every_s * SECOND_US)


class TruthWriter:
    """Ground truth on its way into one Parquet file, which appears whole when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._writer = pq.ParquetWriter(self._partial, TRUTH, compression="zstd")

    def write(self, truth: pa.Table) -> None:
        if len(truth):
            self._writer.write_table(truth)

    def close(self) -> None:
        self._writer.close()
        self._partial.replace(self._path)


@njit(cache=True)
def _wear_in(s: PhysicsState, spans: NDArray[np.float64]) -> None:
    """Wear at the start; ``spans`` (n, 5): low, high of all modes; share of worn devices, their low, high."""
    modes = s.wear.shape[1]
    for r in range(len(spans)):
        if modes == 0:
            continue
        for m in range(modes):
            word = block(s.device_key[r], CHOICE, m, 0)[0]
            s.wear[r, m] = spans[r, 0] + (spans[r, 1] - spans[r, 0]) * uniform(word)
        w0, w1, w2, _ = block(s.device_key[r], CHOICE, 0, 1)
        if uniform(w0) < spans[r, 2]:
            m = int(uniform(w1) * modes)
            s.wear[r, m] = spans[r, 3] + (spans[r, 4] - spans[r, 3]) * uniform(w2)


@njit(cache=True)
def _newly_failed(s: PhysicsState, start: int, stop: int) -> NDArray[np.int64]:
    """Rows that run although a failure mode has come to its end."""
    failed = np.empty(stop - start, np.int64)
    count = 0
    for r in range(start, stop):
        if s.running[r]:
            for m in range(s.wear.shape[1]):
                if s.wear[r, m] >= 1.0:
                    failed[count] = r
                    count += 1
                    break
    return failed[:count]


@njit(cache=True)
def fail_sensors(
    f: SensorFaults,
    low: int,
    high: int,
    keys: NDArray[np.uint64],
    first_row: int,
    t_us: int,
    values: NDArray[Any],
    present: NDArray[np.uint64],
) -> None:
    """Let faults ``low`` to ``high`` loose on lines whose first is row ``first_row``."""
    for i in range(low, high):
        if t_us < f.start_us[i] or t_us >= f.end_us[i]:
            continue
        line, c, failure = f.row[i] - first_row, f.channel[i], f.failure[i]
        w0, w1, _, _ = block(keys[f.row[i]], SENSOR, t_us, c)
        if failure == _STUCK:
            if np.isnan(f.held[i]):
                f.held[i] = values[line, c]
            values[line, c] = f.held[i]
        elif failure == _DRIFT:
            values[line, c] += f.size[i] * ((t_us - f.start_us[i]) / 3.6e9)
        elif failure == _SHIFT:
            values[line, c] += f.size[i]
        elif failure == _DROPOUT:
            present[line] &= ~(_ONE << np.uint64(c))
            values[line, c] = np.nan
        elif failure == _SPIKE:
            if uniform(w0) < _SPIKE_SHARE:
                values[line, c] += f.size[i] if w1 & _ONE else -f.size[i]
        else:
            values[line, c] += f.size[i] * normal(w0)


@njit(cache=True)
def _deliver(
    keys: NDArray[np.uint64],
    t_us: int,
    shares: NDArray[np.float64],
    values: NDArray[Any],
    now: NDArray[np.bool_],
    later: NDArray[np.bool_],
    present: NDArray[np.uint64],
) -> None:
    """Which lines arrive ``now`` and which ``later``; ``shares``: missing, late, twice, without one channel.

    ``present`` is empty where every line has every channel, and stays so.
    """
    for i in range(len(keys)):
        w0, w1, w2, _ = block(keys[i], DELIVERY, t_us, 0)
        luck = uniform(w0)
        if luck < shares[0]:
            now[i] = False
        elif luck < shares[0] + shares[1]:
            now[i], later[i] = False, True
        elif luck < shares[0] + shares[1] + shares[2]:
            later[i] = True
        if len(present) and uniform(w1) < shares[3]:
            c = int(uniform(w2) * values.shape[1])
            present[i] &= ~(_ONE << np.uint64(c))
            values[i, c] = np.nan
        if len(present) and present[i] == _NONE:
            now[i], later[i] = False, False


def _named(arrays: PhysicsState | SensorFaults) -> list[tuple[str, NDArray[Any]]]:
    return [(name, getattr(arrays, name)) for name in arrays._fields]


def _lines(batch: ReadingBatch, keep: NDArray[np.bool_]) -> ReadingBatch:
    """The lines of a batch that a mask keeps."""
    present = None if batch.present is None else batch.present[keep]
    return ReadingBatch(
        batch.device_type, batch.ids, batch.index[keep], batch.event_us[keep], batch.values[keep], present
    )


def _sites(spec: FleetSpec, seed: int) -> Sites:
    climates = [site.climate for site in spec.sites]
    return Sites(
        mean_c=np.array([climate.mean_c for climate in climates]),
        yearly_c=np.array([climate.yearly_c for climate in climates]),
        daily_c=np.array([climate.daily_c for climate in climates]),
        weather_c=np.array([climate.weather_c for climate in climates]),
        key=name_keys(f"site {site.name} of seed {seed}" for site in spec.sites),
    )


def _cohorts(spec: FleetSpec, types: Mapping[str, DeviceType], devices: tuple[Device, ...]) -> list[_Cohort]:
    """Devices by type and interval. A cohort's slots spread its devices over the ticks of the interval."""
    by_kind: dict[tuple[str, int], list[Device]] = {}
    for device in devices:
        interval_s = device.interval_s or types[device.device_type].interval_s or DEFAULT_INTERVAL_S
        by_kind.setdefault((device.device_type, round(interval_s * SECOND_US)), []).append(device)
    tick_us = round(spec.tick_s * SECOND_US)
    return [
        _Cohort(types[name], members, interval_us, max(1, min(interval_us // tick_us, len(members))))
        for (name, interval_us), members in by_kind.items()
    ]


def sensor_faults(faults: list[tuple[Any, ...]]) -> SensorFaults:
    """Faults as arrays: row, channel, index in ``SENSOR_FAILURES``, start and end in µs, size of each."""
    faults = sorted(faults)
    columns = list(zip(*faults, strict=True)) or [()] * 6
    row, channel, failure, start_us, end_us = (np.array(column, np.int64) for column in columns[:5])
    size = np.array(columns[5], np.float64)
    return SensorFaults(row, channel, failure, start_us, end_us, size, np.full(len(faults), np.nan))


def _remedy(device_type: DeviceType, mode: str) -> int | None:
    """Index of the cheapest action that makes a failure mode good; None where none does."""
    cures = [
        (action.cost, i)
        for i, action in enumerate(device_type.actions)
        if action.resets.get(mode, action.resets.get("*", 0.0)) >= 0.9
    ]
    return min(cures)[1] if cures else None
