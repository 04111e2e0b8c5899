"""Sections of the report beside those of one machine: comparison, plan and ranges; their numbers are those of the commands."""

import pytest

import roofcalc as rc
from roofcalc.commands.report import report
from roofcalc.report.table import Table
from tests.shell import refused

WORK = {"isl": 1000, "osl": 200}


def rows(table: Table) -> list[dict[str, object]]:
    return list(table.rows())


def test_machines_side_by_side_and_a_plan_for_each() -> None:
    given = {**WORK, "interactivity": 40, "ttft": 1, "requests_per_second": 8, "assume": "typical"}
    page = report("llama-3.1-8b", "h100-sxm,l40s", **given)  # type: ignore[arg-type]
    parts = {part.title: part.table for part in page.parts}
    assert rows(parts["Side by side"]) == rows(rc.compare("llama-3.1-8b", "h100-sxm,l40s", **given))  # type: ignore[arg-type]
    assert rows(parts["Plan"]) == rows(rc.plan("llama-3.1-8b", "h100-sxm,l40s", **given))  # type: ignore[arg-type]
    low = rc.max_batch("llama-3.1-8b", "h100-sxm,l40s", **WORK, interactivity=40, assume="typical", range=80)["max_batch_low"]  # type: ignore[arg-type]
    assert (parts["Largest batch"]["max_batch_low"] == low).all() and "interactivity_low" in {c.name for c in parts["Speed of each user"].columns}
    (first, second) = rows(parts["Side by side"])
    said = [line for line in page.answers if "devices in" in line]
    assert len(said) == 2 and f"{first['devices']:.0f} devices" in said[0] and f"{second['devices']:.0f} devices" in said[1]
    written = "\n".join(page.html())
    assert "<h2>Side by side</h2>" in written and "<h2>Plan</h2>" in written and "best in" in written


def test_one_machine_has_no_comparison() -> None:
    page = report("llama-3.1-8b", "h100-sxm", seq=4000)
    assert not {"Side by side", "Plan"} & {part.title for part in page.parts}
    two = report("llama-3.1-8b", "h100-sxm", seq=4000, weights="bf16,fp8")
    (compared,) = [part.table for part in two.parts if part.title == "Side by side"]
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", seq=4000, weights="fp8").rows()
    assert rows(compared)[1]["users"] == most["max_batch"]


def test_of_several_requests_the_middle_one_is_compared() -> None:
    page = report("llama-3.1-8b", "h100-sxm,l40s", isl="1k,2k,4k", osl=100)
    (compared,) = [part.table for part in page.parts if part.title == "Side by side"]
    assert set(compared["isl"].tolist()) == {2000} and len(compared) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--ttft 1", "--ttft: for a comparison or a plan; name two machines, or give --requests-per-second"),
        ("--requests-per-second 5", "--requests-per-second: give the tokens of a request too: --isl and --osl"),
        ("--range 80", "--range: only typical answers with a range"),
    ],
)
def test_limits_without_their_section_are_refused(line: str, message: str) -> None:
    assert message in refused(f"report llama-3.1-8b h100-sxm {line}")
