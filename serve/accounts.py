"""People's accounts: names, roles, their passwords. Each change is audited in its own transaction.

How somebody proves to be the owner of one, and for how long that holds, is up to ``sessions.py``.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    Update,
    delete,
    func,
    insert,
    select,
    update,
)

from serve import audit, passwords
from serve.config import Registration
from serve.database import METADATA, Database
from serve.errors import (
    AccountExistsError,
    AccountNotFoundError,
    InvitationNotFoundError,
    LoginError,
    UnfitError,
)
from serve.keyset import Key, Spot
from serve.revisions import check_revision
from serve.row_pages import RowPage, rows_page
from twins.clock import DAY_US, SECOND_US, Clock, WallClock
from twins.errors import CommandRefusedError

Role = Literal["viewer", "operator", "engineer", "admin"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "engineer", "admin")
"""From the least to the most that one may do; each may do what those before may."""

FIRST_ADMIN: Final = "admin"
SYSTEM: Final = "system"

MOST_ACCOUNTS: Final = 10_000
MOST_SITES: Final = 100
LONGEST_SITE: Final = 256

_ONE_TIME_US: Final = 7 * DAY_US
_INVITE_US: Final = 7 * DAY_US
_INVITE_ID: Final = 16  # characters of the hash
_NAME: Final = re.compile(r"[\w.@+ -]{1,100}")
_LONGEST_KEY: Final = 200
_TOTP_STEP_S: Final = 30

ACCOUNTS: Final = Table(
    "accounts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("key", String(200), nullable=False),
    Column("password", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sites", Text),
    Column("must_change", Boolean, nullable=False),
    Column("password_until_us", BigInteger),
    Column("disabled", Boolean, nullable=False),
    Column("totp", Text),  # sealed where the data folder is encrypted
    Column("totp_on", Boolean, nullable=False),
    Column("totp_step", BigInteger, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("key"),
)
_INVITES: Final = Table(
    "invites",
    METADATA,
    Column("hash", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("sites", Text),
    Column("by", String(200), nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("account_id", Integer, ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("ended_why", String(100), nullable=False),
    Column("address", String(100), nullable=False),
    Column("agent", String(200), nullable=False),
    UniqueConstraint("hash"),
    Index("ix_sessions_account_id", "account_id", "made_us"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who somebody is here. ``sites`` are those that the role counts at; None: at all of them, as it is for every admin."""

    id: int
    name: str
    role: Role
    must_change: bool
    disabled: bool
    totp: bool
    made_us: int
    sites: frozenset[str] | None = None
    revision: int = 1

    def reaches(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Unchanged:
    """Stands for what is to stay as it is, where None means something."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation that still counts; ``id`` tells nothing of its code."""

    id: str
    role: Role
    sites: frozenset[str] | None
    by: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where: for the audit."""

    name: str
    address: str = ""


class Accounts:
    """The accounts of one platform.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    # -- looking ---------------------------------------------------------------------------------------------------

    def all(self) -> list[Account]:
        """Every account, by name."""
        rows = self._database.read(lambda c: c.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.key)).all())
        return [as_account(row) for row in rows]

    def page(self, spot: Spot) -> RowPage[Account]:
        """One page of the accounts, by name. Raises CursorError."""
        keyset = spot.of("accounts", (Key("key", str),))
        return self._database.read(lambda c: rows_page(c, select(ACCOUNTS), keyset, as_account))

    def find(self, name: str) -> Account:
        """One account; raises AccountNotFoundError."""
        return as_account(self._database.read(lambda c: _row(c, name)))

    def is_managed(self) -> bool:
        """Whether somebody who may manage accounts has a password of their own."""
        mine = (
            (ACCOUNTS.c.role == "admin") & ACCOUNTS.c.disabled.is_(False) & ACCOUNTS.c.must_change.is_(False)
        )
        found = select(func.count()).select_from(ACCOUNTS).where(mine)
        return self._database.read(lambda c: c.execute(found).scalar_one()) > 0

    # -- changing --------------------------------------------------------------------------------------------------

    def first_admin(self) -> str | None:
        """Make the first admin, if there is no account at all; gives the password for one use."""
        password = passwords.one_time()
        kept = passwords.hashed(password)

        def work(connection: Connection) -> str | None:
            if connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar():
                return None
            self._insert(connection, FIRST_ADMIN, kept, "admin", None, Actor(SYSTEM), once=True)
            return password

        return self._database.write(work)

    def create(self, name: str, role: Role, actor: Actor, sites: Iterable[str] | None = None) -> str:
        """Make an account, for some sites or for all; gives the password for one use, to be handed over.

        Raises
        ------
        AccountExistsError, UnfitError : the name is taken, or is none; the sites cannot be.
        """
        chosen = fit_sites(role, sites)
        password = passwords.one_time()
        kept = passwords.hashed(password)
        self._database.write(lambda c: self._insert(c, name, kept, role, chosen, actor, once=True))
        return password

    def invite(self, role: Role, actor: Actor, sites: Iterable[str] | None = None) -> str:
        """A code with which one person may register, within a week. Raises UnfitError for sites that cannot be."""
        chosen = fit_sites(role, sites)
        code = secrets.token_urlsafe(24)
        now_us = self._clock.now_us()

        def work(connection: Connection) -> None:
            connection.execute(delete(_INVITES).where(_INVITES.c.expires_us < now_us))
            values = {
                "hash": digest(code), "role": role, "sites": _as_text(chosen), "by": actor.name,
                "expires_us": now_us + _INVITE_US,
            }  # fmt: skip
            connection.execute(insert(_INVITES).values(values))
            audit.record(
                connection, now_us, actor.name, actor.address, "invite.made", role=role, sites=_listed(chosen)
            )

        self._database.write(work)
        return code

    def invites(self, spot: Spot) -> RowPage[Invite]:
        """One page of the invitations that count, those that end last first. Raises CursorError."""
        keyset = spot.of("invitations", (Key("expires_us", int, descending=True), Key("hash", str)))
        query = select(_INVITES).where(_INVITES.c.expires_us > self._clock.now_us())
        return self._database.read(lambda c: rows_page(c, query, keyset, _as_invite))

    def withdraw(self, invite_id: str, actor: Actor) -> None:
        """Let an invitation count no longer. Raises InvitationNotFoundError."""
        now_us = self._clock.now_us()

        def work(connection: Connection) -> None:
            this = _INVITES.c.hash.startswith(invite_id, autoescape=True) & (_INVITES.c.expires_us > now_us)
            found = connection.execute(select(_INVITES).where(this)).first()
            if len(invite_id) != _INVITE_ID or found is None:
                raise InvitationNotFoundError(invite_id)
            connection.execute(delete(_INVITES).where(_INVITES.c.hash == found.hash))
            audit.record(
                connection, now_us, actor.name, actor.address, "invite.withdrawn", invite_id, made_by=found.by
            )

        self._database.write(work)

    def register(
        self, name: str, password: str, how: Registration, code: str | None, address: str
    ) -> Account:
        """Make an account for whoever asks: a viewer where that is open to all, else as the invitation says.

        Raises
        ------
        CommandRefusedError : registration is closed, or the invitation does not count.
        AccountExistsError, PasswordError, UnfitError : as said.
        """
        if how == "closed":
            raise CommandRefusedError("register", name, "accounts are made by an admin here; ask one")
        passwords.check(password, name)
        kept = passwords.hashed(password)
        now_us = self._clock.now_us()

        def work(connection: Connection) -> Account:
            role: Role = "viewer"
            sites: frozenset[str] | None = None
            if how == "invite":
                query = select(_INVITES).where(
                    _INVITES.c.hash == digest(code or ""), _INVITES.c.expires_us > now_us
                )
                found = connection.execute(query).first()
                if found is None:
                    raise CommandRefusedError(
                        "register", name, "the invitation does not count, or no longer; ask for one"
                    )
                connection.execute(delete(_INVITES).where(_INVITES.c.hash == found.hash))
                role, sites = found.role, as_sites(found.sites)
            self._insert(connection, name, kept, role, sites, Actor(name, address), once=False)
            return as_account(_row(connection, name))

        return self._database.write(work)

    def change(
        self,
        name: str,
        actor: Actor,
        expected: int | None = None,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
        sites: Iterable[str] | Unchanged | None = UNCHANGED,
    ) -> Account:
        """Change what an account may do, and where. Its sessions end, so that the change holds at once.

        Parameters
        ----------
        expected : the revision that this is a change of; None: any
        sites : those that the role counts at; None: all

        Raises
        ------
        AccountNotFoundError : there is none of this name.
        RevisionConflictError : it was changed since.
        CommandRefusedError : nobody would be left who may manage accounts.
        UnfitError : nothing is to be changed, or the sites cannot be.
        """

        def work(connection: Connection) -> Account:
            row = _row(connection, name)
            check_revision("change the account", row.name, row.revision, expected)
            values: dict[str, Any] = {}
            if role is not None:
                values["role"] = role
            if disabled is not None:
                values["disabled"] = disabled
            said = dict(values)
            wanted = as_sites(row.sites) if isinstance(sites, Unchanged) else sites
            chosen = fit_sites(role or row.role, wanted)
            if not isinstance(sites, Unchanged):
                values["sites"], said["sites"] = _as_text(chosen), _listed(chosen)
            if not values:
                raise UnfitError("nothing is to be changed", "name a role, sites, or whether it is disabled")
            after = {"role": row.role, "disabled": row.disabled, **values}
            if not _manages(after["role"], after["disabled"]):
                _keep_one_admin(connection, row.id, name)
            connection.execute(_anew(values).where(ACCOUNTS.c.id == row.id))
            end_sessions(connection, row.id, self._clock.now_us(), "the account was changed")
            audit.record(
                connection,
                self._clock.now_us(),
                actor.name,
                actor.address,
                "account.changed",
                row.name,
                **said,
            )
            return as_account(_row(connection, name))

        return self._database.write(work)

    def reset(self, name: str, actor: Actor) -> str:
        """A new password for one use, to be handed over; the account's sessions end, and a second factor is forgotten."""
        password = passwords.one_time()
        kept = passwords.hashed(password)

        def work(connection: Connection) -> None:
            row, now_us = _row(connection, name), self._clock.now_us()
            values = {
                "password": kept, "must_change": True, "password_until_us": now_us + _ONE_TIME_US, "totp": None,
                "totp_on": False,
            }  # fmt: skip
            connection.execute(_anew(values).where(ACCOUNTS.c.id == row.id))
            end_sessions(connection, row.id, now_us, "the password was reset")
            audit.record(connection, now_us, actor.name, actor.address, "password.reset", row.name)

        self._database.write(work)
        return password

    def change_password(
        self, name: str, old: str, new: str, address: str, keep_session: str | None = None
    ) -> None:
        """Take a new password from its owner; all other sessions end.

        Raises
        ------
        LoginError : the old password is wrong.
        PasswordError : the new one will not do.
        """
        row = self._database.read(lambda c: _row(c, name))
        if not passwords.matches(row.password, old):
            raise LoginError()
        passwords.check(new, row.name, is_admin=row.role == "admin")
        if passwords.matches(row.password, new):
            raise UnfitError("the new password is the old one", "choose another")
        kept = passwords.hashed(new)

        def work(connection: Connection) -> None:
            mine = (ACCOUNTS.c.id == row.id) & (ACCOUNTS.c.password == row.password)
            values = {"password": kept, "must_change": False, "password_until_us": None}
            if not connection.execute(_anew(values).where(mine)).rowcount:
                raise LoginError()  # it was reset meanwhile
            end_sessions(connection, row.id, self._clock.now_us(), "the password was changed", keep_session)
            audit.record(connection, self._clock.now_us(), row.name, address, "password.changed", row.name)

        self._database.write(work)

    # -- a second factor -------------------------------------------------------------------------------------------

    def begin_totp(self, name: str) -> tuple[str, str]:
        """A new secret for an authenticator app, and its URI; it counts once ``confirm_totp`` has seen a code of it."""
        secret = base64.b32encode(secrets.token_bytes(20)).decode()

        def work(connection: Connection) -> None:
            row = _row(connection, name)
            if row.totp_on:
                raise CommandRefusedError("set up", name, "a second factor is in use; turn it off first")
            sealed = self._database.seal(secret, totp_place(row.id))
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == row.id).values(totp=sealed))

        self._database.write(work)
        return secret, f"otpauth://totp/Twinfold:{quote(name)}?secret={secret}&issuer=Twinfold"

    def confirm_totp(self, name: str, code: str, address: str) -> None:
        """Ask for a code at each log-in from now on. Raises LoginError for a code that is not right."""

        def work(connection: Connection) -> None:
            row = _row(connection, name)
            now_us = self._clock.now_us()
            if row.totp is None or not spend_code(self._database, connection, row, code, now_us):
                raise LoginError()
            connection.execute(_anew({"totp_on": True}).where(ACCOUNTS.c.id == row.id))
            audit.record(connection, self._clock.now_us(), row.name, address, "totp.on", row.name)

        self._database.write(work)

    def end_totp(self, name: str, password: str, address: str) -> None:
        """Ask for no code any more. Raises LoginError for a wrong password."""
        row = self._database.read(lambda c: _row(c, name))
        if not passwords.matches(row.password, password):
            raise LoginError()

        def work(connection: Connection) -> None:
            connection.execute(_anew({"totp": None, "totp_on": False}).where(ACCOUNTS.c.id == row.id))
            audit.record(connection, self._clock.now_us(), row.name, address, "totp.off", row.name)

        self._database.write(work)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _insert(
        self,
        connection: Connection,
        name: str,
        kept: str,
        role: Any,
        sites: frozenset[str] | None,
        actor: Actor,
        once: bool,
    ) -> None:
        if not is_name(name):
            raise UnfitError(
                f"{name[:100]!r} is no name for an account", "use letters, digits and . @ + - _, at most 100"
            )
        if role not in ROLES:
            raise UnfitError(f"there is no role {role!r}", f"it is one of {', '.join(ROLES)}")
        if connection.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.key == name_key(name))).first():
            raise AccountExistsError(name)
        if connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one() >= MOST_ACCOUNTS:
            raise CommandRefusedError(
                "make", name, f"there are {MOST_ACCOUNTS} accounts, the most there can be"
            )
        now_us = self._clock.now_us()
        values = {
            "name": name, "key": name_key(name), "password": kept, "role": role, "sites": _as_text(sites),
            "must_change": once, "password_until_us": now_us + _ONE_TIME_US if once else None, "disabled": False,
            "totp": None, "totp_on": False, "totp_step": 0, "made_us": now_us, "revision": 1,
        }  # fmt: skip
        connection.execute(insert(ACCOUNTS).values(values))
        audit.record(
            connection,
            now_us,
            actor.name,
            actor.address,
            "account.made",
            name,
            role=role,
            sites=_listed(sites),
        )


def fit_sites(role: str, sites: Iterable[str] | None) -> frozenset[str] | None:
    """The sites of an account of this role as somebody asked for them; None: all.

    Raises
    ------
    UnfitError : none or too many are named, one is no name, or the role is that of admins, who are for all sites.
    """
    if sites is None:
        return None
    found = frozenset(sites)
    if role == "admin":
        raise UnfitError("an admin is for all sites", "leave the sites out, or choose another role")
    if not 0 < len(found) <= MOST_SITES:
        raise UnfitError(f"{len(found)} sites", f"name 1 to {MOST_SITES}, or null for all sites")
    for each in found:
        if not 0 < len(each) <= LONGEST_SITE or not each.isprintable():
            raise UnfitError(f"{each[:60]!r} is no name of a site", "name it as the devices there do")
    return found


def end_sessions(
    connection: Connection, account_id: int, now_us: int, why: str, keep: str | None = None
) -> None:
    """End the sessions of an account, all but one."""
    going = (SESSIONS.c.account_id == account_id) & SESSIONS.c.ended_us.is_(None)
    if keep is not None:
        going &= SESSIONS.c.id != keep
    connection.execute(update(SESSIONS).where(going).values(ended_us=now_us, ended_why=why))


def digest(secret: str) -> str:
    """What is kept of a secret of 128 random bits or more: such need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_name(text: str) -> bool:
    """Whether an account could have this name."""
    return _NAME.fullmatch(text) is not None and text == text.strip() and len(name_key(text)) <= _LONGEST_KEY


def name_key(name: str) -> str:
    """What two names have in common that are the same to a person: case and ways of writing a letter do not count.

    Examples
    --------
    >>> name_key("Åse") == name_key("A\u030ase")
    True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def find_row(connection: Connection, name: str) -> Row[Any] | None:
    """The row of an account, if there is one of this name; what is no name has none."""
    if not is_name(name):
        return None
    return connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.key == name_key(name))).first()


def as_account(row: Row[Any]) -> Account:
    return Account(
        row.id, row.name, row.role, row.must_change, row.disabled, row.totp_on, row.made_us, as_sites(row.sites),
        row.revision,
    )  # fmt: skip


def _as_invite(row: Row[Any]) -> Invite:
    return Invite(row.hash[:_INVITE_ID], row.role, as_sites(row.sites), row.by, row.expires_us)


def as_sites(text: str | None) -> frozenset[str] | None:
    """The sites of a row; None: all."""
    return None if text is None else frozenset(json.loads(text))


def _as_text(sites: frozenset[str] | None) -> str | None:
    return None if sites is None else json.dumps(sorted(sites), ensure_ascii=False)


def _listed(sites: frozenset[str] | None) -> list[str] | None:
    return None if sites is None else sorted(sites)


def totp_place(account_id: int) -> str:
    """What the sealed secret of a second factor is bound to."""
    return f"accounts/{account_id}/totp"


def spend_code(database: Database, connection: Connection, row: Row[Any], code: str, now_us: int) -> bool:
    """Whether a code is right, now or one step away, and has not been used (RFC 6238)."""
    now = now_us // (_TOTP_STEP_S * SECOND_US)
    secret, said = database.unseal(row.totp, totp_place(row.id)), code.strip().encode()
    for step in (now, now - 1, now + 1):
        if step > row.totp_step and hmac.compare_digest(totp(secret, step).encode(), said):
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == row.id).values(totp_step=step))
            return True
    return False


def totp(secret: str, step: int) -> str:
    """The six digits of a step (RFC 6238, SHA-1, as authenticator apps have it).

    Examples
    --------
    >>> totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 59 // 30)
    '287082'
    """
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 0xF
    (number,) = struct.unpack(">I", mac[at : at + 4])
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"


def _row(connection: Connection, name: str) -> Row[Any]:
    row = find_row(connection, name)
    if row is None:
        raise AccountNotFoundError(name)
    return row


def _anew(values: Mapping[str, Any]) -> Update:
    """A change of accounts that others see: each is another revision."""
    return update(ACCOUNTS).values({**values, "revision": ACCOUNTS.c.revision + 1})


def _manages(role: str, disabled: bool) -> bool:
    return role == "admin" and not disabled


def _keep_one_admin(connection: Connection, but: int, name: str) -> None:
    others = (ACCOUNTS.c.role == "admin") & ACCOUNTS.c.disabled.is_(False) & (ACCOUNTS.c.id != but)
    if not connection.execute(select(func.count()).select_from(ACCOUNTS).where(others)).scalar():
        row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == but)).one()
        if _manages(row.role, row.disabled):
            raise CommandRefusedError("change", name, "no admin would be left; make another one first")
