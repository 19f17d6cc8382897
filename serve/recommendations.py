"""Recommendations as lists show them: advice of ``twins/recommendations.py`` for all devices that have alerts, in columns,
and for one device with all that its twin knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.keyset import Key, Keyset
from serve.lists import Page, any_of
from serve.live import View, short
from serve.present import Rules, alert_item
from serve.vocabulary import recommendation_vocabulary
from twins import filters
from twins.devices import PRIORITIES, DeviceType, MaintenanceAction
from twins.recommendations import CONFIDENCES, Advice, Adviser, Sign, made_good

STANDING: Final = ("UNACK", "ACKED", "LATCHED_UNACK", "LATCHED_ACKED")
"""States of alerts that advice rests on: what has returned to normal, or is put aside, calls for nothing."""

_KEYS: Final = (Key("urgency", int), Key("state", float), Key("device_id", str), Key("mode", str))
_SCHEMA: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("site", pa.string()),
        ("mode", pa.string()),  # empty: none explains it
        ("action", pa.string()),
        ("confidence", pa.string()),
        ("priority", pa.string()),
        ("urgency", pa.int32()),
        ("health", pa.float32()),
        ("state", pa.float64()),  # health to sort by
        ("since_us", pa.int64()),
        ("type_number", pa.int32()),
        ("kind", pa.int64()),
    ]
)


class Advisers:
    """An adviser for each type in force, made once a version."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, Adviser]] = {}

    def find(self, device_type: DeviceType) -> Adviser:
        known = self._of.get(device_type.name)
        if known is None or known[0] != device_type.version:
            known = self._of[device_type.name] = device_type.version, Adviser(device_type)
        return known[1]


@dataclass(frozen=True, slots=True)
class RecommendationQuery:
    """Which recommendations to list; an empty tuple leaves that side open."""

    filter: str = ""
    devices: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    failure_modes: tuple[str, ...] = ()
    confidences: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Advised:
    """All advice of one view: ``lines``, and what their kinds are, by type."""

    lines: pa.Table
    kinds: Sequence[Sequence[Advice]]
    types: Sequence[str]

    def advice(self, line: Mapping[str, Any]) -> Advice:
        found: Advice = self.kinds[line["type_number"]][line["kind"]]
        return found


def list_recommendations(
    view: View,
    types: Mapping[str, DeviceType],
    advisers: Advisers,
    rules: Rules,
    query: RecommendationQuery,
) -> Page:
    """One page: the most urgent first, then the most likely, then the worst health.

    Raises
    ------
    FilterError, CursorError : with what to write instead.
    """
    binding = repr(
        (
            "recommendations", query.filter, query.devices, query.types, query.sites, query.failure_modes,
            query.confidences, query.priorities,
        )
    )  # fmt: skip
    keyset = Keyset(binding, _KEYS, query.limit, query.after, query.before, query.offset)
    further, where = keyset.beyond()
    condition, parameters = _condition(query, types)
    versions = tuple(sorted((name, each.version) for name, each in types.items()))
    found = view.once(("recommendations", versions), lambda: _advised(view, types, advisers))
    with view.cursor() as cursor:
        cursor.register("recommendations", found.lines)
        try:
            (counted,) = cursor.execute(
                f"SELECT count(*) FROM recommendations WHERE {condition}", parameters
            ).fetchall()
            sql = f"SELECT * FROM recommendations WHERE {condition} AND {further} {keyset.tail()}"
            lines = cursor.sql(sql, params=[*parameters, *where]).to_arrow_table().to_pylist()
        finally:
            cursor.unregister("recommendations")
    shown, following, previous = keyset.cut(lines)
    standing = _standing(view, [line["device_id"] for line in shown])
    items = [
        _item(
            line["device_id"], line["device_type"], line["site"], short(line["health"]), found.advice(line),
            standing.get(line["device_id"], []), types[line["device_type"]], rules,
        )
        for line in shown
    ]  # fmt: skip
    return Page(items, counted[0], view.as_of_us, following, previous)


def of_twin(
    twin: Mapping[str, Any], device_type: DeviceType, advisers: Advisers, rules: Rules
) -> list[dict[str, Any]]:
    """Recommendations for one device, from what ``views.twin`` says of it: its patterns count, too."""
    if twin["status"] in ("retired", "importing"):
        return []
    standing = [line for line in twin["alerts"] if line["state"] in STANDING]
    signs = [Sign("alert", line["rule"]) for line in standing]
    signs += [Sign("pattern", each["pattern"], each["channel"]) for each in twin["patterns"]]
    items = [
        _item(
            twin["id"], twin["type"], twin["site"], short(twin["health"]), advice, standing, device_type, rules
        )
        for advice in advisers.find(device_type).advise(signs)
    ]  # fmt: skip
    return sorted(items, key=_urgency)


def _urgency(item: Mapping[str, Any]) -> tuple[int, int, str]:
    level = len(PRIORITIES) if item["priority"] is None else PRIORITIES.index(item["priority"])
    return level, CONFIDENCES.index(item["confidence"]), item["failure_mode"] or ""


def _condition(query: RecommendationQuery, types: Mapping[str, DeviceType]) -> tuple[str, list[Any]]:
    text, parameters = any_of(
        {
            "device_id": query.devices, "device_type": query.types, "site": query.sites,
            "mode": query.failure_modes, "confidence": query.confidences, "priority": query.priorities,
        }
    )  # fmt: skip
    if query.filter.strip():
        vocabulary = recommendation_vocabulary(types)
        condition = filters.sql(filters.parse(query.filter, vocabulary), vocabulary)
        text, parameters = f"{text} AND {condition.text}", [*parameters, *condition.parameters]
    return text, parameters


def _advised(view: View, types: Mapping[str, DeviceType], advisers: Advisers) -> _Advised:
    """Advice for every device with an alert that stands."""
    parts, kinds, names = [_SCHEMA.empty_table()], list[Sequence[Advice]](), list[str]()
    if view.alerts is not None:
        states = view.alerts["state"].cast(pa.string())
        standing = view.alerts.filter(pc.is_in(states, pa.array(STANDING)))
        type_of = standing["device_type"].cast(pa.string())
        for name in view.types:
            mine = standing.filter(pc.equal(type_of, name))
            if name not in types or not len(mine):
                continue
            lines, advice = _advised_of(view, mine, advisers.find(types[name]), len(names))
            parts.append(lines)
            kinds.append(advice)
            names.append(name)
    return _Advised(pa.concat_tables(parts), kinds, names)


def _advised_of(
    view: View, standing: pa.Table, adviser: Adviser, number: int
) -> tuple[pa.Table, Sequence[Advice]]:
    """The same for the devices of one type, and the kinds of advice that there are."""
    device_type = adviser.device_type
    coded = standing["device_id"].combine_chunks().dictionary_encode()
    device, ids = coded.indices.to_numpy(), coded.dictionary
    rules = pa.array([rule.name for rule in device_type.rules], pa.string())
    rule = pc.index_in(standing["rule"].cast(pa.string()), rules).fill_null(-1).to_numpy()
    known = rule >= 0
    raised = np.zeros(len(ids), np.uint64)
    np.bitwise_or.at(raised, device[known], np.uint64(1) << rule[known].astype(np.uint64))
    since = np.full(len(ids), np.iinfo(np.int64).max)
    np.minimum.at(since, device, standing["since"].cast(pa.int64()).fill_null(0).to_numpy())
    first = np.zeros(len(ids), np.int64)
    first[device] = np.arange(len(device))
    sites = standing["site"].cast(pa.string()).take(pa.array(first))
    advised = adviser.advise_many(raised)
    levels = {rule.name: PRIORITIES.index(rule.priority) for rule in device_type.rules}
    level = np.array([min(levels[sign.name] for sign in each.signs) for each in advised.kinds], np.int32)
    doubt = np.array([CONFIDENCES.index(each.confidence) for each in advised.kinds], np.int32)
    taken, kind = pa.array(advised.device), pa.array(advised.kind)
    health = _health(view, device_type.name, ids).take(taken)
    columns = {
        "device_id": ids.take(taken),
        "device_type": pa.array([device_type.name] * len(taken), pa.string()),
        "site": sites.take(taken).combine_chunks(),
        "mode": pa.array([each.failure_mode or "" for each in advised.kinds], pa.string()).take(kind),
        "action": pa.array(
            [each.actions[0].name if each.actions else None for each in advised.kinds], pa.string()
        ).take(kind),
        "confidence": pa.array([each.confidence for each in advised.kinds], pa.string()).take(kind),
        "priority": pa.array([PRIORITIES[each] for each in level], pa.string()).take(kind),
        "urgency": pa.array((level * len(CONFIDENCES) + doubt)[advised.kind]),
        "health": health,
        "state": pc.if_else(health.is_null(), float("inf"), health.cast(pa.float64())),
        "since_us": pa.array(since[advised.device]),
        "type_number": pa.array(np.full(len(taken), number, np.int32)),
        "kind": kind,
    }
    return pa.table(columns, schema=_SCHEMA), advised.kinds


def _health(view: View, device_type: str, ids: pa.Array) -> pa.Array:
    """Health by device, null where it is not known."""
    table = view.tables[device_type]
    place = pc.index_in(ids, table["device_id"])
    values = table["health"].take(place).combine_chunks().cast(pa.float32())
    return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float32()), values)


def _standing(view: View, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The alerts of a page's devices, by device."""
    if view.alerts is None or not ids:
        return {}
    states = pc.is_in(view.alerts["state"].cast(pa.string()), pa.array(STANDING))
    mine = pc.is_in(view.alerts["device_id"], pa.array(sorted(set(ids)), pa.string()))
    found: dict[str, list[dict[str, Any]]] = {}
    for line in view.alerts.filter(pc.and_(states, mine)).to_pylist():
        found.setdefault(line["device_id"], []).append(line)
    return found


def _item(
    device_id: str,
    type_name: str,
    site: str,
    health: float | None,
    advice: Advice,
    standing: Sequence[Mapping[str, Any]],
    device_type: DeviceType,
    rules: Rules,
) -> dict[str, Any]:
    mode = next((each for each in device_type.failure_modes if each.name == advice.failure_mode), None)
    named = {sign.name for sign in advice.signs if sign.kind == "alert"}
    alerts = [alert_item(line, device_type, rules) for line in standing if line["rule"] in named]
    alerts.sort(key=lambda each: (PRIORITIES.index(each["priority"]), each["id"]))
    why: list[dict[str, Any]] = [_alert_sign(each) for each in alerts]
    why += [
        {"kind": "pattern", "pattern": sign.name, "channel": sign.channel}
        for sign in advice.signs
        if sign.kind == "pattern"
    ]
    return {
        "id": f"{device_id}:{advice.failure_mode or '?'}",
        "device_id": device_id,
        "type": type_name,
        "site": site,
        "failure_mode": advice.failure_mode,
        "title": None if mode is None else mode.title or mode.name,
        "confidence": advice.confidence,
        "priority": alerts[0]["priority"] if alerts else None,
        "health": health,
        "since": min((each["since"] for each in alerts if each["since"] is not None), default=None),
        "why": why,
        "actions": [_action(each, advice.failure_mode) for each in advice.actions],
    }


def _alert_sign(alert: Mapping[str, Any]) -> dict[str, Any]:
    kept = (
        "rule",
        "title",
        "priority",
        "state",
        "since",
        "value",
        "limit",
        "unit",
        "consequence",
        "response",
    )
    return {"kind": "alert", "alert": alert["id"], **{name: alert[name] for name in kept}}


def _action(action: MaintenanceAction, mode: str | None) -> dict[str, Any]:
    return {
        "name": action.name,
        "title": action.title or action.name,
        "kind": action.kind,
        "cost": action.cost,
        "duration_h": action.duration_h,
        "crew": action.crew,
        "spares": dict(action.spares),
        "resets": None if mode is None else made_good(action, mode),
    }
