"""Real receivers: HTTP and SMTP servers on loopback that take, refuse, hang and are dead; and what is never called."""

import contextlib
import email
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from hypothesis import given, settings
from hypothesis import strategies as st

from serve import audit
from serve.config import MailConfig, ReceiversConfig
from serve.errors import ReceiverError, UnfitError
from serve.notifications import receivers
from serve.notifications.book import Book
from serve.notifications.desk import Desk
from serve.notifications.notifier import Notifier
from serve.notifications.receivers import (
    DELIVERY,
    SIGNATURE,
    Receivers,
    Target,
    check_target,
    may_reach,
    signature,
)
from tests.serve.certificates import certificate as make_certificate
from tests.serve.notices import ADMIN, T0_US, Office, hook
from twins.clock import DAY_US, SECOND_US, WallClock

MESSAGE = {
    "kind": "test",
    "subject": "Hot: pump-1",
    "text": "Hot on pump-1\nåpne ventilen",
    "count": 1,
    "alerts": [],
}
HERE = ReceiversConfig(allow_private=True, patience_s=1.0)
NOW_S = 1_760_000_000


class Mailbox:
    """A mail server's handler that keeps what came."""

    def __init__(self) -> None:
        self.came: list[Message] = []
        self.to: list[str] = []
        self.refuse = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuse:
            return "451 try again later"
        self.came.append(email.message_from_bytes(envelope.content))
        self.to += envelope.rcpt_tos
        return "250 kept"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=0)
    # the base class looks itself up under port 0, so ours is bound before
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    yield box, controller.port
    controller.stop()


def test_a_webhook_is_signed_and_says_which_delivery_it_is() -> None:
    with hook() as receiver:
        said = Receivers(HERE).send(Target("webhook", receiver.url, "key"), "d1", MESSAGE, NOW_S)
    assert said == "200 told"
    ((headers, body),) = receiver.came
    assert headers[SIGNATURE] == signature("key", body, NOW_S) != signature("other", body, NOW_S)
    assert headers[DELIVERY] == "d1"
    assert json.loads(body) == {"delivery": "d1", **MESSAGE}


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_what_is_not_taken_is_told_and_no_redirect_is_followed(status: int) -> None:
    with hook(lambda _: status) as receiver, pytest.raises(ReceiverError, match=str(status)):
        Receivers(HERE).send(Target("webhook", receiver.url, "key"), "d1", MESSAGE, NOW_S)
    assert len(receiver.came) == 1


def test_one_that_hangs_or_trickles_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ended = threading.Event()

        def trickle() -> None:
            link, _ = silent.accept()
            with link:
                link.sendall(b"HTTP/1.1 200 OK\r\n")
                while not ended.wait(0.1):
                    try:
                        link.sendall(b"X: y\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(ReceiverError):
            Receivers(HERE).send(
                Target("webhook", f"http://127.0.0.1:{silent.getsockname()[1]}/", "k"), "d", MESSAGE, NOW_S
            )
        ended.set()
        thread.join()
    assert time.monotonic() - began < 15


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["webhook", "email"]))
def test_any_text_is_refused_or_leads_to_an_answer(text: str, kind: Any) -> None:
    """No network: whatever a name leads to is not called."""
    target = Target(kind, text, "key") if kind == "webhook" else Target(kind, to=(text,))
    try:
        check_target(target)
    except UnfitError:
        return
    assert target.shown
    with (
        pytest.raises(ReceiverError),
        patch.object(socket, "getaddrinfo", side_effect=socket.gaierror("no network")),
    ):
        Receivers(ReceiversConfig(MailConfig("mail.example"))).send(target, "d1", MESSAGE, NOW_S)


@pytest.mark.parametrize("host", ["a" * 70 + ".org", "a..org", "-", "xn--", "999.999.999.999", "[v1.x]"])
def test_a_name_that_cannot_be_is_told(host: str) -> None:
    target = Target("webhook", f"http://{host}/", "key")
    with contextlib.suppress(UnfitError):
        check_target(target)
        with pytest.raises(ReceiverError):
            Receivers(HERE).send(target, "d1", MESSAGE, NOW_S)


def test_a_dead_one_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    with pytest.raises(ReceiverError, match="refused"):
        Receivers(HERE).send(Target("webhook", url, "key"), "d1", MESSAGE, NOW_S)


@pytest.mark.parametrize(
    ("address", "plain", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:220:1::1", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.1.1", False, True),
        ("fd12::1", False, True),
        ("::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
    ],
)
def test_which_addresses_are_called(address: str, plain: bool, private: bool) -> None:
    assert (may_reach(address, False), may_reach(address, True)) == (plain, private)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
    ],
)
def test_a_name_is_judged_by_where_it_leads(url: str) -> None:
    with hook() as receiver:
        target = Target("webhook", url.format(port=receiver.server_address[1]), "key")
        with pytest.raises(ReceiverError, match="allow_private"):
            Receivers(ReceiversConfig()).send(target, "d1", MESSAGE, NOW_S)
    assert receiver.came == []


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def first_public(host: str, port: int, **more: Any) -> Any:
        looked.append(host)
        place = ("93.184.215.14", port) if len(looked) == 1 else ("169.254.169.254", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

    called = []

    def connect(place: Any, timeout: float) -> socket.socket:
        called.append(place)
        raise OSError("no network here")

    monkeypatch.setattr(receivers.socket, "getaddrinfo", first_public)
    monkeypatch.setattr(receivers.socket, "create_connection", connect)
    with pytest.raises(ReceiverError, match="no network"):
        Receivers(ReceiversConfig()).send(
            Target("webhook", "http://rebinds.example/", "k"), "d", MESSAGE, NOW_S
        )
    assert called == [("93.184.215.14", 80)]
    assert looked == ["rebinds.example"]


def test_mail_reaches_everybody_named(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    mail = MailConfig("127.0.0.1", port, "none", sender="plant@example.org")
    config = ReceiversConfig(mail, link="https://plant.example")
    target = Target("email", to=("ann@example.org", "bob@example.org"))
    assert Receivers(config).send(target, "d1", MESSAGE, NOW_S) == "taken by the mail server"
    (letter,) = box.came
    assert box.to == ["ann@example.org", "bob@example.org"]
    assert (letter["Subject"], letter["From"], letter["Message-ID"]) == (
        "Hot: pump-1",
        "plant@example.org",
        "<d1@twinfold>",
    )
    text = letter.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "åpne ventilen" in text.decode()
    assert "https://plant.example" in text.decode()
    box.refuse = True
    with pytest.raises(ReceiverError, match="451"):
        Receivers(config).send(target, "d2", MESSAGE, NOW_S)


def test_mail_is_encrypted_before_the_password_is_said(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox  # this one has no STARTTLS, as one in the middle would have it
    mail = MailConfig("127.0.0.1", port, "starttls", "plant", "secret", "plant@example.org")
    with pytest.raises(ReceiverError, match="STARTTLS"):
        Receivers(ReceiversConfig(mail)).send(Target("email", to=("a@example.org",)), "d1", MESSAGE, NOW_S)
    assert box.came == []
    assert "secret" not in repr(mail)


def test_mail_goes_over_tls_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen: list[bytes] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append(data.password)
        return AuthResult(success=data.password == b"secret")

    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        box, hostname="127.0.0.1", port=port, tls_context=context, authenticator=authenticate, auth_required=True
    )  # fmt: skip
    controller.start()
    try:
        trusted = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(receivers.ssl, "create_default_context", lambda: trusted)
        mail = MailConfig("localhost", port, "starttls", "plant", "secret", "plant@example.org")
        Receivers(ReceiversConfig(mail)).send(Target("email", to=("a@example.org",)), "d1", MESSAGE, NOW_S)
    finally:
        controller.stop()
    assert seen == [b"secret"]
    assert len(box.came) == 1


class Nothing:
    """A follower's place taken by a test that gives the desk what happens itself."""

    problems: dict[str, str] = {}  # noqa: RUF012

    def look(self) -> None:
        pass

    def step(self) -> int:
        return 0


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found = Office(tmp_path, clock=WallClock())  # type: ignore[arg-type]
    yield found
    found.database.close()


def at_work(office: Office, patience_s: float = 0.5, **more: Any) -> Notifier:
    config = ReceiversConfig(allow_private=True, patience_s=patience_s)
    follower: Any = Nothing()
    notifier = Notifier(follower, Desk(office.database), Book(office.database), Receivers(config), **more)
    notifier.start()
    return notifier


def until(condition: Any, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)  # looks again; the deadline is above


def test_old_lines_of_the_audit_go_part_by_part_until_none_is_left(office: Office) -> None:
    now_us = T0_US + 1_000 * DAY_US
    for number in range(25):
        office.database.write(lambda c, at=number: audit.record(c, T0_US + at, "ann", "", "told"))
    office.database.write(lambda c: audit.record(c, now_us, "ann", "", "told"))
    notifier = at_work(office, forget=lambda: audit.cut(office.database, now_us, now_us, most=10) > 0)
    until(lambda: len(audit.lines(office.database).items) == 4)  # the newest, and one for each part that went
    assert [line.what for line in audit.lines(office.database).items] == ["audit.cut"] * 3 + ["told"]
    assert audit.verify(office.database) is None
    notifier.stop()


def test_a_receiver_that_hangs_or_is_dead_delays_no_other(office: Office) -> None:
    with socket.socket() as silent, hook() as well:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for url in (hanging, "http://127.0.0.1:9/", well.url):
            office.route((0, f"channel:{office.channel(url)}"))
        office.take(*(office.raised(f"pump-{i}") for i in range(8)))
        notifier = at_work(office, patience_s=20.0)
        until(lambda: office.desk.counts() == {"delivered": 8, "waiting": 16})
        assert len(well.came) == 8
        assert notifier.status()["problems"] == {}
        silent.close()
        notifier.stop()


def test_two_refusals_then_it_is_taken_under_the_same_id(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.notifications.desk.again_us", lambda n, made, now, draw: now + SECOND_US // 20)
    with hook(lambda n: 500 if n <= 2 else 200) as receiver:
        office.route((0, f"channel:{office.channel(receiver.url)}"))
        office.take(office.raised())
        notifier = at_work(office)
        until(lambda: office.desk.counts() == {"delivered": 1})
        notifier.stop()
    (delivery,) = office.desk.deliveries().items
    assert (delivery.attempts, delivery.said) == (3, "200 told")
    assert {headers[DELIVERY] for headers, _ in receiver.came} == {delivery.id}
    assert len(receiver.came) == 3


def test_what_was_sent_and_not_noted_is_sent_again_under_the_same_id(office: Office) -> None:
    with hook() as receiver:
        channel = office.channel(receiver.url)
        office.route((0, f"channel:{channel}"))
        office.take(office.raised())
        office.tick()
        delivery = office.desk.next_of(channel)
        assert delivery is not None
        Receivers(HERE).send(office.book.channel(channel).target, delivery.id, delivery.message, NOW_S)
        notifier = at_work(office)  # the process died here, and is back
        until(lambda: office.desk.counts() == {"delivered": 1})
        notifier.stop()
    assert [headers[DELIVERY] for headers, _ in receiver.came] == [delivery.id] * 2


def test_what_waits_for_a_channel_that_is_gone_has_failed(office: Office) -> None:
    channel = office.channel("http://127.0.0.1:9/")
    office.route((0, f"channel:{channel}"))
    office.take(office.raised())
    office.tick()
    office.book.remove_channel(channel, None, ADMIN)
    notifier = at_work(office)
    until(lambda: office.desk.counts() == {"failed": 1})
    notifier.stop()
