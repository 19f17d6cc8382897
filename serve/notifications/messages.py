"""What a message says: a subject, a text for people, and the same as JSON for programs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from serve.notifications.routing import Alert
from serve.present import iso
from twins.devices import PRIORITIES

SHOWN: Final = 10
"""Alerts that a message about many names: the most urgent of them."""

_LONGEST_SUBJECT: Final = 200


def of_alert(alert: Alert, route: str, step: int, waited_s: int) -> dict[str, Any]:
    """One alert. From the second step on it says for how long nobody has acknowledged it."""
    unanswered = f", unacknowledged for {_span(waited_s)}" if step else ""
    subject = f"[{alert.priority}] {alert.title}: {alert.device_id}{unanswered}"
    lines = [f"{alert.title} on {alert.device_id}" + (f" at {alert.site}" if alert.site else "") + unanswered]
    lines.append(f"raised {iso(alert.raised_us)}, priority {alert.priority}")
    if alert.value is not None:
        limit = "" if alert.limit is None else f", limit {alert.limit:g}"
        lines.append(f"value {alert.value:g}{limit}")
    lines += [
        f"{word}: {said}"
        for word, said in (("consequence", alert.consequence), ("response", alert.response))
        if said
    ]
    return _message("alert" if step == 0 else "escalation", route, step, subject, lines, [alert], 1)


def of_many(
    kind: str,
    alerts: Sequence[Alert],
    count: int,
    worst: int,
    open_: int,
    since_us: int,
    route: str,
    step: int,
) -> dict[str, Any]:
    """Many alerts in one message: a ``flood`` that begins, ``flood_continues``, ``flood_over``, or what was ``held``.

    Parameters
    ----------
    alerts : the most urgent of them
    count, open_ : how many there are, and how many of them nobody has acknowledged
    worst : the most urgent priority, 0 first
    """
    said = {
        "flood": f"Alert flood: {count} alerts within 10 min",
        "flood_continues": f"Alert flood goes on: {count} more alerts",
        "flood_over": f"Alert flood over: {count} alerts since {iso(since_us)}",
        "held": f"During quiet hours: {count} alerts",
    }[kind]
    subject = f"[{PRIORITIES[worst]}] {said}, {open_} unacknowledged"
    lines = [f"{said}, {open_} unacknowledged; the most urgent is {PRIORITIES[worst]}."]
    if alerts:
        lines.append("")
    lines += [
        f"{iso(a.raised_us)}  {a.priority:<8}  {a.title}  {a.device_id}  {a.site}".rstrip() for a in alerts
    ]
    if len(alerts) < count:
        lines.append(f"and {count - len(alerts)} more")
    if step:
        lines.insert(0, f"Step {step + 1}: nobody has acknowledged these so far.")
    return _message(kind, route, step, subject, lines, alerts, count)


def of_test(channel: str, by: str) -> dict[str, Any]:
    """What the test button sends."""
    lines = [f"{by} has asked Twinfold to send this to the channel {channel!r}. Nothing is wrong."]
    return _message("test", "", 0, f"Test of the channel {channel}", lines, [], 0)


def _message(
    kind: str, route: str, step: int, subject: str, lines: Sequence[str], alerts: Sequence[Alert], count: int
) -> dict[str, Any]:
    return {
        "kind": kind,
        "route": route,
        "step": step + 1,
        "subject": " ".join(subject.split())[:_LONGEST_SUBJECT],
        "text": "\n".join(lines),
        "count": count,
        "alerts": [_alert(each) for each in alerts],
    }


def _alert(alert: Alert) -> Mapping[str, Any]:
    return {
        "id": alert.id,
        "device_id": alert.device_id,
        "type": alert.device_type,
        "site": alert.site,
        "rule": alert.rule,
        "title": alert.title,
        "priority": alert.priority,
        "raised": iso(alert.raised_us),
        "value": alert.value,
        "limit": alert.limit,
        "consequence": alert.consequence,
        "response": alert.response,
    }


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"
