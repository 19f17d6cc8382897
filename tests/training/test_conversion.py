import pytest

from training.conversion import _TABLE, UnitError, conversion
from twins.units import is_unit


def converted(value, source, target):
    factor, offset = conversion(source, target)
    return value * factor + offset


@pytest.mark.parametrize(
    ("value", "source", "expected", "target"),
    [
        (32.0, "[degF]", 0.0, "Cel"),
        (518.67, "[degR]", 15.0, "Cel"),
        (0.0, "K", -273.15, "Cel"),
        (14.695948775, "[psi]", 1.01325, "bar"),
        (1.0, "bar", 100.0, "kPa"),
        (60.0, "L/min", 3.6, "m3/h"),
        (1.0, "[in_i]/s", 25.4, "mm/s"),
        (1.0, "[lb_av]/s", 0.45359237, "kg/s"),
        (50.0, "%", 0.5, "1"),
        (3000.0, "rpm", 50.0, "Hz"),
    ],
)
def test_converts_by_the_published_factors(value, source, expected, target):
    assert converted(value, source, target) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_every_unit_converts_there_and_back_and_is_a_ucum_code():
    for source, (dimension, _, _) in _TABLE.items():
        assert is_unit(source), source
        for target, (other, _, _) in _TABLE.items():
            if dimension == other:
                assert converted(converted(37.5, source, target), target, source) == pytest.approx(37.5)


def test_remarks_and_common_spellings_are_the_same_unit():
    assert conversion("rpm", "{rev}/min") == (1.0, 0.0)
    assert conversion("psi", "[psi]") == (1.0, 0.0)


def test_refuses_what_measures_something_else():
    with pytest.raises(UnitError, match="a temperature, 'bar' a pressure"):
        conversion("K", "bar")
    with pytest.raises(UnitError, match="'furlong' is not in the table"):
        conversion("furlong", "m")


def test_unknown_units_pass_where_nothing_is_to_be_converted():
    assert conversion("{widgets}", "{widgets}") == (1.0, 0.0)
