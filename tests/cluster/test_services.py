"""What the platform's own actors do whatever goes wrong around them. Without Ray: the classes are plain."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.services import recording as recorder
from cluster.services import scoring
from cluster.services.recording import Recording
from cluster.services.scoring import Scoring
from cluster.services.sending import Sending
from cluster.settings import HistorySettings, ScoringSettings, SimulatorSettings
from tests.training.journals import Account, Actor
from tests.training.test_scoring import World
from tests.twins.test_prognosis import TYPE
from training.recorder import Recorder
from training.registry import FOLDER

PATIENCE_S = 30.0


class Host:
    """The handle of a host: keeps what it is told it may cut."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.archive = self

    def remote(self, cursor: int) -> None:
        self.told.append(cursor)


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[Actor]:
    actor = Actor("host-0", tmp_path / "hosts" / "host-0" / "journal", Account())
    yield actor
    actor.close()


def eventually(holds: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(round(PATIENCE_S / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come about")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_PAUSE_S", 0.01)
    monkeypatch.setattr(recorder, "_DISCOVER_EVERY_S", 0.05)


@pytest.mark.usefixtures("quick")
class TestRecording:
    def test_a_host_that_restarted_is_told_again_what_it_may_cut(self, tmp_path: Path, actor: Actor) -> None:
        first, second = Host(), Host()
        hosts = {"host-0": first}
        settings = HistorySettings(commit_every_s=0.05)
        recording = Recording(str(tmp_path), settings, lambda: dict(hosts))
        eventually(lambda: first.told and first.told[-1] == actor.journal.last_cursor)
        hosts["host-0"] = second
        eventually(lambda: second.told and second.told[-1] == actor.journal.last_cursor)
        recording.stop()

    def test_every_host_is_told_at_the_start(self, tmp_path: Path, actor: Actor) -> None:
        hosts = [Host(), Host()]
        for host in hosts:
            handles = {"host-0": host}
            recording = Recording(str(tmp_path), HistorySettings(commit_every_s=0.05), handles.copy)
            eventually(lambda told=host.told: actor.journal.last_cursor in told)  # type: ignore[misc]
            recording.stop()
        assert hosts[1].told[0] == actor.journal.last_cursor

    def test_what_fails_unexpectedly_is_told_and_tried_again(
        self, tmp_path: Path, actor: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = Host()
        with monkeypatch.context() as patch:

            def fail(*_: object) -> Any:
                raise ZeroDivisionError("a bug")

            patch.setattr(Recorder, "_start_over", fail)
            recording = Recording(str(tmp_path), HistorySettings(), lambda: {"host-0": host})
            eventually(lambda: recording.status()["state"] == "behind")
            assert recording.status()["reason"] == "a bug"
        eventually(lambda: recording.status()["state"] == "ready")
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "step", fail)
            eventually(lambda: recording.status()["state"] == "behind")
        eventually(lambda: recording.status()["state"] == "ready")
        assert recording.status()["alive"] == {"recorder": True, "upkeep": True, "condition": True}
        recording.stop()
        assert not any(recording.status()["alive"].values())

    def test_upkeep_and_condition_outlive_what_fails_in_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> Any:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(recorder, "_OBSERVE_EVERY_S", 0.01)
        monkeypatch.setattr(recorder, "upkeep", fail)
        monkeypatch.setattr(recorder, "ConditionLog", fail)
        recording = Recording(str(tmp_path), HistorySettings(compact_every_s=0.01), dict)
        eventually(lambda: recording.status()["problems"] == {"upkeep": "a bug", "condition": "a bug"})
        assert all(recording.status()["alive"].values())
        eventually(lambda: recording.status()["state"] == "ready")
        recording.stop()


def test_a_sender_that_ends_says_why(tmp_path: Path) -> None:
    def fleet(_: Path) -> Any:
        raise ZeroDivisionError("a bug")

    sending = Sending(str(tmp_path), SimulatorSettings(), fleet)
    eventually(lambda: not sending.status()["running"])
    assert sending.status() == {"running": False, "reason": "a bug"}


class TestScoring:
    def test_a_version_that_is_new_in_force_scores_at_once_and_trouble_of_one_type_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scoring, "_LOOK_EVERY_S", 0.01)
        world = World(tmp_path)
        service = Scoring(str(tmp_path), ScoringSettings(every_s=3600.0), lambda _: world.fleet)
        try:
            first = world.in_force(1)
            eventually(lambda: service.status()["rounds"].get(TYPE.name, {}).get("model") == first)
            assert {line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()} == {first}
            second = world.in_force(2)
            eventually(lambda: service.status()["rounds"][TYPE.name]["model"] == second)
            world.registry.rollback(TYPE.name, "ann")
            eventually(lambda: service.status()["rounds"][TYPE.name]["model"] == first)
            assert service.status()["problems"] == {}
        finally:
            service.stop()
            world.close()
        assert not service.status()["alive"]

    def test_a_model_that_cannot_be_read_is_told_and_the_twins_keep_what_they_know(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scoring, "_LOOK_EVERY_S", 0.01)
        world = World(tmp_path)
        version = world.in_force(1)
        (tmp_path / FOLDER / TYPE.name / str(version) / "model.npz").write_bytes(b"damaged")
        service = Scoring(str(tmp_path), ScoringSettings(every_s=3600.0), lambda _: world.fleet)
        try:
            eventually(lambda: "not those that were added" in service.status()["problems"].get(TYPE.name, ""))
            assert {line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()} == {None}
        finally:
            service.stop()
            world.close()
