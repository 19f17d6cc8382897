from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select

from serve.errors import CursorError, OnePlaceError
from serve.keyset import Key, Keyset, Spot
from serve.row_pages import RowPage, lines_page, rows_page
from tests.serve.edges import make_app, make_fleet

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(10), nullable=False),
)
ORDERS = [
    (Key("id", int),),
    (Key("id", int, descending=True),),
    (Key("name", str), Key("id", int, descending=True)),
    (Key("name", str, descending=True), Key("id", int)),
]
WHOLE = {
    "/api/alerts/groups": "the most urgent five hundred, and how many there are",
    "/api/devices/{device_id}/commands": "the shard keeps so many",
    "/api/devices/{device_id}/properties": "those of its type",
    "/api/devices/{device_id}/recommendations": "as many as the device has failure modes",
    "/api/events/counts": "one line a type of event",
    "/api/me/sessions": "the newest hundred",
    "/api/notifications/channels": "a hundred at most",
    "/api/notifications/routes": "a hundred at most",
    "/api/recommendations/record": "one line a failure mode of a type",
    "/api/templates": "a hundred at most",
    "/api/whatif/templates": "those that come along",
}
"""Lists that come in one piece; the guide to the API says so, too."""


@dataclass(frozen=True)
class Thing:
    id: int
    name: str


def page(things: list[Thing], keyset: Keyset, how: str) -> RowPage[Thing]:
    if how == "lines":
        return lines_page(things, keyset, lambda each: {"id": each.id, "name": each.name})
    engine = create_engine("sqlite://")
    THINGS.metadata.create_all(engine)
    with engine.begin() as connection:
        if things:
            connection.execute(insert(THINGS), [{"id": each.id, "name": each.name} for each in things])
        return rows_page(connection, select(THINGS), keyset, lambda row: Thing(row.id, row.name))


def in_order(things: list[Thing], keys: tuple[Key, ...]) -> list[Thing]:
    for key in reversed(keys):
        things = sorted(things, key=lambda each: getattr(each, key.column), reverse=key.descending)
    return things


@pytest.mark.parametrize("how", ["rows", "lines"])
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from("abø"), max_size=12),
    st.sampled_from(ORDERS),
    st.integers(1, 5),
    st.integers(0, 13),
)
def test_pages_lead_through_all_lines_both_ways(
    how: str, names: list[str], keys: tuple[Key, ...], limit: int, offset: int
) -> None:
    things = [Thing(number, name) for number, name in enumerate(names)]
    wanted = in_order(things, keys)
    spot = Spot(limit, offset=offset)
    first = found = page(things, spot.of("things", keys), how)
    seen = list(found.items)
    while found.next is not None:
        found = page(things, Spot(limit, after=found.next).of("things", keys), how)
        assert found.total == len(things)
        seen += found.items
    assert seen == wanted[offset:]
    back: list[Thing] = []
    found = first
    while found.previous is not None:
        found = page(things, Spot(limit, before=found.previous).of("things", keys), how)
        back = found.items + back
    assert back == (wanted[:offset] if first.items else [])


@pytest.mark.parametrize("how", ["rows", "lines"])
def test_lines_that_come_and_go_meanwhile_neither_repeat_nor_hide_others(how: str) -> None:
    things = [Thing(number, "a") for number in range(10)]
    keys = ORDERS[0]
    first = page(things, Spot(4).of("things", keys), how)
    second = page([*things[6:], Thing(-1, "a")], Spot(4, after=first.next).of("things", keys), how)
    assert [each.id for each in second.items] == [6, 7, 8, 9]
    assert (second.next, second.total) == (None, 5)


def test_a_page_is_in_one_place_and_a_cursor_of_one_list() -> None:
    with pytest.raises(OnePlaceError):
        Spot(after="x", offset=1).of("things", ORDERS[0])
    first = page([Thing(1, "a"), Thing(2, "a")], Spot(1).of("things", ORDERS[0]), "rows")
    with pytest.raises(CursorError):
        page([], Spot(1, after=first.next).of("others", ORDERS[0]), "rows")


def test_every_list_is_paged_alike_or_comes_in_one_piece_for_a_reason(tmp_path: Path) -> None:
    with make_fleet(tmp_path) as fleet:
        document = make_app(fleet, tmp_path).openapi()
    guide = Path("docs/guides/api.md").read_text()
    schemas = document["components"]["schemas"]

    def answered(operation: Any) -> Any:
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        return schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})

    lists = {
        path: (
            {each["name"] for each in operations["get"].get("parameters", [])},
            answered(operations["get"]),
        )
        for path, operations in document["paths"].items()
        if "get" in operations and "items" in answered(operations["get"]).get("properties", {})
    }
    whole = {path for path, (words, _) in lists.items() if "after" not in words}
    assert whole == set(WHOLE)
    for path in whole:
        assert path.replace("{device_id}", "{id}") in guide.partition("## Lists in one piece")[2]
    for path in set(lists) - whole:
        words, answer = lists[path]
        assert {"limit", "after", "before", "offset"} <= words, path
        assert {"items", "total", "next", "previous"} <= set(answer["properties"]), path


def test_whatever_is_put_or_patched_is_so_at_a_revision(tmp_path: Path) -> None:
    with make_fleet(tmp_path) as fleet:
        document = make_app(fleet, tmp_path).openapi()
    for path, operations in document["paths"].items():
        for method in set(operations) & {"put", "patch"}:
            assert "If-Match" in {each["name"] for each in operations[method]["parameters"]}, path
