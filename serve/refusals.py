"""Refused rights in the audit, without a flood of it: for each account the first at once, then one line a minute that says
how many there were. No database: whoever writes the lines says which could not be written.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from twins.clock import MINUTE_US

MOST_REMEMBERED: Final = 1_000
"""Accounts of which the last line is remembered; the one that was refused nothing for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What one account was refused, for one line: the newest of it, and how many went before that have no line."""

    by: str
    address: str
    asked: str
    unsaid: int = 0


@dataclass(slots=True)
class _Account:
    """The newest that it was refused, how many of which there is no line, and when it last got one."""

    newest: Refused
    count: int
    told_us: int

    def is_due(self, now_us: int) -> bool:
        return self.count > 0 and now_us - self.told_us >= MINUTE_US

    def take(self, now_us: int) -> Refused:
        """The line of it all, which counts as written."""
        line = Refused(self.newest.by, self.newest.address, self.newest.asked, self.count - 1)
        self.count, self.told_us = 0, now_us
        return line


class RefusalLog:
    """Which refusals are written down, and when. Used from one thread."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._forgotten: list[Refused] = []

    def add(self, refused: Refused, now_us: int) -> Refused | None:
        """Count a refusal of just now; the line to write of it, if its account has got none within a minute."""
        account = self._accounts.pop(refused.by, None) or _Account(refused, 0, now_us - MINUTE_US)
        self._count(account, refused, now_us)
        return account.take(now_us) if account.is_due(now_us) else None

    def keep(self, line: Refused, now_us: int) -> None:
        """Count again what a line that could not be written was to say; another is due in a minute."""
        account = self._accounts.pop(line.by, None) or _Account(line, 0, now_us)
        self._count(account, account.newest if account.count else line, now_us, 1 + line.unsaid)

    def due(self, now_us: int, is_last: bool = False) -> Iterator[Refused]:
        """The lines to write though nobody is refused anything just now; with ``is_last``, of all that has none."""
        while self._forgotten:
            yield self._forgotten.pop()
        for account in list(self._accounts.values()):
            if account.is_due(now_us) or (is_last and account.count):
                yield account.take(now_us)

    def _count(self, account: _Account, newest: Refused, now_us: int, number: int = 1) -> None:
        account.newest, account.count = newest, account.count + number
        self._accounts[newest.by] = account
        if len(self._accounts) > MOST_REMEMBERED:
            _, gone = self._accounts.popitem(last=False)
            if gone.count:
                self._forgotten.append(gone.take(now_us))
