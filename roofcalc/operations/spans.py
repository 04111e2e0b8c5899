"""Spans: which cache entries a token may look at; how many a sequence holds, reads in a step, and pairs up in prefill.

Knows counts of entries alone: no bytes, no FLOPs. Every function takes and returns arrays of any shape. Sources: sliding
windows arXiv 2310.06825 and 2004.05150; chunks: the Llama 4 configs; compressed pools: DeepSeek V4; top-k arXiv 2512.02556.

S is a sequence's context, the token being produced included; C tokens are cached before P new ones are computed.
"""

from __future__ import annotations

import numpy as np

from roofcalc.operations.base import Array
from roofcalc.record import Record


def triangle(x: Array) -> Array:
    """tri(x) = x·(x+1)/2 = 1 + 2 + … + x."""
    return x * (x + 1) / 2


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

    def moved(self, cached: Array, new: Array) -> Array:
        """Entries loaded and written when P tokens are computed after C: those of C once, and those held of P."""
        raise NotImplementedError

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x, in closed form."""
        raise NotImplementedError

    def pairs(self, cached: Array, new: Array) -> Array:
        """Σ reads(C+i) for i = 1 … P: pairs of a query and an entry when P tokens are computed after C.

        Formulas
        --------
        pairs = sum_C_P − sum_C
        """
        return self.summed(cached + new) - self.summed(cached)


class Full(Span):
    """Every token before.

    Formulas
    --------
    reads = S
    """

    def reads(self, seq: Array) -> Array:
        return seq

    def moved(self, cached: Array, new: Array) -> Array:
        return cached + new

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = tri(x)
        """
        return triangle(x)


class Window(Span):
    """The last `size` tokens.

    Formulas
    --------
    reads = min(S, W)
    """

    size: float

    def reads(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def together(self, tokens: float) -> Span:
        return Window(self.size + tokens - 1)

    def moved(self, cached: Array, new: Array) -> Array:
        return np.minimum(cached, self.size - 1) + np.minimum(new, self.size)

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = tri(min(x, W)) + W·max(0, x − W)
        """
        return triangle(np.minimum(x, self.size)) + self.size * np.maximum(0.0, x - self.size)


class Chunk(Span):
    """The tokens of the same chunk of `size` (Llama 4): in decode the fullest step, or with `exact` the step's own.

    Formulas
    --------
    reads = min(S, Q)
    reads exactly = S − 1 − floor((S − 1)/Q)·Q + 1
    """

    size: int
    exact: bool = False

    def reads(self, seq: Array) -> Array:
        return (seq - 1) % self.size + 1 if self.exact else np.minimum(seq, self.size)

    def holds(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def moved(self, cached: Array, new: Array) -> Array:
        return cached % self.size + np.minimum(new, self.size)

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = floor(x/Q)·tri(Q) + tri(x − floor(x/Q)·Q)
        """
        return np.floor(x / self.size) * triangle(float(self.size)) + triangle(x % self.size)


class Pool(Span):
    """Entries that stand for `ratio` tokens each.

    Formulas
    --------
    reads = floor(S/r)
    """

    ratio: int

    def reads(self, seq: Array) -> Array:
        return np.floor(seq / self.ratio)

    def moved(self, cached: Array, new: Array) -> Array:
        return self.reads(cached + new)

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = r·tri(floor(x/r) − 1) + floor(x/r)·(x − floor(x/r)·r + 1)
        """
        blocks = np.floor(x / self.ratio)
        return self.ratio * triangle(blocks - 1) + blocks * (x % self.ratio + 1)


class Top(Span):
    """The `count` best of the candidates of `among`, picked by an indexer; all are held.

    Formulas
    --------
    reads = min(candidates, k)
    """

    among: Span
    count: float

    def reads(self, seq: Array) -> Array:
        return np.minimum(self.among.reads(seq), self.count)

    def holds(self, seq: Array) -> Array:
        return self.among.holds(seq)

    def together(self, tokens: float) -> Span:
        return Top(self.among, self.count * tokens)

    def moved(self, cached: Array, new: Array) -> Array:
        return np.minimum(self.among.moved(cached, new), new * self.count)

    def summed(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = sum_below + k·max(0, x − x_full + 1)
        """
        full = self.first_full
        return self.among.summed(np.minimum(x, full - 1)) + self.count * np.maximum(0.0, x - (full - 1))

    @property
    def first_full(self) -> float:
        """The shortest context that has k candidates."""
        return self.count * (self.among.ratio if isinstance(self.among, Pool) else 1)


class Sum(Span):
    """Several spans of one cache: a pool beside a raw window."""

    parts: tuple[Span, ...]

    def reads(self, seq: Array) -> Array:
        return sum((one.reads(seq) for one in self.parts), start=0.0 * seq)

    def holds(self, seq: Array) -> Array:
        return sum((one.holds(seq) for one in self.parts), start=0.0 * seq)

    def together(self, tokens: float) -> Span:
        return Sum(tuple(one.together(tokens) for one in self.parts))

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

    def moved(self, cached: Array, new: Array) -> Array:
        return self.span.moved(cached, new)

    def summed(self, x: Array) -> Array:
        return self.span.summed(x)


class Borrowed(Reserved):
    """Reads another layer's cache and holds nothing of its own."""

    def holds(self, seq: Array) -> Array:
        return 0.0 * seq
