"""The edge as it is deployed: HAProxy, Ray Serve, replicas, shards in actors."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
import websockets

from tests.integration.running import Running
from tests.integration.up.conftest import TWINS_PER_HOST
from tests.serve.edges import DEVICES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def edge(platform: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=platform.url, timeout=60, headers=platform.headers)


def live(platform: Running) -> websockets.connect:
    address = platform.url.replace("http", "ws") + "/api/live"
    return websockets.connect(address, additional_headers=platform.headers)


async def total(client: httpx.AsyncClient, wanted: dict[str, str] | None = None) -> int:
    """How many devices the list has."""
    found: int = (await client.get("/api/devices", params=wanted)).json()["total"]
    return found


async def register(client: httpx.AsyncClient, devices: list[dict[str, Any]]) -> None:
    done = await client.post("/api/devices", json={"devices": devices})
    assert done.status_code in (200, 201), done.text


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_reading_becomes_an_alert_in_list_and_socket(platform: Running) -> None:
    asyncio.run(reading_to_alert(platform))


async def reading_to_alert(platform: Running) -> None:
    async with edge(platform) as client:
        assert (await client.get("/api/health")).json() == {"status": "ok"}
        ready = await once_ready(client)
        assert [host["state"] for host in ready["hosts"]] == ["ready", "ready"]
        await register(client, [{"id": each.id, "type": each.device_type} for each in DEVICES])
        wanted = {"filter": " or ".join(f"id = '{each.id}'" for each in DEVICES)}
        async with asyncio.timeout(30):  # the list is a second old
            while await total(client, wanted) != len(DEVICES):
                await asyncio.sleep(0.1)

        async with live(platform) as sock:
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
            # the stream is ahead of the live table: whoever is told reads the list with the message's cursor
            both = {"cursor": [alert["cursor"], taken.json()["cursor"]]}
            async with asyncio.timeout(30):
                while (told := (await client.get("/api/alerts", params=both)).json())["total"] == 0:
                    await asyncio.sleep(0.1)
            assert [item["id"] for item in told["items"]] == ["pump-01:vibration-high:1"]
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

        async with live(platform) as sock:
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


def test_rules_that_one_replica_puts_in_force_are_known_to_the_other(platform: Running) -> None:
    asyncio.run(rules_of_another_replica(platform))


async def rules_of_another_replica(platform: Running) -> None:
    """The API puts a new rule in force; the socket's replica tells of its alert, by name."""
    wet = {
        "name": "wet", "title": "Too wet", "when": "flow > 200", "priority": "low", "consequence": "puddles",
        "response": "mop", "on_delay_s": 0, "off_delay_s": 0,
    }  # fmt: skip
    async with edge(platform) as client:
        await once_ready(client)
        async with live(platform) as sock:
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


def test_a_host_that_another_process_added_is_seen(platform: Running) -> None:
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


async def host_added_elsewhere(platform: Running) -> None:
    """As many devices as two hosts have room for, beside those that are there: the registrar adds a third."""
    added = [f"late-{number:03d}" for number in range(2 * TWINS_PER_HOST)]
    async with edge(platform) as client:
        await once_ready(client)
        before = await total(client)
        await register(client, [{"id": each, "type": "pump"} for each in added])
        async with asyncio.timeout(60):
            while len((await client.get("/api/ready")).json()["hosts"]) != 3:
                await asyncio.sleep(0.2)
            while (await client.get(f"/api/devices/{added[-1]}")).status_code != 200:
                await asyncio.sleep(0.2)
        async with live(platform) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["fleet", "alerts"]}))
            await message(sock, "data_update", lambda m: m["data"]["fleet"]["devices"] == before + len(added))
            readings = [{"device": each, "time": now_ms(), "values": {"vibration": 9.0}} for each in added]
            taken = await client.post("/api/readings", json={"readings": readings})
            assert taken.json()["accepted"] == {"scored": len(added)}, taken.text
            raised = {(await message(sock, "NEW_ALERT"))["data"]["device_id"] for _ in added}
            assert raised == set(added)
        for each in added[:: len(added) // 12]:
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
