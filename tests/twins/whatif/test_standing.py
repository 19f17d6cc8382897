"""What becomes of a device that comes to its end while people work on it."""

import numpy as np

from tests.twins.whatif.shops import NOBODY, machine, renewal, shop, total, worn
from twins.devices import MaintenanceAction
from twins.whatif.presence import as_known
from twins.whatif.replication import replicate
from twins.whatif.scenarios import Arm, PlannedWork, Resources, Scenario, Span

LOOK = MaintenanceAction("look", kind="inspection", duration_h=8.0)


def test_what_comes_to_its_end_during_an_inspection_is_mended_after_it() -> None:
    kind = machine(10.25, LOOK, renewal(duration_h=1.0), shape=0.0)
    forked = worn(shop((kind, 1)), {kind.name: np.array([0.5])})
    arm = Arm("looked-at", interventions=(PlannedWork("look", span=Span(2.0)),))
    scenario = Scenario(
        "s", (arm,), horizon_h=16.0, bucket_h=16.0, step_s=1800.0, dispatch_h=0.5, operator=NOBODY,
        resources=Resources(unplanned_delay_h=0.0),
    )  # fmt: skip
    buckets = replicate(forked, scenario, arm, 0, as_known).tables["buckets"]
    assert total(buckets, "planned") == 1
    assert total(buckets, "failures") == total(buckets, "unplanned") == 1
