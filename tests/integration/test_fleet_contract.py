"""One contract for every fleet: what LocalFleet does in one process, RayFleet does over actors."""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
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
    DegradedError,
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

    def make(twins_per_host=4):
        config = FleetConfig(hosts=2, twins_per_host=twins_per_host)
        if request.param == "local":
            fleet = LocalFleet(tmp_path, config)
        else:
            from twins.ray_fleet import RayFleet

            request.getfixturevalue("cluster")
            fleet = RayFleet(tmp_path, config, create=True)
        opened.append(fleet)
        return fleet

    yield make
    for fleet in opened:
        fleet.close()


def until(holds):
    """Wait for a condition; a host or the registrar may restart meanwhile."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(DegradedError):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def send(fleet, temperature, ids, at_us=None, **options):
    """One reading of each device; gives the result and when it happened."""
    at_us = at_us or time.time_ns() // 1000
    values = np.full((len(ids), 3), [50.0, 2.0, temperature])
    batch = ReadingBatch(
        PUMP.name, pa.array(ids), np.arange(len(ids), dtype=np.int32), np.full(len(ids), at_us), values
    )
    return fleet.write(batch, **options), at_us


# one that is not missed within the hour: how fast this machine is changes nothing of what is known of it
PATIENT = replace(PUMP, interval_s=3600.0, rules=tuple(rule for rule in PUMP.rules if rule.name != "silent"))


def test_a_fleet_keeps_the_contract(make_fleet):
    fleet = make_fleet()
    fleet.install(PATIENT)
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

    # several at once: each by itself, and those of nobody
    send(fleet, 99.0, ids)
    several = [
        AcknowledgeAlert(command_id=f"s{n}", by="ann", device_id=each, rule="hot")
        for n, each in enumerate([*ids[1:], ids[0], "nobody", ids[1]])
    ]
    done = fleet.command_many(several)
    assert [why and why.code for why in done.refused] == [
        None, None, None, None, None, "command.refused", "device.not_found", "command.refused"
    ]  # fmt: skip
    assert {each["state"] for each in fleet.alerts().to_pylist()} == {"ACKED", "SHELVED"}
    assert fleet.command_many(several[:5]).refused == [None] * 5  # done already, and not done again

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


@pytest.mark.parametrize("make_fleet", ["ray"], indirect=True)
def test_a_killed_shard_comes_back_with_all_that_was_acknowledged(make_fleet):
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


@pytest.mark.parametrize("make_fleet", ["ray"], indirect=True)
def test_a_host_that_is_lost_costs_only_its_own_devices_and_is_brought_back(make_fleet):
    import ray

    fleet = make_fleet()
    fleet.install(PUMP)
    fleet.register(pumps(6))
    homes = {device.id: fleet.find(device.id)[0] for device in pumps(6)}
    away = [each for each, host in homes.items() if host == 1]
    _, at_us = send(fleet, 61.0, list(homes))
    ray.kill(fleet.actors()[1])  # for good: it is not restarted
    until(lambda: [status.state for status in fleet.status()] == ["ready", "away"])
    assert fleet.status()[1].devices == len(away)
    result, _ = send(fleet, 62.0, list(homes), partly=True)
    assert result.fates == {"scored": 6 - len(away)}
    assert {(device_id, code) for _, device_id, code in result.refused} == {
        (each, "fleet.degraded") for each in away
    }
    with pytest.raises(DegradedError):
        send(fleet, 63.0, list(homes))
    fleet.register([Device("new", PUMP.name)])
    until(lambda: [status.state for status in fleet.status()] == ["ready", "ready"])
    states = [fleet.read_twin(each) for each in away]
    assert {(each["event_us"], each["values"]["temperature"]["value"]) for each in states} == {(at_us, 61.0)}
    assert send(fleet, 64.0, [*homes, "new"])[0].fates == {"scored": 7}


@pytest.mark.parametrize("make_fleet", ["ray"], indirect=True)
def test_processes_that_race_for_the_same_ids_get_each_of_them_once(make_fleet):
    """Also while the registrar is killed: who lost is told so, who won has all of its list, on one host each."""
    import ray

    fleet = make_fleet(twins_per_host=1000)
    fleet.install(PUMP)
    clients = [ray.remote(num_cpus=0)(Client).remote(fleet.folder, number) for number in range(3)]
    ray.get([client.ready.remote() for client in clients])
    with killing_the_registrar(fleet) as killed:
        for contest in range(200):
            told = ray.get([client.register.remote(contest) for client in clients])
            assert Counter(answer is None for answer in told) == {True: 1, False: 2}, told
            assert all(f"r{contest}-" in answer for answer in told if answer), told
            won = told.index(None)
            assert ray.get(clients[won - 1].found.remote(f"r{contest}-own-{won}"))
            if contest >= 10 and len(killed) >= 2:
                break
        else:
            raise AssertionError(f"the registrar was killed {len(killed)} times only")
    lives = Counter(fleet.live(PUMP.name)["device_id"].to_pylist())
    assert set(lives.values()) == {1}
    assert Counter(each.split("-")[0] for each in lives) == {f"r{number}": 6 for number in range(contest + 1)}
    assert fleet._ask_registrar("status")["twice"] == []


class Client:
    """A fleet's client in a process of its own."""

    def __init__(self, folder, number):
        from twins.ray_fleet import RayFleet

        self.number = number
        self.fleet = RayFleet(folder)

    def ready(self):
        return True

    def register(self, contest):
        """Register what the others register too, from another end, and one id of one's own; gives what was refused."""
        ids = [f"r{contest}-{(at + self.number) % 5}" for at in range(5)] + [f"r{contest}-own-{self.number}"]
        try:
            self.fleet.register([Device(each, PUMP.name) for each in ids])
        except DeviceExistsError as error:
            return str(error)
        return None

    def found(self, device_id):
        return self.fleet.find(device_id) is not None


@contextlib.contextmanager
def killing_the_registrar(fleet, times=2):
    """Kill the registrar so many times, each time when more devices are known than last time; gives who was killed."""
    killed, done = [], threading.Event()

    def kill():
        known = len(fleet.directory)
        while not done.is_set() and len(killed) < times:
            with contextlib.suppress(DegradedError):  # it restarts
                status = fleet._ask_registrar("status", patience_s=5.0)
                if status["devices"] > known:
                    os.kill(status["pid"], signal.SIGKILL)
                    killed.append(status["pid"])
                    known = status["devices"]

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        done.set()
        killer.join()


@pytest.mark.parametrize("make_fleet", ["ray"], indirect=True)
def test_a_registrar_that_is_killed_half_way_through_a_list_ends_it_when_it_is_back(make_fleet, monkeypatch):
    from twins import membership

    monkeypatch.setattr(
        membership, "REGISTER_CHUNK", 500
    )  # many commands, so that some are done and some are not
    fleet = make_fleet(twins_per_host=20_000)
    fleet.install(PUMP)
    devices = pumps(12_000)
    with killing_the_registrar(fleet) as killed:
        fleet.register(devices[:1])
        fleet.register(devices[1:])
    assert killed
    assert sum(status.devices for status in fleet.status()) == len(devices)
    assert len(fleet.directory) == len(devices)
    assert sorted(fleet.live(PUMP.name)["device_id"].to_pylist()) == sorted(each.id for each in devices)
    with pytest.raises(DeviceExistsError):
        fleet.register(devices[-1:])


@pytest.mark.parametrize("make_fleet", ["ray"], indirect=True)
def test_a_client_with_an_old_directory_is_served_as_if_it_had_the_newest(make_fleet):
    from twins.ray_fleet import RayFleet

    fleet = make_fleet()
    fleet.install(PUMP)
    fleet.register([*pumps(2), Device("vip", PUMP.name, placement="dedicated")])
    old = RayFleet(fleet.folder)
    grown = [f"more-{number}" for number in range(7)]
    fleet.register([Device(each, PUMP.name, parent="pump-0") for each in grown])
    fleet.retire("pump-1")
    fleet.update(Device("more-1", PUMP.name, site="bergen", parent="vip"))
    assert old.hosts() != fleet.hosts()
    result, _ = send(old, 60.0, ["pump-0", "pump-1", *grown, "nobody"])
    assert result.fates == {"scored": 8, "empty": 1}
    assert list(result.refused) == [(9, "nobody", "device.not_found")]
    assert old.read_twin("more-1")["site"] == "bergen"

    # a host of one's own stays that, whoever registers afterwards
    homes = {each: old.find(each)[0] for each in ["vip", "pump-0", *grown]}
    old.register([Device(f"late-{number}", PUMP.name) for number in range(3)])
    assert homes["vip"] not in {old.find(f"late-{number}")[0] for number in range(3)}
    assert {each: fleet.find(each)[0] for each in homes} == homes

    # the data folder is emptied, and others get the rows: nothing of theirs is written or read under an old name
    fleet.close()
    shutil.rmtree(fleet.folder)
    fleet = make_fleet()
    fleet.install(PUMP)
    fleet.register(list(reversed(pumps(4))))
    sent = []
    until(
        lambda: sent.append(send(old, 66.0, ["pump-0", "pump-1", "vip"])[0]) or sent
    )  # who it knew are no more
    (result,) = sent
    assert result.fates == {"scored": 2}
    assert list(result.refused) == [(2, "vip", "device.not_found")]
    states = {each.id: old.read_twin(each.id)["values"]["temperature"]["value"] for each in pumps(4)}
    assert states == {"pump-0": 66.0, "pump-1": 66.0, "pump-2": None, "pump-3": None}
