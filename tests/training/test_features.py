"""What is learned from is what the live twin knew: bit for bit, and nothing from after the moment."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.twins.fleets import PUMP, T0, Line, batch_of, pumps, random_lines
from training import lifecycles
from training.features import Landmarks, Window, devices, from_table, landmarks
from training.history import History
from training.recorder import Recorder, journals_in
from twins import commands as c
from twins.clock import SECOND_US, VirtualClock
from twins.covariates import covariates, shape_of
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig

IDS = [device.id for device in pumps(5)]
Moments = list[tuple[str, int, bytes]]


def told(known: Landmarks) -> Moments:
    """Device, time and covariates, bit for bit, in the order of time for each device."""
    bits = [row.tobytes() for row in known.covariates.matrix()]
    return list(zip(known.device_id.tolist(), known.at_us.tolist(), bits, strict=True))


class Lived:
    """Two fleets that live through the same: one line at a time and looked at, in batches and recorded.

    ``seen`` is what the first one's twins were like after each of their newest readings.
    """

    def __init__(self, folder: Path, lines: Sequence[Line], records: bool = True) -> None:
        self.folder = folder
        self.seen: Moments = []
        rng = np.random.default_rng(3)
        recorded = FleetConfig(host=HostConfig(recorded=True))
        with (
            LocalFleet(folder / "hosts", recorded, VirtualClock(T0)) as fleet,
            LocalFleet(None, clock=VirtualClock(T0)) as watched,
        ):
            both = (fleet, watched)
            for each in both:
                each.install(PUMP)
                each.register(pumps(5))
            for now_us, group in groupby(lines, key=lambda line: line.now_us):
                for each in both:
                    each.clock.advance_to(now_us)
                    each.advance(now_us)
                todo = list(group)
                for line in todo:
                    watched.write(batch_of([line]))
                    self._look(watched, line)
                while todo:
                    size = int(rng.integers(1, 1 + len(todo)))
                    fleet.write(batch_of(todo[:size]))
                    todo = todo[size:]
                if records and rng.random() < 0.1:
                    kind: Any = rng.choice(["repair", "replacement"])
                    device = str(rng.choice(IDS))
                    for each in both:
                        each.command(
                            c.RecordMaintenance(
                                command_id=f"m-{now_us}", by="ann", device_id=device, kind=kind
                            )
                        )
        with closing(Recorder(folder / "history", journals_in(folder / "hosts"))) as recorder:
            while recorder.step():
                pass
            recorder.flush()

    def _look(self, fleet: LocalFleet, line: Line) -> None:
        (host,) = fleet.shard_hosts()
        shard = host.shard(PUMP.name)
        row = shard.row_of(line.device)
        if shard.state.core.event_us[row] == line.event_us:
            bits = covariates(shard.state, np.array([row])).matrix()[0].tobytes()
            self.seen.append((line.device, line.event_us, bits))


def looked(folder: Path, until_us: int, stride: int = 1) -> Landmarks:
    with History(folder / "history", journals_in(folder / "hosts")) as history:
        ids = devices(history, PUMP.name)
        lives = lifecycles.read(history, PUMP.name, ids, (), until_us)
        found = landmarks(history.past(), Window(PUMP.name, until_us, stride), lives, ids)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(3))
def test_what_history_gives_is_what_the_live_twin_had(tmp_path: Path, seed: int) -> None:
    lines = random_lines(np.random.default_rng(seed), IDS, 120)
    live = Lived(tmp_path, lines)
    found = told(looked(tmp_path, lines[-1].now_us))
    assert len(found) > 300
    for name in IDS:
        assert [each for each in found if each[0] == name] == sorted(
            (each for each in live.seen if each[0] == name), key=lambda each: each[1]
        )


def test_nothing_from_after_a_moment_is_in_it(tmp_path: Path) -> None:
    """A leak is planted: after the middle each reading tells the device's fate; what was learned before knows none of it."""
    lines = random_lines(np.random.default_rng(4), IDS, 120)
    middle_us = lines[len(lines) // 2].now_us
    first = [line for line in lines if line.now_us <= middle_us]
    telling = [
        replace(line, values=(line.values[0], 50.0 * IDS.index(line.device), line.values[2]))
        for line in lines
        if line.now_us > middle_us
    ]
    Lived(tmp_path / "short", first, records=False)
    Lived(tmp_path / "long", first + telling, records=False)
    short = told(looked(tmp_path / "short", middle_us))
    assert told(looked(tmp_path / "long", middle_us)) == short
    long = told(looked(tmp_path / "long", lines[-1].now_us))
    assert set(short) < set(long)


def test_a_stride_takes_some_of_the_same_moments_however_batches_fell(tmp_path: Path) -> None:
    lines = random_lines(np.random.default_rng(5), IDS, 100)
    live = Lived(tmp_path, lines)
    some = told(looked(tmp_path, lines[-1].now_us, stride=7))
    assert set(some) <= set(live.seen)
    assert len(live.seen) / 10 < len(some) < len(live.seen) / 5


def test_landmarks_say_what_became_of_the_device(tmp_path: Path) -> None:
    lines = random_lines(np.random.default_rng(6), IDS, 60)
    with LocalFleet(
        tmp_path / "hosts", FleetConfig(host=HostConfig(recorded=True)), VirtualClock(T0)
    ) as fleet:
        fleet.install(PUMP)
        fleet.register(pumps(5))
        for now_us, group in groupby(lines, key=lambda line: line.now_us):
            fleet.clock.advance_to(now_us)
            fleet.write(batch_of(list(group)))
        end_us = (
            max(line.event_us for line in lines if line.event_us < lines[-1].now_us + 60 * SECOND_US)
            + 3600 * SECOND_US
        )
        fleet.command(
            c.RecordMaintenance(command_id="f", by="ann", device_id=IDS[0], kind="failure", at_us=end_us)
        )
        until_us = fleet.clock.now_us()
    with closing(Recorder(tmp_path / "history", journals_in(tmp_path / "hosts"))) as recorder:
        while recorder.step():
            pass
        recorder.flush()
    found = looked(tmp_path, until_us)
    mine = found.device_id == IDS[0]
    assert found.failed[mine].all()
    assert not found.failed[~mine].any()
    np.testing.assert_allclose(found.remaining_h[mine], (end_us - found.at_us[mine]) / 3.6e9)
    others = found.take(~mine)
    assert (others.remaining_h >= 0).all()
    assert (others.remaining_h == 0).any()
    again = from_table(found.table(), *shape_of(PUMP))
    assert told(again) == told(found)
    np.testing.assert_array_equal(again.remaining_h, found.remaining_h)
