"""A platform with its edge for benches, in processes of its own, and a bare server that does no work beside it.

The bare one is FastAPI on uvicorn: it reads a body and answers, or sends every socket what it was posted. What Twinfold
costs is the difference.
"""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()
_token = Path(tempfile.mkdtemp(prefix="tfb-"))  # Ray reads its token once a process
os.environ.update(ray_environment(_token))

PUMP = "centrifugal-pump"
ALARM = ("vibration", 15.0)
"""A channel, and a value of it that raises an alert at once."""


@dataclass(frozen=True)
class Edge:
    """A running platform: where it is, the token of its own machine, a gateway's key, its devices and their channels."""

    url: str
    token: str
    key: str
    fleet: Any
    ids: pa.StringArray
    channels: list[str]

    @property
    def headers(self) -> dict[str, str]:
        """With which people ask."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def gateway(self) -> dict[str, str]:
        """With which readings come."""
        return {"Authorization": f"Bearer {self.key}"}


@contextlib.contextmanager
def platform(twins: int) -> Iterator[Edge]:
    """Shards, recorder and applications as ``twinfold up`` starts them, with ``twins`` pumps whose baselines stand."""
    import ray

    from cluster.services import recording
    from cluster.settings import load
    from serve.access import FOLDER, Access
    from serve.accounts import Actor
    from serve.config import database_config
    from serve.database import Database
    from serve.deployments import run_applications, stop_applications
    from serve.scopes import Scope
    from twins.devices import AlertRule, Device
    from twins.ray_fleet import RayFleet
    from twins.readings import ReadingBatch
    from twins.typefiles import load_catalog

    folder = Path(tempfile.mkdtemp(prefix="tfb-"))
    settings = load({"data": str(folder), "fleet.hosts": 2}, {})
    ray.init(
        address="local", include_dashboard=False, num_cpus=2, object_store_memory=4 << 30,
        _node_ip_address="127.0.0.1", _temp_dir="/tmp/tfb", namespace="twinfold", log_to_driver=False, logging_level="error",
    )  # fmt: skip
    try:
        pump = load_catalog()[PUMP]
        at_once = AlertRule("bench", f"{ALARM[0]} > {ALARM[1] - 1}", "high", "none", "none", on_delay_s=0.0)
        pump = replace(pump, baseline_readings=8, rules=(*pump.rules, at_once))
        fleet = RayFleet(
            folder / "hosts", settings.fleet_config(os.cpu_count() or 1), settings.actor_config(), create=True
        )
        fleet.install(pump)
        names = [f"p{number:07}" for number in range(twins)]
        fleet.register([Device(name, PUMP, site="here", interval_s=3600.0) for name in names])
        recorder = recording.start(folder, settings.history, {})
        ids = pa.array(names)
        channels = list(pump.channel_names)
        for step in range(10, 0, -1):
            at_us = time.time_ns() // 1000 - (3600 + step) * 1_000_000
            index = np.arange(twins, dtype=np.int32)
            fleet.write(ReadingBatch(PUMP, ids, index, np.full(twins, at_us), healthy(pump, twins), None))
        database = database_config("", folder)
        Database(database).migrate()
        access = Access(Database(database), folder / FOLDER)
        token = access.local.renew()
        _, key = access.keys.create("gateway", Scope.of(everything=True), Actor("bench"))
        port = free_port()
        run_applications(folder, "127.0.0.1", port, settings.api_config(), database)
        yield Edge(f"http://127.0.0.1:{port}", token, key, fleet, ids, channels)
        stop_applications()
        recorder.stop()
        fleet.close()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def recorded(edge: Edge, within_s: float = 600.0) -> None:
    """Wait until history holds all that was sent. Raises TimeoutError."""
    until_s = time.monotonic() + within_s
    while any(host.archived < host.cursor for host in edge.fleet.status()):
        if time.monotonic() > until_s:
            raise TimeoutError("history does not hold yet what was sent")
        time.sleep(0.5)  # looks again; the deadline is above


def healthy(pump: Any, lines: int, seed: int = 1) -> Any:
    """(lines, channels) values in the middle of each channel's range, with a little noise."""
    rng = np.random.default_rng(seed)
    values = np.empty((lines, len(pump.channels)), pump.dtype)
    for c, channel in enumerate(pump.channels):
        base = channel.response.base or (channel.low + min(channel.high, channel.low + 100)) / 2
        values[:, c] = np.clip(base + rng.normal(0, 0.01, lines), channel.low, channel.high)
    return values


@contextlib.contextmanager
def bare() -> Iterator[str]:
    """The address of a server that does no work."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve_bare, args=(port,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url + "/up", timeout=1):
            break
        time.sleep(0.05)  # until it answers; the deadline is above
    try:
        yield url
    finally:
        process.terminate()
        process.join()


def _serve_bare(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

    app = FastAPI()
    sockets: set[WebSocket] = set()

    @app.get("/up")
    async def up() -> dict[str, bool]:
        return {"up": True}

    @app.post("/ingest")
    async def ingest(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.post("/tell")
    async def tell(request: Request) -> dict[str, int]:
        text = (await request.body()).decode()
        for each in list(sockets):
            await each.send_text(text)
        return {"told": len(sockets)}

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            sockets.discard(socket)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", ws="websockets")


class Connection:
    """One kept-alive HTTP/1.1 connection that posts bodies: a client library would cost more than what it measures."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._host, _, path = url.removeprefix("http://").partition("/")
        lines = [f"POST /{path} HTTP/1.1", f"Host: {self._host}", *(f"{k}: {v}" for k, v in headers.items())]
        self._head = "\r\n".join(lines) + "\r\nContent-Length: "
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        if self._streams is None:
            host, port = self._host.split(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        answer = await reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split(" ")[1]), answer, headers

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
