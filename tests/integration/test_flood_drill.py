"""Ten thousand alerts at one moment, as when a whole site loses its cooling: nobody is lost, nothing stands still."""

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import websockets

from tests.integration.running import Running, register, send, twinfold_up, until
from twins.devices import AlertRule, Channel, DeviceType

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

COOLER = DeviceType(
    "cooler", 1, (Channel("temperature", "Cel", low=-40, high=200, resolution=0.1),), interval_s=60.0,
    rules=(
        AlertRule("hot", "temperature > 90", "critical", "the plant stops", "open the bypass",
                  on_delay_s=0.0, off_delay_s=0.0),
    ),
)  # fmt: skip
DEVICES = [f"cooler-{number:05d}" for number in range(10_000)]
PAGE = 1000
READ_EVERY_S = 0.05
GROWTH_MB = 300
"""How much more memory each process may hold than before: not a copy of everything for each that is told."""


@dataclass
class Listener:
    """A socket that takes what it is told: alerts by id, and how many it is said to have missed."""

    running: Running
    pause_s: float = 0.0
    alerts: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    gaps: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    enough: threading.Event = field(default_factory=threading.Event)

    @property
    def accounted(self) -> int:
        return sum(self.alerts.values()) + self.missed

    def listen(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        url = self.running.url.replace("http", "ws") + "/api/live"
        async with websockets.connect(url, additional_headers=self.running.headers, max_queue=4) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["alerts", "fleet"]}))
            self.ready.set()
            while not self.enough.is_set():
                with contextlib.suppress(TimeoutError):
                    self._take(json.loads(await asyncio.wait_for(sock.recv(), 0.5)))
                    await asyncio.sleep(self.pause_s)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "NEW_ALERT":
            self.alerts[message["data"]["id"]] += 1
        elif message["type"] == "gap":
            self.missed += message["missed"]
            self.gaps += 1


@dataclass
class Reader:
    """Somebody who opens one device after another, all the while."""

    running: Running
    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        with self.running.client() as client:
            while not self.enough.wait(READ_EVERY_S):
                began = time.monotonic()
                answer = client.get(f"/api/devices/{DEVICES[len(self.took_s) * 37 % len(DEVICES)]}")
                self.took_s.append(time.monotonic() - began)
                if answer.status_code != 200:
                    self.failed.append(answer.text)


@contextlib.contextmanager
def beside(*works: tuple[Any, Any]) -> Iterator[None]:
    """Run methods in threads of their own until the block ends; each owner has an event ``enough``."""
    threads = [threading.Thread(target=work, daemon=True) for _, work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for owner, _ in works:
            owner.enough.set()
        for thread in threads:
            thread.join(30)


def temperatures(celsius: float) -> pa.Table:
    """One reading of every device, now."""
    now = pa.scalar(time.time_ns() // 1000, pa.int64()).cast(pa.timestamp("us", "UTC"))
    columns = {"device": pa.array(DEVICES), "time": pa.array([now.as_py()] * len(DEVICES), now.type)}
    return pa.table({**columns, "temperature": np.full(len(DEVICES), celsius)})


def listed(client: httpx.Client) -> Counter[str]:
    """How often each alert is met on the way through the pages."""
    found: Counter[str] = Counter()
    after: str | None = None
    while True:
        page = client.get("/api/alerts", params={"limit": PAGE, **({"after": after} if after else {})}).json()
        found.update(item["id"] for item in page["items"])
        after = page.get("next")
        if not after:
            return found


def test_ten_thousand_alerts_at_once(tmp_path: Path) -> None:
    with twinfold_up(tmp_path / "data", [COOLER]) as running, running.client() as client:
        register(client, COOLER.name, DEVICES)
        until(lambda: client.get("/api/devices", params={"limit": 1}).json()["total"] == len(DEVICES))
        assert send(client, temperatures(60.0)).json()["accepted"] == {"scored": len(DEVICES)}
        for _ in range(20):
            assert client.get(f"/api/devices/{DEVICES[0]}").status_code == 200
        assert not listed(client)
        flood(running, client)


def flood(running: Running, client: httpx.Client) -> None:
    quick, slow = Listener(running), Listener(running, pause_s=0.05)
    reader = Reader(running)
    wanted = {f"{device}:hot:1" for device in DEVICES}
    before = running.resident_bytes()
    with beside((quick, quick.listen), (slow, slow.listen), (reader, reader.read)):
        assert quick.ready.wait(60)
        assert slow.ready.wait(60)
        until(lambda: len(reader.took_s) > 20)
        calm_s = list(reader.took_s)
        began = time.monotonic()
        taken = send(client, temperatures(95.0))
        taken_s = time.monotonic() - began
        assert taken.json()["accepted"] == {"scored": len(DEVICES)}, taken.text
        until(lambda: listed(client).keys() == wanted)
        listed_s = time.monotonic() - began
        assert set(listed(client).values()) == {1}
        until(lambda: quick.accounted >= len(DEVICES))
        told_s = time.monotonic() - began
        kpis = until(
            lambda: (found := client.get("/api/alerts/kpis", params={"hours": 1}).json())["raised"] and found
        )
        until(lambda: slow.accounted >= len(DEVICES))
        during = running.resident_bytes()
        flood_s = reader.took_s[len(calm_s) :]
    for listener in (quick, slow):
        assert listener.accounted == len(DEVICES)
        assert set(listener.alerts.values()) == {1}
        assert listener.alerts.keys() <= wanted
    assert kpis["raised"] == len(DEVICES)
    assert kpis["floods"] == 1
    assert [each["alerts"] for each in kpis["worst_floods"]] == [len(DEVICES)]
    assert kpis["by_priority"]["critical"] == len(DEVICES)
    assert reader.failed == []
    first = {pid: size for (pid, _), size in before.items()}
    grown = {
        f"{name} {pid}": (size - first[pid]) >> 20 for (pid, name), size in during.items() if pid in first
    }
    assert max(grown.values()) < GROWTH_MB, grown

    def p(took_s: list[float], share: float) -> str:
        return f"{1000 * float(np.quantile(took_s, share)):.0f} ms"

    print(
        f"\n{len(DEVICES)} alerts at once: durable after {taken_s:.2f} s, listed after {listed_s:.1f} s,",
        end=" ",
    )
    print(f"told after {told_s:.1f} s (quick: {len(quick.alerts)} and a gap of {quick.missed},", end=" ")
    print(
        f"slow: {len(slow.alerts)} and {slow.missed}); reads by id p50 {p(calm_s, 0.5)} → {p(flood_s, 0.5)},",
        end=" ",
    )
    print(f"p99 {p(calm_s, 0.99)} → {p(flood_s, 0.99)} of {len(flood_s)}; memory grew MB:", end=" ")
    print({name: mb for name, mb in sorted(grown.items()) if abs(mb) > 5})
