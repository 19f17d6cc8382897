"""Logging in, and for how long that holds: browser sessions, refresh and access tokens, limits.

A browser's session is an opaque cookie, a program's an opaque refresh token that changes at each use, with which it gets
access tokens of ten minutes. Both are rows here, so that ending one holds within two seconds on every replica. A refresh
token that was spent and comes again is a stolen one: the session ends.

Limits count failures, and never by the account alone: whoever guesses from elsewhere cannot keep its owner out, who comes
from an address that has been in before.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
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
    delete,
    func,
    insert,
    select,
    update,
)

from serve import audit, passwords
from serve.accounts import (
    ACCOUNTS,
    SESSIONS,
    Account,
    as_account,
    digest,
    find_row,
    is_name,
    name_key,
    spend_code,
)
from serve.database import METADATA, Database
from serve.errors import LoginError, LoginRequiredError, TokenError, TooManyAttemptsError
from serve.tokens import LIFETIME_S, TokenKeys, issue, verify
from twins.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Clock, WallClock

Kind = Literal["browser", "program"]

IDLE_US: Final = 12 * HOUR_US
LONGEST_US: Final = 7 * DAY_US

PAIR_FAILURES: Final = 5
"""Wrong attempts at one account from one address, in a quarter of an hour."""

ADDRESS_FAILURES: Final = 40
"""Wrong attempts from one address, at any account."""

ACCOUNT_FAILURES: Final = 100
"""Wrong attempts at one account from addresses that have never been in; others are not held up by them."""

SESSIONS_KEPT: Final = 200
"""Sessions of one account, those that are over too; a program that logs in at each request loses its oldest."""

_WINDOW_US: Final = 15 * MINUTE_US
_BEEN_IN_US: Final = 30 * DAY_US
_RACE_US: Final = 10 * SECOND_US
_KEPT_US: Final = 30 * DAY_US
_SEEN_EVERY_US: Final = MINUTE_US
_KNOWN_US: Final = 2 * SECOND_US
_KNOWN: Final = 10_000

_SPENT: Final = Table(
    "spent_tokens",
    METADATA,
    Column("hash", String(64), primary_key=True),
    Column("session_id", String(32), nullable=False),
    Column("spent_us", BigInteger, nullable=False),
)
_ATTEMPTS: Final = Table(
    "login_attempts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("address", String(100), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("ix_login_attempts_at_us", "at_us"),
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, in which session."""

    account: Account
    session: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new session. ``secret`` is the cookie, or the refresh token; shown once."""

    principal: Principal
    secret: str


@dataclass(frozen=True, slots=True)
class Session:
    """One session as its owner sees it."""

    id: str
    kind: Kind
    made_us: int
    seen_us: int
    address: str
    agent: str


class Sessions:
    """The sessions of one platform. Safe for many threads.

    Parameters
    ----------
    database : where they are
    keys : with which access tokens are signed
    clock : what time it is
    """

    def __init__(self, database: Database, keys: TokenKeys, clock: Clock | None = None) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock or WallClock()
        self._known: OrderedDict[tuple[str, str], tuple[int, Principal]] = OrderedDict()
        self._lock = threading.Lock()

    # -- logging in and out ----------------------------------------------------------------------------------------

    def log_in(
        self,
        name: str,
        password: str,
        kind: Kind,
        address: str = "",
        agent: str = "",
        code: str | None = None,
    ) -> LoggedIn:
        """Begin a session.

        Raises
        ------
        LoginError : name, password or code are not right; takes as long whichever it is.
        TooManyAttemptsError : too many of these from here.
        """
        name = name if is_name(name) else ""  # what is no name is nobody's
        attempt = self._database.write(lambda c: self._count(c, name, address))
        row = self._database.read(lambda c: find_row(c, name))
        right = passwords.matches(None if row is None else row.password, password)
        now_us = self._clock.now_us()
        if row is None or not right or row.disabled or now_us >= (row.password_until_us or now_us + 1):
            self._failed(name, address)
            raise LoginError()
        kept = passwords.hashed(password) if passwords.is_dated(row.password) else None

        def work(connection: Connection) -> LoggedIn | None:
            current = _account_row(connection, ACCOUNTS.c.id == row.id)
            if current is None or current.password != row.password or current.disabled:
                return None  # changed while it was checked
            if current.totp_on and not spend_code(self._database, connection, current, code or "", now_us):
                return None
            if kept is not None:
                connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == row.id).values(password=kept))
            connection.execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.id == attempt))
            self._clear(connection, now_us)
            return self._begin(connection, as_account(current), kind, address, agent)

        begun = self._database.write(work)
        if begun is None:
            self._failed(name, address)
            raise LoginError()
        return begun

    def prove(self, principal: Principal, password: str, address: str = "") -> None:
        """Have whoever holds the session show that they know its password, under the limits of logging in.

        Raises
        ------
        LoginError : it is wrong.
        TooManyAttemptsError : too many of these from here.
        """
        name = principal.account.name
        attempt = self._database.write(lambda c: self._count(c, name, address))
        row = self._database.read(lambda c: find_row(c, name))
        if not passwords.matches(None if row is None else row.password, password):
            self._failed(name, address)
            raise LoginError()
        self._database.write(lambda c: c.execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.id == attempt)))

    def log_out(self, principal: Principal, address: str = "") -> None:
        """End this session."""
        self.end(principal, principal.session, address)

    def end(self, principal: Principal, session: str, address: str = "") -> None:
        """End one of the account's sessions; one that is not its own is left alone."""

        def work(connection: Connection) -> None:
            mine = (SESSIONS.c.id == session) & (SESSIONS.c.account_id == principal.account.id)
            going = mine & SESSIONS.c.ended_us.is_(None)
            values = {"ended_us": self._clock.now_us(), "ended_why": "logged out"}
            if connection.execute(update(SESSIONS).where(going).values(values)).rowcount:
                name = principal.account.name
                audit.record(
                    connection, self._clock.now_us(), name, address, "session.ended", name, session=session
                )

        self._database.write(work)
        self.forget(session)

    def all(self, principal: Principal) -> list[Session]:
        """The account's sessions that last, the newest first."""
        now_us = self._clock.now_us()
        query = (
            select(SESSIONS)
            .where(SESSIONS.c.account_id == principal.account.id, _lasts(now_us))
            .order_by(SESSIONS.c.made_us.desc())
            .limit(100)
        )
        rows = self._database.read(lambda c: c.execute(query).all())
        return [Session(r.id, r.kind, r.made_us, r.seen_us, r.address, r.agent) for r in rows]

    # -- who asks --------------------------------------------------------------------------------------------------

    def of_cookie(self, secret: str) -> Principal:
        """Whose browser it is. Raises LoginRequiredError where the session is over."""
        return self._once(
            ("cookie", digest(secret)),
            lambda: (SESSIONS.c.hash == digest(secret)) & (SESSIONS.c.kind == "browser"),
        )

    def known_cookie(self, secret: str) -> Principal | None:
        """What ``of_cookie`` would give, if it was asked a moment ago; else None."""
        return self._remembered(("cookie", digest(secret)))

    def of_token(self, token: str) -> Principal:
        """Whose program it is. Raises TokenError, LoginRequiredError."""
        claims = verify(self._keys, token, self._clock.now_us() // SECOND_US)
        found = self._once(("session", claims.session), lambda: SESSIONS.c.id == claims.session)
        if str(found.account.id) != claims.subject:
            raise TokenError("its session is somebody else's")
        return found

    def access_token(self, principal: Principal) -> tuple[str, int]:
        """A token for the session, and for how many seconds it is good."""
        now_s = self._clock.now_us() // SECOND_US
        return issue(self._keys, str(principal.account.id), principal.session, now_s), LIFETIME_S

    def refresh(self, secret: str, address: str = "") -> LoggedIn:
        """A new refresh token for an old one, which is spent by that.

        Raises
        ------
        LoginRequiredError : it does not count. If it was spent before, somebody has a copy: the session ends.
        """

        hashed = digest(secret)
        if not self._database.read(
            lambda c: _was_given(c, hashed)
        ):  # whoever guesses holds up nobody who writes
            raise LoginRequiredError()

        def work(connection: Connection) -> LoggedIn | None:
            now_us = self._clock.now_us()
            row = _session_row(
                connection, (SESSIONS.c.hash == hashed) & (SESSIONS.c.kind == "program"), now_us
            )
            if row is not None:
                fresh = secrets.token_urlsafe(32)
                connection.execute(
                    insert(_SPENT).values(hash=hashed, session_id=row.session, spent_us=now_us)
                )
                values = {"hash": digest(fresh), "seen_us": now_us}
                connection.execute(update(SESSIONS).where(SESSIONS.c.id == row.session).values(values))
                return LoggedIn(_principal(row), fresh)
            spent = connection.execute(select(_SPENT).where(_SPENT.c.hash == hashed)).first()
            if spent is not None and now_us - spent.spent_us > _RACE_US:
                self._revoke(connection, spent.session_id, address)
            return None

        found = self._database.write(work)
        if found is None:
            raise LoginRequiredError()
        return found

    def still(self, principal: Principal) -> Principal:
        """The principal as it is now. Raises LoginRequiredError where the session is over."""
        return self._once(("session", principal.session), lambda: SESSIONS.c.id == principal.session)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _once(self, key: tuple[str, str], where: Callable[[], Any]) -> Principal:
        """Look up who asks, at most every two seconds."""
        known = self._remembered(key)
        if known is not None:
            return known
        now_us = self._clock.now_us()
        row = self._database.read(lambda c: _session_row(c, where(), now_us))
        if row is None:
            with self._lock:
                self._known.pop(key, None)
            raise LoginRequiredError()
        if now_us - row.seen_us > _SEEN_EVERY_US:
            mine = SESSIONS.c.id == row.session
            self._database.write(lambda c: c.execute(update(SESSIONS).where(mine).values(seen_us=now_us)))
        found = _principal(row)
        with self._lock:
            self._known[key] = now_us, found
            self._known.move_to_end(key)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return found

    def _remembered(self, key: tuple[str, str]) -> Principal | None:
        with self._lock:
            known = self._known.get(key)
        fresh = known is not None and 0 <= self._clock.now_us() - known[0] < _KNOWN_US
        return known[1] if known is not None and fresh else None

    def forget(self, session: str) -> None:
        """Look a session up anew the next time: it was just changed."""
        with self._lock:
            gone = [key for key, (_, found) in self._known.items() if found.session == session]
            for key in gone:
                del self._known[key]

    def _begin(
        self, connection: Connection, account: Account, kind: Kind, address: str, agent: str
    ) -> LoggedIn:
        secret, now_us = secrets.token_urlsafe(32), self._clock.now_us()
        session = secrets.token_hex(16)
        values = {
            "id": session, "account_id": account.id, "kind": kind, "hash": digest(secret), "made_us": now_us,
            "seen_us": now_us, "ended_us": None, "ended_why": "", "address": address[:100], "agent": agent[:200],
        }  # fmt: skip
        connection.execute(insert(SESSIONS).values(values))
        mine = select(SESSIONS.c.id).where(SESSIONS.c.account_id == account.id)
        too_many = mine.order_by(SESSIONS.c.made_us.desc(), SESSIONS.c.id).offset(SESSIONS_KEPT)
        oldest = connection.execute(too_many).scalars().all()
        if oldest:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(oldest)))
        audit.record(
            connection,
            now_us,
            account.name,
            address,
            "session.begun",
            account.name,
            session=session,
            kind=kind,
        )
        return LoggedIn(Principal(account, session, kind), secret)

    def _revoke(self, connection: Connection, session: str, address: str) -> None:
        going = (SESSIONS.c.id == session) & SESSIONS.c.ended_us.is_(None)
        now_us = self._clock.now_us()
        values = {"ended_us": now_us, "ended_why": "a refresh token came twice"}
        if connection.execute(update(SESSIONS).where(going).values(values)).rowcount:
            audit.record(
                connection, now_us, "system", address, "session.revoked", session, why=values["ended_why"]
            )

    def _count(self, connection: Connection, name: str, address: str) -> int:
        """Count an attempt before it is made, so that many at once cannot slip through; it is taken back if it succeeds."""
        now_us, key = self._clock.now_us(), digest(name_key(name))
        connection.execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.at_us < now_us - _WINDOW_US))
        recent = _ATTEMPTS.c.at_us >= now_us - _WINDOW_US
        here, this = _ATTEMPTS.c.address == address, _ATTEMPTS.c.key == key
        self._refuse(connection, recent & here & this, PAIR_FAILURES, now_us)
        self._refuse(connection, recent & here, ADDRESS_FAILURES, now_us)
        if not _has_been_in(connection, name, address, now_us):
            self._refuse(connection, recent & this, ACCOUNT_FAILURES, now_us)
        made = connection.execute(insert(_ATTEMPTS).values(key=key, address=address[:100], at_us=now_us))
        assert made.inserted_primary_key is not None
        number: int = made.inserted_primary_key[0]
        return number

    def _refuse(self, connection: Connection, which: Any, most: int, now_us: int) -> None:
        count, oldest = connection.execute(
            select(func.count(), func.min(_ATTEMPTS.c.at_us)).where(which)
        ).one()
        if count >= most:
            raise TooManyAttemptsError((oldest + _WINDOW_US - now_us) / SECOND_US + 1)

    def _failed(self, name: str, address: str) -> None:
        self._database.write(
            lambda c: audit.record(c, self._clock.now_us(), "", address, "login.failed", name[:100])
        )

    def _clear(self, connection: Connection, now_us: int) -> None:
        """Let go of what has been over for long."""
        connection.execute(delete(_SPENT).where(_SPENT.c.spent_us < now_us - LONGEST_US))
        connection.execute(delete(SESSIONS).where(SESSIONS.c.made_us < now_us - LONGEST_US - _KEPT_US))


def _account_row(connection: Connection, where: Any) -> Row[Any] | None:
    return connection.execute(select(ACCOUNTS).where(where)).first()


def _session_row(connection: Connection, where: Any, now_us: int) -> Row[Any] | None:
    """The session with its account, if both are good now."""
    query = (
        select(ACCOUNTS, SESSIONS.c.id.label("session"), SESSIONS.c.kind, SESSIONS.c.seen_us)
        .join(SESSIONS, SESSIONS.c.account_id == ACCOUNTS.c.id)
        .where(where, _lasts(now_us), ACCOUNTS.c.disabled.is_(False))
    )
    return connection.execute(query).first()


def _lasts(now_us: int) -> Any:
    return (
        SESSIONS.c.ended_us.is_(None)
        & (SESSIONS.c.seen_us > now_us - IDLE_US)
        & (SESSIONS.c.made_us > now_us - LONGEST_US)
    )


def _was_given(connection: Connection, hashed: str) -> bool:
    """Whether a refresh token of this hash was ever given out."""
    return any(
        connection.execute(select(column).where(column == hashed)).first() is not None
        for column in (SESSIONS.c.hash, _SPENT.c.hash)
    )


def _has_been_in(connection: Connection, name: str, address: str, now_us: int) -> bool:
    query = (
        select(SESSIONS.c.id)
        .join(ACCOUNTS, SESSIONS.c.account_id == ACCOUNTS.c.id)
        .where(ACCOUNTS.c.key == name_key(name), SESSIONS.c.address == address)
        .where(SESSIONS.c.made_us > now_us - _BEEN_IN_US)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _principal(row: Row[Any]) -> Principal:
    return Principal(as_account(row), row.session, row.kind)
