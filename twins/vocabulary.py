"""What a filter over devices may name, as SQL over the live table (``views.live``)."""

from collections.abc import Mapping
from typing import Final

from twins.devices import PRIORITIES, DeviceType
from twins.events import PATTERNS
from twins.filters import Field, Vocabulary
from twins.prognosis import FIGURES
from twins.views import COUNTERS, STATUSES

_NUMBERS: Final = (
    "alerts",
    "unacknowledged",
    "regime",
    "interval_s",
    "life_cycle",
    "model_version",
    *COUNTERS,
)


def device_vocabulary(types: Mapping[str, DeviceType]) -> Vocabulary:
    """The common columns, ``label.<name>``, ``pattern.<name>``, and the channels of all types.

    ``reporting``, ``stale``, ``silent`` and ``retired`` are flags; ``status`` is the same as a text.
    """
    levels = " ".join(f"WHEN {level} THEN '{name}'" for level, name in enumerate(PRIORITIES))
    fields = {
        "id": Field("text", sql="device_id"),
        "type": Field("text", sql="device_type", choices=tuple(sorted(types))),
        "site": Field("text"),
        "parent": Field("text", sql="nullif(parent, '')"),
        "name": Field("text"),
        "status": Field("text", choices=STATUSES),
        "priority": Field("text", sql=f"(CASE priority {levels} END)", choices=PRIORITIES),
        "health": Field("number", single=True),
        "observed": Field("number", single=True),
        "anomaly_score": Field("number", single=True),
        "anomalous": Field("flag"),
        **{name: Field("number", single=True) for name in FIGURES},
        "failure_mode": Field("text", choices=_modes(types)),
        "in_distribution": Field("flag"),
        "predicted_at": Field("time", sql="epoch_us(predicted_at)"),
        "event_time": Field("time", sql="epoch_us(event_time)"),
        "heard_at": Field("time", sql="epoch_us(heard_at)"),
        **{name: Field("number") for name in _NUMBERS},
        **{name: Field("flag", sql=f"(status = '{name}')") for name in STATUSES},
    }
    widths: dict[str, set[str]] = {}
    for device_type in types.values():
        for channel in device_type.channels:
            widths.setdefault(channel.name, set()).add(str(device_type.dtype))
    for name in sorted(widths.keys() - fields.keys()):
        fields[name] = Field("number", sql=quoted(name), single=widths[name] == {"float32"})
    return Vocabulary(fields, {"label": _label_field, "pattern": _pattern_field})


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _modes(types: Mapping[str, DeviceType]) -> tuple[str, ...]:
    return tuple(sorted({mode.name for each in types.values() for mode in each.failure_modes}))


def _label_field(name: str) -> Field:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return Field("text", sql="json_extract_string(labels, ?)", parameters=(pointer,), texts="labels")


def _pattern_field(name: str) -> Field | None:
    if name not in PATTERNS:
        return None
    return Field("flag", sql=f"((patterns >> {PATTERNS.index(name)}) & 1 = 1)")
