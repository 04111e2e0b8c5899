"""Columns: what is declared is what is printed, one meaning per name, and the page in docs is current."""

import json
from pathlib import Path

import numpy as np

from roofcalc.cli.commands import COMMANDS
from roofcalc.commands.columns import LAYOUTS, columns, of
from roofcalc.report.columns import ASSUMED
from roofcalc.report.csv_json import csv_lines
from roofcalc.report.formatting import arrange, format_cell
from roofcalc.report.table import Block, Column, Table
from tests.each import each
from tests.shell import refused, rows, run
from tools.columns import lines

STORED = json.loads((Path(__file__).parent.parent / "stored" / "answers.json").read_text(encoding="utf-8"))
DYNAMIC = ("hardware show", "models show")  # a column per entry shown
BY_COMMAND = {  # names that mean another thing in another command; the rest have one meaning
    "seq",  # prefill and ops of a prefill: new tokens
    "requests_per_s",  # plan: required; elsewhere: reached
    "latency_s",  # plan: mean under the load; vote: to the verifier's choice
    "shared_prefix",  # rollouts: of one problem; elsewhere: of all requests
    *("devices", "name", "kind", "vendor", "family", "layers", "unit", "command", "mbu", "mfu", "link", "weights_gb", "median_error"),
}


def command_of(line: str) -> str:
    words = line.split()
    return " ".join(words[:2]) if words[0] in ("hardware", "models") else words[0]


@each([line for line, answer in STORED.items() if answer.get("csv") and command_of(line) not in DYNAMIC and "--columns" not in line])
def test_printed_columns_are_declared_in_their_order(line: str) -> None:
    printed = STORED[line]["csv"].partition("\n")[0].split(",")
    declared = [column.name for group in of(command_of(line)) for column in group.columns]
    place = -1
    for name in printed:
        assert name in declared[place + 1 :], name
        place = declared.index(name, place + 1)
    always = {column.name for group in of(command_of(line)) if not group.printed for column in group.columns}
    assert always <= set(printed)


def test_every_command_with_a_table_is_listed() -> None:
    tables = {name for name, spec in COMMANDS.items() if spec.result == "table"}
    assert tables <= set(LAYOUTS) and set(LAYOUTS) - tables == {"hardware list", "hardware check", "models list", "models check"}


def test_a_name_has_one_unit_and_meaning() -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    for row in columns().rows():
        found.setdefault(str(row["column"]), set()).add((str(row["unit"]), str(row["meaning"])))
    several = {name for name, meanings in found.items() if len({meaning for _, meaning in meanings}) > 1}
    assert several <= BY_COMMAND, several - BY_COMMAND
    assert len(found["kv_gb_per_seq"]) == 1 and all(meaning for meanings in found.values() for _, meaning in meanings)


def test_columns_command() -> None:
    (first, *_) = rows("columns max-batch")
    assert first == {"command": "max-batch", "column": "model", "unit": "", "printed": "", "meaning": "catalog name of the model"}
    names = [row["column"] for row in rows("columns max-batch")]
    assert names[4:7] == ["seq", "min_interactivity_tok_s", "max_batch"]
    assert names[names.index("assume") :][: len(ASSUMED)] == [one.name for one in ASSUMED]
    assert {row["command"] for row in rows("columns")} == {"(shared)", *LAYOUTS}
    assert "| KV cache and recurrent state of one sequence beyond a shared prefix, over all devices |" in run("columns attention -f md").stdout
    assert "unknown command 'max-bach'; did you mean max-batch?" in refused("columns max-bach")


def test_the_page_is_current() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "columns.md"
    assert page.read_text(encoding="utf-8").splitlines() == "\n".join(lines()).splitlines(), "run: python -m tools.columns > docs/columns.md"


def _counts(*values: float) -> Table:
    table = Table("x", (Column("n", "n", "", "a count", "count"),))
    table.blocks.append(Block(len(values), {"n": np.array(values)}))
    return table


def test_counts_that_are_means_are_not_cut() -> None:
    # (2 x 100 + 3 x 200 + 10 x 400) / 15 = 320 and (3 x 1000 + 1 x 2999) / 4 = 1499.75, by hand; floats give 319.99999999999994
    table = _counts(319.99999999999994, 1499.75, 7.0, 3e9)
    assert [row["n"] for row in table.rows()] == [320, 1499.75, 7, 3_000_000_000]
    assert list(csv_lines(table))[1].split("\n") == ["320", "1499.75", "7", "3000000000"]
    assert list(csv_lines(_counts(320.00000000000006, 7.0)))[1].split("\n") == ["320", "7"]
    assert [format_cell(row["n"], "count") for row in table.rows()] == ["320", "1,499.75", "7", "3,000,000,000"]


def test_the_mean_of_a_mix_is_printed_whole(tmp_path: Path) -> None:
    mix = tmp_path / "mix.txt"
    mix.write_text("100:100 2\n200:100 3\n400:100 10\n")
    line = f"plan llama-3.1-8b h100-sxm --mix {mix} --requests-per-second 1"
    assert rows(line)[0]["isl"] == "320" and "prompt 320 tokens" in " ".join(run(line).stdout.split())
    mix.write_text("1000:100 3\n2999:100 1\n")
    assert rows(line)[0]["isl"] == "1499.75" and "prompt 1499.75 tokens" in " ".join(run(line).stdout.split())


def test_assumptions_are_shown_without_the_noise_of_binary_fractions() -> None:
    reserve = Column("reserve_gb", "reserve", "GB", "", "number", 1, "assumed")
    table = Table("x", (Column("n", "n", "", ""), reserve))
    table.blocks.append(Block(1, {"n": 1.0, "reserve_gb": 0.1 * 24}))
    assert 0.1 * 24 != 2.4 and arrange(table).footer == "assumed: reserve 2.4 GB"
    assert arrange(_with(table, 49.00000000000001)).footer == "assumed: reserve 49 GB"
    assert arrange(_with(table, 1 / 3)).footer == "assumed: reserve 0.333333333333 GB"


def _with(table: Table, value: float) -> Table:
    other = Table("x", table.columns)
    other.blocks.append(Block(1, {"n": 1.0, "reserve_gb": value}))
    return other
