"""How the edge is set up: plain data, which whoever starts it hands over without loading what the edge is made of."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

DATABASE_FILE: Final = "twinfold.db"
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

Registration = Literal["open", "invite", "closed"]
Unknown = Literal["refuse", "template"]


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server. ``tls``: by STARTTLS, from the first byte, or not at all."""

    host: str = ""
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""


@dataclass(frozen=True, slots=True)
class ReceiversConfig:
    """How receivers are reached.

    Attributes
    ----------
    mail : the server that takes e-mail
    allow_private : whether receivers may be in private networks and on this machine
    apprise : whether its services may be used; it dials by itself, so where to is not judged
    patience_s : how long one attempt may take in all
    link : the address of the platform, for a link in messages; empty: none
    """

    mail: MailConfig = MailConfig()
    allow_private: bool = False
    apprise: bool = False
    patience_s: float = 10.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class NotesConfig:
    """Which commands to alerts must say why: by command, the priorities of the alerts.

    Attributes
    ----------
    suppress : and taking out of service
    """

    acknowledge: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    shelve: tuple[str, ...] = ("critical", "high", "medium", "low")
    suppress: tuple[str, ...] = ("critical", "high")


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the database is. The URL may hold a password, so it is not shown.

    Attributes
    ----------
    url : ``sqlite:///path`` or ``postgresql://user:password@host/name``
    connections : how many one process keeps open at most
    folder : the platform's data folder, whose keyset seals what is secret here; None: nothing is
    """

    url: str = field(repr=False)
    connections: int = 8
    folder: Path | None = None


def database_config(url: str, data: Path) -> DatabaseConfig:
    """The database that ``url`` names, or the file in the data folder if that is empty."""
    return DatabaseConfig(url or f"sqlite:///{data / DATABASE_FILE}", folder=data)


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How the edge behaves.

    Attributes
    ----------
    static : folder of the built app; None: no app is served
    hosts : names under which the API may be asked; anything else is refused, so that no web page can reach
        a loopback API by pointing a name of its own at it
    body_bytes, unpacked_bytes, batch_readings : the largest request body, as sent and unpacked, and readings in one
    bodies_bytes : of all requests that one replica reads at the same time; what comes beyond it is refused unread
    body_s : how long a body may take to come
    calls, reads : threads for calls of the fleet and of history, and for questions to the live table
    waiting : requests that may wait for such a thread before others are refused
    catch_up_s : how long a list waits to include what its cursors name; longer than the live table takes to be renewed
    update_every_s, heartbeat_s : how often sockets are sent the state of the fleet, and a sign of life
    sockets, watched : open sockets, and devices that one may watch
    public : the https address of the proxy in front, if there is one; only then is believed from where a request was
        forwarded, and cookies travel over TLS alone
    cookie : name of the browser's session; a browser keeps one a name, whatever the port
    registration : who may make an account
    receivers : how receivers of notifications are reached, for tests of them
    unknown : what becomes of readings of unknown devices
    notes : which commands to alerts must say why
    requests_per_s : what one account may ask of one replica for as long as it likes; 0: no limit
    """

    static: Path | None = None
    hosts: tuple[str, ...] = LOOPBACK_NAMES
    body_bytes: int = 16 << 20
    unpacked_bytes: int = 64 << 20
    body_s: float = 60.0
    batch_readings: int = 100_000
    bodies_bytes: int = 256 << 20
    calls: int = 16
    reads: int = 4
    waiting: int = 256
    catch_up_s: float = 2.0
    update_every_s: float = 1.0
    heartbeat_s: float = 15.0
    sockets: int = 1_000
    watched: int = 500
    public: str = ""
    cookie: str = "twinfold-session"
    registration: Registration = "closed"
    receivers: ReceiversConfig = field(default_factory=ReceiversConfig)
    unknown: Unknown = "refuse"
    notes: NotesConfig = NotesConfig()
    requests_per_s: float = 100.0
