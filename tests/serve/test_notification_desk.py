"""Who is told of what, and when: routes, steps, quiet hours, floods, repetitions; a virtual clock, a real database."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serve.accounts import Accounts
from serve.errors import RevisionConflictError, UnfitError
from serve.keyset import Spot
from serve.notifications import deliveries
from serve.notifications.notices import Closed
from serve.notifications.pacing import GIVE_UP_US, again_us
from serve.notifications.routing import Window, route_of
from tests.serve.notices import ADMIN, ROUTE, T0_US, Office, alert
from twins.clock import SECOND_US
from twins.errors import CommandRefusedError


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    found = Office(tmp_path, database_url)
    yield found
    found.database.close()


def test_each_step_tells_once_until_somebody_acknowledges(office: Office) -> None:
    to = f"channel:{office.channel()}"
    office.route((0, to), (300, to), (900, to))
    office.take(office.raised())
    office.tick()
    office.tick()
    assert office.told() == [("alert", 0, "pump-1:hot:1")]
    office.pass_s(300)
    office.pass_s(100)
    assert office.told()[1:] == [("escalation", 1, "pump-1:hot:1")]
    office.take(office.acknowledged())
    office.pass_s(3_600)
    assert len(office.told()) == 2


def test_a_delay_gives_time_to_acknowledge_first(office: Office) -> None:
    office.route((60, f"channel:{office.channel()}"))
    office.take(office.raised(), office.raised("pump-2"))
    office.take(office.acknowledged())
    office.pass_s(60)
    assert office.told() == [("alert", 0, "pump-2:hot:1")]


def test_a_cleared_condition_ends_only_what_is_to_end_with_it(office: Office) -> None:
    to = f"channel:{office.channel()}"
    first, second = office.route((60, to)), office.route((60, to), until="returned")
    office.take(office.raised())
    office.take(office.raised("pump-2"))
    now_us = office.clock.now_us()
    office.take(*(Closed(f"pump-{i}:hot:1", now_us, returned=True) for i in (1, 2)))
    office.pass_s(60)
    assert {each.route for each in office.desk.deliveries().items} == {first}
    assert second != first


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ({"priority": "critical"}, False),
        ({"priority": "high"}, True),
        ({"sites": ["oslo", "bergen"]}, True),
        ({"sites": ["bergen"]}, False),
        ({"types": ["fan"]}, False),
        ({"rules": ["hot"]}, True),
        ({"schedule": [{"days": ["thu"], "start": "08:00", "end": "16:00"}]}, True),
        ({"schedule": [{"days": ["fri"], "start": "08:00", "end": "16:00"}]}, False),
        ({"schedule": [{"days": ["wed"], "start": "22:00", "end": "09:00"}]}, True),  # past midnight
        (
            {"schedule": [{"days": [], "start": "10:00", "end": "11:00"}], "zone": "Europe/Oslo"},
            True,
        ),  # 10:53 there
        ({"schedule": [{"days": [], "start": "00:00", "end": "24:00"}]}, True),
    ],
)
def test_a_route_takes_what_it_describes(tmp_path: Path, more: dict[str, Any], taken: bool) -> None:
    office = Office(tmp_path)
    office.route((0, f"channel:{office.channel()}"), **more)
    office.take(office.raised())
    office.tick()
    assert bool(office.told()) is taken
    office.database.close()


@given(
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1_439),
    st.integers(0, 1_439),
    st.integers(0, 7 * 1_440 - 1),
)
def test_a_window_is_its_minutes(days: frozenset[int], start: int, end: int, minute: int) -> None:
    """Against every minute of it, counted out; 5 October 2026 is a Monday."""
    length = (end - start) % 1_440 or 1_440
    minutes = {(day * 1_440 + start + i) % (7 * 1_440) for day in days for i in range(length)}
    local = datetime(2026, 10, 5) + timedelta(minutes=minute)  # noqa: DTZ001  (local time is what a window is of)
    assert Window(tuple(days), start, end).has(local) is (minute in minutes)


def test_hours_follow_the_clocks_of_their_zone() -> None:
    """Oslo sets its clocks back at 01:00 UTC on 25 October 2026."""
    document = {**ROUTE, "zone": "Europe/Oslo", "steps": [{"after_s": 0, "to": ["role:admin"]}]}
    route = route_of("r", {**document, "quiet": [{"days": [], "start": "22:00", "end": "06:00"}]})
    for day, hour_utc, quiet in (
        (24, 19, False),
        (24, 20, True),
        (25, 4, True),
        (25, 5, False),
        (25, 20, False),
        (25, 21, True),
    ):
        at = datetime(2026, 10, day, hour_utc, 30, tzinfo=UTC)
        assert route.is_quiet(round(at.timestamp()) * SECOND_US) is quiet, at


def test_people_are_reached_by_name_and_by_role_while_their_account_is_in_use(office: Office) -> None:
    accounts = Accounts(office.database, office.clock)
    accounts.create("root", "admin", ADMIN)
    for name, role in (("ann", "operator"), ("bob", "operator"), ("eve", "engineer")):
        accounts.create(name, role, ADMIN)  # type: ignore[arg-type]
    ann, bob, eve = (office.channel(account=name) for name in ("ann", "bob", "eve"))
    accounts.change("bob", ADMIN, disabled=True)
    office.route((0, "role:operator account:Eve"))
    office.take(office.raised())
    office.tick()
    assert {each.channel for each in office.desk.deliveries().items} == {ann, eve}
    assert bob not in {each.channel for each in office.desk.deliveries().items}


def test_an_account_for_some_sites_is_told_of_these_only(office: Office) -> None:
    accounts = Accounts(office.database, office.clock)
    for name, sites in (("ann", None), ("bob", ["oslo"]), ("eve", ["bergen", "voss"])):
        accounts.create(name, "operator", ADMIN, sites)
    ann, bob, eve = (office.channel(account=name) for name in ("ann", "bob", "eve"))
    pager = office.channel()
    office.route((0, f"role:operator channel:{pager}"))
    office.take(
        office.raised("a", site="oslo"), office.raised("b", site="bergen"), office.raised("c", site="")
    )
    office.tick()
    told: dict[str, set[str]] = {}
    for each in office.desk.deliveries().items:
        told.setdefault(each.channel, set()).update(alert["device_id"] for alert in each.message["alerts"])
    assert told == {ann: {"a", "b", "c"}, pager: {"a", "b", "c"}, bob: {"a"}, eve: {"b"}}


def test_a_flood_is_summed_up_for_the_sites_of_each(office: Office) -> None:
    accounts = Accounts(office.database, office.clock)
    for name, sites in (("ann", None), ("bob", ["oslo"]), ("eve", ["voss"])):
        accounts.create(name, "operator", ADMIN, sites)
    ann, bob, eve = (office.channel(account=name) for name in ("ann", "bob", "eve"))
    office.route((0, "role:operator"))
    office.take(*(office.raised(f"{site}-{i}", site=site) for i in range(12) for site in ("oslo", "bergen")))
    office.tick()
    for _ in range(30):
        office.pass_s(60)
    found = {(each.channel, each.kind): each.message for each in office.desk.deliveries().items}
    assert found[ann, "flood"]["count"] == 24
    assert found[bob, "flood"]["count"] == found[bob, "flood_over"]["count"] == 12
    assert {alert["site"] for alert in found[bob, "flood"]["alerts"]} == {"oslo"}
    assert "bergen" not in repr(found[bob, "flood"]) + repr(found[bob, "flood_over"])
    assert not [channel for channel, _ in found if channel == eve]


def test_nobody_to_tell_is_a_delivery_that_has_failed(office: Office) -> None:
    office.route((0, "role:operator"))
    office.take(office.raised())
    office.tick()
    (found,) = office.desk.deliveries().items
    assert found.state == "failed"
    assert "no channel" in found.said


def test_quiet_hours_hold_what_can_wait_and_sum_it_up(office: Office) -> None:
    quiet = [{"days": [], "start": "08:00", "end": "09:00"}]
    office.route((0, f"channel:{office.channel()}"), quiet=quiet, quiet_priority="critical")
    office.take(*(office.raised(f"pump-{i}") for i in range(4)), office.raised("boiler", priority="critical"))
    office.tick()
    assert office.told() == [("alert", 0, "boiler:hot:1")]
    office.take(office.acknowledged("pump-3"))
    office.pass_s(600)  # 09:03:20
    office.tick()
    assert office.told()[1:] == [("held", 0, "")]
    message = office.desk.deliveries().items[0].message
    assert message["count"] == 3
    assert {each["device_id"] for each in message["alerts"]} == {"pump-0", "pump-1", "pump-2"}


def test_a_flood_is_told_as_one_and_summed_up_when_it_is_over(office: Office) -> None:
    office.route((0, f"channel:{office.channel()}"))
    for i in range(10):
        office.take(office.raised(f"pump-{i}", priority="low"))
        office.pass_s(1)
    assert [kind for kind, _, _ in office.told()] == ["alert"] * 10
    office.take(office.raised("pump-10", priority="low"))
    office.pass_s(1)
    assert office.told()[10:] == [("flood", 0, "")]
    for i in range(11, 40):
        office.take(office.raised(f"pump-{i}", priority="low"))
        office.pass_s(1)
    assert len(office.told()) == 11
    office.take(office.raised("boiler", priority="critical"))
    office.pass_s(1)
    assert office.told()[11:] == [("flood_continues", 0, "")]  # something worse is told at once
    assert office.desk.deliveries().items[0].message["subject"].startswith("[critical]")
    for _ in range(20):
        office.pass_s(60)
    assert office.told()[12:] == [("flood_over", 0, "")]
    office.take(office.raised("pump-99"))
    office.tick()
    assert office.told()[13:] == [("alert", 0, "pump-99:hot:1")]


def test_ten_thousand_at_once_are_a_few_messages(tmp_path: Path) -> None:
    office = Office(tmp_path)
    to = f"channel:{office.channel()}"
    office.route((0, to), (300, to))
    for part in range(5):
        office.take(*(office.raised(f"pump-{part}-{i}") for i in range(2_000)))
    for _ in range(60):
        office.pass_s(60)
    kinds = [(kind, step) for kind, step, _ in office.told()]
    assert len(kinds) <= 8, kinds
    assert kinds[0] == ("flood", 0)
    assert kinds[-1] == ("flood_over", 1)
    over = office.desk.deliveries().items[0].message
    assert over["count"] == 10_000
    assert len(over["alerts"]) == 10
    office.database.close()


def test_a_repetition_is_not_told_again_and_is_escalated_all_the_same(office: Office) -> None:
    to = f"channel:{office.channel()}"
    office.route((0, to), (300, to), repeat_s=600.0)
    office.take(office.raised(occurrence=1))
    office.take(office.acknowledged(occurrence=1))
    office.take(office.raised(occurrence=1))  # asks for attention again
    office.tick()
    assert office.told() == [("alert", 0, "pump-1:hot:1")]
    office.take(office.acknowledged(occurrence=1))
    office.take(office.raised(occurrence=2))
    office.pass_s(300)
    assert office.told()[1:] == [("escalation", 1, "pump-1:hot:2")]
    office.take(office.acknowledged(occurrence=2))
    office.clock.advance_by(300)
    office.take(office.raised(occurrence=3))
    office.tick()
    assert office.told()[2:] == [("alert", 0, "pump-1:hot:3")]


def test_a_journal_is_taken_once(office: Office) -> None:
    office.route((0, f"channel:{office.channel()}"))
    office.desk.take("host-000", 0, 7, [office.raised()])
    with pytest.raises(CommandRefusedError, match="up to 7"):
        office.desk.take("host-000", 0, 7, [office.raised()])
    office.tick()
    assert len(office.told()) == 1
    assert office.desk.cursor("host-000") == 7


def test_a_route_that_is_gone_tells_nothing_more(office: Office) -> None:
    to = f"channel:{office.channel()}"
    gone, other = office.route((60, to)), office.route((60, to))
    office.take(office.raised())
    office.book.remove_route(gone, None, ADMIN)
    office.pass_s(60)
    assert [each.route for each in office.desk.deliveries().items] == [other]


def test_too_many_that_wait_for_a_channel_fail_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_WAITING", 20)
    office = Office(tmp_path)
    to = f"channel:{office.channel()}"
    office.route((0, to))
    for i in range(25):
        office.take(office.raised(f"pump-{i}"))
        office.pass_s(600)
    assert office.desk.counts() == {"waiting": 20, "failed": 5}
    assert [each.alert for each in office.desk.deliveries(state="failed").items][-1] == "pump-0:hot:1"
    office.database.close()


def test_what_failed_is_tried_again_and_ends_as_failed(office: Office) -> None:
    channel = office.channel()
    office.route((0, f"channel:{channel}"))
    office.take(office.raised())
    office.tick()
    attempts = 0
    while (found := office.desk.next_of(channel)) is not None:
        attempts += 1
        office.desk.sent(found, False, "it answered 500", 1.0)
        assert office.desk.next_of(channel) is None
        office.clock.advance_to(office.desk.deliveries().items[0].due_us)
    (found,) = office.desk.deliveries().items
    assert found.state == "failed"
    assert found.attempts == attempts > 40
    assert office.clock.now_us() - T0_US <= GIVE_UP_US + 1_900 * SECOND_US


def test_the_wait_doubles_and_is_bounded() -> None:
    waits = [again_us(n, 0, 0, 1.0) for n in range(1, 100)]
    assert waits[:4] == [10 * SECOND_US, 20 * SECOND_US, 40 * SECOND_US, 80 * SECOND_US]
    assert max(each for each in waits if each is not None) == 1_800 * SECOND_US
    assert again_us(1, 0, 0, 0.0) == 5 * SECOND_US
    assert again_us(1, 0, GIVE_UP_US, 0.5) is None


def test_deliveries_are_found_by_alert_also_where_many_were_told_together(office: Office) -> None:
    office.route((0, f"channel:{office.channel()}"))
    office.take(*(office.raised(f"pump-{i}") for i in range(30)))
    office.tick()
    (found,) = office.desk.deliveries(alert="pump-7:hot:1").items
    assert found.kind == "flood"
    assert office.desk.deliveries(alert="pump-77:hot:1").items == []
    assert office.desk.deliveries(Spot(offset=1), alert="pump-7:hot:1").items == []


def test_what_cannot_be_is_refused(office: Office) -> None:
    for wrong in (
        {"zone": "Mars/Olympus"},
        {"steps": []},
        {"steps": [{"after_s": 60, "to": ["role:operator"]}, {"after_s": 60, "to": ["role:admin"]}]},
        {"steps": [{"after_s": 0, "to": ["channel:nope"]}]},
        {"steps": [{"after_s": 0, "to": ["role:king"]}]},
        {"steps": [{"after_s": 0, "to": ["mail"]}]},
        {"steps": [{"after_s": 0, "to": ["account:nobody"]}]},
    ):
        with pytest.raises(UnfitError):
            office.book.add_route(
                {**ROUTE, "steps": [{"after_s": 0, "to": ["role:admin"]}], **wrong}, True, ADMIN
            )
    made = office.book.add_route({**ROUTE, "steps": [{"after_s": 0, "to": ["role:admin"]}]}, True, ADMIN)
    with pytest.raises(RevisionConflictError):
        office.book.change_route(made.id, 7, made.document, False, ADMIN)


class Telling(RuleBasedStateMachine):
    """Alerts come, are acknowledged, time passes, the process dies within transactions: each alert is told once a
    step, unless it was acknowledged before that was due. The oracle is a dictionary."""

    AFTER_S = (0, 40, 200)

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self._folder.name))
        to = f"channel:{self.office.channel()}"
        self.office.route(*((after_s, to) for after_s in self.AFTER_S))
        self.raised_us: dict[str, int] = {}
        self.acked_us: dict[str, int] = {}
        self.number = 0

    @rule(many=st.integers(1, 14))
    def alerts_come(self, many: int) -> None:
        now_us = self.office.clock.now_us()
        changes = []
        for _ in range(many):
            self.number += 1
            changes.append(self.office.raised(f"pump-{self.number}"))
            self.raised_us[f"pump-{self.number}:hot:1"] = now_us
        self.office.take(*changes)

    @rule(data=st.data())
    def one_is_acknowledged(self, data: st.DataObject) -> None:
        standing = sorted(set(self.raised_us) - set(self.acked_us))
        if standing:
            which = data.draw(st.sampled_from(standing))
            self.acked_us[which] = self.office.clock.now_us()
            self.office.take(Closed(which, self.office.clock.now_us()))

    @rule(seconds=st.sampled_from([1.0, 30.0, 120.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.office.tick()
        self.office.clock.advance_by(seconds)
        self.office.tick()

    @rule(at=st.sampled_from(["take", "tick"]))
    def it_dies_within_a_transaction(self, at: str) -> None:
        class DiedError(Exception):
            pass

        write = self.office.database.write

        def dying(work: Any) -> Any:
            def half(connection: Any) -> Any:
                work(connection)
                raise DiedError

            return write(half)

        self.office.database.write = dying  # type: ignore[method-assign]
        try:
            if at == "take":
                self.office.take(self.office.raised("never"))
            else:
                self.office.tick()
        except DiedError:
            pass
        finally:
            self.office.database.write = write  # type: ignore[method-assign]
        self.office.again()

    @invariant()
    def told_once_unless_acknowledged_before(self) -> None:
        self.office.tick()
        now_us = self.office.clock.now_us()
        rows = self.office.database.read(
            lambda c: c.exec_driver_sql("SELECT alert, step, state, delivery FROM notices").fetchall()
        )
        found = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        assert len(found) == len(rows) == len(self.raised_us) * len(self.AFTER_S)
        keys = {each.told for each in self.office.desk.deliveries(Spot(100_000)).items}
        for name, at_us in self.raised_us.items():
            for step, after_s in enumerate(self.AFTER_S):
                state, key = found[name, step]
                due_us = at_us + after_s * SECOND_US
                if due_us > now_us:
                    assert state == ("ended" if name in self.acked_us else "waiting")
                elif name in self.acked_us and self.acked_us[name] < due_us:
                    assert state == "ended"
                elif name in self.acked_us:
                    assert state in (
                        "told",
                        "ended",
                    )  # ended: gathered in a flood, and acknowledged before that was told
                else:
                    assert state in ("told", "gathered")
                assert (key in keys) is (state == "told")

    def teardown(self) -> None:
        for _ in range(4):
            self.office.pass_s(700)
        told = self.office.desk.deliveries(Spot(100_000)).items
        singles = [(each.alert, each.step) for each in told if each.alert]
        assert len(singles) == len(set(singles))
        states = self.office.database.read(
            lambda c: {row[0] for row in c.exec_driver_sql("SELECT DISTINCT state FROM notices").fetchall()}
        )
        assert states <= {"told", "ended"}  # nothing is left behind
        hours = (self.office.clock.now_us() - T0_US) / (3_600 * SECOND_US)
        assert len(told) <= 3 * (12 + 6 * hours * 12)
        self.office.database.close()
        self._folder.cleanup()


TestTelling = Telling.TestCase
TestTelling.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_those_at_work_at_once_do_not_disturb_each_other(office: Office) -> None:
    """Two hosts are followed while it is decided and delivered, on one database."""
    channel = office.channel()
    office.route((0, f"channel:{channel}"), (60, f"channel:{channel}"))
    done = threading.Event()

    def follow(host: int) -> None:
        for part in range(8):
            changes = [office.raised(f"pump-{host}-{part}-{i}") for i in range(8)]
            office.take(*changes, actor=f"host-{host}")
            office.take(office.acknowledged(f"pump-{host}-{part}-0"), actor=f"host-{host}")

    def repeat(work: Any) -> None:
        while not done.is_set():
            work()

    def send() -> None:
        delivery = office.desk.next_of(channel)
        if delivery is not None:
            office.desk.sent(delivery, True, "taken", 0.5)

    with ThreadPoolExecutor(4) as pool:
        beside = [pool.submit(repeat, work) for work in (office.desk.tick, send)]
        followed = [pool.submit(follow, host) for host in (1, 2)]
        try:
            for each in followed:
                each.result()
        finally:
            done.set()
        for each in beside:
            each.result()
    for _ in range(4):
        office.pass_s(700)
    while office.desk.next_of(channel) is not None:
        send()
    rows = office.database.read(
        lambda c: c.exec_driver_sql(
            "SELECT step, state, count(*) FROM notices GROUP BY step, state"
        ).fetchall()
    )
    counts = {(row[0], row[1]): row[2] for row in rows}
    assert counts.get((0, "told"), 0) + counts.get((0, "ended"), 0) == 2 * 8 * 8
    assert counts[1, "told"] == 2 * 8 * 7  # the acknowledged ones go no further
    assert set(office.desk.counts()) == {"delivered"}
    assert len(office.told()) <= 10 + 2 * 7


def test_messages_are_plain(office: Office) -> None:
    office.route((0, f"channel:{office.channel()}"))
    office.take(office.raised(title="Hot\r\nBcc: all@example.org", value=91.5, limit=90.0))
    office.tick()
    message = office.desk.deliveries().items[0].message
    assert "\n" not in message["subject"]
    assert json.loads(json.dumps(message)) == message
    assert alert().thing == "pump-1:hot"
