"""Routing of tokens to experts: how many are read under uniform, skewed and measured routing, and who may give which."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.routing import routing
from roofcalc.errors import RoofcalcError
from roofcalc.physics.ops.ffn import expected_active_experts, prob_shard_hit
from roofcalc.physics.ops.types import Routed
from roofcalc.specs.routing import Routing
from tests.shell import refused, run

UNIFORM, SKEWED = Routing(), Routing("skewed")


def read(tokens: float, routing: Routing = UNIFORM, top_k: int = 2, experts: int = 8, routed: int = 8) -> float:
    return float(expected_active_experts(Routed((), experts, routed, top_k, 1, routing), np.float64(tokens)))


def drawn(tokens: int, shares: np.ndarray[Any, Any], tries: int = 4000) -> float:
    """Mean number of distinct experts over simulated steps, top_k 1."""
    chosen = np.random.default_rng(1).choice(len(shares), size=(tries, tokens), p=shares)
    return float(np.mean([len(set(row)) for row in chosen.tolist()]))


@pytest.mark.parametrize("tokens", [1, 5, 40])
def test_measured_shares_read_as_many_experts_as_a_simulation(tokens: int) -> None:
    shares = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0.0, 0.0])
    found = read(tokens, Routing("measured", tuple(shares)), top_k=1)
    assert found == pytest.approx(drawn(tokens, shares), rel=0.02)
    assert found <= read(tokens, top_k=1)  # uniform chance spreads the most


def test_equal_shares_are_uniform_chance() -> None:
    equal = Routing("measured", (1 / 8,) * 8)
    for tokens in (0.5, 1, 3, 100):
        assert read(tokens, equal) == pytest.approx(read(tokens))
    # Zero-compute experts: 8 of 12 compute. A token chooses 2·8/12 of those that do.
    assert read(7, Routing("measured", (1 / 12,) * 12), routed=12) == pytest.approx(read(7, routed=12))
    assert read(7, equal, routed=12) == pytest.approx(read(7, routed=12))


def test_skewed_routing_reads_the_experts_of_one_token() -> None:
    assert [read(tokens, SKEWED) for tokens in (0.5, 1, 2, 1000)] == [1, 2, 2, 2]
    assert all(read(tokens, SKEWED) <= read(tokens) * (1 + 1e-12) for tokens in (0.01, 0.5, 1, 2, 1000))
    assert prob_shard_hit(Routed((), 8, 8, 2, 1, SKEWED), 4) == 0 and prob_shard_hit(Routed((), 8, 8, 2, 1, SKEWED), 1) == 1


def test_the_busiest_rank_of_measured_shares() -> None:
    measured = Routing("measured", (0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05))
    assert measured.imbalance(4) == pytest.approx(4 * 0.6) and measured.imbalance(8) == pytest.approx(8 * 0.4)
    assert measured.imbalance(1) == 1 and Routing().imbalance(8) == 1


@pytest.mark.parametrize("text", ["1\n2\n3\n4\n", "1,2,3,4", "expert,tokens\n0,10\n2,30\n1,20\n3,40\n", "# counts\n[1 2 3 4]\n"])
def test_files_of_shares(tmp_path: Path, text: str) -> None:
    file = tmp_path / "shares.csv"
    file.write_text(text)
    assert routing(f"measured:{file}").shares == pytest.approx((0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize("text", ["", "expert,share\n", "1\n-1\n", "1\nx\n", "0\n0\n", "0,1\n2,3\n", "nan\n"])
def test_files_that_hold_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "shares.csv"
    file.write_text(text)
    with pytest.raises(RoofcalcError, match="--routing: "):
        routing(f"measured:{file}")


def test_presets() -> None:
    assert [assumptions(name).routing for name in ("roofline", "typical", "bound")] == ["uniform", "uniform", "skewed"]
    assert assumptions("bound", routing="uniform").routing == "uniform"


def test_a_step_by_hand_under_each_routing(tmp_path: Path) -> None:
    """Mixtral-8x7B, 4 tokens: 8·(1 − (1 − 2/8)^4) = 5.46875 experts of 3·4096·14336 weights in each of 32 layers, 2 if all are alike."""
    line = "explain interactivity mixtral-8x7b 2xh100-sxm --seq 1k --batch 4 --ep 1"
    file = tmp_path / "shares"
    file.write_text("\n".join(["4"] * 2 + ["1"] * 6))  # 2·4/14 and 2·1/14 of a token's choices
    measured = 2 * (1 - (1 - 8 / 14) ** 4) + 6 * (1 - (1 - 2 / 14) ** 4)
    expert = 32 * 3 * 4096 * 14336 * 2 / 2  # bytes on each of two devices
    for given, experts in (("uniform", 5.46875), ("skewed", 2.0), (f"measured:{file}", measured)):
        table = rc.ops("mixtral-8x7b", "2xh100-sxm", seq=1000, batch=4, ep=1, routing=given)
        moved = sum(float(row["mb"]) * 1e6 for row in table.rows() if ".expert" in str(row["op"]))
        assert moved == pytest.approx(experts * expert, rel=1e-6), given
        assert all(row["routing"] == given for row in table.rows())
    # Whole experts on two devices: the first has (4 + 4 + 1 + 1)/14 of the choices, 10/7 of the mean.
    (spread,) = [
        row for row in rc.ops("mixtral-8x7b", "2xh100-sxm", seq=1000, batch=4, routing=f"measured:{file}").rows() if "down" in str(row["op"])
    ]
    assert float(spread["mb"]) * 1e6 == pytest.approx(measured * 10 / 7 * expert / 3)
    shown = {given: run(f"{line} --routing {given}").stdout for given in ("skewed", f"measured:{file}")}
    assert "2·8/8·min(1, 4) = 2" in shown["skewed"] and "over the shares of --routing" in shown[f"measured:{file}"]


def test_no_routing_is_faster_than_the_bound() -> None:
    (bound,) = rc.interactivity("deepseek-v3", "8xh200-sxm", seq=1000, batch=64, assume="bound").rows()
    for chosen in ("uniform", "skewed"):
        (row,) = rc.interactivity("deepseek-v3", "8xh200-sxm", seq=1000, batch=64, routing=chosen).rows()
        assert row["step_ms"] >= bound["step_ms"]


def test_refusals(tmp_path: Path) -> None:
    file = tmp_path / "shares"
    file.write_text("1\n" * 7)
    line = "interactivity mixtral-8x7b 2xh100-sxm --seq 1k --batch 4 --routing"
    assert "--routing: invalid choice 'even' (choose from uniform, skewed, measured:FILE)" in refused(f"{line} even")
    assert "--routing: 7 shares for 8 experts" in refused(f"{line} measured:{file}")
    file.write_text("6\n" + "1\n" * 7)  # 6/13 of the choices: 0.92 per token; of 2, at most one
    assert run(f"{line} measured:{file}").exit_code == 0
    file.write_text("20\n" + "1\n" * 7)
    assert "an expert with 0.7407 of all choices; 2 per token allow at most 0.5" in refused(f"{line} measured:{file}")
    assert "cannot be read" in refused(f"{line} measured:{tmp_path / 'none'}")
