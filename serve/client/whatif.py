"""The what-if lab: scenarios to copy and to check, experiments and what they came to."""

from collections.abc import Iterator, Sequence
from typing import Literal

from serve.client.connection import Connection, in_path
from serve.schemas.whatif import (
    ExperimentDetail,
    ExperimentFans,
    ExperimentItem,
    ExperimentList,
    ExperimentResults,
    NewRerun,
    Rerun,
    ScenarioCheck,
    ScenarioTemplate,
    ScenarioTemplates,
)

_YAML = {"Content-Type": "application/yaml"}


class WhatIf:
    """What can be asked of the what-if lab."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def templates(self) -> list[ScenarioTemplate]:
        """Scenarios to copy."""
        return self._ask.get(ScenarioTemplates, "/api/whatif/templates").items

    def check(self, scenario: str) -> ScenarioCheck:
        """Whether a scenario, in YAML or JSON, can be run, and what it takes."""
        answer = self._ask.ask(
            "POST", "/api/whatif/check", content=scenario.encode(), headers=_YAML, again=True
        )
        return ScenarioCheck.model_validate_json(answer.content)

    def begin(self, scenario: str) -> ExperimentItem:
        """Begin an experiment, as a job of the same id; see ``jobs.follow``."""
        answer = self._ask.ask(
            "POST", "/api/whatif/experiments", content=scenario.encode(), headers=_YAML
        )  # fmt: skip
        return ExperimentItem.model_validate_json(answer.content)

    def all(self) -> Iterator[ExperimentItem]:
        """All experiments that there are, the newest first."""
        for page in self._ask.pages(ExperimentList, "/api/whatif/experiments", {"limit": 1_000}):
            yield from page.items

    def one(self, experiment: str) -> ExperimentDetail:
        """One, with its scenario, what it was run with, and how to cite it."""
        return self._ask.get(ExperimentDetail, _of(experiment))

    def results(self, experiment: str) -> ExperimentResults:
        """Figures of every arm, as far as they are there."""
        return self._ask.get(ExperimentResults, _of(experiment, "results"))

    def fans(self, experiment: str, metric: str, group: str | None = None) -> ExperimentFans:
        """Where a metric goes over time."""
        return self._ask.get(ExperimentFans, _of(experiment, "fans"), {"metric": metric, "group": group})

    def table(self, experiment: str, name: str, form: Literal["parquet", "csv", "json"] = "parquet") -> bytes:
        """A table of results as the bytes of a file."""
        return self._ask.ask("GET", _of(experiment, "tables", name), {"format": form}).content

    def cancel(self, experiment: str) -> ExperimentItem:
        """End one at once; what was done so far stays."""
        return self._ask.send(ExperimentItem, "POST", _of(experiment, "cancel"))

    def rerun(self, experiment: str, arm: str, replication: int, device_ids: Sequence[str]) -> Rerun:
        """Every step of up to five devices in one replication, run again."""
        body = NewRerun(arm=arm, replication=replication, device_ids=list(device_ids))
        return self._ask.send(Rerun, "POST", _of(experiment, "reruns"), body)

    def delete(self, experiment: str) -> None:
        """Delete one that has ended."""
        self._ask.change("DELETE", _of(experiment))


def _of(*parts: object) -> str:
    return f"/api/whatif/experiments/{in_path(*parts)}"
