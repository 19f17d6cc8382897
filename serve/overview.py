"""The whole fleet at a glance: counts, and a map of one byte a device in the order site, type, id.

A million devices are a megabyte of map, so a browser can draw them all. Its order depends only on which
devices there are and where they stand; the bytes change with every view of the live table.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve.live import LiveTable, Place, View
from twins.devices import PRIORITIES
from twins.views import STATUSES

_STANDING: Final = """
    SELECT priority, count(*), count(*) FILTER (state IN ('UNACK', 'RTN_UNACK', 'LATCHED_UNACK')) FROM alerts
    WHERE state NOT IN ('SHELVED', 'SUPPRESSED_BY_DESIGN', 'OUT_OF_SERVICE') GROUP BY ALL
"""
_SITES_TOLD: Final = 100
_ORDERS: Final = 64  # of maps, by the sites that they show
_STALE, _RETIRED = 5, 7
_APART: Final = ("retired", "importing")
"""Statuses of devices that are not of the living fleet."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteMap:
    """The devices of one site, one byte each: 0 normal, 1 low to 4 critical, 5 stale, 6 silent, 7 retired or importing."""

    site: str
    cells: NDArray[np.uint8]


class Overview:
    """Summary and map of a live table. Safe for many threads."""

    def __init__(self, live: LiveTable) -> None:
        self._live = live
        self._lock = threading.Lock()
        self._orders: OrderedDict[frozenset[str] | None, _Order] = OrderedDict()

    def summary(self, view: View) -> dict[str, Any]:
        """Counts over the whole fleet; worked out once a view. Retired devices count only as such."""
        return view.once("summary", lambda: _summary(view))

    def map(self, view: View) -> list[SiteMap]:
        """Every device as a byte, site by site."""
        order = self._order_of(view)
        cells = view.once("cells", lambda: _all_cells(view))[order.lines]
        return [SiteMap(site, cells[first : first + count]) for site, first, count in order.sites]

    def place(self, view: View, site: str, index: int) -> Place | None:
        """Which device is the ``index``-th of a site's map; None if there is none."""
        order = self._order_of(view)
        for name, first, count in order.sites:
            if name == site and 0 <= index < count:
                return view.place(int(order.lines[first + index]))
        return None

    def _order_of(self, view: View) -> "_Order":
        """The order of a view; that of the view before, unless devices came or moved."""
        key = view.once("membership", lambda: _membership(view))
        with self._lock:
            order = self._orders.get(view.sites)
            if order is None or not order.fits(key):
                order = self._orders[view.sites] = _Order.of(view, key)
            self._orders.move_to_end(view.sites)
            while len(self._orders) > _ORDERS:
                self._orders.popitem(last=False)
            return order


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """In which order the map shows all lines, one type after the other, and where each site begins."""

    key: Sequence[tuple[int, str, Sequence[str], NDArray[Any]]]
    lines: NDArray[np.int64]
    sites: Sequence[tuple[str, int, int]]  # name, first place in ``lines``, how many

    @staticmethod
    def of(view: View, key: Sequence[tuple[int, str, Sequence[str], NDArray[Any]]]) -> "_Order":
        if not view.types:
            return _Order(key, np.zeros(0, np.int64), ())
        with view.cursor() as cursor:
            found = cursor.execute("SELECT n FROM live ORDER BY site, device_type, device_id").fetchnumpy()
            counts = cursor.execute("SELECT site, count(n) FROM live GROUP BY site ORDER BY site").fetchall()
        lines = np.asarray(found["n"], np.int64)
        firsts = np.cumsum([0, *(count for _, count in counts)]).tolist()
        return _Order(key, lines, [(site, firsts[i], count) for i, (site, count) in enumerate(counts)])

    def fits(self, key: Sequence[tuple[int, str, Sequence[str], NDArray[Any]]]) -> bool:
        """Whether nothing that the order depends on has changed."""
        return len(key) == len(self.key) and all(
            mine[:3] == other[:3] and np.array_equal(mine[3], other[3])
            for mine, other in zip(self.key, key, strict=True)
        )


def _membership(view: View) -> list[tuple[int, str, Sequence[str], NDArray[Any]]]:
    """Which devices there are (rows are never reused, so in a whole view their number says it), and where each stands."""
    key = []
    for name in view.types:
        for host, table in view.parts[name]:
            site = _whole(table["site"])
            rows = view.rows_of(host, name)
            stands = np.array(site.indices) if rows is None else np.stack([np.array(site.indices), rows])
            key.append((host, name, site.dictionary.to_pylist(), stands))
    return key


def _summary(view: View) -> dict[str, Any]:
    status = dict.fromkeys(STATUSES, 0)
    health = {"known": 0, "below_50": 0, "below_80": 0}
    types: dict[str, int] = {}
    sites: dict[str, int] = {}
    alerts = dict.fromkeys(PRIORITIES, 0)
    unacknowledged = dict.fromkeys(PRIORITIES, 0)
    if view.types:
        with view.cursor() as cursor:
            groups = cursor.execute(
                "SELECT device_type, site, status, count(n), count(*) FILTER (NOT isnan(health)),"
                " count(*) FILTER (health < 50), count(*) FILTER (health < 80) FROM live GROUP BY ALL"
            ).fetchall()
            standing = cursor.execute(_STANDING).fetchall() if view.alerts is not None else []
        for device_type, site, state, devices, *counts in groups:
            status[state] += devices
            if state in _APART:
                continue
            types[device_type] = types.get(device_type, 0) + devices
            sites[site] = sites.get(site, 0) + devices
            for name, number in zip(("known", "below_50", "below_80"), counts, strict=True):
                health[name] += number
        for priority, number, waiting in standing:
            alerts[priority], unacknowledged[priority] = number, waiting
    largest = sorted(sites.items(), key=lambda each: (-each[1], each[0]))[:_SITES_TOLD]
    return {
        "devices": sum(types.values()),
        **status,
        "health": health,
        "alerts": {**alerts, "unacknowledged": unacknowledged},
        "readings_per_s": view.readings_per_s,
        "types": [{"type": name, "devices": number} for name, number in sorted(types.items())],
        "sites": [{"site": name, "devices": number} for name, number in largest],
        "site_count": len(sites),
        "unreachable": sorted(host for host, g in view.generations.items() if not g.reachable),
    }


def _all_cells(view: View) -> NDArray[np.uint8]:
    parts = [_cells(table) for name in view.types for _, table in view.parts[name]]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def _cells(table: pa.Table) -> NDArray[np.uint8]:
    """The worse of alert and health; a silent device shows its alert, or else that it is silent."""
    priority, health = table["priority"].to_numpy(), table["health"].to_numpy()
    alert = np.where(priority < len(PRIORITIES), len(PRIORITIES) - priority.astype(np.int16), 0)
    with np.errstate(invalid="ignore"):
        worn = np.where(health < 30, 3, np.where(health < 50, 2, 0))
    status = _whole(table["status"])
    code_of = np.array([STATUSES.index(word) for word in status.dictionary.to_pylist()] or [0])
    code = code_of[np.asarray(status.indices)]
    cells = np.where(code == 0, np.maximum(alert, worn), np.where(alert > 0, alert, code + _STALE - 1))
    return np.where(code >= STATUSES.index("retired"), _RETIRED, cells).astype(np.uint8)


def _whole(column: pa.ChunkedArray) -> Any:
    """A column that came as one piece, as an array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
