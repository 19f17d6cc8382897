import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins.costs import made_good
from twins.devices import DeviceType
from twins.events import PATTERNS
from twins.recommendations import CONFIDENCES, Advice, Adviser, Sign
from twins.typefiles import load_catalog

CATALOG = load_catalog()
PUMP = CATALOG["centrifugal-pump"]


def alert(*rules: str) -> list[Sign]:
    return [Sign("alert", rule) for rule in rules]


def pattern(name: str, channel: str) -> Sign:
    return Sign("pattern", name, channel)


def told(signs: list[Sign], device_type: DeviceType = PUMP) -> dict[str | None, str]:
    return {each.failure_mode: each.confidence for each in Adviser(device_type).advise(signs)}


def test_two_channels_that_one_mode_alone_explains_make_it_likely() -> None:
    (advice,) = Adviser(PUMP).advise(alert("vibration-high", "bearing-hot"))
    assert (advice.failure_mode, advice.confidence) == ("bearing-wear", "likely")
    assert set(advice.signs) == set(alert("vibration-high", "bearing-hot"))
    assert [action.name for action in advice.actions] == ["replace-bearings", "overhaul", "regrease-bearings"]


def test_a_mode_whose_mark_cannot_reach_the_limit_explains_nothing() -> None:
    assert told(alert("vibration-high")) == {"bearing-wear": "possible", "suction-clogging": "possible"}
    assert told(alert("vibration-trip")) == {"bearing-wear": "possible"}  # 6.6 mm/s is too far for the others


def test_one_channel_is_possible_and_names_what_helps() -> None:
    (advice,) = Adviser(PUMP).advise(alert("suction-low"))
    assert (advice.failure_mode, advice.confidence) == ("suction-clogging", "possible")
    assert [action.name for action in advice.actions] == ["clean-strainer", "overhaul"]


def test_what_only_says_when_to_look_is_no_sign() -> None:
    modes = told(alert("hydraulics-weak"))  # discharge_pressure < 4.5 and speed > 2500
    assert "impeller-erosion" in modes
    assert "unknown" not in modes.values()


def test_low_health_supports_what_is_explained_and_explains_nothing_itself() -> None:
    assert told(alert("health-low")) == {None: "unknown"}
    (advice,) = Adviser(PUMP).advise(alert("health-low", "suction-low"))
    assert (advice.failure_mode, advice.confidence) == ("suction-clogging", "possible")
    assert set(advice.signs) == set(alert("health-low", "suction-low"))


def test_silence_and_a_stuck_sensor_say_nothing_of_the_machine() -> None:
    assert told(alert("silent")) == {None: "unknown"}
    found = Adviser(PUMP).advise([*alert("suction-low", "silent"), pattern("stuck", "vibration")])
    assert [(each.failure_mode, each.confidence) for each in found] == [
        ("suction-clogging", "possible"), (None, "unknown"),
    ]  # fmt: skip
    assert set(found[1].signs) == {*alert("silent"), pattern("stuck", "vibration")}


def test_patterns_count_as_signs_on_their_channel() -> None:
    assert told([pattern("drift", "seal_temperature")]) == {"seal-leak": "possible"}
    assert told([*alert("vibration-high"), pattern("drift", "bearing_temperature")]) == {
        "bearing-wear": "likely"
    }
    assert told([pattern("drift", "speed")]) == {
        None: "unknown"
    }  # what it is asked to do is not held against it


def test_what_is_left_over_makes_a_mode_doubtful() -> None:
    found = told(alert("seal-hot", "vibration-trip", "bearing-hot"))
    assert found == {"bearing-wear": "doubtful", None: "unknown"}


def test_an_inspection_comes_first_while_the_mode_is_not_likely() -> None:
    chiller = CATALOG["chiller"]
    adviser = Adviser(chiller)
    for rule in chiller.rules:
        for advice in adviser.advise(alert(rule.name)):
            assert advice.actions[0].kind == "inspection"


def forecast(mode: str = "") -> list[Sign]:
    return [Sign("prognosis", mode)]


def test_a_forecast_alone_makes_its_mode_possible() -> None:
    (advice,) = Adviser(PUMP).advise(forecast("bearing-wear"))
    assert (advice.failure_mode, advice.confidence, advice.signs) == (
        "bearing-wear",
        "possible",
        tuple(forecast("bearing-wear")),
    )
    assert advice.actions[0].name == "replace-bearings"


def test_a_forecast_and_what_stands_out_join_where_they_name_the_same_mode() -> None:
    signs = [*alert("vibration-high"), *forecast("bearing-wear")]
    found = Adviser(PUMP).advise(signs)
    assert [(each.failure_mode, each.confidence) for each in found] == [
        ("bearing-wear", "likely"),
        ("suction-clogging", "possible"),
    ]
    assert set(found[0].signs) == set(signs)
    assert found[1].signs == tuple(alert("vibration-high"))
    other = [*alert("suction-low"), *forecast("bearing-wear")]
    assert told(other) == {"suction-clogging": "possible", "bearing-wear": "doubtful"}


def test_a_forecast_of_no_mode_supports_what_is_explained_and_explains_nothing_itself() -> None:
    (advice,) = Adviser(PUMP).advise([*alert("suction-low"), *forecast()])
    assert (advice.failure_mode, advice.confidence) == ("suction-clogging", "possible")
    assert set(advice.signs) == {*alert("suction-low"), *forecast()}
    for unnamed in (forecast(), forecast("no mode of the type")):
        (advice,) = Adviser(PUMP).advise(unnamed)
        assert (advice.failure_mode, advice.confidence) == (None, "unknown")
        assert [action.name for action in advice.actions] == ["overhaul"]


def test_the_act_that_is_reckoned_with_is_the_best_that_does_more_than_look() -> None:
    for device_type in CATALOG.values():
        adviser = Adviser(device_type)
        for mode in device_type.failure_modes:
            found = adviser.planned(mode.name)
            assert found is not None
            assert found[0].kind != "inspection"
            most = max(made_good(each, mode.name) for each in device_type.actions)
            assert made_good(found[0], mode.name) == found[1].good == most
    assert Adviser(CATALOG["chiller"]).planned(None) is None


def test_rules_that_tell_of_a_mode_are_those_that_it_explains() -> None:
    rules = Adviser(PUMP).telling("bearing-wear")
    assert {"vibration-high", "vibration-trip", "bearing-hot", "bearing-overheated"} == set(rules)
    assert Adviser(PUMP).telling("no such mode") == ()


@st.composite
def cases(draw: st.DrawFn) -> tuple[DeviceType, list[Sign]]:
    device_type = CATALOG[draw(st.sampled_from(sorted(CATALOG)))]
    signs = [Sign("alert", rule.name) for rule in device_type.rules]
    signs += [
        pattern(name, channel) for name in PATTERNS for channel in (*device_type.channel_names, "no such")
    ]
    signs.append(Sign("alert", "gone from the type"))
    signs += [sign for mode in device_type.failure_modes for sign in forecast(mode.name)]
    signs += [*forecast(), *forecast("gone from the type")]
    return device_type, draw(st.lists(st.sampled_from(signs), max_size=6))


@given(cases())
@settings(max_examples=300, deadline=None)
def test_every_sign_is_spoken_for_and_nothing_is_advised_twice(case: tuple[DeviceType, list[Sign]]) -> None:
    device_type, signs = case
    found = Adviser(device_type).advise(signs)
    assert {sign for each in found for sign in each.signs} == set(signs)
    modes = [each.failure_mode for each in found]
    assert len(set(modes)) == len(modes)
    assert sum(each.confidence == "likely" for each in found) <= 1
    for each in found:
        assert each.signs
        assert (each.failure_mode is None) == (each.confidence == "unknown")
        for action in each.actions:
            assert action.kind == "inspection" or made_good(action, each.failure_mode or "") > 0
    doubts = [CONFIDENCES.index(each.confidence) for each in found]
    assert doubts == sorted(doubts)
    assert Adviser(device_type).advise(reversed(signs)) == found


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_advice_for_many_is_that_for_each(name: str) -> None:
    device_type = CATALOG[name]
    rng = np.random.default_rng(3)
    raised = rng.integers(0, 1 << len(device_type.rules), 40).astype(np.uint64)
    raised[::7] = 0
    modes = [*(mode.name for mode in device_type.failure_modes), ""]
    named = rng.integers(-1, len(modes), 40)
    adviser = Adviser(device_type)
    many = adviser.advise_many(raised, named)
    expected: list[tuple[int, Advice]] = []
    for device, (bits, mode) in enumerate(zip(raised.tolist(), named.tolist(), strict=True)):
        signs = alert(*(rule.name for r, rule in enumerate(device_type.rules) if bits >> r & 1))
        signs += forecast(modes[mode]) if mode >= 0 else []
        expected += [(device, each) for each in Adviser(device_type).advise(signs)]
    got = [(d, many.kinds[k]) for d, k in zip(many.device.tolist(), many.kind.tolist(), strict=True)]
    assert got == expected
    assert len(adviser.advise_many(np.zeros(0, np.uint64)).device) == 0


def test_each_failure_mode_is_found_by_the_drift_of_all_its_marks() -> None:
    for device_type in CATALOG.values():
        blamed = {channel.name for channel in device_type.channels if not channel.condition}
        for mode in device_type.failure_modes:
            signs = [pattern("drift", e.channel) for e in mode.effects if e.shift and e.channel in blamed]
            if signs:
                assert mode.name in told(signs, device_type)
