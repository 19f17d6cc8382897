"""Events read back under their names, whatever version of their type is at hand."""

import numpy as np
import pytest

from twins.events import EVENT, EventBatch, Kind, decode


@pytest.mark.parametrize(
    ("kind", "slot", "note", "expected"),
    [
        (Kind.ALERT_RAISED, 1, {}, {"rule": "hot"}),
        (Kind.ALERT_RAISED, 2, {}, {"rule": "?2"}),
        (Kind.ALERT_RAISED, 2, {"rule": "cold"}, {"rule": "cold"}),
        (Kind.ALERT_RAISED, 0, {"rule": "cold"}, {"rule": "cold"}),
        (Kind.ANOMALY_STARTED, 3, {}, {"channel": "?3"}),
        (Kind.PATTERN_STARTED, 0, {}, {"channel": "flow", "pattern": "?99"}),
    ],
)
def test_every_slot_has_a_name(kind: Kind, slot: int, note: dict[str, str], expected: dict[str, str]) -> None:
    records = np.zeros(1, EVENT)
    records["kind"], records["slot"], records["occurrence"] = int(kind), slot, 99
    notes = {0: note} if note else {}
    (event,) = decode(
        EventBatch(records, notes),
        device_id=str,
        rules=["high", "hot"],
        channels=["flow"],
        recorded_us=1,
        cursor=1,
    )
    assert expected.items() <= event.detail.items()
