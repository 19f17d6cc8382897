"""Who a client is: a token or key that stays, the local token of a data folder, or a session that renews itself."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from serve.errors import ApiError
from serve.schemas.accounts import LoggedIn

Post = Callable[[str, Mapping[str, Any]], httpx.Response]
"""Sends a body to a path, as nobody in particular. ApiError: it is refused."""

_BEFORE_S: Final = 30.0
"""How long before its end an access token is renewed."""


class Credential(Protocol):
    """What a request is let in by."""

    def headers(self, post: Post) -> dict[str, str]:
        """Headers that say who asks; ``post`` reaches the platform, for whoever must ask for another token first."""
        ...

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Told that these headers were refused; whether others may be taken."""
        ...


class Token:
    """An access token or a device key that stays as it is; an empty one is nobody's."""

    def __init__(self, text: str) -> None:
        self._text = text

    def headers(self, post: Post) -> dict[str, str]:
        return _bearer(self._text) if self._text else {}

    def renew(self, refused: Mapping[str, str]) -> bool:
        return False


class LocalFile:
    """The token in a data folder, which every run of the platform makes anew; nobody's while none is there."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def headers(self, post: Post) -> dict[str, str]:
        from serve.access import FOLDER, LOCAL_FILE, LocalToken  # loads SQLAlchemy, which others do without

        text = LocalToken(self._data / FOLDER / LOCAL_FILE).read()
        return {} if text is None else _bearer(text)

    def renew(self, refused: Mapping[str, str]) -> bool:
        return self.headers(_nowhere) != refused


class Session:
    """A session of an account, begun when it is first needed; its access token is renewed before it ends.

    A session whose answer was lost on the way is begun anew by the password, unless a code belongs to it, too.

    Parameters
    ----------
    name, password : of the account
    code : six digits of an authenticator app, for accounts that have one
    """

    def __init__(self, name: str, password: str, code: str | None = None) -> None:
        self._name, self._password, self._code = name, password, code
        self._begun: LoggedIn | None = None
        self._until_s = 0.0
        self._lock = threading.Lock()

    @property
    def has_begun(self) -> bool:
        return self._begun is not None

    def headers(self, post: Post) -> dict[str, str]:
        with self._lock:
            if self._begun is None:
                self._log_in(post)
            elif time.monotonic() > self._until_s:
                self._refresh(post)
            assert self._begun is not None
            return _bearer(self._begun.access_token or "")

    def renew(self, refused: Mapping[str, str]) -> bool:
        with self._lock:
            if self._begun is not None and refused == _bearer(self._begun.access_token or ""):
                self._until_s = 0.0
            return True

    def _log_in(self, post: Post) -> None:
        body = {"name": self._name, "password": self._password}
        self._took(post("/api/login", body if self._code is None else {**body, "code": self._code}))

    def _refresh(self, post: Post) -> None:
        assert self._begun is not None
        try:
            self._took(post("/api/refresh", {"refresh_token": self._begun.refresh_token}))
        except ApiError as error:
            if error.status != httpx.codes.UNAUTHORIZED or self._code is not None:
                raise
            self._log_in(post)

    def _took(self, answer: httpx.Response) -> None:
        self._begun = LoggedIn.model_validate_json(answer.content)
        self._until_s = time.monotonic() + (self._begun.expires_in or 0) - _BEFORE_S


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _nowhere(path: str, body: Mapping[str, Any]) -> httpx.Response:
    raise AssertionError("a local token is in a file")
