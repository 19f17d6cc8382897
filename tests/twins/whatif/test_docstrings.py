"""Examples of the what-if lab run: in docstrings, and on its page."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

MODULES = ("intervals", "ranking", "stopping", "sweeps", "verification")
PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "experiment.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"twins.whatif.{name}")
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted > 0
    assert found.failed == 0


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(example, PAGE.name, "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"^# (.*)$", example, re.MULTILINE)
