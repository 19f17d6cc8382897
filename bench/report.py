"""How every bench prints: one JSON line a figure, with what it is held against, measured in the same run."""

import json
import platform
import time


def report(
    name: str, figure: float, unit: str, reference: float, reference_is: str, **conditions: object
) -> None:
    """Print ``figure`` beside ``reference``, and their ratio."""
    line = {
        "name": name,
        "figure": round(figure, 4),
        "unit": unit,
        "reference": round(reference, 4),
        "reference_is": reference_is,
        "ratio": round(figure / reference, 4) if reference else None,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()} {platform.system()} Python {platform.python_version()}",
        **conditions,
    }
    print(json.dumps(line), flush=True)
