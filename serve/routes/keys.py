"""Keys with which gateways and devices send readings, and collectors read metrics."""

from typing import Any

from fastapi import Response

from serve.access import Caller
from serve.context import Address, InContext, Who
from serve.errors import ForbiddenError, UnfitError
from serve.gate import guarded
from serve.keys import DeviceKey
from serve.present import iso, reply
from serve.routes.words import Paged
from serve.schemas.base import Problem
from serve.schemas.keys import KeyItem, KeyList, KeyMade, KeyRotation, KeyScope, NewKey
from serve.scopes import Scope

router = guarded(prefix="/api/keys", tags=["accounts"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 422, 429, 503)
}


@router.get("", response_model=KeyList, responses=_REFUSALS)
async def keys(context: InContext, spot: Paged) -> Response:
    """Keys by id, without their secrets."""
    found = await context.identify(context.access.keys.page, spot)
    return reply(found.shown(key_item))


@router.post("", response_model=KeyMade, status_code=201, responses=_REFUSALS)
async def create(context: InContext, address: Address, who: Who, body: NewKey) -> Response:
    """Make a key; it is shown this once."""
    scope, actor = _scope(who, body), who.actor(address)
    create = context.access.keys.create
    key, text = await context.identify(create, body.name, scope, actor, body.lasts_s, body.kind)
    return reply({"key": key_item(key), "text": text}, 201)


@router.post("/{key}/rotate", response_model=KeyMade, responses=_REFUSALS)
async def rotate(
    context: InContext, address: Address, who: Who, key: str, body: KeyRotation | None = None
) -> Response:
    """A new secret, shown this once; the one before goes on for a while."""
    overlap_s = (body or KeyRotation()).overlap_s
    found, text = await context.identify(context.access.keys.rotate, key, who.actor(address), overlap_s)
    return reply({"key": key_item(found), "text": text})


@router.delete("/{key}", response_model=KeyItem, responses=_REFUSALS)
async def revoke(context: InContext, address: Address, who: Who, key: str) -> Response:
    """Accept a key no longer."""
    return reply(key_item(await context.identify(context.access.keys.revoke, key, who.actor(address))))


def _scope(who: Caller, body: NewKey) -> Scope:
    wanted = body.scope or KeyScope()
    if body.kind == "metrics":
        if who.role != "admin":
            raise ForbiddenError(who.role or "none", "admin")
        if body.scope is not None:
            raise UnfitError("a key for metrics is for no devices in particular", "leave `scope` out")
        return Scope()
    return Scope.of(wanted.devices, wanted.gateways, wanted.sites, wanted.types, everything=wanted.everything)


def key_item(key: DeviceKey) -> dict[str, Any]:
    """A key as the API shows it."""
    return {
        "id": key.id,
        "name": key.name,
        "kind": key.kind,
        "scope": {
            "devices": key.scope.devices,
            "gateways": key.scope.gateways,
            "sites": key.scope.sites,
            "types": key.scope.types,
            "everything": key.kind == "readings" and key.scope.is_everything,
        },
        "by": key.by,
        "made": iso(key.made_us),
        "expires": iso(key.expires_us),
        "revoked": iso(key.revoked_us),
        "used": iso(key.used_us),
        "old_until": iso(key.old_until_us),
    }
