"""What is remembered of texts is what would be found anew."""

import pyarrow as pa

from serve.lists import DeviceQuery, list_devices
from serve.live import LiveTable
from serve.texts import KnownTexts, Texts, distinct
from tests.serve.tables import Shown, coded, devices, generation
from twins.devices import DeviceType

TYPES = {"pump": DeviceType("pump", 1, ())}


def test_equal_texts_keep_their_answers_and_others_do_not() -> None:
    known = KnownTexts()
    first = known.of("name", pa.array(["a", "b"]))
    assert known.of("name", pa.array(["a", "b"])) is first
    assert known.of("name", pa.array(["a", "c"])) is not first
    assert known.of("id", pa.array(["a", "b"])) is not first


def test_only_the_last_answers_are_kept() -> None:
    texts = Texts(pa.array(["pump-1", "PUMP-2", "é"]))
    assert texts.holding("PU").tolist() == [True, True, False]
    assert texts.holding("É").tolist() == [False, False, True]
    for number in range(100):
        texts.holding(str(number))
    assert len(texts._answers) == 8


def test_distinct_texts_of_coded_plain_and_empty_columns() -> None:
    words, place = distinct(pa.chunked_array([coded([1, 0, 1], ["a", "b"])]))
    assert place is not None
    assert words.take(pa.array(place)).to_pylist() == ["b", "a", "b"]
    assert distinct(pa.chunked_array([["x"], ["y"]]))[0].to_pylist() == ["x", "y"]
    assert len(distinct(pa.chunked_array([], pa.string()))[0]) == 0


def test_a_label_that_changed_and_a_device_that_came_are_seen_at_once() -> None:
    def shown(labels: list[str], ids: list[str]) -> Shown:
        table = devices("pump", ids, labels=coded(range(len(ids)), labels))
        return Shown(generation({"pump": table}))

    source = shown(['{"line":"1"}', '{"line":"2"}'], ["a-1", "b-1"])
    live = LiveTable(source)
    query, search = DeviceQuery("not label.line = '1'"), DeviceQuery(search="b-")

    def found(asked: DeviceQuery) -> list[str]:
        return [item["id"] for item in list_devices(live.refresh(), TYPES, asked).items]

    assert (found(query), found(search)) == (["b-1"], ["b-1"])
    assert (found(query), found(search)) == (["b-1"], ["b-1"])
    later = shown(['{"line":"3"}', '{"line":"1"}', "{}"], ["a-1", "b-1", "b-2"])
    source.generations = [generation(dict(later.generations[0].tables), cursor=9)]
    assert (found(query), found(search)) == (["a-1"], ["b-1", "b-2"])
