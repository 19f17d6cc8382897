"""One owner of membership, whatever is lost on the way to it: no id on two hosts, nothing lost that was acknowledged."""

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.fleets import PUMP, T0
from twins.clock import SECOND_US, VirtualClock
from twins.commands import UpdateDevice
from twins.devices import Channel, Device
from twins.directory import Directory
from twins.errors import (
    CommandRefusedError,
    DegradedError,
    DeviceExistsError,
    DeviceNotFoundError,
    FleetError,
    StaleDirectoryError,
)
from twins.fleet import Fleet, FleetConfig, LocalFleet, LocalHosts
from twins.host import HostConfig
from twins.membership import Membership, entrants
from twins.readings import ReadingBatch
from twins.refresher import Refresher

MOST = 3  # devices a host has room for


class CrashedError(BaseException):
    """The owner's process ends here."""


class Network:
    """Hosts in this process behind a network on which everything happens that can happen to a call.

    ``faults`` says, call by call: 0 nothing; 1 the call is lost; 2 its answer is lost; 3 it is done later, unheard; 4 the
    host has just restarted; 5 another owner does something first; 6 the owner dies before the call, 7 after it.
    """

    def __init__(self) -> None:
        self.hosts = LocalHosts(None, HostConfig(), VirtualClock(T0))
        self.hosts.start(1)
        self.faults: list[int] = []
        self.late: list[Any] = []
        self.rival: Any = None
        self.named: Any = None  # the newest link: the cluster gives an owner's name to one at a time

    def link(self) -> "Link":
        self.named = Link(self)
        return self.named

    def rosters(self) -> Counter[str]:
        """How often each id lives somewhere."""
        shards = [shard for service in self.hosts.services for shard in service.host.shards.values()]
        return Counter(each for shard in shards for each in shard.roster.index.ids().to_pylist())

    def deliver_late(self) -> None:
        late, self.late = self.late, []
        self.hosts.ask(late)


class Link:
    """The network as one owner sees it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.numbers, self.start = network.hosts.numbers, network.hosts.start

    def is_alone(self) -> bool:
        return self._network.named is self

    def ask(self, calls: Any, patience_s: float | None = None) -> list[Any]:
        return [self._ask(call) for call in calls]

    def _ask(self, call: Any) -> Any:
        network = self._network
        fault = network.faults.pop() if network.faults else 0
        if fault == 4:
            network.hosts.services[call[0]].host.claimant = ""
        if fault == 5 and network.rival is not None:
            rival, network.rival = network.rival, None
            rival()
        if fault in (1, 3):
            if fault == 3:
                network.late.append(call)
            return DegradedError("no answer")
        if fault == 6:
            raise CrashedError
        if len(network.late) and fault == 2:
            network.deliver_late()
        (answer,) = network.hosts.ask([call])
        if fault == 7:
            raise CrashedError
        return DegradedError("no answer") if fault == 2 else answer


def owner(network: Network) -> Membership:
    return Membership(network.link(), MOST, VirtualClock(T0))


def devices(numbers: Any) -> list[Device]:
    return [Device(f"d-{n}", PUMP.name, placement="dedicated" if n == 9 else "shared") for n in numbers]


def registered(membership: Membership, key: str, numbers: Any) -> str:
    """Register under a key; gives what came of it."""
    try:
        membership.register(entrants(devices(numbers)), "ann", key)
    except (DeviceExistsError, CommandRefusedError):
        return "refused"
    except (FleetError, CrashedError):
        return "unknown"
    return "done"


LISTS = st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=5).map(sorted), min_size=1, max_size=6)
FAULTS = st.lists(st.integers(0, 7), max_size=60)


@given(LISTS, FAULTS, st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=80, deadline=None)
def test_no_id_lives_twice_and_none_is_lost(
    lists: list[list[int]], faults: list[int], successors: list[bool]
) -> None:
    """Owners follow each other; one that was followed may still be at work, with what it knew then."""
    network = Network()
    owners = [owner(network)]
    owners[0].install(PUMP, "ann", "t")
    network.faults = list(faults)
    became: dict[str, str] = {}
    todo = list(enumerate(lists))
    at_work: list[Membership] = []

    def take(number: int) -> None:
        at, numbers = todo.pop(0)
        network.rival = rival if todo else None
        at_work.append(owners[number])
        became[f"k-{at}"] = registered(owners[number], f"k-{at}", numbers)
        at_work.pop()
        if not network.faults or network.faults[-1] % 2:
            owners.append(owner(network))  # as after a crash

    def rival() -> None:
        if successors[len(todo)] or owners[0] in at_work:
            owners.append(owner(network))
            take(-1)
        else:
            take(0)

    while todo:
        take(-1)
    network.faults = []
    network.deliver_late()
    for at, numbers in enumerate(lists):
        if became[f"k-{at}"] == "unknown":  # what was broken off is finished by asking again
            became[f"k-{at}"] = registered(owners[-1], f"k-{at}", numbers)
        elif became[f"k-{at}"] == "done":  # and what was done is not done again
            assert registered(owners[-1], f"k-{at}", numbers) == "done"
    living = network.rosters()
    assert not [each for each, times in living.items() if times > 1]
    done = [devices(lists[int(key[2:])]) for key, result in became.items() if result == "done"]
    acknowledged = [device.id for group in done for device in group]
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= set(living)
    fresh = owner(network)
    fresh.learn()
    assert len(fresh.directory) == len(living)
    assert fresh.status()["twice"] == []
    for shard_of in network.hosts.services:
        for shard in shard_of.host.shards.values():
            assert len(shard) <= 2 * MOST


def test_a_list_that_is_refused_leaves_nothing_behind() -> None:
    network = Network()
    membership = owner(network)
    membership.install(PUMP, "ann", "t")
    membership.register(entrants(devices([3])), "ann", "a")
    with pytest.raises(DeviceExistsError, match="d-3"):
        membership.register(entrants(devices([1, 2, 3])), "ann", "b")
    with pytest.raises(CommandRefusedError, match="twice"):
        membership.register(entrants(devices([1, 1])), "ann", "c")
    with pytest.raises(CommandRefusedError, match="a key of its own"):
        membership.register(entrants(devices([4])), "ann", "a")
    assert network.rosters() == {"d-3": 1}


def test_registration_waits_for_a_host_whose_devices_are_not_known() -> None:
    network = Network()
    owner(network).install(PUMP, "ann", "t")
    owner(network).register(entrants(devices(range(4))), "ann", "a")
    fresh = owner(network)
    network.faults = [0, 1]  # taken from the end: the first host does not answer
    with pytest.raises(DegradedError, match="host 0 may hold devices that are not known yet"):
        fresh.register(entrants(devices([7])), "ann", "b")
    fresh.register(entrants(devices([7])), "ann", "b")
    assert set(network.rosters().values()) == {1}


def test_a_host_that_is_away_costs_the_others_nothing() -> None:
    network = Network()
    membership = owner(network)
    membership.install(PUMP, "ann", "t")
    membership.register(entrants(devices(range(2))), "ann", "a")
    network.faults = [1]  # the first host, when it is claimed
    membership.register(entrants(devices([5])), "ann", "b")
    network.faults = [1]
    with pytest.raises(
        DegradedError, match="does not say"
    ):  # it may have been this very list that took the id
        membership.register(entrants(devices([0])), "ann", "c")
    with pytest.raises(DeviceExistsError):
        membership.register(entrants(devices([0])), "ann", "c")
    assert [len(s.host.shards[PUMP.name]) for s in network.hosts.services] == [1, 2]


def test_an_installation_that_fails_half_way_is_taken_back() -> None:
    network = Network()
    membership = owner(network)
    membership.install(PUMP, "ann", "t")
    newer = replace(PUMP, version=2, title="newer")
    network.faults = [
        2,
        1,
        0,
        0,
        0,
        0,
    ]  # taken from the end: claims and checks, one is not told, one not heard
    with pytest.raises(DegradedError):
        membership.install(newer, "ann", "u")
    assert types_in_force(network) == {1, 2}
    membership.learn()
    assert types_in_force(network) == {1}
    membership.install(newer, "ann", "v")
    assert types_in_force(network) == {2}
    assert membership.types[PUMP.name] == newer


def test_an_owner_after_a_crash_goes_on_with_the_newest_type_it_finds() -> None:
    network = Network()
    membership = owner(network)
    membership.install(PUMP, "ann", "t")
    newer = replace(PUMP, version=2, title="newer")
    network.faults = [7, 0, 0, 0, 0]  # it dies when the first host has it
    with pytest.raises(CrashedError):
        membership.install(newer, "ann", "u")
    assert types_in_force(network) == {1, 2}
    fresh = owner(network)
    fresh.learn()
    assert types_in_force(network) == {2}
    assert fresh.types[PUMP.name] == newer


def test_types_that_are_in_force_everywhere_are_not_installed_again() -> None:
    """Also where what was asked for is not quite what hosts make of it."""
    network = Network()
    membership = owner(network)
    odd = replace(PUMP, channels=(Channel("mode", "1", kind="state"), *PUMP.channels))
    membership.install(odd, "ann", "t")
    cursors = [service.host.cursor for service in network.hosts.services]
    membership.learn()
    owner(network).learn()
    assert [service.host.cursor for service in network.hosts.services] == cursors


def types_in_force(network: Network) -> set[int]:
    return {service.host.shards[PUMP.name].device_type.version for service in network.hosts.services}


def test_an_id_that_lives_twice_from_old_days_is_told_and_its_first_place_counts() -> None:
    network = Network()
    membership = owner(network)
    membership.install(PUMP, "ann", "t")
    membership.register(entrants(devices(range(2))), "ann", "a")
    other = Network()
    stranger = owner(other)
    stranger.install(PUMP, "ann", "t")
    stranger.register(entrants(devices([0, 5])), "ann", "a")
    network.hosts.services[1] = other.hosts.services[0]  # both hold d-0
    fresh = owner(network)
    fresh.register(entrants(devices([7, 8])), "ann", "b")
    assert fresh.status()["twice"] == ["d-0"]
    assert fresh.directory.locate_one("d-0") == (0, PUMP.name, 0)
    copy = Joined(network, fresh)
    assert copy.write(readings(["d-0", "d-7", "d-8"])).fates == {"scored": 3}


class Joined(Fleet):
    """A process that is not the owner: all it has is a copy of the directory."""

    def __init__(self, network: Network, membership: Membership) -> None:
        super().__init__(network.link(), clock=VirtualClock(T0))
        self.membership = membership
        self.looks = 0
        self.refresh()

    def install(self, device_type: Any, by: str = "", command_id: str | None = None) -> dict[int, int]:
        return self.membership.install(device_type, by, command_id or self.command_id())

    def register(self, devices: Any, by: str = "", command_id: str | None = None) -> dict[int, int]:
        return self.membership.register(entrants(devices), by, command_id or self.command_id())

    def change(self, command: UpdateDevice) -> dict[int, int]:
        return self.membership.update(command)

    def refresh(self) -> None:
        self.looks += 1
        self._take(self.membership.changes(*self.directory.version, -1))

    def relearn(self) -> None:
        self.membership.learn()
        self.refresh()


def readings(ids: list[str], value: float = 60.0) -> ReadingBatch:
    n = len(ids)
    values = np.full((n, 3), [50.0, 2.0, value])
    return ReadingBatch(
        PUMP.name, pa.array(ids), np.arange(n, dtype=np.int32), np.full(n, T0, np.int64), values
    )


class TestACopy:
    def test_knows_at_once_what_others_registered(self) -> None:
        network = Network()
        one, two = (Joined(network, membership) for membership in [owner(network)] * 2)
        one.install(PUMP)
        one.register(devices(range(4)))
        written = two.write(readings(["d-0", "d-1", "d-2", "d-3", "nobody"]))
        assert written.fates == {"scored": 4}
        assert list(written.refused) == [(4, "nobody", "device.not_found")]
        one.register(devices([4]))
        assert two.find("d-4") is not None
        assert two.read_twin("d-4")["id"] == "d-4"
        looks = two.looks
        two.write(readings(["d-0", "d-4"]))
        assert two.looks == looks  # what is known is not asked for

    def test_says_so_when_it_cannot_ask(self) -> None:
        network = Network()
        fleet = Joined(network, owner(network))
        fleet.install(PUMP)
        fleet.register(devices(range(2)))
        fleet.refresh()

        def fail() -> None:
            raise DegradedError("the registrar restarts")

        fleet.refresh = fail  # type: ignore[method-assign]
        written = fleet.write(readings(["d-0", "d-7"]))
        assert written.fates == {"scored": 1}
        assert list(written.refused) == [(1, "d-7", "fleet.degraded")]

    def test_does_not_deny_devices_of_a_host_that_nobody_could_ask(self) -> None:
        network = Network()
        first = owner(network)
        first.install(PUMP, "ann", "t")
        first.register(entrants(devices(range(4))), "ann", "a")
        away = [f"d-{n}" for n in range(4) if first.directory.locate_one(f"d-{n}")[0] == 0]  # type: ignore[index]
        fresh = owner(network)
        network.faults = [0, 1]  # taken from the end: the first host does not answer
        copy = Joined(network, fresh)
        written = copy.write(readings(["d-0", "d-1", "d-2", "d-3"]))
        assert written.fates == {"scored": 4 - len(away)}
        assert {each[1:] for each in written.refused} == {(each, "fleet.degraded") for each in away}
        with pytest.raises(DegradedError, match="may hold"):
            copy.read_twin(away[0])
        fresh.learn()
        assert copy.write(readings(away)).fates == {"scored": len(away)}
        with pytest.raises(DeviceNotFoundError):
            copy.read_twin("nobody")

    def test_of_another_life_never_writes_to_another_device(self) -> None:
        """The data folder is wiped and filled anew; a process from before still has its directory."""
        network = Network()
        fleet = Joined(network, owner(network))
        fleet.install(PUMP)
        fleet.register(devices(range(4)))
        fleet.refresh()
        network.hosts = LocalHosts(None, HostConfig(), VirtualClock(T0))
        network.hosts.start(1)
        fleet._hosts = network.link()
        fleet.membership = owner(network)
        fleet.membership.install(PUMP, "ann", "t")
        fleet.membership.register(entrants(devices([7, 3, 8, 1])), "ann", "a")  # the same rows, others' ids
        with pytest.raises(StaleDirectoryError):
            raise network.hosts.ask([(0, "write", (PUMP.name, old_part(fleet), T0, False))])[0]
        written = fleet.write(readings(["d-0", "d-1", "d-2", "d-3"], value=77.0))
        assert written.fates == {"scored": 2}
        assert sorted(each[1:] for each in written.refused) == [
            ("d-0", "device.not_found"), ("d-2", "device.not_found"),
        ]  # fmt: skip
        for device_id, value in (("d-1", 77.0), ("d-3", 77.0), ("d-7", None), ("d-8", None)):
            assert fleet.read_twin(device_id)["values"]["temperature"]["value"] == value
        with pytest.raises(DeviceNotFoundError):
            fleet.read_twin("d-0")

    def test_of_another_life_asks_no_other_device(self) -> None:
        network = Network()
        fleet = Joined(network, owner(network))
        fleet.install(PUMP)
        fleet.register(devices(range(4)))
        fleet.refresh()
        network.hosts = LocalHosts(None, HostConfig(), VirtualClock(T0))
        network.hosts.start(1)
        fleet._hosts = network.link()
        fleet.membership = owner(network)
        fleet.membership.install(PUMP, "ann", "t")
        fleet.membership.register(entrants(devices([3])), "ann", "a")
        assert fleet.read_twin("d-3")["id"] == "d-3"
        fleet.retire("d-3")
        with pytest.raises(DeviceNotFoundError):
            fleet.retire("d-0")

    def test_of_a_life_that_lost_its_newest_devices_is_refused_once_they_differ(self) -> None:
        """A restored backup knows fewer devices, and gives their rows to others."""
        one, two = Network(), Network()
        fleet = Joined(one, owner(one))
        fleet.install(PUMP)
        fleet.register(devices([0, 1]))
        fleet.register(devices([2, 3]))
        fleet.refresh()
        restored = owner(two)
        restored.install(PUMP, "ann", "t")
        restored.register(entrants(devices([0, 1])), "ann", "a")
        restored.register(entrants(devices([5, 6])), "ann", "b")
        one.hosts, fleet.membership = two.hosts, restored
        assert fleet.write(readings(["d-0", "d-1", "d-2", "d-3"])).fates == {"scored": 2}
        assert fleet.read_twin("d-5")["values"]["temperature"]["value"] is None


def old_part(fleet: Fleet) -> Any:
    """What a process that never looks again would send to the first host."""
    from twins.fleet import _Delivery

    batch = readings(["d-0", "d-1", "d-2", "d-3"])
    (part, *_) = fleet._route(batch, slice(None), _Delivery(), *fleet._places(batch.ids))
    return part.batch


def test_the_number_of_hosts_outlives_their_folders(tmp_path: Any) -> None:
    config = FleetConfig(hosts=1, twins_per_host=2)
    with LocalFleet(tmp_path, config, VirtualClock(T0)) as fleet:
        fleet.install(PUMP)
        fleet.register(devices(range(5)))
        assert fleet.hosts() == [0, 1, 2]
    (tmp_path / "host-002").rename(tmp_path / "elsewhere")
    with LocalFleet(tmp_path, config, VirtualClock(T0 + SECOND_US)) as fleet:
        assert fleet.hosts() == [0, 1, 2]


def test_a_directory_goes_on_where_another_ends() -> None:
    whole, part = Directory("a"), Directory("a")
    whole.add(0, "pump", 0, pa.array(["p1", "p2"]))
    part.extend(whole.after(0))
    whole.add(1, "meter", 0, pa.array(["m1"]))
    whole.add(0, "pump", 2, pa.array(["p3"]))
    part.extend(whole.after(2))
    assert part.version == whole.version == ("a", 4)
    for each in ("p1", "p2", "p3", "m1", "nobody"):
        assert part.locate_one(each) == whole.locate_one(each)
    assert [part.seal(0, "pump"), part.seal(1, "meter")] == [whole.seal(0, "pump"), whole.seal(1, "meter")]
    with pytest.raises(ValueError, match="does not follow"):
        part.extend(whole.after(1))
    with pytest.raises(ValueError, match="does not follow"):
        Directory("b").extend(whole.after(0))
    with pytest.raises(ValueError, match="row 7"):
        whole.add(0, "pump", 7, pa.array(["p8"]))


@given(st.lists(st.text(min_size=1), unique=True, max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_a_seal_fits_the_rows_it_was_taken_of_and_no_others(ids: list[str], cut: int, swap: int) -> None:
    from twins.directory import Roster

    roster = Roster()
    kept = ids[: cut % (len(ids) + 1)]
    for start in range(0, len(ids), 3):
        roster.add([Device(each, "t") for each in ids[start : start + 3]])
    known = Directory()
    known.add(0, "t", 0, pa.array(kept, pa.string()))
    assert roster.bears(known.seal(0, "t"))
    if len(kept) > 1:
        at = swap % (len(kept) - 1)
        kept[at], kept[at + 1] = kept[at + 1], kept[at]
        other = Directory()
        other.add(0, "t", 0, pa.array(kept, pa.string()))
        assert not roster.bears(other.seal(0, "t"))


class TestARefresher:
    def test_looks_once_for_all_who_wait_and_never_answers_with_an_older_look(self) -> None:
        entered, go, looks = threading.Semaphore(0), threading.Semaphore(0), []

        def look() -> None:
            looks.append(len(looks))
            entered.release()
            go.acquire()

        refresher = Refresher(look, 0.0)
        first = threading.Thread(target=refresher)
        first.start()
        entered.acquire()
        others = [
            threading.Thread(target=refresher) for _ in range(5)
        ]  # during a look that is older than they are
        for each in others:
            each.start()
        go.release()
        entered.acquire()
        assert all(each.is_alive() for each in others)
        for _ in range(6):
            go.release()
        for each in [first, *others]:
            each.join(30)
        assert 2 <= len(looks) <= 6

    def test_tells_all_of_a_failure_and_rests_after_it(self) -> None:
        looks = []

        def look() -> None:
            looks.append(1)
            raise DegradedError("away")

        refresher = Refresher(look, 0.0, rest_s=3600.0)
        for _ in range(3):
            with pytest.raises(DegradedError, match="away"):
                refresher()
        assert len(looks) == 1

    def test_keeps_to_its_rate(self) -> None:
        from twins.clock import stopwatch_s

        refresher = Refresher(lambda: None, 0.01)
        began_s = stopwatch_s()
        for _ in range(10):
            refresher()
        assert stopwatch_s() - began_s >= 0.09
