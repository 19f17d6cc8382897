"""What people keep for themselves: saved views and settings."""

import zoneinfo
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from serve.schemas.base import ListReply, Name, Priority, Reply, Request

Units = Literal["measured", "metric", "us"]
ListPage = Literal["devices", "alerts", "maintenance", "recommendations"]


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("write printable characters")
    return text


def _zone(name: str) -> str:
    if name and name not in zoneinfo.available_timezones():
        raise ValueError(
            "no such time zone; write an IANA name, as Europe/Oslo, or nothing for the browser's"
        )
    return name


Title = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]

_VIEW: Final[JsonDict] = {
    "page": "devices",
    "name": "Worn pumps in Oslo",
    "filter": "type = 'centrifugal-pump' and site = 'oslo' and health < 50",
    "search": "",
    "sort": "health",
    "columns": ["id", "health", "vibration"],
    "shared": True,
    "default": False,
}


class ViewFields(Request):
    """What a list shows, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VIEW]})

    page: ListPage
    name: Title
    filter: Annotated[str, Field(max_length=4_000, description="in the grammar of the page's list")] = ""
    search: Annotated[str, Field(max_length=200, description="as `q` of a list of devices")] = ""
    sort: Annotated[str, Field(max_length=40, description="as of the list; empty: its own")] = ""
    columns: Annotated[list[Name], Field(max_length=100, description="empty: the page's own")] = []
    shared: bool = Field(False, description="everybody may read it")
    default: bool = Field(False, description="its owner sees the page so at first; no other view is then")


class ViewItem(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "3f8a1c0b5d7e9f21",
                    **_VIEW,
                    "owner": "kari",
                    "mine": True,
                    "revision": 1,
                    "changed": "2026-01-31T12:00:00.000Z",
                }
            ]
        }
    )

    id: str
    page: ListPage
    name: str
    filter: str
    search: str
    sort: str
    columns: list[str]
    shared: bool
    default: bool = Field(description="for its owner")
    owner: str
    mine: bool
    revision: int
    changed: AwareDatetime


class ViewList(ListReply):
    items: list[ViewItem]


class Settings(Request):
    """What one person chose. What is left out is as at first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"theme": "dark", "time_zone": "Europe/Oslo", "density": "compact"}]}
    )

    theme: Literal["auto", "light", "dark"] = "auto"
    density: Literal["comfortable", "compact"] = "comfortable"
    language: Annotated[str, Field(max_length=35, pattern=r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$")] = Field(
        "", description="a BCP 47 tag; empty: the browser's"
    )
    units: Units = Field(
        "measured", description="of measured values on the screen; measured: the devices' own"
    )
    time_zone: Annotated[str, Field(max_length=60), AfterValidator(_zone)] = Field(
        "", description="an IANA name; empty: the browser's"
    )
    keys: bool = Field(True, description="shortcuts of a single key")
    sounds: Annotated[
        list[Priority], Field(max_length=4, description="whose new alerts are heard; none: silence")
    ] = []
    muted: bool = Field(False, description="nothing is heard for now, whatever `sounds` says")


class SettingsItem(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "theme": "dark",
                    "density": "compact",
                    "language": "",
                    "units": "metric",
                    "time_zone": "Europe/Oslo",
                    "keys": True,
                    "sounds": ["critical", "high"],
                    "muted": False,
                    "revision": 2,
                }
            ]
        }
    )

    theme: Literal["auto", "light", "dark"]
    density: Literal["comfortable", "compact"]
    language: str
    units: Units
    time_zone: str
    keys: bool
    sounds: list[Priority]
    muted: bool
    revision: int = Field(description="0: nothing was chosen yet")
