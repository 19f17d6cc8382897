import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serve.schemas.alerts import AlertPage
from serve.schemas.base import Problem
from serve.schemas.device_types import TypeInfo
from serve.schemas.devices import DeviceDetail, DevicePage
from serve.schemas.fleet import FleetMap, FleetSummary
from serve.schemas.history import AlertKpis, ConditionHistory, DeviceHistory, FleetEvents
from serve.schemas.platform import Readiness
from serve.schemas.readings import ReadingsTaken
from tests.serve.edges import DEVICES, T0, Edge, edge, make_app, make_fleet
from twins.clock import SECOND_US
from twins.errors import DegradedError, StorageFullError

HIGH = "pump-01:vibration-high:1"


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    async def inside() -> None:
        async with edge(tmp_path, **config) as it:
            await test(it)

    asyncio.run(inside())


def test_the_way_of_an_alert_from_reading_to_acknowledged(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        taken = await it.read("pump-01", 1, {"vibration": 9.3, "flow": 100, "colour": 1})
        ReadingsTaken.model_validate(taken)
        assert taken["accepted"] == {"scored": 1}
        assert [each["code"] for each in taken["refused"]] == ["channel.not_found"]
        page = await it.get("/api/alerts", cursor=taken["cursor"])
        AlertPage.model_validate(page)
        (alert,) = page["items"]
        assert (alert["id"], alert["state"], alert["unit"], alert["value"]) == (HIGH, "UNACK", "mm/s", 9.3)

        done = await it.post(f"/api/alerts/{HIGH}/acknowledge", {"note": "mine"}, **it.member("kari"))
        (alert,) = (await it.get("/api/alerts", cursor=done["cursor"]))["items"]
        assert (alert["state"], alert["acknowledged_by"]) == ("ACKED", "kari")
        twice = await it.post(f"/api/alerts/{HIGH}/acknowledge", status=409)
        assert twice["code"].startswith("command.")

        for action, body in [("assign", {"assignee": "ola"}), ("comment", {"note": "new bearing due"})]:
            done = await it.post(f"/api/alerts/{HIGH}/{action}", body)
        done = await it.post(f"/api/alerts/{HIGH}/shelve", {"duration_s": 600, "reason": "swap"})
        (alert,) = (await it.get("/api/alerts", state="SHELVED,UNACK", cursor=done["cursor"]))["items"]
        assert (alert["assignee"], alert["comments"]) == ("ola", 1)
        assert alert["shelved_until"] is not None

        detail = await it.get("/api/devices/pump-01")
        DeviceDetail.model_validate(detail)
        assert detail["values"]["vibration"] == {
            "value": 9.3, "unit": "mm/s", "time": "2025-10-09T08:53:21.000Z", "quality": "GOOD",
            "expected": None,
        }  # fmt: skip
        events = await it.get("/api/devices/pump-01/events")
        FleetEvents.model_validate(events)
        assert {"alert.raised", "alert.acknowledged", "alert.shelved"} <= {e["type"] for e in events["items"]}
        past = await it.get("/api/devices/pump-01/history", channels="vibration,flow")
        DeviceHistory.model_validate(past)
        assert past["channels"]["vibration"] == {"time": [1_760_000_001_000], "value": [9.3]}
        kpis = await it.get("/api/alerts/kpis", hours=1)
        AlertKpis.model_validate(kpis)
        assert (kpis["raised"], kpis["acknowledged"]) == (1, 1)
        ConditionHistory.model_validate(await it.get("/api/devices/pump-01/condition"))

    run(tmp_path, test)


def test_a_command_with_a_key_is_done_once(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await it.read("pump-01", 1, {"vibration": 9.0})
        for _ in range(2):
            await it.post(f"/api/alerts/{HIGH}/comment", {"note": "hm"}, **{"Idempotency-Key": "k1"})
        assert (await it.get("/api/devices/pump-01"))["alerts"][0]["comments"] == 1

    run(tmp_path, test)


def test_devices_come_are_maintained_and_retire(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        new = {"devices": [{"id": "møte/rom 1", "type": "pump", "site": "oslo", "labels": {"line": "9"}}]}
        made = await it.post("/api/devices", new, status=201)
        page = await it.get("/api/devices", filter="label.line = '9'", cursor=made["cursor"])
        DevicePage.model_validate(page)
        assert [item["id"] for item in page["items"]] == ["møte/rom 1"]
        assert (await it.post("/api/devices", new, status=409))["code"] == "device.exists"
        path = "/api/devices/m%C3%B8te%2From%201"
        done = await it.post(f"{path}/maintenance", {"kind": "replacement", "action": "replace-bearing"})
        assert (await it.get(path))["life_cycle"] == 1
        await it.post(f"{path}/maintenance", {"kind": "repair", "action": "pray"}, status=409)
        answer = await it.client.delete(path)
        assert answer.status_code == 200
        page = await it.get("/api/devices", filter="retired", cursor=answer.json()["cursor"])
        assert [item["id"] for item in page["items"]] == ["møte/rom 1"]
        assert done["cursor"]

    run(tmp_path, test)


def test_a_device_is_shown_as_it_was(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        await it.read("pump-01", 1.0, {"vibration": 9.0, "flow": 100.0})
        before = await it.get("/api/devices/pump-01")
        await it.read("pump-01", 5.0, {"vibration": 2.0, "flow": 90.0})
        past = await it.get("/api/devices/pump-01", at="2025-10-09T08:53:22Z")
        DeviceDetail.model_validate(past)
        assert past == before
        assert [alert["rule"] for alert in past["alerts"]] == ["vibration-high"]
        assert await it.get("/api/devices/pump-01") != past
        early = await it.get("/api/devices/pump-01", 404, at="2025-10-09T08:00:00Z")
        assert early["code"] == "device.not_found"
        late = await it.get("/api/devices/pump-01", 400, at="2035-01-01T00:00:00Z")
        assert late["code"] == "range.invalid"

    run(tmp_path, test)


def test_the_fleet_at_a_glance(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        taken = await it.read("pump-01", 1, {"vibration": 9.0})
        summary = await it.get("/api/fleet/summary", cursor=taken["cursor"])
        FleetSummary.model_validate(summary)
        assert (summary["devices"], summary["silent"], summary["alerts"]["high"]) == (7, 6, 1)
        whole = await it.get("/api/fleet/map")
        FleetMap.model_validate(whole)
        oslo = next(site for site in whole["sites"] if site["site"] == "oslo")
        assert list(base64.b64decode(oslo["cells"])) == [6, 3, 6, 6]
        assert (await it.get("/api/fleet/map/cell", site="oslo", index=1))["id"] == "pump-01"
        assert (await it.get("/api/fleet/map/cell", 404, site="oslo", index=4))["code"] == "map.no_such_cell"
        for item in await it.get("/api/types"):
            TypeInfo.model_validate(item)
        Readiness.model_validate(await it.get("/api/ready"))
        text = (await it.client.get("/metrics")).text
        assert 'twinfold_readings_total{fate="scored",type="pump"} 1.0' in text
        assert 'twinfold_host_state{host="host-000",state="ready"} 1.0' in text

    run(tmp_path, test)


def test_a_host_that_is_away_costs_only_its_own_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> Any:
        raise DegradedError("its machine is gone")

    async def test(it: Edge) -> None:
        for method in ("write", "status"):
            monkeypatch.setattr(it.fleet._local.services[1], method, lost)
        homes = {each.id: it.fleet.directory.locate_one(each.id)[0] for each in DEVICES[:6]}  # type: ignore[index]
        away = [each for each, host in homes.items() if host == 1]
        lines = [
            {"device": each, "time": T0 + second * SECOND_US, "values": {"vibration": 2.0}}
            for second in range(100)
            for each in homes
        ]
        taken = await it.post("/api/readings", {"readings": lines})
        assert sum(taken["accepted"].values()) == 100 * (6 - len(away))
        assert taken["refused_total"] == 100 * len(away) > 100
        assert {each["device"] for each in taken["refused"]} == set(away)
        assert {each["code"] for each in taken["refused"]} == {"fleet.degraded"}
        assert {lines[each["index"]]["device"] for each in taken["refused"]} == set(away)
        ready = await it.get("/api/ready", 503)
        Readiness.model_validate(ready)
        assert [(each["name"], each["state"]) for each in ready["hosts"]] == [
            ("host-000", "ready"),
            ("host-001", "away"),
        ]
        assert "its machine is gone" in ready["hosts"][1]["reason"]
        assert ready["hosts"][1]["cursor"] is None
        assert ready["hosts"][1]["devices"] >= len(away)
        text = (await it.client.get("/metrics")).text
        assert 'twinfold_host_state{host="host-001",state="away"} 1.0' in text
        assert 'twinfold_host_cursor{host="host-001"}' not in text
        one = {"device": away[0], "time": T0 + SECOND_US, "values": {"vibration": 2.0}}
        refused = await it.post("/api/readings", {"readings": [one]}, 503)  # nothing was taken at all
        assert refused["code"] == "fleet.degraded"

        def full(*_: Any) -> Any:
            raise StorageFullError("nothing is free")

        monkeypatch.setattr(it.fleet._local.services[1], "write", full)
        taken = await it.post("/api/readings", {"readings": lines[-6:]})
        assert {each["code"] for each in taken["refused"]} == {"storage.full"}
        assert all("disk" in each["reason"] for each in taken["refused"])
        assert (await it.post("/api/readings", {"readings": [one]}, 507))["code"] == "storage.full"

    run(tmp_path, test)


def test_what_is_wrong_with_a_request_is_said_in_one_shape(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        asked = {
            "/api/devices?filter=helth<1": (400, "filter.invalid"),
            "/api/devices?sort=colour": (400, "sort.invalid"),
            "/api/devices?after=x": (400, "cursor.invalid"),
            "/api/devices?cursor=x": (400, "cursor.invalid"),
            "/api/devices?limit=0": (422, "request.invalid"),
            "/api/devices?limit=9999": (422, "request.invalid"),
            "/api/devices/nobody": (404, "device.not_found"),
            "/api/devices/nobody/history": (404, "device.not_found"),
            "/api/devices/pump-01/history?channels=colour": (400, "range.invalid"),
            "/api/devices/pump-01/history?start=2026-01-01T00:00:00Z&end=2025-01-01T00:00:00Z": (
                400,
                "range.invalid",
            ),
            "/api/nothing": (404, "route.not_found"),
        }
        for path, (status, code) in asked.items():
            answer = await it.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (status, code), path
            assert answer.headers["content-type"] == "application/problem+json"
            Problem.model_validate(answer.json())
        assert (await it.post("/api/alerts/pump-01:nothing:1/acknowledge", status=404))[
            "code"
        ] == "alert.not_found"
        assert (await it.post("/api/alerts/pump-01/acknowledge", status=404))["code"] == "alert.not_found"
        for body in (
            {},
            {"duration_s": 1, "one_shot": True},
            {"duration_s": 1e12},
            {"duration_s": 1, "x": 2},
        ):
            await it.post(f"/api/alerts/{HIGH}/shelve", body, status=422)
        for content in (b"{", b"[" * 100_000, b'{"duration_s": NaN}', b'{"note": "\\ud800"}'):
            answer = await it.client.post(
                f"/api/alerts/{HIGH}/shelve", content=content, headers={"content-type": "application/json"}
            )
            assert answer.status_code in (400, 422), content[:20]
        assert (await it.client.post("/api/readings", content=b"{}")).status_code == 415
        assert (await it.client.put("/api/devices")).json()["code"] == "route.method_not_allowed"

    run(tmp_path, test)


def test_too_large_a_body_is_refused(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        answer = await it.client.post(
            "/api/readings", content=b" " * 2000, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")

        async def unsaid() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b" " * 100

        for path in ("/api/readings", f"/api/alerts/{HIGH}/reset"):
            answer = await it.client.post(
                path, content=unsaid(), headers={"content-type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")

    run(tmp_path, test, body_bytes=1000)


def test_too_much_at_once_is_refused_and_told_when_to_come_back(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        it.context.calls._busy = 10**6
        answer = await it.client.get("/api/devices/pump-01")
        it.context.calls._busy = 0
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")

    run(tmp_path, test)


def test_a_fault_of_ours_is_logged_once_and_shown_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(it: Edge) -> None:
        monkeypatch.setattr(it.fleet, "read_twin", lambda _: 1 / 0)
        answer = await it.client.get("/api/devices/pump-01")
        assert answer.status_code == 500
        assert "division" not in answer.text
        monkeypatch.setattr(it.fleet, "read_twin", _degraded)
        assert (await it.get("/api/devices/pump-01", 503))["code"] == "fleet.degraded"

    with caplog.at_level(logging.ERROR, "twinfold.api"):
        run(tmp_path, test)
    assert sum(record.exc_info is not None for record in caplog.records) == 1


def _degraded(_: str) -> Any:
    raise DegradedError("disk full")


def test_only_the_apis_own_pages_may_ask(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        asked = await it.client.get("/api/health", headers={"Host": "evil.example"})
        assert asked.status_code == 421
        foreign = {"Origin": "https://evil.example"}
        assert (await it.client.post(f"/api/alerts/{HIGH}/reset", headers=foreign)).status_code == 403
        assert (await it.client.get("/api/health", headers=foreign)).status_code == 200
        own = {"Origin": "http://localhost"}
        assert (await it.client.post(f"/api/alerts/{HIGH}/reset", headers=own)).status_code == 404
        answer = await it.client.get("/api/health")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"

    run(tmp_path, test)


def test_the_built_app_is_served_and_finds_its_own_way(tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>Twinfold</title>")
    (static / "assets" / "app-1a2b.js").write_text("1")
    (tmp_path / "secret").write_text("no")

    async def test(it: Edge) -> None:
        for path in ("/", "/devices/pump-01", "/alerts"):
            answer = await it.client.get(path)
            assert "Twinfold" in answer.text
            assert answer.headers["cache-control"] == "no-cache"
        answer = await it.client.get("/assets/app-1a2b.js")
        assert "immutable" in answer.headers["cache-control"]
        for path in ("/assets/gone.js", "/%2e%2e/secret", "/api/gone", "/..%2fsecret"):
            assert (await it.client.get(path)).status_code == 404, path

    run(tmp_path, test, static=static)


def test_the_document_of_the_api_names_every_route_and_holds_together(tmp_path: Path) -> None:
    with make_fleet(tmp_path) as fleet:
        document = make_app(fleet, tmp_path).openapi()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]
    assert "$defs" not in text
    assert "/api/readings" in document["paths"]
