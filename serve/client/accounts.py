"""One's own account, everybody's for admins, and the keys of devices."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.accounts import (
    AccountChange,
    AccountItem,
    AccountList,
    InvitationItem,
    InvitationList,
    Invited,
    OneTime,
    Role,
    SessionItem,
    SessionList,
    TotpSecret,
)
from serve.schemas.keys import KeyItem, KeyList, KeyMade, NewKey


class OwnAccount:
    """What somebody who has logged in does with the own account."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def register(self, name: str, password: str, invitation: str | None = None) -> AccountItem:
        """Make it, where that is open or one was invited; needs no credential."""
        body = {"name": name, "password": password, "invitation": invitation}
        return self._ask.send(AccountItem, "POST", "/api/register", body)

    def change_password(self, old: str, new: str) -> None:
        """Choose a new password; all other sessions end."""
        self._ask.change("POST", "/api/me/password", {"old": old, "new": new})

    def sessions(self) -> list[SessionItem]:
        """Where one is logged in."""
        return self._ask.get(SessionList, "/api/me/sessions").items

    def end_session(self, session_id: str) -> None:
        """Log out somewhere else."""
        self._ask.change("DELETE", f"/api/me/sessions/{in_path(session_id)}")

    def begin_totp(self) -> TotpSecret:
        """A secret for an authenticator app; it counts once confirmed."""
        return self._ask.send(TotpSecret, "POST", "/api/me/totp")

    def confirm_totp(self, code: str) -> None:
        """Have a code asked for at each log-in from now on."""
        self._ask.change("POST", "/api/me/totp/confirm", {"code": code})

    def end_totp(self, password: str) -> None:
        """Have no code asked for any more."""
        self._ask.change("POST", "/api/me/totp/off", {"password": password})


class Accounts:
    """What admins do with accounts."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self) -> Iterator[AccountItem]:
        """Every account, by name."""
        for page in self._ask.pages(AccountList, "/api/users", {"limit": 1_000}):
            yield from page.items

    def one(self, name: str) -> AccountItem:
        return self._ask.get(AccountItem, f"/api/users/{in_path(name)}")

    def create(self, name: str, role: Role, sites: Sequence[str] | None = None) -> OneTime:
        """Make an account, for these sites or for all; its password is for one use, and to be handed over."""
        return self._ask.send(OneTime, "POST", "/api/users", {"name": name, **_right(role, sites)})

    def change(self, name: str, change: AccountChange, revision: Revision = "*") -> AccountItem:
        """Change the role, or whether the account may be used; what is left out stays. With ``revision``, only if nobody
        changed it since that one."""
        return self._ask.send(AccountItem, "PATCH", f"/api/users/{in_path(name)}", change, revision)

    def reset_password(self, name: str) -> OneTime:
        """A new password for one use, to be handed over; sessions end, and a second factor is forgotten."""
        return self._ask.send(OneTime, "POST", f"/api/users/{in_path(name)}/password")

    def invite(self, role: Role, sites: Sequence[str] | None = None) -> str:
        """A code with which one person may register, within a week."""
        return self._ask.send(Invited, "POST", "/api/invitations", _right(role, sites)).invitation

    def invitations(self) -> Iterator[InvitationItem]:
        """Every invitation that counts, without its code."""
        for page in self._ask.pages(InvitationList, "/api/invitations", {"limit": 1_000}):
            yield from page.items

    def withdraw(self, invitation_id: str) -> None:
        """Let an invitation count no longer."""
        self._ask.change("DELETE", f"/api/invitations/{in_path(invitation_id)}")


class Keys:
    """What engineers do with the keys of devices and gateways, and admins with those for metrics."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self) -> Iterator[KeyItem]:
        """Keys by id, without their secrets."""
        for page in self._ask.pages(KeyList, "/api/keys", {"limit": 1_000}):
            yield from page.items

    def create(self, key: NewKey) -> KeyMade:
        """Make a key; its ``text`` is shown this once."""
        return self._ask.send(KeyMade, "POST", "/api/keys", key)

    def rotate(self, key_id: str, overlap_s: float = 86_400.0) -> KeyMade:
        """A new secret, shown this once; the one before goes on for a while."""
        return self._ask.send(
            KeyMade, "POST", f"/api/keys/{in_path(key_id)}/rotate", {"overlap_s": overlap_s}
        )

    def revoke(self, key_id: str) -> KeyItem:
        """Accept a key no longer."""
        return self._ask.send(KeyItem, "DELETE", f"/api/keys/{in_path(key_id)}")


def _right(role: Role, sites: Sequence[str] | None) -> dict[str, Any]:
    return {"role": role} if sites is None else {"role": role, "sites": list(sites)}
