"""Served generations explained: the printed terms add up to the figures of the rows."""

import re
from typing import Any

import pytest

import roofcalc as rc
from roofcalc.commands.report import report
from roofcalc.report.explain.formulas import evaluate
from tests.shell import refused, run

GIVEN = {"isl": 3000, "osl": 400}
WAYS = (
    {},
    {"prefill": "chunked"},
    {"prefill": "chunked", "chunk": 1024},
    {"prefill": "separate"},
    {"assume": "bound"},
    {"assume": "typical"},
    {"arrivals": "burst"},
    {"shared_prefix": 1000, "hit_rate": 0.4},
)


def printed(explained: Any) -> dict[str, float]:
    """The value of each line of the only row by its name; of equal names the last."""
    (sections,) = explained.rows
    return {one.what: one.value for section in sections for one in section.lines if not isinstance(one.value, str)}


@pytest.mark.parametrize("given", WAYS, ids=str)
def test_terms_add_up(given: dict[str, object]) -> None:
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", batch=40, **GIVEN, **given).rows()  # type: ignore[arg-type]
    values = printed(rc.explain("interactivity", "llama-3.1-8b", "h100-sxm", batch=40, **GIVEN, **given))
    assert values["interactivity"] == pytest.approx(row["interactivity_tok_s"], rel=1e-6)
    assert values["T_step"] * 1e3 == pytest.approx(row["step_ms"], rel=1e-6)
    assert values["throughput"] == pytest.approx(row["throughput_tok_s"], rel=1e-6)
    between = values["prompts of others"]
    assert values["own step"] + between == pytest.approx(values["TPOT"], rel=1e-5)
    assert (between > 0) == (given.get("prefill") != "separate" and given.get("assume") != "bound")
    if "T_first" in values:
        assert values["T_first"] + values["wait"] == pytest.approx(row["ttft_ms"] / 1e3, rel=1e-5)  # type: ignore[operator]


@pytest.mark.parametrize("given", WAYS[:7], ids=str)
def test_largest_batches(given: dict[str, object]) -> None:
    """Within the limit at the batch and above it at the next; the figures at the answer are those of the row."""
    (row,) = rc.max_batch("llama-3.1-70b", "8xh100-sxm", weights="fp8", interactivity=40, **GIVEN, **given).rows()  # type: ignore[arg-type]
    explained = rc.explain("max-batch", "llama-3.1-70b", "8xh100-sxm", weights="fp8", interactivity=40, **GIVEN, **given)
    text = "\n".join(explained.text())
    if row["batch_interactivity"] is not None:
        at = [float(value) for value in re.findall(r"TPOT at \d+ = ([0-9.e-]+) s", text)]
        assert at[0] <= 1 / 40 * (1 + 1e-6) and at[1] > 1 / 40 * (1 - 1e-6)
    values = printed(explained)
    assert values["interactivity"] == pytest.approx(row["interactivity_tok_s"], rel=1e-6) and values["max_batch"] == row["max_batch"]
    for sections in explained.rows:
        for one in (one for section in sections for one in section.lines if one.numbers and one.formula and not isinstance(one.value, str)):
            if re.fullmatch(r"[-0-9.e+·/()− ,maxinfloorceil]+", one.numbers):
                assert evaluate(one.numbers) == pytest.approx(one.value, rel=1e-4), one


def test_every_step_full_is_said() -> None:
    text = run("explain interactivity llama-3.1-8b h100-sxm --isl 3000 --osl 100 --chunk 256 --batch 2000 --prefill chunked").stdout
    assert "a chunk in every step: fewer sequences decode at once than are in flight" in text


def test_no_limit_is_no_missing_peak() -> None:
    text = run("explain max-batch llama-3.1-8b h100-sxm --seq 4k --interactivity 0").stdout
    assert "batch_interactivity = no limit: no limit on the speed" in text and "no peak" not in text


def test_refused() -> None:
    line = "explain interactivity llama-3.1-8b h100-sxm --isl 3k"
    assert "a generation needs both" in refused(line)
    with pytest.raises(rc.RoofcalcError, match="requests per second are not explained"):
        rc.explain("interactivity", "llama-3.1-8b", "h100-sxm", isl=3000, osl=100, requests_per_second=1)


def test_the_page_shows_served_generations() -> None:
    page = report("llama-3.1-8b", "h100-sxm", isl=2000, osl=200, batch=8, hit_rate=0.3, prefill="chunked")
    html = "\n".join(page.html())
    assert "Every layout, served generations" in html and "prompts of others" in html and "decode alone" in html
    assert "prompts of others" not in "\n".join(report("llama-3.1-8b", "h100-sxm", seq=2000, batch=8).html()).replace("or prompts of others", "")
