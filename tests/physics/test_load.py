"""A replica at a rate of requests, against a simulation of it event by event."""

from functools import lru_cache

import numpy as np
import pytest

from roofcalc.deployment.speculative import with_drafts
from roofcalc.physics.chunk_time import chunk_s
from roofcalc.physics.generation import mean_step
from roofcalc.physics.load import Loaded, at_batch, between, goodput, kinds, loaded, of_mean, tpot_spread_s
from roofcalc.physics.load import rate_of as rate_at
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import ServedStep
from tests.catalogs import on
from tests.shell import refused, rows

ISL, OSL = 4000.0, 200


def paced_of(hardware: str = "h100-sxm", isl: float = ISL, osl: float = OSL, **given: object) -> ServedStep:
    deployment = on("llama-3.1-8b", hardware, **given)  # type: ignore[arg-type]
    return ServedStep(mean_step(deployment, isl, osl), isl, osl)


def rate_of(paced: ServedStep, busy: float) -> float:
    """Requests per second that keep the replica so busy, with prompts and decode steps, of up to 2,000 in flight."""
    return busy * float(paced.served(2000.0).throughput_tok_s) / OSL


def at(busy: float) -> tuple[ServedStep, Loaded]:
    paced = paced_of()
    return paced, loaded(paced, rate_of(paced, busy), 2000.0)


@lru_cache
def simulated(busy: float, count: int = 40_000) -> np.ndarray:
    """Times to first token and between tokens of each request, and the number in flight that it finds; Poisson arrivals, prompts first.

    A step decodes one token of every sequence that has its first token; prompts that arrived in it are prefilled before the next.
    All answers have the same length, so that requests end in the order in which they began; steps between two events are taken at once.
    """
    paced = paced_of()
    prompt, steps = float(prefill(paced.deployment, ISL).ttft_s), np.asarray(paced.step.seconds(np.arange(1.0, 2001.0))).tolist()
    arrivals = np.cumsum(np.random.default_rng(5).exponential(1 / rate_of(paced, busy), count)).tolist()
    now, done, coming, begun, ended = 0.0, 0, 0, 0, 0  # requests that have arrived, have their first token, have ended; steps done
    first, last, found = [0.0] * count, [0] * count, [0] * count
    rows = []
    while ended < count:
        while coming < count and arrivals[coming] <= now:
            found[coming] = coming - ended
            coming += 1
        if begun < coming:
            now += prompt
            first[begun], last[begun] = now, done + OSL
            begun += 1
        elif ended < begun:
            step = steps[begun - ended - 1]
            until = last[ended] - done
            if coming < count:
                until = min(until, max(1, int(np.ceil((arrivals[coming] - now) / step))))
            now, done = now + until * step, done + until
            while ended < begun and last[ended] == done:
                rows.append((first[ended] - arrivals[ended], (now - first[ended]) / OSL, found[ended]))
                ended += 1
        else:
            now = arrivals[coming]
    return np.array(rows)[count // 10 :]


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.85])
def test_a_simulated_replica_agrees(load: float) -> None:
    _, found = at(load)
    ttft, tpot, flight = simulated(load).T
    assert found.ttft_s == pytest.approx(ttft.mean(), rel=0.03)
    assert found.ttft_late_s == pytest.approx(np.percentile(ttft, 95), rel=0.12)
    assert found.served.tpot_s == pytest.approx(tpot.mean(), rel=0.08)
    assert found.batch == pytest.approx(flight.mean(), rel=0.08, abs=1)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.85])
def test_the_share_that_meets_both_limits_agrees(load: float) -> None:
    """Within seven points of a hundred, at limits around the middle and the tail of either."""
    paced, found = at(load)
    ttft, tpot, _ = simulated(load).T
    for late, slow in ((50, 50), (80, 80), (95, 80), (80, 95), (99, 99)):
        if load == 0.1 and late + slow < 170:
            continue  # most requests find nobody: their first token and speed are the least, and limits between them are all or nothing
        limits = float(np.percentile(ttft, late)), float(np.percentile(tpot, slow))
        share = float(((ttft <= limits[0]) & (tpot <= limits[1])).mean())
        assert float(goodput(paced, found, *limits)) == pytest.approx(share, abs=0.07), (late, slow)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.85])
def test_the_spread_of_speeds_agrees(load: float) -> None:
    paced, found = at(load)
    assert float(tpot_spread_s(paced, found)) == pytest.approx(float(simulated(load)[:, 1].std()), rel=0.15)


def simulated_chunks(paced: ServedStep, rate: float, count: int = 12_000) -> np.ndarray:
    """Times to first token of Poisson arrivals whose prompts ride on decode steps, as many of those that wait as 8,192 tokens hold.

    Step by step; a step with prompts takes the decode step of its sequences and what so many chunks add.
    """
    isl, osl, most = float(paced.isl), int(paced.osl), int(8192 // float(paced.isl))
    decoding, prompts = (one.ravel() for one in np.meshgrid(np.arange(1.0, 401.0), np.arange(1.0, most + 1.0)))
    steps, ones = np.asarray(paced.step.seconds(np.arange(1.0, 401.0))), np.ones((decoding.size, 1))
    added = chunk_s(paced.deployment, paced.step, decoding, isl * ones, ones, prompts).reshape(most, -1)
    arrivals = np.cumsum(np.random.default_rng(5).exponential(1 / rate, count))
    now, coming, waiting, left, first = 0.0, 0, [], [], []
    while len(first) < count:
        while coming < count and arrivals[coming] <= now:
            waiting.append(arrivals[coming])
            coming += 1
        if not waiting and not left:
            now = arrivals[coming]
            continue
        taken, waiting, of = waiting[:most], waiting[most:], max(len(left), 1) - 1
        now += steps[of] + (added[len(taken) - 1, of] if taken else 0.0)
        left = [tokens - 1 for tokens in left if tokens > 1] + [osl] * len(taken)
        first += [now - one for one in taken]
    return np.array(first)[count // 10 :]


@pytest.mark.parametrize(("isl", "load"), [(1000.0, 0.5), (2000.0, 0.1), (2000.0, 0.7), (2000.0, 0.85), (4000.0, 0.3)])
def test_a_simulation_of_chunks_agrees(isl: float, load: float) -> None:
    paced = paced_of(isl=isl, osl=100, prefill="chunked")
    rate = load * float(paced.served(400.0).throughput_tok_s) / 100
    found, first = loaded(paced, rate, 2000.0), simulated_chunks(paced, rate)
    assert found.ttft_s == pytest.approx(first.mean(), rel=0.1)
    assert found.ttft_late_s == pytest.approx(np.percentile(first, 95), rel=0.15)


def test_laws() -> None:
    """With the rate, requests in flight, times and spread grow, goodput falls; beyond what is possible there is no answer."""
    paced = paced_of()
    rates = rate_of(paced, 1.0) * np.array([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.5])
    found = loaded(paced, rates, 2000.0)
    for values in (found.batch, found.ttft_s, found.ttft_late_s, found.served.tpot_s[:-1], found.busy, tpot_spread_s(paced, found)[:-1]):
        grows = np.diff(values)
        assert (grows[~np.isnan(grows)] >= 0).all()
    shares = goodput(paced, found, 0.1, 0.015)
    assert (np.diff(shares) <= 1e-9).all() and shares[0] > 0.95 and shares[-1] == 0
    assert np.isnan(found.batch[-1]) and np.isnan(found.ttft_s[-1]) and found.busy[-1] > 1
    few = loaded(paced, rates[4], 5.0)  # of these many more are in flight than fit
    assert np.isnan(few.batch) and few.busy > 1
    np.testing.assert_allclose(found.ttft_s[0], paced.served(1.0).ttft_idle_s + paced.step.seconds(1.0) / 2, rtol=0.01)


@pytest.mark.parametrize("given", [{"prefill": "chunked"}, {"prefill": "separate"}, {"assume": "bound"}, {"assume": "typical"}], ids=str)
def test_other_ways_to_prefill(given: dict[str, object]) -> None:
    """Little's law holds in every mode; pools that prefill elsewhere, and bounds, know no queue."""
    paced = paced_of(**given)
    rates = np.array([0.5, 2.0, 5.0])
    found = loaded(paced, rates, 500.0)
    flight = rates * (found.ttft_s + OSL * found.served.tpot_s)
    if given != {"assume": "bound"}:  # where each resource is busy with the prompts of all, for less time than the pure steps
        assert (np.abs(found.batch - np.ceil(flight)) <= 1).all()
    assert np.isnan(found.ttft_late_s).all() == (found.prompts is None) == (given in ({"prefill": "separate"}, {"assume": "bound"}))
    assert ((goodput(paced, found, 1.0, 1.0) > 0.99) & (goodput(paced, found, 1.0, 1e-4) < 0.01)).all()


LINE = "interactivity llama-3.1-8b h100-sxm --isl 2k --osl 500"


def test_rows_at_a_rate() -> None:
    """Requests in flight by Little's law; at the same number in flight a given batch has the same speed, within the one that is looked at."""
    (row,) = rows(f"{LINE} --requests-per-second 10 --goodput --ttft 0.5 --interactivity 30")
    flight = 10 * (float(row["ttft_ms"]) / 1e3 + 500 / float(row["interactivity_tok_s"]))
    assert int(row["batch"]) == np.ceil(flight) and float(row["throughput_tok_s"]) == 5000 and float(row["requests_per_s"]) == 10
    given, more = (rows(f"{LINE} --batch {n}")[0] for n in (int(row["batch"]) - 1, int(row["batch"]) + 2))
    assert float(more["interactivity_tok_s"]) <= float(row["interactivity_tok_s"]) <= float(given["interactivity_tok_s"])
    assert 0.99 < float(row["goodput"]) <= 1 and (row["max_ttft_s"], row["min_interactivity_tok_s"]) == ("0.5", "30")
    (slow,) = rows(f"{LINE} --requests-per-second 10 --goodput --ttft 0.5 --interactivity 57")  # near the mean speed
    assert 0.3 < float(slow["goodput"]) < 0.7


def test_a_rate_that_cannot_be_served_says_why() -> None:
    many, more, few = (rows(f"{LINE} --requests-per-second {rate}")[0] for rate in ("15", "100", "1 --max-seqs 2"))
    assert (many["batch"], many["ttft_ms"], many["fits_memory"]) == ("", "", "false")
    assert (many["limited_by"], more["limited_by"], few["limited_by"]) == ("capacity", "prompts", "max_seqs")
    assert float(many["busy"]) > 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--batch 8 --requests-per-second 1", "--batch, --requests-per-second: give one of them"),
        ("--requests-per-second 1 --goodput", "--goodput: give --requests-per-second, and the limits --ttft and --interactivity"),
        ("--batch 8 --goodput --ttft 1", "--goodput: give --requests-per-second"),
        ("--requests-per-second 1 --ttft 1", "--ttft, --interactivity: limits of --goodput; give it too"),
        ("--requests-per-second 1 --arrivals burst", "--arrivals: requests per second arrive at random times"),
        ("--requests-per-second 0", "--requests-per-second"),
    ],
)
def test_refused(more: str, words: str) -> None:
    assert words in refused(f"{LINE} {more}")
    assert "--requests-per-second: give the tokens of a request too" in refused(
        "interactivity llama-3.1-8b h100-sxm --seq 2k --requests-per-second 1"
    )


@pytest.mark.parametrize("prefill", ["colocated", "chunked"])
def test_the_first_token_at_next_to_no_load_is_that_of_an_idle_replica(prefill: str) -> None:
    """With the step that a prompt finds running; `typical` counts what a server does before the prefill, once."""
    line = "interactivity llama-3.1-8b h100-sxm --isl 2k --osl 300 --assume typical --max-batched-tokens 16384"
    (row,) = rows(f"{line} --prefill {prefill} --requests-per-second 0.0001")
    (given,) = rows(f"{line} --prefill {prefill} --batch 1")
    wait = float(row["step_ms"]) / 2
    assert float(row["ttft_ms"]) == pytest.approx(float(given["ttft_ms"]) + wait, rel=0.01)
    assert float(row["ttft_ms"]) > float(row["ttft_idle_ms"])


@pytest.mark.parametrize("given", [{}, {"assume": "typical"}, {"prefill": "chunked"}], ids=str)
def test_the_percentile_is_not_below_the_mean(given: dict[str, object]) -> None:
    """And at that time, with a step always running, 95 of 100 have their first token; without one more of them have."""
    paced = paced_of(**given)
    rates = rate_of(paced, 1.0) * np.array([0.0001, 0.01, 0.05, 0.1, 0.3, 0.6])
    found = loaded(paced, rates, 2000.0)
    assert (found.ttft_late_s > found.ttft_s).all()
    shares = goodput(paced, found, found.ttft_late_s, 1.0)
    assert (shares >= 0.95 - 1e-9).all() and shares[-1] == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize("given", [{}, {"assume": "bound"}, {"assume": "typical"}, {"prefill": "chunked"}, {"prefill": "separate"}], ids=str)
def test_kinds_of_requests_that_are_alike_are_one(given: dict[str, object]) -> None:
    plain = paced_of(**given)
    isl, osl, parts = np.full(2, ISL), np.full(2, float(OSL)), np.array([0.3, 0.7])
    mixed = ServedStep(mean_step(plain.deployment, isl, osl, shares=parts), isl, osl, parts=parts)
    rates = rate_of(plain, 1.0) * np.array([0.01, 0.3, 0.8])
    one, two = (loaded(paced, rates, 2000.0) for paced in (plain, mixed))
    for name in ("batch", "ttft_s", "ttft_late_s", "busy"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-9)
    np.testing.assert_allclose(two.served.tpot_s, one.served.tpot_s, rtol=1e-9)


def test_the_queue_of_a_mix_by_hand() -> None:
    """Two kinds of prompts, 3 to 1: Pollaczek and Khinchine's wait for both, and each kind's own time."""
    deployment = on("llama-3.1-8b", "h100-sxm")
    isl, osl, parts = np.array([8000.0, 1000.0]), np.array([100.0, 500.0]), np.array([0.75, 0.25])
    paced = ServedStep(mean_step(deployment, isl, osl, shares=parts * osl / (parts * osl).sum()), isl, osl, parts=parts)
    found, (long, short) = loaded(paced, 3.0, 2000.0), (float(prefill(deployment, tokens).ttft_s) for tokens in isl)
    wait = 3.0 * (0.75 * long**2 + 0.25 * short**2) / (2 * (1 - 3.0 * (0.75 * long + 0.25 * short)))
    assert found.prompts is not None
    np.testing.assert_allclose(found.first_s, [long, short], rtol=1e-9)
    assert found.ttft_s == pytest.approx(0.75 * long + 0.25 * short + wait + float(found.prompts.step_s) / 2, rel=1e-9)
    assert found.batch == np.ceil(3.0 * (found.ttft_s + 200 * found.served.tpot_s))


@pytest.mark.parametrize(("isl", "osl"), [(8000.0, 10.0), (1.0, 2000.0)], ids=["prompts", "answers"])
def test_the_spread_of_few_requests_by_hand(isl: float, osl: float) -> None:
    """Campbell's theorem: the variance of a sum over Poisson arrivals is the rate times the integral of the square of what each adds.

    With next to no load all decode for S seconds and wait W before, and one that shares all of another's steps makes its answer longer
    by g. One that arrives u seconds before it, u < S, shares a part 1 − u/S of them; one that arrives in its wait has its own prompt read, which
    takes a, after its first token and then shares all steps; one that arrives u later than that adds its prompt and the part 1 − u/S.
    """
    paced = paced_of(isl=isl, osl=osl)
    step, two = (float(paced.step.seconds(batch)) for batch in (1.0, 2.0))
    a, g = float(prefill(paced.deployment, isl).ttft_s), (two - step) * osl
    rate = 1e-3 / (a + g)
    stay, wait = osl * step, a + step / 2
    when = np.linspace(-stay, wait + stay, 200_001)
    adds = np.where(when < 0, g * (1 + when / stay), a * (when >= 0) + g * np.minimum(1.0, 1 - (when - wait) / stay))
    variance = rate * (adds**2).mean() * (wait + 2 * stay)
    assert float(tpot_spread_s(paced, loaded(paced, rate, 100.0))) * osl == pytest.approx(variance**0.5, rel=3e-3)


@pytest.mark.parametrize("flight", [1.0, 5.0, 60.0])
def test_ranks_that_share_nothing_are_as_many_replicas(flight: float) -> None:
    """Four of them with four times as many in flight: four times the rate, and the same wait, speed and spread."""
    found = []
    for paced, ranks in ((paced_of(), 1), (paced_of("4xh100-sxm", tp=1, dp=4), 4)):
        batch = np.array(flight * ranks)
        of, one = kinds(paced, batch), of_mean(paced, batch)
        rate = rate_at(paced, of, batch, one)
        at = at_batch(paced, of, rate, batch, one)
        assert rate * (at.ttft_s + OSL * one.tpot_s) == pytest.approx(float(batch), rel=1e-9)  # Little's law, with the wait
        found.append([float(value) for value in (rate / ranks, at.ttft_s, one.tpot_s, tpot_spread_s(paced, at))])
    assert found[1] == pytest.approx(found[0], rel=1e-9)


@pytest.mark.parametrize("busy", [0.1, 0.5, 0.9])
def test_requests_between_two_whole_batches_hold_by_littles_law(busy: float) -> None:
    """Requests in flight are the rate times the whole stay, the queue included."""
    paced = paced_of()
    rate = rate_of(paced, busy)
    above = loaded(paced, rate, 2000.0).batch
    around = [(batch, of_mean(paced, batch)) for batch in (above - 1, above)]
    at = between(paced, kinds(paced, above), *around)(rate)
    assert above - 1 < at.batch <= above and at.batch == pytest.approx(float(rate * (at.ttft_s + OSL * at.served.tpot_s)), rel=1e-6)


def test_a_prompt_waits_for_half_of_the_running_step_of_one_stage_by_hand() -> None:
    """Next to no load: half of the step of a sequence, of which a stage of two has half; with drafts the whole verification, not a token's part."""
    stages = paced_of("2xh100-sxm", tp=1, pp=2)
    drafts = with_drafts(on("llama-3.1-8b", "h100-sxm"), 3, 0.7)
    drafted = ServedStep(mean_step(drafts, ISL, OSL), ISL, OSL)
    for paced, of_step in ((stages, 2), (drafted, 1)):
        at = loaded(paced, 1e-6, 100.0)
        assert at.ttft_s - at.served.ttft_idle_s == pytest.approx(float(paced.step.seconds(1.0)) / of_step / 2, rel=1e-5)


def test_kinds_of_which_one_is_packed_by_hand() -> None:
    """In `typical` a step has 8,192 tokens: prompts of 1,000 are read eight at once, which occupies a rank for an eighth of that step each.

    A first token comes after the step of a prompt by itself, as no others wait on an idle rank.
    """
    isl, osl, parts = np.array([8000.0, 1000.0]), np.array([100.0, 500.0]), np.array([0.75, 0.25])
    deployment = on("llama-3.1-8b", "h100-sxm", assume="typical", prefill="colocated")
    paced = ServedStep(mean_step(deployment, isl, osl, shares=parts * osl / (parts * osl).sum()), isl, osl, parts=parts)
    found = kinds(paced, np.array(64.0))
    alone = np.array([float(prefill(deployment, tokens).ttft_s) for tokens in isl])
    long, short = float(prefill(deployment, 8000).batch_prefill_s), float(prefill(deployment, 1000, 0, 8).batch_prefill_s) / 8
    assert found.square == pytest.approx((0.75 * long**2 + 0.25 * short**2) / (0.75 * long + 0.25 * short) ** 2, rel=1e-9)
    np.testing.assert_allclose(found.first, alone / (0.75 * alone[0] + 0.25 * alone[1]), rtol=1e-9)


def test_the_spread_of_a_step_that_grows_linearly_is_the_same_at_any_batch() -> None:
    """Each sequence more reads its own cache and nothing else: what one costs the others does not depend on how many there are, only on the rate."""
    paced = paced_of()
    assert np.diff(paced.step.seconds(np.arange(1.0, 71.0)), n=2) == pytest.approx(0.0, abs=1e-12)
    at = loaded(paced, 5.0, 2000.0)
    spreads = [float(tpot_spread_s(paced, at._replace(batch=np.array(batch)))) for batch in (1.0, 2.0, 5.0, 6.5, 30.0, 60.0)]
    assert spreads == pytest.approx([spreads[0]] * 6, rel=1e-9)
