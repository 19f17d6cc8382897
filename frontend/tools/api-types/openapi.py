"""The schemas of the API's OpenAPI document on standard output, with the socket's messages among them.

OpenAPI has no place for sockets, so their union comes from the models that ``GET /api/events/schema`` shows.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from serve.access import Access
from serve.app import create_app
from serve.config import ApiConfig
from serve.config import database_config
from serve.database import Database
from serve.live import LiveTable, LocalSource
from serve.schemas.stream import ServerMessage, Subscribe
from training.history import History
from training.jobs import Jobs
from training.registry import Registry
from twins.fleet import LocalFleet

REF = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """The document of an app over an empty fleet."""
    with tempfile.TemporaryDirectory() as folder, LocalFleet() as fleet:
        database = Database(database_config("", Path(folder)))
        access = Access(database, Path(folder))
        live, jobs = LiveTable(LocalSource(fleet)), Jobs(Path(folder) / "jobs", {})
        models = Registry(Path(folder) / "models")
        app = create_app(ApiConfig(), fleet, History(Path(folder), []), live, access, jobs, models)
        whole: dict[str, Any] = app.openapi()
    schemas = whole["components"]["schemas"]
    for name, model in (("ServerMessage", TypeAdapter(ServerMessage)), ("Subscribe", TypeAdapter(Subscribe))):
        schema = model.json_schema(ref_template=REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    # Only the bodies: the app asks by path through a client of its own.
    return {**whole, "paths": {}, "components": {"schemas": untitled(schemas)}}


def untitled(node: Any) -> Any:
    """Without the titles that repeat a field's own name."""
    if isinstance(node, dict):
        return {k: untitled(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return [untitled(each) for each in node] if isinstance(node, list) else node


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
