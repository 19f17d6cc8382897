"""The what-if lab over the API: from a scenario to an answer, and what is refused on the way."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from serve import whatif as lab
from tests.serve.edges import Edge, edge
from tests.serve.test_job_routes import ended
from training.jobs import Job
from twins.whatif.outcomes import TABLES
from twins.whatif.scenariofiles import templates

SCENARIO = """\
name: two-ways   # said as it was written
title: Wait or look?
base: {devices: "type = 'pump' and site = 'oslo'", history_h: 24}
horizon_h: 6
bucket_h: 3
step_s: 300
replications: 2
metrics: [cost, failures]
arms:
  - name: wait
  - {name: look, policy: {kind: threshold, when: "health < 80", review_h: 1}}
"""
YAML = {"Content-Type": "application/yaml"}


async def send(it: Edge, path: str, text: str, status: int, **headers: str) -> Any:
    answer = await it.client.post(f"/api/whatif{path}", content=text, headers={**YAML, **headers})
    assert answer.status_code == status, answer.text
    return answer.json()


async def warm(it: Edge) -> None:
    for second in range(1, 4):
        await it.read("pump-01", second, {"vibration": 2.0, "flow": 100.0, "running": True})
    await it.fresh()


def test_from_a_scenario_to_an_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            await warm(it)
            checked = await send(it, "/check", SCENARIO, 200)
            assert checked["problems"] == []
            assert checked["scenario"]["name"] == "two-ways"
            assert checked["estimate"]["devices"] == {"pump": 3}
            assert checked["estimate"]["device_steps"] == 2 * 2 * 3 * 72

            begun = await send(it, "/experiments", SCENARIO, 202)
            assert begun["state"] in ("queued", "running")
            job = await ended(it, await it.get(f"/api/jobs/{begun['id']}"))
            assert job["state"] == "done", job
            path = f"/api/whatif/experiments/{begun['id']}"
            found = await it.get(path)
            assert (found["state"], found["progress"]) == ("done", 1.0)
            assert (found["replications_done"], found["replications_wanted"]) == (2, 2)
            assert found["devices"] == {"pump": 3}
            assert found["arms"] == ["wait", "look"]
            assert found["forked_at"] is not None
            assert found["scenario_text"] == SCENARIO
            assert found["manifest"]["scenario_hash"] in found["citation"]
            assert "Twinfold" in found["citation"]
            listed = (await it.get("/api/whatif/experiments"))["items"]
            assert listed == [{name: found[name] for name in listed[0]}]

            results = await it.get(f"{path}/results")
            assert (results["replications"], results["is_partial"]) == (2, False)
            assert [each["metric"] for each in results["metrics"]] == ["cost", "failures"]
            wait, look = results["metrics"][0]["arms"]
            assert wait["difference"] is None
            assert look["difference"]["n"] == 2
            assert wait["n"] == 2

            fans = await it.get(f"{path}/fans", metric="cost")
            assert fans["start_h"] == [0.0, 3.0]
            assert [len(arm["paths"]) for arm in fans["arms"]] == [2, 2]
            assert fans["arms"][0]["low"][2] == [None, None]  # two replications do not say so much
            assert (await it.get(f"{path}/fans", 400, metric="nothing"))["code"] == "request.unfit"
            assert (await it.get(f"{path}/fans", 400, metric="cost", group="x"))["code"] == "request.unfit"

            for form in ("parquet", "csv", "json"):
                answer = await it.client.get(f"{path}/tables/runs", params={"format": form})
                assert answer.status_code == 200
                assert f"runs.{form}" in answer.headers["content-disposition"]
            assert len(answer.json()) == 4
            answer = await it.client.get(f"{path}/tables/buckets")
            assert pq.read_table(io.BytesIO(answer.content)).schema.names == TABLES["buckets"].names
            values = (await it.client.get(f"{path}/tables/metrics", params={"format": "csv"})).text
            assert values.splitlines()[0] == "arm,replication,metric,value"
            assert (await it.get(f"{path}/tables/events", 400))["code"] == "request.unfit"

            body = {"arm": "look", "replication": 1, "device_ids": ["pump-01", "pump-99"]}
            again = await it.post(f"{path}/reruns", body)
            assert [each["device_id"] for each in again["traces"]] == ["pump-01"]
            assert len(again["traces"][0]["at_h"]) == 72
            assert {"vibration", "health", "wear.bearing-wear", "running"} <= again["traces"][0][
                "quantities"
            ].keys()
            assert (await it.post(f"{path}/reruns", {**body, "replication": 2}, 400))[
                "code"
            ] == "request.unfit"
            assert (await it.post(f"{path}/reruns", {**body, "device_ids": ["x"]}, 400))["status"] == 400

            assert (await it.post(f"{path}/cancel", status=409))["code"] == "job.ended"
            assert (await it.client.delete(path)).status_code == 204
            assert (await it.get(path, 404))["code"] == "whatif.not_found"
            assert (await it.get("/api/whatif/experiments"))["items"] == []
            assert not (tmp_path / "whatif" / begun["id"]).exists()

    asyncio.run(story())


def test_what_cannot_be_run_is_told_with_every_line(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            wrong = SCENARIO.replace("bucket_h: 3", "bucket_h: 4").replace("'oslo'\"", "'oslo' and x = 1\"")
            checked = await send(it, "/check", wrong, 200)
            assert [each["line"] for each in checked["problems"]] == [3, 5]
            refused = await send(it, "/experiments", wrong, 422)
            assert refused["code"] == "scenario.invalid"
            assert (refused["line"], refused["more"][0][0]) == (3, 5)
            unread = await send(it, "/check", "name: [", 200)
            assert unread["scenario"] is None
            assert unread["problems"]
            assert unread["estimate"] is None
            await send(it, "/check", SCENARIO, 415, **{"Content-Type": "image/png"})
            await send(it, "/check", "#" * 300_000, 400)
            as_json = json.dumps({"name": "x", "arms": [{"name": "a"}], "base": {"devices": "type = 'pump'"}})
            for kind in ("application/json", "text/plain"):
                assert (await send(it, "/check", as_json, 200, **{"Content-Type": kind}))["problems"] == []
            assert (await it.get("/api/whatif/experiments"))["items"] == []

    asyncio.run(story())


def test_people_name_no_files_of_the_machine(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            engineer = it.member("kari", "engineer")
            text = SCENARIO.replace("base: {", "base: {start: fleet, fleet: /etc/passwd, ")
            checked = await send(it, "/check", text, 200, **engineer)
            assert "own machine" in checked["problems"][0]["problem"]
            assert (await send(it, "/experiments", text, 422, **engineer))["code"] == "scenario.invalid"

    asyncio.run(story())


def test_roles_and_ids(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            viewer = it.member("vera", "viewer")
            some = it.member("sam", "engineer", ["oslo"])
            await send(it, "/check", SCENARIO, 403, **viewer)
            await send(it, "/experiments", SCENARIO, 403, **viewer)
            assert (await it.client.get("/api/whatif/experiments", headers=viewer)).status_code == 200
            assert (await it.client.get("/api/whatif/experiments", headers=some)).json()[
                "code"
            ] == "access.sites"
            assert (await send(it, "/experiments", SCENARIO, 403, **some))["code"] == "access.sites"
            for odd in ("whatif-1", "whatif-0", "..", "import-1", "whatif-1%2f..", "whatif-1.deleted"):
                answer = await it.client.get(f"/api/whatif/experiments/{odd}/results")
                assert answer.status_code in (404, 405), odd

    asyncio.run(story())


def test_one_that_runs_is_told_as_far_as_it_is_and_can_be_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            await warm(it)
            begun = await send(
                it, "/experiments", SCENARIO.replace("replications: 2", "replications: 9999"), 202
            )
            path = f"/api/whatif/experiments/{begun['id']}"
            before = await it.get(f"{path}/results")
            assert before["is_partial"]
            assert {arm["n"] for each in before["metrics"] for arm in each["arms"]} <= {0, 1, 2, 3}
            refused = await it.client.delete(path)
            assert refused.json()["code"] == "whatif.under_way"
            while not (await it.get(path))["replications_done"]:
                await asyncio.sleep(0.05)
            so_far = await it.get(f"{path}/results")
            assert so_far["replications"] >= 1
            assert so_far["is_partial"]
            assert (await it.post(f"{path}/cancel"))["id"] == begun["id"]
            job = await ended(it, await it.get(f"/api/jobs/{begun['id']}"))
            assert job["state"] == "cancelled"
            kept = await it.get(path)
            assert kept["replications_done"] >= 1
            assert (await it.get(f"{path}/results"))["replications"] >= 1

    asyncio.run(story())


def test_one_whose_job_is_forgotten_is_still_in_the_library(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            await warm(it)
            begun = [await send(it, "/experiments", SCENARIO, 202) for _ in range(2)]
            for each in begun:
                await ended(it, await it.get(f"/api/jobs/{each['id']}"))
            jobs: dict[str, Job] = it.context.jobs._jobs  # type: ignore[attr-defined]  # a job forgotten, as after 500 others
            del jobs[begun[0]["id"]]
            page = await it.get("/api/whatif/experiments", limit=1)
            assert [each["id"] for each in page["items"]] == [begun[1]["id"]]
            (found,) = (await it.get("/api/whatif/experiments", after=page["next"]))["items"]
            assert (found["id"], found["state"], found["by"]) == (begun[0]["id"], "done", "local")
            assert found["replications_done"] == 2

    asyncio.run(story())


def test_answers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "MOST_STRETCHES", 1)
    monkeypatch.setattr(lab, "MOST_POINTS", 10)
    monkeypatch.setattr(lab, "MOST_PATHS", 1)
    monkeypatch.setattr(lab, "MOST_JSON_ROWS", 3)

    async def story() -> None:
        async with edge(tmp_path) as it:
            await warm(it)
            begun = await send(it, "/experiments", SCENARIO, 202)
            await ended(it, await it.get(f"/api/jobs/{begun['id']}"))
            path = f"/api/whatif/experiments/{begun['id']}"
            fans = await it.get(f"{path}/fans", metric="cost")
            assert fans["start_h"] == [0.0]
            assert [len(arm["median"]) for arm in fans["arms"]] == [1, 1]
            assert [len(arm["paths"]) for arm in fans["arms"]] == [1, 1]
            assert (await it.get(f"{path}/tables/runs", 400, format="json"))["code"] == "request.unfit"
            body = {"arm": "look", "replication": 0, "device_ids": ["pump-01"]}
            (trace,) = (await it.post(f"{path}/reruns", body))["traces"]
            assert len(trace["at_h"]) == len(trace["quantities"]["health"]) <= 10
            monkeypatch.setattr(lab, "MOST_STEPS", 100)
            refused = await it.post(f"{path}/reruns", body, 400)
            assert "twinfold whatif --rerun look:0" in refused["detail"]
            await it.post(f"{path}/reruns", {**body, "device_ids": []}, 422)
            await it.post(f"{path}/reruns", {**body, "device_ids": ["x"] * 6}, 422)

    asyncio.run(story())


def test_templates_can_be_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with edge(tmp_path) as it:
            items = (await it.get("/api/whatif/templates"))["items"]
            assert {each["name"]: each["text"] for each in items} == templates()
            assert all(each["title"] for each in items)

    asyncio.run(story())
