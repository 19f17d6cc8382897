"""Budget: one device, a chart of its last 24 h, out of 1 G stored points, the recorder at the floor rate beside.

The day holds ``--points`` readings of 8 channels at 10 s, 23 h of it as compaction leaves it, the last hour as the
recorder commits it, every ``--commit-every`` seconds. Then a process writes ``--rate`` lines a second of half a
million devices to a journal, synced; another records them into the same table; this one asks for charts that end
now, so that each reads old files, new files and what is not recorded yet. Under 200 ms at the 99th percentile, aim
50. Reference: DuckDB over the files of the day.

    python bench/device_chart.py [--points 1e7 1e8 1e9] [--commit-every 60] [--rate 500000] [--seconds 40] [--compacted]
        [--folder DIR]
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psutil

from bench.history import CHANNELS, INTERVAL_US, START_US, machine, rows_of, simulated
from bench.report import report
from training.compaction import CompactionConfig, compact
from training.history import History
from training.recorder import JournalSource, Recorder, RecorderConfig
from training.tables import INPUTS, Table, readings_schema
from twins import entries, typefiles
from twins.clock import DAY_US, HOUR_US, SECOND_US
from twins.entries import EntryKind
from twins.events import EVENT, EventBatch, Kind
from twins.journal import Entry, Journal, JournalConfig
from twins.readings import ShardBatch, all_present

FLEET = 500_000
TABLE = "readings_bench_pump"
HOST = "host-000"
END_US = START_US + DAY_US
NAMES = tuple(channel[0] for channel in CHANNELS)
ENTRIES_A_SECOND = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=float, nargs="*", default=[1e9], help="readings of the day")
    parser.add_argument("--commit-every", type=int, default=60, help="s of the last hour in a file")
    parser.add_argument(
        "--rate", type=float, default=5e5, help="lines a second that are recorded beside; 0: none"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="to ask for, each number of channels")
    parser.add_argument(
        "--compacted", action="store_true", help="one more pass, just before: of the last hour too"
    )
    parser.add_argument("--folder", type=Path, help="keep the day there, and use it the next time")
    options = parser.parse_args()
    for points in options.points:
        folder = Path(tempfile.mkdtemp(prefix="tfc-"))
        try:
            measure(options, round(points), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def measure(options: argparse.Namespace, points: int, folder: Path) -> None:
    devices = points // len(CHANNELS) // (DAY_US // INTERVAL_US)
    day = (options.folder or folder) / f"day-{points:.0e}-{options.commit_every}"
    if not day.is_dir():
        store(day.with_suffix(".part"), devices, options.commit_every)
        day.with_suffix(".part").rename(day)
    history = folder / "history"
    shutil.copytree(day, history, copy_function=link)
    if options.compacted:
        compact(Table(history / TABLE), CompactionConfig())
    journal, processes = folder / "journal", []
    spawning = multiprocessing.get_context("spawn")
    ready, go, stop = (spawning.Event() for _ in range(3))
    if options.rate:
        processes = [
            spawning.Process(target=write, args=(journal, options.rate, ready, go, stop)),
            spawning.Process(target=record, args=(history, journal, ready, stop)),
        ]
        for process in processes:
            process.start()
        ready.wait()
        wait_for_names(history)
    try:
        ask(options, points, devices, history, [JournalSource(HOST, journal)] if options.rate else [], go)
    finally:
        stop.set()
        for process in processes:
            process.join()


def link(source: str, target: str) -> None:
    """Data files are never changed, so another name is enough; the log is copied."""
    if source.endswith(".parquet") and "_delta_log" not in source:
        Path(target).hardlink_to(source)
    else:
        shutil.copyfile(source, target)


def device_id(number: int, devices: int) -> str:
    """The devices of the day are spread among those that report now."""
    return f"pump-{number * (FLEET // devices):06d}"


def store(folder: Path, devices: int, commit_every_s: int) -> None:
    """The day on disk: compaction passes each hour but the last."""
    table = Table(folder / TABLE)
    table.create(readings_schema(machine(NAMES)))
    Table(folder / "inputs").create(INPUTS)
    apart = FLEET // devices
    for hour in range(23):
        at_us, count = START_US + hour * HOUR_US, HOUR_US // INTERVAL_US
        rows = simulated(devices, count, at_us, seed=hour, apart=apart)
        table.commit([table.write_settled([rows], len(rows))])
        compact(table, CompactionConfig())
    adds = []
    for at_us in range(END_US - HOUR_US, END_US, commit_every_s * SECOND_US):
        count = commit_every_s * SECOND_US // INTERVAL_US
        adds.append(table.write(simulated(devices, count, at_us, seed=at_us % 1_000_003, apart=apart)))
    table.commit(adds)


def write(folder: Path, rate: float, ready: Any, go: Any, stop: Any) -> None:
    """A journal with a reading of every device in turn, ``rate`` lines a second."""
    device_type = machine(NAMES)
    journal = Journal.open(folder, JournalConfig(max_bytes=1 << 40))
    body: dict[str, Any] = {"document": typefiles.to_document(device_type), "by": "bench"}
    journal.append([Entry(EntryKind.COMMAND, END_US, entries.encode_command("InstallType", body))])
    records = np.zeros(FLEET, EVENT)
    records["row"], records["kind"], records["slot"] = np.arange(FLEET), int(Kind.DEVICE_REGISTERED), -1
    told = entries.encode_events({device_type.name: EventBatch(records)})
    ids = [{"id": f"pump-{i:06d}", "device_type": device_type.name} for i in range(FLEET)]
    body = {"device_type": device_type.name, "devices": ids, "by": "bench"}
    journal.append([Entry(EntryKind.COMMAND, END_US, entries.encode_command("RegisterDevices", body), told)])
    values = rows_of(simulated(FLEET, 4)).reshape(FLEET, 4, -1).swapaxes(0, 1).copy()
    ready.set()
    go.wait()
    lines = round(rate / ENTRIES_A_SECOND)
    began, number, first = time.monotonic(), 0, 0
    while not stop.is_set():
        at_us = END_US + number * SECOND_US // ENTRIES_A_SECOND
        rows = np.arange(first, min(FLEET, first + lines), dtype=np.int32)
        batch = ShardBatch(
            rows, np.full(len(rows), at_us), values[number // ENTRIES_A_SECOND % 4, rows],
            np.full(len(rows), all_present(len(NAMES))),
        )  # fmt: skip
        journal.append([Entry(EntryKind.READINGS, at_us, entries.encode_readings(device_type.name, batch))])
        first = 0 if first + lines >= FLEET else first + lines
        number += 1
        time.sleep(max(0.0, began + number / ENTRIES_A_SECOND - time.monotonic()))
    journal.close()
    took = time.monotonic() - began
    report("lines written beside", number * lines / took, "lines/s", rate, "what was asked for")


def record(history: Path, journal: Path, ready: Any, stop: Any) -> None:
    """The recorder, as the platform runs it."""
    ready.wait()
    source = JournalSource(HOST, journal)
    recorder = Recorder(history, [source], RecorderConfig(commit_rows=2_000_000))
    worst = 0
    while recorder.step() < 2:
        pass
    recorder.flush()  # the registration
    while not stop.is_set():
        if not recorder.step():
            time.sleep(0.2)
        worst = max(worst, recorder.pending)
    report("rows read and not yet committed at worst", worst, "rows", 2_000_000, "rows of a commit")
    recorder.close()


def wait_for_names(history: Path) -> None:
    """Until the devices' registration is recorded, ``inputs`` last."""
    table = Table(history / "inputs")
    deadline = time.monotonic() + 300
    while table.cursor(HOST) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the devices were not recorded in 300 s")
        time.sleep(0.2)


def ask(
    options: argparse.Namespace, points: int, devices: int, history: Path, sources: list[Any], go: Any
) -> None:
    rng = np.random.default_rng(5)
    files = Table(history / TABLE).version(()).files
    paths = [file.path for file in files]
    stored = sum(file.size for file in files) / points
    conditions = {
        "points": points,
        "files": len(files),
        "recorded_beside": options.rate,
        "bytes_a_point": round(stored, 2),
    }
    conditions["commit_every_s"] = options.commit_every
    conditions["last_hour"] = "compacted" if options.compacted else "as committed"

    def chosen() -> str:
        return device_id(int(rng.integers(devices)), devices)

    with History(history, sources) as reader, duckdb.connect() as connection:
        began = time.monotonic()
        took = timed(partial(chart, reader, chosen(), END_US, NAMES[:1]))
        report("first chart of a new process", took * 1e3, "ms", 2e3, "two seconds", **conditions)
        go.set()
        began = time.monotonic()
        for channels in (NAMES[:1], NAMES):
            columns = ", ".join(("event_time", *channels))
            sql = f"SELECT {columns} FROM read_parquet($files) WHERE device_id = $device ORDER BY event_time"
            reference = [
                timed(partial(answer, connection, sql, {"files": paths, "device": chosen()}))
                for _ in range(8)
            ]
            until = time.monotonic() + options.seconds
            times, asked_cpu_s = [], time.process_time()
            while time.monotonic() < until:
                now_us = END_US + round((time.monotonic() - began) * 1e6)
                times.append(timed(partial(chart, reader, chosen(), now_us, channels)))
                time.sleep(0.05)
            cpu_s = time.process_time() - asked_cpu_s
            for quantile in (50, 99):
                report(
                    f"one device, 24 h, {len(channels)} channels, p{quantile}", np.percentile(times, quantile) * 1e3,
                    "ms", np.percentile(reference, quantile) * 1e3, "DuckDB over the files of the day",
                    asked=len(times), cpu_ms=round(cpu_s / len(times) * 1e3), floor=200,
                    aim=50, files_now=len(Table(history / TABLE).version(()).files),
                    rss_mb=round(psutil.Process().memory_info().rss / 1e6), load=round(psutil.getloadavg()[0], 1),
                    **conditions,
                )  # fmt: skip


def chart(reader: History, device: str, now_us: int, channels: tuple[str, ...]) -> None:
    series = reader.device_history("bench-pump", device, now_us - DAY_US, now_us, channels)
    assert series.rows.num_rows > 1000


def answer(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> None:
    connection.sql(sql, params=parameters).to_arrow_table()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
