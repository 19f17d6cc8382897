"""Prometheus metrics: what hosts and the live table say, and how requests fare. Names end in their unit."""

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serve.live import View
from twins.clock import SECOND_US
from twins.host import HostStatus
from twins.views import COUNTERS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_STATES: Final = ("ready", "degraded", "fenced", "closed", "away")


class Metrics:
    """What one replica counts of itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "twinfold_http_requests", "requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "twinfold_http_request_seconds",
            "time to answer",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.sockets = Gauge("twinfold_sockets", "open sockets", registry=self.registry)
        self.skipped = Counter(
            "twinfold_socket_messages_skipped", "messages that slow sockets did not get", ["kind"],
            registry=self.registry,
        )  # fmt: skip

    def text(self, view: View, hosts: Sequence[HostStatus], now_us: int) -> bytes:
        """Everything in Prometheus' text format."""
        platform = CollectorRegistry()
        platform.register(_Platform(view, hosts, now_us))
        return generate_latest(self.registry) + generate_latest(platform)


class _Platform(Collector):
    """The state of the platform at one moment."""

    def __init__(self, view: View, hosts: Sequence[HostStatus], now_us: int) -> None:
        self._view = view
        self._hosts = hosts
        self._now_us = now_us

    def collect(self) -> Iterable[Metric]:
        view = self._view
        devices = GaugeMetricFamily("twinfold_devices", "devices, retired ones included", labels=["type"])
        readings = CounterMetricFamily("twinfold_readings", "lines of readings", labels=["type", "fate"])
        for name, table in view.tables.items():
            devices.add_metric([name], len(table))
            for fate in COUNTERS:
                readings.add_metric([name, fate], view.total(name, fate))
        yield devices
        yield readings
        yield _gauge(
            "twinfold_live_age_seconds",
            "age of the live table",
            max(0, self._now_us - view.as_of_us) / SECOND_US,
        )
        yield _gauge(
            "twinfold_alerts_standing",
            "alerts that stand",
            len(view.alerts) if view.alerts is not None else 0,
        )
        state = GaugeMetricFamily("twinfold_host_state", "1 for the state it is in", labels=["host", "state"])
        columns = {
            "twinfold_host_devices": "devices of a host",
            "twinfold_host_cursor": "newest journal entry",
            "twinfold_host_journal_bytes": "size of the journal",
            "twinfold_host_snapshot_cursor": "journal entry that the newest snapshot includes",
            "twinfold_host_recorder_lag_entries": "journal entries that history does not have yet",
        }
        families = {name: GaugeMetricFamily(name, help_, labels=["host"]) for name, help_ in columns.items()}
        for host in self._hosts:
            for each in _STATES:
                state.add_metric([host.name, each], float(host.state == each))
            if host.state == "away":
                continue  # its numbers are not known
            lag = host.cursor - host.archived if host.archived is not None else float("nan")
            numbers = (host.devices, host.cursor, host.journal_bytes, host.snapshot_cursor, lag)
            for family, number in zip(families.values(), numbers, strict=True):
                family.add_metric([host.name], number)
        yield state
        yield from families.values()


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, value=value)
