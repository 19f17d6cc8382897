"""UCUM codes, right and wrong."""

import pytest

from twins.units import is_unit

RIGHT = """
    1 % Cel K mm/s m/s2 [g] bar mbar kPa kW kW.h V A mA Hz kHz {rev}/min /min m3/h L/min m3/min [psi] [degR]
    10*3.[ft_i] [lb_av]/s [lb_av]/s/[psi] {count}/mL {count} deg h d um dB[W] g/m3 mol/L J/(kg.K) (m/s)2
"""
WRONG = ["", "°C", "sec", "mm//s", "mm/", "rpm", "kW h", "m/(s", "m)s", ".m", "k[psi]", "kmin", "10^", "{rev"]


@pytest.mark.parametrize("code", RIGHT.split())
def test_takes_ucum_codes(code: str) -> None:
    assert is_unit(code)


@pytest.mark.parametrize("code", WRONG)
def test_refuses_what_is_none(code: str) -> None:
    assert not is_unit(code)
