"""``twinfold devices …``: one thing asked of all devices that a filter lets through, counted first. No logic of its own."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.cli_device import Expires, Note, given
from cluster.cli_jobs import connected
from cluster.terminal import AsJson, Data, out, print_rows, say, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from serve.schemas.device_commands import DevicesDone

app = typer.Typer(
    name="devices",
    help="Ask one thing of many devices: maintain, send, retire. They are counted first.",
    no_args_is_help=True,
)

Kind = Literal["failure", "repair", "replacement", "inspection"]
Matching = Annotated[str, typer.Argument(help="A filter of devices, as \"site = 'oslo' and not retired\".")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether the count is right.")]


@app.command()
def maintain(
    matching: Matching,
    kind: Annotated[Kind, typer.Option(help="What it was.")],
    action: Annotated[str | None, typer.Option(help="One of those that their type lists.")] = None,
    failure_mode: Annotated[str | None, typer.Option(help="One of those that their type lists.")] = None,
    note: Note = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Record what was done to devices, or found."""
    act = {"type": "maintenance", "kind": kind, "action": action, "failure_mode": failure_mode, "note": note}
    _ask(act, matching, dry_run, yes, data, as_json)


@app.command()
def send(
    matching: Matching,
    command: Annotated[str, typer.Argument(help="One of those that their type lists.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="As ramp_s=20.")] = None,
    expires_s: Expires = None,
    note: Note = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask devices to do something; each has done it when it says so."""
    act = {
        "type": "send", "command": command, "parameters": given(parameters or []), "expires_s": expires_s,
        "note": note,
    }  # fmt: skip
    _ask(act, matching, dry_run, yes, data, as_json)


@app.command()
def retire(
    matching: Matching,
    dry_run: DryRun = False,
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take devices out of the living fleet; their history stays and their ids are not used again."""
    _ask({"type": "retire"}, matching, dry_run, yes, data, as_json)


def _ask(
    act: dict[str, Any], matching: str, dry_run: bool, yes: bool, data: "Path | None", as_json: bool
) -> None:
    """Count, have the count confirmed, and do it to as many as were counted."""
    from serve.schemas.device_commands import DeviceMatch

    which = DeviceMatch(filter=matching)
    with connected(settings_of({"data": data}).data) as client:
        expected: int | None = None
        if dry_run or not yes:
            counted = client.devices.do_all(act, which, dry_run=True)
            if dry_run or not counted.matched:
                say(counted.model_dump(mode="json"), as_json, _counted(counted))
                return
            typer.confirm(f"{_counted(counted)}; go on?", abort=True, err=True)
            expected = counted.matched
        done = client.devices.do_all(act, which, expected=expected)
    say(done.model_dump(mode="json"), as_json, f"done to {done.done}, refused for {done.refused_total}")
    if done.refused and not as_json:
        out.print()
        print_rows([each.model_dump(include={"device", "detail"}) for each in done.refused])


def _counted(counted: "DevicesDone") -> str:
    kinds = ", ".join(f"{n} {name}" for name, n in sorted(counted.by_type.items()))
    return f"{counted.matched} devices match" + (f": {kinds}" if kinds else "")
