"""Budget: from an event to the browser, with 500 open sockets, at 1 M twins: p99 below 1 s (aim 250 ms).

Every few hundred ms one device's reading raises an alert; the clock runs from before that reading is sent over HTTP until
each socket has its NEW_ALERT. Meanwhile the sockets get the state of the fleet once a second, as browsers do. They are
read by one process, on the same cores. Reference: a bare FastAPI on uvicorn that is posted the same message and sends it
to as many sockets.

    python -m bench.push [--twins 100000 1000000] [--sockets 500] [--alerts 60]
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict

import httpx
import numpy as np
import websockets

from bench.edge import ALARM, Edge, bare, platform
from bench.ingest import quantiles
from bench.report import report

PAUSE_S = 0.4
OPEN_EVERY_S = 0.015
"""All sockets are one account's here, which may make so many requests a second (``api.requests_per_s``)."""
OPEN_WITHIN_S = 120.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--twins", type=int, nargs="*", default=[100_000, 1_000_000])
    arguments.add_argument("--sockets", type=int, default=500)
    arguments.add_argument("--alerts", type=int, default=60)
    options = arguments.parse_args()
    for twins in options.twins:
        with platform(twins) as edge:
            took, sample = asyncio.run(told(edge, options.sockets, options.alerts))
        with bare() as nothing:
            reference = asyncio.run(repeated(nothing, sample, options.sockets, options.alerts))
        wanted = options.sockets * options.alerts
        report(
            "event to browser, p99", float(np.quantile(took, 0.99)) * 1e3, "ms",
            float(np.quantile(reference, 0.99)) * 1e3, "FastAPI on uvicorn sends the same message to as many sockets",
            twins=twins, sockets=options.sockets, alerts=options.alerts, floor=1_000, aim=250,
            arrived=round(len(took) / wanted, 4), took_ms=quantiles(took), reference_ms=quantiles(reference),
        )  # fmt: skip


async def told(edge: Edge, sockets: int, alerts: int) -> tuple[list[float], str]:
    """How long each socket waited for each alert, s; and one message as it came."""
    began: dict[str, float] = {}
    took: list[float] = []
    seen: dict[str, int] = defaultdict(int)
    sample = ""
    ready, enough = asyncio.Semaphore(0), asyncio.Event()

    async def listen(number: int) -> None:
        nonlocal sample
        await asyncio.sleep(number * OPEN_EVERY_S)  # one after the other
        url = edge.url.replace("http", "ws") + "/api/live"
        async with websockets.connect(
            url, additional_headers=edge.headers, compression=None, open_timeout=60
        ) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["fleet", "alerts"]}))
            ready.release()
            while not enough.is_set():
                try:
                    text = await asyncio.wait_for(sock.recv(), 1.0)
                except TimeoutError:
                    continue
                if not text.startswith('{"type":"NEW_ALERT"') and '"NEW_ALERT"' not in text[:200]:
                    continue
                at = time.perf_counter()
                device = json.loads(text)["data"]["device_id"]
                if device in began:
                    took.append(at - began[device])
                    seen[device] += 1
                    sample = text

    listeners = [asyncio.create_task(listen(number)) for number in range(sockets)]
    async with asyncio.timeout(OPEN_WITHIN_S):
        for _ in range(sockets):
            await ready.acquire()
    async with httpx.AsyncClient(headers=edge.headers, timeout=60) as client:
        for number in range(alerts):
            device = edge.ids[number * 7919 % len(edge.ids)].as_py()
            began[device] = time.perf_counter()
            answer = await client.post(edge.url + "/ingest", json={"readings": [raising(device)]})
            assert answer.status_code == 200, answer.text
            deadline = time.perf_counter() + 20
            while seen[device] < sockets and time.perf_counter() < deadline:
                await asyncio.sleep(0.02)
            await asyncio.sleep(PAUSE_S)
    enough.set()
    await asyncio.gather(*listeners, return_exceptions=True)
    return took, sample


def raising(device: str) -> dict[str, object]:
    """A reading that raises an alert at once."""
    return {"device": device, "time": time.time_ns() // 1_000_000, "values": dict([ALARM])}


async def repeated(url: str, text: str, sockets: int, times: int) -> list[float]:
    """The same message to as many sockets of a server that does nothing else."""
    took: list[float] = []
    began = 0.0
    got = 0
    ready, enough = asyncio.Semaphore(0), asyncio.Event()

    async def listen() -> None:
        nonlocal got
        async with websockets.connect(
            url.replace("http", "ws") + "/api/live", compression=None, open_timeout=60
        ) as sock:
            ready.release()
            while not enough.is_set():
                try:
                    await asyncio.wait_for(sock.recv(), 1.0)
                except TimeoutError:
                    continue
                took.append(time.perf_counter() - began)
                got += 1

    listeners = [asyncio.create_task(listen()) for _ in range(sockets)]
    for _ in range(sockets):
        await ready.acquire()
    async with httpx.AsyncClient(timeout=60) as client:
        for _ in range(times):
            got, began = 0, time.perf_counter()
            await client.post(url + "/tell", content=text)
            deadline = time.perf_counter() + 20
            while got < sockets and time.perf_counter() < deadline:
                await asyncio.sleep(0.02)
            await asyncio.sleep(PAUSE_S / 4)
    enough.set()
    await asyncio.gather(*listeners, return_exceptions=True)
    return took


if __name__ == "__main__":
    main()
