"""Parquet files of history: opened, read and put before DuckDB, whether they are sealed or lie plain.

Sealed ones are Parquet's own modular encryption, footer and statistics included: each file has a data key of its own, which
stands in its footer wrapped by the keyset (``twins/sealing.py``). DuckDB cannot read them, so pyarrow does, and DuckDB
pushes columns and filters into pyarrow's scan: row groups that cannot match are passed over there as well.
"""

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from pyarrow.fs import LocalFileSystem

from twins.sealing import KEYSET_FILE, SealBrokenError, Sealer, keyset_of, sealer_of

_SEALED: Final = b"PARE"
_KEY_BITS: Final = 256


class _Keeper(pe.KmsClient):  # type: ignore[misc]
    """Wraps the data key of one file, in its place. pyarrow asks a KMS where we ask the keyset."""

    def __init__(self, sealer: Sealer, place: str) -> None:
        pe.KmsClient.__init__(self)
        self._sealer = sealer
        self._place = place

    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return base64.b64encode(self._sealer.wrap(bytes(key_bytes), self._place))

    def unwrap_key(self, wrapped_key: bytes | str, _: str) -> bytes:
        return self._sealer.data_key(base64.b64decode(wrapped_key), self._place)


def encryption_of(path: str | Path) -> Any:
    """What pyarrow is to encrypt a file at ``path`` with; None: it is to lie plain.

    Raises
    ------
    SealingError : its folder is encrypted, and the key is not at hand.
    """
    sealer = sealer_of(path)
    if sealer is None:
        return None
    config = pe.EncryptionConfiguration(
        footer_key="keyset", uniform_encryption=True, double_wrapping=False, data_key_length_bits=_KEY_BITS
    )
    return _factory(sealer, sealer.place(path)).file_encryption_properties(pe.KmsConnectionConfig(), config)


def decryption_of(path: str | Path) -> Any:
    """What pyarrow is to decrypt a file with; None: it lies plain.

    Raises
    ------
    SealingError : it is sealed, and the key is not at hand.
    """
    if not is_sealed(path):
        return None
    sealer = sealer_of(path)
    if sealer is None:
        raise SealBrokenError(str(path), f"it is encrypted, and there is no {KEYSET_FILE} above it")
    config = pe.DecryptionConfiguration()
    return _factory(sealer, sealer.place(path)).file_decryption_properties(pe.KmsConnectionConfig(), config)


def is_sealed(path: str | Path) -> bool:
    """Whether a Parquet file is sealed; FileNotFoundError if it is gone."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_SEALED)))
        return file.read() == _SEALED


def footer_of(path: str) -> pq.FileMetaData:
    """The footer of a file."""
    return pq.read_metadata(path, decryption_properties=decryption_of(path))


def read(path: str, columns: Sequence[str], filters: Any = None) -> pa.Table:
    """Columns of a file, of the rows that a pyarrow expression lets through."""
    return pq.read_table(
        path,
        columns=list(columns),
        filters=filters,
        partitioning=None,
        decryption_properties=decryption_of(path),
    )


@contextmanager
def connected(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory for what lies at ``path``. Times are UTC; see ``keep_in_memory``."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        keep_in_memory(connection, path)
        yield connection


def keep_in_memory(connection: duckdb.DuckDBPyConnection, path: str | Path) -> None:
    """Where ``path`` is encrypted, have refused what is too large for memory: DuckDB would put it on disk as it is."""
    if keyset_of(path) is not None:
        connection.execute("SET temp_directory = ''")


class SqlFiles:
    """Files as DuckDB sees them. What pyarrow learnt of sealed ones, their footers, is kept for the next query."""

    def __init__(self) -> None:
        self._known: dict[str, ds.Dataset | None] = {}  # None: it lies plain

    def sql(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        paths: Sequence[str],
        columns: Sequence[str],
        grown: pa.Schema | None = None,
    ) -> str:
        """SQL for these columns of the files, which are at least one; ``name`` is for what has to be registered for it.

        ``grown``: what the table has, where some files may have less; there it is null.
        """
        listed = ", ".join(f'"{column}"' for column in columns)
        new = [path for path in paths if path not in self._known]
        schema = next((known.schema for known in map(self._known.get, paths) if known is not None), None)
        for path in new:
            if is_sealed(path):
                schema = _widened(footer_of(path), grown) if schema is None else schema
                self._known[path] = _dataset(path, schema)
            else:
                self._known[path] = None
        sealed = [known for known in map(self._known.get, paths) if known is not None]
        plain = [path for path in paths if self._known[path] is None]
        parts = []
        if plain:
            quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in plain)
            stored = f"read_parquet([{quoted}])"
            if grown is not None:
                connection.register(f"{name}_none", grown.empty_table())
                every = f"read_parquet([{quoted}], union_by_name = true)"
                stored = f"(FROM {every} UNION ALL BY NAME FROM {name}_none)"
            parts.append(f"SELECT {listed} FROM {stored}")
        if sealed:
            connection.register(name, ds.UnionDataset(schema, sealed))
            parts.append(f"SELECT {listed} FROM {name}")
        return f"({' UNION ALL '.join(parts)})"

    def keep(self, paths: Iterable[str], prefix: str) -> None:
        """Forget all other files below ``prefix``."""
        wanted = set(paths)
        for path in [each for each in self._known if each.startswith(prefix) and each not in wanted]:
            del self._known[path]


def _dataset(path: str, schema: pa.Schema) -> ds.Dataset:
    options = ds.ParquetFragmentScanOptions(decryption_properties=decryption_of(path))
    file_format = ds.ParquetFileFormat(default_fragment_scan_options=options)
    return ds.FileSystemDataset.from_paths(
        [path], schema=schema, format=file_format, filesystem=LocalFileSystem()
    )


def _widened(footer: pq.FileMetaData, grown: pa.Schema | None) -> pa.Schema:
    """A file's columns, and those of ``grown`` that it does not have."""
    schema = footer.schema.to_arrow_schema()
    for field in grown or ():
        schema = schema if field.name in schema.names else schema.append(field)
    return schema


def _factory(sealer: Sealer, place: str) -> pe.CryptoFactory:
    return pe.CryptoFactory(lambda _: _Keeper(sealer, place))
