"""How good forecasts are on three sets that were not made for this: machines, work pieces and hard drives.

    python -m bench.field_sets [--sets azure ai4i hdfail] [--data-sets ../shared/data] [--seed 0]

Files are cut and joined here, as the mappings of the sets ask for it, and go through the public commands: import, train,
import what is to be judged, predict it. Only the development part of each set is read. Figures are of what was not learned
from: Azure PdM by time (learned before September, judged after; the machines are the same), AI4I later pieces, hdfail other
drives. Beside each stands what a forecast that knows no device comes to, and a plain model on the same columns.

A forecast for a past moment knows what was known then: ``predict --since`` takes twins as they were at each reading. The
plain models are fitted with scikit-learn's defaults to what each reading says, and where that has a meaning to means of the
last three and seven; for drives, each model's own Kaplan-Meier curve.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_recall_curve

from bench.commands import ROOT, twinfold
from bench.report import report
from training.evaluation import integrated_brier

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAPPINGS: Final = ROOT / "examples/mappings"
BEGINNING: Final = "1990-01-01T00:00:00Z"
DAY: Final = pd.Timedelta(days=1)
PRIOR: Final = "the share that fail: what any constant comes to"
PLAIN: Final = "plain gradient boosting on the same columns"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--data-sets", type=Path, default=Path("../shared/data"), help="folder of the sets")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.sets:
        folder, judge = SETS[name]
        if not (options.data_sets / folder).is_dir():
            print(f"{name} is left out: there is no {options.data_sets / folder}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="tf-") as place:
            judge(options.data_sets / folder, Path(place), options.seed)


# -- by the public commands ----------------------------------------------------------------------------------------


def learned(mapping: str, device_type: str, files: Path, data: Path, seed: int, *, live: bool = False) -> int:
    """The version of a model of what lies in a folder of files; without age, which none of the sets has."""
    imported(mapping, files, data, "--live" if live else "")
    said = twinfold(data, "train", device_type, "--seed", seed, "--without", "age")
    return int(said["model"])


def imported(mapping: str, files: Path, data: Path, *options: str) -> None:
    said = twinfold(
        data, "import", MAPPINGS / mapping, *sorted(files.iterdir()), *(each for each in options if each)
    )
    assert said["problem_count"] == 0, said["problems"]
    assert set(said["fates"]) == {"scored"}, said["fates"]


def predicted(
    data: Path, device_type: str, version: int, since: str = BEGINNING, within: Sequence[str] = ()
) -> pd.DataFrame:
    """What the model said at each reading; ``number`` ends the id of the device, which is without a time zone."""
    out = data.with_name("forecasts.parquet")
    spans = [word for span in within for word in ("--within", span)]
    twinfold(data, "predict", device_type, "--version", version, "--since", since, "--out", out, *spans)
    found: pd.DataFrame = pq.read_table(out).to_pandas()
    found["event_time"] = pd.to_datetime(found["event_time"], utc=True).dt.tz_localize(None)
    found["number"] = found["device_id"].str.rsplit("-", n=1).str[1].astype(int)
    return found


# -- Azure PdM: machines of four components ------------------------------------------------------------------------

MACHINES: Final = 70
SPLIT: Final = pd.Timestamp("2015-09-01")
JUDGED: Final = (pd.Timestamp("2015-09-05") + DAY, pd.Timestamp("2015-12-27") + DAY)
COMPONENTS: Final = ("comp1", "comp2", "comp3", "comp4")
CHANNELS: Final = (
    "volt", "rotate", "pressure", "vibration", "error1", "error2", "error3", "error4", "error5", *COMPONENTS, "model",
    "age",
)  # fmt: skip


def azure(source: Path, place: Path, seed: int) -> None:
    """Whether a component of a machine fails within three days, and within one, asked at the end of each day."""
    days, failures, repairs = machine_days(source)
    for name, part in (("before", lambda at: at <= SPLIT), ("after", lambda at: at > SPLIT)):
        written(
            place / name,
            machine_days=days[part(days["datetime"])],
            PdM_failures=failures[part(failures["datetime"])],
            PdM_maint=repairs[part(repairs["datetime"])],
        )
    data = place / "data"
    version = learned("azure-pdm.yaml", "pdm-machine", place / "before", data, seed, live=True)
    imported("azure-pdm.yaml", place / "after", data)
    told = predicted(data, "pdm-machine", version, within=["3d"])
    told = told.rename(columns={"event_time": "datetime", "number": "machineID"})
    any_mode = told[told["failure_mode"] == "any"]
    days = days.merge(any_mode, on=["datetime", "machineID"], how="left", validate="one_to_one")
    assert days["p_fail_3d"].notna().all(), "not every day of every machine has a forecast"
    scored = days["datetime"].between(*JUDGED)
    for hours, column in ((72, "p_fail_3d"), (24, "p_fail_24h")):
        truth = fails_within(days, failures, hours)
        past = days["datetime"] + pd.Timedelta(hours=hours) <= SPLIT
        plain = plain_risk(days, truth, past, seed)
        name = f"Azure PdM, a component fails within {hours} h"
        risk = Risk(truth[scored], days[column].to_numpy()[scored])
        constant = np.full(scored.sum(), truth[past].mean())
        figures(name, risk, Risk(risk.truth, plain[scored]), constant, sure=share_sure(days[scored]))
        bar = threshold_of(truth[past], days[column].to_numpy()[past])
        alerts(name, days[scored], risk.told >= bar, failures, hours)
    named(told, days[scored], failures)


def machine_days(source: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A row for each machine and day, dated when the day was over; failures; replacements of components."""
    tables = {
        name: pd.read_csv(source / f"PdM_{name}", parse_dates=[time])
        for name, time in (
            ("telemetry_daily.csv.gz", "date"), ("errors.csv", "datetime"), ("failures.csv", "datetime"),
            ("maint.csv", "datetime"),
        )
    }  # fmt: skip
    telemetry, errors, failures, repairs = (
        table[table["machineID"] <= MACHINES] for table in tables.values()
    )
    telemetry = telemetry[telemetry["date"] < "2016-01-01"]
    of_day = errors.groupby(["machineID", errors["datetime"].dt.normalize().rename("date")])["errorID"]
    counts = of_day.value_counts().unstack(fill_value=0).reset_index()
    days = telemetry.merge(counts, on=["machineID", "date"], how="left").merge(
        pd.read_csv(source / "PdM_machines.csv"), on="machineID"
    )
    days = days.rename(columns=lambda name: name.removesuffix("_mean"))
    days["datetime"] = days["date"] + DAY
    days = days.sort_values(["datetime", "machineID"]).fillna({f"error{number}": 0 for number in range(1, 6)})
    for component in COMPONENTS:
        done = repairs.loc[repairs["comp"] == component, ["machineID", "datetime"]].sort_values("datetime")
        done["since"] = done["datetime"]
        last = pd.merge_asof(days[["datetime", "machineID"]], done, on="datetime", by="machineID")
        days[component] = ((last["datetime"] - last["since"]) / DAY).round(2).to_numpy()
    return days[["machineID", "datetime", *CHANNELS]].reset_index(drop=True), failures, repairs


def fails_within(days: pd.DataFrame, failures: pd.DataFrame, hours: int) -> Flags:
    """(n,) whether a component of the machine fails within so many hours of the end of each day."""
    following = following_failure(days, failures)["failed_at"]
    return ((following - days["datetime"].to_numpy()) <= pd.Timedelta(hours=hours)).to_numpy()


def following_failure(days: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Of each day the next failure of its machine after it, in the order of the days."""
    order = failures.sort_values("datetime").assign(failed_at=lambda table: table["datetime"])
    asked = days[["datetime", "machineID"]].reset_index().sort_values("datetime")
    found = pd.merge_asof(
        asked, order, on="datetime", by="machineID", direction="forward", allow_exact_matches=False
    )
    return found.set_index("index").loc[days.index]


def plain_risk(days: pd.DataFrame, truth: Flags, past: "pd.Series[bool]", seed: int) -> Floats:
    """(n,) what a plain model says that was fitted to past days: their values, and means of the last three and seven."""
    values = days[[*CHANNELS[:9]]].groupby(days["machineID"])
    means = [
        values.rolling(span, min_periods=1).mean().droplevel(0).loc[days.index].add_suffix(f"_{span}")
        for span in (3, 7)
    ]
    model = days["model"].str.removeprefix("model").astype(int)
    x = pd.concat([days[[*CHANNELS]].assign(model=model), *means], axis=1).to_numpy(np.float64)
    fitted = HistGradientBoostingClassifier(random_state=seed).fit(x[past], truth[past])
    told: Floats = fitted.predict_proba(x)[:, 1]
    return told


def alerts(name: str, days: pd.DataFrame, raised: Flags, failures: pd.DataFrame, hours: int) -> None:
    """What comes of an alert on each day whose risk is over the bar: failures that one came before, and how long."""
    following = following_failure(days, failures)
    lead_h = (following["failed_at"] - days["datetime"].to_numpy()) / pd.Timedelta(hours=1)
    near = following.assign(lead_h=lead_h, raised=raised)[(lead_h <= hours).to_numpy()]
    of_failure = near.groupby(["machineID", "failed_at"])
    heard = of_failure["raised"].any()
    leads = near[near["raised"]].groupby(["machineID", "failed_at"])["lead_h"].max()
    chance = 1.0 - (1.0 - float(raised.mean())) ** (hours / 24)
    report(
        f"{name}: failures that an alert came before", float(heard.mean()), "1", chance,
        "alerts on as many days by chance", failures=len(heard), days_with_alert=int(raised.sum()),
        right_days=round(float((lead_h <= hours)[raised].mean()), 4), lead_h_median=float(leads.median()),
    )  # fmt: skip


def named(told: pd.DataFrame, days: pd.DataFrame, failures: pd.DataFrame) -> None:
    """How often the component that fails within a day is the one that is said to be likeliest."""
    by_mode = told[told["failure_mode"] != "any"].pivot(
        index=["datetime", "machineID"], columns="failure_mode", values="p_fail_3d"
    )
    near = days[fails_within(days, failures, 24)]
    likeliest = by_mode.idxmax(axis=1).loc[pd.MultiIndex.from_frame(near[["datetime", "machineID"]])]
    following = following_failure(near, failures)["failure"].to_numpy()
    report(
        "Azure PdM, the component that fails within a day is called the likeliest",
        float((likeliest.to_numpy() == following).mean()), "1",
        float(pd.Series(following).value_counts(normalize=True).max()), "the one that fails most often",
        days=len(near),
    )  # fmt: skip


# -- AI4I: work pieces ---------------------------------------------------------------------------------------------

PIECES: Final = 7000
FIRST_JUDGED: Final = 4901


def ai4i(source: Path, place: Path, seed: int) -> None:
    """Whether the machine fails at a work piece, from what is set and measured as it begins."""
    rows = pd.read_csv(source / "ai4i2020.csv").query("UDI <= @PIECES").set_index("UDI", drop=False)
    failed = rows["Machine failure"] == 1
    ends = pd.DataFrame(
        {
            "UDI": rows["UDI"],
            "at": rows["UDI"] + np.where(failed, 0.5, 1.0),
            "outcome": np.where(failed, "failed", "done"),
        }
    )
    judged = rows["UDI"] >= FIRST_JUDGED
    for name, part in (("fitted", ~judged), ("judged", judged)):
        written(place / name, ai4i2020=rows[part], outcomes=ends[part])
    data = place / "data"
    version = learned("ai4i-pieces.yaml", "work-piece", place / "fitted", data, seed)
    imported("ai4i-pieces.yaml", place / "judged", data)
    told = predicted(data, "work-piece", version).set_index("number").loc[rows.index]
    x = rows.iloc[:, 2:8].assign(Type=rows["Type"].map({"L": 0, "M": 1, "H": 2})).to_numpy(np.float64)
    plain = HistGradientBoostingClassifier(random_state=seed).fit(x[~judged], failed[~judged])
    truth, risk = failed.to_numpy(), told["p_fail_24h"].to_numpy()  # none lasts longer than a minute
    name, base = "AI4I, the machine fails at a work piece", np.full(judged.sum(), truth[~judged].mean())
    mine = Risk(truth[judged], risk[judged])
    figures(name, mine, Risk(mine.truth, plain.predict_proba(x[judged])[:, 1]), base,
            sure=share_sure(told[judged]))  # fmt: skip
    bar = threshold_of(truth[~judged], risk[~judged])
    always = 2.0 * mine.truth.mean() / (1.0 + mine.truth.mean())
    report(
        f"{name}: F1 at the best bar of the pieces learned from", f1_score(mine.truth, mine.told >= bar), "1", always,
        "calling every piece a failure", plain=round(f1_score(mine.truth, plain.predict(x[judged])), 4),
    )  # fmt: skip
    one_machine(name, rows, judged, place)


def one_machine(name: str, rows: pd.DataFrame, judged: "pd.Series[bool]", place: Path) -> None:
    """The same rows as one machine that goes on: what its twin finds unusual, learned from nothing but itself."""
    written(place / "whole", ai4i2020=rows)
    mapping, file = MAPPINGS / "ai4i.yaml", place / "whole" / "ai4i2020.csv"
    twinfold(None, "replay", mapping, file, "--out", place / "replayed")
    found = pq.read_table(place / "replayed" / "readings.parquet").to_pandas()
    truth = rows["Machine failure"].to_numpy()[judged]
    report(
        f"{name}: average precision of the anomaly score of one machine", precision_of(
            truth == 1, found["anomaly_score"].to_numpy()[judged]
        ), "1", float(truth.mean()), PRIOR,
    )  # fmt: skip


# -- hdfail: hard drives -------------------------------------------------------------------------------------------

YEAR_D: Final = 365
FAR_D: Final = 3 * YEAR_D
STEPS_D: Final = tuple(range(73, FAR_D + 1, 73))
FLAGS: Final = ("temp_c", "rsc", "rer", "psc")
OF_ALL: Final = "Kaplan-Meier of all"
BY_MODEL: Final = "each model's Kaplan-Meier curve"
FEWEST: Final = 20
"""Drives that are still watched where a share of failures is held against one that was told."""


def hdfail(source: Path, place: Path, seed: int) -> None:
    """How long drives last, from what they are; and from flags that look ahead, which is no forecast."""
    drives = pd.read_csv(source / "hdfail.csv.gz").query("pid % 10 < 7").reset_index(drop=True)
    fitted = drives["pid"] % 10 < 5
    for name, known in (
        ("brand and model", ()),
        ("flags of the end, too: no forecast", FLAGS),
    ):
        folder = place / name.split()[0]
        for part, mine in (("fitted", drives[fitted]), ("judged", drives[~fitted])):
            written(
                folder / part,
                drives=mine.assign(day=0)[["pid", "day", "brand", "model", *known]],
                ends=mine.assign(
                    day=mine["time_days"], outcome=np.where(mine["event"] == 1, "failed", "running")
                )[["pid", "day", "outcome"]],
            )
        data = folder / "data"
        version = learned("hdfail.yaml", "hard-drive", folder / "fitted", data, seed)
        imported("hdfail.yaml", folder / "judged", data)
        told = predicted(data, "hard-drive", version, within=[f"{day}d" for day in STEPS_D])
        mine = told.set_index("number").loc[drives.loc[~fitted, "pid"]]
        ours = 1.0 - mine[[f"p_fail_{day}d" for day in STEPS_D]].to_numpy()
        survival(f"hdfail by {name}", ours, drives[fitted], drives[~fitted], share_sure(mine))


def survival(name: str, ours: Floats, past: pd.DataFrame, judged: pd.DataFrame, sure: float) -> None:
    """Order and calibration of (n, STEPS_D) probabilities to last, beside one curve for all and one for each model."""
    constant = np.tile(lasting(past), (len(judged), 1))
    curves = {model: lasting(mine) for model, mine in past.groupby("model") if len(mine) >= FEWEST}
    by_model = np.stack([curves.get(model, constant[0]) for model in judged["model"]])
    days, failed = judged["time_days"].to_numpy(), judged["event"].to_numpy() == 1
    order = concordance(ours.sum(axis=1), days, failed)
    said = {"drives": len(judged), "failures": int(failed.sum()), "sure": sure}
    report(f"{name}: Harrell's C", order, "1", 0.5, "chance", **said)
    report(
        f"{name}: Harrell's C", order, "1", concordance(by_model.sum(axis=1), days, failed), BY_MODEL, **said
    )
    brier = {
        other: integrated_brier(
            np.column_stack([np.ones(len(days)), told]), np.array([0.0, *STEPS_D], np.float64), days, failed, FAR_D
        )
        for other, told in (("ours", ours), (OF_ALL, constant), (BY_MODEL, by_model))
    }  # fmt: skip
    for other in list(brier)[1:]:
        report(f"{name}: integrated Brier score to 3 years", brier["ours"], "1", brier[other], other)
    for years in (1, 2):
        gaps(f"{name}: calibration at {years} y", ours, constant, judged, years * YEAR_D)


def gaps(name: str, ours: Floats, constant: Floats, judged: pd.DataFrame, day: int) -> None:
    """How far the failures told of each model's drives are from those that came, on average over drives."""
    at = STEPS_D.index(day)
    found = {}
    for model, mine in judged.groupby("model"):
        if (mine["time_days"] >= day).sum() >= FEWEST:
            rows = judged.index.get_indexer(mine.index)
            seen = 1.0 - lasting(mine)[at]
            found[model] = (len(mine), 1.0 - ours[rows, at].mean(), 1.0 - constant[0, at], seen)
    count, told, base, seen = np.array(list(found.values())).T
    report(
        f"{name}: mean distance of failures told from those seen, by model",
        float(np.average(np.abs(told - seen), weights=count)), "1",
        float(np.average(np.abs(base - seen), weights=count)), OF_ALL,
        models={model: [int(n), round(p, 3), round(q, 3)] for model, (n, p, _, q) in found.items()},
    )  # fmt: skip


def lasting(drives: pd.DataFrame) -> Floats:
    """(STEPS_D,) Kaplan and Meier's estimate of the probability to last so many days."""
    days, failed = drives["time_days"].to_numpy(), drives["event"].to_numpy() == 1
    times = np.unique(days[failed])
    at_risk = np.array([(days >= each).sum() for each in times])
    deaths = np.array([(days[failed] == each).sum() for each in times])
    curve = np.concatenate([[1.0], np.cumprod(1.0 - deaths / at_risk)])
    found: Floats = curve[np.searchsorted(times, STEPS_D, "right")]
    return found


def concordance(told: Floats, days: Floats, failed: Flags) -> float:
    """Harrell's C: of two drives of which one is known to fail first, how often it was said to; ties count half."""
    good = total = 0.0
    for each in np.flatnonzero(failed):
        later = days > days[each]
        total += later.sum()
        good += (told[later] > told[each]).sum() + 0.5 * (told[later] == told[each]).sum()
    return good / total


# -- figures -------------------------------------------------------------------------------------------------------


class Risk(NamedTuple):
    """What was said would happen, and what did."""

    truth: Flags
    told: Floats


def figures(name: str, ours: Risk, plain: Risk, constant: Floats, sure: float) -> None:
    """Order, and how far the probabilities are from what happened; beside a constant and a plain model."""
    order, prior = precision_of(*ours), float(ours.truth.mean())
    said = {"moments": len(ours.truth), "true": int(ours.truth.sum()), "sure": sure}
    report(f"{name}: average precision", order, "1", prior, PRIOR, **said)
    report(f"{name}: average precision", order, "1", precision_of(*plain), PLAIN, **said)
    brier = brier_score_loss(*ours)
    report(
        f"{name}: Brier score", brier, "1", brier_score_loss(ours.truth, constant), "the share in the past"
    )
    report(f"{name}: Brier score", brier, "1", brier_score_loss(*plain), PLAIN)
    report(f"{name}: mean probability told", float(ours.told.mean()), "1", prior, "the share that did fail")


def precision_of(truth: Flags, told: Floats) -> float:
    return float(average_precision_score(truth, told))


def threshold_of(truth: Flags, told: Floats) -> float:
    """The risk from which on to call it, for the best F1."""
    precision, recall, bars = precision_recall_curve(truth, told)
    f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(bars[np.argmax(f1[:-1])])


def share_sure(told: pd.DataFrame) -> float:
    """Of which the model says that it can say something: devices like those learned from, heard six times."""
    return round(float(told["in_distribution"].astype(bool).mean()), 4)


def written(folder: Path, **tables: pd.DataFrame) -> None:
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)


SETS: Final[dict[str, tuple[str, Callable[[Path, Path, int], None]]]] = {
    "azure": ("azure_pdm", azure),
    "ai4i": ("ai4i2020", ai4i),
    "hdfail": ("backblaze_hdfail", hdfail),
}


if __name__ == "__main__":
    main()
