"""How far forecasts of remaining life are off on NASA's C-MAPSS sets, beside simple models and published figures.

    python -m bench.forecasts [--sets FD001 FD002] [--data-set ../shared/data/cmapss] [--seed 0] [--table]

Engines that ran to failure are imported, a model is trained with their age and one without, the engines that were cut off
are imported, and both models forecast them: all by the public commands, with the same settings for every set. Scored is the
mean of what is left when an engine was last heard, prediction and truth both capped at 125 flights: the root of the mean
square error (RMSE) and the score of the PHM08 challenge, which punishes late warnings more; both against the whole truth
too, and how many true lives lie inside the 5–95 % interval.

Beside it simple models, fitted in the same run to min(life left, 125) on the very columns and moments that the trees of the
model are fitted to. What was published says of itself how it was measured; whether it knew an engine's age is not told.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.commands import ROOT, twinfold
from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from training import features, lifecycles  # noqa: E402
from training.features import Landmarks, Window  # noqa: E402
from training.forecasts import ANY  # noqa: E402
from training.history import History  # noqa: E402
from training.recorder import journals_in  # noqa: E402
from training.registry import FOLDER as MODELS  # noqa: E402
from training.registry import Manifest, Registry  # noqa: E402
from training.survival import Norm, design  # noqa: E402
from training.training_runs import digest_of  # noqa: E402
from twins.covariates import Covariates, covariates  # noqa: E402

Floats = NDArray[np.float64]

TYPE: Final = "turbofan"
CAP: Final = 125.0
CONSTANT: Final = "a constant"
WITH_AGE: Final = {True: "with age", False: "without age"}

# Zheng et al., Long short-term memory network for remaining useful life estimation, ICPHM 2017
# Li, Ding, Sun, Remaining useful life estimation in prognostics using deep convolution neural networks, Reliability
#   Engineering & System Safety 172, 2018
# Fan et al., A two-stage attention-based hierarchical transformer for turbofan engine remaining useful life prediction,
#   Sensors 24(3) 824, 2024
PUBLISHED: Final[dict[str, dict[str, tuple[float, float | None]]]] = {
    "LSTM (Zheng et al. 2017)": {"FD001": (16.14, 338.0), "FD002": (24.49, 4450.0)},
    "convolutions (Li et al. 2018)": {"FD001": (12.61, 274.0), "FD002": (22.36, None)},
    "transformer (Fan et al. 2024)": {"FD001": (10.61, 169.0), "FD002": (13.47, 784.0)},
}
"""RMSE and score of each set; None: not at hand."""


class Score(NamedTuple):
    """Of the forecasts for one set's engines, in flights; None: there is no such figure."""

    rmse: float
    nasa: float | None
    rmse_uncapped: float | None = None
    nasa_uncapped: float | None = None
    covered: float | None = None


class Row(NamedTuple):
    """Who forecast, whether it knew the engines' age (None: it makes no difference, or is not told), how well."""

    name: str
    age: bool | None
    score: Score


class Cut(NamedTuple):
    """Engines that were cut off, by number, as they were when last heard."""

    known: Covariates
    truth: Floats


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=["FD001", "FD002"])
    parser.add_argument("--data-set", type=Path, default=Path("../shared/data/cmapss"), help="folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="a Markdown table in place of JSON lines")
    options = parser.parse_args()
    tables = []
    for name in options.sets:
        if missing := [path for path in files_of(options.data_set, name) if not path.is_file()]:
            print(f"{name} is left out: there is no {missing[0]}", file=sys.stderr)
            continue
        found = judged(name, files_of(options.data_set, name), options.seed)
        tables += table(name, found)
        if not options.table:
            tell(name, found)
    if options.table and tables:
        print("\n".join([*HEAD, *tables]))


def files_of(folder: Path, name: str) -> list[Path]:
    """Engines that ran to failure, engines that were cut off, and what those had left."""
    return [folder / f"{part}_{name}.txt.gz" for part in ("train", "test", "RUL")]


def judged(name: str, files: Sequence[Path], seed: int) -> list[Row]:
    """All forecasts for one set: of the platform, of simple models, and published."""
    whole, cut, truth = files
    with tempfile.TemporaryDirectory(prefix="tf-") as place:
        data = Path(place) / "data"
        twinfold(data, "import", ROOT / "examples/mappings/cmapss.yaml", whole.resolve())
        made = {age: trained(data, age, seed) for age in (True, False)}
        learned = landmarks(data, Registry(data / MODELS).get(TYPE, made[True]).manifest)
        twinfold(data, "import", ROOT / "examples/mappings/cmapss-test.yaml", cut.resolve())
        ends = cut_off(data, np.loadtxt(truth))
        ours = [Row("Twinfold", age, predicted(data, version, ends.truth)) for age, version in made.items()]
    published = [Row(by, None, Score(*sets[name])) for by, sets in PUBLISHED.items() if name in sets]
    return [*ours, *simple(learned, ends, seed), *published]


# -- the platform --------------------------------------------------------------------------------------------------


def trained(data: Path, with_age: bool, seed: int) -> int:
    """The number of a new version of the model."""
    said = twinfold(data, "train", TYPE, "--seed", seed, *([] if with_age else ["--without", "age"]))
    return int(said["model"])


def predicted(data: Path, version: int, truth: Floats) -> Score:
    """How good the forecasts of a version are for the engines that were cut off; the others have failed."""
    out = data.with_name(f"forecasts-{version}.parquet")
    twinfold(data, "predict", TYPE, "--version", version, "--out", out)
    rows = pq.read_table(out).filter(pc.field("failure_mode") == ANY)
    order = by_number(rows["device_id"].to_pylist(), len(truth))
    mean, low, high = (
        rows[f"rul_{which}_h"].to_numpy().astype(np.float64)[order] for which in ("mean", "p05", "p95")
    )
    low, high = (np.nan_to_num(each, nan=np.inf) for each in (low, high))  # none: beyond all known lives
    return scored(mean, truth, (low, high))


def history_of(data: Path) -> History:
    return History(data / "history", journals_in(data / "hosts"))


def landmarks(data: Path, manifest: Manifest) -> Landmarks:
    """What a model was trained on."""
    said = manifest.parameters
    with history_of(data) as history:
        ids = features.devices(history, TYPE)
        lives = lifecycles.read(history, TYPE, ids, (), manifest.trained_until_us)
        window = Window(TYPE, manifest.trained_until_us, said["stride"])
        found = features.landmarks(history.past(), window, lives, ids)
    assert found is not None
    assert digest_of(found) == said["holdout"], "these are not the moments that the model was trained on"
    return found


def cut_off(data: Path, truth: Floats) -> Cut:
    """The last moments of the engines that have not failed."""
    with history_of(data) as history:
        ids = [each for each in features.devices(history, TYPE) if each.startswith("test_")]
        places = history.past().shards(TYPE, time.time_ns() // 1000, ids)
    names = [place.shard.roster.columns()["device_id"].to_pylist() for place in places]
    known = [
        covariates(place.shard.state, np.arange(len(mine))) for place, mine in zip(places, names, strict=True)
    ]
    order = by_number([each for mine in names for each in mine], len(truth))
    return Cut(Covariates.joined(known).take(order), truth)


def by_number(ids: Sequence[str], engines: int) -> NDArray[np.int64]:
    """Where each engine is, from the first to the last: its number ends its id."""
    numbers = np.array([int(each.rsplit("-", 1)[1]) for each in ids])
    order = np.argsort(numbers)
    assert np.array_equal(numbers[order], np.arange(1, engines + 1)), "not every engine has one forecast"
    return order


# -- simple models -------------------------------------------------------------------------------------------------


def simple(learned: Landmarks, ends: Cut, seed: int) -> list[Row]:
    """Forecasts by models that anyone would try first."""
    norm = Norm.learned(learned.covariates)
    target = np.minimum(learned.remaining_h, CAP)
    found = []
    for age in (True, False):
        x, asked = (design(known, norm, age) for known in (learned.covariates, ends.known))
        models = {
            "ridge regression": make_pipeline(SimpleImputer(), StandardScaler(), Ridge()),
            "random forest": RandomForestRegressor(
                max_features=1 / 3, min_samples_leaf=10, n_jobs=-1, random_state=seed
            ),
            "plain gradient boosting": HistGradientBoostingRegressor(random_state=seed),
        }
        for name, model in models.items():
            found.append(Row(name, age, scored(model.fit(x, target).predict(asked), ends.truth)))
    constant = DummyRegressor().fit(target, target).predict(ends.truth)
    return [*found, Row(CONSTANT, None, scored(constant, ends.truth))]


# -- scores --------------------------------------------------------------------------------------------------------


def scored(told: Floats, truth: Floats, interval: tuple[Floats, Floats] | None = None) -> Score:
    """What forecasts for the engines came to, by the protocol of the set."""
    left = np.minimum(truth, CAP)
    off, off_uncapped = np.minimum(told, CAP) - left, told - truth
    covered = None
    if interval is not None:
        low, high = interval
        covered = float(np.mean((np.minimum(low, CAP) <= left) & (left <= np.maximum(high, 0.0))))
    return Score(rmse(off), nasa(off), rmse(off_uncapped), nasa(off_uncapped), covered)


def rmse(off: Floats) -> float:
    return float(np.sqrt(np.mean(off**2)))


def nasa(off: Floats) -> float:
    """Saxena et al., PHM 2008: a forecast that is too long costs more than one that is too short."""
    return float(np.where(off < 0.0, np.exp(-off / 13.0) - 1.0, np.exp(off / 10.0) - 1.0).sum())


# -- what is printed -----------------------------------------------------------------------------------------------


def tell(name: str, rows: Sequence[Row]) -> None:
    """The platform's error beside that of each other, and how its interval holds."""
    for ours in (row for row in rows if row.name == "Twinfold"):
        assert ours.age is not None
        said = f"{name} {WITH_AGE[ours.age]}"
        for other in rows:
            if other.name != ours.name and other.age in (None, ours.age):
                report(
                    f"{said}: RMSE capped at {CAP:g}", ours.score.rmse, "flights", other.score.rmse, other.name,
                    **figures("", ours.score), **figures("reference_", other.score),
                )  # fmt: skip
        assert ours.score.covered is not None
        report(f"{said}: true lives inside the interval of 90 %", ours.score.covered, "1", 0.9, "nominal")


def figures(prefix: str, score: Score) -> dict[str, float]:
    """What is told beside the RMSE."""
    found = {"nasa": score.nasa, "rmse_uncapped": score.rmse_uncapped, "nasa_uncapped": score.nasa_uncapped}
    return {prefix + name: round(value, 2) for name, value in found.items() if value is not None}


HEAD: Final = (
    "| set | forecast by | age | RMSE | score | RMSE, uncapped | score, uncapped | inside 5–95 % |",
    "|---|---|---|---|---|---|---|---|",
)


def table(name: str, rows: Sequence[Row]) -> list[str]:
    """The lines of a Markdown table under ``HEAD``."""
    return [
        "| "
        + " | ".join(
            [
                name, row.name, "–" if row.age is None else WITH_AGE[row.age], f"{row.score.rmse:.2f}",
                cell(row.score.nasa, ",.0f"), cell(row.score.rmse_uncapped, ".2f"),
                cell(row.score.nasa_uncapped, ",.0f"), cell(row.score.covered, ".1%"),
            ]
        )
        + " |"
        for row in rows
    ]  # fmt: skip


def cell(value: float | None, how: str) -> str:
    return "–" if value is None else format(value, how)


if __name__ == "__main__":
    main()
