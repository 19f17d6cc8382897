"""Where compiled kernels are kept between starts.

numba keys its cache by the file of the function that is called, not by the files of those it calls. So the folder's name
carries a digest of all of ``twins/``: after any change of the source, or of numba, the kernels are compiled anew.
"""

import hashlib
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

VARIABLE: Final = "NUMBA_CACHE_DIR"


def use_kernel_cache() -> Path:
    """Point numba at the folder for this source, for this process and its children; call before numba is imported.

    A folder that is set already stays in force.
    """
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    spec = find_spec("twins")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    digest = hashlib.sha256(f"{version('numba')} {sys.version}".encode())
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "twinfold" / "kernels" / digest.hexdigest()[:16]
    os.environ[VARIABLE] = str(cache)
    return cache


def main() -> None:
    """Compile all kernels into the cache: ``python -m cluster.compiled``, at set-up."""
    use_kernel_cache()
    from twins.warmup import compile_kernels  # only now: numba reads its settings when it is imported

    print(f"kernels ready after {compile_kernels():.0f} s")


if __name__ == "__main__":
    main()
