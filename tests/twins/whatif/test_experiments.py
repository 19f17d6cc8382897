"""An experiment comes to the same whoever runs it, however often it is interrupted, and stops when it knows enough."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.twins.whatif.forked import SimulatedFleet, pumps, with_wear
from twins.whatif import metrics
from twins.whatif.errors import MetricError, RunFolderError, TooLargeError
from twins.whatif.experiments import Experiment, Local, Plan, Progress, Task, more_wanted
from twins.whatif.forks import Fork
from twins.whatif.outcomes import TABLES
from twins.whatif.results import RunFolder
from twins.whatif.scenarios import METRICS, Arm, Policy, Resources, Scenario, SqlMetric, Stopping

SCENARIO = Scenario(
    name="s",
    arms=(
        Arm("run-to-failure"),
        Arm("looked-after", policy=Policy("threshold", when="health < 80", review_h=1)),
    ),
    horizon_h=12.0,
    bucket_h=6.0,
    step_s=300.0,
    replications=4,
    seed=3,
    resources=Resources(crews=3, unplanned_delay_h=1.0),
    metrics=tuple(METRICS),
    keep=("work", "events", "devices"),
)


@pytest.fixture(scope="module")
def forked() -> Fork:
    return with_wear(SimulatedFleet(pumps(), count=4, wear=(0.0, 0.3)).fork, 0.9, 0.9999)


class Backwards:
    """Runs the last first."""

    def run(
        self, plan: Plan, tasks: Sequence[Task], check: Callable[[], None]
    ) -> Iterator[tuple[Task, dict[str, pa.Table]]]:
        return Local().run(plan, tasks[::-1], check)


class StoppedError(Exception):
    pass


def after(count: int) -> Callable[[Progress], None]:
    """Ends an experiment once that many replications are done."""

    def progress(now: Progress) -> None:
        if now.done >= count:
            raise StoppedError

    return progress


def test_results_do_not_depend_on_the_order_of_replications(forked: Fork) -> None:
    one, other = Experiment(SCENARIO, forked).run(), Experiment(SCENARIO, forked).run(runner=Backwards())
    assert dict(one.tables) == dict(other.tables)
    assert one.values() == other.values()


def test_an_interrupted_experiment_goes_on_where_it_was(forked: Fork, tmp_path: Path) -> None:
    whole = Experiment(SCENARIO, forked).run()
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        Experiment(SCENARIO, forked).run(out, progress=after(3))
    assert len(RunFolder(out).done()) == 3
    partial = RunFolder(out).results()
    assert partial.replications == 1
    assert len(partial.compared()) == 2 * len(METRICS)

    counted: list[int] = []
    folder = RunFolder(out)
    again = Experiment(folder.scenario(), folder.fork())
    results = again.run(out, progress=lambda now: counted.append(now.done))
    assert counted == [4, 5, 6, 7, 8]
    assert dict(results.tables) == dict(whole.tables)
    assert not (out / "parts").exists()
    assert again.run(out, progress=lambda now: counted.append(-1)).values() == whole.values()
    assert -1 not in counted


def test_a_torn_part_does_not_count(forked: Fork, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        Experiment(SCENARIO, forked).run(out, progress=after(1))
    (out / "parts" / "1-looked-after.partial").mkdir()
    assert RunFolder(out).done() == {("run-to-failure", 0)}


def test_a_folder_is_of_one_scenario(forked: Fork, tmp_path: Path) -> None:
    few = replace(SCENARIO, replications=1)
    Experiment(few, forked).run(tmp_path / "out")
    with pytest.raises(RunFolderError, match="another scenario"):
        Experiment(replace(few, seed=4), forked).run(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(RunFolderError, match="not empty"):
        Experiment(few, forked).run(tmp_path / "mine")
    with pytest.raises(RunFolderError, match="holds no experiment"):
        RunFolder(tmp_path / "nowhere").results()


def test_a_replication_runs_alone_to_the_same_bits(forked: Fork) -> None:
    experiment = Experiment(SCENARIO, forked)
    whole = experiment.run()
    device_id = forked.types["centrifugal-pump"].ids[0].as_py()
    alone = experiment.rerun("looked-after", 2, [device_id])
    for name in TABLES:
        table = whole.arrow(name)
        mine = table.filter(
            pc.and_(pc.equal(table["arm"], "looked-after"), pc.equal(table["replication"], 2))
        )  # fmt: skip
        assert mine.combine_chunks() == alone.tables[name].combine_chunks()
    assert alone.traces is not None
    assert set(alone.traces["device_id"].to_pylist()) == {device_id}


def test_compares_arms_pair_by_pair(forked: Fork) -> None:
    results = Experiment(SCENARIO, forked).run()
    compared = {(each.arm, each.metric): each for each in results.compared()}
    reference, other = compared["run-to-failure", "failures"], compared["looked-after", "failures"]
    assert reference.against_reference is None
    assert other.against_reference is not None
    assert other.against_reference.difference.value == pytest.approx(
        other.value.value - reference.value.value
    )
    assert other.against_reference.difference.n == 4
    planned = compared["looked-after", "planned"]
    assert planned.value.value > 0


def test_totals_are_those_of_the_tables(forked: Fork) -> None:
    results = Experiment(replace(SCENARIO, replications=2), forked).run()
    connection = results.duckdb()
    off = connection.execute(
        "SELECT count(*) FROM (SELECT arm, replication, sum(cost) AS paid FROM work GROUP BY ALL) w "
        "JOIN metrics m USING (arm, replication) WHERE m.metric = 'maintenance_cost' AND abs(m.value - w.paid) > 1e-6"
    ).fetchone()
    assert off == (0,)
    events = connection.execute(
        "SELECT count(*) FROM events WHERE kind IN ('alert.raised', 'alert.reraised')"
    ).fetchone()
    alerts = connection.execute("SELECT sum(value) FROM metrics WHERE metric = 'alerts'").fetchone()
    assert events == alerts
    shares = results.values().filter(pc.equal(results.values()["metric"], "availability"))
    assert all(0 <= each <= 1 for each in shares["value"].to_pylist())


def test_fans_tell_each_stretch_of_time(forked: Fork) -> None:
    fans = Experiment(SCENARIO, forked).run().fans("energy_kwh")
    start_h, fan = fans["run-to-failure"]
    assert start_h.tolist() == [0.0, 6.0]
    assert (fan.n == 4).all()
    assert (fan.median > 0).all()


def test_a_metric_may_be_sql(forked: Fork) -> None:
    few = replace(SCENARIO, replications=2)
    own = SqlMetric(
        "longest_h", "SELECT arm, replication, max(ends_h - begins_h) AS value FROM work GROUP BY ALL"
    )
    results = Experiment(replace(few, sql_metrics=(own,)), forked).run()
    assert "longest_h" in results.values()["metric"].to_pylist()
    for sql, problem in (
        ("SELECT 1 AS value", "no column arm, replication"),
        ("SELEKT", "syntax"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
    ):
        with pytest.raises(MetricError, match=problem):
            metrics.values(replace(few, sql_metrics=(SqlMetric("m", sql),)), results.tables)


def test_runs_until_the_difference_is_known_well_enough(forked: Fork) -> None:
    rule = Stopping(metric="energy_kwh", half_width=0.5, at_least=3, at_most=9)
    few = Experiment(replace(SCENARIO, stopping=rule), forked).run()
    assert few.replications == 3
    narrow = replace(rule, half_width=1e-9, relative=False)
    many = Experiment(replace(SCENARIO, stopping=narrow), forked).run()
    assert many.replications == 9
    assert more_wanted(replace(SCENARIO, stopping=narrow), many) == 0


def test_what_does_not_fit_is_refused_before_it_is_begun(forked: Fork, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="filter"):
        Experiment(SCENARIO, forked, memory_bytes=1000).run(tmp_path / "out")
    assert not (tmp_path / "out").exists()
