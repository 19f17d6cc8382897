import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.models import ARRAYS, MANIFEST, METRICS, beside, measured
from tests.sealed import encrypt, holds
from training import registry as module
from training.errors import (
    ModelDamagedError,
    ModelFormatError,
    ModelNotFoundError,
    ModelUnfitError,
    NoFormerModelError,
)
from training.registry import FOLDER, Change, Manifest, ModelVersion, Period, Registry, verdict
from twins.clock import VirtualClock
from twins.errors import FleetError


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_770_000_000_000_000)


@pytest.fixture
def registry(tmp_path: Path, clock: VirtualClock) -> Registry:
    return Registry(tmp_path / FOLDER, clock)


def test_gives_back_what_was_added(registry: Registry, tmp_path: Path, clock: VirtualClock) -> None:
    added = registry.add(MANIFEST, ARRAYS)
    assert (added.manifest, added.version, added.created_us) == (MANIFEST, 1, clock.now_us())
    again = Registry(tmp_path / FOLDER)
    assert (again.types(), again.versions("pump"), again.get("pump", 1)) == (["pump"], [added], added)
    loaded = again.load("pump", 1)
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_equal_arrays_have_an_equal_hash(registry: Registry) -> None:
    assert registry.add(MANIFEST, ARRAYS).sha256 == registry.add(MANIFEST, ARRAYS).sha256


def test_an_empty_folder_has_no_models(registry: Registry, tmp_path: Path) -> None:
    assert (registry.types(), registry.versions("pump"), registry.changes("pump")) == ([], [], [])
    assert registry.champion("pump") is None
    with pytest.raises(ModelNotFoundError, match="twinfold train pump"):
        registry.get("pump", 1)
    assert not (tmp_path / FOLDER).exists()


def test_a_version_that_is_not_there_is_told_with_those_that_are(registry: Registry) -> None:
    for _ in range(2):
        registry.add(MANIFEST, ARRAYS)
    for ask in (registry.get, registry.load, lambda name, number: registry.promote(name, number, "kari")):
        with pytest.raises(
            ModelNotFoundError, match=r"no model of 'pump' has the number 3 \(there are 1, 2\)"
        ):
            ask("pump", 3)


@pytest.mark.parametrize("name", ["..", ".", "", "../secrets", "Pump", ".lock", "a/b"])
def test_no_name_leads_out_of_the_folder(registry: Registry, name: str) -> None:
    registry.add(MANIFEST, ARRAYS)
    assert (registry.versions(name), registry.changes(name)) == ([], [])
    with pytest.raises(ModelNotFoundError):
        registry.load(name, 1)
    with pytest.raises(ValueError, match="no device type"):
        registry.add(replace(MANIFEST, device_type=name), ARRAYS)


@pytest.mark.parametrize(
    ("manifest", "arrays"),
    [
        (replace(MANIFEST, metrics={"brier": float("nan")}), ARRAYS),
        (MANIFEST, {"trees": np.array([object()], dtype=object)}),
    ],
)
def test_only_plain_values_are_kept(registry: Registry, manifest: Manifest, arrays: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (json's and numpy's own words)
        registry.add(manifest, arrays)
    assert registry.types() == []


def test_what_is_pickled_is_refused(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "packed", lambda arrays: pickle.dumps(dict(arrays)))
    registry.add(MANIFEST, ARRAYS)
    with pytest.raises(ModelDamagedError, match="it holds no arrays"):
        registry.load("pump", 1)


# -- in force ------------------------------------------------------------------------------------------------------


def roles(registry: Registry) -> dict[int, str]:
    return {each.version: each.role for each in registry.versions("pump")}


def test_a_new_version_challenges_until_it_is_put_in_force(registry: Registry) -> None:
    for _ in range(3):
        registry.add(MANIFEST, ARRAYS)
    assert roles(registry) == {3: "challenger", 2: "challenger", 1: "challenger"}
    assert registry.promote("pump", 2, "kari").role == "champion"
    assert roles(registry) == {3: "challenger", 2: "champion", 1: "retired"}
    registry.promote("pump", 3, "kari")
    registry.rollback("pump", "ola")
    assert roles(registry) == {3: "retired", 2: "champion", 1: "retired"}
    found = registry.champion("pump")
    assert found is not None
    assert found.version == 2


def test_rolling_back_twice_goes_back_twice(registry: Registry, clock: VirtualClock) -> None:
    for number in (1, 2, 3):
        registry.add(MANIFEST, ARRAYS)
        registry.promote("pump", number, "kari", f"try {number}")
    at_us = clock.advance_by(60)
    assert registry.rollback("pump", "ola", "it cries wolf").version == 2
    assert registry.rollback("pump", "ola").version == 1
    with pytest.raises(NoFormerModelError, match="promote a version instead"):
        registry.rollback("pump", "ola")
    assert registry.changes("pump")[:3] == [
        Change(1, 2, "rolled_back", "ola", "", at_us),
        Change(2, 3, "rolled_back", "ola", "it cries wolf", at_us),
        Change(3, 2, "promoted", "kari", "try 3", at_us - 60_000_000),
    ]


def test_promoting_what_is_in_force_changes_nothing(registry: Registry) -> None:
    registry.add(MANIFEST, ARRAYS)
    registry.promote("pump", 1, "kari")
    registry.promote("pump", 1, "ola")
    assert [each.by for each in registry.changes("pump")] == ["kari"]


def test_types_do_not_know_of_each_other(registry: Registry) -> None:
    registry.add(MANIFEST, ARRAYS)
    registry.add(replace(MANIFEST, device_type="fan-2"), ARRAYS)
    registry.promote("pump", 1, "kari")
    assert registry.types() == ["fan-2", "pump"]
    assert registry.champion("fan-2") is None


class Versions(RuleBasedStateMachine):
    """Models are added, promoted and rolled back, few changes are remembered, the process restarts."""

    added = Bundle("added")
    remembered = 6

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "KEPT", self.remembered)
        self.folder = Path(tempfile.mkdtemp())
        self.clock = VirtualClock(1)
        self.seeds: list[int] = []
        self.stack: list[int] = []
        self.log: list[tuple[str, int]] = []
        self.restart()

    @rule()
    def restart(self) -> None:
        self.registry = Registry(self.folder / FOLDER, self.clock)

    @rule(target=added, seed=st.integers(0, 9))
    def add(self, seed: int) -> int:
        self.seeds.append(seed)
        version = self.registry.add(
            replace(MANIFEST, parameters={"seed": seed}), {"seed": np.array(seed)}
        ).version
        assert version == len(self.seeds)
        return version

    @rule(version=added)
    def promote(self, version: int) -> None:
        assert self.registry.promote("pump", version, "kari").role == "champion"
        if not self.stack or self.stack[-1] != version:
            self.stack.append(version)
            self.log.insert(0, ("promoted", version))

    @rule()
    def roll_back(self) -> None:
        if len(self.stack_known()) < 2:
            with pytest.raises(NoFormerModelError):
                self.registry.rollback("pump", "kari")
            return
        self.stack.pop()
        self.log.insert(0, ("rolled_back", self.stack[-1]))
        assert self.registry.rollback("pump", "kari").version == self.stack[-1]

    def stack_known(self) -> list[int]:
        """As far down as the remembered changes tell: the lowest depth at which any of them began."""
        depth = lowest = len(self.stack)
        for act, _ in self.log[: self.remembered]:
            depth += 1 if act == "rolled_back" else -1
            lowest = min(lowest, depth + 1 if act == "promoted" else depth - 1)
        return self.stack[lowest - 1 :] if self.stack else []

    @invariant()
    def everything_is_as_it_was_told(self) -> None:
        versions = self.registry.versions("pump")
        assert [each.version for each in versions] == list(range(len(self.seeds), 0, -1))
        for each in versions:
            seed = self.seeds[each.version - 1]
            assert (
                each.manifest.parameters["seed"] == self.registry.load("pump", each.version)["seed"] == seed
            )
        champions = [each.version for each in versions if each.role == "champion"]
        assert champions == self.stack[-1:]
        changes = [(change.act, change.version) for change in self.registry.changes("pump")]
        assert changes == self.log[: self.remembered]

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder)


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=40, stateful_step_count=30)


# -- killed, full, damaged -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> bool:
    """Do something up to its ``step``-th file operation, without tidying up afterwards; False: it has fewer."""
    left = step

    def patched(name: str) -> Any:
        true = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return true(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("mkdir", "fsync", "rename", "replace"):
            patch.setattr(os, name, patched(name))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        try:
            act()
        except Killed:
            return True
    return False


def state(registry: Registry) -> tuple[list[ModelVersion], list[Change]]:
    return registry.versions("pump"), registry.changes("pump")


@pytest.mark.parametrize("what", ["add", "promote", "rollback"])
def test_whoever_is_killed_leaves_the_old_or_the_new(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: dict[str, Callable[[Registry], object]] = {
        "add": lambda registry: registry.add(MANIFEST, ARRAYS),
        "promote": lambda registry: registry.promote("pump", 1, "kari"),
        "rollback": lambda registry: registry.rollback("pump", "kari"),
    }
    step = 0
    while True:
        folder = tmp_path / str(step)
        registry = Registry(folder, VirtualClock(1))
        for number in (1, 2):
            registry.add(MANIFEST, ARRAYS)
            registry.promote("pump", number, "kari")
        twin = Registry(shutil.copytree(folder, tmp_path / f"{step}-after"), VirtualClock(1))
        acts[what](twin)
        before, after = state(registry), state(twin)
        killed = killed_at(step, monkeypatch, lambda: acts[what](registry))  # noqa: B023
        found = state(Registry(folder))
        assert found in ([before, after] if killed else [after])
        registry.add(MANIFEST, ARRAYS)
        assert list((folder / "pump").glob(".part-*")) == []
        assert registry.load("pump", registry.versions("pump")[0].version).keys() == ARRAYS.keys()
        if not killed:
            break
        step += 1
    assert step >= 3


def test_a_full_disk_leaves_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(MANIFEST, ARRAYS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            registry.add(MANIFEST, ARRAYS)
    assert sorted(path.name for path in (tmp_path / FOLDER / "pump").iterdir()) == ["1"]
    assert registry.add(MANIFEST, ARRAYS).version == 2


def test_one_changed_byte_is_noticed_and_never_put_in_force(registry: Registry, tmp_path: Path) -> None:
    for number in (1, 2):
        registry.add(MANIFEST, ARRAYS)
        registry.promote("pump", number, "kari")
    path = tmp_path / FOLDER / "pump" / "1" / "model.npz"
    block = bytearray(path.read_bytes())
    block[len(block) // 2] ^= 1
    path.write_bytes(block)
    for act in (
        lambda: registry.load("pump", 1),
        lambda: registry.promote("pump", 1, "kari"),
        lambda: registry.rollback("pump", "kari"),
    ):
        with pytest.raises(ModelDamagedError, match=r"1/model.npz of the model of 'pump' is damaged"):
            act()
    assert roles(registry) == {2: "champion", 1: "retired"}


def test_a_champion_that_is_damaged_can_be_rolled_back(registry: Registry, tmp_path: Path) -> None:
    for number in (1, 2):
        registry.add(MANIFEST, ARRAYS)
        registry.promote("pump", number, "kari")
    (tmp_path / FOLDER / "pump" / "2" / "manifest.json").write_text("{")
    with pytest.raises(ModelDamagedError):
        registry.champion("pump")
    assert roles(registry) == {1: "retired"}
    assert registry.rollback("pump", "kari").version == 1


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": "x"}', '{"format": 1, "changes": [{"version": 1}]}']
)
def test_documents_that_make_no_sense_are_damaged(registry: Registry, tmp_path: Path, text: str) -> None:
    registry.add(MANIFEST, ARRAYS)
    folder = tmp_path / FOLDER / "pump"
    (folder / "1" / "manifest.json").write_text(text)
    with pytest.raises(ModelDamagedError, match=r"1/manifest\.json"):
        registry.get("pump", 1)
    (folder / "champion.json").write_text(text)
    with pytest.raises(ModelDamagedError, match=r"champion\.json"):
        registry.changes("pump")


def test_what_is_gone_is_damaged(registry: Registry, tmp_path: Path) -> None:
    registry.add(MANIFEST, ARRAYS)
    for name in ("model.npz", "manifest.json"):
        (tmp_path / FOLDER / "pump" / "1" / name).unlink()
        with pytest.raises(ModelDamagedError, match=f"1/{name}"):
            registry.load("pump", 1)


def test_what_a_newer_twinfold_wrote_is_refused_and_left_out(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        registry.add(MANIFEST, ARRAYS)
    path = tmp_path / FOLDER / "pump" / "2" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "more": 1}))
    with pytest.raises(ModelFormatError, match="has format 2, this Twinfold reads up to 1; update Twinfold"):
        registry.load("pump", 2)
    for _ in range(2):
        assert [each.version for each in registry.versions("pump")] == [1]
    assert len(caplog.records) == 1
    assert registry.add(MANIFEST, ARRAYS).version == 3


def test_a_number_is_not_given_again_after_what_had_it_in_force(registry: Registry, tmp_path: Path) -> None:
    registry.add(MANIFEST, ARRAYS)
    registry.promote("pump", 1, "kari")
    shutil.rmtree(tmp_path / FOLDER / "pump" / "1")
    with pytest.raises(ModelNotFoundError):
        registry.champion("pump")
    assert registry.add(MANIFEST, ARRAYS).version == 2


def test_arrays_are_sealed_where_the_folder_is(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(MANIFEST, {"text": np.frombuffer(b"a secret of the plant", np.uint8)})
    assert holds(tmp_path, b"a secret") == ["models/pump/1/model.npz"]
    encrypt(tmp_path, monkeypatch)
    registry.add(MANIFEST, {"text": np.frombuffer(b"a secret of the plant", np.uint8)})
    assert holds(tmp_path, b"a secret") == ["models/pump/1/model.npz"]
    for version in (1, 2):
        assert registry.load("pump", version)["text"].tobytes() == b"a secret of the plant"
    files = [tmp_path / FOLDER / "pump" / each / "model.npz" for each in ("1", "2")]
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(ModelDamagedError):
        registry.load("pump", 1)


@pytest.mark.parametrize(
    "error",
    [
        ModelNotFoundError("pump", 1, ()),
        ModelNotFoundError("pump", 3, (1, 2)),
        ModelDamagedError("pump", "1/model.npz", "its bytes are not those that were added"),
        ModelFormatError("pump", "1/manifest.json", 2, 1),
        NoFormerModelError("pump"),
        ModelUnfitError("pump", 3, "it is of other channels"),
    ],
)
def test_errors_cross_processes(error: FleetError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))


# -- which is better -----------------------------------------------------------------------------------------------


def kept(version: int, holdout: str | None = "a1", **metrics: float | None) -> ModelVersion:
    return ModelVersion(measured(holdout, **metrics), version, 0, "", "challenger")


@pytest.mark.parametrize(
    ("metrics", "better"),
    [
        ({"brier": 0.08}, True),
        ({}, False),
        ({"brier": 0.1}, False),
        ({"brier": 0.08, "concordance": 0.7951}, True),
        ({"brier": 0.08, "concordance": 0.7949}, False),
        ({"brier": 0.08, "coverage_90": 0.939}, True),
        ({"brier": 0.08, "coverage_90": 0.941}, False),
        ({"brier": 0.08, "coverage_90": 0.859}, False),
        ({"brier": 0.08, "rmse_h": 900.0}, True),
    ],
)
def test_a_challenger_is_better_by_all_three_figures(metrics: dict[str, float], better: bool) -> None:
    found = verdict(kept(1), kept(2, **metrics))
    assert (found.better, found.comparable, len(found.reasons)) == (better, True, 3)


def test_the_figures_stand_side_by_side() -> None:
    found = verdict(kept(1, rmse_h=None), kept(2, brier=0.08))
    figures = {each.name: (each.champion, each.challenger) for each in found.figures}
    assert figures["brier"] == (0.09, 0.08)
    assert figures["rmse_h"] == (None, 80.0)
    assert found.reasons[0] == "Its Brier score is 0.0800, lower than 0.0900."


@pytest.mark.parametrize(("brier", "better"), [(0.19, True), (0.2, False), (0.3, False)])
def test_the_first_is_to_beat_one_forecast_for_all(brier: float, better: bool) -> None:
    assert verdict(None, kept(1, None, brier=brier)).better is better


@pytest.mark.parametrize(
    ("metrics", "better"),
    [
        ({}, True),
        ({"brier": 0.09}, False),
        ({"coverage_90": 0.859}, False),
        ({"concordance": 0.79}, False),
    ],
)
def test_figures_of_what_came_after_both_decide_and_no_others(
    metrics: dict[str, float], better: bool
) -> None:
    """By its devices alone the challenger would be the other way round, and on others than the champion."""
    manifest = replace(measured("b2", brier=0.01 if not better else 0.5), against=beside(1, **metrics))
    found = verdict(kept(1), ModelVersion(manifest, 2, 0, "", "challenger"))
    assert (found.better, found.comparable, found.held_out, found.held_out_why) == (
        better, True, "identity_and_time", "",
    )  # fmt: skip
    assert found.period == Period(1_770_000_000_000_000, 1_770_700_000_000_000, 96.0)
    other = verdict(kept(3), ModelVersion(manifest, 2, 0, "", "challenger"))
    assert (other.comparable, other.held_out, other.period) == (False, None, None)


@pytest.mark.parametrize(
    ("against", "why"),
    [
        ({"version": 1, "metrics": METRICS, "held_out": "identity", "why": "Too little."}, "Too little."),
        (
            {"version": 1, "metrics": METRICS},
            "It was trained before versions were held out in time, too.",
        ),
        ({}, "Version 1 was not in force when version 2 was trained."),
    ],
)
def test_why_figures_are_by_device_alone_is_said(against: dict[str, Any], why: str) -> None:
    found = verdict(
        kept(1), ModelVersion(replace(measured(brier=0.08), against=against), 2, 0, "", "challenger")
    )
    assert (found.better, found.held_out, found.held_out_why) == (True, "identity", why)
    assert verdict(None, kept(1)).held_out_why == "There is no version to be compared with."


@pytest.mark.parametrize("held", [("a1", "b2"), (None, None), ("a1", None)])
def test_other_devices_cannot_be_compared(held: tuple[str | None, str | None]) -> None:
    found = verdict(kept(1, held[0]), kept(2, held[1], brier=0.01))
    assert (found.better, found.comparable) == (False, False)
    assert "different held-out devices" in found.reasons[0]


def test_what_was_not_measured_is_not_better() -> None:
    found = verdict(kept(1), kept(2, brier=0.01, concordance=None))
    assert (found.better, found.reasons) == (
        False, ("Version 2 cannot be judged: concordance could not be measured.",),
    )  # fmt: skip
    assert not verdict(None, kept(1, brier_constant=None)).better
