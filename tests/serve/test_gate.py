"""Sockets and who may open one, over a real server; and the proxy's word for where a request comes from."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import websockets

from serve.routes import live
from tests.serve.edges import PASSWORD, Edge, edge
from tests.serve.test_push import served, subscribe


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it, served(it) as url:
            await test(it, url)

    asyncio.run(inside())


async def refused(url: str, **more: Any) -> bool:
    """Whether no socket is opened."""
    try:
        async with websockets.connect(url, **more) as sock:
            await asyncio.wait_for(sock.recv(), 10)
    except (websockets.InvalidStatus, websockets.ConnectionClosed):
        return True
    return False


async def cookie_of(it: Edge, name: str = "kari") -> str:
    it.member(name, "viewer")
    begun = it.context.access.sessions.log_in(name, PASSWORD, "browser")
    return f"{it.context.config.cookie}={begun.secret}"


def test_a_socket_opens_for_a_token_or_a_cookie_of_our_own_page(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        cookie = {"Cookie": await cookie_of(it)}
        ours = url.replace("ws://", "http://").removesuffix("/api/live")
        assert await refused(url)
        assert await refused(url, additional_headers={"Authorization": "Bearer tfl_wrong"})
        assert await refused(url, additional_headers=cookie), "a page of ours says where it is from"
        assert await refused(url, additional_headers=cookie, origin="https://evil.example")
        assert await refused(url, additional_headers={"Cookie": "twinfold-session=x"}, origin=ours)
        for more in ({"additional_headers": it.token}, {"additional_headers": cookie, "origin": ours}):
            async with websockets.connect(url, **more) as sock:  # type: ignore[arg-type]
                assert (await subscribe(sock, "fleet"))["type"] == "hello"
        access = it.context.access
        from serve.accounts import Actor
        from serve.scopes import Scope

        _, key = access.keys.create("gateway", Scope(), Actor("tests"))
        assert await refused(url, additional_headers={"Authorization": f"Bearer {key}"}), "a key only sends"

    run(tmp_path, test)


@pytest.mark.parametrize("how", ["logged out", "disabled", "password"])
def test_a_socket_ends_with_its_session(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LOOK_EVERY_S", 0.05)

    async def test(it: Edge, url: str) -> None:
        from serve.accounts import Actor

        access, ours = it.context.access, url.replace("ws://", "http://").removesuffix("/api/live")
        cookie = await cookie_of(it)
        async with websockets.connect(url, additional_headers={"Cookie": cookie}, origin=ours) as sock:  # type: ignore[arg-type]
            await subscribe(sock, "fleet")
            match how:
                case "logged out":
                    access.sessions.log_out(access.sessions.of_cookie(cookie.partition("=")[2]))
                case "disabled":
                    access.accounts.change("kari", Actor("tests"), disabled=True)
                case _:
                    access.accounts.reset("kari", Actor("tests"))
            it.clock.advance_by(3)
            with contextlib.suppress(websockets.ConnectionClosedError):
                async with asyncio.timeout(30):
                    async for _ in sock:
                        pass
            assert sock.close_code == 1008

    run(tmp_path, test)
