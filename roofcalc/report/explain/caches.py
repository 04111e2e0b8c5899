"""Cache entries explained: how many a step reads and stores, their bytes, and the FLOPs that attend to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import engine_memory
from roofcalc.physics.kv_span import Span, Sum, Top
from roofcalc.physics.kv_storage import Reserved
from roofcalc.physics.ops.types import NO_SHARING, Cache, FormulaUse, Sharding
from roofcalc.report.explain.formulas import number, work
from roofcalc.report.explain.render import Line, line, total
from roofcalc.specs.attention_spec import AttentionSpec


def entries_read(span: Span, seq: float, name: str = "reads") -> list[Line]:
    """Entries that the newest token of a context of `seq` tokens reads, printed under `name`."""
    if isinstance(span, Reserved):
        return entries_read(span.span, seq, name)
    if isinstance(span, Top):
        before = entries_read(span.among, seq, "candidates")
        return [*before, line(work(Top, "reads", {"candidates": _last(before), "k": float(span.count)}, name))]
    if isinstance(span, Sum):
        each = [entries_read(part, seq, f"{name} of the {type(part).__name__.lower()}") for part in span.parts]
        terms = [_last(found) for found in each]
        return [*(one for found in each for one in found), total(name, terms)]
    return [line(work(type(span), span.reads_formula, {"S": seq, **span.symbols}, name))]


def pairs(span: Span, cached: float, new: float) -> list[Line]:
    """Query-key pairs in a prefill of P = `new` tokens after C = `cached`."""
    if isinstance(span, Reserved):
        return pairs(span.span, cached, new)
    if isinstance(span, Sum):
        each = [(type(part).__name__.lower(), pairs(part, cached, new)) for part in span.parts]
        terms = [_last(found) for _, found in each]
        named = [one._replace(what=f"{one.what} of the {name}") for name, found in each for one in found]
        return [*named, total("pairs", terms)]
    ends = [*_cumulative(span, cached + new, "sum_C_P"), *_cumulative(span, cached, "sum_C")]
    values = {one.what: float(one.value) for one in ends}
    return [*ends, line(work(Span.pairs, "pairs", values))]


def _cumulative(span: Span, x: float, name: str) -> list[Line]:
    """Σ reads(i) for i = 1 … x, printed under `name`."""
    if isinstance(span, Top):
        below = min(x, span.first_full_context - 1)
        before = _cumulative(span.among, below, f"{name}_below")
        values = {"sum_below": _last(before), "k": float(span.count), "x": x, "x_full": span.first_full_context}
        return [*before, line(work(Top.cumulative_reads, "sum", values, name))]
    return [line(work(type(span).cumulative_reads, "sum", {"x": x, **span.symbols}, name))]


def _last(lines: list[Line]) -> float:
    value = lines[-1].value
    assert isinstance(value, (int, float))
    return float(value)


def held(deployment: Deployment, span: Span, seq: float) -> Line:
    """Entries that a sequence stores, with a remark where they differ from those that it reads."""
    count = float(engine_memory.entries_stored(deployment, span, np.float64(seq), NO_SHARING))
    if count == float(np.asarray(span.entries_read(np.float64(seq)))):
        return Line("holds", count, "", "reads")
    return Line("holds", count, "entries (all candidates; none where another layer's cache is used)")


def entry(record: AttentionSpec, cache: Cache, sharding: Sharding, flops: bool = True) -> list[Line]:
    """Bytes of one entry on a device and, with `flops`, FLOPs per query token and entry, by the cache's own formulas.

    Figures without a formula are printed as bare numbers.
    """
    used = [one for one in cache.formulas if flops or one.name != "f_entry"]
    found = applied(used, symbols(record, sharding))
    named = {one.what for one in found}
    found += [] if "entry bytes" in named else [Line("entry bytes", cache.entry_bytes * sharding.dcp, "B")]
    found += [Line("f_entry", cache.flops)] if flops and "f_entry" not in named else []
    if sharding.dcp > 1:
        found.append(_striped("entry bytes", cache.entry_bytes, sharding.dcp, "B"))
        if flops and cache.role == "index":
            found.append(_striped("f_entry", cache.flops, sharding.dcp))
    return found


def symbols(record: AttentionSpec, sharding: Sharding) -> dict[str, float]:
    """Symbols that formulas of a kind of attention may use: those of the record, t, c (bytes per cache element) and ρ."""
    return {**record.symbols(sharding.tp), "t": sharding.tp, "c": sharding.kv_bytes, "ρ": sharding.kv_reload_fraction}


def applied(used: Iterable[FormulaUse], values: Mapping[str, float]) -> list[Line]:
    """Each formula with numbers filled in; its value is a symbol in the formulas after it."""
    known, found = dict(values), list[Line]()
    for one in used:
        worked = work(one.function, one.formula, known, one.name or None)
        known[worked.what] = worked.value
        found.append(line(worked, one.unit))
    return found


def _striped(what: str, value: float, dcp: int, unit: str = "") -> Line:
    return Line(f"{what}, striped", value, unit, f"{what}/dcp", f"{number(value * dcp)}/{dcp}")
