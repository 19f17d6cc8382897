"""What a model says of a fleet drifts where it moves, not by chance, and is known after a restart."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.drift import FILE, Drift, counted, drifts, note, noted, read, stability_index
from training.registry import FOLDER

risks = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60).map(
    lambda told: np.array(told, np.float32)
)


def by_the_book(first: list[int], now: list[int]) -> float:
    total = 0.0
    for one, other in zip(first, now, strict=True):
        then = (one + 0.5) / (sum(first) + 0.5 * len(first))
        later = (other + 0.5) / (sum(now) + 0.5 * len(now))
        total += (later - then) * math.log(later / then)
    return total


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
def test_the_index_is_what_the_book_says(pairs: list[tuple[int, int]]) -> None:
    first, now = ([*column] for column in zip(*pairs, strict=True))
    assert math.isclose(stability_index(first, now), by_the_book(first, now), abs_tol=1e-9)
    assert stability_index(first, first) == 0.0
    assert stability_index(first, now) >= 0.0


@given(risks, risks)
def test_every_device_lies_in_one_bin(first: np.ndarray, now: np.ndarray) -> None:
    known = noted(noted(None, "pump", 1, len(first), 0, first, 5), "pump", 1, len(now), 0, now, 9)
    assert list(known.edges) == sorted(set(known.edges))
    assert (sum(known.first), sum(known.now)) == (len(first), len(now))
    bounds = [-math.inf, *known.edges, math.inf]
    slow = [sum(low < each <= high for each in now.tolist()) for low, high in pairwise(bounds)]
    assert list(known.now) == slow
    assert (known.since_us, known.at_us) == (5, 9)


def told(rng: np.random.Generator, n: int, shift: float = 0.0) -> np.ndarray:
    return (1.0 / (1.0 + np.exp(-rng.normal(-2.0 + shift, 1.0, n)))).astype(np.float32)


def after(first: np.ndarray, now: np.ndarray, unlike: int = 0) -> Drift:
    begun = noted(None, "pump", 1, len(first), 0, first, 1)
    return noted(begun, "pump", 1, len(now) + unlike, unlike, now, 2)


def test_a_fleet_that_has_moved_drifts_and_one_that_has_not_does_not_by_chance() -> None:
    rng = np.random.default_rng(1)
    for n in (20, 100, 5000):
        calm = [after(told(rng, n), told(rng, n)).reasons for _ in range(200)]
        assert calm.count(("shift",)) <= 2, n
    assert after(told(rng, 500), told(rng, 500, shift=1.0)).reasons == ("shift",)
    assert after(told(rng, 10), told(rng, 10, shift=9.0)).reasons == ()
    assert after(told(rng, 10), told(rng, 10)).index is None


def test_devices_of_which_nothing_can_be_said_are_a_reason_from_a_fifth_on() -> None:
    rng = np.random.default_rng(2)
    same = told(rng, 80)
    assert after(same, same, unlike=20).reasons == ()
    assert after(same, same, unlike=21).reasons == ("unlike",)


def test_a_version_is_held_against_the_first_round_in_which_it_can_speak_of_most() -> None:
    rng = np.random.default_rng(3)
    young = noted(None, "pump", 1, 100, 60, told(rng, 40), 1)
    assert (young.first, young.index) == ((), None)
    grown = noted(young, "pump", 1, 100, 0, told(rng, 100), 2)
    assert (grown.since_us, sum(grown.first)) == (2, 100)
    other = noted(grown, "pump", 2, 100, 0, told(rng, 100, shift=3.0), 3)
    assert (other.since_us, other.index) == (3, 0.0)


def test_forecasts_that_are_all_the_same_are_one_bin() -> None:
    same = np.full(50, 0.25, np.float32)
    known = after(same, same)
    assert (len(known.edges), known.index) == (1, 0.0)
    assert after(same, same + np.float32(0.1)).reasons == ("shift",)
    assert counted(np.zeros(0, np.float32), ()) == (0,)


def test_it_is_known_to_whoever_reads_the_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    folder = tmp_path / FOLDER
    assert read(folder, "pump") is None
    note(folder, "pump", 1, 200, 0, told(rng, 200), 1)
    note(folder, "pump", 1, 200, 0, told(rng, 200, shift=2.0), 2)
    found = read(folder, "pump")
    assert found is not None
    assert found == Drift.from_json(found.as_json().encode())
    assert (found.since_us, found.at_us, found.reasons) == (1, 2, ("shift",))
    assert drifts(folder, "pump", 1)
    assert not drifts(folder, "pump", 2)
    (folder / "pump" / FILE).write_text("{")
    assert read(folder, "pump") is None
