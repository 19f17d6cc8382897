"""The forecast of one device as a person looks at it: the whole curve, by failure mode, and what moved it; and how like
healthy devices it is.

What the twin keeps is a few figures; the curve is worked out when it is asked for, from what the twin knows at this moment
and the model in force.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from serve.live import short
from serve.present import iso
from training.anomaly import causes, columns
from training.boosting import Matrix
from training.contributions import explained
from training.registry import Registry
from training.scoring import Loaded, fits, load
from training.survival import Forecast
from twins.devices import DeviceType
from twins.fleet import Fleet
from twins.prognosis import LIKE_HEALTHY, QUANTILES, WITHIN_H
from twins.state import NEVER_US

ANY: Final = "any"
"""The failure mode of what is said of failure by whatever mode comes first."""

_POINTS: Final = 80  # of a curve
_MOST: Final = 6  # channels that moved it


class Forecasters:
    """The models in force as they were read last, by type. Safe for many threads.

    Parameters
    ----------
    registry : where the models are
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Loaded, tuple[str, ...]]] = {}

    def find(self, device_type: str) -> tuple[Loaded, tuple[str, ...]] | None:
        """The model in force and its columns; None: none is. Raises what ``Registry.load`` does."""
        champion = self._registry.champion(device_type)
        if champion is None:
            return None
        with self._lock:
            known = self._known.get(device_type)
            if known is None or known[0].version != champion.version:
                loaded = load(self._registry, device_type, champion.version)
                known = self._known[device_type] = loaded, champion.manifest.features
            return known


def device_prognosis(fleet: Fleet, forecasters: Forecasters, device_id: str) -> dict[str, Any]:
    """The forecast of a device now. Without figures where no model is in force, or it cannot say.

    Raises
    ------
    DeviceNotFoundError, DegradedError : there is no such device, or nobody knows at present.
    ModelDamagedError, ModelFormatError, SealingError : the model in force cannot be read.
    """
    found = fleet.find(device_id)
    of = fleet.scorable_one(device_id)
    device_type = fleet.types[found[1]] if found is not None else None
    model = None if device_type is None else forecasters.find(device_type.name)
    event_us = int(of.event_us[0])
    if device_type is None or model is None or event_us == NEVER_US or not fits(model[0], of):
        return _blank(None if model is None else model[0].version)
    loaded, features = model
    told = loaded.model.forecast(of.known, [device_id])
    well = _healthy(loaded, features, columns(of.known, told.seen), device_id)
    if not told.in_distribution[0]:
        unsaid = _blank(loaded.version)
        return {**unsaid, "predicted_at": iso(event_us), "in_distribution": False, "healthy": well}
    moved = explained(loaded.model, features, of.known, [device_id], _MOST)
    return {
        "model_version": loaded.version,
        "predicted_at": iso(event_us),
        "in_distribution": True,
        "horizon_h": loaded.model.horizon_h,
        "score_h": short(float(told.score_h[0])),
        "modes": _modes(loaded, device_type, told),
        "curve": _curve(told),
        "contributions": None if moved is None else [dict(each) for each in moved[0]],
        "healthy": well,
    }


def _blank(version: int | None) -> dict[str, Any]:
    return {
        "model_version": version, "predicted_at": None, "in_distribution": None, "horizon_h": None, "score_h": None,
        "modes": [], "curve": None, "contributions": None, "healthy": None,
    }  # fmt: skip


def _healthy(loaded: Loaded, features: Sequence[str], x: Matrix, device_id: str) -> dict[str, Any] | None:
    """How like healthy devices it is, and which channels it is not by; None: not known."""
    if loaded.healthy is None:
        return None
    of = loaded.healthy.judged(x, [device_id])
    if np.isnan(of.p[0]):
        return None
    return {
        LIKE_HEALTHY: short(float(of.p[0])),
        "t2": short(float(of.t2[0])),
        "q": short(float(of.q[0])),
        "channels": [dict(each) for each in causes(of, features)[0]],
    }


def _modes(loaded: Loaded, device_type: DeviceType, told: Forecast) -> list[dict[str, Any]]:
    """Any failure first, then each mode, the likeliest first."""
    titles: Mapping[str, str] = {mode.name: mode.title or mode.name for mode in device_type.failure_modes}
    named = loaded.failure_modes if told.share.shape[1] else ()
    order = np.argsort(-told.share[0], kind="stable").tolist() if named else []
    return [
        _mode(loaded, told, ANY, None, None),
        *(_mode(loaded, told, named[m], titles.get(named[m], named[m]), m) for m in order),
    ]


def _mode(loaded: Loaded, told: Forecast, name: str, title: str | None, m: int | None) -> dict[str, Any]:
    def hours(p: float) -> float | None:
        return short(float(told.quantile(p, m)[0]))

    return {
        "failure_mode": name,
        "title": title,
        "share": 1.0 if m is None else short(float(told.share[0, m])),
        "rul_mean_h": short(float(told.mean(loaded.model.horizon_h, m)[0])),
        **{name: hours(p) for name, p in QUANTILES.items()},
        **{name: short(float(told.probability(h, m)[0])) for name, h in WITHIN_H.items()},
    }


def _curve(told: Forecast) -> dict[str, list[float]]:
    places = np.unique(np.linspace(0, len(told.times_h) - 1, _POINTS).astype(np.int64))
    failing = 1.0 - told.survival[0, places]
    return {
        "hours": [round(float(each), 3) for each in told.times_h[places]],
        "p_fail": [round(float(each), 5) for each in failing],
    }
