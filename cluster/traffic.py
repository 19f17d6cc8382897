"""Simulated devices and recorded ones, sent through the same door as any gateway's readings.

``SimulatedTraffic`` moves a simulated fleet in step with the clock; ``RecordedTraffic`` plays a recorded set back as if it
happened now, faster than it did. Both first tell the fleet of a stretch of the past, so that twins have a baseline to be
judged by when a person first looks.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from training.mappings import FileMapping
from training.mappings import load as load_mapping
from training.sources import read
from twins.clock import SECOND_US, WallClock
from twins.devices import Device
from twins.errors import CommandRefusedError, DegradedError, DeviceExistsError, FleetError, OverloadedError
from twins.fleet import Fleet
from twins.fleetfiles import load_fleet
from twins.readings import ReadingBatch, all_present
from twins.simulation import Simulator, TruthWriter

RECORDED_SITE: Final = "la-haute-borne"

_SAVE_EVERY_S: Final = 30.0
_RETRY_EVERY_S: Final = 1.0
_LINES_AT_ONCE: Final = 100_000

_log = logging.getLogger("twinfold.traffic")


class Traffic(Protocol):
    """Something that sends readings in step with the clock."""

    def begin(self) -> None:
        """Register devices, tell of the past."""
        ...

    def step(self, now_us: int) -> int:
        """Send what is due; gives the number of lines."""
        ...

    def close(self) -> None:
        """Keep what is needed to go on later."""
        ...


def drive(
    traffic: Sequence[Traffic],
    stop: threading.Event,
    failed: Callable[[Exception], None],
    every_s: float = 0.25,
) -> None:
    """Send until ``stop`` is set, each on its own. What the platform cannot take now is sent again later.

    ``failed`` hears at once of an error that ended one of them; the others go on.
    """

    def run(each: Traffic) -> None:
        clock = WallClock()
        try:
            each.begin()
            while not stop.wait(every_s):
                each.step(clock.now_us())
            each.close()
        except Exception as error:
            failed(error)

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in traffic]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class SimulatedTraffic:
    """A simulated fleet, on the wall clock.

    Parameters
    ----------
    fleet : where readings go
    file : the fleet file
    folder : where the simulator keeps its own state and the ground truth
    stop : ends the waiting for a platform that takes nothing
    backfill_s : how much of the past is told at the first start, s
    """

    def __init__(
        self, fleet: Fleet, file: Path, folder: Path, stop: threading.Event, backfill_s: float = 2400.0
    ) -> None:
        self._fleet = fleet
        self._stop = stop
        self._folder = folder
        self._state = folder / "simulator.state"
        self._backfill_us = round(backfill_s * SECOND_US)
        self._spec = load_fleet(file, fleet.types)
        self._simulator: Simulator | None = None
        self._truth: TruthWriter | None = None
        self._saved_us = 0

    def begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        now_us = WallClock().now_us()
        self._simulator = Simulator(self._spec, self._fleet.types, start_us=now_us - self._backfill_us)
        if self._state.exists():
            try:
                self._simulator.restore(self._state.read_bytes())
                self._simulator.skip_to(now_us)  # what would have happened while nothing ran was not measured
            except ValueError as error:
                _log.warning("the simulated fleet begins anew: %s", error)
        _register(self._fleet, self._simulator.devices, self._stop)
        self._truth = TruthWriter(self._folder / f"truth-{now_us}.parquet")
        self.step(now_us)
        self._save(now_us)

    def step(self, now_us: int) -> int:
        assert self._simulator is not None
        assert self._truth is not None
        lines = 0
        outbox: list[ReadingBatch] = []
        for batch in self._simulator.advance(now_us):
            outbox.append(batch)
            lines += len(batch)
            if sum(map(len, outbox)) > _LINES_AT_ONCE:
                _send(self._fleet, outbox, self._stop)
                outbox = []
        _send(self._fleet, outbox, self._stop)
        for command in self._simulator.take_maintenance():
            try:
                _until_taken(
                    partial(self._fleet.command, command), (OverloadedError, DegradedError), self._stop
                )
            except CommandRefusedError as error:
                _log.warning("%s", error)
        self._truth.write(self._simulator.take_truth())
        if now_us - self._saved_us > _SAVE_EVERY_S * SECOND_US:
            self._save(now_us)
        return lines

    def close(self) -> None:
        if self._simulator is not None and self._truth is not None:
            self._save(WallClock().now_us())
            self._truth.close()

    def _save(self, now_us: int) -> None:
        assert self._simulator is not None
        part = self._state.with_suffix(".part")
        part.write_bytes(self._simulator.snapshot())
        part.rename(self._state)
        self._saved_us = now_us


class RecordedTraffic:
    """A recorded set, played back as live devices, over and over.

    The recorded time between two readings is divided by ``speed``; what is told is that the reading happened when it was
    played, so the twins' nominal interval is as much shorter.
    """

    def __init__(
        self,
        fleet: Fleet,
        mapping: Path,
        files: Sequence[Path],
        speed: float,
        stop: threading.Event,
        past_s: float = 1200.0,
    ) -> None:
        self._fleet = fleet
        self._stop = stop
        self._mapping: FileMapping = load_mapping(mapping)
        self._files = list(files)
        self._speed = speed
        self._past_us = round(past_s * SECOND_US)
        self._waiting: ReadingBatch | None = None
        self._batches: Iterator[ReadingBatch] = iter(())
        self._origin_us: int | None = None  # recorded time that is played at ``_start_us``
        self._start_us = 0
        self._registered: set[str] = set()

    def begin(self) -> None:
        now_us = WallClock().now_us()
        self._start_us = now_us - self._past_us
        self.step(now_us)

    def step(self, now_us: int) -> int:
        lines = 0
        while True:
            if self._waiting is None:
                self._waiting = next(self._batches, None)
                if self._waiting is None:
                    self._rewind(now_us if self._origin_us is not None else self._start_us)
                    continue
            due = int(np.searchsorted(self._waiting.event_us, now_us, side="right"))
            if due:
                part = _lines(self._waiting, slice(0, due))
                _send(self._fleet, [part], self._stop)
                lines += due
            if due < len(self._waiting):
                self._waiting = _lines(self._waiting, slice(due, None))
                return lines
            self._waiting = None

    def close(self) -> None:
        """Nothing to keep: playing begins anew."""

    def _rewind(self, start_us: int) -> None:
        self._start_us, self._origin_us = start_us, None
        self._batches = self._played()

    def _played(self) -> Iterator[ReadingBatch]:
        """The recorded readings in the order of time, at the time at which they are played."""
        recorded = [batch.readings for batch in read(self._mapping, self._files)]
        whole = _in_time(recorded)
        self._origin_us = int(whole.event_us[0])
        gap_us = (whole.event_us - self._origin_us) / self._speed
        event_us = self._start_us + gap_us.astype(np.int64)
        devices = [
            Device(
                device_id, self._mapping.device_type.name, site=RECORDED_SITE,
                labels={"source": self._mapping.name}, interval_s=self._interval_s(whole),
            )
            for device_id in whole.ids.to_pylist()
        ]  # fmt: skip
        _register(self._fleet, devices, self._stop)
        yield replace(whole, event_us=event_us)

    def _interval_s(self, whole: ReadingBatch) -> float:
        one = whole.event_us[whole.index == 0]
        return float(np.median(np.diff(one))) / self._speed / SECOND_US


def _register(fleet: Fleet, devices: Sequence[Device], stop: threading.Event) -> None:
    """Register those that the fleet does not know yet."""

    def register() -> None:
        hosts = fleet.locate(pa.array([device.id for device in devices], pa.string())).host
        fresh = [device for device, host in zip(devices, hosts.tolist(), strict=True) if host < 0]
        if fresh:
            fleet.register(fresh, by="simulator")

    _until_taken(
        register, (OverloadedError, DegradedError, DeviceExistsError), stop
    )  # others may register them too


def _send(fleet: Fleet, batches: Sequence[ReadingBatch], stop: threading.Event) -> None:
    """Send until all is durable: sending again is safe, waiting is what back-pressure asks for."""
    whole = [_one_after_the_other(group) for group in _of_equal_ids(batches)]
    _until_taken(lambda: fleet.write_many(whole), (FleetError,), stop)


def _until_taken(
    call: Callable[[], object], passing: tuple[type[FleetError], ...], stop: threading.Event
) -> None:
    """Call until it does not raise one of ``passing``, or ``stop`` is set."""
    waits = False
    while True:
        try:
            call()
        except passing as error:
            if not waits:
                _log.warning("sending waits: %s", error)
            waits = True
            if stop.wait(error.retry_after_s if isinstance(error, OverloadedError) else _RETRY_EVERY_S):
                _log.warning("going down with something unsent: %s", error)
                return
        else:
            if waits:
                _log.info("sending goes on")
            return


def _of_equal_ids(batches: Sequence[ReadingBatch]) -> Iterable[list[ReadingBatch]]:
    """The batches by sender, each sender's in their order."""
    groups: dict[int, list[ReadingBatch]] = {}
    for batch in batches:
        groups.setdefault(id(batch.ids), []).append(batch)
    return groups.values()


def _one_after_the_other(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    if len(batches) == 1:
        return batches[0]
    channels = batches[0].values.shape[1]
    present = [
        np.full(len(batch), all_present(channels)) if batch.present is None else batch.present
        for batch in batches
    ]
    return ReadingBatch(
        batches[0].device_type,
        batches[0].ids,
        np.concatenate([batch.index for batch in batches]),
        np.concatenate([batch.event_us for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        np.concatenate(present),
    )


def _in_time(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    """All lines as one batch, in the order of their times."""
    whole = _one_after_the_other(
        [replace(batch, ids=batches[-1].ids) for batch in batches]
    )  # ids only ever grow
    order = np.argsort(whole.event_us, kind="stable")
    return replace(
        whole,
        index=whole.index[order],
        event_us=whole.event_us[order],
        values=whole.values[order],
        present=None if whole.present is None else whole.present[order],
    )


def _lines(batch: ReadingBatch, cut: slice) -> ReadingBatch:
    return replace(
        batch,
        index=batch.index[cut],
        event_us=batch.event_us[cut],
        values=batch.values[cut],
        present=None if batch.present is None else batch.present[cut],
    )
