"""Whether a device is like healthy ones of its type, which needs no failure like its own to have been seen before.

In three steps, from the landmarks of *healthy* devices: those in the first half of their life, as far as it is known, with
no failure within the horizon. What goes on to fail is healthy early in its life, as the survival model itself sees nothing
beyond its horizon; of a life that was ended by a repair the second half is in doubt, and is left out as well.

1. **Components** of the columns that the survival model reads, without the age: being old is not being unlike. Each column
   is put on the scale of its median and its median deviation, so that a few odd landmarks do not stretch it, and one that
   hardly moves is dropped. A value that is not known counts as ordinary: it may hide a fault, and never makes one.
2. **T² and Q** (Hotelling 1947; Jackson and Mudholkar 1979, Technometrics 21): how far a device lies out along the
   directions in which healthy ones differ, and how far off them. Each in parts of what one landmark in a hundred exceeds,
   added up to one number (the combined index of Yue and Qin 2001, Ind. Eng. Chem. Res. 40). Of it each column has a part,
   never below zero (complete decomposition: Alcala and Qin 2011, J. Process Control 21).
3. A **conformal p-value**: the share of healthy devices that are at least as unusual. Components are cross-fitted, as trees
   are: each fold's are learned from the devices of the others, and compared by are only devices that they have not seen
   (cross-conformal: Vovk 2015, Ann. Math. Artif. Intell. 74). Moments of one device resemble each other, so a device
   counts once, by the share of its moments (Lee, Barber and Willett 2023, arXiv:2306.06342). No distribution is assumed.

Of healthy devices about a share ``a`` has a p-value of ``a`` or less; with components that were fitted across folds twice
that share is what can be proven, and much less than that what is seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from training.boosting import Matrix
from training.features import Landmarks
from training.survival import AGE, FOLDS, VIEWS, Ids, heard_enough, keys_of
from twins.covariates import Covariates

FEWEST_DEVICES: Final = 30
"""With fewer healthy devices nothing is said: a p-value could hardly fall below one in twenty."""

LEVEL: Final = 0.05
"""At this p-value or below a device counts as unlike healthy ones in the figures of a training."""

_HOUR_US: Final = 3_600_000_000
_PREFIX: Final = "healthy."
_NONE: Final = -1  # no fold
_MOST_ROWS: Final = 100_000
_MOST_OF_A_DEVICE: Final = 64
_LEAST_SCALE: Final = 1.0 / 64.0  # of the norm's standard deviations: the grain of ``design``
_NORMAL: Final = 1.4826  # standard deviations to a median deviation, if normal
_FAR: Final = 10.0  # no landmark pulls at the components by more
_KEPT_VARIANCE: Final = 0.95
_LIMIT: Final = 0.99
_NOTHING: Final = 1.0e-9


class Cause(TypedDict):
    """What makes a device unlike healthy ones, of one channel; JSON.

    Attributes
    ----------
    share : of all that does, 0 to 1
    now_sd : where the channel lies, in standard deviations of healthy devices; None: it was not heard
    """

    channel: str
    share: float
    now_sd: float | None


class Judgement(NamedTuple):
    """Of n devices, in parts of what one healthy landmark in a hundred exceeds."""

    p: NDArray[np.float64]  # (n,) NaN: not known
    t2: NDArray[np.float64]  # (n,)
    q: NDArray[np.float64]  # (n,)
    parts: NDArray[np.float64]  # (n, columns) of t2 and q together
    z: NDArray[np.float64]  # (n, columns) standard deviations of healthy devices; NaN: not known


class Components(NamedTuple):
    """The directions in which healthy landmarks differ, learned from some of the folds."""

    centre: NDArray[np.float64]  # (columns,) median
    scale: NDArray[np.float64]  # (columns,) inf: the column never moved
    axes: NDArray[np.float64]  # (columns, components)
    variance: NDArray[np.float64]  # (components,)
    limits: NDArray[np.float64]  # (2,) of T² and of Q, that one landmark in a hundred exceeds

    @staticmethod
    def learned(x: NDArray[np.float64]) -> "Components":
        """From the columns of landmarks, at least one."""
        seen = np.where(np.isnan(x).all(axis=0), 0.0, x)
        centre = np.nanmedian(seen, axis=0)
        median, wide = _NORMAL * np.nanmedian(np.abs(seen - centre), axis=0), np.nanstd(seen, axis=0)
        scale = np.where(median > _LEAST_SCALE, median, np.where(wide > _LEAST_SCALE, wide, np.inf))
        z = np.clip(np.nan_to_num((seen - centre) / scale), -_FAR, _FAR)
        variance, axes = np.linalg.eigh(z.T @ z / len(z))
        variance, axes = variance[::-1], axes[:, ::-1]
        total = np.cumsum(variance) / max(float(variance.sum()), _NOTHING)
        kept = min(int(np.searchsorted(total, _KEPT_VARIANCE)) + 1, len(variance))
        some = Components(
            centre, scale, axes[:, :kept].copy(), np.maximum(variance[:kept], _NOTHING), np.ones(2)
        )
        limits = np.quantile(some.statistics(some.scaled(x)), _LIMIT, axis=0)
        return some._replace(limits=np.where(limits > _NOTHING * x.shape[1], limits, np.inf))

    def scaled(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, columns) standard deviations from the median; 0 where a value is not known."""
        z = x - self.centre
        z /= self.scale
        unknown = np.isnan(z)
        if unknown.any():
            z[unknown] = 0.0
        return z

    def statistics(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) T² and Q in parts of their limits."""
        along = z @ self.axes
        squared = along * along
        t2 = (squared / self.variance).sum(axis=1)
        q = np.maximum(np.einsum("ij,ij->i", z, z) - squared.sum(axis=1), 0.0)
        return np.stack([t2, q], axis=1) / self.limits

    def parts(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, columns) each column's part of the sum of both; none is below zero."""
        along = z @ self.axes
        out, off = along / np.sqrt(self.variance) @ self.axes.T, z - along @ self.axes.T
        return np.asarray(out * out / self.limits[0] + off * off / self.limits[1])


class Compared(NamedTuple):
    """The healthy devices of one fold, as the components of the others see them: how many are at least as unusual."""

    unusual: NDArray[np.float32]  # (m,) T² and Q together, ascending
    devices: NDArray[
        np.float64
    ]  # (m + 1,) how many have that much or more: the last is 0, the first all of them

    @staticmethod
    def learned(unusual: NDArray[np.float32], keys: NDArray[np.uint64]) -> "Compared":
        """From landmarks; each device counts once."""
        order = np.argsort(unusual, kind="stable")
        _, device, count = np.unique(keys, return_inverse=True, return_counts=True)
        weight = (1.0 / count)[device][order]
        return Compared(unusual[order], np.append(np.cumsum(weight[::-1])[::-1], 0.0))

    def beyond(self, unusual: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) how many devices are as unusual, or more."""
        found: NDArray[np.float64] = self.devices[np.searchsorted(self.unusual, unusual, "left")]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class HealthyModel:
    """See the module's text.

    Attributes
    ----------
    folds : the components of each, which have not seen its devices
    compared : the devices of each, by these
    seen : the keys of all of them, ascending
    """

    folds: tuple[Components, ...]
    compared: tuple[Compared, ...]
    seen: NDArray[np.uint64]

    @classmethod
    def learned(cls, x: Matrix, device_ids: Ids, at_us: NDArray[np.int64]) -> Self | None:
        """From landmarks of healthy devices, in any order; None: there are too few devices.

        Parameters
        ----------
        x : (n, columns) as ``columns`` gives them; lines of which nothing is known are left out
        """
        keys = keys_of(device_ids)
        heard = np.flatnonzero(~np.isnan(x).all(axis=1))
        order = heard[np.lexsort((at_us[heard], keys[heard]))]
        order = order[_thinned(keys[order])]
        keys, seen = keys[order], x[order].astype(np.float64)
        fold = keys % np.uint64(FOLDS)
        devices = np.unique(keys)
        most = np.bincount((devices % np.uint64(FOLDS)).astype(np.int64), minlength=1).max()
        if len(devices) < FEWEST_DEVICES or len(devices) - most < FEWEST_DEVICES // 2:
            return None
        folds, compared = [], []
        for number in range(FOLDS):
            mine = fold == number
            folds.append(Components.learned(seen[~mine]))
            compared.append(Compared.learned(_unusual(folds[-1], seen[mine]), keys[mine]))
        return cls(tuple(folds), tuple(compared), devices)

    def p_values(self, x: Matrix, device_ids: Ids) -> NDArray[np.float64]:
        """(n,) the share of healthy devices at least as unusual; NaN: nothing is known of the device.

        A device that was learned from is judged by its own fold's components and held against the devices of the others.
        Any other is held against the devices of each fold by that fold's components.
        """
        return self.by_folds(x, self._judges(device_ids))

    def by_folds(self, x: Matrix, fold: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same with the fold of each device; -1: it is of none."""
        found = np.full(len(x), np.nan)
        for mine, number in _parted(fold, x):
            seen = x[mine].astype(np.float64)
            beyond, devices = np.ones(len(seen)), 1.0  # the device itself
            own = None if number == _NONE else _unusual(self.folds[number], seen)
            for k, (part, compared) in enumerate(zip(self.folds, self.compared, strict=True)):
                if k != number:
                    beyond += compared.beyond(_unusual(part, seen) if own is None else own)
                    devices += float(compared.devices[0])
            found[mine] = beyond / devices
        return found

    def judged(self, x: Matrix, device_ids: Ids) -> Judgement:
        """All of it, to be shown: for a few devices."""
        fold = self._judges(device_ids)
        found = Judgement(
            self.by_folds(x, fold), *np.full((2, len(x)), np.nan), *np.full((2, *x.shape), np.nan)
        )
        for mine, number in _parted(fold, x):
            seen, judges = x[mine].astype(np.float64), self.folds if number == _NONE else [self.folds[number]]
            scaled = [part.scaled(seen) for part in judges]
            statistics = np.mean([part.statistics(z) for part, z in zip(judges, scaled, strict=True)], axis=0)
            found.t2[mine], found.q[mine] = statistics.T
            found.parts[mine] = np.mean(
                [part.parts(z) for part, z in zip(judges, scaled, strict=True)], axis=0
            )
            found.z[mine] = np.where(np.isnan(seen), np.nan, np.mean(scaled, axis=0))
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be kept beside a survival model's; ``from_arrays`` makes the model of it again."""
        found: dict[str, NDArray[Any]] = {f"{_PREFIX}seen": self.seen}
        for number, (part, compared) in enumerate(zip(self.folds, self.compared, strict=True)):
            for name, array in {**part._asdict(), **compared._asdict()}.items():
                found[f"{_PREFIX}{number}.{name}"] = array
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """The model that ``arrays`` described; None: there is none among them. KeyError if some of it is not there."""
        if f"{_PREFIX}seen" not in arrays:
            return None

        def named(number: int, names: Sequence[str]) -> list[NDArray[Any]]:
            return [arrays[f"{_PREFIX}{number}.{name}"] for name in names]

        numbers = range(FOLDS)
        return cls(
            tuple(Components(*named(number, Components._fields)) for number in numbers),
            tuple(Compared(*named(number, Compared._fields)) for number in numbers),
            arrays[f"{_PREFIX}seen"],
        )

    def _judges(self, device_ids: Ids) -> NDArray[np.int64]:
        """(n,) the fold of each device that was learned from; -1: it was not."""
        keys = keys_of(device_ids)
        place = np.minimum(np.searchsorted(self.seen, keys), len(self.seen) - 1)
        return np.where(self.seen[place] == keys, (keys % np.uint64(FOLDS)).astype(np.int64), _NONE)


def columns(known: Covariates, seen: Matrix) -> Matrix:
    """(n, columns) what devices are judged by: what ``design`` gave, without the age; all NaN where one was hardly heard."""
    x = seen[:, : len(VIEWS) * known.trend.shape[-1]].copy()
    x[~heard_enough(known)] = np.nan
    return x


def healthy(rows: Landmarks, horizon_h: float) -> NDArray[np.bool_]:
    """(n,) whether each landmark is of a device that was healthy: see the module's text."""
    _, device = np.unique(keys_of(rows.device_id), return_inverse=True)
    life = device * (int(rows.life.max(initial=0)) + 1) + rows.life
    begun_us = np.full(int(life.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(begun_us, life, rows.at_us)
    spent_h = (rows.at_us - begun_us[life]) / _HOUR_US
    return np.asarray((rows.remaining_h >= horizon_h) & (rows.remaining_h >= spent_h))


def measured(
    p: NDArray[np.float64], rows: Landmarks, horizon_h: float, level: float = LEVEL
) -> dict[str, float]:
    """How often healthy devices are called unlike healthy ones, and how many are before they fail.

    Parameters
    ----------
    p : (n,) of each landmark, by what has not seen its device

    Returns
    -------
    ``healthy_devices``; ``false_unlike``, the share of their time, of devices on average; ``unlike_at_failure``, the share
    of failures at whose last landmark the device was; ``unlike_lead_h``, for how long it then had been, h, in the median.
    What could not be measured is NaN.
    """
    unlike = p <= level
    well = healthy(rows, horizon_h) & ~np.isnan(p)
    _, device = np.unique(keys_of(rows.device_id[well]), return_inverse=True)
    times = np.bincount(device)
    shares = np.bincount(device, unlike[well]) / np.maximum(times, 1)
    found = {"healthy_devices": float(len(times))}
    found["false_unlike"] = float(shares.mean()) if len(times) else np.nan
    order = np.lexsort((rows.at_us, rows.life, keys_of(rows.device_id)))
    order = order[rows.failed[order]]
    ends = np.flatnonzero(_differ(rows.device_id[order], rows.life[order]))
    at_end, lead_h = [], []
    for start, end in zip([0, *(ends[:-1] + 1).tolist()], ends.tolist(), strict=True) if len(ends) else ():
        lines = order[start : end + 1]
        at_end.append(bool(unlike[lines[-1]]))
        if at_end[-1]:
            since = int(np.flatnonzero(~unlike[lines]).max(initial=-1)) + 1
            lead_h.append(float(rows.remaining_h[lines[since]]))
    found["unlike_at_failure"] = float(np.mean(at_end)) if at_end else np.nan
    found["unlike_lead_h"] = float(np.median(lead_h)) if lead_h else np.nan
    return found


def summary(metrics: Mapping[str, float]) -> list[str]:
    """These figures as a line for a person; none where there were too few healthy devices."""
    if "false_unlike" not in metrics:
        return []
    line = f"unlike healthy devices: {metrics['false_unlike']:.1%} of the time while healthy"
    if "unlike_at_failure" in metrics:
        line += f", {metrics['unlike_at_failure']:.0%} when they failed"
    if "unlike_lead_h" in metrics:
        line += f", half of these for {metrics['unlike_lead_h']:,.0f} h or longer"
    return [line]


def causes(of: Judgement, features: Sequence[str], most: int = 3) -> list[list[Cause]]:
    """Of each device the channels that make it most unlike healthy ones, the greatest part first.

    Parameters
    ----------
    features : the columns of the survival model, as its manifest says
    most : so many for each device
    """
    names = [name for name in features if name != AGE]
    owners = [name.rpartition(".")[0] for name in names]
    channels = list(dict.fromkeys(owners))
    sums = np.zeros((len(of.parts), len(channels)))
    for column, owner in enumerate(owners):
        sums[:, channels.index(owner)] += of.parts[:, column]
    now = [names.index(f"{channel}.now") for channel in channels]
    total = sums.sum(axis=1)
    found = []
    for line, order in enumerate(np.argsort(-sums, axis=1, kind="stable")[:, :most].tolist()):
        found.append(
            [
                Cause(
                    channel=channels[k],
                    share=float(sums[line, k] / total[line]),
                    now_sd=_known(float(of.z[line, now[k]])),
                )
                for k in order
                if sums[line, k] > 0.0
            ]
        )
    return found


def _unusual(part: Components, x: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n,) T² and Q together; rounded, so that a device comes to the same whoever is judged beside it."""
    found: NDArray[np.float32] = part.statistics(part.scaled(x)).sum(axis=1).astype(np.float32)
    return found


def _parted(fold: NDArray[np.int64], x: Matrix) -> Iterator[tuple[NDArray[np.int64], int]]:
    """The lines that the same components judge, and the fold; without those of which nothing is known."""
    known = ~np.isnan(x).all(axis=1)
    for number in np.unique(fold[known]).tolist():
        yield np.flatnonzero(known & (fold == number)), number


def _thinned(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(n,) which lines are learned from, where those of a device stand together: as many of each, evenly in time."""
    devices, start, count = np.unique(keys, return_index=True, return_counts=True)
    most = min(max(_MOST_ROWS // max(1, len(devices)), 1), _MOST_OF_A_DEVICE)
    size = np.repeat(count, count)
    place = np.arange(len(keys)) - np.repeat(start, count)
    wanted = np.minimum(size, most)
    kept = (place + 1) * wanted // size > place * wanted // size
    return np.asarray(kept & (keys <= devices[:_MOST_ROWS].max(initial=0)))


def _differ(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) whether the next line is another in one of the columns; the last one's is."""
    if not len(columns[0]):
        return np.zeros(0, bool)
    return np.append(np.any([each[1:] != each[:-1] for each in columns], axis=0), True)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
