"""Numbers out of results: one value of each metric for each replication of an arm, by SQL over the tables of outcomes.

What a metric is, is said once, as SQL; over buckets it gives the whole run, or each stretch of time and group.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa

from twins.devices import PRIORITIES
from twins.whatif.errors import MetricError
from twins.whatif.scenarios import METRICS, Better, Scenario, SqlMetric

_ALERTS: Final = " + ".join(f"alerts_{priority}" for priority in PRIORITIES)

OVER_BUCKETS: Final[Mapping[str, str]] = {
    "failures": "sum(failures)",
    "availability": "1 - sum(downtime_h) / nullif(sum(service_h), 0)",
    "cost": "sum(maintenance_cost + downtime_cost)",
    "maintenance_cost": "sum(maintenance_cost)",
    "downtime_cost": "sum(downtime_cost)",
    "downtime_h": "sum(downtime_h)",
    "planned": "sum(planned)",
    "energy_kwh": "sum(energy_kwh)",
    "health": "sum(health_sum) / nullif(sum(health_steps), 0)",
    "alerts": f"sum({_ALERTS})",
}
"""Metrics that can be told by time and group."""

VALUES: Final = pa.schema(
    [("arm", pa.string()), ("replication", pa.int32()), ("metric", pa.string()), ("value", pa.float64())]
)

COURSES: Final = pa.schema(
    [
        ("arm", pa.string()), ("replication", pa.int32()), ("start_h", pa.float64()), ("group", pa.string()),
        ("metric", pa.string()), ("value", pa.float64()),
    ]
)  # fmt: skip


def better(scenario: Scenario, metric: str) -> Better:
    """Which way a metric of a scenario is better; KeyError for one that it does not have."""
    own = {each.name: each.better for each in scenario.sql_metrics}
    return own[metric] if metric in own else METRICS[metric]


def names(scenario: Scenario) -> tuple[str, ...]:
    """The metrics of a scenario, in their order."""
    return (*scenario.metrics, *(each.name for each in scenario.sql_metrics))


def values(scenario: Scenario, tables: Mapping[str, pa.Table]) -> pa.Table:
    """One line a metric, arm and replication, in the form of ``VALUES``; null where a replication has no value.

    Raises
    ------
    MetricError : the SQL of a metric cannot be run, or does not give arm, replication and value.
    """
    parts = []
    with _opened(tables) as connection:
        for name in scenario.metrics:
            source, sql = _source(name)
            rows = connection.sql(
                f"SELECT arm, replication, $1 AS metric, CAST({sql} AS DOUBLE) AS value "
                f"FROM {source} GROUP BY arm, replication",
                params=[name],
            )
            parts.append(_table(rows))
        parts += [_own(connection, each) for each in scenario.sql_metrics]
    order = [(name, "ascending") for name in ("metric", "arm", "replication")]
    return pa.concat_tables([part.cast(VALUES) for part in parts]).sort_by(order)


def courses(scenario: Scenario, tables: Mapping[str, pa.Table]) -> pa.Table:
    """The metrics that can be told by time, for each stretch of it and each group, in the form of ``COURSES``."""
    parts = []
    with _opened(tables) as connection:
        for name in scenario.metrics:
            if name in OVER_BUCKETS:
                sql = f"CAST({OVER_BUCKETS[name]} AS DOUBLE) AS value"
                rows = connection.sql(
                    f'SELECT arm, replication, start_h, "group", $1 AS metric, {sql} FROM buckets GROUP BY ALL',
                    params=[name],
                )
                parts.append(_table(rows).cast(COURSES))
    order = [(name, "ascending") for name in ("metric", "arm", "replication", "start_h", "group")]
    return pa.concat_tables([COURSES.empty_table(), *parts]).sort_by(order)


def _source(name: str) -> tuple[str, str]:
    return ("buckets", OVER_BUCKETS[name]) if name in OVER_BUCKETS else ("runs", f"any_value({name})")


def _own(connection: duckdb.DuckDBPyConnection, metric: SqlMetric) -> pa.Table:
    try:
        found = _table(connection.sql(metric.sql))
        missing = {"arm", "replication", "value"} - set(found.column_names)
        if missing:
            raise MetricError(metric.name, f"it gives no column {', '.join(sorted(missing))}")
        chosen = found.select(["arm", "replication", "value"])
        named = chosen.add_column(2, "metric", pa.repeat(metric.name, len(chosen)))
        return named.cast(VALUES)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise MetricError(metric.name, str(error).splitlines()[0]) from None


@contextmanager
def _opened(tables: Mapping[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of these tables and nothing else: what is asked of it reaches no file and no network."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection


def _table(found: duckdb.DuckDBPyRelation) -> pa.Table:
    table = found.to_arrow_table()
    assert isinstance(table, pa.Table)
    return table
