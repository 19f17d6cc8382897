"""How a compiled function puts an event into the buffer it was handed."""

from numba import njit

from twins.events import EventBuffer


@njit(cache=True, inline="always")
def emit(
    ev: EventBuffer, kind: int, row: int, slot: int, occurrence: int, at_us: int, a: float, b: float
) -> None:
    """Append one event. The caller of the kernel has left room; see ``events.EVENT`` for the columns."""
    i = ev.used[0]
    item = ev.items[i]
    item.at_us = at_us
    item.row = row
    item.kind = kind
    item.slot = slot
    item.occurrence = occurrence
    item.a = a
    item.b = b
    ev.used[0] = i + 1
