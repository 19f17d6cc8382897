"""Models by the command line, on Ray Train: trained, put in force, asked; and what is left when something dies meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from tests.integration.running import PATIENCE_S, ROOT, until
from tests.integration.test_full_disk import fill

ENGINES = ROOT / "examples/data/cmapss"
MAPPINGS = ROOT / "examples/mappings"
TRAIN = ("train", "turbofan", "--workers", "2")


class Shell:
    """Gives commands on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TWINFOLD_RAY__TEMP_DIR": str(folder / "r"),
            "TWINFOLD_RAY__OBJECT_STORE_MB": "200",
        }
        self.environment.pop("RAY_AUTH_TOKEN_PATH", None)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", "from cluster.cli import main; main()", *words]
        return subprocess.Popen(
            [*command, "--data", str(self.data), "--json"], env=self.environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def say(self, *words: str, status: int = 0) -> Any:
        process = self.begin(*words)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == status, err + out
        return json.loads(out.strip().splitlines()[-1])


@pytest.fixture
def shell() -> Iterator[Shell]:
    folder = Path(tempfile.mkdtemp(prefix="tft-", dir="/tmp"))  # sockets need a short path
    yield Shell(folder)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def imported(shell: Shell, mapping: str, files: Sequence[Path]) -> None:
    shell.say("import", str(MAPPINGS / mapping), *map(str, files))


def test_from_recorded_failures_to_a_forecast(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "forecasts.parquet"
    imported(shell, "cmapss.yaml", sorted(ENGINES.glob("train_*.gz")))
    refused = shell.say("predict", "turbofan", "--out", str(out), status=1)
    assert refused["error"]["code"] == "model.none_in_force"
    made = shell.say(*TRAIN)
    assert made["promoted"]
    assert made["metrics"]["concordance"] > 0.85
    imported(shell, "cmapss-test.yaml", sorted(ENGINES.glob("test_*.gz")))
    assert shell.say("predict", "turbofan", "--out", str(out)) == {"devices": 5, "model": 1, "out": str(out)}
    assert pq.read_table(out).num_rows == 5
    since = ("--since", "2000-01-02T00:00:00Z", "--within", "3d")
    assert shell.say("predict", "turbofan", "--out", str(out), *since)["devices"] == 25
    assert "p_fail_3d" in pq.read_schema(out).names
    before = ("--at", "2000-01-01T00:00:00Z")
    assert shell.say("predict", "turbofan", "--out", str(out), *before)["devices"] == 0
    assert [each["role"] for each in shell.say("models", "list", "turbofan")] == ["champion"]
    assert not list((shell.data / "training").iterdir())


@pytest.mark.drill
def test_a_worker_that_is_killed_and_a_driver_that_is_killed_cost_nothing(shell: Shell) -> None:
    imported(shell, "cmapss.yaml", sorted(ENGINES.glob("train_*.gz")))
    run = shell.data / "training" / "turbofan-0"

    first = shell.begin(*TRAIN)
    until(lambda: len(list(run.glob("part-*.arrow"))) >= 2 or first.poll() is not None)
    workers = [
        each
        for each in psutil.Process(first.pid).children(recursive=True)
        if "RayTrainWorker" in _title(each)
    ]
    assert workers
    workers[0].kill()
    until(lambda: len(list(run.glob("fold-*.npz"))) >= 2 or first.poll() is not None)
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert shell.say("models", "list") == []
    kept = {path.name: path.stat().st_mtime_ns for path in run.glob("part-*.arrow")}
    assert kept

    made = shell.say(*TRAIN)
    assert made["promoted"]
    assert [each["version"] for each in shell.say("models", "list")] == [1]


@pytest.mark.drill
def test_a_disk_that_fills_in_mid_training_leaves_in_force_what_is(shell: Shell) -> None:
    with small_disk(shell.data) as disk:
        imported(shell, "cmapss.yaml", sorted(ENGINES.glob("train_*.gz")))
        assert shell.say(*TRAIN)["promoted"]
        before = shell.say("models", "list")
        run = disk / "training" / "turbofan-1"

        second = shell.begin(*TRAIN, "--seed", "1")
        until(lambda: len(list(run.glob("fold-*.npz"))) >= 2 or second.poll() is not None)
        assert second.poll() is None
        ballast = fill(disk)
        out, err = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 1, err + out
        assert json.loads(out.strip().splitlines()[-1])["error"]["code"] == "training.failed"
        assert "Traceback" not in err
        assert shell.say("models", "list") == before

        ballast.unlink()
        kept = {path.name: path.stat().st_mtime_ns for path in run.glob("fold-*.npz")}
        assert kept
        made = shell.say(*TRAIN, "--seed", "1")
        assert made["model"] == 2
        assert [each["version"] for each in shell.say("models", "list")] == [2, 1]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system in memory, with room for some training and not for everything."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is left to root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
