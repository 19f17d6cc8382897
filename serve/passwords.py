"""Passwords: what may be one, and how one is kept. No accounts.

Argon2id with the parameters that OWASP names as the least (19 MiB, two passes, one lane): 30 ms here. Two at a time, so that
many who log in cannot take all memory. Length is the only rule of form; what is easily guessed is refused.

Source: OWASP Password Storage Cheat Sheet; ASVS 5.0 V6.2.
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
_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiop",
)
_OFTEN: Final = frozenset(
    {
        "password", "passwort", "passord", "letmein", "welcome", "iloveyou", "sunshine", "princess", "football",
        "administrator", "admin", "changeme", "secret", "default", "operator", "engineer", "twinfold", "trustno",
        "correcthorsebatterystaple", "monkey", "dragon", "master", "qwerty", "login", "baseball", "superman",
    }
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
    plain = "".join(character for character in password.casefold() if character.isalnum())
    rest = plain
    for word in sorted({*_OFTEN, name.casefold()}, key=len, reverse=True):
        rest = rest.replace(word, "") if word else rest
    if len(set(plain)) < 5 or len(_without_runs(rest)) < shortest // 2:
        raise PasswordError(
            "it is among the first that would be guessed", "use words that have nothing to do with it"
        )


def one_time() -> str:
    """A password to hand over, for one use: 20 characters, 99 bits."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(20))
    return "-".join(text[at : at + 5] for at in range(0, 20, 5))


def _without_runs(text: str) -> str:
    """Without pieces of four and more that follow each other on a keyboard or in the alphabet, and repetitions."""
    kept = ""
    at = 0
    while at < len(text):
        length = 1
        for run in _RUNS:
            for line in (run, run[::-1]):
                size = 4
                while at + size <= len(text) and text[at : at + size] in line:
                    length = max(length, size)
                    size += 1
        if length == 1 and (len(kept) < 2 or text[at] != kept[-1] or text[at] != kept[-2]):
            kept += text[at]
        at += length
    return kept
