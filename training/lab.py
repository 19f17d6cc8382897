"""What experiments run: twins forked live, as of a past moment or from a simulated fleet, with what is behind them estimated
and the models that forecast them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import lifecycles, scoring
from training.history import History
from training.observing import observed
from training.registry import FOLDER as MODELS
from training.registry import Registry
from training.scoring import Loaded
from twins.clock import Clock, WallClock
from twins.covariates import Covariates
from twins.devices import DeviceType
from twins.fleet import Fleet
from twins.fleetfiles import load_fleet
from twins.prognosis import FIGURES
from twins.typefiles import load_catalog
from twins.whatif import estimation
from twins.whatif.estimation import DamageEstimate
from twins.whatif.experiments import Experiment
from twins.whatif.forks import Fork, ForkedType, fork
from twins.whatif.presence import Estimated
from twins.whatif.scenarios import Base, Scenario
from twins.whatif.synthetic import synthetic

ROWS_AT_ONCE: Final = 2_000
"""Devices whose readings are held at once while they are estimated."""

_TYPES: Final = """
SELECT DISTINCT device_type FROM types WHERE epoch_us(recorded_at) <= ? ORDER BY device_type
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """Gets experiments what they run.

    Attributes
    ----------
    data : the data folder
    history : what is known of its past
    fleet : finds the live fleet; None: there is none, and twins are as the journals leave them
    clock : says what is now, where there is no fleet
    check : called again and again; ends what is under way by raising
    """

    data: Path
    history: History
    fleet: Callable[[], Fleet] | None = None
    clock: Clock = field(default_factory=WallClock)
    check: Callable[[], None] = lambda: None

    def experiment(self, scenario: Scenario, memory_bytes: int | None = None) -> Experiment:
        """Fork what a scenario is about, and find out what is behind it.

        Raises
        ------
        FilterError : of ``base.devices``.
        MomentNotKeptError, MomentAheadError : the past that is asked for is not there.
        FleetFileError, DeviceTypeError : a simulated fleet cannot be read.
        """
        forked = self.forked(scenario.base, scenario.step_s, scenario.seed)
        forecaster = self.forecaster()
        manifest: dict[str, Any] = {
            "models": {name: forecaster.version(name) for name in forked.types},
            "types": {name: each.device_type.version for name, each in forked.types.items()},
            "data": self.history.versions() if scenario.base.start != "fleet" else {},
        }
        present = Estimated(self.estimates(forked, scenario.base.history_h))
        has_models = any(version is not None for version in manifest["models"].values())
        return Experiment(
            scenario, forked, present, forecaster if has_models else None, memory_bytes, manifest
        )

    def forked(self, base: Base, step_s: float, seed: int) -> Fork:
        """The twins that a scenario begins with."""
        match base.start:
            case "fleet":
                spec = load_fleet(Path(base.fleet), load_catalog())
                return synthetic(
                    spec, load_catalog(), warm_up_h=base.warm_up_h, step_s=step_s, seed=seed, devices=base.devices
                )  # fmt: skip
            case "past":
                assert base.at_us is not None
                return self._past(base.at_us, base.devices)
        if self.fleet is None:
            return self._past(self.clock.now_us(), base.devices)
        return self.fleet().fork(base.devices)

    def present(self, device_type: str, ids: Sequence[str]) -> Fork:
        """Some devices of a type as they are now, from the journals: the fleet is not copied for a few of its devices.

        Raises
        ------
        MomentNotKeptError, MomentAheadError : the journals are not at hand, and history does not reach so far.
        """
        return self._past(self.clock.now_us(), "", {device_type: ids})

    def estimates(self, forked: Fork, history_h: float) -> dict[str, DamageEstimate]:
        """What may be behind the readings of forked devices, by type; of simulated fleets it is known."""
        found = {}
        for name, each in forked.types.items():
            if each.physics is None and each.device_type.failure_modes:
                found[name] = self._estimated(each, forked.at_us, max(1, round(history_h)))
        return found

    def forecaster(self, before_us: int | None = None) -> "RegistryForecaster":
        """Forecasts by the models in force; with ``before_us`` by the newest that were trained before."""
        return RegistryForecaster(self.data / MODELS, before_us)

    def _past(self, at_us: int, devices: str, only: Mapping[str, Sequence[str]] | None = None) -> Fork:
        past, shards, cursors = self.history.past(), [], {}
        wanted = dict.fromkeys(self._types_by(at_us)) if only is None else only
        for name, ids in wanted.items():
            self.check()
            for each in past.shards(name, at_us, ids):
                each.shard.advance(at_us)
                shards.append(each.shard)
                cursors[each.actor] = each.cursor
        lineage = {"start": "past", "at_us": at_us, "cursors": cursors}
        return fork(shards, at_us, devices=devices, lineage=lineage)

    def _types_by(self, at_us: int) -> list[str]:
        found = self.history.query(_TYPES, [at_us])
        names: list[str] = found["device_type"].to_pylist()
        return names

    def _estimated(self, forked: ForkedType, at_us: int, bins: int) -> DamageEstimate:
        of = forked.device_type
        ids = forked.ids.to_pylist()
        begun_us, left = self._lives(of, ids, at_us)
        parts = []
        for first in range(0, len(ids), ROWS_AT_ONCE):
            self.check()
            rows = slice(first, first + ROWS_AT_ONCE)
            seen = observed(self.history, of, ids[rows], at_us, bins)
            parts.append(
                estimation.estimate(seen, of, forked.keys[rows], begun_us=begun_us[rows], left=left[rows])
            )
        return DamageEstimate(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _lives(
        self, of: DeviceType, ids: Sequence[str], at_us: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(n,) when the present life of each device began, and (n, modes) what share of damage was left then."""
        begun_us = np.full(len(ids), np.iinfo(np.int64).min)
        left = np.ones((len(ids), len(of.failure_modes)))
        place = {device_id: row for row, device_id in enumerate(ids)}
        goods = {
            action.name: [1.0 - min(1.0, action.resets.get(mode.name, action.resets.get("*", 0.0)))
                          for mode in of.failure_modes]
            for action in of.actions
        }  # fmt: skip
        for record in lifecycles.renewals(self.history, of.name, at_us):
            row = place.get(record.device_id)
            if row is not None and record.at_us >= begun_us[row]:
                begun_us[row] = record.at_us
                whole = record.kind == "replacement"
                left[row] = (
                    0.0 if whole and record.action not in goods else goods.get(record.action or "", 0.0)
                )
        return np.maximum(begun_us, 0), left


@dataclass(slots=True)
class RegistryForecaster:
    """Forecasts by versions of a registry, each read once in a process.

    Attributes
    ----------
    models : the registry's folder
    before_us : only versions that were trained before count; None: the ones in force
    """

    models: Path
    before_us: int | None = None
    _loaded: dict[tuple[str, int], Loaded] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return RegistryForecaster, (self.models, self.before_us)

    def version(self, device_type: str) -> int | None:
        """The version that is asked of a type; None: there is none."""
        registry = Registry(self.models)
        if self.before_us is None:
            champion = registry.champion(device_type)
            return None if champion is None else champion.version
        found = [
            each
            for each in registry.versions(device_type)
            if each.manifest.trained_until_us <= self.before_us
        ]
        return max((each.version for each in found), default=None)

    def __call__(
        self, device_type: DeviceType, version: int | None, ids: Sequence[str], known: Covariates
    ) -> dict[str, NDArray[np.float32]]:
        """As ``cast.Forecaster``; all NaN where there is no model of the type."""
        columns = {name: np.full(len(ids), np.nan, np.float32) for name in FIGURES}
        version = self.version(device_type.name) if version is None else version
        if version is None:
            return columns
        key = (device_type.name, version)
        if key not in self._loaded:
            self._loaded[key] = scoring.load(Registry(self.models), *key)
        return scoring.figures(self._loaded[key], device_type, ids, known)
