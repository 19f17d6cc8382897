"""What can go wrong with the past, continuing the tree of ``twins/errors.py``.

::

    FleetError
    ├── DescriptionError
    │   └── MappingError           a mapping file is wrong: file, line, remedy
    ├── SourceFileError            a data file cannot be read as its mapping says
    ├── JobNotFoundError           no such job
    ├── JobEndedError              a job that has ended already cannot be cancelled
    ├── JobFailedError             a job that was waited for has failed, or was cancelled
    ├── ExperimentNotFoundError    no such experiment of the what-if lab
    ├── ExperimentUnderWayError    an experiment that has not ended cannot be deleted
    ├── ModelNotFoundError         no such version of a model
    ├── ModelDamagedError          what is kept of a model is not what was written
    ├── ModelFormatError           a newer Twinfold wrote what is kept of a model
    ├── NoFormerModelError         there is no version to go back to
    ├── NoChampionError            no model of the type is in force
    ├── ModelUnfitError            a version of a model is not of the type as it is now
    ├── TooFewFailuresError        history tells of too few failures to learn from
    ├── NothingToCompareError  no device of the type lived at a moment that was to be compared
    ├── TrainingFailedError        a training run ended without a model
    └── HistoryError               a table of history cannot be read or written
        ├── HistoryConflictError   another recorder writes the same history
        ├── HistoryBehindError     journal entries are gone that history does not have
        ├── MomentNotKeptError     what it takes to rebuild a twin as of then is no longer there
        ├── MomentAheadError       history does not reach so far, and the journal is not at hand
        └── UpkeepError            part of keeping history in order failed
"""

from datetime import UTC, datetime

from twins.errors import DescriptionError, FleetError


class MappingError(DescriptionError):
    """A mapping file cannot be used as it stands, or does not fit a file that it is used on."""

    code = "mapping.invalid"


class SourceFileError(FleetError):
    """A data file that cannot be read. Single bad rows are counted, never raised."""

    code = "source_file.unreadable"

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(path, problem, remedy)
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class JobNotFoundError(FleetError):
    """No job has this id."""

    code = "job.not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"no job {self.job_id!r}; `twinfold jobs` lists those that are remembered"


class JobEndedError(FleetError):
    """The job has ended, so it cannot be cancelled."""

    code = "job.ended"

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(job_id, state)
        self.job_id = job_id
        self.state = state

    def __str__(self) -> str:
        return f"{self.job_id} is {self.state} already; there is nothing to cancel"


class JobFailedError(FleetError):
    """A job that was waited for has failed, or was cancelled."""

    code = "job.failed"

    def __init__(self, job_id: str, state: str, reason: str) -> None:
        super().__init__(job_id, state, reason)
        self.job_id = job_id
        self.state = state
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.job_id} {'was' if self.state == 'cancelled' else 'has'} {self.state}: {self.reason}"


class ExperimentNotFoundError(FleetError):
    """No experiment has this id, or it was deleted."""

    code = "whatif.not_found"

    def __init__(self, experiment: str) -> None:
        super().__init__(experiment)
        self.experiment = experiment

    def __str__(self) -> str:
        return f"no experiment {self.experiment!r}; GET /api/whatif/experiments lists those that there are"


class ExperimentUnderWayError(FleetError):
    """The experiment is queued or runs."""

    code = "whatif.under_way"

    def __init__(self, experiment: str, state: str) -> None:
        super().__init__(experiment, state)
        self.experiment = experiment
        self.state = state

    def __str__(self) -> str:
        return f"experiment {self.experiment} is {self.state}; cancel it first"


class ModelNotFoundError(FleetError):
    """No model of the device type has this number."""

    code = "model.not_found"

    def __init__(self, device_type: str, version: int, known: tuple[int, ...]) -> None:
        super().__init__(device_type, version, known)
        self.device_type = device_type
        self.version = version
        self.known = known

    def __str__(self) -> str:
        if not self.known:
            return f"no model of {self.device_type!r} is kept; `twinfold train {self.device_type}` makes one"
        known = ", ".join(map(str, self.known))
        return f"no model of {self.device_type!r} has the number {self.version} (there are {known}); check it"


class ModelDamagedError(FleetError):
    """What is kept of a model is not what was written. It is not used."""

    code = "model.damaged"

    def __init__(self, device_type: str, file: str, problem: str) -> None:
        super().__init__(device_type, file, problem)
        self.device_type = device_type
        self.file = file
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"{self.file} of the model of {self.device_type!r} is damaged ({self.problem}); put it back from a backup, "
            f"go back with `twinfold models rollback {self.device_type}`, or train again"
        )


class ModelFormatError(FleetError):
    """What is kept of a model was written by a newer Twinfold, in a format that this one does not know."""

    code = "model.format"

    def __init__(self, device_type: str, file: str, written: int, known: int) -> None:
        super().__init__(device_type, file, written, known)
        self.device_type = device_type
        self.file = file
        self.written = written
        self.known = known

    def __str__(self) -> str:
        return (
            f"{self.file} of the model of {self.device_type!r} has format {self.written}, this Twinfold reads up to "
            f"{self.known}; update Twinfold, or train again"
        )


class NoFormerModelError(FleetError):
    """No version was in force before the present one, so there is nothing to go back to."""

    code = "model.no_former"

    def __init__(self, device_type: str) -> None:
        super().__init__(device_type)
        self.device_type = device_type

    def __str__(self) -> str:
        return (
            f"no model of {self.device_type!r} was in force before the present one; promote a version instead"
        )


class ModelUnfitError(FleetError):
    """A version of a model forecasts a type that has become another one since."""

    code = "model.unfit"

    def __init__(self, device_type: str, version: int, problem: str) -> None:
        super().__init__(device_type, version, problem)
        self.device_type = device_type
        self.version = version
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"version {self.version} of the model of {self.device_type!r} does not fit: {self.problem}; "
            f"`twinfold train {self.device_type}` makes one that does"
        )


class NothingToCompareError(FleetError):
    """No device of the type lived at any of the moments that forecasts were to be compared at."""

    code = "backtest.nothing"

    def __init__(self, device_type: str) -> None:
        super().__init__(device_type)
        self.device_type = device_type

    def __str__(self) -> str:
        return f"no device of type {self.device_type!r} lived at these moments; choose later ones, or another type"


class NoChampionError(FleetError):
    """No model of a device type is in force."""

    code = "model.none_in_force"

    def __init__(self, device_type: str) -> None:
        super().__init__(device_type)
        self.device_type = device_type

    def __str__(self) -> str:
        return (
            f"no model of type {self.device_type!r} is in force; `twinfold train {self.device_type}` makes one, "
            f"`twinfold models promote {self.device_type} VERSION` puts one in force"
        )


class TooFewFailuresError(FleetError):
    """History tells of too few failures of a type for a model of it."""

    code = "training.too_few_failures"

    def __init__(self, device_type: str, failures: int, wanted: int) -> None:
        super().__init__(device_type, failures, wanted)
        self.device_type = device_type
        self.failures = failures
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"history tells of {self.failures} failures of type {self.device_type!r}, and a model takes {self.wanted}, "
            "of several devices; record failures as they happen, or import lives that ended so (`run_to_failure`)"
        )


class TrainingFailedError(FleetError):
    """A training run ended without a model; what is in force stays so."""

    code = "training.failed"

    def __init__(self, device_type: str, reason: str) -> None:
        super().__init__(device_type, reason)
        self.device_type = device_type
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"training for {self.device_type!r} ended without a model: {self.reason}; what was done is kept, and "
            "training again goes on from it"
        )


class HistoryError(FleetError):
    """A table of history cannot be read or written."""

    code = "history.error"

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(table, problem)
        self.table = table
        self.problem = problem

    def __str__(self) -> str:
        return f"history table {self.table}: {self.problem}"


class HistoryConflictError(HistoryError):
    """Somebody else committed in between: two recorders follow one fleet. Nothing was written twice."""

    code = "history.conflict"


class HistoryBehindError(HistoryError):
    """The journal was cut beyond what history holds; the entries between are lost to history."""

    code = "history.behind"


class MomentNotKeptError(HistoryError):
    """Readings or inputs between the last usable snapshot and the moment asked for are gone.

    ``since_us`` is the earliest moment that can be rebuilt, where that is known; ``cause`` what took them.
    """

    code = "history.moment_not_kept"

    def __init__(self, actor: str, at_us: int, since_us: int | None, cause: str) -> None:
        super().__init__(actor, "")
        self.args = (actor, at_us, since_us, cause)
        self.cause = cause
        self.actor = actor
        self.at_us = at_us
        self.since_us = since_us

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.at_us / 1e6, UTC).isoformat()
        gone = f"{self.cause} took what it needs to show {self.actor} as of {at}"
        if self.since_us is not None:
            return f"{gone}; ask for a moment after {datetime.fromtimestamp(self.since_us / 1e6, UTC).isoformat()}"
        return f"{gone}; ask for a moment before that, or after the next hourly snapshot"


class MomentAheadError(HistoryError):
    """History ends before the moment asked for, and the journal that would go on is not at hand."""

    code = "history.moment_ahead"

    def __init__(self, actor: str, at_us: int) -> None:
        super().__init__(actor, "")
        self.args = (actor, at_us)
        self.actor = actor
        self.at_us = at_us

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.at_us / 1e6, UTC).isoformat()
        return (
            f"what {self.actor} did until {at} is not all in history, and its journal is not at hand; "
            "ask for an earlier moment, or where the journal is"
        )


class UpkeepError(HistoryError):
    """Part of keeping history in order failed; the rest was done, and the next pass tries again."""

    code = "history.upkeep"

    def __init__(self, problem: str, more: int) -> None:
        super().__init__("upkeep", problem)
        self.args = (problem, more)
        self.problem = problem
        self.more = more

    def __str__(self) -> str:
        return self.problem + (f"; and {self.more} more" if self.more else "")


class QueryError(FleetError):
    """A question that history cannot be asked like this."""

    code = "history.query"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"
