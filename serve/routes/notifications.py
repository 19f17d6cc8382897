"""Who is told of alerts when nobody looks: channels, routes, and what became of every message."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import SecretStr

from serve.context import Address, Context, InContext, Who
from serve.errors import ReceiverError, UnfitError
from serve.gate import guarded
from serve.notifications import messages
from serve.notifications.book import Channel, KeptRoute
from serve.notifications.deliveries import Delivery
from serve.notifications.receivers import Target
from serve.preconditions import Match, expected, tagged
from serve.present import iso, reply
from serve.routes.words import Paged
from serve.schemas.base import Problem
from serve.schemas.notifications import (
    ChannelChange,
    ChannelItem,
    ChannelList,
    ChannelMade,
    ChannelTested,
    DeliveryPage,
    NewChannel,
    NotificationRoute,
    NotificationRouteItem,
    NotificationRouteList,
    NotificationSummary,
)
from twins.clock import SECOND_US

router = guarded(prefix="/api/notifications", tags=["notifications"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 412, 422, 428, 429, 503)
}


@router.get("", response_model=NotificationSummary, responses=_REFUSALS)
async def summary(context: InContext) -> Response:
    """How many messages wait, were delivered and have failed, and how far each host's alerts are followed."""
    counts = await context.call(context.desk.counts)
    followed = await context.call(context.desk.followed)
    hosts = [
        {"host": each.actor, "cursor": each.cursor, "at": iso(each.at_us), "problem": each.problem}
        for each in followed
    ]
    return reply({"deliveries": counts, "hosts": hosts})


# -- channels ------------------------------------------------------------------------------------------------------


@router.get("/channels", response_model=ChannelList, responses=_REFUSALS)
async def channels(context: InContext) -> Response:
    """Every channel, by name, without what is secret in it."""
    return reply({"items": [channel_item(each) for each in await context.call(context.book.channels)]})


@router.post("/channels", response_model=ChannelMade, status_code=201, responses=_REFUSALS)
async def create_channel(context: InContext, address: Address, who: Who, body: NewChannel) -> Response:
    """Make a channel. The key with which a webhook's messages are signed is shown this once."""
    if body.kind == "apprise" and not context.config.receivers.apprise:
        raise UnfitError("Apprise is not in use here", "set notifications.apprise, and read what that means")
    target = Target(body.kind, _open(body.url), "", tuple(body.to))
    made, key = await context.call(
        context.book.add_channel, body.name, target, who.actor(address), body.account.strip()
    )
    return tagged({"channel": channel_item(made), "key": key or None}, made.revision, 201)


@router.get("/channels/{channel}", response_model=ChannelItem, responses=_REFUSALS)
async def channel(context: InContext, channel: str) -> Response:
    """One channel."""
    found = await context.call(context.book.channel, channel)
    return tagged(channel_item(found), found.revision)


@router.put("/channels/{channel}", response_model=ChannelMade, responses=_REFUSALS)
async def change_channel(
    context: InContext,
    address: Address,
    who: Who,
    channel: str,
    body: ChannelChange,
    if_match: Match = None,
) -> Response:
    """Change a channel; where it leads stays if that is left out, since it was never shown."""
    key = secrets.token_urlsafe(32) if body.new_key else ""

    def change(found: Channel) -> tuple[str, Target, str, bool]:
        was = found.target
        fits = {"webhook": ("url", "new_key"), "apprise": ("url",), "email": ("to",)}[was.kind]
        given = {"url": body.url is not None, "to": body.to is not None, "new_key": body.new_key}
        for name, is_given in given.items():
            if is_given and name not in fits:
                raise UnfitError(
                    f"a channel of kind {was.kind} has no `{name}`", "leave it out, or make another channel"
                )
        url = was.url if body.url is None else _open(body.url)
        target = Target(was.kind, url, key or was.key, was.to if body.to is None else tuple(body.to))
        return body.name, target, body.account.strip(), body.enabled

    book = context.book
    changed = await context.call(book.change_channel, channel, expected(if_match), who.actor(address), change)
    return tagged({"channel": channel_item(changed), "key": key or None}, changed.revision)


@router.delete("/channels/{channel}", status_code=204, responses=_REFUSALS)
async def remove_channel(
    context: InContext, address: Address, who: Who, channel: str, if_match: Match = None
) -> Response:
    """Take a channel away; what waits for it has failed."""
    await context.call(context.book.remove_channel, channel, expected(if_match), who.actor(address))
    return Response(status_code=204)


@router.post("/channels/{channel}/test", response_model=ChannelTested, responses=_REFUSALS)
async def test_channel(context: InContext, address: Address, who: Who, channel: str) -> Response:
    """Send a message that says it is a test, at once and once, and tell what the receiver said."""
    return reply(await context.test(_test, context, channel, who.name, address))


# -- routes --------------------------------------------------------------------------------------------------------


@router.get("/routes", response_model=NotificationRouteList, responses=_REFUSALS)
async def routes(context: InContext) -> Response:
    """Every route, by name."""
    return reply({"items": [route_item(each) for each in await context.call(context.book.routes)]})


@router.post("/routes", response_model=NotificationRouteItem, status_code=201, responses=_REFUSALS)
async def create_route(context: InContext, address: Address, who: Who, body: NotificationRoute) -> Response:
    """Make a route: alerts that are raised from now on take it."""
    made = await context.call(context.book.add_route, _document(body), body.enabled, who.actor(address))
    return tagged(route_item(made), made.revision, 201)


@router.get("/routes/{route}", response_model=NotificationRouteItem, responses=_REFUSALS)
async def route(context: InContext, route: str) -> Response:
    """One route."""
    found = await context.call(context.book.route, route)
    return tagged(route_item(found), found.revision)


@router.put("/routes/{route}", response_model=NotificationRouteItem, responses=_REFUSALS)
async def change_route(
    context: InContext,
    address: Address,
    who: Who,
    route: str,
    body: NotificationRoute,
    if_match: Match = None,
) -> Response:
    """Put another route in its place. Steps that alerts are still to take go by their number."""
    found = await context.call(
        context.book.change_route,
        route,
        expected(if_match),
        _document(body),
        body.enabled,
        who.actor(address),
    )
    return tagged(route_item(found), found.revision)


@router.delete("/routes/{route}", status_code=204, responses=_REFUSALS)
async def remove_route(
    context: InContext, address: Address, who: Who, route: str, if_match: Match = None
) -> Response:
    """Take a route away; what it had still to tell is not told."""
    await context.call(context.book.remove_route, route, expected(if_match), who.actor(address))
    return Response(status_code=204)


# -- deliveries ----------------------------------------------------------------------------------------------------


@router.get("/deliveries", response_model=DeliveryPage, responses=_REFUSALS)
async def deliveries(
    context: InContext,
    spot: Paged,
    alert: Annotated[str | None, Query(max_length=600, description="an alert's id")] = None,
    state: Literal["waiting", "delivered", "failed"] | None = None,
) -> Response:
    """Every message and what became of it, the newest first; kept for 30 days after it ended."""
    found = await context.call(context.desk.deliveries, spot, alert, state)
    return reply(found.shown(delivery_item))


# -- showing -------------------------------------------------------------------------------------------------------


def channel_item(channel: Channel) -> dict[str, Any]:
    """A channel as the API shows it: nothing of it that opens a door."""
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.target.kind,
        "leads_to": channel.target.shown,
        "account": channel.account,
        "enabled": channel.enabled,
        "revision": channel.revision,
        "by": channel.by,
        "changed": iso(channel.changed_us),
    }


def route_item(route: KeptRoute) -> dict[str, Any]:
    """A route as the API shows it."""
    return {
        "id": route.id,
        **route.document,
        "enabled": route.enabled,
        "revision": route.revision,
        "by": route.by,
        "changed": iso(route.changed_us),
    }


def delivery_item(delivery: Delivery) -> dict[str, Any]:
    """A delivery as the API shows it."""
    return {
        "id": delivery.id,
        "number": delivery.number,
        "kind": delivery.kind,
        "route": delivery.route,
        "step": delivery.step + 1,
        "channel": delivery.channel,
        "alert": delivery.alert,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "made": iso(delivery.made_us),
        "due": iso(delivery.due_us),
        "ended": iso(delivery.ended_us),
        "said": delivery.said,
        "subject": delivery.message["subject"],
        "count": delivery.message["count"],
    }


def _test(context: Context, channel_id: str, by: str, address: str) -> dict[str, Any]:
    channel = context.book.channel(channel_id)
    message = messages.of_test(channel.name, by)
    delivery, now_s = secrets.token_hex(16), context.fleet.clock.now_us() // SECOND_US
    try:
        said, took = context.receivers.send(channel.target, delivery, message, now_s), True
    except ReceiverError as error:
        said, took = error.problem, False
    kept = context.desk.tried(channel.id, delivery, message, took, said, by, address)
    return {"took": took, "said": said, "delivery": delivery_item(kept)}


def _document(body: NotificationRoute) -> Mapping[str, Any]:
    return body.model_dump(mode="json", exclude={"enabled"})


def _open(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value().strip()
