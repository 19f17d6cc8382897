"""The process of simulated and recorded devices."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cluster.services.service import STOP_WITHIN_S, Service
from cluster.settings import SimulatorSettings
from cluster.traffic import RecordedTraffic, SimulatedTraffic, Traffic, drive
from twins.errors import FleetError
from twins.fleet import Fleet
from twins.placement import Placement
from twins.ray_fleet import RayFleet

_log = logging.getLogger("twinfold.services")


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
        self._thread.join(STOP_WITHIN_S)

    def _run(self, data: Path, settings: SimulatorSettings) -> None:
        try:
            fleet = self._fleet(data / "hosts")
            drive(traffic_of(fleet, data, settings, self._stop), self._stop, self._failed)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._reason = str(error) or type(error).__name__
        _log.error("a sender stands still: %s", self._reason, exc_info=not isinstance(error, FleetError))


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


def start(
    data: Path, settings: SimulatorSettings, labels: Mapping[str, str], placement: Placement
) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Sending, "traffic", labels, str(data), settings, partial(RayFleet, placement=placement))
