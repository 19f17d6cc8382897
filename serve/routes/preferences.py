"""What people keep for themselves: saved views of lists, and settings."""

from typing import Annotated, Any

from fastapi import Query, Response

from serve.access import Caller
from serve.context import Address, Context, InContext, Who
from serve.errors import SortError
from serve.gate import guarded
from serve.preconditions import Match, expected, tagged
from serve.preferences import Person, SavedView, ViewDraft
from serve.present import iso
from serve.routes.words import Paged
from serve.schemas.base import Problem
from serve.schemas.preferences import ListPage, Settings, SettingsItem, ViewFields, ViewItem, ViewList
from serve.vocabulary import SORTED_BY, VOCABULARIES
from twins import filters

router = guarded(prefix="/api", tags=["preferences"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 403, 404, 409, 412, 422, 428, 503)
}


@router.get("/views", response_model=ViewList, responses=_REFUSALS)
async def views(
    context: InContext,
    who: Who,
    spot: Paged,
    page: Annotated[ListPage | None, Query(description="of this page")] = None,
) -> Response:
    """One's own saved views and those that others share, by name."""
    me = _person(who)
    found = await context.call(context.preferences.views, me, page, spot)
    return tagged(found.shown(lambda each: view_item(each, me)))


@router.post("/views", response_model=ViewItem, status_code=201, responses=_REFUSALS)
async def add_view(context: InContext, address: Address, who: Who, body: ViewFields) -> Response:
    """Save a view. Its filter and sort are those of the page's list, and are read before it is kept."""
    me, draft = _person(who), _draft(context, body)
    made = await context.call(context.preferences.add_view, me, who.actor(address), draft)
    return tagged(view_item(made, me), made.revision, 201)


@router.get("/views/{view}", response_model=ViewItem, responses=_REFUSALS)
async def view(context: InContext, who: Who, view: str) -> Response:
    """One view."""
    me = _person(who)
    found = await context.call(context.preferences.view, me, view)
    return tagged(view_item(found, me), found.revision)


@router.put("/views/{view}", response_model=ViewItem, responses=_REFUSALS)
async def change_view(
    context: InContext, address: Address, who: Who, view: str, body: ViewFields, if_match: Match = None
) -> Response:
    """Put another in its place. Its owner may, and an admin."""
    me, draft = _person(who), _draft(context, body)
    changed = await context.call(
        context.preferences.change_view, me, who.actor(address), view, expected(if_match), draft
    )
    return tagged(view_item(changed, me), changed.revision)


@router.delete("/views/{view}", status_code=204, responses=_REFUSALS)
async def remove_view(
    context: InContext, address: Address, who: Who, view: str, if_match: Match = None
) -> Response:
    """Take a view away. Its owner may, and an admin."""
    await context.call(
        context.preferences.remove_view, _person(who), who.actor(address), view, expected(if_match)
    )
    return Response(status_code=204)


@router.get("/me/settings", response_model=SettingsItem, responses=_REFUSALS)
async def settings(context: InContext, who: Who) -> Response:
    """What one chose of theme, density, language, units, time zone and sounds."""
    return _settings(*await context.call(context.preferences.settings, _person(who)))


@router.put("/me/settings", response_model=SettingsItem, responses=_REFUSALS)
async def change_settings(
    context: InContext, address: Address, who: Who, body: Settings, if_match: Match = None
) -> Response:
    """Choose anew; what is left out is as at first."""
    work = context.preferences.change_settings
    document = body.model_dump(mode="json")
    return _settings(
        *await context.call(work, _person(who), who.actor(address), expected(if_match), document)
    )


def view_item(view: SavedView, who: Person) -> dict[str, Any]:
    """A view as the API shows it."""
    draft = view.draft
    return {
        "id": view.id,
        "page": draft.page,
        "name": draft.name,
        **draft.document,
        "shared": draft.shared,
        "default": draft.first,
        "owner": view.owner,
        "mine": view.owner == who.key,
        "revision": view.revision,
        "changed": iso(view.changed_us),
    }


def _draft(context: Context, body: ViewFields) -> ViewDraft:
    """A view whose filter and sort the page's list would take. Raises FilterError, SortError."""
    if body.filter.strip():
        filters.parse(body.filter, VOCABULARIES[body.page](context.fleet.types))
    if body.sort and body.sort.removeprefix("-") not in SORTED_BY[body.page]:
        raise SortError(body.sort, SORTED_BY[body.page])
    document = body.model_dump(mode="json", include={"filter", "search", "sort", "columns"})
    return ViewDraft(body.page, body.name, document, body.shared, body.default)


def _settings(document: Any, revision: int) -> Response:
    known = {name: document[name] for name in Settings.model_fields if name in document}
    chosen = Settings.model_validate(known).model_dump(mode="json")
    return tagged({**chosen, "revision": revision}, revision)


def _person(who: Caller) -> Person:
    return Person(who.name, who.role)
