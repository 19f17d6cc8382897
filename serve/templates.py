"""Templates of devices, approved by an engineer: which ids may come by themselves, and what each then is.

A template names a pattern of ids, and type, site, parent, name and labels of what comes under it. How many it may bring, in
a minute and in all, is counted in the database, in the transaction that writes the audit, so that all replicas together
keep to it.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    select,
    update,
)

from serve import audit
from serve.accounts import Actor
from serve.database import METADATA, Database
from serve.errors import TemplateNotFoundError, UnfitError
from serve.revisions import ChangedBy, Revised
from twins.clock import MINUTE_US, Clock, WallClock
from twins.devices import Device

Sender = Literal["key", "account", "broker"]
"""Who sends: a device key, an engineer's account, or whoever may publish at the broker."""

MOST_TEMPLATES: Final = 100
LONGEST_ID: Final = 256

_STARS: Final = 2  # more could make matching an id slow
_IDS_IN_AUDIT: Final = 20
_FILLED: Final = re.compile(r"\{(\d)\}")

TEMPLATES: Final = Table(
    "device_templates",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("document", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("by", String(200), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("registered", Integer, nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("in_minute", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Template:
    """What devices become whose ids are of a pattern.

    Attributes
    ----------
    pattern : an id, in which ``*`` stands for one or more characters
    device_type : what they are
    site, parent, name, labels : what is said of them; ``{1}`` is what the first ``*`` stood for
    interval_s : how often they report; None: as their type says
    senders : who may bring one
    most, most_a_minute : how many may come, in all and in a minute
    """

    id: str
    name: str
    pattern: str
    device_type: str
    site: str = ""
    parent: str | None = None
    title: str = ""
    labels: Mapping[str, str] | None = None
    interval_s: float | None = None
    senders: tuple[Sender, ...] = ("key", "account")
    most: int = 1_000
    most_a_minute: int = 60

    def device(self, device_id: str) -> Device | None:
        """What the device of an id becomes; None: the template is not for it."""
        if len(device_id) > LONGEST_ID or not device_id.isprintable():
            return None
        found = re.fullmatch(_expression(self.pattern), device_id)
        if found is None:
            return None
        parts = found.groups()

        def filled(text: str) -> str:
            return _FILLED.sub(lambda at: parts[int(at[1]) - 1], text)

        return Device(
            device_id,
            self.device_type,
            site=filled(self.site),
            parent=None if self.parent is None else filled(self.parent),
            name=filled(self.title),
            labels={key: filled(value) for key, value in (self.labels or {}).items()},
            interval_s=self.interval_s,
        )


@dataclass(frozen=True, slots=True)
class KeptTemplate:
    """A template as it was described, its revision, and how many devices came by it."""

    template: Template
    document: Mapping[str, Any]
    enabled: bool
    revision: int
    by: str
    changed_us: int
    registered: int


def template_of(template_id: str, document: Mapping[str, Any]) -> Template:
    """A template as somebody described it.

    Raises
    ------
    UnfitError : the pattern cannot be used, or a text asks for a ``*`` that it does not have.
    """
    labels = document.get("labels") or {}
    parent = document.get("parent")
    found = Template(
        template_id,
        document["name"],
        document["pattern"],
        document["type"],
        document.get("site", ""),
        parent,
        document.get("title", ""),
        labels,
        document.get("interval_s"),
        tuple(document["senders"]),
        document["most"],
        document["most_a_minute"],
    )
    stars = found.pattern.count("*")
    if stars > _STARS or "**" in found.pattern:
        raise UnfitError(
            f"the pattern {found.pattern[:60]!r} has {stars} stars", f"use at most {_STARS}, apart"
        )
    if not found.pattern.strip("*/ "):
        raise UnfitError(f"the pattern {found.pattern[:60]!r} is every id", "begin it as the ids begin")
    for text in (found.site, parent or "", found.title, *labels.values()):
        asked = max(map(int, _FILLED.findall(text)), default=0)
        lowest = min(map(int, _FILLED.findall(text)), default=1)
        if asked > stars or lowest < 1:
            raise UnfitError(
                f"{text[:60]!r} asks for star {asked}, the pattern has {stars}", "count the stars from {1}"
            )
    return found


class Templates:
    """The templates of one platform. Safe for many threads.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    def all(self) -> list[KeptTemplate]:
        """All, by name."""
        rows = self._database.read(lambda c: c.execute(select(TEMPLATES)).all())
        return sorted(map(_kept, rows), key=lambda each: (each.template.name, each.template.id))

    def one(self, template_id: str) -> KeptTemplate:
        """One. Raises TemplateNotFoundError."""
        return _kept(self._database.read(lambda c: _TEMPLATES.row(c, template_id)))

    def add(self, document: Mapping[str, Any], enabled: bool, actor: Actor) -> KeptTemplate:
        """A new one. Raises UnfitError, CommandRefusedError."""
        template_id, change = (
            secrets.token_hex(8),
            self._change(actor, template=dict(document), enabled=enabled),
        )
        template_of(template_id, document)

        def work(connection: Connection) -> KeptTemplate:
            _TEMPLATES.check_room(connection, MOST_TEMPLATES)
            values = {
                "document": _text(document), "enabled": enabled, "registered": 0, "minute": 0, "in_minute": 0
            }  # fmt: skip
            return _kept(_TEMPLATES.add(connection, template_id, values, change))

        return self._database.write(work)

    def change(
        self,
        template_id: str,
        expected: int | None,
        document: Mapping[str, Any],
        enabled: bool,
        actor: Actor,
    ) -> KeptTemplate:
        """Put another in its place; what came by it stays.

        Raises
        ------
        TemplateNotFoundError, RevisionConflictError, UnfitError
        """
        change = self._change(actor, template=dict(document), enabled=enabled)
        template_of(template_id, document)

        def work(connection: Connection) -> KeptTemplate:
            row = _TEMPLATES.row(connection, template_id, expected, "change")
            values = {"document": _text(document), "enabled": enabled}
            return _kept(_TEMPLATES.change(connection, row, values, change))

        return self._database.write(work)

    def remove(self, template_id: str, expected: int | None, actor: Actor) -> None:
        """Take one away; what came by it stays. Raises TemplateNotFoundError, RevisionConflictError."""

        def work(connection: Connection) -> None:
            row = _TEMPLATES.row(connection, template_id, expected, "remove")
            _TEMPLATES.remove(connection, row, self._change(actor, name=_kept(row).template.name))

        self._database.write(work)

    def draw(self, template: Template, ids: Sequence[str], by: str) -> int:
        """How many of ``ids``, from the first, may come now; they count as come, and are in the audit."""
        now_us = self._clock.now_us()
        minute = now_us // MINUTE_US

        def work(connection: Connection) -> int:
            row = connection.execute(select(TEMPLATES).where(TEMPLATES.c.id == template.id)).first()
            if row is None or not row.enabled:
                return 0
            in_minute = row.in_minute if row.minute == minute else 0
            granted = min(len(ids), template.most - row.registered, template.most_a_minute - in_minute)
            if granted <= 0:
                return 0
            values = {
                "registered": row.registered + granted,
                "minute": minute,
                "in_minute": in_minute + granted,
            }
            connection.execute(update(TEMPLATES).where(TEMPLATES.c.id == template.id).values(values))
            said = {
                "devices": list(ids[: min(granted, _IDS_IN_AUDIT)]),
                "count": granted,
                "name": template.name,
            }
            audit.record(connection, now_us, by, "", "template.used", template.id, **said)
            return int(granted)

        return self._database.write(work)

    def _change(self, actor: Actor, **said: Any) -> ChangedBy:
        return ChangedBy(actor.name, actor.address, self._clock.now_us(), said)


_TEMPLATES: Final = Revised(TEMPLATES, "template", TemplateNotFoundError)


def _expression(pattern: str) -> str:
    return "(.+?)".join(map(re.escape, pattern.split("*")))


def _kept(row: Row[Any]) -> KeptTemplate:
    document = json.loads(row.document)
    return KeptTemplate(
        template_of(row.id, document),
        document,
        row.enabled,
        row.revision,
        row.by,
        row.changed_us,
        row.registered,
    )


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True)
