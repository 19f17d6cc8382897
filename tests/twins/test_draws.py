"""Counter-based draws: published answers, moments, and independence of what is drawn together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from twins.draws import (
    NOISE,
    block,
    fill_normals,
    fill_words,
    life_key,
    mix,
    name_key,
    name_keys,
    normal,
    philox,
    uniform,
)

PI = ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0")
ZERO = ("0 0 0 0", "0 0")
ONES = ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff")
# from kat_vectors of Random123 1.14
KNOWN = [
    (7, *ZERO, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (7, *ONES, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (7, *PI, "4dfccaba 190a87f0 c47362ba b6b5242a"),
    (10, *ZERO, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, *ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (10, *PI, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@njit
def philox_of(counter, key, rounds):  # type: ignore[no-untyped-def]
    return philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1], rounds)


@njit
def blocks_of(key, stream, step, number):  # type: ignore[no-untyped-def]
    return block(key, stream, step, number)


@njit
def normals_of(words, numbers):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        numbers[i] = normal(np.uint64(words[i]))


@njit
def uniform_of(word):  # type: ignore[no-untyped-def]
    return uniform(word)


@njit
def keys_of(seed, replication, device, life_cycle):  # type: ignore[no-untyped-def]
    return life_key(seed, replication, device, life_cycle)


@njit
def mixed(x):  # type: ignore[no-untyped-def]
    return mix(x)


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint64)


@pytest.mark.parametrize(("rounds", "counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(rounds: int, counter: str, key: str, answer: str) -> None:
    assert [int(word) for word in philox_of(words(counter), words(key), rounds)] == words(answer).tolist()


def slow_philox(counter: list[int], key: list[int], rounds: int) -> list[int]:
    """Salmon et al. 2011, figure 2, in whole numbers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(rounds):
        high0, low0 = divmod(0xD2511F53 * c0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % (1 << 32), (k1 + 0xBB67AE85) % (1 << 32)
    return [c0, c1, c2, c3]


@settings(deadline=None)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 100),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**32 - 1),
)
def test_a_block_is_philox_of_step_stream_and_key(key: int, stream: int, step: int, number: int) -> None:
    at = step % 2**64
    expected = slow_philox([number, stream, at % 2**32, at >> 32], [key % 2**32, key >> 32], rounds=7)
    assert [int(w) for w in blocks_of(np.uint64(key), stream, step, number)] == expected


def test_many_normals_are_the_single_ones_bit_for_bit() -> None:
    edges = np.array([0, 1, 2**24 - 1, 2**24, 2**31, 2**32 - 2**24 - 1, 2**32 - 2**24, 2**32 - 1], np.uint32)
    drawn = np.random.default_rng(3).integers(0, 2**32, 100_000, dtype=np.uint32)
    given_words = np.concatenate([edges, drawn])
    together, one_by_one = np.empty(len(given_words)), np.empty(len(given_words))
    fill_normals(given_words, together)
    normals_of(given_words, one_by_one)
    assert together.tobytes() == one_by_one.tobytes()


def test_normals_are_close_to_the_true_quantiles_and_rise() -> None:
    special = pytest.importorskip("scipy.special")
    every = np.arange(0, 2**32, 30_011, dtype=np.uint64).astype(np.uint32)
    numbers = np.empty(len(every))
    fill_normals(every, numbers)
    assert np.abs(numbers - special.ndtri((every + 0.5) / 2**32)).max() < 0.002
    assert (np.diff(numbers) > 0).all()
    low, high = np.empty(1), np.empty(1)
    fill_normals(np.array([0], np.uint32), low)
    fill_normals(np.array([2**32 - 1], np.uint32), high)
    assert low[0] == -high[0] == pytest.approx(-6.34, abs=0.01)


def test_noise_has_the_moments_of_a_normal_and_no_correlation() -> None:
    keys = name_keys(f"device-{i}" for i in range(40_000))
    drawn = np.empty((8, len(keys)), np.uint32)
    fill_words(keys, NOISE, 1_700_000_000_000_000, 0, drawn)
    numbers = np.empty(drawn.shape)
    fill_normals(drawn.reshape(-1), numbers.reshape(-1))
    n = numbers.size
    assert abs(numbers.mean()) < 5 / n**0.5
    assert abs(numbers.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs((numbers**3).mean()) < 5 * (15 / n) ** 0.5
    assert abs((numbers**4).mean() - 3) < 5 * (96 / n) ** 0.5
    correlation = np.corrcoef(numbers) - np.eye(8)
    assert np.abs(correlation).max() < 5 / len(keys) ** 0.5
    later = np.empty_like(drawn)
    fill_words(keys, NOISE, 1_700_000_000_000_001, 0, later)
    assert (drawn != later).mean() > 0.999


def test_words_do_not_depend_on_which_keys_are_drawn_together() -> None:
    keys = name_keys(f"device-{i}" for i in range(100))
    whole, part = np.empty((4, 100), np.uint32), np.empty((4, 17), np.uint32)
    fill_words(keys, NOISE, 5, 0, whole)
    fill_words(keys[40:57], NOISE, 5, 0, part)
    assert (whole[:, 40:57] == part).all()
    for lane, word in enumerate(blocks_of(keys[40], NOISE, 5, 0)):
        assert part[lane, 0] == word


def test_uniform_stays_inside_its_bounds() -> None:
    assert 0.0 < uniform_of(np.uint64(0)) < 1e-9
    assert 1 - 1e-9 < uniform_of(np.uint64(2**32 - 1)) < 1.0


def test_keys_tell_seed_replication_device_and_life_cycle_apart() -> None:
    keys = {
        int(keys_of(seed, replication, np.uint64(device), life))
        for seed in range(8)
        for replication in range(8)
        for device in range(8)
        for life in range(8)
    }
    assert len(keys) == 8**4


def test_mix_is_the_finaliser_of_splitmix64() -> None:
    golden = (
        0x9E3779B97F4A7C15  # the first outputs of splitmix64 seeded with 0, as Vigna's reference gives them
    )
    assert int(mixed(np.uint64(golden))) == 0xE220A8397B1DCDAF
    assert int(mixed(np.uint64(2 * golden % 2**64))) == 0x6E789E6AA1B965F4


def test_names_have_keys_that_stay() -> None:
    assert name_key("pump-1") == 0xDC60750CD5CD3FF6
    assert name_keys(["a", "b"]).tolist() == [name_key("a"), name_key("b")]
