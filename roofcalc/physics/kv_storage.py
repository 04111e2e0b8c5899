"""Spans of layers that store other entries than they read: one page table for all layers, and caches shared between layers.

What is stored follows from the engine's page table (`--kv-policy`) or from the model (Gemma 3n, Hunyuan); what is read stays as
`roofcalc.physics.kv_span` has it.
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Array, Full, Span


class Reserved(Span):
    """Reads as `span` but stores the whole context, as engines with one page table for all layers do."""

    span: Span

    def entries_read(self, seq: Array) -> Array:
        return self.span.entries_read(seq)

    def entries_stored(self, seq: Array) -> Array:
        return seq

    def read_by_tokens(self, tokens: float) -> Span:
        return self.span.read_by_tokens(tokens)

    def with_shared_prefix(self, count: Array, prefix: Array) -> Span:
        return SplitReadStore(self.span.with_shared_prefix(count, prefix), Full().with_shared_prefix(count, prefix))

    def prefill_traffic(self, cached: Array, new: Array) -> Array:
        return self.span.prefill_traffic(cached, new)

    def cumulative_reads(self, x: Array) -> Array:
        return self.span.cumulative_reads(x)


class SharedKV(Reserved):
    """Reads another layer's cache and stores nothing itself."""

    def entries_stored(self, seq: Array) -> Array:
        return 0.0 * seq

    def with_shared_prefix(self, count: Array, prefix: Array) -> Span:
        return SharedKV(self.span.with_shared_prefix(count, prefix))


class SplitReadStore(Span):
    """Reads as one span and stores as another."""

    reading: Span
    holding: Span

    def entries_read(self, seq: Array) -> Array:
        return self.reading.entries_read(seq)

    def entries_stored(self, seq: Array) -> Array:
        return self.holding.entries_stored(seq)

    def cumulative_reads(self, x: Array) -> Array:
        return self.reading.cumulative_reads(x)
