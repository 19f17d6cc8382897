"""Cases one after another through a door, and how much memory that keeps.

``python -m tests.fuzz.run DOOR SEED CASES`` is a process of its own.

The number of each case is in shared memory before it begins, so that whoever started the process knows which one ended it.
"""

import ctypes
import ctypes.util
import gc
import json
import mmap
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow as pa

from tests.fuzz.hostile import drawn

MAY_GROW_BYTES: Final = 48 << 20
"""From the first fifth of the cases to the last: caches fill, allocators round up. A leak of some kB a case is more."""


@dataclass(frozen=True)
class Outcome:
    """How many cases went through, and the memory held after the first fifth and at the end, bytes."""

    cases: int
    early: int
    late: int

    @property
    def grown(self) -> int:
        return self.late - self.early


def through(door: str, seed: int, cases: int, told: mmap.mmap | None = None) -> Outcome:
    """Hand ``cases`` cases to a door. An exception that the door does not know carries the case's name."""
    early = 0
    with find(door)() as ask:
        for number in range(cases):
            if told is not None:
                told[:8] = number.to_bytes(8, "little")
            try:
                ask(drawn(seed, door, number))
            except Exception as error:
                raise AssertionError(f"case {number} of {door!r}, seed {seed}: {error!r}"[:2_000]) from error
            if number == cases // 5:
                early = held()
        return Outcome(cases, early, held())


def find(door: str) -> Any:
    """The door of this name; they are loaded only now, once numba knows where its cache is."""
    from tests.fuzz.asgi import RUNNING
    from tests.fuzz.doors import DOORS

    return {**DOORS, **RUNNING}[door]


def held() -> int:
    """Resident memory, once everything that nobody needs was let go."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if (libc := ctypes.util.find_library("c")) is not None and sys.platform == "linux":
        ctypes.CDLL(libc).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def apart(door: str, seed: int, cases: int, folder: Path, timeout_s: float) -> Outcome:
    """The same in a process of its own, whose death is told with the case that it died of."""
    at = folder / f"{door}.case"
    at.write_bytes(bytes(8))
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-m",
        "tests.fuzz.run",
        door,
        str(seed),
        str(cases),
        str(at),
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        number = int.from_bytes(at.read_bytes(), "little")
        raise AssertionError(
            f"case {number} of {door!r}, seed {seed}: the process ended with {done.returncode}\n{done.stderr[-6_000:]}"
        )
    said: Mapping[str, int] = json.loads(done.stdout.splitlines()[-1])
    return Outcome(**said)


def main() -> None:
    from cluster.compiled import use_kernel_cache

    use_kernel_cache()
    door, seed, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if len(sys.argv) == 4:
        print(json.dumps(asdict(through(door, seed, cases))))
        return
    with Path(sys.argv[4]).open("r+b") as file, mmap.mmap(file.fileno(), 8) as told:
        print(json.dumps(asdict(through(door, seed, cases, told))))


if __name__ == "__main__":
    main()
