"""Caches of earlier requests in the host's memory and on its drives."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.prefill import prefill
from roofcalc.physics.prompt_cache import fetch_s, first_token_s, found_tokens, tier_s
from tests.physics.test_offload import deployed


def tiered(tier: str, hit_rate: float = 0.9, **options: Any) -> Deployment:
    host = "memory_gb=1500,memory_gb_s=700,nvme_gb_s=25,link_gb_s=63"
    return deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1, hit_rate=hit_rate, offload=tier, host=host, **options)


def test_fetching_by_hand() -> None:
    # 80 layers, 8 KV heads of 128 in 16 bits: 327,680 bytes a token, of which each of four devices fetches a quarter over its link
    found, isl = np.array([90_000.0]), np.array([100_000.0])
    assert fetch_s(tiered("kv=host:500"), isl) == pytest.approx(90_000 * 327_680 / 4 / 63e9)
    assert fetch_s(tiered("kv=nvme:500"), isl) == pytest.approx(90_000 * 327_680 / 25e9)
    assert found_tokens(tiered("kv=host:500"), isl) == found


def test_ranks_share_the_drives_and_the_hosts_memory() -> None:
    # llama-3.1-8b: 32 layers, 8 KV heads of 128 in 16 bits, 131,072 bytes a token; eight ranks fetch 28,800 tokens each
    host = "memory_gb=1500,memory_gb_s=400,nvme_gb_s=25,link_gb_s=63"
    (nvme, ram) = (deployed("llama-3.1-8b", "8xh100-sxm", tp=1, dp=8, hit_rate=0.9, offload=f"kv={tier}:500", host=host) for tier in ("nvme", "host"))
    isl, fetched = np.array([32_000.0]), 28_800 * 131_072
    assert tier_s(nvme, 0.0, isl * 0.9) == pytest.approx(8 * fetched / 25e9)
    assert fetch_s(ram, isl) == pytest.approx(8 * fetched / 400e9)
    staged = deployed("llama-3.1-8b", "4xh100-sxm", tp=1, pp=4, hit_rate=0.9, offload="kv=nvme:500", host=host)
    assert tier_s(staged, 0.0, isl * 0.9) == pytest.approx(fetched / 25e9)  # the layers of four stages


def test_what_is_computed_sooner_is_not_fetched() -> None:
    slow = deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1, hit_rate=0.9, offload="kv=nvme:500", host="memory_gb_s=700,link_gb_s=63,nvme_gb_s=0.5")
    isl = np.array([4000.0, 100_000.0])
    assert found_tokens(slow, isl).tolist() == [0, 0] and fetch_s(slow, isl).tolist() == [0, 0]
    plain = deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1)
    assert prefill(plain, isl).ttft_s == pytest.approx(first_token_s(slow, isl))


@pytest.mark.parametrize("mode", ["colocated", "chunked", "separate"])
def test_fetching_delays_the_first_token_alone(mode: str) -> None:
    def row(**options: Any) -> dict[str, Any]:
        options |= {"hit_rate": 0.9, "tp": 4, "pp": 1, "prefill": mode}
        return next(rc.interactivity("llama-3.1-70b", "4xh100-sxm", isl=50_000, osl=500, batch=6, **options).rows())

    near, far = row(), row(offload="kv=host:500", host="memory_gb_s=700,link_gb_s=63")
    fetched_ms = 45_000 * 327_680 / 4 / 63e9 * 1e3
    assert far["ttft_ms"] - near["ttft_ms"] == pytest.approx(fetched_ms)
    assert far["ttft_idle_ms"] - near["ttft_idle_ms"] == pytest.approx(fetched_ms)
    assert far["interactivity_tok_s"] == pytest.approx(near["interactivity_tok_s"])
    stay = 500 / far["interactivity_tok_s"] + far["ttft_ms"] / 1e3
    assert 6 * 500 / far["throughput_tok_s"] == pytest.approx(stay)


def test_sessions_that_a_tier_keeps() -> None:
    kept = memory.tier_sessions(tiered("kv=host:500 kv=nvme:1000"), np.array([100_000.0]))
    assert kept == pytest.approx([1500e9 / (100_000 * 327_680)])


def test_a_plan_waits_for_what_is_fetched() -> None:
    def first_ms(**options: Any) -> float:
        demand = {"isl": 50_000, "osl": 500, "requests_per_second": 0.05, "hit_rate": 0.9, "tp": 4}
        return float(rc.plan("llama-3.1-70b", "4xh100-sxm", **demand, **options)["ttft_ms"][0])

    far = first_ms(offload="kv=host:500", host="memory_gb_s=700,link_gb_s=63")
    assert far - first_ms() == pytest.approx(45_000 * 327_680 / 4 / 63e9 * 1e3, rel=0.01)
