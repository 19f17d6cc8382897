from serve.refusals import MOST_REMEMBERED, RefusalLog, Refused
from twins.clock import MINUTE_US


def refused(by: str, asked: str = "", unsaid: int = 0) -> Refused:
    return Refused(by, "10.0.0.1", asked, unsaid)


def test_the_first_is_told_at_once_and_then_one_a_minute_with_the_number_of_the_others() -> None:
    log = RefusalLog()
    assert log.add(refused("kari"), 0) == refused("kari")
    assert [log.add(refused("kari"), at) for at in (1, 2, MINUTE_US - 1)] == [None] * 3
    assert log.add(refused("ola"), 2) == refused("ola")
    assert log.add(refused("kari", "last"), MINUTE_US) == refused("kari", "last", 3)
    assert log.add(refused("kari"), MINUTE_US + 1) is None
    assert log.add(refused("kari"), 2 * MINUTE_US) == refused("kari", unsaid=1)


def test_after_a_minute_the_others_are_told_though_there_are_no_more() -> None:
    log = RefusalLog()
    for asked in ("first", "second", "third"):
        log.add(refused("kari", asked), 0)
    assert list(log.due(MINUTE_US - 1)) == []
    assert list(log.due(MINUTE_US)) == [refused("kari", "third", 1)]
    assert list(log.due(3 * MINUTE_US)) == []


def test_at_the_end_all_is_told() -> None:
    log = RefusalLog()
    for by in ("kari", "ola", "kari", "kari"):
        log.add(refused(by), 0)
    assert list(log.due(1, is_last=True)) == [refused("kari", unsaid=1)]


def test_what_could_not_be_written_is_told_a_minute_later_with_what_came_since() -> None:
    log = RefusalLog()
    line = log.add(refused("kari", "first"), 0)
    assert line is not None
    log.keep(line, 5)
    assert list(log.due(MINUTE_US - 1)) == []
    assert log.add(refused("kari", "second"), 10) is None
    (line,) = log.due(MINUTE_US)
    assert line == refused("kari", "second", 1)
    log.add(refused("kari", "third"), MINUTE_US)
    log.keep(line, MINUTE_US + 1)
    assert list(log.due(2 * MINUTE_US)) == [refused("kari", "third", 2)]


def test_no_number_of_accounts_makes_it_grow_and_none_is_forgotten_untold() -> None:
    log, accounts = RefusalLog(), 3 * MOST_REMEMBERED
    told = 0
    for number in range(accounts):
        by = f"a{number}"
        assert log.add(refused(by), 0) == refused(by)
        assert log.add(refused(by), 0) is None
        told += len(list(log.due(0)))
    assert len(log._accounts) == MOST_REMEMBERED
    assert told + len(list(log.due(0, is_last=True))) == accounts
