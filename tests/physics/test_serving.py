"""What users get while the same devices read the prompts of others: by hand, by laws, and by a simulation of a replica."""

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.chunk_time import chunk_s
from roofcalc.physics.generation import mean_step, output_tok_s
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import Served, served
from tests.catalogs import on
from tests.shell import rows

MODES = ("colocated", "chunked", "separate")
CASES = (
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-70b", "8xh100-sxm", {"weights": "fp8"}),
    ("gemma-3-27b", "2xh100-sxm", {}),
    ("gpt-oss-120b", "2xh100-sxm", {}),
    ("qwen3-30b-a3b", "4xh100-sxm", {"tp": 1, "dp": 4, "ep": 4}),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 4, "pp": 2}),
    ("llama-3.1-8b", "h100-sxm", {"overlap": "full"}),
    ("llama-3.1-8b", "h100-sxm", {"assume": "typical"}),
)
BATCHES = np.unique(np.geomspace(1, 3000, 60).round())


def of(deployment: Deployment, isl: float, osl: float, batch: object, mode: str, chunk: float | None = None) -> Served:
    return served(deployment, isl, osl, batch, mean_step(deployment, isl, osl), mode, chunk)


def test_colocated_by_hand() -> None:
    # Llama 3.1 70B in fp8 on 8 H100, 7,000 tokens in and 1,000 out, 217 in flight: a prompt occupies the machine 114.56 ms
    # (prefill alone), so that a request waits for 216 other prompts while it decodes: 41.81 tok/s becomes
    # 1/(1/41.81 + 216 x 0.11456 s / 1000) = 20.55 tok/s, and 217 users of 20.5 each make the 4,449 tok/s of the machine
    deployment = on("llama-3.1-70b", "8xh100-sxm", weights="all=fp8")
    one = of(deployment, 7000, 1000, 217, "colocated")
    prompt = float(prefill(deployment, 7000).ttft_s)
    assert prompt == pytest.approx(0.11456, rel=1e-3)
    assert 1 / one.decode_s == pytest.approx(41.81, rel=1e-3)
    assert 1 / one.tpot_s == pytest.approx(1 / (1 / 41.81 + 216 * 0.11456 / 1000), rel=1e-3)
    assert one.ttft_s == pytest.approx(prompt * (1 + 216 / 2000), rel=1e-6)
    assert one.throughput_tok_s == pytest.approx(4449, rel=1e-3)


def test_a_chunk_by_hand() -> None:
    # Llama 3.1 8B bf16 on one H100, 64 sequences and a chunk of 2,048 tokens (a whole prompt of as many): its linear layers
    # have 2 x (32 x 218,103,808) FLOPs per token = 13.96 GFLOP. 64 tokens read 13.96 GB of weights in 4.167 ms (3,350 GB/s), 2,112
    # take 13.96e9 x 2112 / 989.4e12 = 29.80 ms: 25.63 ms more. Attention of the chunk: 32 layers x 4 x 32 x 128 x
    # 2048 x 2049 / 2 FLOPs = 1.100 TFLOP = 1.112 ms.
    deployment = on("llama-3.1-8b", "h100-sxm")
    per_token = 2 * 32 * 218_103_808
    expected = per_token * 2112 / 989.4e12 - per_token / 3350e9 + 32 * 4 * 4096 * 2048 * 2049 / 2 / 989.4e12
    (found,) = chunk_s(deployment, mean_step(deployment, 2048, 500), 64.0, np.array([2048.0]), np.array([1.0]))
    assert found == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_laws(case: tuple[str, str, dict[str, object]], mode: str) -> None:
    deployment = on(case[0], case[1], **case[2])  # type: ignore[arg-type]
    ranks = deployment.layout.dp
    for isl, osl in ((7000.0, 1000.0), (1000.0, 100.0), (100.0, 20.0), (30_000.0, 200.0)):
        batch = BATCHES * ranks
        found = of(deployment, isl, osl, batch, mode)
        mean = mean_step(deployment, isl, osl)
        if mode != "chunked" or batch[0] == ranks:  # one sequence of a rank decodes at the pure step
            assert found.tpot_s[0] == pytest.approx(float(mean.seconds(batch[0])), rel=1e-12)
        assert (np.diff(found.tpot_s) >= -1e-12 * found.tpot_s[1:]).all(), (isl, osl)
        assert (found.tpot_s <= found.decode_s * (1 + 1e-12) if mode == "separate" else found.tpot_s > 0).all()
        np.testing.assert_allclose(batch * osl / found.throughput_tok_s, osl * found.tpot_s + found.ttft_s, rtol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_longer_prompts_are_never_faster(case: tuple[str, str, dict[str, object]]) -> None:
    deployment = on(case[0], case[1], **case[2])  # type: ignore[arg-type]
    isl = np.array([[50.0], [500], [2000], [8191], [8193], [20_000], [60_000]])
    for mode in MODES:
        found = served(deployment, isl, 500.0, BATCHES, mean_step(deployment, isl, 500.0), mode)
        total = BATCHES * 500.0 / found.throughput_tok_s
        assert (np.diff(total, axis=0) >= -1e-3 * total[1:]).all(), mode
        # where every step carries a chunk, longer prompts leave fewer sequences decoding, and the wait for a prompt grows instead
        few = BATCHES * np.ceil(isl / 4096) < 400 * deployment.layout.dp if mode == "chunked" else np.ones_like(total, dtype=bool)
        assert (np.diff(found.tpot_s, axis=0) >= -1e-3 * found.tpot_s[1:])[few[1:]].all(), mode


@pytest.mark.parametrize("case", CASES[:7], ids=str)
def test_chunks_that_ride_along_are_no_slower_than_chunks_alone(case: tuple[str, str, dict[str, object]]) -> None:
    deployment = on(case[0], case[1], **case[2])  # type: ignore[arg-type]
    for isl, osl, chunk in ((8192.0, 1000.0, 2048.0), (4096.0, 400.0, 1024.0)):
        batch = np.array([1.0, 8, 60, 100]) * deployment.layout.dp
        chunked, colocated = (of(deployment, isl, osl, batch, mode, chunk) for mode in ("chunked", "colocated"))
        assert (chunked.tpot_s <= colocated.tpot_s * (1 + (1e-9 if deployment.layout.pp == 1 else 5e-3))).all()


def test_throughput_of_colocated_prompts_is_that_of_the_whole_generation() -> None:
    for name, machine, given in CASES:
        deployment = on(name, machine, **given)  # type: ignore[arg-type]
        mean = mean_step(deployment, 3000.0, 300.0)
        expected = output_tok_s(deployment, 3000.0, 300.0, BATCHES, mean)
        np.testing.assert_allclose(served(deployment, 3000.0, 300.0, BATCHES, mean).throughput_tok_s, expected, rtol=1e-12)


def test_kinds_of_requests_that_are_alike_are_one() -> None:
    for name, machine, given in CASES:
        deployment = on(name, machine, **given)  # type: ignore[arg-type]
        isl, osl, parts = np.array([3000.0, 3000.0]), np.array([300.0, 300.0]), np.array([0.3, 0.7])
        mean = mean_step(deployment, isl, osl, shares=parts)
        for mode in MODES:
            one = of(deployment, 3000.0, 300.0, BATCHES, mode)
            two = served(deployment, isl, osl, BATCHES, mean, mode, parts=parts)
            for got, expected in zip(two[:5], one[:5], strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-9)


def simulated(deployment: Deployment, isl: float, osl: int, batch: int, mode: str, chunk: float) -> tuple[float, float]:
    """Mean seconds between tokens and to the first token, of a replica with `batch` users who each send on at once when answered.

    Event by event: prompts go first (colocated), or each step carries one chunk of the first in line (chunked).
    """
    mean = mean_step(deployment, isl, osl)
    count = int(np.ceil(isl / chunk)) if mode == "chunked" else 1
    step_s = [0.0, *(float(mean.seconds(n)) for n in range(1, batch + 1))]
    prompt = (np.array([isl]), np.array([float(count)]))
    added = [float(chunk_s(deployment, mean, max(n, 1), *prompt)[0]) for n in range(batch + 1)] if mode == "chunked" else []
    alone = float(prefill(deployment, isl).ttft_s)
    draw = np.random.default_rng(1)
    left = {user: int(n) for user, n in enumerate(draw.integers(1, osl, batch))}  # staggered: users are anywhere in their answers
    line: list[tuple[int, float]] = []
    first: dict[int, float] = {}
    waits, gaps, now, done = [], [], 0.0, 0
    while len(gaps) < 12 * batch:
        n = len(left)
        if line and mode == "colocated":
            user, asked = line.pop(0)
            now += alone
            waits.append(now - asked)
            left[user], first[user] = osl, now
            continue
        carries = bool(line) and mode == "chunked"
        now += (step_s[n] if n else 0.0) + (added[n] if carries else 0.0)
        for user in list(left):
            left[user] -= 1
            if left[user] == 0:
                del left[user]
                if user in first:
                    gaps.append((now - first[user]) / osl)
                line.append((user, now))
        if carries:
            done += 1
            if done == count:
                user, asked = line.pop(0)
                waits.append(now - asked)
                left[user], first[user], done = osl, now, 0
    return float(np.mean(gaps[2 * batch :])), float(np.mean(waits[2 * batch :]))


@pytest.mark.parametrize(("isl", "osl", "batch", "mode"), [
    (2000.0, 200, 24, "colocated"),
    (6000.0, 300, 8, "colocated"),
    (2000.0, 400, 24, "chunked"),
    (6000.0, 300, 16, "chunked"),
    (6000.0, 100, 60, "chunked"),  # every step carries a chunk: users wait for their prompts
])  # fmt: skip
def test_a_simulated_replica_agrees(isl: float, osl: int, batch: int, mode: str) -> None:
    deployment, chunk = on("llama-3.1-8b", "h100-sxm"), 1024.0
    tpot, ttft = simulated(deployment, isl, osl, batch, mode, chunk)
    found = of(deployment, isl, osl, float(batch), mode, chunk if mode == "chunked" else None)
    assert found.tpot_s == pytest.approx(tpot, rel=0.03)
    assert found.ttft_s == pytest.approx(ttft, rel=0.25 if mode == "colocated" else 0.15)


def test_prompts_are_named_where_they_take_most_of_the_time() -> None:
    # 70B in fp8 on 8 H100, 7,000 in and 300 out: 65 users get 30 tok/s, and 114 without the prompts of the others
    line = "max-batch llama-3.1-70b 8xh100-sxm --weights fp8 --isl 7000 --interactivity 30"
    (short,), (long,), (apart,) = (rows(f"{line} {more}") for more in ("--osl 300", "--osl 5000", "--osl 300 --prefill separate"))
    assert short["limited_by"] == "prompts" and 2 * float(short["interactivity_tok_s"]) < float(short["decode_tok_s"])
    assert long["limited_by"] in ("bandwidth", "capacity") and 2 * float(long["interactivity_tok_s"]) > float(long["decode_tok_s"])
    assert apart["limited_by"] != "prompts"
    at = "interactivity llama-3.1-70b 8xh100-sxm --weights fp8 --isl 7000 --osl 300"
    one, many = rows(f"{at} --batch 1,65")
    assert (one["limited_by"], many["limited_by"]) == ("bandwidth", "prompts")
    assert rows("max-batch llama-3.1-70b 8xh100-sxm --weights fp8 --seq 7k --interactivity 30")[0]["limited_by"] != "prompts"


def test_a_batch_without_limit_is_an_empty_cell() -> None:
    """Chunked, with every step full: more requests wait for their first token and decode no slower."""
    line = "max-batch llama-3.1-70b 8xh100-sxm --weights fp8 --isl 7000 --osl 300"
    (chunked,), (free,) = rows(f"{line} --interactivity 5 --prefill chunked"), rows(f"{line} --interactivity 0")
    assert (chunked["batch_interactivity"], free["batch_interactivity"]) == ("", "")
    assert chunked["max_batch"] == chunked["batch_memory"] == free["max_batch"]


@pytest.mark.parametrize(("budget", "together"), [(None, 4), (8192, 4), (4000, 2), (3999, 1), (1000, 1), (16_384, 8)])
def test_prompts_are_packed_into_the_largest_step(budget: int | None, together: int) -> None:
    """`typical`: 8 prompts of 2,000 tokens, as many at once as --max-batched-tokens holds, by default 8,192; a burst ends a pack at a time."""
    deployment = on("llama-3.1-8b", "h100-sxm", assume="typical", prefill="colocated", max_batched_tokens=budget)
    packs = 8 // together
    pack = float(prefill(deployment, 2000, 0.0, together).batch_prefill_s)
    one = of(deployment, 2000, 500, 8, "colocated")
    assert 8 * 500 / one.throughput_tok_s == pytest.approx(500 * float(one.decode_s) + packs * pack, rel=1e-9)
    burst = on("llama-3.1-8b", "h100-sxm", assume="typical", prefill="colocated", max_batched_tokens=budget, arrivals="burst")
    alone = float(prefill(burst, 2000).ttft_s)
    # the mean prompt ends with pack (packs + 1)/2, and what is over the first of its own prompts is spread evenly over the others
    others = max(packs * pack - alone, 0.0)
    assert of(burst, 2000, 500, 8, "colocated").ttft_s == pytest.approx(alone + others * ((packs + 1) / 2 * together - 1) / 7, rel=1e-9)


@pytest.mark.parametrize("mode", ["colocated", "separate"])
@pytest.mark.parametrize("case", CASES[:7], ids=str)
def test_a_bound_serves_at_least_as_many_tokens(case: tuple[str, str, dict[str, object]], mode: str) -> None:
    """Than the roofline of the same layout; of separate pools, B tokens in each of its decode steps."""
    given = {name: value for name, value in case[2].items() if name != "overlap"}
    least, most = (on(case[0], case[1], **given, assume=preset) for preset in ("roofline", "bound"))  # type: ignore[arg-type]
    for isl, osl in ((4000.0, 500.0), (30_000.0, 20.0), (200.0, 1.0)):
        found, bound = (of(one, isl, osl, BATCHES, mode) for one in (least, most))
        assert (bound.throughput_tok_s >= found.throughput_tok_s * (1 - 1e-9)).all()
        if mode == "separate":
            np.testing.assert_allclose(bound.throughput_tok_s, BATCHES / mean_step(most, isl, osl).seconds(BATCHES), rtol=1e-12)


def test_first_tokens_behind_those_who_ask_in_the_same_step_by_hand() -> None:
    """Two users, prompts of one chunk, answers of 10 tokens: once in 10 both end in the same step, and every other time the other one is first."""
    deployment = on("llama-3.1-8b", "h100-sxm")
    mean = mean_step(deployment, 1000, 10)
    mixed = float(mean.seconds(2)) + float(chunk_s(deployment, mean, 2.0, np.array([1000.0]), np.array([1.0]))[0])
    assert served(deployment, 1000, 10, 2, mean, "chunked", 1000.0).ttft_s == pytest.approx(mixed * (1 + 1 / 10 / 2), rel=1e-9)


def test_prompts_that_fit_one_step_do_not_wait_for_each_other() -> None:
    """Eight prompts of 1,000 fit into a step of 8,192 tokens: with up to four asked for in each step, none waits longer than the rest of one."""
    found = of(on("llama-3.1-8b", "h100-sxm"), 1000, 10, np.array([11.0, 21.0, 31.0, 41.0]), "chunked")
    assert found.prompt is not None
    np.testing.assert_allclose(found.ttft_s, found.prompt.own_s * 1.5, rtol=1e-9)


def met_by_ranks(mean: float) -> tuple[float, float]:
    """The chance that any prompts come in a step, and how many then come on average: a Poisson distribution summed term by term."""
    some = np.cumprod(mean / np.arange(1.0, 300.0)) * np.exp(-mean)
    return float(some.sum()), float((some * np.arange(1.0, 300.0)).sum() / some.sum())


@pytest.mark.parametrize("each", [2, 26, 101, 301])
def test_ranks_that_exchange_tokens_wait_for_the_chunks_of_all_by_hand(each: int) -> None:
    """`each` users on each of four ranks, answers of 400 tokens, prompts of one chunk.

    The others of a rank ask for (each − 1)/400 chunks in a step, four ranks for as many times four. All wait in a step with any, and then
    the experts, which are common, read the chunks of as many ranks as have one.
    """
    deployment = on("qwen3-30b-a3b", "4xh100-sxm", tp=1, dp=4, ep=4, assume="typical", prefill="chunked")
    mean = mean_step(deployment, 1000, 400)
    some, ranks = met_by_ranks(4 * (each - 1) / 400)
    (extra,) = chunk_s(deployment, mean, 4.0 * each, np.array([1000.0]), np.array([1.0]), 1.0, ranks)
    found = served(deployment, 1000, 400, 4.0 * each, mean, "chunked", 1000.0)
    assert found.tpot_s == pytest.approx(float(mean.seconds(4.0 * each)) + some * float(extra), rel=1e-9)


def test_where_every_step_is_full_each_carries_a_chunk_on_all_ranks() -> None:
    """Fifty users on each of two ranks, answers of 10 tokens: a rank reads one prompt of one chunk in each step, 10 decode beside it and one more."""
    deployment = on("qwen3-30b-a3b", "2xh100-sxm", tp=1, dp=2, ep=2, assume="typical", prefill="chunked")
    mean = mean_step(deployment, 1000, 10)
    (extra,) = chunk_s(deployment, mean, 22.0, np.array([1000.0]), np.array([1.0]), 1.0, 2.0)
    assert served(deployment, 1000, 10, 100.0, mean, "chunked", 1000.0).tpot_s == pytest.approx(float(mean.seconds(22.0) + extra), rel=1e-9)
