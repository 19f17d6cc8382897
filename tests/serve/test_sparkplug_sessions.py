"""What edge nodes say, message by message: births, deaths, aliases, order; nothing is ever taken for another metric."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import BrokerAddressError
from serve.sparkplug.payload import DataType, Sent, read_payload, write_payload
from serve.sparkplug.sessions import ASK_AGAIN_S, ASKED_A_SECOND, Heard, Names, Sessions
from twins.clock import SECOND_US

AT_MS = 1_760_000_000_000
AT_US = AT_MS * 1_000
FLOAT = DataType.FLOAT


def nbirth(births: int = 0, sequence: int = 0, *more: Sent) -> tuple[str, bytes]:
    own = Sent(births, DataType.INT64, "bdSeq")
    return "spBv1.0/g/NBIRTH/n", write_payload(AT_MS, [own, *more], sequence)


def ndeath(births: int = 0) -> tuple[str, bytes]:
    return "spBv1.0/g/NDEATH/n", write_payload(AT_MS, [Sent(births, DataType.INT64, "bdSeq")])


def dbirth(sequence: int, *metrics: Sent, device: str = "d") -> tuple[str, bytes]:
    return f"spBv1.0/g/DBIRTH/n/{device}", write_payload(AT_MS, metrics, sequence)


def ddata(sequence: int, *metrics: Sent, device: str = "d") -> tuple[str, bytes]:
    return f"spBv1.0/g/DDATA/n/{device}", write_payload(AT_MS, metrics, sequence, typed=False)


def sessions(**options: int) -> Sessions:
    return Sessions(Names(), **options)


def hear(it: Sessions, *messages: tuple[str, bytes], at_us: int = AT_US) -> list[Heard]:
    return [it.take(topic, payload, at_us) for topic, payload in messages]


def values(heard: Heard) -> list[Any]:
    return [(line["device"], line["time"], line["values"]) for line in heard.lines]


def test_aliases_are_learned_from_births_and_types_too() -> None:
    it = sessions()
    *_, birth, data = hear(
        it,
        nbirth(),
        dbirth(1, Sent(1.5, FLOAT, "flow", 7), Sent(None, DataType.INT16, "level", 8)),
        ddata(2, Sent(-3, DataType.INT16, None, 8, AT_MS + 1), Sent(2.5, FLOAT, None, 7, AT_MS + 1)),
    )
    assert values(birth) == [("n/d", AT_MS, {"flow": 1.5})]
    assert values(data) == [("n/d", AT_MS + 1, {"level": -3, "flow": 2.5})]
    assert it.counts["gaps"] == 0
    assert data.ask is None


def test_what_was_kept_back_comes_in_the_order_of_time() -> None:
    it = sessions()
    late = [Sent(float(at), FLOAT, "flow", None, AT_MS + at, True) for at in (3, 1, 2)]
    data = hear(it, nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow")), ddata(2, *late))[-1]
    assert [line["values"]["flow"] for line in data.lines] == [1.0, 2.0, 3.0]


def test_data_before_a_birth_ask_for_one_but_not_for_ever() -> None:
    it = sessions()
    first, second = hear(it, ddata(5, Sent(1.0, FLOAT, "flow")), ddata(6, Sent(1.0, FLOAT, "flow")))
    assert first.ask == ("g", "n")
    assert second.ask is None
    assert first.lines == second.lines == []
    (third,) = hear(it, ddata(7, Sent(1.0, FLOAT, "flow")), at_us=AT_US + round(ASK_AGAIN_S * SECOND_US))
    assert third.ask == ("g", "n")


def test_all_nodes_together_are_asked_at_a_bounded_rate() -> None:
    it = sessions()
    data = write_payload(AT_MS, [], 0)
    asked = [it.take(f"spBv1.0/g/NDATA/n{i}", data, AT_US).ask for i in range(3 * ASKED_A_SECOND)]
    assert sum(each is not None for each in asked) == ASKED_A_SECOND


def test_after_a_missing_message_names_are_believed_and_aliases_are_not() -> None:
    it = sessions()
    hear(it, nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow", 1), Sent(0.0, FLOAT, "heat", 2)))
    gap, after = hear(
        it,
        ddata(3, Sent(1.0, FLOAT, "flow"), Sent(2.0, FLOAT, None, 2)),
        ddata(4, Sent(3.0, FLOAT, None, 1)),
    )
    assert values(gap) == [("n/d", AT_MS, {"flow": 1.0})]
    assert [each.code for each in gap.problems] == ["metric.not_born"]
    assert gap.ask == ("g", "n")
    assert after.lines == []
    born = hear(it, nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow", 2)), ddata(2, Sent(4.0, FLOAT, None, 2)))[-1]
    assert values(born) == [("n/d", AT_MS, {"flow": 4.0})]
    assert it.counts["gaps"] == 1


def test_the_sequence_goes_round() -> None:
    it = sessions()
    hear(it, nbirth(0, 254), dbirth(255, Sent(0.0, FLOAT, "flow", 1)), ddata(0, Sent(0.0, FLOAT, None, 1)))
    assert it.counts["gaps"] == 0
    assert it.counts["births"] == 2


def test_a_death_counts_for_its_own_birth_alone() -> None:
    it = sessions()
    hear(it, nbirth(1), dbirth(1, Sent(0.0, FLOAT, "flow")), dbirth(2, Sent(0.0, FLOAT, "flow"), device="e"))
    hear(it, nbirth(2), dbirth(1, Sent(0.0, FLOAT, "flow")), dbirth(2, Sent(0.0, FLOAT, "flow"), device="e"))
    late, right = hear(it, ndeath(1), ndeath(2))
    assert late.gone == []
    assert right.gone == ["n", "n/d", "n/e"]
    assert it.counts["late_deaths"] == 1
    assert (len(it), it.metrics) == (0, 0)


def test_a_device_may_go_alone() -> None:
    it = sessions()
    hear(
        it,
        nbirth(),
        dbirth(1, Sent(0.0, FLOAT, "flow", 1)),
        dbirth(2, Sent(0.0, FLOAT, "flow", 2), device="e"),
    )
    (gone,) = hear(it, ("spBv1.0/g/DDEATH/n/d", write_payload(AT_MS, [], 3)))
    assert gone.gone == ["n/d"]
    (other,) = hear(it, ddata(4, Sent(1.0, FLOAT, None, 2), device="e"))
    assert values(other) == [("n/e", AT_MS, {"flow": 1.0})]


def test_a_connection_that_was_away_puts_aliases_in_doubt() -> None:
    it = sessions()
    hear(it, nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow", 1)))
    it.doubt()
    (data,) = hear(it, ddata(2, Sent(1.0, FLOAT, None, 1)))
    assert data.lines == []
    assert data.ask == ("g", "n")


@pytest.mark.parametrize(
    "message",
    [
        ("spBv1.0/g/DBIRTH/n/d", write_payload(AT_MS, [Sent(1.0, FLOAT, None, 3)], 1)),  # no name
        ("spBv1.0/g/DBIRTH/n/d", write_payload(AT_MS, [Sent(1.0, FLOAT, "x")], 1, typed=False)),  # no type
        dbirth(1, Sent(1.0, FLOAT, "x", 3), Sent(1.0, FLOAT, "y", 3)),  # one alias for two
        ("spBv1.0/g/DDATA/n/d", write_payload(AT_MS, [])),  # no sequence
        ("spBv1.0/g/NBIRTH/n", write_payload(AT_MS, [], 256)),
        ("spBv1.0/g/NDATA", b""),
        ("spBv1.0/g/XDATA/n", b""),
        ("spBv1.0/g/NDATA/n/d", b""),
        ("spBv1.0//NDATA/n", b""),
        ("other", b""),
    ],
)
def test_what_breaks_the_rules_is_refused_in_words_and_nothing_of_it_is_kept(
    message: tuple[str, bytes],
) -> None:
    it = sessions()
    hear(it, nbirth())
    before = it.metrics
    (heard,) = hear(it, message)
    assert heard.lines == []
    (problem,) = heard.problems
    assert problem.code == "message.invalid"
    assert len(problem.reason) > 10
    assert it.metrics <= before


def test_what_is_remembered_is_bounded_and_the_longest_silent_goes_first() -> None:
    it = sessions(most_nodes=3, most_metrics=20)
    for i in range(10):
        more = [Sent(0.0, FLOAT, f"m{k}") for k in range(4)]
        it.take(
            f"spBv1.0/g/NBIRTH/n{i}",
            write_payload(AT_MS, [Sent(0, DataType.INT64, "bdSeq"), *more], 0),
            AT_US,
        )
        it.take("spBv1.0/g/NDATA/n0", write_payload(AT_MS, [], (i + 1) % 256), AT_US)
        assert len(it) <= 3
        assert it.metrics <= 20
    assert it.counts["gaps"] == 0  # the one that spoke is still known
    assert it.counts["forgotten"] == 7


def test_devices_without_metrics_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.sparkplug.sessions.MOST_METRICS_A_NODE", 5)
    it = sessions(most_metrics=3)
    hear(it, ("spBv1.0/g/NBIRTH/m", nbirth()[1]), nbirth())
    *born, last = hear(it, *(dbirth(i, device=f"d{i}") for i in range(1, 6)))
    assert [each.forgotten for each in born] == [[], ["m"], [], []]
    assert [problem.code for problem in last.problems] == ["message.invalid"]


def test_twins_that_are_forgotten_are_told() -> None:
    it = sessions(most_nodes=1)
    hear(it, nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow")), dbirth(2, device="e"))
    again, device = hear(it, nbirth(1), dbirth(1, Sent(0.0, FLOAT, "flow")))
    assert (again.forgotten, device.forgotten) == (["n", "n/d", "n/e"], [])
    assert (it.way("n/e"), again.gone) == (None, [])
    (other,) = hear(it, ("spBv1.0/g/NBIRTH/m", nbirth()[1]))
    assert other.forgotten == ["n", "n/d"]


def test_a_device_that_another_node_has_now_is_not_forgotten_with_the_first() -> None:
    it = Sessions(Names("{device}"))
    hear(it, nbirth(), dbirth(1), ("spBv1.0/g/NBIRTH/m", nbirth()[1]), ("spBv1.0/g/DBIRTH/m/d", dbirth(1)[1]))
    (again,) = hear(it, nbirth(1))
    assert again.forgotten == ["n"]
    way = it.way("d")
    assert way is not None
    assert way.key == ("g", "m")


def test_only_a_birth_that_was_learnt_is_one() -> None:
    it = sessions()
    garbage, early, node, device = hear(
        it, ("spBv1.0/g/NBIRTH/n", b"\xff\xff"), dbirth(1), nbirth(), dbirth(1, Sent(0.0, FLOAT, "flow"))
    )
    assert [each.is_birth for each in (garbage, early, node, device)] == [False, False, True, True]


def test_templates_and_names_say_which_twin_and_channel() -> None:
    names = Names("{group}.{node}:{device}", "gw-{node}", "Motor/Vibration=vibration, a=b=c")
    assert names.twin(("g", "n"), "{node}") == "g.n:{node}"
    assert names.twin(("g", "n"), None) == "gw-n"
    assert names.channel("Motor/Vibration") == "vibration"
    assert names.channel("a=b") == "c"
    assert names.channel("flow") == "flow"
    for wrong in (
        ("x", "{node}", ""),
        ("{device", "{node}", ""),
        ("{device}", "{device}", ""),
        ("{device}", "{node}", "x"),
    ):
        with pytest.raises(BrokerAddressError):
            Names(*wrong)


# -- any order, any loss ----------------------------------------------------------------------------------------------


def a_life(random_: random.Random, lives: int) -> Iterator[tuple[str, bytes]]:
    """A node that is born again and again, its aliases dealt anew each time. A value says which metric it is of."""
    pairs = [(device, metric) for device in ("d", "e") for metric in ("flow", "heat", "level")]
    mark = {pair: float(100 * at) for at, pair in enumerate(pairs)}
    for births in range(lives):
        aliases = dict(zip(pairs, random_.sample(range(1, 20), len(pairs)), strict=True))
        sequence = 0
        yield nbirth(births, sequence)
        for device in ("d", "e"):
            sequence += 1
            said = [Sent(mark[p], FLOAT, p[1], aliases[p]) for p in pairs if p[0] == device]
            yield dbirth(sequence, *said, device=device)
        for _ in range(random_.randrange(30)):
            sequence = (sequence + 1) % 256
            device, metric = random_.choice(pairs)
            value = mark[(device, metric)] + random_.randrange(100)
            yield ddata(sequence, Sent(value, FLOAT, None, aliases[(device, metric)]), device=device)
        yield ndeath(births)


@given(st.integers(0, 1 << 30), st.integers(0, 100))
def test_whatever_is_lost_no_value_is_taken_for_another_metric(seed: int, lost: int) -> None:
    random_ = random.Random(seed)
    it = sessions()
    taken = sent = 0
    marks = {"flow": 0, "heat": 1, "level": 2}
    for topic, payload in a_life(random_, 6):
        is_death = "NDEATH" in topic  # QoS 1: it comes
        if not is_death and random_.randrange(100) < lost:
            continue
        sent += sum(metric.name != "bdSeq" for metric in read_payload(payload).metrics)
        for line in it.take(topic, payload, AT_US).lines:
            for channel, value in line["values"].items():
                assert int(value) // 100 == marks[channel] + (0 if line["device"] == "n/d" else 3)
                taken += 1
    if lost == 0:
        assert taken == sent


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "NBIRTH/n",
                    "NDEATH/n",
                    "NDATA/n",
                    "NCMD/n",
                    "DBIRTH/n/d",
                    "DDEATH/n/d",
                    "DDATA/n/d",
                    "X/n",
                    "",
                ]
            ),
            st.binary(max_size=60)
            | st.builds(
                write_payload,
                st.integers(0, (1 << 64) - 1),
                st.lists(
                    st.builds(
                        Sent,
                        st.none() | st.integers(0, 100),
                        st.sampled_from(DataType),
                        st.none() | st.sampled_from(["bdSeq", "flow", "Device Control/stop", "x" * 300]),
                        st.none() | st.integers(0, 5),
                        st.none() | st.integers(0, (1 << 64) - 1),
                    ),
                    max_size=5,
                ),
                st.none() | st.integers(0, 300),
                typed=st.booleans(),
            ),
        ),
        max_size=20,
    )
)
def test_no_sender_can_break_it(messages: list[tuple[str, bytes]]) -> None:
    it = sessions(most_nodes=2, most_metrics=10)
    for end, payload in messages:
        heard = it.take(f"spBv1.0/g/{end}", payload, AT_US)
        assert all(problem.reason for problem in heard.problems)
        assert all(line["values"] for line in heard.lines)
    assert 0 <= it.metrics <= 10
