"""A fork is the twins as they are at one moment, of any fleet, and nothing leads back from it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.whatif.forked import START_US, SimulatedFleet, fleet_spec, pumps
from twins.clock import HOUR_US, VirtualClock
from twins.errors import FilterError
from twins.fleet import FleetConfig, LocalFleet
from twins.simulation import Simulator
from twins.whatif.forks import Fork
from twins.whatif.presence import Estimated, as_known
from twins.whatif.replication import replicate
from twins.whatif.scenarios import Arm, Scenario
from twins.whatif.synthetic import synthetic

RULED = Scenario(name="s", arms=(Arm("as-is"),), horizon_h=2.0, bucket_h=1.0, step_s=300.0)


def live(folder: Path | None, hosts: int) -> tuple[LocalFleet, Simulator]:
    """A fleet of pumps that has run for two hours."""
    spec = fleet_spec(5, 7, (0.0, 0.8))
    simulator = Simulator(spec, {"centrifugal-pump": pumps()}, start_us=START_US)
    clock = VirtualClock(START_US)
    fleet = LocalFleet(folder, FleetConfig(hosts=hosts, twins_per_host=4), clock)
    fleet.install(pumps())
    fleet.register(simulator.devices)
    feed(fleet, simulator, clock, 2.0)
    return fleet, simulator


def feed(fleet: LocalFleet, simulator: Simulator, clock: VirtualClock, hours: float) -> None:
    for batch in simulator.advance(clock.now_us() + round(hours * HOUR_US)):
        clock.advance_to(int(batch.event_us[-1]))
        fleet.write(batch)


def without_lineage(fork: Fork) -> bytes:
    return bytes(Fork(fork.at_us, fork.types, fork.sites, fork.config).block())


def test_a_live_fleet_is_forked_the_same_whatever_hosts_it_has() -> None:
    one, many = live(None, 1)[0].fork(), live(None, 3)[0].fork()
    assert len(one) == 10
    assert without_lineage(one) == without_lineage(many)


def test_a_fork_changes_nothing_of_the_fleet(tmp_path: Path) -> None:
    (forked, simulator), (other, twin_simulator) = live(tmp_path / "a", 2), live(tmp_path / "b", 2)
    before = forked.fork()
    arm = RULED.arms[0]
    replicate(before, RULED, arm, 0, Estimated({}))
    for fleet, devices in ((forked, simulator), (other, twin_simulator)):
        feed(fleet, devices, fleet.clock, 1.0)  # type: ignore[arg-type]  # a virtual one, see live
    assert without_lineage(forked.fork()) == without_lineage(other.fork())
    assert without_lineage(forked.fork()) != without_lineage(before)


def test_the_moment_of_a_fork_is_in_the_journal(tmp_path: Path) -> None:
    fleet, _ = live(tmp_path, 2)
    fork = fleet.fork()
    assert fork.lineage["at_us"] == fork.at_us
    for host, cursor in fork.lineage["cursors"].items():
        assert fleet.shard_hosts()[int(host)].cursor == cursor
    fleet.close()
    again = LocalFleet(tmp_path, FleetConfig(hosts=2, twins_per_host=4), VirtualClock(fork.at_us))
    assert without_lineage(again.fork()) == without_lineage(fork)


def test_a_filter_chooses_what_is_forked() -> None:
    fleet, _ = live(None, 1)
    oslo = fleet.fork("site = 'oslo'")
    assert [each.startswith("oslo") for each in oslo.types["centrifugal-pump"].ids.to_pylist()] == [True] * 5
    assert oslo.types["centrifugal-pump"].table["site"].to_pylist() == ["oslo"] * 5
    assert len(fleet.fork("health > 1000")) == 0
    with pytest.raises(FilterError, match="helth"):
        fleet.fork("helth < 50")
    whole = fleet.fork()
    assert without_lineage(whole.chosen("site = 'oslo'")) == without_lineage(oslo)


def test_retired_twins_stay_behind() -> None:
    fleet, _ = live(None, 1)
    fleet.retire("oslo-centrifugal-pump-0001")
    assert "oslo-centrifugal-pump-0001" not in fleet.fork().types["centrifugal-pump"].ids.to_pylist()


def test_a_simulated_fleet_knows_its_truth() -> None:
    spec = fleet_spec(4, 7, (0.2, 0.6))
    forked = synthetic(spec, {"centrifugal-pump": pumps()}, warm_up_h=8.0, step_s=60.0)
    each = forked.types["centrifugal-pump"]
    assert each.physics is not None
    assert (each.physics.wear >= 0.2).all()
    assert (each.arrays["signals.learned"] > 0).all()
    outcome = replicate(forked, RULED, RULED.arms[0], 0, as_known)
    assert outcome.tables["runs"]["devices"].to_pylist() == [8]
    again = synthetic(spec, {"centrifugal-pump": pumps()}, warm_up_h=8.0, step_s=60.0)
    assert again.block() == forked.block()


def test_columns_of_the_live_table_go_along() -> None:
    fleet = SimulatedFleet(pumps(), count=2)
    table = fleet.fork.types["centrifugal-pump"].table
    assert table["device_id"].to_pylist() == list(fleet.ids)
    assert isinstance(table["health"], pa.ChunkedArray)
    assert np.isfinite(table["vibration"].to_numpy()).all()
    assert fleet.fork.at_us == fleet.now_us
