"""Replications side by side, as Ray tasks.

Fork and scenario go into the object store once and are read there by all. A task that is lost with its process is run
again, to the same result. What is done is handed over as it comes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import ray

from twins.whatif.experiments import Plan, Task
from twins.whatif.forks import Fork

STEPS_AT_ONCE: Final = 4_000_000
"""Steps of devices that a task takes on at least, where there are so many: seconds of work."""

_LOOK_EVERY_S: Final = 0.2


class RayRunner:
    """Runs replications on a Ray cluster that is up.

    Parameters
    ----------
    workers : tasks at once, at most; None: one a core
    memory_bytes : that they may take together; None: whatever there is
    """

    def __init__(self, workers: int | None = None, memory_bytes: int | None = None) -> None:
        self._workers = workers
        self._memory_bytes = memory_bytes

    def run(
        self, plan: Plan, tasks: Sequence[Task], check: Callable[[], None]
    ) -> Iterator[tuple[Task, dict[str, pa.Table]]]:
        """As ``experiments.Runner``; tasks that are under way when ``check`` raises are ended."""
        if not tasks:
            return
        block = ray.put(np.frombuffer(plan.fork.block(), np.uint8))
        rest = ray.put((plan.scenario, plan.present, plan.forecaster))
        waiting = list(_chunks(plan, tasks))
        running: dict[Any, Sequence[Task]] = {}
        most = self._most(plan)
        try:
            while waiting or running:
                check()
                while waiting and len(running) < most:
                    chunk = waiting.pop(0)
                    running[_run.remote(block, rest, chunk)] = chunk
                ready, _ = ray.wait(list(running), timeout=_LOOK_EVERY_S)
                for ref in ready:
                    chunk = running.pop(ref)
                    yield from zip(chunk, ray.get(ref), strict=True)
        finally:
            for ref in running:
                ray.cancel(ref, force=True)

    def _most(self, plan: Plan) -> int:
        workers = self._workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        if self._memory_bytes is None:
            return workers
        return max(1, min(workers, self._memory_bytes // max(1, plan.nbytes)))


@ray.remote(num_cpus=1, max_retries=3)  # type: ignore[untyped-decorator]
def _run(block: Any, rest: Any, chunk: Sequence[Task]) -> list[dict[str, pa.Table]]:
    scenario, present, forecaster = rest
    plan = Plan(scenario, Fork.from_block(memoryview(block)), present, forecaster)
    return [plan.run(task).tables for task in chunk]


def _chunks(plan: Plan, tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """Tasks in the order in which they are run; short ones together."""
    scenario = plan.scenario
    steps = max(1, int(len(plan.fork) * scenario.horizon_h * 3600 / scenario.step_s))
    at_once = max(1, min(STEPS_AT_ONCE // steps, len(tasks) // 4))
    for start in range(0, len(tasks), at_once):
        yield tasks[start : start + at_once]
