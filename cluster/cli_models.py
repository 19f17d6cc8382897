"""``twinfold models …``: the kept versions of trained models, and putting one in force. No logic of its own.

They work on the data folder itself, whether or not the platform runs; a report takes one that does.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli_jobs import connected, followed
from cluster.terminal import AsJson, Data, ListsAlone, me, moment, out, print_rows, say, settings_of
from training.errors import NoChampionError

if TYPE_CHECKING:
    from training.registry import Manifest, ModelVersion, Registry
    from training.track_record import VersionRecord

Name = Annotated[str, typer.Argument(help="Name of a device type.")]
Number = Annotated[int, typer.Argument(help="A version of its model.")]
Reason = Annotated[str, typer.Option(help="Why, for those who look later.")]

app = typer.Typer(
    name="models",
    cls=ListsAlone,
    help="Versions of trained models: list, show, compare, what they were worth, promote, roll back.",
)


@app.command(name="list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Only models of this device type.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of each type's model, the newest first, and which is in force."""
    registry = _registry(data)
    found = [each for kind in registry.types() if name in (None, kind) for each in registry.versions(kind)]
    print_rows([_row(each) for each in found], as_json)


@app.command()
def show(
    name: Name,
    version: Annotated[int | None, typer.Argument(help="A version; left out: the one in force.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model was trained on, how well it did, and when it was put in force."""
    from dataclasses import asdict

    registry = _registry(data)
    found = _in_force(registry, name) if version is None else registry.get(name, version)
    changes = [each for each in registry.changes(name) if each.version == found.version]
    if as_json:
        say({**asdict(found), "put_in_force": [asdict(each) for each in changes]}, True, "")
        return
    lines = [f"{key:<15} {value}" for key, value in {**_row(found), **_about(found.manifest)}.items()]
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
    if changes:
        out.print()
        print_rows(
            [
                {"in force": moment(each.at_us), "after": each.former, "by": each.by, "why": each.reason}
                for each in changes
            ]
        )


@app.command()
def compare(
    name: Name,
    champion: Annotated[int, typer.Argument(help="The version that is to be beaten.")],
    challenger: Annotated[int, typer.Argument(help="The version that is to beat it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the figures of two versions side by side, and whether the second is better."""
    from dataclasses import asdict

    from cluster.training import held_out
    from training.registry import verdict

    registry = _registry(data)
    found = verdict(registry.get(name, champion), registry.get(name, challenger))
    if as_json:
        say(asdict(found), True, "")
        return
    print_rows(
        [
            {
                "figure": each.name,
                str(champion): _figure(each.champion),
                f"{challenger} ": _figure(each.challenger),
            }
            for each in found.figures
        ]
    )
    out.print(f"\nversion {challenger} is {'better' if found.better else 'not better'} than {champion}")
    lines = [*found.reasons, *held_out(asdict(found))]
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


@app.command()
def record(
    name: Name,
    days: Annotated[float, typer.Option(min=1.0, max=400.0, help="How far back, days.")] = 90.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what forecasts that were told were worth against what then happened, by version."""
    from training.history import History
    from training.recorder import journals_in
    from training.track_record import record as recorded
    from twins.clock import DAY_US, WallClock

    folder, end_us = settings_of({"data": data}).data, WallClock().now_us()
    with History(folder / "history", journals_in(folder / "hosts")) as history:
        found = recorded(history, name, end_us - round(days * DAY_US), end_us)
    if as_json:
        say(found.as_json(), True, "")
        return
    if not found.versions:
        out.print(f"no device of type {name} was forecast in the last {days:g} days", highlight=False)
        return
    print_rows([_of_version(each) for each in found.versions])
    out.print(f"\n{found.devices:,} of {found.of_devices:,} devices that were forecast", highlight=False)


@app.command()
def report(
    name: Name,
    version: Number,
    days: Annotated[float, typer.Option(min=0.1, max=30.0, help="How far back, days.")] = 7.0,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Run so many; left out: as many as there is time for.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Run all devices, as a job.")] = False,
    seed: Annotated[int, typer.Option(help="Which devices are drawn.")] = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show which past alerts would have appeared, vanished or moved with a version in force. The platform has to run."""
    from cluster.cli_rehearse import show as show_rehearsal
    from serve.schemas.models import PromotionReport

    if everyone and devices is not None:
        raise typer.BadParameter("--all runs all devices; leave --devices out", param_hint="--devices")
    with connected(settings_of({"data": data}).data) as client:
        if everyone:
            job = client.models.begin_report(name, version, days=days, seed=seed)
            found = PromotionReport.model_validate(followed(client, job.id).result)
        else:
            found = client.models.report(name, version, days=days, devices=devices, seed=seed)
    if as_json:
        say(found.model_dump(mode="json"), True, "")
        return
    if found.comparison is None:
        out.print(f"no alert rule of {name} asks for a forecast, so no alert would change", highlight=False)
        return
    before = "no forecast" if found.in_force is None else f"version {found.in_force}"
    show_rehearsal(found.comparison, f"under {before} and under version {version}")


@app.command()
def promote(
    name: Name, version: Number, reason: Reason = "", data: Data = None, as_json: AsJson = False
) -> None:
    """Put a version in force, an older one too."""
    _told(_registry(data).promote(name, version, me(), reason), as_json)


@app.command()
def rollback(name: Name, reason: Reason = "", data: Data = None, as_json: AsJson = False) -> None:
    """Put the version in force again that was before the present one; once more goes further back."""
    _told(_registry(data).rollback(name, me(), reason), as_json)


def _registry(data: Path | None) -> "Registry":
    from training.registry import FOLDER, Registry

    return Registry(settings_of({"data": data}).data / FOLDER)


def _in_force(registry: "Registry", name: str) -> "ModelVersion":
    found = registry.champion(name)
    if found is None:
        raise NoChampionError(name)
    return found


def _row(found: "ModelVersion") -> dict[str, Any]:
    manifest, metrics = found.manifest, found.manifest.metrics
    return {
        "type": manifest.device_type,
        "version": found.version,
        "role": found.role,
        "created": moment(found.created_us),
        "by": manifest.by,
        "failures": manifest.parameters.get("failures"),
        "rmse h": _figure(metrics.get("rmse_h")),
        "concordance": _figure(metrics.get("concordance")),
        "brier": _figure(metrics.get("brier")),
        "coverage": _figure(metrics.get("coverage_90")),
    }


def _about(manifest: "Manifest") -> dict[str, Any]:
    """What is too long for a line of a list."""
    return {
        "trained until": moment(manifest.trained_until_us),
        "type version": manifest.type_version,
        "failure modes": ", ".join(manifest.failure_modes),
        "features": ", ".join(manifest.features),
        "data": ", ".join(f"{table} {version}" for table, version in manifest.data.items()),
        "parameters": ", ".join(f"{name} {value}" for name, value in manifest.parameters.items()),
        "measured": ", ".join(f"{name} {value:g}" for name, value in manifest.metrics.items()),
    }


def _of_version(each: "VersionRecord") -> dict[str, Any]:
    return {
        "version": f"{each.version} (shadow)" if each.shadow else str(each.version),
        "since": moment(each.first_us),
        "moments": each.moments,
        "brier": _figure(each.brier),
        "constant": _figure(each.brier_constant),
        "coverage": _figure(each.coverage_90),
        "failures": each.failures,
        "missed": each.missed,
        "lead h": _figure(None if each.lead is None else each.lead.p50_h),
        "warnings": each.warnings,
        "false": each.false_warnings,
        "false a device-year": _figure(each.false_per_device_year),
    }


def _figure(value: float | None) -> float | None:
    """To four digits, which is what there is to see."""
    return None if value is None else float(f"{value:.4g}")


def _told(found: "ModelVersion", as_json: bool) -> None:
    name, version = found.manifest.device_type, found.version
    say({"type": name, "version": version}, as_json, f"version {version} of the model of {name} is in force")
