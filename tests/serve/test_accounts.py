"""Accounts, sessions and the audit, on SQLite and PostgreSQL."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from serve import audit, passwords, sessions
from serve.accounts import Accounts, Actor, totp
from serve.config import database_config
from serve.database import Database
from serve.errors import (
    AccountExistsError,
    AccountNotFoundError,
    DatabaseUnavailableError,
    LoginError,
    LoginRequiredError,
    PasswordError,
    TokenError,
    TooManyAttemptsError,
    UnfitError,
)
from serve.sessions import IDLE_US, LONGEST_US, PAIR_FAILURES, LoggedIn, Sessions
from serve.tokens import TokenKeys
from twins.clock import DAY_US, SECOND_US, VirtualClock
from twins.errors import CommandRefusedError

GOOD = "grey heron over the lock gate"
BETTER = "nine kettles and a brass hinge"
ROOT = Actor("root", "192.0.2.1")
T0 = 1_760_000_000 * SECOND_US


class Here:
    """Accounts and sessions on a clock of the test's own."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = VirtualClock(T0)
        self.accounts = Accounts(database, self.clock)
        self.sessions = Sessions(database, TokenKeys(folder / "token-keys.json"), self.clock)

    def member(self, name: str = "kari", role: Any = "operator") -> str:
        """An account with the password GOOD."""
        once = self.accounts.create(name, role, ROOT)
        self.accounts.change_password(name, once, GOOD, "")
        return name

    def log_in(
        self, name: str = "kari", password: str = GOOD, address: str = "198.51.100.7", **more: Any
    ) -> LoggedIn:
        return self.sessions.log_in(name, password, more.pop("kind", "browser"), address, **more)

    def pass_s(self, seconds: float) -> None:
        self.clock.advance_by(seconds)


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Here:
    return Here(database, tmp_path)


def test_the_first_admin_gets_a_password_for_one_use_and_only_the_first(here: Here) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [each.result() for each in [pool.submit(here.accounts.first_admin) for _ in range(4)]]
    (password,) = [each for each in made if each is not None]
    begun = here.log_in("admin", password)
    assert begun.principal.account.must_change
    assert begun.principal.account.role == "admin"
    here.accounts.change_password("admin", password, GOOD, "", begun.principal.session)
    here.pass_s(3)
    assert not here.sessions.of_cookie(begun.secret).account.must_change
    assert not here.log_in("ADMIN", GOOD).principal.account.must_change
    with pytest.raises(LoginError):
        here.log_in("admin", password)


def test_a_password_for_one_use_does_not_wait_for_ever(here: Here) -> None:
    password = here.accounts.create("kari", "viewer", ROOT)
    here.clock.advance_to(T0 + 8 * DAY_US)
    with pytest.raises(LoginError):
        here.log_in("kari", password)
    assert here.log_in("kari", here.accounts.reset("kari", ROOT)).principal.account.must_change


@pytest.mark.parametrize("kind", ["browser", "program"])
def test_a_session_ends_when_it_is_logged_out_idle_or_old(here: Here, kind: Any) -> None:
    here.member()

    def lasts(begun: LoggedIn) -> bool:
        here.pass_s(3)
        try:
            here.sessions.still(begun.principal)
        except LoginRequiredError:
            return False
        return True

    first, second = here.log_in(kind=kind), here.log_in(kind=kind)
    assert lasts(first)
    here.sessions.log_out(first.principal)
    assert not lasts(first)
    assert lasts(second)
    here.clock.advance_by(IDLE_US / SECOND_US + 61)
    assert not lasts(second)
    third = here.log_in(kind=kind)
    for _ in range(LONGEST_US // (IDLE_US // 2)):
        assert lasts(third)
        here.clock.advance_by(IDLE_US / SECOND_US / 2)
    assert not lasts(third)


@pytest.mark.parametrize("change", ["disabled", "role", "reset", "password"])
def test_a_change_of_the_account_ends_its_sessions(here: Here, change: str) -> None:
    here.member()
    mine, other = here.log_in(), here.log_in(kind="program")
    token, _ = here.sessions.access_token(other.principal)
    assert here.sessions.of_token(token).account.name == "kari"
    match change:
        case "disabled":
            here.accounts.change("kari", ROOT, disabled=True)
        case "role":
            here.accounts.change("kari", ROOT, role="viewer")
        case "reset":
            here.accounts.reset("kari", ROOT)
        case "password":
            here.accounts.change_password("kari", GOOD, BETTER, "", mine.principal.session)
    here.pass_s(3)
    for ask in (
        lambda: here.sessions.of_token(token), lambda: here.sessions.refresh(other.secret),
        lambda: here.sessions.still(other.principal),
    ):  # fmt: skip
        with pytest.raises(LoginRequiredError):
            ask()
    if change == "password":
        assert here.sessions.of_cookie(mine.secret).session == mine.principal.session
    else:
        with pytest.raises(LoginRequiredError):
            here.sessions.of_cookie(mine.secret)


def test_a_refresh_token_changes_and_a_stolen_one_ends_the_session(here: Here) -> None:
    here.member()
    begun = here.log_in(kind="program")
    second = here.sessions.refresh(begun.secret)
    third = here.sessions.refresh(second.secret)
    here.pass_s(2)
    with pytest.raises(LoginRequiredError):  # two that race: the slower one is refused, and no more than that
        here.sessions.refresh(second.secret)
    fourth = here.sessions.refresh(third.secret)
    here.pass_s(60)
    with pytest.raises(LoginRequiredError):
        here.sessions.refresh(begun.secret)
    with pytest.raises(LoginRequiredError):
        here.sessions.refresh(fourth.secret)
    assert audit.lines(here.database).items[0].what == "session.revoked"


def test_a_refresh_token_counts_once_however_many_ask(here: Here) -> None:
    here.member()
    begun = here.log_in(kind="program")

    def ask(_: int) -> bool:
        try:
            here.sessions.refresh(begun.secret)
        except (
            LoginRequiredError,
            DatabaseUnavailableError,
        ):  # a busy database may ask one of them to come later
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, range(6))) == 1


def test_a_secret_of_one_kind_is_none_of_another(here: Here) -> None:
    here.member()
    browser, program = here.log_in(), here.log_in(kind="program")
    with pytest.raises(LoginRequiredError):
        here.sessions.of_cookie(program.secret)
    with pytest.raises(LoginRequiredError):
        here.sessions.refresh(browser.secret)
    with pytest.raises(TokenError):
        here.sessions.of_token(program.secret)


def test_one_person_has_one_name_however_it_is_written(here: Here) -> None:
    here.member("Åse")
    for same in ("åse", "ÅSE", "A\u030ase", "Åse"):
        if same != "A\u030ase":  # a mark of its own is no letter of a name
            assert here.log_in(same).principal.account.name == "Åse"
        with pytest.raises((AccountExistsError, UnfitError)):
            here.accounts.create(same, "viewer", ROOT)
    with pytest.raises(UnfitError):  # 100 letters, but 300 when they are written out
        here.accounts.create("\ufb03" * 100, "viewer", ROOT)
    with pytest.raises(LoginError):
        here.log_in("\ufb03" * 100)


def test_a_session_is_no_way_to_guess_its_password(here: Here) -> None:
    here.member()
    begun = here.log_in()
    for _ in range(PAIR_FAILURES):
        with pytest.raises(LoginError):
            here.sessions.prove(begun.principal, "wrong", "198.51.100.7")
    with pytest.raises(TooManyAttemptsError):
        here.sessions.prove(begun.principal, GOOD, "198.51.100.7")
    here.clock.advance_by(16 * 60)
    for _ in range(2 * PAIR_FAILURES):
        here.sessions.prove(begun.principal, GOOD, "198.51.100.7")


def test_a_text_that_cannot_be_kept_is_the_askers_fault(here: Here) -> None:
    begun = here.log_in(here.member())
    try:
        here.sessions.end(begun.principal, "\0")
    except UnfitError:
        assert not here.database.is_sqlite


def test_guessing_is_slowed_down_and_its_victim_is_not_kept_out(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "ACCOUNT_FAILURES", 12)
    here.member()
    here.log_in(address="198.51.100.7")
    for guess in range(12):
        with pytest.raises(LoginError):
            here.log_in(password="wrong", address=f"203.0.113.{guess // PAIR_FAILURES}")
    with pytest.raises(TooManyAttemptsError) as told:
        here.log_in(password="wrong", address="203.0.113.0")
    assert 0 < told.value.retry_after_s <= 15 * 60 + 1
    with pytest.raises(TooManyAttemptsError):  # not from a new address either, even with the right one
        here.log_in(address="203.0.113.250")
    assert here.log_in(address="198.51.100.7").principal.account.name == "kari"
    here.clock.advance_by(16 * 60)
    assert here.log_in(address="203.0.113.250").principal.account.name == "kari"


def test_many_guesses_at_once_do_not_slip_through(here: Here) -> None:
    here.member()

    def guess(_: int) -> bool:
        try:
            here.log_in(password="wrong")
        except TooManyAttemptsError:
            return False
        except LoginError:
            return True
        raise AssertionError("a wrong password was accepted")

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(guess, range(12))) == PAIR_FAILURES


def test_right_ones_are_not_counted(here: Here) -> None:
    here.member()
    for _ in range(3 * PAIR_FAILURES):
        here.log_in()


def test_an_unknown_name_takes_as_long_and_says_the_same(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.member()
    checked = []
    real = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda kept, given: checked.append(kept) or real(kept, given))
    told = set()
    for name in ("nobody", "kari", "\0", "x" * 300):
        with pytest.raises(LoginError) as error:
            here.log_in(name, "wrong")
        told.add((error.value.code, str(error.value)))
    assert len(told) == 1
    assert [kept is None for kept in checked] == [True, False, True, True]


def test_a_second_factor_is_asked_for_once_confirmed_and_each_code_counts_once(here: Here) -> None:
    here.member()
    secret, uri = here.accounts.begin_totp("kari")
    assert secret in uri
    assert here.log_in().principal.account.name == "kari"  # not in use before a code was seen

    def code(away: int = 0) -> str:
        return totp(secret, here.clock.now_us() // (30 * SECOND_US) + away)

    with pytest.raises(LoginError):
        here.accounts.confirm_totp("kari", "000000" if code() != "000000" else "111111", "")
    here.accounts.confirm_totp("kari", code(), "")
    with pytest.raises(LoginError):
        here.log_in()
    with pytest.raises(LoginError):  # it was spent above
        here.log_in(code=code())
    here.pass_s(30)
    assert here.log_in(code=code()).principal.account.totp
    here.pass_s(300)
    with pytest.raises(LoginError):
        here.log_in(code=code(-3))
    with pytest.raises(CommandRefusedError):
        here.accounts.begin_totp("kari")
    with pytest.raises(LoginError):
        here.accounts.end_totp("kari", "wrong", "")
    here.accounts.end_totp("kari", GOOD, "")
    assert here.log_in().principal.account.name == "kari"


def test_registering_is_closed_by_invitation_or_open(here: Here) -> None:
    register = here.accounts.register
    with pytest.raises(CommandRefusedError, match="made by an admin"):
        register("kari", GOOD, "closed", None, "")
    with pytest.raises(CommandRefusedError, match="invitation"):
        register("kari", GOOD, "invite", "nonsense", "")
    code = here.accounts.invite("engineer", ROOT)
    made = register("kari", GOOD, "invite", code, "")
    assert (made.role, made.must_change) == ("engineer", False)
    with pytest.raises(CommandRefusedError):
        register("ola", GOOD, "invite", code, "")
    late = here.accounts.invite("viewer", ROOT)
    here.clock.advance_to(T0 + 8 * DAY_US)
    with pytest.raises(CommandRefusedError):
        register("ola", GOOD, "invite", late, "")
    assert register("ola", GOOD, "open", None, "").role == "viewer"
    with pytest.raises(AccountExistsError):
        register("OLA", GOOD, "open", None, "")
    for name in ("", " x", "a\nb", "x" * 101, "a/b", "<b>"):
        with pytest.raises(UnfitError):
            register(name, GOOD, "open", None, "")
    with pytest.raises(PasswordError):
        register("per", "short", "open", None, "")


def test_sites_are_an_accounts_own_and_an_admins_never(here: Here) -> None:
    code = here.accounts.invite("operator", ROOT, ["oslo", "bergen"])
    assert here.accounts.register("kari", GOOD, "invite", code, "").sites == {"oslo", "bergen"}
    begun = here.log_in(kind="program")
    assert here.accounts.change("kari", ROOT, sites=["bergen"]).sites == {"bergen"}
    here.pass_s(3)
    with pytest.raises(LoginRequiredError):
        here.sessions.still(begun.principal)
    assert here.log_in().principal.account.sites == {"bergen"}
    assert here.accounts.change("kari", ROOT, role="viewer").sites == {"bergen"}
    with pytest.raises(UnfitError, match="all sites"):
        here.accounts.change("kari", ROOT, role="admin")
    assert here.accounts.change("kari", ROOT, role="admin", sites=None).sites is None
    with pytest.raises(UnfitError, match="all sites"):
        here.accounts.change("kari", ROOT, sites=["oslo"])
    for wrong in ([], [""], ["a\nb"], [f"site-{i}" for i in range(101)], ["x" * 300]):
        with pytest.raises(UnfitError):
            here.accounts.create("ola", "viewer", ROOT, wrong)
    told = next(line for line in audit.lines(here.database).items if line.what == "account.changed")
    assert told.detail == {"role": "admin", "sites": None}


def test_somebody_who_manages_accounts_is_always_left(here: Here) -> None:
    here.member("anna", "admin")
    for change in ({"disabled": True}, {"role": "viewer"}):
        with pytest.raises(CommandRefusedError, match="no admin"):
            here.accounts.change("anna", ROOT, **change)
    here.member("berit", "admin")
    here.accounts.change("anna", ROOT, role="viewer")
    with pytest.raises(CommandRefusedError):
        here.accounts.change("berit", ROOT, disabled=True)
    with pytest.raises(AccountNotFoundError):
        here.accounts.change("nobody", ROOT, disabled=True)


@pytest.mark.parametrize(
    "weak",
    ["", "short", "password1234", "aaaaaaaaaaaaaaaa", "abababababababab", "123456789012345", "qwertyuiop1234",
     "kari.kari.kari", "Twinfold-2026!", "administrator1", "x\0" + GOOD, "y" * 300, "sunshinefootball", "P@ssw0rd1234",
     "1qaz2wsx3edc", "iloveyou2024!!", "correct horse battery staple", "correcthorsebatterystaple"],
)  # fmt: skip
def test_what_is_easily_guessed_is_no_password(weak: str) -> None:
    with pytest.raises(PasswordError):
        passwords.check(weak, "kari")


def test_what_was_stolen_most_often_is_no_password() -> None:
    stolen = [each for each in FREQUENCY_LISTS["passwords"] if len(each) >= passwords.SHORTEST]
    assert len(stolen) > 200
    for each in stolen:
        with pytest.raises(PasswordError):
            passwords.check(each, "kari")


def test_passphrases_and_the_ones_we_hand_over_are_passwords() -> None:
    for good in (GOOD, BETTER, "møte på ås i går", "V9#kd02!mQpz", "🦊 in the henhouse"):
        passwords.check(good, "kari")
    made = {passwords.one_time() for _ in range(50)}
    assert len(made) == 50
    for each in made:
        passwords.check(each, "kari", is_admin=True)
    with pytest.raises(PasswordError):
        passwords.check("V9#kd02!mQpz", "kari", is_admin=True)


def test_each_step_is_in_the_audit_and_the_database_lets_it_only_grow(here: Here) -> None:
    here.member()
    begun = here.log_in()
    here.sessions.log_out(begun.principal, "198.51.100.7")
    with pytest.raises(LoginError):
        here.log_in(password="wrong")
    told = [line.what for line in reversed(audit.lines(here.database).items)]
    assert told == ["account.made", "password.changed", "session.begun", "session.ended", "login.failed"]
    assert audit.verify(here.database) is None
    assert GOOD not in repr(audit.lines(here.database).items)
    for change in ("UPDATE audit SET by = 'x'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="only grows"):
            here.database.write(lambda c, change=change: c.execute(text(change.replace("by", '"by"'))))
    number, head = audit.head(here.database)
    assert (number, len(head)) == (5, 64)


def test_the_audit_is_asked_for_by_whom_of_what_kind_and_about_what(here: Here) -> None:
    here.accounts.create("anna", "viewer", ROOT)
    here.accounts.create("bert", "viewer", Actor("eva"))
    here.accounts.change("anna", Actor("eva"), role="operator")

    def told(**wanted: str) -> list[tuple[str, str, str]]:
        return [(line.by, line.what, line.subject) for line in audit.lines(here.database, **wanted).items]

    first, second, third = reversed(told())
    assert told(by="eva") == [third, second]
    assert told(what="account.made") == [second, first]
    assert told(what="account.", by="eva") == [third, second]
    assert told(subject="anna") == [third, first]
    assert told(what="a%") == []  # a sign of LIKE is a sign like others
    assert told(by="nobody") == []


def test_old_lines_go_in_order_and_the_chain_goes_on_from_what_is_kept(here: Here) -> None:
    for number in range(6):
        here.accounts.create(f"user{number}", "viewer", ROOT)
        here.pass_s(60)
    assert audit.cut(here.database, T0 + 150 * SECOND_US, here.clock.now_us(), most=2) == 2
    assert audit.cut(here.database, T0 + 150 * SECOND_US, here.clock.now_us(), most=2) == 1
    assert audit.cut(here.database, T0 + 150 * SECOND_US, here.clock.now_us()) == 0
    kept = audit.lines(here.database).items
    assert [line.number for line in kept] == [8, 7, 6, 5, 4]
    assert [line.what for line in kept[:2]] == ["audit.cut", "audit.cut"]
    assert kept[1].detail["last"] == 2
    assert audit.verify(here.database) is None
    for change in (
        "DELETE FROM audit", "DELETE FROM audit WHERE number = 4", "UPDATE audit SET subject = 'x'",
        "DELETE FROM audit_start", "UPDATE audit_start SET number = 1",
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="only"):
            here.database.write(lambda c, change=change: c.execute(text(change)))
    here.pass_s(10_000)
    assert audit.cut(here.database, here.clock.now_us(), here.clock.now_us()) == 5
    here.accounts.create("another", "viewer", ROOT)
    assert audit.verify(here.database) is None
    assert [line.number for line in audit.lines(here.database).items] == [10, 9]


def test_lines_of_many_at_once_stand_one_after_the_other(here: Here) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: here.accounts.create(f"user{number}", "viewer", ROOT), range(24)))
    assert [line.number for line in audit.lines(here.database).items] == list(range(24, 0, -1))
    assert audit.verify(here.database) is None


def test_a_line_that_was_changed_behind_its_back_is_found(tmp_path: Path) -> None:
    database = Database(database_config("", tmp_path))
    database.migrate()
    here = Here(database, tmp_path)
    for number in range(4):
        here.accounts.create(f"user{number}", "viewer", ROOT)
    assert audit.verify(database) is None
    database.write(lambda c: c.execute(text("DROP TRIGGER audit_no_update")))
    database.write(lambda c: c.execute(text("UPDATE audit SET subject = 'somebody' WHERE number = 3")))
    assert audit.verify(database) == 3
    database.write(lambda c: c.execute(text("UPDATE audit SET subject = 'user2' WHERE number = 3")))
    assert audit.verify(database) is None
    database.write(lambda c: c.execute(text("DROP TRIGGER audit_no_delete")))
    database.write(lambda c: c.execute(text("DELETE FROM audit WHERE number = 2")))
    assert audit.verify(database) == 2
    database.close()


def test_no_secret_is_kept_as_it_is(tmp_path: Path) -> None:
    database = Database(database_config("", tmp_path))
    database.migrate()
    here = Here(database, tmp_path)
    once = here.accounts.create("kari", "viewer", ROOT)
    here.accounts.change_password("kari", once, GOOD, "")
    browser, program = here.log_in(), here.log_in(kind="program")
    given = [once, GOOD, browser.secret, program.secret, here.sessions.refresh(program.secret).secret]
    given += [here.accounts.invite("viewer", ROOT)]
    database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("twinfold.db*"))
    for secret in given:
        assert secret.encode() not in kept


class Life(RuleBasedStateMachine):
    """Sessions and account changes in any order, against a plain model: who is in, and who is not."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        self.database = Database(database_config("", folder))
        self.database.migrate()
        self.here = Here(self.database, folder)
        self.passwords: dict[str, str] = {}
        self.disabled: set[str] = set()
        self.inside: dict[str, tuple[str, LoggedIn]] = {}
        self.out: list[LoggedIn] = []
        for name in ("anna", "kari"):
            self.passwords[name] = self.here.accounts.create(name, "admin", ROOT)

    names = st.sampled_from(["anna", "kari"])
    kinds = st.sampled_from(["browser", "program"])

    def throw_out(self, name: str, but: str | None = None) -> None:
        gone = [key for key, (whose, _) in self.inside.items() if whose == name and key != but]
        self.out += [self.inside.pop(key)[1] for key in gone]

    @rule(name=names, kind=kinds)
    def log_in(self, name: str, kind: Any) -> None:
        if name in self.disabled:
            with pytest.raises(LoginError):
                self.here.log_in(name, self.passwords[name], kind=kind)
            self.here.clock.advance_by(16 * 60)
            return
        begun = self.here.log_in(name, self.passwords[name], kind=kind)
        self.inside[begun.principal.session] = name, begun

    @rule(name=names)
    def reset(self, name: str) -> None:
        self.passwords[name] = self.here.accounts.reset(name, ROOT)
        self.throw_out(name)

    @rule(name=names)
    def choose_a_password(self, name: str) -> None:
        new = f"{secrets.token_hex(12)} {name[::-1]}"
        keep = next((key for key, (whose, _) in self.inside.items() if whose == name), None)
        self.here.accounts.change_password(name, self.passwords[name], new, "", keep)
        self.passwords[name] = new
        self.throw_out(name, keep)

    @rule(name=names, disabled=st.booleans())
    def disable(self, name: str, disabled: bool) -> None:
        try:
            self.here.accounts.change(name, ROOT, disabled=disabled)
        except CommandRefusedError:
            assert len(self.disabled | {name}) == 2
            return
        (self.disabled.add if disabled else self.disabled.discard)(name)
        self.throw_out(name)

    @precondition(lambda self: getattr(self, "inside", None))
    @rule(data=st.data())
    def go_on_or_out(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.inside)))
        name, begun = self.inside[key]
        if begun.principal.kind == "program" and data.draw(st.booleans()):
            self.inside[key] = name, self.here.sessions.refresh(begun.secret)
            return
        self.here.sessions.log_out(begun.principal)
        self.out.append(self.inside.pop(key)[1])

    @invariant()
    def who_is_in_is_in(self) -> None:
        if not hasattr(self, "here"):
            return
        self.here.pass_s(3)
        for _, begun in self.inside.values():
            assert self.here.sessions.still(begun.principal).session == begun.principal.session
        for begun in self.out[-5:]:
            with pytest.raises(LoginRequiredError):
                self.here.sessions.still(begun.principal)

    def teardown(self) -> None:
        if hasattr(self, "here"):
            assert audit.verify(self.database) is None
            self.database.close()
            self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_who_logs_in_again_and_again_loses_the_oldest(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_KEPT", 3)
    here.member()
    begun = []
    for _ in range(5):
        begun.append(here.log_in())
        here.pass_s(1)
    here.pass_s(3)
    assert [each.id for each in here.sessions.all(begun[-1].principal)] == [
        each.principal.session for each in reversed(begun[2:])
    ]
    for each in begun[:2]:
        with pytest.raises(LoginRequiredError):
            here.sessions.of_cookie(each.secret)


def test_what_is_over_does_not_pile_up(here: Here) -> None:
    here.member()
    for _ in range(3):
        begun = here.log_in(kind="program")
        for _ in range(3):
            begun = here.sessions.refresh(begun.secret)
        here.clock.advance_to(here.clock.now_us() + LONGEST_US + 31 * DAY_US)
    here.log_in()

    def count(table: str) -> int:
        found: int = here.database.read(
            lambda c: c.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        )
        return found

    assert (count("sessions"), count("spent_tokens"), count("login_attempts")) == (1, 0, 0)
