"""The HTML report: answers, charts, tables, formulas, catalog figures and their sources."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from roofcalc import __version__
from roofcalc.errors import RoofcalcError
from roofcalc.report.html.style import CSS
from roofcalc.report.html.tables import linked, shared_words, table
from roofcalc.report.table import Block, Table

if TYPE_CHECKING:
    from roofcalc.report.explain.render import Section

QUESTION = "How many users fit, how fast is each served, and what runs out first?"
SAID = ("source", "published at", "not seen at a source", "announced", "note")  # lines of a catalog entry that are listed above its table
LONG, FIRST_LONG = 16, 32  # rows of any table and of the first; longer ones are folded, and what is folded is not printed


class Part(NamedTuple):
    """A section of a report: its title, its table, whether the table is shown, and whether its chart is."""

    title: str
    table: Table
    listed: bool = True
    drawn: bool = True


class Page(NamedTuple):
    """Content of a report.

    Attributes
    ----------
    title : str
        Models and hardware of the report.
    answers : tuple of str
        Summary, one sentence each.
    parts : tuple of Part
        Each has a chart, and most have their table below it.
    charts : bool
        Whether to draw charts, which needs matplotlib.
    working : tuple of (title, list of Section)
        Output of `explain`.
    entries : tuple of (title, Table)
        Catalog entries of the models and hardware, with their sources.
    notes : tuple of str
        Notes on what affects the results.
    """

    title: str
    answers: tuple[str, ...]
    parts: tuple[Part, ...]
    charts: bool
    working: tuple[tuple[str, list[Section]], ...]
    entries: tuple[tuple[str, Table], ...]
    notes: tuple[str, ...]

    def html(self) -> Iterator[str]:
        """The page, line by line."""
        yield "<!doctype html>"
        yield '<html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        yield f'<meta name="generator" content="roofcalc {__version__}"><link rel="icon" href="data:,">'
        yield f"<title>{escape(self.title)}</title>"
        yield f"<style>{CSS}</style></head><body>"
        yield f'<header><h1>{escape(self.title)}</h1><p class="quiet">{QUESTION}</p>'
        yield f'<ul class="answers">{"".join(f"<li>{escape(one)}</li>" for one in self.answers)}</ul></header><main>'
        yield from self._assumptions()
        if self.charts:
            yield '<h2>Charts</h2><div class="charts">'
            figures = ["".join(_chart(part.table, number)) for number, part in enumerate(part for part in self.parts if part.drawn)]
            yield from sorted(figures, key=lambda figure: "<svg" not in figure)  # those without a chart last
            yield "</div>"
        yield from self._tables()
        yield from self._notes()
        yield '<section class="working"><h2>Working</h2><p>Every formula with the numbers of this request filled in. Click a line to expand it.</p>'
        for title, sections in self.working:
            yield from _details(title, sections)
        yield '</section><section class="fine"><h2>Figures and sources</h2>'
        for title, entry in self.entries:
            yield from _entry(title, entry)
        yield f"</section></main><footer><p>roofcalc {__version__}</p></footer></body></html>"

    def _assumptions(self) -> Iterator[str]:
        yield f'<section class="fine"><h2>Assumptions</h2><p>{escape(shared_words(self.parts[0].table))}.</p></section>'

    def _notes(self) -> Iterator[str]:
        if self.notes:
            yield f'<section class="fine"><h2>Notes</h2><ul>{"".join(f"<li>{linked(note)}</li>" for note in self.notes)}</ul></section>'

    def _tables(self) -> Iterator[str]:
        for number, part in enumerate(self.parts):
            if part.listed:
                yield f"<h2>{escape(part.title)}</h2>"
                folds = len(part.table) > (LONG if number else FIRST_LONG)
                yield f"<details><summary>{len(part.table)} rows</summary>" if folds else ""
                yield from table(part.table, part.title)
                yield "</details>" if folds else ""


def policy() -> str:
    """Content security policy of the page: only its style sheet is allowed, by hash."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _chart(shown: Table, number: int) -> Iterator[str]:
    """A chart as a figure element, or the reason why there is none."""
    from roofcalc.report.html.svg import inline
    from roofcalc.report.plots.kinds import KINDS, drawn
    from roofcalc.report.plots.save import rendered
    from roofcalc.report.plots.size import WITHIN

    title = KINDS[shown.command].title
    try:
        found = drawn(shown, WITHIN)
    except RoofcalcError as error:
        reason = "; ".join(error.lines).removeprefix("plot: ")
        yield f"<figure><figcaption><h3>{escape(title)}</h3><p>No chart: {escape(reason)}.</p></figcaption></figure>"
        return
    about = f"{title} {found.words.shared}"
    lines = "".join(f"<p>{escape(text)}</p>" for text in (found.words.shared, found.words.signs) if text)
    yield f"<figure><figcaption><h3>{escape(title)}</h3>{lines}</figcaption>"
    yield f"{inline(rendered(found.figure, 'svg'), f'c{number}-', about)}</figure>"


def _details(title: str, sections: Sequence[Section]) -> Iterator[str]:
    """Formulas with numbers filled in, collapsed."""
    yield f"<details><summary>{escape(title)}</summary>"
    for section in sections:
        yield f"<h3>{escape(section.title)}</h3>"
        if section.words:
            yield f"<p>{linked(section.words)}</p>"
        yield f"<ul>{''.join(f'<li><code>{escape(line.text())}</code></li>' for line in section.lines)}</ul>"
    yield "</details>"


def _entry(title: str, entry: Table) -> Iterator[str]:
    """Sources and caveats of a catalog entry, and its figures, collapsed."""
    yield f"<h3>{escape(title)}</h3><ul>"
    figures = Table(entry.command, entry.columns)
    for row in entry.rows():
        if row["figure"] in SAID:
            yield f"<li>{escape(str(row['figure']))}: {linked(str(row['value']))}</li>"
        else:
            figures.blocks.append(Block(1, row))
    yield f'</ul><details class="words"><summary>{len(figures)} figures</summary>'
    yield from table(figures, title)
    yield "</details>"
