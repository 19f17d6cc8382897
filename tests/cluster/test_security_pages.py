"""The security pages name tests: each of them is there, and each row of a table says something."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "security" / name for name in ("threat-model.md", "asvs.md")]
STATES = {"met", "not applicable", "**in part**", "**not met**"}


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text())
    assert len(named) > 40
    for file, function in named:
        assert (ROOT / file).is_file(), file
        assert not function or function in functions(ROOT / file), f"{file} has no {function}"


def test_every_requirement_is_judged_and_what_is_not_met_says_why() -> None:
    text = PAGES[1].read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| (V\d|API)", line)
    ]
    counts = dict.fromkeys(STATES, 0)
    for requirement, state, how, test in rows:
        assert state in STATES, requirement
        assert state == "met" or how != "–", f"{requirement}: why?"
        assert how != "–" or test != "–", f"{requirement}: how?"
        counts[state] += requirement.startswith("V")
    chapters = {int(found) for found in re.findall(r"^\| V(\d+)", text, re.MULTILINE)}
    assert chapters == set(range(1, 18))
    said = f"{counts['met']} are met, {counts['not applicable']} not applicable, {counts['**in part**']} met in part"
    assert said in text, counts
