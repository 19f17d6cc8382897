"""Blocks: what is packed comes back, in one go or begun here and ended there, in a room made beforehand or not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from twins import packing
from twins.packing import PackingError, pack, unpack

ARRAYS = st.dictionaries(
    st.text(max_size=5),
    arrays_of.arrays(
        st.sampled_from([np.dtype(each) for each in ("f8", "f4", "i4", "u1", "?", "S3")]),
        arrays_of.array_shapes(max_dims=3, min_side=0, max_side=5),
    ),
    max_size=5,
)
META = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


@given(META, ARRAYS, st.none() | st.integers(0, 4096))
def test_what_is_packed_comes_back_however_it_was(
    meta: dict[str, Any], arrays: dict[str, NDArray[Any]], size: int | None
) -> None:
    whole = pack(meta, arrays)
    finish = packing.begin(meta, arrays, None if size is None else packing.room(size))
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():  # it may change as soon as it is begun
        array[...] = np.zeros(1, array.dtype)
    block = finish()
    assert bytes(block) == bytes(whole)
    said, found = unpack(block)
    assert said == meta
    assert found.keys() == before.keys()
    for name, array in before.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_a_block_that_changed_is_refused() -> None:
    block = pack({"n": 1}, {"x": np.arange(4)})
    block[-1] ^= 1
    with pytest.raises(PackingError, match="changed"):
        unpack(block)
