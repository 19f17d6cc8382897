"""A promotion report: what two versions would have raised, from the same readings, however the devices are cut."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.pump_models import made_up, manifest_of
from tests.twins.fleets import PUMP, T0
from tests.twins.test_prognosis import TYPE
from training import promotion
from training.errors import ModelNotFoundError, ModelUnfitError
from training.history import History
from training.jobs import Job, Run
from training.past import Past
from training.promotion import Candidacy, Versions, compared, ran, sampled
from training.promotion_jobs import request, work
from training.recorder import Recorder, journals_in
from training.registry import FOLDER, Registry
from training.scoring import Scorer
from twins.clock import HOUR_US, MINUTE_US, VirtualClock
from twins.devices import AlertRule, Device, DeviceType
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.readings import ReadingBatch
from twins.typefiles import load_catalog

SOON = AlertRule("soon", "rul_p50_h < 250", "high", "it fails", "repair it", on_delay_s=0.0, off_delay_s=0.0)
SHAKING = AlertRule("shaking", "vibration > 4", "low", "c", "r", on_delay_s=0.0, off_delay_s=0.0)
OF: DeviceType = replace(TYPE, rules=(SOON, SHAKING))
IDS = [f"pump-{number:02}" for number in range(12)]
STEP_US = 10 * MINUTE_US


class World:
    """Twelve pumps over eight hours, of which half begin to shake in the middle, and models of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        config = FleetConfig(hosts=2, twins_per_host=8, host=HostConfig(recorded=True))
        self.fleet = LocalFleet(folder / "hosts", config, self.clock)
        self.fleet.install(OF)
        self.fleet.register([Device(each, OF.name) for each in IDS])
        self.registry = Registry(folder / FOLDER, self.clock)
        self.scorer = Scorer(self.fleet, self.registry)

    def live(self, hours: float) -> None:
        for step in range(round(hours * 6)):
            self.clock.advance_to(T0 + (step + 1) * STEP_US)
            shakes = np.arange(len(IDS)) % 2 * (step > hours * 3) * 8.0
            values = np.column_stack([np.full(len(IDS), 50.0), 2.0 + shakes, np.full(len(IDS), 70.0)])
            at_us = np.full(len(IDS), self.clock.now_us())
            order = np.arange(len(IDS), dtype=np.int32)
            self.fleet.write(ReadingBatch(OF.name, pa.array(IDS), order, at_us, values.astype(np.float32)))
            if step % 6 == 5 and self.registry.champion(OF.name) is not None:
                self.scorer.rescore(OF.name, self.scorer.versions()[OF.name])

    def add(self, middle_h: float, seed: int = 0) -> int:
        return self.registry.add(
            manifest_of(OF), made_up(OF, seed, middle_h, moves_h=-160.0).arrays()
        ).version

    def past(self) -> Past:
        return Past(self.folder / "history", journals_in(self.folder / "hosts"))

    def candidacy(self, candidate: int, in_force: int | None, of: DeviceType = OF) -> Candidacy:
        return Candidacy(of, candidate, in_force, T0, self.clock.now_us())

    def close(self) -> None:
        self.fleet.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World(tmp_path_factory.mktemp("world"))) as world:
        world.add(300.0)
        world.registry.promote(OF.name, 1, "ann")
        world.live(8.0)
        world.add(60.0)
        world.add(300.0)
        yield world


def told(world: World, candidate: int, in_force: int | None = 1, **more: Any) -> dict[str, Any]:
    found = sampled(world.past(), world.registry, world.candidacy(candidate, in_force), IDS, 7, **more)
    comparison: dict[str, Any] = found["comparison"]
    assert (found["candidate"], found["in_force"], found["rules"]) == (candidate, in_force, ["soon"])
    assert [each["rule"] for each in comparison["rules"]] == ["soon"]
    return comparison


def test_the_version_in_force_against_itself_changes_nothing(world: World) -> None:
    assert told(world, 1)["differing"] == 0
    same = told(world, 3)
    assert (same["differing"], same["in_all"]["appeared"], same["devices"]) == (0, 0, 12)


def test_one_that_is_gloomier_makes_alerts_appear_and_the_other_way_round_they_vanish(world: World) -> None:
    gloomy = told(world, 2)
    assert gloomy["in_all"]["appeared"] > 0
    assert gloomy["in_all"]["before"] > gloomy["in_all"]["vanished"] == 0
    assert {each["rule"] for each in gloomy["examples"]} == {"soon"}
    hopeful = told(world, 1, in_force=2)
    assert hopeful["in_all"]["vanished"] == gloomy["in_all"]["appeared"]
    assert hopeful["differing"] == gloomy["differing"]


def test_against_no_forecast_at_all_every_alert_appears(world: World) -> None:
    alone = told(world, 2, in_force=None)
    assert (alone["in_all"]["before"], alone["in_all"]["appeared"]) == (0, alone["in_all"]["after"])
    assert alone["in_all"]["after"] > 0


def test_what_it_says_of_the_version_in_force_is_what_its_rounds_raised(world: World) -> None:
    """The rounds of the live fleet were at the same hours, but for the first, which the report has at its beginning."""
    with closing(Recorder(world.folder / "history", journals_in(world.folder / "hosts"))) as recorder:
        while recorder.step():
            pass
        recorder.flush()
    with History(world.folder / "history", journals_in(world.folder / "hosts")) as history:
        raised = history.query(
            "SELECT device_id, epoch_us(event_time) AS at_us FROM events WHERE type = 'alert.raised'"
            " AND json_extract_string(detail, '/rule') = 'soon' ORDER BY ALL"
        ).to_pylist()
    candidacy = world.candidacy(1, 1)
    found = ran(world.past(), Versions(world.registry, candidacy), candidacy, IDS)
    mine = sorted((pair.device_id, pair.before.raised_us) for pair in found.pairs if pair.before)
    assert [device for device, _ in mine] == [each["device_id"] for each in raised]
    assert 0 < len(mine) < len(IDS)
    for (_, at_us), each in zip(mine, raised, strict=True):
        assert abs(at_us - each["at_us"]) <= promotion.EVERY_US


def test_how_devices_are_cut_does_not_matter(world: World) -> None:
    candidacy = world.candidacy(2, 1)
    versions = Versions(world.registry, candidacy)

    def said(*parts: list[str]) -> Mapping[str, Any]:
        comparison = compared(candidacy, 40, 7)
        for part in parts:
            comparison.add(ran(world.past(), versions, candidacy, part))
        return comparison.as_json()

    whole = said(IDS)
    assert whole["in_all"]["rate"]["low"] is not None
    assert said(IDS[7:], IDS[:2], IDS[2:7]) == whole


def test_a_sample_has_an_interval_and_is_the_same_for_a_seed(world: World) -> None:
    some = told(world, 2, devices=6)
    assert (some["devices"], some["of_devices"]) == (6, 12)
    assert (
        some["in_all"]["rate"]["low"]
        <= some["in_all"]["rate"]["difference"]
        <= some["in_all"]["rate"]["high"]
    )
    assert told(world, 2, devices=6) == some


def test_a_job_runs_them_all_and_tells_how_far_it_is(world: World) -> None:
    heard: list[Any] = []
    asked = request(world.candidacy(2, 1), 7)
    job = Run(Job("promotion-1", "promotion", asked, "ann"), lambda *said: heard.append(said))
    found = work(lambda: world.fleet, world.past, world.registry, job)
    assert found["comparison"] == told(world, 2)
    assert heard[-1][:2] == (1.0, "12 of 12 devices")


def test_where_no_rule_asks_for_a_forecast_nothing_is_run(world: World) -> None:
    silent = world.candidacy(2, 1, replace(OF, rules=(SHAKING,)))
    found = sampled(world.past(), world.registry, silent, IDS, 7)
    assert (found["rules"], found["comparison"]) == ([], None)
    job = Run(Job("promotion-1", "promotion", request(silent, 7), "ann"), lambda *_: None)
    assert work(lambda: world.fleet, world.past, world.registry, job) == found


def test_the_shipped_pump_has_a_rule_to_report_on(tmp_path: Path) -> None:
    pump, clock, ids = load_catalog()["centrifugal-pump"], VirtualClock(T0), ["a", "b"]
    with LocalFleet(tmp_path / "hosts", FleetConfig(host=HostConfig(recorded=True)), clock) as fleet:
        fleet.install(pump)
        fleet.register([Device(each, pump.name) for each in ids])
        for step in range(1, 37):
            clock.advance_to(T0 + step * STEP_US)
            values = np.tile([2700.0, 180.0, 1.8, 6.5, 38.0, 1.4, 50.0, 48.0], (2, 1)).astype(np.float32)
            at_us = np.full(2, clock.now_us())
            fleet.write(ReadingBatch(pump.name, pa.array(ids), np.arange(2, dtype=np.int32), at_us, values))
    registry = Registry(tmp_path / FOLDER, clock)
    for middle_h in (900.0, 100.0):
        registry.add(manifest_of(pump), made_up(pump, 0, middle_h, moves_h=0.0).arrays())
    past = Past(tmp_path / "history", journals_in(tmp_path / "hosts"))
    found = sampled(past, registry, Candidacy(pump, 2, 1, T0, clock.now_us()), ids, 7)
    assert found["rules"] == ["failure-likely"]
    assert (found["comparison"]["in_all"]["before"], found["comparison"]["in_all"]["appeared"]) == (0, 2)
    first = found["comparison"]["examples"][0]["after"]["raised"]
    assert datetime.fromisoformat(first).timestamp() * 1e6 >= T0 + HOUR_US  # it has to hold for an hour


def test_a_version_that_is_not_there_or_does_not_fit_is_refused(world: World) -> None:
    with pytest.raises(ModelNotFoundError):
        told(world, 9)
    registry = Registry(world.folder / "others")
    registry.add(manifest_of(OF), {"weights": np.zeros(3)})
    with pytest.raises(ModelUnfitError, match="another kind"):
        Versions(registry, world.candidacy(1, None))
    narrow = replace(PUMP, channels=PUMP.channels[:2], rules=())
    registry.add(manifest_of(OF), made_up(narrow).arrays())
    with pytest.raises(ModelUnfitError, match="channels"):
        sampled(world.past(), registry, world.candidacy(2, None), IDS, 7)
