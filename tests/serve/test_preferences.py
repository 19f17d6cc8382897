"""Saved views and settings: on SQLite and PostgreSQL, and over HTTP."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve import audit, preferences
from serve.accounts import Actor
from serve.database import Database
from serve.errors import ForbiddenError, RevisionConflictError, UnfitError, ViewNotFoundError
from serve.preferences import Person, Preferences, ViewDraft
from serve.schemas.preferences import SettingsItem, ViewItem, ViewList
from tests.serve.edges import Edge, edge
from twins.clock import VirtualClock
from twins.errors import CommandRefusedError

KARI, OLA, ROOT = Person("Kari", "viewer"), Person("ola", "operator"), Person("root", "admin")
BY = Actor("tests", "10.0.0.1")


def draft(
    name: str = "worn", page: str = "devices", *, shared: bool = False, first: bool = False
) -> ViewDraft:
    return ViewDraft(page, name, {"filter": "health < 50", "columns": ["id"]}, shared, first)


@pytest.fixture
def kept(database: Database) -> Preferences:
    return Preferences(database, VirtualClock(1_760_000_000_000_000))


def test_a_view_is_its_owners_until_it_is_shared(kept: Preferences, database: Database) -> None:
    made = kept.add_view(KARI, BY, draft())
    assert kept.view(Person("KARI", "viewer"), made.id) == made  # a name is the same in any case
    assert kept.views(OLA).items == []
    with pytest.raises(ViewNotFoundError):
        kept.view(OLA, made.id)
    with pytest.raises(ViewNotFoundError):
        kept.change_view(OLA, BY, made.id, None, draft())
    shared = kept.change_view(KARI, BY, made.id, 1, draft(shared=True))
    assert (shared.revision, kept.views(OLA).items) == (2, [shared])
    with pytest.raises(ForbiddenError):
        kept.change_view(OLA, BY, made.id, None, draft())
    with pytest.raises(RevisionConflictError):
        kept.change_view(KARI, BY, made.id, 1, draft())
    by_admin = kept.change_view(ROOT, BY, made.id, 2, draft("worn out", shared=True))
    assert (by_admin.owner, by_admin.by) == ("kari", "root")
    with pytest.raises(ForbiddenError):
        kept.remove_view(OLA, BY, made.id, None)
    kept.remove_view(KARI, BY, made.id, 3)
    with pytest.raises(ViewNotFoundError):
        kept.view(KARI, made.id)
    told = [line.what for line in audit.lines(database).items]
    assert sorted(told) == ["view.changed", "view.changed", "view.made", "view.removed"]


def test_one_view_of_a_page_comes_first(kept: Preferences) -> None:
    one = kept.add_view(KARI, BY, draft("one", first=True))
    kept.add_view(KARI, BY, draft("alerts", "alerts", first=True))
    kept.add_view(OLA, BY, draft("his", first=True))
    two = kept.add_view(KARI, BY, draft("two", first=True))
    firsts = {view.draft.name for who in (KARI, OLA) for view in kept.views(who).items if view.draft.first}
    assert firsts == {"two", "alerts", "his"}
    assert kept.view(KARI, one.id).revision == 2
    kept.change_view(KARI, BY, one.id, 2, draft("one", first=True))
    assert not kept.view(KARI, two.id).draft.first
    assert [view.draft.name for view in kept.views(KARI, "devices").items] == ["one", "two"]


def test_names_and_numbers_are_bounded(kept: Preferences, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kept.add_view(KARI, BY, draft())
    with pytest.raises(UnfitError, match="already"):
        kept.add_view(KARI, BY, draft())
    kept.add_view(KARI, BY, draft(page="alerts"))
    kept.add_view(OLA, BY, draft())
    kept.change_view(KARI, BY, made.id, None, draft())
    monkeypatch.setattr(preferences, "MOST_VIEWS", 2)
    with pytest.raises(CommandRefusedError, match="2 of yours"):
        kept.add_view(KARI, BY, draft("third"))
    for none in ("", "no such", "'; --", "é" * 16):
        with pytest.raises(ViewNotFoundError):
            kept.view(KARI, none)


def test_settings_are_each_persons_own(kept: Preferences) -> None:
    assert kept.settings(KARI) == ({}, 0)
    assert kept.change_settings(KARI, BY, 0, {"theme": "dark"}) == ({"theme": "dark"}, 1)
    with pytest.raises(RevisionConflictError):
        kept.change_settings(KARI, BY, 0, {"theme": "light"})
    kept.change_settings(KARI, BY, None, {"theme": "light"})
    assert kept.settings(KARI) == ({"theme": "light"}, 2)
    assert kept.settings(OLA) == ({}, 0)


def run(tmp_path: Path, test: Callable[[Edge], Any]) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it:
            await test(it)

    asyncio.run(inside())


def test_views_and_settings_over_http(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        kari, ola = it.member("kari", "viewer"), it.member("ola", "viewer")

        async def asked(method: str, path: str, status: int, body: Any = None, **headers: str) -> Any:
            answer = await it.client.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, answer.text
            return answer

        view = {
            "page": "devices",
            "name": "Worn",
            "filter": "vibration > 3",
            "sort": "-health",
            "shared": True,
        }
        made = await asked("POST", "/api/views", 201, view, **kari)
        item = made.json()
        ViewItem.model_validate(item)
        assert (item["owner"], item["mine"], made.headers["ETag"]) == ("kari", True, '"1"')
        place = f"/api/views/{item['id']}"
        seen = await asked("GET", "/api/views?page=devices", 200, **ola)
        ViewList.model_validate(seen.json())
        assert [(each["name"], each["mine"]) for each in seen.json()["items"]] == [("Worn", False)]
        assert (await asked("GET", "/api/views?page=alerts", 200, **ola)).json()["items"] == []

        kept = await asked("GET", place, 200, **ola)
        assert kept.headers["Cache-Control"] == "private, no-cache"
        held = await asked("GET", place, 304, **ola, **{"If-None-Match": 'W/"0", "1"'})
        assert (held.content, held.headers["ETag"]) == (b"", '"1"')
        await asked("PUT", place, 428, view, **kari)
        await asked("PUT", place, 403, view, **ola, **{"If-Match": "*"})
        await asked("PUT", place, 200, {**view, "name": "Bad"}, **kari, **{"If-Match": '"1"'})
        assert (await asked("GET", place, 200, **ola, **{"If-None-Match": '"1"'})).json()["name"] == "Bad"

        for wrong, code in [
            ({"filter": "colour = 'red'"}, "filter.invalid"),
            ({"page": "alerts", "filter": "health < 3", "sort": ""}, "filter.invalid"),
            ({"page": "alerts", "filter": ""}, "sort.invalid"),
            ({"sort": "flow"}, "sort.invalid"),
            ({"name": "Bad"}, "request.unfit"),
        ]:
            assert (await asked("POST", "/api/views", 400, {**view, **wrong}, **kari)).json()["code"] == code
        await asked("POST", "/api/views", 422, {**view, "page": "users"}, **kari)
        for page, text in [("maintenance", "kind = 'repair'"), ("recommendations", "confidence = 'likely'")]:
            await asked("POST", "/api/views", 201, {"page": page, "name": "x", "filter": text}, **kari)
        await asked("DELETE", place, 204, **kari, **{"If-Match": '"2"'})

        first = await asked("GET", "/api/me/settings", 200, **kari)
        SettingsItem.model_validate(first.json())
        assert (first.json()["theme"], first.headers["ETag"]) == ("auto", '"0"')
        assert (first.json()["sounds"], first.json()["muted"]) == ([], False)
        mine = {
            "theme": "dark",
            "time_zone": "Europe/Oslo",
            "sounds": ["critical"],
            "muted": True,
            "units": "us",
        }
        await asked("PUT", "/api/me/settings", 200, mine, **kari, **{"If-Match": '"0"'})
        await asked("PUT", "/api/me/settings", 412, mine, **kari, **{"If-Match": '"0"'})
        await asked("PUT", "/api/me/settings", 422, {"time_zone": "Oslo"}, **kari, **{"If-Match": "*"})
        await asked("PUT", "/api/me/settings", 422, {"units": "imperial"}, **kari, **{"If-Match": "*"})
        await asked("PUT", "/api/me/settings", 422, {"sounds": ["loud"]}, **kari, **{"If-Match": "*"})
        kept = (await asked("GET", "/api/me/settings", 200, **kari)).json()
        assert kept.items() >= mine.items()
        assert (await asked("GET", "/api/me/settings", 200, **ola)).json()["revision"] == 0

    run(tmp_path, test)


def test_an_answer_that_still_holds_is_not_sent_again(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        lists = (
            "/api/devices?sort=-health&limit=3", "/api/devices?offset=2", "/api/alerts", "/api/recommendations",
            "/api/fleet/summary", "/api/fleet/map",
        )  # fmt: skip
        await it.fresh()
        held = it.context.live
        view = held.view
        held.refresh = lambda: view  # type: ignore[method-assign]  # the live table stands still
        tags = []
        for path in lists:
            first = await it.client.get(path)
            assert first.headers["ETag"].startswith('W/"')
            assert first.headers["Cache-Control"] == "private, no-cache"
            tags.append(first.headers["ETag"])
            again = await it.client.get(path, headers={"If-None-Match": f'"x", {first.headers["ETag"]}'})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]
        assert len(set(tags)) == len(tags)  # each question has its own
        other = await it.client.get("/api/devices?sort=health&limit=3", headers={"If-None-Match": tags[0]})
        assert other.status_code == 200
        del held.refresh
        taken = await it.read("pump-01", 1, {"vibration": 9.0})
        page = f"{lists[0]}&cursor={taken['cursor']}"
        await it.client.get(page)
        moved = await it.client.get(lists[0], headers={"If-None-Match": tags[0]})
        assert moved.status_code == 200
        refused = await it.client.get("/api/devices?sort=x", headers={"If-None-Match": tags[0]})
        assert (refused.status_code, refused.headers["Cache-Control"]) == (400, "no-store")

    run(tmp_path, test)
