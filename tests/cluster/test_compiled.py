"""What the kept kernels depend on."""

from pathlib import Path

from cluster.compiled import compiled_sources

TWINS = Path(__file__).parents[2] / "twins"


def test_kernels_depend_on_what_they_are_made_of_and_on_nothing_else() -> None:
    found = {path.stem for path in compiled_sources(TWINS)}
    assert {
        "kernels",
        "signals",
        "patterns",
        "anomalies",
        "lifecycle",
        "health",
        "state",
        "events",
        "emit",
    } <= found
    assert not found & {"actors", "fleet", "membership", "host", "journal", "shard", "snapshots", "service"}


def test_whoever_is_imported_by_who_is_imported_counts(tmp_path: Path) -> None:
    sources = {
        "kernel": "from twins.compiling import kernel\nfrom pkg import middle",
        "middle": "def f():\n    from pkg.last import x",
        "last": "x = 1",
        "other": "from pkg.kernel import run",
        "compiling": "import numba",
    }
    folder = tmp_path / "pkg"
    folder.mkdir()
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    assert {path.stem for path in compiled_sources(folder)} == {"kernel", "middle", "last", "compiling"}
