"""Templates: patterns, bounds that hold for all replicas together, and what they let in over each way."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import audit
from serve.accounts import Actor
from serve.database import Database
from serve.door import MOST_REFUSED, REFUSED_FOR_S, Door, Party
from serve.errors import RevisionConflictError, TemplateNotFoundError, UnfitError
from serve.scopes import Scope
from serve.templates import Templates, template_of
from tests.serve.edges import T0, Edge, edge, make_fleet
from twins.clock import MINUTE_US, VirtualClock
from twins.errors import DegradedError
from twins.fleet import LocalFleet

ROOT = Actor("root", "192.0.2.1")


def document(**more: Any) -> dict[str, Any]:
    return {
        "name": "pumps", "pattern": "new-*", "type": "pump", "site": "", "parent": None, "title": "", "labels": {},
        "interval_s": None, "senders": ["key", "account", "broker"], "most": 1_000, "most_a_minute": 60, **more,
    }  # fmt: skip


def test_a_pattern_says_what_a_device_becomes() -> None:
    found = template_of(
        "t",
        document(pattern="*/pump-*", site="hall {1}", parent="{1}", title="Pump {2}", labels={"no": "{2}"}),
    )
    device = found.device("line-3/pump-17")
    assert device is not None
    assert (device.site, device.parent, device.name, device.labels) == (
        "hall line-3", "line-3", "Pump 17", {"no": "17"},
    )  # fmt: skip
    for other in ("pump-17", "/pump-17", "line-3/pump-", "line-3/fan-1", "x" * 300 + "/pump-1", "a\n/pump-1"):
        assert found.device(other) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": "*"},
        {"pattern": "*/*"},
        {"pattern": "a**b"},
        {"pattern": "*a*b*"},
        {"site": "{2}"},
        {"title": "{0}"},
    ],
)
def test_a_pattern_that_says_too_much_or_too_little_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnfitError):
        template_of("t", document(**wrong))


@given(
    st.text(st.sampled_from("ab*.[(\\"), min_size=1, max_size=8),
    st.text(st.sampled_from("ab.[(\\"), max_size=8),
)
def test_only_stars_mean_anything_in_a_pattern(pattern: str, device_id: str) -> None:
    try:
        found = template_of("t", document(pattern=pattern))
    except UnfitError:
        return
    assert (found.device(device_id) is not None) == fits(pattern, device_id)


def fits(pattern: str, text: str) -> bool:
    """The slow, obvious one."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(fits(pattern[1:], text[at:]) for at in range(1, len(text) + 1))
    return bool(text) and text[0] == pattern[0] and fits(pattern[1:], text[1:])


def test_a_template_is_kept_changed_and_removed_with_its_audit(database: Database) -> None:
    templates = Templates(database, VirtualClock(T0))
    made = templates.add(document(), True, ROOT)
    assert templates.all() == [made]
    changed = templates.change(made.template.id, 1, document(site="oslo"), False, ROOT)
    assert (changed.revision, changed.template.site, changed.enabled) == (2, "oslo", False)
    with pytest.raises(RevisionConflictError):
        templates.remove(made.template.id, 1, ROOT)
    templates.remove(made.template.id, 2, ROOT)
    with pytest.raises(TemplateNotFoundError):
        templates.one(made.template.id)
    told = [line.what for line in audit.lines(database).items]
    assert told == ["template.removed", "template.changed", "template.made"]
    assert audit.verify(database) is None


def test_the_bounds_hold_for_all_replicas_together(database: Database) -> None:
    clock = VirtualClock(T0)
    replicas = [Templates(database, clock) for _ in range(4)]
    made = replicas[0].add(document(most=50, most_a_minute=20), True, ROOT)
    ids = [f"new-{i}" for i in range(3)]
    with ThreadPoolExecutor(4) as pool:
        granted = list(pool.map(lambda i: replicas[i % 4].draw(made.template, ids, "gw"), range(24)))
    assert sum(granted) == 20
    clock.advance_to(T0 + MINUTE_US)
    assert sum(replicas[0].draw(made.template, ids, "gw") for _ in range(10)) == 20
    clock.advance_to(T0 + 2 * MINUTE_US)
    assert sum(replicas[0].draw(made.template, ids, "gw") for _ in range(10)) == 10
    assert replicas[1].one(made.template.id).registered == 50
    replicas[0].change(made.template.id, None, document(most=1_000), False, ROOT)
    assert replicas[2].draw(made.template, ids, "gw") == 0


# -- what was refused -------------------------------------------------------------------------------------------------


class Counting:
    """A fleet that counts how often it is asked for what it does not know."""

    def __init__(self, fleet: LocalFleet) -> None:
        self.asked = 0
        self._refresh = fleet.refresh
        fleet.refresh = self._count  # type: ignore[method-assign]

    def _count(self) -> None:
        self.asked += 1
        self._refresh()


def test_an_id_that_was_refused_is_not_asked_for_again_at_once(tmp_path: Path) -> None:
    now = [100.0]
    with make_fleet(tmp_path) as fleet:
        asked = Counting(fleet)
        door = Door(fleet, None, lambda: now[0])
        member = door.of(Party("gw", "key"))
        for _ in range(50):
            assert member.locate(pa.array(["nobody", "pump-01"])).type_code.tolist()[0] == -1
        assert asked.asked == 1
        now[0] += REFUSED_FOR_S
        member.locate(pa.array(["nobody"]))
        assert asked.asked == 2
        door.of(Party("other", "key")).locate(pa.array(["nobody"]))
        assert asked.asked == 3  # what one may not, another may
        for start in range(0, 3 * MOST_REFUSED, 5_000):
            member.locate(pa.array([f"x{i}" for i in range(start, start + 5_000)]))
        assert len(door._refused) <= MOST_REFUSED


def test_whoever_registers_is_found_though_it_was_refused_just_now(tmp_path: Path) -> None:
    from twins.devices import Device

    with make_fleet(tmp_path) as fleet:
        member = Door(fleet).of(Party("gw", "key"))
        assert member.locate(pa.array(["late"])).host[0] < 0
        fleet.register([Device("late", "pump")])
        assert member.locate(pa.array(["late"])).host[0] >= 0


# -- what comes in ----------------------------------------------------------------------------------------------------


def reading(device: str, vibration: float = 1.0) -> dict[str, Any]:
    return {"device": device, "time": T0, "values": {"vibration": vibration}}


async def add(it: Edge, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await it.post("/api/templates", document(**more), 201)
    return made


async def key(it: Edge, **scope: Any) -> dict[str, str]:
    made = await it.post("/api/keys", {"name": "gw", "scope": {"everything": False, **scope}}, 201)
    return {"Authorization": f"Bearer {made['text']}"}


async def send(it: Edge, devices: list[str], headers: dict[str, str] | None = None) -> Any:
    body = {"readings": [reading(device) for device in devices]}
    answer = await it.client.post("/ingest", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_unknown_devices_are_refused_unless_a_setting_says_otherwise(tmp_path: Path) -> None:
    async with edge(tmp_path) as it:
        await add(it)
        assert (await it.get("/api/templates"))["in_use"] is False
        answer = await send(it, ["new-1", "pump-01"])
        assert answer["accepted"] == {"scored": 1}
        assert [each["code"] for each in answer["refused"]] == ["device.not_found"]


async def test_an_unknown_device_comes_in_with_its_first_reading(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        made = await add(it, site="oslo", labels={"from": "a template"})
        answer = await send(it, ["new-1", "pump-01", "other-1", "new-2", "new-1"])
        assert answer["accepted"] == {"scored": 3, "duplicate": 1}
        assert [(each["device"], each["code"]) for each in answer["refused"]] == [
            ("other-1", "device.not_found")
        ]
        state = it.fleet.twin("new-1").state()
        assert (state["site"], state["labels"]) == ("oslo", {"from": "a template"})
        assert (await it.get(f"/api/templates/{made['id']}"))["registered"] == 2
        lines = audit.lines(it.context.access.database).items
        assert lines[0].what == "template.used"
        assert lines[0].detail["devices"] == ["new-1", "new-2"]


async def test_arrow_comes_in_too(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        await add(it)
        table = pa.table({"device": ["new-7"], "time": pa.array([T0], pa.int64()), "vibration": [1.5]})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        answer = await it.client.post(
            "/ingest", content=sink.getvalue().to_pybytes(), headers={"content-type": "application/vnd.apache.arrow.stream"}
        )  # fmt: skip
        assert answer.json()["accepted"] == {"scored": 1}


async def test_a_key_brings_only_what_it_covers(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        await add(it, site="oslo", parent="gw-1")
        for scope, is_taken in (
            ({"sites": ["bergen"]}, False),
            ({"types": ["meter"]}, False),
            ({"devices": ["new-2"]}, False),
            ({"sites": ["oslo"], "gateways": ["gw-1"], "types": ["pump"]}, True),
        ):
            answer = await send(it, ["new-1"], await key(it, **scope))
            assert (answer["accepted"] == {"scored": 1}) is is_taken, scope
        # the live table has not shown it yet, and the next reading is taken all the same
        assert (await send(it, ["new-1"], await key(it, gateways=["gw-1"])))["accepted"] == {"duplicate": 1}
        assert (await send(it, ["new-1"], await key(it, gateways=["gw-2"])))["accepted"] == {}


async def test_a_template_is_for_the_senders_that_it_names(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        made = await add(it, senders=["broker"])
        assert (await send(it, ["new-1"]))["accepted"] == {}
        tag = {"If-Match": '"1"'}
        answer = await it.client.put(f"/api/templates/{made['id']}", json=document(), headers=tag)
        assert answer.status_code == 200
        assert (
            await it.client.put(f"/api/templates/{made['id']}", json=document(), headers=tag)
        ).status_code == 412
        it.context.door._refused.clear()
        it.context.door._looked_s = -1e9
        assert (await send(it, ["new-1"]))["accepted"] == {"scored": 1}


async def test_more_than_a_template_lets_in_is_refused_one_by_one(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        await add(it, most=3)
        answer = await send(it, [f"new-{i}" for i in range(5)])
        assert answer["accepted"] == {"scored": 3}
        assert [each["device"] for each in answer["refused"]] == ["new-3", "new-4"]


async def test_what_cannot_be_registered_now_is_to_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge(tmp_path, unknown="template") as it:
        await add(it)
        with monkeypatch.context() as patch:

            def away(*_: Any, **__: Any) -> Any:
                raise DegradedError("the registrar is away")

            patch.setattr(it.fleet, "register", away)
            answer = await send(it, ["new-1", "pump-01"])
            assert answer["accepted"] == {"scored": 1}
            assert [each["code"] for each in answer["refused"]] == [DegradedError.code]
        assert (await send(it, ["new-1"]))["accepted"] == {"scored": 1}


async def test_many_requests_at_once_register_each_device_once(tmp_path: Path) -> None:
    async with edge(tmp_path, unknown="template") as it:
        made = await add(it)
        answers = await asyncio.gather(*(send(it, ["new-1", f"new-{i % 4}"]) for i in range(16)))
        assert not any(answer["refused"] for answer in answers)
        assert (await it.get(f"/api/templates/{made['id']}"))["registered"] == 4


async def test_a_template_of_no_type_is_refused(tmp_path: Path) -> None:
    async with edge(tmp_path) as it:
        await it.post("/api/templates", document(type="nothing"), 404)
        await it.get("/api/templates/nothing", 404)
        assert json.dumps(await it.get("/api/templates"))


def test_a_scope_fits_whom_it_covers() -> None:
    from twins.devices import Device

    device = Device("d", "pump", site="oslo", parent="gw")
    assert Scope().fits(device)
    assert Scope.of(devices=["d"], gateways=["gw"], sites=["oslo"], types=["pump"]).fits(device)
    for wrong in ({"devices": ["e"]}, {"gateways": ["x"]}, {"sites": ["x"]}, {"types": ["x"]}):
        assert not Scope.of(**wrong).fits(device)
    assert Scope.of(gateways=["d"]).fits(device)
