"""Who is still to be told of what: the durable part of notifications, in a few short transactions.

``take`` turns what happened to alerts into notices, one for each route, alert and step, in the transaction that moves the
cursor of the journal on: each is made once, whatever crashes. ``tick`` tells what is due: it marks notices as told in the
transaction that makes the deliveries. ``waiting`` and ``sent`` are for those who deliver; a crash between the two sends a
message again, under the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from serve import audit
from serve.database import METADATA, Database
from serve.keyset import Spot
from serve.notifications.deliveries import (
    DELIVERIES,
    LONGEST_SAID,
    Delivery,
    DeliveryState,
    as_delivery,
    deliver,
    deliveries_keyset,
)
from serve.notifications.notices import NOTICES, AlertChange, Taking, busy, tell
from serve.notifications.pacing import again_us
from serve.row_pages import RowPage, rows_page
from twins.clock import DAY_US, Clock, WallClock
from twins.errors import CommandRefusedError

KEPT_US: Final = 30 * DAY_US
"""For so long what is over is remembered."""

STARTED: Final = ""
"""The name, among cursors, under which it is kept when notifications first ran."""

_LONGEST: Final = 300

_CURSORS: Final = Table(
    "notification_cursors",
    METADATA,
    Column("actor", String(100), primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("problem", String(_LONGEST), nullable=False),
)


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

    def take(self, actor: str, before: int, after: int, changes: Sequence[AlertChange]) -> None:
        """Take what an actor's journal tells from one cursor to another, in its order, all of it or nothing.

        Raises
        ------
        CommandRefusedError : somebody else took it meanwhile.
        """
        now_us = self._clock.now_us()

        def work(connection: Connection) -> None:
            _move(connection, actor, before, after, now_us)
            if changes:
                Taking(connection).take(changes)

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
        places = self._database.read(lambda c: busy(c, now_us))
        more = False
        for route_id, step in places:  # a transaction each: none of them is long

            def work(connection: Connection, route_id: str = route_id, step: int = step) -> bool:
                return tell(connection, route_id, step, now_us)

            more |= self._database.write(work)
        return more

    def prune(self) -> None:
        """Forget what has been over for long."""
        before_us = self._clock.now_us() - KEPT_US
        old = NOTICES.c.made_us < before_us
        notices = old & NOTICES.c.state.in_(("told", "ended", "repeated"))
        ended = DELIVERIES.c.ended_us < before_us

        def work(connection: Connection) -> None:
            connection.execute(delete(NOTICES).where(notices))
            connection.execute(delete(DELIVERIES).where(ended))

        self._database.write(work)

    # -- delivering ------------------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """The channels for which something is due."""
        due = (DELIVERIES.c.state == "waiting") & (DELIVERIES.c.due_us <= self._clock.now_us())
        query = select(DELIVERIES.c.channel).where(due).distinct().order_by(DELIVERIES.c.channel)
        return list(self._database.read(lambda c: c.execute(query).scalars().all()))

    def next_of(self, channel: str) -> Delivery | None:
        """The delivery of a channel that is due first."""
        due = (DELIVERIES.c.state == "waiting") & (DELIVERIES.c.due_us <= self._clock.now_us())
        query = (
            select(DELIVERIES)
            .where(due & (DELIVERIES.c.channel == channel))
            .order_by(DELIVERIES.c.due_us, DELIVERIES.c.number)
            .limit(1)
        )
        row = self._database.read(lambda c: c.execute(query).first())
        return None if row is None else as_delivery(row)

    def sent(self, delivery: Delivery, took: bool, said: str, draw: float) -> DeliveryState:
        """Keep what became of an attempt; one that failed is made again later, ``draw`` (0 to 1) spreading that."""
        now_us, attempts = self._clock.now_us(), delivery.attempts + 1
        next_us = None if took else again_us(attempts, delivery.made_us, now_us, draw)
        state: DeliveryState = "delivered" if took else "failed" if next_us is None else "waiting"
        values = {
            "state": state, "attempts": attempts, "said": said[:LONGEST_SAID],
            "due_us": delivery.due_us if next_us is None else next_us,
            "ended_us": None if state == "waiting" else now_us,
        }  # fmt: skip
        this = (DELIVERIES.c.id == delivery.id) & (DELIVERIES.c.state == "waiting")
        self._database.write(lambda c: c.execute(update(DELIVERIES).where(this).values(values)))
        return state

    def give_up(self, channel: str, why: str) -> None:
        """Everything that waits for a channel has failed."""
        these = (DELIVERIES.c.channel == channel) & (DELIVERIES.c.state == "waiting")
        values = {"state": "failed", "said": why[:LONGEST_SAID], "ended_us": self._clock.now_us()}
        self._database.write(lambda c: c.execute(update(DELIVERIES).where(these).values(values)))

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
            deliver(connection, test_id, "test", "", 0, channel, "", test_id, message, now_us)
            values = {
                "state": "delivered" if took else "failed",
                "attempts": 1,
                "said": said[:LONGEST_SAID],
                "ended_us": now_us,
            }
            connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == test_id).values(values))
            audit.record(connection, now_us, by, address, "channel.tested", channel, took=took)
            return as_delivery(connection.execute(select(DELIVERIES).where(DELIVERIES.c.id == test_id)).one())

        return self._database.write(work)

    def deliveries(
        self,
        spot: Spot = Spot(),  # noqa: B008  # frozen
        alert: str | None = None,
        state: str | None = None,
    ) -> RowPage[Delivery]:
        """A page of deliveries, the newest first: about an alert, in a state, where given. Raises CursorError."""
        query = select(DELIVERIES)
        if state is not None:
            query = query.where(DELIVERIES.c.state == state)
        if alert is not None:  # one that was told together with others is in the message of them all
            told = select(NOTICES.c.delivery).where(NOTICES.c.alert == alert, NOTICES.c.delivery.is_not(None))
            query = query.where(DELIVERIES.c.told.in_(told))
        keyset = deliveries_keyset(spot, alert, state)
        return self._database.read(lambda c: rows_page(c, query, keyset, as_delivery))

    def counts(self) -> dict[str, int]:
        """How many deliveries there are in each state."""
        query = select(DELIVERIES.c.state, func.count().label("number")).group_by(DELIVERIES.c.state)
        return {row.state: row.number for row in self._database.read(lambda c: c.execute(query).all())}


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
