"""Who may do what: one table of every route, who asks, and the two brought together. What the table does not name is closed.

People come with a browser's cookie or a program's access token, devices with a key, and commands of this machine with a
token that lies in the data folder while the platform runs: whoever can read that owns the platform anyway.
"""

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from serve.accounts import ROLES, Accounts, Actor, Role
from serve.database import Database
from serve.errors import ForbiddenError, LoginRequiredError, PasswordChangeError, TokenError
from serve.keys import PREFIX as KEY_PREFIX
from serve.keys import DeviceKey, Keys
from serve.sessions import Principal, Sessions
from serve.tokens import KEYS_FILE, TokenKeys
from twins.clock import Clock

Need = Literal["anyone", "member", "viewer", "operator", "engineer", "admin", "sender", "local"]
"""``member``: whoever has logged in, even if its password must change. ``sender``: a device key, or an engineer.
``local``: a command on the platform's own machine, since it names files there."""

FOLDER: Final = "secrets"
LOCAL_FILE: Final = "local-token"
LOCAL_PREFIX: Final = "tfl_"
LOCAL_NAME: Final = "local"

NEEDED: Final[Mapping[str, Need]] = {
    # -- the platform
    "GET /api/health": "anyone",
    "GET /api/ready": "viewer",
    "GET /metrics": "viewer",
    "GET /{path:path}": "anyone",  # the app itself; it holds no data
    # -- accounts
    "POST /api/login": "anyone",
    "POST /api/register": "anyone",
    "POST /api/refresh": "anyone",
    "POST /api/logout": "member",
    "GET /api/me": "member",
    "POST /api/me/password": "member",
    "GET /api/me/sessions": "member",
    "DELETE /api/me/sessions/{session}": "member",
    "POST /api/me/totp": "viewer",
    "POST /api/me/totp/confirm": "viewer",
    "POST /api/me/totp/off": "viewer",
    "GET /api/users": "admin",
    "POST /api/users": "admin",
    "GET /api/users/{name}": "admin",
    "PATCH /api/users/{name}": "admin",
    "POST /api/users/{name}/password": "admin",
    "POST /api/invitations": "admin",
    "GET /api/audit": "admin",
    "GET /api/keys": "engineer",
    "POST /api/keys": "engineer",
    "POST /api/keys/{key}/rotate": "engineer",
    "DELETE /api/keys/{key}": "engineer",
    # -- the fleet
    "GET /api/fleet/summary": "viewer",
    "GET /api/fleet/map": "viewer",
    "GET /api/fleet/map/cell": "viewer",
    "GET /api/devices": "viewer",
    "GET /api/devices/{device_id:path}": "viewer",
    "GET /api/devices/{device_id:path}/history": "viewer",
    "GET /api/devices/{device_id:path}/condition": "viewer",
    "GET /api/devices/{device_id:path}/events": "viewer",
    "POST /api/devices": "engineer",
    "GET /api/devices/{device_id:path}/maintenance": "viewer",
    "POST /api/devices/{device_id:path}/maintenance": "operator",
    "DELETE /api/devices/{device_id:path}": "engineer",
    "GET /api/events/schema": "viewer",
    "WS /api/live": "viewer",
    # -- alerts
    "GET /api/alerts": "viewer",
    "GET /api/alerts/kpis": "viewer",
    "POST /api/alerts/commands": "operator",
    "POST /api/alerts/{alert:path}/acknowledge": "operator",
    "POST /api/alerts/{alert:path}/reset": "operator",
    "POST /api/alerts/{alert:path}/shelve": "operator",
    "POST /api/alerts/{alert:path}/unshelve": "operator",
    "POST /api/alerts/{alert:path}/suppress": "operator",
    "POST /api/alerts/{alert:path}/unsuppress": "operator",
    "POST /api/alerts/{alert:path}/remove-from-service": "operator",
    "POST /api/alerts/{alert:path}/return-to-service": "operator",
    "POST /api/alerts/{alert:path}/assign": "operator",
    "POST /api/alerts/{alert:path}/comment": "operator",
    # -- maintenance
    "GET /api/maintenance": "viewer",
    "GET /api/maintenance/{record}": "viewer",
    "POST /api/maintenance/{record}/corrections": "operator",
    # -- notifications
    "GET /api/notifications": "operator",
    "GET /api/notifications/channels": "operator",
    "GET /api/notifications/channels/{channel}": "operator",
    "POST /api/notifications/channels": "admin",  # where data leaves to is the owner's business
    "PUT /api/notifications/channels/{channel}": "admin",
    "DELETE /api/notifications/channels/{channel}": "admin",
    "POST /api/notifications/channels/{channel}/test": "engineer",
    "GET /api/notifications/routes": "operator",
    "GET /api/notifications/routes/{route}": "operator",
    "POST /api/notifications/routes": "engineer",
    "PUT /api/notifications/routes/{route}": "engineer",
    "DELETE /api/notifications/routes/{route}": "engineer",
    "GET /api/notifications/deliveries": "operator",
    # -- readings
    "POST /ingest": "sender",
    "WS /ingest/socket": "sender",
    "POST /api/readings": "sender",
    # -- jobs
    "GET /api/jobs": "engineer",
    "GET /api/jobs/{job}": "engineer",
    "POST /api/jobs/{job}/cancel": "engineer",
    "POST /api/imports": "local",
    # -- device types and their rules
    "GET /api/types": "viewer",
    "GET /api/types/{name}": "viewer",
    "GET /api/types/{name}/versions": "viewer",
    "GET /api/types/{name}/versions/{number}": "viewer",
    "GET /api/types/{name}/rules/versions/{number}": "viewer",
    "GET /api/types/{name}/differences": "viewer",
    "GET /api/types/{name}/export": "viewer",
    "GET /api/types/{name}/rules/export": "viewer",
    "POST /api/types/validate": "engineer",
    "POST /api/types/{name}/rules/validate": "engineer",
    "PUT /api/types/{name}/staged": "engineer",
    "PUT /api/types/{name}/rules/staged": "engineer",
    "DELETE /api/types/{name}/staged": "engineer",
    "DELETE /api/types/{name}/rules/staged": "engineer",
    "POST /api/types/{name}/activate": "engineer",
}
"""Method and path of every route, as it was declared → the least that is needed to come in."""

AUDITED_THERE: Final = (
    "/api/login", "/api/logout", "/api/register", "/api/refresh", "/api/me", "/api/users", "/api/invitations",
    "/api/keys", "/api/notifications",
)  # fmt: skip
"""Where changes write their own line, in the transaction of what they change."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "WS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. A device key has no role; only people who logged in have a session; commands of this machine are local."""

    name: str
    role: Role | None
    session: Principal | None = None
    key: DeviceKey | None = None
    is_local: bool = False

    def actor(self, address: str) -> Actor:
        return Actor(self.name, address)


class Access:
    """Accounts, sessions, keys and the local token of one platform.

    Parameters
    ----------
    database : where accounts are
    folder : where what must not be in the database is: signing keys, the secret of device keys, the local token
    clock : what time it is
    """

    def __init__(self, database: Database, folder: Path, clock: Clock | None = None) -> None:
        self.database = database
        self.accounts = Accounts(database, clock)
        self.sessions = Sessions(database, TokenKeys(folder / KEYS_FILE), clock)
        self.keys = Keys(database, folder / "key-secret", clock)
        self.local = LocalToken(folder / LOCAL_FILE)

    def known(self, kind: Literal["cookie", "bearer"], text: str) -> Caller | None:
        """What ``find`` would give, where that takes no question to the database; else None."""
        if kind == "bearer" and text.startswith(KEY_PREFIX):
            key = self.keys.known(text)
            return None if key is None else _of_key(key)
        found = self.sessions.known_cookie(text) if kind == "cookie" else None
        return None if found is None else _of_session(found)

    def find(self, kind: Literal["cookie", "bearer"], text: str) -> Caller:
        """Whose cookie or bearer token it is.

        Raises
        ------
        LoginRequiredError, TokenError, KeyRefusedError : nobody's, or no longer.
        """
        if kind == "cookie":
            return _of_session(self.sessions.of_cookie(text))
        if text.startswith(KEY_PREFIX):
            return _of_key(self.keys.find(text))
        if text.startswith(LOCAL_PREFIX):
            if not self.local.is_right(text):
                raise TokenError("it is not this run's local token")
            return Caller(LOCAL_NAME, "admin", is_local=True)
        return _of_session(self.sessions.of_token(text))


class LocalToken:
    """A token in a file that only its owner can read, for as long as the platform runs.

    Parameters
    ----------
    path : the file
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def renew(self) -> str:
        """A new one; the one before counts no longer."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = LOCAL_PREFIX + secrets.token_urlsafe(32)
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        part.rename(self._path)
        return text

    def read(self) -> str | None:
        """The one that counts now; None if nothing runs, or it may not be read."""
        with contextlib.suppress(FileNotFoundError, PermissionError):
            return self._path.read_text()
        return None

    def is_right(self, text: str) -> bool:
        """Whether it is the one that counts now."""
        kept = self.read()
        return kept is not None and hmac.compare_digest(kept.encode(), text.encode())

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def check(need: Need | None, caller: Caller | None) -> None:
    """Let pass who has what is needed.

    Raises
    ------
    LoginRequiredError : nobody is logged in.
    PasswordChangeError : the password must be changed first.
    ForbiddenError : the role does not reach that far, or the table says nothing of this route.
    """
    if need == "anyone":
        return
    if caller is None:
        raise LoginRequiredError()
    if need is None:
        raise ForbiddenError(caller.role or "sender", "nobody has")
    if caller.key is not None:
        if need != "sender":
            raise ForbiddenError("that of a device key", need)
        return
    if need == "member":
        return
    if need == "local":
        if not caller.is_local:
            raise ForbiddenError(caller.role or "none", "that of a command on the platform's own machine")
        return
    if caller.session is not None and caller.session.account.must_change:
        raise PasswordChangeError()
    least: Role = "engineer" if need == "sender" else need
    if caller.role is None or ROLES.index(caller.role) < ROLES.index(least):
        raise ForbiddenError(caller.role or "none", least)


def is_command(method: str, path: str) -> bool:
    """Whether what is asked there changes something that has no line of its own in the audit. Readings have none."""
    if method in _READING or NEEDED.get(f"{method} {path}") in (None, "sender", "anyone"):
        return False
    return not path.startswith(AUDITED_THERE) and not path.endswith("/validate")


def _of_session(principal: Principal) -> Caller:
    return Caller(principal.account.name, principal.account.role, principal)


def _of_key(key: DeviceKey) -> Caller:
    return Caller(f"key {key.id}", None, key=key)
