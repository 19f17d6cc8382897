"""How fast a journal takes durable entries, beside the bare disk: ``python bench/journal.py [--seconds 2]``.

Prints one JSON line a figure. The reference is an append and ``fdatasync`` of the same bytes to one file, in
the same run on the same disk.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twins.journal import Entry, Journal, JournalConfig, JournalReader

SIZES = {"1 kB": 1000, "64 kB": 1 << 16, "1 MB": 1 << 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure")
    parser.add_argument("--folder", help="where to write; the disk under it is what is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for label, size in SIZES.items():
            measure(Path(folder), label, size, arguments.seconds)


def measure(folder: Path, label: str, size: int, seconds: float) -> None:
    payload = os.urandom(size)
    descriptor = os.open(folder / "raw", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)

    def raw() -> None:
        os.write(descriptor, payload)
        os.fdatasync(descriptor)

    reference, _ = rate(raw, seconds)
    os.close(descriptor)
    journal = Journal.open(folder / label, JournalConfig(max_bytes=1 << 40))

    def commit() -> None:
        journal.append([Entry(1, 0, payload)])
        journal.cut(journal.last_cursor)

    commits, slowest_s = rate(commit, seconds)
    report(f"commits of {label}", commits, "1/s", reference)
    report(f"bytes in commits of {label}", commits * size / 1e6, "MB/s", reference * size / 1e6)
    report(f"slowest commit of {label}", slowest_s * 1e3, "ms", None)
    group, _ = rate(lambda: journal.append([Entry(1, 0, payload)] * 32), seconds)
    report(f"entries of {label} in groups of 32", 32 * group, "1/s", reference)
    journal.close()
    reader = JournalReader(folder / label)
    cursor, read, start = reader.first_cursor - 1, 0, time.perf_counter()
    while (batch := reader.read_after(cursor)) and time.perf_counter() - start < seconds:
        cursor, read = batch[-1].cursor, read + len(batch)
    report(f"entries of {label} read", read / (time.perf_counter() - start), "1/s", None)
    reader.close()


def rate(action: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Times a second that ``action`` runs, and the longest that it took, s."""
    count, slowest, start = 0, 0.0, time.perf_counter()
    while (begun := time.perf_counter()) - start < seconds:
        action()
        count += 1
        slowest = max(slowest, time.perf_counter() - begun)
    return count / (time.perf_counter() - start), slowest


def report(name: str, figure: float, unit: str, reference: float | None) -> None:
    ratio = None if reference is None else round(figure / reference, 3)
    reference = None if reference is None else round(reference, 1)
    line = {"name": name, "figure": round(figure, 1), "unit": unit, "reference": reference, "ratio": ratio}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
