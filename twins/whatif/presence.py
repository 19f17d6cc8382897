"""What forked devices are really like, as one replication has it: known of simulated fleets, estimated of all others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twins import packing, physics
from twins.physics import PhysicsParams, PhysicsState, physics_params
from twins.whatif import estimation, stepping
from twins.whatif.estimation import DamageEstimate
from twins.whatif.forks import ForkedType

VERSION: Final = 1
"""Of blocks of estimates."""


class Present(Protocol):
    """Says what forked devices are really like; the same for the same seed and replication."""

    def __call__(self, forked: ForkedType, seed: int, replication: int) -> PhysicsState: ...


def as_known(forked: ForkedType, seed: int, replication: int) -> PhysicsState:
    """``Present`` for forks of simulated fleets: what is known of them is the truth, the same in every replication."""
    if forked.physics is None:
        raise ValueError(f"nobody knows what devices of type {forked.device_type.name!r} are really like")
    s = PhysicsState._make(array.copy() for array in forked.physics)
    stepping.rekey(s, seed, replication)
    return s


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """``Present`` by estimates: each replication draws one possibility from them, so that what is not known shows in the
    spread of results.

    Attributes
    ----------
    estimates : by type, row for row as the fork has its devices; of a type without one nothing is known but its law
    """

    estimates: Mapping[str, DamageEstimate]

    def __call__(self, forked: ForkedType, seed: int, replication: int) -> PhysicsState:
        if forked.physics is not None:
            return as_known(forked, seed, replication)
        of, n = forked.device_type, len(forked)
        s, p = physics.blank_physics(n, of), physics_params(of)
        s.device[:] = forked.keys
        physics.begin(s, p, 0, n, seed, replication)
        estimate = self.estimates.get(of.name)
        if estimate is not None:
            estimation.begin_from(estimate, s, p, 0, seed, replication)
            _go_on_from(s, p, forked, estimate.reason != 0)
        s.life_cycle[:] = np.maximum(forked.arrays["core.life_cycle"], 0)
        stepping.rekey(s, seed, replication)
        return s

    def block(self) -> bytearray:
        """The estimates as one block of bytes, for ``from_block``."""
        arrays = {
            f"{name}/{part}": array
            for name, each in self.estimates.items()
            for part, array in each._asdict().items()
        }
        return packing.pack({"version": VERSION, "types": list(self.estimates)}, arrays)

    @staticmethod
    def from_block(block: bytes | bytearray | memoryview) -> "Estimated":
        """What ``block`` gave.

        Raises
        ------
        packing.PackingError : the block is damaged.
        ValueError : it is of a version that this one cannot read.
        """
        meta, arrays = packing.unpack(block)
        if meta["version"] != VERSION:
            raise ValueError(
                f"estimates of version {meta['version']}, this Twinfold reads {VERSION}; run it anew"
            )
        return Estimated(
            {
                name: DamageEstimate(**{part: arrays[f"{name}/{part}"] for part in DamageEstimate._fields})
                for name in meta["types"]
            }
        )


def _go_on_from(s: PhysicsState, p: PhysicsParams, forked: ForkedType, unknown: NDArray[np.bool_]) -> None:
    """Let channels go on from where they are, of devices whose readings say too little of what is behind them: the law's
    own offsets would be steps that nobody has seen, and twins would take them for faults."""
    newest = forked.arrays["core.last_value"].astype(np.float64)
    gap = newest - s.lagged
    moved = unknown[:, None] & (p.kind == physics.GAUGE) & np.isfinite(gap)
    s.offset[moved] = gap[moved]
