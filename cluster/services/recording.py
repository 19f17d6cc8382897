"""The recorder's process."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import ray

from cluster.services.service import STOP_WITHIN_S, Service, journal_sources
from cluster.settings import HistorySettings
from training.compaction import CompactionConfig
from training.condition import ConditionLog
from training.keeping import KeptSnapshots
from training.recorder import Recorder, RecorderConfig
from training.upkeep import RetentionConfig, UpkeepConfig, upkeep
from twins.actors import Published, host_actors
from twins.clock import SECOND_US, SteadyClock, WallClock
from twins.errors import FleetError
from twins.host import note_seen
from twins.packing import PackingError

_DISCOVER_EVERY_S: Final = 5.0
_PAUSE_S: Final = 0.2
_OBSERVE_EVERY_S: Final = 60.0
_ANSWER_WITHIN_S: Final = 60.0
_NOTED_WITHIN_S: Final = 5.0

_log = logging.getLogger("twinfold.services")

Step = Callable[[], int]  # a piece of a thread's work; more than zero: there may be more at once


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
            thread.join(STOP_WITHIN_S)
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


def start(data: Path, settings: HistorySettings, labels: Mapping[str, str]) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Recording, "recorder", labels, str(data), settings)
