"""Readings summed up by the minute, the hour and the day: count, sum, sum of squares, least, greatest, first,
last.

A rollup table holds partial sums that add up: each run appends those of the readings that arrived since the
last one, with the cursors it got to, so every reading counts once, late ones too, and nothing has to be
computed again. Readings that are gone by retention stay counted. Looking at a table merges its parts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from training import parquet_files
from training.parquet_files import SqlFiles
from training.tables import READINGS, ROLLUP, ROLLUPS, Table, channels_of, sql_name
from twins.clock import DAY_US, HOUR_US, MINUTE_US

SCHEMA: Final = ROLLUPS

SPANS: Final[Mapping[str, int]] = {"1m": MINUTE_US, "1h": HOUR_US, "1d": DAY_US}
"""Width of a bucket, µs, by its name in the table's: ``rollup_1h_centrifugal_pump``."""

_MERGED: Final = """
SELECT device_id, channel, event_time, sum(count)::BIGINT AS count, sum(sum) AS sum, sum(sum_of_squares) AS
sum_of_squares,
    min(min) AS min, max(max) AS max, arg_min(first, first_at) AS first, arg_max(last, last_at) AS last,
    min(first_at) AS first_at, max(last_at) AS last_at
"""


def table_name(span: str, device_type: str) -> str:
    """The rollup table of a type, by either form of the type's name."""
    return f"{ROLLUP}{span}_{sql_name(device_type)}"


def coarsest(width_us: int) -> str | None:
    """The widest span that still gives a bucket of its own to every ``width_us``; None: readings
    themselves.
    """
    return max((span for span in SPANS if SPANS[span] <= width_us), key=SPANS.__getitem__, default=None)


def merging(rows: str) -> str:
    """SQL that merges the parts selected by the SQL ``rows``."""
    return f"{_MERGED} FROM ({rows}) GROUP BY device_id, channel, event_time"


def roll_up(folder: Path, readings: str, actors: Sequence[str]) -> None:
    """Sum up what came into a readings table of the history in ``folder`` since the last time, for every
    span.
    """
    source = Table(folder / readings)
    version = source.version(actors)
    done: list[tuple[dict[str, int], pa.Table]] = []
    for span, width_us in SPANS.items():
        table = Table(folder / table_name(span, readings.removeprefix(READINGS)))
        table.create(SCHEMA)
        before = {actor: table.cursor(actor) for actor in actors}
        after = {actor: cursor for actor, cursor in version.cursors.items() if cursor > before[actor]}
        if not after:
            continue
        with parquet_files.connected(folder) as connection:
            if done and done[-1][0] == before:
                connection.register("finer", done[-1][1])
                bucket = f"time_bucket(INTERVAL '{width_us} microseconds', event_time)"
                sql = merging(f"SELECT * REPLACE ({bucket} AS event_time) FROM finer")
            else:
                paths = [
                    file.path
                    for file in version.files
                    if file.greatest["cursor"] > min(before[a] for a in after)
                ]
                if not paths:
                    continue
                channels = channels_of(version.schema)
                needed = ["device_id", "event_time", "actor", "cursor", *channels]
                stored = SqlFiles().sql(connection, "sealed", paths, needed)
                sql = _summing(stored, channels, width_us, before, after)
            sql += " ORDER BY device_id, channel, event_time"
            rows = connection.sql(sql).to_arrow_table().cast(SCHEMA)
        adds = [table.write(rows)] if rows.num_rows else []
        table.commit(adds, before=before, after=after)
        done.append((before, rows))


def _summing(
    stored: str,
    channels: Sequence[str],
    width_us: int,
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> str:
    """SQL that sums up those of the ``stored`` readings that are of the entries between ``before`` and ``after``."""
    columns = ", ".join(f'"{channel}"' for channel in channels)
    new = " OR ".join(
        f"(actor = '{actor}' AND cursor > {before[actor]} AND cursor <= {cursor})"
        for actor, cursor in after.items()
    )
    bucket = f"time_bucket(INTERVAL '{width_us} microseconds', t)"
    return f"""
WITH new AS (SELECT device_id, event_time AS t, {columns} FROM {stored} WHERE {new})
SELECT device_id, channel, {bucket} AS event_time, count(*) AS count, sum(value::DOUBLE) AS sum,
    sum(value::DOUBLE * value::DOUBLE) AS sum_of_squares, min(value)::DOUBLE AS min, max(value)::DOUBLE AS
    max, arg_min(value, t)::DOUBLE AS first, arg_max(value, t)::DOUBLE AS last,
    min(t) AS first_at, max(t) AS last_at
FROM (UNPIVOT new ON {columns} INTO NAME channel VALUE value) GROUP BY ALL"""
