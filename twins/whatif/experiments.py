"""An experiment: arms and replications over a fork, here or side by side, until what was asked for is known.

Who runs the replications makes no difference to what comes of them: each depends on fork, scenario, arm and number alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from twins.whatif import stopping
from twins.whatif.cast import Forecaster
from twins.whatif.errors import TooLargeError
from twins.whatif.forks import Fork
from twins.whatif.outcomes import Outcome
from twins.whatif.presence import Present, as_known
from twins.whatif.replication import replicate
from twins.whatif.results import Results, RunFolder, column
from twins.whatif.scenarios import Scenario
from twins.whatif.stopping import StoppingRule
from twins.whatif.tracing import Tracing

BESIDE_STATE: Final = 600
"""Bytes that a run takes of each device beside its twin's state: what it is really like, what is counted, orders."""


class Task(NamedTuple):
    """One replication of an arm."""

    arm: str
    number: int


class Progress(NamedTuple):
    """How far an experiment has come: replications done and wanted so far, and the newest."""

    done: int
    wanted: int
    newest: Task


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that replications need."""

    scenario: Scenario
    fork: Fork
    present: Present = as_known
    forecaster: Forecaster | None = None

    def run(
        self, task: Task, check: Callable[[float], None] = lambda _: None, tracing: Tracing | None = None
    ) -> Outcome:
        """Run one replication."""
        arm = self.scenario.arm(task.arm)
        return replicate(
            self.fork, self.scenario, arm, task.number, self.present,
            forecaster=self.forecaster, tracing=tracing, check=check,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Memory that one replication takes, about."""
        grown = self.fork.nbytes + len(self.fork) * BESIDE_STATE
        return int(grown)


class Runner(Protocol):
    """Runs replications; see ``Local`` and ``ray_runner.RayRunner``."""

    def run(
        self, plan: Plan, tasks: Sequence[Task], check: Callable[[], None]
    ) -> Iterator[tuple[Task, dict[str, pa.Table]]]:
        """Run tasks, in any order; ``check`` is called again and again and ends the run by raising."""
        ...


class Local:
    """Runs replications in this process, one after the other."""

    def run(
        self, plan: Plan, tasks: Sequence[Task], check: Callable[[], None]
    ) -> Iterator[tuple[Task, dict[str, pa.Table]]]:
        for task in tasks:
            yield task, plan.run(task, lambda _: check()).tables


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """A scenario over a fork.

    Attributes
    ----------
    present : says what forked devices are really like; as it is known, for simulated fleets
    forecaster : for policies and rules that go by forecasts
    memory_bytes : that one replication may take; None: whatever there is

    Examples
    --------
    ::

        results = Experiment(scenario, fleet.fork()).run()
        for each in results.compared():
            print(each.arm, each.metric, each.value.value, each.against_reference)
    """

    scenario: Scenario
    fork: Fork
    present: Present = as_known
    forecaster: Forecaster | None = None
    memory_bytes: int | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return Plan(self.scenario, self.fork, self.present, self.forecaster)

    def run(
        self,
        out: Path | None = None,
        runner: Runner | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> Results:
        """Run all replications that are asked for and not there yet.

        Parameters
        ----------
        out : folder of the results; what was begun there is gone on with. None: they are kept in memory
        runner : None: in this process
        progress : told after each replication
        check : called again and again; ends the experiment by raising, and what is done stays

        Raises
        ------
        TooLargeError, RunFolderError, MetricError : nothing was run.
        """
        plan = self.plan
        if self.memory_bytes is not None and plan.nbytes > self.memory_bytes:
            raise TooLargeError(plan.nbytes >> 20, self.memory_bytes >> 20, len(self.fork))
        kept = _Kept(self.scenario) if out is None else _Filed(self, out)
        wanted = self.scenario.replications
        if self.scenario.stopping is not None:
            wanted = self.scenario.stopping.at_least
        while True:
            self._run_up_to(wanted, plan, kept, runner or Local(), progress, check)
            more = 0 if self.scenario.stopping is None else more_wanted(self.scenario, kept.results())
            if more == 0:
                return kept.ended()
            wanted += more

    def rerun(self, arm: str, number: int, device_ids: Sequence[str] = ()) -> Outcome:
        """One replication alone, bit for bit, with every step of some devices, and every table."""
        every = replace(self.scenario, keep=("work", "events", "devices"))
        plan = replace(self.plan, scenario=every)
        return plan.run(Task(arm, number), tracing=Tracing(tuple(device_ids)))

    def _run_up_to(
        self, wanted: int, plan: Plan, kept: "_Kept | _Filed", runner: Runner,
        progress: Callable[[Progress], None], check: Callable[[], None],
    ) -> None:  # fmt: skip
        tasks = [Task(arm.name, number) for number in range(wanted) for arm in self.scenario.arms]
        done = kept.done()
        missing = [task for task in tasks if task not in done]
        finished = len(tasks) - len(missing)
        for task, tables in runner.run(plan, missing, check):
            kept.add(task, tables)
            finished += 1
            progress(Progress(finished, len(tasks), task))


def more_wanted(scenario: Scenario, results: Results) -> int:
    """How many more replications of each arm the stopping rule of a scenario asks for; 0: it is content."""
    said = scenario.stopping
    if said is None:
        return 0
    widths = {"relative": said.half_width} if said.relative else {"absolute": said.half_width}
    rule = StoppingRule(**widths, level=said.level, at_least=said.at_least, at_most=said.at_most, batch=1)
    found = results.values()
    numbers = np.unique(results.tables["runs"]["replication"].to_numpy())
    reference = column(found, said.metric, scenario.reference_arm, numbers)
    others = [arm.name for arm in scenario.arms if arm.name != scenario.reference_arm]
    if not others:
        return stopping.more_wanted(reference, rule)
    apart = [column(found, said.metric, name, numbers) - reference for name in others]
    return max(stopping.more_wanted(each, rule, reference) for each in apart)


class _Kept:
    """Results that are kept in memory."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._parts: dict[Task, dict[str, pa.Table]] = {}

    def done(self) -> set[Task]:
        return set(self._parts)

    def add(self, task: Task, tables: dict[str, pa.Table]) -> None:
        self._parts[task] = tables

    def results(self) -> Results:
        ordered = [
            self._parts[task] for task in sorted(self._parts, key=lambda task: (task.number, task.arm))
        ]
        names = ordered[0].keys() if ordered else ()
        return Results(
            self._scenario, {name: pa.concat_tables([each[name] for each in ordered]) for name in names}
        )

    def ended(self) -> Results:
        return self.results()


class _Filed:
    """Results that are kept in a folder."""

    def __init__(self, experiment: Experiment, out: Path) -> None:
        self._folder = RunFolder(out)
        said = {"twinfold": version("twinfold"), "seed": experiment.scenario.seed, **experiment.manifest}
        self._folder.begin(experiment.scenario, experiment.fork, said, experiment.present)

    def done(self) -> set[Task]:
        return {Task(*each) for each in self._folder.done()}

    def add(self, task: Task, tables: dict[str, pa.Table]) -> None:
        self._folder.add(task.arm, task.number, tables)

    def results(self) -> Results:
        return self._folder.results()

    def ended(self) -> Results:
        if not self._folder.is_ended:
            self._folder.finish()
        return self._folder.results()
