"""Boxes over PCIe answer every command, and a default layout gives way where it holds nothing."""

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.deployment import deploy
from roofcalc.deployment.parallelism import Layout
from roofcalc.physics import memory
from roofcalc.solvers.layouts import layouts
from tests.shell import rows, run

BOXES = ("4xrtx-4090", "2xrtx-5090", "8xl4", "16xrtx-3090", "2xa10g", "8xrtx-a6000", "4xa10", "6xrtx-3060", "3xl40s", "2x4xrtx-4090")
LINES = (
    "max-batch qwen3-8b {} --seq 8k",
    "interactivity qwen3-8b {} --seq 8k --batch 4",
    "memory qwen3-8b {} --seq 8k",
    "memory qwen3-8b {} --seq 8k --network ideal",
    "prefill qwen3-8b {} --seq 8k",
    "frontier qwen3-8b {} --seq 8k",
    "plan qwen3-8b {} --seq 8k",
    "flops qwen3-8b {} --seq 8k",
    "ops qwen3-8b {} --seq 8k",
    "cost qwen3-8b {} --query 1k:100 --usd-per-hour 1",
    "vote qwen3-8b {} --streams 2 --prefix 1k --suffix 100 --usd-per-hour 1",
    "rollouts qwen3-8b {} --usd-per-hour 1",
    "attention qwen3-8b --seq 8k",
)


@pytest.mark.parametrize("line", LINES)
def test_every_command_answers_for_boxes_over_pcie(line: str) -> None:
    for box in BOXES:
        assert rows(line.format(box)), box


def test_two_cards_are_faster_than_one_over_pcie() -> None:
    """Weights of 16.4 GB on two cards: each reads half, so a step takes less, and more than half since all-reduces cross PCIe."""
    one, two = (float(rows(f"interactivity qwen3-8b {box} --seq 1k --batch 1")[0]["step_ms"]) for box in ("rtx-4090", "2xrtx-4090"))
    assert one / 2 < two < one


def test_rates_of_pcie() -> None:
    """Generation 4 carries 16 GT/s per lane in 128b/130b: 16 lanes 31.5 GB/s; half of it where a transfer passes the host's memory."""
    through, direct = lookup.hardware("4xrtx-4090")[0].link, lookup.hardware("8xl4")[0].link
    assert through is not None and direct is not None
    assert through.gb_s == pytest.approx(31.508 / 2, rel=1e-3) and direct.gb_s == pytest.approx(31.508, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "count", "domain", "scale_out"),
    [
        ("2x8xh100", 16, 8, 50.0),  # the SXM module's network
        ("2x4xh100", 8, 4, 50.0),
        ("2x8xrtx-4090", 16, 8, 12.5 / 8),  # one 100 Gb/s adapter per node
        ("24xrtx-4090", 24, 8, 12.5 / 8),
        ("16xl40s", 16, 8, 50.0),
        ("g2-standard-96", 8, 8, None),
        ("2xp5.4xlarge", 2, 1, 12.5),  # NVLink ends with the instance
        ("2xdgx-h100", 16, 8, 50.0),
        ("a2-megagpu-16g", 16, 16, None),
        ("4xmi250x", 8, 8, 12.5),  # packages of two dies share the dies' links
        ("2xgb10", 2, 1, 25.0),
        ("2xjetson-thor", 2, 1, 1.25),
    ],
)
def test_how_boxes_are_joined(text: str, count: int, domain: int, scale_out: float | None) -> None:
    found = lookup.hardware(text)[0]
    assert (found.count, found.domain) == (count, domain)
    given = None if found.scale_out_bytes_per_s is None else found.scale_out_bytes_per_s / 1e9
    assert given == (scale_out if scale_out is None else pytest.approx(scale_out))


def test_a_default_that_holds_nothing_gives_way() -> None:
    """Data-parallel attention leaves no room on 12 devices, pipeline stages do: by trying every layout one by one."""
    model, machine = lookup.model("minimax-text-01")[0], lookup.hardware("12xh100-sxm")[0]
    usual = deploy(model, machine)
    most = max(float(memory.batch_memory(usual.with_layout(machine, layout), 1000.0)) for layout in layouts(model, 12))
    assert memory.batch_memory(usual, 1000.0) == 0 < most
    (row,) = rc.memory(model, machine, seq=1000).rows()
    assert row["batch_memory"] == most and Layout(row["tp"], row["pp"], row["dp"], row["ep"], row["dcp"]) != usual.layout  # type: ignore[arg-type]
    assert "holds no sequence of 1,000 tokens" in run("memory minimax-text-01 12xh100-sxm --seq 1k").stderr
    (held,) = rc.memory(model, machine, seq=1000, tp=4, dp=3).rows()
    assert held["batch_memory"] == 0  # asked for, so it stays
