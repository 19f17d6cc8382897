"""A platform under ``twinfold up``, in processes of its own, for drills."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import yaml

from serve.access import FOLDER as SECRETS
from serve.access import LOCAL_FILE
from serve.formats import ARROW
from twins import typefiles
from twins.devices import DeviceType

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
UP_WITHIN_S = 900.0
"""A start may have to compile first, on a machine that has other things to do."""


@dataclass(frozen=True)
class Running:
    """A platform that runs: where it is, its foremost process, and the environment in which its commands are given."""

    url: str
    data: Path
    process: "subprocess.Popen[bytes]"
    environment: Mapping[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """What this machine's own commands are let in by."""
        return {"Authorization": f"Bearer {(self.data / SECRETS / LOCAL_FILE).read_text()}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=60)

    def resident_bytes(self) -> dict[tuple[int, str], int]:
        """Memory of each of the platform's processes, by number and what it is."""
        found: dict[tuple[int, str], int] = {}
        parent = psutil.Process(self.process.pid)
        for each in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                name = (each.cmdline() or [each.name()])[0].split("/")[-1].removeprefix("ray::")
                found[each.pid, name.split(".")[0][:24]] = each.memory_info().rss
        return found


@contextlib.contextmanager
def twinfold_up(
    data: Path, types: Sequence[DeviceType], settings: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run ``twinfold up`` on a data folder until the block ends. What is not data lies in a short folder elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="tfu-", dir="/tmp"))  # sockets need a short path
    (folder / "types").mkdir()
    for each in types:
        (folder / "types" / f"{each.name}.yaml").write_text(yaml.safe_dump(typefiles.to_document(each)))
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TWINFOLD_RAY__TEMP_DIR": str(folder / "ray"),
        "TWINFOLD_RAY__OBJECT_STORE_MB": "200",
        "TWINFOLD_FLEET__HOSTS": "2",
        **{f"TWINFOLD_{name}": text for name, text in (settings or {}).items()},
    }
    environment.pop("RAY_AUTH_TOKEN_PATH", None)
    log = folder / "up.log"
    command = [sys.executable, "-c", "from cluster.cli import main; main()", "up", "--data", str(data)]
    command += ["--port", str(port), "--types", str(folder / "types"), "--json"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, cwd=ROOT, start_new_session=True
        )
    try:
        until(lambda: b'"url"' in log.read_bytes() or process.poll() is not None, UP_WITHIN_S)
        assert process.poll() is None, log.read_text()
        running = Running(f"http://127.0.0.1:{port}", data, process, environment)
        with running.client() as client:
            until(lambda: client.get("/api/ready").status_code == 200)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def register(client: httpx.Client, device_type: str, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), 1000):
        devices = [{"id": each, "type": device_type} for each in ids[start : start + 1000]]
        answer = client.post("/api/devices", json={"devices": devices})
        assert answer.status_code in (200, 201), answer.text


def send(client: httpx.Client, table: pa.Table) -> httpx.Response:
    """Readings as an Arrow stream: columns device, time, and one a channel."""
    body = pa.BufferOutputStream()
    with pa.ipc.new_stream(body, table.schema) as stream:
        stream.write_table(table)
    return client.post("/api/readings", content=body.getvalue().to_pybytes(), headers={"Content-Type": ARROW})


def hosts(client: httpx.Client) -> list[dict[str, Any]]:
    """What the platform says of its hosts, whether it is ready or not."""
    found: list[dict[str, Any]] = client.get("/api/ready").json()["hosts"]
    return found


def until(holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for what is to come about; give what it came to."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError, KeyError):
            if found := holds():
                return found
        time.sleep(0.2)  # looks again; the deadline is above
    raise AssertionError("it did not come about")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
