"""How the twins were over time: health, anomaly and patterns, kept where they change and at most each minute.

What a shard makes of readings is not in its journal, so it is observed: whoever follows the live tables hands
them over now and then. A line is kept when it differs from the device's last kept one by more than
``Resolution`` says.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.tables import CONDITION, TIMESTAMP, Table
from twins.clock import MINUTE_US


@dataclass(frozen=True, slots=True)
class Resolution:
    """Changes smaller than these are not kept; nor is more than one line of a device in
    ``at_most_every_us``.
    """

    health: float = 0.5
    anomaly_score: float = 0.05
    at_most_every_us: int = MINUTE_US


@dataclass(slots=True)
class _Kept:
    """The last line kept of each device of a shard, by row."""

    at_us: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    health: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    anomaly_score: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    signs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def grow(self, rows: int) -> None:
        more = rows - len(self.at_us)
        if more > 0:
            self.at_us = np.concatenate([self.at_us, np.full(more, np.iinfo(np.int64).min // 2)])
            self.health = np.concatenate([self.health, np.full(more, np.inf)])
            self.anomaly_score = np.concatenate([self.anomaly_score, np.full(more, np.inf)])
            self.signs = np.concatenate([self.signs, np.full(more, -1)])


class ConditionLog:
    """Writes the ``condition`` table. What was observed and not committed is lost with the process, and
    observed again.
    """

    def __init__(self, folder: str | Path, resolution: Resolution | None = None) -> None:
        self._resolution = resolution or Resolution()
        self._table = Table(Path(folder) / "condition")
        self._table.create(CONDITION)
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._pending: list[pa.Table] = []
        self._before: dict[str, int] = {}
        self._after: dict[str, int] = {}

    def observe(self, actor: str, cursor: int, recorded_us: int, device_type: str, live: pa.Table) -> int:
        """Look at the live table of a shard as of entry ``cursor``. Returns the number of lines that are
        kept.

        ``live`` has a line a row of the shard, with the columns of ``twins.views.live``. One that is not
        newer than what was committed last is passed over. Devices without a single reading are left out,
        and those whose past is being imported.
        """
        if actor not in self._before:
            self._before[actor] = self._table.cursor(actor)
        if cursor <= self._before[actor]:
            return 0
        self._after[actor] = max(cursor, self._after.get(actor, 0))
        kept = self._kept.setdefault((actor, device_type), _Kept())
        kept.grow(live.num_rows)
        health = _numbers(live["health"])
        score = _numbers(live["anomaly_score"])
        signs = live["patterns"].to_numpy().astype(np.int64) * 2 + live["anomalous"].to_numpy()
        rows = len(health)
        changed = _moved(health, kept.health[:rows], self._resolution.health)
        changed |= _moved(score, kept.anomaly_score[:rows], self._resolution.anomaly_score)
        changed |= signs != kept.signs[:rows]
        changed &= recorded_us - kept.at_us[:rows] >= self._resolution.at_most_every_us
        changed &= live["event_time"].is_valid().to_numpy()
        changed &= pc.not_equal(
            live["status"], "importing"
        ).to_numpy()  # how it was then is not how it is now
        chosen = np.flatnonzero(changed)
        if len(chosen):
            kept.at_us[chosen] = recorded_us
            kept.health[chosen], kept.anomaly_score[chosen] = health[chosen], score[chosen]
            kept.signs[chosen] = signs[chosen]
            self._pending.append(_lines(live.take(pa.array(chosen)), actor, cursor, recorded_us, device_type))
        return len(chosen)

    def commit(self) -> None:
        """Make what was observed part of history."""
        after = {actor: cursor for actor, cursor in self._after.items() if cursor > self._before[actor]}
        if not after:
            return
        rows = pa.concat_tables(self._pending) if self._pending else CONDITION.empty_table()
        self._pending = []
        adds = [self._table.write(rows.sort_by([("device_id", "ascending")]))] if rows.num_rows else []
        before = {actor: self._before[actor] for actor in after}
        self._before = {}
        self._table.commit(adds, before=before, after=after)
        self._after = {}


def _moved(now: NDArray[np.float64], last: NDArray[np.float64], resolution: float) -> NDArray[np.bool_]:
    """Further away than the resolution; known where it was not, or the other way round."""
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(now - last) >= resolution) | (np.isnan(now) != np.isnan(last)))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """As float64; NaN where it is not known."""
    return np.asarray(column.to_numpy(), np.float64)


def _lines(live: pa.Table, actor: str, cursor: int, recorded_us: int, device_type: str) -> pa.Table:
    n = live.num_rows
    columns = {
        "device_id": live["device_id"],
        "device_type": pa.repeat(device_type, n),
        "event_time": live["event_time"],
        "recorded_at": pa.repeat(pa.scalar(recorded_us, TIMESTAMP), n),
        "health": live["health"],
        "observed": live["observed"],
        "anomaly_score": live["anomaly_score"],
        "anomalous": live["anomalous"],
        "patterns": live["patterns"],
        "life_cycle": live["life_cycle"],
        "actor": pa.repeat(actor, n),
        "cursor": pa.repeat(pa.scalar(cursor, pa.int64()), n),
    }
    return pa.table(columns).cast(CONDITION)
