"""What somebody keeps for himself: saved views of lists, and settings."""

from collections.abc import Iterator
from typing import Final

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.preferences import ListPage, Settings, SettingsItem, ViewFields, ViewItem, ViewList

_VIEWS: Final = "/api/views"
_SETTINGS: Final = "/api/me/settings"


class Preferences:
    """What can be asked about one's own views and settings."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def views(self, page: ListPage | None = None) -> Iterator[ViewItem]:
        """One's own saved views and those that others share, by name."""
        for part in self._ask.pages(ViewList, _VIEWS, {"page": page, "limit": 1_000}):
            yield from part.items

    def view(self, view_id: str) -> ViewItem:
        return self._ask.get(ViewItem, f"{_VIEWS}/{in_path(view_id)}")

    def add_view(self, view: ViewFields) -> ViewItem:
        """Save a view."""
        return self._ask.send(ViewItem, "POST", _VIEWS, view)

    def change_view(self, view_id: str, view: ViewFields, revision: Revision) -> ViewItem:
        """Put another in its place."""
        return self._ask.send(ViewItem, "PUT", f"{_VIEWS}/{in_path(view_id)}", view, revision)

    def remove_view(self, view_id: str, revision: Revision) -> None:
        """Take a view away."""
        self._ask.change("DELETE", f"{_VIEWS}/{in_path(view_id)}", revision=revision)

    def settings(self) -> SettingsItem:
        """What one chose, and its revision; 0: nothing yet."""
        return self._ask.get(SettingsItem, _SETTINGS)

    def change_settings(self, chosen: Settings, revision: Revision) -> SettingsItem:
        """Choose anew; what is left out is as at first."""
        return self._ask.send(SettingsItem, "PUT", _SETTINGS, chosen, revision)
