"""Maintenance as it was recorded: what was done to devices or found, read from the events of history.

A record is never changed. What corrects it is an event of its own that restates it; the newest of those is what is shown,
and the record's own page shows them all. What an action costs and how long it takes is said by the type in force.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from serve.errors import MaintenanceNotFoundError, SortError
from serve.keyset import Key, Keyset
from serve.lists import Page, any_of
from serve.live import Place, View
from serve.present import iso
from serve.vocabulary import MAINTENANCE_SORT_KEYS, maintenance_vocabulary
from training.history import History
from twins import filters
from twins.devices import DeviceType
from twins.fleet import Fleet

RECORDS: Final = """
    WITH corrected AS (
        SELECT json_extract_string(detail, '/record') AS record, count(*) AS corrections,
               last(detail ORDER BY recorded_at, cursor, number) AS detail,
               last(epoch_us(recorded_at) ORDER BY recorded_at, cursor, number) AS corrected_us
        FROM events WHERE type = 'maintenance.corrected' GROUP BY record
    ), told AS (
        SELECT printf('%s.%d.%d', actor, cursor, number) AS id, device_id, device_type,
               epoch_us(event_time) AS event_us, epoch_us(recorded_at) AS recorded_us, detail
        FROM events WHERE type = 'maintenance.recorded'
    ), records AS (
        SELECT t.id, t.device_id, t.device_type, t.recorded_us, c.corrected_us, coalesce(c.corrections, 0) AS corrections,
               coalesce(c.detail, t.detail) AS said, c.detail AS correction,
               json_extract_string(said, '/kind') AS kind, json_extract_string(said, '/action') AS action,
               json_extract_string(said, '/failure_mode') AS failure_mode,
               coalesce(json_extract_string(said, '/note'), '') AS note,
               json_extract_string(t.detail, '/by') AS recorded_by,
               CAST(json_extract_string(t.detail, '/life_cycle') AS DOUBLE) AS life_cycle,
               coalesce(json_extract_string(said, '/withdrawn') = 'true', FALSE) AS withdrawn,
               coalesce(CAST(json_extract_string(said, '/done_at_us') AS BIGINT),
                        CAST(json_extract_string(t.detail, '/done_at_us') AS BIGINT), t.event_us) AS done_us
        FROM told t LEFT JOIN corrected c ON c.record = t.id
    )
"""
"""As SQL over events: ``records``, each as it stands after all that corrected it."""

_SHOWN: Final = (
    "id, device_id, device_type, kind, action, failure_mode, done_us, recorded_us, recorded_by, note, life_cycle,"
    " corrections, correction, corrected_us, withdrawn"
)
_CORRECTIONS: Final = """
    SELECT epoch_us(recorded_at) AS recorded_us, detail FROM events
    WHERE type = 'maintenance.corrected' AND json_extract_string(detail, '/record') = $record
    ORDER BY recorded_at, cursor, number LIMIT 1000
"""
_CORRECTED_BY: Final = """
    SELECT 1 FROM events
    WHERE type = 'maintenance.corrected' AND json_extract_string(detail, '/record') = $record
      AND json_extract_string(detail, '/command_id') = $command_id
    LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class MaintenanceQuery:
    """Which records to list; an empty tuple leaves that side open. ``sort``: by when it was done, ``-at``: newest first."""

    filter: str = ""
    devices: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    failure_modes: tuple[str, ...] = ()
    start_us: int | None = None
    end_us: int | None = None
    withdrawn: bool = False
    sort: str = "-at"
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None


def list_maintenance(history: History, fleet: Fleet, view: View, query: MaintenanceQuery) -> Page:
    """One page of records. Those that were withdrawn are left out, unless the query asks for them.

    Parameters
    ----------
    view : where the sites of devices are seen

    Raises
    ------
    FilterError, SortError, CursorError : with what to write instead.
    """
    if query.sort.removeprefix("-") not in MAINTENANCE_SORT_KEYS:
        raise SortError(query.sort, MAINTENANCE_SORT_KEYS)
    condition, parameters = _condition(query, fleet.types)
    binding = repr(
        (
            "maintenance", query.sort, query.filter, query.devices, query.types, query.sites, query.kinds,
            query.failure_modes, query.start_us, query.end_us, query.withdrawn,
        )
    )  # fmt: skip
    descending = query.sort.startswith("-")
    keys = (Key("done_us", int, descending), Key("id", str, descending))
    keyset = Keyset(binding, keys, query.limit, query.after, query.before, query.offset)
    further, where = keyset.beyond()
    by_site = "site" in condition
    source = "records JOIN devices_shown USING (device_id)" if by_site else "records"
    sql = (
        f"{RECORDS}, matching AS MATERIALIZED (SELECT {_SHOWN} FROM {source} WHERE {condition}),"
        f" page AS (SELECT * FROM matching WHERE {further} {keyset.tail()})"
        " SELECT p.*, c.total FROM (SELECT count(*) AS total FROM matching) c LEFT JOIN page p ON TRUE"
        f" {keyset.order()}"
    )
    beside = {"devices_shown": _sites(view)} if by_site else {}
    lines = _asked(history, sql, [*parameters, *where], beside)
    shown, following, previous = keyset.cut([line for line in lines if line["id"] is not None])
    total = lines[0]["total"] if lines else 0
    return Page(_items(shown, fleet, view), total, view.as_of_us, following, previous)


def read_maintenance(history: History, fleet: Fleet, view: View, record: str) -> dict[str, Any]:
    """One record, with all that corrected it, the oldest first.

    Raises
    ------
    MaintenanceNotFoundError : there is no such record.
    """
    found = _asked(history, f"{RECORDS} SELECT {_SHOWN} FROM records WHERE id = ?", [record], {})
    if not found:
        raise MaintenanceNotFoundError(record)
    (item,) = _items(found, fleet, view)
    rows = history.query(_CORRECTIONS, {"record": record}).to_pylist()
    return {**item, "history": [_correction(row["detail"], row["recorded_us"]) for row in rows]}


def was_corrected_by(history: History, record: str, command_id: str) -> bool:
    """Whether a command has corrected the record already: then it is asked again, as its answer was lost."""
    found = history.query(_CORRECTED_BY, {"record": record, "command_id": command_id})
    return bool(found.num_rows)


def _condition(query: MaintenanceQuery, types: Mapping[str, DeviceType]) -> tuple[str, list[Any]]:
    """What a record must be, as SQL over ``records``."""
    text, parameters = any_of(
        {
            "device_id": query.devices, "device_type": query.types, "site": query.sites, "kind": query.kinds,
            "failure_mode": query.failure_modes,
        }
    )  # fmt: skip
    if query.start_us is not None:
        text, parameters = f"{text} AND done_us >= ?", [*parameters, query.start_us]
    if query.end_us is not None:
        text, parameters = f"{text} AND done_us < ?", [*parameters, query.end_us]
    if not query.withdrawn:
        text += " AND NOT withdrawn"
    if query.filter.strip():
        vocabulary = maintenance_vocabulary(types)
        condition = filters.sql(filters.parse(query.filter, vocabulary), vocabulary)
        text, parameters = f"{text} AND {condition.text}", [*parameters, *condition.parameters]
    return text, parameters


def _asked(
    history: History, sql: str, parameters: Sequence[Any], beside: Mapping[str, pa.Table]
) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = history.query(sql, parameters, beside).to_pylist()
    except duckdb.CatalogException:  # nothing has happened yet
        return []
    return rows


def _sites(view: View) -> pa.Table:
    if view.lines is None:
        return pa.table({"device_id": pa.array([], pa.string()), "site": pa.array([], pa.string())})
    return view.lines.select(["device_id", "site"])


def _items(lines: Sequence[Mapping[str, Any]], fleet: Fleet, view: View) -> list[dict[str, Any]]:
    """Records as they are shown, with what the live table and the types know of them."""
    sites = _sites_of([line["device_id"] for line in lines], fleet, view)
    return [_item(line, site, fleet.types) for line, site in zip(lines, sites, strict=True)]


def _sites_of(ids: Sequence[str], fleet: Fleet, view: View) -> list[str | None]:
    places = fleet.locate(pa.array(ids, pa.string()))
    known = [
        Place(host, places.types[code], row) if code >= 0 else None
        for host, code, row in zip(
            places.host.tolist(), places.type_code.tolist(), places.row.tolist(), strict=True
        )
    ]
    shown = [place for place in known if place is not None and view.has(place)]
    found = iter(view.fetch(shown, ["site"]))
    return [next(found)["site"] if place is not None and view.has(place) else None for place in known]


def _item(line: Mapping[str, Any], site: str | None, types: Mapping[str, DeviceType]) -> dict[str, Any]:
    device_type = types.get(line["device_type"])
    actions = {action.name: action for action in device_type.actions} if device_type is not None else {}
    action = actions.get(line["action"])
    last = json.loads(line["correction"]) if line["correction"] else {}
    return {
        "id": line["id"],
        "device_id": line["device_id"],
        "type": line["device_type"],
        "site": site,
        "kind": line["kind"],
        "action": line["action"],
        "title": (action.title or action.name) if action is not None else line["action"],
        "failure_mode": line["failure_mode"],
        "at": iso(line["done_us"]),
        "recorded_at": iso(line["recorded_us"]),
        "by": line["recorded_by"],
        "note": line["note"],
        "life_cycle": None if line["life_cycle"] is None else int(line["life_cycle"]),
        "cost": action.cost if action is not None else None,
        "duration_h": action.duration_h if action is not None else None,
        "withdrawn": line["withdrawn"],
        "corrections": line["corrections"],
        "corrected_by": last.get("by"),
        "corrected_at": iso(line["corrected_us"]),
    }


def _correction(detail: str, recorded_us: int) -> dict[str, Any]:
    said = json.loads(detail)
    return {
        "by": said["by"],
        "recorded_at": iso(recorded_us),
        "reason": said.get("reason", ""),
        "kind": said["kind"],
        "action": said.get("action"),
        "failure_mode": said.get("failure_mode"),
        "at": iso(said.get("done_at_us")),
        "note": said.get("note", ""),
        "withdrawn": said.get("withdrawn", False),
    }
