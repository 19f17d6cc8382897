"""The platform's own actors beside the shards: the recorder, and the devices that are simulated.

Each gives a plain class a process that Ray restarts; what it does stands elsewhere (``training/recorder.py``,
``cluster/traffic.py``).
"""

import logging
import threading
from pathlib import Path
from typing import Any, Final

import ray

from cluster.settings import HistorySettings, SimulatorSettings
from cluster.traffic import RecordedTraffic, SimulatedTraffic, Traffic, drive
from training.compaction import CompactionConfig
from training.condition import ConditionLog
from training.recorder import JournalSource, Recorder, RecorderConfig, Source
from training.upkeep import RetentionConfig, UpkeepConfig, upkeep
from twins.actors import NAMESPACE, Published, RayFleet, host_actors
from twins.clock import SECOND_US, WallClock
from twins.errors import FleetError
from twins.journal import StoredEntry

_DISCOVER_EVERY_S: Final = 5.0
_PAUSE_S: Final = 0.2
_OBSERVE_EVERY_S: Final = 60.0
_STOP_WITHIN_S: Final = 30.0

_log = logging.getLogger("twinfold.services")


class ActorSource:
    """A journal read through its actor, for hosts whose folder lies on another machine."""

    def __init__(self, actor: str, handle: Any) -> None:
        self.actor = actor
        self._handle = handle

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        page: list[StoredEntry] = ray.get(self._handle.follow.remote(cursor, limit, 0.0))
        return page


def journal_sources(hosts: Path) -> dict[str, Source]:
    """The journals of all hosts that are up, read from disk where that is here, else through the actor."""
    return {
        name: JournalSource(name, hosts / name / "journal")
        if (hosts / name / "journal").is_dir()
        else ActorSource(name, handle)
        for name, handle in host_actors().items()
    }


@ray.remote(max_restarts=-1, num_cpus=0)
class RecorderActor:
    """Follows every journal into history, keeps history in order, and tells the hosts what they may cut."""

    def __init__(self, data: str, settings: HistorySettings) -> None:
        self._data = Path(data)
        self._settings = settings
        self._stop = threading.Event()
        self._state: dict[str, Any] = {"state": "starting", "reason": ""}
        self._hosts: tuple[str, ...] = ()
        self._threads = [
            threading.Thread(target=self._record, name="recorder", daemon=True),
            threading.Thread(target=self._keep_order, name="upkeep", daemon=True),
            threading.Thread(target=self._observe, name="condition", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def status(self) -> dict[str, Any]:
        """``state``, ``reason``, ``cursors`` by host, ``pending`` rows."""
        return dict(self._state)

    def stop(self) -> None:
        """Commit what was read, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_WITHIN_S)

    def _record(self) -> None:
        clock = WallClock()
        config = RecorderConfig(self._settings.commit_every_s, self._settings.commit_rows)
        recorder = Recorder(self._data / "history", (), config, clock)
        looked_us = 0
        told: dict[str, int] = {}
        while not self._stop.is_set():
            now_us = clock.now_us()
            try:
                if now_us - looked_us > _DISCOVER_EVERY_S * SECOND_US:
                    looked_us = now_us
                    for name, source in journal_sources(self._data / "hosts").items():
                        if name not in told:
                            recorder.add_source(source)
                            told[name] = 0
                    self._hosts = tuple(sorted(told))
                read = recorder.step()
                for name, cursor in recorder.cursors.items():
                    if cursor > told.get(name, 0):
                        told[name] = cursor
                        ray.get_actor(name, NAMESPACE).archive.remote(cursor)
            except (FleetError, OSError, ValueError, ray.exceptions.RayError) as error:
                if self._state["state"] != "behind":
                    _log.error("history stands still: %s", error)
                self._state = {"state": "behind", "reason": str(error), "cursors": dict(told), "pending": 0}
                read = 0
            else:
                if self._state["state"] == "behind":
                    _log.info("history goes on")
                self._state = {
                    "state": "ready", "reason": "", "cursors": recorder.cursors, "pending": recorder.pending
                }  # fmt: skip
            if not read:
                self._stop.wait(_PAUSE_S)
        recorder.flush()
        recorder.close()

    def _observe(self) -> None:
        """Once a minute, keep how the twins are where that changed."""
        log = ConditionLog(self._data / "history")
        while not self._stop.wait(_OBSERVE_EVERY_S):
            try:
                for name, handle in host_actors().items():
                    shown: Published | None = ray.get(handle.published.remote())
                    if shown is None:
                        continue
                    for device_type, ref in shown.tables.items():
                        log.observe(name, shown.cursor, shown.at_us, device_type, ray.get(ref))
                log.commit()
            except (FleetError, OSError, ValueError, ray.exceptions.RayError) as error:
                _log.warning("the twins' condition was not kept this minute: %s", error)

    def _keep_order(self) -> None:
        """Rollups, compaction and retention, beside the recording."""
        retention = RetentionConfig(
            readings_days=self._settings.retention_days, readings_gb=self._settings.retention_gb
        )
        config = UpkeepConfig(CompactionConfig(), retention)
        while not self._stop.wait(self._settings.compact_every_s):
            try:
                upkeep(self._data / "history", self._hosts, WallClock().now_us(), config)
            except (FleetError, OSError, ValueError) as error:
                _log.warning("history was not put in order: %s", error)


@ray.remote(max_restarts=-1, num_cpus=0)
class TrafficActor:
    """Sends simulated and recorded devices' readings through a fleet of its own, like any gateway."""

    def __init__(self, data: str, settings: SimulatorSettings) -> None:
        self._stop = threading.Event()
        self._reason = ""
        self._thread = threading.Thread(
            target=self._run, args=(Path(data), settings), name="traffic", daemon=True
        )
        self._thread.start()

    def status(self) -> dict[str, Any]:
        return {"running": self._thread.is_alive(), "reason": self._reason}

    def stop(self) -> None:
        """Keep the simulator's state, and end."""
        self._stop.set()
        self._thread.join(_STOP_WITHIN_S)

    def _run(self, data: Path, settings: SimulatorSettings) -> None:
        try:
            drive(traffic_of(RayFleet(data / "hosts"), data, settings), self._stop)
        except FleetError as error:
            self._reason = str(error)
            _log.error("the simulated devices stand still: %s", error)


def traffic_of(fleet: RayFleet, data: Path, settings: SimulatorSettings) -> list[Traffic]:
    """What the settings ask to be sent."""
    traffic: list[Traffic] = []
    if settings.recorded:
        files = [Path(each) for each in settings.recorded_files.split(",")]
        traffic.append(RecordedTraffic(fleet, Path(settings.recorded), files, settings.recorded_speed))
    if settings.fleet:
        traffic.append(SimulatedTraffic(fleet, Path(settings.fleet), data / "simulator", settings.backfill_s))
    return traffic


class Service:
    """An actor of the platform, by name."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle

    @staticmethod
    def recorder(data: Path, settings: HistorySettings) -> "Service":
        return Service("recorder", _named(RecorderActor, "recorder").remote(str(data), settings))

    @staticmethod
    def traffic(data: Path, settings: SimulatorSettings) -> "Service":
        return Service("traffic", _named(TrafficActor, "traffic").remote(str(data), settings))

    def stop(self) -> None:
        """Let it end what it does, then end it."""
        try:
            ray.get(self.handle.stop.remote(), timeout=_STOP_WITHIN_S + 5)
        finally:
            ray.kill(self.handle)


def _named(actor: Any, name: str) -> Any:
    return actor.options(
        name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_concurrency=8
    )
