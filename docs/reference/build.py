"""Write the reference pages beside this file from the code they describe: settings, events, error codes, operations,
the keys of scenarios and their JSON Schema.

    python -m docs.reference.build

A test fails where a page is not what this would write.
"""

import importlib
import json
import pkgutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from twins.errors import FleetError

FOLDER: Final = Path(__file__).parent
_PACKAGES: Final = ("twins", "training", "serve", "cluster")
_WIDE: Final = 120
_APART: Final = frozenset({"cluster.cli"})  # has no errors of its own and is slow to load


def pages() -> dict[str, str]:
    """File name to text."""
    return {
        "settings.md": _settings(), "events.md": _events(), "errors.md": _errors(), "api.md": _api(),
        "scenario.md": _scenario(), "scenario.schema.json": _scenario_schema(),
    }  # fmt: skip


def main() -> None:
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


def _settings() -> str:
    from cluster.settings import PREFIX, Settings, names, shown

    defaults = Settings()
    lines = [
        "# Settings",
        "",
        "`twinfold settings` prints what is in force and where each value came from. The later wins: default,",
        "`twinfold.toml` in the data folder, variable, option. A variable that matches no setting is an error.",
        "",
        "| setting | variable | default | what it is |",
        "|---|---|---|---|",
    ]
    for name, description in names():
        variable = PREFIX + name.upper().replace(".", "__")
        lines.append(f"| `{name}` | `{variable}` | `{shown(defaults, name)}` | {description} |")
    return _page(lines)


def _events() -> str:
    from twins.events import KINDS

    lines = [
        "# Events",
        "",
        "What happens to devices, as the journal, `events` in history and the socket tell it. Every event has `type`,",
        "`device_id`, `at`, `recorded_at` and `cursor`; what people cause also says `by`, and why where they said so.",
        "",
        "| type | detail |",
        "|---|---|",
    ]
    for spec in KINDS.values():
        detail = [each for each in (spec.slot, spec.occurrence, spec.a, spec.b) if each]
        lines.append(f"| `{spec.type}` | {', '.join(f'`{each}`' for each in detail) or '—'} |")
    return _page(lines)


def _errors() -> str:
    from serve.problems import STATUS

    lines = [
        "# Error codes",
        "",
        "A refusal says what, where and what to do next, and has a code that stays. REST answers with a problem document",
        "(`application/problem+json`) that carries it; the command line prints the message and ends with status 1.",
        "",
        "| code | status | meaning |",
        "|---|---|---|",
    ]
    for kind in sorted(set(_leaves()), key=lambda each: each.code):
        status = next((STATUS[base] for base in kind.__mro__ if base in STATUS), "")
        meaning = (kind.__doc__ or "").partition("\n")[0]
        lines.append(f"| `{kind.code}` | {status} | {meaning} |")
    return _page(lines)


def api_document() -> dict[str, Any]:
    """The OpenAPI document of an app over an empty fleet."""
    from serve.access import Access
    from serve.app import create_app
    from serve.config import ApiConfig, database_config
    from serve.database import Database
    from serve.live import LiveTable, LocalSource
    from training.history import History
    from training.jobs import Jobs
    from training.registry import Registry
    from twins.fleet import LocalFleet

    with tempfile.TemporaryDirectory() as folder, LocalFleet() as fleet:
        access = Access(Database(database_config("", Path(folder))), Path(folder))
        live, jobs = LiveTable(LocalSource(fleet)), Jobs(Path(folder) / "jobs", {})
        models = Registry(Path(folder) / "models")
        return create_app(ApiConfig(), fleet, History(Path(folder), []), live, access, jobs, models).openapi()


def _api() -> str:
    document = api_document()
    lines = [
        "# Operations of the API",
        "",
        "Every operation of `GET /api/openapi.json`, by noun, with an example of each body. [The guide](../guides/api.md)",
        "says how they go together, [error codes](errors.md) what refusals say. *Needs* is the least role, or what else",
        "lets in.",
    ]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["platform"])[0]
            by_tag.setdefault(tag, []).extend(_operation(method.upper(), path, operation))
    for tag in sorted(by_tag):
        lines += ["", f"## {tag.capitalize()}", *by_tag[tag]]
    return _page(lines)


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = ["", f"### `{method} {path}`", "", " ".join(operation.get("description", "").split())]
    lines += ["", f"Needs: {operation['x-needs']}."]
    parameters = [each for each in operation.get("parameters", []) if each["in"] != "path"]
    if parameters:
        lines += ["", "| parameter | |", "|---|---|"]
    for each in parameters:
        schema = each.get("schema", {})
        said = [each.get("description", "")]
        if "default" in schema and schema["default"] not in ("", None):
            said.append(f"default `{json.dumps(schema['default'])}`")
        place = f" ({each['in']})" if each["in"] != "query" else ""
        text = "; ".join(part for part in said if part).replace("|", "\\|")
        lines.append(f"| `{each['name']}`{place} | {text} |")
    lines += _example("Request", operation.get("requestBody", {}))
    for status, reply in operation["responses"].items():
        if status.startswith("2"):
            lines += _example(f"Reply {status}", reply)
    return lines


def _example(title: str, body: dict[str, Any]) -> list[str]:
    for kind, content in body.get("content", {}).items():
        found = content.get("example")
        if found is None and content.get("examples"):
            found = next(iter(content["examples"].values()))["value"]
        if found is not None:
            shown = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
            if len(shown) > _WIDE and not isinstance(found, str):
                shown = json.dumps(found, ensure_ascii=False, indent=1)
            return ["", f"{title}, `{kind}`:", "", "```json" if "json" in kind else "```", shown, "```"]
    return []


def _scenario_schema() -> str:
    from twins.whatif.scenarioschema import json_schema

    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"


def _scenario() -> str:
    from twins.whatif.scenariokeys import INTERVENTIONS, KEYS

    lines = [
        "# Keys of a scenario file",
        "",
        "[What a scenario is](../concepts/scenario.md). Editors complete and check these files by",
        "[the JSON Schema](scenario.schema.json): with a YAML language server, begin the file with",
        "`# yaml-language-server: $schema=…/scenario.schema.json`.",
    ]
    called = {kind: f"`{what}`" for what, kind in INTERVENTIONS.items()}
    for section in KEYS:
        title = called.get(section, _SECTIONS.get(section.__name__, ""))
        if title:
            what = f"Intervention {title}" if section in called else title
            lines += [
                "",
                f"## {what}",
                "",
                _intent(section),
                "",
            ]
            lines += ["| key | kind | default | what it is |", "|---|---|---|---|", *_keys(section)]
    return _page(lines)


_SECTIONS: Final = {
    "Scenario": "The file",
    "Base": "`base`",
    "Stopping": "`stopping`",
    "Operator": "`operator`",
    "Resources": "`resources`",
    "Spare": "An entry of `spares`",
    "Arm": "An item of `arms`",
    "Policy": "`policy`, and entries of `policies`",
    "CostChange": "An entry of `costs`",
    "SqlMetric": "An item of `sql_metrics`",
    "AlertRule": "An item of `rules`",
}


def _intent(section: type) -> str:
    """The first sentence of a section's docstring, with the keys of files."""
    from twins.whatif.scenariokeys import slots

    said = (
        " ".join((section.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`").replace("span.", "")
    )
    for slot in slots(section):
        said = said.replace(f"`{slot.field.name}`", f"`{slot.name}`")
    return said.replace("None", "null")


def _keys(section: type) -> Iterator[str]:
    from twins.whatif.scenariofiles import to_value
    from twins.whatif.scenariokeys import slots
    from twins.whatif.scenarioschema import section_schema

    said = section_schema(section)
    for slot in slots(section):
        default = (
            "required" if slot.required else f"`{json.dumps(to_value(slot.default()), ensure_ascii=False)}`"
        )
        kind = _kind(said["properties"][slot.name])
        yield f"| `{slot.name}` | {kind} | {default} | {slot.key.text} |"


def _kind(schema: dict[str, Any]) -> str:
    """What a schema takes, in words."""
    if "$ref" in schema:
        return "a section"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {
        "string": "text",
        "boolean": "`true`, `false`",
        "integer": "whole number",
        "number": "number",
        "null": "null",
    }
    if "array" in kinds:
        return f"{'two' if schema.get('maxItems') == 2 else 'list'}: {_kind(schema['items'])}"
    if "object" in kinds:
        return f"by name: {_kind(schema['additionalProperties'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    span = "" if low is None else f" from {low:,}" + ("" if high is None else f" to {high:,}")
    return words[kinds[0]] + span + (" or null" if "null" in kinds else "")


def _leaves() -> Iterator[type[FleetError]]:
    for package in _PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if found.name not in _APART:
                importlib.import_module(found.name)
    waiting = FleetError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in _PACKAGES:
            yield kind


def _page(lines: list[str]) -> str:
    return "\n".join([lines[0], "", "<!-- written by build.py; do not edit -->", *lines[1:], ""])


if __name__ == "__main__":
    main()
