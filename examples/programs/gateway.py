"""A gateway: reads lines from standard input and sends them in batches, at the pace at which the platform takes them.

    some-fieldbus-reader | python gateway.py http://127.0.0.1:8700 KEY

A line is `{"device": "pump-17", "time": "2026-01-31T12:00:00Z", "values": {"flow": 118.0}}`. While the platform is busy or
away, lines wait here, up to a bound; then reading stops, so that whoever writes to us waits, too.
"""

import json
import queue
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from serve.client import Client

MOST_WAITING = 100_000
A_BATCH = 1_000
FOR_NOW = ("fleet.degraded", "storage.full")
A_DAY_S = 86_400.0


def main(url: str, key: str, lines: Iterable[str] = sys.stdin) -> None:
    waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST_WAITING)
    threading.Thread(target=read, args=(lines, waiting), daemon=True).start()
    with Client(url, key, patience_s=A_DAY_S) as client:
        while batch := next_batch(waiting):
            while batch:
                taken = client.send(batch)  # returns once they are on disk; waits and asks again until then
                print(f"{len(batch)} lines: {taken.accepted}, refused: {taken.refused_total}", flush=True)
                # what is refused for now is of a part that is away: it is sent until that is back
                if batch := [batch[each.index] for each in taken.refused if each.code in FOR_NOW]:
                    time.sleep(1)  # the part that is away is given a moment


def read(lines: Iterable[str], waiting: "queue.Queue[dict[str, Any] | None]") -> None:
    for line in lines:
        waiting.put(json.loads(line))  # waits while there is no room
    waiting.put(None)


def next_batch(waiting: "queue.Queue[dict[str, Any] | None]") -> list[dict[str, Any]]:
    """At least one line, and whatever else waits already; nothing at the end."""
    batch = []
    while len(batch) < A_BATCH and (not batch or not waiting.empty()):
        line = waiting.get()
        if line is None:
            waiting.put(None)  # for the next call
            break
        batch.append(line)
    return batch


if __name__ == "__main__":
    main(*sys.argv[1:])
