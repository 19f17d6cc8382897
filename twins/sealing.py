"""Encryption at rest: keys, envelope, rotation. What is sealed and when is for others to say.

Three layers of keys. The *key-encryption key* lies outside the data folder (``key_sources.py``). It encrypts the *keyset*,
``keyset.json`` in the data folder, whose newest key wraps the *data keys*: each file has one of its own, which lies wrapped
in that file. So a new key-encryption key rewrites one small file and nothing else.

What lies in a folder with a keyset is sealed, whoever writes it: the keyset is found from the path that is written, so there
is no argument that could be forgotten. A wrapped data key is bound to the place of its file, relative to that folder: a file
that was renamed, or put in another's place, is refused.

Errors, continuing the tree of ``errors.py``::

    FleetError
    └── SealingError           what is encrypted cannot be read, or not be written encrypted
        ├── KeySourceError     a key-encryption key cannot be had from where it should be
        ├── KeyMissingError    the key that a folder needs is not at hand
        ├── KeyWrongError      another key is at hand than the folder needs
        └── SealBrokenError    sealed bytes have changed, or lie where they were not written

Sources: AES-GCM (NIST SP 800-38D); chunks as in STREAM (Hoang et al., Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance, 2015); a keyset encrypted by a remote key as in Tink.
"""

import base64
import functools
import json
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twins.errors import FleetError

KEYSET_FILE: Final = "keyset.json"
VARIABLE: Final = "TWINFOLD_ENCRYPTION__KEY"
"""Says where the key-encryption key is. The one setting that is read here as well: whatever opens a sealed file needs it, in
actors, notebooks and commands alike."""

KEY_BYTES: Final = 32
WRAPPED_BYTES: Final = 65
FORMAT: Final = 1

_MAGIC: Final = b"TWS1"
_CHUNK_BYTES: Final = 1 << 20
_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 4
_CHUNK: Final = struct.Struct(">7xIB")  # its number, and whether it is the last
_COUNTED: Final = struct.Struct("<IQ")  # number of the data key, and how many were sealed with it before
_TEXT: Final = "sealed:"
_LOCKED: Final = b"twinfold keyset 1 "


class SealingError(FleetError):
    """What is encrypted cannot be read, or not be written encrypted."""

    code = "encryption.error"


class KeySourceError(SealingError):
    """A key-encryption key cannot be had from where it should be."""

    code = "encryption.key_source"

    def __init__(self, source: str, problem: str, remedy: str) -> None:
        super().__init__(source, problem, remedy)
        self.source = source
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"key-encryption key {self.source}: {self.problem}; {self.remedy}"


class KeyMissingError(SealingError):
    """What lies in a folder is encrypted, and the key it needs is not at hand. Nothing was changed."""

    code = "encryption.key_missing"

    def __init__(self, folder: str, key_id: str, source: str, problem: str) -> None:
        super().__init__(folder, key_id, source, problem)
        self.folder = folder
        self.key_id = key_id
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        looked = f"looked for at {self.source}" if self.source else "nowhere to look for it"
        return (
            f"what lies in {self.folder} is encrypted with key {self.key_id}, {looked}: {self.problem}; "
            f"say where it is with encryption.key, or {VARIABLE}; without that key nobody can read it"
        )


class KeyWrongError(SealingError):
    """Another key is at hand than the one that a folder is encrypted with. Nothing was changed."""

    code = "encryption.key_wrong"

    def __init__(self, folder: str, key_id: str, found: str, source: str) -> None:
        super().__init__(folder, key_id, found, source)
        self.folder = folder
        self.key_id = key_id
        self.found = found
        self.source = source

    def __str__(self) -> str:
        return (
            f"what lies in {self.folder} is encrypted with key {self.key_id}, and {self.source} holds key {self.found}; "
            f"put the right one there, or name its place with encryption.key"
        )


class SealBrokenError(SealingError):
    """Sealed bytes have changed since they were written, or lie where they were not written."""

    code = "encryption.seal_broken"

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; put the file back as it was, from a backup"


class KeyEncryptionKey(Protocol):
    """A key that lies outside the data folder, wherever that is: only what it wraps is ever kept."""

    @property
    def id(self) -> str:
        """Names the key, and gives nothing of it away."""
        ...

    @property
    def source(self) -> str:
        """Where it came from."""
        ...

    def wrap(self, key: bytes) -> bytes:
        """Encrypt a key of ``KEY_BYTES``."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """What ``wrap`` was given. KeySourceError if that was by another key, or the bytes have changed."""
        ...


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one file, and the form in which it lies there."""

    key: bytes = field(repr=False)
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KeysetFacts:
    """What can be said of a keyset without its key: ``key_id`` is that of the key-encryption key."""

    folder: Path
    key_id: str
    changed_at: str


class Sealer:
    """Seals and opens what lies in one data folder. May be shared between threads.

    Parameters
    ----------
    folder : the folder with the keyset
    key_id : of the key-encryption key
    keys : the keyset by id, the newest last
    """

    def __init__(self, folder: Path, key_id: str, keys: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.key_id = key_id
        self._keys = {bytes.fromhex(name): AESGCM(key) for name, key in keys.items()}
        self._newest = bytes.fromhex(list(keys)[-1])

    def place(self, path: Path | str) -> str:
        """Where a file lies, as what is sealed is bound to it."""
        return Path(os.path.relpath(os.path.abspath(path), self.folder)).as_posix()

    def new_data_key(self, place: str) -> DataKey:
        """A key for one file, at ``place``."""
        key = secrets.token_bytes(KEY_BYTES)
        return DataKey(key, self.wrap(key, place))

    def wrap(self, key: bytes, place: str) -> bytes:
        """The form in which a data key of ``KEY_BYTES`` lies in its file, at ``place``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return (
            bytes([FORMAT])
            + self._newest
            + nonce
            + self._keys[self._newest].encrypt(nonce, key, place.encode())
        )

    def data_key(self, wrapped: bytes, place: str) -> bytes:
        """The key of the file at ``place``, in which ``wrapped`` lies.

        Raises
        ------
        SealBrokenError : it is not of this file, nor of this folder, or has changed.
        """
        version, name, nonce, rest = wrapped[:1], wrapped[1:5], wrapped[5:17], wrapped[17:]
        if len(wrapped) != WRAPPED_BYTES or version != bytes([FORMAT]):
            raise SealBrokenError(place, "its data key is not in a form that this Twinfold knows")
        if name not in self._keys:
            raise SealBrokenError(
                place, f"its data key is wrapped by key {name.hex()}, which is not in {KEYSET_FILE}"
            )
        try:
            return self._keys[name].decrypt(nonce, rest, place.encode())
        except InvalidTag:
            raise SealBrokenError(place, "it was altered, or is the file of another place") from None

    def seal(self, block: bytes | bytearray | memoryview, place: str) -> bytes:
        """A whole file: magic, wrapped data key, chunks. Neither a chunk nor the end can be taken away unseen."""
        made = self.new_data_key(place)
        cipher, view = AESGCM(made.key), memoryview(block)
        parts = [_MAGIC, made.wrapped]
        chunks = max(1, -(-len(view) // _CHUNK_BYTES))
        for number in range(chunks):
            chunk = view[number * _CHUNK_BYTES : (number + 1) * _CHUNK_BYTES]
            parts.append(cipher.encrypt(_CHUNK.pack(number, number + 1 == chunks), chunk, None))
        return b"".join(parts)

    def open(self, sealed: bytes | bytearray | memoryview, place: str) -> bytes:
        """What ``seal`` was given. Raises SealBrokenError."""
        view, start = memoryview(sealed), len(_MAGIC) + WRAPPED_BYTES
        if bytes(view[: len(_MAGIC)]) != _MAGIC or len(view) < start + _TAG_BYTES:
            raise SealBrokenError(place, "it is no sealed file, or the beginning of one")
        cipher = AESGCM(self.data_key(bytes(view[len(_MAGIC) : start]), place))
        step = _CHUNK_BYTES + _TAG_BYTES
        chunks = -(-(len(view) - start) // step)
        try:
            return b"".join(
                cipher.decrypt(
                    _CHUNK.pack(number, number + 1 == chunks),
                    view[start + number * step : start + (number + 1) * step],
                    None,
                )
                for number in range(chunks)
            )
        except InvalidTag:
            raise SealBrokenError(place, "its bytes have changed") from None

    def seal_text(self, text: str, place: str) -> str:
        """A short text, for a column of a database."""
        return _TEXT + base64.b64encode(self.seal(text.encode(), place)).decode()

    def open_text(self, sealed: str, place: str) -> str:
        """What ``seal_text`` was given. Raises SealBrokenError."""
        try:
            block = base64.b64decode(sealed.removeprefix(_TEXT), validate=True)
        except ValueError:
            raise SealBrokenError(place, "it is no sealed text") from None
        return self.open(block, place).decode()


class EntrySealer:
    """Seals entry after entry with one data key, each under a nonce of its own that is counted up and kept with it.

    The count lives in memory alone, so a data key serves one writer of one file and ends with it: whoever opens the file
    again begins another. Nothing is ever sealed under the same nonce, not even what failed to reach the disk.

    Parameters
    ----------
    number : of the data key among those of its file
    """

    def __init__(self, key: bytes, number: int) -> None:
        self._cipher = AESGCM(key)
        self._number = number
        self._count = 0

    def seal(self, block: bytes | bytearray | memoryview, bound: bytes) -> bytes:
        """``bound`` says what the block is; with other words it will not open."""
        nonce = _COUNTED.pack(self._number, self._count)
        self._count += 1
        return nonce + self._cipher.encrypt(nonce, block, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """What ``seal`` was given. Raises cryptography's InvalidTag."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)


def key_number(sealed: bytes) -> int:
    """Which of its file's data keys an entry was sealed with."""
    return int(_COUNTED.unpack_from(sealed)[0]) if len(sealed) >= _NONCE_BYTES + _TAG_BYTES else 0


# -- where what is written lies -------------------------------------------------------------------------------------


def sealer_of(path: Path | str) -> Sealer | None:
    """What seals what lies at ``path``; None: nothing there is encrypted.

    Raises
    ------
    KeyMissingError, KeyWrongError, KeySourceError : it is, and the key for it is not at hand.
    """
    file = keyset_of(path)
    if file is None:
        return None
    found = file.stat()
    return _opened(file, (found.st_mtime_ns, found.st_ino), os.environ.get(VARIABLE, ""))


def keyset_of(path: Path | str) -> Path | None:
    """The keyset that holds for what lies at ``path``: that of the nearest folder above which has one."""
    absolute = Path(os.path.abspath(path))
    for folder in (absolute, *absolute.parents):
        if (file := folder / KEYSET_FILE).is_file():
            return file
    return None


def stored(path: Path, block: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
    """The form in which a whole file is to lie at ``path``: sealed where its folder is."""
    sealer = sealer_of(path)
    return block if sealer is None else sealer.seal(block, sealer.place(path))


def read(path: Path, place: Path | None = None) -> bytes:
    """What was given to ``stored`` for this path, whether it was sealed or lies there since before.

    ``place`` is the path that it was given for, where that is another: a file that is still to be renamed.

    Raises
    ------
    SealingError : it is sealed and cannot be opened.
    """
    block = path.read_bytes()
    if not is_sealed(block):
        return block
    sealer = sealer_of(path)
    if sealer is None:
        raise SealBrokenError(str(path), f"it is sealed, and there is no {KEYSET_FILE} above it")
    return sealer.open(block, sealer.place(place or path))


def is_sealed(block: bytes | bytearray | memoryview) -> bool:
    """Whether these are the first bytes of a whole file that was sealed."""
    return bytes(block[: len(_MAGIC)]) == _MAGIC


def is_sealed_text(text: str) -> bool:
    """Whether a text is what ``seal_text`` made."""
    return text.startswith(_TEXT)


# -- the keyset -----------------------------------------------------------------------------------------------------


def create_keyset(folder: Path, key: KeyEncryptionKey) -> None:
    """Have everything sealed from now on that is written into ``folder``.

    Raises
    ------
    KeySourceError : there is a keyset already, or the key cannot be used.
    """
    if (folder / KEYSET_FILE).exists():
        raise KeySourceError(
            key.source, f"{folder} has a keyset already", "use `twinfold key rotate` to change its key"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, key, {secrets.token_hex(_ID_BYTES): secrets.token_bytes(KEY_BYTES)})


def rotate_keyset(folder: Path, before: KeyEncryptionKey, key: KeyEncryptionKey) -> None:
    """Encrypt the keyset with another key-encryption key, and wrap new data keys with a new key of it.

    What is there stays as it is and stays readable, so that this takes no longer with more of it. It happens whole or not at
    all.

    Raises
    ------
    KeyWrongError, KeySourceError : ``before`` is not the key that the folder needs; ``key`` cannot be used.
    """
    keys = _unlocked(folder / KEYSET_FILE, before)
    fresh = secrets.token_hex(_ID_BYTES)
    while fresh in keys:
        fresh = secrets.token_hex(_ID_BYTES)
    _write(folder, key, {**keys, fresh: secrets.token_bytes(KEY_BYTES)})


def keyset_facts(folder: Path) -> KeysetFacts | None:
    """What can be said of the keyset in a folder without its key; None: there is none."""
    try:
        document = _document(folder / KEYSET_FILE)
    except FileNotFoundError:
        return None
    return KeysetFacts(folder, document["key_id"], document["changed_at"])


@functools.lru_cache(maxsize=16)
def _opened(file: Path, _: tuple[int, int], source: str) -> Sealer:
    """The sealer of a keyset as the file is now: a hook that asks a KMS is run once a process, not once a file."""
    from twins.key_sources import key_from  # which needs the errors of this module

    wanted = _document(file)["key_id"]
    if not source:
        raise KeyMissingError(str(file.parent), wanted, "", "no key is set")
    try:
        key = key_from(source)
    except KeySourceError as error:
        raise KeyMissingError(str(file.parent), wanted, source, error.problem) from error
    return Sealer(file.parent, key.id, _unlocked(file, key))


def _unlocked(file: Path, key: KeyEncryptionKey) -> dict[str, bytes]:
    document = _document(file)
    if document["key_id"] != key.id:
        raise KeyWrongError(str(file.parent), document["key_id"], key.id, key.source)
    try:
        wrapped, block = (base64.b64decode(document[name], validate=True) for name in ("wrapped_key", "keys"))
        cipher = AESGCM(key.unwrap(wrapped))
        text = cipher.decrypt(block[:_NONCE_BYTES], block[_NONCE_BYTES:], _LOCKED + key.id.encode())
    except (InvalidTag, ValueError):
        raise SealBrokenError(str(file), "its bytes have changed") from None
    return {each["id"]: base64.b64decode(each["key"]) for each in json.loads(text)}


def _document(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(file.read_text())
        if document["format"] != FORMAT:
            raise SealBrokenError(
                str(file), f"it has format {document['format']}, this Twinfold reads {FORMAT}"
            )
        if {"key_id", "wrapped_key", "keys", "changed_at"} <= document.keys():
            return document
    except (ValueError, TypeError, KeyError):
        pass
    raise SealBrokenError(str(file), "it is no keyset")


def _write(folder: Path, key: KeyEncryptionKey, keys: Mapping[str, bytes]) -> None:
    """Replace the keyset, once what is written has been read back with the key that it is for."""
    once, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
    text = json.dumps([{"id": name, "key": base64.b64encode(each).decode()} for name, each in keys.items()])
    locked = nonce + AESGCM(once).encrypt(nonce, text.encode(), _LOCKED + key.id.encode())
    document = {
        "format": FORMAT,
        "key_id": key.id,
        "changed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "wrapped_key": base64.b64encode(key.wrap(once)).decode(),
        "keys": base64.b64encode(locked).decode(),
    }
    part = folder / f"{KEYSET_FILE}.{secrets.token_hex(4)}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        if _unlocked(part, key) != keys:
            raise KeySourceError(
                key.source, "what it wraps it does not unwrap", "mend the hook; nothing was changed"
            )
        part.rename(folder / KEYSET_FILE)
    finally:
        part.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
