"""Sending one message to one receiver, and what that said: webhook, e-mail, and whatever Apprise reaches.

Each send blocks for a bounded time. A message carries the id of its delivery, the same at every attempt, by which a receiver
knows one that it has had. Addresses inside the machine's own network are not called unless that is allowed, and those of
clouds' metadata services never are (OWASP: server-side request forgery): names are looked up once, judged, and the very
address that was judged is connected to.
"""

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from serve.config import ReceiversConfig
from serve.errors import ReceiverError, UnfitError

Kind = Literal["webhook", "email", "apprise"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SIGNATURE: Final = "X-Twinfold-Signature"
DELIVERY: Final = "X-Twinfold-Delivery"
MOST_RECIPIENTS: Final = 50

_MAILBOX: Final = re.compile(  # as browsers have it: https://html.spec.whatwg.org/#valid-e-mail-address
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_SAID: Final = 200  # characters kept of what a receiver says
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_INSIDE: Final = frozenset(
    {
        "dbus", "exec", "form", "forms", "glib", "gnome", "growl", "json", "jsons", "kde", "macosx", "mqtt", "mqtts", "qt",
        "script", "smpp", "snmp", "syslog", "windows", "xml", "xmls",
    }
)  # fmt: skip
"""Services of Apprise that run something on this machine, or are a webhook without our checks."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a channel leads. It holds secrets: a webhook's path and key, an Apprise URL."""

    kind: Kind
    url: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    to: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        if self.kind == "email":
            return ", ".join(self.to)
        parts = urlsplit(self.url)
        if self.kind == "apprise":
            return f"{parts.scheme}://…"
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}/…"


def check_target(target: Target) -> None:
    """Raises UnfitError for one that cannot be sent to, whatever the network is like."""
    if target.kind == "email":
        if not 0 < len(target.to) <= MOST_RECIPIENTS:
            raise UnfitError(f"e-mail goes to 1 to {MOST_RECIPIENTS} addresses", "name them in `to`")
        for each in target.to:
            if not _MAILBOX.fullmatch(each):
                raise UnfitError(f"{each[:100]!r} is no e-mail address", "write it as name@example.org")
        return
    if not re.fullmatch(r"[!-~]+", target.url):
        raise UnfitError("the URL has characters that no URL has", "write others as %XX, and names as xn--…")
    if target.kind == "apprise":
        scheme = target.url.partition("://")[0].lower()
        if scheme in _INSIDE or not scheme:
            raise UnfitError(
                f"{scheme[:40]!r} is not sent to through Apprise", "use a webhook, or another service"
            )
        from apprise import Apprise  # loads a lot, which most platforms do without

        if not Apprise().add(target.url):
            raise UnfitError(
                "Apprise does not know this URL", "see its list of services for how it is written"
            )
        return
    try:
        parts = urlsplit(target.url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or parts.username is not None:
        raise UnfitError("a webhook has an address as https://host/path", "leave user and password out")


class Receivers:
    """Sends. Safe for many threads.

    Parameters
    ----------
    config : how receivers are reached
    """

    def __init__(self, config: ReceiversConfig) -> None:
        self._config = config

    def send(self, target: Target, delivery: str, message: Mapping[str, Any], now_s: int) -> str:
        """Send one message; gives what the receiver said.

        Parameters
        ----------
        delivery : the id of the delivery, the same at every attempt
        now_s : when, for signature and date

        Raises
        ------
        ReceiverError : it did not take it: why, as far as it is known.
        """
        if self._config.link:
            message = {**message, "link": self._config.link}
        try:
            match target.kind:
                case "webhook":
                    return self._post(target, delivery, message, now_s)
                case "email":
                    return self._mail(target, delivery, message, now_s)
                case "apprise":
                    return self._apprise(target, message)
        except (OSError, UnicodeError, http.client.HTTPException, smtplib.SMTPException) as error:
            raise ReceiverError(_shortly(str(error) or type(error).__name__)) from error

    def _post(self, target: Target, delivery: str, message: Mapping[str, Any], now_s: int) -> str:
        body = json.dumps({"delivery": delivery, **message}, ensure_ascii=False, allow_nan=False).encode()
        parts = urlsplit(target.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        plain = _connected(host, port, self._config.patience_s, self._config.allow_private)
        with contextlib.closing(plain), contextlib.closing(http.client.HTTPConnection(host, port)) as asked:
            asked.sock = plain
            if parts.scheme == "https":
                asked.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            late = threading.Event()
            watch = threading.Timer(self._config.patience_s, _break_off, [asked.sock, late])
            watch.daemon = True
            watch.start()  # against an answer that trickles: a socket's own timeout is for each piece
            try:
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                headers = {
                    "Content-Type": "application/json",
                    "User-Agent": "Twinfold",
                    "Host": parts.netloc,
                    "Connection": "close",
                    DELIVERY: delivery,
                    SIGNATURE: signature(target.key, body, now_s),
                }
                asked.request("POST", path, body, headers)
                answer = asked.getresponse()
                said = _shortly(answer.read(_SAID).decode("utf-8", "replace"))
            finally:
                watch.cancel()
        if late.is_set():  # what came by then may read like a whole answer
            raise ReceiverError(f"it did not answer within {self._config.patience_s:g} s")
        if not 200 <= answer.status < 300:  # a redirect is not followed: it could lead anywhere
            raise ReceiverError(f"it answered {answer.status} {said}".rstrip())
        return f"{answer.status} {said}".rstrip()

    def _mail(self, target: Target, delivery: str, message: Mapping[str, Any], now_s: int) -> str:
        mail, patience_s = self._config.mail, self._config.patience_s
        if not mail.host:
            raise ReceiverError("no mail server is set: notifications.mail_host")
        letter = EmailMessage()
        sender = mail.sender or f"twinfold@{mail.host}"
        letter["From"], letter["To"] = sender, ", ".join(target.to)
        letter["Subject"], letter["Date"] = message["subject"], formatdate(now_s)
        letter["Message-ID"] = f"<{delivery}@twinfold>"  # the same at every attempt
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(_text(message))
        context = ssl.create_default_context()
        direct = mail.tls == "tls"
        server = (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=patience_s, context=context)
            if direct
            else smtplib.SMTP(mail.host, mail.port, timeout=patience_s)
        )
        with server:
            if mail.tls == "starttls":
                server.starttls(context=context)
            if mail.user:
                server.login(mail.user, mail.password)
            refused = server.send_message(letter)
        if refused:  # others have it; to send it again would send it to them twice
            return f"taken, but not for {', '.join(sorted(refused))}"
        return "taken by the mail server"

    def _apprise(self, target: Target, message: Mapping[str, Any]) -> str:
        if not self._config.apprise:
            raise ReceiverError("Apprise is not in use: notifications.apprise")
        from apprise import Apprise, AppriseAsset

        sender = Apprise(asset=AppriseAsset(app_id="Twinfold", async_mode=False))
        if not sender.add(target.url):
            raise ReceiverError("Apprise does not know this URL any more")
        if not sender.notify(title=message["subject"], body=_text(message)):
            raise ReceiverError("the service did not take it; Apprise does not say why")
        return "taken by the service"


def signature(key: str, body: bytes, now_s: int) -> str:
    """What a receiver compares: HMAC-SHA256 over the time, a dot, and the body as it was sent.

    Examples
    --------
    >>> signature("key", b"{}", 1_760_000_000)[:23]
    't=1760000000,v1=a5be1de'
    """
    mac = hmac.new(key.encode(), f"{now_s}.".encode() + body, hashlib.sha256)
    return f"t={now_s},v1={mac.hexdigest()}"


def may_reach(text: str, allow_private: bool) -> bool:
    """Whether a receiver may have this IP address.

    Examples
    --------
    >>> may_reach("10.0.0.7", False), may_reach("10.0.0.7", True), may_reach("::ffff:169.254.169.254", True)
    (False, True, False)
    """
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (allow_private and (address.is_private or address.is_loopback))


def _connected(host: str, port: int, patience_s: float, allow_private: bool) -> socket.socket:
    """A connection to the first address of a host that may be reached and answers."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys((str(info[4][0]), port) for info in infos))
    allowed = [place for place in found if may_reach(place[0], allow_private)]
    if not allowed:
        raise ReceiverError(
            f"{host} is in a network that is not sent to; notifications.allow_private allows private ones"
        )
    problem: OSError | None = None
    for place in allowed[:3]:
        try:
            return socket.create_connection(place, timeout=patience_s / min(len(allowed), 3))
        except OSError as error:
            problem = error
    assert problem is not None
    raise problem


def _break_off(link: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


def _text(message: Mapping[str, Any]) -> str:
    link = message.get("link")
    return f"{message['text']}\n\n{link}\n" if link else f"{message['text']}\n"


def _shortly(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_SAID].strip()
