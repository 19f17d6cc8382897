"""What `twinfold doctor` says of type files, of what others can read or reach, and of alerts that reach nobody."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cluster import diagnosis
from cluster.bringup import RunInfo
from cluster.diagnosis import examine
from cluster.settings import load
from serve.access import FOLDER, LOCAL_FILE, LocalToken
from serve.client.notifications import Notifications
from serve.schemas.notifications import FollowedItem, NotificationSummary
from serve.whereabouts import RUN_FILE


def types_findings(data: Path, folder: Path) -> list[tuple[str, str]]:
    settings = load({"data": str(data), "types": str(folder)}, {})
    return [(each.level, each.detail) for each in examine(settings) if each.subject == "types"]


def test_a_wrong_file_is_told_with_its_line_and_a_missing_folder_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "types"
    ((level, detail),) = types_findings(tmp_path, folder)
    assert (level, "no folder" in detail) == ("failure", True)
    folder.mkdir()
    (folder / "valve.yaml").write_text("name: valve\nchannels: [{name: stroke, unit: mm}]\n")
    assert types_findings(tmp_path, folder) == [("ok", "1 of your own")]
    (folder / "bad.yaml").write_text("name: bad\nchannels:\n  - {name: x, unit: furlongs}\n")
    ((level, detail),) = types_findings(tmp_path, folder)
    assert level == "warning"
    assert "bad.yaml:3: 'furlongs' is no UCUM code" in detail


def test_secrets_that_others_can_read_are_a_failure(tmp_path: Path) -> None:
    def told() -> list[tuple[str, str]]:
        found = examine(load({"data": str(tmp_path)}, {}))
        return [(each.level, each.remedy) for each in found if each.subject == "secrets"]

    assert told() == []
    token = LocalToken(tmp_path / FOLDER / LOCAL_FILE)
    token.renew()
    assert told() == [("ok", "")]
    (tmp_path / FOLDER / LOCAL_FILE).chmod(0o640)
    assert told() == [("failure", f"chmod 600 {tmp_path / FOLDER / LOCAL_FILE}")]


def test_alerts_that_reach_nobody_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text('{"url": "http://127.0.0.1:1"}')
    assert list(diagnosis._notifications(tmp_path)) == []  # what does not answer is told elsewhere
    hosts = [
        FollowedItem(host="host-000", cursor=7, at="2026-01-31T12:00:00Z", problem="the disk is gone"),
        FollowedItem(host="host-001", cursor=7, at="2026-01-31T12:00:00Z", problem=""),
    ]
    said = NotificationSummary(deliveries={"delivered": 9, "failed": 2}, hosts=hosts)
    monkeypatch.setattr(Notifications, "summary", lambda self: said)
    failure, warning = diagnosis._notifications(tmp_path)
    assert (failure.level, warning.level) == ("failure", "warning")
    assert "host-000" in failure.detail
    assert "2 failed" in warning.detail
    said = NotificationSummary(deliveries={"delivered": 9}, hosts=[])
    assert list(diagnosis._notifications(tmp_path)) == []


def test_a_data_folder_that_others_can_read_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)

    def told() -> list[tuple[str, str]]:
        found = examine(load({"data": str(data)}, {}))
        return [(each.level, each.remedy) for each in found if each.subject == "data folder"]

    assert told() == []
    data.chmod(0o750)
    assert told() == [("warning", f"chmod 700 {data}")]


@contextmanager
def listening(
    folder: Path, name: str, address: str, environment: dict[str, str]
) -> Iterator[tuple[psutil.Process, int]]:
    """A process of this name that listens on a port of ``address``."""
    (folder / name).symlink_to(sys.executable)
    program = (
        "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [folder / name, "-S", "-c", program, address],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        yield psutil.Process(running.pid), int(running.stdout.readline())
        running.terminate()


def exposure(monkeypatch: pytest.MonkeyPatch, process: psutil.Process) -> dict[str, diagnosis.Finding]:
    monkeypatch.setattr(diagnosis, "_family", lambda _: [process])
    monkeypatch.setattr(diagnosis, "_answers", lambda _: True)
    info = RunInfo(1, "http://127.0.0.1:1", "", "", 0.0)
    return {each.subject: each for each in diagnosis._exposure(info, Path("nowhere"))}


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_a_control_port_without_a_token_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with listening(tmp_path, name, "127.0.0.1", {}) as (process, _):
        found = exposure(monkeypatch, process)
        assert (found[name].level, found["ports"].level) == ("failure", "ok")
        assert "without a token" in found[name].detail
    (tmp_path / name).unlink()
    with listening(tmp_path, name, "127.0.0.1", {"RAY_AUTH_MODE": "token"}) as (process, _):
        assert name not in exposure(monkeypatch, process)


def test_a_port_that_others_reach_is_told_with_its_firewall_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with listening(tmp_path, "haproxy", "0.0.0.0", {}) as (process, port):
        found = exposure(monkeypatch, process)["ports"]
        assert (found.level, f"{port} (haproxy)" in found.detail) == ("warning", True)
        assert f"iptables -A INPUT -p tcp --dport {port} ! -i lo -j DROP" in found.remedy
