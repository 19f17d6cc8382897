"""Models that nobody trained on a fleet: of landmarks that are drawn, whose remaining life their first column tells."""

import numpy as np

from training import boosting
from training.boosting import Boosting
from training.survival import FOLDS, Curves, Likeness, Norm, SurvivalModel, design, keys_of, times_for
from twins.covariates import Covariates

HORIZON_H = 100.0
IDS = [f"device-{number}" for number in range(400)]


def known_of(n: int, seed: int, regimes: int = 2, features: int = 3) -> Covariates:
    rng = np.random.default_rng(seed)
    trend = rng.normal(size=(n, 2, regimes, features)) + 10.0 * np.arange(regimes)[None, None, :, None]
    share = rng.dirichlet(np.ones(regimes), size=(n, 2))
    return Covariates(
        trend.astype(np.float32), share.astype(np.float32), rng.uniform(0, 50, (n, 1)).astype(np.float32)
    )


def model_of(
    seed: int = 0, modes: int = 2, regimes: int = 2, features: int = 3
) -> tuple[SurvivalModel, Covariates]:
    known = known_of(400, seed, regimes, features)
    norm = Norm.learned(known)
    x = design(known, norm, with_age=True)
    rng = np.random.default_rng(seed)
    remaining_h = np.clip(60.0 + 20.0 * x[:, 0] + rng.normal(0, 5, 400), 0.0, None)
    folds = tuple(
        boosting.fit(x, np.minimum(remaining_h, HORIZON_H), Boosting(rounds=20), k) for k in range(FOLDS)
    )
    causes = tuple(
        tuple(boosting.fit(x, (x[:, 1] > 0) == bool(m), Boosting(rounds=10), k) for m in range(modes))
        for k in range(FOLDS)
    )
    scores = np.mean([trees.predict(x) for trees in folds], axis=0)
    curves = Curves.learned(scores, remaining_h, np.ones(400, bool), times_for(remaining_h, HORIZON_H))
    seen = np.unique(keys_of(IDS[:200]))
    return SurvivalModel(norm, True, HORIZON_H, folds, causes, curves, Likeness.learned(x), seen), known
