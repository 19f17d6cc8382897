"""What is asked of devices: properties, desired against reported, and commands."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from serve.schemas.base import Name, Reply, Request, Text

Value = StrictBool | StrictInt | StrictFloat | Annotated[str, Field(max_length=256)]
ValueKind = Literal["number", "integer", "boolean", "string", "enum"]
AskedBy = Literal["operator", "engineer", "admin", "nobody"]
Expiry = Annotated[float, Field(gt=0, le=7 * 86_400)]


class ParameterInfo(Reply):
    """A value that goes along with a command."""

    name: str
    title: str
    kind: ValueKind
    unit: str = Field(description="UCUM code; 1 where there is none")
    low: float | None = Field(description="least that can be asked for; null: no bound")
    high: float | None
    resolution: float
    choices: list[str]
    required: bool


class PropertyInfo(Reply):
    """What devices of a type can be asked to be."""

    name: str
    title: str
    kind: ValueKind
    unit: str
    low: float | None
    high: float | None
    resolution: float
    choices: list[str]
    role: AskedBy = Field(description="the least that may ask for a value; nobody: it is only reported")
    expires_s: float | None = Field(description="not reported by then, a desired value is withdrawn")


class CommandInfo(Reply):
    """What devices of a type can be asked to do."""

    name: str
    title: str
    role: AskedBy
    expires_s: float
    repeatable: bool = Field(description="may be handed over again until the device answers; else once")
    parameters: list[ParameterInfo]


class DesiredValue(Reply):
    value: Value
    version: int = Field(description="of all desired properties of the device, when this one was set")
    by: str
    at: AwareDatetime
    expires_at: AwareDatetime | None = Field(description="withdrawn then, if it is not reported before")
    note: str
    rejected: str = Field(description="why the device does not take it; empty: it has not said so")


class ReportedValue(Reply):
    value: Value
    version: int | None = Field(description="the device's own count, if it has one")
    at: AwareDatetime = Field(description="told again unchanged, at most a minute old")


class PropertyState(PropertyInfo):
    """A property of one device: what it shall be, and what the device says that it is."""

    standing: Literal["unasked", "pending", "in_sync", "rejected", "differs"] = Field(
        description="differs: it was reported as desired, and otherwise since"
    )
    desired: DesiredValue | None
    reported: ReportedValue | None


class Properties(Reply):
    device_id: str
    version: int = Field(
        description="of what is desired: it goes up with every change; the ETag of this reply"
    )
    items: list[PropertyState]


class PropertiesSet(Properties):
    cursor: str = Field(description="pass as `cursor` to a list, and it will include what was done")


class SetProperties(Request):
    """Values that properties shall have; null: nothing is desired any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"properties": {"speed_setpoint": 1800}, "note": "less noise at night"}]
        }
    )

    properties: Annotated[dict[Name, Value | None], Field(min_length=1, max_length=64)]
    expires_s: Expiry | None = Field(None, description="null: as the type says")
    note: Text = ""


class SendCommand(Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"command": "stop", "parameters": {"ramp_s": 20}, "expires_s": 30}]}
    )

    command: Name
    parameters: Annotated[dict[Name, Value | None], Field(max_length=16)] = {}
    expires_s: Expiry | None = Field(None, description="null: as the type says")
    note: Text = ""


class CancelCommand(Request):
    note: Text = ""


class CommandItem(Reply):
    number: int = Field(description="counts the commands to this device")
    command: str
    parameters: dict[str, Value]
    state: Literal["waiting", "delivered", "done", "failed", "expired", "cancelled"] = Field(
        description="delivered: handed to the device's link; done and failed are what the device says"
    )
    by: str
    at: AwareDatetime
    expires_at: AwareDatetime
    repeatable: bool
    delivered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    result: str = Field(description="what the device said to it, or why it was cancelled")
    note: str


class CommandList(Reply):
    """Those that are open and the last that have ended, the newest first."""

    items: list[CommandItem]


class CommandSent(Reply):
    command: CommandItem
    cursor: str


class Listen(Request):
    """A device or gateway wants to hear what is asked of these devices, beside those it listens for already."""

    type: Literal["listen"]
    devices: Annotated[list[Name], Field(max_length=1_000)] | None = Field(
        None, description="null: those that the key names"
    )


class Reported(Request):
    """How a device says that it is, and what of what is desired it does not take."""

    type: Literal["reported"]
    device: Name
    properties: Annotated[dict[Name, Value], Field(max_length=64)] = {}
    version: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = Field(
        None, description="the device's own count"
    )
    time: AwareDatetime | None = Field(None, description="the device's own time; null: when it comes in")
    rejected: Annotated[dict[Name, Annotated[str, Field(max_length=256)]], Field(max_length=64)] = Field(
        {}, description="properties whose desired value is not taken, and why"
    )
    desired_version: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = Field(
        None, description="which version of what is desired it answers to"
    )


class CommandResult(Request):
    """What became of a command."""

    type: Literal["command_result"]
    device: Name
    number: Annotated[StrictInt, Field(ge=1, le=2**53)]
    ok: StrictBool
    result: Annotated[str, Field(max_length=1_000)] = ""


FromDevice = Annotated[Listen | Reported | CommandResult, Field(discriminator="type")]
