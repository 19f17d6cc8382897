import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twins.errors import HostTwiceError, NoFolderError
from twins.placement import Folder, Homes, folder_id, roomiest


def test_a_folder_keeps_its_id_and_an_empty_one_is_another(tmp_path: Path) -> None:
    first = folder_id(tmp_path / "a", "Oslo.1_Rack")
    assert first.startswith("oslo-1-rack-")
    assert folder_id(tmp_path / "a", "renamed") == first
    assert folder_id(tmp_path / "b", "Oslo.1_Rack") != first
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["folder-id"]


@pytest.mark.parametrize("machine", ["", "---", "x" * 300, "ÆØÅ", "1.2.3"])
def test_an_id_can_be_a_label_whatever_the_machine_is_called(tmp_path: Path, machine: str) -> None:
    found = folder_id(tmp_path, machine)
    assert len(found) <= 63
    assert found.isascii()
    assert found.replace("-", "").isalnum()
    assert found[0].isalnum()


def test_a_host_stays_where_it_was_settled(tmp_path: Path) -> None:
    both = [Folder("a", 4), Folder("b", 4)]
    homes = Homes(tmp_path / "homes.json")
    settled = {f"host-{number:03d}": homes.settle(f"host-{number:03d}", both) for number in range(4)}
    assert Counter(settled.values()) == {"a": 2, "b": 2}
    again = Homes(tmp_path / "homes.json")
    assert again.hosts == settled
    # the other node is away, or has become ever so large: hosts do not move
    for remaining in ([Folder("a", 4)], [Folder("a", 1), Folder("b", 1000)], []):
        assert {host: again.settle(host, remaining) for host in settled} == settled


def test_a_host_without_any_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoFolderError, match="twinfold node"):
        Homes(tmp_path / "homes.json").settle("host-000", [])


def test_what_lies_in_the_folders_is_learned(tmp_path: Path) -> None:
    homes = Homes(tmp_path / "homes.json")
    homes.learn([Folder("a", 1, ("host-000",)), Folder("b", 1, ("host-001", "host-002"))])
    assert homes.hosts == {"host-000": "a", "host-001": "b", "host-002": "b"}
    assert homes.settle("host-003", [Folder("a", 1), Folder("b", 1)]) == "a"
    homes.learn([Folder("a", 1, ("host-000",))])  # b is away: what is known of it stays
    assert homes.hosts["host-002"] == "b"


def test_a_host_that_lies_in_two_folders_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    homes = Homes(tmp_path / "homes.json")
    homes.learn([Folder("a", 1, ("host-000",))])
    before = json.loads((tmp_path / "homes.json").read_text())
    with pytest.raises(HostTwiceError, match=r"host-000 belongs to .*'a' and lies in 'b' too"):
        homes.learn([Folder("b", 1, ("host-001", "host-000"))])
    assert json.loads((tmp_path / "homes.json").read_text()) == before == homes.hosts


@given(
    cores=st.lists(st.integers(1, 64), min_size=1, max_size=6),
    hosts=st.integers(0, 200),
)
def test_hosts_are_spread_by_cores(cores: list[int], hosts: int) -> None:
    folders = [Folder(f"f{number}", count) for number, count in enumerate(cores)]
    settled: Counter[str] = Counter()
    for _ in range(hosts):
        chosen = roomiest(settled, folders)
        assert chosen is not None
        settled[chosen] += 1
    # nobody is so full that another would have been the better choice for its last host
    for folder in folders:
        best = min((settled[other.id] + 1) / other.cores for other in folders)
        assert settled[folder.id] / folder.cores <= best + 1e-9, folder
