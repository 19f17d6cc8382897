"""Actors that write real journals, and a plain account of what they wrote: the oracle of the history
tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twins import entries, typefiles
from twins.devices import DeviceType
from twins.entries import EntryKind
from twins.events import EVENT, KINDS, EventBatch, Kind
from twins.journal import Entry, Journal, JournalConfig, JournalReader, StoredEntry
from twins.readings import Fate, ShardBatch

START_US = 1_700_000_000_000_000

PUMP = """
name: test-pump
version: 1
channels:
  - {name: pressure, unit: bar, low: -1000, high: 1000}
  - {name: flow, unit: L/min, low: -1000, high: 1000}
  - {name: speed, unit: /min, low: -1000, high: 1000}
rules:
  - {name: pressure-high, when: pressure > 900, priority: high, consequence: wear, response: look}
"""


def pump() -> DeviceType:
    return typefiles.parse_type(PUMP, "pump.yaml")


@dataclass
class Outcome:
    """What a shard would say of a batch."""

    fate: NDArray[np.uint8]
    bad: NDArray[np.uint64]
    late: NDArray[np.uint64]
    duplicate: NDArray[np.uint64]


@dataclass
class Account:
    """What history has to hold: by device, channel and event time, and the events in order."""

    readings: dict[tuple[str, str, int], float] = field(default_factory=dict)
    bad: dict[tuple[str, str, int], float] = field(default_factory=dict)
    events: list[tuple[str, str, int]] = field(default_factory=list)  # type, device, cursor
    inputs: list[tuple[str, int]] = field(default_factory=list)  # actor, cursor


class Actor:
    """One actor's journal; judges readings as a shard does, the slow way."""

    def __init__(
        self, name: str, folder: Path, account: Account, devices: int = 4, file_bytes: int = 1 << 28
    ) -> None:
        self.name = name
        self.folder = folder
        self.account = account
        self.type = pump()
        self.now_us = START_US
        self.newest: dict[tuple[int, int], int] = {}
        self.ids: list[str] = []
        self.config = JournalConfig(file_bytes=file_bytes)
        self.journal = Journal.open(folder, self.config)
        document = typefiles.to_document(self.type)
        self.command("InstallType", {"document": document, "by": "test"}, [(-1, Kind.TYPE_INSTALLED)])
        self.register(devices)

    def register(self, count: int) -> None:
        first = len(self.ids)
        # ids whose order is not that of the rows
        new = [f"{self.name}-{(7 * row) % 101:03d}" for row in range(first, first + count)]
        self.ids += new
        body = {
            "device_type": self.type.name,
            "by": "test",
            "devices": [{"id": id_, "device_type": self.type.name, "site": "north"} for id_ in new],
        }
        self.command("RegisterDevices", body, [(first + i, Kind.DEVICE_REGISTERED) for i in range(count)])

    def command(self, name: str, body: dict[str, Any], told: list[tuple[int, Kind]]) -> None:
        payload = entries.encode_command(name, {"command_id": "x", **body})
        self.append([Entry(EntryKind.COMMAND, self.now_us, payload, self.events(told))], told)
        self.account.inputs.append((self.name, self.journal.last_cursor))

    def events(self, told: list[tuple[int, Kind]]) -> bytearray:
        records = np.zeros(len(told), EVENT)
        records["row"], records["kind"] = [row for row, _ in told], [int(kind) for _, kind in told]
        records["at_us"], records["slot"] = self.now_us, 0
        return entries.encode_events({self.type.name: EventBatch(records)})

    def append(self, new: list[Entry], told: list[tuple[int, Kind]]) -> None:
        self.journal.append(new)
        for row, kind in told:
            self.account.events.append(
                (KINDS[kind].type, self.ids[row] if row >= 0 else "", self.journal.last_cursor)
            )

    def tick(self, *rows: int) -> None:
        """Devices fall silent."""
        told = [(row, Kind.DEVICE_STALE) for row in rows]
        self.append([Entry(EntryKind.TICK, self.now_us, b"", self.events(told))], told)
        self.account.inputs.append((self.name, self.journal.last_cursor))

    def readings(self, lines: Sequence[tuple[int, int, Sequence[float | None]]]) -> None:
        """Lines of row, second and a value a channel; None: not sent."""
        n, channels = len(lines), len(self.type.channels)
        batch = ShardBatch(
            np.array([row for row, _, _ in lines], np.int32),
            np.array([START_US + second * 1_000_000 for _, second, _ in lines], np.int64),
            np.array([[math.nan if x is None else x for x in xs] for _, _, xs in lines], np.float32).reshape(
                n, channels
            ),
            np.array(
                [sum(1 << c for c, x in enumerate(xs) if x is not None) for _, _, xs in lines], np.uint64
            ),
        )
        out = Outcome(np.zeros(n, np.uint8), *(np.zeros(n, np.uint64) for _ in range(3)))
        for k, (row, second, values) in enumerate(lines):
            self._judge(out, k, row, START_US + second * 1_000_000, values)
        self.now_us += 1000
        self.journal.append(
            [Entry(EntryKind.READINGS, self.now_us, entries.encode_readings(self.type.name, batch, out))]
        )

    def _judge(self, out: Outcome, k: int, row: int, at_us: int, values: Sequence[float | None]) -> None:
        fates = []
        for c, value in enumerate(values):
            if value is None:
                continue
            bit = np.uint64(1 << c)
            good = not math.isnan(value) and -1000 <= value <= 1000
            newest = self.newest.get((row, c))
            if newest is not None and at_us == newest:
                out.duplicate[k] |= bit
                fates.append(Fate.DUPLICATE)
                continue
            if newest is not None and at_us < newest:
                out.late[k] |= bit
                fates.append(Fate.LATE)
            else:
                self.newest[row, c] = at_us
                fates.append(Fate.SCORED if good else Fate.BAD)
                if not good:
                    out.bad[k] |= bit
            key = (self.ids[row], self.type.channel_names[c], at_us)
            if key not in self.account.readings and key not in self.account.bad:
                (self.account.readings if good else self.account.bad)[key] = float(np.float32(value))
        out.fate[k] = min(fates, default=Fate.EMPTY)

    def close(self) -> None:
        self.journal.close()


class Following:
    """A journal as a source for recorder and tail."""

    def __init__(self, actor: str, folder: Path) -> None:
        self.actor = actor
        self.reader = JournalReader(folder)

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self.reader.read_after(cursor, limit)


def told(rows: Any) -> tuple[dict[tuple[str, str, int], float], dict[tuple[str, str, int], float]]:
    """Readings and BAD readings of a result with all columns; no key may come twice."""
    good: dict[tuple[str, str, int], float] = {}
    bad: dict[tuple[str, str, int], float] = {}
    channels = pump().channel_names
    times = rows["event_time"].cast("int64").to_pylist()
    for line, at_us in zip(rows.to_pylist(), times, strict=True):
        bad_values = iter(line["bad_values"] or [])
        for c, channel in enumerate(channels):
            key = (line["device_id"], channel, at_us)
            assert line[channel] is None or not line["bad"] >> c & 1
            if line["bad"] >> c & 1:
                assert key not in bad
                assert key not in good
                bad[key] = next(bad_values)
            elif line[channel] is not None:
                assert key not in bad
                assert key not in good
                good[key] = line[channel]
        assert next(bad_values, None) is None
    return good, bad


def same(found: dict[Any, float], expected: dict[Any, float]) -> bool:
    """Equal, NaN being equal to NaN."""
    return found.keys() == expected.keys() and all(
        found[key] == value or (math.isnan(found[key]) and math.isnan(value))
        for key, value in expected.items()
    )
