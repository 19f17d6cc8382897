"""What history costs on disk, and how fast it is written.

``python bench/history.py [--scada scada_10min_2014.csv.gz]`` prints one JSON line a figure, each with a reference
from the same run: float32 as it is for bytes, a plain Parquet file for writing.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.decoding import Lines, Names, sorted_readings
from training.recorder import JournalSource, Recorder, RecorderConfig
from training.tables import Table, readings_schema
from twins import entries, typefiles
from twins.clock import DAY_US, SECOND_US
from twins.devices import DeviceType
from twins.entries import EntryKind
from twins.events import EVENT, EventBatch, Kind
from twins.journal import Entry, Journal, JournalConfig, StoredEntry
from twins.readings import ShardBatch, all_present

START_US = 1_700_006_400_000_000  # midnight UTC
INTERVAL_US = 10 * SECOND_US
CHANNELS = (
    # name, value at rest, gain of load, noise, resolution
    ("discharge_pressure", 4.0, 2.2, 0.03, 0.01),
    ("flow", 40.0, 55.0, 0.6, 0.1),
    ("bearing_temperature", 38.0, 21.0, 0.15, 0.1),
    ("winding_temperature", 45.0, 40.0, 0.2, 0.1),
    ("vibration", 1.6, 1.1, 0.08, 0.01),
    ("current", 14.0, 22.0, 0.25, 0.01),
    ("power", 7.0, 11.0, 0.12, 0.01),
    ("speed", 1488.0, -18.0, 0.8, 1.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scada", type=Path, help="La Haute Borne: scada_10min_2014.csv.gz")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure_bytes(Path(folder) / "simulated", simulated(500, 2000), "simulated")
        measure_bytes(
            Path(folder) / "flushes", simulated(100_000, 10), "simulated, ten readings of many devices"
        )
        if arguments.scada is not None:
            measure_bytes(Path(folder) / "scada", recorded(arguments.scada), "La Haute Borne")
        measure_writing(Path(folder) / "writing")


def machine(channels: tuple[str, ...]) -> DeviceType:
    document = {
        "name": "bench-pump",
        "version": 1,
        "channels": [{"name": name, "unit": "1"} for name in channels],
    }
    return typefiles.from_document(document)


def simulated(
    devices: int, readings: int, start_us: int = START_US, seed: int = 1, apart: int = 1
) -> pa.Table:
    """Pumps under a load that wanders through the day, rounded to their channels' resolution. Their numbers are
    ``apart`` apart.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(readings) * INTERVAL_US
    phase = rng.random((devices, 1))
    load = (
        0.6
        + 0.3 * np.sin(2 * np.pi * (t / DAY_US * 6 + phase))
        + 0.02 * rng.standard_normal((devices, readings))
    )
    values = np.empty((devices * readings, len(CHANNELS)), np.float32)
    for c, (_, rest, gain, noise, step) in enumerate(CHANNELS):
        own = rest + 3 * noise * rng.standard_normal((devices, 1))
        x = own + gain * load + noise * rng.standard_normal((devices, readings))
        values[:, c] = (np.round(x / step) * step).ravel()
    number = np.repeat(np.arange(devices, dtype=np.int32), readings)
    return as_rows(
        tuple(channel[0] for channel in CHANNELS), number, np.tile(start_us + t, devices), values, apart
    )


def rows_of(rows: pa.Table) -> NDArray[np.float32]:
    """(n, channels) of the readings."""
    return np.column_stack([rows[name].to_numpy() for name in channels_of(rows)])


def recorded(path: Path) -> pa.Table:
    """The wind farm's averages, to two decimals."""
    rows = pv.read_csv(path).sort_by([("Wind_turbine_name", "ascending"), ("Date_time", "ascending")])
    names = [name for name in rows.column_names if name.endswith("_avg")]
    values = np.column_stack([rows[name].to_numpy() for name in names]).round(2).astype(np.float32)
    turbine = rows["Wind_turbine_name"].combine_chunks().dictionary_encode().indices.to_numpy()
    times = rows["Date_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return as_rows(tuple(name.lower() for name in names), turbine.astype(np.int32), times, values)


def as_rows(
    channels: tuple[str, ...],
    number: NDArray[np.int32],
    event_us: NDArray[np.int64],
    values: NDArray[np.float32],
    apart: int = 1,
) -> pa.Table:
    """As the recorder makes rows of what it reads."""
    names = Names()
    devices = int(number.max()) + 1
    names.add(
        "host-000",
        "bench-pump",
        np.arange(devices, dtype=np.int32),
        [f"pump-{i * apart:06d}" for i in range(devices)],
    )
    stored = np.zeros(len(number), np.uint64)
    for c in range(len(channels)):
        stored |= np.where(np.isnan(values[:, c]), np.uint64(0), np.uint64(1 << c))
    nothing = np.zeros(len(number), np.uint64)
    seconds = (event_us - event_us.min()) // INTERVAL_US
    parts = [
        Lines("host-000", int(s) + 1, int(event_us.min() + s * INTERVAL_US), *columns)
        for s, columns in by_entry(seconds, number, event_us, values, stored, nothing, nothing)
    ]
    return sorted_readings(parts, machine(channels), names)


def by_entry(entry: NDArray[np.int64], *columns: NDArray[Any]) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    order = np.argsort(entry, kind="stable")
    bounds = np.flatnonzero(np.diff(entry[order])) + 1
    for part in np.split(order, bounds):
        yield int(entry[part[0]]), [column[part] for column in columns]


def measure_bytes(folder: Path, rows: pa.Table, label: str) -> None:
    table = Table(folder)
    table.create(readings_schema(machine(tuple(channels_of(rows)))))
    points = sum(len(rows) - rows[name].null_count for name in channels_of(rows))
    report(f"bytes a point, {label}", table.write_settled([rows], len(rows)).size / points, "B", 4.0)
    began = time.perf_counter()
    add = table.write(rows)
    took = time.perf_counter() - began
    report(f"bytes a point until compaction, {label}", add.size / points, "B", 4.0)
    report(
        f"rows written, {label}",
        rows.num_rows / took / 1e6,
        "M rows/s",
        plain(rows, folder / "plain.parquet"),
    )


def channels_of(rows: pa.Table) -> list[str]:
    names: list[str] = rows.column_names
    return names[2 : names.index("bad")]


def plain(rows: pa.Table, path: Path) -> float:
    """Millions of rows a second into a Parquet file as pyarrow writes it."""
    began = time.perf_counter()
    pq.write_table(rows, path)
    return float(rows.num_rows) / (time.perf_counter() - began) / 1e6


def fill_journal(folder: Path, devices: int, seconds: int) -> Journal:
    """A journal with a reading of every device each second, 50,000 lines an entry."""
    device_type = machine(tuple(channel[0] for channel in CHANNELS))
    journal = Journal.open(folder, JournalConfig(max_bytes=1 << 40))
    body: dict[str, Any] = {"document": typefiles.to_document(device_type), "by": "bench"}
    journal.append([Entry(EntryKind.COMMAND, START_US, entries.encode_command("InstallType", body))])
    ids = [{"id": f"pump-{i:06d}", "device_type": device_type.name} for i in range(devices)]
    records = np.zeros(devices, EVENT)
    records["row"], records["kind"], records["slot"] = np.arange(devices), int(Kind.DEVICE_REGISTERED), -1
    told = entries.encode_events({device_type.name: EventBatch(records)})
    body = {"device_type": device_type.name, "devices": ids, "by": "bench"}
    journal.append(
        [Entry(EntryKind.COMMAND, START_US, entries.encode_command("RegisterDevices", body), told)]
    )
    rows = simulated(devices, seconds)
    values = rows_of(rows).reshape(devices, seconds, -1)
    for second in range(seconds):
        at_us = START_US + second * SECOND_US
        for first in range(0, devices, 50_000):
            lines = np.arange(first, min(devices, first + 50_000), dtype=np.int32)
            batch = ShardBatch(
                lines,
                np.full(len(lines), at_us),
                np.ascontiguousarray(values[lines, second]),
                np.full(len(lines), all_present(values.shape[2])),
            )
            journal.append(
                [Entry(EntryKind.READINGS, at_us, entries.encode_readings(device_type.name, batch))]
            )
    return journal


class Opening:
    """The first two entries of a journal: type and devices."""

    def __init__(self, real: JournalSource) -> None:
        self.actor = real.actor
        self._real = real

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self._real.read_after(cursor, 2 - cursor) if cursor < 2 else []


def measure_writing(folder: Path) -> None:
    """From journal entries to committed history, everything included."""
    devices, seconds = 200_000, 20
    fill_journal(folder / "journal", devices, seconds).close()
    source = JournalSource("host-000", folder / "journal")
    recorder = Recorder(folder / "history", [Opening(source)], RecorderConfig(commit_rows=2_000_000))
    recorder.step()
    recorder.flush()  # the devices' registration is not what is measured
    recorder.add_source(source)
    began = time.perf_counter()
    while recorder.step():
        pass
    recorder.flush()
    took = time.perf_counter() - began
    recorder.close()
    reference = plain(simulated(devices, seconds), folder / "plain.parquet")
    report("recorded, journal to commit", devices * seconds / took / 1e6, "M rows/s", reference)


def report(name: str, figure: float, unit: str, reference: float | None) -> None:
    line = {
        "name": name,
        "figure": round(figure, 3),
        "unit": unit,
        "reference": None if reference is None else round(reference, 3),
        "ratio": None if reference is None else round(figure / reference, 3),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
