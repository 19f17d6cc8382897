"""Who is still to be told of what: the durable part of notifications, in a few short transactions.

``take`` turns what happened to alerts into notices, one for each route, alert and step, in the transaction that moves the
cursor of the journal on: each is made once, whatever crashes. ``tick`` tells what is due: it marks notices as told in the
transaction that makes the deliveries. ``waiting`` and ``sent`` are for those who deliver; a crash between the two sends a
message again, under the same id.
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
    UniqueConstraint,
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

from serve import audit
from serve.database import METADATA, Database
from serve.keyset import Key, Keyset, Spot
from serve.notifications import messages
from serve.notifications.book import channels_of, kept_routes
from serve.notifications.pacing import WINDOW_US, Flood, Turn, again_us, turn
from serve.notifications.routing import Alert, Route
from serve.row_pages import RowPage, rows_page
from twins.clock import DAY_US, SECOND_US, Clock, WallClock
from twins.devices import PRIORITIES
from twins.errors import CommandRefusedError

DUE_AT_ONCE: Final = 5_000
"""Notices of one step of a route that one tick takes up; the rest follow with the next."""

MOST_WAITING: Final = 1_000
"""Deliveries that may wait for one channel; more than that, and the oldest have failed."""

KEPT_US: Final = 30 * DAY_US
"""For so long what is over is remembered."""

STARTED: Final = ""
"""The name, among cursors, under which it is kept when notifications first ran."""

_AT_ONCE: Final = 400
_LONGEST: Final = 300
_LONGEST_SITE: Final = 256
_NOBODY: Final = "no channel in use leads to anybody named by this step"

NoticeState = Literal["waiting", "held", "gathered", "told", "ended", "repeated"]
"""Not due yet; due, in quiet hours; due, in a flood; told; somebody acted before; not told, as a repetition."""

DeliveryState = Literal["waiting", "delivered", "failed"]

_NOTICES: Final = Table(
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
_FLOODS: Final = Table(
    "notification_floods",
    METADATA,
    Column("route", String(16), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("since_us", BigInteger, nullable=False),
    Column("said_us", BigInteger, nullable=False),
    Column("worst", Integer, nullable=False),
)
_DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("route", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("alert", String(600), nullable=False),
    Column("told", String(32), nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("said", String(_LONGEST), nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("id"),
    Index("ix_deliveries_state_channel_due_us", "state", "channel", "due_us"),
    Index("ix_deliveries_told", "told"),
)
_CURSORS: Final = Table(
    "notification_cursors",
    METADATA,
    Column("actor", String(100), primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("problem", String(_LONGEST), nullable=False),
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


Change = Raised | Closed


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel, and what became of it.

    ``alert`` is empty where it is about many, or a test; ``told`` is the same for all channels of a message.
    """

    number: int
    id: str
    kind: str
    route: str
    step: int
    channel: str
    alert: str
    told: str
    state: DeliveryState
    attempts: int
    made_us: int
    due_us: int
    ended_us: int | None
    said: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a host's journal has been read, as of when, and what keeps it from being read further."""

    actor: str
    cursor: int
    at_us: int
    problem: str


class Desk:
    """The notices and deliveries of one platform.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    # -- what happened ---------------------------------------------------------------------------------------------

    def begin(self) -> int:
        """When notifications first ran: what was recorded before is nobody's news."""
        now_us = self._clock.now_us()

        def work(connection: Connection) -> int:
            query = select(_CURSORS.c.at_us).where(_CURSORS.c.actor == STARTED)
            found = connection.execute(query).scalar()
            if found is None:
                values = {"actor": STARTED, "cursor": 0, "at_us": now_us, "problem": ""}
                connection.execute(insert(_CURSORS).values(values))
            return now_us if found is None else int(found)

        return self._database.write(work)

    def followed(self) -> list[Followed]:
        """Every journal that is followed, by name."""
        query = select(_CURSORS).where(_CURSORS.c.actor != STARTED).order_by(_CURSORS.c.actor)
        return [Followed(**row._mapping) for row in self._database.read(lambda c: c.execute(query).all())]

    def cursor(self, actor: str) -> int:
        """How far an actor's journal was taken; 0: not at all."""
        query = select(_CURSORS.c.cursor).where(_CURSORS.c.actor == actor)
        return int(self._database.read(lambda c: c.execute(query).scalar()) or 0)

    def take(self, actor: str, before: int, after: int, changes: Sequence[Change]) -> None:
        """Take what an actor's journal tells from one cursor to another, in its order, all of it or nothing.

        Raises
        ------
        CommandRefusedError : somebody else took it meanwhile.
        """
        now_us = self._clock.now_us()

        def work(connection: Connection) -> None:
            _move(connection, actor, before, after, now_us)
            if changes:
                _Taking(connection).take(changes)

        self._database.write(work)

    def trouble(self, actor: str, problem: str) -> None:
        """Keep what is in the way of reading a journal; empty: nothing any more."""

        def work(connection: Connection) -> None:
            values = {"problem": problem[:_LONGEST], "at_us": self._clock.now_us()}
            changed = connection.execute(update(_CURSORS).where(_CURSORS.c.actor == actor).values(values))
            if not changed.rowcount:
                connection.execute(insert(_CURSORS).values({"actor": actor, "cursor": 0, **values}))

        self._database.write(work)

    # -- what is due -----------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Make deliveries of what is due; says whether there is more at once."""
        now_us = self._clock.now_us()
        places = self._database.read(lambda c: _busy(c, now_us))
        more = False
        for route_id, step in places:  # a transaction each: none of them is long

            def work(connection: Connection, route_id: str = route_id, step: int = step) -> bool:
                return _tell(connection, route_id, step, now_us)

            more |= self._database.write(work)
        return more

    def prune(self) -> None:
        """Forget what has been over for long."""
        before_us = self._clock.now_us() - KEPT_US
        old = _NOTICES.c.made_us < before_us
        notices = old & _NOTICES.c.state.in_(("told", "ended", "repeated"))
        ended = _DELIVERIES.c.ended_us < before_us

        def work(connection: Connection) -> None:
            connection.execute(delete(_NOTICES).where(notices))
            connection.execute(delete(_DELIVERIES).where(ended))

        self._database.write(work)

    # -- delivering ------------------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """The channels for which something is due."""
        due = (_DELIVERIES.c.state == "waiting") & (_DELIVERIES.c.due_us <= self._clock.now_us())
        query = select(_DELIVERIES.c.channel).where(due).distinct().order_by(_DELIVERIES.c.channel)
        return list(self._database.read(lambda c: c.execute(query).scalars().all()))

    def next_of(self, channel: str) -> Delivery | None:
        """The delivery of a channel that is due first."""
        due = (_DELIVERIES.c.state == "waiting") & (_DELIVERIES.c.due_us <= self._clock.now_us())
        query = (
            select(_DELIVERIES)
            .where(due & (_DELIVERIES.c.channel == channel))
            .order_by(_DELIVERIES.c.due_us, _DELIVERIES.c.number)
            .limit(1)
        )
        row = self._database.read(lambda c: c.execute(query).first())
        return None if row is None else _as_delivery(row)

    def sent(self, delivery: Delivery, took: bool, said: str, draw: float) -> DeliveryState:
        """Keep what became of an attempt; one that failed is made again later, ``draw`` (0 to 1) spreading that."""
        now_us, attempts = self._clock.now_us(), delivery.attempts + 1
        next_us = None if took else again_us(attempts, delivery.made_us, now_us, draw)
        state: DeliveryState = "delivered" if took else "failed" if next_us is None else "waiting"
        values = {
            "state": state, "attempts": attempts, "said": said[:_LONGEST],
            "due_us": delivery.due_us if next_us is None else next_us,
            "ended_us": None if state == "waiting" else now_us,
        }  # fmt: skip
        this = (_DELIVERIES.c.id == delivery.id) & (_DELIVERIES.c.state == "waiting")
        self._database.write(lambda c: c.execute(update(_DELIVERIES).where(this).values(values)))
        return state

    def give_up(self, channel: str, why: str) -> None:
        """Everything that waits for a channel has failed."""
        these = (_DELIVERIES.c.channel == channel) & (_DELIVERIES.c.state == "waiting")
        values = {"state": "failed", "said": why[:_LONGEST], "ended_us": self._clock.now_us()}
        self._database.write(lambda c: c.execute(update(_DELIVERIES).where(these).values(values)))

    def tried(
        self,
        channel: str,
        test_id: str,
        message: Mapping[str, Any],
        took: bool,
        said: str,
        by: str,
        address: str,
    ) -> Delivery:
        """Keep a test, which was sent already, and in the audit who asked for it."""
        now_us = self._clock.now_us()

        def work(connection: Connection) -> Delivery:
            _deliver(connection, test_id, "test", "", 0, channel, "", test_id, message, now_us)
            values = {
                "state": "delivered" if took else "failed",
                "attempts": 1,
                "said": said[:_LONGEST],
                "ended_us": now_us,
            }
            connection.execute(update(_DELIVERIES).where(_DELIVERIES.c.id == test_id).values(values))
            audit.record(connection, now_us, by, address, "channel.tested", channel, took=took)
            return _as_delivery(
                connection.execute(select(_DELIVERIES).where(_DELIVERIES.c.id == test_id)).one()
            )

        return self._database.write(work)

    def deliveries(
        self,
        spot: Spot = Spot(),  # noqa: B008  # frozen
        alert: str | None = None,
        state: str | None = None,
    ) -> RowPage[Delivery]:
        """A page of deliveries, the newest first: about an alert, in a state, where given. Raises CursorError."""
        query = select(_DELIVERIES)
        if state is not None:
            query = query.where(_DELIVERIES.c.state == state)
        if alert is not None:  # one that was told together with others is in the message of them all
            told = select(_NOTICES.c.delivery).where(
                _NOTICES.c.alert == alert, _NOTICES.c.delivery.is_not(None)
            )
            query = query.where(_DELIVERIES.c.told.in_(told))
        keyset = deliveries_keyset(spot, alert, state)
        return self._database.read(lambda c: rows_page(c, query, keyset, _as_delivery))

    def counts(self) -> dict[str, int]:
        """How many deliveries there are in each state."""
        query = select(_DELIVERIES.c.state, func.count().label("number")).group_by(_DELIVERIES.c.state)
        return {row.state: row.number for row in self._database.read(lambda c: c.execute(query).all())}


class _Taking:
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

    def take(self, changes: Sequence[Change]) -> None:
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
            self._connection.execute(insert(_NOTICES), rows)

    def _recall(self, alerts: Sequence[Alert]) -> None:
        """What is known already of these alerts, and of their devices and rules."""
        n = _NOTICES.c
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
        n = _NOTICES.c
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
                    update(_NOTICES).where(which).values(state=left, closed_us=bindparam("at")), chosen
                )


def _move(connection: Connection, actor: str, before: int, after: int, now_us: int) -> None:
    values = {"cursor": after, "at_us": now_us, "problem": ""}
    this = (_CURSORS.c.actor == actor) & (_CURSORS.c.cursor == before)
    if connection.execute(update(_CURSORS).where(this).values(values)).rowcount:
        return
    known = connection.execute(select(_CURSORS.c.cursor).where(_CURSORS.c.actor == actor)).scalar()
    if known is not None or before:
        raise CommandRefusedError(
            "follow", actor, f"it has been taken up to {known}, not {before}; does another one follow it?"
        )
    connection.execute(insert(_CURSORS).values({"actor": actor, **values}))


def _busy(connection: Connection, now_us: int) -> list[tuple[str, int]]:
    """Routes and steps for which something is to be decided now."""
    n = _NOTICES.c
    due = ((n.state == "waiting") & (n.due_us <= now_us)) | n.state.in_(("held", "gathered"))
    found = connection.execute(select(n.route, n.step).where(due).distinct()).all()
    floods = connection.execute(select(_FLOODS.c.route, _FLOODS.c.step)).all()
    return sorted({(row.route, row.step) for row in [*found, *floods]})


def _tell(connection: Connection, route_id: str, step: int, now_us: int) -> bool:
    """Tell what is due of one step of a route; whether there is more at once."""
    n = _NOTICES.c
    mine = (n.route == route_id) & (n.step == step)
    kept = next((each for each in kept_routes(connection) if each.id == route_id), None)
    route = kept.route if kept is not None and kept.enabled else None
    if route is None or step >= len(route.steps):  # gone, out of use, or shorter than it was
        undone = mine & n.state.in_(("waiting", "held", "gathered"))
        connection.execute(update(_NOTICES).where(undone).values(state="ended"))
        connection.execute(delete(_FLOODS).where((_FLOODS.c.route == route_id) & (_FLOODS.c.step == step)))
        return False
    due = connection.execute(
        select(_NOTICES)
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
        n = _NOTICES.c
        if self._route.is_quiet(self._now_us):
            return
        held = self._mine & (n.state == "held")
        self._tell_many("held", held)

    def tell(self, rows: Sequence[Row[Any]]) -> None:
        """Tell notices one by one, or together in a flood."""
        n = _NOTICES.c
        this = (_FLOODS.c.route == self._route.id) & (_FLOODS.c.step == self._step)
        kept = self._connection.execute(select(_FLOODS).where(this)).first()
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
                insert(_FLOODS).values({**values, "since_us": self._now_us, "said_us": self._now_us})
            )
        elif what is Turn.SAY and flood is not None:
            self._tell_many("flood_continues", gathered)
            values = {"said_us": self._now_us, "worst": min(worst, flood.worst)}
            self._connection.execute(update(_FLOODS).where(this).values(values))
        elif what is Turn.END and flood is not None:
            told = {"state": "told", "delivery": self._flood_over(flood)}
            self._connection.execute(update(_NOTICES).where(gathered).values(told))
            self._connection.execute(delete(_FLOODS).where(this))

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
        self._connection.execute(update(_NOTICES).where(which).values(state="told", delivery=key))

    def _flood_over(self, flood: Flood) -> str:
        """Tell that a flood is over, and what it came to."""
        which = self._mine & (_NOTICES.c.counted_us >= flood.since_us)
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
        mine = which if sites is None else which & _NOTICES.c.site.in_(sorted(sites))
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
        n = _NOTICES.c
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
            _deliver(
                self._connection, each, message["kind"], self._route.id, self._step, channel, alert,
                key, message, self._now_us,
            )  # fmt: skip
        return key

    def _mark(self, rows: Sequence[Row[Any]], values: Mapping[str, Any]) -> None:
        n = _NOTICES.c
        these = self._mine & (n.alert == bindparam("an_alert")) & (n.round == bindparam("a_round"))
        chosen = [{"an_alert": row.alert, "a_round": row.round} for row in rows]
        if chosen:
            self._connection.execute(update(_NOTICES).where(these).values(values), chosen)

    def _number(self, which: ColumnElement[bool]) -> int:
        return int(
            self._connection.execute(select(func.count()).select_from(_NOTICES).where(which)).scalar_one()
        )


def _deliver(
    connection: Connection,
    delivery: str,
    kind: str,
    route: str,
    step: int,
    channel: str,
    alert: str,
    told: str,
    message: Mapping[str, Any],
    now_us: int,
) -> None:
    """A delivery that waits; the oldest of too many that wait have failed."""
    nobody = not channel
    values = {
        "id": delivery, "kind": kind, "route": route, "step": step, "channel": channel, "alert": alert,
        "told": told, "state": "failed" if nobody else "waiting", "attempts": 0, "made_us": now_us, "due_us": now_us,
        "ended_us": now_us if nobody else None, "said": _NOBODY if nobody else "",
        "message": json.dumps(message, ensure_ascii=False),
    }  # fmt: skip
    connection.execute(insert(_DELIVERIES).values(values))
    d = _DELIVERIES.c
    waiting = (d.channel == channel) & (d.state == "waiting")
    query = select(d.number).where(waiting).order_by(d.number.desc()).offset(MOST_WAITING)
    late = list(connection.execute(query).scalars())
    if late:
        values = {
            "state": "failed",
            "said": f"more than {MOST_WAITING} wait for this channel",
            "ended_us": now_us,
        }
        connection.execute(update(_DELIVERIES).where(d.number.in_(late)).values(values))


def deliveries_keyset(spot: Spot, alert: str | None, state: str | None) -> Keyset:
    """The page of deliveries that is asked for."""
    return spot.of(repr(("deliveries", alert, state)), (Key("number", int, descending=True),))


def _as_delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "message": json.loads(row.message)})


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    """A few hundred at a time: databases bound how many values a question may have."""
    every = list(names)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
