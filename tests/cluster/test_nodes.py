from pathlib import Path

import pytest

from cluster.bringup import refuse_scattered
from cluster.nodes import DATA_VARIABLE, LABEL, Node, NodeError, NodeHome, home_of, start_command
from twins.errors import FolderMissingError
from twins.host import ShardHost
from twins.placement import HOMES_FILE, Folder, Homes, folder_id


def test_the_command_names_the_folder_by_its_id(tmp_path: Path) -> None:
    head = start_command(tmp_path, "", 7000, "10.0.0.1", {"num-cpus": 2, "temp-dir": ""})
    mine = f"{LABEL}={(tmp_path / 'folder-id').read_text()}"
    assert head[head.index("--labels") + 1] == mine
    assert head[head.index("--port") + 1] == "7000"
    assert head[head.index("--num-cpus") + 1] == "2"
    assert {"--head", "--block"} <= set(head)
    assert "--temp-dir" not in head
    other = start_command(tmp_path, "10.0.0.1:7000", 7000, "", {})
    assert other[other.index("--address") + 1] == "10.0.0.1:7000"
    assert other[other.index("--labels") + 1] == mine
    assert "--head" not in other


def test_the_platform_runs_beside_the_head(tmp_path: Path) -> None:
    mine, other = folder_id(tmp_path / "mine", "m"), "other-1"
    head = Node(Folder(mine, 1), str(tmp_path / "mine"), "10.0.0.1", True)
    away = Node(Folder(other, 1), "/data", "10.0.0.2", False)
    assert home_of(tmp_path / "mine", [away, head]) is head
    with pytest.raises(NodeError, match=r"no node .*other-1 at 10\.0\.0\.2.*twinfold node"):
        home_of(tmp_path / "mine", [away])
    with pytest.raises(NodeError, match="not the head"):
        home_of(tmp_path / "mine", [Node(head.folder, head.path, head.address, False)])
    with pytest.raises(NodeError, match="no node"):
        home_of(tmp_path / "empty", [head])


def test_a_host_whose_disk_is_not_mounted_takes_nothing_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    home = NodeHome(folder_id(data, "m"))
    monkeypatch.setenv(DATA_VARIABLE, str(data))
    data.rename(away)
    for empty in (False, True):
        if empty:
            folder_id(data, "m")  # another folder under the same path
        host = ShardHost("host-000", home.hosts() / "host-000", check=home.check)
        host.open()
        assert host.state == "degraded"
        assert home.id in host.reason
        assert not (data / "hosts").exists()
        with pytest.raises(FolderMissingError):
            home.check()
    (data / "folder-id").unlink()
    data.rmdir()
    away.rename(data)
    host.open()
    assert host.state == "ready"
    host.close()


def test_a_platform_spread_over_nodes_is_not_started_without_them(tmp_path: Path) -> None:
    refuse_scattered(tmp_path)
    mine = folder_id(tmp_path, "m")
    homes = Homes(tmp_path / HOMES_FILE)
    homes.learn([Folder(mine, 1, ("host-000",))])
    refuse_scattered(tmp_path)
    homes.learn([Folder("other-1", 1, ("host-001",))])
    with pytest.raises(NodeError, match=r"host-001 in other-1.*--address"):
        refuse_scattered(tmp_path)
