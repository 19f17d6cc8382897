"""The API keeps its own OpenAPI document: whatever is asked, no fault of the platform's, and no answer of another shape."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serve.access import NEEDED
from tests.serve.edges import make_app, make_fleet

# FastAPI silences this one while it builds a route, which another thread that handles warnings undoes
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ROUTES = [
    route
    for route in NEEDED
    if not route.startswith("WS ") and route not in ("GET /{path:path}", "GET /metrics")
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of an edge that runs, with the token of its own machine."""
    folder = tmp_path_factory.mktemp("contract")
    with make_fleet(folder) as fleet:
        app = make_app(fleet, folder)
        token = app.state.context.access.local.renew()
        app.openapi()  # made here: on a busy machine that takes longer than a client waits
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.02)  # looks again; the deadline is above
        schema = schemathesis.openapi.from_url(
            f"http://127.0.0.1:{port}/api/openapi.json", headers={"Authorization": f"Bearer {token}"}
        )
        schema.config.update(headers={"Authorization": f"Bearer {token}"})
        yield schema
        server.should_exit = True
        thread.join(60)
        app.state.context.jobs.stop()


def ask(asked: Any, route: str, examples: int) -> None:
    """Ask an operation in as many ways, all that its description allows, and hold its answers against that."""
    method, path = route.split(" ")
    operation = asked[path.replace(":path}", "}")][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    answers()


@pytest.mark.parametrize("route", ROUTES)
def test_every_operation_answers_as_it_says(asked: Any, route: str) -> None:
    ask(asked, route, 12)


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("route", ROUTES)
def test_thousands_of_questions(asked: Any, route: str) -> None:
    ask(asked, route, 1_000)
