"""A simulated fleet with its twins, to be forked where there is no live one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from twins import commands as c
from twins.clock import HOUR_US, SECOND_US
from twins.devices import DeviceType
from twins.fleetfiles import FleetSpec
from twins.physics import PhysicsState
from twins.readings import ShardBatch, all_present, rounded
from twins.shard import Shard
from twins.simulation import Simulator
from twins.whatif.forks import Fork, fork

START_US: Final = 1_767_571_200 * SECOND_US
"""When simulated fleets begin unless another time is said: Monday, 2026-01-05 00:00 UTC."""


def synthetic(
    spec: FleetSpec,
    types: Mapping[str, DeviceType],
    *,
    warm_up_h: float,
    step_s: float,
    start_us: int = START_US,
    seed: int | None = None,
    devices: str = "",
) -> Fork:
    """Let a simulated fleet run until its twins know it, and fork it; what its devices are really like goes along.

    Parameters
    ----------
    types : that the fleet names
    warm_up_h : how long, h; twins learn a baseline from the first readings of it
    step_s : time between readings, the same for all
    devices : a filter of those that are forked; empty: all

    Raises
    ------
    FilterError : with the column, and what to write instead.
    """
    even = tuple(replace(group, interval_s=step_s) for group in spec.groups)
    simulator = Simulator(replace(spec, groups=even, tick_s=step_s), types, start_us=start_us, seed=seed)
    shards: dict[str, Shard] = {}
    for name in sorted({device.device_type for device in simulator.devices}):
        mine = tuple(device for device in simulator.devices if device.device_type == name)
        shards[name] = Shard(types[name])
        shards[name].command(
            c.RegisterDevices(command_id=name, by="simulator", device_type=name, devices=mine), start_us
        )
    until_us = start_us + round(warm_up_h * HOUR_US)
    rows: dict[int, np.ndarray[tuple[int], np.dtype[np.int32]]] = {}
    for batch in simulator.advance(until_us):
        shard = shards[batch.device_type]
        if id(batch.ids) not in rows:  # a cohort's ids are the same object from batch to batch
            rows[id(batch.ids)] = shard.roster.index.find(batch.ids)
        values = rounded(batch.values, shard.device_type)
        present = (
            batch.present if batch.present is not None else np.full(len(batch), all_present(values.shape[1]))
        )
        now_us = max(shard.now_us, int(batch.event_us[-1]))
        shard.apply(ShardBatch(rows[id(batch.ids)][batch.index], batch.event_us, values, present), now_us)
    for shard in shards.values():
        shard.advance(max(shard.now_us, until_us))
    climates = {site.name: site.climate for site in spec.sites}
    lineage = {"start": "fleet", "fleet": spec.name, "seed": simulator.seed, "warm_up_h": warm_up_h}
    found = fork(shards.values(), until_us, climates=climates, lineage=lineage)
    return with_truth(found, simulator).chosen(devices)


def with_truth(found: Fork, simulator: Simulator) -> Fork:
    """The fork, with what its devices are really like at present."""
    types = {}
    for name, forked in found.types.items():
        parts = simulator.conditions(name)
        ids = pa.concat_arrays([ids for ids, _ in parts]).to_pylist()
        place = {device_id: i for i, device_id in enumerate(ids)}
        rows = np.array([place[each] for each in forked.ids.to_pylist()])
        whole = [np.concatenate([getattr(s, name) for _, s in parts])[rows] for name in PhysicsState._fields]
        types[name] = replace(forked, physics=PhysicsState._make(whole))
    return replace(found, types=types)
