"""``twinfold backtest``: how far what-ifs of a type have been right. No logic of its own."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cluster.terminal import AsJson, Data, bar, instant, print_rows, say, settings_of

_SHOWN: Final = (
    "forked_at", "horizon_h", "quantity", "unit", "devices", "coverage_50", "coverage_90", "crps", "persistence", "bias"
)  # fmt: skip


def backtest(
    device_type: Annotated[str, typer.Argument(help="Device type.", metavar="TYPE")],
    data: Data = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="A past moment to fork at, ISO 8601; none: the last three that are the longest horizon apart."
        ),
    ] = None,
    horizon_h: Annotated[
        list[float] | None, typer.Option(help="How far to run on, hours; none: 24 and 168.")
    ] = None,
    devices: Annotated[int, typer.Option(help="How many are drawn, at most.", min=1)] = 200,
    replications: Annotated[int, typer.Option(help="Of each run.", min=20, max=1000)] = 40,
    seed: Annotated[int, typer.Option(help="Of the draw and of the runs.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Fork the fleet at past moments, run it on to what is known since, and compare; needs no running platform.

    Only what was known at a moment is used: readings and maintenance until then, models trained by then. The newest figures
    of a type are kept and shown beside what-ifs.
    """
    import time

    from training import backtest as past
    from training.history import History
    from training.lab import Lab
    from training.recorder import journals_in
    from twins.clock import HOUR_US

    folder: Path = settings_of({"data": data}).data
    horizons = tuple(horizon_h or (24.0, 168.0))
    if at:
        moments = tuple(instant(each) for each in at)
    else:
        step_us = round(max(horizons) * HOUR_US)
        moments = tuple(time.time_ns() // 1000 - k * step_us for k in (3, 2, 1))
    question = past.Question(device_type, moments, horizons, devices, replications, seed=seed)
    with (
        History(folder / "history", journals_in(folder / "hosts")) as history,
        bar(f"comparing {device_type}") as show,
    ):
        scores = past.backtest(Lab(folder, history), question, lambda share: show(share, ""))
    past.keep(folder, scores)
    sentence = past.trust(folder, [device_type]) or ""
    if as_json:
        say({"trust": sentence, "scores": [_plain(row) for row in scores.to_pylist()]}, True, "")
        return
    print_rows([{name: _plain(row)[name] for name in _SHOWN} for row in scores.to_pylist()])
    say({}, False, sentence)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "forked_at": row["forked_at"].isoformat()}
