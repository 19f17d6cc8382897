"""Conversion of units: from the unit of a file to the unit of a channel.

Units are UCUM codes, case-sensitive, as in ``twins/units.py``. This is a table of the usual ones:
``value_si = value · factor + offset``, where the offset is zero for all but temperatures. A few spellings
that people write are accepted beside the code (``degF``, ``psi``, ``rpm``); remarks in braces
(``{rev}/min``) say nothing of size and are dropped.

Source: NIST SP 811 (2008), appendix B; the factors are exact by definition, or the nearest double.
"""

import re
from typing import Final

_INCH_M = 0.0254
_FOOT_M = 0.3048
_POUND_KG = 0.45359237
_GRAVITY_M_S2 = 9.80665
_POUND_FORCE_N = _POUND_KG * _GRAVITY_M_S2
_PSI_PA = _POUND_FORCE_N / _INCH_M**2
_GALLON_US_M3 = 231 * _INCH_M**3
_TURN_RAD = 6.283185307179586

_TABLE: Final[dict[str, tuple[str, float, float]]] = {
    # code: (dimension, factor to its SI unit, offset in it)
    "K": ("temperature", 1.0, 0.0),
    "Cel": ("temperature", 1.0, 273.15),
    "[degF]": ("temperature", 5 / 9, 459.67 * 5 / 9),
    "[degR]": ("temperature", 5 / 9, 0.0),
    "Pa": ("pressure", 1.0, 0.0),
    "hPa": ("pressure", 1e2, 0.0),
    "kPa": ("pressure", 1e3, 0.0),
    "MPa": ("pressure", 1e6, 0.0),
    "mbar": ("pressure", 1e2, 0.0),
    "bar": ("pressure", 1e5, 0.0),
    "atm": ("pressure", 101_325.0, 0.0),
    "[psi]": ("pressure", _PSI_PA, 0.0),
    "mm[Hg]": ("pressure", 133.322387415, 0.0),
    "m[H2O]": ("pressure", 9806.65, 0.0),
    "m": ("length", 1.0, 0.0),
    "mm": ("length", 1e-3, 0.0),
    "um": ("length", 1e-6, 0.0),
    "cm": ("length", 1e-2, 0.0),
    "km": ("length", 1e3, 0.0),
    "[in_i]": ("length", _INCH_M, 0.0),
    "[ft_i]": ("length", _FOOT_M, 0.0),
    "10*3.[ft_i]": ("length", _FOOT_M * 1e3, 0.0),
    "m/s": ("speed", 1.0, 0.0),
    "mm/s": ("speed", 1e-3, 0.0),
    "km/h": ("speed", 1 / 3.6, 0.0),
    "[in_i]/s": ("speed", _INCH_M, 0.0),
    "[ft_i]/s": ("speed", _FOOT_M, 0.0),
    "[kn_i]": ("speed", 1852 / 3600, 0.0),
    "[mi_i]/h": ("speed", 0.44704, 0.0),
    "m/s2": ("acceleration", 1.0, 0.0),
    "[g]": ("acceleration", _GRAVITY_M_S2, 0.0),
    "m3/s": ("flow", 1.0, 0.0),
    "m3/h": ("flow", 1 / 3600, 0.0),
    "L/s": ("flow", 1e-3, 0.0),
    "L/min": ("flow", 1e-3 / 60, 0.0),
    "L/h": ("flow", 1e-3 / 3600, 0.0),
    "[gal_us]/min": ("flow", _GALLON_US_M3 / 60, 0.0),
    "[cft_i]/min": ("flow", _FOOT_M**3 / 60, 0.0),
    "kg": ("mass", 1.0, 0.0),
    "g": ("mass", 1e-3, 0.0),
    "t": ("mass", 1e3, 0.0),
    "[lb_av]": ("mass", _POUND_KG, 0.0),
    "kg/s": ("mass flow", 1.0, 0.0),
    "kg/h": ("mass flow", 1 / 3600, 0.0),
    "[lb_av]/s": ("mass flow", _POUND_KG, 0.0),
    "[lb_av]/h": ("mass flow", _POUND_KG / 3600, 0.0),
    "W": ("power", 1.0, 0.0),
    "kW": ("power", 1e3, 0.0),
    "MW": ("power", 1e6, 0.0),
    "[HP]": ("power", 550 * _FOOT_M * _POUND_FORCE_N, 0.0),
    "J": ("energy", 1.0, 0.0),
    "kJ": ("energy", 1e3, 0.0),
    "W.h": ("energy", 3.6e3, 0.0),
    "kW.h": ("energy", 3.6e6, 0.0),
    "MW.h": ("energy", 3.6e9, 0.0),
    "J/kg": ("specific energy", 1.0, 0.0),
    "kJ/kg": ("specific energy", 1e3, 0.0),
    "[Btu_IT]/[lb_av]": ("specific energy", 2326.0, 0.0),
    "N": ("force", 1.0, 0.0),
    "kN": ("force", 1e3, 0.0),
    "[lbf_av]": ("force", _POUND_FORCE_N, 0.0),
    "N.m": ("torque", 1.0, 0.0),
    "[ft_i].[lbf_av]": ("torque", _FOOT_M * _POUND_FORCE_N, 0.0),
    "Hz": ("frequency", 1.0, 0.0),
    "kHz": ("frequency", 1e3, 0.0),
    "/s": ("frequency", 1.0, 0.0),
    "/min": ("frequency", 1 / 60, 0.0),
    "rad/s": ("frequency", 1 / _TURN_RAD, 0.0),
    "rad": ("angle", 1.0, 0.0),
    "deg": ("angle", _TURN_RAD / 360, 0.0),
    "A": ("current", 1.0, 0.0),
    "mA": ("current", 1e-3, 0.0),
    "kA": ("current", 1e3, 0.0),
    "V": ("voltage", 1.0, 0.0),
    "mV": ("voltage", 1e-3, 0.0),
    "kV": ("voltage", 1e3, 0.0),
    "s": ("time", 1.0, 0.0),
    "ms": ("time", 1e-3, 0.0),
    "min": ("time", 60.0, 0.0),
    "h": ("time", 3600.0, 0.0),
    "d": ("time", 86400.0, 0.0),
    "1": ("fraction", 1.0, 0.0),
    "%": ("fraction", 1e-2, 0.0),
    "[ppm]": ("fraction", 1e-6, 0.0),
}

_SPELLINGS: Final = {
    "degC": "Cel",
    "°C": "Cel",
    "degF": "[degF]",
    "°F": "[degF]",
    "degR": "[degR]",
    "psi": "[psi]",
    "psia": "[psi]",
    "in/s": "[in_i]/s",
    "ft": "[ft_i]",
    "kft": "10*3.[ft_i]",
    "rpm": "/min",
    "1/min": "/min",
    "l/min": "L/min",
    "l/s": "L/s",
    "gpm": "[gal_us]/min",
    "hp": "[HP]",
    "kWh": "kW.h",
    "MWh": "MW.h",
    "Nm": "N.m",
    "°": "deg",
    "": "1",
}


_REMARK: Final = re.compile(r"\{[^}]*\}")


class UnitError(ValueError):
    """Two units between which there is no way, or a unit that the table does not have."""


def conversion(source: str, target: str) -> tuple[float, float]:
    """``(factor, offset)`` with ``value_target = value_source · factor + offset``.

    Equal codes convert by ``(1.0, 0.0)`` even where the table does not know them. NaN stays NaN.

    Raises
    ------
    UnitError : if a unit is unknown, or the two measure different things.

    Examples
    --------
    >>> factor, offset = conversion("[degF]", "Cel")
    >>> round(212 * factor + offset, 9)
    100.0
    >>> conversion("rpm", "/min")
    (1.0, 0.0)
    """
    if source == target:
        return 1.0, 0.0
    source, target = (_plain(unit) for unit in (source, target))
    if source == target:
        return 1.0, 0.0
    for unit in (source, target):
        if unit not in _TABLE:
            raise UnitError(f"unit {unit!r} is not in the table of units")
    dimension, factor, offset = _TABLE[source]
    other, target_factor, target_offset = _TABLE[target]
    if dimension != other:
        raise UnitError(f"{source!r} is a {dimension}, {target!r} a {other}")
    return factor / target_factor, (offset - target_offset) / target_factor


def _plain(unit: str) -> str:
    bare = _REMARK.sub("", unit)
    return _SPELLINGS.get(bare, bare)
