from serve.refusals import MOST_REMEMBERED, Refusals
from twins.clock import MINUTE_US


def test_the_first_is_told_at_once_and_then_one_a_minute_with_the_number_of_the_others() -> None:
    refusals = Refusals()
    assert refusals.unsaid("kari", 0) == 0
    assert [refusals.unsaid("kari", at) for at in (1, 2, MINUTE_US - 1)] == [None] * 3
    assert refusals.unsaid("ola", 2) == 0
    assert refusals.unsaid("kari", MINUTE_US) == 3
    assert refusals.unsaid("kari", MINUTE_US + 1) is None
    assert refusals.unsaid("kari", 2 * MINUTE_US) == 1


def test_no_number_of_accounts_makes_it_grow() -> None:
    refusals = Refusals()
    for number in range(3 * MOST_REMEMBERED):
        assert refusals.unsaid(f"a{number}", 0) == 0
    assert len(refusals._told) == MOST_REMEMBERED
