"""Keys with which gateways and devices send readings, or a collector reads metrics, and nothing else.

A key is ``tfk_<id>_<secret>``, its secret 256 random bits. Such need no slow hash: what is kept is a keyed one (HMAC), under
a secret of this platform's that is not in the database, so that writing a row there does not make a key. It is shown once.
Rotating gives a second secret beside the first, which goes on for a while; revoking holds within a second everywhere: each
replica remembers keys, and asks the database which have changed since.

Source: OWASP ASVS 5.0, 6.5.2 (lookup secrets of 112 bits and more may be kept by a fast hash).
"""

import hashlib
import hmac
import os
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Row,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)

from serve import audit
from serve.accounts import Actor
from serve.database import METADATA, Database
from serve.errors import KeyNotFoundError, KeyRefusedError, UnfitError
from serve.keyset import Key, Spot
from serve.row_pages import RowPage, rows_page
from serve.scopes import Scope
from twins import sealing
from twins.clock import MINUTE_US, SECOND_US, Clock, WallClock

KeyKind = Literal["readings", "metrics"]
"""What a key is for: sending readings of the devices in its scope, or reading ``/metrics``."""

PREFIX: Final = "tfk_"
OVERLAP_S: Final = 86_400.0
LONGEST_OVERLAP_S: Final = 90 * 86_400.0

SECRET_FILE: Final = "key-secret"  # the name of a file  # noqa: S105

_SECRET_BYTES: Final = 32
_SHAPE: Final = re.compile(r"tfk_([0-9a-f]{16})_([\w-]{43})", re.ASCII)
_KNOWN: Final = 100_000
_CHANGES_EVERY_US: Final = SECOND_US
_TELL_EVERY_US: Final = MINUTE_US
KEYS_BY: Final = ("keys", (Key("id", str),))
"""What the list of keys is and is sorted by, for its pages."""

_KEYS: Final = Table(
    "device_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("old_hash", String(64)),
    Column("old_until_us", BigInteger),
    Column("scope", Text, nullable=False),
    Column("by", String(200), nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),
    Column("changed", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),
    Index("ix_device_keys_changed", "changed"),
)


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A key without its secret. ``old_until_us``: until when the secret before this one goes on."""

    id: str
    name: str
    scope: Scope
    by: str
    made_us: int
    expires_us: int | None
    revoked_us: int | None
    used_us: int | None
    old_until_us: int | None
    kind: KeyKind = "readings"


@dataclass(frozen=True, slots=True)
class _Known:
    key: DeviceKey
    hash: str
    old_hash: str | None


class Keys:
    """The device keys of one platform. Safe for many threads.

    Parameters
    ----------
    database : where they are
    secret : the file of the platform's own secret; made when it is first needed
    clock : what time it is
    """

    def __init__(self, database: Database, secret: Path, clock: Clock | None = None) -> None:
        self._database = database
        self._secret_file = secret
        self._secret = b""
        self._clock = clock or WallClock()
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._seen = -1
        self._looked_us = 0
        self._used: dict[str, int] = {}
        self._told_us = self._clock.now_us()

    # -- changing --------------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        scope: Scope,
        actor: Actor,
        lasts_s: float | None = None,
        kind: KeyKind = "readings",
    ) -> tuple[DeviceKey, str]:
        """A new key, and its text, which is not kept.

        Parameters
        ----------
        scope : for which devices; one for metrics is for none in particular
        lasts_s : how long it is good, s; None: until it is revoked
        """
        if not 0 < len(name.strip()) <= 100 or not name.isprintable():
            raise UnfitError(
                "a key has a name of 1 to 100 characters that can be read", "say where it is used"
            )
        key, secret = secrets.token_hex(8), secrets.token_urlsafe(_SECRET_BYTES)
        now_us = self._clock.now_us()
        values = {
            "id": key, "name": name.strip(), "hash": self._hash(secret), "old_hash": None, "old_until_us": None,
            "scope": scope.as_text(), "by": actor.name, "made_us": now_us, "revoked_us": None, "used_us": None,
            "expires_us": None if lasts_s is None else now_us + round(lasts_s * SECOND_US), "kind": kind,
        }  # fmt: skip

        def work(connection: Connection) -> DeviceKey:
            connection.execute(insert(_KEYS).values({**values, "changed": _next(connection)}))
            audit.record(
                connection,
                now_us,
                actor.name,
                actor.address,
                "key.made",
                key,
                name=name,
                scope=scope.as_text(),
                kind=kind,
            )
            return _as_key(_row(connection, key))

        return self._database.write(work), f"{PREFIX}{key}_{secret}"

    def rotate(self, key: str, actor: Actor, overlap_s: float = OVERLAP_S) -> tuple[DeviceKey, str]:
        """A new secret for a key; the one before goes on for ``overlap_s``, and one before that ends now.

        Raises
        ------
        KeyNotFoundError : there is none, or it was revoked.
        """
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise UnfitError(f"an overlap of {overlap_s} s", f"use 0 to {LONGEST_OVERLAP_S:.0f}")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        hashed, now_us = self._hash(secret), self._clock.now_us()

        def work(connection: Connection) -> DeviceKey:
            row = _row(connection, key)
            if row.revoked_us is not None:
                raise KeyNotFoundError(key)
            values = {
                "hash": hashed, "old_hash": row.hash, "old_until_us": now_us + round(overlap_s * SECOND_US),
                "changed": _next(connection),
            }  # fmt: skip
            connection.execute(update(_KEYS).where(_KEYS.c.id == key).values(values))
            audit.record(
                connection, now_us, actor.name, actor.address, "key.rotated", key, overlap_s=overlap_s
            )
            return _as_key(_row(connection, key))

        found = self._database.write(work)
        self._forget(key)
        return found, f"{PREFIX}{key}_{secret}"

    def revoke(self, key: str, actor: Actor) -> DeviceKey:
        """Accept a key no longer. Raises KeyNotFoundError."""

        def work(connection: Connection) -> DeviceKey:
            row, now_us = _row(connection, key), self._clock.now_us()
            if row.revoked_us is None:
                values = {"revoked_us": now_us, "changed": _next(connection)}
                connection.execute(update(_KEYS).where(_KEYS.c.id == key).values(values))
                audit.record(connection, now_us, actor.name, actor.address, "key.revoked", key, name=row.name)
            return _as_key(_row(connection, key))

        found = self._database.write(work)
        self._forget(key)
        return found

    # -- looking ---------------------------------------------------------------------------------------------------

    def all(self) -> list[DeviceKey]:
        """Every key, by id; revoked ones too."""
        query = select(_KEYS).order_by(_KEYS.c.id)
        return [_as_key(row) for row in self._database.read(lambda c: c.execute(query).all())]

    def page(self, spot: Spot) -> RowPage[DeviceKey]:
        """One page of the same. Raises CursorError."""
        keyset = spot.of(*KEYS_BY)
        return self._database.read(lambda c: rows_page(c, select(_KEYS), keyset, _as_key))

    def get(self, key: str) -> DeviceKey:
        """One key. Raises KeyNotFoundError."""
        return _as_key(self._database.read(lambda c: _row(c, key)))

    def known(self, text: str) -> DeviceKey | None:
        """What ``find`` would give, where that takes no question to the database; else None."""
        now_us = self._clock.now_us()
        if self._changes_due(now_us) or now_us - self._told_us >= _TELL_EVERY_US:
            return None
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            return None
        key, secret = shape.groups()
        with self._lock:
            known = self._known.get(key)
        if known is None or not self._is_right(known, secret, now_us):
            return None
        self._used[key] = now_us
        return known.key

    def find(self, text: str) -> DeviceKey:
        """The key of this text. Raises KeyRefusedError if it does not count, or no longer."""
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            raise KeyRefusedError()
        key, secret = shape.groups()
        now_us = self._clock.now_us()
        if self._changes_due(now_us):
            self._learn_changes(now_us)
        self._tell_used(now_us)
        with self._lock:
            known, seen = self._known.get(key), self._seen
        if known is None:
            known = self._look_up(key, seen)
        if known is None or not self._is_right(known, secret, now_us):
            raise KeyRefusedError()
        self._used[key] = now_us
        return known.key

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_right(self, known: _Known, secret: str, now_us: int) -> bool:
        key, given = known.key, self._hash(secret)
        right = hmac.compare_digest(given, known.hash)
        if known.old_hash is not None and now_us < (key.old_until_us or 0):
            right |= hmac.compare_digest(given, known.old_hash)
        return right and key.revoked_us is None and now_us < (key.expires_us or now_us + 1)

    def _look_up(self, key: str, seen: int) -> _Known | None:
        row = self._database.read(lambda c: c.execute(select(_KEYS).where(_KEYS.c.id == key)).first())
        if row is None:
            return None
        known = _Known(_as_key(row), row.hash, row.old_hash)
        with self._lock:
            if self._seen == seen:  # else it may have changed while it was read
                self._known[key] = known
                while len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
        return known

    def _changes_due(self, now_us: int) -> bool:
        return not 0 <= now_us - self._looked_us < _CHANGES_EVERY_US

    def _learn_changes(self, now_us: int) -> None:
        """Forget what has changed since the last look."""
        with self._lock:
            seen = self._seen
        query = select(_KEYS.c.id, _KEYS.c.changed).where(_KEYS.c.changed > seen).order_by(_KEYS.c.changed)
        if seen < 0:  # nothing is remembered yet
            query = select(_KEYS.c.id, _KEYS.c.changed).order_by(_KEYS.c.changed.desc()).limit(1)
        rows = self._database.read(lambda c: c.execute(query).all())
        with self._lock:
            for row in rows:
                self._known.pop(row.id, None)
            self._seen = max([self._seen, 0, *(row.changed for row in rows)])
            self._looked_us = now_us

    def _forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._looked_us = 0

    def _tell_used(self, now_us: int) -> None:
        """Write down once a minute which keys were used; what was not yet written when the process ends is lost."""
        with self._lock:
            if 0 <= now_us - self._told_us < _TELL_EVERY_US:
                return
            self._told_us = now_us
            used, self._used = self._used, {}
        if used:
            named = update(_KEYS).where(_KEYS.c.id == bindparam("key")).values(used_us=bindparam("at"))
            values = [{"key": key, "at": at} for key, at in used.items()]
            self._database.write(lambda c: c.execute(named, values))

    def _hash(self, secret: str) -> str:
        if not self._secret:
            self._secret = kept_secret(self._secret_file)
        return hmac.new(self._secret, secret.encode(), hashlib.sha256).hexdigest()


def kept_secret(path: Path) -> bytes:
    """The secret in a file that only its owner can read; made, whole, when it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, sealing.stored(path, secrets.token_bytes(_SECRET_BYTES)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            path.hardlink_to(part)
        except FileExistsError:
            pass  # another process was quicker; its secret counts
        finally:
            part.unlink()
    return sealing.read(path)


def _next(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(_KEYS.c.changed), 0))).scalar_one()) + 1


def _row(connection: Connection, key: str) -> Row[Any]:
    found = select(_KEYS).where(_KEYS.c.id == key)
    row = connection.execute(found).first() if key.isalnum() else None
    if row is None:
        raise KeyNotFoundError(key)
    return row


def _as_key(row: Row[Any]) -> DeviceKey:
    return DeviceKey(
        row.id, row.name, Scope.from_text(row.scope), row.by, row.made_us, row.expires_us, row.revoked_us, row.used_us,
        row.old_until_us, row.kind,
    )  # fmt: skip
