"""YAML files read strictly: each value asked for by name and kind, everything wrong told with its line.

A reader opens a document, takes what it knows from its sections, and closes it: keys nobody asked for, values
of the wrong kind and whatever the reader itself reported come out together, as one error. Nothing in a file
is ever executed: tags, anchors and aliases are refused, and so are files too large or too deep to be
descriptions.
"""

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import yaml

from twins.errors import DescriptionError

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 12
MAX_PROBLEMS: Final = 25

_SCALARS: Final = {
    "str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"
}  # fmt: skip


class Document:
    """One file while it is read: its root section, and what has been found wrong so far."""

    def __init__(self, text: str, source: str, error: type[DescriptionError]) -> None:
        """Parse ``text``; ``source`` names it in messages.

        Raises
        ------
        error : at once, for text that is not YAML, or not a mapping.
        """
        self.source = source
        self._error = error
        self._problems: list[tuple[int, str, str]] = []
        self._sections: list[Section] = []
        self._check_shape(text)
        try:
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as problem:
            raise self._syntax(problem) from None
        if not isinstance(node, yaml.MappingNode):
            raise error(source, 1, "the file does not hold a mapping", "write lines `name: value`")
        self.root = Section(self, node, "the file")

    def report(self, line: int, problem: str, remedy: str) -> None:
        """Note something wrong and read on."""
        self._problems.append((line, problem, remedy))

    def close(self) -> None:
        """Say everything that is wrong.

        Raises
        ------
        the error class given at the start, with the first ``MAX_PROBLEMS`` in the order of their lines.
        """
        for section in self._sections:
            section.report_unknown_keys()
        if self._problems:
            first, *others = sorted(dict.fromkeys(self._problems), key=lambda found: found[0])
            raise self._error(self.source, *first, tuple(others[: MAX_PROBLEMS - 1]))

    def own(self, section: "Section") -> None:
        """Remember a section, so that its unknown keys are told at the end."""
        self._sections.append(section)

    def _check_shape(self, text: str) -> None:
        """Size, depth and the absence of anchors, before anything recursive looks at the text."""
        if len(text) > MAX_CHARACTERS:
            raise self._error(
                self.source, 1, f"the file has {len(text)} characters, more than {MAX_CHARACTERS}", "split it"
            )
        depth = 0
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                line = _line(event)
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
                if depth > MAX_DEPTH:
                    raise self._error(
                        self.source, line, f"nested deeper than {MAX_DEPTH} levels", "flatten it"
                    )
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                    raise self._error(
                        self.source, line, "anchors and aliases are not supported", "write the value out"
                    )
                if isinstance(event, yaml.DocumentStartEvent) and event.explicit:
                    self._refuse_second_document(text, line)
        except yaml.YAMLError as problem:
            raise self._syntax(problem) from None

    def _refuse_second_document(self, text: str, line: int) -> None:
        before = text.splitlines()[: line - 1]
        if any(row.strip() and not row.lstrip().startswith(("#", "%")) for row in before):
            raise self._error(self.source, line, "a second document begins", "one file holds one description")

    def _syntax(self, problem: yaml.YAMLError) -> DescriptionError:
        mark = getattr(problem, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        what = getattr(problem, "problem", None) or str(problem).splitlines()[0]
        return self._error(self.source, line, f"not YAML: {what}", "check indentation, colons and quotes")


class Section:
    """A mapping of the file. Asking for a key marks it as known; ``title`` names the section in messages.

    Each method that reads a value takes a ``default`` for a missing key; None makes the key required. A value
    that is wrong is reported and replaced by the default, or an empty value of the kind, so that reading goes
    on.
    """

    def __init__(self, document: Document, node: yaml.MappingNode, title: str) -> None:
        self.document = document
        self.title = title
        self.start = node.start_mark.line + 1
        self._values: dict[str, tuple[int, yaml.Node]] = {}
        self._known: list[str] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                document.report(line, "a key is not text", "write `name: value`")
            elif key.value in self._values:
                first = self._values[key.value][0]
                document.report(line, f"{key.value!r} is given twice, first in line {first}", "keep one")
            else:
                self._values[key.value] = (line, value)
        document.own(self)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> tuple[str, ...]:
        """The keys as the file has them, for sections whose keys are names of the user's."""
        self._known.extend(self._values)
        return tuple(self._values)

    def kind(self, key: str) -> Literal["missing", "value", "list", "mapping"]:
        """What stands under ``key``, for those that may be written in a short or a long form."""
        if key not in self._values:
            return "missing"
        node = self._values[key][1]
        if isinstance(node, yaml.MappingNode):
            return "mapping"
        return "list" if isinstance(node, yaml.SequenceNode) else "value"

    def line(self, key: str = "") -> int:
        """Where ``key`` stands, else where the section starts."""
        return self._values[key][0] if key in self._values else self.start

    def wrong(self, key: str, problem: str, remedy: str) -> None:
        """Report something about ``key``."""
        self.document.report(self.line(key), problem, remedy)

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """A text, one of ``choices`` where given."""
        node = self._ask(key, default is None)
        fallback = default or (choices[0] if choices else "")
        if node is None:
            return fallback
        if not isinstance(node, yaml.ScalarNode) or _kind(node) != "str":
            self.wrong(key, f"{key} of {self.title} is {_describe(node)}, not text", "put the text in quotes")
            return fallback
        if choices and node.value not in choices:
            self.wrong(key, f"{key} of {self.title} is {node.value!r}", _one_of(node.value, choices))
            return fallback
        return str(node.value).rstrip("\n") if node.style in ("|", ">") else str(node.value)

    def number(
        self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """A finite number from ``low`` to ``high``, both included."""
        fallback = default if default is not None else max(low, min(high, 0.0))
        node = self._ask(key, default is None)
        return fallback if node is None else self._number(node, key, fallback, low, high)

    def maybe_number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A number, or None where the key is missing or null."""
        if key in self._values and _kind(self._values[key][1]) == "null":
            self._known.append(key)
            return None
        if key not in self._values:
            self._known.append(key)
            return None
        return self.number(key, low=low, high=high)

    def integer(self, key: str, default: int | None = None, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.number(key, default, low, high)
        if value != int(value):
            self.wrong(key, f"{key} of {self.title} is {value:g}", "give a whole number")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        node = self._ask(key, False)
        if node is None:
            return default
        if _kind(node) != "bool":
            self.wrong(key, f"{key} of {self.title} is {_describe(node)}", "write true or false")
            return default
        return str(node.value).lower() in ("true", "yes", "on")

    def numbers(self, key: str, length: int | None = None) -> tuple[float, ...]:
        """A list of numbers; empty where the key is missing."""
        node = self._ask(key, False)
        values = tuple(self._number(item, key, 0.0, -math.inf, math.inf) for item in self._items(node, key))
        if node is not None and length is not None and len(values) != length:
            self.wrong(key, f"{key} of {self.title} has {len(values)} numbers", f"give {length}")
            return ()
        return values

    def points(self, key: str) -> tuple[tuple[float, float], ...]:
        """A list of pairs of numbers; empty where the key is missing."""
        points: list[tuple[float, float]] = []
        for item in self._items(self._ask(key, False), key):
            if not isinstance(item, yaml.SequenceNode) or len(item.value) != 2:
                line = item.start_mark.line + 1
                self.document.report(line, f"{key} of {self.title} holds what is no pair", "write [x, y]")
                continue
            x, y = (self._number(part, key, 0.0, -math.inf, math.inf) for part in item.value)
            points.append((x, y))
        return tuple(points)

    def texts(self, key: str, choices: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts; empty where the key is missing."""
        texts: list[str] = []
        for item in self._items(self._ask(key, False), key):
            line = item.start_mark.line + 1
            if _kind(item) != "str":
                self.document.report(line, f"{key} of {self.title} holds {_describe(item)}", "quote it")
            elif choices and item.value not in choices:
                self.document.report(
                    line, f"{key} of {self.title} holds {item.value!r}", _one_of(item.value, choices)
                )
            else:
                texts.append(str(item.value))
        return tuple(texts)

    def section(self, key: str) -> "Section | None":
        """The mapping under ``key``, None where missing."""
        node = self._ask(key, False)
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            self.wrong(key, f"{key} of {self.title} is {_describe(node)}", "write names and values")
            return None
        return Section(self.document, node, f"{key} of {self.title}")

    def sections(self, key: str, noun: str) -> "tuple[Section, ...]":
        """The list of mappings under ``key``, each titled by ``noun`` and its name: ``channel 'flow'``."""
        found: list[Section] = []
        for i, item in enumerate(self._items(self._ask(key, False), key)):
            if not isinstance(item, yaml.MappingNode):
                line = item.start_mark.line + 1
                self.document.report(line, f"{noun} {i + 1} is {_describe(item)}", "write a mapping")
                continue
            names = [value.value for name, value in item.value if name.value == "name"]
            title = f"{noun} {names[0]!r}" if names else f"{noun} {i + 1}"
            found.append(Section(self.document, item, title))
        return tuple(found)

    def report_unknown_keys(self) -> None:
        """Report each key that nobody asked for."""
        for key, (line, _) in self._values.items():
            if key not in self._known:
                known = sorted(set(self._known))
                self.document.report(line, f"{self.title} has an unknown key {key!r}", _one_of(key, known))

    def _ask(self, key: str, required: bool) -> yaml.Node | None:
        self._known.append(key)
        if key in self._values:
            return self._values[key][1]
        if required:
            self.document.report(self.start, f"{self.title} has no {key}", f"add a line `{key}: …`")
        return None

    def _items(self, node: yaml.Node | None, key: str) -> Iterator[yaml.Node]:
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(key, f"{key} of {self.title} is {_describe(node)}", "write a list")
            return
        yield from node.value

    def _number(self, node: yaml.Node, key: str, fallback: float, low: float, high: float) -> float:
        line = node.start_mark.line + 1
        value = _as_number(node)
        if value is None or not math.isfinite(value):
            self.document.report(line, f"{key} of {self.title} is {_describe(node)}", "give a finite number")
            return fallback
        if not low <= value <= high:
            span = _span(low, high)
            self.document.report(line, f"{key} of {self.title} is {value:g}", f"give a number {span}")
            return fallback
        return value


def read(text: str, source: str, error: type[DescriptionError], reader: Callable[[Section], Any]) -> Any:
    """What ``reader`` makes of the root section of ``text``.

    Raises
    ------
    error : with everything that is wrong, each problem with its line and remedy.
    """
    document = Document(text, source, error)
    result = reader(document.root)
    document.close()
    return result


def unique(sections: Sequence[Section], names: Sequence[str], noun: str) -> None:
    """Report each name that an earlier section of the list has already."""
    first: dict[str, int] = {}
    for section, name in zip(sections, names, strict=True):
        if name in first:
            section.wrong(
                "name", f"{noun} {name!r} exists already, in line {first[name]}", "give each its own name"
            )
        first.setdefault(name, section.line("name"))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _kind(node: yaml.Node) -> str:
    return node.tag.rpartition(":")[2] if isinstance(node, yaml.ScalarNode) else ""


def _as_number(node: yaml.Node) -> float | None:
    """YAML 1.1 takes ``1e-05`` for text; here it is the number that its author meant."""
    if not isinstance(node, yaml.ScalarNode) or node.style or _kind(node) in ("bool", "null"):
        return None
    try:
        return float(node.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return None


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    kind = _SCALARS.get(_kind(node), "of a kind that is not supported")
    return f"{kind} ({node.value!r})" if node.value else kind


def _one_of(got: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(got, choices, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}it is one of {', '.join(choices)}" if choices else f"{hint}remove it"


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return f"of at least {low:g}"
    return f"of at most {high:g}" if math.isinf(low) else f"from {low:g} to {high:g}"
