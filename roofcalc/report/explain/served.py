"""Explains what users of a replica get: the mean decode step, the prompts of others between tokens, and the wait for the first token."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.chunk_time import chunk_s
from roofcalc.physics.generation import decode_tok_s, mean_step, prompt_waits
from roofcalc.physics.prompt_cache import found_tokens
from roofcalc.physics.serving import ServedStep, served
from roofcalc.report.explain.formulas import work
from roofcalc.report.explain.render import Line, Section, line
from roofcalc.specs.formula import formulas


class Generation(NamedTuple):
    """Tokens in and out of each request, and of the largest prefill step."""

    isl: float
    osl: float
    chunk: float | None = None


def served_sections(deployment: Deployment, of: Generation, batch: float, limited_by: str = "") -> list[Section]:
    """Sections on the speed, the first token and the throughput of `batch` requests in flight, and what limits the speed where it is given."""
    mean = mean_step(deployment, of.isl, of.osl)
    one = ServedStep(mean, of.isl, of.osl, of.chunk).served(np.float64(batch))
    assumed, accepted = deployment.assumptions, deployment.accepted
    requests = [Line("isl", of.isl, "tokens in"), Line("osl", of.osl, "tokens out"), Line("B", batch, "requests in flight")]
    if assumed.shared_prefix or assumed.hit_rate:
        letters = {"prefix": float(assumed.shared_prefix), "hit_rate": assumed.hit_rate, "isl": of.isl}
        requests.append(line(work(found_tokens, "found", letters), "tokens of each prompt in the cache, not prefilled again"))
    step_s = float(np.asarray(mean.seconds(np.float64(batch))))
    step = [Line("T_step", step_s, f"s, the mean over contexts of {of.isl + 1:.0f} to {of.isl + of.osl:.0f} tokens")]
    step.append(Line("own step", step_s / accepted, "s per token", "T_step/A", f"{step_s:.8g}/{accepted:g}"))
    sections = [Section("Requests", tuple(requests)), Section("Decode step", tuple(step), "`explain interactivity --seq` shows one step in full")]
    tpot, ttft = float(one.tpot_s), float(one.ttft_s)
    if assumed.is_bound or assumed.prefill == "separate":
        why = "bound: prompts ride along" if assumed.is_bound else "another pool prefills"
        sections.append(Section("Prompts of others", (Line("prompts of others", 0.0, f"s per token: {why}"),)))
    elif assumed.prefill == "chunked":
        sections.append(_chunked(deployment, of, batch, step_s / accepted, tpot))
    else:
        sections.append(_colocated(deployment, of, batch, tpot))
    speed = [
        Line("TPOT", tpot, "s, own step and prompts of others"),
        Line("interactivity", 1 / tpot, "tok/s/user", "1/TPOT", f"1/{tpot:.8g}"),
        Line("TTFT", ttft, f"s, of which {float(one.ttft_idle_s):.8g} on an idle system; the rest is the wait"),
    ]
    letters = {"B": batch, "osl": of.osl, "TPOT": tpot, "TTFT": ttft}
    if assumed.is_bound:
        busy = "of the decode steps alone" if assumed.prefill == "separate" else "each resource busy with the work of all requests"
        speed.append(Line("throughput", float(one.throughput_tok_s), f"tok/s, {busy}"))
    else:
        speed.append(line(work(served, "throughput", letters), "tok/s"))
    letters = {"throughput": float(one.throughput_tok_s), "devices": float(deployment.hardware.count)}
    speed.append(line(work(decode_tok_s, "throughput per device", letters), "tok/s"))
    if limited_by:
        speed.append(Line("limited_by", limited_by, "takes the most time between tokens"))
    return [*sections, Section("Speed", tuple(speed))]


def _colocated(deployment: Deployment, of: Generation, batch: float, tpot: float) -> Section:
    """The prompts that are prefilled while a request decodes, and the part of them that comes before its first token."""
    first, prompts = (float(np.asarray(one)) for one in prompt_waits(deployment, of.isl, of.osl, np.asarray(batch), of.chunk))
    lines = [
        Line("T_first", first, "s, prefill of the own prompt"),
        Line("prompts", prompts, "s, prefill of all prompts of the rank while a request is in flight, the own one included"),
        line(work(served, "others", {"prompts": prompts, "T_first": first}), "s"),
    ]
    others = float(lines[-1].value)
    paced = ServedStep(mean_step(deployment, of.isl, of.osl), of.isl, of.osl, of.chunk)
    wait = float(paced.served(np.float64(batch)).ttft_s) - first
    if deployment.assumptions.arrivals == "burst":
        lines.append(Line("wait", wait, "s, prompts of the burst before the own one", formulas(served)["wait, burst"]))
    else:
        lines.append(line(work(served, "wait", {"others": others, "A": deployment.accepted, "osl": of.osl}), "s before the first token"))
    between = (others - wait) / of.osl
    lines.append(Line("prompts of others", between, f"s per token, {between / tpot * 100:.3g} % of the time", "(others − wait)/osl"))
    return Section("Prompts of others", tuple(lines), "prompts go before decode steps (--prefill colocated)")


def _chunked(deployment: Deployment, of: Generation, batch: float, own_s: float, tpot: float) -> Section:
    """What the chunks of others' prompts add to the steps that they ride on."""
    paced = ServedStep(mean_step(deployment, of.isl, of.osl), of.isl, of.osl, of.chunk)
    one = paced.served(np.float64(batch))
    assert one.prompt is not None
    new = of.isl - float(found_tokens(deployment, of.isl))
    lines = [Line("new", new, "tokens of each prompt to prefill")]
    if of.chunk is not None:
        count = max(1.0, float(np.ceil(new / of.chunk)))
        delta = float(chunk_s(deployment, paced.step, np.float64(batch), np.array([new]), np.array([count]))[0])
        lines += [Line("chunks", count, f"of at most {of.chunk:.0f} tokens"), Line("Δ", delta, "s that a chunk adds to a step of as many sequences")]
    lines.append(Line("added by one prompt", float(one.prompt.added_s), "s to each sequence that decodes meanwhile"))
    if tpot < own_s:
        lines.append(
            Line("prompts of others", "a chunk in every step: fewer sequences decode at once than are in flight, the others wait for their prompts")
        )
        return Section("Prompts of others", tuple(lines), "in chunks that ride on decode steps (--prefill chunked)")
    lines += [
        Line("prompts of others", tpot - own_s, f"s per token, {(tpot - own_s) / tpot * 100:.3g} % of the time", "TPOT − T_step/A"),
    ]
    return Section("Prompts of others", tuple(lines), "in chunks that ride on decode steps (--prefill chunked)")
