"""The filter grammar: what it takes, what it refuses, and that SQL and masks agree."""

import math
import string
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twins.errors import FilterError
from twins.filters import (
    MAX_DEPTH,
    MAX_LENGTH,
    And,
    Compare,
    Field,
    Flag,
    In,
    Like,
    Missing,
    Not,
    Or,
    Term,
    Tree,
    Vocabulary,
    joined,
    mask,
    normal,
    parse,
    show,
    sql,
)

VOCABULARY = Vocabulary(
    {
        "id": Field("text"),
        "site": Field("text"),
        "type": Field("text", choices=("pump", "chiller", "motor")),
        "health": Field("number", single=True),
        "vibration": Field("number"),
        "temperature": Field("number", sql="temp_c", column="temp_c"),
        "count": Field("number"),
        "rate(temperature)": Field("number", sql="temp_rate", column="temp_rate"),
        "stale": Field("flag"),
        "since": Field("time"),
    },
    {"label": lambda key: Field("text", "map_extract_value(labels, ?)", (key,), f"label.{key}")},
)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("health < 50", Compare(Term(("health",)), "<", 50.0)),
        ("label.line = 3", Compare(Term(("label", "line")), "=", "3")),
        ("not stale", Not(Flag(Term(("stale",))))),
        ("stale = false", Not(Flag(Term(("stale",))))),
        ("stale <> false", Flag(Term(("stale",)))),
        ("id like 'pump-*'", Like(Term(("id",)), "pump-*")),
        ("id not like 'it''s'", Not(Like(Term(("id",)), "it's"))),
        ("type IN ('chiller','pump')", In(Term(("type",)), ("chiller", "pump"))),
        ("health is null", Missing(Term(("health",)))),
        ("health is present", Not(Missing(Term(("health",))))),
        ("health is not null", Not(Missing(Term(("health",))))),
        ("rate(temperature) > -2.5e1", Compare(Term(("temperature",), "rate"), ">", -25.0)),
        (
            "since >= '2026-01-31T12:00:00+01:00'",
            Compare(Term(("since",)), ">=", datetime(2026, 1, 31, 11, tzinfo=UTC)),
        ),
        (
            "vibration > 7.1 or (temperature >= 90 and rate(temperature) > 2)",
            Or(
                (
                    Compare(Term(("vibration",)), ">", 7.1),
                    And(
                        (
                            Compare(Term(("temperature",)), ">=", 90.0),
                            Compare(Term(("temperature",), "rate"), ">", 2.0),
                        )
                    ),
                )
            ),
        ),
        ("stale and (stale and stale)", And((Flag(Term(("stale",))),) * 3)),
    ],
)
def test_reads(text: str, tree: Tree) -> None:
    assert parse(text, VOCABULARY) == tree


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "field"),
        ("helth < 50", 1, "did you mean health?"),
        ("health <", 9, "a number"),
        ("health < 'x'", 10, "a number"),
        ("health", 7, "write health > 0"),
        ("stale = 1", 9, "true or false"),
        ("stale < true", 7, "no order"),
        ("site < 'b'", 6, "no order"),
        ("type = 'pmup'", 8, "did you mean 'pump'?"),
        ("health < 50 health > 2", 13, "'and' or 'or'"),
        ("(health < 50", 13, "close the parenthesis"),
        ("site = 'oslo", 8, "never closed"),
        ("site = 'os\x00lo'", 8, "control character"),
        ("health < 1e999", 10, "too large"),
        ("health < 3x", 10, "means nothing"),
        ("health # 3", 8, "means nothing"),
        ("id like 3", 9, "pattern"),
        ("health like 'a'", 13, "pattern"),
        ("stale in (true)", 11, "true or false"),
        ("health not 3", 8, "not in"),
        ("health is 3", 11, "is null"),
        ("since > 'monday'", 9, "no time"),
        ("label.a.b = 'x'", 1, "not a field"),
        ("sin(health) > 0", 1, "not a field"),
        ("not " * (MAX_DEPTH + 1) + "stale", 4 * MAX_DEPTH + 1, "flatter"),
        ("health < " + "5" * MAX_LENGTH, MAX_LENGTH, "at most"),
    ],
)
def test_refuses_with_column_and_remedy(text: str, column: int, says: str) -> None:
    with pytest.raises(FilterError, match=r".") as caught:
        parse(text, VOCABULARY)
    assert says in str(caught.value)
    assert caught.value.column == column


@given(st.text(max_size=80) | st.text(string.printable, max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = parse(text, VOCABULARY)
    except FilterError:
        return
    assert parse(show(tree), VOCABULARY) == tree


WORDS = st.sampled_from(
    r"""health site stale since label rate line temperature "q" ( ) . , = <> <= > 'a*' 3 -1.5 '2026-01-01'
    in like is not null present and or true""".split()  # noqa: SIM905
)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_are_read_or_refused(text: str) -> None:
    try:
        tree = parse(text, VOCABULARY)
    except FilterError:
        return
    assert parse(show(tree), VOCABULARY) == tree


NUMBERS = st.sampled_from([-1.0, 0.0, 1.0, 2.5, 7.1, 50.0, 1e300]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TEXTS = st.sampled_from(["", "oslo", "pump-1", "pump_1", "50%", "a\\b", "it's", "æøå", "a*b"]) | st.text(
    st.characters(exclude_categories=("Cs", "Cc")), max_size=6
)
TIMES = st.datetimes(timezones=st.just(UTC))
COMPARISONS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
NUMBER_TERMS = st.sampled_from(
    [Term((n,)) for n in ("health", "vibration", "temperature", "count")] + [Term(("temperature",), "rate")]
)
TEXT_TERMS = st.sampled_from([Term(("id",)), Term(("site",)), Term(("label", "line"))])
SINCE = st.just(Term(("since",)))
TESTS = st.one_of(
    st.builds(Compare, NUMBER_TERMS, COMPARISONS, NUMBERS),
    st.builds(Compare, TEXT_TERMS, st.sampled_from(["=", "!="]), TEXTS),
    st.builds(Compare, SINCE, COMPARISONS, TIMES),
    st.builds(In, NUMBER_TERMS, st.lists(NUMBERS, min_size=1, max_size=4).map(tuple)),
    st.builds(In, TEXT_TERMS, st.lists(TEXTS, min_size=1, max_size=4).map(tuple)),
    st.builds(Like, TEXT_TERMS, st.text("ab*?\\%_-1pum", max_size=8)),
    st.builds(Missing, NUMBER_TERMS | TEXT_TERMS | SINCE),
    st.builds(Flag, st.just(Term(("stale",)))),
)


def _grow(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(trees, min_size=2, max_size=4)
    both = several.map(joined)
    either = several.map(lambda parts: normal(joined([normal(part, True) for part in parts]), True))
    return both | either | trees.map(Not)


TREES: st.SearchStrategy[Tree] = st.recursive(TESTS, _grow, max_leaves=8)


def test_what_a_not_leaves_nested_is_one_connective() -> None:
    flag = Flag(Term(("stale",)))
    assert normal(And((flag, Not(Or((flag, flag)))))) == And((flag, Not(flag), Not(flag)))


@given(TREES)
def test_a_tree_survives_being_written(tree: Tree) -> None:
    assert parse(show(tree), VOCABULARY) == tree


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.integers(0, 6))

    def column(values: st.SearchStrategy[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(draw(st.lists(st.none() | values, min_size=n, max_size=n)), kind)

    floats = NUMBERS | st.sampled_from([math.nan, math.inf, -math.inf])
    singles = floats.map(lambda x: float(np.float32(x)) if abs(x) < 1e38 else x)
    stamps = TIMES.map(lambda t: int(t.timestamp() * 1e6))
    labels = st.dictionaries(st.just("line"), TEXTS).map(lambda d: list(d.items()))
    return pa.table(
        {
            "id": column(TEXTS, pa.string()),
            "site": column(TEXTS, pa.string()),
            "health": column(singles, pa.float32()),
            "vibration": column(floats, pa.float64()),
            "temp_c": column(floats, pa.float64()),
            "temp_rate": column(floats, pa.float64()),
            "count": column(st.integers(-3, 60), pa.int64()),
            "stale": column(st.booleans(), pa.bool_()),
            "since": column(stamps, pa.int64()),
            "labels": column(labels, pa.map_(pa.string(), pa.string())),
        }
    )


@settings(deadline=None)
@given(tables(), TREES)
def test_sql_mask_and_reason_agree(table: pa.Table, tree: Tree) -> None:
    columns = {name: table.column(name) for name in table.column_names}
    columns["label.line"] = pa.array(
        [dict(m or ()).get("line") for m in table["labels"].to_pylist()], pa.string()
    )
    found = mask(tree, VOCABULARY, columns)
    lines = table.append_column("line", pa.array(range(len(table)), pa.int64()))
    condition = sql(tree, VOCABULARY)
    with duckdb.connect() as connection:
        connection.register("lines", lines)
        rows = connection.execute(
            f"SELECT line FROM lines WHERE {condition.text}", condition.parameters
        ).fetchall()
    by_hand = [
        i
        for i in range(len(table))
        if _holds(tree, {name: column[i].as_py() for name, column in columns.items()})
    ]
    assert sorted(line for (line,) in rows) == np.flatnonzero(found).tolist() == by_hand


def test_a_numpy_column_with_nan_is_missing_there() -> None:
    columns = {"health": np.array([np.nan, 40, 60], np.float32)}
    for text, expected in (
        ("health < 50", [False, True, False]),
        ("not health < 50", [False, False, True]),
        ("health is null", [True, False, False]),
        ("health != 40", [False, False, True]),
    ):
        assert mask(parse(text, VOCABULARY), VOCABULARY, columns).tolist() == expected


def test_a_float32_reading_equals_the_limit_it_shows() -> None:
    tree = parse("health >= 7.1", VOCABULARY)
    assert mask(tree, VOCABULARY, {"health": np.array([7.1], np.float32)}).tolist() == [True]
    with duckdb.connect() as connection:
        condition = sql(tree, VOCABULARY)
        query = f"SELECT {condition.text} FROM (SELECT 7.1::FLOAT AS health)"
        assert connection.execute(query, condition.parameters).fetchone() == (True,)


def test_no_value_reaches_the_text_of_the_sql() -> None:
    tree = parse("site = 'x''; DROP TABLE lines' and label.\"a') or 1=1 --\" = 'y'", VOCABULARY)
    condition = sql(tree, VOCABULARY)
    assert "DROP" not in condition.text
    assert "1=1" not in condition.text
    assert condition.parameters == ("x'; DROP TABLE lines", "a') or 1=1 --", "y")


def _holds(tree: Tree, line: dict[str, Any], negated: bool = False) -> bool:
    """The meaning of a filter, one line and one test at a time."""
    match tree:
        case Not(part):
            return _holds(part, line, not negated)
        case And(parts):
            return (any if negated else all)(_holds(part, line, negated) for part in parts)
        case Or(parts):
            return (all if negated else any)(_holds(part, line, negated) for part in parts)
    spec = VOCABULARY.find(tree.term)
    assert spec is not None
    x = line[spec.column or tree.term.key]
    missing = x is None or (isinstance(x, float) and math.isnan(x))
    if isinstance(tree, Missing):
        return missing != negated
    if missing:
        return False
    match tree:
        case Compare(_, operator, value):
            y = _plain(value, spec)
            order = (x > y) - (x < y)
            fits = {"=": (0,), "!=": (-1, 1), "<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[operator]
            hit = order in fits
        case In(_, values):
            hit = any(x == _plain(value, spec) for value in values)
        case Like(_, pattern):
            hit = _fits(x, pattern)
        case Flag():
            hit = x
    return hit != negated


def _plain(value: Any, spec: Field) -> Any:
    if isinstance(value, datetime):
        return round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    if isinstance(value, float) and spec.single:
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    return value


def _fits(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_fits(text[i:], pattern[1:]) for i in range(len(text) + 1))
    if pattern[0] == "\\":
        literal, rest = (pattern[1], pattern[2:]) if len(pattern) > 1 else ("\\", "")
        return text[:1] == literal and _fits(text[1:], rest)
    return bool(text) and pattern[0] in ("?", text[0]) and _fits(text[1:], pattern[1:])
