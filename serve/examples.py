"""An example of every body, as the API's document shows it: the one that was written beside it, or one put together from its
schema and the names of its fields.
"""

from collections.abc import Mapping
from typing import Any, Final

_MOMENT: Final = "2026-01-31T12:00:00.000Z"
_WORDS: Final[Mapping[str, Any]] = {
    "id": "pump-17",
    "device_id": "pump-17",
    "device": "pump-17",
    "parent": "gateway-3",
    "type": "centrifugal-pump",
    "site": "oslo",
    "name": "feed-pump",
    "title": "Vibration in zone C",
    "rule": "vibration-high",
    "channel": "vibration",
    "pattern": "drift",
    "unit": "mm/s",
    "state": "UNACK",
    "alert": "pump-17:vibration-high:3",
    "consequence": "Bearing damage within weeks.",
    "response": "Plan a bearing inspection.",
    "assignee": "kari",
    "by": "kari",
    "acknowledged_by": "kari",
    "owner": "kari",
    "account": "kari",
    "reason": "planned stop",
    "note": "noisy since Monday",
    "cursor": "W1swLDEsNDcxMV1d",
    "at": _MOMENT,
    "made": _MOMENT,
    "seen": _MOMENT,
    "changed": _MOMENT,
    "created": _MOMENT,
    "started": _MOMENT,
    "ended": _MOMENT,
    "due": _MOMENT,
    "address": "192.0.2.7",
    "password": "seven brass kettles on a shelf",
    "old": "seven brass kettles on a shelf",
    "new": "grey heron over the lock gate",
    "zone": "Europe/Oslo",
    "host": "host-0",
    "health": 83.5,
    "observed": 1.0,
    "anomaly_score": 0.12,
    "value": 4.4,
    "limit": 4.0,
    "hours": 24.0,
    "version": 2,
    "revision": 2,
    "interval_s": 5.0,
}
_DEEPEST: Final = 12

Schemas = Mapping[str, Mapping[str, Any]]


def add_examples(operation: dict[str, Any], schemas: Schemas) -> None:
    """Give the body of an operation's request, and of its reply, an example each where it has none."""
    bodies = [operation.get("requestBody", {})]
    bodies += [said for status, said in operation["responses"].items() if status.startswith("2")]
    for body in bodies:
        for kind, content in body.get("content", {}).items():
            if "json" in kind and "example" not in content and "examples" not in content:
                content["example"] = example_of(content.get("schema", {}), schemas)


def example_of(schema: Mapping[str, Any], schemas: Schemas, name: str = "", depth: int = 0) -> Any:
    """A value that fits ``schema``. ``name`` is that of the field it is for; ``schemas`` those that it may refer to."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            filled = [each for each in schema[choice] if each.get("type") != "null"]
            return example_of(filled[0], schemas, name, depth + 1) if depth < _DEEPEST else None
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, depth)
        case "array":
            return [example_of(schema["items"], schemas, name, depth + 1)] if "items" in schema else []
        case "string":
            return _text(schema, name)
        case "integer" | "number" as kind:
            return _number(schema, name, kind)
        case "boolean":
            return schema.get("default", False)
    return None


def _object(schema: Mapping[str, Any], schemas: Schemas, depth: int) -> dict[str, Any]:
    fields = schema.get("properties", {})
    if fields or not isinstance(schema.get("additionalProperties"), Mapping):
        needed = schema.get("required", fields) if depth > _DEEPEST else fields
        person = {"password", "role"} & fields.keys()  # whose name it is, then
        return {
            name: example_of(fields[name], schemas, "owner" if person and name == "name" else name, depth + 1)
            for name in fields
            if name in needed
        }
    return {"vibration": example_of(schema["additionalProperties"], schemas, "value", depth + 1)}


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") == "date-time":
        return _MOMENT
    known = _WORDS.get(name)
    if isinstance(known, str) and len(known) <= schema.get("maxLength", len(known)):
        return known
    default = schema.get("default")
    return default if isinstance(default, str) and default else "…" * max(1, schema.get("minLength", 1))


def _number(schema: Mapping[str, Any], name: str, kind: str) -> float:
    known = _WORDS.get(name, schema.get("default"))
    if isinstance(known, int | float) and not isinstance(known, bool):
        return known if kind == "number" else int(known)
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return max(1, int(least) + 1) if "exclusiveMinimum" in schema else max(1, int(least))
