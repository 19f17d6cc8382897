"""The journal under use and under every fault that a real process, file and disk can show."""

import contextlib
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sealed import encrypt
from twins.errors import (
    FencedError,
    JournalCorruptError,
    JournalError,
    JournalGapError,
    JournalWriteError,
    OverloadedError,
)
from twins.journal import LOST, Entry, Journal, JournalConfig, JournalReader, StoredEntry, journal_files
from twins.journal_repair import DAMAGED, salvage

SMALL_FILES = JournalConfig(file_bytes=230_000)


def entries(first: int, count: int, size: int = 2000) -> list[Entry]:
    """Entries whose content follows from their number."""
    return [
        Entry(1 + n % 5, 1000 * n, random.Random(n).randbytes(size), None if n % 3 else b"events %d" % n)
        for n in range(first, first + count)
    ]


def fill(journal: Journal, count: int, size: int = 2000) -> None:
    for n in range(journal.last_cursor + 1, journal.last_cursor + count + 1):
        journal.append(entries(n, 1, size))


def content(stored: list[StoredEntry]) -> list[Entry]:
    return [Entry(entry.kind, entry.now_us, entry.payload, entry.events) for entry in stored]


def read_all(reader: JournalReader, after: int = 0) -> list[StoredEntry]:
    found: list[StoredEntry] = []
    while batch := reader.read_after(found[-1].cursor if found else after):
        found += batch
    return found


def flip(path: Path, at: int) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


@pytest.fixture(params=["plain", "sealed"], autouse=True)
def at_rest(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Everything here holds for encrypted journals as well. Each lies with a keyset of its own, so that it can be copied."""
    if request.param == "sealed":
        key = encrypt(tmp_path, monkeypatch, tmp_path_factory.mktemp("key") / "key")
        as_it_is = Journal.open

        def opened(folder: str | Path, *arguments: object, **named: object) -> Journal:
            encrypt(Path(folder), monkeypatch, key)
            return as_it_is(folder, *arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Journal, "open", opened)
    return str(request.param)


def position(path: Path, cursor: int) -> int:
    """Where a byte of an entry's payload lies in a file."""
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    ) as file:
        (payload,) = file.execute("SELECT payload FROM entry WHERE cursor = ?", (cursor,)).fetchone()
    return max(path.read_bytes().find(payload[at : at + 64]) for at in range(0, len(payload) - 64, 64))


@contextlib.contextmanager
def abandoned(folder: Path, count: int, config: JournalConfig | None = None) -> Iterator[None]:
    """A journal whose owner died after ``count`` entries, with its write-ahead log as it was."""
    alive = folder.with_name(folder.name + "-alive")
    with contextlib.closing(Journal.open(alive, config)) as journal:
        fill(journal, count)
        shutil.copytree(alive, folder)
    yield


class TestUse:
    def test_entries_come_back_as_they_went_in(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            assert journal.append([]) == range(1, 1)
            assert journal.append(entries(1, 3)) == range(1, 4)
            assert journal.append(entries(4, 1)) == range(4, 5)
            stored = journal.read_after(0)
            assert [entry.cursor for entry in stored] == [1, 2, 3, 4]
            assert {entry.epoch for entry in stored} == {1}
            assert content(stored) == entries(1, 4)
            assert journal.read_after(4) == []
            assert (journal.first_cursor, journal.last_cursor) == (1, 4)

    def test_any_buffer_is_a_payload(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            journal.append([Entry(1, 0, bytearray(b"ab"), memoryview(b"cd")), Entry(1, 0, b"", b"")])
            assert [(e.payload, e.events) for e in journal.read_after(0)] == [(b"ab", b"cd"), (b"", b"")]

    def test_limits_bound_a_read_but_never_stop_it(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 200)
            assert len(journal_files(tmp_path)) > 3
            assert len(journal.read_after(0, limit_entries=70)) == 70
            assert len(journal.read_after(0, limit_bytes=1)) == 1
            assert len(journal.read_after(60, limit_bytes=9_000)) == 5
            assert content(read_all(journal)) == entries(1, 200)

    def test_a_reader_in_the_same_folder_follows(self, tmp_path: Path) -> None:
        reader = JournalReader(tmp_path)
        assert (reader.read_after(0), reader.last_cursor, reader.first_cursor) == ([], 0, 1)
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal, contextlib.closing(reader):
            for round_ in range(30):
                fill(journal, 7)
                assert content(reader.read_after(7 * round_)) == entries(7 * round_ + 1, 7)
                assert reader.last_cursor == journal.last_cursor

    def test_cut_deletes_whole_files_and_says_gap(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 200)
            firsts = [first for first, _ in journal_files(tmp_path)]
            before = journal.bytes
            journal.cut(firsts[2] - 2)  # one short of the second file's end
            assert journal.first_cursor == firsts[1]
            assert journal.bytes < before
            with pytest.raises(JournalGapError, match="start from a snapshot"):
                journal.read_after(firsts[1] - 2)
            assert content(read_all(journal, firsts[1] - 1)) == entries(firsts[1], 200 - firsts[1] + 1)
            journal.cut(10**9)
            assert journal.first_cursor == firsts[-1]
            fill(journal, 1)
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            assert (journal.first_cursor, journal.last_cursor) == (firsts[-1], 201)

    def test_full_refuses_all_but_the_urgent(self, tmp_path: Path) -> None:
        config = JournalConfig(file_bytes=100_000, max_bytes=1_000_000)
        with contextlib.closing(Journal.open(tmp_path, config)) as journal:
            with pytest.raises(OverloadedError) as refusal:
                fill(journal, 1000)
            assert refusal.value.retry_after_s > 0
            end = journal.last_cursor
            assert journal.append(entries(end + 1, 1), urgent=True)
            journal.cut(end)
            fill(journal, 5)
            assert journal.last_cursor == end + 6

    def test_a_replacement_starts_after_what_consumers_have_seen(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, start_after=500)) as journal:
            assert (journal.first_cursor, journal.last_cursor) == (501, 500)
            assert journal.append(entries(1, 1)) == range(501, 502)
            with pytest.raises(JournalGapError):
                journal.read_after(3)

    def test_kind_zero_is_not_for_callers(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            with pytest.raises(ValueError, match="above 0"):
                journal.append([Entry(LOST, 0, b"")])
            assert journal.append(entries(1, 1)) == range(1, 2)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("append"), st.integers(1, 6)),
                st.tuples(st.just("cut"), st.integers(0, 80)),
                st.tuples(st.just("reopen"), st.just(0)),
                st.tuples(st.just("read"), st.integers(0, 80)),
            ),
            max_size=40,
        )
    )
    def test_behaves_like_a_list(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
    ) -> None:
        folder = tmp_path_factory.mktemp("journal")
        config = JournalConfig(file_bytes=60_000)
        journal = Journal.open(folder, config)
        model: list[Entry] = []
        cut = 0
        try:
            for what, number in steps:
                if what == "append":
                    new = entries(len(model) + 1, number, size=6000)
                    assert journal.append(new) == range(len(model) + 1, len(model) + number + 1)
                    model += new
                elif what == "cut":
                    journal.cut(number)
                    assert journal.first_cursor <= max(number, cut) + 1
                    cut = journal.first_cursor - 1
                elif what == "reopen":
                    journal.close()
                    journal = Journal.open(folder, config)
                elif number < cut:
                    with pytest.raises(JournalGapError):
                        journal.read_after(number)
                elif number <= len(model):
                    assert content(read_all(journal, number)) == model[number:]
                else:
                    with pytest.raises(JournalError, match="log ends at"):
                        journal.read_after(number)
            assert (journal.last_cursor, content(read_all(journal, cut))) == (len(model), model[cut:])
            assert journal.verify().damage == ()
        finally:
            journal.close()


class TestOwnership:
    def test_a_second_owner_is_refused_while_the_first_lives(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            with pytest.raises(FencedError, match=str(os.getpid())):
                Journal.open(tmp_path)
            fill(journal, 1)
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            assert journal.epoch == 2

    def test_an_older_owner_is_fenced_although_the_lock_was_lost(self, tmp_path: Path) -> None:
        old = Journal.open(tmp_path, SMALL_FILES)
        fill(old, 3)
        (tmp_path / "lock").unlink()
        new = Journal.open(tmp_path, SMALL_FILES)
        with contextlib.closing(old), contextlib.closing(new):
            with pytest.raises(FencedError, match="owner 1 has been replaced by owner 2"):
                fill(old, 1)
            with pytest.raises(FencedError):
                old.recover()
            fill(new, 1)
            assert [entry.epoch for entry in new.read_after(0)] == [1, 1, 1, 2]

    def test_an_older_owner_is_fenced_when_it_would_begin_a_file(self, tmp_path: Path) -> None:
        old = Journal.open(tmp_path, JournalConfig(file_bytes=1))
        fill(old, 3)
        (tmp_path / "lock").unlink()
        new = Journal.open(tmp_path)
        with contextlib.closing(old), contextlib.closing(new):
            files = journal_files(tmp_path)
            with pytest.raises(FencedError):
                fill(old, 1)
            assert journal_files(tmp_path) == files

    def test_an_epoch_from_outside_must_be_new(self, tmp_path: Path) -> None:
        Journal.open(tmp_path, epoch=7).close()
        with pytest.raises(FencedError, match="not above 7"):
            Journal.open(tmp_path, epoch=7)
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            assert journal.epoch == 8


class TestFailedAppends:
    def test_disk_full_is_told_and_writing_resumes(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            fill(journal, 2)
            writer = journal._writer
            assert writer is not None
            writer.execute("PRAGMA max_page_count=1")  # SQLite then answers as on a full disk
            with pytest.raises(JournalWriteError, match="disk is full"):
                journal.append(entries(3, 50))
            assert content(journal.read_after(0)) == entries(1, 2)
            fill(journal, 2)
            assert content(journal.read_after(0)) == entries(1, 4)

    def test_a_file_size_limit_of_the_system_is_survived(self, tmp_path: Path) -> None:
        """A real refusal by the kernel in the middle of a write, found in a process of its own."""
        program = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from twins.errors import JournalWriteError
from twins.journal import Entry, Journal
journal = Journal.open(sys.argv[1])
journal.append([Entry(1, 1, b"kept")])
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    journal.append([Entry(1, 2, bytes(900_000))])
except JournalWriteError as error:
    print("refused", flush=True)
try:
    print(journal.recover())
except JournalWriteError:
    print("still refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(journal.recover(), journal.append([Entry(1, 3, b"after")]))
"""
        run = run_python(program, tmp_path / "journal")
        assert run.stdout.split("\n")[0] == "refused", run.stderr
        assert run.stdout.split("\n")[2] == "1 range(2, 3)"
        reader = JournalReader(tmp_path / "journal")
        assert [entry.payload for entry in reader.read_after(0)] == [b"kept", b"after"]

    def test_a_commit_whose_outcome_is_unknown_is_settled_by_recover(self, tmp_path: Path) -> None:
        """The process is told of a failure although the entries reached the log: they are in it, and stay."""
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            fill(journal, 1)
            real = journal._writer
            assert real is not None
            journal._writer = SyncFails(real)  # type: ignore[assignment]
            with pytest.raises(JournalWriteError, match="disk I/O error"):
                journal.append(entries(2, 1))
            with pytest.raises(JournalWriteError, match="did reach the log"):
                journal.append(entries(2, 1))
            assert journal.last_cursor == 2
            fill(journal, 1)
            assert content(journal.read_after(0)) == entries(1, 3)

    def test_begin_next_file_fails_and_is_done_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with contextlib.closing(Journal.open(tmp_path, JournalConfig(file_bytes=1))) as journal:
            fill(journal, 1)
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", refuse)
                with pytest.raises(JournalWriteError, match="disk is full"):
                    fill(journal, 1)
            assert journal.recover() == 1
            fill(journal, 2)
            assert content(read_all(journal)) == entries(1, 3)
        assert not list(tmp_path.glob("*.new*"))


class SyncFails:
    """A connection whose commit reaches the file but reports a failed sync."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
        cursor = self._real.execute(sql, *args)  # type: ignore[arg-type]
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


def run_python(program: str, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", program, str(folder), root, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class TestCrashes:
    def test_acknowledged_entries_survive_kill(self, tmp_path: Path) -> None:
        """Kill the writer while it appends, again and again: everything it acknowledged is there, in order,
        once.
        """
        program = """
import random, sys
sys.path.insert(0, sys.argv[2])
from twins.journal import Entry, Journal, JournalConfig
journal = Journal.open(sys.argv[1], JournalConfig(file_bytes=200_000))
while True:
    n = journal.last_cursor + 1
    count = 1 + n % 4
    journal.append([Entry(1, m, random.Random(m).randbytes(3000)) for m in range(n, n + count)])
    print(journal.last_cursor, flush=True)
"""
        root = str(Path(__file__).parents[2])
        dice = random.Random(7)
        acknowledged = 0
        for _ in range(8):
            command = [sys.executable, "-c", program, str(tmp_path), root]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout is not None
                for _ in range(dice.randrange(1, 60)):
                    acknowledged = int(writer.stdout.readline())
                os.kill(writer.pid, signal.SIGKILL)
                acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
            reader = JournalReader(tmp_path)
            stored = read_all(reader)
            reader.close()
            assert [entry.cursor for entry in stored] == list(range(1, len(stored) + 1))
            assert len(stored) >= acknowledged
            assert all(entry.payload == random.Random(entry.cursor).randbytes(3000) for entry in stored)

    def test_a_torn_end_is_an_append_that_never_returned(self, tmp_path: Path) -> None:
        """Cut the write-ahead log anywhere inside its last transaction: exactly the whole entries remain."""
        with abandoned(tmp_path / "journal", 4):
            wal = next((tmp_path / "journal").glob("*-wal"))
            size = wal.stat().st_size
            with contextlib.closing(JournalReader(tmp_path / "journal-alive")) as reader:
                assert reader.last_cursor == 4
            for lost in (1, 2000, 16384, 16408):
                folder = tmp_path / f"torn-{lost}"
                shutil.copytree(tmp_path / "journal", folder)
                os.truncate(folder / wal.name, size - lost)
                with contextlib.closing(Journal.open(folder)) as journal:
                    assert content(journal.read_after(0)) == entries(1, 3)
                    fill(journal, 1)
                    assert content(journal.read_after(0)) == entries(1, 4)

    @pytest.mark.parametrize("step", ["create", "seal"])
    def test_death_while_beginning_a_file(self, tmp_path: Path, step: str) -> None:
        with contextlib.closing(Journal.open(tmp_path / "a", JournalConfig(file_bytes=1))) as journal:
            fill(journal, 2)
            shutil.copytree(tmp_path / "a", tmp_path / "b")
            before = journal_files(tmp_path / "b")
            fill(journal, 1)
        new = journal_files(tmp_path / "a")[-1][1].name
        if step == "create":
            shutil.copy(tmp_path / "a" / new, tmp_path / "b" / new.replace(".journal", ".new"))
        else:
            with contextlib.closing(sqlite3.connect(tmp_path / "a" / new)) as connection:
                connection.execute("DELETE FROM entry")
                connection.commit()
            shutil.copy(tmp_path / "a" / new, tmp_path / "b" / new)
        with contextlib.closing(Journal.open(tmp_path / "b", SMALL_FILES)) as journal:
            assert len(journal_files(tmp_path / "b")) == len(before) + (step == "seal")
            assert journal.last_cursor == 2
            fill(journal, 3)
            assert content(read_all(journal)) == entries(1, 5)


class TestDamage:
    def test_a_flipped_bit_is_found_and_what_precedes_it_stays_readable(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            fill(journal, 30)
        _, path = journal_files(tmp_path)[0]
        flip(path, position(path, 12))
        reader = JournalReader(tmp_path)
        assert content(reader.read_after(0)) == entries(1, 11)
        with pytest.raises(JournalCorruptError, match="entry 12 does not match its checksum") as error:
            reader.read_after(11)
        assert error.value.cursor == 12
        assert pickle.loads(pickle.dumps(error.value)).cursor == 12
        assert content(reader.read_after(12)) == entries(13, 18)
        inspection = reader.verify()
        assert [(damage.first, damage.last) for damage in inspection.damage] == [(12, 12)]
        assert (inspection.first, inspection.last, inspection.entries) == (1, 30, 29)
        reader.close()

    def test_any_flipped_byte_of_a_closed_file_is_harmless_or_found(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path / "whole")) as journal:
            fill(journal, 12)
        name = journal_files(tmp_path / "whole")[0][1].name
        size = (tmp_path / "whole" / name).stat().st_size
        dice = random.Random(3)
        for round_ in range(60):
            folder = tmp_path / str(round_)
            shutil.copytree(tmp_path / "whole", folder)
            flip(folder / name, dice.randrange(size))
            with contextlib.closing(JournalReader(folder)) as reader:
                found = read_all_whole(reader)
                assert content(found) == entries(1, len(found))
                if len(found) < 12:
                    with pytest.raises(JournalError, match=str(folder)):
                        reader.read_after(len(found))

    def test_a_flipped_bit_in_the_write_ahead_log_is_not_taken_for_a_torn_end(self, tmp_path: Path) -> None:
        with abandoned(tmp_path / "journal", 10):
            wal = next((tmp_path / "journal").glob("*-wal"))
            frame = 24 + 16384
            inside = 32 + 3 * frame  # the header of a frame in the middle
            # in a page, a page number, a salt, a checksum; in the log's own header: none of it is believed
            for at in (wal.stat().st_size // 2, inside + 1, inside + 9, inside + 17, 9, 25):
                flip(wal, at)
                with pytest.raises(JournalCorruptError, match="synced entries at its end"):
                    Journal.open(tmp_path / "journal")
                flip(wal, at)
            with contextlib.closing(Journal.open(tmp_path / "journal")) as journal:
                assert content(journal.read_after(0)) == entries(1, 10)

    @pytest.mark.parametrize("which", [0, 1, -1])
    def test_a_missing_file_is_found(self, tmp_path: Path, which: int) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 160)
        files = journal_files(tmp_path)
        assert len(files) >= 4
        first, path = files[which]
        path.unlink()
        with pytest.raises(JournalCorruptError, match="missing") as error:
            Journal.open(tmp_path)
        assert error.value.cursor == first
        with contextlib.closing(JournalReader(tmp_path)) as reader:
            if which == 0:
                with pytest.raises(JournalGapError):
                    reader.read_after(0)
            else:
                assert content(read_all_whole(reader)) == entries(1, first - 1)
                with pytest.raises(JournalCorruptError, match="missing"):
                    reader.read_after(first - 1)

    def test_a_log_that_lost_its_end_does_not_pass_for_a_quiet_one(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            fill(journal, 3)
            with pytest.raises(JournalError, match="the log ends at 3"):
                journal.read_after(4)

    def test_a_reader_that_never_closes_bounds_nothing_but_one_file(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 5)
            path = journal_files(tmp_path)[-1][1]
            with contextlib.closing(sqlite3.connect(path)) as stuck:
                rows = stuck.execute("SELECT cursor FROM entry")
                rows.fetchone()
                fill(journal, 300)
                journal.cut(journal.last_cursor)
                assert journal.bytes < 4 * SMALL_FILES.file_bytes
                assert content(journal.read_after(journal.last_cursor - 1)) == entries(305, 1)
            assert len(journal_files(tmp_path)) == 1

    def test_another_format_is_refused(self, tmp_path: Path) -> None:
        Journal.open(tmp_path).close()
        with contextlib.closing(sqlite3.connect(journal_files(tmp_path)[0][1])) as connection:
            connection.execute("PRAGMA user_version=99")
        with pytest.raises(JournalError, match="format version 99"):
            Journal.open(tmp_path)


class TestSalvage:
    def test_a_whole_journal_comes_through_unchanged(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 90)
        assert salvage(tmp_path).damage == ()
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            assert journal.epoch == 2
            assert content(read_all(journal)) == entries(1, 90)

    def test_lost_entries_keep_their_place(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 160)
        files = journal_files(tmp_path)
        flip(files[0][1], position(files[0][1], 2))
        files[2][1].unlink()
        files[-1][1].unlink()
        lost = {2, *range(files[2][0], files[3][0]), *range(files[-1][0], 171)}
        salvage(tmp_path, at_least=170)
        assert list((tmp_path / DAMAGED).iterdir())
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            stored = read_all(journal)
            assert [entry.cursor for entry in stored] == list(range(1, 171))
            assert {entry.cursor for entry in stored if entry.kind == LOST} == lost
            whole = {n: entry for n, entry in enumerate(entries(1, 170), 1) if n not in lost}
            assert {e.cursor: content([e])[0] for e in stored if e.kind != LOST} == whole
            assert journal.append(entries(171, 1)) == range(171, 172)

    def test_a_lost_entry_has_the_time_of_the_one_before_it(self, tmp_path: Path) -> None:
        """And at the beginning of the one that follows: time never goes back in a log."""
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 160)
        files = journal_files(tmp_path)
        first_of_second = files[1][0]
        for cursor in (1, 2, 7, first_of_second, first_of_second + 1):
            flip(files[cursor >= first_of_second][1], position(files[cursor >= first_of_second][1], cursor))
        files[-1][1].unlink()
        salvage(tmp_path, at_least=170)
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            stored = read_all(journal)
        times = {entry.cursor: entry.now_us for entry in stored if entry.kind == LOST}
        assert [times[1], times[2], times[7]] == [3000, 3000, 6000]
        assert times[first_of_second] == times[first_of_second + 1] == 1000 * (first_of_second - 1)
        assert {times[n] for n in range(files[-1][0], 171)} == {1000 * (files[-1][0] - 1)}
        assert [entry.now_us for entry in stored] == sorted(entry.now_us for entry in stored)
        assert {entry.epoch for entry in stored} <= {0, 1}

    def test_a_broken_write_ahead_log(self, tmp_path: Path) -> None:
        with abandoned(tmp_path / "journal", 10):
            wal = next((tmp_path / "journal").glob("*-wal"))
            flip(wal, wal.stat().st_size // 2)
            salvage(tmp_path / "journal", at_least=10)
            with contextlib.closing(Journal.open(tmp_path / "journal")) as journal:
                stored = journal.read_after(0)
                kept = [entry for entry in stored if entry.kind != LOST]
                assert len(stored) == 10
                assert 0 < len(kept) < 10
                assert content(kept) == entries(1, len(kept))

    def test_a_file_that_is_no_database_any_more(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path, SMALL_FILES)) as journal:
            fill(journal, 90)
        files = journal_files(tmp_path)
        files[-1][1].write_bytes(bytes(50_000))
        with pytest.raises(JournalError):
            Journal.open(tmp_path)
        salvage(tmp_path, at_least=90)
        with contextlib.closing(Journal.open(tmp_path)) as journal:
            assert content(read_all(journal)[: files[-1][0] - 1]) == entries(1, files[-1][0] - 1)
            assert journal.last_cursor == 90

    def test_an_owned_journal_is_left_alone(self, tmp_path: Path) -> None:
        with contextlib.closing(Journal.open(tmp_path)), pytest.raises(FencedError):
            salvage(tmp_path)


def read_all_whole(reader: JournalReader) -> list[StoredEntry]:
    found: list[StoredEntry] = []
    with contextlib.suppress(JournalError):
        while batch := reader.read_after(found[-1].cursor if found else 0):
            found += batch
    return found
