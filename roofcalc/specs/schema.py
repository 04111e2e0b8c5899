"""Plain values -> frozen records, validated by the records' type hints; all problems of a file are reported at once.

Supports records, numbers with a range, literals, lists, maps and tagged alternatives. A record may have a method
`problems()` that yields (field, message) pairs for constraints that types cannot express.
"""

import re
import types
from collections.abc import Iterable, Set
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import MISSING, Record

MAX_HINTS = 100  # problems of a file with nearest names: as many as the command line prints

KeyPath = tuple[str, ...]  # keys from the top level of a file down to a value
Lines = dict[KeyPath, str]  # `file:line` of each value
T = TypeVar("T")


class Range(NamedTuple):
    """Inclusive bounds of a number."""

    low: float
    high: float


class Pattern(NamedTuple):
    """A regular expression that a text must match, and a description of it for messages."""

    pattern: str
    words: str


class OneOf(NamedTuple):
    """The allowed keys of a map."""

    names: tuple[str, ...]


class Alternatives:
    """Records that a mapping may describe: `key: name` selects one, or the presence of a marker key does."""

    def __init__(self, key: str, records: dict[str, type], default: str, markers: dict[str, str] | None = None) -> None:
        self.key = key
        self.records = records
        self.default = default
        self.markers = markers or {}


NAME = Pattern(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", "a name of letters, digits and . _ + -, at most 200, beginning with a letter or digit")
Name = Annotated[str, NAME]  # safe in spreadsheets (no formula), shells (no option) and file systems
Count = Annotated[int, Range(1, 1_000_000_000)]
Whole = Annotated[int, Range(0, 10**16)]
Positive = Annotated[float, Range(1e-9, 1e12)]


class Problem(NamedTuple):
    """A problem of a file: `file:line`, the field, and a message that says what would be valid."""

    place: str
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.field + ': ' if self.field else ''}{self.sentence}"


def build(record: type[T], value: dict[str, Any], lines: Lines, file: str) -> T:
    """The record described by plain values.

    Parameters
    ----------
    value
        Parsed file contents.
    lines, file
        `file:line` of each value, and the file's name where there is none.

    Raises
    ------
    RoofcalcError
        One line per unknown key, missing field, wrong type, value out of range or contradiction.
    """
    built, problems = try_build(record, value, lines, file)
    if problems:
        raise RoofcalcError(*map(str, problems))
    return built


def try_build(
    record: type[T], value: dict[str, Any], lines: Lines, file: str, base: T | None = None, changed: Iterable[KeyPath] = ()
) -> tuple[T, list[Problem]]:
    """The record described by plain values, and its problems; with any problem the first item must not be used.

    Parameters
    ----------
    base : record, optional
        The record of values that differ from these only at the paths `changed`; its other parts are reused without validation.
    """
    touched = {path[:n] for path in changed for n in range(len(path) + 1)}
    reader = _Reader(lines, file, touched)
    return reader.read(record, value, (), base), reader.problems


def place(path: KeyPath, lines: Lines, file: str) -> str:
    """`file:line` of a field, or of the closest enclosing one that has a line."""
    return lines.get(next((path[:n] for n in range(len(path), 0, -1) if path[:n] in lines), ()), file)


class _Bad:
    """Type of the marker for a rejected value; validation continues so that all problems are found."""


_BAD = _Bad()


class _Reader:
    def __init__(self, lines: Lines, file: str, touched: Set[KeyPath] = frozenset()) -> None:
        self.lines = lines
        self.file = file
        self.touched = touched
        self.problems: list[Problem] = []

    def refuse(self, path: KeyPath, sentence: str) -> Any:
        self.problems.append(Problem(place(path, self.lines, self.file), ".".join(path), sentence))
        return _BAD

    def near(self, key: str, known: tuple[str, ...]) -> str:
        """The nearest names, while there are few problems: the search takes 0.2 ms, for the 60,000 keys of a large file 13 s."""
        return did_you_mean(key, known) if len(self.problems) < MAX_HINTS else ""

    def read(self, hint: Any, value: Any, path: KeyPath, base: Any = None) -> Any:
        """The validated value of type `hint`; `base` is the built value at this path before the changes, if known."""
        if get_origin(hint) is Annotated:
            inner, *extras = get_args(hint)
            if isinstance(extras[0], Alternatives):
                return self.alternative(extras[0], value, path, base)
            if isinstance(extras[0], Pattern):
                fits = isinstance(value, str) and re.fullmatch(extras[0].pattern, value)
                return value if fits else self.refuse(path, f"expected {extras[0].words}, got {_show(value)}")
            return self.number(inner, extras[0], value, path)
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self.union(get_args(hint), value, path, base)
        if origin is Literal:
            allowed = get_args(hint)
            return value if value in allowed else self.refuse(path, f"expected one of {', '.join(map(str, allowed))}, got {_show(value)}")
        if origin is tuple:
            if not isinstance(value, list):
                return self.refuse(path, f"expected a list, got {_show(value)}")
            return self.whole(tuple(self.read(get_args(hint)[0], item, (*path, str(i))) for i, item in enumerate(value)))
        if origin is dict:
            if not isinstance(value, dict):
                return self.refuse(path, f"expected a mapping, got {_show(value)}")
            names, content = get_args(hint)
            known = base if isinstance(base, dict) else {}
            built = {key: self.named(names, key, path) or self.part(content, item, (*path, key), known, key) for key, item in value.items()}
            return _BAD if any(item is _BAD for item in built.values()) else built
        if _is_record(hint):
            return self.record(hint, value, path, base)
        if hint is bool:
            return value if isinstance(value, bool) else self.refuse(path, f"expected true or false, got {_show(value)}")
        if hint is str:
            return value if isinstance(value, str) and value else self.refuse(path, f"expected text, got {_show(value)}")
        return self.number(hint, Range(-1e300, 1e300), value, path)

    def part(self, hint: Any, value: Any, path: KeyPath, base: dict[str, Any], key: str) -> Any:
        """The validated value of a field or key, reused from `base` where no change touches it."""
        if key in base:
            return self.read(hint, value, path, base[key]) if path in self.touched else base[key]
        return self.read(hint, value, path)

    def named(self, hint: Any, key: str, path: KeyPath) -> Any:
        """Rejects a key that the map does not allow; None for an allowed one."""
        known = get_args(hint)[1].names if get_origin(hint) is Annotated else (key,)
        if key in known:
            return None
        return self.refuse((*path, key), f"unknown{self.near(key, known)}; known: {', '.join(known)}")

    @staticmethod
    def whole(items: tuple[Any, ...]) -> Any:
        return _BAD if any(item is _BAD for item in items) else items

    def number(self, kind: type, bounds: Range, value: Any, path: KeyPath) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            hint = "; write plain decimals: YAML reads 1e12 as text" if isinstance(value, str) and "e" in value.lower() else ""
            return self.refuse(path, f"expected {'a whole number' if kind is int else 'a number'}, got {_show(value)}{hint}")
        if kind is int and not isinstance(value, int):
            return self.refuse(path, f"expected a whole number, got {_show(value)}")
        if not bounds.low <= value <= bounds.high:  # also rejects .nan and .inf
            return self.refuse(path, f"expected a number from {bounds.low:g} to {bounds.high:g}, got {_show(value)}")
        return kind(value)

    def union(self, hints: tuple[Any, ...], value: Any, path: KeyPath, base: Any) -> Any:
        if value is None and type(None) in hints:
            return None
        hints = tuple(hint for hint in hints if hint is not type(None))
        for hint in hints[:-1]:  # take the first whose shape (text, flag, list or mapping) matches
            origin = get_origin(hint)
            shape = hint if hint in (str, bool) else list if origin is tuple else dict if _is_record(hint) or origin is dict else None
            if shape and isinstance(value, shape):
                return self.read(hint, value, path, base)
        return self.read(hints[-1], value, path, base)

    def alternative(self, kinds: Alternatives, value: Any, path: KeyPath, base: Any) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {_show(value)}")
        marked = next((name for key, name in kinds.markers.items() if key in value), kinds.default)
        name = value.get(kinds.key, marked)
        if not isinstance(name, str) or name not in kinds.records:
            if name in (None, ""):
                return self.refuse(path, f"`{kinds.key}` is missing: expected one of {', '.join(kinds.records)}")
            return self.refuse((*path, kinds.key), f"unknown kind {_show(name)}; known: {', '.join(kinds.records)}")
        return self.record(kinds.records[name], {key: item for key, item in value.items() if key != kinds.key}, path, base)

    def record(self, cls: Any, value: Any, path: KeyPath, base: Any) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {_show(value)}")
        fields = {field.name: field for field in cls.fields_}
        for key in value:
            if key not in fields:
                self.refuse((*path, key), f"unknown key{self.near(key, tuple(fields))}")
        known = base.__dict__ if type(base) is cls else {}
        given: dict[str, Any] = {}
        for name, field in fields.items():
            if name in value:
                given[name] = self.part(field.hint, value[name], (*path, name), known, name)
            elif field.default is MISSING:
                self.refuse(path, f"`{name}` is missing")
                given[name] = _BAD
        if any(item is _BAD for item in given.values()):
            return _BAD
        built = cls(**given)
        before = len(self.problems)
        for field_name, sentence in getattr(built, "problems", tuple)():
            self.refuse((*path, *field_name.split(".")) if field_name else path, sentence)
        return built if len(self.problems) == before else _BAD


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Record)


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
