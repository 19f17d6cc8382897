"""What a platform that runs does beside its live path: imports, each device in its own past and told to nobody; and telling
people of what is news."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pv
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.running import ROOT, Running, until
from tests.serve.notices import hook
from training.importing import replay
from training.mappings import parse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

MAPPING = """\
mapping: tanks
device:
  id: "{unit}"
  type:
    name: tank
    interval_s: 10
    baseline_readings: 50
    channels:
      - {name: level, unit: "%", low: 0, high: 100}
      - {name: inflow, unit: L/min}
    rules:
      - {name: full, when: level > 90, priority: critical, consequence: It spills., response: Close the valve.}
time: {column: t, format: epoch_s}
channels: {level: level, inflow: inflow}
"""
DEVICES = 40
# other tests' alerts stand beside
ALERTS = {"filter": "type = 'tank' or device = 'pump-1'"}
DEVICES_WITH_THEM = {"filter": "type = 'tank' or id = 'pump-1'"}


def tanks(folder: Path, rows: int, unit: str) -> tuple[Path, Path]:
    """A mapping and a file: each tank overflows for a while, and one of them at the end."""
    rng = np.random.default_rng(7)
    step = np.arange(rows) // DEVICES
    index = np.arange(rows) % DEVICES
    last = step.max()
    level = 50 + rng.normal(0, 1, rows) + 45 * ((step % 450) > 430)
    level = np.where((index == 0) & (step > last - 5), 97.0, np.where(step > last - 5, 50.0, level))
    table = pa.table(
        {
            "t": 1_600_000_000 + step * 10 + 1,
            "unit": pa.array([f"{unit}-{i}" for i in range(DEVICES)]).take(pa.array(index)),
            "level": np.round(level, 2),
            "inflow": np.round(rng.normal(10, 1, rows), 2),
        }
    )
    folder.mkdir(exist_ok=True)
    path, mapping = folder / f"{unit}.csv", folder / f"{unit}.yaml"
    pv.write_csv(table, path)
    mapping.write_text(MAPPING)
    return mapping, path


def twinfold(running: Running, *arguments: str) -> Any:
    command = [sys.executable, "-c", "from cluster.cli import main; main()", *arguments]
    done = subprocess.run(
        [*command, "--data", str(running.data), "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=running.environment,
        timeout=600,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_past_is_told_beside_the_present(platform: Running, tmp_path: Path) -> None:
    """The twins end as a replay leaves them; nobody hears of alerts that are over; devices live on."""
    mapping, path = tanks(tmp_path / "in", 40_000, "tank")
    told: list[dict[str, Any]] = []
    address = platform.url.replace("http", "ws") + "/api/live"
    with connect(address, additional_headers=platform.headers, open_timeout=30) as socket:
        socket.send(json.dumps({"type": "subscribe", "topics": ["alerts"]}))

        def listen() -> None:
            with contextlib.suppress(ConnectionClosed):
                for text in socket:
                    told.append(json.loads(text))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        summary = twinfold(platform, "import", str(mapping), str(path), "--live")
        assert summary["fates"] == {"scored": 40_000}
        assert summary["events"] > DEVICES
        with platform.client() as client:
            client.post(
                "/api/devices", json={"devices": [{"id": "pump-1", "type": "pump"}]}
            ).raise_for_status()
            sent = {"device": "pump-1", "time": time.time_ns() // 1_000_000, "values": {"flow": 0.0}}
            taken = client.post("/api/readings", json={"readings": [sent]}).json()
            assert taken["accepted"] == {"scored": 1}
            until(lambda: any(each["type"] == "NEW_ALERT" for each in told))  # later ones come before it
            until(
                lambda: client.get("/api/fleet/summary").json()["importing"] == 0
            )  # the table is a second old
            until(
                lambda: (
                    "pump-1"
                    in {
                        each["device_id"] for each in client.get("/api/alerts", params=ALERTS).json()["items"]
                    }
                )
            )
            devices = client.get("/api/devices", params={"filter": "type = 'tank'", "limit": 100}).json()
            alerts = client.get("/api/alerts", params=ALERTS).json()
            kpis = client.get("/api/alerts/kpis", params=DEVICES_WITH_THEM).json()
    news = {each["data"]["device_id"] for each in told if each["type"] == "NEW_ALERT"}
    assert news == {"pump-1"}
    assert {each["device_id"] for each in alerts["items"]} == {"pump-1", "tank-0"}  # which stands to this day
    assert kpis["raised"] == 1
    assert {each["status"] for each in devices["items"]} <= {"reporting", "stale"}

    replay(parse(MAPPING, "m.yaml"), [path], tmp_path / "out")
    import pandas as pd

    results = pd.read_parquet(tmp_path / "out" / "readings.parquet").groupby("device_id").last()
    for each in devices["items"]:
        assert each["health"] == pytest.approx(results.loc[each["id"], "health"], abs=0.051)
        assert each["anomaly_score"] == pytest.approx(results.loc[each["id"], "anomaly_score"], abs=5e-4)


def test_a_killed_runner_finishes_what_it_began(platform: Running, tmp_path: Path) -> None:
    rows = 1_200_000
    mapping, path = tanks(tmp_path / "in", rows, "basin")
    working = process(platform, "ray::Working").pid
    with platform.client() as client:
        begun = under_way(client, mapping, path)
        client_job = f"/api/jobs/{begun['id']}"
        os.kill(working, signal.SIGKILL)
        until(lambda: client.get("/api/fleet/summary").json()["importing"] == DEVICES)
        job = until(lambda: (found := client.get(client_job).json())["state"] == "done" and found)
        assert job["attempts"] == 2
        until(lambda: client.get("/api/fleet/summary").json()["importing"] == 0)
    counted = twinfold(
        platform,
        "query",
        "SELECT count(*) AS n, count(DISTINCT (device_id, event_time)) AS different "
        "FROM readings_tank WHERE device_id LIKE 'basin%'",
    )
    assert counted[0]["different"] == rows
    listed = {each["job"]: each["state"] for each in twinfold(platform, "jobs")}
    assert listed[begun["id"]] == "done"


def test_a_cancelled_import_ends_and_can_be_taken_up_again(platform: Running, tmp_path: Path) -> None:
    mapping, path = tanks(tmp_path / "in", 800_000, "pool")
    with platform.client() as client:
        begun = under_way(client, mapping, path)
        assert client.post(f"/api/jobs/{begun['id']}/cancel").json()["cancelling"]
    ended = twinfold(platform, "jobs", "follow", begun["id"])
    assert ended["error"]["code"] == "job.failed"
    shown = twinfold(platform, "jobs", "show", begun["id"])
    assert (shown["state"], shown["request"]["files"]) == ("cancelled", [str(path)])
    again = twinfold(platform, "import", str(mapping), str(path))
    assert again["fates"]["scored"] > 0
    assert again["fates"]["scored"] + again["fates"]["late"] + again["fates"]["duplicate"] == 800_000


def test_what_does_not_fit_is_refused_at_once(platform: Running, tmp_path: Path) -> None:
    mapping, path = tanks(tmp_path / "in", 100, "tub")
    path.write_text(path.read_text().replace("level", "height", 1))
    refused = twinfold(platform, "import", str(mapping), str(path))
    assert twinfold(platform, "jobs", "cancel", "import-99")["error"]["code"] == "job.not_found"
    assert refused["error"]["code"] == "mapping.invalid"
    with platform.client() as client:
        answer = client.post("/api/imports", json={"mapping": str(mapping), "files": [str(path)]})
        assert answer.status_code == 422
        missing = client.post("/api/jobs/import-99/cancel")
        assert (missing.status_code, missing.json()["code"]) == (404, "job.not_found")


def under_way(client: httpx.Client, mapping: Path, path: Path) -> dict[str, Any]:
    """An import that has been begun, once it has told of rows."""
    begun = client.post("/api/imports", json={"mapping": str(mapping), "files": [str(path)]}).json()
    job: dict[str, Any] = until(
        lambda: (found := client.get(f"/api/jobs/{begun['id']}").json())["message"] and found
    )
    return job


def process(running: Running, actor: str) -> psutil.Process:
    """The process of one of the platform's actors: ``ray::Working`` runs the jobs."""
    return next(
        each
        for each in psutil.Process(running.process.pid).children(recursive=True)
        if actor in " ".join(each.cmdline())
    )


def test_people_are_told_once_although_the_notifier_is_killed(platform: Running) -> None:
    """An alert while it is dead is told when it is back; those of an import are nobody's news."""
    with hook() as receiver, platform.client() as client:
        channel = {"name": "on call", "kind": "webhook", "url": receiver.url}
        made = client.post("/api/notifications/channels", json=channel).raise_for_status().json()["channel"]
        tested = twinfold(platform, "notify", "test", made["id"])
        assert tested["took"] is True
        route = {"name": "all", "steps": [{"to": [f"channel:{made['id']}"]}], "repeat_s": 0}
        client.post("/api/notifications/routes", json=route).raise_for_status()
        assert {each["what"] for each in twinfold(platform, "notify", "list")} == {"channel webhook", "route"}
        ids = ["told-1", "told-2", "told-3"]
        devices = [{"id": each, "type": "pump", "site": "oslo"} for each in ids]
        client.post("/api/devices", json={"devices": devices}).raise_for_status()

        def run_dry(device: str) -> None:
            sent = {"device": device, "time": time.time_ns() // 1_000_000, "values": {"flow": 0.0}}
            client.post("/api/readings", json={"readings": [sent]}).raise_for_status()

        run_dry("told-1")
        receiver.wait_for(2, 60)
        os.kill(process(platform, "ray::Notifying").pid, signal.SIGKILL)
        run_dry("told-2")
        until(lambda: client.get("/api/notifications").json()["deliveries"] == {"delivered": 3})
        run_dry("told-3")
        until(lambda: client.get("/api/notifications").json()["deliveries"] == {"delivered": 4})
        followed = client.get("/api/notifications").json()["hosts"]
    came = [json.loads(body) for _, body in receiver.came]
    messages = list(
        {each["delivery"]: each for each in came}.values()
    )  # one that was sent and not noted comes twice
    assert len(came) <= len(messages) + 1
    assert [each["kind"] for each in messages] == ["test", "alert", "alert", "alert"]
    told = [(each["device_id"], each["site"], each["priority"]) for m in messages for each in m["alerts"]]
    assert told == [(each, "oslo", "critical") for each in ids]
    assert [each["problem"] for each in followed] == [""] * len(followed)
