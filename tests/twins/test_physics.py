"""Load, wear, damage and response against a slow, obvious oracle, and against the laws they follow."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins.devices import Channel, DeviceType, Effect, FailureMode, LoadProfile, Response
from twins.draws import fill_normals, fill_words, name_keys
from twins.physics import (
    COUNTER,
    PhysicsState,
    Sites,
    ambient,
    begin,
    blank_physics,
    damage_of,
    damages,
    natural_spread,
    new_life,
    own_pace,
    physics_params,
    step,
    step_size,
    wear_of,
)
from twins.typefiles import load_catalog

TYPES = load_catalog()
START_US = 1_780_000_000_000_000
SECOND_US = 1_000_000
NOISE_STREAM, LOAD_STREAM, WEATHER_STREAM = 2, 1, 5


def one_site(mean_c: float = 12.0) -> tuple[Sites, np.ndarray]:
    sites = Sites(*(np.array([x]) for x in (mean_c, 8.0, 3.0, 2.0)), key=np.array([99], np.uint64))
    return sites, np.empty(1)


def born(device_type: DeviceType, devices: int, seed: int = 1) -> tuple:
    params, state = physics_params(device_type), blank_physics(devices, device_type)
    state.device[:] = name_keys(f"d{i}" for i in range(devices))
    begin(state, params, 0, devices, seed, 0)
    return params, state


def draw_normals(key: int, stream: int, at: int, how_many: int) -> list[float]:
    words = np.empty((4 * math.ceil(how_many / 4), 1), np.uint32)
    fill_words(np.array([key], np.uint64), stream, at, 0, words)
    numbers = np.empty(words.size)
    fill_normals(words.reshape(-1), numbers)
    return numbers[:how_many].tolist()


class Oracle:
    """One device, one step at a time, straight from the docstrings of ``devices.py``; no table, no tile."""

    def __init__(self, device_type: DeviceType, state: PhysicsState, row: int) -> None:
        self.type = device_type
        self.device_key, self.life_key = int(state.device_key[row]), int(state.life_key[row])
        self.factor, self.phase_us = float(state.load_factor[row]), int(state.phase_us[row])
        self.damage = [0.0] * len(device_type.failure_modes)
        self.pace = state.pace[row].tolist()
        self.offset = state.offset[row].tolist()
        self.settled: list[float | None] = [None] * len(device_type.channels)

    def wanted(self, at_us: int, wander: float) -> float:
        plan = self.type.load
        week = (at_us / 3.6e9 + 72) % 168
        wanted = plan.mean + plan.daily * math.cos(2 * math.pi * (week - plan.peak_hour) / 24)
        wanted *= plan.weekend if week >= 120 else 1.0
        return wanted * self.factor + plan.wander * wander

    def load(self, at_us: int) -> float:
        plan = self.type.load
        knot_us = round(plan.wander_h * 3.6e9)
        knot, through = divmod(at_us + self.phase_us, knot_us)
        before = draw_normals(self.device_key, LOAD_STREAM, knot, 1)[0]
        if plan.levels:
            wanted = self.wanted(knot * knot_us - self.phase_us, before)
            return min(plan.levels, key=lambda level: abs(level - wanted))
        after = draw_normals(self.device_key, LOAD_STREAM, knot + 1, 1)[0]
        wander = before + (after - before) * through / knot_us
        return min(plan.high, max(plan.low, self.wanted(at_us, wander)))

    def step(self, at_us: int, dt_s: float, ambient_c: float) -> list[float]:
        load, warmth = self.load(at_us), ambient_c - self.type.ambient_reference_c
        for m, mode in enumerate(self.type.failure_modes):
            rate = mode.rate_per_h * self.pace[m] * load**mode.load_exponent
            rate *= math.exp(mode.ambient_per_k * warmth)
            small = 100  # steps of Euler's method, too small to matter
            for _ in range(small):
                growth = max(self.damage[m], mode.seed) ** mode.growth_exponent
                self.damage[m] = min(1.0, self.damage[m] + rate * growth * dt_s / 3600 / small)
        normals = draw_normals(self.life_key, NOISE_STREAM, at_us, len(self.type.channels))
        values = []
        for c, channel in enumerate(self.type.channels):
            answer = channel.response
            if answer.curve:
                target = float(np.interp(load, *zip(*answer.curve, strict=True)))
            else:
                target = answer.base + answer.load_gain * load**answer.load_exponent
            target += answer.ambient_gain * warmth
            louder = 1.0
            for mode, damage in zip(self.type.failure_modes, self.damage, strict=True):
                for effect in mode.effects:
                    if effect.channel == channel.name:
                        mark = damage**effect.exponent
                        target += effect.shift * mark * (load if effect.per_load else 1.0)
                        louder *= 1.0 + (effect.noise_factor - 1.0) * mark
            before = self.settled[c]
            if before is None:
                self.settled[c] = target
            elif answer.tau_s > 0:
                self.settled[c] = before + (target - before) * (1 - math.exp(-dt_s / answer.tau_s))
            else:
                self.settled[c] = target
            value = self.settled[c] + self.offset[c] + answer.noise * louder * normals[c]
            values.append(min(channel.high, max(channel.low, value)))
        return values


@pytest.mark.parametrize("name", ["centrifugal-pump", "chiller", "wind-turbine", "vibration-sensor"])
def test_the_step_agrees_with_the_oracle(name: str) -> None:
    device_type = TYPES[name]
    params, state = born(device_type, 3)
    oracles = [Oracle(device_type, state, row) for row in range(3)]
    sites, ambient_c = one_site()
    dt_s = 7200.0
    size = step_size(params, dt_s, speedup=1.0)
    state.pace[:] *= 500.0  # so that a hundred steps are a life
    for oracle in oracles:
        oracle.pace = [pace * 500.0 for pace in oracle.pace]
    values = np.empty((3, len(device_type.channels)))
    marks = np.zeros(len(device_type.channels))
    np.maximum.at(marks, params.effect_channel, np.abs(params.effect_shift))
    spans = np.maximum(np.maximum(np.ptp(params.healthy, axis=1), marks), params.noise * 10) + 1e-9
    for k in range(60):
        at_us = START_US + k * round(dt_s * SECOND_US)
        ambient(sites, at_us, ambient_c)
        step(state, params, size, ambient_c, 0, 3, at_us, values)
        for row, oracle in enumerate(oracles):
            expected = np.array(oracle.step(at_us, dt_s, ambient_c[0]))
            apart = np.abs(values[row] - expected) / spans
            assert apart.max() < 0.015, (k, device_type.channel_names[int(apart.argmax())])
    now = np.empty((3, len(device_type.failure_modes)))
    damages(state, params, 0, 3, now)
    assert np.abs(now - [oracle.damage for oracle in oracles]).max() < 0.01
    assert now.max() > 0.5, "the comparison has seen damage"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 699), max_size=6), st.integers(0, 2**32))
def test_results_are_the_same_bits_however_rows_are_cut(cuts: list[int], seed: int) -> None:
    device_type = TYPES["centrifugal-pump"]
    params, whole = born(device_type, 700, seed)
    _, cut = born(device_type, 700, seed)
    sites, ambient_c = one_site()
    size = step_size(params, 5.0, speedup=1e6)
    edges = [0, *sorted(set(cuts)), 700]
    for k in range(3):
        at_us = START_US + k * 5 * SECOND_US
        ambient(sites, at_us, ambient_c)
        expected = np.empty((700, 8), np.float32)
        step(whole, params, size, ambient_c, 0, 700, at_us, expected)
        found = np.empty_like(expected)
        for start, stop in pairwise(edges):
            step(cut, params, size, ambient_c, start, stop, at_us, found[start:stop])
        assert found.tobytes() == expected.tobytes()
    for one, other in zip(whole, cut, strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_device_reports_the_same_in_any_company() -> None:
    device_type = TYPES["gearbox"]
    params, many = born(device_type, 300)
    _, alone = born(device_type, 300)
    for array in alone:
        array[:1] = array[217:218].copy()
    size, ambient_c = step_size(params, 10.0), np.array([4.0])
    among, single = np.empty((300, 8), np.float32), np.empty((1, 8), np.float32)
    for k in range(4):
        step(many, params, size, ambient_c, 0, 300, START_US + k * 10 * SECOND_US, among)
        step(alone, params, size, ambient_c, 0, 1, START_US + k * 10 * SECOND_US, single)
        assert among[217].tobytes() == single[0].tobytes()


def mode_of(exponent: float, seed: float = 0.01) -> DeviceType:
    mode = FailureMode(
        "wear", rate_per_h=0.01, growth_exponent=exponent, seed=seed, effects=(Effect("x", shift=1.0),)
    )
    return DeviceType("t", 1, (Channel("x", "1"),), failure_modes=(mode,))


@settings(deadline=None)
@given(
    st.one_of(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0]), st.floats(0.05, 0.95), st.floats(1.05, 3.0)),
    st.floats(0.001, 0.4),
    st.floats(0.0, 1.0),
)
def test_wear_and_damage_are_each_others_inverse(exponent: float, seed: float, damage: float) -> None:
    params = physics_params(mode_of(exponent, seed))
    wear = wear_of(params, 0, damage)
    assert 0.0 <= wear <= 1.0
    assert damage_of(params, 0, wear) == pytest.approx(damage, abs=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 0.3, 0.5, 1.0, 1.2, 1.5, 2.0])
def test_damage_follows_the_law_of_growth(exponent: float) -> None:
    """d(damage)/dt at rated load is rate · max(damage, seed) ** exponent, and damage is 1 when wear is."""
    params = physics_params(mode_of(exponent))
    hours = 1.0 / params.wear_per_h[0]
    wear = np.linspace(0.0, 0.999, 400)
    damage = np.array([damage_of(params, 0, w) for w in wear])
    ahead = np.array([damage_of(params, 0, w + 1e-6) for w in wear])
    expected = 0.01 * np.maximum(damage, 0.01) ** exponent
    assert (ahead - damage) / (1e-6 * hours) == pytest.approx(expected, rel=2e-2)
    assert (np.diff(damage) > 0).all()
    assert damage_of(params, 0, 0.0) == 0.0
    assert damage_of(params, 0, 1.0) == damage_of(params, 0, 7.0) == 1.0


def test_damage_does_not_depend_on_the_length_of_steps() -> None:
    profile = LoadProfile(mean=1.0, wander=0.0, high=1.0)
    mode = FailureMode("wear", rate_per_h=0.02, growth_exponent=1.0, effects=(Effect("x", shift=1.0),))
    device_type = DeviceType("t", 1, (Channel("x", "1"),), failure_modes=(mode,), load=profile)
    found = []
    for steps in (1, 10, 1000):
        params, state = born(device_type, 1)
        size = step_size(params, 150 * 3600.0 / steps)
        for k in range(steps):
            step(state, params, size, np.array([20.0]), 0, 1, START_US + k, np.empty((1, 1)))
        found.append(damage_of(params, 0, float(state.wear[0, 0])))
    assert found == pytest.approx([found[0]] * 3, rel=1e-9)
    assert 0.05 < found[0] < 0.5


def test_a_lag_takes_its_time_constant_whatever_the_step() -> None:
    channel = Channel("x", "Cel", response=Response(base=20.0, load_gain=60.0, tau_s=600.0))
    device_type = DeviceType("t", 1, (channel,), load=LoadProfile(mean=1.0, wander=0.0, high=1.0))
    for dt_s in (1.0, 60.0, 600.0):
        params, state = born(device_type, 1)
        state.lagged[:] = 20.0
        values = np.empty((1, 1))
        for _ in range(round(600 / dt_s)):
            step(state, params, step_size(params, dt_s), np.array([20.0]), 0, 1, START_US, values)
        assert values[0, 0] == pytest.approx(80.0 - 60.0 / math.e, abs=0.01)


def test_each_kind_of_channel_reports_in_its_way() -> None:
    channels = (
        Channel(
            "count",
            "kW.h",
            kind="counter",
            low=0,
            high=1e9,
            dtype="float64",
            response=Response(load_gain=90.0),
        ),
        Channel("step", "1", kind="state", low=0, high=3, response=Response(load_gain=2.6, noise=0.4)),
        Channel("up", "1", kind="flag", low=0, high=1, response=Response(base=0.5, noise=1.0)),
    )
    device_type = DeviceType("t", 1, channels, load=LoadProfile(mean=1.0, wander=0.0, high=1.0))
    params, state = born(device_type, 500)
    values = np.empty((500, 3))
    for k in range(10):
        step(
            state,
            params,
            step_size(params, 360.0),
            np.array([20.0]),
            0,
            500,
            START_US + k * 360 * SECOND_US,
            values,
        )
    assert values[:, 0] == pytest.approx(90.0)
    assert set(np.unique(values[:, 1])) <= {0.0, 1.0, 2.0, 3.0}
    assert set(np.unique(values[:, 2])) == {0.0, 1.0}


def test_a_device_that_stands_still_has_no_load() -> None:
    device_type = TYPES["screw-compressor"]
    params, state = born(device_type, 50)
    state.running[:] = False
    values = np.empty((50, len(device_type.channels)))
    step(state, params, step_size(params, 5.0), np.array([20.0]), 0, 50, START_US, values)
    power = device_type.channel_index("power")
    assert values[:, power].mean() == pytest.approx(params.healthy[power, 0], abs=1.0)


def test_levels_of_load_are_held_and_shared_out() -> None:
    turbofan = TYPES["turbofan"]
    params, state = born(turbofan, 2000)
    altitude, seen = turbofan.channel_index("altitude"), []
    values = np.empty((2000, 24))
    for k in range(8):
        step(
            state,
            params,
            step_size(params, 900.0),
            np.array([15.0]),
            0,
            2000,
            START_US + k * 900 * SECOND_US,
            values,
        )
        seen.append(np.searchsorted(turbofan.conditions[0].edges, values[:, altitude]))
    changes = np.mean(np.diff(seen, axis=0) != 0)
    assert 0.15 < changes < 0.3, (
        "a flight of an hour is seen four times, and the next is mostly another regime"
    )
    shares = np.bincount(np.concatenate(seen), minlength=6) / (8 * 2000)
    assert shares == pytest.approx([1 / 7, 1 / 7, 1 / 7, 2 / 7, 1 / 7, 1 / 7], abs=0.03)


def test_levels_follow_the_plan_unless_they_are_drawn() -> None:
    pump = TYPES["centrifugal-pump"]
    params, state = born(pump, 600)
    speed = pump.channel_index("speed")
    values = np.empty((600, 8))
    shares = []
    for hour in (2.0, 14.0):
        at_us = 1_767_571_200_000_000 + round((24 + hour + params.wander_us / 7.2e9) * 3.6e9)
        step(state, params, step_size(params, 60.0), np.array([20.0]), 0, 600, at_us, values)
        found = np.searchsorted(pump.conditions[0].edges, values[:, speed])
        shares.append(np.bincount(found, minlength=3) / 600)
    assert shares[0][0] > 0.5 > shares[0][2], "slow by night"
    assert shares[1][2] > 0.5 > shares[1][0], "fast by day"


def test_natural_spread_is_what_healthy_devices_do_within_a_regime() -> None:
    for name in ("power-meter", "wind-turbine", "gearbox", "pressure-sensor"):
        device_type = TYPES[name]
        params, state = born(device_type, 400)
        silent = params._replace(noise=params.noise * 0.0)
        state.offset[:] = 0.0
        size = step_size(silent, 3.3 * 86_400.0, speedup=0.0)
        lines = []
        for k in range(60):
            lines.append(np.empty((400, len(device_type.channels))))
            at_us = START_US + round(k * 3.3 * 86_400) * SECOND_US
            step(state, silent, size, np.array([device_type.ambient_reference_c]), 0, 400, at_us, lines[-1])
        values = np.concatenate(lines)
        regime = np.zeros(len(values), np.int64)
        for condition in device_type.conditions:
            cut = values[:, device_type.channel_index(condition.channel)]
            regime = regime * (len(condition.edges) + 1) + np.searchsorted(condition.edges, cut)
        within = sum((regime == g).mean() * values[regime == g].var(axis=0) for g in np.unique(regime))
        gauges = params.kind != COUNTER
        expected = natural_spread(device_type, ambient_sd_k=0.0)
        assert np.sqrt(within)[gauges] == pytest.approx(expected[gauges], rel=0.3, abs=1e-3)
        assert expected[~gauges].tolist() == [0.0] * (~gauges).sum()
        assert (natural_spread(device_type) >= expected).all()


def test_load_follows_plan_and_week() -> None:
    profile = LoadProfile(mean=0.5, daily=0.2, peak_hour=12.0, weekend=0.5, wander=0.0)
    channel = Channel("x", "1", response=Response(load_gain=1.0))
    device_type = DeviceType("t", 1, (channel,), load=profile)
    params, state = born(device_type, 1)
    monday_us = 1_767_571_200_000_000  # 2026-01-05 00:00 UTC
    values = np.empty((1, 1))

    def load(hours: float) -> float:
        at_us = monday_us + round(hours * 3.6e9)
        step(state, params, step_size(params, 60.0), np.array([20.0]), 0, 1, at_us, values)
        return float(values[0, 0])

    assert load(12) == pytest.approx(0.7, abs=1e-6)
    assert load(0) == pytest.approx(0.3, abs=1e-6)
    assert load(5 * 24 + 12) == pytest.approx(0.35, abs=1e-6)
    assert load(7 * 24 + 12) == pytest.approx(0.7, abs=1e-6)


def test_ambient_is_a_function_of_time_with_the_climate_of_its_site() -> None:
    sites, out = one_site(10.0)
    year = [START_US + k * 7 * 3_600 * SECOND_US for k in range(1252)]
    found = []
    for at_us in year:
        ambient(sites, at_us, out)
        found.append(out[0])
    series = np.array(found)
    assert series.mean() == pytest.approx(10.0, abs=0.5)
    assert series.std() == pytest.approx(math.sqrt(8**2 / 2 + 3**2 / 2 + 2**2 * 2 / 3), rel=0.1)
    ambient(sites, year[17], out)
    assert out[0] == found[17]


def test_a_new_life_begins_unworn_at_its_own_pace() -> None:
    device_type = TYPES["centrifugal-pump"]
    params, state = born(device_type, 4000)
    first, key = state.pace.copy(), state.life_key.copy()
    assert np.log(first).std(axis=0) == pytest.approx(params.scatter, rel=0.1)
    assert np.median(first, axis=0) == pytest.approx(1.0, rel=0.05)
    state.wear[:] = 0.7
    for row in range(4000):
        new_life(state, params, row, 1, 0, 1)
    assert (state.wear == 0.0).all()
    assert (state.life_key != key).all()
    assert abs(np.corrcoef(np.log(first[:, 0]), np.log(state.pace[:, 0]))[0, 1]) < 0.1
    assert own_pace(state, params, 5, 2) == state.pace[5, 2]
