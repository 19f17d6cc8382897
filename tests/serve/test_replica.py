"""Finding hosts, without Ray: whoever added one, it is met once, and found again when it moved."""

from typing import Any

import pytest

from serve import replica
from serve.replica import Hosts, PublishedSource
from tests.serve.tables import NOW_US, devices
from twins.actors import Published


def test_a_host_that_another_process_added_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    up: dict[str, Any] = {"host-000": "a", "host-001": "b"}
    arrived: list[str] = []
    now = [100.0]
    monkeypatch.setattr(replica, "stopwatch_s", lambda: now[0])
    hosts = Hosts(arrived.append, lambda: up)
    hosts.look()
    assert hosts.handles == {0: "a", 1: "b"}

    up = {"host-001": "c", "host-1000": "d"}  # one is gone, one came up anew, one was added
    hosts.look()
    assert hosts.handles == {0: "a", 1: "b"}, "it was looked a moment ago"
    now[0] += 5.0
    hosts.look()
    assert hosts.handles == {0: "a", 1: "c", 1000: "d"}
    assert arrived == ["host-000", "host-001", "host-1000"]


def test_a_look_that_failed_is_made_again_at_once() -> None:
    answers = iter([{"host-000": "a"}])

    def find() -> dict[str, Any]:
        if not failures:
            return next(answers)
        raise failures.pop()

    failures = [ValueError("it went while it was asked for")]
    hosts = Hosts(lambda name: None, find)
    with pytest.raises(ValueError, match="it went"):
        hosts.look()
    hosts.look()
    assert hosts.handles == {0: "a"}


class Cluster:
    """Stands in for Ray's futures: an answer is there once its host is let go on."""

    class exceptions:  # noqa: N801
        class RayError(Exception): ...

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.waited: list[tuple[str, ...]] = []

    def host(self, name: str) -> Any:
        class Method:
            def remote(self) -> str:
                return name

        class Handle:
            published = Method()

        return Handle()

    def wait(self, refs: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        if timeout:
            self.waited.append(tuple(refs))
        return [ref for ref in refs if ref not in self.away], []

    def get(self, refs: Any, timeout: float | None = None) -> Any:
        if isinstance(refs, str):
            table = devices("pump", [f"p-{refs}"])
            return Published(1, 1, 1, NOW_US, {"pump": table}, table)
        return refs


def test_a_host_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    monkeypatch.setattr(replica, "ray", cluster)
    found = {f"host-{n:03d}": cluster.host(f"host-{n:03d}") for n in range(2)}
    source = PublishedSource(Hosts(lambda name: None, lambda: found), patience_s=1.0)

    def reachable() -> dict[int, bool]:
        return {generation.host: generation.reachable for generation in source.newest()}

    assert reachable() == {0: True, 1: True}
    cluster.away = {"host-001"}
    assert reachable() == {0: True, 1: False}
    cluster.waited.clear()
    assert reachable() == {0: True, 1: False}
    assert cluster.waited == [("host-000",)], "the one that is away was waited for again"
    cluster.away = set()
    assert reachable() == {0: True, 1: True}
