"""A backup of a platform that takes readings, and the platform that comes back from it."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.running import ROOT, register, twinfold_up, until
from tests.serve.edges import PUMP

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

DEVICES = [f"pump-{number}" for number in range(20)]
FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)


def twinfold(*arguments: str) -> Any:
    command = [sys.executable, "-c", "from cluster.cli import main; main()", *arguments, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_platform_comes_back_from_a_backup_that_was_taken_while_it_ran(tmp_path: Path) -> None:
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    taken = 0
    with twinfold_up(old, [PUMP]) as running, running.client() as client:
        register(client, "pump", DEVICES)
        enough = threading.Event()

        def write() -> None:
            nonlocal taken
            with running.client() as mine:
                while not enough.is_set():
                    at = (FIRST_AT + timedelta(seconds=taken)).isoformat()
                    values = {"vibration": 9.0, "flow": 100.0}
                    readings = [{"device": each, "time": at, "values": values} for each in DEVICES]
                    if mine.post("/api/readings", json={"readings": readings}).status_code == 200:
                        taken += 1

        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: taken > 200)
        client.post("/api/users", json={"name": "ann", "role": "operator"}).raise_for_status()
        alert = until(lambda: client.get("/api/alerts").json()["items"])[0]
        acknowledged = client.post(f"/api/alerts/{alert['id']}/acknowledge", json={"note": "seen"})
        acknowledged.raise_for_status()
        before = taken
        began = time.monotonic()
        summary = twinfold("backup", str(folder), "--data", str(old))
        took_s = time.monotonic() - began
        after = taken
        enough.set()
        writer.join()
    twinfold("restore", str(folder), "--data", str(new))
    with twinfold_up(new, [PUMP]) as running, running.client() as client:
        alerts = {each["id"]: each["state"] for each in client.get("/api/alerts").json()["items"]}
        assert alerts[alert["id"]] == "ACKED"
        assert len(alerts) == len(DEVICES)
        names = {each["name"] for each in client.get("/api/users").json()["items"]}
        assert "ann" in names
        at = (FIRST_AT + timedelta(days=1)).isoformat()
        more = {"readings": [{"device": DEVICES[0], "time": at, "values": {"vibration": 1.0}}]}
        assert client.post("/api/readings", json=more).json()["accepted"] == {"scored": 1}
    counted = twinfold(
        "query",
        "SELECT device_id, count(*) AS n, count(DISTINCT event_time) AS different FROM readings_pump GROUP BY ALL",
        "--data",
        str(new),
    )
    assert {each["device_id"] for each in counted} == set(DEVICES)
    for each in counted:
        assert each["n"] == each["different"]
        assert before <= each["n"] - (each["device_id"] == DEVICES[0]) <= after + 1
    print(
        json.dumps(
            {"backup_s": round(took_s, 1), "bytes": summary["bytes"], "written_meanwhile": after - before}
        )
    )
