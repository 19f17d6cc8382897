"""Templates of devices: by which of them unknown devices come in when their first readings do."""

from typing import Any

from fastapi import Response

from serve.context import Address, Context, InContext, Who
from serve.gate import guarded
from serve.preconditions import Match, expected, revised
from serve.present import iso, reply
from serve.schemas.base import Problem
from serve.schemas.templates import DeviceTemplate, DeviceTemplateItem, DeviceTemplateList
from serve.templates import KeptTemplate
from twins.errors import DeviceTypeNotFoundError

router = guarded(prefix="/api/templates", tags=["devices"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 412, 422, 428, 429, 503)
}


@router.get("", response_model=DeviceTemplateList, responses=_REFUSALS)
async def templates(context: InContext) -> Response:
    """Every template, by name, and how many devices came by it."""
    found = await context.call(context.templates.all)
    return reply({"items": [item(each) for each in found], "in_use": context.config.unknown == "template"})


@router.post("", response_model=DeviceTemplateItem, status_code=201, responses=_REFUSALS)
async def create(context: InContext, address: Address, who: Who, body: DeviceTemplate) -> Response:
    """Approve a template: unknown devices come in by it from now on, a second later at every replica."""
    _check_type(context, body.type)
    made = await context.call(context.templates.add, _document(body), body.enabled, who.actor(address))
    return _tagged(made, 201)


@router.get("/{template}", response_model=DeviceTemplateItem, responses=_REFUSALS)
async def template(context: InContext, template: str) -> Response:
    """One template."""
    return _tagged(await context.call(context.templates.one, template))


@router.put("/{template}", response_model=DeviceTemplateItem, responses=_REFUSALS)
async def change(
    context: InContext,
    address: Address,
    who: Who,
    template: str,
    body: DeviceTemplate,
    if_match: Match = None,
) -> Response:
    """Put another template in its place; devices that came by it stay as they are, and stay counted."""
    _check_type(context, body.type)
    changed = await context.call(
        context.templates.change,
        template,
        expected(if_match),
        _document(body),
        body.enabled,
        who.actor(address),
    )
    return _tagged(changed)


@router.delete("/{template}", status_code=204, responses=_REFUSALS)
async def remove(
    context: InContext, address: Address, who: Who, template: str, if_match: Match = None
) -> Response:
    """Take a template away; devices that came by it stay."""
    await context.call(context.templates.remove, template, expected(if_match), who.actor(address))
    return Response(status_code=204)


def item(kept: KeptTemplate) -> dict[str, Any]:
    """A template as the API shows it."""
    return {
        **kept.document,
        "id": kept.template.id,
        "enabled": kept.enabled,
        "registered": kept.registered,
        "revision": kept.revision,
        "by": kept.by,
        "changed": iso(kept.changed_us),
    }


def _tagged(kept: KeptTemplate, status: int = 200) -> Response:
    return revised(item(kept), kept.revision, status)


def _document(body: DeviceTemplate) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude={"enabled"})


def _check_type(context: Context, name: str) -> None:
    if name not in context.fleet.types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(context.fleet.types)))
