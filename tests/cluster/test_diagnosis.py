"""What `twinfold doctor` says of the files of one's own types, of secrets, and of alerts that reach nobody."""

from pathlib import Path

import pytest

from cluster import diagnosis
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
