"""A rehearsal under the same rules is history; under others it differs by what the rules do, however it is cut."""

import tempfile
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.worlds import World, world_of_steps
from tests.twins.fleets import PUMP, T0, batch_of, random_lines
from training.comparison import Comparison, interval, lots, peak
from training.errors import MomentNotKeptError
from training.history import History
from training.keeping import KeptSnapshots
from training.pairing import Pair, Stretch, matched
from training.past import Past
from training.recorder import journals_in
from training.rehearsal import MOST, READINGS, Question, Ran, drawn, fitted, run
from training.tables import Table
from training.upkeep import RetentionConfig, retain
from twins.clock import DAY_US, SECOND_US
from twins.devices import Device

_RAISED = """
    SELECT device_id, json_extract_string(detail, '/rule') AS rule, epoch_us(event_time) AS at_us FROM events
    WHERE type = 'alert.raised' AND epoch_us(recorded_at) > $start AND epoch_us(recorded_at) <= $end
    ORDER BY ALL
"""
VIBRATION, HOT, SILENT = PUMP.rules


def past_of(world):
    return Past(world.folder / "history", journals_in(world.folder / "hosts"))


def with_rules(*rules):
    return replace(PUMP, rules=rules)


def told(pairs, side):
    found = [(pair.device_id, pair.rule, getattr(pair, side)) for pair in pairs]
    return sorted((device, rule, each.raised_us) for device, rule, each in found if each and not each.stood)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
@settings(max_examples=4, deadline=None)
def test_under_the_same_rules_it_is_what_history_recorded(seed, hosts):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), rng, hosts)
        world.install = lambda: None
        with closing(world):
            world.live(random_lines(rng, world.ids, steps=60))
            within = min(T0 + int(rng.integers(1, 40)) * SECOND_US, world.now_us - 1)
            for start_us in (T0, within):
                ran = run(past_of(world), Question(PUMP, PUMP, start_us, world.now_us), world.ids)
                assert {pair.change for pair in ran.pairs} <= {"same", "stood"}
                with History(world.folder / "history", journals_in(world.folder / "hosts")) as history:
                    rows = history.query(_RAISED, {"start": start_us, "end": world.now_us}).to_pylist()
                assert told(ran.pairs, "before") == [tuple(row.values()) for row in rows]
                assert told(ran.pairs, "after") == told(ran.pairs, "before")


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A hundred and twenty steps of six devices, with nobody about."""
    with closing(world_of_steps(tmp_path_factory.mktemp("world"))) as world:
        world.record()
        yield world


def rehearsed(world, after, ids=None, before=PUMP):
    question = Question(before, after, T0, world.now_us)
    return run(past_of(world), question, world.ids if ids is None else ids)


def changes(ran, rule):
    return [pair.change for pair in ran.pairs if pair.rule == rule]


def test_a_limit_that_is_out_of_reach_makes_alerts_vanish_and_touches_no_other_rule(lived):
    ran = rehearsed(lived, with_rules(replace(VIBRATION, when="vibration > 40"), HOT, SILENT))
    assert set(changes(ran, "vibration-high")) == {"vanished"}
    assert set(changes(ran, "hot")) <= {"same"}
    assert all(pair.change == "same" for pair in rehearsed(lived, PUMP).pairs)


def test_a_rule_that_is_new_makes_alerts_appear_and_one_that_is_gone_makes_them_vanish(lived):
    other = replace(VIBRATION, name="shaking")
    ran = rehearsed(lived, with_rules(other, HOT, SILENT))
    assert set(changes(ran, "shaking")) == {"appeared"}
    assert changes(ran, "shaking") == ["appeared"] * len(changes(ran, "vibration-high"))
    assert set(changes(ran, "vibration-high")) == {"vanished"}


def test_a_longer_delay_moves_alerts_by_so_much(lived):
    at_once = with_rules(replace(VIBRATION, on_delay_s=0.0), HOT, SILENT)
    moved = [pair for pair in rehearsed(lived, PUMP, before=at_once).pairs if pair.change == "moved"]
    assert moved
    assert {pair.after.raised_us - pair.before.raised_us for pair in moved} == {2 * SECOND_US}


def summed(rans, population, after=PUMP, end_us=DAY_US):
    comparison = Comparison(Question(PUMP, after, 0, end_us), population, seed=7)
    for ran in rans:
        comparison.add(ran)
    return comparison.as_json()


def test_neither_the_order_of_devices_nor_how_many_at_a_time_matters(lived):
    after = with_rules(replace(VIBRATION, when="vibration > 8.9"), HOT)
    ids = lived.ids[:5]

    def said(*parts):
        return summed([rehearsed(lived, after, part) for part in parts], 10, after, lived.now_us)

    whole = said(ids)
    assert whole["in_all"]["before"] > 0
    assert whole["in_all"]["rate"]["low"] is not None
    assert said(ids[::-1]) == whole
    assert said(ids[3:], ids[:1], ids[1:3]) == whole


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=3, deadline=None)
def test_how_entries_are_cut_does_not_matter(seed):
    after = with_rules(replace(VIBRATION, when="vibration > 8.9"), replace(HOT, on_delay_s=3.0))
    first, *others = [cut(seed, most, after) for most in (1, 3, 100)]
    assert [others[0], others[1]] == [first, first]


def cut(seed, most, after):
    """The alerts of a world that took its lines so many at a time."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, closing(World(Path(folder), rng, 1)) as world:
        lines = random_lines(rng, world.ids, steps=40)
        for now_us, group in groupby(lines, key=lambda line: line.now_us):
            world.now_us = now_us
            world.fleet.clock.advance_to(world.now_us)
            todo = list(group)
            for first in range(0, len(todo), most):
                world.fleet.write(batch_of(todo[first : first + most]))
        if most == 3:
            world.record()
        return rehearsed(world, after).pairs


def test_a_window_that_is_not_kept_begins_at_the_earliest_moment_that_is(tmp_path):
    with closing(world_of_steps(tmp_path)) as world:
        world.record()
        gone = KeptSnapshots(tmp_path / "history")
        table = Table(tmp_path / "history" / "readings_test_pump")
        before_us = world.now_us
        assert retain(table, before_us + 3 * DAY_US, RetentionConfig(readings_days=1.0), gone.note_gone) > 0
        with pytest.raises(MomentNotKeptError):
            rehearsed(world, PUMP)
        world.now_us += DAY_US
        world.fleet.advance(world.now_us)
        for host in world.fleet.shard_hosts():
            host.begin_snapshot()()
        world.keep()
        kept_us = world.now_us
        world.now_us += DAY_US
        world.fleet.advance(world.now_us)
        assert rehearsed(world, PUMP).start_us == kept_us


def test_a_window_from_before_the_first_device_begins_with_it(lived):
    question = Question(PUMP, PUMP, T0 - 30 * DAY_US, lived.now_us)
    assert run(past_of(lived), question, lived.ids).start_us == T0


def test_devices_are_drawn_by_seed_and_id_alone():
    ids = [f"pump-{i}" for i in range(200)]
    first = drawn(ids, 1)
    assert drawn(ids[::-1], 1) == first
    assert [each for each in first if each != "pump-7"] == drawn(
        [each for each in ids if each != "pump-7"], 1
    )
    assert drawn(ids, 2) != first
    assert sorted(first) == sorted(ids)


def test_takes_as_many_devices_as_there_is_time_for():
    class Counted:
        def __init__(self, each):
            self.each = each

        def readings(self, device_type, start_us, end_us, ids):
            return self.each * len(ids)

    question, ids = Question(PUMP, PUMP, 0, 7 * DAY_US), [f"pump-{i}" for i in range(1000)]
    few, same, cause = fitted(Counted(READINGS // 100), question, ids)
    assert (few, same, cause) == (ids[:100], question, None)
    many, same, cause = fitted(Counted(0), question, ids)
    assert (len(many), same, cause) == (MOST, question, None)
    least, shorter, cause = fitted(Counted(READINGS // 10), question, ids)
    assert (len(least), cause) == (20, "readings")
    assert shorter.end_us - shorter.start_us == pytest.approx(3.5 * DAY_US)
    asked, shorter, cause = fitted(Counted(READINGS // 100), question, ids, devices=200)
    assert (len(asked), cause) == (200, "readings")


# -- matching and rates, against slower ways ----------------------------------------------------------------------------


def stretches():
    def made(marks):
        marks = sorted(marks)
        return [Stretch(first, last) for first, last in zip(marks[::2], marks[1::2], strict=False)]

    return st.lists(st.integers(0, 40), unique=True, max_size=12).map(made)


def naively_matched(before, after):
    """Each, in its order, takes the first of the other side that is left and shares a moment with it."""
    left, found = list(after), set()
    for first in before:
        moments = set(range(first.raised_us, first.until_us + 1))
        shared = [each for each in left if moments & set(range(each.raised_us, each.until_us + 1))]
        found.add((first, shared[0] if shared else None))
        left = [each for each in left if each not in shared[:1]]
    return found | {(None, each) for each in left}


@given(stretches(), stretches())
def test_matches_as_the_slow_way_does(before, after):
    pairs = list(matched(before, after))
    assert set(pairs) == naively_matched(before, after)
    assert [first for first, _ in pairs if first] == before
    assert [second for _, second in pairs if second] == after
    assert {(b, a) for a, b in matched(after, before)} == set(pairs)


@given(st.lists(st.integers(0, 3_000 * SECOND_US), max_size=40))
def test_the_peak_is_that_of_the_worst_ten_minutes(raised_us):
    counts = [sum(0 <= other - at < 600 * SECOND_US for other in raised_us) for at in raised_us]
    assert peak(raised_us) == max(counts, default=0)


def test_the_interval_holds_the_truth_about_nine_times_in_ten():
    rng = np.random.default_rng(3)
    fleet = rng.poisson(2.0, 400) - rng.poisson(1.0, 400)
    held = 0
    for seed in range(200):
        low, high = interval(rng.choice(fleet, 120, replace=False).astype(float), 400, lots(120, seed))
        held += low <= fleet.mean() <= high
    assert 165 <= held <= 195


def test_a_whole_fleet_has_no_interval_and_one_without_a_difference_says_what_may_be_hidden():
    ids = tuple(f"pump-{i}" for i in range(40))
    calm = Ran(0, ids, [], 100, 0)
    assert summed([calm], 40)["in_all"]["rate"]["low"] is None
    some = summed([calm], 4000)
    assert some["in_all"]["rate"]["low"] == some["in_all"]["rate"]["high"] == 0
    assert some["may_differ"] == pytest.approx(1 - 0.1 ** (1 / 40))
    more = Ran(0, ids, [Pair("pump-3", "hot", None, Stretch(5, 9))], 100, 0)
    found = summed([more], 4000)
    assert found["in_all"]["rate"]["difference"] == pytest.approx(100)
    assert found["in_all"]["rate"]["low"] < 100 < found["in_all"]["rate"]["high"]
    assert found["differing"] == 1
    assert found["may_differ"] is None
    assert found["examples"][0]["device_id"] == "pump-3"


def test_a_device_that_is_registered_meanwhile_is_run_from_then_on(tmp_path):
    with closing(world_of_steps(tmp_path, 5)) as world:
        world.fleet.register([Device("late", PUMP.name)])
        assert rehearsed(world, PUMP, ["late"]).start_us == world.now_us
