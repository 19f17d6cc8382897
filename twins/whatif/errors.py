"""What can go wrong in the what-if lab, continuing the tree of ``twins/errors.py``.

::

    FleetError
    ├── ExtraMissingError      a library that is not part of a plain installation is wanted
    └── PointUndefinedError    the metric has no value at a point of a design
"""

from twins.errors import FleetError


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
