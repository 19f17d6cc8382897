"""What an encrypted platform has written: nothing in its folder can be read without the key."""

import time

import pytest

from tests.integration.running import Running, register, until
from tests.sealed import holds
from twins.sealing import KEYSET_FILE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CANARY = "the seal of canary 7 leaks by the weir"
SEALED_PARQUET = b"PARE"


def test_nothing_readable_lies_in_the_folder(platform: Running) -> None:
    with platform.client() as client:
        register(client, "pump", ["sealed-1"])
        said = {"device": "sealed-1", "time": time.time_ns() // 1_000_000, "values": {"flow": 77.25}}
        assert client.post("/api/readings", json={"readings": [said]}).is_success
        done = client.post("/api/devices/sealed-1/maintenance", json={"kind": "inspection", "note": CANARY})
        assert done.is_success, done.text
        until(lambda: list(platform.data.rglob("events*/**/*.parquet")))
        assert client.get("/api/system").json()["encrypted"]
        items = client.get("/api/maintenance", params={"device": "sealed-1"}).json()["items"]
        assert [each["note"] for each in items] == [CANARY]
    assert list(platform.data.rglob(KEYSET_FILE))
    assert holds(platform.data, CANARY.encode()) == []
    files = list(platform.data.rglob("*.parquet"))
    assert files
    assert {file.read_bytes()[:4] for file in files if file.exists()} == {SEALED_PARQUET}
