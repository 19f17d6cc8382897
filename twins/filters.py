"""The one filter grammar: text → a tree of allow-listed names → SQL, a mask over columns, a rule's condition.

::

    filter    := all ("or" all)*
    all       := one ("and" one)*
    one       := "not" one | "(" filter ")" | test
    test      := term ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") literal
               | term ["not"] "in" "(" literal ("," literal)* ")"
               | term ["not"] "like" text          * any characters, ? any one, a backslash: the next as it is
               | term "is" ["not"] ("null" | "present")
               | term                              a flag that is set
    term      := name ("." name)* | name "(" name ("." name)* ")"
    name      := letter (letter | digit | "_")* | '"' anything '"'
    literal   := number | text | "true" | "false"  text in single quotes, a quote inside is doubled

``health < 50 and site = 'oslo' and label.line = 3`` · ``not stale`` · ``type in ('chiller', 'pump')``

Keywords are read in any case, names and texts exactly as written. What is missing (NULL, or NaN in a number)
matches neither a test nor its opposite, only ``is null``: ``not`` is carried down to the tests, so that SQL,
masks and rules need no third truth value and agree. Times are ISO 8601 in quotes, UTC where they do not say.

The caller allow-lists the terms with a ``Vocabulary``. Values only ever reach SQL as parameters.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twins.errors import FilterError

MAX_LENGTH: Final = 4000
"""Characters in one filter."""
MAX_DEPTH: Final = 32
"""Parentheses and nots inside each other."""

FieldKind = Literal["number", "text", "flag", "time"]
Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = float | str | datetime
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Field:
    """What a term stands for.

    Attributes
    ----------
    kind : decides which tests and literals fit. A time is a column of integer µs UTC.
    sql : a trusted SQL expression with one ``?`` for each of ``parameters``; empty: the column of that name
    column : the key of the column in ``mask``; empty: the term as written
    single : the column holds float32. A limit is then rounded to float32 first, so that a reading of 7.1 is
        ``>= 7.1`` everywhere.
    choices : where given, the only texts that make sense
    texts : where given, the one column of texts that ``sql`` reads: what a test says may be worked out once for
        each distinct text, see ``sql``
    """

    kind: FieldKind
    sql: str = ""
    parameters: tuple[Any, ...] = ()
    column: str = ""
    single: bool = False
    choices: tuple[str, ...] = ()
    texts: str = ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The terms that a filter may name: ``fields`` by their key, and open families such as ``label.<name>``.

    The key of ``rate(temperature)`` is that very text; a family's function is handed what follows the dot and
    answers None for what it does not know.
    """

    fields: Mapping[str, Field]
    families: Mapping[str, Callable[[str], Field | None]] = field(default_factory=dict)

    def find(self, term: "Term") -> Field | None:
        """The field that ``term`` stands for; None where it is not allowed."""
        known = self.fields.get(term.key)
        if known is None and not term.function and len(term.path) == 2 and term.path[0] in self.families:
            return self.families[term.path[0]](term.path[1])
        return known


class Term(NamedTuple):
    """A name as it stands in a filter: ``site``, ``label.line``, ``rate(temperature)``."""

    path: tuple[str, ...]
    function: str = ""

    @property
    def key(self) -> str:
        """Under which a vocabulary knows it."""
        name = ".".join(self.path)
        return f"{self.function}({name})" if self.function else name


@dataclass(frozen=True, slots=True)
class And:
    """Every part matches; at least two parts, none of them an ``And``."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part matches; at least two parts, none of them an ``Or``."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part's opposite."""

    part: "Tree"


@dataclass(frozen=True, slots=True)
class Compare:
    """A number, text or time against a literal. ``column`` is where the term stands in the text, from 1."""

    term: Term
    operator: Operator
    value: Value
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """One of several literals."""

    term: Term
    values: tuple[Value, ...]
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Like:
    """A text that fits ``pattern``, with ``*``, ``?`` and a backslash as in the grammar."""

    term: Term
    pattern: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """No value: NULL, or NaN."""

    term: Term
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that is set."""

    term: Term
    column: int = field(default=1, compare=False)


Test = Compare | In | Like | Missing | Flag
Tree = And | Or | Not | Test


class Sql(NamedTuple):
    """A boolean SQL expression for DuckDB, and the values of its ``?`` in order."""

    text: str
    parameters: tuple[Any, ...]


def parse(text: str, vocabulary: Vocabulary) -> Tree:
    """The tree of a filter.

    Raises
    ------
    FilterError : for whatever is wrong with ``text``, with the column and what to write instead.
    """
    return _Parser(text, vocabulary).filter()


def show(tree: Tree) -> str:
    """The filter as text; parsing it again gives an equal tree."""
    return _show(tree, 0)


def normal(tree: Tree, negated: bool = False) -> Tree:
    """The same filter with every ``not`` carried down to the tests.

    A comparison turns into its opposite; ``Not`` stays around ``In``, ``Like``, ``Missing`` and ``Flag``.
    """
    match tree:
        case Not(part):
            return normal(part, not negated)
        case And(parts):
            return _group(Or if negated else And, [normal(part, negated) for part in parts])
        case Or(parts):
            return _group(And if negated else Or, [normal(part, negated) for part in parts])
        case Compare(term, operator, value, column) if negated:
            return Compare(term, _OPPOSITE[operator], value, column)
    return Not(tree) if negated else tree


def sql(tree: Tree, vocabulary: Vocabulary, ask: Callable[[str, Sql], str] | None = None) -> Sql:
    """The filter as an SQL expression, true where a line matches. Every value is a parameter.

    ``ask`` is handed each test of a field that has ``texts``: that column and the test. It gives a flag to write
    in its stead.
    """
    parameters: list[Any] = []
    return Sql(_sql(normal(tree), vocabulary, parameters, ask), tuple(parameters))


def mask(tree: Tree, vocabulary: Vocabulary, columns: Mapping[str, Any]) -> Mask:
    """The lines that match.

    Parameters
    ----------
    columns : column key → (n,) numpy or Arrow: numbers (NaN is missing), bool, texts, int64 µs for times

    Returns
    -------
    (n,) bool, a new array
    """
    return _mask(normal(tree), vocabulary, columns)


def joined(trees: list[Tree]) -> Tree:
    """And of several filters, as one. At least one is needed."""
    return _group(And, trees)


_OPPOSITE: Final[Mapping[Operator, Operator]] = {
    "=": "!=",
    "!=": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_]))
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<operator><=|>=|!=|<>|=|<|>)
  | (?P<mark>[(),.])
    """,
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "like", "is", "null", "present", "true", "false"})
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Token(NamedTuple):
    kind: str  # number, text, name, keyword, operator, mark, end
    text: str  # as it means: unquoted, keywords in lower case
    column: int


class _Parser:
    """Recursive descent over the tokens, one method for each line of the grammar."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._depth = 0
        self._at = 0
        if len(text) > MAX_LENGTH:
            raise FilterError(
                text[:60] + "…", MAX_LENGTH, f"{len(text)} characters", f"use at most {MAX_LENGTH}"
            )
        self._tokens = self._scan()

    def filter(self) -> Tree:
        tree = self._any()
        token = self._tokens[self._at]
        if token.kind != "end":
            raise self._error(
                token, f"{token.text!r} is not expected here", "join two tests with 'and' or 'or'"
            )
        return tree

    def _scan(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            column = at + 1
            if found is None:
                bad = self._text[at]
                where = _Token("mark", bad, column)
                if bad in "'\"":
                    raise self._error(
                        where, "a quote is never closed", f"close it with {bad}, and double one inside"
                    )
                raise self._error(
                    where, f"{bad!r} means nothing here", "see docs/concepts/filter.md for the grammar"
                )
            at = found.end()
            kind, text = str(found.lastgroup), found.group()
            if kind == "space":
                continue
            if kind in ("text", "quoted"):
                text = text[1:-1].replace(text[0] * 2, text[0])
                if _UNPRINTABLE.search(text):
                    raise self._error(
                        _Token(kind, text, column), "a control character in quotes", "leave it out"
                    )
                kind = "name" if kind == "quoted" else kind
            elif kind == "word":
                kind = "keyword" if text.lower() in _KEYWORDS else "name"
                text = text.lower() if kind == "keyword" else text
            tokens.append(_Token(kind, "!=" if text == "<>" and kind == "operator" else text, column))
        tokens.append(_Token("end", "the end", len(self._text) + 1))
        return tokens

    def _any(self) -> Tree:
        parts = [self._all()]
        while self._take("keyword", "or"):
            parts.append(self._all())
        return _group(Or, parts)

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._take("keyword", "and"):
            parts.append(self._one())
        return _group(And, parts)

    def _one(self) -> Tree:
        token = self._tokens[self._at]
        if self._take("keyword", "not"):
            with _Deeper(self, token):
                return Not(self._one())
        if self._take("mark", "("):
            with _Deeper(self, token):
                tree = self._any()
            self._expect("mark", ")", "close the parenthesis")
            return tree
        return self._test()

    def _test(self) -> Tree:
        start = self._tokens[self._at]
        term = self._term()
        spec = self._vocabulary.find(term)
        if spec is None:
            raise self._error(start, f"{term.key!r} is not a field here", self._suggestion(term.key))
        column = start.column
        token = self._tokens[self._at]
        if token.kind == "operator":
            self._at += 1
            return self._comparison(term, spec, token, column)
        if self._take("keyword", "is"):
            negated = self._take("keyword", "not")
            word = self._tokens[self._at]
            if not (self._take("keyword", "null") or self._take("keyword", "present")):
                raise self._error(
                    word, f"'is' is followed by {word.text!r}", "write 'is null' or 'is present'"
                )
            return (
                Not(Missing(term, column)) if negated != (word.text == "present") else Missing(term, column)
            )
        negated = self._take("keyword", "not")
        if self._take("keyword", "in"):
            self._expect("mark", "(", "list the values in parentheses")
            values = [self._literal(spec)]
            while self._take("mark", ","):
                values.append(self._literal(spec))
            self._expect("mark", ")", "close the list")
            if spec.kind == "flag":
                raise self._error(start, f"{term.key!r} is a flag", f"write {term.key!r} or 'not {term.key}'")
            return Not(In(term, tuple(values), column)) if negated else In(term, tuple(values), column)
        if self._take("keyword", "like"):
            pattern = self._tokens[self._at]
            if spec.kind != "text" or pattern.kind != "text":
                raise self._error(
                    pattern, "'like' compares a text field with a quoted pattern", "write id like 'pump-*'"
                )
            self._at += 1
            return Not(Like(term, pattern.text, column)) if negated else Like(term, pattern.text, column)
        if negated:
            raise self._error(token, f"'not' after {term.key!r} stands alone", "write 'not in' or 'not like'")
        if spec.kind != "flag":
            example = {"number": "> 0", "text": "= '…'", "time": "> '2026-01-31'"}[spec.kind]
            raise self._error(
                token, f"{term.key!r} is not compared with anything", f"write {term.key} {example}"
            )
        return Flag(term, column)

    def _comparison(self, term: Term, spec: Field, token: _Token, column: int) -> Tree:
        operator: Operator = token.text  # type: ignore[assignment]  # the scanner makes no others
        if spec.kind in ("flag", "text") and operator not in ("=", "!="):
            raise self._error(token, f"{term.key!r} has no order", "use =, != or in")
        if spec.kind == "flag":
            value = self._tokens[self._at]
            if not (self._take("keyword", "true") or self._take("keyword", "false")):
                raise self._error(value, f"{term.key!r} is a flag", "compare it with true or false")
            unset = (value.text == "false") != (operator == "!=")
            return Not(Flag(term, column)) if unset else Flag(term, column)
        return Compare(term, operator, self._literal(spec), column)

    def _term(self) -> Term:
        first = self._name()
        if self._take("mark", "("):
            inner = self._path(self._name())
            self._expect("mark", ")", "a function takes one name")
            return Term(inner, first)
        return Term(self._path(first))

    def _path(self, first: str) -> tuple[str, ...]:
        path = [first]
        while self._take("mark", "."):
            path.append(self._name())
        return tuple(path)

    def _name(self) -> str:
        token = self._tokens[self._at]
        if token.kind != "name":
            what = "the filter ends" if token.kind == "end" else f"{token.text!r} stands"
            raise self._error(
                token, f"{what} where a field is expected", "name a field, for example health < 50"
            )
        self._at += 1
        return token.text

    def _literal(self, spec: Field) -> Value:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        if spec.kind == "number" and token.kind == "number":
            number = float(token.text)
            if not np.isfinite(number):
                raise self._error(token, f"{token.text} is too large", "use a number below 1e308")
            return number
        if spec.kind == "text" and token.kind in ("text", "number"):
            if spec.choices and token.text not in spec.choices:
                near = difflib.get_close_matches(token.text, spec.choices, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(spec.choices)}"
                raise self._error(token, f"{token.text!r} is never the case", hint)
            return token.text
        if spec.kind == "time" and token.kind == "text":
            try:
                moment = datetime.fromisoformat(token.text)
                return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            except (ValueError, OverflowError):
                raise self._error(
                    token, f"{token.text!r} is no time", "write '2026-01-31T12:00:00Z'"
                ) from None
        wanted = {"number": "a number", "text": "a text in single quotes", "time": "a time in single quotes"}
        hint = wanted.get(spec.kind, "true or false")
        what = "the filter ends" if token.kind == "end" else f"{token.text!r} stands"
        raise self._error(token, f"{what} where {hint} is expected", f"write {hint}")

    def _take(self, kind: str, text: str) -> bool:
        token = self._tokens[self._at]
        if token.kind == kind and token.text == text:
            self._at += 1
            return True
        return False

    def _expect(self, kind: str, text: str, remedy: str) -> None:
        token = self._tokens[self._at]
        if not self._take(kind, text):
            raise self._error(token, f"{text!r} is expected, not {token.text!r}", remedy)

    def _suggestion(self, key: str) -> str:
        near = difflib.get_close_matches(key, self._vocabulary.fields, 1)
        if near:
            return f"did you mean {near[0]}?"
        known = sorted(self._vocabulary.fields) + [
            f"{family}.…" for family in sorted(self._vocabulary.families)
        ]
        return f"use one of {', '.join(known[:20])}" + (", …" if len(known) > 20 else "")

    def _error(self, token: _Token, problem: str, remedy: str) -> FilterError:
        return FilterError(self._text, token.column, problem, remedy)


class _Deeper:
    """One level further down, as long as the block lasts."""

    def __init__(self, parser: _Parser, token: _Token) -> None:
        self._parser = parser
        self._token = token

    def __enter__(self) -> None:
        self._parser._depth += 1
        if self._parser._depth > MAX_DEPTH:
            raise self._parser._error(self._token, f"more than {MAX_DEPTH} levels", "write it flatter")

    def __exit__(self, *_: object) -> None:
        self._parser._depth -= 1


def _group(kind: type[And] | type[Or], parts: list[Tree]) -> Tree:
    flat: list[Tree] = []
    for part in parts:
        if isinstance(part, kind):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _show(tree: Tree, tightness: int) -> str:
    match tree:
        case Or(parts):
            text, own = " or ".join(_show(part, 1) for part in parts), 0
        case And(parts):
            text, own = " and ".join(_show(part, 2) for part in parts), 1
        case Not(part):
            text, own = f"not {_show(part, 2)}", 2
        case Compare(term, operator, value):
            text, own = f"{_show_term(term)} {operator} {_show_value(value)}", 2
        case In(term, values):
            text, own = f"{_show_term(term)} in ({', '.join(map(_show_value, values))})", 2
        case Like(term, pattern):
            text, own = f"{_show_term(term)} like {_show_value(pattern)}", 2
        case Missing(term):
            text, own = f"{_show_term(term)} is null", 2
        case Flag(term):
            text, own = _show_term(term), 2
    return f"({text})" if own < tightness else text


def _show_term(term: Term) -> str:
    path = ".".join(map(_show_name, term.path))
    return f"{_show_name(term.function)}({path})" if term.function else path


def _show_name(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.lower() not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _show_value(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _spec(term: Term, vocabulary: Vocabulary) -> Field:
    spec = vocabulary.find(term)
    if spec is None:
        raise FilterError(
            _show_term(term), 1, f"{term.key!r} is not a field here", "parse the filter for this use"
        )
    return spec


def _bound(value: Value, spec: Field) -> float | int | str:
    """A literal as the column holds its like."""
    if isinstance(value, datetime):
        gap = value - _EPOCH
        return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds
    if isinstance(value, str) or not spec.single:
        return value
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _sql(
    tree: Tree, vocabulary: Vocabulary, parameters: list[Any], ask: Callable[[str, Sql], str] | None
) -> str:
    if isinstance(tree, And | Or):
        word = " AND " if isinstance(tree, And) else " OR "
        return "(" + word.join(_sql(part, vocabulary, parameters, ask) for part in tree.parts) + ")"
    test = tree.part if isinstance(tree, Not) else tree
    if ask is not None and not isinstance(test, And | Or | Not):
        column = _spec(test.term, vocabulary).texts
        if column:
            own: list[Any] = []
            return ask(column, Sql(_test_sql(tree, vocabulary, own), tuple(own)))
    return _test_sql(tree, vocabulary, parameters)


def _test_sql(tree: Tree, vocabulary: Vocabulary, parameters: list[Any]) -> str:
    """One test, or its opposite."""
    negated = isinstance(tree, Not)
    test: Tree = tree.part if isinstance(tree, Not) else tree
    if isinstance(test, And | Or | Not):
        raise TypeError("not a normal form")
    spec = _spec(test.term, vocabulary)
    name = spec.sql or '"' + test.term.key.replace('"', '""') + '"'

    def given() -> str:
        """The expression once more: its own parameters come in the order in which it is written."""
        parameters.extend(spec.parameters)
        return name

    def present() -> str:
        """DuckDB takes NaN for the largest number; here it is missing."""
        return f" AND NOT isnan({given()})" if spec.kind == "number" else ""

    no = "NOT " if negated else ""
    match test:
        case Compare(_, operator, value):
            left = given()
            parameters.append(_bound(value, spec))
            operator_sql = "<>" if operator == "!=" else operator
            return f"({left} {operator_sql} ?{present() if operator in ('>', '>=', '!=') else ''})"
        case In(_, values):
            left = given()
            parameters.extend(_bound(value, spec) for value in values)
            return f"({left} {no}IN ({', '.join('?' * len(values))}){present() if negated else ''})"
        case Like(_, pattern):
            left = given()
            parameters.append(_like(pattern))
            return f"({left} {no}LIKE ? ESCAPE '\\')"
        case Missing():
            empty = f"({given()} IS NULL" + (f" OR isnan({given()}))" if spec.kind == "number" else ")")
            return f"(NOT coalesce({empty}, TRUE))" if negated else f"coalesce({empty}, TRUE)"
        case Flag():
            return f"({no}{given()})"
    raise TypeError("not a normal form")


def _like(pattern: str) -> str:
    """A pattern with * and ? as SQL writes it."""
    out: list[str] = []
    escaped = False
    for character in pattern:
        if escaped or character not in "\\*?":
            out.append("\\" + character if character in "\\%_" else character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            out.append("%" if character == "*" else "_")
    if escaped:
        out.append("\\\\")
    return "".join(out)


def _mask(tree: Tree, vocabulary: Vocabulary, columns: Mapping[str, Any]) -> Mask:
    if isinstance(tree, And | Or):
        masks = [_mask(part, vocabulary, columns) for part in tree.parts]
        combine = np.logical_and if isinstance(tree, And) else np.logical_or
        for other in masks[1:]:
            combine(masks[0], other, out=masks[0])
        return masks[0]
    negated = isinstance(tree, Not)
    test: Tree = tree.part if isinstance(tree, Not) else tree
    if isinstance(test, And | Or | Not):
        raise TypeError("not a normal form")
    spec = _spec(test.term, vocabulary)
    values = columns[spec.column or test.term.key]
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if spec.kind == "text":
        return _text_mask(test, spec, negated, pa.array(values, pa.string()))
    return _number_mask(test, spec, negated, values)


def _text_mask(test: Test, spec: Field, negated: bool, values: Any) -> Mask:
    match test:
        case Compare(_, operator, value):
            hit = (pc.equal if operator == "=" else pc.not_equal)(values, str(value))
        case In(_, choices):
            hit = pc.is_in(values, value_set=pa.array([str(choice) for choice in choices], pa.string()))
        case Like(_, pattern):
            hit = pc.match_like(values, _like(pattern))
        case _:
            empty = _numpy(values.is_null())
            return ~empty if negated else empty
    found = _numpy(pc.fill_null(hit, False))
    return ~found & _numpy(values.is_valid()) if negated else found


def _number_mask(test: Test, spec: Field, negated: bool, values: Any) -> Mask:
    if isinstance(values, pa.Array):
        present = _numpy(values.is_valid())
        values = _numpy(pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0))
    else:
        present = np.ones(len(values), np.bool_)
    if values.dtype.kind == "f":
        present &= ~np.isnan(values)
    match test:
        case Compare(_, operator, value):
            hit = _COMPARE[operator](values, np.asarray(_bound(value, spec)))
        case In(_, choices):
            hit = np.isin(values, np.array([_bound(choice, spec) for choice in choices]))
        case Flag():
            hit = values.astype(np.bool_)
        case _:
            return present if negated else ~present
    found: Mask = (~hit if negated else hit) & present
    return found


_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _numpy(values: Any) -> NDArray[Any]:
    """An Arrow array without nulls as a numpy array that may be written to."""
    return np.array(values.to_numpy(zero_copy_only=False))
