"""The forecast of one device as it is shown, and how like healthy devices it is, also where nothing can be forecast."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve.prognosis import Forecasters, device_prognosis
from serve.schemas.prognosis import DevicePrognosis
from tests.models import MANIFEST
from tests.training.test_scoring import FEATURES, MODES, World, healthy_of, lenient
from tests.twins.test_prognosis import TYPE
from training.survival import columns_of
from twins.devices import Device
from twins.prognosis import LIKE_HEALTHY
from twins.traces import feature_channels

CHANNELS = [TYPE.channels[c].name for c in feature_channels(TYPE)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


def in_force(world: World, *, knows_all: bool = True, healthy: bool = True) -> int:
    model = lenient(1)
    if not knows_all:
        model = replace(model, likeness=replace(model.likeness, limits=np.zeros(2)))
    manifest = replace(
        MANIFEST, device_type=TYPE.name, failure_modes=MODES, features=columns_of(CHANNELS, with_age=True)
    )
    arrays = model.arrays() | (healthy_of(1).arrays() if healthy else {})
    version = world.registry.add(manifest, arrays).version
    world.registry.promote(TYPE.name, version, "ann")
    return version


def shown(world: World, device_id: str) -> DevicePrognosis:
    return DevicePrognosis.model_validate(
        device_prognosis(world.fleet, Forecasters(world.registry), device_id)
    )


@pytest.mark.parametrize("knows_all", [True, False])
def test_how_like_healthy_ones_it_is_is_what_its_twin_was_told(world: World, knows_all: bool) -> None:
    assert len(CHANNELS) == FEATURES
    world.scorer.rescore(TYPE.name, in_force(world, knows_all=knows_all))
    told = 0
    for device_id in world.ids:
        found, kept = shown(world, device_id), world.fleet.read_twin(device_id)["prognosis"][LIKE_HEALTHY]
        assert (found.healthy is None) == (kept is None)
        assert (found.curve is None) == (not found.in_distribution)
        if found.healthy is not None:
            told += 1
            assert found.healthy.like_healthy == pytest.approx(kept)
            shares = [each.share for each in found.healthy.channels]
            assert shares == sorted(shares, reverse=True)
            assert 0.0 < sum(shares) <= 1.0 + 1e-9
            assert {each.channel for each in found.healthy.channels} <= set(CHANNELS)
    assert told > 10


def test_nothing_is_said_of_it_by_a_version_that_was_trained_without(world: World) -> None:
    in_force(world, healthy=False)
    assert shown(world, world.ids[0]).healthy is None


def test_nothing_is_said_of_a_device_that_was_never_heard(world: World) -> None:
    in_force(world)
    world.fleet.register([Device("silent", TYPE.name)])
    found = shown(world, "silent")
    assert (found.healthy, found.modes, found.in_distribution) == (None, [], None)
