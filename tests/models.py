"""Models for tests of the registry and of what shows it: made-up figures, arrays that mean nothing."""

from dataclasses import replace
from typing import Any

import numpy as np

from training.registry import Manifest

METRICS = {
    "rmse_h": 80.0, "concordance": 0.8, "brier": 0.09, "coverage_90": 0.88, "rows": 400.0, "devices": 40.0,
    "failures": 31.0, "rmse_constant_h": 200.0, "brier_constant": 0.2,
}  # fmt: skip
MANIFEST = Manifest(
    device_type="pump",
    type_version=3,
    by="kari",
    data={"readings_pump": 17, "events": 4},
    trained_until_us=1_760_000_000_000_000,
    features=("flow_mean", "vibration_ewma"),
    failure_modes=("bearing-wear",),
    parameters={"seed": 7, "failures": 102, "horizon_h": 720.0, "holdout": "a1", "nested": {"trees": [1, 2]}},
    metrics=METRICS,
    calibration={"reliability": {"24": [{"predicted": 0.1, "observed": 0.12, "count": 40}]}},
)
ARRAYS = {
    "weights": np.arange(6.0).reshape(2, 3),
    "names": np.array(["a", "bc"]),
    "empty": np.empty(0, np.int16),
}


def beside(version: int, **metrics: float) -> dict[str, Any]:
    """What a manifest says of the version in force, and of itself with a Brier score of 0.07, on what came after both."""
    return {
        "version": version,
        "metrics": METRICS,
        "held_out": "identity_and_time",
        "in_time": {
            "since_us": 1_770_000_000_000_000,
            "until_us": 1_770_700_000_000_000,
            "horizon_h": 96.0,
            "champion": METRICS,
            "challenger": {**METRICS, "brier": 0.07, **metrics},
        },
    }


def measured(holdout: str | None = "a1", **metrics: float | None) -> Manifest:
    """The manifest of a model that came to other figures; None: that one was not measured."""
    figures = {name: value for name, value in {**METRICS, **metrics}.items() if value is not None}
    return replace(MANIFEST, metrics=figures, parameters={**MANIFEST.parameters, "holdout": holdout})
