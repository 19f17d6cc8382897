"""Scenarios as files: YAML or JSON to ``Scenario`` and back, every problem told with its line and remedy.

The keys are the fields in ``scenarios.py``, with their bounds in ``scenariokeys.py``. An intervention has one key, which
says what it is, with its span among its own keys; ``resources`` and ``operator`` of an arm say where it differs from the
scenario. Whether what is named exists, and goes together, is for ``checking.py``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, cast, get_args, get_origin

from twins.devices import AlertRule
from twins.documents import Section, read
from twins.typefiles import document_hash, dump, to_rule_documents
from twins.whatif.errors import ScenarioError
from twins.whatif.scenariokeys import INTERVENTIONS, Key, Slot, slots
from twins.whatif.scenarios import Arm, Intervention, Operator, Resources, Scenario, Span, SqlMetric

TEMPLATES: Final = Path(__file__).parent / "templates"
"""The folder of scenarios to copy."""

Where = tuple[str | int, ...]
"""Where a value stands: keys and places in lists, ``("arms", 1, "policy", "when")``."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAIR: Final = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_EXACT: Final = 2**53


@dataclass(frozen=True, slots=True)
class Read:
    """A scenario as its file says it, and the line of each of its keys and items."""

    scenario: Scenario
    lines: Mapping[Where, int]
    source: str


class Kind(NamedTuple):
    """A field's type, taken apart: what it holds, in which container, and whether null is a value of its own.

    ``within`` is ``value``, ``list``, ``pair`` or ``map``; ``of`` a scalar, a section, ``Literal[…]`` or ``Intervention``.
    """

    within: Literal["value", "list", "pair", "map"]
    of: Any
    nullable: bool

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.of) if get_origin(self.of) is Literal else ()


def parse_scenario(text: str, source: str = "<text>") -> Read:
    """The scenario that YAML or JSON ``text`` describes.

    Raises
    ------
    ScenarioError : names ``source``, the line, the problem and the remedy, for every problem of the text.
    """
    lines: dict[Where, int] = {}
    plain = _PAIR.sub(_joined, text) if text.lstrip().startswith("{") else text
    scenario = read(plain, source, ScenarioError, partial(_scenario, lines=lines))
    return Read(cast(Scenario, scenario), lines, source)


def load_scenario(path: Path) -> Read:
    """The scenario that a file describes.

    Raises
    ------
    ScenarioError : as ``parse_scenario``; also for a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ScenarioError(
            str(path), 1, f"the file cannot be read: {problem}", "check its path and that it is UTF-8"
        ) from None
    return parse_scenario(text, str(path))


def templates() -> dict[str, str]:
    """Scenarios to copy and change, by name: the text of a file with comments that teach."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.yaml"))}


def from_document(document: Mapping[str, Any], source: str = "<document>") -> Read:
    """The scenario that ``to_document`` described; lines count those of the indented JSON.

    Raises
    ------
    ScenarioError : as ``parse_scenario``.
    """
    return parse_scenario(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False), source)


def to_document(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON values in the shape of its file. What has its default is left out."""
    document = _section(scenario)
    for arm, written in zip(scenario.arms, document["arms"], strict=True):
        if arm.resources is not None:
            written["resources"] = _section(arm.resources, scenario.resources)
        if arm.operator is not None:
            written["operator"] = _section(arm.operator, scenario.operator)
    return document


def to_yaml(scenario: Scenario) -> str:
    """The scenario as the text of a file; ``parse_scenario`` reads it back equal. Comments are not kept."""
    return dump(to_document(scenario))


def content_hash(scenario: Scenario) -> str:
    """SHA-256 of the scenario's document, in hex: equal scenarios have equal hashes, on any machine."""
    return document_hash(to_document(scenario))


def to_value(value: Any) -> Any:
    """JSON values, each number in one way: 720 for 720.0, so that equal scenarios are equal as texts."""
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, Mapping):
        return {str(key): to_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_value(item) for item in value]
    for what, kind in INTERVENTIONS.items():
        if type(value) is kind:
            return {what: _section(value)}
    return _section(value)


def taken_apart(kind: Any) -> Kind:
    """What the type of a field says of the values in files."""
    args = get_args(kind)
    if kind != Intervention and isinstance(kind, UnionType) and NoneType in args:
        (other,) = (each for each in args if each is not NoneType)
        return taken_apart(other)._replace(nullable=True)
    match get_origin(kind):
        case origin if origin is tuple and args[-1] is ...:
            return Kind("list", AlertRule if get_origin(args[0]) is Mapping else args[0], False)
        case origin if origin is tuple:
            return Kind("pair", args[0], False)
        case origin if origin is Mapping:
            return Kind("map", args[1], False)
    return Kind("value", kind, False)


def _scenario(root: Section, lines: dict[Where, int]) -> Scenario:
    scenario: Scenario = _read(root, Scenario, (), lines)
    if not scenario.arms:
        root.wrong("arms", "the scenario has no arms", "list at least one with a name")
    return scenario


def _read(section: Section, kind: type, at: Where, lines: dict[Where, int], usual: Any = None) -> Any:
    """The ``kind`` that a section describes; what it leaves out is as ``usual`` has it, else the default."""
    values: dict[str, Any] = {}
    span: dict[str, Any] = {}
    own = {each.name for each in fields(kind)}
    for slot in slots(kind):
        if slot.name in section:
            lines[(*at, slot.name)] = section.line(slot.name)
        default = slot.default() if usual is None else getattr(usual, slot.field.name)
        if kind is Scenario and slot.name == "arms":
            section.kind("arms")
            continue
        value = _value(section, slot, at, lines, default)
        (values if slot.field.name in own else span)[slot.field.name] = value
    if span:
        values["span"] = Span(**span)
    if kind is Scenario:
        values["arms"] = _arms(section, lines, values["resources"], values["operator"])
    return kind(**values)


def _arms(
    root: Section, lines: dict[Where, int], resources: Resources, operator: Operator
) -> tuple[Arm, ...]:
    arms: list[Arm] = []
    if root.kind("arms") == "missing":
        root.sections("arms", "arm")
        return ()
    for i, section in enumerate(root.sections("arms", "arm")):
        at: Where = ("arms", i)
        lines[at] = section.start
        arm: Arm = _read(section, Arm, at, lines)
        for key, usual in (("resources", resources), ("operator", operator)):
            part = section.section(key)
            if part is not None:
                arm = replace(arm, **{key: _read(part, type(usual), (*at, key), lines, usual)})
        arms.append(arm)
    return tuple(arms)


def _value(section: Section, slot: Slot, at: Where, lines: dict[Where, int], default: Any) -> Any:
    """What stands under a key."""
    name, key, kind = slot.name, slot.key, taken_apart(slot.kind)
    at = (*at, name)
    if name not in section and not slot.required:
        section.maybe_number(name)  # the key is known
        return default
    match kind.within:
        case "map":
            return _map(section, name, slot.kind, key, at, lines)
        case "list":
            return _list(section, name, kind, key, at, lines)
        case "pair":
            return _pair(section, name, key, default)
    if isinstance(kind.of, type) and kind.of not in _SCALARS:
        part = section.section(name)
        return default if part is None else _read(part, kind.of, at, lines)
    if key.name == "at":
        return _moment(section, name, key)
    return _scalar(section, name, kind, key)


_SCALARS: Final = (str, int, float, bool)


def _scalar(section: Section, name: str, kind: Kind, key: Key) -> Any:
    if kind.of is bool:
        return section.flag(name, False)
    if kind.of is float:
        if kind.nullable:
            return section.maybe_number(name, key.low, key.high)
        return section.number(name, None, key.low, key.high)
    if kind.of is int:
        if kind.nullable and section.maybe_number(name, key.low, key.high) is None:
            return None
        return section.integer(name, None, int(key.low), int(key.high))
    text = section.text(name, None, kind.choices or key.choices)
    if key.pattern and name in section and not re.fullmatch(key.pattern, text):
        section.wrong(
            name, f"{name} of {section.title} is {text!r}", _PATTERNS.get(name, "write a plain name")
        )
    return text


_PATTERNS: Final = {
    "name": "use letters, digits, - and _, beginning with a letter or digit, at most 64: 'replace-at-60'",
}


def _moment(section: Section, name: str, key: Key) -> int | None:
    text = section.text(name, None)
    try:
        moment = datetime.fromisoformat(text if re.fullmatch(key.pattern, text) else "")
    except ValueError:
        section.wrong(name, f"{text!r} is no time", "write it like '2026-01-31T12:00:00Z', in quotes")
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _pair(section: Section, name: str, key: Key, default: Any) -> Any:
    values = section.numbers(name, length=2)
    if len(values) != 2:
        return default
    if any(not key.low <= value <= key.high for value in values):
        section.wrong(
            name,
            f"{name} of {section.title} is [{values[0]:g}, {values[1]:g}]",
            f"give two numbers from {key.low:g} to {key.high:g}",
        )
        return default
    return values


def _list(section: Section, name: str, kind: Kind, key: Key, at: Where, lines: dict[Where, int]) -> Any:
    if kind.of == Intervention:
        return tuple(_interventions(section, name, at, lines))
    if kind.of is str or kind.choices:
        return section.texts(name, kind.choices or key.choices)
    found = []
    for i, part in enumerate(section.sections(name, _NOUNS[kind.of])):
        lines[(*at, i)] = part.start
        found.append(_read(part, kind.of, (*at, i), lines))
    return tuple(to_rule_documents(found)) if kind.of is AlertRule else tuple(found)


_NOUNS: Final = {AlertRule: "rule", SqlMetric: "metric"}


def _interventions(section: Section, name: str, at: Where, lines: dict[Where, int]) -> list[Any]:
    found = []
    for i, item in enumerate(section.sections(name, "intervention")):
        item.title = f"intervention {i + 1} of {section.title}"
        lines[(*at, i)] = item.start
        known = [what for what in INTERVENTIONS if what in item]
        if len(known) != 1:
            item.wrong(
                "",
                f"{item.title} has {len(known)} keys that say what it is",
                f"write one of {', '.join(INTERVENTIONS)}, as in `{{load: {{factor: 1.1}}}}`",
            )
        for what in INTERVENTIONS:
            part = item.section(what)
            if part is not None:
                lines[(*at, i, what)] = item.line(what)
                found.append(_read(part, INTERVENTIONS[what], (*at, i, what), lines))
    return found


def _map(section: Section, name: str, kind: Any, key: Key, at: Where, lines: dict[Where, int]) -> Any:
    part = section.section(name)
    if part is None:
        return {}
    inner = taken_apart(get_args(kind)[1])
    found: dict[str, Any] = {}
    for each in part.keys():  # noqa: SIM118
        lines[(*at, each)] = part.line(each)
        if inner.within == "list":
            found[each] = _list(part, each, inner, key, (*at, each), lines)
        elif inner.of in _SCALARS:
            found[each] = _scalar(part, each, inner, key)
        else:
            entry = part.section(each)
            found[each] = None if entry is None else _read(entry, inner.of, (*at, each), lines)
    return found


def _joined(pair: re.Match[str]) -> str:
    """JSON writes what is beyond 16 bits in two halves, which YAML does not know."""
    high, low = (int(half, 16) for half in pair.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _section(value: Any, usual: Any = None) -> dict[str, Any]:
    """A section as JSON values, without what is as ``usual`` has it, else at its default."""
    document: dict[str, Any] = {}
    for slot in slots(type(value)):
        name = slot.field.name
        held = getattr(value if hasattr(value, name) else value.span, name)
        default = slot.default() if usual is None else getattr(usual, name)
        if slot.required or held != default:
            document[slot.name] = _time(held) if slot.key.name == "at" else to_value(held)
    return document


def _time(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
