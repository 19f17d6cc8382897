"""What a question about texts comes to, text by text: worked out once for as long as the texts stay.

From one view of the live table to the next values move, but hardly an id, a name or a label does. So a search
or a test on a label is answered for the distinct texts of a column, a yes or no each, and remembered; the next
view only has to compare its texts with the last ones, which is quick.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.substrings import holding

_REMEMBERED: Final = 8  # answers a column of a host's table

Mask = NDArray[np.bool_]


class Texts:
    """Some texts, and what was asked about them."""

    def __init__(self, texts: pa.Array) -> None:
        self.texts = texts
        self._lock = threading.Lock()
        self._lowered: pa.Array | None = None
        self._answers: OrderedDict[Hashable, Mask] = OrderedDict()

    def holding(self, part: str) -> Mask:
        """(n,) Whether a text has ``part`` in it, in any case."""
        wanted = pc.utf8_lower(part).as_py()
        return self.once(("holding", wanted), lambda: holding(self._lower(), wanted))

    def once(self, question: Hashable, work: Callable[[], Mask]) -> Mask:
        """(n,) The answer to ``question``; the last few are remembered."""
        with self._lock:
            if question in self._answers:
                self._answers.move_to_end(question)
                return self._answers[question]
        answer = work()
        with self._lock:
            self._answers[question] = answer
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return answer

    def _lower(self) -> pa.Array:
        if self._lowered is None:
            self._lowered = pc.utf8_lower(self.texts)
        return self._lowered


class KnownTexts:
    """The texts of every column that was asked about. Safe for many threads; belongs to one live table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Hashable, Texts] = {}

    def of(self, column: Hashable, texts: pa.Array) -> Texts:
        """What is known of ``texts``, the present ones of ``column``."""
        with self._lock:
            known = self._known.get(column)
        if known is None or not known.texts.equals(texts):
            known = Texts(texts)
            with self._lock:
                self._known[column] = known
        return known


def distinct(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[Any] | None]:
    """The texts of a column, and which of them stands in each line; None: each line has its own."""
    column = (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )
    if pa.types.is_dictionary(column.type):
        return column.dictionary, column.indices.to_numpy()
    return column, None
