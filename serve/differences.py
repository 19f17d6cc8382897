"""What changes from one document to another, as a list that a person reads: where, before, after.

Lists of things with names are compared by name, so that a rule put in front of others is one change and not many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_KEYS: Final = ("name", "channel")
"""What tells the items of a list apart, the first that all of them have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``before`` or ``after`` is None where there is nothing (documents hold no nulls)."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> list[Change]:
    """All changes from ``before`` to ``after``, JSON values, in the order of the documents.

    Examples
    --------
    >>> differences([{"name": "hot", "limit": 80}], [{"name": "hot", "limit": 90}])
    [Change(path='hot.limit', before=80, after=90)]
    """
    first, second = _by_key(before), _by_key(after)
    if first is None or second is None or isinstance(before, Mapping) != isinstance(after, Mapping):
        return [] if before == after else [Change(path, before, after)]
    changes: list[Change] = []
    for key in (*first, *(key for key in second if key not in first)):
        place = f"{path}.{key}" if path else key
        if key in first and key in second:
            changes += differences(first[key], second[key], place)
        else:
            changes.append(Change(place, first.get(key), second.get(key)))
    if not isinstance(before, Mapping) and not changes and list(first) != list(second):
        changes.append(Change(path, list(first), list(second)))  # the same ones in another order
    return changes


def _by_key(document: Any) -> Mapping[str, Any] | None:
    """A mapping, or a list of mappings by what tells them apart; None for anything else."""
    if isinstance(document, Mapping):
        return document
    if not isinstance(document, Sequence) or isinstance(document, str):
        return None
    for key in _KEYS:
        if all(isinstance(item, Mapping) and isinstance(item.get(key), str) for item in document):
            found = {item[key]: item for item in document}
            return found if len(found) == len(document) else None
    return None
