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
def proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where platforms of this test keep what is their proxies'."""
    monkeypatch.setattr(bringup, "_proxy_folder", lambda data: tmp_path / f"proxy-{data.name}")
    for name in (*bringup.PROXY_FILES, *bringup.PROXY_PORTS):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.usefixtures("proxies")
def test_the_proxy_is_steered_by_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        one, two = proxy_environment(tmp_path / "one"), proxy_environment(tmp_path / "two")
    finally:
        os.umask(before)
    socket = Path(one["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not set(one.values()) & set(two.values()), "two platforms share a machine"
    assert proxy_environment(tmp_path / "one")["RAY_SERVE_HAPROXY_SOCKET_PATH"] == str(socket)


def test_a_folder_that_leads_elsewhere_is_not_taken_for_the_proxys(proxies: Path) -> None:
    (proxies / "elsewhere").mkdir()
    (proxies / "proxy-one").symlink_to(proxies / "elsewhere")
    with pytest.raises(NodeError, match="somebody else's"):
        proxy_environment(proxies / "one")


def test_the_proxys_sockets_have_paths_that_haproxy_takes() -> None:
    folder = bringup._proxy_folder(Path("/a/data/folder" * 40))
    for file in bringup.PROXY_FILES.values():
        assert len(str(folder / ("n" * 56) / file)) <= 97
