"""Mappings of sets that are no part of this: they take made-up rows of the same shape for what they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from training import lifecycles
from training.history import History
from training.importing import Summary, import_files
from training.lifecycles import LifeCycles
from training.mappings import load
from twins.covariates import covariates
from twins.fleet import LocalFleet

MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def imported(folder: Path, mapping: str, **tables: str) -> tuple[Summary, LifeCycles]:
    """What an import of some files came to, and the lives that history then tells of."""
    files = []
    for name, text in tables.items():
        files.append(folder / f"{name}.csv")
        files[-1].write_text(text)
    known = load(MAPPINGS / mapping)
    summary = import_files(known, files, folder / "data", live=True)
    modes = [mode.name for mode in known.device_type.failure_modes]
    with History(folder / "data" / "history") as history:
        name = known.device_type.name
        ids = history.query("SELECT DISTINCT device_id FROM devices")["device_id"].to_pylist()
        return summary, lifecycles.read(history, name, ids, modes, 1 << 60)


def lives_of(found: LifeCycles, device: str) -> list[tuple[bool, str | None]]:
    """Of each life whether it failed, and why."""
    mine = found.device == found.ids.index(device)
    named: Sequence[str | None] = [*found.modes, None]
    return [(bool(f), named[c]) for f, c in zip(found.failed[mine], found.cause[mine], strict=True)]


def test_a_machine_lives_from_one_new_component_to_the_next(tmp_path: Path) -> None:
    days = "machineID,datetime,volt,rotate,pressure,vibration,error1,error2,error3,error4,error5,"
    days += "comp1,comp2,comp3,comp4,model,age\n"
    for day in range(2, 9):
        for machine in (1, 2):
            days += f"{machine},2015-01-0{day} 00:00:00,17{day}.5,450,100,40,{day % 2},0,0,0,0,{day},9,9,,model3,18\n"
    summary, lives = imported(
        tmp_path, "azure-pdm.yaml", machine_days=days,
        PdM_failures="datetime,machineID,failure\n2015-01-05 06:00:00,1,comp4\n",
        PdM_maint="datetime,machineID,comp\n2014-06-01 06:00:00,1,comp2\n2015-01-05 06:00:00,1,comp4\n"
        "2015-01-03 06:00:00,2,comp1\n2015-02-01 06:00:00,2,comp1\n",
    )  # fmt: skip
    assert (summary.fates, summary.problem_count, summary.records) == ({"scored": 14}, 0, 6)
    assert lives.ids == ("machine-1", "machine-2")
    first = lives_of(lives, "machine-1")
    assert [each for each in first if each[0]] == [(True, "comp4")]
    assert first[-1] == (False, None)
    assert [failed for failed, _ in lives_of(lives, "machine-2")] == [False, False, False]
    with LocalFleet(tmp_path / "data" / "hosts") as fleet:
        (host,) = fleet.shard_hosts()
        shard = host.shard("pdm-machine")
        known = covariates(shard.state, [shard.row_of(each) for each in lives.ids])
    assert known.trend[:, 0, 0, 0] == pytest.approx([177.5, 176.5], abs=0.3)  # of the days since


def test_a_piece_ends_within_its_minute_or_after_it(tmp_path: Path) -> None:
    head = (
        "UDI,Product ID,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
    )
    head += "Tool wear [min],Machine failure,TWF,HDF,PWF,OSF,RNF\n"
    summary, lives = imported(
        tmp_path, "ai4i-pieces.yaml",
        ai4i2020=head + "1,M1,M,298.1,308.6,1551,42.8,0,0,0,0,0,0,0\n2,L2,L,298.2,308.7,1408,46.3,3,1,0,0,1,0,0\n",
        outcomes="UDI,at,outcome\n1,2.0,done\n2,2.5,failed\n",
    )  # fmt: skip
    assert (summary.fates, summary.problem_count) == ({"scored": 2}, 0)
    assert lives_of(lives, "piece-1") == [(False, None), (False, None)]
    assert lives_of(lives, "piece-2") == [(True, None)]
    origin_us = load(MAPPINGS / "ai4i-pieces.yaml").time.origin_us
    assert lives.end_us[lives.failed].tolist() == [origin_us + 150_000_000]


@pytest.mark.parametrize("flags", [False, True])
def test_a_drive_is_followed_to_its_end(tmp_path: Path, flags: bool) -> None:
    more = (",temp_c,rsc,rer,psc", ",29.0,0,1,0") if flags else ("", "")
    summary, lives = imported(
        tmp_path, "hdfail.yaml",
        drives=f"pid,day,brand,model{more[0]}\n7,0,ST,ST4000DM000{more[1]}\n8,0,WDC,WDC{more[1]}\n",
        ends="pid,day,outcome\n7,172.5,running\n8,30.25,failed\n",
    )  # fmt: skip
    assert (summary.fates, summary.problem_count) == ({"scored": 2}, 0)
    origin_us = load(MAPPINGS / "hdfail.yaml").time.origin_us
    ends = dict(
        zip(
            lives.ids,
            [(lives.end_us[lives.device == k][0] - origin_us) / DAY_US for k in range(2)],
            strict=True,
        )
    )
    assert ends == {"drive-7": 172.5, "drive-8": 30.25}
    assert lives_of(lives, "drive-7") == [(False, None), (False, None)]
    assert lives_of(lives, "drive-8") == [(True, None)]
