"""Whether the platform is up, and how it fares."""

from dataclasses import asdict
from typing import Any

from fastapi import Response

from serve import metrics
from serve.context import Context, InContext, Who
from serve.gate import guarded
from serve.present import as_of, reply
from serve.schemas.base import Problem
from serve.schemas.platform import Healthy, Readiness, SystemInfo
from serve.system import disk, software
from twins.sealing import keyset_of

router = guarded(tags=["platform"])


@router.get("/api/health", response_model=Healthy)
async def health() -> Response:
    """Answers as long as this process does."""
    return reply({"status": "ok"})


@router.get(
    "/api/ready", response_model=Readiness, responses={503: {"model": Readiness}, 429: {"model": Problem}}
)
async def ready(context: InContext, who: Who) -> Response:
    """Whether every host takes readings, and what each says of itself; of how busy it is, who is for all sites is told."""
    hosts = await context.call(context.fleet.status)
    view = context.live.view
    whole = bool(hosts) and all(host.state == "ready" for host in hosts) and bool(view.generations)
    away = {"cursor": None, "archived": None, "journal_bytes": None}
    body = {
        "ready": whole,
        "as_of": as_of(view),
        "hosts": [
            {
                "name": host.name,
                "state": host.state,
                "reason": host.reason,
                "node": host.node,
                "folder": host.home,
                "devices": host.devices,
                "cursor": host.cursor,
                "archived": host.archived,
                "journal_bytes": host.journal_bytes,
                "damage": [str(each) for each in host.damage],
                **(away if host.state == "away" or who.sites is not None else {}),
            }
            for host in hosts
        ],
    }
    return reply(body, 200 if whole else 503)


@router.get("/api/system", response_model=SystemInfo)
async def system(context: InContext) -> Response:
    """What runs beside the hosts, of what version, and what history takes on disk."""
    return reply(await context.call(_system, context))


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus(context: InContext) -> Response:
    """Metrics in Prometheus' text format."""
    hosts = await context.call(context.fleet.status)
    now_us = context.fleet.clock.now_us()
    text = await context.ask(context.metrics.text, context.live.view, hosts, now_us)
    return Response(text, media_type=metrics.CONTENT_TYPE)


def _system(context: Context) -> dict[str, Any]:
    folder, tables = context.history.folder, context.history.storage()
    return {
        "software": software(),
        "encrypted": keyset_of(folder) is not None,
        "services": [asdict(each) for each in context.parts.services()],
        "applications": [asdict(each) for each in context.parts.applications()],
        "storage": {
            **disk(folder.parent),
            "tables": [
                {"name": name, "files": files, "rows": rows, "bytes": size}
                for name, (files, rows, size) in tables.items()
            ],
        },
    }
