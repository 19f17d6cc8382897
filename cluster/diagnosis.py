"""What runs, lags, is exposed or misconfigured: the findings behind ``twinfold status`` and ``twinfold doctor``."""

import shutil
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import psutil

from cluster.bringup import TOKEN_FILE, RunInfo, running
from cluster.settings import Settings
from twins.errors import FleetError
from twins.journal import JournalReader
from twins.sealing import SealingError
from twins.typefiles import find_types

if TYPE_CHECKING:
    from serve.client import Client

Level = Literal["ok", "warning", "failure"]

_FREE_GB_WANTED: Final = 2.0
_RAY_PROCESSES: Final = ("gcs_server", "raylet")
_ANSWER_WITHIN_S: Final = 2.0  # seconds a loopback request may take


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, and what to do where it is not well."""

    level: Level
    subject: str
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def status_of(data: Path) -> dict[str, Any]:
    """What runs on a data folder, as JSON values: ``running``, and if so ``url``, ``up_s``, ``ready``, ``hosts``; and
    ``system``, what ``GET /api/system`` says; None where that does not answer.
    """
    info = running(data)
    if info is None:
        return {"running": False, "hosts": []}
    answer = _ready(data)
    return {
        "running": True,
        "url": info.url,
        "pid": info.pid,
        "up_s": time.time() - info.started_at_s,
        "ready": answer["ready"],
        "hosts": answer["hosts"],
        "system": _system(data),
    }


def examine(settings: Settings) -> list[Finding]:
    """Everything that can be looked at from here, running or not."""
    info = running(settings.data)
    findings = [_python(), _disk(settings.data), _shared_memory(settings), *_token(settings.data)]
    findings += [*_folder(settings.data), *_secrets(settings.data), *_encryption(settings)]
    findings += _type_files(settings)
    findings += _journals(settings.data / "hosts", whole=info is None)
    if info is None:
        findings.append(Finding("ok", "platform", "nothing runs on this data folder"))
    else:
        findings += [*_hosts(settings.data), *_notifications(settings.data), *_exposure(info, settings.data)]
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("ok", "Python", version)
    return Finding("failure", "Python", f"{version} is not supported", "use Python 3.11, 3.12 or 3.13")


def _disk(data: Path) -> Finding:
    folder = data if data.exists() else Path(data.anchor or ".")
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < _FREE_GB_WANTED:
        return Finding(
            "failure", "disk", f"{free_gb:.1f} GB are free under {data}",
            "free space or point --data elsewhere: writes are refused when the disk is full",
        )  # fmt: skip
    return Finding("ok", "disk", f"{free_gb:.0f} GB are free under {data}")


def _shared_memory(settings: Settings) -> Finding:
    shm = Path("/dev/shm")  # noqa: S108
    if not shm.is_dir():
        return Finding("ok", "shared memory", "this system keeps the object store elsewhere")
    wanted = (settings.ray.object_store_mb << 20) or psutil.virtual_memory().total // 10
    free = shutil.disk_usage(shm).free
    if free < wanted:
        return Finding(
            "warning", "shared memory", f"{shm} has {free >> 20} MB, the object store wants {wanted >> 20} MB",
            "enlarge /dev/shm (containers: --shm-size), or lower ray.object_store_mb",
        )  # fmt: skip
    return Finding("ok", "shared memory", f"{free >> 20} MB are free in /dev/shm")


def _token(data: Path) -> Iterator[Finding]:
    token = data / TOKEN_FILE
    if not token.exists():
        return
    mode = stat.S_IMODE(token.stat().st_mode)
    if mode & 0o077:
        yield Finding(
            "failure", "Ray token", f"{token} can be read by others ({mode:o})", f"chmod 600 {token}"
        )
    else:
        yield Finding("ok", "Ray token", "only its owner can read it")


def _folder(data: Path) -> Iterator[Finding]:
    """Whether only its owner can look into the data folder: journals, history and backups lie in it as they are."""
    if data.is_dir() and (mode := stat.S_IMODE(data.stat().st_mode)) & 0o077:
        yield Finding(
            "warning", "data folder", f"{data} can be looked into by others ({mode:o})", f"chmod 700 {data}"
        )


def _secrets(data: Path) -> Iterator[Finding]:
    """Whether only their owner can read what sessions and device keys are signed with, and the database."""
    from serve.access import FOLDER
    from serve.config import DATABASE_FILE

    files = [path for path in (*sorted((data / FOLDER).glob("*")), data / DATABASE_FILE) if path.is_file()]
    open_ones = [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in open_ones:
        yield Finding("failure", "secrets", f"{path} can be read by others", f"chmod 600 {path}")
    if files and not open_ones:
        yield Finding("ok", "secrets", "only their owner can read them")


def _encryption(settings: Settings) -> Iterator[Finding]:
    """Whether what lies here can be read, by whom else, and what is still plain."""
    from cluster.encryption import status_of as lying

    said = lying(settings)
    if said["problem"]:
        yield Finding("failure", "encryption", said["problem"], "see docs/guides/encryption.md")
        return
    left = said["encrypted"] and any(each["plain"] for each in said["files"])
    remedy = "they go as journals are cut, and as history is compacted or its retention ends" if left else ""
    yield Finding("warning" if left else "ok", "encryption", said["detail"], remedy)
    kind, _, path = said["source"].partition(":")
    if kind != "file":
        return
    if Path(path).resolve().is_relative_to(settings.data.resolve()):
        yield Finding(
            "failure",
            "encryption",
            f"{path} lies in the data folder: whoever takes that has both",
            f"move the key elsewhere, and set encryption.key = {'file:/its/new/place'!r}",
        )
    elif Path(path).exists() and stat.S_IMODE(Path(path).stat().st_mode) & 0o077:
        yield Finding("failure", "encryption", f"{path} can be read by others", f"chmod 600 {path}")


def _type_files(settings: Settings) -> Iterator[Finding]:
    """Whether the files of one's own types can be read."""
    if not settings.types:
        return
    folder = Path(settings.types)
    if not folder.is_dir():
        yield Finding("failure", "types", f"there is no folder {folder}", "correct the setting `types`")
        return
    found = find_types([folder], built_in=False)
    for problem in found.problems:
        told = f"{problem.source}:{problem.line}: {problem.problem}"
        yield Finding("warning", "types", f"{told}; the file is left out", problem.remedy)
    if not found.problems:
        yield Finding("ok", "types", f"{len(found.types)} of your own")


def _journals(folder: Path, whole: bool) -> Iterator[Finding]:
    """Journals are read end to end only while nobody writes them."""
    for host in sorted(folder.glob("host-*")) if folder.is_dir() else []:
        reader = JournalReader(host / "journal")
        try:
            size = f"{reader.bytes >> 20} MB, entries to {reader.last_cursor}"
            damage = reader.verify().damage if whole else ()
        except SealingError as error:
            yield Finding("failure", host.name, str(error), "give it its key, or put it back from a backup")
            continue
        finally:
            reader.close()
        if damage:
            told = "; ".join(f"entries {d.first} to {d.last}: {d.problem}" for d in damage[:3])
            yield Finding(
                "failure",
                host.name,
                told,
                "the next start sets the damaged file aside and goes on with what is whole",
            )
        else:
            yield Finding("ok", host.name, size)


def _hosts(data: Path) -> Iterator[Finding]:
    """Whether every host takes readings, wherever it runs."""
    for host in _ready(data)["hosts"]:
        place = f"{host['name']} in {host['folder']}" if host["folder"] else host["name"]
        if host["state"] != "ready":
            remedy = (
                "see that its node runs with its data folder; until then its devices' readings are refused"
            )
            yield Finding("failure", place, f"{host['state']}: {host['reason']}", remedy)
        elif host["folder"]:
            yield Finding("ok", place, f"ready, on {host['node']}, {host['devices']} devices")


def _notifications(data: Path) -> Iterator[Finding]:
    """Whether every host's alerts are followed, and messages reach their receivers."""
    try:
        with _client(data) as client:
            said = client.notifications.summary()
    except FleetError:
        return
    for host in said.hosts:
        if host.problem:
            detail = f"alerts of {host.host} are told to nobody since {host.at}: {host.problem}"
            yield Finding(
                "failure", "notifications", detail, "none is lost; they are told when this is mended"
            )
    waiting, failed = said.deliveries.get("waiting", 0), said.deliveries.get("failed", 0)
    if waiting or failed:
        detail = f"{waiting} messages wait, {failed} failed within 30 days"
        remedy = "see GET /api/notifications/deliveries, and try the channels with `twinfold notify test`"
        yield Finding("warning", "notifications", detail, remedy)


def _exposure(info: RunInfo, data: Path) -> Iterator[Finding]:
    """Ports that can be reached from other machines, and whether Ray asks for its token."""
    exposed: dict[int, str] = {}
    for process in _family(info):
        try:
            name = process.name()
            environment = process.environ() if name in _RAY_PROCESSES else {}
            if name in _RAY_PROCESSES and environment.get("RAY_AUTH_MODE") != "token":
                yield Finding(
                    "failure",
                    name,
                    "takes orders without a token",
                    "start the platform with `twinfold up`, which sets one",
                )
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and not _is_loopback(connection.laddr.ip):
                    exposed[connection.laddr.port] = name
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    if exposed:
        ports = ", ".join(f"{port} ({name})" for port, name in sorted(exposed.items()))
        lines = "\n         ".join(
            f"iptables -A INPUT -p tcp --dport {port} ! -i lo -j DROP" for port in sorted(exposed)
        )
        yield Finding(
            "warning",
            "ports",
            f"Ray binds these to every interface: {ports}",
            f"close them to other machines:\n         {lines}",
        )
    else:
        yield Finding("ok", "ports", "all on loopback")
    yield (
        Finding("ok", "api", f"answers at {info.url}")
        if _answers(data)
        else Finding(
            "failure", "api", f"does not answer at {info.url}", "see the log in Ray's session folder"
        )
    )


def _family(info: RunInfo) -> list[psutil.Process]:
    """The platform's process, its children, and whatever runs on this machine with the platform's token."""
    found: dict[int, psutil.Process] = {}
    try:
        parent = psutil.Process(info.pid)
        found = {process.pid: process for process in (parent, *parent.children(recursive=True))}
    except psutil.NoSuchProcess:
        pass
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_AUTH_TOKEN_PATH") == info.ray_token_file:
                found[process.pid] = process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return list(found.values())


def _is_loopback(address: str) -> bool:
    return ip_address(address.split("%")[0]).is_loopback


def _ready(data: Path) -> dict[str, Any]:
    """What the platform says of itself: ``ready`` and ``hosts``; that it is not, if it says nothing."""
    try:
        with _client(data) as client:
            return client.ready().model_dump(mode="json")
    except FleetError:
        return {"ready": False, "hosts": []}


def _system(data: Path) -> dict[str, Any] | None:
    try:
        with _client(data) as client:
            return client.system().model_dump(mode="json")
    except FleetError:
        return None


def _answers(data: Path) -> bool:
    with _client(data) as client:
        return client.is_up()


def _client(data: Path) -> "Client":
    """A client that takes no answer within a moment for one."""
    from serve.client import Client  # loads what most commands do without

    return Client.local(data, timeout_s=_ANSWER_WITHIN_S, patience_s=0)
