"""The services around models: what a challenger would say is kept, drift is noted, and trainings are asked for in time."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.services import scoring, working
from cluster.services.scoring import Scoring
from cluster.services.working import Working
from cluster.settings import ScoringSettings, load
from tests.training.pump_models import made_up, manifest_of
from tests.twins.test_prognosis import Rig
from training import drift
from training.history import History
from training.recorder import Recorder, journals_in
from training.registry import FOLDER, Registry
from training.retraining import BY, RetrainingConfig
from training.scoring import Scorer
from twins.clock import DAY_US, VirtualClock
from twins.devices import Device

PATIENCE_S = 60.0


def eventually(holds: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(round(PATIENCE_S / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come about")


class World(Rig):
    """A fleet of pumps, and models of them."""

    def __init__(self, data: Path) -> None:
        super().__init__(data / "hosts")
        self.data = data
        self.ids += [f"pump-{number}" for number in range(40)]
        self.fleet.register([Device(each, self.type) for each in self.ids[2:]])
        self.lines(30)
        self.registry = Registry(data / FOLDER, self.clock)

    @property
    def type(self) -> str:
        (name,) = self.fleet.types
        return name

    def add(self, middle_h: float) -> int:
        of = self.fleet.types[self.type]
        return self.registry.add(manifest_of(of), made_up(of, middle_h=middle_h).arrays()).version

    def kept(self) -> list[dict[str, Any]]:
        """What history has of forecasts."""
        recorder = Recorder(self.data / "history", journals_in(self.data / "hosts"))
        while recorder.step():
            pass
        recorder.flush()
        recorder.close()
        with History(self.data / "history", journals_in(self.data / "hosts")) as history:
            found: list[dict[str, Any]] = history.query("FROM prognoses").to_pylist()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.fleet.close()


def test_a_challenger_is_asked_about_the_same_few_devices_every_time(world: World) -> None:
    scorer = Scorer(world.fleet, world.registry)
    assert scorer.challenger(world.type) is None
    first = world.add(300.0)
    assert scorer.challenger(world.type) is None  # with nothing in force there is nothing to challenge
    world.registry.promote(world.type, first, "ann")
    second = world.add(100.0)
    assert scorer.challenger(world.type) == second

    scorer.rescore(world.type, first)
    standing = world.prognosis("a")
    for _ in range(2):
        made = scorer.rescore(world.type, second, shadow=True, most=20)
        assert 8 <= made.devices <= 32
        assert (made.told, made.model) == (made.devices, second)
        assert len(made.risk) == made.devices - made.unlike
    everyone = scorer.rescore(world.type, second, shadow=True, most=1000)
    assert everyone.devices == len(world.ids)
    assert world.prognosis("a") == standing

    rows = world.kept()
    assert {(row["model_version"], row["shadow"]) for row in rows} == {(first, False), (second, True)}
    shadows = [row["device_id"] for row in rows if row["shadow"]]
    some = {each for each in shadows if shadows.count(each) == 3}
    assert len(some) == made.devices
    assert set(shadows) == set(world.ids)

    world.registry.promote(world.type, second, "ann")
    assert scorer.challenger(world.type) is None
    world.registry.rollback(world.type, "ann")
    assert scorer.challenger(world.type) is None  # it was in force


def test_the_scorer_notes_how_forecasts_lie_and_asks_challengers_once_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_LOOK_EVERY_S", 0.01)
    world.registry.promote(world.type, world.add(300.0), "ann")
    world.add(100.0)
    rounds: list[int] = []
    rescore = Scorer.rescore

    def counted(self: Scorer, name: str, version: int, **more: Any) -> Any:
        rounds.append(version)
        return rescore(self, name, version, **more)

    monkeypatch.setattr(Scorer, "rescore", counted)
    running = Scoring(str(world.data), ScoringSettings(every_s=0.05), lambda _: world.fleet)
    eventually(lambda: rounds.count(1) >= 3)
    assert rounds.count(2) == 1
    told = running.status()
    assert (told["shadows"][world.type]["model"], told["problems"]) == (2, {})
    assert "risk" not in told["rounds"][world.type]
    found = drift.read(world.registry.folder, world.type)
    assert found is not None
    assert (found.model, found.devices, found.unlike, found.index) == (1, len(world.ids), 0, 0.0)
    (world.data / FOLDER / world.type / "2" / "model.npz").write_bytes(b"")
    running.stop()

    running = Scoring(str(world.data), ScoringSettings(every_s=0.05), lambda _: world.fleet)
    eventually(lambda: running.status()["problems"])
    eventually(lambda: running.status()["rounds"])
    assert list(running.status()["problems"]) == [f"{world.type} by its challenger"]
    running.stop()


def test_working_asks_for_a_training_that_is_due_once_also_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_LOOK_EVERY_S", 0.01)
    clock = VirtualClock(manifest_of(world.fleet.types[world.type]).trained_until_us + DAY_US)
    world.add(300.0)

    def opened() -> Working:
        return Working(str(world.data), RetrainingConfig(), lambda _: world.fleet, clock)

    running = opened()
    eventually(lambda: [job.state for job in running.list()] == ["failed"])
    (job,) = running.list()
    assert (job.by, job.code, job.request["why"]) == (BY, "training.too_few_failures", "age")
    running.stop()
    clock.advance_by(23 * 3600.0)
    running = opened()
    threading.Event().wait(0.2)
    assert [each.id for each in running.list()] == [job.id]
    clock.advance_by(3600.0)
    eventually(lambda: len(running.list()) == 2)
    running.stop()


def test_working_tells_what_keeps_it_from_its_schedule(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_LOOK_EVERY_S", 0.01)
    world.add(300.0)
    away = [True]

    def fleet(_: Path) -> Any:
        if away:
            raise OSError("the fleet is away")
        return world.fleet

    running = Working(
        str(world.data), RetrainingConfig(), fleet, VirtualClock(world.clock.now_us() + 9 * DAY_US)
    )
    eventually(lambda: running.status()["problems"] == {"schedule": "the fleet is away"})
    assert running.list() == []
    away.clear()
    eventually(lambda: running.list())
    eventually(lambda: running.status()["problems"] == {})
    running.stop()


def test_the_schedule_is_what_settings_say(tmp_path: Path) -> None:
    config = load({"data": tmp_path}, {}).retraining_config()
    assert config == RetrainingConfig(every_h=24.0, on_drift=True, promote=True)
    said = {"TWINFOLD_TRAINING__RETRAIN_EVERY_H": "0", "TWINFOLD_TRAINING__PROMOTION": "approval"}
    config = load({"data": tmp_path}, said).retraining_config()
    assert (config.every_h, config.promote) == (0.0, False)
