"""Budgets: ingest over HTTP, answered when durable: Arrow at least 500 k points/s (aim 4 M), JSON batches 50 k (aim 300 k);
one reading a request at half of what can be taken: p99 below 100 ms (aim 30).

A point is one channel's value. Bodies are made before the clock runs; each has newer readings of its devices than the one
before. Several connections send side by side, as gateways do. Reference: the same bodies from the same client to a bare
FastAPI on uvicorn that only reads them.

    python -m bench.ingest [--twins 100000 1000000] [--seconds 15]
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from bench.edge import PUMP, Connection, Edge, bare, healthy, platform, recorded
from bench.report import report
from serve.formats import ARROW, JSON

ARROW_LINES = 20_000
JSON_LINES = 1_000
CONNECTIONS = 4
ONE_BY_ONE = 32
"""Connections that send one reading a request."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, nargs="*", default=[100_000])
    arguments.add_argument("--seconds", type=float, default=15.0)
    options = arguments.parse_args()
    for twins in options.twins:
        with platform(twins) as edge, bare() as nothing:
            throughput(edge, nothing, "Arrow", ARROW, ARROW_LINES, options.seconds, 500_000, 4_000_000)
            throughput(edge, nothing, "JSON batches", JSON, JSON_LINES, options.seconds, 50_000, 300_000)
            recorded(edge)  # half load is what goes on for ever; what was sent before is more than that
            latency(edge, nothing, options.seconds)


def throughput(
    edge: Edge, nothing: str, what: str, kind: str, lines: int, seconds: float, floor: float, aim: float
) -> None:
    """Points a second that are durable when they are answered."""
    count = 24 if kind == ARROW else 400
    made = list(itertools.islice(bodies(edge, kind, lines), 8 * count))
    sizes = sum(map(len, made)) / len(made)
    reference, _ = asyncio.run(sent(nothing + "/ingest", {}, kind, made[:count], CONNECTIONS, seconds / 3))
    rate, took = asyncio.run(sent(edge.url + "/ingest", edge.gateway, kind, made, CONNECTIONS, seconds))
    points = lines * len(edge.channels)
    report(
        f"ingest over HTTP, {what}", rate * points, "points/s", reference * points,
        "the same bodies, only read, by FastAPI on uvicorn", twins=len(edge.ids), lines=lines,
        body_bytes=round(sizes), connections=CONNECTIONS, floor=floor, aim=aim, answer_ms=quantiles(took),
    )  # fmt: skip


def latency(edge: Edge, nothing: str, seconds: float) -> None:
    """How long one reading takes to be durable, at half the rate at which as many as possible are."""
    made = list(itertools.islice(bodies(edge, JSON, 1), 60_000))
    most, _ = asyncio.run(
        sent(edge.url + "/ingest", edge.gateway, JSON, made[:30_000], ONE_BY_ONE, seconds / 2)
    )
    rate = most / 2
    bare_most, _ = asyncio.run(sent(nothing + "/ingest", {}, JSON, made[:30_000], ONE_BY_ONE, seconds / 3))
    reference = asyncio.run(paced(nothing + "/ingest", {}, made, rate, seconds / 3))
    took = asyncio.run(paced(edge.url + "/ingest", edge.gateway, made[30_000:], rate, seconds))
    report(
        "one reading a request, durable, p99", float(np.quantile(took, 0.99)) * 1e3, "ms",
        float(np.quantile(reference, 0.99)) * 1e3, "FastAPI on uvicorn at the same rate", twins=len(edge.ids),
        floor=100, aim=30, requests_a_second=round(rate), most_a_second=round(most),
        bare_most_a_second=round(bare_most), answer_ms=quantiles(took),
    )  # fmt: skip


def bodies(edge: Edge, kind: str, lines: int) -> Iterator[bytes]:
    """Bodies of ``lines`` readings each; one device is in a body once, and again in a later one at a later time."""
    from twins.typefiles import load_catalog

    values = healthy(load_catalog()[PUMP], lines)
    ids = edge.ids.to_pylist()
    first_us = time.time_ns() // 1000 - 600_000_000  # nothing lies in the future when it is sent
    for number in itertools.count():
        at = number * lines
        chosen = [ids[(at + n) % len(ids)] for n in range(lines)]
        times = first_us + (at + np.arange(lines)) // len(ids) * 1000 + number
        if kind == ARROW:
            columns = {name: values[:, c] for c, name in enumerate(edge.channels)}
            moments = pa.array(times, pa.timestamp("us", "UTC"))
            table = pa.table({"device": pa.array(chosen), "time": moments, **columns})
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            yield sink.getvalue().to_pybytes()
        else:
            rows = values.tolist()
            readings = [
                {
                    "device": chosen[n],
                    "time": int(times[n]),
                    "values": dict(zip(edge.channels, rows[n], strict=True)),
                }
                for n in range(lines)
            ]
            yield json.dumps({"readings": readings}).encode()


async def sent(
    url: str, headers: dict[str, str], kind: str, made: Sequence[bytes], connections: int, seconds: float
) -> tuple[float, list[float]]:
    """Send over several connections as fast as answers come; gives bodies a second, and how long each took, s."""
    took: list[float] = []
    left = iter(made)
    opened = [Connection(url, {**headers, "Content-Type": kind}) for _ in range(connections)]
    began = time.perf_counter()

    async def send(connection: Connection) -> None:
        for body in left:
            at = time.perf_counter()
            status, answer, said = await connection.post(body)
            while status == 429:  # what cannot be taken now is sent again
                await asyncio.sleep(float(said["retry-after"]))
                status, answer, said = await connection.post(body)
            assert status == 200, answer
            took.append(time.perf_counter() - at)
            if time.perf_counter() - began > seconds:
                return

    await asyncio.gather(*map(send, opened))
    took_s = time.perf_counter() - began
    for connection in opened:
        connection.close()
    return len(took) / took_s, took


async def paced(
    url: str, headers: dict[str, str], made: Sequence[bytes], rate: float, seconds: float
) -> list[float]:
    """Send at a rate whatever the answers do; how long each took since it was due, s: who waits to send waits, too."""
    took: list[float] = []
    idle = [Connection(url, {**headers, "Content-Type": JSON}) for _ in range(4 * ONE_BY_ONE)]
    free = asyncio.Semaphore(len(idle))
    began = time.perf_counter()

    async def send(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        async with free:
            connection = idle.pop()
            status, answer, _ = await connection.post(made[number])
            idle.append(connection)
        assert status == 200, answer
        took.append(time.perf_counter() - due)

    await asyncio.gather(*(send(number) for number in range(min(len(made), int(rate * seconds)))))
    for connection in idle:
        connection.close()
    return took


def quantiles(took: Sequence[float]) -> dict[str, float]:
    return {str(q): round(float(np.quantile(took, q)) * 1e3, 1) for q in (0.5, 0.95, 0.99)}


if __name__ == "__main__":
    main()
