"""What can go wrong in the what-if lab, continuing the tree of ``twins/errors.py``.

::

    DescriptionError
    └── ScenarioError          a scenario
    FleetError
    ├── ExtraMissingError      a library that is not part of a plain installation is wanted
    ├── PointUndefinedError    the metric has no value at a point of a design
    ├── MetricError            the SQL of a metric cannot be used
    ├── RunFolderError         a folder holds the results of something else, or none
    └── TooLargeError          a run does not fit into the memory it may take
"""

from twins.errors import DescriptionError, FleetError


class ScenarioError(DescriptionError):
    """A description of a scenario cannot be used as it stands."""

    code = "scenario.invalid"


class ExtraMissingError(FleetError):
    """What was asked for needs a library that is not installed."""

    code = "whatif.extra_missing"

    def __init__(self, library: str) -> None:
        super().__init__(library)
        self.library = library

    def __str__(self) -> str:
        return f"{self.library} is not installed; add it with pip install 'twinfold[experiments]'"


class PointUndefinedError(FleetError):
    """The metric has no value in any replication at a point, so points cannot be compared."""

    code = "whatif.point_undefined"

    def __init__(self, point: str) -> None:
        super().__init__(point)
        self.point = point

    def __str__(self) -> str:
        return f"the metric has no value in any replication at {self.point}; leave that region out, or take another metric"


class MetricError(FleetError):
    """The SQL of a metric cannot be run, or does not give what it should."""

    code = "whatif.metric_invalid"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"metric {self.name!r}: {self.problem}; give columns arm, replication and value, from the tables buckets, "
            "runs, and those of work, events, devices that are kept"
        )


class RunFolderError(FleetError):
    """A folder cannot be used for the results of an experiment."""

    code = "whatif.folder"

    def __init__(self, folder: str, problem: str, remedy: str) -> None:
        super().__init__(folder, problem, remedy)
        self.folder = folder
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.folder}: {self.problem}; {self.remedy}"


class TooLargeError(FleetError):
    """A replication needs more memory than it may take."""

    code = "whatif.too_large"

    def __init__(self, needed_mb: int, limit_mb: int, devices: int) -> None:
        super().__init__(needed_mb, limit_mb, devices)
        self.needed_mb = needed_mb
        self.limit_mb = limit_mb
        self.devices = devices

    def __str__(self) -> str:
        return (
            f"one replication of {self.devices} devices takes about {self.needed_mb} MB, more than the {self.limit_mb} MB "
            "it may; fork fewer devices with a filter, or allow more memory"
        )
