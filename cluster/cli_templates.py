"""``twinfold templates …``: by which unknown devices come in with their first readings. No logic of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli_jobs import connected
from cluster.terminal import AsJson, Data, print_rows, say, settings_of
from twins.errors import FleetError

if TYPE_CHECKING:
    from serve.schemas.templates import DeviceTemplate, DeviceTemplateItem

app = typer.Typer(
    name="templates", help="Templates of unknown devices: list, add, remove.", no_args_is_help=True
)


class TemplateFileError(FleetError):
    """A file that holds no template."""

    code = "template.unreadable"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; write name, pattern and type, as docs/guides/api.md shows"


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """List templates, and how many devices came by each."""
    with connected(settings_of({"data": data}).data) as client:
        found = client.templates.all()
    print_rows([_row(each) for each in found], as_json)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="YAML or JSON file with one template.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Approve a template: unknown devices come in by it from now on, where `ingest.unknown` is `template`."""
    document = _document(file)
    with connected(settings_of({"data": data}).data) as client:
        made = client.templates.add(document)
    say(made.model_dump(mode="json"), as_json, f"template {made.id}: {made.pattern} is a {made.type}")


@app.command()
def remove(
    template: Annotated[str, typer.Argument(help="Id of the template, as `twinfold templates list` has it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a template away; devices that came by it stay."""
    with connected(settings_of({"data": data}).data) as client:
        client.templates.remove(template, "*")
    say({"removed": template}, as_json, f"template {template} is gone")


def _document(file: Path) -> "DeviceTemplate":
    import yaml
    from pydantic import ValidationError

    from serve.schemas.templates import DeviceTemplate

    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateFileError(str(file), str(error).replace("\n", " ")) from None
    if not isinstance(found, dict):
        raise TemplateFileError(str(file), "it holds no mapping")
    try:
        return DeviceTemplate.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TemplateFileError(str(file), f"{where}: {first['msg']}") from None


def _row(item: "DeviceTemplateItem") -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "pattern": item.pattern,
        "type": item.type,
        "site": item.site,
        "from": ", ".join(item.senders),
        "came": f"{item.registered} of {item.most}",
        "in use": "yes" if item.enabled else "no",
    }
