"""What all commands share: their options, who gives them, and how results are shown on a terminal or to a program."""

import getpass
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

out = Console()
err = Console(stderr=True)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of journals, history and models.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ListsAlone(TyperGroup):
    """Commands about one noun, the noun alone being `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--help" not in args and not (args and args[0] in self.commands):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def me() -> str:
    """Who sits at the command line: whoever can read the data folder needs no account."""
    return f"{getpass.getuser()} (command line)"


def moment(at_us: int) -> str:
    """As it is shown: UTC, to the second."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> int:
    """Microseconds since 1970 of a moment as people write it; without a time zone it is this machine's."""
    from training.errors import QueryError

    try:
        return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)
    except ValueError as error:
        raise QueryError(f"{text!r} is no time", "write 2026-01-31T12:00:00Z") from error


def settings_of(options: dict[str, Any]) -> Any:
    """The settings in force, with these options of the command line."""
    from cluster.settings import announce_key, load

    found = load({name: str(v) if isinstance(v, Path) else v for name, v in options.items()})
    announce_key(found)
    return found


def steps(as_json: bool) -> Any:
    """A progress line for each step: its name while it runs, how long it took when it is done."""

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.monotonic()
        if as_json:
            yield
            return
        with out.status(f"{name} …"):
            yield
        out.print(f"  {name:<36} {time.monotonic() - began:6.1f} s", highlight=False)

    return step


@contextmanager
def bar(title: str) -> Iterator[Callable[[float | None, str], None]]:
    """A bar on the error channel, where that is a terminal; gives what moves it: a share of the whole, and some words."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(title, total=1.0, said="")
        yield lambda share, said: progress.update(task, completed=share, said=said)


def say(document: dict[str, Any], as_json: bool, text: str) -> None:
    """One result: as JSON, or in words."""
    if as_json:
        print(json.dumps(document))
    else:
        out.print(text, highlight=False, soft_wrap=True)


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool = False) -> None:
    """Rows of the same keys, as JSON or as a table; columns in which no row has anything are left out of a table."""
    if as_json:
        print(json.dumps(rows, default=str))
        return
    if not rows:
        out.print("no rows")
        return
    table = Table(box=None, pad_edge=False)
    filled = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)]
    for name in filled:
        cell = rows[0][name]
        table.add_column(name, justify="right" if isinstance(cell, int | float) else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in filled))
    out.print(table)
