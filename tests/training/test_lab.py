"""What experiments run is what the fleet was, and what is behind it is estimated from nothing that came later."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.training.pump_world import PUMP, STEP_S, World
from training import backtest
from training.backtest import Question
from training.errors import NothingToCompareError
from training.history import History
from training.lab import Lab
from training.observing import observed
from twins.clock import HOUR_US
from twins.whatif.estimation import REASONS
from twins.whatif.forks import Fork
from twins.whatif.presence import Estimated
from twins.whatif.scenarios import Arm, Base, Scenario


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World(tmp_path_factory.mktemp("world"))) as found:
        yield found


def alike(one: Fork, other: Fork) -> bool:
    return (one.at_us, one.sites, one.config, one.types.keys()) == (
        other.at_us, other.sites, other.config, other.types.keys()
    ) and all(
        mine.device_type == theirs.device_type
        and mine.table.equals(theirs.table)
        and all(array.tobytes() == theirs.arrays[key].tobytes() for key, array in mine.arrays.items())
        for mine, theirs in zip(one.types.values(), other.types.values(), strict=True)
    )  # fmt: skip


def test_a_fork_of_the_past_is_what_a_live_one_was_then(world: World) -> None:
    again = world.lab.forked(Base("past", at_us=world.middle.at_us), STEP_S, 0)
    assert alike(again, world.middle)
    assert again.lineage["start"] == "past"


def test_a_live_fork_is_of_now(world: World) -> None:
    fork = world.lab.forked(Base(), STEP_S, 0)
    assert fork.at_us == world.clock.now_us()
    assert len(fork) == len(world.ids)


def test_hours_are_summed_up_as_one_would_by_hand(world: World) -> None:
    end_us = world.clock.now_us()
    seen = observed(world.history, PUMP, [world.ids[3], "nobody", world.ids[1]], end_us, 24)
    assert np.isnan(seen.mean[1]).all()
    table = world.history.query(
        "SELECT epoch_us(event_time) AS at, vibration FROM readings_centrifugal_pump WHERE device_id = $id",
        {"id": world.ids[3]},
    )
    at, value = table["at"].to_numpy(), table["vibration"].to_numpy().astype(np.float64)
    c = PUMP.channel_index("vibration")
    for k in range(24):
        inside = (at >= seen.start_us + k * HOUR_US) & (at < seen.start_us + (k + 1) * HOUR_US)
        assert seen.count[0, k, c] == inside.sum()
        if inside.sum() > 1:
            assert seen.mean[0, k, c] == pytest.approx(value[inside].mean())
            assert seen.sd[0, k, c] == pytest.approx(value[inside].std(ddof=1), rel=1e-6)


def test_estimates_are_nearer_to_the_truth_than_chance(world: World) -> None:
    fork = world.lab.forked(Base(), STEP_S, 0)
    estimate = world.lab.estimates(fork, 72.0)[PUMP.name]
    truth = np.array([list(world.simulator.damage(device_id).values()) for device_id in world.ids])
    low, high = estimate.wear(0.01), estimate.wear(0.99)
    assert ((low >= 0) & (high <= 1)).all()
    assert (estimate.reason == REASONS.index("")).mean() > 0.5
    worn = truth.max(axis=1)
    middle = estimate.wear(0.5).max(axis=1)
    assert np.corrcoef(worn, middle)[0, 1] > 0.4


def test_an_experiment_runs_with_uncertainty_of_what_is_behind(world: World) -> None:
    scenario = Scenario(
        name="s", arms=(Arm("as-is"),), horizon_h=6.0, bucket_h=6.0, step_s=STEP_S, replications=4
    )
    experiment = world.lab.experiment(scenario)
    forked = experiment.fork.types[PUMP.name]
    one, other = experiment.present(forked, 1, 0), experiment.present(forked, 1, 1)
    assert (one.wear != other.wear).any()
    assert (experiment.present(forked, 1, 0).wear == one.wear).all()
    results = experiment.run()
    assert results.replications == 4
    assert experiment.manifest["types"] == {PUMP.name: PUMP.version}
    assert experiment.manifest["data"]["readings_centrifugal_pump"] >= 0


def test_a_backtest_compares_with_what_happened(world: World, tmp_path: Path) -> None:
    question = Question(
        PUMP.name, (world.middle_us,), (1.0, 12.0), devices=10, replications=20, step_s=STEP_S, history_h=48
    )
    scores = backtest.backtest(world.lab, question)
    rows = {(each["horizon_h"], each["quantity"]): each for each in scores.to_pylist()}
    assert set(scores["horizon_h"].to_pylist()) == {1.0, 12.0}
    assert rows[12.0, "vibration"]["unit"] == "mm/s"
    assert rows[12.0, "failed"]["coverage_90"] is None
    channels = scores.filter(pc.is_valid(scores["coverage_90"]))
    assert 0.6 <= pc.mean(channels["coverage_90"]).as_py() <= 1.0
    assert (np.array(channels["crps"].to_pylist()) >= 0).all()
    assert backtest.trust(tmp_path, [PUMP.name]) is None
    backtest.keep(tmp_path, scores)
    assert backtest.kept(tmp_path, PUMP.name) == scores
    assert "90 % intervals held" in (backtest.trust(tmp_path, [PUMP.name]) or "")


def test_a_backtest_knows_nothing_that_came_later(world: World, tmp_path: Path) -> None:
    """The futures of a fork of the past are the same, whatever history holds beyond it."""
    fork = world.lab.forked(Base("past", at_us=world.middle_us), STEP_S, 0)
    then = world.lab.estimates(fork, 48.0)[PUMP.name]
    cut = Lab(world.folder, _Cut(world.history, world.middle_us), None, world.clock)  # type: ignore[arg-type]  # as much of a history as is asked
    again = cut.estimates(fork, 48.0)[PUMP.name]
    for one, other in zip(then, again, strict=True):
        np.testing.assert_array_equal(one, other)


class _Cut:
    """A history that ends at a moment."""

    def __init__(self, history: History, until_us: int) -> None:
        self._history, self._until_us = history, until_us

    def tables(self) -> dict[str, object]:
        return dict(self._history.tables())

    def query(self, sql: str, *arguments: object, **named: object) -> object:
        for name in ("readings_centrifugal_pump", "events"):
            sql = sql.replace(
                f"FROM {name}", f"FROM (SELECT * FROM {name} WHERE epoch_us(event_time) <= {self._until_us})"
            )
        return self._history.query(sql, *arguments, **named)  # type: ignore[arg-type]  # handed on as they came


def test_nothing_to_compare_says_so(world: World) -> None:
    with pytest.raises(NothingToCompareError, match="choose later"):
        backtest.backtest(world.lab, Question("gearbox", (world.middle_us,), (1.0,)))


def test_work_that_was_recorded_counts(world: World) -> None:
    records = world.fleet.read_twin(world.ids[0])
    assert records["life_cycle"] == 1


def test_what_is_not_known_makes_no_steps(world: World) -> None:
    """Of devices of which readings say too little, channels go on from where they are."""
    fork = world.lab.forked(Base(), STEP_S, 0)
    estimates = {name: each._replace(reason=np.full_like(each.reason, 2)) for name, each in
                 world.lab.estimates(fork, 1.0).items()}  # fmt: skip
    forked = fork.types[PUMP.name]
    newest = forked.arrays["core.last_value"]
    for number in range(3):
        state = Estimated(estimates)(forked, 1, number)
        np.testing.assert_allclose(state.lagged + state.offset, newest, rtol=1e-6)
