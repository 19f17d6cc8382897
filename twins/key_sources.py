"""Where a key-encryption key comes from: a file, a variable of the environment, or a command that asks a KMS.

========================== ==========================================================================================
source                     what is there
========================== ==========================================================================================
``file:/etc/twinfold/key`` a file with one line: 32 bytes in base64
``env:TWINFOLD_KEY``       the same line in a variable
``command:/opt/hook arg``  a program that is run with one more argument: ``id`` prints the name of the key; ``wrap`` and
                           ``unwrap`` read a line of base64 and print one. The key itself never leaves the KMS.
========================== ==========================================================================================
"""

import base64
import binascii
import hashlib
import os
import secrets
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twins.sealing import KEY_BYTES, KeyEncryptionKey, KeySourceError

KINDS: Final = ("file", "env", "command")

_NONCE_BYTES: Final = 12
_HOOK_WITHIN_S: Final = 30.0
_BOUND: Final = b"twinfold key of a keyset"
_WRONG: Final = "put the right key there"


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A key that this machine has. Implements ``sealing.KeyEncryptionKey``."""

    source: str
    key: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(b"twinfold key id" + self.key).hexdigest()[:16]

    def wrap(self, key: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, key, _BOUND)

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return AESGCM(self.key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _BOUND)
        except (InvalidTag, ValueError):
            raise KeySourceError(
                self.source, "it does not open what it is said to have wrapped", _WRONG
            ) from None


@dataclass(frozen=True, slots=True)
class HookedKey:
    """A key that a command works with. Implements ``sealing.KeyEncryptionKey``."""

    source: str
    command: tuple[str, ...]
    id: str

    def wrap(self, key: bytes) -> bytes:
        return _asked(self.source, self.command, "wrap", key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return _asked(self.source, self.command, "unwrap", wrapped)


def key_from(source: str) -> KeyEncryptionKey:
    """The key at a source.

    Raises
    ------
    KeySourceError : there is none, or it is none.
    """
    kind, _, rest = source.partition(":")
    if kind not in KINDS or not rest.strip():
        remedy = "write file:/path, env:NAME or command:/path/of/hook"
        raise KeySourceError(repr(source), "it names no place of a key", remedy)
    if kind == "command":
        command = tuple(shlex.split(rest))
        return HookedKey(source, command, _run(source, command, "id", ""))
    if kind == "env":
        text = os.environ.get(rest)
        if text is None:
            raise KeySourceError(source, "the variable is not set", "set it, or name another place")
        return LocalKey(source, _key_of(source, text))
    if not Path(rest).is_absolute():
        raise KeySourceError(source, "it is no whole path", "write file:/path, from the root on")
    try:
        text = Path(rest).read_text()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "it is no text"
        raise KeySourceError(source, problem, "put the key there, or name another place") from error
    return LocalKey(source, _key_of(source, text))


def new_key() -> str:
    """A key that nobody has, as the line of text that a file or a variable holds."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def create_key_file(path: Path) -> None:
    """Put a new key into a new file that only its owner can read, durably.

    Raises
    ------
    KeySourceError : the file is there already, or cannot be made.
    """
    source = f"file:{path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        remedy = "name a new file; no key is ever overwritten"
        raise KeySourceError(source, "the file is there already", remedy) from None
    except OSError as error:
        raise KeySourceError(source, error.strerror or str(error), "name a file that can be made") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(new_key() + "\n")
        file.flush()
        os.fsync(file.fileno())


def _key_of(source: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        remedy = "it is one line, 32 bytes in base64; `twinfold key create` makes one"
        raise KeySourceError(source, "what is there is no key", remedy)
    return key


def _asked(source: str, command: tuple[str, ...], verb: str, block: bytes) -> bytes:
    answer = _run(source, command, verb, base64.b64encode(block).decode())
    try:
        return base64.b64decode(answer, validate=True)
    except (binascii.Error, ValueError):
        raise KeySourceError(source, f"to {verb!r} it did not print base64", "mend the hook") from None


def _run(source: str, command: tuple[str, ...], verb: str, text: str) -> str:
    """What the hook prints. What it says when it fails is told; what it is given and prints is not."""
    try:
        ended = subprocess.run(
            [*command, verb],
            input=text + "\n",
            capture_output=True,
            text=True,
            timeout=_HOOK_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        problem = f"{verb!r} did not end within {_HOOK_WITHIN_S:.0f} s"
        raise KeySourceError(source, problem, "see that the KMS can be reached") from None
    except OSError as error:
        raise KeySourceError(source, f"it cannot be run: {error.strerror}", "name a program") from error
    if ended.returncode or not ended.stdout.strip():
        said = (ended.stderr.strip().splitlines() or ["it printed nothing"])[-1][:300]
        raise KeySourceError(
            source, f"{verb!r} failed: {said}", "see that the KMS can be reached, and knows the key"
        )
    return ended.stdout.strip()
