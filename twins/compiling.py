"""How kernels are compiled: strictly, without allocation, in one piece.

State comes as NamedTuples of some fifty arrays. numba passes such a tuple by value and counts a reference to every array
that a function touches, which costs more than the arithmetic. Kernels allocate nothing, so the counting is switched off
(``_nrt=False``), and what one kernel calls is inlined by LLVM (``forceinline``), after which the copies of the tuples are
gone: fourteen to forty times faster, measured with ``bench/shard_apply.py``. Floating point stays strict, so that the same
function gives the same bits wherever it is inlined; a division by zero gives what IEEE 754 says (``error_model``), not an
exception, which would keep loops from being vectorised.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """A function that Python calls: compiled once for its types and kept on disk. It allocates nothing."""
    return cast(Function, njit(cache=True, _nrt=False, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """A part of kernels, inlined where it is called. It allocates nothing."""
    return cast(Function, njit(cache=True, _nrt=False, forceinline=True, error_model="numpy")(function))
