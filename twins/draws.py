"""Random numbers without a sequence: each one a function of what it is for.

A draw is keyed by (seed, replication, device, life-cycle) and counted by (stream, step, block), so that it is
the same whatever was drawn before, in which order, on how many workers. Arms of an experiment that share a
key share their luck; devices, streams and steps never share a number.

Sources: J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox4x32; seven rounds
pass BigCrush); M. J. Wichura, Algorithm AS 241, Applied Statistics 37, 1988 (inverse normal distribution).
"""

import hashlib
from collections.abc import Iterable
from statistics import NormalDist
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

ROUNDS: Final = 7

LOAD: Final = 1
NOISE: Final = 2
LIFE: Final = 3
DEVICE: Final = 4
WEATHER: Final = 5
SENSOR: Final = 6
DELIVERY: Final = 7
CHOICE: Final = 8
"""Streams: what a draw is for. Numbers are part of every result: add, never renumber."""

Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
"""Four 32-bit words, each in a 64-bit integer."""

_MASK: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_MULTIPLIER_0: Final = np.uint64(0xD2511F53)
_MULTIPLIER_1: Final = np.uint64(0xCD9E8D57)
_WEYL_0: Final = np.uint64(0x9E3779B9)
_WEYL_1: Final = np.uint64(0xBB67AE85)

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)

_SEGMENTS: Final = 1024
_TAIL: Final = 4  # segments at either end in which a straight line would be too coarse
_FRACTION_BITS: Final = np.uint64(22)
_FRACTION_MASK: Final = np.uint64((1 << 22) - 1)
_QUANTILES: Final = np.array([0.0, *(NormalDist().inv_cdf(i / _SEGMENTS) for i in range(1, _SEGMENTS)), 0.0])
_SLOPES: Final = np.diff(_QUANTILES) * 2.0**-22


@njit(cache=True, inline="always")
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64, rounds: int
) -> Words:
    """Philox4x32: four words from a counter of four words and a key of two."""
    for _ in range(rounds):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _MASK, (p0 >> _HALF) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


@njit(cache=True, inline="always")
def block(key: np.uint64, stream: int, step: int, number: int) -> Words:
    """The four words of one key, stream, step (any 64-bit integer, often a time in µs) and block number."""
    at = np.uint64(step)
    return philox(
        np.uint64(number),
        np.uint64(stream),
        at & _MASK,
        at >> _HALF,
        key & _MASK,
        key >> _HALF,
        ROUNDS,
    )


@njit(cache=True, inline="always")
def uniform(word: np.uint64) -> float:
    """A number above 0 and below 1: the middle of one of 2**32 equal steps."""
    return (float(word) + 0.5) * 2.0**-32


@njit(cache=True)
def _tail(p: float) -> float:
    """AS 241 for ``p`` below 0.02; negative."""
    r = np.sqrt(-np.log(p)) - 1.6
    upper = 7.74545014278341407640e-4 * r + 2.27238449892691845833e-2
    upper = upper * r + 2.41780725177450611770e-1
    upper = upper * r + 1.27045825245236838258
    upper = upper * r + 3.64784832476320460504
    upper = upper * r + 5.76949722146069140550
    upper = upper * r + 4.63033784615654529590
    upper = upper * r + 1.42343711074968357734
    lower = 1.05075007164441684324e-9 * r + 5.47593808499534494600e-4
    lower = lower * r + 1.51986665636164571966e-2
    lower = lower * r + 1.48103976427480074590e-1
    lower = lower * r + 6.89767334985100004550e-1
    lower = lower * r + 1.67638483018380384940
    lower = lower * r + 2.05319162663775882187
    return float(-upper / (lower * r + 1.0))


@njit(cache=True, inline="always")
def normal(word: np.uint64) -> float:
    """A standard normal number, increasing in ``word``.

    The inverse of the distribution function: a line between 1024 quantiles, AS 241 in the outer 0.4 % on
    either side. It is nowhere further than 0.002 from the true quantile; the mean is 0, the variance 1.00012.
    """
    segment = word >> _FRACTION_BITS
    if segment < _TAIL:
        return _tail(uniform(word))
    if segment >= _SEGMENTS - _TAIL:
        return -_tail(uniform(_MASK - word))
    return float(_QUANTILES[segment] + _SLOPES[segment] * (float(np.int64(word & _FRACTION_MASK)) + 0.5))


@njit(cache=True)
def fill_words(
    keys: NDArray[np.uint64], stream: int, step: int, first_block: int, words: NDArray[np.uint32]
) -> None:
    """Words for many keys at once: ``words[4 * b + lane, i]`` is from ``block(keys[i], …, first_block + b)``.

    Parameters
    ----------
    keys : (n,)
    words : (4 * blocks, at least n), written
    """
    for b in range(words.shape[0] // 4):
        for i in range(len(keys)):
            w0, w1, w2, w3 = block(keys[i], stream, step, first_block + b)
            words[4 * b, i] = np.uint32(w0)
            words[4 * b + 1, i] = np.uint32(w1)
            words[4 * b + 2, i] = np.uint32(w2)
            words[4 * b + 3, i] = np.uint32(w3)


@njit(cache=True)
def fill_normals(words: NDArray[np.uint32], numbers: NDArray[np.float64]) -> None:
    """``normal`` of each word, bit for bit, four times as fast: ``words`` and ``numbers`` are (n,)."""
    for i in range(len(words)):
        word = words[i]
        segment = word >> np.uint32(_FRACTION_BITS)
        low = np.float64(np.int64(word & np.uint32(_FRACTION_MASK)))
        numbers[i] = _QUANTILES[segment] + _SLOPES[segment] * (low + 0.5)
    for i in range(len(words)):  # a loop of its own, so that the first one has no branch
        if (words[i] >> np.uint32(_FRACTION_BITS)) - np.uint32(_TAIL) >= np.uint32(_SEGMENTS - 2 * _TAIL):
            numbers[i] = normal(np.uint64(words[i]))


@njit(cache=True, inline="always")
def mix(x: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: a permutation of the 64-bit integers without visible pattern."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@njit(cache=True, inline="always")
def life_key(seed: int, replication: int, device: np.uint64, life_cycle: int) -> np.uint64:
    """The key of all draws of one life-cycle of one device in one replication."""
    key = mix(np.uint64(seed) + _GOLDEN)
    key = mix((key ^ np.uint64(replication)) + _GOLDEN)
    key = mix((key ^ device) + _GOLDEN)
    return mix((key ^ np.uint64(life_cycle)) + _GOLDEN)


def name_key(name: str) -> int:
    """64 bits that stand for a name, the same on every machine: the start of its BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def name_keys(names: Iterable[str]) -> NDArray[np.uint64]:
    """``name_key`` of each name, as an array."""
    return np.fromiter((name_key(name) for name in names), np.uint64)
