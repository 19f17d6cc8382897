"""History as an account sees it that is for some sites: that of the devices which stand there now, whole."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from serve.errors import SitesError
from serve.live import LiveTable
from serve.within.fleet import FleetWithin
from training.history import History, Series
from training.past import Past, PastShard
from training.rebuilding import Entry, Rebuilding
from training.recorder import Source
from twins.devices import DeviceType
from twins.errors import DeviceNotFoundError


class HistoryWithin(History):
    """The past of the devices of some sites.

    Parameters
    ----------
    history : the whole
    fleet : knows which devices those are
    live : a live table that shows these and no others
    sites : for what is closed
    """

    def __init__(self, history: History, fleet: FleetWithin, live: LiveTable, sites: frozenset[str]) -> None:
        # not super().__init__(): what is not told below has nothing to work on
        self.config = history.config
        self._whole = history
        self._fleet = fleet
        self._live = live
        self._sites = sites

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        beside: Mapping[str, pa.Table] | None = None,
        devices: pa.Array | None = None,
    ) -> pa.Table:
        """As the whole does, of these devices, or of those of ``devices`` that are among them."""
        view = self._live.view
        mine = view.once("device_ids", lambda: _ids(view.lines))
        if devices is not None:
            mine = devices.filter(pa.compute.is_in(devices, mine))
        return self._whole.query(sql, parameters, beside, mine)

    def device_history(
        self,
        device_type: str,
        device_id: str,
        start_us: int,
        end_us: int,
        channels: Sequence[str] | None = None,
        max_points: int = 2000,
    ) -> Series:
        """As the whole does. Raises DeviceNotFoundError for a device of another site."""
        if self._fleet.find(device_id) is None:
            raise DeviceNotFoundError(device_id)
        return self._whole.device_history(device_type, device_id, start_us, end_us, channels, max_points)

    def past(self) -> Past:
        """As the whole does, for devices that are named."""
        return PastWithin(self._whole.past(), self._fleet, self._sites)

    def export(self, sql: str, path: Path) -> int:
        self._closed()

    def close(self) -> None:
        """Nothing: the whole goes on."""

    def add_source(self, source: Source) -> None:
        self._closed()

    def register(self, name: str, table: Any) -> None:
        self._closed()

    def versions(self) -> dict[str, int]:
        self._closed()

    def storage(self) -> dict[str, tuple[int, int, int]]:
        self._closed()

    def tables(self) -> dict[str, pa.Schema]:
        self._closed()

    def _closed(self) -> NoReturn:
        raise SitesError("all sites", tuple(sorted(self._sites)))


class PastWithin(Past):
    """Rebuilds twins of devices of some sites."""

    def __init__(self, past: Past, fleet: FleetWithin, sites: frozenset[str]) -> None:
        self._whole = past
        self._fleet = fleet
        self._sites = sites

    def twin(self, device_id: str, at_us: int) -> tuple[dict[str, Any], DeviceType]:
        """As the whole does. Raises DeviceNotFoundError for a device of another site."""
        if self._fleet.find(device_id) is None:
            raise DeviceNotFoundError(device_id)
        return self._whole.twin(device_id, at_us)

    def shards(self, device_type: str, at_us: int, ids: Sequence[str] | None = None) -> list[PastShard]:
        """As the whole does. Raises DeviceNotFoundError for a device of another site, SitesError for all."""
        return self._whole.shards(device_type, at_us, self._mine(ids))

    def begun(self, device_type: str, at_us: int, ids: Sequence[str] | None = None) -> list[Rebuilding]:
        """As the whole does. Raises DeviceNotFoundError for a device of another site, SitesError for all."""
        return self._whole.begun(device_type, at_us, self._mine(ids))

    def onward(self, work: Rebuilding, until_us: int) -> Iterator[Entry]:
        """As the whole does, of what ``begun`` gave."""
        return self._whole.onward(work, until_us)

    def readings(self, device_type: str, start_us: int, end_us: int, ids: Sequence[str]) -> int:
        """As the whole does. Raises DeviceNotFoundError for a device of another site."""
        return self._whole.readings(device_type, start_us, end_us, self._mine(ids))

    def kept_since(self, actor: str) -> int | None:
        return self._whole.kept_since(actor)

    def _mine(self, ids: Sequence[str] | None) -> Sequence[str]:
        if ids is None:
            raise SitesError("all sites", tuple(sorted(self._sites)))
        for device_id in ids:
            if self._fleet.find(device_id) is None:
                raise DeviceNotFoundError(device_id)
        return ids


def _ids(lines: pa.Table | None) -> pa.Array:
    if lines is None:
        return pa.array([], pa.string())
    return lines["device_id"].combine_chunks().cast(pa.string())
