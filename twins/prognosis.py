"""What scorers say of each twin: how likely it is to fail, when, and by which failure mode.

A forecast is made elsewhere (``training/scoring.py``) from a twin's covariates, and comes back as an input of the journal:
``apply`` runs no model. Here is what the twin keeps of it, and what it forgets once the device was put right. Beside it
stands how far the device is like healthy ones, which can be said of devices of which nothing can be forecast. A scorer that
cannot say gives no figures; rules then go on with what they were told before, so that no alert goes away because a device
has become unlike all others.

Source of the words: ISO 13381-1: failure mode, time to failure, confidence.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from twins.directory import Seal
from twins.packing import Arrays

WITHIN_H: Final = {"p_fail_24h": 24.0, "p_fail_7d": 168.0, "p_fail_30d": 720.0}
"""Probabilities of a failure by any mode, and within how many hours."""

QUANTILES: Final = {"rul_p05_h": 0.05, "rul_p50_h": 0.5, "rul_p95_h": 0.95}
"""Quantiles of remaining useful life, h."""

LIKE_HEALTHY: Final = "like_healthy"
"""The share of healthy devices of the type at least as unusual, a conformal p-value: small is unlike any of them."""

FIGURES: Final = (*WITHIN_H, *QUANTILES, LIKE_HEALTHY)
"""All that is said of a device in a number, by the names that rules, lists and history have for it."""

NEVER: Final = 0
UNSAID: Final = 1
SAID: Final = 2
"""What a scorer made of a device: nothing yet; that it cannot say; a forecast."""

_NEVER_US: Final = np.iinfo(np.int64).min
_PER_ROW: Final = (
    "rows", "life_cycle", "event_us", "p_fail", "rul_h", "mode", "share", "said", LIKE_HEALTHY,
)  # fmt: skip


class PrognosisState(NamedTuple):
    """The newest forecast of each device."""

    p_fail: NDArray[np.float32]  # (n, 3) as WITHIN_H; NaN: not known
    rul_h: NDArray[np.float32]  # (n, 3) as QUANTILES; NaN: not known, or beyond the longest life known
    mode: NDArray[
        np.int8
    ]  # (n,) index of the likeliest failure mode of the type; -1: they are not told apart
    share: NDArray[np.float32]  # (n,) that mode's part of the risk; NaN without one
    said: NDArray[np.uint8]  # (n,) NEVER, UNSAID, SAID
    like_healthy: NDArray[np.float32]  # (n,) as LIKE_HEALTHY, also where nothing is forecast; NaN: not known
    model: NDArray[np.int32]  # (n,) version of the model; 0 before the first
    event_us: NDArray[np.int64]  # (n,) event time of the newest reading behind it; INT64_MIN before the first


@dataclass(frozen=True, slots=True, eq=False)
class Prognoses:
    """Forecasts by one model of n devices of one type in one host.

    Attributes
    ----------
    device_type, model : whose, and the model's version
    seal : of the directory that the rows are from; None in a journal, where rows are what they were
    rows : (n,) rows of the shard
    life_cycle : (n,) that each was in when its covariates were read
    event_us, p_fail, rul_h, mode, share, said, like_healthy : as in ``PrognosisState``
    is_shadow : kept in history for comparison; the twins do not hear of it
    """

    device_type: str
    model: int
    seal: Seal | None
    rows: NDArray[np.int32]
    life_cycle: NDArray[np.int32]
    event_us: NDArray[np.int64]
    p_fail: NDArray[np.float32]
    rul_h: NDArray[np.float32]
    mode: NDArray[np.int8]
    share: NDArray[np.float32]
    said: NDArray[np.uint8]
    like_healthy: NDArray[np.float32]
    is_shadow: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, kept: NDArray[Any]) -> Self:
        """Some of the devices: a mask, or positions."""
        columns = {name: getattr(self, name)[kept] for name in _PER_ROW}
        return type(self)(**{**{each.name: getattr(self, each.name) for each in fields(self)}, **columns})

    def arrays(self) -> Arrays:
        """The columns, to be packed."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in _PER_ROW}

    @classmethod
    def from_arrays(cls, device_type: str, model: int, is_shadow: bool, arrays: Arrays) -> Self:
        """What ``arrays`` gave; without a seal. Of before devices were compared with healthy ones that is not known."""
        unknown = np.full(len(arrays["rows"]), np.nan, np.float32)
        columns = {name: arrays[name] for name in _PER_ROW[:-1]}
        columns[LIKE_HEALTHY] = arrays.get(LIKE_HEALTHY, unknown)
        return cls(device_type=device_type, model=model, seal=None, is_shadow=is_shadow, **columns)


def blank_prognoses(capacity: int) -> PrognosisState:
    """Devices of which no scorer has said anything."""
    return PrognosisState(
        p_fail=np.full((capacity, len(WITHIN_H)), np.nan, np.float32),
        rul_h=np.full((capacity, len(QUANTILES)), np.nan, np.float32),
        mode=np.full(capacity, -1, np.int8),
        share=np.full(capacity, np.nan, np.float32),
        said=np.zeros(capacity, np.uint8),
        like_healthy=np.full(capacity, np.nan, np.float32),
        model=np.zeros(capacity, np.int32),
        event_us=np.full(capacity, _NEVER_US, np.int64),
    )


def chosen(s: PrognosisState, rows: NDArray[np.integer[Any]]) -> PrognosisState:
    """Copies of what stands of some rows."""
    return PrognosisState(
        s.p_fail[rows],
        s.rul_h[rows],
        s.mode[rows],
        s.share[rows],
        s.said[rows],
        s.like_healthy[rows],
        s.model[rows],
        s.event_us[rows],
    )


def forget(s: PrognosisState, rows: int | NDArray[np.integer[Any]]) -> None:
    """What was said was of another life of the device, or by modes that its type no longer has."""
    s.p_fail[rows] = np.nan
    s.rul_h[rows] = np.nan
    s.mode[rows] = -1
    s.share[rows] = np.nan
    s.said[rows] = NEVER
    s.like_healthy[rows] = np.nan
    s.model[rows] = 0
    s.event_us[rows] = _NEVER_US


def put(s: PrognosisState, told: Prognoses) -> None:
    """Keep what was told of its rows."""
    rows = told.rows
    s.p_fail[rows], s.rul_h[rows] = told.p_fail, told.rul_h
    s.mode[rows], s.share[rows] = told.mode, told.share
    s.said[rows], s.event_us[rows] = told.said, told.event_us
    s.like_healthy[rows], s.model[rows] = told.like_healthy, told.model


def score_columns(told: Prognoses) -> dict[str, NDArray[np.float32]]:
    """(n,) each, by the names of ``FIGURES``."""
    return dict(zip(FIGURES, (*told.p_fail.T, *told.rul_h.T, told.like_healthy), strict=True))
