"""The what-if lab: scenarios, experiments and what they came to. Bounds that are not known are null."""

from typing import Annotated, Any, Literal

from pydantic import Field

from serve.schemas.base import ListReply, Reply, Request

ExperimentState = Literal["queued", "running", "done", "failed", "cancelled"]


class ScenarioTemplate(Reply):
    name: str
    title: str
    text: str = Field(description="YAML, to copy")


class ScenarioTemplates(Reply):
    items: list[ScenarioTemplate]


class ScenarioProblem(Reply):
    line: int = Field(description="0: of the whole")
    problem: str
    remedy: str


class ScenarioEstimate(Reply):
    """What a scenario takes; with a stopping rule, at the least."""

    devices: dict[str, int] = Field(
        description="that are forked, by type", examples=[{"centrifugal-pump": 40}]
    )
    arms: int
    replications: int = Field(description="of each arm")
    device_steps: int
    seconds: float = Field(description="on the cores of this machine, about")
    memory_mb: int = Field(description="of each worker, about")
    disk_mb: int = Field(description="of results, about")


class ScenarioCheck(Reply):
    scenario: dict[str, Any] | None = Field(description="as JSON values; null where it cannot be read")
    problems: list[ScenarioProblem] = Field(description="by line; none: it can be run")
    estimate: ScenarioEstimate | None = Field(description="null where it cannot be told")


class ExperimentItem(Reply):
    """An experiment, as the library of past ones has it."""

    id: str = Field(examples=["whatif-12"])
    name: str
    title: str
    state: ExperimentState
    progress: float | None = Field(description="0 to 1; null where it cannot be told")
    message: str
    by: str
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    arms: list[str] = Field(examples=[["run-to-failure", "by-condition"]])
    reference: str = Field(description="the arm that others are compared with", examples=["run-to-failure"])
    replications_done: int = Field(description="of each arm")
    replications_wanted: int = Field(description="so far; a stopping rule may want more")
    devices: dict[str, int] = Field(
        description="that were forked, by type", examples=[{"centrifugal-pump": 40}]
    )
    horizon_h: float
    forked_at: str | None = Field(description="shard time; null before it was forked")
    metrics: list[str] = Field(examples=[["cost", "failures"]])
    trust: str | None = Field(description="how past forks fared against what then happened; null: not known")


class ExperimentList(ListReply):
    items: list[ExperimentItem]


class ExperimentDetail(ExperimentItem):
    scenario: dict[str, Any]
    scenario_text: str = Field(description="YAML, as it was written")
    manifest: dict[str, Any] = Field(description="versions, seed, lineage; empty before it was forked")
    citation: str = Field(description="empty before it was forked")


class ArmDifference(Reply):
    """An arm against the reference arm, replication by replication."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    correlation: float | None = Field(description="of the pairs; what shared luck achieved")
    variance_ratio: float | None = Field(
        description="to that of independent runs; below 1: shared luck helped"
    )
    share_better: float | None = Field(description="of single futures")
    share_better_low: float | None
    share_better_high: float | None
    p_mean_better: float | None = Field(
        description="probability that the expected difference is on the better side"
    )


class ArmFigure(Reply):
    arm: str
    value: float | None
    low: float | None
    high: float | None
    n: int = Field(description="replications with a value")
    undefined: int = Field(description="replications without one")
    difference: ArmDifference | None = Field(description="null for the reference arm")


class MetricFigures(Reply):
    metric: str
    better: Literal["lower", "higher"]
    unit: str
    arms: list[ArmFigure]


class ExperimentResults(Reply):
    replications: int = Field(description="in which every arm was run")
    is_partial: bool = Field(description="more may come")
    level: float = Field(description="of the intervals")
    reference: str
    metrics: list[MetricFigures]


class ArmFan(Reply):
    """Where an arm's futures go, by stretch of time; ``low`` and ``high`` by range, then by stretch."""

    arm: str
    median: list[float | None]
    ranges: list[float]
    low: list[list[float | None]]
    high: list[list[float | None]]
    paths: list[list[float | None]] = Field(description="single replications, five at most")


class ExperimentFans(Reply):
    metric: str
    unit: str
    group: str | None = Field(description="null: all together")
    groups: list[str]
    start_h: list[float] = Field(description="after the fork, 1,000 stretches at most, evenly picked")
    bucket_h: float
    arms: list[ArmFan]


class NewRerun(Request):
    arm: Annotated[str, Field(min_length=1, max_length=200)]
    replication: Annotated[int, Field(ge=0, le=1_000_000)]
    device_ids: Annotated[list[Annotated[str, Field(max_length=256)]], Field(min_length=1, max_length=5)]


class DeviceTrace(Reply):
    device_id: str
    at_h: list[float] = Field(description="after the fork, 1,500 at most")
    quantities: dict[str, list[float | None]] = Field(
        description="channels by name, `health`, `wear.<mode>`, `running`"
    )


class Rerun(Reply):
    arm: str
    replication: int
    traces: list[DeviceTrace]
