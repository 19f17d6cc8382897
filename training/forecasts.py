"""What a model says of devices, as a table: one line for each failure mode of each device that has not failed.

Of their present, or of each of their readings since some time: then it says what it would have said at the time, by what was
known of the device and nothing that came later.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training import features, lifecycles
from training.features import Window
from training.history import History
from training.lifecycles import LAST_US
from training.survival import Forecast, SurvivalModel
from training.tables import TIMESTAMP
from twins.covariates import covariates
from twins.devices import DeviceType
from twins.state import NEVER_US

ANY: Final = "any"
"""The failure mode of lines about failure by whatever mode comes first."""

QUANTILES: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)

WITHIN_H: Final = {"p_fail_24h": 24.0, "p_fail_7d": 168.0, "p_fail_30d": 720.0}
"""Columns of the probability of a failure, and within how many hours each is."""

_SPAN: Final = re.compile(r"([1-9]\d{0,4})([hd])")


def schema(within_h: Mapping[str, float] = WITHIN_H) -> pa.Schema:
    """``event_time`` is that of the newest reading behind a line; ``rul_mean_h`` restricted to the model's horizon. A
    quantile that lies beyond the longest life known is null."""
    return pa.schema(
        [
            ("device_id", pa.string()),
            ("event_time", TIMESTAMP),
            ("failure_mode", pa.string()),
            *((f"rul_p{round(100 * p):02}_h", pa.float64()) for p in QUANTILES),
            ("rul_mean_h", pa.float64()),
            *((name, pa.float64()) for name in within_h),
            ("in_distribution", pa.bool_()),
        ]
    )


FORECASTS: Final = schema()


def within(spans: Sequence[str]) -> dict[str, float]:
    """``WITHIN_H`` and some more.

    Raises
    ------
    ValueError : one is no span of hours or days.

    Examples
    --------
    >>> within(["3d"])["p_fail_3d"]
    72.0
    """
    found = dict(WITHIN_H)
    for span in spans:
        said = _SPAN.fullmatch(span)
        if said is None:
            raise ValueError(f"{span!r} is no span of hours or days such as 72h or 3d")
        found[f"p_fail_{span}"] = float(said[1]) * (24.0 if said[2] == "d" else 1.0)
    return found


def forecasts(
    history: History, model: SurvivalModel, device_type: DeviceType, at_us: int,
    within_h: Mapping[str, float] = WITHIN_H,
) -> pa.Table:  # fmt: skip
    """Of all devices of a type that have been heard and not failed by ``at_us``, shard time.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the twins of then cannot be rebuilt.
    """
    ids = features.devices(history, device_type.name)
    modes = [mode.name for mode in device_type.failure_modes]
    lives = lifecycles.read(history, device_type.name, ids, modes, at_us)
    living = {lives.ids[device] for device in lives.device[lives.end_us == LAST_US].tolist()}
    parts = []
    for place in history.past().shards(device_type.name, at_us, sorted(living)):
        names = place.shard.roster.columns()["device_id"].to_numpy(zero_copy_only=False)
        event_us = place.shard.state.core.event_us[: len(names)]
        rows = np.flatnonzero(event_us != NEVER_US)
        known = covariates(place.shard.state, rows)
        of = model.forecast(known, names[rows])
        parts.append(told(model, modes, names[rows], event_us[rows], of, within_h))
    return pa.concat_tables([schema(within_h).empty_table(), *parts]).sort_by(
        [("device_id", "ascending"), ("failure_mode", "ascending")]
    )


def forecasts_since(
    history: History, model: SurvivalModel, device_type: DeviceType, since_us: int, at_us: int,
    within_h: Mapping[str, float] = WITHIN_H,
) -> pa.Table:  # fmt: skip
    """At each reading since ``since_us``, event time, of all devices of a type: what would have been said then.

    Readings that moved no twin, and those of devices that had failed and were not yet made anew, have none. What came after
    ``at_us``, shard time, is not known. Takes memory for every such reading.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the twins of then cannot be rebuilt.
    """
    ids = features.devices(history, device_type.name)
    modes = [mode.name for mode in device_type.failure_modes]
    lives = lifecycles.read(history, device_type.name, ids, modes, at_us)
    window = Window(device_type.name, at_us, since_us=since_us)
    found = features.landmarks(history.past(), window, lives, ids)
    if found is None:
        return schema(within_h).empty_table()
    of = model.forecast(found.covariates, found.device_id)
    return told(model, modes, found.device_id, found.at_us, of, within_h).sort_by(
        [("device_id", "ascending"), ("event_time", "ascending"), ("failure_mode", "ascending")]
    )


def told(
    model: SurvivalModel,
    modes: Sequence[str],
    ids: NDArray[np.object_],
    event_us: NDArray[np.int64],
    of: Forecast,
    within_h: Mapping[str, float] = WITHIN_H,
) -> pa.Table:
    """A forecast of n devices as lines: one for ``ANY``, and one for each failure mode if the model tells them apart."""
    named = enumerate(modes) if of.share.shape[1] else ()
    return pa.concat_tables(
        [
            _lines(model, ANY, None, ids, event_us, of, within_h),
            *(_lines(model, name, m, ids, event_us, of, within_h) for m, name in named),
        ]
    )


def _lines(
    model: SurvivalModel, name: str, mode: int | None, ids: NDArray[np.object_], event_us: NDArray[np.int64], of: Forecast,
    within_h: Mapping[str, float],
) -> pa.Table:  # fmt: skip
    columns = {
        "device_id": pa.array(ids, pa.string()),
        "event_time": pa.array(event_us).cast(TIMESTAMP),
        "failure_mode": pa.repeat(name, len(ids)),
        **{
            f"rul_p{round(100 * p):02}_h": pa.array(of.quantile(p, mode), from_pandas=True) for p in QUANTILES
        },
        "rul_mean_h": pa.array(of.mean(model.horizon_h, mode)),
        **{column: pa.array(of.probability(hours, mode)) for column, hours in within_h.items()},
        "in_distribution": pa.array(of.in_distribution),
    }
    return pa.table(columns, schema=schema(within_h))
