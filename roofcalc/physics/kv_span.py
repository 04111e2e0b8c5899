"""Spans: which cache entries a token may look at; how many a sequence holds, reads in a step, and pairs up in prefill.

Knows counts of entries alone: no bytes, no FLOPs. Every function takes and returns arrays of any shape. Sources: sliding
windows arXiv 2310.06825 and 2004.05150; chunks: the Llama 4 configs; compressed pools: DeepSeek V4; top-k arXiv 2512.02556.

S is a sequence's context, the token being produced included; C tokens are cached before P new ones are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.floating[Any]] | float"


def triangle(x: Array) -> Array:
    """tri(x) = x·(x+1)/2 = 1 + 2 + … + x."""
    return x * (x + 1) / 2


def falling(begin: Array, x: Array) -> Array:
    """Σ max(0, begin − u) for u = 1 … x."""
    counted = np.minimum(x, np.maximum(begin - 1, 0.0))
    return counted * begin - triangle(counted)


class Span(Record):
    """Base: what a span must answer."""

    def reads(self, seq: Array) -> Array:
        """Entries that the newest token of a context of `seq` attends to."""
        raise NotImplementedError

    def holds(self, seq: Array) -> Array:
        """Entries that a sequence of `seq` tokens keeps."""
        return self.reads(seq)

    def together(self, tokens: float) -> Span:
        """What `tokens` newest tokens read together: each entry is loaded once per sequence."""
        return self

    def branched(self, count: float, prefix: Array) -> Span:
        """What `count` streams read, or hold, together that share the first `prefix` tokens: shared entries once."""
        return Branched(self, count, prefix)

    def shared(self, prefix: Array, own: Array) -> Array:
        """Entries of a prefix that each of its streams still attends to when it has `own` tokens after it."""
        raise NotImplementedError

    def shared_summed(self, prefix: Array, x: Array) -> Array:
        """Σ shared(P, u) for u = 1 … x, in closed form."""
        raise NotImplementedError

    def moved(self, cached: Array, new: Array) -> Array:
        """Entries loaded and written when P tokens are computed after C: those of C once, and those held of P."""
        raise NotImplementedError

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x, in closed form."""
        raise NotImplementedError

    def first_with(self, entries: Array) -> Array:
        """The shortest context that has at least so many entries."""
        raise NotImplementedError

    @formula("pairs = sum_C_P − sum_C")
    def pairs(self, cached: Array, new: Array) -> Array:
        """Σ reads(C+i) for i = 1 … P: pairs of a query and an entry when P tokens are computed after C."""
        return self.summed(cached + new) - self.summed(cached)


@formula("reads = S")
class Full(Span):
    """Every token before."""

    def reads(self, seq: Array) -> Array:
        return seq

    def moved(self, cached: Array, new: Array) -> Array:
        return cached + new

    @formula("sum = tri(x)")
    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x."""
        return triangle(x)

    def shared(self, prefix: Array, own: Array) -> Array:
        return prefix + 0.0 * own

    def shared_summed(self, prefix: Array, x: Array) -> Array:
        return prefix * x

    def first_with(self, entries: Array) -> Array:
        return entries


@formula("reads = min(S, W)")
class Window(Span):
    """The last `size` tokens."""

    size: float

    def reads(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def together(self, tokens: float) -> Span:
        return Window(self.size + tokens - 1)

    def moved(self, cached: Array, new: Array) -> Array:
        return np.minimum(cached, self.size - 1) + np.minimum(new, self.size)

    @formula("sum = tri(min(x, W)) + W·max(0, x − W)")
    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x."""
        return triangle(np.minimum(x, self.size)) + self.size * np.maximum(0.0, x - self.size)

    def shared(self, prefix: Array, own: Array) -> Array:
        """min(P, max(0, W − U))."""
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def shared_summed(self, prefix: Array, x: Array) -> Array:
        """What falls out of the window one by one: Σ max(0, W − u), less what the prefix lacks, Σ max(0, W − P − u)."""
        return falling(self.size, x) - falling(self.size - prefix, x)


@formula("reads = min(S, Q)", "reads exactly = S − 1 − floor((S − 1)/Q)·Q + 1")
class Chunk(Span):
    """The tokens of the same chunk of `size` (Llama 4): in decode the fullest step, or with `exact` the step's own."""

    size: int
    exact: bool = False

    def reads(self, seq: Array) -> Array:
        return (seq - 1) % self.size + 1 if self.exact else np.minimum(seq, self.size)

    def holds(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def moved(self, cached: Array, new: Array) -> Array:
        return cached % self.size + np.minimum(new, self.size)

    @formula("sum = floor(x/Q)·tri(Q) + tri(x − floor(x/Q)·Q)")
    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x."""
        return np.floor(x / self.size) * triangle(float(self.size)) + triangle(x % self.size)

    def shared(self, prefix: Array, own: Array) -> Array:
        """The prefix's part of the chunk: in the fullest step min(P, max(0, Q − U)), exactly P mod Q until the chunk is full."""
        if self.exact:
            return np.where(own <= self.size - prefix % self.size, prefix % self.size, 0.0)
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def shared_summed(self, prefix: Array, x: Array) -> Array:
        """As in `summed`, every step at its own position: P mod Q, until the chunk is full."""
        return prefix % self.size * np.minimum(x, self.size - prefix % self.size)


@formula("reads = floor(S/r)")
class Pool(Span):
    """Entries that stand for `ratio` tokens each."""

    ratio: int

    def reads(self, seq: Array) -> Array:
        return np.floor(seq / self.ratio)

    def moved(self, cached: Array, new: Array) -> Array:
        return self.reads(cached + new)

    @formula("sum = r·tri(floor(x/r) − 1) + floor(x/r)·(x − floor(x/r)·r + 1)")
    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x."""
        blocks = np.floor(x / self.ratio)
        return self.ratio * triangle(blocks - 1) + blocks * (x % self.ratio + 1)

    def shared(self, prefix: Array, own: Array) -> Array:
        """floor(P/r): an entry that stands for tokens of both belongs to the stream."""
        return np.floor(prefix / self.ratio) + 0.0 * own

    def shared_summed(self, prefix: Array, x: Array) -> Array:
        return np.floor(prefix / self.ratio) * x

    def first_with(self, entries: Array) -> Array:
        return entries * self.ratio


@formula("reads = min(candidates, k)")
class Top(Span):
    """The `count` best of the candidates of `among`, picked by an indexer; all are held."""

    among: Span
    count: float

    def reads(self, seq: Array) -> Array:
        return np.minimum(self.among.reads(seq), self.count)

    def holds(self, seq: Array) -> Array:
        return self.among.holds(seq)

    def together(self, tokens: float) -> Span:
        return Top(self.among, self.count * tokens)

    def branched(self, count: float, prefix: Array) -> Span:
        """Each stream picks for itself: together at most all candidates, and at most `count` times k."""
        return Top(self.among.branched(count, prefix), self.count * count)

    def moved(self, cached: Array, new: Array) -> Array:
        return np.minimum(self.among.moved(cached, new), new * self.count)

    @formula("sum = sum_below + k·max(0, x − x_full + 1)")
    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x."""
        full = self.among.first_with(self.count)
        return self.among.summed(np.minimum(x, full - 1)) + self.count * np.maximum(0.0, x - (full - 1))

    @property
    def first_full(self) -> float:
        """The shortest context of one sequence that has k candidates."""
        return float(self.among.first_with(self.count))


class Sum(Span):
    """Several spans of one cache: a pool beside a raw window."""

    parts: tuple[Span, ...]

    def reads(self, seq: Array) -> Array:
        return sum((one.reads(seq) for one in self.parts), start=0.0 * seq)

    def holds(self, seq: Array) -> Array:
        return sum((one.holds(seq) for one in self.parts), start=0.0 * seq)

    def together(self, tokens: float) -> Span:
        return Sum(tuple(one.together(tokens) for one in self.parts))

    def branched(self, count: float, prefix: Array) -> Span:
        return Sum(tuple(one.branched(count, prefix) for one in self.parts))

    def moved(self, cached: Array, new: Array) -> Array:
        return sum((one.moved(cached, new) for one in self.parts), start=0.0 * new)

    def summed(self, x: Array) -> Array:
        return sum((one.summed(x) for one in self.parts), start=0.0 * x)


class Reserved(Span):
    """Reads as `span` does, but holds the whole context, as engines with one page table for all layers do."""

    span: Span

    def reads(self, seq: Array) -> Array:
        return self.span.reads(seq)

    def holds(self, seq: Array) -> Array:
        return seq

    def together(self, tokens: float) -> Span:
        return self.span.together(tokens)

    def branched(self, count: float, prefix: Array) -> Span:
        return Apart(self.span.branched(count, prefix), Full().branched(count, prefix))

    def moved(self, cached: Array, new: Array) -> Array:
        return self.span.moved(cached, new)

    def summed(self, x: Array) -> Array:
        return self.span.summed(x)


class Borrowed(Reserved):
    """Reads another layer's cache and holds nothing of its own."""

    def holds(self, seq: Array) -> Array:
        return 0.0 * seq

    def branched(self, count: float, prefix: Array) -> Span:
        return Borrowed(self.span.branched(count, prefix))


@formula("reads = shared + streams·(reads_of_one − shared)")
class Branched(Span):
    """What `count` streams that share the first `prefix` tokens read, or hold, together; contexts reach beyond the prefix."""

    span: Span
    count: float
    prefix: Array

    def reads(self, seq: Array) -> Array:
        return self._together(self.span.reads(seq), seq)

    def holds(self, seq: Array) -> Array:
        return self._together(self.span.holds(seq), seq)

    def _together(self, of_one: Array, seq: Array) -> Array:
        return self.count * of_one - (self.count - 1) * self.span.shared(self.prefix, seq - self.prefix)

    def summed(self, x: Array) -> Array:
        """Up to a constant, which differences are free of: Σ over contexts of one stream, n times, less what was counted again."""
        own = np.maximum(x - self.prefix, 0.0)
        return self.count * self.span.summed(x) - (self.count - 1) * self.span.shared_summed(self.prefix, own)

    def first_with(self, entries: Array) -> Array:
        """Where a prefix stays in sight: its entries count once, further ones `count` times."""
        shared = self.span.shared(self.prefix, 0.0)
        return self.span.first_with(shared + np.ceil((entries - shared) / self.count))


class Apart(Span):
    """Reads as one span does and holds as another."""

    reading: Span
    holding: Span

    def reads(self, seq: Array) -> Array:
        return self.reading.reads(seq)

    def holds(self, seq: Array) -> Array:
        return self.holding.holds(seq)

    def summed(self, x: Array) -> Array:
        return self.reading.summed(x)
