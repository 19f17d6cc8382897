"""The JSON Schema of scenario files, for editors: made from the same table that the reader reads by, so that they agree.

What a schema cannot say, whether what is named exists and goes together, is in ``checking.py``.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, get_args

from twins.whatif.scenariofiles import Kind, taken_apart, to_value
from twins.whatif.scenariokeys import INTERVENTIONS, KEYS, Key, Slot, slots
from twins.whatif.scenarios import Intervention, Scenario

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: Final[Mapping[Any, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """The schema of a scenario's document, draft 2020-12: the root, and a definition for each section."""
    root = section_schema(Scenario)
    root["properties"]["arms"]["minItems"] = 1
    return {
        "$schema": DIALECT,
        "title": "Twinfold scenario",
        "description": "An experiment on forks of digital twins: what is forked, the arms, and what is to be known.",
        **root,
        "$defs": {
            **{kind.__name__: section_schema(kind) for kind in KEYS if kind is not Scenario},
            "Intervention": _intervention(),
        },
    }


def section_schema(kind: type) -> dict[str, Any]:
    """The schema of one section, its parts by reference."""
    found = list(slots(kind))
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {slot.name: _slot(slot) for slot in found},
    }
    required = [slot.name for slot in found if slot.required]
    return {**schema, "required": required} if required else schema


def _intervention() -> dict[str, Any]:
    doc = "what happens: one key, which says what"
    properties = {what: _reference(kind) for what, kind in INTERVENTIONS.items()}
    return {
        "type": "object",
        "description": doc,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": properties,
    }


def _slot(slot: Slot) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": slot.key.text.replace("`", "")}
    default = None if slot.required else to_value(slot.default())
    if default not in (None, "", [], {}):
        schema["default"] = default
    if slot.key.name == "at":
        return {**schema, "type": "string", "pattern": _whole(slot.key)}
    return {**schema, **_values(taken_apart(slot.kind), slot.kind, slot.key)}


def _values(kind: Kind, annotation: Any, key: Key) -> dict[str, Any]:
    match kind.within:
        case "map":
            inner = get_args(annotation)[1]
            return {"type": "object", "additionalProperties": _values(taken_apart(inner), inner, key)}
        case "list":
            return {"type": "array", "items": _one(kind, key)}
        case "pair":
            return {"type": "array", "items": _one(kind, key), "minItems": 2, "maxItems": 2}
    return _one(kind, key)


def _one(kind: Kind, key: Key) -> dict[str, Any]:
    if kind.of == Intervention:
        return {"$ref": "#/$defs/Intervention"}
    choices = kind.choices or key.choices
    if choices:
        return {"type": "string", "enum": list(choices)}
    if kind.of not in _SCALARS:
        return _reference(kind.of)
    name = _SCALARS[kind.of]
    schema: dict[str, Any] = {"type": [name, "null"] if kind.nullable else name}
    if name in ("number", "integer"):
        schema |= {"minimum": to_value(float(key.low))} if math.isfinite(key.low) else {}
        schema |= {"maximum": to_value(float(key.high))} if math.isfinite(key.high) else {}
    if name == "string" and key.pattern:
        schema["pattern"] = _whole(key)
    return schema


def _reference(kind: type) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _whole(key: Key) -> str:
    return f"^(?:{key.pattern})$"
