"""What the platform says of its parts."""

import asyncio
from pathlib import Path

import pytest

from serve.schemas.platform import SystemInfo
from serve.system import Part, part
from tests.serve.edges import edge


def test_software_and_storage_are_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with edge(tmp_path) as it:
            found = SystemInfo.model_validate(await it.get("/api/system"))
            assert {"twinfold", "python", "ray", "duckdb"} <= found.software.keys()
            assert not found.encrypted
            assert found.storage.tables == []
            assert 0 < found.storage.free_bytes <= found.storage.total_bytes
            assert found.services == found.applications == []

    asyncio.run(test())


@pytest.mark.parametrize(
    ("said", "state", "reason"),
    [
        ({"running": True, "reason": ""}, "ready", ""),
        ({"running": False, "reason": "no such file"}, "behind", "no such file"),
        ({"state": "starting", "reason": ""}, "starting", ""),
        ({"state": "behind", "reason": "the disk is full"}, "behind", "the disk is full"),
        ({"alive": {"upkeep": True}, "problems": {"upkeep": "a file is gone"}}, "behind", "a file is gone"),
        ({"mqtt": {"connected": False, "reason": "refused"}, "asked": {"reason": ""}}, "behind", "refused"),
    ],
)
def test_each_service_is_told_in_one_shape(said: dict[str, object], state: str, reason: str) -> None:
    found = part("recorder", said)
    assert (found.name, found.state, found.reason) == ("recorder", state, reason)
    assert not {"state", "reason"} & found.facts.keys()
    assert isinstance(found, Part)
