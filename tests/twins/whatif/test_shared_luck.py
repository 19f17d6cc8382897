"""What shared luck is worth on an example of maintenance: pumps of which nothing is known but how their type wears out, two
crews and few bearings, over a year. Seals that run hot are replaced, or all that fails is mended alone.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.twins.whatif.forked import fleet_spec, pumps
from twins.whatif import intervals
from twins.whatif.experiments import Experiment
from twins.whatif.presence import Estimated
from twins.whatif.results import Results, column
from twins.whatif.scenarios import Arm, Operator, Policy, Resources, Scenario, Spare
from twins.whatif.synthetic import synthetic

YEAR_H, STEP_H, REPLICATIONS = 8760.0, 4.0, 10
RUN_ON = Arm("run-to-failure")
WATCHED = Arm("threshold", policy=Policy("threshold", when="seal_temperature > 80", action="replace-seal"))
SCENARIO = Scenario(
    "seals", (RUN_ON, WATCHED),
    horizon_h=YEAR_H, bucket_h=YEAR_H, step_s=3600 * STEP_H, dispatch_h=24.0, replications=REPLICATIONS, seed=1,
    operator=Operator(present=False), metrics=("cost", "availability", "failures"), keep=(),
    resources=Resources(crews=2, spares={"bearing-set": Spare(2, 72.0)}),
)  # fmt: skip


@pytest.fixture(scope="module")
def runs() -> tuple[Results, Results]:
    """The experiment, and the arm to compare with under another seed."""
    spec = fleet_spec(30, 5, (0.0, 0.05))
    found = synthetic(spec, {"centrifugal-pump": pumps()}, warm_up_h=500 * STEP_H, step_s=3600 * STEP_H)
    unknown = {name: replace(each, physics=None) for name, each in found.types.items()}
    forked, present = replace(found, types=unknown), Estimated({})
    alone = replace(SCENARIO, arms=(RUN_ON,), seed=2)
    return Experiment(SCENARIO, forked, present).run(), Experiment(alone, forked, present).run()


@pytest.mark.parametrize("metric", ["cost", "availability"])
def test_shared_luck_narrows_the_interval_to_less_than_half(
    runs: tuple[Results, Results], metric: str
) -> None:
    shared, other = (run.values() for run in runs)
    numbers = np.arange(REPLICATIONS, dtype=np.int32)
    watched, run_on = (column(shared, metric, arm.name, numbers) for arm in (WATCHED, RUN_ON))
    apart = column(other, metric, RUN_ON.name, numbers)
    paired = intervals.paired(watched, run_on, lower_is_better=metric == "cost")
    unpaired = intervals.paired(watched, apart, lower_is_better=metric == "cost")
    assert paired.variance_ratio < 0.25
    assert paired.difference.half_width < 0.5 * unpaired.difference.half_width
