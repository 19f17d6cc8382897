"""What every route works with: the fleet, history, the live table, and threads for whatever blocks."""

import asyncio
import copy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header
from starlette.requests import HTTPConnection

from serve.access import Access, Caller
from serve.admission import Admission, Crowd
from serve.catalogue import Catalogue
from serve.config import ApiConfig
from serve.cursors import Reached, newest, read_stream_cursor, stream_cursor
from serve.decisions import Decisions
from serve.door import Door
from serve.downlinks import Switchboard
from serve.errors import LoginRequiredError
from serve.live import LiveTable, View
from serve.metrics import Metrics
from serve.notifications.book import Book
from serve.notifications.desk import Desk
from serve.notifications.receivers import Receivers
from serve.overview import Overview
from serve.preferences import Preferences
from serve.present import Rules
from serve.prognosis import Forecasters
from serve.ranking import Ranks
from serve.recommendations import Advisers
from serve.simulations import Simulations
from serve.system import NoParts, Parts
from serve.templates import Templates
from serve.together import Together
from serve.versions import Versions
from serve.whatif import Library
from serve.within.fleet import FleetWithin, LiveWithin
from serve.within.past import HistoryWithin
from serve.within.people import BookWithin, DeskWithin, JobsWithin, KeysWithin
from training.history import History
from training.jobs import Runner
from training.registry import Registry
from twins.clock import stopwatch_s
from twins.errors import OverloadedError
from twins.fleet import Fleet

_LOOK_AGAIN_S: Final = 0.05
_RETRY_AFTER_S: Final = 1.0
_REBUILDS_WAITING: Final = 8
_LOG_INS: Final = 2  # a password takes a core for a while
_LOG_INS_WAITING: Final = 30
_LOOK_UPS: Final = 4
_BODIES: Final = 32  # large ones under way: a second or two of what can be taken
_DECODERS: Final = 1  # more would take turns with the event loop, which waits for each
_TESTS: Final = 2
_TESTS_WAITING: Final = 4

_SHARED: Final = (
    "config", "metrics", "rules", "overview", "catalogue", "calls", "reads", "rebuilds", "log_ins", "look_ups", "receivers",
    "tests", "together", "admission", "bodies", "decoders", "ranks", "advisers", "preferences", "models",
    "forecasters", "decisions", "simulations",
)  # fmt: skip
"""Parts of a context that know nothing of any device, or are handed what they work on."""

Answer = TypeVar("Answer")


class Workers:
    """A few threads and a bounded queue before them: too much is refused at once, not queued."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name = name
        self._most = threads + waiting
        self._busy = 0

    async def run(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """``work(*arguments)`` in a thread.

        Raises
        ------
        OverloadedError : too much is waiting already.
        """
        if self._busy >= self._most:
            raise OverloadedError(f"{self._busy} {self._name} are under way", _RETRY_AFTER_S)
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*arguments))
        finally:
            self._busy -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True, eq=False)
class Context:
    """One replica's view of the platform. Whatever blocks goes through ``call`` or ``ask``."""

    config: ApiConfig
    fleet: Fleet
    history: History
    live: LiveTable
    access: Access
    jobs: Runner
    models: Registry
    parts: Parts = field(default_factory=NoParts)
    metrics: Metrics = field(default_factory=Metrics)
    rules: Rules = field(default_factory=Rules)
    ranks: Ranks = field(default_factory=Ranks)
    advisers: Advisers = field(default_factory=Advisers)
    forecasters: Forecasters = field(init=False)
    overview: Overview = field(init=False)
    catalogue: Catalogue = field(init=False)
    sockets: int = 0
    calls: Workers = field(init=False)
    reads: Workers = field(init=False)
    rebuilds: Workers = field(init=False)
    log_ins: Workers = field(init=False)
    look_ups: Workers = field(init=False)
    book: Book = field(init=False)
    desk: Desk = field(init=False)
    preferences: Preferences = field(init=False)
    decisions: Decisions = field(init=False)
    simulations: Simulations = field(init=False)
    receivers: Receivers = field(init=False)
    tests: Workers = field(init=False)
    together: Together = field(init=False)
    admission: Admission = field(init=False)
    bodies: Crowd = field(init=False)
    decoders: Workers = field(init=False)
    templates: Templates = field(init=False)
    door: Door = field(init=False)
    experiments: Library = field(init=False)
    switchboard: Switchboard = field(default_factory=Switchboard)

    def __post_init__(self) -> None:
        self.forecasters = Forecasters(self.models)
        self.overview = Overview(self.live)
        self.experiments = Library(self.models.folder.parent, self.models, self.jobs)
        self.catalogue = Catalogue(Versions(self.access.database, self.fleet.clock), self.fleet)
        self.calls = Workers("calls", self.config.calls, self.config.waiting)
        self.reads = Workers("questions", self.config.reads, self.config.waiting)
        self.rebuilds = Workers("looks into the past", 1, _REBUILDS_WAITING)
        self.log_ins = Workers("log-ins", _LOG_INS, _LOG_INS_WAITING)
        self.look_ups = Workers("look-ups of who asks", _LOOK_UPS, self.config.waiting)
        self.book = Book(self.access.database, self.fleet.clock)
        self.desk = Desk(self.access.database, self.fleet.clock)
        self.preferences = Preferences(self.access.database, self.fleet.clock)
        self.decisions = Decisions(self.access.database, self.fleet.clock)
        self.simulations = Simulations(self.history, self.fleet.clock)
        self.receivers = Receivers(self.config.receivers)
        self.tests = Workers("tests of channels", _TESTS, _TESTS_WAITING)
        self.admission = Admission(self.config.bodies_bytes)
        self.bodies = Crowd("bodies of readings", _BODIES)
        self.decoders = Workers("bodies that are read", _DECODERS, _BODIES)
        self.templates = Templates(self.access.database, self.fleet.clock)
        used = self.templates if self.config.unknown == "template" else None
        self.door = Door(self.fleet, used)
        self.together = Together(self.fleet, self.call, 4 * self.config.waiting)

    async def call(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A call of the fleet, of history or of the database."""
        return await self.calls.run(work, *arguments)

    async def decode(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A body of many readings into columns."""
        return await self.decoders.run(work, *arguments)

    async def ask(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A question to the live table."""
        return await self.reads.run(work, *arguments)

    async def rebuild(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A look at twins as they were: heavy, so one at a time, beside everything else."""
        return await self.rebuilds.run(work, *arguments)

    async def log_in(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Whatever checks a password: slow on purpose, and not to hold up anything else."""
        return await self.log_ins.run(work, *arguments)

    async def identify(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A short question to the database, about who asks or what was decided."""
        return await self.look_ups.run(work, *arguments)

    async def test(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """A message to a receiver that may take its time."""
        return await self.tests.run(work, *arguments)

    async def view(self, *cursors: str) -> View:
        """The newest view; with cursors, one that includes them, if ``catch_up_s`` is enough for that."""
        if not cursors:
            return self.live.view
        wanted = newest(read_stream_cursor(cursor) for cursor in cursors)
        until_s = stopwatch_s() + self.config.catch_up_s
        view = self.live.view
        while not view.includes(wanted) and stopwatch_s() < until_s:
            view = await self.call(self.live.refresh)
            if not view.includes(wanted):
                await asyncio.sleep(_LOOK_AGAIN_S)
        return view

    def cursor_at(self, cursors: Mapping[int, int]) -> str:
        """A stream cursor at these journal cursors, by host."""
        generations = self.live.view.generations
        return stream_cursor(
            {host: Reached(generations[host].epoch if host in generations else 0, at)
             for host, at in cursors.items()}
        )  # fmt: skip

    def within(self, who: Caller) -> "Context":
        """This context as ``who`` sees it: for an account that is for some sites without anything of others.

        A part that is neither shared nor narrowed here is not there, so that one that comes later is closed until somebody
        has decided.
        """
        sites = who.sites
        if sites is None:
            return self
        part = object.__new__(Context)
        for name in _SHARED:
            setattr(part, name, getattr(self, name))
        fleet = FleetWithin(self.fleet, self.live, sites)
        part.fleet = fleet
        part.live = LiveWithin(self.live, sites)
        part.history = HistoryWithin(self.history, fleet, part.live, sites)
        part.access = copy.copy(self.access)
        part.access.keys = KeysWithin(self.access.keys, sites)
        part.book = BookWithin(self.book, sites)
        part.desk = DeskWithin(self.desk, sites)
        part.jobs = JobsWithin(self.jobs, who.name, sites)
        return part

    def close(self) -> None:
        """Let threads and tables go."""
        self.calls.close()
        self.decoders.close()
        self.reads.close()
        self.rebuilds.close()
        self.log_ins.close()
        self.look_ups.close()
        self.tests.close()
        self.live.close()
        self.access.database.close()


# FastAPI runs what is not async in a thread of its own, which costs more than all else that a small request costs.


def context_of(connection: HTTPConnection) -> Context:
    """The whole context of the app that a request or socket came to. Routes take ``InContext``."""
    found: Context = connection.app.state.context
    return found


async def context(connection: HTTPConnection) -> Context:
    """The context of the app as who asks sees it."""
    here, who = context_of(connection), connection.scope.get("state", {}).get("caller")
    if who is None or who.sites is None:
        return here
    await here.ask(here.live.view.within, who.sites)  # made once a view, and not on the event loop
    return here.within(who)


async def caller(connection: HTTPConnection) -> Caller:
    """Who asks, as the gate found out."""
    found: Caller | None = connection.scope.get("state", {}).get("caller")
    if found is None:
        raise LoginRequiredError()
    return found


async def user(who: Annotated[Caller, Depends(caller)]) -> str:
    """The name of who asks."""
    return who.name


async def address(connection: HTTPConnection) -> str:
    """From where a request comes."""
    found: str = connection.scope["state"]["address"]
    return found


async def command_id(
    here: Annotated[Context, Depends(context)],
    by: Annotated[str, Depends(user)],
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)] = None,
) -> str:
    """The id of a command: the client's own key, so that asking twice does it once, or a new one."""
    return f"key:{by}:{key}" if key is not None else here.fleet.command_id()


InContext = Annotated[Context, Depends(context)]
User = Annotated[str, Depends(user)]
Who = Annotated[Caller, Depends(caller)]
Address = Annotated[str, Depends(address)]
CommandId = Annotated[str, Depends(command_id)]
