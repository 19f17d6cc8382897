"""What encryption at rest costs: the same work on an encrypted and on a plain folder, in turn, in one run.

A journal that takes entries, synced; snapshots; history written, as the recorder and as compaction do it; the chart of one
device, warm and with files not yet open; a question to every row, and one to few. The figure is of the encrypted folder, the
reference of the plain one, each the best of ``--times``.

    python -m bench.sealing [--devices 20000] [--times 5] [--folder DIR]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.history import CHANNELS, INTERVAL_US, START_US, machine, simulated
from bench.report import report
from training.history import History
from training.tables import INPUTS, Table, readings_schema
from twins import snapshots
from twins.clock import DAY_US
from twins.journal import Entry, Journal, JournalConfig, JournalReader
from twins.key_sources import create_key_file, key_from
from twins.packing import Arrays
from twins.sealing import VARIABLE, create_keyset

TABLE = "readings_bench_pump"
TYPE = "bench-pump"
ROWS_A_DEVICE = 60
FILES = 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", help="where to write; the disk under it is what is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        create_key_file(folder / "key")
        source = f"file:{folder / 'key'}"
        os.environ[VARIABLE] = source
        create_keyset(folder / "sealed", key_from(source))
        (folder / "plain").mkdir()
        measure(folder, options.devices, options.times)


def measure(folder: Path, devices: int, times: int) -> None:
    kinds = [folder / "sealed", folder / "plain"]
    for label, size, group in (("1 kB", 1000, 1), ("64 kB", 1 << 16, 8), ("1 MB", 1 << 20, 4)):
        journals = [
            Journal.open(kind / f"journal-{size}", JournalConfig(max_bytes=1 << 40)) for kind in kinds
        ]
        entries = [Entry(1, 0, os.urandom(size))] * group
        took = compared([partial(append, journal, entries) for journal in journals], times)
        megabytes = size * group * 10 / 1e6
        told(f"journal, {group} entries of {label} a commit", "MB/s", [megabytes / each for each in took])
        for journal in journals:
            journal.close()
        readers = [JournalReader(kind / f"journal-{size}") for kind in kinds]
        count = min(readers[0].last_cursor, 10 * group)
        took = compared([partial(reader.read_after, 0, count, 1 << 30) for reader in readers], times)
        told(f"journal read, entries of {label}", "MB/s", [size * count / 1e6 / each for each in took])
        for reader in readers:
            reader.close()
    arrays = {"state": np.random.default_rng(1).random(12_500_000)}  # 100 MB
    cursors = iter(range(1, 10_000))
    took = compared(
        [partial(snapshot, kind, cursors, arrays) for kind in kinds],
        times,
    )
    told("snapshot of 100 MB written and verified", "ms", [1e3 * each for each in took])
    took = compared([partial(snapshots.newest, kind / "snapshots") for kind in kinds], times)
    told("snapshot of 100 MB read", "ms", [1e3 * each for each in took])
    measure_history(kinds, devices, times)


def measure_history(kinds: list[Path], devices: int, times: int) -> None:
    rows = simulated(devices, ROWS_A_DEVICE, START_US)
    million = rows.num_rows / 1e6
    tables = [Table(kind / "history" / TABLE) for kind in kinds]
    for kind, table in zip(kinds, tables, strict=True):
        Table(kind / "history" / "inputs").create(INPUTS)
        table.create(readings_schema(machine(tuple(channel[0] for channel in CHANNELS))))
    took = compared([partial(table.write, rows) for table in tables], times)
    told("history written as the recorder does", "M rows/s", [million / each for each in took])
    took = compared([partial(table.write_settled, [rows], len(rows)) for table in tables], times)
    told("history written as compaction does", "M rows/s", [million / each for each in took])
    sizes = []
    for table in tables:
        adds = []
        for number in range(FILES):
            at_us = START_US + number * ROWS_A_DEVICE * INTERVAL_US
            adds.append(table.write_settled([shifted(rows, at_us - START_US)], len(rows)))
        table.commit(adds)
        sizes.append(sum(add.size for add in adds) / (FILES * rows.num_rows * len(CHANNELS)))
    told("bytes a point", "B", sizes)
    histories = [History(kind / "history") for kind in kinds]
    ids = [f"pump-{number:06d}" for number in np.random.default_rng(2).integers(0, devices, 50)]
    took = compared([partial(first_chart, kind / "history", ids[0]) for kind in kinds], times)
    told(f"first chart of a process, {FILES} files", "ms", [1e3 * each for each in took])
    took = compared([partial(charts, history, ids) for history in histories], times)
    told(
        f"chart of one device, {FILES} files of {len(CHANNELS)} channels",
        "ms",
        [1e3 * each / len(ids) for each in took],
    )
    channel = CHANNELS[0][0]
    for label, sql in (
        ("every row, one channel", f"SELECT count(*), avg({channel}) FROM {TABLE}"),
        (
            "every row, all channels",
            f"SELECT {', '.join(f'avg({name[0]})' for name in CHANNELS)} FROM {TABLE}",
        ),
        ("one device", f"SELECT avg({channel}) FROM {TABLE} WHERE device_id = '{ids[0]}'"),
        (
            "a hundredth of the time",
            f"SELECT avg({channel}) FROM {TABLE} WHERE epoch_us(event_time) < {START_US + INTERVAL_US}",
        ),
    ):
        took = compared([partial(history.query, sql) for history in histories], times)
        told(f"query, {label}, {FILES * million:.1f} M rows", "ms", [1e3 * each for each in took])
    for history in histories:
        history.close()


def append(journal: Journal, entries: list[Entry]) -> None:
    for _ in range(10):
        journal.append(entries)


def snapshot(folder: Path, cursors: Iterator[int], arrays: Arrays) -> None:
    snapshots.write(folder / "snapshots", next(cursors), {}, arrays)


def charts(history: History, ids: Sequence[str]) -> None:
    for each in ids:
        history.device_history(TYPE, each, START_US, START_US + DAY_US)


def first_chart(folder: Path, device: str) -> None:
    with History(folder) as history:
        charts(history, [device])


def shifted(rows: pa.Table, by_us: int) -> pa.Table:
    times = pc.add(rows["event_time"].cast(pa.int64()), by_us).cast(rows["event_time"].type)
    return rows.set_column(rows.column_names.index("event_time"), "event_time", times)


def compared(works: list[Callable[[], object]], times: int) -> list[float]:
    """The shortest time that each takes, s, taken in turn so that what else goes on hits all alike."""
    best = [float("inf")] * len(works)
    for _ in range(times):
        for at, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[at] = min(best[at], time.perf_counter() - began)
    return best


def told(name: str, unit: str, figures: list[float]) -> None:
    sealed, plain = figures
    report(name, sealed, unit, plain, "the same, plain")


if __name__ == "__main__":
    main()
