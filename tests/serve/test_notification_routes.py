"""Notifications over HTTP: channels whose secrets stay inside, routes under versions, the test button, deliveries."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from serve import audit
from serve.config import ReceiversConfig
from serve.notifications.receivers import SIGNATURE, signature
from tests.serve.edges import Edge, edge
from tests.serve.notices import hook

HERE = ReceiversConfig(allow_private=True, apprise=True, patience_s=5.0)
ROUTES = "/api/notifications/routes"
CHANNELS = "/api/notifications/channels"


def run(tmp_path: Path, story: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await story(it)

    asyncio.run(inside())


async def asked(
    it: Edge, method: str, path: str, status: int, body: Any = None, match: str | None = None
) -> Any:
    headers = {} if match is None else {"If-Match": match}
    answer = await it.client.request(method, path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def test_a_channel_is_made_tested_changed_and_removed(tmp_path: Path) -> None:
    with hook() as receiver:

        async def story(it: Edge) -> None:
            body = {"name": "control room", "kind": "webhook", "url": receiver.url}
            made = await it.post(CHANNELS, body, 201)
            channel, key = made["channel"], made["key"]
            assert "s3cret" not in json.dumps(channel)
            assert channel["leads_to"] == f"http://127.0.0.1:{receiver.server_address[1]}/…"
            place = f"{CHANNELS}/{channel['id']}"
            tested = await it.post(f"{place}/test")
            assert tested["took"] is True
            assert tested["said"] == "200 told"
            ((headers, sent),) = receiver.came
            assert headers["X-Twinfold-Delivery"] == tested["delivery"]["id"] == json.loads(sent)["delivery"]
            at_s = int(headers[SIGNATURE].split(",")[0].removeprefix("t="))
            assert headers[SIGNATURE] == signature(key, sent, at_s)

            change = {"name": "tower", "enabled": True}
            await asked(it, "PUT", place, 428, change)
            await asked(it, "PUT", place, 412, change, '"7"')
            await asked(it, "PUT", place, 400, {**change, "to": ["a@example.org"]}, "*")
            changed = await asked(it, "PUT", place, 200, {**change, "new_key": True}, '"1"')
            assert changed["channel"]["revision"] == 2
            assert (await it.post(f"{place}/test"))["took"] is True
            headers, sent = receiver.came[-1]
            assert headers[SIGNATURE] == signature(changed["key"], sent, at_s)

            found = await it.client.get(CHANNELS)
            assert "s3cret" not in found.text
            assert key not in found.text
            kept = await it.get("/api/notifications/deliveries")
            assert [each["kind"] for each in kept["items"]] == ["test", "test"]
            await asked(it, "DELETE", place, 204, None, '"2"')
            assert (await it.get(place, 404))["code"] == "channel.not_found"
            lines = audit.lines(it.context.access.database).items
            told = [line.what for line in lines if line.subject == channel["id"]]
            assert told == [
                "channel.removed",
                "channel.tested",
                "channel.changed",
                "channel.tested",
                "channel.made",
            ]
            assert "s3cret" not in str(lines)

        run(tmp_path, story, receivers=HERE)


def test_the_test_says_what_is_wrong(tmp_path: Path) -> None:
    with hook(lambda _: 500) as receiver:

        async def story(it: Edge) -> None:
            made = await it.post(CHANNELS, {"name": "x", "kind": "webhook", "url": receiver.url}, 201)
            tested = await it.post(f"{CHANNELS}/{made['channel']['id']}/test")
            assert tested["took"] is False
            assert "private" in tested["said"]  # it is never called
            assert tested["delivery"]["state"] == "failed"
            assert receiver.came == []
            mail = await it.post(CHANNELS, {"name": "m", "kind": "email", "to": ["ann@example.org"]}, 201)
            assert mail["key"] is None
            assert mail["channel"]["leads_to"] == "ann@example.org"
            tested = await it.post(f"{CHANNELS}/{mail['channel']['id']}/test")
            assert "notifications.mail_host" in tested["said"]
            assert (await it.post(f"{CHANNELS}/nope/test", status=404))["code"] == "channel.not_found"

        run(tmp_path, story)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"kind": "webhook"}, 422),
        ({"kind": "email", "url": "https://example.org"}, 422),
        ({"kind": "email", "to": ["no address"]}, 400),
        ({"kind": "email", "to": ["a@example.org\nBcc: b@example.org"]}, 400),
        ({"kind": "webhook", "url": "file:///etc/passwd"}, 400),
        ({"kind": "webhook", "url": "https://user:word@example.org/"}, 400),
        ({"kind": "webhook", "url": "https://example.org:99999/"}, 400),
        ({"kind": "webhook", "url": "https://example.org/\r\nX: y"}, 400),
        ({"kind": "webhook", "url": "https://exämple.org/"}, 400),
        ({"kind": "webhook", "url": "https://[::1/"}, 400),
        ({"kind": "webhook", "url": "https:///path"}, 400),
        ({"kind": "email", "to": ["<a@example.org>"]}, 400),
        ({"kind": "email", "to": ["a@[", "b@b@c"]}, 400),
        ({"kind": "apprise", "url": "json://169.254.169.254/"}, 400),
        ({"kind": "apprise", "url": "nonsense://x"}, 400),
        ({"kind": "webhook", "url": "https://example.org/", "account": "nobody"}, 400),
    ],
)
def test_what_leads_nowhere_is_refused(tmp_path: Path, wrong: dict[str, Any], status: int) -> None:
    async def story(it: Edge) -> None:
        await it.post(CHANNELS, {"name": "x", **wrong}, status)

    run(tmp_path, story, receivers=HERE)


def test_apprise_is_off_unless_it_is_set(tmp_path: Path) -> None:
    body = {"name": "x", "kind": "apprise", "url": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"}

    async def off(it: Edge) -> None:
        assert "notifications.apprise" in (await it.post(CHANNELS, body, 400))["detail"]

    async def on(it: Edge) -> None:
        made = await it.post(CHANNELS, body, 201)
        assert made["channel"]["leads_to"] == "discord://…"

    run(tmp_path / "off", off)
    run(tmp_path / "on", on, receivers=HERE)


def test_a_route_is_made_changed_and_removed_under_its_revision(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        body = {
            "name": "nights", "priority": "high", "sites": ["oslo"], "zone": "Europe/Oslo",
            "quiet": [{"start": "22:00", "end": "06:00"}],
            "steps": [{"to": ["role:operator"]}, {"after_s": 900, "to": ["role:admin"]}],
        }  # fmt: skip
        made = await it.post(ROUTES, body, 201)
        assert made["repeat_s"] == 600.0
        place = f"{ROUTES}/{made['id']}"
        assert await it.get(place) == made
        await asked(it, "PUT", place, 428, body)
        changed = await asked(it, "PUT", place, 200, {**body, "enabled": False}, '"1"')
        assert (changed["enabled"], changed["revision"]) == (False, 2)
        await asked(it, "PUT", place, 412, body, '"1"')
        assert (await it.get(ROUTES))["items"] == [changed]
        await it.post(ROUTES, {**body, "steps": [{"to": ["channel:nope"]}]}, 400)
        await it.post(ROUTES, {**body, "zone": "../../etc/passwd"}, 400)
        await it.post(ROUTES, {**body, "quiet": [{"start": "25:00", "end": "06:00"}]}, 422)
        await asked(it, "DELETE", place, 204, None, "*")
        assert (await it.get(place, 404))["code"] == "notification_route.not_found"
        assert await it.get("/api/notifications") == {"deliveries": {}, "hosts": []}

    run(tmp_path, story)


def test_engineers_make_routes_and_only_admins_say_where_data_leaves_to(tmp_path: Path) -> None:
    async def story(it: Edge) -> None:
        engineer, viewer = it.member("eve", "engineer"), it.member("vic", "viewer")
        body = {"name": "m", "kind": "email", "to": ["ann@example.org"]}
        assert (await it.client.post(CHANNELS, json=body, headers=engineer)).status_code == 403
        route = {"name": "r", "steps": [{"to": ["role:operator"]}]}
        assert (await it.client.post(ROUTES, json=route, headers=engineer)).status_code == 201
        for path in (CHANNELS, ROUTES, "/api/notifications", "/api/notifications/deliveries"):
            assert (await it.client.get(path, headers=viewer)).status_code == 403
            assert (await it.client.get(path, headers=engineer)).status_code == 200

    run(tmp_path, story)
