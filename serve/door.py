"""Who is in the fleet as far as readings go: known devices, and those that an approved template lets in.

An id that is in no fleet costs a question to the registrar. So what was refused just now is remembered for a short while,
and the same id is refused again without one; whoever registers meanwhile is found all the same, through the map that is
renewed beside.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve.intake import Covers
from serve.scopes import Scope
from serve.templates import Sender, Template, Templates
from twins.clock import stopwatch_s
from twins.devices import Device, DeviceType
from twins.directory import Places
from twins.errors import DegradedError, DeviceExistsError, FleetError, OverloadedError
from twins.fleet import Fleet

"""What becomes of a reading whose device is in no fleet."""

REFUSED_FOR_S: Final = 2.0
"""How long an id that was refused is refused again without asking."""

MOST_REFUSED: Final = 20_000
"""How many such are remembered."""

_FRESH_FOR_S: Final = 60.0  # until the live table shows a device that came just now, and much longer
_FRESH: Final = 20_000
_LOOK_EVERY_S: Final = 1.0
_TRIES: Final = 3

_log = logging.getLogger("twinfold.ingest")


@dataclass(frozen=True, slots=True)
class Party:
    """Who sends readings: a name for the audit, what kind of sender, and the scope that a key has."""

    name: str
    kind: Sender
    scope: Scope | None = None


class Door:
    """The one door for readings, of one process: who may come in. Safe for many threads.

    Parameters
    ----------
    fleet : where devices are
    templates : by which unknown ones are let in; None: they are refused
    now_s : a clock that only goes forward
    """

    def __init__(
        self, fleet: Fleet, templates: Templates | None = None, now_s: Callable[[], float] = stopwatch_s
    ) -> None:
        self._fleet = fleet
        self._templates = templates
        self._now_s = now_s
        self._lock = threading.Lock()
        self._registering = threading.Lock()
        self._refused: OrderedDict[tuple[str, str], float] = OrderedDict()  # until when
        self._fresh: OrderedDict[str, tuple[Device, float]] = OrderedDict()
        self._standing: list[Template] = []
        self._looked_s = -_LOOK_EVERY_S

    def of(self, party: Party) -> "Admitted":
        """The membership as one sender meets it."""
        return Admitted(self, self._fleet, party)

    def covers(self, scope: Scope, inner: Covers) -> Covers:
        """What ``inner`` covers, and devices that came in just now and which the live table may not show yet."""

        def covered(ids: pa.StringArray, places: Places) -> NDArray[np.bool_]:
            found = inner(ids, places)
            if not self._fresh or found.all():
                return found
            with self._lock:
                known = {at: self._fresh.get(ids[at].as_py()) for at in np.flatnonzero(~found).tolist()}
            now_s, more = self._now_s(), found.copy()
            for at, each in known.items():
                more[at] = each is not None and each[1] > now_s and scope.fits(each[0])
            return np.asarray(more & (places.type_code >= 0))

        return covered

    def locate(self, ids: pa.StringArray, party: Party) -> Places:
        """Where devices are; those that are in no fleet come in where a template says so."""
        places = self._fleet.directory.locate(ids)
        absent = _names(ids, places)
        if not absent or self._were_refused(absent, party):
            return places
        places = self._fleet.locate(ids)
        absent = _names(ids, places)
        if not absent or not places.is_sure:
            return places
        try:
            came = self._let_in(absent, party)
        except (OverloadedError, DegradedError) as error:
            _log.warning("devices that templates would let in cannot be registered now: %s", error)
            return replace(places, is_sure=False)
        except FleetError as error:
            _log.warning("devices that templates would let in are refused: %s", error)
            came = False
        if came:
            places = self._fleet.locate(ids)
            absent = _names(ids, places)
        if places.is_sure:
            self._remember(absent, party)
        return places

    # -- those that were refused -----------------------------------------------------------------------------------

    def _were_refused(self, ids: Sequence[str], party: Party) -> bool:
        now_s = self._now_s()
        with self._lock:
            return all(self._refused.get((party.name, each), 0.0) > now_s for each in ids)

    def _remember(self, ids: Sequence[str], party: Party) -> None:
        until_s = self._now_s() + REFUSED_FOR_S
        with self._lock:
            for each in ids[:MOST_REFUSED]:
                self._refused[(party.name, each)] = until_s
                self._refused.move_to_end((party.name, each))
            while len(self._refused) > MOST_REFUSED:
                self._refused.popitem(last=False)

    # -- those that come in ----------------------------------------------------------------------------------------

    def _let_in(self, ids: Sequence[str], party: Party) -> bool:
        """Register those of ``ids`` that a template is for; whether there were any.

        Raises
        ------
        FleetError : not all, or none, were registered.
        """
        if self._templates is None:
            return False
        with self._registering:  # one at a time: those who wait find what the one before let in
            wanted = self._wanted(ids, party)
            for template, devices in wanted:
                granted = self._templates.draw(template, [device.id for device in devices], party.name)
                if granted < len(devices):
                    _log.warning(
                        "template %r lets in %d of %d devices now", template.name, granted, len(devices)
                    )
                self._register(devices[:granted], template)
        return bool(wanted)

    def _wanted(self, ids: Sequence[str], party: Party) -> list[tuple[Template, list[Device]]]:
        templates = [each for each in self._look() if party.kind in each.senders]
        if not templates:
            return []
        known = self._fleet.directory.locate(pa.array(ids, pa.string())).host >= 0
        found: dict[str, tuple[Template, list[Device]]] = {}
        for device_id in (each for each, is_known in zip(ids, known.tolist(), strict=True) if not is_known):
            for template in templates:
                device = template.device(device_id)
                if device is not None and (party.scope is None or party.scope.fits(device)):
                    found.setdefault(template.id, (template, []))[1].append(device)
                    break
        return list(found.values())

    def _register(self, devices: Sequence[Device], template: Template) -> None:
        """Give each a twin; one that another process was quicker with is no reason to refuse the others."""
        todo = list(devices)
        for attempt in range(_TRIES):
            if not todo:
                return
            try:
                self._fleet.register(todo, by=f"template:{template.name}")
            except DeviceExistsError:
                if attempt + 1 == _TRIES:
                    raise
                self._fleet.refresh()
                ids = pa.array([device.id for device in todo], pa.string())
                there = self._fleet.directory.locate(ids).host >= 0
                todo = [each for each, is_there in zip(todo, there.tolist(), strict=True) if not is_there]
            else:
                break
        until_s = self._now_s() + _FRESH_FOR_S
        with self._lock:
            for device in devices:
                self._fresh[device.id] = (device, until_s)
            while len(self._fresh) > _FRESH:
                self._fresh.popitem(last=False)

    def _look(self) -> list[Template]:
        """The templates in use, as of a second ago at most."""
        assert self._templates is not None
        if self._now_s() - self._looked_s >= _LOOK_EVERY_S:
            self._standing = [each.template for each in self._templates.all() if each.enabled]
            self._looked_s = self._now_s()
        return self._standing


class Admitted:
    """The membership as one sender meets it: ``serve.intake`` asks it where devices are."""

    def __init__(self, door: Door, fleet: Fleet, party: Party) -> None:
        self._door = door
        self._fleet = fleet
        self._party = party
        self.types: dict[str, DeviceType] = fleet.types

    def locate(self, ids: pa.StringArray) -> Places:
        places = self._door.locate(ids, self._party)
        self.types = self._fleet.types
        return places

    def locate_known(self, ids: pa.StringArray) -> Places | None:
        places = self._fleet.locate_known(ids)
        self.types = self._fleet.types
        return places


def _names(ids: pa.StringArray, places: Places) -> list[str]:
    """Those of ``ids`` that are in no fleet."""
    absent = places.host < 0
    if not absent.any():
        return []
    found: list[str] = ids.filter(pa.array(absent)).to_pylist()
    return found
