"""Device types as files: YAML to ``DeviceType`` and back, every problem told with its line and remedy.

The keys of a file are the fields of the values in ``devices.py``. ``to_document`` gives the same shape as
JSON values, for journals and databases; ``from_document`` reads it with the very same checks.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast, get_args

import yaml

from twins.controlfiles import read_commands, read_properties
from twins.devices import (
    MAX_LOAD,
    PRIORITIES,
    AlertRule,
    Channel,
    ChannelKind,
    DeviceType,
    Effect,
    FailureMode,
    LoadProfile,
    MaintenanceAction,
    OperatingCondition,
    ParentState,
    Priority,
    Response,
)
from twins.documents import Section, read, unique
from twins.errors import DeviceTypeError, FilterError
from twins.readings import MAX_CHANNELS
from twins.rules import MAX_RULES, compile_rules
from twins.units import is_unit

CATALOG: Final = Path(__file__).parent / "catalog"
"""The folder of the types that come with Twinfold."""

MAX_REGIMES: Final = 64
MAX_FAILURE_MODES: Final = 16

_RESERVED_NAMES: Final = """
    id device device_id device_type site parent name labels at event_time event_us ingest_us recorded_at
    cursor row fate quality bad present health anomaly_score anomalous patterns stale silent_s status regime
    life_cycle and or not in is null like true false rate pattern missing
"""

RESERVED: Final = frozenset(_RESERVED_NAMES.split())
"""Names that tables and rules use themselves, so that no channel can have them."""

_TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CHANNEL_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_FLOAT32_STEPS: Final = 2**24
_SCALARS: Final = (str, int, float, bool)


class _Dumper(yaml.SafeDumper):
    """Lists set in below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def parse_type(text: str, source: str = "<text>") -> DeviceType:
    """The device type that YAML ``text`` describes.

    Raises
    ------
    DeviceTypeError : names ``source``, the line, the problem and the remedy, for every problem of the text.
    """
    return cast(DeviceType, read(text, source, DeviceTypeError, read_type))


def load_type(path: Path) -> DeviceType:
    """The device type that a file describes.

    Raises
    ------
    DeviceTypeError : as ``parse_type``; also for a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise DeviceTypeError(
            str(path), 1, f"the file cannot be read: {problem}", "check its path and that it is UTF-8"
        ) from None
    return parse_type(text, str(path))


@dataclass(frozen=True, slots=True)
class FoundTypes:
    """The types that files describe, by name, the file of each, and what is wrong with files that describe none."""

    types: Mapping[str, DeviceType]
    files: Mapping[str, Path]
    problems: Sequence[DeviceTypeError]


def find_types(folders: Iterable[Path] = (), *, built_in: bool = True) -> FoundTypes:
    """The types that come with Twinfold, then those of each folder's ``*.yaml`` files. A wrong file costs no other.

    A type of a later folder takes the place of one of the same name; within one folder a name may occur once.
    """
    types: dict[str, DeviceType] = {}
    files: dict[str, Path] = {}
    problems: list[DeviceTypeError] = []
    for folder in (*((CATALOG,) if built_in else ()), *folders):
        found: dict[str, Path] = {}
        for path in sorted(folder.glob("*.yaml")):
            try:
                device_type = load_type(path)
            except DeviceTypeError as problem:
                problems.append(problem)
                continue
            if device_type.name in found:
                twice = f"type {device_type.name!r} is described by {found[device_type.name].name} as well"
                remedy = "keep one of the files, or give one type another name"
                problems.append(DeviceTypeError(str(path), 1, twice, remedy))
                continue
            found[device_type.name] = path
            types[device_type.name] = device_type
        files.update(found)
    return FoundTypes(types, files, problems)


def load_catalog(folders: Iterable[Path] = (), *, built_in: bool = True) -> dict[str, DeviceType]:
    """The types that ``find_types`` finds, by name.

    Raises
    ------
    DeviceTypeError : for the first file that is wrong.
    """
    found = find_types(folders, built_in=built_in)
    if found.problems:
        raise found.problems[0]
    return dict(found.types)


def to_document(device_type: DeviceType) -> dict[str, Any]:
    """The type as JSON values in the shape of its file. What has its default is left out."""
    return cast(dict[str, Any], _plain(device_type))


def from_document(document: Mapping[str, Any], source: str = "<document>") -> DeviceType:
    """The type that ``to_document`` described; equal to the first, if that came from a file.

    Raises
    ------
    DeviceTypeError : as ``parse_type``; lines count those of the indented JSON.
    """
    return parse_type(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False), source)


def content_hash(device_type: DeviceType) -> str:
    """SHA-256 of the type's document, in hex: equal types have equal hashes, on any machine."""
    return document_hash(to_document(device_type))


def document_hash(document: Any) -> str:
    """SHA-256 of JSON values, in hex; the order of keys does not matter."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_yaml(device_type: DeviceType) -> str:
    """The type as the text of a file; ``parse_type`` reads it back equal. Comments are not kept."""
    return dump(to_document(device_type))


def dump(document: Any) -> str:
    """JSON values as the text of a file."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def to_rule_documents(rules: Iterable[AlertRule]) -> list[dict[str, Any]]:
    """Alert rules as JSON values in the shape of a file, as ``to_document`` has them."""
    return [_plain(rule) for rule in rules]


def parse_rules(text: str, device_type: DeviceType, source: str = "<text>") -> tuple[AlertRule, ...]:
    """The alert rules for a type that YAML ``text`` lists under ``rules``, checked against its channels.

    ``type`` may stand beside them, and must then name the type.

    Raises
    ------
    DeviceTypeError : as ``parse_type``.
    """

    def read_rules(root: Section) -> tuple[AlertRule, ...]:
        name = root.text("type", device_type.name)
        if name != device_type.name:
            root.wrong("type", f"these are rules of {name!r}", f"give rules of {device_type.name!r}")
        if root.kind("rules") == "missing":
            root.wrong(
                "rules", "there are no rules", "list them under `rules:`; an empty list is `rules: []`"
            )
        return _rules(root, device_type.channels)

    return cast(tuple[AlertRule, ...], read(text, source, DeviceTypeError, read_rules))


def read_type(root: Section) -> DeviceType:
    """The type described by a section of an open document; what is wrong is reported there."""
    channel_sections = root.sections("channels", "channel")
    channels = tuple(_channel(section) for section in channel_sections)
    names = tuple(channel.name for channel in channels)
    unique(channel_sections, names, "channel")
    if not channels:
        root.wrong("channels", "the type has no channels", "list at least one channel with name and unit")
    if len(channels) > MAX_CHANNELS:
        root.wrong(
            "channels", f"{len(channels)} channels", f"a type has at most {MAX_CHANNELS}; split the device"
        )
    mode_sections = root.sections("failure_modes", "failure mode")
    modes = tuple(_failure_mode(section, channels) for section in mode_sections)
    mode_names = tuple(mode.name for mode in modes)
    unique(mode_sections, mode_names, "failure mode")
    if len(modes) > MAX_FAILURE_MODES:
        root.wrong("failure_modes", f"{len(modes)} failure modes", f"a type has at most {MAX_FAILURE_MODES}")
    rules = _rules(root, channels)
    action_sections = root.sections("actions", "action")
    actions = tuple(_action(section, mode_names) for section in action_sections)
    unique(action_sections, [action.name for action in actions], "action")
    load = _load(root.section("load"))
    for section, channel in zip(channel_sections, channels, strict=True):
        _check_healthy_value(section, channel, load)
    interval_s = root.maybe_number("interval_s")
    if interval_s is not None and interval_s <= 0:
        root.wrong("interval_s", f"interval_s is {interval_s:g}", "give seconds above zero, or leave it out")
    horizon_h = root.maybe_number("horizon_h")
    if horizon_h is not None and horizon_h <= 0:
        root.wrong("horizon_h", f"horizon_h is {horizon_h:g}", "give hours above zero, or leave it out")
    return DeviceType(
        name=_name(root, _TYPE_NAME, "centrifugal-pump"),
        version=root.integer("version", 1, low=1),
        channels=channels,
        title=root.text("title", ""),
        description=root.text("description", ""),
        interval_s=interval_s,
        baseline_readings=root.integer("baseline_readings", 400, low=8, high=1_000_000),
        conditions=_conditions(root, channels),
        failure_modes=modes,
        rules=rules,
        actions=actions,
        properties=read_properties(root),
        commands=read_commands(root),
        downtime_cost_per_h=root.number("downtime_cost_per_h", 0.0, low=0.0),
        horizon_h=horizon_h,
        ambient_reference_c=root.number("ambient_reference_c", 20.0, low=-90.0, high=100.0),
        sources=root.texts("sources"),
        load=load,
    )


def _channel(section: Section) -> Channel:
    kind = cast(ChannelKind, section.text("kind", "gauge", get_args(ChannelKind)))
    steps = 1.0 if kind in ("state", "flag") else 0.0
    low = section.number("low", 0.0 if kind in ("flag", "counter") else -math.inf)
    high = section.number("high", 1.0 if kind == "flag" else math.inf)
    resolution = section.number("resolution", steps)
    dtype = section.text("dtype", "float32", ("float32", "float64"))
    name = _name(section, _CHANNEL_NAME, "bearing_temperature")
    unit = section.text("unit", "1" if kind in ("state", "flag") else None)
    if name in RESERVED:
        section.wrong("name", f"{name!r} is a name that rules and tables use themselves", "choose another")
    if "unit" in section and not is_unit(unit):
        section.wrong(
            "unit", f"{unit!r} is no UCUM code", 'see ucum.org: mm/s, Cel for °C, kW, bar, /min, % or "1"'
        )
    if low >= high:
        section.wrong(
            "low", f"low {low:g} is not below high {high:g}", "give the range that is physically possible"
        )
    if resolution < 0:
        section.wrong(
            "resolution", f"resolution {resolution:g} is negative", "give a step in the channel's unit, or 0"
        )
    elif resolution > high - low:
        section.wrong(
            "resolution", f"resolution {resolution:g} is wider than the range", "give a smaller step"
        )
    elif kind in ("state", "flag") and resolution != 1.0:
        section.wrong("resolution", f"a {kind} has resolution {resolution:g}", "leave it out: it is 1")
    reach = max((abs(bound) for bound in (low, high) if math.isfinite(bound)), default=0.0)
    if dtype == "float32" and resolution > 0 and reach / resolution > _FLOAT32_STEPS:
        section.wrong(
            "resolution",
            f"float32 cannot tell {reach:g} from one step of {resolution:g} less",
            "say `dtype: float64`",
        )
    return Channel(
        name=name,
        unit=unit,
        kind=kind,
        title=section.text("title", ""),
        low=low,
        high=high,
        resolution=resolution,
        dtype="float64" if dtype == "float64" else "float32",
        condition=section.flag("condition", False),
        response=_response(section.section("response")),
    )


def _response(section: Section | None) -> Response:
    if section is None:
        return Response()
    curve = section.points("curve")
    if curve and ("base" in section or "load_gain" in section):
        section.wrong("curve", "a curve takes the place of base and load_gain", "keep one or the other")
    if any(right[0] <= left[0] for left, right in pairwise(curve)):
        section.wrong(
            "curve", "the loads of the curve do not rise", "sort its points by load, each load once"
        )
    return Response(
        base=section.number("base", 0.0),
        load_gain=section.number("load_gain", 0.0),
        load_exponent=section.number("load_exponent", 1.0, low=0.1, high=10.0),
        ambient_gain=section.number("ambient_gain", 0.0),
        tau_s=section.number("tau_s", 0.0, low=0.0),
        noise=section.number("noise", 0.0, low=0.0),
        spread=section.number("spread", 0.0, low=0.0),
        curve=curve,
    )


def _conditions(root: Section, channels: tuple[Channel, ...]) -> tuple[OperatingCondition, ...]:
    sections = root.sections("conditions", "condition")
    found: list[OperatingCondition] = []
    regimes = 1
    for section in sections:
        names = [channel.name for channel in channels]
        name = section.text("channel")
        edges = section.numbers("edges")
        regimes *= len(edges) + 1
        if name not in names:
            _unknown_channel(section, "channel", name, names)
        else:
            channel = channels[names.index(name)]
            if not channel.condition:
                section.wrong(
                    "channel",
                    f"{name!r} is no condition channel",
                    "say `condition: true` where the channel is listed",
                )
            if any(not channel.low < edge < channel.high for edge in edges):
                section.wrong(
                    "edges", f"an edge lies outside the range of {name!r}", "cut inside low to high"
                )
        if not edges or any(right <= left for left, right in pairwise(edges)):
            section.wrong("edges", "the edges do not rise", "give at least one, from low to high")
        found.append(OperatingCondition(name, edges))
    if regimes > MAX_REGIMES:
        root.wrong(
            "conditions",
            f"the edges make {regimes} regimes",
            f"use fewer edges: at most {MAX_REGIMES} regimes",
        )
    for section, condition in zip(sections, found, strict=True):
        if [other.channel for other in found].index(condition.channel) != found.index(condition):
            section.wrong(
                "channel", f"{condition.channel!r} is cut twice", "keep one list of edges a channel"
            )
    return tuple(found)


def _failure_mode(section: Section, channels: tuple[Channel, ...]) -> FailureMode:
    effect_sections = section.sections("effects", "effect")
    effects = tuple(_effect(effect, channels) for effect in effect_sections)
    seen: list[str] = []
    for part, effect in zip(effect_sections, effects, strict=True):
        if effect.channel in seen:
            part.wrong(
                "channel", f"a second effect on {effect.channel!r}", "put shift and noise_factor in one"
            )
        seen.append(effect.channel)
    if not effects:
        section.wrong("effects", f"{section.title} leaves no mark on any channel", "list at least one effect")
    rate_per_h = section.number("rate_per_h")
    if "rate_per_h" in section and rate_per_h <= 0:
        section.wrong(
            "rate_per_h", f"rate_per_h is {rate_per_h:g}", "give the growth of damage per hour, above 0"
        )
    return FailureMode(
        name=_name(section, _TYPE_NAME, "bearing-wear"),
        title=section.text("title", ""),
        rate_per_h=rate_per_h,
        growth_exponent=section.number("growth_exponent", 0.0, low=0.0, high=3.0),
        load_exponent=section.number("load_exponent", 0.0, low=0.0, high=12.0),
        ambient_per_k=section.number("ambient_per_k", 0.0, low=-0.3, high=0.3),
        scatter=section.number("scatter", 0.0, low=0.0, high=2.0),
        shape=section.number("shape", 0.0, low=0.0, high=20.0),
        effects=effects,
        source=section.text("source", ""),
        seed=section.number("seed", 0.01, low=1e-6, high=0.5),
    )


def _effect(section: Section, channels: tuple[Channel, ...]) -> Effect:
    names = [channel.name for channel in channels]
    name = section.text("channel")
    shift = section.number("shift", 0.0)
    noise_factor = section.number("noise_factor", 1.0, low=0.0, high=1000.0)
    if name not in names:
        _unknown_channel(section, "channel", name, names)
    elif channels[names.index(name)].condition:
        section.wrong(
            "channel",
            f"{name!r} is a condition channel: damage cannot move it",
            "name a channel that responds",
        )
    if shift == 0.0 and noise_factor == 1.0:
        section.wrong("channel", f"the effect on {name!r} does nothing", "give a shift or a noise_factor")
    return Effect(
        channel=name,
        shift=shift,
        noise_factor=noise_factor,
        exponent=section.number("exponent", 1.0, low=0.1, high=10.0),
        per_load=section.flag("per_load", False),
    )


def _rules(root: Section, channels: tuple[Channel, ...]) -> tuple[AlertRule, ...]:
    sections = root.sections("rules", "rule")
    rules = tuple(_rule(section) for section in sections)
    unique(sections, [rule.name for rule in rules], "rule")
    if len(rules) > MAX_RULES:
        root.wrong("rules", f"{len(rules)} rules", f"a type has at most {MAX_RULES}")
    for section, rule in zip(sections, rules, strict=True):
        _check_condition(section, rule, channels)
    return rules


def _rule(section: Section) -> AlertRule:
    bands = section.section("deadband")
    keys = bands.keys() if bands is not None else ()
    deadband = {key: bands.number(key, low=0.0) for key in keys} if bands is not None else {}
    rule = AlertRule(
        name=_name(section, _TYPE_NAME, "vibration-high"),
        when=section.text("when"),
        priority=cast(Priority, section.text("priority", None, PRIORITIES)),
        consequence=section.text("consequence"),
        response=section.text("response"),
        title=section.text("title", ""),
        deadband=deadband,
        on_delay_s=section.maybe_number("on_delay_s", low=0.0),
        off_delay_s=section.maybe_number("off_delay_s", low=0.0),
        latch=section.flag("latch", False),
        suppressed_by=cast(tuple[ParentState, ...], section.texts("suppressed_by", get_args(ParentState))),
    )
    for key, text in (("when", rule.when), ("consequence", rule.consequence), ("response", rule.response)):
        if key in section and not text:
            section.wrong(key, f"{key} of {section.title} is empty", _WHY[key])
    return rule


def _check_condition(section: Section, rule: AlertRule, channels: tuple[Channel, ...]) -> None:
    """Whether the rule's condition can be read, and used with its deadband and delays."""
    if not rule.when or not channels:
        return
    try:
        compile_rules(DeviceType(name="", version=1, channels=channels, rules=(rule,)))
    except FilterError as error:
        key = "deadband" if "deadband" in error.problem else "when"
        section.wrong(key, f"{error.problem} (column {error.column} of {rule.when!r})", error.remedy)


_WHY: Final = {
    "when": "give a condition, such as `vibration > 7.1`",
    "consequence": "say what happens if nobody acts (ISA-18.2)",
    "response": "say what the operator is to do; without a response it is no alert (ISA-18.2)",
}


def _action(section: Section, modes: tuple[str, ...]) -> MaintenanceAction:
    spares_section, resets_section = section.section("spares"), section.section("resets")
    spares: dict[str, int] = {}
    resets: dict[str, float] = {}
    if spares_section is not None:
        spares = {name: spares_section.integer(name, low=1) for name in spares_section.keys()}  # noqa: SIM118
    if resets_section is not None:
        for mode in resets_section.keys():  # noqa: SIM118
            resets[mode] = resets_section.number(mode, low=0.0, high=1.0)
            if mode != "*" and mode not in modes:
                known = ", ".join((*modes, '"*"'))
                resets_section.wrong(mode, f"no failure mode {mode!r}", f"it is one of {known}")
    kind = section.text("kind", "repair", ("inspection", "repair", "replacement"))
    return MaintenanceAction(
        name=_name(section, _TYPE_NAME, "replace-bearings"),
        title=section.text("title", ""),
        kind=cast(Any, kind),
        cost=section.number("cost", 0.0, low=0.0),
        duration_h=section.number("duration_h", 0.0, low=0.0),
        crew=section.integer("crew", 1, low=0, high=1000),
        spares=spares,
        resets=resets,
        relearn=section.flag("relearn", False),
    )


def _load(section: Section | None) -> LoadProfile:
    if section is None:
        return LoadProfile()
    load = LoadProfile(
        mean=section.number("mean", 0.7, low=0.0, high=MAX_LOAD),
        daily=section.number("daily", 0.0, low=0.0, high=MAX_LOAD),
        peak_hour=section.number("peak_hour", 14.0, low=0.0, high=24.0),
        weekend=section.number("weekend", 1.0, low=0.0, high=MAX_LOAD),
        wander=section.number("wander", 0.05, low=0.0, high=1.0),
        wander_h=section.number("wander_h", 6.0, low=1 / 3600, high=8760.0),
        spread=section.number("spread", 0.0, low=0.0, high=1.0),
        low=section.number("low", 0.0, low=0.0, high=MAX_LOAD),
        high=section.number("high", 1.2, low=0.0, high=MAX_LOAD),
        levels=section.numbers("levels"),
        pick="random" if section.text("pick", "nearest", ("nearest", "random")) == "random" else "nearest",
    )
    if load.low >= load.high:
        section.wrong("low", f"low {load.low:g} is not below high {load.high:g}", "give a span of load")
    if any(not load.low <= level <= load.high for level in load.levels):
        section.wrong("levels", "a level lies outside low to high", "widen low and high, or move the level")
    return load


def _check_healthy_value(section: Section, channel: Channel, load: LoadProfile) -> None:
    """A healthy device must be able to report what its response says."""
    response = channel.response
    if channel.kind == "counter":
        return
    if response.curve:
        values = [value for _, value in response.curve]
    else:
        values = [
            response.base + response.load_gain * at**response.load_exponent for at in (load.low, load.high)
        ]
    for value in values:
        if not channel.low <= value <= channel.high:
            section.wrong(
                "response",
                f"{section.title} responds with {value:g}, outside {channel.low:g} to {channel.high:g}",
                "widen low and high, or correct the response",
            )
            return


def _name(section: Section, pattern: re.Pattern[str], example: str) -> str:
    name = section.text("name")
    if "name" in section and not pattern.fullmatch(name):
        section.wrong("name", f"{name!r} cannot be a name here", f"write it like {example!r}")
    return name


def _unknown_channel(section: Section, key: str, name: str, known: Iterable[str]) -> None:
    section.wrong(key, f"the type has no channel {name!r}", f"it is one of {', '.join(known)}")


def _plain(value: Any) -> Any:
    """JSON values; fields that have their default are left out."""
    if isinstance(value, _SCALARS) or value is None:
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    document: dict[str, Any] = {}
    for item in fields(value):
        held = getattr(value, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if held != default:
            document[item.name] = _plain(held)
    return document
