"""The OpenAPI document: what FastAPI writes, with what each route needs."""

from typing import Any, Final

from fastapi import FastAPI

from serve.access import NEEDED
from serve.examples import add_examples
from serve.problems import MEDIA_TYPE

_SCHEMES: Final[dict[str, Any]] = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "twinfold-session",
        "description": "a browser's; changes also take the header `X-Requested-With: twinfold`",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "from `POST /api/login`, good for ten minutes; `POST /api/refresh` gives the next",
    },
    "device_key": {"type": "http", "scheme": "bearer", "description": "`tfk_…`; may only send readings"},
    "metrics_key": {"type": "http", "scheme": "bearer", "description": "`tfk_…`; may only read metrics"},
}
_PROBLEM: Final[dict[str, Any]] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_KEYS: Final[dict[str | None, list[dict[str, list[str]]]]] = {
    "sender": [{"device_key": []}], "collector": [{"metrics_key": []}],
}  # fmt: skip
_UNCHANGED: Final = {"description": "what an ETag in `If-None-Match` names still holds; no body"}
_ANYONE: Final[list[dict[str, list[str]]]] = [{}]
_PEOPLE: Final[list[dict[str, list[str]]]] = [{"token": []}, {"session": []}]


def describe(app: FastAPI) -> None:
    """Have the app's document say who may come in where."""
    written = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = written()
            components = found.setdefault("components", {})
            components["securitySchemes"] = _SCHEMES
            for unused in ("HTTPValidationError", "ValidationError"):
                components.get("schemas", {}).pop(unused, None)
            for path, operations in app_paths(found):
                for method, operation in operations.items():
                    need, reach = NEEDED.get(f"{method.upper()} {path}", (None, None))
                    operation["security"] = _ANYONE if need == "anyone" else [*_KEYS.get(need, []), *_PEOPLE]
                    operation["x-needs"] = need
                    operation["x-reach"] = reach
                    operation["responses"] = _with_problems(operation["responses"])
                    if method == "get" and need != "anyone":
                        operation["responses"].setdefault("304", _UNCHANGED)
                    add_examples(operation, components.get("schemas", {}))
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way FastAPI documents


def _with_problems(responses: dict[str, Any]) -> dict[str, Any]:
    """The responses of an operation; every refusal is a problem document, of whichever status."""
    documented = {**responses, "default": {"description": "a refusal", "content": _PROBLEM}}
    for status, response in responses.items():
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith(("/Problem", "/HTTPValidationError")):
            rest = {kind: said for kind, said in content.items() if kind != "application/json"}
            documented[status] = {**response, "content": {**rest, **_PROBLEM}}
    return documented


def app_paths(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The paths of a document as the table has them: with the convertors that OpenAPI leaves out."""
    declared = {place.partition(" ")[2].replace(":path}", "}"): place.partition(" ")[2] for place in NEEDED}
    return [(declared.get(path, path), operations) for path, operations in document["paths"].items()]
