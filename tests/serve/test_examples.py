"""The API's document shows an example of every body, and each fits its schema."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from docs.reference.build import api_document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return api_document()


def bodies(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Where each JSON body of a request or reply stands, and what is said of it."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            said = {"request": operation.get("requestBody", {})}
            said.update({s: reply for s, reply in operation["responses"].items() if s.startswith("2")})
            for part, body in said.items():
                for kind, content in body.get("content", {}).items():
                    if "json" in kind and "ndjson" not in kind:
                        found.append((f"{method} {path} {part}", content))
    return found


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    wrong = []
    for place, content in bodies(document):
        shown = [content["example"]] if "example" in content else []
        shown += [each["value"] for each in content.get("examples", {}).values()]
        if not shown:
            wrong.append(f"{place}: no example")
        validator = Draft202012Validator({**content["schema"], "components": document["components"]})
        for example in shown:
            wrong += [
                f"{place}: {error.json_path} {error.message}" for error in validator.iter_errors(example)
            ]
    assert wrong == []


def test_lists_page_with_the_same_words(document: dict[str, Any]) -> None:
    for path in ("/api/devices", "/api/alerts", "/api/maintenance", "/api/recommendations"):
        operation = document["paths"][path]["get"]
        named = {each["name"] for each in operation["parameters"]}
        assert {"filter", "limit", "after", "before", "offset"} <= named
        (content,) = operation["responses"]["200"]["content"].values()
        page = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert {"items", "total", "as_of", "next", "previous"} <= set(page["properties"])


def test_every_operation_documents_its_refusals_alike(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, reply in operation["responses"].items():
                if status == "default" or status[0] in "45":
                    (schema,) = [content["schema"] for content in reply["content"].values()]
                    assert "application/problem+json" in reply["content"] or status == "503"
                    assert schema
