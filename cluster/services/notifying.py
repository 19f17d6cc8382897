"""The process that tells people of alerts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cluster.services.service import Service, journal_sources
from serve import audit
from serve.config import DatabaseConfig, ReceiversConfig
from serve.database import Database
from serve.notifications.book import Book
from serve.notifications.desk import Desk
from serve.notifications.following import Follower
from serve.notifications.notifier import Notifier
from serve.notifications.receivers import Receivers
from twins.actors import host_actors
from twins.clock import DAY_US, WallClock


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


def start(
    data: Path,
    database: DatabaseConfig,
    receivers: ReceiversConfig,
    audit_days: float,
    labels: Mapping[str, str],
) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Notifying, "notifier", labels, str(data), database, receivers, audit_days)
