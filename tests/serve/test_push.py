"""The socket over a real server, and the bounded outbox by itself."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import websockets
from pydantic import TypeAdapter

from serve.accounts import Actor
from serve.lists import DeviceQuery
from serve.push import OUTBOX, Client, Hub, Message, Pages, PolledJournals
from serve.schemas.stream import ServerMessage
from tests.serve.edges import PASSWORD, PUMP, T0, Edge, edge
from tests.serve.test_job_routes import MAPPING
from twins import entries
from twins.clock import SECOND_US

HIGH = "pump-01:vibration-high:1"
MESSAGE = TypeAdapter(ServerMessage)


@asynccontextmanager
async def served(it: Edge) -> AsyncIterator[str]:
    """The app of ``it`` on a port of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(it.app, lifespan="off", log_config=None, ws="websockets-sansio")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/api/live"
        server.should_exit = True
        await running


async def message(sock: Any, kind: str) -> Any:
    """The next message of a kind; every one on the way is of the published shape."""
    async with asyncio.timeout(30):
        while True:
            found = json.loads(await sock.recv())
            if found["type"] != "hello" or "seq" in found:
                MESSAGE.validate_python(found)
            if found["type"] == kind:
                return found


async def subscribe(sock: Any, *topics: str, **more: Any) -> Any:
    hello = await message(sock, "hello")
    await sock.send(json.dumps({"type": "subscribe", "topics": topics, **more}))
    return hello


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it, served(it) as url:
            await test(it, url)

    asyncio.run(inside())


def test_a_page_is_what_the_list_shows_and_moves_with_it(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        wish: dict[str, Any] = {"filter": "alerts > 0", "sort": "-id", "limit": 1}
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "page", page=wish)
            page = (await message(sock, "data_update"))["data"]["page"]
            assert (page["id"], page["total"]) == ([], 0)
            for total, device in enumerate(("pump-01", "pump-04", "pump-02"), 1):
                await it.read(device, total, {"vibration": 9.0})
                while page["total"] < total:
                    page = (await message(sock, "data_update"))["data"]["page"]
                listed = await it.get("/api/devices", **wish)
                assert page["total"] == listed["total"] == total
                assert page["id"] == [each["id"] for each in listed["items"]]
                assert page["alerts"] == [1]
                assert page["values"]["vibration"] == [9.0]
            await sock.send(json.dumps({"type": "subscribe", "topics": ["page"], "page": {"sort": "colour"}}))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await message(sock, "none")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert "colour" in closed.value.rcvd.reason

    run(tmp_path, test)


def test_a_page_of_an_account_for_some_sites_has_no_others(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        access = it.context.access
        it.member("kari", "viewer")
        access.accounts.change("kari", Actor("tests"), sites=["bergen"])
        begun = access.sessions.log_in("kari", PASSWORD, "program")
        kari = {"Authorization": f"Bearer {access.sessions.access_token(begun.principal)[0]}"}
        async with websockets.connect(url, additional_headers=kari) as sock:
            await subscribe(sock, "page")
            page = (await message(sock, "data_update"))["data"]["page"]
            assert page["id"] == ["pump-00", "pump-02", "pump-04"]
            assert page["total"] == 3
            await sock.send(json.dumps({"type": "subscribe", "topics": ["jobs"]}))
            with pytest.raises(websockets.ConnectionClosed) as closed:  # jobs are for engineers
                await message(sock, "none")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    run(tmp_path, test)


def test_pages_take_turns_where_there_are_too_many(tmp_path: Path) -> None:
    async def test(it: Edge, _: str) -> None:
        pages = Pages(it.context, 0.0)  # time for one
        wanted = [(None, DeviceQuery(limit=limit)) for limit in range(1, 5)]
        for turn in range(8):
            it.clock.advance_to(T0 + turn * SECOND_US)
            await it.fresh()
            before = [pages.text(each) for each in wanted]
            await pages.list_again(it.context.live.view, wanted)
            changed = [pages.text(each) != was for each, was in zip(wanted, before, strict=True)]
            assert sum(changed) == 1
            assert changed[turn % 4]
        await pages.list_again(it.context.live.view, wanted[:1])
        assert pages.text(wanted[1]) is None  # nobody looks at it any more

    run(tmp_path, test, update_every_s=60.0)


def test_who_may_is_told_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "tanks.yaml").write_text(MAPPING)
    (tmp_path / "tanks.csv").write_text("t,unit,level\n0,north,50\n10,north,51\n")

    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.member("eva", "engineer")) as sock:
            await subscribe(sock, "jobs")
            asked = {
                "mapping": str(tmp_path / "tanks.yaml"),
                "files": [str(tmp_path / "tanks.csv")],
                "live": True,
            }
            begun = await it.post("/api/imports", asked, 202)
            job = (await message(sock, "JOB_CHANGED"))["data"]
            while job["state"] != "done":
                newer = (await message(sock, "JOB_CHANGED"))["data"]
                assert newer["version"] > job["version"]
                job = newer
            assert job == await it.get(f"/api/jobs/{begun['id']}")

    run(tmp_path, test)


def test_a_socket_is_told_what_happens_and_goes_on_after_a_break(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            hello = await subscribe(sock, "alerts", "fleet", "devices", devices=["pump-01", "nobody"])
            await it.read("pump-01", 1, {"vibration": 9.0})
            raised = await message(sock, "NEW_ALERT")
            assert raised["data"]["id"] == HIGH
            assert (raised["data"]["state"], raised["data"]["site"]) == ("UNACK", "oslo")
            update = await message(sock, "data_update")
            while update["data"]["devices"]["values"]["vibration"] != [9.0]:
                update = await message(sock, "data_update")
            assert update["data"]["devices"]["id"] == ["pump-01"]
            await it.post(f"/api/alerts/{HIGH}/acknowledge", {"note": "mine"})
            changed = await message(sock, "ALERT_CHANGED")
            assert changed["data"]["state"] == "ACKED"
            assert changed["data"]["event"]["detail"]["note"] == "mine"
            assert changed["seq"] > raised["seq"]

        await it.read("pump-01", 2, {"vibration": 1.0})
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts", cursor=changed["cursor"])
            assert (await message(sock, "ALERT_CHANGED"))["data"]["event"]["type"] == "alert.returned"
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts", cursor=hello["cursor"])
            kinds = [
                (await message(sock, kind))["data"]["id"]
                for kind in ("NEW_ALERT", "ALERT_CHANGED", "ALERT_CHANGED")
            ]
            assert kinds == [HIGH] * 3

    run(tmp_path, test)


def test_a_break_between_two_alerts_of_one_entry_loses_none(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts")
            await it.read("pump-01", 1, {"vibration": 9.0, "flow": 0.0})
            first = await message(sock, "NEW_ALERT")
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts", cursor=first["cursor"])
            again = {(await message(sock, "NEW_ALERT"))["data"]["rule"] for _ in range(2)}
            assert again == {"vibration-high", "dry"}

    run(tmp_path, test)


def test_a_cursor_from_before_what_is_kept_gets_a_gap(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts", cursor="W10")  # the empty vector: from the very beginning
            assert (await message(sock, "gap"))["missed"] >= 1

    run(tmp_path, test)


def test_an_entry_that_cannot_be_told_is_a_gap_and_the_next_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts")
            good = entries.decode_events
            monkeypatch.setattr(entries, "decode_events", lambda blob: blob.nothing)
            await it.read("pump-01", 1, {"vibration": 9.0})
            assert (await message(sock, "gap"))["missed"] >= 1
            monkeypatch.setattr(entries, "decode_events", good)
            await it.read("pump-02", 2, {"vibration": 9.0})
            assert (await message(sock, "NEW_ALERT"))["data"]["id"] == "pump-02:vibration-high:1"

    run(tmp_path, test)


def test_an_event_of_a_rule_without_a_name_here_is_a_gap(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts")
            it.fleet.types["pump"] = replace(PUMP, rules=PUMP.rules[:1])
            await it.read("pump-01", 1, {"flow": 0.0})
            assert (await message(sock, "gap"))["missed"] == 1
            await it.read("pump-01", 2, {"vibration": 9.0})
            assert (await message(sock, "NEW_ALERT"))["data"]["id"] == HIGH

    run(tmp_path, test)


def test_journals_that_fail_in_any_way_are_followed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(it: Edge, url: str) -> None:
        real, failures = PolledJournals.follow, iter([ValueError("odd"), ConnectionError("gone")])

        async def failing(*arguments: Any) -> Any:
            failure = next(failures, None)
            if failure is not None:
                raise failure
            return await real(*arguments)

        async with websockets.connect(url, additional_headers=it.token) as sock:
            await subscribe(sock, "alerts")
            monkeypatch.setattr(PolledJournals, "follow", failing)
            await it.read("pump-01", 1, {"vibration": 9.0})
            assert (await message(sock, "NEW_ALERT"))["data"]["id"] == HIGH

    monkeypatch.setattr("serve.push._RETRY_S", 0.01)
    run(tmp_path, test)


def test_silence_is_filled_with_signs_of_life(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await message(sock, "heartbeat")

    run(tmp_path, test, heartbeat_s=0.05)


@pytest.mark.parametrize("text", [
    "", "{}", '{"type":"subscribe","topics":["gossip"]}', '{"type":"subscribe","topics":[],"x":1}',
                                  '{"type":"subscribe","topics":["alerts"],"cursor":"%%"}'])  # fmt: skip
def test_what_cannot_be_understood_closes_the_socket_with_the_reason(tmp_path: Path, text: str) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token) as sock:
            await message(sock, "hello")
            await sock.send(text)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await message(sock, "never")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason

    run(tmp_path, test)


def test_a_page_of_somebody_else_gets_no_socket(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(url, additional_headers=it.token, origin="https://evil.example"):  # type: ignore[arg-type]
                raise AssertionError("it was let in")

    run(tmp_path, test)


def test_one_too_slow_is_told_how_much_it_missed_and_holds_up_nobody(tmp_path: Path) -> None:
    async def test(it: Edge, _: str) -> None:
        hub = Hub(it.context, PolledJournals(it.context))
        slow = Client(topics=frozenset({"alerts"}))
        for number in range(OUTBOX + 5):
            hub._put(slow, Message(0, number, "", "c", f'"type":"NEW_ALERT","data":{number}'))
        texts = [json.loads(text) for text in slow.take()]
        assert texts[0] == {"seq": 1, "type": "gap", "missed": OUTBOX}
        assert [text["data"] for text in texts[1:]] == list(range(OUTBOX, OUTBOX + 5))
        assert [text["seq"] for text in texts] == list(range(1, 7))

    run(tmp_path, test)


def test_of_updates_only_the_latest_waits() -> None:
    client = Client()
    for number in range(3):
        client.update = f'"type":"data_update","data":{number}'
    assert [json.loads(text)["data"] for text in client.take()] == [2]
    assert client.take() == []
