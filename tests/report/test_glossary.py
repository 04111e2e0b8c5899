"""docs/glossary.md has every symbol of the formulas once, and no other."""

import re
from collections import Counter
from pathlib import Path

from roofcalc.report.explain.formulas import symbols
from roofcalc.report.explain.memory import memory
from roofcalc.report.explain.prefill import prefill
from roofcalc.report.explain.stages import step
from roofcalc.specs.formula import registered
from tests.catalogs import on
from tests.each import each
from tests.report.test_formulas import import_everything

PAGE = Path(__file__).parents[2] / "docs" / "glossary.md"
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
GLOSSARY = [row[0].strip("`") for row in ROWS]


def of_formulas() -> dict[str, set[str]]:
    """The functions that use each symbol."""
    import_everything()
    found: dict[str, set[str]] = {}
    for key, formulas in registered().items():
        if not key.startswith("roofcalc."):  # a kind of layer that a test registers
            continue
        for text in formulas.values():
            for symbol in symbols(text):
                found.setdefault(symbol, set()).add(key)
    return found


def of_explanations() -> set[str]:
    """Symbols in the formulas that explanations print, those that no function carries included."""
    cases = [
        on("deepseek-v3.2", "8xh200", tp=8, dcp=2, assume="typical"),
        on("gpt-oss-120b", "16xh100-sxm", tp=4, pp=2, dp=2, weights="native"),
        on("qwen3-next-80b-a3b", "8xmi300x"),
    ]
    sections = [section for one in cases for found in (step(one, 9000, 64)[0], memory(one, 9000), prefill(one, 900, 0, 2)[0]) for section in found]
    return {symbol for section in sections for line in section.lines if line.formula for symbol in symbols(line.formula)}


def test_every_symbol_is_in_the_glossary_once() -> None:
    missing = {symbol: sorted(functions) for symbol, functions in of_formulas().items() if symbol not in GLOSSARY}
    assert not missing
    assert not {symbol: times for symbol, times in Counter(GLOSSARY).items() if times > 1}


def test_the_glossary_has_no_other_symbols() -> None:
    assert not set(GLOSSARY) - set(of_formulas()) - of_explanations()


def test_what_explain_prints_is_in_the_glossary() -> None:
    assert not of_explanations() - set(GLOSSARY)


@each(ROWS)
def test_a_symbol_has_a_meaning_and_a_place(row: list[str]) -> None:
    symbol, meaning, _, used_in = row
    assert re.fullmatch(r"`[^\W\d]\w*`", symbol) and meaning and used_in


def test_no_two_symbols_have_the_same_meaning() -> None:
    assert not [meaning for meaning, times in Counter(row[1] for row in ROWS).items() if times > 1]
