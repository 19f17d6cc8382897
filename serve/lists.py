"""Lists over the live table: devices and standing alerts, filtered, sorted, a page at a time.

Pages are keyed by (sort value, id), not by position: while values move, a device whose own value stands
still is shown exactly once to whoever goes from page to page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa
from numpy.typing import NDArray

from serve.cursors import page_cursor, read_page_cursor
from serve.errors import OnePlaceError, SortError
from serve.keyset import Key, Keyset
from serve.live import Place, View, short
from serve.ranking import Ranks, sort_values, window
from serve.texts import Mask
from serve.vocabulary import SORT_KEYS, alert_vocabulary, channels_in, sort_expression
from twins import filters
from twins.devices import PRIORITIES, DeviceType
from twins.events import PATTERNS
from twins.prognosis import FIGURES
from twins.views import PROGNOSIS
from twins.vocabulary import device_vocabulary

_SHOWN: Final = (
    "device_id", "device_type", "site", "parent", "name", "labels", "status", "health", "observed",
    "anomaly_score", "anomalous", "patterns", "alerts", "unacknowledged", "priority", "event_time",
    "heard_at", *PROGNOSIS,
)  # fmt: skip
_FEW: Final = 50  # one line in so many: they are taken out, rather than all looked at
_RARELY_EQUAL: Final = ("health", "anomaly_score", "p_fail_7d", "rul_p50_h")
_SPARE: Final = 50  # lines beyond a page, to see whether its last key is the key of others, too
_ALL: Final = filters.Sql("TRUE", ())
_SORTED_BY: Final = {"id": "device_id", "type": "device_type"}
_ALERT_KEYS: Final = (Key("k", int), Key("s", int, descending=True), Key("device_id", str), Key("rule", str))
URGENCY: Final = f"list_position({list(PRIORITIES)}, CAST(priority AS VARCHAR))"
"""How urgent a line of ``alerts`` is, as SQL: 1 is the most."""


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices to list, and how. ``sort`` is one of ``SORT_KEYS``, with ``-`` for descending."""

    filter: str = ""
    search: str = ""
    sort: str = "id"
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which standing alerts to list; an empty tuple leaves that side open."""

    states: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a list, how many there are in all, and the cursors to either side."""

    items: list[dict[str, Any]]
    total: int
    as_of_us: int
    next: str | None
    previous: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def list_devices(
    view: View, types: Mapping[str, DeviceType], query: DeviceQuery, ranks: Ranks | None = None
) -> Page:
    """One page of devices.

    Parameters
    ----------
    types : those in force; their channels may be filtered by
    ranks : what is remembered of the order of ids, for jumps

    Raises
    ------
    FilterError, SortError, CursorError : with what to write instead.
    """
    condition, channels, masks, only = _condition(view, query, types)
    descending = query.sort.startswith("-")
    key = query.sort.removeprefix("-")
    if key not in SORT_KEYS:
        raise SortError(query.sort, SORT_KEYS)
    if sum(each is not None for each in (query.after, query.before, query.offset)) > 1:
        raise OnePlaceError()
    backwards = query.before is not None
    binding = f"devices\n{query.sort}\n{query.filter}\n{query.search}"
    expression, kind = sort_expression(key, descending)
    further, parameters = "TRUE", list(condition.parameters)
    at = query.before if backwards else query.after
    if at is not None:
        value, device_id = read_page_cursor(at, binding, (kind, str))
        beyond = "<" if descending != backwards else ">"
        later = "<" if backwards else ">"
        further = f"(k {beyond} ? OR (k = ? AND device_id {later} ?))"
        parameters += [value, value, device_id]
    if not view.types:
        return Page([], 0, view.as_of_us, None)
    matching = f"FROM {view.relation(channels, tuple(masks))} WHERE {condition.text}"
    counted = condition.text != _ALL.text or only is not None
    order = f"ORDER BY k {'DESC' if descending != backwards else 'ASC'}"
    wanted, found = query.limit + 1, None
    with view.cursor(masks, only) as cursor:
        if query.offset:
            sql = f"SELECT n {matching}" if counted else ""
            chosen = cursor.sql(sql, params=parameters).to_arrow_table()["n"].to_numpy() if counted else None
            found, total = _jump(view, ranks or Ranks(), key, descending, chosen, query.offset, wanted)
        elif at is None and only is None and key in _RARELY_EQUAL:
            lines = f"SELECT {expression} AS k, n {matching}"
            page = f"{order} LIMIT {wanted + _SPARE:d}"
            best, total = _answer(cursor, lines, page, parameters, counted)
            if (
                len(best) < wanted + _SPARE or best[wanted - 1][0] != best[-1][0]
            ):  # those of the last key are all here
                found = _in_order(view, best, descending)[:wanted]
        if found is None:
            lines = f"SELECT {expression} AS k, device_id, n {matching}"
            page = f"WHERE {further} {order}, device_id {'DESC' if backwards else 'ASC'} LIMIT {wanted:d}"
            found, total = _answer(cursor, lines, page, parameters, counted and bool(channels))
            if (
                counted and not channels
            ):  # to read a column or two again is less than to put all ids that match aside
                counting = cursor.execute(f"SELECT count(*) {matching}", list(condition.parameters))
                (total,) = counting.fetchall()[0]
    if not counted:
        total = len(view)
    more = len(found) > query.limit
    found = found[: query.limit]
    if backwards:
        found.reverse()
    came = at is not None or bool(query.offset)
    has_next, has_previous = (came, more) if backwards else (more, came)
    return Page(
        items=device_items(view, [view.place(line) for _, _, line in found]),
        total=total,
        as_of_us=view.as_of_us,
        next=page_cursor(binding, found[-1][:2]) if found and has_next else None,
        previous=page_cursor(binding, found[0][:2]) if found and has_previous else None,
    )


def devices_matching(
    view: View,
    types: Mapping[str, DeviceType],
    filter: str,  # noqa: A002
    search: str = "",
) -> pa.Array:
    """The ids of the devices that a filter lets through and a search finds, in no order.

    Raises
    ------
    FilterError : with what to write instead.
    """
    found = _selected(view, types, DeviceQuery(filter, search), "device_id")
    if found is None:
        return pa.array([], pa.string())
    return found["device_id"].cast(pa.string()).combine_chunks()


def count_devices(
    view: View,
    types: Mapping[str, DeviceType],
    filter: str,  # noqa: A002
    search: str = "",
) -> dict[str, int]:
    """How many ``devices_matching`` finds, by device type.

    Raises
    ------
    FilterError : with what to write instead.
    """
    lines = "device_type, count(*) AS n"
    found = _selected(view, types, DeviceQuery(filter, search), lines, "GROUP BY device_type")
    if found is None:
        return {}
    return dict(zip(found["device_type"].to_pylist(), found["n"].to_pylist(), strict=True))


def _selected(
    view: View, types: Mapping[str, DeviceType], query: DeviceQuery, columns: str, tail: str = ""
) -> pa.Table | None:
    """What the SQL ``columns`` says of all devices that a query is about; None: there is no device at all."""
    condition, channels, masks, only = _condition(view, query, types)
    if not view.types:
        return None
    sql = f"SELECT {columns} FROM {view.relation(channels, tuple(masks))} WHERE {condition.text} {tail}"
    with view.cursor(masks, only) as cursor:
        return cursor.sql(sql, params=list(condition.parameters)).to_arrow_table()


def _answer(
    cursor: duckdb.DuckDBPyConnection, lines: str, page: str, parameters: list[Any], counted: bool
) -> tuple[list[Any], int]:
    """A page of the lines that the SQL ``lines`` selects and, if they are to be ``counted``, how many those are: who matches
    is found out once for both.
    """
    if not counted:
        return cursor.execute(f"SELECT * FROM ({lines}) {page}", parameters).fetchall(), 0
    answer = cursor.execute(
        f"WITH matching AS MATERIALIZED ({lines}), page AS (SELECT * FROM matching {page})"
        " SELECT p.*, c.total FROM (SELECT count(*) AS total FROM matching) c LEFT JOIN page p ON TRUE"
        f" {page[page.index('ORDER') :]}",
        parameters,
    ).fetchall()
    return [line[:-1] for line in answer if line[0] is not None], answer[0][-1]


def _jump(
    view: View, ranks: Ranks, key: str, descending: bool, chosen: NDArray[Any] | None, start: int, many: int
) -> tuple[list[Any], int]:
    """Some lines from an offset on, with their keys and ids, and how many there are in all.

    Parameters
    ----------
    chosen : (m,) the lines that match; None: all
    """
    order = ranks.of(view)
    values = sort_values(view, key, descending, order)
    if chosen is not None:
        values, order = values[chosen], order[chosen]
    lines = window(values, order, start, start + many)
    if chosen is not None:
        lines = chosen[lines]
    column = _SORTED_BY.get(key, key)
    names = list(dict.fromkeys(["device_id", column]))
    rows = view.fetch([view.place(line) for line in lines.tolist()], names)
    assert view.lines is not None
    kinds = [view.lines.schema.field(name).type for name in names]
    schema = pa.schema(
        [(n, k.value_type if pa.types.is_dictionary(k) else k) for n, k in zip(names, kinds, strict=True)]
    )
    expression, _ = sort_expression(key, descending)
    with view.cursor() as cursor:
        cursor.register("picked", pa.Table.from_pylist(rows, schema))
        try:
            keys = cursor.execute(f"SELECT {expression} AS k FROM picked").fetchall()
        finally:
            cursor.unregister("picked")
    found = [(k, row["device_id"], n) for (k,), row, n in zip(keys, rows, lines.tolist(), strict=True)]
    return found, len(values)


def _in_order(view: View, best: list[Any], descending: bool) -> list[Any]:
    """Lines by key and id, with their ids: to read and compare a million of these takes twice as long as all the rest."""
    assert view.lines is not None
    ids = view.lines["device_id"]
    found = sorted((ids[n].as_py(), k, n) for k, n in best)
    found.sort(key=lambda line: line[1], reverse=descending)
    return [(k, device_id, n) for device_id, k, n in found]


def device_items(view: View, places: Sequence[Place]) -> list[dict[str, Any]]:
    """The devices at ``places`` as lists show them, in that order."""
    return [_device_item(line) for line in view.fetch(places, _SHOWN)]


def list_alerts(view: View, query: AlertQuery, types: Mapping[str, DeviceType] | None = None) -> Page:
    """One page of the alerts that stand: most urgent first, then newest first.

    ``counts`` leave ``priorities`` open. ``types`` are those that a filter may name.

    Raises
    ------
    CursorError : with what to write instead.
    """
    binding = repr(
        ("alerts", query.states, query.priorities, query.devices, query.types, query.sites, query.filter)
    )
    keyset = Keyset(binding, _ALERT_KEYS, query.limit, query.after, query.before, query.offset)
    further, where = keyset.beyond()
    text, parameters = alert_condition(query, types or {})
    if view.alerts is None:
        return Page([], 0, view.as_of_us, None, counts=dict.fromkeys(PRIORITIES, 0))
    chosen = query.priorities or PRIORITIES
    with view.cursor() as cursor:
        counted = cursor.execute(
            f"SELECT priority, count(*) FROM alerts WHERE {text} GROUP BY ALL", parameters
        ).fetchall()
        counts = {**dict.fromkeys(PRIORITIES, 0), **dict(counted)}
        wanted, levels = any_of({"priority": chosen})
        lines = (
            f"SELECT {URGENCY} AS k, coalesce(epoch_us(since), 0) AS s, device_id, rule, n FROM alerts"
            f" WHERE {text} AND {wanted}"
        )
        found = cursor.execute(
            f"SELECT * FROM ({lines}) WHERE {further} {keyset.tail()}", [*parameters, *levels, *where]
        ).fetchall()
    names = [*(key.column for key in _ALERT_KEYS), "n"]
    shown, following, previous = keyset.cut([dict(zip(names, line, strict=True)) for line in found])
    return Page(
        items=view.alerts.take(pa.array([line["n"] for line in shown], pa.int64())).to_pylist(),
        total=sum(counts[priority] for priority in chosen),
        as_of_us=view.as_of_us,
        next=following,
        previous=previous,
        counts=counts,
    )


def alert_condition(query: AlertQuery, types: Mapping[str, DeviceType]) -> tuple[str, list[Any]]:
    """What an alert must be, whatever its priority, as SQL over ``alerts``.

    Raises
    ------
    FilterError : with what to write instead.
    """
    text, parameters = any_of(
        {"state": query.states, "device_id": query.devices, "device_type": query.types, "site": query.sites}
    )
    if query.filter.strip():
        vocabulary = alert_vocabulary(types)
        condition = filters.sql(filters.parse(query.filter, vocabulary), vocabulary)
        text, parameters = f"{text} AND {condition.text}", [*parameters, *condition.parameters]
    return text, parameters


def _condition(
    view: View, query: DeviceQuery, types: Mapping[str, DeviceType]
) -> tuple[filters.Sql, list[str], dict[str, Mask], Mask | None]:
    """Filter and search as SQL, the channels that it reads, the masks that it names, and the only lines to look at."""
    masks: dict[str, Mask] = {}

    def named(mask: Mask) -> str:
        name = f"mask_{len(masks)}"
        masks[name] = mask
        return name

    condition, channels = _ALL, []
    if query.filter.strip():
        vocabulary = device_vocabulary(types)
        tree = filters.parse(query.filter, vocabulary)
        condition = filters.sql(tree, vocabulary, lambda column, test: named(view.text_test(column, test)))
        channels = channels_in(tree, types, vocabulary)
    only = _searched(view, query.search) if query.search else None
    if only is not None and len(only) < _FEW * int(only.sum()):  # not few enough to be taken out
        name, only = named(only), None
        condition = filters.Sql(f"{condition.text} AND {name}", condition.parameters)
    return condition, channels, masks, only


def _searched(view: View, part: str) -> Mask:
    """(n,) The lines that have ``part`` in their id or name."""
    by_id, by_name = (
        view.text_mask(column, lambda texts: texts.holding(part)) for column in ("device_id", "name")
    )
    return by_id | by_name


def any_of(choices: Mapping[str, Sequence[str]]) -> tuple[str, list[Any]]:
    """A condition that each of these columns holds one of its values; an empty list leaves a column open."""
    parts, parameters = ["TRUE"], list[Any]()
    for column, values in choices.items():
        if values:
            parts.append(f"{column} IN ({', '.join('?' * len(values))})")
            parameters += values
    return " AND ".join(parts), parameters


def _device_item(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line as lists show it: names for codes, None for what is not known."""
    mask, priority = line["patterns"], line["priority"]
    return {
        "id": line["device_id"],
        "type": line["device_type"],
        "site": line["site"],
        "parent": line["parent"] or None,
        "name": line["name"],
        "labels": line["labels"],
        "status": line["status"],
        "health": short(line["health"]),
        "observed": short(line["observed"]),
        "anomaly_score": short(line["anomaly_score"]),
        "anomalous": bool(line["anomalous"]),
        "patterns": [name for bit, name in enumerate(PATTERNS) if mask >> bit & 1],
        "alerts": line["alerts"],
        "unacknowledged": line["unacknowledged"],
        "priority": PRIORITIES[priority] if priority < len(PRIORITIES) else None,
        "event_time": line["event_time"],
        "heard_at": line["heard_at"],
        **{name: short(line[name]) for name in FIGURES},
        **{name: line[name] for name in ("failure_mode", "in_distribution", "model_version", "predicted_at")},
    }
