"""Whether a model still fits the devices that it is asked about: of how many it cannot say anything, and whether what it
says of the others lies where it lay when it came in force.

The second is the population stability index over tenths of the first forecasts (Siddiqi 2006, Credit Risk Scorecards):
Σ (now − then) ln(now / then), shares of devices by bin. With few devices chance alone makes one: it counts only beyond what
one time in a thousand is exceeded without any change, χ² of nine degrees over the devices (Yurdakul 2018, Statistical
properties of population stability index). What the figures of the training are taken from is no measure of it: those are
moments of whole lives, of which a fleet at one moment is no fair sample.

Who scores notes what it saw in a file beside the type's models, so that it is known everywhere and after a restart. There
are only counts in it, and nothing of any one device.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from training.arrays import write
from twins.journal import sync_folder

FILE: Final = "drift.json"

UNLIKE: Final = 0.2
"""Of so large a share of the devices a model may be unable to say anything."""

INDEX: Final = 0.25
"""The population stability index from which on a shift is large."""

FEWEST: Final = 20
"""With fewer devices there is nothing to tell."""

_BINS: Final = 10
_CHANCE: Final = 27.88  # of χ² with nine degrees of freedom, one time in a thousand

Reason = Literal["unlike", "shift"]


@dataclass(frozen=True, slots=True)
class Drift:
    """What a model in force said when it came in force, and what it says now.

    Attributes
    ----------
    device_type, model : whose, and which version
    since_us, at_us : when it was first asked and could say something of most devices, and when last
    devices, unlike : how many were asked about last, and of how many of these it could not say anything
    edges : bounds between bins of the probability to fail within a week, ascending
    first, now : (edges + 1,) devices in each bin then and now; without edges it has not been asked so far
    """

    device_type: str
    model: int
    since_us: int
    at_us: int
    devices: int
    unlike: int
    edges: tuple[float, ...] = ()
    first: tuple[int, ...] = ()
    now: tuple[int, ...] = ()

    @property
    def unlike_share(self) -> float:
        return self.unlike / max(1, self.devices)

    @property
    def index(self) -> float | None:
        """The population stability index; None: too little is known."""
        if min(sum(self.first), sum(self.now)) < FEWEST:
            return None
        return stability_index(self.first, self.now)

    @property
    def limit(self) -> float:
        """What the index may be."""
        n = [max(1, sum(counts)) for counts in (self.first, self.now)]
        return max(INDEX, _CHANCE * (1.0 / n[0] + 1.0 / n[1]))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the model no longer fits; none: it does."""
        if self.devices < FEWEST:
            return ()
        index = self.index
        unlike, shift = self.unlike_share > UNLIKE, index is not None and index > self.limit
        return (*(("unlike",) if unlike else ()), *(("shift",) if shift else ()))

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What ``as_json`` gave; ValueError or TypeError if it is not that."""
        said = json.loads(text)
        return cls(**{**said, **{name: tuple(said[name]) for name in ("edges", "first", "now")}})


def noted(
    before: Drift | None, device_type: str, model: int, devices: int, unlike: int, risk: NDArray[np.float32], now_us: int
) -> Drift:  # fmt: skip
    """What is known after another round of a version, in which the devices that it could speak of had these risks.

    The first round in which it can speak of most devices is what later ones are held against.
    """
    if before is None or before.model != model or not before.first:
        if not len(risk) or 2 * len(risk) < devices:
            return Drift(device_type, model, now_us, now_us, devices, unlike)
        tenths = np.quantile(risk, np.arange(1, _BINS) / _BINS, method="inverted_cdf")
        edges = tuple(np.unique(tenths).tolist())
        first = counted(risk, edges)
        return Drift(device_type, model, now_us, now_us, devices, unlike, edges, first, first)
    return Drift(
        device_type, model, before.since_us, now_us, devices, unlike, before.edges, before.first,
        counted(risk, before.edges),
    )  # fmt: skip


def counted(risk: NDArray[np.float32], edges: Sequence[float]) -> tuple[int, ...]:
    """(edges + 1,) how many lie in each bin; one on an edge is below it."""
    place = np.searchsorted(np.asarray(edges), risk.astype(np.float64), "left")
    return tuple(np.bincount(place, minlength=len(edges) + 1).tolist())


def stability_index(first: Sequence[int], now: Sequence[int]) -> float:
    """Of counts by bin; half a device is added to each, so that an empty bin does not make it infinite."""
    shares = [(np.asarray(counts) + 0.5) / (sum(counts) + 0.5 * len(counts)) for counts in (first, now)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def note(
    folder: Path, device_type: str, model: int, devices: int, unlike: int, risk: NDArray[np.float32], now_us: int
) -> None:  # fmt: skip
    """Have what came of a round known, see ``noted``, in the folder of all models; OSError if it cannot be written."""
    drift = noted(read(folder, device_type), device_type, model, devices, unlike, risk, now_us)
    path = _path(folder, device_type)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    write(part, drift.as_json().encode())
    part.replace(path)
    sync_folder(path.parent)


def read(folder: Path, device_type: str) -> Drift | None:
    """What is known of the model in force of a type; None: nothing."""
    try:
        return Drift.from_json(_path(folder, device_type).read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def drifts(folder: Path, device_type: str, model: int) -> bool:
    """Whether a version no longer fits; of another one than was asked last nothing is known."""
    known = read(folder, device_type)
    return known is not None and known.model == model and bool(known.reasons)


def _path(folder: Path, device_type: str) -> Path:
    return folder / device_type / FILE
