"""What an experiment came to: tables, figures with their intervals, and a folder that holds them.

A folder grows while the experiment runs. Each replication is a part that appears whole; once all are there they become one
Parquet file a table. What was begun is gone on with: parts that are there are not run again.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twins import sealing
from twins.whatif import intervals, metrics, scenariofiles
from twins.whatif.errors import RunFolderError
from twins.whatif.forks import Fork
from twins.whatif.intervals import Estimate, Fan, Paired
from twins.whatif.outcomes import TABLES
from twins.whatif.presence import Estimated, Present, as_known
from twins.whatif.scenarios import Scenario

VERSION: Final = 1

FORK: Final = "fork.bin"
PRESENT: Final = "present.bin"
SCENARIO: Final = "scenario.yaml"
MANIFEST: Final = "manifest.json"
PARTS: Final = "parts"

_PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric of an arm: its expected value and, but for the reference arm, how it differs from that."""

    arm: str
    metric: str
    value: Estimate
    against_reference: Paired | None


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What an experiment has come to so far.

    Attributes
    ----------
    tables : by name, see ``outcomes.TABLES``
    manifest : what was run: versions, seed, lineage of the fork
    """

    scenario: Scenario
    tables: Mapping[str, pa.Table]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def replications(self) -> int:
        """How many there are in which every arm was run."""
        return len(self._paired_numbers())

    def arrow(self, name: str) -> pa.Table:
        """A table; KeyError for one that was not kept."""
        return self.tables[name]

    def pandas(self, name: str) -> Any:
        """A table as a pandas frame; ImportError without pandas."""
        return self.tables[name].to_pandas()

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A database with a view of each table, and ``metrics``."""
        connection = duckdb.connect()
        for name, table in {**self.tables, "metrics": self.values()}.items():
            connection.register(name, table)
        return connection

    def values(self) -> pa.Table:
        """Each metric of each arm and replication, in the form of ``metrics.VALUES``."""
        return metrics.values(self.scenario, self.tables)

    def compared(self, level: float | None = None) -> list[Comparison]:
        """Every metric of every arm, replication by replication against the reference arm."""
        level = self.scenario.level if level is None else level
        found = self.values()
        numbers = self._paired_numbers()
        reference = self.scenario.reference_arm
        compared = []
        for metric in metrics.names(self.scenario):
            lower = metrics.better(self.scenario, metric) == "lower"
            of = {arm.name: column(found, metric, arm.name, numbers) for arm in self.scenario.arms}
            for arm in self.scenario.arms:
                against = None
                if arm.name != reference:
                    against = intervals.paired(
                        of[arm.name], of[reference], lower_is_better=lower, level=level
                    )
                compared.append(Comparison(arm.name, metric, intervals.mean(of[arm.name], level), against))
        return compared

    def fans(self, metric: str, group: str | None = None) -> dict[str, tuple[NDArray[np.float64], Fan]]:
        """By arm: the beginnings of the stretches of time, h after the fork, and where a metric goes in them.

        ``group`` None: of all groups together.
        """
        courses = self.courses(metric, group)
        return {arm: (start_h, intervals.fan(values)) for arm, (start_h, values) in courses.items()}

    def courses(
        self, metric: str, group: str | None = None
    ) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """By arm: the beginnings of the stretches, and (replications, stretches) the metric in them; NaN: not known.

        ``group`` None: of all groups together.
        """
        tables = dict(self.tables)
        if group is None:
            buckets = tables["buckets"]
            place = buckets.schema.get_field_index("group")
            tables["buckets"] = buckets.set_column(place, "group", pa.repeat("", len(buckets)))
        course = metrics.courses(self.scenario, tables)
        course = course.filter(
            pc.and_(pc.equal(course["metric"], metric), pc.equal(course["group"], group or ""))
        )
        found = {}
        for arm in self.scenario.arms:
            mine = course.filter(pc.equal(course["arm"], arm.name))
            start_h, k = np.unique(mine["start_h"].to_numpy(), return_inverse=True)
            numbers, i = np.unique(mine["replication"].to_numpy(), return_inverse=True)
            values = np.full((len(numbers), len(start_h)), np.nan)
            values[i, k] = _floats(mine["value"])
            found[arm.name] = (start_h, values)
        return found

    def _paired_numbers(self) -> NDArray[np.int32]:
        runs = self.tables["runs"]
        numbers, counts = np.unique(runs["replication"].to_numpy(), return_counts=True)
        return np.asarray(numbers[counts == len(self.scenario.arms)])


class RunFolder:
    """A folder with an experiment that is under way, or has ended; sealed where it lies in an encrypted data folder.

    Layout: ``manifest.json``, ``scenario.yaml``, ``fork.bin``, and ``present.bin`` where damage was estimated;
    ``parts/<arm>-<replication>/<table>.parquet`` while it runs; ``<table>.parquet`` once it has ended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(
        self, scenario: Scenario, fork: Fork, manifest: Mapping[str, Any], present: Present = as_known
    ) -> None:
        """Make the folder ready for an experiment, or take up the one that was begun in it.

        Parameters
        ----------
        present : kept where it goes by estimates, so that a replication can be run again

        Raises
        ------
        RunFolderError : it holds another experiment, or something else.
        """
        if self.is_begun:
            self.refuse_another(scenario)
            return
        if self.folder.exists() and any(not _is_ours(path.name) for path in self.folder.iterdir()):
            raise RunFolderError(str(self.folder), "is not empty", "choose another folder, or empty it")
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / FORK, bytes(fork.block()))
        if isinstance(present, Estimated):
            _write(self.folder / PRESENT, bytes(present.block()))
        _write(self.folder / SCENARIO, scenariofiles.to_yaml(scenario).encode())
        digest = scenariofiles.content_hash(scenario)
        said = {"version": VERSION, "scenario_hash": digest, **manifest, "lineage": dict(fork.lineage),
                "at_us": fork.at_us, "devices": {name: len(each) for name, each in fork.types.items()}}  # fmt: skip
        _write(self.folder / MANIFEST, json.dumps(said, indent=1).encode())

    def refuse_another(self, scenario: Scenario) -> None:
        """Nothing, where this scenario was begun here; else raises RunFolderError."""
        known = self.manifest()["scenario_hash"]
        if known != scenariofiles.content_hash(scenario):
            problem = f"holds the results of another scenario ({known[:12]})"
            raise RunFolderError(str(self.folder), problem, "choose another folder")

    @property
    def is_begun(self) -> bool:
        return (self.folder / MANIFEST).exists()

    @property
    def is_ended(self) -> bool:
        return (self.folder / "runs.parquet").exists()

    def manifest(self) -> dict[str, Any]:
        """What was said at the beginning; RunFolderError where nothing was."""
        if not self.is_begun:
            raise RunFolderError(
                str(self.folder), "holds no experiment", "run `twinfold whatif` with it first"
            )
        found: dict[str, Any] = json.loads(sealing.read(self.folder / MANIFEST))
        return found

    def scenario(self) -> Scenario:
        self.manifest()
        path = self.folder / SCENARIO
        return scenariofiles.parse_scenario(sealing.read(path).decode(), path.name).scenario

    def fork(self) -> Fork:
        """The twins that it runs."""
        self.manifest()
        return Fork.from_block(sealing.read(self.folder / FORK))

    def present(self) -> Present:
        """What these are really like: as it was estimated when it began, else as it is known."""
        path = self.folder / PRESENT
        return Estimated.from_block(sealing.read(path)) if path.exists() else as_known

    def copy(self, to: Path) -> None:
        """Put what is there once it has ended into another folder, opened, for whoever is to read it there."""
        to.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.is_file() and not path.name.endswith(_PARTIAL):
                _write(to / path.name, sealing.read(path))

    def add(self, arm: str, number: int, tables: Mapping[str, pa.Table]) -> None:
        """Keep the outcome of a replication; it appears whole."""
        part = self._part(arm, number)
        partial = part.with_name(part.name + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, table in tables.items():
            block = sealing.stored(part / f"{name}.parquet", _packed(table))
            (partial / f"{name}.parquet").write_bytes(block)
        os.replace(partial, part)

    def done(self) -> set[tuple[str, int]]:
        """Arm and number of the replications that are there."""
        if self.is_ended:
            runs = self.table("runs")
            return set(zip(runs["arm"].to_pylist(), runs["replication"].to_pylist(), strict=True))
        return {(arm, number) for arm, number, _ in self._parts()}

    def finish(self) -> None:
        """Put the parts together."""
        parts = [path for _, _, path in sorted(self._parts(), key=lambda each: (each[1], each[0]))]
        for name in (
            *(each for each in TABLES if each != "runs"),
            "runs",
        ):  # the last one says that all are there
            files = [path / f"{name}.parquet" for path in parts if (path / f"{name}.parquet").exists()]
            if files:
                self._join(name, files)
        shutil.rmtree(self.folder / PARTS)

    def results(self) -> Results:
        """What there is: all of it once it has ended, before that what is there so far."""
        return Results(
            self.scenario(), {name: self.table(name) for name in TABLES if self.has(name)}, self.manifest()
        )

    def has(self, name: str) -> bool:
        """Whether a table is kept."""
        return name in ("buckets", "runs", *self.scenario().keep)

    def table(self, name: str) -> pa.Table:
        """A table as far as it is there."""
        if self.is_ended:
            return _table(self.folder / f"{name}.parquet", name)
        parts = sorted(self._parts(), key=lambda each: (each[1], each[0]))
        read = [_table(path / f"{name}.parquet", name) for _, _, path in parts]
        return pa.concat_tables([TABLES[name].empty_table(), *read])

    def _join(self, name: str, files: list[Path]) -> None:
        target = self.folder / f"{name}.parquet"
        partial = target.with_name(target.name + _PARTIAL)
        if sealing.sealer_of(target) is not None:
            whole = pa.concat_tables([_table(path, name) for path in files])
            partial.write_bytes(sealing.stored(target, _packed(whole)))
        else:
            with pq.ParquetWriter(partial, TABLES[name], compression="zstd") as writer:
                for path in files:
                    writer.write_table(_table(path, name))
        os.replace(partial, target)

    def _part(self, arm: str, number: int) -> Path:
        return self.folder / PARTS / f"{number}-{arm}"

    def _parts(self) -> Iterator[tuple[str, int, Path]]:
        folder = self.folder / PARTS
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not path.name.endswith(_PARTIAL):
                number, _, arm = path.name.partition("-")
                yield arm, int(number), path


def column(found: pa.Table, metric: str, arm: str, numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """(numbers,) values of a metric in an arm; NaN where there is none."""
    mine = found.filter(pc.and_(pc.equal(found["metric"], metric), pc.equal(found["arm"], arm)))
    values = np.full(len(numbers), np.nan)
    known = mine["replication"].to_numpy()
    place = np.searchsorted(numbers, known)
    inside = (
        (place < len(numbers)) & (numbers[np.minimum(place, len(numbers) - 1)] == known)
        if len(numbers)
        else place < 0
    )
    values[place[inside]] = _floats(mine["value"])[inside]
    return values


def _is_ours(name: str) -> bool:
    """Whether it may be what is left where an experiment was cut off before it had begun."""
    return name.removesuffix(_PARTIAL) in (FORK, PRESENT, SCENARIO, MANIFEST)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(column, float("nan")).to_numpy())


def _packed(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _table(path: Path, name: str) -> pa.Table:
    """What a Parquet file holds, sealed or not, with the columns that the table has."""
    return pq.read_table(pa.BufferReader(sealing.read(path)), schema=TABLES[name])


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears whole, and is on disk."""
    partial = path.with_name(path.name + _PARTIAL)
    with partial.open("wb") as file:
        file.write(sealing.stored(path, data))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
