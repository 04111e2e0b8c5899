"""Frozen records from type hints, like `dataclass(frozen=True)` at a hundredth of its start-up time.

The standard decorator generates and compiles six methods per class, about a millisecond each time. Here all classes share
one set of methods. Type checkers see dataclasses (PEP 681).

`Record` is for values that are validated, hashed or used as cache keys; plain bundles of results or arguments are NamedTuples.
"""

from collections.abc import Callable
from functools import cached_property, wraps
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform, get_origin

T = TypeVar("T", bound="Record")


class _Missing:
    """Type of the marker for "no default"."""


MISSING = _Missing()


class Field(NamedTuple):
    """A field of a record. `default` is MISSING for a required field; defaults are shared, so they must not be mutable."""

    name: str
    hint: Any
    default: Any


def _getter(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Reads the values of these names from a dictionary, twice as fast as a loop: equality of records is asked for all the time."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)  # an itemgetter of one name returns no tuple


@dataclass_transform(frozen_default=True)
class Record:
    """Base class of records. Equality and hash use the fields; attributes cannot be set after construction."""

    fields_: ClassVar[tuple[Field, ...]] = ()
    names_: ClassVar[tuple[str, ...]] = ()
    known_: ClassVar[frozenset[str]] = frozenset()
    defaults_: ClassVar[dict[str, Any]] = {}
    getter_: ClassVar[Callable[[dict[str, Any]], tuple[Any, ...]]]

    def __init_subclass__(cls) -> None:
        hints = {name: hint for name, hint in cls.__annotations__.items() if get_origin(hint) is not ClassVar}  # type: ignore[comparison-overlap]
        cls.fields_ = (*cls.fields_, *(Field(name, hint, cls.__dict__.get(name, MISSING)) for name, hint in hints.items()))
        cls.names_ = tuple(field.name for field in cls.fields_)
        cls.known_ = frozenset(cls.names_)
        cls.getter_ = _getter(cls.names_)
        cls.defaults_ = {field.name: field.default for field in cls.fields_ if field.default is not MISSING}

    def __init__(self, *args: Any, **given: Any) -> None:
        values, names = self.__dict__, self.names_
        values.update(self.defaults_)
        if args:
            values.update(zip(names, args, strict=False))
        values.update(given)
        misfit = bool(args) and (len(args) > len(names) or not given.keys().isdisjoint(names[: len(args)]))
        if misfit or values.keys() != self.known_:
            raise TypeError(self._misfit(args, given))

    def _misfit(self, args: tuple[Any, ...], given: dict[str, Any]) -> str:
        """Message for arguments that do not match the fields."""
        name, names = type(self).__name__, self.names_
        free = names[len(args) :]
        if len(args) > len(names):
            return f"{name} takes {len(names)} values, got {len(args)}"
        if unknown := [one for one in given if one not in free]:
            return f"{name} has no free field {', '.join(map(repr, unknown))}"
        return f"{name} needs {', '.join(repr(one) for one in free if one not in given and one not in self.defaults_)}"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace")

    def values_(self) -> tuple[Any, ...]:
        """The values of the fields in declaration order."""
        values: tuple[Any, ...] = type(self).getter_(self.__dict__)
        return values

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is type(self) and self.values_() == other.values_())

    def __hash__(self) -> int:
        return self.hash_

    @cached_property
    def hash_(self) -> int:
        """The hash, computed once because records are keys of caches; a dictionary counts as the set of its items."""
        return hash((type(self), *(frozenset(value.items()) if isinstance(value, dict) else value for value in self.values_())))

    @cached_property
    def kept_(self) -> dict[Any, Any]:
        """What functions have found for this record (`kept`)."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """The fields only: cached properties are computed again in a copy or another process."""
        return dict(zip(self.names_, self.values_(), strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{field.name}={self.__dict__[field.name]!r}' for field in self.fields_)})"

    def __replace__(self, **changes: Any) -> Self:
        return type(self)(**{**self.__getstate__(), **changes})


F = TypeVar("F", bound=Callable[..., Any])


def kept(function: F) -> F:
    """Keeps what a function finds for a record and hashable arguments as long as the record lives.

    Where it is asked for all the time: a cache whose keys are records compares equal ones field by field.
    """

    @wraps(function)
    def found(record: Record, *arguments: Any) -> Any:
        known = record.kept_
        key = (function, arguments)
        if key not in known:
            known[key] = function(record, *arguments)
        return known[key]

    return found  # type: ignore[return-value]


def replace(record: T, **changes: Any) -> T:
    """A copy of `record` with some fields changed, like `dataclasses.replace`."""
    return record.__replace__(**changes)
