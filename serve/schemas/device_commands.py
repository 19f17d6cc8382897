"""One thing asked of many devices, and what became of it."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from serve.many import MOST_AT_ONCE
from serve.schemas.base import ManyDone, Name, Refusal, Request
from serve.schemas.downlink import SendCommand
from serve.schemas.maintenance import Maintenance

_MAINTENANCE: Final[JsonDict] = {"type": "maintenance", "kind": "inspection", "note": "after the storm"}
_SEND: Final[JsonDict] = {"type": "send", "command": "stop", "parameters": {"ramp_s": 20}, "expires_s": 30}


class MaintenanceAct(Maintenance):
    """Record what was done to each, or found."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MAINTENANCE]})

    type: Literal["maintenance"]


class SendAct(SendCommand):
    """Send each a command."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SEND]})

    type: Literal["send"]


class RetireAct(Request):
    """Take each out of the living fleet."""

    type: Literal["retire"]


DeviceAct = MaintenanceAct | SendAct | RetireAct


class DeviceMatch(Request):
    """Devices that match all that is given; as in the list."""

    filter: Annotated[str, Field(max_length=4_000)] = Field("", description="as `site = 'oslo'`")
    q: Annotated[str, Field(max_length=200)] = Field("", description="part of an id or name")


class DeviceCommands(Request):
    """One thing asked of several devices: of those named, or of all that match."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"act": _SEND, "matching": {"filter": "site = 'oslo'"}, "dry_run": True},
                {"act": _MAINTENANCE, "devices": ["pump-17", "pump-18"]},
                {"act": {"type": "retire"}, "devices": ["pump-17"]},
            ]
        }
    )

    act: Annotated[DeviceAct, Field(discriminator="type")] | None = Field(
        None, description="null: only count, with `dry_run`"
    )
    devices: Annotated[list[Name], Field(max_length=MOST_AT_ONCE)] | None = None
    matching: DeviceMatch | None = None
    dry_run: bool = Field(False, description="only count")
    expected: int | None = Field(
        None,
        ge=0,
        description="how many match when it was counted: if that is another number now, nothing is asked",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.devices is None) == (self.matching is None):
            raise ValueError("give either devices or matching")
        if self.act is None and not self.dry_run:
            raise ValueError("give the act, or dry_run only to count")
        return self


class DeviceRefusal(Refusal):
    device: str


class DevicesDone(ManyDone):
    by_type: dict[str, int] = Field(
        description="those that match, by device type; a named one that is not there is in none"
    )
    refused: list[DeviceRefusal] = Field(description="the first hundred")
