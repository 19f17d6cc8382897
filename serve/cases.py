"""Past cases of a failure mode in all devices of a type: how many there were, how many ended in failure, and how long before
an alert first told of it. Read from history, so for one recommendation at a time.
"""

from typing import Any, Final

import duckdb

from serve.maintenance import RECORDS
from serve.present import iso
from serve.prospects import money
from training.history import History
from twins.recommendations import Adviser

_MOST_SHOWN: Final = 5
_TOLD_WITHIN_US: Final = 180 * 86_400_000_000
"""An alert longer before a failure told of something else."""

_SAME_CASE_US: Final = 7 * 86_400_000_000
"""Work within a week of a failure is that failure's repair, not a case of its own."""

_CASES: Final = f"""
    {RECORDS}, work AS (
        SELECT * FROM records WHERE device_type = $type AND NOT withdrawn AND kind <> 'inspection'
    ), failures AS (
        SELECT * FROM work WHERE kind = 'failure' AND failure_mode = $mode
    ), forestalled AS (
        SELECT * FROM work w WHERE kind <> 'failure'
          AND (failure_mode = $mode OR failure_mode IS NULL AND action = $action)
          AND NOT EXISTS (
              FROM work f WHERE f.kind = 'failure' AND f.device_id = w.device_id
                AND f.done_us BETWEEN w.done_us - {_SAME_CASE_US} AND w.done_us
          )
    ), cases AS (
        SELECT *, TRUE AS failed FROM failures UNION ALL SELECT *, FALSE AS failed FROM forestalled
    ), alerted AS (
        SELECT device_id, epoch_us(event_time) AS at_us FROM events
        WHERE type = 'alert.raised' AND device_type = $type
          AND list_contains($rules::VARCHAR[], json_extract_string(detail, '/rule'))
    ), begun AS (
        SELECT f.id, f.done_us,
               greatest(f.done_us - {_TOLD_WITHIN_US}, coalesce(max(w.done_us), 0)) AS start_us
        FROM failures f LEFT JOIN work w ON w.device_id = f.device_id AND w.done_us < f.done_us
        GROUP BY f.id, f.done_us
    ), warned AS (
        SELECT f.id, (f.done_us - min(t.at_us)) / 3.6e9 AS hours
        FROM failures f JOIN begun b USING (id) JOIN alerted t
          ON t.device_id = f.device_id AND t.at_us > b.start_us AND t.at_us <= f.done_us
        GROUP BY f.id, f.done_us
    )
"""
_COUNTED: Final = f"""
    {_CASES} SELECT (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM failures) AS failed,
                    (SELECT count(*) FROM warned) AS warned, (SELECT median(hours) FROM warned) AS median_h
"""
_NEWEST: Final = f"""
    {_CASES} SELECT id, device_id, kind, action, note, done_us FROM cases
    ORDER BY done_us DESC, id LIMIT {_MOST_SHOWN}
"""


def past_cases(history: History, adviser: Adviser, failure_mode: str) -> dict[str, Any] | None:
    """What history has of a failure mode; None for one that is not known.

    A case is closed by a failure that was recorded under that mode, or by work under it, or by the action against it where
    no mode was named.
    """
    if not failure_mode:
        return None
    planned = adviser.planned(failure_mode)
    asked = {
        "type": adviser.device_type.name,
        "mode": failure_mode,
        "action": planned[0].name if planned else "",
        "rules": list(adviser.telling(failure_mode)),
    }
    try:
        (counted,) = history.query(_COUNTED, asked).to_pylist()
        newest = history.query(_NEWEST, asked).to_pylist() if counted["cases"] else []
    except duckdb.CatalogException:  # nothing has happened yet
        return {"count": 0, "failed": 0, "warned": 0, "warning_h": None, "newest": []}
    return {
        "count": counted["cases"],
        "failed": counted["failed"],
        "warned": counted["warned"],
        "warning_h": money(counted["median_h"]),
        "newest": [
            {
                "record": row["id"],
                "device_id": row["device_id"],
                "kind": row["kind"],
                "action": row["action"],
                "at": iso(row["done_us"]),
                "note": row["note"],
            }
            for row in newest
        ],
    }
