"""How well anomalies are found, on the development halves of SKAB and NAB, and how often none is there.

    python bench/detection.py --shared ../shared [--skab OUT] [--nab OUT]

Every file is one device, fed line by line through the kernel that scores live twins, with the defaults of all
types; only the baseline's length is declared, as the protocol of SKAB does. What came out is written as
``twinfold replay`` writes it and scored by the check script of the shared folder. ``--skab`` and ``--nab`` score
what a replay wrote instead. References are measured in the same run: the trivial detectors that a set has to be
better than. Change points follow SKAB's protocol: an onset within 60 s after a mark is a hit. The healthy fleet is
made here: noise, a daily cycle, weather, three load regimes; its baseline of 1000 readings spans several days.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import report
from cluster.compiled import use_kernel_cache

use_kernel_cache()

from twins import signals  # noqa: E402
from twins.compiling import kernel  # noqa: E402
from twins.devices import Channel, DeviceType, OperatingCondition  # noqa: E402
from twins.events import EVENT, PATTERNS, EventBuffer, Kind, Records, event_buffer  # noqa: E402

Floats = NDArray[np.float64]

SKAB_BASELINE = 400
HIT_S = 60
MONTH_S = 30 * 86400


@dataclass(frozen=True)
class Trace:
    """What one device's lines came to: the columns of ``readings.parquet``, and its events."""

    source_file: str
    t_us: NDArray[np.int64]
    anomaly_score: Floats
    anomalous: NDArray[np.bool_]
    health: Floats
    events: Records


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared", type=Path, required=True, help="folder that holds data/ and check/score.py"
    )
    parser.add_argument("--skab", type=Path, help="out folder of a replay of SKAB, to score instead")
    parser.add_argument("--nab", type=Path, help="out folder of a replay of NAB, to score instead")
    arguments = parser.parse_args()
    scorer = load_scorer(arguments.shared / "check" / "score.py")
    skab(scorer, arguments.shared / "data" / "skab", arguments.skab)
    nab(scorer, arguments.shared / "data" / "nab", arguments.nab)
    healthy_fleet()


def load_scorer(path: Path) -> ModuleType:
    """The check script, by its path."""
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# the two benchmarks


def skab(scorer: ModuleType, data: Path, replayed: Path | None) -> None:
    files = {
        path: pd.read_csv(path, sep=";", parse_dates=["datetime"]) for path in sorted(data.glob("*/*.csv"))
    }
    labelled = {path: table for path, table in files.items() if "anomaly" in table}
    traces = {
        path: run(
            str(path.relative_to(data)),
            microseconds(table["datetime"]),
            table.iloc[:, 1:9].to_numpy(),
            SKAB_BASELINE,
        )
        for path, table in files.items()
    }
    everything = [replace(traces[p], anomalous=np.ones(len(files[p]), bool)) for p in labelled]
    distance = [
        replace(traces[p], anomalous=plain_mahalanobis(files[p].iloc[:, 1:9].to_numpy())) for p in labelled
    ]
    trivial = scored(scorer.skab, everything, labelled, data)
    plain = scored(scorer.skab, distance, labelled, data)
    if replayed is None:
        ours = scored(scorer.skab, [traces[p] for p in labelled], labelled, data)
    else:
        with tempfile.TemporaryDirectory() as folder:
            ours = scorer.skab(replayed, linked(labelled, data, Path(folder)))
    report(
        "skab f1",
        ours["f1"],
        "1",
        trivial["f1"],
        "every row flagged",
        far=round(ours["far"], 4),
        mar=round(ours["mar"], 4),
    )
    report(
        "skab f1, plain distance",
        plain["f1"],
        "1",
        trivial["f1"],
        "every row flagged",
        far=round(plain["far"], 4),
    )
    report("skab false alarm rate", ours["far"], "1", plain["far"], "plain Mahalanobis distance of each row")
    change_points(traces, labelled)
    for path in files.keys() - labelled.keys():
        trace = traces[path]
        hours = (trace.t_us[-1] - trace.t_us[SKAB_BASELINE]) / 3.6e9
        onsets = int((trace.events["kind"] == Kind.ANOMALY_STARTED).sum())
        report(f"skab {path.stem}: onsets an hour", onsets / hours, "1/h", 1.0, "budget")


def change_points(traces: dict[Path, Trace], labelled: dict[Path, pd.DataFrame]) -> None:
    """Hits, misses and false alarms of onsets, and the NAB score with windows of 60 s after each mark."""
    hits = marks = false = 0
    score = best = 0.0
    for path, table in labelled.items():
        trace = traces[path]
        at = trace.events["at_us"][is_change(trace.events)]
        wanted = trace.t_us[np.flatnonzero(table["changepoint"].to_numpy() > 0.5)]
        free = set(at.tolist())
        for mark in wanted.tolist():
            inside = [t for t in sorted(free) if mark <= t <= mark + HIT_S * 1_000_000]
            free.difference_update(inside)
            hits += bool(inside)
            if inside:
                late = (inside[0] - mark) / (HIT_S * 1e6)
                score += sigmoid(late - 1.0) / sigmoid(-1.0)
            else:
                score -= 1.0
        marks += len(wanted)
        false += len(free)
        best += len(wanted)
        score -= 0.11 * len(free)
    report("skab change points found", hits / marks, "1", 0.0, "no detector", marks=marks, false_alarms=false)
    report("skab change points, nab standard", 100 * (score + best) / (2 * best), "1", 0.0, "no detector")


def is_change(events: Records) -> NDArray[np.bool_]:
    """Onsets and ends of anomalies, and onsets of shifts."""
    turned = np.isin(events["kind"], [Kind.ANOMALY_STARTED, Kind.ANOMALY_ENDED])
    shifted = (events["kind"] == Kind.PATTERN_STARTED) & (events["occurrence"] == PATTERNS.index("shift"))
    change: NDArray[np.bool_] = turned | shifted
    return change


def sigmoid(y: float) -> float:
    return float(2.0 / (1.0 + np.exp(5.0 * y)) - 1.0)


def nab(scorer: ModuleType, data: Path, replayed: Path | None) -> None:
    root = data / "data"
    files = {path: pd.read_csv(path, parse_dates=["timestamp"]) for path in sorted(root.glob("*/*.csv"))}
    traces, z_scores = [], []
    for path, table in files.items():
        values = table["value"].to_numpy(np.float64)
        trace = run(str(path.relative_to(root)), microseconds(table["timestamp"]), values[:, None], None)
        traces.append(trace)
        z_scores.append(replace(trace, anomaly_score=ewma_z(values)))
    reference = scored(scorer.nab, z_scores, {}, data)
    ours = scored(scorer.nab, traces, {}, data) if replayed is None else scorer.nab(replayed, data)
    report(
        "nab standard",
        ours["nab"],
        "1",
        reference["nab"],
        "EWMA z-score",
        threshold=round(ours["threshold"], 4),
    )


def scored(
    score: Callable[[Path, Path], dict[str, Any]],
    traces: list[Trace],
    only: dict[Path, pd.DataFrame],
    data: Path,
) -> dict[str, Any]:
    """Write traces as a replay would, and score them; on the files of ``only``, where there are any."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        rows = [
            pd.DataFrame(
                {
                    "source_file": trace.source_file,
                    "source_row": np.arange(len(trace.t_us)),
                    "health": trace.health,
                    "anomaly_score": trace.anomaly_score,
                    "anomalous": trace.anomalous,
                }
            )
            for trace in traces
        ]
        pd.concat(rows).to_parquet(out / "readings.parquet")
        return score(out, linked(only, data, out / "data") if only else data)


def linked(files: dict[Path, pd.DataFrame], data: Path, folder: Path) -> Path:
    """A folder with only these files of ``data``: the scorer takes all that it finds."""
    for path in files:
        target = folder / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path.resolve())
    return folder


# one device


def run(source_file: str, t_us: NDArray[np.int64], x: Floats, baseline: int | None) -> Trace:
    """Feed ``x`` (n, channels) through the kernel, one line at a time. Lines no newer than the last are left out."""
    channels = tuple(Channel(f"c{i}", "1", dtype="float64") for i in range(x.shape[1]))
    device_type = DeviceType("bench", 1, channels)
    if baseline is not None:
        device_type = replace(device_type, baseline_readings=baseline)
    params = signals.signal_params(device_type)
    state = signals.blank_signals(1, device_type)
    gaps = np.diff(t_us)
    n = len(t_us)
    score, anomalous, health = np.zeros(n), np.zeros(n, bool), np.full(n, np.nan)
    log = np.zeros(n * 8 + signals.MAX_EVENTS, EVENT)
    events = EventBuffer(log, np.zeros(1, np.int64))
    interval_us = int(np.median(gaps[gaps > 0]))
    feed(state, params, 0, t_us, np.ascontiguousarray(x), interval_us, events, score, anomalous, health)
    return Trace(source_file, t_us, score, anomalous, health, log[: events.used[0]])


@kernel
def feed(
    s: signals.SignalState,
    p: signals.SignalParams,
    r: int,
    t_us: NDArray[np.int64],
    x: Floats,
    interval_us: int,
    ev: EventBuffer,
    score: Floats,
    anomalous: NDArray[np.bool_],
    health: Floats,
) -> None:
    everything = np.uint64((1 << x.shape[1]) - 1)
    newest = t_us[0] - 1
    for i in range(len(t_us)):
        if t_us[i] > newest:
            newest = t_us[i]
            signals.observe(s, p, r, t_us[i], x[i], everything, interval_us, ev)
        score[i] = s.anomaly_score[r]
        anomalous[i] = s.anomalous[r] == 1
        health[i] = s.health[r]


def microseconds(times: "pd.Series[Any]") -> NDArray[np.int64]:
    return times.to_numpy().astype("datetime64[us]").astype(np.int64)


# the trivial detectors


def plain_mahalanobis(x: Floats) -> NDArray[np.bool_]:
    """Each row by itself: beyond the 99 % quantile of the baseline's own distances."""
    healthy = x[:SKAB_BASELINE]
    off = x - healthy.mean(axis=0)
    distance = np.einsum("ij,jk,ik->i", off, np.linalg.pinv(np.cov(healthy.T)), off)
    flagged: NDArray[np.bool_] = distance > np.quantile(distance[:SKAB_BASELINE], 0.99)
    return flagged


def ewma_z(x: Floats, span: float = 400.0, after: int = 150) -> Floats:
    """Distance from an exponential mean in exponential standard deviations."""
    frame = pd.Series(x)
    mean = frame.ewm(span=span).mean().shift(1)
    deviation = frame.ewm(span=span).std().shift(1)
    z = ((frame - mean) / (deviation + 1e-9)).abs().fillna(0.0).to_numpy(copy=True)
    z[:after] = 0.0
    clipped: Floats = np.minimum(z, 1e6)
    return clipped


# a healthy fleet


def healthy_fleet(devices: int = 40, interval_s: int = 300) -> None:
    """Anomalies and patterns a device and month where there are none."""
    channels = tuple(Channel(f"c{i}", "1", resolution=0.01) for i in range(7))
    device_type = DeviceType(
        "healthy",
        1,
        (*channels, Channel("load", "1", condition=True)),
        baseline_readings=1000,
        conditions=(OperatingCondition("load", (0.25, 0.75)),),
    )
    params = signals.signal_params(device_type)
    state = signals.blank_signals(devices, device_type)
    events = event_buffer(200_000)
    n = MONTH_S // interval_s
    t_us = np.arange(n, dtype=np.int64) * interval_s * 1_000_000
    score, anomalous, health = np.zeros(n), np.zeros(n, bool), np.zeros(n)
    for r in range(devices):
        x = healthy_device(np.random.default_rng(r), n, interval_s)
        feed(state, params, r, t_us, x, interval_s * 1_000_000, events, score, anomalous, health)
    kinds = events.items["kind"][: events.used[0]]
    onsets = int((kinds == Kind.ANOMALY_STARTED).sum())
    patterns = int((kinds == Kind.PATTERN_STARTED).sum())
    report(
        "healthy fleet: anomalies a device-month", onsets / devices, "1", 1.0, "budget", interval_s=interval_s
    )
    report(
        "healthy fleet: patterns a device-month",
        patterns / devices,
        "1",
        1.0,
        "budget",
        interval_s=interval_s,
    )


def healthy_device(rng: np.random.Generator, n: int, interval_s: int) -> Floats:
    """(n, 8): seven channels that answer to load, day and weather with noise that may be autocorrelated; load."""
    day = np.sin(2 * np.pi * np.arange(n) * interval_s / 86400 + rng.uniform(0, 6))
    memory = np.exp(-interval_s / (2 * 86400))
    ambient = day + 0.7 * autocorrelated(rng, n, memory)
    hours = rng.integers(1, 12, n * interval_s // 3600 + 1)
    load = np.repeat(rng.choice([0.0, 0.5, 1.0], len(hours)), hours * 3600 // interval_s)[:n]
    load = load + 0.02 * rng.standard_normal(n)
    columns = []
    for _ in range(7):
        noise = 3.0 * autocorrelated(rng, n, rng.choice([0.0, 0.5, 0.9]))
        columns.append(50 + 10 * rng.uniform(-3, 3) * load + 3 * rng.uniform(-1, 1) * ambient + noise)
    return np.column_stack([*(np.round(c, 2) for c in columns), load])


def autocorrelated(rng: np.random.Generator, n: int, memory: float) -> Floats:
    """Noise of unit variance whose neighbours correlate by ``memory``."""
    white = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    out = np.empty(n)
    last = rng.standard_normal()
    for i in range(n):
        last = memory * last + white[i]
        out[i] = last
    return out


if __name__ == "__main__":
    main()
