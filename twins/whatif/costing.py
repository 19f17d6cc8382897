"""What a scenario is going to take, before it is begun: device-steps, time, memory, and room for results.

Steps are counted; memory is that of the arrays; time is steps by a measured rate. Results are estimated: how much work there
will be, and how many alerts, is what the run is for.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from twins.costs import usual_life_h
from twins.devices import DeviceType
from twins.physics import blank_physics
from twins.state import blank_state
from twins.whatif.checking import grown_by
from twins.whatif.scenarios import Arm, Growth, Scenario

RATE: Final = 1.4e6
"""Device-steps a second and core, for a type of ``RATE_CHANNELS`` channels: CPU time of ``replication.replicate``, 1000
pumps for 48 h in steps of 60 s, on a shared machine of two cores; 2.4 M for 2 channels, 1.2 M for 11, 0.55 M for 24."""

RATE_CHANNELS: Final = 8

STEP_CHANNELS: Final = 3
"""A step costs as much as so many channels before it comes to the first."""

IDLE_DEVICES: Final = 90
"""A step of a type costs as much as so many devices before it comes to the first, as twenty devices of six types tell."""

BESIDE_STATE: Final = 335
"""Bytes that a run takes of a device beside what its twin knows and what it is really like: what is counted, orders."""

BUCKET_BYTES: Final = 150
"""Of a line of results: a stretch of time of a group …"""
WORK_BYTES: Final = 130
"""… an order of work …"""
EVENT_BYTES: Final = 120
"""… an event of an alert …"""
DEVICE_BYTES: Final = 110
"""… a device."""

EVENTS_A_DAY: Final = 3.0
"""Events of alerts of a device in a day. From none to ten were seen, by type and wear."""

_PROBED: Final = 256


class Cost(NamedTuple):
    """What a scenario takes. With ``stopping`` it takes as many replications as it must: the least, and the most.

    Attributes
    ----------
    replications, most_replications : of each arm
    device_steps, most_device_steps : all arms, and what a simulated fleet runs before the fork
    seconds, most_seconds : on all workers
    workers : that have something to do
    worker_bytes : memory that each takes beside the fork, which they share
    result_bytes, most_result_bytes : tables of results, as they are in memory; files take less
    """

    replications: int
    most_replications: int
    device_steps: int
    most_device_steps: int
    seconds: float
    most_seconds: float
    workers: int
    worker_bytes: int
    result_bytes: int
    most_result_bytes: int


def estimate(
    scenario: Scenario,
    devices_by_type: Mapping[str, int],
    types: Mapping[str, DeviceType],
    *,
    cores: int = 1,
    rate: float = RATE,
    sites: int = 1,
) -> Cost:
    """What a scenario takes.

    Parameters
    ----------
    devices_by_type : how many devices are forked
    types : all of those, by name
    cores : that work on it
    rate : device-steps a second and core, of many devices of ``RATE_CHANNELS`` channels; it falls with the number of these
    sites : where these devices stand, for results by site

    Raises
    ------
    ValueError : for no cores or no rate.
    """
    if cores < 1 or not rate > 0:
        raise ValueError(f"cores must be 1 or more and rate above zero, got {cores} and {rate}")
    least = most = scenario.replications
    if scenario.stopping is not None:
        least, most = scenario.stopping.at_least, scenario.stopping.at_most
    steps = math.ceil(scenario.horizon_h * 3600 / scenario.step_s)
    rows = [
        {name: n for name, n in _rows(scenario, arm, devices_by_type).items() if name in types}
        for arm in scenario.arms
    ]
    of_arms = steps * sum(sum(each.values()) for each in rows)
    work_s = sum(steps * _effort(types[name], n) for each in rows for name, n in each.items()) / rate
    warm = {
        name: n for name, n in devices_by_type.items() if name in types and scenario.base.start == "fleet"
    }
    warm_steps = math.ceil(scenario.base.warm_up_h * 3600 / scenario.step_s)
    warm_s = sum(warm_steps * _effort(types[name], n) for name, n in warm.items()) / rate
    a_run = work_s / len(scenario.arms)
    result = sum(
        _result_bytes(scenario, arm, each, types, sites)
        for arm, each in zip(scenario.arms, rows, strict=True)
    )

    def seconds(replications: int) -> float:
        return warm_s + math.ceil(replications * len(scenario.arms) / cores) * a_run

    return Cost(
        replications=least,
        most_replications=most,
        device_steps=least * of_arms + warm_steps * sum(warm.values()),
        most_device_steps=most * of_arms + warm_steps * sum(warm.values()),
        seconds=seconds(least),
        most_seconds=seconds(most),
        workers=min(cores, most * len(scenario.arms)),
        worker_bytes=max(sum(n * device_bytes(types[name]) for name, n in each.items()) for each in rows),
        result_bytes=round(least * result),
        most_result_bytes=round(most * result),
    )


def device_bytes(device_type: DeviceType) -> int:
    """Memory that a run takes of each device of a type."""

    def held(rows: int) -> int:
        return blank_state(rows, device_type).nbytes + sum(
            each.nbytes for each in blank_physics(rows, device_type)
        )

    return (held(2 * _PROBED) - held(_PROBED)) // _PROBED + BESIDE_STATE


def _effort(device_type: DeviceType, devices: int) -> float:
    """A step of all devices of a type, in device-steps of ``RATE``."""
    if not devices:
        return 0.0
    width = (STEP_CHANNELS + len(device_type.channels)) / (STEP_CHANNELS + RATE_CHANNELS)
    return (IDLE_DEVICES + devices) * width


def _rows(scenario: Scenario, arm: Arm, devices_by_type: Mapping[str, int]) -> dict[str, int]:
    """Devices of an arm by type. Those that come later are there from the start, standing still; none goes."""
    rows = dict(devices_by_type)
    for change in arm.interventions:
        if isinstance(change, Growth):
            rows[change.device_type] = rows.get(change.device_type, 0) + grown_by(change, scenario.horizon_h)
    return rows


def _result_bytes(
    scenario: Scenario, arm: Arm, rows: Mapping[str, int], types: Mapping[str, DeviceType], sites: int
) -> float:
    """Of one replication of an arm."""
    groups = {"none": 1, "site": sites, "type": len(rows)}[scenario.group_by]
    found: float = BUCKET_BYTES * groups * math.ceil(scenario.horizon_h / scenario.bucket_h) + BUCKET_BYTES
    if "work" in scenario.keep:
        found += WORK_BYTES * sum(n * sum(_works(scenario, arm, types[name])) for name, n in rows.items())
    if "events" in scenario.keep:
        found += EVENT_BYTES * sum(rows.values()) * scenario.horizon_h / 24 * EVENTS_A_DAY
    if "devices" in scenario.keep:
        found += DEVICE_BYTES * sum(rows.values())
    return found


def _works(scenario: Scenario, arm: Arm, device_type: DeviceType) -> Iterator[float]:
    """How often a device is worked on: after failures, at the least as often as it lasts, and at intervals."""
    policy = arm.policies.get(device_type.name, arm.policy)
    if policy.kind == "nothing":
        return
    yield sum(
        scenario.horizon_h / usual_life_h(mode, device_type.load.mean) for mode in device_type.failure_modes
    )
    if policy.kind == "fixed_interval" and policy.every_h > 0:
        yield scenario.horizon_h / policy.every_h
