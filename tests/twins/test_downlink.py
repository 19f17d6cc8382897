"""What is asked of a device, against a slow and obvious second telling, and what people rely on, case by case."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twins import commands as c
from twins import downlink
from twins.devices import Channel, DeviceCommand, DeviceType, Parameter, Property
from twins.downlink import BLANK, ENDED_KEPT, MOST_OPEN, Downlink
from twins.downlink_book import DownlinkBook
from twins.errors import (
    CommandRefusedError,
    NotOfferedError,
    RoleTooLowError,
    UnknownNumberError,
    ValueRefusedError,
    VersionConflictError,
)
from twins.events import KINDS

S = 1_000_000
TYPE = DeviceType(
    name="pump", version=1, channels=(Channel("flow", "l/min"),),
    properties=(
        Property("speed", unit="{rev}/min", low=1000, high=3000, resolution=10),
        Property("mode", kind="enum", choices=("auto", "manual"), role="engineer", expires_s=60.0),
        Property("starts", kind="integer", role="nobody"),
        Property("label", kind="string"),
        Property("locked", kind="boolean", role="admin"),
    ),
    commands=(
        DeviceCommand("start", expires_s=30.0, repeatable=True),
        DeviceCommand("stop", expires_s=10.0, parameters=(Parameter("ramp_s", low=0, high=60),)),
        DeviceCommand("wipe", role="admin", parameters=(Parameter("why", kind="string", required=False),)),
    ),
)  # fmt: skip


class World:
    """One device, its clock, and all events so far."""

    def __init__(self, device_type: DeviceType = TYPE) -> None:
        self.type = device_type
        self.of = BLANK
        self.now_us = 1_000 * S
        self.told: list[tuple[str, dict[str, Any]]] = []

    def _took(self, change: downlink.Change) -> "World":
        self.of, told = change
        self.told += [(KINDS[each.kind].type.removeprefix("device."), each.note) for each in told]
        return self

    def do(self, kind: type[c.DownlinkCommand], **given: Any) -> "World":
        command = kind(command_id="x", by=given.pop("by", "ann"), device_id="p", **given)
        return self._took(downlink.do(self.of, command, self.type, self.now_us))

    def set(self, role: str = "admin", version: int | None = None, **values: Any) -> "World":
        return self.do(c.SetDesired, values=values, role=role, version=version)

    def send(self, name: str, role: str = "admin", **parameters: Any) -> "World":
        return self.do(c.SendCommand, name=name, parameters=parameters, role=role)

    def report(self, at_us: int | None = None, rejected: Any = (), **values: Any) -> "World":
        return self.do(c.ReportProperties, values=values, at_us=at_us, rejected=dict(rejected))

    def wait(self, seconds: float) -> "World":
        self.now_us += round(seconds * S)
        return self._took(downlink.expire(self.of, self.now_us))

    def state(self, number: int) -> str:
        return next(each.state for each in self.of.orders if each.number == number)


def test_a_desired_value_is_pending_until_it_is_reported_so() -> None:
    it = World().set(speed=1504.0)
    assert it.of.desired["speed"].value == 1500.0
    assert it.of.standing("speed") == "pending"
    assert it.report(speed=1200).of.standing("speed") == "pending"
    assert it.report(speed=1498.0).of.standing("speed") == "in_sync"  # to its resolution
    assert it.report(speed=1100).of.standing("speed") == "differs"
    assert it.set(speed=None).of.standing("speed") == "unasked"
    assert it.of.version == 2


def test_a_device_may_reject_what_is_asked_of_it() -> None:
    it = World().set(speed=1500).report(rejected={"speed": "interlock"})
    assert (it.of.standing("speed"), it.of.desired["speed"].rejected) == ("rejected", "interlock")
    it.set(speed=1600)
    assert it.of.standing("speed") == "pending"
    it.do(c.ReportProperties, values={}, rejected={"speed": "interlock"}, desired_version=1)
    assert it.of.standing("speed") == "pending"  # it speaks of the value before


def test_what_is_not_taken_up_is_withdrawn() -> None:
    it = World().set(mode="auto").wait(59.0)
    assert it.of.standing("mode") == "pending"
    assert it.wait(1.0).of.standing("mode") == "unasked"
    assert it.told[-1] == ("desired_expired", {"property": "mode", "value": "auto"})
    it.set(mode="auto").report(mode="auto").wait(3600.0)
    assert it.of.standing("mode") == "in_sync"
    assert World().set(speed=1500).wait(86_400.0).of.standing("speed") == "pending"  # it has no end


@pytest.mark.parametrize(
    ("role", "name", "value", "error"),
    [
        ("operator", "speed", 1500, None),
        ("engineer", "speed", 1500, None),
        ("viewer", "speed", 1500, RoleTooLowError),
        ("nobody", "speed", 1500, RoleTooLowError),
        ("", "speed", 1500, RoleTooLowError),
        ("operator", "mode", "auto", RoleTooLowError),
        ("engineer", "mode", "auto", None),
        ("engineer", "locked", True, RoleTooLowError),
        ("admin", "locked", True, None),
        ("admin", "starts", 3, RoleTooLowError),
        ("admin", "flow", 3, NotOfferedError),
        ("admin", "speed", 999, ValueRefusedError),
        ("admin", "speed", float("nan"), ValueRefusedError),
        ("admin", "speed", True, ValueRefusedError),
        ("admin", "speed", "1500", ValueRefusedError),
        ("admin", "speed", 10**400, ValueRefusedError),
        ("admin", "mode", "off", ValueRefusedError),
        ("admin", "label", "x" * 257, ValueRefusedError),
        ("admin", "label", "a\0b", ValueRefusedError),
        ("admin", "locked", 1, ValueRefusedError),
    ],
)
def test_only_what_the_type_declares_can_be_asked_for(role: str, name: str, value: Any, error: Any) -> None:
    it = World()
    if error is None:
        assert it.set(role, **{name: value}).of.standing(name) == "pending"
        return
    with pytest.raises(error) as caught:
        it.set(role, **{name: value})
    assert it.of == BLANK
    if error is NotOfferedError:
        assert "speed, mode, label, locked" in str(caught.value)


def test_one_wrong_value_costs_the_whole_change_and_versions_keep_people_apart() -> None:
    it = World().set(speed=1500)
    with pytest.raises(ValueRefusedError):
        it.set(label="a", speed=9)
    with pytest.raises(VersionConflictError):
        it.set(version=0, label="a")
    assert it.set(version=1, label="a").of.version == 2


def test_a_command_counts_as_done_only_when_that_is_reported() -> None:
    it = World().send("start")
    assert it.state(1) == "waiting"
    it.do(c.ReportDelivery, number=1, link="a")
    assert it.state(1) == "delivered"
    with pytest.raises(CommandRefusedError, match="handed over already"):
        it.do(c.ReportDelivery, number=1, link="b")
    assert it.do(c.ReportDelivery, number=1, link="a").state(1) == "delivered"
    it.do(c.ReportResult, number=1, ok=True, result="running")
    assert (it.state(1), it.of.orders[0].result) == ("done", "running")
    before = it.of
    assert it.do(c.ReportResult, number=1, ok=False).of == before  # told twice
    assert [kind for kind, _ in it.told] == ["command_sent", "command_delivered", "command_done"]


def test_a_command_expires_and_a_late_result_is_still_told() -> None:
    it = World().send("stop", ramp_s=5).wait(10.0)
    assert it.state(1) == "expired"
    with pytest.raises(CommandRefusedError, match="has ended"):
        it.do(c.ReportDelivery, number=1, link="a")
    it.do(c.ReportResult, number=1, ok=True)
    assert it.state(1) == "done"
    assert it.told[-1] == (
        "command_done",
        {"command": "stop", "by": "ann", "late": True, "before": "expired"},
    )


def test_what_is_due_ends_before_what_comes_after() -> None:
    """Whether time was told in between makes no difference."""
    apart = World().send("stop", ramp_s=5)
    at_once = World().send("stop", ramp_s=5)
    apart.wait(10.0)
    for it in (apart, at_once):
        it.now_us = 1_012 * S
        it.do(c.ReportResult, number=1, ok=True)
    assert (apart.of, apart.told) == (at_once.of, at_once.told)


def test_parameters_are_checked() -> None:
    it = World()
    for parameters in ({}, {"ramp_s": 61}, {"ramp_s": None}, {"ramp_s": "5"}):
        with pytest.raises(ValueRefusedError):
            it.send("stop", **parameters)
    with pytest.raises(NotOfferedError, match="there is: ramp_s"):
        it.send("stop", ramp_s=5, force=True)
    with pytest.raises(NotOfferedError, match="there is: start, stop, wipe"):
        it.send("explode")
    with pytest.raises(RoleTooLowError):
        it.send("wipe", role="engineer")
    assert it.send("wipe").of.orders[0].parameters == {}


def test_a_device_has_few_open_commands_and_forgets_old_ones() -> None:
    it = World()
    for _ in range(MOST_OPEN):
        it.send("start")
    with pytest.raises(CommandRefusedError, match="open already"):
        it.send("start")
    it.do(c.CancelCommand, number=3, role="operator")
    assert it.send("start").of.numbers == MOST_OPEN + 1
    it.wait(30.0)
    for _ in range(40):
        it.send("start").wait(30.0)
    assert len(it.of.orders) == ENDED_KEPT
    assert it.of.numbers == MOST_OPEN + 41
    with pytest.raises(UnknownNumberError):
        it.do(c.ReportResult, number=1, ok=True)
    with pytest.raises(UnknownNumberError):
        it.do(c.ReportResult, number=10**9, ok=True)


def test_what_is_reported_again_soon_is_no_news_and_older_is_late() -> None:
    it = World().report(at_us=100 * S, speed=1500)
    before = it.of
    assert it.report(at_us=159 * S, speed=1500).of == before
    assert it.report(at_us=160 * S, speed=1500).of.reported["speed"].at_us == 160 * S
    assert it.report(at_us=160 * S, speed=1200).of.reported["speed"].value == 1500
    assert it.report(at_us=90 * S, speed=1200).of.reported["speed"].value == 1500
    assert [kind for kind, _ in it.told] == ["reported_changed"]
    assert it.report(at_us=170 * S, speed=5000).of.reported["speed"].value == 5000  # a fact, wherever it lies
    assert it.report(starts=7).of.reported["starts"].value == 7
    with pytest.raises(ValueRefusedError):
        it.report(starts=7.5)
    with pytest.raises(NotOfferedError):
        it.report(colour="red")


def test_a_version_of_the_type_withdraws_what_it_does_not_take() -> None:
    it = World().set(speed=2500, label="a").report(speed=2500, label="b", starts=3).send("start").send("wipe")
    narrower = replace(
        TYPE, version=2, commands=TYPE.commands[:2],
        properties=(replace(TYPE.properties[0], high=2000.0), replace(TYPE.properties[3], kind="boolean")),
    )  # fmt: skip
    it._took(downlink.refit(it.of, narrower, "eve", it.now_us))
    assert it.of.desired == {}
    assert set(it.of.reported) == {"speed"}
    assert (it.state(1), it.state(2)) == ("waiting", "cancelled")
    same = World().set(speed=2500).send("start").of
    assert downlink.refit(same, TYPE, "eve", 1_000 * S) == (same, [])


# -- against a second telling --------------------------------------------------------------------------------------


class Naive:
    """The same rules as a person would keep them: a list of everything that was ever asked, looked through each time."""

    def __init__(self) -> None:
        self.wanted: dict[str, dict[str, Any]] = {}
        self.said: dict[str, Any] = {}
        self.orders: list[dict[str, Any]] = []
        self.version = 0

    def at(self, now: float) -> None:
        due = [(o["until"], 0, o) for o in self.orders if o["state"] in ("waiting", "delivered")]
        due += [(w["until"], 1, n) for n, w in self.wanted.items() if w["until"]]
        for until, is_property, what in sorted(due, key=lambda each: each[:2]):
            if until <= now and is_property:
                del self.wanted[what]
                self.version += 1
            elif until <= now:
                what["state"] = "expired"

    def standing(self, name: str) -> str:
        w = self.wanted.get(name)
        if w is None:
            return "unasked"
        if self.said.get(name) == w["value"]:
            return "in_sync"
        return "rejected" if w["rejected"] else "differs" if w["met"] else "pending"

    def set(self, now: float, name: str, value: Any) -> None:
        if value is None:
            self.version += name in self.wanted
            self.wanted.pop(name, None)
            return
        self.version += 1
        met = self.said.get(name) == value
        until = now + 60 if name == "mode" and not met else None
        self.wanted[name] = {"value": value, "until": until, "met": met, "rejected": False}

    def report(self, name: str, value: Any) -> None:
        self.said[name] = value
        w = self.wanted.get(name)
        if w and w["value"] == value:
            w.update(met=True, until=None, rejected=False)

    def reject(self, name: str) -> None:
        if name in self.wanted:
            self.wanted[name].update(rejected=True, until=None)

    def send(self, now: float, name: str) -> bool:
        if sum(o["state"] in ("waiting", "delivered") for o in self.orders) == MOST_OPEN:
            return False
        lasts = {"start": 30, "stop": 10}[name]
        self.orders.append({"state": "waiting", "until": now + lasts, "link": None})
        return True

    def remembered(self) -> list[int]:
        ended = [i for i, o in enumerate(self.orders) if o["state"] not in ("waiting", "delivered")]
        gone = set(ended[: max(0, len(ended) - ENDED_KEPT)])
        return [i for i in range(len(self.orders)) if i not in gone]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.0, 1.0, 9.0, 30.0, 61.0])),
        st.tuples(st.just("set"), st.sampled_from([("speed", 1500.0), ("speed", 1600.0), ("speed", None),
                                                   ("mode", "auto"), ("mode", "manual"), ("mode", None)])),
        st.tuples(st.just("report"), st.sampled_from([("speed", 1500.0), ("speed", 1600.0), ("mode", "auto"),
                                                      ("mode", "manual")])),
        st.tuples(st.just("reject"), st.sampled_from(["speed", "mode"])),
        st.tuples(st.just("send"), st.sampled_from(["start", "stop"])),
        st.tuples(st.sampled_from(["deliver", "done", "fail", "cancel"]), st.integers(1, 60)),
    ),
    max_size=80,
)  # fmt: skip


@example(  # what was refused and is done after all, said in the same words as before
    [
        ("set", ("mode", "auto")),
        ("report", ("mode", "auto")),
        ("reject", "mode"),
        ("report", ("mode", "auto")),
        ("report", ("mode", "manual")),
    ],
    random.Random(0),
)
@settings(max_examples=300, deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_any_story_reads_as_the_obvious_telling_has_it(steps: Any, rng: random.Random) -> None:
    it, naive, now = World(), Naive(), 1_000.0
    book = DownlinkBook()  # the same story, kept in a table, snapshot and restored now and then
    for verb, given_ in steps:
        if verb == "wait":
            now += given_
            it.now_us = round(now * S)
            if rng.random() < 0.5:
                it.wait(0.0)
                book.advance(it.now_us)
            continue
        naive.at(now)
        if verb == "set":
            it.set(**{given_[0]: given_[1]})
            naive.set(now, *given_)
            command: c.DownlinkCommand = _command(c.SetDesired, values={given_[0]: given_[1]}, role="admin")
        elif verb == "report":
            it.report(**{given_[0]: given_[1]})
            naive.report(*given_)
            command = _command(c.ReportProperties, values={given_[0]: given_[1]}, rejected={})
        elif verb == "reject":
            it.report(rejected={given_: "no"})
            naive.reject(given_)
            command = _command(c.ReportProperties, values={}, rejected={given_: "no"})
        elif verb == "send":
            parameters = {} if given_ == "start" else {"ramp_s": 5}
            command = _command(c.SendCommand, name=given_, parameters=parameters, role="admin")
            if not naive.send(now, given_):
                with pytest.raises(CommandRefusedError):
                    it.send(given_, **parameters)
                continue
            it.send(given_, **parameters)
        else:
            command = _about(verb, given_)
            if not _naive_about(naive, verb, given_):
                with pytest.raises(CommandRefusedError):
                    it.do(type(command), **_given(command))
                continue
            it.do(type(command), **_given(command))
        book.do(0, command, TYPE, it.now_us)
        if rng.random() < 0.2:
            book = DownlinkBook.from_meta(book.to_meta())
        assert book.of(0) == it.of
        assert [it.of.standing(name) for name in ("speed", "mode")] == [
            naive.standing(name) for name in ("speed", "mode")
        ]
        assert it.of.version == naive.version
        kept = naive.remembered()
        assert [(o.number, o.state) for o in it.of.orders] == [
            (i + 1, naive.orders[i]["state"]) for i in kept
        ]


def _command(kind: type[c.DownlinkCommand], **given_: Any) -> c.DownlinkCommand:
    return kind(command_id="x", by="ann", device_id="p", **given_)


def _about(verb: str, number: int) -> c.DownlinkCommand:
    match verb:
        case "deliver":
            return _command(c.ReportDelivery, number=number, link="a")
        case "cancel":
            return _command(c.CancelCommand, number=number, role="operator")
    return _command(c.ReportResult, number=number, ok=verb == "done")


def _given(command: c.DownlinkCommand) -> dict[str, Any]:
    return {
        name: each for name, each in c.to_body(command).items() if name not in ("command_id", "device_id")
    }


def _naive_about(naive: Naive, verb: str, number: int) -> bool:
    """Do it; False where it is to be refused."""
    if number - 1 not in naive.remembered():
        return False
    order = naive.orders[number - 1]
    is_open = order["state"] in ("waiting", "delivered")
    if verb in ("deliver", "cancel"):
        if not is_open:
            return False
        order["state"] = "delivered" if verb == "deliver" else "cancelled"
    elif order["state"] not in ("done", "failed"):
        order["state"] = "done" if verb == "done" else "failed"
    return True


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["start", "stop", "mode"]), st.integers(0, 40)),
        max_size=60,
    ),
    st.lists(st.integers(0, 3_000), max_size=10),
)
def test_time_may_pass_in_one_step_or_in_many(asked: Any, stops: list[int]) -> None:
    """The same rows, the same ends, in the same order, however often time is told."""
    books = DownlinkBook(), DownlinkBook()
    told: tuple[list[Any], list[Any]] = ([], [])
    now = 1_000
    for row, what, pause in asked:
        now += pause
        command: c.DownlinkCommand
        if what == "mode":
            command = _command(c.SetDesired, values={"mode": "auto"}, role="admin")
        else:
            parameters = {} if what == "start" else {"ramp_s": 5}
            command = _command(c.SendCommand, name=what, parameters=parameters, role="admin")
        for book, events in zip(books, told, strict=True):
            events += book.advance(now * S).records.tolist()
            if sum(order.is_open for order in book.of(row).orders) < MOST_OPEN:
                events += book.do(row, command, TYPE, now * S).records.tolist()
    for at in sorted(stops):
        told[1].extend(books[1].advance((now + at) * S).records.tolist())
    for book, events in zip(books, told, strict=True):
        events += book.advance((now + 4_000) * S).records.tolist()
        assert all(not order.is_open for row in range(6) for order in book.of(row).orders)
    assert [str(each) for each in told[0]] == [str(each) for each in told[1]]
    assert books[0].to_meta() == books[1].to_meta()
    assert len(books[0]._queue) == 0


def test_a_table_of_many_rows_stays_as_large_as_what_is_in_it() -> None:
    book = DownlinkBook()
    for i in range(5_000):
        book.do(i % 7, _command(c.SetDesired, values={"mode": "auto"}, role="admin"), TYPE, 1_000 * S + i)
    assert len(book) == 7
    assert len(book._queue) <= 80
    assert isinstance(book.of(99), Downlink)
