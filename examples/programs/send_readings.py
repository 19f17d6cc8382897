"""Send a file of readings: columns `device`, `time` and one a channel, as CSV or Parquet.

    python send_readings.py http://127.0.0.1:8700 KEY readings.csv

KEY is a device key (`twinfold key create`). Sending a file twice does no harm.
"""

import sys

import pyarrow.csv
import pyarrow.parquet

from serve.client import Client


def main(url: str, key: str, path: str) -> None:
    read = pyarrow.parquet.read_table if path.endswith(".parquet") else pyarrow.csv.read_csv
    with Client(url, key) as client:
        taken = client.send(read(path))
    print(f"on disk: {taken.accepted}, refused: {taken.refused_total}")
    for line in taken.refused[:10]:
        print(f"  line {line.index} ({line.device}): {line.reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
