"""UCUM codes: the part of the Unified Code for Units of Measure that devices use.

A code is checked, never converted: ``mm/s``, ``Cel``, ``kW.h``, ``[psi]``, ``{rev}/min``, ``1``, ``%``.

Source: G. Schadow, C. J. McDonald, The Unified Code for Units of Measure, ucum.org, version 2.2; the
case-sensitive symbols.
"""

import re
from typing import Final

_PREFIXES: Final = "Y Z E P T G M k h da d c m u n p f a z y Ki Mi Gi Ti"

_WITH_PREFIX: Final = """
    m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv L l ar t bar eV bit By Bd B Np
    B[W] B[kW] B[V] B[mV] B[uV] B[SPL] [g] cal dyn erg P St m[H2O] m[Hg]
"""

_WITHOUT_PREFIX: Final = """
    % [ppth] [ppm] [ppb] [pptr] deg ' '' gon min h d wk mo a atm [in_i] [ft_i] [yd_i] [mi_i] [nmi_i] [kn_i]
    [mil_i] [sft_i] [cin_i] [cft_i] [gal_us] [bbl_us] [lb_av] [oz_av] [lbf_av] [ston_av] [car_us] [psi] [degF]
    [degR] [Btu] [Btu_IT] [HP] [pH] [in_i'H2O] [in_i'Hg] [pi] [c] circ
"""

_METRIC: Final = frozenset(_WITH_PREFIX.split())
_ATOMS: Final = _METRIC | frozenset(_WITHOUT_PREFIX.split())

_NAME: Final = re.compile(r"(?:\[[^\[\]{}\s]+\]|[A-Za-z'%]+(?:\[[^\[\]{}\s]+\])?)")
_NUMBER: Final = re.compile(r"10[*^][+-]?\d+|\d+")
_EXPONENT: Final = re.compile(r"[+-]?\d+")
_REMARK: Final = re.compile(r"\{[!-z|~]*\}")


def is_unit(code: str) -> bool:
    """Whether ``code`` is a UCUM code.

    Examples
    --------
    >>> [is_unit(code) for code in ("mm/s", "m3/h", "{rev}/min", "1", "mm/sec", "°C")]
    [True, True, True, True, False, False]
    """
    rest, depth = code, 0
    wants_term = True
    if rest.startswith("/"):
        rest = rest[1:]
    while rest:
        if wants_term and rest[0] == "(":
            rest, depth = rest[1:], depth + 1
            continue
        if not wants_term and rest[0] == ")" and depth:
            rest, depth = rest[1:], depth - 1
            rest = _skip(_EXPONENT, rest)
            continue
        if not wants_term and rest[0] in "./":
            rest, wants_term = rest[1:], True
            continue
        after = _term(rest) if wants_term else None
        if after is None:
            return False
        rest, wants_term = after, False
    return not wants_term and depth == 0


def _term(text: str) -> str | None:
    """What follows one number, unit or remark at the start of ``text``; None where there is none."""
    if match := _NUMBER.match(text):
        return _skip(_REMARK, text[match.end() :])
    if (match := _NAME.match(text)) and _is_atom(match.group()):
        return _skip(_REMARK, _skip(_EXPONENT, text[match.end() :]))
    if match := _REMARK.match(text):
        return text[match.end() :]
    return None


def _skip(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.match(text)
    return text[match.end() :] if match else text


def _is_atom(name: str) -> bool:
    return name in _ATOMS or any(
        name.startswith(prefix) and name[len(prefix) :] in _METRIC for prefix in _PREFIXES.split()
    )
