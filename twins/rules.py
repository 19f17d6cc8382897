"""Alert rules as arrays: ``AlertRule.when`` becomes *atoms*, one comparison each, and a program over them.

A condition may name channels, ``rate(channel)`` (per hour), ``bad(channel)``, ``health``,
``anomaly_score``, ``anomalous``, ``pattern.drift`` (on any channel), ``pattern.drift.vibration``, the
scores of ``SCORES``, ``silent_s`` and ``stale``. Silence passes in shard time and everything else in event
time, so a rule about silence is that one test alone.

Delays and deadbands are ISA-18.2's: a condition must hold for the on-delay before the alert is raised, and
must have cleared, past the deadband, for the off-delay before it returns. Where a rule says nothing, the
delays are ``ON_DELAY_INTERVALS`` and ``OFF_DELAY_INTERVALS`` of the device's nominal interval; for silence,
none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.devices import PRIORITIES, AlertRule, Channel, DeviceType, ParentState
from twins.errors import FilterError
from twins.events import PATTERNS, Records
from twins.filters import (
    And,
    Compare,
    Field,
    Flag,
    In,
    Missing,
    Not,
    Or,
    Test,
    Tree,
    Vocabulary,
    normal,
    parse,
)
from twins.prognosis import FIGURES

MAX_RULES: Final = 64
"""Rules in one device type."""
MAX_DELAY_S: Final = 20 * 86_400.0
"""The longest delay: timers are kept in 32 bits of milliseconds."""
ON_DELAY_INTERVALS: Final = 2.0
OFF_DELAY_INTERVALS: Final = 5.0
RATE_INTERVALS: Final = 3.0
"""A rate is smoothed twice over this many nominal intervals."""
SCORES: Final = FIGURES
"""What scorers say of a device from time to time, and rules may ask for. Seen at the device's next line."""

PARENT_FLAGS: Final[Mapping[ParentState, int]] = {"stale": 4, "alert": 8, "out_of_service": 16}
"""The parent's states as they stand in ``CoreState.status``."""

# what an atom looks at
CHANNEL, HEALTH, ANOMALY_SCORE, SCORE, RATE, BAD, ANOMALOUS, PATTERN, CHANNEL_PATTERN, SILENCE = range(10)
# how it compares
ABOVE, BELOW, EQUAL, UNEQUAL, ABSENT, PRESENT = range(6)
# what a program says, beside the numbers of atoms to push
AND, OR = -1, -2

BITS: Final = 63
"""Atoms in one word of a device's memory; its last bit asks for a fresh look at every rule."""


WORD: Final = np.dtype([("start", "i4"), ("split", "i4"), ("stop", "i4")])
"""Sources ``start`` to ``stop`` of one word of a device's memory; from ``split`` on they are not channels."""

SOURCE: Final = np.dtype(
    [
        ("kind", "i4"),  # CHANNEL …
        ("index", "i4"),  # which channel, score, rate, pattern
        ("low", "f8"),  # from here …
        ("high", "f8"),  # … to here, both included, none of its atoms holds, whatever held before
        ("start", "i4"),  # its atoms
        ("stop", "i4"),
    ]
)
ATOM: Final = np.dtype(
    [
        ("operator", "i4"),  # ABOVE …
        ("source", "i4"),
        ("word", "i4"),
        ("bit", "u8"),  # its place in its word
        ("set", "f8"),  # strictly past this value it begins to hold …
        ("clear", "f8"),  # … and strictly past this one it goes on: the deadband
        ("limit", "f8"),  # the limit as it was written; NaN: none
    ]
)
RULE: Final = np.dtype(
    [
        ("on_us", "i8"),  # delays; -1: in nominal intervals
        ("off_us", "i8"),
        ("start", "i4"),  # its program
        ("stop", "i4"),
        ("silence", "i4"),  # its place among the rules about silence; -1: it is about something else
        ("latch", "u1"),
        ("suppressed_by", "u1"),  # flags of PARENT_FLAGS
        ("priority", "u1"),  # index in PRIORITIES
    ]
)
SILENCE_RULE: Final = np.dtype([("rule", "i4"), ("us", "i8")])
"""A rule about silence, and how long that is; -1: as long as makes a device STALE."""

_STACK: Final = 64


class AlertParams(NamedTuple):
    """The rules of a device type, for compiled functions: few arrays of records, as every array costs."""

    words: Records  # WORD
    sources: Records  # SOURCE, by word; in each word channels come first
    atoms: Records  # ATOM, by source
    code: NDArray[np.int16]  # the rules' programs in postfix: an atom, AND or OR
    rules: Records  # RULE
    silences: Records  # SILENCE_RULE
    rate_channel: NDArray[np.int32]  # the channels whose rate is followed
    calm_low: NDArray[np.float64]  # (channels,) from here …
    calm_high: NDArray[
        np.float64
    ]  # … to here, both included, no comparison of the channel holds, whatever held before
    stale_intervals: float
    stale_at_least_us: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule's ``when``, read: a tree in normal form; for silence, how long (None: what makes STALE)."""

    tree: Tree
    silence: bool = False
    silent_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Atom:
    source: tuple[int, int]  # kind, index
    operator: int
    set: float
    clear: float
    limit: float


@dataclass(slots=True)
class _Names:
    """What the names in the rules of one device type stand for."""

    vocabulary: Vocabulary
    sources: dict[str, tuple[int, int]]
    clashes: frozenset[str]
    rates: list[int] = field(default_factory=list)  # channels, in the order in which rules ask for them
    scores: list[str] = field(default_factory=list)


def rule_vocabulary(device_type: DeviceType) -> Vocabulary:
    """The terms that the rules of a device type may use."""
    return _names(device_type).vocabulary


def scores_in_use(device_type: DeviceType) -> tuple[str, ...]:
    """The ``SCORES`` that rules of this type ask for: the columns of ``AlertState.scores``."""
    names = _names(device_type)
    for rule in device_type.rules:
        _program(rule, read_rule(rule, names.vocabulary).tree, names, device_type)
    return tuple(names.scores)


def read_rule(rule: AlertRule, vocabulary: Vocabulary) -> Condition:
    """The condition of a rule.

    Raises
    ------
    FilterError : for a text that cannot be read, or that asks for silence and something else at once.
    """
    tree = normal(parse(rule.when, vocabulary))
    about_silence = [test for test in _tests(tree) if test.term.key in ("silent_s", "stale")]
    if not about_silence:
        return Condition(tree)
    match tree:
        case Flag():
            return Condition(tree, silence=True)
        case Compare(_, ">" | ">=", float(value)) if value > 0:
            return Condition(tree, silence=True, silent_s=value)
    raise FilterError(
        rule.when,
        about_silence[0].column,
        "silence passes in shard time, the rest in event time",
        "make silence a rule of its own: 'stale', or 'silent_s > 600'",
    )


def compile_rules(
    device_type: DeviceType, stale_intervals: float = 10.0, stale_at_least_s: float = 5.0
) -> AlertParams:
    """The rules of a device type as arrays.

    ``stale_intervals`` and ``stale_at_least_s`` are what makes a device STALE, for rules that say
    ``stale``.

    Raises
    ------
    FilterError : with the rule's text, for a condition, deadband or delay that cannot be used.
    """
    rules = device_type.rules
    if len(rules) > MAX_RULES:
        raise FilterError(
            rules[MAX_RULES].when, 1, f"{len(rules)} rules in one type", f"use at most {MAX_RULES}"
        )
    names = _names(device_type)
    programs: list[list[_Atom | int]] = []
    table = np.zeros(len(rules), RULE)
    silences: list[tuple[int, int]] = []
    for k, rule in enumerate(rules):
        condition = read_rule(rule, names.vocabulary)
        _check_numbers(rule, condition)
        programs.append(_program(rule, condition.tree, names, device_type))
        if _deepest(programs[-1]) > _STACK:
            raise FilterError(
                rule.when, 1, f"more than {_STACK} results are open at once", "write it flatter"
            )
        table[k]["on_us"] = _delay_us(rule.on_delay_s, condition.silence)
        table[k]["off_us"] = _delay_us(rule.off_delay_s, condition.silence)
        table[k]["silence"] = len(silences) if condition.silence else -1
        table[k]["latch"] = rule.latch
        table[k]["suppressed_by"] = sum(PARENT_FLAGS[state] for state in set(rule.suppressed_by))
        table[k]["priority"] = PRIORITIES.index(rule.priority)
        if condition.silence:
            silences.append((k, -1 if condition.silent_s is None else round(condition.silent_s * 1e6)))
    ends = np.cumsum([0, *map(len, programs)])
    table["start"], table["stop"] = ends[:-1], ends[1:]
    words, sources, atoms, code = _layout(programs, rules)
    calm_low = np.full(len(device_type.channels), -np.inf)
    calm_high = np.full(len(device_type.channels), np.inf)
    of_channels = sources[sources["kind"] == CHANNEL]
    calm_low[of_channels["index"]], calm_high[of_channels["index"]] = of_channels["low"], of_channels["high"]
    return AlertParams(
        words=words,
        sources=sources,
        atoms=atoms,
        code=code,
        rules=table,
        silences=np.array(silences, SILENCE_RULE),
        rate_channel=np.array(names.rates, np.int32),
        calm_low=calm_low,
        calm_high=calm_high,
        stale_intervals=float(stale_intervals),
        stale_at_least_us=round(stale_at_least_s * 1e6),
    )


def _names(device_type: DeviceType) -> _Names:
    single = device_type.dtype == np.float32
    fields: dict[str, Field] = {}
    sources: dict[str, tuple[int, int]] = {}

    def name(key: str, kind: Any, source: tuple[int, int], short: bool = False) -> None:
        fields[key] = Field(kind, single=short)
        sources[key] = source

    for i, channel in enumerate(device_type.channels):
        name(channel.name, _kind(channel), (CHANNEL, i), single)
    own = set(fields)
    for i, channel in enumerate(device_type.channels):
        name(f"rate({channel.name})", "number", (RATE, i))
        name(f"bad({channel.name})", "flag", (BAD, i))
        for bit, pattern in enumerate(PATTERNS):
            name(f"pattern.{pattern}.{channel.name}", "flag", (CHANNEL_PATTERN, 8 * i + bit))
    for bit, pattern in enumerate(PATTERNS):
        name(f"pattern.{pattern}", "flag", (PATTERN, bit))
    indicators = {"health", "anomaly_score", "anomalous", "silent_s", "stale", *SCORES}
    name("health", "number", (HEALTH, 0), True)
    name("anomaly_score", "number", (ANOMALY_SCORE, 0), True)
    name("anomalous", "flag", (ANOMALOUS, 0))
    name("silent_s", "number", (SILENCE, 0))
    name("stale", "flag", (SILENCE, 0))
    for score in SCORES:
        name(score, "number", (SCORE, SCORES.index(score)), True)
    return _Names(Vocabulary(fields), sources, frozenset(own & indicators))


def _kind(channel: Channel) -> str:
    return "flag" if channel.kind == "flag" else "number"


def _tests(tree: Tree) -> list[Test]:
    match tree:
        case And(parts) | Or(parts):
            return [test for part in parts for test in _tests(part)]
        case Not(part):
            return _tests(part)
    return [tree]


def _check_numbers(rule: AlertRule, condition: Condition) -> None:
    limited = {
        test.term.key
        for test in _tests(condition.tree)
        if isinstance(test, Compare) and test.operator not in ("=", "!=") and not condition.silence
    }
    for key, band in rule.deadband.items():
        if key not in limited:
            raise FilterError(
                rule.when, 1, f"a deadband for {key!r}, which has no limit here", "drop the deadband"
            )
        if not 0 <= band < np.inf:
            raise FilterError(rule.when, 1, f"a deadband of {band} for {key!r}", "give a number from zero up")
    for what, delay in (("on", rule.on_delay_s), ("off", rule.off_delay_s)):
        if delay is not None and not 0 <= delay <= MAX_DELAY_S:
            raise FilterError(rule.when, 1, f"an {what}-delay of {delay} s", f"use 0 to {MAX_DELAY_S:g} s")


def _delay_us(delay_s: float | None, silence: bool) -> int:
    if delay_s is None:
        return 0 if silence else -1
    return round(delay_s * 1e6)


def _program(rule: AlertRule, tree: Tree, names: _Names, device_type: DeviceType) -> list[_Atom | int]:
    """The condition in postfix."""
    match tree:
        case And(parts) | Or(parts):
            join = AND if isinstance(tree, And) else OR
            code = _program(rule, parts[0], names, device_type)
            for part in parts[1:]:
                code += [*_program(rule, part, names, device_type), join]
            return code
        case Not(Flag() as test):
            return [_Atom(_source(rule, test, names), BELOW, 0.5, 0.5, np.nan)]
        case Flag():
            return [_Atom(_source(rule, tree, names), ABOVE, 0.5, 0.5, np.nan)]
        case Not(Missing() as test):
            return [_Atom(_source(rule, test, names), PRESENT, 0.0, 0.0, np.nan)]
        case Missing():
            return [_Atom(_source(rule, tree, names), ABSENT, 0.0, 0.0, np.nan)]
        case Not(In(term, values, column)):
            others = And(tuple(Compare(term, "!=", value, column) for value in values))
            return _program(rule, others, names, device_type)
        case In(term, values, column):
            equals = Or(tuple(Compare(term, "=", value, column) for value in values))
            return _program(rule, equals, names, device_type)
        case Compare(term, operator, float(limit)):
            source = _source(rule, tree, names)
            dtype = _dtype(source[0], device_type)
            return [_comparison(source, operator, limit, rule.deadband.get(term.key, 0.0), dtype)]
    raise TypeError(f"not a condition of a rule: {tree}")


def _deepest(program: Sequence[_Atom | int]) -> int:
    """How many results the program holds at once, at most."""
    height, deepest = 0, 0
    for step in program:
        height += 1 if isinstance(step, _Atom) else -1
        deepest = max(deepest, height)
    return deepest


def _source(rule: AlertRule, test: Test, names: _Names) -> tuple[int, int]:
    term = test.term
    if term.key in names.clashes:
        raise FilterError(
            rule.when, test.column, f"{term.key!r} is a channel and an indicator too", "rename the channel"
        )
    kind, index = names.sources[term.key]
    if kind == RATE:
        if index not in names.rates:
            names.rates.append(index)
        return kind, names.rates.index(index)
    if kind == SCORE:
        if term.key not in names.scores:
            names.scores.append(term.key)
        return kind, names.scores.index(term.key)
    return kind, index


def _dtype(kind: int, device_type: DeviceType) -> Any:
    if kind == CHANNEL:
        return device_type.dtype.type
    return np.float64 if kind == RATE else np.float32


def _comparison(source: tuple[int, int], operator: str, limit: float, band: float, dtype: Any) -> _Atom:
    """A comparison as "strictly past", in its source's precision: x ≥ 7.1 is x > the number below 7.1."""
    with np.errstate(over="ignore"):
        edge = dtype(limit)
        if operator in ("=", "!="):
            return _Atom(source, EQUAL if operator == "=" else UNEQUAL, float(edge), float(edge), limit)
        up = operator in (">", ">=")
        clear = dtype(limit - band) if up else dtype(limit + band)
        if operator in (">=", "<="):
            away = dtype(-np.inf if up else np.inf)
            edge, clear = np.nextafter(edge, away), np.nextafter(clear, away)
    return _Atom(source, ABOVE if up else BELOW, float(edge), float(clear), limit)


def _layout(
    programs: Sequence[Sequence[_Atom | int]], rules: Sequence[AlertRule]
) -> tuple[Records, Records, Records, NDArray[np.int16]]:
    """Atoms by source, sources in words: channels first, as most conditions are about them."""
    by_source: dict[tuple[int, int], list[_Atom]] = {}
    for program, rule in zip(programs, rules, strict=True):
        for step in program:
            if isinstance(step, _Atom) and step not in by_source.setdefault(step.source, []):
                by_source[step.source].append(step)
                if len(by_source[step.source]) > BITS:
                    raise FilterError(
                        rule.when, 1, f"more than {BITS} comparisons of one quantity", "merge some"
                    )
    words: list[list[tuple[int, int]]] = [[]]
    room = BITS
    for source in sorted(by_source):
        if len(by_source[source]) > room:
            words.append([])
            room = BITS
        words[-1].append(source)
        room -= len(by_source[source])
    word_rows: list[tuple[int, int, int]] = []
    source_rows: list[tuple[int, int, float, float, int, int]] = []
    atom_rows: list[tuple[int, int, int, int, float, float, float]] = []
    number: dict[_Atom, int] = {}
    for w, word in enumerate(words):
        first, first_atom = len(source_rows), len(atom_rows)
        for source in word:
            start = len(atom_rows)
            for atom in by_source[source]:
                number[atom] = len(atom_rows)
                bit = 1 << len(atom_rows) - first_atom
                atom_rows.append((atom.operator, len(source_rows), w, bit, atom.set, atom.clear, atom.limit))
            source_rows.append((*source, *_calm(by_source[source]), start, len(atom_rows)))
        channels = sum(kind == CHANNEL for kind, _ in word)
        word_rows.append((first, first + channels, len(source_rows)))
    code = [number[step] if isinstance(step, _Atom) else step for program in programs for step in program]
    return (
        np.array(word_rows, WORD),
        np.array(source_rows, SOURCE),
        np.array(atom_rows, ATOM),
        np.array(code, np.int16),
    )


def _calm(atoms: Sequence[_Atom]) -> tuple[float, float]:
    """The values at which no atom holds, whatever held before; (inf, -inf) where there are none such."""
    low, high = -np.inf, np.inf
    for atom in atoms:
        if atom.operator == ABOVE:
            high = min(high, atom.clear)
        elif atom.operator == BELOW:
            low = max(low, atom.clear)
        elif atom.operator != ABSENT:
            return np.inf, -np.inf
    return low, high
