"""Silence by word: whoever speaks for devices says that they are gone, before their silence shows it.

The command stands beside ``commands.py``, not in it: the simulator's kernels are keyed by that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twins import commands as c


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareSilent(c.Command):
    """These devices are STALE at once, until their next news; ``reason`` goes into the event.

    Devices that never were heard, are silent already, retired or being imported stay as they are. Alert rules about silence
    go by how long it has lasted, as ever.
    """

    device_ids: tuple[str, ...]
    reason: str


def command_of(name: str, body: Mapping[str, Any]) -> c.Command:
    """The command that the journal keeps under a name, with its fields as ``commands.to_body`` gave them."""
    if name == DeclareSilent.__name__:
        return DeclareSilent(**{**body, "device_ids": tuple(body["device_ids"])})
    return c.from_body(name, body)
