"""Jobs over the API: begin an import, follow it, end one, and what is not shown."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.serve.edges import Edge, edge

MAPPING = """\
mapping: tanks
device:
  id: "{unit}"
  type:
    name: tank
    interval_s: 10
    channels:
      - {name: level, unit: "%", low: 0, high: 100}
time: {column: t, format: epoch_s}
channels: {level: level}
"""


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """A request for an import of twenty rows, one of them bad."""
    (tmp_path / "tanks.yaml").write_text(MAPPING)
    rows = "".join(f"{t},north,{50 if t else 'half'}\n" for t in range(0, 200, 10))
    (tmp_path / "tanks.csv").write_text("t,unit,level\n" + rows)
    return {"mapping": str(tmp_path / "tanks.yaml"), "files": [str(tmp_path / "tanks.csv")], "live": True}


async def ended(it: Edge, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(100):
        if job["state"] not in ("queued", "running"):
            return job
        job = await it.get(f"/api/jobs/{job['id']}", after=job["version"])
    raise AssertionError(f"it did not end: {job}")


def test_an_import_is_a_job_that_can_be_followed(tmp_path: Path, asked: dict[str, Any]) -> None:
    async def story() -> None:
        async with edge(tmp_path / "data") as it:
            begun = await it.post("/api/imports", asked, 202)
            assert begun["kind"] == "import"
            assert begun["by"] == "local"
            job = await ended(it, begun)
            assert job["state"] == "done", job
            assert job["progress"] == 1.0
            assert job["result"]["fates"] == {"scored": 19, "bad": 1}
            assert (await it.get("/api/jobs"))["items"] == [job]
            assert str(tmp_path) not in str(job)  # an engineer sees names, no folders of the machine
            assert job["request"] == {"mapping": "tanks.yaml", "files": ["tanks.csv"], "live": True}
            assert job["result"]["problems"][0]["file"] == "tanks.csv"
            refused = await it.post(f"/api/jobs/{job['id']}/cancel", status=409)
            assert refused["code"] == "job.ended"

    asyncio.run(story())


def test_people_may_look_at_jobs_and_not_name_files_of_the_machine(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    async def story() -> None:
        async with edge(tmp_path / "data") as it:
            job = await ended(it, await it.post("/api/imports", asked, 202))
            for role, status in (("engineer", 200), ("operator", 403), ("viewer", 403)):
                headers = it.member(f"{role}-1", role)  # type: ignore[arg-type]  # a loop over Literals is str
                assert (await it.client.get("/api/jobs", headers=headers)).status_code == status
                answer = await it.client.get(f"/api/jobs/{job['id']}", headers=headers)
                assert answer.status_code == status
            for role in ("engineer", "admin"):
                headers = it.member(f"{role}-2", role)  # type: ignore[arg-type]  # a loop over Literals is str
                answer = await it.client.post("/api/imports", json=asked, headers=headers)
                assert answer.status_code == 403, answer.text

    asyncio.run(story())


def test_what_cannot_be_read_is_refused_before_it_begins(tmp_path: Path, asked: dict[str, Any]) -> None:
    async def story() -> None:
        async with edge(tmp_path / "data") as it:
            missing = await it.post("/api/imports", {**asked, "files": [str(tmp_path / "no.csv")]}, 422)
            assert missing["code"] == "source_file.unreadable"
            other = await it.post("/api/imports", {**asked, "mapping": str(tmp_path / "no.yaml")}, 422)
            assert other["code"] == "mapping.invalid"
            assert (await it.get("/api/jobs"))["items"] == []
            assert (await it.get("/api/jobs/import-7", 404))["code"] == "job.not_found"
            assert (await it.post("/api/jobs/import-7/cancel", status=404))["code"] == "job.not_found"

    asyncio.run(story())
