"""Models of a device type that nobody trained: trees of made-up lives, to which every device is like those they know."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.models import MANIFEST
from training import boosting
from training.boosting import Boosting
from training.registry import Manifest
from training.survival import FOLDS, Curves, Likeness, Norm, SurvivalModel, design, times_for
from twins.covariates import Covariates, shape_of
from twins.devices import DeviceType

HORIZON_H = 1000.0


def made_up(
    device_type: DeviceType, seed: int = 0, middle_h: float = 200.0, moves_h: float = 60.0
) -> SurvivalModel:
    """Trees that look at the vibration alone: ``middle_h`` is left at 3 mm/s, ``moves_h`` more at each 3 beyond."""
    regimes, features = shape_of(device_type)
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(regimes), size=(300, 2)).astype(np.float32)
    trend = rng.normal(size=(300, 2, regimes, features)).astype(np.float32)
    known = Covariates(trend, share, rng.uniform(0, 50, (300, 1)).astype(np.float32))
    norm = Norm(np.tile(np.resize([3.0, 70.0], features), (regimes, 1)), np.full((regimes, features), 3.0))
    x = design(known, Norm(np.zeros((regimes, features)), np.ones((regimes, features))), with_age=True)
    left_h = np.clip(middle_h + moves_h * x[:, 0] + rng.normal(0, 10.0, 300), 1.0, None)
    folds = tuple(
        boosting.fit(x, np.minimum(left_h, HORIZON_H), Boosting(rounds=10, rate=0.3), k) for k in range(FOLDS)
    )
    scores = np.mean([trees.predict(x) for trees in folds], axis=0)
    curves = Curves.learned(scores, left_h, np.ones(300, bool), times_for(left_h, HORIZON_H))
    learned = Likeness.learned(x)
    anything = Likeness(learned.centre, learned.scale, learned.axes, learned.variance, np.full(2, np.inf))
    return SurvivalModel(norm, True, HORIZON_H, folds, (), curves, anything, np.zeros(0, np.uint64))


def manifest_of(device_type: DeviceType, **more: Any) -> Manifest:
    return replace(
        MANIFEST,
        device_type=device_type.name,
        failure_modes=tuple(m.name for m in device_type.failure_modes),
        **more,
    )
