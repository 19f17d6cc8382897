"""``twinfold types …``: what device types there are, their versions, and putting one in force. No logic of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cluster.terminal import AsJson, Data, err, me, moment, out, print_rows, say, settings_of
from twins.errors import DeviceTypeNotFoundError

if TYPE_CHECKING:
    from cluster.settings import Settings
    from serve.catalogue import Catalogue
    from serve.versions import Installation, Versions

Name = Annotated[str, typer.Argument(help="Name of a device type.")]
Why = Annotated[str, typer.Option(help="The reason, for those who look later.")]
Folder = Annotated[Path | None, typer.Option(help="Folder with device types of your own.")]


class _Types(TyperGroup):
    """``twinfold types`` alone lists; followed by files it checks them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--help" not in args and not (args and args[0] in self.commands):
            named = [arg for arg in args if arg.endswith((".yaml", ".yml")) or Path(arg).is_file()]
            args = (
                ["check" if named else "list", *args]
                if named or not args or args[0].startswith("-")
                else args
            )
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="types", cls=_Types, help="Device types and alert rules: list, check, versions, put in force."
)


@app.command(name="list")
def list_(folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the types that files describe and, where there is a database, what is in force."""
    from twins.typefiles import find_types

    settings = settings_of({"data": data, "types": folder})
    found = find_types([Path(settings.types)] if settings.types else [])
    with _versions(settings, must=False) as versions:
        known = versions.names() if versions is not None else []
        rows = []
        for name in sorted({*found.types, *known}):
            each = found.types.get(name)
            rows.append(
                {
                    "type": name,
                    "version": each.version if each else None,
                    "channels": len(each.channels) if each else None,
                    "rules": len(each.rules) if each else None,
                    "failure modes": len(each.failure_modes) if each else None,
                    "actions": len(each.actions) if each else None,
                    **_standing(versions, name),
                    "title": each.title if each else "",
                }
            )
    print_rows(rows, as_json)
    for problem in found.problems:
        err.print(f"left out: {problem}", highlight=False, markup=False)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Type files.")], as_json: AsJson = False) -> None:
    """Check files: every problem with its line and remedy."""
    from twins.typefiles import load_type

    checked = [load_type(path) for path in files]
    rows = [
        {"file": str(p), "type": t.name, "version": t.version} for p, t in zip(files, checked, strict=True)
    ]
    print_rows(rows, as_json)


@app.command()
def show(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """What is in force of a type: since when, by whom and why, and what is staged."""
    with _versions(settings_of({"data": data})) as versions:
        assert versions is not None
        head, current = versions.head(name), _in_force(versions, name)
        found = {
            "type": name,
            "in force": current.number,
            "version": current.type_number,
            "rules": current.rules_number,
            "by": current.by,
            "at": moment(current.at_us),
            "why": current.why,
            "staged version": head.staged_type,
            "staged rules": head.staged_rules,
            "file": head.file,
        }
    say(
        found,
        as_json,
        "\n".join(f"{key:<15} {'' if value is None else value}" for key, value in found.items()),
    )


@app.command()
def versions(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Every version of a type and of its rules, and what was put in force when."""
    with _versions(settings_of({"data": data})) as store:
        assert store is not None
        current = _in_force(store, name)
        held = {"type": current.type_number, "rules": current.rules_number}
        made = [
            {
                "part": each.part, "version": each.number, "in force": "yes" if held[each.part] == each.number else "",
                "from": each.source, "by": each.by, "at": moment(each.at_us), "why": each.why,
            }
            for part in ("type", "rules")
            for each in store.versions(name, part)
        ]  # fmt: skip
        put = [
            {
                "in force": each.number, "version": each.type_number, "rules": each.rules_number,
                "state": each.state.replace("_", " "), "by": each.by, "at": moment(each.at_us),
                "why": each.why or each.problem,
            }
            for each in store.installations(name, 50)
        ]  # fmt: skip
    if as_json:
        say({"versions": made, "installations": put}, True, "")
        return
    print_rows(made)
    out.print()
    print_rows(put)


@app.command()
def diff(
    name: Name,
    first: Annotated[int, typer.Argument(help="A version.")],
    second: Annotated[int, typer.Argument(help="Another one.")],
    rules: Annotated[bool, typer.Option("--rules", help="Versions of the rules, not of the type.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What changes from one version to another."""
    from serve.differences import differences

    with _versions(settings_of({"data": data})) as store:
        assert store is not None
        part = "rules" if rules else "type"
        before, after = (store.version(name, part, number).document for number in (first, second))  # type: ignore[arg-type]
    changes = [{"what": c.path, "before": c.before, "after": c.after} for c in differences(before, after)]
    print_rows(changes, as_json)


@app.command()
def export(
    name: Name,
    version: Annotated[int | None, typer.Option(help="A version of the type; left out: as in force.")] = None,
    rules: Annotated[int | None, typer.Option(help="A version of its rules; left out: as in force.")] = None,
    data: Data = None,
) -> None:
    """Print a type as the text of a file."""
    from serve.catalogue import combined
    from twins.typefiles import to_yaml

    with _versions(settings_of({"data": data})) as store:
        assert store is not None
        if version is None or rules is None:
            current = _in_force(store, name)
            version, rules = version or current.type_number, rules or current.rules_number
        print(
            to_yaml(combined(store.version(name, "type", version), store.version(name, "rules", rules))),
            end="",
        )


@app.command()
def install(
    file: Annotated[Path, typer.Argument(help="A type file.")],
    stage: Annotated[
        bool, typer.Option("--stage", help="Keep it for `activate`, do not put it in force.")
    ] = False,
    why: Why = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a version of a file's type and rules and put both in force on every host, or on none."""
    from cluster.bringup import running
    from serve.catalogue import parted
    from twins.typefiles import load_type

    settings, wanted = settings_of({"data": data}), load_type(file)
    if stage or running(settings.data) is None:
        with _versions(settings) as store:
            assert store is not None
            documents = parted(wanted)
            first = store.stage(wanted.name, "type", documents[0], "edit", me(), why, None)
            second = store.stage(wanted.name, "rules", documents[1], "edit", me(), why, None)
        next_step = f"`twinfold types activate {wanted.name}` puts it in force on a running platform"
        text = f"{wanted.name}: version {first.number} with rules {second.number} is staged; {next_step}"
        say(
            {"type": wanted.name, "version": first.number, "rules": second.number, "staged": True},
            as_json,
            text,
        )
        return
    with _running(settings) as catalogue:
        first, second = catalogue.add(wanted, "edit", me(), why)
        _told(
            catalogue.activate(wanted.name, me(), why, type_number=first.number, rules_number=second.number),
            as_json,
        )


@app.command()
def activate(
    name: Name,
    version: Annotated[int | None, typer.Argument(help="A version of the type.")] = None,
    rules: Annotated[int | None, typer.Option(help="A version of its rules.")] = None,
    why: Why = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put versions in force, older ones too; what is left out stays. Without any: what is staged."""
    with _running(settings_of({"data": data})) as catalogue:
        if version is None and rules is None:
            head = catalogue.versions.head(name)
            version, rules = head.staged_type, head.staged_rules
            if version is None and rules is None:
                say({"staged": False}, as_json, f"nothing of {name} is staged; name a version or --rules")
                raise typer.Exit(1)
        _told(catalogue.activate(name, me(), why, type_number=version, rules_number=rules), as_json)


@contextmanager
def _versions(settings: "Settings", must: bool = True) -> Iterator["Versions | None"]:
    """The store, with its tables up to date; None if there is none yet and none is needed."""
    from serve.config import DATABASE_FILE
    from serve.database import Database
    from serve.versions import Versions

    here = bool(settings.database.url.get_secret_value()) or (settings.data / DATABASE_FILE).is_file()
    if not here and not must:
        yield None
        return
    database = Database(settings.database_config())
    try:
        database.migrate()
        yield Versions(database)
    finally:
        database.close()


@contextmanager
def _running(settings: "Settings") -> Iterator["Catalogue"]:
    """The catalogue over the platform that runs on the data folder."""
    from cluster.bringup import join_running
    from serve.catalogue import Catalogue

    with _versions(settings) as store, join_running(settings.data) as fleet:
        assert store is not None
        yield Catalogue(store, fleet)


def _in_force(store: "Versions", name: str) -> "Installation":
    current = store.in_force(name)
    if current is None:
        raise DeviceTypeNotFoundError(name, tuple(store.names()))
    return current


def _standing(store: "Versions | None", name: str) -> dict[str, Any]:
    """The columns of a list that come from the database."""
    if store is None:
        return {}
    current, head = store.in_force(name), store.head(name)
    waits = [
        f"{what} {number}"
        for what, number in (("version", head.staged_type), ("rules", head.staged_rules))
        if number is not None
    ]
    return {
        "in force": current.number if current else None,
        "by": current.by if current else "",
        "staged": ", ".join(waits),
    }


def _told(installation: "Installation", as_json: bool) -> None:
    found = {
        "type": installation.name,
        "in_force": installation.number,
        "version": installation.type_number,
        "rules": installation.rules_number,
    }
    text = (
        f"{installation.name}: version {installation.type_number} with rules {installation.rules_number} "
        f"is in force on every host, as number {installation.number}"
    )
    say(found, as_json, text)
