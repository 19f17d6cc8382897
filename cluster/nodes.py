"""The nodes of a Ray cluster as Twinfold sees them: how one is started, and which of them has which data folder.

Each node that hosts twins has a data folder. Its id is a label of the Ray node, so that Ray itself brings a host back where
its folder is, and nowhere else; its path is in the node's environment, where the host's process finds it.
"""

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twins.errors import FleetError, FolderMissingError
from twins.placement import ID_FILE, Folder, Homes, Place, folder_id

LABEL: Final = "twinfold-folder"
DATA_VARIABLE: Final = "TWINFOLD_DATA"

_PROBE_WITHIN_S: Final = 60.0


class NodeError(FleetError):
    """The cluster's nodes are not as the platform needs them."""

    code = "cluster.node"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Node:
    """A living node that has a data folder: the folder, its path there, the node's address, whether it is Ray's head."""

    folder: Folder
    path: str
    address: str
    is_head: bool


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The data folder of whichever node this process runs on, which must be the one with this id."""

    id: str

    def hosts(self) -> Path:
        return Path(os.environ.get(DATA_VARIABLE, "")) / "hosts"

    def check(self) -> None:
        data = os.environ.get(DATA_VARIABLE, "")
        try:
            found = (Path(data) / ID_FILE).read_text().strip() if data else ""
        except OSError:
            found = ""
        if found != self.id:
            raise FolderMissingError(data, self.id, found)


class NodePlacement:
    """Hosts spread over the nodes that have a data folder, each bound to the folder it was first given.

    Parameters
    ----------
    homes : the file that remembers which folder that was
    """

    def __init__(self, homes: Path) -> None:
        self._homes = Homes(homes)

    def learn(self, folders: Iterable[Folder]) -> None:
        """Write down the hosts that lie in these folders; HostTwiceError if one lies elsewhere already."""
        self._homes.learn(folders)

    def place(self, host: str) -> Place:
        known = self._homes.hosts.get(host)
        chosen = known or self._homes.settle(host, _labelled())
        return Place(NodeHome(chosen), {LABEL: chosen})

    def settled(self) -> list[str]:
        return list(self._homes.hosts)


def start_command(
    data: Path, address: str, port: int, ip: str, ray_arguments: Mapping[str, Any]
) -> list[str]:
    """The command that starts a Ray node with this data folder, in the foreground.

    An empty ``address`` starts a cluster; ``ip`` is this machine's address for the other nodes, ``ray_arguments`` are
    further options of ``ray start`` (without dashes in front; empty ones are left out).
    """
    label = f"{LABEL}={folder_id(data, platform.node())}"
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--labels", label]
    command += ["--address", address] if address else ["--head", "--port", str(port)]
    if not address:
        command += ["--include-dashboard", "false"]
    if ip:
        command += ["--node-ip-address", ip]
    for name, value in ray_arguments.items():
        if value:
            command += [f"--{name}", str(value)]
    return command


def survey() -> list[Node]:
    """The living nodes that have a data folder, and what lies in it; each is asked, which takes a second or two.

    Raises
    ------
    NodeError : two nodes have the same folder, or one does not find the folder that its label names.
    """
    import ray

    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    found = [node for node in ray.nodes() if node["Alive"] and LABEL in node["Labels"]]
    asked = {
        node["NodeID"]: look.options(
            scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                node["NodeID"], soft=False
            )
        ).remote(node["Labels"][LABEL])
        for node in found
    }
    nodes: dict[str, Node] = {}
    for each in found:
        label, address = each["Labels"][LABEL], each["NodeManagerAddress"]
        if label in nodes:
            problem = f"the nodes {nodes[label].address} and {address} both have the data folder {label!r}"
            raise NodeError(problem, "stop one of them: a data folder belongs to one node")
        try:
            path, hosts = ray.get(asked[each["NodeID"]], timeout=_PROBE_WITHIN_S)
        except ray.exceptions.RayTaskError as error:
            remedy = "start nodes with `twinfold node`"
            raise NodeError(f"the node {address} cannot host twins: {error.cause}", remedy) from None
        except ray.exceptions.RayError as error:
            remedy = "see Ray's log there, and start it again with `twinfold node`"
            raise NodeError(f"the node {address} does not answer: {error}", remedy) from None
        is_head = "node:__internal_head__" in each["Resources"]
        nodes[label] = Node(Folder(label, each["Resources"].get("CPU", 0.0), hosts), path, address, is_head)
    return list(nodes.values())


def home_of(data: Path, nodes: list[Node]) -> Node:
    """The node whose data folder is ``data`` of this machine: the platform's history, API and recorder live there.

    Raises
    ------
    NodeError : there is none, or it is not the head.
    """
    try:
        wanted = (data / ID_FILE).read_text().strip()
    except OSError:
        wanted = ""
    mine = next((node for node in nodes if node.folder.id == wanted), None)
    remedy = f"start the cluster's head on this machine with `twinfold node --data {data}`"
    if mine is None:
        have = ", ".join(f"{node.folder.id} at {node.address}" for node in nodes) or "none"
        raise NodeError(
            f"no node of the cluster has the data folder {data} (data folders there are: {have})", remedy
        )
    if not mine.is_head:
        raise NodeError(f"the node with the data folder {data} is not the head of the cluster", remedy)
    return mine


def _labelled() -> list[Folder]:
    """The data folders of the living nodes, by their labels alone."""
    import ray

    return [
        Folder(node["Labels"][LABEL], node["Resources"].get("CPU", 0.0))
        for node in ray.nodes()
        if node["Alive"] and LABEL in node["Labels"]
    ]


def _look(label: str) -> tuple[str, tuple[str, ...]]:
    """Runs on a node: the path of its data folder, and the hosts in it."""
    home = NodeHome(label)
    home.check()
    hosts = home.hosts()
    found = sorted(path.name for path in hosts.glob("host-*")) if hosts.is_dir() else []
    return str(hosts.parent), tuple(found)
