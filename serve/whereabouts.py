"""Where the platform is that runs on a data folder of this machine. Light, since every command asks."""

import json
from pathlib import Path
from typing import Final

RUN_FILE: Final = "run.json"
"""What a platform says of itself while it runs, in its data folder."""


def address_of(data: Path) -> str | None:
    """The URL that the platform on this data folder had when it last started; None where it went down in order."""
    try:
        url = json.loads((data / RUN_FILE).read_text())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(url)
