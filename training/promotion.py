"""What putting another version in force would change: which past alerts would have appeared, vanished or moved.

Twins are rebuilt as they were at the beginning of a window, and the same entries run through two shards under the same
rules (``rehearsal.py``). Each is told, hour by hour, what its version says of it; what was told then is left out. So the
comparison is paired and depends on the versions alone. It is one of alert rules that ask for a forecast: no others can
differ.

A candidate may have learned from the very window. Devices that it was learned from are judged by trees that have not seen
them, so this is no look into the answers, but it knows more of the fleet than it would have known then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from training.comparison import Comparison
from training.past import Past
from training.rebuilding import Rebuilding
from training.registry import Registry
from training.rehearsal import Question, Ran, Telling, drawn, fitted, run
from training.scoring import Loaded, Resolution, changed, load, prognoses
from twins.clock import HOUR_US
from twins.devices import DeviceType
from twins.rules import scores_in_use
from twins.service import scorable
from twins.shard import Shard

EVERY_US: Final = HOUR_US
"""How often twins are told a forecast."""

_AT_ONCE: Final = 32_768


@dataclass(frozen=True, slots=True)
class Candidacy:
    """A version of a type's model that is to take the place of another, over a window of shard time.

    ``in_force`` is the version whose place it is to take; None: nothing was forecast.
    """

    device_type: DeviceType
    candidate: int
    in_force: int | None
    start_us: int
    end_us: int

    @property
    def rules(self) -> tuple[str, ...]:
        """The alert rules that ask for a forecast."""
        return tuple(rule.name for rule in _asking(self.device_type).rules)

    @property
    def question(self) -> Question:
        return Question(self.device_type, self.device_type, self.start_us, self.end_us)


class Versions:
    """Tells twins what two versions say of them.

    Raises
    ------
    ModelNotFoundError, ModelDamagedError, ModelFormatError, ModelUnfitError : one of them cannot be asked.
    """

    def __init__(self, registry: Registry, candidacy: Candidacy) -> None:
        name = candidacy.device_type.name
        sides = (candidacy.in_force, candidacy.candidate)
        self._loaded = [None if version is None else load(registry, name, version) for version in sides]

    def telling(self) -> Telling:
        """Who tells the twins of one actor: at the beginning, and when an hour has passed since the last time."""
        next_us: int | None = None

        def tell(before: Rebuilding, after: Rebuilding, now_us: int) -> None:
            nonlocal next_us
            if next_us is None:
                next_us = now_us
            if now_us < next_us:
                return
            at_us = now_us - (now_us - next_us) % EVERY_US
            next_us = at_us + EVERY_US
            for loaded, work in zip(self._loaded, (before, after), strict=True):
                if loaded is not None and work.shard is not None:
                    _tell(loaded, work.shard, at_us)

        return tell


def sampled(
    past: Past, registry: Registry, candidacy: Candidacy, ids: Sequence[str], seed: int, devices: int | None = None
) -> dict[str, Any]:  # fmt: skip
    """The report from some of the devices, as JSON values, within seconds; ``devices``: from how many. See ``report``.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the window is not there any more, or not yet.
    ModelNotFoundError, ModelDamagedError, ModelFormatError, ModelUnfitError : a version cannot be asked.
    """
    if not candidacy.rules:
        return report(candidacy, None)
    versions = Versions(registry, candidacy)
    chosen, fitting, shortened = fitted(past, candidacy.question, drawn(ids, seed), devices)
    part = replace(candidacy, start_us=fitting.start_us)
    comparison = compared(part, len(ids), seed)
    comparison.add(ran(past, versions, part, chosen))
    return report(candidacy, comparison.as_json(shortened))


def report(candidacy: Candidacy, found: dict[str, Any] | None) -> dict[str, Any]:
    """What is told, as JSON values: ``type``, ``candidate``, ``in_force``, the ``rules`` that ask for a forecast and, if
    there are any, the ``comparison``, see ``Comparison.as_json``.
    """
    return {
        "type": candidacy.device_type.name,
        "candidate": candidacy.candidate,
        "in_force": candidacy.in_force,
        "rules": list(candidacy.rules),
        "comparison": found,
    }


def compared(candidacy: Candidacy, population: int, seed: int) -> Comparison:
    """A comparison of the alerts of rules that ask for a forecast."""
    asking = _asking(candidacy.device_type)
    return Comparison(replace(candidacy.question, before=asking, after=asking), population, seed)


def ran(
    past: Past, versions: Versions, candidacy: Candidacy, ids: Sequence[str], check: Callable[[], None] = lambda: None
) -> Ran:  # fmt: skip
    """What comes of running some devices under both versions, of rules that ask for a forecast; raises as ``run`` does."""
    found = run(past, candidacy.question, ids, check, versions.telling)
    rules = set(candidacy.rules)
    return found._replace(pairs=[pair for pair in found.pairs if pair.rule in rules])


# -- inside --------------------------------------------------------------------------------------------------------


def _asking(device_type: DeviceType) -> DeviceType:
    """The type with those of its rules that ask for a forecast."""
    asking = (rule for rule in device_type.rules if scores_in_use(replace(device_type, rules=(rule,))))
    return replace(device_type, rules=tuple(asking))


def _tell(loaded: Loaded, shard: Shard, at_us: int) -> None:
    """Have a shard's twins know what a version says of them, as far as that is new."""
    for first in range(0, len(shard), _AT_ONCE):
        found = scorable(shard, first, _AT_ONCE, with_ids=True)
        if found is None or not len(found.rows):
            continue
        told = prognoses(loaded, shard.device_type, found)
        shard.score(told.where(changed(found.said, told, Resolution())), at_us)
