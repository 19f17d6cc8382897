"""A small fleet with its edge, in one process: what the tests of this folder ask."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from fastapi import FastAPI

from serve.access import Access
from serve.accounts import Actor, Role
from serve.app import create_app
from serve.config import ApiConfig, database_config
from serve.context import Context
from serve.database import Database
from serve.live import LiveTable, LocalSource
from training import import_jobs, promotion_jobs, rehearsal_jobs, training_jobs, whatif_jobs
from training.history import History
from training.jobs import FOLDER as JOBS_FOLDER
from training.jobs import Jobs
from training.lab import Lab
from training.recorder import JournalSource
from training.registry import FOLDER as MODELS
from training.registry import Registry
from training.training_runs import Worker
from twins.clock import SECOND_US, VirtualClock
from twins.devices import (
    AlertRule,
    Channel,
    Device,
    DeviceCommand,
    DeviceType,
    Effect,
    FailureMode,
    MaintenanceAction,
    Parameter,
    Property,
)
from twins.fleet import FleetConfig, LocalFleet
from twins.readings import ReadingBatch
from twins.whatif.experiments import Local

PASSWORD = "grey heron over the lock gate"
T0 = 1_760_000_000 * SECOND_US

PUMP = DeviceType(
    name="pump",
    version=1,
    title="Pump",
    interval_s=1.0,
    channels=(
        Channel("vibration", "mm/s", low=0, high=50, resolution=0.01),
        Channel("flow", "m3/h", low=0, high=500, resolution=0.1),
        Channel("running", "1", kind="flag", low=0, high=1),
    ),
    rules=(
        AlertRule(
            "vibration-high", "vibration > 7.1", "high", "bearing damage", "plan a repair",
            on_delay_s=0.0, off_delay_s=0.0,
        ),
        AlertRule(
            "dry", "flow < 1", "critical", "seizure", "stop it", on_delay_s=0.0, off_delay_s=0.0, latch=True
        ),
    ),
    failure_modes=(
        FailureMode("bearing-wear", "Bearing wear", 1e-4, effects=(Effect("vibration", shift=8.0),)),
        FailureMode("clogging", rate_per_h=1e-4, effects=(Effect("flow", shift=-100.0),)),
    ),
    actions=(
        MaintenanceAction(
            "replace-bearing", kind="replacement", cost=250.0, duration_h=3.0, resets={"*": 1.0}, relearn=True
        ),
    ),
    properties=(
        Property("speed", unit="{rev}/min", low=1000, high=3000, resolution=1, expires_s=600.0),
        Property("mode", kind="enum", choices=("auto", "manual"), role="engineer"),
        Property("firmware", kind="string", role="nobody"),
    ),
    commands=(
        DeviceCommand("start", expires_s=60.0, repeatable=True),
        DeviceCommand("stop", expires_s=60.0, parameters=(Parameter("ramp_s", unit="s", low=0, high=60),)),
        DeviceCommand("wipe", role="admin"),
    ),
)  # fmt: skip

METER = DeviceType(
    name="meter",
    version=1,
    interval_s=60.0,
    channels=(Channel("energy", "kW.h", kind="counter", dtype="float64", resolution=0.001),),
)

DEVICES = [
    Device(
        f"pump-{i:02d}",
        "pump",
        site="oslo" if i % 2 else "bergen",
        name=f"Pump {i}",
        labels={"line": str(i % 3)},
    )
    for i in range(6)
] + [Device("meter/ås:1", "meter", site="oslo", parent="pump-01")]


@dataclass
class Edge:
    """The app, a client of it, and what stands behind."""

    app: FastAPI
    client: httpx.AsyncClient
    fleet: LocalFleet
    clock: VirtualClock

    @property
    def context(self) -> Context:
        found: Context = self.app.state.context
        return found

    @property
    def token(self) -> dict[str, str]:
        """The header with which ``client`` asks, for sockets."""
        return {"Authorization": self.client.headers["Authorization"]}

    def member(
        self, name: str, role: Role = "operator", sites: Sequence[str] | None = None
    ) -> dict[str, str]:
        """An account of this role, for all sites or some, and the header with which a program of its asks."""
        access = self.context.access
        once = access.accounts.create(name, role, Actor("tests"), sites)
        access.accounts.change_password(name, once, PASSWORD, "")
        begun = access.sessions.log_in(name, PASSWORD, "program")
        return {"Authorization": f"Bearer {access.sessions.access_token(begun.principal)[0]}"}

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.client.get(path, params={k: v for k, v in query.items() if v is not None})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def read(self, device: str, at_s: float, values: dict[str, Any]) -> Any:
        """Send one reading through the API; the clock follows."""
        at_us = T0 + round(at_s * SECOND_US)
        self.clock.advance_to(at_us)
        return await self.post(
            "/api/readings", {"readings": [{"device": device, "time": at_us, "values": values}]}
        )

    async def fresh(self) -> None:
        """Let the live table catch up."""
        await self.context.call(self.context.live.refresh)


def make_fleet(folder: Path, hosts: int = 2) -> LocalFleet:
    """Two types, seven devices, on the disk."""
    fleet = LocalFleet(folder / "hosts", FleetConfig(hosts=hosts), VirtualClock(T0))
    fleet.install(PUMP)
    fleet.install(METER)
    fleet.register(DEVICES)
    return fleet


def make_app(fleet: LocalFleet, folder: Path, **config: Any) -> FastAPI:
    """Its edge. One thread calls the fleet: a fleet in one process is not for several at once."""
    history = History(
        folder / "history",
        [JournalSource(host.name, host.folder / "journal") for host in fleet.shard_hosts() if host.folder],
    )
    settings = ApiConfig(**{"calls": 1, "update_every_s": 0.05, "requests_per_s": 0.0, **config})
    database = Database(database_config("", folder))
    database.migrate()
    access = Access(database, folder / "secrets", fleet.clock)
    models = Registry(folder / MODELS, fleet.clock)
    works = {
        import_jobs.KIND: partial(import_jobs.work, LocalFleet, 1 << 30),  # a fleet of its own
        rehearsal_jobs.KIND: partial(rehearsal_jobs.work, lambda: fleet, history.past),
        promotion_jobs.KIND: partial(promotion_jobs.work, lambda: fleet, history.past, models),
        training_jobs.KIND: partial(
            training_jobs.work, folder, fleet.types.__getitem__, lambda run: Worker(run).work()
        ),
        whatif_jobs.KIND: partial(
            whatif_jobs.work, folder, lambda check: Lab(folder, history, lambda: fleet, check=check), Local
        ),
    }
    jobs = Jobs(folder / JOBS_FOLDER, works)
    return create_app(settings, fleet, history, LiveTable(LocalSource(fleet)), access, jobs, models)


@asynccontextmanager
async def edge(folder: Path, **config: Any) -> AsyncIterator[Edge]:
    """A running edge."""
    with make_fleet(folder) as fleet:
        app = make_app(fleet, folder, **config)
        clock = fleet.clock
        assert isinstance(clock, VirtualClock)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            local = {"Authorization": f"Bearer {app.state.context.access.local.renew()}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=local
            ) as client:
                it = Edge(app, client, fleet, clock)
                await it.fresh()
                await asyncio.sleep(0)
                try:
                    yield it
                finally:
                    app.state.context.jobs.stop()


def pump_batch(devices: list[str], at_s: float, vibration: list[float]) -> ReadingBatch:
    """One line a device."""
    n = len(devices)
    values = np.column_stack([vibration, np.full(n, 100.0), np.ones(n)])
    return ReadingBatch(
        "pump", pa.array(devices), np.arange(n, dtype=np.int32),
        np.full(n, T0 + round(at_s * SECOND_US), np.int64), values,
    )  # fmt: skip
