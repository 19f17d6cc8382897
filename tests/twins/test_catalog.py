"""What holds for every device type that comes with Twinfold, and for those in the examples."""

from pathlib import Path

import numpy as np
import pytest

from twins.devices import PRIORITIES, DeviceType
from twins.draws import name_keys
from twins.filters import mask, parse
from twins.physics import (
    PhysicsParams,
    PhysicsState,
    Sites,
    ambient,
    begin,
    blank_physics,
    physics_params,
    step,
    step_size,
)
from twins.rules import rule_vocabulary
from twins.typefiles import CATALOG, load_catalog, load_type

EXAMPLES = Path(__file__).parents[2] / "examples" / "types"
TYPES = {**load_catalog(), **load_catalog([EXAMPLES], built_in=False)}
START_US = 1_767_225_600_000_000
HOUR_US = 3_600_000_000
WANTED = {
    "centrifugal-pump", "chiller", "gateway", "gearbox", "humidity-sensor", "induction-motor",
    "power-meter", "pressure-sensor", "screw-compressor", "temperature-sensor", "turbofan",
    "vibration-sensor", "wind-turbine",
}  # fmt: skip

# five climates, from Oslo to Porto: mean, yearly and daily swing, weather
CLIMATES = [(6.3, 11, 3.5, 3), (15, 5, 3.5, 2.5), (8, 9.5, 3, 2.5), (10, 5, 2.5, 2), (12.5, 8.5, 4, 3)]
SITES = Sites(
    *(np.array(column, float) for column in zip(*CLIMATES, strict=True)), key=np.arange(5, dtype=np.uint64)
)

every_type = pytest.mark.parametrize("device_type", TYPES.values(), ids=TYPES.keys())


def born(device_type: DeviceType, devices: int) -> tuple[PhysicsParams, PhysicsState]:
    """New devices, spread over the climates."""
    params, state = physics_params(device_type), blank_physics(devices, device_type)
    state.device[:] = name_keys(f"{device_type.name}-{i}" for i in range(devices))
    state.site[:] = np.arange(devices) % len(CLIMATES)
    begin(state, params, 0, devices, 20260101, 0)
    return params, state


def reported(
    device_type: DeviceType, params: PhysicsParams, state: PhysicsState, times: int, every_h: float
) -> np.ndarray:
    """What devices report through a year, damage standing still: (times · devices, channels)."""
    size = step_size(params, every_h * 3600.0, speedup=0.0)
    ambient_c = np.empty(len(CLIMATES))
    lines = []
    for k in range(times):
        at_us = START_US + round(k * every_h * HOUR_US)
        ambient(SITES, at_us, ambient_c)
        lines.append(np.empty((len(state.device), len(device_type.channels)), device_type.dtype))
        step(state, params, size, ambient_c, 0, len(state.device), at_us, lines[-1])
    return np.concatenate(lines)


def holds(device_type: DeviceType, when: str, values: np.ndarray) -> np.ndarray:
    """In which lines a condition on channels holds."""
    vocabulary = rule_vocabulary(device_type)
    columns = {name: values[:, i] for i, name in enumerate(device_type.channel_names)}
    return mask(parse(when, vocabulary), vocabulary, columns)


def about_channels(device_type: DeviceType) -> dict[str, str]:
    """Rules that watch nothing but channels, by name."""
    beyond = ("health", "stale", "silent_s", "anomal", "pattern", "rate(", "p_fail", "rul_")
    return {
        rule.name: rule.when for rule in device_type.rules if not any(word in rule.when for word in beyond)
    }


def test_the_catalogue_has_the_types_that_are_promised() -> None:
    assert set(load_catalog()) >= WANTED


@pytest.mark.parametrize("path", sorted(CATALOG.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_type_is_in_the_file_of_its_name(path: Path) -> None:
    assert load_type(path).name == path.stem


@every_type
def test_everything_is_bounded_named_and_cited(device_type: DeviceType) -> None:
    assert device_type.title
    assert device_type.description
    assert device_type.sources
    assert device_type.interval_s
    for channel in device_type.channels:
        assert np.isfinite([channel.low, channel.high]).all(), channel.name
        assert channel.resolution > 0, channel.name
        assert channel.title, channel.name
    for mode in device_type.failure_modes:
        assert mode.title
        assert mode.source
        assert mode.scatter > 0


@every_type
def test_every_rule_asks_something_of_somebody(device_type: DeviceType) -> None:
    assert 4 <= len(device_type.rules) <= 12
    for rule in device_type.rules:
        assert rule.title
        assert len(rule.consequence) > 10
        assert len(rule.response) > 10
    priorities = [PRIORITIES.index(rule.priority) for rule in device_type.rules]
    assert sum(priority == 0 for priority in priorities) <= len(priorities) / 2, "critical is for the few"


@every_type
def test_every_failure_mode_can_be_made_good(device_type: DeviceType) -> None:
    for mode in device_type.failure_modes:
        assert any(
            action.resets.get(mode.name, action.resets.get("*", 0.0)) >= 0.9 for action in device_type.actions
        ), mode.name
    for action in device_type.actions:
        assert action.cost > 0
        assert action.duration_h > 0
        assert action.crew >= 1
        assert (action.kind == "inspection") <= (not action.resets)


@every_type
def test_healthy_devices_stay_in_range_and_fire_no_rule(device_type: DeviceType) -> None:
    """A year of 300 devices in five climates: no rule on channels holds in a single line, on-delay or not."""
    params, state = born(device_type, 300)
    values = reported(device_type, params, state, times=250, every_h=35.3)
    assert np.isfinite(values).all()
    for i, channel in enumerate(device_type.channels):
        inside = (values[:, i] > channel.low) & (values[:, i] < channel.high)
        limited = channel.kind in ("flag", "state") or channel.low == 0.0
        assert limited or inside.all(), f"{channel.name} saturates"
        assert inside.any() or channel.kind == "flag", f"{channel.name} never moves"
    for name, when in about_channels(device_type).items():
        assert holds(device_type, when, values).sum() == 0, f"{name} fires on healthy devices"


@every_type
def test_every_failure_leaves_a_mark_far_above_the_noise(device_type: DeviceType) -> None:
    """At full damage some channel has moved by more than five standard deviations of its noise."""
    for m, mode in enumerate(device_type.failure_modes):
        params, well = born(device_type, 100)
        _, ill = born(device_type, 100)
        ill.wear[:, m] = 1.0
        moved = reported(device_type, params, ill, 10, 700.0) - reported(device_type, params, well, 10, 700.0)
        noise = np.maximum(params.noise, [channel.resolution for channel in device_type.channels])
        assert (np.abs(moved).mean(axis=0) / noise).max() > 5.0, mode.name


@every_type
def test_most_failures_end_in_an_alert_on_a_channel(device_type: DeviceType) -> None:
    """All but one at most of the failure modes make a rule on channels hold now and then at full damage."""
    unseen = []
    for m, mode in enumerate(device_type.failure_modes):
        params, state = born(device_type, 200)
        state.wear[:, m] = 1.0
        values = reported(device_type, params, state, 20, 410.0)
        rules = about_channels(device_type).values()
        if not any(holds(device_type, when, values).mean() > 0.05 for when in rules):
            unseen.append(mode.name)
    assert len(unseen) <= 1, unseen


@every_type
def test_lives_last_neither_days_nor_centuries(device_type: DeviceType) -> None:
    params = physics_params(device_type)
    years = 1.0 / params.wear_per_h / 8766.0
    assert (years > 0.01).all()
    assert (years < 30).all()


def test_the_turbofan_fits_the_files_of_c_mapss() -> None:
    turbofan = TYPES["turbofan"]
    assert len(turbofan.channels) == 24
    numbers = [channel.title.rpartition(", ")[2] for channel in turbofan.channels]
    assert numbers == ["setting 1", "setting 2", "setting 3", *(f"s{i}" for i in range(1, 22))]
    (condition,) = turbofan.conditions
    altitudes = [0.0, 10.0, 20.0, 25.0, 35.0, 42.0]  # kft, the six regimes of FD002 and FD004
    assert np.searchsorted(condition.edges, altitudes).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_turbofan_takes_the_committed_engines() -> None:
    folder = Path(__file__).parents[2] / "examples" / "data" / "cmapss"
    files = sorted(folder.glob("*FD00*.txt*"))
    assert files, "the sample of C-MAPSS is part of the repository"
    turbofan = TYPES["turbofan"]
    for path in files:
        if "RUL" in path.name:
            continue
        lines = np.atleast_2d(np.loadtxt(path))
        for i, channel in enumerate(turbofan.channels):
            values = lines[:, 2 + i]
            assert ((values >= channel.low) & (values <= channel.high)).all(), channel.name
            steps = values / channel.resolution
            assert np.abs(steps - np.round(steps)).max() < 1e-3, channel.name


def test_the_wind_turbine_has_the_channels_of_la_haute_borne() -> None:
    names = TYPES["wind-turbine"].channel_names
    assert set(names) >= {
        "wind_speed", "power", "pitch_angle", "vane_angle", "outdoor_temperature", "nacelle_angle",
        "wind_direction",
    }  # fmt: skip
