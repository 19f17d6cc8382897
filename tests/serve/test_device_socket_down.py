"""What goes down a socket, over a real server: only to whom it is for, whenever it comes, no oftener than is safe."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets

from serve.accounts import Actor
from serve.downlinks import MOST_DEVICES, Link, Switchboard, frames
from serve.scopes import Scope
from tests.serve.edges import Edge
from tests.serve.test_device_socket import bearer, line, run
from tests.serve.test_downlink_routes import DEVICE, by_name, patch, send
from twins import commands as c
from twins.devices import Device
from twins.errors import DegradedError

OTHER = "/api/devices/pump-03"


class Sock:
    """One end of a socket: answers to frames apart from what comes by itself."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.down: list[dict[str, Any]] = []

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        await self.sock.send(json.dumps(frame))
        while True:
            got = await self._next()
            if got["type"] in ("taken", "refused"):
                return got
            self.down.append(got)

    async def hear(self) -> dict[str, Any]:
        return self.down.pop(0) if self.down else await self._next()

    async def _next(self) -> dict[str, Any]:
        got: dict[str, Any] = json.loads(await asyncio.wait_for(self.sock.recv(), 30))
        return got

    async def silent(self) -> bool:
        """Nothing came until a frame that was sent after all else was answered, and the journals were looked through."""
        await asyncio.sleep(0.6)  # the follower looks every 0.2 s; what does not come cannot be waited for
        await self.ask({"readings": []})
        return not self.down

    async def listen(self, *devices: str) -> dict[str, Any]:
        return await self.ask({"type": "listen", "devices": list(devices)} if devices else {"type": "listen"})


@asynccontextmanager
async def connected(url: str, key: str) -> Any:
    async with websockets.connect(url, **bearer(key)) as sock:
        yield Sock(sock)


def key_for(it: Edge, **scope: Any) -> str:
    _, key = it.context.access.keys.create("gateway", Scope.of(**scope), Actor("tests"))
    return key


async def standing(it: Edge, name: str = "speed", path: str = DEVICE) -> str:
    found: str = by_name(await it.get(f"{path}/properties"), name)["standing"]
    return found


async def states(it: Edge, path: str = DEVICE) -> list[str]:
    return [each["state"] for each in reversed((await it.get(f"{path}/commands"))["items"])]


def test_from_asking_to_done_and_back(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with connected(url, key_for(it, devices=["pump-01"])) as device:
            assert (await device.listen())["listening"] == 1
            await patch(it, {"speed": 1800})
            desired = await device.hear()
            assert desired == {
                "type": "desired", "device": "pump-01", "version": 1, "properties": {"speed": {"value": 1800, "version": 1}},
            }  # fmt: skip
            answer = await device.ask(
                {"type": "reported", "id": "r1", "device": "pump-01", "properties": {"speed": 1800, "colour": 3},
                 "version": 7, "desired_version": 1}
            )  # fmt: skip
            assert (answer["type"], answer["id"], answer["level"]) == ("taken", "r1", "durable")
            assert [each["property"] for each in answer["refused"]] == ["colour"]
            speed = by_name(await it.get(f"{DEVICE}/properties"), "speed")
            assert (speed["standing"], speed["reported"]["version"]) == ("in_sync", 7)
            await send(it, "stop", parameters={"ramp_s": 5})
            command = await device.hear()
            assert {name: command[name] for name in ("type", "device", "number", "command", "parameters")} == {
                "type": "command", "device": "pump-01", "number": 1, "command": "stop", "parameters": {"ramp_s": 5},
            }  # fmt: skip
            assert 0 < command["expires_in_s"] <= 60
            assert await states(it) == ["delivered"]
            done = {
                "type": "command_result",
                "device": "pump-01",
                "number": 1,
                "ok": True,
                "result": "0 rev/min",
            }
            assert (await device.ask(done))["type"] == "taken"
            assert (await device.ask(done))["type"] == "taken"  # told twice
            assert await states(it) == ["done"]
            refused = await device.ask(
                {"type": "reported", "device": "pump-01", "rejected": {"speed": "interlock"}}
            )
            assert refused["type"] == "taken"
            assert (await device.ask({"readings": [line("pump-01", 0, 2.0)]}))["accepted"] == {"scored": 1}
            assert await device.silent()

    run(tmp_path, test)


def test_what_waits_goes_down_when_the_device_comes(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        key = key_for(it, devices=["pump-01"])
        await patch(it, {"speed": 1800})
        await send(it, "stop", parameters={"ramp_s": 5})
        await send(it, "start")
        expired = await send(it, "start", expires_s=1)
        assert expired.json()["command"]["number"] == 3
        it.clock.advance_by(2)
        it.fleet.advance()
        async with connected(url, key) as device:
            await device.listen()
            got = [await device.hear() for _ in range(3)]
            assert [(each["type"], each.get("number")) for each in got] == [
                ("desired", None), ("command", 1), ("command", 2),
            ]  # fmt: skip
            assert await device.silent()
        async with connected(url, key) as device:  # it broke off before it answered
            await device.listen()
            got = [await device.hear() for _ in range(2)]
            # what may be done twice comes again, what may not does not
            assert [(each["type"], each.get("number")) for each in got] == [("desired", None), ("command", 2)]
            assert await device.silent()
            it.clock.advance_by(60)
            it.fleet.advance()
            assert await states(it) == ["expired", "expired", "expired"]

    run(tmp_path, test)


def test_a_key_hears_and_tells_of_its_own_devices_only(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with connected(url, key_for(it, devices=["pump-01"])) as device:
            answer = await device.listen("pump-01", "pump-03", "nobody")
            assert (answer["listening"], answer["refused"]) == (1, ["nobody", "pump-03"])
            await patch(it, {"speed": 1800}, path=OTHER)
            await send(it, "start", path=OTHER)
            for frame in (
                {"type": "reported", "device": "pump-03", "properties": {"speed": 1800}},
                {"type": "command_result", "device": "pump-03", "number": 1, "ok": True},
                {"type": "reported", "device": "nobody", "properties": {"speed": 1800}},
            ):
                refused = await device.ask(frame)
                assert (refused["type"], refused["problem"]["code"]) == ("refused", "device.not_found")
            assert await device.silent()
            assert (await states(it, OTHER), await standing(it, path=OTHER)) == (["waiting"], "pending")
        async with connected(url, key_for(it, sites=["oslo"])) as gateway:
            assert (await gateway.listen())["problem"]["code"] == "body.invalid"  # it names none
            assert (await gateway.listen("pump-01", "pump-02", "pump-03"))["refused"] == ["pump-02"]
            assert {(await gateway.hear())["device"] for _ in range(2)} == {"pump-03"}
            it.fleet.update(Device("pump-03", "pump", site="bergen"))
            for _ in range(100):
                if (await it.get("/api/devices?q=pump-03"))["items"][0]["site"] == "bergen":
                    break
                await asyncio.sleep(0.05)
            await send(it, "start", path=OTHER)  # it has moved out of what the key is for
            assert await gateway.silent()

    run(tmp_path, test)


def test_of_two_sockets_one_takes_what_may_be_done_once(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        key = key_for(it, devices=["pump-01"])
        async with connected(url, key) as first, connected(url, key) as second:
            await first.listen()
            await second.listen()
            for _ in range(4):
                await send(it, "stop", parameters={"ramp_s": 5})
            await send(it, "start")
            await asyncio.sleep(0.6)
            for each in (first, second):
                await each.ask({"readings": []})
            numbers = [
                [got["number"] for got in each.down if got["type"] == "command"] for each in (first, second)
            ]
            assert sorted(n for each in numbers for n in each) == [1, 2, 3, 4, 5, 5]

    run(tmp_path, test)


def test_nothing_goes_down_to_a_key_that_was_revoked(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        made, key = it.context.access.keys.create("gateway", Scope(), Actor("tests"))
        async with connected(url, key) as device:
            await device.listen("pump-01")
            it.context.access.keys.revoke(made.id, Actor("tests"))
            it.clock.advance_by(3)
            await send(it, "stop", parameters={"ramp_s": 5})
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await device.hear()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        assert await states(it) == ["waiting"]
        assert not it.context.switchboard.is_used

    run(tmp_path, test)


def test_a_frame_that_says_nothing_is_refused_and_costs_no_other(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with connected(url, key_for(it, devices=["pump-01"])) as device:
            for frame in (
                {"type": "listen", "devices": [1]},
                {"type": "listen", "devices": ["x"] * 2_000},
                {"type": "reported"},
                {"type": "reported", "device": "pump-01", "properties": {"speed": [1]}},
                {"type": "reported", "device": "pump-01", "time": "yesterday"},
                {"type": "command_result", "device": "pump-01", "number": "1", "ok": True},
                {"type": "command_result", "device": "pump-01", "number": 1},
                {"type": "reboot"},
            ):
                answer = await device.ask(frame)
                assert (answer["type"], answer["problem"]["code"]) == ("refused", "body.invalid"), answer
            unknown = await device.ask(
                {"type": "command_result", "device": "pump-01", "number": 9, "ok": True}
            )
            assert unknown["problem"]["code"] == "command.unknown_number"
            ahead = {
                "type": "reported",
                "device": "pump-01",
                "properties": {"speed": 1},
                "time": "2099-01-01T00:00:00Z",
            }
            assert "ahead of the platform" in (await device.ask(ahead))["problem"]["detail"]
            assert (await device.listen())["listening"] == 1

    run(tmp_path, test)


def test_a_switchboard_forgets_who_went_and_misses_nobody() -> None:
    board, first, second = Switchboard(), Link(), Link()
    board.listen(first, ["a", "b"])
    board.listen(second, ["b"])
    assert (first.take(), second.take()) == (["a", "b"], ["b"])
    board.heard("b")
    board.heard("nobody")
    assert (first.take(), second.take()) == (["b"], ["b"])
    board.leave(first)
    board.heard_all()
    assert (first.take(), second.take()) == ([], ["b"])
    board.leave(second)
    assert not board.is_used
    assert MOST_DEVICES == 1_000


def test_a_device_whose_host_is_away_is_looked_at_again() -> None:
    order = {
        "number": 1, "name": "start", "parameters": {}, "until_us": 5_000_000, "state": "waiting", "repeatable": True,
    }  # fmt: skip

    class Away:
        """A fleet whose host goes between two questions."""

        clock = type("Clock", (), {"now_us": staticmethod(lambda: 0)})

        def downlinks(self, devices: Any) -> Any:
            return {"a": {"desired_version": 0, "properties": {}, "commands": [order]}}, ["b"]

        def command_many(self, commands: Any) -> Any:
            assert isinstance(commands[0], c.ReportDelivery)
            return type("Result", (), {"refused": [DegradedError("away")]})

    down, away = frames(Away(), Link(), ["a", "b"], "key")  # type: ignore[arg-type]
    assert (down, sorted(away)) == ([], ["a", "b"])
