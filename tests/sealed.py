"""Folders that are encrypted, for tests that are to hold there as well."""

import os
from pathlib import Path

import pytest

from twins.key_sources import create_key_file, key_from
from twins.sealing import KEYSET_FILE, VARIABLE, create_keyset


def encrypt(folder: Path, monkeypatch: pytest.MonkeyPatch, key: Path | None = None) -> Path:
    """Have everything sealed that is written into ``folder``; gives the file with the key, which lies beside it."""
    key = key or folder.with_name(folder.name + "-key") / "key"
    if not key.exists():
        create_key_file(key)
    monkeypatch.setenv(VARIABLE, f"file:{key}")
    if not (folder / KEYSET_FILE).exists():
        create_keyset(folder, key_from(f"file:{key}"))
    return key


def holds(folder: Path, needle: bytes) -> list[str]:
    """The files below a folder in which these bytes lie."""
    return [
        str(Path(root, name).relative_to(folder))
        for root, _, names in os.walk(folder)
        for name in names
        if needle in Path(root, name).read_bytes()
    ]
