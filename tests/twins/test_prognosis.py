"""What a twin keeps of forecasts, and when it forgets them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.fleets import PUMP, T0
from twins import commands as c
from twins import entries, views
from twins.clock import SECOND_US, VirtualClock
from twins.devices import AlertRule, Device, Effect, FailureMode
from twins.errors import StaleDirectoryError
from twins.fleet import LocalFleet
from twins.prognosis import SAID, UNSAID, Prognoses
from twins.readings import ReadingBatch
from twins.shard import Shard

DOOMED = AlertRule(
    "doomed", "p_fail_7d > 0.3", "high", "it fails", "repair it", on_delay_s=2.0, off_delay_s=0.0
)
MODES = tuple(
    FailureMode(name, rate_per_h=0.001, effects=(Effect("vibration", shift=5.0),))
    for name in ("bearing-wear", "seal-leak")
)
TYPE = replace(PUMP, rules=(DOOMED,), failure_modes=MODES)
ASK: dict[str, Any] = {"by": "ann"}


def batch(ids: list[str], at_s: float) -> ReadingBatch:
    n = len(ids)
    values = np.tile(np.array([50.0, 1.0, 20.0], np.float32), (n, 1))
    event_us = np.full(n, T0 + round(at_s * SECOND_US))
    return ReadingBatch(TYPE.name, pa.array(ids, pa.string()), np.arange(n, dtype=np.int32), event_us, values)


def told(found: Any, p_fail_7d: float, said: int = SAID, **more: Any) -> Prognoses:
    n = len(found.rows)
    figures = np.nan if said == UNSAID else p_fail_7d
    of: dict[str, Any] = {
        "device_type": TYPE.name, "model": 4, "seal": found.seal, "rows": found.rows, "life_cycle": found.life_cycle,
        "event_us": found.event_us, "p_fail": np.full((n, 3), figures, np.float32),
        "rul_h": np.tile(np.array([10.0, 50.0, np.nan], np.float32), (n, 1)), "mode": np.full(n, 1, np.int8),
        "share": np.full(n, 0.75, np.float32), "said": np.full(n, said, np.uint8),
        "like_healthy": np.full(n, 0.5, np.float32),
    }  # fmt: skip
    return Prognoses(**{**of, **more})


class Rig:
    """A fleet of two pumps that send a line each second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        self.fleet = LocalFleet(folder, None, self.clock)
        self.fleet.install(TYPE)
        self.ids = ["a", "b"]
        self.fleet.register([Device(each, TYPE.name) for each in self.ids])
        self.at_s = 0.0
        self.lines()

    def lines(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.at_s += 1.0
            self.clock.advance_to(T0 + round(self.at_s * SECOND_US))
            self.fleet.write(batch(self.ids, self.at_s))

    def found(self) -> Any:
        return self.fleet.scorable(0, TYPE.name, 0, 100, True)

    def score(self, p_fail_7d: float, **more: Any) -> None:
        self.fleet.score(0, told(self.found(), p_fail_7d, **more))

    def prognosis(self, device_id: str) -> Any:
        return self.fleet.read_twin(device_id)["prognosis"]

    def states(self) -> list[str]:
        return [each["rule"] for each in self.fleet.alerts().to_pylist() if each["active"]]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "hosts")


def test_a_forecast_stands_in_the_twin_and_in_the_live_table(rig: Rig) -> None:
    assert rig.prognosis("a") is None
    assert rig.fleet.live(TYPE.name)["in_distribution"].to_pylist() == [None, None]
    rig.score(0.25)
    found = rig.prognosis("a")
    assert found == {
        "p_fail_24h": 0.25, "p_fail_7d": 0.25, "p_fail_30d": 0.25, "rul_p05_h": 10.0, "rul_p50_h": 50.0, "rul_p95_h": None,
        "like_healthy": 0.5, "failure_mode": "seal-leak", "share": 0.75, "in_distribution": True, "model_version": 4,
        "predicted_us": T0 + SECOND_US,
    }  # fmt: skip
    line = rig.fleet.live(TYPE.name).to_pylist()[0]
    assert (line["p_fail_7d"], line["failure_mode"], line["model_version"]) == (0.25, "seal-leak", 4)
    assert line["rul_p95_h"] is None


def test_a_rule_on_it_raises_an_alert_at_the_next_lines_after_its_delay(rig: Rig) -> None:
    rig.score(0.31)
    assert rig.states() == []
    rig.lines(2)
    assert rig.states() == []
    rig.lines(2)
    assert rig.states() == ["doomed", "doomed"]
    rig.score(0.1)
    rig.lines(2)
    assert rig.states() == []


def test_what_cannot_be_said_takes_no_alert_away_and_raises_none(rig: Rig) -> None:
    rig.score(0.9, said=UNSAID)
    rig.lines(5)
    assert rig.states() == []
    assert rig.prognosis("a")["p_fail_7d"] is None
    assert rig.prognosis("a")["in_distribution"] is False
    rig.score(0.9)
    rig.lines(5)
    rig.score(0.0, said=UNSAID)
    rig.lines(5)
    assert rig.states() == ["doomed", "doomed"]


def test_a_rule_hears_how_like_healthy_ones_a_device_is_also_where_nothing_can_be_forecast(rig: Rig) -> None:
    strange = AlertRule(
        "strange",
        "like_healthy < 0.01",
        "low",
        "c",
        "r",
        on_delay_s=0.0,
        off_delay_s=0.0,
        deadband={"like_healthy": 0.0},
    )
    rig.fleet.install(replace(TYPE, version=2, rules=(strange,)))
    few = np.full(2, 0.002, np.float32)
    rig.score(0.9, said=UNSAID, like_healthy=few)
    rig.lines(2)
    assert rig.states() == ["strange", "strange"]
    assert rig.prognosis("a")["like_healthy"] == pytest.approx(0.002)
    rig.score(0.9, like_healthy=np.full(2, np.nan, np.float32))  # by a version that was trained without
    rig.lines(2)
    assert rig.states() == ["strange", "strange"]
    assert rig.prognosis("a")["like_healthy"] is None
    rig.score(0.9, said=UNSAID, like_healthy=100.0 * few)
    rig.lines(2)
    assert rig.states() == []


def test_a_device_that_was_put_right_is_another_one_to_a_forecast(rig: Rig) -> None:
    before = rig.found()
    rig.score(0.9)
    rig.lines(5)
    rig.fleet.command(c.RecordMaintenance(command_id="r", device_id="a", kind="repair", **ASK))
    assert rig.prognosis("a") is None
    rig.fleet.score(0, told(before, 0.9))  # made before the repair, told after it
    assert rig.prognosis("a") is None
    assert rig.prognosis("b")["p_fail_7d"] == pytest.approx(0.9)
    rig.lines(5)
    assert [each["device_id"] for each in rig.fleet.alerts().to_pylist() if each["active"]] == ["b"]
    rig.fleet.command(c.RecordMaintenance(command_id="i", device_id="b", kind="inspection", **ASK))
    assert rig.prognosis("b") is not None


def test_a_shadow_is_not_heard_by_the_twins(rig: Rig) -> None:
    rig.score(0.9, is_shadow=True)
    assert rig.prognosis("a") is None


def test_rows_of_another_fleet_are_refused(rig: Rig, tmp_path: Path) -> None:
    found = Rig(tmp_path / "others").found()
    rig.fleet.register([Device("c", TYPE.name)])
    rig.fleet.score(0, told(found, 0.5))  # the same ids so far
    stranger = replace(told(found, 0.9), seal=found.seal._replace(hash=1))
    with pytest.raises(StaleDirectoryError):
        rig.fleet.score(0, stranger)
    assert rig.prognosis("a")["p_fail_7d"] == 0.5


def test_it_is_there_after_a_restart_and_after_a_kill(rig: Rig) -> None:
    rig.score(0.25)
    before = rig.prognosis("a")
    for host in rig.fleet.shard_hosts():
        host._journal.close()  # type: ignore[union-attr]  # as a kill leaves it: no snapshot, no goodbye
    rig.fleet = LocalFleet(rig.folder, None, rig.clock)  # replays the journal
    assert rig.prognosis("a") == before
    rig.fleet.close()
    rig.fleet = LocalFleet(rig.folder, None, rig.clock)  # reads the snapshot
    assert rig.prognosis("a") == before
    rig.fleet.close()


def test_other_failure_modes_make_it_void_and_other_rules_do_not(rig: Rig) -> None:
    rig.score(0.25)
    rig.fleet.install(replace(TYPE, version=2, rules=()))
    assert rig.prognosis("a") is not None
    rig.fleet.install(replace(TYPE, version=3, failure_modes=TYPE.failure_modes[:1]))
    assert rig.prognosis("a") is None


def test_an_entry_comes_back_as_it_went_in(rig: Rig) -> None:
    sent = told(rig.found(), 0.25, is_shadow=True)
    back = entries.decode_scores(bytes(entries.encode_scores(sent)))
    assert (back.device_type, back.model, back.is_shadow, back.seal) == (TYPE.name, 4, True, None)
    for name, column in sent.arrays().items():
        np.testing.assert_array_equal(getattr(back, name), column)


def test_an_entry_of_before_devices_were_compared_with_healthy_ones_is_read(rig: Rig) -> None:
    sent = told(rig.found(), 0.25)
    arrays = sent.arrays()
    del arrays["like_healthy"]
    back = Prognoses.from_arrays(TYPE.name, 4, False, arrays)
    assert np.isnan(back.like_healthy).all()
    np.testing.assert_array_equal(back.p_fail, sent.p_fail)
    rig.fleet.score(0, replace(back, seal=sent.seal))
    assert (rig.prognosis("a")["p_fail_7d"], rig.prognosis("a")["like_healthy"]) == (0.25, None)


def test_a_snapshot_of_before_that_is_read(rig: Rig) -> None:
    rig.score(0.25)
    (host,) = rig.fleet.shard_hosts()
    shard = host.shard(TYPE.name)
    meta, arrays = shard.snapshot()
    del arrays["prognoses.like_healthy"]
    back = Shard.restore({**meta, "version": 6}, arrays)
    assert np.isnan(back.state.prognoses.like_healthy).all()
    np.testing.assert_array_equal(back.state.prognoses.p_fail[:2], shard.state.prognoses.p_fail[:2])
    assert views.prognosis(back, 0) == {**views.prognosis(shard, 0), "like_healthy": None}


def test_devices_that_were_never_heard_or_are_retired_are_not_asked_about(rig: Rig) -> None:
    rig.fleet.register([Device("silent", TYPE.name)])
    rig.fleet.retire("b")
    found = rig.found()
    assert found.ids.to_pylist() == ["a"]
    assert (found.rows.tolist(), found.end) == ([0], 3)
    assert rig.fleet.scorable(0, TYPE.name, 3, 100) is None
