"""Passwords: what may be one, and how one is kept. No accounts.

Argon2id with the parameters that OWASP names as the least (19 MiB, two passes, one lane): 30 ms here. Two at a time, so that
many who log in cannot take all memory. Length is the only rule of form; what is easily guessed is refused: passwords that
were stolen and published most often, names and words, alone, joined, respelt or with years, runs on a keyboard.

Source: OWASP Password Storage Cheat Sheet; ASVS 5.0 V6.2; Wheeler, zxcvbn: Low-Budget Password Strength Estimation, USENIX
Security 2016.
"""

import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from serve.errors import PasswordError

SHORTEST: Final = 12
SHORTEST_ADMIN: Final = 15
LONGEST: Final = 256

_AT_ONCE: Final = threading.BoundedSemaphore(2)
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_DUMMY: Final = "$argon2id$v=19$m=19456,t=2,p=1$" + "c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # what is not mistaken for another when it is typed in
_GUESSES: Final = 10
"""The least number of guesses, as a power of ten."""

_JUDGED: Final = 64  # characters; to judge more takes long, and so many are not guessed
_OURS: Final = (
    "twinfold", "administrator", "admin", "operator", "engineer", "viewer", "passwort", "passord", "changeme",
    "correct horse battery staple", "correcthorsebatterystaple",
)  # fmt: skip


def hashed(password: str) -> str:
    """What is kept of a password; different each time."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; None (there is no such account) takes as long and is always no."""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(_DUMMY if kept is None else kept, password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
    return right and kept is not None


def is_dated(kept: str) -> bool:
    """Whether it was kept with other parameters than are used now."""
    return _HASHER.check_needs_rehash(kept)


def check(password: str, name: str, *, is_admin: bool = False) -> None:
    """Refuse what is no good password for the account ``name``.

    Raises
    ------
    PasswordError : says what is wrong with it.
    """
    shortest = SHORTEST_ADMIN if is_admin else SHORTEST
    if len(password) < shortest:
        raise PasswordError(
            f"it has {len(password)} characters", f"use {shortest} or more, such as four words"
        )
    if len(password) > LONGEST:
        raise PasswordError(f"it has {len(password)} characters", f"use {LONGEST} at most")
    if "\0" in password:
        raise PasswordError("it holds a NUL character", "leave that out")
    if _guesses(password, name) < _GUESSES:
        raise PasswordError(
            "it is among the first that would be guessed", "use words that have nothing to do with it"
        )


def one_time() -> str:
    """A password to hand over, for one use: 20 characters, 99 bits."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(20))
    return "-".join(text[at : at + 5] for at in range(0, 20, 5))


def _guesses(password: str, name: str) -> float:
    """How many guesses it would take somebody who tries what is common first, as a power of ten."""
    from zxcvbn import zxcvbn  # its lists take a while to load, and few need them

    return float(zxcvbn(password[:_JUDGED], [name, *_OURS])["guesses_log10"])
