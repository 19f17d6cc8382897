"""For every test: kernels compiled from the source as it is now, and a Ray that asks for a token, as in production."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH = 4 << 30  # bytes


def _use_memory() -> None:
    """Files of tests lie in memory where there is room: each is flushed thousands of times. Drills are for real disks."""
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # it reads the variable when next asked


_use_memory()

from cluster.compiled import use_kernel_cache  # noqa: E402

use_kernel_cache()  # first of all: numba reads its settings when something imports it

from cluster.bringup import ray_environment  # noqa: E402

# Ray reads its environment when it is first imported, so this stands before any test module
_folder = tempfile.mkdtemp(prefix="tft-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ.update(ray_environment(Path(_folder)))

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from xdist.remote import Producer  # noqa: E402
from xdist.scheduler import LoadFileScheduling  # noqa: E402

settings.register_profile("no-clock", deadline=None)  # how long an example takes decides nothing
settings.load_profile("no-clock")


class _Rooms(LoadFileScheduling):
    """A file's tests stay together, and all that share the one Ray: two of those at a time would take each other's cores."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "integration" if file.startswith("tests/integration/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Rooms(config, log)
