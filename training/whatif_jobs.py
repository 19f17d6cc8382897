"""An experiment of the what-if lab, as a job: in a folder by its id, so that one that was cut off goes on where it was."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from training.experiments import FOLDER, Laboratory, experiment_in
from training.jobs import Run
from training.registry import FOLDER as MODELS
from twins.whatif import metrics
from twins.whatif.experiments import Progress, Runner
from twins.whatif.results import RunFolder
from twins.whatif.scenariofiles import parse_scenario
from twins.whatif.scenarios import Scenario

KIND: Final = "whatif"

Labs = Callable[[Callable[[], None]], Laboratory]
"""Makes a lab; what it is given is called again and again, and ends what is under way by raising."""


def request(scenario: Scenario, text: str) -> dict[str, Any]:
    """What a job of this kind is asked for; ``text`` is the scenario as it was written."""
    return {"scenario": text, "about": about(scenario)}


def about(scenario: Scenario) -> dict[str, Any]:
    """What a list of experiments says of one, whether it was begun or not."""
    wanted = scenario.replications if scenario.stopping is None else scenario.stopping.at_least
    return {
        "name": scenario.name,
        "title": scenario.title,
        "arms": [arm.name for arm in scenario.arms],
        "reference": scenario.reference_arm,
        "horizon_h": scenario.horizon_h,
        "metrics": list(metrics.names(scenario)),
        "replications": wanted,
    }


def work(data: Path, labs: Labs, runner: Callable[[], Runner], job: Run) -> Mapping[str, Any]:
    """Do what ``request`` asked for; returns how many replications of each arm there are, as JSON values.

    Parameters
    ----------
    data : the data folder
    runner : gives who runs replications

    Raises
    ------
    ScenarioError, FilterError : the scenario does not fit the fleet any more.
    RunFolderError : its folder holds something else.
    MomentNotKeptError, MomentAheadError : the past that is asked for is not there.
    DegradedError : a host is away.
    TooLargeError, MetricError : see ``Experiment.run``.
    """
    scenario = parse_scenario(job.job.request["scenario"], "the scenario").scenario
    arms = len(scenario.arms)
    out = data / FOLDER / job.job.id
    if not RunFolder(out).is_begun:
        job.tell(None, "forking")
    said = {"by": job.job.by, "created_us": job.job.created_us}
    experiment = experiment_in(out, scenario, lambda: labs(job.check), data / MODELS, said)

    def tell(now: Progress) -> None:
        counts = {"replications": now.done // arms, "wanted": now.wanted // arms}
        message = f"{counts['replications']:,} of {counts['wanted']:,} replications of {arms} arms"
        job.tell(now.done / now.wanted, message, counts)

    job.tell(0.0, f"{len(experiment.fork):,} devices forked")
    found = experiment.run(out, runner(), tell, job.check).replications
    return {"replications": found, "wanted": found}
