"""What training takes: how fast landmarks are built and trees fitted, in how much memory, and how fast a model scores.

    python -m bench.training [--copies 12] [--landmarks 20000] [--memory-mb 384] [--devices 1000000]

The history is real: fifteen engines of C-MAPSS that ran to failure, copied under other names and imported by the public
command. A run is done by one worker and by two, in processes of their own as on a cluster, and learns from no more landmarks
than were asked for, however long the history. Memory is what the one worker took beyond what it began with, at most; its
reference is the same with a quarter of the history. ``readings_mb`` is what the readings would take as one array. Then one
worker trains of a history that alone would take a quarter more than a cap, ``--memory-mb``, and its peak (the kernel's
high-water mark of resident memory) is held against that: ``ratio`` is below 1 where it kept to it. 0 leaves that out. As
set it takes 2.5 million readings, and most of the time goes into importing them.

Scored are made-up devices with as many channels as a pump has, in one regime, by a model that learned from made-up lives: on
one thread, beside scikit-learn's own walk through as many trees, and on two. What moved the scores is told of devices that
are new to the model, and so by the trees of all folds.
"""

import argparse
import math
import multiprocessing as mp
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from bench.commands import ROOT, twinfold
from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from training import training_runs  # noqa: E402
from training.boosting import Boosting, fit  # noqa: E402
from training.contributions import explained  # noqa: E402
from training.survival import (  # noqa: E402
    FOLDS,
    Curves,
    Forecast,
    Likeness,
    Norm,
    SurvivalModel,
    columns_of,
    design,
    restricted,
    times_for,
)
from training.training_runs import Worker  # noqa: E402
from twins.covariates import Covariates  # noqa: E402
from twins.devices import DeviceType  # noqa: E402
from twins.trends import SPANS  # noqa: E402
from twins.typefiles import load_catalog  # noqa: E402

TYPE: Final = "turbofan"
A_COPY: Final = 3052
LARGER: Final = 1.25
CHANNELS: Final = 8
HORIZON_H: Final = 720.0
LEARNED: Final = 8_000
AT_ONCE: Final = 50_000
EXPLAINED: Final = 1_000
READY_S: Final = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--copies", type=int, default=12, help="of fifteen engines, 3,052 readings together; 4 at least"
    )
    parser.add_argument("--landmarks", type=int, default=20_000, help="about as many are learned from")
    parser.add_argument(
        "--memory-mb", type=int, default=384, help="a worker is to take less beyond what it begins with"
    )
    parser.add_argument("--devices", type=int, default=1_000_000, help="that are scored")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tf-") as folder:
        measure_runs(Path(folder), options.copies, options.landmarks)
    if options.memory_mb:
        with tempfile.TemporaryDirectory(prefix="tf-") as folder:
            measure_memory(Path(folder), options.memory_mb, options.landmarks)
    measure_scoring(options.devices)


# -- training ------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """What one came to."""

    built_s: float
    fitted_s: float
    peak_bytes: int  # of the hungriest worker
    landmarks: int
    stride: int


def measure_runs(folder: Path, copies: int, landmarks: int) -> None:
    device_type = load_catalog()[TYPE]
    few = imported(folder, range(copies // 4))
    short = run(folder, device_type, 1, landmarks)
    readings = few + imported(folder, range(copies // 4, copies))
    one, two = (run(folder, device_type, workers, landmarks) for workers in (1, 2))
    told = {"landmarks": one.landmarks, "stride": one.stride, "channels": len(device_type.channels)}
    report("landmarks built by two workers", readings / two.built_s, "readings/s", readings / one.built_s, "one worker",
           readings=readings, **told)  # fmt: skip
    report("trees fitted by two workers", two.landmarks * FOLDS / two.fitted_s, "landmarks/s, all folds",
           one.landmarks * FOLDS / one.fitted_s, "one worker", **told)  # fmt: skip
    report("memory of a training run", one.peak_bytes / 1e6, "MB", short.peak_bytes / 1e6, "a quarter of the history",
           readings=readings, readings_mb=readings * len(device_type.channels) * 8 / 1e6, **told)  # fmt: skip


def measure_memory(folder: Path, cap_mb: int, landmarks: int) -> None:
    """Of a history that is larger than the cap."""
    device_type = load_catalog()[TYPE]
    width = len(device_type.channels) * 8
    readings = imported(folder, range(math.ceil(LARGER * cap_mb * 1e6 / width / A_COPY)))
    assert readings * width > cap_mb * 1e6, "the history is smaller than the cap"
    one = run(folder, device_type, 1, landmarks)
    report("memory of a training run, history larger than the cap", one.peak_bytes / 1e6, "MB", cap_mb, "the cap",
           readings=readings, readings_mb=readings * width / 1e6, landmarks=one.landmarks, stride=one.stride,
           built_readings_per_s=round(readings / one.built_s))  # fmt: skip


def imported(folder: Path, copies: range) -> int:
    """Bring the engines in under other names, one for each number; gives how many readings there are."""
    sample = ROOT / "examples/data/cmapss/train_FD001_units_6-20.txt.gz"
    files = [folder / f"copy-{number:03}.txt.gz" for number in copies]
    for file in files:
        file.symlink_to(sample)
    said = twinfold(folder / "data", "import", ROOT / "examples/mappings/cmapss.yaml", *files)
    return int(said["readings"])


def run(folder: Path, device_type: DeviceType, workers: int, landmarks: int) -> Run:
    """Train with so many processes; they begin when all of them are ready."""
    until_us = time.time_ns() // 1000
    place = folder / f"run-{until_us}"
    plan = training_runs.begin(place, folder / "data", device_type, until_us, by="bench", landmarks=landmarks)
    context = mp.get_context("spawn")
    ready, peaks = context.Barrier(workers + 1, timeout=READY_S), context.SimpleQueue()
    processes = [
        context.Process(target=share, args=(place, rank, workers, ready, peaks)) for rank in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait()
    began = time.time()
    for process in processes:
        process.join()
        assert process.exitcode == 0, "a worker failed"
    built, fitted = (newest(place.glob(which)) for which in ("part-*.arrow", "fold-*.npz"))
    manifest, _ = training_runs.outcome(place)
    peak = max(peaks.get() for _ in processes)
    return Run(built - began, fitted - built, peak, manifest.parameters["rows"], plan.stride)


def share(place: Path, rank: int, workers: int, ready: Barrier, peaks: Any) -> None:
    """What each process does."""
    worker = Worker(place, rank, workers)
    ready.wait()
    before = psutil.Process().memory_info().rss
    worker.work()
    peaks.put(peak_bytes() - before)


def newest(files: Iterable[Path]) -> float:
    """When the last of them was written, s."""
    return max(file.stat().st_mtime for file in files)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    said = Path("/proc/self/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024


# -- scoring -------------------------------------------------------------------------------------------------------


def measure_scoring(devices: int) -> None:
    rng = np.random.default_rng(1)
    learned, known = pumps(rng, LEARNED), pumps(rng, devices)
    parts = [known.take(slice(start, start + AT_ONCE)) for start in range(0, devices, AT_ONCE)]
    with threadpool_limits(1):
        model = learned_from(rng, learned)
        of_own_fold(model, parts[0])  # compiles the walk
        plain = devices / walked(model, learned, parts)
        one, two = (devices / scored(model, parts, threads) for threads in (1, 2))
        explained_s, forecast_s = explained_and_forecast(model, pumps(rng, EXPLAINED))
    told = {"devices": devices, "channels": CHANNELS, "trees": len(model.folds[0].roots)}
    report("devices scored, one thread", one, "devices/s", plain, "the scores alone, by scikit-learn", **told)
    report("devices scored, two threads", two, "devices/s", one, "one thread", **told)
    report("devices explained, one thread", EXPLAINED / explained_s, "devices/s", EXPLAINED / forecast_s, "their forecasts",
           folds=FOLDS, **(told | {"devices": EXPLAINED}))  # fmt: skip


def pumps(rng: np.random.Generator, count: int) -> Covariates:
    """Devices as they might be: each channel around a level of its own, and an age."""
    level = rng.normal(50.0, 5.0, (count, 1, 1, CHANNELS))
    change = rng.normal(0.0, 1.0, (count, len(SPANS), 1, CHANNELS))
    share = np.ones((count, len(SPANS), 1), np.float32)
    return Covariates(
        (level + change).astype(np.float32), share, rng.uniform(0, 1e4, (count, 1)).astype(np.float32)
    )


def lives(rng: np.random.Generator, known: Covariates) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What devices have left, which is the less the higher their channels are, and whether they failed then."""
    worn = known.trend[:, 0, 0].mean(axis=1) - 50.0
    left_h = HORIZON_H * np.exp(-worn + rng.normal(0.0, 0.5, len(worn)))
    return left_h, rng.random(len(worn)) < 0.5


def learned_from(rng: np.random.Generator, known: Covariates) -> SurvivalModel:
    """A model as a training run makes it, of one failure mode."""
    left_h, failed = lives(rng, known)
    norm = Norm.learned(known)
    x, target = design(known, norm, True), restricted(left_h, failed, HORIZON_H)
    fold = np.arange(len(x)) % FOLDS
    folds = tuple(fit(x[fold != k], target[fold != k], Boosting(), k) for k in range(FOLDS))
    scores = np.choose(fold, [trees.predict(x) for trees in folds])
    curves = Curves.learned(scores, left_h, failed, times_for(left_h, HORIZON_H))
    return SurvivalModel(
        norm, True, HORIZON_H, folds, (), curves, Likeness.learned(x), np.zeros(0, np.uint64)
    )


def of_own_fold(model: SurvivalModel, part: Covariates) -> Forecast:
    """As a live fleet is forecast, which the model was learned from: each device by the trees of its fold."""
    return model.by_folds(part, np.arange(part.rows) % FOLDS)


def scored(model: SurvivalModel, parts: Sequence[Covariates], threads: int) -> float:
    """Seconds to forecast all of them."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda part: of_own_fold(model, part).score_h.sum(), parts):
            pass
    return time.perf_counter() - began


def explained_and_forecast(model: SurvivalModel, new: Covariates) -> tuple[float, float]:
    """Seconds to tell what moved the scores of devices that the model was not learned from, and to forecast them."""
    ids = [f"new-{number}" for number in range(new.rows)]
    features = columns_of([f"channel-{number}" for number in range(CHANNELS)], with_age=True)
    explained(model, features, new.take(slice(0, 1)), ids[:1])  # compiles
    began = time.perf_counter()
    explained(model, features, new, ids)
    told = time.perf_counter()
    model.forecast(new, ids)
    return told - began, time.perf_counter() - told


def walked(model: SurvivalModel, learned: Covariates, parts: Sequence[Covariates]) -> float:
    """Seconds that scikit-learn takes to walk as many trees of its own for them."""
    how = Boosting()
    trees = HistGradientBoostingRegressor(
        max_iter=how.rounds, max_leaf_nodes=how.leaves, min_samples_leaf=how.leaf_rows, early_stopping=False
    )
    x = design(learned, model.norm, True)
    trees.fit(x, x[:, 0])
    part = design(parts[0], model.norm, True)
    began = time.perf_counter()
    trees.predict(part)
    return (time.perf_counter() - began) * sum(each.rows for each in parts) / len(part)


if __name__ == "__main__":
    main()
