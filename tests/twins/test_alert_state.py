"""Where words and entries of alerts are kept."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.test_alerts import AT_ONCE, T0, Devices, S, device_type
from twins import alert_state, alerts
from twins.alert_state import ACTIVE, FLAG_BITS, OUT, PENDING, UNACKED, word_of
from twins.devices import AlertRule


def test_an_alert_at_rest_is_two_bytes_and_an_entry_is_used_again() -> None:
    rules = tuple(AlertRule(f"r{k}", f"vibration > {k}", "low", "c", "r", **AT_ONCE) for k in range(20))
    rig = Devices(device_type(*rules), 1000)
    assert rig.state.alerts.nbytes / 1000 <= 20 * 2 + 8 + 4 + 1
    for row in range(1000):
        rig.line(row, T0, vibration=5.5)
        rig.line(row, T0 + S, vibration=0.0)
        for k in range(6):
            rig.do("acknowledge", row, f"r{k}", T0 + S)
    assert rig.state.alerts.nbytes / 1000 <= 20 * 2 + 8 + 4 + 1
    assert len(alert_state.kept(rig.state.alerts, 0, 1000)) == 0
    assert rig.state.alerts.occurrence[:, :7].tolist() == [[1] * 6 + [0]] * 1000


def test_an_alert_that_was_raised_more_often_than_is_counted_at_rest_keeps_its_number() -> None:
    rig = Devices(device_type(AlertRule("r0", "vibration > 7", "low", "c", "r", **AT_ONCE)))
    alert_state.put_word(rig.state.alerts, 0, 0, 65535 << FLAG_BITS)
    assert len(alert_state.kept(rig.state.alerts, 0, 1)) == 0
    for n in (65536, 65537):
        rig.line(0, T0 + 2 * n * S, vibration=8.0)
        rig.do("acknowledge", 0, "r0", T0 + 2 * n * S, occurrence=n)
        rig.line(0, T0 + (2 * n + 1) * S, vibration=1.0)
        assert word_of(rig.state.alerts, 0, 0) == n << FLAG_BITS
    assert alert_state.kept(rig.state.alerts, 0, 1)["stamp_s"].tolist() == [0]


FOUR = device_type(*(AlertRule(f"r{k}", "vibration > 1", "low", "c", "r") for k in range(4)))


@settings(deadline=None)  # the first example may compile
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=60),
    st.integers(0, 5),
)
def test_words_are_where_they_were_put_whatever_entries_come_and_go(
    story: list[tuple[int, int, int]], row: int
) -> None:
    state = alerts.blank_alerts(5, FOUR)
    words = dict.fromkeys(((r, k) for r in range(5) for k in range(4)), 0)
    for r, k, choice in story:
        words[r, k] = (7 << 8, 1 << 8 | ACTIVE | UNACKED, 70_000 << 8, 9 << 8 | PENDING)[choice]
        alert_state.put_word(state, r, k, words[r, k])
        if r == row:  # as of a command that is refused
            copy = alert_state.copy_of(state, r)
            for other in range(4):
                alert_state.put_word(state, r, other, 3 << 8 | OUT)
            alert_state.put_back(state, r, copy)
    assert {at: word_of(state, *at) for at in words} == words
    listed = alert_state.kept(state, 0, 5)
    assert [(r, k) for r, k, *_ in listed.tolist()] == sorted(
        at for at, word in words.items() if word & 0xFF or word >> 8 > 65535
    )
    assert int(state.entries[0]["word"]) <= 20
    only = np.array([3, 0])
    again = alerts.blank_alerts(2, FOUR)
    again.occurrence[:] = state.occurrence[only]
    alert_state.keep(again, alert_state.chosen(listed, only))
    assert [[word_of(again, r, k) for k in range(4)] for r in range(2)] == [
        [words[r, k] for k in range(4)] for r in (3, 0)
    ]
