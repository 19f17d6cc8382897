"""Columns of text to numbers and times, one bad cell at a time lost and never more.

Fast where a whole column is clean, which is the rule; where it is not, the cells that are no number or time
are found and left out. Nothing here knows files, devices or mappings.
"""

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Time formats that count from 1970-01-01 UTC: microseconds in one of them."""

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity|nan)$"
_OFFSET: Final = r"(Z|[+-]\d{2}:?\d{2})\s*$"

Mask = NDArray[np.bool_]


def numbers(column: pa.Array, decimal: str = ".") -> tuple[NDArray[np.float64], Mask, Mask]:
    """Numbers from text, or from numbers of any type.

    Returns
    -------
    (n,) values, NaN where there is none · (n,) given: the cell is not null · (n,) wrong: given, but no number

    Examples
    --------
    >>> values, given, wrong = numbers(pa.array(["1.5", None, "x"]))
    >>> values.tolist(), given.tolist(), wrong.tolist()
    ([1.5, nan, nan], [True, False, True], [False, False, True])
    """
    given = mask(column.is_valid())
    nothing_wrong = np.zeros(len(column), bool)
    if not pa.types.is_string(column.type):
        return _floats(column.cast(pa.float64(), safe=False)), given, nothing_wrong
    if decimal != ".":
        column = pc.replace_substring(column, decimal, ".")
    try:
        return _floats(column.cast(pa.float64())), given, nothing_wrong
    except pa.ArrowInvalid:
        bare = pc.utf8_trim_whitespace(column)
        readable = pc.fill_null(pc.match_substring_regex(bare, _NUMBER, ignore_case=True), False)
        values = _floats(pc.if_else(readable, bare, None).cast(pa.float64()))
        return values, given, given & ~mask(readable)


def instants(column: pa.Array, form: str = "", zone: str = "UTC") -> tuple[NDArray[np.int64], Mask]:
    """Microseconds since 1970-01-01 UTC from text or timestamps.

    Parameters
    ----------
    form : ``""`` for ISO 8601, a key of ``EPOCHS``, or a ``strptime`` pattern
    zone : where times without an offset are at home. Of an hour that a change of clocks repeats it is the
        first; for one that it skips, the moment after.

    Returns
    -------
    (n,) µs, zero where there is none · (n,) whether the cell is a time
    """
    if form in EPOCHS:
        values, given, wrong = numbers(column)
        known = given & ~wrong & np.isfinite(values)
        return np.rint(np.where(known, values, 0.0) * EPOCHS[form]).astype(np.int64), known
    stamps = column if not form and pa.types.is_timestamp(column.type) else _stamps(column, form)
    if stamps.type.tz is None and zone != "UTC":
        stamps = pc.assume_timezone(stamps, zone, ambiguous="earliest", nonexistent="latest")
    at_us = stamps.cast(pa.timestamp("us", stamps.type.tz), safe=False).cast(pa.int64())
    return whole(at_us), mask(at_us.is_valid())


def mask(array: pa.Array) -> Mask:
    """Truth values without null, as numpy's."""
    return np.asarray(array.to_numpy(zero_copy_only=False), bool)


def whole(array: pa.Array) -> NDArray[np.int64]:
    """Whole numbers, zero for null."""
    return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False), np.int64)


def _stamps(column: pa.Array, form: str) -> pa.Array:
    """Timestamps from text, null where it is none."""
    text = column.cast(pa.string())
    if not form:
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                return text.cast(kind)
            except pa.ArrowInvalid:
                continue
    offsets = "%z" in form if form else bool(pc.any(pc.match_substring_regex(text, _OFFSET)).as_py())
    parsed = pd.to_datetime(text.to_pandas(), format=form or "ISO8601", errors="coerce", utc=offsets)
    return pa.Array.from_pandas(parsed).cast(pa.timestamp("us", "UTC" if offsets else None), safe=False)


def _floats(array: pa.Array) -> NDArray[np.float64]:
    """Numbers, NaN for null."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)
