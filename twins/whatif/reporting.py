"""An experiment on one page, to be read, kept and cited: what was asked, of which twins, what came of it, how surely.

The page is one HTML file that needs nothing else, no script and no network.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from twins.whatif import metrics, scenariofiles
from twins.whatif.intervals import Estimate
from twins.whatif.results import Comparison, Results, RunFolder
from twins.whatif.scenarios import Scenario

FILE: Final = "report.html"

UNITS: Final[Mapping[str, str]] = {
    "downtime_h": "h",
    "energy_kwh": "kW.h",
    "time_to_acknowledge_s": "s",
}
"""UCUM codes of metrics; the others are counts, shares, and money in whatever the types' costs are in."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b2330 }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: #566 }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #d5dbe3; text-align: right; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
pre { background: #f3f5f8; padding: 1rem; overflow-x: auto; font-size: .85rem; white-space: pre-wrap }
.note { color: #566 }
"""


def unit(metric: str) -> str:
    """UCUM code of a metric, ``1`` for what has none."""
    return UNITS.get(metric, "1")


def figure(value: float) -> str:
    """A number for people, to four digits; a dash for what is not known."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval(estimate: Estimate) -> str:
    """A figure with its bounds; a bound that there is none of is a dash."""
    return f"{figure(estimate.value)} ({figure(estimate.low)} … {figure(estimate.high)})"


def moment(at_us: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def citation(scenario: Scenario, manifest: Mapping[str, Any]) -> str:
    """What it takes to name an experiment so that it can be found and done again, in a few lines."""
    lineage = manifest.get("lineage", {})
    start = lineage.get("start", scenario.base.start)
    lines = [
        f"{scenario.title or scenario.name}. What-if experiment, Twinfold {manifest.get('twinfold', 'unknown')}.",
        f"Scenario {scenario.name}, SHA-256 {manifest['scenario_hash']}, seed {scenario.seed}.",
        f"Forked {moment(manifest['at_us'])} ({start}): {_counts(manifest['devices'])}.",
    ]
    for title, key in (("Types", "types"), ("Models", "models"), ("Data", "data")):
        said = {name: number for name, number in manifest.get(key, {}).items() if number is not None}
        if said:
            lines.append(f"{title}: " + ", ".join(f"{name} {number}" for name, number in said.items()) + ".")
    if lineage.get("cursors"):
        cursors = ", ".join(f"{host} {cursor}" for host, cursor in lineage["cursors"].items())
        lines.append(f"Journal cursors: {cursors}.")
    return "\n".join(lines)


def page(results: Results) -> str:
    """The experiment as HTML."""
    scenario, manifest = results.scenario, results.manifest
    compared = results.compared()
    title = scenario.title or scenario.name
    parts = [
        f"<h1>{escape(title)}</h1>",
        *([f"<p>{escape(scenario.description)}</p>"] if scenario.description else []),
        f"<p>{_asked(scenario, results.replications, manifest)}</p>",
        "<h2>Arms</h2>",
        _table("", ["arm", "what it is", "policy"], _arms(scenario)),
        "<h2>Figures</h2>",
        _table(
            f"Expected values, with intervals at {scenario.level:.0%}",
            ["metric", "unit", "better", *(arm.name for arm in scenario.arms)],
            _figures(scenario, compared),
        ),
        "<h2>Differences</h2>",
        _table(
            f"Each arm against {scenario.reference_arm}, replication by replication, at {scenario.level:.0%}",
            [
                "metric",
                "arm",
                "difference",
                "pairs",
                "better in",
                "likely better",
                "correlation",
                "variance ratio",
            ],
            _differences(scenario, compared),
        ),
        _READING,
        "<h2>Trust</h2>",
        f"<p>{escape(str(manifest.get('trust') or _NO_TRUST))}</p>",
        "<h2>Citation</h2>",
        f"<pre>{escape(citation(scenario, manifest))}</pre>",
        "<h2>Scenario</h2>",
        f"<pre>{escape(scenariofiles.to_yaml(scenario))}</pre>",
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


_READING: Final = (
    '<p class="note">Replication k of every arm shares its luck. The correlation says how much that helped: the variance '
    "ratio is the share of replications that were needed beside independent runs. <em>Better in</em> is the share of "
    "single futures, <em>likely better</em> the probability that the expected difference is on the better side.</p>"
)

_NO_TRUST: Final = (
    "No backtest belongs to this experiment, so nothing is known of how past forks of this fleet fared against what then "
    "happened."
)


def rows(results: Results) -> list[dict[str, Any]]:
    """A line a metric and arm, as JSON values; null where something is not known."""
    told = []
    for each in results.compared():
        against = each.against_reference
        difference = None if against is None else _bounds(against.difference)
        told.append(
            {
                "metric": each.metric,
                "unit": unit(each.metric),
                "arm": each.arm,
                **_bounds(each.value),
                "difference": difference,
                "share_better": None if against is None else _finite(against.share_better.value),
                "p_mean_better": None if against is None else _finite(against.p_mean_better),
                "correlation": None if against is None else _finite(against.correlation),
            }
        )
    return told


def texts(results: Results) -> list[dict[str, str]]:
    """The same for people."""
    told = []
    for each in results.compared():
        against = each.against_reference
        told.append(
            {
                "metric": each.metric,
                "arm": each.arm,
                "value": interval(each.value),
                "difference": "" if against is None else interval(against.difference),
                "better in": "" if against is None else _share(against.share_better.value),
                "likely better": "" if against is None else _share(against.p_mean_better),
            }
        )
    return told


def write(folder: RunFolder) -> Path:
    """The page of what is in a folder, put beside it."""
    path = folder.folder / FILE
    part = path.with_name(path.name + ".partial")
    part.write_text(page(folder.results()), encoding="utf-8")
    part.replace(path)
    return path


def _asked(scenario: Scenario, replications: int, manifest: Mapping[str, Any]) -> str:
    said = (
        f"{_counts(manifest.get('devices', {}))}, forked {moment(manifest['at_us'])}, were run forward "
        f"{figure(scenario.horizon_h)} h in steps of {figure(scenario.step_s)} s: {len(scenario.arms)} arms, "
        f"{replications} replications of each."
    )
    if scenario.base.devices:
        said += f" Devices: {scenario.base.devices}."
    return escape(said)


def _counts(devices: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in devices.items()) or "no devices"


def _arms(scenario: Scenario) -> Iterable[Sequence[str]]:
    for arm in scenario.arms:
        policy = ", ".join(
            f"{name} {value}" for name, value in scenariofiles.to_value(arm.policy).items() if name != "kind"
        )
        yield arm.name, arm.title, f"{arm.policy.kind}{f' ({policy})' if policy else ''}"


def _figures(scenario: Scenario, compared: Sequence[Comparison]) -> Iterable[Sequence[str]]:
    values = {(each.metric, each.arm): each.value for each in compared}
    for metric in metrics.names(scenario):
        of = [interval(values[metric, arm.name]) for arm in scenario.arms]
        yield metric, unit(metric), metrics.better(scenario, metric), *of


def _differences(scenario: Scenario, compared: Sequence[Comparison]) -> Iterable[Sequence[str]]:
    for each in compared:
        if (paired := each.against_reference) is None:
            continue
        yield (
            each.metric, each.arm, interval(paired.difference), str(paired.difference.n),
            _share(paired.share_better.value), _share(paired.p_mean_better), figure(paired.correlation),
            figure(paired.variance_ratio),
        )  # fmt: skip


def _bounds(of: Estimate) -> dict[str, Any]:
    return {"value": _finite(of.value), "low": _finite(of.low), "high": _finite(of.high), "n": of.n}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table>{said}<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
