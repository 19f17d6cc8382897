"""Alerts in groups against a slow, obvious grouping: counts, order, and which one was first."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest

from serve.alert_groups import GROUPINGS, Grouping, group_alerts
from serve.lists import AlertQuery
from tests.serve.tables import NOW_US, Shown, alerts, devices, generation
from tests.serve.test_lists import ids, view_of
from twins.devices import PRIORITIES

WAITING = ("UNACK", "RTN_UNACK", "LATCHED_UNACK")


def lines_of(seed: int, n: int) -> list[Mapping[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        {
            "device_id": f"pump-{draw.integers(20)}", "rule": str(draw.choice(["hot", "dry"])), "device_type": "pump",
            "site": str(draw.choice(["oslo", "bergen"])), "priority": str(draw.choice(PRIORITIES)),
            "state": str(draw.choice([*WAITING, "ACKED", "SHELVED"])), "since": NOW_US + 1_000_000 * i, "occurrence": i,
        }
        for i in draw.permutation(n).tolist()
    ]  # fmt: skip


@pytest.mark.parametrize("by", get_args(Grouping))
@pytest.mark.parametrize("query", [AlertQuery(), AlertQuery(priorities=("high", "low"), sites=("oslo",))])
def test_groups_are_those_of_a_slow_grouping(by: Grouping, query: AlertQuery) -> None:
    lines = lines_of(3, 60)
    view = view_of(Shown(generation({"pump": devices("pump", ids("pump", 20))}, alerts=alerts(lines))))
    slow: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["site"] in (query.sites or (line["site"],)) and line["priority"] in (
            query.priorities or PRIORITIES
        ):
            slow[tuple(line[column] for column in GROUPINGS[by])].append(line)
    found = group_alerts(view, query, by, {})
    assert (found.groups, found.total) == (len(slow), sum(map(len, slow.values())))
    urgency = [min(PRIORITIES.index(p) for p in PRIORITIES if each.counts[p]) for each in found.items]
    order = [(level, -each.total) for level, each in zip(urgency, found.items, strict=True)]
    assert order == sorted(order)
    for group in found.items:
        mine = slow.pop(tuple(group.first[column] for column in GROUPINGS[by]))
        assert group.first["occurrence"] == min(mine, key=lambda line: line["since"])["occurrence"]
        assert group.total == len(mine)
        assert group.devices == len({line["device_id"] for line in mine})
        assert group.unacknowledged == sum(line["state"] in WAITING for line in mine)
        assert group.counts == {p: sum(line["priority"] == p for line in mine) for p in PRIORITIES}


def test_one_without_a_time_is_never_first_and_no_alert_is_no_group() -> None:
    lines: list[Mapping[str, Any]] = [
        {"device_id": "pump-1", "since": None, "occurrence": 1},
        {"device_id": "pump-2", "since": NOW_US, "occurrence": 2},
    ]
    view = view_of(Shown(generation({"pump": devices("pump", ids("pump", 3))}, alerts=alerts(lines))))
    (group,) = group_alerts(view, AlertQuery(), "site", {}).items
    assert group.first["occurrence"] == 2
    none = group_alerts(view, AlertQuery(devices=("pump-9",)), "site", {})
    assert (none.items, none.groups, none.total) == ([], 0, 0)
