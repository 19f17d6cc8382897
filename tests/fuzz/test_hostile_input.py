"""Nothing that is sent from outside ends the platform, is answered as its fault, or stays in its memory.

Each case is known by its door, a seed and a number: ``python -m tests.fuzz.run DOOR SEED CASES`` tells it again.
"""

import os
from pathlib import Path

import pytest

from tests.fuzz.asgi import RUNNING
from tests.fuzz.doors import DOORS
from tests.fuzz.run import MAY_GROW_BYTES, apart, through
from twins.warmup import compile_kernels

QUICK = {
    "bodies": 250, "messages": 125, "filters": 75, "cursors": 200, "credentials": 125, "documents": 30, "requests": 150,
    "device_frames": 20, "live_frames": 40,
}  # fmt: skip
"""What every run of the tests goes through, in one process."""

DRILL = {
    "bodies": 8_000, "arrow": 24_000, "messages": 26_000, "filters": 8_000, "cursors": 26_000, "credentials": 3_000,
    "documents": 1_000, "requests": 3_000, "device_frames": 600, "live_frames": 1_400,
}  # fmt: skip
"""What the drill goes through, a process a door."""

SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.parametrize("door", QUICK)
def test_no_case_is_more_than_refused(door: str) -> None:
    compile_kernels()
    assert through(door, SEED, QUICK[door]).cases == QUICK[door]


def test_no_arrow_stream_reads_out_of_bounds(tmp_path: Path) -> None:
    """In a process of its own: one that did would take it along."""
    apart("arrow", SEED, 300, tmp_path, timeout_s=240)


@pytest.mark.drill
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("door", DRILL)
def test_a_hundred_thousand_cases_cost_no_memory(door: str, tmp_path: Path) -> None:
    outcome = apart(door, SEED, DRILL[door], tmp_path, timeout_s=7_000)
    grown = f"{outcome.grown / (1 << 20):+.1f} MB since the first fifth"
    print(f"\n{door}: {outcome.cases} cases, {outcome.late >> 20} MB held, {grown}")
    assert outcome.grown < MAY_GROW_BYTES


def test_the_drill_is_a_hundred_thousand_and_leaves_no_door_out() -> None:
    assert sum(DRILL.values()) >= 100_000
    assert set(DRILL) == {*DOORS, *RUNNING} == {*QUICK, "arrow"}
