"""Any twin can be rebuilt as of any kept moment, bit for bit, from snapshots, history and journals."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.worlds import World, bits, world_of_steps
from tests.twins.fleets import PUMP, T0, random_lines
from training.errors import MomentAheadError, MomentNotKeptError
from training.keeping import KeepingConfig, KeptSnapshots
from training.past import Past
from training.recorder import journals_in
from training.tables import Table
from training.upkeep import RetentionConfig, retain
from twins.clock import DAY_US, HOUR_US, SECOND_US
from twins.errors import DeviceNotFoundError


@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
@settings(max_examples=4, deadline=None)
def test_every_remembered_moment_comes_back_bit_for_bit(seed, hosts):
    comes_back(seed, hosts)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_many_more_moments_come_back_bit_for_bit(seed, hosts):
    comes_back(seed, hosts)


def comes_back(seed, hosts):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), rng, hosts)
        with closing(world):
            world.live(random_lines(rng, world.ids, steps=50))
            past = Past(world.folder / "history", journals_in(world.folder / "hosts"))
            for at_us, expected in world.known:
                found = {
                    each.shard.roster.index[row]: bits(each.shard, row)
                    for each in past.shards(PUMP.name, at_us)
                    for row in range(len(each.shard))
                }
                assert found.keys() == expected.keys()
                for device_id in expected:
                    assert found[device_id] == expected[device_id], (at_us, device_id)
                one = str(rng.choice(list(expected)))
                (alone,) = past.shards(PUMP.name, at_us, [one])
                assert bits(alone.shard, 0) == expected[one]


def test_a_damaged_snapshot_gives_way_to_the_one_before(tmp_path):
    with closing(world_of_steps(tmp_path)) as world:
        world.keep()
        world.record()
        world.remember()
        kept = KeptSnapshots(tmp_path / "history").of("host-000")
        assert kept
        block = bytearray(kept[-1].path.read_bytes())
        block[len(block) // 2] ^= 1
        kept[-1].path.write_bytes(block)
        at_us, expected = world.known[-1]
        (found,) = Past(tmp_path / "history").shards(PUMP.name, at_us, ["pump-1"])
        assert bits(found.shard, 0) == expected["pump-1"]
        assert found.from_snapshot_us != kept[-1].now_us


def test_says_what_is_kept_once_retention_took_the_readings_before(tmp_path):
    with closing(world_of_steps(tmp_path)) as world:
        world.record()
        before_us = world.now_us
        table = Table(tmp_path / "history" / "readings_test_pump")
        gone = KeptSnapshots(tmp_path / "history")
        assert retain(table, before_us + 3 * DAY_US, RetentionConfig(readings_days=1.0), gone.note_gone) > 0
        world.now_us += DAY_US
        world.fleet.advance(world.now_us)
        for host in world.fleet.shard_hosts():
            host.begin_snapshot()()
        world.keep()
        world.record()
        world.remember()
        past = Past(tmp_path / "history")
        with pytest.raises(MomentNotKeptError, match="ask for a moment after"):
            past.shards(PUMP.name, before_us, ["pump-1"])
        at_us, expected = world.known[-1]
        (found,) = past.shards(PUMP.name, at_us, ["pump-1"])
        assert bits(found.shard, 0) == expected["pump-1"]


def test_a_moment_that_only_an_absent_journal_knows_is_refused(tmp_path):
    with closing(world_of_steps(tmp_path)) as world:
        world.record()
        world.remember()
        recorded_us, expected = world.known[-1]
        history = Past(tmp_path / "history")
        (found,) = history.shards(PUMP.name, recorded_us, ["pump-1"])
        assert bits(found.shard, 0) == expected["pump-1"]
        for at_us in (recorded_us + 1, recorded_us + DAY_US):
            with pytest.raises(MomentAheadError, match="its journal is not at hand"):
                history.shards(PUMP.name, at_us, ["pump-1"])
            with pytest.raises(MomentAheadError):
                history.twin("pump-1", at_us)
            everywhere = Past(tmp_path / "history", journals_in(tmp_path / "hosts"))
            assert everywhere.twin("pump-1", at_us)[0]["id"] == "pump-1"


def test_a_device_is_not_there_before_it_was_registered(tmp_path):
    with closing(world_of_steps(tmp_path, 3)) as world:
        past = Past(tmp_path / "history", journals_in(tmp_path / "hosts"))
        assert past.twin("pump-1", world.now_us)[0]["id"] == "pump-1"
        with pytest.raises(DeviceNotFoundError):
            past.twin("pump-1", T0 - SECOND_US)
        with pytest.raises(DeviceNotFoundError):
            past.twin("nobody", world.now_us)


def test_another_actors_loss_is_no_obstacle(tmp_path):
    rng = np.random.default_rng(8)
    world = World(tmp_path, rng, 2)
    with closing(world):
        world.live(random_lines(rng, world.ids, steps=10))
        world.record()
        by_host = [host.shard(PUMP.name).roster.index for host in world.fleet.shard_hosts()]
        mine, other = by_host[0][0], by_host[1][0]
        gone = KeptSnapshots(tmp_path / "history")
        gone.folder.mkdir(parents=True, exist_ok=True)
        (gone.folder / "gone.json").write_text('{"host-001": 1000000}')
        past = Past(tmp_path / "history", journals_in(tmp_path / "hosts"))
        assert past.twin(mine, world.now_us)[0]["id"] == mine
        with pytest.raises(MomentNotKeptError, match="retention took"):
            past.twin(other, world.now_us)


def test_a_moment_after_a_lost_entry_is_refused_and_one_before_it_shown(tmp_path):
    with closing(world_of_steps(tmp_path, 6)) as world:
        source = journals_in(tmp_path / "hosts")[0]

        class Damaged:
            actor = source.actor

            def read_after(self, cursor, limit):
                page = source.read_after(cursor, limit)
                return [
                    e._replace(kind=0, now_us=0, payload=b"", events=None) if e.cursor == 6 else e
                    for e in page
                ]

        entries = source.read_after(0, 100)
        past = Past(tmp_path / "history", [Damaged()])
        before_us = next(e.now_us for e in entries if e.cursor == 5)
        assert past.twin("pump-1", before_us - 1)[0]["id"] == "pump-1"
        with pytest.raises(MomentNotKeptError, match="damage to entry 6"):
            past.twin("pump-1", world.now_us)


def test_snapshots_thin_to_hours_then_days(tmp_path):
    from twins.packing import pack

    kept = KeptSnapshots(tmp_path)
    moments = [T0 + minutes * 60 * SECOND_US for minutes in range(0, 10 * 24 * 60, 20)]
    for cursor, now_us in enumerate(moments):
        kept.keep("host-000", cursor, bytes(pack({"now_us": now_us})))
    now_us = moments[-1]
    kept.thin(now_us, KeepingConfig())
    left = [each.now_us for each in kept.of("host-000")]
    assert left[-1] == now_us
    week_ago = now_us - 7 * DAY_US
    for width, some in (
        (HOUR_US, [t for t in left[:-1] if t > week_ago]),
        (DAY_US, [t for t in left if t < week_ago - DAY_US]),
    ):
        assert len({t // width for t in some}) == len(some)
        assert len(some) >= 2
    assert kept.thin(now_us, KeepingConfig()) == 0
    kept.thin(now_us, KeepingConfig(gb=0.0))
    assert [each.now_us for each in kept.of("host-000")] == [now_us]


def test_keeps_one_an_hour_from_a_hosts_folder(tmp_path):
    with closing(world_of_steps(tmp_path, 5)) as world:
        (host,) = world.fleet.shard_hosts()
        host.begin_snapshot()()
        kept = KeptSnapshots(tmp_path / "history")
        assert kept.keep_newest("host-000", host.folder / "snapshots", world.now_us) is not None
        assert kept.keep_newest("host-000", host.folder / "snapshots", world.now_us + 1) is None
        assert not kept.is_due("host-000", world.now_us + HOUR_US // 2)
        assert kept.is_due("host-000", world.now_us + 2 * HOUR_US)
