"""What happened to all devices: events as history keeps them, chosen and in pages, the newest first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from serve.keyset import Key, Keyset
from serve.lists import Page, any_of, devices_matching
from serve.live import View
from serve.present import Rules, iso
from training.history import History
from twins.devices import DeviceType
from twins.events import KINDS

EVENT_TYPES: Final = tuple(spec.type for spec in KINDS.values())
FAMILIES: Final = tuple(sorted({name.partition(".")[0] for name in EVENT_TYPES}))
"""What event types begin with: `alert` stands for `alert.raised` and all its like."""

_KEYS: Final = (
    Key("recorded_us", int, descending=True), Key("actor", str), Key("cursor", int, descending=True),
    Key("number", int, descending=True),
)  # fmt: skip
_TOLD: Final = """
    WITH told AS (
        SELECT e.type, e.device_id, e.device_type, epoch_us(e.event_time) AS at_us,
               epoch_us(e.recorded_at) AS recorded_us, e.detail, e.actor, e.cursor, e.number,
               json_extract_string(e.detail, '/rule') AS rule, k.priority AS priority, k.title AS title
        FROM events e LEFT JOIN rules_known k
          ON k.device_type = e.device_type AND k.rule = json_extract_string(e.detail, '/rule')
        WHERE e.device_id IS NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events to list; an empty tuple leaves that side open.

    Attributes
    ----------
    filter : of devices, as in their list
    kinds : event types or their families
    priorities : of the rule that an event is about, as the type in force has it
    """

    filter: str = ""
    kinds: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    start_us: int | None = None
    end_us: int | None = None
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None


def list_events(
    history: History, types: Mapping[str, DeviceType], rules: Rules, view: View, query: EventQuery
) -> Page:
    """One page of events, by when they were recorded.

    Parameters
    ----------
    rules : what the rules of ``types`` say of their alerts
    view : the devices that the filter is about

    Raises
    ------
    FilterError, CursorError : with what to write instead.
    """
    condition, parameters, devices = _chosen(types, view, query)
    binding = repr(
        (
            "events", query.filter, query.kinds, query.devices, query.rules, query.priorities, query.start_us,
            query.end_us,
        )
    )  # fmt: skip
    keyset = Keyset(binding, _KEYS, query.limit, query.after, query.before, query.offset)
    further, where = keyset.beyond()
    sql = (
        f"{_TOLD}, matching AS MATERIALIZED (SELECT * FROM told WHERE {condition}),"
        f" page AS (SELECT * FROM matching WHERE {further} {keyset.tail()})"
        " SELECT p.*, c.total FROM (SELECT count(*) AS total FROM matching) c LEFT JOIN page p ON TRUE"
        f" {keyset.order()}"
    )
    beside = {"rules_known": _rules(types)}
    try:
        lines = history.query(sql, [*parameters, *where], beside, devices).to_pylist()
    except duckdb.CatalogException:  # nothing has happened yet
        lines = []
    shown, following, previous = keyset.cut([line for line in lines if line["device_id"] is not None])
    total = lines[0]["total"] if lines else 0
    return Page([_item(line, types, rules) for line in shown], total, view.as_of_us, following, previous)


def count_events(
    history: History, types: Mapping[str, DeviceType], view: View, query: EventQuery
) -> list[dict[str, Any]]:
    """How many events of each type there are, of how many devices, and when the last was recorded; most first.

    Raises
    ------
    FilterError : with what to write instead.
    """
    condition, parameters, devices = _chosen(types, view, query)
    sql = (
        f"{_TOLD} SELECT type, count(*) AS events, count(DISTINCT device_id) AS devices,"
        f" max(recorded_us) AS last_us FROM told WHERE {condition} GROUP BY type ORDER BY events DESC, type"
    )
    try:
        lines = history.query(sql, parameters, {"rules_known": _rules(types)}, devices).to_pylist()
    except duckdb.CatalogException:  # nothing has happened yet
        return []
    return [
        {
            "type": line["type"],
            "events": line["events"],
            "devices": line["devices"],
            "last_at": iso(line["last_us"]),
        }
        for line in lines
    ]


def _chosen(
    types: Mapping[str, DeviceType], view: View, query: EventQuery
) -> tuple[str, list[Any], pa.Array | None]:
    """What an event must be, as SQL over ``told`` with its parameters, and of which devices; None: of all."""
    condition, parameters = _condition(query)
    devices = devices_matching(view, types, query.filter) if query.filter.strip() else None
    return condition, parameters, devices


def _condition(query: EventQuery) -> tuple[str, list[Any]]:
    """What an event must be, as SQL over ``told``."""
    kinds = [
        name for name in EVENT_TYPES if name in query.kinds or name.partition(".")[0] in query.kinds
    ]  # fmt: skip
    text, parameters = any_of(
        {"type": kinds, "device_id": query.devices, "rule": query.rules, "priority": query.priorities}
    )
    if query.start_us is not None:
        text, parameters = f"{text} AND recorded_us >= ?", [*parameters, query.start_us]
    if query.end_us is not None:
        text, parameters = f"{text} AND recorded_us < ?", [*parameters, query.end_us]
    return text, parameters


def _rules(types: Mapping[str, DeviceType]) -> pa.Table:
    lines = [
        {
            "device_type": name,
            "rule": rule.name,
            "title": rule.title or rule.name,
            "priority": rule.priority,
        }
        for name, each in types.items()
        for rule in each.rules
    ]
    columns = ("device_type", "rule", "title", "priority")
    return pa.Table.from_pylist(lines, pa.schema([(column, pa.string()) for column in columns]))


def _item(line: Mapping[str, Any], types: Mapping[str, DeviceType], rules: Rules) -> dict[str, Any]:
    is_known = line["title"] is not None
    return {
        "id": f"{line['actor']}.{line['cursor']}.{line['number']}",
        "type": line["type"],
        "device_id": line["device_id"],
        "device_type": line["device_type"],
        "at": iso(line["at_us"]),
        "recorded_at": iso(line["recorded_us"]),
        "rule": line["rule"],
        "title": line["title"],
        "priority": line["priority"],
        "unit": rules.find(types[line["device_type"]], line["rule"]).unit if is_known else None,
        "detail": json.loads(line["detail"]),
    }
