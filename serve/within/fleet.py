"""A fleet and its live table as an account sees them that is for some sites."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.errors import SitesError
from serve.live import LiveTable, Place, View
from serve.scopes import shown_among
from twins import commands as c
from twins.devices import Device, DeviceType
from twins.directory import Places
from twins.errors import DeviceNotFoundError, FleetError
from twins.fleet import CommandsResult, Fleet, WriteResult
from twins.fleetfiles import Climate
from twins.host import HostStatus
from twins.journal import StoredEntry
from twins.prognosis import Prognoses
from twins.readings import ReadingBatch
from twins.service import Mark, Scorable
from twins.whatif.forks import Fork

NOBODY: Final = "\0"
"""An id that no device can have. Asking for it takes what asking for an unknown one takes."""


class LiveWithin(LiveTable):
    """A live table whose views show some sites.

    Parameters
    ----------
    live : the whole
    sites : those that are shown
    """

    def __init__(self, live: LiveTable, sites: frozenset[str]) -> None:
        self._whole = live
        self._sites = sites

    @property
    def view(self) -> View:
        """The newest view's part."""
        return self._whole.view.within(self._sites)

    def refresh(self) -> View:
        """As that of the whole does, its part."""
        return self._whole.refresh().within(self._sites)

    def close(self) -> None:
        """Nothing: the whole goes on."""


class FleetWithin(Fleet):
    """A fleet of the devices of some sites. A device is where the live table shows it; a new one, once it does.

    Parameters
    ----------
    fleet : the whole
    live : the whole live table
    sites : those whose devices are there
    """

    def __init__(self, fleet: Fleet, live: LiveTable, sites: frozenset[str]) -> None:
        # not super().__init__(): what is not told below has nothing to work on, the directory of all devices above all
        self.config = fleet.config
        self.clock = fleet.clock
        self.types = fleet.types
        self._fleet = fleet
        self._live = live
        self._sites = sites

    # -- who is there ----------------------------------------------------------------------------------------------

    def locate(self, ids: pa.StringArray) -> Places:
        """Where devices are; -1 for one that is not known, or of another site."""
        places = self._fleet.locate(ids)
        here = self._covers(places)
        if not ((places.type_code >= 0) & ~here).any():
            return places
        nobody = self._fleet.locate(pa.array([NOBODY], pa.string()))
        return replace(
            places,
            host=np.where(here, places.host, np.int16(-1)),
            type_code=np.where(here, places.type_code, np.int16(-1)),
            row=np.where(here, places.row, np.int32(-1)),
            is_sure=places.is_sure and nobody.is_sure,
        )

    def find(self, device_id: str) -> tuple[int, str, int] | None:
        """Host, device type and row of a device of these sites; else None."""
        found = self._fleet.find(device_id)
        if found is None or self._site_of(Place(*found)) in self._sites:
            return found
        self._fleet.find(NOBODY)
        return None

    def _site_of(self, place: Place) -> str | None:
        """Where a device stands; None: the live table does not show it yet."""
        view = self._live.view
        if not view.has(place):
            view = self._live.refresh()
        if not view.has(place):
            return None
        site: str = view.fetch([place], ["site"])[0]["site"]
        return site

    def _covers(self, places: Places) -> NDArray[np.bool_]:
        """(n,) Which of the devices at ``places`` are of these sites."""
        view = self._live.view
        known = np.flatnonzero(places.type_code >= 0)
        hosts, codes = places.host[known], places.type_code[known]
        for host, code in set(zip(hosts.tolist(), codes.tolist(), strict=True)):
            newest = int(places.row[known][(hosts == host) & (codes == code)].max())
            if not view.has(Place(host, places.types[code], newest)):
                view = self._live.refresh()
                break
        return shown_among("site", sorted(self._sites), places, view)

    def _absent(self, device_id: str) -> FleetError:
        return self._fleet._absent(device_id)

    def _must_find(self, device_id: str) -> None:
        if self.find(device_id) is None:
            raise self._absent(device_id)

    def refresh(self) -> None:
        self._fleet.refresh()
        self.types = self._fleet.types

    def relearn(self) -> None:
        self._fleet.relearn()
        self.types = self._fleet.types

    def learn_types(self, host: int) -> None:
        self._fleet.learn_types(host)
        self.types = self._fleet.types

    # -- changing --------------------------------------------------------------------------------------------------

    def register(
        self, devices: Sequence[Device], by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        """As the whole does, for devices of these sites, below parents of these sites.

        Raises
        ------
        SitesError : one is of another site.
        DeviceNotFoundError : a parent is none of these sites' devices, nor one of the list.
        """
        self._check_sites(devices)
        named = {device.id for device in devices}
        parents = list(dict.fromkeys(d.parent for d in devices if d.parent and d.parent not in named))
        if parents:
            places = self.locate(pa.array(parents, pa.string()))
            for parent, host in zip(parents, places.host.tolist(), strict=True):
                if host < 0:
                    raise self._absent(parent)
        return self._fleet.register(devices, by, command_id)

    def change(self, command: c.UpdateDevice) -> dict[int, int]:
        """As the whole does, for a device that is and stays at these sites; a new parent is of these sites, too."""
        device = command.device
        self._must_find(device.id)
        self._check_sites([device])
        if device.parent and device.parent != self._fleet.read_twin(device.id)["parent"]:
            self._must_find(device.parent)
        return self._fleet.change(command)

    def _check_sites(self, devices: Sequence[Device]) -> None:
        for device in devices:
            if device.site not in self._sites:
                where = f"site {device.site!r}" if device.site else "devices of no site"
                raise SitesError(where, tuple(sorted(self._sites)))

    def command(self, command: c.Command) -> dict[int, int]:
        """As the whole does, for devices of these sites; what is about no single device is closed."""
        match command:
            case c.RegisterDevices():
                return self.register(command.devices, command.by, command.command_id)
            case c.UpdateDevice():
                return self.change(command)
            case (
                c.AlertCommand()
                | c.RecordMaintenance()
                | c.CorrectMaintenance()
                | c.RetireDevice()
                | c.DownlinkCommand()
            ):
                self._must_find(command.device_id)
                return self._fleet.command(command)
        return self._closed()

    def command_many(
        self,
        commands: Sequence[c.AlertCommand | c.RecordMaintenance | c.RetireDevice | c.DownlinkCommand],
    ) -> CommandsResult:
        """As the whole does; of another site's device each is refused as of one that is not there."""
        ids = pa.array([command.device_id for command in commands], pa.string())
        here = self.locate(ids).host >= 0
        refused: list[FleetError | None] = [
            None if found else self._absent(command.device_id)
            for command, found in zip(commands, here.tolist(), strict=True)
        ]
        mine = np.flatnonzero(here).tolist()
        result = self._fleet.command_many([commands[at] for at in mine])
        for at, why in zip(mine, result.refused, strict=True):
            refused[at] = why
        return CommandsResult(result.cursors, refused)

    def locate_known(self, ids: pa.StringArray) -> Places | None:
        """Nothing: whether a device is of these sites may take a look."""
        return None

    async def write_many_async(
        self, batches: Sequence[ReadingBatch], *, trace: bool = False, partly: bool = False
    ) -> list[WriteResult]:
        await asyncio.to_thread(self._refuse_strangers, batches)
        return await self._fleet.write_many_async(batches, trace=trace, partly=partly)

    def _refuse_strangers(self, batches: Sequence[ReadingBatch]) -> None:
        for batch in batches:
            strangers = np.flatnonzero(self.locate(batch.ids).host < 0)
            if len(strangers):
                raise self._absent(batch.ids[int(strangers[0])].as_py())

    def write_many(
        self,
        batches: Sequence[ReadingBatch],
        *,
        now_us: int | None = None,
        trace: bool = False,
        partly: bool = False,
    ) -> list[WriteResult]:
        """As the whole does. Batches hold devices of these sites only: whoever gathers them asks ``locate``."""
        self._refuse_strangers(batches)
        return self._fleet.write_many(batches, now_us=now_us, trace=trace, partly=partly)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_twin(self, device_id: str) -> dict[str, Any]:
        self._must_find(device_id)
        twin = self._fleet.read_twin(device_id)
        if twin["site"] not in self._sites:  # it was moved a moment ago
            raise DeviceNotFoundError(device_id)
        return twin

    def scorable_one(self, device_id: str) -> Scorable:
        self._must_find(device_id)
        return self._fleet.scorable_one(device_id)

    def downlinks(self, device_ids: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
        places = self.locate(pa.array(device_ids, pa.string()))
        found = zip(device_ids, places.host.tolist(), strict=True)
        return self._fleet.downlinks([each for each, host in found if host >= 0])

    def downlinks_since(
        self, marks: Mapping[int, Mapping[str, Mark]]
    ) -> tuple[dict[str, dict[str, Any]], dict[int, Mapping[str, Mark]], bool]:
        self._closed()

    def live(self, device_type: str) -> pa.Table:
        return self._only_mine(self._fleet.live(device_type))

    def alerts(self) -> pa.Table:
        return self._only_mine(self._fleet.alerts())

    def _only_mine(self, table: pa.Table) -> pa.Table:
        wanted = pa.array(sorted(self._sites), pa.string())
        return table.filter(pc.is_in(table["site"].cast(pa.string()), wanted))

    def status(self) -> list[HostStatus]:
        """Each host's name and state, and how many devices of these sites it has; how busy all of it is, is left out."""
        view = self._live.view.within(self._sites)
        shown = {host: sum(map(len, each.tables.values())) for host, each in view.generations.items()}
        found = zip(self._fleet.hosts(), self._fleet.status(), strict=True)
        return [
            HostStatus(
                name=each.name, state=each.state, reason="", devices=shown.get(host, 0), cursor=0, archived=0,
                snapshot_cursor=0, journal_bytes=0, damage=[],
            )
            for host, each in found
        ]  # fmt: skip

    def hosts(self) -> list[int]:
        return self._fleet.hosts()

    def command_id(self) -> str:
        return self._fleet.command_id()

    # -- what is about all sites -----------------------------------------------------------------------------------

    def install(
        self, device_type: DeviceType, by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        self._closed()

    def check_install(self, device_type: DeviceType) -> None:
        self._closed()

    def end_import(self, device_ids: Sequence[str], retired: bool, by: str = "system") -> None:
        self._closed()

    def declare_silent(self, device_ids: Sequence[str], reason: str, by: str = "system") -> None:
        self._closed()

    def scorable(
        self, host: int, device_type: str, first: int, most: int, with_ids: bool = False
    ) -> Scorable | None:
        self._closed()

    def score(self, host: int, told: Prognoses) -> int:
        self._closed()

    def fork(self, devices: str = "", climates: Mapping[str, Climate] | None = None) -> Fork:
        self._closed()

    def advance(self, now_us: int | None = None) -> None:
        self._closed()

    def read_after(self, host: int, cursor: int, limit: int = 256) -> list[StoredEntry]:
        self._closed()

    def _closed(self) -> NoReturn:
        raise SitesError("all sites", tuple(sorted(self._sites)))
