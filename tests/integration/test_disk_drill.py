"""A whole platform whose disk fills up under a stream of readings, again and again, and what is there afterwards."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.integration.running import PATIENCE_S, hosts, register, send, twinfold_up, until
from training.history import History
from training.recorder import journals_in
from twins.devices import Channel, DeviceType

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

PROBE = DeviceType(
    "probe", 1, tuple(Channel(name, "1", low=0, high=1e6, resolution=0.01, dtype="float64") for name in "abc"),
    interval_s=0.02,
)  # fmt: skip
DEVICES = [f"probe-{number:03d}" for number in range(100)]
STEPS = 50
"""Readings of each device in a batch, 20 ms apart."""

DISK_MB = 96
ROUNDS = 3
REFUSED_FOR_S = 10.0


@pytest.fixture
def disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tfd-", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system is left to root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def take_up_room(disk: Path, leave: int) -> None:
    with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while (free := room(disk)) > leave:
            file.write(bytes(min(free - leave, 1 << 20)))


def values_of(number: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """What batch ``number`` says, (lines, 3): no two lines alike, and nothing that packs well."""
    drawn = np.random.default_rng(number).integers(0, 10**7, (len(DEVICES) * STEPS, 3))
    return drawn / 100.0


def batch(number: int, start_us: int) -> pa.Table:
    """Batch ``number`` of the stream: the next ``STEPS`` readings of every device."""
    times = start_us + (number * STEPS + np.arange(STEPS)) * 20_000
    columns = {
        "device": pa.array(np.repeat(DEVICES, STEPS)),
        "time": pa.array(np.tile(times, len(DEVICES)), pa.timestamp("us", "UTC")),
    }
    return pa.table({**columns, **dict(zip("abc", values_of(number).T, strict=True))})


def test_a_platform_on_a_full_disk_refuses_in_words_and_loses_and_doubles_nothing(disk: Path) -> None:
    data = disk / "data"
    settings = {"FLEET__JOURNAL_FILE_MB": "1", "HISTORY__COMMIT_EVERY_S": "2"}
    start_us = (time.time_ns() // 1_000_000 - 3_600_000) * 1000
    refusals: Counter[tuple[int, str]] = Counter()
    told: set[str] = set()
    waits_s: list[float] = []
    number = 0

    def take(client: httpx.Client) -> None:
        """Send the next batch until it is taken."""
        deadline = time.monotonic() + PATIENCE_S
        while not taken(send(client, batch(number, start_us))):
            assert time.monotonic() < deadline, "writing did not resume"
            time.sleep(0.25)  # a sender that waits before it asks again

    def taken(answer: httpx.Response) -> bool:
        """Whether the next batch is in, all of it. A part that was refused has to be sent again, and may be sent whole."""
        nonlocal number
        said = answer.json()
        if answer.status_code != 200:
            refusals[answer.status_code, said["code"]] += 1
            assert answer.status_code in (429, 507), answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.status_code == 429 or "the disk is full; free space on it" in said["detail"], said
            return False
        assert said["accepted"].keys() <= {"scored", "duplicate", "late"}, answer.text
        assert sum(said["accepted"].values()) + said["refused_total"] == len(DEVICES) * STEPS, answer.text
        for each in said["refused"]:
            refusals[200, each["code"]] += 1
            assert each["code"] in ("fleet.degraded", "storage.full"), answer.text
        number += said["refused_total"] == 0
        return bool(said["refused_total"] == 0)

    with twinfold_up(data, [PROBE], settings) as running, running.client() as client:
        register(client, PROBE.name, DEVICES)
        for _ in range(10):
            take(client)
        for _ in range(ROUNDS):
            take_up_room(disk, leave=6 << 20)
            while taken(send(client, batch(number, start_us))):
                pass
            ended = time.monotonic() + REFUSED_FOR_S
            while time.monotonic() < ended:  # nobody makes room: refused in words, and read all the same
                take_up_room(disk, leave=0)
                taken(
                    send(client, batch(number, start_us))
                )  # the journal may be cut meanwhile, which makes room
                twin = client.get(f"/api/devices/{DEVICES[number % len(DEVICES)]}")
                assert twin.status_code == 200, twin.text
                told.update(host["reason"] for host in hosts(client) if host["state"] == "degraded")
            (disk / "ballast").unlink()
            began = time.monotonic()
            take(client)
            waits_s.append(time.monotonic() - began)
            for _ in range(10):
                take(client)
        until(lambda: all(host["archived"] == host["cursor"] for host in hosts(client)))
        until(lambda: {host["state"] for host in hosts(client)} == {"ready"})
        assert {host["reason"] for host in hosts(client)} == {""}
    assert any("the disk is full; free space on it" in reason for reason in told), told
    once_each(data, number, start_us)
    print(
        f"\n{number} batches of {len(DEVICES) * STEPS} readings on {DISK_MB} MB, {ROUNDS} times full:",
        end=" ",
    )
    print(f"refused {dict(refusals)}; taken again {max(waits_s):.1f} s at most after there was room")


def once_each(data: Path, batches: int, start_us: int) -> None:
    """Every reading that was acknowledged is in history and journals, once, as it was sent, and no other is."""
    rows = History(data / "history", journals_in(data / "hosts")).query(
        "select device_id, epoch_us(event_time) as at_us, a, b, c from readings_probe order by at_us, device_id"
    )
    steps = (rows["at_us"].to_numpy() - start_us) // 20_000
    found = Counter(zip(rows["device_id"].to_pylist(), steps.tolist(), strict=True))
    expected = {(device, step) for device in DEVICES for step in range(batches * STEPS)}
    assert sorted(expected - found.keys())[:5] == []
    assert sorted(found.keys() - expected)[:5] == []
    assert [each for each, times in found.items() if times > 1][:5] == []
    got = np.stack([rows[name].to_numpy() for name in "abc"], axis=1)
    sent = [
        values_of(n).reshape(len(DEVICES), STEPS, 3).swapaxes(0, 1).reshape(-1, 3) for n in range(batches)
    ]
    assert np.array_equal(got, np.concatenate(sent))
