"""Everything acknowledged is in the answer, each reading once, wherever it lies at the moment."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sealed import encrypt
from tests.training.journals import START_US, Account, Actor, Following, same, told
from training import decoding, parquet_files, rollups
from training.compaction import CompactionConfig, compact
from training.errors import HistoryBehindError, UpkeepError
from training.history import History, HistoryConfig
from training.recorder import Recorder, RecorderConfig
from training.tables import Table
from training.upkeep import RetentionConfig, UpkeepConfig, limit_bytes, retain, upkeep
from twins.clock import DAY_US, MINUTE_US, SECOND_US, VirtualClock
from twins.errors import DegradedError
from twins.journal import StoredEntry

READINGS = "readings_test_pump"
JOIN_ALL = CompactionConfig(at_least=1)


class World:
    """Two actors, a recorder and a reader over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = Account()
        self.actors = [Actor(name, folder / name, self.account, file_bytes=300_000) for name in ("a", "b")]
        self.sources = [Following(actor.name, actor.folder) for actor in self.actors]
        self.clock = VirtualClock(START_US)
        self.recorder = self.record()
        self.history = History(folder / "history", self.sources)

    @property
    def readings(self) -> Table:
        return Table(self.folder / "history" / READINGS)

    def record(self) -> Recorder:
        return Recorder(self.folder / "history", self.sources, RecorderConfig(), self.clock)

    def flush(self) -> None:
        while self.recorder.step():
            pass
        self.recorder.flush()

    def crash(self) -> None:
        """The recorder dies and another takes its place."""
        self.recorder.close()
        self.recorder = self.record()

    def cut(self) -> None:
        for actor in self.actors:
            actor.journal.cut(self.recorder.cursors[actor.name])

    def check(self) -> None:
        if self.account.readings or self.account.bad:
            good, bad = told(self.history.query(f"SELECT * FROM {READINGS}"))
            assert same(good, self.account.readings)
            assert same(bad, self.account.bad)
        self.check_devices()
        events = self.history.query("SELECT type, device_id, cursor FROM events")
        found = [(row["type"], row["device_id"], row["cursor"]) for row in events.to_pylist()]
        assert sorted(found) == sorted(self.account.events)
        inputs = self.history.query("SELECT actor, cursor FROM inputs").to_pylist()
        assert sorted((row["actor"], row["cursor"]) for row in inputs) == sorted(self.account.inputs)

    def check_devices(self) -> None:
        """Each device by itself, as a chart has it."""
        expected: dict[str, dict[tuple[str, int], float]] = {}
        for (device_id, channel, at_us), value in self.account.readings.items():
            expected.setdefault(device_id, {})[channel, at_us] = value
        for device_id, readings in expected.items():
            series = self.history.device_history(
                "test-pump", device_id, START_US - MINUTE_US, START_US + DAY_US, max_points=10**7
            )
            assert series.resolution_us == 0
            times = series.rows["event_time"].cast("int64").to_pylist()
            assert times == sorted(times)
            found = [
                ((channel, at_us), value)
                for channel in series.rows.column_names[1:]
                for at_us, value in zip(times, series.rows[channel].to_pylist(), strict=True)
                if value is not None
            ]
            assert len(found) == len(readings)
            assert dict(found) == readings

    def close(self) -> None:
        self.history.close()
        self.recorder.close()
        for actor in self.actors:
            actor.close()


@pytest.fixture(params=["plain", "sealed"])
def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    if request.param == "sealed":
        encrypt(tmp_path, monkeypatch, tmp_path_factory.mktemp("key") / "key")
    world = World(tmp_path)
    yield world
    world.close()


class TestQueries:
    def test_acknowledged_readings_are_visible_before_they_are_recorded_and_after(self, world: World) -> None:
        a, b = world.actors
        a.readings([(0, 1, [1.0, 2.0, 3.0]), (1, 1, [4.0, None, 6.0])])
        world.check()
        b.readings([(3, 1, [7.0, 8.0, 9.0])])
        world.check()
        world.flush()
        world.check()
        a.readings([(0, 2, [10.0, 11.0, 12.0])])
        world.check()
        world.flush()
        world.check()

    def test_bad_readings_are_kept_apart(self, world: World) -> None:
        world.actors[0].readings([(0, 1, [math.nan, 5000.0, 3.0]), (1, 1, [math.nan, None, None])])
        for _ in range(2):
            world.check()
            row = world.history.query(
                f"SELECT avg(flow) AS flow, avg(speed) AS speed FROM {READINGS}"
            ).to_pylist()
            assert row == [{"flow": None, "speed": 3.0}]
            world.flush()

    def test_duplicates_count_once_wherever_the_first_copy_lies(self, world: World) -> None:
        a = world.actors[0]
        a.readings([(0, 5, [1.0, 1.0, 1.0]), (0, 7, [2.0, 2.0, 2.0])])
        late: list[tuple[int, int, list[float | None]]] = [
            (0, 5, [9.0, 9.0, 9.0]),
            (0, 6, [3.0, None, None]),
        ]
        a.readings(late)  # beside the first copy in the tail
        world.check()
        world.flush()
        a.readings(late)  # the first copy is in history
        a.readings([(0, 6, [4.0, 4.0, None])])  # one channel of it is
        world.check()
        a.readings([(0, 6, [5.0, 5.0, 5.0])])  # two of it are in the tail
        world.check()
        world.flush()
        world.check()
        compact(world.readings, JOIN_ALL)
        world.check()

    def test_rows_are_sorted_by_device_and_time_in_every_file(self, world: World) -> None:
        for second in range(5):
            for actor in world.actors:
                actor.readings([(row, second, [1.0, 2.0, 3.0]) for row in (2, 0, 3, 1)])
        world.flush()
        world.actors[0].readings([(row, 9, [1.0, 2.0, 3.0]) for row in (3, 1)])
        world.flush()
        compact(world.readings, JOIN_ALL)
        (file,) = world.readings.version(()).files
        rows = parquet_files.read(file.path, ["device_id", "event_time"]).to_pylist()
        keys = [(row["device_id"], row["event_time"]) for row in rows]
        assert keys == sorted(keys)
        assert (file.least["device_id"], file.greatest["device_id"]) == (keys[0][0], keys[-1][0])
        assert file.least["event_time"] == START_US
        assert file.greatest["event_time"] == START_US + 9 * SECOND_US

    def test_a_journal_cut_between_two_queries_is_no_gap(self, world: World) -> None:
        a = world.actors[0]
        for second in range(60):
            a.readings([(row, second, [float(second), 2.0, 3.0]) for row in range(4)] * 4)
            if second == 20:
                world.check()  # the tail stands at this moment
        world.flush()
        world.cut()
        assert a.journal.first_cursor > 25
        world.check()

    def test_a_journal_cut_beyond_history_is_told(self, world: World) -> None:
        a = world.actors[0]
        for second in range(60):
            a.readings([(0, second, [float(second), 2.0, 3.0])] * 8)
        a.journal.cut(a.journal.last_cursor)
        with pytest.raises(HistoryBehindError, match="journals are cut"):
            world.history.query(f"SELECT 1 FROM {READINGS}")
        with pytest.raises(HistoryBehindError, match="cut after entry 0"):
            world.recorder.step()

    def test_a_reader_far_behind_history_starts_from_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("training.history._ENTRIES_WORTH_READING", 5)
        a = world.actors[0]
        a.readings([(0, 0, [1.0, 2.0, 3.0])])
        world.check()
        a.register(2)
        for second in range(1, 9):
            a.readings([(5, second, [1.0, 2.0, 3.0])])
        world.flush()
        a.readings([(4, 9, [1.0, 2.0, 3.0])])
        world.check()

    def test_a_recorder_that_stopped_is_told_before_memory_runs_out(self, world: World) -> None:
        for second in range(40):
            world.actors[0].readings([(row, second, [1.0, 2.0, 3.0]) for row in range(4)])
        with History(world.folder / "history", world.sources, HistoryConfig(tail_rows=100)) as reader:
            with pytest.raises(HistoryBehindError, match="more than 100 rows behind"):
                reader.query(f"SELECT 1 FROM {READINGS}")
            world.flush()
            assert reader.query(f"SELECT 1 FROM {READINGS}").num_rows == 160

    def test_what_was_read_beside_a_journal_that_failed_is_read_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = world.actors
        world.check()
        a.readings([(0, 1, [1.0, 2.0, 3.0])])
        b.readings([(0, 1, [1.0, 2.0, 3.0])])

        def fail(*_: object) -> list[StoredEntry]:
            raise DegradedError("it restarts")

        with monkeypatch.context() as patch:
            patch.setattr(world.sources[1], "read_after", fail)
            with pytest.raises(DegradedError):
                world.history.query("SELECT 1 FROM events")
        world.check()

    def test_what_could_not_be_sorted_is_read_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.check()
        world.actors[0].readings([(0, 1, [1.0, 2.0, 3.0])])
        world.actors[0].tick(1)

        def fail(*_: object) -> None:
            raise FileNotFoundError

        with monkeypatch.context() as patch:
            patch.setattr(decoding, "sorted_readings", fail)
            with pytest.raises(FileNotFoundError):
                world.history.query("SELECT 1 FROM events")
        world.check()

    def test_readings_in_bulk_are_found_unsorted_and_told_sorted(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("training.tail._BULK_ROWS", 1)
        monkeypatch.setattr("training.tail._BULK_ENTRY_ROWS", 1)
        a, b = world.actors
        for second in range(3):
            a.readings([(row, second, [float(second), 2.0, 3.0]) for row in (2, 0, 3)])
            a.readings([(2, second - 1, [9.0, 9.0, None])])  # late, of which nothing is news but the first
            b.readings([(row, second, [float(second), None, 3.0]) for row in range(4)])
            world.check_devices()
        world.check()
        a.readings([(2, 1, [9.0, 9.0, 9.0]), (2, 9, [1.0, 1.0, 1.0])])
        world.check_devices()
        world.flush()
        world.check()

    def test_a_journal_that_appears_later_is_followed(self, world: World) -> None:
        actor = Actor("c", world.folder / "c", world.account)
        world.history.add_source(Following("c", actor.folder))
        world.recorder.add_source(Following("c", actor.folder))
        actor.readings([(1, 1, [1.0, 2.0, 3.0])])
        world.check()
        world.flush()
        actor.readings([(1, 2, [1.0, 2.0, 3.0])])
        world.check()
        actor.close()

    def test_other_tables_can_be_joined_in(self, world: World) -> None:
        world.actors[0].readings([(0, 1, [1.0, 2.0, 3.0])])
        world.history.register("live", pa.table({"device_id": ["a-000"], "health": [97.5]}))
        sql = (
            f"SELECT health, flow FROM live JOIN {READINGS} USING (device_id) JOIN devices USING (device_id)"
        )
        assert world.history.query(sql).to_pylist() == [{"health": 97.5, "flow": 2.0}]
        assert {READINGS, "events", "devices", "live"} <= world.history.tables().keys()

    def test_parameters_and_mistakes(self, world: World) -> None:
        world.actors[0].readings([(0, 1, [1.0, 2.0, 3.0])])
        sql = f"SELECT flow FROM {READINGS} WHERE device_id = $id"
        assert world.history.query(sql, {"id": "a-000"}).num_rows == 1
        with pytest.raises(duckdb.Error, match="nonsense"):
            world.history.query("SELECT * FROM nonsense")

    def test_devices_keep_what_was_said_of_them(self, world: World) -> None:
        a = world.actors[0]
        a.register(2)
        a.readings([(5, 1, [1.0, 2.0, 3.0])])
        world.check()
        world.flush()
        world.crash()
        a.readings([(5, 2, [1.0, 2.0, 3.0])])
        world.check()
        found = world.history.query(
            "SELECT device_id, site FROM devices WHERE actor = 'a' ORDER BY row"
        ).to_pylist()
        assert [row["device_id"] for row in found] == a.ids
        assert {row["site"] for row in found} == {"north"}


class TestSeries:
    def fill(self, world: World, seconds: int) -> None:
        for second in range(seconds):
            peak = 500.0 if second == 77 else float(second % 10)
            world.actors[0].readings([(0, second, [float(second), peak, None]), (1, second, [0.0, 0.0, 0.0])])
            if second % 40 == 39:
                world.flush()

    def test_few_readings_come_as_they_are(self, world: World) -> None:
        self.fill(world, 50)
        series = world.history.device_history(
            "test-pump", "a-000", START_US + 10 * SECOND_US, START_US + 45 * SECOND_US
        )
        assert series.resolution_us == 0
        assert series.rows["pressure"].to_pylist() == [float(second) for second in range(10, 45)]
        assert series.rows["speed"].null_count == 35

    def test_many_readings_keep_their_peaks(self, world: World) -> None:
        self.fill(world, 100)
        series = world.history.device_history(
            "test-pump", "a-000", START_US, START_US + 100 * SECOND_US, ["flow"], max_points=10
        )
        assert series.resolution_us == 10 * SECOND_US
        assert series.rows["flow_min"].to_pylist() == [0.0] * 10
        assert series.rows["flow_max"].to_pylist() == [9.0] * 7 + [500.0] + [9.0] * 2

    def test_long_spans_come_from_rollups_and_what_those_lack(self, world: World) -> None:
        a = world.actors[0]
        for minute in range(0, 60 * 10, 3):
            a.readings([(0, minute * 60, [float(minute), -float(minute), 1.0])])
            if minute == 300:
                world.flush()
                upkeep(world.folder / "history", ["a", "b"], START_US)
            if minute == 450:
                world.flush()
        end_us = START_US + 600 * MINUTE_US
        plain = History(world.folder / "history", world.sources)
        for points in (5, 20, 60):
            series = world.history.device_history("test-pump", "a-000", START_US, end_us, None, points)
            assert series.rows["pressure_max"].to_pylist()[-1] == 597.0
            assert series.rows["pressure_min"].to_pylist()[0] == 0.0
            assert series.rows["flow_min"].to_pylist()[-1] == -597.0
            assert series.rows.num_rows <= points + 1
        plain.close()

    def test_unknown_devices_have_none_and_unknown_channels_are_told(self, world: World) -> None:
        span = (START_US, START_US + SECOND_US)
        assert world.history.device_history("no-such-type", "x", *span).rows.num_rows == 0
        self.fill(world, 2)
        assert world.history.device_history("test-pump", "x", *span).rows.num_rows == 0
        with pytest.raises(KeyError, match="pressure, flow, speed"):
            world.history.device_history("test-pump", "a-000", *span, channels=["colour"])


class TestUpkeep:
    def rolled_up(self, world: World, span: str) -> list[dict[str, object]]:
        name = rollups.table_name(span, "test-pump")
        sql = f"SELECT * FROM {name} WHERE channel = 'pressure' AND device_id = 'a-000' ORDER BY event_time"
        rows: list[dict[str, object]] = world.history.query(sql).to_pylist()
        return rows

    def test_rollups_count_every_reading_once_late_ones_too(self, world: World) -> None:
        a = world.actors[0]
        folder = world.folder / "history"
        a.readings([(0, 10, [2.0, 1.0, 1.0]), (0, 70, [5.0, 1.0, 1.0])])
        world.flush()
        for _ in range(2):
            rollups.roll_up(folder, READINGS, ["a", "b"])
        a.readings([(0, 30, [4.0, 1.0, 1.0]), (0, 5, [3.0, None, None]), (0, 10, [9.0, 9.0, 9.0])])
        world.flush()
        rollups.roll_up(folder, READINGS, ["a", "b"])
        minute, other = self.rolled_up(world, "1m")
        figures = ["count", "sum", "sum_of_squares", "min", "max", "first", "last"]
        base = START_US % MINUTE_US // SECOND_US
        assert base == 20  # seconds 5 to 30 lie in one minute, 70 in the next
        assert [minute[name] for name in figures] == [3, 9.0, 29.0, 2.0, 4.0, 3.0, 4.0]
        assert [other[name] for name in figures] == [1, 5.0, 25.0, 5.0, 5.0, 5.0, 5.0]
        (day,) = self.rolled_up(world, "1d")
        assert [day[name] for name in figures] == [4, 14.0, 54.0, 2.0, 5.0, 3.0, 5.0]

    def test_rollups_outlive_their_readings(self, world: World) -> None:
        a = world.actors[0]
        a.readings([(0, 0, [1.0, 1.0, 1.0])])
        world.flush()
        config = UpkeepConfig(retention=RetentionConfig(readings_days=1.0))
        upkeep(world.folder / "history", ["a", "b"], START_US + 2 * DAY_US, config)
        assert world.history.query(f"SELECT * FROM {READINGS}").num_rows == 0
        assert len(self.rolled_up(world, "1h")) == 1
        a.readings([(0, 1, [1.0, 1.0, 1.0])])
        world.flush()
        upkeep(world.folder / "history", ["a", "b"], START_US, config)
        assert self.rolled_up(world, "1h")[0]["count"] == 2

    def test_the_oldest_files_go_first_when_there_are_too_many_bytes(self, world: World) -> None:
        for second in range(3):
            world.actors[0].readings([(0, second, [1.0, 2.0, 3.0])])
            world.flush()
        sizes = [file.size for file in world.readings.version(()).files]
        assert limit_bytes([world.readings], sum(sizes) - 1) == 1
        rows = world.history.query(f"SELECT epoch_us(event_time) AS us FROM {READINGS} ORDER BY us")
        assert rows["us"].to_pylist() == [START_US + SECOND_US, START_US + 2 * SECOND_US]
        assert retain(world.readings, START_US + 400 * DAY_US, RetentionConfig()) == 2

    def test_what_came_in_lately_is_not_old_however_long_ago_it_happened(self, world: World) -> None:
        actor = world.actors[0]
        actor.now_us = START_US + 4000 * DAY_US  # years after the readings that it is sent
        actor.readings([(0, 0, [1.0, 1.0, 1.0])])
        world.flush()
        upkeep(world.folder / "history", ["a", "b"], actor.now_us + DAY_US)
        assert world.history.query(f"SELECT * FROM {READINGS}").num_rows == 1
        assert retain(world.readings, actor.now_us + 400 * DAY_US, RetentionConfig()) == 1

    def test_a_table_in_trouble_does_not_keep_the_others_from_their_turn(self, world: World) -> None:
        for second in range(2):
            world.actors[0].readings([(0, second, [1.0, 2.0, 3.0])])
            world.actors[0].tick(0)
            world.flush()
        for file in Table(world.folder / "history" / "events").version(()).files:
            Path(file.path).write_bytes(b"not Parquet")
        config = UpkeepConfig(JOIN_ALL, RetentionConfig(readings_gb=0.0))
        with pytest.raises(UpkeepError, match="events"):
            upkeep(world.folder / "history", ["a", "b"], START_US, config)
        assert world.readings.version(()).files == ()

    def test_names_are_never_let_go(self, world: World) -> None:
        world.flush()
        upkeep(world.folder / "history", ["a", "b"], START_US + 10**6 * DAY_US)
        assert world.history.query("SELECT * FROM devices").num_rows == 8

    def test_joined_files_stay_until_no_query_can_need_them(self, world: World) -> None:
        for second in range(3):
            world.actors[0].readings([(0, second, [1.0, 2.0, 3.0])])
            world.flush()
        before = world.readings.version(()).files
        assert compact(world.readings, JOIN_ALL) == 3
        world.readings.clean(older_than_s=3600)
        assert all(Path(file.path).exists() for file in before)
        world.readings.clean(older_than_s=0)
        assert not any(Path(file.path).exists() for file in before)
        world.check()


def test_recorder_upkeep_and_queries_beside_each_other(world: World) -> None:
    """All three at once, as in the platform: every query sees what was acknowledged before it, once."""
    stop = threading.Event()
    config = UpkeepConfig(JOIN_ALL)
    failures: list[Exception] = []

    def record() -> None:
        while not stop.is_set():
            world.flush()

    def keep_order() -> None:
        try:
            while not stop.is_set():
                upkeep(world.folder / "history", ["a", "b"], START_US, config)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for work in (record, keep_order)]
    for thread in threads:
        thread.start()
    try:
        for second in range(12):
            for actor in world.actors:
                actor.readings([(row, second, [float(second), None, 3.0]) for row in range(4)])
                actor.readings([(1, second - 2, [9.0, 9.0, 9.0])])  # late: one channel of it is news
            world.check()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    world.flush()
    rollups.roll_up(world.folder / "history", READINGS, ["a", "b"])
    name = rollups.table_name("1d", "test-pump")
    counted = world.history.query(f"SELECT sum(count)::BIGINT AS n FROM {name}")["n"].to_pylist()
    assert counted == [len(world.account.readings)]
    world.check()


lines = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 12),
        st.lists(
            st.one_of(st.none(), st.integers(-9, 9).map(float), st.just(math.nan), st.just(4000.0)),
            min_size=3,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=6,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("readings"), st.integers(0, 1), lines),
        st.tuples(st.sampled_from(["tick", "register"]), st.integers(0, 1), st.just([])),
        st.tuples(
            st.sampled_from(["read", "flush", "crash", "compact", "cut", "query", "devices", "reader"]),
            st.just(0),
            st.just([]),
        ),
    ),
    max_size=14,
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps, bulk=st.booleans())
def test_nothing_is_missing_and_nothing_is_there_twice(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, list[tuple[int, int, list[float | None]]]]],
    bulk: bool,
) -> None:
    patch = pytest.MonkeyPatch()
    if bulk:  # readings wait unsorted in the tail, as many at once do
        patch.setattr("training.tail._BULK_ROWS", 1)
        patch.setattr("training.tail._BULK_ENTRY_ROWS", 1)
    world = World(tmp_path_factory.mktemp("history"))
    try:
        for what, number, argument in steps:
            actor = world.actors[number]
            match what:
                case "readings":
                    actor.readings(argument)
                case "tick":
                    actor.tick(0, 2)
                case "register":
                    actor.register(1)
                case "read":
                    world.recorder.step()
                case "flush":
                    world.flush()
                case "crash":
                    world.crash()
                case "compact":
                    if world.readings.exists:
                        compact(world.readings, JOIN_ALL)
                case "cut":
                    world.cut()
                case "query":
                    world.check()
                case "devices":
                    world.check_devices()
                case "reader":
                    world.history.close()
                    world.history = History(world.folder / "history", world.sources)
        world.check()
        world.flush()
        world.check()
    finally:
        world.close()
        patch.undo()
