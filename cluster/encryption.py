"""Encryption at rest of a platform: begun before anything is opened, refused without its key, and what is still plain."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cluster.settings import Settings, announce_key
from serve.access import FOLDER as SECRETS
from serve.keys import SECRET_FILE
from serve.tokens import KEYS_FILE
from training.registry import FOLDER as MODELS
from training.registry import MODEL_FILE
from twins import sealing
from twins.journal import JOURNAL_SUFFIX, SEALED_VERSION, sync_folder
from twins.key_sources import create_key_file, key_from
from twins.sealing import KEYSET_FILE, KeySourceError, SealBrokenError, SealingError

_USER_VERSION: Final = slice(60, 64)  # of SQLite's header, big-endian
_SEALED_PARQUET: Final = b"PARE"
_TAIL_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Lying:
    """How the files of one kind lie on disk."""

    kind: str
    sealed: int = 0
    plain: int = 0
    plain_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def begin(settings: Settings, data: Path) -> list[str]:
    """Have what is written into a data folder sealed from now on, if a key is set; gives what a person should be told.

    Raises
    ------
    SealingError : the folder is encrypted and its key is not at hand, or its keyset is gone. Nothing was changed.
    """
    announce_key(settings)
    told = []
    if not (data / KEYSET_FILE).exists():
        sealed = sum(each.sealed for each in lying(data))
        if sealed:
            problem = f"it is gone, and {sealed} files here can be read with it alone"
            raise SealBrokenError(str(data / KEYSET_FILE), problem)
        if not settings.encryption.key:
            return []
        sealing.create_keyset(data, key_from(settings.encryption.key))
        told.append(
            f"what is written into {data} is encrypted from now on; keep {settings.encryption.key} apart and safe: "
            "without it nobody can read this again"
        )
    sealing.sealer_of(data)
    for path in [*_secrets(data), *_models(data)]:
        if not sealing.is_sealed(path.read_bytes()):
            _seal(path)
    return told


def rotate(settings: Settings, to: str) -> tuple[str, str]:
    """Encrypt the keyset of the data folder with the key at ``to``; gives the ids of the keys before and now.

    Raises
    ------
    SealingError : there is no keyset, or one of the keys is not at hand. Nothing was changed.
    """
    data = settings.data
    facts = sealing.keyset_facts(data)
    if facts is None:
        raise KeySourceError(
            to, f"nothing in {data} is encrypted", "set encryption.key and start the platform"
        )
    sealing.sealer_of(data)
    if to.startswith("file:"):
        path = Path(to.removeprefix("file:"))
        refuse_inside(path, data)
        if path.is_absolute() and not path.exists():
            create_key_file(path)
    key = key_from(to)
    sealing.rotate_keyset(data, key_from(settings.encryption.key), key)
    return facts.key_id, key.id


def refuse_inside(path: Path, data: Path) -> None:
    """KeySourceError for a key that would lie in the data folder: whoever takes that would have both."""
    if path.resolve().is_relative_to(data.resolve()):
        raise KeySourceError(
            f"file:{path}", "it would lie in the data folder", "keep it apart from what it encrypts"
        )


def status_of(settings: Settings) -> dict[str, Any]:
    """As JSON values: ``encrypted``, ``key_id``, ``source``, ``problem`` (why it cannot be read), ``detail``, ``files``."""
    data, source = settings.data, settings.encryption.key
    files, problem = lying(data), ""
    facts = sealing.keyset_facts(data)
    try:
        if facts is None and any(each.sealed for each in files):
            problem = f"{data / KEYSET_FILE} is gone, and with it what it takes to read what is encrypted"
        sealing.sealer_of(data)
    except SealingError as error:
        problem = str(error)
    if facts is None:
        detail = problem or "nothing is encrypted" + ("; it will be from the next start on" if source else "")
    else:
        detail = problem or f"encrypted with key {facts.key_id} from {source} since {facts.changed_at}"
        if not problem and (left := sum(each.plain for each in files)):
            size = sum(each.plain_bytes for each in files) / 1e6
            detail += f"; {left} files from before, {size:,.1f} MB, are still plain"
    return {
        "encrypted": facts is not None,
        "key_id": facts.key_id if facts else "",
        "source": source,
        "problem": problem,
        "detail": detail,
        "files": [each.as_json() for each in files],
    }


def lying(data: Path) -> list[Lying]:
    """How what is there lies, by kind; by the files themselves, so that no key is needed."""
    kinds = {
        "journals": [(path, _journal(path)) for path in data.glob(f"hosts/*/journal/*{JOURNAL_SUFFIX}")],
        "snapshots": [(path, _whole(path)) for path in _snapshots(data)],
        "history": [(path, _parquet(path)) for path in data.glob("history/*/*.parquet")],
        "models": [(path, _whole(path)) for path in _models(data)],
        "secrets": [(path, _whole(path)) for path in _secrets(data)],
    }
    return [_counted(kind, found) for kind, found in kinds.items()]


def _counted(kind: str, found: list[tuple[Path, bool | None]]) -> Lying:
    plain = [path for path, sealed in found if sealed is False]
    size = sum(path.stat().st_size for path in plain if path.exists())
    return Lying(kind, sum(sealed is True for _, sealed in found), len(plain), size)


def _snapshots(data: Path) -> Iterator[Path]:
    yield from data.glob("hosts/*/snapshots/*.snapshot")
    yield from data.glob("history/snapshots/*/*.snapshot")


def _secrets(data: Path) -> list[Path]:
    return [path for name in (SECRET_FILE, KEYS_FILE) if (path := data / SECRETS / name).is_file()]


def _models(data: Path) -> list[Path]:
    return [path for path in data.glob(f"{MODELS}/*/*/{MODEL_FILE}") if not path.parent.name.startswith(".")]


def _journal(path: Path) -> bool | None:
    head = _read(path, _USER_VERSION.stop)
    return None if head is None else int.from_bytes(head[_USER_VERSION], "big") == SEALED_VERSION


def _whole(path: Path) -> bool | None:
    head = _read(path, 8)
    return None if head is None else sealing.is_sealed(head)


def _parquet(path: Path) -> bool | None:
    tail = _read(path, _TAIL_BYTES, os.SEEK_END)
    return None if tail is None else tail == _SEALED_PARQUET


def _read(path: Path, count: int, whence: int = os.SEEK_SET) -> bytes | None:
    """Some bytes from the beginning or the end; None: the file has left meanwhile."""
    try:
        with path.open("rb") as file:
            file.seek(-count if whence == os.SEEK_END else 0, whence)
            return file.read(count)
    except OSError:
        return None


def _seal(path: Path) -> None:
    """Put a sealed file in the place of a plain one, durably."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(sealing.stored(path, path.read_bytes()))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)
