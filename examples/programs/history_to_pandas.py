"""A day of one device as a pandas frame: its mean of every ten minutes, and its health beside it.

python history_to_pandas.py DATA-FOLDER pump-17
"""

import sys

import pandas as pd

from serve.client import Client


def main(data: str, device: str) -> None:
    with Client.local(data) as client:
        readings = client.devices.readings(device).to_pandas().set_index("time")
        condition = client.devices.condition(device)
    health = pd.Series(condition.health, pd.to_datetime(condition.time, unit="ms", utc=True), dtype=float)
    frame = readings.resample("10min").mean()
    frame["health"] = health.resample("10min").last()
    print(frame.round(2).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
