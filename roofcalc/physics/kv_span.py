"""Spans: which cache entries a token may look at; how many a sequence holds, reads in a step, and pairs up in prefill.

Knows counts of entries alone: no bytes, no FLOPs. Every function takes and returns arrays of any shape. Sources: sliding
windows arXiv 2310.06825 and 2004.05150; chunks: the Llama 4 configs; compressed pools: DeepSeek V4; top-k arXiv 2512.02556.

S is a sequence's context, the token being produced included; C tokens are cached before P new ones are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.floating[Any]] | float"


def triangular(x: Array) -> Array:
    """tri(x) = x·(x+1)/2 = 1 + 2 + … + x."""
    return x * (x + 1) / 2


def clipped_ramp_sum(begin: Array, x: Array) -> Array:
    """Σ max(0, begin − u) for u = 1 … x."""
    counted = np.minimum(x, np.maximum(begin - 1, 0.0))
    return counted * begin - triangular(counted)


class Span(Record):
    """Base: what a span must answer."""

    @property
    def symbols(self) -> dict[str, float]:
        """Values of the symbols in this span's formulas, apart from S, P, C and x."""
        return {}

    @property
    def formula(self) -> str:
        """Name of the formula that `reads` follows."""
        return "reads"

    def entries_read(self, seq: Array) -> Array:
        """Entries that the newest token of a context of `seq` attends to."""
        raise NotImplementedError

    def entries_stored(self, seq: Array) -> Array:
        """Entries that a sequence of `seq` tokens keeps."""
        return self.entries_read(seq)

    def read_by_tokens(self, tokens: float) -> Span:
        """What `tokens` newest tokens read together: each entry is loaded once per sequence."""
        return self

    def with_shared_prefix(self, count: float, prefix: Array) -> Span:
        """What `count` streams read, or hold, together that share the first `prefix` tokens: shared entries once."""
        return SharedPrefixSpan(self, count, prefix)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """Entries of a prefix that each of its streams still attends to when it has `own` tokens after it."""
        raise NotImplementedError

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """Σ shared(P, u) for u = 1 … x, in closed form."""
        raise NotImplementedError

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        """Entries loaded and written when P tokens are computed after C: those of C once, and those held of P."""
        raise NotImplementedError

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x, in closed form."""
        raise NotImplementedError

    def context_with(self, entries: Array) -> Array:
        """The shortest context that has at least so many entries."""
        raise NotImplementedError

    def pairs(self, cached: Array, new: Array) -> Array:
        """Σ reads(C+i) for i = 1 … P: pairs of a query and an entry when P tokens are computed after C.

        Formulas
        --------
        pairs = sum_C_P − sum_C
        """
        return self.cumulative_reads(cached + new) - self.cumulative_reads(cached)


class Full(Span):
    """Every token before.

    Formulas
    --------
    reads = S
    """

    def entries_read(self, seq: Array) -> Array:
        return seq

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return cached + new

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = tri(x)
        """
        return triangular(x)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        return prefix + 0.0 * own

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        return prefix * x

    def context_with(self, entries: Array) -> Array:
        return entries


class Window(Span):
    """The last `size` tokens.

    Formulas
    --------
    reads = min(S, W)
    """

    size: float

    @property
    def symbols(self) -> dict[str, float]:
        return {"W": self.size}

    def entries_read(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def read_by_tokens(self, tokens: float) -> Span:
        return Window(self.size + tokens - 1)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return np.minimum(cached, self.size - 1) + np.minimum(new, self.size)

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = tri(min(x, W)) + W·max(0, x − W)
        """
        return triangular(np.minimum(x, self.size)) + self.size * np.maximum(0.0, x - self.size)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """min(P, max(0, W − U))."""
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """What falls out of the window one by one: Σ max(0, W − u), less what the prefix lacks, Σ max(0, W − P − u)."""
        return clipped_ramp_sum(self.size, x) - clipped_ramp_sum(self.size - prefix, x)


class Chunk(Span):
    """The tokens of the same chunk of `size` (Llama 4): in decode the fullest step, or with `exact` the step's own.

    Formulas
    --------
    reads = min(S, Q)
    reads exactly = S − 1 − floor((S − 1)/Q)·Q + 1
    """

    size: int
    exact: bool = False

    @property
    def symbols(self) -> dict[str, float]:
        return {"Q": self.size}

    @property
    def formula(self) -> str:
        return "reads exactly" if self.exact else "reads"

    def entries_read(self, seq: Array) -> Array:
        return (seq - 1) % self.size + 1 if self.exact else np.minimum(seq, self.size)

    def entries_stored(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return cached % self.size + np.minimum(new, self.size)

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = floor(x/Q)·tri(Q) + tri(x − floor(x/Q)·Q)
        """
        return np.floor(x / self.size) * triangular(float(self.size)) + triangular(x % self.size)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """The prefix's part of the chunk: in the fullest step min(P, max(0, Q − U)), exactly P mod Q until the chunk is full."""
        if self.exact:
            return np.where(own <= self.size - prefix % self.size, prefix % self.size, 0.0)
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """As in `summed`, every step at its own position: P mod Q, until the chunk is full."""
        return prefix % self.size * np.minimum(x, self.size - prefix % self.size)


class Pool(Span):
    """Entries that stand for `ratio` tokens each.

    Formulas
    --------
    reads = floor(S/r)
    """

    ratio: int

    @property
    def symbols(self) -> dict[str, float]:
        return {"r": self.ratio}

    def entries_read(self, seq: Array) -> Array:
        return np.floor(seq / self.ratio)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return self.entries_read(cached + new)

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = r·tri(floor(x/r) − 1) + floor(x/r)·(x − floor(x/r)·r + 1)
        """
        blocks = np.floor(x / self.ratio)
        return self.ratio * triangular(blocks - 1) + blocks * (x % self.ratio + 1)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """floor(P/r): an entry that stands for tokens of both belongs to the stream."""
        return np.floor(prefix / self.ratio) + 0.0 * own

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        return np.floor(prefix / self.ratio) * x

    def context_with(self, entries: Array) -> Array:
        return entries * self.ratio


class Top(Span):
    """The `count` best of the candidates of `among`, picked by an indexer; all are held.

    Formulas
    --------
    reads = min(candidates, k)
    """

    among: Span
    count: float

    def entries_read(self, seq: Array) -> Array:
        return np.minimum(self.among.entries_read(seq), self.count)

    def entries_stored(self, seq: Array) -> Array:
        return self.among.entries_stored(seq)

    def read_by_tokens(self, tokens: float) -> Span:
        return Top(self.among, self.count * tokens)

    def with_shared_prefix(self, count: float, prefix: Array) -> Span:
        """Each stream picks for itself: together at most all candidates, and at most `count` times k."""
        return Top(self.among.with_shared_prefix(count, prefix), self.count * count)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return np.minimum(self.among.prefill_traffic(cached, new), new * self.count)

    def cumulative_reads(self, x: Array) -> Array:
        """Σ reads(i) for i = 1 … x.

        Formulas
        --------
        sum = sum_below + k·max(0, x − x_full + 1)
        """
        full = self.among.context_with(self.count)
        return self.among.cumulative_reads(np.minimum(x, full - 1)) + self.count * np.maximum(0.0, x - (full - 1))

    @property
    def first_full_context(self) -> float:
        """The shortest context of one sequence that has k candidates."""
        return float(self.among.context_with(self.count))


class Sum(Span):
    """Several spans of one cache: a pool beside a raw window."""

    parts: tuple[Span, ...]

    def entries_read(self, seq: Array) -> Array:
        return sum((one.entries_read(seq) for one in self.parts), start=0.0 * seq)

    def entries_stored(self, seq: Array) -> Array:
        return sum((one.entries_stored(seq) for one in self.parts), start=0.0 * seq)

    def read_by_tokens(self, tokens: float) -> Span:
        return Sum(tuple(one.read_by_tokens(tokens) for one in self.parts))

    def with_shared_prefix(self, count: float, prefix: Array) -> Span:
        return Sum(tuple(one.with_shared_prefix(count, prefix) for one in self.parts))

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return sum((one.prefill_traffic(cached, new) for one in self.parts), start=0.0 * new)

    def cumulative_reads(self, x: Array) -> Array:
        return sum((one.cumulative_reads(x) for one in self.parts), start=0.0 * x)


class Reserved(Span):
    """Reads as `span` does, but holds the whole context, as engines with one page table for all layers do."""

    span: Span

    def entries_read(self, seq: Array) -> Array:
        return self.span.entries_read(seq)

    def entries_stored(self, seq: Array) -> Array:
        return seq

    def read_by_tokens(self, tokens: float) -> Span:
        return self.span.read_by_tokens(tokens)

    def with_shared_prefix(self, count: float, prefix: Array) -> Span:
        return SplitReadStore(self.span.with_shared_prefix(count, prefix), Full().with_shared_prefix(count, prefix))

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return self.span.prefill_traffic(cached, new)

    def cumulative_reads(self, x: Array) -> Array:
        return self.span.cumulative_reads(x)


class SharedKV(Reserved):
    """Reads another layer's cache and holds nothing of its own."""

    def entries_stored(self, seq: Array) -> Array:
        return 0.0 * seq

    def with_shared_prefix(self, count: float, prefix: Array) -> Span:
        return SharedKV(self.span.with_shared_prefix(count, prefix))


class SharedPrefixSpan(Span):
    """What `count` streams that share the first `prefix` tokens read, or hold, together; contexts reach beyond the prefix.

    Formulas
    --------
    reads = shared + n·(reads_of_one − shared)
    """

    span: Span
    count: float
    prefix: Array

    def entries_read(self, seq: Array) -> Array:
        return self._together(self.span.entries_read(seq), seq)

    def entries_stored(self, seq: Array) -> Array:
        return self._together(self.span.entries_stored(seq), seq)

    def _together(self, of_one: Array, seq: Array) -> Array:
        return self.count * of_one - (self.count - 1) * self.span.prefix_reads(self.prefix, seq - self.prefix)

    def cumulative_reads(self, x: Array) -> Array:
        """Up to a constant, which differences are free of: Σ over contexts of one stream, n times, less what was counted again."""
        own = np.maximum(x - self.prefix, 0.0)
        return self.count * self.span.cumulative_reads(x) - (self.count - 1) * self.span.cumulative_prefix_reads(self.prefix, own)

    def context_with(self, entries: Array) -> Array:
        """Where a prefix stays in sight: its entries count once, further ones `count` times."""
        shared = self.span.prefix_reads(self.prefix, 0.0)
        return self.span.context_with(shared + np.ceil((entries - shared) / self.count))


class SplitReadStore(Span):
    """Reads as one span does and holds as another."""

    reading: Span
    holding: Span

    def entries_read(self, seq: Array) -> Array:
        return self.reading.entries_read(seq)

    def entries_stored(self, seq: Array) -> Array:
        return self.holding.entries_stored(seq)

    def cumulative_reads(self, x: Array) -> Array:
        return self.reading.cumulative_reads(x)
