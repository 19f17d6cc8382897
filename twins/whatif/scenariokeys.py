"""The keys of a scenario's file: one table that the reader, the JSON Schema and the reference page are all made from.

Kinds and defaults are those of the fields in ``scenarios.py``; what stands here is what a type cannot say: bounds, patterns,
and what the key is for. ``rules`` of an arm are written as ``AlertRule`` has them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, Final, NamedTuple, get_type_hints

from twins.costs import HORIZON_D
from twins.devices import AlertRule
from twins.whatif.scenarios import (
    METRICS,
    AmbientChange,
    Arm,
    Base,
    CostChange,
    FaultInjection,
    Growth,
    LoadChange,
    Operator,
    PlannedWork,
    Policy,
    Resources,
    Retirement,
    Scenario,
    SensorInjection,
    Span,
    Spare,
    SqlMetric,
    Stopping,
)

NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""Of scenarios and arms: they name folders and stand in tables."""

INTERVENTIONS: Final[Mapping[str, type]] = {
    "load": LoadChange,
    "ambient": AmbientChange,
    "fault": FaultInjection,
    "sensor": SensorInjection,
    "grow": Growth,
    "retire": Retirement,
    "work": PlannedWork,
}
"""By the one key that an item of ``interventions`` has."""

LONGEST_H: Final = 87_600.0
"""Ten years."""

_YEAR_H: Final = 8760.0
_COLUMN: Final = "[a-z][a-z0-9]*(_[a-z0-9]+)*"
_TIME: Final = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?"
_DEVICES: Final = "which devices, in the filter grammar; empty: all of the scenario's"
_SHARE: Final = "the share of these devices, drawn the same in every arm"


class Key(NamedTuple):
    """What the type of a field does not say.

    Attributes
    ----------
    text : what it is for
    low, high : bounds of the number, or of each of its numbers, both included
    pattern : what the whole of a text, or of each of its texts, fits
    choices : the only texts that are taken, where the type does not list them
    name : the key in files, where that is not the field's name
    """

    text: str
    low: float = -math.inf
    high: float = math.inf
    pattern: str = ""
    choices: tuple[str, ...] = ()
    name: str = ""


class Slot(NamedTuple):
    """A key of a section: its name in files, the field behind it, the field's type, and its ``Key``."""

    name: str
    field: Field[Any]
    kind: Any
    key: Key

    @property
    def required(self) -> bool:
        return self.field.default is MISSING and self.field.default_factory is MISSING

    def default(self) -> Any:
        """What stands for a key that is left out; None for one that is required."""
        if self.field.default_factory is not MISSING:
            return self.field.default_factory()
        return None if self.field.default is MISSING else self.field.default


def slots(section: type) -> Iterator[Slot]:
    """The keys of the section that is read to ``section``, in the order of its fields; those of a span among its own."""
    hints = _hints(section)
    for each in fields(section):
        if hints[each.name] is Span:
            yield from slots(Span)
        else:
            key = KEYS[section][each.name]
            yield Slot(key.name or each.name, each, hints[each.name], key)


@cache
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section)


KEYS: Final[Mapping[type, Mapping[str, Key]]] = {
    Scenario: {
        "name": Key("names the scenario, its job and its folder of results", pattern=NAME),
        "title": Key("the question, as people read it"),
        "description": Key("why it is asked, and what is left out"),
        "base": Key("what is forked"),
        "horizon_h": Key("how far the twins are run forward, h", low=1, high=LONGEST_H),
        "step_s": Key(
            "one step of physics and one reading a device, s; no shorter than the interval of any type",
            low=1,
            high=86_400,
        ),
        "bucket_h": Key(
            "results are told by stretches of this length, h; a divisor of `horizon_h`",
            low=0.01,
            high=LONGEST_H,
        ),
        "dispatch_h": Key("crews are sent out this often, h; a divisor of `bucket_h`", low=0.01, high=168),
        "group_by": Key("results are told by this, too"),
        "replications": Key("how many runs of each arm; `stopping` takes its place", low=1, high=10_000),
        "stopping": Key("as many runs as it takes to be this sure"),
        "seed": Key("decides every draw", low=0, high=2**31 - 1),
        "level": Key("confidence of the intervals that are told", low=0.5, high=0.999),
        "reference": Key("the arm that others are compared with; empty: the first"),
        "operator": Key("who answers alerts"),
        "resources": Key("who does the work, and with what"),
        "metrics": Key("what is measured", choices=tuple(METRICS)),
        "sql_metrics": Key("numbers of one's own"),
        "keep": Key("tables beside the results"),
        "arms": Key("the options that are compared, at least one"),
    },
    Base: {
        "start": Key("`live`: the twins as they are; `past`: as of `at`; `fleet`: a simulated fleet"),
        "at_us": Key(
            "for `past`: the moment, ISO 8601 in quotes, UTC unless it says", pattern=_TIME, name="at"
        ),
        "fleet": Key("for `fleet`: the file of the simulated fleet"),
        "warm_up_h": Key("for `fleet`: how long it runs before the fork, h", low=0, high=_YEAR_H),
        "devices": Key("which devices are forked, in the filter grammar; empty: all"),
        "history_h": Key(
            "damage behind the readings is estimated from the last so many hours", low=0, high=LONGEST_H
        ),
    },
    Stopping: {
        "metric": Key("the metric that is to be known so well: one of `metrics` or `sql_metrics`"),
        "half_width": Key("half the width of the interval, at most", low=1e-6, high=1e12),
        "relative": Key("`half_width` is a share of the mean, not in the metric's unit"),
        "level": Key("confidence of that interval", low=0.5, high=0.999),
        "at_least": Key("runs of each arm, at least", low=2, high=10_000),
        "at_most": Key("and at most", low=2, high=10_000),
    },
    Operator: {
        "present": Key("`false`: nobody answers alerts"),
        "acknowledge_s": Key("median time to acknowledge an alert, s", low=0, high=604_800),
        "reset_s": Key("median time to reset one that may be reset, s", low=0, high=604_800),
        "spread": Key("standard deviation of the logarithm of both", low=0, high=3),
    },
    Resources: {
        "crews": Key(
            "people, as actions count them in `crew`; null: as many as it takes", low=0, high=100_000
        ),
        "shift": Key("hours UTC of a day between which planned work begins", low=0, high=24),
        "weekends": Key("planned work begins on Saturday and Sunday, too"),
        "spares": Key("parts on the shelf by name; those not named are always there"),
        "unplanned_delay_h": Key(
            "how long a failed device stands at least before work begins, h", low=0, high=_YEAR_H
        ),
        "unplanned_surcharge": Key("unplanned work is dearer by this share", low=0, high=100),
        "duration": Key("how long work takes: as its action says, or drawn with that as the mean"),
        "spread": Key("coefficient of variation of lognormal durations", low=0, high=5),
    },
    Spare: {
        "stock": Key("how many there are at the start", low=0, high=1_000_000),
        "lead_h": Key("a new one comes so long after one was taken, h", low=0, high=LONGEST_H),
    },
    Arm: {
        "name": Key("names the arm in every table of results", pattern=NAME),
        "title": Key("the option, as people read it"),
        "policy": Key("when planned work is asked for"),
        "policies": Key("other policies for single types, by type"),
        "interventions": Key("what else happens: each item has one key, which says what"),
        "rules": Key("alert rules by type, in place of those in force"),
        "models": Key(
            "version of the forecast model by type; left out: the one in force", low=1, high=2**31 - 1
        ),
        "costs": Key("other costs, by type"),
        "resources": Key("where it differs from the scenario's `resources`; what is left out is as there"),
        "operator": Key("where it differs from the scenario's `operator`; what is left out is as there"),
    },
    Policy: {
        "kind": Key(
            "`nothing`: what fails stands still; `run_to_failure`: failures alone are mended; `fixed_interval`: each "
            "`every_h`; `threshold`: while `when` holds; `prognosis`: while failing within `within_h` is likelier than "
            "`p_fail`"
        ),
        "every_h": Key("for `fixed_interval`: hours between two works on a device", low=0, high=LONGEST_H),
        "when": Key("for `threshold`: a condition in the filter grammar over health, channels and alerts"),
        "p_fail": Key("for `prognosis`: the chance of failing above which work is asked for", low=0, high=1),
        "within_h": Key("for `prognosis`: the time that the chance is for, h", low=1, high=HORIZON_D * 24),
        "action": Key("what is done; empty: what makes most good of what is likeliest to fail"),
        "review_h": Key("a device is looked at this often, h", low=0.01, high=_YEAR_H),
    },
    Span: {
        "from_h": Key("it begins so many hours after the fork", low=0, high=LONGEST_H),
        "until_h": Key("and ends; null: never", low=0, high=LONGEST_H),
        "every_h": Key("and comes again this often; 0: once", low=0, high=LONGEST_H),
    },
    LoadChange: {
        "factor": Key("devices are asked to do so many times as much", low=0, high=10),
        "devices": Key(_DEVICES),
    },
    AmbientChange: {
        "shift_k": Key("it is warmer outside by this, K", low=-50, high=50),
        "sites": Key("where; empty: everywhere"),
    },
    FaultInjection: {
        "mode": Key("a failure mode"),
        "damage": Key("it has got at least so far: 0 new, 1 failed", low=0, high=1),
        "speed": Key("and goes on so many times as fast", low=0, high=1e9),
        "devices": Key(_DEVICES),
        "share": Key(_SHARE, low=0, high=1),
    },
    SensorInjection: {
        "channel": Key("the channel whose sensors fail"),
        "failure": Key("how"),
        "size": Key("by how much, in the channel's unit; of a drift: per hour", low=-1e12, high=1e12),
        "devices": Key(_DEVICES),
        "share": Key(_SHARE, low=0, high=1),
    },
    Growth: {
        "device_type": Key("the type of the new devices", name="type"),
        "count": Key("how many, each time", low=1, high=10_000_000),
        "site": Key("where they stand"),
    },
    Retirement: {"devices": Key(_DEVICES), "share": Key(_SHARE, low=0, high=1)},
    PlannedWork: {
        "action": Key("the action that is asked for"),
        "devices": Key(_DEVICES),
        "share": Key(_SHARE, low=0, high=1),
    },
    CostChange: {
        "downtime_per_h": Key("an hour of standing still; null: as the type says", low=0, high=1e12),
        "actions": Key("work, by action; left out: as the type says", low=0, high=1e12),
    },
    SqlMetric: {
        "name": Key("names the number among the metrics", pattern=_COLUMN),
        "sql": Key("a query over the tables of results that gives rows of arm, replication and value"),
        "better": Key("which way is better"),
    },
    AlertRule: {
        "name": Key("names the rule; one of the type in force by that name is taken to be the same"),
        "when": Key("the condition, in the filter grammar"),
        "priority": Key("how urgent it is"),
        "consequence": Key("what happens if nobody acts"),
        "response": Key("what the operator is to do"),
        "title": Key("the rule, as people read it"),
        "deadband": Key("by channel or indicator: how far it must go back before the alert may end", low=0),
        "on_delay_s": Key("how long the condition must hold, s; null: two intervals", low=0),
        "off_delay_s": Key("how long it must have cleared, s; null: five intervals", low=0),
        "latch": Key("the alert stands until it is reset"),
        "suppressed_by": Key("states of the parent that suppress it"),
    },
}
"""By section and field."""
