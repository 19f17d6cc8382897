"""What is forecast for devices, as advice takes it: from the columns of the live table for all of a type, from what a shard
says for one; and what it is expected to cost to act on it, or not to.

Hosts of an older Twinfold show no forecasts, and a device may have none: then nothing is known, and no number is made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.live import short
from serve.present import iso
from twins import costs
from twins.clock import SECOND_US
from twins.costs import Costs, Vector
from twins.devices import MaintenanceAction
from twins.recommendations import Adviser

WORRYING: Final = 0.3
"""A device that fails within 7 days with this probability gets advice, whatever that costs."""

CHANCES: Final = ("p_fail_24h", "p_fail_7d", "p_fail_30d")
LIVES: Final = ("rul_p05_h", "rul_p50_h", "rul_p95_h")
_HOUR_US: Final = 3600 * SECOND_US


@dataclass(frozen=True, slots=True, eq=False)
class Prospects:
    """Forecasts of the devices of one type.

    Attributes
    ----------
    hazard : (3, n) cumulative, as ``costs.hazards`` has it; NaN where nothing is forecast
    p_7d : (n,) the probability of failure within 7 days; NaN where nothing is forecast
    mode : (n,) the place of the mode that is forecast among those of the type, or their number where the model tells none
        apart; -1: nothing is forecast
    made_us : (n,) when the forecast was made
    is_sign : (n,) whether it is a sign by itself: failure is likely, or acting now is cheaper than nothing
    """

    hazard: Vector
    p_7d: Vector
    mode: NDArray[np.int64]
    made_us: NDArray[np.int64]
    is_sign: NDArray[np.bool_]

    def named(self) -> NDArray[np.int64]:
        """(n,) ``mode`` where the forecast is a sign, else -1."""
        return np.where(self.is_sign, self.mode, -1)

    def speaks(self, rows: NDArray[np.int64], mode: NDArray[np.int64], adviser: Adviser) -> NDArray[np.bool_]:
        """(m,) Whether the forecast for some of the devices says something of failure modes: it is of the same, or of none.

        Parameters
        ----------
        rows : (m,) which devices; -1: one that is not here
        mode : (m,) what is feared of each, as ``mode``
        """
        forecast = self.mode[rows]
        others = len(adviser.device_type.failure_modes)
        return np.asarray((rows >= 0) & (forecast >= 0) & ((forecast == mode) | (forecast == others)))

    def priced(self, adviser: Adviser, rows: NDArray[np.int64], mode: NDArray[np.int64]) -> Costs:
        """What it is expected to cost to do nothing, later and now; parameters as of ``speaks``. (m,) each."""
        hazard = np.where(self.speaks(rows, mode, adviser), self.hazard[:, rows], np.nan)
        return costs.expected(hazard, *_plans(adviser)[:, mode])


def of_type(table: pa.Table, adviser: Adviser, now_us: int) -> Prospects | None:
    """Forecasts of all devices of a live table; None where it shows none."""
    if not len(table):
        return None
    chances = [np.asarray(table[name].to_numpy(), np.float64) for name in CHANCES]
    is_known = table["in_distribution"].fill_null(False).to_numpy()
    status = np.concatenate([_codes(chunk, ("retired", "importing")) for chunk in table["status"].chunks])
    for chance in chances:
        is_known = is_known & ~np.isnan(chance)
    is_known &= status < 0
    hazard = costs.hazards(*(np.where(is_known, chance, np.nan) for chance in chances))
    modes = [each.name for each in adviser.device_type.failure_modes]
    mode = np.concatenate([_codes(chunk, modes) for chunk in table["failure_mode"].chunks])
    mode = np.where(is_known, np.where(mode < 0, len(modes), mode), -1)
    p_7d = np.where(is_known, chances[1], np.nan)
    made_us = table["predicted_at"].cast(pa.int64()).fill_null(now_us).to_numpy()
    return Prospects(hazard, p_7d, mode, made_us, _are_signs(hazard, p_7d, mode, adviser))


def of_line(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """The forecast in a line of a live table, in the form of a twin's ``prognosis``; None where there is none."""
    if not line.get("in_distribution") or any(line.get(name) is None for name in CHANCES):
        return None
    at = line["predicted_at"]
    return {
        **{
            name: line[name]
            for name in (*CHANCES, *LIVES, "failure_mode", "in_distribution", "model_version")
        },
        "share": None,
        "predicted_us": None if at is None else round(at.timestamp() * 1e6),
    }


def of_twin(twin: Mapping[str, Any], adviser: Adviser, now_us: int) -> Prospects | None:
    """The forecast for one device, from what its shard says, as that of a type with nothing else in it."""
    said = twin.get("prognosis")
    if not said or not said["in_distribution"] or any(said[name] is None for name in CHANCES):
        return None
    chances = [np.array([said[name]], np.float64) for name in CHANCES]
    hazard = costs.hazards(*chances)
    modes = [each.name for each in adviser.device_type.failure_modes]
    mode = np.array([modes.index(said["failure_mode"]) if said["failure_mode"] in modes else len(modes)])
    p_7d = chances[1]
    made_us = np.array([now_us if said["predicted_us"] is None else said["predicted_us"]])
    return Prospects(hazard, p_7d, mode, made_us, _are_signs(hazard, p_7d, mode, adviser))


def action_costs(
    prospects: Prospects | None,
    row: int,
    adviser: Adviser,
    mode: str | None,
    actions: Sequence[MaintenanceAction],
) -> list[tuple[float | None, float | None]]:
    """What each action is expected to cost now, and at its best time later; None where that is not known."""
    plans = [costs.plan(adviser.device_type, mode or "", action) for action in actions]
    if prospects is None or row < 0 or not actions or any(each is None for each in plans):
        return [(None, None)] * len(actions)
    modes = [each.name for each in adviser.device_type.failure_modes]
    feared = modes.index(mode) if mode in modes else len(modes)
    if prospects.mode[row] not in (feared, len(modes)):
        return [(None, None)] * len(actions)
    hazard = np.repeat(prospects.hazard[:, row : row + 1], len(actions), axis=1)
    found = costs.expected(hazard, *np.array(plans, np.float64).T)
    return [(money(now), money(later)) for now, later in zip(found.now, found.later, strict=True)]


def sign(said: Mapping[str, Any]) -> dict[str, Any]:
    """A forecast among what advice rests on."""
    return {
        "kind": "prognosis",
        "failure_mode": said["failure_mode"],
        "share": known(said["share"]),
        **{name: known(said[name]) for name in (*CHANCES, *LIVES)},
        "model_version": said["model_version"],
        "predicted_at": iso(said["predicted_us"]),
    }


def money(amount: float | None) -> float | None:
    """An amount as it is shown, to the hundredth; None for NaN."""
    return None if amount is None or amount != amount else round(float(amount), 2)


def known(number: float | None) -> float | None:
    """As ``live.short``, also of what is not there."""
    return None if number is None else short(number)


def after_us(made_us: NDArray[np.int64], hours: Vector) -> NDArray[np.int64]:
    """(n,) A moment so many hours later; 0 where that is NaN."""
    return np.where(np.isnan(hours), 0, made_us + np.nan_to_num(hours * _HOUR_US).astype(np.int64))


def _plans(adviser: Adviser) -> Vector:
    """(4, modes + 1) What is reckoned with against each mode, the last against one that is not known; NaN: nothing helps."""
    names = [*(each.name for each in adviser.device_type.failure_modes), ""]
    found = [adviser.planned(name) for name in names]
    return np.array([(np.nan,) * 4 if each is None else each[1] for each in found], np.float64).T


def _are_signs(hazard: Vector, p_7d: Vector, mode: NDArray[np.int64], adviser: Adviser) -> NDArray[np.bool_]:
    plans = _plans(adviser)
    act, failure, good, _ = plans[:, mode]
    now, nothing = costs.now_or_nothing(hazard, act, failure, good)
    with np.errstate(invalid="ignore"):
        return np.asarray((mode >= 0) & ((p_7d >= WORRYING) | (now < nothing)))


def _codes(column: pa.Array, words: Sequence[str]) -> NDArray[np.int64]:
    """(n,) Which of ``words`` stands in each line; -1: none of them. Where the column has codes, each is looked at once."""
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    code = pc.index_in(texts.cast(pa.string()), pa.array(words, pa.string())).fill_null(-1)
    found = np.asarray(code.to_numpy(), np.int64)
    if texts is column:
        return found
    at = column.indices.cast(pa.int64()).fill_null(len(found)).to_numpy()
    return np.asarray(np.append(found, -1)[at])
