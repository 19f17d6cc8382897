"""The condition of twins is kept where it changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.journals import START_US
from training.condition import ConditionLog
from training.errors import HistoryConflictError
from training.history import History
from training.tables import TIMESTAMP
from twins.clock import MINUTE_US


def live(health: list[float | None], score: float = 0.0, heard: bool = True, **columns: Any) -> pa.Table:
    n = len(health)
    filled = {
        "device_id": [f"d{i}" for i in range(n)],
        "status": ["reporting"] * n,
        "health": pa.array(health, pa.float32()),
        "observed": np.ones(n, np.float32),
        "anomaly_score": np.full(n, score, np.float32),
        "anomalous": [False] * n,
        "patterns": np.zeros(n, np.uint8),
        "life_cycle": np.zeros(n, np.int32),
        "event_time": pa.array([START_US if heard else None] * n, TIMESTAMP),
    }
    return pa.table(filled | columns)


def test_how_a_device_was_is_not_kept_as_how_it_is(tmp_path: Path) -> None:
    log = ConditionLog(tmp_path)
    table = live([90.0, 80.0], status=["importing", "reporting"])
    assert log.observe("a", 1, START_US, "pump", table) == 1
    assert log.observe("a", 2, START_US + MINUTE_US, "pump", live([90.0, 80.0])) == 1


def test_only_changes_are_kept_and_at_most_one_a_minute(tmp_path: Path) -> None:
    log = ConditionLog(tmp_path)

    def look(minute: float, table: pa.Table) -> int:
        cursor = round(1 + minute * 100)
        return log.observe("a", cursor, START_US + round(minute * MINUTE_US), "pump", table)

    assert look(0, live([90.0, None, 50.0], heard=False)) == 0
    assert look(1, live([90.0, None, 50.0])) == 3
    assert look(2, live([90.3, None, 50.0])) == 0
    assert look(2.5, live([90.0, 80.0, 49.0])) == 2
    assert look(3, live([90.0, 70.0, 49.0])) == 0  # a minute has not passed
    assert look(3.5, live([90.0, 70.0, 49.0])) == 1
    assert look(5, live([90.0, 70.0, 49.0], score=0.2)) == 3
    assert look(7, live([90.0, 70.0, 49.0, 1.0], score=0.2, anomalous=[True, False, False, False])) == 2
    assert look(9, live([90.0, None, 49.0, 1.0], score=0.2, anomalous=[True, False, False, False])) == 1
    log.commit()
    with History(tmp_path) as history:
        found = history.query("SELECT count(*) AS n, max(cursor) AS cursor FROM condition").to_pylist()
    assert found == [{"n": 12, "cursor": 901}]


def test_what_is_committed_is_not_committed_again(tmp_path: Path) -> None:
    first = ConditionLog(tmp_path)
    first.observe("a", 5, START_US, "pump", live([90.0]))
    rival = ConditionLog(tmp_path)
    rival.observe("a", 6, START_US, "pump", live([90.0]))
    first.commit()
    with pytest.raises(HistoryConflictError):
        rival.commit()
    again = ConditionLog(tmp_path)
    assert again.observe("a", 5, START_US, "pump", live([10.0])) == 0
    again.commit()
    assert again.observe("a", 7, START_US, "pump", live([10.0])) == 1
    again.commit()
    with History(tmp_path) as history:
        assert history.query("SELECT health FROM condition ORDER BY cursor")["health"].to_pylist() == [
            90.0,
            10.0,
        ]
