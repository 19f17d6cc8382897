"""What a twin says is expected of its channels."""

from typing import Any

import numpy as np
import pytest

from tests.twins.fleets import PUMP, T0, Line, batch_of, pumps
from twins.clock import SECOND_US, VirtualClock
from twins.fleet import FleetConfig, LocalFleet

LOW, HIGH = 20.0, 80.0
"""Loads on either side of the edge between the pump's two regimes."""


class Watched:
    """One pump that vibrates around 2 at low and around 4 at high load, with a deviation of 0.2."""

    def __init__(self) -> None:
        self.clock = VirtualClock(T0)
        self.fleet = LocalFleet(None, FleetConfig(hosts=1), self.clock)
        self.fleet.install(PUMP)
        self.fleet.register(pumps(1))
        self.rng = np.random.default_rng(7)
        self.at_us = T0

    def run(self, load: float, seconds: int) -> dict[str, Any]:
        """Let it run for a while; its values then."""
        level = 2.0 if load == LOW else 4.0
        lines = []
        for _ in range(seconds):
            self.at_us += SECOND_US
            values = (load, level + self.rng.normal(0, 0.2), 60.0 + self.rng.normal(0, 1.0))
            lines.append(Line(self.at_us, "pump-0", self.at_us, values, 0b111))
        self.clock.advance_to(self.at_us)
        self.fleet.write(batch_of(lines), now_us=self.at_us)
        values_now: dict[str, Any] = self.fleet.read_twin("pump-0")["values"]
        return values_now


def test_nothing_is_expected_before_the_baseline_stands() -> None:
    values = Watched().run(LOW, 10)
    assert [each["expected"] for each in values.values()] == [None, None, None]


def test_what_is_expected_is_two_deviations_about_the_mean() -> None:
    values = Watched().run(LOW, 400)
    assert values["vibration"]["expected"]["low"] == pytest.approx(1.6, abs=0.12)
    assert values["vibration"]["expected"]["high"] == pytest.approx(2.4, abs=0.12)


def test_a_condition_is_never_expected_to_be_anywhere() -> None:
    assert Watched().run(LOW, 400)["load"]["expected"] is None


def test_what_is_expected_is_of_the_present_regime() -> None:
    pump = Watched()
    pump.run(LOW, 400)
    assert pump.run(HIGH, 2)["vibration"]["expected"] is None  # it has not learned this regime yet
    assert pump.run(HIGH, 400)["vibration"]["expected"]["low"] == pytest.approx(3.6, abs=0.15)
    assert pump.run(LOW, 1)["vibration"]["expected"]["low"] == pytest.approx(1.6, abs=0.12)
