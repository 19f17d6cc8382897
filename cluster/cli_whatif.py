"""``twinfold whatif``: experiments on forked twins, from a scenario to an answer. No logic of its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.cli_jobs import connected, followed
from cluster.terminal import AsJson, Data, bar, err, out, print_rows, say, settings_of

if TYPE_CHECKING:
    from twins.whatif.results import Results, RunFolder
    from twins.whatif.scenariofiles import Read

Form = Literal["parquet", "csv", "json"]


def whatif(
    scenario: Annotated[
        Path | None, typer.Argument(help="A scenario, YAML or JSON; left out where --out was begun before.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the results; one that was begun is gone on with."),
    ] = None,
    replications: Annotated[
        int | None, typer.Option(help="Of each arm, in place of what the scenario says.", min=1)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the work; left out: one a core.", min=1, max=256)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is wrong, and what it takes.")
    ] = False,
    template: Annotated[
        str | None, typer.Option(help="Print a scenario to copy: `list` names those that there are.")
    ] = None,
    rerun: Annotated[
        str | None, typer.Option(help="Run one replication of --out again, with every step: ARM:K.")
    ] = None,
    device: Annotated[list[str] | None, typer.Option(help="Of a rerun; give it again for more.")] = None,
    export: Annotated[Form | None, typer.Option(help="Write all tables of --out in this form, too.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fork twins, run every arm of a scenario many times, and say how the arms differ, how surely.

    Where a platform runs on the data folder this is a job of it, else it needs none. What was cut off goes on when the same
    is asked again. The folder then holds the tables, and report.html.
    """
    if template is not None:
        _print_template(template, as_json)
        return
    settings = settings_of({"data": data})
    if check:
        _check(settings, _read(scenario, replications), workers, as_json)
        return
    if to is None:
        raise typer.BadParameter("name a folder for the results", param_hint="--out")
    if rerun is not None:
        _rerun(settings, to, rerun, device or [], as_json)
        return
    if scenario is not None:
        _run(settings, _read(scenario, replications), to, workers)
    _finish(_there(to).results(), to, export, as_json)


def _read(scenario: Path | None, replications: int | None) -> "Read":
    from twins.whatif.scenariofiles import load_scenario

    if scenario is None:
        raise typer.BadParameter("name a scenario", param_hint="SCENARIO")
    read = load_scenario(scenario)
    if replications is None:
        return read
    return replace(read, scenario=replace(read.scenario, replications=replications, stopping=None))


def _there(to: Path) -> "RunFolder":
    from twins.whatif.results import RunFolder

    folder = RunFolder(to)
    folder.manifest()
    return folder


def _print_template(name: str, as_json: bool) -> None:
    from twins.whatif.scenariofiles import parse_scenario, templates

    known = templates()
    if name == "list":
        asked = {each: parse_scenario(text, each).scenario.title for each, text in known.items()}
        print_rows([{"template": each, "asks": title} for each, title in asked.items()], as_json)
        return
    if name not in known:
        raise typer.BadParameter(f"there is none; there are: {', '.join(known)}", param_hint="--template")
    print(json.dumps({"name": name, "text": known[name]}) if as_json else known[name], end="")


def _check(settings: Any, read: "Read", workers: int | None, as_json: bool) -> None:
    from cluster.whatif import cores, look

    found = look(settings, read, workers or cores())
    problems = [
        {"line": each.line, "problem": each.problem, "remedy": each.remedy} for each in found.problems
    ]
    cost = None if found.cost is None else {"devices": dict(found.devices), **found.cost._asdict()}
    lines = [f"{read.source}:{each.line}: {each.problem}; {each.remedy}" for each in found.problems]
    if not lines:
        lines = [f"{read.source} can be run"]
    if found.cost is not None:
        lines.append(
            f"{sum(found.devices.values()):,} devices, {len(read.scenario.arms)} arms, "
            f"{found.cost.replications:,} replications at least: {found.cost.device_steps:,} steps, about "
            f"{found.cost.seconds:,.0f} s, {found.cost.worker_bytes >> 20:,} MB a worker, "
            f"{found.cost.result_bytes >> 20:,} MB of results"
        )
    say({"problems": problems, "estimate": cost}, as_json, "\n".join(lines))
    if problems:
        raise typer.Exit(1)


def _run(settings: Any, read: "Read", to: Path, workers: int | None) -> None:
    from cluster.bringup import running
    from cluster.whatif import cores, run
    from twins.whatif.results import RunFolder

    is_its_job = read.scenario.base.start != "fleet" and running(settings.data) is not None
    if is_its_job and not RunFolder(to).is_begun:
        _run_there(settings, read, to)
        return
    try:
        with bar(read.scenario.name) as show:
            run(settings, read, to, workers or cores(), show)
    except KeyboardInterrupt:
        err.print(f"what was done stays in {to}; the same command goes on from it", highlight=False)
        raise


def _run_there(settings: Any, read: "Read", to: Path) -> None:
    """As a job of the platform that runs; then what it came to is copied."""
    from training.experiments import FOLDER
    from twins.whatif.errors import RunFolderError
    from twins.whatif.results import RunFolder
    from twins.whatif.scenariofiles import to_yaml

    if to.exists() and any(to.iterdir()):
        raise RunFolderError(str(to), "is not empty", "choose another folder, or empty it")
    with connected(settings.data) as client:
        begun = client.whatif.begin(to_yaml(read.scenario))
        followed(client, begun.id)
    RunFolder(settings.data / FOLDER / begun.id).copy(to)


def _rerun(settings: Any, to: Path, which: str, devices: list[str], as_json: bool) -> None:
    from cluster.whatif import rerun
    from twins.whatif.exporting import write_table

    arm, _, number = which.rpartition(":")
    if not arm or not number.isdigit():
        raise typer.BadParameter("write ARM:K, as in run-to-failure:0", param_hint="--rerun")
    if not devices:
        raise typer.BadParameter("name one at least", param_hint="--device")
    if arm not in (known := [each.name for each in _there(to).scenario().arms]):
        raise typer.BadParameter(
            f"there is no arm {arm!r}; there are: {', '.join(known)}", param_hint="--rerun"
        )
    traces = rerun(settings, to, arm, int(number), devices)
    path = to / f"rerun-{arm}-{number}.parquet"
    write_table(path, traces, "parquet")
    said = {"rows": len(traces), "path": str(path)}
    say(said, as_json, f"{len(traces):,} rows of device, time, quantity and value in {path}")


def _finish(found: "Results", to: Path, export: Form | None, as_json: bool) -> None:
    from twins.whatif import exporting, reporting

    report = reporting.write(_there(to))
    if export is not None:
        exporting.export(found, to / export, export)
    rows = reporting.rows(found)
    if as_json:
        said = {"replications": found.replications, "out": str(to), "report": str(report), "figures": rows}
        print(json.dumps(said))
        return
    level = f"{found.scenario.level:.0%}"
    out.print(
        f"{found.scenario.title or found.scenario.name}: {found.replications:,} replications of "
        f"{len(found.scenario.arms)} arms, against {found.scenario.reference_arm}; intervals at {level}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    print_rows(reporting.texts(found))
    out.print(f"report: {report}", highlight=False, soft_wrap=True)
