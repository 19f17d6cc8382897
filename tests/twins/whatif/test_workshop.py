"""A workshop never does what it has no people, parts or time for, whatever it is asked."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.twins.whatif.shops import machine
from twins.clock import DAY_US, HOUR_US
from twins.devices import MaintenanceAction
from twins.whatif.policies import Booking, Order, Workshop, next_shift
from twins.whatif.scenarios import Resources, Spare

WINDOW_US = 2 * HOUR_US
QUARTER_US = HOUR_US // 4
PARTS = ("bearing", "seal")
START_US = 20_000 * DAY_US + 5 * HOUR_US
_TO_MONDAY_D = 3

ACTIONS = (
    MaintenanceAction("look", crew=1),
    MaintenanceAction("mend", crew=2, spares={"bearing": 1}),
    MaintenanceAction("overhaul", crew=1, spares={"bearing": 2, "seal": 1}),
    MaintenanceAction("restart", crew=0),
    MaintenanceAction("clean", crew=1, spares={"soap": 3}),
)

SHIFTS = st.tuples(st.integers(0, 23), st.integers(1, 24)).map(sorted).filter(lambda s: s[0] < s[1])
RESOURCES = st.builds(
    Resources,
    crews=st.none() | st.integers(0, 3),
    shift=SHIFTS.map(lambda s: (float(s[0]), float(s[1]))),
    weekends=st.booleans(),
    spares=st.fixed_dictionaries(
        {}, optional={name: st.builds(Spare, st.integers(0, 3), st.integers(0, 40).map(float)) for name in PARTS}
    ),
)  # fmt: skip


def orders(now_us: int, rows: Sequence[int]) -> st.SearchStrategy[list[Order]]:
    """Orders that were asked for by now, one a device."""
    one = st.builds(
        lambda planned, asked, action, ready, quarters: (planned, asked, action, ready, quarters),
        st.booleans(), st.integers(0, 8), st.integers(0, len(ACTIONS) - 1), st.integers(-4, 12), st.integers(1, 40),
    )  # fmt: skip
    return st.lists(one, max_size=len(rows)).map(
        lambda drawn: [
            Order(
                planned, now_us - asked * QUARTER_US, 0, row, action,
                now_us if planned else now_us + ready * QUARTER_US, quarters * QUARTER_US, -1 if planned else 0,
            )
            for row, (planned, asked, action, ready, quarters) in zip(rows, drawn, strict=False)
        ]
    )  # fmt: skip


def opened(resources: Resources) -> Workshop:
    return Workshop.opened(resources, [machine(1.0, *ACTIONS)], START_US)


def within_shift(resources: Resources, at_us: int) -> bool:
    day, within_us = divmod(at_us, DAY_US)
    begin_h, end_h = resources.shift
    works = resources.weekends or (day + _TO_MONDAY_D) % 7 < 5
    return works and begin_h * HOUR_US <= within_us < end_h * HOUR_US


def on_the_shelf(resources: Resources, bookings: Sequence[Booking], name: str, at_us: int) -> int:
    """Parts that are there at a time, once all that begins then has begun; one that is used is ordered at once."""
    spare = resources.spares[name]
    lead_us = round(spare.lead_h * HOUR_US)
    left = spare.stock
    for order, begins_us, _ in bookings:
        used = ACTIONS[order.action].spares.get(name, 0)
        left -= used * (begins_us <= at_us) - used * (begins_us + lead_us <= at_us)
    return left


class Days(RuleBasedStateMachine):
    """Days of a workshop."""

    @initialize(resources=RESOURCES)
    def open(self, resources: Resources) -> None:
        self.resources, self.workshop = resources, opened(resources)
        self.now_us, self.rows = START_US, 0
        self.booked: list[Booking] = []
        self.asked: dict[int, Order] = {}

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        new = data.draw(orders(self.now_us, range(self.rows, self.rows + 6)))
        self.rows += len(new)
        self.asked.update({order.row: order for order in new})
        self.workshop.queue += new

    @precondition(lambda self: any(order.planned for order in self.workshop.queue))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from([order.row for order in self.workshop.queue if order.planned]))
        self.workshop.withdraw(0, row)
        del self.asked[row]

    @rule(windows=st.integers(1, 30))
    def wait(self, windows: int) -> None:
        self.now_us += windows * WINDOW_US

    @rule()
    def dispatch(self) -> None:
        until_us = self.now_us + WINDOW_US
        found = self.workshop.dispatch(self.now_us, until_us)
        for order, begins_us, ends_us in found:
            assert self.now_us <= begins_us < until_us
            assert order.ready_us <= begins_us
            assert ends_us - begins_us == order.duration_us
            assert within_shift(self.resources, begins_us) or not order.planned
            assert self.asked.pop(order.row) == order
        assert sorted(self.workshop.queue) == sorted(self.asked.values())
        assert all(
            (one.order.planned, one.order.asked_us) <= (after.order.planned, after.order.asked_us)
            for one, after in pairwise(found)
        )
        self.booked += found
        self.now_us = until_us

    @invariant()
    def no_more_crews_are_busy_than_there_are(self) -> None:
        if self.resources.crews is None:
            return
        for at in self.booked:
            busy = sum(
                ACTIONS[order.action].crew
                for order, begins_us, ends_us in self.booked
                if begins_us <= at.begins_us < ends_us
            )
            assert busy <= self.resources.crews

    @invariant()
    def no_more_parts_are_used_than_there_are(self) -> None:
        for name in self.resources.spares:
            for at in self.booked:
                assert on_the_shelf(self.resources, self.booked, name, at.begins_us) >= 0


Days.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestDays = Days.TestCase


@given(st.data(), RESOURCES)
def test_the_order_in_which_work_was_asked_for_does_not_matter(
    data: st.DataObject, resources: Resources
) -> None:
    asked = data.draw(orders(START_US, range(8)))
    shuffled = data.draw(st.permutations(asked))
    one, other = opened(resources), opened(resources)
    one.queue, other.queue = list(asked), list(shuffled)
    for window in range(12):
        now_us = START_US + window * WINDOW_US
        assert one.dispatch(now_us, now_us + WINDOW_US) == other.dispatch(now_us, now_us + WINDOW_US)


@given(st.data(), RESOURCES)
def test_planned_work_takes_nothing_from_failures(data: st.DataObject, resources: Resources) -> None:
    asked = data.draw(orders(START_US, range(8)))
    alone, together = opened(resources), opened(resources)
    alone.queue = [order for order in asked if not order.planned]
    together.queue = list(asked)
    until_us = START_US + WINDOW_US
    with_plans = [each for each in together.dispatch(START_US, until_us) if not each.order.planned]
    assert with_plans == alone.dispatch(START_US, until_us)


@given(st.data(), RESOURCES)
def test_what_is_held_up_holds_up_no_other_window(data: st.DataObject, resources: Resources) -> None:
    """An order that could begin in a window is not left to the next: dispatched again, nothing more can begin."""
    workshop = opened(resources)
    workshop.queue = data.draw(orders(START_US, range(8)))
    until_us = START_US + WINDOW_US
    workshop.dispatch(START_US, until_us)
    assert workshop.dispatch(START_US, until_us) == []


@given(RESOURCES, st.integers(0, 21 * 96))
def test_the_next_shift_is_the_first_moment_that_is_in_one(resources: Resources, quarters: int) -> None:
    at_us = START_US + quarters * QUARTER_US
    found = next_shift(resources, at_us)
    looked = at_us
    while not within_shift(resources, looked):
        looked += QUARTER_US
    assert found == looked
