"""An import as a job: into a fleet that goes on living meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.importing import Summary, checked, import_into
from training.jobs import Run
from twins.errors import DegradedError, OverloadedError
from twins.fleet import Fleet
from twins.host import HostStatus

KIND: Final = "import"

_RETRY_S: Final = 0.5
_LOOK_EVERY: Final = 8  # batches


def request(mapping: Path, files: Sequence[Path], live: bool) -> dict[str, Any]:
    """What a job of this kind is asked for. The files stay where they are, on the machine with the data folder.

    Raises
    ------
    MappingError, SourceFileError, OSError : a file does not fit or cannot be read.
    """
    checked(mapping, files)
    return {
        "mapping": str(mapping.resolve()),
        "files": [str(file.resolve()) for file in files],
        "live": live,
    }


def work(find: Callable[[], Fleet], journal_bytes: int, run: Run) -> Mapping[str, Any]:
    """Do what ``request`` asked for, in the fleet that ``find`` gives; returns the summary as JSON values.

    Waits where the fleet is busy or a part of it is away, and where the recorder is so far behind that a journal has more
    than ``journal_bytes``: what room is left belongs to readings that come live.
    """
    asked = run.job.request
    batches, done = 0, 0.0

    def take(call: Callable[[], Any]) -> Any:
        while True:
            try:
                return call()
            except (OverloadedError, DegradedError) as error:
                run.tell(done, f"waits: {error}")
                run.wait(error.retry_after_s if isinstance(error, OverloadedError) else _RETRY_S)

    def told(summary: Summary, share: float) -> None:
        nonlocal batches, done
        batches, done = batches + 1, share
        run.tell(share, f"{summary.rows:,} rows", summary.as_json())
        while batches % _LOOK_EVERY == 0 and _is_behind(take(fleet.status), journal_bytes):
            run.tell(share, f"{summary.rows:,} rows; waits for the recorder", summary.as_json())
            run.wait(_RETRY_S)

    fleet = take(find)
    mapping, files = Path(asked["mapping"]), asked["files"]
    return import_into(fleet, mapping, files, live=asked["live"], progress=told, take=take).as_json()


def _is_behind(hosts: Sequence[HostStatus], journal_bytes: int) -> bool:
    return any(host.journal_bytes > journal_bytes and host.cursor > host.archived for host in hosts)
