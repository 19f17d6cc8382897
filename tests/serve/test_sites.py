"""Accounts for some sites: every route as every role, and nothing of another site ever comes out or is changed.

The word ``qxcanary`` stands in everything that the foreign site has. Where a request does not hold it, no answer may; where
it does, the answer must be that to the same request about what nobody has.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from serve.access import NEEDED
from serve.accounts import ROLES, Actor, Role
from serve.notifications.notices import Raised
from serve.notifications.receivers import Target
from serve.notifications.routing import Alert
from serve.scopes import Scope
from serve.within.fleet import FleetWithin
from serve.within.past import HistoryWithin, PastWithin
from serve.within.people import BookWithin, DeskWithin, JobsWithin, KeysWithin
from tests.models import ARRAYS, MANIFEST
from tests.serve.edges import PASSWORD, T0, Edge, edge
from tests.serve.notices import ROUTE
from tests.serve.test_access import places_of
from tests.serve.test_push import message, served, subscribe
from training import import_jobs
from twins import commands as c
from twins.clock import SECOND_US
from twins.devices import Device

CANARY = "qxcanary"
NOBODYS = "qxnobody"
OWN = "oslo"
FOREIGN = f"{CANARY} quay"
VOLATILE = re.compile(r'"(cursor|as_of|next|previous)":("[^"]*"|null)|content-length: \d+|etag: W/\S+')

Case = dict[str, Any]
"""A request: values of the path, ``query``, ``body``, ``content``; ``{word}`` stands for what differs from site to site."""

ALERT: list[Case] = [{"body": {}}]
TYPE: list[Case] = [{"name": "pump", "number": 1}]
MODEL: list[Case] = [{"name": "pump", "version": 1, "body": {}}]
CASES: dict[str, list[Case] | None] = {
    "GET /api/health": [{}],
    "GET /api/ready": [{}],
    "GET /api/system": [{}],
    "GET /metrics": [{}],
    "GET /{path:path}": None,  # the app itself
    "WS /api/live": None,  # told below
    "WS /ingest/socket": None,
    "POST /api/login": [{"body": {"name": "nobody", "password": "x"}}],
    "POST /api/register": [{"body": {"name": "nobody", "password": "x"}}],
    "POST /api/refresh": [{"body": {"refresh_token": "x"}}],
    "POST /api/logout": [{}],
    "GET /api/me": [{}],
    "POST /api/me/password": [{"body": {"old": "x", "new": "y"}}],
    "GET /api/me/sessions": [{}],
    "DELETE /api/me/sessions/{session}": [{"session": "none"}],
    "POST /api/me/totp": [{}],
    "POST /api/me/totp/confirm": [{"body": {"code": "000000"}}],
    "POST /api/me/totp/off": [{"body": {"password": "x"}}],
    "GET /api/me/settings": [{}],
    "PUT /api/me/settings": [{"body": {"theme": "dark"}}],
    "GET /api/views": [{}],
    "GET /api/views/{view}": [{"view": "none"}],
    "POST /api/views": [{"body": {"page": "devices", "name": "x", "filter": "health < 50", "shared": True}}],
    "PUT /api/views/{view}": [{"view": "none", "body": {"page": "devices", "name": "x"}}],
    "DELETE /api/views/{view}": [{"view": "none"}],
    "GET /api/users": [{}],
    "POST /api/users": [{"body": {"name": "x", "role": "viewer", "sites": ["{site}"]}}],
    "GET /api/users/{name}": [{"name": "none"}],
    "PATCH /api/users/{name}": [{"name": "none", "body": {"sites": ["{site}"]}}],
    "POST /api/users/{name}/password": [{"name": "none"}],
    "GET /api/invitations": [{}],
    "DELETE /api/invitations/{invitation}": [{"invitation": "none"}],
    "POST /api/invitations": [{"body": {"role": "viewer", "sites": ["{site}"]}}],
    "GET /api/audit": [{}],
    "GET /api/keys": [{}, {"query": {"limit": 1}}, {"query": {"offset": 1}}],
    "POST /api/keys": [
        {"body": {"name": "x", "scope": {"sites": ["{site}"]}}},
        {"body": {"name": "x", "scope": {"sites": [OWN, "{site}"]}}},
        {"body": {"name": "x", "scope": {"devices": ["{device}"]}}},
        {"body": {"name": "x", "scope": {"everything": True}}},
    ],
    "POST /api/keys/{key}/rotate": [{"key": "{key}"}],
    "DELETE /api/keys/{key}": [{"key": "{key}"}],
    "GET /api/templates": [{}],
    "GET /api/templates/{template}": [{"template": "none"}],
    "POST /api/templates": [{"body": {"name": "x", "pattern": "{word}-*", "type": "pump", "site": "{site}"}}],
    "PUT /api/templates/{template}": [
        {"template": "none", "body": {"name": "x", "pattern": "x-*", "type": "pump"}},
    ],
    "DELETE /api/templates/{template}": [{"template": "none"}],
    "GET /api/fleet/summary": [{}],
    "GET /api/fleet/map": [{}],
    "GET /api/fleet/map/cell": [{"query": {"site": "{site}", "index": i}} for i in (0, 1)],
    "GET /api/devices": [
        {},
        {"query": {"q": "{word}"}},
        {"query": {"filter": "site = '{site}'"}},
        {"query": {"filter": "site != 'oslo'"}},
        {"query": {"filter": "id = '{device}' or health < 101"}},
        {"query": {"filter": "vibration >= 0 or label.line = '1'"}},
        {"query": {"filter": "label.{word} = '{word}'"}},
        {"query": {"filter": "parent = '{device}'"}},
        {"query": {"sort": "-health", "limit": 2, "offset": 1}},
        {"query": {"filter": "site != 'oslo'", "offset": 1}},
        *(
            {"query": {"sort": sort, "limit": 2}}
            for sort in ("site", "-health", "-priority", "-id", "-alerts")
        ),
    ],
    "GET /api/devices/{device_id:path}": [
        {"device_id": "{device}"},
        {"device_id": "{device}", "query": {"at": "2025-10-09T08:53:21Z"}},
    ],
    "GET /api/devices/{device_id:path}/history": [{"device_id": "{device}"}],
    "GET /api/devices/{device_id:path}/condition": [{"device_id": "{device}"}],
    "GET /api/devices/{device_id:path}/prognosis": [{"device_id": "{device}"}],
    "GET /api/devices/{device_id:path}/prognoses": [{"device_id": "{device}"}],
    "GET /api/devices/{device_id:path}/events": [{"device_id": "{device}"}],
    "POST /api/devices": [
        {"body": {"devices": [{"id": "new-{word}", "type": "pump", "site": "{site}"}]}},
        {
            "body": {
                "devices": [{"id": "child-of-{device}", "type": "pump", "site": OWN, "parent": "{device}"}]
            }
        },
        {"body": {"devices": [{"id": "nowhere-{word}", "type": "pump"}]}},
    ],
    "POST /api/devices/commands": [
        {"body": {"devices": ["{device}"], "dry_run": True}},
        {"body": {"matching": {"filter": "site = '{site}'"}, "dry_run": True}},
        {"body": {"matching": {"q": "{word}"}, "dry_run": True}},
        {"body": {"act": {"type": "send", "command": "start"}, "devices": ["{device}"]}},
        {"body": {"act": {"type": "maintenance", "kind": "inspection"}, "matching": {}}},
        {
            "body": {
                "act": {"type": "maintenance", "kind": "repair"},
                "matching": {"filter": "site = '{site}'"},
            }
        },
    ],
    "POST /api/devices/{device_id:path}/maintenance": [
        {"device_id": "{device}", "body": {"kind": "inspection", "note": "seen"}}
    ],
    "GET /api/devices/{device_id:path}/properties": [{"device_id": "{device}"}],
    "PATCH /api/devices/{device_id:path}/properties": [
        {"device_id": "{device}", "headers": {"If-Match": "*"}, "body": {"properties": {"speed": 1800}}},
        {"device_id": "{device}", "body": {"properties": {"speed": 1800}}},
    ],
    "GET /api/devices/{device_id:path}/commands": [{"device_id": "{device}"}],
    "POST /api/devices/{device_id:path}/commands": [{"device_id": "{device}", "body": {"command": "start"}}],
    "POST /api/devices/{device_id:path}/commands/{number}/cancel": [{"device_id": "{device}", "number": "1"}],
    "DELETE /api/devices/{device_id:path}": [{"device_id": "{device}"}],
    "GET /api/devices/{device_id:path}/maintenance": [{"device_id": "{device}"}],
    "GET /api/maintenance": [
        {},
        {"query": {"device": "{device}"}},
        {"query": {"site": "{site}"}},
        {"query": {"filter": "site = '{site}' or note = 'x'"}},
        {"query": {"filter": "kind = 'inspection'", "limit": 1}},
    ],
    "GET /api/maintenance/{record}": [{"record": "{record}"}],
    "POST /api/maintenance/{record}/corrections": [
        {"record": "{record}", "body": {"kind": "inspection", "note": "else", "reason": "x"}}
    ],
    "GET /api/recommendations": [
        {},
        {"query": {"device": "{device}"}},
        {"query": {"site": "{site}"}},
        {"query": {"filter": "site != 'oslo'"}},
        {"query": {"limit": 1, "offset": 1}},
    ],
    "GET /api/devices/{device_id:path}/recommendations": [{"device_id": "{device}"}],
    "GET /api/recommendations/record": [{}],
    "GET /api/recommendations/{recommendation:path}": [{"recommendation": "{device}:bearing-wear"}],
    "GET /api/recommendations/{recommendation:path}/simulation": [
        {"recommendation": "{device}:bearing-wear"}
    ],
    "POST /api/recommendations/{recommendation:path}/accept": [
        {"recommendation": "{device}:bearing-wear", "body": {"note": "x"}}
    ],
    "POST /api/recommendations/{recommendation:path}/dismiss": [
        {"recommendation": "{device}:bearing-wear", "body": {"reason": "x"}}
    ],
    "POST /api/recommendations/{recommendation:path}/done": [
        {"recommendation": "{device}:bearing-wear", "body": {"outcome": "other", "note": "x"}}
    ],
    "GET /api/events": [
        {},
        {"query": {"kind": "alert", "limit": 2}},
        {"query": {"device": "{device}"}},
        {"query": {"filter": "site = '{site}' or site != 'oslo'"}},
        {"query": {"priority": "high", "offset": 1}},
    ],
    "GET /api/events/counts": [{}, {"query": {"filter": "site = '{site}' or site != 'oslo'"}}],
    "GET /api/events/schema": [{}],
    "GET /api/alerts": [
        {},
        {"query": {"device": "{device}"}},
        {"query": {"site": "{site}"}},
        {"query": {"state": "ACKED", "limit": 1}},
        {"query": {"priority": "high"}},
        {"query": {"filter": "site != 'oslo'"}},
        {"query": {"filter": "device = '{device}'", "offset": 1}},
    ],
    "GET /api/alerts/groups": [
        {},
        {"query": {"by": "site"}},
        {"query": {"by": "device", "site": "{site}"}},
        {"query": {"by": "rule", "filter": "device = '{device}' or site != 'oslo'"}},
    ],
    "GET /api/alerts/notes": [{}],
    "GET /api/alerts/kpis": [{}, {"query": {"hours": 1}}, {"query": {"filter": "site = '{site}'"}}],
    "POST /api/alerts/commands": [
        {"body": {"command": "comment", "note": "x", "alerts": ["{alert}"]}},
        {"body": {"command": "acknowledge", "matching": {"site": ["{site}"]}}},
        {"body": {"command": "acknowledge", "matching": {"device": ["{device}"]}, "dry_run": True}},
        {"body": {"command": "comment", "note": "all of them", "matching": {}}},
    ],
    **{
        place: [{**case, "alert": "{alert}"} for case in ALERT]
        for place in NEEDED
        if place.startswith("POST /api/alerts/{")
    },
    "POST /api/alerts/{alert:path}/shelve": [{"alert": "{alert}", "body": {"duration_s": 60, "reason": "x"}}],
    "POST /api/alerts/{alert:path}/assign": [{"alert": "{alert}", "body": {"assignee": "kari"}}],
    "POST /api/alerts/{alert:path}/comment": [{"alert": "{alert}", "body": {"note": "x"}}],
    "GET /api/notifications": [{}],
    "GET /api/notifications/channels": [{}],
    "GET /api/notifications/channels/{channel}": [{"channel": "{channel}"}],
    "POST /api/notifications/channels": [{"body": {"name": "x", "kind": "email", "to": ["a@example.org"]}}],
    "PUT /api/notifications/channels/{channel}": [{"channel": "{channel}", "body": {"name": "x"}}],
    "DELETE /api/notifications/channels/{channel}": [{"channel": "none"}],
    "POST /api/notifications/channels/{channel}/test": [{"channel": "none"}],
    "GET /api/notifications/routes": [{}],
    "GET /api/notifications/routes/{route}": [{"route": "{route}"}],
    "POST /api/notifications/routes": [
        {"body": {"name": "x", "sites": ["{site}"], "steps": [{"to": ["role:admin"]}]}},
        {"body": {"name": "x", "sites": [OWN, "{site}"], "steps": [{"to": ["role:admin"]}]}},
        {"body": {"name": "x", "steps": [{"to": ["role:admin"]}]}},
    ],
    "PUT /api/notifications/routes/{route}": [
        {"route": "{route}", "body": {"name": "y", "sites": [OWN], "steps": [{"to": ["role:admin"]}]}},
        {"route": "{route}", "body": {"name": "y", "sites": ["{site}"], "steps": [{"to": ["role:admin"]}]}},
    ],
    "DELETE /api/notifications/routes/{route}": [{"route": "{route}"}],
    "GET /api/notifications/deliveries": [{}, {"query": {"alert": "{alert}"}}, {"query": {"limit": 1}}],
    "POST /ingest": [
        {"body": {"readings": [{"device": "{device}", "time": T0 // 1000 + 5_000, "values": {"flow": 9}}]}}
    ],
    "POST /api/readings": [
        {"body": {"readings": [{"device": "{device}", "time": T0 // 1000 + 6_000, "values": {"flow": 9}}]}},
        {
            "body": {
                "type": "meter",
                "readings": [{"device": "{device}", "time": T0 // 1000, "values": {"flow": 9}}],
            }
        },
    ],
    "GET /api/jobs": [{}],
    "GET /api/jobs/{job}": [{"job": "{job}"}, {"job": "{job}", "query": {"after": 0}}],
    "POST /api/jobs/{job}/cancel": [{"job": "{job}"}],
    "POST /api/imports": [{"body": {"mapping": "/none.yaml", "files": ["/none.csv"]}}],
    "GET /api/whatif/templates": [{}],
    "POST /api/whatif/check": [{"content": "name: x"}],
    "GET /api/whatif/experiments": [{}],
    "POST /api/whatif/experiments": [{"content": "name: x"}],
    "GET /api/whatif/experiments/{experiment}": [{"experiment": "whatif-1"}],
    "GET /api/whatif/experiments/{experiment}/results": [{"experiment": "whatif-1"}],
    "GET /api/whatif/experiments/{experiment}/fans": [
        {"experiment": "whatif-1", "query": {"metric": "cost", "group": "{site}"}}
    ],
    "GET /api/whatif/experiments/{experiment}/tables/{table}": [{"experiment": "whatif-1", "table": "runs"}],
    "POST /api/whatif/experiments/{experiment}/cancel": [{"experiment": "whatif-1"}],
    "POST /api/whatif/experiments/{experiment}/reruns": [
        {"experiment": "whatif-1", "body": {"arm": "a", "replication": 0, "device_ids": ["{device}"]}}
    ],
    "DELETE /api/whatif/experiments/{experiment}": [{"experiment": "whatif-1"}],
    "GET /api/types": [{}],
    "POST /api/types/validate": [{"content": "name: x"}],
    "POST /api/types/{name}/rules/validate": [{"name": "pump", "content": "type: pump"}],
    "POST /api/types/{name}/rules/rehearse": [
        {"name": "pump", "content": "rules: []"},
        {"name": "pump", "content": "rules: []", "query": {"devices": 500}},
    ],
    "POST /api/types/{name}/rules/rehearsals": [{"name": "pump", "content": "rules: []"}],
    "PUT /api/types/{name}/staged": [{"name": "pump", "content": "name: x"}],
    "PUT /api/types/{name}/rules/staged": [{"name": "pump", "content": "type: x"}],
    "POST /api/types/{name}/activate": [{"name": "pump", "body": {"why": "x"}}],
    "GET /api/types/{name}/differences": [{"name": "pump", "query": {"first": 1, "second": 1}}],
    "GET /api/models": [{}, {"query": {"type": "{word}"}}],
    "GET /api/models/{name}/{version}": MODEL,
    "GET /api/models/{name}/compare": [{"name": "pump", "query": {"b": 1}}],
    "GET /api/models/{name}/changes": [{"name": "pump"}],
    "GET /api/models/{name}/drift": [{"name": "pump"}, {"name": "{word}"}],
    "GET /api/models/{name}/record": [{"name": "pump"}],
    "POST /api/models/{name}/{version}/promote": MODEL,
    "POST /api/models/{name}/{version}/report": MODEL,
    "POST /api/models/{name}/{version}/reports": MODEL,
    "POST /api/models/{name}/rollback": [{"name": "pump", "body": {}}],
    "POST /api/models/{name}/train": [{"name": "pump", "body": {}}],
    **{
        place: TYPE
        for place in NEEDED
        if place.startswith(("GET /api/types/{name}", "DELETE /api/types/{name}"))
        and "differences" not in place
    },
}
LAST = ("DELETE /api/notifications/routes", "DELETE /api/keys", "DELETE /api/devices", "POST /api/logout")
"""What takes away what others are asked about."""


def ids_of(word: str, site: str, device: str) -> dict[str, str]:
    return {
        "word": word,
        "site": site,
        "device": device,
        "alert": f"{device}:vibration-high:1",
        "key": "0" * 16,
        "route": "0" * 16,
        "job": f"import-{word}",
        "record": f"host-000.{len(word)}.99999",
        "channel": "0" * 16,
    }


class World:
    """A fleet of two sites, all that people set up around it, and who asks."""

    def __init__(self, it: Edge) -> None:
        self.it = it
        self.mine = ids_of("pump", OWN, "pump-01")
        self.theirs = ids_of(CANARY, FOREIGN, f"{CANARY}/pump:1")
        self.nobodys = ids_of(NOBODYS, f"{NOBODYS} quay", f"{NOBODYS}/pump:1")

    async def seed(self) -> None:
        context, fleet = self.it.context, self.it.fleet
        devices = [
            Device(
                f"{CANARY}/pump:{i}", "pump", site=FOREIGN, name=f"{CANARY} pump", labels={CANARY: CANARY, "line": "1"},
                parent="pump-01" if i == 2 else None,
            )
            for i in (1, 2)
        ]  # fmt: skip
        await context.call(fleet.register, [*devices, Device(f"{CANARY}-meter", "meter", site=FOREIGN)])
        for device in ("pump-01", "pump-03", *(each.id for each in devices)):
            await self.it.read(device, 1, {"vibration": 9.0, "flow": 100.0})
            note = f"{CANARY} note" if device.startswith(CANARY) else "note"
            await self.it.post(f"/api/devices/{device}/commands", {"command": "start", "note": note}, 201)
            await self.it.post(f"/api/alerts/{device}:vibration-high:1/comment", {"note": note})
            await self.it.post(f"/api/devices/{device}/maintenance", {"kind": "inspection", "note": note})
        await self.it.fresh()
        for line in (await self.it.get("/api/maintenance", limit=100))["items"]:
            for ids in (self.mine, self.theirs):
                if line["device_id"] == ids["device"]:
                    ids["record"] = line["id"]
        for ids, name in ((self.mine, "own"), (self.theirs, CANARY)):
            ids["key"] = context.access.keys.create(name, Scope.of(sites=[ids["site"]]), Actor("root"))[0].id
            steps = [{"after_s": 0.0, "to": ["role:admin"]}]
            document = {**ROUTE, "name": name, "sites": [ids["site"]], "steps": steps}
            ids["route"] = context.book.add_route(document, True, Actor("root")).id
            context.desk.take(f"of-{name}", 0, 1, [Raised(self.alert(ids), fleet.clock.now_us())])
        target = Target("webhook", "http://127.0.0.1:9/hook")
        channel = context.book.add_channel("pager", target, Actor("root"))[0].id
        self.mine["channel"] = self.theirs["channel"] = self.nobodys["channel"] = channel
        context.desk.tick()
        await context.call(context.models.add, MANIFEST, ARRAYS)
        request = {"mapping": f"/{CANARY}.yaml", "files": [f"/{CANARY}.csv"], "live": False}
        self.theirs["job"] = (await context.call(context.jobs.submit, import_jobs.KIND, request, "root")).id
        self.mine["job"] = (
            await context.call(
                context.jobs.submit, import_jobs.KIND, {**request, "mapping": "/x", "files": []}, "kari"
            )
        ).id

    def alert(self, ids: dict[str, str]) -> Alert:
        word = CANARY if ids is self.theirs else "own"
        return Alert(
            ids["alert"], ids["device"], "pump", ids["site"], "vibration-high", "high", f"{word} title", T0
        )  # fmt: skip

    def person(self, role: Role, sites: list[str] | None) -> dict[str, str]:
        return self.it.member("kari", role, sites)

    async def foreign_state(self) -> str:
        """Everything that there is of the foreign site."""
        context = self.it.context
        devices = [f"{CANARY}/pump:1", f"{CANARY}/pump:2", f"{CANARY}-meter"]
        known = self.it.fleet.directory.ids().to_pylist() if hasattr(self.it.fleet.directory, "ids") else []
        found = [
            [await context.call(self.it.fleet.read_twin, device) for device in devices],
            sorted(each for each in known if CANARY in each),
            [str(each) for each in context.access.keys.all() if FOREIGN in each.scope.sites],
            [str(each) for each in context.book.routes() if FOREIGN in each.document["sites"]],
            [str(each) for each in context.desk.deliveries().items if CANARY in json.dumps(each.message)],
            context.jobs.get(self.theirs["job"]).cancelling,
            [str(context.decisions.of_device(device)) for device in devices],
        ]
        return json.dumps(found, sort_keys=True)


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], value)
    if isinstance(value, dict):
        return {filled(k, ids): filled(v, ids) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(each, ids) for each in value]
    return value


async def ask(world: World, place: str, case: Case, ids: dict[str, str], headers: dict[str, str]) -> Any:
    method, _, path = place.partition(" ")
    found = filled(case, ids)
    for name in re.findall(r"\{(\w+)(?::path)?\}", path):
        path = re.sub(r"\{" + name + r"(:path)?\}", lambda _, name=name: str(found[name]), path)
    headers = {**headers, **found.get("headers", {})}
    if "content" in found:
        headers = {**headers, "Content-Type": "application/yaml"}
    body = (
        {"content": found["content"]}
        if "content" in found
        else {"json": found.get("body")}
        if method != "GET"
        else {}
    )
    return await world.it.client.request(method, path, params=found.get("query"), headers=headers, **body)


def order(place: str) -> tuple[int, str]:
    return next((at for at, start in enumerate(LAST, 1) if place.startswith(start)), 0), place


def told(answer: Any) -> str:
    """All that an answer says."""
    return answer.text + " " + " ".join(f"{name}: {value}" for name, value in answer.headers.items())


def expected(place: str, who: Any, sites: list[str] | None) -> set[str]:
    """The codes with which the table refuses; none: it lets in."""
    need, reach = NEEDED[place]
    if need == "anyone":
        return set()
    if who is None:
        return {"login.required"}
    if who == "key":
        return set() if need == "sender" else {"access.forbidden"}
    least = {"sender": "engineer", "member": "viewer", "collector": "viewer"}.get(need, need)
    if least == "local" or ROLES.index(who) < ROLES.index(least):  # type: ignore[arg-type]
        return {"access.forbidden"}
    return {"access.sites"} if reach == "whole" and sites is not None else set()


def test_every_route_has_a_case() -> None:
    assert set(CASES) == set(NEEDED)


def people() -> Iterator[tuple[Any, list[str] | None]]:
    yield from ((None, None), ("key", None), ("admin", None))
    for role in ("viewer", "operator", "engineer"):
        yield from ((role, None), (role, [OWN]), (role, [FOREIGN]))


@pytest.mark.parametrize(("who", "sites"), list(people()))
def test_every_route_as_everybody(tmp_path: Path, who: Any, sites: list[str] | None) -> None:
    async def inside() -> None:
        async with edge(tmp_path, update_every_s=60.0) as it:
            assert set(places_of(it.app.routes)) - {"GET /api/openapi.json", "HEAD /api/openapi.json"} <= set(
                CASES
            )
            world = World(it)
            await world.seed()
            if who is None:
                headers = {}
            elif who == "key":
                _, text = it.context.access.keys.create("x", Scope.of(sites=[OWN]), Actor("root"))
                headers = {"Authorization": f"Bearer {text}"}
            else:
                headers = world.person(who, sites)
            del it.client.headers["Authorization"]
            before = await world.foreign_state()
            is_foreigner = (
                who not in ("admin",) and sites != [FOREIGN] and (sites is not None or who in (None, "key"))
            )
            saw = False
            for place in sorted(CASES, key=order):
                for case in CASES[place] or ():
                    codes = expected(place, who, sites)
                    answer = await ask(world, place, case, world.mine, headers)
                    problem = answer.status_code >= 400 and answer.json().get("code")
                    refusals = {"login.required", "access.forbidden", "password.must_change"}
                    fits = (
                        problem in codes if codes else problem not in refusals or NEEDED[place][0] == "anyone"
                    )
                    assert fits, (place, case, answer.text)
                    assert answer.status_code < 500, (place, case, answer.text)
                    saw |= CANARY in told(answer)
                    if not is_foreigner:
                        continue
                    assert CANARY not in told(answer), (place, case, answer.text)
                    if filled(case, world.theirs) == filled(case, world.nobodys):
                        continue
                    theirs = await ask(world, place, case, world.theirs, headers)
                    nobodys = await ask(world, place, case, world.nobodys, headers)
                    same = (
                        VOLATILE.sub("", told(theirs)).replace(CANARY, NOBODYS),
                        VOLATILE.sub("", told(nobodys)),
                    )
                    for name in ("key", "route", "job", "record"):
                        same = same[0].replace(world.theirs[name], world.nobodys[name]), same[1]
                    assert same[0] == same[1], (place, case)
                    assert theirs.status_code == nobodys.status_code, (place, case)
            if is_foreigner:
                assert await world.foreign_state() == before
            elif who is not None:
                assert saw

    asyncio.run(inside())


def test_the_socket_tells_of_ones_own_sites_only(tmp_path: Path) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it, served(it) as url:
            world = World(it)
            await world.seed()
            kari = world.person("viewer", [OWN])
            async with websockets.connect(url, additional_headers=kari) as sock:
                heard: list[str] = []

                async def until(kind: str, **facts: Any) -> Any:
                    while True:
                        found = await message(sock, kind)
                        heard.append(json.dumps(found))
                        if facts.items() <= found["data"].items():
                            return found

                devices = [world.theirs["device"], "pump-01", "pump-00", NOBODYS]
                hello = await subscribe(sock, "alerts", "fleet", "devices", devices=devices)
                update = await until("data_update")
                assert update["data"]["devices"]["id"] == ["pump-01"]
                fleet = update["data"]["fleet"]
                assert [each["site"] for each in fleet["sites"]] == [OWN]
                assert (fleet["devices"], fleet["site_count"]) == (4, 1)
                assert fleet["alerts"]["high"] == 2
                foreign = world.theirs["device"]
                await it.read(foreign, 2, {"flow": 0.0})
                await it.post(f"/api/alerts/{foreign}:vibration-high:1/acknowledge", {"note": CANARY})
                await it.read("pump-01", 3, {"flow": 0.0})
                raised = await until("NEW_ALERT", rule="dry")
                assert raised["data"]["device_id"] == "pump-01"
            async with websockets.connect(
                url, additional_headers=kari
            ) as sock:  # a resumed cursor is no way round
                await subscribe(sock, "alerts", cursor=hello["cursor"])
                assert (await until("NEW_ALERT"))["data"]["id"] == raised["data"]["id"]
            async with websockets.connect(url, additional_headers=it.token) as sock:
                await subscribe(sock, "alerts", cursor=hello["cursor"])
                while (await message(sock, "NEW_ALERT"))["data"]["device_id"] != foreign:
                    pass  # hosts are told of in no particular order
            assert CANARY not in "".join(heard)

    asyncio.run(inside())


async def drain(sock: Any) -> None:
    async with asyncio.timeout(30):
        while True:
            await sock.recv()


def test_other_sites_take_effect_at_once_on_sessions_and_sockets(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("serve.routes.live._LOOK_EVERY_S", 0.05)

    async def inside() -> None:
        async with edge(tmp_path) as it, served(it) as url:
            world = World(it)
            await world.seed()
            kari = world.person("engineer", [OWN])
            admin = it.member("root", "admin")
            async with websockets.connect(url, additional_headers=kari) as sock:
                await subscribe(sock, "fleet")
                change, anyway = {"sites": [FOREIGN]}, {**admin, "If-Match": "*"}
                answer = await it.client.patch("/api/users/kari", json=change, headers=anyway)
                assert answer.json()["sites"] == [FOREIGN]
                it.clock.advance_by(3)
                assert (await it.client.get("/api/me", headers=kari)).status_code == 401
                with pytest.raises(websockets.ConnectionClosed):
                    await drain(sock)
            begun = it.context.access.sessions.log_in("kari", PASSWORD, "program")
            token = {"Authorization": f"Bearer {it.context.access.sessions.access_token(begun.principal)[0]}"}
            assert (await it.client.get("/api/me", headers=token)).json()["sites"] == [FOREIGN]
            found = (await it.client.get("/api/devices", headers=token)).json()["items"]
            assert {each["site"] for each in found} == {FOREIGN}

    asyncio.run(inside())


def test_a_device_that_moves_is_its_new_sites_and_no_more_its_old(tmp_path: Path) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it:
            world = World(it)
            await world.seed()
            kari = world.person("engineer", [OWN])
            moved = Device("pump-01", "pump", site=FOREIGN, name=CANARY)
            await it.context.call(it.fleet.update, moved)
            await it.fresh()
            for path in (
                "/api/devices/pump-01",
                "/api/devices/pump-01/events",
                "/api/devices/pump-01/history",
            ):
                assert (await it.client.get(path, headers=kari)).status_code == 404
            listed = (await it.client.get("/api/devices", headers=kari)).json()
            assert "pump-01" not in {each["id"] for each in listed["items"]}
            assert CANARY not in (await it.client.get("/api/fleet/map", headers=kari)).text

    asyncio.run(inside())


def test_an_engineer_of_a_site_changes_devices_there_only(tmp_path: Path) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it:
            world = World(it)
            await world.seed()
            fleet = FleetWithin(it.fleet, it.context.live, frozenset({OWN}))

            def change(device: Device) -> None:
                fleet.change(c.UpdateDevice(command_id=it.fleet.command_id(), by="kari", device=device))

            change(Device("pump-01", "pump", site=OWN, name="renamed"))
            for wrong in (
                Device("pump-01", "pump", site=FOREIGN),
                Device("pump-01", "pump", site=OWN, parent=world.theirs["device"]),
                Device(world.theirs["device"], "pump", site=OWN),
            ):
                with pytest.raises(Exception, match=r"takes an account for|no device"):
                    change(wrong)

    asyncio.run(inside())


@pytest.mark.parametrize(
    "narrowed", [FleetWithin, HistoryWithin, PastWithin, KeysWithin, BookWithin, DeskWithin, JobsWithin]
)
def test_what_is_not_narrowed_has_nothing_to_work_on(narrowed: type) -> None:
    """A method that comes to the whole is to be narrowed by hand, or to build on those that are."""
    built_on_others = {"update", "retire", "write", "twin"}
    unused = {  # the edge has them for who is for all sites, and without their database they fail
        "known", "find", "add_channel", "change_channel", "remove_channel", "begin", "followed", "cursor", "take", "trouble",
        "tick", "prune", "waiting", "next_of", "sent", "give_up", "counts",
    }  # fmt: skip
    whole = narrowed.__mro__[1]
    methods = {name for name, each in vars(whole).items() if not name.startswith("_") and callable(each)}
    left = methods - set(vars(narrowed))
    assert left <= (unused if narrowed in (KeysWithin, BookWithin, DeskWithin) else built_on_others)


def test_readings_of_other_sites_are_refused_as_unknown_on_the_device_socket(tmp_path: Path) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it, served(it) as url:
            world = World(it)
            await world.seed()
            kari = world.person("engineer", [OWN])
            async with websockets.connect(
                url.replace("/api/live", "/ingest/socket"), additional_headers=kari
            ) as sock:
                answers = []
                for device in (world.theirs["device"], world.nobodys["device"], "pump-01"):
                    line = {"device": device, "time": T0 + 9 * SECOND_US, "values": {"flow": 5.0}}
                    await sock.send(json.dumps({"readings": [line]}))
                    answers.append(json.loads(await sock.recv()))
            refused = [each["refused"] for each in answers]
            assert json.dumps(refused[0]).replace(CANARY, NOBODYS) == json.dumps(refused[1])
            assert (answers[2]["refused"], sum(answers[2]["accepted"].values())) == ([], 1)

    asyncio.run(inside())
