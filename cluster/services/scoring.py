"""The process that forecasts the twins by the models in force."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from cluster.services.service import STOP_WITHIN_S, Service
from cluster.settings import ScoringSettings
from training import drift
from training.registry import FOLDER as MODELS
from training.registry import Registry
from training.scoring import NOTHING, Round, Scorer, ScoringConfig
from twins.clock import WallClock, stopwatch_s
from twins.errors import FleetError
from twins.fleet import Fleet
from twins.placement import Placement
from twins.ray_fleet import RayFleet

ACTOR: Final = "scorer"
"""What the actor is called."""

SHADOWED: Final = 20_000
"""Devices that a challenger is asked about, at most."""

_LOOK_EVERY_S: Final = 2.0
_NICE: Final = 10
"""Readings come first where processors are few."""
_SHADOW_EVERY_S: Final = 3600.0

_log = logging.getLogger("twinfold.scoring")


class Scoring:
    """Scores every type of which a model is in force, again and again, and at once when another takes its place.

    Once an hour a challenger is asked as well, of which the twins hear nothing.

    Whatever fails with one type costs no other, is told by ``status``, logged once, and tried again.

    Parameters
    ----------
    data : the data folder
    fleet : gives the fleet, whose hosts are in a folder; it may be away for a while
    """

    def __init__(
        self, data: str, settings: ScoringSettings, fleet: Callable[[Path], Fleet] = RayFleet
    ) -> None:
        self._data = Path(data)
        self._settings = settings
        self._find = partial(fleet, self._data / "hosts")
        self._stop = threading.Event()
        self._rounds: dict[str, Round] = {}
        self._shadows: dict[str, Round] = {}
        self._shadowed_s: dict[str, float] = {}
        self._ended_s: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._thread = threading.Thread(target=self._keep_on, name="scoring", daemon=True)
        self._thread.start()

    def status(self) -> dict[str, Any]:
        """The newest ``rounds`` by type, see ``Round``, those of challengers (``shadows``), and ``problems`` by type, of the
        fleet under ``""``.
        """
        return {
            "alive": self._thread.is_alive(),
            "rounds": {name: _shown(each) for name, each in dict(self._rounds).items()},
            "shadows": {name: _shown(each) for name, each in dict(self._shadows).items()},
            "problems": dict(self._problems),
        }

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stop.set()
        self._thread.join(STOP_WITHIN_S)

    def _keep_on(self) -> None:
        os.nice(_NICE)
        scorer: Scorer | None = None
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                if scorer is None:
                    config = ScoringConfig(threads=self._settings.threads)
                    scorer = Scorer(self._find(), Registry(self._data / MODELS), config)
                versions = scorer.versions()
            except Exception as error:
                self._note("", error)
                continue
            self._note("", None)
            for name, version in versions.items():
                if self._stop.is_set():
                    return
                if self._is_due(name, version):
                    self._score(scorer, name, version)
                self._shadow(scorer, name)

    def _is_due(self, name: str, version: int) -> bool:
        last = self._rounds.get(name)
        if last is None or last.model != version:
            return name not in self._problems or self._rested(name)
        return self._rested(name)

    def _rested(self, name: str) -> bool:
        return stopwatch_s() - self._ended_s.get(name, 0.0) >= self._settings.every_s

    def _score(self, scorer: Scorer, name: str, version: int) -> None:
        try:
            made = scorer.rescore(name, version)
            self._rounds[name] = replace(made, risk=NOTHING.risk)
            drift.note(
                self._data / MODELS, name, version, made.devices, made.unlike, made.risk, WallClock().now_us()
            )  # fmt: skip
        except Exception as error:
            self._note(name, error)
        else:
            self._note(name, None)
        self._ended_s[name] = stopwatch_s()

    def _shadow(self, scorer: Scorer, name: str) -> None:
        """Have the challenger say what it would, if there is one and its time has come."""
        last_s = self._shadowed_s.get(name)
        if last_s is not None and stopwatch_s() - last_s < _SHADOW_EVERY_S:
            return
        of = f"{name} by its challenger"
        try:
            version = scorer.challenger(name)
            if version is not None:
                made = scorer.rescore(name, version, shadow=True, most=SHADOWED)
                self._shadows[name] = replace(made, risk=NOTHING.risk)
        except Exception as error:
            self._note(of, error)
        else:
            self._note(of, None)
        self._shadowed_s[name] = stopwatch_s()

    def _note(self, name: str, error: Exception | None) -> None:
        """Remember how a type fares; a change is logged, a repetition is not."""
        if error is None:
            if self._problems.pop(name, None) is not None:
                _log.info("forecasts of %s go on", name or "the fleet")
            return
        problem = str(error) or type(error).__name__
        if self._problems.get(name) != problem:
            is_known = isinstance(error, FleetError)
            _log.error("no new forecasts of %s: %s", name or "the fleet", problem, exc_info=not is_known)
        self._problems[name] = problem


def _shown(made: Round) -> dict[str, Any]:
    """A round as JSON values."""
    said = asdict(made)
    del said["risk"]
    return said


def start(data: Path, settings: ScoringSettings, labels: Mapping[str, str], placement: Placement) -> Service:
    """``labels`` are those of the node that has ``data``; none: any node."""
    return Service(Scoring, ACTOR, labels, str(data), settings, partial(RayFleet, placement=placement))
