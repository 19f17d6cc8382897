"""Snapshots of earlier versions: a shard goes on from one as it would have gone on."""

from typing import Any

import numpy as np
import pytest

from tests.twins.fleets import PUMP, T0, batch_of, pumps, random_lines
from twins import commands as c
from twins import state
from twins.alert_state import FAR_US, PENDING, SHELVED
from twins.anomalies import YOUTH_DAYS
from twins.clock import DAY_US, SECOND_US
from twins.packing import Arrays, pack, unpack
from twins.readings import ShardBatch, rounded
from twins.shard import Shard
from twins.state import NEVER_US
from twins.traces import HABIT, WANDER_USUAL

DEVICES = [f"pump-{i}" for i in range(8)]
SILENT = [rule.name for rule in PUMP.rules].index("silent")


def pump_shard() -> Shard:
    shard = Shard(PUMP)
    shard.command(
        c.RegisterDevices(command_id="r", by="t", device_type=PUMP.name, devices=tuple(pumps(8))),
        T0 - SECOND_US,
    )
    return shard


def feed(shard: Shard, lines: list[Any]) -> list[tuple[Any, ...]]:
    """The events of these lines, one batch each."""
    told: list[tuple[Any, ...]] = []
    for line in lines:
        batch = batch_of([line])
        row = np.array([shard.row_of(line.device)], np.int32)
        values = rounded(batch.values, PUMP)
        applied = shard.apply(ShardBatch(row, batch.event_us, values, batch.present), line.now_us)
        told += [
            tuple(np.array(record).tobytes() for record in each) for each in applied.events.records.tolist()
        ]
    return told


def without_trends(shard: Shard) -> None:
    """Let a shard know of trends and ages what one does that was restored from before there were any."""
    signals, trends = shard.state.signals, shard.state.trends
    was = signals.seen_us != NEVER_US
    youth = signals.seen_us // DAY_US - ((signals.seen_us // DAY_US - signals.first_day) & 0xFFFF)
    trends.since_us[:] = np.where(was, youth * DAY_US, NEVER_US)
    trends.trend[:], trends.share[:], trends.regime[:] = np.nan, 0.0, signals.regime


def as_version_4(shard: Shard) -> tuple[dict[str, Any], Arrays]:
    """A snapshot as that version laid it out."""
    meta, arrays = shard.snapshot()
    old = {name: array for name, array in arrays.items() if not name.startswith("trends.")}
    return unpack(pack({**meta, "version": 4}, old))


def as_version_2(shard: Shard) -> tuple[dict[str, Any], Arrays]:
    """A snapshot as that version laid it out: everything of every alert, and every channel's event time."""
    meta, arrays = as_version_4(shard)
    n, rules = len(shard), len(PUMP.rules)
    entries = arrays.pop("alerts.entries")
    word = arrays.pop("alerts.occurrence").astype(np.int32) << 8
    stamp_s, timer_ms = np.full((n, rules), 77, np.uint32), np.full((n, rules), 99, np.uint32)
    due_us, clock_us = np.full(n, FAR_US), np.full(n, FAR_US)
    for row, rule, flags, stamp, due in entries.tolist():
        word[row, rule], stamp_s[row, rule] = flags, stamp
        if flags & PENDING:
            timer_ms[row, rule] = due // 1000 % 2**32
            clock = clock_us if rule == SILENT else due_us
            clock[row] = min(clock[row], due)
        if flags & SHELVED and stamp:
            clock_us[row] = min(clock_us[row], stamp * SECOND_US)
    del arrays["core.lag_low"], arrays["core.lag_high"]
    arrays["core.last_us"] = np.array([state.newest_us(shard.state.core, row) for row in range(n)])
    arrays |= {
        "alerts.word": word, "alerts.stamp_s": stamp_s, "alerts.timer_ms": timer_ms,
        "alerts.due_us": due_us, "alerts.clock_us": clock_us,
    }  # fmt: skip
    return unpack(pack({**meta, "version": 2}, arrays))


@pytest.mark.parametrize("seed", range(3))
def test_a_shard_goes_on_from_a_snapshot_of_version_2(seed: int) -> None:
    lines = random_lines(np.random.default_rng(seed), DEVICES, 150)
    shard = pump_shard()
    stop = next(n for n, line in enumerate(lines) if line.now_us > T0 + 50 * SECOND_US)
    feed(shard, lines[:stop])
    shard.command(
        c.ShelveAlert(
            command_id="s", by="t", device_id="pump-3", rule="hot", occurrence=None, duration_s=20.0
        ),
        shard.now_us,
    )
    restored = Shard.restore(*as_version_2(shard))
    without_trends(shard)
    assert len(state.to_arrays(shard.state, 8)["alerts.entries"])
    same(restored, shard)
    assert feed(restored, lines[stop:]) == feed(shard, lines[stop:])
    same(restored, shard)


def test_rows_can_be_chosen_from_a_snapshot_of_version_2() -> None:
    shard = pump_shard()
    feed(shard, random_lines(np.random.default_rng(5), DEVICES, 80))
    only = np.array([6, 1, 2])
    without_trends(shard)
    same(Shard.restore(*as_version_2(shard), only=only), Shard.restore(*shard.snapshot(), only=only))


def test_devices_from_before_ceilings_are_taken_for_grown_up() -> None:
    shard = pump_shard()
    feed(
        shard,
        [line for line in random_lines(np.random.default_rng(1), DEVICES, 80) if line.device != "pump-7"],
    )
    meta, arrays = as_version_2(shard)
    new = ("calm", "steady", "ceiling", "ceiling_day", "first_day")
    old = {key: array for key, array in arrays.items() if key.removeprefix("signals.") not in new}
    old["signals.marks"] = np.delete(arrays["signals.marks"], HABIT, axis=1)
    restored = Shard.restore({**meta, "version": 1}, old).state.signals
    assert restored.learned[:8].tolist() == [1] * 7 + [0]
    np.testing.assert_array_equal(restored.marks[0, HABIT], restored.marks[0, WANDER_USUAL])
    np.testing.assert_array_equal(restored.mean[:8], arrays["signals.mean"])
    assert (T0 // DAY_US - int(restored.first_day[0])) % 65536 == YOUTH_DAYS


def test_a_trend_begins_anew_after_a_snapshot_of_version_4() -> None:
    lines = random_lines(np.random.default_rng(7), DEVICES, 120)
    shard = pump_shard()
    feed(shard, lines[:80])
    restored = Shard.restore(*as_version_4(shard))
    without_trends(shard)
    same(restored, shard)
    assert feed(restored, lines[80:]) == feed(shard, lines[80:])
    same(restored, shard)
    assert np.isfinite(restored.state.trends.trend[0]).any()


def test_a_snapshot_of_a_later_version_is_refused() -> None:
    meta, arrays = pump_shard().snapshot()
    with pytest.raises(ValueError, match="snapshot version 8, this Twinfold reads 1 to 7"):
        Shard.restore({**meta, "version": 8}, arrays)


def same(one: Shard, other: Shard) -> None:
    """Both keep the same, bit for bit."""
    first, second = (state.to_arrays(shard.state, len(shard)) for shard in (one, other))
    assert first.keys() == second.keys()
    for key, array in first.items():
        assert array.tobytes() == second[key].tobytes(), key
    assert one.book.to_meta() == other.book.to_meta()
