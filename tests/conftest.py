"""For every test: kernels compiled from the source as it is now, and a Ray that asks for a token, as in production."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from cluster.compiled import use_kernel_cache

use_kernel_cache()  # first of all: numba reads its settings when something imports it

from cluster.bringup import ray_environment  # noqa: E402

# Ray reads its environment when it is first imported, so this stands before any test module
_folder = tempfile.mkdtemp(prefix="tft-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ.update(ray_environment(Path(_folder)))

from hypothesis import settings  # noqa: E402

settings.register_profile("no-clock", deadline=None)  # how long an example takes decides nothing
settings.load_profile("no-clock")
