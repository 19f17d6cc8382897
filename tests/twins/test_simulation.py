"""Simulated fleets: the same readings however time and lines are cut, and a ground truth that is true."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from twins.fleetfiles import Delivery, DeviceGroup, FleetSpec, Injection, Site
from twins.packing import PackingError
from twins.readings import ReadingBatch, all_present
from twins.simulation import TRUTH, Simulator, TruthWriter
from twins.typefiles import load_catalog

TYPES = load_catalog()
START_US = 1_780_000_000_000_000
SECOND_US = 1_000_000

PUMPS = DeviceGroup("centrifugal-pump", 40, ("oslo", "porto"), id="{site}-pump-{n}", wear=(0.0, 0.4))
METERS = DeviceGroup("power-meter", 30, ("oslo",), id="meter-{n}", interval_s=2.0)
FLEET = FleetSpec("test", (Site("oslo"), Site("porto")), (PUMPS, METERS), seed=3, repair_after_s=30.0)


def simulated(fleet: FleetSpec = FLEET, chunk_lines: int = 20_000) -> Simulator:
    return Simulator(fleet, TYPES, start_us=START_US, chunk_lines=chunk_lines)


def readings(batches: Iterable[ReadingBatch]) -> dict[tuple[str, int], list[bytes]]:
    """Every line under its device and event time, in the order of arrival."""
    lines: dict[tuple[str, int], list[bytes]] = {}
    for batch in batches:
        ids = batch.ids.to_pylist()
        channels = batch.values.shape[1]
        present = batch.present
        for i in range(len(batch)):
            mask = all_present(channels) if present is None else present[i]
            line = batch.values[i].tobytes() + mask.tobytes()
            lines.setdefault((ids[batch.index[i]], int(batch.event_us[i])), []).append(line)
    return lines


def column(batches: Iterable[ReadingBatch], device: str, channel: int) -> np.ndarray:
    """(event time, value) of one channel of one device, in the order of arrival, where it was sent."""
    found = []
    for batch in batches:
        ids = batch.ids.to_pylist()
        for i in range(len(batch)):
            sent = batch.present is None or int(batch.present[i]) >> channel & 1
            if ids[batch.index[i]] == device and sent:
                found.append((int(batch.event_us[i]), float(batch.values[i, channel])))
    return np.array(found)


def test_each_device_reports_once_an_interval() -> None:
    lines = readings(simulated().advance(START_US + 60 * SECOND_US - 1))
    assert all(len(copies) == 1 for copies in lines.values())
    times: dict[str, list[int]] = {}
    for device, at_us in lines:
        times.setdefault(device, []).append(at_us)
    assert len(times) == 110
    for device, found in times.items():
        gaps = set(np.diff(sorted(found)).tolist())
        assert gaps == {2 * SECOND_US if device.startswith("meter") else 5 * SECOND_US}
        assert len(found) == (30 if device.startswith("meter") else 12)


def test_readings_are_in_range_of_the_types_dtype_and_reuse_the_ids() -> None:
    seen: dict[str, set[int]] = {}
    for batch in simulated().advance(START_US + 20 * SECOND_US):
        device_type = TYPES[batch.device_type]
        assert batch.values.dtype == device_type.dtype
        for i, channel in enumerate(device_type.channels):
            assert (batch.values[:, i] >= channel.low).all()
            assert (batch.values[:, i] <= channel.high).all()
        seen.setdefault(batch.device_type, set()).add(id(batch.ids))
    assert all(len(objects) == 1 for objects in seen.values())


@pytest.mark.parametrize("lossy", [False, True])
def test_the_same_bits_however_time_and_lines_are_cut(lossy: bool) -> None:
    delivery = Delivery(missing=0.1, missing_channel=0.1, late=0.1, late_s=7.0, duplicate=0.1)
    fleet = replace(
        FLEET,
        delivery=delivery if lossy else Delivery(),
        speedup=2e6,
        injections=(Injection("*", count=3, channel="flow", sensor="noise", size=3.0),),
    )
    whole, cut = simulated(fleet), simulated(fleet, chunk_lines=7)
    expected = readings(whole.advance(START_US + 90 * SECOND_US))
    batches: list[ReadingBatch] = []
    for seconds in (0, 0.5, 11, 11, 12, 60, 90):
        batches += cut.advance(START_US + round(seconds * SECOND_US))
    assert readings(batches) == expected
    assert cut.take_truth().equals(whole.take_truth())
    assert cut.take_maintenance() == whole.take_maintenance()


def test_another_seed_gives_other_readings() -> None:
    one = readings(simulated().advance(START_US))
    other = readings(Simulator(FLEET, TYPES, start_us=START_US, seed=4).advance(START_US))
    assert one.keys() == other.keys()
    assert not set(map(tuple, one.values())) & set(map(tuple, other.values()))


def test_a_device_reports_the_same_in_a_larger_fleet() -> None:
    larger = replace(FLEET, groups=(replace(PUMPS, count=70), METERS))
    small = readings(simulated().advance(START_US + 30 * SECOND_US))
    large = readings(simulated(larger).advance(START_US + 30 * SECOND_US))
    shared = small.keys() & large.keys()
    assert shared
    assert all(small[key] == large[key] for key in shared)


def test_a_hurried_failure_mode_fails_is_told_and_repaired() -> None:
    hurry = Injection("oslo-pump-7", start_s=20, mode="bearing-wear", damage=0.5, speed=3e7)
    pumps = simulated(replace(FLEET, injections=(hurry,)))
    vibration = TYPES["centrifugal-pump"].channel_index("vibration")
    found = column(pumps.advance(START_US + 120 * SECOND_US), "oslo-pump-7", vibration)
    failure, repair = pumps.take_maintenance()
    assert (failure.device_id, failure.kind, failure.failure_mode) == (
        "oslo-pump-7",
        "failure",
        "bearing-wear",
    )
    assert (repair.kind, repair.action) == ("replacement", "replace-bearings")
    assert failure.at_us is not None
    assert repair.at_us == failure.at_us + 30 * SECOND_US
    assert failure.command_id != repair.command_id
    ill = found[(found[:, 0] >= failure.at_us) & (found[:, 0] < repair.at_us), 1]
    well = found[found[:, 0] < START_US + 20 * SECOND_US, 1]
    after = found[found[:, 0] > repair.at_us, 1]
    assert ill.min() > 5 > max(well.max(), after.max())
    truth = pumps.take_truth()
    assert truth.schema == TRUTH
    of_it = truth.filter(np.array(truth["device_id"]) == "oslo-pump-7").to_pylist()
    what = [line["what"] for line in of_it if line["what"] != "damage"]
    assert what == ["fault_started", "failed", "repaired"]
    failed = next(line for line in of_it if line["what"] == "failed")
    assert failed["name"] == "bearing-wear"
    assert round(failed["at"].timestamp() * 1e6) == failure.at_us
    assert pumps.damage("oslo-pump-7")["bearing-wear"] < 0.01


def test_a_fleet_without_repairs_lets_the_failed_stand_still() -> None:
    hurry = Injection("oslo-pump-7", mode="bearing-wear", damage=1.0)
    pumps = simulated(replace(FLEET, injections=(hurry,), repair_after_s=None))
    power = TYPES["centrifugal-pump"].channel_index("power")
    found = column(pumps.advance(START_US + 60 * SECOND_US), "oslo-pump-7", power)
    assert [command.kind for command in pumps.take_maintenance()] == ["failure"]
    assert found[-1, 1] < 16 < found[0, 1]
    pumps.maintain("oslo-pump-7", "replace-bearings", START_US + 60 * SECOND_US)
    found = column(pumps.advance(START_US + 120 * SECOND_US), "oslo-pump-7", power)
    assert found[-1, 1] > 16


def test_a_partial_repair_leaves_damage() -> None:
    pumps = simulated(replace(FLEET, injections=(Injection("oslo-pump-7", mode="bearing-wear", damage=0.6),)))
    list(pumps.advance(START_US + 5 * SECOND_US))
    before = pumps.damage("oslo-pump-7")
    pumps.maintain("oslo-pump-7", "regrease-bearings", START_US + 5 * SECOND_US)
    after = pumps.damage("oslo-pump-7")
    assert after["bearing-wear"] == pytest.approx(before["bearing-wear"] * 0.85)
    assert after["seal-leak"] == pytest.approx(before["seal-leak"])


SENSORS = {
    "stuck": lambda faulty, plain: np.ptp(faulty) == 0.0,
    "drift": lambda faulty, plain: np.allclose(np.diff(faulty - plain), 36.0 * 5 / 3600, atol=1e-3),
    "shift": lambda faulty, plain: np.allclose(faulty - plain, 36.0, atol=1e-3),
    "spike": lambda faulty, plain: set(np.round(faulty - plain).tolist()) == {-36.0, 0.0, 36.0},
    "noise": lambda faulty, plain: abs(np.std(faulty - plain) - 36.0) < 4.0,
}


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_sensor_fails_in_its_way_and_only_for_its_time(sensor: str) -> None:
    fault = Injection(
        "oslo-pump-7",
        channel="flow",
        sensor=sensor,
        size=36.0,
        start_s=100,
        duration_s=2900,  # type: ignore[arg-type]
    )
    flow, until_us = TYPES["centrifugal-pump"].channel_index("flow"), START_US + 3600 * SECOND_US
    fleet = replace(FLEET, groups=(replace(PUMPS, count=8, sites=("oslo",)),))
    plain = column(simulated(fleet).advance(until_us), "oslo-pump-7", flow)
    broken = simulated(replace(fleet, injections=(fault,)))
    faulty = column(broken.advance(until_us), "oslo-pump-7", flow)
    during = (plain[:, 0] >= START_US + 100 * SECOND_US) & (plain[:, 0] < START_US + 3000 * SECOND_US)
    assert SENSORS[sensor](faulty[during, 1], plain[during, 1])
    assert (faulty[~during] == plain[~during]).all()
    truth = [line for line in broken.take_truth().to_pylist() if line["channel"] == "flow"]
    assert [(line["what"], line["name"], line["value"]) for line in truth] == [
        ("fault_started", sensor, 36.0), ("fault_ended", sensor, 36.0),
    ]  # fmt: skip


def test_a_dropout_sends_nothing_for_its_channel_alone() -> None:
    fault = Injection("oslo-pump-7", channel="flow", sensor="dropout", start_s=10, duration_s=20)
    batches = list(simulated(replace(FLEET, injections=(fault,))).advance(START_US + 60 * SECOND_US))
    flow, power = (TYPES["centrifugal-pump"].channel_index(name) for name in ("flow", "power"))
    assert len(column(batches, "oslo-pump-7", power)) - len(column(batches, "oslo-pump-7", flow)) == 4


def test_injections_hit_as_many_as_they_say_one_after_the_other() -> None:
    fault = Injection("*-pump-*", count=5, start_s=10, every_s=10, channel="flow", sensor="shift", size=1.0)
    fleet = simulated(replace(FLEET, injections=(fault,)))
    list(fleet.advance(START_US + 100 * SECOND_US))
    started = [line for line in fleet.take_truth().to_pylist() if line["what"] == "fault_started"]
    assert len({line["device_id"] for line in started}) == 5
    assert [round(line["at"].timestamp() - START_US / 1e6) for line in started] == [10, 20, 30, 40, 50]


def test_the_network_loses_delays_and_repeats_as_often_as_it_should() -> None:
    delivery = Delivery(missing=0.1, missing_channel=0.2, late=0.05, late_s=30.0, duplicate=0.02)
    fleet = replace(FLEET, groups=(replace(PUMPS, count=400, sites=("oslo",)),), delivery=delivery)
    sent = 400 * 60
    batches = list(simulated(fleet).advance(START_US + 330 * SECOND_US))
    lines = {key: copies for key, copies in readings(batches).items() if key[1] < START_US + 300 * SECOND_US}
    assert len(lines) / sent == pytest.approx(0.9, abs=0.01)
    assert sum(len(copies) == 2 for copies in lines.values()) / sent == pytest.approx(0.02, abs=0.004)
    assert all(len(set(copies)) == 1 for copies in lines.values()), "a second copy is the same line"
    newest: dict[str, int] = {}
    behind = 0
    lacking = total = 0
    for batch in batches:
        ids = batch.ids.to_pylist()
        assert batch.present is not None
        absent = np.array([[int(mask) >> c & 1 == 0 for c in range(8)] for mask in batch.present])
        assert (np.isnan(batch.values) == absent).all(), "what is not present is NaN"
        lacking, total = lacking + int(absent.any(axis=1).sum()), total + len(batch)
        for i, at_us in zip(batch.index, batch.event_us.tolist(), strict=True):
            behind += at_us < newest.get(ids[i], 0)
            newest[ids[i]] = max(at_us, newest.get(ids[i], 0))
    assert behind / sent == pytest.approx(0.07, abs=0.015)
    assert lacking / total == pytest.approx(0.2, abs=0.02)


def test_damage_grows_faster_with_speedup_and_not_at_all_without_wear() -> None:
    def worst(speedup: float) -> float:
        fleet = simulated(replace(FLEET, speedup=speedup))
        list(fleet.advance(START_US + 60 * SECOND_US))
        return sum(sum(fleet.damage(device.id).values()) for device in fleet.devices)

    still, real, fast = worst(0.0), worst(1.0), worst(1e5)
    assert still < real < fast
    assert still == pytest.approx(real, rel=1e-3)


def test_a_worn_share_starts_near_its_end() -> None:
    fleet = replace(FLEET, groups=(replace(PUMPS, count=500, worn_share=0.1, wear=(0.0, 0.1)),))
    pumps = simulated(fleet)
    damaged = [max(pumps.damage(device.id).values()) for device in pumps.devices]
    assert np.mean(np.array(damaged) > 0.35) == pytest.approx(0.1, abs=0.03)


def test_damage_is_noted_when_it_moves() -> None:
    fleet = simulated(replace(FLEET, truth_every_s=10.0, speedup=1e6, repair_after_s=None))
    list(fleet.advance(START_US + 200 * SECOND_US))
    damage = [line for line in fleet.take_truth().to_pylist() if line["what"] == "damage"]
    of_one: dict[tuple[str, str], list[float]] = {}
    for line in damage:
        of_one.setdefault((line["device_id"], line["name"]), []).append(line["value"])
    assert max(map(len, of_one.values())) > 3
    for values in of_one.values():
        assert (np.diff(values) >= 0.0099).all()
    for (device, mode), values in of_one.items():
        assert values[-1] == pytest.approx(fleet.damage(device)[mode], abs=0.06)


def test_goes_on_where_a_snapshot_was_taken() -> None:
    fault = Injection("*", count=9, start_s=20, duration_s=60, channel="flow", sensor="stuck")
    hurry = Injection("oslo-pump-7", start_s=30, mode="bearing-wear", damage=0.5, speed=3e7)
    fleet = replace(FLEET, injections=(fault, hurry))
    through, again = simulated(fleet), Simulator(fleet, TYPES, start_us=START_US + 50 * SECOND_US)
    list(through.advance(START_US + 50 * SECOND_US))
    through.take_truth(), through.take_maintenance()
    block = through.snapshot()
    again.restore(bytes(block))
    expected = readings(through.advance(START_US + 150 * SECOND_US))
    assert readings(again.advance(START_US + 150 * SECOND_US)) == expected
    assert again.take_truth().equals(through.take_truth())
    assert again.take_maintenance() == through.take_maintenance()


def test_time_that_nobody_saw_is_left_out() -> None:
    fleet = simulated()
    before = readings(fleet.advance(START_US + 9 * SECOND_US))
    fleet.skip_to(START_US + 3600 * SECOND_US)
    after = readings(fleet.advance(START_US + 3604 * SECOND_US))
    assert min(at_us for _, at_us in after) == START_US + 3600 * SECOND_US
    assert {device for device, _ in after} == {device for device, _ in before}
    step_us = {device: 2 if device.startswith("meter") else 5 for device, _ in before}
    phase = {device: at_us // SECOND_US % step_us[device] for device, at_us in before}
    assert all(at_us // SECOND_US % step_us[device] == phase[device] for device, at_us in after)


def test_a_snapshot_of_another_fleet_is_refused() -> None:
    block = simulated().snapshot()
    with pytest.raises(ValueError, match="another fleet"):
        simulated(replace(FLEET, groups=(replace(PUMPS, count=39), METERS))).restore(block)
    with pytest.raises(ValueError, match="another fleet"):
        Simulator(FLEET, TYPES, start_us=START_US, seed=9).restore(block)
    simulated(replace(FLEET, speedup=2.0)).restore(block)
    block[-1] ^= 1
    with pytest.raises(PackingError):
        simulated().restore(block)


def test_two_devices_of_one_id_are_refused() -> None:
    twice = replace(FLEET, groups=(PUMPS, replace(PUMPS, count=3)))
    with pytest.raises(ValueError, match="same id"):
        simulated(twice)


def test_next_us_says_when_to_come_back() -> None:
    fleet = simulated()
    assert fleet.next_us() == START_US
    list(fleet.advance(START_US))
    assert fleet.next_us() == START_US + 1 * SECOND_US


def test_ground_truth_appears_as_a_whole_file(tmp_path: Path) -> None:
    fleet = simulated(replace(FLEET, speedup=1e6))
    path = tmp_path / "truth.parquet"
    writer = TruthWriter(path)
    tables = []
    for seconds in (10, 700, 1300):
        list(fleet.advance(START_US + seconds * SECOND_US))
        tables.append(fleet.take_truth())
        writer.write(tables[-1])
        assert not path.exists()
    writer.close()
    assert pq.read_table(path).num_rows == sum(map(len, tables)) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["truth.parquet"]
