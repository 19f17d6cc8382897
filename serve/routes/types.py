"""Device types and their alert rules: what is in force, their versions, and putting others in force.

A description comes as YAML or JSON in the shape of a type's file. Whoever changes something names the revision that it is a
change of (``If-Match``), so that two people do not undo each other's work unseen.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import HTTPException, Query, Request, Response
from fastapi import Path as InPath

from serve.asked import command_info, property_info
from serve.catalogue import parted, problems_of
from serve.context import Context, InContext, User
from serve.differences import Change, differences
from serve.errors import BodyError
from serve.gate import guarded
from serve.preconditions import Match, expected, revised
from serve.present import iso, reply
from serve.schemas.base import Problem
from serve.schemas.device_types import (
    Activation,
    Staged,
    TypeChanges,
    TypeCheck,
    TypeDetail,
    TypeInfo,
    TypeStanding,
    TypeVersionDetail,
    TypeVersions,
)
from serve.versions import Head, Installation, Part, Version
from twins.devices import DeviceType
from twins.errors import CommandRefusedError, DeviceTypeError, DeviceTypeNotFoundError
from twins.typefiles import dump, parse_rules, parse_type, to_rule_documents, to_yaml

router = guarded(tags=["device types"])

YAML: Final = "application/yaml"
MOST: Final = 2**31 - 1
"""The largest number of a version that a database holds."""

_KINDS: Final = frozenset({YAML, "application/x-yaml", "text/yaml", "application/json"})
_SOURCE: Final = "the description"
_TOLD: Final = 100
_SCHEMAS: Final = {YAML: {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object"}}}
BODY: Final[dict[str, Any]] = {"requestBody": {"required": True, "content": _SCHEMAS}}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem} for status in (400, 404, 409, 412, 415, 422, 428, 429, 503)
}
_AS_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {YAML: {"schema": {"type": "string"}}}},
    404: {"model": Problem},
}

Name = Annotated[str, InPath(max_length=200, pattern="^[a-z0-9-]+$")]
Why = Annotated[
    str, Query(max_length=2_000, pattern=r"^[^\x00]*$", description="the reason, for those who look later")
]
Number = Annotated[int, Query(ge=1, le=MOST)]
InPathNumber = Annotated[int, InPath(ge=1, le=MOST)]


@router.get("/api/types", response_model=list[TypeInfo])
async def types(context: InContext) -> Response:
    """Channels, rules, failure modes and maintenance actions of every type in force, by name."""
    return reply([_info(device_type) for _, device_type in sorted(context.fleet.types.items())])


@router.post(
    "/api/types/validate", response_model=TypeCheck, responses=REFUSALS, openapi_extra=BODY, status_code=200
)
async def validate(context: InContext, request: Request) -> Response:
    """Whether a type could be put in force as described: every problem with its line, and what would change."""
    return reply(await context.call(_check_type, context, await text_of(request)))


@router.get("/api/types/{name}", response_model=TypeDetail, responses=REFUSALS)
async def one(context: InContext, name: Name) -> Response:
    """One type as it is in force."""
    return await context.call(_one, context, name)


@router.get("/api/types/{name}/versions", response_model=TypeVersions, responses=REFUSALS)
async def versions(context: InContext, name: Name) -> Response:
    """Every version of a type and of its rules, and what was put in force when, by whom and why."""
    return await context.call(_versions, context, name)


@router.get("/api/types/{name}/versions/{number}", response_model=TypeVersionDetail, responses=REFUSALS)
async def version(context: InContext, name: Name, number: InPathNumber) -> Response:
    """One version of a type, without rules."""
    return reply(await context.call(_version, context, name, "type", number))


@router.get("/api/types/{name}/rules/versions/{number}", response_model=TypeVersionDetail, responses=REFUSALS)
async def rules_version(context: InContext, name: Name, number: InPathNumber) -> Response:
    """One version of a type's rules."""
    return reply(await context.call(_version, context, name, "rules", number))


@router.get("/api/types/{name}/differences", response_model=TypeChanges, responses=REFUSALS)
async def changes(
    context: InContext, name: Name, first: Number, second: Number, part: Literal["type", "rules"] = "type"
) -> Response:
    """What changes from one version to another."""
    found = await context.call(context.catalogue.differences, name, part, first, second)
    return reply({"changes": _changes(found)})


@router.get("/api/types/{name}/export", response_class=Response, responses=_AS_FILE)
async def export(
    context: InContext, name: Name, version: Number | None = None, rules: Number | None = None
) -> Response:
    """A type with its rules as a file; what is left out is as it is in force."""
    found = await context.call(context.catalogue.combined, name, version, rules)
    return _file(name, to_yaml(found))


@router.get("/api/types/{name}/rules/export", response_class=Response, responses=_AS_FILE)
async def export_rules(context: InContext, name: Name, rules: Number | None = None) -> Response:
    """A type's rules as a file; without a version those in force."""
    found = await context.call(context.catalogue.combined, name, None, rules)
    return _file(f"{name}-rules", dump({"type": name, "rules": to_rule_documents(found.rules)}))


@router.post(
    "/api/types/{name}/rules/validate", response_model=TypeCheck, responses=REFUSALS, openapi_extra=BODY
)
async def validate_rules(context: InContext, name: Name, request: Request) -> Response:
    """Whether rules could be put in force as described: every problem with its line, and what would change."""
    return reply(await context.call(_check_rules, context, name, await text_of(request)))


@router.put("/api/types/{name}/staged", response_model=Staged, responses=REFUSALS, openapi_extra=BODY)
async def stage(
    context: InContext, by: User, name: Name, request: Request, why: Why = "", if_match: Match = None
) -> Response:
    """Import a type with its rules, to be activated later. It need not be in force yet."""
    text, revision = await text_of(request), expected(if_match)
    return await context.call(_stage_type, context, name, text, by, why, revision)


@router.put("/api/types/{name}/rules/staged", response_model=Staged, responses=REFUSALS, openapi_extra=BODY)
async def stage_rules(
    context: InContext, by: User, name: Name, request: Request, why: Why = "", if_match: Match = None
) -> Response:
    """Import rules for a type in force, to be activated later."""
    text, revision = await text_of(request), expected(if_match)
    return await context.call(_stage_rules, context, name, text, by, why, revision)


@router.delete("/api/types/{name}/staged", response_model=TypeStanding, responses=REFUSALS)
async def unstage(context: InContext, name: Name, if_match: Match = None) -> Response:
    """Do not activate what is staged of the type; its version stays."""
    return await context.call(_unstage, context, name, "type", expected(if_match))


@router.delete("/api/types/{name}/rules/staged", response_model=TypeStanding, responses=REFUSALS)
async def unstage_rules(context: InContext, name: Name, if_match: Match = None) -> Response:
    """Do not activate the rules that are staged; their version stays."""
    return await context.call(_unstage, context, name, "rules", expected(if_match))


@router.post("/api/types/{name}/activate", response_model=TypeStanding, responses=REFUSALS)
async def activate(
    context: InContext, by: User, name: Name, body: Activation, if_match: Match = None
) -> Response:
    """Put versions in force on every host, or on none; older ones, too."""
    return await context.call(_activate, context, name, body, by, expected(if_match))


# -- what they do, in a thread -------------------------------------------------------------------------------------


def _one(context: Context, name: str) -> Response:
    standing = context.catalogue.standing(name)
    shown = _standing(standing.head, standing.installation)
    return revised({**_info(standing.device_type), "standing": shown}, standing.head.revision)


def _versions(context: Context, name: str) -> Response:
    store = context.catalogue.versions
    current = context.catalogue.standing(name).installation if name in context.fleet.types else None
    made = store.versions(name, "type")
    if not made:
        raise DeviceTypeNotFoundError(name, tuple(sorted(context.fleet.types)))
    head = store.head(name)
    body = {
        **_standing(head, current),
        "versions": [_made(each) for each in made],
        "rules": [_made(each) for each in store.versions(name, "rules")],
        "installations": [_put(each) for each in store.installations(name, _TOLD)],
    }
    return revised(body, head.revision)


def _version(context: Context, name: str, part: Part, number: int) -> dict[str, Any]:
    found = context.catalogue.versions.version(name, part, number)
    return {**_made(found), "document": found.document}


def _check_type(context: Context, text: str) -> dict[str, Any]:
    try:
        wanted = parse_type(text, _SOURCE)
    except DeviceTypeError as error:
        return _wrong(error)
    current = context.fleet.types.get(wanted.name)
    before = parted(current) if current is not None else ({}, [])
    return _checked(context, wanted, _between(before, parted(wanted)))


def _check_rules(context: Context, name: str, text: str) -> dict[str, Any]:
    try:
        current, wanted = with_rules(context, name, text)
    except DeviceTypeError as error:
        return _wrong(error)
    return _checked(context, wanted, _between(parted(current), parted(wanted)))


def _stage_type(context: Context, name: str, text: str, by: str, why: str, expected: int | None) -> Response:
    wanted = parse_type(text, _SOURCE)
    if wanted.name != name:
        raise BodyError(f"it describes {wanted.name!r}", f"send it to /api/types/{wanted.name}/staged")
    first, second = context.catalogue.add(wanted, "edit", by, why, expected, stage=True)
    return _staged(context, name, first.number, second.number)


def _stage_rules(context: Context, name: str, text: str, by: str, why: str, expected: int | None) -> Response:
    rules = to_rule_documents(with_rules(context, name, text)[1].rules)
    context.catalogue.standing(name)  # the version that they are rules for is known from now on
    made = context.catalogue.versions.stage(name, "rules", rules, "edit", by, why, expected)
    return _staged(context, name, None, made.number)


def _unstage(context: Context, name: str, part: Part, expected: int | None) -> Response:
    context.catalogue.versions.unstage(name, part, expected)
    return _now(context, name)


def _activate(context: Context, name: str, body: Activation, by: str, expected: int | None) -> Response:
    type_number, rules_number = body.version, body.rules
    if type_number is None and rules_number is None:
        head = context.catalogue.versions.head(name)
        type_number, rules_number = head.staged_type, head.staged_rules
        if type_number is None and rules_number is None:
            raise CommandRefusedError("activate", name, "nothing is staged; name a version, or stage one")
    context.catalogue.activate(
        name, by, body.why, type_number=type_number, rules_number=rules_number, expected=expected
    )
    return _now(context, name)


# -- reading requests, showing what is found -----------------------------------------------------------------------


async def text_of(request: Request) -> str:
    """A body that describes a type or rules, in YAML or JSON; raises where it is neither."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _KINDS:
        raise HTTPException(415, f"a body of type {kind[:60]!r}; send {YAML} or application/json")
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise BodyError("it is not UTF-8", "send it as UTF-8") from None


def with_rules(context: Context, name: str, text: str) -> tuple[DeviceType, DeviceType]:
    """A type in force, and the same with the rules that ``text`` describes.

    Raises
    ------
    DeviceTypeNotFoundError : it is not in force.
    DeviceTypeError : the rules do not fit it.
    """
    types = context.fleet.types
    if name not in types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(types)))
    return types[name], replace(types[name], rules=parse_rules(text, types[name], _SOURCE))


def _checked(context: Context, wanted: DeviceType, changed: list[Change]) -> dict[str, Any]:
    problems = []
    try:
        context.catalogue.check(wanted)
    except CommandRefusedError as error:
        problems = [{"line": 1, "problem": error.reason, "remedy": "change it, and validate it again"}]
    return {"valid": not problems, "problems": problems, "changes": _changes(changed)}


def _wrong(error: DeviceTypeError) -> dict[str, Any]:
    problems = [dict(zip(("line", "problem", "remedy"), each, strict=True)) for each in problems_of(error)]
    return {"valid": False, "problems": problems, "changes": []}


def _between(before: tuple[Any, Any], after: tuple[Any, Any]) -> list[Change]:
    return [*differences(before[0], after[0]), *differences(before[1], after[1], "rules")]


def _changes(found: list[Change]) -> list[dict[str, Any]]:
    return [{"path": each.path, "before": each.before, "after": each.after} for each in found]


def _now(context: Context, name: str) -> Response:
    current = context.catalogue.standing(name).installation if name in context.fleet.types else None
    head = context.catalogue.versions.head(name)
    return revised(_standing(head, current), head.revision)


def _staged(context: Context, name: str, type_number: int | None, rules_number: int) -> Response:
    current = context.catalogue.versions.in_force(name)
    head = context.catalogue.versions.head(name)
    return revised({**_standing(head, current), "version": type_number, "rules": rules_number}, head.revision)


def _file(name: str, text: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.yaml"'}
    return Response(text, media_type=YAML, headers=headers)


def _standing(head: Head, current: Installation | None) -> dict[str, Any]:
    return {
        "name": head.name,
        "revision": head.revision,
        "in_force": None if current is None else _put(current),
        "staged_version": head.staged_type,
        "staged_rules": head.staged_rules,
        "file": None if head.file is None else Path(head.file).name,
        "file_version": head.file_type,
        "file_rules": head.file_rules,
    }


def _put(each: Installation) -> dict[str, Any]:
    return {
        "number": each.number,
        "version": each.type_number,
        "rules": each.rules_number,
        "state": each.state,
        "problem": each.problem,
        "by": each.by,
        "at": iso(each.at_us),
        "why": each.why,
    }


def _made(each: Version) -> dict[str, Any]:
    return {
        "number": each.number,
        "part": each.part,
        "hash": each.hash,
        "source": each.source,
        "by": each.by,
        "at": iso(each.at_us),
        "why": each.why,
    }


def _info(device_type: DeviceType) -> dict[str, Any]:
    return {
        "name": device_type.name,
        "version": device_type.version,
        "title": device_type.title or device_type.name,
        "description": device_type.description,
        "interval_s": device_type.interval_s,
        "channels": [
            {
                "name": channel.name,
                "title": channel.title or channel.name,
                "unit": channel.unit,
                "kind": channel.kind,
                "low": _bound(channel.low),
                "high": _bound(channel.high),
                "resolution": channel.resolution,
                "condition": channel.condition,
            }
            for channel in device_type.channels
        ],
        "rules": [
            {
                "name": rule.name,
                "title": rule.title or rule.name,
                "when": rule.when,
                "priority": rule.priority,
                "consequence": rule.consequence,
                "response": rule.response,
                "latch": rule.latch,
            }
            for rule in device_type.rules
        ],
        "failure_modes": [
            {"name": mode.name, "title": mode.title or mode.name} for mode in device_type.failure_modes
        ],
        "actions": [
            {
                "name": action.name,
                "title": action.title or action.name,
                "kind": action.kind,
                "cost": action.cost,
                "duration_h": action.duration_h,
            }
            for action in device_type.actions
        ],
        "properties": [property_info(each) for each in device_type.properties],
        "commands": [command_info(each) for each in device_type.commands],
    }


def _bound(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None
