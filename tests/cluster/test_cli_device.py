"""``twinfold device …`` against a served API: what is typed is asked, what is refused is said in words."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from cluster import cli_device
from cluster.cli import app
from serve.client import Client
from tests.serve.edges import Edge, edge
from tests.serve.test_push import served
from twins import commands as c
from twins.errors import FleetError


def test_a_device_is_asked_and_shown_from_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(it: Edge, url: str) -> None:
        @contextmanager
        def connected(_: Path) -> Iterator[Client]:
            with Client(url, it.token["Authorization"].removeprefix("Bearer ")) as client:
                yield client

        monkeypatch.setattr(cli_device, "connected", connected)

        async def ask(*words: str) -> Any:
            return await asyncio.to_thread(
                CliRunner().invoke, app, ["device", *words, "--data", str(tmp_path)]
            )

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

    async def inside() -> None:
        async with edge(tmp_path) as it, served(it) as url:
            await test(it, f"http://{urlsplit(url).netloc}")

    asyncio.run(inside())
