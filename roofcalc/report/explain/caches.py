"""Cache entries worked out: how many a step reads, how many are held, what each weighs and costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.kv_span import Chunk, Pool, Reserved, Span, Sum, Top, Window
from roofcalc.physics.ops import gqa, mla
from roofcalc.physics.ops.types import Cache, Place
from roofcalc.report.explain.formulas import number, work
from roofcalc.report.explain.render import Line, line, total
from roofcalc.specs.attention import GQA, MLA, Pooled


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
        return [*(one for found in each for one in found), total(name, terms)]
    formula = "reads exactly" if isinstance(span, Chunk) and span.exact else "reads"
    return [line(work(type(span), formula, {"S": seq, **_size(span)}, name))]


def _size(span: Span) -> dict[str, float]:
    """A span's own letter."""
    if isinstance(span, Window):
        return {"W": span.size}
    if isinstance(span, Chunk):
        return {"Q": span.size}
    return {"r": span.ratio} if isinstance(span, Pool) else {}


def pairs(span: Span, cached: float, new: float) -> list[Line]:
    """Pairs of a query and an entry when P = `new` tokens are computed after C = `cached`."""
    if isinstance(span, Reserved):
        return pairs(span.span, cached, new)
    if isinstance(span, Sum):
        each = [(type(part).__name__.lower(), pairs(part, cached, new)) for part in span.parts]
        terms = [_last(found) for _, found in each]
        named = [one._replace(what=f"{one.what} of the {name}") for name, found in each for one in found]
        return [*named, total("pairs", terms)]
    ends = [*_summed(span, cached + new, "sum_C_P"), *_summed(span, cached, "sum_C")]
    values = {one.what: float(one.value) for one in ends}
    return [*ends, line(work(Span.pairs, "pairs", values))]


def _summed(span: Span, x: float, name: str) -> list[Line]:
    """Σ reads(i) for i = 1 … x."""
    if isinstance(span, Top):
        below = min(x, span.first_full - 1)
        before = _summed(span.among, below, f"{name}_below")
        letters = {"sum_below": _last(before), "k": span.count, "x": x, "x_full": span.first_full}
        return [*before, line(work(Top.summed, "sum", letters, name))]
    return [line(work(type(span).summed, "sum", {"x": x, **_size(span)}, name))]


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
            line(work(gqa.index_cache, "entry bytes", letters), "B"),
            line(work(gqa.index_cache, "FLOPs per candidate", letters, "f_entry")),
        ]
    elif isinstance(part, GQA):
        letters = {"n": part.heads // t, "n_kv": part.kv_heads, "t": t, "d_k": part.head_dim, "d_v": part.value_dim, "c": c}
        found = [line(work(gqa.gqa, "m", letters), "KV heads")]
        letters["m"] = _last(found)
        kind = "entry bytes, one vector for both" if part.shared_kv else "entry bytes"
        found += [line(work(gqa.gqa, kind, letters, "entry bytes"), "B"), line(work(gqa.gqa, "FLOPs per entry", letters, "f_entry"))]
        if place.repeated:
            found.append(line(work(gqa.gqa, "loads", {**letters, "ρ": place.repeated}), "of each entry, by query heads that do not share them"))
    elif isinstance(part, MLA):
        letters = {"r_kv": part.kv_rank, "d_rope": part.rope_dim, "c": c, "n": part.heads // t}
        kind = "entry bytes in fp8" if place.kv_scales else "entry bytes"
        found = [line(work(mla.latent_bytes, kind, letters, "entry bytes"), "B"), line(work(mla.mla, "FLOPs per entry", letters, "f_entry"))]
    elif isinstance(part, Pooled):
        letters = {"d_k": part.head_dim, "c": c, "n": part.heads // t}
        found = [line(work(mla.pooled, "entry bytes", letters), "B"), line(work(mla.pooled, "FLOPs per entry", letters, "f_entry"))]
    if dcp > 1:
        found.append(Line("entry bytes, striped", cache.entry_bytes, "B", "entry bytes/dcp", f"{number(cache.entry_bytes * dcp)}/{dcp}"))
        if cache.name == "index":
            found.append(Line("f_entry, striped", cache.flops, "", "f_entry/dcp", f"{number(cache.flops * dcp)}/{dcp}"))
    return found
