"""The client against the real app over a real socket: every method, every route, and a line that breaks."""

import base64
import functools
import inspect
import json
import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serve.access import NEEDED
from serve.accounts import totp
from serve.client import Client
from serve.client import readings as client_readings
from serve.client.accounts import Accounts, Keys, OwnAccount
from serve.client.alerts import AlertCommand, Alerts
from serve.client.asked import Asked
from serve.client.connection import as_json
from serve.client.device_types import DeviceTypes
from serve.client.devices import Devices
from serve.client.jobs import Jobs
from serve.client.maintenance import MaintenanceRecords
from serve.client.models import Models
from serve.client.notifications import Notifications
from serve.client.preferences import Preferences
from serve.client.recommendations import Recommendations
from serve.client.templates import DeviceTemplates
from serve.client.whatif import WhatIf
from serve.config import ReceiversConfig
from serve.errors import ApiError, UnansweredError
from serve.problems import fleet_problem
from serve.schemas.accounts import AccountChange
from serve.schemas.alerts import AlertMatch
from serve.schemas.device_commands import DeviceMatch, SendAct
from serve.schemas.device_types import Activation
from serve.schemas.devices import DeviceItem, NewDevice
from serve.schemas.keys import KeyScope, NewKey
from serve.schemas.maintenance import Correction, Maintenance
from serve.schemas.models import PromotionReport
from serve.schemas.notifications import ChannelChange, NewChannel, NotificationRoute, RouteStep
from serve.schemas.preferences import Settings, ViewFields
from serve.schemas.readings import Reading
from serve.schemas.rehearsals import Rehearsal
from serve.schemas.stream import DataUpdate, Gap, NewAlert
from serve.schemas.templates import DeviceTemplate
from tests.models import ARRAYS, MANIFEST, measured
from tests.serve.edges import PASSWORD
from tests.serve.notices import hook
from tests.serve.served import Line, Served, served, until
from tests.serve.test_job_routes import MAPPING
from tests.serve.test_whatif_routes import SCENARIO
from twins.clock import SECOND_US
from twins.errors import OverloadedError

# FastAPI silences this one while it builds a route, which another thread that handles warnings undoes
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")

NOT_FOR_PROGRAMS = {
    "GET /{path:path}": "the app, for browsers",
    "GET /metrics": "text for Prometheus, which asks itself",
    "POST /ingest": "what POST /api/readings is, in the application of devices",
    "WS /ingest/socket": "for devices and gateways that keep a socket; a program sends batches by `send`",
    "GET /api/events/schema": "for those who generate code",
    "GET /api/devices/{device_id:path}/maintenance": "`maintenance.all(device=[…])` asks for the same",
}
NOUNS: list[type] = [
    Client, Devices, Alerts, Asked, MaintenanceRecords, Recommendations, Preferences, DeviceTypes, DeviceTemplates,
    Models, Jobs, WhatIf, Notifications,
    OwnAccount, Accounts, Keys,
]  # fmt: skip

told: set[str] = set()
"""Routes that were asked, as they are declared."""

called: set[str] = set()
"""Methods of the client that were called."""


def recording(app: Any) -> Any:
    async def around(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        if "route" in scope:
            told.add(f"{scope.get('method', 'WS')} {scope['route'].path}")

    return around


def methods() -> Iterator[tuple[type, str]]:
    for noun in NOUNS:
        for name, found in vars(noun).items():
            if not name.startswith("_") and (inspect.isfunction(found) or isinstance(found, classmethod)):
                yield noun, name


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform that all stories share: each has devices and accounts of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for noun, name in methods():
            patch.setattr(noun, name, _noted(noun, name))
        config = {"registration": "open", "receivers": ReceiversConfig(allow_private=True, patience_s=5.0)}
        with served(tmp_path_factory.mktemp("data"), recording, **config) as found:
            yield found


def _noted(noun: type, name: str) -> Any:
    found = vars(noun)[name]
    inner = found.__func__ if isinstance(found, classmethod) else found

    @functools.wraps(inner)
    def outer(*arguments: Any, **more: Any) -> Any:
        called.add(f"{noun.__name__}.{name}")
        return inner(*arguments, **more)

    return classmethod(outer) if isinstance(found, classmethod) else outer


def pumps(client: Client, *ids: str) -> None:
    client.devices.register([NewDevice(id=each, type="pump", site="drammen") for each in ids])


def now_us(it: Served, after_s: float = 0.0) -> int:
    it.clock.advance_to(it.clock.now_us() + round(after_s * SECOND_US))
    return it.clock.now_us()


# -- stories: each of one noun, in any order -----------------------------------------------------------------------


def fleet(it: Served, client: Client) -> None:
    assert client.is_up()
    until(lambda: client.ready().ready)
    assert [host.state for host in client.ready().hosts] == ["ready", "ready"]
    assert "ray" in client.system().software
    summary = client.summary()
    assert summary.devices >= 7
    site = next(each for each in client.map().sites if each.site == "bergen")
    assert client.cell("bergen", site.count - 1).site == "bergen"
    assert client.me().name == "local"
    with pytest.raises(ApiError) as refused:
        client.cell("bergen", 9_999)
    assert (refused.value.status, refused.value.code) == (404, "map.no_such_cell")


def devices(it: Served, client: Client) -> None:
    odd = "hall/ä b#1"
    made = client.devices.register([{"id": odd, "type": "pump", "site": "moss", "labels": {"line": "9"}}])
    again = client.devices.register([NewDevice(id="moss-2", type="pump", site="moss")], key="twice")
    assert client.devices.register([NewDevice(id="moss-2", type="pump", site="moss")], key="twice") == again
    assert made.registered == 1
    cursor = again.cursor
    assert [each.id for each in client.devices.all("site = 'moss'", cursor=cursor)] == [odd, "moss-2"]
    pages = list(client.devices.pages("site = 'moss'", sort="-id", limit=1))
    assert [(page.items[0].id, page.total) for page in pages] == [("moss-2", 2), (odd, 2)]
    table = client.devices.table("site = 'moss'")
    assert table.column_names == list(DeviceItem.model_fields)
    frame = table.to_pandas()
    assert frame["labels"].tolist() == [[("line", "9")], []]
    assert frame["status"].tolist() == ["silent", "silent"]
    assert client.devices.table("site = 'nowhere'").schema == table.schema
    found = client.devices.one(odd)
    assert (found.id, found.labels) == (odd, {"line": "9"})
    client.maintenance.record(odd, Maintenance(kind="repair", action="replace-bearing", note="noisy"))
    assert client.devices.one(odd).life_cycle == found.life_cycle + 1
    assert client.devices.events(odd)[0].type == "maintenance.recorded"
    act = {"type": "maintenance", "kind": "inspection", "note": "all of them"}
    match = DeviceMatch(filter="site = 'moss'", q="moss-")
    counted = client.devices.do_all(act, match, dry_run=True)
    assert (counted.matched, counted.by_type, counted.cursor) == (1, {"pump": 1}, None)
    assert client.devices.do_all(act, match).done == 1
    some = client.devices.do_all(SendAct(type="send", command="start"), [odd, "moss-99"], key="start")
    assert (some.done, [(each.device, each.code) for each in some.refused]) == (
        1,
        [("moss-99", "device.not_found")],
    )
    assert client.devices.do_all(SendAct(type="send", command="start"), [odd, "moss-99"], key="start") == some
    client.devices.retire("moss-2")
    assert client.devices.one("moss-2").status == "retired"
    with pytest.raises(ApiError) as refused:
        client.devices.one("moss-99")
    assert refused.value.code == "device.not_found"
    assert refused.value.facts["device_id"] == "moss-99"
    assert "moss-99" in str(refused.value)
    again_error = pickle.loads(pickle.dumps(refused.value))
    assert (again_error.code, again_error.facts) == (refused.value.code, refused.value.facts)


def history(it: Served, client: Client) -> None:
    """Twelve thousand readings are more than any answer holds: all of them come, as they were sent."""
    pumps(client, "long")
    rows = 12_000
    times = now_us(it) + SECOND_US * np.arange(1, rows + 1)
    it.clock.advance_to(int(times[-1]))
    flow = np.round(100 + 20 * np.sin(np.arange(rows) / 50), 1)
    taken = client.send({"device": ["long"] * rows, "time": times, "flow": flow})
    assert sum(taken.accepted.values()) == rows
    chart = client.devices.history("long", ["flow"], points=100)
    assert chart.bucket_s is not None
    assert chart.channels["flow"].max is not None
    table = client.devices.readings("long", ["flow"])
    assert table["time"].cast(pa.int64()).to_pylist() == (times // 1_000).tolist()
    assert table["flow"].to_pylist() == flow.tolist()
    end = chart.end - timedelta(seconds=rows / 2)
    some = client.devices.readings("long", ["flow"], start=end - timedelta(seconds=10), end=end)
    assert 9 <= some.num_rows <= 11
    assert client.devices.readings("long", start=end, end=end + timedelta(seconds=2)).column_names == [
        "time", "vibration", "flow", "running",
    ]  # fmt: skip
    condition = client.devices.condition("long")
    assert len(condition.time) == len(condition.health)
    assert client.devices.prognosis("long").model_version is None
    assert client.devices.prognoses("long").p_fail_7d == []
    with pytest.raises(ApiError) as refused:
        client.devices.history("long", ["fluw"])
    assert refused.value.code == "range.invalid"


def readings(it: Served, client: Client) -> None:
    pumps(client, "s-1", "s-2")
    at = now_us(it, 60)
    stamps = pd.to_datetime([at - 2 * SECOND_US, at - SECOND_US], unit="us", utc=True)
    columns = {"device": ["s-1", "s-2"], "time": stamps, "flow": [math.nan, 20.0]}
    frame = pd.DataFrame({**columns, "vibration": [2.0, 2.0]})
    sent = client.send(frame[frame["flow"].isna()])  # an index that is no range is no column
    assert (sent.accepted, sent.refused_total) == (
        {"scored": 1},
        0,
    )  # NaN of a frame: not sent, hence not bad
    assert client.send(frame.iloc[1:].set_index("time")).accepted == {"scored": 1}
    table = pa.table(
        {"device": ["s-1"], "time": pa.array([at], pa.timestamp("us", "UTC")), "flow": [math.nan]}
    )
    assert client.send(table).accepted == {"bad": 1}
    assert client.send(table.to_batches()[0]).accepted == {"duplicate": 1}
    lines = [
        Reading(device="s-1", time=now_us(it, 1), values={"flow": 3.0}),
        {"device": "s-9", "time": now_us(it), "values": {"flow": 3.0}},
    ]
    taken = client.send(lines, device_type="pump")
    assert taken.accepted == {"scored": 1}
    assert [(each.index, each.code) for each in taken.refused] == [(1, "device.not_found")]
    assert client.devices.one("s-1").values["flow"].value == 3.0
    other = client.send({"device": ["s-1"], "time": [now_us(it, 1)], "flow": [1.0]}, device_type="meter")
    assert other.refused[0].code == "device.other_type"
    assert client.send([]).accepted == {}
    with pytest.raises(ValueError, match="JSON"):
        client.send([{"device": "s-1", "time": at, "values": {"flow": math.nan}}])


def parts(it: Served, client: Client) -> None:
    """What is cut into several requests is told of as if it were one."""
    pumps(client, "p-1", "p-2")
    start = now_us(it)
    it.clock.advance_to(start + 100 * SECOND_US)
    devices = ["p-1", "p-2", "p-3", "p-1", "p-9"] * 4
    times = [start + SECOND_US * (n + 1) for n in range(20)]
    lines = [
        {"device": each, "time": at, "values": {"flow": 1.5}} for each, at in zip(devices, times, strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_readings, "MOST_ROWS", 3)
        patch.setattr(client_readings, "MOST_LINES", 3)
        columns = client.send({"device": devices, "time": times, "flow": [1.5] * 20})
        again = client.send(lines)
    where = [n for n, each in enumerate(devices) if each in ("p-3", "p-9")]
    for taken in (columns, again):
        assert sum(taken.accepted.values()) == 12, taken
        assert taken.refused_total == 8
        assert [each.index for each in taken.refused] == where
    assert again.accepted.keys() <= {"duplicate", "late"}
    assert client.summary(columns.cursor).devices


def alerts(it: Served, client: Client) -> None:
    pumps(client, "a-1", "a-2", "a-3")
    at = now_us(it, 1)
    names = ["a-1", "a-2", "a-3"]
    taken = client.send({"device": names, "time": [at] * 3, "vibration": [9.0] * 3, "flow": [0.0] * 3})
    found = list(client.alerts.all(device=names, cursor=taken.cursor))
    assert [each.rule for each in found] == ["dry"] * 3 + ["vibration-high"] * 3
    page = next(client.alerts.pages(device=names, priority=["high"], state=["UNACK"], limit=2))
    assert (page.total, len(page.items), page.counts.critical) == (3, 2, 3)
    assert len(list(client.alerts.all(site=["drammen"], type=["pump"], device=names))) == 6
    one = "a-1:vibration-high:1"
    done = client.alerts.do("acknowledge", one, note="on it")
    assert [each.id for each in client.alerts.all(state=["ACKED"], device=["a-1"], cursor=done.cursor)] == [
        one
    ]
    client.alerts.do("assign", one, assignee="kari")
    client.alerts.do("comment", one, note="a bearing")
    asides: list[tuple[AlertCommand, AlertCommand, dict[str, Any]]] = [
        ("shelve", "unshelve", {"duration_s": 60, "reason": "swap"}),
        ("suppress", "unsuppress", {"reason": "test"}),
        ("remove-from-service", "return-to-service", {"reason": "test"}),
    ]
    for there, back, more in asides:  # what comes back is raised again: the next occurrence
        done = client.alerts.do(there, one, **more)
        done = client.alerts.do(back, one)
        found = list(client.alerts.all(device=["a-1"], priority=["high"], cursor=done.cursor))
        one = found[0].id
    now = now_us(it, 1)
    client.send({"device": ["a-1"], "time": [now], "flow": [50.0]})
    client.alerts.do("acknowledge", "a-1:dry:1", key="once")
    client.alerts.do("acknowledge", "a-1:dry:1", key="once")
    client.alerts.do("reset", "a-1:dry:1")
    match = AlertMatch(device=["a-2", "a-3"], priority=["high"])
    counted = client.alerts.do_all("acknowledge", match, dry_run=True)
    assert (counted.matched, counted.done) == (2, 0)
    assert client.alerts.do_all("acknowledge", match, note="both").done == 2
    some = client.alerts.do_all("shelve", ["a-2:dry:1", "a-2:dry:7"], duration_s=60, reason="swap")
    assert (some.done, some.refused[0].alert) == (1, "a-2:dry:7")
    with pytest.raises(ApiError) as refused:
        client.alerts.do("acknowledge", "a-2:dry:7")
    assert refused.value.status in (404, 409)
    with pytest.raises(ValueError, match="duration_s"):
        client.alerts.do("shelve", one)
    assert client.alerts.kpis(hours=1).raised >= 6
    assert client.alerts.notes().shelve == ["critical", "high", "medium", "low"]
    assert client.alerts.kpis(1, "site = 'drammen'").raised >= 6
    (dry, *_) = client.alerts.groups("rule", "site = 'drammen'", priority=["critical"]).items
    assert (dry.rule, dry.site, dry.total, dry.first.rule) == ("dry", None, 2, "dry")
    told = list(client.devices.all_events("site = 'drammen'", kind=["alert"], device=["a-1"], rule=["dry"]))
    assert [each.type for each in told][-1] == "alert.raised"
    assert {each.priority for each in told} == {"critical"}
    counted = {each.type: each.events for each in client.devices.event_counts("id = 'a-1'").items}
    assert counted["alert.raised"] == sum(
        each.type == "alert.raised" for each in client.devices.all_events("id = 'a-1'")
    )


def maintenance(it: Served, client: Client) -> None:
    pumps(client, "m-1")
    client.maintenance.record("m-1", Maintenance(kind="repair", note="noisy"), key="m")
    client.maintenance.record("m-1", Maintenance(kind="repair", note="noisy"), key="m")
    (found,) = client.maintenance.all(device=["m-1"], kind=["repair"])
    client.maintenance.correct(found.id, Correction(kind="inspection", reason="nothing was wrong"))
    record = client.maintenance.one(found.id)
    assert (record.kind, [each.reason for each in record.history]) == ("inspection", ["nothing was wrong"])
    assert list(client.maintenance.all("kind = 'repair'", device=["m-1"])) == []


def recommendations(it: Served, client: Client) -> None:
    pumps(client, "r-1")
    taken = client.send([{"device": "r-1", "time": now_us(it, 1), "values": {"vibration": 9.0, "flow": 5.0}}])
    (found,) = client.recommendations.all(device=["r-1"], cursor=taken.cursor)
    assert (found.failure_mode, [action.name for action in found.actions]) == (
        "bearing-wear",
        ["replace-bearing"],
    )
    assert client.recommendations.of("r-1") == [found]
    assert list(client.recommendations.all("confidence = 'likely'", device=["r-1"])) == []
    one = client.recommendations.one(found.id)
    assert one.id == found.id
    assert one.cases is not None
    simulated = client.recommendations.simulation(found.id)
    assert (simulated.id, simulated.action) == (found.id, "replace-bearing")
    assert (simulated.futures == 0) == (simulated.why_not is not None)
    dismissed = client.recommendations.dismiss(found.id, "a loose sensor").decision
    assert (dismissed.state, dismissed.note) == ("dismissed", "a loose sensor")
    assert list(client.recommendations.all(device=["r-1"])) == []
    assert client.recommendations.accept(found.id, "on Tuesday").decision.state == "accepted"
    done = client.recommendations.done(found.id, "fault_confirmed", "replace-bearing", key="done")
    assert client.recommendations.done(
        found.id, "fault_confirmed", "replace-bearing", key="done"
    ).decision == (done.decision)
    assert (done.decision.outcome, done.decision.accepted_by) == ("fault_confirmed", "local")
    (record,) = client.maintenance.all(device=["r-1"])
    assert (record.kind, record.failure_mode, record.life_cycle) == ("replacement", "bearing-wear", 1)
    (tally,) = [each for each in client.recommendations.record() if each.failure_mode == "bearing-wear"]
    assert (tally.type, tally.hits) == ("pump", 1)
    decided = client.recommendations.all(device=["r-1"], decision=["done"], cursor=done.cursor)
    assert [each.id for each in decided] == [found.id]


def preferences(it: Served, client: Client) -> None:
    kept = client.preferences
    made = kept.add_view(ViewFields(page="devices", name="worn", filter="health < 50"))
    assert list(kept.views("devices")) == [made] == [kept.view(made.id)]
    shared = kept.change_view(made.id, ViewFields(page="devices", name="worn", shared=True), made.revision)
    assert (shared.shared, shared.revision) == (True, 2)
    kept.remove_view(made.id, shared.revision)
    assert list(kept.views()) == []
    assert kept.change_settings(Settings(theme="dark"), kept.settings().revision) == kept.settings()


def types(it: Served, client: Client) -> None:
    assert [each.name for each in client.types.all()] == ["meter", "pump"]
    meter = client.types.one("meter")
    text = client.types.export("meter")
    assert client.types.check(text).valid
    assert not client.types.check("name: meter\nchannels: 7\n").valid
    staged = client.types.stage(
        "meter", text + "title: Meter\n", revision=meter.standing.revision, why="a name"
    )
    assert staged.version is not None
    with pytest.raises(ApiError) as refused:
        client.types.unstage("meter", revision=meter.standing.revision)
    assert refused.value.status == 412
    client.types.unstage("meter", revision=staged.revision)
    active = client.types.activate("meter", Activation(version=staged.version, why="a name"), revision="*")
    assert active.in_force is not None
    assert client.types.one("meter").title == "Meter"
    versions = client.types.versions("meter")
    assert [each.number for each in versions.versions] == [2, 1]
    changed = client.types.differences("meter", 1, 2)
    assert [each.path for each in changed] == ["title"]
    assert client.types.version("meter", 2).document["title"] == "Meter"
    rules = client.types.export("pump", "rules")
    assert client.types.check(rules, rules_of="pump").valid
    rehearsal = client.types.rehearse("pump", rules, days=0.5)
    assert rehearsal.in_all.appeared == rehearsal.in_all.vanished == 0
    *_, rehearsed = client.jobs.follow(client.types.begin_rehearsal("pump", rules, days=0.5).id)
    assert Rehearsal.model_validate(rehearsed.result).devices == rehearsal.of_devices
    client.types.one("pump")
    louder = client.types.stage("pump", rules.replace("7.1", "9.5"), "rules", revision="*")
    assert client.types.version("pump", louder.rules or 0, "rules").part == "rules"
    assert client.types.unstage("pump", "rules", revision=louder.revision).staged_rules is None


def templates(it: Served, client: Client) -> None:
    made = client.templates.add(DeviceTemplate(name="pumps", pattern="new-*", type="pump"))
    assert client.templates.all() == [client.templates.one(made.id)]
    other = DeviceTemplate(name="pumps", pattern="newer-*", type="pump")
    changed = client.templates.change(made.id, other, made.revision)
    assert (changed.pattern, changed.revision) == ("newer-*", made.revision + 1)
    client.templates.remove(made.id, changed.revision)
    assert client.templates.all() == []


def jobs(it: Served, client: Client) -> None:
    folder = it.folder / "imports"
    folder.mkdir()
    mapping, rows = folder / "tanks.yaml", folder / "tanks.csv"
    mapping.write_text(MAPPING)
    rows.write_text("t,unit,level\n" + "".join(f"{t},north,50\n" for t in range(0, 200, 10)))
    begun = client.jobs.begin_import(mapping, [rows], live=True)
    *_, last = client.jobs.follow(begun.id)
    assert (last.state, last.progress) == ("done", 1.0)
    assert next(client.jobs.all()) == last
    with pytest.raises(ApiError) as refused:
        client.jobs.cancel(begun.id)
    assert refused.value.code == "job.ended"


def whatif(it: Served, client: Client) -> None:
    assert "pump-maintenance" in [each.name for each in client.whatif.templates()]
    assert client.whatif.check(SCENARIO).problems == []
    begun = client.whatif.begin(SCENARIO)
    *_, last = client.jobs.follow(begun.id)
    assert last.state == "done", last.message
    found = client.whatif.one(begun.id)
    assert (found.state, found.replications_done) == ("done", 2)
    assert begun.id in [each.id for each in client.whatif.all()]
    assert [each.metric for each in client.whatif.results(begun.id).metrics] == ["cost", "failures"]
    assert client.whatif.fans(begun.id, "cost").start_h == [0.0, 3.0]
    assert client.whatif.table(begun.id, "metrics", "csv").startswith(b"arm,replication")
    assert client.whatif.rerun(begun.id, "wait", 1, ["pump-01"]).traces[0].device_id == "pump-01"
    with pytest.raises(ApiError) as refused:
        client.whatif.cancel(begun.id)
    assert refused.value.code == "job.ended"
    client.whatif.delete(begun.id)
    assert begun.id not in [each.id for each in client.whatif.all()]


def models(it: Served, client: Client) -> None:
    for manifest in (MANIFEST, measured(brier=0.08)):
        it.app.state.context.models.add(manifest, ARRAYS)
    assert [each.version for each in client.models.all("pump")] == [2, 1]
    *_, job = client.jobs.follow(client.models.train("pump", with_age=False).id)
    assert (job.state, job.code) == ("failed", "training.too_few_failures")
    assert client.models.promote("pump", 1, "the first").role == "champion"
    assert client.models.one("pump", 1).features == list(MANIFEST.features)
    found = client.models.compare("pump", 2)
    assert (found.champion, found.better) == (1, True)
    assert client.models.compare("pump", 1, champion=2).better is False
    assert client.models.drift("pump").version is None
    assert client.models.report("pump", 2, days=0.5).comparison is None
    *_, job = client.jobs.follow(client.models.begin_report("pump", 2, days=0.5).id)
    assert (job.state, PromotionReport.model_validate(job.result).rules) == ("done", [])
    assert client.models.record("pump", days=2.0).versions == []
    client.models.promote("pump", 2)
    assert client.models.rollback("pump", "it cries wolf").version == 1
    assert [each.reason for each in client.models.changes("pump")] == ["it cries wolf", "", "the first"]


def notifications(it: Served, client: Client) -> None:
    desk = client.notifications
    with hook() as receiver:
        made = desk.add_channel(
            NewChannel.model_validate({"name": "on call", "kind": "webhook", "url": receiver.url})
        )
        assert made.key
        tested = desk.test_channel(made.channel.id)
        assert tested.took
    step = RouteStep(to=[f"channel:{made.channel.id}"])
    route = desk.add_route(NotificationRoute(name="all", steps=[step]))
    assert [each.id for each in desk.routes()] == [route.id]
    quieter = desk.change_route(
        route.id, NotificationRoute(name="urgent", priority="high", steps=[step]), route.revision
    )
    assert desk.route(route.id) == quieter
    changed = desk.change_channel(made.channel.id, ChannelChange(name="night"), made.channel.revision)
    assert desk.channel(made.channel.id) == changed.channel
    assert [each.name for each in desk.channels()] == ["night"]
    assert [each.kind for each in desk.deliveries(state="delivered")] == ["test"]
    assert desk.summary().deliveries == {"delivered": 1}
    desk.remove_route(route.id, "*")
    desk.remove_channel(made.channel.id, changed.channel.revision)
    assert desk.channels() == []


def accounts(it: Served, client: Client) -> None:
    once = client.accounts.create("kari", "operator")
    assert client.accounts.one("kari").must_change
    assert client.accounts.change("kari", AccountChange(role="engineer")).role == "engineer"
    assert client.accounts.create("per", "viewer", ["oslo"]).account.sites == ["oslo"]
    assert client.accounts.change("per", AccountChange(disabled=True)).sites == ["oslo"]
    assert client.accounts.change("per", AccountChange(sites=None)).sites is None
    once = client.accounts.reset_password("kari")
    with Client.log_in(it.url, "kari", once.password) as kari:
        with pytest.raises(ApiError) as refused:
            kari.summary()
        assert refused.value.code == "password.must_change"
        kari.account.change_password(once.password, PASSWORD)
        assert kari.summary().devices
        elsewhere = Client.log_in(it.url, "kari", PASSWORD)
        other = next(each for each in kari.account.sessions() if not each.is_this)
        kari.account.end_session(other.id)
        elsewhere.close()
        secret = kari.account.begin_totp().secret
        kari.account.confirm_totp(totp(secret, it.clock.now_us() // (30 * SECOND_US)))
        kari.account.end_totp(PASSWORD)
    with Client(it.url) as nobody:
        bo = nobody.account.register("bo", PASSWORD, client.accounts.invite("viewer"))
        assert bo.name == "bo"
        client.accounts.invite("viewer")
        first, *others = client.accounts.invitations()
        client.accounts.withdraw(first.id)
        assert list(client.accounts.invitations()) == others
        with pytest.raises(ApiError) as refused:
            nobody.me()
        assert refused.value.code == "login.required"
    assert {"bo", "kari"} <= {each.name for each in client.accounts.all()}
    with pytest.raises(ApiError) as refused:
        Client.log_in(it.url, "bo", "something else")
    assert refused.value.status == 401
    lines = list(client.audit())
    assert "kari" in {each.subject for each in lines}
    assert [each.number for each in lines] == sorted((each.number for each in lines), reverse=True)


def sessions(it: Served, client: Client) -> None:
    """An access token that is over is renewed unseen; a session that ended is begun anew; closing ends it."""
    once = client.accounts.create("ola", "viewer").password
    with Client.log_in(it.url, "ola", once) as ola:
        ola.account.change_password(once, PASSWORD)
    with Client.log_in(it.url, "ola", PASSWORD) as ola, Client.log_in(it.url, "ola", PASSWORD) as watching:
        began = ola.me().session
        now_us(it, 3_600)
        assert ola.me().session == began
        assert began is not None
        watching.account.end_session(began)
        now_us(it, 3_600)
        assert ola.me().session != began
        assert len(watching.account.sessions()) == 2
    with Client.log_in(it.url, "ola", PASSWORD) as ola:
        assert len(ola.account.sessions()) == 1


def keys(it: Served, client: Client) -> None:
    pumps(client, "k-1")
    made = client.keys.create(NewKey(name="gateway", scope=KeyScope(devices=["k-1"]), lasts_s=86_400))
    with Client(it.url, made.text) as gateway:
        taken = gateway.send([{"device": "k-1", "time": now_us(it, 1), "values": {"flow": 5.0}}])
        assert taken.accepted == {"scored": 1}
        with pytest.raises(ApiError) as refused:
            gateway.summary()
        assert refused.value.status == 403
    rotated = client.keys.rotate(made.key.id, overlap_s=0)
    assert rotated.text != made.text
    assert client.keys.revoke(made.key.id).revoked
    assert [each.id for each in client.keys.all()] == [made.key.id]


def asked(it: Served, client: Client) -> None:
    pumps(client, "q/1")
    done = client.asked.set("q/1", {"speed": 1800}, revision=0, note="quiet")
    assert (done.version, done.items[0].standing) == (1, "pending")
    with pytest.raises(ApiError) as late:
        client.asked.set("q/1", {"speed": 1900}, revision=0)
    assert late.value.code == "revision.conflict"
    assert client.asked.set("q/1", {"speed": None}).items[0].desired is None
    assert client.asked.properties("q/1").version == 2
    sent = client.asked.send("q/1", "stop", {"ramp_s": 5}, key="once")
    assert client.asked.send("q/1", "stop", {"ramp_s": 5}, key="once") == sent
    client.asked.cancel("q/1", sent.number, note="not now")
    assert [(each.number, each.state, each.result) for each in client.asked.commands("q/1")] == [
        (1, "cancelled", "not now")
    ]


def live(it: Served, client: Client) -> None:
    pumps(client, "l-1")
    with client.live(["alerts", "fleet", "devices"], ["l-1"]) as listening:
        messages = iter(listening)
        update = next(each for each in messages if isinstance(each, DataUpdate))
        assert update.data.fleet is not None
        client.send([{"device": "l-1", "time": now_us(it, 1), "values": {"vibration": 9.0}}])
        alert = next(each for each in messages if isinstance(each, NewAlert))
        assert alert.data.id == "l-1:vibration-high:1"
        columns = next(
            each.data.devices
            for each in messages
            if isinstance(each, DataUpdate)
            and each.data.devices
            and each.data.devices.values["vibration"] == [9.0]
        )
        assert columns.id == ["l-1"]
    again = client.live(cursor=update.cursor)
    with again:
        assert next(iter(again)) == alert.model_copy(update={"seq": 1})
    assert again.cursor == alert.cursor
    with Client(it.url, "tfl_guessed") as nobody, pytest.raises(ApiError) as refused:
        next(iter(nobody.live()))
    assert refused.value.code == "live.refused"


STORIES = [
    fleet, devices, history, readings, parts, alerts, asked, maintenance, recommendations,
    preferences, types, templates, models, jobs, whatif, notifications, accounts, sessions,
    keys, live,
]  # fmt: skip
_done: set[Callable[..., None]] = set()


def go_through(story: Callable[[Served, Client], None], it: Served) -> None:
    """Each story once, whoever asks for it."""
    if story not in _done:
        with it.client() as client:
            story(it, client)
        _done.add(story)


@pytest.mark.parametrize("story", STORIES)
def test_the_client_does_what_it_says(it: Served, story: Callable[[Served, Client], None]) -> None:
    go_through(story, it)


def test_every_route_is_reached_and_every_method_used(it: Served) -> None:
    for story in STORIES:
        go_through(story, it)
    missing = NEEDED.keys() - told - NOT_FOR_PROGRAMS.keys()
    assert not missing, "give the client a method and a story for these, or say in NOT_FOR_PROGRAMS why not"
    assert NOT_FOR_PROGRAMS.keys() - NEEDED.keys() == set()
    assert told & NOT_FOR_PROGRAMS.keys() == set()
    assert {f"{noun.__name__}.{name}" for noun, name in methods()} - called == set()
    assert set(get_args(AlertCommand)) == {
        route.rpartition("/")[2] for route in NEEDED if route.startswith("POST /api/alerts/{alert:path}/")
    }


# -- what breaks ---------------------------------------------------------------------------------------------------


def test_what_is_lost_on_its_way_back_is_asked_again_and_done_once(it: Served) -> None:
    with it.client() as local, Line(it.url) as line:
        pumps(local, "lost-1")
        token = local._credential.headers(None)["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]  # it is not asked
        with Client(line.url, token) as client:
            before = client.devices.one("lost-1")
            line.losing = 1
            assert client.summary().devices
            line.losing = 2
            client.maintenance.record("lost-1", Maintenance(kind="inspection"))
            assert line.losing == 0
            assert client.devices.one("lost-1").version == before.version + 1
            line.losing = 1
            taken = client.send([{"device": "lost-1", "time": now_us(it, 1), "values": {"flow": 5.0}}])
            assert taken.accepted == {"duplicate": 1}  # it had been taken
            line.losing = 1
            with pytest.raises(UnansweredError):  # who knows whether it was done
                client.accounts.create("lost", "viewer")
            assert local.accounts.one("lost").role == "viewer"


def test_a_busy_platform_is_asked_again_when_it_says(tmp_path: Path) -> None:
    refusals = [0]

    def busy(app: Any) -> Any:
        async def around(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and refusals[0]:
                refusals[0] -= 1
                await fleet_problem(OverloadedError("the journal is full", 1.0))(scope, receive, send)
            else:
                await app(scope, receive, send)

        return around

    with served(tmp_path, busy) as platform, platform.client() as client:
        refusals[0] = 1
        began = time.monotonic()
        assert client.accounts.create("ann", "viewer").account.name == "ann"
        assert time.monotonic() - began >= 1.0
        refusals[0] = 9
        with platform.client(patience_s=0.5) as hasty, pytest.raises(ApiError) as refused:
            hasty.me()
        assert refusals[0] == 8
        assert (refused.value.status, refused.value.code) == (429, "fleet.overloaded")
        assert refused.value.facts == {"what": "the journal is full", "retry_after_s": 1.0}


def test_the_live_socket_comes_back_where_it_was(it: Served) -> None:
    with it.client() as local, Line(it.url) as line:
        pumps(local, "cut-1", "cut-2", "cut-3")
        token = local._credential.headers(None)["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]  # it is not asked

        def shake(device: str) -> None:
            local.send([{"device": device, "time": now_us(it, 1), "values": {"vibration": 9.0}}])

        with Client(line.url, token) as client, client.live() as listening:
            messages = (each for each in listening if isinstance(each, NewAlert))
            until(lambda: it.app.state.context.sockets == 0)

            def shake_once_heard() -> None:
                until(lambda: it.app.state.context.sockets)
                shake("cut-1")

            first = threading.Thread(target=shake_once_heard)
            first.start()
            assert next(messages).data.device_id == "cut-1"
            first.join()
            line.cut()
            until(lambda: it.app.state.context.sockets == 0)
            shake("cut-2")  # nobody listens
            assert next(messages).data.device_id == "cut-2"
            shake("cut-3")
            assert next(messages).data.device_id == "cut-3"


def test_what_was_missed_is_told_as_a_gap(it: Served) -> None:
    with it.client() as client, client.live(["alerts"]) as listening:
        foreign = json.dumps([[0, 1, 2**40], [1, 1, 2**40]])
        listening.cursor = base64.urlsafe_b64encode(foreign.encode()).rstrip(b"=").decode()
        assert isinstance(next(iter(listening)), Gap)


def test_closing_ends_the_wait_of_another_thread(it: Served) -> None:
    with it.client() as client:
        listening = client.live()
        waiting = threading.Thread(target=lambda: list(listening), daemon=True)
        waiting.start()
        until(lambda: listening.cursor)
        listening.close()
        waiting.join(30)
        assert not waiting.is_alive()


def test_a_platform_that_never_answered_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with Client("http://127.0.0.1:9", "x") as client:
        for ask in (client.me, lambda: next(iter(client.live()))):
            with pytest.raises(UnansweredError, match="does not answer"):
                ask()
        assert not client.is_up()
    with pytest.raises(UnansweredError, match="twinfold status"):
        Client.local(tmp_path)
    assert time.monotonic() - began < 10


def test_a_restarted_platform_has_another_local_token(it: Served) -> None:
    with it.client() as client:
        client.me()
        it.app.state.context.access.local.renew()
        assert client.me().name == "local"


def test_a_body_holds_only_what_it_was_given() -> None:
    assert as_json(Maintenance(kind="repair")) == b'{"kind": "repair"}'
    channel = NewChannel.model_validate({"name": "x", "kind": "webhook", "url": "https://a.example/s3cret"})
    assert b"s3cret" in (as_json(channel) or b"")


def test_pages_end_and_can_be_left(it: Served) -> None:
    with it.client() as client:
        pumps(client, *(f"many-{n}" for n in range(5)))
        first = list(islice(client.devices.pages(limit=2), 2))
        assert [len(page.items) for page in first] == [2, 2]
        with suppress(StopIteration):
            next(client.devices.all("site = 'nowhere'"))
            raise AssertionError
