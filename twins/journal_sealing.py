"""How the entries of a journal are sealed: a file's data keys, and what each entry is bound to.

A file has a data key for each time that an owner began to write it, wrapped, in the table ``data_key``. An entry opens only
in its file, at its cursor, with its epoch, kind and time, and with events if it had any.
"""

import sqlite3
import struct
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag

from twins.sealing import EntrySealer, SealBrokenError, Sealer, key_number, sealer_of

SCHEMA: Final = "CREATE TABLE data_key (number INTEGER PRIMARY KEY, wrapped BLOB NOT NULL);"

_BOUND: Final = struct.Struct(
    "<qqqqBB"
)  # cursor, epoch, kind, time, whether there are events, which of the two this is
_PAYLOAD, _EVENTS = 0, 1

Blob = bytes | bytearray | memoryview


def begin(connection: sqlite3.Connection, path: Path, sealer: Sealer) -> EntrySealer:
    """A new data key in the file at ``path``, put there in the transaction of ``connection``; good once it is committed."""
    number = 1 + int(connection.execute("SELECT coalesce(max(number), 0) FROM data_key").fetchone()[0])
    made = sealer.new_data_key(_place(sealer, path, number))
    connection.execute("INSERT INTO data_key VALUES (?, ?)", (number, made.wrapped))
    return EntrySealer(made.key, number)


def seal(
    sealer: EntrySealer, cursor: int, epoch: int, kind: int, now_us: int, payload: Blob, events: Blob | None
) -> tuple[bytes, bytes | None]:
    """Payload and events as they are to lie in the file."""
    head = (cursor, epoch, kind, now_us, events is not None)
    sealed = sealer.seal(payload, _BOUND.pack(*head, _PAYLOAD))
    return sealed, None if events is None else sealer.seal(events, _BOUND.pack(*head, _EVENTS))


class EntryOpener:
    """Opens the entries of one file.

    Parameters
    ----------
    connection : to the file; keys that come into it later are found
    path : where it lies
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._known: dict[int, EntrySealer] = {}

    def open(
        self, cursor: int, epoch: int, kind: int, now_us: int, payload: bytes, events: bytes | None
    ) -> tuple[bytes, bytes | None] | None:
        """Payload and events as they were given to ``seal``; None: they were altered, or are another entry's.

        Raises
        ------
        SealingError : the file as a whole cannot be opened.
        """
        head = (cursor, epoch, kind, now_us, events is not None)
        try:
            opened = self._key(payload).open(payload, _BOUND.pack(*head, _PAYLOAD))
            if events is None:
                return opened, None
            return opened, self._key(events).open(events, _BOUND.pack(*head, _EVENTS))
        except (InvalidTag, KeyError):
            return None

    def _key(self, sealed: bytes) -> EntrySealer:
        """KeyError: the file has no such data key."""
        number = key_number(sealed)
        if number not in self._known:
            found = self._connection.execute(
                "SELECT wrapped FROM data_key WHERE number = ?", (number,)
            ).fetchone()
            if found is None:
                raise KeyError(number)
            sealer = sealer_of(self._path)
            if sealer is None:
                raise SealBrokenError(str(self._path), "it is encrypted, and there is no keyset above it")
            key = sealer.data_key(bytes(found[0]), _place(sealer, self._path, number))
            self._known[number] = EntrySealer(key, number)
        return self._known[number]


def _place(sealer: Sealer, path: Path, number: int) -> str:
    return f"{sealer.place(path)}#{number}"
