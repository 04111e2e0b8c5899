"""Small things that people try: header words, several presets, no limit, GiB, searches, a k that is not a Ki."""

import csv
import io

import pytest

import roofcalc as rc
from tests.shell import refused, rows, run


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("fits,max context", ["fits_memory", "max_context"]),
        ("batch by memory,KV", ["batch_memory", "kv_gb"]),
        ("free GB,kv,Weights GB", ["free_gb", "kv", "weights_gb"]),
        ("fits_memory", ["fits_memory"]),
    ],
)
def test_columns_by_the_words_of_the_header(columns: str, names: list[str]) -> None:
    shown = run(f"memory llama-3.1-8b h100-sxm --seq 8k -f csv --columns '{columns}'").stdout
    assert next(csv.reader(io.StringIO(shown))) == names


def test_presets_cross() -> None:
    both = rows("max-batch llama-3.1-8b h100-sxm --seq 8k --assume roofline,typical")
    alone = [rows(f"max-batch llama-3.1-8b h100-sxm --seq 8k --assume {preset}")[0] for preset in ("roofline", "typical")]
    assert len(both) == 2 and all(one.items() <= row.items() for row, one in zip(both, alone, strict=True))
    for line in ("plan llama-3.1-8b h100-sxm --seq 8k", "frontier llama-3.1-8b h100-sxm --seq 8k", "memory llama-3.1-8b h100-sxm --seq 8k"):
        assert {row["assume"] for row in rows(f"{line} --assume roofline,bound")} == {"roofline", "bound"}
    assert "invalid choice 'roofine'" in refused("memory llama-3.1-8b h100-sxm --assume roofline,roofine")


def test_interactivity_of_nought_is_no_limit() -> None:
    """As many as fit, whatever the speed; a plan takes one replica of the fewest devices that hold the batch."""
    (free,) = rc.max_batch("llama-3.1-8b", "h100-sxm", seq=8000, interactivity=0).rows()
    (held,) = rc.memory("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    assert free["max_batch"] == held["batch_memory"] and free["batch_interactivity"] is None and free["limited_by"] == "capacity"
    for line in ("cost llama-3.1-8b h100-sxm --query 1k:100", "plan llama-3.1-8b l4"):
        assert rows(f"{line} --interactivity 0 --usd-per-hour 1")


def test_memory_in_gib() -> None:
    """80 GB are 74.51 GiB (80e9 / 2**30); csv and json are always in GB."""
    assert "74.51" in run("memory llama-3.1-8b h100-sxm --seq 8k --unit gib").stdout and "GiB" in run("memory gemma-3-1b l4 --unit gib -f md").stdout
    assert run("memory llama-3.1-8b h100-sxm --seq 8k --unit gb").stdout == run("memory llama-3.1-8b h100-sxm --seq 8k").stdout
    assert "csv keeps GB" in refused("memory llama-3.1-8b h100-sxm --unit gib -f csv")
    assert "invalid choice 'tb' (choose from gb, gib)" in refused("memory llama-3.1-8b h100-sxm --unit tb")


def test_thousands_beside_a_limit_in_powers_of_two() -> None:
    assert "32k is 32,000 tokens; mistral-7b-v0.3's limit is 32,768 (32Ki)" in run("memory mistral-7b-v0.3 h100-sxm --seq 32k").stderr
    assert "128k is 128,000 tokens" in run("memory llama-3.1-8b h100-sxm --seq 1k,128k").stderr
    for seq in ("32Ki", "16k", "32000Ki"):
        assert "limit is" not in run(f"memory mistral-7b-v0.3 h100-sxm --seq {seq}").stderr


def test_searches() -> None:
    assert {row["name"] for row in rows("hardware list 4090")} == {"rtx-4090", "rtx-4090-d"}
    assert {"mi300x", "mi300a"} <= {row["name"] for row in rows("hardware list mi300 --kind device")}
    assert "dgx-h100" in {row["name"] for row in rows("hardware list 'h100 sxm5'")}  # by its device's title
    llamas = {row["name"] for row in rows("models list llama")}
    assert {"llama-3.1-8b", "llama-4-scout", "deepseek-r1-distill-llama-70b"} <= llamas and "qwen3-8b" not in llamas
    assert {row["name"] for row in rows("models list 'qwen3 coder'")} >= {"qwen3-coder-480b-a35b"}
    assert not rows("models list nosuchmodel") and "no model has 'nosuchmodel'" in run("models list nosuchmodel").stderr
