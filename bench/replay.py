"""Rows a second of `twinfold replay`, end to end, for a CSV file of eight channels.

    python bench/replay.py [ROWS]

The reference is reading the same file with pyarrow, numbers parsed, nothing else done. A small replay runs
first, so that compiled code is at hand.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from training.importing import replay  # noqa: E402
from training.mappings import parse  # noqa: E402

CHANNELS = 8
DEVICES = 20

MAPPING = (
    """\
mapping: bench
device:
  id: "{device}"
  type:
    name: bench-rig
    interval_s: 1
    channels:
"""
    + "".join(f'      - {{name: c{i}, unit: "1"}}\n' for i in range(CHANNELS))
    + """\
time: {column: t}
channels:
"""
    + "".join(f"  c{i}: c{i}\n" for i in range(CHANNELS))
)


def write_file(path: Path, rows: int) -> None:
    """Readings of a few devices, second by second, three decimals."""
    draw = np.random.default_rng(1)
    at = 1_600_000_000_000_000 + np.arange(rows) // DEVICES * 1_000_000
    columns = {
        "t": pa.array(at).cast(pa.timestamp("us")).cast(pa.timestamp("s")),
        "device": pa.array([f"rig-{i}" for i in range(DEVICES)]).take(pa.array(np.arange(rows) % DEVICES)),
    }
    columns |= {f"c{i}": np.round(draw.normal(20, 5, rows), 3) for i in range(CHANNELS)}
    pv.write_csv(pa.table(columns), path, pv.WriteOptions(quoting_style="none"))


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    mapping = parse(MAPPING, "bench.yaml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_file(folder / "small.csv", 2_000)
        write_file(folder / "large.csv", rows)
        replay(mapping, [folder / "small.csv"], folder / "warm")
        began = time.perf_counter()
        summary = replay(mapping, [folder / "large.csv"], folder / "out")
        took_s = time.perf_counter() - began
        assert summary.rows == rows, summary
        began = time.perf_counter()
        read = sum(len(batch) for batch in pv.open_csv(folder / "large.csv"))
        reading_s = time.perf_counter() - began
        assert read == rows
    figure, reference = rows / took_s, rows / reading_s
    name = f"replay, {CHANNELS} channels, CSV to Parquet"
    report(name, figure, "rows/s", reference, "pyarrow.csv reading alone", rows=rows, devices=DEVICES)


if __name__ == "__main__":
    main()
