"""The lines and sections of an explanation, as text or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from roofcalc.report.explain.formulas import Evaluated, number


class Line(NamedTuple):
    """A formula with its numbers, value and unit; or, without a formula, a figure and a remark on it."""

    what: str
    value: float | str
    unit: str = ""
    formula: str = ""
    numbers: str = ""

    def text(self) -> str:
        """`what = formula = numbers = value unit`, without repetitions."""
        value = self.value if isinstance(self.value, str) else number(self.value)
        middle = [part for part in dict.fromkeys((self.formula, self.numbers)) if part and part != value]
        return " = ".join((self.what, *middle, value)) + (f" {self.unit}" if self.unit else "")


class Section(NamedTuple):
    """Lines under a title, and a remark before them."""

    title: str
    lines: tuple[Line, ...]
    words: str = ""


def line(worked: Evaluated, unit: str = "") -> Line:
    """The line of an evaluated formula."""
    return Line(worked.what, worked.value, unit, worked.formula, worked.numbers)


def total(what: str, terms: Sequence[float], unit: str = "") -> Line:
    """A sum with its terms."""
    return Line(what, sum(terms), unit, "", " + ".join(map(number, terms)))


def text(sections: Sequence[Section]) -> Iterator[str]:
    """Plain text."""
    for place, section in enumerate(sections):
        if place:
            yield ""
        yield section.title
        if section.words:
            yield f"  {section.words}"
        yield from (f"  {one.text()}" for one in section.lines)


def markdown(sections: Sequence[Section]) -> Iterator[str]:
    """The same as Markdown: a heading and a list per section."""
    for place, section in enumerate(sections):
        if place:
            yield ""
        yield f"### {section.title}"
        yield ""
        if section.words:
            yield from (section.words, "")
        yield from (f"- `{one.text()}`" for one in section.lines)
