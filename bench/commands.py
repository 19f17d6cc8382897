"""The public commands, as somebody at a terminal gives them, for benches that measure what they come to."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]


def twinfold(data: Path | None, *words: object) -> dict[str, Any]:
    """What a command says, on a data folder if it takes one; Ray keeps its sessions in a folder of its own."""
    command = [str(Path(sys.executable).with_name("twinfold")), *map(str, words)]
    with tempfile.TemporaryDirectory(prefix="tf-") as sessions:
        settings = {"PYTHONPATH": str(ROOT), "TWINFOLD_RAY__TEMP_DIR": sessions}
        done = subprocess.run(
            [*command, *(["--data", str(data)] if data else []), "--json"],
            env=os.environ | settings, stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    return said
