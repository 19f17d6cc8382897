"""Compile every kernel before it is needed: at set-up, and when a host starts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from twins import commands as c
from twins import state, typefiles, views
from twins.clock import SECOND_US, stopwatch_s
from twins.devices import AlertRule, Channel, Device, DeviceType, OperatingCondition
from twins.directory import Directory
from twins.readings import ShardBatch, all_present, rounded
from twins.shard import Shard

_SMALL = DeviceType(
    name="warm-up",
    version=1,
    interval_s=1.0,
    baseline_readings=8,
    channels=(Channel("load", "%", condition=True), Channel("x", "1", resolution=0.1)),
    conditions=(OperatingCondition("load", (0.0,)),),
    rules=(
        AlertRule("r", "x > 9", "low", "nothing", "nothing", on_delay_s=0.0, off_delay_s=0.0),
        AlertRule(
            "latched", "x > 9", "low", "nothing", "nothing", on_delay_s=0.0, off_delay_s=0.0, latch=True
        ),
        AlertRule("dropped", "x > 9", "low", "nothing", "nothing", on_delay_s=0.0, off_delay_s=0.0),
    ),
)
_READINGS = (1.0, 2.0, 12.0, 1.0)


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
        command = c.RegisterDevices(
            command_id="w",
            by="system",
            device_type=device_type.name,
            devices=(Device("a", device_type.name),),
        )
        shard.command(command, 0)
        for step, reading in enumerate(_READINGS, 1):
            at_us = step * SECOND_US
            values = rounded(np.array([[1.0, reading]]), device_type)
            batch = ShardBatch(np.zeros(1, np.int32), np.array([at_us]), values, np.array([all_present(2)]))
            shard.apply(batch, at_us)
        for asked in _asked(device_type):
            shard.command(asked, 10 * SECOND_US)
        shard.advance(100 * SECOND_US)
        views.live(shard)
        views.twin(shard, 0)
        shard.parent_states()
        state.from_arrays(state.to_arrays(shard.state, 1), 64, 1, shard.device_type)
    return stopwatch_s() - began


def _asked(device_type: DeviceType) -> Iterator[c.Command]:
    """Everything that people and the fleet ask which a kernel does: rules are changed while the fleet lives, too."""
    one: dict[str, Any] = {"command_id": "w", "by": "system", "device_id": "a"}
    yield c.SetParentState(command_id="w", by="system", parent_id="none", flags=1)
    yield c.ShelveAlert(**one, rule="r", duration_s=60.0, reason="w")
    yield c.UnshelveAlert(**one, rule="r")
    yield c.SuppressAlert(**one, rule="r", reason="w")
    yield c.UnsuppressAlert(**one, rule="r")
    yield c.RemoveFromService(**one, rule="r", reason="w")
    yield c.ReturnToService(**one, rule="r")
    yield c.AcknowledgeAlert(**one, rule="latched")
    yield c.ResetAlert(**one, rule="latched")
    changed = replace(device_type, version=2, rules=device_type.rules[:2])
    yield c.InstallType(command_id="w", by="system", document=typefiles.to_document(changed))
