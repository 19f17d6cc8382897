"""The kill loop in a process of its own: it forks, which a process that has used the Delta library cannot."""

import subprocess
import sys

import pytest


def run(folder, rounds, seed):
    command = [sys.executable, "-m", "tests.integration.kill_loop", str(folder), str(rounds), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path):
    run(tmp_path, rounds=12, seed=7)


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_or_doubled_in_two_hundred_rounds(tmp_path):
    run(tmp_path, rounds=200, seed=11)
