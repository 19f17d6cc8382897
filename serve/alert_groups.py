"""Standing alerts by what they have in common, each group with its first-out: the one that was raised first.

In a flood that one is what to look at; what came after it is told as a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from serve.lists import URGENCY, AlertQuery, alert_condition, any_of
from serve.live import View
from twins.devices import PRIORITIES, DeviceType

Grouping = Literal["cause", "rule", "type", "site", "device"]

GROUPINGS: Final[Mapping[Grouping, tuple[str, ...]]] = {
    "cause": ("device_type", "rule", "site"),
    "rule": ("device_type", "rule"),
    "type": ("device_type",),
    "site": ("site",),
    "device": ("device_id",),
}
"""The columns that the alerts of a group share. Rules of two types are two rules, even of one name."""

MOST_GROUPS: Final = 500
"""Groups that are told; all are counted."""

_COUNTS: Final = ", ".join(
    f"count(*) FILTER (WHERE priority = '{name}') AS \"{name}\"" for name in PRIORITIES
)
_WAITING: Final = "count(*) FILTER (WHERE state IN ('UNACK', 'RTN_UNACK', 'LATCHED_UNACK')) AS unacknowledged"
_FIRST: Final = "arg_min(n, (since IS NULL, since, n)) AS first"


@dataclass(frozen=True, slots=True)
class Group:
    """Some alerts, how many they are, and the line of the one that was raised first."""

    first: Mapping[str, Any]
    total: int
    unacknowledged: int
    devices: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups that are told, and how many there are of groups and of alerts."""

    items: Sequence[Group]
    groups: int
    total: int


def group_alerts(view: View, query: AlertQuery, by: Grouping, types: Mapping[str, DeviceType]) -> Groups:
    """The alerts that ``query`` chooses, in groups: the most urgent first, then the largest. Pages do not matter.

    Raises
    ------
    FilterError : with what to write instead.
    """
    text, parameters = alert_condition(query, types)
    wanted, levels = any_of({"priority": query.priorities})
    if view.alerts is None:
        return Groups([], 0, 0)
    sql = (
        f"SELECT {_FIRST}, count(*) AS total, {_WAITING}, count(DISTINCT device_id) AS devices, {_COUNTS},"
        f" min({URGENCY}) AS urgency, count(*) OVER () AS groups, sum(count(*)) OVER () AS everything"
        f" FROM alerts WHERE {text} AND {wanted} GROUP BY {', '.join(GROUPINGS[by])}"
        f" ORDER BY urgency, total DESC, first LIMIT {MOST_GROUPS:d}"
    )
    with view.cursor() as cursor:
        rows = cursor.sql(sql, params=[*parameters, *levels]).to_arrow_table().to_pylist()
    firsts = view.alerts.take(pa.array([row["first"] for row in rows], pa.int64())).to_pylist()
    items = [
        Group(
            first,
            row["total"],
            row["unacknowledged"],
            row["devices"],
            {name: row[name] for name in PRIORITIES},
        )
        for row, first in zip(rows, firsts, strict=True)
    ]
    return Groups(items, rows[0]["groups"], int(rows[0]["everything"])) if rows else Groups([], 0, 0)
