"""Experiments of a data folder: each in a folder of its own, in which it is begun, gone on with and asked again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from training.lab import RegistryForecaster
from training.registry import Registry
from twins.covariates import Covariates
from twins.devices import DeviceType
from twins.rules import rule_vocabulary
from twins.vocabulary import device_vocabulary
from twins.whatif.cast import Forecaster
from twins.whatif.checking import Problem, Surroundings
from twins.whatif.errors import ScenarioError
from twins.whatif.experiments import Experiment
from twins.whatif.results import RunFolder
from twins.whatif.scenarios import Scenario

FOLDER: Final = "whatif"
"""Where a data folder has them."""


class Laboratory(Protocol):
    """Gets experiments what they run; see ``training/lab.py``."""

    def experiment(self, scenario: Scenario) -> Experiment: ...


@dataclass(frozen=True, slots=True)
class Pinned:
    """Forecasts by the models that were in force when an experiment began, whichever are later.

    Attributes
    ----------
    forecaster : asked for these
    versions : by type; None: there was none
    """

    forecaster: Forecaster
    versions: Mapping[str, int | None]

    def __call__(
        self, device_type: DeviceType, version: int | None, ids: Sequence[str], known: Covariates
    ) -> dict[str, NDArray[np.float32]]:
        """As ``cast.Forecaster``."""
        version = self.versions.get(device_type.name) if version is None else version
        return self.forecaster(device_type, version, ids, known)


def experiment_in(
    out: Path, scenario: Scenario, lab: Callable[[], Laboratory], models: Path, about: Mapping[str, Any]
) -> Experiment:
    """An experiment to run in ``out``: the one that was begun there, else what the lab forks now.

    Parameters
    ----------
    models : the registry's folder
    about : what else its manifest says

    Raises
    ------
    RunFolderError : ``out`` holds something else.
    """
    folder = RunFolder(out)
    if folder.is_begun:
        folder.refuse_another(scenario)
        return taken_up(folder, models)
    made = lab().experiment(scenario)
    forecaster = made.forecaster and Pinned(made.forecaster, made.manifest.get("models", {}))
    manifest = {**made.manifest, **about}
    return Experiment(made.scenario, made.fork, made.present, forecaster, made.memory_bytes, manifest)


def taken_up(folder: RunFolder, models: Path) -> Experiment:
    """The experiment that was begun in a folder, with the twins and the models of then.

    Raises
    ------
    RunFolderError : none was.
    """
    manifest = folder.manifest()
    versions = manifest.get("models", {})
    forecaster = None
    if any(version is not None for version in versions.values()):
        forecaster = Pinned(RegistryForecaster(models), versions)
    return Experiment(folder.scenario(), folder.fork(), folder.present(), forecaster, None, manifest)


def surroundings(
    types: Mapping[str, DeviceType],
    registry: Registry,
    counts: Mapping[str, int] | None = None,
    sites: Collection[str] | None = None,
) -> Surroundings:
    """What a scenario is checked against, in a fleet of these types."""
    models = {name: [each.version for each in registry.versions(name)] for name in types}
    in_force = [name for name in types if registry.champion(name) is not None]
    return Surroundings(types, device_vocabulary(types), rule_vocabulary, counts, models, in_force, sites)


def refuse_problems(problems: Sequence[Problem], source: str) -> None:
    """Nothing, where there are none; else raises ScenarioError with all of them."""
    if problems:
        (_, line, problem, remedy), *others = problems
        more = tuple((each.line, each.problem, each.remedy) for each in others)
        raise ScenarioError(source, line, problem, remedy, more)
