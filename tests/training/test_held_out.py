"""What versions are compared on lies after all that either was trained on, and nothing of it comes to the challenger."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.fleets import PUMP, T0, Line, batch_of, random_lines
from training import lifecycles, training_jobs, training_runs
from training.boosting import Boosting
from training.evaluation import covered_as_far_as_known, measured_after
from training.features import Cut, Landmarks, Parted, Window, landmarks, parted
from training.history import History
from training.jobs import Job, Run
from training.recorder import Recorder, journals_in
from training.registry import FOLDER, Registry, verdict
from training.survival import Forecast, SurvivalModel, fold_of
from training.training_runs import Plan, Worker, begin, judged_in_time
from twins import commands as c
from twins.clock import DAY_US, HOUR_US, SECOND_US, VirtualClock
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig

TYPE = replace(PUMP, name="worn-pump", rules=())
STEP_US = 8 * HOUR_US
DAYS = 48
DEVICES = 24
RIVAL_US = T0 + 20 * DAY_US
UNTIL_US = T0 + DAYS * DAY_US


def recorded(folder: Path) -> None:
    with closing(Recorder(folder / "history", journals_in(folder / "hosts"))) as recorder:
        while recorder.step():
            pass
        recorder.flush()


def history_of(folder: Path) -> History:
    return History(folder / "history", journals_in(folder / "hosts"))


def bits(rows: Landmarks | None) -> list[tuple[Any, ...]]:
    """Everything that there is of each landmark."""
    if rows is None:
        return []
    columns = [getattr(rows, name).tolist() for name in Landmarks._fields[:-1]]
    return list(zip(*columns, [row.tobytes() for row in rows.covariates.matrix()], strict=True))


# -- both sides of a cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_before_a_cut_is_what_was_known_then_and_after_it_what_nobody_knew(tmp_path: Path, seed: int) -> None:
    """Late readings, clocks that run ahead, and failures that are told long after, put right or withdrawn."""
    rng = np.random.default_rng(seed)
    ids = [f"pump-{number}" for number in range(5)]
    lines = random_lines(rng, ids, 160)
    with LocalFleet(
        tmp_path / "hosts", FleetConfig(host=HostConfig(recorded=True)), VirtualClock(T0)
    ) as fleet:
        fleet.install(PUMP)
        fleet.register([Device(each, PUMP.name) for each in ids])
        for now_us, group in groupby(lines, key=lambda line: line.now_us):
            fleet.clock.advance_to(now_us)
            fleet.write(batch_of(list(group)))
            if rng.random() < 0.3:
                back_us = int(rng.integers(0, 20)) * SECOND_US
                fleet.command(
                    c.RecordMaintenance(
                        command_id=f"m-{now_us}", by="ann", device_id=str(rng.choice(ids)),
                        kind=str(rng.choice(["failure", "replacement"])), at_us=max(T0, now_us - back_us),
                    )
                )  # fmt: skip
    recorded(tmp_path)
    until_us = lines[-1].now_us
    for share in (0.0, 0.3, 0.5, 0.8, 1.0):
        cut_us = T0 - 1 + round(share * (until_us + 1 - T0))
        with history_of(tmp_path) as history:
            past = history.past()
            then, now = (lifecycles.read(history, PUMP.name, ids, (), at_us) for at_us in (cut_us, until_us))
            window = Window(PUMP.name, until_us, 3)
            whole, sides = parted(past, window, Cut(cut_us, then), now, ids)
            assert bits(whole) == bits(landmarks(past, window, now, ids))
            assert bits(sides.before) == bits(landmarks(past, replace(window, until_us=cut_us), then, ids))
        check_after(sides, whole, cut_us, until_us)


def check_after(sides: Parted, whole: Landmarks | None, cut_us: int, until_us: int) -> None:
    after, known = bits(sides.after), set(bits(whole))
    assert set(after) <= known
    before = {(each[0], each[1]) for each in bits(sides.before)}
    assert not before & {(each[0], each[1]) for each in after}
    assert all(each[1] > cut_us for each in after)
    if sides.before is not None:  # no outcome reaches beyond the cut, but for clocks that ran ahead of it
        ends_us = sides.before.at_us + np.round(sides.before.remaining_h * HOUR_US).astype(np.int64)
        assert (ends_us[sides.before.at_us <= cut_us] <= cut_us + 3600 * SECOND_US).all()
        assert (ends_us[sides.before.failed] <= cut_us).all()
    if cut_us >= until_us:
        assert after == []


# -- a challenger that cannot know ---------------------------------------------------------------------------------


def failures_of() -> dict[str, list[int]]:
    """When each pump fails."""
    rng = np.random.default_rng(1)
    found = {}
    for number in range(DEVICES):
        ends = np.cumsum(rng.integers(4, 14, 20)) * DAY_US + T0 + int(rng.integers(0, 3)) * STEP_US
        found[f"pump-{number}"] = [int(each) for each in ends if each < UNTIL_US + 30 * DAY_US]
    return found


def lived(folder: Path, telling_from_us: int | None) -> None:
    """Pumps that shake before they fail; from a moment on, if one is said, another channel tells the hours that are left."""
    rng, ends = np.random.default_rng(2), failures_of()
    with LocalFleet(folder / "hosts", FleetConfig(host=HostConfig(recorded=True)), VirtualClock(T0)) as fleet:
        fleet.install(TYPE)
        fleet.register([Device(each, TYPE.name) for each in ends])
        for now_us in range(T0 + STEP_US, UNTIL_US + 1, STEP_US):
            fleet.clock.advance_to(now_us)
            lines = []
            for name, times in ends.items():
                left_h = (min(at for at in times if at >= now_us) - now_us) / HOUR_US
                told = telling_from_us is not None and now_us > telling_from_us
                shakes = 2.0 + max(0.0, 72.0 - left_h) / 24.0 + rng.normal(0.0, 1.0)
                warmth = rng.uniform(20.0, 120.0)  # drawn either way: all else is the same
                warmth = min(left_h, 100.0) + 20.0 if told else warmth
                lines.append(Line(now_us, name, now_us, (50.0, max(0.0, shakes), warmth), 0b111))
            fleet.write(batch_of(lines, TYPE))
            for name, times in ends.items():
                if now_us in times:
                    for kind in ("failure", "replacement"):
                        fleet.command(
                            c.RecordMaintenance(
                                command_id=f"{kind}-{name}-{now_us}", by="ann", device_id=name, kind=kind, at_us=now_us
                            )
                        )  # fmt: skip
    recorded(folder)


@pytest.fixture(scope="module")
def cut_us() -> int:
    """As ``begin`` decides it: of failures alone, which are the same in every world here."""
    return T0 + 34 * DAY_US


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_runs, "Boosting", partial(Boosting, rounds=15, rate=0.2))
        yield


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, quick: None) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    lived(folder, None)
    return folder


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory, cut_us: int, quick: None) -> Path:
    folder = tmp_path_factory.mktemp("leaking")
    lived(folder, cut_us)
    return folder


def trained(data: Path, name: str, until_us: int, rival_us: int | None) -> Path:
    folder = data / name
    begin(folder, data, TYPE, until_us, by="ann", rival_us=rival_us)
    Worker(folder).work()
    return folder


def model_of(folder: Path) -> SurvivalModel:
    return SurvivalModel.from_arrays(training_runs.outcome(folder)[1])


def test_a_channel_that_knows_the_future_after_the_cut_does_not_help_the_challenger(
    honest: Path, leaking: Path, cut_us: int
) -> None:
    found, trials = {}, []
    for name, data in (("honest", honest), ("leaking", leaking)):
        champion = model_of(trained(data, "champion", RIVAL_US, None))
        folder = trained(data, "challenger", UNTIL_US, RIVAL_US)
        assert Plan.read(folder).cut_us == cut_us
        found[name], why = judged_in_time(folder, champion, RIVAL_US)
        assert why == ""
        trials.append((folder / "trial.npz").read_bytes())
        after = Worker(folder).after()
        assert after is not None
        assert after.at_us.min() > cut_us >= RIVAL_US
        told = model_of(folder).by_folds(after.covariates, fold_of(after.device_id))
        horizon_h = found[name]["horizon_h"]
        found[name]["knowing"] = measured_after(told, after.remaining_h, after.failed, horizon_h)
    assert trials[0] == trials[1]  # bit for bit: nothing of what came after is in it
    leak, plain = found["leaking"], found["honest"]
    assert (
        leak["knowing"]["brier"] < 0.7 * plain["knowing"]["brier"]
    )  # so much would it tell whoever learned from it
    assert leak["challenger"]["brier"] > 0.95 * plain["challenger"]["brier"]
    assert leak["challenger"]["failures"] >= training_runs.FEWEST_COMPARED
    assert leak["champion"].keys() == leak["challenger"].keys() > {"brier", "concordance", "coverage_90"}


def test_what_came_to_be_known_is_held_against_the_one_in_force_by_time_too(honest: Path) -> None:
    def job(number: int, at_us: int) -> Run:
        request = training_jobs.request(TYPE.name)
        return Run(Job(f"training-{number}", "training", request, "ann", created_us=at_us), lambda *_: None)

    def work(run: Run) -> Any:
        return training_jobs.work(honest, lambda _: TYPE, lambda folder: Worker(folder).work(), run)

    assert work(job(1, RIVAL_US))["promoted"]
    first = work(job(2, RIVAL_US + DAY_US))
    assert (first["verdict"]["held_out"], first["verdict"]["period"]) == ("identity", None)
    assert "trained 1.0 days before" in first["verdict"]["held_out_why"]
    registry = Registry(honest / FOLDER)
    registry.promote(TYPE.name, 1, "ann")
    late = work(job(3, UNTIL_US))["verdict"]
    assert (late["held_out"], late["held_out_why"]) == ("identity_and_time", "")
    against = registry.get(TYPE.name, 3).manifest.against
    assert against["held_out"] == "identity_and_time"
    figures = {each["name"]: (each["champion"], each["challenger"]) for each in late["figures"]}
    for name in ("brier", "concordance", "coverage_90"):
        assert figures[name] == (against["in_time"]["champion"][name], against["in_time"]["challenger"][name])
    assert late["period"]["until_us"] == UNTIL_US
    assert late["period"]["since_us"] > RIVAL_US
    assert late["period"]["horizon_h"] <= (UNTIL_US - late["period"]["since_us"]) / HOUR_US / 2
    other = verdict(registry.get(TYPE.name, 2), registry.get(TYPE.name, 3))
    assert (other.comparable, other.held_out) == (False, None)


@pytest.mark.parametrize(
    ("rival_us", "why"),
    [
        (None, "No version was in force"),
        (UNTIL_US - DAY_US, "trained 1.0 days before, and it takes 4"),
        (UNTIL_US - 4 * DAY_US, "Only . failures came after"),
        (T0 + 2 * DAY_US, ""),
    ],
)
def test_where_history_is_too_short_it_is_said_why(
    honest: Path, tmp_path: Path, rival_us: int | None, why: str
) -> None:
    plan = begin(tmp_path / "run", honest, TYPE, UNTIL_US, by="ann", rival_us=rival_us)
    assert (plan.cut_us is None) == bool(why)
    assert re.search(why, plan.uncut) if why else plan.uncut == ""


# -- coverage of lives that are cut short --------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(2.0, 400.0))
@settings(max_examples=25, deadline=None)
def test_the_interval_of_a_forecast_that_is_right_holds_what_it_says_whatever_is_censored(
    seed: int, window_h: float
) -> None:
    rng = np.random.default_rng(seed)
    mean_h = rng.uniform(20.0, 200.0, 4000)
    times_h = np.concatenate([np.linspace(0.0, 100.0, 200), np.geomspace(100.0, 5000.0, 400)[1:]])
    survival = np.exp(-times_h / mean_h[:, None])
    told = Forecast(mean_h, times_h, survival, np.zeros((4000, 0)), np.ones(4000, bool), np.zeros((4000, 0)))
    life_h, seen_h = rng.exponential(mean_h), rng.uniform(0.0, window_h, 4000)
    failed = life_h <= seen_h
    held = covered_as_far_as_known(told, np.minimum(life_h, seen_h), failed, 0.9)
    assert held == pytest.approx(0.9, abs=0.03)


def test_without_censoring_the_coverage_is_a_share_of_lives() -> None:
    times_h = np.linspace(0.0, 100.0, 101)
    told = Forecast(
        np.zeros(4),
        times_h,
        np.tile(1.0 - times_h / 100.0, (4, 1)),
        np.zeros((4, 0)),
        np.ones(4, bool),
        np.zeros((4, 0)),
    )
    lives_h, failed = np.array([1.0, 50.0, 94.0, 99.0]), np.ones(4, bool)
    assert covered_as_far_as_known(told, lives_h, failed, 0.9) == 0.5
    assert covered_as_far_as_known(told, np.array([0.0, 100.0, 90.0, 100.0]), ~failed, 0.9) == pytest.approx(
        (0.9 + 0.0 + 0.5 + 0.0) / 4
    )
