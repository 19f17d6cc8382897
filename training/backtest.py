"""How far to trust what-ifs: twins forked at past moments, run forward to what has happened since, and compared with it.

A fork of the past knows nothing that came later: readings up to its moment, maintenance recorded by then, models trained by
then. What people did in the meantime no run can know, so a device counts until the first work on it after the fork.

Quantities are hourly means of channels, the health score, and whether a device failed. Beside the score of the forecast
stands that of persistence: that everything stays as it was in the hour before the fork.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training import lifecycles
from training.errors import NothingToCompareError
from training.lab import Lab
from training.observing import observed
from training.rehearsal import drawn
from twins.clock import HOUR_US
from twins.whatif import verification
from twins.whatif.experiments import Plan
from twins.whatif.forks import Fork
from twins.whatif.outcomes import Outcome
from twins.whatif.presence import Estimated
from twins.whatif.replication import replicate
from twins.whatif.scenarios import Arm, Base, Operator, Policy, Scenario
from twins.whatif.tracing import Tracing

FOLDER: Final = "backtests"
"""Where a data folder has the newest scores of each type, beside what-ifs."""

FAILED: Final = "failed"
HEALTH: Final = "health"

SCORES: Final = pa.schema(
    [
        ("device_type", pa.string()),
        ("forked_at", pa.timestamp("us", "UTC")),
        ("horizon_h", pa.float64()),
        ("quantity", pa.string()),
        ("unit", pa.string()),
        ("devices", pa.int64()),
        ("coverage_50", pa.float64()),
        ("coverage_90", pa.float64()),
        ("crps", pa.float64()),
        ("persistence", pa.float64()),
        ("bias", pa.float64()),
    ]
)
"""One line a moment, horizon and quantity. ``crps``, ``persistence`` and ``bias`` in the quantity's unit, smaller is better;
of ``failed``, ``crps`` is the Brier score, ``persistence`` that of the share which failed, coverages are null."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared.

    Attributes
    ----------
    moments_us : of the forks, shard time
    horizons_h : how far after each
    devices : that are drawn, at most
    replications : of each run, at least 20 for coverage to mean something
    """

    device_type: str
    moments_us: tuple[int, ...]
    horizons_h: tuple[float, ...]
    devices: int = 200
    replications: int = 40
    step_s: float = 300.0
    seed: int = 1
    history_h: float = 168.0


def backtest(lab: Lab, question: Question, tell: Callable[[float], None] = lambda _: None) -> pa.Table:
    """Fork, run, compare; a table of schema ``SCORES``.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : a past is not there any more, or not yet.
    NothingToCompareError : no device of the type lived at any of the moments.
    """
    parts = []
    for number, at_us in enumerate(question.moments_us):
        parts += _at(lab, question, at_us)
        tell((number + 1) / len(question.moments_us))
    if not parts:
        raise NothingToCompareError(question.device_type)
    return pa.Table.from_pylist(parts, SCORES)


def keep(data: Path, scores: pa.Table) -> None:
    """Keep the scores of a type as the newest."""
    folder = data / "whatif" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (name,) = set(scores["device_type"].to_pylist())
    part = folder / f"{name}.parquet.part"
    pq.write_table(scores, part)
    part.replace(folder / f"{name}.parquet")


def kept(data: Path, device_type: str) -> pa.Table | None:
    """The newest scores of a type; None: it was never compared."""
    path = data / "whatif" / FOLDER / f"{device_type}.parquet"
    return pq.read_table(path, schema=SCORES) if path.exists() else None


def trust(data: Path, device_types: Sequence[str]) -> str | None:
    """How far what-ifs of some types have been right, in a sentence or two; None: nobody knows."""
    said = [_sentence(name, scores) for name in device_types if (scores := kept(data, name)) is not None]
    return " ".join(said) or None


def _sentence(name: str, scores: pa.Table) -> str:
    rows = [row for row in scores.to_pylist() if row["coverage_90"] is not None]
    cases = sum(row["devices"] for row in rows)
    if not cases:
        return f"{name}: nothing could be compared."
    held = sum(row["coverage_90"] * row["devices"] for row in rows) / cases
    longest = max(row["horizon_h"] for row in rows)
    better = sum(row["crps"] < row["persistence"] for row in rows)
    moments = len({row["forked_at"] for row in rows})
    forks = f"{moments} past moment" + ("s" if moments != 1 else "")
    return (
        f"{name}: forked at {forks} and run up to {longest:g} h, 90 % intervals held {held:.0%} of {cases:,} values; "
        f"better than persistence in {better} of {len(rows)} comparisons."
    )


def _at(lab: Lab, question: Question, at_us: int) -> list[dict[str, Any]]:
    """The comparisons of one moment."""
    whole = lab.forked(Base("past", at_us=at_us), question.step_s, question.seed)
    if question.device_type not in whole.types:
        return []
    mine = Fork(
        whole.at_us, {question.device_type: whole.types[question.device_type]}, whole.sites, whole.config,
        whole.climates, whole.lineage,
    )  # fmt: skip
    ids = drawn(mine.types[question.device_type].ids.to_pylist(), question.seed)[: question.devices]
    listed = ", ".join("'" + each.replace("'", "''") + "'" for each in ids)
    fork = mine.chosen(f"id in ({listed})")
    names = tuple(fork.types[question.device_type].ids.to_pylist())
    futures = _futures(lab, question, fork, names)
    found = []
    for horizon_h in question.horizons_h:
        found += _compared(lab, question, fork, names, futures, horizon_h)
    return found


def _futures(
    lab: Lab, question: Question, fork: Fork, names: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """By quantity: (devices, replications, hours) hourly means."""
    hours = int(np.ceil(max(question.horizons_h)))
    arm = Arm("as-is", policy=Policy("nothing"))
    scenario = Scenario(
        name="backtest", arms=(arm,), horizon_h=float(hours), bucket_h=float(hours), step_s=question.step_s,
        seed=question.seed, operator=Operator(present=False), keep=(),
    )  # fmt: skip
    present = Estimated(lab.estimates(fork, question.history_h))
    forecaster = lab.forecaster(before_us=fork.at_us)
    plan = Plan(scenario, fork, present, forecaster)
    runs: list[dict[str, NDArray[np.float64]]] = []
    for number in range(question.replications):
        lab.check()
        outcome = replicate(fork, scenario, arm, number, plan.present, tracing=Tracing(names))
        runs.append(_hourly(outcome, names, hours))
    return {name: np.stack([run[name] for run in runs], axis=1) for name in runs[0]}


def _hourly(outcome: Outcome, names: Sequence[str], hours: int) -> dict[str, NDArray[np.float64]]:
    """(devices, hours) means over each hour of every quantity."""
    assert outcome.traces is not None
    found: dict[str, NDArray[np.float64]] = {}
    table = outcome.traces
    steps = len(table) // (len(names) * len(set(table["quantity"].to_pylist()))) if len(table) else 0
    values = np.asarray(table["value"].fill_null(float("nan")).to_numpy()).reshape(len(names), -1, steps)
    order = table["quantity"].to_pylist()[: values.shape[1] * steps : steps]
    for k, quantity in enumerate(order):
        hourly = values[:, k].reshape(len(names), hours, -1)
        with np.errstate(invalid="ignore"):
            found[quantity] = hourly.mean(axis=2)
    modes = [name for name in order if name.startswith("wear.")]
    worst = np.stack([values[:, order.index(name)] for name in modes]).max(axis=0) if modes else None
    if worst is not None:
        found[FAILED] = (worst >= 1.0).reshape(len(names), hours, -1).max(axis=2).astype(np.float64)
    return {
        name: hourly for name, hourly in found.items() if not name.startswith("wear.") and name != "running"
    }


def _compared(
    lab: Lab, question: Question, fork: Fork, names: tuple[str, ...],
    futures: Mapping[str, NDArray[np.float64]], horizon_h: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """The comparisons at one horizon: with the hour that ends there."""
    of = fork.types[question.device_type].device_type
    hour = int(np.ceil(horizon_h)) - 1
    until_us = fork.at_us + (hour + 1) * HOUR_US
    failed, touched = _since(lab, of.name, names, fork.at_us, until_us)
    before = _means(lab, of, names, fork.at_us)
    after = _means(lab, of, names, until_us)
    untouched = ~touched
    said = {
        "device_type": of.name,
        "forked_at": datetime.fromtimestamp(fork.at_us / 1e6, UTC),
        "horizon_h": float(hour + 1),
    }
    found: list[dict[str, Any]] = []
    health_then, health_now = fork.types[of.name].table["health"], _health(lab, of.name, names, until_us)
    quantities = [
        (channel.name, channel.unit, before[:, c], after[:, c])
        for c, channel in enumerate(of.channels)
        if channel.kind == "gauge"
    ]
    then = np.asarray(health_then.cast(pa.float64()).fill_null(float("nan")).to_numpy())
    for name, unit, was, now in [*quantities, (HEALTH, "%", then, health_now)]:
        members = futures[name][:, :, hour]
        fit = untouched & np.isfinite(now) & np.isfinite(members).all(axis=1)
        if fit.any():
            found.append(
                {**said, "quantity": name, "unit": unit, **_scores(members[fit], now[fit], was[fit])}
            )
    if FAILED in futures:
        known = ~touched | failed
        probable, happened = futures[FAILED][:, :, hour].mean(axis=1)[known], failed[known].astype(np.float64)
        if len(happened):
            found.append(
                {**said, "quantity": FAILED, "unit": "1", "devices": len(happened), "coverage_50": None,
                 "coverage_90": None, "crps": float(np.mean((probable - happened) ** 2)),
                 "persistence": float(happened.mean() * (1 - happened.mean())),
                 "bias": float(np.mean(probable - happened))}
            )  # fmt: skip
    return found


def _scores(
    members: NDArray[np.float64], now: NDArray[np.float64], was: NDArray[np.float64]
) -> dict[str, Any]:
    known = np.isfinite(was)
    return {
        "devices": len(now),
        "coverage_50": verification.coverage(members, now, 0.5).value,
        "coverage_90": verification.coverage(members, now, 0.9).value,
        "crps": float(np.mean(verification.crps(members, now))),
        "persistence": float(np.mean(np.abs(was - now)[known])) if known.any() else None,
        "bias": verification.bias(members, now).value,
    }


def _means(lab: Lab, of: Any, names: Sequence[str], at_us: int) -> NDArray[np.float64]:
    """(devices, channels) means over the hour before a moment."""
    seen = observed(lab.history, of, names, at_us - 1, 1, whole_hours=False)
    return np.asarray(seen.mean[:, 0])


def _health(lab: Lab, device_type: str, names: Sequence[str], at_us: int) -> NDArray[np.float64]:
    place = {name: row for row, name in enumerate(names)}
    found = np.full(len(names), np.nan)
    for each in lab.history.past().shards(device_type, at_us, names):
        for row in range(len(each.shard)):
            found[place[each.shard.roster.index[row]]] = each.shard.state.signals.health[row]
    return found


def _since(
    lab: Lab, device_type: str, names: Sequence[str], from_us: int, until_us: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(devices,) which failed in a stretch of time, and to which anything was done or happened in it."""
    place = {name: row for row, name in enumerate(names)}
    failed, touched = np.zeros(len(names), np.bool_), np.zeros(len(names), np.bool_)
    for record in lifecycles.records(lab.history, device_type, until_us):
        row = place.get(record.device_id)
        if row is not None and from_us < record.at_us <= until_us and record.kind != "inspection":
            failed[row] |= record.kind == "failure" and not touched[row]
            touched[row] = True
    return failed, touched
