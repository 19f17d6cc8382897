"""``twinfold notify …``: who is told of alerts, and a test of a channel. No logic of its own."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli_jobs import connected
from cluster.terminal import AsJson, Data, print_rows, say, settings_of

if TYPE_CHECKING:
    from serve.schemas.notifications import ChannelItem, NotificationRouteItem

app = typer.Typer(name="notify", help="Who is told of alerts: list, test.", no_args_is_help=True)


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """List channels, which are ways to reach somebody, and the routes that alerts take to them."""
    with connected(settings_of({"data": data}).data) as client:
        rows = [
            *map(_channel, client.notifications.channels()),
            *map(_route, client.notifications.routes()),
        ]
    print_rows(rows, as_json)


@app.command(name="test")
def send_test(
    channel: Annotated[str, typer.Argument(help="Id of the channel, as `twinfold notify list` has it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send a message that says it is a test, and show what the receiver said."""
    with connected(settings_of({"data": data}).data) as client:
        found = client.notifications.test_channel(channel)
    say(found.model_dump(), as_json, f"{'taken' if found.took else 'not taken'}: {found.said}")
    if not found.took:
        raise typer.Exit(1)


def _channel(item: "ChannelItem") -> dict[str, Any]:
    shown = {"what": f"channel {item.kind}", "id": item.id, "name": item.name, "to": item.leads_to}
    return {**shown, "for": item.account, "in use": "yes" if item.enabled else "no"}


def _route(item: "NotificationRouteItem") -> dict[str, Any]:
    steps = [
        f"{', '.join(each.to)}" + (f" after {each.after_s:g} s" if each.after_s else "")
        for each in item.steps
    ]
    which = [item.priority, *item.sites, *item.types, *item.rules]
    shown = {"what": "route", "id": item.id, "name": item.name, "to": "; ".join(steps)}
    return {**shown, "for": ", ".join(which), "in use": "yes" if item.enabled else "no"}
