"""A fleet is forecast as its models would do by hand, and is told what is new and no more."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import MANIFEST
from tests.training.made_models import IDS, model_of
from tests.twins.fleets import T0, batch_of, random_lines
from tests.twins.test_prognosis import TYPE
from training import scoring
from training.anomaly import HealthyModel, columns
from training.errors import ModelUnfitError
from training.history import History
from training.recorder import Recorder, journals_in
from training.registry import FOLDER, Registry
from training.scoring import Loaded, Resolution, Scorer, changed
from training.survival import SurvivalModel, design
from twins.clock import VirtualClock
from twins.covariates import shape_of
from twins.devices import Device
from twins.errors import DegradedError
from twins.fleet import FleetConfig, LocalFleet
from twins.prognosis import LIKE_HEALTHY, SAID, UNSAID, WITHIN_H, Prognoses, blank_prognoses

REGIMES, FEATURES = shape_of(TYPE)
MODES = tuple(mode.name for mode in TYPE.failure_modes)


def lenient(seed: int) -> SurvivalModel:
    """A model to which every device is like those it knows."""
    model, _ = model_of(seed, regimes=REGIMES, features=FEATURES)
    return replace(model, likeness=replace(model.likeness, limits=np.full(2, np.inf)))


def healthy_of(seed: int) -> HealthyModel:
    """What tells which pumps are unlike the first of those that the model knows."""
    model, known = model_of(seed, regimes=REGIMES, features=FEATURES)
    found = HealthyModel.learned(
        columns(known, design(known, model.norm, True)), np.array(IDS, object), np.arange(len(IDS))
    )
    assert found is not None
    return found


class World:
    """Two hosts of pumps, a registry, history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        self.fleet = LocalFleet(folder / "hosts", FleetConfig(hosts=2, twins_per_host=15), self.clock)
        self.fleet.install(TYPE)
        self.ids = [f"pump-{number}" for number in range(20)]
        self.fleet.register([Device(each, TYPE.name) for each in self.ids])
        self.registry = Registry(folder / FOLDER, self.clock)
        self.rng = np.random.default_rng(3)
        self.live(40)
        self.scorer = Scorer(self.fleet, self.registry)

    def live(self, steps: int) -> None:
        for line in random_lines(self.rng, self.ids, steps):
            now_us = self.clock.now_us() + max(0, line.now_us - self.clock.now_us())
            self.clock.advance_to(now_us)
            self.fleet.write(batch_of([line]))

    def add(self, seed: int, healthy: bool = True) -> int:
        manifest = replace(MANIFEST, device_type=TYPE.name, failure_modes=MODES)
        arrays = lenient(seed).arrays()
        if healthy:
            arrays |= healthy_of(seed).arrays()
        return self.registry.add(manifest, arrays).version

    def in_force(self, seed: int, healthy: bool = True) -> int:
        version = self.add(seed, healthy)
        self.registry.promote(TYPE.name, version, "ann")
        return version

    def close(self) -> None:
        self.fleet.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def by_hand(world: World, version: int) -> dict[str, list[Any]]:
    """What the model says of each device alone."""
    model = SurvivalModel.from_arrays(world.registry.load(TYPE.name, version))
    told = {}
    for device_id in world.ids:
        found = world.fleet.scorable_one(device_id)
        of = model.forecast(found.known, [device_id])
        if of.in_distribution[0]:
            told[device_id] = [
                float(np.float32(of.probability(within_h)[0])) for within_h in WITHIN_H.values()
            ]
        else:
            told[device_id] = [None] * len(WITHIN_H)
    return told


def test_twins_are_told_what_the_model_in_force_says_of_each(world: World) -> None:
    assert world.scorer.versions() == {}
    version = world.in_force(1)
    assert world.scorer.versions() == {TYPE.name: version}
    done = world.scorer.rescore(TYPE.name, version)
    live = {line["device_id"]: line for line in world.fleet.live(TYPE.name).to_pylist()}
    expected = by_hand(world, version)
    assert {each: [live[each][name] for name in WITHIN_H] for each in world.ids} == expected
    known = [each for each in world.ids if live[each]["in_distribution"]]
    assert len(known) > 10
    assert {live[each]["failure_mode"] for each in known} <= {*MODES}
    assert (done.devices, done.told, done.unlike) == (20, 20, 20 - len(known))


def test_how_like_healthy_ones_each_is_stands_beside_whether_or_not_it_can_be_forecast(world: World) -> None:
    strict = model_of(1, regimes=REGIMES, features=FEATURES)[0]
    nothing = replace(strict, likeness=replace(strict.likeness, limits=np.zeros(2)))
    manifest = replace(MANIFEST, device_type=TYPE.name, failure_modes=MODES)
    healthy = healthy_of(1)
    version = world.registry.add(manifest, nothing.arrays() | healthy.arrays()).version
    world.registry.promote(TYPE.name, version, "ann")
    world.scorer.rescore(TYPE.name, version)
    live = {line["device_id"]: line for line in world.fleet.live(TYPE.name).to_pylist()}
    for device_id in world.ids:
        found = world.fleet.scorable_one(device_id)
        (p,) = healthy.p_values(columns(found.known, design(found.known, nothing.norm, True)), [device_id])
        assert live[device_id]["in_distribution"] is False
        assert live[device_id]["like_healthy"] == (None if np.isnan(p) else float(np.float32(p)))
        kept = world.fleet.read_twin(device_id)["prognosis"]["like_healthy"]
        assert kept == (None if np.isnan(p) else np.float32(p))
    assert sum(line["like_healthy"] is not None for line in live.values()) > 10


def test_a_version_that_was_trained_without_says_nothing_of_it(world: World) -> None:
    world.scorer.rescore(TYPE.name, world.in_force(1))
    assert any(world.fleet.live(TYPE.name)["like_healthy"].to_pylist())
    world.scorer.rescore(TYPE.name, world.in_force(1, healthy=False))
    assert not any(world.fleet.live(TYPE.name)["like_healthy"].to_pylist())


def test_only_what_has_changed_is_told_again(world: World) -> None:
    version = world.in_force(1)
    world.scorer.rescore(TYPE.name, version)
    cursors = [each.cursor for each in world.fleet.status()]
    assert world.scorer.rescore(TYPE.name, version).told == 0
    assert [each.cursor for each in world.fleet.status()] == cursors
    world.live(30)
    assert world.scorer.rescore(TYPE.name, version).told > 0


def test_another_model_takes_over_and_one_taken_back_comes_back(world: World) -> None:
    first = world.in_force(1)
    world.scorer.rescore(TYPE.name, first)
    second = world.in_force(2)
    assert world.scorer.versions() == {TYPE.name: second}
    assert world.scorer.rescore(TYPE.name, second).told == 20
    assert {line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()} == {second}
    world.registry.rollback(TYPE.name, "ann")
    world.scorer.rescore(TYPE.name, world.scorer.versions()[TYPE.name])
    assert {line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()} == {first}


def test_it_does_not_matter_how_devices_are_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = world.in_force(1)
    world.scorer.rescore(TYPE.name, version)
    whole = world.fleet.live(TYPE.name).sort_by("device_id")
    world.registry.promote(TYPE.name, world.add(2), "ann")
    world.scorer.rescore(TYPE.name, 2)
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(scoring, "_FORECAST_AT_ONCE", 2)
    world.scorer.rescore(TYPE.name, version)
    assert (
        world.fleet.live(TYPE.name)
        .sort_by("device_id")
        .select([*WITHIN_H, LIKE_HEALTHY])
        .equals(whole.select([*WITHIN_H, LIKE_HEALTHY]))
    )


def test_history_has_every_forecast_that_was_told_and_those_of_shadows(world: World) -> None:
    version = world.in_force(1)
    world.scorer.rescore(TYPE.name, version)
    challenger = world.add(2)
    shadow = world.scorer.rescore(TYPE.name, challenger, shadow=True)
    assert shadow.told == 20
    assert {line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()} == {version}
    sources = journals_in(world.folder / "hosts")
    recorder = Recorder(world.folder / "history", sources)
    with closing(recorder), History(world.folder / "history", sources) as history:
        counted = "SELECT model_version, shadow, count(*) AS n, count(p_fail_7d) FROM prognoses GROUP BY ALL ORDER BY 1"
        before = history.query(counted).to_pylist()  # out of the journals
        recorder.step()
        recorder.flush()
        assert history.query(counted).to_pylist() == before
        assert [(line["model_version"], line["shadow"], line["n"]) for line in before] == [
            (version, False, 20), (challenger, True, 20),
        ]  # fmt: skip
        live = {line["device_id"]: line for line in world.fleet.live(TYPE.name).to_pylist()}
        kept = history.query("SELECT * FROM prognoses WHERE NOT shadow").to_pylist()
        for line in kept:
            mine = live[line["device_id"]]
            same = [*WITHIN_H, "rul_p50_h", LIKE_HEALTHY, "failure_mode", "in_distribution", "life_cycle"]
            assert [line[name] for name in same] == [mine[name] for name in same]


def test_a_host_that_is_away_costs_no_other(world: World) -> None:
    version = world.in_force(1)
    away, ask = world.fleet.hosts()[0], world.fleet.scorable

    def scorable(host: int, *arguments: Any) -> Any:
        if host == away:
            raise DegradedError("it is away")
        return ask(host, *arguments)

    world.fleet.scorable = scorable  # type: ignore[method-assign, assignment]  # one host of a real fleet is away
    with pytest.raises(DegradedError, match="it is away"):
        world.scorer.rescore(TYPE.name, version)
    told = [line["model_version"] for line in world.fleet.live(TYPE.name).to_pylist()]
    assert sorted(set(told), key=str) == [version, None]


def test_a_model_of_other_channels_is_refused(world: World) -> None:
    model, _ = model_of(1, regimes=REGIMES, features=FEATURES + 1)
    found = world.fleet.scorable_one(world.ids[0])
    with pytest.raises(ModelUnfitError, match="other regimes or channels"):
        scoring.prognoses(Loaded(1, model, MODES), TYPE, found)


def slow_changed(before: dict[str, Any], after: dict[str, Any], resolution: Resolution) -> bool:
    if any(before[name] != after[name] for name in ("said", "mode", "model")):
        return True
    for was, now in zip(before["p_fail"], after["p_fail"], strict=True):
        if abs(now - was) > resolution.probability:
            return True
    was, now = (min(each["like_healthy"], resolution.ordinary) for each in (before, after))
    if np.isnan(before["like_healthy"]) or np.isnan(after["like_healthy"]):
        if np.isnan(before["like_healthy"]) != np.isnan(after["like_healthy"]):
            return True
    elif max(was, now) > resolution.likeness * min(was, now):
        return True
    for was, now in zip(before["rul_h"], after["rul_h"], strict=True):
        if np.isnan(was) != np.isnan(now) or abs(now - was) > resolution.life * max(was, 1.0):
            return True
    return False


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_change_is_one_that_can_be_seen(seed: int) -> None:
    rng, n = np.random.default_rng(seed), 40
    before = blank_prognoses(n)
    before.said[:], before.model[:], before.event_us[:] = SAID, 3, T0
    before.p_fail[:] = rng.random((n, 3))
    before.rul_h[:] = np.where(rng.random((n, 3)) < 0.2, np.nan, 500.0 * rng.random((n, 3)))
    before.like_healthy[:] = np.where(rng.random(n) < 0.2, np.nan, 0.5 * rng.random(n))
    liker = np.where(rng.random(n) < 0.5, before.like_healthy, before.like_healthy * rng.uniform(0.5, 2.0, n))
    unlike = rng.random(n) < 0.2
    before.said[unlike], before.p_fail[unlike] = UNSAID, np.nan
    moved = rng.random((n, 1)) < 0.5
    after = Prognoses(
        device_type=TYPE.name, model=3, seal=None, rows=np.arange(n, dtype=np.int32),
        life_cycle=np.zeros(n, np.int32), event_us=before.event_us + 1,
        p_fail=(before.p_fail + moved * rng.normal(0, 0.005, (n, 3))).astype(np.float32),
        rul_h=(before.rul_h * (1 + moved * rng.normal(0, 0.02, (n, 3)))).astype(np.float32),
        mode=np.where(rng.random(n) < 0.1, 1, before.mode).astype(np.int8), share=before.share, said=before.said.copy(),
        like_healthy=np.where(rng.random(n) < 0.1, np.nan, liker).astype(np.float32),
    )  # fmt: skip
    found = changed(before, after, Resolution())
    names = ("p_fail", "rul_h", "mode", "said", "like_healthy")
    for row in range(n):
        was = {name: getattr(before, name)[row] for name in names} | {"model": 3}
        now = {name: getattr(after, name)[row] for name in names} | {"model": 3}
        assert found[row] == slow_changed(was, now, Resolution())
    assert changed(before, replace(after, model=4), Resolution()).all()
