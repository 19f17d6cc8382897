"""Write the reference pages beside this file from the code they describe: every setting, event and error code.

    python -m docs.reference.build

A test fails where a page is not what this would write.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twins.errors import FleetError

FOLDER: Final = Path(__file__).parent
_PACKAGES: Final = ("twins", "training", "serve", "cluster")
_APART: Final = frozenset({"cluster.cli"})  # has no errors of its own and is slow to load


def pages() -> dict[str, str]:
    """File name to text."""
    return {"settings.md": _settings(), "events.md": _events(), "errors.md": _errors()}


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
