"""The process that follows an MQTT broker."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from cluster.services.service import Service
from serve.config import DatabaseConfig
from serve.database import Database
from serve.door import Door, Party
from serve.mqtt import Bridge, MqttConfig
from serve.mqtt_asked import AskedBridge, asked_config
from serve.sparkplug.application import HostApplication, SparkplugConfig
from serve.templates import Templates
from twins.clock import stopwatch_s
from twins.fleet import Fleet
from twins.placement import Placement
from twins.ray_fleet import RayFleet

_PAUSE_S: Final = 0.2


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


def start(
    data: Path,
    mqtt: MqttConfig,
    sparkplug: SparkplugConfig | None,
    database: DatabaseConfig | None,
    labels: Mapping[str, str],
    placement: Placement,
) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    fleet = partial(RayFleet, placement=placement)
    return Service(Bridging, "mqtt", labels, str(data), mqtt, sparkplug, database, fleet)
