"""A rehearsal of a whole fleet, as a job: in the order in which devices are drawn, so that what there is of one that was
cancelled is a sample.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from training.comparison import Comparison
from training.jobs import Run
from training.past import Past
from training.rehearsal import Question, drawn, run
from twins.fleet import Fleet
from twins.typefiles import from_document, to_document

KIND: Final = "rehearsal"

_AT_ONCE: Final = 500  # devices


def request(question: Question, seed: int) -> dict[str, Any]:
    """What a job of this kind is asked for."""
    return {
        "before": to_document(question.before),
        "after": to_document(question.after),
        "start_us": question.start_us,
        "end_us": question.end_us,
        "seed": seed,
    }


def work(find: Callable[[], Fleet], past: Callable[[], Past], job: Run) -> Mapping[str, Any]:
    """Do what ``request`` asked for, with all devices of the fleet that ``find`` gives; returns the result as JSON values.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the window is not there any more, or not yet.
    """
    asked = job.job.request
    before, after = (from_document(asked[side]) for side in ("before", "after"))
    question = Question(before, after, asked["start_us"], asked["end_us"])
    ids = drawn(find().live(question.name)["device_id"].to_pylist(), asked["seed"])
    comparison = Comparison(question, len(ids), asked["seed"])
    for first in range(0, len(ids), _AT_ONCE):
        comparison.add(run(past(), question, ids[first : first + _AT_ONCE], job.check))
        done = min(first + _AT_ONCE, len(ids))
        job.tell(done / len(ids), f"{done:,} of {len(ids):,} devices", comparison.as_json())
    return comparison.as_json()
