"""Damage estimated from readings: against the simulator's truth, against a grid, and whatever the chunks."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from twins.clock import HOUR_US
from twins.devices import Channel, DeviceType, Effect, FailureMode, LoadProfile, MaintenanceAction, Response
from twins.draws import name_keys
from twins.fleetfiles import DeviceGroup, FleetSpec, Site
from twins.physics import begin, blank_physics, damage_of, physics_params, wear_of
from twins.simulation import Simulator
from twins.typefiles import load_catalog
from twins.whatif.estimation import (
    ESTIMATED,
    REASONS,
    TOO_SHORT,
    UNHEARD,
    DamageEstimate,
    Observed,
    begin_from,
    draw,
    estimate,
)

START_US = 1_780_000_000_000_000
HOURS = 96
PUMP = load_catalog()["centrifugal-pump"]


class Truth:
    """What the simulator knows of its devices, in the order of their ids."""

    def __init__(self, simulator: Simulator, device_type: DeviceType) -> None:
        self.ids = [device.id for device in simulator.devices]
        self.keys = name_keys(self.ids)
        modes = [mode.name for mode in device_type.failure_modes]
        self.damage = np.array([[simulator.damage(each)[name] for name in modes] for each in self.ids])
        p = physics_params(device_type)
        self.wear = np.array([[wear_of(p, m, d) for m, d in enumerate(row)] for row in self.damage])
        self.runs = (self.wear < 1.0).all(axis=1)


def watched(
    device_type: DeviceType,
    devices: int,
    hours: int = HOURS,
    interval_s: float = 3600.0,
    speedup: float = 20.0,
) -> tuple[Observed, Truth]:
    """Readings of a simulated fleet in hourly bins."""
    group = DeviceGroup(
        device_type.name, devices, ("here",), id="d-{n}", interval_s=interval_s, wear=(0.0, 0.9)
    )
    spec = FleetSpec("watched", (Site("here"),), (group,), seed=5, speedup=speedup, tick_s=interval_s)
    simulator = Simulator(spec, {device_type.name: device_type}, start_us=START_US)
    shape = (devices, hours, len(device_type.channels))
    one, two, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    place = {device.id: i for i, device in enumerate(simulator.devices)}
    for batch in simulator.advance(START_US + hours * HOUR_US - 1):
        rows = np.array([place[each] for each in batch.ids.to_pylist()])[batch.index]
        bins = (batch.event_us - START_US) // HOUR_US
        values = batch.values.astype(np.float64)
        one[rows, bins] += values
        two[rows, bins] += values**2
        count[rows, bins] += 1
    with np.errstate(all="ignore"):
        mean = one / count
        sd = np.sqrt(np.maximum(0.0, two - count * mean**2) / (count - 1))
    return Observed(3600.0, START_US, mean, np.where(count > 1, sd, np.nan), count), Truth(
        simulator, device_type
    )


@cache
def pumps() -> tuple[Observed, Truth, DamageEstimate]:
    observed, truth = watched(PUMP, 200)
    return observed, truth, estimate(observed, PUMP, truth.keys, speedup=20.0)


def same(one: DamageEstimate, other: DamageEstimate) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def part(observed: Observed, rows: slice | np.ndarray) -> Observed:
    return replace(observed, mean=observed.mean[rows], sd=observed.sd[rows], count=observed.count[rows])


def test_wear_lies_where_it_is_said_to() -> None:
    _, truth, e = pumps()
    inside = (truth.wear >= e.wear(0.05)) & (truth.wear <= e.wear(0.95))
    cases = inside[truth.runs].size
    # Modes of one device are not independent of each other: the standard error is that of half as many.
    margin = 3.0 * math.sqrt(0.9 * 0.1 / (cases / 2))
    assert 0.9 - margin <= inside[truth.runs].mean() <= min(0.97, 0.9 + margin)


def test_wear_is_known_better_than_before() -> None:
    _, truth, e = pumps()
    error = (e.wear(0.5) - truth.wear)[truth.runs]
    prior = (0.5 - truth.wear)[truth.runs]
    assert (error**2).mean() < 0.25 * (prior**2).mean()


def test_chunks_and_order_change_no_bit() -> None:
    observed, truth, e = pumps()
    few = e.take(slice(0, 12))
    for rows in (slice(0, 5), slice(5, 12)):
        assert same(estimate(part(observed, rows), PUMP, truth.keys[rows], speedup=20.0), few.take(rows))
    order = np.arange(12)[::-1]
    assert same(estimate(part(observed, order), PUMP, truth.keys[order], speedup=20.0), few.take(order))


def test_draws_are_the_same_in_any_chunk_and_go_as_the_estimate_says() -> None:
    _, truth, e = pumps()
    whole = draw(e, 1, 2, truth.keys)
    for rows in (slice(0, 7), slice(7, 200)):
        chunk = draw(e.take(rows), 1, 2, truth.keys[rows])
        for a, b in zip(whole, chunk, strict=True):
            assert a[rows].tobytes() == b.tobytes()
    many = np.array([draw(e.take(slice(0, 3)), 1, i, truth.keys[:3]).wear for i in range(3000)])
    for probability in (0.05, 0.5, 0.95):
        assert (many <= e.wear(probability)[:3]).mean(axis=0) == pytest.approx(probability, abs=0.02)
    assert whole.wear.tobytes() != draw(e, 1, 3, truth.keys).wear.tobytes()


def test_device_without_readings_has_the_prior_and_the_reason() -> None:
    shape = (2, HOURS, len(PUMP.channels))
    nothing = Observed(
        3600.0, START_US, np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.int64)
    )
    e = estimate(nothing, PUMP, name_keys(["a", "b"]))
    assert e.reason.tolist() == [UNHEARD, UNHEARD]
    assert REASONS[e.reason[0]] == "no readings"
    scatter = [mode.scatter for mode in PUMP.failure_modes]
    assert e.mean == pytest.approx(np.zeros((2, 8)))
    assert e.factor == pytest.approx(np.array([np.diag([1.0] * 4 + scatter)] * 2))
    assert e.offset_sd == pytest.approx(np.array([[c.response.spread for c in PUMP.channels]] * 2), abs=0.01)
    assert np.isnan(e.latest).all()


def test_too_few_readings_are_told() -> None:
    observed, truth, _ = pumps()
    count = observed.count[:3].copy()
    count[:, 2:] = 0
    e = estimate(replace(part(observed, slice(0, 3)), count=count), PUMP, truth.keys[:3], speedup=20.0)
    assert e.reason.tolist() == [TOO_SHORT] * 3
    assert e.mean == pytest.approx(np.zeros((3, 8)))


def test_gaps_and_counts_of_zero_are_alike_and_cost_little() -> None:
    observed, truth, e = pumps()
    rows = slice(0, 40)
    gone = np.random.default_rng(3).random(observed.mean[rows].shape) < 0.3
    gone |= (np.random.default_rng(4).random(observed.mean[rows].shape[:2]) < 0.2)[:, :, None]
    mean = np.where(gone, np.nan, observed.mean[rows])
    by_nan = estimate(replace(part(observed, rows), mean=mean), PUMP, truth.keys[rows], speedup=20.0)
    count = np.where(gone, 0, observed.count[rows])
    by_count = estimate(replace(part(observed, rows), count=count), PUMP, truth.keys[rows], speedup=20.0)
    assert same(by_nan, by_count)
    assert by_nan.reason.tolist() == [ESTIMATED] * 40
    error, whole = by_nan.wear(0.5) - truth.wear[rows], e.wear(0.5)[rows] - truth.wear[rows]
    runs = truth.runs[rows]
    assert np.sqrt((error[runs] ** 2).mean()) < 1.5 * np.sqrt((whole[runs] ** 2).mean())


def test_a_new_part_is_new_and_its_past_does_not_count() -> None:
    observed, truth, _ = pumps()
    begun_us = np.full(3, START_US + (HOURS - 10) * HOUR_US)
    left = np.ones((3, 4))
    left[:, 0] = 0.0
    before = part(observed, slice(0, 3))
    e = estimate(before, PUMP, truth.keys[:3], begun_us=begun_us, left=left)
    assert (e.wear(0.95)[:, 0] < 0.02).all()
    odd = before.mean.copy()
    odd[:, : HOURS - 10] += 100.0
    assert same(e, estimate(replace(before, mean=odd), PUMP, truth.keys[:3], begun_us=begun_us, left=left))
    later = np.full(3, START_US + HOURS * HOUR_US)
    unheard = estimate(before, PUMP, truth.keys[:3], begun_us=later, left=left)
    assert unheard.reason.tolist() == [UNHEARD] * 3
    assert (unheard.wear(0.95)[:, 0] < 0.001).all()


def test_rows_begin_as_drawn_and_settled() -> None:
    _, truth, e = pumps()
    params, state = physics_params(PUMP), blank_physics(10, PUMP)
    state.device[:] = truth.keys[:10]
    begin(state, params, 0, 10, 1, 0)
    begin_from(e.take(slice(2, 6)), state, params, 2, 1, 0)
    drawn = draw(e.take(slice(2, 6)), 1, 0, truth.keys[2:6])
    assert state.wear[2:6].tobytes() == drawn.wear.tobytes()
    assert state.pace[2:6].tobytes() == drawn.pace.tobytes()
    assert state.offset[2:6].tobytes() == drawn.offset.tobytes()
    assert state.load_factor[2:6].tobytes() == drawn.load_factor.tobytes()
    assert np.isnan(state.lagged[:2]).all()
    assert np.isnan(state.lagged[6:]).all()
    c = PUMP.channel_index("suction_pressure")
    for i in range(4):
        load, damage = float(e.load[2 + i]), damage_of(params, 3, drawn.wear[i, 3])
        assert state.lagged[2 + i, c] == pytest.approx(2.1 - 0.5 * load**2 - 1.9 * damage, abs=1e-3)


def test_bad_shapes_are_refused() -> None:
    observed, truth, _ = pumps()
    with pytest.raises(ValueError, match="do not fit"):
        estimate(observed, PUMP, truth.keys[:3])
    with pytest.raises(ValueError, match="left is of shape"):
        estimate(observed, PUMP, truth.keys, left=np.ones((200, 1)))


SIMPLE = DeviceType(
    "simple",
    1,
    (
        Channel("speed", "1", condition=True, response=Response(base=10.0, load_gain=20.0, noise=0.05)),
        Channel("heat", "Cel", response=Response(base=50.0, noise=0.4, spread=1.0)),
    ),
    failure_modes=(
        FailureMode(
            "wear", rate_per_h=1e-3, scatter=0.4, effects=(Effect("heat", shift=12.0, exponent=2.0),)
        ),
    ),
    load=LoadProfile(mean=0.8, wander=0.05),
    actions=(MaintenanceAction("mend", resets={"*": 1.0}),),
)


def test_a_grid_says_the_same_of_one_mode_and_channel() -> None:
    observed, truth = watched(SIMPLE, 12, hours=72, speedup=1.0)
    e = estimate(observed, SIMPLE, truth.keys)
    z = np.linspace(-3.5, 3.5, 281)
    pace = np.linspace(-3.0, 3.0, 61)
    wear = np.array([0.5 * math.erfc(-each / math.sqrt(2.0)) for each in z])
    hours = np.arange(72) + 0.5
    for r in range(12):
        grown = wear[:, None, None] + np.exp(0.4 * pace)[None, :, None] * 1e-3 * hours
        gap = observed.mean[r, :, 1] - 50.0 - 12.0 * np.minimum(1.0, grown) ** 2
        # The offset integrated out: what is left is the spread around the mean, and the mean against the spread.
        middle = gap.mean(axis=2)
        log = -0.5 * (((gap - middle[:, :, None]) ** 2).sum(axis=2) / 0.16 + middle**2 / (1.0 + 0.16 / 72))
        log += -0.5 * (z[:, None] ** 2 + pace[None, :] ** 2)
        end = wear[:, None] + np.exp(0.4 * pace)[None, :] * 1e-3 * 72
        weight = np.where(end < 1.0, np.exp(log - log.max()), 0.0)
        weight /= weight.sum()
        mean = float((weight * end).sum())
        sd = math.sqrt(float((weight * (end - mean) ** 2).sum()))
        said = np.array([draw(e.take([r]), 1, i, truth.keys[[r]]).wear[0, 0] for i in range(400)])
        assert said.mean() == pytest.approx(mean, abs=max(0.02, 0.35 * sd))
        assert said.std() == pytest.approx(sd, rel=0.5, abs=0.01)
