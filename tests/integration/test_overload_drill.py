"""Ten times what can be taken, for two minutes, from senders that never let up.

Nothing that was acknowledged is lost, memory stays, alerts come on time, and all is well again by itself.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
import websockets

from tests.integration.running import Running, hosts, register, twinfold_up, until
from training.history import History
from training.recorder import journals_in
from twins.devices import AlertRule, Channel, DeviceType

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

METER = DeviceType(
    "meter", 1,
    tuple(Channel(name, "1", low=0, high=1000, resolution=0.001) for name in ("a", "b", "c", "d")),
    interval_s=1.0,
)  # fmt: skip
CANARY = DeviceType(
    "canary", 1, (Channel("temperature", "Cel", low=-40, high=200, resolution=0.1),), interval_s=1.0,
    rules=(
        AlertRule("hot", "temperature > 90", "critical", "the plant stops", "open the bypass",
                  on_delay_s=0.0, off_delay_s=0.0),
    ),
)  # fmt: skip

LINES: Final = 1_000
GROUPS: Final = 20
CONNECTIONS: Final = 512
CANARIES: Final = 1_000
CALM_S: Final = 20.0
OVERLOAD_S: Final = 120.0
TIMES: Final = 10
GROWTH_MB: Final = 600
"""How much more memory each process may hold than before: the budget of bodies, and what they become."""

ALERT_WITHIN_S: Final = 10.0
TIME_AT: Final = b'"time":'


@dataclass
class Group:
    """A thousand devices; ``body`` is made by writing the time into a text of fixed width."""

    number: int
    lines: Any = field(init=False)
    at: int = field(init=False)
    last_us: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.number)
        values = rng.integers(100_000, 999_999, (LINES, 4)) / 1000
        texts = [
            f'{{"device":"{name}","time":{1:016d},"values":{{"a":{a:7.3f},"b":{b:7.3f},"c":{c:7.3f},"d":{d:7.3f}}}}},'
            for name, (a, b, c, d) in zip(self.ids, values.tolist(), strict=True)
        ]
        self.lines = np.frombuffer("".join(texts).encode(), np.uint8).reshape(LINES, -1).copy()
        self.lines[-1, -1] = ord(" ")
        self.at = texts[0].encode().index(TIME_AT) + len(TIME_AT)

    @property
    def ids(self) -> list[str]:
        return [f"meter-{self.number:02}-{line:04}" for line in range(LINES)]

    def body(self) -> tuple[int, bytes]:
        """A reading of each device now, and that moment."""
        self.last_us = max(self.last_us + 1, time.time_ns() // 1000)
        self.lines[:, self.at : self.at + 16] = np.frombuffer(b"%016d" % self.last_us, np.uint8)
        return self.last_us, b'{"readings":[' + self.lines.tobytes() + b"]}"


@dataclass
class Sender:
    """One kept-alive connection of a gateway that heeds no refusal; a broken one is opened again."""

    running: Running
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer; 0 where the connection broke."""
        host = self.running.url.removeprefix("http://")
        name, port = host.split(":")
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection(name, int(port))
            reader, writer = self.streams
            writer.write(
                f"POST /ingest HTTP/1.1\r\nHost: {host}\r\nAuthorization: {self.running.headers['Authorization']}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            writer.write(body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            answer = await reader.readexactly(int(headers["content-length"]))
            if headers.get("connection") == "close":
                self.close()
            return int(lines[0].split(" ")[1]), json.loads(answer) if answer.startswith(b"{") else {}
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, {}

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


@dataclass
class Load:
    """What was sent, and what was said of it."""

    running: Running
    groups: list[Group] = field(default_factory=lambda: [Group(number) for number in range(GROUPS)])
    accepted: dict[tuple[int, int], int] = field(default_factory=dict)
    """Group and time of a body → lines of it that are acknowledged. Bodies of which nothing was said are not in it."""

    refused: set[tuple[int, int]] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    not_handed_over: int = 0

    async def one(self, sender: Sender, number: int) -> int:
        group = self.groups[number % GROUPS]
        at_us, body = group.body()
        began = time.monotonic()
        status, answer = await sender.post(body)
        self.statuses[status] += 1
        if status == 200:
            self.took_s.append(time.monotonic() - began)
            self.accepted[group.number, at_us] = sum(answer["accepted"].values())
        elif status == 429:
            self.refused.add((group.number, at_us))
        return status

    async def calm(self, seconds: float) -> float:
        """As much as can be taken: four senders that wait for each answer. Bodies acknowledged a second."""
        senders = [Sender(self.running) for _ in range(4)]
        began, taken = time.monotonic(), 0

        async def go(which: int) -> None:
            nonlocal taken
            number = which
            while time.monotonic() - began < seconds:
                status = await self.one(senders[which], number)
                taken += status == 200  # in one go: others count meanwhile
                number += 4

        await asyncio.gather(*map(go, range(4)))
        for sender in senders:
            sender.close()
        return taken / (time.monotonic() - began)

    async def overload(self, rate: float, seconds: float) -> None:
        """A body is due each 1/rate, whatever was answered; where every connection still waits it finds no way in."""
        idle = [Sender(self.running) for _ in range(CONNECTIONS)]
        under_way: set[asyncio.Task[None]] = set()
        began = time.monotonic()

        async def go(sender: Sender, number: int) -> None:
            await self.one(sender, number)
            idle.append(sender)

        number = 0
        while (passed := time.monotonic() - began) < seconds:
            while number < passed * rate:
                if idle:
                    task = asyncio.create_task(go(idle.pop(), number))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                else:
                    self.not_handed_over += 1
                number += 1
            await asyncio.sleep(0.005)  # the pace of what is due
        await asyncio.gather(*under_way)
        for sender in idle:
            sender.close()


@dataclass
class Canary:
    """A gateway whose devices grow hot one after the other, which heeds refusals; and a screen that waits for each alert."""

    running: Running
    sent_at: dict[int, float] = field(default_factory=dict)
    acknowledged_at: dict[int, float] = field(default_factory=dict)
    told_at: dict[int, float] = field(default_factory=dict)
    lines_lost: int = 0
    gaps: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    enough: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        url = self.running.url.replace("http", "ws") + "/api/live"
        async with websockets.connect(url, additional_headers=self.running.headers) as sock:
            await sock.recv()
            await sock.send(json.dumps({"type": "subscribe", "topics": ["alerts"]}))
            self.ready.set()
            while not self.enough.is_set() or self.acknowledged_at.keys() - self.told_at.keys():
                try:
                    message = json.loads(await asyncio.wait_for(sock.recv(), 0.5))
                except TimeoutError:
                    continue
                if message["type"] == "NEW_ALERT":
                    self._told(message["data"])
                elif message["type"] == "gap":  # it was too slow, and reads the list anew
                    self.gaps += 1
                    for alert in await asyncio.to_thread(self._listed):
                        self._told(alert)

    def _told(self, alert: dict[str, Any]) -> None:
        self.told_at.setdefault(int(alert["device_id"].removeprefix("canary-")), time.monotonic())

    def _listed(self) -> list[dict[str, Any]]:
        with self.running.client() as client:
            query = {"limit": 1000, "filter": f"type = '{CANARY.name}'"}
            items: list[dict[str, Any]] = client.get("/api/alerts", params=query).json()["items"]
        return items

    def sing(self) -> None:
        with self.running.client() as client:
            for device in range(CANARIES):
                if self.enough.wait(0.5):
                    break
                self.sent_at[device] = time.monotonic()
                self._send(client, f"canary-{device}")
                self.acknowledged_at[device] = time.monotonic()

    def _send(self, client: httpx.Client, device: str) -> None:
        reading = {"device": device, "time": time.time_ns() // 1000, "values": {"temperature": 95.0}}
        while True:
            try:
                answer = client.post("/ingest", json={"readings": [reading]})
            except httpx.TransportError:  # the reading has its own time, so that sent again it counts once
                self.lines_lost += 1
                continue
            if answer.status_code == 200:
                assert sum(answer.json()["accepted"].values()) == 1, answer.text
                return
            assert answer.status_code in (429, 503), answer.text
            time.sleep(float(answer.headers.get("retry-after", 1)))  # as it was told


@dataclass
class Scale:
    """Looks at the memory of each process every few seconds."""

    running: Running
    most: dict[tuple[int, str], int] = field(default_factory=dict)
    enough: threading.Event = field(default_factory=threading.Event)

    def weigh(self) -> None:
        while not self.enough.wait(2.0):
            for key, size in self.running.resident_bytes().items():
                self.most[key] = max(self.most.get(key, 0), size)


def test_ten_times_what_can_be_taken(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with twinfold_up(data, [METER, CANARY]) as running, running.client() as client:
        load = Load(running)
        for group in load.groups:
            register(client, METER.name, group.ids)
        register(client, CANARY.name, [f"canary-{device}" for device in range(CANARIES)])
        sustained = asyncio.run(load.calm(CALM_S))
        calm_s, before = load.took_s, running.resident_bytes()
        calm_statuses, load.statuses, load.took_s = load.statuses, Counter(), []
        assert set(calm_statuses) == {200}
        canary, scale = Canary(running), Scale(running)
        works: list[Callable[[], None]] = [canary.watch, canary.sing, scale.weigh]
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        threads[0].start()
        assert canary.ready.wait(60)
        for thread in threads[1:]:
            thread.start()
        asyncio.run(load.overload(TIMES * sustained, OVERLOAD_S))
        ended = time.monotonic()
        answer = until(lambda: _taken(client, load), 60)
        well_s = time.monotonic() - ended
        reached = {host["name"]: host["cursor"] for host in hosts(client)}
        until(lambda: all(host["archived"] >= reached[host["name"]] for host in hosts(client)))
        archived_s = time.monotonic() - ended
        canary.enough.set()
        scale.enough.set()
        for thread in threads:
            thread.join(60)
        assert answer
        assert {host["state"] for host in hosts(client)} == {"ready"}
        assert client.get("/api/ready").status_code == 200
        again = asyncio.run(load.calm(CALM_S))
    counted = rows_by_body(data)
    assert [key for key, lines in load.accepted.items() if counted.get(key, 0) != lines][:5] == []
    assert [key for key in load.refused if key in counted][:5] == []
    late_s = [canary.told_at[n] - at for n, at in canary.acknowledged_at.items()]
    way_s = [canary.told_at[n] - canary.sent_at[n] for n in canary.acknowledged_at]
    assert len(late_s) > 5
    assert max(late_s) < ALERT_WITHIN_S
    grown = {
        f"{name} {pid}": (scale.most[pid, name] - size) >> 20
        for (pid, name), size in before.items()
        if (pid, name) in scale.most
    }
    assert max(grown.values()) < GROWTH_MB, grown
    assert 0 not in load.statuses, load.statuses

    def p(took_s: list[float], share: float) -> str:
        return f"{1000 * float(np.quantile(took_s, share)):.0f} ms"

    offered = sum(load.statuses.values()) + load.not_handed_over
    print(f"\nsustained {sustained:.0f} bodies/s of {LINES} lines of 4 channels, answered in p50", end=" ")
    print(f"{p(calm_s, 0.5)}, p99 {p(calm_s, 0.99)}; offered {offered / OVERLOAD_S:.0f}/s for", end=" ")
    print(
        f"{OVERLOAD_S:.0f} s: {dict(load.statuses)}, {load.not_handed_over} found every connection", end=" "
    )
    print(f"waiting; taken ones in p50 {p(load.took_s, 0.5)}, p99 {p(load.took_s, 0.99)}.", end=" ")
    print(
        f"Alerts: {len(late_s)}, told p50 {p(late_s, 0.5)}, most {p(late_s, 1)} after their reading was",
        end=" ",
    )
    print(
        f"durable, most {p(way_s, 1)} after it was first sent. Well after {well_s:.1f} s, all in history",
        end=" ",
    )
    print(f"after {archived_s:.1f} s, then {again:.0f} bodies/s. Memory grew at most, MB:", end=" ")
    print(f"gaps {canary.gaps}, lines lost {canary.lines_lost};", end=" ")
    print({name: mb for name, mb in sorted(grown.items()) if mb > 20})


def _taken(client: httpx.Client, load: Load) -> bool:
    """Whether a body is taken as ever."""
    at_us, body = load.groups[0].body()
    answer = client.post("/ingest", content=body, headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        load.accepted[0, at_us] = sum(answer.json()["accepted"].values())
    return answer.status_code == 200


def rows_by_body(data: Path) -> dict[tuple[int, int], int]:
    """How many rows history and journals hold of each body: group and time; each device once."""
    rows = History(data / "history", journals_in(data / "hosts")).query(
        "select cast(substr(device_id, 7, 2) as int) as g, epoch_us(event_time) as t, count(*) as n, "
        "count(distinct device_id) as d from readings_meter group by all"
    )
    assert rows["n"].to_pylist() == rows["d"].to_pylist()
    return dict(
        zip(
            zip(rows["g"].to_pylist(), rows["t"].to_pylist(), strict=True), rows["n"].to_pylist(), strict=True
        )
    )
