"""What is found is what Python finds."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.substrings import holding

TEXTS = st.lists(st.one_of(st.none(), st.text("abé€-", max_size=7), st.text(max_size=4)), max_size=80)


@settings(deadline=None)  # the first example may compile
@given(
    texts=TEXTS, part=st.one_of(st.text("abé€-", max_size=4), st.text(max_size=2)), start=st.integers(0, 5)
)
def test_a_text_holds_a_part_where_python_says_so(texts: list[str | None], part: str, start: int) -> None:
    expected = [text is not None and part in text for text in texts[start:]]
    for kind in (pa.string(), pa.large_string()):
        assert holding(pa.array(texts, kind).slice(start), part).tolist() == expected


@pytest.mark.parametrize("part", ["7", "77", "777", "device-0777", "no such device"])
def test_in_many_texts(part: str) -> None:
    texts = [f"device-{number:04d}" for number in range(2000)]
    assert holding(pa.array(texts), part).tolist() == [part in text for text in texts]


def test_a_part_across_two_texts_is_in_neither() -> None:
    assert holding(pa.array(["ab", "cd", ""]), "bc").tolist() == [False, False, False]


def test_what_a_null_covers_is_not_found() -> None:
    plain = pa.array(["aa", "ab", "bb"])
    valid = pa.array([True, False, True]).buffers()[1]
    hidden = pa.StringArray.from_buffers(3, plain.buffers()[1], plain.buffers()[2], valid)
    assert holding(hidden, "a").tolist() == [True, False, False]
