"""``twinfold train`` and ``twinfold predict``: a model from history, and what it says. No logic of its own."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cluster.terminal import AsJson, Data, bar, instant, say, settings_of

TypeName = Annotated[str, typer.Argument(help="Device type.", metavar="TYPE")]

_BY: Final = "command line"


def train(
    device_type: TypeName,
    data: Data = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="What the model must not know: `age`, time since the machine was new."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the work.", min=1, max=64)] = 2,
    seed: Annotated[int, typer.Option(help="Of the trees; the same seed and history, the same model.")] = 0,
    promote: Annotated[
        bool, typer.Option(help="Put it in force if it is better than what is, and no worse calibrated.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Learn from the failures in history what a twin looks like before one; needs no running platform.

    What was done of a training that was cut off is kept, and the next one goes on from there.
    """
    from cluster.training import text_of
    from cluster.training import train as run

    unknown = [each for each in without or [] if each != "age"]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} cannot be left out; `age` can", param_hint="--without")
    settings = settings_of({"data": data})
    with bar(f"training {device_type}") as show:
        found = run(
            settings, device_type, by=_BY, with_age=not without, workers=workers, seed=seed, promote=promote,
            progress=show,
        )  # fmt: skip
    say(dict(found), as_json, text_of(found))


def predict(
    device_type: TypeName,
    out: Annotated[Path, typer.Option(help="Parquet file to write; one that is there is replaced.")],
    data: Data = None,
    version: Annotated[int | None, typer.Option(help="Of the model; left out: the one in force.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="By what was known at this moment, ISO 8601 with a time zone; none: now."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="At each reading dated since: what would have been said then.")
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(help="Tell the probability to fail within so long, too: hours or days, `72h`, `3d`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write how long each device that has not failed may last, by each failure mode; needs no running platform."""
    from cluster.training import predict as run
    from training.forecasts import within as spans

    try:
        within_h = spans(within or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--within") from error
    rows, moments, model = run(
        settings_of({"data": data}), device_type, out, version,
        at_us=None if at is None else instant(at), since_us=None if since is None else instant(since),
        within_h=within_h,
    )  # fmt: skip
    said = {"devices": rows, "model": model, "out": str(out)}
    text = f"{rows:,} devices"
    if since is not None:
        said["moments"] = moments
        text = f"{text} at {moments:,} moments"
    say(said, as_json, f"{text} by version {model} of the {device_type} model, in {out}")
