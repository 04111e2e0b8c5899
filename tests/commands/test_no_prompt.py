"""Generations without a prompt and of one token: every command answers, no warning of a library is raised, and no figure is missing.

Warnings are errors in every test (pyproject.toml), and an exit code of 1 is an unexpected error.
"""

import csv
import io
import math

import pytest

import roofcalc as rc
from tests.shell import run

LINES = (
    "max-batch {model} --isl {isl} --osl {osl}",
    "interactivity {model} --isl {isl} --osl {osl} --batch 1,64",
    "frontier {model} --isl {isl} --osl {osl}",
    "frontier {model} --isl {isl} --osl {osl} --disaggregated",
    "plan {model} --isl {isl} --osl {osl}",
    "plan {model} --isl {isl} --osl {osl} --requests-per-second 5 --ttft 5",
    "cost {model} --query {isl}:{osl}",
    "vote {model} --prefix {isl} --suffix {osl} --streams 1,3",
    "rollouts {model} --prefix {isl} --tokens {osl}",
)
# usd_per_mtok_in without input tokens; the time of the slowest 5 % in `bound`, which has no queue; what may improve nothing
NONE = {"usd_per_mtok_in", "ttft_p95_ms", "relief", "cpu_cores_per_device", "usd_per_solved"}


@pytest.mark.parametrize("preset", ["roofline", "bound", "typical"])
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0])
def test_every_command_answers(line: str, preset: str) -> None:
    for model in ("llama-3.1-8b h100-sxm", "qwen3-30b-a3b 2xh200-sxm"):
        if "qwen" in model and (line.startswith("plan") or preset != "bound"):  # slow, and mostly the same code
            continue
        for isl, osl in ((0, 1), (0, 100), (100, 1))[: 1 if "--ttft" in line else 3]:
            result = run(f"{line.format(model=model, isl=isl, osl=osl)} --assume {preset} -f csv")
            assert result.exit_code == 0, (isl, osl, result.stderr)
            names = {column.name for column in _columns(line.split()[0]) if column.role == "result" and column.kind in ("number", "count")}
            found = list(csv.DictReader(io.StringIO(result.stdout)))
            assert found
            for row in found:
                assert not [name for name in names - NONE if row.get(name, "0") == ""], (isl, osl, row)


def _columns(command: str) -> tuple[object, ...]:
    from roofcalc.report import columns

    every = {"max-batch": columns.MAX_BATCH, "interactivity": columns.INTERACTIVITY_ROWS, "frontier": columns.FRONTIER, "plan": columns.PLAN}
    return (
        *every.get(command, ()),
        *columns.GENERATION,
        *{"cost": columns.COST, "vote": columns.VOTE, "rollouts": columns.ROLLOUTS}.get(command, ()),
    )


def test_a_token_without_a_prompt_takes_a_decode_step() -> None:
    # Llama 3.1 8B on one H100 in `bound`: the first token of an empty context reads the weights, 15,009,316,864 bytes less 50 MB of
    # cache, and one entry of 131,072 bytes for each sequence, at the highest bandwidth
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=0, osl=1, batch=1, assume="bound").rows()
    assert row["ttft_ms"] == 0 and row["requests_per_s"] == pytest.approx(row["interactivity_tok_s"], rel=1e-9)
    assert math.isclose(float(row["requests_per_s"]), 3350e9 / (15_009_316_864 + 131_072 - 50e6), rel_tol=0.02)  # type: ignore[arg-type]
