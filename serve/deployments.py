"""The Ray Serve applications ``api``, ``ingest`` and ``live``: the same app, so that each scales and fails by itself.

What is deployed is made in the replica (``serve/replica.py``): whoever deploys need not load it. The proxy in front is
HAProxy where Ray brings it along; it must be asked for in the environment before Ray is imported, see
``cluster/bringup.py``.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ray import serve as ray_serve
from ray.serve.api import RunTarget
from starlette.types import ASGIApp

from serve.config import ApiConfig, DatabaseConfig
from twins.placement import Placement

API: Final = "api"
INGEST: Final = "ingest"
LIVE: Final = "live"
STATIC: Final = Path(__file__).parent / "static"

_ONGOING: Final = 2_000
_HEALTH_EVERY_S: Final = 5.0
_LAST_REQUESTS_S: Final = 1.0


def applications(
    data: Path,
    config: ApiConfig,
    database: DatabaseConfig,
    placement: Placement | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[RunTarget]:
    """What ``serve.run_many`` is given. The longer path wins: devices go to ``ingest``, browsers' sockets to ``live``,
    all else to ``api``.

    ``placement`` says where hosts live; ``labels`` are those of the node that has ``data``, none: any node.
    """

    def build() -> ASGIApp:
        from serve.replica import build_app

        return build_app(data, config, database, placement)

    options = {
        "num_replicas": 1,
        "max_ongoing_requests": _ONGOING,
        "ray_actor_options": {"num_cpus": 0, "label_selector": dict(labels or {})},
        "health_check_period_s": _HEALTH_EVERY_S,
        "graceful_shutdown_wait_loop_s": _LAST_REQUESTS_S,
        "graceful_shutdown_timeout_s": 2 * _LAST_REQUESTS_S,  # sockets never end by themselves
        "logging_config": {"enable_access_log": False},  # requests are counted; a line for each costs a write
    }
    targets = []
    for name, prefix in ((API, "/"), (INGEST, "/ingest"), (LIVE, "/api/live")):
        replica = ray_serve.deployment(name=name, **options)(ray_serve.ingress(build)())
        targets.append(RunTarget(replica.bind(), name, prefix))
    return targets


def run_applications(
    data: Path,
    host: str,
    port: int,
    config: ApiConfig,
    database: DatabaseConfig,
    placement: Placement | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Deploy all and wait until they answer under ``http://host:port`` of the cluster's head."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ray_serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
    static = STATIC if (STATIC / "index.html").is_file() else None
    ray_serve.run_many(applications(data, replace(config, static=static), database, placement, labels))


def stop_applications() -> None:
    """Take them down; requests under way are finished first."""
    ray_serve.shutdown()
