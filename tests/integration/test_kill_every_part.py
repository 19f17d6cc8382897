"""``kill -9`` of every part of a running platform in turn, while readings come in: it is back, and no acknowledged one is
missing or there twice.

The readings are numbered: reading ``n`` of a device has event time ``start + n`` seconds, so that history can be counted.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serve.access import FOLDER, LOCAL_FILE, LocalToken

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
DEVICES = [f"meter-{number}" for number in range(20)]
BY_ITSELF = (
    "ray::ShardActor",
    "ray::Recording",
    "ray::Working",
    "ray::Sending",
    "ray::ServeReplica",
    "haproxy",
    "ray::HAProxy",
)
UNDERNEATH = ("raylet", "gcs_server")
DRIVER = "up"

FLEET = """
name: drill
seed: 7
sites: [{name: hall, title: Hall, latitude: 60, longitude: 10, climate: {mean_c: 6, yearly_c: 11, daily_c: 3, weather_c: 3}}]
devices: [{type: temperature-sensor, count: 50, id: "sim-{n}", interval_s: 1}]
"""


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, psutil.NoSuchProcess):
            if found := holds():
                return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come about: {what}")


@dataclass
class Platform:
    """``twinfold up`` as a process of its own, with a small simulated fleet."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def auth(self, request: httpx.Request) -> httpx.Request:
        """As the platform's own commands do: with the token of this run, which lies in the data folder."""
        token = LocalToken(self.data / FOLDER / LOCAL_FILE).read()
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TWINFOLD_RAY__TEMP_DIR": str(self.folder / "r"),
            "TWINFOLD_RAY__OBJECT_STORE_MB": "200",
            "TWINFOLD_HISTORY__COMMIT_EVERY_S": "2",
        }
        arguments = ["up", "--data", str(self.data), "--port", str(self.port), "--hosts", "2"]
        arguments += ["--simulate", str(self.folder / "fleet.yaml")]
        command = [sys.executable, "-c", "from cluster.cli import main; main()", *arguments]
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=ROOT, start_new_session=True
            )

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(120)

    def info(self) -> dict[str, Any]:
        """What the platform says of itself; nothing while it starts."""
        try:
            found: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def processes(self, name: str) -> list[psutil.Process]:
        """The platform's processes of some name."""
        assert self.process is not None
        if name == DRIVER:
            return [psutil.Process(self.process.pid)]
        token = str(self.data / "ray-token")
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                title = " ".join(process.cmdline()) if name.startswith("ray::") else process.name()
                if title.startswith(name) and process.environ().get("RAY_AUTH_TOKEN_PATH") == token:
                    found.append(process)
        return found


class Writer(threading.Thread):
    """Sends numbered readings, one request after another; each is sent until it is taken, and remembered as taken then."""

    def __init__(self, platform: Platform, first_at: datetime) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(base_url=platform.url, auth=platform.auth, timeout=10)
        self.first_at = first_at
        self.taken = self.errors = 0
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            at = (self.first_at + timedelta(seconds=self.taken)).isoformat()
            body = {
                "readings": [
                    {"device": each, "time": at, "values": {"temperature": 20 + self.taken % 50}}
                    for each in DEVICES
                ]
            }
            try:
                answer = self.client.post("/api/readings", json=body)
            except httpx.HTTPError:
                self.errors += 1
            else:
                if answer.status_code == 200 and not answer.json()["refused_total"]:
                    self.taken += 1
                else:
                    self.errors += 1
            self.enough.wait(0.05)


@pytest.fixture
def platform() -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="tfk-", dir="/tmp"))  # sockets need a short path
    (folder / "fleet.yaml").write_text(FLEET)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    platform = Platform(folder, port)
    try:
        platform.start()
        yield platform
    finally:
        assert platform.process is not None
        if platform.process.poll() is None:
            platform.stop()
        for name in (*UNDERNEATH, "haproxy", "ray::"):
            for process in platform.processes(name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def test_every_part_comes_back_and_nothing_is_lost_or_doubled(platform: Platform) -> None:
    client = httpx.Client(base_url=platform.url, auth=platform.auth, timeout=10)
    ready = lambda: client.get("/api/ready").status_code == 200  # noqa: E731
    until(ready, "the platform is up")
    devices = [{"id": each, "type": "temperature-sensor"} for each in DEVICES]
    assert client.post("/api/devices", json={"devices": devices}, timeout=60).status_code in (200, 201)
    writer = Writer(platform, datetime.now(UTC) - timedelta(days=1))
    writer.start()
    until(lambda: writer.taken > 5, "readings are taken")
    figures = {}

    def back() -> bool:
        """Ready, a twin answers, new readings are taken, history grows, the simulated devices go on."""
        return ready() and client.get(f"/api/devices/{DEVICES[0]}").status_code == 200

    def simulated() -> str | None:
        """When a simulated device was heard last."""
        answer = client.get("/api/devices/sim-1")
        return answer.json()["heard_at"] if answer.status_code == 200 else None

    def goes_on(what: str, began: float) -> dict[str, float]:
        """Seconds after which each kind of work goes on."""
        figures = {}
        taken = writer.taken
        until(lambda: writer.taken > taken + 3, f"readings are taken after {what}")
        figures["readings_s"] = round(time.monotonic() - began, 1)
        heard = until(simulated, f"the simulated devices are there after {what}")
        until(lambda: simulated() not in (None, heard), f"the simulated devices go on after {what}")
        figures["simulated_s"] = round(time.monotonic() - began, 1)
        reached = {h["name"]: h["cursor"] for h in client.get("/api/ready").json()["hosts"]}
        until(
            lambda: all(
                h["archived"] >= reached[h["name"]] for h in client.get("/api/ready").json()["hosts"]
            ),
            f"history goes on after {what}",
        )
        figures["history_s"] = round(time.monotonic() - began, 1)
        return figures

    heard = until(simulated, "the simulated devices have begun")
    until(lambda: simulated() not in (None, heard), "the simulated devices go on")
    for name in (*BY_ITSELF, *UNDERNEATH, DRIVER):
        if name in UNDERNEATH:  # what dies young is not started again
            until(
                lambda: time.time() - platform.info().get("started_at_s", time.time()) > 61,
                "the platform is a minute old",
            )
        victim = until(lambda name=name: platform.processes(name), f"{name} runs")[0]
        before = platform.info()
        began = time.monotonic()
        victim.kill()
        if name == DRIVER:
            assert platform.process is not None
            platform.process.wait()
            platform.start()
        if name in UNDERNEATH or name == DRIVER:
            until(lambda before=before: platform.info() != before, f"all begins anew after {name}")
        else:
            until(lambda victim=victim: not alive(victim), f"{name} is dead")
        until(back, f"back after {name}")
        figures[name] = {"answers_s": round(time.monotonic() - began, 1), **goes_on(name, began)}

    writer.enough.set()
    writer.join()
    writer.client.close()
    client.close()
    print(json.dumps({**figures, "taken": writer.taken, "asked again": writer.errors}))
    platform.stop()
    counted = query(
        platform,
        "SELECT device_id, event_time, count(*) AS n FROM readings_temperature_sensor"
        " WHERE device_id LIKE 'meter-%' GROUP BY ALL",
    )
    seen = {(row["device_id"], datetime.fromisoformat(row["event_time"])): row["n"] for row in counted}
    wanted = {(each, writer.first_at + timedelta(seconds=n)) for each in DEVICES for n in range(writer.taken)}
    assert wanted, "nothing was taken"
    assert not wanted - seen.keys(), "a reading that was acknowledged is missing"
    assert set(seen.values()) == {1}, "a reading is there twice"
    for name in (*UNDERNEATH, "haproxy", "ray::"):
        assert not platform.processes(name), f"{name} was left behind"


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def query(platform: Platform, sql: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", "from cluster.cli import main; main()", "query", sql, "--json"]
    done = subprocess.run(
        [*command, "--data", str(platform.data)], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows
