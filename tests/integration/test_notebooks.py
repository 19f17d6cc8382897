"""The worked examples run as they stand."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_runs(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads(path.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    module = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    for number, source in enumerate(sources):
        exec(compile(source, f"{path.name}[{number}]", "exec"), module.__dict__)
    assert "better in" in capsys.readouterr().out


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["alert-rules", "heat-wave", "maintenance-policy"]
