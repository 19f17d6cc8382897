"""Accounts and sessions in any order, against a plain model that says what each token may do now."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serve import audit
from serve.access import NEEDED, Access, check, check_reach
from serve.accounts import ROLES, Actor
from serve.config import database_config
from serve.database import Database
from serve.errors import AccessError, AccountExistsError, LoginError, UnfitError
from tests.serve.test_sites import expected
from twins.clock import SECOND_US, VirtualClock
from twins.errors import FleetError

ROOT = Actor("root")
T0 = 1_760_000_000 * SECOND_US
NAMES = st.sampled_from(["anna", "kari"])
ROLE = st.sampled_from(ROLES)
SITES = st.sampled_from([None, ["oslo"], ["bergen"], ["oslo", "bergen"]])


@dataclass
class Person:
    """What an account may, in the model."""

    role: Any
    sites: list[str] | None
    password: str
    disabled: bool = False


@dataclass
class Ticket:
    """Something that somebody holds: an access token, a cookie."""

    whose: str
    kind: Any
    secret: str
    refresh: str = ""
    counts: bool = True
    session: str = ""


class Rights(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        self.database = Database(database_config("", folder))
        self.database.migrate()
        self.clock = VirtualClock(T0)
        self.access = Access(self.database, folder / "secrets", self.clock)
        self.access.accounts.create("root", "admin", ROOT)
        self.people: dict[str, Person] = {}
        self.tickets: list[Ticket] = []

    def end_all(self, name: str) -> None:
        for ticket in self.tickets:
            if ticket.whose == name:
                ticket.counts = False

    @rule(name=NAMES, role=ROLE, sites=SITES)
    def create(self, name: str, role: Any, sites: list[str] | None) -> None:
        fits = role != "admin" or sites is None
        try:
            password = self.access.accounts.create(name, role, ROOT, sites)
        except (AccountExistsError, UnfitError):
            assert name in self.people or not fits
            return
        assert name not in self.people
        assert fits
        new = "grey heron over the lock gate"
        self.access.accounts.change_password(name, password, new, "")
        self.people[name] = Person(role, sites, new)

    @precondition(lambda self: getattr(self, "people", None))
    @rule(
        name=NAMES,
        change=st.fixed_dictionaries({}, optional={"role": ROLE, "sites": SITES, "disabled": st.booleans()}),
    )
    def change(self, name: str, change: dict[str, Any]) -> None:
        person = self.people.get(name)
        if person is None or not change:
            with pytest.raises(FleetError):
                self.access.accounts.change(name, ROOT, **change)
            return
        after = Person(**{**vars(person), **change})
        if after.role == "admin" and after.sites is not None:
            with pytest.raises(UnfitError, match="all sites"):
                self.access.accounts.change(name, ROOT, **change)
            return
        self.access.accounts.change(name, ROOT, **change)
        self.people[name] = after
        self.end_all(name)

    @precondition(lambda self: getattr(self, "people", None))
    @rule(name=NAMES, kind=st.sampled_from(["browser", "program"]))
    def log_in(self, name: str, kind: Any) -> None:
        person = self.people.get(name)
        if person is None or person.disabled:
            with pytest.raises(LoginError):
                self.access.sessions.log_in(name, "whatever" if person is None else person.password, kind)
            self.clock.advance_by(
                16 * 60
            )  # until the limit on attempts has passed, and every access token with it
            for ticket in self.tickets:
                if ticket.counts and ticket.refresh:
                    self.renew(ticket)
            return
        begun = self.access.sessions.log_in(name, person.password, kind)
        secret = begun.secret if kind == "browser" else self.access.sessions.access_token(begun.principal)[0]
        refresh = "" if kind == "browser" else begun.secret
        self.tickets.append(Ticket(name, kind, secret, refresh, session=begun.principal.session))

    def renew(self, ticket: Ticket) -> None:
        begun = self.access.sessions.refresh(ticket.refresh)
        ticket.refresh, ticket.secret = begun.secret, self.access.sessions.access_token(begun.principal)[0]

    @precondition(lambda self: any(t.refresh for t in getattr(self, "tickets", [])))
    @rule(data=st.data(), stolen=st.booleans())
    def refresh(self, data: st.DataObject, stolen: bool) -> None:
        ticket = data.draw(st.sampled_from([t for t in self.tickets if t.refresh]))
        if not ticket.counts:
            with pytest.raises(AccessError):
                self.access.sessions.refresh(ticket.refresh)
            return
        spent = ticket.refresh
        self.renew(ticket)
        if stolen:
            self.clock.advance_by(11)
            with pytest.raises(AccessError):
                self.access.sessions.refresh(spent)
            ticket.counts = False

    @precondition(lambda self: any(t.counts for t in getattr(self, "tickets", [])))
    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from([t for t in self.tickets if t.counts]))
        self.access.sessions.log_out(self.caller(ticket).session)  # type: ignore[arg-type]
        ticket.counts = False

    @precondition(lambda self: getattr(self, "people", None))
    @rule(name=NAMES)
    def revoke(self, name: str) -> None:
        """A new password throws everybody out, and has to be changed by whoever comes in."""
        person = self.people.get(name)
        if person is not None:
            once = self.access.accounts.reset(name, ROOT)
            self.access.accounts.change_password(name, once, person.password + "!", "")
            person.password += "!"
            self.end_all(name)

    def caller(self, ticket: Ticket) -> Any:
        return self.access.find("cookie" if ticket.kind == "browser" else "bearer", ticket.secret)

    @invariant()
    def each_may_what_its_account_may_now(self) -> None:
        if not hasattr(self, "tickets"):
            return
        self.clock.advance_by(3)
        for ticket in self.tickets[-6:]:
            if not ticket.counts:
                with pytest.raises(AccessError):
                    self.caller(ticket)
                continue
            person, caller = self.people[ticket.whose], self.caller(ticket)
            if ticket.kind == "program":  # tokens are good for ten minutes
                ticket.secret = self.access.sessions.access_token(caller.session)[0]
            assert caller.sites == (None if person.sites is None else frozenset(person.sites))
            for place, (need, reach) in NEEDED.items():
                code = None
                try:
                    check(need, caller)
                    check_reach(reach, caller)
                except AccessError as error:
                    code = error.code
                wanted = expected(place, person.role, person.sites)
                assert (code in wanted) if wanted else code is None, place

    def teardown(self) -> None:
        if hasattr(self, "access"):
            assert audit.verify(self.database) is None
            self.database.close()
            self.folder.cleanup()


TestRights = Rights.TestCase
TestRights.settings = settings(
    max_examples=4, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
