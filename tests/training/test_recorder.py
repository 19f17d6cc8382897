"""Exactly once, whatever happens to the recorder: failures between any two steps, death, a rival."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import DeltaError

from tests.sealed import encrypt
from tests.training.journals import START_US, Account, Actor, Following, pump, same, told
from tests.twins.fleets import PUMP, T0, Line, batch_of, pumps
from training import decoding
from training.compaction import CompactionConfig, compact
from training.errors import HistoryConflictError, HistoryError
from training.history import History
from training.recorder import JournalSource, Recorder, RecorderConfig
from training.tables import FIXED, PROGNOSES, Table
from twins import entries
from twins.clock import SECOND_US, VirtualClock
from twins.entries import EntryKind
from twins.events import EVENT, EventBatch, Kind
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig, note_seen
from twins.journal import Entry, StoredEntry
from twins.prognosis import SAID, Prognoses, score_columns

READINGS = "readings_test_pump"


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def actor(tmp_path: Path, account: Account) -> Iterator[Actor]:
    actor = Actor("a", tmp_path / "a", account)
    yield actor
    actor.close()


def source(actor: Actor) -> Following:
    return Following(actor.name, actor.folder)


def recorded(folder: Path, account: Account) -> None:
    """History alone, without any journal, holds everything once."""
    history = History(folder / "history")
    good, bad = told(history.query(f"SELECT * FROM {READINGS}"))
    assert same(good, account.readings)
    assert same(bad, account.bad)
    events = history.query("SELECT type, device_id, cursor FROM events").to_pylist()
    assert sorted(tuple(row.values()) for row in events) == sorted(account.events)
    inputs = history.query("SELECT actor, cursor FROM inputs").to_pylist()
    assert sorted(tuple(row.values()) for row in inputs) == sorted(account.inputs)
    history.close()


def drain(recorder: Recorder) -> None:
    while recorder.step():
        pass
    recorder.flush()


class TestCommits:
    def test_commits_when_it_is_time_or_enough(self, tmp_path: Path, actor: Actor) -> None:
        clock = VirtualClock(START_US)
        config = RecorderConfig(commit_every_s=10.0, commit_rows=50)
        recorder = Recorder(tmp_path / "history", [source(actor)], config, clock)
        recorder.step()
        assert recorder.cursors == {"a": 0}
        clock.advance_by(10.0)
        assert recorder.step() == 0
        assert recorder.cursors == {"a": 2}
        for second in range(20):
            actor.readings([(row, second, [1.0, 2.0, 3.0]) for row in (0, 1)])
        recorder.step()
        assert recorder.pending == 40
        actor.readings([(row, 30, [1.0, 2.0, 3.0]) for row in (0, 1, 2, 3)] * 3)
        for second in range(40, 46):
            actor.readings([(0, second, [1.0, 2.0, 3.0])])
        recorder.step()
        assert (recorder.pending, recorder.cursors) == (0, {"a": actor.journal.last_cursor})
        recorder.close()

    def test_every_row_says_where_it_came_from(self, tmp_path: Path, actor: Actor, account: Account) -> None:
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        (file,) = Table(tmp_path / "history" / READINGS).version(()).files
        (row,) = pq.read_table(file.path).to_pylist()
        assert (row["actor"], row["cursor"], row["ingest_us"], row["late"]) == ("a", 3, actor.now_us, False)
        recorder.close()
        recorded(tmp_path, account)

    def test_files_are_readable_by_anyone(self, tmp_path: Path, actor: Actor) -> None:
        """Plain Parquet types, no index of ours: what pandas, Polars and Spark expect."""
        actor.readings([(0, 1, [1.0, 2.0, None])])
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        (file,) = Table(tmp_path / "history" / READINGS).version(()).files
        schema = pq.read_schema(file.path)
        assert schema.field("device_id").type == pa.string()
        assert schema.field("event_time").type == pa.timestamp("us", "UTC")
        assert schema.field("speed").type == pa.float32()
        recorder.close()

    def test_it_goes_on_where_history_ends_although_the_journal_was_cut(
        self, tmp_path: Path, account: Account
    ) -> None:
        actor = Actor("a", tmp_path / "a", account, file_bytes=50_000)
        recorder = Recorder(tmp_path / "history", [source(actor)])
        for second in range(30):
            actor.readings([(row, second, [1.0, 2.0, 3.0]) for row in range(4)])
        drain(recorder)
        recorder.close()
        actor.journal.cut(actor.journal.last_cursor)
        assert actor.journal.first_cursor > 3
        recorder = Recorder(tmp_path / "history", [JournalSource("a", actor.folder)])
        actor.readings([(2, 60, [1.0, 2.0, 3.0])])
        drain(recorder)
        recorder.close()
        actor.close()
        recorded(tmp_path, account)


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [
            OSError(28, "No space left on device"),
            duckdb.IOException("disk"),
            DeltaError("log"),
            KeyboardInterrupt(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_an_interruption_at_any_step_loses_and_doubles_nothing(
        self,
        tmp_path: Path,
        actor: Actor,
        account: Account,
        monkeypatch: pytest.MonkeyPatch,
        error: BaseException,
    ) -> None:
        """Let the n-th step of writing fail, before it or just after it was done, for every n there is."""
        recorder = Recorder(tmp_path / "history", [source(actor)])
        done = interrupted = 0
        while True:
            second = 10 * done
            actor.readings(
                [(0, second, [1.0, None, 3.0]), (1, second, [1.0, 5000.0, 3.0]), (0, 1, [7.0, 7.0, 7.0])]
            )
            actor.tick(1)
            actor.register(1)
            with monkeypatch.context() as patch:
                failing = Failing(done, error)
                patch.setattr(Table, "commit", failing.wrapped(Table.commit))
                patch.setattr(Table, "write", failing.wrapped(Table.write))
                try:
                    drain(recorder)
                except type(error):
                    interrupted += 1
            if done % 3 == 2:  # another takes its place, as after a crash; else the same one goes on
                recorder.close()
                recorder = Recorder(tmp_path / "history", [source(actor)])
            done += 1
            if failing.left >= 0:
                break
        drain(recorder)
        recorder.close()
        assert interrupted >= 16
        recorded(tmp_path, account)

    def test_an_entry_that_was_half_read_is_read_once(
        self, tmp_path: Path, actor: Actor, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = VirtualClock(START_US)
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history", [source(actor)], clock=clock)
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise ZeroDivisionError

            patch.setattr(decoding, "_take_events", fail)
            with pytest.raises(ZeroDivisionError):
                recorder.step()
        clock.advance_by(60.0)
        drain(recorder)
        recorder.close()
        recorded(tmp_path, account)

    @pytest.mark.parametrize("understood", [True, False], ids=["unreadable", "not understood"])
    def test_one_bad_journal_does_not_hold_up_the_others(
        self, tmp_path: Path, actor: Actor, account: Account, understood: bool
    ) -> None:
        clock = VirtualClock(START_US)
        other = Actor("b", tmp_path / "b", account)
        away = Away(source(actor), understood)
        recorder = Recorder(
            tmp_path / "history", [away, source(other)], RecorderConfig(commit_every_s=10.0), clock
        )
        for second in range(120):
            for each in (actor, other):
                each.readings([(0, second, [1.0, 2.0, 3.0]), (1, second, [4.0, None, 6.0])])
            clock.advance_by(1.0)
            with pytest.raises(OSError if understood else ValueError):
                recorder.step()
        assert recorder.cursors["b"] >= other.journal.last_cursor - 12
        assert recorder.cursors["a"] == 0
        assert away.asked <= 10  # less and less often
        away.is_back = True
        clock.advance_by(60.0)
        drain(recorder)
        recorder.close()
        other.close()
        recorded(tmp_path, account)

    def test_a_journal_that_could_not_be_taken_up_is_followed_once_it_can(
        self, tmp_path: Path, actor: Actor, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        recorder.close()
        actor.readings([(1, 2, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history")
        with monkeypatch.context() as patch:
            patch.setattr(
                pq, "read_table", Failing(0, OSError(5, "Input/output error")).wrapped(pq.read_table)
            )
            with pytest.raises(OSError, match="Input/output"):
                recorder.add_source(source(actor))
        assert recorder.follows("a")
        drain(recorder)
        recorder.close()
        recorded(tmp_path, account)

    def test_a_start_that_fails_is_made_again(
        self, tmp_path: Path, actor: Actor, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = Recorder(tmp_path / "history", [source(actor)])
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder.step()
        with monkeypatch.context() as patch:
            patch.setattr(Table, "write", Failing(0, DeltaError("log")).wrapped(Table.write))
            patch.setattr(Table, "cursor", Failing(0, OSError(5, "Input/output error")).wrapped(Table.cursor))
            with pytest.raises(DeltaError):
                recorder.flush()
            with pytest.raises(OSError, match="Input/output"):
                recorder.flush()
        drain(recorder)
        recorder.close()
        recorded(tmp_path, account)

    def test_two_recorders_are_one_too_many(self, tmp_path: Path, actor: Actor, account: Account) -> None:
        recorder = Recorder(tmp_path / "history", [source(actor)])
        with pytest.raises(HistoryConflictError, match="another recorder"):
            Recorder(tmp_path / "history", [source(actor)])
        (tmp_path / "history" / "recorder.lock").unlink()
        rival = Recorder(tmp_path / "history", [source(actor)])
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder.step()
        drain(rival)
        with pytest.raises(HistoryConflictError, match="second recorder"):
            recorder.flush()
        drain(recorder)  # it has learnt how far history is
        rival.close()
        recorder.close()
        recorded(tmp_path, account)

    def test_a_lost_entry_is_recorded_as_lost(self, tmp_path: Path, actor: Actor) -> None:
        lost = Lossy(source(actor), cursor=3)
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        actor.readings([(0, 2, [4.0, 5.0, 6.0])])
        recorder = Recorder(tmp_path / "history", [lost])
        drain(recorder)
        recorder.close()
        history = History(tmp_path / "history")
        assert history.query("SELECT kind FROM inputs WHERE cursor = 3").to_pylist() == [{"kind": "lost"}]
        assert history.query(f"SELECT flow FROM {READINGS}").to_pylist() == [{"flow": 5.0}]
        history.close()

    def test_devices_whose_registration_is_lost_get_stand_in_names(
        self, tmp_path: Path, actor: Actor
    ) -> None:
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history", [Lossy(source(actor), cursor=2)])
        drain(recorder)
        recorder.close()
        history = History(tmp_path / "history")
        assert history.query(f"SELECT device_id FROM {READINGS}").to_pylist() == [{"device_id": "?a/0"}]
        history.close()

    def test_events_of_rules_that_the_type_does_not_have_are_kept(self, tmp_path: Path, actor: Actor) -> None:
        """As of an alert that ends because the version that was installed has dropped its rule."""
        records = np.zeros(2, EVENT)
        records["kind"], records["slot"] = int(Kind.ALERT_RETURNED), 7
        told = entries.encode_events({actor.type.name: EventBatch(records, {1: {"rule": "flow-low"}})})
        actor.journal.append([Entry(EntryKind.TICK, START_US, b"", told)])
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        recorder.close()
        history = History(tmp_path / "history")
        found = history.query("SELECT detail->>'rule' AS rule FROM events WHERE cursor = 3 ORDER BY number")
        assert found["rule"].to_pylist() == ["?7", "flow-low"]
        history.close()

    def test_readings_whose_type_is_lost_are_kept_as_they_are(self, tmp_path: Path, actor: Actor) -> None:
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
        recorder = Recorder(tmp_path / "history", [Lossy(source(actor), cursor=1)])
        drain(recorder)
        recorder.close()
        history = History(tmp_path / "history")
        (row,) = history.query("SELECT payload FROM inputs WHERE kind = 'readings'").to_pylist()
        assert row["payload"] == source(actor).read_after(2, 1)[0].payload
        history.close()

    def test_marks_and_scores_are_kept(self, tmp_path: Path, actor: Actor) -> None:
        said_then = [bytes(entries.encode_scores(forecast(is_shadow))) for is_shadow in (False, True)]
        marks = [Entry(EntryKind.SCORES, START_US, each) for each in said_then]
        actor.journal.append([*marks, Entry(EntryKind.MARK, START_US, b"")])
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        recorder.close()
        history = History(tmp_path / "history")
        found = history.query("SELECT kind, payload FROM inputs WHERE cursor > 2 ORDER BY cursor").to_pylist()
        assert found == [{"kind": "scores", "payload": said_then[0]}, {"kind": "mark", "payload": None}]
        rows = history.query(
            "SELECT device_type, model_version, shadow, p_fail_7d FROM prognoses ORDER BY shadow"
        ).to_pylist()
        said = {"device_type": pump().name, "model_version": 7, "p_fail_7d": 0.5}
        assert rows == [{**said, "shadow": False}, {**said, "shadow": True}]
        history.close()

    @pytest.mark.parametrize("sealed", [False, True])
    def test_a_table_that_had_fewer_columns_gets_them_and_its_old_rows_stay(
        self, tmp_path: Path, actor: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory,
        sealed: bool,
    ) -> None:  # fmt: skip
        if sealed:
            encrypt(tmp_path, monkeypatch, tmp_path_factory.mktemp("key") / "key")
        ask = "SELECT p_fail_7d, like_healthy FROM prognoses ORDER BY cursor"
        old = {"p_fail_7d": 0.5, "like_healthy": None}
        new = {"p_fail_7d": 0.5, "like_healthy": 0.25}
        forecasts = [Entry(EntryKind.SCORES, START_US, bytes(entries.encode_scores(forecast(False))))]
        fewer = PROGNOSES.remove(PROGNOSES.get_field_index("like_healthy"))
        with monkeypatch.context() as then:
            then.setattr(decoding, "PROGNOSES", fewer)
            then.setitem(FIXED, "prognoses", fewer)
            then.setattr(decoding, "score_columns", lambda told: dict(list(score_columns(told).items())[:-1]))
            actor.journal.append(forecasts)
            recorder = Recorder(tmp_path / "history", [source(actor)])
            drain(recorder)
            recorder.close()
        history = History(tmp_path / "history", [source(actor)])
        assert history.query(ask).to_pylist() == [old]  # nobody has given it the column yet
        actor.journal.append(forecasts)
        assert history.query(ask).to_pylist() == [old, new]
        recorder = Recorder(tmp_path / "history", [source(actor)])
        drain(recorder)
        assert history.query(ask).to_pylist() == [old, new]
        assert history.tables()["prognoses"].names == PROGNOSES.names
        table = Table(tmp_path / "history" / "prognoses")
        assert compact(table, CompactionConfig(at_least=2)) == 2
        actor.journal.append(forecasts)
        drain(recorder)
        recorder.close()
        assert history.query(ask).to_pylist() == [old, new, new]
        history.close()

    def test_a_table_of_other_columns_is_refused(self, tmp_path: Path) -> None:
        Table(tmp_path / "prognoses").create(pa.schema([("device_id", pa.string()), ("mood", pa.string())]))
        with pytest.raises(HistoryError, match="mood"):
            Table(tmp_path / "prognoses").create(PROGNOSES)


def forecast(is_shadow: bool) -> Prognoses:
    """Of the first device, by version 7."""
    half = np.full((1, 3), 0.5, np.float32)
    return Prognoses(
        device_type=pump().name, model=7, seal=None, rows=np.zeros(1, np.int32), life_cycle=np.zeros(1, np.int32),
        event_us=np.full(1, START_US), p_fail=half, rul_h=half, mode=np.full(1, -1, np.int8),
        share=np.full(1, np.nan, np.float32), said=np.full(1, SAID, np.uint8),
        like_healthy=np.full(1, 0.25, np.float32), is_shadow=is_shadow,
    )  # fmt: skip


class Failing:
    """Lets a number of steps pass; the next one fails, in turns before and after it has been done."""

    def __init__(self, passes: int, error: BaseException) -> None:
        self.left, self._late = passes // 2, passes % 2
        self._error = error

    def wrapped(self, real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **options: object) -> object:
            self.left -= 1
            if self.left == -1 and not self._late:
                raise self._error
            result = real(*args, **options)
            if self.left == -1:
                raise self._error
            return result

        return step


class Away:
    """A journal that cannot be read, or whose entries make no sense, until it ``is_back``."""

    def __init__(self, real: Following, understood: bool) -> None:
        self.actor = real.actor
        self.is_back = False
        self.asked = 0
        self._real = real
        self._understood = understood

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        if self.is_back:
            return self._real.read_after(cursor, limit)
        self.asked += 1
        if self._understood:
            raise OSError(5, "Input/output error")
        return [
            entry._replace(payload=b"?") if entry.kind == EntryKind.READINGS else entry
            for entry in self._real.read_after(cursor, limit)
        ]


class Lossy:
    """A journal of which one entry could not be salvaged."""

    def __init__(self, real: Following, cursor: int) -> None:
        self.actor = real.actor
        self._real = real
        self._cursor = cursor

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return [
            entry._replace(kind=0, payload=b"", events=None) if entry.cursor == self._cursor else entry
            for entry in self._real.read_after(cursor, limit)
        ]


RECORD = """
import sys
sys.path.insert(0, sys.argv[1])
from training.recorder import JournalSource, Recorder, RecorderConfig
source = JournalSource("a", sys.argv[2] + "/a")
recorder = Recorder(sys.argv[2] + "/history", [source], RecorderConfig(commit_rows=30))
print("up", flush=True)
while True:
    recorder.step()
    print(recorder.cursors["a"], flush=True)
"""


def test_no_cursor_is_given_out_again_that_history_has(tmp_path: Path) -> None:
    """The journal loses its end after history took it and before its host was told: what comes next is recorded."""
    hosts = tmp_path / "hosts"
    folder = hosts / "host-000"

    def started() -> LocalFleet:
        return LocalFleet(hosts, FleetConfig(host=HostConfig(recorded=True)), VirtualClock(T0))

    def write(fleet: LocalFleet, first: int, count: int) -> None:
        for number in range(first, first + count):
            fleet.clock.advance_to(T0 + number * SECOND_US)  # type: ignore[attr-defined]
            fleet.write(
                batch_of([Line(fleet.clock.now_us(), "pump-0", fleet.clock.now_us(), (50.0, 2.0, 60.0), 7)])
            )

    def crash(fleet: LocalFleet) -> None:
        fleet.shard_hosts()[0]._journal.close()  # type: ignore[union-attr]

    fleet = started()
    fleet.install(PUMP)
    fleet.register(pumps(1))
    write(fleet, 0, 10)
    crash(fleet)
    shutil.copytree(folder / "journal", tmp_path / "older")
    fleet = started()
    write(fleet, 10, 10)

    def announce(cursors: Mapping[str, int]) -> None:
        note_seen(folder, cursors["host-000"])

    def recorder() -> Recorder:
        source = JournalSource("host-000", folder / "journal")
        return Recorder(tmp_path / "history", [source], RecorderConfig(0.0, 1), announce=announce)

    with contextlib.closing(recorder()) as first:
        first.step()
        end = first.cursors["host-000"]
    crash(fleet)
    shutil.rmtree(folder / "journal")
    shutil.copytree(tmp_path / "older", folder / "journal")

    fleet = started()
    (status,) = fleet.status()
    assert f"to {end}: gone from its end" in " ".join(status.damage)
    write(fleet, 20, 15)
    with contextlib.closing(recorder()) as again:
        again.step()
        assert again.cursors["host-000"] == status.cursor + 15
    rows = History(tmp_path / "history").query("select epoch_us(event_time) as at_us from readings_test_pump")
    assert sorted((rows["at_us"].to_numpy() - T0) // SECOND_US) == list(range(35))
    fleet.close()


def test_a_killed_recorder_goes_on_where_it_was(tmp_path: Path, actor: Actor, account: Account) -> None:
    """Killed at seeded moments while the actor goes on: then nothing is missing, and nothing there twice."""
    root = str(Path(__file__).parents[2])
    dice = random.Random(11)
    second = 0
    for _ in range(4):
        command = [sys.executable, "-c", RECORD, root, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as recorder:
            assert recorder.stdout is not None
            assert recorder.stdout.readline() == "up\n"
            for _ in range(dice.randrange(1, 40)):
                actor.readings(
                    [(row, second, [1.0 * second, None, 2.0]) for row in range(4)]
                    + [(0, second // 2, [9.0, 9.0, 9.0])] * 8
                )
                second += 1
                if dice.random() < 0.3:
                    recorder.stdout.readline()
            os.kill(recorder.pid, signal.SIGKILL)
    recorder_here = Recorder(tmp_path / "history", [source(actor)])
    assert recorder_here.cursors["a"] > 2
    drain(recorder_here)
    recorder_here.close()
    recorded(tmp_path, account)
