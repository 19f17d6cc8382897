"""What a shard shows of its twins: the live table, one twin whole, alerts that stand. It changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import alerts
from twins.alerts import AlertNote, AlertPhase
from twins.devices import PRIORITIES, DeviceType
from twins.downlink import Desired
from twins.events import PATTERNS
from twins.health import breakdown
from twins.prognosis import FIGURES, LIKE_HEALTHY, NEVER, QUANTILES, SAID, WITHIN_H
from twins.readings import Fate
from twins.state import IMPORTING, NEVER_US, RETIRED, STALE, newest_us
from twins.traces import MAX_REGIMES

if TYPE_CHECKING:
    from twins.shard import Shard

CODED: Final = pa.dictionary(pa.int32(), pa.string())

_TIME: Final = pa.timestamp("us", "UTC")

ALERTS: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("device_type", CODED),
        ("site", CODED),
        ("rule", CODED),
        ("title", CODED),
        ("priority", CODED),
        ("state", CODED),
        ("active", pa.bool_()),
        ("occurrence", pa.int64()),
        ("since", _TIME),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("shelved_until", _TIME),
        ("assignee", pa.string()),
        ("acknowledged_by", pa.string()),
        ("comments", pa.int32()),
    ]
)
"""The columns of alerts that stand."""

STATUSES: Final = ("reporting", "stale", "silent", "retired", "importing")
"""What a device may be said to be: ``silent`` has never been heard, of one that is ``importing`` the past is being told."""


COUNTERS: Final = ("scored", "late", "duplicate", "bad", "future")

PROGNOSIS: Final = (*FIGURES, "failure_mode", "in_distribution", "model_version", "predicted_at")
"""What is forecast of a device; null where nobody has, or where the model cannot say (``in_distribution`` is false then)."""

COMMON: Final = (
    "device_id", "device_type", "site", "parent", "name", "labels", "status", "health", "observed",
    "anomaly_score", "anomalous", "patterns", "regime", "alerts", "unacknowledged", "priority", "event_time",
    "heard_at", "interval_s", "life_cycle", *COUNTERS, *PROGNOSIS,
)  # fmt: skip
"""The columns that the table of every type has, beside one for each channel."""

_EXPECTED_WITHIN: Final = 2.0
"""Standard deviations on either side of a baseline's mean within which a reading is expected: 95 of 100 are, if normal."""


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What the live table is made of, copied at one moment: quick, so that a shard is not held while it is put in shape."""

    device_type: DeviceType
    said: dict[str, pa.Array]
    state: dict[str, NDArray[Any]]


def live(shard: "Shard") -> pa.Table:
    """One line a device: what it is, how it is, its latest values under their channels' names. A copy of this moment."""
    return shaped(glance(shard))


def glance(shard: "Shard") -> Glance:
    """Copy what the live table shows."""
    n = len(shard)
    core, sig = shard.state.core, shard.state.signals
    copied = {
        name: array[:n].copy()
        for name, array in (
            ("status", core.status), ("event_us", core.event_us), ("heard_us", core.heard_us),
            ("interval_us", core.interval_us), ("life_cycle", core.life_cycle), ("counts", core.counts),
            ("last_value", core.last_value), ("health", sig.health), ("observed", sig.observed),
            ("anomaly_score", sig.anomaly_score), ("anomalous", sig.anomalous), ("patterns", sig.patterns),
            ("regime", sig.regime),
        )
    }  # fmt: skip
    copied.update(
        {f"prognosis.{name}": each[:n].copy() for name, each in shard.state.prognoses._asdict().items()}
    )
    standing = alerts.standing(shard.state.alerts, shard.alert_params, np.arange(n))
    is_past = core.status[:n] & IMPORTING > 0
    for name, none in (("alerts", 0), ("unacknowledged", 0), ("priority", alerts.NO_PRIORITY)):
        standing[name][is_past] = none  # of another time
    copied.update(standing)
    return Glance(shard.device_type, shard.roster.columns(), copied)


def shaped(seen: Glance) -> pa.Table:
    """The live table of a glance; may be made in another thread."""
    state, n = seen.state, len(seen.state["status"])
    columns: dict[str, Any] = dict(seen.said)
    columns["device_type"] = _repeated(seen.device_type.name, n)
    columns["status"] = _coded(_status(state["status"], state["heard_us"]), STATUSES)
    columns["health"] = _known(_judged(state["health"], state["observed"]))
    columns["observed"] = pa.array(state["observed"])
    columns["anomaly_score"] = _known(state["anomaly_score"])
    columns["anomalous"] = pa.array(state["anomalous"] > 0)
    columns["patterns"] = pa.array(np.bitwise_or.reduce(state["patterns"], axis=1))
    columns["regime"] = pa.array(state["regime"])
    columns.update({name: pa.array(state[name]) for name in ("alerts", "unacknowledged", "priority")})
    columns["event_time"] = _times(state["event_us"])
    columns["heard_at"] = _times(state["heard_us"])
    columns["interval_s"] = pa.array(state["interval_us"] / 1e6, mask=state["interval_us"] == 0)
    columns["life_cycle"] = pa.array(state["life_cycle"])
    for fate in (Fate.SCORED, Fate.LATE, Fate.DUPLICATE, Fate.BAD, Fate.FUTURE):
        columns[fate.name.lower()] = pa.array(np.ascontiguousarray(state["counts"][:, int(fate)]))
    columns.update(_forecast(seen))
    for c, channel in enumerate(seen.device_type.channels):
        columns[channel.name] = _known(np.ascontiguousarray(state["last_value"][:, c]))
    return pa.table(columns)


def twin(shard: "Shard", row: int) -> dict[str, Any]:
    """Everything that is known of one device, as JSON values. Times are µs since the epoch, None where nothing happened."""
    core, sig = shard.state.core, shard.state.signals
    device_type = shard.device_type
    device = shard.device(row)
    lost = breakdown(sig, shard.signal_params, np.array([row]))
    known = not np.isnan(sig.health[row])
    newest = newest_us(core, row)
    expected = _expected(shard, row)
    return {
        "id": device.id,
        "type": device_type.name,
        "type_version": device_type.version,
        "site": device.site,
        "parent": device.parent,
        "name": device.name,
        "labels": dict(device.labels),
        "status": STATUSES[int(_status(core.status[row : row + 1], core.heard_us[row : row + 1])[0])],
        "version": int(core.version[row]),
        "health": _number(_judged(sig.health[row : row + 1], sig.observed[row : row + 1])[0]),
        "observed": _number(sig.observed[row]),
        "breakdown": [
            {"channel": channel.name, "indicator": indicator, "points": float(points[0, c])}
            for indicator, points in lost.items()
            for c, channel in enumerate(device_type.channels)
            if points[0, c] > 0
        ]
        if known
        else [],
        "anomaly_score": _number(sig.anomaly_score[row]),
        "anomalous": bool(sig.anomalous[row]),
        "patterns": [
            {"pattern": name, "channel": channel.name}
            for c, channel in enumerate(device_type.channels)
            for bit, name in enumerate(PATTERNS)
            if sig.patterns[row, c] >> bit & 1
        ],
        "regime": int(sig.regime[row]),
        "baseline": {"learned": bool(sig.learned[row]), "readings": int(sig.readings[row])},
        "event_us": _time(core.event_us[row]),
        "heard_us": _time(core.heard_us[row]),
        "interval_s": float(core.interval_us[row] / 1e6) if core.interval_us[row] else None,
        "life_cycle": int(core.life_cycle[row]),
        "counts": {fate.name.lower(): int(core.counts[row, int(fate)]) for fate in Fate},
        "values": {
            channel.name: {
                "value": _number(core.last_value[row, c]),
                "unit": channel.unit,
                "event_us": _time(newest[c]),
                "quality": _quality(shard, row, c) if newest[c] != NEVER_US else None,
                "expected": expected.get(c),
            }
            for c, channel in enumerate(device_type.channels)
        },
        "alerts": _alert_items(shard, np.array([row])),
        "prognosis": prognosis(shard, row),
        **downlink(shard, row),
    }


def prognosis(shard: "Shard", row: int) -> dict[str, Any] | None:
    """The newest forecast of one device; None: nobody made one. Without figures where the model cannot say."""
    of = shard.state.prognoses
    if of.said[row] == NEVER:
        return None
    modes = shard.device_type.failure_modes
    return {
        **{name: _number(of.p_fail[row, i]) for i, name in enumerate(WITHIN_H)},
        **{name: _number(of.rul_h[row, i]) for i, name in enumerate(QUANTILES)},
        LIKE_HEALTHY: _number(of.like_healthy[row]),
        "failure_mode": modes[of.mode[row]].name if of.mode[row] >= 0 else None,
        "share": _number(of.share[row]),
        "in_distribution": bool(of.said[row] == SAID),
        "model_version": int(of.model[row]),
        "predicted_us": _time(of.event_us[row]),
    }


def downlink(shard: "Shard", row: int) -> dict[str, Any]:
    """What is asked of one device and what it said: ``properties`` by name, ``desired_version``, ``commands`` by number."""
    of = shard.downlinks.of(row)
    return {
        "desired_version": of.version,
        "properties": {
            each.name: {
                "standing": of.standing(each.name),
                "desired": _desired(of.desired.get(each.name)),
                "reported": _fields(of.reported.get(each.name)),
            }
            for each in shard.device_type.properties
        },
        "commands": [_fields(order) for order in of.orders],
    }


def _desired(wanted: Desired | None) -> dict[str, Any] | None:
    return None if wanted is None else {n: v for n, v in asdict(wanted).items() if n != "met"}


def _fields(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def standing_alerts(shard: "Shard", rows: NDArray[np.int64] | None = None) -> pa.Table:
    """The alerts of ``rows`` that stand or are put aside, a line each, as of this moment.

    None: of all devices, but for those whose past is being told.
    """
    if rows is None:
        rows = np.flatnonzero(shard.state.core.status[: len(shard)] & IMPORTING == 0)
    found = alerts.open_alerts(shard.state, shard.alert_params, shard.device_type, shard.book, rows)
    rules = shard.device_type.rules
    roster = shard.roster.columns()
    taken = pa.array(found.row)
    notes = [note or AlertNote() for note in found.note]
    return pa.table(
        {
            "device_id": roster["device_id"].take(taken),
            "device_type": _repeated(shard.device_type.name, len(taken)),
            "site": roster["site"].take(taken),
            "rule": _coded(found.rule, [rule.name for rule in rules]),
            "title": _coded(found.rule, [rule.title or rule.name for rule in rules]),
            "priority": _coded(found.priority, PRIORITIES),
            "state": _coded(found.phase, [phase.name for phase in AlertPhase]),
            "active": pa.array(found.active),
            "occurrence": pa.array(found.occurrence),
            "since": _times(np.where(found.since_us > 0, found.since_us, NEVER_US)),
            "value": _known(found.value),
            "limit": _known(found.limit),
            "shelved_until": _times(np.where(found.until_us > 0, found.until_us, NEVER_US)),
            "assignee": pa.array([note.assignee for note in notes], pa.string()),
            "acknowledged_by": pa.array([note.acked_by for note in notes], pa.string()),
            "comments": pa.array([len(note.comments) for note in notes], pa.int32()),
        },
        schema=ALERTS,
    )


def _forecast(seen: Glance) -> dict[str, Any]:
    """The columns of ``PROGNOSIS``."""
    of = {
        name: seen.state[f"prognosis.{name}"]
        for name in ("p_fail", "rul_h", LIKE_HEALTHY, "mode", "said", "model", "event_us")
    }
    never = of["said"] == NEVER
    modes = [mode.name for mode in seen.device_type.failure_modes]
    likeliest = pa.array(of["mode"].astype(np.int32), mask=of["mode"] < 0)
    return {
        **{name: _known(np.ascontiguousarray(of["p_fail"][:, i])) for i, name in enumerate(WITHIN_H)},
        **{name: _known(np.ascontiguousarray(of["rul_h"][:, i])) for i, name in enumerate(QUANTILES)},
        LIKE_HEALTHY: _known(of[LIKE_HEALTHY]),
        "failure_mode": pa.DictionaryArray.from_arrays(likeliest, pa.array(modes, pa.string())),
        "in_distribution": pa.array(of["said"] == SAID, mask=never),
        "model_version": pa.array(of["model"], mask=never),
        "predicted_at": _times(of["event_us"]),
    }


def _alert_items(shard: "Shard", rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = standing_alerts(shard, rows).to_pylist()
    for item in items:
        for name in ("since", "shelved_until"):
            item[name] = item[name] and round(item[name].timestamp() * 1e6)
    return items


def _coded(codes: NDArray[Any], words: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words, pa.string()))


def _repeated(word: str, n: int) -> pa.DictionaryArray:
    return _coded(np.zeros(n, np.int32), [word])


def _status(flags: NDArray[np.uint8], heard_us: NDArray[np.int64]) -> NDArray[np.int8]:
    status = np.zeros(len(flags), np.int8)
    status[flags & STALE > 0] = 1
    status[heard_us == NEVER_US] = 2
    status[flags & IMPORTING > 0] = 4
    status[flags & RETIRED > 0] = 3
    return status


def _judged(health: NDArray[np.float32], observed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Health is unknown where nothing of the device can be seen."""
    return np.where(observed > 0, health, np.float32(np.nan))


def _quality(shard: "Shard", row: int, c: int) -> str:
    core = shard.state.core
    if core.bad[row] >> np.uint64(c) & np.uint64(1):
        return "BAD"
    return "STALE" if core.status[row] & STALE else "GOOD"


def _expected(shard: "Shard", row: int) -> dict[int, dict[str, float | None]]:
    """Where readings lie while the device is as its baseline, in its present regime; by channel, of those that are known."""
    sig, params = shard.state.signals, shard.signal_params
    if not sig.learned[row]:
        return {}
    regime = sig.regime[row] & (MAX_REGIMES - 1)
    mean = sig.mean[row, regime]
    reach = np.float32(_EXPECTED_WITHIN) * sig.spread[row, regime]
    return {
        int(params.channel[j]): {"low": _number(mean[j] - reach[j]), "high": _number(mean[j] + reach[j])}
        for j in np.flatnonzero(sig.counted[row, regime] >= params.known)
    }


def _known(values: NDArray[Any]) -> pa.Array:
    """NaN is null: there is no value."""
    return pa.array(values, from_pandas=True)


def _times(times_us: NDArray[np.int64]) -> pa.Array:
    return pa.array(times_us, mask=times_us == NEVER_US).cast(_TIME)


def _time(at_us: Any) -> int | None:
    return None if at_us == NEVER_US else int(at_us)


def _number(value: Any) -> float | None:
    """The shortest decimal that means this value in its own precision: 38.3, not 38.29999923706055."""
    return None if np.isnan(value) else float(str(value))
