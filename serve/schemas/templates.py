"""Templates of devices: what comes in by itself, and as what."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from serve.schemas.base import Name, Reply, Request, Text

Printable = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class DeviceTemplate(Request):
    """Unknown devices whose ids are of a pattern are registered as this says when their first readings come."""

    name: Printable
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            description="an id, in which `*` stands for one or more characters; at most two of them",
            examples=["line-*/pump-*"],
        ),
    ]
    type: Name
    site: Annotated[str, Field(max_length=256, description="`{1}` is what the first `*` stood for")] = ""
    parent: Annotated[str | None, Field(max_length=256, description="likewise", examples=["line-{1}"])] = None
    title: Annotated[str, Field(max_length=256, description="the device's name; likewise")] = ""
    labels: Annotated[dict[Name, Text], Field(max_length=50, description="likewise")] = {}
    interval_s: Annotated[float | None, Field(gt=0, le=31_622_400)] = None
    senders: Annotated[
        list[Literal["key", "account", "broker"]],
        Field(
            min_length=1,
            max_length=3,
            description="who may bring one: a device key that covers it, an engineer, or whoever publishes over MQTT",
        ),
    ] = ["key", "account"]
    most: Annotated[int, Field(ge=1, le=10_000_000, description="how many may come by it in all")] = 1_000
    most_a_minute: Annotated[int, Field(ge=1, le=1_000_000, description="and in a minute")] = 60
    enabled: bool = True


class DeviceTemplateItem(DeviceTemplate):
    id: str
    registered: int = Field(description="how many came by it")
    revision: int
    by: str
    changed: AwareDatetime


class DeviceTemplateList(Reply):
    items: list[DeviceTemplateItem]
    in_use: bool = Field(description="whether unknown devices are registered at all: `ingest.unknown`")
