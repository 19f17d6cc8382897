"""The edge as it is deployed: HAProxy, Ray Serve, replicas, shards in actors."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass(frozen=True)
class Platform:
    """A running platform: its address, the header that it is asked with, and registering devices past its edge."""

    base: str
    token: dict[str, str]
    process: subprocess.Popen[str]

    def register(self, device_ids: list[str]) -> int:
        """Register pumps in the platform's own process; gives how many hosts there are then."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(device_ids) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform that lives as long as this module's tests; sockets need a short path."""
    folder, port = Path(tempfile.mkdtemp(prefix="tfe-", dir="/tmp")), free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
    }
    script = Path(__file__).parent / "edge_platform.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("up "), f"the platform did not come up: {said!r}"
        yield Platform(f"127.0.0.1:{port}", {"Authorization": f"Bearer {said.split()[1]}"}, process)
    finally:
        process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_reading_becomes_an_alert_in_list_and_socket(platform: Platform) -> None:
    asyncio.run(reading_to_alert(platform.base, platform.token))


async def reading_to_alert(base: str, token: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{base}", timeout=60, headers=token) as client:
        assert (await client.get("/api/health")).json() == {"status": "ok"}
        ready = await once_ready(client)
        assert [host["state"] for host in ready["hosts"]] == ["ready", "ready"]
        listed = (await client.get("/api/devices", params={"sort": "id"})).json()
        assert listed["total"] == 7

        async with websockets.connect(f"ws://{base}/api/live", additional_headers=token) as sock:
            hello = json.loads(await sock.recv())
            assert hello["type"] == "hello"
            wish = {"type": "subscribe", "topics": ["alerts", "fleet", "devices"], "devices": ["pump-01"]}
            await sock.send(json.dumps(wish))
            taken = await client.post(
                "/api/readings",
                json={
                    "readings": [
                        {"device": "pump-01", "time": now_ms(), "values": {"vibration": 9.0, "flow": 50}}
                    ]
                },
            )
            assert taken.status_code == 200, taken.text
            assert taken.json()["accepted"] == {"scored": 1}
            alert = await message(sock, "NEW_ALERT")
            assert alert["data"]["id"] == "pump-01:vibration-high:1"
            update = await message(
                sock, "data_update", lambda m: m["data"]["devices"]["values"]["vibration"] == [9.0]
            )
            assert update["data"]["fleet"]["alerts"]["high"] == 1

            page = await client.get("/api/alerts", params={"cursor": taken.json()["cursor"]})
            assert [item["id"] for item in page.json()["items"]] == ["pump-01:vibration-high:1"]
            done = await client.post(
                "/api/alerts/pump-01:vibration-high:1/acknowledge", json={"note": "on it"}
            )
            assert done.status_code == 200, done.text
            async with asyncio.timeout(
                30
            ):  # a list waits a second for its cursor; a busy machine takes longer
                while await state_of_first(client, done.json()["cursor"]) != "ACKED":
                    await asyncio.sleep(0.1)
            changed = await message(sock, "ALERT_CHANGED")
            assert changed["data"]["state"] == "ACKED"
            assert changed["data"]["event"]["detail"]["by"] == "local"

        async with websockets.connect(f"ws://{base}/api/live", additional_headers=token) as sock:
            await sock.recv()
            await sock.send(
                json.dumps({"type": "subscribe", "topics": ["alerts"], "cursor": hello["cursor"]})
            )
            again = await message(sock, "NEW_ALERT")
            assert again["data"]["id"] == alert["data"]["id"]

        past = (await client.get("/api/devices/pump-01/history", params={"channels": "vibration"})).json()
        assert past["channels"]["vibration"]["value"] == [9.0]
        assert "twinfold_devices" in (await client.get("/metrics")).text
        refused = await client.get("/api/health", headers={"Host": "rebound.example"})
        assert refused.status_code == 421
        nobody = await client.get("/api/devices", headers={"Authorization": "Bearer tfl_guessed"})
        assert nobody.status_code == 401


def test_rules_that_one_replica_puts_in_force_are_known_to_the_other(platform: Platform) -> None:
    asyncio.run(rules_of_another_replica(platform.base, platform.token))


async def rules_of_another_replica(base: str, token: dict[str, str]) -> None:
    """The API puts a new rule in force; the socket's replica tells of its alert, by name."""
    wet = {
        "name": "wet", "title": "Too wet", "when": "flow > 200", "priority": "low", "consequence": "puddles",
        "response": "mop", "on_delay_s": 0, "off_delay_s": 0,
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=f"http://{base}", timeout=60, headers=token) as client:
        await once_ready(client)
        async with websockets.connect(f"ws://{base}/api/live", additional_headers=token) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["alerts"]}))
            path = "/api/types/pump/rules/staged"
            staged = await client.put(path, json={"rules": [wet]}, headers={"If-Match": "*"})
            assert staged.status_code == 200, staged.text
            headers = {"If-Match": staged.headers["etag"]}
            done = await client.post("/api/types/pump/activate", json={}, headers=headers)
            assert done.status_code == 200, done.text
            reading = {"device": "pump-02", "time": now_ms(), "values": {"flow": 300}}
            await client.post("/api/readings", json={"readings": [reading]})
            alert = await message(sock, "NEW_ALERT")
            assert (alert["data"]["id"], alert["data"]["title"]) == ("pump-02:wet:1", "Too wet")
        back = await client.post("/api/types/pump/activate", json={"rules": 1}, headers={"If-Match": "*"})
        assert back.status_code == 200, back.text


def test_a_host_that_another_process_added_is_seen(platform: Platform) -> None:
    asyncio.run(host_added_elsewhere(platform))


async def state_of_first(client: httpx.AsyncClient, cursor: str) -> str:
    page = await client.get("/api/alerts", params={"cursor": cursor})
    state: str = page.json()["items"][0]["state"]
    return state


async def values_of(client: httpx.AsyncClient, device: str) -> list[float]:
    """What history has of a device's vibration."""
    past = (await client.get(f"/api/devices/{device}/history", params={"channels": "vibration"})).json()
    values: list[float] = past["channels"].get("vibration", {}).get("value", [])
    return values


async def host_added_elsewhere(platform: Platform) -> None:
    """Two hosts with room for seven twins each: a dozen more need a third."""
    added = [f"late-{number:02d}" for number in range(12)]
    async with httpx.AsyncClient(
        base_url=f"http://{platform.base}", timeout=60, headers=platform.token
    ) as client:
        await once_ready(client)
        assert await asyncio.to_thread(platform.register, added) == 3
        async with asyncio.timeout(60):
            while (await client.get(f"/api/devices/{added[-1]}")).status_code != 200:
                await asyncio.sleep(0.2)
        async with websockets.connect(
            f"ws://{platform.base}/api/live", additional_headers=platform.token
        ) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["fleet", "alerts"]}))
            await message(sock, "data_update", lambda m: m["data"]["fleet"]["devices"] == 7 + len(added))
            readings = [{"device": each, "time": now_ms(), "values": {"vibration": 9.0}} for each in added]
            taken = await client.post("/api/readings", json={"readings": readings})
            assert taken.json()["accepted"] == {"scored": len(added)}, taken.text
            raised = {(await message(sock, "NEW_ALERT"))["data"]["device_id"] for _ in added}
            assert raised == set(added)
        for each in added:
            async with asyncio.timeout(30):  # the replica may still be about to find the new host's journal
                while await values_of(client, each) != [9.0]:
                    await asyncio.sleep(0.2)


async def once_ready(client: httpx.AsyncClient) -> Any:
    """What the platform says of itself once the live table stands."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get("/api/ready")
            if answer.status_code == 200:
                return answer.json()
            await asyncio.sleep(0.2)


async def message(sock: Any, kind: str, fits: Any = lambda _: True) -> Any:
    """The next message of a kind that fits; others are passed over."""
    async with asyncio.timeout(60):
        while True:
            found = json.loads(await sock.recv())
            if found["type"] == kind and fits(found):
                return found
