"""What tests of notifications share: a desk on a virtual clock, routes in few words, and receivers that are real servers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from serve.accounts import Actor
from serve.config import DatabaseConfig
from serve.database import Database
from serve.keyset import Spot
from serve.notifications.book import Book
from serve.notifications.desk import Desk
from serve.notifications.notices import Closed, Raised
from serve.notifications.receivers import Target
from serve.notifications.routing import Alert
from twins.clock import VirtualClock

ADMIN = Actor("admin")
T0_US = 1_760_000_000_000_000  # 9 October 2025, a Thursday, 08:53:20 UTC
ROUTE: dict[str, Any] = {
    "name": "plant", "priority": "low", "sites": [], "types": [], "rules": [], "zone": "UTC", "schedule": [], "quiet": [],
    "quiet_priority": "critical", "repeat_s": 0.0, "until": "acknowledged",
}  # fmt: skip


class Office:
    """A desk and a book on one database and one clock. ``again`` opens them anew, as a process that begins again does."""

    def __init__(self, folder: Path, url: str | None = None, clock: VirtualClock | None = None) -> None:
        self._url = url or f"sqlite:///{folder / 'twinfold.db'}"
        self.clock = clock or VirtualClock(T0_US)
        self.database = Database(DatabaseConfig(self._url))
        self.database.migrate()
        self.at: dict[str, int] = {}
        self.again()

    def again(self) -> None:
        self.desk = Desk(self.database, self.clock)
        self.book = Book(self.database, self.clock)

    def channel(self, url: str = "https://example.org/hook", account: str = "") -> str:
        return self.book.add_channel("hook", Target("webhook", url), ADMIN, account)[0].id

    def route(self, *steps: tuple[float, str], **more: Any) -> str:
        """A route with steps of seconds and receivers."""
        told = [{"after_s": after_s, "to": to.split()} for after_s, to in steps]
        return self.book.add_route({**ROUTE, **more, "steps": told}, True, ADMIN).id

    def take(self, *changes: Raised | Closed, actor: str = "host-000") -> None:
        before = self.desk.cursor(actor)
        self.desk.take(actor, before, before + 1, changes)

    def raised(self, device: str = "pump-1", occurrence: int = 1, **more: Any) -> Raised:
        return Raised(alert(device, occurrence, **more), self.clock.now_us())

    def acknowledged(self, device: str = "pump-1", occurrence: int = 1) -> Closed:
        return Closed(f"{device}:hot:{occurrence}", self.clock.now_us())

    def pass_s(self, seconds: float) -> None:
        self.clock.advance_by(seconds)
        self.tick()

    def tick(self) -> None:
        while self.desk.tick():
            pass

    def told(self) -> list[tuple[str, int, str]]:
        """Kind, step and alert of every delivery, the oldest first."""
        found = reversed(self.desk.deliveries(Spot(100_000)).items)
        return [(each.kind, each.step, each.alert) for each in found]


def alert(device: str = "pump-1", occurrence: int = 1, **more: Any) -> Alert:
    given = {
        "device_type": "pump",
        "site": "oslo",
        "rule": "hot",
        "priority": "high",
        "title": "Hot",
        "raised_us": T0_US,
    }
    values = {**given, **more}
    return Alert(f"{device}:{values['rule']}:{occurrence}", device, **values)


class Hook(ThreadingHTTPServer):
    """A webhook's receiver: keeps what came, and answers what ``answer`` says."""

    daemon_threads = True

    def __init__(self, answer: Callable[[int], int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/in?token=s3cret"

    def wait_for(self, number: int, within_s: float = 20.0) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.came) >= number, within_s), (
                f"{len(self.came)} of {number} came"
            )


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.arrived:
            self.server.came.append((dict(self.headers.items()), body))
            status = self.server.answer(len(self.server.came))
            self.server.arrived.notify_all()
        self.send_response(status)
        if status in (301, 302, 307, 308):
            self.send_header("Location", "http://169.254.169.254/")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"told")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hook(answer: Callable[[int], int] = lambda _: 200) -> Iterator[Hook]:
    """A receiver that is up. ``answer`` is given how manieth message it is and says the status."""
    server = Hook(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
