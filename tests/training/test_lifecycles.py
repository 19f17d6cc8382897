from contextlib import closing
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.fleets import PUMP, T0
from training import lifecycles
from training.history import History
from training.lifecycles import FIRST_US, LAST_US, UNLABELLED, LifeCycles, Record, lives
from training.recorder import Recorder, journals_in
from twins import commands as c
from twins.clock import SECOND_US, VirtualClock
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig

MODES = ("bearing", "seal")
KINDS = ("failure", "repair", "replacement", "inspection")


def told(found: LifeCycles) -> list[tuple[Any, ...]]:
    return [
        (found.ids[device], start, end, failed, cause)
        for device, start, end, failed, cause in zip(
            found.device.tolist(), found.start_us.tolist(), found.end_us.tolist(), found.failed.tolist(),
            found.cause.tolist(), strict=True,
        )
    ]  # fmt: skip


def test_a_life_ends_with_a_failure_or_unended_where_the_device_is_made_anew() -> None:
    records = [
        Record("b", 70, "replacement", None),
        Record("b", 30, "failure", "seal"),
        Record("b", 30, "replacement", None),
        Record("b", 50, "inspection", None),
        Record("stranger", 10, "failure", None),
    ]
    assert told(lives(records, ["b", "a"], MODES)) == [
        ("a", FIRST_US, LAST_US, False, UNLABELLED),
        ("b", FIRST_US, 30, True, 1),
        ("b", 31, 70, False, UNLABELLED),
        ("b", 71, LAST_US, False, UNLABELLED),
    ]


def test_a_failure_at_the_moment_of_the_replacement_is_why_it_was_replaced() -> None:
    records = [Record("a", 30, "replacement", None), Record("a", 30, "failure", "rust")]
    assert told(lives(records, ["a"], MODES))[0] == ("a", FIRST_US, 30, True, UNLABELLED)


def test_a_device_that_failed_has_no_life_until_it_is_made_anew() -> None:
    found = lives([Record("a", 30, "failure", None), Record("a", 90, "repair", None)], ["a"], MODES)
    asked = np.array([10, 30, 31, 90, 91])
    assert found.at(np.zeros(5, np.int64), asked).tolist() == [0, 0, -1, -1, 1]
    assert lives([], [], MODES).at(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


@given(
    st.lists(
        st.builds(
            Record, st.sampled_from(["a", "b"]), st.integers(0, 20), st.sampled_from(KINDS),
            st.sampled_from([None, *MODES]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_every_moment_lies_in_at_most_one_life_and_the_life_found_is_that_one(records: list[Record]) -> None:
    found = lives(records, ["a", "b"], MODES)
    for device, name in enumerate(found.ids):
        for at_us in range(-1, 23):
            holding = [
                number
                for number in np.flatnonzero(found.device == device)
                if found.start_us[number] <= at_us <= found.end_us[number]
            ]
            assert len(holding) <= 1, name
            assert found.at(np.array([device]), np.array([at_us])).tolist() == (holding or [-1])
    failures = {(r.device_id, r.at_us) for r in records if r.kind == "failure"}
    ended = zip(found.device[found.failed].tolist(), found.end_us[found.failed].tolist(), strict=True)
    assert {(found.ids[device], end_us) for device, end_us in ended} <= failures


def test_corrections_replace_what_they_correct_and_later_records_are_not_known(tmp_path: Any) -> None:
    fleet = LocalFleet(tmp_path / "hosts", FleetConfig(host=HostConfig(recorded=True)), VirtualClock(T0))
    fleet.install(PUMP)
    fleet.register([Device(name, PUMP.name) for name in ("a", "b", "c")])

    def at(second: int) -> None:
        fleet.clock.advance_to(T0 + second * SECOND_US)

    def record(name: str, **said: Any) -> str:
        command = c.RecordMaintenance(
            command_id=f"r-{name}-{said}", by="ann", device_id=name, kind="failure", **said
        )
        ((host, cursor),) = fleet.command(command).items()
        return f"{fleet.shard_hosts()[host].name}.{cursor}.0"

    at(10)
    wrong, withdrawn = record("a", note="x"), record("b")
    at(20)
    correction = c.CorrectMaintenance(
        command_id="c", by="ann", device_id="a", record=wrong, kind="failure", failure_mode="seal",
        at_us=T0 + 5 * SECOND_US,
    )  # fmt: skip
    fleet.command(correction)
    fleet.command(
        c.CorrectMaintenance(
            command_id="w", by="ann", device_id="b", record=withdrawn, kind="failure", withdrawn=True
        )
    )
    at(30)
    record("c")
    with closing(Recorder(tmp_path / "history", journals_in(tmp_path / "hosts"))) as recorder:
        while recorder.step():
            pass
        recorder.flush()
    with History(tmp_path / "history", journals_in(tmp_path / "hosts")) as history:
        known = lifecycles.read(history, PUMP.name, ["a", "b", "c"], MODES, T0 + 25 * SECOND_US)
        before = lifecycles.read(history, PUMP.name, ["a", "b", "c"], MODES, T0 + 15 * SECOND_US)
    assert told(known) == [
        ("a", FIRST_US, T0 + 5 * SECOND_US, True, 1),
        ("b", FIRST_US, LAST_US, False, UNLABELLED),
        ("c", FIRST_US, LAST_US, False, UNLABELLED),
    ]
    assert [failed for *_, failed, _ in told(before)] == [True, True, False]
    fleet.close()
