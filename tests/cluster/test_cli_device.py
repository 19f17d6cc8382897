"""``twinfold device …`` and ``devices …`` against a served API: what is typed is asked, what is refused is said in words."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from cluster import cli_device, cli_devices
from cluster.cli import app
from serve.client import Client
from tests.serve.edges import Edge, edge
from tests.serve.test_push import served
from twins import commands as c
from twins.errors import FleetError

Ask = Callable[..., Awaitable[Any]]


def on_a_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    group: ModuleType,
    test: Callable[[Edge, Ask], Awaitable[None]],
) -> None:
    """Tell a story with what asks the commands of ``group``, word by word."""

    async def inside() -> None:
        async with edge(tmp_path) as it, served(it) as url:

            @contextmanager
            def connected(_: Path) -> Iterator[Client]:
                token = it.token["Authorization"].removeprefix("Bearer ")
                with Client(f"http://{urlsplit(url).netloc}", token) as client:
                    yield client

            async def ask(*words: str, answer: str | None = None) -> Any:
                typed = [group.app.info.name, *words, "--data", str(tmp_path)]
                return await asyncio.to_thread(CliRunner().invoke, app, typed, input=answer)

            monkeypatch.setattr(group, "connected", connected)
            await test(it, ask)

    asyncio.run(inside())


def test_a_device_is_asked_and_shown_from_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(it: Edge, ask: Ask) -> None:
        done = await ask("set", "pump-01", "speed=1800", "mode=auto", "--note", "quiet")
        assert (done.exit_code, done.output) == (0, "speed pending\nmode pending\n")
        sent = await ask("send", "pump-01", "stop", "ramp_s=5", "--expires", "30")
        assert sent.output.startswith("command 1 waits until 2025-"), sent.output
        report = c.ReportProperties(
            command_id="", by="k", device_id="pump-01", values={"speed": 1800}, rejected={"mode": "locked"}
        )
        it.fleet.command(report)
        shown = json.loads((await ask("show", "pump-01", "--json")).output)
        assert [each["standing"] for each in shown["items"]] == ["in_sync", "rejected", "unasked"]
        assert shown["commands"][0]["parameters"] == {"ramp_s": 5}
        assert "locked" in (await ask("show", "pump-01")).output
        assert (await ask("cancel", "pump-01", "1")).output == "command 1 is cancelled\n"
        assert (await ask("set", "pump-01", "mode=")).output == "mode unasked\n"
        refused = await ask("set", "pump-01", "speed=9")
        assert isinstance(refused.exception, FleetError)
        assert "it can be 1000 to 3000" in str(refused.exception)
        assert (await ask("set", "pump-01", "speed")).exit_code == 2

    on_a_terminal(tmp_path, monkeypatch, cli_device, test)


def test_many_devices_are_counted_then_asked_from_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(it: Edge, ask: Ask) -> None:
        where = "site = 'oslo'"

        async def retired() -> int:
            await it.fresh()
            found: int = (await it.get("/api/devices", filter="retired"))["total"]
            return found

        counted = await ask("retire", where, "--dry-run")
        assert (counted.exit_code, counted.output) == (0, "4 devices match: 1 meter, 3 pump\n")
        assert (await ask("retire", "site = 'nowhere'")).output == "0 devices match\n"
        assert (await ask("retire", where, answer="n\n")).exit_code == 1
        assert await retired() == 0
        sent = await ask("send", where, "stop", "ramp_s=5", "--expires", "30", answer="y\n")
        assert "done to 3, refused for 1" in sent.output
        assert "meter/ås:1" in sent.output
        order = (await it.get("/api/devices/pump-01/commands"))["items"][0]
        assert (order["command"], order["parameters"]) == ("stop", {"ramp_s": 5})
        logged = await ask("maintain", where, "--kind", "inspection", "--note", "storm", "--yes", "--json")
        assert json.loads(logged.output)["done"] == 4
        assert (await ask("maintain", where, "--kind", "wish")).exit_code == 2
        assert (await ask("retire", where, "--yes")).output == "done to 4, refused for 0\n"
        assert await retired() == 4

    on_a_terminal(tmp_path, monkeypatch, cli_devices, test)
