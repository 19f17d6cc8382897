"""``twinfold user …``, ``twinfold access-key …``: people's accounts and devices' keys, on this machine. No logic of its own.

They work on the database itself, whether or not the platform runs: whoever can read the data folder needs no account.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.terminal import AsJson, Data, me, moment, print_rows, say, settings_of

if TYPE_CHECKING:
    from serve.access import Access
    from serve.accounts import Account, Actor
    from serve.keys import DeviceKey

Name = Annotated[str, typer.Argument(help="Name of the account.")]
RoleName = Literal["viewer", "operator", "engineer", "admin"]
KeyId = Annotated[str, typer.Argument(help="Id of the key, as `twinfold access-key list` has it.")]

users = typer.Typer(
    name="user", help="People's accounts: add, list, role, sites, password, disable.", no_args_is_help=True
)
keys = typer.Typer(
    name="access-key", help="Keys to send readings with, or to read metrics.", no_args_is_help=True
)


@users.command()
def add(
    name: Name,
    role: Annotated[RoleName, typer.Option(help="What the account may do.")] = "viewer",
    site: Annotated[
        list[str] | None, typer.Option(help="For this site; may be repeated. Left out: for all sites.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an account; prints a password for one use, to be handed over."""
    with _access(data) as access:
        password = access.accounts.create(name, role, _me(), site)
    _one_time(name, password, as_json)


@users.command(name="list")
def list_users(data: Data = None, as_json: AsJson = False) -> None:
    """List every account."""
    with _access(data) as access:
        found = access.accounts.all()
    print_rows([_account(each) for each in found], as_json)


@users.command()
def role(
    name: Name,
    role: Annotated[RoleName, typer.Argument(help="What the account may do from now on.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give an account another role; its sessions end."""
    with _access(data) as access:
        found = access.accounts.change(name, _me(), role=role)
    say(_account(found), as_json, f"{found.name} is {found.role} now; sessions ended")


@users.command()
def sites(
    name: Name,
    sites: Annotated[list[str] | None, typer.Argument(help="The sites that it is for from now on.")] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="For all sites.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say for which sites an account is; its sessions end."""
    if everywhere == bool(sites):
        raise typer.BadParameter("name sites, or give --all")
    with _access(data) as access:
        found = access.accounts.change(name, _me(), sites=None if everywhere else sites)
    shown = _account(found)
    say(shown, as_json, f"{found.name} is for {shown['sites']} now; sessions ended")


@users.command()
def password(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Have a new password for one use made; sessions end, and a second factor is forgotten."""
    with _access(data) as access:
        made = access.accounts.reset(name, _me())
    _one_time(name, made, as_json)


@users.command()
def disable(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Let nobody in with an account any more; its sessions end. Not the last admin's."""
    _switch(name, True, data, as_json)


@users.command()
def enable(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Let a disabled account in again."""
    _switch(name, False, data, as_json)


@keys.command(name="add")
def add_key(
    name: Annotated[str, typer.Argument(help="Where it is used, for those who look later.")],
    device: Annotated[list[str] | None, typer.Option(help="For this device; may be repeated.")] = None,
    gateway: Annotated[
        list[str] | None, typer.Option(help="For this gateway and the devices below it; may be repeated.")
    ] = None,
    site: Annotated[list[str] | None, typer.Option(help="For devices of this site; may be repeated.")] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="For devices of this type; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="For any device.")] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="To read /metrics, and for nothing else; for no devices.")
    ] = False,
    days: Annotated[float | None, typer.Option(help="How long it is good; left out: until revoked.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once. What is named together must all be so: --site oslo --type pump."""
    from serve.scopes import Scope

    lasts_s = None if days is None else days * 86_400
    if metrics and (device or gateway or site or type_ or everything):
        raise typer.BadParameter("a key for metrics is for no devices; leave out what names some")
    named = device or (), gateway or (), site or (), type_ or ()
    scope = Scope() if metrics else Scope.of(*named, everything=everything)
    with _access(data) as access:
        key, text = access.keys.create(name, scope, _me(), lasts_s, "metrics" if metrics else "readings")
    _key_text(key, text, as_json)


@keys.command(name="list")
def list_keys(data: Data = None, as_json: AsJson = False) -> None:
    """List every key, without its secret."""
    with _access(data) as access:
        found = access.keys.all()
    print_rows([_key(each) for each in found], as_json)


@keys.command()
def rotate(
    key: KeyId,
    overlap_hours: Annotated[float, typer.Option(help="How long the secret before goes on.")] = 24.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it, this once."""
    with _access(data) as access:
        found, text = access.keys.rotate(key, _me(), overlap_hours * 3_600)
    _key_text(found, text, as_json)


@keys.command()
def revoke(key: KeyId, data: Data = None, as_json: AsJson = False) -> None:
    """Accept a key no longer, within a second."""
    with _access(data) as access:
        found = access.keys.revoke(key, _me())
    say(_key(found), as_json, f"key {found.id} ({found.name}) is revoked")


def _switch(name: str, disabled: bool, data: Any, as_json: bool) -> None:
    with _access(data) as access:
        found = access.accounts.change(name, _me(), disabled=disabled)
    say(_account(found), as_json, f"{found.name} is {'disabled' if found.disabled else 'enabled'}")


@contextmanager
def _access(data: Any) -> "Iterator[Access]":
    """Accounts and keys, with their tables up to date."""
    from serve.access import FOLDER, Access
    from serve.database import Database

    settings = settings_of({"data": data})
    database = Database(settings.database_config())
    try:
        database.migrate()
        yield Access(database, settings.data / FOLDER)
    finally:
        database.close()


def _me() -> "Actor":
    from serve.accounts import Actor

    return Actor(me())


def _one_time(name: str, made: str, as_json: bool) -> None:
    say(
        {"name": name, "password": made},
        as_json,
        f"{name} logs in with {made}, once, and chooses a password then",
    )


def _account(account: "Account") -> dict[str, Any]:
    state = "disabled" if account.disabled else "must choose a password" if account.must_change else ""
    return {
        "name": account.name,
        "role": account.role,
        "sites": "all sites" if account.sites is None else ", ".join(sorted(account.sites)),
        "state": state,
        "since": moment(account.made_us),
    }


def _key(key: "DeviceKey") -> dict[str, Any]:
    named = [f"{kind[:-1]} {each}" for kind, names in asdict(key.scope).items() for each in names]
    return {
        "id": key.id,
        "name": key.name,
        "for": "metrics" if key.kind == "metrics" else ", ".join(named) or "everything",
        "made": moment(key.made_us),
        "expires": _at(key.expires_us),
        "revoked": _at(key.revoked_us),
        "used": _at(key.used_us),
    }


def _key_text(key: "DeviceKey", text: str, as_json: bool) -> None:
    say(
        {**_key(key), "text": text},
        as_json,
        f"{text}\nkept nowhere: note it now. Send it as `Authorization: Bearer …`",
    )


def _at(at_us: int | None) -> str:
    return "" if at_us is None else moment(at_us)
