"""The same readings give the same twins and the same events, however they are cut, sharded, crashed and restored."""

import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.fleets import PUMP, T0, batch_of, events_by_device, pumps, random_lines, states
from twins.clock import VirtualClock
from twins.commands import AcknowledgeAlert, RecordMaintenance
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig

DEVICES = 7


def run(folder, lines, hosts, rng, crash_every=0):
    """Drive the lines through a fleet; ``rng`` chooses the cuts, None takes line by line."""
    config = FleetConfig(hosts=hosts, host=HostConfig(snapshot_after_entries=25))
    fleet = LocalFleet(folder, config, VirtualClock(T0))
    fleet.install(PUMP)
    fleet.register(pumps(DEVICES))
    done = 0
    for now_us, group in groupby(lines, key=lambda line: line.now_us):
        todo = list(group)
        fleet.clock.advance_to(now_us)
        fleet.advance(now_us)
        while todo:
            size = 1 if rng is None else int(rng.integers(1, 1 + len(todo)))
            fleet.write(batch_of(todo[:size]), now_us=now_us)
            todo = todo[size:]
            done += 1
            if crash_every and done % crash_every == 0:
                fleet = crashed(fleet, folder, config, now_us)
        if now_us % 7 == 0:
            fleet.command(
                RecordMaintenance(command_id=f"m-{now_us}", by="ann", device_id="pump-1", kind="repair")
            )
    return fleet


def crashed(fleet, folder, config, now_us):
    """What a kill leaves: nothing of memory, no goodbye snapshot."""
    for host in fleet.shard_hosts():
        host._journal.close()
    return LocalFleet(folder, config, VirtualClock(now_us))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=8, deadline=None)
def test_results_do_not_depend_on_cuts_shards_or_crashes(seed, hosts, crash_every):
    rng = np.random.default_rng(seed)
    lines = random_lines(rng, [device.id for device in pumps(DEVICES)], steps=60)
    ids = [device.id for device in pumps(DEVICES)]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        plain = run(Path(one), lines, 1, None)
        cut = run(Path(other), lines, hosts, rng, crash_every)
        assert events_by_device(cut) == events_by_device(plain)
        assert states(cut, ids) == states(plain, ids)
        plain.close()
        cut.close()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 120), min_size=1, max_size=8))
@settings(max_examples=8, deadline=None)
def test_advancing_in_steps_equals_advancing_at_once(seed, steps):
    rng = np.random.default_rng(seed)
    lines = random_lines(rng, [device.id for device in pumps(DEVICES)], steps=30)
    fleets = []
    for stops in (np.cumsum(steps).tolist(), [sum(steps)]):
        fleet = LocalFleet(config=FleetConfig(), clock=VirtualClock(T0))
        fleet.install(PUMP)
        fleet.register(pumps(DEVICES))
        for now_us, group in groupby(lines, key=lambda line: line.now_us):
            fleet.write(batch_of(list(group)), now_us=now_us)
        last = lines[-1].now_us
        for stop in stops:
            fleet.advance(last + stop * 1_000_000)
        fleets.append(fleet)
    ids = [device.id for device in pumps(DEVICES)]
    assert states(fleets[0], ids) == states(fleets[1], ids)


def test_a_command_is_done_once():
    fleet = LocalFleet(clock=VirtualClock(T0))
    fleet.install(PUMP)
    fleet.register(pumps(1))
    command = RecordMaintenance(command_id="same", by="ann", device_id="pump-0", kind="repair")
    fleet.command(command)
    fleet.command(command)
    assert fleet.read_twin("pump-0")["life_cycle"] == 1


def test_acknowledging_what_never_stood_is_refused():
    import pytest

    from twins.errors import FleetError

    fleet = LocalFleet(clock=VirtualClock(T0))
    fleet.install(PUMP)
    fleet.register(pumps(1))
    with pytest.raises(FleetError):
        fleet.command(AcknowledgeAlert(command_id="x", by="ann", device_id="pump-0", rule="hot"))
