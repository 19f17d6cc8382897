"""An edge behind a real socket of this machine, and a line to it that can be cut."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from serve.access import FOLDER
from serve.client import Client
from serve.whereabouts import RUN_FILE
from tests.serve.edges import make_app, make_fleet
from twins.clock import VirtualClock
from twins.fleet import LocalFleet
from twins.warmup import compile_kernels

assert FOLDER == "secrets"  # where ``make_app`` has it, and ``Client.local`` looks


@dataclass
class Served:
    """A platform in this process: where it is, and what stands behind."""

    url: str
    folder: Path
    app: FastAPI
    fleet: LocalFleet
    clock: VirtualClock

    def client(self, **options: Any) -> Client:
        """A client as this machine's own commands have it."""
        return Client.local(self.folder, **{"timeout_s": 300, **options})


@contextmanager
def served(folder: Path, around: Callable[[Any], Any] = lambda app: app, **config: Any) -> Iterator[Served]:
    """Serve the small fleet of ``edges`` until the block ends; ``around`` puts something before the app."""
    compile_kernels()  # which may take longer than a request does
    with make_fleet(folder) as fleet:
        app = make_app(fleet, folder, **config)
        app.state.context.access.local.renew()
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            settings = uvicorn.Config(around(app), log_level="error", timeout_graceful_shutdown=1)
            server = uvicorn.Server(settings)
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            until(lambda: server.started)
            url = f"http://127.0.0.1:{port}"
            (folder / RUN_FILE).write_text(json.dumps({"url": url}))
            assert isinstance(fleet.clock, VirtualClock)
            try:
                yield Served(url, folder, app, fleet, fleet.clock)
            finally:
                server.should_exit = True
                thread.join(60)
                app.state.context.jobs.stop()


class Line:
    """A line to a platform. ``cut`` breaks what is under way; with ``losing``, the next answers are lost on the way."""

    def __init__(self, to: str) -> None:
        host, port = to.removeprefix("http://").split(":")
        self._to = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.losing = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        for pair in self._pairs:
            _hang_up(pair)
        self._pairs.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                pair = (here, socket.create_connection(self._to))
                self._pairs.append(pair)
                for way in (pair, pair[::-1]):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        back = source.getpeername() == self._to
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if back and self.losing:
                    self.losing -= 1
                    break
                target.sendall(data)
        _hang_up((source, target))


def _hang_up(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def until(holds: Callable[[], Any], patience_s: float = 60.0) -> Any:
    """Wait for what is to come about; give what it came to."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)  # looks again; the deadline is above
    raise AssertionError("it did not come about")
