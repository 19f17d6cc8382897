"""What people ask of alerts over REST, in any order, against the slow and obvious fleet.

No fault, no transition that ISA-18.2 does not know; each thing is done once, told once and audited once.
"""

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from serve import audit
from serve.keyset import Spot
from tests.serve.edges import DEVICES, METER, PUMP, T0, Edge, edge
from tests.twins.naive_fleet import NaiveFleet, Refused
from twins.clock import SECOND_US
from twins.events import KINDS, Kind
from twins.warmup import compile_kernels

PUMPS = [device.id for device in DEVICES if device.device_type == "pump"]
RULES = [each.name for each in PUMP.rules]
BY = "local"

WHICH = st.tuples(st.sampled_from(PUMPS), st.sampled_from(RULES), st.sampled_from([0, 0, 1]))

ASIDE = {"SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"}
BACK = {"NORMAL", "UNACK", "LATCHED_UNACK", "LATCHED_ACKED"}
AFTER = {
    "NORMAL": {"UNACK"},
    "UNACK": {"ACKED", "RTN_UNACK", "LATCHED_UNACK"},
    "ACKED": {"NORMAL", "LATCHED_ACKED"},
    "RTN_UNACK": {"NORMAL", "UNACK"},
    "LATCHED_UNACK": {"LATCHED_ACKED", "RTN_UNACK", "UNACK"},
    "LATCHED_ACKED": {"NORMAL", "UNACK"},
    **dict.fromkeys(ASIDE, BACK),
}
"""What may follow a state in one step, by ISA-18.2 and docs/concepts/alert.md; any state may be put aside."""

STATUS = {
    "CommandRefusedError": (409, "command.refused"),
    "VersionConflictError": (409, "command.version_conflict"),
    "AlertNotFoundError": (404, "alert.not_found"),
    "DeviceNotFoundError": (404, "device.not_found"),
}
PLAIN = (
    "acknowledge",
    "reset",
    "unshelve",
    "suppress",
    "unsuppress",
    "remove-from-service",
    "return-to-service",
)
VERBS = (*PLAIN, "shelve", "assign", "comment")


class Alerts(RuleBasedStateMachine):
    """A running edge beside its model."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        compile_kernels()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        at_rest = {"update_every_s": 3600.0}
        self.it: Edge = self.run(self.stack.enter_async_context(edge(Path(self.folder.name), **at_rest)))
        self.model = NaiveFleet()
        for device_type in (PUMP, METER):
            self.model.install(device_type, T0)
        for name in ("pump", "meter"):
            self.model.register([device for device in DEVICES if device.device_type == name], BY, T0)
        self.now_us = T0
        self.cursor: str | None = None
        self.answered = 0  # with success, to something that changes
        self.states: dict[tuple[str, str], str] = {}
        self.number = 0  # of what was asked

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.each_is_told_and_audited_once()
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    # -- what happens ------------------------------------------------------------------------------

    @rule(
        device=st.sampled_from(PUMPS), after_s=st.sampled_from([0, 1, 1, 60]), vibration=st.sampled_from([1.0, 9.0]),
        flow=st.sampled_from([0.0, 100.0]),
    )  # fmt: skip
    def read(self, device: str, after_s: int, vibration: float, flow: float) -> None:
        """A reading; at the same time as the one before it is a duplicate and changes nothing."""
        self.pass_time(after_s)
        values = {"vibration": vibration, "flow": flow}
        self.model.write("pump", [(device, self.now_us, values)], self.now_us)
        body = {"readings": [{"device": device, "time": self.now_us, "values": values}]}
        self.cursor = self.run(self.it.post("/api/readings", body))["cursor"]

    @rule(s=st.sampled_from([1, 30, 600]))
    def wait(self, s: int) -> None:
        self.pass_time(s)

    def pass_time(self, s: int) -> None:
        self.now_us += s * SECOND_US
        self.it.clock.advance_to(self.now_us)
        self.it.fleet.advance(self.now_us)
        self.model.advance(self.now_us)

    # -- what is asked -----------------------------------------------------------------------------

    @rule(
        target=asked, device=st.sampled_from([*PUMPS, PUMPS[0], "nobody"]), of=st.sampled_from(RULES),
        verb=st.sampled_from(VERBS),
        stale=st.sampled_from([0, 0, 0, 0, -1, 1]), key=st.none() | st.sampled_from("abcdefgh"),
        word=st.sampled_from(["", "storm"]),
        shelf_s=st.sampled_from([None, 30.0, 600.0]),
    )  # fmt: skip
    def ask_one(
        self, device: str, of: str, verb: str, stale: int, key: str | None, word: str, shelf_s: float | None
    ) -> Any:
        """One thing of one alert, of the occurrence that stands or of another, perhaps under a key."""
        occurrence = max(0, self.occurrence(device, of) + stale)
        alert = f"{device}:{of}:{occurrence}"
        said, given = _said(verb, word, shelf_s)
        if verb == "comment" and not word:
            self.run(self.it.post(f"/api/alerts/{alert}/{verb}", said, 422))
            return multiple()
        self.number += 1
        request = (verb, alert, said, given, f"once {self.number}" if key is None else key)
        self.put(request, {} if key is None else {"Idempotency-Key": key})
        return request if key is not None else multiple()

    @rule(request=asked)
    def ask_again(self, request: Any) -> None:
        """The very same under the same key: where it was done, it is not done again, whatever has happened since."""
        self.put(request, {"Idempotency-Key": request[4]})

    def put(self, request: Any, headers: dict[str, str]) -> None:
        verb, alert, said, given, command_id = request
        status, code = self.expected(command_id, verb, alert, said.get("note", ""), given)
        answer = self.run(self.it.client.post(f"/api/alerts/{alert}/{verb}", json=said, headers=headers))
        assert answer.status_code == status, (alert, verb, answer.text)
        if status == 200:
            self.answered += 1
            self.cursor = answer.json()["cursor"]
        else:
            assert answer.json()["code"] == code, (alert, verb, answer.text)

    @rule(
        verb=st.sampled_from(VERBS), word=st.just("all"), shelf_s=st.sampled_from([None, 30.0]),
        which=st.lists(WHICH, min_size=1, max_size=6),
    )  # fmt: skip
    def ask_several(
        self, verb: str, word: str, shelf_s: float | None, which: list[tuple[str, str, int]]
    ) -> None:
        """One thing of alerts that are named."""
        wanted = list(
            dict.fromkeys(
                f"{device}:{of}:{self.occurrence(device, of) + wrong}" for device, of, wrong in which
            )
        )
        self.ask_of(wanted, {"alerts": wanted}, verb, word, shelf_s)

    @precondition(lambda self: self.states)
    @rule(
        verb=st.sampled_from(VERBS), word=st.just("all"), shelf_s=st.sampled_from([None, 30.0]),
        state=st.sampled_from(["UNACK", "ACKED", "RTN_UNACK", "SHELVED", "LATCHED_UNACK"]),
        priority=st.sampled_from([[], ["high"], ["critical", "low"]]), site=st.sampled_from([[], ["oslo"]]),
    )  # fmt: skip
    def ask_all_that_match(
        self, verb: str, word: str, shelf_s: float | None, state: str, priority: list[str], site: list[str]
    ) -> None:
        """One thing of all that the list would show, counted first."""
        sites = {device.id: device.site for device in DEVICES}
        priorities = {each.name: each.priority for each in PUMP.rules}
        wanted = [
            f"{device}:{of}:{self.occurrence(device, of)}"
            for (device, of), found in self.states.items()
            if found == state
            and (not priority or priorities[of] in priority)
            and (not site or sites[device] in site)
        ]
        matching = {"state": [state], "priority": priority, "site": site}
        self.ask_of(wanted, {"matching": matching}, verb, word, shelf_s, count_first=True)

    def ask_of(
        self,
        wanted: list[str],
        how: dict[str, Any],
        verb: str,
        word: str,
        shelf_s: float | None,
        count_first: bool = False,
    ) -> None:
        said, given = _said(verb, word, shelf_s)
        body = {"command": verb, **how, **said}
        self.run(self.it.fresh())
        if count_first:
            counted = self.run(self.it.post("/api/alerts/commands", {**body, "dry_run": True}))
            assert (counted["matched"], counted["done"]) == (len(wanted), 0)
            self.answered += 1
        done = self.run(self.it.post("/api/alerts/commands", body))
        self.answered += 1
        self.number += 1
        outcomes = {
            alert: self.expected(f"several {self.number} {alert}", verb, alert, said.get("note", ""), given)
            for alert in wanted
        }
        refused = {alert: code for alert, (status, code) in outcomes.items() if status != 200}
        assert (done["matched"], done["done"], done["refused_total"]) == (
            len(wanted),
            len(wanted) - len(refused),
            len(refused),
        )
        assert {each["alert"]: each["code"] for each in done["refused"]} == refused
        self.cursor = done["cursor"] or self.cursor

    def expected(
        self, command_id: str, verb: str, alert: str, note: str, given: dict[str, Any]
    ) -> tuple[int, str]:
        """What the model makes of it: status and code."""
        device, of, occurrence = alert.rsplit(":", 2)
        place = self.it.fleet.find(device)
        try:
            self.model.alert_command(  # a host remembers what it has done
                f"{command_id} {place and place[0]}",
                verb.replace("-", "_"),
                device,
                of,
                BY,
                note,
                self.now_us,
                occurrence=int(occurrence),
                **given,
            )
        except Refused as refused:
            return STATUS[str(refused)]
        return 200, ""

    def occurrence(self, device: str, of: str) -> int:
        found = self.model.devices.get(device)
        return next(each.occurrence for each in found.alerts.alerts if each.rule.name == of) if found else 1

    # -- what must be so ---------------------------------------------------------------------------

    @invariant()
    def the_list_shows_what_the_model_says(self) -> None:
        """With the cursor of what was last done, so that it is in."""
        self.run(self.it.fresh())
        listed = self.run(self.it.get("/api/alerts", limit=100, cursor=self.cursor))
        shown = {(each["device_id"], each["rule"]): each["state"] for each in listed["items"]}
        phases = {
            (name, each.rule.name): each.phase
            for name, device in self.model.devices.items()
            for each in device.alerts.alerts
        }
        assert shown == {alert: phase for alert, phase in phases.items() if phase != "NORMAL"}
        for alert, phase in phases.items():
            before = self.states.get(alert, "NORMAL")
            assert phase == before or phase in ASIDE or phase in AFTER[before], f"{alert}: {before} → {phase}"
        self.states = phases

    def each_is_told_and_audited_once(self) -> None:
        names = {KINDS[kind].type: kind for kind in Kind if KINDS[kind].slot == "rule"}
        for device in PUMPS:
            told = self.run(self.it.get(f"/api/devices/{device}/events", limit=1_000))["items"]
            heard = Counter(
                (each["type"], each["detail"]["rule"], each["detail"]["occurrence"])
                for each in told
                if each["type"] in names
            )
            modelled = Counter(
                (KINDS[Kind(kind)].type, RULES[slot], occurrence)
                for _, kind, slot, occurrence, _, _ in self.model.devices[device].events
                if KINDS[Kind(kind)].slot == "rule"
            )
            assert heard == modelled, device
        database = self.it.context.access.database
        lines = [each for each in audit.lines(database, Spot(10_000)).items if "/api/alerts" in each.what]
        assert len(lines) == self.answered
        assert {each.by for each in lines} <= {BY}
        assert audit.verify(database) is None


def _said(verb: str, word: str, shelf_s: float | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body of a request, and the model's words for it."""
    said: dict[str, Any] = {"note": word} if word else {}
    match verb:
        case "shelve":
            how = {"one_shot": True} if shelf_s is None else {"duration_s": shelf_s}
            return {**said, **how, "reason": "swap"}, {"duration_s": shelf_s, "reason": "swap"}
        case "suppress" | "remove-from-service":
            return {**said, "reason": "swap"}, {"reason": "swap"}
        case "assign":
            return {**said, "assignee": "kari"}, {"assignee": "kari"}
    return said, {}


def _tried(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Alerts,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_is_asked_of_alerts_the_list_says_what_the_standard_does() -> None:
    _tried(2, 20)


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_hundreds_of_shifts() -> None:
    _tried(300, 50)
