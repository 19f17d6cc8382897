"""A PostgreSQL server of the tests' own, on loopback, in a temporary folder. `tests/system.py` installs it."""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "max_connections=60",
    "shared_buffers=16MB",
)


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: the newest of Debian's, else where the path leads."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    if debian:
        return debian[-1].parent
    return Path(found).resolve().parent if found else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A running server; gives the URL of its first database, without a name at the end."""
    folder = binaries()
    if folder is None:
        raise RuntimeError(
            "the tests need PostgreSQL's server: run `python tests/system.py`, or install postgresql"
        )
    home = Path(tempfile.mkdtemp(prefix="tfp-", dir="/tmp"))
    user = _owner()  # PostgreSQL does not run as root
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    as_user = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    password, port = secrets.token_urlsafe(12), _free_port()
    (home / "password").write_text(password)
    if user is not None:
        os.chown(home / "password", user.pw_uid, user.pw_gid)
    options = " ".join(
        f"-c {setting}" for setting in (*_SETTINGS, f"port={port}", f"unix_socket_directories={home}")
    )

    def run(name: str, *arguments: str) -> None:
        done = subprocess.run(
            [folder / name, *arguments],
            cwd=home,
            capture_output=True,
            text=True,
            env={"LC_ALL": "C.UTF-8"},
            **as_user,
        )  # type: ignore[call-overload]
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    try:
        run(
            "initdb", "--pgdata", "data", "--username", "twinfold", "--pwfile", "password", "--auth", "scram-sha-256",
            "--no-sync",
        )  # fmt: skip
        run(
            "pg_ctl",
            "--pgdata",
            "data",
            "--wait",
            "--timeout",
            "60",
            "--log",
            "log",
            "--options",
            options,
            "start",
        )
        try:
            yield f"postgresql://twinfold:{password}@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "--pgdata", "data", "--wait", "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """A database of its own on a server; gives its URL."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{url}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _owner() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("postgres")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
