"""One contract for every fleet: what LocalFleet does in one process, RayFleet does over actors."""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.twins.fleets import PUMP, pumps
from twins.clock import SECOND_US
from twins.commands import AcknowledgeAlert, RecordMaintenance, ShelveAlert
from twins.devices import Channel, Device
from twins.errors import (
    CommandRefusedError,
    DeviceExistsError,
    DeviceNotFoundError,
    DeviceTypeNotFoundError,
)
from twins.fleet import FleetConfig, LocalFleet
from twins.readings import ReadingBatch
from twins.warmup import compile_kernels

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster():
    import ray

    folder = Path(tempfile.mkdtemp(prefix="tfr-", dir="/tmp"))  # sockets need a short path
    ray.init(
        address="local",
        namespace="twinfold",
        include_dashboard=False,
        num_cpus=2,
        object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["local", "ray"])
def make_fleet(request, tmp_path):
    """Opens the fleet of a folder; closed ones can be opened again."""
    compile_kernels()  # which takes longer, the first time, than a pump may be silent
    opened = []

    def make():
        config = FleetConfig(hosts=2, twins_per_host=4)
        if request.param == "local":
            fleet = LocalFleet(tmp_path, config)
        else:
            from twins.actors import RayFleet

            request.getfixturevalue("cluster")
            fleet = RayFleet(tmp_path, config, create=True)
        opened.append(fleet)
        return fleet

    yield make
    for fleet in opened:
        fleet.close()


def send(fleet, temperature, ids, at_us=None):
    """One reading of each device; gives the result and when it happened."""
    at_us = at_us or time.time_ns() // 1000
    values = np.full((len(ids), 3), [50.0, 2.0, temperature])
    batch = ReadingBatch(
        PUMP.name, pa.array(ids), np.arange(len(ids), dtype=np.int32), np.full(len(ids), at_us), values
    )
    return fleet.write(batch), at_us


def test_a_fleet_keeps_the_contract(make_fleet):
    fleet = make_fleet()
    fleet.install(PUMP)
    fleet.register(pumps(6))
    ids = [device.id for device in pumps(6)]

    # readings: taken, repeated, from the future, of nobody
    result, at_us = send(fleet, 60.0, [*ids, "nobody"])
    assert result.fates == {"scored": 6}
    assert list(result.refused) == [(6, "nobody", "device.not_found")]
    assert send(fleet, 60.0, ids, at_us)[0].fates == {"duplicate": 6}
    assert send(fleet, 60.0, ids, at_us - SECOND_US)[0].fates == {"late": 6}
    assert send(fleet, 60.0, ids, at_us + 3600 * SECOND_US)[0].fates == {"future": 6}
    assert fleet.twin(ids[0]).state()["counts"]["late"] == 1

    # an alert: raised, acknowledged once, shelved
    send(fleet, 99.0, ids[:1])
    (alert,) = [each for each in fleet.twin(ids[0]).alerts() if each["rule"] == "hot"]
    assert (alert["state"], alert["priority"]) == ("UNACK", "critical")
    acknowledge = AcknowledgeAlert(command_id="a", by="ann", device_id=ids[0], rule="hot", occurrence=1)
    fleet.command(acknowledge)
    fleet.command(acknowledge)  # the same command again is done once and refused never
    with pytest.raises(CommandRefusedError, match="acknowledged by ann"):
        fleet.command(AcknowledgeAlert(command_id="b", by="bob", device_id=ids[0], rule="hot"))
    fleet.command(
        ShelveAlert(command_id="c", by="ann", device_id=ids[0], rule="hot", duration_s=600, reason="repair")
    )
    assert fleet.alerts().select(["device_id", "state"]).to_pylist() == [
        {"device_id": ids[0], "state": "SHELVED"}
    ]

    # devices: growing to another host, a host of its own, maintenance, retirement
    fleet.register([Device(f"more-{i}", PUMP.name) for i in range(4)])
    fleet.register([Device("vip", PUMP.name, placement="dedicated")])
    assert (
        sorted(status.devices for status in fleet.status()) == [1, 3, 3, 4]
        or sum(status.devices for status in fleet.status()) == 11
    )
    assert len(fleet.live(PUMP.name)) == 11
    fleet.command(RecordMaintenance(command_id="m", by="ann", device_id=ids[1], kind="replacement"))
    assert fleet.twin(ids[1]).state()["life_cycle"] == 1
    fleet.retire(ids[2])
    assert send(fleet, 60.0, [ids[2]])[0].fates == {"empty": 1}

    # refusals name what is wrong
    with pytest.raises(DeviceExistsError):
        fleet.register([Device(ids[0], PUMP.name)])
    with pytest.raises(DeviceNotFoundError):
        fleet.twin("nobody")
    with pytest.raises(DeviceTypeNotFoundError):
        fleet.register([Device("x", "no-such-type")])
    with pytest.raises(CommandRefusedError, match="channels differ"):
        fleet.install(type(PUMP)(PUMP.name, 2, (*PUMP.channels, Channel("flow", "l/min"))))

    # all of it is there after a restart
    def known(fleet):
        states = {device_id: fleet.read_twin(device_id) for device_id in [*ids, "vip", "more-3"]}
        for state in states.values():
            del state["heard_us"]  # silence counts from when actors are back
        return states

    before = known(fleet)
    fleet.close()
    again = make_fleet()
    assert known(again) == before
    assert send(again, 60.0, ["vip"])[0].fates == {"scored": 1}


def test_a_killed_shard_comes_back_with_all_that_was_acknowledged(make_fleet, request):
    if "ray" not in request.node.callspec.params.values():
        pytest.skip("a process of its own is what is killed here")
    import os
    import signal

    import ray

    fleet = make_fleet()
    fleet.install(PUMP)
    fleet.register(pumps(4))
    ids = [device.id for device in pumps(4)]
    _, at_us = send(fleet, 61.0, ids)
    pids = [ray.get(actor.pid.remote()) for actor in fleet.actors()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    states = {}
    while len(states) < len(ids) and time.monotonic() < deadline:
        try:
            states = {device_id: fleet.read_twin(device_id) for device_id in ids}
        except Exception:  # it restarts by itself; until then it says that it is not there
            states = {}
    assert {state["values"]["temperature"]["value"] for state in states.values()} == {61.0}
    assert {state["event_us"] for state in states.values()} == {at_us}
    assert send(fleet, 62.0, ids)[0].fates == {"scored": 4}
