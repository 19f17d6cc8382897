"""Recommendations as lists show them: advice of ``twins/recommendations.py`` for all devices that have alerts or a forecast
that worries, in columns, and for one device with all that its twin knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve import prospects as forecast_of
from serve.decisions import SHOWN, UNTRIED, Basis, Decision, Known, Tally, sign_words
from serve.errors import RecommendationNotFoundError, SortError
from serve.keyset import Key, Keyset
from serve.lists import Page, any_of
from serve.live import View, short
from serve.present import Rules, alert_item, iso
from serve.prospects import Prospects
from serve.vocabulary import RECOMMENDATION_SORT_KEYS, recommendation_vocabulary
from twins import filters
from twins.costs import HORIZON_D, made_good
from twins.devices import PRIORITIES, DeviceType, MaintenanceAction
from twins.recommendations import CONFIDENCES, Advice, Adviser, Sign
from twins.views import PROGNOSIS

STANDING: Final = ("UNACK", "ACKED", "LATCHED_UNACK", "LATCHED_ACKED")
"""States of alerts that advice rests on: what has returned to normal, or is put aside, calls for nothing."""

_LAST: Final = (Key("state", float), Key("device_id", str), Key("mode", str))
_URGENCY: Final = Key("urgency", int)
_STAKE: Final = Key("worth", float, descending=True)
_KEYS: Final = {
    "urgency": (_URGENCY, _STAKE, *_LAST),
    "stake": (_STAKE, _URGENCY, *_LAST),
    "due": (Key("by_us", int), _URGENCY, _STAKE, *_LAST),
}
_NEVER_US: Final = 2**62
_UNKNOWN: Final = "?"
_LISTED: Final = f"""
    WITH listed AS (
        SELECT a.* REPLACE (a.worth * coalesce(r.confirmed, {UNTRIED}) AS worth),
               coalesce(r.confirmed, {UNTRIED}) AS confirmed,
               coalesce(d.decision, 'open') AS decision
        FROM advised a LEFT JOIN decided d USING (id) LEFT JOIN right_so_far r USING (device_type, mode)
    )
"""
_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
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
        ("nothing", pa.float64()),  # null: not known, as all costs
        ("later", pa.float64()),
        ("now", pa.float64()),
        ("stake", pa.float64()),
        ("worth", pa.float64()),  # the same to sort by: 0 where it is not known
        ("later_us", pa.int64()),
        ("due_us", pa.int64()),
        ("by_us", pa.int64()),  # due to sort by
        ("p_fail_7d", pa.float32()),  # null: nothing is forecast of this mode
        ("type_number", pa.int32()),
        ("row", pa.int64()),  # in the type's live table; -1: it does not show the device
        ("kind", pa.int64()),
    ]
)

_MONEY: Final = ("nothing", "later", "now", "stake", "worth", "later_us", "due_us", "by_us", "p_fail_7d")
_STOOD: Final = pa.schema(
    [
        ("device_id", pa.string()), ("device_type", pa.string()), ("site", pa.string()),
        ("rule", pa.string()), ("since", pa.timestamp("us", "UTC")),
    ]
)  # fmt: skip


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
    """Which recommendations to list, by one of ``RECOMMENDATION_SORT_KEYS``; an empty tuple leaves that side open."""

    filter: str = ""
    devices: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    failure_modes: tuple[str, ...] = ()
    confidences: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    decisions: tuple[str, ...] = SHOWN
    sort: str = "urgency"
    limit: int = 50
    after: str | None = None
    before: str | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Advised:
    """A recommendation as it is shown, what a decision about it is about, and what was decided before."""

    item: dict[str, Any]
    basis: Basis
    known: Known


@dataclass(frozen=True, slots=True, eq=False)
class _Advised:
    """All advice of one view: ``lines``, and what their kinds are, by type."""

    lines: pa.Table
    kinds: Sequence[Sequence[Advice]]
    prospects: Sequence[Prospects | None]

    def advice(self, line: Mapping[str, Any]) -> Advice:
        found: Advice = self.kinds[line["type_number"]][line["kind"]]
        return found


def list_recommendations(
    view: View,
    types: Mapping[str, DeviceType],
    advisers: Advisers,
    rules: Rules,
    query: RecommendationQuery,
    decisions: Sequence[Decision] = (),
    tallies: Sequence[Tally] = (),
    now_us: int = 0,
) -> Page:
    """One page: the most urgent first, then the most likely, then those with most money at stake, then the worst health.

    Parameters
    ----------
    decisions : the newest about each recommendation
    tallies : what came of those there were; the money at stake counts as far as recommendations of its kind were right

    Raises
    ------
    FilterError, SortError, CursorError : with what to write instead.
    """
    keys = _KEYS.get(query.sort)
    if keys is None:
        raise SortError(query.sort, RECOMMENDATION_SORT_KEYS)
    binding = repr(
        (
            "recommendations", query.sort, query.filter, query.devices, query.types, query.sites,
            query.failure_modes, query.confidences, query.priorities, query.decisions,
        )
    )  # fmt: skip
    keyset = Keyset(binding, keys, query.limit, query.after, query.before, query.offset)
    further, where = keyset.beyond()
    condition, parameters = _condition(query, types)
    versions = tuple(sorted((name, each.version) for name, each in types.items()))
    found = view.once(("recommendations", versions), lambda: _advised(view, types, advisers))
    decided = _standing_decisions(view, found, decisions, now_us)
    with view.cursor() as cursor:
        cursor.register("advised", found.lines)
        cursor.register("decided", _states(decided))
        cursor.register("right_so_far", _right_so_far(tallies))
        try:
            (counted,) = cursor.execute(
                f"{_LISTED} SELECT count(*) FROM listed WHERE {condition}", parameters
            ).fetchall()
            sql = f"{_LISTED} SELECT * FROM listed WHERE {condition} AND {further} {keyset.tail()}"
            lines = cursor.sql(sql, params=[*parameters, *where]).to_arrow_table().to_pylist()
        finally:
            cursor.unregister("advised")
            cursor.unregister("decided")
            cursor.unregister("right_so_far")
    shown, following, previous = keyset.cut(lines)
    standing = _standing(view, [line["device_id"] for line in shown])
    forecasts = _forecasts(view, shown)
    items = [
        _item(
            _Case(line["device_id"], types[line["device_type"]], line["site"], line["health"], line["row"]),
            found.advice(line), standing.get(line["device_id"], []), line, forecast,
            found.prospects[line["type_number"]], advisers.find(types[line["device_type"]]), rules,
            decided.get(line["id"]), line["confirmed"],
        )
        for line, forecast in zip(shown, forecasts, strict=True)
    ]  # fmt: skip
    return Page(items, counted[0], view.as_of_us, following, previous)


def of_twin(
    twin: Mapping[str, Any],
    device_type: DeviceType,
    advisers: Advisers,
    rules: Rules,
    now_us: int,
    decisions: Mapping[str, Decision] | None = None,
    tallies: Sequence[Tally] = (),
) -> list[dict[str, Any]]:
    """Recommendations for one device, from what ``views.twin`` says of it: its patterns count, too.

    Parameters
    ----------
    decisions : the newest about the device, by failure mode
    tallies : as of ``list_recommendations``
    """
    found = advised_of_twin(twin, device_type, advisers, rules, now_us, decisions, tallies)
    return [each.item for each in found]


def advised_of_twin(
    twin: Mapping[str, Any],
    device_type: DeviceType,
    advisers: Advisers,
    rules: Rules,
    now_us: int,
    decisions: Mapping[str, Decision] | None = None,
    tallies: Sequence[Tally] = (),
) -> list[Advised]:
    """The same with what a decision about each is about."""
    if twin["status"] in ("retired", "importing"):
        return []
    adviser = advisers.find(device_type)
    prospects = forecast_of.of_twin(twin, adviser, now_us)
    standing = [line for line in twin["alerts"] if line["state"] in STANDING]
    signs = [Sign("alert", line["rule"]) for line in standing]
    signs += [Sign("pattern", each["pattern"], each["channel"]) for each in twin["patterns"]]
    if prospects is not None and prospects.is_sign[0]:
        signs.append(Sign("prognosis", _mode_names(device_type)[prospects.mode[0]]))
    advice = adviser.advise(signs)
    rows, which = np.zeros(len(advice), np.int64), _mode_places(device_type, advice)
    lines = _money(prospects, adviser, rows, which).to_pylist()
    case = _Case(twin["id"], device_type, twin["site"], twin["health"], 0)
    found = []
    right = {each.failure_mode: each.confirmed for each in tallies if each.device_type == device_type.name}
    for each, line in zip(advice, lines, strict=True):
        mode = each.failure_mode or ""
        newest = (decisions or {}).get(mode)
        stands = newest is not None and newest.stands(twin["life_cycle"], _spoken(each, standing), now_us)
        item = _item(
            case, each, standing, line, twin.get("prognosis"), prospects, adviser, rules,
            newest if stands else None, right.get(mode, UNTRIED),
        )  # fmt: skip
        costs = item["costs"] or {"nothing": None, "later": None, "now": None}
        basis = Basis(
            twin["id"], device_type.name, mode, twin["life_cycle"], sign_words(sign[:2] for sign in each.signs),
            item["planned"], line["p_fail_7d"], costs["nothing"], costs["later"], costs["now"],
        )  # fmt: skip
        found.append(Advised(item, basis, Known(newest, stands)))
    return sorted(found, key=lambda each: _urgency(each.item))


def _urgency(item: Mapping[str, Any]) -> tuple[int, int, float, str]:
    level = len(PRIORITIES) if item["priority"] is None else PRIORITIES.index(item["priority"])
    worth = -(item["stake"] or 0.0) * item["confirmed"]
    return level, CONFIDENCES.index(item["confidence"]), worth, item["failure_mode"] or ""


def _condition(query: RecommendationQuery, types: Mapping[str, DeviceType]) -> tuple[str, list[Any]]:
    text, parameters = any_of(
        {
            "device_id": query.devices, "device_type": query.types, "site": query.sites,
            "mode": query.failure_modes, "confidence": query.confidences, "priority": query.priorities,
            "decision": query.decisions,
        }
    )  # fmt: skip
    if query.filter.strip():
        vocabulary = recommendation_vocabulary(types)
        condition = filters.sql(filters.parse(query.filter, vocabulary), vocabulary)
        text, parameters = f"{text} AND {condition.text}", [*parameters, *condition.parameters]
    return text, parameters


def _advised(view: View, types: Mapping[str, DeviceType], advisers: Advisers) -> _Advised:
    """Advice for every device with an alert that stands, or with a forecast that is a sign."""
    parts, kinds, prospects = [_SCHEMA.empty_table()], list[Sequence[Advice]](), list[Prospects | None]()
    standing = _STOOD.empty_table()
    if view.alerts is not None:
        states = view.alerts["state"].cast(pa.string())
        standing = view.alerts.filter(pc.is_in(states, pa.array(STANDING)))
    type_of = standing["device_type"].cast(pa.string())
    for name in view.types:
        if name not in types:
            continue
        adviser = advisers.find(types[name])
        seen = forecast_of.of_type(view.tables[name], adviser, view.as_of_us)
        mine = standing.filter(pc.equal(type_of, name))
        if not len(mine) and (seen is None or not seen.is_sign.any()):
            continue
        lines, advice = _advised_of(view, mine, adviser, seen, len(kinds))
        parts.append(lines)
        kinds.append(advice)
        prospects.append(seen)
    return _Advised(pa.concat_tables(parts), kinds, prospects)


def _advised_of(
    view: View, standing: pa.Table, adviser: Adviser, prospects: Prospects | None, number: int
) -> tuple[pa.Table, Sequence[Advice]]:
    """The same for the devices of one type, and the kinds of advice that there are."""
    device_type = adviser.device_type
    table = view.tables[device_type.name]
    coded = standing["device_id"].combine_chunks().dictionary_encode()
    device, ids = coded.indices.to_numpy(), coded.dictionary
    row = _rows(table, ids)
    rules = pa.array([rule.name for rule in device_type.rules], pa.string())
    rule = pc.index_in(standing["rule"].cast(pa.string()), rules).fill_null(-1).to_numpy()
    known = rule >= 0
    raised = np.zeros(len(ids), np.uint64)
    np.bitwise_or.at(raised, device[known], np.uint64(1) << rule[known].astype(np.uint64))
    since = np.full(len(ids), _NEVER_US)
    np.minimum.at(since, device, standing["since"].cast(pa.int64()).fill_null(0).to_numpy())
    first = np.zeros(len(ids), np.int64)
    first[device] = np.arange(len(device))
    sites = standing["site"].cast(pa.string()).take(pa.array(first)).combine_chunks()
    named = np.full(len(ids), -1)
    if prospects is not None:
        sign = prospects.named()
        named = np.where(row >= 0, sign[row], -1)
        sign[row[row >= 0]] = -1
        more = np.flatnonzero(sign >= 0)  # those that have a forecast alone
        also = table.select(["device_id", "site"]).take(pa.array(more)).combine_chunks()
        ids = pa.concat_arrays([ids, also["device_id"].cast(pa.string()).combine_chunks()])
        sites = pa.concat_arrays([sites, also["site"].cast(pa.string()).combine_chunks()])
        row, named = np.concatenate([row, more]), np.concatenate([named, sign[more]])
        raised = np.concatenate([raised, np.zeros(len(more), np.uint64)])
        since = np.concatenate([since, np.full(len(more), _NEVER_US)])
    advised = adviser.advise_many(raised, named)
    levels = {rule.name: PRIORITIES.index(rule.priority) for rule in device_type.rules}
    level = np.array(
        [
            min((levels[sign.name] for sign in each.signs if sign.kind == "alert"), default=len(PRIORITIES))
            for each in advised.kinds
        ],
        np.int32,
    )
    doubt = np.array([CONFIDENCES.index(each.confidence) for each in advised.kinds], np.int32)
    taken, kind = pa.array(advised.device), pa.array(advised.kind)
    rows, since = row[advised.device], since[advised.device]
    health = _taken(table["health"], rows)
    places = _mode_places(device_type, advised.kinds)
    shown = _money(prospects, adviser, rows, places[advised.kind])
    devices = ids.take(taken)
    words = pa.array([each.failure_mode or _UNKNOWN for each in advised.kinds], pa.string()).take(kind)
    columns = {
        "id": pc.binary_join_element_wise(devices, words, ":"),
        "device_id": devices,
        "device_type": pa.array([device_type.name] * len(taken), pa.string()),
        "site": sites.take(taken),
        "mode": pa.array([each.failure_mode or "" for each in advised.kinds], pa.string()).take(kind),
        "action": pa.array(
            [each.actions[0].name if each.actions else None for each in advised.kinds], pa.string()
        ).take(kind),
        "confidence": pa.array([each.confidence for each in advised.kinds], pa.string()).take(kind),
        "priority": pa.array([*PRIORITIES, None], pa.string()).take(pa.array(level)).take(kind),
        "urgency": pa.array((level * len(CONFIDENCES) + doubt)[advised.kind]),
        "health": health,
        "state": pc.if_else(health.is_null(), float("inf"), health.cast(pa.float64())),
        "since_us": pa.array(since, mask=since == _NEVER_US),
        **{name: shown[name].combine_chunks() for name in shown.column_names},
        "type_number": pa.array(np.full(len(taken), number, np.int32)),
        "row": pa.array(rows),
        "kind": kind,
    }
    return pa.table(columns, schema=_SCHEMA), advised.kinds


def _money(
    prospects: Prospects | None, adviser: Adviser, rows: NDArray[np.int64], mode: NDArray[np.int64]
) -> pa.Table:
    """Expected costs of advice about devices, what is at stake, and when: one line a piece of advice.

    Parameters
    ----------
    rows : (m,) which devices of ``prospects``; -1: none
    mode : (m,) the place of the failure mode that the advice is about
    """
    if prospects is None:
        nothing = pa.nulls(len(rows))
        blank = {name: nothing.cast(_SCHEMA.field(name).type) for name in _MONEY}
        blank["worth"] = pa.array(np.zeros(len(rows)))
        blank["by_us"] = pa.array(np.full(len(rows), _NEVER_US))
        return pa.table(blank)
    found = prospects.priced(adviser, rows, mode)
    stake = found.nothing - np.minimum(found.now, found.later)
    made_us = prospects.made_us[rows]
    due_us, later_us = (forecast_of.after_us(made_us, hours) for hours in (found.due_h, found.later_h))
    chance = np.where(prospects.speaks(rows, mode, adviser), prospects.p_7d[rows], np.nan)
    columns = {
        **{name: _known(getattr(found, name)) for name in ("nothing", "later", "now")},
        "stake": _known(stake),
        "worth": pa.array(np.nan_to_num(stake)),
        "later_us": pa.array(later_us, mask=later_us == 0),
        "due_us": pa.array(due_us, mask=due_us == 0),
        "by_us": pa.array(np.where(due_us == 0, _NEVER_US, due_us)),
        "p_fail_7d": _known(chance.astype(np.float32)),
    }
    return pa.table(columns)


def _known(values: NDArray[Any]) -> pa.Array:
    """A column without NaN: null instead."""
    return pa.array(values, from_pandas=True)


def _mode_names(device_type: DeviceType) -> list[str]:
    """The failure modes by their places; the last stands for one that is not known."""
    return [*(mode.name for mode in device_type.failure_modes), ""]


def _mode_places(device_type: DeviceType, advice: Sequence[Advice]) -> NDArray[np.int64]:
    names = _mode_names(device_type)
    return np.array([names.index(each.failure_mode or "") for each in advice], np.int64)


def _rows(table: pa.Table, ids: pa.Array) -> NDArray[np.int64]:
    """(n,) In which line of a table each device is; -1: in none."""
    row = np.full(len(ids), -1)
    if len(ids):
        at = pc.index_in(table["device_id"], ids).fill_null(-1).to_numpy()
        found = np.flatnonzero(at >= 0)
        row[at[found]] = found
    return row


def _taken(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.Array:
    """A column of numbers at some lines, null where it is not known, or a line is -1."""
    values = column.take(pa.array(rows, mask=rows < 0)).combine_chunks().cast(pa.float32())
    return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float32()), values)


def _standing_decisions(
    view: View, found: _Advised, decisions: Sequence[Decision], now_us: int
) -> dict[str, Decision]:
    """Those decisions that stand, by recommendation. Looked at are those about what is recommended, no others."""
    if not decisions:
        return {}
    keys = pa.array([each.basis.recommendation for each in decisions], pa.string())
    at = pc.index_in(found.lines["id"], keys).fill_null(-1).to_numpy()
    rows = np.flatnonzero(at >= 0)
    lines = found.lines.select(["id", "device_id", "device_type", "row", "type_number", "kind"])
    lines = lines.take(pa.array(rows)).to_pylist()
    standing = _standing(view, [line["device_id"] for line in lines])
    stand: dict[str, Decision] = {}
    for line, place in zip(lines, at[rows].tolist(), strict=True):
        decision, own = decisions[place], standing.get(line["device_id"], [])
        life_cycle = view.tables[line["device_type"]]["life_cycle"]
        here = life_cycle[line["row"]].as_py() if line["row"] >= 0 else decision.basis.life_cycle
        if decision.stands(here, _spoken(found.advice(line), own), now_us):
            stand[line["id"]] = decision
    return stand


def _spoken(advice: Advice, standing: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The signs of advice as decisions keep them, and since when each stands, µs; 0 for a forecast."""
    raised = {f"alert:{line['rule']}": _since_us(line) for line in standing}
    return {word: raised.get(word, 0) for word in sign_words(sign[:2] for sign in advice.signs)}


def _since_us(line: Mapping[str, Any]) -> int:
    since = line["since"]
    return round(since.timestamp() * 1e6) if isinstance(since, datetime) else since or 0


def _states(decided: Mapping[str, Decision]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(decided.keys(), pa.string()),
            "decision": pa.array([each.state for each in decided.values()], pa.string()),
        }
    )


def _right_so_far(tallies: Sequence[Tally]) -> pa.Table:
    return pa.table(
        {
            "device_type": pa.array([each.device_type for each in tallies], pa.string()),
            "mode": pa.array([each.failure_mode for each in tallies], pa.string()),
            "confirmed": pa.array([each.confirmed for each in tallies], pa.float64()),
        }
    )


def _forecasts(view: View, lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
    """What is forecast for the devices of a page."""
    found: list[dict[str, Any] | None] = []
    for line in lines:
        table = view.tables[line["device_type"]]
        known = line["row"] >= 0 and line["p_fail_7d"] is not None
        found.append(
            forecast_of.of_line(table.select(PROGNOSIS).slice(line["row"], 1).to_pylist()[0])
            if known
            else None
        )
    return found


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


@dataclass(frozen=True, slots=True)
class _Case:
    """The device that advice is for, and its row among the forecasts."""

    device_id: str
    device_type: DeviceType
    site: str
    health: float | None
    row: int


def _item(
    case: _Case,
    advice: Advice,
    standing: Sequence[Mapping[str, Any]],
    money: Mapping[str, Any],
    forecast: Mapping[str, Any] | None,
    prospects: Prospects | None,
    adviser: Adviser,
    rules: Rules,
    decision: Decision | None,
    confirmed: float,
) -> dict[str, Any]:
    device_type = case.device_type
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
    if forecast is not None and money["p_fail_7d"] is not None:
        why.append(forecast_of.sign(forecast))
    prices = forecast_of.action_costs(prospects, case.row, adviser, advice.failure_mode, advice.actions)
    planned = adviser.planned(advice.failure_mode)
    return {
        "id": recommendation_id(case.device_id, advice.failure_mode),
        "device_id": case.device_id,
        "type": device_type.name,
        "site": case.site,
        "failure_mode": advice.failure_mode,
        "title": None if mode is None else mode.title or mode.name,
        "confidence": advice.confidence,
        "priority": alerts[0]["priority"] if alerts else None,
        "health": short(case.health),
        "since": min((each["since"] for each in alerts if each["since"] is not None), default=None),
        "why": why,
        "actions": [
            _action(each, advice.failure_mode, *price)
            for each, price in zip(advice.actions, prices, strict=True)
        ],
        "planned": None if planned is None else planned[0].name,
        "costs": _costs(money),
        "stake": forecast_of.money(money["stake"]),
        "due": iso(money["due_us"]),
        "confirmed": round(confirmed, 4),
        "decision": None if decision is None else decision_item(decision),
    }


def recommendation_id(device_id: str, failure_mode: str | None) -> str:
    """What a recommendation is called."""
    return f"{device_id}:{failure_mode or _UNKNOWN}"


def device_and_mode(recommendation: str) -> tuple[str, str]:
    """The device that a recommendation is for, and the failure mode, empty for one that is not known.

    Raises
    ------
    RecommendationNotFoundError : it is no id of one.
    """
    device_id, colon, mode = recommendation.rpartition(":")
    if not (device_id and colon and mode):
        raise RecommendationNotFoundError(recommendation)
    return device_id, "" if mode == _UNKNOWN else mode


def decision_item(decision: Decision) -> dict[str, Any]:
    """A decision as it is shown."""
    return {
        "state": decision.state,
        "by": decision.by,
        "at": iso(decision.at_us),
        "note": decision.note,
        "until": iso(decision.until_us),
        "accepted_by": decision.accepted_by,
        "accepted_at": iso(decision.accepted_us),
        "action": decision.basis.action,
        "outcome": decision.outcome,
    }


def _costs(money: Mapping[str, Any]) -> dict[str, Any] | None:
    """Null where not all of them are known."""
    if money["now"] is None:
        return None
    return {
        **{name: forecast_of.money(money[name]) for name in ("nothing", "later", "now")},
        "later_at": iso(money["later_us"]),
        "horizon_days": HORIZON_D,
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


def _action(
    action: MaintenanceAction, mode: str | None, now: float | None, later: float | None
) -> dict[str, Any]:
    return {
        "name": action.name,
        "title": action.title or action.name,
        "kind": action.kind,
        "cost": action.cost,
        "duration_h": action.duration_h,
        "crew": action.crew,
        "spares": dict(action.spares),
        "resets": None if mode is None else made_good(action, mode),
        "now": now,
        "later": later,
    }
