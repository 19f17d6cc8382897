"""What forecasts were worth, against a slow and obvious second way, and without a look ahead."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.fleets import T0
from tests.twins.test_prognosis import ASK, TYPE, Rig
from training.history import History
from training.lifecycles import LifeCycles, Record, lives
from training.recorder import Recorder, journals_in
from training.track_record import (
    LEADS,
    WITHIN_US,
    Standing,
    Told,
    VersionRecord,
    lead_curve,
    measured,
    record,
    standing,
)
from twins import commands as c
from twins.clock import DAY_US, HOUR_US

IDS = ["a", "b", "c"]
STEP_US = 6 * HOUR_US
END_US = 60 * DAY_US


def told_of(rows: list[dict[str, Any]]) -> Told:
    rows = sorted(rows, key=lambda row: (row["device"], row["told_us"]))
    kinds = {"risk": float, "low_h": float, "high_h": float, "shadow": bool, "said": bool}
    return Told(*(np.array([row[name] for row in rows], kinds.get(name, np.int64)) for name in Told._fields))


# -- the slow way ---------------------------------------------------------------------------------------------------


class Slow:
    """One version's record, moment by moment, from the forecasts as they were told."""

    def __init__(
        self, told: Told, found: LifeCycles, followed_us: list[int], version: int, shadow: bool
    ) -> None:
        self.rows = [
            dict(zip(Told._fields, row, strict=True))
            for row in zip(*(each.tolist() for each in told), strict=True)
        ]
        self.lives = found
        self.followed_us = followed_us
        self.version, self.shadow = version, shadow

    def life_at(self, device: int, at_us: int) -> int | None:
        for number in range(len(self.lives.device)):
            if (
                self.lives.device[number] == device
                and self.lives.start_us[number] <= at_us <= self.lives.end_us[number]
            ):
                return number
        return None

    def stands(self, device: int, at_us: int, said_only: bool) -> dict[str, Any] | None:
        """What this version's forecast of a device is at a moment."""
        rival = [
            row for row in self.rows
            if row["device"] == device and row["told_us"] <= at_us and row["shadow"] == self.shadow
            and (not self.shadow or row["version"] == self.version) and (row["said"] or not said_only)
        ]  # fmt: skip
        if not rival or at_us >= self.followed_us[device]:
            return None
        newest = rival[-1]
        life = self.life_at(device, newest["event_us"])
        if newest["version"] != self.version or life is None or at_us >= self.lives.end_us[life]:
            return None
        if self.shadow and at_us - newest["told_us"] >= DAY_US:
            return None
        return {**newest, "life": life}

    def moments(self) -> Iterator[tuple[dict[str, Any], int]]:
        for device in range(len(IDS)):
            for day in range(END_US // DAY_US + 1):
                found = self.stands(device, day * DAY_US, said_only=False)
                if found is not None:
                    yield found, day * DAY_US

    def brier(self) -> tuple[int, int, float | None, float | None]:
        judged, unsaid = [], 0
        for found, at_us in self.moments():
            life, until_us = found["life"], self.followed_us[found["device"]]
            end_us = self.lives.end_us[life]
            if at_us + WITHIN_US > until_us:
                continue
            fails = bool(self.lives.failed[life]) and end_us <= at_us + WITHIN_US
            if not fails and end_us < at_us + WITHIN_US:
                continue
            if found["said"]:
                judged.append((found["risk"], float(fails)))
            else:
                unsaid += 1
        if not judged:
            return 0, unsaid, None, None
        rate = sum(outcome for _, outcome in judged) / len(judged)
        return (
            len(judged), unsaid, sum((risk - outcome) ** 2 for risk, outcome in judged) / len(judged),
            sum((rate - outcome) ** 2 for _, outcome in judged) / len(judged),
        )  # fmt: skip

    def coverage(self) -> tuple[int, int]:
        inside = total = 0
        for found, at_us in self.moments():
            life = found["life"]
            end_us = self.lives.end_us[life]
            if not found["said"] or not self.lives.failed[life] or end_us > self.followed_us[found["device"]]:
                continue
            left_h = (end_us - at_us) / HOUR_US
            low, high = (np.inf if np.isnan(found[name]) else found[name] for name in ("low_h", "high_h"))
            inside += low <= left_h <= high
            total += 1
        return inside, total

    def warnings(self) -> list[tuple[int, int, int]]:
        """Beginning, end and life of each, found by looking at every step."""
        found = []
        for device in range(len(IDS)):
            running: tuple[int, int] | None = None
            for at_us in range(0, END_US + STEP_US, STEP_US):
                stands = self.stands(device, at_us, said_only=True)
                warned = stands is not None and stands["risk"] >= 0.5
                life = stands["life"] if stands is not None and warned else -1
                if running is not None and (not warned or life != running[1]):
                    found.append((running[0], at_us, running[1]))
                    running = None
                if warned and running is None:
                    running = at_us, life
            assert running is None
        return found

    def outcomes(self) -> dict[str, Any]:
        leads, missed, failures, false = [], 0, 0, 0
        warnings = self.warnings()
        for life in range(len(self.lives.device)):
            device, end_us = int(self.lives.device[life]), int(self.lives.end_us[life])
            if not self.lives.failed[life] or end_us > self.followed_us[device]:
                continue
            stood = self.stands(device, end_us - 1, said_only=True)
            if stood is None or stood["life"] != life:
                continue
            failures += 1
            mine = [start for start, end, of in warnings if of == life and end == end_us]
            if mine:
                leads.append((end_us - mine[0]) / HOUR_US)
            else:
                missed += 1
        for _, end, life in warnings:
            until_us = self.followed_us[int(self.lives.device[life])]
            over_us = int(self.lives.end_us[life])
            came = self.lives.failed[life] and over_us <= min(end + WITHIN_US, until_us)
            false += not came and min(over_us, until_us) >= end + WITHIN_US
        return {
            "leads": leads,
            "missed": missed,
            "failures": failures,
            "false": false,
            "warnings": len(warnings),
        }


def same(found: float | None, expected: float | None) -> bool:
    return (found is None) == (expected is None) and (found is None or found == pytest.approx(expected))


times = st.integers(0, END_US // STEP_US).map(lambda step: step * STEP_US)
records = st.lists(
    st.builds(Record, st.sampled_from(IDS), times, st.sampled_from(["failure", "replacement"]), st.none()),
    max_size=8,
)
rows = st.fixed_dictionaries(
    {
        "device": st.integers(0, 2), "told_us": times, "version": st.integers(1, 2), "shadow": st.booleans(),
        "said": st.sampled_from([True, True, True, False]), "risk": st.floats(0, 1),
        "low_h": st.floats(0, 200), "high_h": st.floats(100, 900) | st.just(np.nan), "lag": st.integers(0, 3),
    }
)  # fmt: skip


@given(records, st.lists(rows, max_size=30), st.lists(times, min_size=3, max_size=3))
@settings(max_examples=150, deadline=None)
def test_every_figure_is_what_the_slow_way_comes_to(
    told_records: list[Record], forecasts: list[dict[str, Any]], followed: list[int]
) -> None:
    # One forecast a stream and moment: of two that are told at once the slow way would know no order.
    kept = {(row["device"], row["told_us"], row["shadow"] and row["version"]): row for row in forecasts}
    told = told_of(
        [{**row, "event_us": max(0, row["told_us"] - row["lag"] * HOUR_US)} for row in kept.values()]
    )
    found = lives(told_records, IDS, ())
    followed_us = np.array(followed, np.int64)
    versions = {(each.version, each.shadow): each for each in measured(told, found, followed_us)}
    assert versions.keys() == {(row["version"], row["shadow"]) for row in kept.values()}
    for (version, shadow), each in versions.items():
        slow = Slow(told, found, followed, version, shadow)
        count, unsaid, brier, constant = slow.brier()
        assert each.moments == count
        assert same(each.brier, brier)
        assert same(each.brier_constant, constant)
        assert same(each.unsaid, unsaid / (count + unsaid) if count + unsaid else None)
        inside, total = slow.coverage()
        assert (each.covered_of, same(each.coverage_90, inside / total if total else None)) == (total, True)
        out = slow.outcomes()
        assert (each.failures, each.missed) == (out["failures"], out["missed"])
        assert (each.warnings, each.false_warnings) == (out["warnings"], out["false"])
        middle = float(np.median(out["leads"])) if out["leads"] else None
        assert same(None if each.lead is None else each.lead.p50_h, middle)
        assert [point["before_h"] for point in each.leads] == (
            sorted({0.0, *out["leads"]}) if out["failures"] else []
        )
        for point in each.leads:
            warned = sum(lead >= point["before_h"] for lead in out["leads"])
            assert point["share"] == pytest.approx(warned / out["failures"])
        assert sum(bin_["count"] for bin_ in each.reliability) <= count


@given(records, st.lists(rows, min_size=1, max_size=20), times)
@settings(max_examples=60, deadline=None)
def test_what_is_known_later_changes_no_standing_forecast_of_before(
    told_records: list[Record], forecasts: list[dict[str, Any]], at_us: int
) -> None:
    said = [{**row, "event_us": row["told_us"]} for row in forecasts]
    followed = np.full(3, at_us, np.int64)

    def stood(rows: list[dict[str, Any]], known: list[Record]) -> Standing:
        told, found = told_of(rows), lives(known, IDS, ())
        return standing(told, found.at(told.device, told.event_us), found, followed)

    whole = stood(said, told_records)
    before = stood(
        [row for row in said if row["told_us"] <= at_us],
        [each for each in told_records if each.at_us <= at_us],
    )
    assert whole.start_us.tolist() == before.start_us.tolist()
    assert whole.end_us.tolist() == before.end_us.tolist()


# -- single cases ---------------------------------------------------------------------------------------------------


def forecast(day: float, risk: float, **more: Any) -> dict[str, Any]:
    at_us = round(day * DAY_US)
    said = {"device": 0, "told_us": at_us, "event_us": at_us, "version": 1, "shadow": False, "said": True}
    return {**said, "risk": risk, "low_h": 0.0, "high_h": 1000.0, **more}


def only(rows: list[dict[str, Any]], *told_records: Record, end_day: int = 60) -> VersionRecord:
    (found,) = measured(told_of(rows), lives(told_records, IDS, ()), np.full(3, end_day * DAY_US))
    return found


def failure(day: float) -> Record:
    return Record("a", round(day * DAY_US), "failure", None)


def test_the_lead_is_that_of_the_warning_which_held() -> None:
    found = only([forecast(1, 0.6), forecast(3, 0.2), forecast(5, 0.7), forecast(6, 0.9)], failure(8))
    assert (found.failures, found.missed) == (1, 0)
    assert found.lead is not None
    assert found.lead.p50_h == 72.0
    assert (found.warnings, found.false_warnings) == (2, 0)  # the first came within a week of the failure


def test_the_curve_of_lead_times_is_bounded_and_what_it_tells_is_exact() -> None:
    lead_h = np.random.default_rng(0).gamma(2.0, 50.0, 3000)
    found = lead_curve(lead_h, 4000)
    assert len(found) == LEADS
    assert found[0] == {"before_h": 0.0, "share": 0.75}
    assert found[-1] == {"before_h": lead_h.max(), "share": 1 / 4000}
    assert all(each["share"] == (lead_h >= each["before_h"]).sum() / 4000 for each in found)
    assert lead_curve(np.zeros(0), 3) == [{"before_h": 0.0, "share": 0.0}]
    assert lead_curve(np.zeros(0), 0) == []


def test_a_failure_without_a_standing_warning_was_missed() -> None:
    found = only([forecast(1, 0.6), forecast(3, 0.2)], failure(8))
    assert (found.failures, found.missed, found.lead) == (1, 1, None)
    assert only([forecast(9, 0.6)], failure(8)).failures == 0


def test_a_warning_after_which_nothing_came_is_false_once_a_week_has_passed() -> None:
    rows = [forecast(1, 0.6), forecast(3, 0.2)]
    assert only(rows, end_day=9).false_warnings == 0
    found = only(rows, end_day=10)
    assert found.false_warnings == 1
    assert found.false_per_device_year == pytest.approx(365.25 / 9)


def test_a_replacement_leaves_the_outcome_open() -> None:
    found = only([forecast(1, 0.6)], Record("a", 4 * DAY_US, "replacement", None))
    assert (found.moments, found.warnings, found.false_warnings, found.failures) == (0, 1, 0, 0)


def test_what_says_nothing_ends_no_warning_and_is_counted_apart() -> None:
    found = only([forecast(1, 0.6), forecast(2, np.nan, said=False), forecast(3, 0.7)], failure(8))
    assert found.lead is not None
    assert (found.lead.p50_h, found.warnings) == (168.0, 1)
    assert found.unsaid == pytest.approx(1 / 7)


def test_recent_moments_wait_for_their_outcome_also_where_a_failure_came() -> None:
    assert only([forecast(1, 0.6)], failure(3), end_day=7).moments == 0
    assert only([forecast(1, 0.6)], failure(3), end_day=9).moments == 2


# -- from history ---------------------------------------------------------------------------------------------------


def kept(rig: Rig, data: Path) -> History:
    with closing(Recorder(data / "history", journals_in(data / "hosts"))) as recorder:
        while recorder.step():
            pass
        recorder.flush()
    return History(data / "history", journals_in(data / "hosts"))


def test_is_read_from_history_with_failures_and_retirements(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "hosts")
    with closing(rig.fleet):
        rig.clock.advance_to(T0 + DAY_US)
        rig.score(0.75)
        rig.score(0.25, is_shadow=True, model=5)
        rig.clock.advance_to(T0 + 3 * DAY_US)
        failed = c.RecordMaintenance(
            command_id="f", device_id="a", kind="failure", at_us=T0 + 3 * DAY_US, **ASK
        )
        rig.fleet.command(failed)
        rig.fleet.retire("b")
        rig.clock.advance_to(T0 + 20 * DAY_US)
        with kept(rig, tmp_path) as history:
            found = record(history, TYPE.name, T0, rig.clock.now_us())
            assert (found.devices, found.of_devices) == (2, 2)
            champion, shadow = found.versions
            assert (champion.version, champion.shadow, shadow.version, shadow.shadow) == (4, False, 5, True)
            assert (champion.devices, champion.failures, champion.missed) == (2, 1, 0)
            assert champion.lead is not None
            assert champion.lead.p50_h == pytest.approx(48.0)
            assert champion.moments == 2  # of the one that failed; the other left before it could be known
            assert champion.brier == pytest.approx(0.0625)
            assert champion.coverage_90 == 0.5  # eight hours before it there were to be ten at least
            assert (shadow.failures, shadow.warnings) == (0, 0)
            assert record(history, TYPE.name, T0 + 2 * DAY_US, rig.clock.now_us()).versions == []
            one = record(history, TYPE.name, T0, rig.clock.now_us(), most_rows=1)
            assert (one.devices, one.of_devices) == (1, 2)
            assert record(history, "fan", T0, rig.clock.now_us()).of_devices == 0


def test_where_nothing_was_ever_forecast_there_is_none(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "hosts")
    with closing(rig.fleet), kept(rig, tmp_path) as history:
        found = record(history, TYPE.name, T0, T0 + DAY_US)
        assert (found.devices, found.versions, found.as_json()["versions"]) == (0, [], [])
