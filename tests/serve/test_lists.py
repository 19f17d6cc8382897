import math
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve import lists
from serve.cursors import page_cursor
from serve.errors import CursorError, SortError
from serve.lists import AlertQuery, DeviceQuery, Page, list_alerts, list_devices
from serve.live import LiveTable, View
from serve.overview import Overview
from serve.vocabulary import SORT_KEYS
from tests.serve.tables import NOW_US, Shown, alerts, coded, devices, generation
from twins.devices import PRIORITIES, Channel, DeviceType
from twins.errors import FilterError

TYPES = {
    "pump": DeviceType("pump", 1, (Channel("vibration", "mm/s"), Channel("flow", "m3/h"))),
    "meter": DeviceType("meter", 1, (Channel("energy", "kW.h", dtype="float64"),)),
    "fan": DeviceType("fan", 1, (Channel("speed", "/min"),)),
}


def ids(prefix: str, n: int) -> list[str]:
    return [f"{prefix}-{i:02d}" for i in range(n)]


def shown(seed: int = 0) -> Shown:
    return Shown(
        generation(
            {
                "pump": devices("pump", ids("pump", 23), seed, ("vibration", "flow")),
                "meter": devices(
                    "meter", ids("meter", 7), seed + 1, energy=pa.array([0.1 * i for i in range(7)])
                ),
            }
        ),
        generation({"pump": devices("pump", ids("far-pump", 11), seed + 2, ("vibration", "flow"))}, host=1),
    )


def view_of(source: Shown) -> View:
    return LiveTable(source).refresh()


def everyone(source: Shown) -> list[dict]:
    """All lines of all tables: the slow, obvious way."""
    return [
        line for each in source.generations for table in each.tables.values() for line in table.to_pylist()
    ]


def sort_key(line: dict, sort: str):
    key = sort.removeprefix("-")
    value = {"id": line["device_id"], "type": line["device_type"]}.get(key, line.get(key))
    missing = value is None or value == 255 or (isinstance(value, float) and math.isnan(value))
    return missing, value


def in_order(lines: list[dict], sort: str) -> list[str]:
    """What is missing comes last either way; equal ones by id."""
    lines = sorted(lines, key=lambda line: line["device_id"])
    there = [line for line in lines if not sort_key(line, sort)[0]]
    there.sort(key=lambda line: sort_key(line, sort)[1], reverse=sort.startswith("-"))
    return [line["device_id"] for line in there + [line for line in lines if sort_key(line, sort)[0]]]


def more(line: dict, channel: str, than: float) -> bool:
    return line.get(channel) is not None and line[channel] > than


def found(page: Page) -> list[str]:
    return [item["id"] for item in page.items]


@pytest.fixture(params=[0, 2, 50])
def spare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few lines to spare, the last key of a page is often that of others, too."""
    monkeypatch.setattr(lists, "_SPARE", request.param)


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize("sort", [f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-")])
def test_pages_forward_and_back_give_the_whole_list_in_order(sort: str) -> None:
    source = shown()
    view = view_of(source)
    expected = in_order(everyone(source), sort)
    forward: list[str] = []
    query = DeviceQuery(sort=sort, limit=6)
    page = list_devices(view, TYPES, query)
    assert page.previous is None
    forward += found(page)
    while page.next:
        page = list_devices(view, TYPES, DeviceQuery(sort=sort, limit=6, after=page.next))
        forward += found(page)
    assert forward == expected
    assert page.total == len(expected)
    backward = found(page)
    while page.previous:
        page = list_devices(view, TYPES, DeviceQuery(sort=sort, limit=6, before=page.previous))
        backward = found(page) + backward
    assert backward == expected


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([f"{s}{k}" for k in SORT_KEYS for s in ("", "-")]),
    st.integers(1, 9),
)
def test_pages_lose_and_repeat_nothing_that_stands_still_while_others_move(
    seed: int, sort: str, limit: int
) -> None:
    source = shown(seed)
    live = LiveTable(source)
    fixed = set(ids("pump", 23)[::2]) | set(ids("meter", 7))
    seen: list[str] = []
    after, step = None, 0
    while True:
        page = list_devices(live.refresh(), TYPES, DeviceQuery(sort=sort, limit=limit, after=after))
        seen += found(page)
        if page.next is None:
            break
        after, step = page.next, step + 1
        if step < 12:  # or they might run ahead of the reader for ever
            source.generations = moved(shown(seed), fixed, seed + step, step)
    assert sorted(each for each in seen if each in fixed) == sorted(fixed)


def moved(source: Shown, fixed: set[str], seed: int, step: int) -> list:
    """Everyone but ``fixed`` anew, and more devices at the end."""
    generations = []
    for each in source.generations:
        tables = {}
        for name, table in each.tables.items():
            names = table["device_id"].to_pylist() + [f"new-{each.host}-{name}-{i}" for i in range(step)]
            other = devices(
                name,
                names,
                seed,
                tuple(c for c in ("vibration", "flow", "energy") if c in table.column_names),
            )
            lines = [
                old if old is not None and old["device_id"] in fixed else new
                for old, new in zip(table.to_pylist() + [None] * step, other.to_pylist(), strict=True)
            ]
            plain = pa.schema(
                [
                    (f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
                    for f in other.schema
                ]
            )
            tables[name] = pa.Table.from_pylist(lines, plain)
        generations.append(generation(tables, each.host, cursor=1 + step))
    return generations


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("health < 50", lambda d: d["health"] is not None and d["health"] < 50),
        ("not health < 50", lambda d: d["health"] is not None and d["health"] >= 50),
        ("health is null", lambda d: d["health"] is None),
        ("site = 'ålesund' and not stale", lambda d: d["site"] == "ålesund" and d["status"] != "stale"),
        ("type in ('meter', 'fan')", lambda d: d["device_type"] == "meter"),
        ("label.line = '2'", lambda d: '"line":"2"' in d["labels"]),
        ('label."a/b~c" = \'x\'', lambda d: "a/b~c" in d["labels"]),
        ("label.line is null", lambda d: "line" not in d["labels"]),
        ("pattern.shift or pattern.drift", lambda d: d["patterns"] & 3 > 0),
        ("priority in ('critical', 'high')", lambda d: d["priority"] in (0, 1)),
        ("priority is null", lambda d: d["priority"] == 255),
        ("vibration > 5", lambda d: more(d, "vibration", 5)),
        ("vibration > 5 or energy >= 0.3", lambda d: more(d, "vibration", 5) or more(d, "energy", 0.299)),
        ("speed > 1 or id = 'pump-03'", lambda d: d["device_id"] == "pump-03"),
        ("event_time >= '2025-10-09T08:53:18Z'", lambda d: d["event_time"] and d["event_time"].second >= 18),
        ("parent is null and anomalous", lambda d: d["anomalous"]),
        ("scored = 3 and retired", lambda d: d["status"] == "retired"),
        ("id like 'far-*'", lambda d: d["device_id"].startswith("far-")),
    ],
)  # fmt: skip
def test_a_filter_gives_what_it_says(text: str, matches) -> None:
    source = shown(3)
    page = list_devices(view_of(source), TYPES, DeviceQuery(text, limit=1000))
    assert found(page) == sorted(line["device_id"] for line in everyone(source) if matches(line))
    assert page.total == len(page.items)


@given(search=st.text(alphabet="aA1%_\\\\?*éÉåÅß- ", min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_search_finds_text_as_it_is_written(search: str) -> None:
    names = ["a1", "A_1", "a%1", "a\\1", "É-Å", "straße", "é å", "1?*"]
    view = view_of(Shown(generation({"pump": devices("pump", names)})))
    page = list_devices(view, TYPES, DeviceQuery(search=search, limit=100))
    held = [
        line["device_id"]
        for line in view.tables["pump"].to_pylist()
        if search.lower() in line["device_id"].lower() or search.lower() in line["name"].lower()
    ]
    assert [item["id"] for item in page.items] == sorted(held, key=str.encode)
    assert page.total == len(held)


def test_search_looks_into_ids_and_names_in_any_case() -> None:
    page = list_devices(view_of(shown()), TYPES, DeviceQuery(search="METER", limit=100))
    assert found(page) == ids("meter", 7)
    page = list_devices(view_of(shown()), TYPES, DeviceQuery("type = 'pump'", search="machine 3", limit=100))
    assert found(page) == ["far-pump-03", "pump-03"]


def test_values_never_become_sql() -> None:
    view = view_of(shown())
    for text in ("site = '''; DROP TABLE live; --'", "label.\"x'); --\" = '1'"):
        assert list_devices(view, TYPES, DeviceQuery(text)).items == []
    assert list_devices(view, TYPES, DeviceQuery(search="'%; --")).total == 0
    with pytest.raises(FilterError):
        list_devices(view, TYPES, DeviceQuery("device_id = 'pump-01'"))
    with pytest.raises(SortError, match="use one of id"):
        list_devices(view, TYPES, DeviceQuery(sort="health; --"))


def test_a_cursor_belongs_to_one_list() -> None:
    view = view_of(shown())
    cursor = list_devices(view, TYPES, DeviceQuery(sort="health", limit=3)).next
    for other in (
        DeviceQuery(sort="-health", after=cursor),
        DeviceQuery("anomalous", sort="health", after=cursor),
    ):
        with pytest.raises(CursorError, match="another sort or filter"):
            list_devices(view, TYPES, other)
    binding = "devices\nid\n\n"
    for made in ("", "e30", "%%%", "a" * 9000, page_cursor(binding, (1, "x")), page_cursor(binding, ("x",))):
        with pytest.raises(CursorError):
            list_devices(view, TYPES, DeviceQuery(after=made))


def test_an_empty_fleet_has_an_empty_page() -> None:
    view = view_of(Shown())
    assert list_devices(view, TYPES, DeviceQuery()) == Page([], 0, 0, None)
    assert list_alerts(view, AlertQuery()).counts == dict.fromkeys(PRIORITIES, 0)
    empty = view_of(Shown(generation({"pump": devices("pump", [])})))
    assert list_devices(empty, TYPES, DeviceQuery("health < 50")).total == 0


def test_items_show_names_for_codes_and_none_for_what_is_not_known() -> None:
    table = devices(
        "pump", ["pump-1"], patterns=pa.array([0b101], pa.uint8()), priority=pa.array([255], pa.uint8()),
        health=pa.array([None], pa.float32()), anomaly_score=pa.array([0.1], pa.float32()),
        site=coded([0], ["Tromsø"]), event_time=pa.array([NOW_US]).cast(pa.timestamp("us", "UTC")),
    )  # fmt: skip
    (item,) = list_devices(view_of(Shown(generation({"pump": table}))), TYPES, DeviceQuery()).items
    assert item["patterns"] == ["drift", "spike"]
    assert item["priority"] is None
    assert item["health"] is None
    assert item["anomaly_score"] == 0.1
    assert item["site"] == "Tromsø"
    assert item["event_time"] == datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)


def test_alerts_come_most_urgent_first_then_newest() -> None:
    lines = [
        {"device_id": f"pump-{i}", "priority": PRIORITIES[i % 4], "since": NOW_US + (i % 3), "occurrence": i,
         "state": "UNACK" if i % 2 else "ACKED", "site": f"site-{i % 2}", "rule": rule}
        for i in range(9)
        for rule in ("hot", "dry")
    ]  # fmt: skip
    view = view_of(Shown(generation({"pump": devices("pump", ids("pump", 9))}, alerts=alerts(lines))))
    expected = sorted(
        lines, key=lambda a: (PRIORITIES.index(a["priority"]), -a["since"], a["device_id"], a["rule"])
    )
    seen = []
    page = list_alerts(view, AlertQuery(limit=4))
    seen += page.items
    while page.next:
        page = list_alerts(view, AlertQuery(limit=4, after=page.next))
        seen += page.items
    assert [(a["device_id"], a["rule"]) for a in seen] == [(a["device_id"], a["rule"]) for a in expected]
    assert page.total == 18
    assert page.counts == {"critical": 6, "high": 4, "medium": 4, "low": 4}


def test_alerts_are_chosen_by_state_priority_device_and_site() -> None:
    lines = [
        {"device_id": "pump-1", "priority": "low", "state": "SHELVED", "since": None},
        {"device_id": "pump-2", "priority": "high", "state": "UNACK", "site": "bergen"},
        {"device_id": "pump-3", "priority": "critical", "state": "ACKED"},
    ]
    view = view_of(Shown(generation({"pump": devices("pump", ids("pump", 3))}, alerts=alerts(lines))))

    def chosen(query: AlertQuery) -> list[str]:
        return [item["device_id"] for item in list_alerts(view, query).items]

    assert chosen(AlertQuery()) == ["pump-3", "pump-2", "pump-1"]
    assert chosen(AlertQuery(states=("UNACK", "SHELVED"))) == ["pump-2", "pump-1"]
    assert chosen(AlertQuery(devices=("pump-3", "pump-9"))) == ["pump-3"]
    assert chosen(AlertQuery(sites=("bergen",))) == ["pump-2"]
    page = list_alerts(view, AlertQuery(priorities=("low",)))
    assert page.total == 1
    assert page.counts == {"critical": 1, "high": 1, "medium": 0, "low": 1}


@pytest.mark.parametrize(("few", "spare_lines"), [(0, 0), (10**9, 0), (10**9, 50)])  # taken out always, never
@pytest.mark.parametrize("search", ["PUMP-1", "machine 1", "e", "nothing like it"])
@pytest.mark.parametrize("sort", ["id", "-health", "priority"])
@pytest.mark.parametrize("text", ["", "health < 60", "vibration > 3 or label.line = '2'"])
def test_a_search_is_the_same_whether_its_lines_are_taken_out_or_not(
    monkeypatch: pytest.MonkeyPatch, few: int, spare_lines: int, search: str, sort: str, text: str
) -> None:
    monkeypatch.setattr(lists, "_FEW", few)
    monkeypatch.setattr(lists, "_SPARE", spare_lines)
    source = shown()
    view = view_of(source)
    listed = {"": lambda d: True, "health < 60": lambda d: d["health"] is not None and d["health"] < 60}.get(
        text, lambda d: more(d, "vibration", 3) or '"line":"2"' in d["labels"]
    )
    lines = [
        line for line in everyone(source)
        if listed(line) and (search.lower() in line["device_id"].lower() or search.lower() in line["name"].lower())
    ]  # fmt: skip
    page = list_devices(view, TYPES, DeviceQuery(text, search, sort, limit=7))
    got = found(page)
    while page.next:
        page = list_devices(view, TYPES, DeviceQuery(text, search, sort, limit=7, after=page.next))
        got += found(page)
    assert page.total == len(lines)
    assert got == in_order(lines, sort)


@settings(max_examples=12, deadline=None)
@given(
    st.frozensets(st.sampled_from(["oslo", "bergen", "ålesund", "nowhere"]), min_size=1), st.integers(0, 5)
)
def test_a_part_of_a_view_is_its_sites_lines_and_no_others(sites: frozenset[str], seed: int) -> None:
    source = shown(seed)
    whole = view_of(source)
    part = whole.within(sites)
    wanted = {line["device_id"] for line in everyone(source) if line["site"] in sites}
    page = list_devices(part, TYPES, DeviceQuery(limit=100))
    assert {item["id"] for item in page.items} == wanted
    assert (page.total, len(part)) == (len(wanted), len(wanted))
    for query in (
        DeviceQuery(filter="health < 50 or vibration > 3", limit=100),
        DeviceQuery(search="machine 1", limit=100),
    ):
        found = list_devices(part, TYPES, query)
        same = [item for item in list_devices(whole, TYPES, query).items if item["site"] in sites]
        assert found.items == same
    for line in range(len(whole)):
        place = whole.place(line)
        shown_there = whole.fetch([place], ["site"])[0]["site"] in sites
        assert part.has(place) is shown_there
        if shown_there:
            assert part.fetch([place]) == whole.fetch([place])
            assert part.device_id(place) == whole.device_id(place)
        else:
            with pytest.raises(IndexError):
                part.fetch([place])
    assert {part.device_id(part.place(line)) for line in range(len(part))} == wanted
    overview = Overview(LiveTable(source))
    cells = {each.site: each.cells.tobytes() for each in overview.map(part)}
    assert cells == {e.site: e.cells.tobytes() for e in overview.map(whole) if e.site in sites}
    assert overview.summary(part)["devices"] <= len(wanted)
    assert whole.within(sites) is part


def test_parts_of_a_view_are_bounded_and_end_with_it() -> None:
    live = LiveTable(shown())
    whole = live.refresh()
    parts = [whole.within(frozenset({f"site-{i}", "oslo"})) for i in range(100)]
    assert len(whole._parts) <= 32
    assert len({len(part) for part in parts}) == 1
    whole.close()
    assert all(part._closed for part in whole._parts.values())
    assert len(whole.within(frozenset({"oslo"}))) == len(parts[0])  # for who still asks the view before
