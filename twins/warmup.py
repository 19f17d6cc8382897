"""Compile every kernel before it is needed: at set-up, and when a host starts."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from twins import state, views
from twins.clock import SECOND_US, stopwatch_s
from twins.commands import RegisterDevices
from twins.devices import AlertRule, Channel, Device, DeviceType, OperatingCondition
from twins.directory import Directory
from twins.readings import ShardBatch, all_present, rounded
from twins.shard import Shard

_SMALL = DeviceType(
    name="warm-up",
    version=1,
    interval_s=1.0,
    baseline_readings=3,
    channels=(Channel("load", "%", condition=True), Channel("x", "1", resolution=0.1)),
    conditions=(OperatingCondition("load", (0.0,)),),
    rules=(AlertRule("r", "x > 9", "low", "nothing", "nothing"),),
)


def compile_kernels() -> float:
    """Run a tiny shard of each precision through everything; takes seconds where compiled code is kept, else a minute.

    Returns the seconds it took.
    """
    began = stopwatch_s()
    ids = pa.array(["a"], pa.string())
    directory = Directory()
    directory.add(0, _SMALL.name, 0, ids)
    directory.locate(ids)
    wide = replace(_SMALL, channels=(_SMALL.channels[0], replace(_SMALL.channels[1], dtype="float64")))
    for device_type in (_SMALL, wide):
        shard = Shard(device_type)
        command = RegisterDevices(
            command_id="w",
            by="system",
            device_type=device_type.name,
            devices=(Device("a", device_type.name),),
        )
        shard.command(command, 0)
        for step in range(1, 3):
            at_us = step * SECOND_US
            values = rounded(np.array([[1.0, float(step)]]), device_type)
            batch = ShardBatch(np.zeros(1, np.int32), np.array([at_us]), values, np.array([all_present(2)]))
            shard.apply(batch, at_us)
        shard.advance(100 * SECOND_US)
        views.live(shard)
        views.twin(shard, 0)
        shard.parent_states()
        state.from_arrays(state.to_arrays(shard.state, 1), 64, 1, device_type)
    return stopwatch_s() - began
