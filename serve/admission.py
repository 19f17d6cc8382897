"""How much comes in at once: bodies of requests share a budget of bytes, and what goes beyond it is refused unread."""

from typing import Final

from twins.errors import OverloadedError

_RETRY_AFTER_S: Final = 1.0


class Admission:
    """The bytes of bodies that one replica holds. Used from one event loop.

    Parameters
    ----------
    most_bytes : of all bodies together; a single body within its own limit is taken however many bytes that are
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def hold(self, more: int) -> None:
        """Make room for ``more`` bytes.

        Raises
        ------
        OverloadedError : others take up what there is; nothing is held for this.
        """
        if self.held_bytes and self.held_bytes + more > self._most_bytes:
            raise OverloadedError(f"{self.held_bytes >> 20} MB of requests are being read", _RETRY_AFTER_S)
        self.held_bytes += more

    def release(self, held: int) -> None:
        """Give back what was held."""
        self.held_bytes -= held
