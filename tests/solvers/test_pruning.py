"""A layout that carries a rate is not given up as one that carries less: what plans skip, against what they find when they look."""

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.speculative import with_drafts
from roofcalc.physics.generation import mean_step
from roofcalc.physics.prefill import prefill
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.replica import max_load
from tests.catalogs import on

SPEEDS = np.array([1.0, 10, 20, 40, 60, 110])
WORK = ((1000, 200), (10, 2000), (1000, 2))
REPLICAS = (
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-8b", "h100-sxm", {"draft": 3}),
    ("llama-3.1-8b", "h100-sxm", {"prefill": "chunked"}),
    ("llama-3.1-8b", "h100-sxm", {"prefill": "separate"}),
    ("llama-3.1-8b", "l4", {"assume": "bound"}),
    ("llama-3.1-8b", "8xl4", {"tp": 1, "dp": 8}),
    ("llama-3.1-8b", "6xh100-sxm", {"tp": 1, "dp": 6}),
    ("llama-3.1-70b", "4xh100-sxm", {"weights": "fp8", "tp": 1, "pp": 4}),
    ("llama-3.1-8b", "6xl4", {"tp": 1, "pp": 3, "dp": 2, "prefill": "chunked"}),
    ("qwen3-30b-a3b", "4xh100-sxm", {"tp": 1, "dp": 4, "ep": 4, "assume": "typical"}),
)


def deployed(model: str, hardware: str, given: dict[str, object]) -> Deployment:
    drafts = given.get("draft")
    plain = on(model, hardware, **{name: one for name, one in given.items() if name != "draft"})  # type: ignore[arg-type]
    return with_drafts(plain, 3, 0.8) if drafts else plain


def asked(isl: int, osl: int, speeds: np.ndarray, ttft: float = np.inf) -> Demand:
    """As many requests per second as there can be, at each speed."""
    none = np.full(speeds.shape, np.inf)
    work = (np.full((speeds.size, 1), float(tokens)) for tokens in (isl, osl, isl + osl))
    return Demand(*work, np.ones(1), speeds, np.full(speeds.shape, ttft), none, None, np.ones(speeds.shape))


@pytest.mark.parametrize(("model", "hardware", "given"), REPLICAS, ids=str)
def test_a_replica_that_carries_a_rate_is_not_skipped_for_it(model: str, hardware: str, given: dict[str, object]) -> None:
    deployment = deployed(model, hardware, given)
    for isl, osl in WORK:
        demand = asked(isl, osl, SPEEDS)
        most = max_load(demand, deployment).most
        assert most[0] > 0
        for number in np.flatnonzero(most):
            rate = most[number : number + 1]
            assert max_load(demand.at(int(number)), deployment, met=rate * (1 - 1e-6)).most == pytest.approx(rate, rel=1e-9), (isl, osl, number)


@pytest.mark.parametrize(("model", "hardware", "given"), REPLICAS, ids=str)
def test_slower_users_are_never_fewer(model: str, hardware: str, given: dict[str, object]) -> None:
    """A rate that is carried at a speed is carried at any lower one; dips of chunks of short answers are below 2 %."""
    for isl, osl in WORK:
        most = max_load(asked(isl, osl, SPEEDS), deployed(model, hardware, given)).most
        assert (np.diff(most) <= 0.02 * most[:-1]).all(), (isl, osl, most)


@pytest.mark.parametrize("ranks", [6, 8])
def test_one_more_user_than_ranks_by_hand(ranks: int) -> None:
    """Contexts of 63,000 tokens on ranks of Llama 3.1 8B: two on a rank take 1.355 times the step of one, with 15.01 GB of weights and 8.26 of cache.

    At 80 % of the speed of one that is too slow. One user a rank is all that there is, by Little's law ranks/(TTFT + osl·T_step) requests
    per second; a user more would slow down all and the replica carry less.
    """
    deployment = on("llama-3.1-8b", f"{ranks}xh100-sxm", tp=1, dp=ranks, prefill="separate")
    mean = mean_step(deployment, 60_000, 6000)
    one, two = (float(mean.seconds(count * ranks)) for count in (1, 2))
    assert two / one == pytest.approx((15.01 + 16.52) / (15.01 + 8.26), rel=1e-3) and ranks / one > (ranks + 1) / two
    demand = asked(60_000, 6000, np.array([0.8 / one]))
    expected = ranks / (float(prefill(deployment, 60_000, 0, ranks).ttft_s) + 6000 * one)
    assert max_load(demand, deployment).most == pytest.approx(expected, rel=1e-9)
    assert max_load(demand, deployment, met=np.array([expected * (1 - 1e-6)])).most == pytest.approx(expected, rel=1e-9)
