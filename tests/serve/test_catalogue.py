"""Versions of types and rules: what is written, what is in force, and that the journals have the last word."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serve.catalogue import Catalogue, combined, parted
from serve.config import database_config
from serve.database import Database
from serve.differences import Change, differences
from serve.errors import TypeVersionNotFoundError
from serve.versions import Versions
from tests.serve import edges
from twins.clock import MINUTE_US, VirtualClock
from twins.commands import InstallType
from twins.devices import AlertRule, Channel, Device, DeviceType
from twins.errors import CommandRefusedError, DegradedError, DeviceTypeError, VersionConflictError
from twins.fleet import FleetConfig, LocalFleet
from twins.membership import Call
from twins.typefiles import find_types, parse_type, to_document, to_yaml

PUMP, METER = (parse_type(to_yaml(each)) for each in (edges.PUMP, edges.METER))  # as a file has them
QUIET = replace(PUMP, rules=PUMP.rules[:1])
TITLED = replace(PUMP, title="A better pump")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LocalFleet]:
    with LocalFleet(tmp_path / "hosts", FleetConfig(hosts=2), VirtualClock(1_000_000)) as found:
        yield found


@pytest.fixture
def catalogue(database: Database, fleet: LocalFleet) -> Catalogue:
    return Catalogue(Versions(database, fleet.clock), fleet)


def on_hosts(fleet: LocalFleet, name: str = "pump") -> set[int]:
    """The versions that hosts have in force; one, or something is wrong."""
    return {host.shards[name].device_type.version for host in fleet.shard_hosts()}


def put(catalogue: Catalogue, device_type: DeviceType, by: str = "kari") -> Any:
    first, second = catalogue.add(device_type, "edit", by, "")
    return catalogue.activate(
        device_type.name, by, type_number=first.number, rules_number=second.number, why="better"
    )


def files_in(folder: Path, *types: DeviceType) -> Any:
    folder.mkdir(exist_ok=True)
    for each in types:
        (folder / f"{each.name}.yaml").write_text(to_yaml(each))
    return find_types([folder], built_in=False)


def test_the_same_content_is_the_same_version(catalogue: Catalogue) -> None:
    first, rules = catalogue.add(PUMP, "file", "system", "came along")
    assert (first.number, rules.number) == (1, 1)
    again, fewer = catalogue.add(replace(QUIET, version=7), "edit", "kari", "too loud")
    assert (again.number, fewer.number) == (1, 2)
    assert (again.by, fewer.by) == ("system", "kari")
    assert combined(first, rules) == PUMP
    assert combined(first, fewer) == QUIET
    assert [each.number for each in catalogue.versions.versions("pump", "rules")] == [2, 1]
    with pytest.raises(TypeVersionNotFoundError, match="numbered 1 to 2"):
        catalogue.versions.version("pump", "rules", 3)


def test_an_installation_has_a_number_of_its_own_and_so_has_going_back(
    catalogue: Catalogue, fleet: LocalFleet
) -> None:
    assert put(catalogue, PUMP).number == 1
    assert put(catalogue, QUIET).number == 2
    assert fleet.types["pump"] == replace(QUIET, version=2)
    back = catalogue.activate("pump", "ola", "we missed one", rules_number=1)
    assert (back.number, back.type_number, back.rules_number) == (3, 1, 1)
    assert fleet.types["pump"] == replace(PUMP, version=3)
    assert on_hosts(fleet) == {3}
    assert [(each.number, each.by, each.state) for each in catalogue.versions.installations("pump")] == [
        (3, "ola", "in_force"), (2, "kari", "in_force"), (1, "kari", "in_force"),
    ]  # fmt: skip
    assert catalogue.activate("pump", "ola", rules_number=1) == back  # is in force: nothing to do


def test_rules_are_staged_and_activated_without_a_new_type(catalogue: Catalogue, fleet: LocalFleet) -> None:
    put(catalogue, PUMP)
    seen = catalogue.standing("pump").head.revision
    staged = catalogue.versions.stage("pump", "rules", parted(QUIET)[1], "edit", "kari", "", seen)
    assert fleet.types["pump"].rules == PUMP.rules
    with pytest.raises(VersionConflictError, match="look at it again"):
        catalogue.versions.stage("pump", "rules", [], "edit", "ola", "", seen)
    head = catalogue.standing("pump").head
    assert head.staged_rules == staged.number == 2
    installed = catalogue.activate("pump", "kari", rules_number=2, expected=head.revision)
    assert (installed.type_number, installed.rules_number) == (1, 2)
    assert catalogue.standing("pump").head.staged_rules is None
    with pytest.raises(VersionConflictError):
        catalogue.activate("pump", "ola", rules_number=1, expected=head.revision)
    catalogue.versions.stage("pump", "rules", [], "edit", "kari", "", None)
    catalogue.versions.unstage("pump", "rules", None)
    assert catalogue.standing("pump").head.staged_rules is None


def test_what_does_not_fit_changes_nothing(catalogue: Catalogue, fleet: LocalFleet) -> None:
    put(catalogue, PUMP)
    fleet.register([Device("pump-1", "pump")])
    hot = AlertRule("hot", "temperature > 90", "high", "It burns.", "Stop it.")
    catalogue.versions.add("pump", "rules", [parted(replace(PUMP, rules=(hot,)))[1][0]], "edit", "kari")
    with pytest.raises(DeviceTypeError, match=r"rules 2.*'temperature' is not a field"):
        catalogue.activate("pump", "kari", rules_number=2)
    more = replace(PUMP, channels=(*PUMP.channels, Channel("temperature", "Cel")))
    with pytest.raises(CommandRefusedError, match="channels differ"):
        put(catalogue, more)
    assert on_hosts(fleet) == {1}
    assert catalogue.versions.installations("pump")[0].number == 1


def test_two_do_not_activate_at_once(catalogue: Catalogue, fleet: LocalFleet) -> None:
    put(catalogue, PUMP)
    catalogue.add(QUIET, "edit", "kari", "")
    begun = catalogue.versions.begin("pump", 2, 1, 2, "kari", "", None, 60_000_000)
    with pytest.raises(VersionConflictError, match="kari is at it"):
        catalogue.activate("pump", "ola", rules_number=2)
    assert isinstance(fleet.clock, VirtualClock)
    fleet.clock.advance_by(61)  # kari's process died
    assert catalogue.activate("pump", "ola", rules_number=2).number == begun.number + 1
    states = [each.state for each in catalogue.versions.installations("pump")]
    assert states == ["in_force", "failed", "in_force"]


def tear(fleet: LocalFleet, reach: Sequence[int]) -> None:
    """Let the next installations each reach only so many hosts."""
    hosts, left = fleet._local, list(reach)
    ask = hosts.ask

    def torn(calls: Sequence[Call], patience_s: float | None = None) -> list[Any]:
        if left and any(isinstance(arguments[0], InstallType) for _, _, arguments in calls if arguments):
            reached = left.pop(0)
            return ask(calls[:reached]) + [DegradedError("disk full")] * len(calls[reached:])
        return ask(calls)

    hosts.ask = torn  # type: ignore[method-assign]


@pytest.mark.parametrize("reach", [(1,), (1, 0)])
def test_an_installation_that_a_host_cannot_take_is_undone(
    tmp_path: Path, database: Database, reach: tuple[int, ...]
) -> None:
    versions = Versions(database)
    with LocalFleet(tmp_path / "torn", FleetConfig(hosts=2)) as fleet:
        catalogue = Catalogue(versions, fleet)
        put(catalogue, PUMP)
        tear(fleet, reach)
        with pytest.raises(DegradedError):
            put(catalogue, QUIET)
        whole = len(reach) == 1
        assert on_hosts(fleet) == ({1} if whole else {1, 2})
        assert versions.installations("pump")[0].state == ("failed" if whole else "torn")
        assert fleet.types["pump"].rules == PUMP.rules
    with LocalFleet(tmp_path / "torn", FleetConfig(hosts=2)) as fleet:  # the next start puts it right
        Catalogue(versions, fleet).begin(files_in(tmp_path / "none"))
        assert on_hosts(fleet) == {1}
        assert Catalogue(versions, fleet).standing("pump").installation.number == 1


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_a_process_that_dies_while_it_activates_leaves_nothing_half_done(
    tmp_path: Path, database: Database, reached: int
) -> None:
    """However many hosts had it: the next start gives it to all."""
    versions = Versions(database)
    with LocalFleet(tmp_path / "hosts", FleetConfig(hosts=2)) as fleet:
        catalogue = Catalogue(versions, fleet)
        put(catalogue, PUMP)
        catalogue.add(QUIET, "edit", "kari", "")
        versions.begin("pump", 2, 1, 2, "kari", "", None, 0)
        command = InstallType(command_id="i", by="kari", document=to_document(replace(QUIET, version=2)))
        for service in fleet._local.services[:reached]:
            service.command(command, fleet.clock.now_us())
    with LocalFleet(tmp_path / "hosts", FleetConfig(hosts=2)) as fleet:
        Catalogue(versions, fleet).begin(files_in(tmp_path / "none"))
        assert on_hosts(fleet) == {2}
        assert versions.installations("pump")[0].state == "in_force"


def test_a_lost_database_is_rebuilt_from_the_hosts(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    put(catalogue, PUMP)
    put(catalogue, QUIET)
    fresh = Database(database_config("", tmp_path / "fresh"))
    fresh.migrate()
    again = Catalogue(Versions(fresh), fleet)
    standing = again.standing("pump")
    assert (standing.installation.number, standing.installation.by) == (2, "unknown")
    assert again.combined("pump") == QUIET
    assert again.versions.version("pump", "type", 1).source == "hosts"
    assert again.standing("pump").installation == standing.installation  # it is known now
    assert put(again, PUMP).number == 3
    fresh.close()


def test_an_older_database_learns_what_came_after_it(tmp_path: Path, fleet: LocalFleet) -> None:
    old = Database(database_config("", tmp_path / "old"))
    old.migrate()
    before = Catalogue(Versions(old), fleet)
    put(before, PUMP)
    fleet.install(replace(QUIET, version=5), "somebody")
    assert before.standing("pump").installation.number == 5
    assert before.standing("pump").installation.rules_number == 2
    assert put(before, PUMP).number == 6
    old.close()


def test_a_file_that_changed_comes_in_force_at_the_next_start(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    folder = tmp_path / "types"
    assert catalogue.begin(files_in(folder, PUMP, METER)) == []
    assert catalogue.versions.version("pump", "type", 1).source == "file"
    assert catalogue.begin(files_in(folder, PUMP)) == []
    assert on_hosts(fleet) == {1}
    assert catalogue.begin(files_in(folder, replace(TITLED, rules=QUIET.rules))) == []
    assert fleet.types["pump"] == replace(TITLED, rules=QUIET.rules, version=2)


def test_an_upgrade_leaves_the_operators_rules_and_says_so(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    folder = tmp_path / "types"
    catalogue.begin(files_in(folder, PUMP))
    catalogue.versions.add("pump", "rules", parted(QUIET)[1], "edit", "kari")
    catalogue.activate("pump", "kari", rules_number=2)
    assert catalogue.begin(files_in(folder, PUMP)) == []  # the file is as it was
    newer = replace(TITLED, rules=(replace(PUMP.rules[0], when="vibration > 9"),))
    (told,) = catalogue.begin(files_in(folder, newer))
    assert "rules 2 by kari stay in force" in told
    assert "twinfold types activate pump --rules 3" in told
    assert fleet.types["pump"] == replace(TITLED, rules=QUIET.rules, version=3)
    assert catalogue.begin(files_in(folder, newer)) == []  # told once
    catalogue.activate("pump", "kari", rules_number=3)  # from now on the rules follow the file again
    assert catalogue.begin(files_in(folder, replace(newer, rules=PUMP.rules))) == []
    assert fleet.types["pump"].rules == PUMP.rules


def test_a_wrong_file_is_told_and_costs_no_other(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    folder = tmp_path / "types"
    folder.mkdir()
    (folder / "bad.yaml").write_text("name: bad\nchannels:\n  - {name: x, unit: furlongs}\n")
    (told,) = catalogue.begin(files_in(folder, PUMP))
    assert "bad.yaml:3: 'furlongs' is no UCUM code" in told
    assert on_hosts(fleet) == {1}
    newer = replace(TITLED)
    catalogue.begin(files_in(folder, newer))
    text = (folder / "pump.yaml").read_text()
    (folder / "pump.yaml").write_text(text + "what: ever\n")
    told = catalogue.begin(find_types([folder], built_in=False))
    assert any("pump.yaml" in each and "unknown key 'what'" in each for each in told)
    assert fleet.types["pump"].title == TITLED.title


def test_a_broken_file_of_ones_own_does_not_bring_the_built_in_type_back(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    theirs, own = tmp_path / "theirs", tmp_path / "own"
    files_in(theirs, PUMP)
    files_in(own, TITLED)
    catalogue.begin(find_types([theirs, own], built_in=False))
    assert fleet.types["pump"].title == TITLED.title
    (own / "pump.yaml").write_text("name: [")
    catalogue.begin(find_types([theirs, own], built_in=False))
    assert fleet.types["pump"].title == TITLED.title


def test_new_channels_while_there_are_devices_are_told_and_the_rest_goes_on(
    tmp_path: Path, catalogue: Catalogue, fleet: LocalFleet
) -> None:
    folder = tmp_path / "types"
    catalogue.begin(files_in(folder, METER, PUMP))
    fleet.register([Device("pump-1", "pump")])
    more = replace(PUMP, channels=(*PUMP.channels, Channel("temperature", "Cel")))
    for _ in range(2):  # as long as it is so
        (told,) = catalogue.begin(files_in(folder, more, replace(METER, title="Meter")))
        assert told.startswith("pump stays as it is")
    assert fleet.types[METER.name].title == "Meter"


def test_a_diff_names_what_changed() -> None:
    before = parted(PUMP)[1]
    louder = [{**before[0], "when": "vibration > 9"}, *before[1:]]
    name = before[0]["name"]
    assert differences(before, louder) == [Change(f"{name}.when", before[0]["when"], "vibration > 9")]
    assert differences(before, before[1:]) == [Change(name, before[0], None)]
    assert differences(before, [before[1], before[0], *before[2:]])[0].path == ""
    assert differences({"a": [1, 2]}, {"a": [1, 3]}) == [Change("a", [1, 2], [1, 3])]


DOCUMENTS = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"name": st.sampled_from("pqr"), "v": inner}), max_size=3)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS, DOCUMENTS)
def test_there_is_no_difference_exactly_between_equals(before: Any, after: Any) -> None:
    assert (differences(before, after) == []) == (before == after)


class Upgrades(RuleBasedStateMachine):
    """Files change, people edit, databases are lost, platforms restart: hosts agree, and are what was asked for last."""

    limits = tuple(replace(PUMP.rules[0], when=f"vibration > {limit}") for limit in (5, 6, 7))
    titles = ("a", "b", "c")

    @initialize()
    def begin(self) -> None:
        self.fleet = LocalFleet(None, FleetConfig(hosts=2), VirtualClock(1))
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.new_database()
        self.file = self.told = replace(PUMP, title="a", rules=self.limits[:1])
        self.follows = {"title": True, "rules": True}
        self.restart()

    def new_database(self) -> Database:
        found = Database(database_config("", Path(tempfile.mkdtemp(dir=self.folder))))
        found.migrate()
        return found

    def restart(self) -> None:
        self.catalogue = Catalogue(Versions(self.database, self.fleet.clock), self.fleet)
        self.catalogue.begin(files_in(self.folder, self.file))

    @rule(title=st.sampled_from(titles), which=st.integers(0, 2))
    def the_file_changes_and_the_platform_restarts(self, title: str, which: int) -> None:
        self.file = replace(self.file, title=title, rules=(self.limits[which],))
        self.told = replace(
            self.told,
            title=title if self.follows["title"] else self.told.title,
            rules=self.file.rules if self.follows["rules"] else self.told.rules,
        )
        self.restart()
        self.compare_files()

    @rule(which=st.integers(0, 2))
    def somebody_edits_the_rules(self, which: int) -> None:
        self.told = replace(self.told, rules=(self.limits[which],))
        version = self.catalogue.versions.add("pump", "rules", parted(self.told)[1], "edit", "kari")
        self.catalogue.activate("pump", "kari", rules_number=version.number)
        self.compare_files()

    @rule(title=st.sampled_from(titles))
    def somebody_edits_the_type(self, title: str) -> None:
        self.told = replace(self.told, title=title)
        version = self.catalogue.versions.add("pump", "type", parted(self.told)[0], "edit", "kari")
        self.catalogue.activate("pump", "kari", type_number=version.number)
        self.compare_files()

    @rule()
    def the_database_is_lost(self) -> None:
        self.database.close()
        self.database = self.new_database()
        self.restart()
        self.compare_files()

    def compare_files(self) -> None:
        """A part follows its file from when it is what the file says."""
        self.follows = {
            "title": self.told.title == self.file.title, "rules": self.told.rules == self.file.rules,
        }  # fmt: skip

    @invariant()
    def the_hosts_agree(self) -> None:
        if hasattr(self, "told"):
            version = self.fleet.types["pump"].version
            assert self.fleet.types["pump"] == replace(self.told, version=version)
            assert on_hosts(self.fleet) == {version}
            assert self.catalogue.standing("pump").installation.number == version

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)


TestUpgrades = Upgrades.TestCase
TestUpgrades.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)


def test_versions_count_up_however_long_it_takes(catalogue: Catalogue, fleet: LocalFleet) -> None:
    assert isinstance(fleet.clock, VirtualClock)
    for turn in range(1, 6):
        fleet.clock.advance_to(turn * MINUTE_US)
        put(catalogue, PUMP if turn % 2 else QUIET)
        assert on_hosts(fleet) == {turn}
    assert [each.at_us for each in catalogue.versions.installations("pump", 2)] == [
        5 * MINUTE_US,
        4 * MINUTE_US,
    ]
