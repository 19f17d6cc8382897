"""Twins forecast anew by the models in force, beside their shards: covariates out, forecasts back as an input.

A shard is asked for its devices some tens of thousands at a time, copied at one moment, and is told of those whose forecast
has changed by more than ``Resolution``, or comes from another version: what a fleet keeps of forecasts grows with what
happens to it, not with how often it is asked. A version is loaded whole before it takes the place of another; devices are
scored by the one or the other, and there is no pause between.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.anomaly import HealthyModel, columns
from training.errors import ModelDamagedError, ModelFormatError, ModelUnfitError
from training.registry import ModelVersion, Registry
from training.survival import Forecast, SurvivalModel
from twins.clock import stopwatch_s
from twins.covariates import Covariates
from twins.devices import DeviceType
from twins.directory import hashes
from twins.errors import FleetError, StaleDirectoryError
from twins.fleet import Fleet
from twins.prognosis import (
    FIGURES,
    LIKE_HEALTHY,
    QUANTILES,
    SAID,
    UNSAID,
    WITHIN_H,
    Prognoses,
    PrognosisState,
    chosen,
)
from twins.service import Scorable

ROWS_AT_ONCE: Final = 8_192
"""Rows of a shard that are asked for, scored and told at once: few enough that a shard's readings hardly wait."""

_FORECAST_AT_ONCE: Final = 4_096  # devices whose curves are held at once
_WEEK: Final = [*WITHIN_H].index("p_fail_7d")

_log = logging.getLogger("twinfold.scoring")


@dataclass(frozen=True, slots=True)
class Resolution:
    """Changes smaller than these are not told.

    Attributes
    ----------
    probability : of a failure
    life : of remaining life, as a share of it
    likeness : how many times another the likeness to healthy devices is
    ordinary : how it moves above this is not told: healthy devices have any likeness, and another one each day
    """

    probability: float = 0.005
    life: float = 0.02
    likeness: float = 1.5
    ordinary: float = 0.2


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """How many rows are scored side by side, and what counts as a change."""

    threads: int = 2
    resolution: Resolution = field(default_factory=Resolution)


class Loaded(NamedTuple):
    """A version that was read, and the failure modes that it tells apart, in the order of its shares.

    ``healthy`` is what tells devices that are unlike healthy ones; None: it was trained without.
    """

    version: int
    model: SurvivalModel
    failure_modes: tuple[str, ...]
    healthy: HealthyModel | None = None


class Part(NamedTuple):
    """Rows of a type's shard in one host."""

    host: int
    first: int
    rows: int


class Done(NamedTuple):
    """What scoring a part came to; see ``Round``."""

    devices: int
    told: int
    unlike: int
    risk: NDArray[np.float32]


NOTHING: Final = Done(0, 0, 0, np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Round:
    """What one pass over the devices of a type came to.

    Attributes
    ----------
    device_type, model : whose, and by which version
    devices : how many were asked about
    told : how many forecasts were new
    unlike : of how many the model cannot say anything
    seconds : how long it took
    risk : (devices - unlike,) how likely each of the others is to fail within a week
    """

    device_type: str
    model: int
    devices: int
    told: int
    unlike: int
    seconds: float
    risk: NDArray[np.float32] = field(default_factory=lambda: NOTHING.risk, repr=False, compare=False)


class Scorer:
    """Forecasts the twins of a fleet by the models in force.

    Parameters
    ----------
    fleet : whose twins
    registry : where the models are
    """

    def __init__(self, fleet: Fleet, registry: Registry, config: ScoringConfig | None = None) -> None:
        self._fleet = fleet
        self._registry = registry
        self._config = config or ScoringConfig()
        self._loaded: dict[tuple[str, int], Loaded] = {}
        self._refused: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def versions(self) -> dict[str, int]:
        """The version in force of each type that the fleet has and there is a model of."""
        found = {}
        for name in self._registry.types():
            champion = self._champion(name) if name in self._fleet.types else None
            if champion is not None:
                found[name] = champion.version
        return found

    def challenger(self, device_type: str) -> int | None:
        """The newest version of a type, if it is newer than the one in force and never was; None: it is not, or none is."""
        newest = self._registry.newest(device_type)
        if newest is None or newest.role != "challenger" or self._champion(device_type) is None:
            return None
        return newest.version

    def rescore(self, device_type: str, version: int, shadow: bool = False, most: int | None = None) -> Round:
        """Ask a version about all devices of a type, and tell the twins what is new. One host that is away costs no other.

        ``shadow``: history is told and not the twins, of every device. ``most``: of about so many, drawn by a hash of their
        ids, so that it is the same ones every time.

        Raises
        ------
        ModelNotFoundError, ModelDamagedError, ModelFormatError, ModelUnfitError : it cannot be loaded, or not be asked.
        FleetError : the last failure, where a host could not be asked or told; the others were.
        """
        loaded, began_s = self.load(device_type, version), stopwatch_s()
        of = self._fleet.types[device_type]
        parts = list(self._parts(device_type))
        share = 1.0 if most is None else most / max(1, sum(rows for *_, rows in parts))
        work = partial(self._part, loaded, of, shadow, share)
        failed: list[FleetError] = []
        with ThreadPoolExecutor(self._config.threads, "scorer") as pool:
            done = list(pool.map(partial(_tried, work, failed), parts))
        if failed:
            raise failed[-1]
        devices, told, unlike, risk = zip(NOTHING, *done, strict=True)
        took_s = stopwatch_s() - began_s
        return Round(device_type, version, sum(devices), sum(told), sum(unlike), took_s, np.concatenate(risk))

    def load(self, device_type: str, version: int) -> Loaded:
        """A version, read once; raises what ``Registry.load`` does."""
        with self._lock:
            known = self._loaded.get((device_type, version))
            if known is None:
                known = load(self._registry, device_type, version)
                kept = {key: each for key, each in self._loaded.items() if key[0] != device_type}
                newest = [(key, each) for key, each in self._loaded.items() if key[0] == device_type][-1:]
                self._loaded = {**kept, **dict(newest), (device_type, version): known}
            return known

    # -- inside ----------------------------------------------------------------------------------------------------

    def _champion(self, device_type: str) -> ModelVersion | None:
        try:
            return self._registry.champion(device_type)
        except (ModelDamagedError, ModelFormatError) as error:
            if (device_type, 0) not in self._refused:
                _log.error("no forecasts of %s: %s", device_type, error)
            self._refused.add((device_type, 0))
            return None

    def _parts(self, device_type: str) -> Iterator[Part]:
        self._fleet.refresh()
        for host in self._fleet.hosts():
            rows = self._fleet.directory.seal(host, device_type).rows
            for first in range(0, rows, ROWS_AT_ONCE):
                yield Part(host, first, min(ROWS_AT_ONCE, rows - first))

    def _part(self, loaded: Loaded, device_type: DeviceType, shadow: bool, share: float, part: Part) -> Done:
        found = self._fleet.scorable(part.host, device_type.name, part.first, ROWS_AT_ONCE, True)
        if found is not None and share < 1.0:
            found = _drawn(found, share)
        if found is None or not len(found.rows):
            return NOTHING
        told = prognoses(loaded, device_type, found, shadow)
        unlike = int((told.said == UNSAID).sum())
        new = told if shadow else told.where(changed(found.said, told, self._config.resolution))
        if len(new):
            self._fleet.score(part.host, new)
        return Done(len(told), len(new), unlike, told.p_fail[told.said == SAID, _WEEK])


def load(registry: Registry, device_type: str, version: int) -> Loaded:
    """A version out of the registry; raises what ``Registry.load`` does, and ModelUnfitError where it is no such model."""
    arrays = registry.load(device_type, version)
    try:
        model, healthy = SurvivalModel.from_arrays(arrays), HealthyModel.from_arrays(arrays)
    except (KeyError, ValueError) as error:
        raise ModelUnfitError(device_type, version, "it is of another kind") from error
    return Loaded(version, model, registry.get(device_type, version).manifest.failure_modes, healthy)


def fits(loaded: Loaded, of: Scorable) -> bool:
    """Whether a version is of the regimes and channels that the devices have."""
    return bool(loaded.model.norm.mean.shape == of.known.trend.shape[2:])


def prognoses(loaded: Loaded, device_type: DeviceType, of: Scorable, shadow: bool = False) -> Prognoses:
    """What a version says of some devices of a type, as their twins are told.

    Raises
    ------
    ModelUnfitError : it is of other regimes or channels than the type has.
    """
    assert of.ids is not None
    if not fits(loaded, of):
        raise ModelUnfitError(device_type.name, loaded.version, "it is of other regimes or channels")
    count = len(of.rows)
    p_fail = np.full((count, len(WITHIN_H)), np.nan, np.float32)
    rul_h = np.full((count, len(QUANTILES)), np.nan, np.float32)
    mode, share = np.full(count, -1, np.int8), np.full(count, np.nan, np.float32)
    said, like_healthy = np.full(count, UNSAID, np.uint8), np.full(count, np.nan, np.float32)
    place = _places(loaded.failure_modes, device_type)
    for start in range(0, count, _FORECAST_AT_ONCE):
        part = slice(start, start + _FORECAST_AT_ONCE)
        known, ids = of.known.take(part), of.ids[part]
        told = loaded.model.forecast(known, ids)
        if loaded.healthy is not None:
            like_healthy[part] = loaded.healthy.p_values(columns(known, told.seen), ids)
        inside = told.in_distribution
        said[part][inside] = SAID
        for column, within_h in enumerate(WITHIN_H.values()):
            p_fail[part, column][inside] = told.probability(within_h)[inside]
        for column, p in enumerate(QUANTILES.values()):
            rul_h[part, column][inside] = told.quantile(p)[inside]
        if told.share.shape[1]:
            mode[part][inside], share[part][inside] = _likeliest(told, place, inside)
    return Prognoses(
        device_type=device_type.name, model=loaded.version, seal=of.seal, rows=of.rows, life_cycle=of.life_cycle,
        event_us=of.event_us, p_fail=p_fail, rul_h=rul_h, mode=mode, share=share, said=said,
        like_healthy=like_healthy, is_shadow=shadow,
    )  # fmt: skip


def figures(
    loaded: Loaded, device_type: DeviceType, names: Sequence[str], of: Covariates
) -> dict[str, NDArray[np.float32]]:
    """What a version says of devices by name, (n,) each of ``FIGURES``; NaN where it cannot say.

    Raises
    ------
    ModelUnfitError : it is of other regimes or channels than the type has.
    """
    if loaded.model.norm.mean.shape != of.trend.shape[2:]:
        raise ModelUnfitError(device_type.name, loaded.version, "it is of other regimes or channels")
    found = {name: np.full(len(names), np.nan, np.float32) for name in FIGURES}
    for start in range(0, len(names), _FORECAST_AT_ONCE):
        part = slice(start, start + _FORECAST_AT_ONCE)
        known, ids = of.take(part), pa.array(names[part], pa.string())
        told = loaded.model.forecast(known, ids)
        if loaded.healthy is not None:
            found[LIKE_HEALTHY][part] = loaded.healthy.p_values(columns(known, told.seen), ids)
        inside = told.in_distribution
        for name, within_h in WITHIN_H.items():
            found[name][part][inside] = told.probability(within_h)[inside]
        for name, p in QUANTILES.items():
            found[name][part][inside] = told.quantile(p)[inside]
    return found


def changed(before: PrognosisState, after: Prognoses, resolution: Resolution) -> NDArray[np.bool_]:
    """(n,) whether a forecast differs from the one that stands by more than the resolution, or is by another version."""
    with np.errstate(invalid="ignore"):
        probable = np.abs(after.p_fail - before.p_fail) > resolution.probability
        longer = np.abs(after.rul_h - before.rul_h) > resolution.life * np.maximum(before.rul_h, 1.0)
    known = np.isnan(after.rul_h) != np.isnan(before.rul_h)
    was, now = (np.minimum(each.like_healthy, resolution.ordinary) for each in (before, after))
    liker = np.isnan(was) != np.isnan(now)
    with np.errstate(invalid="ignore"):
        liker |= np.maximum(was, now) > resolution.likeness * np.minimum(was, now)
    other = (before.said != after.said) | (before.mode != after.mode) | (before.model != after.model)
    return np.asarray(other | liker | probable.any(axis=1) | longer.any(axis=1) | known.any(axis=1))


def _places(failure_modes: Sequence[str], device_type: DeviceType) -> NDArray[np.int8]:
    """Where each mode of a model is among those of the type; -1: it has it no more."""
    known: Mapping[str, int] = {mode.name: at for at, mode in enumerate(device_type.failure_modes)}
    return np.array([known.get(name, -1) for name in failure_modes], np.int8)


def _likeliest(
    told: Forecast, place: NDArray[np.int8], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    first = told.share[inside].argmax(axis=1)
    mode = place[first]
    part = told.share[inside][np.arange(len(first)), first]
    return mode, np.where(mode >= 0, part, np.nan)


def _drawn(found: Scorable, share: float) -> Scorable:
    """Some of the devices: those whose ids' hashes are low enough."""
    assert found.ids is not None
    mine = np.flatnonzero(hashes(found.ids) < np.uint64(share * 2.0**64))
    return replace(
        found, rows=found.rows[mine], life_cycle=found.life_cycle[mine], event_us=found.event_us[mine],
        known=found.known.take(mine), said=chosen(found.said, mine), ids=found.ids.take(pa.array(mine)),
    )  # fmt: skip


def _tried(work: "partial[Done]", failed: list[FleetError], part: Part) -> Done:
    """What came of a part; of one that could not be done, nothing. Rows that moved meanwhile are scored the next time."""
    try:
        return work(part)
    except StaleDirectoryError:
        return NOTHING
    except FleetError as error:
        failed.append(error)
        return NOTHING
