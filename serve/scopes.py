"""Which devices a key may write for, and which of a batch those are: columns in, a mask out."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.errors import UnfitError
from serve.live import View
from twins.devices import Device
from twins.directory import Places

MOST_NAMES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a device must be for a key to write its readings: all of what is named here; naming nothing, any device.

    Attributes
    ----------
    devices : one of these ids
    gateways : one of these ids, or a device whose parent is one of them
    sites, types : at one of these sites, of one of these types
    """

    devices: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        devices: Iterable[str] = (),
        gateways: Iterable[str] = (),
        sites: Iterable[str] = (),
        types: Iterable[str] = (),
        *,
        everything: bool = False,
    ) -> Self:
        """A scope as somebody asked for it. Raises UnfitError for one that names nothing, or too much."""
        parts = [tuple(sorted(set(each))) for each in (devices, gateways, sites, types)]
        if sum(map(len, parts)) > MOST_NAMES:
            raise UnfitError(
                f"a key names at most {MOST_NAMES} devices, gateways, sites and types",
                "name a site or a type",
            )
        if everything == any(parts):
            raise UnfitError(
                "a key is for some devices, gateways, sites or types, or for everything",
                "name one or the other",
            )
        return cls(*parts)

    @property
    def is_everything(self) -> bool:
        return not (self.devices or self.gateways or self.sites or self.types)

    def as_text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(**{name: tuple(values) for name, values in json.loads(text).items()})

    def covers(self, ids: pa.StringArray, places: Places, view: View) -> NDArray[np.bool_]:
        """Which of ``ids`` (n,) are covered. Sites and parents are the live table's: what it does not show yet is not.

        Parameters
        ----------
        places : where each of them is
        """
        covered = np.asarray(places.type_code >= 0)
        if self.devices:
            covered = covered & _among(ids, self.devices)
        if self.types:
            codes = [places.types.index(name) for name in self.types if name in places.types]
            covered = covered & np.isin(places.type_code, codes)
        if self.sites:
            covered = covered & shown_among("site", self.sites, places, view)
        if self.gateways:
            below = shown_among("parent", self.gateways, places, view)
            covered = covered & (_among(ids, self.gateways) | below)
        return covered

    def fits(self, device: Device) -> bool:
        """Whether a device of whom everything is known is covered."""
        return (
            (not self.devices or device.id in self.devices)
            and (not self.types or device.device_type in self.types)
            and (not self.sites or device.site in self.sites)
            and (not self.gateways or device.id in self.gateways or device.parent in self.gateways)
        )


def _among(ids: pa.StringArray, names: Sequence[str]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.is_in(ids, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
    return found


def shown_among(column: str, names: Sequence[str], places: Places, view: View) -> NDArray[np.bool_]:
    """(n,) Whose ``column`` in a whole view of the live table holds one of ``names``; who is not shown is not among them."""
    found = np.zeros(len(places.row), np.bool_)
    known = places.type_code >= 0
    for host, code in np.unique(np.stack([places.host[known], places.type_code[known]]), axis=1).T.tolist():
        generation = view.generations.get(host)
        table = None if generation is None else generation.tables.get(places.types[code])
        if table is None:
            continue
        mine = np.flatnonzero((places.host == host) & (places.type_code == code))
        mine = mine[places.row[mine] < table.num_rows]
        told = table[column].take(pa.array(places.row[mine])).cast(pa.string())
        found[mine] = pc.is_in(told, pa.array(names, pa.string())).to_numpy()
    return found
