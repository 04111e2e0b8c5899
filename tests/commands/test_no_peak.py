"""Devices without a peak that the weights could compute at: memory has answers, time has none, and no condition on it holds."""

import csv
import io
import shlex

import pytest

from roofcalc.cli.app import app
from tests.shell import RUNNER

# No peak in bf16 or wider stands in these entries (tests/test_catalog.py, NO_16_BIT).
NO_PEAK = ("mi308x", "cerebras-wse-3", "cs-3", "maia-200")


def rows(line: str) -> list[dict[str, str]]:
    result = RUNNER.invoke(app, [*shlex.split(line), "-f", "csv", "-q"])
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.mark.parametrize("hardware", NO_PEAK)
def test_a_batch_that_must_be_fast_enough_is_unknown(hardware: str) -> None:
    for asked in ("", "--interactivity 100000", "--isl 1k --osl 1k"):
        for row in rows(f"max-batch llama-3.1-8b {hardware} {asked} --weights bf16"):
            fits = row["batch_memory"] != "0"
            assert row["max_batch"] == ("" if fits else "0"), row
            assert row["limited_by"] == "unknown" if fits else row["limited_by"] in ("capacity", "weights")
            assert row["batch_interactivity"] == row["step_ms"] == row["throughput_tok_s"] == ""


def test_what_fits_is_still_told() -> None:
    # 192 GB less 16.060522496 GB of bf16 weights, over 4,000 tokens of 131,072 B each: 175.939…/0.524288 = 335.5
    (row,) = rows("max-batch llama-3.1-8b mi308x --seq 4k")
    assert row["batch_memory"] == "335"


def test_a_model_that_does_not_fit_has_a_batch_of_zero() -> None:
    (row,) = rows("max-batch llama-3.1-405b mi308x --seq 4k")
    assert (row["max_batch"], row["limited_by"]) == ("0", "weights")


@pytest.mark.parametrize(
    "line",
    [
        "max-batch llama-3.1-8b mi308x --seq 4k --interactivity 100000 --require max_batch>=1",
        "cost llama-3.1-8b mi308x --query 1000:500 --usd-per-hour 2 --require batch>=1",
        "cost llama-3.1-8b mi308x --query 1000:500 --usd-per-hour 2 --require usd_per_query>=0",
        "vote llama-3.1-8b mi308x --streams 4 --prefix 1k --suffix 1k --usd-per-hour 2 --require queries>=1",
        "reliability llama-3.1-8b mi308x --require hit_probability<=1",
        "plan llama-3.1-8b mi308x --usd-per-hour 2 --require devices>=0",
        "frontier llama-3.1-8b mi308x --require batch>=0",
        "interactivity llama-3.1-8b mi308x --batch 1 --require interactivity_tok_s>=0",
        "prefill llama-3.1-8b mi308x --seq 1k --require ttft_ms>=0",
    ],
)
def test_no_condition_on_time_holds(line: str) -> None:
    result = RUNNER.invoke(app, [*shlex.split(line), "-q"])
    assert result.exit_code == 3, result.output


@pytest.mark.parametrize(
    "line",
    [
        "plan llama-3.1-8b mi308x --usd-per-hour 2",
        "frontier llama-3.1-8b mi308x",
        "interactivity llama-3.1-8b mi308x --batch 1",
        "prefill llama-3.1-8b mi308x --seq 1k",
    ],
)
def test_the_limit_is_unknown(line: str) -> None:
    assert {row["limited_by"] for row in rows(line)} == {"unknown"}


def test_generations_keep_what_was_asked() -> None:
    for command in ("max-batch", "interactivity --batch 4"):
        (row,) = rows(f"{command} llama-3.1-8b mi308x --isl 1k --osl 500")
        assert (row["isl"], row["osl"], row["ttft_ms"], row["requests_per_s"]) == ("1000", "500", "", "")
