"""The edge as one ASGI application, from parts that are handed to it. No Ray, environment or globals."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from fastapi import Depends, FastAPI

from serve.access import Access
from serve.built_app import serve_built_app
from serve.config import ApiConfig
from serve.context import Context
from serve.gate import Gate, authorize, tell_refusals
from serve.guards import Guard
from serve.live import LiveTable
from serve.openapi import describe
from serve.outcomes import score
from serve.preconditions import NotModified
from serve.problems import install_handlers
from serve.push import Hub, Journals, PolledJournals
from serve.refusals import RefusalLog
from serve.routes import ROUTERS
from serve.system import NoParts, Parts
from training.history import History
from training.jobs import Runner
from training.registry import Registry
from twins.errors import FleetError
from twins.fleet import Fleet

VERSION: Final = "0.1.0"

_SCORE_EVERY_S: Final = 600.0

_log = logging.getLogger("twinfold.api")


def create_app(
    config: ApiConfig,
    fleet: Fleet,
    history: History,
    live: LiveTable,
    access: Access,
    jobs: Runner,
    models: Registry,
    journals: Callable[[Context], Journals] = PolledJournals,
    parts: Parts | None = None,
) -> FastAPI:
    """The API and the built app.

    Parameters
    ----------
    config : how it behaves
    fleet : where readings and commands go
    history : where the past is read from
    live : the live table; the app keeps it fresh
    access : who may do what; the tables of its database are up to date
    jobs : who runs what takes long
    models : versions of trained models, and which are in force
    journals : how push follows the journals
    parts : where what runs beside the hosts is asked; None: nothing does
    """
    context = Context(config, fleet, history, live, access, jobs, models, parts or NoParts())
    hub = Hub(context, journals(context))
    refusals = RefusalLog()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        kept = (
            _keep_fresh(context, hub),
            _keep_known(context),
            _keep_told(context, refusals),
            _keep_scored(context),
        )
        keepers = [asyncio.create_task(each) for each in kept]
        try:
            yield
        finally:
            for keeper in keepers:
                keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeper
            await hub.close()
            await tell_refusals(context, refusals, is_last=True)
            context.close()

    app = FastAPI(
        title="Twinfold",
        version=VERSION,
        summary="Live digital twins for IoT fleets",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        dependencies=[Depends(authorize)],
    )
    app.state.context = context
    app.state.hub = hub
    install_handlers(app)
    for router in ROUTERS:  # each has all that belongs to it, so nothing is built again for this app
        app.router.routes.extend(router.routes)
    if config.static is not None:
        serve_built_app(app, config.static)
    describe(app)
    app.add_middleware(NotModified)
    app.add_middleware(Gate, context=context, refusals=refusals)
    app.add_middleware(
        Guard,
        hosts=config.hosts,
        body_bytes=config.body_bytes,
        admission=context.admission,
        body_s=config.body_s,
        over_tls=bool(config.public),
        metrics=context.metrics,
    )
    return app


async def _keep_known(context: Context) -> None:
    """Learn again and again what others registered and installed. Whoever needs it sooner asks by himself."""
    while True:
        with contextlib.suppress(FleetError):
            await context.call(context.fleet.refresh)
        await asyncio.sleep(context.config.update_every_s)


async def _keep_told(context: Context, refusals: RefusalLog) -> None:
    """Say in the audit how often rights were refused, also where nobody is refused anything any more."""
    while True:
        await tell_refusals(context, refusals)
        await asyncio.sleep(context.config.update_every_s)


async def _keep_scored(context: Context) -> None:
    """Find out what came of decisions, again and again; where several replicas do, they find the same."""
    while True:
        try:
            now_us = context.fleet.clock.now_us()
            await context.call(score, context.decisions, context.history, context.fleet.types, now_us)
        except FleetError as error:
            _log.warning("what came of decisions is not known at present: %s", error)
        except Exception:
            _log.exception("what came of decisions is not known at present")
        await asyncio.sleep(_SCORE_EVERY_S)


async def _keep_fresh(context: Context, hub: Hub) -> None:
    """Move the live table on, and tell everyone, for as long as the app runs."""
    failed = False
    while True:
        try:
            view = await context.call(context.live.refresh)
            await hub.show(view)
            failed = False
        except FleetError as error:
            if not failed:
                _log.warning("the live table stands still: %s", error)
            failed = True
        except Exception:
            if not failed:
                _log.exception("the live table stands still")
            failed = True
        await asyncio.sleep(context.config.update_every_s)
