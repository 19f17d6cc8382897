"""What is asked of a device and what it says to that: desired against reported, commands and their results.

The state of one device is a frozen value and everything that happens to it is a function from one to the next, so that a
refusal changes nothing and what says nothing new can be told from what does. Nothing here sends anything: links take what
is open, say so before they hand it over, and bring back what the device reports. Only that makes it done.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from twins import commands as c
from twins.clock import SECOND_US
from twins.devices import ASKED_BY, AskedBy, DeviceCommand, DeviceType, Parameter, Property
from twins.errors import (
    CommandRefusedError,
    NotOfferedError,
    RoleTooLowError,
    UnknownNumberError,
    ValueRefusedError,
    VersionConflictError,
)
from twins.events import Kind

MOST_OPEN: Final = 16
"""Commands of one device that may be open."""

ENDED_KEPT: Final = 16
"""Commands of one device that are remembered after their end."""

LONGEST_TEXT: Final = 256
LONGEST_RESULT: Final = 1_000
LONGEST_EXPIRY_S: Final = 7 * 86_400.0

AGAIN_US: Final = 60 * SECOND_US
"""A value that is reported again within this time says nothing new."""

_LARGEST: Final = 2**53

Value = float | int | bool | str
OrderState = Literal["waiting", "delivered", "done", "failed", "expired", "cancelled"]
Standing = Literal["unasked", "pending", "in_sync", "rejected", "differs"]
"""Of a property: nothing is desired; not reported yet; reported as desired; not taken by the device; reported as desired
once, and otherwise since."""

OPEN: Final = ("waiting", "delivered")


@dataclass(frozen=True, slots=True)
class Desired:
    """What a property shall be, since ``version``. ``met``: it has been reported so since."""

    value: Value
    version: int
    by: str
    at_us: int
    until_us: int | None = None
    note: str = ""
    met: bool = False
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the device says that a property is; ``version`` is its own count, if it has one."""

    value: Value
    version: int | None
    at_us: int


@dataclass(frozen=True, slots=True)
class Order:
    """A command that a device was sent. A device's orders are numbered from 1; a number is never used again."""

    number: int
    name: str
    parameters: Mapping[str, Value]
    command_id: str
    by: str
    at_us: int
    until_us: int
    repeatable: bool
    note: str = ""
    state: OrderState = "waiting"
    link: str = ""
    delivered_us: int | None = None
    ended_us: int | None = None
    result: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Downlink:
    """All that is asked of one device and what it said to that; ``orders`` by number: the open ones, and the last others."""

    version: int = 0
    numbers: int = 0
    desired: Mapping[str, Desired] = field(default_factory=dict)
    reported: Mapping[str, Reported] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()

    def standing(self, name: str) -> Standing:
        """How a property stands."""
        wanted = self.desired.get(name)
        if wanted is None:
            return "unasked"
        told = self.reported.get(name)
        if told is not None and told.value == wanted.value:
            return "in_sync"
        if wanted.rejected:
            return "rejected"
        return "differs" if wanted.met else "pending"

    @property
    def due_us(self) -> int | None:
        """When something of it next expires."""
        return min((at_us for at_us, _ in _timers(self)), default=None)


class Told(NamedTuple):
    """An event to be: its kind, its number or version, and what else is to be said."""

    kind: Kind
    at_us: int
    number: float
    note: dict[str, Any]


Change = tuple[Downlink, list[Told]]

BLANK: Final = Downlink()


def do(was: Downlink, command: c.DownlinkCommand, device_type: DeviceType, now_us: int) -> Change:
    """Do what ``command`` says; what is due by then expires first.

    Raises
    ------
    CommandRefusedError and its leaves : with the reason; nothing has changed.
    """
    was, told = expire(was, now_us)
    match command:
        case c.SetDesired():
            now, more = _set_desired(was, command, device_type, now_us)
        case c.SendCommand():
            now, more = _send(was, command, device_type, now_us)
        case c.CancelCommand():
            now, more = _cancel(was, command, device_type, now_us)
        case c.ReportProperties():
            now, more = _report(was, command, device_type, now_us)
        case c.ReportDelivery():
            now, more = _deliver(was, command, now_us)
        case c.ReportResult():
            now, more = _result(was, command, now_us)
        case _:
            raise TypeError(f"nothing goes down by {type(command).__name__}")
    return now, told + more


def expire(was: Downlink, now_us: int) -> Change:
    """Let end what is due by ``now_us``, each at its own time."""
    told: list[Told] = []
    for at_us, what in sorted((each for each in _timers(was) if each[0] <= now_us), key=lambda each: each[0]):
        if isinstance(what, Order):
            ended = replace(what, state="expired", ended_us=at_us)
            was = _with_order(was, ended)
            told.append(_of_order(Kind.COMMAND_EXPIRED, ended, at_us, delivered=what.state == "delivered"))
        else:
            version = was.version + 1
            note = {"property": what, "value": was.desired[what].value}
            rest = {name: each for name, each in was.desired.items() if name != what}
            was = replace(was, version=version, desired=rest)
            told.append(Told(Kind.DESIRED_EXPIRED, at_us, version, note))
    return was, told


def retire(was: Downlink, by: str, now_us: int) -> Change:
    """Ask nothing any more; what was reported stays."""
    return _withdrawn(was, set(was.desired), [order for order in was.orders if order.is_open], by,
                      "the device was retired", now_us)  # fmt: skip


def refit(was: Downlink, device_type: DeviceType, by: str, now_us: int) -> Change:
    """Withdraw what another version of the type does not take, and forget what it does not know."""
    was, told = expire(was, now_us)
    known = {each.name: each for each in device_type.properties}
    lost = {
        name for name, wanted in was.desired.items() if name not in known or not _fits(known[name], wanted.value)
    }  # fmt: skip
    names = {each.name for each in device_type.commands}
    orders = [order for order in was.orders if order.is_open and order.name not in names]
    why = f"version {device_type.version} of its type does not take it"
    now, more = _withdrawn(was, lost, orders, by, why, now_us)
    kept = {
        name: said for name, said in now.reported.items()
        if name in known and _is_kind(known[name], said.value)
    }  # fmt: skip
    return replace(now, reported=kept), told + more


def checked(spec: Parameter | Property, value: Any, what: str, subject: str, is_fact: bool = False) -> Value:
    """``value`` as the type keeps it: rounded to its resolution. A fact may lie outside of what can be asked for.

    Raises
    ------
    ValueRefusedError : it is none; ``what`` and ``subject`` say of what.
    """
    if not _is_kind(spec, value):
        raise ValueRefusedError(what, subject, f"{spec.name} is {_WORDS[spec.kind]}, not {_shown(value)}")
    kept = value
    if spec.kind == "integer":
        kept = int(value)
    elif spec.kind == "number":
        kept = float(value)
        if spec.resolution:
            kept = round(float(round(kept / spec.resolution) * spec.resolution), 9)
    if is_fact:
        return kept  # type: ignore[no-any-return]  # of a kind of ``Value`` by now
    if spec.kind in ("number", "integer") and not all(
        spec.low <= each <= spec.high for each in (value, kept)
    ):
        span = f"{spec.low:g} to {spec.high:g} {spec.unit}".removesuffix(" 1")
        raise ValueRefusedError(what, subject, f"{spec.name} is {value:g}; it can be {span}")
    if spec.kind == "enum" and kept not in spec.choices:
        raise ValueRefusedError(
            what, subject, f"{spec.name} is {_shown(kept)}; it can be {', '.join(spec.choices)}"
        )
    return kept  # type: ignore[no-any-return]


# -- what people ask -----------------------------------------------------------------------------------------


def _set_desired(was: Downlink, command: c.SetDesired, device_type: DeviceType, now_us: int) -> Change:
    what, subject = "set properties of", command.device_id
    if not command.values:
        raise ValueRefusedError(what, subject, "no property is named; name at least one")
    if command.version is not None and command.version != was.version:
        reason = (
            f"its desired properties are of version {was.version}, not {command.version}; look at them again"
        )
        raise VersionConflictError(what, subject, reason)
    specs = {each.name: each for each in device_type.properties}
    version, desired, told = was.version + 1, dict(was.desired), []
    for name, given in command.values.items():
        spec = specs.get(name)
        if spec is None:
            raise _not_offered(
                what, subject, "property", name, [n for n in specs if specs[n].role != "nobody"]
            )
        _check_role(what, subject, name, spec.role, command.role)
        note: dict[str, Any] = {"by": command.by, "property": name, "value": None}
        if given is None:
            if desired.pop(name, None) is None:
                continue
        else:
            value = checked(spec, given, what, subject)
            expires_s = spec.expires_s if command.expires_s is None else command.expires_s
            said = was.reported.get(name)
            met = said is not None and said.value == value
            until_us = None if met or expires_s is None else _until(what, subject, expires_s, now_us)
            desired[name] = Desired(value, version, command.by, now_us, until_us, command.note, met)
            note["value"] = value
        if command.note:
            note["note"] = command.note
        told.append(Told(Kind.DESIRED_CHANGED, now_us, version, note))
    if not told:
        return was, []
    return replace(was, version=version, desired=desired), told


def _send(was: Downlink, command: c.SendCommand, device_type: DeviceType, now_us: int) -> Change:
    what, subject = f"send {command.name[:60]!r} to", command.device_id
    spec = next((each for each in device_type.commands if each.name == command.name), None)
    if spec is None:
        raise _not_offered(
            what, subject, "command", command.name,
            [each.name for each in device_type.commands if each.role != "nobody"],
        )  # fmt: skip
    _check_role(what, subject, spec.name, spec.role, command.role)
    parameters = _parameters(spec, command.parameters, what, subject)
    if sum(order.is_open for order in was.orders) >= MOST_OPEN:
        reason = f"{MOST_OPEN} commands to it are open already; wait until some have ended, or cancel them"
        raise CommandRefusedError(what, subject, reason)
    expires_s = spec.expires_s if command.expires_s is None else command.expires_s
    order = Order(
        was.numbers + 1, spec.name, parameters, command.command_id, command.by, now_us,
        _until(what, subject, expires_s, now_us), spec.repeatable, command.note,
    )  # fmt: skip
    told = _of_order(
        Kind.COMMAND_SENT, order, now_us, by=command.by, parameters=dict(parameters), note=order.note
    )
    return _with_order(replace(was, numbers=order.number), order), [told]


def _cancel(was: Downlink, command: c.CancelCommand, device_type: DeviceType, now_us: int) -> Change:
    order = _order(was, command.number, "cancel", command.device_id)
    spec = next((each for each in device_type.commands if each.name == order.name), None)
    if spec is not None:
        _check_role("cancel a command to", command.device_id, spec.name, spec.role, command.role)
    if not order.is_open:
        reason = f"command {order.number} has ended: {order.state}"
        raise CommandRefusedError("cancel a command to", command.device_id, reason)
    kind = Kind.COMMAND_CANCELLED
    return _ended(was, order, "cancelled", now_us, kind, command.note, by=command.by)


def _parameters(spec: DeviceCommand, given: Mapping[str, Any], what: str, subject: str) -> dict[str, Value]:
    known = {each.name: each for each in spec.parameters}
    for name in given:
        if name not in known:
            raise _not_offered(what, subject, "parameter", name, known)
    missing = [each.name for each in spec.parameters if each.required and given.get(each.name) is None]
    if missing:
        raise ValueRefusedError(what, subject, f"the parameter {missing[0]!r} is missing")
    return {
        name: checked(known[name], value, what, subject) for name, value in given.items() if value is not None
    }


# -- what devices and their links say ----------------------------------------------------------------------------


def _report(was: Downlink, command: c.ReportProperties, device_type: DeviceType, now_us: int) -> Change:
    what, subject = "take a report of", command.device_id
    specs = {each.name: each for each in device_type.properties}
    desired, reported, told = dict(was.desired), dict(was.reported), []
    for name in (*command.values, *command.rejected):
        if name not in specs:
            raise _not_offered(what, subject, "property", name, specs)
    for name, given in command.values.items():
        value = checked(specs[name], given, what, subject, is_fact=True)
        before = reported.get(name)
        if before is not None and command.at_us is not None and command.at_us <= before.at_us:
            continue
        said = Reported(value, command.version, now_us if command.at_us is None else command.at_us)
        wanted = desired.get(name)
        answers = wanted is not None and wanted.value == value and (bool(wanted.rejected) or not wanted.met)
        is_one_like_it = (
            before is not None
            and (before.value, before.version) == (value, command.version)
            and said.at_us < before.at_us + AGAIN_US
        )
        if is_one_like_it and not answers:
            continue
        reported[name] = said
        if before is None or before.value != value:
            note = {"by": command.by, "property": name, "value": value}
            number = float("nan") if command.version is None else float(command.version)
            told.append(Told(Kind.REPORTED_CHANGED, now_us, number, note))
        if wanted is not None and wanted.value == value:
            desired[name] = replace(wanted, met=True, rejected="", until_us=None)
    for name, why in command.rejected.items():
        wanted = desired.get(name)
        answered = command.desired_version
        if wanted is None or (answered is not None and answered < wanted.version):
            continue  # it says so of a value that is not asked for any more
        reason = why[:LONGEST_TEXT] or "the device gives no reason"
        if wanted.rejected == reason:
            continue
        desired[name] = replace(wanted, rejected=reason, until_us=None)
        note = {"by": command.by, "property": name, "value": wanted.value, "reason": reason}
        told.append(Told(Kind.DESIRED_REJECTED, now_us, wanted.version, note))
    return replace(was, desired=desired, reported=reported), told


def _deliver(was: Downlink, command: c.ReportDelivery, now_us: int) -> Change:
    order = _order(was, command.number, "deliver", command.device_id)
    if not order.is_open:
        reason = f"command {order.number} has ended: {order.state}"
        raise CommandRefusedError("deliver a command to", command.device_id, reason)
    if order.state == "delivered":
        if order.link == command.link:
            return was, []
        reason = f"command {order.number} was handed over already"
        raise CommandRefusedError("deliver a command to", command.device_id, reason)
    order = replace(order, state="delivered", link=command.link, delivered_us=now_us)
    return _with_order(was, order), [_of_order(Kind.COMMAND_DELIVERED, order, now_us)]


def _result(was: Downlink, command: c.ReportResult, now_us: int) -> Change:
    order = _order(was, command.number, "take a result of", command.device_id)
    if order.state in ("done", "failed"):
        return was, []  # told twice
    state: OrderState = "done" if command.ok else "failed"
    kind = Kind.COMMAND_DONE if command.ok else Kind.COMMAND_FAILED
    late = {} if order.is_open else {"late": True, "before": order.state}
    result = command.result[:LONGEST_RESULT]
    return _ended(was, order, state, now_us, kind, by=command.by, result=result, **late)


# -- inside ------------------------------------------------------------------------------------------------------

_WORDS: Final = {
    "number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "text",
    "enum": "one of its choices",
}  # fmt: skip


def _is_kind(spec: Parameter | Property, value: Any) -> bool:
    match spec.kind:
        case "boolean":
            return isinstance(value, bool)
        case "string" | "enum":
            return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()
        case _:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            if not abs(value) <= _LARGEST:  # nor NaN
                return False
            return spec.kind == "number" or value == int(value)


def _fits(spec: Property, value: Value) -> bool:
    try:
        return spec.role != "nobody" and checked(spec, value, "", "") == value
    except ValueRefusedError:
        return False


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _check_role(what: str, subject: str, name: str, needed: AskedBy, role: str) -> None:
    if needed == "nobody":
        raise RoleTooLowError(what, subject, f"{name} is only reported by the device; nobody can set it")
    if role not in ASKED_BY[:-1] or ASKED_BY.index(role) < ASKED_BY.index(needed):
        raise RoleTooLowError(what, subject, f"{name} takes the role {needed}, not {role}")


def _not_offered(what: str, subject: str, noun: str, name: str, known: Any) -> NotOfferedError:
    offered = ", ".join(known) or "none"
    return NotOfferedError(what, subject, f"there is no {noun} {name[:60]!r} (there is: {offered})")


def _until(what: str, subject: str, expires_s: float, now_us: int) -> int:
    if not 0 < expires_s <= LONGEST_EXPIRY_S:
        reason = f"it would expire after {expires_s:g} s; give above 0, at most {LONGEST_EXPIRY_S:.0f}"
        raise ValueRefusedError(what, subject, reason)
    return now_us + max(1, round(expires_s * SECOND_US))


def _timers(of: Downlink) -> Iterator[tuple[int, Order | str]]:
    """What is to expire, and when: orders, and properties by name."""
    for order in of.orders:
        if order.is_open:
            yield order.until_us, order
    for name, wanted in of.desired.items():
        if wanted.until_us is not None:
            yield wanted.until_us, name


def _order(was: Downlink, number: int, what: str, subject: str) -> Order:
    for order in was.orders:
        if order.number == number:
            return order
    reason = f"there is no command {number}, or it ended long ago"
    raise UnknownNumberError(f"{what} a command to", subject, reason)


def _with_order(was: Downlink, order: Order) -> Downlink:
    """With ``order`` in the place of the one of its number; too many that have ended are forgotten, the oldest first."""
    orders = {each.number: each for each in was.orders}
    orders[order.number] = order
    ended = [each.number for each in orders.values() if not each.is_open]
    for number in ended[: max(0, len(ended) - ENDED_KEPT)]:
        del orders[number]
    return replace(was, orders=tuple(sorted(orders.values(), key=lambda each: each.number)))


def _ended(
    was: Downlink, order: Order, state: OrderState, now_us: int, kind: Kind, result: str = "", **note: Any
) -> Change:
    ended = replace(order, state=state, ended_us=now_us, result=result)
    return _with_order(was, ended), [_of_order(kind, ended, now_us, result=result, **note)]


def _of_order(kind: Kind, order: Order, at_us: int, **note: Any) -> Told:
    said = {name: value for name, value in note.items() if value not in ("", None, {}, False)}
    return Told(kind, at_us, order.number, {"command": order.name, **said})


def _withdrawn(was: Downlink, names: set[str], orders: list[Order], by: str, why: str, now_us: int) -> Change:
    told = []
    if names:
        version = was.version + 1
        for name in sorted(names):
            note = {"by": by, "property": name, "value": None, "reason": why}
            told.append(Told(Kind.DESIRED_CHANGED, now_us, version, note))
        rest = {name: wanted for name, wanted in was.desired.items() if name not in names}
        was = replace(was, version=version, desired=rest)
    for order in orders:
        was, more = _ended(was, order, "cancelled", now_us, Kind.COMMAND_CANCELLED, by=by, result=why)
        told += more
    return was, told
