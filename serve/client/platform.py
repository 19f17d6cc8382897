"""The client: who asks, and the nouns that can be asked about."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from serve.client.accounts import Accounts, Keys, OwnAccount
from serve.client.alerts import Alerts
from serve.client.asked import Asked
from serve.client.connection import Connection
from serve.client.credentials import Credential, LocalFile, Session, Token
from serve.client.device_types import DeviceTypes
from serve.client.devices import Devices
from serve.client.jobs import Jobs
from serve.client.live import Live
from serve.client.maintenance import MaintenanceRecords
from serve.client.models import Models
from serve.client.notifications import Notifications
from serve.client.preferences import Preferences
from serve.client.readings import Readings, send
from serve.client.recommendations import Recommendations
from serve.client.templates import DeviceTemplates
from serve.client.whatif import WhatIf
from serve.errors import UnansweredError
from serve.schemas.accounts import AuditItem, AuditPage, Me
from serve.schemas.devices import DeviceItem
from serve.schemas.fleet import FleetMap, FleetSummary
from serve.schemas.platform import Readiness, SystemInfo
from serve.schemas.readings import ReadingsTaken
from serve.schemas.stream import PageWish, Subscribe, Topic
from serve.whereabouts import address_of
from twins.errors import FleetError

ANSWER_WITHIN_S: Final = 60.0
PATIENCE_S: Final = 30.0


class Client:
    """A connection to a platform; close it, or use it in a ``with`` block. Several threads may use one.

    What is refused is an ``ApiError`` with the platform's ``code`` and the facts of its problem document; a platform that
    does not answer is an ``UnansweredError``. What may be asked again without repeating anything is asked again.

    Parameters
    ----------
    url : of the platform, as ``http://localhost:8700``
    token : an access token or a device key; empty: nobody in particular
    timeout_s : how long one answer may take
    patience_s : how long to ask again while the platform is busy or away; 0: never

    Examples
    --------
    >>> with Client.local("data") as client:  # doctest: +SKIP
    ...     for device in client.devices.all("health < 50", sort="health"):
    ...         print(device.id, device.health)
    """

    def __init__(
        self,
        url: str,
        token: str | Credential = "",
        *,
        timeout_s: float = ANSWER_WITHIN_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._credential = Token(token) if isinstance(token, str) else token
        self._ask = Connection(url, self._credential, timeout_s, patience_s)
        self.url = self._ask.url
        self.devices = Devices(self._ask)
        self.alerts = Alerts(self._ask)
        self.maintenance = MaintenanceRecords(self._ask)
        self.asked = Asked(self._ask)
        self.recommendations = Recommendations(self._ask)
        self.preferences = Preferences(self._ask)
        self.types = DeviceTypes(self._ask)
        self.templates = DeviceTemplates(self._ask)
        self.models = Models(self._ask)
        self.jobs = Jobs(self._ask)
        self.whatif = WhatIf(self._ask)
        self.notifications = Notifications(self._ask)
        self.account = OwnAccount(self._ask)
        self.accounts = Accounts(self._ask)
        self.keys = Keys(self._ask)

    @classmethod
    def local(
        cls, data: str | Path, *, timeout_s: float = ANSWER_WITHIN_S, patience_s: float = PATIENCE_S
    ) -> Self:
        """A client of the platform that runs on a data folder of this machine, as whoever can read that folder.

        Raises
        ------
        UnansweredError : none does.
        """
        url = address_of(Path(data))
        if url is None:
            raise UnansweredError(str(data), "no platform runs on this data folder")
        return cls(url, LocalFile(Path(data)), timeout_s=timeout_s, patience_s=patience_s)

    @classmethod
    def log_in(
        cls,
        url: str,
        name: str,
        password: str,
        code: str | None = None,
        *,
        timeout_s: float = ANSWER_WITHIN_S,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """A client of an account; its session goes on by itself, and ends when the client is closed.

        Raises
        ------
        ApiError : name, password or code are wrong.
        """
        client = cls(url, Session(name, password, code), timeout_s=timeout_s, patience_s=patience_s)
        try:
            client.me()
        except BaseException:
            client.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go; a session that was begun here ends."""
        if isinstance(self._credential, Session) and self._credential.has_begun:
            self._ask.patience_s = 0
            with contextlib.suppress(FleetError):
                self._ask.change("POST", "/api/logout")
        self._ask.close()

    # -- the platform and the fleet at a glance --------------------------------------------------------------------

    def is_up(self) -> bool:
        """Whether it answers at all."""
        try:
            return self._ask.ask("GET", "/api/health").is_success
        except FleetError:
            return False

    def ready(self) -> Readiness:
        """Whether every host takes readings, and what each says of itself."""
        answer = self._ask.ask("GET", "/api/ready", fine=[httpx.codes.SERVICE_UNAVAILABLE])
        return Readiness.model_validate_json(answer.content)

    def system(self) -> SystemInfo:
        """What runs beside the hosts, of what version, and what history takes on disk."""
        return self._ask.get(SystemInfo, "/api/system")

    def summary(self, cursor: str | None = None) -> FleetSummary:
        """Counts over the whole fleet; with the cursor of a command, with what it did."""
        return self._ask.get(FleetSummary, "/api/fleet/summary", {"cursor": cursor})

    def map(self) -> FleetMap:
        """Every device as one byte, in the order site, type, id."""
        return self._ask.get(FleetMap, "/api/fleet/map")

    def cell(self, site: str, index: int) -> DeviceItem:
        """The device behind one byte of the map."""
        return self._ask.get(DeviceItem, "/api/fleet/map/cell", {"site": site, "index": index})

    def me(self) -> Me:
        """Who asks."""
        return self._ask.get(Me, "/api/me")

    def audit(
        self, by: str | None = None, what: str | None = None, subject: str | None = None
    ) -> Iterator[AuditItem]:
        """Who did what, when and from where, the newest first; ``what`` may be how it begins."""
        query = {"limit": 1_000, "by": by, "what": what, "subject": subject}
        for page in self._ask.pages(AuditPage, "/api/audit", query):
            yield from page.items

    # -- what goes in and what comes out ---------------------------------------------------------------------------

    def send(self, readings: Readings, device_type: str | None = None) -> ReadingsTaken:
        """Write readings; what was accepted is on disk when this returns. Sending them again does no harm.

        Parameters
        ----------
        readings : columns ``device``, ``time`` and one a channel, as an Arrow table, a pandas frame or a mapping; or lines,
            each a ``Reading`` or a mapping like one. In columns NaN says that a channel was sent and is bad, null that it
            was not sent, which is also what NaN in a pandas frame becomes. Much of it goes in several requests.
        device_type : refuse devices of any other type

        Returns
        -------
        How many lines were accepted, by what became of them, and the first thousand that were refused, each with its reason.

        Raises
        ------
        ApiError : they cannot be taken as they are, or not now; of several requests, those before were taken.
        """
        return send(self._ask, readings, device_type)

    def live(
        self,
        topics: Sequence[Topic] = ("alerts",),
        devices: Sequence[str] = (),
        cursor: str | None = None,
        page: PageWish | None = None,
    ) -> Live:
        """What happens, as it happens: alerts and jobs one by one, the fleet, some devices and a page once a second.

        Parameters
        ----------
        topics : of fleet, alerts, devices, page, jobs
        devices : those that topic ``devices`` is about
        cursor : tell the alerts since then first
        page : the list of devices that topic ``page`` is about; None: the first of all
        """
        wish = Subscribe(
            type="subscribe",
            topics=list(topics),
            devices=list(devices),
            cursor=cursor,
            page=page or PageWish(),
        )
        return Live(self._ask, wish)
