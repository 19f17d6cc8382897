"""Jumps into sorted lists: the same lines as sorting gives, and from there pages that lose and repeat nothing."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.errors import OnePlaceError
from serve.lists import AlertQuery, DeviceQuery, list_alerts, list_devices
from serve.live import LiveTable
from serve.ranking import Ranks, window
from serve.vocabulary import SORT_KEYS
from tests.serve.tables import NOW_US, Shown, alerts, devices, generation
from twins.devices import PRIORITIES, Channel, DeviceType

TYPES = {
    "pump": DeviceType("pump", 1, (Channel("vibration", "mm/s"),)),
    "meter": DeviceType("meter", 1, (Channel("energy", "kW.h", dtype="float64"),)),
}
SORTS = [f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-")]
FILTERS = ["", "health < 60", "vibration > 3 or label.line = '2'", "site = 'no such'"]


def shown(seed: int) -> Shown:
    pumps = [f"pump-{i:02d}" for i in range(40)]
    return Shown(
        generation(
            {
                "pump": devices("pump", pumps, seed, ("vibration",)),
                "meter": devices("meter", [f"mä{i}" for i in range(9)], seed + 1, ("energy",)),
            }
        ),
        generation(
            {"pump": devices("pump", [f"far-{i}" for i in range(15)], seed + 2, ("vibration",))}, host=1
        ),
    )


@given(
    st.lists(st.sampled_from([0.0, -1.5, 2.5, float("inf")]) | st.floats(-9, 9), max_size=60),
    st.integers(0, 70),
    st.integers(0, 70),
    st.integers(0, 99),
)
def test_a_window_is_what_sorting_gives(values: list[float], start: int, many: int, seed: int) -> None:
    numbers = np.array(values, np.float32)
    ranks = np.random.default_rng(seed).permutation(len(values)).astype(np.int32)
    expected = np.lexsort((ranks, numbers))[start : start + many]
    np.testing.assert_array_equal(window(numbers, ranks, start, start + many), expected)


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("sort", SORTS)
def test_a_jump_lands_where_paging_gets_to(sort: str, text: str) -> None:
    view, ranks = LiveTable(shown(4)).refresh(), Ranks()
    whole = list_devices(view, TYPES, DeviceQuery(text, sort=sort, limit=1000))
    everyone = [item["id"] for item in whole.items]
    for offset in (0, 1, 7, 31, len(everyone) - 1, len(everyone), 5000):
        query = DeviceQuery(text, sort=sort, limit=6, offset=max(offset, 0))
        page = list_devices(view, TYPES, query, ranks)
        at = max(offset, 0)
        assert [item["id"] for item in page.items] == everyone[at : at + 6]
        assert page.total == len(everyone)
        if page.items:
            assert (page.previous is None, page.next is None) == (at == 0, at + 6 >= len(everyone))
        if page.next is not None:
            after = list_devices(view, TYPES, DeviceQuery(text, sort=sort, limit=6, after=page.next))
            assert [item["id"] for item in after.items] == everyone[at + 6 : at + 12]
        if page.previous is not None:
            before = list_devices(view, TYPES, DeviceQuery(text, sort=sort, limit=6, before=page.previous))
            assert [item["id"] for item in before.items] == everyone[max(0, at - 6) : at]


def test_a_search_can_be_jumped_into() -> None:
    view = LiveTable(shown(4)).refresh()
    whole = list_devices(view, TYPES, DeviceQuery(search="far", sort="-health", limit=1000))
    page = list_devices(view, TYPES, DeviceQuery(search="far", sort="-health", limit=3, offset=4))
    assert [item["id"] for item in page.items] == [item["id"] for item in whole.items][4:7]
    assert page.total == whole.total == 15


def test_a_page_is_in_one_place() -> None:
    view = LiveTable(shown(1)).refresh()
    page = list_devices(view, TYPES, DeviceQuery(limit=3, offset=3))
    for query in (DeviceQuery(after=page.next, offset=3), DeviceQuery(after=page.next, before=page.previous)):
        with pytest.raises(OnePlaceError):
            list_devices(view, TYPES, query)
    with pytest.raises(OnePlaceError):
        list_alerts(view, AlertQuery(after="x", offset=3))


def test_the_order_of_ids_is_kept_until_devices_come() -> None:
    source, ranks = shown(1), Ranks()
    live = LiveTable(source)
    first = ranks.of(live.refresh())
    source.generations = [generation(each.tables, each.host, cursor=2) for each in source.generations]
    assert ranks.of(live.refresh()) is first
    more = devices("pump", [f"far-{i}" for i in range(16)], 9, ("vibration",))
    source.generations = [source.generations[0], generation({"pump": more}, host=1, cursor=3)]
    assert len(ranks.of(live.refresh())) == len(first) + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(SORTS), st.integers(1, 9), st.integers(0, 60), st.booleans())
def test_from_a_jump_on_nothing_that_stands_still_is_lost_or_repeated(
    seed: int, sort: str, limit: int, offset: int, back_first: bool
) -> None:
    draw, ranks = random.Random(seed), Ranks()
    fixed = devices("meter", [f"mä{i}" for i in range(9)], seed, ("energy",))
    source = Shown(generation({"meter": fixed, "pump": others(draw)}))
    live = LiveTable(source)

    def page_at(**place: Any) -> Any:
        found = list_devices(live.refresh(), TYPES, DeviceQuery(sort=sort, limit=limit, **place), ranks)
        if draw.random() < 0.8:
            now = draw.randrange(2, 10**9)
            source.generations = [generation({"meter": fixed, "pump": others(draw)}, cursor=now)]
        return found

    whole = list_devices(live.refresh(), TYPES, DeviceQuery(sort=sort, limit=1000))
    start = page_at(offset=min(offset, whole.total - 1))
    seen = [item["id"] for item in start.items]
    assert seen

    def forth() -> None:
        there, steps = start.next, 0
        while there is not None and steps < 400:
            page = page_at(after=there)
            seen.extend(item["id"] for item in page.items)
            there, steps = page.next, steps + 1

    def back() -> None:
        there, steps = start.previous, 0
        while there is not None and steps < 400:
            page = page_at(before=there)
            seen[:0] = [item["id"] for item in page.items]
            there, steps = page.previous, steps + 1

    for way in (back, forth) if back_first else (forth, back):
        way()
    still = [each for each in seen if each.startswith("mä")]
    assert still == [item["id"] for item in whole.items if item["id"].startswith("mä")]


def others(draw: random.Random) -> Any:
    """Pumps whose values are others each time, and more or fewer of them: a view need not follow the one before."""
    ids = [f"pump-{i:02d}" for i in range(draw.randrange(1, 30))]
    return devices("pump", ids, draw.randrange(10**6), ("vibration",))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(0, 30), st.booleans())
def test_alerts_are_paged_both_ways_from_a_jump_while_others_come_and_go(
    seed: int, limit: int, offset: int, filtered: bool
) -> None:
    draw = random.Random(seed)
    fixed = [line_of(draw, f"fixed-{i}") for i in range(8)]

    def now() -> Any:
        lines = fixed + [line_of(draw, f"other-{i}") for i in range(draw.randrange(12))]
        return generation({"pump": devices("pump", [])}, alerts=alerts(lines), cursor=draw.randrange(10**9))

    source = Shown(now())
    live = LiveTable(source)
    text = "value >= 0 and not site = 'bergen'" if filtered else ""

    def page_at(**place: Any) -> Any:
        page = list_alerts(live.refresh(), AlertQuery(limit=limit, filter=text, **place), TYPES)
        source.generations = [now()]
        return page

    whole = list_alerts(live.refresh(), AlertQuery(limit=999, filter=text), TYPES)
    order = [(PRIORITIES.index(each["priority"]), -each["since"].timestamp()) for each in whole.items]
    assert order == sorted(order)
    if not whole.items:
        return
    start = page_at(offset=min(offset, len(whole.items) - 1))
    seen, there, here = [each["device_id"] for each in start.items], start.next, start.previous
    while there is not None:
        page = page_at(after=there)
        seen += [each["device_id"] for each in page.items]
        there = page.next
    while here is not None:
        page = page_at(before=here)
        seen[:0] = [each["device_id"] for each in page.items]
        here = page.previous
    still = [each for each in seen if each.startswith("fixed")]
    assert still == [each["device_id"] for each in whole.items if each["device_id"].startswith("fixed")]


def line_of(draw: random.Random, device: str) -> dict[str, Any]:
    return {
        "device_id": device, "priority": draw.choice(PRIORITIES), "since": NOW_US + draw.randrange(3) * 10**6,
        "site": draw.choice(["oslo", "bergen"]), "value": draw.choice([1.0, -1.0]),
    }  # fmt: skip
