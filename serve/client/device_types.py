"""Device types and their rules: what is in force, their versions, and putting others in force."""

from typing import Final, Literal

from pydantic import RootModel

from serve.client.connection import Connection, Revision, if_match, in_path
from serve.schemas.device_types import (
    Activation,
    Staged,
    TypeChange,
    TypeChanges,
    TypeCheck,
    TypeDetail,
    TypeInfo,
    TypeStanding,
    TypeVersionDetail,
    TypeVersions,
)
from serve.schemas.jobs import JobItem
from serve.schemas.rehearsals import Rehearsal

Part = Literal["type", "rules"]
"""A type with its rules, or its rules alone."""

_YAML: Final = {"Content-Type": "application/yaml"}


class _Types(RootModel[list[TypeInfo]]):
    pass


class DeviceTypes:
    """What can be asked about types. ``part`` says whether it is about the type or its rules alone."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self) -> list[TypeInfo]:
        """Channels, rules, failure modes and maintenance actions of every type in force, by name."""
        return self._ask.get(_Types, "/api/types").root

    def one(self, name: str) -> TypeDetail:
        """One type as it is in force, and its ``standing.revision``."""
        return self._ask.get(TypeDetail, _of(name))

    def versions(self, name: str) -> TypeVersions:
        """Every version, and what was put in force when, by whom and why."""
        return self._ask.get(TypeVersions, _of(name) + "/versions")

    def version(self, name: str, number: int, part: Part = "type") -> TypeVersionDetail:
        return self._ask.get(TypeVersionDetail, f"{_of(name, part)}/versions/{number}")

    def differences(self, name: str, first: int, second: int, part: Part = "type") -> list[TypeChange]:
        """What changes from one version to another."""
        query = {"first": first, "second": second, "part": part}
        return self._ask.get(TypeChanges, _of(name) + "/differences", query).changes

    def export(
        self, name: str, part: Part = "type", version: int | None = None, rules: int | None = None
    ) -> str:
        """The YAML of a file; what is left out is as it is in force."""
        query = {"version": version, "rules": rules}
        return self._ask.ask("GET", _of(name, part) + "/export", query).text

    def check(self, text: str, rules_of: str | None = None) -> TypeCheck:
        """Every problem of a description, with its line, and what it would change; ``rules_of`` a type: of rules alone."""
        path = "/api/types/validate" if rules_of is None else _of(rules_of, "rules") + "/validate"
        answer = self._ask.ask("POST", path, content=text.encode(), headers=_YAML, again=True)
        return TypeCheck.model_validate_json(answer.content)

    def rehearse(
        self, name: str, rules: str, *, days: float = 7.0, devices: int | None = None, seed: int = 0
    ) -> Rehearsal:
        """Which alerts rules would have raised over the last days and which not, from some devices; takes seconds."""
        query = {"days": days, "devices": devices, "seed": seed}
        path = _of(name, "rules") + "/rehearse"
        answer = self._ask.ask("POST", path, query, rules.encode(), _YAML, again=True)
        return Rehearsal.model_validate_json(answer.content)

    def begin_rehearsal(self, name: str, rules: str, *, days: float = 7.0, seed: int = 0) -> JobItem:
        """The same from all devices, as a job; its result reads as a ``Rehearsal``."""
        path, query = _of(name, "rules") + "/rehearsals", {"days": days, "seed": seed}
        answer = self._ask.ask("POST", path, query, rules.encode(), _YAML)
        return JobItem.model_validate_json(answer.content)

    def stage(
        self, name: str, text: str, part: Part = "type", *, revision: Revision, why: str = ""
    ) -> Staged:
        """Import a description, to be activated later."""
        path, headers = _of(name, part) + "/staged", {**_YAML, **if_match(revision)}
        answer = self._ask.ask("PUT", path, {"why": why}, text.encode(), headers)
        return Staged.model_validate_json(answer.content)

    def unstage(self, name: str, part: Part = "type", *, revision: Revision) -> TypeStanding:
        """Do not activate what is staged; its version stays."""
        return self._ask.send(TypeStanding, "DELETE", _of(name, part) + "/staged", revision=revision)

    def activate(self, name: str, activation: Activation, *, revision: Revision) -> TypeStanding:
        """Put versions in force on every host, or on none; without any named, what is staged."""
        return self._ask.send(TypeStanding, "POST", _of(name) + "/activate", activation, revision)


def _of(name: str, part: Part = "type") -> str:
    return f"/api/types/{in_path(name)}" + ("/rules" if part == "rules" else "")
