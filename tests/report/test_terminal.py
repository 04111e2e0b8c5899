"""Tables as text: what narrow terminals leave out, wide characters, and rows that are padded without Rich."""

import sys
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from roofcalc.report import terminal
from roofcalc.report.table import Block, Column, Table
from tests.shell import run


def table(rows: int = 3) -> Table:
    columns = (
        Column("name", "name", "", "", "any", 9),
        Column("first", "first number", "GB", "", "number", 9),
        Column("second", "second", "", "", "count", 5),
        Column("third", "third", "", "", "count", 3),
    )
    filled = Table("x", columns)
    names = np.array([("漢字のファイル", "plain", "naïve")[n % 3] for n in range(rows)], dtype=object)
    filled.blocks.append(Block(rows, {"name": names, "first": np.arange(rows) / 7, "second": np.arange(rows), "third": np.arange(rows) * 10}))
    return filled


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, shown: Table, **options: Any) -> list[str]:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TTY_COMPATIBLE", "0")  # a width, but no styles
    return list(terminal.lines(shown, **options))


def test_columns_go_in_the_order_of_their_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    # 14 cells of name + 2 + 6 of "number" + 2 + 6 of "second" + 2 + 5 of "third" = 37
    whole = on_a_terminal(monkeypatch, 37, table())
    assert "third" in whole[2] and not any("omitted" in line for line in whole) and max(map(cell_len, whole)) == 37
    narrower = on_a_terminal(monkeypatch, 36, table())
    assert "second" in narrower[2] and "third" not in narrower[2]
    assert " ".join(" ".join(narrower).split()).endswith("columns omitted to fit 36 characters: third (use --columns, -f csv or a wider terminal)")
    narrowest = on_a_terminal(monkeypatch, 24, table())
    assert "omitted to fit 24 characters: second, third" in " ".join(" ".join(narrowest).split()) and "number" in narrowest[1]
    assert "third" in on_a_terminal(monkeypatch, 24, table(), chosen=table().columns)[2]  # what is asked for is shown


def test_wide_characters_keep_the_columns_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_a_terminal(monkeypatch, 80, table())
    rows = lines[4:7]
    assert rows[0].startswith("漢字のファイル") and {cell_len(row) for row in rows} == {37} == {cell_len(lines[3])}


def test_words_fold_and_numbers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Table("x", table().columns[:2])
    shown.blocks.append(Block(1, {"name": np.array(["several words that need more than one line"], dtype=object), "first": np.array([123456.0])}))
    lines = on_a_terminal(monkeypatch, 30, shown)
    assert max(map(cell_len, lines)) <= 30 and sum("123,456" in line for line in lines) == 1
    assert " ".join(" ".join(line[:21].split()) for line in lines[4:]).strip() == "several words that need more than one line"


def test_long_files_are_padded_as_rich_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 2 * terminal.CHUNK + 7
    quick = list(terminal.lines(table(rows), to_file=True))
    monkeypatch.setattr(terminal, "CHUNK", rows)
    assert quick == list(terminal.lines(table(rows), to_file=True)) and len(quick) == rows + 4


def test_control_characters_do_not_reach_the_terminal() -> None:
    shown = Table("x", (Column("name", "name", "", "", "text", 9),))
    shown.blocks.append(Block(1, {"name": np.array(["a\x1b[31mb\nc"], dtype=object)}))
    assert list(terminal.lines(shown))[-1] == r"a\x1b[31mb\nc"


def test_markup_is_text() -> None:
    shown = Table("x", (Column("name", "name", "", "", "text", 9),))
    shown.blocks.append(Block(1, {"name": np.array(["[bold]x[/bold] :smile:"], dtype=object)}))
    assert list(terminal.lines(shown))[-1] == "[bold]x[/bold] :smile:"


def test_help_is_as_wide_as_the_terminal_and_defaults_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = run("max-batch --help").stdout
    panels = [line for line in text.splitlines() if line.startswith(("╭", "│", "╰"))]
    assert panels and {cell_len(line) for line in panels} == {100}
    assert "[default: (30)]" in text and "--redundant-experts" in text and "--no-activations" in text and "…" not in text.split("Examples:")[0]
