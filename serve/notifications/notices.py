"""Notices: who is to be told of which alert by which step, made of what happened and told when they are due.

What happens makes and closes notices; what is due of them becomes deliveries, one by one, or together after quiet hours and
in a flood. Each works in a transaction that it is given.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from serve.database import METADATA
from serve.notifications import messages
from serve.notifications.book import channels_of, kept_routes
from serve.notifications.deliveries import deliver
from serve.notifications.pacing import WINDOW_US, Flood, Turn, turn
from serve.notifications.routing import Alert, Route
from twins.clock import SECOND_US
from twins.devices import PRIORITIES

DUE_AT_ONCE: Final = 5_000
"""Notices of one step of a route that one tick takes up; the rest follow with the next."""

_AT_ONCE: Final = 400
_LONGEST_SITE: Final = 256

NoticeState = Literal["waiting", "held", "gathered", "told", "ended", "repeated"]
"""Not due yet; due, in quiet hours; due, in a flood; told; somebody acted before; not told, as a repetition."""

NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("route", String(16), primary_key=True),
    Column("alert", String(600), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("thing", String(600), nullable=False),
    Column("level", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("counted_us", BigInteger),
    Column("closed_us", BigInteger),
    Column("delivery", String(32)),
    Column("facts", Text, nullable=False),
    Column("site", String(_LONGEST_SITE), nullable=False),
    Index("ix_notices_alert", "alert"),
    Index("ix_notices_thing", "thing", "route"),
    Index("ix_notices_state_due_us", "state", "due_us"),
    Index("ix_notices_route_step_counted_us", "route", "step", "counted_us"),
)
FLOODS: Final = Table(
    "notification_floods",
    METADATA,
    Column("route", String(16), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("since_us", BigInteger, nullable=False),
    Column("said_us", BigInteger, nullable=False),
    Column("worst", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert was raised, or asks for attention again, as a journal recorded it at ``at_us``."""

    alert: Alert
    at_us: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Nobody need be told of an alert any more: somebody acted; or only its condition has cleared (``returned``)."""

    alert_id: str
    at_us: int
    returned: bool = False


AlertChange = Raised | Closed


class Taking:
    """One transaction that makes notices of what happened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._routes = [kept.route for kept in kept_routes(connection) if kept.enabled]
        self._rounds: dict[
            tuple[str, str], tuple[int, bool]
        ] = {}  # route, alert → its last round, whether that is open
        self._said: dict[
            tuple[str, str], int
        ] = {}  # route, device and rule → when a notice was last made to be told
        self._new: dict[tuple[str, str, int], list[dict[str, Any]]] = {}  # route, alert, round → a row a step

    def take(self, changes: Sequence[AlertChange]) -> None:
        raised = [each.alert for each in changes if isinstance(each, Raised)]
        if self._routes:
            self._recall(raised)
        closes: list[dict[str, Any]] = []
        for each in changes:
            match each:
                case Raised(alert, at_us):
                    for route in self._routes:
                        if route.takes(alert, at_us):
                            self._raise(route, alert, at_us)
                case Closed(alert_id, at_us, returned):
                    closes.append({"an_alert": alert_id, "at": at_us, "cleared": returned})
                    self._close(alert_id, at_us, returned)
        self._write_closes(closes)
        rows = [row for steps in self._new.values() for row in steps]
        if rows:
            self._connection.execute(insert(NOTICES), rows)

    def _recall(self, alerts: Sequence[Alert]) -> None:
        """What is known already of these alerts, and of their devices and rules."""
        n = NOTICES.c
        for ids in _parts(dict.fromkeys(alert.id for alert in alerts)):
            rounds = select(n.route, n.alert, n.round, n.closed_us).where(n.alert.in_(ids)).order_by(n.round)
            for row in self._connection.execute(rounds):
                self._rounds[row.route, row.alert] = row.round, row.closed_us is None
        longest_us = max(route.repeat_us for route in self._routes)
        told = n.state.not_in(("repeated", "ended")) & (n.step == 0)
        for things in _parts(dict.fromkeys(alert.thing for alert in alerts)) if longest_us else ():
            query = (
                select(n.route, n.thing, func.max(n.made_us).label("at_us"))
                .where(n.thing.in_(things) & told)
                .group_by(n.route, n.thing)
            )
            for found in self._connection.execute(query):
                self._said[found.route, found.thing] = found.at_us

    def _raise(self, route: Route, alert: Alert, at_us: int) -> None:
        number, open_ = self._rounds.get((route.id, alert.id), (-1, False))
        if open_:
            return  # active again while nobody has acknowledged it: people have been told, or will be
        said_us = self._said.get((route.id, alert.thing))
        repeated = said_us is not None and at_us - said_us < route.repeat_us
        if not repeated:
            self._said[route.id, alert.thing] = at_us
        number += 1
        self._rounds[route.id, alert.id] = number, True
        facts = json.dumps(asdict(alert), ensure_ascii=False)
        self._new[route.id, alert.id, number] = [
            {
                "route": route.id, "alert": alert.id, "round": number, "step": at, "thing": alert.thing,
                "level": alert.level, "state": "repeated" if repeated and at == 0 else "waiting", "made_us": at_us,
                "due_us": at_us + step.after_us, "counted_us": None, "closed_us": None, "delivery": None, "facts": facts,
                "site": alert.site[:_LONGEST_SITE],
            }
            for at, step in enumerate(route.steps)
        ]  # fmt: skip

    def _close(self, alert_id: str, at_us: int, returned: bool) -> None:
        """Close what this transaction has made itself."""
        for route in self._routes:
            if returned and route.until != "returned":
                continue
            number, open_ = self._rounds.get((route.id, alert_id), (0, False))
            if not open_:
                continue
            self._rounds[route.id, alert_id] = number, False
            for row in self._new.get((route.id, alert_id, number), ()):
                row["closed_us"] = at_us
                if row["state"] == "waiting":
                    row["state"] = "ended"
                    if row["step"] == 0:
                        self._said.pop((route.id, row["thing"]), None)  # nobody was told

    def _write_closes(self, closes: Sequence[Mapping[str, Any]]) -> None:
        """Close what was there before."""
        n = NOTICES.c
        left = case(  # no IN: that cannot be run for many at once
            *((n.state == state, "ended") for state in ("waiting", "held", "gathered")), else_=n.state
        )
        these = (n.alert == bindparam("an_alert")) & n.closed_us.is_(None)
        clearing = [route.id for route in self._routes if route.until == "returned"]
        for cleared, which in (
            (False, these),
            (True, these & or_(false(), *(n.route == each for each in clearing))),
        ):
            chosen = [
                {"an_alert": each["an_alert"], "at": each["at"]}
                for each in closes
                if each["cleared"] is cleared
            ]
            if chosen and (clearing or not cleared):
                self._connection.execute(
                    update(NOTICES).where(which).values(state=left, closed_us=bindparam("at")), chosen
                )


def busy(connection: Connection, now_us: int) -> list[tuple[str, int]]:
    """Routes and steps for which something is to be decided now."""
    n = NOTICES.c
    due = ((n.state == "waiting") & (n.due_us <= now_us)) | n.state.in_(("held", "gathered"))
    found = connection.execute(select(n.route, n.step).where(due).distinct()).all()
    floods = connection.execute(select(FLOODS.c.route, FLOODS.c.step)).all()
    return sorted({(row.route, row.step) for row in [*found, *floods]})


def tell(connection: Connection, route_id: str, step: int, now_us: int) -> bool:
    """Tell what is due of one step of a route; whether there is more at once."""
    n = NOTICES.c
    mine = (n.route == route_id) & (n.step == step)
    kept = next((each for each in kept_routes(connection) if each.id == route_id), None)
    route = kept.route if kept is not None and kept.enabled else None
    if route is None or step >= len(route.steps):  # gone, out of use, or shorter than it was
        undone = mine & n.state.in_(("waiting", "held", "gathered"))
        connection.execute(update(NOTICES).where(undone).values(state="ended"))
        connection.execute(delete(FLOODS).where((FLOODS.c.route == route_id) & (FLOODS.c.step == step)))
        return False
    due = connection.execute(
        select(NOTICES)
        .where(mine & (n.state == "waiting") & (n.due_us <= now_us))
        .order_by(n.due_us, n.level, n.alert)
        .limit(DUE_AT_ONCE)
    ).all()
    telling = _Telling(connection, route, step, now_us, mine)
    telling.hold([row for row in due if route.holds(row.level, now_us)])
    telling.sum_up()
    telling.tell([row for row in due if not route.holds(row.level, now_us)])
    return len(due) == DUE_AT_ONCE


@dataclass(frozen=True, slots=True)
class _Summary:
    """How many notices, the worst, since when, how many alerts of them are open, and the most urgent of those."""

    count: int
    worst: int
    since_us: int
    open_: int
    shown: list[Alert]


class _Telling:
    """One transaction that makes deliveries of what is due of one step of a route."""

    def __init__(
        self, connection: Connection, route: Route, step: int, now_us: int, mine: ColumnElement[bool]
    ) -> None:
        self._connection = connection
        self._route = route
        self._step = step
        self._now_us = now_us
        self._mine = mine

    def hold(self, rows: Sequence[Row[Any]]) -> None:
        """Keep notices for the end of quiet hours."""
        self._mark(rows, {"state": "held"})

    def sum_up(self) -> None:
        """After quiet hours, tell what was held."""
        n = NOTICES.c
        if self._route.is_quiet(self._now_us):
            return
        held = self._mine & (n.state == "held")
        self._tell_many("held", held)

    def tell(self, rows: Sequence[Row[Any]]) -> None:
        """Tell notices one by one, or together in a flood."""
        n = NOTICES.c
        this = (FLOODS.c.route == self._route.id) & (FLOODS.c.step == self._step)
        kept = self._connection.execute(select(FLOODS).where(this)).first()
        flood = None if kept is None else Flood(kept.since_us, kept.said_us, kept.worst)
        lately = self._mine & (n.counted_us > self._now_us - WINDOW_US)
        recent = self._number(lately) + len(rows)
        before = self._connection.execute(
            select(func.count().label("number"), func.min(n.level).label("worst")).where(
                self._mine & (n.state == "gathered")
            )
        ).one()
        worst = min(
            [row.level for row in rows] + [before.worst] * (before.number > 0), default=len(PRIORITIES)
        )
        what = turn(flood, recent, before.number + len(rows), worst, self._now_us)
        if what is Turn.EACH:
            self._tell_each(rows)
            return
        self._mark(rows, {"state": "gathered", "counted_us": self._now_us})
        gathered = self._mine & (n.state == "gathered")
        if what is Turn.BEGIN:
            self._tell_many("flood", gathered)
            values = {"route": self._route.id, "step": self._step, "worst": worst}
            self._connection.execute(
                insert(FLOODS).values({**values, "since_us": self._now_us, "said_us": self._now_us})
            )
        elif what is Turn.SAY and flood is not None:
            self._tell_many("flood_continues", gathered)
            values = {"said_us": self._now_us, "worst": min(worst, flood.worst)}
            self._connection.execute(update(FLOODS).where(this).values(values))
        elif what is Turn.END and flood is not None:
            told = {"state": "told", "delivery": self._flood_over(flood)}
            self._connection.execute(update(NOTICES).where(gathered).values(told))
            self._connection.execute(delete(FLOODS).where(this))

    def _tell_each(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            alert = Alert(**json.loads(row.facts))
            waited_s = (self._now_us - row.made_us) // SECOND_US
            message = messages.of_alert(alert, self._route.name, self._step, waited_s)

            def say(
                sites: frozenset[str] | None, site: str = row.site, said: Mapping[str, Any] = message
            ) -> Mapping[str, Any] | None:
                return said if sites is None or site in sites else None

            key = self._deliver(f"{row.alert}#{row.round}", row.alert, say)
            self._mark([row], {"state": "told", "counted_us": self._now_us, "delivery": key})

    def _tell_many(self, kind: str, which: ColumnElement[bool]) -> None:
        """Tell all of ``which`` in one message, if there are any."""
        summary = self._summary(which)
        if summary is None:
            return
        what = f"{kind}@{self._now_us}/{summary.worst}"
        key = self._deliver(what, "", lambda sites: self._many(kind, which, sites))
        self._connection.execute(update(NOTICES).where(which).values(state="told", delivery=key))

    def _flood_over(self, flood: Flood) -> str:
        """Tell that a flood is over, and what it came to."""
        which = self._mine & (NOTICES.c.counted_us >= flood.since_us)
        return self._deliver(
            f"flood_over@{self._now_us}", "", lambda sites: self._many("flood_over", which, sites, flood)
        )

    def _many(
        self,
        kind: str,
        which: ColumnElement[bool],
        sites: frozenset[str] | None,
        flood: Flood | None = None,
    ) -> dict[str, Any] | None:
        """A message about those of ``which`` that are of some sites (None: of all); None: there is nothing to say."""
        mine = which if sites is None else which & NOTICES.c.site.in_(sorted(sites))
        found = self._summary(mine)
        if found is None:
            if sites is not None or flood is None:
                return None
            found = _Summary(0, flood.worst, 0, 0, [])
        since_us = found.since_us if flood is None else flood.since_us
        return messages.of_many(
            kind, found.shown, found.count, found.worst, found.open_, since_us, self._route.name, self._step
        )

    def _summary(self, which: ColumnElement[bool]) -> "_Summary | None":
        """What notices come to; None: there are none."""
        n = NOTICES.c
        found = self._connection.execute(
            select(
                func.count().label("number"),
                func.min(n.level).label("worst"),
                func.min(n.made_us).label("since_us"),
                func.sum(case((n.closed_us.is_(None), 1), else_=0)).label("open"),
            ).where(which)
        ).one()
        if not found.number:
            return None
        order = (n.closed_us.is_not(None), n.level, n.made_us, n.alert)
        rows = self._connection.execute(select(n.facts).where(which).order_by(*order).limit(messages.SHOWN))
        return _Summary(
            found.number,
            found.worst,
            found.since_us,
            found.open,
            [Alert(**json.loads(row.facts)) for row in rows],
        )

    def _deliver(
        self, what: str, alert: str, say: Callable[[frozenset[str] | None], Mapping[str, Any] | None]
    ) -> str:
        """A delivery for each channel of the step, or one that has failed where there is none; gives what they share.

        ``say`` gives the message for whoever is for some sites, or all (None); None: nothing that they may know.
        """
        key = hashlib.sha256(f"{self._route.id}/{self._step}/{what}".encode()).hexdigest()[:32]
        channels = channels_of(self._connection, self._route.steps[self._step].to)
        said = {sites: say(sites) for sites in {None, *channels.values()}}
        told = {channel: said[sites] for channel, sites in channels.items() if said[sites] is not None}
        for channel, message in (told or {"": said[None]}).items():
            if message is None:
                continue
            each = hashlib.sha256(f"{key}/{channel}".encode()).hexdigest()[:32]
            deliver(
                self._connection, each, message["kind"], self._route.id, self._step, channel, alert,
                key, message, self._now_us,
            )  # fmt: skip
        return key

    def _mark(self, rows: Sequence[Row[Any]], values: Mapping[str, Any]) -> None:
        n = NOTICES.c
        these = self._mine & (n.alert == bindparam("an_alert")) & (n.round == bindparam("a_round"))
        chosen = [{"an_alert": row.alert, "a_round": row.round} for row in rows]
        if chosen:
            self._connection.execute(update(NOTICES).where(these).values(values), chosen)

    def _number(self, which: ColumnElement[bool]) -> int:
        return int(
            self._connection.execute(select(func.count()).select_from(NOTICES).where(which)).scalar_one()
        )


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    """A few hundred at a time: databases bound how many values a question may have."""
    every = list(names)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
