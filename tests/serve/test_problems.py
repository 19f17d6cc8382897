import importlib
import json
import pkgutil
from types import ModuleType

import pytest

import serve
import training
import twins
from serve.problems import STATUS, fleet_problem
from twins.errors import CommandRefusedError, FleetError, JournalWriteError, OverloadedError

ROOMS = (twins, training, serve)


def modules(room: ModuleType) -> None:
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if found.name not in ("twins.actors", "twins.ray_fleet", "serve.deployments", "serve.replica"):
            importlib.import_module(found.name)


def every_error() -> list[type[FleetError]]:
    for room in ROOMS:
        modules(room)
    rooms = {room.__name__ for room in ROOMS}
    found, waiting = [FleetError], [FleetError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child.__module__.partition(".")[0] in rooms:
                found.append(child)
                waiting.append(child)
    return found


def test_every_error_of_the_tree_is_in_the_table() -> None:
    assert {each.__name__ for each in every_error()} == {each.__name__ for each in STATUS}


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [each.code for each in every_error()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("kind", STATUS)
def test_a_status_says_whose_matter_it_is(kind: type[FleetError]) -> None:
    assert STATUS[kind] in (400, 401, 403, 404, 409, 410, 412, 422, 428, 429, 500, 503, 507)


def test_a_problem_carries_the_facts() -> None:
    answer = fleet_problem(CommandRefusedError("acknowledge", "pump-1:hot:3", "it is back to normal"))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:twinfold:problem:command.refused",
        "title": "The command does not fit the state it met. Nothing was changed",
        "status": 409,
        "detail": "cannot acknowledge 'pump-1:hot:3': it is back to normal",
        "code": "command.refused",
        "command": "acknowledge",
        "subject": "pump-1:hot:3",
        "reason": "it is back to normal",
    }


def test_overload_says_when_to_come_back() -> None:
    answer = fleet_problem(OverloadedError("the journal is full", 2.4))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"


def test_folders_of_the_machine_are_no_facts() -> None:
    body = json.loads(bytes(fleet_problem(JournalWriteError("/data/x", "disk full")).body))
    assert "path" not in body
