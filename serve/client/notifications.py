"""Who is told of alerts: channels, routes, and what became of every message."""

from collections.abc import Iterator
from typing import Final, Literal

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.notifications import (
    ChannelChange,
    ChannelItem,
    ChannelList,
    ChannelMade,
    ChannelTested,
    DeliveryItem,
    DeliveryPage,
    NewChannel,
    NotificationRoute,
    NotificationRouteItem,
    NotificationRouteList,
    NotificationSummary,
)

_CHANNELS: Final = "/api/notifications/channels"
_ROUTES: Final = "/api/notifications/routes"


class Notifications:
    """What can be asked about notifications."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def summary(self) -> NotificationSummary:
        """How many messages wait, were delivered and have failed, and how far each host's alerts are followed."""
        return self._ask.get(NotificationSummary, "/api/notifications")

    def deliveries(
        self, alert: str | None = None, state: Literal["waiting", "delivered", "failed"] | None = None
    ) -> Iterator[DeliveryItem]:
        """Every message and what became of it, the newest first."""
        query = {"alert": alert, "state": state, "limit": 1_000}
        for page in self._ask.pages(DeliveryPage, "/api/notifications/deliveries", query):
            yield from page.items

    # -- channels --------------------------------------------------------------------------------------------------

    def channels(self) -> list[ChannelItem]:
        """Every channel, by name, without what is secret in it."""
        return self._ask.get(ChannelList, _CHANNELS).items

    def channel(self, channel_id: str) -> ChannelItem:
        return self._ask.get(ChannelItem, f"{_CHANNELS}/{in_path(channel_id)}")

    def add_channel(self, channel: NewChannel) -> ChannelMade:
        """Make a channel. The key with which a webhook's messages are signed is shown this once."""
        return self._ask.send(ChannelMade, "POST", _CHANNELS, channel)

    def change_channel(self, channel_id: str, change: ChannelChange, revision: Revision) -> ChannelMade:
        """Change a channel; where it leads stays if that is left out."""
        return self._ask.send(ChannelMade, "PUT", f"{_CHANNELS}/{in_path(channel_id)}", change, revision)

    def remove_channel(self, channel_id: str, revision: Revision) -> None:
        """Take a channel away; what waits for it has failed."""
        self._ask.change("DELETE", f"{_CHANNELS}/{in_path(channel_id)}", revision=revision)

    def test_channel(self, channel_id: str) -> ChannelTested:
        """Send a test; gives whether the receiver took it, and what it said."""
        return self._ask.send(ChannelTested, "POST", f"{_CHANNELS}/{in_path(channel_id)}/test")

    # -- routes ----------------------------------------------------------------------------------------------------

    def routes(self) -> list[NotificationRouteItem]:
        """Every route, by name."""
        return self._ask.get(NotificationRouteList, _ROUTES).items

    def route(self, route_id: str) -> NotificationRouteItem:
        return self._ask.get(NotificationRouteItem, f"{_ROUTES}/{in_path(route_id)}")

    def add_route(self, route: NotificationRoute) -> NotificationRouteItem:
        """Make a route: alerts that are raised from now on take it."""
        return self._ask.send(NotificationRouteItem, "POST", _ROUTES, route)

    def change_route(
        self, route_id: str, route: NotificationRoute, revision: Revision
    ) -> NotificationRouteItem:
        """Put another route in its place."""
        path = f"{_ROUTES}/{in_path(route_id)}"
        return self._ask.send(NotificationRouteItem, "PUT", path, route, revision)

    def remove_route(self, route_id: str, revision: Revision) -> None:
        """Take a route away; what it had still to tell is not told."""
        self._ask.change("DELETE", f"{_ROUTES}/{in_path(route_id)}", revision=revision)
