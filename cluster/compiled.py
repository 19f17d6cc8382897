"""Where compiled kernels are kept between starts.

numba keys its cache by the file of the function that is called, not by the files of those it calls. So the folder's name
carries a digest of the modules of ``twins/`` that hold kernels and of all that these import: after any change of them, or
of numba, the kernels are compiled anew. Those of ``twins/whatif`` stand each in one file with all that
they call beside these, so that numba itself sees when they change.
"""

import ast
import hashlib
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

VARIABLE: Final = "NUMBA_CACHE_DIR"

_COMPILES: Final = frozenset({"numba", "twins.compiling"})


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
        for path in compiled_sources(Path(folder)):
            digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "twinfold" / "kernels" / digest.hexdigest()[:16]
    os.environ[VARIABLE] = str(cache)
    return cache


def compiled_sources(folder: Path) -> list[Path]:
    """The modules of a package's folder that hold kernels, and those that they import from it, directly or not."""
    package = folder.name
    imports = {f"{package}.{path.stem}": _imports(path) for path in folder.glob("*.py")}
    reached: set[str] = set()
    found = {name for name, named in imports.items() if named & _COMPILES}
    while found:
        reached |= found
        found = {each for name in found for each in imports[name] if each in imports} - reached
    return sorted(folder / f"{name.rpartition('.')[2]}.py" for name in reached)


def _imports(path: Path) -> set[str]:
    """Every module that a file names in an import, and what it takes out of a package, which may be one."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module)
            named.update(f"{node.module}.{alias.name}" for alias in node.names)
    return named


def main() -> None:
    """Compile all kernels into the cache: ``python -m cluster.compiled``, at set-up."""
    use_kernel_cache()
    from twins.warmup import compile_kernels  # only now: numba reads its settings when it is imported
    from twins.whatif.warmup import compile_forks

    print(f"kernels ready after {compile_kernels() + compile_forks():.0f} s")


if __name__ == "__main__":
    main()
