"""Bring the platform up on Ray, and down in reverse. No parsing of settings, no opinion about devices.

Ray, shards, recorder, simulator, applications: each is a step with a name, so that a person sees where the time goes and a
failure says which step it was. What is started here is stopped here.
"""

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import platform
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from cluster.nodes import DATA_VARIABLE, LABEL, NodeError, NodePlacement, home_of, start_command, survey
from cluster.processes import Underneath, end_leftovers, own_process_group
from cluster.settings import RaySettings, Settings
from serve.whereabouts import RUN_FILE
from twins.clock import stopwatch_s
from twins.errors import FleetError
from twins.placement import HOMES_FILE, Homes, OneFolder, Placement, folder_id
from twins.typefiles import find_types

if TYPE_CHECKING:
    from serve.config import ApiConfig, DatabaseConfig
    from twins.ray_fleet import RayFleet

LOCK_FILE: Final = "lock"
FIRST_ADMIN: Final = "admin"
PROXY_PORTS: Final = ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT")
PROXY_FILES: Final = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
TOKEN_FILE: Final = "ray-token"  # the name of a file  # noqa: S105

_STEADY_S: Final = 60.0
_BROKER_WITHIN_S: Final = 10.0

Progress = Callable[[str], contextlib.AbstractContextManager[None]]


class DataFolderBusyError(FleetError):
    """Another process holds the data folder."""

    code = "data_folder.busy"

    def __init__(self, folder: str, holder: str) -> None:
        super().__init__(folder, holder)
        self.folder = folder
        self.holder = holder

    def __str__(self) -> str:
        return f"the data folder {self.folder} is in use by process {self.holder}; stop it with `twinfold down` first"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What another command needs to find a running platform; lies in the data folder while it runs."""

    pid: int
    url: str
    ray_address: str
    ray_token_file: str
    started_at_s: float


class PortInUseError(FleetError):
    """Something else listens where the platform would."""

    code = "port.in_use"

    def __init__(self, port: int, what: str, remedy: str) -> None:
        super().__init__(port, what, remedy)
        self.port = port
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"port {self.port}, for {self.what}, is in use; {self.remedy}"


class NoAdminError(FleetError):
    """The platform is to be reached by others, and nobody could manage accounts yet."""

    code = "accounts.no_admin"

    def __init__(self, public_url: str, first_login: tuple[str, str] | None) -> None:
        super().__init__(public_url, first_login)
        self.public_url = public_url
        self._first_login = first_login

    def __str__(self) -> str:
        made = (
            f" as {self._first_login[0]} with {self._first_login[1]} (for one use)"
            if self._first_login
            else ""
        )
        return (
            f"nobody has a password of an admin yet, so the platform is not opened to {self.public_url}; start it once "
            f"without api.public_url and api.host, log in{made} and choose a password"
        )


class LostError(FleetError):
    """Ray ended under a platform that had hardly begun."""

    code = "platform.lost"

    def __init__(self, process: str, after_s: float) -> None:
        super().__init__(process, after_s)
        self.process = process
        self.after_s = after_s

    def __str__(self) -> str:
        return (
            f"{self.process} has ended after {self.after_s:.0f} s, and with it everything; "
            "see whether memory or the disk is full, then start again"
        )


class DataFolder:
    """The data folder, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> "DataFolder":
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            os.close(descriptor)
            raise DataFolderBusyError(str(self.path), holder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def holder(data: Path) -> int | None:
    """The process that holds the data folder, be it on its way up or down; 0: it has not said yet which it is."""
    try:
        descriptor = os.open(data / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode().strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None


def running(data: Path) -> RunInfo | None:
    """The platform that runs on this data folder, if one does.

    A run file may be left of one that was killed, and its process number be another's by now: the lock decides.
    """
    try:
        info = RunInfo(**json.loads((data / RUN_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return info if holder(data) == info.pid else None


class Platform:
    """All of Twinfold on one Ray cluster.

    ``progress`` is entered around each step with its name, for whoever wants to show it.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.data = settings.data.resolve()
        self.url = f"http://{settings.api.host}:{settings.api.port}"
        self.placement: Placement = OneFolder(self.data / "hosts")
        self._labels: dict[str, str] = {}  # of the node with the platform's own data folder
        self._cores = os.cpu_count() or 1
        self.first_login: tuple[str, str] | None = (
            None  # name and password for one use, of an admin just made
        )
        self.notices: list[str] = []  # what a person should be told once it is up
        self._progress = progress or _quiet
        self._down: list[tuple[str, Callable[[], None]]] = []
        self._underneath: Underneath | None = None
        self._up_since_s = stopwatch_s()

    def start(self) -> None:
        """Bring everything up. If a step fails, what is up goes down again and the error rises."""
        try:
            folder = DataFolder(self.data)
            folder.__enter__()
            self._down.append(("data folder", lambda: folder.__exit__()))
            if not self.settings.ray.address and (left := end_leftovers(str(self.data / TOKEN_FILE))):
                self.notices.append(f"ended what a killed platform had left behind: {', '.join(left)}")
            self._check_ports()
            self._open_seal()
            with self._progress("open the database"):
                self._open_database()
                self._open_accounts()
            with self._progress("start Ray"):
                self._start_ray()
            with self._progress("start shards and restore twins"):
                self._start_fleet()
            with self._progress("start the recorder"):
                self._start_recorder()
            with self._progress("start the notifier"):
                self._start_notifier()
            with self._progress("start the jobs"):
                self._start_jobs()
            with self._progress("start the scorer"):
                self._start_scorer()
            if self.settings.mqtt.url.get_secret_value():
                with self._progress("start the MQTT bridge"):
                    self._start_bridge()
            with self._progress("start the applications"):
                self._start_applications()
            if self.settings.simulator.fleet or self.settings.simulator.recorded:
                with self._progress("start the simulated devices"):
                    self._start_simulator()
            self._write_run_file()
            self._up_since_s = stopwatch_s()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Bring everything down, the last thing up first. One step's failure does not keep the others from ending."""
        while self._down:
            name, undo = self._down.pop()
            try:
                with self._progress(f"stop {name}"):
                    undo()
            except Exception as error:  # going down goes on; the reason is shown
                with self._progress(f"stop {name}: {error}"):
                    pass

    def lost(self) -> str:
        """What has ended without which nothing goes on: "raylet" or "gcs_server"; empty: all is there."""
        return "" if self._underneath is None else self._underneath.lost()

    def start_again(self, lost: str, environment: Mapping[str, str]) -> NoReturn:
        """Have this process begin anew, in the ``environment`` it had then; what is left of before it ends at its start.

        Raises
        ------
        LostError : it was up for less than a minute, so that beginning anew would not help.
        """
        up_s = stopwatch_s() - self._up_since_s
        if up_s < _STEADY_S:
            self._down.clear()  # nobody is there who could be told to stop
            end_leftovers(str(self.data / TOKEN_FILE))
            raise LostError(lost, up_s)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(environment))  # noqa: S606

    # -- steps -----------------------------------------------------------------------------------------------------

    def _check_ports(self) -> None:
        """Better now than half a minute later, out of HAProxy's mouth."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = self.settings.api.port
            try:
                probe.bind((self.settings.api.host, port))
            except OSError:
                raise PortInUseError(port, "the API and the app", "choose another with --port") from None

    def _open_seal(self) -> None:
        """Before anything is opened: what is encrypted and cannot be read is no reason to begin anew beside it."""
        from cluster.encryption import begin

        self.notices += begin(self.settings, self.data)

    def _open_database(self) -> None:
        from serve.database import Database
        from serve.secret_columns import seal_plain

        self._database = Database(self.settings.database_config())
        self._down.append(("the database", self._database.close))
        before, now = self._database.migrate()
        if before not in (None, now):
            self.notices.append(f"the database was brought from revision {before} to {now}")
        seal_plain(self._database)

    def _open_accounts(self) -> None:
        """Have an admin, and a token with which this machine's own commands are known while the platform runs.

        Raises
        ------
        NoAdminError : others than this machine are to reach the platform, and nobody could manage accounts yet.
        """
        from serve.access import FOLDER, Access

        access = Access(self._database, self.data / FOLDER)
        password = access.accounts.first_admin()
        if password is not None:
            self.first_login = (FIRST_ADMIN, password)
        if not access.accounts.is_managed():
            if self.settings.api.public_url:
                raise NoAdminError(self.settings.api.public_url, self.first_login)
            if password is None:
                self.notices.append(
                    "no admin has chosen a password yet; log in with the one that was printed at the first start, "
                    f"or have a new one made: twinfold user password {FIRST_ADMIN} --data {self.data}"
                )
        access.local.renew()
        self._down.append(("the local token", access.local.remove))

    def _start_ray(self) -> None:
        os.environ.update(ray_environment(self.data))
        s = self.settings.ray
        if not s.address:
            refuse_scattered(self.data)
            os.environ.update(proxy_environment(self.data))
        import ray  # only now: Ray reads its environment when it is imported

        if s.address:
            try:
                ray.init(address=s.address, namespace="twinfold", log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError) as error:
                remedy = "start its head with `twinfold node`, and see that the token is the same"
                raise NodeError(f"there is no cluster at {s.address}: {error}", remedy) from None
        else:
            start_own_ray(s, s.num_cpus)
            self._underneath = Underneath()
        self._down.append(("Ray", ray.shutdown))
        if s.address:
            self._look_around()

    def _look_around(self) -> None:
        """See which nodes have which hosts, and which of them is this machine."""
        nodes = survey()
        home = home_of(self.data, nodes)
        placement = NodePlacement(self.data / HOMES_FILE)
        placement.learn([node.folder for node in nodes])
        self.placement, self._labels = placement, {LABEL: home.folder.id}
        self._cores = round(sum(node.folder.cores for node in nodes))

    def _start_fleet(self) -> None:
        from serve.catalogue import Catalogue
        from serve.versions import Versions
        from twins.ray_fleet import RayFleet

        config = self.settings.fleet_config(self._cores)
        self.fleet = RayFleet(
            self.data / "hosts",
            config,
            self.settings.actor_config(),
            create=True,
            placement=self.placement,
            labels=self._labels,
        )
        self._down.append(("shards", self.fleet.close))
        catalogue = Catalogue(Versions(self._database), self.fleet)
        self.notices += catalogue.begin(
            find_types([Path(self.settings.types)] if self.settings.types else [])
        )

    def _start_recorder(self) -> None:
        from cluster.services import recording

        service = recording.start(self.data, self.settings.history, self._labels)
        self._down.append(("the recorder", service.stop))

    def _start_notifier(self) -> None:
        from cluster.services import notifying

        s = self.settings
        service = notifying.start(
            self.data, s.database_config(), s.receivers_config(), s.accounts.audit_days, self._labels
        )
        self._down.append(("the notifier", service.stop))

    def _start_jobs(self) -> None:
        from cluster.services import working

        config = self.settings.retraining_config()
        self._down.append(("the jobs", working.start(self.data, config, self._labels, self.placement).stop))

    def _start_scorer(self) -> None:
        from cluster.services import scoring

        service = scoring.start(self.data, self.settings.scoring, self._labels, self.placement)
        self._down.append(("the scorer", service.stop))

    def _start_applications(self) -> None:
        import ray

        def deploy(
            data: Path,
            host: str,
            port: int,
            config: "ApiConfig",
            database: "DatabaseConfig",
            placement: Placement,
            labels: dict[str, str],
        ) -> None:
            from serve.deployments import run_applications

            run_applications(data, host, port, config, database, placement, labels)

        def take_down() -> None:
            from serve.deployments import stop_applications

            stop_applications()

        # in a process of their own: this one need not load what the edge is made of
        apart = ray.remote(num_cpus=0, label_selector=self._labels)
        self._down.append(("the applications", lambda: ray.get(apart(take_down).remote())))
        api, config = self.settings.api, self.settings.api_config()
        database = self.settings.database_config()
        ray.get(
            apart(deploy).remote(
                self.data, api.host, api.port, config, database, self.placement, self._labels
            )
        )

    def _start_bridge(self) -> None:
        import ray

        from cluster.services import bridging

        s = self.settings
        sparkplug = s.sparkplug_config() if s.sparkplug.host_id else None
        database = s.database_config() if s.ingest.unknown == "template" else None
        bridge = bridging.start(self.data, s.mqtt_config(), sparkplug, database, self._labels, self.placement)
        self._down.append(("the MQTT bridge", bridge.stop))
        if reason := ray.get(bridge.handle.begun.remote(_BROKER_WITHIN_S)):
            self.notices.append(f"the MQTT bridge waits for its broker: {reason}")

    def _start_simulator(self) -> None:
        from cluster.services import sending

        traffic = sending.start(self.data, self.settings.simulator, self._labels, self.placement)
        self._down.append(("the simulated devices", traffic.stop))

    def _write_run_file(self) -> None:
        import ray

        info = RunInfo(
            os.getpid(),
            self.url,
            ray.get_runtime_context().gcs_address,
            str(self.data / TOKEN_FILE),
            time.time(),
        )
        path = self.data / RUN_FILE
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(info)))
        part.rename(path)
        self._down.append(("the run file", lambda: path.unlink(missing_ok=True)))


def run_node(settings: Settings, address: str, port: int, ip: str, token: Path | None) -> None:
    """Become a Ray node with this data folder: this process goes on as ``ray start``.

    Raises
    ------
    NodeError : a cluster is to be joined and its token is not here.
    """
    data = settings.data.resolve()
    if token is not None:
        _keep_token(data, token)
    elif address and not (data / TOKEN_FILE).exists():
        problem = f"the cluster at {address} asks for its token, and {data} has none"
        raise NodeError(problem, f"copy {TOKEN_FILE} from its head's data folder and name it with --token")
    from cluster.encryption import begin

    begin(settings, data)
    s = settings.ray
    further = {
        "temp-dir": s.temp_dir or _short_folder(),
        "num-cpus": s.num_cpus,
        "object-store-memory": s.object_store_mb << 20,
    }
    command = start_command(data, address, port, ip, further)
    environment = {**os.environ, **ray_environment(data), DATA_VARIABLE: str(data)}
    if not address:
        environment |= proxy_environment(data)
    os.execve(command[0], command, environment)  # noqa: S606  (our own command)


def _keep_token(data: Path, token: Path) -> None:
    """The cluster's token becomes this folder's."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = data / f"{TOKEN_FILE}.part"
    part.touch(0o600)
    part.write_text(token.read_text().strip())
    part.rename(data / TOKEN_FILE)


def _proxy_folder(data: Path) -> Path:
    """Ray puts a node's id of 56 characters below it, and HAProxy takes paths of sockets up to 97."""
    owner = f"{os.getuid()} {data}".encode(errors="surrogateescape")
    return Path(f"/tmp/twinfold-{hashlib.sha256(owner).hexdigest()[:8]}")  # noqa: S108


def start_own_ray(config: RaySettings, cpus: int) -> None:
    """Start Ray on this machine, reached by nobody else; 0 ``cpus``: as many as there are. ``ray_environment`` is set."""
    import ray

    with own_process_group():
        ray.init(
            address="local",
            namespace="twinfold",
            include_dashboard=False,
            num_cpus=cpus or None,
            object_store_memory=(config.object_store_mb << 20) or None,
            _node_ip_address="127.0.0.1",
            _temp_dir=config.temp_dir or _short_folder(),
            log_to_driver=False,
            logging_level="error",
        )


def _short_folder() -> str:
    """Where Ray keeps its sessions: its sockets need a short path."""
    return f"/tmp/twinfold-{getpass.getuser()}"  # noqa: S108


class NotRunningError(FleetError):
    """No platform runs on this data folder."""

    code = "platform.not_running"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return f"nothing runs on {self.folder}; start it with `twinfold up --data {self.folder}`"


@contextmanager
def join_running(data: Path) -> Iterator["RayFleet"]:
    """The fleet of the platform that runs on a data folder, for one more process of this machine."""
    info = running(data)
    if info is None:
        raise NotRunningError(str(data))
    os.environ.update(ray_environment(data.resolve()))
    import ray

    from twins.ray_fleet import RayFleet

    ray.init(address=info.ray_address, namespace="twinfold", log_to_driver=False, logging_level="error")
    try:
        yield RayFleet(data.resolve() / "hosts", placement=placement_of(data.resolve()))
    finally:
        ray.shutdown()


def placement_of(data: Path) -> Placement:
    """Where the hosts of the platform with this data folder live."""
    homes = data / HOMES_FILE
    return NodePlacement(homes) if homes.exists() else OneFolder(data / "hosts")


def refuse_scattered(data: Path) -> None:
    """Raises NodeError if hosts of this platform live in other data folders than its own."""
    homes = Homes(data / HOMES_FILE).hosts
    mine = folder_id(data, platform.node()) if homes else ""
    away = sorted(host for host, home in homes.items() if home != mine)
    if away:
        problem = f"{len(away)} hosts of this platform live in other data folders, such as {away[0]} in {homes[away[0]]}"
        raise NodeError(problem, "join the cluster of their nodes with --address")


def proxy_environment(data: Path) -> dict[str, str]:
    """Ports and files for HAProxy's own use that are no other platform's: several may share a machine.

    Whoever writes to its control socket steers it, so the folder is its owner's alone. What the environment has stays.
    """
    found = {}
    with contextlib.ExitStack() as probes:
        for name in PROXY_PORTS:
            probe = probes.enter_context(socket.socket())
            probe.bind(("", 0))
            found[name] = str(probe.getsockname()[1])
    folder = _proxy_folder(data)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise NodeError(f"{folder} is somebody else's", "have it removed: the proxy is steered from there")
    folder.chmod(0o700)
    found |= {name: str(folder / file) for name, file in PROXY_FILES.items()}
    return {name: os.environ.get(name) or value for name, value in found.items()}


def ray_environment(data: Path) -> dict[str, str]:
    """What Ray must find in the environment before it is imported: token auth always, HAProxy, no statistics sent."""
    token = data / TOKEN_FILE
    if not token.exists():
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",  # a proxy that was killed is back in seconds
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "5",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # else each replica waits 30 s before it ends
        "RAY_USE_UVLOOP": "0",  # it takes one new connection a round: under load one waits behind a crowd of others
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # a SIGTERM is an order, not a crash to print a trace of
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def _quiet(_: str) -> Iterator[None]:
    yield
