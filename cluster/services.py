"""The platform's own actors beside the shards: recorder, notifier, jobs, MQTT bridge, and the devices that are simulated.

Each gives a plain class a process that Ray restarts; what it does stands elsewhere (``training/recorder.py``,
``cluster/traffic.py``).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import ray

from cluster.settings import HistorySettings, SimulatorSettings
from cluster.traffic import RecordedTraffic, SimulatedTraffic, Traffic, drive
from serve import audit
from serve.database import Database, DatabaseConfig
from serve.deployments import JOBS
from serve.door import Door, Party
from serve.mqtt import Bridge, MqttConfig
from serve.mqtt_asked import AskedBridge, asked_config
from serve.notifications.book import Book
from serve.notifications.desk import Desk
from serve.notifications.following import Follower
from serve.notifications.notifier import Notifier
from serve.notifications.receivers import Receivers, ReceiversConfig
from serve.sparkplug.application import HostApplication, SparkplugConfig
from serve.templates import Templates
from training import import_jobs
from training.compaction import CompactionConfig
from training.condition import ConditionLog
from training.jobs import FOLDER as JOBS_FOLDER
from training.jobs import Job, Jobs
from training.keeping import KeptSnapshots
from training.recorder import JournalSource, Recorder, RecorderConfig, Source
from training.upkeep import RetentionConfig, UpkeepConfig, upkeep
from twins.actors import NAMESPACE, ActorSource, Published, host_actors
from twins.clock import DAY_US, SECOND_US, SteadyClock, WallClock, stopwatch_s
from twins.errors import FleetError
from twins.fleet import Fleet
from twins.host import note_seen
from twins.journal import JournalConfig
from twins.packing import PackingError
from twins.placement import Placement
from twins.ray_fleet import RayFleet

_DISCOVER_EVERY_S: Final = 5.0
_PAUSE_S: Final = 0.2
_OBSERVE_EVERY_S: Final = 60.0
_STOP_WITHIN_S: Final = 30.0
_ANSWER_WITHIN_S: Final = 60.0
_NOTED_WITHIN_S: Final = 5.0

_log = logging.getLogger("twinfold.services")

Step = Callable[[], int]  # a piece of a thread's work; more than zero: there may be more at once


def journal_sources(folder: Path, hosts: Iterable[str]) -> dict[str, Source]:
    """The journals of all hosts that are up, read from disk where that is here, else through the actor."""
    return {
        name: JournalSource(name, folder / name / "journal")
        if (folder / name / "journal").is_dir()
        else ActorSource(name)
        for name in hosts
    }


class Recording:
    """Follows every journal into history, keeps history in order, and tells the hosts what they may cut.

    Each of the three has a thread. Whatever fails in one is told by ``status``, logged once, and tried again.

    Parameters
    ----------
    data : the data folder
    hosts : gives the handles of the hosts that are up, by name
    """

    def __init__(
        self, data: str, settings: HistorySettings, hosts: Callable[[], Mapping[str, Any]] = host_actors
    ) -> None:
        self._data = Path(data)
        self._settings = settings
        self._find_hosts = hosts
        self._stop = threading.Event()
        self._recorder: Recorder | None = None
        self._hosts: Mapping[str, Any] = {}
        self._look_us = 0  # when the next look for new hosts is due, steady time
        self._told: dict[str, int] = {}
        self._began: set[str] = set()
        self._problems: dict[str, str] = {}
        works: list[tuple[str, float, Callable[[], Step]]] = [
            ("recorder", _PAUSE_S, self._recording),
            ("upkeep", settings.compact_every_s, self._upkeep),
            ("condition", _OBSERVE_EVERY_S, self._observing),
        ]
        self._threads = [
            threading.Thread(target=self._keep_on, args=work, name=work[0], daemon=True) for work in works
        ]
        for thread in self._threads:
            thread.start()

    def status(self) -> dict[str, Any]:
        """``state`` ("starting", "ready" or "behind") and ``reason`` of the recording, ``cursors`` by host,
        ``pending`` rows; ``alive`` and, where something fails, ``problems`` by thread.
        """
        recorder, problems = self._recorder, dict(self._problems)
        recording = "ready" if "recorder" in self._began else "starting"
        return {
            "state": "behind" if "recorder" in problems else recording,
            "reason": problems.get("recorder", ""),
            "cursors": {} if recorder is None else recorder.cursors,
            "pending": 0 if recorder is None else recorder.pending,
            "alive": {thread.name: thread.is_alive() for thread in self._threads},
            "problems": problems,
        }

    def stop(self) -> None:
        """Commit what was read, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_WITHIN_S)
        recorder, self._recorder = self._recorder, None
        if recorder is not None and not self._threads[0].is_alive():
            try:
                recorder.flush()
            finally:
                recorder.close()

    def _keep_on(self, name: str, every_s: float, begin: Callable[[], Step]) -> None:
        """Take a step ``every_s``, at once where there is more to do, whatever happens."""
        step: Step | None = None
        wait_s = every_s
        while not self._stop.wait(wait_s):
            wait_s = every_s
            try:
                if step is None:
                    step = begin()
                if step():
                    wait_s = 0.0
            except Exception as error:
                problem = str(error) or type(error).__name__
                if name not in self._problems:
                    _log.error(
                        "%s stands still: %s", name, problem, exc_info=not isinstance(error, FleetError)
                    )
                self._problems[name] = problem
            else:
                self._began.add(name)
                if self._problems.pop(name, None) is not None:
                    _log.info("%s goes on", name)

    def _recording(self) -> Step:
        clock = SteadyClock()
        config = RecorderConfig(self._settings.commit_every_s, self._settings.commit_rows)
        recorder = self._recorder = Recorder(self._data / "history", (), config, clock, self._announce)

        def step() -> int:
            now_us = clock.now_us()
            if now_us >= self._look_us:
                self._look_us = now_us + round(_DISCOVER_EVERY_S * SECOND_US)
                self._look(recorder)
            self._tell(recorder)
            return recorder.step()

        return step

    def _look(self, recorder: Recorder) -> None:
        """Follow hosts that are new. All are told anew what they may cut: one that restarted may not know."""
        self._hosts = self._find_hosts()
        self._told = {}
        for name, source in journal_sources(self._data / "hosts", self._hosts).items():
            if not recorder.follows(name):
                recorder.add_source(source)

    def _announce(self, cursors: Mapping[str, int]) -> None:
        """Note where the hosts will look for it how far history is about to be. Where that fails, history is written all the
        same: it would matter only if the very same journal lost its end before the next time."""
        for name, cursor in cursors.items():
            folder = self._data / "hosts" / name
            try:
                if folder.is_dir():
                    note_seen(folder, cursor)
                elif name in self._hosts:
                    ray.get(self._hosts[name].note_seen.remote(cursor), timeout=_NOTED_WITHIN_S)
            except (OSError, FleetError, ray.exceptions.RayError) as error:
                _log.warning("%s: that history is at %d was not noted: %s", name, cursor, error)

    def _tell(self, recorder: Recorder) -> None:
        for name, cursor in recorder.cursors.items():
            if name in self._hosts and self._told.get(name) != cursor:
                self._told[name] = cursor
                self._hosts[name].archive.remote(cursor)

    def _observing(self) -> Step:
        """Keep how the twins are where that changed."""
        log = ConditionLog(self._data / "history")

        def step() -> int:
            for name, handle in self._find_hosts().items():
                shown: Published | None = ray.get(handle.published.remote(), timeout=_ANSWER_WITHIN_S)
                if shown is None:
                    continue
                for device_type, ref in shown.tables.items():
                    log.observe(name, shown.cursor, shown.at_us, device_type, ray.get(ref))
            log.commit()
            return 0

        return step

    def _keep_snapshot(self, kept: KeptSnapshots, name: str, handle: Any, now_us: int) -> None:
        """Keep a host's newest snapshot once an hour: from its folder where that is here, else through its actor."""
        folder = self._data / "hosts" / name
        try:
            if folder.is_dir():
                kept.keep_newest(name, folder / "snapshots", now_us)
            elif kept.is_due(name, now_us):
                found = ray.get(handle.newest_snapshot.remote(), timeout=_ANSWER_WITHIN_S)
                if found is not None:
                    kept.keep(name, *found)
        except (OSError, PackingError, ray.exceptions.RayError) as error:
            _log.warning("no snapshot of %s was kept, the next pass tries again: %s", name, error)

    def _upkeep(self) -> Step:
        """Rollups, compaction, retention and snapshots to keep, beside the recording."""
        kept = KeptSnapshots(self._data / "history")
        retention = RetentionConfig(
            readings_days=self._settings.retention_days, readings_gb=self._settings.retention_gb
        )
        config = UpkeepConfig(CompactionConfig(), retention)

        def step() -> int:
            now_us = WallClock().now_us()
            try:
                upkeep(self._data / "history", tuple(sorted(self._hosts)), now_us, config)
            finally:
                for name, handle in self._hosts.items():
                    self._keep_snapshot(kept, name, handle, now_us)
            return 0

        return step


class Sending:
    """Sends simulated and recorded devices' readings through a fleet of its own, like any gateway."""

    def __init__(
        self, data: str, settings: SimulatorSettings, fleet: Callable[[Path], Fleet] = RayFleet
    ) -> None:
        self._stop = threading.Event()
        self._reason = ""
        self._fleet = fleet
        self._thread = threading.Thread(
            target=self._run, args=(Path(data), settings), name="traffic", daemon=True
        )
        self._thread.start()

    def status(self) -> dict[str, Any]:
        """``running``, and the ``reason`` why a sender ended."""
        return {"running": self._thread.is_alive(), "reason": self._reason}

    def stop(self) -> None:
        """Keep the simulator's state, and end."""
        self._stop.set()
        self._thread.join(_STOP_WITHIN_S)

    def _run(self, data: Path, settings: SimulatorSettings) -> None:
        try:
            fleet = self._fleet(data / "hosts")
            drive(traffic_of(fleet, data, settings, self._stop), self._stop, self._failed)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._reason = str(error) or type(error).__name__
        _log.error("a sender stands still: %s", self._reason, exc_info=not isinstance(error, FleetError))


class Bridging:
    """Follows an MQTT broker, with a fleet of its own, like any gateway: messages of one's own shape, and edge nodes.

    Parameters
    ----------
    data : the data folder
    mqtt : topics to read as readings
    sparkplug : edge nodes to follow; None: none
    database : where templates of unknown devices are; None: such are refused
    """

    def __init__(
        self,
        data: str,
        mqtt: MqttConfig,
        sparkplug: SparkplugConfig | None = None,
        database: DatabaseConfig | None = None,
        fleet: Callable[[Path], Fleet] = RayFleet,
    ) -> None:
        joined = fleet(Path(data) / "hosts")
        self._database = None if database is None else Database(database)
        door = Door(joined, None if self._database is None else Templates(self._database))
        member = door.of(Party("mqtt", "broker"))
        self._bridges: dict[str, Bridge | AskedBridge | HostApplication] = {
            "mqtt": Bridge(mqtt, joined, membership=member)
        }
        if mqtt.asked:
            self._bridges["asked"] = AskedBridge(asked_config(mqtt), joined)
        if sparkplug is not None:
            member = door.of(Party("sparkplug", "broker"))
            self._bridges["sparkplug"] = HostApplication(sparkplug, joined, membership=member)
        for bridge in self._bridges.values():
            bridge.start()

    def begun(self, within_s: float) -> str:
        """Wait until messages come, or it is known why they do not: that is returned; empty: they do."""
        until_s = stopwatch_s() + within_s
        while stopwatch_s() < until_s:
            status = [bridge.status() for bridge in self._bridges.values()]
            if all(each.connected or each.reason for each in status):
                return next((each.reason for each in status if each.reason), "")
            time.sleep(_PAUSE_S)  # the client answers in a thread of its own; the deadline is above
        return "the broker does not answer"

    def status(self) -> dict[str, Any]:
        """What became of messages, as the status of each has it, by what is followed."""
        return {name: asdict(bridge.status()) for name, bridge in self._bridges.items()}

    def stop(self) -> None:
        """Take no more from the broker."""
        for bridge in self._bridges.values():
            bridge.stop()
        if self._database is not None:
            self._database.close()


class Notifying:
    """Tells people of alerts: follows the hosts that are up, and sends to the receivers.

    Parameters
    ----------
    data : the data folder
    audit_days : for how long lines of the audit are kept, beside what people are told; 0: for ever
    hosts : gives the handles of the hosts that are up, by name
    """

    def __init__(
        self,
        data: str,
        database: DatabaseConfig,
        receivers: ReceiversConfig,
        audit_days: float = 0.0,
        hosts: Callable[[], Mapping[str, Any]] = host_actors,
    ) -> None:
        folder = Path(data)
        self._database = Database(database)
        desk = Desk(self._database)
        follower = Follower(desk, folder / "history", lambda: journal_sources(folder / "hosts", hosts()))
        self._audit_us = round(audit_days * DAY_US)
        self._notifier = Notifier(
            follower, desk, Book(self._database), Receivers(receivers), forget=self._cut_audit
        )
        self._notifier.start()

    def _cut_audit(self) -> bool:
        """Let go of some lines of the audit that are older than they are wanted; whether there may be more."""
        now_us = WallClock().now_us()
        return self._audit_us > 0 and audit.cut(self._database, now_us - self._audit_us, now_us) > 0

    def status(self) -> dict[str, Any]:
        """As ``Notifier.status``."""
        return self._notifier.status()

    def stop(self) -> None:
        """End; what is not sent is sent after the next start."""
        self._notifier.stop()
        self._database.close()


class Working:
    """Runs jobs, with a fleet of its own, which is found when the first one wants it: it may be away for a while."""

    def __init__(self, data: str, fleet: Callable[[Path], Fleet] = RayFleet) -> None:
        find = cache(lambda: fleet(Path(data) / "hosts"))
        works = {import_jobs.KIND: partial(import_jobs.work, find, JournalConfig().max_bytes // 2)}
        self._jobs = Jobs(Path(data) / JOBS_FOLDER, works)

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> Job:
        return self._jobs.submit(kind, request, by)

    def list(self) -> "list[Job]":
        return self._jobs.list()

    def get(self, job_id: str) -> Job:
        return self._jobs.get(job_id)

    def follow(self, job_id: str, version: int, wait_s: float) -> Job:
        return self._jobs.follow(job_id, version, wait_s)

    def cancel(self, job_id: str) -> Job:
        return self._jobs.cancel(job_id)

    def stop(self) -> None:
        """End; what is under way is begun again at the next start."""
        self._jobs.stop(_STOP_WITHIN_S)


RecorderActor: Final[Any] = ray.remote(max_restarts=-1, num_cpus=0)(Recording)
TrafficActor: Final[Any] = ray.remote(max_restarts=-1, num_cpus=0)(Sending)
JobsActor: Final[Any] = ray.remote(max_restarts=-1, num_cpus=0)(Working)
NotifierActor: Final[Any] = ray.remote(max_restarts=-1, num_cpus=0)(Notifying)
BridgeActor: Final[Any] = ray.remote(max_restarts=-1, num_cpus=0)(Bridging)


def traffic_of(fleet: Fleet, data: Path, settings: SimulatorSettings, stop: threading.Event) -> list[Traffic]:
    """What the settings ask to be sent."""
    traffic: list[Traffic] = []
    if settings.recorded:
        files = [Path(each) for each in settings.recorded_files.split(",")]
        traffic.append(RecordedTraffic(fleet, Path(settings.recorded), files, settings.recorded_speed, stop))
    if settings.fleet:
        traffic.append(
            SimulatedTraffic(fleet, Path(settings.fleet), data / "simulator", stop, settings.backfill_s)
        )
    return traffic


class Service:
    """An actor of the platform, by name."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle

    @staticmethod
    def recorder(data: Path, settings: HistorySettings, labels: Mapping[str, str]) -> "Service":
        """``labels`` are those of the node that has ``data``, here and below; none: any node."""
        return Service("recorder", _named(RecorderActor, "recorder", labels).remote(str(data), settings))

    @staticmethod
    def traffic(
        data: Path, settings: SimulatorSettings, labels: Mapping[str, str], placement: Placement
    ) -> "Service":
        actor = _named(TrafficActor, "traffic", labels)
        return Service("traffic", actor.remote(str(data), settings, partial(RayFleet, placement=placement)))

    @staticmethod
    def jobs(data: Path, labels: Mapping[str, str], placement: Placement) -> "Service":
        actor = _named(JobsActor, JOBS, labels)
        return Service(JOBS, actor.remote(str(data), partial(RayFleet, placement=placement)))

    @staticmethod
    def notifier(
        data: Path,
        database: DatabaseConfig,
        receivers: ReceiversConfig,
        audit_days: float,
        labels: Mapping[str, str],
    ) -> "Service":
        actor = _named(NotifierActor, "notifier", labels)
        return Service("notifier", actor.remote(str(data), database, receivers, audit_days))

    @staticmethod
    def bridge(
        data: Path,
        mqtt: MqttConfig,
        sparkplug: SparkplugConfig | None,
        database: DatabaseConfig | None,
        labels: Mapping[str, str],
        placement: Placement,
    ) -> "Service":
        actor = _named(BridgeActor, "mqtt", labels)
        fleet = partial(RayFleet, placement=placement)
        return Service("mqtt", actor.remote(str(data), mqtt, sparkplug, database, fleet))

    def stop(self) -> None:
        """Let it end what it does, then end it."""
        try:
            ray.get(self.handle.stop.remote(), timeout=_STOP_WITHIN_S + 5)
        finally:
            ray.kill(self.handle)


def _named(actor: Any, name: str, labels: Mapping[str, str]) -> Any:
    return actor.options(
        name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_concurrency=8,
        label_selector=dict(labels),
    )  # fmt: skip
