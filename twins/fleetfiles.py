"""Simulated fleets as files: how many devices of which types stand where, how worn, and what goes wrong.

A file lists sites with their climate, groups of devices, and what the simulator is to inject; every problem
is told with its line. Nothing is simulated here.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from twins.devices import Device, DeviceType
from twins.documents import Section, read, unique
from twins.errors import FleetFileError

SensorFailure = Literal["stuck", "drift", "shift", "dropout", "spike", "noise"]

SENSOR_FAILURES: Final = get_args(SensorFailure)
"""A value that stays, wanders off, jumps once, is not sent, jumps now and then, is noisier: by array code."""

DEFAULT_INTERVAL_S: Final = 5.0
"""Time between readings where neither the group nor the device type says one."""

_PLACEHOLDERS: Final = ("site", "type", "n")


@dataclass(frozen=True, slots=True)
class Climate:
    """Outdoor temperature at a site, °C: mean, half the yearly and daily swing, deviation of the weather."""

    mean_c: float = 12.0
    yearly_c: float = 8.0
    daily_c: float = 3.0
    weather_c: float = 2.5


@dataclass(frozen=True, slots=True)
class Site:
    """Where devices stand."""

    name: str
    title: str = ""
    latitude: float = 0.0
    longitude: float = 0.0
    climate: Climate = field(default_factory=Climate)


@dataclass(frozen=True, slots=True)
class DeviceGroup:
    """Devices of one type: ``count`` at each of ``sites``.

    ``id``, ``title`` and the values of ``labels`` are templates with ``{site}``, ``{type}`` and ``{n}``, the
    device's number at its site from 1. ``parent`` is the type of the devices that they hang on, shared out
    evenly over those of the same site. Wear at the start, the share of a life that is over, is uniform over
    ``wear``; a share ``worn_share`` of the devices has one failure mode uniform over ``worn``. ``interval_s``
    None: as the type says.
    """

    device_type: str
    count: int
    sites: tuple[str, ...]
    id: str = "{site}-{type}-{n:04}"
    title: str = ""
    parent: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_s: float | None = None
    placement: Literal["shared", "dedicated"] = "shared"
    wear: tuple[float, float] = (0.0, 0.0)
    worn_share: float = 0.0
    worn: tuple[float, float] = (0.85, 0.97)


@dataclass(frozen=True, slots=True)
class Injection:
    """Something that goes wrong on purpose, on devices whose id fits the pattern ``devices`` (``*``, ``?``).

    Of those, ``count`` (None: all) are drawn; the first starts at ``start_s`` after the simulation's start,
    each other ``every_s`` later. Either a failure ``mode`` gets at least ``damage`` and goes on ``speed``
    times as fast; or the ``sensor`` of a ``channel`` fails, by ``size``: in the channel's unit (drift: per
    hour; spike: size of a spike, one reading in a hundred; noise: added deviation). It ends after
    ``duration_s``; None: never, or with a repair.
    """

    devices: str
    count: int | None = None
    start_s: float = 0.0
    every_s: float = 0.0
    duration_s: float | None = None
    mode: str | None = None
    damage: float = 0.0
    speed: float = 1.0
    channel: str | None = None
    sensor: SensorFailure | None = None
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the network does to lines of readings.

    Shares of lines that are lost, late by ``late_s`` or sent twice, and of lines that lack one channel. Late
    lines and second copies come after newer ones.
    """

    missing: float = 0.0
    missing_channel: float = 0.0
    late: float = 0.0
    late_s: float = 60.0
    duplicate: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A simulated fleet.

    ``speedup`` makes damage, and nothing else, grow faster, for demonstrations. A failed device stands still
    for ``repair_after_s`` and is then repaired by the cheapest action of its type that makes the failure
    good; None: it stands still for good. Damage goes to the ground truth each ``truth_every_s``, where it
    moved by 0.01.
    """

    name: str
    sites: tuple[Site, ...]
    groups: tuple[DeviceGroup, ...]
    seed: int = 0
    tick_s: float = 1.0
    speedup: float = 1.0
    repair_after_s: float | None = None
    truth_every_s: float = 600.0
    injections: tuple[Injection, ...] = ()
    delivery: Delivery = field(default_factory=Delivery)


def parse_fleet(text: str, types: Mapping[str, DeviceType], source: str = "<text>") -> FleetSpec:
    """The fleet that YAML ``text`` describes, of devices of ``types``.

    Raises
    ------
    FleetFileError : names ``source``, the line, the problem and the remedy, for every problem of the text.
    """
    return cast(FleetSpec, read(text, source, FleetFileError, lambda root: _fleet(root, types)))


def load_fleet(path: Path, types: Mapping[str, DeviceType]) -> FleetSpec:
    """The fleet that a file describes; raises as ``parse_fleet``, also for a file that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise FleetFileError(
            str(path), 1, f"the file cannot be read: {problem}", "check its path and that it is UTF-8"
        ) from None
    return parse_fleet(text, types, str(path))


def fleet_devices(spec: FleetSpec) -> list[Device]:
    """The devices of a fleet, group by group, site by site.

    Raises
    ------
    ValueError : if two devices would get the same id.
    """
    devices: list[Device] = []
    parents: dict[tuple[str, str], list[str]] = {}
    for group in spec.groups:
        for site in group.sites:
            above = parents.get((group.parent or "", site), [])
            ids: list[str] = []
            for n in range(1, group.count + 1):
                words = {"site": site, "type": group.device_type, "n": n}
                ids.append(group.id.format(**words))
                devices.append(
                    Device(
                        id=ids[-1],
                        device_type=group.device_type,
                        site=site,
                        parent=above[(n - 1) * len(above) // group.count] if above else None,
                        name=group.title.format(**words),
                        labels={key: value.format(**words) for key, value in group.labels.items()},
                        interval_s=group.interval_s,
                        placement=group.placement,
                    )
                )
            parents.setdefault((group.device_type, site), []).extend(ids)
    if len({device.id for device in devices}) < len(devices):
        raise ValueError(
            f"two devices of fleet {spec.name!r} have the same id; use {{site}} and {{n}} in each template"
        )
    return devices


def _fleet(root: Section, types: Mapping[str, DeviceType]) -> FleetSpec:
    site_sections = root.sections("sites", "site")
    sites = tuple(_site(section) for section in site_sections)
    names = tuple(site.name for site in sites)
    unique(site_sections, names, "site")
    if not sites:
        root.wrong("sites", "the fleet stands nowhere", "list at least one site with a name")
    group_sections = root.sections("devices", "group")
    if not group_sections:
        root.wrong("devices", "the fleet has no devices", "list at least one group with type and count")
    groups: list[DeviceGroup] = []
    for section in group_sections:
        groups.append(_group(section, types, names, [group.device_type for group in groups]))
    used = {group.device_type: types[group.device_type] for group in groups if group.device_type in types}
    repair_after_s = root.maybe_number("repair_after_s", low=0.0)
    spec = FleetSpec(
        name=root.text("name"),
        sites=sites,
        groups=tuple(groups),
        seed=root.integer("seed", 0),
        tick_s=root.number("tick_s", 1.0, low=0.01, high=3600.0),
        speedup=root.number("speedup", 1.0, low=0.0, high=1e9),
        repair_after_s=repair_after_s,
        truth_every_s=root.number("truth_every_s", 600.0, low=1.0),
        injections=tuple(_injection(section, used) for section in root.sections("injections", "injection")),
        delivery=_delivery(root.section("delivery")),
    )
    seen: dict[tuple[str, str], int] = {}
    for section, group in zip(group_sections, groups, strict=True):
        first = group.id.format(site="", type=group.device_type, n=1) == group.id.format(
            site="", type=group.device_type, n=2
        )
        if first and group.count > 1:
            section.wrong("id", f"the id {group.id!r} is the same for every device", "use {n} in it")
        if len(group.sites) > 1 and "{site" not in group.id:
            section.wrong("id", f"the id {group.id!r} is the same at every site", "use {site} in it")
        for site in group.sites:
            template = (group.id.format(site=site, type=group.device_type, n=1), site)
            if template in seen:
                section.wrong(
                    "id", f"line {seen[template]} has devices of the same ids", "change one template"
                )
            seen[template] = section.start
    return spec


def _site(section: Section) -> Site:
    climate = section.section("climate")
    name = section.text("name")
    return Site(
        name=name,
        title=section.text("title", ""),
        latitude=section.number("latitude", 0.0, low=-90.0, high=90.0),
        longitude=section.number("longitude", 0.0, low=-180.0, high=180.0),
        climate=Climate()
        if climate is None
        else Climate(
            mean_c=climate.number("mean_c", 12.0, low=-60.0, high=60.0),
            yearly_c=climate.number("yearly_c", 8.0, low=0.0, high=40.0),
            daily_c=climate.number("daily_c", 3.0, low=0.0, high=25.0),
            weather_c=climate.number("weather_c", 2.5, low=0.0, high=15.0),
        ),
    )


def _group(
    section: Section, types: Mapping[str, DeviceType], sites: tuple[str, ...], earlier: list[str]
) -> DeviceGroup:
    name = section.text("type")
    section.title = f"group of {name}"
    if "type" in section and name not in types:
        section.wrong("type", f"no device type {name!r}", f"it is one of {', '.join(sorted(types))}")
    parent = section.text("parent", "") or None
    if parent is not None and parent not in earlier:
        section.wrong(
            "parent", f"no earlier group of type {parent!r}", "list the parents before their devices"
        )
    labels = section.section("labels")
    worn = section.section("worn")
    interval_s = section.maybe_number("interval_s", low=0.01)
    placement = section.text("placement", "shared", ("shared", "dedicated"))
    return DeviceGroup(
        device_type=name,
        count=section.integer("count", low=1, high=10_000_000),
        sites=section.texts("sites", sites) or sites,
        id=_template(section, "id", "{site}-{type}-{n:04}"),
        title=_template(section, "title", ""),
        parent=parent,
        labels={} if labels is None else {key: _template(labels, key, "") for key in labels.keys()},  # noqa: SIM118
        interval_s=interval_s,
        placement="dedicated" if placement == "dedicated" else "shared",
        wear=_span(section, "wear", (0.0, 0.0)),
        worn_share=0.0 if worn is None else worn.number("share", low=0.0, high=1.0),
        worn=(0.85, 0.97) if worn is None else _span(worn, "wear", (0.85, 0.97)),
    )


def _injection(section: Section, types: Mapping[str, DeviceType]) -> Injection:
    mode, channel = section.text("mode", "") or None, section.text("channel", "") or None
    modes = {mode.name for device_type in types.values() for mode in device_type.failure_modes}
    channels = {name for device_type in types.values() for name in device_type.channel_names}
    if (mode is None) == (channel is None):
        section.wrong(
            "mode", f"{section.title} names not one of mode and channel", "give a mode, or channel and sensor"
        )
    if mode is not None and mode not in modes:
        section.wrong(
            "mode", f"no failure mode {mode!r} in this fleet", f"it is one of {', '.join(sorted(modes))}"
        )
    if channel is not None and channel not in channels:
        section.wrong(
            "channel", f"no channel {channel!r} in this fleet", f"it is one of {', '.join(sorted(channels))}"
        )
    sensor = section.text("sensor", None if channel is not None else "stuck", SENSOR_FAILURES)
    duration_s = section.maybe_number("duration_s", low=0.0)
    return Injection(
        devices=section.text("devices", "*"),
        count=section.integer("count", low=1) if "count" in section else None,
        start_s=section.number("start_s", 0.0, low=0.0),
        every_s=section.number("every_s", 0.0, low=0.0),
        duration_s=duration_s,
        mode=mode,
        damage=section.number("damage", 0.0, low=0.0, high=1.0),
        speed=section.number("speed", 1.0, low=0.0, high=1e9),
        channel=channel,
        sensor=cast(SensorFailure, sensor) if channel is not None else None,
        size=section.number("size", 0.0),
    )


def _delivery(section: Section | None) -> Delivery:
    if section is None:
        return Delivery()
    delivery = Delivery(
        missing=section.number("missing", 0.0, low=0.0, high=1.0),
        missing_channel=section.number("missing_channel", 0.0, low=0.0, high=1.0),
        late=section.number("late", 0.0, low=0.0, high=1.0),
        late_s=section.number("late_s", 60.0, low=0.0),
        duplicate=section.number("duplicate", 0.0, low=0.0, high=1.0),
    )
    if delivery.missing + delivery.late + delivery.duplicate > 1.0:
        section.wrong(
            "missing", "missing, late and duplicate are more than all lines", "make their sum at most 1"
        )
    return delivery


def _span(section: Section, key: str, default: tuple[float, float]) -> tuple[float, float]:
    if key not in section:
        section.numbers(key)
        return default
    values = section.numbers(key, length=2)
    if len(values) != 2:
        return default
    if not 0.0 <= values[0] <= values[1] <= 1.0:
        section.wrong(key, f"{key} is not a span of wear", "give two numbers from 0 (new) to 1 (failed)")
        return default
    return values[0], values[1]


def _template(section: Section, key: str, default: str) -> str:
    """A text with placeholders, tried out so that it cannot fail later; nothing but their values comes in."""
    text = section.text(key, default)
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        if any(name not in _PLACEHOLDERS for name in names):
            raise KeyError
        text.format(site="site", type="type", n=1)
    except (KeyError, ValueError, IndexError):
        section.wrong(key, f"{text!r} cannot be filled in", "use {site}, {type} and {n}, or {n:04}")
        return default
    return text
