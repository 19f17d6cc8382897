"""What is installed is what is here."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_installed() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {name.partition(".")[0] for name in named}
    folders = {file.parent.relative_to(ROOT) for room in rooms for file in (ROOT / room).rglob("*.py")}
    assert sorted(named) == sorted(".".join(folder.parts) for folder in folders)
