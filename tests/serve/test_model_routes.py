"""Models over the API: lists, one of them, which is better, and putting one in force."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from serve.schemas.jobs import JobItem
from serve.schemas.models import (
    ModelChanges,
    ModelComparison,
    ModelDetail,
    ModelDrift,
    ModelItem,
    ModelList,
    ModelRecord,
    PromotionReport,
)
from tests.models import ARRAYS, MANIFEST, beside, measured
from tests.serve.edges import T0, Edge, edge
from tests.serve.test_job_routes import ended
from tests.training.pump_models import made_up, manifest_of
from training import drift
from training.registry import FOLDER
from twins.clock import DAY_US
from twins.devices import AlertRule
from twins.prognosis import SAID, Prognoses

SOON = AlertRule("soon", "p_fail_7d > 0.5", "high", "c", "r", on_delay_s=0.0, off_delay_s=0.0)


def story(folder: Path, tell: Callable[[Edge], Awaitable[None]]) -> None:
    """Tell something on an edge with three versions of a pump's model, none in force, and one of a meter's."""

    async def around() -> None:
        async with edge(folder) as it:
            for manifest in (MANIFEST, measured(brier=0.08), measured("b2", brier=0.01)):
                it.context.models.add(manifest, ARRAYS)
            it.context.models.add(replace(MANIFEST, device_type="meter"), ARRAYS)
            await tell(it)

    asyncio.run(around())


def test_lists_by_type_the_newest_first_in_pages(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        found = ModelList.model_validate(await it.get("/api/models"))
        assert [(each.type, each.version) for each in found.items] == [
            ("meter", 1), ("pump", 3), ("pump", 2), ("pump", 1),
        ]  # fmt: skip
        assert found.items[0].metrics == MANIFEST.metrics
        first = await it.get("/api/models", type="pump", limit=2)
        assert (first["total"], [each["version"] for each in first["items"]]) == (3, [3, 2])
        second = await it.get("/api/models", type="pump", limit=2, after=first["next"])
        assert [each["version"] for each in second["items"]] == [1]
        assert (await it.get("/api/models", type="fan"))["items"] == []

    story(tmp_path, tell)


def test_one_tells_what_it_was_trained_on(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        found = ModelDetail.model_validate(await it.get("/api/models/pump/1"))
        assert (found.by, found.failures, found.data) == (MANIFEST.by, 102, MANIFEST.data)
        assert tuple(found.features) == MANIFEST.features
        assert found.calibration.reliability["24"][0].observed == 0.12
        assert found.calibration.forecast == []
        for path, code in (("pump/9", "model.not_found"), ("fan/1", "model.not_found")):
            assert (await it.get(f"/api/models/{path}", 404))["code"] == code
        await it.get("/api/models/pump/0", 422)
        await it.get("/api/models/..%2Fsecrets/1", 404)

    story(tmp_path, tell)


def test_an_engineer_puts_in_force_and_takes_back_and_the_audit_tells(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        kari, ola = it.member("kari", "engineer"), it.member("ola", "operator")
        found = await it.post("/api/models/pump/2/promote", {"reason": "better"}, **kari)
        assert ModelItem.model_validate(found).role == "champion"
        await it.post("/api/models/pump/3/promote", {}, **kari)
        refused = await it.post("/api/models/pump/1/promote", {}, 403, **ola)
        assert refused["code"] == "access.forbidden"
        assert (await it.post("/api/models/pump/rollback", {"reason": "cries wolf"}, **kari))["version"] == 2
        refused = await it.post("/api/models/pump/rollback", {}, 409, **kari)
        assert refused["code"] == "model.no_former"
        told = ModelChanges.model_validate(await it.get("/api/models/pump/changes")).changes
        assert [(each.version, each.former, each.act, each.by, each.reason) for each in told] == [
            (2, 3, "rolled_back", "kari", "cries wolf"),
            (3, 2, "promoted", "kari", ""),
            (2, None, "promoted", "kari", "better"),
        ]
        assert (await it.get("/api/models/pump/3"))["role"] == "retired"
        lines = (await it.get("/api/audit", by="kari"))["items"]
        assert [each["subject"] for each in lines if "models" in each["what"]] == [
            "/api/models/pump/rollback", "/api/models/pump/3/promote", "/api/models/pump/2/promote",
        ]  # fmt: skip

    story(tmp_path, tell)


def test_compares_with_another_with_the_champion_or_with_nothing(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        async def compare(**query: int) -> ModelComparison:
            return ModelComparison.model_validate(await it.get("/api/models/pump/compare", **query))

        alone = await compare(b=1)
        assert (alone.champion, alone.better) == (None, True)
        two = await compare(a=1, b=2)
        assert (two.champion, two.challenger, two.better, len(two.reasons)) == (1, 2, True, 3)
        assert (two.figures[0].name, two.figures[0].champion, two.figures[0].challenger) == (
            "brier",
            0.09,
            0.08,
        )
        assert (two.held_out, two.period) == ("identity", None)
        assert two.held_out_why == "Version 1 was not in force when version 2 was trained."
        await it.post("/api/models/pump/2/promote", {})
        assert (await compare(b=1)).champion == 2
        made = it.context.models.add(replace(MANIFEST, against=beside(2)), ARRAYS)
        later = await compare(b=made.version)
        assert (later.better, later.held_out, later.held_out_why) == (True, "identity_and_time", "")
        assert later.period is not None
        assert (later.period.since.year, later.period.horizon_h) == (2026, 96.0)
        assert (later.figures[0].champion, later.figures[0].challenger) == (0.09, 0.07)
        other = await compare(b=3)
        assert (other.better, other.comparable, other.held_out) == (False, False, None)
        await it.get("/api/models/pump/compare", 422)

    story(tmp_path, tell)


def test_a_damaged_one_is_told_and_cannot_be_put_in_force(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        (tmp_path / FOLDER / "pump" / "1" / "model.npz").write_bytes(b"")
        told = await it.post("/api/models/pump/1/promote", {}, 500)
        assert told["code"] == "model.damaged"
        assert str(tmp_path) not in str(told)
        (tmp_path / FOLDER / "pump" / "2" / "manifest.json").write_text("")
        assert [each["version"] for each in (await it.get("/api/models", type="pump"))["items"]] == [3, 1]

    story(tmp_path, tell)


def test_drift_is_of_the_version_in_force_once_it_was_asked(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        async def told() -> ModelDrift:
            return ModelDrift.model_validate(await it.get("/api/models/pump/drift"))

        folder = tmp_path / FOLDER
        assert (await told()).version is None
        await it.post("/api/models/pump/1/promote", {})
        risk = np.linspace(0.0, 0.5, 100, dtype=np.float32)
        drift.note(folder, "pump", 1, 100, 70, risk[:30], T0)
        young = await told()
        assert (young.version, young.unlike, young.since, young.index, young.bins) == (1, 70, None, None, [])
        assert young.reasons == ["unlike"]
        for shift, at_us in ((0.0, T0 + 1), (0.3, T0 + 2)):
            drift.note(folder, "pump", 1, 110, 10, risk + np.float32(shift), at_us)
        moved = await told()
        assert (moved.devices, moved.reasons, len(moved.bins)) == (110, ["shift"], 10)
        assert moved.index is not None
        assert moved.limit is not None
        assert moved.index > moved.limit
        assert [each.first for each in moved.bins] == [10] * 10
        assert (moved.bins[-1].upto, moved.bins[0].now) == (None, 0)
        await it.post("/api/models/pump/2/promote", {})
        assert (await told()).version is None
        assert (await it.get("/api/models/fan/drift"))["version"] is None

    story(tmp_path, tell)


def test_the_record_is_of_what_was_told_and_came(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        for second in range(1, 4):
            await it.read("pump-01", second, {"vibration": 2.0})
        (host,) = it.fleet.locate(pa.array(["pump-01"])).host.tolist()
        found = it.fleet.scorable(host, "pump", 0, 100, True)
        assert found is not None
        n = len(found.rows)
        it.fleet.score(
            host,
            Prognoses(
                device_type="pump", model=2, seal=found.seal, rows=found.rows, life_cycle=found.life_cycle,
                event_us=found.event_us, p_fail=np.full((n, 3), 0.75, np.float32), rul_h=np.full((n, 3), 9.0, np.float32),
                mode=np.full(n, -1, np.int8), share=np.full(n, np.nan, np.float32), said=np.full(n, SAID, np.uint8),
                like_healthy=np.full(n, 0.25, np.float32),
            ),
        )  # fmt: skip
        it.clock.advance_to(it.clock.now_us() + 2 * DAY_US)
        await it.post("/api/devices/pump-01/maintenance", {"kind": "failure"})
        it.clock.advance_to(it.clock.now_us() + 8 * DAY_US)
        told = ModelRecord.model_validate(await it.get("/api/models/pump/record", days=30))
        (only,) = told.versions
        assert (told.devices, told.of_devices, only.version, only.shadow) == (1, 1, 2, False)
        assert (only.failures, only.missed, only.moments, only.brier) == (1, 0, 2, 0.0625)
        assert only.lead is not None
        assert abs(only.lead.p50_h - 48.0) < 0.01
        assert (await it.get("/api/models/pump/record", days=1))["versions"] == []
        assert (await it.get("/api/models/fan/record", 404))["code"] == "device_type.not_found"
        foreigner = it.member("kari", "viewer", ["elsewhere"])
        answer = await it.client.get("/api/models/pump/record", headers=foreigner)
        assert answer.json()["of_devices"] == 0

    story(tmp_path, tell)


def test_a_report_tells_what_a_version_would_change(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        models = it.context.models
        silent = PromotionReport.model_validate(await it.post("/api/models/pump/2/report", {}))
        assert (silent.candidate, silent.in_force, silent.rules, silent.comparison) == (2, None, [], None)
        of = replace(it.fleet.types["pump"], version=2, rules=(*it.fleet.types["pump"].rules, SOON))
        await it.context.call(it.fleet.install, of)
        for middle_h in (900.0, 20.0):
            models.add(manifest_of(of), made_up(of, middle_h=middle_h, moves_h=0.0).arrays())
        for second in range(1, 12):
            await it.read("pump-01", 3600 * second, {"vibration": 2.0, "flow": 70.0})
        await it.fresh()
        await it.post("/api/models/pump/4/promote", {})
        kari = it.member("kari", "engineer")
        found = PromotionReport.model_validate(
            await it.post("/api/models/pump/5/report?days=0.4&seed=3", {}, **kari)
        )
        assert (found.candidate, found.in_force, found.rules) == (5, 4, ["soon"])
        assert found.comparison is not None
        assert (found.comparison.in_all.before, found.comparison.in_all.appeared) == (0, 1)
        assert [(each.device_id, each.change) for each in found.comparison.examples] == [
            ("pump-01", "appeared")
        ]
        job = await ended(it, await it.post("/api/models/pump/5/reports?days=0.4&seed=3", {}, 202))
        assert (job["state"], job["kind"]) == ("done", "promotion"), job
        assert PromotionReport.model_validate(job["result"]) == found
        assert (await it.post("/api/models/pump/1/report", {}, 409))["code"] == "model.unfit"
        assert (await it.post("/api/models/pump/9/report", {}, 404))["code"] == "model.not_found"
        assert (await it.post("/api/models/fan/1/report", {}, 404))["code"] == "device_type.not_found"
        assert (await it.post("/api/models/pump/5/report?days=99", {}, 422))["code"]
        within = it.member("ola", "engineer", ["elsewhere"])
        assert (await it.post("/api/models/pump/5/report", {}, 400, **within))["code"] == "range.invalid"
        assert (await it.post("/api/models/pump/5/reports", {}, 403, **within))["code"] == "access.sites"

    story(tmp_path, tell)


def test_training_is_a_job_that_says_why_it_made_no_model(tmp_path: Path) -> None:
    async def tell(it: Edge) -> None:
        begun = JobItem.model_validate(await it.post("/api/models/pump/train", {"with_age": False}, 202))
        assert (begun.kind, begun.request["type"], begun.request["with_age"]) == ("training", "pump", False)
        last = begun
        while last.state in ("queued", "running"):
            last = JobItem.model_validate(await it.get(f"/api/jobs/{begun.id}", after=last.version))
        assert (last.state, last.code) == ("failed", "training.too_few_failures")
        assert "0 failures of type 'pump'" in last.message
        assert (await it.post("/api/models/fan/train", {}, 404))["code"] == "device_type.not_found"

    story(tmp_path, tell)
