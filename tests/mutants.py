"""Formulas known to be wrong, each shipped by some calculator: patched in at run time to see the suite turn red.

Loaded as a pytest plugin with ROOFCALC_MUTANT=name; `tests/test_the_suite_turns_red.py` runs one at a time.
"""

import os
from collections.abc import Callable
from typing import Any

from roofcalc import catalog, roofline
from roofcalc.architecture.attention import GQA
from roofcalc.architecture.model import Model
from roofcalc.deployment import Deployment
from roofcalc.operations import step
from roofcalc.operations.kinds import KINDS
from roofcalc.operations.linear import products
from roofcalc.record import replace


def kv_per_query_head() -> None:
    def entry_elements(self: GQA, tp: int = 1) -> int:
        return self.heads // tp * (self.head_dim + self.value_dim)

    GQA.entry_elements = entry_elements  # type: ignore[method-assign]


def kv_zero_beyond_the_heads() -> None:
    GQA.kv_heads_on_device = lambda self, tp: self.kv_heads // tp  # type: ignore[method-assign]


def weights_read_once_per_sequence() -> None:
    def wrong(*args: Any) -> Any:
        return [one._replace(weights=0.0, moved=one.weights) for one in products(*args)]

    step.products = wrong  # type: ignore[attr-defined]


def weights_never_amortised() -> None:
    seconds = roofline.Step.seconds
    roofline.Step.seconds = lambda self, batch: batch * seconds(self, 1)  # type: ignore[method-assign]


def attention_without_flops() -> None:
    gqa = KINDS[GQA]

    def wrong(*args: Any) -> Any:
        part = gqa(*args)
        return replace(part, caches=tuple(replace(cache, flops=0.0) for cache in part.caches))

    KINDS[GQA] = wrong


def cache_written_back() -> None:
    attended = step.attended
    step.attended = lambda *args: (lambda one: replace(one, bytes=2 * one.bytes))(attended(*args))


def sparse_peaks() -> None:
    flop_per_s = Deployment.flop_per_s
    Deployment.flop_per_s = lambda self, name: (rate := flop_per_s(self, name)) and 2 * rate  # type: ignore[method-assign]


def head_dim_derived() -> None:
    build = catalog.build

    def wrong(record: Any, *rest: Any) -> Any:
        built = build(record, *rest)
        if not isinstance(built, Model):
            return built
        blocks = {
            name: replace(block, attention=replace(block.attention, head_dim=built.hidden // block.attention.heads))
            if isinstance(block.attention, GQA)
            else block
            for name, block in built.blocks.items()
        }
        return replace(built, blocks=blocks)

    catalog.build = wrong  # type: ignore[attr-defined]


# Each with words that mark tests which are about it by name: those do not count.
MUTANTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "kv_per_query_head": (kv_per_query_head, ("kv_bytes", "heads", "head_dim")),
    "kv_zero_beyond_the_heads": (kv_zero_beyond_the_heads, ("heads_that_outnumber", "replicat")),
    "weights_read_once_per_sequence": (weights_read_once_per_sequence, ("weights_once", "reads_weights")),
    "weights_never_amortised": (weights_never_amortised, ("amorti",)),
    "attention_without_flops": (attention_without_flops, ("attention_flops", "sdpa")),
    "cache_written_back": (cache_written_back, ("written", "cache_once")),
    "sparse_peaks": (sparse_peaks, ("sparse", "sheet", "peak")),
    "head_dim_derived": (head_dim_derived, ("head_dim",)),
}


def pytest_configure() -> None:
    if name := os.environ.get("ROOFCALC_MUTANT"):
        MUTANTS[name][0]()
