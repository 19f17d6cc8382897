"""A schedule that is decided from what lies on disk: by age and by drift, and the same after a restart."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models import ARRAYS, MANIFEST
from training.errors import TooFewFailuresError
from training.jobs import Job, Jobs, Run
from training.registry import FOLDER, ModelVersion, Registry
from training.retraining import BY, DRIFT_REST_H, RetrainingConfig, Schedule, due
from training.training_jobs import KIND, request
from twins.clock import DAY_US, HOUR_US, VirtualClock

T0 = 1_760_000_000_000_000


def version(trained_h: float) -> ModelVersion:
    manifest = replace(MANIFEST, trained_until_us=T0 + round(trained_h * HOUR_US))
    return ModelVersion(manifest, 1, 0, "", "challenger")


def job(number: int, at_h: float, state: str = "done", by: str = BY, code: str = "") -> Job:
    at_us = T0 + round(at_h * HOUR_US)
    return Job(f"{KIND}-{number}", KIND, request("pump"), by, state=state, code=code, created_us=at_us)  # type: ignore[arg-type]  # states are given as text


def at(hours: float) -> int:
    return T0 + round(hours * HOUR_US)


def test_a_model_is_due_once_it_is_old_and_not_while_one_is_trained() -> None:
    assert due(at(23.9), version(0), [], 24.0, False) is None
    assert due(at(24), version(0), [], 24.0, False) == "age"
    assert due(at(900), version(0), [], 0.0, False) is None
    assert due(at(24), version(0), [job(1, 23, "running", by="ann")], 24.0, True) is None
    assert due(at(24), version(0), [job(1, 23, "queued")], 24.0, True) is None


def test_what_a_person_trained_counts_and_a_failure_of_the_schedule_too() -> None:
    assert due(at(47), version(24), [], 24.0, False) is None
    assert due(at(47), version(0), [job(1, 24, "failed")], 24.0, False) is None
    assert due(at(48), version(0), [job(1, 24, "failed")], 24.0, False) == "age"
    assert due(at(47), version(0), [job(1, 24, "failed", by="ann")], 24.0, False) == "age"


def test_drift_is_a_reason_after_a_rest() -> None:
    assert due(at(DRIFT_REST_H), version(0), [], 24.0, True) == "drift"
    assert due(at(DRIFT_REST_H - 0.1), version(0), [], 24.0, True) is None
    assert due(at(20), version(0), [job(1, 15)], 24.0, True) is None
    assert due(at(21), version(0), [job(1, 15)], 0.0, True) == "drift"


def test_where_failures_were_too_few_nothing_is_tried_for_a_day() -> None:
    few = [job(1, 24, "failed", code=TooFewFailuresError.code)]
    for every_h in (1.0, 24.0):
        assert due(at(47.9), version(0), few, every_h, True) is None
        assert due(at(48), version(0), few, every_h, True) == "age"
    assert due(at(26), version(0), [job(1, 24, "failed", code="training.failed")], 1.0, True) == "age"


class World:
    """A registry and the jobs of a data folder, which end as they are told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        self.registry = Registry(folder / FOLDER, self.clock)
        self.drifting: set[str] = set()
        self.asked: list[Mapping[str, Any]] = []
        self.outcome: Callable[[], Any] = dict
        self.config = RetrainingConfig()
        self.jobs = self.opened()

    def opened(self) -> Jobs:
        return Jobs(self.folder / "jobs", {KIND: self.work}, self.clock)

    def work(self, run: Run) -> Mapping[str, Any]:
        self.asked.append(run.job.request)
        found: Mapping[str, Any] = self.outcome()
        return found

    def restart(self) -> None:
        self.jobs.stop()
        self.jobs = self.opened()

    def add(self, name: str = "pump", **parameters: Any) -> int:
        manifest = replace(
            MANIFEST, device_type=name, trained_until_us=self.clock.now_us(),
            parameters={**MANIFEST.parameters, **parameters},
        )  # fmt: skip
        return self.registry.add(manifest, ARRAYS).version

    def step(self) -> list[Job]:
        """Look whether something is due, and let it end."""
        schedule = Schedule(
            self.registry, self.jobs, self.config, self.drifting.__contains__, lambda name: name != "gone", self.clock
        )  # fmt: skip
        asked = schedule.step()
        for each in asked:
            while not self.jobs.get(each.id).has_ended:
                self.jobs.follow(each.id, self.jobs.get(each.id).version, 5.0)
        return asked

    def pass_by(self, hours: float) -> None:
        self.clock.advance_by(hours * 3600.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.jobs.stop()


def test_types_with_a_model_are_trained_every_day_across_restarts(world: World) -> None:
    assert world.step() == []
    world.add()
    world.add("gone")
    assert world.step() == []
    trained = []
    for hour in range(1, 76):
        world.pass_by(1)
        if hour % 5 == 0:
            world.restart()
        if world.step():
            trained.append(hour)
            world.restart()
            assert world.step() == []
    assert trained == [24, 48, 72]
    assert {each["why"] for each in world.asked} == {"age"}
    assert {each.by for each in world.jobs.list()} == {BY}


def test_a_training_that_was_asked_for_before_a_restart_is_not_asked_for_again(world: World) -> None:
    world.add()
    world.pass_by(24)
    schedule = Schedule(
        world.registry, world.jobs, world.config, lambda _: False, lambda _: True, world.clock
    )
    (asked,) = schedule.step()
    world.restart()
    assert world.step() == []
    assert [each.id for each in world.jobs.list()] == [asked.id]


def test_it_is_trained_as_what_is_in_force_was_and_put_in_force_as_is_set(world: World) -> None:
    world.add(with_age=False)
    world.registry.promote("pump", 1, "ann")
    world.add(with_age=True)
    world.pass_by(24)
    world.step()
    world.config = RetrainingConfig(every_h=12.0, promote=False)
    world.pass_by(12)
    world.step()
    assert [(each["with_age"], each["promote"]) for each in world.asked] == [(False, True), (False, False)]


def test_what_drifts_is_trained_sooner_and_rests_then(world: World) -> None:
    world.add()
    world.drifting.add("pump")
    trained = []
    for hour in range(1, 19):
        world.pass_by(1)
        trained += [(hour, each.request["why"]) for each in world.step()]
    assert trained == [(6, "drift"), (12, "drift"), (18, "drift")]
    world.config = RetrainingConfig(on_drift=False)
    world.pass_by(23)
    assert world.step() == []


def test_too_few_failures_are_tried_again_the_next_day(world: World) -> None:
    def too_few() -> Any:
        raise TooFewFailuresError("pump", 3, 10)

    world.add()
    world.drifting.add("pump")
    world.outcome = too_few
    trained = []
    for hour in range(1, 60):
        world.pass_by(1)
        trained += [hour for _ in world.step()]
    assert trained == [6, 30, 54]


def test_a_damaged_version_stops_nothing(world: World) -> None:
    world.add()
    world.registry.promote("pump", 1, "ann")
    world.add()
    (world.folder / FOLDER / "pump" / "1" / "manifest.json").write_text("")
    world.pass_by(24)
    assert len(world.step()) == 1
    for number in (1, 2):
        (world.folder / FOLDER / "pump" / str(number) / "manifest.json").write_text("")
    world.pass_by(48)
    assert world.step() == []


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.sampled_from([6.0, 24.0]), st.booleans())
def test_no_two_of_the_schedule_are_closer_than_they_may_be(
    waits: list[int], every_h: float, drifting: bool
) -> None:
    now_h, jobs, told = 0, [], []
    for wait in waits:
        now_h += wait
        cause = due(at(now_h), version(0), jobs, every_h, drifting)
        if cause:
            told.append(now_h)
            jobs.append(job(len(jobs), now_h))
    least = min(every_h, DRIFT_REST_H) if drifting else every_h
    assert all(second - first >= least for first, second in zip([0, *told], told, strict=False))
    assert at(24) - at(0) == DAY_US
