"""How values read outside: times as ISO 8601, missing numbers as null, alerts with what their rules say."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from fastapi.responses import JSONResponse, Response

from serve.cursors import stream_cursor
from serve.lists import Page
from serve.live import View, known, short
from training.jobs import Job
from twins import filters
from twins.alerts import alert_id
from twins.devices import PRIORITIES, AlertRule, DeviceType
from twins.prognosis import FIGURES
from twins.rules import rule_vocabulary

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final[Mapping[str, str]] = {"silent_s": "s"}
"""Of what rules watch beside channels; the rest are plain numbers."""

_PRIORITY_AT: Final = {name: level for level, name in enumerate(PRIORITIES)}


class RuleFacts(NamedTuple):
    """What a rule says of its alerts."""

    title: str
    priority: str
    consequence: str
    response: str
    unit: str


class Rules:
    """What the rules in force say, by device type and name; read once a version."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], dict[str, RuleFacts]] = {}

    def find(self, device_type: DeviceType, rule: str) -> RuleFacts:
        """Blank facts for a rule that is gone from the type."""
        key = device_type.name, device_type.version
        facts = self._of.get(key)
        if facts is None:
            vocabulary = rule_vocabulary(device_type)
            facts = {
                each.name: RuleFacts(
                    each.title or each.name, each.priority, each.consequence, each.response,
                    _unit(each, device_type, vocabulary),
                )
                for each in device_type.rules
            }  # fmt: skip
            self._of[key] = facts
        return facts.get(rule, RuleFacts(rule, "low", "", "", "1"))


def reply(body: Any, status: int = 200) -> Response:
    """``body`` as JSON. Times may be in it as aware datetimes; NaN may not."""
    return Response(
        json.dumps(body, default=_iso, allow_nan=False, separators=(",", ":"), ensure_ascii=False),
        status,
        media_type=JSONResponse.media_type,
    )


def iso(at_us: int | None) -> str | None:
    """Microseconds since the epoch as ISO 8601 in UTC, to the millisecond; None stays None."""
    return None if at_us is None else _iso(_EPOCH + timedelta(microseconds=at_us))


def as_of(view: View) -> str | None:
    """The age of a view; null before the first generation."""
    return iso(view.as_of_us) if view.generations else None


def page_reply(view: View, page: Page) -> Response:
    """A page of a list as a reply."""
    return reply(
        {
            "items": page.items,
            "total": page.total,
            "as_of": as_of(view),
            "next": page.next,
            "previous": page.previous,
        }
    )


def device_page(view: View, page: Page) -> dict[str, Any]:
    """A page of devices as a reply."""
    return {
        "items": [device_item(item) for item in page.items],
        "total": page.total,
        "as_of": as_of(view),
        "cursor": stream_cursor(view.vector),
        "next": page.next,
        "previous": page.previous,
    }


def device_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a list of devices as JSON values."""
    return {**item, "labels": json.loads(item["labels"])}


def device_detail(twin: Mapping[str, Any], device_type: DeviceType, rules: Rules) -> dict[str, Any]:
    """What a shard says of one device, as a reply."""
    alerts = [alert_item(line, device_type, rules) for line in twin["alerts"]]
    standing = [
        each for each in alerts if each["state"] not in ("SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE")
    ]
    worst = min((_PRIORITY_AT[each["priority"]] for each in standing), default=None)
    apart = ("event_us", "heard_us", "prognosis", "properties", "commands")  # the last two: told by ``asked``
    shown = {name: value for name, value in twin.items() if name not in apart}
    number = short if device_type.dtype == np.float32 else known
    return {
        **shown,
        "values": {
            name: {
                "value": number(value["value"]),
                "unit": value["unit"],
                "time": iso(value["event_us"]),
                "quality": value["quality"],
                "expected": value["expected"],
            }
            for name, value in twin["values"].items()
        },
        **{name: short(twin[name]) for name in ("health", "observed", "anomaly_score")},
        "alerts": alerts,
        "unacknowledged": sum(each["state"].endswith("UNACK") for each in standing),
        "priority": None if worst is None else PRIORITIES[worst],
        "event_time": iso(twin["event_us"]),
        "heard_at": iso(twin["heard_us"]),
        **_forecast(twin["prognosis"]),
    }


def _forecast(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """A twin's forecast as lists have it: nothing known where none was made."""
    said: Mapping[str, Any] = told or {}
    names = (*FIGURES, "failure_mode", "in_distribution", "model_version")
    return {**{name: said.get(name) for name in names}, "predicted_at": iso(said.get("predicted_us"))}


def alert_item(line: Mapping[str, Any], device_type: DeviceType | None, rules: Rules) -> dict[str, Any]:
    """An alert as JSON values. ``line`` is one of the live table or of a shard."""
    facts = rules.find(device_type, line["rule"]) if device_type is not None else None
    number = short if device_type is not None and device_type.dtype == np.float32 else known
    return {
        "id": alert_id(line["device_id"], line["rule"], line["occurrence"]),
        "device_id": line["device_id"],
        "type": line["device_type"],
        "site": line["site"],
        "rule": line["rule"],
        "title": line["title"],
        "priority": line["priority"],
        "state": line["state"],
        "active": line["active"],
        "occurrence": line["occurrence"],
        "since": _time(line["since"]),
        "value": number(line["value"]),
        "limit": known(line["limit"]),
        "unit": facts.unit if facts else "1",
        "consequence": facts.consequence if facts else "",
        "response": facts.response if facts else "",
        "assignee": line["assignee"] or None,
        "acknowledged_by": line["acknowledged_by"] or None,
        "shelved_until": _time(line["shelved_until"]),
        "comments": line["comments"],
    }


def job_item(job: Job) -> dict[str, Any]:
    """A job as the API shows it: files by their names, folders of the machine stay out."""
    return {
        "id": job.id,
        "kind": job.kind,
        "by": job.by,
        "state": job.state,
        "progress": job.progress,
        "message": job.message,
        "code": job.code,
        "created": iso(job.created_us),
        "started": iso(job.started_us),
        "ended": iso(job.ended_us),
        "attempts": job.attempts,
        "cancelling": job.cancelling,
        "version": job.version,
        "request": _without_folders(job.request),
        "result": None if job.result is None else _without_folders(job.result),
    }


def _time(value: datetime | int | None) -> str | None:
    return _iso(value) if isinstance(value, datetime) else iso(value)


def _iso(moment: Any) -> str:
    if not isinstance(moment, datetime):
        raise TypeError(f"{type(moment).__name__} is no JSON value")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unit(rule: AlertRule, device_type: DeviceType, vocabulary: filters.Vocabulary) -> str:
    """The unit of the number that a rule's alerts carry: of the first thing that its condition names."""
    tree = filters.parse(rule.when, vocabulary)
    while not isinstance(tree, filters.Test):
        tree = tree.part if isinstance(tree, filters.Not) else tree.parts[0]
    name = tree.term.path[-1]
    unit = next(
        (channel.unit for channel in device_type.channels if channel.name == name), _UNITS.get(name, "1")
    )
    return f"{unit}/h" if tree.term.function == "rate" else unit


def _without_folders(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _short(value) for name, value in said.items()}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    if isinstance(value, Mapping):
        return _without_folders(value)
    if isinstance(value, list | tuple):
        return [_short(each) for each in value]
    return value
