"""Recommendations: what to do about devices, and why."""

from collections.abc import Iterator, Sequence

from serve.client.connection import Connection, in_path
from serve.schemas.base import Priority
from serve.schemas.recommendations import DeviceRecommendations, Recommendation, RecommendationPage
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
        sort: str = "urgency",
        cursor: str | None = None,
    ) -> Iterator[Recommendation]:
        """What to do about every device that fits: the most urgent first, then the most likely, then by money
        at stake."""
        query = {
            "filter": filter, "device": tuple(device), "type": tuple(type), "site": tuple(site),
            "failure_mode": tuple(failure_mode), "confidence": tuple(confidence), "priority": tuple(priority),
            "sort": sort, "cursor": cursor, "limit": 1_000,
        }  # fmt: skip
        for page in self._ask.pages(RecommendationPage, "/api/recommendations", query):
            yield from page.items

    def of(self, device_id: str) -> list[Recommendation]:
        """What to do about one device, from all that its shard knows."""
        path = f"/api/devices/{in_path(device_id)}/recommendations"
        return self._ask.get(DeviceRecommendations, path).items
