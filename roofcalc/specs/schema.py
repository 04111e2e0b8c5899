"""Plain values -> frozen records, by the records' own type hints; every problem of a file at once.

Knows records, numbers with a range, literals, lists, maps and alternatives; not what any key means.
A record may add a method `problems()` that yields (field, sentence) for what the types cannot say.
"""

import re
import types
from collections.abc import Iterable, Set
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import MISSING, Record

Path_ = tuple[str, ...]  # keys that lead to a value, from the top of a file
Lines = dict[Path_, str]  # file:line of each value
T = TypeVar("T")


class Range(NamedTuple):
    """Bounds of a number, both included."""

    low: float
    high: float


class Written(NamedTuple):
    """How a text must be written: a pattern, and what it allows in words."""

    pattern: str
    words: str


class OneOf(NamedTuple):
    """The keys that a map may have."""

    names: tuple[str, ...]


class Kinds:
    """Alternatives for one mapping: `key: name` picks the record; a marker is a key whose presence alone does."""

    def __init__(self, key: str, records: dict[str, type], default: str, markers: dict[str, str] | None = None) -> None:
        self.key = key
        self.records = records
        self.default = default
        self.markers = markers or {}


NAME = Written(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", "a name of letters, digits and . _ + -, at most 200, beginning with a letter or digit")
Name = Annotated[str, NAME]  # no spreadsheet takes it for a formula, no shell for an option, no system for another file
Count = Annotated[int, Range(1, 1_000_000_000)]
Whole = Annotated[int, Range(0, 10**16)]
Positive = Annotated[float, Range(1e-9, 1e12)]


class Problem(NamedTuple):
    """What is wrong with a file: where, in which field, and what would be right."""

    place: str
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.field + ': ' if self.field else ''}{self.sentence}"


def build(record: type[T], value: dict[str, Any], lines: Lines, file: str) -> T:
    """The record that `value` describes.

    Raises
    ------
    RoofcalcError
        One line for each unknown key, missing field, wrong type, value out of range or contradiction.
    """
    built, problems = attempt(record, value, lines, file)
    if problems:
        raise RoofcalcError(*map(str, problems))
    return built


def attempt(
    record: type[T], value: dict[str, Any], lines: Lines, file: str, base: T | None = None, changed: Iterable[Path_] = ()
) -> tuple[T, list[Problem]]:
    """The record that `value` describes and its problems; with any problem, what stands for the record must not be used.

    Parameters
    ----------
    base : record, optional
        The record of the same values but for those at the paths `changed`: its other parts are taken as they are, unread.
    """
    touched = {path[:n] for path in changed for n in range(len(path) + 1)}
    reader = _Reader(lines, file, touched)
    return reader.read(record, value, (), base), reader.problems


def place(path: Path_, lines: Lines, file: str) -> str:
    """Where a field stands, or the nearest that it is part of: `file:line`."""
    return lines.get(next((path[:n] for n in range(len(path), 0, -1) if path[:n] in lines), ()), file)


class _Bad:
    """Stands where a value was refused, so that reading goes on to the next."""


_BAD = _Bad()


class _Reader:
    def __init__(self, lines: Lines, file: str, touched: Set[Path_] = frozenset()) -> None:
        self.lines = lines
        self.file = file
        self.touched = touched
        self.problems: list[Problem] = []

    def refuse(self, path: Path_, sentence: str) -> Any:
        self.problems.append(Problem(place(path, self.lines, self.file), ".".join(path), sentence))
        return _BAD

    def read(self, hint: Any, value: Any, path: Path_, base: Any = None) -> Any:
        """The value that `hint` asks for; `base` is what stood at this path before the changes, if that is known."""
        if get_origin(hint) is Annotated:
            inner, *extras = get_args(hint)
            if isinstance(extras[0], Kinds):
                return self.alternative(extras[0], value, path, base)
            if isinstance(extras[0], Written):
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

    def part(self, hint: Any, value: Any, path: Path_, base: dict[str, Any], key: str) -> Any:
        """The value of a field or key: that of `base` where no change touches it."""
        if key in base:
            return self.read(hint, value, path, base[key]) if path in self.touched else base[key]
        return self.read(hint, value, path)

    def named(self, hint: Any, key: str, path: Path_) -> Any:
        """Refuses a key that is none of a map's; None where it may stand."""
        known = get_args(hint)[1].names if get_origin(hint) is Annotated else (key,)
        if key in known:
            return None
        return self.refuse((*path, key), f"unknown{did_you_mean(key, known)}; known: {', '.join(known)}")

    @staticmethod
    def whole(items: tuple[Any, ...]) -> Any:
        return _BAD if any(item is _BAD for item in items) else items

    def number(self, kind: type, bounds: Range, value: Any, path: Path_) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            hint = "; write plain decimals: YAML reads 1e12 as text" if isinstance(value, str) and "e" in value.lower() else ""
            return self.refuse(path, f"expected {'a whole number' if kind is int else 'a number'}, got {_show(value)}{hint}")
        if kind is int and not isinstance(value, int):
            return self.refuse(path, f"expected a whole number, got {_show(value)}")
        if not bounds.low <= value <= bounds.high:  # also refuses .nan and .inf
            return self.refuse(path, f"expected a number from {bounds.low:g} to {bounds.high:g}, got {_show(value)}")
        return kind(value)

    def union(self, hints: tuple[Any, ...], value: Any, path: Path_, base: Any) -> Any:
        if value is None and type(None) in hints:
            return None
        hints = tuple(hint for hint in hints if hint is not type(None))
        for hint in hints[:-1]:  # text, true or false, a list or a mapping: take the first whose shape fits
            origin = get_origin(hint)
            shape = hint if hint in (str, bool) else list if origin is tuple else dict if _is_record(hint) or origin is dict else None
            if shape and isinstance(value, shape):
                return self.read(hint, value, path, base)
        return self.read(hints[-1], value, path, base)

    def alternative(self, kinds: Kinds, value: Any, path: Path_, base: Any) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {_show(value)}")
        marked = next((name for key, name in kinds.markers.items() if key in value), kinds.default)
        name = value.get(kinds.key, marked)
        if not isinstance(name, str) or name not in kinds.records:
            if name in (None, ""):
                return self.refuse(path, f"needs `{kinds.key}`: one of {', '.join(kinds.records)}")
            return self.refuse((*path, kinds.key), f"unknown kind {_show(name)}; known: {', '.join(kinds.records)}")
        return self.record(kinds.records[name], {key: item for key, item in value.items() if key != kinds.key}, path, base)

    def record(self, cls: Any, value: Any, path: Path_, base: Any) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {_show(value)}")
        fields = {field.name: field for field in cls.fields_}
        for key in value:
            if key not in fields:
                self.refuse((*path, key), f"unknown key{did_you_mean(key, tuple(fields))}")
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
