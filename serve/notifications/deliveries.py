"""Messages to channels and what became of them: the rows that are sent from, each made once and ended once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)

from serve.database import METADATA
from serve.keyset import Key, Keyset, Spot

MOST_WAITING: Final = 1_000
"""Deliveries that may wait for one channel; more than that, and the oldest have failed."""

LONGEST_SAID: Final = 300
"""Characters that are kept of what a receiver said."""

_NOBODY: Final = "no channel in use leads to anybody named by this step"

DeliveryState = Literal["waiting", "delivered", "failed"]

DELIVERIES: Final = Table(
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
    Column("said", String(LONGEST_SAID), nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("id"),
    Index("ix_deliveries_state_channel_due_us", "state", "channel", "due_us"),
    Index("ix_deliveries_told", "told"),
)


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


def deliver(
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
    connection.execute(insert(DELIVERIES).values(values))
    d = DELIVERIES.c
    waiting = (d.channel == channel) & (d.state == "waiting")
    query = select(d.number).where(waiting).order_by(d.number.desc()).offset(MOST_WAITING)
    late = list(connection.execute(query).scalars())
    if late:
        values = {
            "state": "failed",
            "said": f"more than {MOST_WAITING} wait for this channel",
            "ended_us": now_us,
        }
        connection.execute(update(DELIVERIES).where(d.number.in_(late)).values(values))


def deliveries_keyset(spot: Spot, alert: str | None, state: str | None) -> Keyset:
    """The page of deliveries that is asked for."""
    return spot.of(repr(("deliveries", alert, state)), (Key("number", int, descending=True),))


def as_delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "message": json.loads(row.message)})
