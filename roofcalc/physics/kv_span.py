"""Attention spans: KV entries stored per sequence, read per decode step, and query-key pairs in prefill.

Counts entries only: no bytes and no FLOPs. All functions take and return arrays of any shape. Sources: sliding windows
arXiv 2310.06825 and 2004.05150; chunks: the Llama 4 configs; compressed pools: DeepSeek V4; top-k arXiv 2512.02556.

S is the context of a sequence, including the token being produced; C tokens are cached before P new ones are computed; a
prefix of tokens may be shared by several streams of one query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.floating[Any]] | float"


def triangular(x: Array) -> Array:
    """tri(x) = x·(x+1)/2 = 1 + 2 + … + x."""
    return x * (x + 1) / 2


def clipped_ramp_sum(begin: Array, x: Array) -> Array:
    """Σ max(0, begin − u) for u = 1 … x, in closed form."""
    counted = np.minimum(x, np.maximum(begin - 1, 0.0))
    return counted * begin - triangular(counted)


class Span(Record):
    """Base of all spans. `seq` is a context S, `cached` and `new` are C and P, `prefix` and `own` tokens before and after a fork."""

    @property
    def symbols(self) -> dict[str, float]:
        """Values of the symbols in this span's formulas, apart from S, P, C and x."""
        return {}

    @property
    def reads_formula(self) -> str:
        """Name of the formula for `entries_read`."""
        return "reads"

    def entries_read(self, seq: Array) -> Array:
        """Entries that the newest token of a context of `seq` tokens attends to."""
        raise NotImplementedError

    def entries_stored(self, seq: Array) -> Array:
        """Entries that a sequence of `seq` tokens stores."""
        return self.entries_read(seq)

    def read_by_tokens(self, tokens: float) -> Span:
        """The span of all entries that the `tokens` newest tokens attend to, each counted once."""
        return self

    def with_shared_prefix(self, count: Array, prefix: Array) -> Span:
        """The span of all entries that `count` streams with a common prefix read or store, shared entries counted once."""
        return SharedPrefixSpan(self, count, prefix)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """Entries of a prefix that a stream still attends to after `own` tokens of its own."""
        raise NotImplementedError

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """Σ prefix_reads(prefix, u) for u = 1 … x, in closed form."""
        raise NotImplementedError

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        """Entries loaded and written in a prefill of P tokens after C: those of C loaded once, those stored of P written."""
        raise NotImplementedError

    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x, in closed form."""
        raise NotImplementedError

    def context_with(self, entries: Array) -> Array:
        """The shortest context in which at least `entries` entries are read."""
        raise NotImplementedError

    @formula("pairs = sum_C_P − sum_C")
    def pairs(self, cached: Array, new: Array) -> Array:
        """Query-key pairs in a prefill of P tokens after C: Σ entries_read(C + i) for i = 1 … P."""
        return self.cumulative_reads(cached + new) - self.cumulative_reads(cached)


@formula("reads = S")
class Full(Span):
    """All tokens of the context."""

    def entries_read(self, seq: Array) -> Array:
        return seq

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return cached + new

    @formula("sum = tri(x)")
    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x."""
        return triangular(x)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        return prefix + 0.0 * own

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        return prefix * x

    def context_with(self, entries: Array) -> Array:
        return entries


@formula("reads = min(S, W)")
class Window(Span):
    """The last `size` tokens."""

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

    @formula("sum = tri(min(x, W)) + W·max(0, x − W)")
    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x."""
        return triangular(np.minimum(x, self.size)) + self.size * np.maximum(0.0, x - self.size)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """min(prefix, max(0, W − own))."""
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """Σ max(0, W − u) for a prefix that fills the window, minus Σ max(0, W − prefix − u) for the tokens that it lacks."""
        return clipped_ramp_sum(self.size, x) - clipped_ramp_sum(self.size - prefix, x)


@formula("reads = min(S, Q)", "reads exactly = S − 1 − floor((S − 1)/Q)·Q + 1")
class Chunk(Span):
    """The tokens of the same chunk of `size` tokens (Llama 4): in decode a full chunk, or with `exact` the step's own position."""

    size: int
    exact: bool = False

    @property
    def symbols(self) -> dict[str, float]:
        return {"Q": self.size}

    @property
    def reads_formula(self) -> str:
        return "reads exactly" if self.exact else "reads"

    def entries_read(self, seq: Array) -> Array:
        return (seq - 1) % self.size + 1 if self.exact else np.minimum(seq, self.size)

    def entries_stored(self, seq: Array) -> Array:
        return np.minimum(seq, self.size)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return cached % self.size + np.minimum(new, self.size)

    @formula("sum = floor(x/Q)·tri(Q) + tri(x − floor(x/Q)·Q)")
    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x."""
        return np.floor(x / self.size) * triangular(float(self.size)) + triangular(x % self.size)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """The prefix's part of the chunk: min(prefix, max(0, Q − own)); with `exact`, prefix mod Q until the chunk is full."""
        if self.exact:
            return np.where(own <= self.size - prefix % self.size, prefix % self.size, 0.0)
        return np.minimum(prefix, np.maximum(0.0, self.size - own))

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        """As in `cumulative_reads` with every step at its own position: prefix mod Q, until the chunk is full."""
        return prefix % self.size * np.minimum(x, self.size - prefix % self.size)


@formula("reads = floor(S/r)")
class Pool(Span):
    """Compressed entries, one for every `ratio` tokens."""

    ratio: int

    @property
    def symbols(self) -> dict[str, float]:
        return {"r": self.ratio}

    def entries_read(self, seq: Array) -> Array:
        return np.floor(seq / self.ratio)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return self.entries_read(cached + new)

    @formula("sum = r·tri(floor(x/r) − 1) + floor(x/r)·(x − floor(x/r)·r + 1)")
    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x."""
        blocks = np.floor(x / self.ratio)
        return self.ratio * triangular(blocks - 1) + blocks * (x % self.ratio + 1)

    def prefix_reads(self, prefix: Array, own: Array) -> Array:
        """floor(prefix/r): an entry that compresses tokens on both sides of the fork belongs to the stream."""
        return np.floor(prefix / self.ratio) + 0.0 * own

    def cumulative_prefix_reads(self, prefix: Array, x: Array) -> Array:
        return np.floor(prefix / self.ratio) * x

    def context_with(self, entries: Array) -> Array:
        return entries * self.ratio


@formula("reads = min(candidates, k)")
class Top(Span):
    """The `count` best entries of `among`, selected by an indexer; all candidates are stored."""

    among: Span
    count: Array

    def entries_read(self, seq: Array) -> Array:
        return np.minimum(self.among.entries_read(seq), self.count)

    def entries_stored(self, seq: Array) -> Array:
        return self.among.entries_stored(seq)

    def read_by_tokens(self, tokens: float) -> Span:
        return Top(self.among, self.count * tokens)

    def with_shared_prefix(self, count: Array, prefix: Array) -> Span:
        """Each stream selects for itself: at most all candidates, and at most `count` times k."""
        return Top(self.among.with_shared_prefix(count, prefix), self.count * count)

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return np.minimum(self.among.prefill_traffic(cached, new), new * self.count)

    @formula("sum = sum_below + k·max(0, x − x_full + 1)")
    def cumulative_reads(self, x: Array) -> Array:
        """Σ entries_read(i) for i = 1 … x."""
        full = self.among.context_with(self.count)
        return self.among.cumulative_reads(np.minimum(x, full - 1)) + self.count * np.maximum(0.0, x - (full - 1))

    @property
    def first_full_context(self) -> float:
        """The shortest context of one sequence that has k candidates."""
        return float(self.among.context_with(self.count))


class Sum(Span):
    """Several spans of one cache, such as a compressed pool and a window of raw entries."""

    parts: tuple[Span, ...]

    def entries_read(self, seq: Array) -> Array:
        return sum((one.entries_read(seq) for one in self.parts), start=0.0 * seq)

    def entries_stored(self, seq: Array) -> Array:
        return sum((one.entries_stored(seq) for one in self.parts), start=0.0 * seq)

    def read_by_tokens(self, tokens: float) -> Span:
        return Sum(tuple(one.read_by_tokens(tokens) for one in self.parts))

    def with_shared_prefix(self, count: Array, prefix: Array) -> Span:
        return Sum(tuple(one.with_shared_prefix(count, prefix) for one in self.parts))

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return sum((one.prefill_traffic(cached, new) for one in self.parts), start=0.0 * new)

    def cumulative_reads(self, x: Array) -> Array:
        return sum((one.cumulative_reads(x) for one in self.parts), start=0.0 * x)


@formula("reads = shared + streams·(reads_of_one − shared)")
class SharedPrefixSpan(Span):
    """Entries that `count` streams with a common prefix read or store; contexts are longer than the prefix."""

    span: Span
    count: Array
    prefix: Array

    def entries_read(self, seq: Array) -> Array:
        return self._all_streams(self.span.entries_read(seq), seq)

    def entries_stored(self, seq: Array) -> Array:
        return self._all_streams(self.span.entries_stored(seq), seq)

    def _all_streams(self, per_stream: Array, seq: Array) -> Array:
        return self.count * per_stream - (self.count - 1) * self.span.prefix_reads(self.prefix, seq - self.prefix)

    def cumulative_reads(self, x: Array) -> Array:
        """Correct up to a constant that cancels in `pairs`: `count` streams, minus the prefix entries counted more than once."""
        own = np.maximum(x - self.prefix, 0.0)
        return self.count * self.span.cumulative_reads(x) - (self.count - 1) * self.span.cumulative_prefix_reads(self.prefix, own)

    def context_with(self, entries: Array) -> Array:
        """For spans that keep the whole prefix in view: its entries count once, later ones `count` times."""
        of_prefix = self.span.prefix_reads(self.prefix, 0.0)
        return self.span.context_with(of_prefix + np.ceil((entries - of_prefix) / self.count))
