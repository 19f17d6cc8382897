"""Whether a scenario goes together, and with the fleet it is for: what it names exists, times divide, work can be done.

What a file may say at all is for ``scenariofiles.py``. Everything that is wrong is told at once, each with the line where it
stands, as far as the scenario came from a file.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from twins import filters
from twins.clock import HOUR_US, SECOND_US
from twins.costs import made_good, mending
from twins.devices import DeviceType, MaintenanceAction
from twins.errors import DeviceTypeError, FilterError
from twins.filters import And, Compare, In, Like, Not, Or, Tree, Vocabulary, normal, parse
from twins.rules import SCORES
from twins.typefiles import parse_rules
from twins.whatif.errors import ScenarioError
from twins.whatif.scenariofiles import Read, Where
from twins.whatif.scenariokeys import INTERVENTIONS
from twins.whatif.scenarios import (
    METRICS,
    AmbientChange,
    Arm,
    FaultInjection,
    Growth,
    Intervention,
    LoadChange,
    PlannedWork,
    Policy,
    Retirement,
    Scenario,
    SensorInjection,
    Span,
)

MOST_GROWN: Final = 1_000_000
"""New devices in one arm."""

MOST_BUCKETS: Final = 10_000
"""Stretches of time that results are told by."""

_NAMES: Final = {kind: what for what, kind in INTERVENTIONS.items()}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a scenario is checked against.

    Attributes
    ----------
    types : that are installed, by name
    devices : what filters of devices may name
    conditions : what ``Policy.when`` may name, for a type
    counts : how many devices the scenario forks, by type; None: not known
    models : versions of forecast models that there are, by type; None: not known
    in_force : types of which one is in force
    sites : where devices stand; None: not known
    """

    types: Mapping[str, DeviceType]
    devices: Vocabulary
    conditions: Callable[[DeviceType], Vocabulary]
    counts: Mapping[str, int] | None = None
    models: Mapping[str, Collection[int]] | None = None
    in_force: Collection[str] = ()
    sites: Collection[str] | None = None


class Problem(NamedTuple):
    """Something that does not go together; ``line`` 0: the scenario came from no file."""

    at: Where
    line: int
    problem: str
    remedy: str


def check(
    scenario: Scenario, around: Surroundings, lines: Mapping[Where, int] | None = None
) -> tuple[Problem, ...]:
    """Everything that does not go together, in the order of its lines; empty: it can be run.

    ``lines`` : as ``Read`` has them
    """
    found = _Found(scenario, around, lines or {})
    _check_times(found)
    _check_base(found)
    _check_names(found)
    _check_stopping(found)
    for i, arm in enumerate(scenario.arms):
        _check_arm(found, ("arms", i), arm)
    return tuple(sorted(dict.fromkeys(found.problems), key=lambda problem: problem.line))


def refuse(read: Read, around: Surroundings) -> None:
    """Nothing, for a scenario that can be run.

    Raises
    ------
    ScenarioError : with everything that does not go together, each with its line and remedy.
    """
    problems = check(read.scenario, around, read.lines)
    if problems:
        (_, line, problem, remedy), *others = problems
        more = tuple((each.line, each.problem, each.remedy) for each in others)
        raise ScenarioError(read.source, line, problem, remedy, more)


@dataclass(slots=True)
class _Found:
    """What has been found so far, and which types it is about.

    ``forked`` are the types that may be forked, ``sure`` those that certainly are: what must be so for every type is asked
    of these.
    """

    scenario: Scenario
    around: Surroundings
    lines: Mapping[Where, int]
    problems: list[Problem] = field(default_factory=list)
    forked: dict[str, DeviceType] = field(init=False)
    sure: dict[str, DeviceType] = field(init=False)

    def __post_init__(self) -> None:
        types, counts = self.around.types, self.around.counts
        if counts is not None:
            self.forked = {name: each for name, each in types.items() if counts.get(name)}
            self.sure = self.forked
            return
        self.forked = self.taken_in(types, self.scenario.base.devices)
        self.sure = self.forked if len(self.forked) < len(types) else {}

    def wrong(self, at: Where, problem: str, remedy: str) -> None:
        known = next((at[:k] for k in range(len(at), 0, -1) if at[:k] in self.lines), None)
        line = (1 if self.lines else 0) if known is None else self.lines[known]
        self.problems.append(Problem(at, line, problem, remedy))

    def taken_in(self, types: Mapping[str, DeviceType], devices: str) -> dict[str, DeviceType]:
        """The types of which a filter can take devices in; all of them, for one that cannot be read."""
        try:
            tree = normal(parse(devices, self.around.devices)) if devices.strip() else None
        except FilterError:
            tree = None
        return {name: each for name, each in types.items() if tree is None or _may_match(tree, name)}

    def check_filter(self, at: Where, devices: str) -> None:
        if devices.strip():
            try:
                parse(devices, self.around.devices)
            except FilterError as error:
                self.wrong(at, f"{error.problem} (column {error.column} of {devices!r})", error.remedy)

    def is_forked(self, at: Where, name: str) -> bool:
        """Whether a type is installed and forked; what is wrong is told."""
        if name not in self.around.types:
            self.wrong(at, f"no device type {name!r} is installed", _one_of(self.around.types))
        elif name not in self.forked:
            self.wrong(at, f"no device of type {name!r} is forked", _one_of(self.forked))
        else:
            return True
        return False


def _may_match(tree: Tree, name: str) -> bool:
    """Whether a device of a type can be among those that a filter in normal form takes in."""
    match tree:
        case And(parts):
            return all(_may_match(part, name) for part in parts)
        case Or(parts):
            return any(_may_match(part, name) for part in parts)
        case Not(part):
            return not _is_about_type(part) or not _may_match(part, name)
        case Compare(term, operator, value) if term.key == "type":
            return (name == value) == (operator == "=")
        case In(term, values) if term.key == "type":
            return name in values
        case Like(term) if term.key == "type":
            known = Vocabulary({"type": filters.Field("text")})
            return bool(filters.mask(tree, known, {"type": [name]})[0])
    return True


def _is_about_type(tree: Tree) -> bool:
    return isinstance(tree, Compare | In | Like) and tree.term.key == "type"


def _check_times(found: _Found) -> None:
    s = found.scenario
    step_us, horizon_us = round(s.step_s * SECOND_US), round(s.horizon_h * HOUR_US)
    bucket_us, dispatch_us = round(s.bucket_h * HOUR_US), round(s.dispatch_h * HOUR_US)
    for part, whole, small, large in (
        (bucket_us, horizon_us, f"bucket_h {s.bucket_h:g}", f"horizon_h {s.horizon_h:g}"),
        (dispatch_us, bucket_us, f"dispatch_h {s.dispatch_h:g}", f"bucket_h {s.bucket_h:g}"),
        (step_us, dispatch_us, f"step_s {s.step_s:g}", f"dispatch_h {s.dispatch_h:g}"),
    ):
        if part <= 0 or whole % part:
            keys = [small.split()[0], large.split()[0]]
            at = next(((key,) for key in keys if (key,) in found.lines), (keys[0],))
            found.wrong(
                at, f"{small} does not divide {large}", "choose both so that it fits a whole number of times"
            )
    if bucket_us and horizon_us // bucket_us > MOST_BUCKETS:
        found.wrong(
            ("bucket_h",),
            f"the horizon has {horizon_us // bucket_us} stretches of {s.bucket_h:g} h",
            f"make bucket_h longer: at most {MOST_BUCKETS}",
        )
    for name, each in sorted(found.sure.items()):
        if each.interval_s is not None and s.step_s < each.interval_s:
            found.wrong(
                ("step_s",),
                f"step_s {s.step_s:g} is shorter than the {each.interval_s:g} s between two readings of {name!r}",
                f"give at least {each.interval_s:g}, or leave the type out: `devices: \"type != '{name}'\"`",
            )


def _check_base(found: _Found) -> None:
    base, at = found.scenario.base, ("base",)
    found.check_filter((*at, "devices"), base.devices)
    if (base.start == "past") != (base.at_us is not None):
        problem = (
            "start is past, and there is no moment"
            if base.at_us is None
            else f"start is {base.start}, and there is a moment"
        )
        found.wrong((*at, "at"), problem, 'write `start: past` and `at: "2026-01-31T12:00:00Z"`, or neither')
    if (base.start == "fleet") != bool(base.fleet):
        problem = f"start is {base.start}, and there is {'a' if base.fleet else 'no'} fleet"
        found.wrong((*at, "fleet"), problem, "write `start: fleet` and the file under `fleet`, or neither")
    if not found.forked:
        found.wrong((*at, "devices"), "no device is forked", "check the filter, or leave it out")


def _check_names(found: _Found) -> None:
    s = found.scenario
    names = [arm.name for arm in s.arms]
    for i, name in enumerate(names):
        if name in names[:i]:
            found.wrong(("arms", i, "name"), f"arm {name!r} exists already", "give each its own name")
    if s.reference and s.reference not in names:
        found.wrong(("reference",), f"there is no arm {s.reference!r}", _one_of(names))
    own = [metric.name for metric in s.sql_metrics]
    for i, name in enumerate(own):
        if name in METRICS or name in own[:i]:
            found.wrong(("sql_metrics", i, "name"), f"metric {name!r} exists already", "give it another name")
    if not s.metrics and not own:
        found.wrong(("metrics",), "nothing is measured", _one_of(METRICS))


def _check_stopping(found: _Found) -> None:
    s = found.scenario
    if s.stopping is None:
        return
    at = ("stopping",)
    measured = [*s.metrics, *(metric.name for metric in s.sql_metrics)]
    if s.stopping.metric not in measured:
        found.wrong(
            (*at, "metric"),
            f"{s.stopping.metric!r} is not measured",
            f"add it to metrics, or use {_one_of(measured)}",
        )
    if s.stopping.at_least > s.stopping.at_most:
        found.wrong(
            (*at, "at_least"),
            f"at_least {s.stopping.at_least} is above at_most {s.stopping.at_most}",
            "give the smaller number first",
        )
    if s.stopping.relative and s.stopping.half_width >= 1:
        found.wrong(
            (*at, "half_width"),
            f"half_width {s.stopping.half_width:g} is a share of the mean",
            "give less than 1, or say `relative: false`",
        )


def _check_arm(found: _Found, at: Where, arm: Arm) -> None:
    applying = list(_policies(found, at, arm))
    for where, policy, types, sure in applying:
        _check_policy(found, where, arm, policy, types, sure)
    for i, change in enumerate(arm.interventions):
        _check_intervention(found, (*at, "interventions", i, _NAMES[type(change)]), change)
    _check_growth(found, at, arm)
    _check_rules(found, at, arm)
    for name, version in arm.models.items():
        where = (*at, "models", name)
        if found.is_forked(where, name) and found.around.models is not None:
            versions = found.around.models.get(name, ())
            if version not in versions:
                found.wrong(
                    where,
                    f"there is no model {version} of {name!r}",
                    _one_of([f"{each}" for each in versions]),
                )
    for name, cost in arm.costs.items():
        if found.is_forked((*at, "costs", name), name):
            known = [action.name for action in found.forked[name].actions]
            for action in cost.actions:
                if action not in known:
                    found.wrong(
                        (*at, "costs", name, "actions", action),
                        f"{name!r} has no action {action!r}",
                        _one_of(known),
                    )
    _check_resources(found, at, arm, applying)
    _check_wear(found, at, arm)


def _policies(
    found: _Found, at: Where, arm: Arm
) -> Iterator[tuple[Where, Policy, dict[str, DeviceType], dict[str, DeviceType]]]:
    """Each policy of an arm, the types that it may be for, and those that it certainly is for."""
    rest = {name: each for name, each in found.forked.items() if name not in arm.policies}
    yield (*at, "policy"), arm.policy, rest, {name: each for name, each in rest.items() if name in found.sure}
    for name, policy in arm.policies.items():
        where = (*at, "policies", name)
        if found.is_forked(where, name):
            yield where, policy, {name: found.forked[name]}, {name: found.forked[name]}


def _check_policy(
    found: _Found,
    at: Where,
    arm: Arm,
    policy: Policy,
    types: Mapping[str, DeviceType],
    sure: Mapping[str, DeviceType],
) -> None:
    if policy.when and policy.kind != "threshold":
        found.wrong(
            (*at, "when"),
            f"the policy is {policy.kind}, which looks at no condition",
            "say `kind: threshold`, or drop `when`",
        )
    if policy.every_h and policy.kind != "fixed_interval":
        found.wrong(
            (*at, "every_h"),
            f"the policy is {policy.kind}, which has no interval",
            "say `kind: fixed_interval`, or drop `every_h`",
        )
    if policy.kind in ("nothing", "run_to_failure"):
        if policy.action:
            found.wrong(
                (*at, "action"),
                f"the policy is {policy.kind}, which plans no work",
                "drop `action`, or choose another kind",
            )
        return
    dispatch_us, review_us = (round(h * HOUR_US) for h in (found.scenario.dispatch_h, policy.review_h))
    if dispatch_us and (review_us < dispatch_us or review_us % dispatch_us):
        found.wrong(
            (*at, "review_h"),
            f"review_h {policy.review_h:g} is no multiple of dispatch_h {found.scenario.dispatch_h:g}",
            "devices are looked at when crews are sent out; choose a multiple",
        )
    if policy.kind == "fixed_interval" and policy.every_h <= 0:
        found.wrong(
            (*at, "every_h"), "the policy has no interval", "add `every_h: 2000`, or what it is to be"
        )
    _check_action(found, (*at, "action"), policy.action, types, sure)
    scores: set[str] = set()
    if policy.kind == "threshold":
        armed = {name: _armed(arm, each) for name, each in (sure or types).items()}
        scores = _check_condition(found, (*at, "when"), policy.when, armed, all_of=bool(sure))
    if policy.kind == "prognosis" or scores:
        _check_models(found, (*at, "kind" if policy.kind == "prognosis" else "when"), arm, sure)


def _check_action(
    found: _Found, at: Where, action: str, types: Mapping[str, DeviceType], sure: Mapping[str, DeviceType]
) -> None:
    for name, each in sorted(sure.items()):
        known = [mine.name for mine in each.actions]
        if action and action not in known:
            found.wrong(
                at,
                f"{name!r} has no action {action!r}",
                f"{_one_of(known)}; or give the type a policy of its own in `policies`",
            )
        if not action and each.failure_modes and _usual_action(each) is None:
            found.wrong(
                at,
                f"no action of {name!r} makes any failure mode good",
                "give the type an action with `resets`",
            )
    if (
        action
        and not sure
        and not any(action in (mine.name for mine in each.actions) for each in types.values())
    ):
        found.wrong(
            at,
            f"no forked type has an action {action!r}",
            _one_of({mine.name for each in types.values() for mine in each.actions}),
        )


def _check_condition(
    found: _Found, at: Where, when: str, types: Mapping[str, DeviceType], *, all_of: bool
) -> set[str]:
    """Whether a condition can be read for all of the types, or for one of them; the forecasts that it names."""
    if not when.strip():
        found.wrong(at, "the policy has no condition", 'add `when: "health < 60"`, or what is to hold')
        return set()
    scores: set[str] = set()
    failed: list[tuple[str, FilterError]] = []
    for name, each in sorted(types.items()):
        try:
            scores |= _named(parse(when, found.around.conditions(each))) & set(SCORES)
        except FilterError as error:
            failed.append((name, error))
    if failed and (all_of or len(failed) == len(types)):
        for name, problem in failed if all_of else failed[:1]:
            found.wrong(
                at, f"{problem.problem} (column {problem.column} of {when!r}), for {name!r}", problem.remedy
            )
    return scores


def _armed(arm: Arm, device_type: DeviceType) -> DeviceType:
    """A type with the alert rules that it has in an arm: conditions may name them."""
    documents = arm.rules.get(device_type.name)
    if documents is None:
        return device_type
    try:
        return replace(device_type, rules=parse_rules(json.dumps({"rules": list(documents)}), device_type))
    except DeviceTypeError:  # told where the rules are
        return device_type


def _named(tree: Tree) -> set[str]:
    match tree:
        case And(parts) | Or(parts):
            return set().union(*(_named(part) for part in parts))
        case Not(part):
            return _named(part)
    return {tree.term.key}


def _check_models(found: _Found, at: Where, arm: Arm, types: Mapping[str, DeviceType]) -> None:
    if found.around.models is None:
        return
    for name in sorted(types):
        if name not in arm.models and name not in found.around.in_force:
            found.wrong(
                at,
                f"the policy goes by forecasts, and no model of {name!r} is in force",
                f"train one with `twinfold train {name}`, name a version in `models`, or give the type another policy",
            )


def _check_intervention(found: _Found, at: Where, change: Intervention) -> None:
    devices = "" if isinstance(change, AmbientChange | Growth) else change.devices
    found.check_filter((*at, "devices"), devices)
    types = found.taken_in(found.forked, devices)
    if not types and found.forked:
        found.wrong((*at, "devices"), "no forked device is taken in", "check the filter, or leave it out")
    _check_span(found, at, change)
    match change:
        case FaultInjection(mode=mode):
            modes = {each.name for of in types.values() for each in of.failure_modes}
            if types and mode not in modes:
                found.wrong((*at, "mode"), f"no failure mode {mode!r} of these devices", _one_of(modes))
            if change.damage == 0 and change.speed == 1:
                found.wrong((*at, "mode"), "the fault does nothing", "give damage, or a speed other than 1")
        case SensorInjection(channel=channel):
            channels = {name for of in types.values() for name in of.channel_names}
            if types and channel not in channels:
                found.wrong((*at, "channel"), f"no channel {channel!r} of these devices", _one_of(channels))
            if change.size == 0 and change.failure not in ("stuck", "dropout"):
                found.wrong(
                    (*at, "size"),
                    f"a {change.failure} of size 0 does nothing",
                    "give a size in the channel's unit",
                )
        case PlannedWork(action=action):
            actions = {each.name for of in types.values() for each in of.actions}
            if types and action not in actions:
                found.wrong((*at, "action"), f"no action {action!r} of these devices", _one_of(actions))
        case Growth(device_type=name):
            found.is_forked((*at, "type"), name)
        case AmbientChange(sites=sites) if found.around.sites is not None:
            for site in sites:
                if site not in found.around.sites:
                    found.wrong((*at, "sites"), f"no device stands at {site!r}", _one_of(found.around.sites))


def _check_span(found: _Found, at: Where, change: Intervention) -> None:
    span, s = change.span, found.scenario
    if span.from_h >= s.horizon_h:
        found.wrong(
            (*at, "from_h"),
            f"from_h {span.from_h:g} is beyond the horizon",
            f"begin before {s.horizon_h:g} h",
        )
    if span.until_h is not None and span.until_h <= span.from_h:
        found.wrong(
            (*at, "until_h"),
            f"until_h {span.until_h:g} is not after from_h {span.from_h:g}",
            "end later than it begins",
        )
    if isinstance(change, Retirement):
        for key, given in (("until_h", span.until_h is not None), ("every_h", span.every_h > 0)):
            if given:
                found.wrong((*at, key), f"devices leave once, which has no {key}", "leave it out")
        return
    if span.every_h <= 0:
        return
    if span.every_h < s.dispatch_h:
        found.wrong(
            (*at, "every_h"),
            f"every_h {span.every_h:g} is shorter than dispatch_h {s.dispatch_h:g}",
            "come again less often",
        )
    if isinstance(change, LoadChange | AmbientChange | FaultInjection | SensorInjection):
        if span.until_h is None:
            found.wrong(
                (*at, "every_h"), "it comes again, and never ends", "say until_h, where it first ends"
            )
        elif span.until_h - span.from_h >= span.every_h:
            found.wrong(
                (*at, "every_h"),
                f"it comes again each {span.every_h:g} h, before it ends",
                "make every_h longer than it lasts",
            )


def _check_growth(found: _Found, at: Where, arm: Arm) -> None:
    grown = sum(
        grown_by(change, found.scenario.horizon_h)
        for change in arm.interventions
        if isinstance(change, Growth)
    )
    if grown > MOST_GROWN:
        found.wrong(
            (*at, "interventions"), f"{grown:,} devices are added", f"add at most {MOST_GROWN:,} in an arm"
        )


def grown_by(change: Growth, horizon_h: float) -> int:
    """How many devices a growth adds within the horizon."""
    return change.count * waves(change.span, horizon_h)


def waves(span: Span, horizon_h: float) -> int:
    """How often a span begins within the horizon."""
    end_h = horizon_h if span.until_h is None or span.every_h <= 0 else min(horizon_h, span.until_h)
    if span.from_h >= end_h:
        return 0
    return math.ceil((end_h - span.from_h) / span.every_h) if span.every_h > 0 else 1


def _check_rules(found: _Found, at: Where, arm: Arm) -> None:
    for name, documents in arm.rules.items():
        where = (*at, "rules", name)
        if not found.is_forked(where, name):
            continue
        names = [str(document.get("name")) for document in documents]
        for i, document in enumerate(documents):
            text = json.dumps({"rules": [document]}, ensure_ascii=False, indent=1)
            if names[i] in names[:i]:
                found.wrong(
                    (*where, i, "name"), f"rule {names[i]!r} exists already", "give each its own name"
                )
            try:
                parse_rules(text, found.forked[name])
            except DeviceTypeError as error:
                rows = text.splitlines()
                for line, problem, remedy in ((error.line, error.problem, error.remedy), *error.more):
                    key = rows[line - 1].partition(":")[0].strip().strip('"')
                    found.wrong((*where, i, key), problem, remedy)


def _check_resources(
    found: _Found,
    at: Where,
    arm: Arm,
    applying: list[tuple[Where, Policy, dict[str, DeviceType], dict[str, DeviceType]]],
) -> None:
    resources = arm.resources or found.scenario.resources
    own = (*at, "resources") if arm.resources is not None else ("resources",)
    if resources.shift[0] >= resources.shift[1]:
        found.wrong(
            (*own, "shift"),
            f"the shift from {resources.shift[0]:g} to {resources.shift[1]:g} is empty",
            "give its begin and its end, as [7, 15]",
        )
    needed = {part for each in found.forked.values() for action in each.actions for part in action.spares}
    for part in resources.spares:
        if part not in needed:
            found.wrong(
                (*own, "spares", part), f"no action of the forked types needs {part!r}", _one_of(needed)
            )
    for name, action in sorted(_work(found, arm, applying), key=lambda work: (work[0], work[1].name)):
        if resources.crews is not None and action.crew > resources.crews:
            found.wrong(
                (*own, "crews"),
                f"{action.name!r} of {name!r} needs {action.crew} people, and there are {resources.crews}",
                f"give at least {action.crew}, or choose another action",
            )
        for part, count in action.spares.items():
            if part in resources.spares and resources.spares[part].stock < count:
                found.wrong(
                    (*own, "spares", part),
                    f"{action.name!r} of {name!r} needs {count} of {part!r}, and there are never more than "
                    f"{resources.spares[part].stock}",
                    f"stock at least {count}, or leave the part out: it is always there then",
                )


def _work(
    found: _Found,
    arm: Arm,
    applying: list[tuple[Where, Policy, dict[str, DeviceType], dict[str, DeviceType]]],
) -> Iterator[tuple[str, MaintenanceAction]]:
    """Every action that may come up in an arm, with its type; of types that are certainly forked."""
    for _, policy, _, sure in applying:
        for name, each in sure.items():
            if policy.kind != "nothing":
                mends = (mending(each, mode.name) for mode in each.failure_modes)
                yield from ((name, action) for action in mends if action is not None)
            if policy.kind not in ("nothing", "run_to_failure"):
                named = [action for action in each.actions if action.name == policy.action]
                usual = None if policy.action else _usual_action(each)
                yield from ((name, action) for action in (*named, usual) if action is not None)
    for change in arm.interventions:
        if isinstance(change, PlannedWork):
            for name, each in found.taken_in(found.sure, change.devices).items():
                yield from ((name, action) for action in each.actions if action.name == change.action)


def _usual_action(device_type: DeviceType) -> MaintenanceAction | None:
    """What planned work does where the policy does not say: it makes most good, of several the cheapest."""

    def order(action: MaintenanceAction) -> tuple[float, float]:
        good = sum(made_good(action, mode.name) for mode in device_type.failure_modes)
        return -good, action.cost + action.duration_h * device_type.downtime_cost_per_h

    return min((each for each in device_type.actions if order(each)[0] < 0), key=order, default=None)


def _check_wear(found: _Found, at: Where, arm: Arm) -> None:
    """Types of which nobody knows how they wear out can have their rules rehearsed, and nothing else."""
    for name, each in sorted(found.sure.items()):
        if each.failure_modes:
            continue
        policy = arm.policies.get(name, arm.policy)
        plans = policy.kind not in ("nothing", "run_to_failure")
        if plans or any(
            name in found.taken_in(found.sure, _devices_of(change)) for change in arm.interventions
        ):
            found.wrong(
                (*at, "policy" if plans else "interventions"),
                f"type {name!r} has no failure modes: nothing says how its devices wear out, so they cannot be run forward",
                f"give it failure modes, leave it out (`devices: \"type != '{name}'\"`), or only change its `rules`, "
                "which are then rehearsed over history",
            )
        elif not any(name in other.rules for other in found.scenario.arms):
            found.wrong(
                at,
                f"type {name!r} has no failure modes, and no arm changes its alert rules: there is nothing to compare",
                f"give it failure modes, leave it out (`devices: \"type != '{name}'\"`), or change its `rules`, "
                "which are then rehearsed over history",
            )


def _devices_of(change: Intervention) -> str:
    if isinstance(change, Growth):
        return f"type = '{change.device_type}'"
    return "" if isinstance(change, AmbientChange) else change.devices


def _one_of(names: Collection[str]) -> str:
    return f"it is one of {', '.join(sorted(names))}" if names else "there is none"
