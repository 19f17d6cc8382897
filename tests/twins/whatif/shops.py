"""Machines of which nothing is of interest but when they fail: a fork of them is a textbook's repair shop."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twins import physics
from twins.commands import RegisterDevices
from twins.devices import Channel, Device, DeviceType, FailureMode, LoadProfile, MaintenanceAction
from twins.physics import PhysicsState, physics_params
from twins.shard import Shard
from twins.whatif.forks import Fork, fork
from twins.whatif.presence import Estimated
from twins.whatif.results import Results
from twins.whatif.scenarios import Operator
from twins.whatif.synthetic import START_US

NOBODY = Operator(present=False)
ANY_LIFE = Estimated({})
"""``Present`` of devices of which nothing is known but their law: new at the fork, with a life of each replication's own."""


def machine(
    life_h: float, *actions: MaintenanceAction, shape: float = 1.0, name: str = "machine", downtime_cost_per_h: float = 0.0
) -> DeviceType:  # fmt: skip
    """Machines that wear steadily, with Weibull lives of this characteristic life; ``shape`` 0: all last just as long."""
    return DeviceType(
        name, 1, (Channel("signal", "1"),),
        interval_s=3600.0,
        failure_modes=(FailureMode("breaks", rate_per_h=1.0 / life_h, shape=shape),),
        actions=actions,
        downtime_cost_per_h=downtime_cost_per_h,
        load=LoadProfile(mean=1.0, wander=0.0, wander_h=1e5, levels=(1.0,)),
    )  # fmt: skip


def renewal(name: str = "renew", **what: object) -> MaintenanceAction:
    """Work that makes everything good."""
    return replace(MaintenanceAction(name, resets={"*": 1.0}), **what)  # type: ignore[arg-type]  # fields by name


def shop(*types: tuple[DeviceType, int]) -> Fork:
    """A fork of so many devices of each type, of which nothing was ever read."""
    shards = []
    for device_type, count in types:
        shards.append(Shard(device_type))
        devices = tuple(Device(f"{device_type.name}-{i:03}", device_type.name) for i in range(count))
        said = RegisterDevices(command_id="r", by="s", device_type=device_type.name, devices=devices)
        shards[-1].command(said, START_US)
    return fork(shards, START_US)


def worn(found: Fork, wear: dict[str, np.ndarray]) -> Fork:
    """The fork, its devices known to be so much worn, by type."""
    types = {}
    for name, forked in found.types.items():
        s = physics.blank_physics(len(forked), forked.device_type)
        s.device[:] = forked.keys
        physics.begin(s, physics_params(forked.device_type), 0, len(forked), 1, 0)
        s.wear[:, 0] = wear[name]
        types[name] = replace(forked, physics=PhysicsState._make(s))
    return replace(found, types=types)


def late(results: Results, from_h: float) -> Results:
    """The results from a time on, once what was special about the start is forgotten."""
    buckets = results.tables["buckets"]
    return replace(
        results, tables={**results.tables, "buckets": buckets.filter(pc.greater_equal(buckets["start_h"], from_h))}
    )  # fmt: skip


def total(table: pa.Table, column: str) -> float:
    return float(pc.sum(table[column]).as_py() or 0.0)
