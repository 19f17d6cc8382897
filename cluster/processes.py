"""The operating system's view of a platform: which processes it consists of, which have gone, which were left behind."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psutil

_CORE: Final = ("gcs_server", "raylet")
_LEFT_BEHIND: Final = frozenset({*_CORE, "haproxy"})
_WORKERS: Final = "ray::"
_END_WITHIN_S: Final = 10.0
_GIVE_UP_AFTER_S: Final = 30.0


@contextmanager
def own_process_group() -> Iterator[None]:
    """What is started meanwhile gets a process group of its own.

    A signal to the platform's group, as Ctrl-C and service managers send, then reaches the platform alone, which ends
    the rest in order; else Ray would die under it, and the proxy would be left behind.
    """
    if (
        os.getsid(0) == os.getpid()
    ):  # may not leave its group; nobody else is in its session who would signal it
        yield
        return
    before = os.getpgrp()
    holder = subprocess.Popen(  # keeps the new group until somebody else is in it
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, process_group=0
    )
    os.setpgid(0, holder.pid)
    try:
        yield
    finally:
        os.setpgid(0, 0 if before == os.getpid() else before)
        holder.communicate()


class Underneath:
    """Ray's own processes that this one has started."""

    def __init__(self) -> None:
        # not their children: a worker bears its parent's name for a moment; nor what this process had before it began anew
        self._core: list[tuple[str, psutil.Process]] = [
            (child.name(), child)
            for child in psutil.Process().children()
            if child.name() in _CORE and _lives(child)
        ]

    def lost(self) -> str:
        """The name of one that has ended; empty: all of them run."""
        for name, process in self._core:
            if not _lives(process):
                return name
        return ""


def end_leftovers(token_file: str) -> list[str]:
    """End what a platform that was killed has left running: orphans that were started with this token file.

    Only for who holds the data folder, so that none of them can be anybody's. Those that become orphans because another is
    ended follow it. Gives the names of those that do not end by themselves with Ray.
    """
    names: list[str] = []
    deadline = time.monotonic() + _GIVE_UP_AFTER_S
    while (orphans := _orphans(token_file)) and time.monotonic() < deadline:
        names += [name for name, _ in orphans if name in _LEFT_BEHIND]
        for _, process in orphans:
            _signal(process, psutil.Process.terminate)
        _, alive = psutil.wait_procs([process for _, process in orphans], timeout=_END_WITHIN_S)
        for process in alive:
            _signal(process, psutil.Process.kill)
        psutil.wait_procs(alive, timeout=_END_WITHIN_S)
    return names


def _orphans(token_file: str) -> list[tuple[str, psutil.Process]]:
    found = []
    for process in psutil.process_iter():
        try:
            name = process.name()
            if (
                (name in _LEFT_BEHIND or name.startswith(_WORKERS))
                and process.ppid() in (1, os.getpid())
                and _lives(process)
                and process.environ().get("RAY_AUTH_TOKEN_PATH") == token_file
            ):
                found.append((name, process))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        send(process)
