"""How good forecasts have been that were told while things went on: each version's against what then happened.

A forecast stands for a device from when it was told until the next one, in the life of the device in which it was made; one
of a shadow, that nobody renews, for a day. It was made from what had been read by then, and counts from when it was told, so
that none knows more than people did. Figures are taken at moments a day apart, the same for all devices, and from warnings:
that the probability to fail within a week is a half or more.

An outcome that is not known is not counted: one that is yet to come, and one that was put off by a replacement. The second
are often the very devices that were warned of, so that what acts on its warnings is worth more than its record says.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training import lifecycles
from training.history import History
from training.lifecycles import LifeCycles
from twins.clock import DAY_US, HOUR_US
from twins.directory import hashes

MOST_ROWS: Final = 1_000_000
"""Forecasts that are looked at; where there are more, those of some devices, drawn by a hash of their ids."""

WITHIN_US: Final = 7 * DAY_US
"""What the probability is about that is judged."""

WARNING: Final = 0.5
"""The probability from which on it is a warning."""

SHADOW_US: Final = DAY_US
"""So long the forecast of a shadow stands that is not renewed."""

LEADS: Final = 50
"""Points of the curve of lead times, at most."""

_BINS: Final = 10
_FEWEST: Final = 10  # moments of a bin that is told of
_YEAR_H: Final = 8766.0
_COUNTS: Final = """
SELECT device_id, count(*) AS told FROM prognoses
WHERE device_type = $type AND recorded_at >= make_timestamptz($since) AND recorded_at <= make_timestamptz($until)
GROUP BY device_id ORDER BY device_id
"""
_ROWS: Final = """
SELECT device_id, epoch_us(event_time) AS event_us, epoch_us(recorded_at) AS told_us, model_version AS version, shadow,
       in_distribution AS said, p_fail_7d AS risk, rul_p05_h AS low_h, rul_p95_h AS high_h
FROM prognoses
WHERE device_type = $type AND recorded_at >= make_timestamptz($since) AND recorded_at <= make_timestamptz($until)
ORDER BY device_id, recorded_at, actor, cursor
"""
_RETIRED: Final = """
SELECT device_id, max(epoch_us(recorded_at)) AS at_us FROM events
WHERE device_type = $type AND type IN ('device.retired', 'device.registered') AND recorded_at <= make_timestamptz($until)
GROUP BY device_id HAVING arg_max(type, recorded_at) = 'device.retired'
"""


@dataclass(frozen=True, slots=True)
class Lead:
    """Hours from the beginning of a warning that held until the failure that it was of: quartiles."""

    p25_h: float
    p50_h: float
    p75_h: float


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What the forecasts of a version were worth. None: it could not be measured.

    Attributes
    ----------
    version, shadow : of which version, and whether nobody heard of them
    first_us, last_us : when the first and the last of them was told
    devices, device_years : of how many devices, and how long they stood
    moments : a day apart, at which a forecast stood and the outcome within a week is known
    unsaid : share of the moments at which it could not say anything; these are not among the others
    brier, brier_constant : squared error of the probability; of the best one forecast for all moments
    reliability : by probability: predicted, observed, count
    coverage_90, covered_of : share of the true remaining lives inside the 5–95 % interval, and of how many moments
    failures, missed : at which a forecast stood; without a warning that stood, too
    lead : of the others
    leads : ``share`` of all failures that was warned of ``before_h`` before, or longer: a curve from 0, where what is
        missing to 1 was missed, of ``LEADS`` points at most
    warnings, false_warnings : how many began, and after how many of these no failure came while it stood nor in a week then
    false_per_device_year : of the second
    """

    version: int
    shadow: bool
    first_us: int
    last_us: int
    devices: int
    device_years: float
    moments: int
    unsaid: float | None
    brier: float | None
    brier_constant: float | None
    reliability: list[dict[str, float]]
    coverage_90: float | None
    covered_of: int
    failures: int
    missed: int
    lead: Lead | None
    leads: list[dict[str, float]]
    warnings: int
    false_warnings: int
    false_per_device_year: float | None


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """All versions whose forecasts were told within a window, the newest first, the ones in force before shadows.

    ``devices`` of ``of_devices`` with a forecast were looked at.
    """

    device_type: str
    start_us: int
    end_us: int
    devices: int
    of_devices: int
    versions: list[VersionRecord] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Told(NamedTuple):
    """n forecasts in the order of devices and of time.

    ``device`` is an index; the others are as in ``prognoses``, ``low_h`` and ``high_h`` NaN where they lie beyond all lives.
    """

    device: NDArray[np.int64]
    event_us: NDArray[np.int64]
    told_us: NDArray[np.int64]
    version: NDArray[np.int64]
    shadow: NDArray[np.bool_]
    said: NDArray[np.bool_]
    risk: NDArray[np.float64]
    low_h: NDArray[np.float64]
    high_h: NDArray[np.float64]

    def take(self, rows: NDArray[Any]) -> "Told":
        return Told(*(column[rows] for column in self))


class Standing(NamedTuple):
    """When forecasts stood, and in which life: those that did at all."""

    told: Told
    life: NDArray[np.int64]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]  # not included


def record(
    history: History, device_type: str, start_us: int, end_us: int, most_rows: int = MOST_ROWS
) -> TrackRecord:
    """The record of a type's forecasts that were told in a window of shard time, as it is known at the window's end."""
    window = {"type": device_type, "since": start_us, "until": end_us}
    try:
        counts = history.query(_COUNTS, window)
    except duckdb.CatalogException:  # nothing was ever forecast
        return TrackRecord(device_type, start_us, end_us, 0, 0)
    everyone = counts["device_id"].combine_chunks()
    if not len(everyone):
        return TrackRecord(device_type, start_us, end_us, 0, 0)
    ids = _drawn(everyone, counts["told"].to_numpy(), most_rows)
    rows = history.query(_ROWS, window, devices=ids)
    names = ids.to_pylist()
    lives = lifecycles.read(history, device_type, names, (), end_us)
    place = pc.index_in(rows["device_id"], value_set=pa.array(lives.ids, pa.string()))
    columns = {name: rows[name].to_numpy() for name in Told._fields if name != "device"}
    told = Told(
        device=place.to_numpy().astype(np.int64), event_us=columns["event_us"], told_us=columns["told_us"],
        version=columns["version"].astype(np.int64), shadow=columns["shadow"], said=columns["said"],
        **{name: columns[name].astype(np.float64) for name in ("risk", "low_h", "high_h")},
    )  # fmt: skip
    followed_us = np.full(len(names), end_us, np.int64)
    retired = history.query(_RETIRED, {"type": device_type, "until": end_us}, devices=ids)
    gone = pc.index_in(retired["device_id"], value_set=pa.array(lives.ids, pa.string())).to_numpy()
    followed_us[gone] = np.minimum(retired["at_us"].to_numpy(), end_us)
    versions = list(measured(told, lives, followed_us))
    return TrackRecord(device_type, start_us, end_us, len(names), len(everyone), versions)


def measured(told: Told, lives: LifeCycles, followed_us: NDArray[np.int64]) -> Iterator[VersionRecord]:
    """The record of each version; ``followed_us`` (devices,) says until when each device is known."""
    life = lives.at(told.device, told.event_us)
    stood = standing(told, life, lives, followed_us)
    said = standing(told.take(told.said), life[told.said], lives, followed_us)
    keys = [(bool(key % 2), int(key // 2)) for key in np.unique(2 * told.version + told.shadow)]
    for shadow, version in sorted(keys, key=lambda key: (key[0], -key[1])):
        mine = told.take((told.version == version) & (told.shadow == shadow))
        yield VersionRecord(
            version=version,
            shadow=shadow,
            first_us=int(mine.told_us.min()),
            last_us=int(mine.told_us.max()),
            devices=len(np.unique(mine.device)),
            **_at_moments(_only(stood, version, shadow), lives, followed_us),
            **_of_warnings(_only(said, version, shadow), lives, followed_us),
        )


def standing(
    told: Told, life: NDArray[np.int64], lives: LifeCycles, followed_us: NDArray[np.int64]
) -> Standing:
    """When each forecast stood: from when it was told until the next of its device, or until its life ended.

    ``life`` (n,) is the one in which each was made; -1: in none.
    What is in force and each shadow are told apart; a version ends the standing of the one that was in force before.
    """
    stream = np.where(told.shadow, told.version, 0)
    order = np.lexsort((stream, told.device))  # stable: what is of one stream stays in time
    told, stream, life = told.take(order), stream[order], life[order]
    start_us = told.told_us
    next_us = np.full(len(start_us), np.iinfo(np.int64).max)
    follows = (told.device[1:] == told.device[:-1]) & (stream[1:] == stream[:-1])
    next_us[:-1][follows] = start_us[1:][follows]
    next_us = np.where(told.shadow, np.minimum(next_us, start_us + SHADOW_US), next_us)
    known_us = np.minimum(_ends(lives, life), followed_us[told.device])
    end_us = np.minimum(next_us, known_us)
    stands = (life >= 0) & (start_us < end_us)
    return Standing(told.take(stands), life[stands], start_us[stands], end_us[stands])


# -- inside --------------------------------------------------------------------------------------------------------


def _drawn(ids: pa.Array, told: NDArray[np.int64], most_rows: int) -> pa.Array:
    """Devices whose ids' hashes are lowest, as many as have so many forecasts together; at least one."""
    order = np.argsort(hashes(ids), kind="stable")
    count = max(1, int(np.searchsorted(np.cumsum(told[order]), most_rows, "right")))
    return ids.take(pa.array(np.sort(order[:count])))


def _only(stood: Standing, version: int, shadow: bool) -> Standing:
    mine = (stood.told.version == version) & (stood.told.shadow == shadow)
    return Standing(stood.told.take(mine), stood.life[mine], stood.start_us[mine], stood.end_us[mine])


def _ends(lives: LifeCycles, life: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) when lives ended, or will; of none: the earliest time there is."""
    if not len(lives.end_us):
        return np.full(len(life), lifecycles.FIRST_US, np.int64)
    return np.where(life >= 0, lives.end_us[life], lifecycles.FIRST_US)


def _at_moments(stood: Standing, lives: LifeCycles, followed_us: NDArray[np.int64]) -> dict[str, Any]:
    """The figures that are taken a day apart."""
    first = -(-stood.start_us // DAY_US)
    counts = np.maximum(-(-stood.end_us // DAY_US) - first, 0)
    row = np.repeat(np.arange(len(counts)), counts)
    at_us = (first[row] + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)) * DAY_US
    life = stood.life[row]
    end_us, failed = lives.end_us[life], lives.failed[life]
    until_us = followed_us[stood.told.device[row]]
    fails = failed & (end_us <= at_us + WITHIN_US)
    known = (at_us + WITHIN_US <= until_us) & (fails | (end_us >= at_us + WITHIN_US))
    said = stood.told.said[row]
    judged = known & said
    risk, outcome = stood.told.risk[row][judged], fails[judged].astype(np.float64)
    ended = said & failed & (end_us <= until_us)
    left_h = (end_us - at_us)[ended] / HOUR_US
    low_h = np.nan_to_num(stood.told.low_h[row][ended], nan=np.inf)
    high_h = np.nan_to_num(stood.told.high_h[row][ended], nan=np.inf)
    rate = outcome.mean() if len(outcome) else 0.0
    return {
        "moments": len(outcome),
        "unsaid": _mean(~said[known]),
        "brier": _mean((risk - outcome) ** 2),
        "brier_constant": _mean((rate - outcome) ** 2),
        "reliability": _reliability(risk, outcome),
        "coverage_90": _mean((low_h <= left_h) & (left_h <= high_h)),
        "covered_of": int(ended.sum()),
    }


def _of_warnings(said: Standing, lives: LifeCycles, followed_us: NDArray[np.int64]) -> dict[str, Any]:
    """The figures that are taken from warnings, from forecasts that say something: what says nothing ends no warning."""
    warns = said.told.risk >= WARNING
    goes_on = np.zeros(len(warns), bool)
    goes_on[1:] = warns[:-1] & (said.life[1:] == said.life[:-1]) & (said.start_us[1:] == said.end_us[:-1])
    begins = warns & ~goes_on
    number = np.cumsum(begins) - 1
    ends = warns & ~np.append(goes_on[1:] & warns[1:], False)
    begun_us, ended_us, life = said.start_us[begins], said.end_us[ends], said.life[begins]
    failed, end_us = lives.failed[life], lives.end_us[life]
    known_us = np.minimum(end_us, followed_us[said.told.device[begins]])
    true = failed & (end_us <= np.minimum(ended_us + WITHIN_US, known_us))
    false = ~true & (known_us >= ended_us + WITHIN_US)
    at_end = lives.failed[said.life] & (said.end_us == lives.end_us[said.life])
    warned = at_end & warns
    lead_h = (said.end_us[warned] - begun_us[number[warned]]) / HOUR_US
    years = float((said.end_us - said.start_us).sum()) / HOUR_US / _YEAR_H
    return {
        "device_years": years,
        "failures": int(at_end.sum()),
        "missed": int((at_end & ~warns).sum()),
        "lead": Lead(*np.quantile(lead_h, [0.25, 0.5, 0.75]).tolist()) if len(lead_h) else None,
        "leads": lead_curve(lead_h, int(at_end.sum())),
        "warnings": int(begins.sum()),
        "false_warnings": int(false.sum()),
        "false_per_device_year": float(false.sum()) / years if years else None,
    }


def lead_curve(lead_h: NDArray[np.float64], failures: int) -> list[dict[str, float]]:
    """The share of failures that was warned of so long before, or longer: at 0, and where it falls.

    Where it falls at too many places some are told, evenly taken, the first and the last among them; what is told is exact.

    Parameters
    ----------
    lead_h : (warned,) of failures with a warning
    failures : how many there were, these included
    """
    if not failures:
        return []
    places_h = np.unique(np.append(lead_h, 0.0))
    if len(places_h) > LEADS:
        places_h = places_h[np.round(np.linspace(0, len(places_h) - 1, LEADS)).astype(np.int64)]
    count = len(lead_h) - np.searchsorted(np.sort(lead_h), places_h, "left")
    return [
        {"before_h": before_h, "share": warned / failures}
        for before_h, warned in zip(places_h.tolist(), count.tolist(), strict=True)
    ]


def _reliability(risk: NDArray[np.float64], outcome: NDArray[np.float64]) -> list[dict[str, float]]:
    """Moments with like probabilities, and after how many of them a failure came within the week."""
    place = np.minimum((risk * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    predicted, observed = (np.bincount(place, column, _BINS) for column in (risk, outcome))
    return [
        {"predicted": predicted[k] / count[k], "observed": observed[k] / count[k], "count": int(count[k])}
        for k in np.flatnonzero(count >= _FEWEST).tolist()
    ]


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
