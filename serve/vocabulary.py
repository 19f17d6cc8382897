"""What the filters of each list may name, and what lists may sort by, as SQL over what they are made from."""

from collections.abc import Callable, Mapping
from typing import Final

from serve.decisions import STATES as DECISION_STATES
from twins import filters
from twins.alerts import AlertPhase
from twins.devices import PRIORITIES, DeviceType
from twins.filters import Field, Vocabulary
from twins.recommendations import CONFIDENCES
from twins.vocabulary import device_vocabulary, quoted

MAINTENANCE_KINDS: Final = ("failure", "repair", "replacement", "inspection")
MAINTENANCE_SORT_KEYS: Final = ("at",)
RECOMMENDATION_SORT_KEYS: Final = ("urgency", "stake", "due")
SORT_KEYS: Final = (
    "id", "type", "site", "health", "anomaly_score", "priority", "event_time", "alerts", "p_fail_7d", "rul_p50_h",
    "like_healthy",
)  # fmt: skip


def alert_vocabulary(types: Mapping[str, DeviceType]) -> Vocabulary:
    """The columns of alerts that stand."""
    return Vocabulary(
        {
            "device": Field("text", sql="device_id"),
            "type": Field("text", sql="device_type", choices=tuple(sorted(types))),
            "site": Field("text"),
            "rule": Field("text"),
            "title": Field("text"),
            "priority": Field("text", choices=PRIORITIES),
            "state": Field("text", choices=tuple(phase.name for phase in AlertPhase)),
            "active": Field("flag"),
            "occurrence": Field("number"),
            "since": Field("time", sql="epoch_us(since)"),
            "value": Field("number"),
            "limit": Field("number", sql='"limit"'),
            "shelved_until": Field("time", sql="epoch_us(shelved_until)"),
            "assignee": Field("text", sql="nullif(assignee, '')"),
            "acknowledged_by": Field("text", sql="nullif(acknowledged_by, '')"),
            "comments": Field("number"),
        }
    )


def maintenance_vocabulary(types: Mapping[str, DeviceType]) -> Vocabulary:
    """What is said of maintenance that was recorded."""
    return Vocabulary(
        {
            "device": Field("text", sql="device_id"),
            "type": Field("text", sql="device_type", choices=tuple(sorted(types))),
            "site": Field("text"),
            "kind": Field("text", choices=MAINTENANCE_KINDS),
            "action": Field("text"),
            "failure_mode": Field("text"),
            "by": Field("text", sql="recorded_by"),
            "note": Field("text"),
            "at": Field("time", sql="done_us"),
            "recorded_at": Field("time", sql="recorded_us"),
            "life_cycle": Field("number"),
            "corrections": Field("number"),
            "withdrawn": Field("flag"),
        }
    )


def recommendation_vocabulary(types: Mapping[str, DeviceType]) -> Vocabulary:
    """What is said of recommendations; ``action`` is the first of them."""
    return Vocabulary(
        {
            "device": Field("text", sql="device_id"),
            "type": Field("text", sql="device_type", choices=tuple(sorted(types))),
            "site": Field("text"),
            "failure_mode": Field("text", sql="nullif(mode, '')"),
            "action": Field("text"),
            "confidence": Field("text", choices=CONFIDENCES),
            "priority": Field("text", choices=PRIORITIES),
            "decision": Field("text", choices=DECISION_STATES),
            "health": Field("number", single=True),
            "since": Field("time", sql="since_us"),
            "p_fail_7d": Field("number", single=True),
            "nothing": Field("number"),
            "later": Field("number"),
            "now": Field("number"),
            "stake": Field("number"),
            "due": Field("time", sql="due_us"),
        }
    )


VOCABULARIES: Final[Mapping[str, Callable[[Mapping[str, DeviceType]], Vocabulary]]] = {
    "devices": device_vocabulary,
    "alerts": alert_vocabulary,
    "maintenance": maintenance_vocabulary,
    "recommendations": recommendation_vocabulary,
}
"""By list."""

SORTED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "devices": SORT_KEYS,
    "alerts": (),
    "maintenance": MAINTENANCE_SORT_KEYS,
    "recommendations": RECOMMENDATION_SORT_KEYS,
}
"""By list; those without have one order of their own."""


def channels_in(tree: filters.Tree, types: Mapping[str, DeviceType], vocabulary: Vocabulary) -> list[str]:
    """The channels that a filter reads."""
    channels = {channel.name for device_type in types.values() for channel in device_type.channels}
    return sorted(name for name in _names(tree) & channels if vocabulary.fields[name].sql == quoted(name))


def sort_expression(key: str, descending: bool) -> tuple[str, type]:
    """SQL for a sort key, and the kind of its values. It is never missing: no value comes last either way."""
    match key:
        case "id":
            return "device_id", str
        case "type" | "site":
            return f"CAST({'device_type' if key == 'type' else key} AS VARCHAR)", str
        case "priority":
            level = "CAST(priority AS INTEGER)"
            return (f"(({level} + 1) % 256)" if descending else level), int
        case "alerts":
            return "CAST(alerts AS INTEGER)", int
        case "event_time":
            return f"coalesce(epoch_us(event_time), {-1 if descending else 2**62})", int
        case _:
            worst = "-inf" if descending else "inf"
            return f"CAST(coalesce(nullif({key}, 'nan'::FLOAT), '{worst}'::FLOAT) AS DOUBLE)", float


def _names(tree: filters.Tree) -> set[str]:
    """The keys of all terms in a filter."""
    match tree:
        case filters.And(parts) | filters.Or(parts):
            return set().union(*(_names(part) for part in parts))
        case filters.Not(part):
            return _names(part)
        case _:
            return {tree.term.key}
