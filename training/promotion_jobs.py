"""A promotion report of a whole fleet, as a job: in the order in which devices are drawn, so that what there is of one that
was cancelled is a sample.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from training.jobs import Run
from training.past import Past
from training.promotion import Candidacy, Versions, compared, ran, report
from training.registry import Registry
from training.rehearsal import drawn
from twins.fleet import Fleet
from twins.typefiles import from_document, to_document

KIND: Final = "promotion"

_AT_ONCE: Final = 500  # devices


def request(candidacy: Candidacy, seed: int) -> dict[str, Any]:
    """What a job of this kind is asked for."""
    return {
        "type": candidacy.device_type.name,
        "document": to_document(candidacy.device_type),
        "candidate": candidacy.candidate,
        "in_force": candidacy.in_force,
        "start_us": candidacy.start_us,
        "end_us": candidacy.end_us,
        "seed": seed,
    }


def work(
    find: Callable[[], Fleet], past: Callable[[], Past], registry: Registry, job: Run
) -> Mapping[str, Any]:
    """Do what ``request`` asked for, with all devices of the fleet that ``find`` gives; returns the report as JSON values.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the window is not there any more, or not yet.
    ModelNotFoundError, ModelDamagedError, ModelFormatError, ModelUnfitError : a version cannot be asked.
    """
    asked = job.job.request
    candidacy = Candidacy(
        from_document(asked["document"]),
        asked["candidate"],
        asked["in_force"],
        asked["start_us"],
        asked["end_us"],
    )
    if not candidacy.rules:
        return report(candidacy, None)
    versions = Versions(registry, candidacy)
    ids = drawn(find().live(candidacy.device_type.name)["device_id"].to_pylist(), asked["seed"])
    comparison = compared(candidacy, len(ids), asked["seed"])
    for first in range(0, len(ids), _AT_ONCE):
        comparison.add(ran(past(), versions, candidacy, ids[first : first + _AT_ONCE], job.check))
        done = min(first + _AT_ONCE, len(ids))
        told = report(candidacy, comparison.as_json())
        job.tell(done / len(ids), f"{done:,} of {len(ids):,} devices", told)
    return report(candidacy, comparison.as_json())
