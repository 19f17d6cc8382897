"""The catalogue's owner: puts versions of types and rules in force, and says what is.

What is in force the journals tell, since every installation goes through them on every host; who wanted it, when and
why is in the database. Where the two differ (a database that was lost, or restored from before) the journals are right,
and what they hold is written into the database anew. Files are imports: one that changed is put in force at the next
start, unless people have put something else in force since.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from serve.differences import Change, differences
from serve.versions import Head, Installation, Part, Source, State, Version, Versions
from twins.clock import SECOND_US
from twins.devices import DeviceType
from twins.errors import (
    CommandRefusedError,
    DescriptionError,
    DeviceTypeNotFoundError,
    FilterError,
    FleetError,
)
from twins.fleet import Fleet
from twins.rules import compile_rules
from twins.typefiles import CATALOG, FoundTypes, document_hash, from_document, to_document

SYSTEM: Final = "system"
UNKNOWN: Final = "unknown"

_UNDER_WAY_US: Final = 60 * SECOND_US
_NOT_TOLD: Final = "it was in force on the hosts, and the database did not know of it"

_log = logging.getLogger("twinfold.catalogue")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a type stands: what is in force, and what else is known of it."""

    device_type: DeviceType
    installation: Installation
    head: Head


class Catalogue:
    """Types and rules: from a version to what every host does.

    Parameters
    ----------
    versions : the store
    fleet : where types are put in force
    """

    def __init__(self, versions: Versions, fleet: Fleet) -> None:
        self.versions = versions
        self._fleet = fleet

    # -- looking ---------------------------------------------------------------------------------------------------

    def standing(self, name: str) -> Standing:
        """How a type stands.

        Raises
        ------
        DeviceTypeNotFoundError : it is not in force.
        """
        if name not in self._fleet.types:
            raise DeviceTypeNotFoundError(name, tuple(sorted(self._fleet.types)))
        installation = self._known(name)
        return Standing(self._fleet.types[name], installation, self.versions.head(name))

    def combined(
        self, name: str, type_number: int | None = None, rules_number: int | None = None
    ) -> DeviceType:
        """The type that a pair of versions makes; what is left out is as it is in force.

        Raises
        ------
        DeviceTypeNotFoundError, TypeVersionNotFoundError : there is no such thing.
        DeviceTypeError : the rules do not fit the type.
        """
        if type_number is None or rules_number is None:
            installation = self.standing(name).installation
            type_number = type_number or installation.type_number
            rules_number = rules_number or installation.rules_number
        return combined(
            self.versions.version(name, "type", type_number),
            self.versions.version(name, "rules", rules_number),
        )

    def differences(self, name: str, part: Part, first: int, second: int) -> list[Change]:
        """What changes from one version of a part to another."""
        before, after = (self.versions.version(name, part, number).document for number in (first, second))
        return differences(before, after)

    def check(self, device_type: DeviceType) -> None:
        """Refuse what could not be put in force now.

        Raises
        ------
        CommandRefusedError : its rules ask for too much together, or devices report other channels.
        """
        try:
            compile_rules(device_type)
        except FilterError as error:
            raise CommandRefusedError("activate", device_type.name, str(error)) from error
        self._fleet.check_install(device_type)

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(
        self,
        device_type: DeviceType,
        source: Source,
        by: str,
        why: str,
        expected: int | None = None,
        stage: bool = False,
    ) -> tuple[Version, Version]:
        """The versions of a whole type, new ones where its content is; staged if asked for."""
        name = device_type.name
        type_document, rules_document = parted(device_type)
        if stage:
            first = self.versions.stage(name, "type", type_document, source, by, why, expected)
            return first, self.versions.stage(name, "rules", rules_document, source, by, why, None)
        return (
            self.versions.add(name, "type", type_document, source, by, why),
            self.versions.add(name, "rules", rules_document, source, by, why),
        )

    def activate(
        self,
        name: str,
        by: str,
        why: str = "",
        *,
        type_number: int | None = None,
        rules_number: int | None = None,
        expected: int | None = None,
    ) -> Installation:
        """Put a pair of versions in force on every host, or on none; an older one, too. What is left out stays.

        What is in force already is left alone.

        Raises
        ------
        DeviceTypeNotFoundError, TypeVersionNotFoundError : there is no such thing.
        RevisionConflictError : the type changed since ``expected``.
        VersionConflictError : somebody else is at it.
        CommandRefusedError, DeviceTypeError : it does not fit; nothing was changed.
        DegradedError : a host could not take it; what was in force is again, as far as hosts answer.
        """
        device_type = self.combined(name, type_number, rules_number)
        current = self._known(name) if name in self._fleet.types else None
        if type_number is None or rules_number is None:
            assert current is not None  # else there was nothing to combine with
            type_number = type_number or current.type_number
            rules_number = rules_number or current.rules_number
        if current is not None and (current.type_number, current.rules_number) == (type_number, rules_number):
            return current
        self.check(device_type)
        begun = self.versions.begin(
            name, 1 if current is None else current.number + 1, type_number, rules_number, by, why, expected,
            _UNDER_WAY_US,
        )  # fmt: skip
        return self._install(replace(device_type, version=begun.number), begun)

    def begin(self, found: FoundTypes) -> list[str]:
        """At a start: end what was begun, learn what the hosts have in force, take in what files say.

        Nothing that is wrong with one type keeps the others away. Gives what a person should be told, a line each.
        """
        told = [f"left out: {each}" for problem in found.problems for each in str(problem).splitlines()]
        for name in {**self._fleet.types, **found.types}:
            try:
                self._end_what_was_begun(name)
                if name in self._fleet.types:
                    self._known(name)
                if name in found.types:
                    told += self._take_file(name, found)
            except FleetError as error:
                told.append(f"{name} stays as it is: {error}")
        return told

    # -- inside ----------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> Installation:
        """What the database says of a type as it is in force; written there first where it does not."""
        known = self._recorded(self._fleet.types[name])
        if known is None:  # perhaps another process has installed something just now
            self._fleet.learn_types(self._fleet.hosts()[0])
            known = self._recorded(self._fleet.types[name])
        if known is not None:
            return known
        device_type = self._fleet.types[name]
        _log.warning("%s: version %d is in force and was not known here", name, device_type.version)
        type_document, rules_document = parted(device_type)
        first = self.versions.add(name, "type", type_document, "hosts", UNKNOWN, _NOT_TOLD)
        second = self.versions.add(name, "rules", rules_document, "hosts", UNKNOWN, _NOT_TOLD)
        return self.versions.found(name, device_type.version, first.number, second.number, UNKNOWN, _NOT_TOLD)

    def _recorded(self, device_type: DeviceType) -> Installation | None:
        """The installation by which a type came in force, if the database has it."""
        hashes = [document_hash(document) for document in parted(device_type)]
        for each in (self.versions.in_force(device_type.name), self.versions.last(device_type.name)):
            counts = each is not None and each.state in ("in_force", "begun")
            if each and counts and each.number == device_type.version and self._hashes(each) == hashes:
                return each
        return None

    def _hashes(self, installation: Installation) -> list[str]:
        name = installation.name
        return [
            self.versions.version(name, "type", installation.type_number).hash,
            self.versions.version(name, "rules", installation.rules_number).hash,
        ]

    def _install(self, device_type: DeviceType, begun: Installation) -> Installation:
        before = self._fleet.types.get(device_type.name)
        try:
            self._fleet.install(device_type, begun.by)
        except Exception as error:
            state: State = "failed"
            if not isinstance(error, CommandRefusedError) and before is not None:
                try:
                    self._fleet.install(before, SYSTEM)
                except FleetError:  # the next start does
                    state = "torn"
            self.versions.end(begun, state, str(error))
            raise
        self.versions.end(begun, "in_force")
        return replace(begun, state="in_force")

    def _end_what_was_begun(self, name: str) -> None:
        """A platform that was stopped meanwhile may have left the hosts with different versions."""
        last = self.versions.last(name)
        if last is None or last.state not in ("begun", "torn"):
            return
        wanted = last if last.state == "begun" else self.versions.in_force(name)
        if wanted is None:
            self.versions.end(last, "failed", last.problem)
            return
        pair = combined(
            self.versions.version(name, "type", wanted.type_number),
            self.versions.version(name, "rules", wanted.rules_number),
        )
        self._fleet.install(replace(pair, version=wanted.number), wanted.by)
        self.versions.end(last, "in_force" if last.state == "begun" else "failed", last.problem)

    def _take_file(self, name: str, found: FoundTypes) -> list[str]:
        """Put what a type's file says in force, part by part, where nobody has put something else there."""
        head, file = self.versions.head(name), found.files[name]
        if head.file in {problem.source for problem in found.problems}:
            return []  # its own file cannot be read: another one of the same name is not what was meant
        source: Source = "built-in" if file.parent == CATALOG else "file"
        first, second = self.add(found.types[name], source, SYSTEM, f"as {file.name} has it")
        told: list[str] = []
        if name not in self._fleet.types:
            self.activate(
                name, SYSTEM, f"new in {file.name}", type_number=first.number, rules_number=second.number
            )
        else:
            current = self._known(name)
            wanted = {"type": current.type_number, "rules": current.rules_number}
            for version, before in ((first, head.file_type), (second, head.file_rules)):
                if wanted[version.part] == before:
                    wanted[version.part] = version.number
                elif version.number not in (before, wanted[version.part]):
                    told.append(self._kept(version, wanted[version.part], file))
            if wanted != {"type": current.type_number, "rules": current.rules_number}:
                why = f"{file.name} changed"
                self.activate(name, SYSTEM, why, type_number=wanted["type"], rules_number=wanted["rules"])
        self.versions.remember_file(name, str(file), first.number, second.number)
        return told

    def _kept(self, offered: Version, number: int, file: Path) -> str:
        kept = self.versions.version(offered.name, offered.part, number)
        what = "rules" if offered.part == "rules" else "version"
        option = f"--rules {offered.number}" if offered.part == "rules" else f"{offered.number}"
        return (
            f"{offered.name}: {what} {number} by {kept.by} {'stay' if what == 'rules' else 'stays'} in force, "
            f"though {file.name} says something else; `twinfold types activate {offered.name} {option}` takes that"
        )


def parted(device_type: DeviceType) -> tuple[dict[str, Any], list[Any]]:
    """A type's two parts as JSON values: all but version and rules, and the rules."""
    document = to_document(device_type)
    del document["version"]
    rules: list[Any] = document.pop("rules", [])
    return document, rules


def combined(type_version: Version, rules_version: Version) -> DeviceType:
    """The type that two versions make.

    Raises
    ------
    DeviceTypeError : the rules do not fit the type.
    """
    document: Mapping[str, Any] = {**type_version.document, "version": 1, "rules": rules_version.document}
    pair = f"{type_version.name} {type_version.number} with rules {rules_version.number}"
    return from_document(document, pair)


def problems_of(error: DescriptionError) -> Sequence[tuple[int, str, str]]:
    """Everything that a description has wrong: line, problem, remedy."""
    return ((error.line, error.problem, error.remedy), *error.more)
