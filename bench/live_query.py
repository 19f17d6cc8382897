"""How long a list over a million live twins takes: filter, sort, page, count, fetch, as JSON.

Run ``python bench/live_query.py [--devices 1000000]``. Prints one JSON line a kind of list and one for all:
``figure`` is the 99th percentile, ``reference`` the budget, and a ``ratio`` above 1 is better than that.
"""

import argparse
import json

import numpy as np
import pyarrow as pa

from serve.lists import DeviceQuery, list_devices
from serve.live import Generation, LiveTable, View
from serve.overview import Overview
from serve.present import device_page, reply
from serve.ranking import Ranks
from twins.clock import stopwatch_s
from twins.devices import Channel, DeviceType
from twins.views import COUNTERS, STATUSES

BUDGET_MS = 50.0
AIM_MS = 15.0
ROUNDS = 60
HALF_WAY = 500_000
NOW_US = 1_760_000_000_000_000

CHANNELS = tuple(f"channel_{i}" for i in range(8))
TYPES = {
    name: DeviceType(name, 1, tuple(Channel(each, "1") for each in CHANNELS)) for name in ("chiller", "pump")
}


RANKS = Ranks()


class Fixed:
    """Two hosts with both types each; every call shows a new generation of the same twins."""

    def __init__(self, devices: int) -> None:
        self.rng = np.random.default_rng(7)
        self.number = 0
        part = devices // 4
        self.tables = [{name: self.table(name, h, part) for name in TYPES} for h in range(2)]

    def table(self, name: str, host: int, n: int) -> pa.Table:
        rng = self.rng
        time = pa.timestamp("us", "UTC")
        columns = {
            "device_id": pa.array([f"{name}-{host}-{i:07d}" for i in range(n)]),
            "site": coded(rng.integers(0, 200, n), [f"site-{i:03d}" for i in range(200)]),
            "parent": coded(np.zeros(n), [""]),
            "name": coded(rng.integers(0, 5_000, n), [f"Machine {i}" for i in range(5_000)]),
            "labels": coded(rng.integers(0, 9, n), [f'{{"line":"{i}"}}' for i in range(9)]),
            "device_type": coded(np.zeros(n), [name]),
            "status": coded(rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 2], n), list(STATUSES)),
            "health": pa.array((rng.random(n) * 100).astype(np.float32), mask=rng.random(n) < 0.02),
            "observed": pa.array(rng.random(n).astype(np.float32)),
            "anomaly_score": pa.array(rng.random(n).astype(np.float32)),
            "anomalous": pa.array(rng.random(n) < 0.02),
            "patterns": pa.array(rng.integers(0, 128, n).astype(np.uint8)),
            "regime": pa.array(np.zeros(n, np.uint8)),
            "alerts": pa.array(rng.integers(0, 3, n).astype(np.int32)),
            "unacknowledged": pa.array(np.zeros(n, np.int32)),
            "priority": pa.array(rng.choice([0, 1, 2, 3, 255, 255, 255], n).astype(np.uint8)),
            "event_time": pa.array(NOW_US - rng.integers(0, 10**7, n)).cast(time),
            "heard_at": pa.array(np.full(n, NOW_US)).cast(time),
            "interval_s": pa.array(np.ones(n)),
            "life_cycle": pa.array(np.zeros(n, np.int32)),
            **{counter: pa.array(np.ones(n, np.uint32)) for counter in COUNTERS},
            **{channel: pa.array(rng.random(n).astype(np.float32)) for channel in CHANNELS},
        }
        return pa.table(columns)

    def newest(self) -> list[Generation]:
        self.number += 1
        return [
            Generation(
                host, 1, self.number, NOW_US + self.number, {n: copied(t) for n, t in tables.items()}, None
            )
            for host, tables in enumerate(self.tables)
        ]


def copied(table: pa.Table) -> pa.Table:
    """The same in memory of its own, as it comes from another process."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def coded(codes: np.ndarray, words: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words))


LISTS = {
    "first page by id": DeviceQuery(),
    "worst health": DeviceQuery(sort="health"),
    "filter on health and site, by score": DeviceQuery(
        "health < 50 and site = 'site-007'", sort="-anomaly_score"
    ),
    "filter on a channel": DeviceQuery("channel_3 > 0.9 and not stale", sort="-health"),
    "most urgent": DeviceQuery("alerts > 0", sort="priority"),
    "newest": DeviceQuery(sort="-event_time", limit=100),
    "label": DeviceQuery("label.line = '3'", sort="health"),
    "part of a name": DeviceQuery(search="1234", sort="id"),
    "jump half way, by health": DeviceQuery(sort="health", offset=HALF_WAY),
    "jump half way, by priority": DeviceQuery(sort="priority", offset=HALF_WAY),
    "jump half way, newest": DeviceQuery(sort="-event_time", offset=HALF_WAY),
    "jump, by site, filtered": DeviceQuery("health < 50", sort="site", offset=HALF_WAY // 4),
}
ANEW = {
    "label, another each time": lambda n: DeviceQuery(f"label.line = '{n % 9}'", sort="health"),
    "part of a name, another each time": lambda n: DeviceQuery(search=f"{n + 1000}"),
}


def asked(view: View, query: DeviceQuery) -> float:
    began_s = stopwatch_s()
    reply(device_page(view, list_devices(view, TYPES, query, RANKS)))
    return (stopwatch_s() - began_s) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=1_000_000)
    devices = parser.parse_args().devices
    live = LiveTable(Fixed(devices))
    live.refresh()
    first = asked(
        live.refresh(), DeviceQuery(search="first")
    )  # what searches is loaded, ids are put in lower case
    say("live list: first search of a process", [first], reference=1_000.0)
    first = asked(live.refresh(), DeviceQuery(offset=HALF_WAY))  # ids are put in order
    say("live list: first jump of a process", [first], reference=5_000.0)
    everything: list[float] = []
    for name, query in LISTS.items():
        taken = []
        for _ in range(ROUNDS):
            view = live.refresh()  # a new generation each time: nothing is remembered from the last question
            taken.append(asked(view, query))
        everything += taken
        say(f"live list: {name}", taken)
    for name, query_of in ANEW.items():
        taken = [asked(live.refresh(), query_of(number)) for number in range(ROUNDS)]
        everything += taken
        say(f"live list: {name}", taken)
    say("live list", everything)
    overview = Overview(live)
    for name, work in (("live summary", overview.summary), ("live map", overview.map)):
        taken = []
        for _ in range(10):
            view = live.refresh()
            began_s = stopwatch_s()
            work(view)
            taken.append((stopwatch_s() - began_s) * 1e3)
        say(name, taken, reference=1_000.0)


def say(name: str, taken: list[float], reference: float = BUDGET_MS) -> None:
    figure = float(np.quantile(taken, 0.99))
    line = {
        "name": name, "figure": round(figure, 1), "unit": "ms p99", "reference": reference,
        "ratio": round(reference / figure, 2), "median": round(float(np.median(taken)), 1), "aim": AIM_MS,
    }  # fmt: skip
    print(json.dumps(line))


if __name__ == "__main__":
    main()
