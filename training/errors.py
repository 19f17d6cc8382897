"""What can go wrong with the past, continuing the tree of ``twins/errors.py``.

::

    FleetError
    ├── DescriptionError
    │   └── MappingError           a mapping file is wrong: file, line, remedy
    ├── SourceFileError            a data file cannot be read as its mapping says
    └── HistoryError               a table of history cannot be read or written
        ├── HistoryConflictError   another recorder writes the same history
        └── HistoryBehindError     journal entries are gone that history does not have
"""

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


class QueryError(FleetError):
    """A question that history cannot be asked like this."""

    code = "history.query"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"
