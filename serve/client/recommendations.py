"""Recommendations: what to do about devices, and why."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from serve.client.connection import Connection, in_path
from serve.schemas.base import Priority
from serve.schemas.recommendations import (
    Acceptance,
    Decided,
    DeviceRecommendations,
    Dismissal,
    Finished,
    Outcome,
    Recommendation,
    RecommendationDetail,
    RecommendationPage,
    RecommendationRecord,
    RecommendationSimulation,
    RecordItem,
)
from twins.recommendations import Confidence


class Recommendations:
    """What can be asked about recommendations."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(
        self,
        filter: str = "",  # noqa: A002
        *,
        device: Sequence[str] = (),
        type: Sequence[str] = (),  # noqa: A002
        site: Sequence[str] = (),
        failure_mode: Sequence[str] = (),
        confidence: Sequence[Confidence] = (),
        priority: Sequence[Priority] = (),
        decision: Sequence[Literal["open", "accepted", "dismissed", "done"]] = (),
        sort: str = "urgency",
        cursor: str | None = None,
    ) -> Iterator[Recommendation]:
        """What to do about every device that fits: the most urgent first, then the most likely, then by money
        at stake. Unless ``decision`` says otherwise, what is open or accepted."""
        query = {
            "filter": filter, "device": tuple(device), "type": tuple(type), "site": tuple(site),
            "failure_mode": tuple(failure_mode), "confidence": tuple(confidence), "priority": tuple(priority),
            "decision": tuple(decision), "sort": sort, "cursor": cursor, "limit": 1_000,
        }  # fmt: skip
        for page in self._ask.pages(RecommendationPage, "/api/recommendations", query):
            yield from page.items

    def of(self, device_id: str) -> list[Recommendation]:
        """What to do about one device, from all that its shard knows."""
        path = f"/api/devices/{in_path(device_id)}/recommendations"
        return self._ask.get(DeviceRecommendations, path).items

    def one(self, recommendation: str) -> RecommendationDetail:
        """One recommendation, with past cases of its failure mode."""
        return self._ask.get(RecommendationDetail, f"/api/recommendations/{in_path(recommendation)}")

    def simulation(self, recommendation: str) -> RecommendationSimulation:
        """What doing nothing, later and now come to in the device's own futures."""
        return self._ask.get(RecommendationSimulation, _act(recommendation, "simulation"))

    def record(self) -> list[RecordItem]:
        """What came of recommendations so far, by device type and failure mode."""
        return self._ask.get(RecommendationRecord, "/api/recommendations/record").items

    def accept(self, recommendation: str, note: str = "") -> Decided:
        """Take a recommendation on."""
        return self._ask.send(Decided, "POST", _act(recommendation, "accept"), Acceptance(note=note))

    def dismiss(self, recommendation: str, reason: str, until: datetime | None = None) -> Decided:
        """Put a recommendation aside until something new speaks for it, or until a chosen time."""
        body = Dismissal(reason=reason, until=until)
        return self._ask.send(Decided, "POST", _act(recommendation, "dismiss"), body)

    def done(
        self,
        recommendation: str,
        outcome: Outcome,
        action: str | None = None,
        note: str = "",
        key: str | None = None,
    ) -> Decided:
        """Say that it is done by ``action`` (None: by no more than a look) and what was found; that is recorded as
        maintenance."""
        body = Finished(outcome=outcome, action=action, note=note)
        return self._ask.command(Decided, "POST", _act(recommendation, "done"), body, key)


def _act(recommendation: str, what: str) -> str:
    return f"/api/recommendations/{in_path(recommendation)}/{what}"
