"""For every test: kernels compiled from the source as it is now, and a Ray that asks for a token, as in production."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from cluster.bringup import ray_environment
from cluster.compiled import use_kernel_cache

use_kernel_cache()

# Ray reads its environment when it is first imported, so this stands before any test module
_folder = tempfile.mkdtemp(prefix="tft-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ.update(ray_environment(Path(_folder)))
