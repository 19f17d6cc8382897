"""``twinfold device …``: what is asked of one device, and what it says to that. No logic of its own."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli_jobs import connected
from cluster.terminal import AsJson, Data, out, print_rows, say, settings_of

if TYPE_CHECKING:
    from serve.schemas.downlink import CommandItem, PropertyState

app = typer.Typer(
    name="device", help="What is asked of a device: show, set, send, cancel.", no_args_is_help=True
)

DeviceId = Annotated[str, typer.Argument(help="Id of the device.")]
Expires = Annotated[
    float | None,
    typer.Option("--expires", help="Seconds after which it counts no more; none: as the type says."),
]
Note = Annotated[str, typer.Option("--note", help="Why, for those who look later.")]


@app.command()
def show(device: DeviceId, data: Data = None, as_json: AsJson = False) -> None:
    """Show what each property shall be and is, and the commands to the device."""
    with connected(settings_of({"data": data}).data) as client:
        properties, commands = client.asked.properties(device), client.asked.commands(device)
    if as_json:
        found = {
            **properties.model_dump(mode="json"),
            "commands": [c.model_dump(mode="json") for c in commands],
        }
        print(json.dumps(found))
        return
    print_rows([_property(each) for each in properties.items])
    if commands:
        out.print()
        print_rows([_command(each) for each in commands])


@app.command(name="set")
def set_(
    device: DeviceId,
    values: Annotated[
        list[str], typer.Argument(help="As speed_setpoint=1800; nothing after = takes it back.")
    ],
    expires_s: Expires = None,
    note: Note = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask a device to be otherwise; it is when it reports so, see `twinfold device show`."""
    wanted = given(values)
    with connected(settings_of({"data": data}).data) as client:
        done = client.asked.set(device, wanted, expires_s=expires_s, note=note)
    said = {each.name: each.standing.replace("_", " ") for each in done.items if each.name in wanted}
    text = "\n".join(f"{name} {standing}" for name, standing in said.items())
    say(done.model_dump(mode="json"), as_json, text)


@app.command()
def send(
    device: DeviceId,
    command: Annotated[str, typer.Argument(help="One of those that the device's type lists.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="As ramp_s=20.")] = None,
    expires_s: Expires = None,
    note: Note = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask a device to do something; it is done when the device says so, see `twinfold device show`."""
    with connected(settings_of({"data": data}).data) as client:
        sent = client.asked.send(device, command, given(parameters or []), expires_s, note)
    until = sent.expires_at.isoformat(timespec="seconds")
    say(sent.model_dump(mode="json"), as_json, f"command {sent.number} waits until {until}")


@app.command()
def cancel(
    device: DeviceId,
    number: Annotated[int, typer.Argument(help="As `twinfold device show` has it.")],
    note: Note = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask no longer; what was handed over already may be done all the same."""
    with connected(settings_of({"data": data}).data) as client:
        done = client.asked.cancel(device, number, note)
    say(done.model_dump(), as_json, f"command {number} is cancelled")


def given(values: list[str]) -> dict[str, Any]:
    """``name=value`` as values: JSON where it is some, else text."""
    found: dict[str, Any] = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{each!r} is not of the form name=value")
        try:
            found[name] = json.loads(text) if text else None
        except ValueError:
            found[name] = text
    return found


def _property(item: "PropertyState") -> dict[str, Any]:
    desired, reported = item.desired, item.reported
    return {
        "property": item.name,
        "desired": desired.value if desired else None,
        "reported": reported.value if reported else None,
        "unit": "" if item.unit == "1" else item.unit,
        "standing": item.standing.replace("_", " "),
        "by": desired.by if desired else None,
        "reported at": reported.at if reported else None,
        "why not": desired.rejected if desired else None,
    }


def _command(item: "CommandItem") -> dict[str, Any]:
    parameters = " ".join(f"{name}={value}" for name, value in item.parameters.items())
    return {
        "number": item.number,
        "command": f"{item.command} {parameters}".strip(),
        "state": item.state,
        "by": item.by,
        "at": item.at,
        "expires": item.expires_at,
        "result": item.result,
    }
