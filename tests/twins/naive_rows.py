"""What the oracle knows of a device, laid out as the shard keeps it: one row of every state array.

The one place where the tests know how bits, codes and timers are packed.
"""

from typing import Any

import numpy as np

from tests.twins.naive_fleet import FATES, NEVER, Forecast, NaiveDevice
from twins import alert_state, traces
from twins.rules import AlertParams
from twins.state import HAS_CHILDREN, IMPORTING, LAG_NEVER, RETIRED, STALE

LOOK_AGAIN = 1 << 63
NOTHING = Forecast([np.nan] * 3, [np.nan] * 3, -1, np.nan, 0, np.nan, 0, NEVER)

Row = dict[str, Any]


def row_of(twin: NaiveDevice, p: AlertParams) -> Row:
    """Every array's row under ``section.name``, as ``state.to_arrays`` names them; ``p`` says which bit is which test."""
    parts = {
        "core": core_row(twin),
        "signals": signals_row(twin),
        "alerts": alerts_row(twin, p),
        "trends": trends_row(twin),
        "prognoses": (twin.forecast or NOTHING)._asdict(),
    }
    return {f"{section}.{name}": value for section, row in parts.items() for name, value in row.items()}


def core_row(twin: NaiveDevice) -> Row:
    names = twin.type.channel_names
    newest = [twin.newest_us[name] for name in names]
    behind = [LAG_NEVER if at_us == NEVER else min(twin.event_us - at_us, LAG_NEVER - 1) for at_us in newest]
    return {
        "last_value": [twin.value[name] for name in names],
        "lag_low": [lag & 0xFFFFFFFF for lag in behind],
        "lag_high": [lag >> 32 for lag in behind],
        "bad": sum(1 << names.index(name) for name in twin.bad),
        "event_us": twin.event_us,
        "heard_us": NEVER if twin.heard_us is None else twin.heard_us,
        "interval_us": twin.interval_us,
        "gaps": twin.gaps,
        "status": RETIRED * twin.retired
        | IMPORTING * twin.importing
        | STALE * twin.stale
        | HAS_CHILDREN * twin.has_children
        | twin.parent_flags,
        "counts": [twin.counts[fate] for fate in FATES],
        "life_cycle": twin.life_cycle,
        "version": twin.version,
    }


def signals_row(twin: NaiveDevice) -> Row:
    s = twin.signals
    regimes = range(s.regimes)
    track = np.zeros((5, len(s.features)))
    marks = np.zeros((11, len(s.features)), int)
    for j, f in enumerate(s.features):
        for layer, value in (
            (traces.FAST, f.fast), (traces.REFERENCE, f.reference), (traces.WANDER, f.wander),
            (traces.LEVEL, f.level), (traces.NOISE, f.noise),
        ):  # fmt: skip
            track[layer, j] = value
        for layer, mark in (
            (traces.GAP, f.gap), (traces.GAP_USUAL, f.longest_gap), (traces.NOISE_USUAL, f.usual_noise),
            (traces.WANDER_USUAL, f.usual_wander), (traces.HABIT, f.habit), (traces.QUIET, f.quietest),
            (traces.CROSSING, f.since_crossing | f.above << 7), (traces.PERIOD, f.period),
            (traces.HITS, f.agreeing), (traces.SPIKE, f.spike_left), (traces.RISE, 255 if f.jumped else f.rising),
        ):  # fmt: skip
            marks[layer, j] = mark
    told = s.lines >= s.warm_after
    bins = [(b, len(edges) + 1) for b, (_, edges) in zip(s.bins, s.conditions, strict=True)]
    number, stride = 0, 1
    for b, count in bins:
        number, stride = number + b * stride, stride * count
    return {
        "health": s.health,
        "observed": s.observed,
        "anomaly_score": s.anomaly_score,
        "anomalous": s.anomalous,
        "streak": s.bar_taken if s.anomalous else s.streak,
        "calm": s.calm,
        "steady": s.steady,
        "ceiling": [height for height, _ in s.ceilings],
        "ceiling_day": [day for _, day in s.ceilings],
        "first_day": s.first_day,
        "patterns": [s.pattern_bits(c) for c in range(len(twin.type.channels))],
        "regime": number,
        "learned": s.learned,
        "readings": s.lines,
        "disturbed": s.disturbed,
        "seen_us": NEVER if s.seen_us is None else s.seen_us,
        "mean": [[f.regimes[g].mean for f in s.features] for g in regimes],
        "spread": [[f.regimes[g].spread for f in s.features] for g in regimes],
        "counted": [[f.regimes[g].count for f in s.features] for g in regimes],
        "bond": [value for row in s.bond for value in row],
        "track": track,
        "marks": marks,
        "tail": [[t.quantile * told, t.excess * told, t.scatter * told] for t in s.tails],
        "peak": s.peak,
    }


def trends_row(twin: NaiveDevice) -> Row:
    t = twin.trends
    return {
        "trend": t.trends,
        "share": t.shares,
        "regime": t.regime,
        "since_us": NEVER if t.since_us is None else t.since_us,
    }


def alerts_row(twin: NaiveDevice, p: AlertParams) -> Row:
    atoms = [0] * len(p.words)
    entries = []
    for alert, rule in zip(twin.alerts.alerts, p.rules, strict=True):
        pushed = [p.atoms[step] for step in p.code[rule["start"] : rule["stop"]] if step >= 0]
        for test, atom in zip(alert.tests(), pushed, strict=True):
            atoms[atom["word"]] |= int(atom["bit"]) * alert.held.get(test, False)
        flags = (
            alert_state.ACTIVE * alert.active
            | alert_state.PENDING * (alert.due_us is not None)
            | alert_state.UNACKED * (alert.base in ("UNACK", "RTN_UNACK", "LATCHED_UNACK"))
            | alert_state.LATCHED * alert.base.startswith("LATCHED")
            | alert_state.SHELVED * ("shelved" in alert.away)
            | alert_state.SUPPRESSED * ("suppressed" in alert.away)
            | alert_state.PARENT * ("parent" in alert.away)
            | alert_state.OUT * ("out" in alert.away)
        )
        if flags or alert.occurrence > 65535:
            word = alert.occurrence << alert_state.FLAG_BITS | flags
            due_us = alert_state.FAR_US if alert.due_us is None else alert.due_us
            entries.append((alert.index, word, alert.stamp_s, due_us))
    atoms[0] |= 0 if twin.alerts.looked else LOOK_AGAIN
    rates = [
        twin.alerts.device.rates.get(twin.type.channels[c].name, (np.nan, np.nan, np.nan, 0))
        for c in p.rate_channel
    ]
    return {
        "atoms": atoms,
        "occurrence": [min(alert.occurrence, 65535) for alert in twin.alerts.alerts],
        "entries": entries,
        "scores": [],  # no rule here asks for one
        "rate": [rate[:3] for rate in rates],
        "rate_us": [rate[3] for rate in rates],
    }


def book_of(twin: NaiveDevice) -> dict[str, Any]:
    """What people said of its alerts, as the shard's book says it in a snapshot."""
    return {
        rule: {
            "occurrence": note.occurrence,
            "assignee": note.assignee,
            "acked_by": note.acked_by,
            "acked_us": note.acked_us,
            "comments": [list(comment) for comment in note.comments],
            "aside": {what: list(said) for what, said in note.aside.items()},
        }
        for rule, note in twin.book.items()
    }
