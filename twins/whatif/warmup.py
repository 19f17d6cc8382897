"""Compile what forks need before it is needed: at set-up."""

from dataclasses import replace
from typing import Final

import numpy as np

from twins.clock import stopwatch_s
from twins.devices import AlertRule, Channel, DeviceType, Effect, FailureMode, MaintenanceAction
from twins.fleetfiles import DeviceGroup, FleetSpec, Site
from twins.whatif import estimation
from twins.whatif.estimation import Observed
from twins.whatif.presence import Estimated
from twins.whatif.replication import replicate
from twins.whatif.scenarios import Arm, FaultInjection, Policy, Scenario, SensorInjection, Span
from twins.whatif.synthetic import synthetic
from twins.whatif.tracing import Tracing

_SMALL: Final = DeviceType(
    name="warm-up",
    version=1,
    interval_s=60.0,
    baseline_readings=8,
    channels=(Channel("load", "%", condition=True), Channel("x", "1", resolution=0.1)),
    failure_modes=(FailureMode("wear", rate_per_h=0.1, effects=(Effect("x", shift=20.0),)),),
    actions=(MaintenanceAction("mend", duration_h=1.0, resets={"*": 1.0}),),
    rules=(
        AlertRule("r", "x > 1", "low", "nothing", "nothing", on_delay_s=0.0, off_delay_s=0.0),
        AlertRule("l", "x > 2", "low", "nothing", "nothing", on_delay_s=0.0, off_delay_s=0.0, latch=True),
    ),
)


def compile_forks() -> float:
    """Run a tiny fork of each precision; takes seconds where compiled code is kept, else a minute. Returns the seconds."""
    began_s = stopwatch_s()
    wide = replace(_SMALL, channels=(_SMALL.channels[0], replace(_SMALL.channels[1], dtype="float64")))
    for device_type in (_SMALL, wide):
        spec = FleetSpec(name="w", sites=(Site("s"),), groups=(DeviceGroup(device_type.name, 2, ("s",)),))
        forked = synthetic(spec, {device_type.name: device_type}, warm_up_h=1.0, step_s=60.0)
        changes = (
            FaultInjection("wear", damage=0.9, span=Span(0.0, 1.0)),
            SensorInjection("x", "noise", 1.0, span=Span(0.0, 1.0)),
        )
        scenario = Scenario(
            name="w", arms=(Arm("a", policy=Policy("threshold", when="alerts > 0", review_h=1.0), interventions=changes),),
            horizon_h=2.0, bucket_h=1.0, keep=("work", "events", "devices"),
        )  # fmt: skip
        each = forked.types[device_type.name]
        nothing = np.full((2, 3, 2), np.nan)
        seen = Observed(3600.0, 0, nothing, nothing, np.zeros((2, 3, 2), np.int64))
        estimate = estimation.estimate(seen, device_type, each.keys)
        present = Estimated({device_type.name: estimate})
        for twins in (forked, replace(forked, types={device_type.name: replace(each, physics=None)})):
            replicate(twins, scenario, scenario.arms[0], 0, present, tracing=Tracing((each.ids[0].as_py(),)))
    return stopwatch_s() - began_s
