"""What came of decisions: whether a recommendation was right, and what it came to, beside what was expected.

What was found says it at once. Where it does not, the device does: one that fails within 30 days, as far ahead as costs were
counted, was recommended with reason. How many were right of those that are decided, by type and failure mode, goes back
into the ranking of recommendations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb
import pyarrow as pa

from serve.decisions import AT_ONCE, Decision, Decisions, Verdict
from serve.maintenance import RECORDS
from training.history import History
from twins import costs
from twins.clock import SECOND_US
from twins.devices import DeviceType

WAIT_US: Final = 7 * 86_400 * SECOND_US
"""After so long, what was done and found to be something else is taken to say nothing, if the device has not failed."""

WITHIN_US: Final = costs.HORIZON_D * 86_400 * SECOND_US
"""A failure within this time of a decision is what was recommended against."""

FORGOTTEN_US: Final = 90 * 86_400 * SECOND_US
"""What was accepted and never done says nothing after that."""

_FAILED: Final = f"""
    {RECORDS} SELECT p.id, min(r.done_us) AS failed_us FROM pending p JOIN records r USING (device_id)
    WHERE r.kind = 'failure' AND NOT r.withdrawn AND r.done_us > p.since_us AND r.done_us <= p.since_us + {WITHIN_US}
      AND (p.mode = '' OR r.failure_mode IS NULL OR r.failure_mode = p.mode)
    GROUP BY p.id
"""


def score(decisions: Decisions, history: History, types: Mapping[str, DeviceType], now_us: int) -> int:
    """Say of every decision that is not closed what came of it so far; gives how many changed.

    Parameters
    ----------
    history : of all sites
    types : those in force, for what acts and failures cost
    """
    pending = decisions.pending()
    failed = _failures(history, pending) if pending else {}
    scored = []
    for decision in pending:
        verdict, is_final = verdict_of(decision, failed.get(decision.id), now_us)
        if verdict != decision.verdict or is_final:
            cost = _cost(decision, types, failed.get(decision.id)) if is_final else None
            scored.append(
                replace(decision, verdict=verdict, cost=cost, scored_us=now_us if is_final else None)
            )
    if scored:
        decisions.keep_scores(scored)
    return len(scored)


def verdict_of(decision: Decision, failed_us: int | None, now_us: int) -> tuple[Verdict | None, bool]:
    """What came of a decision, None while that is open; and whether that is the last word.

    Parameters
    ----------
    failed_us : when the device first failed within 30 days of it, by the failure mode or one that nobody named; None: it
        did not
    """
    age_us = now_us - _since_us(decision)
    if failed_us is not None:
        return ("hit" if decision.outcome == "fault_confirmed" else "missed"), True
    if decision.state == "dismissed":
        return ("false", True) if age_us >= WITHIN_US else (None, False)
    if decision.state == "accepted":
        return ("unclear", True) if age_us >= FORGOTTEN_US else (None, False)
    late: Verdict | None = "unclear" if age_us >= WAIT_US else None
    found = AT_ONCE.get(decision.outcome, late) if decision.outcome else late
    return found, age_us >= WITHIN_US


def _since_us(decision: Decision) -> int:
    waits = decision.state == "accepted" and decision.accepted_us is not None
    return (decision.accepted_us or 0) if waits else decision.at_us


def _failures(history: History, pending: Sequence[Decision]) -> dict[str, int]:
    """When the devices first failed since, by decision."""
    table = pa.table(
        {
            "id": pa.array([each.id for each in pending], pa.string()),
            "device_id": pa.array([each.basis.device_id for each in pending], pa.string()),
            "mode": pa.array([each.basis.failure_mode for each in pending], pa.string()),
            "since_us": pa.array([_since_us(each) for each in pending], pa.int64()),
        }
    )
    try:
        found = history.query(_FAILED, beside={"pending": table}).to_pylist()
    except duckdb.CatalogException:  # nothing has happened yet
        return {}
    return {row["id"]: row["failed_us"] for row in found}


def _cost(decision: Decision, types: Mapping[str, DeviceType], failed_us: int | None) -> float | None:
    """What it came to: the act, if one was done, and the failure, if there was one; None where the type does not say."""
    device_type = types.get(decision.basis.device_type)
    if device_type is None:
        return None
    acts: dict[Any, Any] = {each.name: each for each in device_type.actions}
    act = acts.get(decision.basis.action) if decision.state == "done" else None
    paid = 0.0 if act is None else act.cost + act.duration_h * device_type.downtime_cost_per_h
    if failed_us is None:
        return paid
    mend = costs.mending(device_type, decision.basis.failure_mode)
    plan = None if mend is None else costs.plan(device_type, decision.basis.failure_mode, mend)
    return None if plan is None else paid + plan.failure
