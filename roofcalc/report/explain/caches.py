"""Cache entries worked out: how many a step reads, how many are held, what each weighs and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from roofcalc.physics.kv_span import Reserved, Span, Sum, Top
from roofcalc.physics.ops.types import Cache, FormulaUse, Sharding
from roofcalc.report.explain.formulas import number, work
from roofcalc.report.explain.render import Line, line, total
from roofcalc.specs.attention_spec import AttentionSpec


def entries_read(span: Span, seq: float, name: str = "reads") -> list[Line]:
    """How many entries the newest token of a context of `seq` reads."""
    if isinstance(span, Reserved):
        return entries_read(span.span, seq, name)
    if isinstance(span, Top):
        before = entries_read(span.among, seq, "candidates")
        return [*before, line(work(Top, "reads", {"candidates": _last(before), "k": span.count}, name))]
    if isinstance(span, Sum):
        each = [entries_read(part, seq, f"{name} of the {type(part).__name__.lower()}") for part in span.parts]
        terms = [_last(found) for found in each]
        return [*(one for found in each for one in found), total(name, terms)]
    return [line(work(type(span), span.formula, {"S": seq, **span.symbols}, name))]


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
        below = min(x, span.first_full_context - 1)
        before = _summed(span.among, below, f"{name}_below")
        letters = {"sum_below": _last(before), "k": span.count, "x": x, "x_full": span.first_full_context}
        return [*before, line(work(Top.cumulative_reads, "sum", letters, name))]
    return [line(work(type(span).cumulative_reads, "sum", {"x": x, **span.symbols}, name))]


def _last(lines: list[Line]) -> float:
    value = lines[-1].value
    assert isinstance(value, (int, float))
    return float(value)


def held(span: Span, seq: float) -> Line:
    """How many entries a sequence keeps, in words where they are not those that it reads."""
    count = float(np.asarray(span.entries_stored(np.float64(seq))))
    if count == float(np.asarray(span.entries_read(np.float64(seq)))):
        return Line("holds", count, "", "reads")
    return Line("holds", count, "entries (every candidate; none where another layer's cache is borrowed)")


def entry(record: AttentionSpec, cache: Cache, sharding: Sharding, flops: bool = True) -> list[Line]:
    """Bytes of one entry on a device and, with `flops`, FLOPs per query token and entry, by the formulas that the cache names.

    A figure without a formula is printed as it is.
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
    """Values of the symbols that formulas of a kind of attention may use: the record's own, t, c (bytes per element) and ρ."""
    return {**record.symbols(sharding.tp), "t": sharding.tp, "c": sharding.kv_bytes, "ρ": sharding.kv_reload_fraction}


def applied(used: Iterable[FormulaUse], values: Mapping[str, float]) -> list[Line]:
    """Each formula with its numbers; its value is a symbol of those that follow."""
    known, found = dict(values), list[Line]()
    for one in used:
        worked = work(one.function, one.formula, known, one.name or None)
        known[worked.what] = worked.value
        found.append(line(worked, one.unit))
    return found


def _striped(what: str, value: float, dcp: int, unit: str = "") -> Line:
    return Line(f"{what}, striped", value, unit, f"{what}/dcp", f"{number(value * dcp)}/{dcp}")
