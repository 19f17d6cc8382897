"""Follows, decides and delivers, each in a thread of its own, so that a dead receiver holds up nothing but itself.

Everything that must not be lost is the desk's; what is here may end at any moment and begin again.
"""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Final

from serve.errors import ChannelNotFoundError, ReceiverError
from serve.notifications.book import Book
from serve.notifications.deliveries import Delivery
from serve.notifications.desk import Desk
from serve.notifications.following import Follower
from serve.notifications.receivers import Receivers
from twins.clock import SECOND_US, Clock, WallClock, stopwatch_s
from twins.errors import FleetError

_PAUSE_S: Final = 0.25
_TICK_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 5.0
_PRUNE_EVERY_S: Final = 3_600.0
_STOP_WITHIN_S: Final = 15.0

_log = logging.getLogger("twinfold.notifications")


class Notifier:
    """The notifications of one platform at work.

    Parameters
    ----------
    follower : reads what happens
    desk : decides who is told
    book : knows the channels
    receivers : sends
    clock : what time it is, for signatures
    forget : lets go of something else that is kept for a time, a part at a time; whether there is more at once
    """

    def __init__(
        self,
        follower: Follower,
        desk: Desk,
        book: Book,
        receivers: Receivers,
        clock: Clock | None = None,
        forget: Callable[[], bool] = lambda: False,
    ) -> None:
        self._follower = follower
        self._desk = desk
        self._book = book
        self._receivers = receivers
        self._clock = clock or WallClock()
        self._forget = forget
        self._stop = threading.Event()
        self._problems: dict[str, str] = {}
        self._senders: dict[str, threading.Thread] = {}
        works: tuple[tuple[str, float, Callable[[], bool]], ...] = (
            ("following", _PAUSE_S, lambda: follower.step() > 0),
            ("hosts", _LOOK_EVERY_S, self._look),
            ("deciding", _TICK_EVERY_S, desk.tick),
            ("delivering", _PAUSE_S, self._dispatch),
            ("forgetting", _PRUNE_EVERY_S, self._prune),
        )
        self._threads = [
            threading.Thread(target=self._keep_on, args=work, name=work[0], daemon=True) for work in works
        ]

    def start(self) -> None:
        """Begin; returns at once."""
        for thread in self._threads:
            thread.start()

    def status(self) -> dict[str, Any]:
        """``problems`` by thread and by host, ``alive`` by thread, and the channels that are being sent to."""
        return {
            "alive": {thread.name: thread.is_alive() for thread in self._threads},
            "problems": {**self._problems, **self._follower.problems},
            "sending": sorted(
                channel for channel, thread in list(self._senders.items()) if thread.is_alive()
            ),
        }

    def stop(self) -> None:
        """End; what is under way is sent, or again at the next start."""
        self._stop.set()
        until_s = stopwatch_s() + _STOP_WITHIN_S
        for thread in [*self._threads, *self._senders.values()]:
            if thread.ident is not None:
                thread.join(max(0.0, until_s - stopwatch_s()))

    def _keep_on(self, name: str, every_s: float, step: Callable[[], bool]) -> None:
        """Take a step ``every_s``, at once where there is more to do, whatever happens."""
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = every_s
            try:
                if step():
                    wait_s = 0.0
            except Exception as error:
                problem = str(error) or type(error).__name__
                if name not in self._problems:
                    _log.error(
                        "%s stands still: %s", name, problem, exc_info=not isinstance(error, FleetError)
                    )
                self._problems[name] = problem
            else:
                if self._problems.pop(name, None) is not None:
                    _log.info("%s goes on", name)

    def _look(self) -> bool:
        self._follower.look()
        return False

    def _prune(self) -> bool:
        self._desk.prune()
        return self._forget()

    def _dispatch(self) -> bool:
        """See that every channel for which something is due has a thread."""
        self._senders = {channel: thread for channel, thread in self._senders.items() if thread.is_alive()}
        for channel in self._desk.waiting():
            if channel not in self._senders:
                thread = threading.Thread(
                    target=self._send_all, args=(channel,), name=f"to-{channel}", daemon=True
                )
                self._senders[channel] = thread
                thread.start()
        return False

    def _send_all(self, channel: str) -> None:
        """Send what is due to one channel, then end."""
        try:
            while not self._stop.is_set():
                delivery = self._desk.next_of(channel)
                if delivery is None:
                    return
                self._send(delivery)
        except Exception as error:  # the database is in the way; the next look begins anew
            _log.warning(
                "deliveries to channel %s wait: %s",
                channel,
                error,
                exc_info=not isinstance(error, FleetError),
            )
            self._stop.wait(_TICK_EVERY_S)

    def _send(self, delivery: Delivery) -> None:
        try:
            target = self._book.channel(delivery.channel).target
        except ChannelNotFoundError:
            self._desk.give_up(delivery.channel, "the channel is gone")
            return
        try:
            said, took = (
                self._receivers.send(
                    target, delivery.id, delivery.message, self._clock.now_us() // SECOND_US
                ),
                True,
            )
        except ReceiverError as error:
            said, took = error.problem, False
        except Exception as error:  # a fault of ours with this message must not hold up those behind it
            _log.exception("delivery %s cannot be sent", delivery.id)
            said, took = f"cannot be sent: {type(error).__name__}", False
        state = self._desk.sent(delivery, took, said, random.random())  # noqa: S311  (a wait, no secret)
        if state == "failed":
            _log.error(
                "delivery %s to channel %s has failed after all attempts: %s",
                delivery.id,
                delivery.channel,
                said,
            )
