"""Keys, envelope and rotation: what is sealed comes back, and nothing that was touched does."""

import base64
import contextlib
import os
import pickle
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sealed import encrypt, holds
from twins import sealing, snapshots
from twins.errors import JournalCorruptError
from twins.journal import Entry, Journal, JournalReader, journal_files
from twins.key_sources import LocalKey, create_key_file, key_from, new_key
from twins.packing import pack
from twins.sealing import (
    KEYSET_FILE,
    VARIABLE,
    KeyMissingError,
    KeySourceError,
    KeyWrongError,
    SealBrokenError,
    Sealer,
    create_keyset,
    keyset_facts,
    rotate_keyset,
    sealer_of,
)

CHUNK = 1 << 20
CANARY = b"canary-of-hall-7"

HOOK = """
import base64, pathlib, sys
key = pathlib.Path(sys.argv[1]).read_bytes()
said = lambda: bytes(a ^ b for a, b in zip(base64.b64decode(sys.stdin.readline()), key, strict=True))
match sys.argv[2]:
    case "id": print("kms/pumps")
    case "wrap" | "unwrap": print(base64.b64encode(said()).decode())
"""


def a_sealer(folder: str = "/data") -> Sealer:
    return Sealer(Path(folder), "0" * 16, {"01020304": bytes(range(32))})


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    encrypt(tmp_path / "data", monkeypatch)
    return tmp_path / "data"


def local(tmp_path: Path, name: str) -> LocalKey:
    create_key_file(tmp_path / name)
    found = key_from(f"file:{tmp_path / name}")
    assert isinstance(found, LocalKey)
    return found


class TestEnvelope:
    @given(st.binary(max_size=2000))
    def test_what_was_sealed_comes_back(self, block: bytes) -> None:
        sealer = a_sealer()
        sealed = sealer.seal(block, "a/b")
        assert sealer.open(sealed, "a/b") == block
        assert sealing.is_sealed(sealed)
        assert sealed != sealer.seal(block, "a/b")  # under a key of its own

    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
    def test_any_size(self, size: int) -> None:
        block = os.urandom(size)
        assert a_sealer().open(a_sealer().seal(bytearray(block), "x"), "x") == block

    @settings(max_examples=300)
    @given(st.binary(min_size=0, max_size=60), st.data())
    def test_any_flipped_bit_is_refused(self, block: bytes, data: st.DataObject) -> None:
        sealed = bytearray(a_sealer().seal(block, "x"))
        at = data.draw(st.integers(0, len(sealed) - 1))
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(SealBrokenError):
            a_sealer().open(sealed, "x")

    @given(st.binary(max_size=60), st.data())
    def test_any_other_length_is_refused(self, block: bytes, data: st.DataObject) -> None:
        sealed = a_sealer().seal(block, "x")
        for wrong in (sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + b"\0", sealed + sealed):
            with pytest.raises(SealBrokenError):
                a_sealer().open(wrong, "x")

    def test_no_chunk_can_be_taken_away_or_moved(self) -> None:
        sealed = a_sealer().seal(os.urandom(3 * CHUNK), "x")
        head, step = len(sealed) - 3 * (CHUNK + 16), CHUNK + 16
        first, second, third = (sealed[head + n * step : head + (n + 1) * step] for n in range(3))
        for chunks in (
            [first, second],
            [first, third],
            [second, first, third],
            [first, second, third, third],
        ):
            with pytest.raises(SealBrokenError):
                a_sealer().open(sealed[:head] + b"".join(chunks), "x")

    def test_another_place_is_refused(self) -> None:
        with pytest.raises(SealBrokenError, match="another place"):
            a_sealer().open(a_sealer().seal(b"x", "hosts/host-000/a"), "hosts/host-001/a")

    def test_another_keyset_is_refused_by_name(self) -> None:
        other = Sealer(Path("/data"), "1" * 16, {"0a0b0c0d": bytes(32)})
        with pytest.raises(SealBrokenError, match="wrapped by key 01020304"):
            other.open(a_sealer().seal(b"x", "x"), "x")

    def test_texts(self) -> None:
        sealed = a_sealer().seal_text("gæheim", "database/x")
        assert sealing.is_sealed_text(sealed)
        assert "gæheim" not in sealed
        assert a_sealer().open_text(sealed, "database/x") == "gæheim"
        for wrong in (sealed + "A", sealed[:-4], "sealed:%%", "sealed:"):
            with pytest.raises(SealBrokenError):
                a_sealer().open_text(wrong, "database/x")


class TestKeyset:
    def test_holds_for_everything_below_its_folder(self, sealed: Path) -> None:
        deep = sealed / "hosts" / "host-000" / "x.bin"
        found = sealer_of(deep)
        assert found is not None
        assert found.place(deep) == "hosts/host-000/x.bin"
        assert sealer_of(sealed.parent) is None
        assert stat.S_IMODE((sealed / KEYSET_FILE).stat().st_mode) == 0o600

    def test_without_a_key_the_error_says_which_and_where_it_was_looked_for(
        self, sealed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = keyset_facts(sealed)
        assert facts is not None
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(KeyMissingError, match=facts.key_id):
            sealer_of(sealed)
        monkeypatch.setenv(VARIABLE, "file:/nowhere/key")
        with pytest.raises(KeyMissingError, match=f"{facts.key_id}, looked for at file:/nowhere/key"):
            sealer_of(sealed)

    def test_another_key_is_told_apart(
        self, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = local(tmp_path, "other")
        monkeypatch.setenv(VARIABLE, other.source)
        facts = keyset_facts(sealed)
        assert facts is not None
        with pytest.raises(KeyWrongError, match=f"{facts.key_id}, and {other.source} holds key {other.id}"):
            sealer_of(sealed)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_no_flipped_bit_goes_unseen(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        folder = tmp_path_factory.mktemp("keyset")
        key = LocalKey("test", bytes(range(32)))
        create_keyset(folder, key)
        before = sealing._unlocked(folder / KEYSET_FILE, key)
        block = bytearray((folder / KEYSET_FILE).read_bytes())
        block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        (folder / KEYSET_FILE).write_bytes(block)
        with contextlib.suppress(sealing.SealingError):
            assert (
                sealing._unlocked(folder / KEYSET_FILE, key) == before
            )  # white space, or when it was changed

    def test_rotating_keeps_everything_readable_and_the_old_key_useless(
        self, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = sealed / "x.bin"
        path.write_bytes(sealing.stored(path, b"before"))
        old = key_from(os.environ[VARIABLE])
        for number in range(3):
            new = local(tmp_path, f"key-{number}")
            rotate_keyset(sealed, old, new)
            with pytest.raises(KeyWrongError):
                sealer_of(sealed)
            monkeypatch.setenv(VARIABLE, new.source)
            Path(old.source.removeprefix("file:")).unlink()
            assert sealing.read(path) == (b"before" if number == 0 else b"after %d" % (number - 1))
            path.write_bytes(sealing.stored(path, b"after %d" % number))
            old = new
        assert set(sealed.iterdir()) == {sealed / KEYSET_FILE, path}

    def test_new_files_take_a_key_that_an_old_keyset_does_not_have(
        self, sealed: Path, tmp_path: Path
    ) -> None:
        """So whoever has the old key and an old copy of the keyset reads nothing that was written since."""
        before = sealer_of(sealed)
        assert before is not None
        new = local(tmp_path, "new")
        rotate_keyset(sealed, key_from(os.environ[VARIABLE]), new)
        after = Sealer(sealed, new.id, sealing._unlocked(sealed / KEYSET_FILE, new))
        assert after.open(before.seal(b"x", "x"), "x") == b"x"
        with pytest.raises(SealBrokenError, match="not in keyset"):
            before.open(after.seal(b"x", "x"), "x")

    def test_a_second_keyset_is_refused(self, sealed: Path) -> None:
        with pytest.raises(KeySourceError, match="rotate"):
            create_keyset(sealed, key_from(os.environ[VARIABLE]))

    def test_rotation_that_fails_changes_nothing(self, sealed: Path, tmp_path: Path) -> None:
        class Broken(LocalKey):
            def unwrap(self, wrapped: bytes) -> bytes:
                return bytes(32)

        before = (sealed / KEYSET_FILE).read_bytes()
        with pytest.raises(sealing.SealingError):
            rotate_keyset(sealed, key_from(os.environ[VARIABLE]), Broken("test", bytes(32)))
        with pytest.raises(KeyWrongError):
            rotate_keyset(sealed, local(tmp_path, "wrong"), local(tmp_path, "new"))
        assert (sealed / KEYSET_FILE).read_bytes() == before
        assert os.listdir(sealed) == [KEYSET_FILE]


class TestSources:
    def test_file(self, tmp_path: Path) -> None:
        key = local(tmp_path, "key")
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        assert key.unwrap(key.wrap(b"k" * 32)) == b"k" * 32
        assert repr(key.key) not in repr(key)
        with pytest.raises(KeySourceError, match="ever overwritten"):
            create_key_file(tmp_path / "key")

    def test_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = new_key()
        monkeypatch.setenv("THE_KEY", f" {text}\n")
        assert key_from("env:THE_KEY") == LocalKey("env:THE_KEY", base64.b64decode(text))
        monkeypatch.delenv("THE_KEY")
        with pytest.raises(KeySourceError, match="not set"):
            key_from("env:THE_KEY")

    def test_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "hook.py").write_text(HOOK)
        (tmp_path / "secret").write_bytes(os.urandom(32))
        source = f"command:{sys.executable} {tmp_path / 'hook.py'} {tmp_path / 'secret'}"
        folder = tmp_path / "data"
        create_keyset(folder, key_from(source))
        monkeypatch.setenv(VARIABLE, source)
        path = folder / "x"
        path.write_bytes(sealing.stored(path, b"said"))
        facts = keyset_facts(folder)
        assert facts is not None
        assert (facts.key_id, sealing.read(path)) == ("kms/pumps", b"said")
        (tmp_path / "hook.py").write_text("import sys; sys.exit('no route to the KMS')")
        os.utime(folder / KEYSET_FILE)  # as another process would, for which nothing is remembered
        with pytest.raises(KeyMissingError, match="no route to the KMS"):
            sealer_of(folder)

    @pytest.mark.parametrize(
        "source",
        ["", "file:", "/etc/key", "vault:x", "file:/nowhere", "file:key", "file:{folder}/short", "file:{folder}",
         "command:/nowhere/hook",
         "file:{folder}/binary", "command:false", "command:true"],
    )  # fmt: skip
    def test_what_is_no_key_is_told_with_its_place(self, tmp_path: Path, source: str) -> None:
        (tmp_path / "short").write_text(base64.b64encode(bytes(16)).decode())
        (tmp_path / "binary").write_bytes(bytes([200]) * 32)
        with pytest.raises(KeySourceError) as told:
            key_from(source.format(folder=tmp_path))
        assert source.format(folder=tmp_path) in str(told.value)


def test_errors_cross_processes() -> None:
    for error in (
        KeySourceError("file:x", "gone", "look"),
        KeyMissingError("/data", "id", "file:x", "gone"),
        KeyWrongError("/data", "id", "other", "file:x"),
        SealBrokenError("x", "changed"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


class TestJournal:
    def fill(self, folder: Path, count: int = 6) -> list[Entry]:
        entries = [Entry(1, n, CANARY + b" %d" % n, CANARY if n % 2 else None) for n in range(count)]
        with contextlib.closing(Journal.open(folder)) as journal:
            for entry in entries:
                journal.append([entry])
        return entries

    def read(self, folder: Path) -> list[Entry]:
        with contextlib.closing(JournalReader(folder)) as reader:
            return [Entry(e.kind, e.now_us, e.payload, e.events) for e in reader.read_after(0)]

    def test_nothing_of_it_can_be_read_on_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fill(tmp_path / "plain" / "journal")
        assert holds(tmp_path / "plain", CANARY)
        encrypt(tmp_path / "data", monkeypatch)
        folder = tmp_path / "data" / "journal"
        entries = self.fill(folder)
        assert holds(tmp_path / "data", CANARY) == []
        assert self.read(folder) == entries
        with contextlib.closing(Journal.open(folder)):  # with its write-ahead log
            assert holds(tmp_path / "data", CANARY) == []

    def test_each_owner_has_a_data_key_of_its_own_in_each_file(self, sealed: Path) -> None:
        for _ in range(3):
            self.fill(sealed / "journal", 2)
        (_, path), *more = journal_files(sealed / "journal")
        with contextlib.closing(sqlite3.connect(path)) as file:
            nonces = [row[0][:12] for row in file.execute("SELECT payload FROM entry")]
            nonces += [row[0][:12] for row in file.execute("SELECT events FROM entry WHERE events NOT NULL")]
            wrapped = {row[0] for row in file.execute("SELECT wrapped FROM data_key")}
        assert (more, len(wrapped), len(set(nonces))) == ([], 3, len(nonces))

    @pytest.mark.parametrize(
        "tamper",
        [
            "UPDATE entry SET payload = (SELECT payload FROM entry WHERE cursor = 4) WHERE cursor = 3",
            "UPDATE entry SET payload = events, events = payload WHERE cursor = 2",
            "UPDATE entry SET events = NULL WHERE cursor = 2",
            "UPDATE entry SET now_us = now_us + 1 WHERE cursor = 3",
            "UPDATE entry SET kind = 2 WHERE cursor = 3",
            "UPDATE entry SET epoch = 9 WHERE cursor = 3",
            "UPDATE entry SET payload = substr(payload, 1, 20) WHERE cursor = 3",
            "UPDATE entry SET payload = x'' WHERE cursor = 3",
            "UPDATE entry SET payload = x'636c656172' WHERE cursor = 3",
        ],
    )
    def test_who_can_mend_a_checksum_can_change_nothing_unseen(self, sealed: Path, tamper: str) -> None:
        from twins.journal import _checksum

        self.fill(sealed / "journal")
        (_, path), *_ = journal_files(sealed / "journal")
        with contextlib.closing(sqlite3.connect(path)) as file:
            file.execute(tamper)
            for row in file.execute(
                "SELECT cursor, epoch, kind, now_us, payload, events FROM entry"
            ).fetchall():
                file.execute("UPDATE entry SET crc = ? WHERE cursor = ?", (_checksum(*row), row[0]))
            file.commit()
        with contextlib.closing(JournalReader(sealed / "journal")) as reader:
            whole = len(reader.read_after(0))
            assert whole < 6
            with pytest.raises(JournalCorruptError, match="was altered"):
                reader.read_after(whole)

    def test_a_file_in_anothers_place_is_refused(self, sealed: Path) -> None:
        self.fill(sealed / "a")
        self.fill(sealed / "b")
        (_, path), (_, other) = journal_files(sealed / "a")[0], journal_files(sealed / "b")[0]
        path.write_bytes(other.read_bytes())
        with pytest.raises(SealBrokenError, match="another place"):
            self.read(sealed / "a")

    def test_with_a_wrong_key_nothing_is_mended_or_deleted(
        self, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = self.fill(sealed / "journal")
        right = os.environ[VARIABLE]
        before = {path: path.read_bytes() for path in sealed.rglob("*") if path.suffix == ".journal"}
        monkeypatch.setenv(VARIABLE, local(tmp_path, "other").source)
        for attempt in (lambda: self.read(sealed / "journal"), lambda: Journal.open(sealed / "journal")):
            with pytest.raises(KeyWrongError):
                attempt()
        assert {path: path.read_bytes() for path in sealed.rglob("*") if path.suffix == ".journal"} == before
        monkeypatch.setenv(VARIABLE, right)
        assert self.read(sealed / "journal") == entries

    @pytest.mark.parametrize("count", [0, 3])
    def test_a_journal_from_before_goes_on_in_a_sealed_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        folder = tmp_path / "data" / "journal"
        before = self.fill(folder, count)
        plain = {path for _, path in journal_files(folder)} if count else set()
        encrypt(tmp_path / "data", monkeypatch)
        after = self.fill(folder, 4)
        assert self.read(folder) == before + after
        assert {path for _, path in journal_files(folder) if CANARY in path.read_bytes()} == plain
        assert len(journal_files(folder)) == len(plain) + 1

    def test_rotation_leaves_files_as_they_are(
        self, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = self.fill(sealed / "journal")
        new = local(tmp_path, "new")
        rotate_keyset(sealed, key_from(os.environ[VARIABLE]), new)
        monkeypatch.setenv(VARIABLE, new.source)
        after = self.fill(sealed / "journal")
        assert self.read(sealed / "journal") == before + after


class TestSnapshots:
    def test_lie_sealed_and_come_back(self, sealed: Path) -> None:
        folder = sealed / "hosts" / "host-000" / "snapshots"
        snapshots.write(folder, 7, pack({"said": CANARY.decode()}))
        assert holds(sealed, CANARY) == []
        found, damage = snapshots.newest(folder)
        assert found is not None
        assert (found[0], found[1], damage) == (7, {"said": CANARY.decode()}, [])

    def test_one_in_anothers_place_counts_as_damaged(self, sealed: Path) -> None:
        folder = sealed / "snapshots"
        old = snapshots.write(folder, 7, pack({"n": 7}))
        new = snapshots.write(folder, 8, pack({"n": 8}))
        new.write_bytes(old.read_bytes())
        found, damage = snapshots.newest(folder)
        assert found is not None
        assert found[1] == {"n": 7}
        assert "another place" in damage[0]

    def test_a_wrong_key_is_no_damage(
        self, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshots.write(sealed / "snapshots", 7, pack({}))
        monkeypatch.setenv(VARIABLE, local(tmp_path, "other").source)
        with pytest.raises(KeyWrongError):
            snapshots.newest(sealed / "snapshots")
