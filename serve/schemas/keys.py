"""Keys of devices."""

from typing import Annotated, Literal

from pydantic import Field

from serve.schemas.base import ListReply, Name, Reply, Request

KeyKind = Literal["readings", "metrics"]


class KeyScope(Request):
    """What a device must be for the key to write its readings: all of what is named, or ``everything``."""

    devices: list[Name] = []
    gateways: list[Name] = []
    sites: list[Name] = []
    types: list[Name] = []
    everything: bool = False


class NewKey(Request):
    """``kind`` readings sends them for the devices in ``scope``; metrics reads ``/metrics``, and only admins make it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: KeyKind = "readings"
    scope: KeyScope | None = None
    lasts_s: Annotated[float | None, Field(gt=0, le=10 * 366 * 86_400)] = None


class KeyRotation(Request):
    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = 86_400.0


class KeyItem(Reply):
    id: str
    name: str
    kind: KeyKind
    scope: KeyScope
    by: str
    made: str
    expires: str | None
    revoked: str | None
    used: str | None
    old_until: str | None


class KeyList(ListReply):
    items: list[KeyItem]


class KeyMade(Reply):
    """The key itself; it is not shown again."""

    key: KeyItem
    text: str
