"""Versions of trained models: those that there are, which is better, and putting one in force."""

from collections.abc import Iterator

from serve.client.connection import Connection, in_path
from serve.schemas.jobs import JobItem
from serve.schemas.models import (
    ModelChange,
    ModelChanges,
    ModelComparison,
    ModelDetail,
    ModelDrift,
    ModelItem,
    ModelList,
    ModelReason,
    ModelRecord,
    NewTraining,
    PromotionReport,
)


class Models:
    """What can be asked about models."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self, device_type: str | None = None) -> Iterator[ModelItem]:
        """Every version, by type, the newest first; with ``device_type`` those of one."""
        for page in self._ask.pages(ModelList, "/api/models", {"type": device_type, "limit": 1_000}):
            yield from page.items

    def one(self, device_type: str, version: int) -> ModelDetail:
        """What a version was trained on, and how well it did."""
        return self._ask.get(ModelDetail, _of(device_type, version))

    def compare(self, device_type: str, challenger: int, champion: int | None = None) -> ModelComparison:
        """Whether a version is better than another; without ``champion`` than the one in force."""
        query = {"a": champion, "b": challenger}
        return self._ask.get(ModelComparison, _of(device_type) + "/compare", query)

    def changes(self, device_type: str) -> list[ModelChange]:
        """Which versions were put in force, when, by whom and why, the newest first."""
        return self._ask.get(ModelChanges, _of(device_type) + "/changes").changes

    def drift(self, device_type: str) -> ModelDrift:
        """Whether the version in force still fits the devices that it is asked about."""
        return self._ask.get(ModelDrift, _of(device_type) + "/drift")

    def record(self, device_type: str, days: float = 90.0) -> ModelRecord:
        """What forecasts of the last days were worth against what then happened, by version."""
        return self._ask.get(ModelRecord, _of(device_type) + "/record", {"days": days})

    def train(
        self, device_type: str, *, with_age: bool = True, promote: bool = True, seed: int = 0
    ) -> JobItem:
        """Begin to make a version from the failures in history, as a job; see ``jobs``."""
        body = NewTraining(with_age=with_age, promote=promote, seed=seed)
        return self._ask.send(JobItem, "POST", _of(device_type) + "/train", body)

    def report(
        self, device_type: str, version: int, *, days: float = 7.0, devices: int | None = None, seed: int = 0
    ) -> PromotionReport:
        """Which past alerts would have appeared, vanished or moved with this version in force, from some devices."""
        query = {"days": days, "devices": devices, "seed": seed}
        answer = self._ask.ask("POST", _of(device_type, version) + "/report", query, again=True)
        return PromotionReport.model_validate_json(answer.content)

    def begin_report(self, device_type: str, version: int, *, days: float = 7.0, seed: int = 0) -> JobItem:
        """The same with all devices, as a job; its result reads as a ``PromotionReport``."""
        answer = self._ask.ask("POST", _of(device_type, version) + "/reports", {"days": days, "seed": seed})
        return JobItem.model_validate_json(answer.content)

    def promote(self, device_type: str, version: int, reason: str = "") -> ModelItem:
        """Put a version in force, an older one too."""
        path = _of(device_type, version) + "/promote"
        return self._ask.send(ModelItem, "POST", path, ModelReason(reason=reason))

    def rollback(self, device_type: str, reason: str = "") -> ModelItem:
        """Put the version in force again that was before the present one; once more goes further back."""
        return self._ask.send(ModelItem, "POST", _of(device_type) + "/rollback", ModelReason(reason=reason))


def _of(*parts: object) -> str:
    return f"/api/models/{in_path(*parts)}"
