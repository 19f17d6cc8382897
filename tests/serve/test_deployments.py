"""Finding hosts, without Ray: whoever added one, it is met once, and found again when it moved."""

from typing import Any

import pytest

from serve import deployments
from serve.deployments import Hosts


def test_a_host_that_another_process_added_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    up: dict[str, Any] = {"host-000": "a", "host-001": "b"}
    arrived: list[str] = []
    now = [100.0]
    monkeypatch.setattr(deployments, "stopwatch_s", lambda: now[0])
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
