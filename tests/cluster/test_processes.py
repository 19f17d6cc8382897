"""What a platform does to processes, with real ones."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from cluster.processes import end_leftovers

ROOT = Path(__file__).parents[2]


def orphan(program: Path, data: Path) -> psutil.Process:
    """A process whose parent has gone, started with a folder's token as Ray's are."""
    start = f"""
import subprocess
nowhere = subprocess.DEVNULL
print(subprocess.Popen(["{program}", "600"], stdin=nowhere, stdout=nowhere, stderr=nowhere).pid)
"""
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(data / "token")}
    found = subprocess.run(
        [sys.executable, "-c", start], env=environment, capture_output=True, text=True, check=True
    )
    return psutil.Process(int(found.stdout))


def test_ends_what_was_left_behind_and_nothing_else(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    for name in ("haproxy", "other"):
        shutil.copy(sleep, tmp_path / name)
    mine, of_another_folder, of_another_name = (
        orphan(tmp_path / "haproxy", tmp_path),
        orphan(tmp_path / "haproxy", tmp_path / "elsewhere"),
        orphan(tmp_path / "other", tmp_path),
    )
    try:
        assert end_leftovers(str(tmp_path / "token")) == ["haproxy"]
        assert not mine.is_running() or mine.status() == psutil.STATUS_ZOMBIE
        assert of_another_folder.is_running()
        assert of_another_name.is_running()
        assert end_leftovers(str(tmp_path / "token")) == []
    finally:
        for process in (of_another_folder, of_another_name):
            process.kill()


def test_a_signal_to_the_platforms_group_does_not_reach_what_it_started(tmp_path: Path) -> None:
    program = f"""
import os, signal, subprocess, sys
sys.path.insert(0, {str(ROOT)!r})
from cluster.processes import own_process_group
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), os._exit(0)))
before = os.getpgrp()
with own_process_group():
    child = subprocess.Popen(["sleep", "600"])
assert os.getpgrp() == before
print(child.pid, flush=True)
while True:
    signal.pause()
"""
    for leads in (False, True):
        # a shell between, so that the platform is no leader of a session; as a group's leader or a member
        shell = f'{sys.executable} -c "$PROGRAM"; true'
        with subprocess.Popen(
            ["sh", "-mc" if leads else "-c", shell], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PROGRAM": program}, process_group=0,
        ) as platform:  # fmt: skip
            assert platform.stdout is not None
            child = psutil.Process(int(platform.stdout.readline()))
            parent = child.parent()
            assert parent is not None
            os.killpg(os.getpgid(parent.pid), signal.SIGTERM)
            assert platform.stdout.readline() == "told\n"
            assert child.is_running()
            assert child.status() != psutil.STATUS_ZOMBIE
            child.kill()
