"""Tables of results as files for other tools: Parquet, CSV, JSON."""

import csv
import json
import math
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from twins.whatif.results import Results

Format = Literal["parquet", "csv", "json"]

_BATCH: Final = 65_536


def write_table(path: Path, table: pa.Table, form: Format) -> None:
    """Write a table: CSV with a head, JSON as an array of objects; what is not known is empty, or null."""
    if form == "parquet":
        pq.write_table(table, path, compression="zstd")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if form == "csv":
            _write_csv(file, table)
        else:
            _write_json(file, table)


def export(results: Results, folder: Path, form: Format) -> list[Path]:
    """Write every table and the metrics into a folder; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in {**results.tables, "metrics": results.values()}.items():
        path = folder / f"{name}.{form}"
        write_table(path, table, form)
        written.append(path)
    return written


def _write_csv(file: TextIO, table: pa.Table) -> None:
    writer = csv.DictWriter(file, table.column_names)
    writer.writeheader()
    for batch in table.to_batches(_BATCH):
        writer.writerows(batch.to_pylist())


def _write_json(file: TextIO, table: pa.Table) -> None:
    file.write("[")
    between = ""
    for batch in table.to_batches(_BATCH):
        for row in batch.to_pylist():
            file.write(
                between + json.dumps({name: _plain(value) for name, value in row.items()}, allow_nan=False)
            )
            between = ",\n"
    file.write("]")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
