"""The repair shop of ``twins/whatif`` written anew in SimPy, twice: by the moment, as people would run it, and by the
rule of ``policies.Workshop``, which sends crews out at certain times. Nothing of the engine is used here.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import simpy


@dataclass(frozen=True)
class Shop:
    """Crews, and one kind of part that all work needs; times are in any unit. ``every`` infinite: no work is planned."""

    crews: int
    parts: int
    lead: float
    delay: float
    every: float = math.inf


class Work(NamedTuple):
    """Work on a machine, from its beginning."""

    machine: str
    planned: bool
    asked: float
    begins: float
    ends: float


@dataclass
class Came:
    """What came of it: failures as machine and time, work as it was begun, how long machines stood in all."""

    failures: list[tuple[str, float]] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    down: float = 0.0


@dataclass
class Machine:
    """A machine in its ``number``-th life; ``order`` says whether it is planned, and since when it is asked for."""

    name: str
    repair: float
    life: float = 0.0
    left: float = 0.0
    renewed: float = 0.0
    failed: float | None = None
    order: tuple[bool, float] | None = None
    begins: float | None = None
    stopped: float = 0.0
    number: int = 0


def by_the_moment(
    machines: int, shop: Shop, life: Callable[[random.Random], float], repair: float, horizon: float, seed: int
) -> Came:  # fmt: skip
    """Whatever can begin begins at that moment, failures first; lives and repairs (exponential) are drawn as they come."""
    env, luck, came = simpy.Environment(), random.Random(seed), Came()
    waiting: list[tuple[bool, float, int, simpy.Event]] = []
    crews, parts = [shop.crews], [shop.parts]
    down_since: dict[int, float] = {}

    def send_out() -> None:
        while waiting and crews[0] and parts[0]:
            crews[0] -= 1
            parts[0] -= 1
            env.process(restock())
            waiting.sort(key=lambda each: each[:3])
            waiting.pop(0)[3].succeed()

    def restock() -> Iterator[Any]:
        yield env.timeout(shop.lead)
        parts[0] += 1
        send_out()

    def machine(number: int) -> Iterator[Any]:
        due = luck.uniform(0.0, shop.every) if math.isfinite(shop.every) else math.inf
        while True:
            fails = env.now + life(luck)
            planned = due < fails
            asked = due if planned else fails
            yield env.timeout(asked - env.now)
            if planned:
                order = (True, asked, number, env.event())
                waiting.append(order)
                send_out()
                yield order[3] | env.timeout(fails - env.now)
                planned = order[3].triggered
                if not planned:
                    waiting.remove(order)
            if not planned:
                came.failures.append((str(number), env.now))
                asked = down_since[number] = env.now
                yield env.timeout(shop.delay)
                order = (False, asked, number, env.event())
                waiting.append(order)
                send_out()
                yield order[3]
            began = env.now
            down_since.setdefault(number, began)
            takes = luck.expovariate(1 / repair)
            came.work.append(Work(str(number), planned, asked, began, began + takes))
            yield env.timeout(takes)
            came.down += env.now - down_since.pop(number)
            crews[0] += 1
            send_out()
            due = env.now + shop.every

    for number in range(machines):
        env.process(machine(number))
    env.run(horizon)
    came.down += sum(horizon - since for since in down_since.values())
    return came


def by_windows(machines: Sequence[Machine], shop: Shop, step: int, window: int, horizon: int) -> Came:
    """Crews are sent out at each ``window``: whatever was asked for by then and can begin before the next gets its crew and
    its part at the first moment that has them, failures first, then what was asked for longest, then by machine.

    Lives are known beforehand and on a grid of ``step``: one ends at the end of its last step, one begins with the step in
    which work ended.
    """
    env, came = simpy.Environment(), Came()
    free, shelf = [0.0] * shop.crews, [0.0] * shop.parts

    def grid(at: float) -> float:
        """The beginning of the step in which something happens."""
        return (math.ceil(at / step) - 1) * step

    def fails(m: Machine, at: float, number: int) -> Iterator[Any]:
        yield env.timeout(at - env.now)
        if m.number == number and (m.begins is None or m.begins > env.now):
            m.failed = env.now
            came.failures.append((m.name, env.now))

    def works(m: Machine, begins: float, ends: float) -> Iterator[Any]:
        m.stopped = max(env.now, grid(begins))
        yield env.timeout(ends - env.now)
        came.down += grid(ends) - (m.stopped if m.failed is None else grid(m.failed))
        m.failed = m.begins = None
        m.renewed, m.number = ends, m.number + 1
        env.process(fails(m, grid(ends) + math.ceil(m.life / step) * step, m.number))

    def sends_out() -> Iterator[Any]:
        while env.now < horizon:
            yield env.timeout(0)  # after all else that happens now
            for m in machines:
                if m.begins is not None:
                    continue
                if m.failed is not None:
                    m.order = (False, m.failed)
                elif m.order is None and env.now - m.renewed >= shop.every:
                    m.order = (True, env.now)
            asked = [(m.order, k) for k, m in enumerate(machines) if m.order is not None]
            for (planned, since), k in sorted(asked):
                begins = max(env.now, since if planned else since + shop.delay, min(free), min(shelf))
                if begins >= env.now + window:
                    continue
                m, ends = machines[k], begins + max(step, machines[k].repair)
                free[free.index(min(free))] = ends
                shelf[shelf.index(min(shelf))] = begins + shop.lead
                m.order, m.begins = None, begins
                came.work.append(Work(m.name, planned, since, begins, ends))
                env.process(works(m, begins, ends))
            yield env.timeout(window)

    for m in machines:
        env.process(fails(m, math.ceil(m.left / step) * step, m.number))
    env.process(sends_out())
    env.run(horizon + step / 2)
    for m in machines:
        if m.failed is not None:
            came.down += horizon - grid(m.failed)
        elif m.begins is not None:
            came.down += horizon - m.stopped
    return came
