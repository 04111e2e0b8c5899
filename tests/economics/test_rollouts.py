"""Data for reinforcement learning: the article's scale, hand computations, bad input."""

import json

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.catalog.cpus import cores_per_device, cpus
from roofcalc.economics import rl_rollouts as work
from roofcalc.physics.model_flops import attention_flops, generation_attention_flops
from roofcalc.physics.ops.types import Sharding
from roofcalc.specs.record import replace
from tests.cli.test_cli import ASSUMED
from tests.shell import refused, rows, run

OWN = (
    "problems,rollouts,tokens,shared_prefix,generated_tokens,generation_flop,verify_flop,train_flop,pretrain_flop,device_hours,usd,"
    "cpu_cores_per_device"
)
ACTIVE = 405_853_388_800 - 128_256 * 16_384  # Llama 3.1 405B without the input embedding


def test_columns_are_the_contract() -> None:
    header = run("rollouts llama-3.1-405b dgx-h100 --weights all=fp8 -f csv").stdout.splitlines()[0]
    assert header == f"model,hardware,weights,kv,{OWN},{ASSUMED}"


def test_the_published_scale() -> None:
    # 10^7 problems · 3,000 rollouts (3 · 10^10 trajectories) · 8,000 tokens = 2.4 · 10^14 tokens
    (row,) = rows("rollouts llama-3.1-405b dgx-h100 --weights all=fp8 --usd-per-hour 3")
    assert float(row["problems"]) * float(row["rollouts"]) == 3e10 and float(row["generated_tokens"]) == 2.4e14
    attention = 8_257_536 * 8000 * 8001 / 2  # 4 · 128 heads · 128 · 126 layers per token and token before
    assert float(row["generation_flop"]) == pytest.approx(2 * ACTIVE * 2.4e14 + 3e10 * attention, rel=1e-12)
    assert float(row["verify_flop"]) == pytest.approx(2 * ACTIVE * 2.4e14) and float(row["train_flop"]) == pytest.approx(6 * ACTIVE * 2.4e14)
    assert float(row["pretrain_flop"]) == pytest.approx(6 * ACTIVE * 15.6e12)  # about the 3.8e25 of arXiv 2407.21783
    assert float(row["pretrain_flop"]) == pytest.approx(3.8e25, rel=0.01)
    assert float(row["usd"]) == pytest.approx(3 * float(row["device_hours"]))
    assert float(row["cpu_cores_per_device"]) == 2 * 56 / 8


def test_defaults_are_said() -> None:
    notes = run("rollouts llama-3.1-405b dgx-h100 --weights all=fp8").stderr
    for part in ("problems 10,000,000", "rollouts 3,000", "tokens 8,000", "kept 1", "verifier_passes 1", "forwards_per_backward 1"):
        assert f"assumed: {part} (--" in notes
    assert "1.56e+13, those of Llama 3 (https://arxiv.org/abs/2407.21783" in notes


def test_where_post_training_overtakes() -> None:
    notes = json.loads(run("rollouts llama-3.1-405b dgx-h100 --weights all=fp8 -f json").stdout)["notes"]
    note = next(text for text in notes if "post-training" in text)
    # per token 2·N + 4,000 · 8.26e6 of attention, 2·N and 6·N, against 6·N · 15.6e12
    per_token = 10 * ACTIVE + 8_257_536 * 8001 / 2
    assert f"(break-even at {6 * ACTIVE * 15.6e12 / per_token:.3g} generated tokens)" in note
    assert f"uses {2.4e14 * per_token / (6 * ACTIVE * 15.6e12):.3g}× the pre-training FLOPs" in note
    # and so it does
    equal = 6 * ACTIVE * 15.6e12 / per_token / 8000 / 3000
    below, above = rc.rollouts("llama-3.1-405b", "dgx-h100", weights="all=fp8", problems=[int(equal), int(equal) + 1]).rows()
    for row, over in ((below, False), (above, True)):
        assert (row["generation_flop"] + row["verify_flop"] + row["train_flop"] > row["pretrain_flop"]) is over  # type: ignore[operator]


def test_every_part_by_hand() -> None:
    # 100 problems · (10 rollouts · 50 tokens + 20 shared) = 52,000 tokens
    assert work.generated_tokens(100, 10, 50, 20) == 52_000
    assert work.generation_flop(1e9, 52_000, 7.0) == 2e9 * 52_000 + 7
    assert work.pass_flop(3e9, 52_000) == 6e9 * 52_000
    assert work.train_flop(1e9, 52_000, 0.5, 1) == 0.5 * 6e9 * 52_000 and work.train_flop(1e9, 52_000, 0.5, 3) == 0.5 * 10e9 * 52_000
    assert work.pretrain_flop(1e9, 2e12) == 1.2e22


def test_choices_scale_what_they_name() -> None:
    line = "rollouts llama-3.1-8b h100-sxm --problems 1000 --rollouts 10 --tokens 100 --usd-per-hour 1"
    (base,) = rows(line)
    (other,) = rows(f"{line} --kept 0.1 --forwards-per-backward 2 --verifier-passes 0 --reward-model llama-3.2-1b --pretrain-tokens 1e12")
    tokens = 1e6
    small = 1_235_814_400  # its head is the embedding, which a token multiplies by
    assert float(other["verify_flop"]) == pytest.approx(2 * small * tokens)
    assert float(other["train_flop"]) == pytest.approx(0.1 * 8 / 6 * float(base["train_flop"]))
    assert float(other["pretrain_flop"]) == pytest.approx(float(base["pretrain_flop"]) / 15.6)
    (prefixed,) = rows(f"{line} --prefix 50")
    assert float(prefixed["generated_tokens"]) == tokens + 1000 * 50
    # attention: own tokens at contexts 51 … 150 and the prefix's 1 … 50, 524,288 per pair
    pairs = 10_000 * (100 * 50 + 100 * 101 / 2) + 1000 * 50 * 51 / 2
    active = 8_030_261_248 - 128_256 * 4096
    assert float(prefixed["generation_flop"]) == pytest.approx(2 * active * 1.05e6 + 524_288 * pairs, rel=1e-12)


def test_device_hours_by_hand() -> None:
    # Llama 3.1 8B on one H100 of 23 GB: (23e9 − 16,060,522,496) / (2,000 · 131,072) = 26.5 sequences, 26 in flight, at steps of
    # (15,009,316,864 + 26 · 1,000.5 · 131,072) / 3,350e9; verification and training at 989.4e12
    (row,) = rows("rollouts llama-3.1-8b h100-sxm --problems 1000 --rollouts 10 --tokens 2000 --usd-per-hour 1 --set hardware.memory.capacity_gb=23")
    step = (15_009_316_864 + 26 * 1000.5 * 131_072) / 3350e9
    active = 8_030_261_248 - 128_256 * 4096
    seconds = 10_000 * 2000 * step / 26 + 8 * active * 2e7 / 989.4e12
    assert float(row["device_hours"]) == pytest.approx(seconds / 3600, rel=1e-9)


def test_attention_over_a_generation_is_the_sum_of_its_steps() -> None:
    for name in ("gemma-3-27b", "deepseek-v3", "llama-4-scout", "mamba2-2.7b"):
        model, place = lookup.model(name)[0], Sharding(exact=True)
        each = sum(float(attention_flops(model, place, 3000 + u)) for u in range(1, 201))
        assert float(generation_attention_flops(model, place, 200, 3000)) == pytest.approx(each, rel=1e-9), name


def test_cores_of_hosts() -> None:
    system = lookup.hardware("gb200-nvl72")[0].system
    assert system is not None and cores_per_device(system) == 36 * 72 / 72
    assert system.hosts is not None and cores_per_device(replace(system, hosts=replace(system.hosts, cpu="unheard of"))) is None
    assert cores_per_device(replace(system, hosts=None)) is None and cores_per_device(None) is None
    assert all(cpu.source.startswith("https://") and 1 <= cpu.cores <= 256 for cpu in cpus().values())
    (row,) = rows("rollouts llama-3.1-8b h100-sxm --usd-per-hour 1")
    assert row["cpu_cores_per_device"] == ""


def test_lists_cross() -> None:
    table = rc.rollouts("llama-3.1-8b", "h100-sxm", problems=[10, 20], rollouts=[1, 4], tokens=100, usd_per_hour=1, interactivity=50)
    assert table["problems"].tolist() == [10, 10, 20, 20] and table["rollouts"].tolist() == [1, 4, 1, 4]
    np.testing.assert_allclose(table["generated_tokens"], [1000, 4000, 2000, 8000])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--problems 0", "problems: expected 1 to"),
        ("--rollouts 1.5", "rollouts: expected a whole number"),
        ("--tokens x", "tokens: 'x' is not a number"),
        ("--prefix -1", "prefix: expected 0 to"),
        ("--prefix 0.5", "prefix: expected a whole number"),
        ("--kept 2", "kept: expected 0 to 1"),
        ("--verifier-passes -1", "--verifier-passes: expected 0 to"),
        ("--forwards-per-backward 0", "--forwards-per-backward: expected 1 to"),
        ("--reward-model nope", "unknown model 'nope'"),
        ("--pretrain-tokens 0", "--pretrain-tokens: expected 1 to"),
        ("--usd-per-hour -3", "--usd-per-hour: expected 0 to"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    text = refused(f"rollouts llama-3.1-8b h100-sxm {line}")
    assert complaint in text and len([one for one in text.splitlines() if one.startswith("error")]) == 1
