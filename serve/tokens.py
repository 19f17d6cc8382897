"""Access tokens: short-lived JWTs, issued and verified here and nowhere else. The only ``import jose``.

python-jose accepts a missing algorithm list, weak keys, unknown ``crit`` headers and tokens that never expire, so nothing
is left to it but the MAC itself: the header is read and checked first, against an allow-list, and the claims afterwards, by
code of our own. One algorithm, never taken from the token; one kind of token; keys of 32 random bytes, found by ``kid``
among our own.

Source: RFC 8725 (JWT best current practices), RFC 9068 (``at+jwt``).
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from jose import jws
from jose.exceptions import JOSEError

from serve.errors import TokenError
from twins import sealing

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
ISSUER: Final = "twinfold"
AUDIENCE: Final = "twinfold-api"
LIFETIME_S: Final = 600
LEEWAY_S: Final = 10
KEY_BYTES: Final = 32
KEYS_KEPT: Final = 2
"""A key verifies for as long as it is one of the newest two; only the newest signs."""

MAX_LENGTH: Final = 2_048
KEYS_FILE: Final = "token-keys.json"

_HEADER: Final = frozenset({"alg", "typ", "kid"})
_CLAIMS: Final[Mapping[str, type]] = {
    "iss": str, "aud": str, "sub": str, "sid": str, "jti": str, "iat": int, "nbf": int, "exp": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A secret and its name. Raises ValueError for one that is too short to be safe."""

    kid: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < KEY_BYTES:
            raise ValueError(f"a key has at least {KEY_BYTES} bytes, this one {len(self.secret)}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: whose it is, of which session, and until when (s since the epoch)."""

    subject: str
    session: str
    expires_s: int


class TokenKeys:
    """The keys of one platform, in a file that only its owner can read.

    Parameters
    ----------
    path : the file; made with a first key if it is not there
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._keys: tuple[Key, ...] = ()

    def signing(self) -> Key:
        """The newest key."""
        return self._load()[0]

    def find(self, kid: str) -> Key | None:
        """The key of that name, if it still counts."""
        return next((key for key in self._load() if key.kid == kid), None)

    def rotate(self) -> str:
        """Sign with a new key from now on; gives its name. Tokens of the key before stay valid until the next time."""
        with self._held():
            keys = (_new_key(), *self._read())[:KEYS_KEPT]
            self._write(keys)
        return keys[0].kid

    def _load(self) -> tuple[Key, ...]:
        """The keys as the file has them now: another process may have rotated them."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            with self._held():
                if not self._path.exists():  # another process may have been quicker
                    self._write((_new_key(),))
            found = self._path.stat()
        stamp = found.st_mtime_ns, found.st_ino
        if stamp != self._stamp:
            self._keys, self._stamp = self._read(), stamp
        return self._keys

    def _read(self) -> tuple[Key, ...]:
        if not self._path.exists():
            return ()
        document = json.loads(sealing.read(self._path))
        return tuple(Key(each["kid"], base64.b64decode(each["secret"])) for each in document["keys"])

    def _write(self, keys: tuple[Key, ...]) -> None:
        document = {
            "keys": [{"kid": key.kid, "secret": base64.b64encode(key.secret).decode()} for key in keys]
        }
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, sealing.stored(self._path, json.dumps(document).encode()))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(self._path)

    def _held(self) -> "_Lock":
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _Lock(self._path.with_suffix(".lock"))


class _Lock:
    """Held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def issue(keys: TokenKeys, subject: str, session: str, now_s: int) -> str:
    """A token for ``subject`` in ``session``, good for ``LIFETIME_S``."""
    key = keys.signing()
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "sid": session, "jti": secrets.token_urlsafe(12),
        "iat": now_s, "nbf": now_s, "exp": now_s + LIFETIME_S,
    }  # fmt: skip
    signed: str = jws.sign(claims, key.secret, headers={"typ": TYPE, "kid": key.kid}, algorithm=ALGORITHM)
    return signed


def verify(keys: TokenKeys, token: str, now_s: int) -> Claims:
    """What a token says, if it is one of ours and its time is now.

    Raises
    ------
    TokenError : it is not. Which check failed is for the log, not for whoever sent it.
    """
    if len(token) > MAX_LENGTH or not token.isascii() or token.count(".") != 2:
        raise TokenError("it is no token")
    header = _part(token.partition(".")[0])
    if not header.keys() <= _HEADER:
        raise TokenError("its header asks for what is not supported")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise TokenError("it is a token of another kind")
    kid = header.get("kid")
    key = keys.find(kid) if isinstance(kid, str) else None
    if key is None:
        raise TokenError("its key is not one of ours, or no longer")
    try:
        payload = jws.verify(token, key.secret, algorithms=[ALGORITHM])
    except JOSEError:
        raise TokenError("its signature is wrong") from None
    return _claims(_document(payload), now_s)


def _claims(found: Mapping[str, Any], now_s: int) -> Claims:
    for name, kind in _CLAIMS.items():
        if type(found.get(name)) is not kind or found[name] == "":
            raise TokenError(f"its claim {name} is missing or of the wrong kind")
    if found["iss"] != ISSUER or found["aud"] != AUDIENCE:
        raise TokenError("it is meant for somebody else")
    if now_s >= found["exp"] + LEEWAY_S:
        raise TokenError("it has expired")
    if now_s < found["nbf"] - LEEWAY_S or now_s < found["iat"] - LEEWAY_S:
        raise TokenError("it is not valid yet")
    if found["exp"] - found["iat"] > LIFETIME_S:
        raise TokenError("it would be valid for too long")
    return Claims(found["sub"], found["sid"], found["exp"])


def _part(text: str) -> Mapping[str, Any]:
    try:
        return _document(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raise TokenError("its header cannot be read") from None


def _document(content: bytes) -> Mapping[str, Any]:
    """A JSON object; the same name twice is refused, since two readers could take two meanings from it."""
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise TokenError("it cannot be read") from None
    if not isinstance(found, dict):
        raise TokenError("it cannot be read")
    return cast(Mapping[str, Any], found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _new_key() -> Key:
    return Key(secrets.token_hex(8), secrets.token_bytes(KEY_BYTES))
