"""Fleets as files: what they hold, and every mistake with its line."""

from pathlib import Path

import pytest

from twins.errors import FleetFileError
from twins.fleetfiles import Climate, Delivery, Injection, fleet_devices, load_fleet, parse_fleet
from twins.typefiles import load_catalog

TYPES = load_catalog()
EXAMPLES = Path(__file__).parents[2] / "examples" / "fleets"

GOOD = """\
name: two-sites
seed: 4
speedup: 10
repair_after_s: 60
sites:
  - {name: oslo, climate: {mean_c: 6}}
  - {name: porto}
devices:
  - type: gateway
    count: 2
    id: "{site}-gw-{n}"
  - type: centrifugal-pump
    count: 5
    id: "{site}-pump-{n:02}"
    title: "Pump {n}"
    parent: gateway
    labels: {line: "line {n}"}
    wear: [0.1, 0.5]
    worn: {share: 0.2}
injections:
  - {devices: "oslo-*", count: 2, mode: bearing-wear, damage: 0.3, speed: 100}
  - {channel: vibration, sensor: drift, size: 2, start_s: 60, duration_s: 600}
delivery: {missing: 0.1, late: 0.1}
"""


def test_a_file_becomes_a_fleet() -> None:
    fleet = parse_fleet(GOOD, TYPES)
    assert fleet.sites[0].climate == Climate(mean_c=6.0)
    assert fleet.groups[1].wear == (0.1, 0.5)
    assert fleet.groups[1].worn_share == 0.2
    assert fleet.injections == (
        Injection("oslo-*", count=2, mode="bearing-wear", damage=0.3, speed=100.0),
        Injection("*", start_s=60.0, duration_s=600.0, channel="vibration", sensor="drift", size=2.0),
    )
    assert fleet.delivery == Delivery(missing=0.1, late=0.1)
    assert fleet.repair_after_s == 60.0


def test_devices_hang_evenly_on_the_parents_of_their_site() -> None:
    devices = fleet_devices(parse_fleet(GOOD, TYPES))
    assert [device.id for device in devices[:5]] == [
        "oslo-gw-1", "oslo-gw-2", "porto-gw-1", "porto-gw-2", "oslo-pump-01",
    ]  # fmt: skip
    pumps = [device for device in devices if device.device_type == "centrifugal-pump"]
    assert [device.parent for device in pumps[:5]] == ["oslo-gw-1"] * 3 + ["oslo-gw-2"] * 2
    assert all(device.parent and device.parent.startswith(device.site) for device in pumps)
    assert (pumps[1].name, pumps[1].labels) == ("Pump 2", {"line": "line 2"})


MISTAKES = [
    ("type: gateway", "type: gatway", 9, "no device type 'gatway'", "gateway"),
    ("count: 5", "count: 0", 13, "count of group of centrifugal-pump is 0", "from 1"),
    ("count: 5", "count: 2.5", 13, "is 2.5", "whole number"),
    ("speedup: 10", "spedup: 10", 3, "unknown key 'spedup'", "did you mean 'speedup'"),
    ("parent: gateway", "parent: chiller", 16, "no earlier group of type 'chiller'", "parents before"),
    ('id: "{site}-gw-{n}"', 'id: "{site}-gw"', 11, "the same for every device", "use {n}"),
    ('id: "{site}-gw-{n}"', 'id: "gw-{n}"', 11, "the same at every site", "use {site}"),
    ('id: "{site}-gw-{n}"', 'id: "{site}-pump-{n:02}"', 14, "line 9 has devices of the same ids", "template"),
    ('id: "{site}-gw-{n}"', 'id: "{site.__class__}-{n}"', 11, "cannot be filled in", "use {site}"),
    ('id: "{site}-gw-{n}"', 'id: "{site}-{m}"', 11, "cannot be filled in", "use {site}"),
    ("wear: [0.1, 0.5]", "wear: [0.5, 0.1]", 18, "is not a span of wear", "0 (new) to 1"),
    ("wear: [0.1, 0.5]", "wear: [0.5]", 18, "has 1 numbers", "give 2"),
    ("mode: bearing-wear", "mode: bearing-ware", 21, "no failure mode 'bearing-ware'", "bearing-wear"),
    (
        "mode: bearing-wear",
        "mode: bearing-wear, channel: flow, sensor: stuck",
        21,
        "not one of",
        "give a mode",
    ),
    ("channel: vibration", "channel: vibrations", 22, "no channel 'vibrations'", "one of"),
    ("sensor: drift", "sensor: drifts", 22, "'drifts'", "did you mean 'drift'"),
    ("missing: 0.1", "missing: 0.95", 23, "more than all lines", "at most 1"),
    ("  - {name: porto}", "  - {name: oslo}", 7, "'oslo' exists already, in line 6", "its own name"),
]


@pytest.mark.parametrize(("old", "new", "line", "problem", "remedy"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_remedy(
    old: str, new: str, line: int, problem: str, remedy: str
) -> None:
    assert old in GOOD
    with pytest.raises(FleetFileError) as raised:
        parse_fleet(GOOD.replace(old, new, 1), TYPES, "fleet.yaml")
    said = str(raised.value)
    found = [text for text in said.splitlines() if text.startswith(f"fleet.yaml:{line}: ")]
    assert any(problem in text and remedy in text for text in found), said


def test_the_demo_has_ten_thousand_devices_on_five_sites() -> None:
    fleet = load_fleet(EXAMPLES / "demo.yaml", TYPES)
    devices = fleet_devices(fleet)
    assert len(devices) == 10_000
    assert {device.site for device in devices} == {"oslo", "porto", "gdansk", "cork", "lyon"}
    gateways = {device.id for device in devices if device.device_type == "gateway"}
    assert all(device.parent in gateways for device in devices if device.id not in gateways)


def test_the_plant_has_ten_pumps() -> None:
    devices = fleet_devices(load_fleet(EXAMPLES / "plant.yaml", TYPES))
    assert [device.id for device in devices] == [f"pump-{n}" for n in range(1, 11)]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError, match="cannot be read"):
        load_fleet(tmp_path / "none.yaml", TYPES)
