"""Alerts: those that stand, what is done about one or many of them, and how they treat people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from serve.client.connection import Connection, in_path
from serve.schemas.alerts import (
    AlertCommands,
    AlertGroups,
    AlertMatch,
    AlertPage,
    AlertsDone,
    Assignment,
    Comment,
    Note,
    NotesNeeded,
    Reason,
    Shelving,
)
from serve.schemas.base import Priority, Request
from serve.schemas.devices import AlertItem, Done
from serve.schemas.history import AlertKpis

AlertCommand = Literal[
    "acknowledge", "reset", "shelve", "unshelve", "suppress", "unsuppress", "remove-from-service",
    "return-to-service", "assign", "comment",
]  # fmt: skip

Grouping = Literal["cause", "rule", "type", "site", "device"]

_BODIES: Final[Mapping[AlertCommand, type[Request]]] = {
    "acknowledge": Note,
    "reset": Note,
    "shelve": Shelving,
    "unshelve": Note,
    "suppress": Reason,
    "unsuppress": Note,
    "remove-from-service": Reason,
    "return-to-service": Note,
    "assign": Assignment,
    "comment": Comment,
}


class Alerts:
    """What can be asked about alerts. States and priorities are those of ISA-18.2, as in ``GET /api/alerts``."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(
        self,
        *,
        state: Sequence[str] = (),
        priority: Sequence[Priority] = (),
        device: Sequence[str] = (),
        type: Sequence[str] = (),  # noqa: A002
        site: Sequence[str] = (),
        cursor: str | None = None,
    ) -> Iterator[AlertItem]:
        """Every alert that stands or is put aside and fits: most urgent first, then newest first."""
        pages = self.pages(state=state, priority=priority, device=device, type=type, site=site, cursor=cursor)
        for page in pages:
            yield from page.items

    def pages(
        self,
        *,
        state: Sequence[str] = (),
        priority: Sequence[Priority] = (),
        device: Sequence[str] = (),
        type: Sequence[str] = (),  # noqa: A002
        site: Sequence[str] = (),
        limit: int = 1_000,
        cursor: str | None = None,
    ) -> Iterator[AlertPage]:
        """The same in pages, which count what stands by priority."""
        query = {
            "state": tuple(state), "priority": tuple(priority), "device": tuple(device), "type": tuple(type),
            "site": tuple(site), "limit": limit, "cursor": cursor,
        }  # fmt: skip
        return self._ask.pages(AlertPage, "/api/alerts", query)

    def do(self, command: AlertCommand, alert: str, *, key: str | None = None, **more: Any) -> Done:
        """Ask something of one alert: ``do("shelve", alert.id, duration_s=3600, reason="sensor swap")``.

        Parameters
        ----------
        command : as ``acknowledge``
        alert : id of the alert
        key : under which the command is done once; left out: a new one
        more : as the command takes it: ``note``, ``reason``, ``duration_s``, ``one_shot``, ``assignee``
        """
        body = _BODIES[command](**more)
        return self._ask.command(Done, "POST", f"/api/alerts/{in_path(alert)}/{command}", body, key)

    def do_all(
        self,
        command: AlertCommand,
        alerts: Sequence[str] | AlertMatch,
        *,
        key: str | None = None,
        **more: Any,
    ) -> AlertsDone:
        """Ask one thing of many alerts, those named or all that match; one that is refused costs no other.

        Parameters
        ----------
        alerts : ids, or what all of them have in common: ``AlertMatch(site=["oslo"])``
        more : as for ``do``, and ``dry_run`` only to count
        """
        which = {"matching": alerts} if isinstance(alerts, AlertMatch) else {"alerts": list(alerts)}
        body = AlertCommands.model_validate({"command": command, **which, **more})
        return self._ask.command(AlertsDone, "POST", "/api/alerts/commands", body, key)

    def groups(
        self,
        by: Grouping = "cause",
        filter: str = "",  # noqa: A002
        *,
        state: Sequence[str] = (),
        priority: Sequence[Priority] = (),
        cursor: str | None = None,
    ) -> AlertGroups:
        """The alerts that fit by what they have in common, each group with the one that was raised first.

        Parameters
        ----------
        by : as ``rule``; ``cause`` is the rule and the site
        """
        query = {
            "by": by, "filter": filter, "state": tuple(state), "priority": tuple(priority), "cursor": cursor
        }  # fmt: skip
        return self._ask.get(AlertGroups, "/api/alerts/groups", query)

    def notes(self) -> NotesNeeded:
        """Which commands must say why, by the alert's priority."""
        return self._ask.get(NotesNeeded, "/api/alerts/notes")

    def kpis(self, hours: float = 24, filter: str = "") -> AlertKpis:  # noqa: A002
        """How the alerts treat the people who answer them, up to now; with a filter of devices, those of that position."""
        return self._ask.get(AlertKpis, "/api/alerts/kpis", {"hours": hours, "filter": filter})
