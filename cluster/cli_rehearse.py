"""``twinfold rehearse``: what alert rules would have done over the last days. No logic of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cluster.cli_jobs import connected, followed
from cluster.terminal import AsJson, Data, out, print_rows, say, settings_of

if TYPE_CHECKING:
    from serve.schemas.rehearsals import Rehearsal, RehearsedAlerts

_CUT: Final = {
    "history": "; nothing earlier is kept",
    "readings": "; more would take too long, --all begins a job",
}


def rehearse(
    rules: Annotated[Path, typer.Argument(help="A file of rules, as `twinfold types export` gives them.")],
    device_type: Annotated[
        str | None, typer.Option("--type", help="Device type; left out: as the file says.")
    ] = None,
    days: Annotated[float, typer.Option(help="How far back, 0.1 to 30.")] = 7.0,
    devices: Annotated[
        int | None, typer.Option(help="How many are run; left out: as many as take seconds.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Run all devices, as a job.")] = False,
    seed: Annotated[int, typer.Option(help="Which devices are drawn.")] = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show which alerts changed rules would have raised over the last days, and which not, before they are activated."""
    from serve.schemas.rehearsals import Rehearsal

    if everyone and devices is not None:
        raise typer.BadParameter("--all runs all devices; leave --devices out", param_hint="--devices")
    text = rules.read_text()
    name = device_type or _type_of(text)
    with connected(settings_of({"data": data}).data) as client:
        if everyone:
            job = client.types.begin_rehearsal(name, text, days=days, seed=seed)
            found = Rehearsal.model_validate(followed(client, job.id).result)
        else:
            found = client.types.rehearse(name, text, days=days, devices=devices, seed=seed)
    if as_json:
        say(found.model_dump(mode="json"), True, "")
        return
    show(found)


def _type_of(text: str) -> str:
    import yaml

    said = yaml.safe_load(text)
    name = said.get("type") if isinstance(said, dict) else None
    if not isinstance(name, str):
        raise typer.BadParameter("the file names no `type:`; give one", param_hint="--type")
    return name


def show(found: "Rehearsal", sides: str = "under either set of rules") -> None:
    """Print what a rehearsal came to; ``sides`` says what the two were."""
    window = f"{found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC, {found.days:.2g} days"
    lines = [
        f"{found.type}, {window}{_CUT.get(found.shortened or '', '')}",
        f"{found.devices:,} of {found.of_devices:,} devices, {found.readings:,} readings {sides}",
        f"most alerts in ten minutes: {found.peak.before} before, {found.peak.after} after",
    ]
    if found.put_aside:
        lines.append(f"{found.put_aside:,} things that people did then do not fit what would have been")
    if found.may_differ is not None:
        lines.append(f"no device that was run differs; up to {found.may_differ:.1%} of all may (90 %)")
    out.print("\n".join(lines), highlight=False, soft_wrap=True)
    out.print()
    print_rows([_row("in all", found.in_all), *(_row(each.rule, each) for each in found.rules)])
    if found.examples:
        out.print()
        print_rows(
            [
                {
                    "device": each.device_id, "rule": each.rule, "change": each.change,
                    "before": each.before and f"{each.before.raised:%m-%d %H:%M:%S}",
                    "after": each.after and f"{each.after.raised:%m-%d %H:%M:%S}",
                }
                for each in found.examples
            ]
        )  # fmt: skip


def _row(rule: str, each: "RehearsedAlerts") -> dict[str, Any]:
    rate = each.rate
    bounds = "" if rate.low is None or rate.high is None else f"{rate.low:+.1f} … {rate.high:+.1f}"
    return {
        "rule": rule, "before": each.before, "after": each.after, "same": each.same, "moved": each.moved,
        "by s": each.shift_s, "appeared": each.appeared, "vanished": each.vanished,
        "a day before": f"{rate.before:.1f}", "after ": f"{rate.after:.1f}", "difference": f"{rate.difference:+.1f}",
        "90 %": bounds,
    }  # fmt: skip
