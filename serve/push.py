"""Telling browsers what happens: one follower of the journals a replica, one bounded outbox a socket.

Alerts are told one by one as they enter the journals, the state of the fleet, and pages of it, once for every view
of the live table, jobs when they change. A socket that reads too slowly holds up nobody: of updates and jobs it gets
the latest, of alerts it is told how many it missed. Every message of alerts and updates carries a cursor to go on
from after a break. No storage.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from serve.context import Context
from serve.cursors import Reached, read_stream_cursor, stream_cursor
from serve.lists import DeviceQuery, list_devices
from serve.live import Place, View, known, short
from serve.present import alert_item, as_of, iso, job_item
from twins import entries
from twins.clock import stopwatch_s
from twins.entries import EntryKind
from twins.errors import DegradedError, FleetError, JournalError, OverloadedError
from twins.events import Event, EventBatch, Kind, decode
from twins.fleet import Fleet
from twins.journal import StoredEntry

REPLAYED: Final = 4_096
"""Alert messages kept for sockets that come back."""

OUTBOX: Final = 1_000
"""Messages that may wait for one socket."""

_PAGE: Final = 64
_WAIT_S: Final = 1.0
_RETRY_S: Final = 1.0
_TOLD_AT_ONCE: Final = 500
_ASKED_AT_ONCE: Final = 64
_LOOKS: Final = 20
_LOOK_AGAIN_S: Final = 0.1
_FIRST_ALERT: Final = int(Kind.ALERT_RAISED)
_FIRST_ASKED: Final = int(Kind.DESIRED_CHANGED)
_LAST_ASKED: Final = int(Kind.COMMAND_CANCELLED)

_log = logging.getLogger("twinfold.push")


class Journals(Protocol):
    """The journals of all hosts, as far as push reads them."""

    async def follow(self, host: int, cursor: int, limit: int, wait_s: float) -> Sequence[StoredEntry]:
        """Entries after ``cursor``; waits up to ``wait_s`` for the first."""
        ...


class PolledJournals:
    """The journals of a fleet that cannot wait for entries: looked at again and again."""

    def __init__(self, context: Context, every_s: float = 0.2) -> None:
        self._context = context
        self._every_s = every_s

    async def follow(self, host: int, cursor: int, limit: int, wait_s: float) -> Sequence[StoredEntry]:
        fleet: Fleet = self._context.fleet
        page = await self._context.call(fleet.read_after, host, cursor, limit)
        if not page and wait_s > 0:
            await asyncio.sleep(min(wait_s, self._every_s))
            page = await self._context.call(fleet.read_after, host, cursor, limit)
        return page


@dataclass(frozen=True, slots=True)
class Message:
    """An alert message: its place in the journals, the site it is of, and its text without braces and sequence number."""

    host: int
    cursor: int
    site: str
    after: str  # the stream cursor to go on from
    body: str


@dataclass(slots=True, eq=False)
class Client:
    """One socket's side of the hub: who it is and of which sites it may know (None: all), what it wants, what waits for it.

    Attributes
    ----------
    jobs : texts of jobs that changed, the latest of each; ``versions`` are those that were told
    """

    name: str = ""
    sites: frozenset[str] | None = None
    topics: frozenset[str] = frozenset()
    watched: Mapping[str, Place] = field(default_factory=dict)
    page: DeviceQuery | None = None
    jobs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    outbox: deque[Message] = field(default_factory=deque)
    missed: int = 0
    update: str | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    seq: int = 0

    def sees(self, site: str) -> bool:
        """Whether it may know of what happens at a site."""
        return self.sites is None or site in self.sites

    def take(self) -> list[str]:
        """The texts to send now, oldest first."""
        self.wake.clear()
        texts = []
        if self.missed:
            texts.append(self._numbered(f'"type":"gap","missed":{self.missed}'))
            self.missed = 0
        while self.outbox:
            message = self.outbox.popleft()
            texts.append(self._numbered(f'"cursor":"{message.after}",{message.body}'))
        texts += [self._numbered(f'"type":"JOB_CHANGED","data":{job}') for job in self.jobs.values()]
        self.jobs.clear()
        if self.update is not None:
            texts.append(self._numbered(self.update))
            self.update = None
        return texts

    def heartbeat(self, now_us: int) -> str:
        return self._numbered(f'"type":"heartbeat","at":"{iso(now_us)}"')

    def _numbered(self, body: str) -> str:
        self.seq += 1
        return f'{{"seq":{self.seq},{body}}}'


Wanted = tuple[frozenset[str] | None, DeviceQuery]
"""A page, and the sites that whoever looks at it may know of."""


class Pages:
    """The pages that sockets look at, each listed once however many do.

    Where there are too many to list all of them between two updates, they take turns, those that were listed longest
    ago first.

    Parameters
    ----------
    context : the live table, and threads to ask it in
    most_s : how long listing may take at a time; one page is listed in any case
    """

    def __init__(self, context: Context, most_s: float) -> None:
        self._context = context
        self._most_s = most_s
        self._listed: dict[Wanted, tuple[int, str]] = {}  # the moment of its view, and its text

    def text(self, wanted: Wanted) -> str | None:
        """A page as JSON; None where it was not listed yet."""
        return self._listed.get(wanted, (0, ""))[1] or None

    async def list_one(self, view: View, wanted: Wanted) -> None:
        """List a page. Raises what ``list_devices`` does."""
        part = view if wanted[0] is None else await self._context.ask(view.within, wanted[0])
        self._listed[wanted] = part.as_of_us, await self._context.ask(self._written, part, wanted[1])

    async def list_again(self, view: View, wanted: Iterable[Wanted]) -> None:
        """List anew what is looked at, as far as there is time, and forget the rest."""
        until_s = stopwatch_s() + self._most_s
        self._listed = {each: self._listed.get(each, (0, "")) for each in wanted}
        for number, each in enumerate(sorted(self._listed, key=lambda each: self._listed[each][0])):
            if number and stopwatch_s() > until_s:
                break
            try:
                await self.list_one(view, each)
            except (
                FleetError
            ):  # what its filter names may have gone with a type's version: it stays as it was
                self._listed[each] = view.as_of_us, self._listed[each][1]

    def _written(self, view: View, query: DeviceQuery) -> str:
        fleet = self._context.fleet
        page = list_devices(view, fleet.types, query, self._context.ranks)
        found = [fleet.directory.locate_one(item["id"]) for item in page.items]
        columns = _columns(view, [Place(*each) for each in found if each is not None])
        return _text({"as_of": as_of(view), "total": page.total, **columns})


class Hub:
    """Follows every host and fills the outboxes. All of it runs on one event loop.

    Parameters
    ----------
    context : the fleet, the live table and how often to tell
    journals : where events come from
    """

    def __init__(self, context: Context, journals: Journals) -> None:
        self._context = context
        self._journals = journals
        self._clients: set[Client] = set()
        self._at: dict[int, Reached] = {}
        self._recent: deque[Message] = deque(maxlen=REPLAYED)
        self._recent_from: dict[int, int] = {}  # host → everything after this cursor is in ``_recent``
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._complaints: dict[int, str] = {}
        self._shown: dict[
            frozenset[str] | None, tuple[View, str]
        ] = {}  # by sites: what was shown last, and its summary
        self._pages = Pages(context, context.config.update_every_s / 2)

    @property
    def cursor(self) -> str:
        """How far the journals have been read."""
        return stream_cursor(self._at)

    # -- sockets ----------------------------------------------------------------------------------

    def join(self, client: Client) -> None:
        """Begin to fill a client's outbox."""
        self._clients.add(client)
        self._follow_new(self._context.live.view)
        self._context.metrics.sockets.set(len(self._clients))

    def leave(self, client: Client) -> None:
        """Stop."""
        self._clients.discard(client)
        self._context.metrics.sockets.set(len(self._clients))

    def subscribe(
        self,
        client: Client,
        topics: Sequence[str],
        devices: Sequence[str],
        cursor: str | None,
        page: DeviceQuery | None = None,
    ) -> None:
        """What a client wants from now on; with a cursor, alerts since then first.

        Raises
        ------
        CursorError : if the cursor was not given out by a stream.
        """
        vector = read_stream_cursor(cursor) if cursor is not None else None
        client.topics = frozenset(topics)
        client.page = page if "page" in client.topics else None
        if vector is not None and "alerts" in client.topics:
            self._replay(client, vector)
        self.watch(client, devices)

    def watch(self, client: Client, devices: Sequence[str]) -> None:
        """Show a client these devices, as far as they are known here."""
        client.watched = self._places(devices)  # those of other sites are left out where they would be shown
        self._tell_state(client, self._context.live.view)

    async def list_page(self, client: Client, page: DeviceQuery) -> None:
        """List a page for the first time.

        Raises
        ------
        FilterError, SortError : with what to write instead.
        """
        await self._pages.list_one(self._context.live.view, (client.sites, page))

    def _replay(self, client: Client, vector: Mapping[int, Reached]) -> None:
        read = {host: vector[host].cursor if host in vector else 0 for host in self._at}
        if any(at > self._at[host].cursor for host, at in read.items()):
            self._miss(client, 1)  # its journal is not this one: all it can do is to start again
            return
        self._miss(client, sum(max(0, self._recent_from[host] - at) for host, at in read.items()))
        for message in self._recent:
            if message.cursor > read[message.host] and client.sees(message.site):
                self._put(client, message)

    def _places(self, devices: Sequence[str]) -> dict[str, Place]:
        places = {}
        for device_id in devices[: self._context.config.watched]:
            found = self._context.fleet.directory.locate_one(device_id)
            if found is not None:
                places[device_id] = Place(*found)
        return places

    def _miss(self, client: Client, number: int) -> None:
        """Tell a client of a gap. How many entries it is long is told who may know of them all."""
        if number:
            client.missed = client.missed + number if client.sites is None else max(1, client.missed)
            client.wake.set()

    def _put(self, client: Client, message: Message) -> None:
        if len(client.outbox) >= OUTBOX:
            client.missed += len(client.outbox)
            self._context.metrics.skipped.labels("alert").inc(len(client.outbox))
            client.outbox.clear()
        client.outbox.append(message)
        client.wake.set()

    # -- the state of the fleet -------------------------------------------------------------------

    def attend(self) -> None:
        """Follow the journals from now on: a link wants to know of what is asked of its devices."""
        self._follow_new(self._context.live.view)

    async def show(self, view: View) -> None:
        """Tell everyone the state of the fleet in a new view, and follow hosts that are new in it."""
        if self._clients or self._followers:
            self._follow_new(view)
        if self._clients:
            shown = {}
            for sites in {client.sites for client in self._clients}:
                shown[sites] = await self._context.ask(self._summed_up, view, sites)
            self._shown = shown
            pages = [(client.sites, client.page) for client in self._clients if client.page is not None]
            await self._pages.list_again(view, pages)
            for client in list(self._clients):
                self._tell_state(client, view)
            await self._tell_jobs([client for client in self._clients if "jobs" in client.topics])

    async def _tell_jobs(self, clients: Sequence[Client]) -> None:
        """Tell who wants to know how far each job is of which something is new to them."""
        if not clients:
            return
        try:
            jobs = await self._context.call(self._context.jobs.list)
        except FleetError:  # what runs them is away; they are told when it is back
            return
        for client in clients:
            mine = [job for job in jobs if client.sites is None or job.by == client.name]
            news = [job for job in mine if client.versions.get(job.id, -1) < job.version]
            client.versions = {job.id: job.version for job in mine}
            client.jobs.update({job.id: _text(job_item(job)) for job in news})
            if news:
                client.wake.set()

    def _follow_new(self, view: View) -> None:
        """Follow the hosts of a view from where it is. A replica that nobody listens to reads no journal."""
        for host, reached in view.vector.items():
            if host not in self._followers:
                self._at[host] = reached
                self._recent_from[host] = reached.cursor
                self._followers[host] = asyncio.create_task(self._follow(host))

    def _summed_up(self, view: View, sites: frozenset[str] | None) -> tuple[View, str]:
        part = view if sites is None else view.within(sites)
        summary = {"as_of": as_of(part), **self._context.overview.summary(part)}
        return part, _text(summary)

    def _tell_state(self, client: Client, view: View) -> None:
        shown = self._shown.get(client.sites)
        if not client.topics & {"fleet", "devices", "page"} or shown is None:
            return
        part, fleet_text = shown
        if client.update is not None:
            self._context.metrics.skipped.labels("update").inc()
        parts = []
        if "fleet" in client.topics:
            parts.append(f'"fleet":{fleet_text}')
        if "devices" in client.topics and client.watched:
            newest = (
                view if client.sites is None else part
            )  # another part would be made here, on the event loop
            parts.append(f'"devices":{_text(_columns(newest, client.watched.values()))}')
        if client.page is not None and (page := self._pages.text((client.sites, client.page))):
            parts.append(f'"page":{page}')
        client.update = f'"type":"data_update","cursor":"{self.cursor}","data":{{{",".join(parts)}}}'
        client.wake.set()

    # -- alerts -----------------------------------------------------------------------------------

    async def _follow(self, host: int) -> None:
        """Read a host's journal for as long as the hub lives, whatever happens."""
        while True:
            try:
                for entry in await self._journals.follow(host, self._at[host].cursor, _PAGE, _WAIT_S):
                    await self._tell_or_skip(host, entry)
            except JournalError as error:
                self._jump(host, error)
                await asyncio.sleep(_RETRY_S)
            except Exception as error:
                self._complain(host, "its journal cannot be followed", error)
                await asyncio.sleep(_RETRY_S)

    async def _tell_or_skip(self, host: int, entry: StoredEntry) -> None:
        """Tell an entry; one that cannot be told is a gap, so that it holds up none that follow.

        Raises
        ------
        DegradedError, OverloadedError : it is no fault of the entry; the same one is to be told later.
        """
        try:
            await self._tell(host, entry)
            self._complaints.pop(host, None)
        except (DegradedError, OverloadedError):
            raise
        except Exception as error:
            self._complain(host, f"entry {entry.cursor} cannot be told", error)
            self._at[host] = Reached(entry.epoch, entry.cursor)
            self._context.switchboard.heard_all()
            self._missed(host, 1)

    def _complain(self, host: int, what: str, error: Exception) -> None:
        """Log what is wrong, once until it is something else or over."""
        reason = f"{type(error).__name__}: {error}"
        if self._complaints.get(host) != reason:
            self._complaints[host] = reason
            _log.warning("host %d: %s: %s", host, what, reason, exc_info=not isinstance(error, FleetError))

    def _jump(self, host: int, error: JournalError) -> None:
        """Entries are gone: go on where the live table is."""
        view = self._context.live.view
        target = view.vector.get(host, self._at[host])
        missed = max(1, target.cursor - self._at[host].cursor)
        _log.warning("host %d: %s; going on %d entries later", host, error, missed)
        self._at[host] = target
        self._context.switchboard.heard_all()
        self._missed(host, missed)

    def _tell_links(self, host: int, entry: StoredEntry, told_of: Mapping[str, EventBatch]) -> None:
        """Have links look at devices of which something is asked, or no longer."""
        switchboard, view = self._context.switchboard, self._context.live.view
        for name, batch in told_of.items():
            kinds = batch.records["kind"]
            rows = batch.records["row"][(kinds >= _FIRST_ASKED) & (kinds <= _LAST_ASKED)]
            for row in np.unique(rows).tolist():
                place = Place(host, name, row)
                if view.has(place):
                    switchboard.heard(view.device_id(place))
                elif entry.kind == EntryKind.COMMAND and (
                    about := entries.decode_command(entry.payload)[1].get("device_id")
                ):
                    switchboard.heard(about)
                else:
                    switchboard.heard_all()

    def _missed(self, host: int, entries_missed: int) -> None:
        self._recent_from[host] = self._at[host].cursor
        for client in self._clients:
            if "alerts" in client.topics:
                self._miss(client, entries_missed)

    async def _tell(self, host: int, entry: StoredEntry) -> None:
        """Make messages of the alert events in an entry."""
        told: list[tuple[str, Event]] = []
        left_out = 0
        if entry.events:
            told_of = entries.decode_events(entry.events)
            if any((batch.records["kind"] == Kind.TYPE_INSTALLED).any() for batch in told_of.values()):
                await self._context.call(self._context.fleet.learn_types, host)
            if self._context.switchboard.is_used:
                self._tell_links(host, entry, told_of)
            for name, batch in told_of.items():
                alerts = batch.where((batch.records["kind"] >= _FIRST_ALERT) & batch.news())
                shown = self._named(name, alerts)
                shown = EventBatch(shown.records[:_TOLD_AT_ONCE], shown.notes)
                events = await self._decoded(host, name, shown, entry) if len(shown) else []
                told += [(name, event) for event in events]
                left_out += len(alerts) - len(events)
        items = await self._items(host, told) if told else []
        before = self.cursor if items else ""
        self._at[host] = Reached(entry.epoch, entry.cursor)
        for number, (kind, item) in enumerate(items, 1):
            # whoever breaks off between two alerts of an entry is told the whole entry again
            after = before if number < len(items) else self.cursor
            body = f'"type":"{kind}","data":{_text(item)}'
            message = Message(host, entry.cursor, item["site"], after, body)
            if len(self._recent) == REPLAYED:
                oldest = self._recent[0]
                self._recent_from[oldest.host] = oldest.cursor
            self._recent.append(message)
            for client in self._clients:
                if "alerts" in client.topics and client.sees(message.site):
                    self._put(client, message)
        if left_out:
            self._missed(host, left_out)

    def _named(self, name: str, batch: EventBatch) -> EventBatch:
        """Those whose rule has a name here: the type may have lost it since, or got it but a moment ago."""
        device_type = self._context.fleet.types.get(name)
        rules = 0 if device_type is None else len(device_type.rules)
        slots = batch.records["slot"].tolist()
        said = ["rule" in batch.notes.get(i, {}) for i in range(len(slots))]
        named = [0 <= slot < rules or (slot < 0 and note) for slot, note in zip(slots, said, strict=True)]
        return batch.where(np.array(named, np.bool_))

    async def _decoded(self, host: int, name: str, batch: EventBatch, entry: StoredEntry) -> list[Event]:
        """Events with ids and names; waits for the live table where a device is newer than that."""
        newest = Place(host, name, int(batch.records["row"].max()))
        view = self._context.live.view
        for _ in range(_LOOKS):
            if view.has(newest):
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
            view = await self._context.call(self._context.live.refresh)
        device_type = self._context.fleet.types.get(name)
        if device_type is None or not view.has(newest):
            return []
        return list(
            decode(
                batch,
                device_id=lambda row: view.device_id(Place(host, name, row)),
                rules=[rule.name for rule in device_type.rules],
                channels=device_type.channel_names,
                recorded_us=entry.now_us,
                cursor=entry.cursor,
            )
        )

    async def _items(self, host: int, told: Sequence[tuple[str, Event]]) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of the messages for these events.

        What a raised alert looks like is known from the event; of one that changed the shard is asked, unless
        that would be too many at once: then its state is null.
        """
        changed = list(dict.fromkeys(e.device_id for _, e in told if e.type != "alert.raised"))[
            :_ASKED_AT_ONCE
        ]
        standing = await self._context.call(_standing, self._context.fleet, changed)
        view, fleet = self._context.live.view, self._context.fleet
        items = []
        for name, event in told:
            device_type = fleet.types[name]
            rule, occurrence = event.detail["rule"], event.detail["occurrence"]
            line = standing.get((event.device_id, rule, occurrence))
            if line is None:
                asked = event.device_id in changed
                line = _bare(event, name, self._site(view, event.device_id), asked)
            item = alert_item(line, device_type, self._context.rules)
            facts = self._context.rules.find(device_type, rule)
            item["title"], item["priority"] = facts.title, facts.priority
            if event.type == "alert.raised":
                items.append(("NEW_ALERT", item))
                continue
            item["event"] = {
                "type": event.type,
                "at": iso(event.at_us),
                "recorded_at": iso(event.recorded_us),
                "detail": dict(event.detail),
            }
            items.append(("ALERT_CHANGED", item))
        return items

    def _site(self, view: View, device_id: str) -> str:
        found = self._context.fleet.directory.locate_one(device_id)
        if found is None or not view.has(Place(*found)):
            return ""
        site: str = view.fetch([Place(*found)], ["site"])[0]["site"]
        return site

    async def close(self) -> None:
        """Stop following."""
        for task in self._followers.values():
            task.cancel()
        for task in self._followers.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _standing(fleet: Fleet, device_ids: Sequence[str]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The alerts of these devices as their shards have them now."""
    lines = [line for device_id in device_ids for line in fleet.read_twin(device_id)["alerts"]]
    return {(line["device_id"], line["rule"], line["occurrence"]): line for line in lines}


def _bare(event: Event, device_type: str, site: str, asked: bool) -> dict[str, Any]:
    """What the event itself says of its alert. One that its shard no longer has is back to normal."""
    raised = event.type == "alert.raised"
    return {
        "device_id": event.device_id,
        "device_type": device_type,
        "site": site,
        "rule": event.detail["rule"],
        "title": "",
        "priority": "low",
        "state": "UNACK" if raised else "NORMAL" if asked else None,
        "active": raised,
        "occurrence": event.detail["occurrence"],
        "since": event.at_us if raised else None,
        "value": event.detail.get("value"),
        "limit": event.detail.get("limit"),
        "assignee": "",
        "acknowledged_by": "",
        "shelved_until": None,
        "comments": 0,
    }


def _text(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _columns(view: View, places: Iterable[Place]) -> dict[str, Any]:
    """Devices as columns; a channel that a device does not have is null there."""
    shown = [place for place in places if view.has(place)]
    lines = view.fetch(shown)
    types = {place.device_type for place in shown}
    channels = sorted({name for each in types for name in view.channels(each)})
    return {
        "id": [line["device_id"] for line in lines],
        "status": [line["status"] for line in lines],
        "health": [short(line["health"]) for line in lines],
        "anomaly_score": [short(line["anomaly_score"]) for line in lines],
        "alerts": [line["alerts"] for line in lines],
        "event_time": [line["event_time"] and round(line["event_time"].timestamp() * 1e3) for line in lines],
        "values": {name: [known(line.get(name)) for line in lines] for name in channels},
    }
