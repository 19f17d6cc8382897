"""A platform over several Ray nodes on this machine, each with a data folder of its own; one of them is killed."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from twins.placement import Homes

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
DEVICES = [f"pump-{number}" for number in range(8)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Cluster:
    """Nodes and a platform, as processes of ``twinfold``; everything is under one short folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    address: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def data(self, name: str) -> Path:
        return self.folder / f"d{name}"

    def start_node(self, name: str) -> None:
        """Run `twinfold node`; the first one is the head."""
        arguments = ["node", "--data", str(self.data(name))]
        if self.address:
            token = self.data("a") / "ray-token"
            arguments += ["--address", self.address, "--token", str(token)]
        else:
            arguments += ["--port", str(self.port)]
        log = self.folder / f"{name}.log"
        self.nodes[name] = self._run(arguments, log, TWINFOLD_RAY__TEMP_DIR=str(self.folder / name))
        until(lambda: b"block forever" in log.read_bytes() or self.nodes[name].poll() is not None)
        assert self.nodes[name].poll() is None, log.read_text()
        if not self.address:
            found = re.search(rf"([0-9.]+:{self.port})\b", log.read_text())
            assert found is not None, log.read_text()
            self.address = found[1]

    def kill_node(self, name: str) -> None:
        """End a node as a power cut does: raylet, workers and all."""
        parent = psutil.Process(self.nodes[name].pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.nodes.pop(name).wait()

    @contextlib.contextmanager
    def platform(self) -> Iterator[httpx.Client]:
        """Run `twinfold up`; gives a client of its API."""
        arguments = ["up", "--data", str(self.data("a")), "--address", self.address, "--json"]
        log = self.folder / "up.log"
        process = self._run([*arguments, "--port", str(self.api_port)], log)
        try:
            until(lambda: b'"url"' in log.read_bytes() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            token = (self.data("a") / "secrets" / "local-token").read_text()
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=self.url, timeout=60, headers=headers) as client:
                yield client
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, arguments: list[str], log: Path, **variables: str) -> "subprocess.Popen[bytes]":
        proxy = self.folder / "ha"
        proxy.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TWINFOLD_RAY__NUM_CPUS": "1",
            "TWINFOLD_RAY__OBJECT_STORE_MB": "100",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "server-state"),
            **variables,
        }
        environment.pop("RAY_AUTH_TOKEN_PATH", None)
        with log.open("wb") as out:
            command = [sys.executable, "-c", "from cluster.cli import main; main()", *arguments]
            return subprocess.Popen(
                command, stdout=out, stderr=out, env=environment, cwd=ROOT, start_new_session=True
            )


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    pause = 0.2
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if found := holds():
                return found
        time.sleep(pause)
    raise AssertionError("it did not come about")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="tfn-", dir="/tmp")))  # sockets need a short path
    try:
        yield cluster
    finally:
        for name in list(cluster.nodes):
            cluster.kill_node(name)
        shutil.rmtree(cluster.folder, ignore_errors=True)


def send(client: httpx.Client, flow: float) -> tuple[httpx.Response, str]:
    """One reading of every device, now; gives the answer and the time."""
    now = datetime.now(UTC).isoformat()
    readings = [{"device": each, "time": now, "values": {"flow": flow}} for each in DEVICES]
    return client.post("/api/readings", json={"readings": readings}), now


def flows(client: httpx.Client, device: str) -> list[float]:
    """What history has of a device."""
    answer = client.get(f"/api/devices/{device}/history", params={"channels": "flow"})
    values: list[float] = answer.json()["channels"]["flow"]["value"]
    return values


def hosts(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {host["name"]: host for host in client.get("/api/ready").json()["hosts"]}


def test_a_host_lives_in_one_folder_and_comes_back_there(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.start_node(name)
    with cluster.platform() as client:
        until(lambda: client.get("/api/ready").status_code == 200)
        cluster.start_node("c")  # joined later, and has nothing: it would take a lost host if any node did

        # a host in each folder, and the API says so
        ids = {name: (cluster.data(name) / "folder-id").read_text() for name in "abc"}
        found = hosts(client)
        assert sorted(host["folder"] for host in found.values()) == sorted([ids["a"], ids["b"]])
        assert Homes(cluster.data("a") / "homes.json").hosts == {n: h["folder"] for n, h in found.items()}
        for name in "ab":
            lie_there = [path.name for path in (cluster.data(name) / "hosts").iterdir()]
            assert lie_there == [host for host, at in found.items() if at["folder"] == ids[name]]

        # devices on both, one history
        answer = client.post(
            "/api/devices", json={"devices": [{"id": each, "type": "centrifugal-pump"} for each in DEVICES]}
        )
        assert answer.status_code in (200, 201), answer.text
        taken, _ = send(client, 100.0)
        assert taken.json()["accepted"] == {"scored": len(DEVICES)}, taken.text
        until(lambda: all(host["archived"] == host["cursor"] for host in hosts(client).values()))
        assert all(flows(client, each) == [100.0] for each in DEVICES)
        assert all(host["devices"] == len(DEVICES) / 2 for host in hosts(client).values())

        # one node dies and comes back with its folder
        cluster.kill_node("b")
        cluster.start_node("b")
        until(lambda: client.get("/api/ready").status_code == 200)
        assert {n: h["folder"] for n, h in hosts(client).items()} == {
            n: h["folder"] for n, h in found.items()
        }
        assert not (cluster.data("c") / "hosts").exists()
        taken, _ = send(client, 101.0)
        assert taken.json()["accepted"] == {"scored": len(DEVICES)}, taken.text
        assert all(flows(client, each) == [100.0, 101.0] for each in DEVICES)
