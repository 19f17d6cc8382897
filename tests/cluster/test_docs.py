"""The documents say what is true: the quickstart runs, reference pages are what the code says, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from docs.reference import build

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def test_the_quickstart_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "quickstart.md").read_text()
    known: dict[str, object] = {}
    ran = 0
    for language, block in re.findall(r"```(python|console)\n(.*?)```", text, re.DOTALL):
        if language == "python":
            exec(compile(block, "quickstart.md", "exec"), known)
            continue
        for line in block.splitlines():
            command = shlex.split(line.removeprefix("$ twinfold "))
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, (line, result.output, result.exception)
            assert result.output.strip(), line
            ran += 1
    assert ran >= 5


@pytest.mark.parametrize(
    "name", ["settings.md", "events.md", "errors.md", "scenario.md", "scenario.schema.json"]
)
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    assert (build.FOLDER / name).read_text() == build.pages()[name], "run python -m docs.reference.build"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_concept_of_the_readme_has_a_page() -> None:
    (named,) = re.findall(r"page for each idea \(([^)]*)\)", (ROOT / "README.md").read_text())
    for idea in named.replace("\n", " ").split(", "):
        assert (ROOT / "docs" / "concepts" / f"{idea.strip()}.md").is_file(), idea
