"""``twinfold key …``: the key-encryption key under which the data folder is encrypted. No logic of its own."""

from pathlib import Path
from typing import Annotated

import typer

from cluster.terminal import AsJson, Data, out, print_rows, say, settings_of

app = typer.Typer(
    name="key",
    help="The key under which what lies in the data folder is encrypted: create, rotate, status.",
    no_args_is_help=True,
)


@app.command()
def create(
    path: Annotated[Path, typer.Argument(help="New file for the key, outside the data folder.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key in a new file and say how it is put to use; nothing is encrypted by this alone."""
    from cluster.encryption import refuse_inside
    from twins.key_sources import create_key_file, key_from

    path = path.absolute()
    refuse_inside(path, settings_of({"data": data}).data)
    create_key_file(path)
    key = key_from(f"file:{path}")
    say(
        {"id": key.id, "source": key.source},
        as_json,
        f'key {key.id} is in {path}; keep a copy of it apart. To encrypt, set encryption.key = "{key.source}" '
        "and start the platform",
    )


@app.command()
def rotate(
    to: Annotated[
        str,
        typer.Option(
            help="The new key: file:/path, where one is made if there is none, env:NAME or command:…"
        ),
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Encrypt the data folder with another key; takes no longer with more data. The platform must not run."""
    from cluster.bringup import DataFolder
    from cluster.encryption import rotate as change

    settings = settings_of({"data": data})
    with DataFolder(settings.data):
        before, after = change(settings, to)
    say(
        {"before": before, "id": after, "source": to},
        as_json,
        f'key {after} is in force; set encryption.key = "{to}" now. Key {before} opens nothing here any more; keep it as '
        "long as you keep backups that were taken before",
    )


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say which key is in force, whether it is at hand, and what still lies plain; exit status 1 if it is not."""
    from cluster.encryption import status_of

    found = status_of(settings_of({"data": data}))
    if as_json:
        say(found, True, "")
    else:
        out.print(found["detail"], highlight=False, soft_wrap=True)
        print_rows(found["files"])
    if found["problem"]:
        raise typer.Exit(1)
