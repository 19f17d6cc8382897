"""What somebody who means harm would send: values, texts and bytes, from a seed.

Everything is drawn from one ``random.Random``, so a case is known by its seed and number alone.
"""

import gzip
import json
import random
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa


class Raw(str):
    """JSON that is written as it stands, whatever it is."""


class Pairs(list[tuple[str, Any]]):
    """An object whose names may stand twice."""


NUMBERS: Final = (
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 1.5, -0.0, 1e308, 1e-320,
    1.7976931348623157e308,
    Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1e999"), Raw("-1e999"), Raw("9" * 5_000),
    Raw("0" * 40), Raw("1e"),
    Raw("." + "1" * 700), Raw("1" + "0" * 400),
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\0", "a\0b", "\r\nSet-Cookie: a=b", "\x1b[2J", "\u202e", "é", "e\u0301", "🦊", "\ufffd",
    "x" * 300, "x" * 70_000,
    "../../etc/passwd", "..\\..", "%00", "%2e%2e/", "'--", "'; DROP TABLE users; --",
    '"', "{{7*7}}", "${jndi:ldap://a/b}",
    "null", "true", "*", "#", "+", "/", "a/b", "$SYS/x", "<script>alert(1)</script>", "﻿", "İ", "ß" * 40,
)  # fmt: skip
RAW_TEXTS: Final = tuple(
    Raw(text)
    for text in (
        r'"\ud800"', r'"a\udfff"', r'"\ud83d"', r'"\u0000"', r'"\x"', '"\n"', '"', r'"\ud83e\udd8a"', "'a'",
    )
)  # fmt: skip
BYTES: Final = (
    b"",
    b"\0",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
)

_INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF)
_WORDS: Final = tuple(
    n.to_bytes(size, "little", signed=True)
    for size in (2, 4, 8)
    for n in (0, -1, 1, 2 ** (size * 8 - 1) - 1, -(2 ** (size * 8 - 1)), 1 << (size * 4))
)


class Hostile:
    """Draws from ``rng``.

    Parameters
    ----------
    rng : where luck comes from
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def one(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def rarely(self, one_in: int = 8) -> bool:
        return self.rng.randrange(one_in) == 0

    def text(self) -> str:
        if self.rarely(3):
            return "".join(chr(self.rng.randrange(1, 0x2FF)) for _ in range(self.rng.randrange(12)))
        return self.rng.choice(TEXTS)

    def surrogate(self) -> str:
        """A text that cannot be written as UTF-8."""
        return self.text() + chr(self.rng.randrange(0xD800, 0xE000))

    def value(self, depth: int = 3) -> Any:
        """Some JSON value, or what looks like one."""
        match self.rng.randrange(9 if depth else 6):
            case 0:
                return self.rng.choice([None, True, False])
            case 1 | 2:
                return self.rng.choice(NUMBERS)
            case 3:
                return self.text()
            case 4:
                return self.rng.choice(RAW_TEXTS)
            case 5:
                return self.rng.choice([[], {}, Pairs()])
            case 6:
                return [self.value(depth - 1) for _ in range(self.rng.randrange(4))]
            case 7:
                return Pairs((self.text(), self.value(depth - 1)) for _ in range(self.rng.randrange(4)))
            case _:
                n = self.rng.choice([5, 60, 300, 20_000])
                return (
                    Raw("[" * n + "]" * self.rng.choice([n, n - 1])) if self.rarely(2) else Raw('{"a":' * n)
                )

    def bent(self, value: Any, one_in: int = 6) -> Any:
        """``value`` with some of its parts, or itself, made into others, left out or doubled."""
        if self.rarely(3 * one_in):
            return self.value()
        if isinstance(value, dict):
            pairs = Pairs()
            for name, each in value.items():
                if self.rarely(2 * one_in):
                    continue
                pairs.append((self.text() if self.rarely(3 * one_in) else name, self.bent(each, one_in)))
                if self.rarely(4 * one_in):
                    pairs.append((name, self.value()))
            if self.rarely(2 * one_in):
                pairs.append((self.text(), self.value()))
            return pairs
        if isinstance(value, list):
            found = [self.bent(each, one_in) for each in value]
            return found * self.rng.choice([2, 50]) if found and self.rarely(4 * one_in) else found
        return self.value() if self.rarely(one_in) else value

    def document(self, value: Any, one_in: int = 6) -> bytes:
        """``value`` bent and written as JSON, now and then with its bytes damaged as well."""
        body = written(self.bent(value, one_in)).encode("utf-8", "surrogatepass")
        return self.damaged(body) if self.rarely(4) else body

    def damaged(self, body: bytes, most: int = 6, other: bytes = b"") -> bytes:
        """Bits turned, parts cut, doubled and spliced, numbers overwritten."""
        found = bytearray(body)
        for _ in range(self.rng.randint(1, most)):
            at = self.rng.randrange(len(found) + 1)
            match self.rng.randrange(9):
                case 0 | 1 if at < len(found):
                    found[at] ^= 1 << self.rng.randrange(8)
                case 2 if at < len(found):
                    found[at] = self.rng.choice(_INTERESTING)
                case 3 | 4:
                    at -= at % self.rng.choice([1, 4, 8])
                    word = self.rng.choice(_WORDS)
                    found[at : at + len(word)] = word
                case 5:
                    del found[at : at + self.rng.randrange(1, 40)]
                case 6:
                    found[at:at] = found[self.rng.randrange(len(found) + 1) :][: self.rng.randrange(40)]
                case 7:
                    found[at:at] = self.rng.choice(BYTES)
                case _:
                    source = other or bytes(found)
                    start = self.rng.randrange(len(source) + 1)
                    found = found[:at] + source[start:]
        if self.rarely(6):
            found = found[: self.rng.randrange(len(found) + 1)]
        return bytes(found)

    def packed(self, body: bytes) -> tuple[str, bytes]:
        """A name of an encoding and the body in it, or in another, or damaged, or a small body that becomes a large one."""
        encoding = self.one(
            "gzip", "zstd", "gzip", "zstd", "br", "deflate", "x-gzip", "identity", "\xff", "gzip, gzip"
        )
        if self.rarely(6):
            body = self.one(b" ", b"[", b'{"a":', b"\0") * (3 << 20)
        how = self.one("gzip", "zstd")
        packed = gzip.compress(body, 1) if how == "gzip" else bytes(pa.compress(body, "zstd", asbytes=True))
        if self.rarely(5):
            packed = packed * 2  # two members, one after the other
        return encoding, self.damaged(packed) if self.rarely(3) else packed


def written(value: Any) -> str:
    """A value as JSON, with what ``Raw`` and ``Pairs`` ask for."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{written(each)}" for name, each in value) + "}"
    if isinstance(value, dict):
        return written(Pairs(value.items()))
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def drawn(seed: int, door: str, number: int) -> Hostile:
    """The luck of one case."""
    return Hostile(random.Random(f"{seed} {door} {number}"))


def pick(hostile: Hostile, choices: Sequence[Any]) -> Any:
    return hostile.rng.choice(choices)
