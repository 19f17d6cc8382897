"""Device keys and what they cover, on SQLite and PostgreSQL."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import audit
from serve.access import NEEDED
from serve.accounts import Actor
from serve.database import Database
from serve.errors import KeyNotFoundError, KeyRefusedError, UnfitError
from serve.keys import LONGEST_OVERLAP_S, Keys, kept_secret
from serve.keyset import Spot
from serve.live import LiveTable, LocalSource
from serve.scopes import MOST_NAMES, Scope
from tests.serve.edges import DEVICES, edge, make_fleet
from twins.clock import MINUTE_US, SECOND_US, VirtualClock

ROOT = Actor("root", "192.0.2.1")
T0 = 1_760_000_000 * SECOND_US
ANY = Scope()


class Here:
    """Two replicas on one database, and a clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = VirtualClock(T0)
        self.secret = folder / "secrets" / "key-secret"
        self.one, self.other = (Keys(database, self.secret, self.clock) for _ in range(2))


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Here:
    return Here(database, tmp_path)


def accepts(keys: Keys, text: str) -> bool:
    """Whether a key counts; the quick answer never says more than the thorough one."""
    quick = keys.known(text)
    try:
        found = keys.find(text)
    except KeyRefusedError:
        assert quick is None
        return False
    assert quick in (None, found)
    return True


def test_a_key_is_accepted_as_it_was_given_and_not_otherwise(here: Here) -> None:
    key, text = here.one.create("gateway 7", Scope.of(sites=["oslo"]), ROOT)
    other, _ = here.one.create("gateway 8", ANY, ROOT)
    assert accepts(here.one, text)
    assert accepts(here.other, text)
    assert here.other.find(text).scope == Scope(sites=("oslo",))
    secret = text.rpartition("_")[2]
    wrong = [text[:-1] + ("A" if text[-1] != "A" else "B"), text + "x", f"tfk_{other.id}_{secret}", "tfk_", "tfk__",
             f"tfk_{key.id}_", "tfk_nobody_x", "", f"tfk_{key.id}_{here.secret.name}", "tfk_\0_\0", "tfk_ø_ø"]  # fmt: skip
    for each in wrong:
        assert not accepts(here.one, each)
        assert not accepts(here.other, each)


def test_a_revoked_key_ends_at_once_here_and_within_a_second_elsewhere(here: Here) -> None:
    key, text = here.one.create("gateway", ANY, ROOT)
    assert accepts(here.one, text)
    assert accepts(here.other, text)
    here.one.revoke(key.id, ROOT)
    assert not accepts(here.one, text)
    here.clock.advance_by(1.0)
    assert not accepts(here.other, text)
    here.one.revoke(key.id, ROOT)  # once more does nothing
    with pytest.raises(KeyNotFoundError):
        here.one.rotate(key.id, ROOT)
    with pytest.raises(KeyNotFoundError):
        here.one.revoke("nobody", ROOT)


def test_rotating_lets_both_secrets_count_until_the_overlap_is_over(here: Here) -> None:
    key, first = here.one.create("gateway", ANY, ROOT)
    assert accepts(here.other, first)
    _, second = here.one.rotate(key.id, ROOT, overlap_s=3600)
    here.clock.advance_by(1.0)
    for keys in (here.one, here.other):
        assert accepts(keys, first)
        assert accepts(keys, second)
    here.clock.advance_by(3600)
    for keys in (here.one, here.other):
        assert not accepts(keys, first)
        assert accepts(keys, second)
    _, third = here.one.rotate(key.id, ROOT, overlap_s=0)
    here.clock.advance_by(1.0)
    assert [accepts(here.other, each) for each in (first, second, third)] == [False, False, True]
    for wrong in (-1.0, LONGEST_OVERLAP_S + 1):
        with pytest.raises(UnfitError):
            here.one.rotate(key.id, ROOT, wrong)


def test_a_key_ends_when_it_was_said_to(here: Here) -> None:
    _, text = here.one.create("loan", ANY, ROOT, lasts_s=60)
    assert accepts(here.one, text)
    here.clock.advance_by(61)
    assert not accepts(here.one, text)


def test_when_a_key_was_last_used_is_known_to_a_minute(here: Here) -> None:
    key, text = here.one.create("gateway", ANY, ROOT)
    here.one.find(text)
    assert here.other.all()[0].used_us is None
    here.clock.advance_by(61)
    here.one.find(text)
    used_us = here.other.all()[0].used_us
    assert used_us is not None
    assert T0 <= used_us <= here.clock.now_us()
    assert here.one.all()[0].id == key.id
    assert here.one.page(Spot(offset=1)).items == []
    assert here.clock.now_us() - used_us <= 2 * MINUTE_US


def test_no_secret_of_a_key_is_kept_and_a_row_of_ones_own_makes_no_key(here: Here, tmp_path: Path) -> None:
    _, text = here.one.create("gateway", ANY, ROOT)
    secret = text.split("_", 2)[2]
    kept = here.database.read(lambda c: c.exec_driver_sql("SELECT * FROM device_keys").all())
    assert secret not in repr(kept)
    assert secret not in repr(audit.lines(here.database).items)
    stranger = Keys(here.database, tmp_path / "elsewhere" / "key-secret", here.clock)
    assert not accepts(stranger, text)  # the same row, another platform's secret
    assert here.secret.stat().st_mode & 0o777 == 0o600


def test_the_platforms_secret_is_made_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: kept_secret(tmp_path / "secrets" / "key-secret"), range(16)))
    assert len(made) == 1
    assert len(made.pop()) == 32
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["key-secret"]


def test_what_is_done_to_keys_is_in_the_audit(here: Here) -> None:
    key, _ = here.one.create("gateway", Scope.of(types=["pump"]), ROOT)
    here.one.rotate(key.id, ROOT)
    here.one.revoke(key.id, ROOT)
    told = [(line.what, line.subject, line.by) for line in reversed(audit.lines(here.database).items)]
    assert told == [(what, key.id, "root") for what in ("key.made", "key.rotated", "key.revoked")]
    assert audit.verify(here.database) is None


def test_a_scope_names_something_or_says_everything() -> None:
    assert Scope.of(everything=True).is_everything
    for wrong in ({}, {"everything": True, "sites": ["oslo"]}, {"devices": map(str, range(MOST_NAMES + 1))}):
        with pytest.raises(UnfitError):
            Scope.of(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UnfitError):
        Keys.create(None, " ", ANY, ROOT)  # type: ignore[arg-type]


names = st.lists(st.sampled_from([*(device.id for device in DEVICES), "nobody"]), max_size=3)


@given(
    devices=names,
    gateways=names,
    sites=st.lists(st.sampled_from(["oslo", "bergen", "nowhere"]), max_size=2),
    types=st.lists(st.sampled_from(["pump", "meter", "none"]), max_size=2),
    asked=st.lists(st.sampled_from([*(device.id for device in DEVICES), "stranger", ""]), max_size=12),
)
def test_what_a_scope_covers_is_what_it_says(
    covered_fleet: tuple[LiveTable, object],
    devices: list[str],
    gateways: list[str],
    sites: list[str],
    types: list[str],
    asked: list[str],
) -> None:
    live, fleet = covered_fleet
    scope = Scope(tuple(devices), tuple(gateways), tuple(sites), tuple(types))
    assert Scope.from_text(scope.as_text()) == scope
    directory = fleet.directory  # type: ignore[attr-defined]
    ids = pa.array(asked, pa.string())
    by_id = {device.id: device for device in DEVICES}

    def obvious(name: str) -> bool:
        device = by_id.get(name)
        return (
            device is not None
            and (not devices or name in devices)
            and (not gateways or name in gateways or device.parent in gateways)
            and (not sites or device.site in sites)
            and (not types or device.device_type in types)
        )

    got = scope.covers(ids, directory.locate(ids), live.view)
    np.testing.assert_array_equal(got, [obvious(name) for name in asked])


@pytest.fixture(scope="module")
def covered_fleet(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with make_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        live = LiveTable(LocalSource(fleet))
        live.refresh()
        yield live, fleet
        live.close()


def test_a_key_for_metrics_reads_metrics_and_nothing_else(tmp_path: Path) -> None:
    async def inside() -> None:
        async with edge(tmp_path) as it:
            made = await it.post("/api/keys", {"name": "prometheus", "kind": "metrics"}, 201)
            assert (made["key"]["kind"], made["key"]["scope"]["everything"]) == ("metrics", False)
            with_scope = {"name": "x", "kind": "metrics", "scope": {"everything": True}}
            assert (await it.post("/api/keys", with_scope, 400))["code"] == "request.unfit"
            engineer = it.member("ola", "engineer")
            refused = await it.client.post(
                "/api/keys", json={"name": "x", "kind": "metrics"}, headers=engineer
            )
            assert refused.json()["code"] == "access.forbidden"
            key = {"Authorization": f"Bearer {made['text']}"}
            assert "twinfold_devices" in (await it.client.get("/metrics", headers=key)).text
            for place in NEEDED:
                method, _, path = place.partition(" ")
                if method == "WS" or NEEDED[place][0] in ("anyone", "collector"):
                    continue
                asked = re.sub(r"\{\w+(:path)?\}", "7", path)
                answer = await it.client.request(method, asked, headers=key)
                assert answer.json()["code"] == "access.forbidden", place

    asyncio.run(inside())
