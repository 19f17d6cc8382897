"""One look for many who ask at once, and no more looks than a bounded rate."""

import threading
import time
from collections.abc import Callable

from twins.clock import stopwatch_s


class Refresher:
    """Looks when asked. Whoever waits while another looks shares the next look with all others who wait.

    So an answer is never older than the question, and however many ask, one look at a time is under way, not more often
    than every ``gap_s``. After a look that failed, those who ask within ``rest_s`` are told so without another.

    Parameters
    ----------
    look : raises what everybody who shares it is told
    gap_s, rest_s : seconds
    """

    def __init__(self, look: Callable[[], None], gap_s: float, rest_s: float = 0.0) -> None:
        self._look = look
        self._gap_s = gap_s
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._begun = 0
        self._began_s = -gap_s
        self._error: Exception | None = None
        self._failed_s = 0.0

    def __call__(self) -> None:
        """Returns when a look that began after this call is done."""
        came = self._begun
        with self._lock:
            is_shared = self._begun > came
            if not is_shared and not self._rests():
                time.sleep(max(0.0, self._began_s + self._gap_s - stopwatch_s()))
                self._begun += 1
                self._began_s = stopwatch_s()
                self._error = None
                try:
                    self._look()
                except Exception as error:
                    self._error, self._failed_s = error, stopwatch_s()
            if self._error is not None:
                raise self._error

    def _rests(self) -> bool:
        return self._error is not None and stopwatch_s() - self._failed_s < self._rest_s
