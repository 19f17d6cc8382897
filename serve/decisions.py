"""What people decide about recommendations: to accept one, to dismiss it with a reason, that it is done and what was found.

A decision is about one failure mode of one device, in one of its life-cycles. It stands for as long as nothing new speaks
for the mode: an alert that was raised since, or a forecast that was none then, opens the recommendation anew. One that was
accepted stands until it is done or dismissed, or the device was made good by something else. Each is kept with what was
expected at that time, so that it can be held against what came of it. All changes are audited in their own transaction.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from serve import audit
from serve.accounts import Actor
from serve.database import METADATA, Database
from twins.clock import SECOND_US, Clock, WallClock
from twins.errors import CommandRefusedError

DecisionState = Literal["accepted", "dismissed", "done"]
Outcome = Literal["fault_confirmed", "no_fault_found", "other"]
Verdict = Literal["hit", "false", "missed", "unclear"]

STATES: Final = ("open", "accepted", "dismissed", "done")
"""What a recommendation can be; ``open``: nobody has decided."""

SHOWN: Final = ("open", "accepted")
"""Those that a list shows unless it is asked for others."""

DONE_STANDS_US: Final = 30 * 86_400 * SECOND_US
"""How long what was done is not recommended again on the same signs: as long as a forecast reaches."""

AT_ONCE: Final[Mapping[Outcome, Verdict]] = {"fault_confirmed": "hit", "no_fault_found": "false"}
"""Outcomes that say at once whether a recommendation was right."""

DECISIONS: Final = Table(
    "recommendation_decisions",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("device_id", String(256), nullable=False),
    Column("device_type", String(256), nullable=False),
    Column("failure_mode", String(256), nullable=False),  # empty: none that is known
    Column("is_newest", Boolean, nullable=False, index=True),  # of its device and failure mode
    Column("state", String(10), nullable=False),
    Column("life_cycle", Integer, nullable=False),
    Column("signs", Text, nullable=False),  # JSON
    Column("by", String(200), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("until_us", BigInteger, nullable=True),
    Column("accepted_by", String(200), nullable=True),
    Column("accepted_us", BigInteger, nullable=True),
    Column("action", String(256), nullable=True),
    Column("outcome", String(20), nullable=True),
    Column("command_id", String(500), nullable=True),
    Column("p_fail_7d", Float, nullable=True),
    Column("cost_nothing", Float, nullable=True),
    Column("cost_later", Float, nullable=True),
    Column("cost_now", Float, nullable=True),
    Column("verdict", String(10), nullable=True, index=True),
    Column("scored_us", BigInteger, nullable=True),
    Column("cost", Float, nullable=True),
    Index("ix_recommendation_decisions_device_id_failure_mode", "device_id", "failure_mode"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """What was decided last about a failure mode of a device, and whether that stands; None: nothing ever was."""

    newest: "Decision | None"
    stands: bool

    @property
    def decision(self) -> "Decision | None":
        return self.newest if self.stands else None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision is about, as it is at that time.

    Attributes
    ----------
    failure_mode : empty for one that is not known
    signs : the alerts and forecasts that spoke for it, as ``sign_words`` writes them
    action : the one that is recommended
    p_fail_7d, cost_nothing, cost_later, cost_now : what was expected; None: nothing was forecast
    """

    device_id: str
    device_type: str
    failure_mode: str
    life_cycle: int
    signs: tuple[str, ...]
    action: str | None
    p_fail_7d: float | None = None
    cost_nothing: float | None = None
    cost_later: float | None = None
    cost_now: float | None = None

    @property
    def recommendation(self) -> str:
        """The id of the recommendation."""
        return f"{self.device_id}:{self.failure_mode or '?'}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided.

    Attributes
    ----------
    note : of one that was dismissed: the reason
    verdict : what came of it, None while that is open; ``scored_us``: when the last word was said
    cost : what it came to in the end
    """

    id: str
    basis: Basis
    state: DecisionState
    by: str
    at_us: int
    note: str
    until_us: int | None = None
    accepted_by: str | None = None
    accepted_us: int | None = None
    outcome: Outcome | None = None
    command_id: str | None = None
    verdict: Verdict | None = None
    scored_us: int | None = None
    cost: float | None = None

    def stands(self, life_cycle: int, signs: Mapping[str, int], now_us: int) -> bool:
        """Whether it still holds.

        Parameters
        ----------
        life_cycle : the device's at present
        signs : what speaks for the mode now, and since when; 0 where that is not known
        """
        if life_cycle != self.basis.life_cycle:
            return False
        if self.state == "accepted":
            return True
        if self.until_us is not None and now_us >= self.until_us:
            return False
        if self.state == "done" and now_us >= self.at_us + DONE_STANDS_US:
            return False
        return signs.keys() <= set(self.basis.signs) and max(signs.values(), default=0) <= self.at_us


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of decisions about one failure mode of one type.

    Attributes
    ----------
    hits : what was recommended was found
    false : nothing was found, and the device did not fail
    missed : the device failed, of what was dismissed, done in vain or not done in time
    unclear : neither can be said
    pending : nothing is known yet
    expected, actual : sums over those of which both are known; None: there are none
    """

    device_type: str
    failure_mode: str
    decisions: int
    hits: int
    false: int
    missed: int
    unclear: int
    pending: int
    expected: float | None
    actual: float | None

    @property
    def confirmed(self) -> float:
        """The share of recommendations that were right, of those that are decided: the mean of Beta(1 + right, 1 + wrong),
        one half before the first."""
        right = self.hits + self.missed
        return (1 + right) / (2 + right + self.false)


UNTRIED: Final = 0.5
"""``Tally.confirmed`` of what nobody has decided about."""


class Decisions:
    """The decisions of one platform.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    def newest(self) -> list[Decision]:
        """The newest about each recommendation, without those that stand no longer whatever the device does."""
        now_us = self._clock.now_us()
        lapsed = or_(
            and_(DECISIONS.c.state == "dismissed", DECISIONS.c.until_us <= now_us),
            and_(DECISIONS.c.state == "done", DECISIONS.c.at_us <= now_us - DONE_STANDS_US),
        )
        query = select(DECISIONS).where(DECISIONS.c.is_newest, ~lapsed.is_(True)).order_by(DECISIONS.c.id)
        return self._database.read(lambda c: [_as_decision(row) for row in c.execute(query)])

    def of_device(self, device_id: str) -> dict[str, Decision]:
        """The newest about one device, by failure mode."""
        query = select(DECISIONS).where(DECISIONS.c.is_newest, DECISIONS.c.device_id == device_id)
        found = self._database.read(lambda c: [_as_decision(row) for row in c.execute(query)])
        return {each.basis.failure_mode: each for each in found}

    def pending(self) -> list[Decision]:
        """Those of which the last word is not said, the oldest first."""
        query = select(DECISIONS).where(DECISIONS.c.scored_us.is_(None)).order_by(DECISIONS.c.at_us)
        return self._database.read(lambda c: [_as_decision(row) for row in c.execute(query)])

    def keep_scores(self, scored: Sequence[Decision]) -> None:
        """Keep what came of decisions, unless something else was decided in between."""

        def work(connection: Connection) -> None:
            for each in scored:
                same = and_(DECISIONS.c.id == each.id, DECISIONS.c.at_us == each.at_us)
                values = {"verdict": each.verdict, "scored_us": each.scored_us, "cost": each.cost}
                connection.execute(update(DECISIONS).where(same).values(values))

        self._database.write(work)

    def tallies(self) -> list[Tally]:
        """What came of all decisions, by device type and failure mode."""
        t = DECISIONS.c
        expected = case((t.state == "done", t.cost_now), else_=t.cost_nothing)
        is_known = and_(expected.is_not(None), t.cost.is_not(None))
        counted = [
            func.sum(case((t.verdict == verdict, 1), else_=0)).label(verdict)
            for verdict in ("hit", "false", "missed", "unclear")
        ]
        query = (
            select(
                t.device_type, t.failure_mode, func.count().label("decisions"), *counted,
                func.sum(case((t.verdict.is_(None), 1), else_=0)).label("pending"),
                func.sum(case((is_known, expected))).label("expected"),
                func.sum(case((is_known, t.cost))).label("actual"),
            )
            .group_by(t.device_type, t.failure_mode)
            .order_by(t.device_type, t.failure_mode)
        )  # fmt: skip
        return self._database.read(lambda c: [Tally(*row) for row in c.execute(query)])

    def accept(self, actor: Actor, basis: Basis, known: Known, note: str) -> Decision:
        """Somebody is going to do it.

        Parameters
        ----------
        known : what was decided before

        Raises
        ------
        CommandRefusedError : it is done, somebody else has accepted it, or decided otherwise just now.
        """
        before = known.decision
        if before is not None and before.state == "accepted":
            if before.by != actor.name:
                why = f"{before.by} has accepted it already"
                raise CommandRefusedError("accept", basis.recommendation, why)
            return before
        made = self._made(actor, basis, known, "accepted", note)
        made = replace(made, accepted_by=actor.name, accepted_us=made.at_us, until_us=None)
        return self._write(actor, known, made)

    def dismiss(
        self, actor: Actor, basis: Basis, known: Known, reason: str, until_us: int | None
    ) -> Decision:
        """It is not to be done: the signs mean something else, or not yet. Parameters and errors as of ``accept``."""
        made = self._made(actor, basis, known, "dismissed", reason)
        return self._write(actor, known, replace(made, until_us=until_us))

    def finish(
        self, actor: Actor, basis: Basis, known: Known, outcome: Outcome, note: str, command_id: str
    ) -> Decision:
        """It is done, by the action of ``basis`` and in its life-cycle, which is the one after that.

        Parameters and errors as of ``accept``.
        """
        made = self._made(actor, basis, known, "done", note)
        verdict = AT_ONCE.get(outcome)
        made = replace(
            made, basis=replace(made.basis, life_cycle=basis.life_cycle, action=basis.action), until_us=None,
            outcome=outcome, command_id=command_id[:500], verdict=verdict, scored_us=None, cost=None,
        )  # fmt: skip
        return self._write(actor, known, made)

    def _made(self, actor: Actor, basis: Basis, known: Known, state: DecisionState, note: str) -> Decision:
        """A decision in the place of one that stands, or a new one."""
        before, now_us = known.decision, self._clock.now_us()
        if before is None:
            return Decision(secrets.token_hex(8), basis, state, actor.name, now_us, note)
        if before.state == "done":
            raise CommandRefusedError(_DOING[state], basis.recommendation, f"{before.by} has done it already")
        expected = before.basis if before.state == "accepted" else basis  # what led to the act
        signs = tuple(sorted({*before.basis.signs, *basis.signs}))
        return replace(
            before, basis=replace(expected, signs=signs), state=state, by=actor.name, at_us=now_us, note=note
        )

    def _write(self, actor: Actor, known: Known, made: Decision) -> Decision:
        mine = and_(
            DECISIONS.c.device_id == made.basis.device_id,
            DECISIONS.c.failure_mode == made.basis.failure_mode,
            DECISIONS.c.is_newest,
        )

        def work(connection: Connection) -> None:
            found = connection.execute(select(DECISIONS).where(mine)).first()
            newest = None if found is None else _as_decision(found)
            if not _are_same(newest, known.newest):
                why = f"{newest.by if newest else 'somebody'} has just decided about it; look at it again"
                raise CommandRefusedError(_DOING[made.state], made.basis.recommendation, why)
            if known.stands and newest is not None:
                connection.execute(update(DECISIONS).where(DECISIONS.c.id == made.id).values(_values(made)))
            else:
                connection.execute(update(DECISIONS).where(mine).values(is_newest=False))
                connection.execute(insert(DECISIONS).values(_values(made)))
            said = {"note": made.note, **({"outcome": made.outcome} if made.outcome else {})}
            audit.record(
                connection, made.at_us, actor.name, actor.address, f"recommendation.{made.state}",
                made.basis.recommendation, **said,
            )  # fmt: skip

        self._database.write(work)
        return made


_DOING: Final[Mapping[DecisionState, str]] = {
    "accepted": "accept",
    "dismissed": "dismiss",
    "done": "record as done",
}


def _are_same(one: Decision | None, other: Decision | None) -> bool:
    """Whether nobody has decided in between; what came of a decision may have been found out."""
    said = [None if each is None else (each.id, each.state, each.at_us) for each in (one, other)]
    return said[0] == said[1]


def sign_words(signs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Signs as a decision keeps them. Patterns are left out: lists do not see them, so they open nothing anew."""
    return tuple(sorted(f"{kind}:{name}" for kind, name in signs if kind != "pattern"))


def _values(decision: Decision) -> dict[str, Any]:
    basis = asdict(decision.basis)
    own = {name: getattr(decision, name) for name in Decision.__dataclass_fields__ if name != "basis"}
    return {**basis, **own, "signs": json.dumps(decision.basis.signs), "is_newest": True}


def _as_decision(row: Row[Any]) -> Decision:
    said = row._asdict()
    said.pop("is_newest")
    basis = {name: said.pop(name) for name in Basis.__dataclass_fields__}
    return Decision(basis=Basis(**{**basis, "signs": tuple(json.loads(basis["signs"]))}), **said)
