"""A simulated fleet with its API in one process, for working on the app and for its browser tests.

The fleet lives through ``--warm-minutes`` at full speed first, so that baselines are learned and charts have
a past; from then on it moves with the clock. Everything goes through the same doors as on Ray.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster.compiled import use_kernel_cache

use_kernel_cache()  # first of all: numba reads its settings when something imports it

import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402

from serve.access import FOLDER, Access  # noqa: E402
from serve.accounts import Actor  # noqa: E402
from serve.app import create_app  # noqa: E402
from serve.config import ApiConfig, database_config  # noqa: E402
from serve.context import Context  # noqa: E402
from serve.database import Database  # noqa: E402
from serve.live import LiveTable, LocalSource  # noqa: E402
from tests.e2e.models import TYPE, add_models  # noqa: E402
from training import promotion_jobs, rehearsal_jobs, whatif_jobs  # noqa: E402
from training.history import History  # noqa: E402
from training.jobs import Jobs  # noqa: E402
from training.lab import Lab  # noqa: E402
from training.recorder import JournalSource, Recorder  # noqa: E402
from training.registry import FOLDER as MODELS  # noqa: E402
from training.registry import Registry  # noqa: E402
from training.scoring import Scorer  # noqa: E402
from twins.clock import MINUTE_US, SECOND_US, VirtualClock, WallClock  # noqa: E402
from twins.fleet import FleetConfig, LocalFleet  # noqa: E402
from twins.fleetfiles import FleetSpec, load_fleet  # noqa: E402
from twins.host import HostConfig  # noqa: E402
from twins.simulation import Simulator  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402
from twins.whatif.experiments import Local  # noqa: E402

HERE = Path(__file__).resolve().parents[2]
NAME, PASSWORD = "kari", "grey heron over the lock gate"
"""Who may log in: an admin, with a password that everybody knows. This is no platform for others to reach."""

WARM_STEP_US = 5 * SECOND_US
RECORD_EVERY = 120  # steps of warming


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fleet", type=Path, default=HERE / "examples" / "fleets" / "demo.yaml")
    parser.add_argument("--share", type=float, default=1.0, help="of the devices in the file")
    parser.add_argument("--warm-minutes", type=float, default=60.0)
    parser.add_argument("--data", type=Path, default=None, help="an empty folder; else a temporary one")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        data = asked.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        types = load_catalog()
        spec = shrunk(load_fleet(asked.fleet, types), asked.share)
        start_us = time.time_ns() // 1000 - round(asked.warm_minutes * MINUTE_US)
        clock = VirtualClock(start_us)
        fleet = stack.enter_context(
            LocalFleet(data / "hosts", FleetConfig(host=HostConfig(recorded=True)), clock)
        )
        for device_type in types.values():
            fleet.install(device_type)
        simulator = Simulator(spec, types, start_us=start_us)
        fleet.register(simulator.devices)
        sources = [
            JournalSource(host.name, host.folder / "journal") for host in fleet.shard_hosts() if host.folder
        ]
        recorder = Recorder(data / "history", sources)
        warm(fleet, clock, simulator, recorder)
        history = History(data / "history", sources)
        # A fleet in one process is not for several threads at once.
        config = ApiConfig(static=HERE / "serve" / "static", calls=1)
        database = Database(database_config("", data))
        database.migrate()
        access = Access(database, data / FOLDER)
        once = access.accounts.create(NAME, "admin", Actor("devfleet"))
        access.accounts.change_password(NAME, once, PASSWORD, "")
        print(f"log in as {NAME} with: {PASSWORD}", file=sys.stderr, flush=True)
        models = Registry(data / MODELS)
        works = {
            rehearsal_jobs.KIND: partial(rehearsal_jobs.work, lambda: fleet, history.past),
            promotion_jobs.KIND: partial(promotion_jobs.work, lambda: fleet, history.past, models),
            whatif_jobs.KIND: partial(
                whatif_jobs.work, data, lambda check: Lab(data, history, lambda: fleet, check=check), Local
            ),
        }
        jobs = Jobs(data / "jobs", works)
        add_models(models, fleet, time.time_ns() // 1000)
        Scorer(fleet, models).rescore(TYPE, 1)
        app = create_app(config, fleet, history, LiveTable(LocalSource(fleet)), access, jobs, models)
        app.router.lifespan_context = with_simulator(app, fleet, simulator, recorder)
        uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning")


def shrunk(spec: FleetSpec, share: float) -> FleetSpec:
    """The fleet with a share of its devices, at least one in each group."""
    return replace(spec, groups=tuple(replace(g, count=max(1, round(g.count * share))) for g in spec.groups))


def warm(fleet: LocalFleet, clock: VirtualClock, simulator: Simulator, recorder: Recorder) -> None:
    """Let the fleet live up to the present."""
    lines = step = 0
    while clock.now_us() < time.time_ns() // 1000 - WARM_STEP_US:
        clock.advance_by(WARM_STEP_US / SECOND_US)
        lines += move(fleet, simulator, clock.now_us())
        step += 1
        if step % RECORD_EVERY == 0:
            record(fleet, recorder)
            left = (time.time_ns() // 1000 - clock.now_us()) / MINUTE_US
            print(f"{lines:,} readings, {left:.0f} min to go", file=sys.stderr, flush=True)
    record(fleet, recorder)
    fleet.clock = WallClock()


def record(fleet: LocalFleet, recorder: Recorder) -> None:
    """Put everything up to now into history."""
    recorder.step()
    recorder.flush()
    archive(fleet, recorder)


def move(fleet: LocalFleet, simulator: Simulator, now_us: int) -> int:
    """Send what the devices measured up to now, and what people did to them."""
    lines = 0
    for batch in simulator.advance(now_us):
        fleet.write(batch)
        lines += len(batch)
    for command in simulator.take_maintenance():
        fleet.command(command)
    fleet.advance()
    return lines


def archive(fleet: LocalFleet, recorder: Recorder) -> None:
    """Tell each host how far history holds it."""
    for host in fleet.shard_hosts():
        host.archive(recorder.cursors[host.name])


def with_simulator(
    app: FastAPI, fleet: LocalFleet, simulator: Simulator, recorder: Recorder
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    """The app's lifespan, with the fleet moving on and history following."""
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[None]:
        async with inner(running):
            context: Context = running.state.context
            beside = [
                asyncio.create_task(_move_on(context, simulator)),
                asyncio.create_task(_record(context, fleet, recorder)),
            ]
            print("ready", file=sys.stderr, flush=True)
            yield
            for task in beside:
                task.cancel()

    return lifespan


async def _move_on(context: Context, simulator: Simulator) -> None:
    while True:
        now_us = context.fleet.clock.now_us()
        await context.call(move, context.fleet, simulator, now_us)
        await asyncio.sleep(0.5)


async def _record(context: Context, fleet: LocalFleet, recorder: Recorder) -> None:
    while True:
        await asyncio.to_thread(recorder.step)
        await context.call(archive, fleet, recorder)
        await asyncio.sleep(2.0)


if __name__ == "__main__":
    main()
