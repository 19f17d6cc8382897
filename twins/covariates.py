"""What a forecast is told of a device: quantities of its twin as the kernel keeps them, before any norm.

A model is trained on the covariates of twins rebuilt from history and scores those of live ones. Both are copies of the
same arrays, which the same kernel wrote: there is no second definition that could differ. What makes them comparable
between regimes and channels is learned with the model (``training/survival.py``). A device's own baseline is not among
them: it tells devices apart, which is for health, and a model would learn who is who.
"""

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from twins.devices import DeviceType
from twins.state import NEVER_US, ShardState
from twins.traces import feature_channels, signal_params
from twins.trends import SPANS

_HOUR_US: Final = 3_600_000_000


class Covariates(NamedTuple):
    """Of n devices, each at a moment; S spans, R regimes, F features, as in ``twins/trends.py``.

    Unknown is NaN: the trend of a feature in a regime that was never met, the age of a device never heard.
    """

    trend: NDArray[np.float32]  # (n, S, R, F) mean of late in each regime, channel units
    share: NDArray[np.float32]  # (n, S, R) how much of the late past each regime was
    age_h: NDArray[np.float32]  # (n, 1) event time since the machine's first line

    @property
    def rows(self) -> int:
        return len(self.age_h)

    def matrix(self) -> NDArray[np.float32]:
        """(n, width) all of it side by side, to be kept; ``from_matrix`` takes it apart again."""
        return np.concatenate([part.reshape(self.rows, -1) for part in self], axis=1)

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Those of some rows."""
        return type(self)(*(part[rows] for part in self))

    @classmethod
    def joined(cls, parts: "list[Covariates]") -> "Covariates":
        """One part after the other; at least one."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def shape_of(device_type: DeviceType) -> tuple[int, int]:
    """Regimes and features of a type."""
    return int(signal_params(device_type).stride[-1]), len(feature_channels(device_type))


def width_of(device_type: DeviceType) -> int:
    """How many numbers the covariates of one device are."""
    return sum(_widths(*shape_of(device_type)))


def from_matrix(matrix: NDArray[np.float32], regimes: int, features: int) -> Covariates:
    """What ``Covariates.matrix`` laid side by side."""
    trend, share, age_h = np.split(matrix, np.cumsum(_widths(regimes, features))[:-1], axis=1)
    spans = len(SPANS)
    return Covariates(
        trend.reshape(-1, spans, regimes, features),
        share.reshape(-1, spans, regimes),
        np.ascontiguousarray(age_h),
    )


def covariates(state: ShardState, rows: NDArray[np.integer]) -> Covariates:
    """Copies of what is known of the devices in some rows of a shard."""
    since_us, event_us = state.trends.since_us[rows], state.core.event_us[rows]
    heard = since_us != NEVER_US
    age_h = np.where(heard, (event_us - np.where(heard, since_us, 0)) / _HOUR_US, np.nan)
    return Covariates(state.trends.trend[rows], state.trends.share[rows], age_h.astype(np.float32)[:, None])


def _widths(regimes: int, features: int) -> list[int]:
    spans = len(SPANS)
    return [spans * regimes * features, spans * regimes, 1]
