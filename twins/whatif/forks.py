"""A fork: twins copied whole at one moment, to be run forward by themselves. Nothing leads from it back to the fleet.

Whatever the twins were divided into, hosts or shards, a fork has one block of columns a device type, its rows sorted by
device id: what comes of it does not depend on where twins lived. A fork is read-only; every run copies what it changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twins import filters, packing, state, typefiles, views
from twins.devices import DeviceType
from twins.draws import name_keys
from twins.fleetfiles import Climate
from twins.packing import Arrays
from twins.physics import PhysicsState
from twins.shard import Shard, ShardConfig
from twins.state import IMPORTING, RETIRED
from twins.views import Glance
from twins.vocabulary import device_vocabulary

VERSION: Final = 1

_ENTRIES: Final = "alerts.entries"


@dataclass(frozen=True, slots=True, eq=False)
class ForkedType:
    """All forked twins of a type, in the order of their ids.

    Attributes
    ----------
    device_type : the version in force at the fork
    ids : (n,) of the devices
    keys : (n,) hashes of the ids, for draws
    site : (n,) index in ``Fork.sites``
    arrays : every section of their state, as ``state.to_arrays`` names them
    table : what the live table said of them
    physics : what they are really like, where that is known: twins of a simulated fleet; None: to be estimated
    """

    device_type: DeviceType
    ids: pa.StringArray
    keys: NDArray[np.uint64]
    site: NDArray[np.int32]
    arrays: Arrays
    table: pa.Table
    physics: PhysicsState | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Fork:
    """Twins at one moment.

    Attributes
    ----------
    at_us : the moment, shard time
    types : by name
    sites : names, sorted; ``climates`` of those that are known
    lineage : where it comes from: what was forked, the cursor of each journal, versions
    """

    at_us: int
    types: Mapping[str, ForkedType]
    sites: tuple[str, ...]
    config: ShardConfig
    climates: Mapping[str, Climate] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(each) for each in self.types.values())

    @property
    def nbytes(self) -> int:
        """Bytes of state."""
        return sum(array.nbytes for each in self.types.values() for array in each.arrays.values())

    def device_types(self) -> dict[str, DeviceType]:
        return {name: each.device_type for name, each in self.types.items()}

    def matching(self, device_type: str, devices: str) -> NDArray[np.int64]:
        """The rows of a type that a filter takes in at the moment of the fork; all of them, for an empty one.

        Raises
        ------
        FilterError : with the column, and what to write instead.
        """
        forked = self.types[device_type]
        if not devices:
            return np.arange(len(forked))
        return matching(forked.table, devices, self.device_types())

    def chosen(self, devices: str) -> "Fork":
        """The twins that a filter takes in; types of which none are left go."""
        if not devices:
            return self
        rows = {name: self.matching(name, devices) for name in self.types}
        types = {name: _rows_of(each, rows[name]) for name, each in self.types.items() if len(rows[name])}
        return Fork(self.at_us, types, self.sites, self.config, self.climates, self.lineage)

    def block(self) -> bytearray:
        """The fork as one block of bytes, for ``from_block``."""
        arrays: dict[str, NDArray[Any]] = {}
        meta: dict[str, Any] = {
            "version": VERSION,
            "at_us": self.at_us,
            "sites": list(self.sites),
            "config": asdict(self.config),
            "climates": {name: asdict(each) for name, each in self.climates.items()},
            "lineage": dict(self.lineage),
            "types": {},
        }
        for name, each in self.types.items():
            meta["types"][name] = {
                "type": typefiles.to_document(each.device_type),
                "is_known": each.physics is not None,
            }
            arrays[f"{name}/table"] = np.frombuffer(_ipc(each.table), np.uint8)
            arrays[f"{name}/site"] = each.site
            arrays.update({f"{name}/state.{key}": array for key, array in each.arrays.items()})
            if each.physics is not None:
                arrays.update({f"{name}/physics.{k}": v for k, v in each.physics._asdict().items()})
        return packing.pack(meta, arrays)

    @staticmethod
    def from_block(block: bytes | bytearray | memoryview) -> "Fork":
        """The fork that ``block`` gave; its arrays are views of the bytes.

        Raises
        ------
        packing.PackingError : the block is damaged.
        ValueError : it is of a version that this one cannot read.
        """
        meta, arrays = packing.unpack(block)
        if meta["version"] != VERSION:
            raise ValueError(f"fork version {meta['version']}, this Twinfold reads {VERSION}; fork anew")
        types = {}
        for name, said in meta["types"].items():
            table = pa.ipc.open_stream(pa.py_buffer(arrays[f"{name}/table"])).read_all()
            ids = table["device_id"].combine_chunks().cast(pa.string())
            physics = None
            if said["is_known"]:
                physics = PhysicsState(**{k: arrays[f"{name}/physics.{k}"] for k in PhysicsState._fields})
            prefix = f"{name}/state."
            types[name] = ForkedType(
                typefiles.from_document(said["type"]),
                ids,
                name_keys(ids.to_pylist()),
                arrays[f"{name}/site"],
                {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)},
                table,
                physics,
            )
        climates = {name: Climate(**each) for name, each in meta["climates"].items()}
        return Fork(
            meta["at_us"],
            types,
            tuple(meta["sites"]),
            ShardConfig.from_json(meta["config"]),
            climates,
            meta["lineage"],
        )


class Taken(NamedTuple):
    """The twins of a shard that live, copied at one moment: their state, and what the live table shows of them."""

    seen: Glance
    arrays: Arrays
    rows: NDArray[np.int64]
    config: ShardConfig


def taken(shard: Shard) -> Taken:
    """Copy the twins of a shard; those that are retired or whose past is being told are left out."""
    alive = shard.state.core.status[: len(shard)] & (RETIRED | IMPORTING) == 0
    rows = np.flatnonzero(alive)
    return Taken(
        views.glance(shard), state.chosen(state.to_arrays(shard.state, len(shard)), rows), rows, shard.config
    )


def fork(
    shards: Iterable[Shard],
    at_us: int,
    *,
    devices: str = "",
    climates: Mapping[str, Climate] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Fork:
    """Copy twins as they are; see ``joined``. Each shard is already at shard time ``at_us``."""
    return joined(map(taken, shards), at_us, devices=devices, climates=climates, lineage=lineage)


def joined(
    parts: Iterable[Taken],
    at_us: int,
    *,
    devices: str = "",
    climates: Mapping[str, Climate] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Fork:
    """A fork of twins that were copied shard by shard.

    Parameters
    ----------
    parts : each as of shard time ``at_us``, all of a type under the same version of it
    devices : a filter; empty: all

    Raises
    ------
    FilterError : with the column, and what to write instead.
    ValueError : parts of a type are under different versions.
    """
    by_type: dict[str, list[Taken]] = {}
    config = ShardConfig()
    for part in parts:
        if len(part.rows):
            by_type.setdefault(part.seen.device_type.name, []).append(part)
            config = part.config
    tables = {
        name: [views.shaped(part.seen).take(pa.array(part.rows)) for part in each]
        for name, each in by_type.items()
    }
    sites = tuple(sorted({site for each in tables.values() for t in each for site in _sites_in(t)}))
    types = {name: _joined(by_type[name], tables[name], sites) for name in sorted(by_type)}
    return Fork(at_us, types, sites, config, climates or {}, lineage or {}).chosen(devices)


def matching(table: pa.Table, devices: str, types: Mapping[str, DeviceType]) -> NDArray[np.int64]:
    """The lines of a live table that a filter takes in."""
    vocabulary = device_vocabulary(types)
    asked = filters.sql(filters.parse(devices, vocabulary), vocabulary)
    numbered = table.append_column("_line", pa.array(np.arange(len(table))))
    with duckdb.connect() as connection:
        connection.register("twins", _with_channels(numbered, types))
        found = connection.execute(
            f"SELECT _line FROM twins WHERE {asked.text} ORDER BY _line", list(asked.parameters)
        ).fetchnumpy()
    return np.asarray(found["_line"], np.int64)


def _joined(parts: Sequence[Taken], tables: Sequence[pa.Table], sites: Sequence[str]) -> ForkedType:
    """The twins of a type from all shards, sorted by id."""
    first = parts[0].seen.device_type
    if any(part.seen.device_type != first for part in parts[1:]):
        raise ValueError(f"type {first.name!r} is under different versions in different shards; fork again")
    offsets = np.cumsum([0, *(len(part.rows) for part in parts)])
    moved = []
    for part, offset in zip(parts, offsets, strict=False):
        entries = part.arrays[_ENTRIES].copy()
        entries["row"] += offset
        moved.append({**part.arrays, _ENTRIES: entries})
    arrays = {key: np.concatenate([part[key] for part in moved]) for key in moved[0]}
    table = pa.concat_tables([each.unify_dictionaries() for each in tables]).unify_dictionaries()
    order = pc.sort_indices(table["device_id"].cast(pa.string())).to_numpy()
    table = table.take(pa.array(order)).combine_chunks()
    ids = table["device_id"].cast(pa.string()).combine_chunks()
    site = pc.index_in(table["site"].cast(pa.string()).fill_null(""), pa.array(sites, pa.string()))
    return ForkedType(
        first,
        ids,
        name_keys(ids.to_pylist()),
        site.to_numpy().astype(np.int32),
        state.chosen(arrays, order.astype(np.int64)),
        table,
    )


def _rows_of(forked: ForkedType, rows: NDArray[np.int64]) -> ForkedType:
    physics = forked.physics
    return ForkedType(
        forked.device_type,
        forked.ids.take(pa.array(rows)),
        forked.keys[rows],
        forked.site[rows],
        state.chosen(forked.arrays, rows),
        forked.table.take(pa.array(rows)),
        None if physics is None else PhysicsState._make(array[rows] for array in physics),
    )


def _sites_in(table: pa.Table) -> list[str]:
    return [each or "" for each in pc.unique(table["site"].cast(pa.string())).to_pylist()]


def _with_channels(table: pa.Table, types: Mapping[str, DeviceType]) -> pa.Table:
    """The table with a column for every channel of any type, as the vocabulary has them."""
    known = set(table.column_names)
    for name in sorted({name for each in types.values() for name in each.channel_names} - known):
        table = table.append_column(name, pa.nulls(len(table), pa.float32()))
    return table


def _ipc(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
