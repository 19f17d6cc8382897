"""The live socket as an iterator: it comes back by itself after a break, where it was, and tells what was missed."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self, TypeAlias

import httpx
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from serve.client.connection import AWAY, BUSY, Connection, pauses
from serve.errors import ApiError, UnansweredError
from serve.schemas.stream import (
    AlertChanged,
    DataUpdate,
    Gap,
    Heartbeat,
    Hello,
    JobChanged,
    NewAlert,
    ServerMessage,
    Subscribe,
)

LiveMessage: TypeAlias = DataUpdate | NewAlert | AlertChanged | JobChanged | Gap

REFUSED: Final = "live.refused"
"""Code of the error of a socket that was refused: sockets have no problem documents."""

_CLOSED_FOR_A_REASON: Final = 1008
_LONGEST: Final = 16 << 20
_BREAKS: Final = (ConnectionClosed, InvalidHandshake, OSError, httpx.TransportError, ApiError)
_MESSAGE: Final[TypeAdapter[Hello | Heartbeat | LiveMessage]] = TypeAdapter(ServerMessage)


class Live:
    """Messages as they come; iterate it once, break off at will, ``close`` it from any thread.

    An alert that was told just before a break may be told again after it. A ``Gap`` says that some were not: ask for the
    lists then. ``cursor`` is how far it has come: a program that keeps it goes on from there another day.
    """

    def __init__(self, ask: Connection, wish: Subscribe) -> None:
        self._ask = ask
        self._wish = wish
        self._socket: ClientConnection | None = None
        self._has_begun = False
        self._closed = threading.Event()
        self.cursor = wish.cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; whoever waits for the next message waits no longer."""
        self._closed.set()
        if self._socket is not None:
            self._socket.close()

    def __iter__(self) -> Iterator[LiveMessage]:
        """The next messages.

        Raises
        ------
        ApiError : the platform does not tell this to whoever asks, or no longer.
        UnansweredError : it cannot be reached.
        """
        renewed, waits = False, pauses()
        away_since_s: float | None = None
        while not self._closed.is_set():
            who: dict[str, str] = {}
            try:
                who = self._ask.credential.headers(self._ask.post)
                with self._connected(who) as self._socket:
                    self._has_begun = True
                    for message in self._told(self._socket):
                        renewed, waits, away_since_s = False, pauses(), None
                        if not isinstance(message, Hello | Heartbeat):
                            yield message
            except _BREAKS as error:
                if self._closed.is_set():
                    return
                if (reason := _refusal(error)) is not None:
                    if renewed or not self._ask.credential.renew(who):
                        raise ApiError(403, REFUSED, reason, {}) from None
                    renewed = True
                    continue
                if isinstance(error, ApiError) and error.status not in (BUSY, *AWAY):
                    raise
                pause_s, now_s = next(waits), time.monotonic()
                away_since_s = now_s if away_since_s is None else away_since_s
                if not self._has_begun or now_s + pause_s - away_since_s > self._ask.patience_s:
                    raise UnansweredError(self._ask.url, str(error) or type(error).__name__) from error
                time.sleep(pause_s)  # before it connects again, longer each time

    def _connected(self, who: dict[str, str]) -> ClientConnection:
        url = self._ask.url.replace("http", "ws", 1) + "/api/live"
        return connect(url, additional_headers=who, max_size=_LONGEST)

    def _told(self, socket: ClientConnection) -> Iterator[Hello | Heartbeat | LiveMessage]:
        """What one socket tells until it breaks. Where it begins counts as reached, so that no break loses an alert."""
        socket.send(self._wish.model_copy(update={"cursor": self.cursor}).model_dump_json())
        while True:
            message = _MESSAGE.validate_json(socket.recv())
            if isinstance(message, Hello):
                self.cursor = self.cursor or message.cursor
            elif isinstance(message, DataUpdate | NewAlert | AlertChanged):
                self.cursor = message.cursor
            yield message


def _refusal(error: Exception) -> str | None:
    """Why the platform will not have it; None where it may come again."""
    if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
        return "the live socket was refused; log in, or ask as somebody who may read"
    if (
        isinstance(error, ConnectionClosed)
        and error.rcvd is not None
        and error.rcvd.code == _CLOSED_FOR_A_REASON
    ):
        return error.rcvd.reason
    return None
