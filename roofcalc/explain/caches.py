"""Cache entries worked out: how many a step reads, how many are held, what each weighs and costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofcalc.architecture.attention import GQA, MLA, Pooled
from roofcalc.deployment import Deployment
from roofcalc.explain.working import Line, line
from roofcalc.formulas import number, work
from roofcalc.operations import attention, latent
from roofcalc.operations.base import Cache, Place
from roofcalc.operations.spans import Chunk, Full, Pool, Reserved, Span, Sum, Top, Window


def reads(span: Span, seq: float, name: str = "reads") -> list[Line]:
    """How many entries the newest token of a context of `seq` reads."""
    if isinstance(span, Reserved):
        return reads(span.span, seq, name)
    if isinstance(span, Top):
        before = reads(span.among, seq, "candidates")
        return [*before, line(work(Top, "reads", {"candidates": _last(before), "k": span.count}, name))]
    if isinstance(span, Sum):
        each = [reads(part, seq, f"{name} of the {type(part).__name__.lower()}") for part in span.parts]
        terms = [_last(found) for found in each]
        return [*(one for found in each for one in found), Line(name, sum(terms), "", "", " + ".join(map(number, terms)))]
    letters: dict[type, dict[str, float]] = {Full: {}, Window: {}, Chunk: {}, Pool: {}}
    if isinstance(span, Window):
        letters[Window] = {"W": span.size}
    if isinstance(span, Chunk):
        letters[Chunk] = {"Q": span.size}
    if isinstance(span, Pool):
        letters[Pool] = {"r": span.ratio}
    formula = "reads exactly" if isinstance(span, Chunk) and span.exact else "reads"
    return [line(work(type(span), formula, {"S": seq, **letters[type(span)]}, name))]


def _last(lines: list[Line]) -> float:
    value = lines[-1].value
    assert isinstance(value, (int, float))
    return float(value)


def held(span: Span, seq: float) -> Line:
    """How many entries a sequence keeps, in words where they are not those that it reads."""
    count = float(np.asarray(span.holds(np.float64(seq))))
    if count == float(np.asarray(span.reads(np.float64(seq)))):
        return Line("holds", count, "", "reads")
    return Line("holds", count, "entries (every candidate; none where another layer's cache is borrowed)")


def entry(deployment: Deployment, part: Any, cache: Cache, place: Place) -> list[Line]:
    """Bytes of one entry on a device, and FLOPs per query token and entry."""
    c, t, dcp = place.kv_bytes, place.tp, place.dcp
    found: list[Line] = []
    if cache.name == "index":
        index: Any = part.pool.index if isinstance(part, Pooled) else part.index if isinstance(part, MLA) else part.blocks
        letters = {"n_i": index.heads, "d_i": index.dim}
        found = [
            line(work(attention.index_cache, "entry bytes", letters), "B"),
            line(work(attention.index_cache, "FLOPs per candidate", letters, "f")),
        ]
    elif isinstance(part, GQA):
        letters = {"n": part.heads // t, "n_kv": part.kv_heads, "t": t, "d_k": part.head_dim, "d_v": part.value_dim, "c": c}
        found = [line(work(attention.gqa, "m", letters), "KV heads")]
        letters["m"] = _last(found)
        kind = "entry bytes, one vector for both" if part.shared_kv else "entry bytes"
        found += [line(work(attention.gqa, kind, letters, "entry bytes"), "B"), line(work(attention.gqa, "FLOPs per entry", letters, "f"))]
    elif isinstance(part, MLA):
        letters = {"r_kv": part.kv_rank, "d_rope": part.rope_dim, "c": c, "n": part.heads // t}
        kind = "entry bytes in fp8" if place.kv_scales else "entry bytes"
        found = [line(work(latent.latent_bytes, kind, letters, "entry bytes"), "B"), line(work(latent.mla, "FLOPs per entry", letters, "f"))]
    elif isinstance(part, Pooled):
        letters = {"d_k": part.head_dim, "c": c, "n": part.heads // t}
        found = [line(work(latent.pooled, "entry bytes", letters), "B"), line(work(latent.pooled, "FLOPs per entry", letters, "f"))]
    if dcp > 1:
        found.append(Line("entry bytes, striped", cache.entry_bytes, "B", "entry bytes/dcp", f"{number(cache.entry_bytes * dcp)}/{dcp}"))
        if cache.name == "index":
            found.append(Line("f, striped", cache.flops, "", "f/dcp", f"{number(cache.flops * dcp)}/{dcp}"))
    return found
