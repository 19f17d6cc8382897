"""Rehearsals: which alerts would have appeared, vanished or moved under other rules."""

from typing import Literal

from pydantic import AwareDatetime, Field

from serve.schemas.base import Reply


class AlertRates(Reply):
    """Alerts a day of all devices of the type, as those that were run have them; bounds of the difference, at 90 %."""

    before: float
    after: float
    difference: float
    low: float | None = Field(description="null: all devices were run, or a single one")
    high: float | None


class RehearsedAlerts(Reply):
    """Alerts of the devices that were run."""

    before: int = Field(description="raised in the window under the rules in force")
    after: int = Field(description="under the changed ones")
    same: int
    moved: int = Field(description="raised at another time, and standing at a common one")
    appeared: int
    vanished: int
    stood: int = Field(description="older than the window on either side; not among the others")
    shift_s: float | None = Field(description="by how much they moved, the median; negative: earlier")
    rate: AlertRates


class RehearsedRule(RehearsedAlerts):
    rule: str


class AlertPeak(Reply):
    """The most alerts in any ten minutes, of the devices that were run. ISA-18.2: above 10 it is a flood for a person."""

    before: int
    after: int


class AlertStretch(Reply):
    raised: AwareDatetime
    cleared: AwareDatetime = Field(description="when its condition ended for good, or the window")


class RehearsedAlert(Reply):
    device_id: str
    rule: str
    change: Literal["appeared", "vanished", "moved"]
    before: AlertStretch | None
    after: AlertStretch | None
    shift_s: float | None


class Rehearsal(Reply):
    """The same readings under two sets of rules."""

    type: str
    seed: int
    start: AwareDatetime
    end: AwareDatetime
    days: float
    shortened: Literal["history", "readings"] | None = Field(
        description="why it begins later than was asked for: nothing earlier is kept, or it would take too long"
    )
    devices: int = Field(description="that were run")
    of_devices: int
    readings: int = Field(description="that were run, once under each set of rules")
    of_readings: int = Field(description="of all devices, about")
    put_aside: int = Field(description="what people did in the window that does not fit on the changed side")
    differing: int = Field(description="devices that have other alerts")
    may_differ: float | None = Field(
        description="where none of those that were run does: the share of all that still may, at 90 %"
    )
    in_all: RehearsedAlerts
    rules: list[RehearsedRule]
    peak: AlertPeak
    examples: list[RehearsedAlert] = Field(description="the first twenty of each change")
