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
from serve.errors import ForbiddenError, LoginRequiredError, PasswordChangeError, SitesError, TokenError
from serve.keys import PREFIX as KEY_PREFIX
from serve.keys import SECRET_FILE, DeviceKey, KeyKind, Keys
from serve.sessions import Principal, Sessions
from serve.tokens import KEYS_FILE, TokenKeys
from twins.clock import Clock

Need = Literal["anyone", "member", "viewer", "operator", "engineer", "admin", "sender", "collector", "local"]
"""``member``: whoever has logged in, even if its password must change. ``sender``: a device key, or an engineer.
``collector``: a key for metrics, or a viewer.
``local``: a command on the platform's own machine, since it names files there."""

Reach = Literal["own", "narrowed", "platform", "whole"]
"""What a route is about, for an account that is for some sites only. ``own``: the account itself, and what it began.
``narrowed``: devices of its sites, the others being as if they were not there; its context sees to that (``serve/within``).
``platform``: the same for everybody, and nothing of any device. ``whole``: all sites; closed to it."""

FOLDER: Final = "secrets"
LOCAL_FILE: Final = "local-token"
LOCAL_PREFIX: Final = "tfl_"
LOCAL_NAME: Final = "local"

NEEDED: Final[Mapping[str, tuple[Need, Reach]]] = {
    # -- the platform
    "GET /api/health": ("anyone", "platform"),
    "GET /api/ready": ("viewer", "narrowed"),
    "GET /api/system": ("engineer", "whole"),
    "GET /metrics": ("collector", "whole"),
    "GET /{path:path}": ("anyone", "platform"),  # the app itself; it holds no data
    # -- accounts
    "POST /api/login": ("anyone", "own"),
    "POST /api/register": ("anyone", "own"),
    "POST /api/refresh": ("anyone", "own"),
    "POST /api/logout": ("member", "own"),
    "GET /api/me": ("member", "own"),
    "POST /api/me/password": ("member", "own"),
    "GET /api/me/sessions": ("member", "own"),
    "DELETE /api/me/sessions/{session}": ("member", "own"),
    "POST /api/me/totp": ("viewer", "own"),
    "POST /api/me/totp/confirm": ("viewer", "own"),
    "POST /api/me/totp/off": ("viewer", "own"),
    "GET /api/me/settings": ("viewer", "own"),
    "PUT /api/me/settings": ("viewer", "own"),
    "GET /api/views": ("viewer", "platform"),  # a view is a question; the answer is narrowed
    "GET /api/views/{view}": ("viewer", "platform"),
    "POST /api/views": ("viewer", "platform"),
    "PUT /api/views/{view}": ("viewer", "platform"),
    "DELETE /api/views/{view}": ("viewer", "platform"),
    "GET /api/users": ("admin", "whole"),
    "POST /api/users": ("admin", "whole"),
    "GET /api/users/{name}": ("admin", "whole"),
    "PATCH /api/users/{name}": ("admin", "whole"),
    "POST /api/users/{name}/password": ("admin", "whole"),
    "GET /api/invitations": ("admin", "whole"),
    "POST /api/invitations": ("admin", "whole"),
    "DELETE /api/invitations/{invitation}": ("admin", "whole"),
    "GET /api/audit": ("admin", "whole"),
    "GET /api/keys": ("engineer", "narrowed"),
    "POST /api/keys": ("engineer", "narrowed"),
    "POST /api/keys/{key}/rotate": ("engineer", "narrowed"),
    "DELETE /api/keys/{key}": ("engineer", "narrowed"),
    # -- the fleet
    "GET /api/fleet/summary": ("viewer", "narrowed"),
    "GET /api/fleet/map": ("viewer", "narrowed"),
    "GET /api/fleet/map/cell": ("viewer", "narrowed"),
    "GET /api/devices": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}/history": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}/condition": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}/prognosis": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}/prognoses": ("viewer", "narrowed"),
    "GET /api/devices/{device_id:path}/events": ("viewer", "narrowed"),
    "POST /api/devices": ("engineer", "narrowed"),
    "POST /api/devices/commands": ("operator", "narrowed"),  # some acts take more
    "GET /api/devices/{device_id:path}/maintenance": ("viewer", "narrowed"),
    "POST /api/devices/{device_id:path}/maintenance": ("operator", "narrowed"),
    "GET /api/devices/{device_id:path}/properties": ("viewer", "narrowed"),
    "PATCH /api/devices/{device_id:path}/properties": ("operator", "narrowed"),  # the type may want more
    "GET /api/devices/{device_id:path}/commands": ("viewer", "narrowed"),
    "POST /api/devices/{device_id:path}/commands": ("operator", "narrowed"),
    "POST /api/devices/{device_id:path}/commands/{number}/cancel": ("operator", "narrowed"),
    "DELETE /api/devices/{device_id:path}": ("engineer", "narrowed"),
    "GET /api/templates": ("engineer", "whole"),
    "POST /api/templates": ("engineer", "whole"),
    "GET /api/templates/{template}": ("engineer", "whole"),
    "PUT /api/templates/{template}": ("engineer", "whole"),
    "DELETE /api/templates/{template}": ("engineer", "whole"),
    "GET /api/events": ("viewer", "narrowed"),
    "GET /api/events/counts": ("viewer", "narrowed"),
    "GET /api/events/schema": ("viewer", "platform"),
    "WS /api/live": ("viewer", "narrowed"),
    # -- alerts
    "GET /api/alerts": ("viewer", "narrowed"),
    "GET /api/alerts/groups": ("viewer", "narrowed"),
    "GET /api/alerts/kpis": ("viewer", "narrowed"),
    "GET /api/alerts/notes": ("viewer", "platform"),
    "POST /api/alerts/commands": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/acknowledge": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/reset": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/shelve": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/unshelve": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/suppress": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/unsuppress": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/remove-from-service": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/return-to-service": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/assign": ("operator", "narrowed"),
    "POST /api/alerts/{alert:path}/comment": ("operator", "narrowed"),
    # -- maintenance
    "GET /api/maintenance": ("viewer", "narrowed"),
    "GET /api/maintenance/{record}": ("viewer", "narrowed"),
    "POST /api/maintenance/{record}/corrections": ("operator", "narrowed"),
    # -- recommendations
    "GET /api/recommendations": ("viewer", "narrowed"),
    "GET /api/recommendations/record": (
        "viewer",
        "platform",
    ),  # of a type, as of models, and of no one device
    "GET /api/recommendations/{recommendation:path}": ("viewer", "narrowed"),
    "GET /api/recommendations/{recommendation:path}/simulation": ("viewer", "narrowed"),
    "POST /api/recommendations/{recommendation:path}/accept": ("operator", "narrowed"),
    "POST /api/recommendations/{recommendation:path}/dismiss": ("operator", "narrowed"),
    "POST /api/recommendations/{recommendation:path}/done": ("operator", "narrowed"),
    "GET /api/devices/{device_id:path}/recommendations": ("viewer", "narrowed"),
    # -- notifications
    "GET /api/notifications": ("operator", "whole"),
    "GET /api/notifications/channels": ("operator", "platform"),
    "GET /api/notifications/channels/{channel}": ("operator", "platform"),
    "POST /api/notifications/channels": ("admin", "whole"),  # where data leaves to is the owner's business
    "PUT /api/notifications/channels/{channel}": ("admin", "whole"),
    "DELETE /api/notifications/channels/{channel}": ("admin", "whole"),
    "POST /api/notifications/channels/{channel}/test": ("engineer", "platform"),
    "GET /api/notifications/routes": ("operator", "narrowed"),
    "GET /api/notifications/routes/{route}": ("operator", "narrowed"),
    "POST /api/notifications/routes": ("engineer", "narrowed"),
    "PUT /api/notifications/routes/{route}": ("engineer", "narrowed"),
    "DELETE /api/notifications/routes/{route}": ("engineer", "narrowed"),
    "GET /api/notifications/deliveries": ("operator", "narrowed"),
    # -- readings
    "POST /ingest": ("sender", "narrowed"),
    "WS /ingest/socket": ("sender", "narrowed"),
    "POST /api/readings": ("sender", "narrowed"),
    # -- jobs
    "GET /api/jobs": ("engineer", "own"),
    "GET /api/jobs/{job}": ("engineer", "own"),
    "POST /api/jobs/{job}/cancel": ("engineer", "own"),
    "POST /api/imports": ("local", "whole"),
    # -- what-if: an experiment forks devices of all sites, and crews and parts are shared, so none is for some sites
    "GET /api/whatif/templates": ("viewer", "platform"),
    "POST /api/whatif/check": ("engineer", "whole"),
    "GET /api/whatif/experiments": ("viewer", "whole"),
    "POST /api/whatif/experiments": ("engineer", "whole"),
    "GET /api/whatif/experiments/{experiment}": ("viewer", "whole"),
    "GET /api/whatif/experiments/{experiment}/results": ("viewer", "whole"),
    "GET /api/whatif/experiments/{experiment}/fans": ("viewer", "whole"),
    "GET /api/whatif/experiments/{experiment}/tables/{table}": ("viewer", "whole"),
    "POST /api/whatif/experiments/{experiment}/cancel": ("engineer", "whole"),
    "POST /api/whatif/experiments/{experiment}/reruns": ("engineer", "whole"),
    "DELETE /api/whatif/experiments/{experiment}": ("engineer", "whole"),
    # -- device types and their rules
    "GET /api/types": ("viewer", "platform"),
    "GET /api/types/{name}": ("viewer", "platform"),
    "GET /api/types/{name}/versions": ("viewer", "platform"),
    "GET /api/types/{name}/versions/{number}": ("viewer", "platform"),
    "GET /api/types/{name}/rules/versions/{number}": ("viewer", "platform"),
    "GET /api/types/{name}/differences": ("viewer", "platform"),
    "GET /api/types/{name}/export": ("viewer", "platform"),
    "GET /api/types/{name}/rules/export": ("viewer", "platform"),
    "POST /api/types/validate": ("engineer", "platform"),
    "POST /api/types/{name}/rules/validate": ("engineer", "platform"),
    "POST /api/types/{name}/rules/rehearse": ("engineer", "narrowed"),
    "POST /api/types/{name}/rules/rehearsals": ("engineer", "whole"),
    "PUT /api/types/{name}/staged": ("engineer", "whole"),
    "PUT /api/types/{name}/rules/staged": ("engineer", "whole"),
    "DELETE /api/types/{name}/staged": ("engineer", "whole"),
    "DELETE /api/types/{name}/rules/staged": ("engineer", "whole"),
    "POST /api/types/{name}/activate": ("engineer", "whole"),
    # -- models: of a type, from devices of all sites, and of no one device
    "GET /api/models": ("viewer", "platform"),
    "GET /api/models/{name}/{version}": ("viewer", "platform"),
    "GET /api/models/{name}/compare": ("viewer", "platform"),
    "GET /api/models/{name}/changes": ("viewer", "platform"),
    "GET /api/models/{name}/drift": ("viewer", "platform"),
    "GET /api/models/{name}/record": ("viewer", "narrowed"),
    "POST /api/models/{name}/{version}/promote": ("engineer", "whole"),
    "POST /api/models/{name}/{version}/report": ("engineer", "narrowed"),
    "POST /api/models/{name}/{version}/reports": ("engineer", "whole"),
    "POST /api/models/{name}/rollback": ("engineer", "whole"),
    "POST /api/models/{name}/train": ("engineer", "whole"),
}
"""Method and path of every route, as it was declared → the least that is needed to come in, and what it is about."""

AUDITED_THERE: Final = (
    "/api/login", "/api/logout", "/api/register", "/api/refresh", "/api/me", "/api/users", "/api/invitations",
    "/api/keys", "/api/notifications", "/api/views", "/api/templates",
    "/api/recommendations",
)  # fmt: skip
"""Where changes write their own line, in the transaction of what they change."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "WS"})
_OPENS: Final[Mapping[KeyKind, Need]] = {"readings": "sender", "metrics": "collector"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. A device key has no role; only people who logged in have a session; commands of this machine are local."""

    name: str
    role: Role | None
    session: Principal | None = None
    key: DeviceKey | None = None
    is_local: bool = False

    @property
    def sites(self) -> frozenset[str] | None:
        """Those that the account is for; None: all. What a key may write for is up to its own scope."""
        return None if self.session is None else self.session.account.sites

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
        self.keys = Keys(database, folder / SECRET_FILE, clock)
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
        if need != _OPENS[caller.key.kind]:
            raise ForbiddenError(f"that of a key for {caller.key.kind}", need)
        return
    if need == "member":
        return
    if need == "local":
        if not caller.is_local:
            raise ForbiddenError(caller.role or "none", "that of a command on the platform's own machine")
        return
    if caller.session is not None and caller.session.account.must_change:
        raise PasswordChangeError()
    least: Role = "engineer" if need == "sender" else "viewer" if need == "collector" else need
    if caller.role is None or ROLES.index(caller.role) < ROLES.index(least):
        raise ForbiddenError(caller.role or "none", least)


def check_reach(reach: Reach, caller: Caller | None) -> None:
    """Let pass who may ask what is about so much.

    Raises
    ------
    SitesError : it is about all sites, and the account is for some.
    """
    if reach == "whole" and caller is not None and caller.sites is not None:
        raise SitesError("all sites", tuple(sorted(caller.sites)))


def is_command(method: str, path: str) -> bool:
    """Whether what is asked there changes something that has no line of its own in the audit. Readings have none."""
    right = NEEDED.get(f"{method} {path}")
    if method in _READING or right is None or right[0] in ("sender", "anyone"):
        return False
    return not path.startswith(AUDITED_THERE) and not path.endswith(("/validate", "/rehearse"))


def _of_session(principal: Principal) -> Caller:
    return Caller(principal.account.name, principal.account.role, principal)


def _of_key(key: DeviceKey) -> Caller:
    return Caller(f"key {key.id}", None, key=key)
