"""What bring-up leaves in the data folder for other commands."""

import json
import os
import stat
from pathlib import Path

import pytest

from cluster import bringup
from cluster.bringup import RUN_FILE, TOKEN_FILE, DataFolder, proxy_environment, ray_environment, running
from cluster.nodes import NodeError


def test_a_run_file_that_was_left_behind_names_no_platform(tmp_path: Path) -> None:
    """The number of the process that was killed may be anybody's by now."""
    info = {"pid": os.getpid(), "url": "", "ray_address": "", "ray_token_file": "", "started_at_s": 0.0}
    (tmp_path / RUN_FILE).write_text(json.dumps(info))
    assert running(tmp_path) is None
    with DataFolder(tmp_path):
        found = running(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
        (tmp_path / RUN_FILE).write_text(json.dumps(info | {"pid": 1}))
        assert running(tmp_path) is None


def test_a_new_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with DataFolder(tmp_path / "one"):
            ray_environment(tmp_path / "two")
    finally:
        os.umask(before)
    for folder in ("one", "two"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "two" / TOKEN_FILE).stat().st_mode) == 0o600


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where platforms of this test keep what needs a short path."""
    monkeypatch.setattr(bringup, "_short_folder", lambda: str(tmp_path / "short"))
    for name in (*bringup.PROXY_FILES, *bringup.PROXY_PORTS):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "short-proxy"


def test_the_proxy_is_steered_by_its_owner_alone(tmp_path: Path, short: Path) -> None:
    before = os.umask(0)
    try:
        one, two = proxy_environment(tmp_path / "one"), proxy_environment(tmp_path / "two")
    finally:
        os.umask(before)
    socket = Path(one["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    assert socket.parent.parent == short
    for folder in (short, socket.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not set(one.values()) & set(two.values()), "two platforms share a machine"
    assert proxy_environment(tmp_path / "one")["RAY_SERVE_HAPROXY_SOCKET_PATH"] == str(socket)


def test_a_folder_that_leads_elsewhere_is_not_taken_for_the_proxys(tmp_path: Path, short: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    short.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NodeError, match="somebody else's"):
        proxy_environment(tmp_path / "one")
