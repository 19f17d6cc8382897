"""What a fleet may ask of a host, each change durable before it is answered. The same calls in a process and in an actor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles, views
from twins.devices import DeviceType
from twins.events import EventBatch
from twins.host import HostStatus, ShardHost
from twins.journal import StoredEntry
from twins.kernels import LineResults
from twins.readings import Fate, ShardBatch

LINES_AT_ONCE: Final = 50_000
"""Lines of a batch that a host takes between two chances for others to be heard."""

_UNSAID: Final = np.uint8(255)


@dataclass(frozen=True, slots=True, eq=False)
class HostReply:
    """What a host answers once its part is durable."""

    cursor: int
    counts: NDArray[np.int64]  # (6,) lines by Fate
    results: LineResults | None
    events: Sequence[tuple[str, EventBatch]]
    parents: Sequence[tuple[str, int]]  # devices with children whose state changed: id, flags


@dataclass(frozen=True, slots=True, eq=False)
class ShardMembers:
    """Who lives in a shard: the type's document, the ids by row, the parents that were named."""

    document: dict[str, Any]
    ids: pa.StringArray
    parents: list[str]
    is_dedicated: bool


class HostService:
    """What a fleet may ask of a host: the host's calls, each made durable before it answers."""

    def __init__(self, host: ShardHost) -> None:
        self.host = host
        self._shown: dict[
            str, NDArray[np.uint8]
        ] = {}  # by type and row: the flags that children were to have

    def write(self, device_type: str, batch: ShardBatch, now_us: int, trace: bool) -> HostReply:
        """Take readings in, a bounded piece at a time."""
        pieces = [
            self.write_piece(device_type, batch.take(start, start + LINES_AT_ONCE), now_us, trace)
            for start in range(0, len(batch), LINES_AT_ONCE)
        ]
        return joined(pieces, self.host.cursor)

    def check_shape(self, device_type: str, batch: ShardBatch) -> None:
        """Refuse readings of another shape than the type has, before they wait together with others."""
        self.host.shard(device_type).check_shape(batch)

    def write_piece(self, device_type: str, batch: ShardBatch, now_us: int, trace: bool) -> HostReply:
        """Take a piece of a batch in, in one commit."""
        results, events = self.host.stage_readings(device_type, batch, now_us)
        self.host.commit()
        return HostReply(
            cursor=self.host.cursor,
            counts=np.bincount(results.fate, minlength=len(Fate)),
            results=results if trace else None,
            events=[(device_type, events)] if trace and len(events) else [],
            parents=self._news_for_children(device_type, batch.rows),
        )

    def command(self, command: c.Command, now_us: int) -> HostReply:
        self.host.stage_command(command, now_us)
        reply = self._committed()
        if isinstance(command, c.MarkParents):  # children that are new to them want to know how they are now
            states = [
                pair for name in self.host.shards for pair in self._states(name, ids=command.device_ids)
            ]
            return replace(reply, parents=states)
        return reply

    def register(self, command: c.RegisterDevices, now_us: int) -> int:
        """Register devices; gives the row of the first."""
        self.command(command, now_us)
        return self.host.shard(command.device_type).row_of(command.devices[0].id)

    def tick(self, now_us: int) -> HostReply:
        self.host.stage_tick(now_us)
        return self._committed()

    def membership(self) -> list[ShardMembers]:
        """Who lives here, by type."""
        return [
            ShardMembers(
                typefiles.to_document(shard.device_type),
                shard.roster.index.ids(),
                shard.roster.parents(),
                shard.roster.is_dedicated,
            )
            for shard in self.host.shards.values()
        ]

    def types(self) -> list[dict[str, Any]]:
        """The documents of the types in force."""
        return [typefiles.to_document(shard.device_type) for shard in self.host.shards.values()]

    def check_install(self, device_type: DeviceType) -> None:
        """Refuse what an installation would refuse."""
        shard = self.host.shards.get(device_type.name)
        if shard is not None:
            shard.check_install(device_type)

    def read_twin(self, device_type: str, row: int) -> dict[str, Any]:
        return views.twin(self.host.shard(device_type), row)

    def live(self, device_type: str) -> pa.Table | None:
        shard = self.host.shards.get(device_type)
        return None if shard is None else views.live(shard)

    def alerts(self) -> pa.Table:
        tables = [views.standing_alerts(shard) for shard in self.host.shards.values()]
        return pa.concat_tables(tables) if tables else views.ALERTS.empty_table()

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self.host.read_after(cursor, limit)

    def status(self) -> HostStatus:
        return self.host.status()

    def parents_now(self) -> list[tuple[str, int]]:
        """The state of every device that has children."""
        return [pair for name in self.host.shards for pair in self._states(name)]

    def _committed(self) -> HostReply:
        commits = self.host.commit()
        events = [(name, each) for commit in commits for name, each in commit.events.items()]
        parents = [pair for name in self.host.shards for pair in self._news_for_children(name)]
        return HostReply(self.host.cursor, np.zeros(len(Fate), np.int64), None, events, parents)

    def _states(self, name: str, ids: Sequence[str] | None = None) -> list[tuple[str, int]]:
        shard = self.host.shards[name]
        rows, flags = shard.parent_states(ids=ids)
        return [
            (shard.roster.index[row], flag) for row, flag in zip(rows.tolist(), flags.tolist(), strict=True)
        ]

    def _news_for_children(
        self, name: str, touched: NDArray[np.int32] | None = None
    ) -> list[tuple[str, int]]:
        """Devices with children, among the rows ``touched`` (None: all), whose state is another than was last said.

        Compared with what was said rather than told by events: what a parent's state hides changes without one.
        """
        shard = self.host.shards[name]
        rows, flags = shard.parent_states(touched)
        shown = self._shown.get(name, np.zeros(0, np.uint8))
        if len(shown) < len(shard):
            shown = np.concatenate([shown, np.full(2 * len(shard) - len(shown), _UNSAID)])
            self._shown[name] = shown
        changed = shown[rows] != flags
        rows, flags = rows[changed], flags[changed]
        shown[rows] = flags
        return [
            (shard.roster.index[row], flag) for row, flag in zip(rows.tolist(), flags.tolist(), strict=True)
        ]


def joined(pieces: Sequence[HostReply], cursor: int) -> HostReply:
    """The reply to a batch from the replies to its pieces, in order."""
    if len(pieces) == 1:
        return pieces[0]
    results = None
    if pieces and pieces[0].results is not None:
        results = LineResults.join([piece.results for piece in pieces if piece.results is not None])
    return HostReply(
        cursor=cursor,
        counts=sum((piece.counts for piece in pieces), np.zeros(len(Fate), np.int64)),
        results=results,
        events=[each for piece in pieces for each in piece.events],
        parents=list({name: flags for piece in pieces for name, flags in piece.parents}.items()),
    )
